//! Events that wait for the application.

#[cfg(any(test, feature = "fuzz"))]
use alloc::collections::BTreeMap;
use alloc::collections::VecDeque;

use hashbrown::HashMap;

use super::{Event, Limits};
use crate::PeerId;
use crate::table::Secret;

/// What an event costs beside its content: the queue's own memory, in octets.
const EVENT_OCTETS: usize = 128;

/// What a frame costs beside its octets.
const FRAME_OCTETS: usize = 64;

/// The most copies of events that wait for whoever follows what happens. He takes them after each call, so that they are few.
const COPIES: usize = 4_096;

/// An empty queue keeps the memory for so many events.
const KEPT_EVENTS: usize = 1_024;

/// The events of all peers in the order in which they happened, with each peer's share counted.
///
/// A peer whose share is full is not read any more; nothing is dropped. Events about peers count as well, so that a
/// peer which joins and leaves a group a million times waits for the application like one that talks. What happens to a
/// peer without a word of it, its changes, has a limit of its own (ZRE-85).
#[derive(Debug)]
pub(crate) struct Inbox {
    events: VecDeque<Event>,
    /// Of those of whom anything waits, but for the recent one. In no order: nothing is ever done in the order that it has.
    shares: HashMap<PeerId, Share, Secret>,
    /// The peer whose share changed last, and it: one that talks is mostly followed by itself.
    recent: (PeerId, Share),
    total: usize,
    /// How many are about somebody who is no peer.
    strangers: usize,
    /// How many were taken at once, at the most, in the last some times.
    lately: usize,
    /// Copies for somebody beside the application who follows what happens; `None` when nobody does.
    copies: Option<VecDeque<Event>>,
}

/// What waits of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    octets: usize,
    /// How many of its events are changes.
    changes: usize,
}

impl Share {
    const NONE: Self = Self {
        octets: 0,
        changes: 0,
    };
}

/// An event that the application takes.
pub(crate) struct Taken {
    pub(crate) event: Event,
    /// Whose share shrank.
    pub(crate) peer: Option<PeerId>,
    /// Right now half of what may wait of all together was taken.
    pub(crate) halved: bool,
}

impl Inbox {
    pub(crate) const fn new(secret: Secret) -> Self {
        Self {
            events: VecDeque::new(),
            shares: HashMap::with_hasher(secret),
            recent: (PeerId::from_bytes([0; 16]), Share::NONE),
            total: 0,
            strangers: 0,
            lately: 0,
            copies: None,
        }
    }

    /// From now on there is a copy of what happens.
    pub(crate) fn copy_events(&mut self) {
        self.copies.get_or_insert_default();
    }

    /// The next copy.
    pub(crate) fn pop_copy(&mut self) -> Option<Event> {
        self.copies.as_mut()?.pop_front()
    }

    /// Whether there is a copy to take.
    pub(crate) fn has_copy(&self) -> bool {
        self.copies
            .as_ref()
            .is_some_and(|copies| !copies.is_empty())
    }

    pub(crate) fn push(&mut self, event: Event) {
        if let Some(copies) = &mut self.copies
            && !is_content(&event)
        {
            // Whoever does not take them misses the oldest.
            if copies.len() >= COPIES {
                copies.pop_front();
            }
            copies.push_back(event.clone());
        }
        if let Some(id) = peer_of(&event) {
            let cost = cost(&event);
            let share = self.share_mut(id);
            share.octets += cost;
            share.changes += usize::from(is_change(&event));
            self.total += cost;
        }
        self.strangers += usize::from(is_stranger(&event));
        self.events.push_back(event);
    }

    /// Takes the next event.
    pub(crate) fn pop(&mut self, limits: &Limits) -> Option<Taken> {
        let event = self.events.pop_front()?;
        if self.events.is_empty() {
            if self.events.capacity() > KEPT_EVENTS {
                // A flood is over: the memory for it is not kept for the next.
                self.events = VecDeque::new();
                self.shares.shrink_to(64);
            }
            // The next event comes where this one was, which is in the cache, and not all around the ring.
            self.events.clear();
        }
        let peer = peer_of(&event);
        self.strangers -= usize::from(is_stranger(&event));
        let half = limits.receive_octets_total / 2;
        let above = self.total > half;
        if let Some(id) = peer {
            let cost = cost(&event);
            self.total = self.total.saturating_sub(cost);
            let share = self.share_mut(id);
            share.octets = share.octets.saturating_sub(cost);
            let change = usize::from(is_change(&event));
            share.changes = share.changes.saturating_sub(change);
        }
        let halved = above && self.total <= half;
        Some(Taken {
            event,
            peer,
            halved,
        })
    }

