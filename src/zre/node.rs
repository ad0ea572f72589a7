//! The node: what it holds, what the application asks of it, and what it gives back.

#[cfg(any(test, feature = "fuzz"))]
mod invariants;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracing::{debug, trace};

use super::deadlines::Due;
use super::dial::Dial;
use super::dials::Dials;
use super::electing::Elections;
use super::inbound::{Links, Role};
use super::inbox::Inbox;
use super::keys::{Key, Keys};
use super::partners::Partners;
use super::past::Past;
use super::record::Record;
use super::target::Target;
use super::tuples::Tuples;
use super::{Config, ConnectError, Counters, Event, PeerView, Usage, abilities};
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::{Endpoint, Host, HostName, told};
use crate::net::{Interface, InterfaceId, LinkId, nearness};
use crate::table::{Secret, Table};
use crate::timers::Timers;
use crate::wire::zre::{Command, Hello, Message};
use crate::wire::{Beacon, Text};
use crate::{Instant, PeerId};

/// How long after the last link was closed the goodbye is said: 20 ms, for what is in the buffers of both kernels and of
/// the peer.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// What the node wants done.
///
/// ```
/// use atonce::zre::{Action, Config, Node};
/// use atonce::Instant;
///
/// let mut node = Node::new(Instant::ZERO, [7; 32], Config::default());
/// node.connect(Instant::ZERO, &"tcp://192.168.1.7:49152".parse()?)?;
/// assert!(matches!(node.poll_action(), Some(Action::Dial { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The [`Stack`](crate::Stack) does it with its connections or passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Broadcast this beacon on the interface.
    Broadcast {
        /// Where.
        interface: InterfaceId,
        /// What.
        beacon: Beacon,
    },
    /// Send this beacon to one address, if the way there leads over this interface: from the socket on which beacons are heard,
    /// if there is one, or else from the one that broadcasts there. There is one such action for each interface of the address's
    /// family; an embedder that cannot tell the way does all of them.
    Beacon {
        /// On the way over which interface.
        interface: InterfaceId,
        /// Where to.
        to: SocketAddr,
        /// What.
        beacon: Beacon,
    },
    /// Say whether the owner of a key may be spoken to, by [`Node::handle_verdict`]. Only secure nodes ask, before each
    /// [`Action::Dial`], and whoever dials them is asked for by the one who makes the connections.
    #[cfg(feature = "curve")]
    Authenticate {
        /// What to answer with: the name of the link, if one is to be made.
        link: LinkId,
        /// Whose key. Nothing is proved yet: that comes with the handshake.
        key: PublicKey,
        /// Where it is said to be.
        remote: SocketAddr,
    },
    /// Open a connection to a mailbox, as a DEALER whose Identity is [`PeerId::identity`]; in a secure network as a client of
    /// CURVE, for the server with the key `Node::key_of`.
    Dial {
        /// Its name from now on.
        link: LinkId,
        /// Where to.
        address: SocketAddr,
    },
    /// Send this message.
    Send {
        /// Where.
        link: LinkId,
        /// What; [`Message::encode`] gives its frames.
        message: Message,
    },
    /// The other side of the link is a peer: the limits for strangers do not hold any more.
    Trust {
        /// Which.
        link: LinkId,
    },
    /// The node takes messages of the link again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Close the link and forget it.
    Close {
        /// Which.
        link: LinkId,
        /// Whether what is queued is to be sent first.
        flush: bool,
    },
    /// Look up a host name; answer with [`Node::handle_resolved`].
    Resolve {
        /// What to answer with.
        query: u64,
        /// The name.
        host: HostName,
        /// The port to put into the addresses.
        port: u16,
    },
}

