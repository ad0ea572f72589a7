//! The clock that the node's time is read from.

use std::cell::Cell;

use atonce::Instant;

/// The core's moment zero is when the clock was made.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start: std::time::Instant,
    last: Cell<Instant>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: std::time::Instant::now(),
            last: Cell::new(Instant::ZERO),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        let now = Instant::ZERO + self.start.elapsed();
        self.last.set(now);
        now
    }

    /// What it was when it was looked at last: never later than now, and never earlier than what anybody was told.
    pub(crate) fn recent(&self) -> Instant {
        self.last.get()
    }
}
