//! The relay: two connections that become one, for bridges that cannot dial each other.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use tracing::debug;

use crate::Instant;
use crate::by_link::ByLink;
use crate::net::{Cut, LinkId};
use crate::table;
use crate::timers::Timers;
use crate::wire::once::{Prelude, Ticket};

/// What strangers and bridges may cost a relay.
///
/// ```
/// use atonce::once::relay::Limits;
///
/// let limits = Limits { pairs: 16, ..Limits::default() };
/// assert_eq!(limits.buffer_octets, 64 << 10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections that did not say their prelude: 256. The oldest gives way to a new one.
    pub strangers: usize,
    /// The most pairs, with those that are expected and those whose last words are under way: 256.
    pub pairs: usize,
    /// How long a prelude may take, and how long one end waits for the other: 10 s.
    pub deadline: Duration,
    /// For how long a ticket is good: 30 s.
    pub ticket: Duration,
    /// How many octets may wait for one end until the other is not read any more: 64 KiB.
    pub buffer_octets: usize,
    /// After how long a pair is ended between which nothing passes: 2 min. Nodes of ZRE ask each other after 5 s of silence.
    pub idle: Duration,
    /// How long the last words to one end may take when the other is gone: 10 s.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            strangers: 256,
            pairs: 256,
            deadline: Duration::from_secs(10),
            ticket: Duration::from_secs(30),
            buffer_octets: 64 << 10,
            idle: Duration::from_secs(120),
            linger: Duration::from_secs(10),
        }
    }
}

/// What a relay asks of its embedder, for connections that the embedder accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// There are octets to send where there were none: take them with [`Relay::poll_transmit`] until it lends nothing.
    Transmit {
        /// Where.
        link: LinkId,
    },
    /// Stop reading the connection, because the other end is slow.
    Pause {
        /// Which.
        link: LinkId,
    },
    /// Read it again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Close the connection now and forget it. No further call about it.
    Close {
        /// Which.
        link: LinkId,
    },
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// A prelude takes too long.
    Prelude,
    /// Nobody came for a pair, or only one end.
    Pair,
    /// It is time to look whether something passed between two.
    Idle,
    /// The last words to one end take too long.
    Linger,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Those that began with something else than a prelude.
    pub strangers: u64,
    /// Those with a ticket that was not expected, or was used before.
    pub wrong_tickets: u64,
    /// Those without a prelude that gave way to a newer one.
    pub displaced: u64,
    /// Those whose prelude took too long.
    pub too_slow: u64,
    /// Pairs that were expected and of which not both ends came in time.
    pub missed: u64,
    /// Pairs that were not taken on, since there are as many as may be.
    pub too_many: u64,
    /// Pairs that were joined.
    pub joined: u64,
    /// Pairs that were ended because nothing passed between them.
    pub idle: u64,
    /// Octets that came to be passed on, preludes left out.
    pub octets: u64,
}

/// Two that are joined, or were until a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairView {
    /// When they were joined.
    pub since: Instant,
    /// How many octets came from the one that dials.
    pub from_dialler: u64,
    /// How many octets came from the one that accepts.
    pub from_acceptor: u64,
}

/// Which end of a pair. Not who connected: both did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dialler,
    Acceptor,
}

impl End {
    const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// One thing for each end.
#[derive(Clone, Copy, Debug, Default)]
struct Both<T> {
    dialler: T,
    acceptor: T,
}

impl<T> Both<T> {
    const fn of(&self, end: End) -> &T {
        match end {
            End::Dialler => &self.dialler,
            End::Acceptor => &self.acceptor,
        }
    }

