//! The roster of another bridge, as far as it told us.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use crate::once::Limits;
use crate::wire::once::{Change, Delta, Limits as WireLimits, Peer, Roster};
use crate::{PeerId, Text};

/// What is known of a roster.
#[derive(Debug)]
pub(super) struct Replica {
    /// 0: nothing is known.
    epoch: u64,
    /// The last change that is in it.
    number: u64,
    peers: BTreeMap<PeerId, Peer>,
    octets: usize,
    /// Whether it is as the bridge has it: what was known before a link was lost has to be heard of again.
    confirmed: bool,
    /// A snapshot of which not all is here.
    partial: Option<Partial>,
    most_peers: usize,
    most_octets: usize,
}

#[derive(Debug)]
struct Partial {
    epoch: u64,
    number: u64,
    next: u16,
    parts: u16,
    peers: BTreeMap<PeerId, Peer>,
    octets: usize,
}

/// How a roster differs from what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// This one is there, or is another than before.
    Enter(PeerId),
    Exit(PeerId),
    Join(PeerId, Text),
    Leave(PeerId, Text),
}

/// Why something of a roster is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is known already.
    Old,
    /// Something is missing before it: this is to be asked for.
    Gap,
    /// It goes over the limits.
    Excess,
}

impl Replica {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            epoch: 0,
            number: 0,
            peers: BTreeMap::new(),
            octets: 0,
            confirmed: false,
            partial: None,
            most_peers: limits.roster_peers,
            most_octets: limits.roster_octets,
        }
    }

    /// A peer that is there.
    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(&id).filter(|_| self.confirmed)
    }

    pub(super) fn contains(&self, id: PeerId) -> bool {
        self.get(id).is_some()
    }

    /// Those who are there.
    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> {
        self.peers.keys().copied().filter(|_| self.confirmed)
    }

    pub(super) fn len(&self) -> usize {
        if self.confirmed { self.peers.len() } else { 0 }
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Epoch and number for GET-ROSTER: from where on changes are wanted.
    ///
    /// When it has to be heard of again, that is from the last known change on, which the other has unless it begins anew.
    pub(super) const fn wanted(&self) -> (u64, u64) {
        // ONCE-83
        match (self.confirmed, self.number) {
            (true, number) => (self.epoch, number + 1),
            (false, 0) => (0, 0),
            (false, number) => (self.epoch, number),
        }
    }

    /// The link is lost: nobody is there. Who was is kept, until it is heard of again or is another.
    pub(super) fn lose(&mut self) {
        self.confirmed = false;
        self.partial = None;
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        self.epoch = 0;
        self.number = 0;
        self.peers.clear();
        self.octets = 0;
        self.confirmed = false;
        self.partial = None;
    }

    /// Takes a change.
    pub(super) fn change(&mut self, delta: Delta) -> Result<Vec<Difference>, Trouble> {
        let Delta {
            epoch,
            number,
            change,
        } = delta;
        if self.epoch == 0 || epoch != self.epoch {
            return Err(Trouble::Gap);
        }
        if !self.confirmed {
            if number != self.number {
                return Err(Trouble::Gap);
            }
            self.confirmed = true;
            return Ok(self.peers.keys().copied().map(Difference::Enter).collect());
        }
        // ONCE-83
        if number <= self.number {
            return Err(Trouble::Old);
        }
        if number - self.number > 1 {
            return Err(Trouble::Gap);
        }
        let differences = self.apply(change)?;
        self.number = number;
        Ok(differences)
    }

    fn apply(&mut self, change: Change) -> Result<Vec<Difference>, Trouble> {
        match change {
            Change::Enter(peer) => {
                let id = peer.uuid;
                let before = self.peers.get(&id).map_or(0, Peer::octets);
                let octets = self.octets - before + peer.octets();
                let peers = self.peers.len() + usize::from(!self.peers.contains_key(&id));
                self.bounded(peers, octets)?;
                self.octets = octets;
                let before = self.peers.insert(id, peer);
                let after = self.peers.get(&id);
                Ok(difference(id, before.as_ref(), after))
            }
            Change::Exit { uuid } => {
                let before = self.peers.remove(&uuid);
                self.octets -= before.as_ref().map_or(0, Peer::octets);
                Ok(difference(uuid, before.as_ref(), None))
            }
            Change::Join { uuid, group } => {
                let Some(peer) = self.peers.get_mut(&uuid) else {
                    return Ok(Vec::new());
                };
                let before = peer.octets();
                if !peer.groups.insert(group.clone()) {
                    return Ok(Vec::new());
                }
                self.octets = self.octets - before + peer.octets();
                let groups = peer.groups.len();
                self.bounded(self.peers.len(), self.octets)?;
                if groups > WireLimits::default().groups {
                    return Err(Trouble::Excess);
                }
                Ok(Vec::from([Difference::Join(uuid, group)]))
            }
            Change::Leave { uuid, group } => {
                let Some(peer) = self.peers.get_mut(&uuid) else {
                    return Ok(Vec::new());
                };
                let before = peer.octets();
                if !peer.groups.remove(&group) {
                    return Ok(Vec::new());
                }
                self.octets = self.octets - before + peer.octets();
                Ok(Vec::from([Difference::Leave(uuid, group)]))
            }
        }
    }

    /// Takes a part of a snapshot. Nothing differs before all of it is here.
    pub(super) fn part(&mut self, roster: Roster) -> Result<Vec<Difference>, Trouble> {
        // ONCE-82
        let Roster {
            epoch,
            number,
            part,
            peers,
        } = roster;
        if epoch == 0 || (self.confirmed && epoch == self.epoch && number < self.number) {
            return Err(Trouble::Old);
        }
        let begun = if part.index() == 0 {
            Partial {
                epoch,
                number,
                next: 0,
                parts: part.count(),
                peers: BTreeMap::new(),
                octets: 0,
            }
        } else {
            self.partial.take().ok_or(Trouble::Gap)?
        };
        if (begun.epoch, begun.number, begun.next, begun.parts)
            != (epoch, number, part.index(), part.count())
        {
            return Err(Trouble::Gap);
        }
        let mut begun = Partial {
            next: begun.next + 1,
            ..begun
        };
        for peer in peers {
            begun.octets += peer.octets();
            let before = begun.peers.insert(peer.uuid, peer);
            begun.octets -= before.as_ref().map_or(0, Peer::octets);
            self.bounded(begun.peers.len(), begun.octets)?;
        }
        if !part.is_last() {
            self.partial = Some(begun);
            return Ok(Vec::new());
        }
        self.partial = None;
        let mut before = mem::replace(&mut self.peers, begun.peers);
        if !self.confirmed {
            before.clear();
        }
        self.epoch = epoch;
        self.number = number;
        self.octets = begun.octets;
        self.confirmed = true;
        let mut differences = Vec::new();
        for (id, peer) in &before {
            differences.extend(difference(*id, Some(peer), self.peers.get(id)));
        }
        for (id, peer) in &self.peers {
            if !before.contains_key(id) {
                differences.extend(difference(*id, None, Some(peer)));
            }
        }
        Ok(differences)
    }

    const fn bounded(&self, peers: usize, octets: usize) -> Result<(), Trouble> {
        // ONCE-84
        if peers > self.most_peers || octets > self.most_octets {
            Err(Trouble::Excess)
        } else {
            Ok(())
        }
    }
}

