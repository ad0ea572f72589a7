//! How a peer is missed, doubted and lost: ZRE-30 to ZRE-52 of `spec/zre.md`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use tracing::{debug, trace};

use super::dial::{Dial, Owner, State};
use super::dialling::ANSWER;
use super::duplex::is_back;
use super::inbound::{Role, Stage};
use super::inbox::Taken;
use super::keys::{Key, Standing};
use super::node::{Due, Node};
use super::record::{Challenge, Claim, Record, Silence};
use super::{Event, ExitReason, Lost, Presence, abilities};
use crate::net::{Cut, LinkId};
use crate::wire::Beacon;
use crate::wire::zre::Command;
use crate::{Instant, PeerId};

/// How long a PING that settles a doubt may be unanswered.
const CHALLENGE: Duration = Duration::from_secs(1);

/// How often everybody may be looked at, within the time that a peer may be quiet, for those who might be due.
const SWEEPS: u32 = 64;

/// How often a silent peer is looked at.
const REAP: Duration = Duration::from_secs(1);

/// Who is called so late was asleep (a stopped process, a machine out of breath): nobody could tell it anything.
const OVERSLEPT: Duration = Duration::from_millis(500);

/// A beacon that comes this late after a goodbye does not revive the peer.
const TOMBSTONE: Duration = Duration::from_secs(3);

/// A peer whose link ends this soon after somebody said goodbye in its name has left.
const FAREWELL: Duration = Duration::from_secs(5);

/// Links on which somebody waited for the end of a peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    /// It carries the peer's identity.
    pub(super) takeover: Option<LinkId>,
    /// Its HELLO names the peer's endpoint.
    pub(super) claimant: Option<LinkId>,
}

/// Who says where somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A beacon that came from there: the node beacons now.
    Beacon,
    /// The application.
    Introduced,
    /// A tuple, which may be as old as it likes; `fresh` when it is followed for the first time.
    Tuple { fresh: bool },
}

impl Told {
    /// Whether it may say more than what is known.
    const fn is_news(self) -> bool {
        !matches!(self, Self::Tuple { fresh: false })
    }

    const fn is_tuple(self) -> bool {
        matches!(self, Self::Tuple { .. })
    }
}

