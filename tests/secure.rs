//! Secure networks: who is let in, who may speak for an identity, and what lies cost.

#![cfg(feature = "curve")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::{KeyPair, PublicKey};
use atonce::wire::zre::Command;
use atonce::wire::{Beacon, LongText};
use atonce::zmtp::{Denial, Verdict};
use atonce::zre::{ConnectError, Curve};
use atonce::{Action, Config, Event, Instant, Interface, PeerId, Stack};
use support::{Guard, Lan, frames, names, text};

const NOTHING: [&str; 0] = [];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const HOUR: Duration = Duration::from_secs(3_600);

fn keys(octet: u8) -> Arc<KeyPair> {
    Arc::new(KeyPair::generate([octet; 32]))
}

fn public(octet: u8) -> PublicKey {
    *keys(octet).public()
}

/// Those who are let in unless a test says otherwise: the keys of Alice (1), Bob (2), Mallory (66) and a puppet (9).
fn listed() -> Guard {
    Guard::Listed([1, 2, 9, 66].map(public).into())
}

fn secure(name: &str, octet: u8) -> Config {
    Config {
        name: Some(text(name)),
        curve: Some(Curve::new(keys(octet))),
        ..Config::default()
    }
}

fn node(lan: &mut Lan, config: Config) -> usize {
    let node = lan.node_with(config);
    lan.host(node).guard = listed();
    node
}

fn alice(lan: &mut Lan) -> usize {
    node(lan, secure("alice", 1))
}

fn bob(lan: &mut Lan) -> usize {
    node(lan, secure("bob", 2))
}

/// Two secure nodes that know each other.
fn two() -> (Lan, usize, usize) {
    let mut lan = Lan::new();
    let (alice, bob) = (alice(&mut lan), bob(&mut lan));
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    (lan, alice, bob)
}

/// A secure node, and a puppet with key 9 that entered, with its link.
fn alice_and_puppet(config: Config) -> (Lan, usize, usize, u64) {
    let mut lan = Lan::new();
    let alice = node(&mut lan, config);
    let puppet = lan.secure_puppet(9, &keys(9));
    let link = enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    (lan, alice, puppet, link)
}

fn enter(lan: &mut Lan, puppet: usize, node: usize) -> u64 {
    let link = lan.puppet_greets(puppet, node);
    lan.puppet_speaks(puppet, node, link, 2);
    lan.run_for(ms(50));
    link
}

fn still_talk(lan: &mut Lan, alice: usize, bob: usize) {
    for (from, to) in [(alice, bob), (bob, alice)] {
        let id = lan.id(to);
        lan.with(from, |stack, now| {
            stack.whisper(now, id, &frames("still?")).unwrap();
        });
        lan.run_for(ms(20));
        let heard = names(&lan.events(to));
        assert!(
            matches!(&heard[..], [one] if one.ends_with("[b\"still?\"]")),
            "{heard:?}"
        );
    }
}

/// The impostors of whom a node was told.
fn impostors(lan: &mut Lan, node: usize) -> Vec<(PeerId, PublicKey, PublicKey)> {
    let events = lan.events(node);
    assert_eq!(names(&events), NOTHING);
    let impostors = events.iter().filter_map(|event| match event {
        Event::Impostor {
            id, key, holder, ..
        } => Some((*id, *key, *holder)),
        _ => None,
    });
    impostors.collect()
}

fn tell(lan: &mut Lan, liar: usize, source: SocketAddr, uuid: PeerId, key: Option<PublicKey>) {
    let beacon = Beacon {
        uuid,
        port: source.port(),
        key: key.map(|key| *key.as_bytes()),
    };
    lan.broadcast(liar, source, &beacon.encode());
}

fn say_hello_as(lan: &mut Lan, who: usize, node: usize, id: PeerId) -> u64 {
    let link = lan.puppet_dials_as(who, node, &id.identity());
    let hello = lan.hello_of(who, "mallory");
    lan.puppet_says(who, link, 1, Command::Hello(hello));
    link
}

// ---- meeting

