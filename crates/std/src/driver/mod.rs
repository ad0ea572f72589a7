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
mod cut;
mod datagrams;
mod drive;
mod ear;
mod fill;
mod gossip;
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
#[cfg(target_os = "linux")]
mod timer;
mod zap;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::endpoint::Endpoint;
use atonce::socket::Endpoint as SocketEndpoint;
use atonce::wire::gossip::{Key, Value};
use atonce::wire::once::{RelayRole, Ticket};
use atonce::wire::{Frames, Text};
use atonce::zre::{Event, Limits, SendError, Shouted};
use atonce::{Action, Cut, Instant, InterfaceId, LinkId, PeerId, Stack};
use bytes::BytesMut;
use bytes::buf::Limit;
use nix::sys::resource::{Resource, getrlimit};
use zeroize::Zeroizing;

use self::aside::{Aside, Begin};
use self::asker::Asker;
pub(crate) use self::clock::Clock;
pub(crate) use self::cut::is_network_change;
use self::gossip::GossipAside;
use self::keys::Strangers;
use self::links::{Address, Host, Links, Machine, WAKE};
use self::network::{Choice, Network};
pub(crate) use self::resolver::Resolver;
use crate::{Certificate, ConnectError, Contact, Family, Options, StartError, Trust};

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
    ended: bool,
}

impl Machine for Stack {
    type Listener = InterfaceId;

    fn handle_accepted(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        remote: Option<SocketAddr>,
    ) -> Option<LinkId> {
        // A mailbox is on TCP.
        Self::handle_accepted(self, now, interface, remote?)
    }

    fn handle_connected(&mut self, now: Instant, link: LinkId, local: Option<SocketAddr>) {
        if let Some(local) = local {
            Self::handle_connected(self, now, link, local);
        }
    }

    fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        Self::handle_disconnected(self, now, link, cut);
    }

    fn receive_buffer(&mut self, link: LinkId) -> Option<Limit<&mut BytesMut>> {
        Self::receive_buffer(self, link)
    }

    fn handle_filled(&mut self, now: Instant, link: LinkId) {
        Self::handle_filled(self, now, link);
    }

    fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        Self::handle_received(self, now, link, octets);
    }

    fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> {
        Self::poll_transmit(self, link)
    }

    fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) {
        Self::handle_transmitted(self, now, link, octets);
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }

    fn has_event(&self) -> bool {
        Self::has_event(self)
    }
}

impl Driver {
    /// Binds the sockets of a node. Nothing is sent before the first [`turn`](Driver::turn).
    pub fn new(mut options: Options) -> Result<(Self, Poller), StartError> {
        let companions = companions(&mut options)?;
        Self::with_companions(options, companions)
    }

    fn with_companions(
        mut options: Options,
        companions: Vec<Begin>,
    ) -> Result<(Self, Poller), StartError> {
        fit_descriptors(&mut options.config.limits);
        let system = |what| move |source| StartError::System { what, source };
        let poller = Poller::new().map_err(system("a poller"))?;
        let registry = poller.registry().try_clone().map_err(system("a poller"))?;
        let waker = mio::Waker::new(&registry, WAKE).map_err(system("a waker"))?;
        let waker = Arc::new(waker);
        let seed = match options.seed {
            Some(seed) => Zeroizing::new(seed),
            None => random_seed().map_err(system("random octets"))?,
        };
        let clock = Clock::start();
        let beacons = options.config.beacons;
        let choice = Choice {
            wanted: options.interfaces,
            family: options.family,
            groups: options.multicast,
        };
        let decider = options.trust.as_ref().and_then(Trust::decider);
        let asker = decider.map(|decider| Asker::new(decider.clone(), Arc::clone(&waker)));
        let linger = options.config.limits.linger;
        let mut stack = Stack::new(clock.now(), *seed, options.config);
        if !companions.is_empty() {
            stack.copy_events();
        }
        let mut driver = Self {
            links: Links::new(stack, clock, registry),
            resolver: Resolver::new(Arc::clone(&waker)),
            waker,
            network: Network::new(choice, beacons, options.port, options.tcp_ports),
            trust: options.trust,
            asker,
            strangers: Strangers::default(),
            aside: None,
            ended: false,
        };
        driver.start_network()?;
        driver.start_aside(companions, linger)?;
        let now = driver.links.clock.now();
        for group in &options.groups {
            driver.links.machine.join(now, group);
        }
        for group in &options.contested {
            driver.links.machine.contest(now, group);
        }
        for contact in &options.peers {
            let contacted = driver.contact(now, contact);
            contacted.map_err(|source| StartError::Contact {
                endpoint: contact.to_string(),
                source,
            })?;
        }
        tracing::debug!(node = %driver.links.machine.id(), name = %driver.links.machine.name(), "started");
        Ok((driver, poller))
    }

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

