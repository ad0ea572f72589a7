//! A little network in virtual time: stacks and hand-driven peers on one LAN, with a millisecond between them.

#![allow(dead_code)] // each test file uses a part of it
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

mod faults;
mod network;
mod nodes;
mod puppet;
#[cfg(feature = "curve")]
mod relay;
#[cfg(feature = "curve")]
mod secure;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

#[cfg(feature = "curve")]
use atonce::curve::PublicKey;
#[cfg(feature = "curve")]
use atonce::once::Relay;
use atonce::{
    Config, Cut, Event, Frames, Instant, Interface, InterfaceId, LinkId, PeerId, Stack, Text,
};

pub(crate) use self::puppet::Puppet;
#[cfg(feature = "curve")]
pub(crate) use self::secure::{Guard, Question};

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

enum Machine {
    Node(Box<Stack>, InterfaceId),
    Puppet(Puppet),
    #[cfg(feature = "curve")]
    Relay(Box<Relay>),
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
    /// It is behind an address translation: nobody outside can dial it, and what it dials comes from this address.
    pub(crate) nat: Option<IpAddr>,
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
    /// Who dials one of these hears nothing, for as long as it waits.
    pub(crate) silent: BTreeSet<SocketAddr>,
    /// The address translation of a host that is about to be.
    behind: BTreeMap<usize, IpAddr>,
    /// How often each host dialled.
    dials: BTreeMap<usize, usize>,
    /// What TCP holds back until the way is free again.
    held: Vec<((usize, usize), Delivery)>,
    /// What waits for hosts that are frozen.
    frozen: Vec<Delivery>,
    /// Pairs of hosts between which nothing gets through.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// All beacons that nodes sent to one address: when, who, whereto, what.
    pub(crate) directed: Vec<(Instant, usize, SocketAddr, Vec<u8>)>,
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
            Event::Leader { peer, group } => Some(format!("leader {} {group}", peer.name)),
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
            nat: self.behind.remove(&self.hosts.len()),
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
            zone: 0,
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

    /// A node whose outbound connections come from `public`, and which nobody else can dial nor hear a beacon of.
    pub(crate) fn node_behind(
        &mut self,
        config: Config,
        address: SocketAddr,
        public: IpAddr,
    ) -> usize {
        // Before it says anything.
        let host = self.hosts.len();
        self.behind.insert(host, public);
        self.node_at(config, address)
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
            _ => panic!("host {host} is nobody"),
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

    /// How much went over the network.
    pub(crate) fn deliveries(&self) -> u64 {
        self.sequence
    }
}
