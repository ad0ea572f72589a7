//! Programs with several nodes or sockets in one process.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::once::{Relay, relay};
use atonce::socket::{self, Socket};
use atonce::wire::once::Ticket;
use atonce::zmtp::{Credentials, Verdict};
use atonce::{Config, Event, Instant, Stack};
use bytes::Bytes;

use crate::application::{Context, NodeId};
use crate::chance::Chance;
use crate::sim::{Coming, Process, World, launch, launch_relay, launch_socket, launch_udp};
use crate::socket::SocketContext;
use crate::topology::{HostId, SegmentId};
use crate::trace::Kind;

/// A program of a [`Sim`](crate::Sim): one process with as many nodes as it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramId(pub(crate) u32);

/// Where on its host a node is.
///
/// ```
/// use atonce_sim::Place;
///
/// // On every interface, each with a mailbox on a port that is free; beacons on 5670.
/// let usual = Place::default();
/// // The same, with its mailbox on a port of its own.
/// let fixed = Place { port: Some(7_000), ..usual };
/// assert_eq!(fixed.beacon_port, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The segments on which it is; `None`: all of its host.
    pub segments: Option<Vec<SegmentId>>,
    /// The port of its mailboxes; a free one when it is `None`, or taken. All of them have the same where that is possible.
    pub port: Option<u16>,
    /// The port at which it hears and from which it sends datagrams; `None`: that of beacons, 5670, which all processes of a
    /// host may use, or 5671 when it is [directed](atonce::zre::Beacons::Directed). Any but 5670 is for one node alone: when it is taken,
    /// the next free one is used.
    pub beacon_port: Option<u16>,
}

/// What one process does with several nodes, or with [sockets](Nodes::start_socket): a gateway, say, that is on two networks.
///
/// [`Sim::start_program`](crate::Sim::start_program) starts it. Its nodes and sockets, those of UDP as well, come and go while it runs, and it ends when the last of
/// them has, with the relays that it runs beside them. What is done to one of them by [`Sim::kill`](crate::Sim::kill), [`suspend`](crate::Sim::suspend) and the like is done to the
/// process, and so to all.
///
/// ```
/// use atonce::{Config, Event};
/// use atonce_sim::{NodeId, Nodes, Place, Program, Sim};
/// use std::time::Duration;
///
/// /// Repeats on one LAN what is shouted on the other.
/// #[derive(Default)]
/// struct Repeater {
///     nodes: Vec<NodeId>,
/// }
///
/// impl Program for Repeater {
///     fn on_start(&mut self, nodes: &mut Nodes<'_>) {
///         for segment in nodes.segments() {
///             let place = Place { segments: Some(vec![segment]), ..Place::default() };
///             let node = nodes.start(&place, Config::default());
///             let chat = "CHAT".try_into().unwrap_or_default();
///             nodes.with(node, |context| context.join(&chat));
///             self.nodes.push(node);
///         }
///     }
///
///     fn on_event(&mut self, nodes: &mut Nodes<'_>, node: NodeId, event: Event) {
///         if let Event::Shout { group, content, .. } = event {
///             for other in self.nodes.iter().filter(|other| **other != node) {
///                 let said = nodes.with(*other, |context| context.shout(&group, content.clone()));
///                 assert!(said.is_some_and(|said| said.is_ok()));
///             }
///         }
///     }
/// }
///
/// let mut sim: Sim<Vec<Event>> = Sim::new(1);
/// let lans = [sim.segment(), sim.segment()];
/// let both = sim.host(lans[0], [10, 0, 0, 9]);
/// sim.attach(both, lans[1], [10, 0, 1, 9]);
/// sim.start_program(both, Repeater::default());
/// let chat = "CHAT".try_into()?;
/// let [alice, bob] = [(lans[0], [10, 0, 0, 1]), (lans[1], [10, 0, 1, 1])].map(|(lan, address)| {
///     let host = sim.host(lan, address);
///     let node = sim.start_named(host, "somebody", Vec::new());
///     sim.with(node, |_, context| context.join(&chat));
///     node
/// });
/// sim.run_for(Duration::from_secs(1));
/// sim.with(alice, |_, context| context.shout(&chat, "hello"));
/// sim.run_for(Duration::from_secs(1));
/// assert!(matches!(sim.application(bob).last(), Some(Event::Shout { content, .. }) if content[0] == "hello"));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
pub trait Program: Any {
    /// The process was started; it has no node yet.
    fn on_start(&mut self, nodes: &mut Nodes<'_>);

    /// Something happened at one of its nodes.
    fn on_event(&mut self, nodes: &mut Nodes<'_>, node: NodeId, event: Event) {
        let _ = (nodes, node, event);
    }

    /// Something happened at one of its sockets: there may be messages to receive, or room to send some. Told once for all that happened
    /// together; what it does not take waits there, and is not told of again before something else happens.
    fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        let _ = (nodes, socket);
    }