    /// Joins a group.
    pub fn join(&mut self, group: &Text) {
        let now = self.links.clock.now();
        let before = self.is_in(group);
        self.links.machine.join(now, group);
        self.sent(now, 0);
        if !before && self.is_in(group) {
            self.with_log(|logger, now| logger.handle_joined(now, group));
        }
    }

    /// Leaves a group.
    pub fn leave(&mut self, group: &Text) {
        let now = self.links.clock.now();
        let before = self.is_in(group);
        self.links.machine.leave(now, group);
        self.sent(now, 0);
        if before && !self.is_in(group) {
            self.with_log(|logger, now| logger.handle_left(now, group));
        }
    }

    /// Whether the node is in a group.
    fn is_in(&self, group: &Text) -> bool {
        self.links.machine.groups().any(|joined| joined == group)
    }

    /// Stands for leader of a group.
    pub fn contest(&mut self, group: &Text) {
        let now = self.links.clock.now();
        self.links.machine.contest(now, group);
        self.sent(now, 0);
    }

    /// Does not stand for leader of a group any more.
    pub fn withdraw(&mut self, group: &Text) {
        let now = self.links.clock.now();
        self.links.machine.withdraw(now, group);
        self.sent(now, 0);
    }

    /// Says something to one peer.
    pub fn whisper(&mut self, peer: PeerId, content: &Frames) -> Result<(), SendError> {
        let now = self.links.moment();
        let octets = content.octets();
        let result = self.links.machine.whisper(now, peer, content);
        self.sent(now, octets);
        result
    }

    /// Says something to everybody in a group.
    pub fn shout(&mut self, group: &Text, content: &Frames) -> Result<Shouted, SendError> {
        let now = self.links.moment();
        let octets = content.octets();
        let result = self.links.machine.shout(now, group, content);
        self.sent(now, octets);
        result
    }

    /// Says something to one member of a group, as a SHOUT that the others do not get. See [`Stack::shout_to`].
    pub fn shout_to(
        &mut self,
        peer: PeerId,
        group: &Text,
        content: &Frames,
    ) -> Result<(), SendError> {
        let now = self.links.moment();
        let octets = content.octets();
        let result = self.links.machine.shout_to(now, peer, group, content);
        self.sent(now, octets);
        result
    }

    /// Asks a peer with a PING, only to know how long its answer takes. See [`Stack::ping`].
    pub fn ping(&mut self, peer: PeerId) -> Result<(), SendError> {
        // What is timed begins now, and not when the clock was looked at last.
        let now = self.links.clock.now();
        let asked = self.links.machine.ping(now, peer);
        self.sent(now, 0);
        asked
    }

    /// Sends beacons to one address, with growing pauses, until the node that is there is met, or
    /// [`unbeacon`](Driver::unbeacon). See [`Stack::beacon`].
    pub fn beacon(&mut self, address: SocketAddr) -> Result<(), ConnectError> {
        let now = self.links.clock.now();
        let sought = self.links.machine.beacon(now, address);
        self.sent(now, 0);
        Ok(sought?)
    }

    /// Sends no more beacons to this address.
    pub fn unbeacon(&mut self, address: SocketAddr) {
        self.links.machine.unbeacon(address);
    }

    /// Tells the node of another, as if its beacon had been heard. See [`Stack::introduce`].
    pub fn introduce(&mut self, id: PeerId, address: SocketAddr, key: Option<PublicKey>) {
        let now = self.links.clock.now();
        self.links.machine.introduce(now, id, address, key);
        self.sent(now, 0);
    }

    /// Makes a link over a relay of @Once, once. See [`Stack::dial_relayed`].
    pub fn dial_relayed(
        &mut self,
        peer: PeerId,
        key: PublicKey,
        relay: SocketAddr,
        ticket: Ticket,
        role: RelayRole,
    ) -> Result<(), ConnectError> {
        let now = self.links.clock.now();
        let dialled = self
            .links
            .machine
            .dial_relayed(now, peer, key, relay, ticket, role);
        self.sent(now, 0);
        Ok(dialled?)
    }

    /// From now on the mailbox at this address is not there for the node. See [`Stack::ignore`].
    pub fn ignore(&mut self, address: SocketAddr) {
        let now = self.links.clock.now();
        self.links.machine.ignore(now, address);
        self.sent(now, 0);
    }

    /// Takes [`ignore`](Driver::ignore) back.
    pub fn heed(&mut self, address: SocketAddr) {
        self.links.machine.heed(address);
    }

