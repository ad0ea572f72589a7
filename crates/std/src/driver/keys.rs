//! Whose keys may come in, and which UUIDs stay with them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::zmtp::{Credentials, Denial, Verdict};
use atonce::zre::Event;
use atonce::{Instant, LinkId, PeerId};

use super::Driver;
use super::asker::Asker;

/// After how long a key that is not trusted is told of again, while it still comes.
const AGAIN: Duration = Duration::from_secs(60);

/// The most keys that are told of within that time: keys cost nothing to make.
const STRANGERS: usize = 16;

/// Keys that came and are not trusted, for whoever runs the node to be told.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// When each was told of.
    noted: BTreeMap<PublicKey, Instant>,
    waiting: VecDeque<(PublicKey, SocketAddr)>,
}

impl Strangers {
    fn note(&mut self, now: Instant, key: PublicKey, remote: SocketAddr) {
        self.noted.retain(|_, noted| now < *noted + AGAIN);
        // In a node that nobody asks for them the first ones stay.
        let full = self.noted.len() >= STRANGERS || self.waiting.len() >= STRANGERS;
        if full || self.noted.contains_key(&key) {
            return;
        }
        self.noted.insert(key, now);
        self.waiting.push_back((key, remote));
    }
}

impl Driver {
    /// Answers the stack, which asks whether the owner of a key may be spoken to; later, if somebody else is to be asked.
    pub(super) fn authenticate(&mut self, link: LinkId, key: &PublicKey, remote: SocketAddr) {
        if let Some(asker) = &mut self.asker {
            asker.ask(link, Credentials::Curve(*key), remote);
            return;
        }
        let Some(trust) = &mut self.trust else {
            return; // only a secure node asks, and that has one
        };
        let now = self.links.clock.recent();
        let verdict = match trust.allows(key) {
            Ok(true) => Verdict::Allow,
            Ok(false) => {
                tracing::debug!(%key, %remote, "not trusted");
                self.strangers.note(now, *key, remote);
                Verdict::Deny(Denial::Refused)
            }
            Err(error) => {
                tracing::error!(%error, "nobody new is let in");
                // It may come again when this is mended.
                Verdict::Deny(Denial::Temporary)
            }
        };
        if let Some((bindings, bridges)) = trust.take_changes() {
            self.links.machine.set_bindings(now, bindings, bridges);
        }
        self.links.machine.handle_verdict(now, link, verdict);
    }

    /// The next key that came and is not in the list of those that are trusted, and from where. Each comes once a minute at the
    /// most, and not more than [`STRANGERS`] in that time; whom an application or a ZAP handler refused is a matter of theirs.
    pub(crate) fn poll_stranger(&mut self) -> Option<(PublicKey, SocketAddr)> {
        self.strangers.waiting.pop_front()
    }

    /// Hands on what somebody else decided meanwhile.
    pub(super) fn take_verdicts(&mut self) {
        while let Some(answer) = self.asker.as_mut().and_then(Asker::answer) {
            let now = self.links.clock.now();
            self.links
                .machine
                .handle_verdict(now, answer.link, answer.verdict);
        }
    }

    /// Has the keys remembered of those who entered, where that was asked for.
    pub(super) fn note_entered<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        if self.trust.is_none() {
            return;
        }
        for event in events {
            // One that left meanwhile is met the next time.
            if let Event::Enter { peer } = event
                && let Some(key) = self.links.machine.peer(peer.id).and_then(|peer| peer.key)
            {
                self.remember(peer.id, key);
            }
        }
    }

    fn remember(&mut self, id: PeerId, key: PublicKey) {
        let Some(trust) = &mut self.trust else {
            return;
        };
        match trust.met(id, &key) {
            Ok(true) => {
                tracing::info!(%id, %key, "met for the first time");
                self.links.machine.bind(id, key);
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "what was met is not remembered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(octet: u8) -> PublicKey {
        PublicKey::from_bytes([octet; 32])
    }

    #[test]
    fn a_stranger_is_told_of_once_a_minute_and_not_too_many() {
        let at = SocketAddr::from(([10, 0, 0, 7], 49_152));
        let mut strangers = Strangers::default();
        let mut now = Instant::ZERO;
        for _ in 0..3 {
            strangers.note(now, key(1), at);
        }
        assert_eq!(strangers.waiting.pop_front(), Some((key(1), at)));
        assert_eq!(strangers.waiting.pop_front(), None);
        now += AGAIN - Duration::from_millis(1);
        strangers.note(now, key(1), at);
        assert!(strangers.waiting.is_empty());
        now += Duration::from_millis(1);
        strangers.note(now, key(1), at);
        assert_eq!(strangers.waiting.len(), 1);

        // Who makes a key for each try fills nothing, whether anybody asks or not.
        for octet in 0..=255 {
            strangers.note(now, key(octet), at);
            strangers.waiting.pop_front();
        }
        assert_eq!(strangers.noted.len(), STRANGERS);
        for minute in 1..100 {
            for octet in 0..=255 {
                strangers.note(now + AGAIN * minute, key(octet), at);
            }
        }
        assert_eq!(strangers.waiting.len(), STRANGERS);
    }
}
