//! The command as its users meet it: the real binary, over real sockets, on loopback only.
//!
//! Every test has a UDP port of its own, so that all of them can run at the same time and beside other nodes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a helper of a test fails with the test

mod autoconf;
mod chat;
mod decode;
mod demo;
mod gossip;
mod keygen;
mod listen;
mod log;
#[path = "../../../std/tests/common/loopback.rs"]
mod loopback;
mod measure;
#[path = "../../../std/tests/common/namespace.rs"]
mod namespace;
mod network;
mod once;
mod options;
mod peers;
mod program;
mod run;
mod send;
mod signals;
mod sim;
mod sockets;
mod top;