    /// Takes all events: what they are put into, which is empty, is kept for those that come.
    pub(crate) fn take_all(&mut self, events: &mut VecDeque<Event>) {
        core::mem::swap(&mut self.events, events);
        self.lately = events.len().max(self.lately - self.lately / 16);
        if self.events.capacity() > KEPT_EVENTS.max(8 * self.lately) {
            // A flood is over, as below.
            self.events = VecDeque::new();
        }
        if !self.shares.is_empty() {
            self.shares.clear();
            self.shares.shrink_to(64);
        }
        self.recent.1 = Share::NONE;
        self.total = 0;
        self.strangers = 0;
    }

    /// How many events about somebody who is no peer wait.
    #[cfg(feature = "curve")]
    pub(crate) const fn strangers(&self) -> usize {
        self.strangers
    }

    /// How many events wait.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether the peer, or all of them together, have as much waiting as they may.
    #[inline]
    pub(crate) fn is_full(&self, id: PeerId, limits: &Limits) -> bool {
        // No share can be full when all together are less: asked before each message, this is the answer nearly always.
        let least = limits.receive_octets.min(limits.receive_octets_total);
        if self.total < least && self.events.len() < limits.changes_per_peer {
            return false;
        }
        let share = self.share(id);
        share.octets >= limits.receive_octets
            || share.changes >= limits.changes_per_peer
            || self.total >= limits.receive_octets_total
    }

    /// Whether enough was taken for a paused peer to be read again: half, so that it does not stop and go with
    /// every message.
    pub(crate) fn has_room(&self, id: PeerId, limits: &Limits) -> bool {
        let share = self.share(id);
        share.octets <= limits.receive_octets / 2
            && share.changes <= limits.changes_per_peer / 2
            && self.total <= limits.receive_octets_total / 2
    }

    /// What waits for the application, of all peers together, in octets.
    pub(crate) const fn total(&self) -> usize {
        self.total
    }

    /// Panics when the shares are not those of the events that wait, or more waits than may.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn check(&self, limits: &Limits) {
        let strangers = self.events.iter().filter(|event| is_stranger(event));
        assert_eq!(self.strangers, strangers.count(), "strangers");
        let mut shares = BTreeMap::<_, Share>::new();
        for event in &self.events {
            if let Some(id) = peer_of(event) {
                let share = shares.entry(id).or_default();
                share.octets += cost(event);
                share.changes += usize::from(is_change(event));
            }
        }
        let (recent, share) = self.recent;
        assert!(!self.shares.contains_key(&recent), "{recent} twice");
        let mut counted: BTreeMap<_, _> = self
            .shares
            .iter()
            .map(|(id, share)| (*id, *share))
            .collect();
        if share != Share::NONE {
            counted.insert(recent, share);
        }
        assert_eq!(counted, shares, "shares");
        let total = shares.values().map(|share| share.octets).sum::<usize>();
        assert_eq!(self.total, total, "total");
        for (id, share) in &shares {
            assert!(
                share.changes < limits.changes_per_peer.max(1) + BEYOND,
                "{} changes of {id} wait",
                share.changes
            );
        }
        let (limit, slack) = (limits.receive_octets_total, Self::slack(limits));
        assert!(total <= limit + slack, "{total} octets of events wait");
    }

    /// What may wait beyond the limit: what came last before it was reached, and, of each peer that is here, its EXIT and
    /// one message that was held until it was settled who speaks.
    #[cfg(any(test, feature = "fuzz"))]
    fn slack(limits: &Limits) -> usize {
        // A link that is not a peer's yet brings no more than this at once, in frames or as a HELLO.
        let hello = limits.unproved_octets + limits.headers_per_peer * FRAME_OCTETS;
        let groups = 2 * limits.groups_per_peer * (EVENT_OCTETS + usize::from(u8::MAX));
        let held = hello + groups + limits.message_frames * FRAME_OCTETS;
        let message = limits.message_octets + limits.message_frames * FRAME_OCTETS;
        let told = BEYOND * EVENT_OCTETS;
        message + held + limits.peers * (held + told)
    }

    fn share(&self, id: PeerId) -> Share {
        let (recent, share) = self.recent;
        if recent == id {
            return share;
        }
        self.shares.get(&id).copied().unwrap_or(Share::NONE)
    }

    #[inline]
    fn share_mut(&mut self, id: PeerId) -> &mut Share {
        let (recent, share) = self.recent;
        if recent != id {
            if share != Share::NONE {
                self.shares.insert(recent, share);
            }
            self.recent = (id, self.shares.remove(&id).unwrap_or(Share::NONE));
        }
        &mut self.recent.1
    }
}

