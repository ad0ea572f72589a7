//! Challengers that are not waited for, or not followed.

use core::time::Duration;

use smallvec::SmallVec;

use crate::{Instant, PeerId};

/// For how long a challenger is not waited for whose wave came to nothing: a minute.
const DISTRUST: Duration = Duration::from_secs(60);

/// The most of them.
const DISTRUSTED: usize = 8;

/// For how long challenges of one who is gone may still be on their way: 10 s.
const GHOST: Duration = Duration::from_secs(10);

/// The most of those who are gone.
const GHOSTS: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Challengers whose waves came to nothing, until when they are not waited for; `None`: all that are no voters.
    distrusted: SmallVec<[(Option<PeerId>, Instant); 2]>,
    /// Voters that are gone, until when what is said of them is of the past.
    ghosts: SmallVec<[(PeerId, Instant); 2]>,
}

impl Suspects {
    /// Nothing came of the wave of this challenger.
    pub(super) fn distrust(&mut self, now: Instant, suspect: Option<PeerId>) {
        self.distrusted
            .retain(|(id, until)| *id != suspect && now < *until);
        // ELEC-32
        if self.distrusted.len() == DISTRUSTED {
            self.distrusted.remove(0);
        }
        self.distrusted.push((suspect, now + DISTRUST));
    }

    pub(super) fn is_distrusted(&self, now: Instant, suspect: Option<PeerId>) -> bool {
        // ELEC-31
        let mut distrusted = self.distrusted.iter();
        distrusted.any(|(id, until)| *id == suspect && now < *until)
    }

    /// A voter is there, or there again.
    pub(super) fn came(&mut self, peer: PeerId) {
        self.ghosts.retain(|(ghost, _)| *ghost != peer);
    }

    /// A voter is gone.
    pub(super) fn gone(&mut self, now: Instant, peer: PeerId) {
        // ELEC-32
        if self.ghosts.len() == GHOSTS {
            self.ghosts.remove(0);
        }
        self.ghosts.push((peer, now + GHOST));
    }

    /// Whether a challenger that is no voter is not followed: it has just left, or nothing came of the last one of its kind.
    pub(super) fn is_ghost(&self, now: Instant, challenger: PeerId) -> bool {
        // ELEC-31
        let mut ghosts = self.ghosts.iter();
        let gone = ghosts.any(|(id, until)| *id == challenger && now < *until);
        gone || self.is_distrusted(now, None)
    }

    /// How many are distrusted.
    #[cfg(test)]
    pub(super) fn distrusted(&self) -> usize {
        self.distrusted.len()
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self) {
        assert!(self.distrusted.len() <= DISTRUSTED, "distrusted");
        assert!(self.ghosts.len() <= GHOSTS, "ghosts");
    }
}
