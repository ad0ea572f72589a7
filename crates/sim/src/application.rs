//! What runs on a node, and what it can do.

use std::net::SocketAddr;
use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::endpoint::Endpoint;
use atonce::wire::once::{RelayRole, Ticket};
use atonce::zmtp::Verdict;
use atonce::zre::{ConnectError, SendError, Shouted};
use atonce::{Event, Frames, Instant, PeerId, Stack, Text};

use crate::chance::Chance;
use crate::schedule::Schedule;
use crate::sim::Coming;
use crate::topology::HostId;
use crate::trace::{self, Kind, Trace};

/// A process of a [`Sim`](crate::Sim): one node and its application. A process that was started anew is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// As a number, for tables of one's own: the first process is 0.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

/// The program on a node: what it does when something happens.
///
/// ```
/// use atonce::{Event, Frames};
/// use atonce_sim::{Application, Context, Sim};
/// use std::time::Duration;
///
/// /// Answers every whisper.
/// #[derive(Default)]
/// struct Echo {
///     answered: usize,
/// }
///
/// impl Application for Echo {
///     fn on_event(&mut self, context: &mut Context<'_>, event: Event) {
///         match event {
///             Event::Enter { peer } if context.name() == "alice" => {
///                 context.whisper(peer.id, "hello").expect("the first is never too many");
///             }
///             Event::Whisper { peer, content } if context.name() == "bob" => {
///                 self.answered += 1;
///                 context.whisper(peer.id, content).expect("nor is one for each that came");
///             }
///             _ => {}
///         }
///     }
/// }
///
/// let mut sim = Sim::new(1);
/// let lan = sim.segment();
/// for (name, address) in [("alice", [10, 0, 0, 1]), ("bob", [10, 0, 0, 2])] {
///     let host = sim.host(lan, address);
///     sim.start_named(host, name, Echo::default());
/// }
/// sim.run_for(Duration::from_secs(1));
/// assert_eq!(sim.nodes().map(|node| sim.application(node).answered).sum::<usize>(), 1);
/// ```
pub trait Application {
    /// The process was started; its interfaces are up.
    fn on_start(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Something happened.
    fn on_event(&mut self, context: &mut Context<'_>, event: Event);

    /// A secure node asks whether the owner of this key may come in, or be spoken to. Unless said otherwise everybody may.
    fn on_question(&mut self, context: &mut Context<'_>, key: &PublicKey) -> Verdict {
        let _ = (context, key);
        Verdict::Allow
    }

    /// Time that [`Context::set_timer`] was asked for has passed.
    fn on_timer(&mut self, context: &mut Context<'_>, token: u64) {
        let _ = (context, token);
    }
}

/// An application that does nothing: for nodes that a test commands from outside, with [`Sim::with`](crate::Sim::with).
impl Application for () {
    fn on_event(&mut self, _: &mut Context<'_>, _: Event) {}
}

/// An application that keeps every event.
impl Application for Vec<Event> {
    fn on_event(&mut self, _: &mut Context<'_>, event: Event) {
        self.push(event);
    }
}

/// Applications of several kinds in one simulation.
impl<A: Application + ?Sized> Application for Box<A> {
    fn on_start(&mut self, context: &mut Context<'_>) {
        (**self).on_start(context);
    }

    fn on_event(&mut self, context: &mut Context<'_>, event: Event) {
        (**self).on_event(context, event);
    }

    fn on_question(&mut self, context: &mut Context<'_>, key: &PublicKey) -> Verdict {
        (**self).on_question(context, key)
    }

    fn on_timer(&mut self, context: &mut Context<'_>, token: u64) {
        (**self).on_timer(context, token);
    }
}

/// A node, as its application has it: the commands of [`Stack`], timers, and randomness that is the same on every run.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) node: NodeId,
    pub(crate) host: HostId,
    /// The simulation's time, and how far the host's clock is ahead of it.
    pub(crate) now: Instant,
    pub(crate) ahead: Duration,
    pub(crate) stack: &'a mut Stack,
    pub(crate) chance: &'a mut Chance,
    pub(crate) schedule: &'a mut Schedule<Coming>,
    pub(crate) trace: &'a mut Trace,
}

impl Context<'_> {
    /// Which process this is.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// On which host it runs.
    pub const fn host(&self) -> HostId {
        self.host
    }

    /// What the clock of the host says.
    pub fn now(&self) -> Instant {
        self.now + self.ahead
    }

    /// What time it really is.
    pub const fn true_now(&self) -> Instant {
        self.now
    }

    /// The node, to ask it.
    pub const fn stack(&self) -> &Stack {
        self.stack
    }

    /// The node's name.
    pub const fn name(&self) -> &Text {
        self.stack.name()
    }

    /// Randomness of this process.
    pub const fn chance(&mut self) -> &mut Chance {
        self.chance
    }

    /// Calls [`Application::on_timer`] with this token after so long.
    pub fn set_timer(&mut self, after: Duration, token: u64) {
        let node = self.node;
        self.schedule
            .push(self.now + after, Coming::Timer { node, token });
    }

    /// See [`Stack::join`].
    pub fn join(&mut self, group: &Text) {
        self.stack.join(self.now + self.ahead, group);
        self.say(Kind::Join, [trace::checksum(group.as_bytes()), 0, 0]);
    }

    /// See [`Stack::contest`].
    pub fn contest(&mut self, group: &Text) {
        self.stack.contest(self.now + self.ahead, group);
        self.say(Kind::Contest, [trace::checksum(group.as_bytes()), 1, 0]);
    }

    /// See [`Stack::withdraw`].
    pub fn withdraw(&mut self, group: &Text) {
        self.stack.withdraw(self.now + self.ahead, group);
        self.say(Kind::Contest, [trace::checksum(group.as_bytes()), 0, 0]);
    }

    /// See [`Stack::leave`].
    pub fn leave(&mut self, group: &Text) {
        self.stack.leave(self.now + self.ahead, group);
        self.say(Kind::Leave, [trace::checksum(group.as_bytes()), 0, 0]);
    }

    /// See [`Stack::whisper`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent.
    pub fn whisper(&mut self, peer: PeerId, content: impl Into<Frames>) -> Result<(), SendError> {
        let content = content.into();
        let sum = sum(&content);
        let sent = self.stack.whisper(self.now + self.ahead, peer, &content);
        let outcome = trace::outcome(sent.as_ref().map(|()| 1));
        self.say(Kind::Whisper, [trace::short(peer), sum, outcome]);
        sent
    }

    /// See [`Stack::shout`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent.
    pub fn shout(
        &mut self,
        group: &Text,
        content: impl Into<Frames>,
    ) -> Result<Shouted, SendError> {
        let content = content.into();
        let sum = sum(&content);
        let sent = self.stack.shout(self.now + self.ahead, group, &content);
        let outcome = trace::outcome(sent.as_ref().map(|shouted| shouted.reached as u64));
        let group = trace::checksum(group.as_bytes());
        self.say(Kind::Shout, [group, sum, outcome]);
        sent
    }

    /// See [`Stack::connect`].
    pub fn connect(&mut self, endpoint: &Endpoint) {
        // A secure network refuses this.
        let _ = self.stack.connect(self.now + self.ahead, endpoint);
        let sum = trace::checksum(endpoint.to_string().as_bytes());
        self.say(Kind::Connect, [sum, 0, 0]);
    }

    /// [`connect`](Context::connect) to an address.
    pub fn connect_to(&mut self, address: SocketAddr) {
        self.connect(&Endpoint::from(address));
    }

    /// See [`Stack::connect_with_key`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    pub fn connect_with_key(
        &mut self,
        endpoint: &Endpoint,
        key: PublicKey,
    ) -> Result<(), ConnectError> {
        let now = self.now();
        let contacted = self.stack.connect_with_key(now, endpoint, key);
        let sum = trace::checksum(endpoint.to_string().as_bytes());
        self.say(Kind::Connect, [sum, 0, 0]);
        contacted
    }

