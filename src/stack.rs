//! One node and a ZMTP connection per link: the level of bytes and datagrams.
#![allow(clippy::todo, clippy::needless_pass_by_value, unused_variables)] // the bodies follow

use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};

use crate::zre::{Config, Event, Peer, Presence};
use crate::wire::{Frames, Text};
use crate::{Instant, PeerId};

/// One TCP connection, inbound or outbound. Never used twice by a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

/// One interface of the embedder with a listening mailbox on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(u32);

/// An interface as the embedder has it: the mailbox listens on `address:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// For people: `eth0`.
    pub name: String,
    /// The address that the mailbox is bound to.
    pub address: IpAddr,
    /// The port that the mailbox is bound to.
    pub port: u16,
}

/// How a TCP connection ended, or why it was never made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nobody listens there.
    Refused,
    /// The other side closed it in order.
    Closed,
    /// It was reset.
    Reset,
    /// No way there (no route, network down, timed out).
    Unreachable,
    /// This machine has no more descriptors or memory for it.
    Resources,
}

/// What the embedder has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this datagram as a beacon on the interface (broadcast).
    Broadcast {
        /// Where.
        interface: InterfaceId,
        /// What.
        datagram: Bytes,
    },
    /// Open a TCP connection; answer with `handle_connected` or `handle_disconnected`.
    Dial {
        /// The name of the new connection.
        link: LinkId,
        /// Where to.
        address: SocketAddr,
    },
    /// There are octets to send where there were none: `poll_transmit(link)` until it lends nothing.
    Transmit {
        /// Where.
        link: LinkId,
    },
    /// Stop reading the connection (the application is slow); leave the rest to TCP.
    Pause {
        /// Which.
        link: LinkId,
    },
    /// Read it again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Close the connection now and forget it; no further call about it.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Look a host name up, off the thread that does the I/O; answer with `handle_resolved`.
    Resolve {
        /// What to answer with.
        query: u64,
        /// The name.
        host: String,
        /// The port to put into the addresses.
        port: u16,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Stack {}

impl Stack {
    /// A node that knows nobody. The same seed and the same inputs give the same actions.
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self { todo!() }
    // ---- commands
    pub fn join(&mut self, now: Instant, group: &Text) { todo!() }
    pub fn leave(&mut self, now: Instant, group: &Text) { todo!() }
    pub fn whisper(&mut self, now: Instant, peer: PeerId, content: Frames) -> Result<(), SendError> { todo!() }
    pub fn shout(&mut self, now: Instant, group: &Text, content: Frames) -> Result<Shouted, SendError> { todo!() }
    /// `tcp://host:port`
    pub fn connect(&mut self, now: Instant, endpoint: crate::endpoint::Endpoint) { todo!() }
    /// Say goodbye, flush, close everything; `Event::Stopped` when done.
    pub fn stop(&mut self, now: Instant) { todo!() }
    // ---- inputs
    pub fn handle_interface_up(&mut self, now: Instant, interface: Interface) -> InterfaceId { todo!() }
    pub fn handle_interface_down(&mut self, now: Instant, interface: InterfaceId, detail: &str) { todo!() }
    /// `interface`: where it arrived, when known.
    pub fn handle_datagram(&mut self, now: Instant, interface: Option<InterfaceId>, source: SocketAddr, datagram: &[u8]) { todo!() }
    /// `None`: refused, close the socket.
    pub fn handle_accepted(&mut self, now: Instant, interface: InterfaceId, remote: SocketAddr) -> Option<LinkId> { todo!() }
    pub fn handle_connected(&mut self, now: Instant, link: LinkId, local: SocketAddr) { todo!() }
    pub fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) { todo!() }
    /// Octets that came, all of them are taken.
    pub fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) { todo!() }
    /// When a large frame is under way: what it still lacks is to be read right into this buffer (append only).
    pub fn receive_buffer(&mut self, link: LinkId) -> Option<bytes::buf::Limit<&mut BytesMut>> { todo!() }
    /// After appending to the buffer.
    pub fn handle_filled(&mut self, now: Instant, link: LinkId) { todo!() }
    /// The first `octets` octets that `poll_transmit` lent were taken by the socket.
    pub fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) { todo!() }
    pub fn handle_resolved(&mut self, now: Instant, query: u64, addresses: &[SocketAddr]) { todo!() }
    pub fn handle_timeout(&mut self, now: Instant) { todo!() }
    // ---- outputs
    pub fn poll_action(&mut self) -> Option<Action> { todo!() }
    /// Slices to send, in order, for a vectored write; empty when nothing waits or the link is unknown.
    pub fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> { let _ = link; core::iter::empty() }
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> { todo!() }
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> { todo!() }
    // ---- queries
    pub fn id(&self) -> PeerId { todo!() }
    pub fn name(&self) -> &Text { todo!() }
    pub fn groups(&self) -> impl Iterator<Item = &Text> { core::iter::empty() }
    pub fn peers(&self) -> impl Iterator<Item = PeerView<'_>> { core::iter::empty() }
    pub fn peer(&self, id: PeerId) -> Option<PeerView<'_>> { todo!() }
    pub fn is_stopped(&self) -> bool { todo!() }
    pub fn counters(&self) -> Counters { todo!() }
}

/// Why nothing was sent. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No such peer is here: it did not enter, or it is gone.
    #[error("no such peer is here")]
    UnknownPeer,
    /// The peer does not read as fast as it is written to. Try again later.
    #[error("the queue to the peer is full")]
    Full,
    /// Larger than the limit of a message.
    #[error("the message is larger than the limit of {limit} octets")]
    TooLarge { 
        /// The limit.
        limit: usize },
    /// The node is stopping.
    #[error("the node is stopped")]
    Stopped,
}

/// How far a SHOUT went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shouted {
    /// Peers to which it is on its way.
    pub reached: usize,
    /// Peers that did not get it because their queue is full.
    pub full: usize,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer { /// todo
    Beacon }

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Counters {}

/// A peer that is here, now.
#[derive(Clone, Copy, Debug)]
pub struct PeerView<'a> {
    /// Who it is.
    pub peer: &'a alloc::sync::Arc<Peer>,
    /// The groups it is in.
    pub groups: &'a alloc::collections::BTreeSet<Text>,
    /// How lively it is.
    pub presence: Presence,
}
