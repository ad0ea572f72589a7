//! One connection as a machine: its state and what the embedder calls.

mod receive;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::buf::Limit;
use bytes::{Bytes, BytesMut};

use super::event::Events;
use super::heartbeat::{Due, Heartbeats};
use super::inbox::Inbox;
use super::input::{Input, Message};
use super::mechanism::Mechanism;
use super::outbox::Outbox;
use super::{
    Config, Denial, Error, Event, Heartbeat, Incompatible, Limits, SendError, Timer, Verdict,
};
use crate::Instant;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::wire::zmtp::{
    Command, FrameHeader, FrameKind, Greeting, Identity, PingContext, SocketType, Version,
};
use crate::wire::{Body, Frames, Text};

/// One connection, from the first octet to the last: greeting, handshake, traffic. See the [module](super).
///
/// - Inputs: [`handle_input`](Self::handle_input), or [`receive_buffer`](Self::receive_buffer) and
///   [`handle_filled`](Self::handle_filled); [`handle_transmitted`](Self::handle_transmitted);
///   [`handle_timeout`](Self::handle_timeout).
/// - Outputs: after each of these, and after `send` and `refuse`, take all of [`poll_event`](Self::poll_event), then
///   look at [`poll_transmit`](Self::poll_transmit) and [`poll_timeout`](Self::poll_timeout).
///
/// ```
/// use atonce::wire::zmtp::SocketType;
/// use atonce::zmtp::{Config, Connection, Event};
/// use atonce::{Frames, Instant};
///
/// /// Carries what `from` has to send over to `to`.
/// fn carry(from: &mut Connection, to: &mut Connection) {
///     let octets = from.poll_transmit().collect::<Vec<_>>().concat();
///     from.handle_transmitted(Instant::ZERO, octets.len());
///     to.handle_input(Instant::ZERO, &octets);
/// }
///
/// let mut dealer = Connection::new(Instant::ZERO, Config::new(SocketType::Dealer));
/// let mut router = Connection::new(Instant::ZERO, Config::new(SocketType::Router));
/// dealer.send(Frames::from("hello"))?;
/// for _ in 0..3 {
///     carry(&mut dealer, &mut router);
///     carry(&mut router, &mut dealer);
/// }
/// assert!(matches!(router.poll_event(), Some(Event::Ready { .. })));
/// assert_eq!(router.poll_event(), Some(Event::Message(Frames::from("hello"))));
/// # Ok::<(), atonce::zmtp::SendError>(())
/// ```
#[derive(Debug)]
// A program that has thousands of links finds each of them outside the cache when a message comes. So it is small, what only the
// beginning needs is given back when that is over, and what a message needs lies together: first what comes, then what goes.
#[repr(C)]
pub struct Connection {
    phase: Phase,
    limits: Limits,
    inbox: Inbox,
    /// The frames of a message whose last one did not come yet, and their octets.
    parts: Frames,
    parts_octets: usize,
    events: Events,
    outbox: Outbox,
    /// The heartbeats that wait to be sent, if any.
    beats: Option<Box<Beats>>,
    mechanism: Mechanism,
    socket_type: SocketType,
    /// Whether the embedder does not read, see `pause`.
    paused: bool,
    /// The peer speaks a version that has no commands for subscriptions.
    wishes_by_messages: bool,
}

/// How far the connection is.
#[derive(Debug)]
enum Phase {
    /// Greeting and handshake.
    Opening(Box<Opening>),
    /// Messages go both ways.
    Traffic { heartbeats: Heartbeats },
    /// Of no use any more; `None` when this side refused.
    Closed { error: Option<Box<Error>> },
}

/// What only the beginning needs.
#[derive(Debug)]
struct Opening {
    progress: Progress,
    deadline: Instant,
    identity: Identity,
    heartbeat: Option<Heartbeat>,
    /// Messages that were sent before the handshake was over, and their octets on the wire.
    waiting: VecDeque<Frames>,
    waiting_octets: usize,
}

#[derive(Debug)]
enum Progress {
    /// The peer's greeting is not whole: so much of it is there.
    Greeting {
        octets: [u8; Greeting::OCTETS],
        len: usize,
    },
    /// The mechanism has its say.
    Handshake { version: Version },
}

