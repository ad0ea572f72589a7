//! How a peer is confirmed, displaced, missed and lost: every rule against those who break it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that is wrong may stop

mod model_common;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use atonce::wire::zre::{Command, UnknownCommand};
use atonce::{Action, Config, Frames, Instant, PeerId, Stack};
use model_common::{Door, World, address_of, tell};
use support::{Lan, frames, names, text, two};

const NOTHING: [&str; 0] = [];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A node, and a puppet that entered. The link is the one on which the puppet speaks; the next sequence is 2.
fn alice_and_puppet() -> (Lan, usize, usize, u64) {
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    (lan, alice, puppet, link)
}

fn hellos(lan: &mut Lan, puppet: usize) -> usize {
    lan.the_puppet(puppet)
        .heard
        .iter()
        .filter(|(_, message)| matches!(message.command, Command::Hello(_)))
        .count()
}

fn still_talk(lan: &mut Lan, alice: usize, bob: usize) {
    for (from, to) in [(alice, bob), (bob, alice)] {
        let id = lan.id(to);
        lan.with(from, |stack, now| {
            stack.whisper(now, id, frames("still?")).unwrap();
        });
        lan.run_for(ms(20));
        let heard = names(&lan.events(to));
        assert!(
            matches!(&heard[..], [one] if one.ends_with("[b\"still?\"]")),
            "{heard:?}"
        );
    }
}

// ---- goodbye

#[test]
fn a_forged_goodbye_changes_nothing() {
    // ZRE-40
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let bobs = lan.id(bob);
    for _ in 0..30 {
        lan.puppet_beacons(mallory, bobs, 0);
        lan.run_for(ms(200));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn a_goodbye_of_one_who_does_not_answer_is_believed_after_a_second() {
    // ZRE-40
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(900));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.run_for(ms(200));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
}

#[test]
fn a_goodbye_is_believed_at_once_when_the_link_closes_before_or_after_it() {
    // ZRE-40
    for beacon_first in [true, false] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let id = lan.id(puppet);
        if beacon_first {
            lan.puppet_beacons(puppet, id, 0);
            lan.run_for(ms(10));
            lan.puppet_closes(puppet, link);
        } else {
            lan.puppet_closes(puppet, link);
            lan.run_for(ms(10));
            lan.puppet_beacons(puppet, id, 0);
        }
        lan.run_for(ms(10));
        let left = names(&lan.events(alice));
        assert_eq!(left, ["exit puppet left"], "beacon first: {beacon_first}");
    }
}

#[test]
fn who_answers_and_then_closes_has_left_all_the_same() {
    // ZRE-41
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let id = lan.id(puppet);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(100));
    lan.kill(puppet);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
}

#[test]
fn goodbye_over_the_link_is_a_suspicion_as_well() {
    // ZRE-40
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::Goodbye);
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.kill(puppet);
    lan.run_for(ms(10));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
}

// ---- the past

#[test]
fn a_hello_that_comes_later_than_its_successor_changes_nothing() {
    // ZRE-25
    let (mut lan, alice, puppet) = {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        (lan, alice, puppet)
    };
    let hello = Command::Hello(lan.hello_of(puppet, "puppet"));
    let old = lan.puppet_dials(puppet, alice);
    lan.run_for(ms(10));
    let new = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, new, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    lan.puppet_says(puppet, old, 1, hello.clone());
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert!(lan.the_puppet(puppet).closed.contains(&old));
    // Nor does it bring back one who is gone.
    let older = lan.puppet_dials(puppet, alice);
    lan.run_for(ms(10));
    let newer = lan.puppet_greets(puppet, alice);
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
    let id = lan.id(puppet);
    lan.puppet_closes(puppet, newer);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(10));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
    lan.puppet_says(puppet, older, 1, hello);
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn the_last_words_of_a_dead_process_do_not_make_a_peer_of_the_one_that_has_its_port() {
    // ZRE-16
    for delay in 0..12 {
        let mut lan = Lan::new();
        let alice = lan.node("alice");
        let dead = lan.puppet(9);
        let hello = Command::Hello(lan.hello_of(dead, "dead"));
        let address = lan.address_of(dead);
        let link = lan.puppet_dials(dead, alice);
        lan.run_for(ms(10));
        let config = Config {
            name: Some(text("carol")),
            ..Config::default()
        };
        lan.node_at(config, address);
        lan.run_for(ms(delay));
        lan.puppet_says(dead, link, 1, hello);
        lan.puppet_closes(dead, link);
        lan.run_for(ms(1_000));
        assert_eq!(names(&lan.events(alice)), ["enter carol"], "{delay} ms");
    }
}

#[test]
fn an_endpoint_that_is_left_alone_is_tried_once_when_it_greets() {
    // ZRE-11
    let (mut lan, alice) = {
        let mut lan = Lan::new();
        let alice = lan.node("alice");
        (lan, alice)
    };
    let dead = lan.puppet(9);
    let source = lan.address_of(dead);
    let beacon = atonce::wire::Beacon {
        uuid: lan.id(dead),
        port: source.port(),
        key: None,
    };
    lan.kill(dead);
    let mut dials = 0;
    for second in 0..200 {
        lan.broadcast(dead, source, &beacon.encode());
        lan.run_for(ms(1_000));
        if lan.dials(alice) > dials {
            assert!(second < 150, "it never gives up");
            dials = lan.dials(alice);
        }
        if dials == 10 {
            break;
        }
    }
    assert_eq!(dials, 10);
    lan.run_for(ms(1_000));
    let bob = lan.node_at(
        Config {
            name: Some(text("bob")),
            ..Config::default()
        },
        source,
    );
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    assert_eq!(lan.dials(alice), 11);
}

#[test]
fn a_hello_that_waited_for_the_end_of_another_is_weighed_by_who_is_there() {
    // ZRE-16. Three processes have the port one after the other; of the first one only our own link is known to be dead.
    let (mut lan, alice, first, _) = alice_and_puppet();
    lan.the_puppet(first).answers_pings = false;
    let address = lan.address_of(first);
    let second = lan.puppet_at(8, address);
    let link = lan.puppet_dials(second, alice);
    let hello = Command::Hello(lan.hello_of(second, "second"));
    lan.puppet_says(second, link, 1, hello);
    lan.run_for(ms(10));
    let config = Config {
        name: Some(text("carol")),
        beacons: false,
        ..Config::default()
    };
    lan.node_at(config, address);
    lan.reset_dialled(alice, first);
    lan.run_for(ms(100));
    assert_eq!(
        names(&lan.events(alice)),
        [
            "exit puppet lost: another node took its endpoint",
            "enter carol"
        ]
    );
}

