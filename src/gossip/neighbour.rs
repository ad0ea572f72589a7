//! One neighbour: what it is, how far it is, and what it is still to be told.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use super::allowance::Allowance;
use super::event::Neighbour;
use super::{Limits, RemoteId};
use crate::Instant;
use crate::wire::gossip::{Key, Message};

/// The name of a neighbour, within this participant. It is never used twice.
pub(super) type No = u64;

/// How long the greeting of a hub may take.
const GREETING: Duration = Duration::from_secs(1);
/// For how long after its HELLO a client of another kind tells all that it ever heard.
const ANEW: Duration = Duration::from_secs(2);
/// After how long a hub of another kind may have forgotten us. They do after a second.
const FORGOTTEN: Duration = Duration::from_millis(900);
/// How often a hub of ours is told that we are there.
const PING_OURS: Duration = Duration::from_secs(2);
/// After how long the connection to a silent hub is made anew.
const SILENCE: Duration = Duration::from_secs(10);
/// After how long a silent client is looked for.
const PROBE: Duration = Duration::from_secs(5);
/// After how long a full socket is tried again.
const FULL: Duration = Duration::from_millis(50);
/// The pauses between greetings that were answered by INVALID, and after how long it is the first again.
const GREET_AGAIN: Duration = Duration::from_millis(100);
const GREET_LATEST: Duration = Duration::from_secs(5);
const GREETED_WELL: Duration = Duration::from_secs(10);
/// When the first correction is followed by the second, how often that doubles, and after how long it is the first again.
const CORRECT_AGAIN: Duration = Duration::from_secs(1);
const CORRECT_DOUBLINGS: u32 = 5;
const CORRECTED_WELL: Duration = Duration::from_secs(120);

/// What a neighbour is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It did not say.
    Unknown,
    /// A C peer, or another that does not say more than they do.
    Foreign,
    /// One of ours.
    Ours,
    /// This participant. Nothing is said to it.
    Itself,
}

/// How often a value was corrected that a neighbour holds on to.
#[derive(Debug)]
struct Dispute {
    corrections: u32,
    /// Not before this.
    next: Instant,
    /// The next one is due then.
    waits: bool,
}

#[derive(Debug)]
pub(super) struct Talk {
    pub(super) who: Neighbour,
    pub(super) kind: Kind,
    /// A hub: whether it is connected.
    pub(super) is_up: bool,
    /// It is told tuples. A client that said HELLO, a hub that answered ours.
    pub(super) is_synced: bool,
    greeted_at: Instant,
    // ---- what it is to be told
    owes_hello: bool,
    owes_ping: bool,
    owes_pong: bool,
    /// A PONG that says who we are.
    owes_name: bool,
    owes_invalid: bool,
    /// Changes, by their keys.
    owed: BTreeSet<Key>,
    /// All tuples behind this key; in its box `None`: from the first.
    dump: Option<Option<Key>>,
    /// What need not be told in this dump.
    has: BTreeSet<Key>,
    blocked_until: Option<Instant>,
    // ---- rhythm
    heard_at: Instant,
    said_at: Instant,
    ping_at: Option<Instant>,
    probed_at: Instant,
    /// How many PINGs were said and not answered yet, those of this greeting among them.
    unanswered: u32,
    /// When it is greeted again, and after which pause.
    greet_at: Option<Instant>,
    greet_pause: Duration,
    pub(super) was_told_invalid: bool,
    // ---- what it may do
    pub(super) messages: Allowance,
    pub(super) changes: Allowance,
    pub(super) refused_until: Option<Instant>,
    /// How many tuples are its share of the table.
    pub(super) brought: usize,
    /// Of what it said first, as far as it is no participant of ours.
    pub(super) tells: BTreeSet<Key>,
    disputes: BTreeMap<Key, Dispute>,
}

/// What a neighbour's deadline was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// The penalty is over.
    Pardon,
    /// The hub is greeted, anew.
    Greet,
    /// The greeting took too long, or enough.
    Sync,
    /// Its connection is to be made anew.
    Reconnect,
}

/// What is said next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Hello,
    Ping,
    Pong,
    Name,
    Invalid,
    /// The statement about this key, as it is now.
    Owed(Key),
    /// The first one behind this key.
    Dump(Option<Key>),
}

/// What a message was that is given back.
impl From<Message> for Next {
    fn from(message: Message) -> Self {
        match message {
            Message::Hello(_) => Self::Hello,
            Message::Publish(publish) => Self::Owed(publish.key),
            Message::Ping => Self::Ping,
            Message::Pong(None) => Self::Pong,
            Message::Pong(Some(_)) => Self::Name,
            Message::Invalid => Self::Invalid,
        }
    }
}

