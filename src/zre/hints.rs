//! What beacons, the application and tuples say of where somebody is: ZRE-2 to ZRE-10, ZRE-31 and ZRE-166 of `spec/zre.md`.

use core::net::SocketAddr;

use tracing::trace;

use super::dial::{Dial, Owner, State};
use super::duplex::is_back;
use super::exits::TOMBSTONE;
use super::keys::{Key, Standing};
use super::node::Node;
use super::record::Claim;
use super::{ExitReason, Lost, Presence};
use crate::wire::Beacon;
use crate::{Instant, PeerId};

/// Who says where somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A beacon that came from there: the node beacons now.
    Beacon,
    /// The application.
    Introduced,
    /// A tuple, which may be as old as it likes; `fresh` when it is followed for the first time.
    Tuple { fresh: bool },
}

impl Told {
    /// Whether it may say more than what is known.
    const fn is_news(self) -> bool {
        !matches!(self, Self::Tuple { fresh: false })
    }

    const fn is_tuple(self) -> bool {
        matches!(self, Self::Tuple { .. })
    }
}

impl Node {
    /// A datagram came to the beacon port. What is no beacon is counted and left alone.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        match Beacon::decode(datagram) {
            Ok(beacon) => self.handle_beacon(now, source, &beacon),
            Err(malformed) => {
                trace!(%source, %malformed, "no beacon");
                // ZRE-2
                self.counters.datagrams_malformed += 1;
            }
        }
    }

    /// A beacon came from `source`.
    pub fn handle_beacon(&mut self, now: Instant, source: SocketAddr, beacon: &Beacon) {
        let &Beacon { uuid, port, .. } = beacon;
        // ZRE-3, ZRE-9, ZRE-130
        if uuid == self.id || self.is_stopping() || !self.config.beacons.hears() {
            return;
        }
        let Ok(key) = self.key_in(beacon) else {
            // A node of another kind: it would not talk with us, nor we with it.
            return self.refuse_beacon();
        };
        // ZRE-8
        let mut address = source;
        address.set_port(port);
        if port == 0 {
            return self.goodbye_beacon(now, uuid, source, key);
        }
        // ZRE-138
        if self.ignores(address) {
            return;
        }
        if key.is_some() && self.standing(now, uuid, key) != Standing::Good {
            // ZRE-120
            return self.refuse_beacon();
        }
        if !self.heard_from_partner(now, source, uuid) {
            self.answer_beacon(now, source);
        }
        self.hint(now, uuid, address, key, Told::Beacon);
    }

    /// Somebody is said to be at this address.
    #[inline]
    pub(super) fn hint(
        &mut self,
        now: Instant,
        uuid: PeerId,
        address: SocketAddr,
        key: Option<Key>,
        told: Told,
    ) {
        let mut moved = false;
        if let Some(record) = self.peers.get_mut(&uuid) {
            let there = address.ip();
            let from_there = told == Told::Beacon
                && (record.address.ip() == there || record.remote.ip() == there);
            let up = record.inbound.is_some() && record.reached;
            // ZRE-50
            let silent = now - record.spoke >= self.config.expired_timeout;
            moved = told.is_news()
                && record.inbound.is_none()
                && !record.reached
                && record.address != address
                // ZRE-145: it is waited for.
                && !is_back(record.address);
            if from_there && up && !silent {
                record.heard = now;
                if record.presence != Presence::Ready {
                    self.recovered(now, uuid);
                }
            }
            if !moved {
                return;
            }
        }
        // ZRE-3
        if self.is_own(address) {
            return;
        }
        if moved {
            // ZRE-31: both links died, and it is heard from elsewhere: its address changed.
            self.exit(now, uuid, ExitReason::Lost(Lost::Unreachable));
        }
        let greeted = self.greeted_with(uuid) == Some(key);
        if greeted || !self.past.may_dial(now, uuid, (address, key)) {
            return;
        }
        if self.inbox.is_full(uuid, &self.config.limits) {
            // ZRE-85: its next beacon comes soon.
            self.counters.entries_deferred += 1;
            return;
        }
        if let Some(&other) = self.expected.get(&uuid)
            && other != address
            // ZRE-119
            && self.dials.get(other).is_none_or(|dial| dial.key() == key)
        {
            // ZRE-166. One with two interfaces beacons from both: neither hint gives way before it was tried as often as the other.
            let failures = self.past.failures(now, (address, key));
            let Some(dial) = self.dials.get_mut(other).filter(|dial| {
                let waits = dial.state == State::Waiting && dial.owner == Owner::Nobody;
                waits && failures < dial.failures
            }) else {
                return;
            };
            if dial.persistent {
                // It is tried on, for whoever comes there; this one lives elsewhere now.
                dial.expect = None;
                self.expected.remove(&uuid);
            } else {
                self.give_up_dial(now, other);
            }
        }
        let there = self.dials.get(address);
        let other = there.is_some_and(|dial| dial.key() != key);
        match there.map(|dial| dial.owner) {
            // ZRE-120
            Some(Owner::Peer(holder)) if other && self.has_link(holder) => self.refuse_beacon(),
            // ZRE-153
            Some(Owner::Peer(_)) if !told.is_news() => {}
            Some(Owner::Peer(holder)) => {
                self.challenge_claim(now, holder, Claim::Beacon(uuid, key));
            }
            Some(Owner::Greeted { .. }) => {}
            Some(Owner::Nobody) if other => self.note_rival(now, address, uuid, key),
            Some(Owner::Nobody) => {
                self.expect(address, uuid);
                if let Some(dial) = self.dials.get_mut(address) {
                    dial.hinted = now;
                    dial.hinted_by_tuple &= told.is_tuple();
                }
            }
            // ZRE-10
            None => self.dial_hint(now, address, uuid, key, told),
        }
    }

    /// A beacon means nothing to this node.
    pub(super) fn refuse_beacon(&mut self) {
        // ZRE-2
        // Those of secure nodes are nothing to be told of in a network that is not.
        self.counters.beacons_refused += u64::from(self.is_secure());
    }

    /// Whether a link from or to a peer is up.
    fn has_link(&self, id: PeerId) -> bool {
        self.peers
            .get(&id)
            .is_some_and(|record| record.inbound.is_some() || record.reached)
    }

    pub(super) fn dial_hint(
        &mut self,
        now: Instant,
        address: SocketAddr,
        uuid: PeerId,
        key: Option<Key>,
        told: Told,
    ) {
        let mut dial = Dial::new(now, address.ip(), key);
        dial.hinted_by_tuple = told.is_tuple();
        dial.expect = Some(uuid);
        // ZRE-28
        let hold = self.past.newcomer_at(now, uuid, address.ip());
        self.add_dial(now, address, dial, hold);
    }

    fn goodbye_beacon(&mut self, now: Instant, uuid: PeerId, source: SocketAddr, key: Option<Key>) {
        if let Some(record) = self.peers.get(&uuid) {
            // ZRE-120
            if record.key() != key {
                return self.refuse_beacon();
            }
            return self.challenge_goodbye(now, uuid);
        }
        let is_it = |dial: &Dial| dial.owner == Owner::Nobody && dial.key() == key;
        if let Some(&address) = self.expected.get(&uuid)
            && address.ip() == source.ip()
            && self.dials.get(address).is_some_and(is_it)
        {
            self.give_up_dial(now, address);
            self.past.bury(now, uuid, address, Some(TOMBSTONE), false);
        }
    }
}
