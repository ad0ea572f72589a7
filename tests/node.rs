//! Nodes on a LAN in virtual time: they meet, talk and part.

mod support;

use std::time::Duration;

use atonce::Frames;
use support::{Lan, frames, names, text, two};

#[test]
fn two_nodes_meet_talk_and_part() {
    // ZRE-12, ZRE-74
    let (mut lan, alice, bob) = two();
    let bobs = lan.id(bob);
    lan.with(bob, |stack, now| stack.join(now, &text("CHAT")));
    lan.run_for(Duration::from_millis(10));
    assert_eq!(names(&lan.events(alice)), ["join bob CHAT"]);
    lan.with(alice, |stack, now| {
        stack.whisper(now, bobs, frames("hello")).unwrap();
        let two = Frames::from_iter(["one", "two"]);
        let shouted = stack.shout(now, &text("CHAT"), two).unwrap();
        assert_eq!((shouted.reached, shouted.full), (1, 0));
        stack.whisper(now, bobs, Frames::new()).unwrap();
    });
    lan.run_for(Duration::from_millis(10));
    assert_eq!(
        names(&lan.events(bob)),
        [
            r#"whisper alice [b"hello"]"#,
            r#"shout alice CHAT [b"one", b"two"]"#,
            r#"whisper alice [b""]"#,
        ]
    );
    lan.with(bob, atonce::Stack::stop);
    lan.run_for(Duration::from_millis(50));
    assert_eq!(names(&lan.events(bob)), ["stopped"]);
    assert_eq!(names(&lan.events(alice)), ["exit bob left"]);
    // A tombstone keeps it away, and nobody revives it.
    lan.run_for(Duration::from_secs(60));
    assert_eq!(names(&lan.events(alice)), [""; 0]);
}

#[test]
fn a_quiet_network_stays_quiet() {
    // ZRE-51
    let (mut lan, alice, bob) = two();
    lan.run_for(Duration::from_secs(600));
    assert_eq!(names(&lan.events(alice)), [""; 0]);
    assert_eq!(names(&lan.events(bob)), [""; 0]);
    // A PING and a PING-OK in half a minute, to know that the links are alive.
    assert!(lan.stack(alice).counters().messages_sent < 50);
}

#[test]
fn a_killed_peer_is_lost_within_a_second() {
    // ZRE-60
    let (mut lan, alice, bob) = two();
    lan.kill(bob);
    lan.run_for(Duration::from_secs(1));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit bob lost: its mailbox is gone"]
    );
}

#[test]
fn a_peer_that_falls_silent_is_missed_and_then_gone() {
    // ZRE-51
    let (mut lan, alice, bob) = two();
    lan.isolate(bob, true);
    lan.run_for(Duration::from_secs(40));
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive bob", "silent bob", "exit bob expired"]
    );
    lan.isolate(bob, false);
    lan.run_for(Duration::from_secs(10));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
}

#[test]
fn a_peer_that_comes_back_in_time_recovers() {
    // ZRE-51
    let (mut lan, alice, bob) = two();
    lan.isolate(bob, true);
    lan.run_for(Duration::from_secs(10));
    lan.isolate(bob, false);
    lan.run_for(Duration::from_secs(10));
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive bob", "silent bob", "recovered bob"]
    );
}

#[test]
fn twenty_nodes_all_meet() {
    let mut lan = Lan::new();
    let nodes: Vec<_> = (0..20).map(|n| lan.node(&format!("node{n}"))).collect();
    lan.run_for(Duration::from_secs(2));
    for node in nodes {
        assert_eq!(lan.stack(node).peers().count(), 19);
        assert_eq!(lan.events(node).len(), 20); // its own interface, and an ENTER for each
    }
}

#[test]
fn a_stopped_node_told_so_once() {
    let (mut lan, alice, _) = two();
    lan.with(alice, |stack, now| {
        stack.stop(now);
        stack.stop(now);
    });
    lan.run_for(Duration::from_secs(2));
    assert_eq!(names(&lan.events(alice)), ["stopped"]);
    assert!(lan.stack(alice).is_stopped());
}
