//! No secret of a CURVE connection is left behind in memory that was given back: every octet of it is looked at.
//!
//! It tells most where it is optimised: only there is a value that was moved out of left as it was. So `.ci/run` does both.
#![cfg(feature = "curve")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod residue_common;
mod zmtp_common;

use std::fs;
use std::hint::black_box;
use std::sync::Arc;

use atonce::curve::{KeyPair, SecretKey, Seed};
use atonce::wire::zmtp::SocketType;
use atonce::zmtp::{Config, Connection, Denial, Event, Security, Verdict};
use atonce::{Frames, Instant};
use residue_common::{Secret, found};
use salsa20::cipher::consts::U10;
use serde_json::Value;
use x25519_dalek::{PublicKey, StaticSecret};
use zmtp_common::{carry, drain, settle};

const NOW: Instant = Instant::from_millis(1_000);

const NAMES: [&str; 8] = [
    "client_secret",
    "server_secret",
    "client_seed",
    "server_seed",
    "client_transient_secret",
    "server_transient_secret",
    "cookie_key",
    "the key of the connection",
];

/// The secrets of the handshake in `spec/vectors/curve.json`, which seeds give.
fn secrets() -> &'static [Secret] {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/vectors/curve.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let vector = &file["handshakes"]["good"][0];
    let mut secrets = [[0; 32]; NAMES.len()];
    for (name, secret) in NAMES.iter().zip(&mut secrets).take(7) {
        let digits = vector[name].as_str().unwrap();
        for (at, octet) in secret.iter_mut().enumerate() {
            *octet = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
        }
    }
    let theirs = PublicKey::from(&StaticSecret::from(secrets[5]));
    let shared = StaticSecret::from(secrets[4]).diffie_hellman(&theirs);
    secrets[7] = salsa20::hsalsa::<U10>(shared.as_bytes().into(), &[0; 16].into()).into();
    let named = NAMES.iter().zip(secrets).map(|(name, secret)| Secret {
        name,
        octets: secret.to_vec(),
    });
    named.collect::<Vec<_>>().leak()
}

fn pair(secrets: &[Secret]) -> (Connection, Connection) {
    let octets = |at: usize| *secrets[at].octets.first_chunk().unwrap();
    let keys = |at| Arc::new(KeyPair::from_secret(SecretKey::from_bytes(octets(at))));
    let seed = |at| Seed::from_bytes(octets(at));
    let theirs = keys(1);
    let client = Config {
        security: Security::CurveClient {
            keys: keys(0),
            server: *theirs.public(),
            seed: seed(2),
        },
        ..Config::new(SocketType::Dealer)
    };
    let server = Config {
        security: Security::CurveServer {
            keys: theirs,
            seed: seed(3),
        },
        ..Config::new(SocketType::Router)
    };
    (Connection::new(NOW, client), Connection::new(NOW, server))
}

#[test]
fn what_lies_about_is_found() {
    let secrets = secrets();
    let all = found(secrets, || {
        for secret in secrets {
            drop(black_box(secret.octets.clone()));
            let mut grows = black_box(secret.octets[16..].to_vec());
            grows.reserve(1_000);
            grows.fill(0);
        }
    });
    assert_eq!(all.len(), NAMES.len());
    assert!(all.iter().all(|told| told.contains(": 2 times")), "{all:?}");
}

#[test]
fn a_connection_leaves_no_secret_behind() {
    let secrets = secrets();
    let found = found(secrets, || {
        let (mut client, mut server) = pair(secrets);
        settle(NOW, &mut client, &mut server);
        assert!(matches!(server.poll_event(), Some(Event::Authenticate(_))));
        server.handle_verdict(NOW, Verdict::Allow);
        settle(NOW, &mut client, &mut server);
        assert!(client.is_ready() && server.is_ready());
        client.send(Frames::from("hello")).unwrap();
        server.send(Frames::from("you too")).unwrap();
        settle(NOW, &mut client, &mut server);
        assert_eq!((drain(&mut client).len(), drain(&mut server).len()), (2, 2));
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nor_does_one_that_is_left_or_fails_half_way() {
    let secrets = secrets();
    for steps in 0..10 {
        for spoiled in [false, true] {
            let found = found(secrets, || {
                let (mut client, mut server) = pair(secrets);
                for step in 0..steps {
                    if step % 2 == 0 {
                        carry(NOW, &mut client, &mut server);
                    } else {
                        carry(NOW, &mut server, &mut client);
                    }
                    if let Some(Event::Authenticate(_)) = server.poll_event() {
                        let refused = Verdict::Deny(Denial::Refused);
                        server.handle_verdict(NOW, if spoiled { refused } else { Verdict::Allow });
                    }
                }
                if spoiled {
                    let nonsense = [4, 8, 5, b'H', b'E', b'L', b'L', b'O', 1, 1];
                    client.handle_input(NOW, &nonsense);
                    server.handle_input(NOW, &nonsense);
                }
            });
            assert!(found.is_empty(), "after {steps} steps: {found:#?}");
        }
    }
}
