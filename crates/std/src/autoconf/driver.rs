//! A machine of autoconfiguration with its sockets, on a thread.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use atonce::{Bytes, Instant};
use mio::{Events, Poll, Token, Waker};

use super::faces::{Face, Faces};
use super::radio::Radio;
use super::{AutoconfError, Network};
use crate::driver::Clock;

/// How often the interfaces are looked at.
// AUTO-12
const RESCAN: Duration = Duration::from_secs(2);
/// How soon they are looked at when a socket failed.
const SOON: Duration = Duration::from_millis(200);
/// How long a stop may take: the goodbye is said for 100 ms, and this is for a busy machine besides.
const STOP: Duration = Duration::from_secs(2);

const WAKE: Token = Token(0);

/// What is said when its own code panicked: everything it held is suspect.
const PANICKED: &str =
    "atonce: the thread of the autoconfiguration panicked earlier; this is a bug, please report it";

/// What both machines have in common.
pub(super) trait Machine: Send + 'static {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    /// Other interfaces, or addresses, are in use now.
    fn handle_faces(&mut self, now: Instant, faces: &[Face]);
    fn poll_datagram(&mut self) -> Option<Bytes>;
    fn deadline(&self) -> Option<Instant>;
    fn stop(&mut self, now: Instant);
    fn is_over(&self) -> bool;
}

#[derive(Debug)]
pub(super) struct Driver<M> {
    pub(super) machine: M,
    radio: Radio,
    clock: Clock,
    rescan_at: Instant,
    waker: Arc<Waker>,
    /// The thread ended, or is about to.
    pub(super) ended: bool,
    /// The system does not tell its interfaces, which was logged.
    blind: bool,
}

/// All handles of one announcer or seeker. Its end is the end of that.
#[derive(Debug)]
pub(super) struct Running<M: Machine> {
    shared: Arc<Shared<M>>,
}

#[derive(Debug)]
struct Shared<M> {
    driver: Mutex<Driver<M>>,
    /// Something happened, or the thread ended.
    news: Condvar,
}

impl<M: Machine> Driver<M> {
    /// What the machine wants done now.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Sends what there is to send.
    fn speak(&mut self) {
        while let Some(datagram) = self.machine.poll_datagram() {
            if self.radio.send(&datagram) {
                self.rescan_at = self.rescan_at.min(self.clock.recent() + SOON);
            }
        }
    }

    /// Takes in what came and what is due. Whether there may be more at once.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        if self.rescan_at <= now {
            self.rescan(now);
        }
        let machine = &mut self.machine;
        let more = self.radio.receive(|source, datagram| {
            machine.handle_datagram(now, source, datagram);
        });
        if self.machine.deadline().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        self.speak();
        more
    }

    fn rescan(&mut self, now: Instant) {
        self.rescan_at = now + RESCAN;
        match Faces::read() {
            Ok(faces) => {
                self.blind = false;
                if self.radio.follow(&faces) {
                    self.machine.handle_faces(now, self.radio.faces());
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    tracing::warn!(%error, "cannot list the interfaces; trying again");
                }
            }
        }
    }

    fn timeout(&self) -> Duration {
        let at = self.machine.deadline().unwrap_or(self.rescan_at);
        // Rounded up: what comes a microsecond too early would come again at once.
        at.min(self.rescan_at) - self.clock.now() + Duration::from_micros(1)
    }
}

