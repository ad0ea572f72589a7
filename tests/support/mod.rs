//! A little network in virtual time: stacks and hand-driven peers on one LAN, with a millisecond between them.

#![allow(dead_code)] // each test file uses a part of it
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
#[cfg(feature = "curve")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "curve")]
use atonce::curve::{KeyPair, PublicKey, Seed};
use atonce::wire::Beacon;
#[cfg(feature = "curve")]
use atonce::wire::LongText;
use atonce::wire::zmtp::{Identity, SocketType};
use atonce::wire::zre::{Command, Hello, Limits, Message};
use atonce::zmtp::{self, Connection};
use atonce::{
    Action, Config, Cut, Event, Frames, Instant, Interface, InterfaceId, LinkId, PeerId, Stack,
    Text,
};

const DELAY: Duration = Duration::from_millis(1);
const MAILBOX: u16 = 49152;

/// One end of a TCP connection: which host, and the host's own name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) host: usize,
    pub(crate) key: u64,
}

enum Delivery {
    Datagram {
        to: usize,
        source: SocketAddr,
        octets: Vec<u8>,
    },
    Dialled {
        from: End,
        address: SocketAddr,
    },
    Octets {
        to: End,
        octets: Vec<u8>,
    },
    Ended {
        to: End,
        cut: Cut,
    },
}

/// A peer whose every word the test decides. Its ZMTP is real, and it answers PING if told to.
pub(crate) struct Puppet {
    pub(crate) id: PeerId,
    /// Its own links: dialled by it (DEALER) or accepted (ROUTER).
    links: BTreeMap<u64, Connection>,
    next: u64,
    /// What came, decoded.
    pub(crate) heard: Vec<(u64, Message)>,
    /// Links that are gone.
    pub(crate) closed: BTreeSet<u64>,
    pub(crate) answers_pings: bool,
    /// The link on which it speaks to each node, and its next sequence.
    speaking: BTreeMap<usize, (u64, u16)>,
    /// It is secure, and has these keys.
    #[cfg(feature = "curve")]
    keys: Option<Arc<KeyPair>>,
}

/// Who is let in and spoken to by a secure node.
#[cfg(feature = "curve")]
#[derive(Clone, Debug)]
pub(crate) enum Guard {
    /// These.
    Listed(BTreeSet<PublicKey>),
    /// Nobody answers: the questions are kept in [`Lan::asked`].
    Away,
}

/// What a secure node asked.
#[cfg(feature = "curve")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) host: usize,
    pub(crate) link: LinkId,
    pub(crate) key: PublicKey,
    pub(crate) remote: SocketAddr,
}

enum Machine {
    Node(Box<Stack>, InterfaceId),
    Puppet(Puppet),
    /// Nobody lives there any more.
    Dead,
}

pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    machine: Machine,
    links: BTreeMap<u64, LinkId>,
    pub(crate) events: Vec<Event>,
    /// The application takes its events.
    pub(crate) reading: bool,
    /// Links that the node does not want to be read, with what waits on them.
    paused: BTreeMap<u64, Vec<Vec<u8>>>,
    /// Nothing that comes over a connection is read: it waits, as one piece for each.
    pub(crate) deaf: bool,
    unheard: BTreeMap<u64, Vec<u8>>,
    /// Its mailbox is closed: who dials it is refused.
    pub(crate) refuses: bool,
    /// What waits for links whose reader is stalled.
    pub(crate) stalled: bool,
    /// The process is stopped: it is not called, and what comes waits.
    frozen: bool,
    #[cfg(feature = "curve")]
    pub(crate) guard: Guard,
    /// The key of a secure host.
    #[cfg(feature = "curve")]
    pub(crate) key: Option<PublicKey>,
}

