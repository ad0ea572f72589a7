//! What neighbours say.

use core::time::Duration;

use super::keeping::LONGEST;
use super::neighbour::{Kind, No};
use super::table::State;
use super::{Event, Gossip, Neighbour};
use crate::Instant;
use crate::wire::gossip::{Key, Message, ParticipantId, Publish, Stamp, Value};

/// As how many messages a HELLO counts, since it is answered by all tuples.
const HELLO_COST: u32 = 1_024;

impl Gossip {
    pub(super) fn hear(&mut self, now: Instant, from: &Neighbour, message: Message) {
        let Some(no) = self.no(from).or_else(|| self.meet(now, from)) else {
            return;
        };
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        if talk.remote().is_some() && !talk.is_up {
            return;
        }
        // GOS-71
        if talk.refused_until.is_some() {
            self.counters.refused += 1;
            return;
        }
        let is_hello = matches!(message, Message::Hello(_));
        let cost = if is_hello { HELLO_COST } else { 1 };
        if !talk.messages.take(now, cost) {
            return self.refuse(now, no);
        }
        self.counters.heard += 1;
        let may_have_forgotten = talk.hear(now);
        // GOS-55
        if talk.kind != Kind::Itself || is_hello {
            match talk.remote() {
                None => self.hear_client(now, no, message),
                Some(_) => self.hear_hub(now, no, message),
            }
        }
        if may_have_forgotten && self.talks.get(&no).is_some_and(|talk| talk.is_synced) {
            self.greet(now, no);
        }
        self.settle(no);
    }

    /// A client that is not known says something.
    fn meet(&mut self, now: Instant, from: &Neighbour) -> Option<No> {
        if matches!(from, Neighbour::Remote(_)) {
            return None;
        }
        // GOS-64
        if self.by_session.len() >= self.config.limits.sessions {
            self.counters.turned_away += 1;
            return None;
        }
        Some(self.add(now, from.clone()))
    }

    fn hear_client(&mut self, now: Instant, no: No, message: Message) {
        let own = self.id;
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        match message {
            // GOS-60
            Message::Hello(of) => {
                let kind = kind_of(of, own).unwrap_or(Kind::Foreign);
                talk.greeted(now, kind);
            }
            // GOS-61
            Message::Ping => talk.owe_pong(),
            Message::Publish(publish) => {
                // GOS-62
                if !talk.is_synced && !core::mem::replace(&mut talk.was_told_invalid, true) {
                    talk.owe_invalid();
                }
                self.hear_publish(now, no, publish);
            }
            Message::Pong(_) | Message::Invalid => {}
        }
    }

    fn hear_hub(&mut self, now: Instant, no: No, message: Message) {
        let own = self.id;
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        match message {
            Message::Pong(Some(of)) => {
                talk.kind = kind_of(Some(of), own).unwrap_or(Kind::Ours);
                if talk.kind == Kind::Itself {
                    // GOS-55
                    if let Some(remote) = talk.remote() {
                        talk.is_itself();
                        self.tell(Event::Itself { remote });
                    }
                } else if !talk.is_synced {
                    self.sync(no);
                }
            }
            Message::Pong(None) => {
                if talk.answered() {
                    self.sync(no);
                }
            }
            Message::Publish(publish) => self.hear_publish(now, no, publish),
            // GOS-53
            Message::Invalid => {
                talk.invalid(now);
                self.counters.invalid += 1;
            }
            Message::Hello(_) | Message::Ping => {}
        }
    }

    fn hear_publish(&mut self, now: Instant, no: No, publish: Publish) {
        let Some(talk) = self.talks.get(&no) else {
            return;
        };
        let Publish {
            key,
            value,
            ttl,
            stamp,
        } = publish;
        let ttl = Duration::from_millis(ttl.into()).min(LONGEST);
        match stamp.filter(|_| talk.kind == Kind::Ours) {
            Some(stamp) => self.hear_ours(now, no, &key, value, ttl, stamp),
            None => {
                // GOS-25
                let ends = talk.remote().is_none() && !ttl.is_zero();
                let until = ends.then_some(now + ttl);
                self.hear_foreign(now, no, &key, &value, until);
            }
        }
    }

    // ---- a statement with a stamp

    // GOS-21
    fn hear_ours(
        &mut self,
        now: Instant,
        no: No,
        key: &Key,
        value: Value,
        ttl: Duration,
        stamp: Stamp,
    ) {
        let until = now + ttl;
        let Some(entry) = self.table.get(key) else {
            return self.learn(now, no, key, value, stamp, until);
        };
        let newer = match entry.state {
            // GOS-29
            State::Spent => {
                let same = value == entry.value && stamp.origin == entry.stamp.origin;
                stamp > entry.stamp || !same
            }
            State::Live | State::Void => stamp > entry.stamp,
        };
        if newer {
            let changed = value != entry.value || entry.state == State::Spent;
            if !changed || self.may_change(now, no) {
                self.settle_newer(now, no, key, value, stamp, until);
            }
        } else if entry.state == State::Spent || stamp == entry.stamp {
            self.counters.known += 1;
            self.with(no, |talk| talk.knows(key));
        } else {
            self.counters.stale += 1;
            self.with(no, |talk| talk.owe(key));
        }
    }