    /// See [`Stack::dial_relayed`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    pub fn dial_relayed(
        &mut self,
        peer: PeerId,
        key: PublicKey,
        relay: SocketAddr,
        ticket: Ticket,
        role: RelayRole,
    ) -> Result<(), ConnectError> {
        let now = self.now();
        let stack = &mut self.stack;
        let dialled = stack.dial_relayed(now, peer, key, relay, ticket, role);
        self.say(Kind::DialRelayed, [trace::short(peer), 0, 0]);
        self.say(Kind::Address, trace::address(relay));
        dialled
    }

    /// See [`Stack::disconnect`].
    pub fn disconnect(&mut self, endpoint: &Endpoint) {
        self.stack.disconnect(self.now + self.ahead, endpoint);
        let sum = trace::checksum(endpoint.to_string().as_bytes());
        self.say(Kind::Disconnect, [sum, 0, 0]);
    }

    /// See [`Stack::beacon`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    pub fn beacon(&mut self, address: SocketAddr) -> Result<(), ConnectError> {
        let sought = self.stack.beacon(self.now + self.ahead, address);
        self.say(Kind::Seek, trace::address(address));
        sought
    }

    /// See [`Stack::unbeacon`].
    pub fn unbeacon(&mut self, address: SocketAddr) {
        self.stack.unbeacon(address);
        self.say(Kind::Unseek, trace::address(address));
    }

    /// See [`Stack::introduce`].
    pub fn introduce(&mut self, id: PeerId, address: SocketAddr, key: Option<PublicKey>) {
        let now = self.now + self.ahead;
        self.stack.introduce(now, id, address, key);
        self.say(Kind::Introduce, [trace::short(id), 0, 0]);
    }

    /// See [`Stack::ignore`].
    pub fn ignore(&mut self, address: SocketAddr) {
        self.stack.ignore(self.now + self.ahead, address);
        self.say(Kind::Ignore, trace::address(address));
    }

    /// See [`Stack::heed`].
    pub fn heed(&mut self, address: SocketAddr) {
        self.stack.heed(address);
        self.say(Kind::Heed, trace::address(address));
    }

    /// See [`Stack::shout_to`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent.
    pub fn shout_to(
        &mut self,
        peer: PeerId,
        group: &Text,
        content: impl Into<Frames>,
    ) -> Result<(), SendError> {
        let content = content.into();
        let sum = sum(&content);
        let now = self.now + self.ahead;
        let sent = self.stack.shout_to(now, peer, group, &content);
        let outcome = trace::outcome(sent.as_ref().map(|()| 1));
        self.say(Kind::ShoutTo, [trace::short(peer), sum, outcome]);
        sent
    }

    /// See [`Stack::retire`]. The process ends, unless it has other nodes.
    pub fn retire(&mut self) {
        self.stack.retire(self.now + self.ahead);
        self.say(Kind::Retire, [0; 3]);
    }

    /// See [`Stack::stop`]. The process ends when everything is said.
    pub fn stop(&mut self) {
        self.stack.stop(self.now + self.ahead);
        self.say(Kind::Stop, [0; 3]);
    }

    fn say(&mut self, kind: Kind, words: [u64; 3]) {
        self.trace.say(self.now, Some(self.node), kind, words);
    }
}