impl Node {
    /// A datagram came to the beacon port. What is no beacon is counted and left alone.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        match Beacon::decode(datagram) {
            Ok(beacon) => self.handle_beacon(now, source, &beacon),
            Err(malformed) => {
                trace!(%source, %malformed, "no beacon");
                // ZRE-2
                self.counters.datagrams_malformed += 1;
            }
        }
    }

    /// A beacon came from `source`.
    pub fn handle_beacon(&mut self, now: Instant, source: SocketAddr, beacon: &Beacon) {
        let &Beacon { uuid, port, .. } = beacon;
        // ZRE-3, ZRE-9, ZRE-130
        if uuid == self.id || self.is_stopping() || !self.config.beacons.hears() {
            return;
        }
        let Ok(key) = self.key_in(beacon) else {
            // A node of another kind: it would not talk with us, nor we with it.
            return self.refuse_beacon();
        };
        // ZRE-8
        let mut address = source;
        address.set_port(port);
        if port == 0 {
            return self.goodbye_beacon(now, uuid, source, key);
        }
        // ZRE-138
        if self.ignores(address) {
            return;
        }
        if key.is_some() && self.standing(now, uuid, key) != Standing::Good {
            // ZRE-120
            return self.refuse_beacon();
        }
        if !self.heard_from_partner(now, source, uuid) {
            self.answer_beacon(now, source);
        }
        self.hint(now, uuid, address, key, Told::Beacon);
    }

    /// Somebody is said to be at this address.
    #[inline]
    pub(super) fn hint(
        &mut self,
        now: Instant,
        uuid: PeerId,
        address: SocketAddr,
        key: Option<Key>,
        told: Told,
    ) {
        let mut moved = false;
        if let Some(record) = self.peers.get_mut(&uuid) {
            let there = address.ip();
            let from_there = told == Told::Beacon
                && (record.address.ip() == there || record.remote.ip() == there);
            let up = record.inbound.is_some() && record.reached;
            // ZRE-50
            let silent = now - record.spoke >= self.config.expired_timeout;
            moved = told.is_news()
                && record.inbound.is_none()
                && !record.reached
                && record.address != address
                // ZRE-145: it is waited for.
                && !is_back(record.address);
            if from_there && up && !silent {
                record.heard = now;
                if record.presence != Presence::Ready {
                    self.recovered(now, uuid);
                }
            }
            if !moved {
                return;
            }
        }
        // ZRE-3
        if self.is_own(address) {
            return;
        }
        if moved {
            // ZRE-31: both links died, and it is heard from elsewhere: its address changed.
            self.exit(now, uuid, ExitReason::Lost(Lost::Unreachable));
        }
        let greeted = self.greeted_with(uuid) == Some(key);
        if greeted || !self.past.may_dial(now, uuid, (address, key)) {
            return;
        }
        if self.inbox.is_full(uuid, &self.config.limits) {
            // ZRE-85: its next beacon comes soon.
            self.counters.entries_deferred += 1;
            return;
        }
        if let Some(&other) = self.expected.get(&uuid)
            && other != address
            // ZRE-119
            && self.dials.get(other).is_none_or(|dial| dial.key() == key)
        {
            // ZRE-166. One with two interfaces beacons from both: neither hint gives way before it was tried as often as the other.
            let failures = self.past.failures(now, (address, key));
            let Some(dial) = self.dials.get_mut(other).filter(|dial| {
                let waits = dial.state == State::Waiting && dial.owner == Owner::Nobody;
                waits && failures < dial.failures
            }) else {
                return;
            };
            if dial.persistent {
                // It is tried on, for whoever comes there; this one lives elsewhere now.
                dial.expect = None;
                self.expected.remove(&uuid);
            } else {
                self.give_up_dial(now, other);
            }
        }
        let there = self.dials.get(address);
        let other = there.is_some_and(|dial| dial.key() != key);
        match there.map(|dial| dial.owner) {
            // ZRE-120
            Some(Owner::Peer(holder)) if other && self.has_link(holder) => self.refuse_beacon(),
            // ZRE-153
            Some(Owner::Peer(_)) if !told.is_news() => {}
            Some(Owner::Peer(holder)) => {
                self.challenge_claim(now, holder, Claim::Beacon(uuid, key));
            }
            Some(Owner::Greeted { .. }) => {}
            Some(Owner::Nobody) if other => self.note_rival(now, address, uuid, key),
            Some(Owner::Nobody) => {
                self.expect(address, uuid);
                if let Some(dial) = self.dials.get_mut(address) {
                    dial.hinted = now;
                    dial.hinted_by_tuple &= told.is_tuple();
                }
            }
            // ZRE-10
            None => self.dial_hint(now, address, uuid, key, told),
        }
    }

    /// A beacon means nothing to this node.
    pub(super) fn refuse_beacon(&mut self) {
        // ZRE-2
        // Those of secure nodes are nothing to be told of in a network that is not.
        self.counters.beacons_refused += u64::from(self.is_secure());
    }

    /// Whether a link from or to a peer is up.
    fn has_link(&self, id: PeerId) -> bool {
        self.peers
            .get(&id)
            .is_some_and(|record| record.inbound.is_some() || record.reached)
    }

    fn dial_hint(
        &mut self,
        now: Instant,
        address: SocketAddr,
        uuid: PeerId,
        key: Option<Key>,
        told: Told,
    ) {
        let mut dial = Dial::new(now, address.ip(), key);
        dial.hinted_by_tuple = told.is_tuple();
        dial.expect = Some(uuid);
        // ZRE-28
        let hold = self.past.newcomer_at(now, uuid, address.ip());
        self.add_dial(now, address, dial, hold);
    }

    fn goodbye_beacon(&mut self, now: Instant, uuid: PeerId, source: SocketAddr, key: Option<Key>) {
        if let Some(record) = self.peers.get(&uuid) {
            // ZRE-120
            if record.key() != key {
                return self.refuse_beacon();
            }
            return self.challenge_goodbye(now, uuid);
        }
        let is_it = |dial: &Dial| dial.owner == Owner::Nobody && dial.key() == key;
        if let Some(&address) = self.expected.get(&uuid)
            && address.ip() == source.ip()
            && self.dials.get(address).is_some_and(is_it)
        {
            self.give_up_dial(now, address);
            self.past.bury(now, uuid, address, Some(TOMBSTONE), false);
        }
    }

    // ---- doubts

    pub(super) fn challenge_goodbye(&mut self, now: Instant, id: PeerId) {
        if let Some(record) = self.peers.get_mut(&id) {
            // ZRE-40, ZRE-41
            record.farewell = Some(now);
        }
        self.challenge(now, id, |challenge| challenge.goodbye = true);
    }

    /// A link that carries the peer's identity wants to speak for it. While another such link waits it is closed.
    pub(super) fn challenge_takeover(&mut self, now: Instant, id: PeerId, link: LinkId) {
        let waits = self
            .peers
            .get(&id)
            .and_then(Record::doubt)
            .and_then(|challenge| challenge.takeover)
            .is_some();
        if waits {
            return self.close(link);
        }
        // ZRE-21, ZRE-22
        self.challenge(now, id, |challenge| challenge.takeover = Some(link));
    }

    /// Somebody says that the peer's endpoint is theirs.
    pub(super) fn challenge_claim(&mut self, now: Instant, id: PeerId, claim: Claim) {
        let waits = self
            .peers
            .get(&id)
            .and_then(Record::doubt)
            .and_then(|challenge| challenge.claim);
        match (waits, claim) {
            (None | Some(Claim::Beacon(..)), _) => {
                // ZRE-30
                self.challenge(now, id, |challenge| challenge.claim = Some(claim));
            }
            (Some(Claim::Hello(_)), Claim::Hello(link)) => self.close(link),
            (Some(Claim::Hello(_)), Claim::Beacon(..)) => {}
        }
    }

    /// Asks one that just entered whether it knows us.
    // ZRE-17
    pub(super) fn challenge_unknown(&mut self, now: Instant, id: PeerId) {
        self.challenge(now, id, |challenge| challenge.unknown = true);
    }

    /// It is not waited for the answer any longer, unless something is said against the peer: we or it just greeted anew.
    pub(super) fn drop_question(&mut self, id: PeerId) {
        if let Some(record) = self.peers.get_mut(&id)
            && record.doubt().is_some_and(|doubt| doubt.is_question())
        {
            record.challenge = None;
            self.timers.cancel(Due::Challenge(id));
        }
    }

    fn challenge(&mut self, now: Instant, id: PeerId, doubt: impl Fn(&mut Challenge)) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let begun = record.challenge.is_some();
        let challenge = record.challenge.get_or_insert_with(|| {
            Box::new(Challenge {
                since: now,
                ..Challenge::default()
            })
        });
        doubt(challenge);
        let address = record.address;
        if record.inbound.is_none() {
            return self.doubt_confirmed(now, id);
        }
        if !begun {
            debug!(%id, "in doubt");
            self.say(address, Command::Ping);
            self.timers.set(Due::Challenge(id), now + CHALLENGE);
        }
    }

    /// The link on which a peer speaks was read to its end: whatever was in doubt is settled, and nothing that it said
    /// is lost.
    pub(super) fn link_closed(&mut self, now: Instant, id: PeerId, cut: Cut) {
        let Some(record) = self.peers.get(&id) else {
            return;
        };
        let gone = self.dials.get(record.address).is_none_or(Dial::is_given_up);
        if record.doubt().is_some_and(|doubt| !doubt.is_question()) {
            self.doubt_confirmed(now, id);
        } else if record.farewell.is_some_and(|said| now - said < FAREWELL) {
            // ZRE-41
            self.exit(now, id, ExitReason::Left);
        } else if gone {
            self.exit(now, id, ExitReason::Lost(Lost::Unreachable));
        } else if now - record.entered < CHALLENGE {
            self.challenge_hung_up(now, id, cut);
        }
    }

    /// ZRE-61. The link on which a peer greeted us ended right after it entered, perhaps before: what is held is not read, so that its
    /// end is not seen. Whoever is there makes another one to answer.
    fn challenge_hung_up(&mut self, now: Instant, id: PeerId, cut: Cut) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        debug!(%id, "its link ended as soon as it entered");
        // What it said there was read to its end. It may have given up before we reached it, and begins with the HELLO that answers
        // ours. (C Zyre may have been made to forget us, and is to be greeted then.)
        let atonce = abilities::has(&record.card, abilities::GOODBYE);
        if atonce
            && cut == Cut::Closed
            && self
                .dials
                .get(record.address)
                .is_some_and(Dial::has_greeted)
        {
            record.await_answer(now + ANSWER);
        }
        let challenge = record.challenge.get_or_insert_default();
        challenge.since = now;
        challenge.hung_up = true;
        let address = record.address;
        self.say(address, Command::Ping);
        self.timers.set(Due::Challenge(id), now + CHALLENGE);
    }

    pub(super) fn challenge_due(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let Some(challenge) = &mut record.challenge else {
            return;
        };
        if challenge.resumed.is_some() {
            return self.going_on_due(now, id);
        }
        // ZRE-52: not its fault when we do not read it, nor when what it says takes its time on the way, nor when our PING waits
        // behind what it reads. Beacons say nothing about the links (ZRE-21).
        let unread = record
            .inbound
            .is_some_and(|link| self.paused.contains(&link));
        let reads = self
            .dials
            .get(record.address)
            .is_some_and(|dial| dial.queued_messages > 0 && dial.taken_at > Some(challenge.since));
        // ZRE-64: nothing gets through from one that is stopped, or over a Wi-Fi that stands still. What it answered has a second
        // from the first sign of life on.
        if challenge.is_question() {
            let quiet = now - record.heard >= CHALLENGE;
            let again = !quiet && challenge.silence == Silence::Lasts;
            if quiet || again {
                challenge.silence = if quiet { Silence::Lasts } else { Silence::Over };
            }
            if quiet || again || record.heard < challenge.since + CHALLENGE {
                self.timers.set(Due::Challenge(id), now + CHALLENGE);
                return;
            }
        }
        // Who does not know us speaks all the same.
        let speaks = record.spoke > challenge.since && !challenge.is_question();
        if unread || reads || speaks {
            challenge.since = now;
            let address = record.address;
            self.timers.set(Due::Challenge(id), now + CHALLENGE);
            if !unread && !reads {
                // It speaks: the question may have been lost with a link that was cut.
                self.say_if_room(address, Command::Ping);
            }
            return;
        }
        self.doubt_confirmed(now, id);
    }

    /// PING-OK: whatever was said against the peer is not true.
    pub(super) fn answered(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let address = record.address;
        let patience = self.config.expired_timeout;
        let settled = self.dials.get_mut(address).is_some_and(|dial| {
            let asked = dial.asked.is_some();
            dial.answered(now, patience);
            asked && dial.asked.is_none()
        });
        if self.dials.get(address).is_some_and(|dial| dial.resuming) {
            // That was the answer to an earlier question.
            return;
        }
        if let Some(challenge) = record.challenge.take() {
            debug!(%now, %id, "answered: no doubt");
            self.timers.cancel(Due::Challenge(id));
            if let Some(link) = challenge.takeover {
                self.close(link);
            }
            if let Some(Claim::Hello(link)) = challenge.claim {
                self.refute(now, link);
            }
        }
        if settled {
            self.say_held(address);
        }
    }

    pub(super) fn doubt_confirmed(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let Some(challenge) = record.challenge.take() else {
            return;
        };
        self.timers.cancel(Due::Challenge(id));
        let address = record.address;
        if let Some(link) = challenge.takeover {
            // The old link counts no more; what was held is weighed without it.
            if let Some(before) = record.inbound.take() {
                self.hush(now, before);
            }
            self.reconsider(now, link);
        }
        let Some(claim) = challenge.claim else {
            let mute = self
                .peers
                .get(&id)
                .is_some_and(|record| record.inbound.is_none());
            if challenge.goodbye {
                self.exit(now, id, ExitReason::Left);
            } else if challenge.resumed.is_some() {
                self.did_not_answer(now, id);
            } else if challenge.hung_up && mute {
                let messages = self.dials.get(address).map_or(0, Dial::unconfirmed);
                self.exit(now, id, ExitReason::Lost(Lost::LinkCut { messages }));
            } else if challenge.unknown && challenge.takeover.is_none() {
                self.greet_who_is_mute(now, id);
            }
            return;
        };
        let reason = if challenge.goodbye {
            ExitReason::Left
        } else {
            ExitReason::Lost(Lost::Displaced)
        };
        self.exit(now, id, reason);
        match claim {
            Claim::Hello(link) => self.reconsider(now, link),
            Claim::Beacon(uuid, key) if !self.dials.contains(address) => {
                self.dial_hint(now, address, uuid, key, Told::Beacon);
            }
            Claim::Beacon(..) => {}
        }
    }

    // ---- silence

    /// Looks which peers were silent for so long that they are to be asked.
    ///
    /// Nearly all are heard of again and again and never miss anything: a deadline for each would be set anew every few seconds
    /// for nothing. So all have one together, when the one that was silent longest is to be asked, and only those that are due
    /// get one of their own. Those that will be due soon get one as well: however they spread their silence, no more than
    /// [`SWEEPS`] times while each is quiet once is everybody looked at.
    fn sweep(&mut self, now: Instant) {
        let quiet = self.quiet_time();
        let soon = now + quiet / SWEEPS;
        let mut due = Vec::new();
        let mut next = None;
        for (id, record) in self.peers.unordered().filter(|(_, record)| !record.timed) {
            let at = record.heard + quiet;
            if record
                .inbound
                .is_some_and(|link| self.paused.contains(&link))
            {
                // ZRE-52. However often its beacons are heard, it is to be told that we live.
                due.push((now, id));
            } else if at <= soon {
                due.push((at, id));
            } else if next.is_none_or(|next| at < next) {
                next = Some(at);
            }
        }
        if let Some(next) = next {
            self.timers.set(Due::Sweep, next);
        }
        due.sort_unstable();
        for (at, id) in due {
            if at <= now {
                self.presence_due(now, id);
            } else {
                self.watch(id, at);
            }
        }
        // Who was just asked for its silence confirms the rest as well.
        self.ask_for_confirmation();
    }

    /// Gives a peer a deadline of its own for its silence.
    fn watch(&mut self, id: PeerId, at: Instant) {
        if let Some(record) = self.peers.get_mut(&id) {
            record.timed = true;
            self.timers.set(Due::Presence(id), at);
        }
    }

    /// Some peer without a deadline of its own was heard of at `heard` last.
    pub(super) fn leave_to_sweep(&mut self, heard: Instant) {
        let at = heard + self.quiet_time();
        self.timers.advance(Due::Sweep, at);
    }

    fn presence_due(&mut self, now: Instant, id: PeerId) {
        let (evasive, expired) = (self.config.evasive_timeout, self.config.expired_timeout);
        let quiet = self.quiet_time();
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        record.timed = false;
        if let Some(link) = record.inbound
            && self.paused.contains(&link)
        {
            // ZRE-52
            // We do not read it, so its silence says nothing; ours would, so it is told that we live. By a PING, whatever it
            // answers: it would take a PING-OK for the answer to what it asks us meanwhile, and what it said for arrived.
            record.heard = now;
            let address = record.address;
            self.watch(id, now + evasive / 2);
            return self.say_if_room(address, Command::Ping);
        }
        let silence = now - record.heard;
        if silence < quiet {
            let heard = record.heard;
            return self.leave_to_sweep(heard);
        }
        if silence < evasive {
            // ZRE-51. Asked a little before it counts: a peer that answers is never told evasive, with or without beacons.
            let (address, at) = (record.address, record.heard + evasive);
            self.watch(id, at);
            return self.say_if_room(address, Command::Ping);
        }
        if silence >= expired {
            return self.exit(now, id, ExitReason::Expired);
        }
        let left = expired - silence;
        let address = record.address;
        if record.presence != Presence::Silent {
            record.presence = match record.presence {
                Presence::Ready => Presence::Evasive,
                Presence::Evasive | Presence::Silent => Presence::Silent,
            };
            trace!(%id, ?silence, "silent");
            self.tell(id);
        }
        let pause = self.jitter(REAP).min(left);
        self.watch(id, now + pause);
        self.say_if_room(address, Command::Ping);
    }

    /// The silence after which a peer is asked.
    pub(super) fn quiet_time(&self) -> Duration {
        let evasive = self.config.evasive_timeout;
        evasive - REAP.min(evasive / 4)
    }

    /// Something was heard of a peer.
    pub(super) fn recovered(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        if record.presence != Presence::Ready {
            record.presence = Presence::Ready;
            record.timed = false;
            self.timers.cancel(Due::Presence(id));
            self.leave_to_sweep(now);
            self.tell(id);
        }
    }

    // ---- what the application is told

    /// Tells what happened to a peer without a word of it: its link was cut, or it is silent, or no more. While too much of
    /// it waits already this is put off, and what is put off is one thing, however often it happens (ZRE-85).
    pub(super) fn tell(&mut self, id: PeerId) {
        if self.inbox.is_full(id, &self.config.limits) {
            if !self.untold.insert(id) {
                self.counters.changes_merged += 1;
            }
            return;
        }
        self.untold.remove(&id);
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let peer = &record.card;
        if let Some(messages) = record.untold.take() {
            self.counters.exits += 1;
            self.counters.enters += 1;
            let reason = match messages {
                0 => ExitReason::Replaced,
                messages => ExitReason::Lost(Lost::LinkCut { messages }),
            };
            self.inbox.push(Event::Exit {
                peer: peer.clone(),
                reason,
            });
            self.inbox.push(Event::Enter { peer: peer.clone() });
            for group in &record.groups {
                self.inbox.push(Event::Join {
                    peer: peer.clone(),
                    group: group.clone(),
                });
                // ELEC-23: an EXIT ends that it leads, and it leads on.
                if self.elections.is_led_anew_by(group.as_bytes(), id) {
                    self.inbox.push(Event::Leader {
                        group: group.clone(),
                        peer: peer.clone(),
                    });
                }
            }
            // Whoever enters is ready.
            record.told = Presence::Ready;
        }
        while record.told != record.presence {
            let peer = peer.clone();
            let (told, event) = match (record.told, record.presence) {
                // From silent to evasive leads only the way over ready, which was put off.
                (_, Presence::Ready) | (Presence::Silent, Presence::Evasive) => {
                    (Presence::Ready, Event::Recovered { peer })
                }
                (Presence::Ready, _) => (Presence::Evasive, Event::Evasive { peer }),
                _ => (record.presence, Event::Silent { peer }),
            };
            record.told = told;
            self.inbox.push(event);
        }
    }

    /// Tells what was put off until the application took something.
    pub(super) fn tell_untold(&mut self, taken: &Taken) {
        let limits = &self.config.limits;
        let due: Vec<_> = if taken.halved {
            let untold = self.untold.iter().copied();
            untold
                .filter(|id| self.inbox.has_room(*id, limits))
                .collect()
        } else {
            let peer = taken.peer.into_iter();
            peer.filter(|id| self.untold.contains(id) && self.inbox.has_room(*id, limits))
                .collect()
        };
        for id in due {
            self.tell(id);
        }
    }

    /// The queue to a peer was full for long, and nothing was taken from it.
    fn overrun_due(&mut self, now: Instant, id: PeerId) {
        let Some(address) = self.peers.get(&id).map(|record| record.address) else {
            return;
        };
        if let Some(dial) = self.dials.get_mut(address)
            && dial.is_asked_to_wrap()
        {
            dial.free();
            // It was held back by a question that it reads too late (ZRE-70). It is to be judged by what it reads.
            let deadline = now + self.config.limits.send_deadline;
            self.timers.set(Due::Overrun(id), deadline);
            return self.say_held(address);
        }
        // ZRE-81
        self.exit(now, id, ExitReason::Overrun);
    }

    // ---- the end

    /// A peer is gone, and our link to it with it.
    pub(super) fn exit(&mut self, now: Instant, id: PeerId, reason: ExitReason) {
        let Some(address) = self.peers.get(&id).map(|record| record.address) else {
            return;
        };
        let waiting = self.end(now, id, reason);
        self.remove_dial(now, address);
        // Only now, since they may need a link of ours to the same address.
        self.reconsider_all(now, waiting);
    }

    /// A peer is gone; our link to where it was is kept for whoever is there now.
    pub(super) fn exit_but_keep_dial(&mut self, now: Instant, id: PeerId, reason: ExitReason) {
        let waiting = self.end(now, id, reason);
        self.reconsider_all(now, waiting);
    }

    fn reconsider_all(&mut self, now: Instant, waiting: Waiting) {
        for link in [waiting.takeover, waiting.claimant].into_iter().flatten() {
            self.reconsider(now, link);
        }
    }

    /// Says who waited for the end of the peer; they are to be reconsidered or closed.
    #[must_use]
    pub(super) fn end(&mut self, now: Instant, id: PeerId, reason: ExitReason) -> Waiting {
        let Some(record) = self.peers.remove(&id) else {
            return Waiting::default();
        };
        let left = record.farewell.is_some_and(|said| now - said < FAREWELL);
        let reason = match reason {
            ExitReason::Lost(Lost::Unreachable | Lost::LinkCut { .. }) if left => ExitReason::Left,
            other => other,
        };
        debug!(%id, name = %record.card.name, %reason, "exit");
        for group in &record.groups {
            self.forget_member(id, group);
        }
        for due in [Due::Presence(id), Due::Challenge(id), Due::Overrun(id)] {
            self.timers.cancel(due);
        }
        // ZRE-42
        self.miss_partner(now, id);
        self.miss_told(now, id);
        let tombstone = (reason == ExitReason::Left).then_some(TOMBSTONE);
        let early = record.receiver.wraps_early();
        self.past.bury(now, id, record.address, tombstone, early);
        self.past.spoke_on(id, record.newest);
        self.past.note_life(now, record.remote.ip(), record.entered);
        self.remember_key(now, id, record.key());
        self.dials.disown(record.address);
        if let Some(dial) = self.dials.get_mut(record.address) {
            dial.hinted = now;
        }
        self.counters.exits += 1;
        self.untold.remove(&id);
        self.inbox.push(Event::Exit {
            peer: record.card,
            reason,
        });
        if let Some(link) = record.inbound {
            self.hush(now, link);
        }
        if is_back(record.address) {
            self.remove_dial(now, record.address);
        }
        for group in &record.groups {
            self.voter_gone(now, id, group);
        }
        let challenge = record.challenge.as_deref().copied();
        let takeover = challenge.and_then(|challenge| challenge.takeover);
        let claimant = match challenge.and_then(|challenge| challenge.claim) {
            Some(Claim::Hello(link)) => Some(link),
            Some(Claim::Beacon(..)) | None => None,
        };
        Waiting { takeover, claimant }
    }

    /// Lets peers be read again for whom the application made room.
    pub(super) fn resume_readers(&mut self, now: Instant, taken_from: Option<PeerId>) {
        let limits = &self.config.limits;
        let all = self.inbox.total() <= limits.receive_octets_total / 2;
        let asked = |id| (all || taken_from == Some(id)) && self.inbox.has_room(id, limits);
        let readable: Vec<_> = self
            .paused
            .iter()
            .filter_map(|&link| match self.links.get(link) {
                Some(Role::Inbound(inbound)) => match inbound.stage {
                    // ZRE-80
                    Stage::Current(id) => asked(id).then_some((link, Some(id))),
                    Stage::Unproved(id) => asked(id).then_some((link, None)),
                    Stage::New | Stage::Held(..) => None,
                },
                Some(Role::Outbound(_)) | None => None,
            })
            .collect();
        for (link, current) in readable {
            if let Some(id) = current
                && let Some(record) = self.peers.get_mut(&id)
            {
                record.heard = now;
                if let Some(challenge) = &mut record.challenge {
                    // Its answer may be in what was not read.
                    challenge.since = now;
                    self.timers.set(Due::Challenge(id), now + CHALLENGE);
                }
            }
            self.resume(link);
        }
    }

    // ---- time

    /// As if the clock had stood still, except for what the node does by itself.
    // ZRE-53
    fn overslept(&mut self, now: Instant, late: Duration) {
        debug!(%now, ?late, "overslept");
        self.timers.delay(late, |due| {
            !matches!(
                due,
                Due::Beacon | Due::Partner(_) | Due::Target(_) | Due::Tuple(_)
            )
        });
        self.peers.for_each(|record| {
            record.heard = (record.heard + late).min(now);
            record.spoke = (record.spoke + late).min(now);
            if let Some(challenge) = &mut record.challenge {
                challenge.since = (challenge.since + late).min(now);
            }
        });
        if self.timers.get(Due::Sweep).is_some() {
            // Who was heard of while the clock stood still is missed from now on, and not from so much later on.
            self.timers.advance(Due::Sweep, now);
        }
    }

    /// Does what is due by now.
    ///
    /// The time by which the call comes later than [`poll_timeout`](Node::poll_timeout) asked for is not held against
    /// anybody: what peers said meanwhile waits in sockets that were not read.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late = self
            .timers
            .next()
            .map_or(Duration::ZERO, |(at, _)| now - at);
        if late >= OVERSLEPT {
            self.overslept(now, late);
        }
        while let Some(due) = self.timers.pop_due(now) {
            match due {
                Due::Beacon => {
                    self.timers.set(Due::Beacon, now + self.config.interval);
                    self.broadcast(|interface| interface.port);
                }
                Due::Partner(address) => self.partner_due(now, address),
                Due::Sweep => self.sweep(now),
                Due::Presence(id) => self.presence_due(now, id),
                Due::Challenge(id) => self.challenge_due(now, id),
                Due::Overrun(id) => self.overrun_due(now, id),
                Due::Dial(address) => self.dial_due(now, address),
                Due::Hello(link) => self.hello_due(now, link),
                Due::Target(index) => self.target_due(now, index),
                Due::Tuple(id) => self.tuple_due(now, id),
                Due::Election(number) => self.election_due(now, number),
                Due::Goodbye => self.say_goodbye(),
            }
        }
    }
}
