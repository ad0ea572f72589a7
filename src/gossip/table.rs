//! The tuples, and what is known of each.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

use super::neighbour::No;
use crate::Instant;
use crate::wire::gossip::{Key, ParticipantId, Stamp, Value};

/// How many superseded values of a key are remembered.
const PAST: usize = 4;
/// For how long after it was superseded a value may still be on its way.
const CROSSING: Duration = Duration::from_secs(2);

/// What is known of a key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) state: State,
    pub(super) stamp: Stamp,
    /// When that stamp was given or heard.
    pub(super) since: Instant,
    /// Until when it counts, or is remembered.
    pub(super) until: Instant,
    /// What was superseded, the last one last, and when.
    past: Vec<(Value, Instant)>,
    /// The neighbours of another kind that said so, and until when that counts; `None`: as long as they are there.
    pub(super) tellers: BTreeMap<No, Option<Instant>>,
    /// Whose share of the table it is in.
    pub(super) brought_by: Option<No>,
    pub(super) evidence: Evidence,
    /// What is published here under this key.
    pub(super) own: Option<Own>,
    /// When it is to be refreshed from here, if it is.
    pub(super) refresh_at: Option<Instant>,
    /// Drawn anew with each stamp: from 0 to 255, for the pause until it is refreshed.
    pub(super) drawn: u8,
}

/// How it is with what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It holds.
    Live,
    /// The value is void: somebody took it back.
    Void,
    /// Nobody says so any more. This participant alone remembers it.
    Spent,
}

/// What the application knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    Unknown,
    Confirmed,
    Doubted,
}

/// What is published here, or was and is taken back.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) value: Value,
    /// What was taken back, when `value` is void.
    pub(super) withdrawn: Option<Value>,
    /// Whether it holds.
    pub(super) holds: bool,
    /// When it is asserted next, if it does not hold.
    pub(super) assert_at: Option<Instant>,
    /// How often it was asserted, and when the last time.
    pub(super) asserted: u32,
    pub(super) asserted_at: Instant,
}

/// For how long a tuple is kept alive from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keep {
    Not,
    Until(Instant),
    Ever,
}

impl Entry {
    pub(super) fn new(now: Instant, value: Value, stamp: Stamp, until: Instant) -> Self {
        Self {
            state: State::of(&value),
            value,
            stamp,
            since: now,
            until,
            past: Vec::new(),
            tellers: BTreeMap::new(),
            brought_by: None,
            evidence: Evidence::Unknown,
            own: None,
            refresh_at: None,
            drawn: 0,
        }
    }

    /// Something is said about it. Whether that is something else than before.
    pub(super) fn restate(
        &mut self,
        now: Instant,
        value: Value,
        stamp: Stamp,
        until: Instant,
    ) -> bool {
        let state = State::of(&value);
        let changed = self.value != value || self.state != state;
        if changed {
            self.past.retain(|(past, _)| *past != value);
            let before = core::mem::replace(&mut self.value, value);
            if before != self.value {
                if self.past.len() == PAST {
                    self.past.remove(0);
                }
                self.past.push((before, now));
            }
            self.state = state;
            self.tellers.clear();
            self.evidence = Evidence::Unknown;
        }
        self.stamp = stamp;
        self.since = now;
        self.until = until;
        changed
    }

    /// Whether the value was superseded here, and `anew` it is told by somebody who tells all that he ever heard, or may have been on its way.
    // GOS-23
    pub(super) fn is_stale(&self, now: Instant, value: &Value, anew: bool) -> bool {
        let mut past = self.past.iter();
        past.any(|(past, at)| past == value && (anew || now < *at + CROSSING))
    }

    /// Whether others than ours are not heard who say again what ended.
    // GOS-29
    pub(super) const fn is_barred(&self) -> bool {
        matches!(self.evidence, Evidence::Doubted) || self.stamp.published
    }