    const fn of_mut(&mut self, end: End) -> &mut T {
        match end {
            End::Dialler => &mut self.dialler,
            End::Acceptor => &mut self.acceptor,
        }
    }
}

/// The name of a pair, from when it is expected until both its links are gone.
type PairId = u64;

#[derive(Debug)]
struct Pair {
    tickets: Both<Ticket>,
    /// Used tickets are not compared any more.
    used: Both<bool>,
    links: Both<Option<LinkId>>,
    /// How many octets came from that end.
    came: Both<u64>,
    /// When both were here; `None` until then.
    joined: Option<Instant>,
    /// When something came last.
    last: Instant,
}

#[derive(Debug)]
struct Link {
    stage: Stage,
    /// The embedder knows that there are octets to send.
    signalled: bool,
    /// The embedder was told not to read.
    paused: bool,
    /// Of a pair: what is to be sent over it. Empty, it owns no memory.
    queue: VecDeque<u8>,
}

#[derive(Debug)]
enum Stage {
    /// Its prelude, as far as it came.
    New([u8; Prelude::OCTETS], usize),
    /// It is this end of this pair.
    Of(PairId, End),
    /// The same, but the other end is gone: it gets what was under way, and what it says counts for nothing.
    Leaving(PairId, End),
}

/// What has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Due {
    Prelude(LinkId),
    /// Both ends are to be here.
    Pair(PairId),
    Idle(PairId),
    Linger(LinkId),
}

/// A relay: it joins two connections whose tickets were made for each other, and passes on what comes, in order and unread.
///
/// It is used as a [`Stack`](crate::Stack) is: `handle_*` when something happened, then [`poll_action`](Self::poll_action) until
/// there is nothing more to do, and [`poll_timeout`](Self::poll_timeout) to know when to come back. It owns no socket. What comes
/// from the network cannot make it fail, nor hold more than its [`Limits`] allow: for each pair twice `buffer_octets`, and what one
/// reading brings beyond.
///
/// ```
/// use atonce::Instant;
/// use atonce::once::relay::{Action, Limits, Relay};
/// use atonce::wire::once::{Prelude, Ticket};
///
/// let now = Instant::ZERO;
/// let mut relay = Relay::new(Limits::default());
/// let tickets = [1, 2].map(|n| Ticket::from_bytes([n; 32]));
/// assert!(relay.expect(now, tickets[0], tickets[1]));
/// let links = tickets.map(|ticket| {
///     let link = relay.handle_accepted(now);
///     relay.handle_received(now, link, &Prelude { ticket }.encode());
///     link
/// });
/// relay.handle_received(now, links[0], b"hello");
/// assert_eq!(relay.poll_action(), Some(Action::Transmit { link: links[1] }));
/// assert_eq!(relay.poll_transmit(links[1]).flatten().copied().collect::<Vec<u8>>(), b"hello");
/// ```
#[derive(Debug)]
pub struct Relay {
    limits: Limits,
    links: ByLink<Link>,
    next_link: u64,
    /// Links without a prelude. The first is the oldest.
    strangers: BTreeSet<LinkId>,
    pairs: BTreeMap<PairId, Pair>,
    next_pair: PairId,
    timers: Timers<Due>,
    actions: VecDeque<Action>,
    counters: Counters,
}

impl Relay {
    /// A relay that expects nobody.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            links: ByLink::new(),
            next_link: 0,
            strangers: BTreeSet::new(),
            pairs: BTreeMap::new(),
            next_pair: 0,
            timers: Timers::new(table::no_secret()),
            actions: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Two will come with these tickets, which were drawn for them and for nobody else. `false`: there are as many pairs as may be,
    /// and these two will be refused.
    pub fn expect(&mut self, now: Instant, dialler: Ticket, acceptor: Ticket) -> bool {
        // ONCE-125
        if self.pairs.len() >= self.limits.pairs {
            self.counters.too_many += 1;
            return false;
        }
        let id = self.next_pair;
        self.next_pair += 1;
        let pair = Pair {
            tickets: Both { dialler, acceptor },
            used: Both::default(),
            links: Both::default(),
            came: Both::default(),
            joined: None,
            last: now,
        };
        self.pairs.insert(id, pair);
        // ONCE-121
        self.timers.set(Due::Pair(id), now + self.limits.ticket);
        true
    }

    // ---- inputs

