//! What some octets can cost: work and memory are bounded by how many came, and by the limits, whatever they say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod counting_common;
mod zmtp_common;

use std::net::SocketAddr;

use atonce::wire::zmtp::{Command, Metadata, OtherCommand, Ping, PingContext, SocketType};
use atonce::wire::zre::{self, Hello, Message, UnknownCommand};
use atonce::wire::{Beacon, LongText};
use atonce::zmtp::{Config, Connection, Event};
use atonce::{
    Action, Bytes, Cut, Frames, Instant, Interface, InterfaceId, LinkId, PeerId, Stack, Text,
    zre as node,
};
use counting_common::{COUNT, LIVE, PEAK};
use proptest::prelude::*;
use zmtp_common::{command, greeted, lent, message, ready, wire};

const START: Instant = Instant::from_millis(1_000_000);

// ---- what is counted

/// What some work cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    allocations: usize,
    /// The most octets that were held at a time, beyond those held before.
    held: usize,
}

fn cost(work: impl FnOnce()) -> Cost {
    let (count, live) = (COUNT.get(), LIVE.get());
    PEAK.set(live);
    work();
    Cost {
        allocations: COUNT.get() - count,
        held: usize::try_from(PEAK.get() - live).unwrap(),
    }
}

/// At most `per_octet` for each octet, and so much in any case.
#[derive(Clone, Copy)]
struct Bound {
    per_octet: f64,
    anyway: usize,
}

impl Bound {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    fn check(self, what: &str, octets: usize, found: usize) {
        let most = (self.per_octet * octets as f64) as usize + self.anyway;
        assert!(
            found <= most,
            "{found} {what} for {octets} octets, at most {most}"
        );
    }
}

// ---- a connection

/// The shortest frame has two octets and is at most one event; `Closed` comes beside.
const EVENTS: Bound = Bound {
    per_octet: 0.5,
    anyway: 1,
};

/// A connection that is not read from sends its greeting, READY, one PONG, and an ERROR: nothing grows with what comes.
const QUEUED: usize = 64 + 2 + 60 + 2 + 5 + 16 + 2 + 7 + 19;

/// A frame with a body, three octets or more, is copied once. The list of events doubles as it grows, and so does that of
/// the frames of a message: ten times for a thousand of them.
const ALLOCATIONS: Bound = Bound {
    per_octet: 1.01 / 3.0,
    anyway: 64,
};

/// An event for two octets, in a list that is twice as long at most and is copied when it grows; a frame under way for
/// which memory is reserved, 4 MiB at most, and doubled as it comes.
const HELD: Bound = Bound {
    per_octet: 3.0 * size_of::<Event>() as f64 / 2.0,
    anyway: (4 << 20) + 8_192,
};

/// Hands octets to a connection at once, and looks at what they cost before anything is taken.
fn check_connection(socket_type: SocketType, octets: &[u8]) {
    let mut connection = Connection::new(START, Config::new(socket_type));
    let cost = cost(|| connection.handle_input(START, octets));
    let n = octets.len();
    HELD.check("octets held", n, cost.held);
    ALLOCATIONS.check("allocations", n, cost.allocations);
    let queued = lent(&connection).len();
    assert!(queued <= QUEUED, "{queued} octets to send for {n}");
    let events = std::iter::from_fn(|| connection.poll_event()).count();
    EVENTS.check("events", n, events);
}

fn floods() -> Vec<Vec<u8>> {
    const TIMES: usize = 20_000;
    let ping = command(&Command::Ping(Ping {
        ttl: 1,
        context: PingContext::new(&[7; 16]).unwrap(),
    }));
    let subscribe = command(&Command::Subscribe(Bytes::from_static(b"x")));
    let other = command(&Command::Other(OtherCommand::new("X", "").unwrap()));
    let many = Metadata::new().with("Socket-Type", b"DEALER").unwrap();
    let many = (0..3_000).fold(many, |all, _| all.with("x", b"").unwrap());
    let claimed = [&[2][..], &(200_u64 << 20).to_be_bytes(), &[7; 100]].concat();
    vec![
        wire(0, b"").repeat(TIMES),
        wire(0, b"x").repeat(TIMES),
        wire(2, b"").repeat(TIMES),
        [wire(1, b"").repeat(1_000), wire(0, b"")]
            .concat()
            .repeat(20),
        [wire(1, b"x").repeat(1_000), wire(0, b"")]
            .concat()
            .repeat(20),
        wire(1, b"").repeat(TIMES),
        ping.repeat(TIMES),
        subscribe.repeat(TIMES),
        other.repeat(TIMES),
        command(&Command::Ready(many)),
        claimed,
        vec![0xff; TIMES],
        vec![0; TIMES],
    ]
}

