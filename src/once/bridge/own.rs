//! Our own roster: who is on our LAN, as other bridges are told, and the changes of it by their numbers.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::once::Limits;
use crate::wire::once::{Change, Delta, Limits as WireLimits, Message, Part, Peer, Roster, V2};
use crate::{Frames, PeerId, Text};

/// A part of a snapshot has about so many octets, so that none is in the way of other messages for long.
const PART_OCTETS: usize = 64 * 1024;
/// What a ROSTER has besides its peers.
const ROSTER_OCTETS: usize = 28;

/// The roster as it is, and its last changes as messages, which all bridges share.
#[derive(Debug)]
pub(super) struct OwnRoster {
    epoch: u64,
    peers: BTreeMap<PeerId, Peer>,
    /// Of all peers, as a roster tells them.
    octets: usize,
    /// That of the last change.
    number: u64,
    /// The changes up to the last one, without a gap.
    log: VecDeque<Frames>,
    log_octets: usize,
    most_changes: usize,
    most_peers: usize,
    most_octets: usize,
    /// All of it as it was after this change, while that is the last one.
    snapshot: Option<(u64, Vec<Frames>)>,
}

impl OwnRoster {
    pub(super) const fn new(epoch: u64, limits: &Limits) -> Self {
        Self {
            epoch,
            peers: BTreeMap::new(),
            octets: 0,
            number: 0,
            log: VecDeque::new(),
            log_octets: 0,
            most_changes: limits.changes,
            most_peers: limits.roster_peers,
            most_octets: limits.roster_octets,
            snapshot: None,
        }
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn contains(&self, id: PeerId) -> bool {
        self.peers.contains_key(&id)
    }

    /// Somebody is here. `false`, and nothing is changed, when there is no room, or no message that could tell it.
    pub(super) fn enter(&mut self, peer: Peer) -> bool {
        // ONCE-84
        let octets = peer.octets();
        let wire = WireLimits::default();
        let fits = octets + ROSTER_OCTETS <= wire.octets
            && peer.groups.len() <= wire.groups
            && peer.headers.len() <= wire.headers
            && peer.headers.iter().all(|(_, it)| it.len() <= wire.value);
        if !fits || self.peers.len() >= self.most_peers || self.octets + octets > self.most_octets {
            return false;
        }
        self.octets += octets;
        self.peers.insert(peer.uuid, peer.clone());
        self.tell(Change::Enter(peer));
        true
    }

    pub(super) fn exit(&mut self, uuid: PeerId) {
        if let Some(peer) = self.peers.remove(&uuid) {
            self.octets -= peer.octets();
            self.tell(Change::Exit { uuid });
        }
    }

    /// `false`, and nothing is changed, when there is no room for the group.
    pub(super) fn join(&mut self, uuid: PeerId, group: Text) -> bool {
        let Some(peer) = self.peers.get_mut(&uuid) else {
            return true;
        };
        if peer.groups.contains(&group) {
            return true;
        }
        let wire = WireLimits::default();
        let before = peer.octets();
        peer.groups.insert(group.clone());
        let after = peer.octets();
        // ONCE-84
        if self.octets - before + after > self.most_octets
            || peer.groups.len() > wire.groups
            || after + ROSTER_OCTETS > wire.octets
        {
            peer.groups.remove(&group);
            return false;
        }
        self.octets = self.octets - before + after;
        self.tell(Change::Join { uuid, group });
        true
    }

    pub(super) fn leave(&mut self, uuid: PeerId, group: Text) {
        let Some(peer) = self.peers.get_mut(&uuid) else {
            return;
        };
        let before = peer.octets();
        if peer.groups.remove(&group) {
            self.octets = self.octets - before + peer.octets();
            self.tell(Change::Leave { uuid, group });
        }
    }

    /// Whether the changes from this one on are known, the next one that will be included.
    pub(super) fn reaches(&self, from: u64) -> bool {
        from > self.number - self.log.len() as u64 && from <= self.number + 1
    }

    /// The change of this number as a message, while it is known.
    pub(super) fn change(&self, number: u64) -> Option<Frames> {
        let first = self.number + 1 - self.log.len() as u64;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.log.get(at).cloned()
    }

    /// All of it as messages, and the last change that is in them.
    pub(super) fn snapshot(&mut self) -> (u64, Vec<Frames>) {
        // ONCE-82
        if let Some((number, parts)) = &self.snapshot
            && *number == self.number
        {
            return (*number, parts.clone());
        }
        let mut parts: Vec<Vec<Peer>> = Vec::new();
        let mut room = 0;
        for peer in self.peers.values() {
            let octets = peer.octets();
            match parts.last_mut() {
                Some(part) if octets <= room => {
                    part.push(peer.clone());
                    room -= octets;
                }
                _ => {
                    parts.push(Vec::from([peer.clone()]));
                    room = PART_OCTETS.saturating_sub(octets);
                }
            }
        }
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        // Each has a peer, of which there are at most as many as there may be parts.
        let count = u16::try_from(parts.len()).unwrap_or(u16::MAX);
        let parts = parts.into_iter().zip(0..count);
        let parts: Vec<Frames> = parts
            .filter_map(|(peers, index)| {
                let part = Part::new(index, count)?;
                Some(
                    Message::from(V2::Roster(Roster {
                        epoch: self.epoch,
                        number: self.number,
                        part,
                        peers,
                    }))
                    .encode(),
                )
            })
            .collect();
        self.snapshot = Some((self.number, parts.clone()));
        (self.number, parts)
    }

    fn tell(&mut self, change: Change) {
        // ONCE-81
        self.snapshot = None;
        self.number += 1;
        let delta = Delta {
            epoch: self.epoch,
            number: self.number,
            change,
        };
        let message = Message::from(V2::Delta(delta)).encode();
        self.log_octets += message.octets();
        self.log.push_back(message);
        while self.log.len() > self.most_changes
            || (self.log_octets > self.most_octets && self.log.len() > 1)
        {
            let oldest = self.log.pop_front();
            self.log_octets -= oldest.map_or(0, |message| message.octets());
        }
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl OwnRoster {
    /// What holds between any two inputs.
    pub(super) fn check(&self) {
        assert_eq!(
            self.octets,
            self.peers.values().map(Peer::octets).sum::<usize>()
        );
        assert!(self.octets <= self.most_octets && self.peers.len() <= self.most_peers);
        assert!(self.log.len() <= self.most_changes);
        assert_eq!(
            self.log_octets,
            self.log.iter().map(Frames::octets).sum::<usize>()
        );
    }
}
