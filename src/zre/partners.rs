//! Whom the application names to the node: those who are sent beacons of their own, those who are introduced, and mailboxes
//! that are not there for it (ZRE-130 to ZRE-138 of `spec/zre.md`).

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use tracing::{debug, trace};

use super::deadlines::Due;
use super::dial::Owner;
use super::hints::Told;
use super::keys::{Key, Standing};
use super::node::Node;
use super::{Action, Beacons, ConnectError};
use crate::net::Interface;
use crate::wire::Beacon;
use crate::{Instant, PeerId};

/// The pause after the first directed beacon to somebody; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two directed beacons.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// So long after an answer the same address gets no other: less than the shortest pause between two directed beacons, 750 ms,
/// so that each of these is answered, and more than it takes for an answer to an answer to come.
const ANSWERS_APART: Duration = Duration::from_millis(700);

/// The most addresses that are answered within that time, so that what is remembered of them stays within 64 KiB.
const ANSWERED: usize = 1_024;

/// Addresses to which directed beacons go, and those that had an answer.
#[derive(Debug, Default)]
pub(super) struct Partners {
    partners: BTreeMap<SocketAddr, Partner>,
    /// When an answer was sent.
    answered: BTreeMap<SocketAddr, Instant>,
}

#[derive(Debug, Default)]
struct Partner {
    /// Beacons that were sent in a row.
    said: u32,
    /// Whose beacon came from there last.
    led_to: Option<PeerId>,
}

impl Partners {
    pub(super) fn is_empty(&self) -> bool {
        self.partners.is_empty()
    }

    /// The addresses, and whose beacon came from each last.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketAddr, Option<PeerId>)> {
        let partners = self.partners.iter();
        partners.map(|(address, partner)| (*address, partner.led_to))
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.partners.contains_key(&address)
    }

    /// Panics when more is remembered than may be.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self) {
        assert!(self.answered.len() <= ANSWERED, "answers");
    }

    /// Whether this address may have an answer now, which is noted.
    fn may_answer(&mut self, now: Instant, address: SocketAddr) -> bool {
        // ZRE-133
        let recent = |at: Instant| now - at < ANSWERS_APART;
        if self.answered.get(&address).is_some_and(|at| recent(*at)) {
            return false;
        }
        if self.answered.len() >= ANSWERED && !self.answered.contains_key(&address) {
            self.answered.retain(|_, at| recent(*at));
            if self.answered.len() >= ANSWERED {
                return false;
            }
        }
        self.answered.insert(address, now);
        true
    }
}

impl Node {
    // ---- directed beacons

    /// Sends this node's beacon to one address, a UDP port on which another node hears, and goes on with growing pauses, from one
    /// second to thirty, until [`unbeacon`](Node::unbeacon). While the peer that it led to is here, nothing is sent.
    ///
    /// One that hears it dials this node. One that is [`Directed`](Beacons::Directed) answers with its own beacon, so that this
    /// node, if it hears beacons, dials it as well. Does nothing when the address is known already.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NoBeacons`] or [`ConnectError::Stopped`]; nothing changed.
    pub fn beacon(&mut self, now: Instant, address: SocketAddr) -> Result<(), ConnectError> {
        if self.is_stopping() {
            return Err(ConnectError::Stopped);
        }
        if self.config.beacons == Beacons::Off {
            return Err(ConnectError::NoBeacons);
        }
        if let Entry::Vacant(place) = self.partners.partners.entry(address) {
            debug!(%address, "seeking");
            place.insert(Partner::default());
            self.partner_due(now, address);
        }
        Ok(())
    }

    /// Sends no more beacons to this address. Whoever was met there stays. Does nothing when none were sent.
    pub fn unbeacon(&mut self, address: SocketAddr) {
        if self.partners.partners.remove(&address).is_some() {
            self.timers.cancel(Due::Partner(address));
        }
    }

    /// A directed beacon is due.
    pub(super) fn partner_due(&mut self, now: Instant, address: SocketAddr) {
        let Some(partner) = self.partners.partners.get_mut(&address) else {
            return;
        };
        let met = partner.led_to.and_then(|id| self.peers.get(&id));
        // ZRE-132. Who has sent a beacon from there in the name of another does not keep us quiet.
        if met.is_some_and(|peer| {
            peer.address.ip() == address.ip() || peer.remote.ip() == address.ip()
        }) {
            trace!(%address, "met");
            partner.said = 0;
            return;
        }
        // ZRE-131
        let pause = (FIRST_PAUSE * 2_u32.pow(partner.said.min(5))).min(LONGEST_PAUSE);
        partner.said = partner.said.saturating_add(1);
        let pause = self.jitter(pause);
        self.timers.set(Due::Partner(address), now + pause);
        self.direct(address, Self::port_on);
    }

    /// An interface came up: who did not answer may be reached now.
    pub(super) fn seek_partners_anew(&mut self, now: Instant) {
        // ZRE-131
        let partners: Vec<_> = self.partners.partners.keys().copied().collect();
        for address in partners {
            self.seek_anew(now, address);
        }
    }

    fn seek_anew(&mut self, now: Instant, address: SocketAddr) {
        if let Some(partner) = self.partners.partners.get_mut(&address) {
            partner.said = 0;
            self.timers.cancel(Due::Partner(address));
            self.partner_due(now, address);
        }
    }

