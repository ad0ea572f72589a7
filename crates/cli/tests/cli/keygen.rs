//! `keygen`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use atonce_std::Certificate;

use crate::program::{Ended, Program};

fn keygen(args: &[&str]) -> Ended {
    Program::start(&[&["keygen"], args].concat()).end()
}

#[test]
fn it_makes_a_certificate_and_prints_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice.cert");
    let file = path.to_str().unwrap();
    let ended = keygen(&[file]).with(0);
    let certificate = Certificate::load(&path).unwrap();
    let ended = ended.saying(&format!("{file}_secret"));
    assert_eq!(ended.lines, [certificate.public_key().to_string()]);
    assert!(certificate.key_pair().is_some());
    assert_ne!(certificate.public_key().as_bytes()[0], 0);

    let mode = fs::metadata(format!("{file}_secret"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let public = Certificate::load_public(&path).unwrap();
    assert_eq!(public.public_key(), certificate.public_key());
    assert_eq!(public.metadata(), certificate.metadata());

    let metadata = certificate.metadata();
    assert_eq!(metadata["name"], "alice");
    assert!(
        metadata["created-by"].starts_with("atonce "),
        "{metadata:?}"
    );
    assert!(metadata["date-created"].starts_with("20"), "{metadata:?}");
    assert_eq!(metadata.len(), 3);
}

#[test]
fn what_is_said_about_the_key_is_in_both_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice");
    let file = path.to_str().unwrap();
    keygen(&[
        file,
        "--meta",
        "name=Alice = A",
        "--meta",
        "email=alice@example.org",
    ])
    .with(0);
    for certificate in [
        Certificate::load(&path).unwrap(),
        Certificate::load_public(&path).unwrap(),
    ] {
        assert_eq!(certificate.metadata()["name"], "Alice = A");
        assert_eq!(certificate.metadata()["email"], "alice@example.org");
    }
}

#[test]
fn a_key_that_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice");
    let file = path.to_str().unwrap();
    keygen(&[file]).with(0);
    let first = Certificate::load(&path).unwrap();
    let ended = keygen(&[file]).with(1).saying("is there already");
    assert!(ended.lines.is_empty());
    assert_eq!(Certificate::load(&path).unwrap(), first);
    fs::remove_file(&path).unwrap();
    keygen(&[file])
        .with(1)
        .saying("alice_secret is there already");
}

#[test]
fn what_is_wrong_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    keygen(&[&path("nowhere/alice")])
        .with(1)
        .saying("cannot write the certificate");
    keygen(&[&path("alice_secret")])
        .with(2)
        .saying("without `_secret`");
    keygen(&[""]).with(2).saying("<FILE>");
    keygen(&[]).with(2).saying("<FILE>");
    for (meta, right) in [
        ("name", "KEY=VALUE"),
        ("a b=x", "letters, digits"),
        ("a=\n", "control"),
    ] {
        keygen(&[&path("alice"), "--meta", meta])
            .with(2)
            .saying("--meta")
            .saying(right);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
