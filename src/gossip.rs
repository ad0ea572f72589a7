//! Gossip: who is where, told from one to the next, where no beacon goes: `spec/gossip.md`.
//!
//! A [`Gossip`] is one participant, as the zgossip actor of C nodes is. It has a table of tuples of a key and a value, which for nodes of ZRE
//! are a UUID and an endpoint. What is [published](Gossip::publish) here, and what others say, it passes on to all its neighbours: the clients
//! that come to its ROUTER, and the hubs to which it has a DEALER each. The embedder has these sockets; there are none in here.
//!
//! ```text
//!      publish ▼  ▲ events              the node, or another application
//!   ┌────────────────────────────────┐
//!   │ table      what holds, of whom  │
//!   ├────────────────────────────────┤
//!   │ neighbours what each is told    │
//!   └────────────────────────────────┘
//!     messages ▼  ▲ messages            ROUTER for clients, a DEALER for each hub
//! ```
//!
//! # A hub and a client
//!
//! ```
//! use atonce::{Frames, Instant};
//! use atonce::gossip::{Action, Config, Event, Gossip, Neighbour};
//!
//! let now = Instant::ZERO;
//! let mut hub = Gossip::new(now, [1; 32], Config::default());
//! let mut node = Gossip::new(now, [2; 32], Config::default());
//! hub.publish(now, "hub".parse()?, "tcp://10.0.0.1:49152".parse()?)?;
//! node.publish(now, "node".parse()?, "tcp://10.0.0.2:49152".parse()?)?;
//!
//! // The DEALER of the node is connected; the ROUTER of the hub calls it "client".
//! let remote = node.open(now);
//! node.handle_connected(now, remote);
//! loop {
//!     let mut quiet = true;
//!     while let Some(Action::Send { message, .. }) = node.poll_action() {
//!         quiet = false;
//!         hub.handle_message(now, &Neighbour::Session("client".into()), &message);
//!     }
//!     while let Some(Action::Send { message, .. }) = hub.poll_action() {
//!         quiet = false;
//!         node.handle_message(now, &Neighbour::Remote(remote), &message);
//!     }
//!     if quiet {
//!         break;
//!     }
//! }
//! let where_it_is = "tcp://10.0.0.1:49152".parse()?;
//! let mut told = core::iter::from_fn(|| node.poll_event());
//! assert!(told.any(|event| matches!(event, Event::Published { value, .. } if value == where_it_is)));
//! assert_eq!(hub.tuples().count(), 2);
//! assert!(hub.tuples().eq(node.tuples()));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod allowance;
mod config;
mod event;
mod hearing;
#[cfg(any(test, feature = "fuzz"))]
mod invariants;
mod keeping;
mod neighbour;
mod settling;
mod table;
mod telling;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::ops::Bound;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracing::debug;

pub use self::config::{Config, Limits};
pub use self::event::{Action, Counters, End, Event, Neighbour, RemoteId, Timer, Unsent};
use self::neighbour::{No, Talk, Work};
use self::table::{Evidence, Own, State, Table};
use self::telling::Telling;
use crate::Instant;
use crate::table::no_secret;
use crate::timers::Timers;
use crate::wire::Frames;
use crate::wire::gossip::{Key, Message, ParticipantId, Value};

/// A tuple cannot be published. Nothing was changed.
///
/// ```
/// use atonce::Instant;
/// use atonce::gossip::{Config, Gossip, PublishError};
///
/// let mut gossip = Gossip::new(Instant::ZERO, [7; 32], Config::default());
/// let published = gossip.publish(Instant::ZERO, "us".parse()?, "|key".parse()?);
/// assert_eq!(published, Err(PublishError::Void));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Others would take the value for the end of the tuple.
    #[error("a value with nothing before the first bar says that there is no such tuple")]
    Void,
    /// There are as many tuples as there may be.
    #[error("there is no room for more tuples: {limit}")]
    Full {
        /// How many there may be.
        limit: usize,
    },
}

