//! What finds servers.

use std::net::SocketAddr;
use std::sync::Arc;

use atonce::autoconf::seeker as core;
use atonce::{Bytes, Instant};

use super::{Driver, Face, Machine, Poller};
use crate::autoconf::{AutoconfError, Event, SeekerCounters, SeekerOptions, Server, ServerId};

/// What finds servers.
#[derive(Debug)]
pub struct Seeking {
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

impl Driver<Seeking> {
    /// Opens the sockets of a seeker.
    ///
    /// # Errors
    ///
    /// An interface is not there, or the port is held by somebody.
    pub fn seeker(options: SeekerOptions) -> Result<(Self, Poller), AutoconfError> {
        let SeekerOptions { config, network } = options;
        Self::open(network, |now, seed, _| Seeking {
            core: core::Seeker::new(now, seed, config),
            stopped: false,
        })
    }

    /// What happened next, if anything did.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.machine.core.poll_event()
    }

    /// A server that is in order: the one that was found first. Takes no event.
    pub fn find(&self) -> Option<Arc<Server>> {
        let core = &self.machine.core;
        let first = core.servers().next()?;
        core.is_in_order(first.id).then(|| Arc::clone(first))
    }

    /// All that are known: those that are in order first, and otherwise in the order in which they were found.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.machine.core.servers().cloned().collect()
    }

    /// Whether a server is known, was heard lately, and is not doubted.
    pub fn is_in_order(&self, server: ServerId) -> bool {
        self.machine.core.is_in_order(server)
    }

    /// It answered: it does not give way to newcomers.
    pub fn confirm(&mut self, server: ServerId) {
        let now = self.clock.now();
        self.machine.core.confirm(now, server);
    }

    /// It did not answer: it is asked for, and is lost within two seconds when it is silent. Meanwhile others are found first.
    pub fn doubt(&mut self, server: ServerId) {
        let now = self.clock.now();
        self.machine.core.doubt(now, server);
    }

    /// What happened so far.
    pub fn counters(&self) -> SeekerCounters {
        self.machine.core.counters()
    }
}
