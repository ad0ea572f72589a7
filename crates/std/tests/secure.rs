//! Secure nodes over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)] // a test is where they belong

mod common;

use std::fs;
use std::time::{Duration, Instant};

use atonce_std::{
    Certificate, ConnectError, Event, ExitReason, Frames, Node, PeerId, StartError, Trust,
};
use common::{free_port, node, wait_enter, wait_exit, wait_for};

/// Longer than nodes that may meet need for it, on a machine that is not too busy.
const A_WHILE: Duration = Duration::from_millis(1_500);

/// No peer comes within a while.
#[track_caller]
fn stays_alone(node: &Node) {
    let end = Instant::now() + A_WHILE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if let Some(Event::Enter { peer }) = node.recv_timeout(left) {
            panic!("{} is here", peer.name);
        }
    }
}

fn whispered(node: &Node) -> Frames {
    wait_for(node, |event| match event {
        Event::Whisper { content, .. } => Some(content),
        _ => None,
    })
}

#[test]
fn who_is_trusted_meets_and_nobody_else() {
    let port = free_port();
    let [alice, bob, mallory] = [(); 3].map(|()| Certificate::generate().unwrap());
    let friends = || Trust::keys([*alice.public_key(), *bob.public_key()]);
    let secure = |name, certificate: &Certificate, trust| {
        node(name, port)
            .curve(certificate.clone(), trust)
            .start()
            .unwrap()
    };
    let stranger = secure("mallory", &mallory, Trust::any());
    let plain = node("plain", port).start().unwrap();
    let one = secure("alice", &alice, friends());
    let other = secure("bob", &bob, friends());
    wait_enter(&one, other.id());
    wait_enter(&other, one.id());
    assert_eq!(one.peer(other.id()).unwrap().key, Some(*bob.public_key()));
    for content in [Frames::from("secret"), Frames::from(vec![7; 300_000])] {
        one.whisper(other.id(), content.clone()).unwrap();
        assert_eq!(whispered(&other), content);
        other.whisper(one.id(), content.clone()).unwrap();
        assert_eq!(whispered(&one), content);
    }
    for node in [&stranger, &plain] {
        stays_alone(node);
        assert!(one.peer(node.id()).is_none() && other.peer(node.id()).is_none());
    }
    other.stop();
    assert_eq!(wait_exit(&one, other.id()), ExitReason::Left);
}

#[test]
fn nobody_comes_under_the_identity_of_another() {
    let port = free_port();
    let [alice, bob, eve] = [(); 3].map(|()| Certificate::generate().unwrap());
    let all =
        || Trust::keys([alice.public_key(), bob.public_key(), eve.public_key()].map(|key| *key));
    let one = node("alice", port)
        .curve(alice.clone(), all())
        .start()
        .unwrap();
    let other = node("bob", port).curve(bob.clone(), all()).start().unwrap();
    wait_enter(&one, other.id());
    let impostor = node("bob", port)
        .uuid(other.id())
        .curve(eve.clone(), all())
        .start()
        .unwrap();
    let (key, holder) = wait_for(&one, |event| match event {
        Event::Impostor {
            id, key, holder, ..
        } if id == other.id() => Some((key, holder)),
        Event::Exit { peer, reason } => panic!("{} is gone: {reason}", peer.name),
        _ => None,
    });
    assert_eq!((key, holder), (*eve.public_key(), *bob.public_key()));
    one.whisper(other.id(), "still you").unwrap();
    assert_eq!(whispered(&other), Frames::from("still you"));
    drop(impostor);
}

#[test]
fn who_came_first_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("met");
    let [alice, bob, eve] = [(); 3].map(|()| Certificate::generate().unwrap());
    let bobs = PeerId::from_bytes([7; 16]);
    let start = |name, port, certificate: &Certificate| {
        let builder = node(name, port).curve(certificate.clone(), Trust::any());
        builder.uuid(bobs).start().unwrap()
    };
    let alice_with = |port| {
        let trust = Trust::first_use(&path).unwrap();
        node("alice", port)
            .curve(alice.clone(), trust)
            .start()
            .unwrap()
    };
    let port = free_port();
    let one = alice_with(port);
    let other = start("bob", port, &bob);
    wait_enter(&one, bobs);
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written.contains(&format!("{} {bobs}", bob.public_key())),
        "{written}"
    );
    drop((one, other));
    // A day later the other one comes first.
    let port = free_port();
    let impostor = start("bob", port, &eve);
    let one = alice_with(port);
    wait_for(&one, |event| match event {
        Event::Impostor { id, .. } if id == bobs => Some(()),
        Event::Enter { .. } => panic!("it came in"),
        _ => None,
    });
    drop(impostor);
}

#[test]
fn a_secure_node_is_contacted_with_its_key() {
    let [alice, bob] = [(); 2].map(|()| Certificate::generate().unwrap());
    let quiet = |certificate: &Certificate| {
        node("quiet", 0)
            .curve(certificate.clone(), Trust::any())
            .start()
            .unwrap()
    };
    let (one, other) = (quiet(&alice), quiet(&bob));
    let endpoint = other.endpoints().first().unwrap().to_string();
    assert!(matches!(one.connect(&endpoint), Err(ConnectError::Node(_))));
    assert!(matches!(
        one.connect(format!("{endpoint}|key")),
        Err(ConnectError::Key(_))
    ));
    // Another key than it has: nothing comes of it.
    one.connect(format!("{endpoint}|{}", alice.public_key()))
        .unwrap();
    stays_alone(&one);
    one.connect(format!("{endpoint}|{}", bob.public_key()))
        .unwrap();
    wait_enter(&one, other.id());
    wait_enter(&other, one.id());
}

#[test]
fn a_certificate_without_its_secret_makes_no_node() {
    let public = Certificate::from_public(*Certificate::generate().unwrap().public_key());
    let result = node("nobody", 0).curve(public, Trust::any()).start();
    assert!(matches!(result, Err(StartError::NoSecretKey)), "{result:?}");
}
