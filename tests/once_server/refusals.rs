//! What is said at the wrong time, by the wrong side, again, or not well.

use atonce::once::session::Heard;
use atonce::once::{Mechanism, Role};
use atonce::wire::once::{Message, Nope, Unknown, V2};
use atonce::{Frames, Instant};

use crate::pair::{Pair, Side};
use crate::{Challenge, Code, ZEROS, hmac, peer, secret, text};

fn secrets() -> Pair {
    let mut pair = Pair::new([vec![secret("s")], vec![secret("s")]]).enter();
    assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
    pair
}

/// Has a side say something that is refused, and shows that nothing else happens.
#[track_caller]
fn refused(pair: &mut Pair, from: usize, message: V2, code: u16) {
    let before = pair.proved();
    let due = pair.sides[1 - from].sessions.poll_timeout();
    let about = message.id();
    assert_eq!(pair.carry(from, message), Heard::Nothing);
    let other = &mut pair.sides[1 - from];
    assert_eq!(other.shorts(), [format!("NOPE {code} about {about:02X}")]);
    assert_eq!(other.told(), [format!("refused {code}")]);
    assert_eq!(other.sessions.poll_timeout(), due);
    assert_eq!(pair.proved(), before);
}

#[test]
fn what_is_said_again_is_refused() {
    // ONCE-66
    let mut pair = secrets();
    for (from, message) in pair.said.clone() {
        match message {
            V2::Authenticate(_) | V2::Ok { .. } => refused(&mut pair, from, message, 8),
            _ => {}
        }
    }
    // Over another link there is another CHALLENGE.
    let old = pair.said.clone();
    pair.part();
    let server = pair.sides[0].peer.clone();
    let bridge = pair.sides[1].peer.clone();
    pair.sides[0].enters(pair.now, &bridge, None);
    pair.sides[1].enters(pair.now, &server, None);
    let challenge = pair.sides[0].says();
    let (1, authenticate @ V2::Authenticate(_)) = old[1].clone() else {
        panic!()
    };
    pair.carry(1, authenticate);
    assert_eq!(pair.sides[0].shorts(), ["NOPE 4 about 11"]);
    assert_eq!(pair.sides[0].told(), ["refused 4"]);
    let (0, ok @ V2::Ok { .. }) = old[2].clone() else {
        panic!()
    };
    pair.carry(0, challenge[0].clone());
    assert_eq!(pair.sides[1].shorts(), ["AUTHENTICATE SECRET"]);
    pair.carry(0, ok);
    assert_eq!(pair.sides[1].shorts(), ["NOPE 4 about 12"]);
    assert_eq!(pair.sides[1].told(), ["refused 4"]);
    assert_eq!(pair.proved(), [None; 2]);
}

#[test]
fn no_nonce_is_used_twice() {
    // ONCE-66
    let mut pair = secrets();
    let mut nonces = std::collections::BTreeSet::new();
    for n in 1..=20 {
        for (_, message) in std::mem::take(&mut pair.said) {
            match message {
                V2::Challenge(said) => assert!(nonces.insert(said.nonce)),
                V2::Authenticate(said) => assert!(nonces.insert(said.nonce)),
                _ => {}
            }
        }
        assert_eq!(nonces.len(), 2 * n);
        pair.part();
        pair.meet();
    }
}

#[test]
fn what_nobody_asked_for_is_refused() {
    // ONCE-66
    let mut pair = secrets();
    let challenge = || {
        V2::Challenge(Challenge {
            mechanisms: vec![text("SECRET")],
            nonce: [1; 32],
        })
    };
    let ok = V2::Ok {
        proof: ZEROS,
        seconds: 7,
    };
    refused(&mut pair, 1, challenge(), 8);
    refused(&mut pair, 1, ok.clone(), 8);
    refused(&mut pair, 0, ok, 8);
    let said = pair.said.iter().map(|(_, message)| message.clone());
    let authenticate = said.clone().find(|it| matches!(it, V2::Authenticate(_)));
    refused(&mut pair, 0, authenticate.unwrap(), 8);
    // Before there is anything to end.
    let mut server = Side::new(1, Role::Server, vec![Mechanism::Open]);
    let bridge = peer(2, Role::Bridge);
    server.enters(Instant::ZERO, &bridge, None);
    assert_eq!(server.says().len(), 1);
    server.hears(Instant::ZERO, &bridge, V2::Stop { proof: ZEROS });
    assert_eq!(server.shorts(), ["NOPE 3 about 14"]);
    // Before a challenge.
    let mut bridge = Side::new(2, Role::Bridge, vec![Mechanism::Open]);
    let server = peer(1, Role::Server);
    bridge.enters(Instant::ZERO, &server, None);
    let ok = V2::Ok {
        proof: ZEROS,
        seconds: 60,
    };
    bridge.hears(Instant::ZERO, &server, ok);
    assert_eq!(bridge.shorts(), ["NOPE 8 about 12"]);
    assert_eq!(bridge.sessions.mechanism(server.id), None);
}

