//! A bridge for programs with threads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atonce::PeerId;
use atonce::once::{self, bridge};
use atonce::wire::Text;

use super::driver::Driver;
use super::running::{Events, Running};
use super::{BridgeBuilder, BridgeOptions, BridgeStatus, Event, Start};
use crate::StartError;

/// A bridge, running on a thread of its own.
///
/// Every method can be called from any thread. A clone is another handle of the same bridge; when the last one is dropped it says
/// goodbye, as by [`stop`](Bridge::stop). See [the module](super) for an example.
#[derive(Clone)]
pub struct Bridge(Arc<Running<once::Bridge>>);

impl Bridge {
    /// A bridge that is still to be made, on the LAN of this interface, given by name or address.
    pub fn builder(lan: impl Into<String>) -> BridgeBuilder<Self> {
        BridgeBuilder::new(lan)
    }

    /// Its identity: that of its remote node and of its local one.
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// Its public name.
    pub fn name(&self) -> &Text {
        &self.0.name
    }

    /// Where servers and other bridges reach it: an endpoint for each interface in use.
    pub fn endpoints(&self) -> Vec<String> {
        self.0.driver().endpoints()
    }

    /// The UDP port at which beacons come that are sent to it alone; `None` when it is stopped, or the socket has to be made again.
    pub fn port(&self) -> Option<u16> {
        self.0.driver().port()
    }

    /// What happened next; waits for it. `None` when it is stopped and everything was told.
    pub fn recv(&self) -> Option<Event<bridge::Event>> {
        self.0.receive(None)
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event<bridge::Event>> {
        self.0.receive(Some(Duration::ZERO))
    }

    /// What happened next; waits for it as long as `timeout`. `None` when nothing did in all that time, or it is stopped.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event<bridge::Event>> {
        self.0.receive(Some(timeout))
    }

    /// What happens, one after the other, until it is stopped. Whoever takes none loses what comes beyond 4,096, which
    /// [`status`](Bridge::status) counts.
    pub fn events(&self) -> Events<'_, once::Bridge> {
        Events(&self.0)
    }

    /// How it is doing. Takes time in proportion to what it has.
    pub fn status(&self) -> BridgeStatus {
        self.0.driver().status()
    }

    /// Says goodbye to servers, bridges and the LAN, also in the name of the peers of other LANs, and returns when that is done,
    /// after some seconds at most. The events of it, [`Stopped`](Event::Stopped) last, can be received afterwards.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Start<BridgeOptions> for Bridge {
    fn start(options: BridgeOptions) -> Result<Self, StartError> {
        let (driver, poller) = Driver::bridge(options)?;
        Ok(Self(Arc::new(Running::start(driver, poller)?)))
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("id", &self.0.id)
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