#[test]
fn what_waited_for_a_dead_peer_is_not_said_to_the_one_that_has_its_port() {
    let (mut lan, alice, bob) = two();
    let (address, id) = (lan.address_of(bob), lan.id(bob));
    lan.kill(bob);
    let config = Config {
        name: Some(text("carol")),
        beacons: false,
        ..Config::default()
    };
    let carol = lan.node_at(config, address);
    lan.run_for(ms(2));
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, frames("for bob")).unwrap();
    });
    lan.run_for(ms(1_000));
    lan.reset_dialled(alice, carol);
    lan.run_for(ms(3_000));
    let heard = names(&lan.events(carol));
    assert!(!heard.iter().any(|it| it.contains("for bob")), "{heard:?}");
    lan.events(alice);
    still_talk(&mut lan, alice, carol);
}

// ---- endpoints

#[test]
fn our_own_endpoint_is_never_dialled() {
    // ZRE-3, ZRE-14
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    // In a HELLO.
    let mut hello = lan.hello_of(mallory, "mallory");
    hello.endpoint = text(&format!("tcp://{}", lan.address_of(alice)));
    let link = lan.puppet_dials(mallory, alice);
    lan.puppet_says(mallory, link, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    assert!(lan.the_puppet(mallory).closed.contains(&link));
    // In a beacon from our own address.
    let source = lan.address_of(alice);
    let beacon = atonce::wire::Beacon {
        uuid: PeerId::from_bytes([66; 16]),
        port: source.port(),
        key: None,
    };
    lan.broadcast(bob, source, &beacon.encode());
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn our_own_identity_from_elsewhere_is_refused() {
    // ZRE-3, ZRE-18
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(alice);
    let link = lan.puppet_dials_as(mallory, alice, &id.identity());
    lan.puppet_beacons(mallory, id, 40_000);
    lan.run_for(ms(2_000));
    assert!(lan.the_puppet(mallory).closed.contains(&link));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn who_names_the_endpoint_of_another_is_not_let_in() {
    // ZRE-30
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let mut hello = lan.hello_of(mallory, "mallory");
    hello.endpoint = text(&format!("tcp://{}", lan.address_of(bob)));
    let link = lan.puppet_dials(mallory, alice);
    lan.puppet_says(mallory, link, 1, Command::Hello(hello));
    lan.run_for(ms(5_000));
    assert!(lan.the_puppet(mallory).closed.contains(&link));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn a_beacon_with_a_forged_source_displaces_nobody() {
    // ZRE-30
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let source = lan.address_of(bob);
    let beacon = atonce::wire::Beacon {
        uuid: PeerId::from_bytes([66; 16]),
        port: source.port(),
        key: None,
    };
    for _ in 0..20 {
        lan.broadcast(mallory, source, &beacon.encode());
        lan.run_for(ms(250));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn another_node_on_the_port_of_a_dead_one_takes_its_place() {
    // ZRE-16, ZRE-18
    let (mut lan, alice, bob) = two();
    let address = lan.address_of(bob);
    lan.kill(bob);
    let config = Config {
        name: Some(text("carol")),
        ..Config::default()
    };
    lan.node_at(config, address);
    lan.run_for(ms(2_000));
    let events = names(&lan.events(alice));
    assert!(events[0].starts_with("exit bob lost"), "{events:?}");
    assert_eq!(events[1..], ["enter carol"]);
}

#[test]
fn a_port_that_moves_to_another_puppet_takes_at_most_two_seconds() {
    // ZRE-30
    // A peer without an Identity in its mailbox, as libzmq has it, that vanishes without a word.
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let address = lan.address_of(puppet);
    lan.kill(puppet);
    let other = lan.puppet_at(10, address);
    let id = lan.id(other);
    lan.puppet_beacons(other, id, address.port());
    lan.run_for(ms(20));
    let link = lan.puppet_greets(other, alice);
    lan.puppet_speaks(other, alice, link, 2);
    lan.run_for(ms(2_000));
    let events = names(&lan.events(alice));
    assert!(events[0].starts_with("exit puppet lost"), "{events:?}");
    assert_eq!(events[1..], ["enter puppet"]);
}

#[test]
fn an_endpoint_with_a_host_name_is_dialled_where_the_greeting_came_from() {
    // ZRE-14
    for endpoint in [
        "tcp://some-laptop:49152",
        "tcp://0.0.0.0:49152",
        "tcp://127.0.0.1:49152",
    ] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let mut hello = lan.hello_of(puppet, "puppet");
        hello.endpoint = text(endpoint);
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.run_for(ms(50));
        assert_eq!(names(&lan.events(alice)), ["enter puppet"], "{endpoint}");
    }
}

#[test]
fn endpoints_that_are_none_are_not_dialled() {
    // ZRE-14, ZRE-100
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    for endpoint in [
        "",
        "ipc:///tmp/x",
        "inproc://x",
        "tcp://:1",
        "tcp://10.0.0.2:0",
        "tcp://x",
        "\u{fffd}",
    ] {
        let mut hello = lan.hello_of(puppet, "puppet");
        hello.endpoint = text(endpoint);
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.run_for(ms(50));
        assert!(
            lan.the_puppet(puppet).closed.contains(&link),
            "{endpoint:?}"
        );
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(hellos(&mut lan, puppet), 0);
}

#[test]
fn an_endpoint_that_never_answers_is_left_alone_after_ten_tries() {
    // ZRE-11
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let id = PeerId::from_bytes([66; 16]);
    for _ in 0..240 {
        lan.puppet_beacons(puppet, id, 7);
        lan.run_for(ms(500));
    }
    let dials = lan.dials(alice);
    assert!((8..=20).contains(&dials), "{dials} tries in two minutes");
}

#[test]
fn hints_that_nobody_repeats_are_forgotten() {
    // ZRE-11. Beacons and a HELLO that name places where nobody answers, not even that nobody is there.
    let mut stack = Stack::new(Instant::ZERO, [7; 32], Config::default());
    let interface = atonce::Interface {
        name: "eth0".into(),
        address: [10, 0, 0, 1].into(),
        port: 49152,
    };
    stack.handle_interface_up(Instant::ZERO, interface);
    let beacon = |n: u8| {
        let uuid = PeerId::from_bytes([n; 16]);
        let port = 49152;
        let source = ([10, 0, 0, n], 5670).into();
        let beacon = atonce::wire::Beacon {
            uuid,
            port,
            key: None,
        };
        (source, beacon.encode())
    };
    let (mut now, mut open, mut dials) = (Instant::ZERO, BTreeSet::new(), [0; 250]);
    let mut next_second = now;
    let mut most = 0;
    while now < Instant::from_millis(60_000) {
        // One of them is told again and again.
        if now >= next_second {
            next_second += ms(1_000);
            let last = if now == Instant::ZERO { 250 } else { 11 };
            for n in 10..last {
                let (source, datagram) = beacon(n);
                stack.handle_datagram(now, source, &datagram);
            }
        }
        while let Some(action) = stack.poll_action() {
            match action {
                Action::Dial { link, address } => {
                    assert!(open.insert(link));
                    if let std::net::IpAddr::V4(ip) = address.ip() {
                        dials[usize::from(ip.octets()[3])] += 1;
                    }
                }
                Action::Close { link } => assert!(open.remove(&link)),
                _ => {}
            }
        }
        most = most.max(open.len());
        if now > Instant::from_millis(25_000) {
            assert!(open.len() <= 1, "{} dials at {now}", open.len());
        }
        now = next_second.min(stack.poll_timeout().unwrap().0);
        stack.handle_timeout(now);
    }
    assert_eq!(most, 240);
    assert!(dials[10] > 6, "{} tries", dials[10]);
    assert!(dials[11..].iter().all(|dials| *dials <= 4), "{dials:?}");
}

#[test]
fn a_new_name_for_an_endpoint_wins_no_tries() {
    // ZRE-11
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let id = PeerId::from_bytes([66; 16]);
    for n in 0..300 {
        // Two ports in turn, and goodbyes between them, make each hint give way to the next.
        lan.puppet_beacons(puppet, id, 7 + n % 2);
        lan.run_for(ms(100));
        lan.puppet_beacons(puppet, id, 0);
        lan.puppet_beacons(puppet, PeerId::from_bytes([67; 16]), 7 + (n + 1) % 2);
        lan.run_for(ms(100));
    }
    let dials = lan.dials(alice);
    assert!(
        dials <= 2 * 12,
        "{dials} tries at two endpoints in a minute"
    );
}

#[test]
fn the_endpoint_of_another_machine_named_in_greetings_wins_no_tries() {
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    for n in 0..150_u32 {
        let mut hello = lan.hello_of(puppet, "puppet");
        hello.endpoint = text(&format!("tcp://10.0.0.200:{}", 7 + n % 2));
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.run_for(ms(200));
    }
    let dials = lan.dials(alice);
    assert!(dials <= 2 * 12, "{dials} tries at two endpoints in 30 s");
}

#[test]
fn who_greets_from_its_own_endpoint_is_dialled_at_once_whatever_was_rumoured() {
    // ZRE-11
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    // Nobody is there yet, and somebody else said so until nobody believes it.
    lan.host(puppet).refuses = true;
    let port = lan.address_of(puppet).port();
    for n in 0..200_u8 {
        lan.puppet_beacons(puppet, PeerId::from_bytes([n | 128; 16]), port);
        lan.run_for(ms(500));
    }
    lan.host(puppet).refuses = false;
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn a_greeting_that_leads_nowhere_is_not_held_for_long() {
    // ZRE-12
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let mut hello = lan.hello_of(puppet, "puppet");
    hello.endpoint = text("tcp://10.0.0.200:7");
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(9_000));
    assert!(!lan.the_puppet(puppet).closed.contains(&link));
    lan.run_for(ms(1_500));
    assert!(lan.the_puppet(puppet).closed.contains(&link));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    // It is nobody's fault but that greeting's.
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

// ---- who may speak for an identity

#[test]
fn a_silent_link_under_the_identity_of_another_changes_nothing() {
    // ZRE-22
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(bob);
    let link = lan.puppet_dials_as(mallory, alice, &id.identity());
    lan.run_for(ms(60_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
    lan.puppet_closes(mallory, link);
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn a_greeting_under_the_identity_of_one_who_answers_is_refused() {
    // ZRE-21
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(bob);
    let link = lan.puppet_dials_as(mallory, alice, &id.identity());
    let hello = lan.hello_of(mallory, "mallory");
    lan.puppet_says(mallory, link, 1, Command::Hello(hello));
    lan.run_for(ms(5_000));
    assert!(lan.the_puppet(mallory).closed.contains(&link));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn words_under_the_identity_of_one_who_answers_are_refused() {
    // ZRE-22
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(bob);
    for sequence in [1, 2, 3, 40] {
        let link = lan.puppet_dials_as(mallory, alice, &id.identity());
        let content = frames("I am bob");
        lan.puppet_says(mallory, link, sequence, Command::Whisper { content });
        lan.run_for(ms(3_000));
        assert!(lan.the_puppet(mallory).closed.contains(&link));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn a_greeting_from_elsewhere_replaces_one_who_does_not_answer() {
    // ZRE-21
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let moved = lan.puppet(9);
    lan.puppet_greets(moved, alice);
    lan.run_for(ms(900));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.run_for(ms(300));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
}

#[test]
fn a_dealer_that_reconnects_goes_on_without_a_greeting() {
    // ZRE-22, ZRE-61
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_closes(puppet, link);
    lan.run_for(ms(500));
    let id = lan.id(puppet);
    let again = lan.puppet_dials_as(puppet, alice, &id.identity());
    let content = frames("here I am");
    lan.puppet_says(puppet, again, 2, Command::Whisper { content });
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        [r#"whisper puppet [b"here I am"]"#]
    );
}

#[test]
fn a_link_that_its_own_side_gave_up_is_a_closed_one() {
    // ZRE-61: a time to live that ran out, and an ERROR, keep the rules of ZMTP.
    for last in [&b"\x04\x07\x04PING\x00\x05"[..], b"\x04\x09\x05ERROR\x02no"] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        lan.puppet_sends_octets(puppet, link, last);
        lan.run_for(ms(900));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        let id = lan.id(puppet);
        let again = lan.puppet_dials_as(puppet, alice, &id.identity());
        let content = frames("here I am");
        lan.puppet_says(puppet, again, 2, Command::Whisper { content });
        lan.run_for(ms(50));
        assert_eq!(
            names(&lan.events(alice)),
            [r#"whisper puppet [b"here I am"]"#]
        );
    }
}

#[test]
fn a_dealer_that_reconnects_takes_over_from_a_half_open_link() {
    // ZRE-22
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    // The old connection stays open and says nothing; PINGs are answered on the new one, behind what is held.
    let id = lan.id(puppet);
    let again = lan.puppet_dials_as(puppet, alice, &id.identity());
    let content = frames("here I am");
    lan.puppet_says(puppet, again, 2, Command::Whisper { content });
    lan.puppet_speaks(puppet, alice, again, 3);
    lan.run_for(ms(1_500));
    assert_eq!(
        names(&lan.events(alice)),
        [r#"whisper puppet [b"here I am"]"#]
    );
    lan.run_for(ms(20_000));
    assert!(
        !names(&lan.events(alice))
            .iter()
            .any(|event| event.contains("exit"))
    );
}

#[test]
fn a_dealer_that_lost_messages_while_it_reconnected_is_lost() {
    // ZRE-23
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_closes(puppet, link);
    let id = lan.id(puppet);
    let again = lan.puppet_dials_as(puppet, alice, &id.identity());
    lan.puppet_says(puppet, again, 7, Command::Ping);
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet lost: a gap: expected message 2, found 7"]
    );
}

#[test]
fn the_sequence_on_a_second_link_is_judged_when_the_first_is_read_to_its_end() {
    // ZRE-22, ZRE-23
    for sequence in [3, 4] {
        let (mut lan, alice, puppet, old) = alice_and_puppet();
        lan.the_puppet(puppet).answers_pings = false;
        let content = frames("second");
        let new = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, new, sequence, Command::Whisper { content });
        lan.run_for(ms(100));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        // What comes before was still under way.
        let content = frames("first");
        lan.puppet_says(puppet, old, 2, Command::Whisper { content });
        lan.puppet_closes(puppet, old);
        lan.run_for(ms(100));
        let told = names(&lan.events(alice));
        assert_eq!(told[0], "whisper puppet [b\"first\"]");
        let then = match sequence {
            3 => "whisper puppet [b\"second\"]",
            _ => "exit puppet lost: a gap: expected message 3, found 4",
        };
        assert_eq!(told[1..], [then]);
    }
}

#[test]
fn a_dealer_may_go_on_from_another_address() {
    // ZRE-22
    for (sequence, taken) in [(1_u16, false), (2, true), (3, false)] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let elsewhere = lan.puppet(77);
        lan.run_for(ms(1_000));
        lan.puppet_closes(puppet, link);
        lan.run_for(ms(50));
        let id = lan.id(puppet);
        let link = lan.puppet_dials_as(elsewhere, alice, &id.identity());
        lan.puppet_says(elsewhere, link, sequence, Command::Ping);
        lan.run_for(ms(50));
        assert_eq!(!lan.the_puppet(elsewhere).closed.contains(&link), taken);
        assert_eq!(names(&lan.events(alice)), NOTHING);
    }
}

#[test]
fn of_two_greetings_before_it_enters_the_newer_counts() {
    // ZRE-20
    // Whoever squats on an identity, or a greeting that leads nowhere, does not keep out one who is reached.
    let mut world = World::new(Config::default());
    let eve = world.puppet("eve", 11, address_of(3, 0));
    let ann = world.puppet("ann", 10, address_of(2, 0));
    world.puppets[eve].door = Door::Dark;
    let (id, from) = (world.puppets[ann].id, world.puppets[eve].address);
    let squatter = world.dial_in_as(eve, from, Some(id)).unwrap();
    let hello = world.hello(eve, &[]);
    world.say(squatter, 1, hello);
    assert!(world.events.is_empty());
    world.greet(ann, &[]);
    let told: Vec<_> = world.events.iter().map(tell).collect();
    assert_eq!(told, ["enter ann"]);
    assert!(!world.links().contains(&squatter));
}

#[test]
fn a_gap_from_elsewhere_evicts_nobody() {
    // ZRE-23
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_closes(puppet, link);
    let mallory = lan.puppet(66);
    let id = lan.id(puppet);
    let forged = lan.puppet_dials_as(mallory, alice, &id.identity());
    lan.puppet_says(mallory, forged, 7, Command::Ping);
    lan.run_for(ms(50));
    assert!(lan.the_puppet(mallory).closed.contains(&forged));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn a_second_greeting_on_the_same_link_is_a_restart() {
    // ZRE-20, ZRE-24
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.run_for(ms(1_000));
    let before = hellos(&mut lan, puppet);
    let hello = lan.hello_of(puppet, "puppet");
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
    // It forgot us as well, so it is greeted again, once.
    assert_eq!(hellos(&mut lan, puppet), before + 1);
}

#[test]
fn two_nodes_never_greet_each_other_for_ever() {
    // ZRE-24
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    // The puppet answers every HELLO with a HELLO, at once, and slowly.
    for pause in [10, 450] {
        let start = hellos(&mut lan, puppet);
        let mut seen = start;
        for _ in 0..(10_000 / pause) {
            lan.run_for(ms(pause));
            let now = hellos(&mut lan, puppet);
            if now > seen || now == start {
                seen = now;
                let hello = lan.hello_of(puppet, "puppet");
                if lan.the_puppet(puppet).closed.contains(&link) {
                    break;
                }
                lan.puppet_says(puppet, link, 1, Command::Hello(hello));
            }
        }
        let said = hellos(&mut lan, puppet) - start;
        assert!(said < 5, "{said} greetings in ten seconds");
    }
    lan.events(alice);
}

#[test]
fn a_storm_of_greetings_is_ended() {
    // ZRE-24
    let (mut lan, alice, puppet, mut link) = alice_and_puppet();
    for _ in 0..100 {
        let hello = lan.hello_of(puppet, "puppet");
        if lan.the_puppet(puppet).closed.contains(&link) {
            link = lan.puppet_dials(puppet, alice);
        }
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.run_for(ms(50));
    }
    let events = names(&lan.events(alice));
    assert!(
        events.len() < 20,
        "{} events for 100 greetings",
        events.len()
    );
}

// ---- messages

#[test]
fn a_gap_costs_one_exit_and_the_peer_may_come_back() {
    // ZRE-71
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_says(puppet, link, 3, Command::Ping);
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet lost: a gap: expected message 2, found 3"]
    );
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn a_malformed_message_costs_only_its_sender() {
    // ZRE-73, ZRE-92
    let (mut lan, alice, bob) = two();
    let puppet = lan.puppet(9);
    let link = lan.puppet_greets(puppet, alice);
    lan.run_for(ms(50));
    // JOIN whose group is cut.
    lan.puppet_sends(puppet, link, Frames::from(b"\xaa\xa1\x04\x02\x00\x02\x05G"));
    lan.run_for(ms(50));
    let events = names(&lan.events(alice));
    assert_eq!(events[0], "enter puppet");
    assert!(events[1].starts_with("exit puppet lost: a malformed message"));
    assert_eq!(events.len(), 2);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn a_link_that_breaks_the_rules_of_zmtp_costs_its_peer_only() {
    // ZRE-84
    for octets in [
        &b"\x08\x01x"[..],
        b"\x04\x05\x04PING",
        b"\x02\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let bob = lan.node("bob");
        lan.run_for(ms(100));
        lan.events(alice);
        lan.events(bob);
        lan.puppet_sends_octets(puppet, link, octets);
        lan.run_for(ms(50));
        let lost = ["exit puppet lost: its link broke the rules of ZMTP"];
        assert_eq!(names(&lan.events(alice)), lost, "{octets:02x?}");
        assert!(lan.the_puppet(puppet).closed.contains(&link));
        still_talk(&mut lan, alice, bob);
    }
}

#[test]
fn what_is_no_zre_message_is_discarded_without_a_word() {
    // ZRE-73, ZRE-91
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    for junk in [
        &b""[..],
        b"x",
        b"\xaa\xa0\x01\x01",
        b"\xaa\xa1\x02\x03\x00\x02",
    ] {
        lan.puppet_sends(puppet, link, Frames::from(junk.to_vec()));
    }
    lan.puppet_says(
        puppet,
        link,
        2,
        Command::Whisper {
            content: frames("fine"),
        },
    );
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), [r#"whisper puppet [b"fine"]"#]);
}

#[test]
fn whatever_precedes_the_greeting_has_no_meaning() {
    // ZRE-15
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Ping);
    lan.puppet_says(
        puppet,
        link,
        2,
        Command::Whisper {
            content: frames("?"),
        },
    );
    let hello = lan.hello_of(puppet, "puppet");
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn commands_of_elections_and_of_the_future_do_not_break_a_link() {
    // ZRE-73, ZRE-98
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let commands = [
        Command::Elect {
            group: text("G"),
            challenger_id: text("not a uuid"),
        },
        Command::Leader {
            group: text("G"),
            leader_id: text(""),
        },
        Command::Unknown(UnknownCommand::new(99).unwrap()),
        Command::Whisper {
            content: frames("still here"),
        },
    ];
    for (sequence, command) in (2..).zip(commands) {
        lan.puppet_says(puppet, link, sequence, command);
    }
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        [r#"whisper puppet [b"still here"]"#]
    );
}

#[test]
fn a_message_without_content_is_delivered_as_such() {
    // ZRE-74
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.with(alice, |stack, now| stack.join(now, &text("G")));
    for sequence in 2..500 {
        let content = Frames::new();
        let command = if sequence % 2 == 0 {
            Command::Whisper { content }
        } else {
            Command::Shout {
                group: text("G"),
                content,
            }
        };
        lan.puppet_says(puppet, link, sequence, command);
    }
    lan.run_for(ms(50));
    assert_eq!(lan.events(alice).len(), 498);
}

#[test]
fn a_wrong_status_is_no_crime() {
    // ZRE-72
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_says(
        puppet,
        link,
        2,
        Command::Join {
            group: text("G"),
            status: 77,
        },
    );
    lan.puppet_says(
        puppet,
        link,
        3,
        Command::Join {
            group: text("G"),
            status: 77,
        },
    );
    lan.puppet_says(
        puppet,
        link,
        4,
        Command::Leave {
            group: text("G"),
            status: 1,
        },
    );
    lan.puppet_says(
        puppet,
        link,
        5,
        Command::Leave {
            group: text("H"),
            status: 0,
        },
    );
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["join puppet G", "leave puppet G"]
    );
}

#[test]
fn a_shout_to_a_group_we_are_not_in_is_not_delivered() {
    // ZRE-75
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let command = Command::Shout {
        group: text("G"),
        content: frames("?"),
    };
    lan.puppet_says(puppet, link, 2, command);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn sequences_wrap_as_each_side_does() {
    // ZRE-70
    for early in [false, true] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let id = lan.id(puppet);
        let mut sequence = 2_u16;
        for round in 0..70_000_u32 {
            lan.puppet_says(puppet, link, sequence, Command::PingOk);
            sequence = match sequence {
                65_534 if early => 0,
                other => other.wrapping_add(1),
            };
            if round % 1_000 == 0 {
                lan.run_for(ms(5));
            }
        }
        lan.run_for(ms(5));
        lan.puppet_speaks(puppet, alice, link, sequence);
        for _ in 0..70_000 {
            lan.with(alice, |stack, now| {
                stack.whisper(now, id, frames("x")).unwrap();
            });
        }
        lan.run_for(ms(50));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        let sent: Vec<u16> = lan
            .the_puppet(puppet)
            .heard
            .iter()
            .map(|(_, m)| m.sequence)
            .collect();
        assert!(sent.len() > 70_000);
        assert_eq!(sent.contains(&65_535), !early);
    }
}

#[test]
fn a_wrap_costs_no_message_even_with_one_who_wraps_early() {
    // ZRE-70
    for greets_before_its_link_ends in [false, true] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let id = lan.id(puppet);
        let whisper = |lan: &mut Lan, content: &'static str, times: usize| {
            for _ in 0..times {
                lan.with(alice, |stack, now| {
                    stack.whisper(now, id, frames(content)).unwrap();
                });
            }
            lan.run_for(ms(20));
        };
        let heard = |lan: &mut Lan| {
            let heard = std::mem::take(&mut lan.the_puppet(puppet).heard);
            let heard = heard.into_iter().map(|(_, message)| message);
            heard.collect::<Vec<_>>()
        };
        lan.the_puppet(puppet).answers_pings = false;
        whisper(&mut lan, "x", 65_533);
        assert_eq!(heard(&mut lan).last().unwrap().sequence, 65_534);
        // The number on which they disagree is spent on a question, and what follows waits.
        whisper(&mut lan, "held", 3);
        let asked = heard(&mut lan);
        assert_eq!(asked.len(), 1);
        assert_eq!(
            (asked[0].sequence, &asked[0].command),
            (65_535, &Command::Ping)
        );
        // Its answer: it hangs up, and greets anew.
        lan.the_puppet(puppet).answers_pings = true;
        if !greets_before_its_link_ends {
            lan.puppet_closes(puppet, link);
            lan.run_for(ms(10));
        }
        let again = lan.puppet_greets(puppet, alice);
        lan.puppet_speaks(puppet, alice, again, 2);
        lan.run_for(ms(20));
        lan.puppet_closes(puppet, link);
        lan.run_for(ms(20));
        let said = heard(&mut lan);
        let words: Vec<_> = said
            .iter()
            .map(|m| (m.sequence, m.command.name()))
            .collect();
        assert_eq!(words[0], (1, "HELLO"));
        let held = said
            .iter()
            .filter(|m| matches!(m.command, Command::Whisper { .. }));
        assert_eq!(held.count(), 3, "{words:?}");
        assert_eq!(names(&lan.events(alice)), NOTHING);
        if greets_before_its_link_ends {
            continue;
        }
        // It is remembered.
        whisper(&mut lan, "y", 70_000);
        let said = heard(&mut lan);
        assert_eq!(said.len(), 70_000);
        assert!(said.iter().all(|message| message.sequence != 65_535));
        assert_eq!(names(&lan.events(alice)), NOTHING);
    }
}

#[test]
fn one_who_does_not_say_how_it_wraps_is_not_waited_for_when_its_queue_is_full() {
    // ZRE-70
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    let mut said = 0;
    let full = |lan: &mut Lan| {
        lan.with(alice, |stack, now| stack.whisper(now, id, frames("x")))
            .is_err()
    };
    while !full(&mut lan) {
        said += 1;
    }
    lan.run_for(ms(20));
    assert!(lan.the_puppet(puppet).heard.len() < said);
    lan.run_for(ms(10_500));
    let whispers = lan.the_puppet(puppet).heard.iter();
    let whispers = whispers.filter(|(_, m)| matches!(m.command, Command::Whisper { .. }));
    assert_eq!(whispers.count(), said);
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive puppet", "silent puppet"]
    );
}

#[test]
fn the_status_wraps_at_256() {
    // ZRE-72
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    for _ in 0..150 {
        lan.with(alice, |stack, now| {
            stack.join(now, &text("G"));
            stack.leave(now, &text("G"));
        });
    }
    lan.run_for(ms(50));
    let statuses: Vec<u8> = lan
        .the_puppet(puppet)
        .heard
        .iter()
        .filter_map(|(_, message)| match message.command {
            Command::Join { status, .. } | Command::Leave { status, .. } => Some(status),
            _ => None,
        })
        .collect();
    let expected: Vec<u8> = (1..=300_u16).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(statuses, expected);
}

// ---- cuts

#[test]
fn a_link_that_is_cut_with_nothing_under_way_goes_on() {
    // ZRE-60, ZRE-62
    let (mut lan, alice, bob) = two();
    // A PING and its answer confirm all that was said before.
    let mallory = lan.puppet(66);
    let forged = lan.id(bob);
    lan.puppet_beacons(mallory, forged, 0);
    // Long enough for the goodbye to be forgotten.
    lan.run_for(ms(6_000));
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(100));
    still_talk(&mut lan, alice, bob);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(names(&lan.events(bob)), NOTHING);
}

#[test]
fn a_link_that_is_cut_with_messages_under_way_is_told() {
    // ZRE-62
    let (mut lan, alice, bob) = two();
    let id = lan.id(bob);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, frames("lost?")).unwrap();
    });
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(3_000));
    let events = names(&lan.events(alice));
    assert!(
        events[0].starts_with("exit bob lost: its link was cut"),
        "{events:?}"
    );
    assert_eq!(events[1..], ["enter bob"]);
    let events = names(&lan.events(bob));
    assert_eq!(
        events.last().map(String::as_str),
        Some("enter alice"),
        "{events:?}"
    );
    still_talk(&mut lan, alice, bob);
}

#[test]
fn an_answer_from_before_the_cut_confirms_nothing_of_what_was_said_after_it() {
    // ZRE-62
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let id = lan.id(puppet);
    lan.the_puppet(puppet).answers_pings = false;
    let whisper = |lan: &mut Lan| {
        lan.with(alice, |stack, now| {
            stack.whisper(now, id, frames("lost?")).unwrap();
        });
    };
    let cut = |lan: &mut Lan| {
        lan.reset_dialled(alice, puppet);
        lan.run_for(ms(100));
        let events = names(&lan.events(alice));
        assert!(
            events[0].starts_with("exit puppet lost: its link was cut"),
            "{events:?}"
        );
        assert_eq!(events[1..], ["enter puppet"]);
    };
    // It is asked, for its silence; its answer takes its time.
    lan.run_for(ms(4_100));
    whisper(&mut lan);
    cut(&mut lan);
    // In the new conversation it is asked as well, and now the first answer comes.
    whisper(&mut lan);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(10));
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::PingOk);
    lan.run_for(ms(10));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    cut(&mut lan);
}

#[test]
fn all_links_cut_at_once_heal() {
    // ZRE-63
    let (mut lan, alice, bob) = two();
    lan.reset_links(bob);
    lan.run_for(ms(3_000));
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        let events = names(&lan.events(host));
        let enters = events
            .iter()
            .filter(|e| **e == format!("enter {other}"))
            .count();
        let exits = events.iter().filter(|e| e.starts_with("exit")).count();
        assert_eq!(enters, exits, "{events:?}");
        assert!(enters <= 2, "{events:?}");
    }
    still_talk(&mut lan, alice, bob);
}

#[test]
fn one_whose_link_ended_before_it_entered_has_a_second_to_speak() {
    // ZRE-61
    for comes_back in [false, true] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let link = lan.puppet_greets(puppet, alice);
        let group = text("G");
        lan.puppet_says(puppet, link, 2, Command::Join { group, status: 1 });
        lan.run_until(|lan| lan.dials(alice) == 1);
        // What came is held until our own link is up, and its end is there by then.
        lan.puppet_closes(puppet, link);
        if comes_back {
            let again = lan.puppet_dials(puppet, alice);
            lan.puppet_speaks(puppet, alice, again, 3);
        }
        lan.run_for(ms(900));
        assert_eq!(
            names(&lan.events(alice)),
            ["enter puppet", "join puppet G"],
            "comes back: {comes_back}"
        );
        lan.run_for(ms(200));
        let told = names(&lan.events(alice));
        if comes_back {
            assert_eq!(told, NOTHING);
        } else {
            assert_eq!(
                told,
                ["exit puppet lost: its link was cut, 2 messages to it may be lost"]
            );
        }
    }
}