#[test]
fn no_flood_makes_a_connection_work_more_than_its_octets_are_worth() {
    for (socket_type, partner) in [(SocketType::Router, "DEALER"), (SocketType::XPub, "SUB")] {
        for flood in floods() {
            let opened = [greeted(), ready(partner), flood.clone()].concat();
            check_connection(socket_type, &opened);
            check_connection(socket_type, &[greeted(), flood.clone()].concat());
            check_connection(socket_type, &flood);
        }
    }
}

/// Frames that may be there, now and then something else.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let body = || {
        let size = prop_oneof![20 => 0..6_usize, 2 => 250..300_usize, 1 => 0..9_000_usize];
        (size, any::<u8>()).prop_map(|(size, octet)| vec![octet; size])
    };
    let frame = prop_oneof![
        30 => (0..4_u8, body()).prop_map(|(flags, body)| wire(flags, &body)),
        6 => (0..=4_u8, 0..8_usize).prop_map(|(flags, times)| wire(flags & 3, b"").repeat(times)),
        6 => (any::<u16>(), 0..=16_usize).prop_map(|(ttl, size)| {
            let context = PingContext::new(&[9; 16][..size]).unwrap();
            command(&Command::Ping(Ping { ttl, context }))
        }),
        3 => body().prop_map(|prefix| command(&Command::Subscribe(prefix.into()))),
        3 => body().prop_map(|data| command(&Command::Other(OtherCommand::new("JOIN", data).unwrap()))),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(frame, 0..60).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_a_connection_does_is_bounded_by_what_came(
        octets in frames(),
        opened in prop::bool::weighted(0.9),
        publishes in any::<bool>(),
    ) {
        let (socket_type, partner) = match publishes {
            true => (SocketType::XPub, "SUB"),
            false => (SocketType::Router, "DEALER"),
        };
        let opening = match opened {
            true => [greeted(), ready(partner)].concat(),
            false => Vec::new(),
        };
        check_connection(socket_type, &[opening, octets].concat());
    }
}

// ---- a node

/// So small that they are reached.
fn limits() -> node::Limits {
    node::Limits {
        frame_octets: 40_000,
        message_octets: 40_000,
        message_frames: 64,
        unproved_octets: 16_000,
        unproved_links: 16,
        peers: 8,
        contacts: 32,
        contacts_per_address: 8,
        groups_per_peer: 64,
        headers_per_peer: 64,
        send_octets: 20_000,
        send_messages: 200,
        receive_octets: 40_000,
        receive_octets_total: 100_000,
        ..node::Limits::default()
    }
}

/// A message has eight octets at least, with its frame, and is at most one event; a HELLO tells of a group for five octets.
/// An EXIT, and what comes with it, stands beside.
const TOLD: Bound = Bound {
    per_octet: 0.25,
    anyway: 8,
};

/// What one link brings at once is about its peer and our link to it: transmit, pause, resume, close, dial. These do not grow
/// with what came, but for a peer that greets again and again.
const WANTED: Bound = Bound {
    per_octet: 1.0 / 64.0,
    anyway: 16,
};

/// While nothing goes out, a full queue of PING-OKs of ten octets, a few HELLOs of ours, and what ZMTP adds.
const ANSWERED: Bound = Bound {
    per_octet: 0.0,
    anyway: 200 * 10 + 5 * 200 + 512,
};

/// Frames are copied, names are kept, groups and headers are put into ordered maps.
const NODE_ALLOCATIONS: Bound = Bound {
    per_octet: 0.5,
    anyway: 256,
};

/// What a stack may hold for one peer that says what it likes: its share of what waits, one message beyond it, what one
/// read brought, its card and groups, our queue to it. Twice, since lists double.
const PER_PEER: usize = 2 * (40_000 + 40_000 + 64 * 64 + 16_000 + 128 * 256 + 20_000 + 200 * 64);

struct Lab {
    now: Instant,
    stack: Stack,
    interface: InterfaceId,
}

