//! Gossip among participants of ours and C ones, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod c_peer;
mod client;
mod conflicts;
mod crowds;
mod hand;
mod limits;
mod network;
mod server;
mod tuples;
