//! Directed beacons and introductions, with keys.

use std::net::SocketAddr;

use atonce::wire::Beacon;
use atonce::zre::Beacons;
use atonce::{Action, Instant, Interface, PeerId, Stack};

use crate::support::{Lan, names};
use crate::{NOTHING, ms, node, public, secure};

fn directed(lan: &mut Lan, name: &str, octet: u8) -> usize {
    let mut config = secure(name, octet);
    config.beacons = Beacons::Directed;
    node(lan, config)
}

#[test]
fn a_directed_beacon_brings_the_key_and_so_does_its_answer() {
    // ZRE-131, ZRE-133, ZRE-110
    let mut lan = Lan::new();
    let (server, alice) = (
        directed(&mut lan, "server", 2),
        directed(&mut lan, "alice", 1),
    );
    let there = SocketAddr::new(lan.address_of(server).ip(), 5670);
    lan.with(alice, |stack, now| stack.beacon(now, there).unwrap());
    lan.run_for(ms(1_000));
    assert_eq!(names(&lan.events(alice)), ["enter server"]);
    assert_eq!(names(&lan.events(server)), ["enter alice"]);
    let said: Vec<_> = lan
        .directed
        .iter()
        .map(|(_, who, _, datagram)| (*who, Beacon::decode(datagram).unwrap().key.unwrap()))
        .collect();
    let expected = [(alice, 1), (server, 2)].map(|(who, key)| (who, *public(key).as_bytes()));
    assert_eq!(said, expected);
}

#[test]
fn a_secure_node_answers_nobody_without_a_key() {
    // ZRE-133, ZRE-110: what it would say is longer than what came.
    let mut config = secure("server", 2);
    config.beacons = Beacons::Directed;
    let mut stack = Stack::new(Instant::ZERO, [7; 32], config);
    let interface = Interface {
        name: "eth0".into(),
        address: [10, 0, 0, 1].into(),
        port: 49152,
        zone: 0,
    };
    stack.handle_interface_up(Instant::ZERO, interface);
    let mut beacon = Beacon {
        uuid: PeerId::from_bytes([9; 16]),
        port: 49152,
        key: None,
    };
    let source = "10.0.0.9:5671".parse().unwrap();
    stack.handle_datagram(Instant::ZERO, source, &beacon.encode());
    beacon.key = Some([0; 32]);
    stack.handle_datagram(Instant::ZERO, source, &beacon.encode());
    assert_eq!(stack.poll_action(), None);
    beacon.key = Some(*public(9).as_bytes());
    stack.handle_datagram(Instant::ZERO, source, &beacon.encode());
    let Some(Action::Beacon { to, datagram, .. }) = stack.poll_action() else {
        panic!("no answer");
    };
    assert_eq!((to, datagram.len()), (source, beacon.encode().len()));
}

#[test]
fn an_introduction_says_the_key() {
    // ZRE-135, ZRE-110, ZRE-120
    let mut lan = Lan::new();
    let mut config = secure("alice", 1);
    config.beacons = Beacons::Say;
    let alice = node(&mut lan, config);
    let mut config = secure("bob", 2);
    config.beacons = Beacons::Off;
    let bob = node(&mut lan, config);
    let (id, address) = (lan.id(bob), lan.address_of(bob));
    // None, one that nobody can own, and that of another.
    for key in [None, Some(atonce::curve::PublicKey::from_bytes([0; 32]))] {
        lan.with(alice, |stack, now| stack.introduce(now, id, address, key));
    }
    lan.run_for(ms(1_000));
    assert_eq!(lan.dials(alice), 0);
    lan.with(alice, |stack, now| {
        stack.introduce(now, id, address, Some(public(9)));
    });
    lan.run_for(ms(1_000));
    assert!(lan.dials(alice) > 0);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.with(alice, |stack, now| {
        stack.introduce(now, id, address, Some(public(2)));
    });
    lan.run_for(ms(15_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
}
