//! The peers of this LAN.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::shown::plain;
use super::{ACTIVE, Action, Bridge, Event};
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::once::{Roles, VIA};
use crate::wire::once::Peer as Listed;
use crate::zre::Event as NodeEvent;
use crate::{Instant, Peer, PeerId, Text};

/// How long a peer that exited at the local node stays in the roster, for what it said last: that comes to stand-ins, on links of their
/// own.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// A peer of this LAN that is neither server, bridge nor stand-in.
#[derive(Debug)]
pub(super) struct Local {
    peer: Arc<Peer>,
    key: Option<PublicKey>,
    groups: BTreeSet<Text>,
    /// Until when what it said last is waited for, once it has exited.
    until: Option<Instant>,
    /// The change of our roster with which it entered, while it is in it.
    pub(super) since: Option<u64>,
}

impl Local {
    /// What tells a stand-in of it.
    pub(super) fn introduction(&self, stand_in: PeerId) -> Action {
        Action::Introduce {
            stand_in,
            peer: self.peer.clone(),
            key: self.key,
        }
    }

    /// Whether the local node has it still.
    pub(super) const fn is_here(&self) -> bool {
        self.until.is_none()
    }

    /// Whether a node met it as the same process: one that comes back has another mailbox, or says something else of itself.
    // ONCE-101
    pub(super) fn is_same(&self, peer: &Arc<Peer>) -> bool {
        Arc::ptr_eq(&self.peer, peer) || self.peer == *peer || may_be_one_process(&self.peer, peer)
    }

    fn listed(&self) -> Listed {
        // ONCE-80
        Listed {
            uuid: self.peer.id,
            name: self.peer.name.clone(),
            // Nobody elsewhere could reach it there.
            endpoint: None,
            key: self.key.map(|key| *key.as_bytes()),
            headers: plain(&self.peer.headers),
            groups: self.groups.clone(),
        }
    }
}

/// Whether both may be what one process tells of itself on two of its addresses, as with both versions of IP: mailboxes have the same port on
/// all of them, and what headers say of other endpoints goes with the address.
fn may_be_one_process(one: &Peer, other: &Peer) -> bool {
    let at = |peer: &Peer| Endpoint::try_from(&peer.endpoint).ok()?.socket_address();
    match (at(one), at(other)) {
        (Some(here), Some(there)) => {
            one.name == other.name && here.ip() != there.ip() && here.port() == there.port()
        }
        _ => false,
    }
}

/// Whether it is one whom its LAN alone is to know: a server, a bridge, or a stand-in.
pub(super) fn is_of_once(peer: &Peer) -> bool {
    peer.headers.get(VIA).is_some() || Roles::of(&peer.headers).is_some()
}

impl Bridge {
    /// Something happened at the local node, as far as it is about peers of this LAN.
    pub(super) fn handle_lan(&mut self, now: Instant, event: &NodeEvent, key: Option<PublicKey>) {
        match event {
            NodeEvent::Enter { peer } => self.local_enters(peer, key),
            NodeEvent::Exit { peer, .. } => self.local_is_leaving(now, peer.id),
            NodeEvent::Join { peer, group } => {
                if *group == *ACTIVE {
                    self.rival_joins(now, peer);
                } else {
                    self.local_joins(peer.id, group);
                }
            }
            NodeEvent::Leave { peer, group } => {
                if *group == *ACTIVE {
                    self.rival_leaves(now, peer.id);
                } else {
                    self.local_leaves(peer.id, group);
                }
            }
            _ => {}
        }
    }

    fn local_enters(&mut self, peer: &Arc<Peer>, key: Option<PublicKey>) {
        let id = peer.id;
        // It may have exited unseen, or just now.
        self.local_exits(id);
        if is_of_once(peer) || id == self.config.id {
            return;
        }
        let local = Local {
            peer: peer.clone(),
            key,
            groups: BTreeSet::new(),
            until: None,
            since: None,
        };
        self.locals.insert(id, local);
        // ONCE-86: who is here is nowhere else.
        let claims: Vec<PeerId> = self.holders.of(id).map(|claim| claim.bridge).collect();
        for bridge in claims {
            self.tell_claim(bridge, id);
        }
        self.look_again([id]);
        if self.is_active() {
            self.list(id);
        }
        // ONCE-94
        let Some(local) = self.locals.get(&id) else {
            return;
        };
        let all: Vec<Action> = self
            .stand_ins
            .ids()
            .map(|stand_in| local.introduction(stand_in))
            .collect();
        for action in all {
            self.act(action);
        }
    }

