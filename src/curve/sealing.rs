//! NaCl's box and secretbox: X25519, HSalsa20, XSalsa20-Poly1305.
//!
//! None of it is ours. X25519 is that of x25519-dalek, HSalsa20 that of RustCrypto's salsa20. What seals is one of two, which make
//! the same octets; the tests hold them to it, and both to what was published:
//!
//! - `portable`, RustCrypto's crypto_secretbox: the most used one, and it needs neither std nor libc nor randomness of a system.
//!   1 KiB takes 2.8 µs, 1.1 of them because most AVX2 instructions of its poly1305 are calls of functions.
//! - `vector`, dryoc's, with the feature `simd`: 0.4 µs with AVX-512, 0.8 with AVX2, where libsodium takes 1.2. It asks std
//!   what the processor can.

use salsa20::cipher::consts::U10;
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey as Point, StaticSecret};
use zeroize::Zeroizing;

use super::{PublicKey, SecretKey};

/// The octets that a box is longer than what is in it.
pub(crate) const TAG_OCTETS: usize = 16;

/// The octets of a nonce.
pub(crate) const NONCE_OCTETS: usize = 24;

type Key = [u8; 32];
type Nonce = [u8; NONCE_OCTETS];
type Tag = [u8; TAG_OCTETS];

/// A key that two sides share, or that one keeps to itself. It is overwritten when it is dropped.
#[derive(Clone)]
pub(crate) struct SharedKey(Zeroizing<Key>);

impl SharedKey {
    /// The key of a box from one to the other and back; `None` when `theirs` is a point of low order, which nobody owns and whose
    /// boxes everybody can open (all zeros among them).
    pub(crate) fn new(ours: &SecretKey, theirs: &PublicKey) -> Option<Self> {
        let shared = x25519(ours.as_bytes(), theirs.as_bytes())?;
        Some(Self(hsalsa20(&shared, &[0; 16])))
    }

    /// The key of a secretbox.
    pub(crate) fn from_bytes(key: &Key) -> Self {
        Self(Zeroizing::new(*key))
    }

    /// Encrypts `body` where it is; what proves it comes back, and belongs in front of it.
    pub(crate) fn seal(&self, nonce: &Nonce, body: &mut [u8]) -> Tag {
        backend::seal(&self.0, nonce, body)
    }

    /// Decrypts `body` where it is; `false` when it is not what was sealed with this key and nonce, and then `body` is of no use.
    #[must_use]
    pub(crate) fn open(&self, nonce: &Nonce, tag: &Tag, body: &mut [u8]) -> bool {
        backend::open(&self.0, nonce, tag, body)
    }
}

impl core::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// The public half of a secret key.
pub(super) fn public_of(secret: &Key) -> Key {
    Point::from(&StaticSecret::from(*secret)).to_bytes()
}

/// What a secret key and a public one have in common; `None` when it is nothing but zeros, as it is for points of low order.
fn x25519(secret: &Key, public: &Key) -> Option<Zeroizing<Key>> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&Point::from(*public));
    let nothing = shared.as_bytes().ct_eq(&[0; 32]);
    (!bool::from(nothing)).then(|| Zeroizing::new(shared.to_bytes()))
}

fn hsalsa20(key: &Key, input: &[u8; 16]) -> Zeroizing<Key> {
    Zeroizing::new(salsa20::hsalsa::<U10>(key.into(), input.into()).into())
}

#[cfg(not(feature = "simd"))]
use portable as backend;
#[cfg(feature = "simd")]
use vector as backend;

/// By RustCrypto's crypto_secretbox, which needs nothing of the machine.
#[cfg(any(test, not(feature = "simd")))]
mod portable {
    use crypto_secretbox::aead::AeadInPlace;
    use crypto_secretbox::{KeyInit, XSalsa20Poly1305};

    use super::{Key, Nonce, Tag};

    pub(super) fn seal(key: &Key, nonce: &Nonce, body: &mut [u8]) -> Tag {
        // It refuses nothing but associated data, of which a box has none.
        XSalsa20Poly1305::new(key.into())
            .encrypt_in_place_detached(nonce.into(), &[], body)
            .map_or([0; 16], Into::into)
    }

    pub(super) fn open(key: &Key, nonce: &Nonce, tag: &Tag, body: &mut [u8]) -> bool {
        XSalsa20Poly1305::new(key.into())
            .decrypt_in_place_detached(nonce.into(), &[], body, tag.into())
            .is_ok()
    }
}

/// By dryoc, with the vector instructions that there are.
#[cfg(feature = "simd")]
mod vector {
    use dryoc::classic::crypto_box::{
        crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace,
    };

