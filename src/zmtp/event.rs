//! What a connection tells the embedder.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

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
///
/// Messages are many and small, beside what else there may be to tell: so they stand in a queue of their own.
#[derive(Debug, Default)]
pub(super) struct Events {
    messages: Queue<Frames>,
    /// The octets of these.
    octets: usize,
    /// They come at the beginning and at the end, and mostly there are none.
    others: Option<Box<Others>>,
}

/// Events that are no messages; at least one.
#[derive(Debug, Default)]
struct Others {
    /// Each with how many messages are to be taken first, behind the one before it.
    queue: VecDeque<(usize, Event)>,
    /// How many messages are to be taken before the last of them.
    before_last: usize,
}

impl Events {
    /// Any event but a message.
    pub(super) fn push(&mut self, event: Event) {
        let others = self.others.get_or_insert_default();
        let before = self.messages.len() - others.before_last;
        others.before_last += before;
        others.queue.push_back((before, event));
    }

    #[inline]
    pub(super) fn push_message(&mut self, frames: Frames) {
        self.octets += frames.octets();
        self.messages.push_back(frames);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Event> {
        if self.next_is_other() {
            return self.pop_other();
        }
        self.pop_message().map(Event::Message)
    }

    fn pop_other(&mut self) -> Option<Event> {
        let others = self.others.as_mut()?;
        let (_, event) = others.queue.pop_front()?;
        if others.queue.is_empty() {
            self.others = None;
        }
        Some(event)
    }

    /// Takes the next event if it is a message.
    #[inline]
    pub(super) fn pop_message(&mut self) -> Option<Frames> {
        if self.next_is_other() {
            return None;
        }
        let message = self.messages.pop_front()?;
        self.octets -= message.octets();
        if let Some(others) = &mut self.others
            && let Some((before, _)) = others.queue.front_mut()
        {
            *before -= 1;
            others.before_last -= 1;
        }
        Some(message)
    }

    /// Takes all events if all of them are messages, and of no more than so many octets; how many they were.
    pub(super) fn pop_messages(&mut self, octets: usize, into: &mut VecDeque<Frames>) -> usize {
        if self.others.is_some() || self.octets > octets {
            return 0;
        }
        let messages = self.messages.len();
        self.messages.drain_into(into);
        self.octets = 0;
        messages
    }

    /// Has messages that are to come find room in this memory.
    #[inline]
    pub(super) fn lend(&mut self, memory: &mut VecDeque<Frames>) {
        self.messages.lend(memory);
    }

    /// Gives memory back that is not used.
    #[inline]
    pub(super) fn give_back(&mut self, memory: &mut VecDeque<Frames>) {
        self.messages.give_back(memory);
    }

    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    #[inline]
    pub(super) fn peek_message(&self) -> Option<&Frames> {
        if self.next_is_other() {
            return None;
        }
        self.messages.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.others.is_none()
    }

    #[inline]
    fn next_is_other(&self) -> bool {
        let others = self.others.as_ref();
        let next = others.and_then(|others| others.queue.front());
        next.is_some_and(|(before, _)| *before == 0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Message(u8),
        Other(u8),
        Pop,
        PopMessage,
        PopMessages(usize),
        Lend,
        GiveBack,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u8>().prop_map(Step::Message),
            1 => any::<u8>().prop_map(Step::Other),
            2 => Just(Step::Pop),
            2 => Just(Step::PopMessage),
            1 => (0..200_usize).prop_map(Step::PopMessages),
            1 => Just(Step::Lend),
            1 => Just(Step::GiveBack),
        ]
    }

    fn message(octet: u8) -> Frames {
        Frames::from(alloc::vec![octet; usize::from(octet % 32)])
    }

    fn octets(model: &VecDeque<Event>) -> usize {
        let octets = model.iter().map(|event| match event {
            Event::Message(message) => message.octets(),
            _ => 0,
        });
        octets.sum()
    }

    proptest! {
        /// They come in the order in which they happened, however they are taken.
        #[test]
        fn they_are_one_queue(steps in prop::collection::vec(step(), 0..200)) {
            let mut events = Events::default();
            let mut model = VecDeque::new();
            let mut memory = VecDeque::new();
            let is_message = |event: &Event| matches!(event, Event::Message(_));
            for step in steps {
                match step {
                    Step::Message(octet) => {
                        events.push_message(message(octet));
                        model.push_back(Event::Message(message(octet)));
                    }
                    Step::Other(octet) => {
                        let event = Event::Subscribe(Bytes::from(alloc::vec![octet]));
                        events.push(event.clone());
                        model.push_back(event);
                    }
                    Step::Pop => prop_assert_eq!(events.pop(), model.pop_front()),
                    Step::PopMessage => {
                        let expected = model.front().is_some_and(is_message);
                        let expected = if expected { model.pop_front() } else { None };
                        prop_assert_eq!(events.pop_message().map(Event::Message), expected);
                    }
                    Step::PopMessages(limit) => {
                        let mut taken = VecDeque::from([message(1)]);
                        let count = events.pop_messages(limit, &mut taken);
                        let all = model.iter().all(is_message) && octets(&model) <= limit;
                        prop_assert_eq!(count, if all { model.len() } else { 0 });
                        let expected: Vec<Event> = model.drain(..count).collect();
                        let taken: Vec<Event> = taken.into_iter().skip(1).map(Event::Message).collect();
                        prop_assert_eq!(taken, expected);
                    }
                    Step::Lend => {
                        memory.reserve(4);
                        events.lend(&mut memory);
                    }
                    Step::GiveBack => events.give_back(&mut memory),
                }
                prop_assert!(memory.is_empty());
                let next = model.front().filter(|event| is_message(event)).cloned();
                prop_assert_eq!(events.peek_message().cloned().map(Event::Message), next);
                prop_assert_eq!(events.messages(), model.iter().filter(|event| is_message(event)).count());
                prop_assert_eq!(events.octets(), octets(&model));
                prop_assert_eq!(events.is_empty(), model.is_empty());
            }
        }
    }
}
