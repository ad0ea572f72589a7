//! How a server or a bridge is doing.

use atonce::PeerId;
use atonce::once::{Role, bridge, relay};
use atonce::wire::Text;
use atonce::zre::Counters;

/// A server or bridge that proved that it may take part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its identity.
    pub id: PeerId,
    /// Its name.
    pub name: Text,
    /// What it is.
    pub role: Role,
    /// Under which mechanism it proved that.
    pub mechanism: &'static str,
}

/// A peer of another LAN that has a stand-in here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FarPeer {
    /// Its identity.
    pub id: PeerId,
    /// Its name.
    pub name: Text,
    /// The bridge that it is at.
    pub bridge: PeerId,
}

/// How a bridge is doing, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeStatus {
    /// Whether it makes stand-ins and tells others who is on its LAN. Another bridge of the LAN does while it does not.
    pub active: bool,
    /// The servers and bridges that it has met, sorted by identity.
    pub members: Vec<Member>,
    /// The peers of other LANs that are here, sorted by identity.
    pub far_peers: Vec<FarPeer>,
    /// How many nodes it runs for them. A few more than there are peers, while some of them end.
    pub stand_ins: usize,
    /// How many peers its local node sees, other bridges of this LAN included.
    pub local_peers: usize,
    /// The links of all its nodes.
    pub links: usize,
    /// The descriptors of the process that it takes.
    pub descriptors: usize,
    /// Events that were not taken in time, and are lost.
    pub missed_events: u64,
    /// What it did so far.
    pub counters: bridge::Counters,
    /// What its remote node did so far.
    pub remote: Counters,
}

/// How a server is doing, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// The bridges that may take part, sorted by identity.
    pub members: Vec<Member>,
    /// How many peers its node sees, whether they proved anything or not.
    pub peers: usize,
    /// Its links.
    pub links: usize,
    /// The descriptors of the process that it takes.
    pub descriptors: usize,
    /// How its relay is doing, when it has one.
    pub relay: Option<RelayStatus>,
    /// Events that were not taken in time, and are lost.
    pub missed_events: u64,
    /// What its node did so far.
    pub node: Counters,
}

/// How the relay of a server is doing, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatus {
    /// Pairs of bridges that it joins now.
    pub pairs: usize,
    /// Connections to it, those included that belong to no pair yet.
    pub links: usize,
    /// What it did so far.
    pub counters: relay::Counters,
}