/// A ZRE node as a machine that speaks messages.
///
/// It has one mailbox, into which its peers write, and one link to the mailbox of each peer (the Harmony pattern).
/// Most programs use it through [`Stack`](crate::Stack), which adds the ZMTP connections; on its own it suits those
/// who bring their own ZMTP.
///
/// Inputs are `handle_*` and the commands; after each, take everything from [`poll_action`](Node::poll_action), then
/// events from [`poll_event`](Node::poll_event), and come back at [`poll_timeout`](Node::poll_timeout).
///
/// ```
/// use atonce::zre::{Action, Config, Node};
/// use atonce::{Instant, Interface};
///
/// let mut node = Node::new(Instant::ZERO, [7; 32], Config::default());
/// let interface = Interface {
///     name: "lo".into(),
///     address: [127, 0, 0, 1].into(),
///     port: 49152,
///     zone: 1,
/// };
/// node.handle_interface_up(Instant::ZERO, interface);
/// // A node says at once that it is there.
/// assert!(matches!(node.poll_action(), Some(Action::Broadcast { .. })));
/// ```
#[derive(Debug)]
pub struct Node {
    pub(super) config: Config,
    pub(super) id: PeerId,
    pub(super) name: Text,
    rng: ChaCha12Rng,
    pub(super) interfaces: BTreeMap<InterfaceId, Interface>,
    next_interface: u32,
    /// The groups this node is in, and how often that changed, modulo 256.
    pub(super) groups: BTreeSet<Text>,
    pub(super) status: u8,
    pub(super) links: Links,
    /// Accepted links that did not prove to be a peer's, oldest first.
    pub(super) unproved: BTreeSet<LinkId>,
    /// Links that the embedder was asked not to read.
    pub(super) paused: BTreeSet<LinkId>,
    next_link: u64,
    /// Our own links by the address they lead to: never two to one address.
    pub(super) dials: Dials,
    /// Those of them on which something was said that nothing confirmed yet.
    pub(super) unsure: Vec<SocketAddr>,
    /// The dials that are expected to reach somebody.
    pub(super) expected: BTreeMap<PeerId, SocketAddr>,
    /// Nodes that greeted us and enter once our link to them is up, with the address of that link.
    pub(super) greeted: BTreeMap<PeerId, SocketAddr>,
    pub(super) peers: Table<PeerId, Record>,
    /// The peers in each group.
    pub(super) members: BTreeMap<Text, BTreeSet<PeerId>>,
    pub(super) elections: Elections,
    pub(super) targets: Vec<Target>,
    pub(super) partners: Partners,
    pub(super) tuples: Tuples,
    /// Mailboxes that are not there for this node.
    pub(super) ignored: BTreeSet<SocketAddr>,
    pub(super) past: Past,
    pub(super) keys: Keys,
    pub(super) inbox: Inbox,
    /// Peers of which something is to be told when the application took what waits of them.
    pub(super) untold: BTreeSet<PeerId>,
    pub(super) actions: VecDeque<Action>,
    pub(super) timers: Timers<Due>,
    pub(super) counters: Counters,
    stopping: bool,
    /// It ends without a goodbye.
    retired: bool,
    /// Links that are closed when all is sent.
    leaving: BTreeSet<LinkId>,
    stopped: bool,
}