#[test]
fn malformed_messages_are_refused_and_change_nothing() {
    // ONCE-66
    let mut pair = secrets();
    let bridge = pair.sides[1].peer.clone();
    let long = [&b"\xAA\xA2\x10\x02\0\0\0\x10"[..], &[0; 10_000]].concat();
    for (octets, about) in [
        (&b"\xAA\xA2\x11\x02"[..], "11"),
        (b"\xAA\xA2\x12\x02\0", "12"),
        (b"\xAA\xA2\x13\x02", "13"),
        (b"\xAA\xA2\x14\x02\0", "14"),
        (b"\xAA\xA2\x21\x02\0", "21"),
        (b"\xAA\xA2\x20\x02surplus", "20"),
        (&long, "10"),
    ] {
        let octets = Frames::from(octets.to_vec());
        let heard = pair.sides[0].hears_octets(pair.now, &bridge, octets);
        assert_eq!(heard, Heard::Nothing);
        let server = &mut pair.sides[0];
        assert_eq!(server.shorts(), [format!("NOPE 2 about {about}")]);
        assert_eq!(server.told(), ["refused 2"]);
        assert_eq!(pair.proved(), [Some("SECRET"); 2]);
    }
}

#[test]
fn what_is_unknown_means_nothing() {
    // ONCE-66
    let mut pair = secrets();
    let bridge = pair.sides[1].peer.clone();
    for (version, id) in [(2, 0x15), (2, 0xFF), (1, 0x10), (1, 0x20)] {
        let unknown = Message::Unknown(Unknown::new(version, id).unwrap());
        assert_eq!(
            pair.sides[0].hears(pair.now, &bridge, unknown),
            Heard::Nothing
        );
    }
    // Records of ZRE/LOG.
    for level in 1..=3 {
        let record = [&[0xAA, 0xA2, 1, level][..], &[0; 14]].concat();
        let heard = pair.sides[0].hears_octets(pair.now, &bridge, record.into());
        assert_eq!(heard, Heard::Nothing);
    }
    assert_eq!(pair.told(), [[""; 0]; 2]);
}

#[test]
fn what_is_proved_lets_all_else_through() {
    // ONCE-53
    let mut pair = secrets();
    for from in [0, 1] {
        let ask = V2::GetRoster { epoch: 0, from: 0 };
        assert_eq!(pair.carry(from, ask.clone()), Heard::V2(ask));
        // A NOPE that is about no session is somebody else's.
        let nope = |about, code| {
            V2::Nope(Nope {
                about,
                code: Code(code),
                text: text(""),
            })
        };
        assert_eq!(pair.carry(from, nope(0x40, 2)), Heard::V2(nope(0x40, 2)));
        assert_eq!(pair.carry(from, nope(0x14, 2)), Heard::Nothing);
    }
    assert_eq!(pair.told(), [[""; 0]; 2]);
}

#[test]
fn a_wrong_renewal_leaves_what_was_proved() {
    // ONCE-65
    let mut pair = secrets();
    pair.now += crate::secs(2_700);
    let now = pair.now;
    pair.sides[0].sessions.handle_timeout(now);
    assert_eq!(pair.sides[0].shorts(), ["CHALLENGE [\"SECRET\"]"]);
    let wrong = crate::Authenticate {
        mechanism: text("SECRET"),
        nonce: [3; 32],
        proof: hmac(b"s", b"?"),
    };
    pair.carry(1, V2::Authenticate(wrong));
    assert_eq!(pair.sides[0].shorts(), ["NOPE 4 about 11"]);
    assert_eq!(pair.sides[0].told(), ["refused 4"]);
    assert_eq!(pair.proved(), [Some("SECRET"); 2]);
    pair.run_for(crate::secs(10));
    assert_eq!(pair.shorts()[pair.said.len()..].last().unwrap(), "OK 3600");
}
