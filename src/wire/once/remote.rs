//! What peers of different networks say to each other.

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::Limits;
use super::fields::{
    COUNT_OCTETS, UUID_OCTETS, list, put_list, put_text, put_uuid, text, text_len, uuid,
};
use crate::PeerId;
use crate::wire::primitive::{Parsed, number1, number8, refused};
use crate::wire::{Expected, Found, Frames, Malformed, Text};

/// Something for one peer of the receiver, from one of the sender.
///
/// [The module](super) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteWhisper {
    /// Which life of the sending bridge it belongs to.
    pub epoch: u64,
    /// How many whispers and shouts of this epoch the sending bridge had for the receiving one, this one included: what is not
    /// above the last one that was taken was taken before.
    pub number: u64,
    /// Who says it, on the sender's network.
    pub from: PeerId,
    /// To whom, on the receiver's.
    pub to: PeerId,
    /// Any number of frames, as the application made them.
    pub content: Frames,
}

/// Something for peers of the receiver that are in a group, from a peer of the sender.
///
/// ```
/// use atonce::{Frames, PeerId};
/// use atonce::wire::once::{RemoteShout, V2};
///
/// let shout = RemoteShout {
///     epoch: 1,
///     number: 8,
///     from: PeerId::from_bytes([1; 16]),
///     group: "CHAT".try_into()?,
///     to: vec![PeerId::from_bytes([2; 16]), PeerId::from_bytes([3; 16])],
///     content: Frames::from("dinner is ready"),
/// };
/// assert_eq!(V2::RemoteShout(shout.clone()).content(), Some(&shout.content));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteShout {
    /// As in a [`RemoteWhisper`].
    pub epoch: u64,
    /// As in a [`RemoteWhisper`]; all of them are counted together.
    pub number: u64,
    /// Who says it, on the sender's network.
    pub from: PeerId,
    /// The group.
    pub group: Text,
    /// To whom of the group, on the receiver's network, in whatever order.
    pub to: Vec<PeerId>,
    /// Any number of frames, as the application made them.
    pub content: Frames,
}

/// The same sender said the same to the same group once more, for these: what a [`RemoteShout`] said need not be said again.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::once::{RemoteAgain, V2};
///
/// let again = RemoteAgain {
///     epoch: 1,
///     number: 9,
///     of: 8,
///     to: vec![PeerId::from_bytes([4; 16])],
/// };
/// assert_eq!(V2::RemoteAgain(again).name(), "REMOTE-AGAIN");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAgain {
    /// As in a [`RemoteWhisper`].
    pub epoch: u64,
    /// As in a [`RemoteWhisper`]; all of them are counted together.
    pub number: u64,
    /// The number of the REMOTE-SHOUT of this epoch that has sender, group and content.
    pub of: u64,
    /// To whom of the group, on the receiver's network, in whatever order.
    pub to: Vec<PeerId>,
}

/// A whisper or a shout of the receiver was not delivered.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::once::{Reason, Target, Undeliverable};
///
/// let undeliverable = Undeliverable {
///     epoch: 1,
///     number: 7,
///     from: PeerId::from_bytes([1; 16]),
///     target: Target::Peer(PeerId::from_bytes([2; 16])),
///     reason: Reason::UNKNOWN,
/// };
/// assert_eq!(undeliverable.reason.to_string(), "nobody of that name is here");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeliverable {
    /// That of the message that was not delivered.
    pub epoch: u64,
    /// That of the message that was not delivered.
    pub number: u64,
    /// That of the message that was not delivered.
    pub from: PeerId,
    /// For whom it was.
    pub target: Target,
    /// Why.
    pub reason: Reason,
}

/// For whom something was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A peer.
    Peer(PeerId),
    /// A group.
    Group(Text),
}

/// Why something was not delivered. A number that is none of these is kept as it came.
///
/// ```
/// use atonce::wire::once::Reason;
///
/// assert_eq!(Reason(3), Reason::FULL);
/// assert_eq!(Reason(99).to_string(), "reason 99");
/// ```
// ONCE-33
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reason(pub u8);

impl Reason {
    /// The target is no peer here, or nobody here is in the group.
    pub const UNKNOWN: Self = Self(1);
    /// Who said it is not in the roster of the bridge that sent it.
    pub const NOT_YOURS: Self = Self(2);
    /// Too much is waiting for the target.
    pub const FULL: Self = Self(3);
    /// The target went before it had all of it, or may have.
    pub const LOST: Self = Self(4);
    /// It is larger than may be here.
    pub const TOO_LARGE: Self = Self(5);
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::UNKNOWN => "nobody of that name is here",
            Self::NOT_YOURS => "the sender is not one of yours",
            Self::FULL => "too much is waiting",
            Self::LOST => "it went",
            Self::TOO_LARGE => "too large",
            Self(reason) => return write!(f, "reason {reason}"),
        })
    }
}

