//! The messages of ZRE, octet by octet.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // clippy.toml allows them in tests, not in helpers

use std::collections::BTreeSet;

use atonce::wire::zre::{Command, Hello, Limits, Message, UnknownCommand};
use atonce::wire::{Expected, Found, Headers, LongText, Malformed, Text};
use atonce::{Bytes, Frames};
use proptest::prelude::*;

fn text(octets: impl AsRef<[u8]>) -> Text {
    Text::try_from(octets.as_ref()).unwrap()
}

fn long(octets: impl AsRef<[u8]>) -> LongText {
    LongText::try_from(octets.as_ref()).unwrap()
}

fn decode(frames: impl Into<Frames>) -> Result<Message, Malformed> {
    Message::decode(frames.into(), &Limits::default())
}

/// The value of these octets, and these octets for the value.
#[track_caller]
fn same(octets: &'static [u8], sequence: u16, command: Command) {
    let message = Message { sequence, command };
    let name = message.command.name();
    assert_eq!(message.encode()[0], octets, "{name}");
    assert_eq!(message.encode().len(), 1, "{name}");
    assert_eq!(decode(octets).as_ref(), Ok(&message), "{name}");
}

const HELLO: &[u8] = b"\xAA\xA1\x01\x02\x00\x01\
    \x15tcp://10.77.0.3:41003\
    \x00\x00\x00\x02\x00\x00\x00\x01G\x00\x00\x00\x03HAM\
    \x02\
    \x03atk\
    \x00\x00\x00\x02\x01a\x00\x00\x00\x00\x06X-ROOM\x00\x00\x00\x07kitchen";

fn hello() -> Hello {
    Hello {
        endpoint: text("tcp://10.77.0.3:41003"),
        groups: [text("G"), text("HAM")].into(),
        status: 2,
        name: text("atk"),
        headers: Headers::from_iter([(text("X-ROOM"), long("kitchen")), (text("a"), long(""))]),
    }
}

/// A HELLO whose headers are sorted as ours are: by octets, so capitals first.
const OUR_HELLO: &[u8] = b"\xAA\xA1\x01\x02\x00\x01\
    \x15tcp://10.77.0.3:41003\
    \x00\x00\x00\x02\x00\x00\x00\x01G\x00\x00\x00\x03HAM\
    \x02\
    \x03atk\
    \x00\x00\x00\x02\x06X-ROOM\x00\x00\x00\x07kitchen\x01a\x00\x00\x00\x00";

/// A valid first frame of every command.
const EVERY: [&[u8]; 11] = [
    HELLO,
    b"\xAA\xA1\x02\x02\x00\x02",
    b"\xAA\xA1\x03\x02\x00\x02\x01G",
    b"\xAA\xA1\x04\x02\x00\x02\x01G\x01",
    b"\xAA\xA1\x05\x02\x00\x02\x01G\x02",
    b"\xAA\xA1\x06\x02\x00\x02",
    b"\xAA\xA1\x07\x02\x00\x02",
    b"\xAA\xA1\x08\x02\x00\x02\x01G\x03abc",
    b"\xAA\xA1\x09\x02\x00\x02\x01G\x03abc",
    b"\xAA\xA1\x0A\x02\x00\x02",
    b"\xAA\xA1\x63\x02\x00\x02",
];

#[test]
fn hello_has_an_endpoint_groups_a_status_a_name_and_headers() {
    same(OUR_HELLO, 1, Command::Hello(hello()));
    assert_eq!(
        decode(HELLO).unwrap().command,
        Command::Hello(hello()),
        "the order of the headers has no meaning"
    );
}

#[test]
fn hello_may_be_empty() {
    same(
        b"\xAA\xA1\x01\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        1,
        Command::Hello(Hello::default()),
    );
}

#[test]
fn join_and_leave_have_a_group_and_a_status() {
    let group = text("CHAT");
    same(
        b"\xAA\xA1\x04\x02\x01\x02\x04CHAT\x09",
        0x0102,
        Command::Join {
            group: group.clone(),
            status: 9,
        },
    );
    same(
        b"\xAA\xA1\x05\x02\xff\xff\x04CHAT\x00",
        0xffff,
        Command::Leave { group, status: 0 },
    );
}

#[test]
fn ping_ping_ok_and_goodbye_have_nothing() {
    same(b"\xAA\xA1\x06\x02\x00\x07", 7, Command::Ping);
    same(b"\xAA\xA1\x07\x02\x00\x07", 7, Command::PingOk);
    same(b"\xAA\xA1\x0A\x02\x00\x07", 7, Command::Goodbye);
}

