//! Nodes on a LAN in virtual time: they meet, talk and part.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that is wrong may stop

mod support;

use std::time::Duration;

use atonce::wire::zre::Command;
use atonce::{Event, Frames};
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
        stack.whisper(now, bobs, &frames("hello")).unwrap();
        let two = Frames::from_iter(["one", "two"]);
        let shouted = stack.shout(now, &text("CHAT"), &two).unwrap();
        assert_eq!((shouted.reached, shouted.full), (1, 0));
        stack.whisper(now, bobs, &Frames::new()).unwrap();
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
fn each_of_many_is_asked_four_seconds_after_it_was_heard_and_called_evasive_after_five() {
    // ZRE-51
    let mut lan = Lan::new();
    let alice = lan.node("alice");
    let puppets: Vec<_> = (1..=40).map(|n| lan.puppet(n)).collect();
    let links: Vec<_> = puppets
        .iter()
        .map(|&puppet| {
            let link = lan.puppet_greets(puppet, alice);
            lan.puppet_speaks(puppet, alice, link, 2);
            link
        })
        .collect();
    // What was said to them is confirmed.
    lan.run_for(Duration::from_millis(6_000));
    assert_eq!(lan.stack(alice).peers().count(), 40);
    for puppet in &puppets {
        lan.the_puppet(*puppet).answers_pings = false;
    }
    // The last word of each: many close to each other, some not.
    let mut said = Vec::new();
    for (n, (&puppet, link)) in puppets.iter().zip(links).enumerate() {
        let sequence = lan.puppet_next(puppet, alice);
        lan.puppet_says(puppet, link, sequence, Command::PingOk);
        said.push(lan.now);
        lan.the_puppet(puppet).heard.clear();
        let pause = if n % 10 == 9 { 400 } else { 3 };
        lan.run_for(Duration::from_millis(pause));
    }
    lan.events(alice);
    let (mut asked, mut evasive) = (vec![None; 40], vec![None; 40]);
    for _ in 0..6_000 {
        lan.run_for(Duration::from_millis(1));
        let now = lan.now;
        for (asked, &puppet) in asked.iter_mut().zip(&puppets) {
            if !lan.the_puppet(puppet).heard.is_empty() {
                asked.get_or_insert(now);
            }
        }
        for event in lan.events(alice) {
            if let Event::Evasive { peer } = event {
                evasive[usize::from(peer.id.as_bytes()[0]) - 1] = Some(now);
            }
        }
    }
    let on_the_way = Duration::from_millis(2);
    for n in 0..40 {
        let (asked, evasive) = (asked[n].unwrap() - said[n], evasive[n].unwrap() - said[n]);
        let four = Duration::from_secs(4);
        assert!(
            (four..=four + on_the_way).contains(&asked),
            "{n} was asked after {asked:?}"
        );
        let five = Duration::from_secs(5);
        assert!(
            (five..=five + on_the_way).contains(&evasive),
            "{n} was evasive after {evasive:?}"
        );
    }
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
