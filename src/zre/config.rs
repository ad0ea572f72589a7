//! What a node is told when it is made.

use alloc::collections::BTreeMap;
#[cfg(feature = "curve")]
use alloc::collections::BTreeSet;
#[cfg(feature = "curve")]
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::PeerId;
#[cfg(feature = "curve")]
use crate::curve::{KeyPair, PublicKey};
use crate::endpoint::Endpoint;
use crate::wire::{Headers, Text};

/// Everything about a node that does not change while it runs.
///
/// ```
/// use atonce::zre::Config;
/// use core::time::Duration;
///
/// let config = Config {
///     name: Some("alice".try_into()?),
///     interval: Duration::from_millis(500),
///     ..Config::default()
/// };
/// assert_eq!(config.expired_timeout, Duration::from_secs(30));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity of the node; made from the seed when `None`.
    pub uuid: Option<PeerId>,
    /// The public name; the first six hexadecimal digits of the UUID when `None`, as C Zyre does.
    pub name: Option<Text>,
    /// Told to every peer in HELLO.
    pub headers: Headers,
    /// Where something else listens that belongs to the node, under the names of headers: of each, a peer is told in HELLO the
    /// endpoint that suits the interface over which it is met, `tcp://ADDRESS:PORT`. An unspecified address is that of each
    /// interface (`0.0.0.0` with IPv4, `::` with either). A header of the same name gives way. None.
    ///
    /// ```
    /// use atonce::Config;
    ///
    /// let mut config = Config::default();
    /// let archive = vec!["10.0.0.2:9992".parse()?, "[2001:db8::2]:9992".parse()?];
    /// config.services.insert("X-ZRELOG".try_into()?, archive);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    // ZRE-105
    pub services: BTreeMap<Text, Vec<SocketAddr>>,
    /// Which beacons the node says, and which it hears: [`Beacons::Both`].
    pub beacons: Beacons,
    /// Time between two beacons: 1 s. Go nodes forget a peer after 5 s without one.
    pub interval: Duration,
    /// How long a peer may be silent before it is asked with a PING: 5 s, as C Zyre has it.
    pub evasive_timeout: Duration,
    /// How long a peer may be silent before it is gone: 30 s, as C Zyre has it.
    pub expired_timeout: Duration,
    /// The endpoint told to others instead of the one that is bound: for a node behind a port forwarding.
    pub advertise: Option<Endpoint>,
    /// Whether the node offers to be spoken to on the links that it dialled, and speaks so to whoever offers it and cannot be dialled:
    /// `false`. For nodes of which some are behind an address translation. Both sides have to offer it; nothing changes for others,
    /// and between two who can dial each other. The link has to come from another address than the one that HELLO names, or the
    /// dial to that one to fail within 2 s.
    pub duplex: bool,
    /// What makes the node secure: it speaks to nobody but by CURVE, and whoever does not is not there for it. Without, it speaks
    /// to nobody who is secure.
    #[cfg(feature = "curve")]
    pub curve: Option<Curve>,
    /// What the network and the application may cost this node.
    pub limits: Limits,
}

/// Which beacons a node says, and which it hears.
///
/// | | broadcasts its own | follows those of others | answers them |
/// |---|---|---|---|
/// | `Both` | yes | yes | no |
/// | `Say` | yes | no | no |
/// | `Directed` | no | yes | yes |
/// | `Off` | no | no | no |
///
/// Whatever it is, the node also meets those whom it is told of with [`connect`](crate::Stack::connect) or
/// [`introduce`](crate::Stack::introduce), and those who dial it. All but `Off` can say
/// [directed beacons](crate::Stack::beacon).
///
/// ```
/// use atonce::zre::{Beacons, Config};
///
/// assert_eq!(Config::default().beacons, Beacons::Both);
/// assert!(Beacons::Say.broadcasts() && !Beacons::Say.hears());
/// assert!(Beacons::Directed.hears() && !Beacons::Directed.broadcasts());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Beacons {
    /// The ordinary node of a LAN.
    #[default]
    Both,
    /// It is found and finds nobody: for a node that is told by its application whom to meet.
    Say,
    /// Nothing is broadcast. Whoever sends a beacon to the port on which the node hears gets one back, at most once a second, and
    /// is dialled: for a node to be found from elsewhere than its LAN. The port should be its own, since of several sockets on one
    /// port only one gets what is sent to it.
    Directed,
    /// No beacons at all, and no socket for them.
    Off,
}

impl Beacons {
    /// Whether the node broadcasts beacons.
    #[must_use]
    pub const fn broadcasts(self) -> bool {
        matches!(self, Self::Both | Self::Say)
    }

    /// Whether the node hears beacons: it needs a socket on which they come.
    #[must_use]
    pub const fn hears(self) -> bool {
        matches!(self, Self::Both | Self::Directed)
    }
}

