//! A ZMTP socket on the sockets of this machine.

mod listening;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atonce::socket::{
    Action, ConnectId, Endpoint, Event, Host as Machinery, ListenerId, RecvError, SendError, Socket,
};
use atonce::zmtp::{Credentials, Denial, Verdict};
use atonce::{Bytes, Cut, Frames, Instant, LinkId};
use bytes::BytesMut;
use bytes::buf::Limit;
use rustc_hash::FxHashMap;

use self::listening::{Place, listen};
use super::asker::Asker;
use super::clock::Clock;
use super::inbox::OCTETS;
use super::links::{Address, Calls, Host, Links, Machine, WAKE};
use super::{Drive, Poller, Resolver, quarter_of_descriptors, random_seed};
use crate::Trust;
use crate::socket::{SocketError, SocketOptions};

/// A [`Socket`] with its sockets: as a [`Driver`](super::Driver) is to a stack, it has no thread and never waits.
///
/// ```
/// use atonce_std::driver::SocketDriver;
/// use atonce_std::socket::{Kind, SocketBuilder};
///
/// let options = || SocketBuilder::<()>::new(Kind::Pair).options();
/// let (mut one, mut its_poller) = SocketDriver::new(options()?)?;
/// let (mut other, mut poller) = SocketDriver::new(options()?)?;
/// let endpoint = one.bind(&"tcp://127.0.0.1:0".parse()?)?;
/// other.connect(&endpoint)?;
/// other.send(&"hello".into())?;
/// let message = loop {
///     for (driver, poller) in [(&mut one, &mut its_poller), (&mut other, &mut poller)] {
///         poller.wait(Some(std::time::Duration::from_millis(1)))?;
///         driver.turn(poller);
///     }
///     if let Some(message) = one.recv()? {
///         break message;
///     }
/// };
/// assert_eq!(message[0], "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SocketDriver {
    links: Links<Served>,
    waker: Arc<mio::Waker>,
    resolver: Resolver,
    /// Links whose hosts are being looked up.
    resolving: FxHashMap<u64, LinkId>,
    /// How often an address of a name was tried in vain for as long as may be, while there were others.
    stuck: usize,
    places: BTreeMap<ListenerId, Place>,
    /// What came of the last `bind`, when nothing did.
    refused: Option<SocketError>,
    /// Where was bound and connected, as it was said, to take it back.
    bound: Vec<(Endpoint, ListenerId)>,
    connected: Vec<(Endpoint, ConnectId)>,
    trust: Option<Trust>,
    asker: Option<Asker>,
    /// The next event, so that it can be seen that there is one.
    news: Option<Event>,
    /// Whether what was sent is to arrive after all is closed.
    lingers: bool,
    closing: bool,
    ended: bool,
}

/// The machine, and what is between it and its links: the addresses of a name are tried one after the other.
#[derive(Debug)]
pub(super) struct Served {
    socket: Socket,
    /// Further addresses of what is being dialled, the next one last.
    others: FxHashMap<LinkId, Vec<SocketAddr>>,
    /// Links whose address did not answer, and the next one.
    again: Vec<(LinkId, SocketAddr)>,
}

impl Machine for Served {
    type Listener = ListenerId;

    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: ListenerId,
        remote: Option<SocketAddr>,
    ) -> Option<LinkId> {
        // Who comes over IPv4 to a socket of IPv6 has an address of that.
        let plain = |remote: SocketAddr| SocketAddr::new(remote.ip().to_canonical(), remote.port());
        self.socket
            .handle_accepted(now, listener, remote.map(plain))
    }

    fn handle_connected(&mut self, now: Instant, link: LinkId, _local: Option<SocketAddr>) {
        self.others.remove(&link);
        self.socket.handle_connected(now, link);
    }

    fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        if !self.others.is_empty()
            && let Some(others) = self.others.get_mut(&link)
        {
            if let Some(next) = others.pop() {
                self.again.push((link, next));
                return;
            }
            self.others.remove(&link);
        }
        self.socket.handle_disconnected(now, link, cut);
    }

    fn receive_buffer(&mut self, link: LinkId) -> Option<Limit<&mut BytesMut>> {
        self.socket.receive_buffer(link)
    }

    fn handle_filled(&mut self, now: Instant, link: LinkId) {
        self.socket.handle_filled(now, link);
    }

    fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        self.socket.handle_received(now, link, octets);
    }

    fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> {
        self.socket.poll_transmit(link)
    }

    fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) {
        self.socket.handle_transmitted(now, link, octets);
    }

    fn deadline(&self) -> Option<Instant> {
        self.socket.deadline()
    }

    fn has_event(&self) -> bool {
        self.socket.can_recv()
    }
}

