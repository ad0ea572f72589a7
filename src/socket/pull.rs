//! PULL: takes what its peers hand out, from each of them fairly (RFC 30).

use alloc::collections::VecDeque;

use super::pattern::Behaviour;
use super::peers::Peers;
use super::{Config, RecvError};
use crate::Instant;
use crate::wire::Frames;

#[derive(Debug)]
pub(super) struct Pull;

impl Pull {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

// SOCK-131
impl Behaviour for Pull {
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