#[test]
fn a_dial_that_failed_is_over_before_the_next_begins() {
    // ZRE-60. Not a mailbox: it says something else, and does not read what we say.
    let config = Config {
        beacons: false,
        ..Config::default()
    };
    let mut stack = Stack::new(Instant::ZERO, [7; 32], config);
    let there = "tcp://10.0.0.9:80".parse().unwrap();
    stack.connect(Instant::ZERO, &there);
    let (mut now, mut open, mut dials) = (Instant::ZERO, BTreeSet::new(), 0);
    while now < Instant::from_millis(10_000) {
        while let Some(action) = stack.poll_action() {
            match action {
                Action::Dial { link, .. } => {
                    assert!(open.is_empty(), "two links to one mailbox at {now}");
                    open.insert(link);
                    dials += 1;
                    stack.handle_connected(now, link, "10.0.0.1:50000".parse().unwrap());
                    stack.handle_received(now, link, b"HTTP/1.1 400 Bad Request\r\n\r\n");
                }
                Action::Close { link } => {
                    open.remove(&link);
                }
                _ => {}
            }
        }
        now = stack.poll_timeout().unwrap().0;
        stack.handle_timeout(now);
    }
    assert!(dials > 3, "{dials} tries");
}

// ---- floods and slowness

#[test]
fn a_flood_of_beacons_is_capped() {
    // ZRE-11
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    for n in 0..2_000_u16 {
        let mut octets = [0; 16];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        lan.puppet_beacons(mallory, PeerId::from_bytes(octets), 1_000 + n);
    }
    lan.run_for(ms(5));
    assert!(lan.open_links(alice) <= 260);
    lan.run_for(ms(30_000));
    assert!(lan.stack(alice).counters().hints_refused > 1_000);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
    // A newcomer from elsewhere is served.
    let carol = lan.node("carol");
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter carol"]);
    assert_eq!(names(&lan.events(carol)).len(), 2);
}

