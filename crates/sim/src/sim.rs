//! The simulation: hosts and what joins them, processes and their applications, and one clock for all.

mod datagrams;
mod engine;
mod faults;
mod launching;
mod network;
mod pipes;
mod process;
mod programs;
mod sockets;
mod streams;
mod udp;
mod world;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use atonce::once::Relay;
use atonce::{Config, Instant, Stack};
use slab::Slab;

use crate::application::{Application, Context, NodeId, Observer};
use crate::chance::Chance;
use crate::program::{Place, ProgramId};
use crate::schedule::Schedule;
use crate::tcp::Tcp;
use crate::topology::{HostId, SegmentId, Topology, count};
use crate::trace::Trace;
pub(crate) use launching::{launch, launch_relay};
use process::Running;
pub(crate) use sockets::launch_socket;
pub(crate) use udp::launch_udp;
pub use world::Counters;
pub(crate) use world::{Coming, World};

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) host: HostId,
    /// The program whose node it is; `None` when it has an application of its own.
    pub(crate) program: Option<ProgramId>,
    running: Option<Box<Running>>,
}

/// A virtual network with nodes on it.
///
/// Time passes only while one of the `run_*` methods runs, and jumps from one thing that happens to the next. Everything that
/// happens by chance is decided by the seed: the same program with the same seed sees the same, to the octet, on every run.
///
/// See [the crate](crate) for an example.
pub struct Sim<A, O = ()> {
    world: World,
    processes: Vec<Process>,
    /// One for each process that is no node of a program.
    applications: Vec<Option<A>>,
    programs: Vec<programs::Running>,
    /// Nodes with which a program did something, of which it was not seen yet what follows.
    touched: Vec<NodeId>,
    observer: O,
}

impl<A: Application> Sim<A> {
    /// An empty network.
    pub fn new(seed: u64) -> Self {
        Self::observed(seed, ())
    }
}

impl<A: Application, O: Observer> Sim<A, O> {
    /// An empty network that somebody watches.
    pub fn observed(seed: u64, observer: O) -> Self {
        Self {
            world: World {
                now: Instant::ZERO,
                topology: Topology::default(),
                schedule: Schedule::new(),
                trace: Trace::new(),
                chance: Chance::new(seed),
                streams: Slab::new(),
                datagrams: Slab::new(),
                tcp: Tcp::default(),
                names: BTreeMap::new(),
                generation: 0,
                spare: Vec::new(),
                counters: Counters::default(),
            },
            processes: Vec::new(),
            applications: Vec::new(),
            programs: Vec::new(),
            touched: Vec::new(),
            observer,
        }
    }

    // ---- processes

    /// Starts a node with [`Config::default`] on a host, under a name.
    ///
    /// # Panics
    ///
    /// When the name is longer than 255 octets.
    pub fn start_named(&mut self, host: HostId, name: &str, application: A) -> NodeId {
        let name = name.try_into().expect("a name of at most 255 octets");
        let config = Config {
            name: Some(name),
            ..Config::default()
        };
        self.start(host, config, application)
    }

    /// Starts a node on all interfaces of a host, each with a mailbox on a port that is free.
    pub fn start(&mut self, host: HostId, config: Config, application: A) -> NodeId {
        self.start_on(host, None, config, application)
    }

    /// Starts a node on all interfaces of a host, with its mailboxes on this port; on a free one when it is taken.
    pub fn start_on(
        &mut self,
        host: HostId,
        port: Option<u16>,
        config: Config,
        application: A,
    ) -> NodeId {
        let place = Place {
            port,
            ..Place::default()
        };
        self.start_at(host, &place, config, application)
    }

    /// Starts a node at some place on a host.
    pub fn start_at(
        &mut self,
        host: HostId,
        place: &Place,
        config: Config,
        application: A,
    ) -> NodeId {
        let id = launch(
            &mut self.world,
            &mut self.processes,
            host,
            place,
            config,
            None,
        );
        self.applications.push(Some(application));
        self.call(id, A::on_start);
        self.drain(id);
        id
    }

