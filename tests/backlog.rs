//! What waits for an application that takes nothing is bounded, whatever the network does, and tells no lie afterwards.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

mod model_common;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use atonce::wire::zre::{Command, Message};
use atonce::zre::Lost;
use atonce::{Config, Event, ExitReason, Frames, PeerId, SendError, Text};
use model_common::{World, address_of};
use support::{Lan, frames, names, text};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn named(name: &str) -> Config {
    Config {
        name: Some(text(name)),
        ..Config::default()
    }
}

/// A node whose application stops taking events as soon as the puppet entered, and the link on which the puppet speaks.
fn deaf_alice_and_puppet(config: Config) -> (Lan, usize, usize, u64) {
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node_with(config), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    lan.host(alice).reading = false;
    (lan, alice, puppet, link)
}

/// Panics when a peer does anything before its ENTER or after its EXIT. `here`: those that entered before.
fn are_in_order(events: &[Event], mut here: BTreeSet<PeerId>) {
    for event in events {
        match event {
            Event::Enter { peer } => assert!(here.insert(peer.id), "{events:?}"),
            Event::Exit { peer, .. } => assert!(here.remove(&peer.id), "{events:?}"),
            Event::Evasive { peer }
            | Event::Silent { peer }
            | Event::Recovered { peer }
            | Event::Join { peer, .. }
            | Event::Leave { peer, .. }
            | Event::Whisper { peer, .. }
            | Event::Shout { peer, .. } => assert!(here.contains(&peer.id), "{events:?}"),
            _ => {}
        }
    }
}

/// How many messages may be lost, by each EXIT of a cut link.
fn lost(events: &[Event]) -> Vec<u64> {
    let cut = |event: &Event| match event {
        Event::Exit {
            reason: ExitReason::Lost(Lost::LinkCut { messages }),
            ..
        } => Some(*messages),
        _ => None,
    };
    events.iter().filter_map(cut).collect()
}

// ---- changes

#[test]
fn cuts_without_end_are_told_as_one_while_the_application_takes_nothing() {
    // ZRE-85
    let mut config = named("alice");
    config.limits.changes_per_peer = 8;
    let (mut lan, alice, puppet, _) = deaf_alice_and_puppet(config);
    let id = lan.id(puppet);
    for _ in 0..100 {
        lan.with(alice, |stack, now| {
            stack.whisper(now, id, &frames("lost?")).unwrap();
        });
        lan.run_for(ms(300));
        lan.reset_dialled(alice, puppet);
        lan.run_for(ms(100));
    }
    let counters = *lan.stack(alice).counters();
    assert_eq!((counters.exits, counters.enters), (4, 5));
    assert_eq!(counters.changes_merged, 95);
    lan.host(alice).reading = true;
    let events = lan.events(alice);
    // Four pairs fill its share; the fifth one is all the others.
    let lost = lost(&events);
    assert_eq!((lost.len(), &lost[..4]), (5, [2; 4].as_slice()));
    // Nor is any message forgotten that may be lost.
    assert!(lost[4] >= 2 * 96, "{lost:?}");
    assert_eq!(names(&events).len(), 10);
    are_in_order(&events, BTreeSet::from([id]));
    // Its link is as good as ever.
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("still?")).unwrap();
    });
    lan.run_for(ms(20));
    let heard = lan.the_puppet(puppet).heard.last().cloned();
    let content = frames("still?");
    assert_eq!(heard.unwrap().1.command, Command::Whisper { content });
}

#[test]
fn a_peer_that_goes_while_its_cuts_are_untold_exits_once() {
    let mut config = named("alice");
    config.limits.changes_per_peer = 2;
    let (mut lan, alice, puppet, _) = deaf_alice_and_puppet(config);
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    for _ in 0..10 {
        lan.run_for(ms(300));
        lan.reset_dialled(alice, puppet);
        lan.run_for(ms(100));
    }
    lan.kill(puppet);
    lan.run_for(ms(2_000));
    assert_eq!(lan.stack(alice).peers().count(), 0);
    lan.host(alice).reading = true;
    let events = lan.events(alice);
    are_in_order(&events, BTreeSet::from([id]));
    let told = names(&events);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[2], "exit puppet lost: its mailbox is gone");
}

