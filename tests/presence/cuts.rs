//! Links that are cut, and what may be lost with them.

use std::collections::BTreeSet;

use atonce::wire::zre::Command;
use atonce::zre::Beacons;
use atonce::{Action, Config, Instant, Stack};

use crate::support::{Lan, frames, names, text, two};
use crate::{NOTHING, alice_and_puppet, ms};

#[test]
fn a_link_that_is_cut_with_nothing_under_way_goes_on() {
    // ZRE-60, ZRE-62
    let (mut lan, alice, bob) = two();
    // A PING and its answer confirm all that was said before.
    let mallory = lan.puppet(66);
    let forged = lan.id(bob);
    lan.puppet_beacons(mallory, forged, 0);
    // Long enough for the goodbye to be forgotten.
    lan.run_for(ms(6_000));
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(100));
    lan.still_talk(alice, bob);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(names(&lan.events(bob)), NOTHING);
}

#[test]
fn a_link_that_is_cut_with_messages_under_way_is_told() {
    // ZRE-62
    let (mut lan, alice, bob) = two();
    let id = lan.id(bob);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("lost?")).unwrap();
    });
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(3_000));
    let events = names(&lan.events(alice));
    assert!(
        events[0].starts_with("exit bob lost: its link was cut"),
        "{events:?}"
    );
    assert_eq!(events[1..], ["enter bob"]);
    let events = names(&lan.events(bob));
    assert_eq!(
        events.last().map(String::as_str),
        Some("enter alice"),
        "{events:?}"
    );
    lan.still_talk(alice, bob);
}

#[test]
fn an_answer_from_before_the_cut_confirms_nothing_of_what_was_said_after_it() {
    // ZRE-62
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let id = lan.id(puppet);
    lan.the_puppet(puppet).answers_pings = false;
    let whisper = |lan: &mut Lan| {
        lan.with(alice, |stack, now| {
            stack.whisper(now, id, &frames("lost?")).unwrap();
        });
    };
    let cut = |lan: &mut Lan| {
        lan.reset_dialled(alice, puppet);
        lan.run_for(ms(100));
        let events = names(&lan.events(alice));
        assert!(
            events[0].starts_with("exit puppet lost: its link was cut"),
            "{events:?}"
        );
        assert_eq!(events[1..], ["enter puppet"]);
    };
    // It is asked, for its silence; its answer takes its time.
    lan.run_for(ms(4_100));
    whisper(&mut lan);
    cut(&mut lan);
    // In the new conversation it is asked as well, and now the first answer comes.
    whisper(&mut lan);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(10));
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::PingOk);
    lan.run_for(ms(10));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    cut(&mut lan);
}

#[test]
fn all_links_cut_at_once_heal() {
    // ZRE-63
    let (mut lan, alice, bob) = two();
    lan.reset_links(bob);
    lan.run_for(ms(3_000));
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        let events = names(&lan.events(host));
        let enters = events
            .iter()
            .filter(|e| **e == format!("enter {other}"))
            .count();
        let exits = events.iter().filter(|e| e.starts_with("exit")).count();
        assert_eq!(enters, exits, "{events:?}");
        assert!(enters <= 2, "{events:?}");
    }
    lan.still_talk(alice, bob);
}

#[test]
fn one_whose_link_ended_before_it_entered_has_a_second_to_speak() {
    // ZRE-61
    for comes_back in [false, true] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let link = lan.puppet_greets(puppet, alice);
        let group = text("G");
        lan.puppet_says(puppet, link, 2, Command::Join { group, status: 1 });
        lan.run_until(|lan| lan.dials(alice) == 1);
        // What came is held until our own link is up, and its end is there by then.
        lan.puppet_closes(puppet, link);
        if comes_back {
            let again = lan.puppet_dials(puppet, alice);
            lan.puppet_speaks(puppet, alice, again, 3);
        }
        lan.run_for(ms(900));
        assert_eq!(
            names(&lan.events(alice)),
            ["enter puppet", "join puppet G"],
            "comes back: {comes_back}"
        );
        lan.run_for(ms(200));
        let told = names(&lan.events(alice));
        if comes_back {
            assert_eq!(told, NOTHING);
        } else {
            assert_eq!(
                told,
                ["exit puppet lost: its link was cut, 2 messages to it may be lost"]
            );
        }
    }
}

#[test]
fn a_dial_that_failed_is_over_before_the_next_begins() {
    // ZRE-60. Not a mailbox: it says something else, and does not read what we say.
    let config = Config {
        beacons: Beacons::Off,
        ..Config::default()
    };
    let mut stack = Stack::new(Instant::ZERO, [7; 32], config);
    let there = "tcp://10.0.0.9:80".parse().unwrap();
    stack.connect(Instant::ZERO, &there).unwrap();
    let (mut now, mut open, mut dials) = (Instant::ZERO, BTreeSet::new(), 0);
    while now < Instant::from_millis(10_000) {
        while let Some(action) = stack.poll_action() {
            match action {
                Action::Dial { link, .. } => {
                    assert!(open.is_empty(), "two links to one mailbox at {now}");
                    open.insert(link);
                    dials += 1;
                    stack.handle_connected(now, link, "10.0.0.1:50000".parse().unwrap());
                    stack.handle_received(now, link, b"HTTP/1.1 400 Bad Request\r\n\r\n");
                }
                Action::Close { link } => {
                    open.remove(&link);
                }
                _ => {}
            }
        }
        now = stack.poll_timeout().unwrap().0;
        stack.handle_timeout(now);
    }
    assert!(dials > 3, "{dials} tries");
}
