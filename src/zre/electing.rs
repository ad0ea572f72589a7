//! The elections of the groups that the node is in: who votes, what is heard and said.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::deadlines::Due;
use super::node::Node;
use super::{Election, Event, Peer, Word};
use crate::wire::Text;
use crate::wire::zre::Command;
use crate::{Instant, PeerId};

/// The octets of the longest word: the signature, a group and a UUID, each with its length.
const WORD_OCTETS: usize = 6 + 1 + 255 + 1 + 32;

/// What the node has of elections: nothing, until somebody contests.
#[derive(Debug, Default)]
pub(super) struct Elections {
    /// A peer that greeted anew: nothing is said to it before our own HELLO is.
    pub(super) greets_anew: Option<PeerId>,
    /// Groups in which the application contests, whether the node is in them or not.
    contested: BTreeSet<Text>,
    by_group: BTreeMap<Text, Numbered>,
    /// Groups by the numbers under which their timers are.
    by_number: BTreeMap<u32, Text>,
    next: u32,
}

#[derive(Debug)]
struct Numbered {
    number: u32,
    election: Election,
}

impl Elections {
    /// Who leads a group.
    pub(super) fn leader(&self, group: &[u8]) -> Option<PeerId> {
        self.by_group.get(group)?.election.leader()
    }

    /// The application is told that a member exited and entered again: whether it is to be told as well that this one leads.
    pub(super) fn is_led_anew_by(&mut self, group: &[u8], id: PeerId) -> bool {
        let found = self.by_group.get_mut(group);
        found.is_some_and(|found| found.election.is_led_anew_by(id))
    }

    /// The application is not to hear of any more.
    pub(super) fn clear(&mut self) {
        self.by_group.clear();
        self.by_number.clear();
    }
}

impl Node {
    /// Stands for leader of a group, now or when the node joins it, and whenever a leader is to be elected there, until
    /// [`withdraw`](Node::withdraw). [`Event::Leader`] says who leads; of all that stand it is the one with the lowest UUID,
    /// as a rule. Nothing happens when the node stands already.
    // ELEC-26
    pub fn contest(&mut self, now: Instant, group: &Text) {
        if !self.is_stopping() && self.elections.contested.insert(group.clone()) {
            self.contest_again(now, group);
        }
    }

    /// Does not stand for leader of a group any more. If this node leads it, it does until another is elected.
    pub fn withdraw(&mut self, now: Instant, group: &Text) {
        if self.elections.contested.remove(group) {
            self.in_election(now, group, |election| election.withdraw(now));
        }
    }

    /// Who leads a group that this node is in, as far as it knows: a peer that is here, or the node itself.
    pub fn leader(&self, group: &[u8]) -> Option<PeerId> {
        self.elections.leader(group)
    }

    /// The groups in which this node stands for leader, sorted, whether it is in them or not.
    pub fn contested(&self) -> impl Iterator<Item = &Text> {
        self.elections.contested.iter()
    }

    /// The node came into a group, or is to contest in it.
    pub(super) fn contest_again(&mut self, now: Instant, group: &Text) {
        if self.elections.contested.contains(group) && self.groups.contains(group) {
            self.require_election(now, group);
            self.in_election(now, group, |election| election.contest(now));
        }
    }

    /// The node is not in the group any more.
    pub(super) fn end_election(&mut self, group: &Text) {
        if let Some(ended) = self.elections.by_group.remove(group) {
            // ELEC-26
            self.elections.by_number.remove(&ended.number);
            self.timers.cancel(Due::Election(ended.number));
        }
    }

    /// An election for a group that the node is in, with those who vote in it by now.
    fn require_election(&mut self, now: Instant, group: &Text) {
        // ELEC-32
        if self.elections.by_group.contains_key(group) {
            return;
        }
        let Some(group) = self.groups.get(group).cloned() else {
            return;
        };
        let mut election = Election::new(self.id);
        let members = self.members.get(&group).into_iter().flatten();
        for id in members {
            if let Some(record) = self.peers.get(id)
                && record.speaks_of_elections()
            {
                election.voter_came(now, *id, !record.elects_as_we_do());
            }
        }
        let number = self.elections.next;
        self.elections.next = number.wrapping_add(1);
        self.elections.by_number.insert(number, group.clone());
        let numbered = Numbered { number, election };
        self.elections.by_group.insert(group, numbered);
    }

    /// Does something with the election of a group, if there is one, and what comes of it.
    fn in_election(&mut self, now: Instant, group: &Text, step: impl FnOnce(&mut Election)) {
        let Some(Numbered { number, election }) = self.elections.by_group.get_mut(group) else {
            return;
        };
        step(election);
        let due = Due::Election(*number);
        match election.poll_timeout() {
            Some(at) => self.timers.set(due, at),
            None => self.timers.cancel(due),
        }
        let news = election.poll_leader();
        let words: Vec<_> = core::iter::from_fn(|| election.poll_word()).collect();
        for (to, word) in words {
            self.say_word(now, group, to, word);
        }
        if let Some(leader) = news {
            let peer = self.peers.get(&leader).map(|record| record.card.clone());
            let peer = peer.unwrap_or_else(|| self.own_card());
            let group = self.groups.get(group).unwrap_or(group).clone();
            self.inbox.push(Event::Leader { group, peer });
        }
    }

