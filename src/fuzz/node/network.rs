//! Links and their octets, and what the node wants done.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::net::SocketAddr;

use bytes::BufMut;

use super::World;
use super::kin::who_is_at;
use super::puppet::{Far, Reaction};
use crate::zmtp;
use crate::{Action, Cut, LinkId};

impl World {
    pub(super) fn connected(&mut self, link: LinkId) {
        let Some(far) = self.links.get_mut(&link) else {
            return;
        };
        far.connected = true;
        self.note(&format!("> {link} is connected"));
        let local = SocketAddr::from(([10, 0, 0, 1], 50_001));
        self.stack.handle_connected(self.now, link, local);
    }

    pub(super) fn hang_up(&mut self, link: LinkId, cut: Cut) {
        if self.links.remove(&link).is_some() {
            self.note(&format!("> {link} ends: {cut:?}"));
            self.stack.handle_disconnected(self.now, link, cut);
        }
    }

    /// Takes octets from the stack, up to this many.
    pub(super) fn transmit(&mut self, link: LinkId, limit: usize) {
        let Some(far) = self.links.get_mut(&link) else {
            return;
        };
        let mut octets: Vec<u8> = self.stack.poll_transmit(link).flatten().copied().collect();
        octets.truncate(limit);
        if octets.is_empty() {
            return;
        }
        assert!(far.connected, "{link} is not connected and sends");
        self.trace.write(&octets);
        let mut messages = Vec::new();
        if let Some(connection) = &mut far.connection {
            let of_relay = octets.len().min(far.prelude.len());
            let (of_relay, octets) = octets.split_at(of_relay);
            assert!(far.prelude.starts_with(of_relay), "not what relays expect");
            far.prelude.drain(..of_relay.len());
            connection.handle_input(self.now, octets);
            while let Some(event) = connection.poll_event() {
                match event {
                    zmtp::Event::Message(message) => messages.push(message),
                    zmtp::Event::Closed(error) => {
                        assert!(
                            !matches!(error, zmtp::Error::Malformed(_)),
                            "the node speaks ZMTP: {error}"
                        );
                    }
                    #[cfg(feature = "curve")]
                    zmtp::Event::Authenticate(_) => {
                        connection.handle_verdict(self.now, zmtp::Verdict::Allow);
                    }
                    _ => {}
                }
            }
            far.collect(self.now);
        }
        self.stack.handle_transmitted(self.now, link, octets.len());
        for message in messages {
            self.react(link, message);
        }
        #[cfg(feature = "curve")]
        self.end_what_failed(link);
    }

    /// Hands the stack some octets that are under way; says whether there were any.
    pub(super) fn deliver(&mut self) -> bool {
        let ready = self
            .links
            .iter_mut()
            .find(|(_, far)| far.connected && !far.paused && !far.under_way.is_empty());
        let Some((&link, far)) = ready else {
            return false;
        };
        // Small pieces for all of a large message would only take long.
        let chunk = self.chunk.max(far.under_way.len() / 64);
        let mut octets = chunk.min(far.under_way.len());
        if self.fills
            && let Some(mut buffer) = self.stack.receive_buffer(link)
        {
            octets = octets.min(buffer.remaining_mut());
            for octet in far.under_way.drain(..octets) {
                buffer.put_u8(octet);
            }
            self.stack.handle_filled(self.now, link);
        } else {
            let octets: Vec<u8> = far.under_way.drain(..octets).collect();
            self.stack.handle_received(self.now, link, &octets);
        }
        true
    }

    // ---- what the node wants done

    pub(super) fn act(&mut self, action: &Action) {
        self.note(&format!("{action:?}"));
        match *action {
            Action::Broadcast { .. } | Action::Beacon { .. } => {}
            Action::Dial { link, address } => self.dial(link, address),
            Action::Transmit { link } => {
                let far = self.far(link, "transmit");
                assert!(far.connected, "transmit on {link}, which is not connected");
                if !far.stalled {
                    self.transmit(link, usize::MAX);
                }
            }
            Action::Pause { link } => {
                let far = self.far(link, "pause");
                assert!(!far.paused, "{link} is paused already");
                far.paused = true;
            }
            Action::Resume { link } => {
                let far = self.far(link, "resume");
                assert!(far.paused, "{link} is not paused");
                far.paused = false;
            }
            Action::Close { link } => {
                self.far(link, "close");
                self.links.remove(&link);
            }
            Action::Resolve { query, .. } => self.queries.push_back(query),
            #[cfg(feature = "curve")]
            Action::Authenticate { link, key, .. } => self.ask(link, key),
        }
    }

    pub(super) fn far(&mut self, link: LinkId, what: &str) -> &mut Far {
        let Some(far) = self.links.get_mut(&link) else {
            panic!("{what} {link}, which is not open");
        };
        far
    }

    pub(super) fn dial(&mut self, link: LinkId, address: SocketAddr) {
        assert!(self.known.insert(link), "{link} was used before");
        if self.dial_relay(link, address) {
            return;
        }
        let who = who_is_at(address);
        let puppet = who.and_then(|who| self.puppets.get(who));
        let states = puppet.and_then(|puppet| puppet.states);
        let connection = Box::new(self.router(states, who.unwrap_or_default()));
        let puppet = who.and_then(|who| self.puppets.get(who));
        let listens = puppet.is_some_and(|puppet| puppet.listens);
        let far = Far::new(who.unwrap_or_default(), Some(connection), Some(address));
        self.links.insert(link, far);
        if listens {
            self.reactions.push_back(Reaction::Connected(link));
        } else if self.deserted {
            self.reactions.push_back(Reaction::Refused(link));
        }
    }
}
