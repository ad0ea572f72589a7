//! What the embedder tells: interfaces, datagrams, connections and their octets, answers, time.

use core::net::SocketAddr;

use bytes::BytesMut;
use bytes::buf::Limit;

#[cfg(doc)]
use super::Action;
use super::Stack;
use crate::Instant;
use crate::net::{Cut, Interface, InterfaceId, LinkId};
#[cfg(feature = "curve")]
use crate::zmtp::Verdict;

impl Stack {
    /// An interface is there, and the mailbox is bound on it.
    pub fn handle_interface_up(&mut self, now: Instant, interface: Interface) -> InterfaceId {
        let id = self.node.handle_interface_up(now, interface);
        self.settle(now);
        id
    }

    /// An interface went away, because of `detail`. Links that still live are kept.
    pub fn handle_interface_down(&mut self, now: Instant, interface: InterfaceId, detail: &str) {
        self.node.handle_interface_down(now, interface, detail);
        self.settle(now);
    }

    /// A datagram came to the beacon port from `source`. What is no beacon is counted and left alone.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        self.node.handle_datagram(now, source, datagram);
        self.settle(now);
    }

    /// Somebody connected to the mailbox. `None`: the link is refused, close the socket.
    #[must_use]
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        remote: SocketAddr,
    ) -> Option<LinkId> {
        let link = self.node.handle_accepted(now, interface, remote);
        if let Some(link) = link {
            self.open(now, link, false);
            self.watch(link);
        }
        self.settle(now);
        link
    }

    /// A connection that was dialled is made; `local` is our own address on it.
    pub fn handle_connected(&mut self, now: Instant, link: LinkId, local: SocketAddr) {
        self.node.handle_connected(link, local);
        if let Some(entry) = self.links.get_mut(link) {
            entry.connected = true;
            self.watch(link);
        }
        self.settle(now);
    }

    /// A connection ended, or could not be made. What it brought before still counts.
    pub fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        match self.links.get_mut(link) {
            // ZRE-148
            Some(entry) if entry.paused && entry.has_pending() => {
                entry.ended = Some(cut);
                entry.gone = true;
                // Nothing more is to be done with it.
                entry.connected = false;
            }
            Some(_) => {
                self.drop_link(link);
                self.node.handle_disconnected(now, link, cut);
            }
            None => {}
        }
        self.settle(now);
    }

    /// Octets came over a connection. All of them are taken.
    pub fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        if let Some(entry) = self.links.get_mut(link)
            && !entry.closing
        {
            if entry.backlog.is_empty() {
                self.feed(now, link, octets);
            } else {
                entry.backlog.extend_from_slice(octets);
            }
        }
        self.settle(now);
    }

    /// While a large frame is under way: the buffer into which what it still lacks is to be read, instead of
    /// [`handle_received`](Stack::handle_received). Append to it, then call [`handle_filled`](Stack::handle_filled).
    #[must_use]
    pub fn receive_buffer(&mut self, link: LinkId) -> Option<Limit<&mut BytesMut>> {
        let entry = self.links.get_mut(link)?;
        if entry.closing {
            return None;
        }
        entry.connection.receive_buffer()
    }

    /// Octets were appended to the buffer that [`receive_buffer`](Stack::receive_buffer) lent.
    pub fn handle_filled(&mut self, now: Instant, link: LinkId) {
        if let Some(entry) = self.links.get_mut(link)
            && !entry.closing
        {
            entry.connection.handle_filled(now);
            self.pump(now, link);
        }
        self.settle(now);
    }

    /// The network took the first `octets` octets that [`poll_transmit`](Stack::poll_transmit) lent.
    pub fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        let octets = entry.transmitted(octets);
        entry.connection.transmitted(octets, &mut self.spare);
        let (left, messages) = (entry.queued_octets(), entry.connection.queued_messages());
        if left == 0 {
            entry.signalled = false;
        }
        if entry.closing || entry.failed {
            if left == 0 {
                self.close(now, link);
            }
        } else {
            self.node.handle_sent(now, link, octets, left, messages);
        }
        self.settle(now);
    }

    /// The answer to [`Action::Authenticate`], now or later. One that comes when the link is gone, or to a question that was not
    /// asked, changes nothing.
    #[cfg(feature = "curve")]
    pub fn handle_verdict(&mut self, now: Instant, link: LinkId, verdict: Verdict) {
        if self.links.get(link).is_some() {
            self.decide(now, link, verdict);
        } else {
            // ZRE-114: there is no connection before it may be made.
            self.node.handle_verdict(now, link, &verdict);
        }
        self.settle(now);
    }

    /// Whether the one who made a link may come in.
    #[cfg(feature = "curve")]
    pub(super) fn decide(&mut self, now: Instant, link: LinkId, verdict: Verdict) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        if !entry.asked || entry.closing {
            return;
        }
        entry.asked = false;
        let allowed = verdict.is_allowed();
        entry.connection.handle_verdict(now, verdict);
        if allowed {
            self.pump(now, link);
        } else {
            self.node.note_denied();
            self.node.handle_disconnected(now, link, Cut::Closed);
            self.begin_close(now, link);
        }
    }

    /// The answer to [`Action::Resolve`], empty when there is none.
    pub fn handle_resolved(&mut self, now: Instant, query: u64, addresses: &[SocketAddr]) {
        self.node.handle_resolved(now, query, addresses);
        self.settle(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(link) = self.timers.pop_due(now) {
            if let Some(entry) = self.links.get_mut(link) {
                entry.deadline = None;
                entry.connection.handle_timeout(now);
                self.pump(now, link);
                self.watch(link);
            }
        }
        while let Some(link) = self.closing.pop_due(now) {
            self.close(now, link);
        }
        self.node.handle_timeout(now);
        self.settle(now);
    }
}
