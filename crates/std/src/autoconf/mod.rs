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

pub mod driver;

mod announcer;
mod answerer;
mod builder;
mod error;
mod faces;
mod greeting;
mod radio;
mod running;
mod seeker;

pub use atonce::autoconf::announcer::Counters as AnnouncerCounters;
pub use atonce::autoconf::seeker::{Counters as SeekerCounters, Event, Reason, Server, ServerId};
pub use atonce::autoconf::{PORT, hello};
pub use atonce::wire::autoconf::{InstanceId, InvalidOffer, Offer, ServiceName};

pub use self::announcer::Announcer;
pub use self::answerer::{Answerer, Answering, Rep};
pub use self::builder::{AnnouncerBuilder, AnnouncerOptions, SeekerBuilder, SeekerOptions, Start};
pub use self::error::AutoconfError;
pub use self::greeting::Hello;
pub use self::seeker::{Events, Seeker};

use self::builder::{Network, Ways};