#[test]
fn two_secure_nodes_meet_whisper_shout_and_part_and_nobody_can_read_along() {
    // ZRE-7, ZRE-110, ZRE-112, ZRE-115
    let mut lan = Lan::new();
    lan.tapped = Some(Vec::new());
    let (alice, bob) = (alice(&mut lan), bob(&mut lan));
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    let id = lan.id(bob);
    let proved = lan.stack(alice).peer(id).unwrap().key;
    assert_eq!(proved, Some(public(2)));
    lan.with(bob, |stack, now| stack.join(now, &text("CHAT")));
    lan.run_for(ms(20));
    assert_eq!(names(&lan.events(alice)), ["join bob CHAT"]);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("a secret")).unwrap();
        let shouted = stack.shout(now, &text("CHAT"), &frames("a secret of all"));
        assert_eq!(shouted.unwrap().reached, 1);
    });
    lan.run_for(ms(20));
    assert_eq!(
        names(&lan.events(bob)),
        [
            r#"whisper alice [b"a secret"]"#,
            r#"shout alice CHAT [b"a secret of all"]"#
        ]
    );
    lan.run_for(Duration::from_secs(120));
    still_talk(&mut lan, alice, bob);
    lan.with(bob, Stack::stop);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["exit bob left"]);
    let tapped = lan.tapped.take().unwrap();
    for plain in [
        &b"a secret"[..],
        b"CHAT",
        b"alice",
        b"tcp://",
        id.as_bytes(),
    ] {
        assert!(!tapped.windows(plain.len()).any(|octets| octets == plain));
    }
}

