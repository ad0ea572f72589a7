//! The wave that runs in a group.

use crate::{Instant, PeerId};

/// A challenge on its way through the group.
#[derive(Debug)]
pub(super) struct Wave {
    /// Who wants to lead.
    pub(super) challenger: PeerId,
    /// Who brought it, if it is a voter: it is answered last.
    pub(super) from: Option<PeerId>,
    /// When it was heard of first.
    pub(super) since: Instant,
    /// When it was said to the voters.
    pub(super) said: Option<Instant>,
    /// Whoever brought it has its answer.
    answered: bool,
    /// Somebody said that the challenger leads.
    pub(super) led: bool,
}

impl Wave {
    pub(super) const fn new(now: Instant, challenger: PeerId, from: Option<PeerId>) -> Self {
        Self {
            challenger,
            from,
            since: now,
            said: None,
            answered: false,
            led: false,
        }
    }

    pub(super) const fn was_said(&self) -> bool {
        self.said.is_some()
    }

    pub(super) const fn owes_answer(&self) -> bool {
        self.from.is_some() && !self.answered
    }

    /// Who is to be answered now, and is not again.
    pub(super) const fn take_answer(&mut self) -> Option<PeerId> {
        if self.answered {
            return None;
        }
        self.answered = true;
        self.from
    }

    /// A voter is gone.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.from = self.from.filter(|from| *from != peer);
    }
}
