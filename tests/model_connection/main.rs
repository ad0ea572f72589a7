//! A connection against a small reference model, after each of a random sequence of inputs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod model;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use atonce::wire::zmtp::{Identity, Revision, SocketType};
use atonce::zmtp::{
    Config, Connection, Error, Event, Heartbeat, Incompatible, Limits, Misbehaving,
};
use atonce::{Bytes, Frames, Instant};
use bytes::BufMut;
use model::{Model, Phase, Rules, Told, frame, property};
use proptest::prelude::*;
use proptest::test_runner::{TestRng, TestRunner};

const START: u64 = 1_000;

/// One thing that happens to a connection.
#[derive(Clone, Debug)]
enum Op {
    /// The peer writes these octets, and what is on its way arrives in pieces of these sizes, until so much is left.
    Octets {
        octets: Vec<u8>,
        sizes: Vec<usize>,
        keep: usize,
        /// Into lent buffers, where there are any.
        directly: bool,
    },
    Send(Vec<Vec<u8>>),
    Transmitted(usize),
    /// So many milliseconds pass, and the connection is called.
    Wait(u64),
    /// The next deadline comes.
    Due,
    Pause(bool),
    Refuse,
}

fn micros(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The machine's error in the words of the model.
fn why(error: &Error) -> String {
    match error {
        Error::Malformed(malformed) => format!("malformed {}", malformed.field),
        Error::Misbehaving(Misbehaving::Limit { limit, found, .. }) => {
            format!("over {limit}: {found}")
        }
        Error::Misbehaving(Misbehaving::Unexpected(what)) => format!("unexpected {what}"),
        Error::Incompatible(Incompatible::Revision(Revision::Unversioned)) => "no ZMTP".into(),
        Error::Incompatible(Incompatible::Revision(Revision::Major(major))) => {
            format!("revision {major}")
        }
        Error::Incompatible(Incompatible::Mechanism { .. }) => "mechanism".into(),
        Error::Incompatible(Incompatible::SocketTypes { ours, theirs }) => {
            format!("{ours} does not talk to {theirs}")
        }
        Error::Refused { reason } => format!("refused: {reason}"),
        Error::TimedOut(timer) => format!("timed out {timer:?}"),
        other => panic!("{other:?}"),
    }
}

fn told(event: Event) -> Told {
    match event {
        Event::Ready {
            version,
            socket_type,
            identity,
            metadata,
            ..
        } => Told::Ready {
            version: (version.major(), version.minor()),
            socket_type: socket_type.to_string(),
            identity: identity.to_vec(),
            properties: metadata
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
        },
        Event::Message(frames) => {
            Told::Message(frames.iter().map(|frame| frame.to_vec()).collect())
        }
        Event::Subscribe(prefix) => Told::Subscribe(prefix.to_vec()),
        Event::Cancel(prefix) => Told::Cancel(prefix.to_vec()),
        Event::Closed(error) => Told::Closed(why(&error)),
        other => panic!("{other:?}"),
    }
}

fn config(rules: &Rules) -> Config {
    let socket_type = SocketType::decode(rules.ours.as_bytes()).unwrap();
    Config {
        identity: Identity::try_from(rules.identity).unwrap(),
        handshake_timeout: millis(rules.handshake),
        heartbeat: rules.heartbeat.map(|(interval, timeout, ttl)| Heartbeat {
            interval: millis(interval),
            timeout: millis(timeout),
            ttl: ttl.map(millis),
        }),
        limits: Limits {
            frame_octets: rules.frame_octets,
            message_octets: rules.message_octets,
            message_frames: rules.message_frames,
            command_octets: rules.command_octets,
        },
        ..Config::new(socket_type)
    }
}

/// A connection and its model, side by side.
struct Pair {
    now: u64,
    connection: Connection,
    model: Model,
    under_way: Vec<u8>,
    /// Names of what happened, to know that the generator reaches it.
    seen: BTreeSet<String>,
}

impl Pair {
    fn new(rules: &Rules) -> Self {
        Self {
            now: START,
            connection: Connection::new(micros(START), config(rules)),
            model: Model::new(START, rules.clone()),
            under_way: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn play(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Octets {
                octets,
                sizes,
                keep,
                directly,
            } => {
                self.under_way.extend(octets);
                for size in sizes.into_iter().cycle() {
                    let n = size.min(self.under_way.len().saturating_sub(keep));
                    if n == 0 {
                        break;
                    }
                    self.arrive(n, directly);
                    self.compare()?;
                }
            }
            Op::Send(message) => {
                let frames = message.iter().cloned().map(Bytes::from);
                let sent = self.connection.send(Frames::from_iter(frames));
                prop_assert_eq!(sent.is_ok(), self.model.send(message));
            }
            Op::Transmitted(octets) => {
                self.connection.handle_transmitted(micros(self.now), octets);
                self.model.transmitted(octets);
            }
            Op::Wait(time) => {
                self.now += time;
                self.timeout();
            }
            Op::Due => {
                if let Some((at, _)) = self.model.deadline() {
                    self.now = self.now.max(at);
                    self.timeout();
                }
            }
            Op::Pause(paused) => {
                let now = micros(self.now);
                match paused {
                    true => self.connection.pause(now),
                    false => self.connection.resume(now),
                }
                self.model.pause(self.now, paused);
            }
            Op::Refuse => {
                self.connection.refuse(&"go away".try_into().unwrap());
                self.model.refuse("go away");
            }
        }
        self.compare()
    }

    fn timeout(&mut self) {
        self.connection.handle_timeout(micros(self.now));
        self.model.timeout(self.now);
    }

    fn arrive(&mut self, mut n: usize, directly: bool) {
        let now = micros(self.now);
        match self.connection.receive_buffer() {
            Some(mut buffer) if directly => {
                n = n.min(buffer.remaining_mut());
                buffer.put_slice(&self.under_way[..n]);
                self.connection.handle_filled(now);
                self.seen.insert("a lent buffer".into());
            }
            _ => self.connection.handle_input(now, &self.under_way[..n]),
        }
        let octets: Vec<u8> = self.under_way.drain(..n).collect();
        self.model.octets(self.now, &octets);
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let (connection, model) = (&mut self.connection, &mut self.model);
        let pending = connection.pending_messages();
        let events: Vec<_> = std::iter::from_fn(|| connection.poll_event())
            .map(told)
            .collect();
        let messages = events
            .iter()
            .filter(|told| matches!(told, Told::Message(_)));
        prop_assert_eq!(pending, messages.count());
        let expected = std::mem::take(&mut model.told);
        prop_assert_eq!(&events, &expected, "events");
        for told in events {
            self.seen.insert(match told {
                Told::Ready { version, .. } => format!("ready {}.{}", version.0, version.1),
                Told::Message(frames) if frames.len() > 1 => "several frames".into(),
                Told::Message(_) => "message".into(),
                Told::Subscribe(_) => "subscribe".into(),
                Told::Cancel(_) => "cancel".into(),
                Told::Closed(why) => why.split(':').next().unwrap().into(),
            });
        }
        let lent: Vec<&[u8]> = connection.poll_transmit().collect();
        prop_assert!(lent.iter().all(|slice| !slice.is_empty()));
        prop_assert_eq!(lent.concat(), model.to_send(), "to send");
        let deadline = connection.poll_timeout();
        let deadline = deadline.map(|(at, timer)| (at.as_micros(), format!("{timer:?}")));
        let expected = model.deadline();
        let expected = expected.map(|(at, timer)| (at * 1_000, timer.to_string()));
        prop_assert_eq!(deadline, expected, "deadline");
        prop_assert_eq!(connection.is_closed(), model.phase == Phase::Closed);
        prop_assert_eq!(connection.is_ready(), model.phase == Phase::Traffic);
        prop_assert_eq!(connection.queued_octets(), model.queued_octets());
        prop_assert_eq!(connection.queued_messages(), model.queued_messages());
        let under_way = (connection.partial_octets(), connection.lacking());
        prop_assert_eq!(under_way, model.under_way(), "partial and lacking");
        Ok(())
    }
}

// ---- what happens

fn command(name: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    frame(4, &[&[length], name, data].concat())
}

fn greeting(version: (u8, u8), mechanism: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, version.0, version.1];
    octets.extend(mechanism);
    octets.resize(64, 0);
    octets
}

fn greetings() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        16 => Just(greeting((3, 1), b"NULL")),
        6 => Just(greeting((3, 0), b"NULL")),
        1 => Just(greeting((4, 7), b"NULL")),
        1 => Just(greeting((3, 1), b"PLAIN")),
        1 => Just(greeting((3, 1), b"NULLS")),
        1 => (0..3_u8).prop_map(|major| greeting((major, 0), b"NULL")),
        // A frame of ZMTP 1.0 of 255 octets or more, and nonsense in its place.
        1 => any::<u8>().prop_map(|octet| {
            let mut octets = greeting((3, 1), b"NULL");
            octets[9] = octet;
            octets
        }),
        1 => prop::collection::vec(any::<u8>(), 0..80),
    ]
}

