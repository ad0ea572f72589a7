//! What a proof is, and the octets that it is computed over.

use alloc::vec::Vec;
use core::fmt;

use bytes::BufMut;
use subtle::ConstantTimeEq;

use super::Challenge;
use super::fields::{put_key, put_text, put_uuid};
use crate::PeerId;
use crate::wire::Text;

/// 32 octets that only somebody with the secret can have made. They are compared in constant time, and are not shown.
///
/// ```
/// use atonce::wire::once::Proof;
///
/// let proof = Proof::from_bytes([7; 32]);
/// assert_ne!(proof, Proof::from_bytes([8; 32]));
/// assert_eq!(format!("{proof:?}"), "Proof(..)");
/// ```
#[derive(Clone, Copy)]
pub struct Proof([u8; 32]);

impl Proof {
    /// The proof with these octets.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets, as they stand in a message.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        // ONCE-43: how far a guess is right is not to be measured.
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Proof {}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ONCE-43
        f.write_str("Proof(..)")
    }
}

/// One of the two who prove something to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its identity, as ZRE has it on the link over which the message came.
    pub uuid: PeerId,
    /// The key that it proved by CURVE on that link, if it did.
    pub key: Option<[u8; 32]>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who said CHALLENGE.
    Challenger,
    /// Who answered it.
    Answerer,
}

/// What was said when two proved to each other who they are, and the texts of the proofs: each is over both nonces, both
/// identities and keys, and all that was offered and chosen, so that none is good for another occasion, another pair, the
/// other direction or another message.
///
/// What makes a proof of a text and the secret is the mechanism's.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::once::{Challenge, Exchange, Party, Side};
///
/// let challenge = Challenge { mechanisms: vec!["SECRET".try_into()?], nonce: [3; 32] };
/// let exchange = Exchange {
///     challenger: Party { uuid: PeerId::from_bytes([1; 16]), key: None },
///     answerer: Party { uuid: PeerId::from_bytes([2; 16]), key: None },
///     challenge: &challenge,
///     mechanism: &"SECRET".try_into()?,
///     nonce: &[4; 32],
/// };
/// assert!(exchange.authenticate().starts_with(b"@Once 2 AUTHENTICATE\0"));
/// assert_ne!(exchange.ok(600), exchange.ok(601));
/// assert_ne!(exchange.stop(Side::Challenger), exchange.stop(Side::Answerer));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Who said CHALLENGE.
    pub challenger: Party,
    /// Who answered with AUTHENTICATE.
    pub answerer: Party,
    /// What was offered, and the challenger's nonce.
    pub challenge: &'a Challenge,
    /// What was chosen.
    pub mechanism: &'a Text,
    /// The answerer's nonce.
    pub nonce: &'a [u8; 32],
}

impl Exchange<'_> {
    /// What the proof in AUTHENTICATE is over: the answerer has the secret.
    pub fn authenticate(&self) -> Vec<u8> {
        // ONCE-40
        self.text(b"@Once 2 AUTHENTICATE\0")
    }

    /// What the proof in OK is over: the challenger has the secret, and means so many seconds.
    pub fn ok(&self, seconds: u32) -> Vec<u8> {
        // ONCE-41
        let mut text = self.text(b"@Once 2 OK\0");
        text.put_u32(seconds);
        text
    }

    /// What the proof in STOP is over: it is said by the one who was proved to be at that side.
    pub fn stop(&self, side: Side) -> Vec<u8> {
        // ONCE-42
        let mut text = self.text(b"@Once 2 STOP\0");
        text.put_u8(match side {
            Side::Challenger => 0,
            Side::Answerer => 1,
        });
        text
    }

    /// What is the same in all of them. Each field says where it ends, so that no two exchanges have one text.
    fn text(&self, what: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(256);
        text.put_slice(what);
        for party in [&self.challenger, &self.answerer] {
            put_uuid(&mut text, &party.uuid);
            put_key(&mut text, party.key.as_ref());
        }
        self.challenge.put(&mut text);
        put_text(&mut text, self.mechanism);
        text.put_slice(self.nonce);
        text
    }
}