impl Node {
    /// A node that knows nobody and has no interface yet.
    ///
    /// `seed` must be unpredictable to others and never used twice: the UUID, and later the keys, come from it. The same
    /// seed and the same inputs give the same actions.
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut octets = [0; 16];
        rng.fill_bytes(&mut octets);
        let id = config
            .uuid
            .unwrap_or_else(|| PeerId::from(uuid::Builder::from_random_bytes(octets).into_uuid()));
        let name = config.name.clone().unwrap_or_else(|| {
            let digits = id.to_string();
            Text::try_from(digits.get(..6).unwrap_or_default()).unwrap_or_default()
        });
        // A stream of its own, so that nothing else is drawn from it.
        let mut secrets = ChaCha12Rng::from_seed(seed);
        secrets.set_stream(1);
        let [a, b, c, d] = [(); 4].map(|()| secrets.next_u64());
        let secret = Secret::with_seeds(a, b, c, d);
        let mut timers = Timers::new(secret.clone());
        if config.beacons.broadcasts() {
            timers.set(Due::Beacon, now + config.interval);
        }
        debug!(%id, %name, "node");
        Self {
            config,
            id,
            name,
            rng,
            interfaces: BTreeMap::new(),
            next_interface: 0,
            groups: BTreeSet::new(),
            status: 0,
            links: Links::new(),
            unproved: BTreeSet::new(),
            paused: BTreeSet::new(),
            next_link: 0,
            dials: Dials::new(secret.clone()),
            unsure: Vec::new(),
            expected: BTreeMap::new(),
            greeted: BTreeMap::new(),
            peers: Table::new(secret.clone()),
            members: BTreeMap::new(),
            elections: Elections::default(),
            targets: Vec::new(),
            partners: Partners::default(),
            tuples: Tuples::default(),
            ignored: BTreeSet::new(),
            past: Past::default(),
            keys: Keys::default(),
            inbox: Inbox::new(secret.clone()),
            untold: BTreeSet::new(),
            actions: VecDeque::new(),
            timers,
            counters: Counters::default(),
            stopping: false,
            retired: false,
            leaving: BTreeSet::new(),
            stopped: false,
        }
    }

    // ---- what the application asks

    /// Joins a group and tells every peer. Nothing happens when the node is in it already.
    pub fn join(&mut self, now: Instant, group: &Text) {
        if !self.stopping && self.groups.insert(group.clone()) {
            // ZRE-72
            self.status = self.status.wrapping_add(1);
            self.tell_all(now, |group| Command::Join { group, status: 0 }, group);
            self.contest_again(now, group);
        }
    }

    /// Leaves a group and tells every peer. Nothing happens when the node is not in it.
    pub fn leave(&mut self, now: Instant, group: &Text) {
        if !self.stopping && self.groups.remove(group) {
            // ZRE-72
            self.status = self.status.wrapping_add(1);
            self.tell_all(now, |group| Command::Leave { group, status: 0 }, group);
            self.end_election(group);
        }
    }

    /// Contacts a node by its endpoint, beside or instead of beacons, and goes on trying with growing pauses (at most 30 s) until
    /// [`disconnect`](Node::disconnect). A host name is looked up by the embedder, anew for each try.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NoKey`] when the node is secure: `connect_with_key` is for it. Or
    /// [`ConnectError::Stopped`].
    pub fn connect(&mut self, now: Instant, endpoint: &Endpoint) -> Result<(), ConnectError> {
        // ZRE-121
        if self.is_secure() {
            return Err(ConnectError::NoKey);
        }
        self.contact(now, endpoint, None)
    }

    /// The same for a secure node: whoever is there has to have this key.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NotSecure`], [`ConnectError::UselessKey`] or [`ConnectError::Stopped`].
    #[cfg(feature = "curve")]
    pub fn connect_with_key(
        &mut self,
        now: Instant,
        endpoint: &Endpoint,
        key: PublicKey,
    ) -> Result<(), ConnectError> {
        if !self.is_secure() {
            return Err(ConnectError::NotSecure);
        }
        // ZRE-111
        if !self.is_useful(Some(key)) {
            return Err(ConnectError::UselessKey);
        }
        self.contact(now, endpoint, Some(key))
    }

    fn contact(
        &mut self,
        now: Instant,
        endpoint: &Endpoint,
        key: Option<Key>,
    ) -> Result<(), ConnectError> {
        if self.stopping {
            return Err(ConnectError::Stopped);
        }
        match endpoint.socket_address() {
            Some(address) => self.dial_for_ever(now, address, None, key),
            None => self.add_target(now, endpoint, key),
        }
        Ok(())
    }

    /// Forgets what [`connect`](Node::connect) or `connect_with_key` asked for, with whatever key. A peer that is here stays, and
    /// so does a link that is up already; when they end, nobody is tried there any more unless a beacon leads there. A dial or a
    /// look-up that is still on its way is given up. An endpoint that nobody asked for changes nothing.
    pub fn disconnect(&mut self, now: Instant, endpoint: &Endpoint) {
        match (&endpoint.host, endpoint.socket_address()) {
            (_, Some(address)) => self.forget_address(now, address),
            (Host::Name(host), None) => self.forget_target(now, host, endpoint.port),
            (Host::Ip(_), None) => {}
        }
    }

    /// Closes every link after what is queued was sent, then says goodbye to all. Nothing is taken in any more. Each
    /// [`Action::Close`] that asks to flush is to be answered with [`handle_disconnected`](Node::handle_disconnected)
    /// when it is done.
    pub fn stop(&mut self, now: Instant) {
        self.end_all(now, false);
    }

    /// Ends like [`stop`](Node::stop), but says no goodbye of any kind, neither to peers nor in beacons: for a node in the place of
    /// which another comes under the same UUID, since a goodbye in its name would be taken for the other's. What is queued is sent
    /// and every link is closed; until the other greets them, peers find the links cut. Does nothing when the node is stopping.
    pub fn retire(&mut self, now: Instant) {
        self.end_all(now, true);
    }

    fn end_all(&mut self, now: Instant, retired: bool) {
        if core::mem::replace(&mut self.stopping, true) {
            return;
        }
        debug!(id = %self.id, retired, "stop");
        self.retired = retired;
        let able: Vec<_> = self
            .peers
            .values()
            // ZRE-98
            .filter(|record| {
                record.elects
                    || abilities::has(&record.card, abilities::GOODBYE)
                    // ZRE-157
                    || self.tuples.contains(record.card.id)
            })
            // ZRE-137
            .filter(|_| !retired)
            .map(|record| record.address)
            .collect();
        for address in able {
            self.say(address, Command::Goodbye);
        }
        for (link, role) in self.links.take() {
            let flush = match role {
                Role::Outbound(_) => true,
                Role::Inbound(inbound) => inbound.way().is_some(),
            };
            if flush {
                self.leaving.insert(link);
            }
            self.actions.push_back(Action::Close { link, flush });
        }
        self.timers.clear();
        if self.leaving.is_empty() {
            self.say_goodbye();
        }
        self.dials.clear();
        self.expected.clear();
        self.greeted.clear();
        self.unproved.clear();
        self.paused.clear();
        self.peers.clear();
        self.members.clear();
        self.elections.clear();
        self.targets.clear();
        self.tuples.clear();
        self.untold.clear();
        #[cfg(feature = "curve")]
        self.keys.asked.clear();
        trace!(%now, "stopping");
    }

    /// The last thing that a node does: C Zyre drops whoever says goodbye in a beacon at once, with all that is still on its
    /// way, so that this comes after everything else.
    pub(super) fn say_goodbye(&mut self) {
        // ZRE-4
        // ZRE-137
        if !self.retired {
            self.broadcast(|_| 0);
            self.say_goodbye_to_partners();
        }
        self.stopped = true;
    }

    /// Whether anybody is to be told of the end in a beacon.
    fn has_last_words(&self) -> bool {
        !self.retired && (self.config.beacons.broadcasts() || !self.partners.is_empty())
    }

    /// A link was closed after all was sent.
    pub(super) fn link_left(&mut self, now: Instant, link: LinkId) {
        if self.leaving.remove(&link) && self.leaving.is_empty() {
            if self.has_last_words() {
                // ZRE-4
                self.timers.set(Due::Goodbye, now + LAST_WORDS);
            } else {
                self.stopped = true;
            }
        }
    }

    // ---- what the embedder says of its interfaces

    /// An interface is there with the mailbox bound on it: the node says so at once.
    pub fn handle_interface_up(&mut self, now: Instant, interface: Interface) -> InterfaceId {
        let id = InterfaceId(self.next_interface);
        self.next_interface += 1;
        debug!(%now, name = %interface.name, mailbox = %interface.mailbox(), "interface up");
        if self.stopping {
            return id;
        }
        let endpoint = self.endpoint_on(&interface);
        self.inbox.push(Event::InterfaceUp {
            interface: interface.name.clone(),
            endpoint,
        });
        self.interfaces.insert(id, interface);
        // ZRE-1
        self.broadcast_on(id, |interface| interface.port);
        self.seek_partners_anew(now);
        self.seek_told_anew(now);
        id
    }

    /// An interface went away, because of `detail`. Links that still live are kept.
    pub fn handle_interface_down(&mut self, now: Instant, interface: InterfaceId, detail: &str) {
        if let Some(interface) = self.interfaces.remove(&interface)
            && !self.stopping
        {
            debug!(%now, name = %interface.name, detail, "interface down");
            self.inbox.push(Event::InterfaceDown {
                interface: interface.name,
                detail: detail.to_string(),
            });
        }
    }

    // ---- what the node gives back

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front()?;
        if self.actions.is_empty() {
            // The next one comes where the first of these was, which is in the cache.
            self.actions.clear();
        }
        Some(action)
    }

    /// The next event for the application. Taking events makes room for peers that wait to be read.
    #[must_use]
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let taken = self.inbox.pop(&self.config.limits)?;
        if !self.untold.is_empty() {
            self.tell_untold(&taken);
        }
        if !self.paused.is_empty() {
            self.resume_readers(now, taken.peer);
        }
        Some(taken.event)
    }

    /// Takes the events that wait, one after the other, into `events` until they have so many octets, as the
    /// [limits](super::Limits) count them, or none is left: the same as [`poll_event`](Node::poll_event) so often, at a
    /// fraction of the cost.
    pub fn poll_events(&mut self, now: Instant, octets: usize, events: &mut VecDeque<Event>) {
        let nobody_waits = self.untold.is_empty() && self.paused.is_empty();
        if nobody_waits && events.is_empty() && self.inbox.total() <= octets {
            return self.inbox.take_all(events);
        }
        let before = self.inbox.total();
        while before.saturating_sub(self.inbox.total()) < octets
            && let Some(event) = self.poll_event(now)
        {
            events.push_back(event);
        }
    }

    /// From now on [`poll_copy`](Node::poll_copy) has a copy of what happens, for an embedder that follows it whether the
    /// application takes its events or not.
    pub fn copy_events(&mut self) {
        self.inbox.copy_events();
    }

    /// The next copy of an event, WHISPER and SHOUT apart. To be taken after each input: of more than 4,096 the oldest are missed.
    #[must_use]
    pub fn poll_copy(&mut self) -> Option<Event> {
        self.inbox.pop_copy()
    }

    /// Whether [`poll_copy`](Node::poll_copy) has something.
    pub fn has_copy(&self) -> bool {
        self.inbox.has_copy()
    }

    /// Whether an event waits.
    pub fn has_event(&self) -> bool {
        !self.inbox.is_empty()
    }

    // ---- queries

    /// This node's identity.
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// This node's public name.
    pub const fn name(&self) -> &Text {
        &self.name
    }

    /// The groups this node is in, sorted.
    pub fn groups(&self) -> impl Iterator<Item = &Text> {
        self.groups.iter()
    }

    /// The endpoints that peers are told, one for each interface.
    pub fn endpoints(&self) -> impl Iterator<Item = Text> {
        self.interfaces
            .values()
            .map(|interface| self.endpoint_on(interface))
    }

    /// The peers that are here, sorted by identity.
    pub fn peers(&self) -> impl Iterator<Item = PeerView<'_>> {
        self.peers.values().map(|record| self.view(record))
    }

    /// A peer that is here.
    pub fn peer(&self, id: PeerId) -> Option<PeerView<'_>> {
        self.peers.get(&id).map(|record| self.view(record))
    }

    fn view<'a>(&self, record: &'a Record) -> PeerView<'a> {
        let dial = self.dials.get(record.address);
        record.view(dial.and_then(Dial::round_trip))
    }

    /// The endpoint of this node that a peer was told; `None` when it is not here.
    pub fn told_endpoint(&self, id: PeerId) -> Option<Text> {
        let address = self.peers.get(&id)?.address;
        let local = self.dials.get(address).and_then(|dial| dial.local);
        let interface = self.interface_at(local)?;
        Some(self.endpoint_on(interface))
    }

    /// The peers in a group.
    pub fn peers_in(&self, group: &[u8]) -> impl Iterator<Item = PeerView<'_>> {
        self.members
            .get(group)
            .into_iter()
            .flatten()
            .filter_map(|id| self.peer(*id))
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A link ended by the fault of the other side.
    pub(crate) fn note_failed(&mut self) {
        self.counters.links_failed += 1;
    }

    /// What the node holds now. Takes time in proportion to its links.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage {
            peers: self.peers.len(),
            unproved: self.unproved.len(),
            links: self.links.len(),
            hints: self.dials.hints(),
            events: self.inbox.len(),
            event_octets: self.inbox.total(),
            ..Usage::default()
        };
        for (_, dial) in self.dials.iter() {
            usage.queued_octets += dial.queued_octets;
            usage.longest_queue_octets = usage.longest_queue_octets.max(dial.queued_octets);
            usage.longest_queue_messages = usage.longest_queue_messages.max(dial.queued_messages);
        }
        usage
    }

    /// Whether the node was told to stop, and said goodbye.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the node was told to stop.
    pub const fn is_stopping(&self) -> bool {
        self.stopping
    }

    // ---- shared by the parts of the node

    /// HELLO as it is to be said over a link whose own end is `local`.
    pub(super) fn hello(&self, local: Option<IpAddr>) -> Command {
        let interface = self.interface_at(local);
        let mut headers = self.config.headers.clone();
        abilities::put(&mut headers, self.config.duplex);
        self.put_key(&mut headers);
        Command::Hello(Hello {
            endpoint: interface.map_or_else(Text::default, |interface| self.endpoint_on(interface)),
            groups: self.groups.iter().cloned().collect(),
            status: self.status,
            name: self.name.clone(),
            headers,
        })
    }

    /// The interface of which is told over a link whose own end is `local`.
    fn interface_at(&self, local: Option<IpAddr>) -> Option<&Interface> {
        // ZRE-103
        let near = |interface: &&Interface| local.map(|local| nearness(interface.address, local));
        // Of several the first.
        self.interfaces.values().rev().max_by_key(near)
    }

    fn endpoint_on(&self, interface: &Interface) -> Text {
        let endpoint = match &self.config.advertise {
            Some(endpoint) => endpoint.to_string(),
            None => told(interface.mailbox()),
        };
        // An endpoint is never longer than a name and a port.
        Text::try_from(endpoint).unwrap_or_default()
    }

    /// Whether this is our own mailbox.
    pub(super) fn is_own(&self, address: SocketAddr) -> bool {
        let advertised = self
            .config
            .advertise
            .as_ref()
            .and_then(Endpoint::socket_address);
        advertised == Some(address)
            || self.interfaces.values().any(|interface| {
                interface.port == address.port()
                    && (interface.address == address.ip() || interface.address.is_unspecified())
            })
    }

    pub(super) fn new_link(&mut self) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        link
    }

    /// Closes a link at once and forgets it.
    pub(super) fn close(&mut self, link: LinkId) {
        if self.links.remove(link).is_some() {
            self.actions.push_back(Action::Close { link, flush: false });
        }
        self.forget(link);
    }

    /// Forgets what is kept about a link that is gone.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.unproved.remove(&link);
        self.paused.remove(&link);
        self.timers.cancel(Due::Hello(link));
        #[cfg(feature = "curve")]
        self.keys.asked.remove(&link);
    }

    pub(super) fn broadcast(&mut self, port: impl Fn(&Interface) -> u16) {
        let interfaces: Vec<_> = self.interfaces.keys().copied().collect();
        for interface in interfaces {
            self.broadcast_on(interface, &port);
        }
    }

    fn broadcast_on(&mut self, id: InterfaceId, port: impl Fn(&Interface) -> u16) {
        // ZRE-9
        if let (true, Some(interface)) =
            (self.config.beacons.broadcasts(), self.interfaces.get(&id))
        {
            let beacon = Beacon {
                uuid: self.id,
                port: port(interface),
                // ZRE-7, ZRE-110
                key: self.own_key(),
            };
            let interface = id;
            self.actions
                .push_back(Action::Broadcast { interface, beacon });
        }
    }

    /// A pause of about this length: up to a quarter more or less, so that many nodes do not act at once.
    pub(super) fn jitter(&mut self, pause: Duration) -> Duration {
        let spread = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
        let random = u64::from(self.rng.next_u32()) % (spread + 1);
        pause - pause / 4 + Duration::from_micros(random)
    }
}
