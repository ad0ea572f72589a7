//! What peers of this LAN say to peers of others, by way of their stand-ins.

use alloc::sync::Arc;

use super::Bridge;
use super::locals::is_of_once;
use crate::once::Which;
use crate::wire::once::Reason;
use crate::zre::Event as NodeEvent;
use crate::{Frames, Instant, Peer, PeerId, Text};

/// What a stand-in heard.
#[derive(Debug)]
pub(super) struct Spoken {
    stand_in: PeerId,
    /// Who said it, as the stand-in knows it.
    peer: Arc<Peer>,
    /// None: a whisper.
    group: Option<Text>,
    content: Frames,
}

impl Bridge {
    /// Something happened at a stand-in.
    pub(super) fn handle_stand_in(&mut self, now: Instant, id: PeerId, event: NodeEvent) {
        match event {
            NodeEvent::Enter { peer } => {
                if let Some(shown) = self.stand_ins.get_mut(id) {
                    shown.here.insert(peer.id);
                    self.reaches(id, peer.id);
                }
            }
            NodeEvent::Exit { peer, .. } => {
                if let Some(shown) = self.stand_ins.get_mut(id) {
                    shown.here.remove(&peer.id);
                }
            }
            NodeEvent::Whisper { peer, content } => {
                let spoken = Spoken {
                    stand_in: id,
                    peer,
                    group: None,
                    content,
                };
                self.spoken(now, spoken);
            }
            NodeEvent::Shout {
                peer,
                group,
                content,
            } => {
                let spoken = Spoken {
                    stand_in: id,
                    peer,
                    group: Some(group),
                    content,
                };
                self.spoken(now, spoken);
            }
            // Who is in which group is told by the local node.
            _ => {}
        }
    }

    fn spoken(&mut self, now: Instant, spoken: Spoken) {
        let from = spoken.peer.id;
        let local = self.locals.get(&from);
        // ONCE-101: the local node will know it soon, or as whom it came back.
        let is_current = local.is_some_and(|local| local.is_same(&spoken.peer));
        if is_current && local.is_some_and(|local| local.since.is_some()) {
            return self.pass_on(from, spoken);
        }
        let hidden = is_of_once(&spoken.peer) || self.config.hidden.contains(&from);
        if is_current || hidden {
            self.counters.ignored += 1;
            return;
        }
        let octets = spoken.content.octets();
        let own = self.config.id;
        if let Err(spoken) = self.outward.push(now, from, own, octets, spoken) {
            self.ignore(from, &spoken, Reason::FULL);
        }
    }

    /// Others know a peer of this LAN: what it said before is passed on. What one said who had its identity before is not.
    pub(super) fn speaks(&mut self, from: PeerId) {
        while let Some(spoken) = self.outward.pop(from) {
            let local = self.locals.get(&from);
            if local.is_some_and(|local| local.is_same(&spoken.peer)) {
                self.pass_on(from, spoken);
            } else {
                self.ignore(from, &spoken, Reason::UNKNOWN);
            }
        }
    }

    fn pass_on(&mut self, from: PeerId, spoken: Spoken) {
        let Some(shown) = self.stand_ins.get(spoken.stand_in) else {
            self.counters.ignored += 1;
            return;
        };
        // ONCE-109: its stand-in is there for what it said itself.
        if shown.leaving {
            return self.ignore(from, &spoken, Reason::UNKNOWN);
        }
        let bridge = shown.claim.bridge;
        // ONCE-107
        if spoken.content.octets() > self.config.limits.content_octets {
            return self.ignore(from, &spoken, Reason::TOO_LARGE);
        }
        let most = self.config.limits.waiting_octets.saturating_mul(2);
        // ONCE-102: whoever asks what is wanted does not get there.
        if self
            .fars
            .get(&bridge)
            .is_some_and(|far| far.octets() > most)
        {
            return self.ignore(from, &spoken, Reason::FULL);
        }
        let after = self.own.number();
        let since = self.locals.get(&from).and_then(|local| local.since);
        let Some((far, since)) = self.fars.get_mut(&bridge).zip(since) else {
            return;
        };
        let Spoken {
            stand_in,
            group,
            content,
            ..
        } = spoken;
        // ONCE-103
        match group {
            None => {
                far.whisper(after, from, stand_in, content);
                self.counters.whispers_sent += 1;
            }
            Some(group) => {
                if far.shout(after, since, from, group, stand_in, content) {
                    self.counters.shouts_sent += 1;
                }
            }
        }
        self.outboxes.wake((Which::Remote, bridge));
    }

    /// What a stand-in heard goes nowhere.
    pub(super) fn ignore(&mut self, from: PeerId, spoken: &Spoken, reason: Reason) {
        let shown = self.stand_ins.get(spoken.stand_in);
        match shown.map(|shown| shown.claim.bridge) {
            Some(bridge) => self.was_undeliverable(from, bridge, reason),
            None => self.counters.ignored += 1,
        }
    }
}
