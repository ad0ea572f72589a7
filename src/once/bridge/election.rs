//! Which bridge of a LAN makes stand-ins.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use rand_chacha::rand_core::Rng;

use super::{ACTIVE, Action, Bridge, Event};
use crate::once::{Role, Which};
use crate::{Instant, Peer, PeerId, Text};

/// How it stands.
#[derive(Debug, Default)]
pub(super) struct Election {
    active: bool,
    /// When this bridge may become the active one.
    at: Option<Instant>,
    /// The other bridges of this LAN that are in the group of the active ones.
    joined: BTreeSet<PeerId>,
    /// Which of them was told to be the active one.
    told: Option<PeerId>,
    /// When this bridge, while it is active, wants to be called at the latest: so it knows when it did not run.
    awake: Option<Instant>,
}

/// How often an active bridge is called at the least.
const TICK: Duration = Duration::from_secs(5);

/// Who is called so much later than it wanted did not run meanwhile.
const SLEPT: Duration = Duration::from_secs(5);

impl Election {
    pub(super) const fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.at.into_iter().chain(self.awake).min()
    }
}

impl Bridge {
    /// Whether it is a bridge of this LAN that has proved that it may take part.
    pub(super) fn is_rival(&self, id: PeerId) -> bool {
        let declared = self.declared.get(&(Which::Local, id));
        declared.is_some_and(|it| it.proved && it.role == Role::Bridge)
    }

    /// Whether it is a bridge of this LAN, whatever it proved.
    pub(super) fn is_neighbour(&self, id: PeerId) -> bool {
        let declared = self.declared.get(&(Which::Local, id));
        declared.is_some_and(|it| it.role == Role::Bridge)
    }

    /// Waits whether there is an active bridge.
    pub(super) fn look_around(&mut self, now: Instant) {
        // ONCE-111
        let settle = self.config.limits.settle;
        // Up to a quarter more, so that those who start together do not act together.
        let part = u32::from(self.rng.next_u64().to_be_bytes()[0]);
        self.election.at = Some(now + settle + settle * part / 1_024);
    }

    pub(super) fn rival_joins(&mut self, now: Instant, peer: &Arc<Peer>) {
        if self.is_neighbour(peer.id) {
            self.election.joined.insert(peer.id);
            self.review(now);
        }
    }

    pub(super) fn rival_leaves(&mut self, now: Instant, id: PeerId) {
        if self.election.joined.remove(&id) {
            self.review(now);
        }
    }

    pub(super) fn rival_exits(&mut self, id: PeerId) {
        self.election.joined.remove(&id);
    }

    pub(super) fn rival_proved(&mut self, now: Instant, id: PeerId) {
        self.look_at_roster(id);
        self.review(now);
    }

    pub(super) fn rival_gone(&mut self, now: Instant, id: PeerId) {
        self.look_at_roster(id);
        self.review(now);
    }

    /// What a bridge of this LAN tells of its LAN is not shown; what another one tells is.
    fn look_at_roster(&mut self, id: PeerId) {
        // ONCE-113
        let far = self.fars.get(&id);
        let roster = far.into_iter().flat_map(|far| far.replica.ids());
        let ids: Vec<PeerId> = roster.chain([id]).collect();
        self.look_again(ids);
    }

    /// The bridges of this LAN that have proved that they may take part.
    fn rivals(&self) -> impl Iterator<Item = PeerId> {
        let all = self.declared.iter();
        let rivals = all.filter(|((node, _), it)| {
            *node == Which::Local && it.proved && it.role == Role::Bridge
        });
        rivals.map(|((_, id), _)| *id)
    }

    /// The active one of them; of several the one with the lowest identity.
    fn active_rival(&self) -> Option<PeerId> {
        let mut rivals = self.rivals();
        rivals.find(|id| self.election.joined.contains(id))
    }

    fn review(&mut self, now: Instant) {
        match self.active_rival() {
            // ONCE-112
            Some(rival) if self.election.active => {
                if rival < self.config.id {
                    self.stand_down(rival);
                }
            }
            Some(rival) => {
                self.election.at = None;
                if self.election.told != Some(rival) {
                    self.election.told = Some(rival);
                    self.tell(Event::Standby { bridge: rival });
                }
            }
            None => {
                self.election.told = None;
                if !self.election.active && self.election.at.is_none() {
                    self.look_around(now);
                }
            }
        }
    }

    /// It is called. Whoever did not run for long does not know who is active now, and has to hear what is old.
    pub(super) fn wakes(&mut self, now: Instant) {
        let Some(at) = self.election.awake else {
            return;
        };
        // ONCE-114
        if now >= at + SLEPT {
            self.stand_by();
            self.look_around(now);
        } else if now >= at {
            self.election.awake = Some(now + TICK);
        }
    }

    /// Becomes the active one when it is time.
    pub(super) fn elect(&mut self, now: Instant) {
        if self.election.at.is_none_or(|at| at > now) {
            return;
        }
        self.election.at = None;
        if self.election.active || self.active_rival().is_some() {
            return;
        }
        // ONCE-111
        if self.rivals().any(|rival| rival < self.config.id) {
            self.look_around(now);
            return;
        }
        self.election.active = true;
        self.election.awake = Some(now + TICK);
        self.election.told = None;
        self.act_on_group(|node, group| Action::Join { node, group });
        self.tell(Event::Active);
        self.list_all();
        let claimed: Vec<PeerId> = self.holders.peers().collect();
        self.look_again(claimed);
    }

    /// Another one is active as well, and stays so.
    fn stand_down(&mut self, rival: PeerId) {
        // ONCE-112
        self.election.told = Some(rival);
        self.stand_by();
        self.tell(Event::Standby { bridge: rival });
    }

    /// It is not the active one any more.
    fn stand_by(&mut self) {
        self.election.active = false;
        self.election.awake = None;
        self.act_on_group(|node, group| Action::Leave { node, group });
        self.end_stand_ins(false);
        self.unlist_all();
    }

    fn act_on_group(&mut self, act: impl FnOnce(Which, Text) -> Action) {
        // ONCE-110
        if let Ok(group) = Text::try_from(ACTIVE) {
            self.act(act(Which::Local, group));
        }
    }
}
