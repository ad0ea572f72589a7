//! Participants of gossip, as programs of a simulation: [`atonce::gossip`] over its sockets.
//!
//! ```
//! use atonce_sim::Sim;
//! use atonce_sim::gossip::{Participant, Setup};
//! use std::time::Duration;
//!
//! let mut sim: Sim<()> = Sim::new(1);
//! let lan = sim.segment();
//! let [here, there] = [1, 2].map(|n| sim.host(lan, [10, 0, 0, n]));
//! let hub = sim.start_program(here, Participant::new(Setup { port: Some(7_000), ..Setup::default() }));
//! let node = sim.start_program(there, Participant::new(Setup {
//!     hubs: vec!["tcp://10.0.0.1:7000".parse()?],
//!     tuples: vec![("node".parse()?, "tcp://10.0.0.2:49152".parse()?)],
//!     ..Setup::default()
//! }));
//! let hears = |sim: &Sim<()>| sim.program::<Participant>(hub).is_some_and(|it| it.tuples().len() == 1);
//! assert!(sim.run_until_true(Duration::from_secs(1), hears).is_some());
//!
//! // The hub dies, and another comes in its place, which knows nothing.
//! sim.kill_program(hub);
//! sim.run_for(Duration::from_secs(10));
//! let hub = sim.start_program(here, Participant::new(Setup { port: Some(7_000), ..Setup::default() }));
//! let hears = |sim: &Sim<()>| sim.program::<Participant>(hub).is_some_and(|it| it.tuples().len() == 1);
//! assert!(sim.run_until_true(Duration::from_secs(10), hears).is_some());
//!
//! // What is taken back is gone there as well.
//! sim.with_program(node, |node: &mut Participant, nodes| node.leave(nodes));
//! sim.run_for(Duration::from_secs(1));
//! assert!(sim.program::<Participant>(hub).is_some_and(|it| it.tuples().is_empty()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use atonce::Frames;
use atonce::gossip::{Action, Config, Event, Gossip, Neighbour, PublishError, RemoteId, Unsent};
use atonce::socket::{self, ConnectId, Endpoint, Host, Kind, SendError};
use atonce::wire::gossip::{Key, Value};
use atonce::zmtp::Heartbeat;

use crate::alarm::Alarm;
use crate::{NodeId, Nodes, Program};

/// What a [`Participant`] is made of.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The port of its ROUTER, on all addresses of its host; `None`: it is no hub.
    pub port: Option<u16>,
    /// The hubs that it is a client of.
    pub hubs: Vec<Endpoint>,
    /// What it publishes when it starts.
    pub tuples: Vec<(Key, Value)>,
    /// Its rhythm and its limits.
    pub config: Config,
}

/// A participant of gossip, as a program: [`Sim::start_program`](crate::Sim::start_program) starts it. [The module](self) has an example.
///
/// If its port is taken it ends, and [`failure`](Self::failure) says why.
#[derive(Debug)]
pub struct Participant {
    setup: Setup,
    gossip: Option<Gossip>,
    router: Option<NodeId>,
    dealers: Vec<Dealer>,
    told: Vec<Event>,
    failure: Option<String>,
    alarm: Alarm,
}

#[derive(Debug)]
struct Dealer {
    socket: NodeId,
    remote: RemoteId,
    endpoint: Endpoint,
    connect: Option<ConnectId>,
}

impl Participant {
    /// One that is not started yet.
    pub const fn new(setup: Setup) -> Self {
        Self {
            setup,
            gossip: None,
            router: None,
            dealers: Vec::new(),
            told: Vec::new(),
            failure: None,
            alarm: Alarm::new(),
        }
    }

    /// The machine, once it is started.
    pub const fn gossip(&self) -> Option<&Gossip> {
        self.gossip.as_ref()
    }

