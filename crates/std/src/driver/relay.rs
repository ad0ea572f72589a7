//! The relay of @Once on the sockets of this machine.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use atonce::once::Relay;
use atonce::once::relay::{Action, Limits};
use atonce::wire::once::Ticket;
use atonce::{Cut, Instant, LinkId};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Token};
use rustc_hash::FxHashMap;
use slab::Slab;
use smallvec::SmallVec;
use socket2::SockRef;

use super::clock::Clock;
use super::cut::{cut, is_shortage};
use super::links::{WITHOUT_SIGNAL, with_scratch};
use super::sockets::listen;
use super::{Poller, quarter_of_descriptors};
use crate::StartError;

/// What is read of a link before the next one has its turn, in octets: no more than the relay keeps for the other end.
const READ_OCTETS: usize = 64 * 1024;

/// Connections accepted before others have their turn.
const ACCEPTS: usize = 64;

/// How long nothing is accepted when there was no descriptor for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A [`Relay`] with its sockets: as a [`Driver`](super::Driver) is to a stack, it has no thread and never waits.
///
/// Links that do not belong to a pair take at most a quarter of the descriptors that the process may have, and those of pairs
/// another: what the [`Limits`] allow beyond is refused.
///
/// ```no_run
/// use atonce::wire::once::Ticket;
/// use atonce_std::driver::RelayDriver;
///
/// let (mut driver, mut poller) = RelayDriver::new(&[], 5673, Default::default())?;
/// # let tickets = [1, 2].map(|n| Ticket::from_bytes([n; 32]));
/// driver.expect(tickets[0], tickets[1]);
/// loop {
///     poller.wait(driver.timeout())?;
///     driver.turn(&mut poller);
/// }
/// # #[expect(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RelayDriver {
    relay: Relay,
    clock: Clock,
    registry: mio::Registry,
    listeners: Vec<Listener>,
    links: Slab<Link>,
    /// The relay itself names its links, so that nobody can choose names that collide.
    link_keys: FxHashMap<LinkId, usize>,
    /// What may have something to read. A source stands here at most once.
    unread: VecDeque<Source>,
    /// Links that have something to send and are not known to be blocked. Each stands here at most once.
    unsent: VecDeque<usize>,
    /// Until when nothing is accepted.
    accept_at: Option<Instant>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    readable: bool,
    in_unread: bool,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    stream: TcpStream,
    /// It was not read until it had no more.
    readable: bool,
    in_unread: bool,
    writable: bool,
    in_unsent: bool,
    /// The relay does not want to read it now.
    paused: bool,
    /// The other side, or an error, ended the connection: it is to be read to its end, which is near.
    ending: bool,
    /// What writing failed with. What came before is read first.
    cut: Option<Cut>,
}

/// Something that can be read, by its place in its table.
#[derive(Clone, Copy, Debug)]
enum Source {
    Listener(usize),
    Link(usize),
}

impl Source {
    /// The poller keeps 0 for itself.
    const fn token(self) -> Token {
        match self {
            Self::Listener(key) => Token(2 + 2 * key),
            Self::Link(key) => Token(3 + 2 * key),
        }
    }

    const fn of(token: Token) -> Option<Self> {
        match token.0 {
            0 | 1 => None,
            even if even % 2 == 0 => Some(Self::Listener((even - 2) / 2)),
            odd => Some(Self::Link((odd - 3) / 2)),
        }
    }
}

impl RelayDriver {
    /// Listens on this port of these addresses, or of all that this machine has when none is given; 0 stands for any port that is
    /// free, for each address another.
    ///
    /// # Errors
    ///
    /// [`StartError::Mailbox`] when it cannot listen there, and [`StartError::System`] without a poller.
    pub fn new(
        addresses: &[IpAddr],
        port: u16,
        limits: Limits,
    ) -> Result<(Self, Poller), StartError> {
        let system = |source| StartError::System {
            what: "a poller",
            source,
        };
        let poller = Poller::new().map_err(system)?;
        let registry = poller.registry().try_clone().map_err(system)?;
        let mut driver = Self {
            relay: Relay::new(fit(limits)),
            clock: Clock::start(),
            registry,
            listeners: Vec::new(),
            links: Slab::new(),
            link_keys: FxHashMap::default(),
            unread: VecDeque::new(),
            unsent: VecDeque::new(),
            accept_at: None,
        };
        let everywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
        let addresses = if addresses.is_empty() {
            &everywhere
        } else {
            addresses
        };
        for &address in addresses {
            let listening = driver.listen_on(address, port);
            listening.map_err(|source| StartError::Mailbox {
                interface: "the relay".to_owned(),
                address,
                ports: port..=port,
                source,
            })?;
        }
        Ok((driver, poller))
    }

