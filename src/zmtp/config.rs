//! What a connection is told when it is made.

use core::time::Duration;

use crate::wire::zmtp::{Identity, SocketType};

/// Everything about a connection that the embedder decides.
///
/// ```
/// use atonce::wire::zmtp::SocketType;
/// use atonce::zmtp::{Config, Heartbeat};
/// use core::time::Duration;
///
/// let config = Config {
///     identity: b"\x01alice".as_slice().try_into()?,
///     heartbeat: Some(Heartbeat::every(Duration::from_secs(5))),
///     ..Config::new(SocketType::Dealer)
/// };
/// assert_eq!(config.handshake_timeout, Duration::from_secs(30));
/// # Ok::<(), atonce::wire::zmtp::InvalidIdentity>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The pattern that this side follows.
    pub socket_type: SocketType,
    /// The name under which a ROUTER is to know this side; empty for none. Only REQ, DEALER and ROUTER tell it.
    pub identity: Identity,
    /// How the two sides make sure of each other.
    pub security: Security,
    /// How long greeting and handshake may take: 30 s, as with C peers.
    pub handshake_timeout: Duration,
    /// Whether, and how, the connection finds out that the peer is gone without TCP saying so: not at all.
    pub heartbeat: Option<Heartbeat>,
    /// What the peer may send.
    pub limits: Limits,
}

impl Config {
    /// A side of this pattern without identity, heartbeat and security.
    pub fn new(socket_type: SocketType) -> Self {
        Self {
            socket_type,
            identity: Identity::default(),
            security: Security::Null,
            handshake_timeout: Duration::from_secs(30),
            heartbeat: None,
            limits: Limits::default(),
        }
    }
}

/// The mechanism of the handshake. Both sides must want the same one.
///
/// ```
/// assert_eq!(atonce::zmtp::Security::default(), atonce::zmtp::Security::Null);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// None: whoever connects is let in, and everybody on the way can read along.
    #[default]
    Null,
}

/// Heartbeats (RFC 37 "Connection Heartbeating"). Peers of version 3.0 do not have them and are not asked.
///
/// ```
/// use atonce::zmtp::Heartbeat;
/// use core::time::Duration;
///
/// let heartbeat = Heartbeat::every(Duration::from_secs(2));
/// assert_eq!(heartbeat.timeout, Duration::from_secs(2));
/// assert_eq!(heartbeat.ttl, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The peer is asked with a PING when nothing was heard of it for so long.
    pub interval: Duration,
    /// It is dead when nothing at all is heard of it for so long after that.
    pub timeout: Duration,
    /// The peer is told to think the same of us after so long. Then a PING goes out every `interval`, whether the
    /// peer was heard or not, so this has to be longer than `interval`. Told in tenths of a second, rounded up; at
    /// most 65.5 s are told, because C peers compute wrongly beyond that.
    pub ttl: Option<Duration>,
}

impl Heartbeat {
    /// Asks after `interval`, waits as long for an answer, and tells the peer nothing.
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            timeout: interval,
            ttl: None,
        }
    }
}

/// What the peer may send. Lengths are compared with these before anything is allocated.
///
/// ```
/// use atonce::zmtp::Limits;
///
/// let stranger = Limits { frame_octets: 1 << 20, message_octets: 1 << 20, ..Limits::default() };
/// assert_eq!(stranger.message_frames, 1_024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest frame of a message, in octets: 256 MiB.
    pub frame_octets: usize,
    /// The largest message, in octets over all its frames: 256 MiB.
    pub message_octets: usize,
    /// The most frames in a message: 1,024.
    pub message_frames: usize,
    /// The largest command, in octets: 64 KiB. READY with its metadata is the largest that makes sense.
    pub command_octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_octets: 256 << 20,
            message_octets: 256 << 20,
            message_frames: 1_024,
            command_octets: 64 << 10,
        }
    }
}
