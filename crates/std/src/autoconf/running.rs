//! An announcer or a seeker on a thread, and what its handles share with it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::AutoconfError;
use super::driver::{Driver, Machine, Poller};

/// How long a stop may take: the goodbye is said for 100 ms, and this is for a busy machine besides.
const STOP: Duration = Duration::from_secs(2);

/// What is said when its own code panicked: everything it held is suspect.
const PANICKED: &str =
    "atonce: the thread of the autoconfiguration panicked earlier; this is a bug, please report it";

/// All handles of one announcer or seeker. Its end is the end of that.
#[derive(Debug)]
pub(super) struct Running<M: Machine> {
    shared: Arc<Shared<M>>,
}

#[derive(Debug)]
struct Shared<M: Machine> {
    driver: Mutex<Driver<M>>,
    /// Something happened, or the thread ended.
    news: Condvar,
}

impl<M: Machine> Running<M> {
    /// Starts the thread.
    pub(super) fn start(
        (driver, poller): (Driver<M>, Poller),
        name: &str,
    ) -> Result<Self, AutoconfError> {
        let shared = Arc::new(Shared {
            driver: Mutex::new(driver),
            news: Condvar::new(),
        });
        let thread = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || thread.run(poller))
            .map_err(|source| AutoconfError::System {
                what: "a thread",
                source,
            })?;
        Ok(Self { shared })
    }

    /// # Panics
    ///
    /// When the thread panicked.
    pub(super) fn driver(&self) -> MutexGuard<'_, Driver<M>> {
        self.shared.driver.lock().expect(PANICKED)
    }

    /// Does something that may have something to send or another deadline as its consequence.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Driver<M>) -> T) -> T {
        let mut driver = self.driver();
        let done = act(&mut driver);
        driver.wake();
        done
    }

    /// The first thing that `look` finds, waited for until then (`None`: for ever). `None` when the time is over or it is stopped.
    pub(super) fn wait<T>(
        &self,
        timeout: Option<Duration>,
        mut look: impl FnMut(&mut Driver<M>) -> Option<T>,
    ) -> Option<T> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut driver = self.driver();
        loop {
            if let Some(found) = look(&mut driver) {
                return Some(found);
            }
            if driver.is_ended() {
                return None;
            }
            driver = match until {
                None => self.shared.news.wait(driver).expect(PANICKED),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    let waited = self.shared.news.wait_timeout(driver, left);
                    waited.expect(PANICKED).0
                }
            };
        }
    }

    /// Begins the end, and waits for it.
    pub(super) fn stop(&self) {
        self.with(Driver::stop);
        let until = Instant::now() + STOP;
        let mut driver = self.driver();
        while !driver.is_ended() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("the autoconfiguration did not stop in time");
                return;
            }
            let waited = self.shared.news.wait_timeout(driver, left);
            driver = waited.expect(PANICKED).0;
        }
    }
}

impl<M: Machine> Drop for Running<M> {
    fn drop(&mut self) {
        // After a panic there is nothing to stop, and during one of the application it is not waited for.
        if self.shared.driver.is_poisoned() {
            return;
        }
        if thread::panicking() {
            self.with(Driver::stop);
        } else {
            self.stop();
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
                tracing::error!(%error, "cannot wait for datagrams");
                return;
            }
            driver.turn(&mut poller);
            self.news.notify_all();
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
        if let Ok(mut driver) = self.0.driver.lock() {
            driver.abandon();
        }
        self.0.news.notify_all();
    }
}