impl<M: Machine> Running<M> {
    /// Opens the sockets and starts the thread, with a machine that is made for the interfaces in use.
    pub(super) fn start(
        network: Network,
        name: &str,
        machine: impl FnOnce(Instant, &[Face]) -> Result<M, AutoconfError>,
    ) -> Result<Self, AutoconfError> {
        let system = |what| move |source| AutoconfError::System { what, source };
        let Network {
            interfaces,
            ways,
            port,
        } = network;
        if !(ways.ipv4 || ways.ipv6 || ways.broadcast) {
            return Err(AutoconfError::NoWay);
        }
        let faces = Faces::read().map_err(AutoconfError::Interfaces)?;
        // AUTO-12
        if let Some(wanted) = faces.unknown(&interfaces) {
            return Err(AutoconfError::UnknownInterface {
                wanted: wanted.to_owned(),
                present: faces.describe(),
            });
        }
        let poll = Poll::new().map_err(system("a poller"))?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(system("a waker"))?;
        let registry = poll.registry().try_clone().map_err(system("a poller"))?;
        let radio = Radio::open(interfaces, ways, port, registry, &faces)
            .map_err(|source| AutoconfError::Port { port, source })?;
        let clock = Clock::start();
        let now = clock.now();
        let mut driver = Driver {
            machine: machine(now, radio.faces())?,
            radio,
            clock,
            rescan_at: now + RESCAN,
            waker: Arc::new(waker),
            ended: false,
            blind: false,
        };
        driver.speak();
        let shared = Arc::new(Shared {
            driver: Mutex::new(driver),
            news: Condvar::new(),
        });
        let thread = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || thread.run(poll))
            .map_err(system("a thread"))?;
        Ok(Self { shared })
    }

    /// # Panics
    ///
    /// When the thread panicked.
    pub(super) fn driver(&self) -> MutexGuard<'_, Driver<M>> {
        self.shared.driver.lock().expect(PANICKED)
    }

    /// Does something with the machine, which may have something to send or another deadline afterwards.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut M, Instant) -> T) -> T {
        let mut driver = self.driver();
        let now = driver.now();
        let done = act(&mut driver.machine, now);
        driver.wake();
        done
    }

    /// The first thing that `look` finds, waited for until then (`None`: for ever). `None` when the time is over or it is stopped.
    pub(super) fn wait<T>(
        &self,
        timeout: Option<Duration>,
        mut look: impl FnMut(&mut M) -> Option<T>,
    ) -> Option<T> {
        let until = timeout.and_then(|timeout| std::time::Instant::now().checked_add(timeout));
        let mut driver = self.driver();
        loop {
            if let Some(found) = look(&mut driver.machine) {
                return Some(found);
            }
            if driver.ended {
                return None;
            }
            driver = match until {
                None => self.shared.news.wait(driver).expect(PANICKED),
                Some(until) => {
                    let left = until.saturating_duration_since(std::time::Instant::now());
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
        self.with(M::stop);
        let until = std::time::Instant::now() + STOP;
        let mut driver = self.driver();
        while !driver.ended {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                tracing::warn!("the autoconfiguration did not stop in time");
                return;
            }
            let waited = self.shared.news.wait_timeout(driver, left);
            driver = waited.expect(PANICKED).0;
        }
    }
}

impl<M> Driver<M> {
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake the thread of the autoconfiguration");
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
            self.with(M::stop);
        } else {
            self.stop();
        }
    }
}

impl<M: Machine> Shared<M> {
    fn run(&self, mut poll: Poll) {
        let _end = End(self);
        let mut events = Events::with_capacity(64);
        let mut timeout = Duration::ZERO;
        loop {
            let waited = poll.poll(&mut events, Some(timeout));
            let mut driver = self.driver.lock().expect(PANICKED);
            if let Err(error) = waited
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "cannot wait for datagrams");
                return;
            }
            let more = driver.turn();
            self.news.notify_all();
            if driver.machine.is_over() {
                return;
            }
            timeout = match more {
                true => Duration::ZERO,
                false => driver.timeout(),
            };
        }
    }
}

/// Tells everybody who waits that nothing more comes, also after a panic.
struct End<'a, M>(&'a Shared<M>);

impl<M> Drop for End<'_, M> {
    fn drop(&mut self) {
        if let Ok(mut driver) = self.0.driver.lock() {
            driver.ended = true;
        }
        self.0.news.notify_all();
    }
}
