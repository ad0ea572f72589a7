//! The ZeroMQ realtime exchange for Rust: the sans-IO core.
//!
//! Peers on a network find each other without a server, know who is there, whisper to one and shout to groups. This
//! crate is the whole of such a node (ZRE, the protocol of Zyre, over ZMTP 3.1) as deterministic state machines that take
//! octets, datagrams and time and give back actions and events. It owns no socket, no clock, no thread and no
//! randomness. To run a node, take `atonce-std` or `atonce-tokio`; to run one in a runtime, simulator or device of your
//! own, read on.
//!
//! # The picture
//!
//! ```text
//!         application            commands ▼  ▲ events
//!   ┌──────────────────────────────────────────────────────────┐
//!   │ adapter   sockets, clock, entropy        (std, tokio, …)  │  the only place with IO
//!   └──────────────────────────────────────────────────────────┘
//!         datagrams, octets, now  ▼  ▲ broadcast, dial, transmit, close, deadline
//!   ┌──────────────────────────────────────────────────────────┐
//!   │ Stack     one node and a ZMTP connection per link         │
//!   ├──────────────────────────────────────────────┬───────────┤
//!   │ zre       peers, groups, presence             │ socket    │  machines that speak messages
//!   ├──────────────────────────────────────────────┴───────────┤
//!   │ zmtp      one connection: greeting, mechanism, traffic    │  a machine that speaks octets
//!   ├──────────────────────────────────────────────────────────┤
//!   │ wire      every octet format: octets ⇄ values, no state   │
//!   └──────────────────────────────────────────────────────────┘
//! ```
//!
//! Imports run downward only. Each layer can be used without those above it: [`wire`] to look at captures, [`zmtp`] to
//! talk with any libzmq socket, [`zre::Node`] over a ZMTP of your own, [`Stack`] for all of it. [`socket`] has the sockets that
//! ZeroMQ is known for, from PUSH and PULL to ROUTER and DEALER, without any node.
//!
//! # One shape for every machine
//!
//! * `handle_*` takes an input. It never blocks, does a bounded amount of work, and never panics on what came from the
//!   network.
//! * `poll_*` gives an action or an event, or `None`. Their order is data: a run can be recorded and replayed.
//! * `poll_timeout` gives the next deadline and what it is for; at that time `handle_timeout` is to be called.
//! * Commands (`join`, `whisper`, …) and queries (`peers`, `groups`, …) are ordinary methods.
//!
//! Time is an [`Instant`] of the embedder's making, randomness a seed given to the constructor. The same seed and the same
//! inputs give the same actions, octet for octet.
//!
//! # A node by hand
//!
//! Two nodes whose embedder is this example: it carries datagrams and octets from one to the other. With real sockets it is
//! the same; `examples/by_hand.rs` shows that in 300 lines.
//!
//! ```
//! use atonce::{Action, Config, Event, Frames, Instant, Interface, InterfaceId, LinkId, Stack};
//! use core::net::SocketAddr;
//!
//! let now = Instant::ZERO;
//! let address = |n: u8| SocketAddr::from(([127, 0, 0, n], 49152));
//! let mut nodes = Vec::new();
//! let mut interfaces = Vec::new();
//! for n in [1, 2] {
//!     let config = Config { name: Some(format!("node {n}").try_into()?), ..Config::default() };
//!     let mut node = Stack::new(now, [n; 32], config);
//!     let lo = Interface { name: "lo".into(), address: address(n).ip(), port: 49152, zone: 1 };
//!     interfaces.push(node.handle_interface_up(now, lo));
//!     nodes.push(node);
//! }
//!
//! // Which link of one node is which of the other.
//! let mut wires: Vec<[LinkId; 2]> = Vec::new();
//! loop {
//!     let mut quiet = true;
//!     for me in [0, 1] {
//!         let other = 1 - me;
//!         let from = address(me as u8 + 1);
//!         while let Some(action) = nodes[me].poll_action() {
//!             quiet = false;
//!             match action {
//!                 Action::Broadcast { datagram, .. } => {
//!                     nodes[other].handle_datagram(now, from, &datagram);
//!                 }
//!                 Action::Dial { link, .. } => {
//!                     let there = nodes[other].handle_accepted(now, interfaces[other], from);
//!                     let mut wire = [link; 2];
//!                     wire[other] = there.expect("there is room for one");
//!                     wires.push(wire);
//!                     nodes[me].handle_connected(now, link, from);
//!                 }
//!                 Action::Transmit { link } => {
//!                     let octets: Vec<u8> = nodes[me].poll_transmit(link).flatten().copied().collect();
//!                     let wire = wires.iter().find(|wire| wire[me] == link).expect("it is connected");
//!                     nodes[me].handle_transmitted(now, link, octets.len());
//!                     nodes[other].handle_received(now, wire[other], &octets);
//!                 }
//!                 other => println!("not needed here: {other:?}"),
//!             }
//!         }
//!         while let Some(event) = nodes[me].poll_event(now) {
//!             if let Event::Enter { peer } = &event {
//!                 nodes[me].whisper(now, peer.id, &Frames::from("hello"))?;
//!             }
//!             if let Event::Whisper { peer, content } = &event {
//!                 println!("{} hears {} say {content:?}", nodes[me].name(), peer.name);
//!             }
//!         }
//!     }
//!     if quiet {
//!         break;
//!     }
//! }
//! assert_eq!(nodes[0].peers().count(), 1);
//! assert_eq!(nodes[1].counters().messages_received, 2); // HELLO and "hello"
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! * A peer's [`Event::Enter`] comes before any other event of it, exactly one [`Event::Exit`] after them, with the
//!   reason. A peer that entered can be sent to: our own link to it is up.
//! * What one peer sends arrives in order and at most once. What may not have arrived is told: [`Lost`](zre::Lost).
//!   There is no acknowledgement by the application at the other end; who needs one answers.
//! * A queue that is full is told to the caller ([`SendError::Full`]). An application that does not take its events stops
//!   those who talk to it, and nobody else.
//! * A peer can end its own link. It cannot end the process, another peer's link, or the node's ability to accept new
//!   ones; it cannot make the node allocate more than [`Limits`](zre::Limits) say.
//!
//! # Features
//!
//! `curve`, which is on: keys, CURVE and secure nodes, and the crates that they need. `simd`, which the adapters switch on: seals
//! several times as fast with the vector instructions that the processor turns out to have; it needs std. Without it the crate is
//! `no_std` with `alloc`; it forbids `unsafe`. (`fuzz` is for the project's own fuzz targets and no part of the interface.)
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(any(test, feature = "fuzz"))]
extern crate std;

pub mod autoconf;
mod by_link;
#[cfg(feature = "curve")]
pub mod curve;
pub mod endpoint;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod gossip;
mod id;
pub mod log;
mod net;
#[cfg(feature = "curve")]
pub mod once;
mod queue;
#[cfg(feature = "curve")]
mod seeds;
pub mod socket;
mod stack;
mod table;
mod time;
mod timers;
mod verdict;
pub mod wire;
pub mod zmtp;
pub mod zre;

pub use bytes::Bytes;
pub use id::{InvalidPeerId, PeerId};
pub use net::{Cut, Interface, InterfaceId, LinkId};
pub use stack::{Action, Stack, Timer};
pub use time::Instant;
pub use verdict::{Denial, Verdict};
pub use wire::{Frames, Text};
pub use zre::{Config, Event, ExitReason, Peer, Presence, SendError};