    /// This node, as a peer would see it.
    fn own_card(&self) -> Arc<Peer> {
        Arc::new(Peer {
            id: self.id,
            name: self.name.clone(),
            endpoint: self.endpoints().next().unwrap_or_default(),
            headers: self.config.headers.clone(),
        })
    }

    fn say_word(&mut self, now: Instant, group: &Text, to: PeerId, word: Word) {
        let Some(address) = self.peers.get(&to).map(|record| record.address) else {
            return;
        };
        if !self.has_room(now, to, address, WORD_OCTETS) {
            // ELEC-4
            if let Some(record) = self.peers.get_mut(&to) {
                record.missed_word = true;
            }
            return;
        }
        let group = group.clone();
        // ELEC-1
        let digits = |id: PeerId| Text::try_from(id.to_string()).unwrap_or_default();
        let command = match word {
            Word::Elect(id) => Command::Elect {
                group,
                challenger_id: digits(id),
            },
            Word::Leader(id) => Command::Leader {
                group,
                leader_id: digits(id),
            },
        };
        self.say(address, command);
    }

    /// There is room again in the queue to a peer.
    pub(super) fn say_missed_words(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        if core::mem::take(&mut record.missed_word) {
            let groups = record.groups.clone();
            for group in groups {
                self.in_election(now, &group, |election| election.voter_missed(now, id));
            }
        }
    }

    /// A peer is in a group, from now on or as is known now; or it may have forgotten what was said.
    pub(super) fn voter_came(&mut self, now: Instant, id: PeerId, group: &Text) {
        if self.elections.by_group.contains_key(group)
            && self.elections.greets_anew != Some(id)
            && let Some(record) = self.peers.get(&id)
            && record.speaks_of_elections()
        {
            let hangs = !record.elects_as_we_do();
            self.in_election(now, group, |election| election.voter_came(now, id, hangs));
        }
    }

    /// We greeted a peer anew: it forgets what was said before.
    pub(super) fn renew_voter(&mut self, now: Instant, id: PeerId) {
        if self.elections.by_group.is_empty() {
            return;
        }
        let groups = self.peers.get(&id).map(|record| record.groups.clone());
        for group in groups.into_iter().flatten() {
            // ELEC-16
            self.voter_came(now, id, &group);
        }
    }

    /// A peer is not in a group any more.
    pub(super) fn voter_gone(&mut self, now: Instant, id: PeerId, group: &Text) {
        self.in_election(now, group, |election| election.voter_gone(now, id));
    }

    /// The peer sent a command that only C Zyre and its kin know.
    pub(super) fn note_election(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let before = record.speaks_of_elections();
        record.elects = true;
        if !before {
            // ELEC-2
            self.renew_voter(now, id);
        }
    }

    /// The peer says something of an election.
    pub(super) fn hear_word(
        &mut self,
        now: Instant,
        id: PeerId,
        group: &Text,
        whom: &Text,
        word: impl FnOnce(PeerId) -> Word,
    ) {
        self.note_election(now, id);
        let whom = core::str::from_utf8(whom.as_bytes());
        let Some(whom) = whom.ok().and_then(|whom| whom.parse().ok()) else {
            return;
        };
        let member = self
            .members
            .get(group)
            .is_some_and(|peers| peers.contains(&id));
        // ELEC-1
        if member && self.groups.contains(group) {
            self.require_election(now, group);
            self.in_election(now, group, |election| election.hear(now, id, word(whom)));
        }
    }

    pub(super) fn election_due(&mut self, now: Instant, number: u32) {
        if let Some(group) = self.elections.by_number.get(&number).cloned() {
            self.in_election(now, &group, |election| election.handle_timeout(now));
        }
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Node {
    /// Panics when an election is not of a group that the node is in, has others as voters than it should, or never goes on.
    pub(super) fn check_elections(&self) {
        let elections = &self.elections;
        assert_eq!(elections.by_group.len(), elections.by_number.len());
        for (group, Numbered { number, election }) in &elections.by_group {
            election.check();
            assert!(self.groups.contains(group), "{group} is not ours");
            assert_eq!(elections.by_number.get(number), Some(group));
            let contested = elections.contested.contains(group);
            assert_eq!(election.is_contesting(), contested, "{group}");
            let members = self.members.get(group).into_iter().flatten().copied();
            let speaks = |id: &PeerId| {
                let record = self.peers.get(id);
                record.is_some_and(super::record::Record::speaks_of_elections)
            };
            let voters: Vec<_> = members.filter(speaks).collect();
            assert!(election.voters().eq(voters), "voters in {group}");
            let set = self.timers.get(Due::Election(*number)).is_some();
            assert_eq!(set, election.poll_timeout().is_some(), "{group}");
        }
        for group in self.groups.intersection(&elections.contested) {
            let there = elections.by_group.contains_key(group);
            assert!(there || self.is_stopping(), "nothing is done for {group}");
        }
    }

    pub(super) fn has_election(&self, number: u32) -> bool {
        self.elections.by_number.contains_key(&number)
    }
}
