//! How somebody proves who he is, and what the network may cost.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use zeroize::Zeroizing;

use crate::curve::PublicKey;

/// A way to prove that one may take part, and who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `OPEN`: nothing is proved, everybody may take part.
    Open,
    /// `SECRET`: whoever has the secret may.
    Secret(Secret),
    /// `CURVE`: whoever has one of these keys may, which the link proved.
    Keys(BTreeSet<PublicKey>),
}

/// A secret that all share. It never travels, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret of these octets.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(octets.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What others may cost a server or a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a proof may take: 10 s.
    pub proof_deadline: Duration,
    /// How often somebody may try: 3 times, then not for a minute.
    pub proof_tries: u32,
    /// For how long a proof is good: 1 h. It is renewed before.
    pub proof_good_for: Duration,
    /// The most servers and bridges that are known at once: 256.
    pub bridges: usize,
    /// The most stand-ins: 1,024. Whoever is beyond is told, and is not there on this LAN.
    pub stand_ins: usize,
    /// The most peers in the roster of another bridge: 4,096.
    pub roster_peers: usize,
    /// The most octets of such a roster: 8 MiB.
    pub roster_octets: usize,
    /// How many changes of our own roster are kept for those who missed some: 1,024.
    pub changes: usize,
    /// The most octets that wait for another bridge, or for peers that are about to be there, for each bridge: 8 MiB.
    pub waiting_octets: usize,
    /// How long something waits for a peer that is about to be there: 5 s.
    pub waiting: Duration,
    /// The largest content, in octets over all its frames: 16 MiB.
    pub content_octets: usize,
    /// How long a bridge looks around on its LAN before it makes stand-ins: 3 s.
    pub settle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            proof_deadline: Duration::from_secs(10),
            proof_tries: 3,
            proof_good_for: Duration::from_secs(3_600),
            bridges: 256,
            stand_ins: 1_024,
            roster_peers: 4_096,
            roster_octets: 8 * MIB,
            changes: 1_024,
            waiting_octets: 8 * MIB,
            waiting: Duration::from_secs(5),
            content_octets: 16 * MIB,
            settle: Duration::from_secs(3),
        }
    }
}