#[test]
fn a_flood_of_hints_keeps_no_newcomer_out() {
    // ZRE-11
    let mut lan = Lan::new();
    let mut config = Config {
        name: Some(text("alice")),
        ..Config::default()
    };
    config.limits.contacts = 64;
    let (alice, puppet) = (lan.node_with(config), lan.puppet(9));
    let flood = |lan: &mut Lan, round: u8| {
        for n in 0..200_u8 {
            let mut octets = [round; 16];
            octets[0] = n;
            lan.puppet_beacons(puppet, PeerId::from_bytes(octets), 1_000 + u16::from(n));
        }
    };
    flood(&mut lan, 1);
    lan.run_for(ms(100));
    assert!(lan.stack(alice).counters().hints_refused > 0);
    let bob = lan.node("bob");
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    // Also one on the very machine from which the flood comes, or seems to come.
    flood(&mut lan, 2);
    lan.run_for(ms(3_000));
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn a_flood_of_links_is_capped() {
    // ZRE-15
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    for n in 0..2_000_u16 {
        let mut octets = [0; 16];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        lan.puppet_dials_as(mallory, alice, &PeerId::from_bytes(octets).identity());
    }
    lan.run_for(ms(100));
    assert!(lan.open_links(alice) <= 260);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
    let carol = lan.node("carol");
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter carol"]);
    lan.run_for(ms(11_000));
    assert_eq!(lan.open_links(alice), 4, "two to each peer");
    let _ = carol;
}

#[test]
fn a_slow_application_stops_its_talker_and_nobody_else() {
    // ZRE-52, ZRE-80
    let mut lan = Lan::new();
    let mut config = Config {
        name: Some(text("alice")),
        ..Config::default()
    };
    config.limits.receive_octets = 100_000;
    let alice = lan.node_with(config);
    let (bob, puppet) = (lan.node("bob"), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    lan.events(alice);
    lan.host(alice).reading = false;
    for _ in 0..1_000 {
        let sequence = lan.puppet_next(puppet, alice);
        let content = Frames::from(vec![7; 1_000]);
        lan.puppet_says(puppet, link, sequence, Command::Whisper { content });
        lan.run_for(ms(1));
    }
    // Forty seconds of slowness: nobody is missed for it, and bob's PINGs are answered.
    lan.run_for(ms(40_000));
    assert_eq!(lan.stack(alice).counters().pauses, 1);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    let id = lan.id(alice);
    lan.with(bob, |stack, now| {
        stack.whisper(now, id, frames("you there?")).unwrap();
    });
    lan.run_for(ms(50));
    lan.host(alice).reading = true;
    lan.run_for(ms(100));
    let events = names(&lan.events(alice));
    let whispers = events
        .iter()
        .filter(|e| e.starts_with("whisper puppet"))
        .count();
    assert_eq!(whispers, 1_000);
    assert!(events.iter().any(|e| e.starts_with("whisper bob")));
    assert!(!events.iter().any(|e| e.starts_with("exit")), "{events:?}");
}

#[test]
fn a_peer_that_does_not_read_is_told_gone_and_no_other_peer_notices() {
    // ZRE-81
    let (mut lan, alice, bob) = two();
    let puppet = lan.puppet(9);
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    lan.events(alice);
    lan.host(puppet).stalled = true;
    let (stalled, bobs) = (lan.id(puppet), lan.id(bob));
    let mut full = 0;
    for _ in 0..2_000 {
        let content = Frames::from(vec![7; 64 * 1024]);
        let sent = lan.with(alice, |stack, now| stack.whisper(now, stalled, content));
        full += u32::from(sent == Err(atonce::SendError::Full));
        lan.with(alice, |stack, now| {
            stack.whisper(now, bobs, frames("x")).unwrap();
        });
    }
    assert!(full > 1_800, "{full}");
    lan.run_for(ms(9_000));
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive puppet", "silent puppet"]
    );
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["exit puppet overrun"]);
    still_talk_after(&mut lan, bob, 2_000);
}

