//! What makes one type of socket another than the others.

use alloc::collections::VecDeque;

use super::dealer::Dealer;
use super::pair::Pair;
use super::passing::Came;
use super::peers::Peers;
use super::pipe::PipeId;
use super::publisher::{Publisher, XPublisher};
use super::pull::Pull;
use super::push::Push;
use super::rep::Rep;
use super::req::Req;
use super::router::Router;
use super::subscriber::{Subscriber, XSubscriber};
use super::{Config, Kind, RecvError, SendError, SubscribeError};
use crate::wire::Frames;
use crate::{Bytes, Instant};

/// What a pattern does over its peers. What it does not do stays as it is here.
pub(super) trait Behaviour {
    /// Sends a message, which has a frame and is no larger than a queue takes, or says why not; then nothing changed.
    fn send(
        &mut self,
        _now: Instant,
        _peers: &mut Peers,
        _message: &Frames,
    ) -> Result<(), SendError> {
        Err(SendError::NotSending)
    }

    /// Whether it would be sent now.
    fn can_send(&self, _peers: &Peers) -> bool {
        false
    }

    /// The next message for the application.
    fn recv(&mut self, _now: Instant, _peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        Err(RecvError::NotReceiving)
    }

    /// The next messages for the application, of no more than so many octets together, if there is a cheaper way to take them than
    /// one by one; how many they are.
    fn recv_all(
        &mut self,
        _now: Instant,
        _peers: &mut Peers,
        _octets: usize,
        _messages: &mut VecDeque<Frames>,
    ) -> usize {
        0
    }

    /// Whether there is one, or an error to tell.
    fn can_recv(&self, _peers: &Peers) -> bool {
        false
    }

    /// A peer takes part: its handshake is done. Nothing of it was taken.
    fn handle_ready(&mut self, _now: Instant, _peers: &mut Peers, _pipe: PipeId) {}

    /// A peer that was ready is so no more, once for each time; also when the pattern itself closed it. What it sent before may
    /// still be [pending](Peers::pending). A pipe that was dialled gets ready again, one that others made never.
    fn handle_gone(&mut self, _now: Instant, _peers: &mut Peers, _pipe: PipeId) {}

    /// Whether messages are handed to [`handle_message`](Self::handle_message) when they come, instead of waiting for
    /// [`Peers::next`]. The same at all times.
    fn takes_at_once(&self) -> bool {
        false
    }

    /// Whether it takes messages and subscriptions now, if it takes them at once. While it does not, peers are not read.
    fn is_willing(&self) -> bool {
        true
    }

    /// A message came, of a pattern that takes them at once. It is counted as received.
    fn handle_message(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        _pipe: PipeId,
        _message: Frames,
    ) {
        let counters = peers.counters_mut();
        counters.messages_received -= 1;
        counters.messages_discarded += 1;
    }

    /// A peer wants messages that begin so: a command of ZMTP 3.1, which only PUB and XPUB get.
    fn handle_subscribe(
        &mut self,
        _now: Instant,
        _peers: &mut Peers,
        _pipe: PipeId,
        _prefix: Bytes,
    ) {
    }

    /// A peer takes one such wish back.
    fn handle_cancel(&mut self, _now: Instant, _peers: &mut Peers, _pipe: PipeId, _prefix: Bytes) {}

    /// The application wants messages that begin so.
    fn subscribe(
        &mut self,
        _now: Instant,
        _peers: &mut Peers,
        _prefix: Bytes,
    ) -> Result<(), SubscribeError> {
        Err(SubscribeError::NotSubscribing)
    }

    /// The application takes one such wish back.
    fn unsubscribe(
        &mut self,
        _now: Instant,
        _peers: &mut Peers,
        _prefix: &[u8],
    ) -> Result<(), SubscribeError> {
        Err(SubscribeError::NotSubscribing)
    }

    /// The application gives up what is under way.
    fn reset(&mut self, _now: Instant, _peers: &mut Peers) {}
}