    /// All processes, also those that ended.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<A, O> {
        (0..count(self.processes.len())).map(NodeId)
    }

    /// The host of a process.
    #[expect(clippy::indexing_slicing, reason = "processes are never removed")]
    pub fn host_of(&self, node: NodeId) -> HostId {
        self.processes[node.index()].host
    }

    /// The application of a process, also of one that ended.
    ///
    /// # Panics
    ///
    /// When it is a node of a [program](Sim::start_program), or a [socket](Sim::start_socket).
    pub fn application(&self, node: NodeId) -> &A {
        let application = self.applications.get(node.index());
        let application = application.and_then(Option::as_ref);
        application.expect("a node of a program has no application of its own")
    }

    /// The same, to change it. It does not notice; see [`with`](Sim::with).
    ///
    /// # Panics
    ///
    /// When it is a node of a [program](Sim::start_program), or a [socket](Sim::start_socket).
    pub fn application_mut(&mut self, node: NodeId) -> &mut A {
        let application = self.applications.get_mut(node.index());
        let application = application.and_then(Option::as_mut);
        application.expect("a node of a program has no application of its own")
    }

    /// A node, to ask it; `None` when its process has ended, or is a relay or a socket.
    pub fn stack(&self, node: NodeId) -> Option<&Stack> {
        self.processes.get(node.index())?.stack()
    }

    /// A relay of a program, to ask it; `None` when its process has ended, or is a node. See [`Nodes::start_relay`].
    ///
    /// [`Nodes::start_relay`]: crate::Nodes::start_relay
    pub fn relay(&self, node: NodeId) -> Option<&Relay> {
        self.processes.get(node.index())?.relay()
    }

    /// The UDP port on which a node hears beacons; `None` when it hears none, or its process has ended.
    pub fn beacon_port(&self, node: NodeId) -> Option<u16> {
        let host = self.processes.get(node.index())?.host;
        let mut ears = self.world.topology.host(host).ears.iter();
        ears.find(|ear| ear.node == node).map(|ear| ear.port)
    }

    /// Whether the process has not ended.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.running(node).is_some()
    }

    /// The port of the node's first mailbox, that of a relay, or that where a socket listens first.
    pub fn port(&self, node: NodeId) -> Option<u16> {
        self.processes.get(node.index())?.port()
    }

    /// Lets the application do something now. `None` when its process has ended, or is a program.
    ///
    /// ```
    /// use atonce_sim::Sim;
    ///
    /// let mut sim = Sim::new(1);
    /// let lan = sim.segment();
    /// let host = sim.host(lan, [10, 0, 0, 1]);
    /// let node = sim.start_named(host, "alice", ());
    /// let chat = "CHAT".try_into()?;
    /// sim.with(node, |_, context| context.join(&chat));
    /// assert!(sim.stack(node).is_some_and(|alice| alice.groups().eq([&chat])));
    /// # Ok::<(), atonce::wire::TooLong>(())
    /// ```
    pub fn with<T>(
        &mut self,
        node: NodeId,
        act: impl FnOnce(&mut A, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let result = self.call(node, act);
        self.drain(node);
        result
    }

    // ---- time

    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.world.now
    }

    /// Lets the next thing happen. `false` when nothing is to come any more.
    pub fn step(&mut self) -> bool {
        let Some((at, coming)) = self.world.schedule.pop() else {
            return false;
        };
        self.world.now = at;
        self.world.counters.steps += 1;
        match coming {
            Coming::Deadline { node } => self.deadline(node),
            Coming::Timer { node, token } => self.timer(node, token),
            Coming::ProgramTimer { program, token } => self.program_timer(program, token),
            Coming::Datagram(place) => self.datagram(place),
            Coming::Syn(key) => self.syn(key),
            Coming::Established(key) => self.established(key),
            Coming::Failed(key, cut) => self.failed(key, cut),
            Coming::Arrival(key, side) => self.arrival(key, side),
            Coming::Room(key, side) => self.room(key, side),
            Coming::Resolved(resolved) => self.resolved(&resolved),
        }
        true
    }

    /// Lets everything happen until this time.
    pub fn run_until(&mut self, end: Instant) {
        while self.world.schedule.next().is_some_and(|at| at <= end) {
            self.step();
        }
        self.world.now = self.world.now.max(end);
    }

    /// Lets everything happen that does within so long.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.world.now + duration);
    }

    /// Lets things happen until `done`, at most for `limit`. Says how long it took; `None` when it did not come true.
    ///
    /// ```
    /// use atonce_sim::Sim;
    /// use std::time::Duration;
    ///
    /// let mut sim = Sim::new(1);
    /// let lan = sim.segment();
    /// let hosts = [1, 2].map(|n| sim.host(lan, [10, 0, 0, n]));
    /// let [alice, bob] = hosts.map(|host| sim.start_named(host, "somebody", ()));
    /// let met = sim.run_until_true(Duration::from_secs(3), |sim| {
    ///     [alice, bob].iter().all(|node| sim.stack(*node).is_some_and(|it| it.peers().count() == 1))
    /// });
    /// assert!(met.is_some_and(|took| took < Duration::from_millis(5)));
    /// ```
    pub fn run_until_true(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.world.now;
        let end = start + limit;
        loop {
            if done(self) {
                return Some(self.world.now - start);
            }
            if self.world.schedule.next().is_none_or(|at| at > end) {
                self.world.now = end;
                return None;
            }
            self.step();
        }
    }

    // ---- what is seen

    /// The one who watches.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// The one who watches, to be asked or told something.
    pub const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Writes a line for everything that happens from now on. It is worth the name of a buffer: there are many.
    pub fn trace_to(&mut self, writer: impl Write + 'static) {
        self.world.trace.write_to(Box::new(writer));
    }

    /// Writes what is buffered of the trace.
    ///
    /// # Errors
    ///
    /// The first error of the writer since [`trace_to`](Sim::trace_to), after which nothing more was written.
    pub fn finish_trace(&mut self) -> io::Result<()> {
        self.world.trace.finish()
    }

    /// A hash of everything that happened: two runs with the same one saw the same.
    pub const fn trace_hash(&self) -> u64 {
        self.world.trace.hash()
    }

    /// How many lines the trace has so far.
    pub const fn trace_lines(&self) -> u64 {
        self.world.trace.lines()
    }

    /// The last lines of the trace that are about these nodes or the network, oldest first. Only some thousand lines of all
    /// nodes are remembered.
    pub fn last_lines(&self, nodes: &[NodeId], count: usize) -> Vec<String> {
        self.world.trace.last(nodes, count)
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> &Counters {
        &self.world.counters
    }

    /// Connections of which at least one end knows.
    pub fn connections(&self) -> usize {
        self.world.streams.len()
    }

    /// How much is scheduled to happen.
    pub fn scheduled(&self) -> usize {
        self.world.schedule.len()
    }

    /// The octets that were sent over a segment so far: of TCP without what was sent again, and of UDP, without the heads of both and of
    /// IP. What only crosses it counts, what a host sends to itself does not.
    pub fn octets_over(&self, segment: SegmentId) -> u64 {
        self.world.topology.segment(segment).octets
    }

    /// How many datagrams a process broadcast that has not ended.
    pub fn broadcasts_of(&self, node: NodeId) -> u64 {
        self.running(node).map_or(0, |running| running.broadcasts)
    }

    fn running(&self, node: NodeId) -> Option<&Running> {
        self.processes.get(node.index())?.running.as_deref()
    }

    fn running_mut(&mut self, node: NodeId) -> Option<&mut Running> {
        self.processes.get_mut(node.index())?.running.as_deref_mut()
    }
}

impl<A, O> std::fmt::Debug for Sim<A, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("now", &self.world.now)
            .field("processes", &self.processes.len())
            .field("trace", &self.world.trace)
            .finish_non_exhaustive()
    }
}