#[test]
fn the_beacons_of_a_secure_node_have_its_key_to_the_last() {
    // ZRE-7, ZRE-110
    let mut stack = Stack::new(Instant::ZERO, [7; 32], secure("alice", 1));
    let interface = Interface {
        name: "eth0".into(),
        address: [10, 0, 0, 1].into(),
        port: 49_152,
    };
    stack.handle_interface_up(Instant::ZERO, interface);
    stack.stop(Instant::from_millis(10));
    let beacons: Vec<_> = core::iter::from_fn(|| stack.poll_action())
        .filter_map(|action| match action {
            Action::Broadcast { datagram, .. } => Some(Beacon::decode(&datagram).unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!([beacons[0].port, beacons[1].port], [49_152, 0]);
    for beacon in beacons {
        assert_eq!(beacon.key, Some(*public(1).as_bytes()));
        assert_eq!(beacon.encode().len(), 54);
    }
}

#[test]
fn the_same_seeds_give_the_same_octets_and_no_two_connections_the_same_keys() {
    let run = || {
        let mut lan = Lan::new();
        lan.tapped = Some(Vec::new());
        alice(&mut lan);
        bob(&mut lan);
        lan.run_for(ms(10_000));
        lan.tapped.unwrap()
    };
    let octets = run();
    assert_eq!(octets, run());
    // The HELLO of CURVE has the short-lived key of a connection behind its name, version and padding.
    let hellos: Vec<_> = octets
        .windows(6)
        .enumerate()
        .filter(|(_, word)| *word == b"\x05HELLO")
        .map(|(at, _)| octets[at + 80..at + 112].to_vec())
        .collect();
    assert_eq!(hellos.len(), 2);
    assert_ne!(hellos[0], hellos[1]);
}

#[test]
fn nobody_talks_a_secure_node_down() {
    // ZRE-110, ZRE-112
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let bobs = lan.id(bob);
    let dials = lan.dials(alice);
    let source = lan.address_of(bob);
    // A node without a key, a beacon that the peer moved, and its goodbye.
    lan.puppet_beacons(mallory, PeerId::from_bytes([66; 16]), 49_152);
    lan.puppet_beacons(mallory, bobs, 49_152);
    lan.puppet_beacons(mallory, bobs, 0);
    tell(&mut lan, mallory, source, bobs, None);
    let link = lan.puppet_greets(mallory, alice);
    lan.run_for(ms(1_000));
    assert_eq!(lan.dials(alice), dials);
    assert!(lan.the_puppet(mallory).closed.contains(&link));
    assert_eq!(lan.stack(alice).counters().beacons_refused, 4);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
    // Nor is one that has no key talked up.
    let plain = lan.node("plain");
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(plain)), NOTHING);
    assert_eq!(lan.dials(plain), 0);
    assert_eq!(lan.stack(plain).counters().beacons_refused, 0);
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn keys_that_nobody_can_own_are_left_alone_and_one_that_begins_with_zero_is_not() {
    // ZRE-111
    let mut lan = Lan::new();
    let (alice, liar) = (alice(&mut lan), lan.puppet(66));
    let source = lan.address_of(liar);
    let mut one = [0; 32];
    one[0] = 1;
    let mut good = [7; 32];
    good[0] = 0;
    for (octet, key, asked) in [(1, [0; 32], 0), (2, one, 0), (3, good, 1)] {
        lan.host(alice).guard = Guard::Away;
        let uuid = PeerId::from_bytes([octet; 16]);
        tell(
            &mut lan,
            liar,
            source,
            uuid,
            Some(PublicKey::from_bytes(key)),
        );
        lan.run_for(ms(10));
        assert_eq!(lan.asked.len(), asked, "{key:?}");
    }
    assert_eq!(lan.stack(alice).counters().beacons_refused, 2);
}

// ---- who is let in

#[test]
fn one_whose_key_is_not_listed_never_enters_and_hears_nothing() {
    // ZRE-114
    let mut lan = Lan::new();
    let alice = alice(&mut lan);
    let stranger = lan.secure_puppet(7, &keys(7));
    let (id, port) = (lan.id(stranger), lan.address_of(stranger).port());
    let mut links = BTreeSet::new();
    for _ in 0..30 {
        lan.puppet_beacons(stranger, id, port);
        links.insert(lan.puppet_greets(stranger, alice));
        lan.run_for(ms(1_000));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(lan.dials(alice), 0);
    assert!(lan.the_puppet(stranger).heard.is_empty());
    assert!(links.is_subset(&lan.the_puppet(stranger).closed));
    let denied = lan.stack(alice).counters().keys_denied;
    // Those who came, and the tries to dial it, which grow seldom.
    assert!((31..45).contains(&denied), "{denied}");
}

#[test]
fn what_the_embedder_says_late_counts_and_what_it_never_says_does_not() {
    // ZRE-114
    let mut lan = Lan::new();
    let (alice, bob) = (alice(&mut lan), bob(&mut lan));
    lan.host(alice).guard = Guard::Away;
    lan.run_for(ms(3_000));
    // Bob's beacon was heard, and Bob was allowed to dial.
    let asked = std::mem::take(&mut lan.asked);
    assert_eq!(asked.len(), 2, "{asked:?}");
    let address = lan.address_of(bob);
    assert!(asked.iter().all(|question| question.key == public(2)));
    assert!(asked.iter().any(|question| question.remote == address));
    assert_eq!(lan.dials(alice), 0);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    for question in &asked {
        lan.answer_question(*question, Verdict::Allow);
        // Twice is once.
        lan.answer_question(*question, Verdict::Deny(Denial::Refused));
    }
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    for question in &asked {
        lan.answer_question(*question, Verdict::Deny(Denial::Refused));
    }
    still_talk(&mut lan, alice, bob);

    // Never.
    let mut lan = Lan::new();
    let alice = self::alice(&mut lan);
    lan.host(alice).guard = Guard::Away;
    let puppet = lan.secure_puppet(9, &keys(9));
    let link = lan.puppet_greets(puppet, alice);
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(11_000));
    assert!(lan.the_puppet(puppet).closed.contains(&link));
    assert_eq!(lan.open_links(alice), 0);
    assert_eq!(lan.dials(alice), 0);
    assert!(lan.the_puppet(puppet).heard.is_empty());
    // An answer to what is not asked any more.
    for question in std::mem::take(&mut lan.asked) {
        lan.answer_question(question, Verdict::Allow);
    }
    lan.run_for(ms(1_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(lan.open_links(alice), lan.dials(alice));
}

#[test]
fn a_peer_that_may_not_be_dialled_any_more_exits() {
    // ZRE-114
    let (mut lan, alice, puppet, _) = alice_and_puppet(secure("alice", 1));
    lan.run_for(ms(1_000));
    lan.host(alice).guard = Guard::Listed(BTreeSet::new());
    lan.reset_dialled(alice, puppet);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["exit puppet refused"]);
    // Not now is not never.
    let (mut lan, alice, puppet, _) = alice_and_puppet(secure("alice", 1));
    lan.run_for(ms(1_000));
    lan.host(alice).guard = Guard::Away;
    lan.reset_dialled(alice, puppet);
    lan.run_for(ms(50));
    let question = lan.asked.remove(0);
    lan.answer_question(question, Verdict::Deny(Denial::Temporary));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.host(alice).guard = listed();
    lan.run_for(ms(1_000));
    let told = names(&lan.events(alice));
    assert!(told[0].starts_with("exit puppet lost: its link was cut"));
    assert_eq!(told[1..], ["enter puppet"]);
}

#[test]
fn a_key_that_is_taken_back_is_gone_at_once() {
    // ZRE-114
    let (mut lan, alice, bob) = two();
    // A peer, a link that says nothing, one whose mailbox does not answer, and a hint that waits for the embedder.
    let puppet = lan.secure_puppet(9, &keys(9));
    let current = enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    let silent = lan.puppet_dials(puppet, alice);
    let unreached = lan.secure_puppet(10, &keys(9));
    lan.host(unreached).refuses = true;
    let greeting = lan.puppet_greets(unreached, alice);
    lan.run_for(ms(50));
    let (id, port) = (PeerId::from_bytes([11; 16]), 50_000);
    lan.host(alice).guard = Guard::Away;
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(50));
    assert!(!lan.asked.is_empty());
    lan.host(alice).guard = Guard::Listed([public(2)].into());
    lan.with(alice, |stack, now| stack.revoke(now, public(9)));
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["exit puppet refused"]);
    for (who, link) in [(puppet, current), (puppet, silent), (unreached, greeting)] {
        assert!(lan.the_puppet(who).closed.contains(&link));
    }
    assert_eq!(lan.open_links(alice), 2);
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
}

#[test]
fn bindings_may_change() {
    // ZRE-116
    let (mut lan, alice, puppet, _) = alice_and_puppet(secure("alice", 1));
    let id = lan.id(puppet);
    let bind = |lan: &mut Lan, key| {
        lan.with(alice, |stack, now| {
            stack.set_bindings(now, BTreeMap::from([(id, key)]), BTreeSet::new());
        });
        lan.run_for(ms(50));
        names(&lan.events(alice))
    };
    assert_eq!(bind(&mut lan, public(9)), NOTHING);
    assert_eq!(bind(&mut lan, public(66)), ["exit puppet refused"]);
    // What the embedder says counts more than who was here within the hour.
    let mallory = lan.secure_puppet(66, &keys(66));
    say_hello_as(&mut lan, mallory, alice, id);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter mallory"]);
    say_hello_as(&mut lan, puppet, alice, id);
    lan.run_for(ms(50));
    assert_eq!(impostors(&mut lan, alice), [(id, public(9), public(66))]);
}

// ---- HELLO

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

// ---- who may speak for an identity

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
    still_talk(&mut lan, alice, bob);
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
    config.beacons = false;
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
    still_talk(&mut lan, alice, bob);
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

// ---- bridges

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

// ---- lies about endpoints

#[test]
fn a_wrong_key_for_a_true_endpoint_keeps_nobody_out() {
    // ZRE-119. The lie comes first, and again and again; Bob greets nobody by himself.
    for kinds in [1, 200] {
        let mut lan = Lan::new();
        let (alice, liar) = (alice(&mut lan), lan.puppet(66));
        let puppet = lan.secure_puppet(9, &keys(9));
        let everyone = (0..250).map(|octet| *KeyPair::generate([octet; 32]).public());
        let mut everyone: BTreeSet<_> = everyone.collect();
        everyone.extend([1, 2, 9, 66].map(public));
        lan.host(alice).guard = Guard::Listed(everyone);
        let (id, source) = (lan.id(puppet), lan.address_of(puppet));
        for n in 0..500_u32 {
            let octet = 100 + u8::try_from(n % kinds).unwrap() / 2;
            let uuid = if n % 3 == 0 {
                id
            } else {
                PeerId::from_bytes([octet; 16])
            };
            let key = *KeyPair::generate([octet; 32]).public();
            tell(&mut lan, liar, source, uuid, Some(key));
            if n % 10 == 9 {
                lan.puppet_beacons(puppet, id, source.port());
            }
            lan.run_for(ms(100));
        }
        let heard = lan.the_puppet(puppet).heard.len();
        assert!(heard > 0, "{kinds} lies");
        // Whoever is there is not made to suffer for it.
        let dials = lan.dials(alice);
        assert!(dials <= 300, "{dials} tries in 50 s");
        enter(&mut lan, puppet, alice);
        assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    }
}

#[test]
fn lies_about_one_who_is_here_cost_nothing() {
    // ZRE-119, ZRE-120
    let (mut lan, alice, bob) = two();
    let liar = lan.puppet(66);
    let (bobs, source) = (lan.id(bob), lan.address_of(bob));
    let mut elsewhere = lan.address_of(liar);
    let dials = lan.dials(alice);
    let received = lan.stack(bob).counters().messages_received;
    for n in 0..40 {
        // Wrong keys, under its identity and another; true keys, elsewhere; goodbyes.
        let other = PeerId::from_bytes([66; 16]);
        tell(&mut lan, liar, source, bobs, Some(public(66)));
        tell(&mut lan, liar, source, other, Some(public(66)));
        elsewhere.set_port(40_000 + n);
        tell(&mut lan, liar, elsewhere, bobs, Some(public(2)));
        let mut nowhere = source;
        nowhere.set_port(0);
        tell(&mut lan, liar, nowhere, bobs, Some(public(66)));
        lan.run_for(ms(100));
    }
    assert_eq!(lan.dials(alice), dials);
    assert_eq!(lan.stack(alice).counters().beacons_refused, 120);
    // Nobody even asked.
    let asked = lan.stack(bob).counters().messages_received - received;
    assert!(asked <= 2, "{asked}");
    assert_eq!(names(&lan.events(alice)), NOTHING);
    still_talk(&mut lan, alice, bob);
    // A beacon with another key does not keep one alive that is gone.
    lan.isolate(bob, true);
    for _ in 0..40 {
        tell(&mut lan, liar, source, bobs, Some(public(66)));
        lan.run_for(ms(1_000));
    }
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive bob", "silent bob", "exit bob expired"]
    );
}

