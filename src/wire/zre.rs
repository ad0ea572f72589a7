//! The messages of ZRE version 2, and three more that only C Zyre has.
//!
//! The grammar is in RFC 36 "TCP Protocol Grammar" (RFC 43 has the same one). RFC 43 says version 3, but every
//! implementation sends and requires 2, and so does this one. ELECT, LEADER and GOODBYE, with the ids 8, 9 and 10, are
//! in no RFC; their format is the one of C Zyre. Other implementations stumble over them: they are to be sent only to
//! peers that are known to speak them.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::iter;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::primitive::{
    exactly, hash, hash_len, number1, number2, put_hash, put_string, put_strings, string,
    string_len, strings, strings_len, whole,
};
use super::{Body, Frames, Headers, Malformed, Text};

const SIGNATURE: u16 = 0xAAA1;
const VERSION: u8 = 2;
/// Signature, id, version and sequence, with which every message begins.
pub(crate) const PREFIX_OCTETS: usize = 6;

mod id {
    pub(super) const HELLO: u8 = 1;
    pub(super) const WHISPER: u8 = 2;
    pub(super) const SHOUT: u8 = 3;
    pub(super) const JOIN: u8 = 4;
    pub(super) const LEAVE: u8 = 5;
    pub(super) const PING: u8 = 6;
    pub(super) const PING_OK: u8 = 7;
    // ZRE-98: in no RFC.
    pub(super) const ELECT: u8 = 8;
    pub(super) const LEADER: u8 = 9;
    pub(super) const GOODBYE: u8 = 10;
}

/// A message from one node to another (RFC 36 "ZRE Commands").
///
/// On the wire it is one ZMTP message: a frame with the command, and after it the content of a WHISPER or SHOUT.
///
/// ```
/// use atonce::Frames;
/// use atonce::wire::zre::{Command, Limits, Message};
///
/// let message = Message {
///     sequence: 2,
///     command: Command::Whisper { content: Frames::from("hello") },
/// };
/// let frames = message.encode();
/// assert_eq!(&frames[0][..], [0xAA, 0xA1, 2, 2, 0, 2]);
/// assert_eq!(&frames[1][..], b"hello");
/// assert_eq!(Message::decode(frames, &Limits::default())?, message);
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fuzz"), derive(arbitrary::Arbitrary))]
pub struct Message {
    /// The number of the message on its link: 1 for HELLO, then one more each time.
    pub sequence: u16,
    /// What it says.
    pub command: Command,
}

/// What a message says.
///
/// ```
/// use atonce::wire::zre::Command;
///
/// let join = Command::Join { group: "CHAT".try_into()?, status: 1 };
/// assert_eq!((join.id(), join.name()), (4, "JOIN"));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fuzz"), derive(arbitrary::Arbitrary))]
pub enum Command {
    /// The greeting, before anything else.
    Hello(Hello),
    /// Something for one peer.
    Whisper {
        /// Any number of frames. C Zyre sends none when there are none, and so does this; Pyre and zyre.js break at
        /// that, so that a node does well to send an empty frame instead.
        content: Frames,
    },
    /// Something for all peers in a group.
    Shout {
        /// The group.
        group: Text,
        /// As with WHISPER.
        content: Frames,
    },
    /// The sender joined a group.
    Join {
        /// The group.
        group: Text,
        /// How often the sender joined and left groups, modulo 256, this time included.
        status: u8,
    },
    /// The sender left a group.
    Leave {
        /// The group.
        group: Text,
        /// As with JOIN.
        status: u8,
    },
    /// Is anybody there?
    Ping,
    /// The answer to PING.
    PingOk,
    /// A step of an election in a group. C Zyre only.
    Elect {
        /// The group.
        group: Text,
        /// Who wants to lead: the 32 hexadecimal digits of a UUID, if the sender is honest.
        challenger_id: Text,
    },
    /// The result of an election in a group. C Zyre only.
    Leader {
        /// The group.
        group: Text,
        /// Who leads: the 32 hexadecimal digits of a UUID, if the sender is honest.
        leader_id: Text,
    },
    /// The sender is leaving. C Zyre only.
    Goodbye,
    /// A command that this version does not know.
    Unknown(UnknownCommand),
}

