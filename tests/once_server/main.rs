//! Sessions and servers: who may take part in @Once, and whom they are told of.

#![cfg(feature = "curve")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop
#![allow(clippy::needless_pass_by_value)] // as it is easier to call

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod leading;
mod pair;
mod proofs;
mod refusals;
mod roles;
mod server;
mod stacks;
mod table;
mod time;

use std::time::Duration;

use atonce::curve::{KeyPair, PublicKey};
use atonce::once::{Mechanism, Role, Roles, Secret};
use atonce::wire::once::{
    Authenticate, Challenge, Code, Exchange, Limits, Message, Party, Proof, V2,
};
use atonce::wire::{Headers, LongText};
use atonce::{Frames, Peer, PeerId, Text};
use sha2::{Digest, Sha256};

const ZEROS: Proof = Proof::from_bytes([0; 32]);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

fn public(octet: u8) -> PublicKey {
    *KeyPair::generate([octet; 32]).public()
}

fn secret(octets: &str) -> Mechanism {
    Mechanism::Secret(Secret::new(octets).unwrap())
}

fn listed<const N: usize>(octets: [u8; N]) -> Mechanism {
    Mechanism::Keys(octets.map(public).into())
}

/// A peer whose header `X-ONCE` has this value.
fn peer_saying(octet: u8, header: Option<&str>) -> Peer {
    let mut headers = Headers::new();
    if let Some(value) = header {
        headers.insert(text("X-ONCE"), LongText::try_from(value).unwrap());
    }
    Peer {
        id: id(octet),
        name: text(&format!("peer {octet}")),
        endpoint: text(&format!("tcp://192.0.2.{octet}:49152")),
        headers,
    }
}

fn peer(octet: u8, role: Role) -> Peer {
    let mut peer = peer_saying(octet, None);
    let roles = Roles {
        role,
        beacon: None,
        relay: false,
    };
    roles.put(&mut peer.headers);
    peer
}

fn content(message: impl Into<Message>) -> Frames {
    message.into().encode()
}

fn decoded(content: Frames) -> Message {
    Message::decode(content, &Limits::default()).unwrap()
}

/// HMAC-SHA256 as RFC 2104 has it, with nothing of what is tested.
fn hmac(key: &[u8], text: &[u8]) -> Proof {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|octet| octet ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(pad(0x5C));
    Proof::from_bytes(outer.chain_update(inner.finalize()).finalize().into())
}

fn party(octet: u8, key: Option<PublicKey>) -> Party {
    Party {
        uuid: id(octet),
        key: key.map(|key| *key.as_bytes()),
    }
}

/// What a message is, without what is random in it.
fn short(message: &V2) -> String {
    match message {
        V2::Nope(nope) => format!("NOPE {} about {:02X}", nope.code.0, nope.about),
        V2::Challenge(challenge) => format!("CHALLENGE {:?}", challenge.mechanisms),
        V2::Authenticate(said) => format!("AUTHENTICATE {}", said.mechanism),
        V2::Ok { seconds, .. } => format!("OK {seconds}"),
        other => other.name().into(),
    }
}
