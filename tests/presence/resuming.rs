//! Conversations whose links were all cut, and what goes on of them.

use atonce::wire::zre::Command;
use atonce::{Config, Frames, PeerId, SendError};

use crate::support::{Lan, frames, names, text, two};
use crate::{NOTHING, alice_and_puppet, ms};

#[test]
fn what_was_said_is_confirmed_before_long_and_then_nothing_is_lost_with_any_link() {
    // ZRE-62, ZRE-63, ZRE-65
    let (mut lan, alice, bob) = two();
    for round in 0..3 {
        lan.still_talk(alice, bob);
        // Within the time after which silence would be noticed; beacons come all the while.
        lan.run_for(ms(8_200));
        match round {
            0 => lan.reset_links(bob),
            1 => lan.reset_dialled(alice, bob),
            _ => lan.reset_dialled(bob, alice),
        }
        lan.run_for(ms(1_500));
        assert_eq!(names(&lan.events(alice)), NOTHING, "{round}");
        assert_eq!(names(&lan.events(bob)), NOTHING, "{round}");
        lan.still_talk(alice, bob);
    }
}

#[test]
fn two_who_have_nothing_to_say_do_not_confirm_each_other_for_ever() {
    // ZRE-65
    let (mut lan, alice, bob) = two();
    lan.run_for(ms(10_000));
    let sent = |lan: &mut Lan, host| lan.stack(host).counters().messages_sent;
    let before = sent(&mut lan, alice) + sent(&mut lan, bob);
    lan.run_for(ms(15_000));
    // One of them is asked when nothing but beacons came for half a minute (ZRE-50).
    let after = sent(&mut lan, alice) + sent(&mut lan, bob);
    assert!(after - before <= 4, "{} messages", after - before);
}

#[test]
fn what_waits_while_all_links_are_cut_is_said_when_the_peer_is_the_same() {
    // ZRE-63
    let (mut lan, alice, bob) = two();
    lan.run_for(ms(9_000));
    let id = lan.id(bob);
    lan.reset_links(bob);
    lan.run_for(ms(1));
    for _ in 0..3 {
        lan.with(alice, |stack, now| {
            stack.whisper(now, id, &frames("wait")).unwrap();
        });
    }
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    let heard = names(&lan.events(bob));
    assert_eq!(heard, ["whisper alice [b\"wait\"]"; 3]);
}

#[test]
fn another_process_under_the_same_identity_is_no_peer_that_goes_on() {
    // ZRE-63
    let mut lan = Lan::new();
    let config = || Config {
        name: Some(text("bob")),
        uuid: Some(PeerId::from_bytes([7; 16])),
        ..Config::default()
    };
    let (alice, bob) = (lan.node("alice"), lan.node_with(config()));
    lan.run_for(ms(9_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    lan.events(bob);
    let id = lan.id(bob);
    lan.kill(bob);
    lan.run_for(ms(3));
    lan.reborn(bob, config(), [99; 32]);
    // Nobody knows yet that it is another.
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("who are you?")).unwrap();
    });
    lan.run_for(ms(4_500));
    let told = names(&lan.events(alice));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("exit bob"), "{told:?}");
    assert_eq!(told[1], "enter bob");
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    lan.still_talk(alice, bob);
}

#[test]
fn another_process_that_greets_while_it_is_asked_is_greeted_before_all_else() {
    // ZRE-24, ZRE-63
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let id = lan.id(puppet);
    // Somebody else seems to have its endpoint, and it answers: nothing is in doubt when its links are cut.
    let port = lan.address_of(puppet).port();
    lan.puppet_beacons(puppet, PeerId::from_bytes([77; 16]), port);
    // Long enough for its link to be dialled again at once.
    lan.run_for(ms(260));
    lan.the_puppet(puppet).answers_pings = false;
    lan.the_puppet(puppet).heard.clear();
    lan.reset_links(puppet);
    lan.run_for(ms(10));
    lan.with(alice, |stack, now| {
        stack
            .whisper(now, id, &frames("for the one before"))
            .unwrap();
    });
    // Our HELLO to the one before is so young that the HELLO of the next seems to answer it.
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(10));
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("for you")).unwrap();
    });
    lan.run_for(ms(10));
    let told = names(&lan.events(alice));
    assert_eq!(told, ["exit puppet replaced", "enter puppet"]);
    let heard = lan.the_puppet(puppet).heard.iter();
    let heard: Vec<_> = heard.map(|(_, it)| it.command.clone()).collect();
    let [first, Command::Hello(_), rest @ ..] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(*first, Command::Ping, "{heard:?}");
    let whisper = |it: &&Command| matches!(it, Command::Whisper { .. });
    assert_eq!(rest.iter().filter(whisper).count(), 1, "{heard:?}");
}

