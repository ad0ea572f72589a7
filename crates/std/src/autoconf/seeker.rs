//! What finds servers, on a thread.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::driver::{Driver, Seeking};
use super::running::Running;
use super::{
    AutoconfError, Event, SeekerBuilder, SeekerCounters, SeekerOptions, Server, ServerId, Start,
};

/// Knows which servers are there, from a thread of its own.
///
/// Every method can be called from any thread. A clone is another handle of the same; when the last one is dropped it ends.
/// [The module](super) has an example.
#[derive(Clone)]
pub struct Seeker(Arc<Running<Seeking>>);

impl Seeker {
    /// One that is still to be made.
    pub fn builder() -> SeekerBuilder<Self> {
        SeekerBuilder::default()
    }

    /// What happened next; waits for it. `None` when it is stopped and everything was told.
    pub fn recv(&self) -> Option<Event> {
        self.0.wait(None, Driver::poll_event)
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event> {
        self.recv_timeout(Duration::ZERO)
    }

    /// What happened next; waits for it as long as `timeout`. `None` when nothing did in all that time, or it is stopped.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.0.wait(Some(timeout), Driver::poll_event)
    }

    /// What happens, one after the other, until it is stopped. Of a server that was found and lost between two looks nothing is told.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }

    /// A server that is in order, the one that was found first; waits as long as `timeout` for one. `None` when none came in all that time, or it is
    /// stopped. Takes no event.
    pub fn find(&self, timeout: Duration) -> Option<Arc<Server>> {
        self.0.wait(Some(timeout), |driver| driver.find())
    }

    /// All that are known: those that are in order first, and otherwise in the order in which they were found.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.0.driver().servers()
    }

    /// Whether a server is known, was heard lately, and is not doubted.
    pub fn is_in_order(&self, server: ServerId) -> bool {
        self.0.driver().is_in_order(server)
    }

    /// It answered: it does not give way to newcomers.
    pub fn confirm(&self, server: ServerId) {
        self.0.with(|driver| driver.confirm(server));
    }

    /// It did not answer: it is asked for, and is lost within two seconds when it is silent. Meanwhile others are found first.
    pub fn doubt(&self, server: ServerId) {
        self.0.with(|driver| driver.doubt(server));
    }

    /// What happened so far.
    pub fn counters(&self) -> SeekerCounters {
        self.0.driver().counters()
    }

    /// Ends it.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Start<SeekerOptions> for Seeker {
    fn start(options: SeekerOptions) -> Result<Self, AutoconfError> {
        let running = Running::start(Driver::seeker(options)?, "atonce-seeker")?;
        Ok(Self(Arc::new(running)))
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
