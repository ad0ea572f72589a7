//! What a socket tells whoever monitors it.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use super::{ConnectId, Endpoint, ListenerId};
use crate::net::{Cut, LinkId};
use crate::wire::Text;
use crate::wire::zmtp::{Identity, SocketType, Version};
use crate::zmtp;

/// What happened to a socket and its links, for people and monitors: an application that never looks works as well.
///
/// At most 1,024 wait; what does not fit is counted in [`Counters::events_lost`](super::Counters). [`Event::Closed`] always fits.
///
/// ```
/// use atonce::socket::{Config, Event, Kind, Socket};
/// use atonce::Instant;
///
/// let mut pull = Socket::new(Instant::ZERO, [7; 32], Kind::Pull, Config::default());
/// pull.close(Instant::ZERO);
/// assert_eq!(pull.poll_event(), Some(Event::Closed { lost: 0 }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Others can connect.
    Listening {
        /// The name that `bind` gave.
        listener: ListenerId,
        /// Where it really is.
        endpoint: Endpoint,
    },
    /// It cannot be listened there.
    ListenFailed {
        /// The name that `bind` gave; it is forgotten.
        listener: ListenerId,
        /// Where.
        endpoint: Endpoint,
        /// What the system says.
        detail: Box<str>,
    },
    /// It is not listened there any more.
    Unbound {
        /// The name that `bind` gave; it is forgotten.
        listener: ListenerId,
        /// Where it was.
        endpoint: Endpoint,
    },
    /// A link is dialled.
    Connecting {
        /// The name of the link to be.
        link: LinkId,
        /// Where to.
        endpoint: Endpoint,
    },
    /// A link that was dialled is made; the handshake begins.
    Connected {
        /// Which.
        link: LinkId,
        /// Where to.
        endpoint: Endpoint,
    },
    /// Somebody made a link; the handshake begins.
    Accepted {
        /// Which.
        link: LinkId,
        /// Who; of a Unix socket, where it was made.
        remote: Endpoint,
    },
    /// Somebody was not let in, before anything was said.
    Turned {
        /// Who; of a Unix socket, where it came.
        remote: Endpoint,
        /// Why.
        why: Why,
    },
    /// The handshake is done: the peer takes part.
    Ready {
        /// Its link.
        link: LinkId,
        /// Who; where it was dialled or where it comes from.
        remote: Endpoint,
        /// The pattern that it follows.
        socket_type: SocketType,
        /// The version of ZMTP that it speaks.
        version: Version,
        /// What it calls itself.
        identity: Identity,
        /// As whom it was let in.
        user_id: Option<Text>,
    },
    /// A subscriber missed messages, since it read so slowly that its queue was full (PUB, XPUB; a publisher of an XSUB). Told once half
    /// of the queue is free again, or before the link ends.
    Missed {
        /// Which.
        link: LinkId,
        /// How many.
        messages: u64,
    },
    /// A link ended, or could not be made.
    Disconnected {
        /// Which.
        link: LinkId,
        /// Who.
        remote: Endpoint,
        /// Whether the peer took part until then.
        was_ready: bool,
        /// Why.
        why: Why,
        /// How many messages that were sent are surely not all there, since they had not left this socket. What was on its way besides
        /// may be lost as well; nobody can know.
        lost: usize,
    },
    /// What was connected is dialled again later.
    Retrying {
        /// The name that `connect` gave.
        connect: ConnectId,
        /// Where.
        endpoint: Endpoint,
        /// In what time.
        after: Duration,
    },
    /// What was connected is not dialled any more.
    Released {
        /// The name that `connect` gave; it is forgotten.
        connect: ConnectId,
        /// Where.
        endpoint: Endpoint,
        /// How many messages waited for it and are dropped.
        lost: usize,
    },
    /// Messages that waited for somebody who was connected are given up: a question was [reset](super::Socket::reset), or somebody else
    /// than they were for came to that endpoint, or has that identity now (ROUTER).
    GivenUp {
        /// Where they were to go.
        remote: Endpoint,
        /// How many.
        lost: usize,
    },
    /// The socket is closed, with all its links. The last event.
    Closed {
        /// How many messages could not be sent in time.
        lost: usize,
    },
}

/// Why a link ended or was not made.
///
/// ```
/// use atonce::Cut;
/// use atonce::socket::Why;
///
/// assert_eq!(Why::Cut(Cut::Refused).to_string(), "nobody listens there");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The network, or the peer, ended it.
    Cut(Cut),
    /// The connection is of no use any more.
    Failed(zmtp::Error),
    /// Whoever decides that said that the peer may not come in.
    Denied,
    /// There are as many links as there may be: [`Config::links`](super::Config::links).
    TooManyLinks,
    /// There are as many unfinished handshakes as there may be: [`Config::unready_links`](super::Config::unready_links).
    TooManyUnready,
    /// Another peer has its identity (ROUTER).
    IdentityTaken,
    /// Another link took its identity (ROUTER with [`Config::handover`](super::Config::handover)).
    Displaced,
    /// There is a partner already (PAIR).
    PairTaken,
    /// It sent, or subscribed to, more than it may.
    OverLimit,
    /// The application did not want it any more: `disconnect`, `reset` or `close`.
    Unwanted,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut(Cut::Refused) => "nobody listens there",
            Self::Cut(Cut::Closed) => "closed by the peer",
            Self::Cut(Cut::Reset) => "reset",
            Self::Cut(Cut::Unreachable) => "unreachable",
            Self::Cut(Cut::Resources) => "no descriptors or memory",
            Self::Failed(error) => return error.fmt(f),
            Self::Denied => "not allowed to come in",
            Self::TooManyLinks => "too many links",
            Self::TooManyUnready => "too many unfinished handshakes",
            Self::IdentityTaken => "its identity is taken",
            Self::Displaced => "another took its identity",
            Self::PairTaken => "there is a partner already",
            Self::OverLimit => "over a limit",
            Self::Unwanted => "not wanted any more",
        })
    }
}
