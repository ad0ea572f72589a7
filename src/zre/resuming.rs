//! How a conversation goes on after its links were cut, and what it takes to know that nothing of it is lost (ZRE-62, ZRE-63 of
//! `spec/zre.md`).

use core::net::SocketAddr;
use core::time::Duration;

use tracing::debug;

use super::deadlines::Due;
use super::dial::Owner;
use super::node::Node;
use super::{ExitReason, Lost, abilities};
use crate::wire::zre::Command;
use crate::{Instant, PeerId};

/// How long a peer all of whose links were cut has to go on: 3 s, for a few round trips on a slow network.
const GOES_ON: Duration = Duration::from_secs(3);

/// How often it is asked meanwhile: what it answers before its own link is up again is lost.
const ASKED_EVERY: Duration = Duration::from_secs(1);

impl Node {
    /// Asks those to whom something was said since they were asked last: what they answer confirms it. This is done for all together,
    /// as often as silence is looked after, so that no message costs more for it.
    // ZRE-65
    pub(super) fn ask_for_confirmation(&mut self) {
        for address in core::mem::take(&mut self.unsure) {
            let Some(dial) = self.dials.get_mut(address) else {
                continue;
            };
            if dial.wants_confirmation() && matches!(dial.owner, Owner::Peer(_)) {
                self.say_if_room(address, Command::Ping);
            }
        }
    }

    /// Whether a peer may be the one that it was, though all its links were cut.
    pub(super) fn may_go_on(&self, address: SocketAddr, id: PeerId) -> bool {
        // ZRE-145: where there is one link for both directions, whoever dials begins anew.
        let duplex = self.config.duplex
            && self
                .peers
                .get(&id)
                .is_some_and(|record| abilities::has(&record.card, abilities::DUPLEX));
        let unsure = self
            .dials
            .get(address)
            .is_none_or(|dial| dial.sender.is_unsure());
        !duplex && !unsure
    }

    /// Our link to a peer is up again whose own is gone as well. Nothing is lost, if it is the same process: whoever answers is.
    // ZRE-63
    pub(super) fn ask_to_go_on(&mut self, now: Instant, address: SocketAddr, id: PeerId) {
        let (Some(dial), Some(record)) = (self.dials.get_mut(address), self.peers.get_mut(&id))
        else {
            return;
        };
        debug!(%id, "may go on");
        dial.resume();
        let challenge = record.challenge.get_or_insert_default();
        challenge.since = now;
        challenge.resumed = Some(now);
        self.timers.set(Due::Challenge(id), now + ASKED_EVERY);
        self.say(address, Command::Ping);
    }

    /// It did not answer yet.
    pub(super) fn going_on_due(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get(&id) else {
            return;
        };
        let Some(doubt) = record.doubt() else {
            return;
        };
        let late = doubt.resumed.is_none_or(|since| now - since >= GOES_ON);
        // While its own link stands it is only slow, or we are not told that it ended: silence ends that, not a deadline.
        let stays = record.inbound.is_some() && doubt.only_resumes();
        if late && !stays {
            return self.doubt_confirmed(now, id);
        }
        self.ask_again(now, id);
    }

    fn ask_again(&mut self, now: Instant, id: PeerId) {
        if let Some(record) = self.peers.get(&id) {
            let address = record.address;
            self.timers.set(Due::Challenge(id), now + ASKED_EVERY);
            self.say_if_room(address, Command::Ping);
        }
    }

    /// What else was said against it is true, or the time is over in which it had to answer. Nothing is said to whoever is at the
    /// other end of our link until it is known to be this peer.
    pub(super) fn did_not_answer(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let address = record.address;
        let Some(dial) = self.dials.get_mut(address).filter(|dial| dial.resuming) else {
            return;
        };
        if record.inbound.is_some() {
            // It speaks on another link from now on.
            let challenge = record.challenge.get_or_insert_default();
            challenge.since = now;
            challenge.resumed = Some(now);
            self.ask_again(now, id);
        } else {
            let messages = u64::try_from(dial.held.len()).unwrap_or(u64::MAX);
            dial.free();
            self.begin_anew(now, address, id, messages);
        }
    }

    /// Whoever is at the other end of our link has to greet us: so many messages to the peer that was there may be lost.
    // ZRE-63
    pub(super) fn begin_anew(
        &mut self,
        now: Instant,
        address: SocketAddr,
        id: PeerId,
        messages: u64,
    ) {
        let reason = ExitReason::Lost(Lost::LinkCut { messages });
        self.exit_but_keep_dial(now, id, reason);
        if self
            .dials
            .get(address)
            .is_none_or(|dial| dial.up().is_none())
        {
            return;
        }
        self.greet_anew(now, address);
        let owner = self.dials.get(address).map(|dial| dial.owner);
        if owner == Some(Owner::Nobody) {
            let deadline = now + self.patience_for_answers();
            self.timers.set(Due::Dial(address), deadline);
        }
    }
}