/// Heartbeats in the outbox.
#[derive(Debug, Default)]
struct Beats {
    /// Where the PONG in the outbox ends. There is never more than one.
    pong: Option<u64>,
    /// What the next PONG is to echo, when the one in the outbox is sent: the newest PING wins.
    next_pong: Option<PingContext>,
    /// Where the PING in the outbox ends. There is never more than one.
    ping: Option<u64>,
}

impl Connection {
    /// A connection that was made just now, by either side. Its greeting waits to be sent.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        let mechanism = Mechanism::new(config.security);
        let mut outbox = Outbox::default();
        // ZMTP-1
        // All at once: RFC 37 "Version Negotiation", for those that do not speak older versions.
        let greeting = Greeting {
            as_server: mechanism.is_server(),
            ..Greeting::new(mechanism.name())
        };
        outbox.push_octets(&greeting.encode());
        Self {
            phase: Phase::Opening(Box::new(Opening {
                progress: Progress::Greeting {
                    octets: [0; Greeting::OCTETS],
                    len: 0,
                },
                deadline: now + config.handshake_timeout,
                identity: config.identity,
                heartbeat: config.heartbeat,
                waiting: VecDeque::new(),
                waiting_octets: 0,
            })),
            limits: config.limits,
            inbox: Inbox::default(),
            parts: Frames::new(),
            parts_octets: 0,
            events: Events::default(),
            outbox,
            beats: None,
            mechanism,
            socket_type: config.socket_type,
            paused: false,
            wishes_by_messages: false,
        }
    }

    // ---- inputs

    /// Octets came from the peer; all of them are taken. They may have been cut anywhere.
    ///
    /// A frame of a message that lies within `octets` is copied, once: the first one of a message, and large ones, into memory
    /// of their own; small ones that came together into memory that they share, 2 KiB of it. A closed connection takes
    /// nothing.
    pub fn handle_input(&mut self, now: Instant, octets: &[u8]) {
        self.handle_rest(now, Input::new(octets));
    }

    /// The same for what is left of an input.
    pub(crate) fn handle_rest(&mut self, now: Instant, mut input: Input<'_>) {
        if !input.is_empty() {
            self.heard(now);
        }
        loop {
            match self.take(now, &mut input) {
                Ok(Some(message)) => self.events.push_message(message.into_frames()),
                Ok(None) => return,
                Err(error) => return self.fail(error),
            }
        }
    }

    /// The same as [`handle_input`](Self::handle_input), where messages are taken by an application and not read and forgotten:
    /// small messages of one frame share memory as well, 2 KiB of it.
    pub(crate) fn handle_shared(&mut self, now: Instant, octets: &[u8]) {
        let mut input = Input::new(octets);
        while let Some(message) = self.next_message(now, &mut input) {
            let message = message.into_shared(&mut input);
            self.events.push_message(message);
        }
    }

    #[inline]
    fn heard(&mut self, now: Instant) {
        if let Phase::Traffic { heartbeats } = &mut self.phase {
            heartbeats.handle_heard(now);
        }
    }

    /// Takes octets off an input up to the end of a message, or all of them: the same as
    /// [`handle_input`](Self::handle_input), without the way through the events. For a connection that is ready and has no
    /// events that wait: the message would be told before them.
    #[inline]
    pub(crate) fn next_message<'a>(
        &mut self,
        now: Instant,
        input: &mut Input<'a>,
    ) -> Option<Message<'a>> {
        if input.is_empty() {
            return None;
        }
        self.heard(now);
        match self.take(now, input) {
            Ok(message) => message,
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// Lends the buffer of a large frame under way: what the frame still lacks is to be read right into it, and the
    /// application gets this memory. `None` when no such frame is under way: read into memory of your own and call
    /// [`handle_input`](Self::handle_input), which is always allowed.
    ///
    /// The buffer takes what the frame lacks or less. Append to it, change nothing else, and call
    /// [`handle_filled`](Self::handle_filled).
    #[must_use]
    pub fn receive_buffer(&mut self) -> Option<Limit<&mut BytesMut>> {
        self.inbox.buffer()
    }

    /// Octets were appended to the [`receive_buffer`](Self::receive_buffer); or none, then nothing happens.
    pub fn handle_filled(&mut self, now: Instant) {
        let filled = self.inbox.filled();
        if let (true, Phase::Traffic { heartbeats }) = (filled.any, &mut self.phase) {
            heartbeats.handle_heard(now);
        }
        if let Some(frame) = filled.frame {
            let (newest, mut head) = (filled.surplus.is_empty(), None);
            match self.handle_frame(now, frame, newest, &mut head, Body::into_bytes) {
                Ok(Some(message)) => self.events.push_message(message.into_frames()),
                Ok(None) => self.keep(head),
                Err(error) => self.fail(error),
            }
        }
        self.handle_input(now, &filled.surplus);
    }

    /// The first `octets` octets that [`poll_transmit`](Self::poll_transmit) lent were sent. More than it lent counts
    /// as all.
    pub fn handle_transmitted(&mut self, _now: Instant, octets: usize) {
        self.transmitted(octets, &mut Vec::new());
    }

    /// The same. The memory of what was sent is put into `spare` when all was; whoever has many connections can give it to
    /// the next that has something to send.
    pub(crate) fn transmitted(&mut self, octets: usize, spare: &mut Vec<u8>) {
        self.outbox.remove(octets, spare);
        if self.beats.is_some() {
            self.beats_sent();
        }
    }

    /// Looks which heartbeats were sent.
    #[cold]
    fn beats_sent(&mut self) {
        let sent = self.outbox.sent();
        let Some(beats) = &mut self.beats else {
            return;
        };
        beats.ping = beats.ping.filter(|end| *end > sent);
        beats.pong = beats.pong.filter(|end| *end > sent);
        if beats.pong.is_some() {
            return;
        }
        if let Some(context) = beats.next_pong.take() {
            self.answer(context);
        } else if beats.ping.is_none() {
            self.beats = None;
        }
    }

    /// The deadline of [`poll_timeout`](Self::poll_timeout) is reached; or it is not, then nothing happens.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            // ZMTP-38
            Phase::Opening(opening) => {
                if opening.deadline <= now {
                    self.fail(Error::TimedOut(Timer::Handshake));
                }
            }
            Phase::Traffic { heartbeats } => match heartbeats.handle_timeout(now) {
                Due::Nothing => {}
                Due::Ping(ping) => {
                    // A PING that the peer did not even take off us yet says all that another would.
                    // ZMTP-51
                    if self.beats.as_ref().is_none_or(|beats| beats.ping.is_none()) {
                        tracing::trace!(ttl = ping.ttl, "PING");
                        self.push_command(&Command::Ping(ping));
                        self.beats.get_or_insert_default().ping = Some(self.outbox.end());
                    }
                }
                Due::Dead(timer) => self.fail(Error::TimedOut(timer)),
            },
            Phase::Closed { .. } => {}
        }
    }

    /// The answer to [`Event::Authenticate`]. Does nothing when there was no such question, or the connection closed meanwhile.
    pub fn handle_verdict(&mut self, now: Instant, verdict: Verdict) {
        if !matches!(self.phase, Phase::Opening(_)) || !self.mechanism.is_asking() {
            return;
        }
        tracing::debug!(%verdict, "client");
        let user_id = match verdict {
            Verdict::Allow => None,
            Verdict::AllowAs(user_id) => Some(user_id),
            // ZMTP-85
            Verdict::Deny(Denial::Temporary) => return self.close(None),
            Verdict::Deny(denial) => {
                if let Ok(reason) = Text::try_from(denial.code()) {
                    self.refuse(&reason);
                }
                return;
            }
        };
        if let Some(step) = self.mechanism.allow(user_id, &self.about_us())
            && let Err(error) = self.step(now, step)
        {
            self.fail(error);
        }
    }

    /// Nobody reads the connection from now on: the peer's silence is not held against it until
    /// [`resume`](Self::resume).
    pub fn pause(&mut self, now: Instant) {
        self.set_paused(now, true);
    }

    /// The connection is read again.
    pub fn resume(&mut self, now: Instant) {
        self.set_paused(now, false);
    }

    // ---- commands

    /// Queues a message. Before the handshake is over it waits for that.
    ///
    /// The queue has no bound of its own: look at [`queued_octets`](Self::queued_octets) and
    /// [`queued_messages`](Self::queued_messages) before. Frames of up to 1 KiB are copied, larger ones are shared. With CURVE
    /// each connection seals a copy of its own.
    ///
    /// # Errors
    ///
    /// The connection is closed, or the message has no frames. Nothing was queued then.
    pub fn send(&mut self, message: Frames) -> Result<(), SendError> {
        if message.is_empty() {
            // ZMTP-40
            return Err(SendError::NoFrames);
        }
        match &mut self.phase {
            Phase::Closed { .. } => return Err(SendError::Closed),
            Phase::Traffic { .. } => self.push_message(&message),
            Phase::Opening(opening) => {
                opening.waiting_octets += encoded_len(&message);
                // ZMTP-37
                opening.waiting.push_back(message);
            }
        }
        Ok(())
    }

    /// Queues a message whose first frame is `head` and whose other frames are those of `rest`: the same as
    /// [`send`](Self::send) of all of them, but it spares the allocation for a first frame that is written for this
    /// one peer.
    ///
    /// # Errors
    ///
    /// The connection is closed. Nothing was queued then.
    pub fn send_with_head(&mut self, head: &[u8], rest: &Frames) -> Result<(), SendError> {
        if !matches!(self.phase, Phase::Traffic { .. }) {
            let mut message = Frames::from(Bytes::copy_from_slice(head));
            message.extend(rest.iter().cloned());
            return self.send(message);
        }
        let kind = if rest.is_empty() {
            FrameKind::Last
        } else {
            FrameKind::More
        };
        if self.mechanism.seals() {
            self.push_sealed(kind, head);
            with_kinds(rest, |kind, body| self.push_sealed(kind, body));
        } else {
            self.outbox.reserve(rest, FrameHeader::LONGEST + head.len());
            self.outbox.push_copied(kind, head);
            with_kinds(rest, |kind, body| self.outbox.push_frame(kind, body));
        }
        self.outbox.end_message();
        Ok(())
    }

    /// Queues a message that lies in two parts: the frames of `envelope`, then those of `body`. The same as [`send`](Self::send) of
    /// all of them, but nothing has to be made of them first. For a connection that is ready.
    #[inline]
    pub(crate) fn send_parts(
        &mut self,
        envelope: &[Bytes],
        body: &[Bytes],
    ) -> Result<(), SendError> {
        let Some((last, others)) = body.split_last() else {
            let Some((last, others)) = envelope.split_last() else {
                return Err(SendError::NoFrames);
            };
            return self.send_parts(others, core::slice::from_ref(last));
        };
        if !self.is_ready() {
            return Err(SendError::Closed);
        }
        let others = envelope.iter().chain(others);
        if self.mechanism.seals() {
            for frame in others {
                self.push_sealed(FrameKind::More, frame);
            }
            self.push_sealed(FrameKind::Last, last);
        } else {
            self.outbox.reserve(envelope, 0);
            self.outbox.reserve(body, 0);
            for frame in others {
                self.outbox.push_frame(FrameKind::More, frame);
            }
            self.outbox.push_frame(FrameKind::Last, last);
        }
        self.outbox.end_message();
        Ok(())
    }

    /// Tells a publisher that messages are wanted that begin like this (SUB, XSUB). Peers of version 3.0 do not know the command:
    /// they are sent a message whose first octet is 1 instead, which counts in [`queued_octets`](Self::queued_octets) and not in
    /// [`queued_messages`](Self::queued_messages).
    ///
    /// Nothing happens unless the connection [is ready](Self::is_ready).
    pub fn subscribe(&mut self, prefix: &[u8]) {
        self.push_wish(1, prefix, Command::Subscribe);
    }

    /// Takes one such wish back. Peers of version 3.0 are sent a message whose first octet is 0 instead.
    ///
    /// Nothing happens unless the connection [is ready](Self::is_ready).
    pub fn cancel(&mut self, prefix: &[u8]) {
        self.push_wish(0, prefix, Command::Cancel);
    }

    fn push_wish(&mut self, octet: u8, prefix: &[u8], command: fn(Bytes) -> Command) {
        if !self.is_ready() {
            return;
        }
        // ZMTP-44
        if !self.wishes_by_messages {
            return self.push_command(&command(Bytes::copy_from_slice(prefix)));
        }
        // ZMTP-45
        let mut body = Vec::with_capacity(1 + prefix.len());
        body.push(octet);
        body.extend_from_slice(prefix);
        if self.mechanism.seals() {
            self.push_sealed(FrameKind::Last, &body);
        } else {
            self.outbox.push_copied(FrameKind::Last, &body);
        }
    }

    /// Takes memory for what is to be sent, when it has none.
    #[inline]
    pub(crate) fn take_memory(&mut self, spare: &mut Vec<u8>) {
        self.outbox.take_memory(spare);
    }

    /// Tells the peer why it is not let in, and closes: what was queued still goes out, ERROR after it, and nothing
    /// is taken in any more. No event says so. Does nothing when the connection is closed.
    ///
    /// C peers that are refused so do not come back; to send one away for a while, just close the TCP connection.
    pub fn refuse(&mut self, reason: &Text) {
        if self.is_closed() {
            return;
        }
        tracing::debug!(%reason, "connection refused");
        // ZMTP-73
        self.push_command(&Command::Error(reason.clone()));
        self.close(None);
    }

    /// Changes what the peer may send, from the next frame on that begins: a frame under way was let in already.
    pub fn set_limits(&mut self, limits: Limits) {
        // ZMTP-64
        self.limits = limits;
    }

    // ---- outputs

    /// What happened. Take all there is after each input: what an input brings is kept until then, without bound.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// What is to be sent, in order, for a vectored write; none of the slices is empty. Say afterwards with
    /// [`handle_transmitted`](Self::handle_transmitted) how much of it was sent.
    pub fn poll_transmit(&self) -> impl Iterator<Item = &[u8]> {
        self.outbox.slices()
    }

    /// Whether the next of [`poll_event`](Self::poll_event) is a message.
    #[inline]
    pub(crate) fn next_is_message(&self) -> bool {
        self.peek_message().is_some()
    }

    /// The next of [`poll_event`](Self::poll_event), if it is a message.
    #[inline]
    pub(crate) fn peek_message(&self) -> Option<&Frames> {
        self.events.peek_message()
    }

    /// Takes the next event if it is a message.
    #[inline]
    pub(crate) fn next_pending(&mut self) -> Option<Frames> {
        self.events.pop_message()
    }

    /// Takes all that [`poll_event`](Self::poll_event) has if it is messages, of no more than so many octets; how many they were.
    pub(crate) fn take_pending(&mut self, octets: usize, into: &mut VecDeque<Frames>) -> usize {
        self.events.pop_messages(octets, into)
    }

    /// Has messages that are to come find room in this memory, which is nobody's.
    #[inline]
    pub(crate) fn lend(&mut self, memory: &mut VecDeque<Frames>) {
        self.events.lend(memory);
    }

    /// Gives memory back that no message is in: a quiet connection owns none.
    #[inline]
    pub(crate) fn give_back(&mut self, memory: &mut VecDeque<Frames>) {
        self.events.give_back(memory);
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next deadline, and what it is for; `None` when there is none.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.phase {
            Phase::Opening(opening) => Some((opening.deadline, Timer::Handshake)),
            Phase::Traffic { heartbeats } => heartbeats.poll_timeout(),
            Phase::Closed { .. } => None,
        }
    }

    // ---- queries

    /// Octets that wait to be sent, framing and greeting included.
    pub fn queued_octets(&self) -> usize {
        self.opening().map_or(0, |opening| opening.waiting_octets) + self.outbox.octets()
    }

    /// Messages that were not wholly sent.
    pub fn queued_messages(&self) -> usize {
        self.opening().map_or(0, |opening| opening.waiting.len()) + self.outbox.messages()
    }

    /// Octets, without framing, of messages that wait in [`poll_event`](Self::poll_event).
    pub fn pending_octets(&self) -> usize {
        self.events.octets()
    }

    /// Messages that wait in [`poll_event`](Self::poll_event).
    pub fn pending_messages(&self) -> usize {
        self.events.messages()
    }

    /// How many octets belong to the greeting, frame header or frame under way for sure: at least 1. An input of no more
    /// than these ends at most one message, so that limits can be changed between two.
    pub fn lacking(&self) -> usize {
        let lacking = match self.opening().map(|opening| &opening.progress) {
            Some(Progress::Greeting { len, .. }) => Greeting::OCTETS - len,
            _ => self.inbox.lacking(),
        };
        lacking.max(1)
    }

    /// Octets of a message or command that is not whole yet. They are bounded by the limits.
    pub fn partial_octets(&self) -> usize {
        self.parts_octets + self.inbox.octets()
    }

    /// Whether nothing is queued, pending or partial. Once it is ready, such a connection owns no memory but itself, and with
    /// heartbeats of ours a few octets for them.
    pub fn is_idle(&self) -> bool {
        let progress = self.opening().map(|opening| &opening.progress);
        self.queued_octets() == 0
            && self.events.is_empty()
            && self.inbox.is_empty()
            && self.parts.is_empty()
            && !matches!(progress, Some(Progress::Greeting { len: 1.., .. }))
    }

    /// Whether the handshake is over and the connection not closed.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Traffic { .. })
    }

    /// Whether the connection failed or was refused.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// The permanent key that the peer proved to have; `None` before the handshake is over, and without CURVE.
    #[cfg(feature = "curve")]
    pub fn key(&self) -> Option<PublicKey> {
        self.mechanism.key()
    }

    /// The user id under which the embedder [let the client in](Verdict::AllowAs); `None` when it gave none, and where this side
    /// is the client.
    pub fn user_id(&self) -> Option<&Text> {
        self.mechanism.user_id()
    }

    /// Why the connection failed; `None` while it did not, and when this side refused.
    pub fn error(&self) -> Option<&Error> {
        match &self.phase {
            Phase::Closed { error } => error.as_deref(),
            _ => None,
        }
    }

    // ---- within

    /// Queues a PONG, or notes it when one is queued: a peer that asks and does not read costs nothing.
    fn answer(&mut self, context: PingContext) {
        // ZMTP-51
        let beats = self.beats.get_or_insert_default();
        if beats.pong.is_some() {
            beats.next_pong = Some(context);
            return;
        }
        self.push_command(&Command::Pong(context));
        self.beats.get_or_insert_default().pong = Some(self.outbox.end());
    }

    fn opening(&self) -> Option<&Opening> {
        match &self.phase {
            Phase::Opening(opening) => Some(opening),
            _ => None,
        }
    }

    fn push_message(&mut self, message: &Frames) {
        if self.mechanism.seals() {
            with_kinds(message, |kind, body| self.push_sealed(kind, body));
        } else {
            self.outbox.reserve(message, 0);
            with_kinds(message, |kind, body| self.outbox.push_frame(kind, body));
        }
        self.outbox.end_message();
    }

    fn push_sealed(&mut self, kind: FrameKind, body: &[u8]) {
        let octets = self.mechanism.overhead() + body.len();
        // ZMTP-87
        self.outbox.push_made(FrameKind::Last, octets, |out| {
            self.mechanism.seal(kind, body, out)
        });
    }

    fn push_command(&mut self, command: &Command) {
        if !(self.is_ready() && self.mechanism.seals()) {
            self.outbox.push_command(command);
            return;
        }
        let mut body = Vec::with_capacity(command.encoded_len());
        command.encode(&mut body);
        self.push_sealed(FrameKind::Command, &body);
    }

    fn set_paused(&mut self, now: Instant, paused: bool) {
        self.paused = paused;
        if let Phase::Traffic { heartbeats } = &mut self.phase {
            heartbeats.set_paused(now, paused);
        }
    }

    #[cold]
    fn fail(&mut self, error: Error) {
        if self.is_closed() {
            return;
        }
        tracing::debug!(%error, "connection failed");
        if self.is_ready() {
            // ZMTP-72
            // What was queued is of no use to anybody. Before, there is only greeting and handshake, and the peer may
            // need them to see what is wrong.
            self.outbox.clear();
        } else if let Error::Incompatible(Incompatible::SocketTypes { .. }) = error {
            // ZMTP-34
            // RFC 37 "The Socket-Type Property": an ERROR tells it so that it does not come back.
            if let Ok(reason) = Text::try_from("Invalid socket type") {
                self.outbox.push_command(&Command::Error(reason));
            }
        }
        self.close(Some(Box::new(error.clone())));
        self.events.push(Event::Closed(error));
    }

    fn close(&mut self, error: Option<Box<Error>>) {
        // ZMTP-70
        self.phase = Phase::Closed { error };
        self.inbox = Inbox::default();
        self.parts = Frames::new();
        self.parts_octets = 0;
        self.beats = None;
    }
}

/// The frames of a message, the last one as the last.
#[inline]
fn with_kinds(frames: &Frames, mut push: impl FnMut(FrameKind, &Bytes)) {
    let Some((last, others)) = frames.split_last() else {
        return;
    };
    for frame in others {
        push(FrameKind::More, frame);
    }
    push(FrameKind::Last, last);
}

/// The octets of a message on the wire.
fn encoded_len(message: &Frames) -> usize {
    let frames = message.iter();
    let header = |frame: &Bytes| FrameHeader::of(FrameKind::Last, frame).encoded_len();
    frames.map(|frame| header(frame) + frame.len()).sum()
}
