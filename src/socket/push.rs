//! PUSH: hands its messages out to its peers in turn (RFC 30).

use super::pattern::Behaviour;
use super::peers::Peers;
use super::{Config, SendError};
use crate::Instant;
use crate::wire::Frames;

#[derive(Debug)]
pub(super) struct Push;

impl Push {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for Push {
    #[inline]
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        // SOCK-15
        peers.balance(&[], message).map(drop).ok_or(SendError::Full)
    }

    #[inline]
    fn can_send(&self, peers: &Peers) -> bool {
        peers.can_balance()
    }

    // SOCK-130
    /// A PULL has nothing to say: what it says is dropped when it comes, and counted.
    fn takes_at_once(&self) -> bool {
        true
    }
}