    /// One of its sockets tells its monitor something.
    fn on_socket_event(&mut self, nodes: &mut Nodes<'_>, socket: NodeId, event: socket::Event) {
        let _ = (nodes, socket, event);
    }

    /// A datagram came to one of its [sockets of UDP](Nodes::start_udp).
    fn on_datagram(
        &mut self,
        nodes: &mut Nodes<'_>,
        udp: NodeId,
        source: SocketAddr,
        datagram: Bytes,
    ) {
        let _ = (nodes, udp, source, datagram);
    }

    /// One of its sockets asks whether a client may come in. Unless said otherwise everybody may.
    fn on_credentials(
        &mut self,
        nodes: &mut Nodes<'_>,
        socket: NodeId,
        credentials: &Credentials,
    ) -> Verdict {
        let _ = (nodes, socket, credentials);
        Verdict::Allow
    }

    /// A secure node of it asks whether the owner of this key may come in, or be spoken to. Unless said otherwise everybody may.
    fn on_question(&mut self, nodes: &mut Nodes<'_>, node: NodeId, key: &PublicKey) -> Verdict {
        let _ = (nodes, node, key);
        Verdict::Allow
    }

    /// Time that [`Nodes::set_timer`] was asked for has passed.
    fn on_timer(&mut self, nodes: &mut Nodes<'_>, token: u64) {
        let _ = (nodes, token);
    }

    /// Whether it takes an event of this node now. What it does not take stays where it is, so that those who talk to the node are
    /// held back in the end; it is asked again whenever it was told anything.
    fn wants(&self, node: NodeId) -> bool {
        let _ = node;
        true
    }
}

/// The nodes of a [`Program`], and what it can do beside them.
#[derive(Debug)]
pub struct Nodes<'a> {
    pub(crate) program: ProgramId,
    pub(crate) host: HostId,
    pub(crate) world: &'a mut World,
    pub(crate) processes: &'a mut Vec<Process>,
    pub(crate) members: &'a mut Vec<NodeId>,
    pub(crate) chance: &'a mut Chance,
    /// Nodes with which something was done.
    pub(crate) touched: &'a mut Vec<NodeId>,
}

