//! Events that wait for the application.

use alloc::collections::{BTreeMap, VecDeque};

use super::{Event, Limits};
use crate::PeerId;

/// What an event costs beside its content: the queue's own memory, in octets.
const EVENT_OCTETS: usize = 128;

/// What a frame costs beside its octets.
const FRAME_OCTETS: usize = 64;

/// An empty queue keeps the memory for so many events.
const KEPT_EVENTS: usize = 1_024;

/// The events of all peers in the order in which they happened, with each peer's share counted.
///
/// A peer whose share is full is not read any more; nothing is dropped. Events about peers count as well, so that a
/// peer which joins and leaves a group a million times waits for the application like one that talks.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    events: VecDeque<Event>,
    shares: BTreeMap<PeerId, usize>,
    total: usize,
}

impl Inbox {
    pub(crate) fn push(&mut self, event: Event) {
        if let Some(id) = peer_of(&event) {
            let cost = cost(&event);
            *self.shares.entry(id).or_default() += cost;
            self.total += cost;
        }
        self.events.push_back(event);
    }

    /// Takes the next event; says whose share shrank.
    pub(crate) fn pop(&mut self) -> Option<(Event, Option<PeerId>)> {
        let event = self.events.pop_front()?;
        if self.events.is_empty() && self.events.capacity() > KEPT_EVENTS {
            // A flood is over: the memory for it is not kept for the next.
            self.events = VecDeque::new();
        }
        let id = peer_of(&event);
        if let Some(id) = id {
            let cost = cost(&event);
            self.total = self.total.saturating_sub(cost);
            if let Some(share) = self.shares.get_mut(&id) {
                *share = share.saturating_sub(cost);
                if *share == 0 {
                    self.shares.remove(&id);
                }
            }
        }
        Some((event, id))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether the peer, or all of them together, have as much waiting as they may.
    pub(crate) fn is_full(&self, id: PeerId, limits: &Limits) -> bool {
        self.share(id) >= limits.receive_octets || self.is_full_of_all(limits)
    }

    /// Whether all together have as much waiting as they may.
    pub(crate) fn is_full_of_all(&self, limits: &Limits) -> bool {
        self.total >= limits.receive_octets_total
    }

    /// Whether enough was taken for a paused peer to be read again: half, so that it does not stop and go with
    /// every message.
    pub(crate) fn has_room(&self, id: PeerId, limits: &Limits) -> bool {
        self.share(id) <= limits.receive_octets / 2 && self.total <= limits.receive_octets_total / 2
    }

    /// What waits for the application, of all peers together, in octets.
    pub(crate) const fn total(&self) -> usize {
        self.total
    }

    /// Panics when the shares are not those of the events that wait.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn check(&self) {
        let mut shares = BTreeMap::<_, usize>::new();
        for event in &self.events {
            if let Some(id) = peer_of(event) {
                *shares.entry(id).or_default() += cost(event);
            }
        }
        assert_eq!(self.shares, shares, "shares");
        assert_eq!(self.total, shares.values().sum(), "total");
    }

    /// What may wait beyond the limit: what each peer brings with one message, and what is told of it anyway, each time
    /// that our link to it was cut and made again. These are few in a time, so that this is no limit of a run that is
    /// longer than those of the fuzzer.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn slack(limits: &Limits) -> usize {
        const CUTS: usize = 400;
        let hello = limits.unproved_octets + limits.headers_per_peer * FRAME_OCTETS;
        let told = hello + (2 + limits.groups_per_peer) * EVENT_OCTETS;
        let message = limits.message_octets + limits.message_frames * FRAME_OCTETS;
        limits.peers * message + CUTS * told
    }

    fn share(&self, id: PeerId) -> usize {
        self.shares.get(&id).copied().unwrap_or_default()
    }
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
        | Event::Exit { peer, .. } => Some(peer.id),
        Event::InterfaceUp { .. } | Event::InterfaceDown { .. } | Event::Stopped => None,
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
        Event::Join { group, .. } | Event::Leave { group, .. } => group.len(),
        _ => 0,
    };
    EVENT_OCTETS + content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_for_a_flood_is_not_kept() {
        let mut inbox = Inbox::default();
        let event = Event::InterfaceDown {
            interface: "lo".into(),
            detail: "gone".into(),
        };
        for _ in 0..10 * KEPT_EVENTS {
            inbox.push(event.clone());
        }
        while inbox.pop().is_some() {}
        assert!(inbox.events.capacity() <= KEPT_EVENTS);
    }
}
