//! Nodes that cannot be dialled, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use atonce_std::{Bytes, Event, Frames, Node};
use common::{free_port, node, wait_enter, wait_exit, wait_for, wait_join};

/// Alice, and Bob, who says that he is at this endpoint and looks for her.
fn two(endpoint: &str) -> (Node, Node) {
    let alice = node("alice", 0).duplex(true).start().unwrap();
    let bob = node("bob", 0)
        .duplex(true)
        .advertise(endpoint)
        .peer(alice.endpoints()[0].to_string())
        .group("CHAT")
        .start()
        .unwrap();
    (alice, bob)
}

fn talk(alice: &Node, bob: &Node) {
    for (from, to) in [(alice, bob), (bob, alice)] {
        let content = [vec![7_u8; 300_000], vec![0, 255], Vec::new()];
        let content = Frames::from(content.map(Bytes::from));
        from.whisper(to.id(), content.clone()).unwrap();
        let heard = wait_for(to, |event| match event {
            Event::Whisper { peer, content } => Some((peer.id, content)),
            _ => None,
        });
        assert_eq!(heard, (from.id(), content));
    }
    assert_eq!(alice.shout("CHAT", "all").unwrap().reached, 1);
    wait_for(bob, |event| match event {
        Event::Shout { content, .. } => (content == Frames::from("all")).then_some(()),
        _ => None,
    });
}

#[test]
fn one_who_is_said_to_be_elsewhere_is_spoken_to_on_its_own_link() {
    // ZRE-141, ZRE-145
    let begun = Instant::now();
    let (alice, bob) = two("tcp://192.0.2.1:49152");
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    wait_join(&alice, bob.id(), "CHAT");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(alice.usage().links, 1);
    talk(&alice, &bob);
    bob.stop();
    assert_eq!(wait_exit(&alice, bob.id()).to_string(), "left");
}

#[test]
fn one_who_refuses_is_spoken_to_on_its_own_link() {
    // ZRE-142
    let (alice, bob) = two(&format!("tcp://127.0.0.1:{}", free_port()));
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    talk(&alice, &bob);
    alice.stop();
    assert_eq!(wait_exit(&bob, alice.id()).to_string(), "left");
}

#[test]
fn one_who_does_not_answer_is_spoken_to_on_its_own_link_after_two_seconds() {
    // ZRE-142
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let (alice, bob) = two(&format!("tcp://{}", silent.local_addr().unwrap()));
    wait_enter(&alice, bob.id());
    assert!(begun.elapsed() >= Duration::from_secs(2));
    wait_enter(&bob, alice.id());
    talk(&alice, &bob);
}