impl Nodes<'_> {
    /// Which program this is.
    pub const fn program(&self) -> ProgramId {
        self.program
    }

    /// On which host it runs.
    pub const fn host(&self) -> HostId {
        self.host
    }

    /// The segments on which its host is, in the order in which it was attached to them.
    pub fn segments(&self) -> Vec<SegmentId> {
        let interfaces = self.world.topology.host(self.host).interfaces.iter();
        interfaces.map(|iface| iface.segment).collect()
    }

    /// What the clock of the host says.
    pub fn now(&self) -> Instant {
        self.world.host_now(self.host)
    }

    /// What time it really is.
    pub const fn true_now(&self) -> Instant {
        self.world.now
    }

    /// Randomness of this process.
    pub const fn chance(&mut self) -> &mut Chance {
        self.chance
    }

    /// Calls [`Program::on_timer`] with this token after so long.
    pub fn set_timer(&mut self, after: Duration, token: u64) {
        let program = self.program;
        let at = self.world.now + after;
        self.world
            .schedule
            .push(at, Coming::ProgramTimer { program, token });
    }

    /// Starts one more node. Its application is the program.
    pub fn start(&mut self, place: &Place, config: Config) -> NodeId {
        let node = launch(
            self.world,
            self.processes,
            self.host,
            place,
            config,
            Some(self.program),
        );
        self.members.push(node);
        self.touched.push(node);
        node
    }

    /// Starts a relay of @Once beside the nodes of this process, which accepts connections at this place; its port is
    /// [`port`](Nodes::port), on every interface. Nobody is joined there before it is told whom to [expect](Nodes::expect).
    ///
    /// What happens to the process and its host happens to it: it is suspended, stalled and killed with the nodes, and ends with the
    /// last of them. [`Sim::relay`](crate::Sim::relay) asks it, and [`Sim::stack`](crate::Sim::stack) does not know it.
    pub fn start_relay(&mut self, place: &Place, limits: relay::Limits) -> NodeId {
        let relay = launch_relay(
            self.world,
            self.processes,
            self.host,
            place,
            limits,
            self.program,
        );
        self.members.push(relay);
        relay
    }

    /// One of its relays, to ask it; `None` when it has ended, or is none of this process.
    pub fn relay(&self, relay: NodeId) -> Option<&Relay> {
        let process = self.processes.get(relay.index())?;
        let own = process.program == Some(self.program);
        process.relay().filter(|_| own)
    }

    /// See [`Relay::expect`]; `None` when it has ended, or is no relay of this process.
    pub fn expect(&mut self, relay: NodeId, dialler: Ticket, acceptor: Ticket) -> Option<bool> {
        let now = self.now();
        let process = self.processes.get_mut(relay.index())?;
        if process.program != Some(self.program) {
            return None;
        }
        let expected = process.expect(now, dialler, acceptor)?;
        self.world
            .say(relay, Kind::Expect, [u64::from(expected), 0, 0]);
        self.touched.push(relay);
        Some(expected)
    }

    /// Starts a ZMTP socket in this process. It listens and dials where the program tells it to,
    /// [with](Nodes::with_socket) [`bind`](SocketContext::bind) and [`connect`](SocketContext::connect).
    ///
    /// What happens to the process and its host happens to it. The process ends with the last of its nodes and sockets.
    pub fn start_socket(&mut self, kind: socket::Kind, config: socket::Config) -> NodeId {
        let program = Some(self.program);
        let socket = launch_socket(self.world, self.processes, self.host, kind, config, program);
        self.members.push(socket);
        self.touched.push(socket);
        socket
    }

    /// One of its sockets, to ask it; `None` when it has ended, or is none of this process.
    pub fn socket(&self, socket: NodeId) -> Option<&Socket> {
        let process = self.processes.get(socket.index())?;
        let own = process.program == Some(self.program);
        process.socket().filter(|_| own)
    }

    /// Does something with one of its sockets; `None` when it has ended, or is none of this process.
    pub fn with_socket<T>(
        &mut self,
        socket: NodeId,
        act: impl FnOnce(&mut SocketContext<'_>) -> T,
    ) -> Option<T> {
        let process = self.processes.get_mut(socket.index())?;
        if process.program != Some(self.program) {
            return None;
        }
        let mut context = process.socket_context(socket, self.world)?;
        let result = act(&mut context);
        if self.touched.last() != Some(&socket) {
            self.touched.push(socket);
        }
        Some(result)
    }

    /// Opens a socket of UDP in this process, at this port and on every interface that its host has now: it hears what is sent to the
    /// host, to all on its segments, and to the groups that the host [joined](Nodes::join_multicast), its own datagrams included.
    /// Several of a host may be at one port, as with `SO_REUSEADDR`; then each hears everything. What comes is told by
    /// [`Program::on_datagram`]; of what it is too slow for the kernel keeps 256 datagrams.
    ///
    /// What happens to the process and its host happens to it. The process ends with the last of its nodes and sockets, so that one
    /// with no other lives until this one is [closed](Nodes::close_udp).
    ///
    /// ```
    /// use atonce::Bytes;
    /// use atonce_sim::{NodeId, Nodes, Program, Sim};
    /// use std::net::SocketAddr;
    /// use std::time::Duration;
    ///
    /// /// Tells everybody that it is there, and counts who does.
    /// #[derive(Default)]
    /// struct Roll {
    ///     heard: Vec<SocketAddr>,
    /// }
    ///
    /// impl Program for Roll {
    ///     fn on_start(&mut self, nodes: &mut Nodes<'_>) {
    ///         let udp = nodes.start_udp(7_000);
    ///         nodes.join_multicast([239, 1, 2, 3]);
    ///         nodes.send_datagram(udp, ([239, 1, 2, 3], 7_000).into(), "here");
    ///     }
    ///
    ///     fn on_datagram(&mut self, _: &mut Nodes<'_>, _: NodeId, source: SocketAddr, _: Bytes) {
    ///         self.heard.push(source);
    ///     }
    /// }
    ///
    /// let mut sim: Sim<()> = Sim::new(1);
    /// let lan = sim.segment();
    /// let [first, second] = [1, 2].map(|n| {
    ///     let host = sim.host(lan, [10, 0, 0, n]);
    ///     let program = sim.start_program(host, Roll::default());
    ///     sim.run_for(Duration::from_millis(1));
    ///     program
    /// });
    /// let heard = [first, second].map(|program| sim.program::<Roll>(program).map(|roll| roll.heard.len()));
    /// assert_eq!(heard, [Some(2), Some(1)]);
    /// ```
    pub fn start_udp(&mut self, port: u16) -> NodeId {
        let udp = launch_udp(self.world, self.processes, self.host, port, self.program);
        self.members.push(udp);
        udp
    }

    /// Lets the host take the datagrams of a multicast group, on all its segments. It does until the end of the simulation, whatever becomes
    /// of this process.
    ///
    /// # Panics
    ///
    /// When the address is none of a group.
    pub fn join_multicast(&mut self, group: impl Into<IpAddr>) {
        self.world.join_multicast(self.host, group.into());
    }

    /// Sends a datagram from one of its sockets of UDP: to one address, to everybody on the segments of its host (255.255.255.255), or to
    /// a multicast group there, which no router passes on. Nothing happens when the socket has ended, or is another's.
    pub fn send_datagram(&mut self, udp: NodeId, to: SocketAddr, octets: impl Into<Bytes>) {
        let process = self.processes.get(udp.index());
        let process = process.filter(|process| process.program == Some(self.program));
        if let Some(port) = process.and_then(Process::udp_port) {
            self.world
                .send_datagram(self.host, port, to, &octets.into());
        }
    }

    /// Closes one of its sockets of UDP: nothing more comes to it.
    pub fn close_udp(&mut self, udp: NodeId) {
        let Some(process) = self.processes.get_mut(udp.index()) else {
            return;
        };
        if process.program == Some(self.program) && process.close_udp() {
            self.world.say(udp, Kind::CloseUdp, [0; 3]);
            self.touched.push(udp);
        }
    }

    /// The addresses that the interfaces of its host have now.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let interfaces = self.world.topology.host(self.host).interfaces.iter();
        interfaces.map(|iface| iface.address).collect()
    }

    /// The port of the first mailbox of a node, that of a relay, or where a socket listens first; `None` when it has ended, or is another's.
    pub fn port(&self, node: NodeId) -> Option<u16> {
        let process = self.processes.get(node.index())?;
        let own = process.program == Some(self.program);
        process.port().filter(|_| own)
    }

    /// Its nodes and relays that have not ended, in the order in which they were started.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + use<'_> {
        self.members.iter().copied()
    }

    /// One of its nodes, to ask it; `None` when it has ended, is another's, or is a relay.
    pub fn stack(&self, node: NodeId) -> Option<&Stack> {
        let process = self.processes.get(node.index())?;
        let own = process.program == Some(self.program);
        process.stack().filter(|_| own)
    }

    /// Does something with one of its nodes; `None` when it has ended, is another's, or is a relay.
    pub fn with<T>(&mut self, node: NodeId, act: impl FnOnce(&mut Context<'_>) -> T) -> Option<T> {
        let process = self.processes.get_mut(node.index())?;
        if process.program != Some(self.program) {
            return None;
        }
        let mut context = process.context(node, self.world)?;
        let result = act(&mut context);
        if self.touched.last() != Some(&node) {
            self.touched.push(node);
        }
        Some(result)
    }
}