impl SocketDriver {
    /// Makes the socket, and binds and connects it as the options say. Nothing is sent before the first [`turn`](Self::turn).
    ///
    /// Links that are not through with their handshake take at most a quarter of the descriptors that the process may have.
    ///
    /// # Errors
    ///
    /// What was asked for cannot be done. Nothing of the socket is left.
    pub fn new(mut options: SocketOptions) -> Result<(Self, Poller), SocketError> {
        if let Some(quarter) = quarter_of_descriptors() {
            options.config.unready_links = options.config.unready_links.min(quarter);
        }
        let system = |what| move |source| SocketError::System { what, source };
        let poller = Poller::new().map_err(system("a poller"))?;
        let registry = poller.registry().try_clone().map_err(system("a poller"))?;
        let waker = mio::Waker::new(&registry, WAKE).map_err(system("a waker"))?;
        let waker = Arc::new(waker);
        let seed = match options.seed {
            Some(seed) => zeroize::Zeroizing::new(seed),
            None => random_seed().map_err(system("random octets"))?,
        };
        let clock = Clock::start();
        let decider = match (&options.trust, &options.passwords) {
            (Some(trust), _) => trust.decider().cloned(),
            (None, Some(passwords)) => Some(passwords.decider()),
            (None, None) => None,
        };
        let asker = decider.map(|decider| Asker::new(decider, Arc::clone(&waker)));
        let lingers = !options.config.linger.is_zero();
        let socket = Socket::new(clock.now(), *seed, options.kind, options.config);
        let served = Served {
            socket,
            others: FxHashMap::default(),
            again: Vec::new(),
        };
        let mut driver = Self {
            links: Links::new(served, clock, registry),
            resolver: Resolver::new(Arc::clone(&waker)),
            waker,
            resolving: FxHashMap::default(),
            stuck: 0,
            places: BTreeMap::new(),
            refused: None,
            bound: Vec::new(),
            connected: Vec::new(),
            trust: options.trust,
            asker,
            news: None,
            lingers,
            closing: false,
            ended: false,
        };
        for prefix in options.subscriptions {
            driver.subscribe(prefix)?;
        }
        for endpoint in &options.binds {
            driver.bind(endpoint)?;
        }
        for endpoint in &options.connects {
            driver.connect(endpoint)?;
        }
        Ok((driver, poller))
    }

    /// Takes in what the poller found and what became due, and sends what there is to send.
    pub fn turn(&mut self, poller: &mut Poller) {
        self.links.awake();
        if self.ended {
            return;
        }
        self.take(poller);
        self.take_addresses();
        self.take_verdicts();
        let now = self.links.clock.now();
        if self.socket().deadline().is_some_and(|at| at <= now) {
            self.links.machine.socket.handle_timeout(now);
        }
        self.links.keep_accepting(now);
        self.links.keep_parting(now);
        self.read_and_send(now, poller);
        self.end_if_closed();
    }

