//! The codecs against a slow reading of RFC 36 that shares no line with them: both take the same octets, and read the same
//! in them.
//!
//! A codec that writes a field in the wrong place and reads it there comes round, and would be alone in the world.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use atonce::wire::Beacon;
use atonce::wire::zre::{Command, Limits, Message};
use atonce::{Bytes, Frames, PeerId};
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    groups: 5,
    headers: 4,
};

// ---- the slow reading

/// A message, in the plainest types.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read {
    Hello {
        endpoint: Vec<u8>,
        groups: BTreeSet<Vec<u8>>,
        status: u8,
        name: Vec<u8>,
        headers: BTreeMap<Vec<u8>, Vec<u8>>,
    },
    /// WHISPER without a group.
    Content(Option<Vec<u8>>, Vec<Vec<u8>>),
    /// JOIN, LEAVE.
    Group(u8, Vec<u8>, u8),
    /// ELECT, LEADER.
    Election(u8, Vec<u8>, Vec<u8>),
    /// PING, PING-OK, GOODBYE, and whatever nobody knows.
    Alone(u8),
}

struct Octets<'a>(&'a [u8]);

impl Octets<'_> {
    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken.to_vec())
    }

    fn number(&mut self, octets: usize) -> Option<usize> {
        let taken = self.take(octets)?;
        Some(
            taken
                .iter()
                .fold(0, |number, octet| number << 8 | usize::from(*octet)),
        )
    }

    /// `string = number-1 *VCHAR`
    fn string(&mut self) -> Option<Vec<u8>> {
        let length = self.number(1)?;
        self.take(length)
    }

    /// `longstr = number-4 *VCHAR`
    fn long(&mut self) -> Option<Vec<u8>> {
        let length = self.number(4)?;
        self.take(length)
    }
}

/// `None`: no message of ZRE version 2, or more than the limits allow.
fn read(frames: &[Vec<u8>]) -> Option<(u16, Read)> {
    let (first, content) = frames.split_first()?;
    let mut octets = Octets(first);
    if octets.number(2)? != 0xAAA1 {
        return None;
    }
    let id = u8::try_from(octets.number(1)?).unwrap();
    if octets.number(1)? != 2 {
        return None;
    }
    let sequence = u16::try_from(octets.number(2)?).unwrap();
    let read = match id {
        1 => hello(&mut octets)?,
        2 => Read::Content(None, content.to_vec()),
        3 => Read::Content(Some(octets.string()?), content.to_vec()),
        4 | 5 => Read::Group(
            id,
            octets.string()?,
            u8::try_from(octets.number(1)?).unwrap(),
        ),
        8 | 9 => Read::Election(id, octets.string()?, octets.string()?),
        6 | 7 | 10 => Read::Alone(id),
        // Whatever it is, it is counted and no more.
        _ => return Some((sequence, Read::Alone(id))),
    };
    octets.0.is_empty().then_some((sequence, read))
}

fn hello(octets: &mut Octets<'_>) -> Option<Read> {
    let endpoint = octets.string()?;
    let mut groups = BTreeSet::new();
    let count = octets.number(4)?;
    if count > LIMITS.groups {
        return None;
    }
    for _ in 0..count {
        let group = octets.long()?;
        // One that could be neither shouted to nor left.
        if group.len() > 255 {
            return None;
        }
        groups.insert(group);
    }
    let status = u8::try_from(octets.number(1)?).unwrap();
    let name = octets.string()?;
    let mut headers = BTreeMap::new();
    let count = octets.number(4)?;
    if count > LIMITS.headers {
        return None;
    }
    for _ in 0..count {
        let name = octets.string()?;
        headers.insert(name, octets.long()?);
    }
    Some(Read::Hello {
        endpoint,
        groups,
        status,
        name,
        headers,
    })
}

// ---- the codec's reading, in the same types

fn plain(command: Command) -> Read {
    let id = command.id();
    let content = |frames: Frames| frames.iter().map(|frame| frame.to_vec()).collect();
    match command {
        Command::Hello(hello) => Read::Hello {
            endpoint: hello.endpoint.as_bytes().to_vec(),
            groups: hello
                .groups
                .iter()
                .map(|group| group.as_bytes().to_vec())
                .collect(),
            status: hello.status,
            name: hello.name.as_bytes().to_vec(),
            headers: hello
                .headers
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
        },
        Command::Whisper { content: frames } => Read::Content(None, content(frames)),
        Command::Shout {
            group,
            content: frames,
        } => Read::Content(Some(group.as_bytes().to_vec()), content(frames)),
        Command::Join { group, status } | Command::Leave { group, status } => {
            Read::Group(id, group.as_bytes().to_vec(), status)
        }
        Command::Elect {
            group,
            challenger_id: of,
        }
        | Command::Leader {
            group,
            leader_id: of,
        } => Read::Election(id, group.as_bytes().to_vec(), of.as_bytes().to_vec()),
        Command::Ping | Command::PingOk | Command::Goodbye => Read::Alone(id),
        Command::Unknown(unknown) => Read::Alone(unknown.id()),
    }
}

fn decoded(frames: &[Vec<u8>]) -> Option<(u16, Read)> {
    let frames: Frames = frames.iter().cloned().map(Bytes::from).collect();
    let message = Message::decode(frames, &LIMITS).ok()?;
    Some((message.sequence, plain(message.command)))
}

// ---- octets that are nearly right

fn string() -> impl Strategy<Value = Vec<u8>> {
    let octets = prop::collection::vec(any::<u8>(), 0..6);
    prop_oneof![8 => octets, 1 => Just(vec![b'x'; 255])].prop_map(|octets| {
        let length = u8::try_from(octets.len()).unwrap();
        [&[length][..], &octets].concat()
    })
}