#[test]
fn elect_and_leader_have_a_group_and_a_node() {
    let (group, id) = (text("CHAT"), text("0102030405060708090A0B0C0D0E0F10"));
    same(
        b"\xAA\xA1\x08\x02\x00\x07\x04CHAT\x200102030405060708090A0B0C0D0E0F10",
        7,
        Command::Elect {
            group: group.clone(),
            challenger_id: id.clone(),
        },
    );
    same(
        b"\xAA\xA1\x09\x02\x00\x07\x04CHAT\x200102030405060708090A0B0C0D0E0F10",
        7,
        Command::Leader {
            group,
            leader_id: id,
        },
    );
}

#[test]
fn whisper_and_shout_carry_any_number_of_frames() {
    // ZRE-90
    for content in [
        Frames::new(),
        Frames::from(""),
        Frames::from("one"),
        Frames::from_iter(["one", "", "three", "four"]),
    ] {
        for (header, command) in [
            (
                &b"\xAA\xA1\x02\x02\x00\x02"[..],
                Command::Whisper {
                    content: content.clone(),
                },
            ),
            (
                &b"\xAA\xA1\x03\x02\x00\x02\x04CHAT"[..],
                Command::Shout {
                    group: text("CHAT"),
                    content: content.clone(),
                },
            ),
        ] {
            let message = Message {
                sequence: 2,
                command,
            };
            let mut frames = content.clone();
            frames.push_front(header);
            assert_eq!(message.encode(), frames);
            assert_eq!(decode(frames), Ok(message));
        }
    }
}

#[test]
fn content_is_shared_not_copied() {
    let content = Bytes::from(vec![7; 1 << 20]);
    let message = Message {
        sequence: 2,
        command: Command::Whisper {
            content: content.clone().into(),
        },
    };
    let frames = message.encode();
    assert_eq!(frames[1].as_ptr(), content.as_ptr());
    let Command::Whisper { content: decoded } = decode(frames).unwrap().command else {
        panic!("another command");
    };
    assert_eq!(decoded[0].as_ptr(), content.as_ptr());
}

#[test]
fn every_command_that_is_cut_anywhere_is_refused() {
    // ZRE-92
    for valid in EVERY {
        assert!(decode(valid).is_ok());
        for cut in 0..valid.len() {
            assert!(decode(&valid[..cut]).is_err(), "{cut} octets of {valid:x?}");
        }
    }
    assert_eq!(
        decode(Frames::new()),
        Err(Malformed::new(
            "signature",
            Expected::Octets(2),
            Found::Octets(0)
        ))
    );
}

#[test]
fn octets_after_a_known_command_are_refused() {
    // ZRE-92
    for valid in EVERY {
        let mut octets = valid.to_vec();
        octets.push(0);
        let decoded = decode(octets);
        if valid[2] == 0x63 {
            assert!(
                decoded.is_ok(),
                "nobody knows where an unknown command ends"
            );
        } else {
            let error = decoded.unwrap_err();
            assert_eq!(
                (error.expected, error.found),
                (Expected::End, Found::Octets(1))
            );
        }
    }
}

#[test]
fn surplus_frames_are_not_another_message() {
    // ZRE-93
    let uuid_frame = &b"\x01\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"[..];
    let frames = Frames::from_iter([
        &b"\xAA\xA1\x07\x02\x00\x02"[..],
        uuid_frame,
        b"\xAA\xA1\x02\x02\x27\x0f",
    ]);
    assert_eq!(
        decode(frames),
        Ok(Message {
            sequence: 2,
            command: Command::PingOk
        })
    );
    let hellos = Frames::from_iter(vec![HELLO; 2_000]);
    assert_eq!(
        decode(hellos),
        Ok(Message {
            sequence: 1,
            command: Command::Hello(hello())
        })
    );
}

#[test]
fn an_unknown_command_still_has_its_sequence() {
    // ZRE-73
    let unknown = UnknownCommand::new(0x63).unwrap();
    same(
        b"\xAA\xA1\x63\x02\x12\x34",
        0x1234,
        Command::Unknown(unknown),
    );
    let newer = Frames::from_iter([&b"\xAA\xA1\x63\x02\x12\x34\xff\xff"[..], b"content"]);
    assert_eq!(
        decode(newer),
        Ok(Message {
            sequence: 0x1234,
            command: Command::Unknown(unknown)
        })
    );
}

#[test]
fn a_known_id_cannot_pass_as_unknown() {
    for id in 0..=255 {
        let known = (1..=10).contains(&id);
        assert_eq!(UnknownCommand::new(id).is_none(), known);
        let decoded = decode(vec![0xAA, 0xA1, id, 2, 0, 1]);
        let unknown = matches!(
            decoded,
            Ok(Message {
                command: Command::Unknown(_),
                ..
            })
        );
        assert_eq!(unknown, !known, "{id}");
    }
}

