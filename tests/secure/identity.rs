//! Who may speak for an identity: the key that HELLO names, and the key that an identity stays with.

use std::collections::BTreeMap;
use std::time::Duration;

use atonce::PeerId;
use atonce::wire::LongText;
use atonce::wire::zre::Command;
use atonce::zre::Beacons;

use crate::support::{Lan, frames, names, text};
use crate::{
    NOTHING, alice_and_puppet, enter, impostors, keys, ms, node, public, say_hello_as, secure,
    tell, two,
};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn hello_names_the_key_of_its_link_or_is_refused() {
    // ZRE-113
    let good = public(9).to_string();
    let (mut lan, alice, puppet, _) = alice_and_puppet(secure("alice", 1));
    let said = lan.the_puppet(puppet).heard[0].1.clone();
    let Command::Hello(hello) = said.command else {
        panic!("{said:?}");
    };
    let ours = hello.headers.get("X-PUBLICKEY").unwrap();
    assert_eq!(ours.to_str_lossy(), public(1).to_string());
    let wrong = [
        String::new(),
        "abc".into(),
        good[..39].into(),
        format!("{good} "),
        " ".repeat(40),
        public(2).to_string(),
    ];
    let mut refused = 0;
    for header in wrong.iter().map(Some).chain([None]) {
        let other = lan.secure_puppet(10, &keys(9));
        let mut hello = lan.hello_of(other, "other");
        hello.headers = atonce::wire::Headers::default();
        if let Some(header) = header {
            let value = LongText::try_from(header.as_str()).unwrap();
            hello.headers.insert(text("X-PUBLICKEY"), value);
        }
        let link = lan.puppet_dials(other, alice);
        lan.puppet_says(other, link, 1, Command::Hello(hello));
        lan.run_for(ms(50));
        assert!(lan.the_puppet(other).closed.contains(&link), "{header:?}");
        refused += 1;
        assert_eq!(lan.stack(alice).counters().impostors, refused);
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    // On its own link it costs the peer its place.
    let mut hello = lan.hello_of(puppet, "puppet");
    let value = LongText::try_from(public(2).to_string()).unwrap();
    hello.headers.insert(text("X-PUBLICKEY"), value);
    let link = 0;
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(20));
    let told = names(&lan.events(alice));
    assert!(
        told[0].starts_with("exit puppet lost: a malformed message"),
        "{told:?}"
    );
    assert_eq!(told.len(), 1);
}

#[test]
fn the_identity_of_one_who_is_here_is_with_its_key() {
    // ZRE-116
    let (mut lan, alice, bob) = two();
    let mallory = lan.secure_puppet(66, &keys(66));
    let bobs = lan.id(bob);
    for n in 1..=20 {
        let link = say_hello_as(&mut lan, mallory, alice, bobs);
        lan.run_for(ms(250));
        assert!(lan.the_puppet(mallory).closed.contains(&link));
        assert_eq!(lan.stack(alice).counters().impostors, n);
    }
    assert!(lan.the_puppet(mallory).heard.is_empty());
    // It is told once.
    assert_eq!(impostors(&mut lan, alice), [(bobs, public(66), public(2))]);
    // Nobody doubts Bob, who could not even answer.
    lan.freeze(bob, true);
    say_hello_as(&mut lan, mallory, alice, bobs);
    lan.run_for(ms(2_500));
    lan.freeze(bob, false);
    lan.run_for(ms(100));
    assert_eq!(impostors(&mut lan, alice), []);
    lan.still_talk(alice, bob);
    // A minute later it is news.
    lan.run_for(ms(60_000));
    say_hello_as(&mut lan, mallory, alice, bobs);
    lan.run_for(ms(50));
    assert_eq!(impostors(&mut lan, alice).len(), 1);
}

#[test]
fn the_identity_of_one_who_left_is_with_its_key_for_an_hour() {
    // ZRE-116
    let (mut lan, alice, bob) = two();
    let mallory = lan.secure_puppet(66, &keys(66));
    let bobs = lan.id(bob);
    lan.kill(bob);
    lan.run_for(ms(5_000));
    let told = names(&lan.events(alice));
    assert_eq!(told, ["exit bob lost: its mailbox is gone"]);
    let mut reported = 0;
    for _ in 0..58 {
        let link = say_hello_as(&mut lan, mallory, alice, bobs);
        // Nor is its beacon followed.
        let source = lan.address_of(mallory);
        tell(&mut lan, mallory, source, bobs, Some(public(66)));
        lan.run_for(ms(60_100));
        assert!(lan.the_puppet(mallory).closed.contains(&link));
        reported += impostors(&mut lan, alice).len();
    }
    assert_eq!(reported, 58);
    assert!(lan.the_puppet(mallory).heard.is_empty());
    lan.run_for(ms(120_000));
    say_hello_as(&mut lan, mallory, alice, bobs);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter mallory"]);
}

