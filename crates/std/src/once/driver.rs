//! The nodes of a server or a bridge on the sockets of this machine: the loop that both adapters share.
//!
//! A [`Driver`] has a [driver](crate::driver::Driver) for each node and a machine that says what they are to do. It is used as that one is:
//!
//! ```no_run
//! use atonce_std::once::{Bridge, BridgeBuilder, Secret};
//! use atonce_std::once::driver::Driver;
//!
//! let options = BridgeBuilder::<Bridge>::new("lo").secret(Secret::new("s3cret")?).options()?;
//! let (mut bridge, mut poller) = Driver::bridge(options)?;
//! while !bridge.is_ended() {
//!     poller.wait(bridge.timeout())?;
//!     bridge.turn(&mut poller);
//!     while let Some(event) = bridge.poll_event() {
//!         println!("{event:?}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How many nodes are waited for at once
//!
//! Each node has a poller of its own, whose descriptor becomes readable when there is something for that node. One poller around them waits for
//! all those descriptors. So a turn costs two system calls for readiness and one more for each further node that has something, however many nodes there are
//! that have nothing; and what is to be done at some time stands in one list for all of them.

mod machine;
mod names;
mod turns;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use atonce::once::{Bridge, Server, Which, relay};
use atonce::wire::Text;
use atonce::{Instant, PeerId};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::sys::resource::{Resource, getrlimit};
use slab::Slab;

use self::names::Names;
use super::builder::{BridgeOptions, ServerOptions, StandIns};
use super::{ANY, Event, FarPeer, ServerAddress};
use crate::driver::{self, Clock, RelayDriver, addresses, random_seed};
use crate::{Options, StartError};

pub use self::machine::Machine;
#[doc(hidden)]
pub use self::machine::Work;
pub use crate::driver::Poller;

/// Events that wait to be taken. Who never takes any loses what comes beyond, and is told how many.
const EVENTS: usize = 4_096;

/// Descriptors that are left for the rest of the process, and for what comes while nobody looks.
const SPARE_DESCRIPTORS: usize = 64;

/// See [the module](self).
#[derive(Debug)]
pub struct Driver<M: Machine> {
    machine: M,
    clock: Clock,
    registry: mio::Registry,
    waker: Arc<mio::Waker>,
    nodes: Slab<Node>,
    /// Where a node is that the machine knows. Those that are ending are not here any more.
    places: BTreeMap<Which, usize>,
    /// Nodes that are to take a turn. Each stands here at most once.
    turns: VecDeque<usize>,
    /// Nodes that did something in this turn.
    touched: Vec<usize>,
    /// Nodes that have events that the machine did not take yet.
    talking: BTreeSet<usize>,
    /// When nodes want a turn.
    due: BTreeSet<(Instant, usize)>,
    /// There is more to be handed to the machine than fitted into the last turn.
    more: bool,
    names: Names,
    relay: Option<Joiner>,
    stand_ins: Option<StandIns>,
    /// Why no stand-in was started the last time, so that it is told once.
    refused: bool,
    members: BTreeMap<PeerId, machine::Met>,
    far_peers: BTreeMap<PeerId, FarPeer>,
    events: VecDeque<Event<M::Event>>,
    missed: u64,
    id: PeerId,
    name: Text,
    /// The most descriptors that it may take.
    descriptors: usize,
    stopping: bool,
    ended: bool,
}

/// A node of it.
#[derive(Debug)]
struct Node {
    which: Which,
    driver: driver::Driver,
    poller: Poller,
    /// The poller has something that was not taken.
    ready: bool,
    /// It stands in `turns`.
    in_turns: bool,
    /// It stands in `touched`.
    is_touched: bool,
    /// Where it stands in `due`.
    due: Option<Instant>,
    /// The mailboxes that the local node ignores on its behalf.
    mailboxes: Vec<SocketAddr>,
}

const WAKE: Token = Token(0);

/// No node has this place.
const RELAY: Token = Token(usize::MAX);

impl Driver<Server> {
    /// Binds the sockets of a server. Nothing is sent before the first [`turn`](Driver::turn).
    ///
    /// # Errors
    ///
    /// Its node does not start. No socket of it is left.
    pub fn server(options: ServerOptions) -> Result<(Self, Poller), StartError> {
        let ServerOptions {
            node,
            machine,
            relay,
        } = options;
        let interfaces = node.interfaces.clone();
        let id = machine.id;
        let clock = Clock::start();
        let seed = seed(&node)?;
        let machine = Server::new(clock.now(), *seed, machine);
        let (mut driver, poller) = Self::new(machine, clock, id)?;
        driver.add(Which::Remote, node)?;
        if let Some(port) = relay {
            driver.relay = Some(driver.start_relay(&interfaces, port)?);
        }
        driver.begin();
        Ok((driver, poller))
    }
}

