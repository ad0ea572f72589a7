//! One link: its connection, and how far the embedder and the node are with it.

#[cfg(feature = "curve")]
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

#[cfg(feature = "curve")]
use bytes::{Buf, Bytes};

use super::Action;
use crate::Instant;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::net::{Cut, LinkId};
use crate::wire::Frames;
use crate::zmtp::{self, Connection};

#[derive(Debug)]
// What each message looks at lies together, beside what it looks at in the connection.
#[repr(C)]
pub(super) struct Link {
    /// The embedder knows that there are octets to send.
    pub(super) signalled: bool,
    /// The connection is made: octets can be sent.
    pub(super) connected: bool,
    /// The embedder was told not to read.
    pub(super) paused: bool,
    /// The node has forgotten the link; what is queued goes out, then it is closed.
    pub(super) closing: bool,
    /// We made it.
    pub(super) dialled: bool,
    /// It was dialled and failed: its last words go out, then it is closed, and only then the node is told, since it would dial
    /// the same mailbox anew (ZRE-60).
    pub(super) failed: bool,
    /// The other side is a peer: what comes need not be weighed message by message.
    pub(super) trusted: bool,
    /// It ended, as the embedder knows: it is not named in an action any more.
    pub(super) gone: bool,
    /// When the connection wants to be called, as far as `timers` know.
    pub(super) deadline: Option<Instant>,
    /// Octets that came behind a message of a stranger which is still weighed. At most what one read brought.
    pub(super) backlog: Vec<u8>,
    pub(super) connection: Connection,
    /// The connection ended while messages waited to be taken.
    pub(super) ended: Option<Cut>,
    /// The embedder is asked whether the other side may come in.
    #[cfg(feature = "curve")]
    pub(super) asked: bool,
    /// It goes over a relay. Boxed: few do.
    #[cfg(feature = "curve")]
    pub(super) relayed: Option<Box<Relayed>>,
}

/// What is special about a link over a relay.
#[cfg(feature = "curve")]
#[derive(Debug)]
pub(super) struct Relayed {
    /// What is left to be said to the relay itself, before everything else.
    pub(super) prelude: Bytes,
    /// The key that whoever speaks first has to prove; of a link on which that is us, the connection has it.
    pub(super) key: Option<PublicKey>,
}

impl Link {
    pub(super) fn new(connection: Connection, dialled: bool) -> Self {
        Self {
            connection,
            signalled: false,
            connected: !dialled,
            dialled,
            failed: false,
            paused: false,
            closing: false,
            trusted: false,
            backlog: Vec::new(),
            ended: None,
            gone: false,
            #[cfg(feature = "curve")]
            asked: false,
            #[cfg(feature = "curve")]
            relayed: None,
            deadline: None,
        }
    }

    /// Queues a message.
    #[inline]
    pub(super) fn send(
        &mut self,
        link: LinkId,
        head: &[u8],
        content: &Frames,
        spare: &mut Vec<u8>,
        actions: &mut VecDeque<Action>,
    ) {
        self.connection.take_memory(spare);
        match self.connection.send_with_head(head, content) {
            // It failed by what came together with what made the node say this; that waits in its events.
            Ok(()) | Err(zmtp::SendError::Closed) => {}
            // The node sends whole messages: our own bug.
            Err(error) => debug_assert!(false, "{link}: {error}"),
        }
        self.signal(link, actions);
    }

    /// Whether something came that the node did not take yet.
    pub(super) fn has_pending(&self) -> bool {
        self.connection.pending_messages() > 0 || !self.backlog.is_empty()
    }

    /// What is said to a relay before everything else, as far as the network did not take it.
    #[cfg(feature = "curve")]
    #[inline]
    pub(super) fn prelude(&self) -> &[u8] {
        self.relayed
            .as_ref()
            .map_or(&[], |relayed| &relayed.prelude)
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn prelude(&self) -> &[u8] {
        &[]
    }

    /// The network took so many octets; how many of them were the connection's.
    #[cfg(feature = "curve")]
    #[inline]
    pub(super) fn transmitted(&mut self, octets: usize) -> usize {
        let Some(relayed) = &mut self.relayed else {
            return octets;
        };
        let of_prelude = octets.min(relayed.prelude.len());
        relayed.prelude.advance(of_prelude);
        octets - of_prelude
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn transmitted(&mut self, octets: usize) -> usize {
        octets
    }

    /// How many octets wait to be sent.
    #[inline]
    pub(super) fn queued_octets(&self) -> usize {
        self.prelude().len() + self.connection.queued_octets()
    }

    /// Tells the embedder, once, that there are octets to send.
    pub(super) fn signal(&mut self, link: LinkId, actions: &mut VecDeque<Action>) {
        if self.connected && !self.signalled && self.queued_octets() > 0 {
            self.signalled = true;
            actions.push_back(Action::Transmit { link });
        }
    }
}