/// What a stack did about something.
#[derive(Debug, Default)]
struct Done {
    actions: usize,
    events: usize,
    /// Octets that it had to send.
    sent: usize,
    dialled: Vec<(LinkId, SocketAddr)>,
    closed: Vec<LinkId>,
    paused: Vec<LinkId>,
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

impl Lab {
    fn new() -> Self {
        let config = node::Config {
            limits: limits(),
            ..node::Config::default()
        };
        let mut stack = Stack::new(START, [7; 32], config);
        let interface = Interface {
            name: "eth0".into(),
            address: address(1, 0).ip(),
            port: 49_152,
            zone: 0,
        };
        let interface = stack.handle_interface_up(START, interface);
        let mut lab = Self {
            now: START,
            stack,
            interface,
        };
        lab.take(true);
        lab
    }

    /// Takes all that the stack wants, and, if the application reads, its events.
    fn take(&mut self, reading: bool) -> Done {
        let mut done = Done::default();
        loop {
            if let Some(action) = self.stack.poll_action() {
                done.actions += 1;
                match action {
                    Action::Transmit { link } => {
                        let octets = self.stack.poll_transmit(link).map(<[u8]>::len).sum();
                        done.sent += octets;
                        self.stack.handle_transmitted(self.now, link, octets);
                    }
                    Action::Dial { link, address } => done.dialled.push((link, address)),
                    Action::Close { link } => done.closed.push(link),
                    Action::Pause { link } => done.paused.push(link),
                    _ => {}
                }
            } else if reading && self.stack.poll_event(self.now).is_some() {
                done.events += 1;
            } else {
                return done;
            }
        }
    }

    fn accept(&mut self, host: u8) -> LinkId {
        let remote = address(host, 50_000);
        self.stack
            .handle_accepted(self.now, self.interface, remote)
            .unwrap()
    }

