//! The table of a ZMTP connection.

use std::time::Duration;

use atonce::wire::zmtp::{
    Command, Decoded, FrameHeader, FrameKind, Greeting, MechanismName, Metadata, Ping, PingContext,
    SocketType, Version,
};
use atonce::zmtp::{Config, Connection, Event, Heartbeat, Limits};
use atonce::{Bytes, Frames, Instant};
use expect_test::expect_file;

use crate::grouped;

const START: Instant = Instant::from_millis(1_000);

fn frame(kind: FrameKind, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    FrameHeader::of(kind, body).encode(&mut octets);
    octets.extend(body);
    octets
}

fn command(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    command.encode(&mut body);
    frame(FrameKind::Command, &body)
}

fn greeting(version: Version, mechanism: MechanismName) -> Vec<u8> {
    let ours = Greeting::new(mechanism);
    Greeting { version, ..ours }.encode().to_vec()
}

fn ready(socket_type: &[u8], identity: &[u8]) -> Vec<u8> {
    let metadata = Metadata::new()
        .with(Metadata::SOCKET_TYPE, socket_type)
        .and_then(|metadata| metadata.with(Metadata::IDENTITY, identity));
    command(&Command::Ready(metadata.unwrap()))
}

fn ping(ttl: u16, context: &[u8]) -> Vec<u8> {
    let context = PingContext::new(context).unwrap();
    command(&Command::Ping(Ping { ttl, context }))
}

/// A connection on its way, and how much of what the peer has to say before traffic was said.
struct State {
    now: Instant,
    connection: Connection,
    greeted: usize,
}

impl State {
    fn new(socket_type: SocketType) -> Self {
        let config = Config {
            identity: b"\x01alice".as_slice().try_into().unwrap(),
            heartbeat: Some(Heartbeat::every(Duration::from_secs(5))),
            limits: Limits {
                frame_octets: 1_000,
                message_octets: 1_000,
                message_frames: 2,
                command_octets: 1_000,
            },
            ..Config::new(socket_type)
        };
        Self {
            now: START,
            connection: Connection::new(START, config),
            greeted: 0,
        }
    }

    fn take(mut self, octets: &[u8]) -> Self {
        self.connection.handle_input(self.now, octets);
        self
    }

    fn greeted(mut self, octets: usize) -> Self {
        self.greeted += octets;
        let whole = greeting(Version::V3_1, MechanismName::NULL);
        self.take(&whole[..octets])
    }

    fn sent(mut self) -> Self {
        let now = self.now;
        self.connection.handle_transmitted(now, usize::MAX);
        while self.connection.poll_event().is_some() {}
        self
    }

    fn in_traffic(self) -> Self {
        self.greeted(64).take(&ready(b"DEALER", b"")).sent()
    }

    fn after(mut self, time: Duration) -> Self {
        self.now += time;
        self.connection.handle_timeout(self.now);
        self
    }

    fn with(mut self, act: impl FnOnce(&mut Connection, Instant)) -> Self {
        act(&mut self.connection, self.now);
        self
    }
}

const QUIET: Duration = Duration::from_secs(5);

type Made = fn() -> State;

fn states() -> Vec<(&'static str, Made)> {
    fn new() -> State {
        State::new(SocketType::Router)
    }
    vec![
        ("nothing came", || new().sent()),
        ("20 of 64 octets of the greeting came", || {
            new().greeted(20).sent()
        }),
        ("handshake: the greeting came", || new().greeted(64).sent()),
        ("handshake, with a message to send", || {
            new()
                .greeted(64)
                .sent()
                .with(|connection, _| connection.send("waits".into()).unwrap())
        }),
        ("handshake: half of READY came", || {
            new().greeted(64).take(&ready(b"DEALER", b"")[..10]).sent()
        }),
        ("traffic", || new().in_traffic()),
        ("traffic of an XPUB", || {
            State::new(SocketType::XPub)
                .greeted(64)
                .take(&ready(b"SUB", b""))
                .sent()
        }),
        ("traffic with a peer of 3.0", || {
            let peer = [
                greeting(Version::V3_0, MechanismName::NULL),
                ready(b"DEALER", b""),
            ];
            new().take(&peer.concat()).sent()
        }),
        ("traffic: our PING is not answered", || {
            new().in_traffic().after(QUIET).sent()
        }),
        ("traffic: our PING is not even sent", || {
            new().in_traffic().after(QUIET)
        }),
        ("traffic: a PONG is not sent", || {
            new().in_traffic().take(&ping(0, b"first"))
        }),
        ("traffic: the peer told a time to live", || {
            new().in_traffic().take(&ping(10, b"")).sent()
        }),
        ("between the frames of a message", || {
            new().in_traffic().take(&frame(FrameKind::More, b"one"))
        }),
        ("within a frame", || {
            new()
                .in_traffic()
                .take(&frame(FrameKind::Last, b"whole")[..4])
        }),
        ("a message is half sent", || {
            new().in_traffic().with(|connection, now| {
                connection.send("message".into()).unwrap();
                connection.handle_transmitted(now, 4);
            })
        }),
        ("paused", || new().in_traffic().with(Connection::pause)),
        ("paused while our PING is not answered", || {
            new()
                .in_traffic()
                .after(QUIET)
                .sent()
                .with(Connection::pause)
        }),
        ("refused by us, ERROR not sent", || {
            new()
                .in_traffic()
                .with(|connection, _| connection.refuse(&"away".try_into().unwrap()))
        }),
        ("failed", || new().in_traffic().take(&[0xff]).sent()),
    ]
}

