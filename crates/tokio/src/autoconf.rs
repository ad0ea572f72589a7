//! Servers that announce themselves, and clients that find them, as tasks of tokio.
//!
//! The same builders, events and errors as in [`atonce_std::autoconf`], which tells about them and about what can be trusted; only that
//! what waits is awaited. An announcer or a seeker is one task, and one entry in the runtime.
//!
//! ```
//! use atonce_tokio::autoconf::{Announcer, Seeker};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?; // first
//! let announcer = Announcer::builder("printing")
//!     .endpoint(format!("tcp://{}", socket.local_addr()?))
//!     .interface("lo") // keeps it on this machine; without it, every interface that is up
//! #   .port(25684)
//!     .start()?;
//! let seeker = Seeker::builder()
//!     .service("printing")
//!     .interface("lo")
//! #   .port(25684)
//!     .start()?;
//! let server = seeker.find().await.expect("it is not stopped");
//! assert_eq!(server.endpoints, [socket.local_addr()?]);
//! announcer.stop().await; // says goodbye
//! # Ok(())
//! # }
//! ```
//!
//! Every future and stream of this module may be dropped at any point, as `select!` does, and loses nothing. How long something is waited
//! for is said with `tokio::time::timeout`.

mod answerer;
mod greeting;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use atonce_std::autoconf::driver::{Announcing, Driver, Machine, Poller, Seeking};
use futures_core::Stream;
use tokio::runtime::Handle as Runtime;

pub use atonce_std::autoconf::{
    AnnouncerBuilder, AnnouncerCounters, AnnouncerOptions, AutoconfError, Event, InstanceId,
    InvalidOffer, Offer, PORT, Reason, SeekerBuilder, SeekerCounters, SeekerOptions, Server,
    ServerId, ServiceName, Start, hello,
};

pub use self::answerer::Answerer;
pub use self::greeting::Hello;
use crate::running::{Place, Running, Turn};

impl<M: Machine> Turn for Driver<M> {
    fn turn(&mut self, poller: &mut Poller) {
        Self::turn(self, poller);
    }

    fn timeout(&self) -> Option<Duration> {
        Self::timeout(self)
    }

    fn has_news(&self) -> bool {
        true // also that somebody is in order no more, which is no event
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

fn start<M: Machine>(
    open: impl FnOnce() -> Result<(Driver<M>, Poller), AutoconfError>,
) -> Result<Arc<Running<Driver<M>>>, AutoconfError> {
    let runtime = Runtime::try_current().map_err(|_| AutoconfError::NoRuntime)?;
    let running = Running::start(open()?, &runtime).map_err(|source| AutoconfError::System {
        what: "a place in the runtime",
        source,
    })?;
    Ok(Arc::new(running))
}

/// Announces a server, as a task of the runtime in which it was started. It is to be made when the socket of the server is bound.
///
/// A clone is another handle of the same; when the last one is dropped it says goodbye and the task ends, soon afterwards. When the
/// runtime shuts down first, it is gone without a goodbye. [The module](self) has an example.
#[derive(Clone)]
pub struct Announcer(Arc<Running<Driver<Announcing>>>);

impl Announcer {
    /// One that is still to be made, for a server of this service. [`start`](AnnouncerBuilder::start) must be called within a runtime.
    pub fn builder(service: impl Into<String>) -> AnnouncerBuilder<Self> {
        AnnouncerBuilder::new(service)
    }

    /// Under which instance the server is announced; `None` while there is no address to announce.
    pub fn instance(&self) -> Option<InstanceId> {
        self.0.lock().driver.instance()
    }

    /// What is announced; `None` while there is no address to announce.
    pub fn offer(&self) -> Option<Offer> {
        self.0.lock().driver.offer()
    }

    /// What is announced as soon as that is under another instance than `before`, with that: so it tells when an address comes
    /// (`before` is `None`) and when the addresses change. `None` when it is stopped.
    ///
    /// ```no_run
    /// use atonce_tokio::autoconf::Announcer;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let announcer = Announcer::builder("printing").endpoint("tcp://*:50053").start()?;
    /// let mut before = None;
    /// while let Some((instance, offer)) = announcer.next_instance(before).await {
    ///     println!("announced at {:?}", offer.endpoints());
    ///     before = Some(instance);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_instance(&self, before: Option<InstanceId>) -> Option<(InstanceId, Offer)> {
        self.0.wait(|driver| driver.other_than(before)).await
    }

    /// What happened so far.
    pub fn counters(&self) -> AnnouncerCounters {
        self.0.lock().driver.counters()
    }

    /// Says goodbye, and is done when that is, after a tenth of a second. The goodbye is begun by the first poll; dropped before it is
    /// done, it stops all the same.
    pub async fn stop(&self) {
        self.0.stop().await;
    }
}

impl Start<AnnouncerOptions> for Announcer {
    fn start(options: AnnouncerOptions) -> Result<Self, AutoconfError> {
        start(|| Driver::announcer(options)).map(Self)
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").finish_non_exhaustive()
    }
}

/// Knows which servers are there, as a task of the runtime in which it was started.
///
/// A clone is another handle of the same; when the last one is dropped the task ends. [The module](self) has an example.
#[derive(Clone)]
pub struct Seeker(Arc<Running<Driver<Seeking>>>);

impl Seeker {
    /// One that is still to be made. [`start`](SeekerBuilder::start) must be called within a runtime.
    pub fn builder() -> SeekerBuilder<Self> {
        SeekerBuilder::default()
    }

    /// What happened next. `None` when it is stopped and everything was told. Dropped before it is done, it has taken nothing.
    pub async fn recv(&self) -> Option<Event> {
        self.0.wait(Driver::poll_event).await
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event> {
        self.0.lock().driver.poll_event()
    }

    /// What happens, one after the other, until it is stopped. Of a server that was found and lost between two looks nothing is told.
    pub fn events(&self) -> Events<'_> {
        Events(Place::new(&self.0))
    }

    /// A server that is in order, the one that was found first; waits for one. `None` when it is stopped. Takes no event.
    pub async fn find(&self) -> Option<Arc<Server>> {
        self.0.wait(|driver| driver.find()).await
    }

    /// All that are known: those that are in order first, and otherwise in the order in which they were found.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.0.lock().driver.servers()
    }

    /// Whether a server is known, was heard lately, and is not doubted.
    pub fn is_in_order(&self, server: ServerId) -> bool {
        self.0.lock().driver.is_in_order(server)
    }

    /// Waits until that is not so, or it is stopped. Takes no event. For who would give up what was begun with that
    /// server: [`Hello`] has an example.
    pub async fn not_in_order(&self, server: ServerId) {
        let look = |driver: &mut Driver<Seeking>| (!driver.is_in_order(server)).then_some(());
        self.0.wait(look).await;
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
        self.0.lock().driver.counters()
    }

    /// Ends it. The end is begun by the first poll; dropped before it is done, it ends all the same.
    pub async fn stop(&self) {
        self.0.stop().await;
    }
}

impl Start<SeekerOptions> for Seeker {
    fn start(options: SeekerOptions) -> Result<Self, AutoconfError> {
        start(|| Driver::seeker(options)).map(Self)
    }
}

impl fmt::Debug for Seeker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeker").finish_non_exhaustive()
    }
}

/// What happens, one after the other, as a stream. See [`Seeker::events`].
#[must_use = "a stream does nothing unless it is polled"]
pub struct Events<'a>(Place<'a, Driver<Seeking>>);

impl Stream for Events<'_> {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().0.poll(cx, Driver::poll_event)
    }
}

impl fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
