//! Servers that announce themselves, and clients that find them: by multicast of IPv4 and IPv6, and by broadcast.
//!
//! A server binds its socket, and has an [`Announcer`] say where that is; a client has a [`Seeker`] tell which servers are there. The
//! server may be anything that speaks ZMTP. Several services share a network, each by its name, and so do several servers of one.
//!
//! ```
//! use std::time::Duration;
//! use atonce_std::autoconf::{Announcer, Seeker};
//!
//! let socket = std::net::TcpListener::bind("127.0.0.1:0")?; // first
//! let announcer = Announcer::builder("printing")
//!     .endpoint(format!("tcp://{}", socket.local_addr()?))
//!     .interface("lo") // keeps it on this machine; without it, every interface that is up
//! #   .port(25674)
//!     .start()?;
//! let seeker = Seeker::builder()
//!     .service("printing")
//!     .interface("lo")
//! #   .port(25674)
//!     .start()?;
//! let server = seeker.find(Duration::from_secs(10)).expect("it is there");
//! assert_eq!(server.endpoints, [socket.local_addr()?]);
//! announcer.stop(); // says goodbye
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What can be trusted
//!
//! Anybody on the network can announce anything. A client that [pins the key](SeekerBuilder::key) of the server, and connects with CURVE,
//! reaches its owner or nobody; without keys it reaches whoever says to be the service. What strangers can do, and what they
//! cannot, is in `spec/autoconf.md`.

mod announcer;
mod driver;
mod error;
mod faces;
mod greeting;
mod radio;
mod seeker;

pub use atonce::autoconf::announcer::Counters as AnnouncerCounters;
pub use atonce::autoconf::seeker::{Counters as SeekerCounters, Event, Reason, Server, ServerId};
pub use atonce::autoconf::{PORT, hello};
pub use atonce::wire::autoconf::{InstanceId, InvalidOffer, Offer, ServiceName};

pub use self::announcer::{Announcer, AnnouncerBuilder};
pub use self::error::AutoconfError;
pub use self::greeting::{Answerer, Hello};
pub use self::seeker::{Events, Seeker, SeekerBuilder};

/// By which ways datagrams go.
// AUTO-10
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ways {
    /// By multicast of IPv4.
    ipv4: bool,
    /// By multicast of IPv6.
    ipv6: bool,
    /// By broadcast of IPv4.
    broadcast: bool,
}

/// Where and by which ways, as both builders have it.
#[derive(Clone, Debug)]
struct Network {
    interfaces: Vec<String>,
    ways: Ways,
    port: u16,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            ways: Ways {
                ipv4: true,
                ipv6: true,
                broadcast: true,
            },
            port: PORT,
        }
    }
}

/// The methods of a builder that say where.
macro_rules! network {
    () => {
        /// Uses this interface, by name or address; several are several calls. Without any it is every one that is up, can do
        /// multicast or broadcast, and is not the loopback.
        pub fn interface(mut self, interface: impl Into<String>) -> Self {
            self.network.interfaces.push(interface.into());
            self
        }

        /// The UDP port, the same for all who are to find each other: [`PORT`](super::PORT).
        pub fn port(mut self, port: u16) -> Self {
            self.network.port = port;
            self
        }

        /// Whether datagrams go by multicast of IPv4: they do.
        pub fn ipv4(mut self, on: bool) -> Self {
            self.network.ways.ipv4 = on;
            self
        }

        /// Whether datagrams go by multicast of IPv6: they do, except on the loopback.
        pub fn ipv6(mut self, on: bool) -> Self {
            self.network.ways.ipv6 = on;
            self
        }

        /// Whether datagrams go by broadcast: they do.
        pub fn broadcast(mut self, on: bool) -> Self {
            self.network.ways.broadcast = on;
            self
        }
    };
}
use network;
