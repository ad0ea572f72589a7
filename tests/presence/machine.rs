//! Clocks that jump, restarts, addresses that change.

use std::time::Duration;

use atonce::zre::Beacons;
use atonce::{Config, Frames};

use crate::model_common::{Door, World, address_of, tell};
use crate::support::{Lan, frames, names, text, two};
use crate::{NOTHING, alice_and_puppet, hellos, ms};

#[test]
fn a_node_that_overslept_blames_nobody() {
    // ZRE-53
    for timers_first in [true, false] {
        let (mut lan, alice, bob) = two();
        let alices = lan.id(alice);
        lan.freeze(alice, true);
        lan.run_for(ms(1_000));
        lan.with(bob, |stack, now| {
            stack
                .whisper(now, alices, &frames("are you there?"))
                .unwrap();
        });
        // Longer than it would wait for anybody, and shorter than Bob waits for it.
        lan.run_for(ms(28_000));
        lan.freeze(alice, false);
        if timers_first {
            lan.run_for(ms(0));
        }
        lan.run_for(ms(3_000));
        assert_eq!(
            names(&lan.events(alice)),
            [r#"whisper bob [b"are you there?"]"#]
        );
        let heard = names(&lan.events(bob));
        assert_eq!(heard, ["evasive alice", "silent alice", "recovered alice"]);
        lan.still_talk(alice, bob);
    }
}

#[test]
fn machines_that_sleep_however_long_miss_nobody_who_waited() {
    // ZRE-53
    for beacons in [Beacons::Both, Beacons::Off] {
        for (seconds, together) in [(60, false), (60, true), (3_600, false), (3_600, true)] {
            let patient = |name: &str| Config {
                name: Some(text(name)),
                beacons,
                evasive_timeout: Duration::from_secs(100_000),
                expired_timeout: Duration::from_secs(200_000),
                ..Config::default()
            };
            let mut lan = Lan::new();
            let config = Config {
                beacons,
                ..Config::default()
            };
            // Alice and Carol are on one machine, or on several that were closed together with Bob's.
            let hosts = [
                lan.node_with(config.clone()),
                lan.node_with(config),
                lan.node_with(patient("bob")),
            ];
            let bob = hosts[2];
            let there = format!("tcp://{}", lan.address_of(bob)).parse().unwrap();
            for host in &hosts[..2] {
                lan.with(*host, |stack, now| stack.connect(now, &there).unwrap());
            }
            lan.run_for(ms(3_000));
            assert_eq!(lan.stack(bob).peers().count(), 2);
            for host in hosts {
                lan.events(host);
            }
            let asleep = if together { 3 } else { 2 };
            for host in &hosts[..asleep] {
                lan.freeze(*host, true);
            }
            lan.run_for(Duration::from_secs(seconds));
            for host in &hosts[..asleep] {
                lan.freeze(*host, false);
            }
            lan.run_for(ms(20_000));
            for host in hosts {
                let told = names(&lan.events(host));
                assert_eq!(
                    told, NOTHING,
                    "{beacons:?}, {seconds} s, together: {together}"
                );
            }
            lan.still_talk(hosts[0], bob);
            lan.still_talk(hosts[1], bob);
        }
    }
}

#[test]
fn who_is_gone_after_we_overslept_is_still_missed() {
    // ZRE-53
    let (mut lan, alice, bob) = two();
    lan.freeze(alice, true);
    lan.run_for(ms(60_000));
    lan.isolate(bob, true);
    lan.run_for(ms(10));
    lan.freeze(alice, false);
    lan.run_for(ms(40_000));
    let heard = names(&lan.events(alice));
    assert!(
        matches!(&heard[..], [.., last] if last.starts_with("exit bob")),
        "{heard:?}"
    );
}

#[test]
fn who_restarts_under_its_identity_at_another_port_is_reached_there() {
    // ZRE-20
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let mut address = lan.address_of(puppet);
    lan.kill(puppet);
    lan.run_for(ms(5));
    address.set_port(50_505);
    let again = lan.puppet_at(9, address);
    lan.puppet_greets(again, alice);
    lan.run_for(ms(100));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
    assert_eq!(hellos(&mut lan, again), 1);
}

#[test]
fn beacons_do_not_put_off_a_doubt() {
    // ZRE-21, ZRE-30, ZRE-40
    // It was started anew at another port, and nobody closed its links: it beacons, and says nothing on them.
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    let mut address = lan.address_of(puppet);
    address.set_port(address.port() + 1);
    let again = lan.puppet_at(9, address);
    let link = lan.puppet_greets(again, alice);
    lan.puppet_speaks(again, alice, link, 2);
    for _ in 0..8 {
        lan.puppet_beacons(again, id, address.port());
        lan.run_for(ms(150));
    }
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
}

#[test]
fn one_who_reads_a_long_queue_has_time_to_come_to_the_ping() {
    // ZRE-21, ZRE-40
    let mut world = World::new(Config::default());
    let ann = world.puppet("ann", 10, address_of(2, 0));
    world.greet(ann, &[]);
    world.events.clear();
    world.puppets[ann].stalled = true;
    world.puppets[ann].answers = false;
    let (id, address) = (world.puppets[ann].id, world.puppets[ann].address);
    let now = world.now;
    world.node.whisper(now, id, &frames("long")).unwrap();
    world.beacon(id, address, 0);
    let link = world.link_to(ann).unwrap();
    for left in (1..10).rev() {
        world.pass(ms(700));
        world.node.handle_sent(world.now, link, 100, 100 * left, 2);
        world.settle();
    }
    assert!(world.node.peer(id).is_some());
    // Then it takes no more.
    world.pass(ms(2_100));
    assert!(world.node.peer(id).is_none());
}

#[test]
fn a_greeting_counts_more_than_a_rumour_that_leads_nowhere() {
    // ZRE-13
    // A late beacon of before it was started anew: nobody listens there any more, or nobody answers.
    for door in [Door::Shut, Door::Dark] {
        let mut world = World::new(Config::default());
        let ann = world.puppet("ann", 10, address_of(2, 0));
        let before = world.puppet("before", 11, address_of(2, 7));
        world.puppets[before].door = door;
        let (id, old) = (world.puppets[ann].id, world.puppets[before].address);
        world.beacon(id, old, old.port());
        world.pass(ms(50));
        world.greet(ann, &[]);
        world.settle();
        let told: Vec<_> = world.events.iter().map(tell).collect();
        assert_eq!(told, ["enter ann"], "{door:?}");
        assert_eq!(world.links().len(), 2, "the rumour is given up");
    }
}

#[test]
fn a_peer_whose_address_changed_is_met_at_the_new_one() {
    // ZRE-31
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.host(puppet).refuses = true;
    lan.isolate(puppet, true);
    lan.puppet_hangs_up_on(puppet, alice);
    lan.puppet_closes(puppet, link);
    lan.isolate(puppet, false);
    let moved = lan.puppet(9);
    let id = lan.id(moved);
    lan.run_for(ms(100));
    let port = lan.address_of(moved).port();
    lan.puppet_beacons(moved, id, port);
    lan.run_for(ms(100));
    let link = lan.puppet_greets(moved, alice);
    lan.puppet_speaks(moved, alice, link, 2);
    lan.run_for(ms(200));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet lost: its mailbox is gone", "enter puppet"]
    );
}

