//! @Once: what bridges and servers say to each other.

use bytes::Bytes;

use super::values;
use crate::wire::Frames;
use crate::wire::once::{
    Change, Exchange, Limits, Message, Part, Party, Peer, Prelude, Proof, Side, Target, Ticket,
    Unknown, V1, V2,
};

const LIMITS: Limits = Limits {
    octets: 2_000,
    mechanisms: 16,
    endpoints: 24,
    peers: 20,
    groups: 16,
    headers: 16,
    receivers: 20,
    value: 300,
};

/// The first frame of a message: what decodes encodes to the same octets, but for groups and headers in another order; surplus
/// frames are content or nothing; nothing grows; counts and lengths stay within the limits; no proof shows.
pub fn once(frame: &[u8]) {
    let octets = frame.len();
    let frame = Bytes::copy_from_slice(frame);
    let surplus = Frames::from([frame.clone(), frame.clone(), Bytes::new()]);
    let decoded = Message::decode(frame.clone().into(), &LIMITS);
    let with_surplus = Message::decode(surplus.clone(), &LIMITS);

    let message = match decoded {
        Ok(message) => message,
        Err(error) => {
            assert_eq!(with_surplus, Err(error));
            if !Message::is_once(&surplus) {
                assert!(["signature", "id", "version"].contains(&error.field));
            }
            return values::shown(octets, format_args!("{error} {error:?}"));
        }
    };
    assert!(Message::is_once(&surplus) && octets <= LIMITS.octets);
    let Ok(with_surplus) = with_surplus else {
        panic!("refused because of frames that do not matter: {message:?}");
    };
    assert_eq!(with_surplus.name(), message.name());
    match with_surplus.content() {
        Some(content) => {
            assert_eq!(content[..], surplus[1..]);
            values::frames(content);
        }
        None => assert_eq!(with_surplus, message),
    }
    for message in [&message, &with_surplus] {
        values::shown(3 * octets, format_args!("{message:?} {}", message.name()));
        let encoded = message.encode();
        assert_eq!(encoded.octets(), message.octets());
        assert_eq!((encoded[0][2], encoded[0][3]), (frame[2], frame[3]));
        assert!(encoded[0].len() <= octets, "{message:?} grew");
        let again = Message::decode(encoded.clone(), &LIMITS);
        assert_eq!(again.as_ref(), Ok(message), "changed on the way");
        match message {
            Message::V1(first) => v1(first),
            Message::V2(second) => v2(octets, second),
            Message::Unknown(unknown) => {
                let (version, id) = (unknown.version(), unknown.id());
                assert_eq!(Unknown::new(version, id), Some(*unknown));
                assert_eq!((id, version), (frame[2], frame[3]));
                continue;
            }
        }
        if !has_sets(message) {
            assert_eq!(encoded[0], frame, "{message:?}");
        }
    }
}

/// Whether there is something in it whose order means nothing.
const fn has_sets(message: &Message) -> bool {
    matches!(message, Message::V2(V2::Roster(_) | V2::Delta(_)))
}

fn v1(message: &V1) {
    assert!(Unknown::new(1, message.id()).is_none());
    if let V1::ListEndpoints { endpoints } = message {
        assert!(endpoints.len() <= LIMITS.endpoints);
        for endpoint in endpoints {
            values::text(endpoint.as_bytes());
        }
    }
}