/// How one peer differs.
fn difference(id: PeerId, before: Option<&Peer>, after: Option<&Peer>) -> Vec<Difference> {
    let (Some(one), Some(other)) = (before, after) else {
        return match (before, after) {
            (Some(_), None) => Vec::from([Difference::Exit(id)]),
            (None, Some(_)) => Vec::from([Difference::Enter(id)]),
            _ => Vec::new(),
        };
    };
    // ONCE-85
    if one.name != other.name || one.headers != other.headers {
        return Vec::from([Difference::Enter(id)]);
    }
    let left = one.groups.difference(&other.groups).cloned();
    let joined = other.groups.difference(&one.groups).cloned();
    let left = left.map(|group| Difference::Leave(id, group));
    left.chain(joined.map(|group| Difference::Join(id, group)))
        .collect()
}

#[cfg(any(test, feature = "fuzz"))]
impl Replica {
    /// What holds between any two inputs.
    pub(super) fn check(&self) {
        assert_eq!(
            self.octets,
            self.peers.values().map(Peer::octets).sum::<usize>()
        );
        assert!(self.octets <= self.most_octets && self.peers.len() <= self.most_peers);
        if let Some(partial) = &self.partial {
            let octets = partial.peers.values().map(Peer::octets).sum::<usize>();
            assert_eq!(partial.octets, octets);
            assert!(octets <= self.most_octets && partial.peers.len() <= self.most_peers);
            assert!(partial.next > 0 && partial.next < partial.parts);
        }
    }
}
