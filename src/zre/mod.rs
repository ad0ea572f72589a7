//! The node as a machine: who is there, who is in which group, and what is said to whom.

mod config;
mod event;
mod peer;

pub use config::{Config, Limits};
pub use event::{Event, ExitReason, Lost};
pub use peer::{Peer, Presence};