#[test]
fn a_bound_identity_is_with_its_key_for_good() {
    // ZRE-116
    let mut lan = Lan::new();
    let mut config = secure("alice", 1);
    let id = PeerId::from_bytes([9; 16]);
    config.curve.as_mut().unwrap().bindings = BTreeMap::from([(id, public(9))]);
    let alice = node(&mut lan, config);
    let mallory = lan.secure_puppet(66, &keys(66));
    let attempt = |lan: &mut Lan| {
        let link = say_hello_as(lan, mallory, alice, id);
        lan.run_for(ms(50));
        assert!(lan.the_puppet(mallory).closed.contains(&link));
        assert_eq!(impostors(lan, alice), [(id, public(66), public(9))]);
    };
    attempt(&mut lan);
    let puppet = lan.secure_puppet(9, &keys(9));
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    lan.kill(puppet);
    lan.run_for(ms(5_000));
    lan.events(alice);
    for _ in 0..3 {
        lan.run_for(HOUR);
        attempt(&mut lan);
    }
    assert!(lan.the_puppet(mallory).heard.is_empty());
}

#[test]
fn a_mailbox_that_states_the_identity_of_another_is_not_spoken_to() {
    // ZRE-116. An atonce node that was told to be somebody else.
    let (mut lan, alice, bob) = two();
    let mut config = secure("mallory", 66);
    config.uuid = Some(lan.id(bob));
    config.beacons = Beacons::Off;
    let mallory = node(&mut lan, config);
    let (uuid, source) = (PeerId::from_bytes([50; 16]), lan.address_of(mallory));
    for _ in 0..10 {
        tell(&mut lan, mallory, source, uuid, Some(public(66)));
        lan.run_for(ms(1_000));
    }
    assert_eq!(lan.stack(mallory).counters().messages_received, 0);
    assert_eq!(
        lan.stack(alice).counters().impostors,
        1,
        "then it is left alone"
    );
    assert_eq!(
        impostors(&mut lan, alice),
        [(lan.id(bob), public(66), public(2))]
    );
    lan.still_talk(alice, bob);
}

#[test]
fn links_of_another_key_take_no_room_from_those_of_a_peer() {
    // ZRE-27, ZRE-115. A peer that reconnects, and more than enough who say that they are it.
    let (mut lan, alice, puppet, link) = alice_and_puppet(secure("alice", 1));
    let id = lan.id(puppet);
    let second = lan.puppet_dials(puppet, alice);
    lan.run_for(ms(10));
    let mallory = lan.secure_puppet(66, &keys(66));
    for _ in 0..10 {
        lan.puppet_dials_as(mallory, alice, &id.identity());
        lan.run_for(ms(10));
    }
    assert!(!lan.the_puppet(puppet).closed.contains(&second));
    lan.puppet_closes(puppet, link);
    lan.run_for(ms(10));
    lan.puppet_says(
        puppet,
        second,
        2,
        Command::Whisper {
            content: frames("here"),
        },
    );
    lan.run_for(ms(10));
    assert_eq!(names(&lan.events(alice)), [r#"whisper puppet [b"here"]"#]);
    assert_eq!(lan.stack(alice).counters().impostors, 10);
}

#[test]
fn a_restart_with_the_same_key_is_a_restart_as_ever() {
    // ZRE-20, ZRE-115
    let (mut lan, alice, puppet, _) = alice_and_puppet(secure("alice", 1));
    lan.run_for(ms(1_000));
    let address = lan.address_of(puppet);
    lan.kill(puppet);
    lan.run_for(ms(5));
    let again = lan.puppet_at(9, address);
    lan.give_keys(again, &keys(9));
    enter(&mut lan, again, alice);
    let told = names(&lan.events(alice));
    assert!(told[0].starts_with("exit puppet"), "{told:?}");
    assert_eq!(told[1..], ["enter puppet"]);
}
