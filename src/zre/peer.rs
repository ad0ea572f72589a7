//! A peer as the application sees it.

use crate::PeerId;
use crate::wire::{Headers, Text};

/// Who a peer is: what its HELLO said. One value for each time it enters, shared by all its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its identity.
    pub id: PeerId,
    /// Its public name; need not be unique.
    pub name: Text,
    /// Where its mailbox is, as its HELLO says it.
    pub endpoint: Text,
    /// Its headers.
    pub headers: Headers,
}

/// How lively a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Heard of within the evasive timeout.
    Ready,
    /// Silent for longer than the evasive timeout; it was asked with a PING.
    Evasive,
    /// It did not answer the PING.
    Silent,
}

impl Presence {
    /// `ready`, `evasive` or `silent`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Evasive => "evasive",
            Self::Silent => "silent",
        }
    }
}