/// A pattern that goes with ours.
fn partner(ours: &str) -> &'static [u8] {
    match ours {
        "DEALER" => b"ROUTER",
        "XPUB" => b"SUB",
        "PUB" => b"XSUB",
        "PULL" => b"PUSH",
        _ => b"DEALER",
    }
}

fn readies(ours: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let socket_type = property(b"Socket-Type", partner(ours));
    let ready = move |rest: &[u8]| {
        let data = [&socket_type[..], rest].concat();
        command(b"READY", &data)
    };
    let with = ready.clone();
    let identity = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20),
        1 => Just(vec![1; 255]),
        1 => Just(vec![1; 256]),
        1 => Just(b"\0own".to_vec()),
    ];
    let identified = identity.prop_map(move |identity| with(&property(b"identity", &identity)));
    prop_oneof![
        16 => Just(ready(b"")),
        8 => identified,
        1 => Just(ready(&property(b"Socket-Type", b"PAIR"))),
        1 => Just(ready(b"\x00\x00\x00\x00\x00")),
        1 => Just(ready(b"\x04name\x80\x00\x00\x00")),
        1 => Just(ready(b"\x04name\x00\x00\x00\x09short")),
        1 => Just(command(b"READY", b"")),
        1 => Just(command(b"READY", &property(b"Socket-Type", b"BROKER"))),
        1 => Just(command(b"READY", &property(b"Socket-Type", b"PAIR"))),
        1 => Just(command(b"ERROR", b"\x03no!")),
        1 => Just(command(b"ERROR", b"\x03no")),
        1 => Just(command(b"PING", b"\x00\x00")),
        1 => Just(frame(0, b"too early")),
        1 => traffic(),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        10 => 0..20_usize,
        2 => 250..260_usize,
        1 => 8_000..20_000_usize,
        1 => 29_995..30_002_usize,
    ];
    (size, any::<u8>()).prop_map(|(size, first)| {
        let octets = (0..=250).cycle().skip(first.into());
        octets.take(size).collect()
    })
}

fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let context = || prop::collection::vec(any::<u8>(), 0..=16);
    prop_oneof![
        12 => (0..4_u8, body()).prop_map(|(flags, body)| frame(flags, &body)),
        4 => prop::collection::vec((1..2_u8, 0..12_usize), 1..7).prop_map(|frames| {
            frames
                .into_iter()
                .flat_map(|(flags, size)| frame(flags, &vec![7; size]))
                .collect()
        }),
        6 => (prop_oneof![0..30_u16, any::<u16>()], context()).prop_map(|(ttl, context)| {
            command(b"PING", &[&ttl.to_be_bytes()[..], &context].concat())
        }),
        2 => prop::collection::vec(context(), 3..6).prop_map(|contexts| {
            let pings = contexts.iter().map(|context| command(b"PING", &[b"\0\0", &context[..]].concat()));
            pings.collect::<Vec<_>>().concat()
        }),
        2 => context().prop_map(|context| command(b"PONG", &context)),
        2 => body().prop_map(|data| command(b"JOIN", &data)),
        2 => body().prop_map(|prefix| command(b"SUBSCRIBE", &prefix)),
        2 => body().prop_map(|prefix| command(b"CANCEL", &prefix)),
        2 => wrong(),
    ]
}

/// What ends a connection, each in its own way.
fn wrong() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(command(b"READY", &property(b"Socket-Type", b"DEALER"))),
        Just(command(b"ERROR", b"\x04away")),
        Just(command(b"ERROR", b"\x04away!")),
        Just(command(b"PING", b"\x01")),
        Just(command(b"PING", &[0; 19])),
        Just(command(b"PONG", &[0; 17])),
        Just(frame(4, b"")),
        Just(frame(4, b"\x00")),
        Just(frame(4, b"\x05PING")),
        Just(frame(4, &[1; 3_001])),
        Just(frame(0, &[1; 30_001])),
        Just([frame(1, &[1; 20_000]), frame(0, &[2; 20_001])].concat()),
        any::<u8>().prop_map(|flags| vec![flags, 0, 0]),
        any::<u64>().prop_map(|size| [&[2][..], &size.to_be_bytes()].concat()),
        prop::collection::vec(any::<u8>(), 1..20),
    ]
}

