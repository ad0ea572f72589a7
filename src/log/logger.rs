//! What a node says, and to whom.

mod collectors;
mod config;
mod words;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use core::net::SocketAddr;
use core::time::Duration;

use self::collectors::Entry;
use self::words::Said;
use super::HEADER;
use super::credit::Credit;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::wire::Text;
use crate::wire::log::{Event, Level};
use crate::zre;
use crate::{Bytes, Instant, PeerId, Stack};

pub use self::config::{Config, Counters, Limits, Timer};

/// A collector, as long as it is connected. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectorId(u64);

/// What the embedder has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect an XPUB to this address, which tells [`SendError::Full`](crate::socket::SendError::Full) when its queue is full, and goes on dialling.
    /// What it receives is given to [`Logger::handle_subscription`], and while it can send, what
    /// [`Logger::poll_message`] has is to be sent.
    Connect {
        /// The name of it.
        collector: CollectorId,
        /// Where it is.
        address: SocketAddr,
        /// In a secure network, the key of CURVE that it has to have. Without it, nothing is to be sent in a secure network.
        #[cfg(feature = "curve")]
        key: Option<PublicKey>,
    },
    /// Close that XPUB: the collector is gone.
    Disconnect {
        /// Which.
        collector: CollectorId,
    },
}

/// What a node knows of a peer beside its card.
///
/// ```
/// use atonce::log::logger::Met;
///
/// let met = Met::at(([10, 0, 0, 2], 40_000).into(), "tcp://10.0.0.1:49152".try_into()?);
/// assert_eq!(met.told, "tcp://10.0.0.1:49152");
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Met {
    /// Where it speaks from; the port means nothing.
    pub remote: SocketAddr,
    /// The endpoint of this node that it was told.
    pub told: Text,
    /// The key that it proved.
    #[cfg(feature = "curve")]
    pub key: Option<PublicKey>,
}

impl Met {
    /// A peer of a network that is not secure.
    pub const fn at(remote: SocketAddr, told: Text) -> Self {
        Self {
            remote,
            told,
            #[cfg(feature = "curve")]
            key: None,
        }
    }

    /// A peer of this node; `None` when it is not here.
    pub fn of(node: &Stack, peer: PeerId) -> Option<Self> {
        let view = node.peer(peer)?;
        Some(Self {
            remote: view.remote,
            told: node.told_endpoint(peer)?,
            #[cfg(feature = "curve")]
            key: view.key,
        })
    }
}

/// What is kept to be said to collectors, until it is pushed out.
#[derive(Debug)]
struct Kept {
    at: Instant,
    time: u64,
    said: Said,
}

/// Logs what happens to one node. [The module](super) has an example.
///
/// | the embedder calls | when |
/// |---|---|
/// | [`handle_event`](Self::handle_event) | something happened to the node ([`Stack::poll_copy`]) |
/// | [`handle_joined`](Self::handle_joined), [`handle_left`](Self::handle_left), [`log`](Self::log) | the application does that |
/// | [`poll_action`](Self::poll_action) | after each of these, until `None` |
/// | [`handle_subscription`](Self::handle_subscription) | an XPUB received something |
/// | [`handle_lost`](Self::handle_lost) | a link of an XPUB ended with messages that had not left |
/// | [`poll_message`](Self::poll_message) | after each of these, for each XPUB that can send, until `None` |
/// | [`poll_timeout`](Self::poll_timeout) | to know when to call [`handle_timeout`](Self::handle_timeout) |
#[derive(Debug)]
pub struct Logger {
    config: Config,
    /// The time since 1970 when `now` was zero.
    epoch: Duration,
    collectors: BTreeMap<CollectorId, Entry>,
    next_collector: u64,
    /// The endpoint of this node on each of its interfaces.
    own: BTreeMap<String, Text>,
    kept: VecDeque<Kept>,
    /// How many were kept before the first that is.
    pushed_out: u64,
    credit: Credit,
    /// What there was no credit for, and is to be told.
    left_out: u64,
    actions: VecDeque<Action>,
    counters: Counters,
}

impl Logger {
    /// The logger of a node that has no interface yet. `since_1970` is the time of the world `now`.
    pub fn new(now: Instant, since_1970: Duration, config: Config) -> Self {
        let limits = config.limits;
        let mut logger = Self {
            config,
            epoch: Duration::ZERO,
            collectors: BTreeMap::new(),
            next_collector: 0,
            own: BTreeMap::new(),
            kept: VecDeque::new(),
            pushed_out: 0,
            credit: Credit::new(now, limits.rate, limits.burst),
            left_out: 0,
            actions: VecDeque::new(),
            counters: Counters::default(),
        };
        logger.set_time(now, since_1970);
        logger
    }

    /// The clock of the world was set: it is this time now. What was said before keeps its time.
    pub fn set_time(&mut self, now: Instant, since_1970: Duration) {
        let running = Duration::from_micros(now.as_micros());
        self.epoch = since_1970.saturating_sub(running);
    }

    // ---- what the application does

    /// Says something. Text that is longer than a record holds is cut.
    pub fn log(&mut self, now: Instant, level: Level, text: &str) {
        // LOG-24
        self.say(now, Said::text(level, text));
    }

    /// The node joined a group.
    // LOG-20
    pub fn handle_joined(&mut self, now: Instant, group: &Text) {
        self.say(now, Said::own(Event::JOIN, group));
    }

    /// The node left a group.
    pub fn handle_left(&mut self, now: Instant, group: &Text) {
        self.say(now, Said::own(Event::LEAVE, group));
    }

