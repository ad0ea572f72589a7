//! What the application wants no more: endpoints and names that are given up, and whom that concerns.

use atonce::zre::Beacons;
use atonce::{Action, Cut, Instant, Stack};

use crate::ms;
use crate::partners::{config, stack_at};
use crate::support::{Lan, names};

#[test]
fn an_endpoint_that_is_wanted_no_more_is_tried_no_more() {
    // ZRE-139
    let mut lan = Lan::new();
    let alice = lan.node_with(config("alice", Beacons::Off));
    let endpoint = "tcp://10.0.0.2:49152".parse().unwrap();
    lan.with(alice, |stack, now| stack.connect(now, &endpoint).unwrap());
    lan.run_for(ms(10_000));
    let dials = lan.dials(alice);
    assert!(dials > 2);
    lan.with(alice, |stack, now| {
        stack.disconnect(now, &endpoint);
        // What nobody asked for changes nothing.
        stack.disconnect(now, &"tcp://10.0.0.3:1".parse().unwrap());
        stack.disconnect(now, &"tcp://nobody:1".parse().unwrap());
    });
    assert_eq!(lan.stack(alice).usage().links, 0);
    lan.run_for(ms(120_000));
    assert_eq!(lan.dials(alice), dials);
}

#[test]
fn a_peer_stays_whose_endpoint_is_wanted_no_more_and_is_not_sought_when_it_went() {
    // ZRE-139
    let mut lan = Lan::new();
    let (alice, bob) = (
        lan.node_with(config("alice", Beacons::Off)),
        lan.node_with(config("bob", Beacons::Off)),
    );
    let endpoint = format!("tcp://{}", lan.address_of(bob)).parse().unwrap();
    lan.with(alice, |stack, now| stack.connect(now, &endpoint).unwrap());
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    lan.events(bob);
    lan.with(alice, |stack, now| stack.disconnect(now, &endpoint));
    lan.run_for(ms(60_000));
    lan.still_talk(alice, bob);
    // A cut is mended.
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(1_000));
    lan.events(bob);
    lan.events(alice);
    lan.still_talk(alice, bob);
    lan.kill(bob);
    lan.run_for(ms(10_000));
    let (dials, usage) = (lan.dials(alice), lan.stack(alice).usage());
    assert_eq!((usage.links, usage.hints), (0, 0));
    lan.run_for(ms(120_000));
    assert_eq!(lan.dials(alice), dials);
}

#[test]
fn one_who_is_just_greeting_enters_though_its_endpoint_is_wanted_no_more() {
    // ZRE-139
    let mut lan = Lan::new();
    let alice = lan.node_with(config("alice", Beacons::Off));
    let puppet = lan.puppet(9);
    let endpoint = format!("tcp://{}", lan.address_of(puppet)).parse().unwrap();
    lan.with(alice, |stack, now| stack.connect(now, &endpoint).unwrap());
    lan.run_for(ms(100));
    // The link is up, and nobody greeted yet.
    lan.with(alice, |stack, now| stack.disconnect(now, &endpoint));
    let usage = lan.stack(alice).usage();
    assert_eq!((usage.links, usage.hints), (1, 1));
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert_eq!(lan.dials(alice), 1);
}

#[test]
fn a_name_that_is_wanted_no_more_is_not_looked_up_and_its_place_is_another_names() {
    // ZRE-139
    let mut stack = stack_at([10, 0, 0, 1], config("alice", Beacons::Off));
    let now = Instant::ZERO;
    let hub = "tcp://hub.example:5000".parse().unwrap();
    let other = "tcp://other.example:5000".parse().unwrap();
    let asked = |stack: &mut Stack| {
        let mut asked = Vec::new();
        let mut dialled = Vec::new();
        let mut closed = 0;
        while let Some(action) = stack.poll_action() {
            match action {
                Action::Resolve { query, host, .. } => {
                    asked.push((query, host.as_str().to_owned()));
                }
                Action::Dial { address, .. } => dialled.push(address.to_string()),
                Action::Close { .. } => closed += 1,
                _ => {}
            }
        }
        (asked, dialled, closed)
    };
    stack.connect(now, &hub).unwrap();
    let (late, _, _) = asked(&mut stack);
    stack.disconnect(now, &hub);
    stack.connect(now, &other).unwrap();
    let (new, _, _) = asked(&mut stack);
    assert_eq!(new[0].1, "other.example");
    // The answer to the first is not taken for one to the second.
    assert_ne!(late[0].0, new[0].0);
    stack.handle_resolved(now, late[0].0, &["10.0.0.8:5000".parse().unwrap()]);
    assert_eq!(asked(&mut stack), (vec![], vec![], 0));
    stack.handle_resolved(now, new[0].0, &["10.0.0.9:5000".parse().unwrap()]);
    assert_eq!(asked(&mut stack).1, ["10.0.0.9:5000"]);
    // Two ask for the same place: it is tried on until neither does.
    let address = "tcp://10.0.0.9:5000".parse().unwrap();
    stack.connect(now, &address).unwrap();
    stack.connect(now, &hub).unwrap();
    let (again, _, _) = asked(&mut stack);
    stack.handle_resolved(now, again[0].0, &["10.0.0.9:5000".parse().unwrap()]);
    for endpoint in [&other, &address] {
        stack.disconnect(now, endpoint);
        assert_eq!(asked(&mut stack).2, 0, "{endpoint} is not alone");
        assert_eq!(stack.usage().links, 1);
    }
    stack.disconnect(now, &hub);
    assert_eq!(asked(&mut stack).2, 1);
    assert_eq!(stack.usage().links, 0);
    let end = Instant::from_millis(120_000);
    while let Some((at, _)) = stack.poll_timeout()
        && at < end
    {
        stack.handle_timeout(at);
        assert_eq!(asked(&mut stack), (vec![], vec![], 0));
    }
}

#[test]
fn an_address_is_tried_on_when_only_a_name_that_led_there_is_wanted_no_more() {
    // ZRE-139
    let mut stack = stack_at([10, 0, 0, 1], config("alice", Beacons::Off));
    let mut now = Instant::ZERO;
    let hub = "tcp://hub.example:5000".parse().unwrap();
    let address = "tcp://10.0.0.9:5000".parse().unwrap();
    stack.connect(now, &hub).unwrap();
    let Some(Action::Resolve { query, .. }) = stack.poll_action() else {
        panic!("nothing to look up");
    };
    stack.handle_resolved(now, query, &["10.0.0.9:5000".parse().unwrap()]);
    stack.connect(now, &address).unwrap();
    stack.disconnect(now, &hub);
    let mut dials = 0;
    while now < Instant::from_millis(60_000) {
        while let Some(action) = stack.poll_action() {
            match action {
                Action::Dial { link, .. } => {
                    dials += 1;
                    stack.handle_disconnected(now, link, Cut::Refused);
                }
                Action::Resolve { host, .. } => panic!("{host} is looked up"),
                _ => {}
            }
        }
        now = stack.poll_timeout().unwrap().0;
        stack.handle_timeout(now);
    }
    assert!(dials > 5, "{dials}");
}