fn still_talk_after(lan: &mut Lan, bob: usize, messages: usize) {
    assert_eq!(lan.events(bob).len(), messages);
}

#[test]
fn too_many_groups_cost_the_peer_only() {
    // ZRE-83
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    for n in 0..1_100_u16 {
        if lan.the_puppet(puppet).closed.contains(&link) {
            break;
        }
        let group = text(&format!("g{n}"));
        lan.puppet_says(puppet, link, n + 2, Command::Join { group, status: 0 });
        lan.run_for(ms(2));
    }
    let events = names(&lan.events(alice));
    assert_eq!(events.len(), 1_025);
    assert_eq!(
        events.last().map(String::as_str),
        Some("exit puppet lost: it went over the limit of groups of a peer")
    );
}

// ---- contact by endpoint

#[test]
fn a_peer_is_contacted_by_its_endpoint_until_it_answers() {
    let quiet = |name| Config {
        name: Some(text(name)),
        beacons: false,
        ..Config::default()
    };
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    let there = "tcp://10.0.0.2:49152".parse().unwrap();
    lan.with(alice, |stack, now| stack.connect(now, &there));
    lan.run_for(ms(120_000));
    let bob = lan.node_with(quiet("bob"));
    let took = lan.run_until(|lan| lan.stack(alice).peers().count() == 1);
    assert!(took < Duration::from_secs(40), "{took:?}");
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    // And again after it died and came back.
    lan.kill(bob);
    lan.run_for(ms(5_000));
    let address = lan.address_of(bob);
    lan.node_at(quiet("bob"), address);
    lan.run_for(ms(60_000));
    let events = names(&lan.events(alice));
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[1], "enter bob");
}

