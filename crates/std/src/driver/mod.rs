//! One node on the sockets of this machine: the loop that every adapter shares.
//!
//! A [`Driver`] owns the [`Stack`] and its sockets. It reads what the sockets have into the stack, does what the stack asks
//! for, and keeps the list of interfaces. It has no thread and never waits: that is the [`Poller`]'s part, which needs no
//! access to the driver meanwhile. So an adapter is a loop around two calls,
//!
//! ```no_run
//! use atonce_std::Builder;
//! use atonce_std::driver::Driver;
//!
//! let (mut driver, mut poller) = Driver::new(Builder::<()>::default().interface("lo").options()?)?;
//! while !driver.is_ended() {
//!     poller.wait(driver.timeout())?;
//!     driver.turn(&mut poller);
//!     while let Some(event) = driver.poll_event() {
//!         println!("{event:?}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! and commands may be given between them, from any thread that holds the driver's lock.
//!
//! # Why edge-triggered
//!
//! Each socket is registered once in its life, for reading and writing, and reported once per change. What is left unread
//! or unsent is remembered here, in two queues. So a turn costs one system call for readiness, however often a link
//! blocks, is paused or is resumed: interest is never changed. (Measured beside it, a poller with level-triggered events costs
//! five system calls a turn.)
//!
//! # What a turn may cost
//!
//! A link is read for at most 128 KiB (or one read) and written for at most 1 MiB before the next one has its turn, and all
//! links together are read for at most 256 KiB before the adapter gets the control back. Whatever remains makes
//! [`timeout`](Driver::timeout) zero, or a millisecond while there are events to take: so the application is not made to fall
//! behind more than it does by itself, and peers are heard all the same.

mod aside;
mod asker;
mod changes;
mod clock;
mod commands;
mod cut;
mod datagrams;
mod drive;
mod ear;
mod fill;
mod gossip;
mod hosting;
mod inbox;
pub(crate) mod interfaces;
mod keys;
mod links;
mod log;
mod lull;
mod network;
mod pace;
mod poller;
mod relay;
mod resolver;
mod socket;
mod sockets;
mod start;
#[cfg(target_os = "linux")]
mod timer;
mod zap;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::socket::Endpoint as SocketEndpoint;
use atonce::wire::gossip::{Key, Value};
use atonce::zre::Event;
use atonce::{Instant, Stack};

use self::aside::Aside;
use self::asker::Asker;
pub(crate) use self::clock::Clock;
pub(crate) use self::cut::is_network_change;
use self::gossip::{GossipAside, Means};
use self::keys::Strangers;
use self::links::{Host, Links};
use self::network::Network;
pub(crate) use self::resolver::Resolver;
use self::start::quarter_of_descriptors;
pub(crate) use self::start::{addresses, random_seed};
use crate::Trust;

pub use self::drive::Drive;
pub use self::inbox::{Empty, Inbox};
pub use self::links::Calls;
pub use self::poller::Poller;
pub use self::relay::RelayDriver;
pub use self::socket::SocketDriver;

/// See [the module](self).
#[derive(Debug)]
pub struct Driver {
    links: Links<Stack>,
    waker: Arc<mio::Waker>,
    network: Network,
    resolver: Resolver,
    /// Whose keys may come in; `None` in a node that is not secure.
    trust: Option<Trust>,
    /// Who asks whoever else decides that; `None` when nobody is to be asked.
    asker: Option<Asker>,
    /// Keys that came and may not, to be told of.
    strangers: Strangers,
    /// What has sockets beside the node; `None` when nothing has. Boxed: most nodes do without.
    aside: Option<Box<Aside>>,
    gossip: Means,
    ended: bool,
}

impl Driver {
    /// Takes in what the poller found and what became due, and sends what there is to send.
    pub fn turn(&mut self, poller: &mut Poller) {
        self.links.awake();
        if self.ended {
            return;
        }
        self.take(poller);
        while let Some(answer) = self.resolver.answer() {
            let now = self.links.clock.now();
            self.links
                .machine
                .handle_resolved(now, answer.number, &answer.addresses);
        }
        self.take_verdicts();
        let now = self.links.clock.now();
        if self.links.machine.deadline().is_some_and(|at| at <= now) {
            self.links.machine.handle_timeout(now);
        }
        self.links.keep_accepting(now);
        self.keep_network(now);
        self.read_and_send(now, poller);
        self.turn_aside(now);
        self.end_if_stopped();
    }

