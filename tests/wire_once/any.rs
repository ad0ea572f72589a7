//! Any message: what comes back, and what does not.

use std::net::IpAddr;

use atonce::wire::Text;
use atonce::wire::once::{
    Address, Authenticate, Challenge, Change, Code, Contact, Delta, Invitation, Message, Nope,
    Part, Peer, Proof, Reason, RelayRole, RemoteAgain, RemoteShout, RemoteWhisper, Roster, Target,
    Ticket, Undeliverable, Unknown, V1, V2,
};
use atonce::{Bytes, Frames, PeerId};
use proptest::prelude::*;

use crate::{decode, delta, is_unknown, long, text};

fn any_octets(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

fn any_text() -> impl Strategy<Value = Text> {
    prop_oneof![9 => any_octets(8), 1 => any_octets(255)].prop_map(text)
}

fn any_id() -> impl Strategy<Value = PeerId> {
    any::<[u8; 16]>().prop_map(PeerId::from_bytes)
}

fn any_receivers() -> impl Strategy<Value = Vec<PeerId>> {
    prop::collection::vec(any_id(), 0..5)
}

fn any_content() -> impl Strategy<Value = Frames> {
    prop::collection::vec(any_octets(30), 0..5).prop_map(Frames::from_iter)
}

fn any_peer() -> impl Strategy<Value = Peer> {
    let header = (any_text(), any_octets(300).prop_map(long));
    (
        any_id(),
        any_text(),
        prop::option::of(any_text()),
        any::<Option<[u8; 32]>>(),
        prop::collection::vec(header, 0..4),
        prop::collection::btree_set(any_text(), 0..4),
    )
        .prop_map(|(uuid, name, endpoint, key, headers, groups)| Peer {
            uuid,
            name,
            endpoint,
            key,
            headers: headers.into_iter().collect(),
            groups,
        })
}

fn any_contact() -> impl Strategy<Value = Contact> {
    let beacon = (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| Address { ip, port });
    (
        any_id(),
        any_text(),
        any_text(),
        prop::option::of(beacon),
        any::<Option<[u8; 32]>>(),
    )
        .prop_map(|(uuid, name, endpoint, beacon, key)| Contact {
            uuid,
            name,
            endpoint,
            beacon,
            key,
        })
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any_peer().prop_map(Change::Enter),
        any_id().prop_map(|uuid| Change::Exit { uuid }),
        (any_id(), any_text()).prop_map(|(uuid, group)| Change::Join { uuid, group }),
        (any_id(), any_text()).prop_map(|(uuid, group)| Change::Leave { uuid, group }),
    ]
}

fn any_session() -> impl Strategy<Value = V2> {
    let proof = || any::<[u8; 32]>().prop_map(Proof::from_bytes);
    let nonce = any::<[u8; 32]>;
    prop_oneof![
        (prop::collection::vec(any_text(), 0..5), nonce())
            .prop_map(|(mechanisms, nonce)| V2::Challenge(Challenge { mechanisms, nonce })),
        (any_text(), nonce(), proof()).prop_map(|(mechanism, nonce, proof)| V2::Authenticate(
            Authenticate {
                mechanism,
                nonce,
                proof
            }
        )),
        (proof(), any::<u32>()).prop_map(|(proof, seconds)| V2::Ok { proof, seconds }),
        (any::<u8>(), any::<u16>(), any_text()).prop_map(|(about, code, text)| V2::Nope(Nope {
            about,
            code: Code(code),
            text
        })),
        proof().prop_map(|proof| V2::Stop { proof }),
    ]
}

fn any_roster() -> impl Strategy<Value = V2> {
    let part = (1..=4_096_u16).prop_flat_map(|count| (0..count, Just(count)));
    let peers = prop::collection::vec(any_peer(), 0..4);
    (any::<[u64; 2]>(), part, peers).prop_map(|([epoch, number], (index, count), peers)| {
        V2::Roster(Roster {
            epoch,
            number,
            part: Part::new(index, count).unwrap(),
            peers,
        })
    })
}