    /// What it knows.
    pub fn tuples(&self) -> BTreeMap<Key, Value> {
        let tuples = self.gossip.iter().flat_map(Gossip::tuples);
        tuples
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// What it was told.
    pub fn told(&self) -> &[Event] {
        &self.told
    }

    /// Why it ended, if it could not begin.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Publishes a tuple.
    ///
    /// # Errors
    ///
    /// As [`Gossip::publish`]. Nothing happens before it is started.
    pub fn publish(
        &mut self,
        nodes: &mut Nodes<'_>,
        key: Key,
        value: Value,
    ) -> Result<(), PublishError> {
        let now = nodes.now();
        if let Some(gossip) = &mut self.gossip {
            gossip.publish(now, key, value)?;
        }
        self.pump(nodes);
        Ok(())
    }

    /// Takes a tuple back. Whether it was published here.
    pub fn unpublish(&mut self, nodes: &mut Nodes<'_>, key: &Key) -> bool {
        let now = nodes.now();
        let gossip = self.gossip.as_mut();
        let was = gossip.is_some_and(|gossip| gossip.unpublish(now, key));
        self.pump(nodes);
        was
    }

    /// Takes all tuples back, and stays.
    pub fn leave(&mut self, nodes: &mut Nodes<'_>) {
        if let Some(gossip) = &mut self.gossip {
            gossip.leave(nodes.now());
        }
        self.pump(nodes);
    }

    fn end(&mut self, nodes: &mut Nodes<'_>) {
        let dealers = self.dealers.drain(..).map(|dealer| dealer.socket);
        let sockets: Vec<NodeId> = dealers.chain(self.router.take()).collect();
        for socket in sockets {
            nodes.with_socket(socket, |socket| {
                socket.close();
            });
        }
    }

    /// Does what the machine wants, until there is nothing more to do.
    fn pump(&mut self, nodes: &mut Nodes<'_>) {
        let now = nodes.now();
        let Some(gossip) = &mut self.gossip else {
            return;
        };
        gossip.handle_timeout(now);
        while let Some(action) = gossip.poll_action() {
            match action {
                Action::Send { to, message } => {
                    let sent = match &to {
                        Neighbour::Session(session) => self.router.and_then(|router| {
                            let mut whole = message.clone();
                            whole.push_front(session.clone());
                            nodes.with_socket(router, |router| router.send(&whole))
                        }),
                        Neighbour::Remote(remote) => {
                            let mut dealers = self.dealers.iter();
                            let dealer = dealers.find(|dealer| dealer.remote == *remote);
                            dealer.and_then(|dealer| {
                                nodes.with_socket(dealer.socket, |dealer| dealer.send(&message))
                            })
                        }
                    };
                    let why = match sent {
                        Some(Ok(())) => continue,
                        Some(Err(SendError::Full)) => Unsent::Full,
                        _ => Unsent::Gone,
                    };
                    gossip.handle_unsent(now, &to, &message, why);
                }
                Action::Reconnect { remote } => {
                    let mut dealers = self.dealers.iter_mut();
                    if let Some(dealer) = dealers.find(|dealer| dealer.remote == remote) {
                        let (before, endpoint) = (dealer.connect.take(), &dealer.endpoint);
                        let connect = nodes.with_socket(dealer.socket, |dealer| {
                            if let Some(before) = before {
                                dealer.disconnect(before);
                            }
                            dealer.connect(endpoint).ok()
                        });
                        dealer.connect = connect.flatten();
                        gossip.handle_disconnected(now, remote);
                    }
                }
                // An action that this crate does not know of: it is a part of the same workspace.
                _ => debug_assert!(false, "{action:?}"),
            }
        }
        while let Some(event) = gossip.poll_event() {
            self.told.push(event);
        }
        let due = gossip.poll_timeout().map(|(at, _)| at);
        self.alarm.arm(nodes, due);
    }

    /// Takes what came to a socket.
    fn receive(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        let now = nodes.now();
        let mut dealers = self.dealers.iter();
        let remote = dealers.find(|dealer| dealer.socket == socket);
        let remote = remote.map(|dealer| Neighbour::Remote(dealer.remote));
        let Some(gossip) = &mut self.gossip else {
            return;
        };
        nodes.with_socket(socket, |socket| {
            while let Ok(Some(message)) = socket.recv() {
                let mut message: Frames = message;
                let from = match &remote {
                    Some(remote) => Some(remote.clone()),
                    None => message.pop_front().map(Neighbour::Session),
                };
                if let Some(from) = from {
                    gossip.handle_message(now, &from, &message);
                }
            }
        });
    }

    fn config() -> socket::Config {
        socket::Config {
            // Otherwise what was said before a connection broke is said before everything is said anew.
            immediate: true,
            linger: Duration::from_millis(100),
            heartbeat: Some(Heartbeat::every(Duration::from_secs(5))),
            ..socket::Config::default()
        }
    }
}

impl Program for Participant {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let (now, seed) = (nodes.now(), nodes.chance().seed());
        let mut gossip = Gossip::new(now, seed, self.setup.config.clone());
        for (key, value) in self.setup.tuples.drain(..) {
            if let Err(error) = gossip.publish(now, key, value) {
                self.failure = Some(error.to_string());
            }
        }
        if let Some(port) = self.setup.port {
            let router = nodes.start_socket(Kind::Router, Self::config());
            let endpoint = Endpoint::Tcp {
                host: Host::Any,
                port,
            };
            let bound = nodes.with_socket(router, |router| router.bind(&endpoint));
            if let Some(Err(error)) = bound {
                self.failure = Some(error.to_string());
            }
            self.router = Some(router);
        }
        for endpoint in self.setup.hubs.clone() {
            let socket = nodes.start_socket(Kind::Dealer, Self::config());
            let connect = nodes.with_socket(socket, |dealer| dealer.connect(&endpoint));
            match connect {
                Some(Ok(connect)) => self.dealers.push(Dealer {
                    socket,
                    remote: gossip.open(now),
                    endpoint,
                    connect: Some(connect),
                }),
                Some(Err(error)) => self.failure = Some(error.to_string()),
                None => {}
            }
        }
        self.gossip = Some(gossip);
        if self.failure.is_some() {
            self.end(nodes);
        }
        self.pump(nodes);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        self.receive(nodes, socket);
        self.pump(nodes);
    }

    fn on_socket_event(&mut self, nodes: &mut Nodes<'_>, socket: NodeId, event: socket::Event) {
        let now = nodes.now();
        let mut dealers = self.dealers.iter();
        let remote = dealers.find(|dealer| dealer.socket == socket);
        let remote = remote.map(|dealer| dealer.remote);
        match (event, remote, &mut self.gossip) {
            (socket::Event::Ready { .. }, Some(remote), Some(gossip)) => {
                gossip.handle_connected(now, remote);
            }
            (
                socket::Event::Disconnected {
                    was_ready: true, ..
                },
                Some(remote),
                Some(gossip),
            ) => gossip.handle_disconnected(now, remote),
            (socket::Event::ListenFailed { detail, .. }, _, _) => {
                self.failure = Some(detail.into());
                self.end(nodes);
            }
            _ => {}
        }
        self.receive(nodes, socket);
        self.pump(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, token: u64) {
        if self.alarm.rings(token) {
            self.pump(nodes);
        }
    }
}
