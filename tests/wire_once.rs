//! The messages of @Once, octet by octet.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // clippy.toml allows them in tests, not in helpers

use std::collections::BTreeSet;
use std::net::IpAddr;

use atonce::wire::once::{
    Address, Authenticate, Challenge, Change, Code, Contact, Delta, Exchange, Limits, Message,
    Nope, Part, Party, Peer, Proof, Reason, RemoteShout, RemoteWhisper, Roster, Side, Target,
    Undeliverable, Unknown, V1, V2,
};
use atonce::wire::{Expected, Found, Headers, LongText, Malformed, Text};
use atonce::{Bytes, Frames, PeerId};
use proptest::prelude::*;

const A: PeerId = PeerId::from_bytes([0xA1; 16]);
const B: PeerId = PeerId::from_bytes([0xB2; 16]);

fn text(octets: impl AsRef<[u8]>) -> Text {
    Text::try_from(octets.as_ref()).unwrap()
}

fn long(octets: impl AsRef<[u8]>) -> LongText {
    LongText::try_from(octets.as_ref()).unwrap()
}

fn decode(frames: impl Into<Frames>) -> Result<Message, Malformed> {
    Message::decode(frames.into(), &Limits::default())
}

#[track_caller]
fn refused(frames: impl Into<Frames>, field: &'static str, expected: Expected, found: Found) {
    let error = Malformed::new(field, expected, found);
    assert_eq!(decode(frames), Err(error));
}

/// The first frame of a message of version 2.
fn head(id: u8, fields: &[&[u8]]) -> Vec<u8> {
    [&[0xAA, 0xA2, id, 2], &fields.concat()[..]].concat()
}

fn alice() -> Peer {
    Peer {
        uuid: A,
        name: text("alice"),
        endpoint: Some(text("tcp://10.0.0.7:49152")),
        key: Some([4; 32]),
        headers: Headers::from_iter([(text("X-ROOM"), long("kitchen")), (text("a"), long(""))]),
        groups: [text("CHAT"), text("G")].into(),
    }
}

fn bob() -> Peer {
    Peer {
        uuid: B,
        name: text("bob"),
        endpoint: None,
        key: None,
        headers: Headers::new(),
        groups: BTreeSet::new(),
    }
}

fn delta(change: Change) -> V2 {
    V2::Delta(Delta {
        epoch: 5,
        number: 9,
        change,
    })
}

fn contact(ip: Option<IpAddr>, key: Option<[u8; 32]>) -> Contact {
    Contact {
        uuid: B,
        name: text("office"),
        endpoint: text("tcp://192.0.2.7:49152"),
        beacon: ip.map(|ip| Address { ip, port: 5671 }),
        key,
    }
}

/// One message of each kind, with something in each field.
fn every() -> Vec<Message> {
    let proof = Proof::from_bytes([3; 32]);
    let contacts = vec![
        contact(Some([192, 0, 2, 7].into()), Some([4; 32])),
        contact(Some("2001:db8::7".parse().unwrap()), None),
        contact(None, None),
    ];
    let (uuid, group) = (A, text("CHAT"));
    let first = [
        V1::GetEndpoints,
        V1::ListEndpoints {
            endpoints: vec![text("10.0.0.7:5671"), text("10.0.0.6:5671"), text("")],
        },
    ];
    let second = [
        V2::Challenge(Challenge {
            mechanisms: vec![text("SECRET"), text("CURVE")],
            nonce: [1; 32],
        }),
        V2::Authenticate(Authenticate {
            mechanism: text("SECRET"),
            nonce: [2; 32],
            proof,
        }),
        V2::Ok {
            proof,
            seconds: 600,
        },
        V2::Nope(Nope {
            about: 0x11,
            code: Code::WRONG_PROOF,
            text: text("another secret"),
        }),
        V2::Stop { proof },
        V2::GetEndpoints,
        V2::ListEndpoints { contacts },
        V2::GetRoster { epoch: 5, from: 9 },
        V2::Roster(Roster {
            epoch: 5,
            number: 8,
            part: Part::new(1, 3).unwrap(),
            peers: vec![bob(), alice()],
        }),
        delta(Change::Enter(alice())),
        delta(Change::Exit { uuid }),
        delta(Change::Join {
            uuid,
            group: group.clone(),
        }),
        delta(Change::Leave {
            uuid,
            group: group.clone(),
        }),
        V2::RemoteWhisper(RemoteWhisper {
            epoch: 5,
            number: 1,
            from: A,
            to: B,
            content: Frames::from_iter(["one", "", "three"]),
        }),
        V2::RemoteShout(RemoteShout {
            epoch: 5,
            number: 2,
            from: A,
            group: group.clone(),
            content: Frames::from("dinner"),
        }),
        V2::Undeliverable(Undeliverable {
            epoch: 5,
            number: 1,
            from: A,
            target: Target::Peer(B),
            reason: Reason::UNKNOWN,
        }),
        V2::Undeliverable(Undeliverable {
            epoch: 5,
            number: 2,
            from: A,
            target: Target::Group(group),
            reason: Reason::FULL,
        }),
    ];
    let unknown = [(1, 6), (2, 0x50)].map(|(version, id)| Unknown::new(version, id).unwrap());
    let first = first.map(Message::from).into_iter();
    let second = second.map(Message::from).into_iter();
    let unknown = unknown.map(Message::Unknown).into_iter();
    first.chain(second).chain(unknown).collect()
}

