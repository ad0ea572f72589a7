//! What happens to a socket, for whoever watches.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atonce::socket::Event;

use crate::driver::SocketDriver;
use crate::shared::Shared;

/// What happens to a socket and its links; waits for each. See [`Socket::monitor`](super::Socket::monitor).
///
/// It keeps no socket open, and ends with it: [`Event::Closed`] is the last.
pub struct Monitor(Arc<Shared<SocketDriver>>);

impl Monitor {
    pub(super) const fn new(shared: Arc<Shared<SocketDriver>>) -> Self {
        Self(shared)
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        self.next_until(Some(Duration::ZERO))
    }

    /// The next event; waits for it as long as `timeout`. `None`: none came in all that time, or the socket is closed.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        self.next_until(Some(timeout))
    }

    fn next_until(&self, timeout: Option<Duration>) -> Option<Event> {
        let mut core = self.0.lock();
        let mut end = None;
        loop {
            if let Some(event) = core.driver.poll_event() {
                return Some(event);
            }
            let end = *end.get_or_insert_with(|| core.after(timeout));
            if core.has_ended() || core.left_until(end) == Some(Duration::ZERO) {
                return None;
            }
            core = self.0.wait_for_news(core, end);
        }
    }
}

impl Iterator for Monitor {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.next_until(None)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