fn v2(octets: usize, message: &V2) {
    assert!(Unknown::new(2, message.id()).is_none());
    match message {
        V2::Challenge(challenge) => {
            assert!(challenge.mechanisms.len() <= LIMITS.mechanisms);
            proven(octets, message);
        }
        V2::Authenticate(authenticate) => proof(authenticate.proof),
        V2::Ok { proof: it, .. } | V2::Stop { proof: it } => proof(*it),
        V2::Nope(nope) => {
            values::text(nope.text.as_bytes());
            values::shown(octets, format_args!("{}", nope.code));
        }
        V2::ListEndpoints { contacts } => assert!(contacts.len() <= LIMITS.endpoints),
        V2::Roster(roster) => {
            assert!(roster.peers.len() <= LIMITS.peers);
            let part = roster.part;
            assert!(part.index() < part.count() && usize::from(part.count()) <= LIMITS.peers);
            assert_eq!(Part::new(part.index(), part.count()), Some(part));
            assert_eq!(part.is_last(), part.index() + 1 == part.count());
            let of_peers: usize = roster.peers.iter().map(Peer::octets).sum();
            assert!(of_peers < octets);
            roster.peers.iter().for_each(peer);
        }
        V2::Delta(delta) => {
            if let Change::Enter(it) = &delta.change {
                peer(it);
            }
        }
        V2::Undeliverable(undeliverable) => {
            values::shown(octets, format_args!("{}", undeliverable.reason));
            if let Target::Group(group) = &undeliverable.target {
                values::text(group.as_bytes());
            }
        }
        V2::RemoteShout(shout) => {
            values::text(shout.group.as_bytes());
            assert!(shout.to.len() <= LIMITS.receivers);
        }
        V2::RemoteAgain(again) => assert!(again.to.len() <= LIMITS.receivers),
        V2::Ticket(invitation) => {
            values::text(invitation.endpoint.as_bytes());
            ticket(invitation.ticket);
        }
        V2::GetEndpoints | V2::GetRoster { .. } | V2::RemoteWhisper(_) | V2::Relay { .. } => {}
    }
}

fn peer(peer: &Peer) {
    assert!(peer.groups.len() <= LIMITS.groups && peer.headers.len() <= LIMITS.headers);
    for (_, value) in &peer.headers {
        assert!(value.len() <= LIMITS.value);
    }
}

fn proof(proof: Proof) {
    assert_eq!(Proof::from_bytes(*proof.as_bytes()), proof);
    assert_eq!(alloc::format!("{proof:?}"), "Proof(..)");
}

fn ticket(ticket: Ticket) {
    assert_eq!(Ticket::from_bytes(*ticket.as_bytes()), ticket);
    assert_eq!(alloc::format!("{ticket:?}"), "Ticket(..)");
    let prelude = Prelude { ticket };
    assert_eq!(Prelude::read(&prelude.encode()), Ok(Some(prelude)));
}

/// What is proved about a challenge: it is in each text, and no two of them are the same.
fn proven(octets: usize, message: &V2) {
    let V2::Challenge(challenge) = message else {
        return;
    };
    let party = |of: u8, key| Party {
        uuid: crate::PeerId::from_bytes([of; 16]),
        key,
    };
    let mechanism = challenge.mechanisms.first().cloned().unwrap_or_default();
    let exchange = Exchange {
        challenger: party(1, Some(challenge.nonce)),
        answerer: party(2, None),
        challenge,
        mechanism: &mechanism,
        nonce: &challenge.nonce,
    };
    let texts = [
        exchange.authenticate(),
        exchange.ok(7),
        exchange.ok(8),
        exchange.stop(Side::Challenger),
        exchange.stop(Side::Answerer),
    ];
    for (at, text) in texts.iter().enumerate() {
        assert!(text.len() <= 2 * octets + 200);
        assert!(text.windows(32).any(|part| part == challenge.nonce));
        assert!(texts[..at].iter().all(|other| other != text));
    }
    values::shown(3 * octets, format_args!("{exchange:?}"));
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_of_any_octets(
            id in any::<u8>(),
            version in 0..4_u8,
            octets in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            once(&octets);
            let mut signed = alloc::vec![0xAA, 0xA2, id, version];
            signed.extend(octets);
            once(&signed);
        }

        /// Lists of nothing much, which are what octets seldom make up.
        #[test]
        fn messages_that_are_nearly_right(
            id in prop::sample::select(alloc::vec![0x10, 0x21, 0x31, 0x32, 0x33, 0x34, 0x41, 0x42, 0x43, 0x51]),
            numbers in any::<[u8; 16]>(),
            small in prop::collection::vec(prop_oneof![9 => Just(0_u8), 2 => Just(1), 1 => 2..9_u8], 0..120),
            at in any::<prop::sample::Index>(),
        ) {
            let mut octets = Vec::from([0xAA, 0xA2, id, 2]);
            if id >= 0x30 {
                octets.extend(numbers);
            }
            octets.extend(small);
            once(&octets);
            once(&octets[..at.index(octets.len())]);
        }
    }
}
