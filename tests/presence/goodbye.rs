//! Who is said to leave, by itself or by another.

use atonce::wire::zre::Command;

use crate::support::{names, two};
use crate::{NOTHING, alice_and_puppet, ms, still_talk};

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
