//! Gossip among participants of ours and C ones, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod c_peer;
mod crowds;
mod network;
