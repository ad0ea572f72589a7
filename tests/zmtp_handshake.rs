//! Greeting and handshake between two connections, and with peers that do it wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

mod zmtp_common;

use core::time::Duration;

use atonce::wire::Text;
use atonce::wire::zmtp::{
    Command, Greeting, Identity, MechanismName, Metadata, OtherCommand, Revision, SocketType,
    Version,
};
use atonce::zmtp::{Config, Connection, Error, Event, Incompatible, Misbehaving, SendError, Timer};
use atonce::{Frames, Instant};
use zmtp_common::{carry, command, drain, greeted, lent, message, ready, settle, wire};

const START: Instant = Instant::from_millis(1_000);

fn dealer(identity: &[u8]) -> Config {
    Config {
        identity: Identity::try_from(identity).unwrap(),
        ..Config::new(SocketType::Dealer)
    }
}

fn router() -> Config {
    Config::new(SocketType::Router)
}

/// What becomes of a router that is sent these octets at once.
fn fate(octets: &[u8]) -> Option<Error> {
    let mut connection = Connection::new(START, router());
    connection.handle_input(START, octets);
    let closed = drain(&mut connection).pop();
    match closed {
        Some(Event::Closed(error)) => {
            assert_eq!(connection.error(), Some(&error));
            assert!(connection.is_closed());
            Some(error)
        }
        _ => {
            assert!(!connection.is_closed());
            None
        }
    }
}

#[test]
fn two_connections_shake_hands_and_tell_who_they_are() {
    let mut one = Connection::new(START, dealer(b"\x01alice"));
    let mut other = Connection::new(START, router());
    settle(START, &mut one, &mut other);
    let Some(Event::Ready {
        version,
        socket_type,
        identity,
        metadata,
        ..
    }) = other.poll_event()
    else {
        panic!("not ready");
    };
    assert_eq!(version, Version::V3_1);
    assert_eq!(socket_type, SocketType::Dealer);
    assert_eq!(identity.as_bytes(), b"\x01alice");
    assert_eq!(metadata.get("Socket-Type"), Some(b"DEALER".as_slice()));
    assert!(matches!(
        one.poll_event(),
        Some(Event::Ready { socket_type: SocketType::Router, identity, .. }) if identity.is_empty()
    ));
    assert!(one.is_ready() && other.is_ready());
    assert!(one.is_idle() && other.is_idle());
    assert_eq!(one.poll_timeout(), None);
}

#[test]
fn all_64_octets_go_out_at_once_and_ready_when_the_greeting_is_in() {
    // ZMTP-1, ZMTP-30
    let mut connection = Connection::new(START, dealer(b"me"));
    assert_eq!(
        lent(&connection),
        Greeting::new(MechanismName::NULL).encode()
    );
    assert_eq!(connection.queued_octets(), 64);
    let greeting = Greeting::new(MechanismName::NULL).encode();
    connection.handle_input(START, &greeting[..63]);
    assert_eq!(lent(&connection).len(), 64);
    connection.handle_input(START, &greeting[63..]);
    let metadata = Metadata::new()
        .with("Socket-Type", b"DEALER")
        .and_then(|metadata| metadata.with("Identity", b"me"))
        .unwrap();
    let expected = [greeting.as_slice(), &command(&Command::Ready(metadata))].concat();
    assert_eq!(lent(&connection), expected);
}

#[test]
fn only_types_that_have_an_identity_tell_it() {
    // ZMTP-31
    for kind in SocketType::ALL {
        let mut connection = Connection::new(START, Config::new(*kind));
        connection.handle_input(START, &Greeting::new(MechanismName::NULL).encode());
        let text = lent(&connection);
        let tells = text.windows(8).any(|window| window == b"Identity");
        let expected = ["REQ", "DEALER", "ROUTER"].contains(&kind.as_str());
        assert_eq!(tells, expected, "{kind}");
    }
}

