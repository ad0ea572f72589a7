//! Waits until a socket has something to say.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Registry};

#[cfg(target_os = "linux")]
use super::timer::Timer;

/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// How long more is looked for after much was read, before this thread sleeps. The sender of a stream of large messages writes the
/// next piece in about that time, and would have to wake us for each: that costs it, and the processor, more than this does.
const AWAKE: Duration = Duration::from_micros(10);

/// Waits until one of the driver's sockets is ready; the driver itself is not needed (and need not be locked) meanwhile.
///
/// Its descriptor becomes readable when [`wait`](Poller::wait) would return something, so that another event loop can wait
/// for it together with its own.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
    /// Much was read just now, so that there will mostly be more in a moment.
    pub(super) expects_more: bool,
    /// Made when it is first needed: who has another event loop around this one never waits here.
    #[cfg(target_os = "linux")]
    timer: Option<Timer>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            expects_more: false,
            #[cfg(target_os = "linux")]
            timer: None,
        })
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits until a socket is ready, the driver is woken, the time is over (`None`: never) or a signal came. What is
    /// ready is kept for the next [`Driver::turn`](super::Driver::turn).
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.expects_more && timeout != Some(Duration::ZERO) {
            self.expects_more = false;
            let begin = Instant::now();
            while begin.elapsed() < AWAKE {
                // The sender may be in need of this very processor.
                thread::yield_now();
                self.poll(Some(Duration::ZERO))?;
                if !self.is_idle() {
                    return Ok(());
                }
            }
        }
        #[cfg(target_os = "linux")]
        let timeout = self.uncovered(timeout);
        self.poll(timeout)
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result,
        }
    }

    /// What remains to be given to the wait: nothing when the timer ends it. A process without a descriptor to spare goes
    /// without a timer.
    #[cfg(target_os = "linux")]
    fn uncovered(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let Some(left) = timeout.filter(|left| *left > Duration::ZERO) else {
            return timeout;
        };
        if self.timer.is_none() {
            self.timer = Timer::new(self.poll.registry()).ok();
        }
        let is_covered = self.timer.as_mut().is_some_and(|timer| timer.covers(left));
        timeout.filter(|_| !is_covered)
    }

    /// Whether the last [`wait`](Poller::wait) found nothing.
    pub fn is_idle(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether the last [`wait`](Poller::wait) took all that was ready, so that the descriptor becomes readable again only
    /// by something new. Each socket is reported once per change (edge-triggered), so what was taken does not stay ready.
    pub fn took_all(&self) -> bool {
        self.events.iter().count() < EVENTS
    }

    /// Takes what there is, of a poller for whose descriptor another one waits; `more`: whether that may not be all.
    pub(crate) fn take_ready(&mut self, more: &mut bool) -> io::Result<()> {
        self.wait(Some(Duration::ZERO))?;
        // As in the task of `atonce-tokio`: each change is reported once, so what was not taken is to be asked for.
        *more = if cfg!(target_os = "linux") {
            !self.took_all()
        } else {
            !self.is_idle()
        };
        Ok(())
    }

    /// What is ready, once.
    pub(crate) fn take(&mut self, mut each: impl FnMut(&Event)) {
        for event in &self.events {
            each(event);
        }
        self.events.clear();
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}
