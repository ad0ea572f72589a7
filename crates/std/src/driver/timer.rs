//! A limit for the poller's wait that costs nothing while it lies ahead.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::links::WAKE;

/// How long after a wait the next one has to begin for the node to be busy.
const BUSY: Duration = Duration::from_millis(1);

/// A descriptor of the kernel's that becomes readable in time.
///
/// A limit that is given to the wait itself is set and taken back with every wait, which is one part in forty of what it costs
/// to answer a message. A node's deadlines mostly move away from it while it is busy: so the timer is only set when it would
/// come too late, and when it comes too early a wait ends in vain, once. A node that waits seldom goes without it.
#[derive(Debug)]
pub(super) struct Timer {
    timer: TimerFd,
    /// When it goes off.
    at: Option<Instant>,
    /// When it was asked for last.
    asked: Option<Instant>,
}

impl Timer {
    /// Ends the waits of the poller that the registry belongs to.
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let descriptor = timer.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), WAKE, Interest::READABLE)?;
        Ok(Self {
            timer,
            at: None,
            asked: None,
        })
    }

    /// Whether a wait that begins now needs no limit of its own, since this ends it after `timeout` or before.
    pub(super) fn covers(&mut self, timeout: Duration) -> bool {
        let now = Instant::now();
        let asked = self.asked.replace(now);
        let Some(until) = now.checked_add(timeout) else {
            return false;
        };
        if self.at.is_some_and(|at| now < at && at <= until) {
            return true;
        }
        let is_busy = asked.is_some_and(|asked| now - asked < BUSY);
        let once = Expiration::OneShot(TimeSpec::from_duration(timeout));
        let is_set = is_busy && self.timer.set(once, TimerSetTimeFlags::empty()).is_ok();
        if is_set {
            self.at = Some(until);
        }
        is_set
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// However long the test is interrupted.
    fn just_now() -> Option<Instant> {
        Some(Instant::now() + LONG)
    }

    fn wait(poll: &mut Poll) {
        let mut events = Events::with_capacity(4);
        let begun = Instant::now();
        poll.poll(&mut events, Some(LONG)).unwrap();
        assert!(!events.is_empty() && begun.elapsed() < LONG);
    }

    #[test]
    fn each_limit_ends_a_wait_also_when_the_last_one_was_not_read() {
        let mut poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry()).unwrap();
        for _ in 0..3 {
            timer.asked = just_now();
            assert!(timer.covers(Duration::from_millis(1)));
            wait(&mut poll);
        }
    }

    #[test]
    fn it_is_set_anew_when_it_would_come_too_late_and_only_then() {
        let mut poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry()).unwrap();
        timer.asked = just_now();
        assert!(timer.covers(LONG));
        let late = timer.at;
        assert!(timer.covers(LONG * 2));
        assert_eq!(timer.at, late);
        timer.asked = just_now();
        assert!(timer.covers(Duration::from_millis(1)));
        assert!(timer.at < late);
        wait(&mut poll);
    }

    #[test]
    fn who_waits_seldom_is_not_covered() {
        let poll = Poll::new().unwrap();
        let mut timer = Timer::new(poll.registry()).unwrap();
        assert!(!timer.covers(LONG));
        timer.asked = Instant::now().checked_sub(BUSY);
        assert!(!timer.covers(LONG));
        assert!(!timer.covers(Duration::MAX));
        assert_eq!(timer.at, None);
    }
}
