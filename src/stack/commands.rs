//! What the application asks of the node: who is spoken to, sought, let in and left alone.

#[cfg(feature = "curve")]
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::SocketAddr;

use super::Stack;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::wire::zre::{put_shout_head, renumber, whisper_head};
use crate::wire::{Frames, Text};
use crate::zre::{self, ConnectError, SendError, Shouted, spoken};
#[cfg(doc)]
use crate::zre::{Event, Node};
use crate::{Instant, PeerId};

impl Stack {
    /// See [`Node::join`].
    pub fn join(&mut self, now: Instant, group: &Text) {
        self.node.join(now, group);
        self.settle(now);
    }

    /// See [`Node::leave`].
    pub fn leave(&mut self, now: Instant, group: &Text) {
        self.node.leave(now, group);
        self.settle(now);
    }

    /// See [`Node::contest`].
    pub fn contest(&mut self, now: Instant, group: &Text) {
        self.node.contest(now, group);
        self.settle(now);
    }

    /// See [`Node::withdraw`].
    pub fn withdraw(&mut self, now: Instant, group: &Text) {
        self.node.withdraw(now, group);
        self.settle(now);
    }

    /// See [`Node::whisper`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent and nothing changed.
    pub fn whisper(
        &mut self,
        now: Instant,
        peer: PeerId,
        content: &Frames,
    ) -> Result<(), SendError> {
        // Nothing waits before it: every call does all that the node wants.
        match self.node.whisper_at_once(now, peer, content) {
            Ok(Some((link, sequence))) => {
                let head = whisper_head(sequence);
                self.transmit(link, &head, &spoken(content));
                Ok(())
            }
            waits => {
                self.settle(now);
                waits.map(drop)
            }
        }
    }

    /// See [`Node::shout`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent.
    pub fn shout(
        &mut self,
        now: Instant,
        group: &Text,
        content: &Frames,
    ) -> Result<Shouted, SendError> {
        self.head.clear();
        put_shout_head(group, &mut self.head);
        let spoken = spoken(content);
        let shouted = self
            .node
            .shout_at_once(now, group, content, |link, sequence| {
                renumber(&mut self.head, sequence);
                if let Some(entry) = self.links.get_mut(link) {
                    entry.send(
                        link,
                        &self.head,
                        &spoken,
                        &mut self.spare,
                        &mut self.actions,
                    );
                }
            });
        self.settle(now);
        shouted
    }

    /// See [`Node::shout_to`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent and nothing changed.
    pub fn shout_to(
        &mut self,
        now: Instant,
        peer: PeerId,
        group: &Text,
        content: &Frames,
    ) -> Result<(), SendError> {
        match self.node.shout_to_at_once(now, peer, group, content) {
            Ok(Some((link, sequence))) => {
                let mut head = core::mem::take(&mut self.head);
                head.clear();
                put_shout_head(group, &mut head);
                renumber(&mut head, sequence);
                self.transmit(link, &head, &spoken(content));
                self.head = head;
                Ok(())
            }
            waits => {
                self.settle(now);
                waits.map(drop)
            }
        }
    }

    /// See [`Node::ping`].
    ///
    /// # Errors
    ///
    /// As there; nothing was sent.
    pub fn ping(&mut self, now: Instant, peer: PeerId) -> Result<(), SendError> {
        let asked = self.node.ping(now, peer);
        self.settle(now);
        asked
    }

    /// See [`Node::connect`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    pub fn connect(&mut self, now: Instant, endpoint: &Endpoint) -> Result<(), ConnectError> {
        let contacted = self.node.connect(now, endpoint);
        self.settle(now);
        contacted
    }

    /// See [`Node::connect_with_key`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    #[cfg(feature = "curve")]
    pub fn connect_with_key(
        &mut self,
        now: Instant,
        endpoint: &Endpoint,
        key: PublicKey,
    ) -> Result<(), ConnectError> {
        let contacted = self.node.connect_with_key(now, endpoint, key);
        self.settle(now);
        contacted
    }

    /// See [`Node::disconnect`].
    pub fn disconnect(&mut self, now: Instant, endpoint: &Endpoint) {
        self.node.disconnect(now, endpoint);
        self.settle(now);
    }

    /// See [`Node::beacon`].
    ///
    /// # Errors
    ///
    /// As there; nothing changed.
    pub fn beacon(&mut self, now: Instant, address: SocketAddr) -> Result<(), ConnectError> {
        let sought = self.node.beacon(now, address);
        self.settle(now);
        sought
    }

    /// See [`Node::unbeacon`].
    pub fn unbeacon(&mut self, address: SocketAddr) {
        self.node.unbeacon(address);
    }

    /// See [`Node::introduce`].
    pub fn introduce(
        &mut self,
        now: Instant,
        id: PeerId,
        address: SocketAddr,
        key: Option<zre::Key>,
    ) {
        self.node.introduce(now, id, address, key);
        self.settle(now);
    }

    /// See [`Node::note_tuple`].
    ///
    /// # Errors
    ///
    /// [`ConnectError::TooMany`] or [`ConnectError::Stopped`].
    pub fn note_tuple(
        &mut self,
        now: Instant,
        id: PeerId,
        endpoint: &Endpoint,
        key: Option<zre::Key>,
    ) -> Result<(), ConnectError> {
        let noted = self.node.note_tuple(now, id, endpoint, key);
        self.settle(now);
        noted
    }

    /// See [`Node::forget_tuple`].
    pub fn forget_tuple(&mut self, now: Instant, id: PeerId) {
        self.node.forget_tuple(now, id);
        self.settle(now);
    }

    /// See [`Node::tuples`].
    pub fn tuples(&self) -> impl Iterator<Item = (PeerId, &Endpoint)> {
        self.node.tuples()
    }

    /// See [`Node::ignore`].
    pub fn ignore(&mut self, now: Instant, address: SocketAddr) {
        self.node.ignore(now, address);
        self.settle(now);
    }

    /// See [`Node::heed`].
    pub fn heed(&mut self, address: SocketAddr) {
        self.node.heed(address);
    }

    /// See [`Node::bind`].
    #[cfg(feature = "curve")]
    pub fn bind(&mut self, id: PeerId, key: PublicKey) {
        self.node.bind(id, key);
    }

    /// See [`Node::revoke`]. For a list of keys that changed.
    #[cfg(feature = "curve")]
    pub fn revoke(&mut self, now: Instant, key: PublicKey) {
        self.node.revoke(now, key);
        self.settle(now);
    }

    /// See [`Node::set_bindings`]. For a list of bindings that changed.
    #[cfg(feature = "curve")]
    pub fn set_bindings(
        &mut self,
        now: Instant,
        bindings: BTreeMap<PeerId, PublicKey>,
        bridges: BTreeSet<PublicKey>,
    ) {
        self.node.set_bindings(now, bindings, bridges);
        self.settle(now);
    }

    /// Says goodbye, sends what is queued (for at most [`Limits::linger`](zre::Limits::linger)) and closes everything.
    /// [`Event::Stopped`] is the last event.
    pub fn stop(&mut self, now: Instant) {
        self.node.stop(now);
        self.settle(now);
    }

    /// Ends like [`stop`](Stack::stop), without any goodbye; see [`Node::retire`]. [`Event::Stopped`] is the last event.
    pub fn retire(&mut self, now: Instant) {
        self.node.retire(now);
        self.settle(now);
    }
}