#[test]
fn a_true_key_for_a_wrong_endpoint_keeps_nobody_out() {
    // ZRE-11, ZRE-119. There somebody else answers, nobody, or nothing comes back.
    for there in 0..3 {
        let mut lan = Lan::new();
        let (alice, liar) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
        let puppet = lan.secure_puppet(9, &keys(9));
        let (id, source, wrong) = (lan.id(puppet), lan.address_of(puppet), lan.address_of(liar));
        lan.host(liar).refuses = there == 1;
        if there == 2 {
            lan.cut.insert((alice, liar));
        }
        for _ in 0..30 {
            for _ in 0..10 {
                tell(&mut lan, puppet, wrong, id, Some(public(9)));
                lan.run_for(ms(100));
            }
            lan.puppet_beacons(puppet, id, source.port());
        }
        assert!(!lan.the_puppet(puppet).heard.is_empty(), "{there}");
        assert!(lan.the_puppet(liar).heard.is_empty());
        enter(&mut lan, puppet, alice);
        assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    }
}

#[test]
fn an_insider_who_names_the_endpoint_of_another_keeps_it_out_for_a_moment() {
    // ZRE-115, ZRE-119
    let mut lan = Lan::new();
    let (alice, mallory) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
    let puppet = lan.secure_puppet(9, &keys(9));
    let address = lan.address_of(puppet);
    let mut hello = lan.hello_of(mallory, "mallory");
    hello.endpoint = text(&format!("tcp://{address}"));
    let first = lan.puppet_dials(mallory, alice);
    lan.puppet_says(mallory, first, 1, Command::Hello(hello.clone()));
    lan.run_for(ms(150));
    assert!(lan.the_puppet(puppet).heard.is_empty());
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert!(lan.the_puppet(mallory).closed.contains(&first));
    // Who is here and answers keeps it.
    let second = lan.puppet_dials(mallory, alice);
    lan.puppet_says(mallory, second, 1, Command::Hello(hello));
    lan.run_for(ms(3_000));
    assert!(lan.the_puppet(mallory).closed.contains(&second));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn another_key_on_the_port_of_one_who_died_takes_its_place() {
    // ZRE-16, ZRE-119
    let (mut lan, alice, bob) = two();
    let address = lan.address_of(bob);
    lan.kill(bob);
    let carol = lan.node_at(secure("carol", 66), address);
    lan.host(carol).guard = listed();
    lan.run_for(ms(3_000));
    let told = names(&lan.events(alice));
    assert!(told[0].starts_with("exit bob lost"), "{told:?}");
    assert_eq!(told[1..], ["enter carol"]);
}

#[test]
fn an_insider_that_greets_again_and_again_shuts_nobody_out() {
    // ZRE-119, ZRE-121. Neither from an endpoint that the application gave, nor from its identity.
    let mut lan = Lan::new();
    let (alice, mallory) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
    let puppet = lan.secure_puppet(9, &keys(9));
    let (id, address) = (lan.id(puppet), lan.address_of(puppet));
    lan.host(puppet).refuses = true;
    let endpoint = format!("tcp://{address}").parse().unwrap();
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(9)).unwrap();
    });
    for second in 0..90 {
        lan.host(puppet).refuses = second < 20;
        for uuid in [id, PeerId::from_bytes([66; 16])] {
            let link = lan.puppet_dials_as(mallory, alice, &uuid.identity());
            let mut hello = lan.hello_of(mallory, "mallory");
            hello.endpoint = text(&format!("tcp://{address}"));
            lan.puppet_says(mallory, link, 1, Command::Hello(hello));
        }
        lan.run_for(ms(1_000));
    }
    assert!(!lan.the_puppet(puppet).heard.is_empty());
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn an_insider_cuts_no_link_to_one_who_did_not_enter_yet() {
    // ZRE-119. It is reached and did not greet, and another says that it is it.
    let mut lan = Lan::new();
    let (alice, mallory) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
    let puppet = lan.secure_puppet(9, &keys(9));
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(50));
    let (ours, _) = lan.the_puppet(puppet).heard[0];
    lan.host(mallory).refuses = true;
    say_hello_as(&mut lan, mallory, alice, id);
    lan.run_for(ms(50));
    assert!(!lan.the_puppet(puppet).closed.contains(&ours));
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert!(!lan.the_puppet(puppet).closed.contains(&ours));
}

