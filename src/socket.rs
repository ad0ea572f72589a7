//! ZMTP sockets: one pattern with all its peers, over octets.
//!
//! A [`Socket`] is what libzmq calls so, as a machine: PUSH, PULL, REQ, REP, DEALER, ROUTER, PUB, SUB, XPUB, XSUB and PAIR (RFC 28 to 31)
//! over any number of links, dialled and accepted. It has the same verbs as [`Stack`](crate::Stack): octets and time go in, actions and
//! events come out. `atonce-std` and `atonce-tokio` have sockets that are ready to use.
//!
//! ```text
//!        send ▼  ▲ recv
//!   ┌───────────────────────────────────────────────┐
//!   │ pattern   to whom, from whom, whose turn it is │  one file each
//!   ├───────────────────────────────────────────────┤
//!   │ pipes     queues, limits, turns                │  one for each peer that is there or was connected
//!   ├───────────────────────────────────────────────┤
//!   │ links     dialled, accepted, made anew         │  a zmtp::Connection each
//!   └───────────────────────────────────────────────┘
//!             octets ▼  ▲ octets
//! ```
//!
//! # What is promised
//!
//! - Messages between two sockets arrive whole, in order and at most once, as long as their link lives. What had not left this socket
//!   when a link ended is counted: [`Event::Disconnected`]. What waits for somebody who was connected and is not there waits on.
//! - Every queue is bounded, in messages and octets. A full one is told to the caller, or costs a slow subscriber messages.
//! - A peer that sends faster than the application takes fills its own queue, and is not read until there is room again. The others
//!   get their turn after each of its messages.
//! - No peer can end more than its own link. Too many links, or too many strangers, are turned away; nobody who is ready loses his place.

mod action;
mod answering;
mod changes;
mod config;
mod connecting;
mod dealer;
mod endpoint;
mod error;
mod event;
#[cfg(any(test, feature = "fuzz"))]
mod invariants;
mod kind;
mod pair;
mod passing;
mod pattern;
mod peers;
mod pipe;
mod prefixes;
mod publisher;
mod pull;
mod push;
mod rep;
mod req;
mod router;
mod subscriber;
#[cfg(test)]
mod tests;
mod view;
mod wish;

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use bytes::BytesMut;
use bytes::buf::Limit;

pub use self::action::{Action, ConnectId, ListenerId, Timer};
pub use self::config::{Backoff, Config, QueueLimit, Security, SubscriptionLimit};
pub use self::endpoint::{Endpoint, Host, InvalidEndpoint, IpcPath};
pub use self::error::{BindError, ConnectError, RecvError, SendError, SubscribeError};
pub use self::event::{Event, Why};
pub use self::kind::{InvalidKind, Kind};
use self::pattern::{Behaviour, Pattern};
use self::peers::Peers;
use self::pipe::{Pipe, PipeId};
pub use self::view::{Counters, PeerView, Usage};
use crate::net::{Cut, LinkId};
use crate::wire::Frames;
use crate::zmtp::{Connection, Verdict};
use crate::{Bytes, Instant};

