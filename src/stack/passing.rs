//! What comes over links, on its way from the connections to the node.

use tracing::debug;

use super::{Action, Stack};
use crate::Instant;
use crate::net::{Cut, LinkId};
#[cfg(feature = "curve")]
use crate::zmtp::Credentials;
use crate::zmtp::{self, Input};
#[cfg(feature = "curve")]
use crate::zmtp::{Denial, Verdict};

impl Stack {
    /// Hands octets to a connection. Those of a stranger go in message by message: when one of them is the HELLO that
    /// makes it a peer, what comes behind it is a peer's, with a peer's limits.
    pub(super) fn feed(&mut self, now: Instant, link: LinkId, mut octets: &[u8]) {
        while !octets.is_empty() {
            let Some(entry) = self.links.get_mut(link) else {
                return;
            };
            if entry.closing {
                return;
            }
            if entry.trusted {
                return self.hear(now, link, Input::new(octets));
            }
            if entry.paused {
                entry.backlog.extend_from_slice(octets);
                return;
            }
            let taken = entry.connection.lacking().min(octets.len());
            let (now_taken, rest) = octets.split_at_checked(taken).unwrap_or((octets, &[]));
            entry.connection.handle_input(now, now_taken);
            octets = rest;
            self.pump(now, link);
        }
    }

    /// Hands a peer's messages to the node one by one, as they are decoded. When it takes none, they wait in the connection.
    fn hear(&mut self, now: Instant, link: LinkId, mut input: Input<'_>) {
        loop {
            let speaker = self.node.speaker(link);
            let Some(entry) = self.links.get_mut(link) else {
                return;
            };
            if entry.closing {
                return;
            }
            let Some(peer) = speaker.filter(|_| !entry.has_pending()) else {
                entry.connection.handle_rest(now, input);
                break;
            };
            let mut hearing = self.node.hearing(now, peer);
            let other = loop {
                let Some(mut message) = entry.connection.next_message(now, &mut input) else {
                    return self.pump(now, link);
                };
                let Some(hearing) = &mut hearing else {
                    break Some(message);
                };
                if !hearing.take(message.head.as_slice(), &mut message.rest) {
                    break Some(message);
                }
                if !hearing.is_willing() {
                    break None;
                }
            };
            if let Some(message) = other {
                self.node
                    .handle_said(now, link, peer, message.head, message.rest);
                self.apply(now);
            }
        }
        self.pump(now, link);
    }

    /// Hands what a connection decoded to the node, as long as the node takes it.
    pub(super) fn pump(&mut self, now: Instant, link: LinkId) {
        loop {
            let willing = self.node.is_willing(link);
            let Some(entry) = self.links.get_mut(link) else {
                return;
            };
            if entry.closing {
                return;
            }
            if !willing {
                if !core::mem::replace(&mut entry.paused, true) {
                    entry.connection.pause(now);
                    self.node.handle_paused(link);
                    if !entry.gone {
                        self.actions.push_back(Action::Pause { link });
                    }
                }
                break;
            }
            match entry.connection.poll_event() {
                Some(zmtp::Event::Message(message)) => {
                    self.node.handle_message(now, link, message);
                }
                #[cfg(feature = "curve")]
                Some(zmtp::Event::Ready { identity, .. }) => {
                    if let Some(key) = entry.connection.key() {
                        let user_id = entry.connection.user_id().cloned();
                        self.node.handle_key(link, key, user_id);
                    }
                    self.node.handle_ready(now, link, identity.as_bytes());
                }
                #[cfg(not(feature = "curve"))]
                Some(zmtp::Event::Ready { identity, .. }) => {
                    self.node.handle_ready(now, link, identity.as_bytes());
                }
                #[cfg(feature = "curve")]
                Some(zmtp::Event::Authenticate(Credentials::Curve(key))) => {
                    entry.asked = true;
                    let expected = entry.relayed.as_ref().and_then(|relayed| relayed.key);
                    if expected.is_some_and(|expected| expected != key) {
                        // ONCE-128
                        debug!(%link, %key, "not the key of the one to whom the relay leads");
                        return self.decide(now, link, Verdict::Deny(Denial::Refused));
                    }
                    // ZRE-114
                    if let Some(remote) = self.node.remote_of(link) {
                        self.actions
                            .push_back(Action::Authenticate { link, key, remote });
                    }
                }
                Some(zmtp::Event::Closed(error)) => {
                    debug!(%link, %error, "closed");
                    self.node.note_failed();
                    if entry.dialled && entry.queued_octets() > 0 {
                        entry.failed = true;
                        entry.signal(link, &mut self.actions);
                        self.closing.set(link, now + self.config.limits.linger);
                        break;
                    }
                    // First what it means: that the link is closed, by us, means nothing. Who says that it wants no more, or is
                    // silent for longer than it allowed itself, breaks no rule.
                    match error {
                        zmtp::Error::Refused { .. } => {
                            self.node.handle_disconnected(now, link, Cut::Closed);
                        }
                        zmtp::Error::TimedOut(_) => {
                            self.node.handle_disconnected(now, link, Cut::Unreachable);
                        }
                        _ => self.node.handle_garbled(now, link),
                    }
                    self.begin_close(now, link);
                    return;
                }
                // No business of a ROUTER or DEALER.
                Some(_) => {}
                None => {
                    if !entry.has_pending()
                        && let Some(cut) = entry.ended.take()
                    {
                        self.drop_link(link);
                        self.node.handle_disconnected(now, link, cut);
                        return;
                    }
                    break;
                }
            }
            self.apply(now);
        }
        self.watch(link);
    }

    /// Hands on what came behind a message that was weighed until now.
    pub(super) fn feed_backlog(&mut self, now: Instant, link: LinkId) {
        let Some(entry) = self.links.get_mut(link) else {
            return;
        };
        let backlog = core::mem::take(&mut entry.backlog);
        // The end of the connection comes behind it.
        let ended = entry.ended.take();
        self.feed(now, link, &backlog);
        if let (Some(ended), Some(entry)) = (ended, self.links.get_mut(link)) {
            entry.ended = Some(ended);
            if !entry.paused {
                self.pump(now, link);
            }
        }
    }
}
