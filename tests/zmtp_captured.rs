//! Greetings and READY commands captured from real peers: we take them, and say the same.
#![allow(clippy::unwrap_used, clippy::panic)]

mod zmtp_common;

use atonce::wire::zmtp::{Identity, SocketType};
use atonce::zmtp::{Config, Connection, Event};
use atonce::{Instant, PeerId};
use zmtp_common::sent;

const START: Instant = Instant::from_millis(1_000);

const PEERS: [(&str, &str); 4] = [
    ("zyre", include_str!("../spec/vectors/captured/zyre.json")),
    ("pyre", include_str!("../spec/vectors/captured/pyre.json")),
    (
        "zyre.js",
        include_str!("../spec/vectors/captured/zyrejs.json"),
    ),
    (
        "ingescape",
        include_str!("../spec/vectors/captured/ingescape.json"),
    ),
];

/// The octets of the vector of this name.
fn vector(file: &str, name: &str) -> Vec<u8> {
    let (_, after) = file.split_once(&format!("\"name\": \"{name}\"")).unwrap();
    let (_, after) = after.split_once("\"hex\": \"").unwrap();
    let (hex, _) = after.split_once('"').unwrap();
    let digits = hex.chars().map(|digit| digit.to_digit(16).unwrap());
    let digits = digits.collect::<Vec<_>>();
    let octet = |pair: &[u32]| u8::try_from(pair.iter().fold(0, |n, d| n * 16 + d)).unwrap();
    digits.chunks(2).map(octet).collect()
}

#[test]
fn the_mailboxes_of_real_peers_are_talked_to() {
    for (peer, file) in PEERS {
        let mut connection = Connection::new(START, Config::new(SocketType::Dealer));
        connection.handle_input(START, &vector(file, "zmtp-greeting-router"));
        connection.handle_input(START, &vector(file, "zmtp-ready-router"));
        assert!(
            matches!(
                connection.poll_event(),
                Some(Event::Ready { socket_type: SocketType::Router, identity, .. })
                    if identity.is_empty()
            ),
            "{peer}: {:?}",
            connection.error()
        );
    }
}

#[test]
fn the_dealers_of_real_peers_are_let_in_and_tell_their_uuid() {
    // ZRE-18
    for (peer, file) in PEERS {
        let mut connection = Connection::new(START, Config::new(SocketType::Router));
        connection.handle_input(START, &vector(file, "zmtp-greeting-dealer"));
        connection.handle_input(START, &vector(file, "zmtp-ready-dealer"));
        let Some(Event::Ready {
            socket_type,
            identity,
            ..
        }) = connection.poll_event()
        else {
            panic!("{peer}: {:?}", connection.error());
        };
        assert_eq!(socket_type, SocketType::Dealer, "{peer}");
        assert!(PeerId::from_identity(&identity).is_some(), "{peer}");
    }
}

#[test]
fn our_ready_is_octet_by_octet_what_real_peers_send() {
    // ZMTP-1, ZMTP-31
    for (peer, file) in PEERS {
        for (role, socket_type) in [
            ("router", SocketType::Router),
            ("dealer", SocketType::Dealer),
        ] {
            let greeting = vector(file, &format!("zmtp-greeting-{role}"));
            let ready = vector(file, &format!("zmtp-ready-{role}"));
            let identity = match socket_type {
                SocketType::Dealer => {
                    Identity::try_from(ready.last_chunk::<17>().unwrap().as_slice())
                }
                _ => Ok(Identity::default()),
            };
            let config = Config {
                identity: identity.unwrap(),
                ..Config::new(socket_type)
            };
            let mut connection = Connection::new(START, config);
            let ours = sent(START, &mut connection);
            // But for the padding, which means nothing.
            assert_eq!(ours.get(9..), greeting.get(9..), "{peer} {role}");
            connection.handle_input(START, &greeting);
            assert_eq!(sent(START, &mut connection), ready, "{peer} {role}");
        }
    }
}
