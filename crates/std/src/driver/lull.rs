//! When beacons are read as they come, and when several at a time.

use std::time::Duration;

use atonce::Instant;

/// In a large network that is quiet, most that a node hears are beacons that tell nothing new: a hundred nodes say a hundred a
/// second, and to be woken for each of them is all that the node does. So when [`Lull::ENOUGH`] of them came fast and had no
/// news, the next ones are read together after a while. A newcomer is heard that much later; as soon as one was, and whenever
/// beacons come seldom, they are read as they come.
#[derive(Debug, Default)]
pub(super) struct Lull {
    /// Since when beacons were counted.
    since: Instant,
    heard: usize,
    /// Until when none is read.
    until: Option<Instant>,
}

impl Lull {
    /// So many without news are a lull: 16,
    const ENOUGH: usize = 16;
    /// if they came within this. Nodes that were started together say their beacons together, once a second, and a pause between
    /// is no end of it.
    const FAST: Duration = Duration::from_millis(1_250);
    /// The longest that beacons are left unread. A quarter of the time between two beacons of a node: that long a newcomer needs
    /// anyway, on average, to hear of half of the others.
    const LONGEST: Duration = Duration::from_millis(250);
    /// So many may come meanwhile: a quarter of what the system holds for a socket that may not ask for more.
    const UNREAD: u32 = 128;

    /// So many beacons were read and no more are there; `news`: they made the node do something. Until when the next ones may be
    /// left alone; `None`: they are to be read as they come.
    pub(super) fn heard(&mut self, now: Instant, beacons: usize, news: bool) -> Option<Instant> {
        if news || now - self.since > Self::FAST {
            *self = Self {
                since: now,
                ..Self::default()
            };
            return None;
        }
        self.heard += beacons;
        if self.heard >= Self::ENOUGH {
            let heard = u32::try_from(self.heard).unwrap_or(u32::MAX);
            let room = (now - self.since).saturating_mul(Self::UNREAD) / heard;
            let pause = room.min(Self::LONGEST);
            self.heard = 0;
            self.since = now;
            self.until = Some(now + pause);
        } else if self.until.is_some() {
            // A lull goes on until it is known that they come seldom.
            self.until = Some(now + Self::LONGEST);
        }
        self.until
    }

    /// Until when none is read, if that is so.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads beacons that come every so many milliseconds, for so long; how often, and whether it ended in a lull.
    fn listen(lull: &mut Lull, from: u64, every: u64, millis: u64) -> (usize, bool) {
        let (mut reads, mut unread) = (0, 0);
        for at in from..from + millis {
            unread += usize::from(at % every == 0);
            let now = Instant::from_millis(at);
            let due = lull.until().map_or(unread > 0, |until| until <= now);
            if due {
                lull.heard(now, unread, false);
                reads += 1;
                unread = 0;
            }
        }
        (reads, lull.until().is_some())
    }

    #[test]
    fn beacons_of_a_few_are_read_as_they_come_and_of_many_together() {
        let mut lull = Lull::default();
        assert_eq!(listen(&mut lull, 1_000, 100, 10_000), (100, false));
        let (reads, is_lull) = listen(&mut lull, 11_000, 10, 10_000);
        assert!(reads < 80 && is_lull, "{reads}");
        // Most of them went away.
        let (reads, is_lull) = listen(&mut lull, 21_000, 100, 10_000);
        assert!((80..110).contains(&reads) && !is_lull, "{reads}");
    }

    #[test]
    fn those_who_beacon_together_are_as_many() {
        let mut lull = Lull::default();
        let mut reads = 0;
        for at in 0..10_000 {
            let now = Instant::from_millis(at);
            // A hundred within the first tenth of each second.
            let unread = usize::from(at % 1_000 < 100);
            let due = lull.until().map_or(unread > 0, |until| until <= now);
            if due {
                // What came since the last look, roughly.
                let beacons = if lull.until().is_some() && at % 1_000 < 350 {
                    50
                } else {
                    unread
                };
                lull.heard(now, beacons, false);
                reads += 1;
            }
        }
        assert!(reads < 100 && lull.until().is_some(), "{reads}");
    }

    #[test]
    fn so_many_that_the_socket_would_overflow_are_read_more_often() {
        let mut lull = Lull::default();
        let mut at = 0;
        for _ in 0..20 {
            // Ten each millisecond.
            let pause = lull
                .until()
                .map_or(1, |until| (until - Instant::from_millis(at)).as_millis());
            at += u64::try_from(pause).unwrap().max(1);
            lull.heard(
                Instant::from_millis(at),
                10 * usize::try_from(pause).unwrap(),
                false,
            );
        }
        let pause = lull.until().unwrap() - Instant::from_millis(at);
        assert!(pause < Duration::from_millis(14), "{pause:?}");
    }

    #[test]
    fn news_are_not_waited_for() {
        let mut lull = Lull::default();
        listen(&mut lull, 1_000, 10, 2_000);
        assert!(lull.until().is_some());
        assert_eq!(lull.heard(Instant::from_millis(3_000), 3, true), None);
        assert_eq!(lull.until(), None);
    }
}
