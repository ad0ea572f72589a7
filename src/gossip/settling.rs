//! What holds of what is said, and who is told.

use super::keeping::{LONGEST, assert_pause};
use super::neighbour::{Kind, No};
use super::table::{Entry, Own, State};
use super::{Event, Gossip};
use crate::Instant;
use crate::wire::gossip::{Key, Stamp, Value};

/// How often a key is asserted.
const ASSERTIONS: u32 = 6;

impl Own {
    pub(super) const fn new(now: Instant, value: Value) -> Self {
        Self {
            value,
            withdrawn: None,
            holds: true,
            assert_at: None,
            asserted: 0,
            asserted_at: now,
        }
    }

    /// Whatever was contested before is forgotten.
    pub(super) const fn renew(&mut self, now: Instant) {
        self.asserted = 0;
        self.asserted_at = now;
    }

    const fn is_overruled(&self) -> bool {
        !self.holds && self.assert_at.is_none()
    }

    /// When it may be asserted next; `None`: not any more.
    // GOS-40
    fn next_assertion(&mut self, now: Instant) -> Option<Instant> {
        if now >= self.asserted_at + LONGEST {
            self.asserted = 0;
        }
        if self.asserted >= ASSERTIONS {
            return None;
        }
        Some(match self.asserted {
            0 => now,
            asserted => self.asserted_at + assert_pause(asserted),
        })
    }
}

impl Entry {
    /// Whether something is published here under this key, which may be overruled.
    pub(super) fn is_published(&self) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| own.withdrawn.is_none())
    }
}

impl Gossip {
    /// That of something else than was said before under a stamp of this generation.
    pub(super) fn next_stamp(&self, before: u64, published: bool) -> Stamp {
        Stamp {
            generation: Stamp::after_change(before),
            origin: self.id,
            published,
        }
    }

