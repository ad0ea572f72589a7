//! What a socket shows of itself.

use super::Endpoint;
use crate::net::LinkId;
use crate::wire::Text;
use crate::wire::zmtp::{Identity, SocketType, Version};

/// A peer that takes part.
///
/// ```
/// use atonce::socket::{Config, Kind, Socket};
/// use atonce::Instant;
///
/// let push = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// assert_eq!(push.peers().map(|peer| peer.queued_octets).sum::<usize>(), 0);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PeerView<'a> {
    /// Its link.
    pub link: LinkId,
    /// Where it was dialled or where it comes from.
    pub remote: &'a Endpoint,
    /// What it calls itself; empty when it does not.
    pub identity: &'a Identity,
    /// The pattern that it follows.
    pub socket_type: SocketType,
    /// The version of ZMTP that it speaks.
    pub version: Version,
    /// As whom it was let in.
    pub user_id: Option<&'a Text>,
    /// Messages for it that did not leave this socket.
    pub queued_messages: usize,
    /// Octets of these, some of framing among them.
    pub queued_octets: usize,
    /// Messages of it that the application did not take.
    pub pending_messages: usize,
    /// Octets of these.
    pub pending_octets: usize,
    /// Messages that it missed since its link was made, because its queue was full (a subscriber of PUB or XPUB).
    pub missed_messages: u64,
}

/// What happened to a socket so far, in numbers.
///
/// ```
/// use atonce::socket::Counters;
///
/// assert_eq!(Counters::default().messages_lost, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that were queued for a peer, each peer counted.
    pub messages_sent: u64,
    /// Messages that the application took.
    pub messages_received: u64,
    /// Messages that had not left this socket when a link ended: [`lost`](super::Event::Disconnected).
    pub messages_lost: u64,
    /// Messages that the pattern drops because of a full queue (PUB, XPUB, each peer counted) or of nobody to send them to (ROUTER; a
    /// message that nobody subscribed to is not counted).
    pub messages_dropped: u64,
    /// Messages that came and that the pattern has no use for: to a PUSH, an answer that nobody awaits, a request without an
    /// envelope, to a PUB anything but a subscription, the end of a subscription that there is not, to a SUB what it did not
    /// subscribe to.
    pub messages_discarded: u64,
    /// Peers that got through their handshake.
    pub peers: u64,
    /// Links that others made and that were refused.
    pub refused: u64,
    /// Clients that were not allowed to come in.
    pub denied: u64,
    /// Connections that failed by what the peer did or did not do.
    pub failed: u64,
    /// Events that did not fit.
    pub events_lost: u64,
}

/// What a socket holds now.
///
/// ```
/// use atonce::socket::{Config, Kind, Socket};
/// use atonce::Instant;
///
/// let push = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// assert_eq!(push.usage().links, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Links that are made or dialled.
    pub links: usize,
    /// Of these, those with a peer that is through with its handshake.
    pub peers: usize,
    /// Messages that wait to be sent, also for peers that are not there yet.
    pub queued_messages: usize,
    /// Octets of these, some of framing among them.
    pub queued_octets: usize,
    /// Messages that the application did not take, also of peers that are gone.
    pub pending_messages: usize,
    /// Octets of these.
    pub pending_octets: usize,
}
