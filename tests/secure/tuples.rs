//! Tuples of gossip networks, with keys.

use atonce::endpoint::Endpoint;
use atonce::zre::Beacons;
use atonce::{Config, PeerId};

use crate::support::{Lan, names};
use crate::{NOTHING, ms, node, public, secure};

fn quiet(name: &str, octet: u8) -> Config {
    Config {
        beacons: Beacons::Off,
        ..secure(name, octet)
    }
}

/// A tuple of a host, under this UUID and key, at another.
fn note(lan: &mut Lan, who: usize, id: PeerId, there: usize, key: Option<u8>) {
    let endpoint = Endpoint::from(lan.address_of(there));
    lan.with(who, |stack, now| {
        stack
            .note_tuple(now, id, &endpoint, key.map(public))
            .unwrap();
    });
}

#[test]
fn a_tuple_leads_to_whoever_has_its_key_and_to_nobody_else() {
    // ZRE-150, ZRE-110
    let mut lan = Lan::new();
    let alice = node(&mut lan, quiet("alice", 1));
    let bob = node(&mut lan, quiet("bob", 2));
    let id = lan.id(bob);
    for key in [None, Some(9)] {
        note(&mut lan, alice, id, bob, key);
        lan.run_for(ms(5_000));
        assert_eq!(names(&lan.events(alice)), NOTHING, "{key:?}");
    }
    assert!(lan.stack(alice).counters().beacons_refused > 0);
    // What is true takes the place of what is not.
    note(&mut lan, alice, id, bob, Some(2));
    lan.run_for(ms(1_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
}

#[test]
fn what_tuples_say_of_other_keys_costs_no_peer_its_place() {
    // ZRE-120, ZRE-153
    let mut lan = Lan::new();
    let alice = node(&mut lan, quiet("alice", 1));
    let bob = node(&mut lan, quiet("bob", 2));
    let id = lan.id(bob);
    note(&mut lan, alice, id, bob, Some(2));
    lan.run_for(ms(1_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    lan.events(bob);
    for octet in 10..60 {
        // Its UUID with other keys, and others at its endpoint.
        note(&mut lan, alice, id, bob, Some(octet));
        note(
            &mut lan,
            alice,
            PeerId::from_bytes([octet; 16]),
            bob,
            Some(octet),
        );
        lan.run_for(ms(500));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(lan.dials(alice), 1);
    lan.still_talk(alice, bob);
}

#[test]
fn of_old_and_new_tuples_for_one_endpoint_each_key_has_its_turn() {
    // ZRE-119: its certificate is another than when it last was there, and nobody took the old tuples back.
    let mut lan = Lan::new();
    let alice = node(&mut lan, quiet("alice", 1));
    let bob = node(&mut lan, quiet("bob", 2));
    for octet in 10..13 {
        note(
            &mut lan,
            alice,
            PeerId::from_bytes([octet; 16]),
            bob,
            Some(octet),
        );
    }
    let id = lan.id(bob);
    note(&mut lan, alice, id, bob, Some(2));
    lan.run_for(ms(10_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
}
