//! How somebody proves who he is, and what the network may cost.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::curve::PublicKey;
use crate::wire::once::Proof;

/// A way to prove that one may take part, and who may.
///
/// ```
/// use atonce::once::{Mechanism, Secret};
///
/// let mechanism = Mechanism::Secret(Secret::new("of all of us")?);
/// assert_eq!((mechanism.name(), Mechanism::Open.name()), ("SECRET", "OPEN"));
/// # Ok::<(), atonce::once::EmptySecret>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `OPEN`: nothing is proved, everybody may take part.
    Open,
    /// `SECRET`: whoever has the secret may.
    Secret(Secret),
    /// `CURVE`: whoever has one of these keys may, which the link proved.
    Keys(BTreeSet<PublicKey>),
    /// `CURVE`: whoever was let in may, with whatever key the link proved. For an embedder whose answers to
    /// [`Action::Authenticate`](crate::Action::Authenticate) are the list: one that may change while it runs.
    Trusted,
}

impl Mechanism {
    /// Its name on the wire.
    // ONCE-60
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Secret(_) => "SECRET",
            Self::Keys(_) | Self::Trusted => "CURVE",
        }
    }

    /// The proof of a text: zeros where nothing needs one.
    pub(crate) fn proof(&self, text: &[u8]) -> Proof {
        match self {
            Self::Secret(secret) => secret.proof(text),
            // ONCE-62
            Self::Open | Self::Keys(_) | Self::Trusted => Proof::from_bytes([0; 32]),
        }
    }

    /// Whether it lets in whoever has this key, as far as keys go.
    pub(super) fn admits(&self, key: Option<&PublicKey>) -> bool {
        match self {
            Self::Open | Self::Secret(_) => true,
            // ONCE-62
            Self::Keys(keys) => key.is_some_and(|key| keys.contains(key)),
            Self::Trusted => key.is_some(),
        }
    }

    /// Whether the key of the link is the proof.
    pub(super) const fn is_of_keys(&self) -> bool {
        matches!(self, Self::Keys(_) | Self::Trusted)
    }
}

/// A secret that all share. It never travels, is not shown, is compared in constant time, and is overwritten when it is dropped.
///
/// One that was drawn (128 bits or more) cannot be guessed; one that people can remember can, by whoever saw a proof that was made
/// with it.
///
/// ```
/// use atonce::once::{EmptySecret, Secret};
///
/// let secret = Secret::new("d41d8cd98f00b204e9800998ecf8427e")?;
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert_eq!(Secret::new(""), Err(EmptySecret));
/// # Ok::<(), EmptySecret>(())
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A secret without octets is none: everybody has it. Nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret has at least one octet")]
pub struct EmptySecret;

impl Secret {
    /// The secret of these octets.
    ///
    /// # Errors
    ///
    /// [`EmptySecret`] when there are none.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, EmptySecret> {
        let octets = Zeroizing::new(octets.into());
        if octets.is_empty() {
            return Err(EmptySecret);
        }
        Ok(Self(octets))
    }

    /// What proves of a text that one has the secret: HMAC-SHA256 (RFC 2104, FIPS 180-4).
    // ONCE-61
    pub(super) fn proof(&self, text: &[u8]) -> Proof {
        // A key of any length will do: what is longer than a block is hashed.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes a key of any length")
        };
        mac.update(text);
        Proof::from_bytes(mac.finalize().into_bytes().into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Secret {}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(hex: &str) -> [u8; 32] {
        let digit = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        core::array::from_fn(digit)
    }

    #[test]
    fn proofs_are_those_of_rfc_4231() {
        // ONCE-61: test cases 1, 2 and 6, with a key shorter and longer than a block.
        for (key, text, expected) in [
            (
                &[0x0B; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xAA; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let proof = Secret::new(key).unwrap().proof(text);
            assert_eq!(proof.as_bytes(), &octets(expected));
        }
    }

    #[test]
    fn a_secret_is_compared_and_not_shown() {
        // ONCE-61
        let secret = |text: &str| Secret::new(text).unwrap();
        assert_eq!(secret("one"), secret("one"));
        assert_ne!(secret("one"), secret("two"));
        assert_ne!(secret("one"), secret("on"));
        assert_eq!(Secret::new(Vec::new()), Err(EmptySecret));
        let shown = std::format!("{:?}", Mechanism::Secret(secret("one")));
        assert_eq!(shown, "Secret(Secret(..))");
    }
}
