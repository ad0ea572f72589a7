//! Nodes meet, talk and leave, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use atonce_std::driver::Driver;
use atonce_std::{Builder, Bytes, Event, ExitReason, Frames, Node, SendError};
use common::{free_port, node, wait_enter, wait_exit, wait_for, wait_join};

#[test]
fn two_nodes_meet_talk_and_leave() {
    let port = free_port();
    let alice = node("alice", port)
        .header("X-ROLE", "host")
        .start()
        .unwrap();
    let bob = node("bob", port).group("CHAT").start().unwrap();

    // Each sees the other as it says it is.
    wait_enter(&alice, bob.id());
    wait_join(&alice, bob.id(), "CHAT");
    wait_enter(&bob, alice.id());
    let seen = bob.peer(alice.id()).unwrap();
    assert_eq!(seen.peer.name, "alice");
    assert_eq!(seen.peer.endpoint, *alice.endpoints()[0]);
    assert_eq!(*seen.peer.headers.get("X-ROLE").unwrap(), *"host");
    assert_eq!(bob.peers_by_name("alice").len(), 1);
    assert_eq!(bob.peers_by_header("X-ROLE", "host").len(), 1);
    assert_eq!(bob.peers_by_header("X-ROLE", "guest").len(), 0);
    assert_eq!(alice.peers_in("CHAT").len(), 1);

    // A whisper of several frames, one of them binary, one empty.
    let content = Frames::from([
        Bytes::from_static(b"text"),
        Bytes::from_static(&[0, 255, 1]),
        Bytes::new(),
    ]);
    alice.whisper(bob.id(), content.clone()).unwrap();
    let whispered = wait_for(&bob, |event| match event {
        Event::Whisper { peer, content } => Some((peer.id, content)),
        _ => None,
    });
    assert_eq!(whispered, (alice.id(), content));

    // A shout to a group that the shouter is not in.
    let shouted = alice.shout("CHAT", "to all").unwrap();
    assert_eq!((shouted.reached, shouted.full), (1, 0));
    let heard = wait_for(&bob, |event| match event {
        Event::Shout {
            peer,
            group,
            content,
        } => Some((peer.id, group.to_string(), content)),
        _ => None,
    });
    assert_eq!(heard, (alice.id(), "CHAT".into(), "to all".into()));

    // Groups come and go.
    bob.leave("CHAT").unwrap();
    wait_for(&alice, |event| {
        matches!(event, Event::Leave { group, .. } if group == "CHAT").then_some(())
    });
    assert_eq!(alice.shout("CHAT", "nobody").unwrap().reached, 0);
    alice.join("ROOM").unwrap();
    wait_join(&bob, alice.id(), "ROOM");

    bob.stop();
    assert_eq!(wait_exit(&alice, bob.id()), ExitReason::Left);
    assert!(alice.peers().is_empty());
    assert_eq!(alice.whisper(bob.id(), "gone"), Err(SendError::UnknownPeer));
    assert_eq!(bob.events().last(), Some(Event::Stopped));
    assert_eq!(bob.whisper(alice.id(), "gone"), Err(SendError::Stopped));
}

#[test]
fn a_peer_is_asked_how_long_it_takes_to_answer() {
    // ZRE-54
    let port = free_port();
    let [alice, bob] = ["alice", "bob"].map(|name| node(name, port).start().unwrap());
    wait_enter(&alice, bob.id());
    let round_trip = || alice.peer(bob.id()).unwrap().round_trip;
    assert_eq!(round_trip(), None);
    let asked = Instant::now();
    alice.ping(bob.id()).unwrap();
    while round_trip().is_none() {
        assert!(asked.elapsed() < Duration::from_secs(30), "no answer");
        let _ = alice.recv_timeout(Duration::from_millis(1));
    }
    // It was timed while the test waited, and by no clock that is older.
    assert!(round_trip().unwrap() <= asked.elapsed());
    bob.stop();
    wait_exit(&alice, bob.id());
    assert_eq!(alice.ping(bob.id()), Err(SendError::UnknownPeer));
}

#[test]
fn a_shout_reaches_each_member_once() {
    let port = free_port();
    let nodes: Vec<Node> = ["a", "b", "c"]
        .map(|name| node(name, port).group("G").start().unwrap())
        .into();
    for one in &nodes {
        for other in &nodes {
            if one.id() != other.id() {
                wait_until(|| {
                    one.peer(other.id())
                        .is_some_and(|peer| peer.groups.len() == 1)
                });
            }
        }
    }
    let shouted = nodes[0].shout("G", "once").unwrap();
    assert_eq!(shouted.reached, 2);
    nodes[0].stop();
    for member in &nodes[1..] {
        wait_exit_counting(member, &nodes[0]);
    }

    fn wait_exit_counting(member: &Node, shouter: &Node) {
        let mut heard = 0;
        wait_for(member, |event| match event {
            Event::Shout { .. } => {
                heard += 1;
                None
            }
            Event::Exit { peer, .. } if peer.id == shouter.id() => Some(()),
            _ => None,
        });
        assert_eq!(heard, 1);
    }
}

