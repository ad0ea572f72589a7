//! One node and a ZMTP connection per link: the level of bytes and datagrams.

mod action;
mod commands;
mod connecting;
mod inputs;
#[cfg(any(test, feature = "fuzz"))]
mod invariants;
mod link;
mod passing;
mod queries;
#[cfg(feature = "curve")]
mod relayed;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub use self::action::{Action, Timer};
use self::link::Link;
#[cfg(feature = "curve")]
use self::relayed::Relays;
use crate::Instant;
use crate::by_link::ByLink;
use crate::net::LinkId;
#[cfg(feature = "curve")]
use crate::seeds::Seeds;
use crate::table;
use crate::timers::Timers;
use crate::wire::Frames;
use crate::wire::zre::Message;
use crate::zmtp;
use crate::zre::{self, Config, Event, Node};

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
