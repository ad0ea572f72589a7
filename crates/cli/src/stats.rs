//! Statistics of durations.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What a set of measured durations says, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The shortest.
    pub(crate) min: f64,
    /// Half of them are at most this.
    pub(crate) median: f64,
    /// Nine of ten are at most this.
    pub(crate) p90: f64,
    /// 99 of a hundred are at most this.
    pub(crate) p99: f64,
    /// The longest.
    pub(crate) max: f64,
}

impl Summary {
    /// Of these durations; `None` when there are none.
    pub(crate) fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort_unstable();
        let at = |percent| percentile(&durations, percent).map(micros);
        Some(Self {
            min: at(0)?,
            median: at(50)?,
            p90: at(90)?,
            p99: at(99)?,
            max: at(100)?,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "min {:.1} µs, median {:.1} µs, p90 {:.1} µs, p99 {:.1} µs, max {:.1} µs",
            self.min, self.median, self.p90, self.p99, self.max
        )
    }
}

/// The smallest that at least `percent` of all are not above (nearest rank): always one that was measured.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// In microseconds, to a tenth.
pub(crate) fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Summary;

    #[test]
    fn percentiles_are_durations_that_were_measured() {
        let hundred = (1..=100).rev().map(Duration::from_micros).collect();
        let summary = Summary::of(hundred).unwrap();
        assert_eq!(
            summary,
            Summary {
                min: 1.0,
                median: 50.0,
                p90: 90.0,
                p99: 99.0,
                max: 100.0
            }
        );
    }

    #[test]
    fn one_duration_is_all_of_them_and_none_is_none() {
        let one = Summary::of(vec![Duration::from_nanos(1_250)]).unwrap();
        assert_eq!(
            (one.min, one.median, one.p99, one.max),
            (1.3, 1.3, 1.3, 1.3)
        );
        assert_eq!(Summary::of(Vec::new()), None);
    }
}
