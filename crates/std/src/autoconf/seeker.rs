//! What finds servers, on a thread.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::autoconf::seeker as core;
use atonce::curve::PublicKey;
use atonce::{Bytes, Instant};

use super::driver::{Machine, Running};
use super::faces::Face;
use super::{AutoconfError, Event, Network, SeekerCounters, Server, ServerId, network};
use crate::driver::random_seed;

/// Makes a [`Seeker`]. Everything has a default: it seeks every service, everywhere.
///
/// ```no_run
/// use atonce_std::autoconf::Seeker;
///
/// let seeker = Seeker::builder().service("printing").interface("eth0").start()?;
/// # Ok::<(), atonce_std::autoconf::AutoconfError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SeekerBuilder {
    services: Vec<String>,
    keys: BTreeSet<[u8; 32]>,
    only_at_source: bool,
    network: Network,
}

impl SeekerBuilder {
    network!();

    /// Seeks this service; several are several calls. Without any it is every service.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.services.push(service.into());
        self
    }

    /// Knows only servers with this public key; with one of them, when it is called several times. Connect to them with CURVE and that key: then it is
    /// its owner who answers, or nobody.
    pub fn key(mut self, key: PublicKey) -> Self {
        self.keys.insert(*key.as_bytes());
        self
    }

    /// Knows servers only at the address from which they are announced, so that a stranger cannot have this client connect to somebody
    /// else's.
    pub fn only_at_source(mut self) -> Self {
        self.only_at_source = true;
        self
    }

    /// Begins to seek, at once.
    ///
    /// # Errors
    ///
    /// A name cannot be that of a service, an interface is not there, or the port is held by somebody. That no interface is up is no
    /// error: one is waited for.
    pub fn start(self) -> Result<Seeker, AutoconfError> {
        let services = self.services.into_iter().map(|name| match name.parse() {
            Ok(service) => Ok(service),
            Err(source) => Err(AutoconfError::Service { name, source }),
        });
        let config = core::Config {
            services: services.collect::<Result<_, _>>()?,
            keys: Some(self.keys).filter(|keys| !keys.is_empty()),
            elsewhere: !self.only_at_source,
            limits: core::Limits::default(),
        };
        let seed = random_seed().map_err(|source| AutoconfError::System {
            what: "random octets",
            source,
        })?;
        let running = Running::start(self.network, "atonce-seeker", |now, _| {
            Ok(Seeking {
                core: core::Seeker::new(now, *seed, config),
                stopped: false,
            })
        })?;
        Ok(Seeker(Arc::new(running)))
    }
}

#[derive(Debug)]
struct Seeking {
    core: core::Seeker,
    stopped: bool,
}

impl Machine for Seeking {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        self.core.handle_datagram(now, source, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
    }

    fn handle_faces(&mut self, now: Instant, _faces: &[Face]) {
        self.core.refresh(now);
    }

    fn poll_datagram(&mut self) -> Option<Bytes> {
        self.core.poll_datagram()
    }

    fn deadline(&self) -> Option<Instant> {
        self.core.poll_timeout().map(|(at, _)| at)
    }

    fn stop(&mut self, _now: Instant) {
        self.stopped = true;
    }

    fn is_over(&self) -> bool {
        self.stopped
    }
}

/// Knows which servers are there, from a thread of its own.
///
/// Every method can be called from any thread. A clone is another handle of the same; when the last one is dropped it ends.
/// [The module](super) has an example.
#[derive(Clone)]
pub struct Seeker(Arc<Running<Seeking>>);

impl Seeker {
    /// One that is still to be made.
    pub fn builder() -> SeekerBuilder {
        SeekerBuilder::default()
    }

    /// What happened next; waits for it. `None` when it is stopped and everything was told.
    pub fn recv(&self) -> Option<Event> {
        self.0.wait(None, |seeking| seeking.core.poll_event())
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event> {
        self.recv_timeout(Duration::ZERO)
    }

    /// What happened next; waits for it as long as `timeout`. `None` when nothing did in all that time, or it is stopped.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.0
            .wait(Some(timeout), |seeking| seeking.core.poll_event())
    }

    /// What happens, one after the other, until it is stopped. Of a server that was found and lost between two looks nothing is told.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }

    /// A server that is in order, the one that was found first; waits as long as `timeout` for one. `None` when none came in all that time, or it is
    /// stopped. Takes no event.
    pub fn find(&self, timeout: Duration) -> Option<Arc<Server>> {
        self.0.wait(Some(timeout), |seeking| {
            let first = seeking.core.servers().next()?;
            seeking
                .core
                .is_in_order(first.id)
                .then(|| Arc::clone(first))
        })
    }

    /// All that are known: those that are in order first, and otherwise in the order in which they were found.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        let driver = self.0.driver();
        driver.machine.core.servers().cloned().collect()
    }

    /// Whether a server is known, was heard lately, and is not doubted.
    pub fn is_in_order(&self, server: ServerId) -> bool {
        self.0.driver().machine.core.is_in_order(server)
    }

    /// It answered: it does not give way to newcomers.
    pub fn confirm(&self, server: ServerId) {
        self.0
            .with(|seeking, now| seeking.core.confirm(now, server));
    }

    /// It did not answer: it is asked for, and is lost within two seconds when it is silent. Meanwhile others are found first.
    pub fn doubt(&self, server: ServerId) {
        self.0.with(|seeking, now| seeking.core.doubt(now, server));
    }

    /// What happened so far.
    pub fn counters(&self) -> SeekerCounters {
        self.0.driver().machine.core.counters()
    }

    /// Ends it.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl fmt::Debug for Seeker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeker").finish_non_exhaustive()
    }
}

/// What happens, one after the other; waits for each. See [`Seeker::events`].
#[derive(Debug)]
pub struct Events<'a>(&'a Seeker);

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.recv()
    }
}