    use super::{Key, Nonce, Tag};

    pub(super) fn seal(key: &Key, nonce: &Nonce, body: &mut [u8]) -> Tag {
        let mut tag = [0; 16];
        crypto_box_detached_afternm_inplace(body, &mut tag, nonce, key);
        tag
    }

    pub(super) fn open(key: &Key, nonce: &Nonce, tag: &Tag, body: &mut [u8]) -> bool {
        crypto_box_open_detached_afternm_inplace(body, tag, nonce, key).is_ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// One of those that seal.
    pub(in crate::curve) struct Sealer {
        pub(in crate::curve) name: &'static str,
        pub(in crate::curve) seal: fn(&Key, &Nonce, &mut [u8]) -> Tag,
        pub(in crate::curve) open: fn(&Key, &Nonce, &Tag, &mut [u8]) -> bool,
    }

    /// All of them.
    pub(in crate::curve) const SEALERS: &[Sealer] = &[
        Sealer {
            name: "portable",
            seal: portable::seal,
            open: portable::open,
        },
        #[cfg(feature = "simd")]
        Sealer {
            name: "vector",
            seal: vector::seal,
            open: vector::open,
        },
    ];

    pub(in crate::curve) fn agree(secret: &Key, public: &Key) -> Option<Key> {
        x25519(secret, public).map(|shared| *shared)
    }

    pub(in crate::curve) fn derive(key: &Key, input: &[u8; 16]) -> Key {
        *hsalsa20(key, input)
    }

    pub(in crate::curve) fn octets_of(key: &SharedKey) -> Key {
        *key.0
    }

    /// Each seals as the first does and opens what it sealed, but not with a bit of it changed.
    fn check(key: &Key, nonce: &Nonce, body: &[u8], flipped: usize) {
        let mut sealed = body.to_vec();
        let tag = (SEALERS[0].seal)(key, nonce, &mut sealed);
        for Sealer { name, seal, open } in SEALERS {
            let mut ours = body.to_vec();
            assert_eq!(
                seal(key, nonce, &mut ours),
                tag,
                "{name}, {} octets",
                body.len()
            );
            assert_eq!(ours, sealed, "{name}, {} octets", body.len());
            assert!(
                open(key, nonce, &tag, &mut ours),
                "{name}, {} octets",
                body.len()
            );
            assert_eq!(ours, body, "{name}, {} octets", body.len());

            let mut changed = [&tag[..], &sealed].concat();
            let at = flipped % (8 * changed.len());
            changed[at / 8] ^= 1 << (at % 8);
            let (tag, body) = changed.split_first_chunk_mut().unwrap();
            assert!(!open(key, nonce, tag, body), "{name}, bit {at}");
        }
    }

    #[test]
    fn each_seals_bodies_of_each_size_alike() {
        // Past two turns of the widest kernel there is, which makes 16 blocks of 64 octets.
        let body: Vec<u8> = (0..2_200_u32).map(|at| at.to_le_bytes()[0]).collect();
        for octets in 0..=body.len() {
            check(&[7; 32], &[9; 24], &body[..octets], 31 * octets);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_seals_alike(
            key: [u8; 32], nonce: [u8; 24], octets in 0_usize..70_000, seed: u8, flipped: usize,
        ) {
            let octet = |at: usize| {
                let [low, high, ..] = at.to_le_bytes();
                seed.wrapping_mul(high) ^ low
            };
            let body: Vec<u8> = (0..octets).map(octet).collect();
            check(&key, &nonce, &body, flipped);
        }

        #[test]
        fn both_sides_have_the_same_key(one: [u8; 32], other: [u8; 32]) {
            let (one, other) = (SecretKey::from_bytes(one), SecretKey::from_bytes(other));
            let here = SharedKey::new(&one, &other.public_key()).unwrap();
            let there = SharedKey::new(&other, &one.public_key()).unwrap();
            prop_assert_eq!(octets_of(&here), octets_of(&there));
        }
    }

    #[test]
    fn an_empty_body_is_sealed_too() {
        let key = SharedKey::from_bytes(&[1; 32]);
        let tag = key.seal(&[2; 24], &mut []);
        assert!(key.open(&[2; 24], &tag, &mut []));
        assert!(!key.open(&[3; 24], &tag, &mut []));
        assert!(!key.open(&[2; 24], &tag, &mut [0]));
    }

    #[test]
    fn it_does_not_show_itself() {
        assert_eq!(
            std::format!("{:?}", SharedKey::from_bytes(&[1; 32])),
            "SharedKey(..)"
        );
    }
}
