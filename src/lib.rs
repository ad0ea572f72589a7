//! The ZeroMQ realtime exchange for Rust: the sans-IO core.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(any(test, feature = "fuzz"))]
extern crate std;

pub mod endpoint;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod id;
mod net;
mod stack;
mod time;
mod timers;
pub mod wire;
pub mod zmtp;
pub mod zre;

pub use bytes::Bytes;
pub use id::{InvalidPeerId, PeerId};
pub use net::{Cut, Interface, InterfaceId, LinkId};
pub use stack::{Action, Stack, Timer};
pub use time::Instant;
pub use wire::{Frames, Text};
pub use zre::{Config, Event, ExitReason, Peer, Presence, SendError};