    /// Whether what is published here, or that it was taken back, holds.
    pub(super) fn own_holds(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.holds)
    }

    pub(super) fn keep(&self) -> Keep {
        if self.state != State::Live {
            return Keep::Not;
        }
        if self.own_holds() {
            return Keep::Ever;
        }
        match self.evidence {
            // GOS-33
            Evidence::Doubted => Keep::Not,
            Evidence::Confirmed => Keep::Ever,
            Evidence::Unknown if self.stamp.published => Keep::Not,
            // GOS-27
            Evidence::Unknown => {
                let tellers = self.tellers.values();
                let keep = tellers.map(|until| until.map_or(Keep::Ever, Keep::Until));
                keep.max().unwrap_or(Keep::Not)
            }
        }
    }

    /// Whether it is live for another reason than that this neighbour said so.
    // GOS-23
    pub(super) fn is_vouched_for(&self, no: No, id: ParticipantId) -> bool {
        let mut tellers = self.tellers.iter();
        let others = tellers.any(|(teller, until)| *teller != no && until.is_none());
        self.state == State::Live && (self.stamp.published || self.stamp.origin != id || others)
    }

    /// When something is to be done about it.
    pub(super) fn due(&self) -> Instant {
        let assert_at = self.own.as_ref().and_then(|own| own.assert_at);
        let sooner = [assert_at, self.refresh_at].into_iter().flatten().min();
        sooner.map_or(self.until, |sooner| sooner.min(self.until))
    }

    /// Whether it may give way to a new one.
    fn may_go(&self) -> bool {
        self.state != State::Live && !self.is_published()
    }
}

impl State {
    fn of(value: &Value) -> Self {
        if value.is_void() {
            Self::Void
        } else {
            Self::Live
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Key, Entry>,
    /// Of those that are live.
    by_value: BTreeMap<Value, BTreeSet<Key>>,
    by_due: BTreeSet<(Instant, Key)>,
    /// Those that may give way.
    ended: BTreeSet<(Instant, Key)>,
}

impl Table {
    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// The first one behind a key, or of all.
    pub(super) fn next_after(&self, key: Option<&Key>) -> Option<(&Key, &Entry)> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries
            .range::<Key, _>((from, Bound::Unbounded))
            .next()
    }

    pub(super) fn keys_with(&self, value: &Value) -> impl Iterator<Item = &Key> {
        self.by_value.get(value).into_iter().flatten()
    }

    pub(super) fn insert(&mut self, key: Key, entry: Entry) {
        self.remove(&key);
        self.index(&key, &entry);
        self.entries.insert(key, entry);
    }

    /// Changes an entry; `None` when there is none.
    pub(super) fn update<T>(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let mut entry = self.entries.remove(key)?;
        self.unindex(key, &entry);
        let result = change(&mut entry);
        self.index(key, &entry);
        self.entries.insert(key.clone(), entry);
        Some(result)
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.unindex(key, &entry);
        Some(entry)
    }

    /// The earliest deadline.
    pub(super) fn earliest(&self) -> Option<(Instant, &Key)> {
        self.by_due.first().map(|(at, key)| (*at, key))
    }

    /// The one that is to give way first.
    // GOS-70
    pub(super) fn first_to_go(&self) -> Option<&Key> {
        self.ended.first().map(|(_, key)| key)
    }

    fn index(&mut self, key: &Key, entry: &Entry) {
        if entry.state == State::Live {
            let keys = self.by_value.entry(entry.value.clone()).or_default();
            keys.insert(key.clone());
        }
        self.by_due.insert((entry.due(), key.clone()));
        if entry.may_go() {
            self.ended.insert((entry.until, key.clone()));
        }
    }

    fn unindex(&mut self, key: &Key, entry: &Entry) {
        if entry.state == State::Live
            && let Some(keys) = self.by_value.get_mut(&entry.value)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.by_value.remove(&entry.value);
            }
        }
        self.by_due.remove(&(entry.due(), key.clone()));
        if entry.may_go() {
            self.ended.remove(&(entry.until, key.clone()));
        }
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self) {
        assert_eq!(self.by_due.len(), self.entries.len());
        let mut live = 0;
        let mut ended = 0;
        for (key, entry) in &self.entries {
            assert!(self.by_due.contains(&(entry.due(), key.clone())));
            assert_eq!(
                entry.value.is_void(),
                entry.state == State::Void,
                "{entry:?}"
            );
            assert!(entry.past.len() <= PAST);
            if entry.state == State::Live {
                live += 1;
                assert!(self.keys_with(&entry.value).any(|other| other == key));
            }
            if entry.may_go() {
                ended += 1;
                assert!(self.ended.contains(&(entry.until, key.clone())));
            }
            if let Some(own) = &entry.own {
                assert!(!own.holds || own.value == entry.value, "{entry:?}");
                assert!(!own.holds || own.assert_at.is_none(), "{entry:?}");
                assert_eq!(own.value.is_void(), own.withdrawn.is_some());
                assert_ne!(entry.state, State::Spent, "{entry:?}");
            }
        }
        let values = self.by_value.values().map(BTreeSet::len);
        assert_eq!(values.sum::<usize>(), live);
        assert_eq!(self.ended.len(), ended);
    }
}