// ---- by endpoint

#[test]
fn an_endpoint_is_contacted_with_its_key() {
    // ZRE-121
    let mut lan = Lan::new();
    let mut config = secure("alice", 1);
    config.beacons = false;
    let alice = node(&mut lan, config);
    let mut config = secure("bob", 2);
    config.beacons = false;
    let bob = node(&mut lan, config);
    let endpoint = format!("tcp://{}", lan.address_of(bob)).parse().unwrap();
    lan.with(alice, |stack, now| {
        assert_eq!(stack.connect(now, &endpoint), Err(ConnectError::NoKey));
        let zero = PublicKey::from_bytes([0; 32]);
        assert_eq!(
            stack.connect_with_key(now, &endpoint, zero),
            Err(ConnectError::UselessKey)
        );
    });
    lan.run_for(ms(2_000));
    assert_eq!(lan.dials(alice), 0);
    // Not the one who is there, and what a liar says makes it no better or worse.
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(9)).unwrap();
    });
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert!(lan.dials(alice) > 2);
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(2)).unwrap();
    });
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    // A name is looked up, and then it is the same.
    let mut stack = Stack::new(Instant::ZERO, [7; 32], secure("alice", 1));
    let named = "tcp://bob.example.org:49152".parse().unwrap();
    stack
        .connect_with_key(Instant::ZERO, &named, public(2))
        .unwrap();
    let Some(Action::Resolve { query, .. }) = stack.poll_action() else {
        panic!("nothing to look up");
    };
    let there = "10.0.0.9:49152".parse().unwrap();
    stack.handle_resolved(Instant::ZERO, query, &[there]);
    let Some(Action::Authenticate { link, key, remote }) = stack.poll_action() else {
        panic!("nobody is asked");
    };
    assert_eq!((key, remote), (public(2), there));
    stack.handle_verdict(Instant::ZERO, link, Verdict::Allow);
    let dial = stack.poll_action();
    assert!(matches!(dial, Some(Action::Dial { link: it, .. }) if it == link));
    // One that is not secure has no use for a key.
    let mut plain = Stack::new(Instant::ZERO, [7; 32], Config::default());
    assert_eq!(
        plain.connect_with_key(Instant::ZERO, &endpoint, public(2)),
        Err(ConnectError::NotSecure)
    );
}