#[test]
fn a_host_name_is_looked_up_by_the_embedder_and_again_when_it_fails() {
    let mut stack = Stack::new(Instant::ZERO, [1; 32], Config::default());
    let endpoint = "tcp://hub.example:5000".parse().unwrap();
    stack.connect(Instant::ZERO, &endpoint);
    let ask = |stack: &mut Stack| {
        let mut asked = None;
        while let Some(action) = stack.poll_action() {
            if let Action::Resolve { query, host, port } = action {
                assert_eq!((host.as_str(), port), ("hub.example", 5000));
                asked = Some(query);
            }
        }
        asked
    };
    let first = ask(&mut stack).unwrap();
    // Nobody answers in time; a late answer is not taken.
    let mut now = Instant::from_millis(5_000);
    stack.handle_timeout(now);
    stack.handle_resolved(now, first, &["10.0.0.9:5000".parse().unwrap()]);
    assert_eq!(ask(&mut stack), None);
    now += Duration::from_secs(3);
    stack.handle_timeout(now);
    let second = ask(&mut stack).unwrap();
    assert_ne!(first, second);
    stack.handle_resolved(now, second, &["10.0.0.9:5000".parse().unwrap()]);
    let dial = stack.poll_action();
    assert!(
        matches!(dial, Some(Action::Dial { address, .. }) if address.to_string() == "10.0.0.9:5000"),
        "{dial:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut lan = Lan::new();
        let nodes: Vec<_> = (0..5).map(|n| lan.node(&format!("n{n}"))).collect();
        lan.run_for(ms(1_500));
        lan.isolate(nodes[0], true);
        lan.run_for(ms(12_000));
        lan.isolate(nodes[0], false);
        lan.kill(nodes[1]);
        lan.run_for(ms(40_000));
        let mut trace = Vec::new();
        for &node in &nodes {
            if node != nodes[1] {
                trace.push(names(&lan.events(node)));
            }
        }
        (trace, lan.deliveries())
    };
    assert_eq!(run(), run());
}