#[test]
fn messages_sent_before_the_handshake_go_out_after_it_in_order() {
    // ZMTP-37
    let mut one = Connection::new(START, dealer(b""));
    let mut other = Connection::new(START, router());
    for n in 0..10_u8 {
        one.send(Frames::from(vec![n; usize::from(n)])).unwrap();
    }
    one.send_with_head(b"head", &Frames::from("rest")).unwrap();
    assert_eq!(one.queued_messages(), 11);
    let waiting = (0..10).map(|n| n + 2).sum::<usize>() + 6 + 6;
    assert_eq!(one.queued_octets(), 64 + waiting);
    settle(START, &mut one, &mut other);
    assert_eq!((one.queued_octets(), one.queued_messages()), (0, 0));
    assert!(matches!(other.poll_event(), Some(Event::Ready { .. })));
    assert_eq!(other.pending_messages(), 11);
    for n in 0..10_u8 {
        let expected = Frames::from(vec![n; usize::from(n)]);
        assert_eq!(other.poll_event(), Some(Event::Message(expected)));
    }
    let expected = Frames::from_iter(["head", "rest"]);
    assert_eq!(other.poll_event(), Some(Event::Message(expected)));
    assert_eq!(other.pending_octets(), 0);
}

#[test]
fn a_peer_of_version_3_0_is_served() {
    // ZMTP-3
    let mut connection = Connection::new(START, router());
    let greeting = Greeting {
        version: Version::V3_0,
        ..Greeting::new(MechanismName::NULL)
    };
    connection.handle_input(START, &greeting.encode());
    connection.handle_input(START, &ready("DEALER"));
    assert!(matches!(
        connection.poll_event(),
        Some(Event::Ready {
            version: Version::V3_0,
            ..
        })
    ));
}

#[test]
fn a_higher_version_and_whatever_is_in_padding_as_server_and_filler_are_accepted() {
    // ZMTP-2, ZMTP-3
    let mut octets = Greeting::new(MechanismName::NULL).encode();
    octets[1..9].copy_from_slice(&18_u64.to_be_bytes());
    octets[10] = 4;
    octets[11] = 7;
    octets[32..].fill(0xa5);
    assert_eq!(fate(&octets), None);
}

#[test]
fn older_revisions_are_told_apart_without_waiting_for_64_octets() {
    // ZMTP-4
    let revision = |revision| Some(Error::Incompatible(Incompatible::Revision(revision)));
    // ZMTP 1.0: a short frame with an identity; a long one.
    assert_eq!(fate(&[0x01]), revision(Revision::Unversioned));
    let long = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    assert_eq!(fate(&long), revision(Revision::Unversioned));
    let signature = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f];
    assert_eq!(fate(&signature), None);
    for major in 0..3 {
        let octets = [&signature[..], &[major]].concat();
        assert_eq!(fate(&octets), revision(Revision::Major(major)));
    }
    assert_eq!(fate(b"GET / HTTP/1.1\r\n"), revision(Revision::Unversioned));
}

#[test]
fn a_signature_of_no_revision_is_malformed() {
    // ZMTP-5
    let octets = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7d];
    assert!(
        matches!(fate(&octets), Some(Error::Malformed(error)) if error.field == "greeting.signature")
    );
}

#[test]
fn a_mechanism_that_differs_in_any_of_its_20_octets_is_incompatible() {
    // ZMTP-6
    for mechanism in [MechanismName::PLAIN, MechanismName::CURVE] {
        let error = fate(&Greeting::new(mechanism).encode());
        assert_eq!(
            error,
            Some(Error::Incompatible(Incompatible::Mechanism {
                ours: MechanismName::NULL,
                theirs: mechanism,
            }))
        );
    }
    for at in 12..32 {
        let mut octets = Greeting::new(MechanismName::NULL).encode();
        octets[at] ^= 1;
        let error = fate(&octets);
        assert!(
            matches!(
                error,
                Some(Error::Incompatible(Incompatible::Mechanism { .. }))
            ),
            "octet {at}"
        );
    }
}

