//! Who may speak for an identity.

use atonce::Config;
use atonce::wire::zre::Command;

use crate::model_common::{Door, World, address_of, tell};
use crate::support::{frames, names, two};
use crate::{NOTHING, alice_and_puppet, hellos, ms};

#[test]
fn a_silent_link_under_the_identity_of_another_changes_nothing() {
    // ZRE-22
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(bob);
    let link = lan.puppet_dials_as(mallory, alice, &id.identity());
    lan.run_for(ms(60_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
    lan.puppet_closes(mallory, link);
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
}

#[test]
fn a_greeting_under_the_identity_of_one_who_answers_is_refused() {
    // ZRE-21
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(bob);
    let link = lan.puppet_dials_as(mallory, alice, &id.identity());
    let hello = lan.hello_of(mallory, "mallory");
    lan.puppet_says(mallory, link, 1, Command::Hello(hello));
    lan.run_for(ms(5_000));
    assert!(lan.the_puppet(mallory).closed.contains(&link));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
}

#[test]
fn words_under_the_identity_of_one_who_answers_are_refused() {
    // ZRE-22
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(bob);
    for sequence in [1, 2, 3, 40] {
        let link = lan.puppet_dials_as(mallory, alice, &id.identity());
        let content = frames("I am bob");
        lan.puppet_says(mallory, link, sequence, Command::Whisper { content });
        lan.run_for(ms(3_000));
        assert!(lan.the_puppet(mallory).closed.contains(&link));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
}

#[test]
fn a_greeting_from_elsewhere_replaces_one_who_does_not_answer() {
    // ZRE-21
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let moved = lan.puppet(9);
    lan.puppet_greets(moved, alice);
    lan.run_for(ms(900));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.run_for(ms(300));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
}

#[test]
fn one_in_doubt_whose_link_is_cut_is_asked_again_on_the_new_one() {
    // ZRE-21: the PING was lost with the link on which it was said.
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("lost?")).unwrap();
    });
    let moved = lan.puppet(9);
    let new = lan.puppet_greets(moved, alice);
    lan.run_for(ms(10));
    lan.the_puppet(puppet).heard.clear();
    lan.reset_dialled(alice, puppet);
    lan.run_for(ms(100));
    let heard: Vec<_> = lan
        .the_puppet(puppet)
        .heard
        .drain(..)
        .map(|(_, message)| (message.sequence, message.command))
        .collect();
    assert!(
        matches!(heard[..], [(1, Command::Hello(_)), (2, Command::Ping)]),
        "{heard:?}"
    );
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::PingOk);
    lan.run_for(ms(2_000));
    assert!(lan.the_puppet(moved).closed.contains(&new));
    let events = names(&lan.events(alice));
    assert!(
        events[0].starts_with("exit puppet lost: its link was cut"),
        "{events:?}"
    );
    assert_eq!(events[1..], ["enter puppet"]);
}

#[test]
fn a_dealer_that_reconnects_goes_on_without_a_greeting() {
    // ZRE-22, ZRE-61
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_closes(puppet, link);
    lan.run_for(ms(500));
    let id = lan.id(puppet);
    let again = lan.puppet_dials_as(puppet, alice, &id.identity());
    let content = frames("here I am");
    lan.puppet_says(puppet, again, 2, Command::Whisper { content });
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        [r#"whisper puppet [b"here I am"]"#]
    );
}

#[test]
fn a_link_that_its_own_side_gave_up_is_a_closed_one() {
    // ZRE-61: a time to live that ran out, and an ERROR, keep the rules of ZMTP.
    for last in [&b"\x04\x07\x04PING\x00\x05"[..], b"\x04\x09\x05ERROR\x02no"] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        lan.puppet_sends_octets(puppet, link, last);
        lan.run_for(ms(900));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        let id = lan.id(puppet);
        let again = lan.puppet_dials_as(puppet, alice, &id.identity());
        let content = frames("here I am");
        lan.puppet_says(puppet, again, 2, Command::Whisper { content });
        lan.run_for(ms(50));
        assert_eq!(
            names(&lan.events(alice)),
            [r#"whisper puppet [b"here I am"]"#]
        );
    }
}

#[test]
fn a_dealer_that_reconnects_takes_over_from_a_half_open_link() {
    // ZRE-22
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    // The old connection stays open and says nothing; PINGs are answered on the new one, behind what is held.
    let id = lan.id(puppet);
    let again = lan.puppet_dials_as(puppet, alice, &id.identity());
    let content = frames("here I am");
    lan.puppet_says(puppet, again, 2, Command::Whisper { content });
    lan.puppet_speaks(puppet, alice, again, 3);
    lan.run_for(ms(1_500));
    assert_eq!(
        names(&lan.events(alice)),
        [r#"whisper puppet [b"here I am"]"#]
    );
    lan.run_for(ms(20_000));
    assert!(
        !names(&lan.events(alice))
            .iter()
            .any(|event| event.contains("exit"))
    );
}

#[test]
fn a_dealer_that_lost_messages_while_it_reconnected_is_lost() {
    // ZRE-23
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_closes(puppet, link);
    let id = lan.id(puppet);
    let again = lan.puppet_dials_as(puppet, alice, &id.identity());
    lan.puppet_says(puppet, again, 7, Command::Ping);
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet lost: a gap: expected message 2, found 7"]
    );
}