fn sum(content: &Frames) -> u64 {
    content
        .iter()
        .fold(0, |sum, frame| sum ^ trace::checksum(frame))
}

/// Watches a simulation from outside: what the applications are told, and what goes over the wire.
pub trait Observer {
    /// A node's application is about to be told this.
    fn on_event(&mut self, now: Instant, node: NodeId, stack: &Stack, event: &Event) {
        let _ = (now, node, stack, event);
    }

    /// A process that dialled sends octets to one that accepted.
    fn on_octets(&mut self, now: Instant, link: Wire, octets: &[u8]) {
        let _ = (now, link, octets);
    }

    /// Everything was done that came of one thing that happened to a node.
    fn on_settled(&mut self, now: Instant, node: NodeId, stack: &Stack) {
        let _ = (now, node, stack);
    }

    /// A process ended or was killed; it does nothing any more.
    fn on_end(&mut self, now: Instant, node: NodeId) {
        let _ = (now, node);
    }
}

impl Observer for () {}

/// A TCP connection on which somebody speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Its name; never used twice at the same time.
    pub place: u32,
    /// How often that name was used before.
    pub generation: u32,
    /// Who dialled, and speaks.
    pub from: NodeId,
    /// Who accepted it; `None` when nobody has yet, or does any more.
    pub to: Option<NodeId>,
}
