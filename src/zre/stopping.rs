//! How a node ends: what is still said, and when it is all gone (ZRE-4, ZRE-98 and ZRE-137 of `spec/zre.md`).

use alloc::vec::Vec;
use core::time::Duration;

use tracing::{debug, trace};

use super::deadlines::Due;
use super::inbound::Role;
use super::node::Node;
use super::{Action, abilities};
use crate::Instant;
use crate::net::LinkId;
use crate::wire::zre::Command;

/// How long after the last link was closed the goodbye is said: 20 ms, for what is in the buffers of both kernels and of
/// the peer.
const LAST_WORDS: Duration = Duration::from_millis(20);

impl Node {
    /// Closes every link after what is queued was sent, then says goodbye to all. Nothing is taken in any more. Each
    /// [`Action::Close`] that asks to flush is to be answered with [`handle_disconnected`](Node::handle_disconnected)
    /// when it is done.
    pub fn stop(&mut self, now: Instant) {
        self.end_all(now, false);
    }

    /// Ends like [`stop`](Node::stop), but says no goodbye of any kind, neither to peers nor in beacons: for a node in the place of
    /// which another comes under the same UUID, since a goodbye in its name would be taken for the other's. What is queued is sent
    /// and every link is closed; until the other greets them, peers find the links cut. Does nothing when the node is stopping.
    pub fn retire(&mut self, now: Instant) {
        self.end_all(now, true);
    }

    fn end_all(&mut self, now: Instant, retired: bool) {
        if core::mem::replace(&mut self.stopping, true) {
            return;
        }
        debug!(id = %self.id, retired, "stop");
        self.retired = retired;
        let able: Vec<_> = self
            .peers
            .values()
            // ZRE-98
            .filter(|record| {
                record.elects
                    || abilities::has(&record.card, abilities::GOODBYE)
                    // ZRE-157
                    || self.tuples.contains(record.card.id)
            })
            // ZRE-137
            .filter(|_| !retired)
            .map(|record| record.address)
            .collect();
        for address in able {
            self.say(address, Command::Goodbye);
        }
        for (link, role) in self.links.take() {
            let flush = match role {
                Role::Outbound(_) => true,
                Role::Inbound(inbound) => inbound.way().is_some(),
            };
            if flush {
                self.leaving.insert(link);
            }
            self.actions.push_back(Action::Close { link, flush });
        }
        self.timers.clear();
        if self.leaving.is_empty() {
            self.say_goodbye();
        }
        self.dials.clear();
        self.expected.clear();
        self.greeted.clear();
        self.unproved.clear();
        self.paused.clear();
        self.peers.clear();
        self.members.clear();
        self.elections.clear();
        self.targets.clear();
        self.tuples.clear();
        self.untold.clear();
        #[cfg(feature = "curve")]
        self.keys.asked.clear();
        trace!(%now, "stopping");
    }

    /// The last thing that a node does: C Zyre drops whoever says goodbye in a beacon at once, with all that is still on its
    /// way, so that this comes after everything else.
    pub(super) fn say_goodbye(&mut self) {
        // ZRE-4
        // ZRE-137
        if !self.retired {
            self.broadcast(|_| 0);
            self.say_goodbye_to_partners();
        }
        self.stopped = true;
    }

    /// Whether anybody is to be told of the end in a beacon.
    fn has_last_words(&self) -> bool {
        !self.retired && (self.config.beacons.broadcasts() || !self.partners.is_empty())
    }

    /// A link was closed after all was sent.
    pub(super) fn link_left(&mut self, now: Instant, link: LinkId) {
        if self.leaving.remove(&link) && self.leaving.is_empty() {
            if self.has_last_words() {
                // ZRE-4
                self.timers.set(Due::Goodbye, now + LAST_WORDS);
            } else {
                self.stopped = true;
            }
        }
    }
}
