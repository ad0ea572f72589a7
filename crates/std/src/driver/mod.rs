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

mod asker;
mod clock;
mod cut;
mod datagrams;
mod fill;
mod inbox;
mod interfaces;
mod keys;
mod links;
mod lull;
mod network;
mod pace;
mod poller;
mod relay;
mod resolver;
mod sockets;
#[cfg(target_os = "linux")]
mod timer;
mod zap;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::endpoint::Endpoint;
use atonce::wire::once::{RelayRole, Ticket};
use atonce::wire::{Frames, Text};
use atonce::zre::{Event, Limits, SendError, Shouted};
use atonce::{Action, Instant, LinkId, PeerId, Stack};
use mio::Token;
use nix::sys::resource::{Resource, getrlimit};
use rustc_hash::FxHashMap;
use slab::Slab;
use zeroize::Zeroizing;

use self::asker::Asker;
pub(crate) use self::clock::Clock;
use self::keys::Strangers;
use self::links::Link;
use self::network::Network;
use self::pace::Pace;
pub(crate) use self::resolver::Resolver;
use crate::{ConnectError, Contact, Options, StartError, Trust};

pub use self::inbox::Inbox;
pub use self::poller::Poller;
pub use self::relay::RelayDriver;

/// See [the module](self).
#[derive(Debug)]
pub struct Driver {
    stack: Stack,
    clock: Clock,
    registry: mio::Registry,
    waker: Arc<mio::Waker>,
    network: Network,
    links: Slab<Link>,
    /// The node itself names its links, so that nobody can choose names that collide.
    link_keys: FxHashMap<LinkId, usize>,
    resolver: Resolver,
    /// What may have something to read. A source stands here at most once (it has a flag that says so).
    unread: VecDeque<Source>,
    /// When something was read last.
    read_at: Instant,
    /// Links that have something to send and are not known to be blocked. Each stands here at most once.
    unsent: VecDeque<usize>,
    pace: Pace,
    /// Whose keys may come in; `None` in a node that is not secure.
    trust: Option<Trust>,
    /// Who asks whoever else decides that; `None` when nobody is to be asked.
    asker: Option<Asker>,
    /// Keys that came and may not, to be told of.
    strangers: Strangers,
    /// How long what is held back, to be written together with more, may wait at most.
    hold: Duration,
    /// How many links could not take all that was written.
    blocked: usize,
    calls: Calls,
    /// Until when the adapter sleeps, if nothing wakes it; `None` while it is awake.
    sleeps_until: Option<Instant>,
    ended: bool,
}

/// How often a driver called the system for what it sends and receives, since its start. What a message costs depends on it more
/// than on all else: see `tests/calls.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Reads of links, also those that found nothing.
    pub reads: u64,
    /// Writes to links.
    pub writes: u64,
    /// Reads of the beacon socket, also those that found nothing.
    pub beacon_reads: u64,
}

/// Something that can be read, by its place in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Beacons,
    Listener(usize),
    Link(usize),
}

const WAKE: Token = Token(0);

/// Octets that are written in a few microseconds.
const A_LITTLE: usize = 4 * 1024;

/// Octets read in one turn that belong to a stream of large messages, or of many.
const MUCH: usize = 32 * 1024;

/// How long what can be read waits for an application that has events to take.
const BEHIND: Duration = Duration::from_millis(1);

impl Source {
    /// A place can be taken again while an event for what stood there before is under way. That event then makes the new
    /// one be looked at for nothing, which is harmless.
    const fn token(self) -> Token {
        match self {
            Self::Beacons => Token(1),
            Self::Listener(key) => Token(2 + 2 * key),
            Self::Link(key) => Token(3 + 2 * key),
        }
    }

    const fn of(token: Token) -> Option<Self> {
        match token.0 {
            0 => None,
            1 => Some(Self::Beacons),
            even if even % 2 == 0 => Some(Self::Listener((even - 2) / 2)),
            odd => Some(Self::Link((odd - 3) / 2)),
        }
    }
}

