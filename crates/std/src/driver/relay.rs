//! The relay of @Once on the sockets of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use atonce::once::Relay;
use atonce::once::relay::{Action, Limits};
use atonce::wire::once::Ticket;
use atonce::{Cut, Instant, LinkId};
use bytes::BytesMut;
use bytes::buf::Limit;

use super::clock::Clock;
use super::links::{Host, Links, Listening, Machine};
use super::sockets::listen;
use super::{Poller, quarter_of_descriptors};
use crate::StartError;

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
    links: Links<Relay>,
    /// Where it listens.
    addresses: Vec<SocketAddr>,
}

impl Machine for Relay {
    type Listener = ();

    /// No more than it keeps for the other end.
    const READ_OCTETS: usize = 64 * 1024;

    const ENDS_PAUSED: bool = true;

    fn handle_accepted(
        &mut self,
        now: Instant,
        (): Self::Listener,
        _remote: Option<SocketAddr>,
    ) -> Option<LinkId> {
        Some(Self::handle_accepted(self, now))
    }

    /// It dials nobody.
    fn handle_connected(&mut self, _now: Instant, _link: LinkId, _local: Option<SocketAddr>) {}

    fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        Self::handle_disconnected(self, now, link, cut);
    }

    fn receive_buffer(&mut self, _link: LinkId) -> Option<Limit<&mut BytesMut>> {
        None
    }

    fn handle_filled(&mut self, _now: Instant, _link: LinkId) {}

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
        self.poll_timeout().map(|(at, _)| at)
    }

    fn has_event(&self) -> bool {
        false
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
        let relay = Relay::new(fit(limits));
        let mut driver = Self {
            links: Links::new(relay, Clock::start(), registry),
            addresses: Vec::new(),
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
        let socket = listen(address, &(port..=port))?;
        let address = socket.local_addr()?;
        self.links.listen(Listening::Tcp(socket), |_| ())?;
        tracing::debug!(%address, "the relay listens");
        self.addresses.push(address);
        Ok(())
    }

    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().copied()
    }

    /// See [`Relay::expect`]. Whoever waits for the poller meanwhile need not be woken: a ticket becomes void a little later
    /// then, that is all.
    pub fn expect(&mut self, dialler: Ticket, acceptor: Ticket) -> bool {
        let now = self.links.clock.now();
        self.links.machine.expect(now, dialler, acceptor)
    }

    /// Takes in what the poller found and what became due, and sends what there is to send.
    pub fn turn(&mut self, poller: &mut Poller) {
        self.take(poller);
        let now = self.links.clock.now();
        self.links.keep_accepting(now);
        if self.links.machine.deadline().is_some_and(|at| at <= now) {
            self.links.machine.handle_timeout(now);
        }
        self.read_and_send(now, poller);
    }

    /// How long the poller may wait before the next turn; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        let next = self.links.deadline(None)?;
        Some(next - self.links.clock.now())
    }

    /// The descriptors of the process that it takes.
    pub(crate) fn descriptors(&self) -> usize {
        // A poller, and another descriptor of it to register with.
        2 + self.addresses.len() + self.links.len()
    }

    /// The relay itself, to ask it.
    pub fn relay(&self) -> &Relay {
        &self.links.machine
    }
}

impl Host for RelayDriver {
    type Machine = Relay;

    #[inline]
    fn links(&mut self) -> &mut Links<Relay> {
        &mut self.links
    }

    fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.links.machine.poll_action() {
            any = true;
            match action {
                Action::Transmit { link } => self.links.transmit(link),
                Action::Pause { link } => self.links.pause(link),
                Action::Resume { link } => self.links.resume(link),
                Action::Close { link } => self.links.close(link),
                other => tracing::error!(?other, "this adapter is older than the core"),
            }
        }
        any
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