macro_rules! patterns {
    ($($variant:ident($state:ty) = $kind:ident;)*) => {
        /// The pattern of a socket.
        #[derive(Debug)]
        pub(super) enum Pattern {
            $($variant($state),)*
        }

        impl Pattern {
            pub(super) fn new(kind: Kind, config: &Config) -> Self {
                match kind {
                    $(Kind::$kind => Self::$variant(<$state>::new(config)),)*
                }
            }
        }

        /// Calls a method of whatever pattern it is.
        macro_rules! each {
            ($pattern:expr, $state_name:ident => $act:expr) => {
                match $pattern {
                    $(Pattern::$variant($state_name) => $act,)*
                }
            };
        }
    };
}

patterns! {
    Pair(Pair) = Pair;
    Req(Req) = Req;
    Rep(Rep) = Rep;
    Dealer(Dealer) = Dealer;
    Router(Router) = Router;
    Publisher(Publisher) = Pub;
    XPublisher(XPublisher) = XPub;
    Subscriber(Subscriber) = Sub;
    XSubscriber(XSubscriber) = XSub;
    Push(Push) = Push;
    Pull(Pull) = Pull;
}

impl Pattern {
    /// Hands over what came.
    pub(super) fn handle(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId, came: Came) {
        match came {
            Came::Ready => self.handle_ready(now, peers, pipe),
            Came::Message(message) => self.handle_message(now, peers, pipe, message),
            Came::Subscribe(prefix) => self.handle_subscribe(now, peers, pipe, prefix),
            Came::Cancel(prefix) => self.handle_cancel(now, peers, pipe, prefix),
        }
    }
}

impl Behaviour for Pattern {
    #[inline]
    fn send(&mut self, now: Instant, peers: &mut Peers, message: &Frames) -> Result<(), SendError> {
        each!(self, it => it.send(now, peers, message))
    }

    #[inline]
    fn can_send(&self, peers: &Peers) -> bool {
        each!(self, it => it.can_send(peers))
    }

    #[inline]
    fn recv(&mut self, now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        each!(self, it => it.recv(now, peers))
    }

    fn recv_all(
        &mut self,
        now: Instant,
        peers: &mut Peers,
        octets: usize,
        messages: &mut VecDeque<Frames>,
    ) -> usize {
        each!(self, it => it.recv_all(now, peers, octets, messages))
    }

    #[inline]
    fn can_recv(&self, peers: &Peers) -> bool {
        each!(self, it => it.can_recv(peers))
    }

    fn handle_ready(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId) {
        each!(self, it => it.handle_ready(now, peers, pipe));
    }

    fn handle_gone(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId) {
        each!(self, it => it.handle_gone(now, peers, pipe));
    }

    fn takes_at_once(&self) -> bool {
        each!(self, it => it.takes_at_once())
    }

    fn is_willing(&self) -> bool {
        each!(self, it => it.is_willing())
    }

    fn handle_message(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId, message: Frames) {
        each!(self, it => it.handle_message(now, peers, pipe, message));
    }

    fn handle_subscribe(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId, prefix: Bytes) {
        each!(self, it => it.handle_subscribe(now, peers, pipe, prefix));
    }

    fn handle_cancel(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId, prefix: Bytes) {
        each!(self, it => it.handle_cancel(now, peers, pipe, prefix));
    }

    fn subscribe(
        &mut self,
        now: Instant,
        peers: &mut Peers,
        prefix: Bytes,
    ) -> Result<(), SubscribeError> {
        each!(self, it => it.subscribe(now, peers, prefix))
    }

    fn unsubscribe(
        &mut self,
        now: Instant,
        peers: &mut Peers,
        prefix: &[u8],
    ) -> Result<(), SubscribeError> {
        each!(self, it => it.unsubscribe(now, peers, prefix))
    }

    fn reset(&mut self, now: Instant, peers: &mut Peers) {
        each!(self, it => it.reset(now, peers));
    }
}
