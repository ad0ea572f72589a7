//! NaCl's box and secretbox: X25519, HSalsa20, XSalsa20-Poly1305.

use crypto_secretbox::aead::AeadInPlace;
use crypto_secretbox::{KeyInit, XSalsa20Poly1305};
use salsa20::cipher::consts::U10;
use x25519_dalek::{PublicKey as Point, StaticSecret};
use zeroize::Zeroizing;

use super::{PublicKey, SecretKey};

/// The octets that a box is longer than what is in it.
pub(crate) const TAG_OCTETS: usize = 16;

/// The octets of a nonce.
pub(crate) const NONCE_OCTETS: usize = 24;

/// A key that two sides share, or that one keeps to itself. It is overwritten when it is dropped.
pub(crate) struct SharedKey(XSalsa20Poly1305);

impl SharedKey {
    /// The key of a box from one to the other and back; `None` when `theirs` is a point of low order, which nobody owns and whose
    /// boxes everybody can open (all zeros among them).
    pub(crate) fn new(ours: &SecretKey, theirs: &PublicKey) -> Option<Self> {
        let shared =
            StaticSecret::from(*ours.as_bytes()).diffie_hellman(&Point::from(*theirs.as_bytes()));
        if !shared.was_contributory() {
            return None;
        }
        let key = Zeroizing::new(
            salsa20::hsalsa::<U10>(shared.as_bytes().into(), &[0; 16].into()).into(),
        );
        Some(Self::from_bytes(&key))
    }

    /// The key of a secretbox.
    pub(crate) fn from_bytes(key: &[u8; 32]) -> Self {
        Self(XSalsa20Poly1305::new(key.into()))
    }

    /// Encrypts `body` where it is; what proves it comes back, and belongs in front of it.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_OCTETS], body: &mut [u8]) -> [u8; TAG_OCTETS] {
        self.0
            .encrypt_in_place_detached(nonce.into(), &[], body)
            .map_or([0; TAG_OCTETS], Into::into)
    }

    /// Decrypts `body` where it is; `false` when it is not what was sealed with this key and nonce, and then `body` is of no use.
    #[must_use]
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_OCTETS],
        tag: &[u8; TAG_OCTETS],
        body: &mut [u8],
    ) -> bool {
        self.0
            .decrypt_in_place_detached(nonce.into(), &[], body, tag.into())
            .is_ok()
    }
}

impl core::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// The public half of a secret key.
pub(super) fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    Point::from(&StaticSecret::from(*secret)).to_bytes()
}