    fn listen_on(&mut self, address: IpAddr, port: u16) -> io::Result<()> {
        let mut socket = listen(address, &(port..=port))?;
        let address = socket.local_addr()?;
        let token = Source::Listener(self.listeners.len()).token();
        self.registry
            .register(&mut socket, token, Interest::READABLE)?;
        tracing::debug!(%address, "the relay listens");
        self.listeners.push(Listener {
            socket,
            address,
            readable: false,
            in_unread: false,
        });
        Ok(())
    }

    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|listener| listener.address)
    }

    /// See [`Relay::expect`]. Whoever waits for the poller meanwhile need not be woken: a ticket becomes void a little later
    /// then, that is all.
    pub fn expect(&mut self, dialler: Ticket, acceptor: Ticket) -> bool {
        let now = self.clock.now();
        self.relay.expect(now, dialler, acceptor)
    }

    /// Takes in what the poller found and what became due, and sends what there is to send.
    pub fn turn(&mut self, poller: &mut Poller) {
        poller.take(|event| match Source::of(event.token()) {
            Some(Source::Link(key)) => self.note_link(key, event),
            Some(Source::Listener(key)) => {
                if let Some(listener) = self.listeners.get_mut(key) {
                    listener.readable = true;
                }
            }
            None => {} // it is time, that is all
        });
        let now = self.clock.now();
        if self.accept_at.is_some_and(|at| at <= now) {
            self.accept_at = None;
        }
        if self.relay.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.relay.handle_timeout(now);
            self.act();
        }
        for key in 0..self.listeners.len() {
            self.note_unread_listener(key);
        }
        for _ in 0..self.unread.len() {
            match self.unread.pop_front() {
                Some(Source::Link(key)) => self.read_link(key),
                Some(Source::Listener(key)) => self.accept(key),
                None => break,
            }
        }
        for _ in 0..self.unsent.len() {
            if let Some(key) = self.unsent.pop_front() {
                self.flush_link(key);
                self.act();
            }
        }
    }

    /// How long the poller may wait before the next turn; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        let busy = !self.unread.is_empty() || !self.unsent.is_empty();
        let busy = busy.then_some(Instant::ZERO);
        let relay = self.relay.poll_timeout().map(|(at, _)| at);
        let next = [busy, relay, self.accept_at].into_iter().flatten().min()?;
        Some(next - self.clock.now())
    }

    /// The descriptors of the process that it takes.
    pub(crate) fn descriptors(&self) -> usize {
        // A poller, and another descriptor of it to register with.
        2 + self.listeners.len() + self.links.len()
    }

    /// The relay itself, to ask it.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Does what the relay asks for.
    fn act(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Transmit { link } => {
                    if let Some(&key) = self.link_keys.get(&link) {
                        self.note_unsent(key);
                    }
                }
                Action::Pause { link } => {
                    if let Some(link) = self.link_mut(link) {
                        link.paused = true;
                    }
                }
                Action::Resume { link } => {
                    if let Some(&key) = self.link_keys.get(&link) {
                        if let Some(link) = self.links.get_mut(key) {
                            link.paused = false;
                        }
                        self.note_unread_link(key);
                    }
                }
                Action::Close { link } => {
                    if let Some(key) = self.link_keys.remove(&link) {
                        self.links.try_remove(key);
                        tracing::debug!(%link, "closed");
                    }
                }
                other => tracing::error!(?other, "this adapter is older than the core"),
            }
        }
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(*self.link_keys.get(&id)?)
    }

    /// The poller reported a link.
    fn note_link(&mut self, key: usize, event: &Event) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        link.ending |= event.is_read_closed() || event.is_error();
        link.readable |= event.is_readable() || link.ending;
        if event.is_writable() && link.cut.is_none() {
            link.writable = true;
            self.note_unsent(key);
        }
        self.note_unread_link(key);
    }

    fn note_unread_link(&mut self, key: usize) {
        if let Some(link) = self.links.get_mut(key)
            && link.readable
            && !link.paused
            && !link.in_unread
        {
            link.in_unread = true;
            self.unread.push_back(Source::Link(key));
        }
    }

    fn note_unread_listener(&mut self, key: usize) {
        if self.accept_at.is_none()
            && let Some(listener) = self.listeners.get_mut(key)
            && listener.readable
            && !listener.in_unread
        {
            listener.in_unread = true;
            self.unread.push_back(Source::Listener(key));
        }
    }

    fn note_unsent(&mut self, key: usize) {
        if let Some(link) = self.links.get_mut(key)
            && link.writable
            && !link.in_unsent
        {
            link.in_unsent = true;
            self.unsent.push_back(key);
        }
    }

    fn accept(&mut self, key: usize) {
        if let Some(listener) = self.listeners.get_mut(key) {
            listener.in_unread = false;
        }
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get_mut(key) else {
                return;
            };
            match listener.socket.accept() {
                Ok((stream, remote)) => {
                    let now = self.clock.recent();
                    let id = self.relay.handle_accepted(now);
                    tracing::debug!(%id, %remote, "accepted");
                    match self.add_link(id, stream) {
                        Ok(key) => self.note_unread_link(key),
                        Err(error) => {
                            tracing::debug!(%id, %error, "cannot use it");
                            self.relay.handle_disconnected(now, id, cut(&error));
                        }
                    }
                    self.act();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    listener.readable = false;
                    return;
                }
                Err(error) if is_shortage(&error) => {
                    tracing::warn!(%error, "the relay cannot accept connections; trying again");
                    self.accept_at = Some(self.clock.recent() + ACCEPT_PAUSE);
                    return;
                }
                // It was reset before it was accepted, or the like: the next one may be well.
                Err(error) => tracing::debug!(%error, "cannot accept a connection"),
            }
        }
        self.note_unread_listener(key);
    }

    fn add_link(&mut self, id: LinkId, mut stream: TcpStream) -> io::Result<usize> {
        stream.set_nodelay(true)?;
        let entry = self.links.vacant_entry();
        let key = entry.key();
        let token = Source::Link(key).token();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream, token, interest)?;
        entry.insert(Link {
            id,
            stream,
            readable: true,
            in_unread: false,
            writable: true,
            in_unsent: false,
            paused: false,
            ending: false,
            cut: None,
        });
        self.link_keys.insert(id, key);
        Ok(key)
    }

    /// Reads a link once, and puts it behind the others when there may be more.
    fn read_link(&mut self, key: usize) {
        if let Some(link) = self.links.get_mut(key) {
            link.in_unread = false;
        }
        with_scratch(|scratch| {
            let room = READ_OCTETS.min(scratch.len());
            self.read_into(key, scratch.get_mut(..room).unwrap_or_default());
        });
        self.act();
        self.note_unread_link(key);
    }

    fn read_into(&mut self, key: usize, scratch: &mut [u8]) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        if !link.readable || link.paused {
            return;
        }
        let id = link.id;
        match link.stream.read(scratch) {
            Ok(0) => {
                let cut = link.cut.unwrap_or(Cut::Closed);
                self.disconnect(key, cut);
            }
            Ok(came) => {
                // Less than there was room for: the socket is empty, and something new will be reported. An end that was
                // reported already will not be reported again.
                link.readable = came == scratch.len() || link.ending;
                let now = self.clock.recent();
                let octets = scratch.get(..came).unwrap_or_default();
                self.relay.handle_received(now, id, octets);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                link.readable = false;
                if let Some(cut) = link.cut {
                    self.disconnect(key, cut);
                }
            }
            Err(error) => {
                tracing::debug!(%id, %error, "cut");
                let cut = link.cut.unwrap_or(cut(&error));
                self.disconnect(key, cut);
            }
        }
    }

    /// Writes what waits for a link, which is little.
    fn flush_link(&mut self, key: usize) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        link.in_unsent = false;
        while link.writable {
            let slices: SmallVec<[IoSlice<'_>; 2]> = self
                .relay
                .poll_transmit(link.id)
                .map(IoSlice::new)
                .collect();
            let octets: usize = slices.iter().map(|slice| slice.len()).sum();
            if octets == 0 {
                return;
            }
            let socket = SockRef::from(&link.stream);
            let result = socket.send_vectored_with_flags(&slices, WITHOUT_SIGNAL);
            drop(slices);
            match result {
                Ok(taken) => {
                    // Less than was offered: the socket is full, and room will be reported.
                    link.writable = taken == octets;
                    let now = self.clock.recent();
                    self.relay.handle_transmitted(now, link.id, taken);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => link.writable = false,
                Err(error) => {
                    tracing::debug!(id = %link.id, %error, "cannot write");
                    link.writable = false;
                    let cut = cut(&error);
                    if link.paused {
                        // Whoever is slow may never take what made it be paused, and then its end would not be found.
                        return self.disconnect(key, cut);
                    }
                    link.cut = Some(cut);
                    link.ending = true;
                    link.readable = true;
                    return self.note_unread_link(key);
                }
            }
        }
    }

    /// The relay is told that it is gone; what it asks for then is left to whoever calls this.
    fn disconnect(&mut self, key: usize, cut: Cut) {
        if let Some(link) = self.links.try_remove(key) {
            self.link_keys.remove(&link.id);
            let now = self.clock.recent();
            self.relay.handle_disconnected(now, link.id, cut);
        }
    }
}

/// What the process has descriptors for.
fn fit(mut limits: Limits) -> Limits {
    if let Some(quarter) = quarter_of_descriptors() {
        limits.strangers = limits.strangers.min(quarter);
        limits.pairs = limits.pairs.min((quarter / 2).max(1));
    }
    limits
}
