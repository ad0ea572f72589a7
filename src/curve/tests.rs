//! The vectors of `spec/vectors/curve.json`: each primitive does what was published of it, whichever crate it comes from.
//!
//! The formats are in `spec/README.md`.

use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs, vec};

use salsa20::cipher::{KeyIvInit, StreamCipher};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::sealing::tests::{SEALERS, agree, derive, octets_of};
use super::sealing::{SharedKey, public_of};
use super::{InvalidKey, PublicKey, SecretKey};

/// What every point is multiplied from: the coordinate 9.
const BASE: [u8; 32] = {
    let mut base = [0; 32];
    base[0] = 9;
    base
};

fn load() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/vectors/curve.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs a check over a list of vectors, each of which has a name of its own and says where it is from.
fn each(part: &str, list: &str, check: impl Fn(&Value)) {
    let file = load();
    let vectors = file[part][list].as_array().unwrap();
    assert!(!vectors.is_empty());
    let names: BTreeSet<_> = vectors.iter().map(|vector| text(vector, "name")).collect();
    assert_eq!(names.len(), vectors.len(), "two of one name");
    for vector in vectors {
        assert!(!text(vector, "source").is_empty());
        check(vector);
    }
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {vector}"))
}

fn octets(vector: &Value, field: &str) -> Vec<u8> {
    let digits = text(vector, field);
    assert!(digits.len().is_multiple_of(2), "{digits}");
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn array<const N: usize>(vector: &Value, field: &str) -> [u8; N] {
    octets(vector, field)
        .try_into()
        .unwrap_or_else(|_| panic!("{field} of {vector}"))
}

#[test]
fn x25519() {
    each("x25519", "good", |vector| {
        let (mut secret, mut public) = (array(vector, "secret"), array(vector, "public"));
        let shared: [u8; 32] = array(vector, "shared");
        if public == BASE && vector["times"].is_null() {
            assert_eq!(public_of(&secret), shared, "{vector}");
        }
        for _ in 0..vector["times"].as_u64().unwrap_or(1) {
            (secret, public) = (agree(&secret, &public).unwrap(), secret);
        }
        assert_eq!(secret, shared, "{vector}");
    });
}

#[test]
fn nobody_has_a_key_in_common_with_a_point_of_low_order() {
    each("x25519", "refused", |vector| {
        for secret in [[0; 32], [1; 32], [0x77; 32], [255; 32]] {
            let key = SharedKey::new(
                &SecretKey::from_bytes(secret),
                &PublicKey::from_bytes(array(vector, "public")),
            );
            assert!(key.is_none(), "{vector}");
        }
    });
}

#[test]
fn hsalsa20() {
    each("hsalsa20", "good", |vector| {
        let output = derive(&array(vector, "key"), &array(vector, "input"));
        assert_eq!(output, array(vector, "output"), "{vector}");
    });
}

#[test]
fn salsa20() {
    each("salsa20", "good", |vector| {
        let (key, nonce): ([u8; 32], [u8; 8]) = (array(vector, "key"), array(vector, "nonce"));
        let stream = octets(vector, "stream");
        let mut ours = vec![0; stream.len()];
        salsa20::Salsa20::new(&key.into(), &nonce.into()).apply_keystream(&mut ours);
        assert_eq!(ours, stream, "{vector}");
    });
}

/// A box of zeros is the stream from its 32nd octet on; those before are the key of Poly1305, whose second half is the tag of
/// nothing.
#[test]
fn xsalsa20() {
    each("xsalsa20", "good", |vector| {
        let (key, nonce): ([u8; 32], [u8; 24]) = (array(vector, "key"), array(vector, "nonce"));
        let mut stream = vec![0; vector["octets"].as_u64().unwrap().try_into().unwrap()];
        salsa20::XSalsa20::new(&key.into(), &nonce.into()).apply_keystream(&mut stream);
        for sealer in SEALERS {
            let (first, rest) = stream.split_at(32);
            let mut zeros = vec![0; rest.len()];
            (sealer.seal)(&key, &nonce, &mut zeros);
            assert!(zeros == rest, "{}, {vector}", sealer.name);
            assert_eq!(
                (sealer.seal)(&key, &nonce, &mut []),
                first[16..],
                "{}, {vector}",
                sealer.name
            );
        }
        if vector["sha256"].is_null() {
            assert_eq!(stream, octets(vector, "stream"), "{vector}");
        } else {
            assert_eq!(
                Sha256::digest(&stream)[..],
                octets(vector, "sha256"),
                "{vector}"
            );
        }
    });
}

#[test]
fn poly1305() {
    use poly1305::universal_hash::KeyInit;

    each("poly1305", "good", |vector| {
        let (key, message): ([u8; 32], _) = (array(vector, "key"), octets(vector, "message"));
        let tag: [u8; 16] = poly1305::Poly1305::new(&key.into())
            .compute_unpadded(&message)
            .into();
        assert_eq!(tag, array(vector, "tag"), "{vector}");
        #[cfg(feature = "simd")]
        {
            let mut tag = [0; 16];
            dryoc::classic::crypto_onetimeauth::crypto_onetimeauth(&mut tag, &message, &key);
            assert_eq!(tag, array(vector, "tag"), "{vector}");
        }
    });
}

#[test]
fn boxes() {
    each("boxes", "good", |vector| {
        let secret = SecretKey::from_bytes(array(vector, "secret"));
        let public = PublicKey::from_bytes(array(vector, "public"));
        let shared = SharedKey::new(&secret, &public).unwrap();
        let (key, nonce, tag) = (
            array(vector, "key"),
            array(vector, "nonce"),
            array(vector, "tag"),
        );
        assert_eq!(octets_of(&shared), key, "{vector}");
        let message = octets(vector, "message");
        for sealer in SEALERS {
            let mut body = message.clone();
            assert_eq!(
                (sealer.seal)(&key, &nonce, &mut body),
                tag,
                "{}, {vector}",
                sealer.name
            );
            assert_eq!(body, octets(vector, "box"), "{}, {vector}", sealer.name);
            assert!(
                (sealer.open)(&key, &nonce, &tag, &mut body),
                "{}, {vector}",
                sealer.name
            );
            assert_eq!(body, message, "{}, {vector}", sealer.name);
        }
        let mut body = message.clone();
        assert_eq!(shared.seal(&nonce, &mut body), tag, "{vector}");
        assert!(
            shared.open(&nonce, &tag, &mut body) && body == message,
            "{vector}"
        );
    });
}

#[test]
fn boxes_that_are_refused() {
    each("boxes", "refused", |vector| {
        let (key, nonce, tag) = (
            array(vector, "key"),
            array(vector, "nonce"),
            array(vector, "tag"),
        );
        for sealer in SEALERS {
            let mut body = octets(vector, "box");
            assert!(
                !(sealer.open)(&key, &nonce, &tag, &mut body),
                "{}, {vector}",
                sealer.name
            );
        }
    });
}

/// What is shorter than a key is filled up with zeros.
fn padded(vector: &Value) -> ([u8; 32], String) {
    let (mut key, octets) = ([0; 32], octets(vector, "octets"));
    key[..octets.len()].copy_from_slice(&octets);
    (key, format!("{:0<40}", text(vector, "text")))
}

#[test]
fn z85() {
    each("z85", "good", |vector| {
        let (key, text) = padded(vector);
        assert_eq!(text.parse(), Ok(PublicKey::from_bytes(key)), "{vector}");
        assert_eq!(PublicKey::from_bytes(key).to_string(), text, "{vector}");
        assert_eq!(*SecretKey::from_bytes(key).to_z85(), text, "{vector}");
    });
    each("z85", "refused", |vector| {
        let text = text(vector, "text");
        assert_eq!(text.parse::<PublicKey>(), Err(InvalidKey::Text), "{vector}");
        assert_eq!(text.parse::<SecretKey>(), Err(InvalidKey::Text), "{vector}");
    });
}

#[test]
fn every_list_has_a_test() {
    let file = load();
    let parts = file
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, part)| part.is_object());
    let lists: Vec<_> = parts
        .flat_map(|(name, part)| {
            let lists = part.as_object().unwrap().keys();
            lists.map(move |list| format!("{name}, {list}"))
        })
        .collect();
    let ours = [
        "boxes, good",
        "boxes, refused",
        // In the mechanism.
        "handshakes, good",
        "hsalsa20, good",
        "poly1305, good",
        "salsa20, good",
        "x25519, good",
        "x25519, refused",
        "xsalsa20, good",
        "z85, good",
        "z85, refused",
    ];
    assert_eq!(lists, ours);
}
