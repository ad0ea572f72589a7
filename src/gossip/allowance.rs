//! How much a neighbour may still do.

use crate::Instant;

/// So many at once are allowed as in this many seconds.
const SECONDS_AT_ONCE: u64 = 8;
/// Parts of one, so that a second that is looked at in small pieces is a second.
const PARTS: u64 = 1_000_000;

/// What is left, and grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// In parts.
    left: u64,
    since: Instant,
    in_a_second: u32,
}

impl Allowance {
    pub(super) fn new(now: Instant, in_a_second: u32) -> Self {
        Self {
            left: most(in_a_second),
            since: now,
            in_a_second,
        }
    }

    /// Whether `cost` may be had; it is taken.
    // GOS-71
    pub(super) fn take(&mut self, now: Instant, cost: u32) -> bool {
        let passed = u64::try_from((now - self.since).as_micros()).unwrap_or(u64::MAX);
        let grown = passed.saturating_mul(self.in_a_second.into());
        self.since = now;
        self.left = self.left.saturating_add(grown).min(most(self.in_a_second));
        match self.left.checked_sub(u64::from(cost).saturating_mul(PARTS)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// All of it again.
    pub(super) fn renew(&mut self, now: Instant) {
        *self = Self::new(now, self.in_a_second);
    }
}

fn most(in_a_second: u32) -> u64 {
    u64::from(in_a_second).saturating_mul(SECONDS_AT_ONCE * PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_time_and_not_beyond() {
        // GOS-71
        let mut allowance = Allowance::new(Instant::ZERO, 10);
        let taken = (0..200)
            .filter(|_| allowance.take(Instant::ZERO, 1))
            .count();
        assert_eq!(taken, 80);
        // Looked at each millisecond, a second is worth ten.
        let each = (1..=1_000).map(Instant::from_millis);
        assert_eq!(each.filter(|now| allowance.take(*now, 1)).count(), 10);
        let later = Instant::from_millis(1_000_000);
        assert!(!allowance.take(later, 81) && allowance.take(later, 80));
    }
}
