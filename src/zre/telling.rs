//! What the application is told of a peer and when, and whom it makes room for by taking it: ZRE-80 and ZRE-85 of `spec/zre.md`.

use alloc::vec::Vec;

use super::deadlines::Due;
use super::doubts::CHALLENGE;
use super::inbound::{Role, Stage};
use super::inbox::Taken;
use super::node::Node;
use super::{Event, ExitReason, Lost, Presence};
use crate::{Instant, PeerId};

impl Node {
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
}
