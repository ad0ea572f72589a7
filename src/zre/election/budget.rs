//! How often something is said to a whole group.

use core::time::Duration;

use crate::Instant;

/// So many times in a row: 16, for a crowd that comes all at once, of which each lower one begins a wave.
const BURST: u32 = 16;

/// And then once in this time: 500 ms.
const REFILL: Duration = Duration::from_millis(500);

/// What may still be said. It fills up with time.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    /// When the last of it came back.
    filled: Instant,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            left: BURST,
            filled: Instant::ZERO,
        }
    }

    /// Whether something may be said now: then it is taken to be said.
    // ELEC-33
    pub(super) fn take(&mut self, now: Instant) -> bool {
        while self.left < BURST && now >= self.filled + REFILL {
            self.left += 1;
            self.filled += REFILL;
        }
        if self.left == BURST {
            self.filled = now;
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }

    /// When something may be said again, if there is nothing left.
    pub(super) fn next(&self) -> Instant {
        self.filled + REFILL
    }
}
