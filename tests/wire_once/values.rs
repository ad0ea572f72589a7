//! What the values of fields mean, and what is kept of those that nobody knows.

use std::collections::BTreeSet;

use atonce::wire::Headers;
use atonce::wire::once::{
    Change, Code, Delta, Message, Nope, Proof, Reason, Target, Undeliverable, V2,
};

use crate::{A, B, decode, every, head, long, text};

#[test]
fn of_groups_and_headers_that_stand_twice_one_is_kept() {
    // ONCE-31
    let header = |name: u8, value: u8| [0, 0, 0, 1, name, 0, 0, 0, 1, value];
    let headers = [header(b'k', b'1'), header(b'a', b'2'), header(b'k', b'3')].concat();
    let groups = b"\0\0\0\x01G\0\0\0\x01C\0\0\0\x01G";
    let three = [0, 0, 0, 3];
    let uuid = [0xB2; 16];
    let begin = [
        &[0; 16][..],
        &uuid,
        &[0; 6],
        &three,
        &headers,
        &three,
        groups,
    ];
    let Ok(Message::V2(V2::Delta(Delta {
        change: Change::Enter(peer),
        ..
    }))) = decode(head(0x32, &begin))
    else {
        panic!("refused");
    };
    let kept = Headers::from_iter([(text("a"), long("2")), (text("k"), long("3"))]);
    assert_eq!(peer.headers, kept);
    assert_eq!(peer.groups, [text("C"), text("G")].into());
}

#[test]
fn codes_and_reasons_that_nobody_knows_are_kept() {
    // ONCE-33
    for code in [0, 1, 8, 9, u16::MAX] {
        let message = Message::from(V2::Nope(Nope {
            about: 255,
            code: Code(code),
            text: text(""),
        }));
        assert_eq!(decode(message.encode()), Ok(message));
    }
    for reason in 0..=255 {
        let message = Message::from(V2::Undeliverable(Undeliverable {
            epoch: 0,
            number: 0,
            from: A,
            target: Target::Peer(B),
            reason: Reason(reason),
        }));
        assert_eq!(decode(message.encode()), Ok(message));
    }
    // Each has words of its own.
    let codes: BTreeSet<_> = (0..20).map(|code| Code(code).to_string()).collect();
    let reasons: BTreeSet<_> = (0..20).map(|reason| Reason(reason).to_string()).collect();
    assert_eq!((codes.len(), reasons.len()), (20, 20));
    assert_eq!(format!("{:>9}", Code::BUSY), "  not now");
}

#[test]
fn a_proof_is_compared_and_not_shown() {
    // ONCE-43
    let proof = Proof::from_bytes([0xAB; 32]);
    for at in 0..32 {
        let mut other = [0xAB; 32];
        other[at] ^= 1;
        assert_ne!(Proof::from_bytes(other), proof);
    }
    assert_eq!(Proof::from_bytes([0xAB; 32]), proof);
    for message in every() {
        let shown = format!("{message:?}");
        assert!(!shown.contains("3, 3, 3"), "{shown}");
    }
}