    /// A peer that is here: it greeted, and our link to it is up.
    fn peer(&mut self, octet: u8) -> LinkId {
        let link = self.accept(octet);
        let opening = [greeted(), identified(octet), said(1, hello(octet, 0))].concat();
        self.stack.handle_received(self.now, link, &opening);
        for (dialled, to) in self.take(true).dialled {
            self.stack
                .handle_connected(self.now, dialled, address(1, 50_001));
            let router = [greeted(), ready("ROUTER")].concat();
            self.stack.handle_received(self.now, dialled, &router);
            assert_eq!(to, address(octet, 49_152));
        }
        self.take(true);
        assert!(self.stack.peer(id(octet)).is_some());
        link
    }
}

fn identified(octet: u8) -> Vec<u8> {
    let metadata = Metadata::new()
        .with(Metadata::SOCKET_TYPE, b"DEALER")
        .and_then(|metadata| metadata.with(Metadata::IDENTITY, &id(octet).identity()));
    command(&Command::Ready(metadata.unwrap()))
}

fn hello(octet: u8, groups: usize) -> zre::Command {
    zre::Command::Hello(Hello {
        endpoint: Text::try_from(format!("tcp://{}", address(octet, 49_152))).unwrap(),
        groups: (0..groups)
            .map(|n| Text::try_from(n.to_string()).unwrap())
            .collect(),
        name: Text::try_from("peer").unwrap(),
        ..Hello::default()
    })
}

/// A ZRE message as it stands on the wire.
fn said(sequence: u16, command: zre::Command) -> Vec<u8> {
    message(&Message { sequence, command }.encode())
}

/// Messages with the sequences from 2 on.
fn conversation(commands: impl IntoIterator<Item = zre::Command>) -> Vec<u8> {
    let numbered = (2..).zip(commands);
    numbered
        .flat_map(|(sequence, command)| said(sequence, command))
        .collect()
}

/// Hands octets to a link at once, and looks at what the stack makes of them, with an application that takes everything.
fn check_work(lab: &mut Lab, link: LinkId, octets: &[u8]) {
    let mut done = Done::default();
    let cost = cost(|| {
        lab.stack.handle_received(lab.now, link, octets);
        done = lab.take(true);
    });
    let n = octets.len();
    TOLD.check("events of a node", n, done.events);
    WANTED.check("actions", n, done.actions);
    ANSWERED.check("octets to send", n, done.sent);
    NODE_ALLOCATIONS.check("allocations of a node", n, cost.allocations);
}

fn text(number: u16) -> Text {
    Text::try_from(number.to_string()).unwrap()
}

/// What peers may say over and over.
fn talk() -> Vec<Vec<u8>> {
    const TIMES: u16 = 4_000;
    let group = |n: u16| text(n % 50);
    let each = |command: &dyn Fn(u16) -> zre::Command| conversation((0..TIMES).map(command));
    let empty = || zre::Command::Whisper {
        content: Frames::new(),
    };
    vec![
        each(&|_| zre::Command::Ping),
        each(&|_| zre::Command::PingOk),
        each(&|_| zre::Command::Goodbye),
        each(&|_| empty()),
        each(&|n| zre::Command::Shout {
            group: group(n),
            content: Frames::from("x"),
        }),
        each(&|n| zre::Command::Join {
            group: group(n),
            status: 0,
        }),
        each(&|n| match n % 2 {
            0 => zre::Command::Join {
                group: group(0),
                status: 0,
            },
            _ => zre::Command::Leave {
                group: group(0),
                status: 0,
            },
        }),
        // One group more than it may be in.
        each(&|n| zre::Command::Join {
            group: text(n),
            status: 0,
        }),
        each(&|_| zre::Command::Unknown(UnknownCommand::new(99).unwrap())),
        (0..600).flat_map(|_| said(1, hello(20, 0))).collect(),
        (0..600).flat_map(|n| said(1, hello(20, n % 64))).collect(),
        message(&[b"nonsense"]).repeat(TIMES.into()),
        wire(0, b"").repeat(TIMES.into()),
        wire(1, b"").repeat(TIMES.into()),
        command(&Command::Ping(Ping::default())).repeat(TIMES.into()),
    ]
}

#[test]
fn no_flood_of_a_peer_makes_a_node_work_more_than_its_octets_are_worth() {
    for flood in talk() {
        let mut lab = Lab::new();
        lab.stack.join(lab.now, &text(7));
        let link = lab.peer(20);
        check_work(&mut lab, link, &flood);
        // The same from one who did not greet.
        let mut lab = Lab::new();
        let link = lab.accept(20);
        let opened = [greeted(), identified(20), flood].concat();
        check_work(&mut lab, link, &opened);
    }
}

#[test]
fn what_a_peer_says_to_an_application_that_takes_nothing_waits_outside_when_its_share_is_full() {
    for flood in talk() {
        let mut lab = Lab::new();
        let link = lab.peer(20);
        let cost = cost(|| {
            for chunk in flood.chunks(4_096) {
                lab.stack.handle_received(lab.now, link, chunk);
                let done = lab.take(false);
                if !done.paused.is_empty() || !done.closed.is_empty() {
                    break;
                }
            }
        });
        assert!(
            cost.held <= PER_PEER,
            "{} octets, at most {PER_PEER}",
            cost.held
        );
    }
}

#[test]
fn what_is_said_to_one_who_does_not_read_is_bounded() {
    // Our own answers, since the application's messages are refused when the queue is full.
    let mut lab = Lab::new();
    let link = lab.peer(20);
    let pings = conversation((0..20_000).map(|_| zre::Command::Ping));
    let cost = cost(|| {
        for chunk in pings.chunks(4_096) {
            lab.stack.handle_received(lab.now, link, chunk);
            // Transmit is not answered: nothing goes out.
            while lab.stack.poll_action().is_some() {}
        }
    });
    assert!(cost.held <= PER_PEER, "{} octets", cost.held);
}

#[test]
fn links_that_never_greet_cost_no_more_than_as_many_as_may_be_open() {
    // A connection and the node's own notes about it, with room for what it may send before HELLO: a frame under way is
    // reserved as a whole.
    const PER_LINK: usize = 4_096 + 16_000;
    let mut lab = Lab::new();
    let half = |octet| {
        let frame = wire(0, &[7; 15_000])[..14_000].to_vec();
        [greeted(), identified(octet), frame].concat()
    };
    let links = limits().unproved_links;
    let mut closed = 0;
    let cost = cost(|| {
        for octet in (2..=250).cycle().take(500) {
            let link = lab.accept(octet);
            lab.stack.handle_received(lab.now, link, &half(octet));
            closed += lab.take(true).closed.len();
        }
    });
    assert!(closed >= 500 - links, "{closed}");
    let most = links * PER_LINK + half(2).len() * 3;
    assert!(cost.held <= most, "{} octets, at most {most}", cost.held);
}

/// The actions for one datagram: a hint that gives way, its link that is closed, a dial.
const FOR_A_DATAGRAM: usize = 4;

/// What a hint costs: its dial, its connection, its timers.
const PER_HINT: usize = 8_192;

#[test]
fn a_flood_of_beacons_is_answered_by_few_dials_and_little_memory() {
    for answers in [false, true] {
        let mut lab = Lab::new();
        let mut dials = Vec::new();
        let contacts = limits().contacts;
        // Before a hint gives way all are looked at, each with its source.
        let looked_at = 4 * contacts;
        let cost = cost(|| {
            for n in 0..4_000_u32 {
                let [_, a, b, c] = n.to_be_bytes();
                let mut uuid = [9; 16];
                uuid[..3].copy_from_slice(&[a, b, c]);
                let source = SocketAddr::from(([10, 1, b % 40, c], 5_670));
                let beacon = Beacon {
                    uuid: PeerId::from_bytes(uuid),
                    port: 49_152 + u16::from(b),
                    key: None,
                };
                let before = COUNT.get();
                lab.stack.handle_datagram(lab.now, source, &beacon.encode());
                let done = lab.take(true);
                let allocations = COUNT.get() - before;
                assert!(done.actions <= FOR_A_DATAGRAM, "{done:?}");
                assert!(allocations <= 64 + looked_at, "{allocations}");
                if answers {
                    for (link, _) in done.dialled {
                        lab.stack.handle_disconnected(lab.now, link, Cut::Refused);
                        lab.take(true);
                    }
                } else {
                    dials.extend(done.dialled);
                    let open = |(link, _): &(LinkId, SocketAddr)| !done.closed.contains(link);
                    dials.retain(open);
                    assert!(dials.len() <= contacts);
                }
            }
        });
        // And what is remembered of endpoints that did not answer, a quarter of a MiB each time.
        let most = contacts * PER_HINT + 3 * (256 << 10);
        assert!(cost.held <= most, "{} octets, at most {most}", cost.held);
    }
}

/// A peer comes, and its machine is switched off.
fn come_and_go(lab: &mut Lab, n: u16) {
    let mut octets = [8; 16];
    octets[..2].copy_from_slice(&n.to_be_bytes());
    let id = PeerId::from_bytes(octets);
    let home = SocketAddr::from(([10, 0, 1, 1], 20_000 + n));
    let link = lab
        .stack
        .handle_accepted(lab.now, lab.interface, home)
        .unwrap();
    let metadata = Metadata::new()
        .with(Metadata::SOCKET_TYPE, b"DEALER")
        .and_then(|metadata| metadata.with(Metadata::IDENTITY, &id.identity()));
    let zre::Command::Hello(hello) = hello(20, 3) else {
        unreachable!()
    };
    let endpoint = Text::try_from(format!("tcp://{home}")).unwrap();
    let hello = zre::Command::Hello(Hello { endpoint, ..hello });
    let ready_there = command(&Command::Ready(metadata.unwrap()));
    let opening = [greeted(), ready_there, said(1, hello)].concat();
    lab.stack.handle_received(lab.now, link, &opening);
    let ours = lab.take(true).dialled[0].0;
    lab.stack
        .handle_connected(lab.now, ours, address(1, 50_001));
    let router = [greeted(), ready("ROUTER")].concat();
    lab.stack.handle_received(lab.now, ours, &router);
    lab.take(true);
    assert!(lab.stack.peer(id).is_some());
    lab.stack.handle_disconnected(lab.now, link, Cut::Reset);
    lab.stack.handle_disconnected(lab.now, ours, Cut::Reset);
    while lab.stack.peer(id).is_some() {
        for (dialled, _) in lab.take(true).dialled {
            lab.stack
                .handle_disconnected(lab.now, dialled, Cut::Refused);
        }
        if let Some((at, _)) = lab.stack.poll_timeout() {
            lab.now = at;
            lab.stack.handle_timeout(at);
        }
    }
    lab.take(true);
}

#[test]
fn the_same_beacon_again_and_again_is_one_dial() {
    for answers in [false, true] {
        let mut lab = Lab::new();
        let beacon = Beacon {
            uuid: id(20),
            port: 49_152,
            key: None,
        };
        let mut dials = 0;
        for _ in 0..1_000 {
            lab.stack
                .handle_datagram(lab.now, address(20, 5_670), &beacon.encode());
            for (link, _) in lab.take(true).dialled {
                dials += 1;
                if answers {
                    lab.stack.handle_disconnected(lab.now, link, Cut::Refused);
                    lab.take(true);
                }
            }
        }
        assert_eq!(dials, 1);
    }
}

#[test]
fn one_who_never_greets_is_not_listened_to_for_long() {
    let nonsense = message(&[&[7; 90]]);
    for said in [nonsense, said(2, zre::Command::Ping), said(9, hello(20, 9))] {
        let mut lab = Lab::new();
        let link = lab.accept(20);
        let opening = [greeted(), identified(20)].concat();
        lab.stack.handle_received(lab.now, link, &opening);
        lab.take(true);
        let mut octets = 0;
        while lab.take(true).closed.is_empty() {
            lab.stack.handle_received(lab.now, link, &said);
            octets += said.len();
            // Each message counts one octet more than it has, and the framing does not count.
            assert!(octets <= 2 * limits().unproved_octets, "{octets} octets");
        }
    }
}

#[test]
fn a_crowd_of_peers_that_come_and_go_leaves_little_behind() {
    /// As many as are remembered, and some more.
    const REMEMBERED: u16 = 2_100;
    let mut lab = Lab::new();
    for n in 0..REMEMBERED {
        come_and_go(&mut lab, n);
    }
    let cost = cost(|| {
        for n in REMEMBERED..2 * REMEMBERED {
            come_and_go(&mut lab, n);
        }
    });
    assert_eq!(lab.stack.counters().exits, 2 * u64::from(REMEMBERED));
    // One peer at a time, and the trees in which the others are remembered grow and shrink a little.
    assert!(cost.held <= 64 << 10, "{} octets", cost.held);
}

fn a_command() -> impl Strategy<Value = zre::Command> {
    let a_group = || (0..80_u16).prop_map(text);
    let content = || {
        let size = prop_oneof![20 => 0..6_usize, 1 => 0..9_000_usize];
        prop::collection::vec(size, 0..5).prop_map(|sizes| {
            sizes
                .into_iter()
                .map(|size| vec![7; size])
                .collect::<Frames>()
        })
    };
    prop_oneof![
        1 => (0..70_usize).prop_map(|groups| hello(20, groups)),
        1 => (0..70_u16).prop_map(|headers| {
            let zre::Command::Hello(mut hello) = hello(20, 0) else { unreachable!() };
            for n in 0..headers {
                hello.headers.insert(text(n), LongText::try_from("value").unwrap());
            }
            zre::Command::Hello(hello)
        }),
        6 => content().prop_map(|content| zre::Command::Whisper { content }),
        6 => (a_group(), content()).prop_map(|(group, content)| zre::Command::Shout { group, content }),
        6 => a_group().prop_map(|group| zre::Command::Join { group, status: 0 }),
        4 => a_group().prop_map(|group| zre::Command::Leave { group, status: 0 }),
        3 => Just(zre::Command::Ping),
        3 => Just(zre::Command::PingOk),
        1 => Just(zre::Command::Goodbye),
        1 => (11..=255_u8).prop_map(|id| zre::Command::Unknown(UnknownCommand::new(id).unwrap())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_a_node_does_is_bounded_by_what_came(
        commands in prop::collection::vec(a_command(), 0..80),
        tail in frames(),
        greeted_before in prop::bool::weighted(0.8),
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
    ) {
        let mut lab = Lab::new();
        lab.stack.join(lab.now, &text(7));
        let link = match greeted_before {
            true => lab.peer(20),
            false => lab.accept(20),
        };
        let mut octets = match greeted_before {
            true => Vec::new(),
            false => [greeted(), identified(20)].concat(),
        };
        octets.extend(conversation(commands));
        octets.extend(tail);
        check_work(&mut lab, link, &octets);
        for datagram in datagrams {
            lab.stack.handle_datagram(lab.now, address(30, 5_670), &datagram);
            let done = lab.take(true);
            prop_assert!(done.actions <= FOR_A_DATAGRAM);
            prop_assert!(done.events <= 1);
        }
    }
}