/// One ZMTP socket of a pattern, with all its peers, over octets: an adapter adds only sockets, a clock and entropy.
///
/// | the embedder calls | when |
/// |---|---|
/// | `handle_*` | something happened: octets, connections, time |
/// | [`poll_action`](Self::poll_action) | after each of these and each command, until `None` |
/// | [`poll_transmit`](Self::poll_transmit), [`handle_transmitted`](Self::handle_transmitted) | after [`Action::Transmit`], and whenever the connection can be written to again |
/// | [`recv`](Self::recv), [`send`](Self::send) | as the application wants; then `poll_action` again |
/// | [`poll_timeout`](Self::poll_timeout) | to know when to call [`handle_timeout`](Self::handle_timeout) |
///
/// No call blocks, and none panics on what came from the network. `now` must not run backwards. The same seed and the same inputs give
/// the same outputs.
///
/// ```
/// use atonce::socket::{Action, Config, Kind, Socket};
/// use atonce::{Frames, Instant};
///
/// let now = Instant::ZERO;
/// let mut push = Socket::new(now, [1; 32], Kind::Push, Config::default());
/// let mut pull = Socket::new(now, [2; 32], Kind::Pull, Config::default());
/// let listener = pull.bind(now, &"tcp://127.0.0.1:5555".parse()?)?;
/// push.connect(now, &"tcp://127.0.0.1:5555".parse()?)?;
/// push.send(now, &Frames::from("work"))?; // nobody is there yet: it waits
///
/// let Some(Action::Dial { link: here, .. }) = push.poll_action() else { panic!() };
/// let there = pull.handle_accepted(now, listener, None).ok_or("refused")?;
/// push.handle_connected(now, here);
/// for _ in 0..3 {
///     let octets: Vec<u8> = push.poll_transmit(here).flatten().copied().collect();
///     push.handle_transmitted(now, here, octets.len());
///     pull.handle_received(now, there, &octets);
///     let octets: Vec<u8> = pull.poll_transmit(there).flatten().copied().collect();
///     pull.handle_transmitted(now, there, octets.len());
///     push.handle_received(now, here, &octets);
/// }
/// assert_eq!(pull.recv(now)?, Some(Frames::from("work")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Socket {
    pattern: Pattern,
    peers: Peers,
}

impl Socket {
    /// A socket without peers. `seed` has to be unpredictable where CURVE is used, and different for each socket.
    pub fn new(_now: Instant, seed: [u8; 32], kind: Kind, config: Config) -> Self {
        let pattern = Pattern::new(kind, &config);
        let peers = Peers::new(seed, kind, config, pattern.takes_at_once());
        Self { pattern, peers }
    }

    // ---- commands

    /// Listens: [`Action::Listen`] asks for it, [`Event::Listening`] or [`Event::ListenFailed`] tells what came of it. Any number of
    /// times.
    ///
    /// # Errors
    ///
    /// [`BindError::Closed`]; nothing changed.
    pub fn bind(&mut self, _now: Instant, endpoint: &Endpoint) -> Result<ListenerId, BindError> {
        if self.peers.closing {
            return Err(BindError::Closed);
        }
        // SOCK-4
        Ok(self.peers.bind(endpoint))
    }

    /// Listens there no more. Links that came through it stay. Nothing happens when it is gone already.
    pub fn unbind(&mut self, _now: Instant, listener: ListenerId) {
        self.peers.unbind(listener);
    }

    /// Dials, now and whenever there is no link, as [`Config::reconnect`] says. Any number of times, also the same endpoint. Unless
    /// [`Config::immediate`], messages are queued for it from now on, whether somebody is there or not (PUSH, DEALER, REQ, PAIR).
    ///
    /// # Errors
    ///
    /// [`ConnectError::NoAddress`], [`ConnectError::PairTaken`] or [`ConnectError::Closed`]; nothing changed.
    pub fn connect(
        &mut self,
        now: Instant,
        endpoint: &Endpoint,
    ) -> Result<ConnectId, ConnectError> {
        if self.peers.closing {
            return Err(ConnectError::Closed);
        }
        if !endpoint.can_be_dialled() {
            return Err(ConnectError::NoAddress);
        }
        if matches!(self.pattern, Pattern::Pair(_)) && self.peers.dialled().next().is_some() {
            return Err(ConnectError::PairTaken);
        }
        Ok(self.peers.connect(now, endpoint))
    }

    /// Dials it no more. A link that is there is closed once what is queued for it is sent, after [`Config::linger`] in any case; what
    /// is queued for nobody is dropped, and told by [`Event::Released`]. What came before can still be received. Nothing happens when
    /// it is gone already.
    pub fn disconnect(&mut self, now: Instant, connect: ConnectId) {
        self.peers.disconnect(now, connect);
        self.settle(now);
    }

    /// Sends a message, or rather queues it: for whom is the pattern's matter. It never waits.
    ///
    /// Frames of up to 1 KiB are copied, larger ones are shared.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. Nothing was queued, and nothing changed but what the variant says.
    #[inline]
    pub fn send(&mut self, now: Instant, message: &Frames) -> Result<(), SendError> {
        if self.peers.closing {
            return Err(SendError::Closed);
        }
        if message.is_empty() {
            return Err(SendError::NoFrames);
        }
        let (octets, limit) = (message.octets(), self.peers.config.send.octets);
        if octets > limit {
            return Err(SendError::TooLarge { octets, limit });
        }
        let sent = self.pattern.send(now, &mut self.peers, message);
        self.settle(now);
        sent
    }

