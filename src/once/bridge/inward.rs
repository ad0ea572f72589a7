//! What peers of other LANs say to peers of this one.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::window::Shout;
use super::{Action, Bridge, Event, Step};
use crate::once::{Which, nope};
use crate::wire::once::{
    Code, Reason, RemoteAgain, RemoteShout, RemoteWhisper, Target, Undeliverable, V2,
};
use crate::{Frames, Instant, PeerId, Text};

/// The id of REMOTE-AGAIN.
pub(super) const REMOTE_AGAIN: u8 = 0x43;

/// Something for one peer of this LAN.
#[derive(Debug)]
pub(super) struct Delivery {
    origin: Origin,
    to: PeerId,
    /// None: a whisper.
    group: Option<Text>,
    content: Frames,
}

/// Which message it was, and who said it.
#[derive(Clone, Copy, Debug)]
struct Origin {
    bridge: PeerId,
    epoch: u64,
    number: u64,
    from: PeerId,
}

impl Delivery {
    /// Whose stand-in says it.
    pub(super) const fn from(&self) -> PeerId {
        self.origin.from
    }

    /// What delivers it.
    pub(super) fn action(&self) -> Action {
        let (stand_in, peer) = (self.origin.from, self.to);
        let content = self.content.clone();
        match &self.group {
            None => Action::Whisper {
                node: Which::StandIn(stand_in),
                peer,
                content,
            },
            Some(group) => Action::ShoutTo {
                stand_in,
                peer,
                group: group.clone(),
                content,
            },
        }
    }
}

impl Bridge {
    pub(super) fn heard_whisper(&mut self, now: Instant, bridge: PeerId, whisper: RemoteWhisper) {
        let RemoteWhisper {
            epoch,
            number,
            from,
            to,
            content,
        } = whisper;
        let origin = Origin {
            bridge,
            epoch,
            number,
            from,
        };
        if !self.takes(origin) {
            return;
        }
        if let Err(reason) = self.may_say(origin, &content) {
            return self.answer(origin, Target::Peer(to), reason);
        }
        self.deliver(
            now,
            Delivery {
                origin,
                to,
                group: None,
                content,
            },
        );
    }

    pub(super) fn heard_shout(&mut self, now: Instant, bridge: PeerId, shout: RemoteShout) {
        let RemoteShout {
            epoch,
            number,
            from,
            group,
            to,
            content,
        } = shout;
        let origin = Origin {
            bridge,
            epoch,
            number,
            from,
        };
        if !self.takes(origin) {
            return;
        }
        // ONCE-104: whatever becomes of it.
        if content.octets() <= self.config.limits.content_octets
            && let Some(far) = self.fars.get_mut(&bridge)
        {
            far.heard.push(Shout {
                number,
                from,
                group: group.clone(),
                content: content.clone(),
            });
        }
        self.deliver_all(now, origin, group, to, &content);
    }

    pub(super) fn heard_again(&mut self, now: Instant, bridge: PeerId, again: RemoteAgain) {
        let RemoteAgain {
            epoch,
            number,
            of,
            to,
        } = again;
        let heard = self.fars.get(&bridge).and_then(|far| far.heard.get(of));
        let heard = heard.cloned();
        let from = heard.as_ref().map_or(bridge, |shout| shout.from);
        let origin = Origin {
            bridge,
            epoch,
            number,
            from,
        };
        let before = self.fars.get(&bridge).and_then(|far| far.taken);
        if !self.takes(origin) {
            return;
        }
        // ONCE-104: of another epoch nothing was heard.
        let known = before.is_some_and(|(before, _)| before == epoch);
        let Some(shout) = heard.filter(|_| known) else {
            let message = V2::Nope(nope(REMOTE_AGAIN, Code::UNEXPECTED));
            return self.say((Which::Remote, bridge), message);
        };
        self.deliver_all(now, origin, shout.group, to, &shout.content);
    }

    fn deliver_all(
        &mut self,
        now: Instant,
        origin: Origin,
        group: Text,
        to: Vec<PeerId>,
        content: &Frames,
    ) {
        if let Err(reason) = self.may_say(origin, content) {
            return self.answer(origin, Target::Group(group), reason);
        }
        let mut done = BTreeSet::new();
        for to in to {
            if done.insert(to) {
                self.deliver(
                    now,
                    Delivery {
                        origin,
                        to,
                        group: Some(group.clone()),
                        content: content.clone(),
                    },
                );
            }
        }
    }

    /// Whether it was not taken before.
    fn takes(&mut self, origin: Origin) -> bool {
        let Origin {
            bridge,
            epoch,
            number,
            ..
        } = origin;
        let Some(far) = self.fars.get_mut(&bridge) else {
            return false;
        };
        // ONCE-100
        match far.taken {
            Some((before, last)) if before == epoch => {
                if number <= last {
                    return false;
                }
                let missed = &mut self.counters.missed;
                *missed = missed.saturating_add(number - last - 1);
            }
            _ => far.heard.clear(),
        }
        far.taken = Some((epoch, number));
        true
    }

