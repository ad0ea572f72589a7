//! SUB and XSUB: what publishers send that begins as was wished (RFC 29).

use alloc::collections::{BTreeMap, VecDeque};

use super::pattern::Behaviour;
use super::peers::Peers;
use super::pipe::PipeId;
use super::prefixes::{Among, Prefixes};
use super::wish::Wish;
use super::{Config, RecvError, SendError, SubscribeError};
use crate::wire::zmtp::Command;
use crate::wire::{Frames, primitive::wide};
use crate::{Bytes, Instant};

/// SUB: receives, and drops what it did not subscribe to.
#[derive(Debug)]
pub(super) struct Subscriber {
    wishes: Wishes,
}

impl Subscriber {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            wishes: Wishes::new(config),
        }
    }
}

impl Behaviour for Subscriber {
    fn recv(&mut self, now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        while let Some((_, message)) = peers.next(now) {
            // SOCK-101
            if self.wishes.wanted.matches_any(topic(&message)) {
                return Ok(Some(message));
            }
            let counters = peers.counters_mut();
            counters.messages_received -= 1;
            counters.messages_discarded += 1;
        }
        Ok(None)
    }

    fn recv_all(
        &mut self,
        now: Instant,
        peers: &mut Peers,
        octets: usize,
        messages: &mut VecDeque<Frames>,
    ) -> usize {
        let before = messages.len();
        let taken = peers.next_all(now, octets, messages);
        let wanted = &self.wishes.wanted;
        // Who wants what begins with nothing wants all of it.
        if taken == 0 || wanted.matches_any(&[]) {
            return taken;
        }
        let mut left = messages.split_off(before);
        // SOCK-101
        left.retain(|message| wanted.matches_any(topic(message)));
        let unwanted = taken - left.len();
        messages.append(&mut left);
        let counters = peers.counters_mut();
        counters.messages_received -= wide(unwanted);
        counters.messages_discarded += wide(unwanted);
        taken - unwanted
    }

    fn can_recv(&self, peers: &Peers) -> bool {
        peers.has_next()
    }

    fn handle_ready(&mut self, _now: Instant, peers: &mut Peers, pipe: PipeId) {
        self.wishes.tell_all(peers, pipe);
    }

    fn subscribe(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        prefix: Bytes,
    ) -> Result<(), SubscribeError> {
        self.wishes.subscribe(peers, &prefix)
    }

    fn unsubscribe(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        prefix: &[u8],
    ) -> Result<(), SubscribeError> {
        self.wishes.unsubscribe(peers, prefix)
    }
}

/// What a message begins with.
fn topic(message: &Frames) -> &[u8] {
    message.first().map_or(&[], |frame| frame)
}

/// XSUB: a SUB that subscribes by messages as well, sends others to all publishers, and gives the application all that comes.
#[derive(Debug)]
pub(super) struct XSubscriber {
    wishes: Wishes,
}

impl XSubscriber {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            wishes: Wishes::new(config),
        }
    }
}

impl Behaviour for XSubscriber {
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        // SOCK-105
        match Wish::of(message) {
            Some(Wish::Subscribe) => self
                .wishes
                .subscribe(peers, &Wish::prefix(message))
                .map_err(|_| SendError::Malformed),
            Some(Wish::Cancel) => {
                // What is not there cannot be taken back: a forwarder may be asked to.
                let _ = self.wishes.unsubscribe(peers, &Wish::prefix(message));
                Ok(())
            }
            Some(Wish::Malformed) => Err(SendError::Malformed),
            None => {
                // SOCK-106
                peers.publish_to_all(message);
                Ok(())
            }
        }
    }

    fn can_send(&self, _peers: &Peers) -> bool {
        true
    }

    fn recv(&mut self, now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        // SOCK-100
        Ok(peers.next(now).map(|(_, message)| message))
    }

    fn recv_all(
        &mut self,
        now: Instant,
        peers: &mut Peers,
        octets: usize,
        messages: &mut VecDeque<Frames>,
    ) -> usize {
        peers.next_all(now, octets, messages)
    }

    fn can_recv(&self, peers: &Peers) -> bool {
        peers.has_next()
    }

    fn handle_ready(&mut self, _now: Instant, peers: &mut Peers, pipe: PipeId) {
        self.wishes.tell_all(peers, pipe);
    }

    fn subscribe(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        prefix: Bytes,
    ) -> Result<(), SubscribeError> {
        self.wishes.subscribe(peers, &prefix)
    }

    fn unsubscribe(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        prefix: &[u8],
    ) -> Result<(), SubscribeError> {
        self.wishes.unsubscribe(peers, prefix)
    }
}

/// What the application wants, and what publishers are told of it.
#[derive(Debug)]
struct Wishes {
    wanted: Prefixes<()>,
    /// Publishers are told of every subscription, and not only of the first one of a prefix.
    verbose: bool,
    /// How many times publishers were told of a prefix again.
    repeated: BTreeMap<Bytes, u32>,
}

impl Wishes {
    fn new(config: &Config) -> Self {
        Self {
            wanted: Prefixes::new(),
            verbose: config.verbose,
            repeated: BTreeMap::new(),
        }
    }

    fn subscribe(&mut self, peers: &mut Peers, prefix: &Bytes) -> Result<(), SubscribeError> {
        // A publisher would have to part from who says more in a command. SOCK-102
        let overhead = Command::Subscribe(Bytes::new()).encoded_len();
        let limit = peers
            .config()
            .limits
            .command_octets
            .saturating_sub(overhead);
        let octets = prefix.len();
        if octets > limit {
            return Err(SubscribeError::TooLong { octets, limit });
        }
        match self.wanted.add((), prefix) {
            // SOCK-103
            Among::All => peers.tell_wish(|wishes| wishes.first(prefix.clone())),
            Among::Link | Among::None => {
                // SOCK-107
                if self.verbose {
                    let repeated = self.repeated.entry(prefix.clone()).or_default();
                    *repeated = repeated.saturating_add(1);
                    peers.tell_wish(|wishes| wishes.repeated(prefix.clone()));
                }
            }
        }
        Ok(())
    }

    fn unsubscribe(&mut self, peers: &mut Peers, prefix: &[u8]) -> Result<(), SubscribeError> {
        let among = self.wanted.remove((), prefix);
        if among.ok_or(SubscribeError::NotSubscribed)? == Among::All {
            let prefix = Bytes::copy_from_slice(prefix);
            // As many as they were told: one that counts has to forget all of them. SOCK-107
            let repeated = self.repeated.remove(&prefix).unwrap_or_default();
            let times = repeated.saturating_add(1);
            peers.tell_wish(|wishes| wishes.last(prefix.clone(), times));
        }
        Ok(())
    }

    /// A publisher is there, for the first time or again.
    // SOCK-104
    fn tell_all(&self, peers: &mut Peers, pipe: PipeId) {
        peers.tell_wishes(pipe, |wishes| {
            self.wanted
                .each_of((), |prefix| wishes.first(Bytes::copy_from_slice(prefix)));
        });
    }
}
