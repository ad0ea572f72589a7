//! The clock that the node's time is read from.

use atonce::Instant;

/// The core's moment zero is when the clock was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }
}
