//! What is doubted of a peer, and how it is settled: with a PING, or by the end of its link (ZRE-17, ZRE-21, ZRE-22, ZRE-30,
//! ZRE-40, ZRE-41, ZRE-61 and ZRE-64 of `spec/zre.md`).

use alloc::boxed::Box;
use core::time::Duration;

use tracing::debug;

use super::deadlines::Due;
use super::dial::Dial;
use super::exits::FAREWELL;
use super::hints::Told;
use super::node::Node;
use super::record::{Challenge, Claim, Record, Silence};
use super::{ExitReason, Lost};
use crate::net::LinkId;
use crate::wire::zre::Command;
use crate::{Instant, PeerId};

/// How long a PING that settles a doubt may be unanswered.
pub(super) const CHALLENGE: Duration = Duration::from_secs(1);

impl Node {
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

    /// Our link to a peer is another one: if something is said against the peer the question was lost with the one before. It is asked
    /// again at once, so that nothing that the peer says from now on is taken for older than who wants to speak for it.
    // ZRE-21
    pub(super) fn ask_on_new_link(&mut self, id: PeerId) {
        if let Some(record) = self.peers.get(&id)
            && record.doubt().is_some_and(|doubt| !doubt.is_question())
        {
            let address = record.address;
            self.say_if_room(address, Command::Ping);
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
    pub(super) fn link_closed(&mut self, now: Instant, id: PeerId) {
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
            self.challenge_hung_up(now, id);
        }
    }

    /// ZRE-61. The link on which a peer greeted us ended right after it entered, perhaps before: what is held is not read, so that its
    /// end is not seen. Whoever is there makes another one to answer.
    fn challenge_hung_up(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        debug!(%id, "its link ended as soon as it entered");
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
}