#[derive(Default)]
pub(crate) struct Lan {
    pub(crate) now: Instant,
    hosts: Vec<Host>,
    wires: BTreeMap<End, End>,
    queue: BTreeMap<(Instant, u64), Delivery>,
    sequence: u64,
    /// How often each host dialled.
    dials: BTreeMap<usize, usize>,
    /// What TCP holds back until the way is free again.
    held: Vec<((usize, usize), Delivery)>,
    /// What waits for hosts that are frozen.
    frozen: Vec<Delivery>,
    /// Pairs of hosts between which nothing gets through.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// All that went over connections, for those who read along.
    pub(crate) tapped: Option<Vec<u8>>,
    #[cfg(feature = "curve")]
    pub(crate) asked: Vec<Question>,
    /// Connections that puppets made or took.
    #[cfg(feature = "curve")]
    seeds: u8,
}

pub(crate) fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

pub(crate) fn frames(content: &'static str) -> Frames {
    Frames::from(content)
}

/// Events as a person would tell them; interfaces left out.
pub(crate) fn names(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Enter { peer } => Some(format!("enter {}", peer.name)),
            Event::Join { peer, group } => Some(format!("join {} {group}", peer.name)),
            Event::Leave { peer, group } => Some(format!("leave {} {group}", peer.name)),
            Event::Whisper { peer, content } => Some(format!("whisper {} {content:?}", peer.name)),
            Event::Shout {
                peer,
                group,
                content,
            } => Some(format!("shout {} {group} {content:?}", peer.name)),
            Event::Evasive { peer } => Some(format!("evasive {}", peer.name)),
            Event::Silent { peer } => Some(format!("silent {}", peer.name)),
            Event::Recovered { peer } => Some(format!("recovered {}", peer.name)),
            Event::Exit { peer, reason } => Some(format!("exit {} {reason}", peer.name)),
            Event::Stopped => Some("stopped".into()),
            _ => None,
        })
        .collect()
}

/// Two nodes that know each other.
pub(crate) fn two() -> (Lan, usize, usize) {
    let mut lan = Lan::new();
    let (alice, bob) = (lan.node("alice"), lan.node("bob"));
    lan.run_for(Duration::from_secs(2));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    (lan, alice, bob)
}

impl Lan {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn address() -> impl Fn(usize) -> SocketAddr {
        |host| SocketAddr::from(([10, 0, 0, u8::try_from(host + 1).unwrap()], MAILBOX))
    }

    pub(crate) fn address_of(&self, host: usize) -> SocketAddr {
        self.hosts[host].address
    }

    fn add(&mut self, machine: Machine, address: SocketAddr) -> usize {
        self.hosts.push(Host {
            address,
            machine,
            links: BTreeMap::new(),
            events: Vec::new(),
            reading: true,
            paused: BTreeMap::new(),
            deaf: false,
            refuses: false,
            unheard: BTreeMap::new(),
            stalled: false,
            frozen: false,
            #[cfg(feature = "curve")]
            guard: Guard::Listed(BTreeSet::new()),
            #[cfg(feature = "curve")]
            key: None,
        });
        self.hosts.len() - 1
    }

    pub(crate) fn node(&mut self, name: &str) -> usize {
        self.node_with(Config {
            name: Some(text(name)),
            ..Config::default()
        })
    }

    pub(crate) fn node_with(&mut self, config: Config) -> usize {
        let address = Self::address()(self.hosts.len());
        self.node_at(config, address)
    }

    pub(crate) fn node_at(&mut self, config: Config, address: SocketAddr) -> usize {
        let seed = [u8::try_from(self.hosts.len() + 1).unwrap(); 32];
        #[cfg(feature = "curve")]
        let key = config.curve.as_ref().map(|curve| *curve.keys.public());
        let mut stack = Box::new(Stack::new(self.now, seed, config));
        let interface = Interface {
            name: "eth0".into(),
            address: address.ip(),
            port: address.port(),
        };
        let interface = stack.handle_interface_up(self.now, interface);
        let host = self.add(Machine::Node(stack, interface), address);
        #[cfg(feature = "curve")]
        {
            self.hosts[host].key = key;
        }
        self.drain(host);
        host
    }

    /// A peer by hand. It says nothing by itself.
    pub(crate) fn puppet(&mut self, octet: u8) -> usize {
        let address = Self::address()(self.hosts.len());
        self.puppet_at(octet, address)
    }

