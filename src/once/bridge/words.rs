//! What a bridge is told, and what it wants and tells.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

#[cfg(doc)]
use super::Bridge;
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::once::{Limits, Mechanism, Role, Which};
use crate::wire::Headers;
use crate::wire::once::{Code, Reason, RelayRole, Ticket};
use crate::{Frames, Peer, PeerId, Text};

/// What a bridge is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity of its remote and its local node.
    pub id: PeerId,
    /// The key of its remote node, when that is secure.
    pub key: Option<PublicKey>,
    /// The key of its local node and its stand-ins, when the LAN is secure.
    pub local_key: Option<PublicKey>,
    /// How servers and other bridges may prove that they may take part, the best one first.
    pub mechanisms: Vec<Mechanism>,
    /// Identities that are never shown, neither here nor elsewhere.
    pub hidden: BTreeSet<PeerId>,
    /// What others may cost.
    pub limits: Limits,
}

/// A stand-in that is to be started: a node on the LAN that only says beacons
/// (`Beacons::Say`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// The identity of the peer.
    pub id: PeerId,
    /// Its name.
    pub name: Text,
    /// Its headers, and [`VIA`](crate::once::VIA).
    pub headers: Headers,
    /// The groups that it is in at first.
    pub groups: BTreeSet<Text>,
}

/// What a bridge wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// One of its nodes is to whisper this. When it refuses, answer with [`Bridge::handle_unsent`], before the next action is asked
    /// for.
    Whisper {
        /// Which node.
        node: Which,
        /// To whom.
        peer: PeerId,
        /// What.
        content: Frames,
    },
    /// A stand-in is to say this to one member of a group, with `Stack::shout_to`. When it refuses, answer with
    /// [`Bridge::handle_unsent`], before the next action is asked for.
    ShoutTo {
        /// Which stand-in.
        stand_in: PeerId,
        /// To whom.
        peer: PeerId,
        /// To which group.
        group: Text,
        /// What.
        content: Frames,
    },
    /// A node is to join a group.
    Join {
        /// Which node.
        node: Which,
        /// Which group.
        group: Text,
    },
    /// A node is to leave a group.
    Leave {
        /// Which node.
        node: Which,
        /// Which group.
        group: Text,
    },
    /// Start a node on the LAN, whose mailboxes the local node ignores. When that cannot be done, answer with
    /// [`Bridge::handle_not_started`].
    Start(StandIn),
    /// A stand-in is told of a peer on the LAN, as if it had heard its beacon: `Stack::introduce`.
    Introduce {
        /// Which stand-in.
        stand_in: PeerId,
        /// The peer.
        peer: Arc<Peer>,
        /// The key that the peer proved to the local node.
        key: Option<PublicKey>,
    },
    /// End a stand-in: with a goodbye (`Stack::stop`), or without (`Stack::retire`).
    Retire {
        /// Which.
        stand_in: PeerId,
        /// Whether the peer is gone, and not only here by itself or by another bridge.
        goodbye: bool,
    },
    /// The remote node is to contact a mailbox, until [`Action::Forget`].
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// The key that whoever is there has to prove; a secure node needs one.
        key: Option<PublicKey>,
    },
    /// The remote node need not try to contact a mailbox any more. A link that is there stays.
    Forget {
        /// Where.
        endpoint: Endpoint,
    },
    /// The remote node is to make a link over a relay, once: `Stack::dial_relayed`, to where [`relay_address`](crate::once::relay_address) says.
    DialRelay {
        /// The server that led to it.
        server: PeerId,
        /// Who will be at the other end.
        peer: PeerId,
        /// The key that it has to prove.
        key: PublicKey,
        /// Whether the node dials, or accepts.
        role: RelayRole,
        /// Where the relay is.
        endpoint: Text,
        /// What is to be said there.
        ticket: Ticket,
    },
}

/// What a bridge tells whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A server or another bridge proved that it may take part.
    Met {
        /// Which.
        peer: Arc<Peer>,
        /// What it is.
        role: Role,
        /// Under which mechanism.
        mechanism: &'static str,
    },
    /// A server or bridge that was met is gone.
    Lost {
        /// Which.
        peer: Arc<Peer>,
    },
    /// Somebody was refused, or refused us.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why.
        code: Code,
        /// Whether it is we who were refused.
        us: bool,
    },
    /// This bridge makes stand-ins now, and tells others who is on its LAN. Told again when it did not run for some time, and then ended all
    /// stand-ins and looked around anew.
    Active,
    /// Another bridge of this LAN does that.
    Standby {
        /// Which.
        bridge: PeerId,
    },
    /// A peer of another LAN is here, through its stand-in.
    Enter {
        /// Who.
        peer: PeerId,
        /// Its name.
        name: Text,
        /// The bridge that it is at.
        bridge: PeerId,
    },
    /// A peer of another LAN is not here any more.
    Exit {
        /// Who.
        peer: PeerId,
        /// The bridge that it was at.
        bridge: PeerId,
    },
    /// A peer of another LAN is not shown here, since there are as many stand-ins as may be. Told once until there is room.
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A bridge that a server lists could not be met: neither of the two can dial the other, as it seems, and there is no relay that led
    /// to it. It is tried on. Told once until it is met, or listed no more.
    OutOfReach {
        /// Which.
        bridge: PeerId,
    },
    /// A bridge claims a peer that is on this LAN, or at another bridge. It is not believed.
    Claimed {
        /// The bridge.
        bridge: PeerId,
        /// The peer.
        peer: PeerId,
        /// The bridge that the peer is at; ours when it is on this LAN.
        holder: PeerId,
    },
    /// A bridge speaks for one who is not in its roster.
    NotYours {
        /// The bridge.
        bridge: PeerId,
        /// For whom.
        peer: PeerId,
    },
    /// Something that a peer of this LAN said did not arrive.
    Undeliverable {
        /// Who said it.
        from: PeerId,
        /// The bridge that it went to.
        bridge: PeerId,
        /// Why.
        reason: Reason,
    },
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// A proof takes too long, or is to be renewed.
    Session,
    /// It may be time to make stand-ins, or to show that it runs.
    Election,
    /// What could not be sent is tried again.
    Retry,
    /// What waits for a peer has waited for too long.
    Waiting,
    /// A bridge is not met, and a server may have a relay.
    Relay,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Whispers of this LAN that were sent to another bridge.
    pub whispers_sent: u64,
    /// Shouts of this LAN that were sent to another bridge, each content once.
    pub shouts_sent: u64,
    /// Whispers and shouts that stand-ins delivered here, one for each receiver.
    pub delivered: u64,
    /// Those that did not arrive: of this LAN, as other bridges tell, and for this LAN.
    pub undeliverable: u64,
    /// Whispers and shouts of other bridges whose numbers were left out: they are lost.
    pub missed: u64,
    /// Whispers and shouts of this LAN that nobody could be named for, since its stand-in or sender was gone or is not shown.
    pub ignored: u64,
    /// Octets of @Once that were sent to bridges and servers, and that came.
    pub octets_sent: u64,
    /// See [`octets_sent`](Self::octets_sent).
    pub octets_received: u64,
}

/// What a bridge holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Servers and other bridges that may take part, over the remote node.
    pub met: usize,
    /// Peers of this LAN that others are told of.
    pub roster: usize,
    /// Peers that other bridges told of.
    pub far_peers: usize,
    /// Stand-ins.
    pub stand_ins: usize,
    /// Peers that have no stand-in since there are as many as may be.
    pub without_stand_in: usize,
    /// Octets that wait, for other bridges and for peers that are about to be there.
    pub waiting_octets: usize,
}
