//! Interfaces come and go. It needs a network of its own, made by `unshare` and `ip`, so that it is run by hand:
//! `cargo test -p atonce-std --test network -- --ignored`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;
#[path = "common/namespace.rs"]
mod namespace;

use std::time::Duration;

use atonce_std::{Event, Node};
use common::{wait_enter, wait_for};
use namespace::{ip, within};

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn nodes_follow_their_network() {
    within("nodes_follow_their_network", follow);
}

fn follow() {
    ip("link set lo up");
    ip("link add eth7 type veth peer name eth8");
    ip("link set eth8 up");
    // No network: that is no error.
    let alice = node("alice");
    let bob = node("bob");
    assert!(alice.endpoints().is_empty());

    ip("addr add 10.77.0.1/24 brd + dev eth7");
    ip("link set eth7 up");
    let before = wait_up(&alice);
    assert!(before.starts_with("tcp://10.77.0.1:"), "{before}");
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    alice.whisper(bob.id(), "one").unwrap();

    // The interface goes and comes: links that live are kept, and so is the port.
    ip("link set eth7 down");
    wait_down(&alice);
    ip("link set eth7 up");
    assert_eq!(wait_up(&alice), before);
    alice.whisper(bob.id(), "two").unwrap();

    // Another address: they meet there.
    ip("addr del 10.77.0.1/24 dev eth7");
    ip("addr add 10.77.0.9/24 brd + dev eth7");
    wait_down(&alice);
    let after = wait_up(&alice);
    assert_eq!(after, before.replace("10.77.0.1", "10.77.0.9"));
    wait_enter(&alice, bob.id());
    let seen = alice.peer(bob.id()).unwrap();
    assert_eq!(seen.peer.endpoint, *bob.endpoints()[0]);
    assert!(bob.endpoints()[0].starts_with("tcp://10.77.0.9:"));
    alice.whisper(bob.id(), "three").unwrap();
    for expected in ["one", "two", "three"] {
        let heard = wait_for(&bob, |event| match event {
            Event::Whisper { content, .. } => Some(content),
            _ => None,
        });
        assert_eq!(heard, expected.into());
    }
}

/// On whatever interface there is, and quick to see that a peer is not where it was.
fn node(name: &str) -> Node {
    Node::builder()
        .name(name)
        .evasive_timeout(Duration::from_secs(1))
        .expired_timeout(Duration::from_secs(8))
        .start()
        .unwrap()
}

fn wait_up(node: &Node) -> String {
    wait_for(node, |event| match event {
        Event::InterfaceUp {
            interface,
            endpoint,
        } if interface == "eth7" => Some(endpoint.to_string()),
        _ => None,
    })
}

fn wait_down(node: &Node) {
    wait_for(node, |event| {
        matches!(event, Event::InterfaceDown { interface, .. } if interface == "eth7").then_some(())
    });
}