/// One participant of gossip: a table of tuples, and whoever is told of them.
///
/// | the embedder calls | when |
/// |---|---|
/// | [`open`](Self::open), [`handle_connected`](Self::handle_connected), [`handle_disconnected`](Self::handle_disconnected) | there is a DEALER for one more hub; each time it is connected, and not any more |
/// | [`handle_message`](Self::handle_message) | a message came over it, or over the ROUTER |
/// | [`poll_action`](Self::poll_action) | after each of these, each command and each timeout, until `None`; [`handle_unsent`](Self::handle_unsent) when a message could not be sent |
/// | [`poll_timeout`](Self::poll_timeout) | to know when to call [`handle_timeout`](Self::handle_timeout) |
/// | [`confirm`](Self::confirm), [`doubt`](Self::doubt), [`refute`](Self::refute) | it knows more of what a tuple is about than gossip does |
///
/// No call blocks, and none panics on what came from the network. `now` must not run backwards. The same seed and the same inputs give
/// the same outputs.
///
/// [The module](self) has an example.
#[derive(Debug)]
pub struct Gossip {
    id: ParticipantId,
    config: Config,
    rng: ChaCha20Rng,
    /// When something happened last.
    clock: Instant,
    table: Table,
    talks: BTreeMap<No, Talk>,
    by_session: BTreeMap<Bytes, No>,
    next: No,
    /// Those to whom there is something to say, and who of them was told something last.
    ready: BTreeSet<No>,
    turn: No,
    /// Strangers name no keys of it.
    timers: Timers<No>,
    reconnects: VecDeque<RemoteId>,
    telling: Telling,
    counters: Counters,
}