    /// The node is stopped by its application: the last that it says.
    // LOG-23
    pub fn handle_stop(&mut self, now: Instant) {
        self.say(now, Said::text(Level::INFO, "stopped"));
    }

    // ---- inputs

    /// Something happened to the node; of a peer that is here, with what the node knows of it ([`Met::of`]). Without that a
    /// collector is not connected.
    pub fn handle_event(&mut self, now: Instant, event: &zre::Event, met: Option<&Met>) {
        match event {
            zre::Event::Enter { peer } => {
                // First of all it is known as a collector, so that this is the first that it is told.
                if let (Some(met), Some(header)) = (met, peer.headers.get(HEADER)) {
                    self.follow(now, peer, met, header);
                }
            }
            zre::Event::Exit { peer, .. } => self.forget(peer.id),
            zre::Event::InterfaceUp {
                interface,
                endpoint,
            } => {
                self.own.insert(interface.clone(), endpoint.clone());
            }
            zre::Event::InterfaceDown { interface, .. } => {
                self.own.remove(interface);
            }
            _ => {}
        }
        if let Some(said) = Said::of(event, &self.own) {
            self.say(now, said);
        }
    }

    /// An XPUB received this: a 1 and a prefix, or a 0 and a prefix. Anything else changes nothing.
    pub fn handle_subscription(&mut self, collector: CollectorId, message: &[u8]) {
        if let Some(entry) = self.collectors.get_mut(&collector) {
            match message.first() {
                Some(1) => entry.subscriptions = entry.subscriptions.saturating_add(1),
                Some(0) => entry.subscriptions = entry.subscriptions.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// The link to a collector ended, and so many messages for it had not left: it is told so when it listens again.
    // LOG-27
    pub fn handle_lost(&mut self, collector: CollectorId, messages: usize) {
        if let Some(entry) = self.collectors.get_mut(&collector) {
            let messages = u64::try_from(messages).unwrap_or(u64::MAX);
            entry.lost = entry.lost.saturating_add(messages);
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell_left_out(now);
    }

    // ---- outputs

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next message for a collector that is connected; `None`: it subscribed to nothing, or was told everything. It counts as sent.
    // LOG-11
    #[must_use]
    pub fn poll_message(&mut self, collector: CollectorId) -> Option<Bytes> {
        let entry = self.collectors.get_mut(&collector)?;
        if entry.subscriptions == 0 {
            return None;
        }
        let pushed_out = self.pushed_out.saturating_sub(entry.next);
        let missed = pushed_out.saturating_add(core::mem::take(&mut entry.lost));
        if missed > 0 {
            // LOG-27
            entry.next += pushed_out;
            self.counters.missed = self.counters.missed.saturating_add(missed);
            let text = alloc::format!("{missed} records before this are not here any more");
            let said = Said::text(Level::WARNING, &text);
            // LOG-25: who hears errors alone is told nothing of the rest.
            if said.level <= self.config.level {
                let time = self.kept.front().map_or(0, |kept| kept.time);
                return Some(said.record(entry.node, time).encode());
            }
        }
        let place = usize::try_from(entry.next - self.pushed_out).ok()?;
        let kept = self.kept.get(place)?;
        entry.next += 1;
        self.counters.messages += 1;
        Some(kept.said.record(entry.node, kept.time).encode())
    }

    /// Whether [`poll_message`](Self::poll_message) has something for any collector.
    pub fn has_message(&self) -> bool {
        let end = self.end();
        let mut collectors = self.collectors.values();
        collectors.any(|entry| entry.subscriptions > 0 && (entry.next < end || entry.lost > 0))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        (self.left_out > 0).then(|| (self.credit.next(), Timer::LeftOut))
    }

    // ---- queries

    /// The collectors that are connected, and where.
    pub fn collectors(&self) -> impl Iterator<Item = (CollectorId, SocketAddr)> {
        self.collectors
            .iter()
            .map(|(collector, entry)| (*collector, entry.address))
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    // ---- within

    /// How many were kept so far.
    fn end(&self) -> u64 {
        self.pushed_out + u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }

    fn say(&mut self, now: Instant, said: Said) {
        // LOG-25
        if said.level > self.config.level {
            return;
        }
        self.tell_left_out(now);
        // LOG-26
        if self.left_out > 0 || !self.credit.take(now) {
            self.left_out += 1;
            self.counters.left_out += 1;
            return;
        }
        self.keep(now, said);
    }

    /// Says how much was left out, as soon as that may be said.
    fn tell_left_out(&mut self, now: Instant) {
        if self.left_out == 0 || now < self.credit.next() || !self.credit.take(now) {
            return;
        }
        let left_out = core::mem::take(&mut self.left_out);
        let text = alloc::format!("{left_out} records were too many and are left out");
        let said = Said::text(Level::WARNING, &text);
        // LOG-25
        if said.level <= self.config.level {
            self.keep(now, said);
        }
    }

    fn keep(&mut self, now: Instant, said: Said) {
        self.counters.records += 1;
        let running = Duration::from_micros(now.as_micros());
        // LOG-28
        let time = self.epoch.saturating_add(running).as_secs();
        // LOG-27
        while self.kept.len() >= self.config.limits.records.max(1) {
            self.kept.pop_front();
            self.pushed_out += 1;
        }
        self.kept.push_back(Kept {
            at: now,
            time,
            said,
        });
    }

    /// The first that a collector is told which enters now.
    fn recent(&self, now: Instant) -> u64 {
        let recent = self.config.limits.recent;
        let old = self.kept.iter().take_while(|kept| now - kept.at > recent);
        self.pushed_out + u64::try_from(old.count()).unwrap_or(u64::MAX)
    }
}