impl Driver {
    /// Binds the sockets of a node. Nothing is sent before the first [`turn`](Driver::turn).
    pub fn new(mut options: Options) -> Result<(Self, Poller), StartError> {
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
        let decider = options.trust.as_ref().and_then(Trust::decider);
        let asker = decider.map(|decider| Asker::new(decider.clone(), Arc::clone(&waker)));
        let mut driver = Self {
            stack: Stack::new(clock.now(), *seed, options.config),
            clock,
            registry,
            resolver: Resolver::new(Arc::clone(&waker)),
            waker,
            network: Network::new(options.interfaces, beacons, options.port, options.tcp_ports),
            links: Slab::new(),
            link_keys: FxHashMap::default(),
            unread: VecDeque::new(),
            read_at: Instant::ZERO,
            unsent: VecDeque::new(),
            pace: Pace::default(),
            trust: options.trust,
            asker,
            strangers: Strangers::default(),
            hold: Duration::ZERO,
            blocked: 0,
            calls: Calls::default(),
            sleeps_until: None,
            ended: false,
        };
        driver.start_network()?;
        let now = driver.clock.now();
        for group in &options.groups {
            driver.stack.join(now, group);
        }
        for contact in &options.peers {
            let contacted = driver.contact(now, contact);
            contacted.map_err(|source| StartError::Contact {
                endpoint: contact.to_string(),
                source,
            })?;
        }
        tracing::debug!(node = %driver.stack.id(), name = %driver.stack.name(), "started");
        Ok((driver, poller))
    }