/// A greeting (RFC 36 "The HELLO Command"): all that a peer has to know about a node.
///
/// ```
/// use atonce::wire::zre::Hello;
///
/// let hello = Hello {
///     endpoint: "tcp://192.168.1.7:49152".try_into()?,
///     groups: ["CHAT".try_into()?].into(),
///     status: 1,
///     name: "alice".try_into()?,
///     ..Hello::default()
/// };
/// assert!(hello.headers.is_empty());
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fuzz"), derive(arbitrary::Arbitrary))]
pub struct Hello {
    /// Where the sender's mailbox is; see [`Endpoint`](crate::endpoint::Endpoint).
    pub endpoint: Text,
    /// The groups that the sender is in. On the wire they may be as long as a `longstr`, but such a group could be
    /// neither shouted to nor left, so that one of more than 255 octets is refused.
    pub groups: BTreeSet<Text>,
    /// How often the sender joined and left groups, modulo 256.
    pub status: u8,
    /// The sender's public name.
    pub name: Text,
    /// What else the sender tells about itself.
    pub headers: Headers,
}

/// The id of a command that this version does not know: never one of the ids that it does know.
///
/// What else was in the message is dropped: nobody could use it.
///
/// ```
/// use atonce::wire::zre::UnknownCommand;
///
/// assert_eq!(UnknownCommand::new(99).map(UnknownCommand::id), Some(99));
/// assert_eq!(UnknownCommand::new(1), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCommand(u8);

impl UnknownCommand {
    /// The command with this id; `None` when the id is known.
    pub const fn new(id: u8) -> Option<Self> {
        match id {
            id::HELLO..=id::GOODBYE => None,
            id => Some(Self(id)),
        }
    }

    /// The id on the wire.
    pub const fn id(self) -> u8 {
        self.0
    }
}

/// How much a message may hold.
///
/// The octets are limited by whoever receives the frames; lengths within them cannot go beyond.
///
/// ```
/// use atonce::wire::zre::Limits;
///
/// let limits = Limits { groups: 10_000, ..Limits::default() };
/// assert_eq!(limits.headers, 256);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most groups in a HELLO: 1,024.
    pub groups: usize,
    /// The most headers in a HELLO: 256.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            groups: 1_024,
            headers: 256,
        }
    }
}

impl Message {
    /// Whether these frames begin as a ZRE message of a version that is spoken here does.
    ///
    /// A node discards what does not without a word (RFC 36 "Protocol Signature" and "Versioning"): it is no offence.
    /// C Zyre, for one, can lose the first frame of a message when a queue is full, and what follows then stands alone.
    ///
    /// ```
    /// use atonce::Frames;
    /// use atonce::wire::zre::Message;
    ///
    /// assert!(Message::is_zre(&Frames::from(b"\xAA\xA1\x06\x02\x00\x07")));
    /// assert!(!Message::is_zre(&Frames::from("stray content")));
    /// ```
    pub fn is_zre(frames: &Frames) -> bool {
        frames.first().is_some_and(|frame| Self::begins(frame))
    }

    /// The same for the first frame alone.
    #[inline]
    pub(crate) fn begins(head: &[u8]) -> bool {
        prefix(head).is_ok()
    }

