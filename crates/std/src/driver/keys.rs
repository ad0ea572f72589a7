//! Whose keys may come in, and which UUIDs stay with them.

use std::net::SocketAddr;

use atonce::curve::PublicKey;
use atonce::zmtp::{Denial, Verdict};
use atonce::zre::Event;
use atonce::{LinkId, PeerId};

use super::Driver;
use super::asker::Asker;

impl Driver {
    /// Answers the stack, which asks whether the owner of a key may be spoken to; later, if somebody else is to be asked.
    pub(super) fn authenticate(&mut self, link: LinkId, key: &PublicKey, remote: SocketAddr) {
        if let Some(asker) = &mut self.asker {
            asker.ask(link, *key, remote);
            return;
        }
        let Some(trust) = &mut self.trust else {
            return; // only a secure node asks, and that has one
        };
        let verdict = match trust.allows(key) {
            Ok(true) => Verdict::Allow,
            Ok(false) => {
                tracing::debug!(%key, %remote, "not trusted");
                Verdict::Deny(Denial::Refused)
            }
            Err(error) => {
                tracing::error!(%error, "nobody new is let in");
                // It may come again when this is mended.
                Verdict::Deny(Denial::Temporary)
            }
        };
        let now = self.clock.recent();
        if let Some((bindings, bridges)) = trust.take_changes() {
            self.stack.set_bindings(now, bindings, bridges);
        }
        self.stack.handle_verdict(now, link, verdict);
    }

    /// Hands on what somebody else decided meanwhile.
    pub(super) fn take_verdicts(&mut self) {
        while let Some(answer) = self.asker.as_mut().and_then(Asker::answer) {
            let now = self.clock.now();
            self.stack.handle_verdict(now, answer.link, answer.verdict);
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
                && let Some(key) = self.stack.peer(peer.id).and_then(|peer| peer.key)
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
                self.stack.bind(id, key);
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "what was met is not remembered"),
        }
    }
}
