//! Nodes that are told whom to meet, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use atonce_std::driver::Driver;
use atonce_std::{Beacons, Builder, ConnectError, Event, Frames, Node, SendError};
use common::{free_port, node, wait_enter, wait_exit, wait_for};

/// Longer than a beacon or a directed beacon takes to be repeated.
const A_WHILE: Duration = Duration::from_millis(1_500);

fn directed(name: &str) -> Builder {
    node(name, 0).beacons(Beacons::Directed)
}

fn ear(node: &Node) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, node.beacon_port().unwrap()).into()
}

fn mailbox(node: &Node) -> SocketAddr {
    let endpoint = &node.endpoints()[0];
    endpoint.strip_prefix("tcp://").unwrap().parse().unwrap()
}

#[test]
fn a_directed_node_is_met_by_one_that_sends_it_a_beacon() {
    // ZRE-131, ZRE-133
    let server = directed("server").start().unwrap();
    let alice = directed("alice").start().unwrap();
    assert_eq!(
        alice.recv_timeout(A_WHILE).map(|event| is_enter(&event)),
        Some(false)
    );
    alice.beacon(ear(&server)).unwrap();
    wait_enter(&alice, server.id());
    wait_enter(&server, alice.id());
    // It comes back at the same port, under another identity.
    let port = server.beacon_port().unwrap();
    server.stop();
    wait_exit(&alice, server.id());
    let again = directed("again").port(port).start().unwrap();
    wait_enter(&alice, again.id());
}

fn is_enter(event: &Event) -> bool {
    matches!(event, Event::Enter { .. })
}

#[test]
fn one_that_says_beacons_alone_is_found_and_told_of_others() {
    // ZRE-130, ZRE-135
    let port = free_port();
    let says = node("says", port).beacons(Beacons::Say).start().unwrap();
    let bob = node("bob", port).start().unwrap();
    wait_enter(&bob, says.id());
    // Two that only say beacons do not find each other, until one is told.
    let too = node("too", port).beacons(Beacons::Say).start().unwrap();
    wait_enter(&bob, too.id());
    std::thread::sleep(A_WHILE);
    assert!(says.peer(too.id()).is_none());
    says.introduce(too.id(), mailbox(&too), None);
    wait_enter(&says, too.id());
    wait_enter(&too, says.id());
    // It has no socket on which an answer would come, and can send one all the same.
    let server = directed("server").start().unwrap();
    says.beacon(ear(&server)).unwrap();
    wait_enter(&server, says.id());
}

#[test]
fn one_without_beacons_sends_none() {
    // ZRE-9
    let alice = node("alice", 0).start().unwrap();
    let refused = alice.beacon((Ipv4Addr::LOCALHOST, 5671).into());
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ConnectError::Node(_)), "{refused}");
    assert_eq!(refused.to_string(), "this node does without beacons");
}

#[test]
fn a_shout_to_one_member_is_heard_by_that_one() {
    // ZRE-136
    let port = free_port();
    let alice = node("alice", port).start().unwrap();
    let bob = node("bob", port).group("CHAT").start().unwrap();
    let carol = node("carol", port).group("CHAT").start().unwrap();
    // In whatever order they come.
    for _ in 0..2 {
        wait_for(&alice, |event| {
            matches!(event, Event::Join { .. }).then_some(())
        });
    }
    for member in [&bob, &carol] {
        wait_enter(member, alice.id());
    }
    alice.shout_to(bob.id(), "CHAT", "for bob").unwrap();
    assert_eq!(
        alice.shout_to(bob.id(), "OTHER", "for nobody"),
        Err(SendError::NotMember)
    );
    alice.shout("CHAT", "for all").unwrap();
    for (member, expected) in [(&bob, "for bob"), (&carol, "for all")] {
        let first = wait_for(member, |event| match event {
            Event::Shout { content, .. } => Some(content),
            _ => None,
        });
        assert_eq!(first, Frames::from(expected));
    }
}

#[test]
fn an_endpoint_is_tried_until_it_is_wanted_no_more() {
    // ZRE-139
    let alice = node("alice", 0).start().unwrap();
    let bob = node("bob", 0).start().unwrap();
    let endpoint = bob.endpoints().remove(0);
    alice.connect(&endpoint).unwrap();
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    alice.disconnect(&endpoint).unwrap();
    alice.whisper(bob.id(), "still?").unwrap();
    wait_for(&bob, |event| {
        matches!(event, Event::Whisper { .. }).then_some(())
    });
    bob.stop();
    wait_exit(&alice, bob.id());
    assert_eq!(alice.usage().links, 0);
    assert!(alice.disconnect("nonsense").is_err());
}

#[test]
fn a_driver_ignores_a_mailbox_and_ends_without_a_goodbye() {
    // ZRE-137, ZRE-138
    let port = free_port();
    let options = node("alice", port).options().unwrap();
    let (mut alice, mut poller) = Driver::new(options).unwrap();
    let bob = node("bob", port).start().unwrap();
    let theirs = mailbox(&bob);
    let mut ours = alice.mailboxes();
    assert_eq!(ours.next().map(|ours| ours.ip()), Some(theirs.ip()));
    assert_eq!(ours.next(), None);
    drop(ours);
    alice.ignore(theirs);
    let mut turn_for = |alice: &mut Driver, time: Duration| {
        let end = std::time::Instant::now() + time;
        while let Some(left) = end.checked_duration_since(std::time::Instant::now())
            && !alice.is_ended()
        {
            let timeout = alice.timeout().map_or(left, |timeout| timeout.min(left));
            poller.wait(Some(timeout)).unwrap();
            alice.turn(&mut poller);
            while alice.poll_event().is_some() {}
        }
    };
    turn_for(&mut alice, A_WHILE);
    assert_eq!(alice.stack().peers().count(), 0);
    alice.heed(theirs);
    turn_for(&mut alice, A_WHILE);
    assert_eq!(alice.stack().peers().count(), 1);
    wait_enter(&bob, alice.stack().id());
    alice.retire();
    turn_for(&mut alice, A_WHILE);
    assert!(alice.is_ended());
    let reason = wait_exit(&bob, alice.stack().id());
    assert_eq!(reason.as_str(), "lost");
}
