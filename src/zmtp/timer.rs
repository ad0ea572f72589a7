//! What a deadline is for.

use core::fmt;

/// What a deadline of a connection is for.
///
/// ```
/// use atonce::wire::zmtp::SocketType;
/// use atonce::zmtp::{Config, Connection, Timer};
/// use atonce::Instant;
/// use core::time::Duration;
///
/// let connection = Connection::new(Instant::ZERO, Config::new(SocketType::Dealer));
/// let end = Instant::ZERO + Duration::from_secs(30);
/// assert_eq!(connection.poll_timeout(), Some((end, Timer::Handshake)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Greeting and handshake have to be over, or the connection is given up.
    Handshake,
    /// A PING is due, because the peer was silent for an interval or wants to hear of us.
    Ping,
    /// Something has to be heard after a PING, or the peer is dead.
    Pong,
    /// Something more has to be heard after a PING of the peer that said so, or the peer is dead.
    TimeToLive,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "greeting and handshake took too long",
            Self::Ping => "time for a PING",
            Self::Pong => "nothing came after a PING",
            Self::TimeToLive => "nothing came within the time to live that the peer told",
        })
    }
}
