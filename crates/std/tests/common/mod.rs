//! What the tests over real sockets share. Everything stays on the loopback.
#![allow(dead_code, unused_imports)] // each test program uses a part of it
#![allow(clippy::unwrap_used, clippy::panic)] // a test is where they belong, also outside of its function

mod loopback;

use std::time::{Duration, Instant};

use atonce_std::{Builder, Event, Node, PeerId};

pub(crate) use self::loopback::{PATIENCE, free_endpoint, free_port};

/// A node on the loopback that beacons fast.
pub(crate) fn node(name: &str, port: u16) -> Builder {
    Node::builder()
        .name(name)
        .interface("lo")
        .port(port)
        .interval(Duration::from_millis(200))
}

/// Receives until an event of this kind comes; others are dropped.
#[track_caller]
pub(crate) fn wait_for<T>(node: &Node, mut want: impl FnMut(Event) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if let Some(event) = node.recv_timeout(left)
            && let Some(wanted) = want(event)
        {
            return wanted;
        }
    }
    panic!(
        "it did not happen within {PATIENCE:?} at {node:?}; peers: {:?}",
        node.peers()
    );
}

/// Waits for ENTER of this peer.
#[track_caller]
pub(crate) fn wait_enter(node: &Node, peer: PeerId) {
    wait_for(node, |event| match event {
        Event::Enter { peer: entered } if entered.id == peer => Some(()),
        _ => None,
    });
}

/// Waits for EXIT of this peer; why.
#[track_caller]
pub(crate) fn wait_exit(node: &Node, peer: PeerId) -> atonce_std::ExitReason {
    wait_for(node, |event| match event {
        Event::Exit {
            peer: exited,
            reason,
        } if exited.id == peer => Some(reason),
        _ => None,
    })
}

/// Waits until the peer is in the group.
#[track_caller]
pub(crate) fn wait_join(node: &Node, peer: PeerId, in_group: &str) {
    wait_for(node, |event| match event {
        Event::Join {
            peer: joined,
            group,
        } if joined.id == peer && group == in_group => Some(()),
        _ => None,
    });
}
