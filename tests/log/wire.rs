//! The octets of a record.

use std::time::Duration;

use atonce::wire::log::{Event, Level, NodeTag, Record};
use atonce::{Bytes, Text};
use proptest::prelude::*;

fn record() -> impl Strategy<Value = Record> {
    let numbers = (any::<(u8, u8, u16, u16)>(), any::<u64>());
    (numbers, prop::collection::vec(any::<u8>(), 0..=255)).prop_map(
        |(((level, event, node, peer), time), data)| Record {
            level: Level(level),
            event: Event(event),
            node: NodeTag(node),
            peer: NodeTag(peer),
            time,
            data: Text::try_from(&data[..]).unwrap(),
        },
    )
}

proptest! {
    /// LOG-2, LOG-4, LOG-5, LOG-6
    #[test]
    fn a_record_is_read_as_it_was_written_and_no_other_length_is(record in record(), more in 1..9_usize) {
        let message = record.encode();
        prop_assert!(message.len() <= Record::LIMIT && Record::is_ours(&message));
        prop_assert_eq!(Record::decode(&message), Ok(record.clone()));
        let prefix = Record::prefix(Some(record.level));
        prop_assert!(message.starts_with(&prefix) && prefix.starts_with(&Record::prefix(None)));
        for length in 0..message.len() {
            prop_assert!(Record::decode(&message.slice(..length)).is_err());
        }
        let longer = [&message[..], &vec![0; more]].concat();
        prop_assert_eq!(Record::decode(&longer.into()).unwrap_err().field, "LOG");
    }

    #[test]
    fn any_octets_are_a_record_or_not(octets in prop::collection::vec(any::<u8>(), 0..300), ours: bool) {
        let octets = if ours { [&b"\xAA\xA2\x01"[..], &octets].concat() } else { octets };
        let octets = Bytes::from(octets);
        match Record::decode(&octets) {
            Ok(record) => prop_assert_eq!(record.encode(), octets),
            // LOG-1
            Err(error) => prop_assert!(["signature", "id"].contains(&error.field) != Record::is_ours(&octets)),
        }
    }
}

#[test]
fn a_tag_is_made_of_all_octets_of_an_endpoint_in_16_bits() {
    // LOG-7: as other programs make it.
    let reference = |text: &str| {
        let tag = text
            .bytes()
            .fold(0_u32, |tag, octet| ((33 * tag) ^ u32::from(octet)) % 65_536);
        NodeTag(u16::try_from(tag).unwrap())
    };
    for endpoint in ["", "t", "tcp://192.168.1.122:9992", "tcp://[fe80::1]:65535"] {
        assert_eq!(NodeTag::of(endpoint), reference(endpoint), "{endpoint}");
    }
    assert_eq!(NodeTag::of("tcp://127.0.0.1:5550"), NodeTag(0x5B49));
}

#[test]
fn a_time_of_eleven_digits_and_more_is_in_milliseconds() {
    // LOG-8
    let at = |time| {
        let message = [
            &b"\xAA\xA2\x01\x03\x00\0\0\0\0"[..],
            &u64::to_be_bytes(time),
            b"\0",
        ];
        let record = Record::decode(&message.concat().into()).unwrap();
        record.since_1970()
    };
    assert_eq!(at(99_999_999_999), Duration::from_secs(99_999_999_999));
    assert_eq!(at(100_000_000_000), Duration::from_secs(100_000_000));
    assert_eq!(at(u64::MAX), Duration::from_millis(u64::MAX));
}

#[test]
fn what_has_a_name_is_shown_with_it() {
    // LOG-4
    let levels = (0..5).map(|level| Level(level).to_string());
    let expected = ["level 0", "error", "warning", "info", "level 4"];
    assert_eq!(levels.collect::<Vec<_>>(), expected);
    let events = (0..8).map(|event| Event(event).to_string());
    let expected = [
        "event 0", "JOIN", "LEAVE", "ENTER", "EXIT", "SEND", "RECV", "event 7",
    ];
    assert_eq!(events.collect::<Vec<_>>(), expected);
}
