//! What may be asked of a stack at any time: who is there, what it has done, and what it holds.

use super::Stack;
use crate::PeerId;
use crate::wire::Text;
#[cfg(doc)]
use crate::zre::Node;
use crate::zre::{Counters, PeerView, Usage};

impl Stack {
    /// This node's identity.
    pub const fn id(&self) -> PeerId {
        self.node.id()
    }

    /// This node's public name.
    pub const fn name(&self) -> &Text {
        self.node.name()
    }

    /// The groups this node is in, sorted.
    pub fn groups(&self) -> impl Iterator<Item = &Text> {
        self.node.groups()
    }

    /// The endpoints that peers are told, one for each interface.
    pub fn endpoints(&self) -> impl Iterator<Item = Text> {
        self.node.endpoints()
    }

    /// The peers that are here, sorted by identity.
    pub fn peers(&self) -> impl Iterator<Item = PeerView<'_>> {
        self.node.peers()
    }

    /// A peer that is here.
    pub fn peer(&self, id: PeerId) -> Option<PeerView<'_>> {
        self.node.peer(id)
    }

    /// The peers of this name; names need not be unique.
    pub fn peers_by_name(&self, name: &str) -> impl Iterator<Item = PeerView<'_>> {
        self.peers().filter(move |view| view.peer.name == *name)
    }

    /// The peers that have a header of this name and value.
    pub fn peers_by_header(&self, name: &str, value: &str) -> impl Iterator<Item = PeerView<'_>> {
        self.peers().filter(move |view| {
            view.peer
                .headers
                .get(name)
                .is_some_and(|found| *found == *value)
        })
    }

    /// The endpoint of this node that a peer was told; `None` when it is not here.
    pub fn told_endpoint(&self, id: PeerId) -> Option<Text> {
        self.node.told_endpoint(id)
    }

    /// The peers in a group.
    pub fn peers_in(&self, group: &[u8]) -> impl Iterator<Item = PeerView<'_>> {
        self.node.peers_in(group)
    }

    /// See [`Node::leader`].
    pub fn leader(&self, group: &[u8]) -> Option<PeerId> {
        self.node.leader(group)
    }

    /// See [`Node::contested`].
    pub fn contested(&self) -> impl Iterator<Item = &Text> {
        self.node.contested()
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> &Counters {
        self.node.counters()
    }

    /// What the node holds now, to be watched or shown. Takes time in proportion to its links.
    pub fn usage(&self) -> Usage {
        Usage {
            links: self.links.len(),
            ..self.node.usage()
        }
    }

    /// Whether the node was told to stop, or to retire.
    pub const fn is_stopping(&self) -> bool {
        self.node.is_stopping()
    }

    /// Whether the node was stopped and everything is closed.
    pub fn is_stopped(&self) -> bool {
        self.node.is_stopped() && self.links.is_empty()
    }
}