#[test]
fn the_sequence_on_a_second_link_is_judged_when_the_first_is_read_to_its_end() {
    // ZRE-22, ZRE-23
    for sequence in [3, 4] {
        let (mut lan, alice, puppet, old) = alice_and_puppet();
        lan.the_puppet(puppet).answers_pings = false;
        let content = frames("second");
        let new = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, new, sequence, Command::Whisper { content });
        lan.run_for(ms(100));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        // What comes before was still under way.
        let content = frames("first");
        lan.puppet_says(puppet, old, 2, Command::Whisper { content });
        lan.puppet_closes(puppet, old);
        lan.run_for(ms(100));
        let told = names(&lan.events(alice));
        assert_eq!(told[0], "whisper puppet [b\"first\"]");
        let then = match sequence {
            3 => "whisper puppet [b\"second\"]",
            _ => "exit puppet lost: a gap: expected message 3, found 4",
        };
        assert_eq!(told[1..], [then]);
    }
}

#[test]
fn a_dealer_may_go_on_from_another_address() {
    // ZRE-22
    for (sequence, taken) in [(1_u16, false), (2, true), (3, false)] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let elsewhere = lan.puppet(77);
        lan.run_for(ms(1_000));
        lan.puppet_closes(puppet, link);
        lan.run_for(ms(50));
        let id = lan.id(puppet);
        let link = lan.puppet_dials_as(elsewhere, alice, &id.identity());
        lan.puppet_says(elsewhere, link, sequence, Command::Ping);
        lan.run_for(ms(50));
        assert_eq!(!lan.the_puppet(elsewhere).closed.contains(&link), taken);
        assert_eq!(names(&lan.events(alice)), NOTHING);
    }
}

#[test]
fn of_two_greetings_before_it_enters_the_newer_counts() {
    // ZRE-20
    // Whoever squats on an identity, or a greeting that leads nowhere, does not keep out one who is reached.
    let mut world = World::new(Config::default());
    let eve = world.puppet("eve", 11, address_of(3, 0));
    let ann = world.puppet("ann", 10, address_of(2, 0));
    world.puppets[eve].door = Door::Dark;
    let (id, from) = (world.puppets[ann].id, world.puppets[eve].address);
    let squatter = world.dial_in_as(eve, from, Some(id)).unwrap();
    let hello = world.hello(eve, &[]);
    world.say(squatter, 1, hello);
    assert!(world.events.is_empty());
    world.greet(ann, &[]);
    let told: Vec<_> = world.events.iter().map(tell).collect();
    assert_eq!(told, ["enter ann"]);
    assert!(!world.links().contains(&squatter));
}

#[test]
fn a_gap_from_elsewhere_evicts_nobody() {
    // ZRE-23
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_closes(puppet, link);
    let mallory = lan.puppet(66);
    let id = lan.id(puppet);
    let forged = lan.puppet_dials_as(mallory, alice, &id.identity());
    lan.puppet_says(mallory, forged, 7, Command::Ping);
    lan.run_for(ms(50));
    assert!(lan.the_puppet(mallory).closed.contains(&forged));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn a_second_greeting_on_the_same_link_is_a_restart() {
    // ZRE-20, ZRE-24
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.run_for(ms(1_000));
    let before = hellos(&mut lan, puppet);
    let hello = lan.hello_of(puppet, "puppet");
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
    // It forgot us as well, so it is greeted again, once.
    assert_eq!(hellos(&mut lan, puppet), before + 1);
}

#[test]
fn two_nodes_never_greet_each_other_for_ever() {
    // ZRE-24
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    // The puppet answers every HELLO with a HELLO, at once, and slowly.
    for pause in [10, 450] {
        let start = hellos(&mut lan, puppet);
        let mut seen = start;
        for _ in 0..(10_000 / pause) {
            lan.run_for(ms(pause));
            let now = hellos(&mut lan, puppet);
            if now > seen || now == start {
                seen = now;
                let hello = lan.hello_of(puppet, "puppet");
                if lan.the_puppet(puppet).closed.contains(&link) {
                    break;
                }
                lan.puppet_says(puppet, link, 1, Command::Hello(hello));
            }
        }
        let said = hellos(&mut lan, puppet) - start;
        assert!(said < 5, "{said} greetings in ten seconds");
    }
    lan.events(alice);
}

#[test]
fn a_storm_of_greetings_is_ended() {
    // ZRE-24
    let (mut lan, alice, puppet, mut link) = alice_and_puppet();
    for _ in 0..100 {
        let hello = lan.hello_of(puppet, "puppet");
        if lan.the_puppet(puppet).closed.contains(&link) {
            link = lan.puppet_dials(puppet, alice);
        }
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.run_for(ms(50));
    }
    let events = names(&lan.events(alice));
    assert!(
        events.len() < 20,
        "{} events for 100 greetings",
        events.len()
    );
}