    /// How long the poller may wait before the next turn; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        let deadline = self.links.deadline(None)?;
        Some(deadline - self.links.clock.now())
    }

    /// See [`Driver::hold_back`](super::Driver::hold_back).
    pub fn hold_back(&mut self, hold: Duration) {
        self.links.hold_back(hold);
    }

    /// Sends what is held back.
    pub fn flush(&mut self) {
        self.flush_held();
    }

    /// How often the system was called.
    pub fn calls(&self) -> Calls {
        self.links.calls
    }

    /// The descriptors of the process that it takes.
    pub(crate) fn descriptors(&self) -> usize {
        // A poller, another descriptor of it to register with, and what wakes it.
        3 + self.places.len() + self.links.len()
    }

    /// Our own address of a link over TCP that is up.
    pub(crate) fn local_address(&self, link: LinkId) -> Option<SocketAddr> {
        self.links.local_address(link)
    }

    /// The socket itself, to ask it.
    pub fn socket(&self) -> &Socket {
        &self.links.machine.socket
    }

    /// Whether it was [closed](Self::close): what was sent may still be on its way.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether it is closed, with all its links.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// What happened to it and its links next, if anything did.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let next = self.links.machine.socket.poll_event();
        std::mem::replace(&mut self.news, next).or_else(|| self.news.take())
    }

    /// Listens; gives where it really is, with the port that the system chose.
    ///
    /// # Errors
    ///
    /// It cannot be listened there, and is not.
    pub fn bind(&mut self, endpoint: &Endpoint) -> Result<Endpoint, SocketError> {
        let now = self.links.clock.now();
        let socket = &mut self.links.machine.socket;
        let listener = socket
            .bind(now, endpoint)
            .map_err(|_| SocketError::Closed)?;
        self.sent(now, 0);
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        let real = {
            let mut endpoints = self.socket().endpoints();
            let real = endpoints.find(|(bound, _)| *bound == listener);
            real.map_or_else(|| endpoint.clone(), |(_, real)| real.clone())
        };
        self.bound.push((endpoint.clone(), listener));
        Ok(real)
    }

    /// Listens there no more: the endpoint as it was asked for, or as it really is. Links that came through it stay.
    ///
    /// # Errors
    ///
    /// It is not listened there.
    pub fn unbind(&mut self, endpoint: &Endpoint) -> Result<(), SocketError> {
        let listener = self.listener(endpoint).ok_or_else(|| unknown(endpoint))?;
        let now = self.links.clock.now();
        self.bound.retain(|(_, bound)| *bound != listener);
        self.links.machine.socket.unbind(now, listener);
        self.sent(now, 0);
        Ok(())
    }

    fn listener(&self, endpoint: &Endpoint) -> Option<ListenerId> {
        let asked = self.bound.iter().find(|(asked, _)| asked == endpoint);
        let asked = asked.map(|(_, listener)| *listener);
        asked.or_else(|| {
            let mut endpoints = self.socket().endpoints();
            let real = endpoints.find(|(_, real)| *real == endpoint);
            real.map(|(listener, _)| listener)
        })
    }

    /// Dials, again and again.
    ///
    /// # Errors
    ///
    /// It cannot be dialled.
    pub fn connect(&mut self, endpoint: &Endpoint) -> Result<(), SocketError> {
        let now = self.links.clock.now();
        let connected = self.links.machine.socket.connect(now, endpoint);
        let connect = connected.map_err(|source| SocketError::Connect {
            endpoint: endpoint.to_string(),
            source,
        })?;
        self.connected.push((endpoint.clone(), connect));
        self.sent(now, 0);
        Ok(())
    }

    /// Dials it no more; of several that were connected there, the first.
    ///
    /// # Errors
    ///
    /// It is not dialled.
    pub fn disconnect(&mut self, endpoint: &Endpoint) -> Result<(), SocketError> {
        let mut connected = self.connected.iter();
        let place = connected.position(|(asked, _)| asked == endpoint);
        let place = place.ok_or_else(|| unknown(endpoint))?;
        let (_, connect) = self.connected.remove(place);
        let now = self.links.clock.now();
        self.links.machine.socket.disconnect(now, connect);
        self.sent(now, 0);
        Ok(())
    }

    /// Sends a message, or queues it. It never waits. See [`Socket::send`].
    ///
    /// # Errors
    ///
    /// Nothing was sent.
    pub fn send(&mut self, message: &Frames) -> Result<(), SendError> {
        let now = self.links.moment();
        let octets = message.octets();
        let result = self.links.machine.socket.send(now, message);
        self.sent(now, octets);
        result
    }

    /// Takes the next message that came, if there is one. See [`Socket::recv`].
    ///
    /// # Errors
    ///
    /// There is none, and will be none until something changes.
    pub fn recv(&mut self) -> Result<Option<Frames>, RecvError> {
        let now = self.links.clock.now();
        let result = self.links.machine.socket.recv(now);
        self.sent(now, 0);
        result
    }

    /// Wants messages that begin with this. See [`Socket::subscribe`].
    ///
    /// # Errors
    ///
    /// Nothing changed.
    pub fn subscribe(&mut self, prefix: impl Into<Bytes>) -> Result<(), SocketError> {
        let now = self.links.clock.now();
        let result = self.links.machine.socket.subscribe(now, prefix);
        self.sent(now, 0);
        Ok(result?)
    }

    /// Takes one such wish back. See [`Socket::unsubscribe`].
    ///
    /// # Errors
    ///
    /// Nothing changed.
    pub fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        let now = self.links.clock.now();
        let result = self.links.machine.socket.unsubscribe(now, prefix);
        self.sent(now, 0);
        Ok(result?)
    }

    /// Gives up what is under way. See [`Socket::reset`].
    pub fn reset(&mut self) {
        let now = self.links.clock.now();
        self.links.machine.socket.reset(now);
        self.sent(now, 0);
    }

    /// Ends the socket; [`is_ended`](Self::is_ended) after some more turns. See [`Socket::close`].
    pub fn close(&mut self) {
        if self.ended {
            return;
        }
        self.closing = true;
        let now = self.links.clock.now();
        self.links.machine.socket.close(now);
        self.act();
        self.send_all();
        self.end_if_closed();
    }

    fn send_all(&mut self) {
        Host::send(self);
    }

    fn end_if_closed(&mut self) {
        if self.socket().is_closed() && !self.links.is_parting() {
            self.end();
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.links.clear();
        self.places.clear();
        self.asker = None;
        tracing::debug!(kind = %self.socket().kind(), "closed");
    }

    // ---- what the socket asks for

    fn listen(&mut self, listener: ListenerId, endpoint: &Endpoint) {
        let now = self.links.clock.recent();
        let listening = listen(endpoint).and_then(|(socket, place, real)| {
            let listening = self.links.listen(socket, |_| listener);
            let (key, _) = listening.map_err(|source| SocketError::Listen {
                endpoint: endpoint.to_string(),
                source,
            })?;
            Ok((key, place, real))
        });
        match listening {
            Ok((key, place, real)) => {
                tracing::debug!(endpoint = %real, "listening");
                self.places.insert(listener, place.at(key));
                self.links
                    .machine
                    .socket
                    .handle_listening(now, listener, real);
            }
            Err(error) => {
                tracing::debug!(%error, "not listening");
                let detail = error.to_string();
                self.refused = Some(error);
                self.links
                    .machine
                    .socket
                    .handle_listen_failed(now, listener, &detail);
            }
        }
    }

    fn unlisten(&mut self, listener: ListenerId) {
        if let Some(place) = self.places.remove(&listener) {
            self.links.unlisten(place.key());
        }
        self.bound.retain(|(_, bound)| *bound != listener);
    }

    fn dial(&mut self, link: LinkId, endpoint: &Endpoint) {
        let address = match endpoint {
            Endpoint::Tcp {
                host: Machinery::Name(name),
                port,
            } => {
                self.resolving.insert(link.as_u64(), link);
                self.resolver
                    .ask(link.as_u64(), name.as_str().to_owned(), *port);
                return;
            }
            Endpoint::Ipc(path) => listening::address(path).map(Address::Unix),
            endpoint => match endpoint.socket_address() {
                Some(address) => Ok(Address::Tcp(address)),
                None => Err(std::io::ErrorKind::AddrNotAvailable.into()),
            },
        };
        match address {
            Ok(address) => self.links.dial(link, &address),
            Err(error) => {
                tracing::debug!(%endpoint, %error, "cannot dial");
                let now = self.links.clock.recent();
                self.links
                    .machine
                    .handle_disconnected(now, link, Cut::Unreachable);
            }
        }
    }

    /// Dials what was looked up.
    fn take_addresses(&mut self) {
        while let Some(answer) = self.resolver.answer() {
            let Some(link) = self.resolving.remove(&answer.number) else {
                continue; // it is not wanted any more
            };
            let now = self.links.clock.now();
            let mut addresses = answer.addresses;
            // One after the other is tried; the next one comes last.
            addresses.reverse();
            if !addresses.is_empty() {
                let first = self.stuck % addresses.len();
                addresses.rotate_right(first);
            }
            let Some(first) = addresses.pop() else {
                self.links
                    .machine
                    .handle_disconnected(now, link, Cut::Unreachable);
                continue;
            };
            if !addresses.is_empty() {
                self.links.machine.others.insert(link, addresses);
            }
            self.links.dial(link, &Address::Tcp(first));
        }
    }

    fn close_link(&mut self, link: LinkId) {
        self.resolving.remove(&link.as_u64());
        let machine = &mut self.links.machine;
        if machine
            .others
            .remove(&link)
            .is_some_and(|others| !others.is_empty())
        {
            // The time for it was over before the address said no: the next time another one has its turn.
            self.stuck += 1;
        }
        machine.again.retain(|(again, _)| *again != link);
        if self.lingers {
            self.links.part(link, self.closing);
        } else {
            self.links.close(link);
        }
    }

    /// Answers the socket, which asks whether somebody may come in; later, if somebody else is to be asked.
    fn authenticate(&mut self, link: LinkId, credentials: Credentials, remote: &Endpoint) {
        // Of a Unix socket it is this machine, and no port.
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let remote = remote.socket_address().unwrap_or(nowhere);
        if let Some(asker) = &mut self.asker {
            asker.ask(link, credentials, remote);
            return;
        }
        let verdict = match (&mut self.trust, &credentials) {
            (Some(trust), Credentials::Curve(key)) => match trust.allows(key) {
                Ok(true) => Verdict::Allow,
                Ok(false) => {
                    tracing::debug!(%key, %remote, "not trusted");
                    Verdict::Deny(Denial::Refused)
                }
                Err(error) => {
                    tracing::error!(%error, "nobody new is let in");
                    // It may come again when this is mended.
                    Verdict::Deny(Denial::Temporary)
                }
            },
            // Nothing says who may come in.
            _ => Verdict::Deny(Denial::Internal),
        };
        let now = self.links.clock.recent();
        self.links.machine.socket.handle_verdict(now, link, verdict);
    }

    /// Hands on what somebody else decided meanwhile.
    fn take_verdicts(&mut self) {
        while let Some(answer) = self.asker.as_mut().and_then(Asker::answer) {
            let now = self.links.clock.now();
            self.links
                .machine
                .socket
                .handle_verdict(now, answer.link, answer.verdict);
        }
    }
}

