//! Which bridge has a peer, when several say that they have it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::PeerId;

/// Who has whom, among bridges of other LANs. A peer of this LAN is nobody else's, which is not a matter of this table.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// For each peer the bridges that announced it, the first one first.
    claims: BTreeMap<PeerId, Vec<Claim>>,
    count: u64,
}

/// That a bridge announced a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    /// The bridge.
    pub(super) bridge: PeerId,
    /// Which announcement it was, of all that there were.
    pub(super) born: u64,
}

impl Holders {
    /// A bridge announced a peer, or announced it as another than before.
    pub(super) fn claim(&mut self, peer: PeerId, bridge: PeerId) {
        // ONCE-86
        self.count += 1;
        let born = self.count;
        let claims = self.claims.entry(peer).or_default();
        match claims.iter_mut().find(|claim| claim.bridge == bridge) {
            Some(claim) => claim.born = born,
            None => claims.push(Claim { bridge, born }),
        }
    }

    /// A bridge does not have a peer any more.
    pub(super) fn withdraw(&mut self, peer: PeerId, bridge: PeerId) {
        if let Some(claims) = self.claims.get_mut(&peer) {
            claims.retain(|claim| claim.bridge != bridge);
            if claims.is_empty() {
                self.claims.remove(&peer);
            }
        }
    }

    /// The bridges that announced a peer and that count, the first one first.
    pub(super) fn of(&self, peer: PeerId) -> impl Iterator<Item = Claim> {
        self.claims.get(&peer).into_iter().flatten().copied()
    }

    /// All who are claimed.
    pub(super) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.claims.keys().copied()
    }
}
