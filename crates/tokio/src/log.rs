//! Logging over the network: see [`atonce_std::log`], which tells all about it.
//!
//! A node logs with [`Builder::log`](crate::Builder::log) and [`Node::log`](crate::Node::log). A collector in a task is a SUB and what reads it:
//!
//! ```
//! use std::time::Duration;
//!
//! use atonce_tokio::log::{Collector, HEADER, Level, Record};
//! use atonce_tokio::socket::Kind;
//! use atonce_tokio::{Node, Socket};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sub = Socket::builder(Kind::Sub)
//!     .bind("tcp://127.0.0.1:0")
//!     .subscribe(Record::prefix(None))
//!     .open()?;
//! let node = Node::builder().interface("lo").port(0);
//! let archive = node.clone().service(HEADER, sub.endpoints()).start()?;
//!
//! let kitchen = node.log(Level::INFO).peer(&archive.endpoints()[0]).start()?;
//! kitchen.log(Level::WARNING, "the milk boils over");
//!
//! let begun = std::time::Instant::now();
//! let mut collector = Collector::new(Default::default());
//! loop {
//!     let now = atonce::Instant::from_millis(begun.elapsed().as_millis() as u64);
//!     let record = collector.handle_message(now, &sub.recv().await?)?;
//!     if record.data == "the milk boils over" {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub use atonce::log::Collector;
pub use atonce_std::log::{
    Config, Counters, HEADER, Happened, Level, Limits, NoRecord, NodeTag, Record, Source,
};
