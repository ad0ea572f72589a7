//! What holds between any two calls, checked by the fuzzer and by tests.
#![allow(clippy::panic)] // that is how they are told

use alloc::collections::BTreeSet;
use core::net::SocketAddr;

use super::super::deadlines::Due;
use super::super::dial::{Dial, Owner, State};
use super::super::duplex::{back_to, is_back};
use super::super::inbound::{Role, Stage};
use super::super::record::{Claim, Record};
use super::Node;
use crate::net::LinkId;

impl Node {
    /// Panics when the tables of the node contradict each other or go over their limits.
    pub(crate) fn check_invariants(&self) {
        self.check_dials();
        self.check_links();
        self.check_peers();
        self.check_timers();
        self.check_bounds();
        self.check_elections();
        self.inbox.check(&self.config.limits);
    }

    /// The links that the node knows.
    pub(crate) fn link_ids(&self) -> impl Iterator<Item = LinkId> {
        self.links.iter().map(|(link, _)| link)
    }

    /// Whether the node waits for room before the link is read again.
    pub(crate) fn is_paused(&self, link: LinkId) -> bool {
        self.paused.contains(&link)
    }

    /// Panics unless nobody is here, and nothing is kept but what the application asked for.
    pub(crate) fn check_nobody_is_here(&self) {
        assert!(self.peers.is_empty(), "{:?}", self.peers);
        assert!(self.greeted.is_empty(), "{:?}", self.greeted);
        assert!(self.members.is_empty(), "{:?}", self.members);
        assert!(self.unproved.is_empty(), "{:?}", self.unproved);
        assert!(self.links.is_empty(), "{:?}", self.links);
        for (address, dial) in self.dials.iter() {
            assert!(
                dial.persistent || self.tuples.leads_to(dial.expect),
                "nobody asked for {address}, and nobody is there"
            );
        }
    }

    fn check_dials(&self) {
        self.dials.check();
        for (address, dial) in self.dials.iter() {
            if let Some(link) = dial.link() {
                assert!(
                    self.is_asked(link, address) || self.way(link) == Some(address),
                    "{link} of the dial to {address} leads elsewhere"
                );
            }
            assert!(
                dial.up().is_none() || dial.asked.is_some() || dial.held.is_empty(),
                "what is held for {address} is never said"
            );
            assert_eq!(dial.key().is_some(), self.is_secure(), "key for {address}");
            assert!(dial.rivals().len() <= 4, "rivals at {address}");
            let nowhere = is_back(address) && matches!(dial.state, State::Dialling(_));
            assert!(!nowhere, "{address} is dialled, and nobody can be there");
            let back = dial.peer().map(back_to);
            assert!(
                !is_back(address) || back == Some(address),
                "whose is {address}"
            );
            match dial.owner {
                Owner::Nobody => {}
                Owner::Greeted { peer, link } => {
                    assert_eq!(self.greeted.get(&peer), Some(&address), "{peer} greeted");
                    assert!(
                        matches!(
                            self.links.get(link),
                            Some(Role::Inbound(inbound))
                                if matches!(
                                    &inbound.stage,
                                    Stage::Held(held, message)
                                        if *held == peer && (!dial.wary || self.offers_in(message))
                                )
                        ),
                        "{link}, on which {peer} greeted, is not held"
                    );
                }
                Owner::Peer(peer) => {
                    let there = self.peers.get(&peer).map(|record| record.address);
                    assert_eq!(there, Some(address), "{peer} lives elsewhere");
                }
            }
        }
        for (peer, address) in &self.greeted {
            let owner = self.dials.get(*address).map(|dial| dial.owner);
            assert!(
                matches!(owner, Some(Owner::Greeted { peer: by, .. }) if by == *peer),
                "{peer} greeted, and the dial to {address} is {owner:?}"
            );
            assert!(!self.peers.contains_key(peer), "{peer} is here already");
        }
        for (peer, address) in &self.expected {
            let expect = self.dials.get(*address).and_then(|dial| dial.expect);
            assert_eq!(expect, Some(*peer), "who is expected at {address}");
        }
    }