#[test]
fn socket_types_that_do_not_go_together_are_refused_with_an_error_command() {
    // ZMTP-34
    let mut one = Connection::new(START, router());
    let mut other = Connection::new(START, Config::new(SocketType::Pub));
    settle(START, &mut one, &mut other);
    assert_eq!(
        drain(&mut one),
        [Event::Closed(Error::Incompatible(
            Incompatible::SocketTypes {
                ours: SocketType::Router,
                theirs: SocketType::Pub,
            }
        ))]
    );
    let mut tell = Connection::new(START, router());
    tell.handle_input(START, &[greeted(), ready("PUB")].concat());
    let error = command(&Command::Error(
        Text::try_from("Invalid socket type").unwrap(),
    ));
    assert!(lent(&tell).ends_with(&error));
}

#[test]
fn metadata_names_match_in_either_case_and_more_properties_are_tolerated() {
    // ZMTP-24
    let metadata = Metadata::new()
        .with("X-Build", b"1")
        .and_then(|metadata| metadata.with("sOCKET-tYPE", b"REQ"))
        .and_then(|metadata| metadata.with("IDENTITY", b"me"))
        .and_then(|metadata| metadata.with("Resource", b"a/b"))
        .unwrap();
    let mut connection = Connection::new(START, router());
    connection.handle_input(START, &greeted());
    connection.handle_input(START, &command(&Command::Ready(metadata)));
    let Some(Event::Ready {
        socket_type,
        identity,
        metadata,
        ..
    }) = connection.poll_event()
    else {
        panic!("not ready");
    };
    assert_eq!(socket_type, SocketType::Req);
    assert_eq!(identity.as_bytes(), b"me");
    assert_eq!(metadata.get("resource"), Some(b"a/b".as_slice()));
}

#[test]
fn ready_without_a_known_socket_type_is_malformed() {
    // ZMTP-20, ZMTP-23, ZMTP-33
    let fate = |command_body: &[u8]| {
        let frame = [
            &[4, u8::try_from(command_body.len()).unwrap()],
            command_body,
        ]
        .concat();
        fate(&[greeted(), frame].concat())
    };
    let field = |error: Option<Error>| match error {
        Some(Error::Malformed(malformed)) => malformed.field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(fate(b"\x05READY")), "READY.Socket-Type");
    let unknown = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06dealer";
    assert_eq!(field(fate(unknown)), "READY.Socket-Type");
    let no_name = b"\x05READY\x00\x00\x00\x00\x00";
    assert_eq!(field(fate(no_name)), "metadata.name");
    let huge_value = b"\x05READY\x0bSocket-Type\xff\xff\xff\xffDEALER";
    assert_eq!(field(fate(huge_value)), "metadata.value");
    let short_value = b"\x05READY\x0bSocket-Type\x00\x00\x00\x07DEALER";
    assert_eq!(field(fate(short_value)), "metadata.value");
    assert_eq!(field(fate(b"")), "command.name");
    assert_eq!(field(fate(b"\x00")), "command.name");
    assert_eq!(field(fate(b"\x06READY")), "command.name");
}

