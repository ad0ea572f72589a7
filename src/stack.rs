//! One node and a ZMTP connection per link: the level of bytes and datagrams.

mod action;
mod connecting;
#[cfg(any(test, feature = "fuzz"))]
mod invariants;
mod link;
mod passing;
#[cfg(feature = "curve")]
mod relayed;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
#[cfg(feature = "curve")]
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::BytesMut;
use bytes::buf::Limit;

pub use self::action::{Action, Timer};
use self::link::Link;
#[cfg(feature = "curve")]
use self::relayed::Relays;
use crate::by_link::ByLink;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::net::{Cut, Interface, InterfaceId, LinkId};
#[cfg(feature = "curve")]
use crate::seeds::Seeds;
use crate::table;
use crate::timers::Timers;
use crate::wire::zre::{Message, put_shout_head, renumber, whisper_head};
use crate::wire::{Frames, Text};
use crate::zmtp;
#[cfg(feature = "curve")]
use crate::zmtp::Verdict;
use crate::zre::{
    self, Config, ConnectError, Counters, Event, Node, PeerView, SendError, Shouted, Usage, spoken,
};
use crate::{Instant, PeerId};

/// A whole ZRE node over bytes and datagrams: an adapter adds only sockets, a clock and entropy.
///
/// | the embedder calls | when |
/// |---|---|
/// | `handle_*` | something happened: octets, datagrams, connections, interfaces, time |
/// | [`poll_action`](Stack::poll_action) | after each of these and each command, until `None` |
/// | [`poll_transmit`](Stack::poll_transmit), [`handle_transmitted`](Stack::handle_transmitted) | after [`Action::Transmit`], and whenever the socket can be written to again |
/// | [`poll_event`](Stack::poll_event) | as the application wants events; then `poll_action` again |
/// | [`poll_timeout`](Stack::poll_timeout) | to know when to call [`handle_timeout`](Stack::handle_timeout) |
///
/// No call blocks, and none panics on what came from the network. `now` must not run backwards.
///
/// Two stacks that are handed each other's octets:
///
/// ```
/// use atonce::zre::{Config, Event};
/// use atonce::{Action, Instant, Interface, Stack};
///
/// let now = Instant::ZERO;
/// let mut nodes = [1_u8, 2].map(|n| {
///     let mut node = Stack::new(now, [n; 32], Config::default());
///     let address = [127, 0, 0, n].into();
///     node.handle_interface_up(now, Interface { name: "lo".into(), address, port: 49152, zone: 1 });
///     node
/// });
/// // Each hears the other's beacon.
/// let beacons = nodes.each_mut().map(|node| match node.poll_action() {
///     Some(Action::Broadcast { datagram, .. }) => datagram,
///     other => panic!("{other:?}"),
/// });
/// nodes[0].handle_datagram(now, "127.0.0.2:5670".parse()?, &beacons[1]);
/// // The first one dials the second.
/// assert!(matches!(nodes[0].poll_action(), Some(Action::Dial { .. })));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Stack {
    node: Node,
    /// Boxed: the table has more places than links, and a link is large.
    links: ByLink<Box<Link>>,
    actions: VecDeque<Action>,
    /// Links that the node takes messages of again.
    resumed: VecDeque<LinkId>,
    timers: Timers<LinkId>,
    /// Closing and failed links, by when they are closed whatever they still have to send.
    closing: Timers<LinkId>,
    config: Config,
    /// For secure connections.
    #[cfg(feature = "curve")]
    seeds: Seeds,
    /// Over which relays links go that are about to be dialled, by where they seem to lead.
    #[cfg(feature = "curve")]
    relays: Relays,
    /// The application was told that the node is stopped.
    told: bool,
    /// Where the first frame of each message is written, one after the other.
    head: Vec<u8>,
    /// What the last link that sent all it had needed for it; the next one that has something to send takes it.
    spare: Vec<u8>,
}