/// Changes of a peer that may wait beyond the limit: one below it, a cut is told as an EXIT and an ENTER and what the peer
/// is now in two more, and its own EXIT is told whatever waits.
#[cfg(any(test, feature = "fuzz"))]
const BEYOND: usize = 5;

/// Whether this is told of a peer though it said nothing.
const fn is_change(event: &Event) -> bool {
    matches!(
        event,
        Event::Enter { .. }
            | Event::Evasive { .. }
            | Event::Silent { .. }
            | Event::Recovered { .. }
            | Event::Exit { .. }
    )
}

/// Whether a peer said this to the application.
const fn is_content(event: &Event) -> bool {
    matches!(event, Event::Whisper { .. } | Event::Shout { .. })
}

/// Whether this is about somebody who is no peer.
#[cfg(feature = "curve")]
const fn is_stranger(event: &Event) -> bool {
    matches!(event, Event::Impostor { .. })
}

#[cfg(not(feature = "curve"))]
const fn is_stranger(_event: &Event) -> bool {
    false
}

fn peer_of(event: &Event) -> Option<PeerId> {
    match event {
        Event::Enter { peer }
        | Event::Evasive { peer }
        | Event::Silent { peer }
        | Event::Recovered { peer }
        | Event::Join { peer, .. }
        | Event::Leave { peer, .. }
        | Event::Whisper { peer, .. }
        | Event::Shout { peer, .. }
        // It may be the node itself, which has a share like a peer's then.
        | Event::Leader { peer, .. }
        | Event::Exit { peer, .. } => Some(peer.id),
        Event::InterfaceUp { .. } | Event::InterfaceDown { .. } | Event::Stopped => None,
        // It is no peer, and how many of these may wait is limited where they are made.
        #[cfg(feature = "curve")]
        Event::Impostor { .. } => None,
    }
}

fn cost(event: &Event) -> usize {
    let content = match event {
        Event::Whisper { content, .. } | Event::Shout { content, .. } => {
            content.octets() + content.len() * FRAME_OCTETS
        }
        // The card stays in memory as long as the last event that has it.
        Event::Enter { peer } => {
            let headers = peer.headers.iter();
            let headers = headers.map(|(name, value)| name.len() + value.len() + FRAME_OCTETS);
            peer.name.len() + peer.endpoint.len() + headers.sum::<usize>()
        }
        Event::Join { group, .. } | Event::Leave { group, .. } | Event::Leader { group, .. } => {
            group.len()
        }
        _ => 0,
    };
    EVENT_OCTETS + content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_for_a_flood_is_not_kept() {
        let mut inbox = Inbox::new(crate::table::no_secret());
        let event = Event::InterfaceDown {
            interface: "lo".into(),
            detail: "gone".into(),
        };
        for _ in 0..10 * KEPT_EVENTS {
            inbox.push(event.clone());
        }
        while inbox.pop(&Limits::default()).is_some() {}
        assert!(inbox.events.capacity() <= KEPT_EVENTS);
    }

    #[test]
    fn who_follows_gets_a_copy_of_what_happened_since_and_of_a_flood_the_last() {
        let mut inbox = Inbox::new(crate::table::no_secret());
        let down = |detail: usize| Event::InterfaceDown {
            interface: "lo".into(),
            detail: alloc::format!("{detail}"),
        };
        inbox.push(down(0));
        assert!(!inbox.has_copy());
        inbox.copy_events();
        inbox.push(down(1));
        assert!(inbox.has_copy());
        assert_eq!(inbox.pop_copy(), Some(down(1)));
        assert_eq!(inbox.pop_copy(), None);
        for number in 0..=COPIES {
            inbox.push(down(number));
        }
        assert_eq!(inbox.pop_copy(), Some(down(1)));
        assert_eq!(inbox.len(), COPIES + 3);
    }
}