    pub(crate) fn puppet_at(&mut self, octet: u8, address: SocketAddr) -> usize {
        let puppet = Puppet {
            id: PeerId::from_bytes([octet; 16]),
            links: BTreeMap::new(),
            next: 0,
            heard: Vec::new(),
            closed: BTreeSet::new(),
            answers_pings: true,
            speaking: BTreeMap::new(),
            #[cfg(feature = "curve")]
            keys: None,
        };
        self.add(Machine::Puppet(puppet), address)
    }

    /// A peer by hand that has keys.
    #[cfg(feature = "curve")]
    pub(crate) fn secure_puppet(&mut self, octet: u8, keys: &Arc<KeyPair>) -> usize {
        let puppet = self.puppet(octet);
        self.give_keys(puppet, keys);
        puppet
    }

    #[cfg(feature = "curve")]
    pub(crate) fn give_keys(&mut self, puppet: usize, keys: &Arc<KeyPair>) {
        self.the_puppet(puppet).keys = Some(keys.clone());
        self.hosts[puppet].key = Some(*keys.public());
    }

    /// How a connection of a puppet is to be secured: as the client of the server with this key, or as a server.
    #[cfg(feature = "curve")]
    fn security_of(&mut self, puppet: usize, server: Option<PublicKey>) -> zmtp::Security {
        let Some(keys) = self.the_puppet(puppet).keys.clone() else {
            return zmtp::Security::Null;
        };
        self.seeds = self.seeds.wrapping_add(1);
        let seed = Seed::from_bytes([self.seeds; 32]);
        match server {
            Some(server) => zmtp::Security::CurveClient { keys, server, seed },
            None => zmtp::Security::CurveServer { keys, seed },
        }
    }

    /// Answers a question that a node asked.
    #[cfg(feature = "curve")]
    pub(crate) fn answer_question(&mut self, question: Question, verdict: zmtp::Verdict) {
        self.with(question.host, |stack, now| {
            stack.handle_verdict(now, question.link, verdict);
        });
    }

    pub(crate) fn stack(&mut self, host: usize) -> &mut Stack {
        match &mut self.hosts[host].machine {
            Machine::Node(stack, _) => stack,
            _ => panic!("host {host} is no node"),
        }
    }

    pub(crate) fn the_puppet(&mut self, host: usize) -> &mut Puppet {
        match &mut self.hosts[host].machine {
            Machine::Puppet(puppet) => puppet,
            _ => panic!("host {host} is no puppet"),
        }
    }

    pub(crate) fn id(&mut self, host: usize) -> PeerId {
        match &self.hosts[host].machine {
            Machine::Node(stack, _) => stack.id(),
            Machine::Puppet(puppet) => puppet.id,
            Machine::Dead => panic!("host {host} is dead"),
        }
    }

    /// Does something with a node's stack, and lets the network see the result.
    pub(crate) fn with<T>(&mut self, host: usize, act: impl FnOnce(&mut Stack, Instant) -> T) -> T {
        let now = self.now;
        let result = act(self.stack(host), now);
        self.drain(host);
        result
    }

    pub(crate) fn host(&mut self, host: usize) -> &mut Host {
        &mut self.hosts[host]
    }

    /// The events of a node since the last time.
    pub(crate) fn events(&mut self, host: usize) -> Vec<Event> {
        self.drain(host);
        std::mem::take(&mut self.hosts[host].events)
    }

    // ---- puppets

    /// The puppet dials a node; the link says who it is in its ZMTP identity.
    pub(crate) fn puppet_dials(&mut self, puppet: usize, node: usize) -> u64 {
        let id = self.the_puppet(puppet).id;
        self.puppet_dials_as(puppet, node, &id.identity())
    }

    pub(crate) fn puppet_dials_as(&mut self, puppet: usize, node: usize, identity: &[u8]) -> u64 {
        let mut config = zmtp::Config::new(SocketType::Dealer);
        config.identity = Identity::try_from(identity).unwrap();
        #[cfg(feature = "curve")]
        {
            config.security = self.security_of(puppet, self.hosts[node].key);
        }
        let now = self.now;
        let address = self.hosts[node].address;
        let puppet_ = self.the_puppet(puppet);
        let key = puppet_.next;
        puppet_.next += 1;
        puppet_.links.insert(key, Connection::new(now, config));
        let from = End { host: puppet, key };
        self.push(Delivery::Dialled { from, address });
        key
    }