type Happens = fn(State) -> State;

fn events() -> Vec<(&'static str, Happens)> {
    vec![
        ("greeting of 3.1, or its rest", |state| {
            let octets = greeting(Version::V3_1, MechanismName::NULL);
            let from = state.greeted % 64;
            state.take(&octets[from..])
        }),
        ("greeting of 3.0, or its rest", |state| {
            let octets = greeting(Version::V3_0, MechanismName::NULL);
            let from = state.greeted % 64;
            state.take(&octets[from..])
        }),
        ("greeting with PLAIN, or its rest", |state| {
            let octets = greeting(Version::V3_1, MechanismName::PLAIN);
            let from = state.greeted % 64;
            state.take(&octets[from..])
        }),
        ("greeting of ZMTP 2.0", |state| {
            state.take(b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05")
        }),
        ("GET / HTTP/1.1", |state| state.take(b"GET / HTTP/1.1\r\n")),
        ("READY of a DEALER", |state| {
            state.take(&ready(b"DEALER", b"\x01bob"))
        }),
        ("READY, and a message behind it", |state| {
            let ready = ready(b"DEALER", b"\x01bob");
            state.take(&[ready, frame(FrameKind::Last, b"hello")].concat())
        }),
        ("READY of a PAIR", |state| state.take(&ready(b"PAIR", b""))),
        ("READY without a type", |state| {
            state.take(&command(&Command::Ready(Metadata::new())))
        }),
        ("READY with a reserved identity", |state| {
            state.take(&ready(b"DEALER", b"\0bob"))
        }),
        ("ERROR", |state| {
            state.take(&command(&Command::Error("no".try_into().unwrap())))
        }),
        ("a message of one frame", |state| {
            state.take(&frame(FrameKind::Last, b"hello"))
        }),
        ("a frame with MORE", |state| {
            state.take(&frame(FrameKind::More, b"hello"))
        }),
        ("the rest of a frame", |state| state.take(b"ole")),
        ("PING", |state| state.take(&ping(0, b"context"))),
        ("PING with a time to live of 2 s", |state| {
            state.take(&ping(20, b""))
        }),
        ("such a PING, and more behind it", |state| {
            state.take(&[ping(20, b""), vec![0]].concat())
        }),
        ("PING without a time to live", |state| {
            state.take(&frame(FrameKind::Command, b"\x04PING"))
        }),
        ("PONG", |state| {
            state.take(&command(&Command::Pong(PingContext::default())))
        }),
        ("SUBSCRIBE", |state| {
            state.take(&command(&Command::Subscribe(Bytes::from_static(b"news"))))
        }),
        ("CANCEL", |state| {
            state.take(&command(&Command::Cancel(Bytes::from_static(b"news"))))
        }),
        ("an unknown command", |state| {
            state.take(&frame(FrameKind::Command, b"\x04JOINgroup"))
        }),
        ("a command without a name", |state| {
            state.take(&frame(FrameKind::Command, b"\0"))
        }),
        ("flags that are none", |state| state.take(&[8])),
        ("COMMAND with MORE", |state| state.take(&[5])),
        ("half a header", |state| state.take(&[2, 0, 0])),
        ("a header of a frame of 1,001 octets", |state| {
            state.take(&frame(FrameKind::Last, &[7; 1_001])[..9])
        }),
        ("a header of a command of 1,001 octets", |state| {
            state.take(&frame(FrameKind::Command, &[7; 1_001])[..9])
        }),
        ("two frames of 600 octets", |state| {
            let more = frame(FrameKind::More, &[7; 600]);
            state.take(&[more, frame(FrameKind::Last, &[7; 600])].concat())
        }),
        ("three frames", |state| {
            let more = frame(FrameKind::More, b"x").repeat(2);
            state.take(&[more, frame(FrameKind::Last, b"x")].concat())
        }),
        ("the deadline", |mut state| {
            if let Some((at, _)) = state.connection.poll_timeout() {
                state.now = at;
                state.connection.handle_timeout(at);
            }
            state
        }),
        ("a call before the deadline", |state| {
            state.after(Duration::from_millis(1))
        }),
        ("we send", |mut state| {
            if let Err(error) = state.connection.send("ours".into()) {
                assert_eq!(error, atonce::zmtp::SendError::Closed);
                assert!(state.connection.is_closed());
            }
            state
        }),
        ("we send nothing", |mut state| {
            assert!(state.connection.send(Frames::new()).is_err());
            state
        }),
        ("all is sent", |state| {
            state.with(|connection, now| connection.handle_transmitted(now, usize::MAX))
        }),
        ("we pause", |state| state.with(Connection::pause)),
        ("we resume", |state| state.with(Connection::resume)),
        ("we refuse", |state| {
            state.with(|connection, _| connection.refuse(&"busy".try_into().unwrap()))
        }),
    ]
}

/// Octets that this side sends, as what they are.
fn read(mut octets: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    if octets.first() == Some(&0xff) {
        all.push("greeting".to_string());
        octets = &octets[64..];
    }
    while let Ok(Decoded::Complete { value, octets: n }) = FrameHeader::decode(octets) {
        let end = n + usize::try_from(value.octets()).unwrap();
        let Some(body) = octets.get(n..end) else {
            break;
        };
        let more = value.kind() == FrameKind::More;
        all.push(match value.kind() {
            FrameKind::Command => match Command::decode(body).unwrap() {
                Command::Ready(_) => "READY".into(),
                Command::Error(reason) => format!("ERROR {reason}"),
                Command::Ping(ping) => format!("PING {:?}", ping.context),
                Command::Pong(context) => format!("PONG {context:?}"),
                other => format!("{other:?}"),
            },
            _ => format!(
                "{:?}{}",
                Bytes::copy_from_slice(body),
                if more { "…" } else { "" }
            ),
        });
        octets = &octets[end..];
    }
    if !octets.is_empty() {
        all.push(format!("…{:?}", Bytes::copy_from_slice(octets)));
    }
    all
}

fn lent(connection: &Connection) -> Vec<u8> {
    connection.poll_transmit().flatten().copied().collect()
}

fn tell(event: Event) -> String {
    match event {
        Event::Ready {
            version, identity, ..
        } => format!("ready {version} {:?}", Bytes::copy_from_slice(&identity)),
        Event::Message(frames) if frames.octets() > 100 => {
            format!("message of {} octets", frames.octets())
        }
        Event::Message(frames) => format!("message {frames:?}"),
        Event::Subscribe(prefix) => format!("subscribe {prefix:?}"),
        Event::Cancel(prefix) => format!("cancel {prefix:?}"),
        Event::Closed(error) => format!("closed: {error}"),
        other => format!("{other:?}"),
    }
}

/// What came of it, in a line.
fn outcome(state: State, before: &[u8]) -> String {
    let mut connection = state.connection;
    let mut all = Vec::new();
    let now = lent(&connection);
    match now.strip_prefix(before) {
        Some([]) => {}
        Some(new) => all.extend(read(new).iter().map(|what| format!("queues {what}"))),
        None if now.is_empty() => all.push("nothing waits any more".into()),
        None => all.push(format!("what waits: {}", read(&now).join(", "))),
    }
    all.extend(std::iter::from_fn(|| connection.poll_event()).map(tell));
    let phase = match (connection.is_closed(), connection.is_ready()) {
        (true, _) => "closed",
        (_, true) => "traffic",
        _ => "not ready",
    };
    let partial = connection.partial_octets();
    let mut then = phase.to_string();
    if partial > 0 {
        then.push_str(&format!(", {partial} octets under way"));
    }
    match connection.queued_messages() {
        0 => {}
        waits => then.push_str(&format!(", {waits} to send")),
    }
    if let Some((at, timer)) = connection.poll_timeout() {
        let left = at - state.now;
        then.push_str(&format!(", {timer:?} in {} ms", left.as_millis()));
    }
    all.push(format!("[{then}]"));
    all.join("; ")
}

#[test]
fn a_connection_in_each_state_at_each_event() {
    let mut table = String::from(
        "What a connection does: a ROUTER with a heartbeat every 5 s, unless it says otherwise, which takes frames,\n\
         messages and commands of up to 1,000 octets, and messages of up to 2 frames.\n",
    );
    for (name, state) in states() {
        table.push_str(&format!("\n== {name}\n\n"));
        let still = state();
        let waits = lent(&still.connection);
        let mut outcomes = vec![("(nothing happens)", outcome(still, &waits))];
        for (name, event) in events() {
            outcomes.push((name, outcome(event(state()), &waits)));
        }
        table.push_str(&grouped(&outcomes));
    }
    expect_file!["../snapshots/connection.txt"].assert_eq(&table);
}
