//! Where a peer is said to be: hints, dials and who may name them.

use std::collections::BTreeSet;

use atonce::wire::zre::Command;
use atonce::{Action, Config, Instant, PeerId, Stack};

use crate::support::{Lan, names, text, two};
use crate::{NOTHING, alice_and_puppet, hellos, ms};

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
    lan.still_talk(alice, bob);
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
    lan.still_talk(alice, bob);
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
    lan.still_talk(alice, bob);
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
    lan.still_talk(alice, bob);
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
        zone: 0,
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
    lan.run_for(ms(29_000));
    assert!(!lan.the_puppet(puppet).closed.contains(&link));
    lan.run_for(ms(1_500));
    assert!(lan.the_puppet(puppet).closed.contains(&link));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    // It is nobody's fault but that greeting's.
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}
