//! Secure networks: who is let in, who may speak for an identity, and what lies cost.

#![cfg(feature = "curve")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod bridges;
mod contact;
mod duplex;
mod endpoints;
mod identity;
mod meeting;
mod partners;
mod relayed;
mod tuples;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::{KeyPair, PublicKey};
use atonce::wire::Beacon;
use atonce::wire::zre::Command;
use atonce::zre::Curve;
use atonce::{Config, Event, PeerId};
use support::{Guard, Lan, names, text};

const NOTHING: [&str; 0] = [];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

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