    // ---- a statement without one

    // GOS-22
    fn hear_foreign(
        &mut self,
        now: Instant,
        no: No,
        key: &Key,
        value: &Value,
        until: Option<Instant>,
    ) {
        let anew = self.talks.get(&no).is_some_and(|talk| talk.tells_anew(now));
        let Some(entry) = self.table.get(key) else {
            // GOS-32
            if value.is_void() {
                self.counters.known += 1;
                return;
            }
            return self.adopt(now, no, key, value, until);
        };
        if entry.state == State::Spent {
            // GOS-29
            if value.is_void() || entry.is_barred() && *value == entry.value {
                self.counters.known += 1;
                if !value.is_void() {
                    self.told_by(now, no, key, until);
                }
                return;
            }
            return self.adopt(now, no, key, value, until);
        }
        if *value == entry.value || value.is_void() && entry.state == State::Void {
            return self.hear_again(now, no, key, until);
        }
        let is_hub = self
            .talks
            .get(&no)
            .is_some_and(|talk| talk.remote().is_some());
        let is_vouched = anew && is_hub && entry.is_vouched_for(no, self.id);
        if is_vouched || entry.is_stale(now, value, anew) {
            self.counters.stale += 1;
            let drawn = self.draw();
            return self.with(no, |talk| talk.correct(now, key, drawn));
        }
        self.adopt(now, no, key, value, until);
    }

    /// A value that is known.
    // GOS-20
    fn hear_again(&mut self, now: Instant, no: No, key: &Key, until: Option<Instant>) {
        self.counters.known += 1;
        let told = self
            .table
            .get(key)
            .map(|entry| entry.tellers.contains_key(&no));
        let untold = self.talks.get(&no).is_some_and(|talk| talk.is_untold(key));
        // GOS-27
        if untold || told == Some(true) {
            self.told_by(now, no, key, until);
        }
        self.with(no, |talk| talk.knows(key));
    }

    /// A value that is newer.
    fn adopt(&mut self, now: Instant, no: No, key: &Key, value: &Value, until: Option<Instant>) {
        let before = self
            .table
            .get(key)
            .map_or(0, |entry| entry.stamp.generation);
        let stamp = self.next_stamp(before, false);
        let counts = self.counts(now, value, until);
        if self.table.get(key).is_none() {
            self.learn(now, no, key, value.clone(), stamp, counts);
        } else if self.may_change(now, no) {
            self.settle_newer(now, no, key, value.clone(), stamp, counts);
        }
        // What is published here may have been asserted instead.
        if self
            .table
            .get(key)
            .is_some_and(|entry| entry.value == *value)
        {
            self.told_by(now, no, key, until);
        }
    }

    /// Whether a neighbour may make one more change.
    // GOS-71
    pub(super) fn may_change(&mut self, now: Instant, no: No) -> bool {
        let may = self
            .talks
            .get_mut(&no)
            .is_some_and(|talk| talk.changes.take(now, 1));
        if !may {
            self.refuse(now, no);
        }
        may
    }

    fn refuse(&mut self, now: Instant, no: No) {
        self.counters.refused += 1;
        let until = now + self.config.limits.penalty;
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        talk.refused_until = Some(until);
        let neighbour = talk.who.clone();
        self.tell(Event::Refused { neighbour });
        self.settle(no);
    }

    /// It is heard again.
    pub(super) fn pardon(&mut self, now: Instant, no: No) {
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        talk.messages.renew(now);
        talk.changes.renew(now);
        match talk.remote() {
            None => talk.owe_invalid(),
            Some(_) if talk.is_up => self.greet(now, no),
            Some(_) => {}
        }
    }

    /// A hub is told HELLO. What it told before counts as if it were gone, until it tells it again.
    // GOS-56
    pub(super) fn greet(&mut self, now: Instant, no: No) {
        self.release(now, no);
        self.with(no, |talk| talk.greet(now));
    }

    /// A hub has told all that it has, or does not say so.
    // GOS-50
    pub(super) fn sync(&mut self, no: No) {
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        if talk.kind == Kind::Unknown {
            talk.kind = Kind::Foreign;
        }
        let ours = talk.kind == Kind::Ours;
        talk.sync();
        if let Some(remote) = talk.remote() {
            self.tell(Event::Synced { remote, ours });
        }
    }
}

/// What somebody is who names himself.
fn kind_of(of: Option<ParticipantId>, own: ParticipantId) -> Option<Kind> {
    let of = of?;
    Some(if of == own { Kind::Itself } else { Kind::Ours })
}