fn is_unknown(message: &Message) -> bool {
    matches!(message, Message::Unknown(_))
}

// ---- what carries a message

#[test]
fn every_message_comes_back_and_says_how_large_it_is() {
    // ONCE-1, ONCE-20, ONCE-30
    for message in every() {
        let frames = message.encode();
        assert_eq!(
            &frames[0][..4],
            [0xAA, 0xA2, message.id(), message.version()]
        );
        assert_eq!(frames.octets(), message.octets(), "{message:?}");
        assert_eq!(
            frames.len(),
            1 + message.content().map_or(0, |content| content.len())
        );
        assert!(Message::is_once(&frames));
        assert_eq!(decode(frames), Ok(message));
    }
}

#[test]
fn the_messages_have_the_names_and_ids_of_the_specification() {
    // ONCE-20, ONCE-21, ONCE-30
    let mut seen: Vec<_> = every()
        .iter()
        .map(|message| (message.version(), message.id(), message.name()))
        .collect();
    seen.dedup();
    assert_eq!(
        seen,
        [
            (1, 1, "GET-ENDPOINTS"),
            (1, 2, "LIST-ENDPOINTS"),
            (2, 0x10, "CHALLENGE"),
            (2, 0x11, "AUTHENTICATE"),
            (2, 0x12, "OK"),
            (2, 0x13, "NOPE"),
            (2, 0x14, "STOP"),
            (2, 0x20, "GET-ENDPOINTS"),
            (2, 0x21, "LIST-ENDPOINTS"),
            (2, 0x30, "GET-ROSTER"),
            (2, 0x31, "ROSTER"),
            (2, 0x32, "ENTER"),
            (2, 0x33, "EXIT"),
            (2, 0x34, "JOIN"),
            (2, 0x35, "LEAVE"),
            (2, 0x40, "REMOTE-WHISPER"),
            (2, 0x41, "REMOTE-SHOUT"),
            (2, 0x42, "UNDELIVERABLE"),
            (1, 6, "UNKNOWN"),
            (2, 0x50, "UNKNOWN"),
        ]
    );
    // And no others.
    for version in 0..=255 {
        for id in 0..=255 {
            let known = seen[..18].iter().any(|(v, i, _)| (*v, *i) == (version, id));
            let spoken = [1, 2].contains(&version) && (version, id) != (2, 1);
            let unknown = Unknown::new(version, id);
            assert_eq!(unknown.is_some(), spoken && !known, "{version} {id}");
            let decoded = decode(vec![0xAA, 0xA2, id, version]);
            assert_eq!(
                decoded.as_ref().is_ok_and(is_unknown),
                unknown.is_some(),
                "{version} {id}"
            );
        }
    }
}

#[test]
fn another_signature_or_version_is_no_message_of_once() {
    // ONCE-1, ONCE-2
    let value = |field, expected, found| Malformed::new(field, expected, Found::Value(found));
    for (octets, error) in [
        (
            b"\xAA\xA1\x01\x01",
            value("signature", Expected::Value(0xAAA2), 0xAAA1),
        ),
        (
            b"\xAB\xA2\x20\x02",
            value("signature", Expected::Value(0xAAA2), 0xABA2),
        ),
        (
            b"\xAA\xA2\x01\x00",
            value("version", Expected::What("1 or 2"), 0),
        ),
        (
            b"\xAA\xA2\x20\x03",
            value("version", Expected::What("1 or 2"), 3),
        ),
    ] {
        assert!(!Message::is_once(&Frames::from(octets)));
        assert_eq!(decode(octets), Err(error));
        // Whatever follows.
        assert!(!Message::is_once(&Frames::from(
            [&octets[..], b"more"].concat()
        )));
    }
    assert!(!Message::is_once(&Frames::new()));
    refused(
        Frames::new(),
        "signature",
        Expected::Octets(2),
        Found::Octets(0),
    );
    // A bad body, however, is an offence of somebody who speaks it.
    assert!(Message::is_once(&Frames::from(b"\xAA\xA2\x12\x02\xff")));
}

#[test]
fn every_message_that_is_cut_anywhere_is_refused() {
    // ONCE-3
    for message in every() {
        let frames = message.encode();
        let least = if is_unknown(&message) {
            4
        } else {
            frames[0].len()
        };
        for cut in 0..least {
            let mut cut_frames = Frames::from(frames[0].slice(..cut));
            cut_frames.extend(frames[1..].iter().cloned());
            let error = decode(cut_frames).expect_err(message.name());
            let field = match cut {
                0 | 1 => "signature",
                2 => "id",
                3 => "version",
                _ => {
                    let of_a_part = ["contact.", "peer.", message.name()];
                    assert!(
                        of_a_part.iter().any(|part| error.field.starts_with(part)),
                        "{error}"
                    );
                    assert!(
                        matches!((error.expected, error.found), (Expected::Octets(more), Found::Octets(less)) if more > less),
                        "{error}"
                    );
                    continue;
                }
            };
            assert_eq!(error.field, field);
        }
    }
}