/// The keys of a secure node, and what it knows of the keys of others.
///
/// Whose key is let in at all is not said here: that is asked, with [`Action::Authenticate`](crate::Action::Authenticate).
///
/// ```
/// use atonce::curve::KeyPair;
/// use atonce::zre::{Config, Curve};
/// use std::sync::Arc;
///
/// // In earnest the keys are from a file, or the seed is from the operating system.
/// let keys = Arc::new(KeyPair::generate([7; 32]));
/// let config = Config { curve: Some(Curve::new(keys.clone())), ..Config::default() };
/// assert!(!format!("{config:?}").contains(keys.secret().to_z85().as_str()));
/// ```
#[cfg(feature = "curve")]
#[derive(Clone, Debug)]
pub struct Curve {
    /// Ours. A public key whose first octet is 0 is none for C Zyre: [`KeyPair::generate`] makes no such key.
    pub keys: Arc<KeyPair>,
    /// Identities that stay with a key for good, whether a peer is here or not. Empty: those of peers that are here, and of those
    /// that left within the hour, stay with theirs.
    pub bindings: BTreeMap<PeerId, PublicKey>,
    /// Keys of bridges, which speak for peers that are elsewhere, under the identities of those. Empty: no key speaks for another.
    pub bridges: BTreeSet<PublicKey>,
}

#[cfg(feature = "curve")]
impl Curve {
    /// With these keys, and knowing nobody.
    pub const fn new(keys: Arc<KeyPair>) -> Self {
        Self {
            keys,
            bindings: BTreeMap::new(),
            bridges: BTreeSet::new(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            uuid: None,
            name: None,
            headers: Headers::default(),
            services: BTreeMap::new(),
            beacons: Beacons::Both,
            interval: Duration::from_secs(1),
            evasive_timeout: Duration::from_secs(5),
            expired_timeout: Duration::from_secs(30),
            advertise: None,
            duplex: false,
            #[cfg(feature = "curve")]
            curve: None,
            limits: Limits::default(),
        }
    }
}

/// What the network and the application may cost a node: every count, length and queue has its bound here.
///
/// ```
/// use atonce::zre::{Config, Limits};
///
/// // A small device: little memory, few peers.
/// let limits = Limits {
///     message_octets: 64 * 1024,
///     send_octets: 128 * 1024,
///     receive_octets: 128 * 1024,
///     peers: 32,
///     ..Limits::default()
/// };
/// let config = Config { limits, ..Config::default() };
/// assert_eq!(config.limits.groups_per_peer, 1_024);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest frame that a known peer may send, in octets: 256 MiB.
    pub frame_octets: usize,
    /// The largest message that a known peer may send, in octets over all its frames: 256 MiB.
    pub message_octets: usize,
    /// The most frames in a message: 1,024.
    pub message_frames: usize,
    /// The most octets that a connection may send before its HELLO made it a peer: 1 MiB, the size of the largest
    /// HELLO that makes sense.
    pub unproved_octets: usize,
    /// How long an accepted connection may take for its handshake, and from then on for its HELLO: 10 s, or as long as a peer may be
    /// silent ([`Config::expired_timeout`]), if that is longer.
    pub hello_deadline: Duration,
    /// The most connections that have not said HELLO: 256. The oldest gives way to a new one.
    pub unproved_links: usize,
    /// The most peers: 4,096. What comes beyond is not met until one leaves.
    pub peers: usize,
    /// The most hints (beacons, endpoints) that are being dialled and are no peers yet: 1,024.
    pub contacts: usize,
    /// The most such hints from one source address: 256 (a machine may run that many nodes).
    pub contacts_per_address: usize,
    /// The most tuples, as gossip networks have them, that are followed: 4,096. What comes beyond is refused.
    pub tuples: usize,
    /// How often an endpoint that never answered is dialled: 10 times, with growing pauses.
    pub dial_attempts: u32,
    /// The most groups that one peer may be in: 1,024.
    pub groups_per_peer: usize,
    /// The most headers of one peer: 256.
    pub headers_per_peer: usize,
    /// What may wait to be sent to one peer, in octets: 8 MiB. One message always fits into an empty queue.
    pub send_octets: usize,
    /// What may wait to be sent to one peer, in messages: 10,000.
    pub send_messages: usize,
    /// How long a peer's queue may stay full before the peer is told gone, as `overrun`: 10 s.
    pub send_deadline: Duration,
    /// Received content of one peer that waits for the application, in octets: 8 MiB. Then the peer is not read until
    /// the application took half of it. One message always fits.
    pub receive_octets: usize,
    /// The same for all peers together: 256 MiB.
    pub receive_octets_total: usize,
    /// Changes of one peer (ENTER, EXIT, EVASIVE, SILENT, RECOVERED) that wait for the application: 64, so that one whose
    /// link is cut again and again is a page to read and not a book. Then further ones are told as one when the
    /// application took half of them, and the peer is not read, nor let in anew, until then. An EXIT always is told.
    pub changes_per_peer: usize,
    /// How long a stopping node tries to send what is queued: 1 s.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            frame_octets: 256 * MIB,
            message_octets: 256 * MIB,
            message_frames: 1_024,
            unproved_octets: MIB,
            hello_deadline: Duration::from_secs(10),
            unproved_links: 256,
            peers: 4_096,
            contacts: 1_024,
            contacts_per_address: 256,
            tuples: 4_096,
            dial_attempts: 10,
            groups_per_peer: 1_024,
            headers_per_peer: 256,
            send_octets: 8 * MIB,
            send_messages: 10_000,
            send_deadline: Duration::from_secs(10),
            receive_octets: 8 * MIB,
            receive_octets_total: 256 * MIB,
            changes_per_peer: 64,
            linger: Duration::from_secs(1),
        }
    }
}
