//! Who is let in, and what becomes of those who are not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use atonce::zmtp::{Denial, Verdict};
use atonce::{Instant, Interface, PeerId, Stack};

use crate::support::{Guard, Lan, names, text};
use crate::{
    NOTHING, alice, alice_and_puppet, bob, enter, impostors, keys, listed, ms, public,
    say_hello_as, secure, two,
};

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
    lan.still_talk(alice, bob);

    // Never.
    let mut lan = Lan::new();
    let alice = self::alice(&mut lan);
    lan.host(alice).guard = Guard::Away;
    let puppet = lan.secure_puppet(9, &keys(9));
    let link = lan.puppet_greets(puppet, alice);
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(31_000));
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
fn a_peer_is_known_as_whom_its_own_link_was_let_in() {
    let mut lan = Lan::new();
    let (alice, bob) = (alice(&mut lan), bob(&mut lan));
    let (id, address) = (lan.id(bob), lan.address_of(bob));
    lan.host(alice).guard = Guard::Away;
    let let_in = |lan: &mut Lan, as_whom: &str| {
        for question in std::mem::take(&mut lan.asked) {
            let user_id = if question.remote == address {
                "whom we dial"
            } else {
                as_whom
            };
            lan.answer_question(question, Verdict::AllowAs(text(user_id)));
        }
        lan.run_for(ms(1_000));
    };
    let known_as = |lan: &mut Lan| {
        let peer = lan.stack(alice).peer(id)?;
        assert_eq!(peer.key, Some(public(2)));
        peer.user_id.cloned()
    };
    lan.run_for(ms(3_000));
    assert_eq!(lan.asked.len(), 2);
    let_in(&mut lan, "bob");
    assert_eq!(known_as(&mut lan), Some(text("bob")));
    // Bob, who lets anybody in as nobody in particular, dials anew, and is somebody else now.
    let alice_id = lan.id(alice);
    let seen = lan
        .stack(bob)
        .peer(alice_id)
        .map(|peer| peer.user_id.cloned());
    assert_eq!(seen, Some(None));
    lan.reset_dialled(bob, alice);
    for _ in 0..5 {
        lan.run_for(ms(1_000));
        let_in(&mut lan, "robert");
    }
    assert_eq!(known_as(&mut lan), Some(text("robert")));
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
    lan.still_talk(alice, bob);
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

#[test]
fn handshakes_that_fail_are_counted() {
    let now = Instant::ZERO;
    let mut node = Stack::new(now, [7; 32], secure("alice", 1));
    let address = [127, 0, 0, 1].into();
    let interface = Interface {
        name: "lo".into(),
        address,
        port: 49_152,
        zone: 0,
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