#[test]
fn abilities_are_told_in_one_header() {
    // ZRE-99
    let (mut lan, alice, bob) = two();
    let bobs = lan.id(bob);
    let view = lan.stack(alice).peer(bobs).unwrap();
    let headers: Vec<_> = view
        .peer
        .headers
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(headers, ["X-ATONCE"]);
}

// ---- last words and first words

#[test]
fn what_was_said_right_before_the_goodbye_is_heard() {
    // ZRE-40
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    // The goodbye and the end of our own link overtake what the peer said last.
    let id = lan.id(puppet);
    lan.host(alice).deaf = true;
    for _ in 0..100 {
        let sequence = lan.puppet_next(puppet, alice);
        let content = Frames::from(vec![7; 10_000]);
        lan.puppet_says(puppet, link, sequence, Command::Whisper { content });
    }
    lan.puppet_beacons(puppet, id, 0);
    lan.host(puppet).refuses = true;
    lan.puppet_hangs_up_on(puppet, alice);
    lan.run_for(ms(400));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.hear(alice);
    lan.puppet_closes(puppet, link);
    lan.run_for(ms(10));
    let events = names(&lan.events(alice));
    assert_eq!(events.len(), 101);
    assert_eq!(events.last().map(String::as_str), Some("exit puppet left"));
}