fn unknown(endpoint: &Endpoint) -> SocketError {
    SocketError::Unknown {
        endpoint: endpoint.to_string(),
    }
}

impl Host for SocketDriver {
    type Machine = Served;

    #[inline]
    fn links(&mut self) -> &mut Links<Served> {
        &mut self.links
    }

    fn act(&mut self) -> bool {
        let mut any = false;
        loop {
            while let Some(action) = self.links.machine.socket.poll_action() {
                any = true;
                match action {
                    Action::Transmit { link } => self.links.transmit(link),
                    Action::Pause { link } => self.links.pause(link),
                    Action::Resume { link } => self.links.resume(link),
                    Action::Close { link } => self.close_link(link),
                    Action::Dial { link, endpoint } => self.dial(link, &endpoint),
                    Action::Listen { listener, endpoint } => self.listen(listener, &endpoint),
                    Action::Unlisten { listener } => self.unlisten(listener),
                    Action::Authenticate {
                        link,
                        credentials,
                        remote,
                    } => self.authenticate(link, credentials, &remote),
                    other => tracing::error!(?other, "this adapter is older than the core"),
                }
            }
            let Some((link, address)) = self.links.machine.again.pop() else {
                break;
            };
            self.links.dial(link, &Address::Tcp(address));
        }
        if self.news.is_none() {
            self.news = self.links.machine.socket.poll_event();
        }
        any
    }
}

