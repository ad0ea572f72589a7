//! Servers that announce themselves, and clients that find them: `spec/autoconf.md`.
//!
//! Three machines, none of which needs another, and none of which owns a socket:
//!
//! * An [`Announcer`] says where a server is: at once, every 15 s, and when it is asked.
//! * A [`Seeker`] knows which servers are there: it listens, asks, doubts and forgets.
//! * [`hello`] is what a client and a server first say to each other, over REQ and REP: [`hello::Client`] and [`hello::Server`].
//!
//! The embedder carries the datagrams of the first two over multicast or broadcast on the [port](PORT) and to the groups that are named
//! here, and does for the third what it asks for.
//!
//! # A server and a client
//!
//! ```
//! use atonce::Instant;
//! use atonce::autoconf::{Announcer, Seeker, announcer, seeker};
//! use atonce::wire::autoconf::Offer;
//!
//! let now = Instant::ZERO;
//! let endpoint = ([192, 168, 1, 2], 50053).into();
//! let service = "printing".parse()?;
//! let config = seeker::Config { services: vec![service], ..Default::default() };
//! let mut client = Seeker::new(now, [1; 32], config);
//!
//! // The client is first, and asks in vain. The server has bound its socket when it begins.
//! let query = client.poll_datagram().expect("it asks at once");
//! let offer = Offer::new("printing".parse()?, [endpoint])?;
//! let mut server = Announcer::new(now, [2; 32], offer, announcer::Config::default());
//! let announcement = server.poll_datagram().expect("it says so at once");
//!
//! client.handle_datagram(now, ([192, 168, 1, 2], 5674).into(), &announcement);
//! let Some(seeker::Event::Found { server: found }) = client.poll_event() else { panic!() };
//! assert_eq!(found.endpoints, [endpoint]);
//!
//! // Whoever comes later asks, and need not wait 15 s.
//! server.handle_datagram(now, ([192, 168, 1, 7], 5674).into(), &query);
//! let (at, _) = server.poll_timeout().expect("it will answer");
//! server.handle_timeout(at);
//! assert_eq!(server.poll_datagram(), Some(announcement));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

pub mod announcer;
pub mod hello;
pub mod seeker;

pub use announcer::Announcer;
pub use seeker::Seeker;

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

/// The UDP port, unless another one is agreed on.
// AUTO-10
pub const PORT: u16 = 5674;

/// The group of IPv4: of the scope that an organisation gives out itself.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 167, 12);

/// The group of IPv6: of one link, and of our own making.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xFF12, 0, 0, 0, 0, 0, 0xA70C, 0xA70C);

/// A pause of this length, or up to a tenth shorter.
fn about(rng: &mut ChaCha20Rng, pause: Duration) -> Duration {
    pause - drawn(rng, pause / 10)
}

/// A pause up to this length.
fn drawn(rng: &mut ChaCha20Rng, most: Duration) -> Duration {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.next_u64() % micros.saturating_add(1))
}