#[test]
fn one_who_is_silent_by_turns_is_told_as_it_is_in_the_end() {
    let mut config = named("alice");
    config.limits.changes_per_peer = 8;
    let (mut lan, alice, puppet, link) = deaf_alice_and_puppet(config);
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    for _ in 0..60 {
        lan.run_for(ms(6_500));
        let sequence = lan.puppet_next(puppet, alice);
        lan.puppet_says(puppet, link, sequence, Command::PingOk);
    }
    lan.run_for(ms(20));
    lan.host(alice).reading = true;
    lan.run_for(ms(20));
    let events = lan.events(alice);
    are_in_order(&events, BTreeSet::from([id]));
    let told = names(&events);
    assert!(told.len() <= 12, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("recovered puppet"));
    // No change is told twice, and none before that from which it is one.
    for pair in told.windows(2) {
        let after = match pair[0].as_str() {
            "evasive puppet" => ["silent puppet", "recovered puppet"],
            "silent puppet" => ["recovered puppet"; 2],
            _ => ["evasive puppet"; 2],
        };
        assert!(after.contains(&pair[1].as_str()), "{told:?}");
    }
}

#[test]
fn a_change_that_waits_is_told_before_what_the_peer_says_next() {
    let mut config = named("alice");
    config.limits.changes_per_peer = 4;
    let (mut lan, alice, puppet, link) = deaf_alice_and_puppet(config);
    let id = lan.id(puppet);
    for _ in 0..5 {
        lan.run_for(ms(300));
        lan.reset_dialled(alice, puppet);
        lan.run_for(ms(100));
    }
    let sequence = lan.puppet_next(puppet, alice);
    let content = frames("hello");
    lan.puppet_says(puppet, link, sequence, Command::Whisper { content });
    lan.run_for(ms(20));
    lan.host(alice).reading = true;
    lan.run_for(ms(20));
    let events = lan.events(alice);
    are_in_order(&events, BTreeSet::from([id]));
    let told = names(&events);
    assert_eq!(told.len(), 7, "{told:?}");
    assert_eq!(told[5..], ["enter puppet", r#"whisper puppet [b"hello"]"#]);
}

// ---- those who come and go

#[test]
fn strangers_that_come_and_go_wait_outside_while_the_application_takes_nothing() {
    let mut config = named("alice");
    config.limits.receive_octets_total = 20_000;
    let mut lan = Lan::new();
    let alice = lan.node_with(config);
    // From several machines, none of which is one where many come and go.
    let puppets: Vec<_> = (9..34).map(|n| lan.puppet(n)).collect();
    lan.run_for(ms(50));
    lan.events(alice);
    lan.host(alice).reading = false;
    for n in 0..500_u16 {
        let puppet = puppets[usize::from(n) % puppets.len()];
        let mut octets = [1; 16];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        let id = PeerId::from_bytes(octets);
        let link = lan.puppet_dials_as(puppet, alice, &id.identity());
        let hello = Command::Hello(lan.hello_of(puppet, "fresh"));
        lan.puppet_says(puppet, link, 1, hello);
        lan.run_for(ms(10));
        if lan.stack(alice).peers().count() == 1 {
            // A gap ends it.
            lan.puppet_says(puppet, link, 7, Command::Ping);
            lan.run_for(ms(10));
        } else {
            lan.puppet_closes(puppet, link);
        }
    }
    let entered = lan.stack(alice).counters().enters;
    assert!((40..80).contains(&entered), "{entered} entered");
    // What is known by a beacon only is not looked for.
    let before = lan.dials(alice);
    let puppet = puppets[0];
    let id = lan.id(puppet);
    let port = lan.address_of(puppet).port();
    lan.puppet_beacons(puppet, id, port + 1);
    lan.run_for(ms(100));
    assert_eq!(lan.dials(alice), before);
    assert!(lan.stack(alice).counters().entries_deferred > 0);
    lan.host(alice).reading = true;
    let mut events = lan.events(alice);
    assert_eq!(events.len() as u64, 2 * entered);
    // Now there is room.
    lan.run_for(ms(100));
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(100));
    events.extend(lan.events(alice));
    are_in_order(&events, BTreeSet::new());
    let told = names(&events);
    assert_eq!(told.last().map(String::as_str), Some("enter puppet"));
}

#[test]
fn one_who_greeted_before_the_inbox_was_full_does_not_enter_after_it() {
    let mut config = named("alice");
    config.limits.receive_octets_total = 20_000;
    let (mut lan, alice, talker, link) = deaf_alice_and_puppet(config);
    let other = lan.puppet(10);
    // It is not reached yet.
    lan.host(other).refuses = true;
    let greeting = lan.puppet_greets(other, alice);
    lan.run_for(ms(20));
    let sequence = lan.puppet_next(talker, alice);
    let content = Frames::from(vec![7; 20_000]);
    lan.puppet_says(talker, link, sequence, Command::Whisper { content });
    lan.run_for(ms(20));
    lan.host(other).refuses = false;
    lan.run_for(ms(1_000));
    assert_eq!(lan.stack(alice).peers().count(), 1);
    assert!(lan.the_puppet(other).closed.contains(&greeting));
    assert_eq!(lan.stack(alice).counters().entries_deferred, 1);
    lan.host(alice).reading = true;
    lan.run_for(ms(10));
    lan.puppet_greets(other, alice);
    lan.run_for(ms(100));
    let told = names(&lan.events(alice));
    assert_eq!(told.last().map(String::as_str), Some("enter puppet"));
}

#[test]
fn joins_and_leaves_without_end_wait_like_any_message() {
    let mut config = named("alice");
    config.limits.receive_octets = 20_000;
    let (mut lan, alice, puppet, link) = deaf_alice_and_puppet(config);
    let id = lan.id(puppet);
    for n in 0..1_000_u16 {
        let sequence = lan.puppet_next(puppet, alice);
        let (group, status) = (text("G"), 0);
        let command = match n % 2 {
            0 => Command::Join { group, status },
            _ => Command::Leave { group, status },
        };
        lan.puppet_says(puppet, link, sequence, command);
    }
    lan.run_for(ms(1_000));
    let received = lan.stack(alice).counters().messages_received;
    assert!(received < 200, "{received} were taken");
    lan.host(alice).reading = true;
    lan.run_for(ms(100));
    let events = lan.events(alice);
    are_in_order(&events, BTreeSet::from([id]));
    assert_eq!(events.len(), 1_000);
}

#[test]
fn one_whom_we_do_not_read_is_told_that_we_live_however_often_it_beacons() {
    // ZRE-52
    let mut config = named("alice");
    config.limits.receive_octets = 20_000;
    let (mut lan, alice, puppet, link) = deaf_alice_and_puppet(config);
    let (id, port) = (lan.id(puppet), lan.host(puppet).address.port());
    for _ in 0..100 {
        let sequence = lan.puppet_next(puppet, alice);
        let content = Frames::from(vec![7; 1_000]);
        lan.puppet_says(puppet, link, sequence, Command::Whisper { content });
    }
    lan.run_for(ms(100));
    assert_eq!(lan.stack(alice).counters().pauses, 1);
    let told = |lan: &mut Lan| {
        let heard = lan.the_puppet(puppet).heard.iter();
        let lives = heard.filter(|(_, message)| message.command == Command::Ping);
        lives.count()
    };
    for _ in 0..12 {
        let before = told(&mut lan);
        for _ in 0..5 {
            lan.puppet_beacons(puppet, id, port);
            lan.run_for(ms(1_000));
        }
        // Before a C Zyre would call us evasive, at 5 s.
        assert!(told(&mut lan) > before);
    }
}

#[test]
fn what_one_who_does_not_read_us_says_meanwhile_is_no_proof_that_it_read_us() {
    // ZRE-52, ZRE-62
    let mut lan = Lan::new();
    let mut config = named("bob");
    config.limits.receive_octets = 20_000;
    let (alice, bob, mallory) = (lan.node("alice"), lan.node_with(config), lan.puppet(66));
    // What they said when they met is confirmed.
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    lan.host(bob).reading = false;
    let id = lan.id(bob);
    for n in 0..60 {
        lan.with(alice, |stack, now| {
            let content = Frames::from(vec![n; 1_000]);
            stack.whisper(now, id, &content).unwrap();
        });
        lan.run_for(ms(1));
    }
    assert_eq!(lan.stack(bob).counters().pauses, 1);
    // Bob says now and then that he lives.
    let said = |lan: &mut Lan| lan.stack(bob).counters().messages_sent;
    let before = said(&mut lan);
    while said(&mut lan) == before {
        lan.run_for(ms(10));
    }
    lan.run_for(ms(2_200));
    assert_eq!(said(&mut lan), before + 1);
    // Right before he says so again, alice has a reason to ask him, which he does not read.
    lan.puppet_beacons(mallory, id, 0);
    lan.run_for(ms(400));
    assert_eq!(said(&mut lan), before + 2);
    assert_eq!(names(&lan.events(alice)), [""; 0]);
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(100));
    let events = lan.events(alice);
    assert!(lost(&events).iter().any(|lost| *lost > 30), "{events:?}");
}