#[test]
fn octets_after_a_known_message_are_refused() {
    // ONCE-3, ONCE-5
    for message in every() {
        let mut octets = message.encode()[0].to_vec();
        octets.push(0);
        if is_unknown(&message) {
            assert_eq!(
                decode(octets),
                Ok(message),
                "nobody knows where an unknown one ends"
            );
        } else {
            refused(octets, message.name(), Expected::End, Found::Octets(1));
        }
    }
}

#[test]
fn frames_behind_are_content_or_ignored() {
    // ONCE-4, ONCE-5
    let behind = ["more", "", "\u{aa}"].map(Bytes::from);
    for message in every() {
        let mut frames = Frames::from(message.encode()[0].clone());
        frames.extend(behind.iter().cloned());
        frames.push(message.encode()[0].clone());
        let decoded = decode(frames.clone()).unwrap();
        match message.content() {
            None => assert_eq!(decoded, message),
            Some(_) => {
                assert_eq!(decoded.content().unwrap()[..], frames[1..]);
                assert_eq!(decoded.encode(), frames);
            }
        }
    }
}

#[test]
fn content_is_shared_not_copied() {
    // ONCE-4
    let content = Frames::from(vec![7; 100_000]);
    let at = content[0].as_ptr();
    for message in [
        V2::RemoteWhisper(RemoteWhisper {
            epoch: 1,
            number: 1,
            from: A,
            to: B,
            content: content.clone(),
        }),
        V2::RemoteShout(RemoteShout {
            epoch: 1,
            number: 2,
            from: A,
            group: text("G"),
            content: content.clone(),
        }),
    ] {
        let frames = Message::from(message).encode();
        assert_eq!(frames[1].as_ptr(), at);
        let decoded = decode(frames).unwrap();
        assert_eq!(decoded.content().unwrap()[0].as_ptr(), at);
    }
}

/// A record as RFC 20 and the guide have it.
fn record(level: u8, event: u8, word: &str) -> Vec<u8> {
    let length = u8::try_from(word.len()).unwrap();
    let (node, peer) = (0x1234_u16.to_be_bytes(), 0x5678_u16.to_be_bytes());
    let time = 1_700_000_000_u64.to_be_bytes();
    let begin = [0xAA, 0xA2, 1, level, event];
    [&begin[..], &node, &peer, &time, &[length], word.as_bytes()].concat()
}

#[test]
fn no_record_of_zre_log_is_read_as_a_message() {
    // ONCE-6
    for event in 0..=6 {
        for word in ["", "hello", &"x".repeat(255)] {
            let left_over = 14 + word.len() as u64;
            let field = "GET-ENDPOINTS";
            refused(
                record(1, event, word),
                field,
                Expected::End,
                Found::Octets(left_over),
            );
            let another = Expected::What("another than that of ZRE/LOG");
            refused(record(2, event, word), "id", another, Found::Value(1));
            let version = Expected::What("1 or 2");
            refused(record(3, event, word), "version", version, Found::Value(3));
        }
    }
    assert!(!Message::is_once(&Frames::from(record(2, 1, ""))));
}

#[test]
fn what_says_which_form_follows_has_a_value_of_the_layout() {
    // ONCE-7
    let uuid = [0xB2; 16];
    let none = [0; 4];
    for flag in 0..=255_u8 {
        // Enough of anything behind it, and then far too much.
        let rest = [0; 64];
        let found = Found::Value(flag.into());
        let field_of = |frame: Vec<u8>| decode(frame).unwrap_err();
        let one = 1_u32.to_be_bytes();
        let contact = head(0x21, &[&one, &uuid, &none, &none, &[flag], &rest]);
        let wrong = Malformed::new("contact.beacon", Expected::What("0, 4 or 6"), found);
        assert_eq!(field_of(contact) == wrong, ![0, 4, 6].contains(&flag));
        let contact = head(0x21, &[&one, &uuid, &none, &none, &[0, flag], &rest]);
        let wrong = |field| Malformed::new(field, Expected::AtMost(1), found);
        assert_eq!(field_of(contact) == wrong("contact.key"), flag > 1);
        let numbers = [1; 16];
        let peer = head(0x32, &[&numbers, &uuid, &none, &[flag], &rest]);
        assert_eq!(field_of(peer) == wrong("peer.endpoint"), flag > 1);
        let peer = head(0x32, &[&numbers, &uuid, &none, &[0, flag], &rest]);
        assert_eq!(field_of(peer) == wrong("peer.key"), flag > 1);
        let lost = head(0x42, &[&numbers, &uuid, &[flag], &rest]);
        assert_eq!(field_of(lost) == wrong("UNDELIVERABLE.target"), flag > 1);
    }
}

