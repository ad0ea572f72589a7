//! How a silent peer is missed, asked and given up: ZRE-50 to ZRE-52 of `spec/zre.md`.

use alloc::vec::Vec;
use core::time::Duration;

use tracing::trace;

use super::deadlines::Due;
use super::node::Node;
use super::{ExitReason, Presence};
use crate::wire::zre::Command;
use crate::{Instant, PeerId};

/// How often everybody may be looked at, within the time that a peer may be quiet, for those who might be due.
const SWEEPS: u32 = 64;

/// How often a silent peer is looked at.
const REAP: Duration = Duration::from_secs(1);

impl Node {
    /// Looks which peers were silent for so long that they are to be asked.
    ///
    /// Nearly all are heard of again and again and never miss anything: a deadline for each would be set anew every few seconds
    /// for nothing. So all have one together, when the one that was silent longest is to be asked, and only those that are due
    /// get one of their own. Those that will be due soon get one as well: however they spread their silence, no more than
    /// [`SWEEPS`] times while each is quiet once is everybody looked at.
    pub(super) fn sweep(&mut self, now: Instant) {
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

    pub(super) fn presence_due(&mut self, now: Instant, id: PeerId) {
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
}
