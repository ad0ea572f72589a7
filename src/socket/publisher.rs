//! PUB and XPUB: every message to those who subscribed to it (RFC 29).

use super::changes::Changes;
use super::pattern::Behaviour;
use super::peers::Peers;
use super::pipe::PipeId;
use super::prefixes::{Among, OverLimit, Prefixes};
use super::{Config, RecvError, SendError, Why};
use crate::wire::Frames;
use crate::{Bytes, Instant};

/// PUB: publishes, and receives nothing.
#[derive(Debug)]
pub(super) struct Publisher {
    wanted: Prefixes<PipeId>,
}

impl Publisher {
    pub(super) fn new(_config: &Config) -> Self {
        Self {
            wanted: Prefixes::new(),
        }
    }
}

impl Behaviour for Publisher {
    #[inline]
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        publish(&mut self.wanted, peers, message)
    }

    fn can_send(&self, peers: &Peers) -> bool {
        can_publish(&self.wanted, peers)
    }

    /// What subscribers send besides is dropped and counted.
    // SOCK-89
    fn takes_at_once(&self) -> bool {
        true
    }

    fn handle_subscribe(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId, prefix: Bytes) {
        subscribe(&mut self.wanted, now, peers, pipe, &prefix);
    }

    fn handle_cancel(&mut self, _now: Instant, peers: &mut Peers, pipe: PipeId, prefix: Bytes) {
        cancel(&mut self.wanted, peers, pipe, &prefix);
    }

    fn handle_gone(&mut self, _now: Instant, _peers: &mut Peers, pipe: PipeId) {
        // SOCK-86
        self.wanted.remove_link(pipe, |_, _, _| {});
    }
}

/// XPUB: a PUB whose application gets the subscriptions, and what else subscribers send.
#[derive(Debug)]
pub(super) struct XPublisher {
    wanted: Prefixes<PipeId>,
    /// What the application was not told yet.
    news: Changes,
    verbose: bool,
}

impl XPublisher {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            wanted: Prefixes::new(),
            news: Changes::default(),
            verbose: config.verbose,
        }
    }
}

impl Behaviour for XPublisher {
    #[inline]
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        publish(&mut self.wanted, peers, message)
    }

    fn can_send(&self, peers: &Peers) -> bool {
        can_publish(&self.wanted, peers)
    }

    fn recv(&mut self, now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        // SOCK-95
        if let Some(change) = self.news.pop() {
            return Ok(Some(change.into()));
        }
        // SOCK-99
        Ok(peers.next(now).map(|(_, message)| message))
    }

    fn can_recv(&self, peers: &Peers) -> bool {
        !self.news.is_empty() || peers.has_next()
    }

    fn handle_subscribe(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId, prefix: Bytes) {
        match subscribe(&mut self.wanted, now, peers, pipe, &prefix) {
            Some(Among::All) => self.news.first(prefix),
            // SOCK-97
            Some(Among::Link | Among::None) if self.verbose => self.news.repeated(prefix),
            Some(_) | None => {}
        }
    }

    fn handle_cancel(&mut self, _now: Instant, peers: &mut Peers, pipe: PipeId, prefix: Bytes) {
        match cancel(&mut self.wanted, peers, pipe, &prefix) {
            Some(Among::All) => self.news.last(prefix, 1),
            Some(Among::Link | Among::None) if self.verbose => self.news.fewer(prefix, 1),
            Some(_) | None => {}
        }
    }

    fn handle_gone(&mut self, _now: Instant, _peers: &mut Peers, pipe: PipeId) {
        let Self {
            wanted,
            news,
            verbose,
        } = self;
        // SOCK-98
        wanted.remove_link(pipe, |prefix, count, among| {
            if !*verbose && among != Among::All {
                return;
            }
            let prefix = Bytes::copy_from_slice(prefix);
            if among == Among::All {
                news.last(prefix, if *verbose { count } else { 1 });
                return;
            }
            news.fewer(prefix, count);
        });
    }
}

/// Sends a message to all who want it; with `no_drop`, to all or to none.
#[inline]
fn publish(
    wanted: &mut Prefixes<PipeId>,
    peers: &mut Peers,
    message: &Frames,
) -> Result<(), SendError> {
    let topic = message.first().map_or(&[][..], |frame| frame);
    if peers.config().no_drop {
        let mut has_room = true;
        wanted.matches(topic, |pipe| has_room &= peers.has_room(pipe));
        // SOCK-93
        if !has_room {
            return Err(SendError::Full);
        }
    }
    // SOCK-80, SOCK-81
    wanted.matches(topic, |pipe| peers.publish(pipe, message));
    Ok(())
}

/// Whether a message would be sent, whoever wants it.
fn can_publish(wanted: &Prefixes<PipeId>, peers: &Peers) -> bool {
    !peers.config().no_drop || wanted.links().all(|pipe| peers.has_room(pipe))
}

/// A peer subscribes; `None`: it may not, and is parted from.
fn subscribe(
    wanted: &mut Prefixes<PipeId>,
    now: Instant,
    peers: &mut Peers,
    pipe: PipeId,
    prefix: &[u8],
) -> Option<Among> {
    // SOCK-84
    match wanted.insert(pipe, prefix, peers.config().subscriptions) {
        Ok(among) => Some(among),
        Err(OverLimit) => {
            // SOCK-85
            peers.close(now, pipe, Why::OverLimit, Some("Too many subscriptions"));
            None
        }
    }
}

/// A peer takes a subscription back; `None`: it has none.
fn cancel(
    wanted: &mut Prefixes<PipeId>,
    peers: &mut Peers,
    pipe: PipeId,
    prefix: &[u8],
) -> Option<Among> {
    let among = wanted.remove(pipe, prefix);
    if among.is_none() {
        // SOCK-88
        peers.counters_mut().messages_discarded += 1;
    }
    among
}