fn any_remote() -> impl Strategy<Value = V2> {
    let numbers = any::<[u64; 2]>;
    let target = prop_oneof![
        any_id().prop_map(Target::Peer),
        any_text().prop_map(Target::Group)
    ];
    prop_oneof![
        (numbers(), any_id(), any_id(), any_content()).prop_map(
            |([epoch, number], from, to, content)| V2::RemoteWhisper(RemoteWhisper {
                epoch,
                number,
                from,
                to,
                content
            })
        ),
        (
            numbers(),
            any_id(),
            any_text(),
            any_receivers(),
            any_content()
        )
            .prop_map(
                |([epoch, number], from, group, to, content)| V2::RemoteShout(RemoteShout {
                    epoch,
                    number,
                    from,
                    group,
                    to,
                    content
                })
            ),
        (numbers(), any::<u64>(), any_receivers()).prop_map(|([epoch, number], of, to)| {
            V2::RemoteAgain(RemoteAgain {
                epoch,
                number,
                of,
                to,
            })
        }),
        (numbers(), any_id(), target, any::<u8>()).prop_map(
            |([epoch, number], from, target, reason)| V2::Undeliverable(Undeliverable {
                epoch,
                number,
                from,
                target,
                reason: Reason(reason)
            })
        ),
    ]
}

fn any_relay() -> impl Strategy<Value = V2> {
    let role = prop_oneof![Just(RelayRole::Dial), Just(RelayRole::Accept)];
    prop_oneof![
        any_id().prop_map(|uuid| V2::Relay { uuid }),
        (any_id(), role, any_text(), any::<[u8; 32]>()).prop_map(
            |(uuid, role, endpoint, ticket)| V2::Ticket(Invitation {
                uuid,
                role,
                endpoint,
                ticket: Ticket::from_bytes(ticket)
            })
        ),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        1 => Just(Message::from(V1::GetEndpoints)),
        1 => prop::collection::vec(any_text(), 0..5)
            .prop_map(|endpoints| Message::from(V1::ListEndpoints { endpoints })),
        4 => any_session().prop_map(Message::from),
        1 => Just(Message::from(V2::GetEndpoints)),
        2 => prop::collection::vec(any_contact(), 0..4)
            .prop_map(|contacts| Message::from(V2::ListEndpoints { contacts })),
        1 => any::<[u64; 2]>().prop_map(|[epoch, from]| Message::from(V2::GetRoster { epoch, from })),
        2 => any_roster().prop_map(Message::from),
        4 => (any::<[u64; 2]>(), any_change()).prop_map(|([epoch, number], change)| {
            Message::from(V2::Delta(Delta { epoch, number, change }))
        }),
        4 => any_remote().prop_map(Message::from),
        2 => any_relay().prop_map(Message::from),
        1 => (1..3_u8, 0x52..=255_u8)
            .prop_map(|(version, id)| Message::Unknown(Unknown::new(version, id).unwrap())),
    ]
}

proptest! {
    #[test]
    fn any_message_comes_back(message in any_message()) {
        let frames = message.encode();
        prop_assert_eq!(frames.octets(), message.octets());
        prop_assert_eq!(decode(frames), Ok(message));
    }

    #[test]
    fn no_message_that_is_cut_decodes(message in any_message()) {
        // ONCE-3
        let frames = message.encode();
        for cut in 0..frames[0].len() {
            let mut cut_frames = Frames::from(frames[0].slice(..cut));
            cut_frames.extend(frames[1..].iter().cloned());
            prop_assert!(decode(cut_frames).is_err(), "cut at {}", cut);
        }
    }

    /// Whatever is sent: it is refused, or it is what its octets say, but for groups and headers in another order.
    #[test]
    fn what_is_read_is_written_the_same(
        message in any_message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        // ONCE-31, ONCE-32
        let mut frames: Vec<Bytes> = message.encode().into_iter().collect();
        let mut octets = frames[0].to_vec();
        for (at, octet) in changes {
            *at.get_mut(&mut octets) = octet;
        }
        frames[0] = octets.into();
        if let Ok(message) = decode(frames.clone()) {
            let written = message.encode();
            prop_assert!(written.octets() <= frames.iter().map(Bytes::len).sum::<usize>());
            let has_a_peer = matches!(message, Message::V2(V2::Roster(_) | V2::Delta(_)));
            if !has_a_peer && !is_unknown(&message) {
                prop_assert_eq!(&written[0], &frames[0]);
            }
            prop_assert_eq!(decode(written), Ok(message));
        }
    }

    #[test]
    fn the_same_value_makes_the_same_octets(peer in any_peer()) {
        // ONCE-31
        let mut reversed = peer.clone();
        let headers: Vec<_> = peer.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        reversed.headers = headers.into_iter().rev().collect();
        let octets = peer.octets();
        let encode = |peer| Message::from(delta(Change::Enter(peer))).encode();
        let written = encode(peer);
        prop_assert_eq!(written.octets(), 20 + octets);
        prop_assert_eq!(written, encode(reversed));
    }
}