impl Talk {
    pub(super) fn new(now: Instant, who: Neighbour, limits: &Limits) -> Self {
        Self {
            who,
            kind: Kind::Unknown,
            is_up: false,
            is_synced: false,
            greeted_at: now,
            owes_hello: false,
            owes_ping: false,
            owes_pong: false,
            owes_name: false,
            owes_invalid: false,
            owed: BTreeSet::new(),
            dump: None,
            has: BTreeSet::new(),
            blocked_until: None,
            heard_at: now,
            said_at: now,
            ping_at: None,
            probed_at: now,
            unanswered: 0,
            greet_at: None,
            greet_pause: Duration::ZERO,
            was_told_invalid: false,
            messages: Allowance::new(now, limits.messages),
            changes: Allowance::new(now, limits.changes),
            refused_until: None,
            brought: 0,
            tells: BTreeSet::new(),
            disputes: BTreeMap::new(),
        }
    }

    pub(super) const fn remote(&self) -> Option<RemoteId> {
        match self.who {
            Neighbour::Remote(remote) => Some(remote),
            Neighbour::Session(_) => None,
        }
    }

    /// Whether it tells all that it ever heard.
    // GOS-23
    pub(super) fn tells_anew(&self, now: Instant) -> bool {
        match self.who {
            Neighbour::Remote(_) => !self.is_synced,
            Neighbour::Session(_) => now < self.greeted_at + ANEW,
        }
    }

    // ---- what it is to be told

    /// It is to be told what holds.
    // GOS-72
    pub(super) fn owe(&mut self, key: &Key) {
        self.has.remove(key);
        // Whoever is not greeted yet will be told everything.
        if self.is_synced && !self.comes(key) {
            self.owed.insert(key.clone());
        }
    }

    /// Whether a dump is still to come to this key.
    fn comes(&self, key: &Key) -> bool {
        self.dump.as_ref().is_some_and(|at| at.as_ref() < Some(key))
    }

    /// There is a tuple no more. One of another kind is told so in place of what it was told, and else not.
    // GOS-31
    pub(super) fn owe_void(&mut self, key: &Key) {
        if self.kind == Kind::Ours || !self.comes(key) || self.tells.contains(key) {
            self.owe(key);
        }
    }

    /// It knows what holds.
    // GOS-20
    pub(super) fn knows(&mut self, key: &Key) {
        self.owed.remove(key);
        if self.comes(key) || !self.is_synced && self.remote().is_some() {
            self.has.insert(key.clone());
        }
    }

    /// Whether what holds was not told to it yet.
    pub(super) fn is_untold(&self, key: &Key) -> bool {
        !self.is_synced || self.comes(key) && !self.has.contains(key) || self.owed.contains(key)
    }

    /// It is to be told everything.
    pub(super) fn sync(&mut self) {
        self.is_synced = true;
        self.dump = Some(None);
        self.greet_at = None;
    }

    pub(super) const fn owe_pong(&mut self) {
        self.owes_pong = true;
    }

    pub(super) const fn owe_invalid(&mut self) {
        self.owes_invalid = true;
    }

    /// A client said HELLO.
    pub(super) fn greeted(&mut self, now: Instant, kind: Kind) {
        self.kind = kind;
        self.greeted_at = now;
        self.owes_name = matches!(kind, Kind::Ours | Kind::Itself);
        self.owes_invalid = false;
        self.was_told_invalid = false;
        self.owed.clear();
        self.dump = None;
        self.has.clear();
        self.is_synced = false;
        if kind != Kind::Itself {
            self.sync();
        }
    }

    /// A hub is told HELLO, for the first time over this connection or anew.
    // GOS-50
    pub(super) fn greet(&mut self, now: Instant) {
        self.is_synced = false;
        self.greeted_at = now;
        self.owes_hello = true;
        self.owes_ping = true;
        self.owed.clear();
        self.dump = None;
        self.has.clear();
        self.greet_at = None;
        self.ping_at = None;
    }

    /// A hub is connected.
    pub(super) fn connected(&mut self, now: Instant) {
        self.is_up = true;
        self.kind = Kind::Unknown;
        self.unanswered = 0;
        self.heard_at = now;
        self.said_at = now;
        self.blocked_until = None;
        self.disputes.clear();
        self.greet_pause = Duration::ZERO;
        self.greet(now);
    }

    /// A hub is this participant itself.
    // GOS-55
    pub(super) fn is_itself(&mut self) {
        self.disconnected();
        self.is_up = true;
        self.kind = Kind::Itself;
    }