    /// Forgets what [`connect`](Driver::connect) asked for. A peer that is here stays. See [`Stack::disconnect`].
    pub fn disconnect(&mut self, endpoint: &Endpoint) {
        let now = self.links.clock.now();
        self.links.machine.disconnect(now, endpoint);
        self.sent(now, 0);
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

    /// Contacts a node, until it answers.
    pub fn connect(&mut self, contact: &Contact) -> Result<(), ConnectError> {
        let now = self.links.clock.now();
        let contacted = self.contact(now, contact);
        self.sent(now, 0);
        contacted
    }

    fn contact(&mut self, now: Instant, contact: &Contact) -> Result<(), ConnectError> {
        let Contact { endpoint, key } = contact;
        match key {
            Some(key) => self.links.machine.connect_with_key(now, endpoint, *key)?,
            None => self.links.machine.connect(now, endpoint)?,
        }
        Ok(())
    }

    /// Says goodbye to all. [`is_ended`](Driver::is_ended) after some more turns.
    pub fn stop(&mut self) {
        let now = self.links.clock.now();
        self.links.machine.stop(now);
        self.wind_up(true);
    }

    /// Ends like [`stop`](Driver::stop), without any goodbye. See [`Stack::retire`].
    pub fn retire(&mut self) {
        let now = self.links.clock.now();
        self.links.machine.retire(now);
        self.wind_up(false);
    }

    fn wind_up(&mut self, goodbye: bool) {
        self.act();
        self.send();
        self.stop_aside(goodbye);
        self.end_if_stopped();
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

impl Host for Driver {
    type Machine = Stack;

    #[inline]
    fn links(&mut self) -> &mut Links<Stack> {
        &mut self.links
    }

    /// Before something that others can see all that was said before it is sent: a goodbye must not come before that.
    fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.links.machine.poll_action() {
            any = true;
            if matches!(
                action,
                Action::Broadcast { .. } | Action::Beacon { .. } | Action::Close { .. }
            ) {
                self.links.flush_all();
            }
            match action {
                Action::Transmit { link } => self.links.transmit(link),
                Action::Broadcast {
                    interface,
                    datagram,
                } => self.broadcast(interface, &datagram),
                Action::Beacon {
                    interface,
                    to,
                    datagram,
                } => self.direct(interface, to, &datagram),
                Action::Dial { link, address } => self.links.dial(link, &Address::Tcp(address)),
                Action::Authenticate { link, key, remote } => self.authenticate(link, &key, remote),
                Action::Pause { link } => self.links.pause(link),
                Action::Resume { link } => self.links.resume(link),
                Action::Close { link } => self.links.close(link),
                Action::Resolve { query, host, port } => {
                    self.resolver.ask(query, host.as_str().to_owned(), port);
                }
                other => tracing::error!(?other, "this adapter is older than the core"),
            }
        }
        any
    }

    fn note_datagrams(&mut self) {
        self.note_beacons();
    }

    fn note_changes(&mut self) {
        self.heed_changes();
    }

    fn note_aside(&mut self, key: usize) {
        self.note_socket_aside(key);
    }

    fn read_datagrams(&mut self) -> usize {
        self.read_beacons()
    }
}

/// What the options ask for that has sockets beside the node.
fn companions(options: &mut Options) -> Result<Vec<Begin>, StartError> {
    let mut companions = Vec::new();
    if let Some(gossip) = options.gossip.take() {
        companions.push(gossip::begin(gossip::Beginning {
            options: gossip,
            keys: options
                .config
                .curve
                .as_ref()
                .map(|curve| curve.keys.clone()),
            trust: options.trust.clone(),
            linger: options.config.limits.linger,
            // Another than the node's, of which it would be known.
            seed: *random_seed().map_err(|source| StartError::System {
                what: "random octets",
                source,
            })?,
        }));
    }
    if let Some(config) = options.log.take() {
        let keys = options.config.curve.as_ref();
        let own = keys.map(|curve| Certificate::new(curve.keys.clone()));
        companions.push(log::begin(config, own, options.groups.clone()));
    }
    Ok(companions)
}

/// Strangers who connect, and hints that are dialled, take a quarter each of the descriptors that the process may have, so
/// that they never keep peers out.
fn fit_descriptors(limits: &mut Limits) {
    if let Some(quarter) = quarter_of_descriptors() {
        limits.unproved_links = limits.unproved_links.min(quarter);
        limits.contacts = limits.contacts.min(quarter);
    }
}

/// A quarter of the descriptors that the process may have, if that is known.
fn quarter_of_descriptors() -> Option<usize> {
    let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let quarter = usize::try_from(descriptors / 4).unwrap_or(usize::MAX);
    Some(quarter.max(1))
}

/// The addresses that a node would use which asks for these interfaces.
pub(crate) fn addresses(wanted: &[String]) -> Result<Vec<IpAddr>, StartError> {
    let listing = interfaces::Listing::read().map_err(StartError::Interfaces)?;
    let selected = listing.select(wanted, Family::Both).into_iter();
    // What is good on one link only would need to be told which.
    let selected = selected.filter(|found| !found.is_link_local());
    Ok(selected.map(|found| found.address).collect())
}

pub(crate) fn random_seed() -> std::io::Result<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut())?;
    Ok(seed)
}
