//! The stand-ins: who has one, and who waits for room.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::holders::Claim;
use super::{Action, Bridge, Event, StandIn, Step};
use crate::once::{VIA, Which};
use crate::wire::once::Reason;
use crate::wire::{Headers, LongText};
use crate::{Instant, PeerId, Text};

/// How long it takes until a stand-in is tried again that the machine had nothing left for.
const PAUSE: Duration = Duration::from_secs(10);

/// The stand-ins of this bridge.
#[derive(Debug)]
pub(super) struct StandIns {
    shown: BTreeMap<PeerId, Shown>,
    /// Those for whom there is no room, in the order in which they get it.
    without: BTreeSet<(Claim, PeerId)>,
    claims: BTreeMap<PeerId, Claim>,
    most: usize,
    /// How many there can be, since the machine has no more, and when that is tried again.
    lack: Option<(usize, Instant)>,
    /// Whether it was told that there are too many.
    told: bool,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Shown {
    /// Whose it is.
    pub(super) claim: Claim,
    /// The peers of this LAN that it knows.
    pub(super) here: BTreeSet<PeerId>,
    /// The peer has exited, and something that it said before waits.
    pub(super) leaving: bool,
}

impl StandIns {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            shown: BTreeMap::new(),
            without: BTreeSet::new(),
            claims: BTreeMap::new(),
            most,
            lack: None,
            told: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// How many have none for lack of room.
    pub(super) fn without(&self) -> usize {
        self.without.len()
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Shown> {
        self.shown.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Shown> {
        self.shown.get_mut(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> {
        self.shown.keys().copied()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.lack.map(|(_, at)| at)
    }

    fn limit(&self) -> usize {
        let can = self.lack.map_or(usize::MAX, |(most, _)| most);
        self.most.min(can)
    }

    fn wait(&mut self, id: PeerId, claim: Claim) {
        self.claims.insert(id, claim);
        self.without.insert((claim, id));
    }

    fn wait_no_more(&mut self, id: PeerId) {
        if let Some(claim) = self.claims.remove(&id) {
            self.without.remove(&(claim, id));
        }
    }
}

impl Bridge {
    /// Looks whether these have the stand-ins that they should have, and gives the room that there is then to those who wait.
    pub(super) fn look_again(&mut self, ids: impl IntoIterator<Item = PeerId>) {
        for id in ids {
            self.look(id);
        }
        self.give_room();
    }

    /// Whose stand-in a peer should have.
    fn wanted(&self, id: PeerId) -> Option<Claim> {
        // ONCE-86, ONCE-90
        let shows = self.is_active()
            && !self.locals.contains_key(&id)
            && !self.is_bridge(id)
            && !self.config.hidden.contains(&id);
        let mut claims = self.holders.of(id);
        claims.find(|claim| shows && !self.is_rival(claim.bridge))
    }

    /// The bridge that has a peer of another LAN, whether or not it has a stand-in.
    pub(super) fn holder(&self, id: PeerId) -> Option<PeerId> {
        self.wanted(id).map(|claim| claim.bridge)
    }

    fn look(&mut self, id: PeerId) {
        let wanted = self.wanted(id);
        let shown = self.stand_ins.get(id).map(|shown| shown.claim);
        if shown.is_some() && shown == wanted {
            if let Some(shown) = self.stand_ins.get_mut(id) {
                shown.leaving = false;
            }
            return;
        }
        self.stand_ins.wait_no_more(id);
        if shown.is_some() {
            // ONCE-92
            let goodbye = self.is_active()
                && self.holders.of(id).next().is_none()
                && !self.locals.contains_key(&id)
                && !self.is_bridge(id);
            // ONCE-109
            if goodbye && wanted.is_none() && self.is_waited_for(id) {
                if let Some(shown) = self.stand_ins.get_mut(id) {
                    shown.leaving = true;
                }
                return;
            }
            self.retire(id, goodbye);
        }
        if let Some(claim) = wanted {
            self.stand_ins.wait(id, claim);
        }
    }

    fn give_room(&mut self) {
        // ONCE-93
        while self.stand_ins.len() < self.stand_ins.limit() {
            self.stand_ins.told = false;
            let Some((claim, id)) = self.stand_ins.without.first().copied() else {
                return;
            };
            self.stand_ins.wait_no_more(id);
            self.start(id, claim);
        }
        if self.stand_ins.without() > 0 && !self.stand_ins.told {
            self.stand_ins.told = true;
            let limit = self.stand_ins.limit();
            self.tell(Event::TooMany { limit });
        }
    }

    fn start(&mut self, id: PeerId, claim: Claim) {
        let bridge = claim.bridge;
        let far = self.fars.get(&bridge);
        let Some(peer) = far.and_then(|far| far.replica.get(id)) else {
            return;
        };
        // ONCE-91
        let mut headers = plain(&peer.headers);
        if let (Ok(name), Ok(value)) = (
            Text::try_from(VIA),
            LongText::try_from(alloc::string::ToString::to_string(&bridge)),
        ) {
            headers.insert(name, value);
        }
        let name = peer.name.clone();
        let groups = peer.groups.clone();
        let stand_in = StandIn {
            id,
            name: name.clone(),
            headers,
            groups,
        };
        let shown = Shown {
            claim,
            here: BTreeSet::new(),
            leaving: false,
        };
        self.stand_ins.shown.insert(id, shown);
        self.act(Action::Start(stand_in));
        // ONCE-94
        let all: Vec<Action> = self
            .locals
            .values()
            .filter(|local| local.is_here())
            .map(|local| local.introduction(id))
            .collect();
        for action in all {
            self.act(action);
        }
        self.tell(Event::Enter {
            peer: id,
            name,
            bridge,
        });
    }

    /// What waited for the stand-in of one who has exited is said, or waits no longer: it ends.
    pub(super) fn end_if_leaving(&mut self, id: PeerId) {
        let leaving = self.stand_ins.get(id).is_some_and(|shown| shown.leaving);
        if leaving && !self.is_waited_for(id) {
            self.retire(id, true);
            self.give_room();
        }
    }

    fn retire(&mut self, id: PeerId, goodbye: bool) {
        let Some(shown) = self.stand_ins.shown.remove(&id) else {
            return;
        };
        self.stop_waiting_for(id);
        self.act(Action::Retire {
            stand_in: id,
            goodbye,
        });
        let bridge = shown.claim.bridge;
        self.tell(Event::Exit { peer: id, bridge });
    }

    /// None of them is to be there any more.
    pub(super) fn end_stand_ins(&mut self, goodbye: bool) {
        let ids: Vec<PeerId> = self.stand_ins.ids().collect();
        for id in ids {
            self.retire(id, goodbye);
        }
        self.stand_ins.without.clear();
        self.stand_ins.claims.clear();
    }

    /// The machine has nothing left for a stand-in that was to be started.
    pub(super) fn lacks(&mut self, now: Instant, id: PeerId) {
        // ONCE-93
        if !self.forget_steps(id) {
            return;
        }
        let Some(shown) = self.stand_ins.shown.remove(&id) else {
            return;
        };
        self.stop_waiting_for(id);
        let bridge = shown.claim.bridge;
        self.tell(Event::Exit { peer: id, bridge });
        if !shown.leaving {
            self.stand_ins.wait(id, shown.claim);
        }
        self.stand_ins.lack = Some((self.stand_ins.len(), now + PAUSE));
        self.give_room();
    }

    /// What was to be done with a stand-in that is not there is not to be done. Whether that was all that there was about it: if it was to
    /// be ended, what comes behind is about another one.
    fn forget_steps(&mut self, id: PeerId) -> bool {
        let mut steps = core::mem::take(&mut self.steps);
        let mut all = true;
        while all && let Some(step) = steps.pop_front() {
            match step {
                Step::Act(Action::Retire { stand_in, .. }) if stand_in == id => all = false,
                Step::Deliver(delivery) if delivery.from() == id => {
                    self.undelivered(&delivery, Reason::LOST);
                }
                Step::Act(
                    Action::Introduce { stand_in, .. }
                    | Action::Join {
                        node: Which::StandIn(stand_in),
                        ..
                    }
                    | Action::Leave {
                        node: Which::StandIn(stand_in),
                        ..
                    },
                ) if stand_in == id => {}
                other => self.steps.push_back(other),
            }
        }
        self.steps.append(&mut steps);
        all
    }

    /// Those that could not be started are tried again.
    pub(super) fn try_again(&mut self, now: Instant) {
        if self.stand_ins.lack.is_some_and(|(_, at)| at <= now) {
            self.stand_ins.lack = None;
            self.give_room();
        }
    }

    pub(super) fn stand_in_joins(&mut self, bridge: PeerId, id: PeerId, group: Text) {
        // ONCE-95
        if self.is_shown(bridge, id) {
            let node = Which::StandIn(id);
            self.act(Action::Join { node, group });
        }
    }

    pub(super) fn stand_in_leaves(&mut self, bridge: PeerId, id: PeerId, group: &Text) {
        if self.is_shown(bridge, id) {
            let (node, group) = (Which::StandIn(id), group.clone());
            self.act(Action::Leave { node, group });
        }
    }

    /// Whether there is a stand-in of a peer that this bridge has.
    pub(super) fn is_shown(&self, bridge: PeerId, id: PeerId) -> bool {
        let shown = self.stand_ins.get(id);
        shown.is_some_and(|shown| shown.claim.bridge == bridge)
    }
}

/// The headers of a peer without those that are about bridges, and about the node that has them.
pub(super) fn plain(headers: &Headers) -> Headers {
    // ONCE-91
    let kept = headers.iter().filter(|(name, _)| {
        let name = name.as_bytes();
        !name.starts_with(b"X-ONCE") && name != b"X-ATONCE"
    });
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(any(test, feature = "fuzz"))]
impl StandIns {
    /// What holds between any two inputs.
    pub(super) fn check(&self) {
        assert!(self.len() <= self.most);
        assert_eq!(self.claims.len(), self.without.len());
        for (id, claim) in &self.claims {
            assert!(self.without.contains(&(*claim, *id)));
            assert!(!self.shown.contains_key(id));
        }
        assert!(self.without.is_empty() || self.len() >= self.limit());
    }
}