#[test]
fn texts_are_kept_as_they_came() {
    // ONCE-8
    let name = text(b"gr\xfcn");
    let peer = Peer {
        name: name.clone(),
        endpoint: Some(text(b"\xff")),
        headers: Headers::from_iter([(text(b"\x80"), long(b"\x00\xff"))]),
        groups: [text(b""), text(b"\xc3")].into(),
        ..bob()
    };
    let message = Message::from(delta(Change::Enter(peer)));
    assert_eq!(decode(message.encode()), Ok(message));
    let list = Message::from(V1::ListEndpoints {
        endpoints: vec![name],
    });
    assert_eq!(decode(list.encode()), Ok(list));
}

// ---- limits

#[test]
fn a_first_frame_over_the_limit_is_refused_before_its_fields() {
    // ONCE-10
    let most = 2 << 20;
    for id in [0x10, 0x21, 0x31, 0x32, 0x41, 0x50] {
        let mut octets = head(id, &[]);
        octets.resize(most + 1, 0xff);
        refused(
            octets.clone(),
            "message",
            Expected::AtMost(most as u64),
            Found::Value(most as u64 + 1),
        );
        octets.truncate(most);
        let field = decode(octets).map_err(|error| error.field);
        assert_ne!(field, Err("message"));
    }
    // What is no message at all is told by that, however long it is.
    let long = vec![0xAA; most + 1];
    assert_eq!(decode(long).unwrap_err().field, "signature");
    // The content does not count.
    let whisper = Message::from(V2::RemoteWhisper(RemoteWhisper {
        epoch: 1,
        number: 1,
        from: A,
        to: B,
        content: Frames::from(vec![0; most + 1]),
    }));
    assert_eq!(decode(whisper.encode()), Ok(whisper));
}

#[test]
fn a_hello_of_the_largest_size_fits_a_message() {
    // ONCE-10
    // 1,024 groups and as many octets of headers as a HELLO may have.
    let peer = Peer {
        groups: (0..1_024).map(|n| text(format!("{n:0>255}"))).collect(),
        headers: Headers::from_iter([(text("k"), long(vec![7; 1 << 20]))]),
        ..alice()
    };
    let octets = peer.octets();
    let message = Message::from(delta(Change::Enter(peer.clone())));
    let frames = message.encode();
    assert_eq!(frames[0].len(), 20 + octets);
    assert_eq!(decode(frames), Ok(message));
    let roster = Message::from(V2::Roster(Roster {
        epoch: 1,
        number: 1,
        part: Part::WHOLE,
        peers: vec![peer],
    }));
    let frames = roster.encode();
    assert_eq!(frames[0].len(), 28 + octets);
    assert_eq!(decode(frames), Ok(roster));
}

/// A message that has so many of something, and the field that holds them.
type Many = (
    &'static str,
    fn(usize) -> Message,
    usize,
    fn(&mut Limits, usize),
);

const MANY: [Many; 7] = [
    (
        "CHALLENGE.mechanisms",
        |n| {
            Message::from(V2::Challenge(Challenge {
                mechanisms: vec![text("M"); n],
                nonce: [1; 32],
            }))
        },
        16,
        |limits, n| limits.mechanisms = n,
    ),
    (
        "LIST-ENDPOINTS.endpoints",
        |n| {
            Message::from(V1::ListEndpoints {
                endpoints: vec![text("e"); n],
            })
        },
        1_024,
        |limits, n| limits.endpoints = n,
    ),
    (
        "LIST-ENDPOINTS.contacts",
        |n| {
            Message::from(V2::ListEndpoints {
                contacts: vec![contact(None, None); n],
            })
        },
        1_024,
        |limits, n| limits.endpoints = n,
    ),
    (
        "ROSTER.peers",
        |n| {
            Message::from(V2::Roster(Roster {
                epoch: 1,
                number: 1,
                part: Part::WHOLE,
                peers: vec![bob(); n],
            }))
        },
        4_096,
        |limits, n| limits.peers = n,
    ),
    (
        "peer.headers",
        |n| {
            let headers = (0..n).map(|n| (text(format!("{n}")), long("v")));
            Message::from(delta(Change::Enter(Peer {
                headers: headers.collect(),
                ..bob()
            })))
        },
        256,
        |limits, n| limits.headers = n,
    ),
    (
        "peer.groups",
        |n| {
            Message::from(delta(Change::Enter(Peer {
                groups: (0..n).map(|n| text(format!("{n}"))).collect(),
                ..bob()
            })))
        },
        1_024,
        |limits, n| limits.groups = n,
    ),
    (
        "peer.headers",
        |n| {
            Message::from(delta(Change::Enter(Peer {
                headers: Headers::from_iter([(text("k"), long(vec![7; n]))]),
                ..bob()
            })))
        },
        1 << 20,
        |limits, n| limits.value = n,
    ),
];