    /// A peer is gone: whoever led to it is sought anew, after the first pause.
    pub(super) fn miss_partner(&mut self, now: Instant, id: PeerId) {
        if self.partners.is_empty() {
            return;
        }
        let partners = self.partners.partners.iter_mut();
        let missed: Vec<_> = partners
            .filter(|(_, partner)| partner.led_to == Some(id))
            .map(|(address, partner)| {
                partner.said = 0;
                *address
            })
            .collect();
        for address in missed {
            // ZRE-132
            let pause = self.jitter(FIRST_PAUSE);
            self.timers.set(Due::Partner(address), now + pause);
        }
    }

    /// Whether a beacon came from one to whom we send directed beacons; whose it is, is noted.
    #[inline]
    pub(super) fn heard_from_partner(
        &mut self,
        now: Instant,
        source: SocketAddr,
        id: PeerId,
    ) -> bool {
        if self.partners.is_empty() {
            return false;
        }
        let Some(partner) = self.partners.partners.get_mut(&source) else {
            return false;
        };
        // ZRE-132
        let another = partner.led_to.replace(id) != Some(id);
        if another && self.timers.get(Due::Partner(source)).is_none() {
            // The one who was there is still here, and perhaps another is there now.
            let pause = self.jitter(FIRST_PAUSE);
            self.timers.set(Due::Partner(source), now + pause);
        }
        true
    }

    /// Answers a beacon of somebody to whom we send none ourselves, when it was sent to us alone.
    #[inline]
    pub(super) fn answer_beacon(&mut self, now: Instant, source: SocketAddr) {
        // ZRE-133. What came has a key if and only if we have one, and is as long as the answer.
        if self.config.beacons == Beacons::Directed && self.partners.may_answer(now, source) {
            trace!(%source, "answered");
            self.direct(source, Self::port_on);
        }
    }

    pub(super) fn say_goodbye_to_partners(&mut self) {
        // ZRE-134
        let partners = core::mem::take(&mut self.partners.partners);
        for address in partners.into_keys() {
            self.direct(address, |_, _| 0);
        }
    }

    fn direct(&mut self, to: SocketAddr, port: impl Fn(&Self, &Interface) -> u16) {
        let beacons: Vec<_> = self
            .interfaces
            .iter()
            .filter(|(_, interface)| interface.address.is_ipv4() == to.is_ipv4())
            .map(|(id, interface)| {
                let beacon = Beacon {
                    uuid: self.id,
                    port: port(self, interface),
                    // ZRE-7, ZRE-110
                    key: self.own_key(),
                };
                (*id, beacon)
            })
            .collect();
        for (interface, beacon) in beacons {
            self.actions.push_back(Action::Beacon {
                interface,
                to,
                beacon,
            });
        }
    }

    /// The port of our mailbox as one sees it who is not on our LAN.
    fn port_on(&self, interface: &Interface) -> u16 {
        // ZRE-134
        let advertised = self.config.advertise.as_ref();
        advertised.map_or(interface.port, |endpoint| endpoint.port)
    }

    // ---- introductions

    /// Tells the node of another, as if it had heard its beacon: a hint with the same limits, that is forgotten when it leads
    /// nowhere. `address` is its mailbox, `key` what it has to prove there: `None` if and only if this node is not secure. That
    /// somebody who is here still lives is not said by it. A hint that is of no use, or about this node, changes nothing.
    pub fn introduce(&mut self, now: Instant, id: PeerId, address: SocketAddr, key: Option<Key>) {
        // ZRE-3, ZRE-135
        if id == self.id || self.is_stopping() || address.port() == 0 || self.ignores(address) {
            return;
        }
        let good = self.is_fit(key) && self.standing(now, id, key) == Standing::Good;
        if !good {
            // ZRE-110, ZRE-120
            return self.refuse_beacon();
        }
        self.hint(now, id, address, key, Told::Introduced);
    }

    // ---- mailboxes that are not there

    /// From now on a mailbox is not there for this node: beacons that lead to it mean nothing, whatever UUID they have, it is not
    /// dialled, and a HELLO that names it is refused. A dial that only a hint led there is given up; a peer that is here stays.
    /// What the application itself [asked for](Node::connect) is dialled all the same.
    ///
    /// For an application with several nodes on a network that are not to meet each other.
    pub fn ignore(&mut self, now: Instant, address: SocketAddr) {
        // ZRE-138
        self.ignored.insert(address);
        let rumour = self.dials.get(address).is_some_and(|dial| {
            !dial.persistent && !matches!(dial.owner, Owner::Peer(_)) // who greeted did not enter yet
        });
        if rumour {
            self.give_up_dial(now, address);
        }
    }

    /// Takes [`ignore`](Node::ignore) back.
    pub fn heed(&mut self, address: SocketAddr) {
        self.ignored.remove(&address);
    }

    /// Whether a mailbox is not there for this node.
    #[inline]
    pub(super) fn ignores(&self, address: SocketAddr) -> bool {
        !self.ignored.is_empty()
            && self.ignored.contains(&address)
            && self.dials.get(address).is_none_or(|dial| !dial.persistent)
    }
}
