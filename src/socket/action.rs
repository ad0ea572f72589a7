//! What a socket asks of its embedder.

use core::fmt;

use super::Endpoint;
#[cfg(doc)]
use super::Socket;
use crate::net::LinkId;
use crate::zmtp::Credentials;

/// Something that listens. A name is never used twice by the same socket.
///
/// ```
/// use atonce::socket::{Config, Kind, Socket};
/// use atonce::Instant;
///
/// let mut pull = Socket::new(Instant::ZERO, [7; 32], Kind::Pull, Config::default());
/// let listener = pull.bind(Instant::ZERO, &"tcp://*:5555".parse()?)?;
/// assert_eq!(listener.to_string(), "listener 0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(super) u32);

impl ListenerId {
    /// As a number, for the embedder's own tables.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listener {}", self.0)
    }
}

/// Something that is dialled, again and again. A name is never used twice by the same socket.
///
/// ```
/// use atonce::socket::{Config, Kind, Socket};
/// use atonce::Instant;
///
/// let mut push = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// let connect = push.connect(Instant::ZERO, &"tcp://127.0.0.1:5555".parse()?)?;
/// push.disconnect(Instant::ZERO, connect);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectId(pub(super) u32);

impl ConnectId {
    /// As a number, for the embedder's own tables.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ConnectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect {}", self.0)
    }
}

/// What the embedder has to do.
///
/// ```
/// use atonce::socket::{Action, Config, Kind, Socket};
/// use atonce::Instant;
///
/// let mut push = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// push.connect(Instant::ZERO, &"tcp://127.0.0.1:5555".parse()?)?;
/// assert!(matches!(push.poll_action(), Some(Action::Dial { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Listen there; answer with [`Socket::handle_listening`] or [`Socket::handle_listen_failed`], then say who comes with
    /// [`Socket::handle_accepted`].
    Listen {
        /// What to answer with.
        listener: ListenerId,
        /// Where.
        endpoint: Endpoint,
    },
    /// Listen there no more. No further call about it. Links that came through it stay.
    Unlisten {
        /// Which.
        listener: ListenerId,
    },
    /// Open a connection, looking a name up first; answer with [`Socket::handle_connected`] or [`Socket::handle_disconnected`].
    Dial {
        /// The name of the new connection.
        link: LinkId,
        /// Where to.
        endpoint: Endpoint,
    },
    /// There are octets to send where there were none: take them with [`Socket::poll_transmit`] until it lends nothing.
    Transmit {
        /// Where.
        link: LinkId,
    },
    /// Stop reading the connection, because the application is slow; TCP holds the other side back.
    Pause {
        /// Which.
        link: LinkId,
    },
    /// Read it again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Close the connection now and forget it, also when it is still being dialled. No further call about it. What was transmitted
    /// is to arrive: a connection is not reset.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Say whether a client may come in; answer with [`Socket::handle_verdict`], at once or later: after the time that a handshake
    /// may take the link is given up. Only servers of PLAIN and CURVE ask.
    Authenticate {
        /// What to answer with.
        link: LinkId,
        /// What the client says or proves about itself.
        credentials: Credentials,
        /// Where it comes from.
        remote: Endpoint,
    },
}

/// What the next deadline is for.
///
/// ```
/// use atonce::socket::{Config, Kind, Socket, Timer};
/// use atonce::Instant;
///
/// let mut push = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// push.connect(Instant::ZERO, &"tcp://127.0.0.1:5555".parse()?)?;
/// let next = push.poll_timeout().map(|(at, timer)| (at.as_millis(), timer));
/// assert!(matches!(next, Some((30_000, Timer::Connection(_)))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// A connection: its handshake takes too long, or its heartbeat is due.
    Connection(LinkId),
    /// Something is dialled again.
    Retry(ConnectId),
    /// A link that ends did not take in time what was queued.
    Linger(LinkId),
    /// A socket that is closed could not send in time what was queued.
    Close,
}