// ---- what is sent

/// Our groups as one knows them by what it heard. Panics at a status that C Zyre would stop at.
fn groups_as_told<'a>(heard: impl Iterator<Item = &'a Message>) -> BTreeSet<Text> {
    let (mut groups, mut before) = (BTreeSet::new(), 0_u8);
    for message in heard {
        match &message.command {
            Command::Hello(hello) => {
                (groups, before) = (hello.groups.iter().cloned().collect(), hello.status);
            }
            Command::Join { group, status } => {
                assert!(groups.insert(group.clone()), "{group} is joined twice");
                before = before.wrapping_add(1);
                assert_eq!(*status, before);
            }
            Command::Leave { group, status } => {
                assert!(groups.remove(group), "{group} is left twice");
                before = before.wrapping_add(1);
                assert_eq!(*status, before);
            }
            _ => {}
        }
    }
    groups
}

#[test]
fn our_own_joins_and_leaves_do_not_wait_without_end_for_one_who_reads_nothing() {
    // ZRE-81
    for link_is_down in [false, true] {
        let mut config = named("alice");
        config.limits.send_messages = 100;
        let (mut lan, alice, puppet, _) = deaf_alice_and_puppet(config);
        lan.host(alice).reading = true;
        if link_is_down {
            lan.isolate(puppet, true);
            lan.reset_dialled(alice, puppet);
        } else {
            lan.host(puppet).stalled = true;
        }
        lan.run_for(ms(10));
        for _ in 0..100_000 {
            let now = lan.now;
            lan.stack(alice).join(now, &text("G"));
            lan.stack(alice).leave(now, &text("G"));
        }
        let longest = lan.stack(alice).usage().longest_queue_messages;
        assert!(longest <= 101, "{longest} messages wait");
        lan.run_for(ms(11_000));
        let told = names(&lan.events(alice));
        assert_eq!(told.last().map(String::as_str), Some("exit puppet overrun"));
    }
}

