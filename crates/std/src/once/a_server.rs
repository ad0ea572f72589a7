//! A server for programs with threads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atonce::PeerId;
use atonce::once::{self, server};
use atonce::wire::Text;

use super::driver::Driver;
use super::running::{Events, Running};
use super::{Event, ServerBuilder, ServerOptions, ServerStatus, Start};
use crate::StartError;

/// A server, running on a thread of its own: where bridges meet. It carries nothing of what they say to each other, and may go
/// when they have met.
///
/// Every method can be called from any thread. A clone is another handle of the same server; when the last one is dropped it says
/// goodbye, as by [`stop`](Server::stop).
///
/// ```
/// use atonce_std::once::{Event, Secret, Server};
///
/// let server = Server::builder()
///     .name("meet")
///     .interface("lo")
///     .port(0) // any that is free; bridges are told another one than 5671
///     .secret(Secret::new("what all bridges know")?)
///     .start()?;
/// assert_eq!(server.endpoints().len(), 1);
/// assert!(server.status().members.is_empty());
/// server.stop();
/// assert_eq!(server.events().last(), Some(Event::Stopped));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Server(Arc<Running<once::Server>>);

impl Server {
    /// A server that is still to be made.
    pub fn builder() -> ServerBuilder<Self> {
        ServerBuilder::default()
    }

    /// Its identity.
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// Its public name.
    pub fn name(&self) -> &Text {
        &self.0.name
    }

    /// Where bridges reach it: an endpoint for each interface in use.
    pub fn endpoints(&self) -> Vec<String> {
        self.0.driver().endpoints()
    }

    /// The UDP port at which beacons come that are sent to it alone; `None` when it is stopped, or the socket has to be made again.
    pub fn port(&self) -> Option<u16> {
        self.0.driver().port()
    }

    /// What happened next; waits for it. `None` when it is stopped and everything was told.
    pub fn recv(&self) -> Option<Event<server::Event>> {
        self.0.receive(None)
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event<server::Event>> {
        self.0.receive(Some(Duration::ZERO))
    }

    /// What happened next; waits for it as long as `timeout`. `None` when nothing did in all that time, or it is stopped.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event<server::Event>> {
        self.0.receive(Some(timeout))
    }

    /// What happens, one after the other, until it is stopped. Whoever takes none loses what comes beyond 4,096, which
    /// [`status`](Server::status) counts.
    pub fn events(&self) -> Events<'_, once::Server> {
        Events(&self.0)
    }

    /// How it is doing. Takes time in proportion to what it has.
    pub fn status(&self) -> ServerStatus {
        self.0.driver().status()
    }

    /// Says goodbye to the bridges, and returns when that is done, after some seconds at most. The events of it,
    /// [`Stopped`](Event::Stopped) last, can be received afterwards.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Start<ServerOptions> for Server {
    fn start(options: ServerOptions) -> Result<Self, StartError> {
        let (driver, poller) = Driver::server(options)?;
        Ok(Self(Arc::new(Running::start(driver, poller)?)))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.0.id)
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
