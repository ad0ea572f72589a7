//! What the tester knows of everybody, and what it found.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use atonce::{Instant, PeerId};

use crate::NodeId;

/// An identity that the tester gave to a node of a LAN.
pub(super) type Serial = u32;

/// Everything that is shared by the guests and the plan.
pub(super) type Shared = Rc<RefCell<Findings>>;

#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The first thing that was wrong, and with whom.
    pub(super) broken: Option<(String, Vec<NodeId>)>,
    /// On which LAN each process was that was ever started, by its incarnation, and when that was.
    pub(super) homes: BTreeMap<u32, (Serial, usize, Instant)>,
    /// On which LAN each bridge is.
    pub(super) bridges: BTreeMap<PeerId, usize>,
    /// Which process has an identity now.
    pub(super) lives: BTreeMap<Serial, NodeId>,
    /// From the start of the later one of two to ENTER, on one LAN and across.
    pub(super) meeting: [Vec<Duration>; 2],
    /// From what is said to its arrival, on one LAN and across.
    pub(super) arriving: [Vec<Duration>; 2],
    /// Messages that were said, one for each who was to get it; those that were heard.
    pub(super) said: [u64; 2],
    pub(super) heard: [u64; 2],
    /// Of those that were heard across, those that another process of the same identity was meant to get.
    pub(super) strays: u64,
    pub(super) enters: [u64; 2],
    pub(super) exits: [u64; 2],
}

impl Findings {
    /// Something is wrong. Only the first counts: the rest may come of it.
    pub(super) fn fail(&mut self, what: String, nodes: &[NodeId]) {
        if self.broken.is_none() {
            self.broken = Some((what, nodes.to_vec()));
        }
    }

    /// The node of an identity.
    pub(super) fn node(&self, serial: Serial) -> Option<NodeId> {
        self.lives.get(&serial).copied()
    }
}
