//! What carries a message, and what is none.

use atonce::wire::once::{Change, Message, Peer, RemoteShout, RemoteWhisper, Unknown, V1, V2};
use atonce::wire::{Expected, Found, Headers, Malformed};
use atonce::{Bytes, Frames};

use crate::{A, B, bob, decode, delta, every, head, is_unknown, long, refused, text};

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
            (2, 0x43, "REMOTE-AGAIN"),
            (2, 0x50, "RELAY"),
            (2, 0x51, "TICKET"),
            (1, 6, "UNKNOWN"),
            (2, 0x60, "UNKNOWN"),
        ]
    );
    // And no others.
    for version in 0..=255 {
        for id in 0..=255 {
            let known = seen[..seen.len() - 2]
                .iter()
                .any(|(v, i, _)| (*v, *i) == (version, id));
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
            to: vec![B],
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