#[test]
fn an_endpoint_that_the_application_gave_is_tried_on_with_its_key() {
    // ZRE-121
    let mut lan = Lan::new();
    let alice = alice(&mut lan);
    let puppet = lan.secure_puppet(9, &keys(9));
    let address = lan.address_of(puppet);
    let endpoint = format!("tcp://{address}").parse().unwrap();
    lan.host(puppet).refuses = true;
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(9)).unwrap();
    });
    // Another says that it is there, by beacon and by HELLO.
    let mallory = lan.secure_puppet(66, &keys(66));
    for _ in 0..3 {
        tell(
            &mut lan,
            mallory,
            address,
            PeerId::from_bytes([66; 16]),
            Some(public(66)),
        );
        let mut hello = lan.hello_of(mallory, "mallory");
        hello.endpoint = text(&format!("tcp://{address}"));
        let link = lan.puppet_dials(mallory, alice);
        lan.puppet_says(mallory, link, 1, Command::Hello(hello));
        lan.run_for(ms(5_000));
    }
    lan.run_for(ms(20_000));
    lan.host(puppet).refuses = false;
    lan.run_for(ms(40_000));
    assert!(!lan.the_puppet(puppet).heard.is_empty());
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

// ---- secrets

#[test]
fn no_secret_is_shown() {
    let (mut lan, alice, _) = two();
    let shown = format!("{:?}", lan.stack(alice));
    for octet in [1, 2] {
        let pair = keys(octet);
        let secret = pair.secret();
        let octets = format!("{:?}", secret.as_bytes());
        for secret in [secret.to_z85().as_str(), octets.trim_matches(['[', ']'])] {
            assert!(!shown.contains(secret));
        }
    }
    assert!(shown.contains(&public(1).to_string()));
}

