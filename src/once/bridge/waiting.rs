//! What waits for somebody who is about to be there.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use crate::{Instant, PeerId};

/// What one costs besides its content.
const EACH: usize = 128;

/// Queues of things that wait, one for each key; each thing for the same time, and all of one owner with a bound on their octets.
#[derive(Debug)]
pub(super) struct Waiting<K, T> {
    queues: BTreeMap<K, VecDeque<Entry<T>>>,
    by_time: BTreeMap<u64, (Instant, K)>,
    octets: BTreeMap<PeerId, usize>,
    count: u64,
    time: Duration,
    most: usize,
}

#[derive(Debug)]
struct Entry<T> {
    number: u64,
    owner: PeerId,
    octets: usize,
    what: T,
}

impl<K: Copy + Ord, T> Waiting<K, T> {
    pub(super) const fn new(time: Duration, most: usize) -> Self {
        Self {
            queues: BTreeMap::new(),
            by_time: BTreeMap::new(),
            octets: BTreeMap::new(),
            count: 0,
            time,
            most,
        }
    }

    pub(super) fn is_waiting(&self, key: K) -> bool {
        self.queues.contains_key(&key)
    }

    /// Lets something wait behind what waits for the same; gives it back when there is no room.
    pub(super) fn push(
        &mut self,
        now: Instant,
        key: K,
        owner: PeerId,
        octets: usize,
        what: T,
    ) -> Result<(), T> {
        let octets = octets + EACH;
        let held = self.octets.get(&owner).copied().unwrap_or(0);
        // ONCE-101: one always may.
        if held > 0 && held + octets > self.most {
            return Err(what);
        }
        self.octets.insert(owner, held + octets);
        self.count += 1;
        let number = self.count;
        self.by_time.insert(number, (now + self.time, key));
        self.queues.entry(key).or_default().push_back(Entry {
            number,
            owner,
            octets,
            what,
        });
        Ok(())
    }

    /// Takes the first of those that wait for this.
    pub(super) fn pop(&mut self, key: K) -> Option<T> {
        let queue = self.queues.get_mut(&key)?;
        let entry = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&key);
        }
        let entry = entry?;
        self.by_time.remove(&entry.number);
        if let Some(held) = self.octets.get_mut(&entry.owner) {
            *held -= entry.octets;
            if *held == 0 {
                self.octets.remove(&entry.owner);
            }
        }
        Some(entry.what)
    }

    /// The key for which something has waited long enough.
    pub(super) fn due(&self, now: Instant) -> Option<K> {
        let (_, (at, key)) = self.by_time.first_key_value()?;
        (*at <= now).then_some(*key)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (_, (at, _)) = self.by_time.first_key_value()?;
        Some(*at)
    }

    /// The keys for which something waits and that are among these.
    pub(super) fn keys(
        &self,
        range: impl core::ops::RangeBounds<K>,
    ) -> impl Iterator<Item = K> + '_ {
        self.queues.range(range).map(|(key, _)| *key)
    }

    /// Octets of all that waits.
    pub(super) fn octets(&self) -> usize {
        self.octets.values().sum()
    }
}