#[test]
fn one_who_reads_late_knows_our_groups_in_the_end_and_counts_them_right() {
    // ZRE-72, ZRE-81
    let mut config = named("alice");
    config.limits.send_messages = 100;
    let mut world = World::new(config);
    let ann = world.puppet("ann", 10, address_of(2, 0));
    world.greet(ann, &[]);
    world.puppets[ann].stalled = true;
    let id = world.puppets[ann].id;
    let group = |n: u32| text(&format!("{n}"));
    for n in 0..1_000 {
        world.node.join(world.now, &group(n));
        if n % 3 > 0 {
            world.node.leave(world.now, &group(n));
        }
    }
    world.settle();
    assert!(world.puppets[ann].heard.len() <= 101);
    // What it is not told of is not overtaken.
    let now = world.now;
    let after = world.node.whisper(now, id, &frames("after"));
    assert_eq!(after, Err(SendError::Full));
    world.pass(ms(5_000));
    // It reads a page at a time.
    let link = world.link_to(ann).unwrap();
    for _ in 0..20 {
        world.node.handle_sent(world.now, link, 1_000, 0, 0);
        world.settle();
        world.pass(ms(100));
    }
    let now = world.now;
    let after = world.node.whisper(now, id, &frames("after"));
    assert_eq!(after, Ok(()));
    world.settle();
    let ours: BTreeSet<_> = world.node.groups().cloned().collect();
    assert_eq!(ours.len(), 334);
    let heard = &world.puppets[ann].heard;
    let told = groups_as_told(heard.iter().map(|(_, message)| message));
    assert_eq!(told, ours);
    assert!(heard.len() < 500, "{} messages", heard.len());
    let exits = world.events.iter();
    assert_eq!(exits.filter(|e| matches!(e, Event::Exit { .. })).count(), 0);
}