impl Stack {
    /// A node that knows nobody and has no interface yet. See [`Node::new`].
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        #[cfg(feature = "curve")]
        let (apart, seeds) = Seeds::apart(seed);
        // One that is not secure has nothing to keep apart.
        #[cfg(feature = "curve")]
        let seed = if config.curve.is_some() { apart } else { seed };
        Self {
            node: Node::new(now, seed, config.clone()),
            links: ByLink::new(),
            actions: VecDeque::new(),
            resumed: VecDeque::new(),
            timers: Timers::new(table::no_secret()),
            closing: Timers::new(table::no_secret()),
            config,
            #[cfg(feature = "curve")]
            seeds,
            #[cfg(feature = "curve")]
            relays: Relays::new(),
            told: false,
            head: Vec::new(),
            spare: Vec::new(),
        }
    }

    // ---- commands

    /// See [`Node::join`].
    pub fn join(&mut self, now: Instant, group: &Text) {
        self.node.join(now, group);
        self.settle(now);
    }

    /// See [`Node::leave`].
    pub fn leave(&mut self, now: Instant, group: &Text) {
        self.node.leave(now, group);
        self.settle(now);
    }

    /// See [`Node::contest`].
    pub fn contest(&mut self, now: Instant, group: &Text) {
        self.node.contest(now, group);
        self.settle(now);
    }

    /// See [`Node::withdraw`].
    pub fn withdraw(&mut self, now: Instant, group: &Text) {
        self.node.withdraw(now, group);
        self.settle(now);
    }

    /// See [`Node::whisper`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent and nothing changed.
    pub fn whisper(
        &mut self,
        now: Instant,
        peer: PeerId,
        content: &Frames,
    ) -> Result<(), SendError> {
        // Nothing waits before it: every call does all that the node wants.
        match self.node.whisper_at_once(now, peer, content) {
            Ok(Some((link, sequence))) => {
                let head = whisper_head(sequence);
                self.transmit(link, &head, &spoken(content));
                Ok(())
            }
            waits => {
                self.settle(now);
                waits.map(drop)
            }
        }
    }

    /// See [`Node::shout`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent.
    pub fn shout(
        &mut self,
        now: Instant,
        group: &Text,
        content: &Frames,
    ) -> Result<Shouted, SendError> {
        self.head.clear();
        put_shout_head(group, &mut self.head);
        let spoken = spoken(content);
        let shouted = self
            .node
            .shout_at_once(now, group, content, |link, sequence| {
                renumber(&mut self.head, sequence);
                if let Some(entry) = self.links.get_mut(link) {
                    entry.send(
                        link,
                        &self.head,
                        &spoken,
                        &mut self.spare,
                        &mut self.actions,
                    );
                }
            });
        self.settle(now);
        shouted
    }

    /// See [`Node::shout_to`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent and nothing changed.
    pub fn shout_to(
        &mut self,
        now: Instant,
        peer: PeerId,
        group: &Text,
        content: &Frames,
    ) -> Result<(), SendError> {
        match self.node.shout_to_at_once(now, peer, group, content) {
            Ok(Some((link, sequence))) => {
                let mut head = core::mem::take(&mut self.head);
                head.clear();
                put_shout_head(group, &mut head);
                renumber(&mut head, sequence);
                self.transmit(link, &head, &spoken(content));
                self.head = head;
                Ok(())
            }
            waits => {
                self.settle(now);
                waits.map(drop)
            }
        }
    }

    /// See [`Node::ping`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent.
    pub fn ping(&mut self, now: Instant, peer: PeerId) -> Result<(), SendError> {
        let asked = self.node.ping(now, peer);
        self.settle(now);
        asked
    }

    /// See [`Node::connect`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    pub fn connect(&mut self, now: Instant, endpoint: &Endpoint) -> Result<(), ConnectError> {
        let contacted = self.node.connect(now, endpoint);
        self.settle(now);
        contacted
    }

    /// See [`Node::connect_with_key`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    #[cfg(feature = "curve")]
    pub fn connect_with_key(
        &mut self,
        now: Instant,
        endpoint: &Endpoint,
        key: PublicKey,
    ) -> Result<(), ConnectError> {
        let contacted = self.node.connect_with_key(now, endpoint, key);
        self.settle(now);
        contacted
    }

    /// See [`Node::disconnect`].
    pub fn disconnect(&mut self, now: Instant, endpoint: &Endpoint) {
        self.node.disconnect(now, endpoint);
        self.settle(now);
    }

    /// See [`Node::beacon`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    pub fn beacon(&mut self, now: Instant, address: SocketAddr) -> Result<(), ConnectError> {
        let sought = self.node.beacon(now, address);
        self.settle(now);
        sought
    }

    /// See [`Node::unbeacon`].
    pub fn unbeacon(&mut self, address: SocketAddr) {
        self.node.unbeacon(address);
    }

    /// See [`Node::introduce`].
    pub fn introduce(
        &mut self,
        now: Instant,
        id: PeerId,
        address: SocketAddr,
        key: Option<zre::Key>,
    ) {
        self.node.introduce(now, id, address, key);
        self.settle(now);
    }

    /// See [`Node::note_tuple`].
    ///
    /// # Errors
    ///
    /// [`ConnectError::TooMany`] or [`ConnectError::Stopped`].
    pub fn note_tuple(
        &mut self,
        now: Instant,
        id: PeerId,
        endpoint: &Endpoint,
        key: Option<zre::Key>,
    ) -> Result<(), ConnectError> {
        let noted = self.node.note_tuple(now, id, endpoint, key);
        self.settle(now);
        noted
    }

    /// See [`Node::forget_tuple`].
    pub fn forget_tuple(&mut self, now: Instant, id: PeerId) {
        self.node.forget_tuple(now, id);
        self.settle(now);
    }

    /// See [`Node::tuples`].
    pub fn tuples(&self) -> impl Iterator<Item = (PeerId, &Endpoint)> {
        self.node.tuples()
    }

    /// See [`Node::ignore`].
    pub fn ignore(&mut self, now: Instant, address: SocketAddr) {
        self.node.ignore(now, address);
        self.settle(now);
    }

    /// See [`Node::heed`].
    pub fn heed(&mut self, address: SocketAddr) {
        self.node.heed(address);
    }

    /// See [`Node::bind`].
    #[cfg(feature = "curve")]
    pub fn bind(&mut self, id: PeerId, key: PublicKey) {
        self.node.bind(id, key);
    }

    /// See [`Node::revoke`]. For a list of keys that changed.
    #[cfg(feature = "curve")]
    pub fn revoke(&mut self, now: Instant, key: PublicKey) {
        self.node.revoke(now, key);
        self.settle(now);
    }

    /// See [`Node::set_bindings`]. For a list of bindings that changed.
    #[cfg(feature = "curve")]
    pub fn set_bindings(
        &mut self,
        now: Instant,
        bindings: BTreeMap<PeerId, PublicKey>,
        bridges: BTreeSet<PublicKey>,
    ) {
        self.node.set_bindings(now, bindings, bridges);
        self.settle(now);
    }

    /// Says goodbye, sends what is queued (for at most [`Limits::linger`](zre::Limits::linger)) and closes everything.
    /// [`Event::Stopped`] is the last event.
    pub fn stop(&mut self, now: Instant) {
        self.node.stop(now);
        self.settle(now);
    }

    /// Ends like [`stop`](Stack::stop), without any goodbye; see [`Node::retire`]. [`Event::Stopped`] is the last event.
    pub fn retire(&mut self, now: Instant) {
        self.node.retire(now);
        self.settle(now);
    }

    // ---- inputs

    /// An interface is there, and the mailbox is bound on it.
    pub fn handle_interface_up(&mut self, now: Instant, interface: Interface) -> InterfaceId {
        let id = self.node.handle_interface_up(now, interface);
        self.settle(now);
        id
    }

    /// An interface went away, because of `detail`. Links that still live are kept.
    pub fn handle_interface_down(&mut self, now: Instant, interface: InterfaceId, detail: &str) {
        self.node.handle_interface_down(now, interface, detail);
        self.settle(now);
    }

    /// A datagram came to the beacon port from `source`. What is no beacon is counted and left alone.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        self.node.handle_datagram(now, source, datagram);
        self.settle(now);
    }

    /// Somebody connected to the mailbox. `None`: the link is refused, close the socket.
    #[must_use]
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        remote: SocketAddr,
    ) -> Option<LinkId> {
        let link = self.node.handle_accepted(now, interface, remote);
        if let Some(link) = link {
            self.open(now, link, false);
            self.watch(link);
        }
        self.settle(now);
        link
    }

    /// A connection that was dialled is made; `local` is our own address on it.
    pub fn handle_connected(&mut self, now: Instant, link: LinkId, local: SocketAddr) {
        self.node.handle_connected(link, local);
        if let Some(entry) = self.links.get_mut(link) {
            entry.connected = true;
            self.watch(link);
        }
        self.settle(now);
    }

    /// A connection ended, or could not be made. What it brought before still counts.
    pub fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        match self.links.get_mut(link) {
            // ZRE-148
            Some(entry) if entry.paused && entry.has_pending() => {
                entry.ended = Some(cut);
                entry.gone = true;
                // Nothing more is to be done with it.
                entry.connected = false;
            }
            Some(_) => {
                self.drop_link(link);
                self.node.handle_disconnected(now, link, cut);
            }
            None => {}
        }
        self.settle(now);
    }

    /// Octets came over a connection. All of them are taken.
    pub fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        if let Some(entry) = self.links.get_mut(link)
            && !entry.closing
        {
            if entry.backlog.is_empty() {
                self.feed(now, link, octets);
            } else {
                entry.backlog.extend_from_slice(octets);
            }
        }
        self.settle(now);
    }

    /// While a large frame is under way: the buffer into which what it still lacks is to be read, instead of
    /// [`handle_received`](Stack::handle_received). Append to it, then call [`handle_filled`](Stack::handle_filled).
    #[must_use]
    pub fn receive_buffer(&mut self, link: LinkId) -> Option<Limit<&mut BytesMut>> {
        let entry = self.links.get_mut(link)?;
        if entry.closing {
            return None;
        }
        entry.connection.receive_buffer()
    }

    /// Octets were appended to the buffer that [`receive_buffer`](Stack::receive_buffer) lent.
    pub fn handle_filled(&mut self, now: Instant, link: LinkId) {
        if let Some(entry) = self.links.get_mut(link)
            && !entry.closing
        {
            entry.connection.handle_filled(now);
            self.pump(now, link);
        }
        self.settle(now);
    }

    /// The network took the first `octets` octets that [`poll_transmit`](Stack::poll_transmit) lent.
    pub fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        let octets = entry.transmitted(octets);
        entry.connection.transmitted(octets, &mut self.spare);
        let (left, messages) = (entry.queued_octets(), entry.connection.queued_messages());
        if left == 0 {
            entry.signalled = false;
        }
        if entry.closing || entry.failed {
            if left == 0 {
                self.close(now, link);
            }
        } else {
            self.node.handle_sent(now, link, octets, left, messages);
        }
        self.settle(now);
    }

    /// The answer to [`Action::Authenticate`], now or later. One that comes when the link is gone, or to a question that was not
    /// asked, changes nothing.
    #[cfg(feature = "curve")]
    pub fn handle_verdict(&mut self, now: Instant, link: LinkId, verdict: Verdict) {
        if self.links.get(link).is_some() {
            self.decide(now, link, verdict);
        } else {
            // ZRE-114: there is no connection before it may be made.
            self.node.handle_verdict(now, link, &verdict);
        }
        self.settle(now);
    }

    /// Whether the one who made a link may come in.
    #[cfg(feature = "curve")]
    fn decide(&mut self, now: Instant, link: LinkId, verdict: Verdict) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        if !entry.asked || entry.closing {
            return;
        }
        entry.asked = false;
        let allowed = verdict.is_allowed();
        entry.connection.handle_verdict(now, verdict);
        if allowed {
            self.pump(now, link);
        } else {
            self.node.note_denied();
            self.node.handle_disconnected(now, link, Cut::Closed);
            self.begin_close(now, link);
        }
    }

    /// The answer to [`Action::Resolve`], empty when there is none.
    pub fn handle_resolved(&mut self, now: Instant, query: u64, addresses: &[SocketAddr]) {
        self.node.handle_resolved(now, query, addresses);
        self.settle(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(link) = self.timers.pop_due(now) {
            if let Some(entry) = self.links.get_mut(link) {
                entry.deadline = None;
                entry.connection.handle_timeout(now);
                self.pump(now, link);
                self.watch(link);
            }
        }
        while let Some(link) = self.closing.pop_due(now) {
            self.close(now, link);
        }
        self.node.handle_timeout(now);
        self.settle(now);
    }

    // ---- outputs

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

    /// The octets to send over a connection, in slices for a vectored write; none when nothing waits.
    pub fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> {
        self.links
            .get(link)
            .filter(|entry| entry.connected)
            .into_iter()
            .flat_map(|entry| {
                let prelude = entry.prelude();
                let prelude = (!prelude.is_empty()).then_some(prelude);
                prelude.into_iter().chain(entry.connection.poll_transmit())
            })
    }

    /// The next event for the application. Call [`poll_action`](Stack::poll_action) afterwards: peers that waited for room
    /// may be read again.
    #[must_use]
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        match self.node.poll_event(now) {
            Some(event) => {
                self.settle(now);
                Some(event)
            }
            None if self.is_stopped() && !self.told => {
                self.told = true;
                Some(Event::Stopped)
            }
            None => None,
        }
    }

    /// Takes the events that wait, one after the other, into `events` until they have so many octets, as the
    /// [limits](zre::Limits) count them, or none is left: the same as [`poll_event`](Stack::poll_event) so often, at a fraction of
    /// the cost. Call [`poll_action`](Stack::poll_action) afterwards.
    pub fn poll_events(&mut self, now: Instant, octets: usize, events: &mut VecDeque<Event>) {
        self.node.poll_events(now, octets, events);
        self.settle(now);
        if !self.node.has_event() && self.is_stopped() && !self.told {
            self.told = true;
            events.push_back(Event::Stopped);
        }
    }

    /// See [`Node::copy_events`].
    pub fn copy_events(&mut self) {
        self.node.copy_events();
    }

    /// See [`Node::poll_copy`].
    #[must_use]
    pub fn poll_copy(&mut self) -> Option<Event> {
        self.node.poll_copy()
    }

    /// See [`Node::has_copy`].
    pub fn has_copy(&self) -> bool {
        self.node.has_copy()
    }

    /// Whether [`poll_event`](Stack::poll_event) has something.
    pub fn has_event(&self) -> bool {
        self.node.has_event() || (self.is_stopped() && !self.told)
    }

    /// When [`handle_timeout`](Stack::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let node = self
            .node
            .poll_timeout()
            .map(|(at, timer)| (at, Timer::Node(timer)));
        let connection = self
            .timers
            .next()
            .map(|(at, link)| (at, Timer::Connection(link)));
        let linger = self.closing.next().map(|(at, _)| (at, Timer::Linger));
        [node, connection, linger]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// The moment of [`poll_timeout`](Stack::poll_timeout) alone, for an embedder that asks after every message.
    #[must_use]
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        let earlier = |a: Option<Instant>, b: Option<Instant>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        };
        let links = earlier(self.timers.earliest(), self.closing.earliest());
        earlier(self.node.deadline(), links)
    }

    // ---- queries

    /// This node's identity.
    pub const fn id(&self) -> PeerId {
        self.node.id()
    }

    /// This node's public name.
    pub const fn name(&self) -> &Text {
        self.node.name()
    }

    /// The groups this node is in, sorted.
    pub fn groups(&self) -> impl Iterator<Item = &Text> {
        self.node.groups()
    }

    /// The endpoints that peers are told, one for each interface.
    pub fn endpoints(&self) -> impl Iterator<Item = Text> {
        self.node.endpoints()
    }

    /// The peers that are here, sorted by identity.
    pub fn peers(&self) -> impl Iterator<Item = PeerView<'_>> {
        self.node.peers()
    }

    /// A peer that is here.
    pub fn peer(&self, id: PeerId) -> Option<PeerView<'_>> {
        self.node.peer(id)
    }

    /// The peers of this name; names need not be unique.
    pub fn peers_by_name(&self, name: &str) -> impl Iterator<Item = PeerView<'_>> {
        self.peers().filter(move |view| view.peer.name == *name)
    }

    /// The peers that have a header of this name and value.
    pub fn peers_by_header(&self, name: &str, value: &str) -> impl Iterator<Item = PeerView<'_>> {
        self.peers().filter(move |view| {
            view.peer
                .headers
                .get(name)
                .is_some_and(|found| *found == *value)
        })
    }

    /// The endpoint of this node that a peer was told; `None` when it is not here.
    pub fn told_endpoint(&self, id: PeerId) -> Option<Text> {
        self.node.told_endpoint(id)
    }

    /// The peers in a group.
    pub fn peers_in(&self, group: &[u8]) -> impl Iterator<Item = PeerView<'_>> {
        self.node.peers_in(group)
    }

    /// See [`Node::leader`].
    pub fn leader(&self, group: &[u8]) -> Option<PeerId> {
        self.node.leader(group)
    }

    /// See [`Node::contested`].
    pub fn contested(&self) -> impl Iterator<Item = &Text> {
        self.node.contested()
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> &Counters {
        self.node.counters()
    }

    /// What the node holds now, to be watched or shown. Takes time in proportion to its links.
    pub fn usage(&self) -> Usage {
        Usage {
            links: self.links.len(),
            ..self.node.usage()
        }
    }

    /// Whether the node was stopped and everything is closed.
    pub fn is_stopped(&self) -> bool {
        self.node.is_stopped() && self.links.is_empty()
    }

    // ---- the parts together

    /// Does what the node wants, until there is nothing more to do.
    fn settle(&mut self, now: Instant) {
        loop {
            self.apply(now);
            let Some(link) = self.resumed.pop_front() else {
                return;
            };
            if let Some(entry) = self.links.get_mut(link) {
                entry.paused = false;
                entry.connection.resume(now);
                if !entry.gone {
                    self.actions.push_back(Action::Resume { link });
                }
                self.pump(now, link);
                self.feed_backlog(now, link);
            }
        }
    }

    fn apply(&mut self, now: Instant) {
        while let Some(action) = self.node.poll_action() {
            match action {
                zre::Action::Send { link, message } => self.send(link, &message),
                zre::Action::Broadcast { interface, beacon } => {
                    let datagram = beacon.encode();
                    self.actions.push_back(Action::Broadcast {
                        interface,
                        datagram,
                    });
                }
                zre::Action::Beacon {
                    interface,
                    to,
                    beacon,
                } => {
                    let datagram = beacon.encode();
                    self.actions.push_back(Action::Beacon {
                        interface,
                        to,
                        datagram,
                    });
                }
                zre::Action::Dial { link, address } => {
                    self.open(now, link, true);
                    #[cfg(feature = "curve")]
                    let address = self.lead_over_relay(link, address);
                    self.actions.push_back(Action::Dial { link, address });
                }
                zre::Action::Trust { link } => {
                    if let Some(entry) = self.links.get_mut(link) {
                        entry.trusted = true;
                        // ZRE-84
                        entry.connection.set_limits(zmtp::Limits {
                            frame_octets: self.config.limits.frame_octets,
                            message_octets: self.config.limits.message_octets,
                            message_frames: self.config.limits.message_frames,
                            ..zmtp::Limits::default()
                        });
                    }
                }
                zre::Action::Resume { link } => self.resumed.push_back(link),
                zre::Action::Close { link, flush: true } => self.begin_close(now, link),
                zre::Action::Close { link, flush: false } => self.close(now, link),
                #[cfg(feature = "curve")]
                zre::Action::Authenticate { link, key, remote } => {
                    self.actions
                        .push_back(Action::Authenticate { link, key, remote });
                }
                zre::Action::Resolve { query, host, port } => {
                    self.actions
                        .push_back(Action::Resolve { query, host, port });
                }
            }
        }
    }

    fn send(&mut self, link: LinkId, message: &Message) {
        let mut head = core::mem::take(&mut self.head);
        head.clear();
        message.encode_head(&mut head);
        let none = Frames::new();
        let content = message.content().unwrap_or(&none);
        self.transmit(link, &head, content);
        self.head = head;
    }

    /// Queues a message on a link: its first frame, and the others.
    #[inline]
    fn transmit(&mut self, link: LinkId, head: &[u8], content: &Frames) {
        if let Some(entry) = self.links.get_mut(link) {
            entry.send(link, head, content, &mut self.spare, &mut self.actions);
        }
    }
}
