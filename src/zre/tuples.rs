//! Tuples: who is where, as a gossip network says it (ZRE-150 to ZRE-157 of `spec/zre.md`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tracing::{debug, trace};

use super::deadlines::Due;
use super::dial::{Owner, State};
use super::hints::Told;
use super::keys::{Key, Standing};
use super::node::Node;
use super::{Action, ConnectError};
use crate::endpoint::{Endpoint, Host};
use crate::{Instant, PeerId};

/// The pause after a tuple was first followed; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before a tuple is followed again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// After so many tries in vain a tuple is perhaps of the past.
const OLD: u32 = 3;

/// Host names of tuples that are looked up at the same time.
const QUERIES: usize = 16;

/// How long a look-up may take.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);

/// Look-ups for tuples have numbers from here on; those for endpoints that the application asked for are below.
pub(super) const FIRST_QUERY: u64 = 1 << 63;

/// The tuples that stand.
#[derive(Debug, Default)]
pub(super) struct Tuples {
    tuples: BTreeMap<PeerId, Tuple>,
    /// Whose host name is being looked up.
    queries: BTreeMap<u64, PeerId>,
    /// How many look-ups there were: a late answer is none.
    asked: u64,
}

#[derive(Debug)]
struct Tuple {
    endpoint: Endpoint,
    key: Option<Key>,
    /// It was not followed yet.
    fresh: bool,
    /// How often it was followed in a row, and the peer was not here.
    looks: u32,
    /// The look-up of its host name that is under way.
    query: Option<u64>,
}

impl Tuples {
    #[inline]
    pub(super) fn contains(&self, id: PeerId) -> bool {
        self.tuples.contains_key(&id)
    }

    /// Whether one leads to whom a dial is to reach.
    pub(super) fn leads_to(&self, id: Option<PeerId>) -> bool {
        id.is_some_and(|id| self.contains(id))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Panics when a look-up is nobody's.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self, limit: usize) {
        assert!(self.tuples.len() <= limit, "tuples");
        assert!(self.queries.len() <= QUERIES, "names of tuples");
        for (query, id) in &self.queries {
            let tuple = self.tuples.get(id);
            let by = tuple.and_then(|tuple| tuple.query);
            assert_eq!(by, Some(*query), "a look-up for {id}");
        }
    }
}

impl Node {
    /// Tells the node where another is, as a tuple of a gossip network says it. Until [`forget_tuple`](Node::forget_tuple) it is
    /// sought there whenever it is not here, with pauses from one second, doubled, to thirty, and as a beacon would have it: a peer
    /// that is known from elsewhere as well is the same peer, and is dialled once. A tuple says nothing about whether a peer lives.
    /// A host name is looked up by the embedder, anew each time.
    ///
    /// One UUID has one tuple: the last takes the place of the one before. `key` is `None` if and only if this node is not secure. One
    /// that is of no use (another kind of key, our own UUID) takes the place of the one before all the same.
    ///
    /// # Errors
    ///
    /// [`ConnectError::TooMany`] when there are [`tuples`](super::Limits::tuples) already, and [`ConnectError::Stopped`]; nothing
    /// changed.
    pub fn note_tuple(
        &mut self,
        now: Instant,
        id: PeerId,
        endpoint: &Endpoint,
        key: Option<Key>,
    ) -> Result<(), ConnectError> {
        if self.is_stopping() {
            return Err(ConnectError::Stopped);
        }
        if let Some(known) = self.tuples.tuples.get(&id) {
            if (&known.endpoint, known.key) == (endpoint, key) {
                return Ok(());
            }
            // ZRE-154
            self.forget_tuple(now, id);
        }
        // ZRE-151, ZRE-110
        if id == self.id {
            return Ok(());
        }
        if !self.is_fit(key) {
            self.refuse_beacon();
            return Ok(());
        }
        if self.tuples.tuples.len() >= self.config.limits.tuples {
            self.counters.hints_refused += 1;
            return Err(ConnectError::TooMany);
        }
        debug!(%id, %endpoint, "a tuple");
        let tuple = Tuple {
            endpoint: endpoint.clone(),
            key,
            fresh: true,
            looks: 0,
            query: None,
        };
        self.tuples.tuples.insert(id, tuple);
        self.tuple_due(now, id);
        Ok(())
    }

