//! The simulation: hosts and what joins them, processes and their applications, and one clock for all.

mod datagrams;
mod engine;
mod faults;
mod pipes;
mod process;
mod programs;
mod sockets;
mod streams;
mod udp;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atonce::endpoint::HostName;
use atonce::once::{Relay, relay};
use atonce::zre::Beacons;
use atonce::{Config, Instant, Interface, InterfaceId, Stack};
use bytes::Bytes;
use slab::Slab;

use crate::application::{Application, Context, NodeId, Observer};
use crate::chance::Chance;
use crate::program::{Place, ProgramId};
use crate::schedule::Schedule;
use crate::tcp::{Side, Stream, StreamKey, Tcp};
use crate::topology::{Ear, HostId, Quality, RouterId, SegmentId, Topology, count};
use crate::trace::{self, Kind, Trace};
use engine::Engine;
use process::Running;
pub(crate) use sockets::launch_socket;
pub(crate) use udp::launch_udp;

/// The port on which beacons are heard.
const BEACON_PORT: u16 = 5_670;

/// The port on which a directed node hears, if it is not told another.
const DIRECTED_PORT: u16 = 5_671;

/// What is to happen.
#[derive(Debug)]
pub(crate) enum Coming {
    /// A node's own deadline.
    Deadline { node: NodeId },
    /// A timer of an application.
    Timer { node: NodeId, token: u64 },
    /// A timer of a program.
    ProgramTimer { program: ProgramId, token: u64 },
    /// A datagram arrives, by its place in the table.
    Datagram(u32),
    /// Somebody asks for a connection.
    Syn(StreamKey),
    /// The one who asked gets the answer.
    Established(StreamKey),
    /// There will be no connection.
    Failed(StreamKey, atonce::Cut),
    /// Look at what this side sent.
    Arrival(StreamKey, Side),
    /// There is room again for what this side sends.
    Room(StreamKey, Side),
    /// A name was looked up.
    Resolved(Box<Resolved>),
}

/// What came of a look-up. Boxed: it is rare, and the schedule moves what is to happen around a lot.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) node: NodeId,
    pub(crate) query: u64,
    /// For which link of a socket.
    pub(crate) link: Option<atonce::LinkId>,
    pub(crate) address: Option<SocketAddr>,
}

/// A datagram on its way.
#[derive(Debug)]
pub(crate) struct Datagram {
    from: HostId,
    segment: SegmentId,
    source: SocketAddr,
    to: To,
    /// At which port it is heard.
    port: u16,
    octets: Bytes,
}

/// Whom a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Host(HostId),
    /// Everybody on the segment.
    Everybody,
    /// Those on the segment who joined this multicast group.
    Group(IpAddr),
}

