//! CURVE between two connections, and with somebody on the way who changes, repeats or makes up what they say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![cfg(feature = "curve")]

mod tampering;
#[path = "../zmtp_common/mod.rs"]
mod zmtp_common;

use core::time::Duration;
use std::sync::Arc;

use atonce::curve::{KeyPair, PublicKey, Seed};
use atonce::wire::zmtp::{Greeting, Identity, SocketType};
use atonce::zmtp::{
    Config, Connection, Credentials, Denial, Error, Event, Heartbeat, Incompatible, Limits,
    Misbehaving, Security, SendError, Timer, Verdict,
};
use atonce::{Bytes, Frames, Instant, Text};
use zmtp_common::{carry, drain, lent, sent, settle, wire};

const START: Instant = Instant::from_millis(1_000);

fn keys(n: u8) -> Arc<KeyPair> {
    Arc::new(KeyPair::generate([n; 32]))
}

fn client_of(server: &PublicKey) -> Connection {
    client(server, 3)
}

/// A DEALER with the keys of seed 1.
fn client(server: &PublicKey, seed: u8) -> Connection {
    let config = Config {
        identity: Identity::try_from(b"\x01alice".as_slice()).unwrap(),
        security: Security::CurveClient {
            keys: keys(1),
            server: *server,
            seed: Seed::from_bytes([seed; 32]),
        },
        ..Config::new(SocketType::Dealer)
    };
    Connection::new(START, config)
}

/// A ROUTER with the keys of seed 2.
fn server() -> Connection {
    seeded_server(4)
}

fn seeded_server(seed: u8) -> Connection {
    let config = Config {
        security: Security::CurveServer {
            keys: keys(2),
            seed: Seed::from_bytes([seed; 32]),
        },
        ..Config::new(SocketType::Router)
    };
    Connection::new(START, config)
}

fn pair() -> (Connection, Connection) {
    (client_of(keys(2).public()), server())
}

/// The question for the client with the keys of seed 1, which is answered.
fn answer(server: &mut Connection, verdict: Verdict) {
    let question = Event::Authenticate(Credentials::Curve(*keys(1).public()));
    assert_eq!(server.poll_event(), Some(question));
    server.handle_verdict(START, verdict);
}

/// Two that are ready, their events taken.
fn ready_pair() -> (Connection, Connection) {
    let (mut client, mut server) = pair();
    settle(START, &mut client, &mut server);
    answer(&mut server, Verdict::Allow);
    settle(START, &mut client, &mut server);
    assert!(client.is_ready() && server.is_ready());
    drain(&mut client);
    drain(&mut server);
    (client, server)
}

#[test]
fn subscriptions_are_sealed_as_commands_and_as_messages() {
    // ZMTP-45, ZMTP-87
    for minor in [0, 1] {
        let config = |socket_type, security| Config {
            security,
            ..Config::new(socket_type)
        };
        let client = Security::CurveClient {
            keys: keys(1),
            server: *keys(2).public(),
            seed: Seed::from_bytes([3; 32]),
        };
        let server = Security::CurveServer {
            keys: keys(2),
            seed: Seed::from_bytes([4; 32]),
        };
        let mut client = Connection::new(START, config(SocketType::Sub, client));
        let mut server = Connection::new(START, config(SocketType::Pub, server));
        let mut greeting = sent(START, &mut server);
        greeting[11] = minor;
        client.handle_input(START, &greeting);
        settle(START, &mut client, &mut server);
        answer(&mut server, Verdict::Allow);
        settle(START, &mut client, &mut server);
        drain(&mut server);
        client.subscribe(b"a");
        client.cancel(b"b");
        settle(START, &mut client, &mut server);
        let expected = if minor == 0 {
            [b"\x01a", b"\x00b"].map(|body| Event::Message(Frames::from(body)))
        } else {
            [Event::Subscribe("a".into()), Event::Cancel("b".into())]
        };
        assert_eq!(drain(&mut server), expected);
    }
}

