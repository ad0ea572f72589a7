//! The server: where bridges meet.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{Limits, Mechanism};
use crate::curve::PublicKey;
use crate::wire::once::Code;
use crate::zre::{Event as NodeEvent, SendError};
use crate::{Frames, Instant, PeerId};

/// What a server is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity of its node.
    pub id: PeerId,
    /// The key of its node, when that is secure.
    pub key: Option<PublicKey>,
    /// How bridges may prove that they may take part, the best one first. With [`Mechanism::Open`] plain peers are answered in version 1 as well.
    pub mechanisms: Vec<Mechanism>,
    /// Where bridges reach the relay, if there is one: `tcp://ADDRESS:PORT`; the address may be `*`, the server's own.
    pub relay: Option<String>,
    /// What others may cost.
    pub limits: Limits,
}

/// What a server wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The node is to whisper this. When it refuses, answer with [`Server::handle_unsent`].
    Whisper {
        /// To whom.
        peer: PeerId,
        /// What.
        content: Frames,
    },
    /// The relay is to join the two who come with these tickets.
    Pair {
        /// Of who dials.
        dialler: [u8; 32],
        /// Of who accepts.
        acceptor: [u8; 32],
    },
}

/// What a server tells whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A bridge proved that it may take part.
    Enter {
        /// Which.
        bridge: PeerId,
        /// Under which mechanism.
        mechanism: &'static str,
    },
    /// A bridge is gone.
    Exit {
        /// Which.
        bridge: PeerId,
    },
    /// Somebody was refused.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why.
        code: Code,
    },
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// A proof takes too long, or is to be renewed.
    Session,
    /// Bridges are to be told who is there.
    Contacts,
}

/// The machine of a server. See [the module](super).
#[derive(Debug)]
pub struct Server {
    config: Config,
}

impl Server {
    /// A server that knows nobody. `seed` as for [`Stack::new`](crate::Stack::new).
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        let _ = (now, seed);
        Self { config }
    }

    /// Something happened at its node; `key` is that of the peer that the event is about, which a secure node has in
    /// [`PeerView::key`](crate::zre::PeerView).
    pub fn handle_event(&mut self, now: Instant, event: NodeEvent, key: Option<PublicKey>) {
        let _ = (now, event, key, &self.config);
    }

    /// The node refused to whisper what an [`Action::Whisper`] was about.
    pub fn handle_unsent(&mut self, now: Instant, peer: PeerId, content: Frames, error: SendError) {
        let _ = (now, peer, content, error);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// Tells those who are there that it ends. The node is to be stopped when all actions are done.
    pub fn stop(&mut self, now: Instant) {
        let _ = now;
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

    /// The bridges that may take part, sorted by identity.
    pub fn bridges(&self) -> impl Iterator<Item = (PeerId, Option<SocketAddr>)> {
        core::iter::empty()
    }
}
