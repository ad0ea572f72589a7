//! Servers and bridges of @Once, as tasks of tokio.
//!
//! The same builders, events and limits as in [`atonce_std::once`], which tells about them; only that [`recv`](Bridge::recv) and
//! [`stop`](Bridge::stop) are awaited. A bridge with all its nodes is one task, and one entry in the runtime.
//!
//! ```no_run
//! use atonce_tokio::once::{Bridge, Event, Secret, bridge};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bridge = Bridge::builder("eth0")
//!     .server("meet.example.org".parse()?)
//!     .secret(Secret::new("what both households know")?)
//!     .start()?;
//! while let Some(event) = bridge.recv().await {
//!     if let Event::Once(bridge::Event::Enter { name, .. }) = event {
//!         println!("{name} is here, from elsewhere");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atonce::PeerId;
use atonce::once;
use atonce::wire::Text;
use atonce_std::StartError;
use atonce_std::once::driver::{Driver, Machine, Poller};
use tokio::runtime::Handle as Runtime;

pub use atonce_std::once::{
    BridgeBuilder, BridgeOptions, BridgeStatus, EmptySecret, Event, FarPeer, InvalidServerAddress,
    Limits, Member, PORT, RELAY_PORT, RelayStatus, Role, Secret, SecretError, ServerAddress,
    ServerBuilder, ServerOptions, ServerStatus, Start, Which, bridge, load_secret, relay, server,
};

use crate::running::{Running, Turn};

/// All handles of one server or bridge share it; its end is the end of that.
struct Handle<M: Machine> {
    running: Running<Driver<M>>,
    id: PeerId,
    name: Text,
}

impl<M: Machine> Handle<M> {
    fn start(made: (Driver<M>, Poller), runtime: &Runtime) -> Result<Arc<Self>, StartError> {
        let (driver, _) = &made;
        let (id, name) = (driver.id(), driver.name().clone());
        let running = Running::start(made, runtime).map_err(|source| StartError::System {
            what: "a place in the runtime",
            source,
        })?;
        Ok(Arc::new(Self { running, id, name }))
    }
}

impl<M: Machine> Turn for Driver<M> {
    fn turn(&mut self, poller: &mut Poller) {
        Self::turn(self, poller);
    }

    fn timeout(&self) -> Option<Duration> {
        Self::timeout(self)
    }

    fn has_news(&self) -> bool {
        self.has_event()
    }

    fn is_ended(&self) -> bool {
        Self::is_ended(self)
    }

    fn stop(&mut self) {
        Self::stop(self);
    }

    fn abandon(&mut self) {
        Self::abandon(self);
    }
}

impl<M: Machine> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn runtime() -> Result<Runtime, StartError> {
    Runtime::try_current().map_err(|_| StartError::NoRuntime)
}

/// A bridge, running as a task of the runtime in which it was started. See [the module](self).
///
/// A clone is another handle of the same bridge; when the last one is dropped it says goodbye and the task ends, soon afterwards.
/// When the runtime shuts down first, it is gone without a goodbye.
#[derive(Clone, Debug)]
pub struct Bridge(Arc<Handle<once::Bridge>>);

/// A server, running as a task of the runtime in which it was started. See [the module](self).
///
/// A clone is another handle of the same server; when the last one is dropped it says goodbye and the task ends, soon afterwards.
/// When the runtime shuts down first, it is gone without a goodbye.
#[derive(Clone, Debug)]
pub struct Server(Arc<Handle<once::Server>>);

impl Bridge {
    /// A bridge that is still to be made, on the LAN of this interface, given by name or address.
    /// [`start`](BridgeBuilder::start) must be called within a runtime.
    pub fn builder(lan: impl Into<String>) -> BridgeBuilder<Self> {
        BridgeBuilder::new(lan)
    }

    /// How it is doing. Takes time in proportion to what it has.
    pub fn status(&self) -> BridgeStatus {
        self.0.running.lock().driver.status()
    }
}

impl Server {
    /// A server that is still to be made. [`start`](ServerBuilder::start) must be called within a runtime.
    pub fn builder() -> ServerBuilder<Self> {
        ServerBuilder::default()
    }

    /// How it is doing. Takes time in proportion to what it has.
    pub fn status(&self) -> ServerStatus {
        self.0.running.lock().driver.status()
    }
}

/// The methods that both handles have.
macro_rules! handle {
    ($kind:ident, $event:ty) => {
        impl $kind {
            /// Its identity.
            pub fn id(&self) -> PeerId {
                self.0.id
            }

            /// Its public name.
            pub fn name(&self) -> &Text {
                &self.0.name
            }

            /// Where servers and bridges reach it: an endpoint for each interface in use.
            pub fn endpoints(&self) -> Vec<String> {
                self.0.running.lock().driver.endpoints()
            }

            /// The UDP port at which beacons come that are sent to it alone; `None` when it is stopped, or the socket has to be
            /// made again.
            pub fn port(&self) -> Option<u16> {
                self.0.running.lock().driver.port()
            }

            /// What happened next. `None` when it is stopped and everything was told. Dropped before it is done, it has taken
            /// nothing. Whoever takes none loses what comes beyond 4,096, which the status counts.
            pub async fn recv(&self) -> Option<Event<$event>> {
                self.0.running.wait(Driver::poll_event).await
            }

            /// What happened next, if anything did.
            pub fn try_recv(&self) -> Option<Event<$event>> {
                self.0.running.lock().driver.poll_event()
            }

            /// Says goodbye to all, and is done when that is, after some seconds at most. The events of it,
            /// [`Stopped`](Event::Stopped) last, can be received afterwards. The goodbye is said by the first poll; dropped
            /// before it is done, it stops all the same.
            pub async fn stop(&self) {
                self.0.running.stop().await;
            }
        }
    };
}

handle!(Bridge, bridge::Event);
handle!(Server, server::Event);

impl Start<BridgeOptions> for Bridge {
    fn start(options: BridgeOptions) -> Result<Self, StartError> {
        let runtime = runtime()?;
        Handle::start(Driver::bridge(options)?, &runtime).map(Self)
    }
}

impl Start<ServerOptions> for Server {
    fn start(options: ServerOptions) -> Result<Self, StartError> {
        let runtime = runtime()?;
        Handle::start(Driver::server(options)?, &runtime).map(Self)
    }
}