#[test]
fn a_large_message_right_behind_the_greeting_is_a_peers_message() {
    // ZRE-15, ZRE-84
    for together in [false, true] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        lan.host(alice).deaf = together;
        let link = lan.puppet_greets(puppet, alice);
        let content = Frames::from(vec![7; 3_000_000]);
        lan.puppet_says(puppet, link, 2, Command::Whisper { content });
        let content = frames("small");
        lan.puppet_says(puppet, link, 3, Command::Whisper { content });
        lan.run_for(ms(50));
        if together {
            lan.hear(alice);
        }
        lan.run_for(ms(50));
        let events = lan.events(alice);
        assert_eq!(events.len(), 4, "{:?}", names(&events));
    }
}

#[test]
fn a_stranger_keeps_its_limits() {
    // ZRE-15
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_sends(puppet, link, Frames::from(vec![7; 2_000_000]));
    lan.run_for(ms(50));
    assert!(lan.the_puppet(puppet).closed.contains(&link));
}

#[test]
fn a_stranger_who_greets_after_us_is_asked_whether_it_knows_us() {
    // ZRE-13, ZRE-17
    let pings = |lan: &mut Lan, puppet| {
        let heard = lan.the_puppet(puppet).heard.iter();
        heard
            .filter(|(_, message)| message.command == Command::Ping)
            .count()
    };
    // It greeted first.
    let (mut lan, _, puppet, _) = alice_and_puppet();
    assert_eq!(pings(&mut lan, puppet), 0);
    // We did, at its beacon.
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(10));
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert_eq!(pings(&mut lan, puppet), 1);
    // It answered with its sequence 2, and nothing else happened.
    assert_eq!(lan.puppet_next(puppet, alice), 3);
}

// ---- the machine

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
                .whisper(now, alices, frames("are you there?"))
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
        still_talk(&mut lan, alice, bob);
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
    world.node.whisper(now, id, frames("long")).unwrap();
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
    lan.with(alice, |stack, now| stack.connect(now, &endpoint));
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
            .whisper(now, id, Frames::from(vec![7; 1_000_000]))
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