    /// The tuple of this UUID stands no more. A peer that is here stays, and so does a link that is up. Does nothing when there was
    /// none.
    pub fn forget_tuple(&mut self, now: Instant, id: PeerId) {
        // ZRE-155
        let Some(tuple) = self.tuples.tuples.remove(&id) else {
            return;
        };
        debug!(%id, endpoint = %tuple.endpoint, "a tuple less");
        self.timers.cancel(Due::Tuple(id));
        if let Some(query) = tuple.query {
            self.tuples.queries.remove(&query);
        }
        let Some(&address) = self.expected.get(&id) else {
            return;
        };
        let rumour = self.dials.get(address).is_some_and(|dial| {
            dial.owner == Owner::Nobody
                && !dial.persistent
                && !matches!(dial.state, State::Up(_))
                // Somebody else says so, too.
                && dial.hinted_by_tuple
        });
        if rumour && !self.next_key(now, address) {
            self.give_up_dial(now, address);
        }
    }

    /// The tuples that stand: whose they are, and where they lead.
    pub fn tuples(&self) -> impl Iterator<Item = (PeerId, &Endpoint)> {
        let tuples = self.tuples.tuples.iter();
        tuples.map(|(id, tuple)| (*id, &tuple.endpoint))
    }

    /// Of the dials to where only tuples lead, and where nobody was found, one from this source gives way to another hint. Whether
    /// there is any.
    pub(super) fn give_up_old_tuple(&mut self, now: Instant, source: IpAddr) -> bool {
        let old = self
            .dials
            .hints_of(source)
            .filter(|(_, dial)| {
                let waits = dial.state == State::Waiting && dial.owner == Owner::Nobody;
                waits && dial.hinted_by_tuple && dial.failures >= OLD
            })
            .max_by_key(|(_, dial)| dial.failures)
            .map(|(address, _)| address);
        if let Some(old) = old {
            self.give_up_dial(now, old);
        }
        old.is_some()
    }

    /// It is time to follow a tuple, or its look-up takes too long.
    pub(super) fn tuple_due(&mut self, now: Instant, id: PeerId) {
        let Some(tuple) = self.tuples.tuples.get_mut(&id) else {
            return;
        };
        if let Some(query) = tuple.query.take() {
            // No answer in time is an answer.
            return self.tuple_resolved(now, query, &[]);
        }
        if self.peers.contains_key(&id) {
            tuple.looks = 0;
            // ZRE-153: that it moved there is to be seen once.
            if !core::mem::take(&mut tuple.fresh) {
                return;
            }
        }
        let is_name = matches!(tuple.endpoint.host, Host::Name(_));
        if is_name && self.tuples.queries.len() >= QUERIES {
            // Its turn comes when the answers to others have.
            return self.look_again(now, id, FIRST_PAUSE);
        }
        // ZRE-150
        let pause = (FIRST_PAUSE * 2_u32.pow(tuple.looks.min(5))).min(LONGEST_PAUSE);
        tuple.looks = tuple.looks.saturating_add(1);
        let Host::Name(host) = tuple.endpoint.host.clone() else {
            let address = tuple.endpoint.socket_address();
            self.look_again(now, id, pause);
            if let Some(address) = address {
                self.follow_tuple(now, id, address);
            }
            return;
        };
        let port = tuple.endpoint.port;
        if let Some(&address) = self.expected.get(&id) {
            let failed = self.dials.get(address).is_some_and(|dial| {
                let waits = dial.state == State::Waiting && dial.owner == Owner::Nobody;
                waits && dial.hinted_by_tuple && dial.failures > 0
            });
            if !failed {
                // It is being tried where the name led, or where a beacon leads.
                return self.look_again(now, id, pause);
            }
            // The name may lead elsewhere by now.
            self.give_up_dial(now, address);
        }
        // ZRE-152
        let query = FIRST_QUERY | self.tuples.asked;
        self.tuples.asked = self.tuples.asked.wrapping_add(1) & !FIRST_QUERY;
        self.tuples.queries.insert(query, id);
        if let Some(tuple) = self.tuples.tuples.get_mut(&id) {
            tuple.query = Some(query);
        }
        self.actions
            .push_back(Action::Resolve { query, host, port });
        self.timers.set(Due::Tuple(id), now + RESOLVE_DEADLINE);
    }