    /// Takes the next message that came; `None`: there is none yet. Call [`poll_action`](Self::poll_action) afterwards: peers that
    /// waited for room may be read again.
    ///
    /// # Errors
    ///
    /// See [`RecvError`].
    #[inline]
    pub fn recv(&mut self, now: Instant) -> Result<Option<Frames>, RecvError> {
        if self.peers.closing {
            return Err(RecvError::Closed);
        }
        let received = self.pattern.recv(now, &mut self.peers);
        self.settle(now);
        received
    }

    /// Takes the messages that came into `messages`, until they have so many octets or none is left: the same as
    /// [`recv`](Self::recv) so often, at a fraction of the cost. One is taken in any case, if there is one.
    ///
    /// # Errors
    ///
    /// See [`RecvError`]; what was taken before is in `messages`, and then there is none.
    pub fn recv_many(
        &mut self,
        now: Instant,
        octets: usize,
        messages: &mut VecDeque<Frames>,
    ) -> Result<(), RecvError> {
        if self.peers.closing {
            return Err(RecvError::Closed);
        }
        let peers = &mut self.peers;
        if self.pattern.recv_all(now, peers, octets, messages) > 0 {
            self.settle(now);
            return Ok(());
        }
        let mut taken = 0_usize;
        let mut result = Ok(());
        while taken == 0 || taken < octets {
            match self.pattern.recv(now, &mut self.peers) {
                Ok(Some(message)) => {
                    // One without octets is not for nothing.
                    taken = taken.saturating_add(message.octets().max(1));
                    messages.push_back(message);
                }
                Ok(None) => break,
                Err(error) => {
                    if taken == 0 {
                        result = Err(error);
                    }
                    break;
                }
            }
        }
        self.settle(now);
        result
    }

    /// Wants messages that begin with `prefix` from now on, of all publishers (SUB, XSUB). As often as it is wanted, it has to be
    /// [taken back](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`]; nothing changed.
    pub fn subscribe(
        &mut self,
        now: Instant,
        prefix: impl Into<Bytes>,
    ) -> Result<(), SubscribeError> {
        if self.peers.closing {
            return Err(SubscribeError::Closed);
        }
        let subscribed = self.pattern.subscribe(now, &mut self.peers, prefix.into());
        self.settle(now);
        subscribed
    }

