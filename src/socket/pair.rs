//! PAIR: talks to one partner (RFC 31).

use alloc::collections::VecDeque;

use super::pattern::Behaviour;
use super::peers::Peers;
use super::pipe::PipeId;
use super::{Config, RecvError, SendError, Why};
use crate::Instant;
use crate::wire::Frames;

#[derive(Debug)]
pub(super) struct Pair {
    /// Whoever was ready first.
    partner: Option<PipeId>,
}

impl Pair {
    pub(super) const fn new(_config: &Config) -> Self {
        Self { partner: None }
    }

    /// For whom messages are: the partner, or while there is none who is dialled.
    fn target(&self, peers: &Peers) -> Option<PipeId> {
        // SOCK-134
        self.partner.or_else(|| peers.dialled().next())
    }
}

impl Behaviour for Pair {
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        let target = self.target(peers).ok_or(SendError::Full)?;
        if peers.push(target, &[], message) {
            Ok(())
        } else {
            Err(SendError::Full)
        }
    }

    fn can_send(&self, peers: &Peers) -> bool {
        self.target(peers)
            .is_some_and(|target| peers.has_room(target))
    }

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

    fn can_recv(&self, peers: &Peers) -> bool {
        peers.has_next()
    }

    fn handle_ready(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId) {
        if self.partner.is_some_and(|partner| partner != pipe) {
            // SOCK-133: it may come again, when the partner is gone.
            peers.close(now, pipe, Why::PairTaken, None);
        } else {
            self.partner = Some(pipe);
        }
    }

    fn handle_gone(&mut self, _now: Instant, _peers: &mut Peers, pipe: PipeId) {
        if self.partner == Some(pipe) {
            self.partner = None;
        }
    }
}
