//! How often somebody is answered.

use core::time::Duration;

use crate::Instant;

/// At once.
const MOST: u32 = 10;
/// For one more.
const EACH: Duration = Duration::from_secs(1);

/// Answers that a peer may still have: ten at once, and one more each second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: u32,
    /// Since when the next one grows.
    since: Instant,
}

impl Allowance {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            since: now,
        }
    }

    /// Whether one may be had; it is taken.
    // ONCE-67
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let grown = (now - self.since).as_secs() / EACH.as_secs();
        let left = u64::from(self.left).saturating_add(grown);
        if left >= u64::from(MOST) {
            self.left = MOST;
            self.since = now;
        } else if grown > 0 {
            self.left = u32::try_from(left).unwrap_or(MOST);
            self.since += Duration::from_secs(grown);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