#[test]
fn the_hints_at_two_interfaces_of_one_node_do_not_keep_each_other_from_being_tried() {
    // ZRE-11. It cannot be reached for a while, and beacons from both of its addresses.
    let mut lan = Lan::new();
    lan.node("alice");
    let interfaces = [lan.puppet(9), lan.puppet(9)];
    let (id, port) = (lan.id(interfaces[0]), lan.address_of(interfaces[0]).port());
    for seconds in [10, 20] {
        for puppet in interfaces {
            lan.host(puppet).refuses = seconds == 10;
        }
        for _ in 0..seconds {
            for puppet in interfaces {
                lan.puppet_beacons(puppet, id, port);
            }
            lan.run_for(ms(1_000));
        }
    }
    let said = interfaces.map(|puppet| hellos(&mut lan, puppet));
    assert!(said.iter().sum::<usize>() > 0, "{said:?}");
}

#[test]
fn one_that_was_contacted_by_its_endpoint_is_met_where_it_moved() {
    // ZRE-10. What the application asked for is tried for ever, and keeps nobody from following a beacon.
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let endpoint = format!("tcp://{}", lan.address_of(puppet));
    let endpoint = endpoint.parse().unwrap();
    lan.with(alice, |stack, now| stack.connect(now, &endpoint).unwrap());
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(20));
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(50));
    lan.kill(puppet);
    lan.run_for(ms(2_000));
    assert_eq!(
        names(&lan.events(alice)),
        ["enter puppet", "exit puppet lost: its mailbox is gone"]
    );
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(2_000));
    let moved = lan.puppet(9);
    for _ in 0..5 {
        lan.puppet_beacons(moved, id, port);
        lan.run_for(ms(1_000));
    }
    assert_eq!(hellos(&mut lan, moved), 1);
    let link = lan.puppet_greets(moved, alice);
    lan.puppet_speaks(moved, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn a_peer_of_whom_only_beacons_come_is_asked_and_missed() {
    // ZRE-50
    // Its link is dead without a word, as behind a router that forgot it; its beacons still come.
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    for _ in 0..70 {
        lan.puppet_beacons(puppet, id, port);
        lan.run_for(ms(1_000));
    }
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive puppet", "silent puppet", "exit puppet expired"]
    );
}

#[test]
fn the_goodbye_comes_after_everything_else() {
    // ZRE-4
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let id = lan.id(puppet);
    lan.with(alice, |stack, now| {
        stack
            .whisper(now, id, &Frames::from(vec![7; 1_000_000]))
            .unwrap();
        stack.stop(now);
    });
    // The puppet has the message and the end of the link; the node waits for nothing but its goodbye.
    lan.run_for(ms(5));
    let heard = lan.the_puppet(puppet).heard.len();
    assert_eq!(heard, 2);
    assert!(!lan.stack(alice).is_stopped());
    lan.run_for(ms(50));
    assert!(lan.stack(alice).is_stopped());
    assert_eq!(names(&lan.events(alice)), ["stopped"]);
}
