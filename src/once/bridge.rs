//! The bridge: it shows its LAN who is on others, and them who is on its own.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Limits, Mechanism, Which};
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::wire::Headers;
use crate::wire::once::{Code, Reason};
use crate::zre::{Event as NodeEvent, SendError};
use crate::{Frames, Instant, Peer, PeerId, Text};

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
    /// Its headers, and [`VIA`](super::VIA).
    pub headers: Headers,
    /// The groups that it is in at first.
    pub groups: BTreeSet<Text>,
}

/// What a bridge wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// One of its nodes is to whisper this. When it refuses, answer with [`Bridge::handle_unsent`].
    Whisper {
        /// Which node.
        node: Which,
        /// To whom.
        peer: PeerId,
        /// What.
        content: Frames,
    },
    /// A stand-in is to say this to one member of a group, with `Stack::shout_to`. When it refuses, answer with
    /// [`Bridge::handle_unsent`].
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
        role: super::Role,
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
    /// This bridge makes stand-ins now, and tells others who is on its LAN.
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
    /// It may be time to make stand-ins.
    Election,
    /// What could not be sent is tried again.
    Retry,
    /// What waits for a peer has waited for too long.
    Waiting,
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
    /// Octets of @Once that were sent to bridges and servers, and that came.
    pub octets_sent: u64,
    /// See [`octets_sent`](Self::octets_sent).
    pub octets_received: u64,
}

/// The machine of a bridge. See [the module](super).
#[derive(Debug)]
pub struct Bridge {
    config: Config,
}

impl Bridge {
    /// A bridge that knows nobody. `seed` as for [`Stack::new`](crate::Stack::new).
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        let _ = (now, seed);
        Self { config }
    }

    /// Something happened at one of its nodes; `key` is that of the peer that the event is about, which a secure node has in
    /// [`PeerView::key`](crate::zre::PeerView).
    pub fn handle_event(
        &mut self,
        now: Instant,
        node: Which,
        event: NodeEvent,
        key: Option<PublicKey>,
    ) {
        let _ = (now, node, event, key, &self.config);
    }

    /// A node refused what an [`Action::Whisper`] or [`Action::ShoutTo`] was about.
    pub fn handle_unsent(
        &mut self,
        now: Instant,
        node: Which,
        peer: PeerId,
        content: Frames,
        error: SendError,
    ) {
        let _ = (now, node, peer, content, error);
    }

    /// A stand-in could not be started, for lack of what the machine has.
    pub fn handle_not_started(&mut self, now: Instant, stand_in: PeerId) {
        let _ = (now, stand_in);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// Says goodbye to servers and bridges, and ends all stand-ins. The nodes are to be stopped when all actions are done.
    pub fn stop(&mut self, now: Instant) {
        let _ = now;
    }

    /// Whether events of this node are wanted now. While they are not, they stay where they are, so that those who talk to it are
    /// held back.
    #[must_use]
    pub fn wants(&self, node: Which) -> bool {
        let _ = node;
        true
    }

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        None
    }

    /// Whether it makes stand-ins, and tells others who is on its LAN.
    pub const fn is_active(&self) -> bool {
        false
    }

    /// What happened so far, in numbers.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
