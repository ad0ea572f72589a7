//! Why a connection is of no use any more.

use super::Timer;
use crate::wire::zmtp::{MechanismName, Revision, SocketType};
use crate::wire::{Malformed, Text};

/// Why a connection is of no use any more, by whose fault it is.
///
/// Whichever it is, the connection is closed for good: it takes no input, sends no message and has no deadline. What
/// [`poll_transmit`](super::Connection::poll_transmit) still lends tells the peer, if it may be told; messages that
/// were received before can still be taken.
///
/// ```
/// use atonce::wire::zmtp::{Identity, SocketType};
/// use atonce::zmtp::{Config, Connection, Error, Incompatible};
/// use atonce::Instant;
///
/// let mut connection = Connection::new(Instant::ZERO, Config::new(SocketType::Router));
/// connection.handle_input(Instant::ZERO, b"GET / HTTP/1.1");
/// assert!(matches!(connection.error(), Some(Error::Incompatible(Incompatible::Revision(_)))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
// ZMTP-71
pub enum Error {
    /// The peer sent octets that do not follow the grammar.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The peer sent what follows the grammar, but not at this time or not so much.
    #[error("misbehaving: {0}")]
    Misbehaving(#[from] Misbehaving),
    /// The peer is all right, but not for us. Trying again does not help.
    #[error("incompatible: {0}")]
    Incompatible(#[from] Incompatible),
    /// The peer will not talk to us: it sent an ERROR with this reason, which is for people.
    #[error("refused by the peer: {reason}")]
    Refused {
        /// What it said.
        reason: Text,
    },
    /// What the peer sealed does not open. It has another key than it should have, or somebody on the way changed what it sent, sent
    /// it again, or made it up. Who that is cannot be told.
    #[error("the {command} was not sealed by whom it should be, or was changed on the way")]
    Unproved {
        /// The command in which it was found.
        command: &'static str,
    },
    /// This deadline passed. Trying again may help.
    #[error("timed out: {0}")]
    TimedOut(Timer),
}

/// What a peer must not do, though the grammar allows it.
///
/// ```
/// use atonce::zmtp::Misbehaving;
///
/// let error = Misbehaving::Limit { limit: "frame_octets", at_most: 1024, found: 1025 };
/// assert_eq!(error.to_string(), "over the limit frame_octets of 1024: 1025");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misbehaving {
    /// More than [`Limits`](super::Limits) allow.
    #[error("over the limit {limit} of {at_most}: {found}")]
    Limit {
        /// The field of [`Limits`](super::Limits).
        limit: &'static str,
        /// Its value.
        at_most: u64,
        /// What the peer sent, or was about to send.
        found: u64,
    },
    /// A nonce that does not follow the one before: something was sent again, left out, or moved.
    #[error("a nonce that does not follow the one before")]
    Nonce,
    /// Something that has no place at this point of the connection.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
}

/// Why two peers that both follow the protocol cannot talk to each other.
///
/// ```
/// use atonce::wire::zmtp::SocketType;
/// use atonce::zmtp::Incompatible;
///
/// let error = Incompatible::SocketTypes { ours: SocketType::Dealer, theirs: SocketType::Pub };
/// assert_eq!(error.to_string(), "a DEALER does not talk to a PUB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incompatible {
    /// The peer speaks an older revision of ZMTP, or something else.
    #[error("the peer speaks {0}")]
    Revision(Revision),
    /// The peer wants another mechanism.
    #[error("this side wants {ours}, the peer {theirs}")]
    Mechanism {
        /// Ours.
        ours: MechanismName,
        /// The peer's.
        theirs: MechanismName,
    },
    /// The key that the server is said to have is one that nobody can have.
    #[error("nobody can have the key that the server is said to have")]
    Key,
    /// The peer follows a pattern that ours does not go with.
    #[error("a {ours} does not talk to a {theirs}")]
    SocketTypes {
        /// Ours.
        ours: SocketType,
        /// The peer's.
        theirs: SocketType,
    },
}

/// Why a message was not queued. Nothing was changed.
///
/// ```
/// use atonce::wire::zmtp::SocketType;
/// use atonce::zmtp::{Config, Connection, SendError};
/// use atonce::{Frames, Instant};
///
/// let mut connection = Connection::new(Instant::ZERO, Config::new(SocketType::Dealer));
/// assert_eq!(connection.send(Frames::new()), Err(SendError::NoFrames));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// A message has at least one frame, which may be empty.
    #[error("a message has at least one frame")]
    NoFrames,
}

#[cold]
pub(super) fn over(limit: &'static str, at_most: usize, found: u64) -> Error {
    Error::Misbehaving(Misbehaving::Limit {
        limit,
        at_most: crate::wire::primitive::wide(at_most),
        found,
    })
}

#[cold]
pub(super) fn unexpected(what: &'static str) -> Error {
    Error::Misbehaving(Misbehaving::Unexpected(what))
}