impl Driver<Bridge> {
    /// Binds the sockets of a bridge. Nothing is sent before the first [`turn`](Driver::turn).
    ///
    /// # Errors
    ///
    /// Its local or its remote node does not start, or a server cannot be contacted. No socket of it is left.
    pub fn bridge(options: BridgeOptions) -> Result<(Self, Poller), StartError> {
        let clock = Clock::start();
        let id = options.machine.id;
        let seed = seed(&options.remote)?;
        let machine = Bridge::new(clock.now(), *seed, options.machine);
        let (mut driver, poller) = Self::new(machine, clock, id)?;
        driver.stand_ins = Some(options.stand_ins);
        driver.add(Which::Local, options.local)?;
        driver.add(Which::Remote, options.remote)?;
        for server in &options.servers {
            driver.meet(server)?;
        }
        driver.begin();
        Ok((driver, poller))
    }

    /// Whether it makes stand-ins.
    pub fn is_active(&self) -> bool {
        self.machine.is_active()
    }

    fn meet(&mut self, server: &ServerAddress) -> Result<(), StartError> {
        match server {
            ServerAddress::Beacon(endpoint) => {
                self.names.add(endpoint.clone());
                Ok(())
            }
            ServerAddress::Mailbox(contact) => {
                let remote = self.node(Which::Remote);
                let contacted = remote.map_or(Ok(()), |remote| remote.driver.connect(contact));
                contacted.map_err(|source| StartError::Contact {
                    endpoint: contact.to_string(),
                    source,
                })
            }
        }
    }
}

/// The seed that was asked for, or one of the operating system's.
fn seed(options: &Options) -> Result<zeroize::Zeroizing<[u8; 32]>, StartError> {
    match options.seed {
        Some(seed) => Ok(zeroize::Zeroizing::new(seed)),
        None => random_seed().map_err(|source| StartError::System {
            what: "random octets",
            source,
        }),
    }
}

/// A relay, and what waits for its sockets.
#[derive(Debug)]
struct Joiner {
    driver: RelayDriver,
    poller: Poller,
    /// The poller has something that was not taken.
    ready: bool,
    /// When it wants a turn.
    due: Option<Instant>,
}

