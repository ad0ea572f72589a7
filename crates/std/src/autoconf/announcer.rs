//! What announces a server, on a thread.

use std::fmt;
use std::sync::Arc;

use super::driver::{Announcing, Driver};
use super::running::Running;
use super::{
    AnnouncerBuilder, AnnouncerCounters, AnnouncerOptions, AutoconfError, InstanceId, Offer, Start,
};

/// Announces a server, from a thread of its own. It is to be made when the socket of the server is bound.
///
/// Every method can be called from any thread. A clone is another handle of the same; when the last one is dropped it says goodbye,
/// as by [`stop`](Self::stop). [The module](super) has an example.
#[derive(Clone)]
pub struct Announcer(Arc<Running<Announcing>>);

impl Announcer {
    /// One that is still to be made, for a server of this service.
    pub fn builder(service: impl Into<String>) -> AnnouncerBuilder<Self> {
        AnnouncerBuilder::new(service)
    }

    /// Under which instance the server is announced; `None` while there is no address to announce.
    pub fn instance(&self) -> Option<InstanceId> {
        self.0.driver().instance()
    }

    /// What is announced; `None` while there is no address to announce.
    pub fn offer(&self) -> Option<Offer> {
        self.0.driver().offer()
    }

    /// What is announced as soon as that is under another instance than `before`, with that: so it tells when an address comes
    /// (`before` is `None`) and when the addresses change. Waits for it; `None` when it is stopped.
    ///
    /// ```
    /// use atonce_std::autoconf::Announcer;
    ///
    /// let announcer = Announcer::builder("printing").endpoint("tcp://*:50053").interface("lo");
    /// # let announcer = announcer.port(25678);
    /// let announcer = announcer.start()?;
    /// let (instance, offer) = announcer.next_instance(None).expect("it is not stopped");
    /// assert_eq!(offer.endpoints().first(), Some(&"127.0.0.1:50053".parse()?));
    /// let moved = announcer.clone();
    /// let moved = std::thread::spawn(move || moved.next_instance(Some(instance)));
    /// announcer.stop(); // it did not move
    /// assert_eq!(moved.join().expect("it does not panic"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_instance(&self, before: Option<InstanceId>) -> Option<(InstanceId, Offer)> {
        self.0.wait(None, |driver| driver.other_than(before))
    }

    /// What happened so far.
    pub fn counters(&self) -> AnnouncerCounters {
        self.0.driver().counters()
    }

    /// Says goodbye, and returns when that is done: after a tenth of a second, and at most two.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Start<AnnouncerOptions> for Announcer {
    fn start(options: AnnouncerOptions) -> Result<Self, AutoconfError> {
        let running = Running::start(Driver::announcer(options)?, "atonce-announcer")?;
        Ok(Self(Arc::new(running)))
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").finish_non_exhaustive()
    }
}
