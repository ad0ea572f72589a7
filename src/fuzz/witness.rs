//! What an application is told, held against what it may be told and against what the queries say.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::wire::Text;
use crate::{Event, PeerId, Presence, Stack};

/// Takes the events of one node. Panics when one of them cannot follow those before it.
#[derive(Debug, Default)]
pub(super) struct Witness {
    here: BTreeMap<PeerId, Seen>,
    /// Who was said to lead last.
    leaders: BTreeMap<Text, PeerId>,
    told: bool,
}

#[derive(Debug)]
struct Seen {
    groups: BTreeSet<Text>,
    presence: Presence,
}

impl Witness {
    /// ENTER comes before everything else of a peer, then exactly one EXIT; each group is joined before it is left; what
    /// is told of a peer's silence alternates as it should; nothing comes after the last event.
    pub(super) fn event(&mut self, event: &Event) {
        assert!(!self.told, "{event:?} after the last event");
        match event {
            Event::Enter { peer } => {
                let seen = Seen {
                    groups: BTreeSet::new(),
                    presence: Presence::Ready,
                };
                let before = self.here.insert(peer.id, seen);
                assert!(before.is_none(), "{} enters twice", peer.id);
            }
            Event::Exit { peer, reason } => {
                let word = reason.as_str();
                assert!(reason.to_string().starts_with(word), "{reason} is {word}");
                let before = self.here.remove(&peer.id);
                assert!(before.is_some(), "{} exits twice", peer.id);
            }
            Event::Evasive { peer } => self.turn(peer.id, Presence::Ready, Presence::Evasive),
            Event::Silent { peer } => self.turn(peer.id, Presence::Evasive, Presence::Silent),
            Event::Recovered { peer } => {
                let seen = self.seen(peer.id);
                assert_ne!(seen.presence, Presence::Ready, "{} recovers", peer.id);
                seen.presence = Presence::Ready;
            }
            Event::Join { peer, group } => {
                let new = self.seen(peer.id).groups.insert(group.clone());
                assert!(new, "{} joins {group} twice", peer.id);
            }
            Event::Leave { peer, group } => {
                let was = self.seen(peer.id).groups.remove(group);
                assert!(was, "{} leaves {group} twice", peer.id);
            }
            Event::Whisper { peer, .. } | Event::Shout { peer, .. } => {
                self.seen(peer.id);
            }
            Event::Leader { group, peer } => {
                if let Some(seen) = self.here.get(&peer.id) {
                    let member = seen.groups.contains(group);
                    assert!(member, "{} leads {group} and is not in it", peer.id);
                }
                self.leaders.insert(group.clone(), peer.id);
            }
            Event::InterfaceUp { .. } | Event::InterfaceDown { .. } => {}
            Event::Stopped => self.told = true,
            #[cfg(feature = "curve")]
            Event::Impostor { .. } => {}
        }
    }

    fn seen(&mut self, id: PeerId) -> &mut Seen {
        let Some(seen) = self.here.get_mut(&id) else {
            panic!("an event of {id}, who is not here");
        };
        seen
    }

    fn turn(&mut self, id: PeerId, from: Presence, to: Presence) {
        let seen = self.seen(id);
        assert_eq!(seen.presence, from, "{id} becomes {to:?}");
        seen.presence = to;
    }

    /// Whether what the events said is what the queries say, once all events are taken.
    pub(super) fn compare(&self, stack: &Stack) {
        assert!(!stack.has_event());
        let ids: Vec<PeerId> = stack.peers().map(|view| view.peer.id).collect();
        let here: Vec<PeerId> = self.here.keys().copied().collect();
        assert_eq!(ids, here, "who is here");
        assert_eq!(stack.usage().peers, here.len());
        let endpoints: Vec<Text> = stack.endpoints().collect();
        for group in stack.groups() {
            if let Some(leader) = stack.leader(group.as_bytes()) {
                let here = leader == stack.id() || self.here.contains_key(&leader);
                assert!(here, "{leader} leads {group} and is not here");
                assert_eq!(self.leaders.get(group), Some(&leader), "{group}");
            }
        }
        for view in stack.peers() {
            let seen = self.here.get(&view.peer.id);
            let groups = seen.map(|seen| &seen.groups);
            assert_eq!(groups, Some(view.groups), "groups of {}", view.peer.id);
            let presence = seen.map(|seen| seen.presence);
            assert_eq!(presence, Some(view.presence), "{}", view.peer.id);
            if let Some(told) = stack.told_endpoint(view.peer.id) {
                assert!(endpoints.contains(&told), "{told} is not ours");
            }
            let word = view.presence.as_str();
            assert!(format!("{:?}", view.presence).eq_ignore_ascii_case(word));
            let alone = stack.peer(view.peer.id);
            assert!(alone.is_some_and(|alone| alone.groups == view.groups));
            let name = view.peer.name.to_str_lossy();
            let named = stack
                .peers_by_name(&name)
                .any(|other| other.peer.id == view.peer.id);
            assert!(named || view.peer.name != *name, "{name} is not found");
            for group in view.groups {
                let mut members = stack.peers_in(group.as_bytes());
                assert!(members.any(|member| member.peer.id == view.peer.id));
            }
            if let Some((header, value)) = view.peer.headers.iter().next()
                && let (Ok(header), Ok(value)) = (
                    core::str::from_utf8(header.as_bytes()),
                    core::str::from_utf8(value.as_bytes()),
                )
            {
                let mut alike = stack.peers_by_header(header, value);
                assert!(alike.any(|other| other.peer.id == view.peer.id));
            }
        }
    }

    /// Whether what was counted is what was told.
    pub(super) fn count(&self, stack: &Stack) {
        let counters = stack.counters();
        assert_eq!(
            counters.enters - counters.exits,
            self.here.len() as u64,
            "{counters:?}"
        );
    }

    /// Whether the last event came.
    pub(super) const fn is_told(&self) -> bool {
        self.told
    }

    /// Panics unless all who came are gone again.
    pub(super) fn check_nobody_is_here(&self) {
        assert!(self.here.is_empty(), "{:?}", self.here);
    }
}
