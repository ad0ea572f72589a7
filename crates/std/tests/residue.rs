//! No secret key of a certificate is left behind in memory that was given back: every octet of it is looked at.
//!
//! It tells most where it is optimised: only there is a value that was moved out of left as it was. So `.ci/run` does both.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/residue_common/mod.rs"]
mod residue_common;

use std::fs;

use atonce::curve::{KeyPair, SecretKey};
use atonce_std::{Certificate, CertificateError};
use residue_common::{Secret, found};

const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

fn secrets() -> &'static [Secret] {
    let key: SecretKey = SECRET.parse().unwrap();
    let octets = key.as_bytes().to_vec();
    let text = SECRET.as_bytes().to_vec();
    let secrets = [("the key", octets), ("its text", text)];
    let secrets = secrets.map(|(name, octets)| Secret { name, octets });
    Vec::from(secrets).leak()
}

#[test]
fn a_certificate_that_is_written_and_read_leaves_no_secret_behind() {
    let secrets = secrets();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jo");
    let found = found(secrets, || {
        let mut jo = Certificate::new(KeyPair::from_secret(SECRET.parse().unwrap()));
        jo.save(&path).unwrap();
        assert_eq!(Certificate::load(&path).unwrap(), jo);
        // Longer than what is reserved for a text at first.
        for name in ["a", "b", "c"] {
            jo.set_metadata(name, "x".repeat(900)).unwrap();
        }
        jo.save(&path).unwrap();
        assert_eq!(Certificate::load(&path).unwrap(), jo);
        assert!(format!("{jo:?}").contains("SecretKey(..)"));
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nor_does_one_that_is_wrong() {
    let secrets = secrets();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jo");
    Certificate::new(KeyPair::from_secret(SECRET.parse().unwrap()))
        .save_secret(&path)
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    // No line at all behind it, no UTF-8, another public key, and none.
    let other = Certificate::generate().unwrap().public_key().to_string();
    let ours = Certificate::load_public(&path)
        .unwrap()
        .public_key()
        .to_string();
    let wrong = [
        format!("{text}= x\n").into_bytes(),
        [text.as_bytes(), b"\xff\xff\n"].concat(),
        text.replace(&ours, &other).into_bytes(),
        text.replace("public-key", "private-key").into_bytes(),
    ];
    for octets in wrong {
        fs::write(&path, &octets).unwrap();
        let found = found(secrets, || {
            let error = Certificate::load(&path).unwrap_err();
            assert!(!matches!(error, CertificateError::Read { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains(SECRET));
        });
        assert!(found.is_empty(), "{found:#?}");
    }
}
