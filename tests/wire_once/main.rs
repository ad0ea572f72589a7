//! The messages of @Once, octet by octet.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // clippy.toml allows them in tests, not in helpers

mod any;
mod carriage;
mod limits;
mod proofs;
mod relay;
mod values;

use std::collections::BTreeSet;
use std::net::IpAddr;

use atonce::wire::once::{
    Address, Authenticate, Challenge, Change, Code, Contact, Delta, Invitation, Limits, Message,
    Nope, Part, Peer, Proof, Reason, RelayRole, RemoteAgain, RemoteShout, RemoteWhisper, Roster,
    Target, Ticket, Undeliverable, Unknown, V1, V2,
};
use atonce::wire::{Expected, Found, Headers, LongText, Malformed, Text};
use atonce::{Frames, PeerId};

const A: PeerId = PeerId::from_bytes([0xA1; 16]);
const B: PeerId = PeerId::from_bytes([0xB2; 16]);

fn text(octets: impl AsRef<[u8]>) -> Text {
    Text::try_from(octets.as_ref()).unwrap()
}

fn long(octets: impl AsRef<[u8]>) -> LongText {
    LongText::try_from(octets.as_ref()).unwrap()
}

fn decode(frames: impl Into<Frames>) -> Result<Message, Malformed> {
    Message::decode(frames.into(), &Limits::default())
}

#[track_caller]
fn refused(frames: impl Into<Frames>, field: &'static str, expected: Expected, found: Found) {
    let error = Malformed::new(field, expected, found);
    assert_eq!(decode(frames), Err(error));
}

/// The first frame of a message of version 2.
fn head(id: u8, fields: &[&[u8]]) -> Vec<u8> {
    [&[0xAA, 0xA2, id, 2], &fields.concat()[..]].concat()
}

fn alice() -> Peer {
    Peer {
        uuid: A,
        name: text("alice"),
        endpoint: Some(text("tcp://10.0.0.7:49152")),
        key: Some([4; 32]),
        headers: Headers::from_iter([(text("X-ROOM"), long("kitchen")), (text("a"), long(""))]),
        groups: [text("CHAT"), text("G")].into(),
    }
}

fn bob() -> Peer {
    Peer {
        uuid: B,
        name: text("bob"),
        endpoint: None,
        key: None,
        headers: Headers::new(),
        groups: BTreeSet::new(),
    }
}

fn delta(change: Change) -> V2 {
    V2::Delta(Delta {
        epoch: 5,
        number: 9,
        change,
    })
}

fn contact(ip: Option<IpAddr>, key: Option<[u8; 32]>) -> Contact {
    Contact {
        uuid: B,
        name: text("office"),
        endpoint: text("tcp://192.0.2.7:49152"),
        beacon: ip.map(|ip| Address { ip, port: 5671 }),
        key,
    }
}

/// One message of each kind, with something in each field.
fn every() -> Vec<Message> {
    let proof = Proof::from_bytes([3; 32]);
    let contacts = vec![
        contact(Some([192, 0, 2, 7].into()), Some([4; 32])),
        contact(Some("2001:db8::7".parse().unwrap()), None),
        contact(None, None),
    ];
    let (uuid, group) = (A, text("CHAT"));
    let first = [
        V1::GetEndpoints,
        V1::ListEndpoints {
            endpoints: vec![text("10.0.0.7:5671"), text("10.0.0.6:5671"), text("")],
        },
    ];
    let second = [
        V2::Challenge(Challenge {
            mechanisms: vec![text("SECRET"), text("CURVE")],
            nonce: [1; 32],
        }),
        V2::Authenticate(Authenticate {
            mechanism: text("SECRET"),
            nonce: [2; 32],
            proof,
        }),
        V2::Ok {
            proof,
            seconds: 600,
        },
        V2::Nope(Nope {
            about: 0x11,
            code: Code::WRONG_PROOF,
            text: text("another secret"),
        }),
        V2::Stop { proof },
        V2::GetEndpoints,
        V2::ListEndpoints { contacts },
        V2::GetRoster { epoch: 5, from: 9 },
        V2::Roster(Roster {
            epoch: 5,
            number: 8,
            part: Part::new(1, 3).unwrap(),
            peers: vec![bob(), alice()],
        }),
        delta(Change::Enter(alice())),
        delta(Change::Exit { uuid }),
        delta(Change::Join {
            uuid,
            group: group.clone(),
        }),
        delta(Change::Leave {
            uuid,
            group: group.clone(),
        }),
        V2::RemoteWhisper(RemoteWhisper {
            epoch: 5,
            number: 1,
            from: A,
            to: B,
            content: Frames::from_iter(["one", "", "three"]),
        }),
        V2::RemoteShout(RemoteShout {
            epoch: 5,
            number: 2,
            from: A,
            group: group.clone(),
            to: vec![B, A],
            content: Frames::from("dinner"),
        }),
        V2::Undeliverable(Undeliverable {
            epoch: 5,
            number: 1,
            from: A,
            target: Target::Peer(B),
            reason: Reason::UNKNOWN,
        }),
        V2::Undeliverable(Undeliverable {
            epoch: 5,
            number: 2,
            from: A,
            target: Target::Group(group),
            reason: Reason::FULL,
        }),
        V2::RemoteAgain(RemoteAgain {
            epoch: 5,
            number: 3,
            of: 2,
            to: vec![B],
        }),
        V2::Relay { uuid: B },
        V2::Ticket(Invitation {
            uuid: B,
            role: RelayRole::Accept,
            endpoint: text("tcp://*:5673"),
            ticket: Ticket::from_bytes([3; 32]),
        }),
    ];
    let unknown = [(1, 6), (2, 0x60)].map(|(version, id)| Unknown::new(version, id).unwrap());
    let first = first.map(Message::from).into_iter();
    let second = second.map(Message::from).into_iter();
    let unknown = unknown.map(Message::Unknown).into_iter();
    first.chain(second).chain(unknown).collect()
}

fn is_unknown(message: &Message) -> bool {
    matches!(message, Message::Unknown(_))
}
