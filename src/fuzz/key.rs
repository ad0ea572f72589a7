//! Keys of CURVE: their texts and their octets.

use alloc::string::ToString;

use super::values;
use crate::curve::{InvalidKey, KeyPair, PublicKey, SecretKey, Seed};

/// How many characters the text of a key has.
const CHARACTERS: usize = 40;

/// A text as a key: what is read is written so that it is the same, and is one character for one. Octets as keys: they come
/// back out of their text, a secret one shows nowhere, and halves make a pair only when they belong together.
pub fn key(octets: &[u8]) {
    if let Ok(text) = core::str::from_utf8(octets) {
        let read = text.parse::<PublicKey>();
        let secret = text.parse::<SecretKey>();
        match read {
            Ok(key) => {
                assert_eq!(key.to_string(), text);
                assert_eq!(text.len(), CHARACTERS);
                assert_eq!(secret.map(|key| *key.as_bytes()), Ok(*key.as_bytes()));
            }
            Err(error) => {
                assert_eq!((error, secret), (InvalidKey::Text, Err(InvalidKey::Text)));
                values::shown(octets.len(), format_args!("{error} {error:?}"));
            }
        }
    }
    if let Some(key) = octets.first_chunk() {
        public(PublicKey::from_bytes(*key));
        pair(*key, octets.last_chunk().unwrap_or(key));
    }
}

fn public(key: PublicKey) {
    let text = key.to_string();
    assert_eq!(text.len(), CHARACTERS);
    assert_eq!(text.parse(), Ok(key));
    assert_eq!(PublicKey::from_bytes(*key.as_bytes()), key);
    assert_eq!(alloc::format!("{key:?}"), text);
    assert_eq!(alloc::format!("{key:>42}"), alloc::format!("  {text}"));
}

fn pair(octets: [u8; 32], others: &[u8; 32]) {
    let secret = SecretKey::from_bytes(octets);
    let text = secret.to_z85();
    assert_eq!(text.parse::<SecretKey>().as_ref(), Ok(&secret));
    let shown = alloc::format!("{secret:?} {:?}", Seed::from_bytes(octets));
    assert_eq!(shown, "SecretKey(..) Seed(..)");

    let made = KeyPair::from_secret(secret.clone());
    assert_eq!(*made.public(), secret.public_key());
    assert_eq!(*made.secret(), secret);
    let again = KeyPair::from_parts(*made.public(), secret.clone());
    assert_eq!(again.as_ref(), Ok(&made));
    let other = PublicKey::from_bytes(*others);
    let mixed = KeyPair::from_parts(other, secret);
    assert_eq!(mixed.is_ok(), other == *made.public());
    if let Err(error) = mixed {
        assert_eq!(error, InvalidKey::Mismatch);
        values::shown(0, format_args!("{error} {error:?}"));
    }
    let drawn = KeyPair::generate(octets);
    assert_eq!(drawn, KeyPair::generate(octets));
    assert_ne!(drawn.public().as_bytes()[0], 0);
    assert!(!alloc::format!("{drawn:?}").contains(drawn.secret().to_z85().as_str()));
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_of_any_octets(octets in prop::collection::vec(any::<u8>(), 0..70)) {
            key(&octets);
        }

        #[test]
        fn texts_that_are_nearly_right(
            octets in any::<[u8; 32]>(),
            at in 0..CHARACTERS,
            other in any::<u8>(),
        ) {
            let mut text = Vec::from(PublicKey::from_bytes(octets).to_string());
            key(&text);
            text[at] = other;
            key(&text);
            key(&text[..at]);
        }
    }
}
