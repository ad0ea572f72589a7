//! Peers that are contacted by their endpoint.

use std::time::Duration;

use atonce::zre::Beacons;
use atonce::{Action, Config, Instant, Stack};

use crate::support::{Lan, names, text, two};
use crate::{NOTHING, ms};

#[test]
fn a_peer_is_contacted_by_its_endpoint_until_it_answers() {
    let quiet = |name| Config {
        name: Some(text(name)),
        beacons: Beacons::Off,
        ..Config::default()
    };
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    let there = "tcp://10.0.0.2:49152".parse().unwrap();
    lan.with(alice, |stack, now| stack.connect(now, &there).unwrap());
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
    stack.connect(Instant::ZERO, &endpoint).unwrap();
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

#[test]
fn one_that_never_gets_as_far_as_a_greeting_is_nobody_to_be_told_of() {
    // ZRE-11, ZRE-12, ZRE-15: not with a name, nor as evasive or silent.
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    for _ in 0..75 {
        lan.puppet_beacons(puppet, id, port);
        lan.run_for(ms(1_000));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(lan.stack(alice).peers().count(), 0);
    // It took our link, and said nothing in the time that it had; then it was tried again, and no more than that.
    assert_eq!(lan.dials(alice), 2);
    lan.run_for(ms(60_000));
    let usage = lan.stack(alice).usage();
    assert_eq!((usage.hints, lan.open_links(alice)), (0, 0));
}