    /// Whether a bridge may say this for somebody.
    fn may_say(&mut self, origin: Origin, content: &Frames) -> Result<(), Reason> {
        let Origin {
            bridge,
            epoch,
            from,
            ..
        } = origin;
        let far = self.fars.get(&bridge);
        let is_its =
            far.is_some_and(|far| far.replica.epoch() == epoch && far.replica.contains(from));
        // ONCE-105
        if !is_its {
            self.tell(Event::NotYours { bridge, peer: from });
            return Err(Reason::NOT_YOURS);
        }
        if !self.is_active() {
            return Err(Reason::UNKNOWN);
        }
        if self.holder(from) != Some(bridge) {
            return Err(Reason::NOT_YOURS);
        }
        // ONCE-107
        if content.octets() > self.config.limits.content_octets {
            return Err(Reason::TOO_LARGE);
        }
        Ok(())
    }

    fn deliver(&mut self, now: Instant, delivery: Delivery) {
        let Origin { bridge, from, .. } = delivery.origin;
        let to = delivery.to;
        let local = self.locals.get(&to).filter(|local| local.since.is_some());
        let Some(local) = local else {
            return self.undelivered(&delivery, Reason::UNKNOWN);
        };
        let is_here = local.is_here();
        let Some(shown) = self.stand_ins.get(from) else {
            // There is no room for its stand-in.
            return self.undelivered(&delivery, Reason::FULL);
        };
        if !is_here && !shown.here.contains(&to) {
            return self.undelivered(&delivery, Reason::UNKNOWN);
        }
        let key = (from, to);
        // ONCE-101
        if shown.here.contains(&to) && !self.inward.is_waiting(key) {
            self.steps.push_back(Step::Deliver(delivery));
            return;
        }
        let octets = delivery.content.octets();
        if let Err(delivery) = self.inward.push(now, key, bridge, octets, delivery) {
            self.undelivered(&delivery, Reason::FULL);
        }
    }

    /// A stand-in knows a peer of this LAN: what waited for that is said.
    pub(super) fn reaches(&mut self, stand_in: PeerId, peer: PeerId) {
        while let Some(delivery) = self.inward.pop((stand_in, peer)) {
            self.steps.push_back(Step::Deliver(delivery));
        }
        self.end_if_leaving(stand_in);
    }

    /// What waits for a stand-in.
    fn waiting_for(&self, stand_in: PeerId) -> impl Iterator<Item = (PeerId, PeerId)> + '_ {
        const FIRST: PeerId = PeerId::from_bytes([0; 16]);
        const LAST: PeerId = PeerId::from_bytes([0xff; 16]);
        self.inward.keys((stand_in, FIRST)..=(stand_in, LAST))
    }

    /// Whether anything waits for a stand-in.
    pub(super) fn is_waited_for(&self, stand_in: PeerId) -> bool {
        self.waiting_for(stand_in).next().is_some()
    }

    /// A stand-in ends: what waited for it is not said.
    pub(super) fn stop_waiting_for(&mut self, stand_in: PeerId) {
        let keys: Vec<(PeerId, PeerId)> = self.waiting_for(stand_in).collect();
        for key in keys {
            while let Some(delivery) = self.inward.pop(key) {
                self.undelivered(&delivery, Reason::LOST);
            }
        }
    }

    /// What waited for long enough is not said.
    pub(super) fn stop_waiting(&mut self, now: Instant) {
        // ONCE-101
        while let Some(key) = self.inward.due(now) {
            if let Some(delivery) = self.inward.pop(key) {
                self.undelivered(&delivery, Reason::UNKNOWN);
            }
            self.end_if_leaving(key.0);
        }
        while let Some(from) = self.outward.due(now) {
            if let Some(spoken) = self.outward.pop(from) {
                self.ignore(from, &spoken, Reason::NOT_YOURS);
            }
        }
    }

    /// A peer of this LAN did not get something.
    pub(super) fn undelivered(&mut self, delivery: &Delivery, reason: Reason) {
        self.answer(delivery.origin, Target::Peer(delivery.to), reason);
    }

    fn answer(&mut self, origin: Origin, target: Target, reason: Reason) {
        // ONCE-106
        self.counters.undeliverable += 1;
        let Origin {
            bridge,
            epoch,
            number,
            from,
        } = origin;
        if self.fars.get(&bridge).is_some_and(|far| far.live) {
            let message = V2::Undeliverable(Undeliverable {
                epoch,
                number,
                from,
                target,
                reason,
            });
            self.say((Which::Remote, bridge), message);
        }
    }

    pub(super) fn heard_undeliverable(&mut self, bridge: PeerId, said: &Undeliverable) {
        // ONCE-106: about what this one said, by somebody who is still here.
        let number = self.fars.get(&bridge).map_or(0, super::Far::number);
        if said.epoch == self.own.epoch() && said.number <= number && self.own.contains(said.from) {
            self.was_undeliverable(said.from, bridge, said.reason);
        }
    }

    /// Something that a peer of this LAN said did not arrive.
    pub(super) fn was_undeliverable(&mut self, from: PeerId, bridge: PeerId, reason: Reason) {
        self.counters.undeliverable += 1;
        self.tell(Event::Undeliverable {
            from,
            bridge,
            reason,
        });
    }
}
