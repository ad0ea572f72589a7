//! What happens to a socket, for whoever watches.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use atonce_std::driver::SocketDriver;
use futures_core::Stream;

use super::Event;
use crate::task::Shared;

/// What happens to a socket and its links, as a stream. See [`Socket::monitor`](super::Socket::monitor).
///
/// It keeps no socket open, and ends with it: [`Event::Closed`] is the last.
///
/// ```
/// use atonce_tokio::Socket;
/// use atonce_tokio::socket::{Event, Kind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), atonce_tokio::socket::SocketError> {
/// let pair = Socket::new(Kind::Pair)?;
/// let mut monitor = pair.monitor();
/// pair.bind("tcp://127.0.0.1:0")?;
/// assert!(matches!(monitor.recv().await, Some(Event::Listening { .. })));
/// pair.close().await;
/// let mut last = None;
/// while let Some(event) = monitor.recv().await {
///     last = Some(event);
/// }
/// assert!(matches!(last, Some(Event::Closed { lost: 0 })));
/// # Ok(())
/// # }
/// ```
pub struct Monitor {
    shared: Arc<Shared<SocketDriver>>,
    /// Its place among those who wait.
    key: Option<usize>,
}

impl Monitor {
    pub(super) const fn new(shared: Arc<Shared<SocketDriver>>) -> Self {
        Self { shared, key: None }
    }

    /// The next event; waits for it. `None`: the socket is closed, and everything was told. Dropped before it is done, it has taken
    /// nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event, if there is one.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.shared.lock().driver.poll_event()
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut core = self.shared.lock();
        if let Some(event) = core.driver.poll_event() {
            return Poll::Ready(Some(event));
        }
        if core.ended {
            return Poll::Ready(None);
        }
        core.watchers.wait(&mut self.key, cx);
        Poll::Pending
    }
}

impl Stream for Monitor {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(cx)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if self.key.is_some()
            && let Some(mut core) = self.shared.try_lock_sound()
        {
            core.watchers.forget(self.key);
        }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