    /// Reads a message.
    ///
    /// The content shares the memory of the frames, and so do strings unless that would keep a frame in memory that is
    /// much larger than they are.
    ///
    /// Frames after a command that has no content are ignored: they are never read as another message, since a
    /// message begins only where ZMTP says that one begins. They are no error, because nobody can tell a careless
    /// sender from a newer one. An unknown id is no error either, so that the sequence goes on. Octets that are left
    /// over in the first frame of a known command are an error.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the field that does not follow the grammar, or goes over the limits.
    pub fn decode(mut frames: Frames, limits: &Limits) -> Result<Self, Malformed> {
        let head = frames.pop_front().unwrap_or_default();
        Self::decode_parts(Body::Owned(head), frames, limits)
    }

    /// The same for a message whose first frame need not have memory of its own; `content` are the others.
    pub(crate) fn decode_parts(
        head: Body<'_>,
        content: Frames,
        limits: &Limits,
    ) -> Result<Self, Malformed> {
        let (_, (id, sequence)) = prefix(head.as_slice())?;
        if id == id::HELLO {
            let frame = head.into_bytes();
            let command = Command::Hello(hello(&frame, behind_prefix(&frame), limits)?);
            return Ok(Self { sequence, command });
        }
        let none = Bytes::new();
        let frame = match &head {
            Body::Owned(frame) => frame,
            // What is read out of it gets memory of its own.
            Body::Borrowed(_) => &none,
        };
        let body = behind_prefix(head.as_slice());
        let command = match id {
            id::WHISPER => {
                nothing("WHISPER", body)?;
                // ZRE-90
                Command::Whisper { content }
            }
            id::SHOUT => Command::Shout {
                group: whole("SHOUT", string("SHOUT.group", frame), body)?,
                content,
            },
            id::JOIN => {
                let fields = (string("JOIN.group", frame), number1("JOIN.status"));
                let (group, status) = whole("JOIN", fields, body)?;
                Command::Join { group, status }
            }
            id::LEAVE => {
                let fields = (string("LEAVE.group", frame), number1("LEAVE.status"));
                let (group, status) = whole("LEAVE", fields, body)?;
                Command::Leave { group, status }
            }
            id::PING => {
                nothing("PING", body)?;
                Command::Ping
            }
            id::PING_OK => {
                nothing("PING-OK", body)?;
                Command::PingOk
            }
            id::ELECT => {
                let challenger_id = string("ELECT.challenger_id", frame);
                let fields = (string("ELECT.group", frame), challenger_id);
                let (group, challenger_id) = whole("ELECT", fields, body)?;
                Command::Elect {
                    group,
                    challenger_id,
                }
            }
            id::LEADER => {
                let leader_id = string("LEADER.leader_id", frame);
                let fields = (string("LEADER.group", frame), leader_id);
                let (group, leader_id) = whole("LEADER", fields, body)?;
                Command::Leader { group, leader_id }
            }
            id::GOODBYE => {
                nothing("GOODBYE", body)?;
                Command::Goodbye
            }
            // ZRE-73
            id => Command::Unknown(UnknownCommand(id)),
        };
        // ZRE-93: content of what has none is dropped.
        Ok(Self { sequence, command })
    }

    /// The frames of the message.
    ///
    /// The first one is allocated, once and to its exact size; the content is shared.
    pub fn encode(&self) -> Frames {
        let mut head = Vec::with_capacity(self.head_len());
        self.encode_head(&mut head);
        let content: &[Bytes] = self.content().map_or(&[], |content| content);
        iter::once(Bytes::from(head))
            .chain(content.iter().cloned())
            .collect()
    }

