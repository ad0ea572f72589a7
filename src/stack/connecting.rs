//! How a link begins and how it ends: what its connection is made of, its deadline, its last words.

use alloc::boxed::Box;

use super::link::Link;
use super::{Action, Stack};
use crate::Instant;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::net::{Cut, LinkId};
use crate::wire::zmtp::{Identity, SocketType};
use crate::zmtp::{self, Connection, Security};

impl Stack {
    /// A link that is accepted or about to be dialled gets its connection.
    pub(super) fn open(&mut self, now: Instant, link: LinkId, dialled: bool) {
        let socket_type = if dialled {
            SocketType::Dealer
        } else {
            SocketType::Router
        };
        let security = self.security(link, socket_type);
        let connection = self.connection(now, socket_type, security);
        self.links
            .insert(link, Box::new(Link::new(connection, dialled)));
    }

    /// How a new connection is secured. Whoever dials is the client.
    // ZRE-112
    #[cfg(feature = "curve")]
    fn security(&mut self, link: LinkId, socket_type: SocketType) -> Security {
        let Some(curve) = &self.config.curve else {
            return Security::Null;
        };
        let (keys, seed) = (curve.keys.clone(), self.seeds.next());
        if socket_type == SocketType::Router {
            return Security::CurveServer { keys, seed };
        }
        // Nothing is dialled without a key; nobody could answer to this one.
        let server = self.node.key_of(link);
        let server = server.unwrap_or(PublicKey::from_bytes([0; 32]));
        Security::CurveClient { keys, server, seed }
    }

    #[cfg(not(feature = "curve"))]
    const fn security(&self, _link: LinkId, _socket_type: SocketType) -> Security {
        Security::Null
    }

    fn connection(&self, now: Instant, socket_type: SocketType, security: Security) -> Connection {
        let stranger = self.config.limits.unproved_octets;
        let mut config = zmtp::Config::new(socket_type);
        config.security = security;
        // ZRE-18
        // Seventeen octets that begin with 01 are an identity.
        config.identity =
            Identity::try_from(self.node.id().identity().as_slice()).unwrap_or_default();
        // ZRE-15
        config.handshake_timeout = self.node.patience();
        // ZRE-15
        config.limits.frame_octets = stranger;
        config.limits.message_octets = stranger;
        config.limits.message_frames = self.config.limits.message_frames;
        Connection::new(now, config)
    }

    /// Tells the embedder of new octets to send, and keeps the deadline of a connection.
    pub(super) fn watch(&mut self, link: LinkId) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        entry.signal(link, &mut self.actions);
        let deadline = entry.connection.poll_timeout().map(|(at, _)| at);
        // A deadline that moved away is looked at when the old one comes.
        if let Some(at) = deadline
            && entry.deadline.is_none_or(|before| at < before)
        {
            entry.deadline = Some(at);
            self.timers.set(link, at);
        }
    }

    /// Closes a link once what is queued is sent, or after a while in any case.
    pub(super) fn begin_close(&mut self, now: Instant, link: LinkId) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        entry.closing = true;
        if !entry.connected || entry.queued_octets() == 0 {
            return self.close(now, link);
        }
        entry.signal(link, &mut self.actions);
        self.closing.set(link, now + self.config.limits.linger);
    }

    pub(super) fn close(&mut self, now: Instant, link: LinkId) {
        let gone = self.links.get(link).is_some_and(|entry| entry.gone);
        if self.drop_link(link) && !gone {
            self.actions.push_back(Action::Close { link });
        }
        // News only for a node that waits for the end of its last words.
        self.node.handle_disconnected(now, link, Cut::Closed);
    }

    pub(super) fn drop_link(&mut self, link: LinkId) -> bool {
        self.timers.cancel(link);
        self.closing.cancel(link);
        self.links.remove(link).is_some()
    }
}
