//! The way to one peer: its queues, and the link that it has now.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::changes::{Change, Changes};
use super::config::Config;
use super::wish::Wish;
use super::{Action, ConnectId, Endpoint, ListenerId, Why};
use crate::Bytes;
use crate::Instant;
use crate::net::LinkId;
use crate::queue::Queue;
use crate::wire::Frames;
use crate::wire::zmtp::{Identity, SocketType, Version};
use crate::zmtp::Connection;

/// More octets than this are not handed to a connection: 256 KiB. What waits beyond stays a message, which another link can have
/// when this one is cut; and a system call takes less.
const WINDOW: usize = 256 << 10;

/// The name of a pipe: the same over all links that a connect makes one after the other; of an accepted link, as long as that is
/// there or something that came over it waits. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PipeId(pub(super) LinkId);

/// The way to one peer.
#[derive(Debug)]
// What each message looks at lies together, beside what it looks at in the connection.
#[repr(C)]
pub(super) struct Pipe {
    /// The handshake is done and the link is not about to end.
    pub(super) ready: bool,
    /// The handshake of this link is done.
    pub(super) greeted: bool,
    /// The embedder knows that there are octets to send.
    pub(super) signalled: bool,
    /// The link is made: octets can be sent.
    pub(super) connected: bool,
    /// The embedder was told not to read.
    pub(super) paused: bool,
    /// It stands in the ring of those who have messages for us.
    pub(super) in_fair: bool,
    /// It stands in the ring of those who take messages.
    pub(super) in_balance: bool,
    /// Messages can be queued for it while there is no link.
    pub(super) patient: bool,
    /// It is forgotten once its link has ended and its messages are taken.
    pub(super) released: bool,
    pub(super) connection: Option<Connection>,
    /// Messages behind those that the connection has.
    pub(super) queue: VecDeque<Frames>,
    /// Octets of these.
    pub(super) queue_octets: usize,
    /// What a publisher is still to be told that is wanted.
    pub(super) wishes: Option<Box<Changes>>,
    /// Messages that a subscriber missed since its link was made.
    pub(super) missed: u64,
    /// Of these, those that no monitor was told of.
    pub(super) missed_untold: u64,
    /// Messages that came over links that have ended.
    pub(super) leftover: Queue<Frames>,
    /// Octets of these.
    pub(super) leftover_octets: usize,
    /// The link that it has now, dialled or made.
    pub(super) link: Option<LinkId>,
    /// When the connection wants to be called, as far as the timers know.
    pub(super) deadline: Option<Instant>,
    /// The link ends because of this, once what is queued is sent.
    pub(super) ending: Option<Why>,
    pub(super) origin: Origin,
    /// Messages that the connection had before what came last: how many are lost if that made it fail.
    pub(super) at_stake: usize,
    /// Messages of the queue that were given up when the link began to end.
    pub(super) given_up: usize,
    /// Since when the peer takes part over this link.
    pub(super) ready_at: Option<Instant>,
    /// How often it was dialled since there was a peer for some time.
    pub(super) attempts: u32,
    pub(super) remote: Endpoint,
    pub(super) identity: Identity,
    /// Those of the last peer.
    pub(super) version: Version,
    pub(super) socket_type: SocketType,
}

/// Where a pipe comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Connect(ConnectId),
    Listener(ListenerId),
}

impl Pipe {
    pub(super) fn new(origin: Origin, remote: Endpoint) -> Self {
        Self {
            ready: false,
            greeted: false,
            signalled: false,
            connected: false,
            paused: false,
            in_fair: false,
            in_balance: false,
            patient: false,
            released: false,
            connection: None,
            queue: VecDeque::new(),
            queue_octets: 0,
            wishes: None,
            missed: 0,
            missed_untold: 0,
            leftover: Queue::new(),
            leftover_octets: 0,
            link: None,
            deadline: None,
            ending: None,
            origin,
            at_stake: 0,
            given_up: 0,
            ready_at: None,
            attempts: 0,
            remote,
            identity: Identity::default(),
            version: Version::V3_1,
            socket_type: SocketType::Pair,
        }
    }

    pub(super) const fn is_dialled(&self) -> bool {
        matches!(self.origin, Origin::Connect(_))
    }

    // ---- out

    /// Messages that did not leave this socket.
    #[inline]
    pub(super) fn queued_messages(&self) -> usize {
        let connection = self.connection.as_ref();
        self.queue.len() + connection.map_or(0, Connection::queued_messages)
    }

    /// Octets that did not leave this socket.
    #[inline]
    pub(super) fn queued_octets(&self) -> usize {
        let connection = self.connection.as_ref();
        self.queue_octets + connection.map_or(0, Connection::queued_octets)
    }

