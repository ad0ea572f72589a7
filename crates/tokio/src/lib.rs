//! Nodes of the ZeroMQ realtime exchange, and ZMTP [sockets](socket), as tasks of tokio.
//!
//! The same node, builder and events as in [`atonce_std`], which tells about interfaces, limits and what is shared;
//! only that [`recv`](Node::recv) and [`stop`](Node::stop) are awaited. A node is one task: no thread, channel or
//! buffer of its own.
//!
//! ```no_run
//! use atonce_tokio::{Event, Node};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let node = Node::builder().group("CHAT").start()?;
//!     println!("I am {}", node.name());
//!     while let Some(event) = node.recv().await {
//!         match event {
//!             Event::Join { peer, group } if group == "CHAT" => node.whisper(peer.id, "hello")?,
//!             Event::Whisper { peer, content } => println!("{} says {content:?}", peer.name),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Cancelling
//!
//! Every future of this crate may be dropped at any point, as `select!` does, and loses nothing:
//!
//! ```
//! use std::time::Duration;
//!
//! use atonce_tokio::{Event, Node};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::builder().name("alice").interface("lo").start()?;
//! let mut ticks = tokio::time::interval(Duration::from_millis(10));
//! let mut seen = Vec::new();
//! for _ in 0..3 {
//!     tokio::select! {
//!         event = node.recv() => seen.push(event),
//!         _ = ticks.tick() => {}
//!     }
//! }
//! node.stop().await;
//! while let Some(event) = node.recv().await {
//!     seen.push(Some(event));
//! }
//! assert_eq!(seen.pop(), Some(Some(Event::Stopped)));
//! # Ok(())
//! # }
//! ```
//!
//! # Where it runs
//!
//! On any runtime of tokio with I/O and time enabled (`enable_all`), of one thread or several, on Unix. It is tested
//! on Linux. The node's sockets have a poller of their own, for which the task waits; so a node may have tens of thousands
//! of links and is one entry in the runtime.
//!
//! Commands are no futures: [`whisper`](Node::whisper), [`shout`](Node::shout) and the others never wait, and can be given
//! where nothing can be awaited. When a peer's queue is full, [`whisper_wait`](Node::whisper_wait) waits for room.

pub mod autoconf;
pub mod log;
pub mod once;
pub mod socket;

mod node;
mod running;
mod task;

/// The programs of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub use atonce_std::{
    Beacons, Builder, Bytes, Certificate, ConnectError, Contact, Counters, Denial, Event,
    ExitReason, Family, Frames, HubError, Limits, LongText, Lost, Peer, PeerId, PeerInfo, Presence,
    SendError, Shouted, StartError, Text, TooLong, Trust, Usage, Verdict,
};

pub use crate::node::{Events, Node};
pub use crate::socket::Socket;
