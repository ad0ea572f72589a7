//! How much may be said.

use core::time::Duration;

use crate::Instant;

/// Credit that grows with time: so many in a second, and so many at once after a pause.
#[derive(Debug)]
pub(super) struct Credit {
    /// What one costs.
    each: Duration,
    most: Duration,
    /// What there was at that time.
    left: Duration,
    at: Instant,
}

impl Credit {
    /// Full. A rate of 0 counts as 1.
    pub(super) fn new(now: Instant, rate: u32, burst: u32) -> Self {
        let each = Duration::from_secs(1) / rate.max(1);
        let most = each.saturating_mul(burst.max(1));
        Self {
            each,
            most,
            left: most,
            at: now,
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let since = now - self.at;
        self.left = self.left.saturating_add(since).min(self.most);
        self.at = now.max(self.at);
        match self.left.checked_sub(self.each) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// When there will be one; that time may be past.
    pub(super) fn next(&self) -> Instant {
        self.at + self.each.saturating_sub(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_as_many_as_time_gives() {
        let at = Instant::from_millis;
        let mut credit = Credit::new(at(0), 10, 3);
        assert!(
            [0, 0, 0]
                .map(|now| credit.take(at(now)))
                .iter()
                .all(|it| *it)
        );
        assert!(!credit.take(at(0)));
        assert_eq!(credit.next(), at(100));
        assert!(!credit.take(at(99)));
        assert!(credit.take(at(100)));
        // A pause gives no more than a burst.
        let taken = (0..10).filter(|_| credit.take(at(60_000))).count();
        assert_eq!(taken, 3);
        // Time that runs backwards gives nothing.
        assert!(!credit.take(at(0)));
        assert_eq!(credit.next(), at(60_100));
    }
}
