//! Nodes of the ZeroMQ realtime exchange, and ZMTP sockets, on the sockets of the standard library.
//!
//! Peers on a network find each other without a server, know who is there, whisper to one and shout to groups. A node
//! speaks with C Zyre, Pyre, gyre, zyre.js and ingescape. This crate runs the node of [`atonce`] (which owns no socket, clock
//! or thread) on one thread; `atonce-tokio` runs the same as a task.
//!
//! # The first program
//!
//! Start it twice, on one machine or on two of the same network:
//!
//! ```no_run
//! use atonce_std::{Event, Node};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let node = Node::builder().group("CHAT").start()?;
//!     println!("I am {}", node.name());
//!     for event in node.events() {
//!         match event {
//!             Event::Enter { peer } => println!("{} is here", peer.name),
//!             Event::Join { peer, group } if group == "CHAT" => {
//!                 node.whisper(peer.id, "hello")?;
//!             }
//!             Event::Whisper { peer, content } => println!("{} says {content:?}", peer.name),
//!             Event::Exit { peer, reason } => println!("{} is gone: {reason}", peer.name),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! It needs no network to be tried. With `.interface("lo")` everything stays on this machine, and this program ends by
//! itself:
//!
//! ```
//! use std::time::Duration;
//!
//! use atonce_std::{Event, Node};
//!
//! let node = Node::builder().name("alice").interface("lo").start()?;
//! assert_eq!(node.name(), "alice");
//! assert_eq!(node.endpoints().len(), 1);
//!
//! node.join("CHAT")?;
//! assert_eq!(node.groups(), ["CHAT"]);
//!
//! // A message is one frame or several, of any octets.
//! let sent = node.shout("CHAT", ["all".into(), vec![0, 1, 2].into()])?;
//! assert_eq!(sent.reached, 0); // nobody else is here
//!
//! node.stop();
//! let last = node.events().last();
//! assert_eq!(last, Some(Event::Stopped));
//! assert_eq!(node.recv(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Events and commands
//!
//! What happens comes out of [`recv`](Node::recv), one [`Event`] after the other; a peer's ENTER is the first event of
//! it and its EXIT the last. Commands ([`join`](Node::join), [`whisper`](Node::whisper), [`shout`](Node::shout) …) never wait for
//! the network and can be given from any thread, also from the one that receives.
//!
//! An application that is slow to receive stops nobody but those who talk to it: content waits in the node, per
//! peer, up to [`Limits::receive_octets`]; then that peer is not read, and TCP makes it wait. Nothing is dropped.
//!
//! A peer that is slow to read makes [`whisper`](Node::whisper) say [`SendError::Full`] once
//! [`Limits::send_octets`] wait for it. Try again later, or let [`whisper_timeout`](Node::whisper_timeout) wait for room.
//!
//! # Interfaces
//!
//! Without a choice a node uses every interface that is up and can broadcast, with IPv4 and IPv6, and follows what comes and goes: a
//! cable, a lease with another address, a laptop's sleep. Each address has a mailbox of its own and each link beacons of
//! its own, so that peers are told an address that they can reach. [`Event::InterfaceUp`] and [`Event::InterfaceDown`] tell about
//! it, for each address. A machine without a network is no error.
//!
//! With a choice ([`Builder::interface`], [`Builder::family`]) only those are used, and beacons from elsewhere are not heard.
//!
//! Over IPv4 beacons are broadcast; over IPv6 they go to everybody on the link (`ff02::1`), from its link-local address. A peer that is
//! heard of over both is one peer, dialled once. Beacons that others send to other groups are heard; to be heard by nodes that hear only
//! those, see [`Builder::multicast`].
//!
//! An address that goes away takes nobody along at once: links live on and are used again when it comes back. When its interface comes
//! back with another one, what was connected from the old one is dialled anew from the new one. On Linux the system tells of changes;
//! elsewhere they are noticed within two seconds.
//!
//! # What is shared
//!
//! A [`Node`] is a handle: clones are the same node, on one thread. Nodes of one process share nothing else, and any
//! number of them can share the beacons' UDP port. Content is not copied on its way in or out: the frames of a message are
//! [`Bytes`].
//!
//! A message that stands alone is written to its socket by the call that sends it. In a stream of small messages several are
//! written together: by the call, when the application next waits for an event, or by the node's thread, after a millisecond
//! at the latest.
//!
//! An application's thread that waits in [`recv`](Node::recv) does the node's I/O meanwhile, so that a message need not be
//! handed from one thread to another. When it does something else the node's own thread goes on.
//!
//! # Limits
//!
//! [`Limits`] names what the network and the application may cost a node, in octets, messages, peers and time. This crate
//! adds few: at most 4 names are looked up at once, at most 256 keys wait for whoever else decides about them
//! ([`Trust::ask`], [`Trust::zap`]), descriptors that run out stop the accepting of connections for a tenth of a second,
//! strangers and hints take a quarter each of the descriptors that the process may have, and the list of interfaces is read
//! every two seconds.
//!
//! It is for Unix (Linux and the BSDs, macOS among them), and tested on Linux.
//!
//! # Sockets
//!
//! What does not fit a node, such as a stream of work, a service or a feed, is said over a [`Socket`] of one of the patterns of ZeroMQ:
//! see [`socket`].
//!
//! ```
//! use atonce_std::Socket;
//! use atonce_std::socket::Kind;
//!
//! let rep = Socket::new(Kind::Rep)?;
//! let endpoint = rep.bind("tcp://127.0.0.1:0")?;
//! let req = Socket::builder(Kind::Req).connect(&endpoint).open()?;
//!
//! req.send("6 × 7")?;
//! assert_eq!(rep.recv()?[0], "6 × 7");
//! rep.send("42")?;
//! assert_eq!(req.recv()?[0], "42");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Logging
//!
//! With [`Builder::log`] a node says what happens to it to collectors on the network: see [`log`].
//!
//! # Your own adapter
//!
//! [`driver`] is the part below [`Node`] and [`Socket`]: the sockets and the loop, without a thread.

pub mod autoconf;
pub mod driver;
pub mod log;
pub mod once;
pub mod socket;

mod builder;
mod cert;
mod contact;
mod error;
mod family;
mod file;
mod gossip;
mod held;
#[cfg(test)]
#[path = "../tests/common/loopback.rs"]
mod loopback;
mod node;
mod service;
mod shared;
mod trust;
mod view;

pub use atonce::wire::{LongText, Text, TooLong};
pub use atonce::zmtp::{Denial, Verdict};
pub use atonce::zre::{
    Beacons, Counters, Event, ExitReason, Limits, Lost, Peer, Presence, SendError, Shouted, Usage,
};
pub use atonce::{Bytes, Frames, PeerId};

pub use crate::builder::{Builder, Options, Start};
pub use crate::cert::{Certificate, CertificateError, InvalidMetadata};
pub use crate::contact::Contact;
pub use crate::error::{ConnectError, HubError, StartError};
pub use crate::family::Family;
pub use crate::node::{Events, Node};
pub use crate::socket::Socket;
pub use crate::trust::{Trust, TrustError};
pub use crate::view::PeerInfo;
