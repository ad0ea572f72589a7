//! What the benchmarks work on: messages of every kind, two connections that talk, and a node with many peers.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::{KeyPair, Seed};
use atonce::wire::Beacon;
use atonce::wire::zmtp::SocketType;
use atonce::wire::zre::{Command, Hello, Message};
use atonce::wire::{Headers, LongText};
use atonce::zmtp::{self, Connection, Event, Security, Verdict};
use atonce::{
    Action, Config, Frames, Instant, Interface, InterfaceId, LinkId, PeerId, Stack, Text,
};
use atonce_sim::tester::{Options, Tester};

/// The group that everybody in a [`Swarm`] is in.
pub const GROUP: &str = "CHAT";

/// A text; it must not be longer than 255 octets.
///
/// # Panics
///
/// It is longer.
#[must_use]
pub fn text(text: &str) -> Text {
    Text::try_from(text).expect("it is short")
}

/// A beacon without a key.
#[must_use]
pub fn beacon() -> Beacon {
    Beacon {
        uuid: PeerId::from_bytes([7; 16]),
        port: 49_152,
        key: None,
    }
}

/// A message of one frame of so many octets.
#[must_use]
pub fn content(octets: usize) -> Frames {
    Frames::from(vec![7; octets])
}

/// A message of each kind, with its name. What they say is as large as usual.
#[must_use]
pub fn messages() -> Vec<(&'static str, Message)> {
    let group = || text(GROUP);
    let header = |name: &str, value: &str| {
        let value = LongText::try_from(value).expect("it is short");
        (text(name), value)
    };
    let headers: Headers = [
        header("X-ROLE", "thermometer"),
        header("X-FLOOR", "third, behind the stairs"),
    ]
    .into_iter()
    .collect();
    let hello = Hello {
        endpoint: text("tcp://192.168.100.217:49152"),
        groups: (0..4).map(|n| text(&format!("GROUP-{n}"))).collect(),
        status: 4,
        name: text("kitchen"),
        headers,
    };
    let commands = [
        ("HELLO", Command::Hello(hello)),
        (
            "WHISPER",
            Command::Whisper {
                content: content(64),
            },
        ),
        (
            "SHOUT",
            Command::Shout {
                group: group(),
                content: content(64),
            },
        ),
        (
            "JOIN",
            Command::Join {
                group: group(),
                status: 1,
            },
        ),
        (
            "LEAVE",
            Command::Leave {
                group: group(),
                status: 2,
            },
        ),
        ("PING", Command::Ping),
        ("PING-OK", Command::PingOk),
    ];
    let sequence = 4_711;
    commands
        .into_iter()
        .map(|(name, command)| (name, Message { sequence, command }))
        .collect()
}

/// A DEALER and a ROUTER whose handshake is over.
///
/// # Panics
///
/// They do not become ready: our own bug.
#[must_use]
pub fn pair() -> (Connection, Connection) {
    handshake([Security::Null, Security::Null])
}

/// The same with CURVE; the handshake is made anew.
///
/// # Panics
///
/// They do not become ready: our own bug.
#[must_use]
pub fn sealed_pair(keys: &[Arc<KeyPair>; 2]) -> (Connection, Connection) {
    let [client, server] = keys.clone();
    handshake([
        Security::CurveClient {
            keys: client,
            server: *server.public(),
            seed: Seed::from_bytes([3; 32]),
        },
        Security::CurveServer {
            keys: server,
            seed: Seed::from_bytes([4; 32]),
        },
    ])
}

/// The permanent keys of a client and a server.
#[must_use]
pub fn keys() -> [Arc<KeyPair>; 2] {
    [1, 2].map(|seed| Arc::new(KeyPair::generate([seed; 32])))
}

fn handshake([dealer, router]: [Security; 2]) -> (Connection, Connection) {
    let now = Instant::ZERO;
    let connection = |security, of| {
        let config = zmtp::Config {
            security,
            ..zmtp::Config::new(of)
        };
        Connection::new(now, config)
    };
    let mut dealer = connection(dealer, SocketType::Dealer);
    let mut router = connection(router, SocketType::Router);
    for _ in 0..4 {
        let octets = transmit(&mut dealer);
        router.handle_input(now, &octets);
        while let Some(event) = router.poll_event() {
            if matches!(event, Event::Authenticate(_)) {
                router.handle_verdict(now, Verdict::Allow);
            }
        }
        let octets = transmit(&mut router);
        dealer.handle_input(now, &octets);
    }
    for connection in [&mut dealer, &mut router] {
        assert!(connection.is_ready());
        while connection.poll_event().is_some() {}
    }
    (dealer, router)
}

