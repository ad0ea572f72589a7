//! Sockets of all patterns over the loopback and over files of sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

mod calls;
mod ending;
mod endpoints;
mod helpers;
#[path = "../common/loopback.rs"]
mod loopback;
mod patterns;
mod polling;
mod proxies;
mod secure;
mod threads;