#[test]
fn as_much_as_the_limits_say_is_taken_and_one_more_is_not() {
    // ONCE-11, ONCE-12
    for (field, with, most, set) in MANY {
        let message = with(most);
        assert_eq!(decode(message.encode()), Ok(message), "{field}");
        let message = with(most + 1);
        let one_more = Found::Value(most as u64 + 1);
        refused(
            message.encode(),
            field,
            Expected::AtMost(most as u64),
            one_more,
        );
        // And so it is with other limits.
        let mut limits = Limits::default();
        set(&mut limits, most + 1);
        assert_eq!(
            Message::decode(message.encode(), &limits).as_ref(),
            Ok(&message)
        );
        set(&mut limits, 3);
        assert_eq!(
            Message::decode(with(4).encode(), &limits),
            Err(Malformed::new(field, Expected::AtMost(3), Found::Value(4)))
        );
    }
}

#[test]
fn a_count_that_the_frame_cannot_hold_is_refused() {
    // ONCE-11
    let uuid = [1; 16];
    let sixteen = 16_u32.to_be_bytes();
    let none = [0; 4];
    for (frame, field, least) in [
        (head(0x10, &[&sixteen]), "CHALLENGE.mechanisms", 4),
        (
            [b"\xAA\xA2\x02\x01".as_slice(), &sixteen].concat(),
            "LIST-ENDPOINTS.endpoints",
            4,
        ),
        (head(0x21, &[&sixteen]), "LIST-ENDPOINTS.contacts", 26),
        (
            head(0x31, &[&uuid, &[0, 0, 0, 1], &sixteen]),
            "ROSTER.peers",
            30,
        ),
        (
            head(0x32, &[&uuid, &uuid, &none, &[0, 0], &sixteen]),
            "peer.headers",
            8,
        ),
        (
            head(0x32, &[&uuid, &uuid, &none, &[0, 0], &none, &sixteen]),
            "peer.groups",
            4,
        ),
    ] {
        let wanted = Expected::Octets(16 * least);
        refused(frame.clone(), field, wanted, Found::Octets(0));
        let mut nearly = frame;
        nearly.resize(nearly.len() + 16 * usize::try_from(least).unwrap() - 1, 0);
        refused(nearly, field, wanted, Found::Octets(16 * least - 1));
    }
}