    /// Whether one more message can be queued.
    #[inline]
    pub(super) fn has_room(&self, config: &Config) -> bool {
        if self.ready {
            let (messages, octets) = (self.queued_messages(), self.queued_octets());
            return config.send.has_room(messages, octets);
        }
        // A handshake under way, or what a link that ends still has, is not of the queue.
        self.patient
            && self.ending.is_none()
            && config.send.has_room(self.queue.len(), self.queue_octets)
    }

    /// Queues a message: the frames of `envelope`, then those of `body`.
    // SOCK-17
    #[inline]
    pub(super) fn send(
        &mut self,
        envelope: &[Bytes],
        body: &[Bytes],
        spare: &mut Vec<u8>,
        actions: &mut VecDeque<Action>,
    ) {
        if self.ready
            && self.queue.is_empty()
            && let Some(connection) = &mut self.connection
            && connection.queued_octets() < WINDOW
        {
            connection.take_memory(spare);
            let sent = connection.send_parts(envelope, body);
            debug_assert!(sent.is_ok(), "a pipe that is ready sends: {sent:?}");
            self.signal(actions);
            return;
        }
        let message: Frames = envelope.iter().chain(body).cloned().collect();
        self.queue_octets += message.octets();
        self.queue.push_back(message);
    }

    /// Hands the connection what waits behind it, as much as it takes: what is wanted first.
    // SOCK-13
    pub(super) fn refill(&mut self, spare: &mut Vec<u8>, actions: &mut VecDeque<Action>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if !connection.is_ready() {
            return;
        }
        if let Some(wishes) = &mut self.wishes {
            while connection.queued_octets() < WINDOW
                && let Some(change) = wishes.pop()
            {
                match change {
                    Change::Subscribe(prefix) => connection.subscribe(&prefix),
                    Change::Cancel(prefix) => connection.cancel(&prefix),
                }
            }
            if wishes.is_empty() {
                self.wishes = None;
            }
        }
        while connection.queued_octets() < WINDOW
            && let Some(message) = self.queue.pop_front()
        {
            self.queue_octets -= message.octets();
            connection.take_memory(spare);
            let sent = connection.send_parts(&[], &message);
            debug_assert!(sent.is_ok(), "it is ready: {sent:?}");
        }
        if self.queue.is_empty() {
            // A quiet pipe owns no memory.
            self.queue = VecDeque::new();
        }
        self.signal(actions);
    }

    /// Drops what waits behind the connection: how many messages that were.
    pub(super) fn discard(&mut self) -> usize {
        self.queue_octets = 0;
        core::mem::take(&mut self.queue).len()
    }

    /// Tells the embedder, once, that there are octets to send.
    #[inline]
    pub(super) fn signal(&mut self, actions: &mut VecDeque<Action>) {
        if self.signalled || !self.connected {
            return;
        }
        let octets = self
            .connection
            .as_ref()
            .map_or(0, Connection::queued_octets);
        if let Some(link) = self.link
            && octets > 0
        {
            self.signalled = true;
            actions.push_back(Action::Transmit { link });
        }
    }

    // ---- in

    /// Messages that the application did not take.
    #[inline]
    pub(super) fn pending_messages(&self) -> usize {
        let connection = self.connection.as_ref();
        self.leftover.len() + connection.map_or(0, Connection::pending_messages)
    }

    /// Octets of these.
    pub(super) fn pending_octets(&self) -> usize {
        let connection = self.connection.as_ref();
        self.leftover_octets + connection.map_or(0, Connection::pending_octets)
    }

    /// Takes the next message.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Frames> {
        if let Some(message) = self.leftover.pop_front() {
            self.leftover_octets -= message.octets();
            return Some(message);
        }
        self.connection.as_mut()?.next_pending()
    }

    /// Keeps a message that came over a link that has ended.
    pub(super) fn keep(&mut self, message: Frames) {
        self.leftover_octets += message.octets();
        self.leftover.push_back(message);
    }

    /// Whether what came next is a subscription, or something else that is not for the application.
    #[inline]
    pub(super) fn next_is_wish(&self) -> bool {
        let connection = self.connection.as_ref();
        self.leftover.is_empty()
            && connection.is_some_and(|connection| match connection.peek_message() {
                Some(message) => Wish::of(message).is_some(),
                None => connection.has_events(),
            })
    }

    /// Forgets what came and was not taken: how many messages that were.
    pub(super) fn forget_leftover(&mut self) -> usize {
        self.leftover_octets = 0;
        core::mem::take(&mut self.leftover).len()
    }
}