    /// How long the poller may wait before the next turn; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.deadline().map(|at| at - self.links.clock.now())
    }

    /// The same as [`timeout`](Driver::timeout), and from now on [`wants_turn`](Driver::wants_turn) tells whether what
    /// happened meanwhile cannot wait that long.
    ///
    /// To be called right after a turn or another call that takes time into account.
    pub fn sleep(&mut self) -> Option<Duration> {
        let rest = self.rest();
        if self.ended {
            return None;
        }
        self.links.sleep(rest)
    }

    /// In a stream of small messages, which are written several at a time, the last ones may wait this long for more to come;
    /// 0, as it is at first, asks for a turn at once. For adapters to which a turn is not cheap, since it needs another thread.
    pub fn hold_back(&mut self, hold: Duration) {
        self.links.hold_back(hold);
    }

    /// Whether something is to be sent for which a turn has to look whether it can be, and now is the time to send it.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.links.is_blocked()
    }

    /// Whether anything is held back.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.links.holds_back()
    }

    /// Sends what is held back: for an adapter whose application waits for something now, and has nothing more to say.
    pub fn flush(&mut self) {
        self.flush_held();
    }

    /// Whether a command or an event taken made something due before the end of the present sleep. Says so once a sleep.
    #[must_use]
    pub fn wants_turn(&mut self) -> bool {
        let rest = self.rest();
        !self.ended && self.links.wants_turn(rest)
    }

    /// How often the system was called.
    pub fn calls(&self) -> Calls {
        self.links.calls
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.links.clock.now()
    }

    /// The present, as the driver saw it in its last [`turn`](Driver::turn) or command.
    pub fn recent(&self) -> Instant {
        self.links.clock.recent()
    }

    /// Ends the poller's wait.
    pub fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake the node");
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        self.links.deadline(self.rest())
    }

    /// When there is something to do beside the stack and its links.
    fn rest(&self) -> Option<Instant> {
        let network = self.network.deadline(self.links.machine.deadline());
        let Some(aside) = &self.aside else {
            return network;
        };
        [network, aside.due()].into_iter().flatten().min()
    }

    /// What happened next, if anything did.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let now = self.links.clock.now();
        let event = self.links.machine.poll_event(now)?;
        self.note_entered([&event]);
        self.act(); // a link that waited for the application may be read again
        Some(event)
    }

    /// Whether [`poll_event`](Driver::poll_event) has something.
    #[must_use]
    pub fn has_event(&self) -> bool {
        self.links.machine.has_event()
    }

    /// Whether the node is stopped and every socket closed. Events may still wait to be taken.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Where others come for gossip, with the ports that the system chose; none when the node is no hub.
    pub fn gossip_endpoints(&mut self) -> Vec<SocketEndpoint> {
        let endpoints =
            self.with_companion(|_, gossip: &mut GossipAside, around| gossip.endpoints(around));
        endpoints.unwrap_or_default()
    }

    /// The tuples of gossip that hold, ours among them, in the order of their keys.
    pub fn tuples(&mut self) -> Vec<(Key, Value)> {
        let tuples = self.with_companion(|_, gossip: &mut GossipAside, _| {
            let tuples = gossip.tuples();
            tuples
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        });
        tuples.unwrap_or_default()
    }

    /// The UDP port on which the node hears beacons; `None` when it hears none, or cannot at the moment.
    pub fn beacon_port(&self) -> Option<u16> {
        self.ear_port()
    }

    /// Where the mailboxes are bound: one for each interface in use.
    pub fn mailboxes(&self) -> impl Iterator<Item = SocketAddr> {
        self.bound_mailboxes()
    }

    fn end_if_stopped(&mut self) {
        if self.links.machine.is_stopped() && self.is_aside_ended() {
            self.end();
        }
    }

    /// The node itself, to ask it.
    pub fn stack(&self) -> &Stack {
        &self.links.machine
    }

    /// From now on interfaces are looked at seldom, or [when that is asked for](Self::look_at_interfaces).
    pub(crate) fn look_seldom(&mut self) {
        self.network.look_seldom();
    }

    /// Looks at the interfaces with the next turn.
    pub(crate) fn look_at_interfaces(&mut self) {
        self.network.look_now();
    }

    /// The descriptors of the process that it takes.
    pub(crate) fn descriptors(&self) -> usize {
        // A poller, another descriptor of it to register with, and what wakes it.
        let aside = self.aside.as_ref().map_or(0, |aside| aside.descriptors());
        3 + self.network.descriptors() + self.links.len() + aside
    }

    /// Closes every socket without a goodbye, for an adapter that is itself ended. Peers find the links cut.
    pub fn abandon(&mut self) {
        if !self.ended {
            tracing::debug!(node = %self.links.machine.id(), "abandoned");
            self.end();
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.links.clear();
        self.network.close();
        self.asker = None;
        self.aside = None;
        tracing::debug!(node = %self.links.machine.id(), "stopped");
    }
}

impl Drive for Driver {
    type Item = Event;
    type Refusal = Infallible;

    fn turn(&mut self, poller: &mut Poller) {
        Self::turn(self, poller);
    }

    fn sleep(&mut self) -> Option<Duration> {
        Self::sleep(self)
    }

    fn wants_turn(&mut self) -> bool {
        Self::wants_turn(self)
    }

    fn hold_back(&mut self, hold: Duration) {
        Self::hold_back(self, hold);
    }

    fn is_blocked(&self) -> bool {
        Self::is_blocked(self)
    }

    fn holds_back(&self) -> bool {
        Self::holds_back(self)
    }

    fn held(&self) -> usize {
        self.links.held()
    }

    fn flush(&mut self) {
        Self::flush(self);
    }

    fn now(&self) -> Instant {
        Self::now(self)
    }

    fn recent(&self) -> Instant {
        Self::recent(self)
    }

    fn wake(&self) {
        Self::wake(self);
    }

    fn has_event(&self) -> bool {
        Self::has_event(self)
    }

    fn fill(&mut self, now: Instant, events: &mut VecDeque<Event>) -> Result<(), Infallible> {
        self.take_events(now, events);
        Ok(())
    }

    fn is_last(event: &Event) -> bool {
        matches!(event, Event::Stopped)
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