/// A message with a text of any octets, and the field that has it.
type Worded = (&'static str, fn(&[u8]) -> Vec<u8>);

#[test]
fn a_text_of_255_octets_is_taken_and_one_of_256_is_not() {
    // ONCE-12
    const UUID: [u8; 16] = [1; 16];
    const NONE: [u8; 4] = [0; 4];
    const ONE: [u8; 4] = [0, 0, 0, 1];
    let worded: [Worded; 14] = [
        ("LIST-ENDPOINTS.endpoints", |text| {
            [b"\xAA\xA2\x02\x01".as_slice(), &ONE, text].concat()
        }),
        ("CHALLENGE.mechanisms", |text| {
            head(0x10, &[&ONE, text, &[0; 32]])
        }),
        ("AUTHENTICATE.mechanism", |text| {
            head(0x11, &[text, &[0; 64]])
        }),
        ("NOPE.text", |text| head(0x13, &[&[0; 3], text])),
        ("contact.name", |text| {
            head(0x21, &[&ONE, &UUID, text, &NONE, &[0; 2]])
        }),
        ("contact.endpoint", |text| {
            head(0x21, &[&ONE, &UUID, &NONE, text, &[0; 2]])
        }),
        ("peer.name", |text| {
            head(0x32, &[&[0; 16], &UUID, text, &[0; 2], &NONE, &NONE])
        }),
        ("peer.endpoint", |text| {
            let fields: [&[u8]; 7] = [&[0; 16], &UUID, &NONE, &[1], text, &[0], &[0; 8]];
            head(0x32, &fields)
        }),
        ("peer.headers", |text| {
            let fields: [&[u8]; 7] = [&[0; 16], &UUID, &NONE, &[0; 2], &ONE, text, &[0; 8]];
            head(0x32, &fields)
        }),
        ("peer.groups", |text| {
            let fields: [&[u8]; 7] = [&[0; 16], &UUID, &NONE, &[0; 2], &NONE, &ONE, text];
            head(0x32, &fields)
        }),
        ("JOIN.group", |text| head(0x34, &[&[0; 16], &UUID, text])),
        ("LEAVE.group", |text| head(0x35, &[&[0; 16], &UUID, text])),
        ("REMOTE-SHOUT.group", |text| {
            head(0x41, &[&[0; 16], &UUID, text])
        }),
        ("UNDELIVERABLE.target", |text| {
            head(0x42, &[&[0; 16], &UUID, &[1], text, &[1]])
        }),
    ];
    for (field, with) in worded {
        let text = |octets: u32| {
            let length = octets.to_be_bytes();
            [&length[..], &vec![b'x'; octets as usize]].concat()
        };
        let taken = decode(with(&text(255)));
        assert_eq!(taken.unwrap().encode()[0], with(&text(255)), "{field}");
        let most = Expected::AtMost(255);
        refused(with(&text(256)), field, most, Found::Value(256));
        // Nor one that only says so.
        let most_of_all = u32::MAX.to_be_bytes();
        refused(
            with(&most_of_all),
            field,
            most,
            Found::Value(u32::MAX.into()),
        );
    }
}

#[test]
fn a_length_that_goes_beyond_the_frame_is_refused() {
    // ONCE-12
    let uuid = [1; 16];
    refused(
        head(0x34, &[&uuid, &uuid, &[0, 0, 0, 5], b"CHAT"]),
        "JOIN.group",
        Expected::Octets(5),
        Found::Octets(4),
    );
    let header: [&[u8]; 3] = [&[0, 0, 0, 1], &[0, 0, 0, 1, b'k'], &[0, 0, 0, 9, b'v']];
    let fields = [&uuid[..], &uuid, &[0; 6]];
    refused(
        head(0x32, &[&fields[..], &header].concat()),
        "peer.headers",
        Expected::Octets(9),
        Found::Octets(1),
    );
}

#[test]
fn a_part_is_below_the_number_of_parts() {
    // ONCE-13
    let with = |part: u16, parts: u16| {
        let (part, parts) = (part.to_be_bytes(), parts.to_be_bytes());
        head(0x31, &[&[1; 16], &part, &parts, &[0; 4]])
    };
    for (part, parts) in [(0, 1), (0, 2), (1, 2), (4_095, 4_096)] {
        let Ok(Message::V2(V2::Roster(roster))) = decode(with(part, parts)) else {
            panic!("{part} of {parts}");
        };
        assert_eq!(roster.part, Part::new(part, parts).unwrap());
        assert_eq!(roster.part.is_last(), part + 1 == parts);
    }
    let one = Expected::What("1 or more");
    refused(with(0, 0), "ROSTER.parts", one, Found::Value(0));
    let most = Expected::AtMost(4_096);
    refused(with(0, 4_097), "ROSTER.parts", most, Found::Value(4_097));
    let last = Expected::AtMost(2);
    refused(with(3, 3), "ROSTER.part", last, Found::Value(3));
    assert_eq!((Part::new(0, 0), Part::new(7, 7)), (None, None));
    assert_eq!((Part::WHOLE.index(), Part::WHOLE.count()), (0, 1));
}

// ---- values

#[test]
fn of_groups_and_headers_that_stand_twice_one_is_kept() {
    // ONCE-31
    let header = |name: u8, value: u8| [0, 0, 0, 1, name, 0, 0, 0, 1, value];
    let headers = [header(b'k', b'1'), header(b'a', b'2'), header(b'k', b'3')].concat();
    let groups = b"\0\0\0\x01G\0\0\0\x01C\0\0\0\x01G";
    let three = [0, 0, 0, 3];
    let uuid = [0xB2; 16];
    let begin = [
        &[0; 16][..],
        &uuid,
        &[0; 6],
        &three,
        &headers,
        &three,
        groups,
    ];
    let Ok(Message::V2(V2::Delta(Delta {
        change: Change::Enter(peer),
        ..
    }))) = decode(head(0x32, &begin))
    else {
        panic!("refused");
    };
    let kept = Headers::from_iter([(text("a"), long("2")), (text("k"), long("3"))]);
    assert_eq!(peer.headers, kept);
    assert_eq!(peer.groups, [text("C"), text("G")].into());
}

#[test]
fn codes_and_reasons_that_nobody_knows_are_kept() {
    // ONCE-33
    for code in [0, 1, 8, 9, u16::MAX] {
        let message = Message::from(V2::Nope(Nope {
            about: 255,
            code: Code(code),
            text: text(""),
        }));
        assert_eq!(decode(message.encode()), Ok(message));
    }
    for reason in 0..=255 {
        let message = Message::from(V2::Undeliverable(Undeliverable {
            epoch: 0,
            number: 0,
            from: A,
            target: Target::Peer(B),
            reason: Reason(reason),
        }));
        assert_eq!(decode(message.encode()), Ok(message));
    }
    // Each has words of its own.
    let codes: BTreeSet<_> = (0..20).map(|code| Code(code).to_string()).collect();
    let reasons: BTreeSet<_> = (0..20).map(|reason| Reason(reason).to_string()).collect();
    assert_eq!((codes.len(), reasons.len()), (20, 20));
    assert_eq!(format!("{:>9}", Code::BUSY), "  not now");
}

#[test]
fn a_proof_is_compared_and_not_shown() {
    // ONCE-43
    let proof = Proof::from_bytes([0xAB; 32]);
    for at in 0..32 {
        let mut other = [0xAB; 32];
        other[at] ^= 1;
        assert_ne!(Proof::from_bytes(other), proof);
    }
    assert_eq!(Proof::from_bytes([0xAB; 32]), proof);
    for message in every() {
        let shown = format!("{message:?}");
        assert!(!shown.contains("3, 3, 3"), "{shown}");
    }
}

// ---- what proofs are over

/// All that an exchange is about, owned.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    challenger: Party,
    answerer: Party,
    challenge: Challenge,
    mechanism: Text,
    nonce: [u8; 32],
    seconds: u32,
}

