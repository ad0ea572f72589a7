//! DEALER: sends to its peers in turn, and takes from each of them fairly (RFC 28).

use alloc::collections::VecDeque;

use super::pattern::Behaviour;
use super::peers::Peers;
use super::{Config, RecvError, SendError};
use crate::Instant;
use crate::wire::Frames;

#[derive(Debug)]
pub(super) struct Dealer;

impl Dealer {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

// SOCK-132
impl Behaviour for Dealer {
    #[inline]
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        peers.balance(&[], message).map(drop).ok_or(SendError::Full)
    }

    #[inline]
    fn can_send(&self, peers: &Peers) -> bool {
        peers.can_balance()
    }

    #[inline]
    fn recv(&mut self, now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
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

    #[inline]
    fn can_recv(&self, peers: &Peers) -> bool {
        peers.has_next()
    }
}
