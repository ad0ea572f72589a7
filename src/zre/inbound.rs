//! One link that another node made to our mailbox.

use core::net::SocketAddr;

use crate::PeerId;
use crate::wire::zre::Message;

/// What an accepted link is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its ZMTP handshake is under way.
    New,
    /// It carries this identity and did not say anything that counts.
    Unproved(PeerId),
    /// What it said waits until it is settled whether it may speak for the identity, or until our own link to the
    /// peer is up. It is not read meanwhile.
    Held(PeerId, Message),
    /// It is the link of a peer that is here.
    Current(PeerId),
}

/// An accepted link.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) remote: SocketAddr,
    pub(super) stage: Stage,
    /// Octets of messages before HELLO.
    pub(super) unproved_octets: usize,
}

/// A link by its direction.
#[derive(Debug)]
pub(super) enum Role {
    /// We dialled this address.
    Outbound(SocketAddr),
    /// Somebody dialled us.
    Inbound(Inbound),
}

/// The links of a node, by name.
pub(super) type Links = crate::by_link::ByLink<Role>;