    /// A tuple that nobody knows here is said by a neighbour.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        no: No,
        key: &Key,
        value: Value,
        stamp: Stamp,
        until: Instant,
    ) {
        if !self.may_change(now, no) {
            return;
        }
        let limit = self.config.limits.tuples_of_one;
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        // GOS-70
        let too_many = talk.remote().is_none() && talk.brought >= limit;
        if too_many || !self.make_room() {
            self.counters.no_room += 1;
            return;
        }
        if let Some(talk) = self.talks.get_mut(&no) {
            talk.brought += 1;
        }
        let mut entry = Entry::new(now, value, stamp, until);
        entry.brought_by = Some(no);
        self.table.insert(key.clone(), entry);
        self.changed(key, Some(no), true);
    }

    /// Whether there is room for one more tuple. Another may have had to go.
    // GOS-70
    pub(super) fn make_room(&mut self) -> bool {
        if self.table.len() < self.config.limits.tuples {
            return true;
        }
        let Some(key) = self.table.first_to_go().cloned() else {
            return false;
        };
        self.drop_entry(&key);
        true
    }

    /// A neighbour says something newer about a tuple that is known.
    pub(super) fn settle_newer(
        &mut self,
        now: Instant,
        no: No,
        key: &Key,
        value: Value,
        stamp: Stamp,
        until: Instant,
    ) {
        let restored = self.table.update(key, |entry| {
            let Some(own) = &mut entry.own else {
                return Some(false);
            };
            if own.value == value {
                let was_overruled = own.is_overruled();
                own.holds = true;
                own.assert_at = None;
                return Some(was_overruled);
            }
            // GOS-43
            let is_ours = own
                .withdrawn
                .as_ref()
                .is_none_or(|withdrawn| *withdrawn == value);
            if is_ours {
                return None;
            }
            entry.own = None;
            Some(false)
        });
        match restored.flatten() {
            Some(restored) => {
                self.restate(now, key, value, stamp, until, Some(no));
                if restored {
                    self.tell(Event::Restored { key: key.clone() });
                }
            }
            None => self.contest(now, no, key, value, stamp, until),
        }
    }

    /// Somebody says something else about a key that is published here.
    // GOS-40
    fn contest(
        &mut self,
        now: Instant,
        no: No,
        key: &Key,
        value: Value,
        stamp: Stamp,
        until: Instant,
    ) {
        let next = self.table.update(key, |entry| {
            let own = entry.own.as_mut()?;
            if own.is_overruled() {
                return Some((true, None));
            }
            Some((false, own.next_assertion(now)))
        });
        let Some((overruled, next)) = next.flatten() else {
            return;
        };
        if next.is_some_and(|next| next <= now) {
            self.assert(now, key, stamp.generation);
            // To others of its kind nothing changed.
            return self.with(no, |talk| talk.owe(key));
        }
        let ours = self.table.update(key, |entry| {
            let own = entry.own.as_mut()?;
            own.holds = false;
            own.assert_at = next;
            Some(own.value.clone())
        });
        self.restate(now, key, value.clone(), stamp, until, Some(no));
        // GOS-41
        if let (None, false, Some(ours)) = (next, overruled, ours.flatten()) {
            if ours.is_void() {
                self.table.update(key, |entry| entry.own = None);
                return self.telling.note(key);
            }
            let (key, theirs) = (key.clone(), value);
            self.tell(Event::Overruled { key, ours, theirs });
        }
    }

    /// Says again what is published here, with a greater generation than any that is known.
    // GOS-40
    pub(super) fn assert(&mut self, now: Instant, key: &Key, known: u64) {
        let own = self.table.update(key, |entry| {
            let own = entry.own.as_mut()?;
            own.holds = true;
            own.assert_at = None;
            own.asserted += 1;
            own.asserted_at = now;
            let generation = entry.stamp.generation.max(known);
            Some((own.value.clone(), generation))
        });
        let Some((value, generation)) = own.flatten() else {
            return;
        };
        let stamp = self.next_stamp(generation, true);
        let until = self.counts(now, &value, None);
        self.restate(now, key, value, stamp, until, None);
    }

    /// Publishes a tuple for which there is room.
    pub(super) fn publish_own(&mut self, now: Instant, key: &Key, own: Own) {
        let before = self.table.get(key).map(|entry| entry.stamp.generation);
        let stamp = self.next_stamp(before.unwrap_or(0), true);
        let value = own.value.clone();
        let until = self.counts(now, &value, None);
        if before.is_none() {
            let mut entry = Entry::new(now, value, stamp, until);
            entry.own = Some(own);
            self.table.insert(key.clone(), entry);
            return self.changed(key, None, true);
        }
        self.table.update(key, |entry| entry.own = Some(own));
        self.restate(now, key, value, stamp, until, None);
    }

    /// Takes back what is published here and holds.
    // GOS-31
    pub(super) fn withdraw(&mut self, now: Instant, key: &Key, value: Value) {
        let before = self
            .table
            .get(key)
            .map_or(0, |entry| entry.stamp.generation);
        let stamp = self.next_stamp(before, true);
        let void = value.to_void();
        let mut own = Own::new(now, void.clone());
        own.withdrawn = Some(value);
        self.table.update(key, |entry| entry.own = Some(own));
        self.restate(now, key, void, stamp, now + LONGEST, None);
    }

    /// This holds from now on.
    pub(super) fn restate(
        &mut self,
        now: Instant,
        key: &Key,
        value: Value,
        stamp: Stamp,
        until: Instant,
        from: Option<No>,
    ) {
        let changed = self
            .table
            .update(key, |entry| entry.restate(now, value, stamp, until));
        if let Some(changed) = changed {
            self.changed(key, from, changed);
        }
    }

    /// Tells everybody else what holds now: others of ours in any case, and the rest when the value changed.
    // GOS-20, GOS-26
    fn changed(&mut self, key: &Key, from: Option<No>, changed: bool) {
        let drawn = self.draw();
        self.schedule(key, Some(drawn));
        let is_void = self
            .table
            .get(key)
            .is_some_and(|entry| entry.state == State::Void);
        for (no, talk) in &mut self.talks {
            if from == Some(*no) {
                talk.knows(key);
            } else if talk.kind == Kind::Ours || changed {
                if is_void {
                    talk.owe_void(key);
                } else {
                    talk.owe(key);
                }
                if talk.is_ready() {
                    self.ready.insert(*no);
                }
            }
        }
        if changed {
            self.telling.note(key);
        }
    }
}