#[test]
fn ids_and_names_are_those_of_the_rfc_and_of_c_zyre() {
    // ZRE-98
    let names = EVERY.map(|octets| {
        let command = decode(octets).unwrap().command;
        assert_eq!(command.id(), octets[2]);
        command.name()
    });
    assert_eq!(
        names,
        [
            "HELLO", "WHISPER", "SHOUT", "JOIN", "LEAVE", "PING", "PING-OK", "ELECT", "LEADER",
            "GOODBYE", "UNKNOWN"
        ]
    );
}

#[test]
fn another_signature_or_version_is_no_zre() {
    // ZRE-91
    for (octets, field, expected, found) in [
        (b"\xAA\xA0\x06\x02\x00\x02", "signature", 0xAAA1, 0xAAA0),
        (b"\xAA\xA1\x06\x01\x00\x02", "version", 2, 1),
        (b"\xAA\xA1\x06\x03\x00\x02", "version", 2, 3),
    ] {
        assert!(!Message::is_zre(&Frames::from(octets)));
        assert_eq!(
            decode(octets),
            Err(Malformed::new(
                field,
                Expected::Value(expected),
                Found::Value(found)
            ))
        );
    }
    assert!(!Message::is_zre(&Frames::new()));
    // A bad body, however, is an offence of somebody who speaks ZRE.
    assert!(Message::is_zre(&Frames::from(
        b"\xAA\xA1\x04\x02\x00\x02\xff"
    )));
}

/// HELLO up to its groups, and then these octets.
fn hello_with(groups_and_after: &[u8]) -> Result<Message, Malformed> {
    let mut octets = HELLO[..28].to_vec();
    octets.extend(groups_and_after);
    decode(octets)
}

#[test]
fn a_count_of_groups_over_the_limit_is_refused() {
    // ZRE-95
    let mut bomb = vec![0xff; 4];
    bomb.resize(16 << 20, 0);
    let most = u64::from(u32::MAX);
    assert_eq!(
        hello_with(&bomb),
        Err(Malformed::new(
            "HELLO.groups",
            Expected::AtMost(1_024),
            Found::Value(most)
        ))
    );
    bomb[..4].copy_from_slice(&20_000_u32.to_be_bytes());
    assert_eq!(
        hello_with(&bomb),
        Err(Malformed::new(
            "HELLO.groups",
            Expected::AtMost(1_024),
            Found::Value(20_000)
        ))
    );
}

#[test]
fn a_count_of_headers_over_the_limit_is_refused() {
    // ZRE-95
    let mut bomb = vec![0, 0, 0, 0, 1, 0];
    bomb.extend(257_u32.to_be_bytes());
    bomb.resize(16 << 20, 0);
    assert_eq!(
        hello_with(&bomb),
        Err(Malformed::new(
            "HELLO.headers",
            Expected::AtMost(256),
            Found::Value(257)
        ))
    );
}

#[test]
fn a_count_that_the_frame_cannot_hold_is_refused() {
    // ZRE-95
    assert_eq!(
        hello_with(&[0, 0, 4, 0, 0, 0, 0, 0]),
        Err(Malformed::new(
            "HELLO.groups",
            Expected::Octets(4_096),
            Found::Octets(4)
        ))
    );
}

#[test]
fn a_hello_at_the_limits_is_taken_and_one_over_is_not() {
    let groups: BTreeSet<_> = (0..1_025).map(|n| text(format!("G{n}"))).collect();
    let headers = Headers::from_iter((0..257).map(|n| (text(format!("H{n}")), long("v"))));
    let message = Message {
        sequence: 1,
        command: Command::Hello(Hello {
            groups,
            headers,
            ..hello()
        }),
    };
    let exact = Limits {
        groups: 1_025,
        headers: 257,
    };
    assert_eq!(
        Message::decode(message.encode(), &exact),
        Ok(message.clone())
    );
    for (limits, field) in [
        (
            Limits {
                groups: 1_024,
                ..exact
            },
            "HELLO.groups",
        ),
        (
            Limits {
                headers: 256,
                ..exact
            },
            "HELLO.headers",
        ),
    ] {
        let error = Message::decode(message.encode(), &limits).unwrap_err();
        assert_eq!(error.field, field);
    }
}

#[test]
fn a_group_of_more_than_255_octets_is_refused() {
    // ZRE-96
    for (size, taken) in [(255_u32, true), (256, false)] {
        let mut octets = vec![0, 0, 0, 1];
        octets.extend(size.to_be_bytes());
        octets.resize(octets.len() + size as usize, b'g');
        octets.extend([1, 0, 0, 0, 0, 0]);
        assert_eq!(hello_with(&octets).is_ok(), taken, "{size}");
    }
}