#[test]
fn handshakes_that_fail_are_counted() {
    let now = Instant::ZERO;
    let mut node = Stack::new(now, [7; 32], secure("alice", 1));
    let address = [127, 0, 0, 1].into();
    let interface = Interface {
        name: "lo".into(),
        address,
        port: 49_152,
    };
    let lo = node.handle_interface_up(now, interface);
    let mut accept = |octets: &[u8]| {
        let remote = SocketAddr::new(address, 1_000);
        let link = node.handle_accepted(now, lo, remote).unwrap();
        node.handle_received(now, link, octets);
        while node.poll_action().is_some() {}
        node.counters().links_failed
    };
    let greeting = atonce::wire::zmtp::Greeting::new(atonce::wire::zmtp::MechanismName::CURVE);
    let mut hello = vec![4, 200];
    hello.extend(b"\x05HELLO\x01\0");
    hello.extend([0; 72 + 32 + 8 + 80]);
    // Another mechanism, a HELLO that proves nothing, and one that does not come.
    assert_eq!(accept(&[255; 64]), 1);
    assert_eq!(accept(&[greeting.encode().as_slice(), &hello].concat()), 2);
    assert_eq!(accept(&greeting.encode()), 2);
    let (later, _) = node.poll_timeout().unwrap();
    let mut at = later;
    while node.counters().links_failed == 2 && at < now + ms(60_000) {
        node.handle_timeout(at);
        while node.poll_action().is_some() {}
        at = node
            .poll_timeout()
            .map_or(now + ms(60_000), |(next, _)| next);
    }
    assert_eq!(node.counters().links_failed, 3);
    assert!(at <= now + ms(31_000), "{at}");
}