    /// Somebody connected.
    pub fn handle_accepted(&mut self, now: Instant) -> LinkId {
        // ONCE-125
        if self.strangers.len() >= self.limits.strangers
            && let Some(&oldest) = self.strangers.first()
        {
            self.counters.displaced += 1;
            self.close(oldest);
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.counters.accepted += 1;
        self.links.insert(
            link,
            Link {
                stage: Stage::New([0; Prelude::OCTETS], 0),
                signalled: false,
                paused: false,
                queue: VecDeque::new(),
            },
        );
        self.strangers.insert(link);
        let deadline = now + self.limits.deadline;
        self.timers.set(Due::Prelude(link), deadline);
        link
    }

    /// Octets came over a connection. All of them are taken.
    pub fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        match &mut entry.stage {
            Stage::New(prelude, came) => {
                let rest = prelude.get_mut(*came..).unwrap_or_default();
                let (more, behind) = octets.split_at_checked(rest.len()).unwrap_or((octets, &[]));
                for (place, octet) in rest.iter_mut().zip(more) {
                    *place = *octet;
                }
                *came += more.len();
                match Prelude::read(prelude.get(..*came).unwrap_or_default()) {
                    Ok(None) => {}
                    Ok(Some(prelude)) => {
                        self.admit(now, link, prelude.ticket);
                        self.pass(now, link, behind);
                    }
                    // ONCE-120
                    Err(error) => {
                        debug!(%link, %error, "no prelude");
                        self.counters.strangers += 1;
                        self.close(link);
                    }
                }
            }
            Stage::Of(..) => self.pass(now, link, octets),
            Stage::Leaving(..) => {}
        }
    }

