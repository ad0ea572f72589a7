//! What a participant asks of its embedder, and what it tells.

use core::fmt;

use bytes::Bytes;

#[cfg(doc)]
use super::Gossip;
use crate::wire::Frames;
use crate::wire::gossip::{Key, Value};

/// A hub that we are a client of: one DEALER of the embedder's, connected to one endpoint. A name is never used twice by the same
/// participant.
///
/// ```
/// use atonce::Instant;
/// use atonce::gossip::{Config, Gossip};
///
/// let mut gossip = Gossip::new(Instant::ZERO, [7; 32], Config::default());
/// assert_eq!(gossip.open(Instant::ZERO).to_string(), "remote 0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteId(pub(super) u64);

impl RemoteId {
    /// As a number, for the embedder's own tables.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remote {}", self.0)
    }
}

/// Whom a message comes from or is for.
///
/// ```
/// use atonce::Frames;
/// use atonce::gossip::Neighbour;
///
/// // What a ROUTER receives.
/// let mut message = Frames::from_iter([&b"\0abcd"[..], b"\xAA\xA0\x03\x01"]);
/// let from = message.pop_front().map(Neighbour::Session);
/// assert_eq!(from, Some(Neighbour::Session(b"\0abcd"[..].into())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Neighbour {
    /// A client of ours: the frame that stands before its messages at the embedder's ROUTER.
    Session(Bytes),
    /// A hub that we are a client of.
    Remote(RemoteId),
}

/// What the embedder has to do.
///
/// ```
/// use atonce::Instant;
/// use atonce::gossip::{Action, Config, Gossip, Neighbour};
///
/// let now = Instant::ZERO;
/// let mut gossip = Gossip::new(now, [7; 32], Config::default());
/// let hub = gossip.open(now);
/// assert_eq!(gossip.poll_action(), None);
/// gossip.handle_connected(now, hub);
/// let Some(Action::Send { to, .. }) = gossip.poll_action() else { panic!() };
/// assert_eq!(to, Neighbour::Remote(hub));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send this over the DEALER of a remote, or over the ROUTER with the session's frame before it. When it cannot be sent, give it
    /// back with [`Gossip::handle_unsent`].
    Send {
        /// To whom.
        to: Neighbour,
        /// What: one frame.
        message: Frames,
    },
    /// A remote has not answered for ten seconds: end its connection and make a new one. [`Gossip::handle_disconnected`] and
    /// [`Gossip::handle_connected`] tell of it as ever.
    Reconnect {
        /// Which.
        remote: RemoteId,
    },
}

/// Why a message was not sent.
///
/// ```
/// use atonce::gossip::Unsent;
/// use atonce::socket::SendError;
///
/// fn why(error: &SendError) -> Unsent {
///     match error {
///         SendError::Full => Unsent::Full,
///         _ => Unsent::Gone,
///     }
/// }
/// assert_eq!(why(&SendError::Full), Unsent::Full);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// There is no room for it now. It is tried again.
    Full,
    /// Whom it is for is not there any more.
    Gone,
}

/// Why there is no such tuple any more.
///
/// ```
/// assert_eq!(atonce::gossip::End::Expired.to_string(), "expired");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Its publisher, or somebody in its name, said so.
    Unpublished,
    /// Nobody said any more that it lives.
    Expired,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unpublished => "unpublished",
            Self::Expired => "expired",
        })
    }
}

/// What happened. Of each tuple of others the first event is [`Published`](Self::Published), and the last [`Unpublished`](Self::Unpublished);
/// what changed meanwhile without being taken is told once. Tuples that are published here are told of only when others contest them.
///
/// ```
/// use atonce::Instant;
/// use atonce::gossip::{Config, Gossip};
///
/// let mut gossip = Gossip::new(Instant::ZERO, [7; 32], Config::default());
/// gossip.publish(Instant::ZERO, "us".parse()?, "tcp://10.0.0.7:49152".parse()?)?;
/// assert_eq!(gossip.poll_event(), None);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody published a tuple. Whether another has the same value: [`Gossip::keys_with`].
    Published {
        /// Its name.
        key: Key,
        /// What it says.
        value: Value,
    },
    /// It says something else.
    Changed {
        /// Its name.
        key: Key,
        /// What it says.
        value: Value,
        /// What it said when it was last told.
        before: Value,
    },
    /// There is no such tuple any more.
    Unpublished {
        /// Its name.
        key: Key,
        /// What it said when it was last told.
        before: Value,
        /// Why.
        end: End,
    },
    /// Somebody else publishes a key that is published here, with another value, and does not give way. Theirs holds from now on, until
    /// nobody publishes it any more.
    Overruled {
        /// The key.
        key: Key,
        /// What was published here.
        ours: Value,
        /// What holds.
        theirs: Value,
    },
    /// What is published here holds again, after it was overruled.
    Restored {
        /// The key.
        key: Key,
    },
    /// A remote has told all its tuples, and is told ours.
    Synced {
        /// Which.
        remote: RemoteId,
        /// Whether it is a participant of ours.
        ours: bool,
    },
    /// A remote turned out to be this participant itself. Nothing is said to it.
    Itself {
        /// Which.
        remote: RemoteId,
    },
    /// A neighbour sent more than it may, and is not heard for a while.
    Refused {
        /// Who.
        neighbour: Neighbour,
    },
}

/// What the next deadline is for.
///
/// ```
/// use atonce::Instant;
/// use atonce::gossip::{Config, Gossip, Timer};
///
/// let mut gossip = Gossip::new(Instant::ZERO, [7; 32], Config::default());
/// gossip.publish(Instant::ZERO, "us".parse()?, "tcp://10.0.0.7:49152".parse()?)?;
/// assert!(matches!(gossip.poll_timeout(), Some((_, Timer::Tuple))));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// A tuple is to be refreshed, asserted or forgotten.
    Tuple,
    /// A neighbour is to be told that we are there, tried again, or heard again.
    Neighbour,
}

/// What happened so far, in numbers.
///
/// ```
/// assert_eq!(atonce::gossip::Counters::default().malformed, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that were heard and understood.
    pub heard: u64,
    /// Messages that were given to the embedder to send.
    pub said: u64,
    /// Messages that are none of gossip.
    pub foreign: u64,
    /// Messages of gossip that do not follow the grammar.
    pub malformed: u64,
    /// PUBLISH that told nothing new.
    pub known: u64,
    /// PUBLISH with what was superseded: whoever said so was told what holds.
    pub stale: u64,
    /// Tuples for which there was no room.
    pub no_room: u64,
    /// Clients for whom there was no room.
    pub turned_away: u64,
    /// Messages that were not heard since their sender had sent more than it may.
    pub refused: u64,
    /// INVALID from remotes.
    pub invalid: u64,
    /// Events that were dropped since nobody took them: of remotes, refusals and contests, never of tuples.
    pub events_lost: u64,
}
