//! What the application is told.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
#[cfg(feature = "curve")]
use core::net::SocketAddr;

use super::Peer;
#[cfg(feature = "curve")]
use crate::PeerId;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::wire::{Frames, Malformed, Text};

/// What happened. ENTER comes before any other event of a peer, and exactly one EXIT after them.
///
/// ```
/// use atonce::Event;
///
/// fn tell(event: &Event) -> String {
///     match event {
///         Event::Enter { peer } => format!("{} is here", peer.name),
///         Event::Shout { peer, group, content } => {
///             format!("{} to {group}: {} frames", peer.name, content.len())
///         }
///         Event::Exit { peer, reason } => format!("{} is gone: {reason}", peer.name),
///         // There will be more kinds.
///         other => format!("{other:?}"),
///     }
/// }
/// assert_eq!(tell(&Event::Stopped), "Stopped");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer is there: it greeted us, and our own link to its mailbox is up.
    Enter {
        /// Who it is.
        peer: Arc<Peer>,
    },
    /// A peer was silent for longer than the evasive timeout and was asked with a PING.
    Evasive {
        /// Who is silent.
        peer: Arc<Peer>,
    },
    /// An evasive peer did not answer the PING.
    Silent {
        /// Who is silent.
        peer: Arc<Peer>,
    },
    /// An evasive or silent peer was heard of again.
    Recovered {
        /// Who is back.
        peer: Arc<Peer>,
    },
    /// A peer joined a group, or was in it already when it entered.
    Join {
        /// Who joined.
        peer: Arc<Peer>,
        /// Which group.
        group: Text,
    },
    /// A peer left a group. (A peer that exits leaves its groups without this event.)
    Leave {
        /// Who left.
        peer: Arc<Peer>,
        /// Which group.
        group: Text,
    },
    /// A peer said something to this node.
    Whisper {
        /// Who said it.
        peer: Arc<Peer>,
        /// What it said; may have no frames.
        content: Frames,
    },
    /// A peer said something to a group that this node is in.
    Shout {
        /// Who said it.
        peer: Arc<Peer>,
        /// To which group.
        group: Text,
        /// What it said; may have no frames.
        content: Frames,
    },
    /// Somebody leads a group that this node is in, from now on. (A leader that exits or leaves the group leads it no more,
    /// without another of these until there is a new one.)
    Leader {
        /// Which group.
        group: Text,
        /// Who leads it; this node itself, when the identity is its own.
        peer: Arc<Peer>,
    },
    /// A peer is gone.
    Exit {
        /// Who is gone.
        peer: Arc<Peer>,
        /// Why.
        reason: ExitReason,
    },
    /// Somebody who may come in stated the identity of another: it is with another key. It was not let in, nothing else happened.
    /// Told once a minute of the same key and identity.
    #[cfg(feature = "curve")]
    Impostor {
        /// The identity that it stated.
        id: PeerId,
        /// The key that it proved.
        key: PublicKey,
        /// The key that has the identity.
        holder: PublicKey,
        /// Where it came from, or where its mailbox is.
        remote: SocketAddr,
    },
    /// An interface is in use: this node's mailbox can be reached there.
    InterfaceUp {
        /// Its name, as the embedder gave it.
        interface: String,
        /// The endpoint that peers are told there.
        endpoint: Text,
    },
    /// An interface went away. The embedder goes on trying; links that still live are kept.
    InterfaceDown {
        /// Its name, as the embedder gave it.
        interface: String,
        /// What happened.
        detail: String,
    },
    /// The node said goodbye to all and is stopped. The last event.
    Stopped,
}

/// Why a peer is gone.
///
/// ```
/// use atonce::ExitReason;
/// use atonce::zre::Lost;
///
/// let reason = ExitReason::Lost(Lost::Gap { expected: 7, found: 9 });
/// assert_eq!(reason.as_str(), "lost");
/// assert_eq!(reason.to_string(), "lost: a gap: expected message 7, found 9");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// It said goodbye.
    Left,
    /// It was silent for longer than the expired timeout.
    Expired,
    /// The same peer greeted anew: an ENTER follows as soon as it is reached where its HELLO says.
    Replaced,
    /// Its link died and could not be made again, or it broke its promises.
    Lost(Lost),
    /// It did not read what was sent to it, and its queue stayed full.
    Overrun,
    /// It is not let in, for security.
    Refused,
}

/// What exactly was lost with a peer.
///
/// ```
/// use atonce::zre::Lost;
///
/// assert_eq!(Lost::Unreachable.to_string(), "its mailbox is gone");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// Its mailbox does not accept connections any more.
    Unreachable,
    /// The link to it died while messages were under way that nothing acknowledged; or it had forgotten this node when they came.
    LinkCut {
        /// How many messages to the peer may not have arrived.
        messages: u64,
    },
    /// Messages from it are missing.
    Gap {
        /// The sequence number that should have come.
        expected: u16,
        /// The one that came.
        found: u16,
    },
    /// What it sent does not follow ZMTP.
    Garbled,
    /// It sent what is not a ZRE message.
    Malformed(Malformed),
    /// Another node took its endpoint.
    Displaced,
    /// It went over a limit of this node, which names it.
    Limit(&'static str),
}

impl ExitReason {
    /// One word, as the command line prints it: `left`, `expired`, `replaced`, `lost`, `overrun` or `refused`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Lost(_) => "lost",
            Self::Overrun => "overrun",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(lost) => write!(f, "lost: {lost}"),
            other => f.write_str(other.as_str()),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("its mailbox is gone"),
            Self::LinkCut { messages } => {
                write!(f, "its link was cut, {messages} messages to it may be lost")
            }
            Self::Gap { expected, found } => {
                write!(f, "a gap: expected message {expected}, found {found}")
            }
            Self::Garbled => f.write_str("its link broke the rules of ZMTP"),
            Self::Malformed(malformed) => write!(f, "a malformed message: {malformed}"),
            Self::Displaced => f.write_str("another node took its endpoint"),
            Self::Limit(limit) => write!(f, "it went over the limit of {limit}"),
        }
    }
}
