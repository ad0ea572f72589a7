//! How often something happens.

use std::collections::VecDeque;
use std::time::Duration;

/// The time over which a rate is told, in seconds: short enough to follow, long enough to be read.
const WINDOW: u64 = 5;

/// Counts in all, and those of the last seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    total: u64,
    /// Whole seconds, and how often it happened in them.
    seconds: VecDeque<(u64, u64)>,
}

impl Rate {
    /// It happened so often.
    pub(super) fn count(&mut self, now: Duration, times: u64) {
        self.total = self.total.saturating_add(times);
        let second = now.as_secs();
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count = count.saturating_add(times),
            _ => self.seconds.push_back((second, times)),
        }
        while self
            .seconds
            .front()
            .is_some_and(|(first, _)| first + WINDOW < second)
        {
            self.seconds.pop_front();
        }
    }

    /// How often it happened in all.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// How often it happened in a second, lately; `since` is when it was counted first.
    pub(super) fn per_second(&self, now: Duration, since: Duration) -> f64 {
        let second = now.as_secs();
        let lately = self.seconds.iter().filter(|(at, _)| at + WINDOW >= second);
        let count: u64 = lately.map(|(_, count)| count).sum();
        // The second that is under way counts as far as it went.
        let longest = Duration::from_secs(WINDOW) + Duration::from_nanos(now.subsec_nanos().into());
        let time = longest
            .min(now.saturating_sub(since))
            .max(Duration::from_secs(1));
        per(count, time)
    }
}

/// A count that no rate needs more exactly than a float has it.
#[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn per(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rate;

    #[test]
    fn a_rate_follows_what_happens_within_seconds() {
        let at = |millis| Duration::from_millis(millis);
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(at(10_000), at(0)), 0.0);
        // Ten in a second, for a while.
        for tenth in 0..100 {
            rate.count(at(tenth * 100), 1);
        }
        let steady = rate.per_second(at(10_000), at(0));
        assert!((9.0..=11.0).contains(&steady), "{steady}");
        // Silence is seen, and in six seconds it is all there is.
        assert!(rate.per_second(at(13_000), at(0)) < steady * 0.6);
        assert_eq!(rate.per_second(at(16_000), at(0)), 0.0);
        assert_eq!(rate.total(), 100);
    }

    #[test]
    fn who_just_came_is_counted_from_there() {
        let mut rate = Rate::default();
        let came = Duration::from_secs(100);
        rate.count(came + Duration::from_millis(1_500), 30);
        let two = came + Duration::from_secs(2);
        assert_eq!(rate.per_second(two, came), 15.0);
        // Not more than all there was, in the first moment.
        assert_eq!(
            rate.per_second(came + Duration::from_millis(1_600), came),
            30.0 / 1.6
        );
        let mut first = Rate::default();
        first.count(came, 30);
        assert_eq!(first.per_second(came, came), 30.0);
    }
}