#[test]
fn nothing_is_said_before_the_answer_though_the_peers_own_link_seems_to_stand() {
    // ZRE-62, ZRE-63
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.run_for(ms(9_000));
    lan.the_puppet(puppet).answers_pings = false;
    lan.the_puppet(puppet).heard.clear();
    lan.reset_dialled(alice, puppet);
    lan.run_for(ms(1));
    let id = lan.id(puppet);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("is it you?")).unwrap();
    });
    lan.run_for(ms(20_000));
    let heard = core::mem::take(&mut lan.the_puppet(puppet).heard);
    assert!(heard.len() > 10, "it is asked all the time: {heard:?}");
    for (_, message) in heard {
        assert_eq!(message.command, Command::Ping);
    }
    let link = lan.puppet_link(puppet, alice);
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::PingOk);
    lan.run_for(ms(100));
    let heard = &lan.the_puppet(puppet).heard;
    let whisper =
        |(_, it): &(_, atonce::wire::zre::Message)| matches!(it.command, Command::Whisper { .. });
    assert!(heard.iter().any(whisper), "{heard:?}");
    let told = names(&lan.events(alice));
    assert_eq!(
        told,
        ["evasive puppet", "silent puppet", "recovered puppet"]
    );
}

/// A puppet that does as C Zyre when all its links are cut: it dials again, and says nothing by itself.
#[test]
fn a_peer_of_another_make_goes_on_when_it_answers() {
    // ZRE-63
    for answers in [true, false] {
        let (mut lan, alice, puppet, _) = alice_and_puppet();
        lan.run_for(ms(9_000));
        lan.reset_links(puppet);
        lan.run_for(ms(3));
        let sequence = lan.puppet_next(puppet, alice);
        if answers {
            let link = lan.puppet_dials(puppet, alice);
            lan.puppet_speaks(puppet, alice, link, sequence);
        } else {
            lan.the_puppet(puppet).answers_pings = false;
        }
        lan.run_for(ms(2_500));
        assert_eq!(names(&lan.events(alice)), NOTHING, "answers: {answers}");
        lan.run_for(ms(1_500));
        let told = names(&lan.events(alice));
        if answers {
            assert_eq!(told, NOTHING);
        } else {
            assert_eq!(
                told,
                ["exit puppet lost: its link was cut, 0 messages to it may be lost"]
            );
            let hellos = lan.the_puppet(puppet).heard.iter();
            let hellos = hellos.filter(|(_, it)| matches!(it.command, Command::Hello(_)));
            assert_eq!(hellos.count(), 2, "it is greeted anew");
        }
    }
}

#[test]
fn what_waits_for_a_peer_that_does_not_answer_has_a_limit() {
    // ZRE-63, ZRE-81
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.run_for(ms(9_000));
    lan.the_puppet(puppet).answers_pings = false;
    lan.reset_links(puppet);
    lan.run_for(ms(5));
    let id = lan.id(puppet);
    let mut full = 0;
    for _ in 0..300 {
        let content = Frames::from(vec![7; 64 * 1024]);
        let sent = lan.with(alice, |stack, now| stack.whisper(now, id, &content));
        full += u32::from(sent == Err(SendError::Full));
        // It is asked meanwhile.
        lan.run_for(ms(8));
    }
    assert!(full > 150, "{full} of 300");
    lan.run_for(ms(1_500));
    let mut told = names(&lan.events(alice));
    told.retain(|told| told.starts_with("exit"));
    let messages = 300 - full;
    let lost = format!("exit puppet lost: its link was cut, {messages} messages to it may be lost");
    assert_eq!(told, [lost]);
}

#[test]
fn those_who_lost_the_same_peer_do_not_seek_it_in_one_step() {
    // ZRE-60
    let mut lan = Lan::new();
    let seekers = ["alice", "bob"].map(|name| lan.node(name));
    let carol = lan.node("carol");
    lan.run_for(ms(9_000));
    let before = seekers.map(|seeker| lan.dials(seeker));
    lan.silent.insert(lan.address_of(carol));
    lan.kill(carol);
    let mut tries = [Vec::new(), Vec::new()];
    for now in 0..20_000_u32 {
        lan.run_for(ms(1));
        for (n, tries) in tries.iter_mut().enumerate() {
            if lan.dials(seekers[n]) - before[n] > tries.len() {
                tries.push(now);
            }
        }
    }
    let [alice, bob] = tries;
    assert!(alice.len() >= 4 && bob.len() >= 4, "{alice:?} {bob:?}");
    // At once, after 250 ms, and from then on each in its own time.
    assert_eq!(alice[..2], bob[..2]);
    assert!(
        alice[2] != bob[2] && alice[3] != bob[3],
        "{alice:?} {bob:?}"
    );
}
