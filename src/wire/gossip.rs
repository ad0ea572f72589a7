//! The messages of gossip, as CZMQ's zgossip has them, with what participants of ours say to each other besides: `spec/gossip.md`.
//!
//! A message is one frame. Behind the fields that everybody knows may stand an extension; who does not know it does not look there.
//!
//! ```
//! use atonce::wire::gossip::{Message, Publish};
//!
//! // What a C node says of itself to its hub.
//! let publish = Message::Publish(Publish {
//!     key: "52F5D22EE56AEB75A706913C62A0D18B".parse()?,
//!     value: "tcp://10.77.0.2:49900".parse()?,
//!     ttl: 0,
//!     stamp: None,
//! });
//! let frame = publish.encode();
//! assert_eq!((&frame[..5], frame.len()), (&b"\xAA\xA0\x02\x01\x20"[..], 66));
//! assert_eq!(Message::decode(&frame)?, publish);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes};

use super::primitive::{
    Parsed, array, bounded, exactly, longstr_len, longstr_octets, number1, number2, number4,
    number8, put_longstr, put_string, refused, share, string, string_len, whole,
};
use super::{Expected, Found, LongText, Malformed};

mod tuple;

pub use tuple::{InvalidKey, InvalidValue, Key, Value};

const SIGNATURE: u16 = 0xAAA0;
const VERSION: u8 = 1;
const HELLO: u8 = 1;
const PUBLISH: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;
const INVALID: u8 = 5;
/// Signature, id and version, with which every message begins.
const PREFIX_OCTETS: usize = 4;

/// With which an extension of ours begins, and its version.
const OURS: [u8; 3] = [0xA7, 0x0C, 1];
/// Set in the flags of a stamp whose origin published the tuple.
const PUBLISHED: u8 = 1;

/// A participant of ours: 16 octets that it draws, so that nobody else has them. Its text is 32 hexadecimal digits.
///
/// ```
/// use atonce::wire::gossip::ParticipantId;
///
/// let id = ParticipantId::from_bytes([0xA7; 16]);
/// assert_eq!(id.to_string(), "A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantId([u8; 16]);

impl ParticipantId {
    /// The participant with these octets.
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Its octets.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032X}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which of two statements of ours about one key is the newer one, and whose it is. Greater is newer.
///
/// ```
/// use atonce::wire::gossip::{ParticipantId, Stamp};
///
/// let [one, two] = [1, 2].map(|n| ParticipantId::from_bytes([n; 16]));
/// let stamp = |generation, origin| Stamp { generation, origin, published: true };
/// assert!(stamp(7, one) > stamp(6, two));
/// assert!(stamp(7, two) > stamp(7, one));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// It grows with each statement about the key, at most to [`LIMIT`](Self::LIMIT).
    pub generation: u64,
    /// Who made this statement.
    pub origin: ParticipantId,
    /// Whether the tuple was published by one of ours, who says so as long as it lives; otherwise it comes from a peer that is none of
    /// ours.
    pub published: bool,
}

impl Stamp {
    /// The greatest generation: 2^62. There is always room for a newer one of whoever publishes the tuple.
    pub const LIMIT: u64 = 1 << 62;
    /// Generations to a change, so that no number of refreshes is newer than one: 2^24, which is ten years of them.
    const CHANGE: u64 = 1 << 24;

    /// The generation of a refresh.
    // GOS-26
    pub(crate) const fn after_refresh(generation: u64) -> u64 {
        if generation < Self::LIMIT {
            generation + 1
        } else {
            Self::LIMIT
        }
    }

    /// The generation of anything else.
    // GOS-8
    pub(crate) const fn after_change(generation: u64) -> u64 {
        if generation < Self::LIMIT {
            (generation / Self::CHANGE + 1) * Self::CHANGE
        } else {
            Self::LIMIT
        }
    }
}

/// A tuple is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Its name.
    pub key: Key,
    /// What it says. A [void](Value::is_void) one says that there is no such tuple any more.
    pub value: Value,
    /// For how long it counts, in milliseconds; 0: nothing is said about that, as C peers do.
    pub ttl: u32,
    /// Between two of ours, and only there.
    pub stamp: Option<Stamp>,
}

/// A message of gossip.
///
/// [The module](self) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A client is there and wants all tuples. One of ours says which participant it is.
    Hello(Option<ParticipantId>),
    /// A tuple is announced.
    Publish(Publish),
    /// A client is still there.
    Ping,
    /// So is the server. One of ours says which participant it is, in answer to a HELLO that did.
    Pong(Option<ParticipantId>),
    /// The server does not know the client, or what it wants: it is to say HELLO.
    Invalid,
}

impl Message {
    /// Whether this frame begins as a message of gossip does.
    ///
    /// ```
    /// use atonce::wire::gossip::Message;
    ///
    /// assert!(Message::is_gossip(b"\xAA\xA0\x01\x01"));
    /// assert!(!Message::is_gossip(b"\xAA\xA1\x01\x02"));
    /// ```
    pub fn is_gossip(frame: &[u8]) -> bool {
        prefix(frame).is_ok()
    }

    /// Reads a message, which is one frame. Keys and values share its memory unless that would keep much more than they are.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the first field that does not follow the grammar; `signature`, `id` or `version` when it is none of gossip
    /// ([`is_gossip`](Self::is_gossip)).
    pub fn decode(frame: &Bytes) -> Result<Self, Malformed> {
        // GOS-1
        let (id, fields) = prefix(frame)?;
        match id {
            HELLO => Ok(Self::Hello(participant("HELLO.extension", fields)?)),
            PUBLISH => {
                let ((key, value, ttl), rest) = whole(
                    "PUBLISH",
                    |input| {
                        let (input, fields) = publish(frame)(input)?;
                        Ok((&[][..], (fields, input)))
                    },
                    fields,
                )?;
                let stamp = stamp(rest)?;
                Ok(Self::Publish(Publish {
                    key,
                    value,
                    ttl,
                    stamp,
                }))
            }
            PING => Ok(Self::Ping),
            PONG => Ok(Self::Pong(participant("PONG.extension", fields)?)),
            _ => Ok(Self::Invalid),
        }
    }