#[test]
fn both_prove_their_keys_and_learn_who_the_other_is() {
    // ZMTP-80, ZMTP-81, ZMTP-83, ZMTP-85
    let (mut client, mut server) = pair();
    client.send(Frames::from("before")).unwrap();
    settle(START, &mut client, &mut server);
    assert!(!client.is_ready() && !server.is_ready());
    answer(&mut server, Verdict::Allow);
    settle(START, &mut client, &mut server);
    match server.poll_event() {
        Some(Event::Ready {
            socket_type,
            identity,
            ..
        }) => {
            assert_eq!(socket_type, SocketType::Dealer);
            assert_eq!(identity.as_bytes(), b"\x01alice");
            assert_eq!(server.key(), Some(*keys(1).public()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        server.poll_event(),
        Some(Event::Message(Frames::from("before")))
    );
    assert!(matches!(
        client.poll_event(),
        Some(Event::Ready {
            socket_type: SocketType::Router,
            ..
        })
    ));
    assert_eq!(client.key(), Some(*keys(2).public()));
    assert!(client.is_idle() && server.is_idle());
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn the_greeting_says_who_is_the_server() {
    let (client, server) = pair();
    let as_server = |connection: &Connection| {
        let octets = lent(connection);
        match Greeting::decode(&octets) {
            Ok(atonce::wire::zmtp::Decoded::Complete { value, .. }) => value.as_server,
            other => panic!("{other:?}"),
        }
    };
    assert!(!as_server(&client) && as_server(&server));
}

#[test]
fn messages_of_all_sizes_go_both_ways_and_nothing_of_them_can_be_seen() {
    // ZMTP-86, ZMTP-88
    let (mut client, mut server) = ready_pair();
    for octets in [0, 1, 15, 255, 256, 1_024, 1_025, 70_000, 3 << 20] {
        let frame: Vec<u8> = b"plain text "
            .iter()
            .cycle()
            .take(octets)
            .copied()
            .collect();
        let content: Frames = [frame.clone(), vec![], frame]
            .into_iter()
            .map(Bytes::from)
            .collect();
        for _ in 0..2 {
            let (from, to) = (&mut client, &mut server);
            from.send(content.clone()).unwrap();
            from.send_with_head(b"plain text", &content).unwrap();
            let wire = sent(START, from);
            assert!(!wire.windows(10).any(|some| some == b"plain text"));
            to.handle_input(START, &wire);
            let mut with_head = content.clone();
            with_head.push_front(Bytes::from("plain text"));
            assert_eq!(
                drain(to),
                [Event::Message(content.clone()), Event::Message(with_head)]
            );
            core::mem::swap(&mut client, &mut server);
        }
    }
}

#[test]
fn large_messages_are_opened_where_they_were_read() {
    let (mut client, mut server) = ready_pair();
    client.send(Frames::from(vec![7; 1 << 20])).unwrap();
    let wire = sent(START, &mut client);
    let (first, mut rest) = wire.split_at(1_000);
    server.handle_input(START, first);
    let mut lent_at = None;
    while !rest.is_empty() {
        use bytes::BufMut;
        let mut buffer = server.receive_buffer().unwrap();
        lent_at.get_or_insert(buffer.get_ref().as_ptr() as usize);
        let n = rest.len().min(buffer.remaining_mut());
        buffer.put_slice(&rest[..n]);
        rest = &rest[n..];
        server.handle_filled(START);
    }
    match drain(&mut server).as_slice() {
        [Event::Message(frames)] => {
            assert_eq!(frames.octets(), 1 << 20);
            // MESSAGE, the nonce, what proves it, the flags.
            assert_eq!(frames[0].as_ptr() as usize, lent_at.unwrap() + 33);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn octets_may_be_cut_anywhere() {
    let (mut client, mut server) = pair();
    let one_by_one = |from: &mut Connection, to: &mut Connection| {
        for octet in sent(START, from) {
            to.handle_input(START, &[octet]);
        }
    };
    client.send(Frames::from("hello")).unwrap();
    for _ in 0..3 {
        one_by_one(&mut client, &mut server);
        if let Some(Event::Authenticate(_)) = server.poll_event() {
            server.handle_verdict(START, Verdict::Allow);
        }
        one_by_one(&mut server, &mut client);
    }
    one_by_one(&mut client, &mut server);
    assert!(matches!(
        drain(&mut server).as_slice(),
        [Event::Ready { .. }, Event::Message(frames)] if *frames == Frames::from("hello")
    ));
}

#[test]
fn heartbeats_are_sealed_as_well() {
    let configured = |config: Config| Config {
        heartbeat: Some(Heartbeat::every(Duration::from_secs(1))),
        ..config
    };
    let mut client = Connection::new(
        START,
        configured(Config {
            security: Security::CurveClient {
                keys: keys(1),
                server: *keys(2).public(),
                seed: Seed::from_bytes([3; 32]),
            },
            ..Config::new(SocketType::Dealer)
        }),
    );
    let mut server = server();
    settle(START, &mut client, &mut server);
    answer(&mut server, Verdict::Allow);
    settle(START, &mut client, &mut server);
    drain(&mut client);
    for _ in 0..5 {
        let (now, timer) = client.poll_timeout().unwrap();
        assert_eq!(timer, Timer::Ping);
        client.handle_timeout(now);
        let wire = lent(&client);
        assert!(!wire.is_empty() && !wire.windows(4).any(|some| some == b"PING"));
        settle(now, &mut client, &mut server);
        assert_eq!(client.poll_timeout().unwrap().1, Timer::Ping);
    }
    assert!(client.is_ready() && server.is_ready());
    // And without an answer it is dead.
    for _ in 0..2 {
        let (now, _) = client.poll_timeout().unwrap();
        client.handle_timeout(now);
    }
    assert_eq!(client.error(), Some(&Error::TimedOut(Timer::Pong)));
}

#[test]
fn a_server_with_another_key_does_not_get_to_know_the_client() {
    // ZMTP-81
    let mut client = client_of(keys(9).public());
    let mut server = server();
    carry(START, &mut client, &mut server);
    carry(START, &mut server, &mut client);
    // HELLO is all that was said.
    carry(START, &mut client, &mut server);
    assert_eq!(server.error(), Some(&Error::Unproved { command: "HELLO" }));
    assert_eq!(drain(&mut server).len(), 1);
    // And from one that makes it up:
    let mut client = client_of(keys(9).public());
    client.handle_input(START, &sent(START, &mut seeded_server(5)));
    sent(START, &mut client);
    let mut wrong = b"\x07WELCOME".to_vec();
    wrong.extend([5; 160]);
    client.handle_input(START, &wire(4, &wrong));
    assert_eq!(
        client.error(),
        Some(&Error::Unproved { command: "WELCOME" })
    );
    assert!(lent(&client).is_empty());
}

#[test]
fn who_is_denied_is_told_or_not_as_the_reason_is() {
    // ZMTP-85
    for (denial, reason) in [
        (Denial::Refused, Some("400")),
        (Denial::Internal, Some("500")),
        (Denial::Temporary, None),
    ] {
        let (mut client, mut server) = pair();
        settle(START, &mut client, &mut server);
        answer(&mut server, Verdict::Deny(denial));
        assert!(server.is_closed());
        assert_eq!(server.error(), None);
        settle(START, &mut client, &mut server);
        assert_eq!(drain(&mut server), []);
        match reason {
            Some(reason) => assert_eq!(
                client.error(),
                Some(&Error::Refused {
                    reason: Text::try_from(reason).unwrap()
                })
            ),
            None => assert!(client.error().is_none() && !client.is_ready()),
        }
        // An answer that comes again, or late, changes nothing.
        server.handle_verdict(START, Verdict::Allow);
        assert!(server.is_closed() && lent(&server).is_empty());
    }
}

#[test]
fn an_answer_to_no_question_does_nothing() {
    let (mut client, mut server) = pair();
    for verdict in [Verdict::Allow, Verdict::Deny(Denial::Refused)] {
        client.handle_verdict(START, verdict.clone());
        server.handle_verdict(START, verdict);
    }
    settle(START, &mut client, &mut server);
    answer(&mut server, Verdict::Allow);
    server.handle_verdict(START, Verdict::Deny(Denial::Refused));
    settle(START, &mut client, &mut server);
    assert!(client.is_ready() && server.is_ready());
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    let (mut client, mut server) = pair();
    settle(START, &mut client, &mut server);
    let (end, timer) = server.poll_timeout().unwrap();
    assert_eq!(
        (end, timer),
        (START + Duration::from_secs(30), Timer::Handshake)
    );
    server.handle_timeout(end);
    assert_eq!(server.error(), Some(&Error::TimedOut(Timer::Handshake)));
    server.handle_verdict(end, Verdict::Allow);
    assert!(server.is_closed() && lent(&server).is_empty());
}

#[test]
fn keys_that_nobody_can_have_are_refused() {
    // ZMTP-84
    let mut one = [0; 32];
    one[0] = 1;
    for octets in [[0; 32], one] {
        let nobody = PublicKey::from_bytes(octets);
        let mut client = client_of(&nobody);
        carry(START, &mut server(), &mut client);
        assert_eq!(
            client.error(),
            Some(&Error::Incompatible(Incompatible::Key))
        );
        // In HELLO.
        let (mut client, mut server) = pair();
        carry(START, &mut server, &mut client);
        let mut octets_of_hello = sent(START, &mut client);
        octets_of_hello[64 + 2 + 80..][..32].copy_from_slice(&octets);
        server.handle_input(START, &octets_of_hello);
        assert_eq!(server.error(), Some(&Error::Unproved { command: "HELLO" }));
    }
}

#[test]
fn what_is_not_sealed_is_refused() {
    // ZMTP-87
    let (_, mut server) = ready_pair();
    server.handle_input(START, &wire(0, b"in clear"));
    assert!(matches!(server.error(), Some(Error::Malformed(_))));
    let (_, mut server) = ready_pair();
    server.handle_input(START, &wire(4, b"\x04PING\0\0"));
    assert!(matches!(server.error(), Some(Error::Malformed(_))));
    let (mut client, mut server) = ready_pair();
    client.send(Frames::from("sealed")).unwrap();
    let mut octets = sent(START, &mut client);
    octets[0] |= 1;
    server.handle_input(START, &octets);
    assert!(matches!(
        server.error(),
        Some(Error::Misbehaving(Misbehaving::Unexpected(_)))
    ));
}

#[test]
fn limits_are_those_of_what_is_sealed() {
    let limits = Limits {
        frame_octets: 1_000,
        message_octets: 1_500,
        message_frames: 3,
        command_octets: 400,
    };
    let fate = |frames: &[usize]| {
        let (mut client, mut server) = ready_pair();
        server.set_limits(limits);
        let frames: Frames = frames
            .iter()
            .map(|&octets| Bytes::from(vec![7; octets]))
            .collect();
        client.send(frames).unwrap();
        carry(START, &mut client, &mut server);
        server.error().cloned()
    };
    assert_eq!(fate(&[1_000]), None);
    assert_eq!(fate(&[1_000, 500]), None);
    assert_eq!(fate(&[1, 1, 1]), None);
    for (frames, limit) in [
        (&[1_001][..], "frame_octets"),
        (&[1_000, 501], "message_octets"),
        (&[1, 1, 1, 1], "message_frames"),
    ] {
        assert!(
            matches!(fate(frames), Some(Error::Misbehaving(Misbehaving::Limit { limit: found, .. })) if found == limit),
            "{frames:?}"
        );
    }
}

#[test]
fn two_clients_and_two_servers_have_nothing_to_say_to_each_other() {
    let mut one = client(keys(2).public(), 3);
    let mut other = client(keys(2).public(), 5);
    settle(START, &mut one, &mut other);
    assert!(one.is_closed() && other.is_closed());
    let (mut one, mut other) = (seeded_server(3), seeded_server(5));
    settle(START, &mut one, &mut other);
    assert!(!one.is_ready() && !other.is_ready());
    one.handle_timeout(START + Duration::from_secs(30));
    assert_eq!(one.error(), Some(&Error::TimedOut(Timer::Handshake)));
}

#[test]
fn who_wants_another_mechanism_is_told_apart() {
    let (mut client, _) = pair();
    let mut other = Connection::new(START, Config::new(SocketType::Router));
    settle(START, &mut client, &mut other);
    for connection in [client, other] {
        assert!(matches!(
            connection.error(),
            Some(Error::Incompatible(Incompatible::Mechanism { .. }))
        ));
    }
}

#[test]
fn secrets_show_nowhere() {
    let (mut client, mut server) = pair();
    let secrets = [keys(1), keys(2)].map(|keys| format!("{:?}", keys.secret().as_bytes()));
    let shows = |connection: &Connection| {
        let debug = format!("{connection:?}");
        let inner = |secret: &String| secret.trim_matches(['[', ']']).to_owned();
        secrets.iter().any(|secret| debug.contains(&inner(secret)))
            || debug.contains("3, 3, 3, 3")
            || debug.contains("4, 4, 4, 4")
    };
    assert!(!shows(&client) && !shows(&server));
    settle(START, &mut client, &mut server);
    assert!(!shows(&client) && !shows(&server));
    answer(&mut server, Verdict::Allow);
    settle(START, &mut client, &mut server);
    assert!(!shows(&client) && !shows(&server));
}

#[test]
fn a_closed_connection_sends_nothing() {
    let (mut client, mut server) = pair();
    settle(START, &mut client, &mut server);
    answer(&mut server, Verdict::Deny(Denial::Refused));
    settle(START, &mut client, &mut server);
    assert_eq!(client.send(Frames::from("x")), Err(SendError::Closed));
}