    /// The network took the first `octets` octets that [`poll_transmit`](Self::poll_transmit) lent.
    pub fn handle_transmitted(&mut self, _now: Instant, link: LinkId, octets: usize) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        let queue = &mut entry.queue;
        queue.drain(..octets.min(queue.len()));
        let left = queue.len();
        if left == 0 {
            // A quiet link owns no buffer.
            *queue = VecDeque::new();
            entry.signalled = false;
        }
        match entry.stage {
            Stage::New(..) => {}
            Stage::Of(pair, end) => {
                if left <= self.limits.buffer_octets / 2 {
                    let other = self.link_of(pair, end.other());
                    self.resume(other);
                }
            }
            // ONCE-124
            Stage::Leaving(..) if left == 0 => self.close(link),
            Stage::Leaving(..) => {}
        }
    }

    /// A connection ended. What it brought before still goes to the other end.
    pub fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        debug!(%link, ?cut, "gone");
        let Some((pair, end)) = self.forget(link) else {
            return;
        };
        self.end(now, pair, end);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.timers.pop_due(now) {
            match due {
                // ONCE-125
                Due::Prelude(link) => {
                    self.counters.too_slow += 1;
                    self.close(link);
                }
                // ONCE-121, ONCE-125
                Due::Pair(id) => {
                    self.counters.missed += 1;
                    self.drop_pair(id);
                }
                Due::Idle(id) => self.look_at(now, id),
                // ONCE-124
                Due::Linger(link) => self.close(link),
            }
        }
    }

    // ---- outputs

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The octets to send over a connection, in slices for a vectored write; none when nothing waits.
    pub fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> {
        self.links
            .get(link)
            .into_iter()
            .filter(|entry| entry.signalled)
            .flat_map(|entry| <[_; 2]>::from(entry.queue.as_slices()))
            .filter(|slice| !slice.is_empty())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let (at, due) = self.timers.next()?;
        let timer = match due {
            Due::Prelude(_) => Timer::Prelude,
            Due::Pair(_) => Timer::Pair,
            Due::Idle(_) => Timer::Idle,
            Due::Linger(_) => Timer::Linger,
        };
        Some((at, timer))
    }

    /// The pairs that are joined, the oldest first.
    pub fn pairs(&self) -> impl Iterator<Item = PairView> {
        self.pairs.values().filter_map(|pair| {
            Some(PairView {
                since: pair.joined?,
                from_dialler: pair.came.dialler,
                from_acceptor: pair.came.acceptor,
            })
        })
    }

    /// How many connections there are.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// The octets that wait to be sent, over all connections.
    pub fn queued_octets(&self) -> usize {
        let links = self
            .pairs
            .values()
            .flat_map(|pair| [pair.links.dialler, pair.links.acceptor]);
        links.flatten().map(|link| self.queued(link)).sum()
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    // ---- what becomes of a link

    /// A prelude came.
    fn admit(&mut self, now: Instant, link: LinkId, ticket: Ticket) {
        // ONCE-121: all of them are compared, so that how long it takes tells nothing.
        let mut found = None;
        for (&id, pair) in &self.pairs {
            for end in [End::Dialler, End::Acceptor] {
                if (*pair.tickets.of(end) == ticket) & !pair.used.of(end) {
                    found = Some((id, end));
                }
            }
        }
        let Some((id, end)) = found else {
            self.counters.wrong_tickets += 1;
            return self.close(link);
        };
        self.strangers.remove(&link);
        self.timers.cancel(Due::Prelude(link));
        if let Some(entry) = self.links.get_mut(link) {
            entry.stage = Stage::Of(id, end);
        }
        let Some(pair) = self.pairs.get_mut(&id) else {
            return;
        };
        *pair.used.of_mut(end) = true;
        *pair.links.of_mut(end) = Some(link);
        let Some(other) = *pair.links.of(end.other()) else {
            // ONCE-125: it does not make the other one's ticket better.
            let deadline = now + self.limits.deadline;
            return self.timers.advance(Due::Pair(id), deadline);
        };
        // ONCE-122
        pair.joined = Some(now);
        pair.last = now;
        self.counters.joined += 1;
        self.timers.cancel(Due::Pair(id));
        self.timers.set(Due::Idle(id), now + self.limits.idle);
        debug!(%link, %other, "joined");
        // What the other said before waits in its own queue.
        let early = self.links.get_mut(other);
        let early = early.map(|other| core::mem::take(&mut other.queue));
        if let (Some(entry), Some(early)) = (self.links.get_mut(link), early) {
            entry.queue = early;
        }
        self.signal(link);
        if self.queued(link) < self.limits.buffer_octets {
            self.resume(Some(other));
        }
    }

    /// What comes from one goes to the other; it waits where it came while there is no other.
    fn pass(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        let Some(Stage::Of(id, end)) = self.links.get(link).map(|entry| &entry.stage) else {
            return;
        };
        let (id, end) = (*id, *end);
        let Some(pair) = self.pairs.get_mut(&id) else {
            return;
        };
        if octets.is_empty() {
            return;
        }
        let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        self.counters.octets += count;
        *pair.came.of_mut(end) += count;
        pair.last = now;
        // ONCE-122
        let other = *pair.links.of(end.other());
        let keeper = other.unwrap_or(link);
        if let Some(entry) = self.links.get_mut(keeper) {
            entry.queue.extend(octets);
        }
        if let Some(other) = other {
            self.signal(other);
        }
        // ONCE-123
        if self.queued(keeper) >= self.limits.buffer_octets
            && let Some(entry) = self.links.get_mut(link)
            && !core::mem::replace(&mut entry.paused, true)
        {
            self.actions.push_back(Action::Pause { link });
        }
    }

    /// One end of a pair is gone.
    fn end(&mut self, now: Instant, id: PairId, end: End) {
        let Some(pair) = self.pairs.get_mut(&id) else {
            return;
        };
        *pair.links.of_mut(end) = None;
        let Some(other) = *pair.links.of(end.other()) else {
            // It was the last of them, or came alone.
            if pair.joined.is_none() {
                self.counters.missed += 1;
            }
            return self.drop_pair(id);
        };
        self.timers.cancel(Due::Idle(id));
        let Some(entry) = self.links.get_mut(other) else {
            return;
        };
        // ONCE-124
        entry.stage = Stage::Leaving(id, end.other());
        if entry.queue.is_empty() {
            return self.close(other);
        }
        let deadline = now + self.limits.linger;
        self.timers.set(Due::Linger(other), deadline);
        // Read, though it counts for nothing: so its end is noticed.
        self.resume(Some(other));
    }

    /// Whether anything passed lately.
    fn look_at(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.pairs.get(&id) else {
            return;
        };
        // ONCE-124
        let until = pair.last + self.limits.idle;
        if now < until {
            return self.timers.set(Due::Idle(id), until);
        }
        self.counters.idle += 1;
        self.drop_pair(id);
    }

    /// Ends a pair, with whoever is there.
    fn drop_pair(&mut self, id: PairId) {
        self.timers.cancel(Due::Pair(id));
        self.timers.cancel(Due::Idle(id));
        let Some(pair) = self.pairs.remove(&id) else {
            return;
        };
        for end in [End::Dialler, End::Acceptor] {
            if let Some(link) = *pair.links.of(end) {
                self.close(link);
            }
        }
    }

    /// Closes a link; the other end is not told.
    fn close(&mut self, link: LinkId) {
        if self.links.get(link).is_none() {
            return;
        }
        self.actions.push_back(Action::Close { link });
        let Some((id, end)) = self.forget(link) else {
            return;
        };
        if let Some(pair) = self.pairs.get_mut(&id) {
            *pair.links.of_mut(end) = None;
            if pair.links.of(end.other()).is_none() {
                self.pairs.remove(&id);
            }
        }
    }

    /// Forgets a link; gives the pair that it was an end of.
    fn forget(&mut self, link: LinkId) -> Option<(PairId, End)> {
        self.strangers.remove(&link);
        self.timers.cancel(Due::Prelude(link));
        self.timers.cancel(Due::Linger(link));
        match self.links.remove(link)?.stage {
            Stage::New(..) => None,
            Stage::Of(pair, end) | Stage::Leaving(pair, end) => Some((pair, end)),
        }
    }

    fn link_of(&self, pair: PairId, end: End) -> Option<LinkId> {
        *self.pairs.get(&pair)?.links.of(end)
    }

    fn queued(&self, link: LinkId) -> usize {
        self.links.get(link).map_or(0, |entry| entry.queue.len())
    }

    /// Tells the embedder, once, that there are octets to send.
    fn signal(&mut self, link: LinkId) {
        if let Some(entry) = self.links.get_mut(link)
            && !entry.queue.is_empty()
            && !core::mem::replace(&mut entry.signalled, true)
        {
            self.actions.push_back(Action::Transmit { link });
        }
    }

    fn resume(&mut self, link: Option<LinkId>) {
        if let Some(link) = link
            && let Some(entry) = self.links.get_mut(link)
            && core::mem::take(&mut entry.paused)
        {
            self.actions.push_back(Action::Resume { link });
        }
    }

    /// What has to hold after each call.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn check_invariants(&self, one_reading: usize) {
        assert!(self.strangers.len() <= self.limits.strangers);
        assert!(self.pairs.len() <= self.limits.pairs);
        assert!(self.links.len() <= self.strangers.len() + 2 * self.pairs.len());
        let mut timers: BTreeSet<Due> = self.timers.keys().collect();
        for (link, entry) in self.links.iter() {
            assert!(entry.queue.len() < self.limits.buffer_octets + one_reading);
            assert_eq!(entry.queue.is_empty(), entry.queue.capacity() == 0);
            match entry.stage {
                Stage::New(_, came) => {
                    assert!(self.strangers.contains(&link) && came < Prelude::OCTETS);
                    assert!(timers.remove(&Due::Prelude(link)) && entry.queue.is_empty());
                }
                Stage::Of(id, end) => {
                    assert_eq!(self.link_of(id, end), Some(link));
                    let joined = self
                        .pairs
                        .get(&id)
                        .is_some_and(|pair| pair.joined.is_some());
                    assert_eq!(joined, self.link_of(id, end.other()).is_some());
                    assert_eq!(entry.signalled, joined && !entry.queue.is_empty());
                }
                Stage::Leaving(id, end) => {
                    assert_eq!(self.link_of(id, end), Some(link));
                    assert_eq!(self.link_of(id, end.other()), None);
                    assert!(timers.remove(&Due::Linger(link)) && entry.signalled);
                    assert!(!entry.queue.is_empty() && !entry.paused);
                }
            }
        }
        for (id, pair) in &self.pairs {
            let here = [pair.links.dialler, pair.links.acceptor];
            let here = here.iter().flatten().count();
            assert_eq!(timers.remove(&Due::Pair(*id)), pair.joined.is_none());
            assert_eq!(timers.remove(&Due::Idle(*id)), here == 2);
            assert!(pair.joined.is_none() || here > 0);
        }
        assert!(timers.is_empty(), "{timers:?}");
    }
}
