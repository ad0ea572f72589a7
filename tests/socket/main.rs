//! ZMTP sockets on a network in virtual time: each pattern against its own kind and against peers that a test drives by hand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

mod network;

mod base;
mod cable;
mod dealer;
mod devices;
mod ends;
mod hostile;
mod limits;
mod pair;
mod pipeline;
mod prefixes;
mod pubsub;
mod rep;
mod req_rep;
mod router;
mod router_model;
#[cfg(feature = "curve")]
mod secure;
mod xpubsub;

use std::time::Duration;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Where most sockets listen.
const HERE: &str = "tcp://10.0.0.1:5555";