impl<M: Machine> Driver<M> {
    fn new(machine: M, clock: Clock, id: PeerId) -> Result<(Self, Poller), StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let poller = Poller::new().map_err(system("a poller"))?;
        let registry = poller.registry().try_clone().map_err(system("a poller"))?;
        let waker = mio::Waker::new(&registry, WAKE).map_err(system("a waker"))?;
        let waker = Arc::new(waker);
        let driver = Self {
            machine,
            clock,
            registry,
            names: Names::new(Arc::clone(&waker)),
            waker,
            nodes: Slab::new(),
            places: BTreeMap::new(),
            turns: VecDeque::new(),
            touched: Vec::new(),
            talking: BTreeSet::new(),
            due: BTreeSet::new(),
            more: false,
            relay: None,
            stand_ins: None,
            refused: false,
            members: BTreeMap::new(),
            far_peers: BTreeMap::new(),
            events: VecDeque::new(),
            missed: 0,
            id,
            name: Text::default(),
            descriptors: most_descriptors(),
            stopping: false,
            ended: false,
        };
        Ok((driver, poller))
    }

    /// Starts a node.
    fn add(&mut self, which: Which, options: Options) -> Result<usize, StartError> {
        let (mut driver, poller) = driver::Driver::new(options)?;
        if matches!(which, Which::StandIn(_)) {
            driver.look_seldom();
        }
        let key = self.nodes.vacant_key();
        self.register(&poller, Token(key + 1))?;
        self.nodes.insert(Node {
            which,
            driver,
            poller,
            ready: false,
            in_turns: false,
            is_touched: false,
            due: None,
            mailboxes: Vec::new(),
        });
        self.places.insert(which, key);
        self.follow_mailboxes(key);
        self.schedule(key);
        Ok(key)
    }

    /// A relay on the interfaces that were asked for, or on all that there are.
    fn start_relay(&self, interfaces: &[String], port: u16) -> Result<Joiner, StartError> {
        let addresses = match interfaces {
            [] => Vec::new(),
            some => {
                let addresses = addresses(some)?;
                // Without any it would listen on all.
                if addresses.is_empty() {
                    return Err(StartError::Mailbox {
                        interface: "the relay".to_owned(),
                        address: ANY.ip(),
                        ports: port..=port,
                        source: std::io::ErrorKind::AddrNotAvailable.into(),
                    });
                }
                addresses
            }
        };
        let (driver, poller) = RelayDriver::new(&addresses, port, relay::Limits::default())?;
        self.register(&poller, RELAY)?;
        Ok(Joiner {
            driver,
            poller,
            ready: false,
            due: None,
        })
    }

    /// Has a poller waited for.
    fn register(&self, poller: &Poller, token: Token) -> Result<(), StartError> {
        let descriptor = poller.as_raw_fd();
        let registered =
            self.registry
                .register(&mut SourceFd(&descriptor), token, Interest::READABLE);
        registered.map_err(|source| StartError::System {
            what: "a place in the poller",
            source,
        })
    }

    /// What its nodes did at their start is looked at by the first turn.
    fn begin(&mut self) {
        if let Some(remote) = self.node(Which::Remote) {
            self.name = remote.driver.stack().name().clone();
        }
    }

    /// How long the poller may wait before the next turn; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        if self.more || !self.turns.is_empty() {
            return Some(Duration::ZERO);
        }
        let nodes = self.due.first().map(|(at, _)| *at);
        let relay = self.relay.as_ref().and_then(|joiner| joiner.due);
        let at = [nodes, relay, self.machine.deadline(), self.names.deadline()];
        let at = at.into_iter().flatten().min();
        at.map(|at| at - self.clock.now())
    }

    /// Ends the poller's wait.
    pub fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake the nodes");
        }
    }

    /// What happened next, if anything did.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event<M::Event>> {
        self.events.pop_front()
    }

    /// Whether [`poll_event`](Driver::poll_event) has something.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether it is stopped and every socket closed. Events may still wait to be taken.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Its identity: that of its remote node, and of its local one.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Its public name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// Where its remote node can be reached, as others are told: an endpoint for each interface in use.
    pub fn endpoints(&self) -> Vec<String> {
        let remote = self.place(Which::Remote);
        let endpoints = remote.map(|remote| remote.driver.stack().endpoints());
        let endpoints = endpoints.into_iter().flatten();
        endpoints.map(|endpoint| endpoint.to_string()).collect()
    }

    /// The UDP port at which beacons come that are sent to it alone; `None` when the socket has to be made again.
    pub fn port(&self) -> Option<u16> {
        self.place(Which::Remote)?.driver.beacon_port()
    }

    /// How it is doing. Takes time in proportion to what it has.
    pub fn status(&self) -> M::Status {
        M::status(self)
    }

    /// Says goodbye to all. [`is_ended`](Driver::is_ended) after some more turns.
    pub fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        let now = self.clock.now();
        self.machine.stop(now);
        self.act(now);
        self.places.clear();
        let keys: Vec<_> = self.nodes.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(node) = self.nodes.get_mut(key) {
                node.driver.stop();
                self.touch(key);
            }
        }
        self.settle();
    }

    /// Closes every socket without a goodbye, for an adapter that is itself ended.
    pub fn abandon(&mut self) {
        for (_, node) in &mut self.nodes {
            node.driver.abandon();
        }
        self.nodes.clear();
        self.end();
    }

    fn place(&self, which: Which) -> Option<&Node> {
        self.nodes.get(*self.places.get(&which)?)
    }

    fn node(&mut self, which: Which) -> Option<&mut Node> {
        self.nodes.get_mut(*self.places.get(&which)?)
    }

    /// The descriptors that it takes.
    fn taken_descriptors(&self) -> usize {
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|(_, node)| node.driver.descriptors());
        // A poller, another descriptor of it to register with, and what wakes it.
        3 + nodes.sum::<usize>()
            + self
                .relay
                .as_ref()
                .map_or(0, |joiner| joiner.driver.descriptors())
    }

    fn links(&self) -> usize {
        let nodes = self.nodes.iter();
        nodes
            .map(|(_, node)| node.driver.stack().usage().links)
            .sum()
    }

    fn tell(&mut self, event: Event<M::Event>) {
        if self.events.len() >= EVENTS {
            self.missed += 1;
        } else {
            self.events.push_back(event);
        }
    }

    fn end(&mut self) {
        self.relay = None;
        if !std::mem::replace(&mut self.ended, true) {
            self.events.push_back(Event::Stopped);
        }
    }
}

/// The most descriptors that may be taken: the limit of the process, but for some.
fn most_descriptors() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(now, _)| now);
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(SPARE_DESCRIPTORS)
}