    /// The puppet sends a message of frames over one of its links.
    pub(crate) fn puppet_sends(&mut self, puppet: usize, link: u64, message: impl Into<Frames>) {
        let message = message.into();
        let puppet_ = self.the_puppet(puppet);
        puppet_
            .links
            .get_mut(&link)
            .expect("the link is there")
            .send(message)
            .unwrap();
        self.drain(puppet);
    }

    /// The puppet sends octets over one of its links that are no ZMTP of its own.
    pub(crate) fn puppet_sends_octets(&mut self, puppet: usize, link: u64, octets: &[u8]) {
        let to = self.wires[&End {
            host: puppet,
            key: link,
        }];
        let octets = octets.to_vec();
        self.push(Delivery::Octets { to, octets });
    }

    pub(crate) fn puppet_says(
        &mut self,
        puppet: usize,
        link: u64,
        sequence: u16,
        command: Command,
    ) {
        self.puppet_sends(puppet, link, Message { sequence, command }.encode());
    }

    pub(crate) fn puppet_closes(&mut self, puppet: usize, link: u64) {
        self.the_puppet(puppet).links.remove(&link);
        self.hang_up(
            End {
                host: puppet,
                key: link,
            },
            Cut::Closed,
        );
    }

    pub(crate) fn hello_of(&mut self, puppet: usize, name: &str) -> Hello {
        #[allow(unused_mut)]
        let mut hello = Hello {
            endpoint: text(&format!("tcp://{}", self.hosts[puppet].address)),
            name: text(name),
            ..Hello::default()
        };
        #[cfg(feature = "curve")]
        if let Some(key) = self.hosts[puppet].key {
            let key = LongText::try_from(key.to_string()).unwrap();
            hello.headers.insert(text("X-PUBLICKEY"), key);
        }
        hello
    }

    /// The puppet greets a node as a well-behaved peer does, and returns its link.
    pub(crate) fn puppet_greets(&mut self, puppet: usize, node: usize) -> u64 {
        let hello = self.hello_of(puppet, "puppet");
        let link = self.puppet_dials(puppet, node);
        self.puppet_says(puppet, link, 1, Command::Hello(hello));
        link
    }

    pub(crate) fn puppet_beacons(&mut self, puppet: usize, id: PeerId, port: u16) {
        #[cfg(feature = "curve")]
        let key = self.hosts[puppet].key.map(|key| *key.as_bytes());
        #[cfg(not(feature = "curve"))]
        let key = None;
        let beacon = Beacon {
            uuid: id,
            port,
            key,
        };
        let source = self.hosts[puppet].address;
        self.broadcast(puppet, source, &beacon.encode());
    }

    /// A datagram as if it came from `source`.
    pub(crate) fn broadcast(&mut self, from: usize, mut source: SocketAddr, octets: &[u8]) {
        source.set_port(5670);
        for to in 0..self.hosts.len() {
            if to != from && !self.is_cut(from, to) {
                let octets = octets.to_vec();
                self.push(Delivery::Datagram { to, source, octets });
            }
        }
    }

    // ---- faults