#[test]
fn a_length_that_goes_beyond_the_frame_is_refused() {
    // ZRE-95
    assert_eq!(
        decode(b"\xAA\xA1\x03\x02\x00\x02\x05CHAT"),
        Err(Malformed::new(
            "SHOUT.group",
            Expected::Octets(5),
            Found::Octets(4)
        ))
    );
    assert_eq!(
        hello_with(b"\x00\x00\x00\x01\x00\x00\x00\xffG"),
        Err(Malformed::new(
            "HELLO.groups",
            Expected::Octets(255),
            Found::Octets(1)
        ))
    );
    assert_eq!(
        hello_with(b"\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x01k\xff\xff\xff\xffv"),
        Err(Malformed::new(
            "HELLO.headers",
            Expected::Octets(u32::MAX.into()),
            Found::Octets(1)
        ))
    );
}

#[test]
fn a_name_that_is_not_utf8_is_kept_as_it_came() {
    // ZRE-94
    // Pyre counts characters, not octets, and so cuts within one.
    let cut = &"M\u{fc}ller".as_bytes()[..2];
    let message = Message {
        sequence: 1,
        command: Command::Hello(Hello {
            name: text(cut),
            ..hello()
        }),
    };
    let Ok(Message {
        command: Command::Hello(decoded),
        ..
    }) = decode(message.encode())
    else {
        panic!("refused");
    };
    assert_eq!(decoded.name.as_bytes(), b"M\xC3");
    assert_eq!(decoded.name.to_string(), "M\u{fffd}");
}

#[test]
fn of_groups_and_headers_that_stand_twice_one_is_kept() {
    // ZRE-97
    let Ok(Message {
        command: Command::Hello(hello),
        ..
    }) = hello_with(
        b"\0\0\0\x02\0\0\0\x01G\0\0\0\x01G\x02\0\0\0\0\x02\x01k\0\0\0\x01a\x01k\0\0\0\x01b",
    )
    else {
        panic!("refused");
    };
    assert_eq!(hello.groups, [text("G")].into());
    assert_eq!(hello.headers, Headers::from_iter([(text("k"), long("b"))]));
}

fn any_octets(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

fn any_text() -> impl Strategy<Value = Text> {
    prop_oneof![any_octets(8), any_octets(255)].prop_map(text)
}

fn any_content() -> impl Strategy<Value = Frames> {
    prop::collection::vec(any_octets(300), 0..5).prop_map(Frames::from_iter)
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let header = (any_text(), any_octets(600).prop_map(long));
    (
        any_text(),
        prop::collection::btree_set(any_text(), 0..6),
        any::<u8>(),
        any_text(),
        prop::collection::vec(header, 0..6),
    )
        .prop_map(|(endpoint, groups, status, name, headers)| Hello {
            endpoint,
            groups,
            status,
            name,
            headers: Headers::from_iter(headers),
        })
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        any_hello().prop_map(Command::Hello),
        any_content().prop_map(|content| Command::Whisper { content }),
        (any_text(), any_content()).prop_map(|(group, content)| Command::Shout { group, content }),
        (any_text(), any::<u8>()).prop_map(|(group, status)| Command::Join { group, status }),
        (any_text(), any::<u8>()).prop_map(|(group, status)| Command::Leave { group, status }),
        Just(Command::Ping),
        Just(Command::PingOk),
        (any_text(), any_text()).prop_map(|(group, challenger_id)| Command::Elect {
            group,
            challenger_id
        }),
        (any_text(), any_text())
            .prop_map(|(group, leader_id)| Command::Leader { group, leader_id }),
        Just(Command::Goodbye),
        (11..=u8::MAX).prop_map(|id| Command::Unknown(UnknownCommand::new(id).unwrap())),
    ]
}

proptest! {
    #[test]
    fn every_message_comes_back(sequence: u16, command in any_command()) {
        let message = Message { sequence, command };
        prop_assert_eq!(decode(message.encode()), Ok(message));
    }

    #[test]
    fn no_message_that_is_cut_decodes(sequence: u16, command in any_command()) {
        let frames = Message { sequence, command }.encode();
        for cut in 0..frames[0].len() {
            let mut cut_frames = Frames::from(frames[0].slice(..cut));
            cut_frames.extend(frames[1..].iter().cloned());
            prop_assert!(decode(cut_frames).is_err(), "cut at {}", cut);
        }
    }

    #[test]
    fn the_same_value_makes_the_same_octets(hello in any_hello()) {
        // ZRE-97
        let mut reversed = hello.clone();
        let headers: Vec<_> = hello.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        reversed.headers = headers.into_iter().rev().collect();
        let encode = |hello| Message { sequence: 1, command: Command::Hello(hello) }.encode();
        prop_assert_eq!(encode(hello), encode(reversed));
    }
}