#[test]
fn an_identity_that_begins_with_zero_or_is_too_long_is_malformed() {
    // ZMTP-35
    for (identity, accepted) in [
        (vec![1; 255], true),
        (vec![1; 256], false),
        (vec![0, 1, 2, 3, 4], false),
        (vec![], true),
    ] {
        let metadata = Metadata::new()
            .with("Socket-Type", b"DEALER")
            .and_then(|metadata| metadata.with("Identity", &identity))
            .unwrap();
        let error = fate(&[greeted(), command(&Command::Ready(metadata))].concat());
        match error {
            None => assert!(accepted),
            Some(Error::Malformed(malformed)) => {
                assert!(!accepted);
                assert_eq!(malformed.field, "READY.Identity");
            }
            Some(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_but_ready_or_error_may_come_before_the_end_of_the_handshake() {
    // ZMTP-32
    let other = OtherCommand::new("HELLO", "").unwrap();
    for early in [
        command(&Command::Other(other)),
        command(&Command::Ping(atonce::wire::zmtp::Ping::default())),
        command(&Command::Subscribe("".into())),
        message(&["x"]),
        // READY in a message frame.
        wire(0, b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"),
    ] {
        let error = fate(&[greeted(), early].concat());
        assert!(matches!(
            error,
            Some(Error::Misbehaving(Misbehaving::Unexpected(_)))
        ));
    }
}

#[test]
fn a_large_message_is_refused_before_the_handshake_by_its_header_alone() {
    // ZMTP-32
    let header = [&[2][..], &(256_u64 << 20).to_be_bytes()].concat();
    let error = fate(&[greeted(), header].concat());
    assert!(matches!(
        error,
        Some(Error::Misbehaving(Misbehaving::Unexpected(_)))
    ));
}

#[test]
fn a_command_of_more_than_64_kib_is_refused_by_its_header_alone() {
    // ZMTP-62
    let at = |octets: u64| fate(&[greeted(), [&[6][..], &octets.to_be_bytes()].concat()].concat());
    assert_eq!(at(64 << 10), None);
    assert_eq!(
        at((64 << 10) + 1),
        Some(Error::Misbehaving(Misbehaving::Limit {
            limit: "command_octets",
            at_most: 64 << 10,
            found: (64 << 10) + 1,
        }))
    );
    assert!(at(0xffff_ffff).is_some());
}

#[test]
fn an_error_command_ends_the_handshake_and_its_reason_surfaces() {
    // ZMTP-36
    let reason = Text::try_from("400").unwrap();
    let refused = Error::Refused {
        reason: reason.clone(),
    };
    let error = command(&Command::Error(reason));
    assert_eq!(
        fate(&[greeted(), error.clone()].concat()),
        Some(refused.clone())
    );
    // Those that said READY eagerly may find out afterwards that they do not want us.
    let after = [greeted(), ready("DEALER"), error].concat();
    assert_eq!(fate(&after), Some(refused));
    let malformed = [greeted(), wire(4, b"\x05ERROR\x04400")].concat();
    assert!(
        matches!(fate(&malformed), Some(Error::Malformed(error)) if error.field == "ERROR.reason")
    );
}

#[test]
fn refusing_sends_the_reason_and_closes() {
    // ZMTP-73
    let mut one = Connection::new(START, router());
    let mut other = Connection::new(START, dealer(b""));
    carry(START, &mut other, &mut one);
    let reason = Text::try_from("full").unwrap();
    one.refuse(&reason);
    assert!(one.is_closed());
    assert_eq!(one.error(), None);
    assert_eq!(one.poll_event(), None);
    assert_eq!(one.poll_timeout(), None);
    assert_eq!(one.send(Frames::from("x")), Err(SendError::Closed));
    carry(START, &mut one, &mut other);
    assert_eq!(one.queued_octets(), 0);
    let events = drain(&mut other);
    assert_eq!(
        events.last(),
        Some(&Event::Closed(Error::Refused { reason }))
    );
}

#[test]
fn the_handshake_has_a_deadline() {
    // ZMTP-38
    let config = Config {
        handshake_timeout: Duration::from_secs(3),
        ..router()
    };
    let end = START + Duration::from_secs(3);
    let mut connection = Connection::new(START, config);
    assert_eq!(connection.poll_timeout(), Some((end, Timer::Handshake)));
    connection.handle_input(START, &greeted());
    assert_eq!(connection.poll_timeout(), Some((end, Timer::Handshake)));
    connection.handle_timeout(Instant::from_micros(end.as_micros() - 1));
    assert!(!connection.is_closed());
    connection.handle_timeout(end);
    assert_eq!(
        connection.poll_event(),
        Some(Event::Closed(Error::TimedOut(Timer::Handshake)))
    );
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn a_closed_connection_takes_nothing_and_sends_no_message() {
    // ZMTP-70
    let mut connection = Connection::new(START, router());
    connection
        .send(Frames::from("waits for the handshake"))
        .unwrap();
    connection.handle_input(START, &[greeted(), wire(8, b"")].concat());
    assert!(matches!(drain(&mut connection)[..], [Event::Closed(_)]));
    connection.handle_input(START, &[ready("DEALER"), message(&["x"])].concat());
    assert_eq!(connection.poll_event(), None);
    assert_eq!(connection.queued_messages(), 0);
    assert_eq!(connection.send(Frames::from("x")), Err(SendError::Closed));
    assert_eq!(
        connection.send_with_head(b"x", &Frames::new()),
        Err(SendError::Closed)
    );
    assert!(connection.receive_buffer().is_none());
}
