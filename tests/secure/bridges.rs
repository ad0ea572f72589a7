//! Bridges, which speak for others.

use std::collections::BTreeSet;

use atonce::{Config, PeerId};

use crate::support::{Lan, names};
use crate::{enter, impostors, keys, ms, node, public, say_hello_as, secure};

fn with_bridge() -> Config {
    let mut config = secure("alice", 1);
    config.curve.as_mut().unwrap().bridges = BTreeSet::from([public(66)]);
    config
}

#[test]
fn a_bridge_speaks_for_others_and_yields_to_the_peer_itself() {
    // ZRE-118
    let mut lan = Lan::new();
    let alice = node(&mut lan, with_bridge());
    let bridge = lan.secure_puppet(66, &keys(66));
    let id = PeerId::from_bytes([9; 16]);
    let link = say_hello_as(&mut lan, bridge, alice, id);
    lan.puppet_speaks(bridge, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter mallory"]);
    // The peer itself comes, and the bridge need not have gone.
    let puppet = lan.secure_puppet(9, &keys(9));
    enter(&mut lan, puppet, alice);
    assert_eq!(
        names(&lan.events(alice)),
        ["exit mallory replaced", "enter puppet"]
    );
    assert!(lan.the_puppet(bridge).closed.contains(&link));
    assert_eq!(lan.stack(alice).peer(id).unwrap().key, Some(public(9)));
    // Now the bridge has nothing to say for it; that is nothing to be told.
    let link = say_hello_as(&mut lan, bridge, alice, id);
    lan.run_for(ms(2_000));
    assert!(lan.the_puppet(bridge).closed.contains(&link));
    assert_eq!(impostors(&mut lan, alice), []);
    assert_eq!(lan.stack(alice).counters().impostors, 0);
    // When it is gone it may be behind the bridge again, and no other key may say so.
    lan.kill(puppet);
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)).len(), 1);
    let other = lan.secure_puppet(2, &keys(2));
    say_hello_as(&mut lan, other, alice, id);
    lan.run_for(ms(50));
    assert_eq!(impostors(&mut lan, alice), [(id, public(2), public(9))]);
    let link = say_hello_as(&mut lan, bridge, alice, id);
    lan.puppet_speaks(bridge, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter mallory"]);
    say_hello_as(&mut lan, other, alice, id);
    lan.run_for(ms(50));
    assert_eq!(impostors(&mut lan, alice), [], "told of already");
    assert_eq!(lan.stack(alice).counters().impostors, 2);
}

#[test]
fn what_a_bridge_said_is_forgotten_with_its_peer() {
    // ZRE-118
    let mut lan = Lan::new();
    let alice = node(&mut lan, with_bridge());
    let bridge = lan.secure_puppet(66, &keys(66));
    let id = PeerId::from_bytes([9; 16]);
    say_hello_as(&mut lan, bridge, alice, id);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter mallory"]);
    lan.kill(bridge);
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)).len(), 1);
    let puppet = lan.secure_puppet(9, &keys(9));
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}
