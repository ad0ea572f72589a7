//! When what an application sends is written at once, and when it waits for more.

use std::time::Duration;

use atonce::Instant;

/// A message that stands alone is written by the call that sends it: that is the shortest way. In a stream of small messages a
/// system call for each would cost most of the time. So what comes right after something else is written alone only as often
/// as the [`alone`](Pace::alone) of it says. Then messages are gathered, for [`Pace::GATHERED`] times as long as it took to
/// write the last time: writing takes a small part of the time, whether it is to one peer or to hundreds, and nothing waits
/// longer than that needs. They are written by the call that finds the time over; the last ones of a stream are written when
/// the application waits for something, or by a turn, so that they never wait for a message that does not come.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last message was added, or written.
    last: Instant,
    /// To how many links more something may be written at once although it comes right after something else.
    alone: usize,
    /// Since when something waits.
    since: Option<Instant>,
    waiting_octets: usize,
    waiting_messages: usize,
    /// How long it took to write the last time.
    took: Duration,
    /// How many messages in a row were given no look at the clock.
    guesses: u32,
}

impl Pace {
    /// Who says nothing for so long is in no stream.
    const GAP: Duration = Duration::from_micros(50);
    const ALONE: usize = 16;
    /// How many more may be the answers to what was received with one system call.
    const ANSWERS: usize = 2;
    const GATHERED: u32 = 16;
    const LONGEST: Duration = Duration::from_millis(1);
    const GUESSES: u32 = 8;
    /// From this size on a system call is small beside the copying.
    const TOGETHER_OCTETS: usize = 1024 * 1024;

    /// Whether the next message needs no look at the clock, which would cost a tenth of what the message does: of those that
    /// are gathered only one in some. The time that is taken instead is never older than what is gathered, and that is
    /// written within the hold by a turn, which looks.
    pub(super) const fn may_guess(&mut self) -> bool {
        let may = self.since.is_some() && self.guesses < Self::GUESSES;
        self.guesses = if may { self.guesses + 1 } else { 0 };
        may
    }

    /// Whether what there is to send, on so many links, is to be sent now. `octets`: the message that was just added.
    pub(super) fn is_due(&mut self, now: Instant, octets: usize, links: usize) -> bool {
        let stands_alone = self.since.is_none() && now - self.last > Self::GAP;
        self.last = now;
        self.waiting_octets = self.waiting_octets.saturating_add(octets);
        self.waiting_messages = self.waiting_messages.saturating_add(1);
        self.since.get_or_insert(now);
        if stands_alone {
            self.alone = Self::ALONE;
            return true;
        }
        if let Some(left) = self.alone.checked_sub(links) {
            self.alone = left;
            return true;
        }
        self.waiting_octets >= Self::TOGETHER_OCTETS || self.is_over(now)
    }

    /// Whether nothing is gathered, or for long enough.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.since
            .is_none_or(|since| now - since >= (self.took * Self::GATHERED).min(Self::LONGEST))
    }

    /// Since when something waits for more.
    pub(super) const fn waits_since(&self) -> Option<Instant> {
        self.since
    }

    /// How many messages wait for more.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting_messages
    }

    /// What there was to send is being sent.
    pub(super) const fn clear(&mut self) {
        self.since = None;
        self.waiting_octets = 0;
        self.waiting_messages = 0;
    }

    /// What there was to send, at `since`, is written.
    pub(super) fn wrote(&mut self, since: Instant, now: Instant) {
        self.took = now - since;
        self.last = now;
    }

    /// Whether little comes right after something else.
    pub(super) const fn is_calm(&self) -> bool {
        self.alone >= Self::ALONE / 2
    }

    /// Whether messages come so fast that they are written together.
    pub(super) fn is_streaming(&self, now: Instant) -> bool {
        self.alone == 0 && now - self.last <= Self::LONGEST
    }

    /// Something was received: some of what is sent now may be the answer to it, and is no part of a stream.
    pub(super) fn rest(&mut self) {
        self.alone = (self.alone + Self::ANSWERS).min(Self::ALONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a message so many microseconds after the beginning; whether all was written, which took so long.
    fn add(pace: &mut Pace, at: u64, octets: usize, links: usize, took: u64) -> bool {
        let now = Instant::from_micros(at);
        let due = pace.is_due(now, octets, links);
        if due {
            pace.clear();
            pace.wrote(now, Instant::from_micros(at + took));
        }
        due
    }

    #[test]
    fn single_messages_go_at_once_and_a_stream_in_batches() {
        let mut pace = Pace::default();
        assert!((1..100).all(|n| add(&mut pace, 100 * n, 10, 1, 5)));
        // One after the other: some alone, and then as many as come in 16 times the time that it takes.
        let begin = 100_000;
        let written: Vec<_> = (0..800)
            .filter(|n| add(&mut pace, begin + n, 10, 1, 5))
            .collect();
        let alone = 0..=16;
        assert!(
            written
                .iter()
                .copied()
                .eq(alone.chain((1..=9).map(|n| 16 + 81 * n))),
            "{written:?}"
        );
        assert!(pace.is_streaming(Instant::from_micros(begin + 800)));
        assert!(!pace.is_streaming(Instant::from_micros(begin + 1_800)));
        // The answers to as much as was said.
        assert!((800..900).all(|n| {
            pace.rest();
            add(&mut pace, begin + n, 10, 1, 5)
        }));
    }

    #[test]
    fn who_is_kept_busy_by_writing_to_many_is_in_a_stream_as_well() {
        let mut pace = Pace::default();
        let mut at = 1_000;
        let mut written = 0;
        for n in 0..1_000 {
            if n % 20 == 0 {
                pace.rest();
            }
            let due = add(&mut pace, at, 10, 50, 300);
            written += u32::from(due);
            at += if due { 310 } else { 10 };
        }
        // The first one, and what is gathered in a millisecond.
        assert_eq!(written, 1 + 999 / 101);
    }

    #[test]
    fn what_is_large_does_not_wait() {
        let mut pace = Pace::default();
        assert!((0..100).all(|n| add(&mut pace, n, 1024 * 1024, 50, 1_000)));
        let written = (100..200).filter(|n| add(&mut pace, *n, 128 * 1024, 50, 1_000));
        assert_eq!(written.count(), 100 / 8);
    }

    #[test]
    fn the_clock_is_left_alone_only_while_something_is_gathered() {
        let mut pace = Pace::default();
        assert!(!pace.may_guess());
        pace.is_due(Instant::ZERO, 10, 1);
        assert_eq!((0..90).filter(|_| pace.may_guess()).count(), 80);
        pace.clear();
        assert!(!pace.may_guess());
    }
}
