//! Certificates in files: whose they are, who may read them, and what is said when something is wrong.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use atonce::curve::{KeyPair, PublicKey, SecretKey};
use atonce_std::{Certificate, CertificateError};
use tempfile::TempDir;

const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

/// As CZMQ 4.2 writes it, but for its comments, and for the key.
const OF_CZMQ: &str = "#   ****  Generated on 2026-11-29 06:59:00 by CZMQ  ****
#   ...

metadata
    email = \"jo@example.org\"
    name = \"Jo Doe\"
curve
    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"
    secret-key = \"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\"
";

fn place() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (public, secret) = (folder.path().join("jo"), folder.path().join("jo_secret"));
    (folder, public, secret)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn jo() -> Certificate {
    let secret: SecretKey = SECRET.parse().unwrap();
    let mut jo = Certificate::new(KeyPair::from_secret(secret));
    jo.set_metadata("email", "jo@example.org").unwrap();
    jo.set_metadata("name", "Jo Doe").unwrap();
    jo
}

#[test]
fn a_certificate_of_czmq_is_read() {
    let (_folder, public, secret) = place();
    write(&secret, OF_CZMQ, 0o600);
    assert_eq!(Certificate::load(&public).unwrap(), jo());
    // By its own name, as well.
    assert_eq!(Certificate::load(&secret).unwrap(), jo());
}

#[test]
fn the_secret_file_is_private_and_the_other_has_nothing_of_it() {
    let (folder, public, secret) = place();
    jo().save(&public).unwrap();
    assert_eq!(mode(&secret), 0o600);
    assert_eq!(mode(&public) & 0o111, 0);
    assert!(!fs::read_to_string(&public).unwrap().contains(SECRET));
    assert_eq!(Certificate::load(&public).unwrap(), jo());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

    // One that was open to others is so no more when it is written again.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    jo().save(&public).unwrap();
    assert_eq!(mode(&secret), 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn without_a_secret_file_the_public_one_is_read() {
    let (_folder, public, secret) = place();
    jo().save_public(&public).unwrap();
    let read = Certificate::load(&public).unwrap();
    assert_eq!(read.public_key(), jo().public_key());
    assert_eq!(read.metadata(), jo().metadata());
    assert_eq!(read.key_pair(), None);
    assert!(matches!(
        read.save(&public),
        Err(CertificateError::NoSecret)
    ));
    assert!(matches!(
        read.save_new(folder_of(&public).join("new")),
        Err(CertificateError::NoSecret)
    ));
    assert!(!secret.exists() && !folder_of(&public).join("new").exists());
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap()
}

#[test]
fn a_secret_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let (_folder, public, secret) = place();
    for open in [0o640, 0o604, 0o644, 0o620, 0o777] {
        write(&secret, OF_CZMQ, open);
        let error = Certificate::load(&public).unwrap_err();
        assert!(matches!(error, CertificateError::Exposed { mode, .. } if mode == open));
        let command = format!("`chmod 600 {}`", secret.display());
        assert!(error.to_string().contains(&command), "{error}");
        // A public one that has a secret in it is no better.
        fs::remove_file(&secret).unwrap();
        write(&public, OF_CZMQ, open);
        assert!(Certificate::load(&public).is_err());
        // Who wants the public key only does not care.
        assert_eq!(
            Certificate::load_public(&public).unwrap().public_key(),
            jo().public_key()
        );
    }
    for private in [0o600, 0o400] {
        write(&secret, OF_CZMQ, private);
        Certificate::load(&public).unwrap();
    }
}

#[test]
fn the_command_that_mends_it_can_be_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Jo's key");
    write(&path, OF_CZMQ, 0o644);
    let error = Certificate::load(&path).unwrap_err().to_string();
    let command = error.split('`').nth(1).unwrap();
    let status = std::process::Command::new("sh")
        .args(["-c", command])
        .status()
        .unwrap();
    assert!(status.success(), "{command}");
    assert_eq!(Certificate::load(&path).unwrap(), jo());
}

#[test]
fn a_new_certificate_takes_no_others_place() {
    for taken in ["jo", "jo_secret"] {
        let (folder, public, _) = place();
        let taken = folder.path().join(taken);
        fs::write(&taken, "mine").unwrap();
        let error = jo().save_new(&public).unwrap_err();
        assert!(
            matches!(&error, CertificateError::Exists { path } if *path == taken),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let (_folder, public, secret) = place();
    jo().save_new(&public).unwrap();
    assert_eq!(mode(&secret), 0o600);
    assert_eq!(Certificate::load(&public).unwrap(), jo());
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    let (folder, public, secret) = place();
    let told = || Certificate::load(&public).unwrap_err().to_string();
    assert!(
        told().contains("cannot read the certificate") && told().contains("jo` makes one"),
        "{}",
        told()
    );

    write(&secret, &OF_CZMQ.replace("D:)Q", "D:)R"), 0o600);
    let line = format!(
        "{}, line 9: the secret key does not belong",
        secret.display()
    );
    assert!(
        told().starts_with(&line) && !told().contains("D:)R"),
        "{}",
        told()
    );

    // A secret file that is wrong is not passed over for the public one.
    jo().save_public(&public).unwrap();
    assert!(told().starts_with(&line), "{}", told());
    fs::remove_file(&secret).unwrap();

    fs::write(&public, "hello\n").unwrap();
    assert!(
        told().contains("is no certificate") && told().contains("atonce keygen"),
        "{}",
        told()
    );
    fs::write(&public, "x".repeat(100_000)).unwrap();
    assert!(told().contains("larger than 65536 octets"), "{}", told());
    let error = Certificate::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("directory"), "{error}");
    let error = jo()
        .save(folder.path().join("nowhere/jo"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot write the certificate") && error.contains("nowhere/jo_secret"),
        "{error}"
    );
}

#[test]
fn every_new_key_is_another_one() {
    let keys: Vec<PublicKey> = (0..4)
        .map(|_| *Certificate::generate().unwrap().public_key())
        .collect();
    for (index, key) in keys.iter().enumerate() {
        assert_ne!(key.as_bytes()[0], 0);
        assert!(!keys[..index].contains(key));
    }
}
