//! What is said right before the end, and right behind the beginning.

use atonce::Frames;
use atonce::wire::zre::Command;

use crate::support::{Lan, frames, names, text};
use crate::{NOTHING, alice_and_puppet, hellos, ms};

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

/// A puppet that greets four seconds after our own HELLO, as one does that has forgotten us before that.
fn alice_and_one_who_forgot_her() -> (Lan, usize, usize, u64) {
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(4_000));
    assert_eq!(hellos(&mut lan, puppet), 1);
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    (lan, alice, puppet, link)
}

#[test]
fn one_who_does_not_answer_after_its_greeting_is_greeted_once_more() {
    // ZRE-64
    for talks in [false, true] {
        let (mut lan, alice, puppet, link) = alice_and_one_who_forgot_her();
        lan.the_puppet(puppet).answers_pings = false;
        for _ in 0..10 {
            if talks {
                let sequence = lan.puppet_next(puppet, alice);
                let (group, status) = (text("G"), 1);
                lan.puppet_says(puppet, link, sequence, Command::Join { group, status });
            }
            lan.run_for(ms(300));
        }
        if !talks {
            // It may be stopped, and know us, or its network stand still.
            lan.run_for(ms(15_000));
            assert_eq!(hellos(&mut lan, puppet), 1);
            let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
            for n in 0..4 {
                // From the first sign of life on its answer has at least a second.
                assert!(n >= 2 || hellos(&mut lan, puppet) == 1);
                lan.puppet_beacons(puppet, id, port);
                lan.run_for(ms(800));
            }
        }
        assert_eq!(hellos(&mut lan, puppet), 2, "talks: {talks}");
        // Nothing but the question was lost.
        let told = names(&lan.events(alice));
        assert_eq!(told[0], "enter puppet");
        let since: &[&str] = if talks {
            &["join puppet G"]
        } else {
            &["evasive puppet", "silent puppet", "recovered puppet"]
        };
        assert_eq!(told[1..], *since);
        // That is all that is done for one who is mute: it is missed as others are.
        lan.run_for(ms(25_000));
        assert_eq!(hellos(&mut lan, puppet), 2, "talks: {talks}");
        assert_eq!(
            names(&lan.events(alice)),
            ["evasive puppet", "silent puppet"]
        );
    }
}

#[test]
fn one_who_is_stopped_right_after_its_greeting_is_not_taken_for_one_who_forgot_us() {
    // ZRE-64: zyre.js, stopped for four seconds as soon as it is met, was greeted as a new one, and took that for an end.
    let (mut lan, alice, puppet, link) = alice_and_one_who_forgot_her();
    lan.the_puppet(puppet).answers_pings = false;
    lan.run_for(ms(20_000));
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::PingOk);
    lan.run_for(ms(800));
    assert_eq!(hellos(&mut lan, puppet), 1);
    let told = names(&lan.events(alice));
    assert_eq!(told[0], "enter puppet");
    assert!(
        told.iter().all(|told| !told.starts_with("exit")),
        "{told:?}"
    );
}

#[test]
fn one_who_answers_after_its_greeting_is_not_greeted_again() {
    // ZRE-64
    let (mut lan, alice, puppet, _) = alice_and_one_who_forgot_her();
    lan.run_for(ms(10_000));
    assert_eq!(hellos(&mut lan, puppet), 1);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn what_is_said_to_one_who_does_not_know_us_is_not_lost_without_a_word() {
    // ZRE-64
    let (mut lan, alice, puppet, link) = alice_and_one_who_forgot_her();
    lan.the_puppet(puppet).answers_pings = false;
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    let id = lan.id(puppet);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("lost?")).unwrap();
    });
    // It is not stopped.
    let port = lan.address_of(puppet).port();
    for _ in 0..2 {
        assert_eq!(hellos(&mut lan, puppet), 1);
        lan.run_for(ms(100));
        lan.puppet_beacons(puppet, id, port);
        lan.run_for(ms(900));
    }
    assert_eq!(hellos(&mut lan, puppet), 2);
    assert_eq!(
        names(&lan.events(alice)),
        [
            "exit puppet lost: its link was cut, 3 messages to it may be lost",
            "enter puppet"
        ]
    );
    // zyre.js, which took that HELLO for a mistake, greets at our next beacon: that is the answer.
    lan.the_puppet(puppet).answers_pings = true;
    lan.puppet_closes(puppet, link);
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(3_000));
    assert_eq!(hellos(&mut lan, puppet), 2);
    assert_eq!(names(&lan.events(alice)), NOTHING);
}
