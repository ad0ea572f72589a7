//! Values survive the wire, and what is not in the grammar is refused by name.

use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::wire::{Expected, Found, Malformed, Text};

fn encoded(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    command.encode(&mut body);
    assert_eq!(body.len(), command.encoded_len());
    body
}

fn header(kind: FrameKind, octets: u64) -> FrameHeader {
    FrameHeader::new(kind, octets).unwrap()
}

fn header_octets(header: FrameHeader) -> Vec<u8> {
    let mut octets = Vec::new();
    header.encode(&mut octets);
    assert_eq!(octets.len(), header.encoded_len());
    octets
}

#[test]
fn a_body_of_255_octets_has_a_short_header_and_one_of_256_a_long_one() {
    // ZMTP-11
    let short = header_octets(header(FrameKind::Last, 255));
    assert_eq!(short, [0, 255]);
    let long = header_octets(header(FrameKind::More, 256));
    assert_eq!(long, [3, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(header_octets(header(FrameKind::Command, 256))[0], 6);
}

#[test]
fn a_long_header_before_a_short_body_is_read() {
    // ZMTP-11
    let octets = [2, 0, 0, 0, 0, 0, 0, 0, 5, b'h'];
    let value = header(FrameKind::Last, 5);
    assert_eq!(
        FrameHeader::decode(&octets),
        Ok(Decoded::Complete { value, octets: 9 })
    );
}

#[test]
fn flags_are_those_of_the_grammar_and_no_others() {
    // ZMTP-10
    for flags in 0..=u8::MAX {
        let octets = [flags, 0, 0, 0, 0, 0, 0, 0, 0];
        let allowed = [0, 1, 2, 3, 4, 6].contains(&flags);
        assert_eq!(FrameHeader::decode(&octets).is_ok(), allowed, "{flags:#x}");
        // The first octet tells.
        assert_eq!(FrameHeader::decode(&[flags]).is_ok(), allowed, "{flags:#x}");
    }
}

#[test]
fn a_size_with_the_top_bit_is_malformed() {
    // ZMTP-12
    let size = 1_u64 << 63;
    let below = [&[2][..], &(size - 1).to_be_bytes()].concat();
    let value = header(FrameKind::Last, FrameHeader::LIMIT);
    assert_eq!(
        FrameHeader::decode(&below),
        Ok(Decoded::Complete { value, octets: 9 })
    );
    let at = [&[2][..], &size.to_be_bytes()].concat();
    assert_eq!(
        FrameHeader::decode(&at),
        Err(Malformed::new(
            "frame.size",
            Expected::AtMost(size - 1),
            Found::Value(size)
        ))
    );
    assert_eq!(FrameHeader::new(FrameKind::Last, size), None);
}

#[test]
fn a_header_that_is_not_whole_says_how_much_lacks() {
    let long = header_octets(header(FrameKind::Last, 256));
    assert_eq!(
        FrameHeader::decode(&[]),
        Ok(Decoded::Partial { lacking: 2 })
    );
    assert_eq!(
        FrameHeader::decode(&[0]),
        Ok(Decoded::Partial { lacking: 1 })
    );
    for cut in 1..9 {
        let lacking = 9 - cut;
        assert_eq!(
            FrameHeader::decode(&long[..cut]),
            Ok(Decoded::Partial { lacking })
        );
    }
}

#[test]
fn a_greeting_that_is_not_whole_says_how_much_lacks() {
    let octets = Greeting::new(MechanismName::NULL).encode();
    for cut in 0..64 {
        let lacking = 64 - cut;
        assert_eq!(
            Greeting::decode(&octets[..cut]),
            Ok(Decoded::Partial { lacking })
        );
    }
}

#[test]
fn the_legal_pairs_are_those_of_the_table_and_symmetric() {
    // ZMTP-34
    use SocketType::*;
    let pairs = [
        (Req, Rep),
        (Req, Router),
        (Rep, Dealer),
        (Dealer, Dealer),
        (Dealer, Router),
        (Router, Router),
        (Pub, Sub),
        (Pub, XSub),
        (XPub, Sub),
        (XPub, XSub),
        (Push, Pull),
        (Pair, Pair),
        (Client, Server),
        (Radio, Dish),
        (Scatter, Gather),
        (Peer, Peer),
        (Channel, Channel),
    ];
    for one in SocketType::ALL {
        for other in SocketType::ALL {
            let legal = pairs.contains(&(*one, *other)) || pairs.contains(&(*other, *one));
            assert_eq!(one.may_talk_to(*other), legal, "{one} {other}");
        }
        assert_eq!(SocketType::decode(one.as_str().as_bytes()), Ok(*one));
    }
    assert!(SocketType::decode(b"dealer").is_err());
}

#[test]
fn commands_stand_on_the_wire_as_the_grammar_has_them() {
    let ready = Metadata::new().with("Socket-Type", b"DEALER").unwrap();
    let expected = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER";
    assert_eq!(encoded(&Command::Ready(ready)), expected);
    let error = Command::Error(Text::try_from("400").unwrap());
    assert_eq!(encoded(&error), b"\x05ERROR\x03400");
    let context = PingContext::new(b"ctx").unwrap();
    let ping = Command::Ping(Ping { ttl: 655, context });
    assert_eq!(encoded(&ping), b"\x04PING\x02\x8fctx");
    assert_eq!(encoded(&Command::Pong(context)), b"\x04PONGctx");
    let subscribe = Command::Subscribe(Bytes::from_static(b"A"));
    assert_eq!(encoded(&subscribe), b"\x09SUBSCRIBEA");
    assert_eq!(encoded(&Command::Cancel(Bytes::new())), b"\x06CANCEL");
}

#[test]
fn a_ping_has_a_time_to_live_and_at_most_16_octets_of_context() {
    // ZMTP-26
    let field = |body: &[u8]| Command::decode(body).map_err(|error| error.field);
    assert_eq!(field(b"\x04PING"), Err("PING.ttl"));
    assert_eq!(field(b"\x04PING\x00"), Err("PING.ttl"));
    assert!(field(b"\x04PING\x00\x00").is_ok());
    assert!(field(b"\x04PING\x00\x000123456789abcdef").is_ok());
    assert_eq!(
        field(b"\x04PING\x00\x000123456789abcdefg"),
        Err("PING.context")
    );
    assert!(field(b"\x04PONG0123456789abcdef").is_ok());
    assert_eq!(field(b"\x04PONG0123456789abcdefg"), Err("PONG.context"));
}

#[test]
fn a_command_has_a_name_and_an_error_has_its_reason_and_no_more() {
    // ZMTP-20, ZMTP-25
    let error = |body: &[u8]| Command::decode(body).unwrap_err();
    assert_eq!(error(b"").field, "command.name");
    assert_eq!(error(b"\x00").field, "command.name");
    assert_eq!(error(b"\x05PING").field, "command.name");
    assert_eq!(error(b"\x05ERROR").field, "ERROR.reason");
    assert_eq!(error(b"\x05ERROR\x02x").field, "ERROR.reason");
    assert_eq!(error(b"\x05ERROR\x01xy").expected, Expected::End);
}

#[test]
fn other_commands_cannot_pass_for_known_ones() {
    for name in ["", "READY", "ERROR", "PING", "PONG", "SUBSCRIBE", "CANCEL"] {
        assert_eq!(OtherCommand::new(name, ""), None);
    }
    let long = "x".repeat(256);
    assert_eq!(OtherCommand::new(long, ""), None);
}

#[test]
fn a_property_has_a_name_of_1_to_255_octets() {
    // ZMTP-23
    assert_eq!(Metadata::new().with("", b"x"), Err(InvalidProperty));
    let longest = "n".repeat(255);
    assert!(Metadata::new().with(&longest, b"").is_ok());
    let longer = "n".repeat(256);
    assert_eq!(Metadata::new().with(&longer, b""), Err(InvalidProperty));
    let error = Metadata::decode(b"\x00\x00\x00\x00\x00").unwrap_err();
    assert_eq!(error.field, "metadata.name");
}

#[test]
fn the_first_of_two_properties_of_a_name_counts() {
    // ZMTP-24
    let metadata = Metadata::new()
        .with("name", b"1")
        .and_then(|metadata| metadata.with("NAME", b"2"))
        .unwrap();
    assert_eq!(metadata.get("Name"), Some(b"1".as_slice()));
}

fn text(octets: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Text> {
    prop::collection::vec(any::<u8>(), octets)
        .prop_map(|octets| Text::try_from(octets.as_slice()).unwrap())
}

fn octets(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

fn metadata() -> impl Strategy<Value = Metadata> {
    prop::collection::vec(("[A-Za-z0-9-]{1,20}", octets(300)), 0..8).prop_map(|properties| {
        let add = |metadata: Metadata, (name, value): (_, Bytes)| {
            let name: alloc::string::String = name;
            metadata.with(&name, &value).unwrap()
        };
        properties.into_iter().fold(Metadata::new(), add)
    })
}

fn context() -> impl Strategy<Value = PingContext> {
    octets(16).prop_map(|octets| PingContext::new(&octets).unwrap())
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        metadata().prop_map(Command::Ready),
        text(0..=255).prop_map(Command::Error),
        (any::<u16>(), context()).prop_map(|(ttl, context)| Command::Ping(Ping { ttl, context })),
        context().prop_map(Command::Pong),
        octets(400).prop_map(Command::Subscribe),
        octets(400).prop_map(Command::Cancel),
        (text(1..=255), octets(400))
            .prop_filter_map("a known name", |(name, data)| OtherCommand::new(name, data))
            .prop_map(Command::Other),
    ]
}

fn kind() -> impl Strategy<Value = FrameKind> {
    prop_oneof![
        Just(FrameKind::Command),
        Just(FrameKind::More),
        Just(FrameKind::Last)
    ]
}

proptest! {
    #[test]
    fn a_command_survives_the_wire(command in command()) {
        prop_assert_eq!(Command::decode(&encoded(&command)), Ok(command));
    }

    #[test]
    fn a_command_that_decodes_encodes_to_the_same_octets(body in octets(64)) {
        if let Ok(command) = Command::decode(&body) {
            prop_assert_eq!(encoded(&command), body);
        }
    }

    #[test]
    fn metadata_survives_the_wire(metadata in metadata()) {
        prop_assert_eq!(Metadata::decode(metadata.as_bytes()), Ok(metadata));
    }

    #[test]
    fn metadata_that_decodes_gives_all_its_properties(input in octets(64)) {
        if let Ok(metadata) = Metadata::decode(&input) {
            let octets = metadata.iter().map(|(name, value)| 1 + name.len() + 4 + value.len());
            prop_assert_eq!(octets.sum::<usize>(), input.len());
        }
    }

    #[test]
    fn a_header_survives_the_wire(kind in kind(), octets in 0..=FrameHeader::LIMIT, shift in 0..63_u32) {
        let value = header(kind, octets >> shift);
        let octets = header_octets(value);
        prop_assert_eq!(
            FrameHeader::decode(&octets),
            Ok(Decoded::Complete { value, octets: octets.len() })
        );
    }

    #[test]
    fn a_greeting_survives_the_wire(
        major in 3..=u8::MAX,
        minor in any::<u8>(),
        mechanism in any::<[u8; 20]>(),
        as_server in any::<bool>(),
    ) {
        let value = Greeting {
            version: Version::new(major, minor).unwrap(),
            mechanism: MechanismName::from_bytes(mechanism),
            as_server,
        };
        let octets = value.encode();
        prop_assert_eq!(Greeting::decode(&octets), Ok(Decoded::Complete { value, octets: 64 }));
    }

    #[test]
    fn what_is_wrong_with_a_greeting_is_wrong_with_any_longer_one(
        octets in prop::collection::vec(prop_oneof![Just(0xff), Just(0x7f), Just(3), any::<u8>()], 64),
    ) {
        let mut before = None;
        for cut in 0..=64 {
            let now = Greeting::decode(&octets[..cut]);
            if let Some(before) = before {
                prop_assert_eq!(now, Err(before));
            }
            before = now.err();
        }
    }
}
