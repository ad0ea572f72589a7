//! @Once: many local networks become one.
//!
//! A [`Server`] is where bridges meet. A [`Bridge`] stands on a local network: it tells other bridges who is there, and shows its
//! own network who is on theirs, by a *stand-in* for each, which is a node under the identity of that peer. Applications need to
//! know nothing of it, and go on when the server is gone.
//!
//! ```no_run
//! use atonce_std::once::{Bridge, Event, Secret, bridge};
//!
//! let bridge = Bridge::builder("eth0")
//!     .server("meet.example.org".parse()?)
//!     .secret(Secret::new("what both households know")?)
//!     .start()?;
//! for event in bridge.events() {
//!     match event {
//!         Event::Once(bridge::Event::Enter { name, .. }) => println!("{name} is here, from elsewhere"),
//!         Event::Trouble(trouble) => eprintln!("{trouble}"),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who may take part
//!
//! That has to be said, or nothing starts: whoever has a [secret](BridgeBuilder::secret); whoever has a key that is
//! [trusted](BridgeBuilder::curve); or, said as such, [everybody](BridgeBuilder::open). With a secret or a key all that goes between
//! bridges is encrypted.
//!
//! # One thread
//!
//! A bridge has as many nodes as there are peers elsewhere, and one thread for all of them ([`driver`]). `atonce-tokio` has the same
//! as a task.
//!
//! # What it costs
//!
//! A stand-in takes 5 descriptors of the process (two of its poller, what wakes it, a listener, a socket for its beacons), 2 more for
//! each further address of the LAN (a dual-stack one has two or three: its IPv4, that of the link, one of the net), and 2 more for
//! each peer of the LAN, which it has a link to and a link from. The limit that the process has (`RLIMIT_NOFILE`, often 1,024 unless somebody
//! raises it) is looked at before each start: a stand-in for which there would be no room is not started, which
//! [`Event::Trouble`] tells, and the rest goes on.

pub mod driver;

mod address;
mod builder;
mod running;
mod secret;
mod status;

mod a_bridge;
mod a_server;

use std::net::SocketAddr;

use atonce::curve::PublicKey;
use atonce::zre;

pub use atonce::once::{EmptySecret, Limits, Role, Secret, Which, bridge, relay, server};

pub use self::a_bridge::Bridge;
pub use self::a_server::Server;
pub use self::address::{InvalidServerAddress, ServerAddress};
pub use self::builder::{BridgeBuilder, BridgeOptions, ServerBuilder, ServerOptions, Start};
pub use self::running::Events;
pub use self::secret::{SecretError, load_secret};
pub use self::status::{BridgeStatus, FarPeer, Member, RelayStatus, ServerStatus};

/// What a bridge or a server tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<E> {
    /// What happened in the network that bridges make: [`bridge::Event`] or [`server::Event`].
    Once(E),
    /// What happened at one of its nodes and is a matter for whoever runs it: an interface that came or went, an impostor.
    Node {
        /// Which node.
        node: Which,
        /// What.
        event: zre::Event,
    },
    /// Somebody came with a key that is not trusted, and was not let in. Each key is told once a minute, and sixteen in that time.
    Stranger {
        /// To which node.
        node: Which,
        /// The key. Whoever came has it: links prove theirs.
        key: PublicKey,
        /// From where; or where it is, when it was to be dialled.
        remote: SocketAddr,
    },
    /// Something does not work that somebody can mend, in words. It is tried again, and told once.
    Trouble(String),
    /// All of it is stopped. The last event.
    Stopped,
}

/// The TCP port of a server's relay, unless it is said otherwise.
pub const RELAY_PORT: u16 = 5673;

/// The UDP port at which servers and bridges hear beacons that are sent to them alone: that of ZRE and one more.
pub const PORT: u16 = 5671;

/// An address that nobody is to be told by name.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