impl Said {
    /// The four texts, each with which one it is.
    fn texts(&self) -> [(u8, Vec<u8>); 4] {
        let exchange = Exchange {
            challenger: self.challenger,
            answerer: self.answerer,
            challenge: &self.challenge,
            mechanism: &self.mechanism,
            nonce: &self.nonce,
        };
        [
            (0, exchange.authenticate()),
            (1, exchange.ok(self.seconds)),
            (2, exchange.stop(Side::Challenger)),
            (3, exchange.stop(Side::Answerer)),
        ]
    }
}

/// Few values, so that two are often the same but for one thing.
fn any_party() -> impl Strategy<Value = Party> {
    (0..2_u8, prop::option::of(0..2_u8)).prop_map(|(uuid, key)| Party {
        uuid: PeerId::from_bytes([uuid; 16]),
        key: key.map(|key| [key; 32]),
    })
}

fn any_said() -> impl Strategy<Value = Said> {
    let mechanisms = prop::collection::vec("[AB]{0,2}", 0..3);
    (
        any_party(),
        any_party(),
        mechanisms,
        0..2_u8,
        "[AB]{0,2}",
        0..2_u8,
        0..2_u32,
    )
        .prop_map(
            |(challenger, answerer, mechanisms, offered, mechanism, chosen, seconds)| Said {
                challenger,
                answerer,
                challenge: Challenge {
                    mechanisms: mechanisms.iter().map(text).collect(),
                    nonce: [offered; 32],
                },
                mechanism: text(mechanism),
                nonce: [chosen; 32],
                seconds,
            },
        )
}

// ---- any message

fn any_octets(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

fn any_text() -> impl Strategy<Value = Text> {
    prop_oneof![9 => any_octets(8), 1 => any_octets(255)].prop_map(text)
}

fn any_id() -> impl Strategy<Value = PeerId> {
    any::<[u8; 16]>().prop_map(PeerId::from_bytes)
}

fn any_content() -> impl Strategy<Value = Frames> {
    prop::collection::vec(any_octets(30), 0..5).prop_map(Frames::from_iter)
}

fn any_peer() -> impl Strategy<Value = Peer> {
    let header = (any_text(), any_octets(300).prop_map(long));
    (
        any_id(),
        any_text(),
        prop::option::of(any_text()),
        any::<Option<[u8; 32]>>(),
        prop::collection::vec(header, 0..4),
        prop::collection::btree_set(any_text(), 0..4),
    )
        .prop_map(|(uuid, name, endpoint, key, headers, groups)| Peer {
            uuid,
            name,
            endpoint,
            key,
            headers: headers.into_iter().collect(),
            groups,
        })
}

fn any_contact() -> impl Strategy<Value = Contact> {
    let beacon = (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| Address { ip, port });
    (
        any_id(),
        any_text(),
        any_text(),
        prop::option::of(beacon),
        any::<Option<[u8; 32]>>(),
    )
        .prop_map(|(uuid, name, endpoint, beacon, key)| Contact {
            uuid,
            name,
            endpoint,
            beacon,
            key,
        })
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any_peer().prop_map(Change::Enter),
        any_id().prop_map(|uuid| Change::Exit { uuid }),
        (any_id(), any_text()).prop_map(|(uuid, group)| Change::Join { uuid, group }),
        (any_id(), any_text()).prop_map(|(uuid, group)| Change::Leave { uuid, group }),
    ]
}

fn any_session() -> impl Strategy<Value = V2> {
    let proof = || any::<[u8; 32]>().prop_map(Proof::from_bytes);
    let nonce = any::<[u8; 32]>;
    prop_oneof![
        (prop::collection::vec(any_text(), 0..5), nonce())
            .prop_map(|(mechanisms, nonce)| V2::Challenge(Challenge { mechanisms, nonce })),
        (any_text(), nonce(), proof()).prop_map(|(mechanism, nonce, proof)| V2::Authenticate(
            Authenticate {
                mechanism,
                nonce,
                proof
            }
        )),
        (proof(), any::<u32>()).prop_map(|(proof, seconds)| V2::Ok { proof, seconds }),
        (any::<u8>(), any::<u16>(), any_text()).prop_map(|(about, code, text)| V2::Nope(Nope {
            about,
            code: Code(code),
            text
        })),
        proof().prop_map(|proof| V2::Stop { proof }),
    ]
}

fn any_roster() -> impl Strategy<Value = V2> {
    let part = (1..=4_096_u16).prop_flat_map(|count| (0..count, Just(count)));
    let peers = prop::collection::vec(any_peer(), 0..4);
    (any::<[u64; 2]>(), part, peers).prop_map(|([epoch, number], (index, count), peers)| {
        V2::Roster(Roster {
            epoch,
            number,
            part: Part::new(index, count).unwrap(),
            peers,
        })
    })
}

