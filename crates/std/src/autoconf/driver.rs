//! An announcer or a seeker on the sockets of this machine, without a thread: the loop that adapters share.
//!
//! ```no_run
//! use atonce_std::autoconf::{Seeker, driver::Driver};
//!
//! let (mut seeker, mut poller) = Driver::seeker(Seeker::builder().service("printing").options()?)?;
//! while !seeker.is_ended() {
//!     poller.wait(seeker.timeout())?;
//!     seeker.turn(&mut poller);
//!     while let Some(event) = seeker.poll_event() {
//!         println!("{event:?}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod announcing;
mod seeking;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::{Bytes, Instant};
use mio::{Token, Waker};

use super::faces::Faces;
use super::radio::Radio;
use super::{AutoconfError, Network};
use crate::driver::{Clock, random_seed};

#[doc(hidden)]
pub use super::faces::Face;
pub use crate::driver::Poller;

pub use self::announcing::Announcing;
pub(super) use self::announcing::What;
pub use self::seeking::Seeking;

/// How often the interfaces are looked at.
// AUTO-12
const RESCAN: Duration = Duration::from_secs(2);
/// How soon they are looked at when a socket failed.
const SOON: Duration = Duration::from_millis(200);

const WAKE: Token = Token(0);

/// What announces or seeks: [`Announcing`] or [`Seeking`]. For adapters, which are generic over it.
pub trait Machine: fmt::Debug + Send + Sized + 'static {
    #[doc(hidden)]
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]);
    #[doc(hidden)]
    fn handle_timeout(&mut self, now: Instant);
    /// Other interfaces, or addresses, are in use now.
    #[doc(hidden)]
    fn handle_faces(&mut self, now: Instant, faces: &[Face]);
    #[doc(hidden)]
    fn poll_datagram(&mut self) -> Option<Bytes>;
    #[doc(hidden)]
    fn deadline(&self) -> Option<Instant>;
    #[doc(hidden)]
    fn stop(&mut self, now: Instant);
    #[doc(hidden)]
    fn is_over(&self) -> bool;
}

/// See [the module](self).
#[derive(Debug)]
pub struct Driver<M: Machine> {
    machine: M,
    radio: Radio,
    clock: Clock,
    rescan_at: Instant,
    waker: Arc<Waker>,
    /// There may be more to hear than a turn takes in.
    more: bool,
    ended: bool,
    /// The system does not tell its interfaces, which was logged.
    blind: bool,
}

impl<M: Machine> Driver<M> {
    /// Opens the sockets, with a machine that is made for the interfaces in use. Nothing is sent before the first turn.
    fn open(
        network: Network,
        machine: impl FnOnce(Instant, [u8; 32], &[Face]) -> M,
    ) -> Result<(Self, Poller), AutoconfError> {
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
        let seed = random_seed().map_err(system("random octets"))?;
        let poller = Poller::new().map_err(system("a poller"))?;
        let waker = Waker::new(poller.registry(), WAKE).map_err(system("a waker"))?;
        let registry = poller.registry().try_clone().map_err(system("a poller"))?;
        let radio = Radio::open(interfaces, ways, port, registry, &faces)
            .map_err(|source| AutoconfError::Port { port, source })?;
        let clock = Clock::start();
        let now = clock.now();
        let driver = Self {
            machine: machine(now, *seed, radio.faces()),
            radio,
            clock,
            rescan_at: now + RESCAN,
            waker: Arc::new(waker),
            more: true,
            ended: false,
            blind: false,
        };
        Ok((driver, poller))
    }

    /// Takes in what came and what is due, and sends what there is to send.
    pub fn turn(&mut self, poller: &mut Poller) {
        // All ears are listened to, whichever of them is ready.
        poller.take(|_| {});
        if self.ended {
            return;
        }
        let now = self.clock.now();
        if self.rescan_at <= now {
            self.rescan(now);
        }
        let machine = &mut self.machine;
        self.more = self.radio.receive(|source, datagram| {
            machine.handle_datagram(now, source, datagram);
        });
        if self.machine.deadline().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        self.speak();
        if self.machine.is_over() {
            self.abandon();
        }
    }

    /// How long the poller may wait before the next turn; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        if self.more {
            return Some(Duration::ZERO);
        }
        let at = self.machine.deadline().unwrap_or(self.rescan_at);
        // Rounded up: what comes a microsecond too early would come again at once.
        Some(at.min(self.rescan_at) - self.clock.now() + Duration::from_micros(1))
    }

    /// Ends the poller's wait. To be called after whatever changes what is to be done.
    pub fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot end the wait of the autoconfiguration");
        }
    }

    /// Begins the end: an announcer says goodbye. [`is_ended`](Self::is_ended) after some more turns.
    pub fn stop(&mut self) {
        if !self.ended {
            self.machine.stop(self.clock.now());
            self.more = true;
        }
    }

    /// Closes every socket at once, without a goodbye.
    pub fn abandon(&mut self) {
        self.ended = true;
        self.radio.close();
    }

    /// Whether it is stopped and every socket closed. Events may still wait to be taken.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Sends what there is to send.
    fn speak(&mut self) {
        while let Some(datagram) = self.machine.poll_datagram() {
            if self.radio.send(&datagram) {
                self.rescan_at = self.rescan_at.min(self.clock.recent() + SOON);
            }
        }
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
}