    fn look_again(&mut self, now: Instant, id: PeerId, pause: Duration) {
        if !self.peers.contains_key(&id) {
            let pause = self.jitter(pause);
            self.timers.set(Due::Tuple(id), now + pause);
        }
    }

    /// The host name of a tuple was looked up.
    pub(super) fn tuple_resolved(&mut self, now: Instant, query: u64, addresses: &[SocketAddr]) {
        let Some(id) = self.tuples.queries.remove(&query) else {
            return;
        };
        let Some(tuple) = self.tuples.tuples.get_mut(&id) else {
            return;
        };
        tuple.query = None;
        let pause = (FIRST_PAUSE * 2_u32.pow(tuple.looks.min(5))).min(LONGEST_PAUSE);
        trace!(%id, endpoint = %tuple.endpoint, ?addresses, "resolved");
        // Of several each has its turn.
        let turn = usize::try_from(tuple.looks.saturating_sub(1)).unwrap_or(0);
        let address = turn.checked_rem(addresses.len());
        let address = address.and_then(|at| addresses.get(at)).copied();
        self.look_again(now, id, pause);
        if let Some(address) = address {
            self.follow_tuple(now, id, address);
        }
    }

    fn follow_tuple(&mut self, now: Instant, id: PeerId, address: SocketAddr) {
        let Some(tuple) = self.tuples.tuples.get_mut(&id) else {
            return;
        };
        let (key, fresh) = (tuple.key, core::mem::take(&mut tuple.fresh));
        // ZRE-151, ZRE-138
        if !self.leads_anywhere(address) || self.ignores(address) {
            return;
        }
        if self.standing(now, id, key) != Standing::Good {
            // ZRE-116
            return self.refuse_beacon();
        }
        self.hint(now, id, address, key, Told::Tuple { fresh });
    }

    /// Whether an address that somebody somewhere wrote down may mean another node to us.
    fn leads_anywhere(&self, address: SocketAddr) -> bool {
        let host = address.ip().to_canonical();
        let here = || {
            let interfaces = self.interfaces.values();
            interfaces
                .into_iter()
                .any(|interface| interface.address.is_loopback())
        };
        let nowhere = host.is_unspecified() || host.is_multicast();
        address.port() != 0 && !nowhere && (!host.is_loopback() || here())
    }

    /// A peer is gone: if a tuple leads to it, it is sought.
    pub(super) fn miss_told(&mut self, now: Instant, id: PeerId) {
        if let Some(tuple) = self.tuples.tuples.get_mut(&id) {
            tuple.looks = 0;
            let pause = self.jitter(FIRST_PAUSE);
            self.timers.set(Due::Tuple(id), now + pause);
        }
    }

    /// An interface came up: who was not reached may be now.
    pub(super) fn seek_told_anew(&mut self, now: Instant) {
        let missing: Vec<_> = self
            .tuples
            .tuples
            .iter_mut()
            .filter(|(id, tuple)| tuple.query.is_none() && !self.peers.contains_key(id))
            .map(|(id, tuple)| {
                tuple.looks = 0;
                *id
            })
            .collect();
        for id in missing {
            self.tuple_due(now, id);
        }
    }
}
