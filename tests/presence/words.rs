//! What is said right before the end, and right behind the beginning.

use atonce::Frames;
use atonce::wire::zre::Command;

use crate::support::{Lan, frames, names};
use crate::{NOTHING, alice_and_puppet, ms};

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