/// Everything but the processes.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) topology: Topology,
    pub(crate) schedule: Schedule<Coming>,
    pub(crate) trace: Trace,
    pub(crate) chance: Chance,
    pub(crate) streams: Slab<Stream>,
    pub(crate) datagrams: Slab<Datagram>,
    pub(crate) tcp: Tcp,
    names: BTreeMap<String, IpAddr>,
    generation: u32,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    pub(crate) counters: Counters,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Things that happened: everything that was scheduled and came.
    pub steps: u64,
    /// Calls into nodes: octets, datagrams, connections, deadlines.
    pub inputs: u64,
    /// Events that applications were told.
    pub events: u64,
    /// Datagrams that arrived, were lost, and came twice.
    pub datagrams: u64,
    /// Datagrams that were lost.
    pub datagrams_lost: u64,
    /// Datagrams that came twice.
    pub datagrams_doubled: u64,
    /// Datagrams that came late.
    pub datagrams_late: u64,
    /// Connections that were asked for.
    pub dials: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Octets that went over connections.
    pub octets: u64,
    /// Times that a connection took only a part of what was written.
    pub short_writes: u64,
}

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

    // ---- the network

    /// A LAN of [the usual quality](Quality::default).
    pub fn segment(&mut self) -> SegmentId {
        self.segment_with(Quality::default())
    }

    /// A LAN of this quality.
    pub fn segment_with(&mut self, quality: Quality) -> SegmentId {
        self.world.topology.add_segment(quality)
    }

    /// A host with one interface.
    ///
    /// # Panics
    ///
    /// When another host of the segment has the address.
    pub fn host(&mut self, segment: SegmentId, address: impl Into<IpAddr>) -> HostId {
        let host = self.world.topology.add_host();
        self.attach(host, segment, address);
        host
    }

    /// One more interface of a host. Only nodes that are started later use it.
    ///
    /// # Panics
    ///
    /// When another host of the segment has the address.
    pub fn attach(&mut self, host: HostId, segment: SegmentId, address: impl Into<IpAddr>) {
        self.world.topology.attach(host, segment, address.into());
    }

    /// A router that joins segments: connections get across, broadcasts do not.
    pub fn router(&mut self, segments: &[SegmentId]) -> RouterId {
        self.world.topology.add_router(segments)
    }

    /// A router that hides `inside` behind one address of its own on `outside`, as those in households do: connections can be
    /// made from inside alone, and a datagram from inside opens a port, of the same number when that is free, by which others come
    /// back from where it went and from nowhere else, until none passed for 60 s.
    pub fn nat(
        &mut self,
        inside: SegmentId,
        outside: SegmentId,
        address: impl Into<IpAddr>,
    ) -> RouterId {
        self.world.topology.add_nat(inside, outside, address.into())
    }

    /// Lets a port of a NAT's own address lead to a mailbox inside, and to the socket for datagrams of the same number.
    pub fn forward(&mut self, router: RouterId, port: u16, to: SocketAddr) {
        self.world.topology.forward(router, port, to);
    }

    /// A name that every host can look up.
    pub fn name(&mut self, name: &HostName, address: impl Into<IpAddr>) {
        self.world
            .names
            .insert(name.as_str().to_owned(), address.into());
    }

    /// Lets a host take the datagrams of a multicast group, on all its segments, as programs ask their kernel to.
    ///
    /// # Panics
    ///
    /// When the address is none of a group.
    pub fn join_multicast(&mut self, host: HostId, group: impl Into<IpAddr>) {
        self.world.join_multicast(host, group.into());
    }

    /// Another program on a host sends a datagram: to one address, to everybody on its segments (255.255.255.255), or to a
    /// multicast group there, which no router passes on, from those of its addresses that are of the same family. Nodes hear what is sent to the port of beacons, 5670, and those that
    /// are directed what is sent to [their own](Sim::beacon_port). It fares as the segments' quality has it.
    ///
    /// ```
    /// use atonce_sim::Sim;
    /// use std::time::Duration;
    ///
    /// let mut sim = Sim::new(1);
    /// let lan = sim.segment();
    /// let (alice, mallory) = (sim.host(lan, [10, 0, 0, 1]), sim.host(lan, [10, 0, 0, 66]));
    /// let node = sim.start_named(alice, "alice", ());
    /// sim.send_datagram(mallory, ([255; 4], 5670).into(), "no beacon");
    /// sim.run_for(Duration::from_millis(1));
    /// let alice = sim.stack(node).expect("nobody stopped it");
    /// assert_eq!(alice.counters().datagrams_malformed, 1);
    /// ```
    pub fn send_datagram(&mut self, from: HostId, to: SocketAddr, octets: impl Into<Bytes>) {
        self.world
            .send_datagram(from, BEACON_PORT, to, &octets.into());
    }

    /// How the hosts' TCP behaves, from now on.
    pub const fn tcp(&mut self) -> &mut Tcp {
        &mut self.world.tcp
    }

    /// How good a segment is, from now on.
    pub fn quality(&mut self, segment: SegmentId) -> &mut Quality {
        &mut self.world.topology.segment_mut(segment).quality
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

impl World {
    /// What the clock of a host says.
    pub(crate) fn host_now(&self, host: HostId) -> Instant {
        self.now + self.topology.host(host).ahead
    }

    pub(crate) fn say(&mut self, node: NodeId, kind: Kind, words: [u64; 3]) {
        self.trace.say(self.now, Some(node), kind, words);
    }

    pub(crate) fn say_all(&mut self, kind: Kind, words: [u64; 3]) {
        self.trace.say(self.now, None, kind, words);
    }

    /// Binds a mailbox on an interface and tells the node, or a socket for a relay.
    fn bind(
        &mut self,
        node: NodeId,
        host: HostId,
        index: usize,
        port: Option<u16>,
        engine: &mut Engine,
    ) -> Option<Bound> {
        let now = self.host_now(host);
        let machine = self.topology.host_mut(host);
        let iface = machine.interfaces.get(index)?;
        let address = iface.address;
        let is_free = |port: u16| {
            !machine
                .listeners
                .contains_key(&SocketAddr::new(address, port))
        };
        let port = port.filter(|port| is_free(*port)).or_else(|| {
            (0..=u16::MAX)
                .map(|n| machine.next_port.wrapping_add(n).max(1_024))
                .find(|port| is_free(*port))
        })?;
        if port == machine.next_port {
            machine.next_port = port.wrapping_add(1).max(1_024);
        }
        let mailbox = SocketAddr::new(address, port);
        machine.listeners.insert(mailbox, node);
        let interface = Interface {
            name: iface.name.clone(),
            address,
            port,
            zone: 0,
        };
        let id = engine.handle_interface_up(now, interface);
        self.say(node, Kind::InterfaceUp, trace::address(mailbox));
        Some(Bound { id, index, mailbox })
    }

    /// The port for the datagrams of a node: the one of beacons is for all; a directed node, or one that asks for another, has one of its
    /// own.
    fn beacon_port(&self, host: HostId, beacons: Beacons, wanted: Option<u16>) -> u16 {
        let usual = match beacons {
            Beacons::Directed => DIRECTED_PORT,
            _ => BEACON_PORT,
        };
        let wanted = wanted.unwrap_or(usual);
        if wanted == BEACON_PORT {
            return BEACON_PORT;
        }
        let ears = &self.topology.host(host).ears;
        (wanted..=u16::MAX)
            .find(|port| ears.iter().all(|ear| ear.port != *port))
            .unwrap_or(wanted)
    }
}

/// Makes the node of a process.
pub(crate) fn launch(
    world: &mut World,
    processes: &mut Vec<Process>,
    host: HostId,
    place: &Place,
    config: Config,
    program: Option<ProgramId>,
) -> NodeId {
    let id = NodeId(count(processes.len()));
    let beacons = config.beacons;
    let seed = world.chance.seed();
    let now = world.host_now(host);
    let stack = Stack::new(now, seed, config);
    let words = [u64::from(host.0), trace::short(stack.id()), 0];
    world.trace.name(stack.name().to_str_lossy().into_owned());
    world.trace.say(world.now, Some(id), Kind::Start, words);
    let beacon_port = world.beacon_port(host, beacons, place.beacon_port);
    let ear = beacons.hears().then_some(beacon_port);
    occupy(
        world,
        processes,
        Tenancy {
            host,
            program,
            beacon_port,
            ear,
        },
        place,
        Engine::Node(stack),
    )
}

/// Makes a relay of a program.
pub(crate) fn launch_relay(
    world: &mut World,
    processes: &mut Vec<Process>,
    host: HostId,
    place: &Place,
    limits: relay::Limits,
    program: ProgramId,
) -> NodeId {
    let id = NodeId(count(processes.len()));
    world.trace.name("relay".to_owned());
    let words = [u64::from(host.0), 0, 0];
    world
        .trace
        .say(world.now, Some(id), Kind::StartRelay, words);
    let tenancy = Tenancy {
        host,
        program: Some(program),
        beacon_port: 0,
        ear: None,
    };
    let engine = Engine::Relay(Relay::new(limits));
    occupy(world, processes, tenancy, place, engine)
}

/// What a process takes of a host beside its place.
#[derive(Clone, Copy, Debug)]
struct Tenancy {
    host: HostId,
    program: Option<ProgramId>,
    /// From where it sends datagrams.
    beacon_port: u16,
    /// Where it hears them, if it does.
    ear: Option<u16>,
}

/// Gives a process its sockets.
fn occupy(
    world: &mut World,
    processes: &mut Vec<Process>,
    tenancy: Tenancy,
    place: &Place,
    mut engine: Engine,
) -> NodeId {
    let Tenancy {
        host,
        program,
        beacon_port,
        ear,
    } = tenancy;
    let id = NodeId(count(processes.len()));
    let mut interfaces = Vec::new();
    for index in 0..world.topology.host(host).interfaces.len() {
        let machine = world.topology.host(host);
        let Some(segment) = machine.interfaces.get(index).map(|iface| iface.segment) else {
            continue;
        };
        if place
            .segments
            .as_ref()
            .is_some_and(|on| !on.contains(&segment))
        {
            continue;
        }
        interfaces.extend(world.bind(id, host, index, place.port, &mut engine));
        if let Some(port) = ear {
            world.topology.host_mut(host).ears.push(Ear {
                node: id,
                segment,
                port,
            });
        }
    }
    world.topology.host_mut(host).nodes.push(id);
    let chance = world.chance.fork();
    processes.push(Process {
        host,
        program,
        running: Some(Box::new(Running::new(
            engine,
            interfaces,
            beacon_port,
            chance,
        ))),
    });
    id
}

/// An interface that a node or a relay uses.
#[derive(Clone, Copy, Debug)]
struct Bound {
    /// How a node calls it; a relay has no name for it.
    id: Option<InterfaceId>,
    index: usize,
    mailbox: SocketAddr,
}