fn any_remote() -> impl Strategy<Value = V2> {
    let numbers = any::<[u64; 2]>;
    let target = prop_oneof![
        any_id().prop_map(Target::Peer),
        any_text().prop_map(Target::Group)
    ];
    prop_oneof![
        (numbers(), any_id(), any_id(), any_content()).prop_map(
            |([epoch, number], from, to, content)| V2::RemoteWhisper(RemoteWhisper {
                epoch,
                number,
                from,
                to,
                content
            })
        ),
        (numbers(), any_id(), any_text(), any_content()).prop_map(
            |([epoch, number], from, group, content)| V2::RemoteShout(RemoteShout {
                epoch,
                number,
                from,
                group,
                content
            })
        ),
        (numbers(), any_id(), target, any::<u8>()).prop_map(
            |([epoch, number], from, target, reason)| V2::Undeliverable(Undeliverable {
                epoch,
                number,
                from,
                target,
                reason: Reason(reason)
            })
        ),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        1 => Just(Message::from(V1::GetEndpoints)),
        1 => prop::collection::vec(any_text(), 0..5)
            .prop_map(|endpoints| Message::from(V1::ListEndpoints { endpoints })),
        4 => any_session().prop_map(Message::from),
        1 => Just(Message::from(V2::GetEndpoints)),
        2 => prop::collection::vec(any_contact(), 0..4)
            .prop_map(|contacts| Message::from(V2::ListEndpoints { contacts })),
        1 => any::<[u64; 2]>().prop_map(|[epoch, from]| Message::from(V2::GetRoster { epoch, from })),
        2 => any_roster().prop_map(Message::from),
        4 => (any::<[u64; 2]>(), any_change()).prop_map(|([epoch, number], change)| {
            Message::from(V2::Delta(Delta { epoch, number, change }))
        }),
        4 => any_remote().prop_map(Message::from),
        1 => (1..3_u8, 0x43..=255_u8)
            .prop_map(|(version, id)| Message::Unknown(Unknown::new(version, id).unwrap())),
    ]
}

proptest! {
    #[test]
    fn any_message_comes_back(message in any_message()) {
        let frames = message.encode();
        prop_assert_eq!(frames.octets(), message.octets());
        prop_assert_eq!(decode(frames), Ok(message));
    }

    #[test]
    fn no_message_that_is_cut_decodes(message in any_message()) {
        // ONCE-3
        let frames = message.encode();
        for cut in 0..frames[0].len() {
            let mut cut_frames = Frames::from(frames[0].slice(..cut));
            cut_frames.extend(frames[1..].iter().cloned());
            prop_assert!(decode(cut_frames).is_err(), "cut at {}", cut);
        }
    }

    /// Whatever is sent: it is refused, or it is what its octets say, but for groups and headers in another order.
    #[test]
    fn what_is_read_is_written_the_same(
        message in any_message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        // ONCE-31, ONCE-32
        let mut frames: Vec<Bytes> = message.encode().into_iter().collect();
        let mut octets = frames[0].to_vec();
        for (at, octet) in changes {
            *at.get_mut(&mut octets) = octet;
        }
        frames[0] = octets.into();
        if let Ok(message) = decode(frames.clone()) {
            let written = message.encode();
            prop_assert!(written.octets() <= frames.iter().map(Bytes::len).sum::<usize>());
            let has_a_peer = matches!(message, Message::V2(V2::Roster(_) | V2::Delta(_)));
            if !has_a_peer && !is_unknown(&message) {
                prop_assert_eq!(&written[0], &frames[0]);
            }
            prop_assert_eq!(decode(written), Ok(message));
        }
    }

    #[test]
    fn the_same_value_makes_the_same_octets(peer in any_peer()) {
        // ONCE-31
        let mut reversed = peer.clone();
        let headers: Vec<_> = peer.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        reversed.headers = headers.into_iter().rev().collect();
        let octets = peer.octets();
        let encode = |peer| Message::from(delta(Change::Enter(peer))).encode();
        let written = encode(peer);
        prop_assert_eq!(written.octets(), 20 + octets);
        prop_assert_eq!(written, encode(reversed));
    }

    /// A proof is good for one occasion, one pair, one direction and one message.
    #[test]
    fn no_two_exchanges_have_one_text(one in any_said(), other in any_said()) {
        // ONCE-40, ONCE-41, ONCE-42
        for (which, text) in one.texts() {
            for (which_other, text_of_other) in other.texts() {
                let expected = which == which_other && {
                    let of_ok = which == 1;
                    let alike = Said { seconds: one.seconds, ..other.clone() } == one;
                    alike && (!of_ok || one.seconds == other.seconds)
                };
                prop_assert_eq!(text == text_of_other, expected, "{} {}", which, which_other);
            }
        }
    }
}
