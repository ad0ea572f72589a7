use alloc::string::ToString;
use alloc::vec;

use super::*;

fn stamped(generation: u64) -> Message {
    Message::Publish(Publish {
        key: "k".parse().unwrap(),
        value: "v".parse().unwrap(),
        ttl: 60_000,
        stamp: Some(Stamp {
            generation,
            origin: ParticipantId([7; 16]),
            published: true,
        }),
    })
}

fn field(octets: &[u8]) -> &'static str {
    Message::decode(&Bytes::copy_from_slice(octets))
        .unwrap_err()
        .field
}

#[test]
fn what_is_written_is_read() {
    // GOS-6, GOS-7
    let id = ParticipantId([9; 16]);
    for message in [
        Message::Hello(None),
        Message::Hello(Some(id)),
        Message::Ping,
        Message::Pong(None),
        Message::Pong(Some(id)),
        Message::Invalid,
        stamped(0),
        stamped(Stamp::LIMIT),
    ] {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    assert_eq!(
        field(&stamped(Stamp::LIMIT + 1).encode()),
        "PUBLISH.generation"
    );
}

#[test]
fn what_others_add_is_passed_over_and_ours_is_read_strictly() {
    // GOS-5
    for message in [Message::Hello(None), Message::Pong(None), Message::Ping] {
        for added in [&b"x"[..], b"\xA7\x0C", b"\xA7\x0C\x02whatever"] {
            let mut octets = message.encode().to_vec();
            octets.extend_from_slice(added);
            assert_eq!(Message::decode(&octets.into()), Ok(message.clone()));
        }
    }
    assert_eq!(
        field(b"\xAA\xA0\x01\x01\xA7\x0C\x01short"),
        "HELLO.extension"
    );
    let whole = stamped(1).encode();
    assert_eq!(field(&whole[..whole.len() - 1]), "PUBLISH.origin");
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(field(&longer), "PUBLISH.extension");
}

#[test]
fn keys_and_values_are_what_c_peers_take_them_for() {
    // GOS-3, GOS-4
    assert_eq!(
        field(b"\xAA\xA0\x02\x01\x00\0\0\0\x01v\0\0\0\0"),
        "PUBLISH.key"
    );
    assert_eq!(
        field(b"\xAA\xA0\x02\x01\x02a\0\0\0\0\x01v\0\0\0\0"),
        "PUBLISH.key"
    );
    assert_eq!(
        field(b"\xAA\xA0\x02\x01\x01a\0\0\0\x02v\0\0\0\0\0"),
        "PUBLISH.value"
    );
    assert_eq!(field(b"\xAA\xA0\x02\x01\x01a\0\0\x10\x01"), "PUBLISH.value");
    let long = vec![b'v'; Value::LIMIT + 1];
    assert_eq!(
        Value::try_from(&long[..]),
        Err(InvalidValue::TooLong(4_097))
    );
    assert_eq!(
        Key::try_from(&long[..256]).unwrap_err().to_string(),
        "the key of a tuple has at most 255 octets, found 256"
    );
}

#[test]
fn a_void_value_keeps_the_key_of_curve() {
    // GOS-30
    let void = |text: &str| text.parse::<Value>().unwrap().to_void().to_string();
    assert_eq!(void("tcp://10.0.0.7:1"), "");
    assert_eq!(void("tcp://10.0.0.7:1|KEY"), "|KEY");
    assert_eq!(void("|KEY"), "|KEY");
    let is_void = |text: &str| text.parse::<Value>().unwrap().is_void();
    assert!(is_void("") && is_void("|KEY") && !is_void("tcp://10.0.0.7:1|KEY"));
}
