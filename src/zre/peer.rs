//! A peer as the application sees it.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use crate::PeerId;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::wire::{Headers, Text};

/// Who a peer is: what its HELLO said. One value for each time it enters, shared by all its events.
///
/// ```
/// use atonce::{Peer, PeerId};
///
/// let peer = Peer {
///     id: PeerId::from_bytes([7; 16]),
///     name: "kitchen".try_into()?,
///     endpoint: "tcp://192.168.1.7:49152".try_into()?,
///     headers: [("X-ROLE".try_into()?, "thermometer".try_into()?)].into_iter().collect(),
/// };
/// assert_eq!(peer.name, "kitchen");
/// assert!(peer.headers.get("X-ROLE").is_some_and(|value| *value == "thermometer"));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
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
///
/// ```
/// assert_eq!(atonce::Presence::Evasive.as_str(), "evasive");
/// ```
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

/// A peer that is here, now.
///
/// ```
/// use atonce::{Config, Instant, Stack};
///
/// let stack = Stack::new(Instant::ZERO, [7; 32], Config::default());
/// for view in stack.peers() {
///     println!("{} ({}) is in {:?}", view.peer.name, view.presence.as_str(), view.groups);
/// }
/// assert_eq!(stack.peers_in(b"CHAT").count(), 0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PeerView<'a> {
    /// Who it is.
    pub peer: &'a Arc<Peer>,
    /// The groups it is in.
    pub groups: &'a BTreeSet<Text>,
    /// How lively it is.
    pub presence: Presence,
    /// Where the link comes from on which it speaks, or where that leads if it is we who made it.
    pub remote: SocketAddr,
    /// How long its last answer to [`Node::ping`](super::Node::ping) took; `None` until there is one.
    pub round_trip: Option<Duration>,
    /// The key that it proved; `None` when this node is not secure.
    #[cfg(feature = "curve")]
    pub key: Option<PublicKey>,
    /// The user id under which the link was [let in](crate::Verdict::AllowAs) on which it speaks, if that was given one.
    #[cfg(feature = "curve")]
    pub user_id: Option<&'a Text>,
}
