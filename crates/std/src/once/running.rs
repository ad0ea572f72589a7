//! A server or bridge on a thread, and what its handles share with it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use atonce::PeerId;
use atonce::wire::Text;

use super::Event;
use super::driver::{Driver, Machine, Poller};
use crate::StartError;

/// What is said when its own code panicked: everything it held is suspect.
const PANICKED: &str =
    "atonce: the thread of the nodes panicked earlier; this is a bug, please report it";

/// How long a stop may take: its nodes keep to the linger of 1 s, and this is for a busy machine besides.
const STOP: Duration = Duration::from_secs(3);

/// All handles of one server or bridge. Its end is the end of that.
pub(super) struct Running<M: Machine> {
    shared: Arc<Shared<M>>,
    pub(super) id: PeerId,
    pub(super) name: Text,
}

struct Shared<M: Machine> {
    driver: Mutex<Driver<M>>,
    /// There is an event, or the thread ended.
    news: Condvar,
}

impl<M: Machine> Running<M> {
    pub(super) fn start(driver: Driver<M>, poller: Poller) -> Result<Self, StartError> {
        let (id, name) = (driver.id(), driver.name().clone());
        let shared = Arc::new(Shared {
            driver: Mutex::new(driver),
            news: Condvar::new(),
        });
        let thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("atonce-once".to_owned())
            .spawn(move || thread.run(poller))
            .map_err(|source| StartError::System {
                what: "a thread",
                source,
            })?;
        Ok(Self { shared, id, name })
    }

    /// # Panics
    ///
    /// When the thread panicked.
    pub(super) fn driver(&self) -> MutexGuard<'_, Driver<M>> {
        self.shared.driver.lock().expect(PANICKED)
    }

    /// The next event; waits for it as long as `timeout`.
    pub(super) fn receive(&self, timeout: Option<Duration>) -> Option<Event<M::Event>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut driver = self.driver();
        loop {
            if let Some(event) = driver.poll_event() {
                return Some(event);
            }
            if driver.is_ended() {
                return None;
            }
            driver = match (timeout, deadline) {
                (Some(_), Some(deadline)) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.shared
                        .news
                        .wait_timeout(driver, left)
                        .expect(PANICKED)
                        .0
                }
                _ => self.shared.news.wait(driver).expect(PANICKED),
            };
        }
    }

    /// Begins the end, and waits for it.
    pub(super) fn stop(&self) {
        let mut driver = self.driver();
        driver.stop();
        driver.wake();
        let deadline = Instant::now() + STOP;
        while !driver.is_ended() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(id = %self.id, "did not stop in time");
                return;
            }
            driver = self
                .shared
                .news
                .wait_timeout(driver, left)
                .expect(PANICKED)
                .0;
        }
    }
}

impl<M: Machine> Drop for Running<M> {
    fn drop(&mut self) {
        // After a panic there is nothing to stop, and during one of the application it is not waited for.
        if let Ok(mut driver) = self.shared.driver.lock() {
            driver.stop();
            driver.wake();
            if !thread::panicking() {
                drop(driver);
                self.stop();
            }
        }
    }
}

impl<M: Machine> Shared<M> {
    fn run(&self, mut poller: Poller) {
        let _end = End(self);
        let mut timeout = Some(Duration::ZERO);
        loop {
            let waited = poller.wait(timeout);
            let mut driver = self.driver.lock().expect(PANICKED);
            if let Err(error) = waited {
                tracing::error!(%error, "the nodes cannot wait for their sockets");
                driver.abandon();
            }
            driver.turn(&mut poller);
            if driver.has_event() {
                self.news.notify_all();
            }
            if driver.is_ended() {
                return;
            }
            timeout = driver.timeout();
        }
    }
}

/// Tells everybody who waits that nothing more comes, also after a panic.
struct End<'a, M: Machine>(&'a Shared<M>);

impl<M: Machine> Drop for End<'_, M> {
    fn drop(&mut self) {
        self.0.news.notify_all();
    }
}

/// What happens, one after the other, until all is stopped; waits for each.
pub struct Events<'a, M: Machine>(pub(super) &'a Running<M>);

impl<M: Machine> Iterator for Events<'_, M> {
    type Item = Event<M::Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.receive(None)
    }
}

impl<M: Machine> std::fmt::Debug for Events<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Events").field(&self.0.id).finish()
    }
}
