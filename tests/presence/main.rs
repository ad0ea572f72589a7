//! How a peer is confirmed, displaced, missed and lost: every rule against those who break it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that is wrong may stop

#[path = "../model_common/mod.rs"]
mod model_common;
#[path = "../support/mod.rs"]
mod support;

mod contact;
mod cuts;
mod duplex;
mod elections;
mod endpoints;
mod floods;
mod goodbye;
mod identity;
mod machine;
mod messages;
mod partners;
mod past;
mod resuming;
mod round_trips;
mod storms;
mod tuples;
mod unwanted;
mod words;

use std::time::Duration;

use atonce::wire::zre::Command;

use support::{Lan, names};

const NOTHING: [&str; 0] = [];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A node, and a puppet that entered. The link is the one on which the puppet speaks; the next sequence is 2.
fn alice_and_puppet() -> (Lan, usize, usize, u64) {
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    (lan, alice, puppet, link)
}

fn hellos(lan: &mut Lan, puppet: usize) -> usize {
    lan.the_puppet(puppet)
        .heard
        .iter()
        .filter(|(_, message)| matches!(message.command, Command::Hello(_)))
        .count()
}