    /// A hub is not connected any more.
    pub(super) fn disconnected(&mut self) {
        self.is_up = false;
        self.is_synced = false;
        self.owes_hello = false;
        self.owes_ping = false;
        self.owed.clear();
        self.dump = None;
        self.has.clear();
        self.greet_at = None;
        self.ping_at = None;
        self.blocked_until = None;
    }

    /// A hub said INVALID.
    // GOS-53
    pub(super) fn invalid(&mut self, now: Instant) {
        if self.greet_at.is_some() {
            return;
        }
        if now >= self.greeted_at + GREETED_WELL {
            self.greet_pause = Duration::ZERO;
        }
        self.greet_at = Some(now + self.greet_pause);
        self.greet_pause = (self.greet_pause * 2).clamp(GREET_AGAIN, GREET_LATEST);
    }

    /// A PONG came. Whether it ends the greeting.
    // GOS-50
    pub(super) fn answered(&mut self) -> bool {
        self.unanswered = self.unanswered.saturating_sub(1);
        !self.is_synced && self.unanswered == 0 && !self.owes_hello && !self.owes_ping
    }

    /// Something came. Whether a hub may have forgotten us meanwhile.
    // GOS-52
    pub(super) fn hear(&mut self, now: Instant) -> bool {
        let silent = now > self.heard_at + FORGOTTEN;
        self.heard_at = now;
        silent && self.may_forget()
    }

    fn may_forget(&self) -> bool {
        self.kind == Kind::Foreign && self.remote().is_some() && self.is_synced
    }

    // ---- corrections

    /// It says something that does not hold: it is told so, now or later. `drawn` is for how much later.
    // GOS-23
    pub(super) fn correct(&mut self, now: Instant, key: &Key, drawn: u8) {
        if self.tells_anew(now) {
            // It will be told what is live anyway, once it is greeted.
            self.has.remove(key);
            if !self.comes(key) {
                self.owed.insert(key.clone());
            }
            return;
        }
        let dispute = self.disputes.entry(key.clone()).or_insert(Dispute {
            corrections: 0,
            next: now,
            waits: false,
        });
        if now >= dispute.next + CORRECTED_WELL {
            dispute.corrections = 0;
        }
        if now < dispute.next {
            dispute.waits = true;
            return;
        }
        dispute.corrected(now, drawn);
        self.owe(key);
    }

    /// Makes the corrections that are due.
    fn correct_due(&mut self, now: Instant, drawn: u8) {
        let due = |(_, dispute): &(&Key, &mut Dispute)| dispute.waits && dispute.next <= now;
        let due = self.disputes.iter_mut().filter(due);
        let due = due.map(|(key, dispute)| {
            dispute.corrected(now, drawn);
            key.clone()
        });
        let due: BTreeSet<Key> = due.collect();
        for key in due {
            self.owe(&key);
        }
        self.disputes
            .retain(|_, dispute| now < dispute.next + CORRECTED_WELL);
    }

    /// There is nothing to say of a tuple.
    pub(super) fn let_go(&mut self, key: &Key) {
        self.owed.remove(key);
        self.has.remove(key);
        self.disputes.remove(key);
    }

    /// Nothing is known of a tuple.
    pub(super) fn forget(&mut self, key: &Key) {
        self.let_go(key);
        self.tells.remove(key);
    }

    // ---- outputs

    /// Whether there is something to say now.
    pub(super) fn is_ready(&self) -> bool {
        if self.blocked_until.is_some() || self.remote().is_some() && !self.is_up {
            return false;
        }
        let controls = self.owes_hello
            || self.owes_ping
            || self.owes_pong
            || self.owes_name
            || self.owes_invalid;
        controls || self.is_synced && (self.dump.is_some() || !self.owed.is_empty())
    }

    /// Takes what is to be said next. Of a dump, [`dumped`](Self::dumped) says how far it went.
    pub(super) fn next(&mut self) -> Option<Next> {
        let take = core::mem::take::<bool>;
        if take(&mut self.owes_hello) {
            return Some(Next::Hello);
        }
        if take(&mut self.owes_name) {
            return Some(Next::Name);
        }
        if take(&mut self.owes_ping) {
            return Some(Next::Ping);
        }
        if take(&mut self.owes_pong) {
            return Some(Next::Pong);
        }
        if take(&mut self.owes_invalid) {
            return Some(Next::Invalid);
        }
        if !self.is_synced {
            return None;
        }
        if let Some(key) = self.owed.pop_first() {
            if self.comes(&key) {
                // Once is enough.
                self.has.insert(key.clone());
            }
            return Some(Next::Owed(key));
        }
        self.dump.clone().map(Next::Dump)
    }