    /// The frame, allocated once and to its exact size.
    // GOS-6
    pub fn encode(&self) -> Bytes {
        let (id, size) = match self {
            Self::Hello(of) => (HELLO, participant_len(of.as_ref())),
            Self::Publish(publish) => (PUBLISH, publish.len()),
            Self::Ping => (PING, 0),
            Self::Pong(of) => (PONG, participant_len(of.as_ref())),
            Self::Invalid => (INVALID, 0),
        };
        let mut frame = Vec::with_capacity(PREFIX_OCTETS + size);
        frame.put_u16(SIGNATURE);
        frame.put_u8(id);
        frame.put_u8(VERSION);
        match self {
            Self::Hello(Some(of)) | Self::Pong(Some(of)) => {
                frame.put_slice(&OURS);
                frame.put_slice(of.as_bytes());
            }
            Self::Publish(publish) => publish.put(&mut frame),
            Self::Hello(None) | Self::Ping | Self::Pong(None) | Self::Invalid => {}
        }
        debug_assert_eq!(frame.len(), PREFIX_OCTETS + size, "{self:?}");
        frame.into()
    }
}

impl Publish {
    fn len(&self) -> usize {
        let stamp = OURS.len() + size_of::<u8>() + size_of::<u64>() + size_of::<ParticipantId>();
        string_len(self.key.text())
            + longstr_len(self.value.as_bytes())
            + size_of::<u32>()
            + self.stamp.map_or(0, |_| stamp)
    }

    fn put(&self, frame: &mut Vec<u8>) {
        put_string(frame, self.key.text());
        put_longstr(frame, self.value.as_bytes());
        frame.put_u32(self.ttl);
        if let Some(stamp) = &self.stamp {
            frame.put_slice(&OURS);
            frame.put_u8(if stamp.published { PUBLISHED } else { 0 });
            frame.put_u64(stamp.generation);
            frame.put_slice(stamp.origin.as_bytes());
        }
    }
}

/// The id, and what follows the version.
fn prefix(frame: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let fields = (
        exactly("signature", number2("signature"), SIGNATURE),
        number1("id"),
        exactly("version", number1("version"), VERSION),
        nom::combinator::rest,
    );
    let ((), id, (), rest) = whole("message", fields, frame)?;
    if !(HELLO..=INVALID).contains(&id) {
        let found = Found::Value(id.into());
        return Err(Malformed::new("id", Expected::What("1 to 5"), found));
    }
    Ok((id, rest))
}

fn publish<'a>(frame: &'a Bytes) -> impl Fn(&'a [u8]) -> Parsed<'a, (Key, Value, u32)> {
    move |input| {
        // GOS-3
        let (input, key) = string("PUBLISH.key", frame)(input)?;
        let key = Key::try_from(key).map_err(|error| failure("PUBLISH.key", error.expected()))?;
        // GOS-4
        let (input, octets) = longstr_octets("PUBLISH.value", Value::LIMIT)(input)?;
        let text: LongText = bounded("PUBLISH.value", share(frame, octets))?;
        let value =
            Value::try_from(text).map_err(|error| failure("PUBLISH.value", error.expected()))?;
        let (input, ttl) = number4("PUBLISH.ttl")(input)?;
        Ok((input, (key, value, ttl)))
    }
}

fn failure(field: &'static str, expected: &'static str) -> nom::Err<Malformed> {
    let found = Found::What("something else");
    nom::Err::Failure(Malformed::new(field, Expected::What(expected), found))
}

/// What stands behind the signature of an extension of ours; `None` when it is not ours.
// GOS-5
fn ours(rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(&OURS)
}

fn participant(field: &'static str, rest: &[u8]) -> Result<Option<ParticipantId>, Malformed> {
    let Some(extension) = ours(rest) else {
        return Ok(None);
    };
    whole(field, array(field), extension).map(|octets| Some(ParticipantId(octets)))
}

fn participant_len(of: Option<&ParticipantId>) -> usize {
    of.map_or(0, |of| OURS.len() + of.0.len())
}

fn stamp(rest: &[u8]) -> Result<Option<Stamp>, Malformed> {
    const FLAGS: &str = "PUBLISH.flags";
    const GENERATION: &str = "PUBLISH.generation";
    let Some(extension) = ours(rest) else {
        return Ok(None);
    };
    let fields = |input| {
        let (input, flags) = number1(FLAGS)(input)?;
        if flags & !PUBLISHED != 0 {
            let found = Found::Value(flags.into());
            return refused(Malformed::new(FLAGS, Expected::What("0 or 1"), found));
        }
        let (input, generation) = number8(GENERATION)(input)?;
        // GOS-7
        if generation > Stamp::LIMIT {
            let expected = Expected::AtMost(Stamp::LIMIT);
            return refused(Malformed::new(
                GENERATION,
                expected,
                Found::Value(generation),
            ));
        }
        let (input, origin) = array("PUBLISH.origin")(input)?;
        let stamp = Stamp {
            generation,
            origin: ParticipantId(origin),
            published: flags == PUBLISHED,
        };
        Ok((input, stamp))
    };
    whole("PUBLISH.extension", fields, extension).map(Some)
}

#[cfg(test)]
mod tests;
