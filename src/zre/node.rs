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
use tracing::debug;

use super::deadlines::Due;
use super::dial::Dial;
use super::dials::Dials;
use super::electing::Elections;
use super::inbound::Links;
use super::inbox::Inbox;
use super::keys::{Key, Keys};
use super::partners::Partners;
use super::past::Past;
use super::record::Record;
use super::target::Target;
use super::tuples::Tuples;
use super::{Action, Config, ConnectError, Counters, Event, PeerView, Usage, abilities, services};
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::{Endpoint, Host};
use crate::net::{Interface, InterfaceId, LinkId};
use crate::table::{Secret, Table};
use crate::timers::Timers;
use crate::wire::Text;
use crate::wire::zre::{Command, Hello};
use crate::{Instant, PeerId};

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
    pub(super) next_interface: u32,
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
    pub(super) stopping: bool,
    /// It ends without a goodbye.
    pub(super) retired: bool,
    /// Links that are closed when all is sent.
    pub(super) leaving: BTreeSet<LinkId>,
    pub(super) stopped: bool,
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
        let here = interface.map(|interface| interface.address);
        services::put(&mut headers, &self.config.services, here);
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

    /// A pause of about this length: up to a quarter more or less, so that many nodes do not act at once.
    pub(super) fn jitter(&mut self, pause: Duration) -> Duration {
        let spread = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
        let random = u64::from(self.rng.next_u32()) % (spread + 1);
        pause - pause / 4 + Duration::from_micros(random)
    }
}