    /// The dump came to this key. Whether the neighbour is to be told of it.
    pub(super) fn dumped(&mut self, key: &Key) -> bool {
        self.dump = Some(Some(key.clone()));
        !self.has.remove(key)
    }

    /// The dump came to its end.
    pub(super) fn dumped_all(&mut self) {
        self.dump = None;
        self.has.clear();
    }

    /// A message was given to the embedder.
    pub(super) fn said(&mut self, now: Instant, next: &Next, pause: Duration) {
        self.said_at = now;
        if *next == Next::Ping {
            self.unanswered = self.unanswered.saturating_add(1);
            self.ping_at = Some(now + pause);
        }
    }

    /// A message was not taken: it is to be said again, later, if it still means something.
    // GOS-72
    pub(super) fn unsaid(&mut self, now: Instant, next: Option<Next>) {
        self.blocked_until = Some(now + FULL);
        let Some(next) = next else {
            return;
        };
        match next {
            Next::Hello => self.owes_hello = true,
            Next::Ping => {
                self.owes_ping = true;
                self.unanswered = self.unanswered.saturating_sub(1);
            }
            Next::Pong => self.owes_pong = true,
            Next::Name => self.owes_name = true,
            Next::Invalid => self.owes_invalid = true,
            Next::Owed(key) if self.is_synced => {
                self.owed.insert(key);
            }
            Next::Owed(_) | Next::Dump(_) => {}
        }
    }

    /// How long until the next PING, of a draw.
    // GOS-51
    pub(super) fn pause(&self, ping: Duration, drawn: u8) -> Duration {
        let pause = if self.kind == Kind::Ours {
            PING_OURS
        } else {
            ping
        };
        pause - pause / 10 * u32::from(drawn) / 256
    }

    // ---- deadlines

    /// When it is to be looked at.
    pub(super) fn due(&self) -> Option<Instant> {
        let mut due = [None; 6];
        due[0] = self.refused_until;
        due[1] = self.blocked_until;
        let waits = self.disputes.values().filter(|dispute| dispute.waits);
        due[2] = waits.map(|dispute| dispute.next).min();
        if self.remote().is_none() {
            // GOS-63
            due[3] = Some(self.heard_at.max(self.probed_at) + PROBE);
        } else if self.is_up && self.kind != Kind::Itself {
            due[3] = Some(self.heard_at + SILENCE);
            due[4] = self.greet_at.or(self.ping_at);
            due[5] = (!self.is_synced).then_some(self.greeted_at + GREETING);
        }
        due.into_iter().flatten().min()
    }

    /// Does what is due, and says what is left to be done.
    pub(super) fn work(&mut self, now: Instant, drawn: u8) -> Option<Work> {
        if self.blocked_until.is_some_and(|until| until <= now) {
            self.blocked_until = None;
        }
        self.correct_due(now, drawn);
        if self.refused_until.is_some_and(|until| until <= now) {
            self.refused_until = None;
            return Some(Work::Pardon);
        }
        if self.remote().is_none() {
            if self.heard_at.max(self.probed_at) + PROBE <= now {
                // GOS-63
                self.probed_at = now;
                self.owes_pong = true;
            }
            return None;
        }
        if !self.is_up || self.kind == Kind::Itself {
            return None;
        }
        if self.heard_at + SILENCE <= now {
            // GOS-54
            self.heard_at = now;
            return Some(Work::Reconnect);
        }
        if self.greet_at.is_some_and(|at| at <= now) {
            return Some(Work::Greet);
        }
        if !self.is_synced && self.greeted_at + GREETING <= now {
            return Some(Work::Sync);
        }
        if self.ping_at.is_some_and(|at| at <= now) {
            self.ping_at = None;
            // GOS-52
            if self.may_forget() && self.said_at + FORGOTTEN < now {
                return Some(Work::Greet);
            }
            self.owes_ping = true;
        }
        None
    }
}

impl Dispute {
    fn corrected(&mut self, now: Instant, drawn: u8) {
        let doubled = self.corrections.min(CORRECT_DOUBLINGS);
        let pause = CORRECT_AGAIN * (1 << doubled);
        self.next = now + pause + pause / 4 * u32::from(drawn) / 256;
        self.corrections = self.corrections.saturating_add(1);
        self.waits = false;
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Talk {
    pub(super) fn check(&self, tuples: usize) {
        assert!(self.owed.len() <= tuples && self.has.len() <= tuples);
        assert!(self.tells.len() <= tuples && self.disputes.len() <= tuples);
        assert!(self.is_synced || self.dump.is_none());
        if self.remote().is_some() && !self.is_up {
            assert!(self.owed.is_empty() && !self.is_synced);
        }
    }
}