    /// It exited at the local node; for others that is so when what it said last can have come.
    // ONCE-109
    fn local_is_leaving(&mut self, now: Instant, id: PeerId) {
        if let Some(local) = self.locals.get_mut(&id)
            && local.is_here()
        {
            let until = now + LAST_WORDS;
            local.until = Some(until);
            self.leaving.insert((until, id));
        }
    }

    /// Those who exited some time ago are gone.
    pub(super) fn forget_leaving(&mut self, now: Instant) {
        while let Some((_, id)) = self.leaving.first().copied().filter(|(at, _)| *at <= now) {
            self.local_exits(id);
        }
    }

    fn local_exits(&mut self, id: PeerId) {
        let Some(local) = self.locals.remove(&id) else {
            return;
        };
        if let Some(until) = local.until {
            self.leaving.remove(&(until, id));
        }
        if local.since.is_some() {
            self.own.exit(id);
            self.wake_all();
            self.list_more();
        } else if self.is_active() && !self.config.hidden.contains(&id) {
            self.unlisted = self.unlisted.saturating_sub(1);
        }
        self.look_again([id]);
    }

    fn local_joins(&mut self, id: PeerId, group: &Text) {
        let Some(local) = self.locals.get_mut(&id) else {
            return;
        };
        local.groups.insert(group.clone());
        if local.since.is_some() {
            if !self.own.join(id, group.clone()) {
                // ONCE-84
                self.own.exit(id);
                local.since = None;
                self.unlisted += 1;
            }
            self.wake_all();
        }
    }

    fn local_leaves(&mut self, id: PeerId, group: &Text) {
        let Some(local) = self.locals.get_mut(&id) else {
            return;
        };
        local.groups.remove(group);
        if local.since.is_some() {
            self.own.leave(id, group.clone());
            self.wake_all();
        }
    }

    /// Others are to be told of a peer that is here.
    fn list(&mut self, id: PeerId) {
        let Some(local) = self.locals.get_mut(&id) else {
            return;
        };
        // ONCE-80
        if local.since.is_some() || self.config.hidden.contains(&id) {
            return;
        }
        if self.own.enter(local.listed()) {
            local.since = Some(self.own.number());
            self.wake_all();
            self.speaks(id);
        } else {
            self.unlisted += 1;
        }
    }

    /// There may be room for those that could not be told of.
    fn list_more(&mut self) {
        if self.unlisted == 0 {
            return;
        }
        let locals = self.locals.iter();
        let without =
            locals.filter(|(id, it)| it.since.is_none() && !self.config.hidden.contains(id));
        let ids: Vec<PeerId> = without.map(|(id, _)| *id).collect();
        self.unlisted = 0;
        for id in ids {
            self.list(id);
        }
    }

    /// Others are to be told of all who are here.
    pub(super) fn list_all(&mut self) {
        let ids: Vec<PeerId> = self.locals.keys().copied().collect();
        for id in ids {
            self.list(id);
        }
    }

    /// Others are to know of nobody who is here.
    pub(super) fn unlist_all(&mut self) {
        // ONCE-80
        for (id, local) in &mut self.locals {
            if local.since.take().is_some() {
                self.own.exit(*id);
            }
        }
        self.unlisted = 0;
        self.wake_all();
    }

    /// Tells that a bridge announced a peer that another one has.
    pub(super) fn tell_claim(&mut self, bridge: PeerId, peer: PeerId) {
        // ONCE-86
        if self.is_neighbour(bridge) {
            // It tells of its LAN, which is ours.
            return;
        }
        let holder = if self.locals.contains_key(&peer) || peer == self.config.id {
            Some(self.config.id)
        } else if self.is_bridge(peer) {
            Some(peer)
        } else {
            self.holders.of(peer).next().map(|claim| claim.bridge)
        };
        if let Some(holder) = holder.filter(|holder| *holder != bridge) {
            self.tell(Event::Claimed {
                bridge,
                peer,
                holder,
            });
        }
    }
}
