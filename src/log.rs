//! Nodes that say what happens to them, and collectors that hear it: `spec/log.md`.
//!
//! Two machines, neither of which needs the other, and neither of which owns a socket:
//!
//! * A [`Logger`] knows which collectors there are and what each of them was not told yet. The embedder gives it the events of a node, and has an XPUB
//!   for each collector.
//! * A [`Collector`] reads what comes over a SUB, and counts who says how much.
//!
//! # A node and a collector
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use atonce::log::logger::{Action, Config, Met};
//! use atonce::log::{Collector, HEADER, Logger};
//! use atonce::wire::log::Level;
//! use atonce::{Event, Frames, Instant, Peer, PeerId};
//!
//! let now = Instant::ZERO;
//! let mut logger = Logger::new(now, Duration::from_secs(1_352_700_000), Config::default());
//! logger.log(now, Level::INFO, "warming up");
//!
//! // A peer enters that is a collector.
//! let peer = Arc::new(Peer {
//!     id: PeerId::from_bytes([7; 16]),
//!     name: "archive".try_into()?,
//!     endpoint: "tcp://192.168.1.2:49152".try_into()?,
//!     headers: [(HEADER.try_into()?, "tcp://192.168.1.2:9992".try_into()?)].into_iter().collect(),
//! });
//! let met = Met::at(([192, 168, 1, 2], 40_000).into(), "tcp://192.168.1.7:49152".try_into()?);
//! logger.handle_event(now, &Event::Enter { peer }, Some(&met));
//! let Some(Action::Connect { collector, address, .. }) = logger.poll_action() else { panic!() };
//! assert_eq!(address, ([192, 168, 1, 2], 9992).into());
//!
//! // The embedder connects an XPUB, over which the collector subscribes.
//! logger.handle_subscription(collector, b"\x01\xAA\xA2\x01");
//! let mut heard = Collector::new(Default::default());
//! let mut said = Vec::new();
//! while let Some(message) = logger.poll_message(collector) {
//!     said.push(heard.handle_message(now, &Frames::from(message))?.data.to_string());
//! }
//! assert_eq!(said, ["warming up", "tcp://192.168.1.2:49152 archive"]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

pub mod collector;
mod credit;
pub mod logger;

pub use collector::Collector;
pub use logger::Logger;

/// The header of HELLO in which a collector says where its SUB is: `tcp://ADDRESS:PORT`.
// LOG-10
pub const HEADER: &str = "X-ZRELOG";
