//! Deadlines of many things, by key.

use alloc::collections::BTreeSet;
use core::hash::Hash;

use hashbrown::HashMap;

use crate::Instant;
use crate::table::{Secret, room_after};

/// At most one deadline for each key; the earliest is found in O(log n).
///
/// What happens often (a message came, so the peer is alive) does not touch the deadline: it is looked at again when
/// it fires, and set anew then.
#[derive(Clone, Debug)]
pub(crate) struct Timers<K> {
    /// In no order: nothing is ever done in the order that it has.
    by_key: HashMap<K, Instant, Secret>,
    by_time: BTreeSet<(Instant, K)>,
    /// The first of `by_time`: it is asked for after every input, and changes seldom.
    first: Option<(Instant, K)>,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    pub(crate) const fn new(secret: Secret) -> Self {
        Self {
            by_key: HashMap::with_hasher(secret),
            by_time: BTreeSet::new(),
            first: None,
        }
    }

    /// Sets the deadline of `key`, whatever it was.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        if let Some(before) = self.by_key.insert(key, at) {
            if before == at {
                return;
            }
            self.forget(before, key);
        }
        self.by_time.insert((at, key));
        if self.first.is_none_or(|first| (at, key) < first) {
            self.first = Some((at, key));
        }
    }

    /// Sets the deadline of `key` unless it has one that comes no later.
    pub(crate) fn advance(&mut self, key: K, at: Instant) {
        if self.by_key.get(&key).is_none_or(|before| at < *before) {
            self.set(key, at);
        }
    }

    /// The deadline of `key`.
    pub(crate) fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.forget(at, key);
            if let Some(room) = room_after(self.by_key.len(), self.by_key.capacity()) {
                self.by_key.shrink_to(room);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.by_key.hasher().clone());
    }

    fn forget(&mut self, at: Instant, key: K) {
        self.by_time.remove(&(at, key));
        if self.first == Some((at, key)) {
            self.first = self.by_time.first().copied();
        }
    }

    /// What has a deadline.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.by_key.keys().copied()
    }

    /// The earliest deadline.
    pub(crate) const fn next(&self) -> Option<(Instant, K)> {
        self.first
    }

    /// When that is.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.first.as_ref().map(|(at, _)| *at)
    }

    /// Puts some deadlines off.
    pub(crate) fn delay(&mut self, by: core::time::Duration, which: impl Fn(K) -> bool) {
        for (_, at) in self.by_key.iter_mut().filter(|(key, _)| which(**key)) {
            *at += by;
        }
        self.by_time = self.by_key.iter().map(|(&key, &at)| (at, key)).collect();
        self.first = self.by_time.first().copied();
    }

    /// Takes off one key whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        self.next().filter(|(at, _)| *at <= now)?;
        let (_, key) = self.by_time.pop_first()?;
        self.first = self.by_time.first().copied();
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers<K: Copy + Ord + Hash>() -> Timers<K> {
        Timers::new(crate::table::no_secret())
    }

    #[test]
    fn a_key_fires_once_at_its_last_deadline() {
        let mut timers = timers();
        timers.set('a', Instant::from_millis(5));
        timers.set('a', Instant::from_millis(7));
        timers.set('b', Instant::from_millis(6));
        assert_eq!(timers.next(), Some((Instant::from_millis(6), 'b')));
        assert_eq!(timers.pop_due(Instant::from_millis(5)), None);
        assert_eq!(timers.pop_due(Instant::from_millis(7)), Some('b'));
        assert_eq!(timers.pop_due(Instant::from_millis(7)), Some('a'));
        assert_eq!(timers.pop_due(Instant::from_millis(7)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn deadlines_that_are_put_off_keep_their_order() {
        let mut timers = timers();
        timers.set('b', Instant::from_millis(6));
        timers.set('a', Instant::from_millis(5));
        timers.set('c', Instant::from_millis(7));
        timers.delay(core::time::Duration::from_millis(3), |key| key != 'c');
        assert_eq!(timers.next(), Some((Instant::from_millis(7), 'c')));
        assert_eq!(timers.pop_due(Instant::from_millis(9)), Some('c'));
        assert_eq!(timers.pop_due(Instant::from_millis(9)), Some('a'));
        assert_eq!(timers.pop_due(Instant::from_millis(9)), Some('b'));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_cancelled_key_does_not_fire() {
        let mut timers = timers();
        timers.set(1, Instant::ZERO);
        timers.cancel(1);
        timers.cancel(2);
        assert_eq!(timers.pop_due(Instant::from_millis(1)), None);
    }

    #[test]
    fn the_earliest_is_known_after_every_change() {
        let mut timers = timers();
        let mut random = 7_u64;
        for _ in 0..5_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (key, at) = (
                (random >> 33) % 8,
                Instant::from_millis((random >> 40) % 32),
            );
            match (random >> 60) % 5 {
                0 => timers.cancel(key),
                3 => {
                    let before = timers.get(key);
                    timers.advance(key, at);
                    assert_eq!(
                        timers.get(key),
                        Some(before.map_or(at, |before| before.min(at)))
                    );
                }
                1 => drop(timers.pop_due(at)),
                2 => timers.delay(core::time::Duration::from_millis(1), |other| other > key),
                _ => timers.set(key, at),
            }
            assert_eq!(timers.next(), timers.by_time.first().copied());
        }
    }
}
