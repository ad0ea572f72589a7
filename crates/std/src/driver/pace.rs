//! When what an application sends is written at once, and when it waits for more.

use std::time::Duration;

use atonce::Instant;

/// A message that stands alone is written by the call that sends it: that is the shortest way. In a stream of small
/// messages a system call for each would cost most of the time, so that after [`Pace::ALONE`] messages within
/// [`Pace::WINDOW`] the following ones are written [`Pace::TOGETHER`] at a time, by the call that makes them so many. The last
/// ones of a stream are written by a turn, so that they never wait for a message that does not come.
#[derive(Debug, Default)]
pub(super) struct Pace {
    window: Instant,
    in_window: u32,
    waiting: u32,
    waiting_octets: usize,
}

impl Pace {
    const WINDOW: Duration = Duration::from_millis(1);
    const ALONE: u32 = 16;
    const TOGETHER: u32 = 64;
    /// From this size on a system call is small beside the copying.
    const TOGETHER_OCTETS: usize = 64 * 1024;

    /// Whether what there is to send is to be sent now. `octets`: the message that was just added.
    pub(super) fn is_due(&mut self, now: Instant, octets: usize) -> bool {
        if now - self.window > Self::WINDOW {
            self.window = now;
            self.in_window = 0;
        }
        self.in_window = self.in_window.saturating_add(1);
        self.waiting += 1;
        self.waiting_octets = self.waiting_octets.saturating_add(octets);
        let due = self.in_window <= Self::ALONE
            || self.waiting >= Self::TOGETHER
            || self.waiting_octets >= Self::TOGETHER_OCTETS;
        if due {
            self.waiting = 0;
            self.waiting_octets = 0;
        }
        due
    }

    /// Whether messages come so fast that they are written together.
    pub(super) fn is_streaming(&self, now: Instant) -> bool {
        self.in_window > Self::ALONE && now - self.window <= Self::WINDOW
    }

    /// Something was received: what is sent now may be the answer to it, and is no part of a stream.
    pub(super) fn rest(&mut self) {
        self.in_window = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_messages_go_at_once_and_a_stream_in_batches() {
        let mut pace = Pace::default();
        let at = Instant::from_millis;
        assert!((0..100).all(|i| pace.is_due(at(2 * i), 10)));
        let now = at(1_000);
        assert_eq!((0..16).filter(|_| pace.is_due(now, 10)).count(), 16);
        assert!(!pace.is_streaming(now));
        assert_eq!((0..640).filter(|_| pace.is_due(now, 10)).count(), 10);
        assert!((0..100).all(|_| pace.is_due(now, 64 * 1024)));
        assert!(pace.is_streaming(now));
        assert!(!pace.is_streaming(now + Duration::from_millis(2)));
        pace.rest();
        assert!(pace.is_due(now, 10));
    }
}