fn octets(what: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Op> {
    let size = prop_oneof![2 => 1..12_usize, 2 => 1..3_000_usize, 3 => Just(usize::MAX)];
    let sizes = prop::collection::vec(size, 1..5);
    let keep = prop_oneof![8 => Just(0), 1 => 0..12_usize];
    (what, sizes, keep, any::<bool>()).prop_map(|(octets, mut sizes, keep, directly)| {
        if octets.len() > 1_000 {
            // Thousands of octets one by one take long and show nothing that tens do not.
            sizes.push(4_000);
            sizes.retain(|size| *size > 500);
        }
        Op::Octets {
            octets,
            sizes,
            keep,
            directly,
        }
    })
}

fn other() -> impl Strategy<Value = Op> {
    let message = prop::collection::vec(
        prop_oneof![4 => 0..30_usize, 1 => 250..260_usize, 1 => 1_020..1_030_usize],
        1..4,
    );
    prop_oneof![
        4 => message.prop_map(|sizes| Op::Send(sizes.into_iter().map(|n| vec![9; n]).collect())),
        6 => prop_oneof![Just(usize::MAX), 0..100_usize].prop_map(Op::Transmitted),
        4 => (0..700_u64).prop_map(Op::Wait),
        3 => Just(Op::Due),
        2 => any::<bool>().prop_map(Op::Pause),
    ]
}

fn ops(ours: &'static str) -> impl Strategy<Value = Vec<Op>> {
    let few = || prop::collection::vec(other(), 0..3);
    let later = prop_oneof![
        12 => octets(traffic()),
        12 => other(),
        1 => Just(Op::Refuse),
    ];
    let before = (few(), octets(greetings()), few(), octets(readies(ours)));
    (before, prop::collection::vec(later, 0..24)).prop_map(|(before, later)| {
        let (one, greeting, two, ready) = before;
        let before = [one, vec![greeting], two, vec![ready]].concat();
        before.into_iter().chain(later).collect()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let heartbeat = (200..600_u64, 100..600_u64, prop::option::of(0..90_000_u64));
    let ours = prop::sample::select(vec!["ROUTER", "DEALER", "XPUB", "PUB", "PULL"]);
    (ours, prop::option::of(heartbeat)).prop_map(|(ours, heartbeat)| Rules {
        ours,
        identity: b"\x01alice",
        handshake: 3_000,
        heartbeat,
        frame_octets: 30_000,
        message_octets: 40_000,
        message_frames: 6,
        command_octets: 3_000,
    })
}

fn cases() -> impl Strategy<Value = (Rules, Vec<Op>)> {
    rules().prop_flat_map(|rules| {
        let ops = ops(rules.ours);
        (Just(rules), ops)
    })
}

#[test]
fn a_connection_does_what_a_slow_reading_of_the_protocol_says() {
    let seen = RefCell::new(BTreeSet::new());
    let config = ProptestConfig {
        cases: 512,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let check = |(rules, ops): (Rules, Vec<Op>)| {
        let mut pair = Pair::new(&rules);
        pair.compare()?;
        let mut result = Ok(());
        for op in ops {
            result = pair.play(op);
            if result.is_err() {
                break;
            }
        }
        seen.borrow_mut().extend(pair.seen);
        result
    };
    let run = TestRunner::new(config).run(&cases(), check);
    assert!(run.is_ok(), "{}", run.unwrap_err());
    // Always the same ones, so that what they reach is no matter of luck.
    let config = ProptestConfig {
        cases: 1_200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let algorithm = config.rng_algorithm;
    let rng = TestRng::deterministic_rng(algorithm);
    seen.borrow_mut().clear();
    let run = TestRunner::new_with_rng(config, rng).run(&cases(), check);
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let seen = seen.into_inner();
    for reached in REACHED {
        assert!(
            seen.contains(*reached),
            "no sequence reaches {reached}: {seen:#?}"
        );
    }
}

/// What a generator that is of any use brings about.
const REACHED: &[&str] = &[
    "ready 3.0",
    "ready 3.1",
    "message",
    "several frames",
    "a lent buffer",
    "subscribe",
    "cancel",
    "no ZMTP",
    "revision 1",
    "mechanism",
    "malformed greeting.signature",
    "malformed READY.Socket-Type",
    "malformed READY.Identity",
    "malformed metadata.value",
    "malformed frame.flags",
    "malformed frame.size",
    "malformed command.name",
    "malformed PING.ttl",
    "over frame_octets",
    "over message_octets",
    "over message_frames",
    "over command_octets",
    "unexpected second READY",
    "unexpected command before READY",
    "unexpected message before the end of the handshake",
    "refused",
    "timed out Handshake",
    "timed out Pong",
    "timed out TimeToLive",
];