    /// Takes one wish for messages that begin with `prefix` back (SUB, XSUB).
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`]; nothing changed.
    pub fn unsubscribe(&mut self, now: Instant, prefix: &[u8]) -> Result<(), SubscribeError> {
        if self.peers.closing {
            return Err(SubscribeError::Closed);
        }
        let unsubscribed = self.pattern.unsubscribe(now, &mut self.peers, prefix);
        self.settle(now);
        unsubscribed
    }

    /// Gives up what is under way, so that a REQ may ask and a REP may receive again. An answer that still comes is not taken for
    /// another. Nothing happens for other types, and when nothing is under way.
    pub fn reset(&mut self, now: Instant) {
        self.pattern.reset(now, &mut self.peers);
        self.settle(now);
    }

    /// Ends the socket: nothing more is sent or received; what is queued goes out, for at most [`Config::linger`], also to who was
    /// connected and is not there yet; then all links are closed. [`Event::Closed`] is the last event.
    pub fn close(&mut self, now: Instant) {
        self.peers.close_all(now);
        self.settle(now);
    }

    // ---- inputs

    /// It is listened, at `endpoint`: with the port that the system chose.
    pub fn handle_listening(&mut self, _now: Instant, listener: ListenerId, endpoint: Endpoint) {
        self.peers.listening(listener, endpoint);
    }

    /// It cannot be listened, because of `detail`.
    pub fn handle_listen_failed(&mut self, _now: Instant, listener: ListenerId, detail: &str) {
        self.peers.listen_failed(listener, detail);
    }

    /// Somebody connected; `remote` is its address, `None` for a Unix socket. `None`: the link is refused, close it.
    #[must_use]
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        listener: ListenerId,
        remote: Option<SocketAddr>,
    ) -> Option<LinkId> {
        if self.peers.closing {
            return None;
        }
        self.peers.accepted(now, listener, remote)
    }

    /// A connection that was dialled is made.
    pub fn handle_connected(&mut self, _now: Instant, link: LinkId) {
        if let Some(pipe) = self.peers.pipe_of(link) {
            self.peers.connected(pipe);
        }
    }

    /// A connection ended, or could not be made. What it brought before still counts.
    pub fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        if let Some(pipe) = self.peers.pipe_of(link) {
            self.peers.end_link(now, pipe, Some(cut));
            self.settle(now);
        }
    }

    /// Octets came over a connection. All of them are taken.
    pub fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        if let Some(pipe) = self.peers.pipe_of(link)
            && self.peers.receive(now, pipe, octets)
        {
            self.pump(now, pipe);
        }
    }

    /// While a large frame is under way: the buffer into which what it still lacks is to be read, instead of
    /// [`handle_received`](Self::handle_received). Append to it, then call [`handle_filled`](Self::handle_filled).
    #[must_use]
    pub fn receive_buffer(&mut self, link: LinkId) -> Option<Limit<&mut BytesMut>> {
        let pipe = self.peers.pipe_of(link)?;
        self.peers.reading(pipe)?.receive_buffer()
    }

    /// Octets were appended to the buffer that [`receive_buffer`](Self::receive_buffer) lent.
    pub fn handle_filled(&mut self, now: Instant, link: LinkId) {
        if let Some(pipe) = self.peers.pipe_of(link)
            && let Some(connection) = self.peers.reading(pipe)
        {
            connection.handle_filled(now);
            self.pump(now, pipe);
        }
    }

    /// The network took the first `octets` octets that [`poll_transmit`](Self::poll_transmit) lent.
    pub fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) {
        if let Some(pipe) = self.peers.pipe_of(link) {
            self.peers.transmitted(now, pipe, octets);
            self.settle(now);
        }
    }

    /// The answer to [`Action::Authenticate`], now or later. One that comes when the link is gone, or to a question that was not
    /// asked, changes nothing.
    pub fn handle_verdict(&mut self, now: Instant, link: LinkId, verdict: Verdict) {
        if let Some(pipe) = self.peers.pipe_of(link) {
            self.peers.verdict(now, pipe, verdict);
            self.pump(now, pipe);
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.peers.timers.pop_due(now) {
            match timer {
                Timer::Connection(link) => {
                    if let Some(pipe) = self.peers.pipe_of(link)
                        && let Some(connection) = self.peers.due(pipe)
                    {
                        connection.handle_timeout(now);
                        self.pump(now, pipe);
                    }
                }
                Timer::Linger(link) => {
                    if let Some(pipe) = self.peers.pipe_of(link) {
                        self.peers.end_link(now, pipe, None);
                    }
                }
                Timer::Retry(connect) => self.peers.retry(now, connect),
                Timer::Close => self.peers.close_hard(now),
            }
        }
        self.settle(now);
    }

    // ---- outputs

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.peers.actions.pop_front()?;
        if self.peers.actions.is_empty() {
            // The next one comes where the first of these was, which is in the cache.
            self.peers.actions.clear();
        }
        Some(action)
    }

    /// The octets to send over a connection, in slices for a vectored write; none when nothing waits.
    pub fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> {
        let pipe = self.peers.pipe_of(link);
        let entry = pipe.and_then(|pipe| self.peers.pipes.get(pipe.0));
        let connected = entry.filter(|entry| entry.connected);
        let connection = connected.and_then(|entry| entry.connection.as_ref());
        connection.into_iter().flat_map(Connection::poll_transmit)
    }

    /// The next event for a monitor.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.peers.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.peers.timers.next()
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) alone, for an embedder that asks after every message.
    #[must_use]
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        self.peers.timers.earliest()
    }

    // ---- queries

    /// Whether a [`send`](Self::send) would not be [`Full`](SendError::Full) or [`OutOfTurn`](SendError::OutOfTurn) now. A ROUTER
    /// says yes, since that is another matter for each peer; a PUB says yes, unless [`Config::no_drop`].
    #[inline]
    pub fn can_send(&self) -> bool {
        !self.peers.closing && self.pattern.can_send(&self.peers)
    }

    /// Whether [`recv`](Self::recv) has a message, or an error to tell. A message that turns out to be of no use to the pattern may
    /// still come to nothing.
    #[inline]
    pub fn can_recv(&self) -> bool {
        !self.peers.closing && self.pattern.can_recv(&self.peers)
    }

    /// Which type it is.
    pub const fn kind(&self) -> Kind {
        self.peers.kind
    }

    /// Where it is listened, as the embedder said.
    pub fn endpoints(&self) -> impl Iterator<Item = (ListenerId, &Endpoint)> {
        let up = self.peers.listeners.iter().filter(|(_, entry)| entry.is_up);
        up.map(|(listener, entry)| (*listener, &entry.endpoint))
    }

    /// What is dialled, whether somebody is there or not.
    pub fn connects(&self) -> impl Iterator<Item = (ConnectId, &Endpoint)> {
        let connects = self.peers.connects.iter();
        connects
            .filter_map(|(connect, pipe)| Some((*connect, &self.peers.pipes.get(pipe.0)?.remote)))
    }

    /// The peers that take part, in the order in which their links or connects were made.
    pub fn peers(&self) -> impl Iterator<Item = PeerView<'_>> {
        self.peers.ready().filter_map(|pipe| self.view(pipe))
    }

    fn view(&self, pipe: PipeId) -> Option<PeerView<'_>> {
        let entry: &Pipe = self.peers.pipes.get(pipe.0)?;
        Some(PeerView {
            link: entry.link?,
            remote: &entry.remote,
            identity: &entry.identity,
            socket_type: entry.socket_type,
            version: entry.version,
            user_id: entry.connection.as_ref()?.user_id(),
            queued_messages: entry.queued_messages(),
            queued_octets: entry.queued_octets(),
            pending_messages: entry.pending_messages(),
            pending_octets: entry.pending_octets(),
            missed_messages: entry.missed,
        })
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> &Counters {
        &self.peers.counters
    }

    /// What the socket holds now, to be watched or shown. Takes time in proportion to its links.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage {
            peers: self.peers.ready.len(),
            ..Usage::default()
        };
        for (_, entry) in self.peers.pipes.iter() {
            usage.links += usize::from(entry.link.is_some());
            usage.queued_messages += entry.queued_messages();
            usage.queued_octets += entry.queued_octets();
            usage.pending_messages += entry.pending_messages();
            usage.pending_octets += entry.pending_octets();
        }
        usage
    }

    /// Whether it was closed and everything is over.
    pub const fn is_closed(&self) -> bool {
        self.peers.closed
    }

    // ---- the parts together

    /// Takes what a connection decoded.
    fn pump(&mut self, now: Instant, pipe: PipeId) {
        loop {
            let willing = self.pattern.is_willing();
            let Some(came) = self.peers.pump(now, pipe, willing) else {
                break;
            };
            self.pattern.handle(now, &mut self.peers, pipe, came);
        }
        self.settle(now);
    }

    /// Tells the pattern who is gone, and reads those again who were held.
    #[inline]
    fn settle(&mut self, now: Instant) {
        if !self.peers.gone.is_empty() || !self.peers.held.is_empty() {
            self.settle_all(now);
        }
    }

    #[cold]
    fn settle_all(&mut self, now: Instant) {
        loop {
            while let Some(pipe) = self.peers.gone.pop_front() {
                self.pattern.handle_gone(now, &mut self.peers, pipe);
            }
            if !self.pattern.is_willing() {
                return;
            }
            let Some(pipe) = self.peers.held.pop_first() else {
                return;
            };
            self.peers.resume(now, pipe);
            while self.pattern.is_willing()
                && let Some(came) = self.peers.pump(now, pipe, true)
            {
                self.pattern.handle(now, &mut self.peers, pipe, came);
            }
            if !self.pattern.is_willing() {
                // It has more, perhaps.
                self.peers.hold(now, pipe);
            }
        }
    }
}