    /// The process dies: its connections are reset, and its port is free.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].machine = Machine::Dead;
        self.reset_links(host);
    }

    /// Every connection of the host is reset, both ways; it lives on.
    pub(crate) fn reset_links(&mut self, host: usize) {
        let ends: Vec<_> = self
            .wires
            .iter()
            .flat_map(|(a, b)| [*a, *b])
            .filter(|end| end.host == host)
            .collect();
        for end in ends {
            if let Some(other) = self.wires.remove(&end) {
                self.wires.remove(&other);
                self.push(Delivery::Ended {
                    to: other,
                    cut: Cut::Reset,
                });
                self.push(Delivery::Ended {
                    to: end,
                    cut: Cut::Reset,
                });
            }
        }
    }

    /// Resets the connections that the host itself dialled.
    pub(crate) fn reset_dialled(&mut self, from: usize, to: usize) {
        let ends: Vec<_> = self
            .wires
            .iter()
            .filter(|(a, b)| a.host == from && b.host == to && a.key >= (1 << 32))
            .map(|(a, _)| *a)
            .collect();
        for end in ends {
            self.hang_up(end, Cut::Reset);
            self.push(Delivery::Ended {
                to: end,
                cut: Cut::Reset,
            });
        }
    }

    /// Takes the host out of the network without a word, and puts it back.
    pub(crate) fn isolate(&mut self, host: usize, isolated: bool) {
        for other in 0..self.hosts.len() {
            for pair in [(host, other), (other, host)] {
                if isolated {
                    self.cut.insert(pair);
                } else {
                    self.cut.remove(&pair);
                }
            }
        }
        let held = std::mem::take(&mut self.held);
        for ((from, to), delivery) in held {
            self.transfer(from, to, delivery);
        }
    }

    /// Stops the process and lets it go on: whatever came meanwhile waits in its sockets.
    pub(crate) fn freeze(&mut self, host: usize, frozen: bool) {
        self.hosts[host].frozen = frozen;
        for delivery in std::mem::take(&mut self.frozen) {
            self.push(delivery);
        }
    }

    fn is_frozen(&self, delivery: &Delivery) -> bool {
        match delivery {
            Delivery::Datagram { to, .. } => self.hosts[*to].frozen,
            Delivery::Octets { to, .. } | Delivery::Ended { to, .. } => self.hosts[to.host].frozen,
            Delivery::Dialled { address, .. } => {
                let there = |host: &Host| host.frozen && host.address == *address;
                self.hosts.iter().any(there)
            }
        }
    }

    /// Octets of TCP are not lost: what cannot get through now gets through later.
    fn transfer(&mut self, from: usize, to: usize, delivery: Delivery) {
        if let (Some(tapped), Delivery::Octets { octets, .. }) = (&mut self.tapped, &delivery) {
            tapped.extend_from_slice(octets);
        }
        if self.is_cut(from, to) {
            self.held.push(((from, to), delivery));
        } else {
            self.push(delivery);
        }
    }

    /// Whether the one who dialled still wants the connection.
    fn has_link(&self, end: End) -> bool {
        let host = &self.hosts[end.host];
        match &host.machine {
            Machine::Node(..) => host.links.contains_key(&end.key),
            Machine::Puppet(puppet) => puppet.links.contains_key(&end.key),
            Machine::Dead => false,
        }
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    // ---- the network

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until_quiet_or(end);
        self.now = end;
    }

    /// Runs until `done` holds, at most for a minute; says how long it took.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(
                self.now - start < Duration::from_secs(60),
                "does not come true"
            );
            self.run_for(DELAY);
        }
        self.now - start
    }

    fn run_until_quiet_or(&mut self, end: Instant) {
        loop {
            let delivery = self.queue.keys().next().map(|(at, _)| *at);
            let timeout = (0..self.hosts.len())
                .filter_map(|host| self.deadline(host))
                .min();
            let Some(next) = [delivery, timeout].into_iter().flatten().min() else {
                return;
            };
            if next > end {
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let delivery = entry.remove();
                self.deliver(delivery);
            }
            let now = self.now;
            for host in 0..self.hosts.len() {
                if self.deadline(host).is_some_and(|at| at <= now) {
                    match &mut self.hosts[host].machine {
                        Machine::Node(stack, _) => stack.handle_timeout(now),
                        Machine::Puppet(puppet) => {
                            for connection in puppet.links.values_mut() {
                                connection.handle_timeout(now);
                            }
                        }
                        Machine::Dead => {}
                    }
                    self.drain(host);
                }
            }
        }
    }

    fn deadline(&self, host: usize) -> Option<Instant> {
        if self.hosts[host].frozen {
            return None;
        }
        match &self.hosts[host].machine {
            Machine::Node(stack, _) => stack.poll_timeout().map(|(at, _)| at),
            Machine::Puppet(puppet) => puppet
                .links
                .values()
                .filter_map(|connection| connection.poll_timeout().map(|(at, _)| at))
                .min(),
            Machine::Dead => None,
        }
    }

    fn push(&mut self, delivery: Delivery) {
        self.sequence += 1;
        self.queue
            .insert((self.now + DELAY, self.sequence), delivery);
    }

    fn hang_up(&mut self, end: End, cut: Cut) {
        if let Some(other) = self.wires.remove(&end) {
            self.wires.remove(&other);
            self.transfer(end.host, other.host, Delivery::Ended { to: other, cut });
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        if self.is_frozen(&delivery) {
            return self.frozen.push(delivery);
        }
        match delivery {
            Delivery::Datagram { to, source, octets } => {
                if let Machine::Node(stack, _) = &mut self.hosts[to].machine {
                    stack.handle_datagram(now, source, &octets);
                    self.drain(to);
                }
            }
            Delivery::Dialled { from, address } => self.connect(from, address),
            Delivery::Octets { to, octets } => self.receive(to, octets),
            Delivery::Ended { to, cut } => {
                let host = &mut self.hosts[to.host];
                match &mut host.machine {
                    Machine::Node(stack, _) => {
                        if let Some(link) = host.links.remove(&to.key) {
                            stack.handle_disconnected(now, link, cut);
                        }
                    }
                    Machine::Puppet(puppet) => {
                        puppet.links.remove(&to.key);
                        puppet.closed.insert(to.key);
                    }
                    Machine::Dead => {}
                }
                self.drain(to.host);
            }
        }
    }

    fn connect(&mut self, from: End, address: SocketAddr) {
        let now = self.now;
        let remote = SocketAddr::new(self.hosts[from.host].address.ip(), 50_000);
        // The last one who took a port has it.
        let there = self.hosts.iter().rposition(|host| {
            host.address == address && !host.refuses && !matches!(host.machine, Machine::Dead)
        });
        let Some(to) = there else {
            return self.push(Delivery::Ended {
                to: from,
                cut: Cut::Refused,
            });
        };
        if self.is_cut(from.host, to) {
            let delivery = Delivery::Dialled { from, address };
            return self.transfer(from.host, to, delivery);
        }
        if !self.has_link(from) {
            return;
        }
        let accepted = match &mut self.hosts[to].machine {
            Machine::Node(stack, interface) => {
                let link = stack.handle_accepted(now, *interface, remote);
                link.map(|link| (link.as_u64(), Some(link)))
            }
            Machine::Puppet(puppet) => {
                let key = puppet.next;
                puppet.next += 1;
                #[allow(unused_mut)]
                let mut config = zmtp::Config::new(SocketType::Router);
                #[cfg(feature = "curve")]
                {
                    config.security = self.security_of(to, None);
                }
                let links = &mut self.the_puppet(to).links;
                links.insert(key, Connection::new(now, config));
                Some((key, None))
            }
            Machine::Dead => None,
        };
        let Some((key, link)) = accepted else {
            return self.push(Delivery::Ended {
                to: from,
                cut: Cut::Closed,
            });
        };
        if let Some(link) = link {
            self.hosts[to].links.insert(key, link);
        }
        let to = End { host: to, key };
        self.wires.insert(from, to);
        self.wires.insert(to, from);
        let host = &mut self.hosts[from.host];
        if let Machine::Node(stack, _) = &mut host.machine {
            let link = host.links[&from.key];
            stack.handle_connected(now, link, remote);
        }
        self.drain(to.host);
        self.drain(from.host);
    }

    fn receive(&mut self, to: End, octets: Vec<u8>) {
        let now = self.now;
        let host = &mut self.hosts[to.host];
        if host.deaf {
            return host.unheard.entry(to.key).or_default().extend(octets);
        }
        match &mut host.machine {
            Machine::Node(stack, _) => {
                if let Some(&link) = host.links.get(&to.key) {
                    if let Some(waiting) = host.paused.get_mut(&to.key) {
                        waiting.push(octets);
                    } else {
                        stack.handle_received(now, link, &octets);
                    }
                }
            }
            Machine::Puppet(puppet) => {
                let Some(connection) = puppet.links.get_mut(&to.key) else {
                    return;
                };
                connection.handle_input(now, &octets);
                let mut pings = 0;
                #[cfg(feature = "curve")]
                let mut failed = false;
                while let Some(event) = connection.poll_event() {
                    #[cfg(feature = "curve")]
                    if puppet.keys.is_some() && matches!(event, zmtp::Event::Closed(_)) {
                        failed = true;
                    }
                    #[cfg(feature = "curve")]
                    if let zmtp::Event::Authenticate(_) = event {
                        connection.handle_verdict(now, zmtp::Verdict::Allow);
                    }
                    if let zmtp::Event::Message(message) = event {
                        let message = Message::decode(message, &Limits::default()).unwrap();
                        pings += usize::from(message.command == Command::Ping);
                        puppet.heard.push((to.key, message));
                    }
                }
                #[cfg(feature = "curve")]
                if failed {
                    self.drain(to.host);
                    return self.puppet_closes(to.host, to.key);
                }
                let puppet = self.the_puppet(to.host);
                if puppet.answers_pings {
                    let from = self.wires.get(&to).map(|end| end.host);
                    for _ in 0..pings {
                        self.answer(to.host, from);
                    }
                }
            }
            Machine::Dead => {}
        }
        self.drain(to.host);
    }

    /// Says which link the puppet speaks on to a node, and the sequence it has reached, so that PINGs are answered.
    pub(crate) fn puppet_speaks(&mut self, puppet: usize, node: usize, link: u64, next: u16) {
        self.the_puppet(puppet).speaking.insert(node, (link, next));
    }

    /// The next sequence that the puppet would use towards a node.
    pub(crate) fn puppet_next(&mut self, puppet: usize, node: usize) -> u16 {
        let (_, next) = self
            .the_puppet(puppet)
            .speaking
            .get_mut(&node)
            .expect("it speaks");
        let sequence = *next;
        *next = next.wrapping_add(1);
        sequence
    }

    fn answer(&mut self, puppet: usize, node: Option<usize>) {
        let Some(node) = node else { return };
        let Some((link, _)) = self.the_puppet(puppet).speaking.get(&node).copied() else {
            return;
        };
        let sequence = self.puppet_next(puppet, node);
        if self.the_puppet(puppet).links.contains_key(&link) {
            self.puppet_says(puppet, link, sequence, Command::PingOk);
        }
    }

    /// Lets the network see what a host wants.
    fn drain(&mut self, host: usize) {
        match &mut self.hosts[host].machine {
            Machine::Node(..) => self.drain_node(host),
            Machine::Puppet(_) => self.drain_puppet(host),
            Machine::Dead => {}
        }
    }

    fn drain_puppet(&mut self, host: usize) {
        let now = self.now;
        let puppet = self.the_puppet(host);
        let mut sent = Vec::new();
        for (&key, connection) in &mut puppet.links {
            let octets: Vec<u8> = connection.poll_transmit().flatten().copied().collect();
            sent.push((key, octets));
        }
        for (key, octets) in sent {
            let end = End { host, key };
            // What is said before the connection is made waits.
            if let Some(&to) = self.wires.get(&end)
                && !octets.is_empty()
            {
                let count = octets.len();
                if let Some(connection) = self.the_puppet(host).links.get_mut(&key) {
                    connection.handle_transmitted(now, count);
                }
                self.transfer(host, to.host, Delivery::Octets { to, octets });
            }
        }
    }

    fn drain_node(&mut self, host: usize) {
        let now = self.now;
        loop {
            let reading = self.hosts[host].reading;
            let stack = self.stack(host);
            if let Some(action) = stack.poll_action() {
                self.act(host, action);
                continue;
            }
            if !reading {
                return;
            }
            // Every other application takes several at once: it is to be told the same.
            let mut events = VecDeque::new();
            if host.is_multiple_of(2) {
                events.extend(stack.poll_event(now));
            } else {
                stack.poll_events(now, 2_000, &mut events);
            }
            if events.is_empty() {
                return;
            }
            self.hosts[host].events.extend(events);
        }
    }

    fn act(&mut self, host: usize, action: Action) {
        let now = self.now;
        match action {
            Action::Broadcast { datagram, .. } => {
                let source = self.hosts[host].address;
                self.broadcast(host, source, &datagram);
            }
            Action::Dial { link, address } => {
                *self.dials.entry(host).or_default() += 1;
                // Dialled links are told from accepted ones by their key, for the faults.
                let key = link.as_u64() | (1 << 32);
                self.hosts[host].links.insert(key, link);
                self.push(Delivery::Dialled {
                    from: End { host, key },
                    address,
                });
            }
            Action::Transmit { link } => {
                let octets: Vec<u8> = self
                    .stack(host)
                    .poll_transmit(link)
                    .flatten()
                    .copied()
                    .collect();
                let end = self.end(host, link);
                let reader_stalls = end
                    .and_then(|end| self.wires.get(&end))
                    .is_some_and(|to| self.hosts[to.host].stalled);
                if reader_stalls {
                    return;
                }
                if octets.is_empty() {
                    return;
                }
                let count = octets.len();
                self.stack(host).handle_transmitted(now, link, count);
                if let Some(&to) = end.and_then(|end| self.wires.get(&end)) {
                    self.transfer(host, to.host, Delivery::Octets { to, octets });
                }
            }
            Action::Pause { link } => {
                if let Some(end) = self.end(host, link) {
                    self.hosts[host].paused.entry(end.key).or_default();
                }
            }
            Action::Resume { link } => {
                let Some(end) = self.end(host, link) else {
                    return;
                };
                for octets in self.hosts[host].paused.remove(&end.key).unwrap_or_default() {
                    self.receive(end, octets);
                }
            }
            Action::Close { link } => {
                if let Some(end) = self.end(host, link) {
                    self.hosts[host].links.remove(&end.key);
                    self.hosts[host].paused.remove(&end.key);
                    self.hang_up(end, Cut::Closed);
                }
            }
            Action::Resolve { .. } => {}
            #[cfg(feature = "curve")]
            Action::Authenticate { link, key, remote } => {
                let verdict = match &self.hosts[host].guard {
                    Guard::Listed(keys) if keys.contains(&key) => zmtp::Verdict::Allow,
                    Guard::Listed(_) => zmtp::Verdict::Deny(zmtp::Denial::Refused),
                    Guard::Away => {
                        return self.asked.push(Question {
                            host,
                            link,
                            key,
                            remote,
                        });
                    }
                };
                self.stack(host).handle_verdict(now, link, verdict);
            }
            other => panic!("{other:?}"),
        }
    }

    /// A deaf host hears what waited, each connection's as one piece.
    pub(crate) fn hear(&mut self, host: usize) {
        self.hosts[host].deaf = false;
        for (key, octets) in std::mem::take(&mut self.hosts[host].unheard) {
            self.receive(End { host, key }, octets);
        }
    }

    /// The puppet closes the connections that a node made to it.
    pub(crate) fn puppet_hangs_up_on(&mut self, puppet: usize, node: usize) {
        let ends: Vec<_> = self
            .wires
            .iter()
            .filter(|(a, b)| a.host == node && b.host == puppet && a.key >= (1 << 32))
            .map(|(_, b)| *b)
            .collect();
        for end in ends {
            self.the_puppet(puppet).links.remove(&end.key);
            self.hang_up(end, Cut::Closed);
        }
    }

    /// How many connections a node has.
    pub(crate) fn open_links(&self, host: usize) -> usize {
        self.hosts[host].links.len()
    }

    /// How often a node dialled.
    pub(crate) fn dials(&self, host: usize) -> usize {
        self.dials.get(&host).copied().unwrap_or_default()
    }

    /// How much went over the network.
    pub(crate) fn deliveries(&self) -> u64 {
        self.sequence
    }

    fn end(&self, host: usize, link: LinkId) -> Option<End> {
        let key = self.hosts[host]
            .links
            .iter()
            .find(|(_, other)| **other == link)
            .map(|(key, _)| *key)?;
        Some(End { host, key })
    }
}