    /// Appends the first frame alone, for those who write it right to where it is sent from; [`content`](Self::content)
    /// are the others.
    ///
    /// ```
    /// use atonce::wire::zre::{Command, Message};
    ///
    /// let message = Message { sequence: 7, command: Command::Ping };
    /// let mut head = Vec::new();
    /// message.encode_head(&mut head);
    /// assert_eq!(head, message.encode()[0]);
    /// assert_eq!((head.len(), message.content()), (message.octets(), None));
    /// ```
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        let before = out.len();
        out.extend_from_slice(&begin(self.command.id(), self.sequence));
        self.command.put_body(out);
        debug_assert_eq!(out.len() - before, self.head_len(), "{self:?}");
    }

    /// The frames behind the first one; `None` for a command that has none.
    pub const fn content(&self) -> Option<&Frames> {
        match &self.command {
            Command::Whisper { content } | Command::Shout { content, .. } => Some(content),
            _ => None,
        }
    }

    /// The octets of all frames, without framing.
    pub fn octets(&self) -> usize {
        self.head_len() + self.content().map_or(0, Frames::octets)
    }

    fn head_len(&self) -> usize {
        PREFIX_OCTETS + self.command.body_len()
    }
}

/// The first frame of what peers mostly say, read where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// To one.
    Whisper,
    /// To a group of this name.
    Shout(&'a [u8]),
}

impl<'a> Said<'a> {
    /// What is said, and its number; `None` when it is something else, or nothing that can be read.
    #[inline]
    pub(crate) fn read(head: &'a [u8]) -> Option<(Self, u16)> {
        let (body, (id, sequence)) = prefix(head).ok()?;
        let said = match id {
            id::WHISPER if body.is_empty() => Self::Whisper,
            id::SHOUT => {
                let (&octets, group) = body.split_first()?;
                (group.len() == usize::from(octets)).then_some(Self::Shout(group))?
            }
            _ => return None,
        };
        Some((said, sequence))
    }
}

/// The first frame of a WHISPER.
#[inline]
pub(crate) fn whisper_head(sequence: u16) -> [u8; PREFIX_OCTETS] {
    begin(id::WHISPER, sequence)
}

/// Appends the first frame of a SHOUT, whose number is not known yet.
pub(crate) fn put_shout_head(group: &Text, out: &mut Vec<u8>) {
    out.extend_from_slice(&begin(id::SHOUT, 0));
    put_string(out, group);
}

/// The octets of that frame.
pub(crate) fn shout_head_len(group: &Text) -> usize {
    PREFIX_OCTETS + string_len(group)
}

/// Numbers the first frame of a message anew.
#[inline]
pub(crate) fn renumber(head: &mut [u8], sequence: u16) {
    if let Some(place) = head.get_mut(PREFIX_OCTETS - 2..PREFIX_OCTETS) {
        place.copy_from_slice(&sequence.to_be_bytes());
    }
}

/// What every message begins with.
#[inline]
fn begin(id: u8, sequence: u16) -> [u8; PREFIX_OCTETS] {
    let [first, second] = SIGNATURE.to_be_bytes();
    let [high, low] = sequence.to_be_bytes();
    [first, second, id, VERSION, high, low]
}

impl Command {
    /// Its id on the wire.
    pub const fn id(&self) -> u8 {
        match self {
            Self::Hello(_) => id::HELLO,
            Self::Whisper { .. } => id::WHISPER,
            Self::Shout { .. } => id::SHOUT,
            Self::Join { .. } => id::JOIN,
            Self::Leave { .. } => id::LEAVE,
            Self::Ping => id::PING,
            Self::PingOk => id::PING_OK,
            Self::Elect { .. } => id::ELECT,
            Self::Leader { .. } => id::LEADER,
            Self::Goodbye => id::GOODBYE,
            Self::Unknown(unknown) => unknown.id(),
        }
    }

