//! The end of a peer, and who waited for it: ZRE-41, ZRE-42 and ZRE-81 of `spec/zre.md`.

use core::time::Duration;

use tracing::debug;

use super::deadlines::Due;
use super::duplex::is_back;
use super::node::Node;
use super::record::Claim;
use super::{Event, ExitReason, Lost};
use crate::net::LinkId;
use crate::{Instant, PeerId};

/// A beacon that comes this late after a goodbye does not revive the peer.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(3);

/// A peer whose link ends this soon after somebody said goodbye in its name has left.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// Links on which somebody waited for the end of a peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    /// It carries the peer's identity.
    pub(super) takeover: Option<LinkId>,
    /// Its HELLO names the peer's endpoint.
    pub(super) claimant: Option<LinkId>,
}

impl Node {
    /// The queue to a peer was full for long, and nothing was taken from it.
    pub(super) fn overrun_due(&mut self, now: Instant, id: PeerId) {
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
}
