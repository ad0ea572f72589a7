//! Limits: as much as they say is taken, and one more is not.

use atonce::Frames;
use atonce::wire::once::{
    Challenge, Change, Limits, Message, Part, Peer, RemoteAgain, RemoteShout, RemoteWhisper,
    Roster, V1, V2,
};
use atonce::wire::{Expected, Found, Headers, Malformed};

use crate::{A, B, alice, bob, contact, decode, delta, head, long, refused, text};

#[test]
fn a_first_frame_over_the_limit_is_refused_before_its_fields() {
    // ONCE-10
    let most = 2 << 20;
    for id in [0x10, 0x21, 0x31, 0x32, 0x41, 0x50, 0x51, 0x60] {
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

const MANY: [Many; 9] = [
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
    (
        "REMOTE-SHOUT.to",
        |n| {
            Message::from(V2::RemoteShout(RemoteShout {
                epoch: 1,
                number: 1,
                from: A,
                group: text("G"),
                to: vec![B; n],
                content: Frames::new(),
            }))
        },
        4_096,
        |limits, n| limits.receivers = n,
    ),
    (
        "REMOTE-AGAIN.to",
        |n| {
            Message::from(V2::RemoteAgain(RemoteAgain {
                epoch: 1,
                number: 2,
                of: 1,
                to: vec![B; n],
            }))
        },
        4_096,
        |limits, n| limits.receivers = n,
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
        (
            head(0x41, &[&uuid, &uuid, &none, &sixteen]),
            "REMOTE-SHOUT.to",
            16,
        ),
        (
            head(0x43, &[&uuid, &uuid[..8], &sixteen]),
            "REMOTE-AGAIN.to",
            16,
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
            head(0x41, &[&[0; 16], &UUID, text, &NONE])
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
