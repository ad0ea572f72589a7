//! For how long a tuple lives, and who comes and goes.

use core::time::Duration;

use rand_chacha::rand_core::Rng;

use super::neighbour::{Kind, Next, No, Talk};
use super::table::{Entry, Evidence, Keep, State};
use super::{Action, Config, Event, Gossip, Neighbour, RemoteId};
use crate::Instant;
use crate::wire::Frames;
use crate::wire::gossip::{Key, Message, ParticipantId, Publish, Stamp, Value};

/// For how long anything counts at most, and what ended is remembered.
// GOS-25, GOS-29, GOS-31
pub(super) const LONGEST: Duration = Duration::from_secs(600);
/// For how long what a neighbour told counts that is gone.
// GOS-27
const GRACE: Duration = Duration::from_secs(30);
/// How often what a neighbour says again is passed on at most, before it is refreshed anyway.
const OFTEN: Duration = Duration::from_secs(1);
/// For so many intervals a refresh counts.
// GOS-26
const INTERVALS: u32 = 3;

/// How long after an assertion the next one may follow.
// GOS-40
pub(super) fn assert_pause(asserted: u32) -> Duration {
    Duration::from_secs(1) * (1 << asserted.saturating_sub(1).min(4))
}

impl Entry {
    /// When it is to be refreshed from here.
    fn next_refresh(&self, refresh: Duration, id: ParticipantId) -> Option<Instant> {
        let drawn = u32::from(self.drawn);
        let keep = self.keep();
        let at = match keep {
            Keep::Not => return None,
            // GOS-26
            _ if self.own_holds() || self.stamp.origin == id => {
                self.since + (refresh - refresh / 10 * drawn / 256)
            }
            // GOS-28
            _ => self.since + refresh * 3 / 2 + refresh / 2 * drawn / 256,
        };
        (keep > Keep::Until(at)).then_some(at)
    }
}

impl Gossip {
    pub(super) fn draw(&mut self) -> u8 {
        let [drawn, ..] = self.rng.next_u32().to_le_bytes();
        drawn
    }

    /// Until when a statement counts that is made now, of which a teller says until when it is true.
    pub(super) fn counts(&self, now: Instant, value: &Value, until: Option<Instant>) -> Instant {
        if value.is_void() {
            return now + LONGEST;
        }
        let counts = now + (self.config.refresh * INTERVALS).min(LONGEST);
        until.map_or(counts, |until| until.min(counts))
    }

    /// Finds out when a tuple is to be refreshed. `drawn` is a new draw, where there is a new stamp.
    pub(super) fn schedule(&mut self, key: &Key, drawn: Option<u8>) {
        let (refresh, id) = (self.config.refresh, self.id);
        self.table.update(key, |entry| {
            if let Some(drawn) = drawn {
                entry.drawn = drawn;
            }
            entry.refresh_at = entry.next_refresh(refresh, id);
        });
    }

    /// A neighbour of another kind told a tuple as it is now.
    // GOS-27
    pub(super) fn told_by(&mut self, now: Instant, no: No, key: &Key, until: Option<Instant>) {
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        let told = self.table.update(key, |entry| {
            entry.tellers.insert(no, until);
            entry.keep()
        });
        let Some(keep) = told else {
            return;
        };
        talk.tells.insert(key.clone());
        self.schedule(key, None);
        // GOS-25: it may say so more often than it is refreshed otherwise.
        let refresh = self.config.refresh;
        let soon = |entry: &Entry| entry.until < now + refresh && now >= entry.since + OFTEN;
        if keep > Keep::Not && self.table.get(key).is_some_and(soon) {
            self.refresh(now, key);
        }
    }

    /// The application knows something about a tuple.
    // GOS-33
    pub(super) fn judge(&mut self, now: Instant, key: &Key, evidence: Evidence) {
        let Some(entry) = self.table.get(key) else {
            return;
        };
        if entry.is_published() || entry.evidence == evidence {
            return;
        }
        match entry.state {
            State::Void => return,
            State::Spent if evidence == Evidence::Confirmed => {
                let (value, stamp) = (entry.value.clone(), entry.stamp);
                let stamp = self.next_stamp(stamp.generation, stamp.published);
                let until = self.counts(now, &value, None);
                self.restate(now, key, value, stamp, until, None);
            }
            State::Spent | State::Live => {}
        }
        self.table.update(key, |entry| entry.evidence = evidence);
        self.schedule(key, None);
    }

