//! What a connection tells the embedder.

use super::{Error, Password};
use crate::Bytes;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::queue::Queue;
use crate::wire::zmtp::{Identity, Metadata, SocketType, Version};
use crate::wire::{Frames, Text};

/// What happened on a connection, in the order in which it happened. `Ready` comes before messages, `Closed` is the
/// last.
///
/// ```
/// use atonce::wire::zmtp::SocketType;
/// use atonce::zmtp::{Config, Connection, Event};
/// use atonce::Instant;
///
/// let mut connection = Connection::new(Instant::ZERO, Config::new(SocketType::Router));
/// connection.handle_input(Instant::ZERO, b"?");
/// assert!(matches!(connection.poll_event(), Some(Event::Closed(_))));
/// assert_eq!(connection.poll_event(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done, and the peer is one that this side may talk to.
    #[non_exhaustive]
    Ready {
        /// The version that the peer speaks.
        version: Version,
        /// The pattern that it follows.
        socket_type: SocketType,
        /// Its name; empty when it has none.
        identity: Identity,
        /// All that it tells about itself, these two among it.
        metadata: Metadata,
    },
    /// A client of this server wants to come in: answer with [`Connection::handle_verdict`](super::Connection::handle_verdict), now
    /// or later. The deadline of the handshake is not put off by that.
    Authenticate(Credentials),
    /// A whole message. It has at least one frame.
    Message(Frames),
    /// The peer wants messages that begin like this. Only a PUB or XPUB is told; peers of version 3.0 send a message
    /// instead, whose first octet is 1.
    Subscribe(Bytes),
    /// The peer takes one such wish back. Peers of version 3.0 send a message whose first octet is 0.
    Cancel(Bytes),
    /// The connection is of no use any more.
    Closed(Error),
}

/// What a client says or proves about itself before it is let in.
///
/// ```
/// use atonce::zmtp::Credentials;
///
/// fn may_enter(credentials: &Credentials) -> bool {
///     match credentials {
///         Credentials::Curve(key) => key.to_string() == "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
///         _ => false,
///     }
/// }
/// # let _ = may_enter;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// It says its name and a password; who else could read them is not known.
    Plain {
        /// Who it says it is.
        username: Text,
        /// What is to prove it.
        password: Password,
    },
    /// It proved to have the secret key of this one.
    #[cfg(feature = "curve")]
    Curve(PublicKey),
}

/// The events that wait to be taken. Bounded by what one input brings, when they are taken after each.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: Queue<Event>,
    /// How many in `queue` are messages.
    messages: usize,
    /// The octets of these.
    octets: usize,
}

impl Events {
    /// Any event but a message.
    pub(super) fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    #[inline]
    pub(super) fn push_message(&mut self, frames: Frames) {
        self.messages += 1;
        self.octets += frames.octets();
        self.queue.push_back(Event::Message(frames));
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        if let Event::Message(frames) = &event {
            self.messages -= 1;
            self.octets -= frames.octets();
        }
        Some(event)
    }

    /// Takes the next event if it is a message.
    #[inline]
    pub(super) fn pop_message(&mut self) -> Option<Frames> {
        self.peek_message()?;
        match self.pop() {
            Some(Event::Message(frames)) => Some(frames),
            _ => None,
        }
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    #[inline]
    pub(super) fn peek_message(&self) -> Option<&Frames> {
        match self.queue.front() {
            Some(Event::Message(frames)) => Some(frames),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