    /// Its name as the RFC writes it, for people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "HELLO",
            Self::Whisper { .. } => "WHISPER",
            Self::Shout { .. } => "SHOUT",
            Self::Join { .. } => "JOIN",
            Self::Leave { .. } => "LEAVE",
            Self::Ping => "PING",
            Self::PingOk => "PING-OK",
            Self::Elect { .. } => "ELECT",
            Self::Leader { .. } => "LEADER",
            Self::Goodbye => "GOODBYE",
            Self::Unknown(_) => "UNKNOWN",
        }
    }

    /// The octets after the prefix in the first frame.
    fn body_len(&self) -> usize {
        match self {
            Self::Hello(hello) => {
                string_len(&hello.endpoint)
                    + strings_len(&hello.groups)
                    + size_of::<u8>()
                    + string_len(&hello.name)
                    + hash_len(&hello.headers)
            }
            Self::Shout { group, .. } => string_len(group),
            Self::Join { group, .. } | Self::Leave { group, .. } => {
                string_len(group) + size_of::<u8>()
            }
            Self::Elect {
                group,
                challenger_id: id,
            }
            | Self::Leader {
                group,
                leader_id: id,
            } => string_len(group) + string_len(id),
            Self::Whisper { .. } | Self::Ping | Self::PingOk | Self::Goodbye | Self::Unknown(_) => {
                0
            }
        }
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => {
                put_string(out, &hello.endpoint);
                put_strings(out, &hello.groups);
                out.put_u8(hello.status);
                put_string(out, &hello.name);
                put_hash(out, &hello.headers);
            }
            Self::Shout { group, .. } => put_string(out, group),
            Self::Join { group, status } | Self::Leave { group, status } => {
                put_string(out, group);
                out.put_u8(*status);
            }
            Self::Elect {
                group,
                challenger_id: id,
            }
            | Self::Leader {
                group,
                leader_id: id,
            } => {
                put_string(out, group);
                put_string(out, id);
            }
            Self::Whisper { .. } | Self::Ping | Self::PingOk | Self::Goodbye | Self::Unknown(_) => {
            }
        }
    }
}

/// Signature, id, version and sequence: what follows, and the id and the sequence.
#[inline]
fn prefix(frame: &[u8]) -> Result<(&[u8], (u8, u16)), Malformed> {
    const FIRST: u8 = SIGNATURE.to_be_bytes()[0];
    const SECOND: u8 = SIGNATURE.to_be_bytes()[1];
    match frame.split_first_chunk() {
        Some((&[FIRST, SECOND, id, VERSION, high, low], body)) => {
            Ok((body, (id, u16::from_be_bytes([high, low]))))
        }
        _ => what_is_wrong(frame),
    }
}

/// What follows a prefix that was read before.
#[inline]
fn behind_prefix(frame: &[u8]) -> &[u8] {
    frame.get(PREFIX_OCTETS..).unwrap_or_default()
}

/// The same, slowly: each message of each peer begins so, and this one does not.
#[cold]
fn what_is_wrong(frame: &[u8]) -> Result<(&[u8], (u8, u16)), Malformed> {
    let fields = (
        // ZRE-91
        exactly("signature", number2("signature"), SIGNATURE),
        number1("id"),
        exactly("version", number1("version"), VERSION),
        number2("sequence"),
        nom::combinator::rest,
    );
    let ((), id, (), sequence, body) = whole("message", fields, frame)?;
    Ok((body, (id, sequence)))
}

fn hello(frame: &Bytes, body: &[u8], limits: &Limits) -> Result<Hello, Malformed> {
    // `body` lies in `frame`; one lifetime for both is what the parsers ask for.
    fn fields<'a>(
        frame: &'a Bytes,
        limits: &Limits,
    ) -> impl Parser<&'a [u8], Output = Hello, Error = Malformed> {
        (
            string("HELLO.endpoint", frame),
            strings("HELLO.groups", frame, limits.groups),
            number1("HELLO.status"),
            string("HELLO.name", frame),
            hash("HELLO.headers", frame, limits.headers),
        )
            .map(|(endpoint, groups, status, name, headers)| Hello {
                endpoint,
                groups,
                status,
                name,
                headers,
            })
    }
    whole("HELLO", fields(frame, limits), body)
}

/// The end, for commands that have nothing after the prefix.
fn nothing(field: &'static str, body: &[u8]) -> Result<(), Malformed> {
    whole(field, nom::combinator::success(()), body)
}
