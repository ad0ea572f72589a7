//! How long a peer takes to answer.

use core::time::Duration;

use atonce::wire::zre::Command;
use atonce::zre::SendError;
use atonce::{PeerId, Stack};

use crate::support::{Lan, names};
use crate::{NOTHING, alice_and_puppet, ms};

/// How long the puppet's last answer took, as alice knows.
fn round_trip(lan: &mut Lan, who: usize, puppet: usize) -> Option<Duration> {
    let id = lan.id(puppet);
    lan.with(who, |stack, _| {
        stack.peer(id).and_then(|view| view.round_trip)
    })
}

/// How many PINGs the puppet heard.
fn pings(lan: &mut Lan, puppet: usize) -> usize {
    let heard = lan.the_puppet(puppet).heard.iter();
    heard
        .filter(|(_, message)| message.command == Command::Ping)
        .count()
}

#[test]
fn a_round_trip_is_that_of_the_ping_that_was_asked_for() {
    // ZRE-54
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let id = lan.id(puppet);
    lan.the_puppet(puppet).answers_pings = false;
    assert_eq!(round_trip(&mut lan, alice, puppet), None);
    lan.with(alice, |stack, now| stack.ping(now, id)).unwrap();
    lan.run_for(ms(70));
    // While the answer is awaited nobody is asked again.
    lan.with(alice, |stack, now| stack.ping(now, id)).unwrap();
    lan.run_for(ms(30));
    assert_eq!(pings(&mut lan, puppet), 1);
    assert_eq!(round_trip(&mut lan, alice, puppet), None);
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::PingOk);
    lan.run_for(ms(5));
    let took = round_trip(&mut lan, alice, puppet).unwrap();
    assert!((ms(100)..ms(110)).contains(&took), "{took:?}");
    // An answer to nothing changes nothing.
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::PingOk);
    lan.run_for(ms(5));
    assert_eq!(round_trip(&mut lan, alice, puppet), Some(took));
    // And the next one is timed anew.
    lan.the_puppet(puppet).answers_pings = true;
    lan.with(alice, |stack, now| stack.ping(now, id)).unwrap();
    lan.run_for(ms(50));
    let took = round_trip(&mut lan, alice, puppet).unwrap();
    assert!(took < ms(50), "{took:?}");
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn a_ping_that_nobody_can_be_asked_is_refused() {
    // ZRE-54
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let (id, nobody) = (lan.id(puppet), PeerId::from_bytes([200; 16]));
    let unknown = lan.with(alice, |stack, now| stack.ping(now, nobody));
    assert_eq!(unknown, Err(SendError::UnknownPeer));
    lan.with(alice, Stack::stop);
    let stopped = lan.with(alice, |stack, now| stack.ping(now, id));
    assert_eq!(stopped, Err(SendError::Stopped));
}

#[test]
fn the_answer_of_an_earlier_link_is_not_that_of_the_next() {
    // ZRE-54, ZRE-62
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let id = lan.id(puppet);
    lan.the_puppet(puppet).answers_pings = false;
    lan.with(alice, |stack, now| stack.ping(now, id)).unwrap();
    lan.run_for(ms(10));
    lan.puppet_hangs_up_on(puppet, alice);
    lan.run_for(ms(500));
    // The link is up again, and the question of the one before is forgotten.
    lan.the_puppet(puppet).answers_pings = true;
    lan.with(alice, |stack, now| stack.ping(now, id)).unwrap();
    lan.run_for(ms(100));
    assert!(round_trip(&mut lan, alice, puppet).is_none_or(|took| took < ms(100)));
}