    /// Whether it is asked if the link may be made.
    #[cfg(feature = "curve")]
    fn is_asked(&self, link: LinkId, address: SocketAddr) -> bool {
        self.keys.asked.get(&link) == Some(&address)
    }

    #[cfg(not(feature = "curve"))]
    #[expect(
        clippy::unused_self,
        reason = "a node without keys asks nobody, and is called as one that does"
    )]
    fn is_asked(&self, _link: LinkId, _address: SocketAddr) -> bool {
        false
    }

    fn check_links(&self) {
        #[cfg(feature = "curve")]
        for (link, address) in &self.keys.asked {
            let asked = self.dials.get(*address).and_then(Dial::link);
            assert_eq!(asked, Some(*link), "nobody waits for the answer");
        }
        for (link, role) in self.links.iter() {
            match role {
                Role::Outbound(address) => {
                    let ours = self.dials.get(*address).and_then(Dial::link);
                    assert_eq!(ours, Some(link), "the dial to {address}");
                }
                Role::Inbound(inbound) => match &inbound.stage {
                    // ZRE-144
                    _ if inbound.way().is_some_and(|way| {
                        self.dials.get(way).and_then(Dial::up) != Some(link)
                    }) =>
                    {
                        panic!("nothing is said on {link}")
                    }
                    Stage::New | Stage::Unproved(_) => {
                        assert!(self.unproved.contains(&link), "{link} got away");
                    }
                    Stage::Current(peer) => {
                        let current = self.peers.get(peer).and_then(|record| record.inbound);
                        assert_eq!(current, Some(link), "{peer} speaks on it");
                    }
                    Stage::Held(peer, _) => {
                        assert!(self.waits(link), "{link} of {peer} is held for ever");
                    }
                },
            }
        }
        for link in &self.unproved {
            assert!(
                matches!(
                    self.links.get(*link),
                    Some(Role::Inbound(inbound))
                        if matches!(inbound.stage, Stage::New | Stage::Unproved(_))
                ),
                "{link} is proved"
            );
        }
        for link in &self.paused {
            assert!(self.links.contains(*link), "{link} is gone");
        }
    }

    /// Whether something will come of a link that is held.
    fn waits(&self, link: LinkId) -> bool {
        let greeted = self
            .dials
            .values()
            .any(|dial| matches!(dial.owner, Owner::Greeted { link: held, .. } if held == link));
        greeted
            || self
                .peers
                .values()
                .filter_map(Record::doubt)
                .any(|challenge| {
                    challenge.takeover == Some(link) || challenge.claim == Some(Claim::Hello(link))
                })
    }

    fn check_peers(&self) {
        for (id, record) in self.peers.iter() {
            assert_eq!(id, record.card.id);
            let owner = self.dials.get(record.address).map(|dial| dial.owner);
            assert_eq!(owner, Some(Owner::Peer(id)), "the way to {id}");
            let up = self.dials.get(record.address).and_then(Dial::up);
            assert_eq!(record.reached, up.is_some(), "whether {id} is reached");
            let proved = self.dials.get(record.address).and_then(Dial::key);
            assert_eq!(record.key(), proved, "the key of {id}");
            if let Some(link) = record.inbound {
                assert!(
                    matches!(
                        self.links.get(link),
                        Some(Role::Inbound(inbound))
                            if inbound.key() == record.key()
                                && matches!(inbound.stage, Stage::Current(peer) if peer == id)
                    ),
                    "{id} does not speak on {link}"
                );
            }
            if is_back(record.address) {
                assert_eq!(record.inbound, up, "{id} is spoken to on its own link");
            }
            for group in &record.groups {
                let member = self
                    .members
                    .get(group)
                    .is_some_and(|peers| peers.contains(&id));
                assert!(member, "{id} is not found in {group}");
            }
        }
        for (id, record) in self.peers.iter() {
            let behind = record.untold.is_some() || record.told != record.presence;
            assert!(
                !behind || self.untold.contains(&id),
                "what happened to {id} is never told"
            );
        }
        for id in &self.untold {
            assert!(self.peers.contains_key(id), "{id} is gone, and told so");
        }
        for (group, members) in &self.members {
            assert!(!members.is_empty(), "{group} is empty");
            for id in members {
                let knows = self
                    .peers
                    .get(id)
                    .is_some_and(|record| record.groups.contains(group));
                assert!(knows, "{id} is not in {group}");
            }
        }
    }

    fn check_timers(&self) {
        let set: BTreeSet<Due> = self.timers.keys().collect();
        for due in &set {
            let meant = match due {
                Due::Beacon => self.config.beacons.broadcasts(),
                Due::Partner(address) => self.partners.contains(*address),
                Due::Goodbye => self.stopping && !self.stopped,
                // It may be for those who went meanwhile.
                Due::Sweep => !self.stopping,
                Due::Presence(id) => self.peers.get(id).is_some_and(|record| record.timed),
                Due::Challenge(id) => self
                    .peers
                    .get(id)
                    .is_some_and(|record| record.challenge.is_some()),
                Due::Overrun(id) => self
                    .peers
                    .get(id)
                    .and_then(|record| self.dials.get(record.address))
                    .is_some_and(|dial| dial.full),
                Due::Dial(address) => self.dials.contains(*address),
                Due::Hello(link) => {
                    let greeted = |dial: &Dial| matches!(dial.owner, Owner::Greeted { link: held, .. } if held == *link);
                    self.unproved.contains(link) || self.dials.values().any(greeted)
                }
                Due::Target(index) => self.is_sought(*index),
                Due::Tuple(id) => self.tuples.contains(*id),
                Due::Election(number) => self.has_election(*number),
            };
            assert!(meant, "{due:?} is for nothing");
        }
        for (address, led_to) in self.partners.iter() {
            let met = led_to.is_some_and(|id| self.peers.contains_key(&id));
            let sought = met || self.stopping || set.contains(&Due::Partner(address));
            assert!(sought, "{address} is never sent a beacon again");
        }
        for (id, record) in self.peers.iter() {
            if record.timed {
                assert!(set.contains(&Due::Presence(id)), "{id} is never missed");
            } else {
                let missed = record.heard + self.quiet_time();
                let sweep = self.timers.get(Due::Sweep);
                assert!(sweep.is_some_and(|at| at <= missed), "{id} is missed late");
            }
            assert!(
                record.challenge.is_none() || set.contains(&Due::Challenge(id)),
                "the doubt about {id} is never settled"
            );
        }
        for (address, dial) in self.dials.iter() {
            let settled = matches!((dial.owner, dial.state), (Owner::Peer(_), State::Up(_)));
            if let Owner::Greeted { link, .. } = dial.owner {
                let ends = set.contains(&Due::Hello(link));
                assert!(ends, "what is held of {link} is held for ever");
            }
            assert!(
                dial.unsaid.is_empty() || dial.full || !matches!(dial.owner, Owner::Peer(_)),
                "what is not said to {address} is never said"
            );
            if let (Owner::Peer(id), true) = (dial.owner, dial.full) {
                let watched = set.contains(&Due::Overrun(id));
                assert!(watched, "nobody watches the full queue to {id}");
            }
            assert!(
                !settled || !set.contains(&Due::Dial(address)),
                "the link to {address} is good and will be given up"
            );
            assert!(
                settled || set.contains(&Due::Dial(address)),
                "nothing ever comes of the dial to {address}: {dial:?}"
            );
        }
    }

    fn check_bounds(&self) {
        let limits = &self.config.limits;
        assert!(self.peers.len() <= limits.peers, "peers");
        assert!(
            self.unproved.len() <= limits.unproved_links.max(1),
            "links without HELLO"
        );
        let hints = self.dials.values().filter(|dial| !dial.persistent).count();
        assert!(hints <= limits.contacts + limits.peers, "hints");
        self.partners.check();
        self.tuples.check(limits.tuples);
        for (id, record) in self.peers.iter() {
            assert!(
                record.groups.len() <= limits.groups_per_peer,
                "groups of {id}"
            );
        }
        assert!(self.past.is_bounded(), "memory of the past");
        assert!(self.keys.is_bounded(), "memory of keys");
    }
}