impl Gossip {
    /// A participant without neighbours and tuples. `seed` has to be different for each.
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self {
            id: ParticipantId::from_bytes(id),
            config,
            rng,
            clock: now,
            table: Table::default(),
            talks: BTreeMap::new(),
            by_session: BTreeMap::new(),
            next: 0,
            ready: BTreeSet::new(),
            turn: 0,
            timers: Timers::new(no_secret()),
            reconnects: VecDeque::new(),
            telling: Telling::default(),
            counters: Counters::default(),
        }
    }

    // ---- commands

    /// Publishes a tuple, or another value of it: everybody is told, again and again, until it is [unpublished](Self::unpublish). The same
    /// value again changes nothing, but that the tuple is not overruled any more.
    ///
    /// # Errors
    ///
    /// See [`PublishError`]; nothing changed.
    #[expect(clippy::needless_pass_by_value, reason = "it is kept")]
    pub fn publish(&mut self, now: Instant, key: Key, value: Value) -> Result<(), PublishError> {
        self.clock = now;
        if value.is_void() {
            return Err(PublishError::Void);
        }
        let entry = self.table.get(&key);
        if entry.is_some_and(|entry| entry.own_holds() && entry.value == value) {
            return Ok(());
        }
        if entry.is_none() && !self.make_room() {
            let limit = self.config.limits.tuples;
            return Err(PublishError::Full { limit });
        }
        let own = Own::new(now, value);
        self.publish_own(now, &key, own);
        self.telling.note(&key);
        Ok(())
    }

    /// Takes a tuple back that was published here: participants of ours forget it, and C peers hold a void one instead. Whether it was
    /// published here.
    pub fn unpublish(&mut self, now: Instant, key: &Key) -> bool {
        self.clock = now;
        let own = self.table.get(key).and_then(|entry| entry.own.as_ref());
        let Some(own) = own.filter(|own| own.withdrawn.is_none()) else {
            return false;
        };
        if own.holds {
            self.withdraw(now, key, own.value.clone());
        } else {
            self.table.update(key, |entry| entry.own = None);
            self.telling.note(key);
        }
        true
    }

    /// Takes all tuples back that were published here. The sockets are to be closed when all actions are done.
    pub fn leave(&mut self, now: Instant) {
        let own: VecDeque<Key> = self.published().map(|(key, _)| key.clone()).collect();
        for key in own {
            self.unpublish(now, &key);
        }
    }

    /// There is a DEALER for one more hub. Nothing is said before it [is connected](Self::handle_connected).
    pub fn open(&mut self, now: Instant) -> RemoteId {
        self.clock = now;
        let remote = RemoteId(self.next);
        self.add(now, Neighbour::Remote(remote));
        remote
    }

    /// There is no DEALER for this hub any more. Tuples that only it held end in time. Nothing happens when it is not known.
    pub fn close(&mut self, now: Instant, remote: RemoteId) {
        self.clock = now;
        if self.remote(remote).is_some() {
            self.part(now, remote.0);
        }
    }

    /// What a tuple is about is there, as far as the application can tell: the tuple is kept alive from here, until it is
    /// [doubted](Self::doubt), unpublished or has another value. One that ended because nobody said any more that it lives holds again.
    // GOS-33
    pub fn confirm(&mut self, now: Instant, key: &Key) {
        self.clock = now;
        self.judge(now, key, Evidence::Confirmed);
    }

    /// What a tuple is about is not there, as far as the application can tell: it is not kept alive from here, and ends when nobody else
    /// does. Tuples that are published here cannot be doubted.
    // GOS-33
    pub fn doubt(&mut self, now: Instant, key: &Key) {
        self.clock = now;
        self.judge(now, key, Evidence::Doubted);
    }

    /// What a tuple is about is not there, and the application knows that better than anybody, since it is in that place itself: the tuple
    /// ends here at once, so that nobody is told it from here, and C peers that say it again are not heard. What others of ours say
    /// anew holds again, and is told as [`Event::Published`]. Tuples that are published here cannot be refuted.
    ///
    /// ```
    /// use atonce::wire::gossip::{Message, Publish};
    /// use atonce::{Frames, Instant};
    /// use atonce::gossip::{Config, Gossip, Neighbour};
    ///
    /// let now = Instant::ZERO;
    /// let mut hub = Gossip::new(now, [1; 32], Config::default());
    /// let past = Publish { key: "us, before".parse()?, value: "tcp://10.0.0.1:49152".parse()?, ttl: 0, stamp: None };
    /// let says = Frames::from(Message::Publish(past.clone()).encode());
    /// for _ in 0..2 {
    ///     hub.handle_message(now, &Neighbour::Session("client".into()), &says);
    ///     hub.refute(now, &past.key);
    ///     assert_eq!(hub.get(&past.key), None);
    /// }
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    // GOS-34
    pub fn refute(&mut self, now: Instant, key: &Key) {
        self.clock = now;
        self.end_refuted(now, key);
    }

    // ---- inputs

    /// The DEALER of a remote is connected, through with its handshake; for the first time or anew.
    // GOS-50
    pub fn handle_connected(&mut self, now: Instant, remote: RemoteId) {
        self.clock = now;
        if self.remote(remote).is_some() {
            self.release(now, remote.0);
            self.with(remote.0, |talk| talk.connected(now));
        }
    }

    /// The DEALER of a remote is not connected any more.
    pub fn handle_disconnected(&mut self, now: Instant, remote: RemoteId) {
        self.clock = now;
        if self.remote(remote).is_some() {
            self.release(now, remote.0);
            self.with(remote.0, Talk::disconnected);
        }
    }

    /// A client is gone. An embedder that does not know that need not say it: what is sent to it will be [unsent](Self::handle_unsent).
    pub fn handle_session_gone(&mut self, now: Instant, session: &[u8]) {
        self.clock = now;
        if let Some(no) = self.by_session.get(session) {
            self.part(now, *no);
        }
    }

    /// A message came, without the frame that a ROUTER puts before it.
    pub fn handle_message(&mut self, now: Instant, from: &Neighbour, message: &Frames) {
        self.clock = now;
        // GOS-1
        let [frame] = &message[..] else {
            self.counters.foreign += 1;
            return;
        };
        match Message::decode(frame) {
            Ok(message) => self.hear(now, from, message),
            Err(_) if !Message::is_gossip(frame) => self.counters.foreign += 1,
            Err(error) => {
                debug!(?from, %error, "malformed message");
                self.counters.malformed += 1;
            }
        }
    }

    /// A message of [`Action::Send`] was not sent.
    // GOS-72
    pub fn handle_unsent(&mut self, now: Instant, to: &Neighbour, message: &Frames, why: Unsent) {
        self.clock = now;
        let Some(no) = self.no(to) else {
            return;
        };
        self.counters.said = self.counters.said.saturating_sub(1);
        match (why, to) {
            (Unsent::Gone, Neighbour::Session(_)) => self.part(now, no),
            (Unsent::Gone, Neighbour::Remote(remote)) => self.handle_disconnected(now, *remote),
            (Unsent::Full, _) => {
                let message = message.first().map(Message::decode);
                let Some(Ok(message)) = message else {
                    return;
                };
                // Of what is gone meanwhile nothing is to be said.
                let gone = match &message {
                    Message::Publish(publish) => self.table.get(&publish.key).is_none(),
                    _ => false,
                };
                self.with(no, |talk| talk.unsaid(now, (!gone).then(|| message.into())));
            }
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = now;
        while let Some((_, key)) = self.table.earliest().filter(|(at, _)| *at <= now) {
            let key = key.clone();
            self.look_at(now, &key);
        }
        while let Some(no) = self.timers.pop_due(now) {
            let drawn = self.draw();
            let work = self
                .talks
                .get_mut(&no)
                .and_then(|talk| talk.work(now, drawn));
            match work {
                Some(Work::Pardon) => self.pardon(now, no),
                Some(Work::Greet) => self.greet(now, no),
                Some(Work::Sync) => self.sync(no),
                Some(Work::Reconnect) => {
                    let remote = self.talks.get(&no).and_then(Talk::remote);
                    self.reconnects.extend(remote);
                }
                None => {}
            }
            self.settle(no);
        }
    }

    // ---- outputs

    /// The next thing to do. Each neighbour has its turn.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(remote) = self.reconnects.pop_front() {
            return Some(Action::Reconnect { remote });
        }
        loop {
            let behind = (Bound::Excluded(self.turn), Bound::Unbounded);
            let next = self.ready.range(behind).next();
            let no = *next.or_else(|| self.ready.first())?;
            self.turn = no;
            let said = self.say(no);
            self.settle(no);
            if let Some(action) = said {
                self.counters.said += 1;
                return Some(action);
            }
        }
    }

    /// The next thing to tell. Whoever takes none loses nothing that still matters, and what is kept is bounded.
    // GOS-73
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.telling.poll(&self.table)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let tuple = self.table.earliest().map(|(at, _)| (at, Timer::Tuple));
        let neighbour = self.timers.earliest().map(|at| (at, Timer::Neighbour));
        [tuple, neighbour]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    // ---- queries

    /// As whom others of ours know this participant.
    pub const fn id(&self) -> ParticipantId {
        self.id
    }

    /// All tuples that hold, those that are published here among them, in the order of their keys.
    pub fn tuples(&self) -> impl Iterator<Item = (&Key, &Value)> {
        let live = self
            .table
            .iter()
            .filter(|(_, entry)| entry.state == State::Live);
        live.map(|(key, entry)| (key, &entry.value))
    }

    /// What a tuple says that holds.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        let entry = self.table.get(key)?;
        (entry.state == State::Live).then_some(&entry.value)
    }

    /// The keys that have this value, those that are published here among them. Two of them cannot both be right when it is an endpoint.
    // GOS-44
    pub fn keys_with(&self, value: &Value) -> impl Iterator<Item = &Key> {
        self.table.keys_with(value)
    }

    /// What is published here, whether it holds or is overruled.
    pub fn published(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.table.iter().filter_map(|(key, entry)| {
            let own = entry.own.as_ref()?;
            own.withdrawn.is_none().then_some((key, &own.value))
        })
    }

    /// Whether a remote has told all its tuples and is told ours.
    pub fn is_synced(&self, remote: RemoteId) -> bool {
        self.remote(remote).is_some_and(|talk| talk.is_synced)
    }

    /// How many clients there are.
    pub fn sessions(&self) -> usize {
        self.by_session.len()
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}