    /// The application knows that a tuple is wrong.
    // GOS-34
    pub(super) fn end_refuted(&mut self, now: Instant, key: &Key) {
        let entry = self.table.get(key);
        if entry.is_none_or(|entry| entry.is_published() || entry.state != State::Live) {
            return;
        }
        self.end(now, key);
        self.table
            .update(key, |entry| entry.evidence = Evidence::Doubted);
    }

    // ---- deadlines of tuples

    /// The deadline of a tuple has come.
    pub(super) fn look_at(&mut self, now: Instant, key: &Key) {
        let Some(entry) = self.table.get(key) else {
            return;
        };
        let assert_at = entry.own.as_ref().and_then(|own| own.assert_at);
        if assert_at.is_some_and(|at| at <= now) {
            self.assert(now, key, 0);
        } else if entry.refresh_at.is_some_and(|at| at <= now) {
            self.refresh(now, key);
        } else {
            self.end(now, key);
        }
    }

    /// Says that a tuple lives, if that is for this participant to say.
    // GOS-26, GOS-28
    fn refresh(&mut self, now: Instant, key: &Key) {
        let keep = self.table.update(key, |entry| {
            entry
                .tellers
                .retain(|_, until| until.is_none_or(|until| until > now));
            entry.refresh_at = None;
            (entry.keep(), entry.value.clone(), entry.stamp)
        });
        let Some((keep, value, stamp)) = keep else {
            return;
        };
        let until = match keep {
            Keep::Not => return,
            Keep::Until(until) => Some(until),
            Keep::Ever => None,
        };
        let until = self.counts(now, &value, until);
        let stamp = Stamp {
            generation: Stamp::after_refresh(stamp.generation),
            origin: self.id,
            ..stamp
        };
        self.restate(now, key, value, stamp, until, None);
    }

    /// The time of a tuple, or of the memory of it, is over.
    // GOS-29
    fn end(&mut self, now: Instant, key: &Key) {
        let Some(entry) = self.table.get(key) else {
            return;
        };
        if entry.is_published() {
            // GOS-42
            let was_overruled = !entry.own_holds();
            let generation = entry.stamp.generation;
            self.restore(now, key, generation);
            if was_overruled {
                self.tell(Event::Restored { key: key.clone() });
            }
            return;
        }
        match entry.state {
            State::Live => {
                self.table.update(key, |entry| {
                    entry.state = State::Spent;
                    entry.until = now + LONGEST;
                    entry.refresh_at = None;
                    entry.own = None;
                });
                self.telling.note(key);
                for talk in self.talks.values_mut() {
                    talk.let_go(key);
                }
            }
            State::Spent if entry.is_barred() && entry.tellers.values().any(Option::is_none) => {
                self.table.update(key, |entry| entry.until = now + LONGEST);
            }
            State::Spent | State::Void => self.drop_entry(key),
        }
    }

    /// Publishes anew what is published here, as if for the first time.
    fn restore(&mut self, now: Instant, key: &Key, known: u64) {
        self.table.update(key, |entry| {
            if let Some(own) = &mut entry.own {
                own.renew(now);
            }
        });
        self.assert(now, key, known);
    }

    pub(super) fn drop_entry(&mut self, key: &Key) {
        let Some(entry) = self.table.remove(key) else {
            return;
        };
        if let Some(talk) = entry.brought_by.and_then(|no| self.talks.get_mut(&no)) {
            talk.brought = talk.brought.saturating_sub(1);
        }
        for talk in self.talks.values_mut() {
            talk.forget(key);
        }
        self.telling.note(key);
    }

    // ---- neighbours

    pub(super) fn add(&mut self, now: Instant, who: Neighbour) -> No {
        let no = self.next;
        self.next += 1;
        if let Neighbour::Session(session) = &who {
            self.by_session.insert(session.clone(), no);
        }
        self.talks
            .insert(no, Talk::new(now, who, &self.config.limits));
        self.settle(no);
        no
    }

    pub(super) fn no(&self, who: &Neighbour) -> Option<No> {
        match who {
            Neighbour::Session(session) => self.by_session.get(session).copied(),
            Neighbour::Remote(remote) => self.remote(*remote).map(|_| remote.0),
        }
    }

