//! The messages with which nodes say to collectors what happens to them: `spec/log.md`.
//!
//! ```
//! use atonce::wire::log::{Event, Level, NodeTag, Record};
//!
//! let record = Record {
//!     level: Level::INFO,
//!     event: Event::JOIN,
//!     node: NodeTag::of("tcp://192.168.1.7:49152"),
//!     peer: NodeTag::NONE,
//!     time: 1_352_700_000,
//!     data: "CHAT".try_into()?,
//! };
//! let message = record.encode();
//! assert_eq!((&message[..5], message.len()), (&b"\xAA\xA2\x01\x03\x01"[..], 22));
//! assert_eq!(Record::decode(&message)?, record);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::primitive::{exactly, number1, number2, number8, put_string, string, string_len, whole};
use super::{Malformed, Text};

const SIGNATURE: u16 = 0xAAA2;
/// The id of LOG, the only message that there is.
const LOG: u8 = 1;
/// Signature and id, with which every message begins.
const PREFIX: [u8; 3] = [0xAA, 0xA2, LOG];
/// A time from here on is in milliseconds.
const IN_MILLIS: u64 = 100_000_000_000;

/// How serious a record is: the lower the number, the more.
///
/// ```
/// use atonce::wire::log::Level;
///
/// assert!(Level::ERROR < Level::INFO);
/// assert_eq!(Level::WARNING.to_string(), "warning");
/// assert_eq!(Level(7).to_string(), "level 7");
/// ```
// LOG-4
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u8);

impl Level {
    /// Something does not work.
    pub const ERROR: Self = Self(1);
    /// Something may not work.
    pub const WARNING: Self = Self(2);
    /// Something happened.
    pub const INFO: Self = Self(3);

    /// `error`, `warning` or `info`, if it is one of these.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ERROR => "error",
            Self::WARNING => "warning",
            Self::INFO => "info",
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "level {}", self.0),
        }
    }
}

/// What happened.
///
/// ```
/// use atonce::wire::log::Event;
///
/// assert_eq!(Event::ENTER.to_string(), "ENTER");
/// assert_eq!(Event::NONE.name(), None);
/// ```
// LOG-4
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event(pub u8);

impl Event {
    /// Nothing that has a number.
    pub const NONE: Self = Self(0);
    /// The node joined a group.
    pub const JOIN: Self = Self(1);
    /// The node left a group.
    pub const LEAVE: Self = Self(2);
    /// A peer entered.
    pub const ENTER: Self = Self(3);
    /// A peer exited.
    pub const EXIT: Self = Self(4);
    /// A message was sent to a peer.
    pub const SEND: Self = Self(5);
    /// A message came from a peer.
    pub const RECV: Self = Self(6);

    /// Its name, if it has one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::JOIN => "JOIN",
            Self::LEAVE => "LEAVE",
            Self::ENTER => "ENTER",
            Self::EXIT => "EXIT",
            Self::SEND => "SEND",
            Self::RECV => "RECV",
            _ => return None,
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "event {}", self.0),
        }
    }
}

/// A node in a record: 16 bits made of its endpoint. Two nodes may have the same. Its text is four hexadecimal digits.
///
/// ```
/// use atonce::wire::log::NodeTag;
///
/// assert_eq!(NodeTag::of("tcp://127.0.0.1:5550").to_string(), "5B49");
/// assert_eq!(NodeTag::of(""), NodeTag::NONE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeTag(pub u16);

impl NodeTag {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// That of an endpoint, as HELLO has it.
    // LOG-7
    pub fn of(endpoint: impl AsRef<[u8]>) -> Self {
        let octets = endpoint.as_ref().iter();
        Self(octets.fold(0, |tag: u16, octet| {
            tag.wrapping_mul(33) ^ u16::from(*octet)
        }))
    }
}

impl fmt::Display for NodeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// What a node says to its collectors: a message of one frame. [The module](self) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How serious it is.
    pub level: Level,
    /// What happened.
    pub event: Event,
    /// Who says it.
    pub node: NodeTag,
    /// About whom.
    pub peer: NodeTag,
    /// When it happened, by the clock of the node, in seconds since the beginning of 1970. See [`since_1970`](Self::since_1970).
    pub time: u64,
    /// What else there is to say, of any octets.
    pub data: Text,
}

impl Record {
    /// The most octets of a message.
    pub const LIMIT: usize = PREFIX.len() + FIXED + 1 + Text::LIMIT;

    /// What messages begin with, those of one level if one is given: to subscribe to.
    ///
    /// ```
    /// use atonce::wire::log::{Level, Record};
    ///
    /// assert_eq!(Record::prefix(Some(Level::ERROR)), &b"\xAA\xA2\x01\x01"[..]);
    /// ```
    // LOG-30
    pub fn prefix(level: Option<Level>) -> Bytes {
        let level = level.map(|level| level.0);
        PREFIX.into_iter().chain(level).collect()
    }

    /// Whether a frame begins as these messages do. What does not is somebody else's.
    // LOG-1
    pub fn is_ours(frame: &[u8]) -> bool {
        frame.starts_with(&PREFIX)
    }

    /// Reads a message, all of its first frame.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the first field that does not follow the grammar; `signature` or `id` when it is no such message
    /// ([`is_ours`](Self::is_ours)).
    pub fn decode(frame: &Bytes) -> Result<Self, Malformed> {
        let fields = (
            // LOG-1
            exactly("signature", number2("signature"), SIGNATURE),
            exactly("id", number1("id"), LOG),
            number1("LOG.level"),
            number1("LOG.event"),
            number2("LOG.node"),
            number2("LOG.peer"),
            number8("LOG.time"),
            // LOG-5
            string("LOG.data", frame),
        );
        // LOG-2: `whole` refuses what is left over.
        let fields = fields.map(|((), (), level, event, node, peer, time, data)| Self {
            level: Level(level),
            event: Event(event),
            node: NodeTag(node),
            peer: NodeTag(peer),
            time,
            data,
        });
        whole("LOG", fields, frame)
    }

    /// The message, allocated once and to its exact size.
    // LOG-6
    pub fn encode(&self) -> Bytes {
        let size = PREFIX.len() + FIXED + string_len(&self.data);
        let mut frame = Vec::with_capacity(size);
        frame.put_slice(&PREFIX);
        frame.put_u8(self.level.0);
        frame.put_u8(self.event.0);
        frame.put_u16(self.node.0);
        frame.put_u16(self.peer.0);
        frame.put_u64(self.time);
        put_string(&mut frame, &self.data);
        debug_assert_eq!(frame.len(), size, "{self:?}");
        frame.into()
    }

    /// When it happened, since the beginning of 1970. Some nodes write milliseconds.
    ///
    /// ```
    /// use atonce::wire::log::Record;
    /// use core::time::Duration;
    ///
    /// let mut record = Record::decode(&vec![
    ///     0xAA, 0xA2, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0xA0, 0x95, 0x60, 0,
    /// ].into())?;
    /// assert_eq!(record.since_1970(), Duration::from_secs(1_352_701_280));
    /// record.time = 1_352_701_280_250;
    /// assert_eq!(record.since_1970(), Duration::from_millis(1_352_701_280_250));
    /// # Ok::<(), atonce::wire::Malformed>(())
    /// ```
    // LOG-8
    pub const fn since_1970(&self) -> Duration {
        if self.time >= IN_MILLIS {
            Duration::from_millis(self.time)
        } else {
            Duration::from_secs(self.time)
        }
    }
}

/// Level, event, node, peer and time.
const FIXED: usize = 1 + 1 + 2 + 2 + 8;