/// The octets that a whisper and a shout begin with.
const HEAD_OCTETS: usize = 2 * size_of::<u64>() + UUID_OCTETS;

impl RemoteWhisper {
    /// Reads one that has no content yet.
    pub(super) fn read(input: &[u8]) -> Parsed<'_, Self> {
        (
            number8("REMOTE-WHISPER.epoch"),
            number8("REMOTE-WHISPER.number"),
            uuid("REMOTE-WHISPER.from"),
            uuid("REMOTE-WHISPER.to"),
        )
            .map(|(epoch, number, from, to)| Self {
                epoch,
                number,
                from,
                to,
                content: Frames::new(),
            })
            .parse(input)
    }

    pub(super) const fn octets() -> usize {
        HEAD_OCTETS + UUID_OCTETS
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch);
        out.put_u64(self.number);
        put_uuid(out, &self.from);
        put_uuid(out, &self.to);
    }
}

impl RemoteShout {
    /// Reads one that has no content yet.
    pub(super) fn read<'a>(
        frame: &'a Bytes,
        limits: &Limits,
    ) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        let to = receivers("REMOTE-SHOUT.to", limits);
        move |input| {
            (
                number8("REMOTE-SHOUT.epoch"),
                number8("REMOTE-SHOUT.number"),
                uuid("REMOTE-SHOUT.from"),
                text("REMOTE-SHOUT.group", frame),
                to,
            )
                .map(|(epoch, number, from, group, to)| Self {
                    epoch,
                    number,
                    from,
                    group,
                    to,
                    content: Frames::new(),
                })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        HEAD_OCTETS + text_len(&self.group) + receivers_len(&self.to)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch);
        out.put_u64(self.number);
        put_uuid(out, &self.from);
        put_text(out, &self.group);
        put_list(out, &self.to, put_uuid);
    }
}

impl RemoteAgain {
    pub(super) fn read<'a>(limits: &Limits) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        let to = receivers("REMOTE-AGAIN.to", limits);
        move |input| {
            (
                number8("REMOTE-AGAIN.epoch"),
                number8("REMOTE-AGAIN.number"),
                number8("REMOTE-AGAIN.of"),
                to,
            )
                .map(|(epoch, number, of, to)| Self {
                    epoch,
                    number,
                    of,
                    to,
                })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        3 * size_of::<u64>() + receivers_len(&self.to)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch);
        out.put_u64(self.number);
        out.put_u64(self.of);
        put_list(out, &self.to, put_uuid);
    }
}

/// A count, and that many identities.
fn receivers<'a>(
    field: &'static str,
    limits: &Limits,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Vec<PeerId>> + Copy {
    list(field, limits.receivers, UUID_OCTETS, uuid(field))
}

const fn receivers_len(to: &[PeerId]) -> usize {
    COUNT_OCTETS + UUID_OCTETS * to.len()
}

impl Undeliverable {
    pub(super) fn read<'a>(frame: &'a Bytes) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        move |input| {
            (
                number8("UNDELIVERABLE.epoch"),
                number8("UNDELIVERABLE.number"),
                uuid("UNDELIVERABLE.from"),
                Target::read(frame),
                number1("UNDELIVERABLE.reason").map(Reason),
            )
                .map(|(epoch, number, from, target, reason)| Self {
                    epoch,
                    number,
                    from,
                    target,
                    reason,
                })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        let target = match &self.target {
            Target::Peer(_) => UUID_OCTETS,
            Target::Group(group) => text_len(group),
        };
        HEAD_OCTETS + size_of::<u8>() + target + size_of::<u8>()
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch);
        out.put_u64(self.number);
        put_uuid(out, &self.from);
        match &self.target {
            Target::Peer(uuid) => {
                out.put_u8(Target::PEER);
                put_uuid(out, uuid);
            }
            Target::Group(group) => {
                out.put_u8(Target::GROUP);
                put_text(out, group);
            }
        }
        out.put_u8(self.reason.0);
    }
}

impl Target {
    const PEER: u8 = 0;
    const GROUP: u8 = 1;

    fn read<'a>(frame: &'a Bytes) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        const FIELD: &str = "UNDELIVERABLE.target";
        move |input| {
            let (input, kind) = number1(FIELD)(input)?;
            match kind {
                Self::PEER => uuid(FIELD).map(Self::Peer).parse(input),
                Self::GROUP => text(FIELD, frame).map(Self::Group).parse(input),
                // ONCE-7
                other => refused(Malformed::new(
                    FIELD,
                    Expected::AtMost(1),
                    Found::Value(other.into()),
                )),
            }
        }
    }
}