/// Sends a message so often; the network takes all of it together.
///
/// # Panics
///
/// The connection is not ready.
#[inline]
pub fn send(dealer: &mut Connection, message: &Frames, times: usize) {
    for _ in 0..times {
        let message = black_box(message).clone();
        dealer.send(message).expect("it is ready");
    }
    let octets = dealer.poll_transmit().map(<[u8]>::len).sum();
    dealer.handle_transmitted(Instant::ZERO, octets);
}

/// Takes what a connection has to send.
#[must_use]
pub fn transmit(connection: &mut Connection) -> Vec<u8> {
    let octets = connection.poll_transmit().collect::<Vec<_>>().concat();
    connection.handle_transmitted(Instant::ZERO, octets.len());
    octets
}

/// So many messages of this size as they are on the wire.
#[must_use]
pub fn stream(messages: usize, octets: usize) -> Vec<u8> {
    let (mut dealer, _) = pair();
    let mut stream = Vec::new();
    for _ in 0..messages {
        dealer.send(content(octets)).expect("it is ready");
        stream.extend(transmit(&mut dealer));
    }
    stream
}

/// A node in the middle, and others that know it and nobody else. All are in [`GROUP`].
#[derive(Debug)]
pub struct Swarm {
    /// The time, which goes on by [`pass`](Self::pass) only.
    pub now: Instant,
    /// The first one is the node in the middle.
    nodes: Vec<(Stack, InterfaceId)>,
    wires: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    beacons: Vec<Vec<u8>>,
}

fn address(node: usize) -> SocketAddr {
    let host = u32::try_from(node).unwrap_or(u32::MAX);
    let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + host);
    SocketAddr::new(ip.into(), 49_152)
}

impl Swarm {
    /// A node with so many peers.
    ///
    /// # Panics
    ///
    /// They do not find each other: our own bug.
    #[must_use]
    pub fn new(peers: usize) -> Self {
        let mut swarm = Self {
            now: Instant::ZERO,
            nodes: Vec::new(),
            wires: BTreeMap::new(),
            beacons: Vec::new(),
        };
        for node in 0..=peers {
            swarm.add(node);
        }
        assert_eq!(swarm.middle().peers_in(GROUP.as_bytes()).count(), peers);
        swarm
    }