fn long() -> impl Strategy<Value = Vec<u8>> {
    let octets = prop::collection::vec(any::<u8>(), 0..6);
    let sized = |size: usize| Just(vec![b'y'; size]);
    prop_oneof![12 => octets, 1 => sized(255), 1 => sized(256)].prop_map(|octets| {
        let length = u32::try_from(octets.len()).unwrap();
        [&length.to_be_bytes()[..], &octets].concat()
    })
}

fn counted(entry: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let wrong = prop_oneof![12 => Just(0_u32), 1 => 1..3_u32, 1 => any::<u32>()];
    (prop::collection::vec(entry, 0..7), wrong).prop_map(|(entries, wrong)| {
        let count = u32::try_from(entries.len()).unwrap().wrapping_add(wrong);
        [&count.to_be_bytes()[..], &entries.concat()].concat()
    })
}

fn body(id: u8) -> BoxedStrategy<Vec<u8>> {
    let concat = |parts: Vec<Vec<u8>>| parts.concat();
    let status = || any::<u8>().prop_map(|status| vec![status]);
    match id {
        1 => {
            let header = (string(), long()).prop_map(|(name, value)| [name, value].concat());
            let fields = (
                string(),
                counted(long()),
                status(),
                string(),
                counted(header),
            );
            fields
                .prop_map(move |(endpoint, groups, status, name, headers)| {
                    concat(vec![endpoint, groups, status, name, headers])
                })
                .boxed()
        }
        3 => string().boxed(),
        4 | 5 => (string(), status())
            .prop_map(|(group, status)| [group, status].concat())
            .boxed(),
        8 | 9 => (string(), string())
            .prop_map(|(group, of)| [group, of].concat())
            .boxed(),
        _ => prop_oneof![3 => Just(Vec::new()), 1 => string()].boxed(),
    }
}

/// A first frame, often right, with now and then an octet changed, taken off or added.
fn first() -> impl Strategy<Value = Vec<u8>> {
    let frame = (0..13_u8, any::<u16>()).prop_flat_map(|(id, sequence)| {
        body(id).prop_map(move |body| {
            let prefix = [0xAA, 0xA1, id, 2];
            [&prefix[..], &sequence.to_be_bytes(), &body].concat()
        })
    });
    let change = prop_oneof![6 => Just(0_u8), 1 => Just(1), 1 => Just(2), 1 => Just(3)];
    (frame, change, any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut frame, change, at, octet)| {
            let at = at.index(frame.len());
            match change {
                1 => frame[at] = octet,
                2 => frame.truncate(at),
                3 => frame.push(octet),
                _ => {}
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_message_is_read_as_the_rfc_has_it_or_refused(
        first in first(),
        content in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..4),
        bare in prop::bool::weighted(0.02),
    ) {
        let frames = match bare {
            true => content,
            false => [vec![first], content].concat(),
        };
        prop_assert_eq!(decoded(&frames), read(&frames));
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant(
        first in first(),
        content in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..4),
    ) {
        let frames = [vec![first], content].concat();
        if let Some(meant) = read(&frames) {
            let message: Frames = frames.into_iter().map(Bytes::from).collect();
            let message = Message::decode(message, &LIMITS).unwrap();
            let written: Vec<_> = message.encode().iter().map(|frame| frame.to_vec()).collect();
            prop_assert_eq!(read(&written), Some(meant));
        }
    }

    #[test]
    fn a_beacon_is_read_as_the_rfc_has_it_or_refused(
        magic in prop_oneof![9 => Just(*b"ZRE"), 1 => any::<[u8; 3]>()],
        version in prop_oneof![4 => Just(1_u8), 4 => Just(3), 1 => any::<u8>()],
        rest in prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 18),
            4 => prop::collection::vec(any::<u8>(), 50),
            1 => prop::collection::vec(any::<u8>(), 0..60),
        ],
    ) {
        let datagram = [&magic[..], &[version], &rest].concat();
        let right = magic == *b"ZRE" && [(1, 18), (3, 50)].contains(&(version, rest.len()));
        let expected = right.then(|| Beacon {
            uuid: PeerId::from_bytes(rest[..16].try_into().unwrap()),
            port: u16::from(rest[16]) << 8 | u16::from(rest[17]),
            key: rest.get(18..).and_then(|key| key.try_into().ok()),
        });
        let found = Beacon::decode(&datagram).ok();
        prop_assert_eq!(found, expected);
        if let Some(beacon) = found {
            prop_assert_eq!(&beacon.encode()[..], &datagram[..]);
        }
    }

    #[test]
    fn an_identity_and_a_name_stand_for_one_peer(
        octets in any::<[u8; 16]>(),
        other in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let id = PeerId::from_bytes(octets);
        let shown: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        prop_assert_eq!(id.to_string(), shown.clone());
        prop_assert_eq!(shown.parse(), Ok(id));
        prop_assert_eq!(shown.to_lowercase().parse(), Ok(id));
        prop_assert!(shown[1..].parse::<PeerId>().is_err());
        let braced = ["{", &shown[..30], "}"].concat();
        prop_assert!(braced.parse::<PeerId>().is_err());
        prop_assert_eq!(PeerId::from_identity(&id.identity()), Some(id));
        prop_assert_eq!(id.identity().to_vec(), [&[1][..], &octets].concat());
        let right = other.len() == 17 && other[0] == 1;
        prop_assert_eq!(PeerId::from_identity(&other).is_some(), right);
    }
}
