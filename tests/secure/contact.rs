//! Contact by endpoint, with a key.

use atonce::curve::PublicKey;
use atonce::wire::zre::Command;
use atonce::zmtp::Verdict;
use atonce::zre::{Beacons, ConnectError};
use atonce::{Action, Config, Instant, PeerId, Stack};

use crate::support::{Lan, names, text};
use crate::{NOTHING, alice, enter, keys, ms, node, public, secure, tell};

#[test]
fn an_endpoint_is_contacted_with_its_key() {
    // ZRE-121
    let mut lan = Lan::new();
    let mut config = secure("alice", 1);
    config.beacons = Beacons::Off;
    let alice = node(&mut lan, config);
    let mut config = secure("bob", 2);
    config.beacons = Beacons::Off;
    let bob = node(&mut lan, config);
    let endpoint = format!("tcp://{}", lan.address_of(bob)).parse().unwrap();
    lan.with(alice, |stack, now| {
        assert_eq!(stack.connect(now, &endpoint), Err(ConnectError::NoKey));
        let zero = PublicKey::from_bytes([0; 32]);
        assert_eq!(
            stack.connect_with_key(now, &endpoint, zero),
            Err(ConnectError::UselessKey)
        );
    });
    lan.run_for(ms(2_000));
    assert_eq!(lan.dials(alice), 0);
    // Not the one who is there, and what a liar says makes it no better or worse.
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(9)).unwrap();
    });
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert!(lan.dials(alice) > 2);
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(2)).unwrap();
    });
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    // A name is looked up, and then it is the same.
    let mut stack = Stack::new(Instant::ZERO, [7; 32], secure("alice", 1));
    let named = "tcp://bob.example.org:49152".parse().unwrap();
    stack
        .connect_with_key(Instant::ZERO, &named, public(2))
        .unwrap();
    let Some(Action::Resolve { query, .. }) = stack.poll_action() else {
        panic!("nothing to look up");
    };
    let there = "10.0.0.9:49152".parse().unwrap();
    stack.handle_resolved(Instant::ZERO, query, &[there]);
    let Some(Action::Authenticate { link, key, remote }) = stack.poll_action() else {
        panic!("nobody is asked");
    };
    assert_eq!((key, remote), (public(2), there));
    stack.handle_verdict(Instant::ZERO, link, Verdict::Allow);
    let dial = stack.poll_action();
    assert!(matches!(dial, Some(Action::Dial { link: it, .. }) if it == link));
    // One that is not secure has no use for a key.
    let mut plain = Stack::new(Instant::ZERO, [7; 32], Config::default());
    assert_eq!(
        plain.connect_with_key(Instant::ZERO, &endpoint, public(2)),
        Err(ConnectError::NotSecure)
    );
}

#[test]
fn an_endpoint_that_the_application_gave_is_tried_on_with_its_key() {
    // ZRE-121
    let mut lan = Lan::new();
    let alice = alice(&mut lan);
    let puppet = lan.secure_puppet(9, &keys(9));
    let address = lan.address_of(puppet);
    let endpoint = format!("tcp://{address}").parse().unwrap();
    lan.host(puppet).refuses = true;
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(9)).unwrap();
    });
    // Another says that it is there, by beacon and by HELLO.
    let mallory = lan.secure_puppet(66, &keys(66));
    for _ in 0..3 {
        tell(
            &mut lan,
            mallory,
            address,
            PeerId::from_bytes([66; 16]),
            Some(public(66)),
        );
        let mut hello = lan.hello_of(mallory, "mallory");
        hello.endpoint = text(&format!("tcp://{address}"));
        let link = lan.puppet_dials(mallory, alice);
        lan.puppet_says(mallory, link, 1, Command::Hello(hello));
        lan.run_for(ms(5_000));
    }
    lan.run_for(ms(20_000));
    lan.host(puppet).refuses = false;
    lan.run_for(ms(40_000));
    assert!(!lan.the_puppet(puppet).heard.is_empty());
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}