    pub(super) fn remote(&self, remote: RemoteId) -> Option<&Talk> {
        let talk = self.talks.get(&remote.0)?;
        talk.remote().is_some().then_some(talk)
    }

    /// Does something with a neighbour.
    pub(super) fn with(&mut self, no: No, act: impl FnOnce(&mut Talk)) {
        if let Some(talk) = self.talks.get_mut(&no) {
            act(talk);
            self.settle(no);
        }
    }

    /// Sees whether a neighbour is to be told something, and when it is to be looked at.
    pub(super) fn settle(&mut self, no: No) {
        let Some(talk) = self.talks.get(&no) else {
            return;
        };
        if talk.is_ready() {
            self.ready.insert(no);
        } else {
            self.ready.remove(&no);
        }
        if let Some(due) = talk.due() {
            self.timers.advance(no, due);
        }
    }

    /// What a neighbour told counts for a while longer, and not as long as it is there.
    // GOS-27, GOS-56
    pub(super) fn release(&mut self, now: Instant, no: No) {
        let Some(talk) = self.talks.get_mut(&no) else {
            return;
        };
        let until = now + GRACE;
        for key in core::mem::take(&mut talk.tells) {
            self.table.update(&key, |entry| {
                if let Some(counts) = entry.tellers.get_mut(&no) {
                    *counts = Some(counts.map_or(until, |before| before.min(until)));
                }
            });
            self.schedule(&key, None);
        }
    }

    /// A neighbour is no more.
    pub(super) fn part(&mut self, now: Instant, no: No) {
        self.release(now, no);
        let Some(talk) = self.talks.remove(&no) else {
            return;
        };
        if let Neighbour::Session(session) = &talk.who {
            self.by_session.remove(session);
        }
        self.ready.remove(&no);
        self.timers.cancel(no);
        self.reconnects.retain(|remote| remote.0 != no);
    }

    pub(super) fn tell(&mut self, event: Event) {
        if !self.telling.tell(event) {
            self.counters.events_lost += 1;
        }
    }

    // ---- what is said

    /// The next message for a neighbour.
    pub(super) fn say(&mut self, no: No) -> Option<Action> {
        let clock = self.clock;
        let drawn = self.draw();
        let talk = self.talks.get_mut(&no)?;
        loop {
            let next = talk.next()?;
            let message = match &next {
                Next::Hello => Message::Hello(Some(self.id)),
                Next::Name => Message::Pong(Some(self.id)),
                Next::Ping => Message::Ping,
                Next::Pong => Message::Pong(None),
                Next::Invalid => Message::Invalid,
                Next::Owed(key) => {
                    let entry = self.table.get(key);
                    let Some(said) =
                        entry.and_then(|entry| statement(talk.kind, clock, key, entry))
                    else {
                        continue;
                    };
                    said
                }
                Next::Dump(at) => {
                    let Some((key, entry)) = self.table.next_after(at.as_ref()) else {
                        talk.dumped_all();
                        continue;
                    };
                    // GOS-50, GOS-60
                    let is_told = entry.state == State::Live || talk.kind == Kind::Ours;
                    if !talk.dumped(key) || !is_told {
                        continue;
                    }
                    let Some(said) = statement(talk.kind, clock, key, entry) else {
                        continue;
                    };
                    said
                }
            };
            let pause = talk.pause(self.config.ping, drawn);
            talk.said(clock, &next, pause);
            return Some(Action::Send {
                to: talk.who.clone(),
                message: Frames::from(message.encode()),
            });
        }
    }
}

/// What a neighbour of this kind is told of a tuple.
fn statement(kind: Kind, now: Instant, key: &Key, entry: &Entry) -> Option<Message> {
    if entry.state == State::Spent {
        return None;
    }
    let is_ours = kind == Kind::Ours;
    let left = u32::try_from((entry.until - now).as_millis()).unwrap_or(u32::MAX);
    Some(Message::Publish(Publish {
        key: key.clone(),
        value: entry.value.clone(),
        // GOS-24, GOS-25
        ttl: if is_ours { left.max(1) } else { 0 },
        stamp: is_ours.then_some(entry.stamp),
    }))
}

impl Config {
    /// Whether it can be worked with.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self) {
        assert!(!self.refresh.is_zero() && !self.ping.is_zero());
    }
}