    /// Takes in what the poller found and what became due, and sends what there is to send.
    pub fn turn(&mut self, poller: &mut Poller) {
        self.sleeps_until = None;
        if self.ended {
            return;
        }
        poller.take(|event| match Source::of(event.token()) {
            Some(Source::Link(key)) => self.note_link(key, event),
            Some(Source::Listener(key)) => self.note_listener(key),
            Some(Source::Beacons) => self.note_beacons(),
            None => {} // it woke us, that is all
        });
        while let Some(answer) = self.resolver.answer() {
            let now = self.clock.now();
            self.stack
                .handle_resolved(now, answer.number, &answer.addresses);
        }
        self.take_verdicts();
        let now = self.clock.now();
        if self.stack.deadline().is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now);
        }
        self.keep_network(now);
        self.act();
        poller.expects_more = self.read() >= MUCH;
        // Who was woken by something else leaves what is gathered as it is.
        if self.hold == Duration::ZERO || self.pace.is_over(now) {
            self.send();
        }
        if self.stack.is_stopped() {
            self.end();
        }
    }

    /// How long the poller may wait before the next turn; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.deadline().map(|at| at - self.clock.now())
    }

    /// The same as [`timeout`](Driver::timeout), and from now on [`wants_turn`](Driver::wants_turn) tells whether what
    /// happened meanwhile cannot wait that long.
    ///
    /// To be called right after a turn or another call that takes time into account.
    pub fn sleep(&mut self) -> Option<Duration> {
        let now = self.clock.recent();
        let mut deadline = self.deadline();
        if self.hold > Duration::ZERO && self.pace.is_streaming(now) {
            // More will be held back: it is looked after then, without being woken for it.
            deadline = Some(deadline.map_or(now + self.hold, |at| at.min(now + self.hold)));
        }
        self.sleeps_until = Some(deadline.unwrap_or(Instant::from_micros(u64::MAX)));
        deadline.map(|at| at - now)
    }

    /// In a stream of small messages, which are written several at a time, the last ones may wait this long for more to come;
    /// 0, as it is at first, asks for a turn at once. For adapters to which a turn is not cheap, since it needs another thread.
    pub fn hold_back(&mut self, hold: Duration) {
        self.hold = hold;
    }

    /// Whether something is to be sent for which a turn has to look whether it can be, and now is the time to send it.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked > 0 && self.pace.is_over(self.clock.recent())
    }

    /// Whether anything is held back.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends what is held back: for an adapter whose application waits for something now, and has nothing more to say.
    pub fn flush(&mut self) {
        if self.holds_back() {
            self.send();
        }
    }

    /// Whether a command or an event taken made something due before the end of the present sleep. Says so once a sleep.
    #[must_use]
    pub fn wants_turn(&mut self) -> bool {
        let wants = match (self.sleeps_until, self.deadline()) {
            (Some(until), Some(deadline)) => deadline < until,
            _ => false,
        };
        if wants {
            self.sleeps_until = None;
        }
        wants
    }

    /// How often the system was called.
    pub fn calls(&self) -> Calls {
        self.calls
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The present, as the driver saw it in its last [`turn`](Driver::turn) or command.
    pub fn recent(&self) -> Instant {
        self.clock.recent()
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
        let unread = match self.unread.is_empty() {
            true => None,
            false if self.stack.has_event() => Some(self.read_at + BEHIND),
            false => Some(Instant::ZERO),
        };
        let unsent = match self.unsent.is_empty() {
            true => None,
            false => Some(match self.pace.waits_since() {
                Some(since) => since + self.hold,
                None => Instant::ZERO,
            }),
        };
        let stack = self.stack.deadline();
        let network = self.network.deadline(stack);
        [unread, unsent, stack, network].into_iter().flatten().min()
    }

    /// What happened next, if anything did.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let now = self.clock.now();
        let event = self.stack.poll_event(now)?;
        self.note_entered([&event]);
        self.act(); // a link that waited for the application may be read again
        Some(event)
    }

    /// Whether [`poll_event`](Driver::poll_event) has something.
    #[must_use]
    pub fn has_event(&self) -> bool {
        self.stack.has_event()
    }

    /// Whether the node is stopped and every socket closed. Events may still wait to be taken.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Joins a group.
    pub fn join(&mut self, group: &Text) {
        let now = self.clock.now();
        self.stack.join(now, group);
        self.sent(now, 0);
    }

    /// Leaves a group.
    pub fn leave(&mut self, group: &Text) {
        let now = self.clock.now();
        self.stack.leave(now, group);
        self.sent(now, 0);
    }

    /// Says something to one peer.
    pub fn whisper(&mut self, peer: PeerId, content: &Frames) -> Result<(), SendError> {
        let now = self.moment();
        let octets = content.octets();
        let result = self.stack.whisper(now, peer, content);
        self.sent(now, octets);
        result
    }

    /// Says something to everybody in a group.
    pub fn shout(&mut self, group: &Text, content: &Frames) -> Result<Shouted, SendError> {
        let now = self.moment();
        let octets = content.octets();
        let result = self.stack.shout(now, group, content);
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
        let now = self.moment();
        let octets = content.octets();
        let result = self.stack.shout_to(now, peer, group, content);
        self.sent(now, octets);
        result
    }

    /// Sends beacons to one address, with growing pauses, until the node that is there is met, or
    /// [`unbeacon`](Driver::unbeacon). Over IPv4. See [`Stack::beacon`].
    pub fn beacon(&mut self, address: SocketAddr) -> Result<(), ConnectError> {
        let now = self.clock.now();
        let sought = self.stack.beacon(now, address);
        self.sent(now, 0);
        Ok(sought?)
    }

    /// Sends no more beacons to this address.
    pub fn unbeacon(&mut self, address: SocketAddr) {
        self.stack.unbeacon(address);
    }

    /// Tells the node of another, as if its beacon had been heard. See [`Stack::introduce`].
    pub fn introduce(&mut self, id: PeerId, address: SocketAddr, key: Option<PublicKey>) {
        let now = self.clock.now();
        self.stack.introduce(now, id, address, key);
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
        let now = self.clock.now();
        let dialled = self.stack.dial_relayed(now, peer, key, relay, ticket, role);
        self.sent(now, 0);
        Ok(dialled?)
    }

    /// From now on the mailbox at this address is not there for the node. See [`Stack::ignore`].
    pub fn ignore(&mut self, address: SocketAddr) {
        let now = self.clock.now();
        self.stack.ignore(now, address);
        self.sent(now, 0);
    }

    /// Takes [`ignore`](Driver::ignore) back.
    pub fn heed(&mut self, address: SocketAddr) {
        self.stack.heed(address);
    }

    /// Forgets what [`connect`](Driver::connect) asked for. A peer that is here stays. See [`Stack::disconnect`].
    pub fn disconnect(&mut self, endpoint: &Endpoint) {
        let now = self.clock.now();
        self.stack.disconnect(now, endpoint);
        self.sent(now, 0);
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
        let now = self.clock.now();
        let contacted = self.contact(now, contact);
        self.sent(now, 0);
        contacted
    }

    fn contact(&mut self, now: Instant, contact: &Contact) -> Result<(), ConnectError> {
        let Contact { endpoint, key } = contact;
        match key {
            Some(key) => self.stack.connect_with_key(now, endpoint, *key)?,
            None => self.stack.connect(now, endpoint)?,
        }
        Ok(())
    }

    /// Says goodbye to all. [`is_ended`](Driver::is_ended) after some more turns.
    pub fn stop(&mut self) {
        let now = self.clock.now();
        self.stack.stop(now);
        self.wind_up();
    }

    /// Ends like [`stop`](Driver::stop), without any goodbye. See [`Stack::retire`].
    pub fn retire(&mut self) {
        let now = self.clock.now();
        self.stack.retire(now);
        self.wind_up();
    }

    fn wind_up(&mut self) {
        self.act();
        self.send();
        if self.stack.is_stopped() {
            self.end();
        }
    }

    /// The node itself, to ask it.
    pub fn stack(&self) -> &Stack {
        &self.stack
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
        3 + self.network.descriptors() + self.links.len()
    }

    /// When something is said.
    #[inline]
    fn moment(&mut self) -> Instant {
        if self.pace.may_guess() {
            self.clock.recent()
        } else {
            self.clock.now()
        }
    }

    /// After a command: does what it made the stack ask for, now or, in a burst, with what follows.
    fn sent(&mut self, now: Instant, octets: usize) {
        self.act();
        let links = self.unsent.len();
        if links == 0 {
            return;
        }
        if self.pace.is_due(now, octets, links) {
            self.send();
            // A little to one link takes so little that it need not be known before it comes often.
            if links > 1 || octets > A_LITTLE || !self.pace.is_calm() {
                self.pace.wrote(now, self.clock.now());
            }
        }
    }

    /// Does what the stack asks for in its order, except that what is to be sent is only noted, until something follows
    /// that others can see: a goodbye must not come before what was said before it. Whether there was anything.
    fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.stack.poll_action() {
            any = true;
            if matches!(
                action,
                Action::Broadcast { .. } | Action::Beacon { .. } | Action::Close { .. }
            ) {
                self.flush_all();
            }
            match action {
                Action::Transmit { link } => {
                    if let Some(&key) = self.link_keys.get(&link) {
                        self.note_unsent(key);
                    }
                }
                Action::Broadcast {
                    interface,
                    datagram,
                } => self.broadcast(interface, &datagram),
                Action::Beacon {
                    interface,
                    to,
                    datagram,
                } => self.direct(interface, to, &datagram),
                Action::Dial { link, address } => self.dial(link, address),
                Action::Authenticate { link, key, remote } => self.authenticate(link, &key, remote),
                Action::Pause { link } => self.pause(link),
                Action::Resume { link } => self.resume(link),
                Action::Close { link } => self.close(link),
                Action::Resolve { query, host, port } => {
                    self.resolver.ask(query, host.as_str().to_owned(), port);
                }
                other => tracing::error!(?other, "this adapter is older than the core"),
            }
        }
        any
    }

    /// Reads every source that has something, each within its budget, until the budget of the turn is spent. How many octets came.
    fn read(&mut self) -> usize {
        let mut budget = links::TURN_OCTETS;
        self.read_at = self.clock.recent();
        for _ in 0..self.unread.len() {
            let Some(source) = self.unread.pop_front() else {
                break;
            };
            let octets = match source {
                Source::Link(key) => self.read_link(key, budget),
                Source::Listener(key) => self.accept(key, budget),
                Source::Beacons => self.read_beacons(),
            };
            if octets > 0 {
                self.pace.rest();
            }
            budget = budget.saturating_sub(octets);
            if budget == 0 {
                break;
            }
        }
        links::TURN_OCTETS.saturating_sub(budget)
    }

    /// Sends what every link has to send, each within its budget.
    fn send(&mut self) {
        self.flush_all();
        self.act();
    }

    fn flush_all(&mut self) {
        for _ in 0..self.unsent.len() {
            let Some(key) = self.unsent.pop_front() else {
                break;
            };
            self.flush_link(key);
        }
        self.pace.clear(); // what is left has had its share of this turn, and goes on at once
    }

    /// Closes every socket without a goodbye, for an adapter that is itself ended. Peers find the links cut.
    pub fn abandon(&mut self) {
        if !self.ended {
            tracing::debug!(node = %self.stack.id(), "abandoned");
            self.end();
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.unread.clear();
        self.unsent.clear();
        self.links.clear();
        self.link_keys.clear();
        self.network.close();
        self.asker = None;
        tracing::debug!(node = %self.stack.id(), "stopped");
    }
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
    let selected = listing.select(wanted).into_iter();
    Ok(selected.map(|found| found.address).collect())
}

pub(crate) fn random_seed() -> std::io::Result<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut())?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_source() {
        assert_eq!(Source::of(WAKE), None);
        for source in [
            Source::Beacons,
            Source::Listener(0),
            Source::Link(0),
            Source::Listener(7),
            Source::Link(7),
        ] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