    fn add(&mut self, node: usize) {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&node.to_le_bytes());
        let mut stack = Stack::new(self.now, seed, Config::default());
        let interface = Interface {
            name: "eth0".into(),
            address: address(node).ip(),
            port: address(node).port(),
            zone: 0,
        };
        let interface = stack.handle_interface_up(self.now, interface);
        stack.join(self.now, &text(GROUP));
        let beacon = loop {
            match stack.poll_action() {
                Some(Action::Broadcast { datagram, .. }) => break datagram.to_vec(),
                Some(_) => {}
                None => unreachable!("a node says at once that it is there"),
            }
        };
        self.nodes.push((stack, interface));
        if node > 0 {
            self.beacon(&beacon, node);
            self.settle();
        }
        self.beacons.push(beacon);
    }

    fn beacon(&mut self, beacon: &[u8], from: usize) {
        let now = self.now;
        let mut source = address(from);
        source.set_port(5_670);
        self.stack(0).handle_datagram(now, source, beacon);
    }

    fn stack(&mut self, node: usize) -> &mut Stack {
        let (stack, _) = self.nodes.get_mut(node).expect("it was added");
        stack
    }

    /// The node in the middle.
    ///
    /// # Panics
    ///
    /// Never: there is one.
    #[must_use]
    pub fn middle(&self) -> &Stack {
        let (stack, _) = self.nodes.first().expect("it was added");
        stack
    }

    /// How many peers it has.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Its peers.
    #[must_use]
    pub fn ids(&self) -> Vec<PeerId> {
        self.nodes
            .iter()
            .skip(1)
            .map(|(stack, _)| stack.id())
            .collect()
    }

    /// Lets octets flow until there are none.
    fn settle(&mut self) {
        loop {
            let mut idle = true;
            // The one in the middle and the newest: nobody else has anything to do.
            for node in [0, self.nodes.len() - 1] {
                while let Some(action) = self.stack(node).poll_action() {
                    idle = false;
                    self.act(node, &action);
                }
                let now = self.now;
                while self.stack(node).poll_event(now).is_some() {}
            }
            if idle {
                return;
            }
        }
    }

    fn act(&mut self, node: usize, action: &Action) {
        let now = self.now;
        match *action {
            Action::Dial { link, address: to } => {
                let place = (0..self.nodes.len()).find(|node| address(*node) == to);
                let Some(other) = place else { return };
                let (stack, interface) = self.nodes.get_mut(other).expect("it is there");
                let accepted = stack.handle_accepted(now, *interface, address(node));
                let accepted = accepted.expect("it takes links");
                self.wires.insert((node, link), (other, accepted));
                self.wires.insert((other, accepted), (node, link));
                self.stack(node).handle_connected(now, link, address(node));
            }
            Action::Transmit { link } => {
                let Some(&(other, end)) = self.wires.get(&(node, link)) else {
                    return;
                };
                loop {
                    let octets = self.taken(node, link);
                    if octets.is_empty() {
                        return;
                    }
                    self.stack(other).handle_received(now, end, &octets);
                }
            }
            _ => {}
        }
    }

    /// What a node has to send over a link; the network takes it.
    fn taken(&mut self, node: usize, link: LinkId) -> Vec<u8> {
        let now = self.now;
        let stack = self.stack(node);
        let octets = stack.poll_transmit(link).collect::<Vec<_>>().concat();
        stack.handle_transmitted(now, link, octets.len());
        octets
    }

    // ---- what is measured

    /// Time goes on.
    pub fn pass(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// A beacon of each peer reaches the node in the middle.
    pub fn hear_beacons(&mut self) {
        let beacons = std::mem::take(&mut self.beacons);
        for (node, beacon) in beacons.iter().enumerate().skip(1) {
            self.beacon(beacon, node);
        }
        self.beacons = beacons;
    }

    /// The node in the middle whispers to each of these. What it says is handed to the network.
    ///
    /// # Panics
    ///
    /// One of them is no peer.
    pub fn whisper(&mut self, peers: &[PeerId], content: &Frames) {
        let now = self.now;
        for peer in peers {
            let stack = self.stack(0);
            stack.whisper(now, *peer, content).expect("a peer");
            self.flush();
        }
    }

    /// The node in the middle whispers so often to one peer. All of it is handed to the network together.
    ///
    /// # Panics
    ///
    /// It is no peer.
    pub fn whisper_in_a_row(&mut self, peer: PeerId, times: usize, content: &Frames) {
        let now = self.now;
        for _ in 0..times {
            let whispered = self.stack(0).whisper(now, peer, content);
            whispered.expect("a peer");
        }
        self.flush();
    }

    /// The node in the middle shouts to all. What it says is handed to the network.
    ///
    /// # Panics
    ///
    /// Somebody is left out.
    pub fn shout(&mut self, content: &Frames) {
        let (now, group) = (self.now, text(GROUP));
        let shouted = self.stack(0).shout(now, &group, content);
        assert_eq!(shouted.expect("it lives").reached, self.peers());
        self.flush();
    }

    /// The network takes what the node in the middle has to send.
    fn flush(&mut self) {
        let now = self.now;
        let stack = self.stack(0);
        while let Some(action) = stack.poll_action() {
            if let Action::Transmit { link } = action {
                let octets = stack.poll_transmit(link).map(<[u8]>::len).sum();
                stack.handle_transmitted(now, link, octets);
            }
        }
    }

    /// What each peer has to send when it whispers so often to the node in the middle, and over which of that one's links it
    /// comes.
    ///
    /// # Panics
    ///
    /// A peer does not know the node in the middle: our own bug.
    #[must_use]
    pub fn whispers(&mut self, times: usize, content: &Frames) -> Vec<(LinkId, Vec<u8>)> {
        let (now, middle) = (self.now, self.middle().id());
        (1..self.nodes.len())
            .map(|node| {
                for _ in 0..times {
                    let whispered = self.stack(node).whisper(now, middle, content);
                    whispered.expect("it knows the one in the middle");
                }
                let mut octets = Vec::new();
                let mut link = None;
                while let Some(action) = self.stack(node).poll_action() {
                    if let Action::Transmit { link: ours } = action {
                        octets.extend(self.taken(node, ours));
                        link = self.wires.get(&(node, ours)).map(|(_, theirs)| *theirs);
                    }
                }
                (link.expect("it said something"), octets)
            })
            .collect()
    }

    /// Octets reach the node in the middle, and its application takes what they say. Says how many events that were.
    pub fn hear(&mut self, said: &[(LinkId, Vec<u8>)]) -> usize {
        let now = self.now;
        let stack = self.stack(0);
        let mut events = 0;
        for (link, octets) in said {
            stack.handle_received(now, *link, octets);
            while stack.poll_event(now).is_some() {
                events += 1;
            }
        }
        events
    }

    /// The node in the middle does what is due, if anything is.
    pub fn tick(&mut self) {
        let now = self.now;
        self.stack(0).handle_timeout(now);
        self.flush();
    }
}

/// A run of the tester in virtual time: so many nodes that meet, and stay for so long. Says how many inputs they took.
///
/// # Panics
///
/// A rule is broken.
#[must_use]
pub fn mesh(nodes: usize, duration: Duration) -> u64 {
    let options = Options {
        nodes,
        duration,
        toggle: false,
        chatter: false,
        ..Options::default()
    };
    let report = Tester::new(options).run(|_| {});
    assert!(report.broken.is_none(), "{:?}", report.broken);
    report.counters.inputs
}