#[test]
fn large_content_arrives_whole() {
    let port = free_port();
    let alice = node("alice", port).start().unwrap();
    let bob = node("bob", port).start().unwrap();
    wait_enter(&alice, bob.id());
    let large: Vec<u8> = (0..8 * 1024 * 1024_u32)
        .map(|i| (i % 251).to_le_bytes()[0])
        .collect();
    let content = Frames::from([Bytes::from(large), Bytes::from_static(b"end")]);
    alice.whisper(bob.id(), content.clone()).unwrap();
    alice
        .whisper_timeout(bob.id(), "after", Duration::from_secs(10))
        .unwrap();
    let whispers: Vec<Frames> = bob
        .events()
        .filter_map(|event| match event {
            Event::Whisper { content, .. } => Some(content),
            _ => None,
        })
        .take(2)
        .collect();
    assert!(whispers[0] == content, "the content differs");
    assert_eq!(whispers[1], "after".into());
}

#[test]
fn a_killed_node_is_lost_at_once() {
    let port = free_port();
    let alice = node("alice", port).start().unwrap();
    // A driver that is dropped says no goodbye, as a process that is killed.
    let options = Builder::<()>::default()
        .name("mallory")
        .interface("lo")
        .port(port)
        .options()
        .unwrap();
    let (mut driver, mut poller) = Driver::new(options).unwrap();
    let mallory = driver.stack().id();
    let end = Instant::now() + common::PATIENCE;
    while alice.peer(mallory).is_none() || driver.stack().peers().count() == 0 {
        assert!(Instant::now() < end, "they did not meet");
        poller
            .wait(driver.timeout().map(|t| t.min(Duration::from_millis(50))))
            .unwrap();
        driver.turn(&mut poller);
    }
    let killed = Instant::now();
    drop((driver, poller));
    let reason = wait_exit(&alice, mallory);
    assert!(matches!(reason, ExitReason::Lost(_)), "{reason}");
    assert!(
        killed.elapsed() < Duration::from_secs(3),
        "{:?}",
        killed.elapsed()
    );
}

#[test]
fn nodes_meet_without_beacons_by_an_endpoint() {
    let alice = node("alice", 0).start().unwrap();
    let port = alice.endpoints()[0].rsplit_once(':').unwrap().1.to_owned();
    let bob = node("bob", 0)
        .peer(format!("tcp://localhost:{port}"))
        .start()
        .unwrap();
    wait_enter(&bob, alice.id());
    wait_enter(&alice, bob.id());
    let carol = node("carol", 0).start().unwrap();
    carol.connect(&bob.endpoints()[0]).unwrap();
    wait_enter(&carol, bob.id());
    assert!(carol.connect("nonsense").is_err());
}

#[test]
fn twenty_nodes_find_each_other() {
    let port = free_port();
    let begun = Instant::now();
    let nodes: Vec<Node> = (0..20)
        .map(|i| node(&format!("n{i}"), port).group("ALL").start().unwrap())
        .collect();
    for one in &nodes {
        wait_until(|| one.peers_in("ALL").len() == nodes.len() - 1);
    }
    println!("twenty nodes met in {:?}", begun.elapsed());
    let shouted = nodes[7].shout("ALL", "hello").unwrap();
    assert_eq!(shouted.reached, 19);
    for one in nodes.iter().filter(|one| one.id() != nodes[7].id()) {
        let entered = wait_for(one, {
            let mut entered = BTreeSet::new();
            move |event| match event {
                Event::Enter { peer } => {
                    assert!(entered.insert(peer.id), "entered twice");
                    None
                }
                Event::Exit { peer, reason } => panic!("{} exited: {reason}", peer.name),
                Event::Shout { .. } => Some(std::mem::take(&mut entered)),
                _ => None,
            }
        });
        assert_eq!(entered.len(), 19);
    }
}

#[test]
fn what_is_said_right_before_a_stop_is_heard() {
    let port = free_port();
    let bob = node("bob", port).start().unwrap();
    for content in [10, 1_000, 100_000] {
        let alice = node("alice", port).start().unwrap();
        let id = alice.id();
        wait_enter(&alice, bob.id());
        for _ in 0..50 {
            alice.whisper(bob.id(), vec![7; content]).unwrap();
        }
        alice.stop();
        let mut heard = 0;
        wait_for(&bob, |event| match event {
            Event::Whisper { .. } => {
                heard += 1;
                None
            }
            Event::Exit { peer, reason } if peer.id == id => {
                assert_eq!(reason, ExitReason::Left);
                Some(())
            }
            _ => None,
        });
        assert_eq!(heard, 50, "of {content} octets");
    }
}

#[test]
fn a_node_that_is_dropped_says_goodbye() {
    let port = free_port();
    let alice = node("alice", port).start().unwrap();
    let bob = node("bob", port).start().unwrap();
    let id = bob.id();
    wait_enter(&alice, id);
    let clone = bob.clone();
    drop(bob);
    assert!(alice.peer(id).is_some());
    drop(clone);
    assert_eq!(wait_exit(&alice, id), ExitReason::Left);
}

#[track_caller]
fn wait_until(mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + common::PATIENCE;
    while !happened() {
        assert!(Instant::now() < end, "it did not happen in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}
