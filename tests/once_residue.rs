//! The secret of a network is not left behind in memory that was given back: every octet of it is looked at.
#![cfg(feature = "curve")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod residue_common;

use std::hint::black_box;

use atonce::once::session::{Config, Output, Sessions};
use atonce::once::{Limits, Mechanism, Role, Roles, Secret};
use atonce::wire::Headers;
use atonce::wire::once::Message;
use atonce::{Instant, Peer, PeerId};
use residue_common::found;

const NOW: Instant = Instant::ZERO;

/// Longer than a block of the hash in one case, so that it is hashed first.
fn wanted(octets: usize) -> &'static [residue_common::Secret] {
    let secret = residue_common::Secret {
        name: "the secret",
        octets: (1_u8..=255).cycle().take(octets).collect(),
    };
    vec![secret].leak()
}

fn side(octet: u8, role: Role, secret: &[u8]) -> (Sessions, Peer) {
    let mut headers = Headers::new();
    let roles = Roles {
        role,
        beacon: None,
        relay: false,
    };
    roles.put(&mut headers);
    let peer = Peer {
        id: PeerId::from_bytes([octet; 16]),
        name: "somebody".try_into().unwrap(),
        endpoint: "tcp://192.0.2.7:49152".try_into().unwrap(),
        headers,
    };
    let config = Config {
        id: peer.id,
        key: None,
        role,
        mechanisms: vec![Mechanism::Secret(Secret::new(secret).unwrap())],
        limits: Limits::default(),
    };
    (Sessions::new([octet; 32], config), peer)
}

/// A server and a bridge prove it to each other, and leave.
fn meet(secret: &[u8]) {
    let mut both = [side(1, Role::Server, secret), side(2, Role::Bridge, secret)];
    for me in [0, 1] {
        let other = both[1 - me].1.clone();
        both[me].0.handle_entered(NOW, &other, None);
    }
    for me in [0, 1, 0, 1] {
        while let Some((_, output)) = both[me].0.poll_output() {
            let Output::Send(message) = output else {
                continue;
            };
            let sender = both[me].1.clone();
            let content = Message::from(message).encode();
            both[1 - me].0.handle_whisper(NOW, &sender, None, content);
        }
    }
    for (sessions, _) in &mut both {
        assert_eq!(sessions.proved().count(), 1);
        let text = format!("{sessions:?} {:?}", sessions.config().mechanisms.clone());
        assert!(text.contains("Secret(..)"));
        sessions.stop(NOW);
    }
}

#[test]
fn no_secret_is_left_behind() {
    // ONCE-61
    for octets in [16, 64, 200] {
        let wanted = wanted(octets);
        let secret = &wanted[0].octets;
        assert_eq!(found(wanted, || meet(secret)), [""; 0], "{octets}");
        // One that has grown, and has more room than it takes.
        let left = found(wanted, || {
            let mut grown = Vec::with_capacity(4 * octets);
            grown.extend_from_slice(secret);
            drop(black_box(Secret::new(grown).unwrap()));
        });
        assert_eq!(left, [""; 0], "{octets}");
    }
}

#[test]
fn what_is_left_behind_is_seen() {
    let wanted = wanted(32);
    let left = found(wanted, || drop(black_box(wanted[0].octets.clone())));
    assert_eq!(left.len(), 1);
}
