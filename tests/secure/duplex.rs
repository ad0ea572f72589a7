//! Links that are used in both directions, in a secure network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use atonce::Config;
use atonce::endpoint::Endpoint;
use atonce::wire::zre::{Command, Hello};
use atonce::zmtp;

use crate::support::{Guard, Lan, names, text};
use crate::{NOTHING, keys, listed, ms, node, public, secure};

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

fn config(name: &str, octet: u8) -> Config {
    Config {
        duplex: true,
        ..secure(name, octet)
    }
}

fn offering(lan: &mut Lan, puppet: usize, name: &str) -> Hello {
    let mut hello = lan.hello_of(puppet, name);
    let value = "goodbye duplex".try_into().unwrap();
    hello.headers.insert(text("X-ATONCE"), value);
    hello
}

#[test]
fn one_who_cannot_be_dialled_is_spoken_to_on_its_own_link() {
    // ZRE-141, ZRE-149
    let mut lan = Lan::new();
    let alice = node(&mut lan, config("alice", 1));
    let address = SocketAddr::from(([192, 168, 1, 7], 49152));
    let bob = lan.node_behind(config("bob", 2), address, PUBLIC);
    lan.host(bob).guard = listed();
    let mailbox = Endpoint::from(lan.address_of(alice));
    lan.with(bob, |stack, now| {
        stack.connect_with_key(now, &mailbox, public(1)).unwrap();
    });
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    assert_eq!((lan.dials(alice), lan.open_links(alice)), (0, 1));
    for (host, key) in [(alice, 2), (bob, 1)] {
        let found: Vec<_> = lan.stack(host).peers().map(|view| view.key).collect();
        assert_eq!(found, [Some(public(key))]);
    }
    lan.still_talk(alice, bob);
    lan.run_for(ms(120_000));
    lan.reset_links(bob);
    lan.run_for(ms(100));
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        let told = names(&lan.events(host));
        assert!(told[0].starts_with(&format!("exit {other}")), "{told:?}");
        assert_eq!(told[1..], [format!("enter {other}")]);
    }
    lan.still_talk(alice, bob);
    // Its key is not let in any more: both directions end.
    lan.with(alice, |stack, now| stack.revoke(now, public(2)));
    lan.host(alice).guard = Guard::Listed([].into());
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), ["exit bob refused"]);
    assert_eq!(lan.stack(bob).peers().count(), 0);
    assert_eq!(lan.dials(alice), 0);
}

#[test]
fn one_with_another_key_where_somebody_was_to_be_dialled_hears_nothing() {
    // ZRE-142, ZRE-143
    let mut lan = Lan::new();
    let alice = node(&mut lan, config("alice", 1));
    let mallory = lan.secure_puppet(66, &keys(66));
    let puppet = lan.secure_puppet(9, &keys(9));
    // It even states the identity of the puppet.
    let id = lan.id(puppet);
    lan.the_puppet(mallory).states = Some(id);
    let at = lan.address_of(mallory);
    lan.host(puppet).nat = Some(at.ip());
    let mut hello = offering(&mut lan, puppet, "puppet");
    hello.endpoint = text(&format!("tcp://{at}"));
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(60_000));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert_eq!(lan.dials(alice), 1);
    assert_eq!(lan.the_puppet(mallory).heard, []);
    // The greeting, and HELLO of CURVE: 200 octets that say nothing of us, and that it cannot open.
    let octets = lan.the_puppet(mallory).octets.values().map(Vec::len);
    assert_eq!(octets.collect::<Vec<_>>(), [64 + 2 + 200]);
    let heard = &lan.the_puppet(puppet).heard;
    assert!(!heard.is_empty() && heard.iter().all(|(over, _)| *over == link));
}

#[test]
fn a_hello_with_another_key_than_that_of_the_mailbox_means_nothing() {
    // ZRE-149
    let mut lan = Lan::new();
    let alice = node(&mut lan, config("alice", 1));
    let puppet = lan.secure_puppet(9, &keys(9));
    let id = lan.id(puppet);
    lan.the_puppet(puppet).states = Some(id);
    let mailbox = Endpoint::from(lan.address_of(puppet));
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &mailbox, public(9)).unwrap();
    });
    lan.run_for(ms(50));
    let mut hello = offering(&mut lan, puppet, "puppet");
    let good = hello.clone();
    let value = public(66).to_string().try_into().unwrap();
    hello.headers.insert(text("X-PUBLICKEY"), value);
    lan.puppet_says(puppet, 0, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(lan.stack(alice).counters().impostors, 1);
    // It is dialled anew.
    lan.run_for(ms(1_000));
    lan.puppet_says(puppet, 1, 1, Command::Hello(good));
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn who_may_not_be_dialled_is_not_spoken_to_on_its_own_link() {
    // ZRE-149
    let mut lan = Lan::new();
    let alice = node(&mut lan, config("alice", 1));
    lan.host(alice).guard = Guard::Away;
    let puppet = lan.secure_puppet(9, &keys(9));
    let hello = offering(&mut lan, puppet, "puppet");
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    let accept = lan.asked.remove(0);
    lan.answer_question(accept, zmtp::Verdict::Allow);
    lan.run_for(ms(50));
    let dial = lan.asked.remove(0);
    lan.answer_question(dial, zmtp::Verdict::Deny(zmtp::Denial::Refused));
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(lan.the_puppet(puppet).heard, []);
    assert!(lan.the_puppet(puppet).closed.contains(&link));
}

#[test]
fn the_user_id_of_one_who_was_dialled_is_told() {
    // ZRE-149
    let mut lan = Lan::new();
    let alice = node(&mut lan, config("alice", 1));
    lan.host(alice).guard = Guard::Away;
    let puppet = lan.secure_puppet(9, &keys(9));
    let id = lan.id(puppet);
    lan.the_puppet(puppet).states = Some(id);
    let mailbox = Endpoint::from(lan.address_of(puppet));
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &mailbox, public(9)).unwrap();
    });
    let question = lan.asked.remove(0);
    lan.answer_question(question, zmtp::Verdict::AllowAs(text("garden")));
    lan.run_for(ms(50));
    let hello = offering(&mut lan, puppet, "puppet");
    lan.puppet_says(puppet, 0, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    let view = lan.stack(alice).peers().next().unwrap();
    assert_eq!(view.user_id, Some(&text("garden")));
}