impl Drive for SocketDriver {
    type Item = Frames;
    type Refusal = RecvError;

    const REFUSES: bool = true;

    fn turn(&mut self, poller: &mut Poller) {
        Self::turn(self, poller);
    }

    fn sleep(&mut self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        self.links.sleep(None)
    }

    fn wants_turn(&mut self) -> bool {
        !self.ended && self.links.wants_turn(None)
    }

    fn hold_back(&mut self, hold: Duration) {
        Self::hold_back(self, hold);
    }

    fn is_blocked(&self) -> bool {
        self.links.is_blocked()
    }

    fn holds_back(&self) -> bool {
        self.links.holds_back()
    }

    fn held(&self) -> usize {
        self.links.held()
    }

    fn flush(&mut self) {
        Self::flush(self);
    }

    fn now(&self) -> Instant {
        self.links.clock.now()
    }

    fn recent(&self) -> Instant {
        self.links.clock.recent()
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake the socket");
        }
    }

    fn has_event(&self) -> bool {
        self.socket().can_recv()
    }

    fn fill(&mut self, now: Instant, messages: &mut VecDeque<Frames>) -> Result<(), RecvError> {
        let filled = self.links.machine.socket.recv_many(now, OCTETS, messages);
        self.act(); // links that waited for the application may be read again
        filled
    }

    fn is_last(_message: &Frames) -> bool {
        false
    }

    fn has_news(&self) -> bool {
        self.news.is_some()
    }

    fn is_ended(&self) -> bool {
        self.ended
    }

    fn stop(&mut self) {
        self.close();
    }

    fn abandon(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}
