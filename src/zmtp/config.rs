//! What a connection is told when it is made.

#[cfg(feature = "curve")]
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use subtle::ConstantTimeEq;

#[cfg(feature = "curve")]
use crate::curve::{KeyPair, PublicKey, Seed};
use crate::wire::Text;
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
#[derive(Debug)]
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

/// The mechanism of the handshake, and which part in it this side has. Both sides must want the same mechanism, and one of them be
/// its server and the other its client, whichever of them dialled.
///
/// It cannot be cloned, since the seed of a connection must not be that of another.
///
/// ```
/// use atonce::curve::{KeyPair, Seed};
/// use atonce::wire::zmtp::SocketType;
/// use atonce::zmtp::{Config, Security};
/// use std::sync::Arc;
///
/// let keys = Arc::new(KeyPair::generate([7; 32]));
/// let server = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7".parse()?;
/// let config = Config {
///     security: Security::CurveClient { keys, server, seed: Seed::from_bytes([8; 32]) },
///     ..Config::new(SocketType::Dealer)
/// };
/// assert!(!format!("{config:?}").contains("7, 7"));
/// # Ok::<(), atonce::curve::InvalidKey>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Security {
    /// None: whoever connects is let in, and everybody on the way can read along.
    #[default]
    Null,
    /// A name and a password, which everybody on the way can read (RFC 24).
    PlainClient {
        /// Who we are.
        username: Text,
        /// What proves it.
        password: Password,
    },
    /// The other side of it: [`Event::Authenticate`](super::Event::Authenticate) asks who may come in.
    PlainServer,
    /// Encryption, between two who know each other's keys (RFC 25, 26).
    #[cfg(feature = "curve")]
    CurveClient {
        /// Ours.
        keys: Arc<KeyPair>,
        /// The server's; another one does not get to know who we are.
        server: PublicKey,
        /// For the keys of this connection.
        seed: Seed,
    },
    /// The other side of it: [`Event::Authenticate`](super::Event::Authenticate) asks who may come in.
    #[cfg(feature = "curve")]
    CurveServer {
        /// Ours.
        keys: Arc<KeyPair>,
        /// For the keys of this connection.
        seed: Seed,
    },
}

/// A password of at most 255 octets. It shows itself in no `Debug` output, and is compared in constant time.
///
/// ```
/// use atonce::zmtp::Password;
///
/// let password = Password::from(atonce::Text::try_from("secret")?);
/// assert_eq!(format!("{password:?}"), "Password(..)");
/// assert!(password == Password::from(atonce::Text::try_from("secret")?));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone)]
pub struct Password(Text);

impl Password {
    /// What it is.
    pub const fn expose(&self) -> &Text {
        &self.0
    }
}

impl From<Text> for Password {
    fn from(text: Text) -> Self {
        Self(text)
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
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
