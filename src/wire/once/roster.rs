//! Who is on a bridge's network: ROSTER, and what changes it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::Limits;
use super::fields::{
    COUNT_OCTETS, FLAG_OCTETS, UUID_OCTETS, headers, headers_len, key_len, list, list_len, option,
    option_len, put_headers, put_key, put_list, put_option, put_text, put_uuid, text, text_len,
    uuid,
};
use crate::PeerId;
use crate::wire::primitive::{
    Parsed, array, number2, number8, put_strings, refused, strings, strings_len, too_many,
};
use crate::wire::{Expected, Found, Headers, Malformed, Text};

/// A peer as its bridge tells of it.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::once::Peer;
///
/// let peer = Peer {
///     uuid: PeerId::from_bytes([1; 16]),
///     name: "alice".try_into()?,
///     endpoint: None,
///     key: None,
///     headers: Default::default(),
///     groups: ["CHAT".try_into()?].into(),
/// };
/// assert_eq!(peer.octets(), 16 + 4 + 5 + 1 + 1 + 4 + 4 + 4 + 4);
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub uuid: PeerId,
    /// Its public name.
    pub name: Text,
    /// Where its mailbox is on its own network, if that is told.
    pub endpoint: Option<Text>,
    /// The CURVE key that it proved to its bridge, if it did.
    pub key: Option<[u8; 32]>,
    /// What it tells about itself.
    pub headers: Headers,
    /// The groups that it is in.
    pub groups: BTreeSet<Text>,
}

/// All who are on a bridge's network, or a part of them.
///
/// ```
/// use atonce::wire::once::{Part, Roster, V2};
///
/// let nobody = Roster { epoch: 1, number: 0, part: Part::WHOLE, peers: Vec::new() };
/// assert_eq!(V2::Roster(nobody).name(), "ROSTER");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Which life of the bridge it belongs to.
    pub epoch: u64,
    /// The last change that is in it; 0 when there was none.
    pub number: u64,
    /// Which part of the roster this is.
    pub part: Part,
    /// Who is there.
    pub peers: Vec<Peer>,
}

/// Which of how many parts: the first is 0.
///
/// ```
/// use atonce::wire::once::Part;
///
/// assert!(Part::new(2, 3).is_some_and(|last| last.is_last()) && Part::WHOLE.is_last());
/// assert_eq!(Part::new(3, 3), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    index: u16,
    count: u16,
}

/// One change of a roster.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::once::{Change, Delta, V2};
///
/// let uuid = PeerId::from_bytes([1; 16]);
/// let exit = Delta { epoch: 1, number: 8, change: Change::Exit { uuid } };
/// assert_eq!(V2::Delta(exit).name(), "EXIT");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Which life of the bridge it belongs to.
    pub epoch: u64,
    /// One more than that of the change before it.
    pub number: u64,
    /// What it is.
    pub change: Change,
}

/// What changes a roster. Each is a message of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody came, or is another than before.
    Enter(Peer),
    /// Somebody went.
    Exit {
        /// Who.
        uuid: PeerId,
    },
    /// Somebody joined a group.
    Join {
        /// Who.
        uuid: PeerId,
        /// The group.
        group: Text,
    },
    /// Somebody left a group.
    Leave {
        /// Who.
        uuid: PeerId,
        /// The group.
        group: Text,
    },
}

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The part of this index, of so many; `None` when there is no such part.
    pub const fn new(index: u16, count: u16) -> Option<Self> {
        if index < count {
            Some(Self { index, count })
        } else {
            None
        }
    }

    /// How many come before it.
    pub const fn index(self) -> u16 {
        self.index
    }

    /// How many there are.
    pub const fn count(self) -> u16 {
        self.count
    }

    /// Whether none comes after it.
    pub const fn is_last(self) -> bool {
        self.index + 1 == self.count
    }

    fn read<'a>(most: usize) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        move |input| {
            let (input, index) = number2("ROSTER.part")(input)?;
            let (input, count) = number2("ROSTER.parts")(input)?;
            // ONCE-13
            if usize::from(count) > most {
                return refused(too_many("ROSTER.parts", most, count.into()));
            }
            match Self::new(index, count) {
                Some(part) => Ok((input, part)),
                None if count == 0 => refused(Malformed::new(
                    "ROSTER.parts",
                    Expected::What("1 or more"),
                    Found::Value(0),
                )),
                None => refused(too_many(
                    "ROSTER.part",
                    usize::from(count - 1),
                    index.into(),
                )),
            }
        }
    }
}

impl Peer {
    const LEAST: usize = UUID_OCTETS + 3 * COUNT_OCTETS + 2 * FLAG_OCTETS;

    /// How many octets it takes in a message. What it is told in has some more: 28 before the first peer of a ROSTER, 20 before
    /// that of an ENTER.
    pub fn octets(&self) -> usize {
        UUID_OCTETS
            + text_len(&self.name)
            + option_len(self.endpoint.as_ref(), text_len)
            + key_len(self.key.as_ref())
            + headers_len(&self.headers)
            + strings_len(&self.groups)
    }

    pub(super) fn read<'a>(
        frame: &'a Bytes,
        limits: &Limits,
    ) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        let Limits {
            groups: most_groups,
            headers: most_headers,
            value,
            ..
        } = *limits;
        move |input| {
            (
                uuid("peer.uuid"),
                text("peer.name", frame),
                option("peer.endpoint", text("peer.endpoint", frame)),
                option("peer.key", array("peer.key")),
                headers("peer.headers", frame, most_headers, value),
                strings("peer.groups", frame, most_groups),
            )
                .map(|(uuid, name, endpoint, key, headers, groups)| Self {
                    uuid,
                    name,
                    endpoint,
                    key,
                    headers,
                    groups,
                })
                .parse(input)
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_uuid(out, &self.uuid);
        put_text(out, &self.name);
        put_option(out, self.endpoint.as_ref(), put_text);
        put_key(out, self.key.as_ref());
        put_headers(out, &self.headers);
        put_strings(out, &self.groups);
    }
}

impl Roster {
    pub(super) fn read<'a>(
        frame: &'a Bytes,
        limits: &Limits,
    ) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        let most = limits.peers;
        let peer = Peer::read(frame, limits);
        move |input| {
            (
                number8("ROSTER.epoch"),
                number8("ROSTER.number"),
                Part::read(most),
                list("ROSTER.peers", most, Peer::LEAST, peer),
            )
                .map(|(epoch, number, part, peers)| Self {
                    epoch,
                    number,
                    part,
                    peers,
                })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        2 * size_of::<u64>() + 2 * size_of::<u16>() + list_len(&self.peers, Peer::octets)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch);
        out.put_u64(self.number);
        out.put_u16(self.part.index);
        out.put_u16(self.part.count);
        put_list(out, &self.peers, |out, peer| peer.put(out));
    }
}

impl Delta {
    pub(super) fn octets(&self) -> usize {
        let change = match &self.change {
            Change::Enter(peer) => peer.octets(),
            Change::Exit { .. } => UUID_OCTETS,
            Change::Join { group, .. } | Change::Leave { group, .. } => {
                UUID_OCTETS + text_len(group)
            }
        };
        2 * size_of::<u64>() + change
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.epoch);
        out.put_u64(self.number);
        match &self.change {
            Change::Enter(peer) => peer.put(out),
            Change::Exit { uuid } => put_uuid(out, uuid),
            Change::Join { uuid, group } | Change::Leave { uuid, group } => {
                put_uuid(out, uuid);
                put_text(out, group);
            }
        }
    }
}
