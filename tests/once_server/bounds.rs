//! What others may cost.

use atonce::once::session::Heard;
use atonce::once::{Limits, Role};
use atonce::wire::once::{V1, V2};
use atonce::{Instant, Peer};

use crate::pair::{Pair, Side};
use crate::{Authenticate, Challenge, hmac, peer, peer_saying, public, secret, secs, text};

const CHALLENGE: &str = "CHALLENGE [\"SECRET\"]";

fn at(seconds: u64) -> Instant {
    Instant::ZERO + secs(seconds)
}

#[test]
fn answers_are_counted() {
    // ONCE-67
    let mut server = Side::new(1, Role::Server, vec![secret("s")]);
    for asker in [peer_saying(7, None), peer(2, Role::Bridge)] {
        server.enters(at(0), &asker, None);
        server.says();
        for _ in 0..100 {
            server.hears(at(0), &asker, V2::GetEndpoints);
        }
        assert_eq!(server.shorts(), ["NOPE 3 about 20"; 10]);
        assert_eq!(server.told(), ["refused 3"; 10]);
        for _ in 0..100 {
            server.hears(at(3), &asker, V2::GetEndpoints);
        }
        assert_eq!(server.shorts(), ["NOPE 3 about 20"; 3]);
        assert_eq!(server.told(), ["refused 3"; 3]);
        // After any time no more than at first.
        for _ in 0..100 {
            server.hears(at(10_000), &asker, V2::GetEndpoints);
        }
        assert_eq!(
            server
                .shorts()
                .iter()
                .filter(|it| it.starts_with("NOPE"))
                .count(),
            10
        );
        server.told();
        // Whoever answers in version 1 asks whether it may.
        let heard = server.hears(at(10_000), &asker, V1::GetEndpoints);
        assert_eq!(heard, Heard::V1(V1::GetEndpoints));
        assert!(!server.sessions.may_answer(at(10_000), asker.id));
        assert!(server.sessions.may_answer(at(10_001), asker.id));
        assert!(!server.sessions.may_answer(at(10_001), asker.id));
    }
    assert!(
        !server
            .sessions
            .may_answer(at(10_001), peer(99, Role::Bridge).id)
    );
}

#[test]
fn challenges_are_counted() {
    // ONCE-67
    let mut bridge = Side::new(2, Role::Bridge, vec![secret("s")]);
    let server = peer(1, Role::Server);
    bridge.enters(at(0), &server, None);
    let challenge = Challenge {
        mechanisms: vec![text("SECRET")],
        nonce: [1; 32],
    };
    for _ in 0..100 {
        bridge.hears(at(0), &server, V2::Challenge(challenge.clone()));
    }
    assert_eq!(bridge.shorts(), ["AUTHENTICATE SECRET"; 10]);
}

/// A server that knows three at most.
fn small() -> Side {
    let limits = Limits {
        bridges: 3,
        ..Limits::default()
    };
    Side::with(1, Role::Server, None, vec![secret("s")], limits)
}

/// Has a bridge prove what it should.
fn prove(server: &mut Side, octet: u8) -> Peer {
    let bridge = Side::new(octet, Role::Bridge, vec![secret("s")]);
    let old = std::mem::replace(server, small());
    let mut pair = Pair::of(old, bridge).enter();
    assert!(pair.proved()[0].is_some(), "{:?}", pair.told());
    let [mut back, bridge] = pair.sides;
    back.told();
    *server = back;
    bridge.peer
}

#[test]
fn the_oldest_that_proved_nothing_gives_way() {
    // ONCE-68
    let mut server = small();
    let [two, three, four, five] = [2, 3, 4, 5].map(|octet| peer(octet, Role::Bridge));
    for bridge in [&two, &three, &four, &five] {
        server.enters(at(0), bridge, None);
    }
    let nope = "NOPE 7 about 00";
    assert_eq!(
        server.shorts(),
        [CHALLENGE, CHALLENGE, CHALLENGE, nope, CHALLENGE]
    );
    assert_eq!(
        (server.told(), server.sessions.len()),
        (vec!["refused 7".to_owned()], 3)
    );
    // It may speak again, and another one gives way.
    server.hears(at(1), &two, V2::GetEndpoints);
    assert_eq!(server.shorts(), [nope, CHALLENGE, "NOPE 3 about 20"]);
    assert_eq!(server.told(), ["refused 7", "refused 3"]);
    // A client takes no place of a bridge, and is not answered.
    let client = peer_saying(77, None);
    let heard = server.hears(at(1), &client, V1::GetEndpoints);
    assert_eq!((heard, server.shorts()), (Heard::Nothing, vec![]));
    assert!(!server.sessions.may_answer(at(1), client.id));
}

#[test]
fn who_proved_something_stays() {
    // ONCE-68
    let mut server = small();
    let bridges = [2, 3, 4].map(|octet| prove(&mut server, octet));
    let late = peer(9, Role::Bridge);
    server.enters(at(0), &late, None);
    assert_eq!(server.shorts(), ["NOPE 7 about 00"]);
    assert_eq!(server.told(), ["refused 7"]);
    // Nothing is kept of it, so it is not answered again.
    assert_eq!(server.hears(at(0), &late, V2::GetEndpoints), Heard::Nothing);
    assert_eq!(server.shorts(), [""; 0]);
    assert!(
        server
            .sessions
            .proved()
            .eq(bridges.each_ref().map(|bridge| bridge.id))
    );
    // There is room when one goes.
    server.sessions.handle_exited(at(0), bridges[0].id);
    server.hears(at(0), &late, V2::GetEndpoints);
    assert_eq!(server.shorts(), [CHALLENGE, "NOPE 3 about 20"]);
}

#[test]
fn clients_give_way_to_bridges_unsaid() {
    // ONCE-68
    let mut server = small();
    for octet in [71, 72, 73, 74] {
        server.hears(at(0), &peer_saying(octet, None), V1::GetEndpoints);
    }
    assert_eq!((server.sessions.len(), server.shorts()), (3, vec![]));
    for octet in [2, 3, 4] {
        prove(&mut server, octet);
    }
    assert_eq!(server.sessions.proved().count(), 3);
}

/// Has a bridge fail in so many tries, from `at(0)` on.
fn fail(server: &mut Side, bridge: &Peer, tries: u64) {
    for second in 0..tries {
        server.sessions.handle_timeout(at(second));
        assert_eq!(server.shorts(), [CHALLENGE], "{second}");
        let wrong = Authenticate {
            mechanism: text("SECRET"),
            nonce: [3; 32],
            proof: hmac(b"S", b"?"),
        };
        server.hears(at(second), bridge, V2::Authenticate(wrong));
        assert_eq!(server.shorts(), ["NOPE 4 about 11"]);
    }
    server.told();
}

#[test]
fn who_comes_again_has_no_more_tries() {
    // ONCE-69
    let bridge = peer(2, Role::Bridge);
    let failed = |tries| {
        let mut server = small();
        server.enters(at(0), &bridge, None);
        fail(&mut server, &bridge, tries);
        server.sessions.handle_exited(at(2), bridge.id);
        assert_eq!((server.shorts(), server.sessions.len()), (vec![], 1));
        server
    };
    // In the pause.
    let mut server = failed(3);
    server.enters(at(3), &bridge, None);
    assert_eq!(server.shorts(), ["NOPE 7 about 00"]);
    assert_eq!(server.told(), ["refused 7"]);
    assert_eq!(server.alone_until(at(62)), [(62_000, CHALLENGE.to_owned())]);
    // After it.
    let mut server = failed(3);
    server.alone_until(at(62));
    assert!(server.sessions.is_empty());
    server.enters(at(62), &bridge, None);
    assert_eq!(server.shorts(), [CHALLENGE]);
    // Between tries: one is left.
    let mut server = failed(2);
    server.enters(at(3), &bridge, None);
    assert_eq!(server.shorts(), [CHALLENGE]);
    assert_eq!(server.alone_until(at(70)), []);
    assert_eq!(server.alone_until(at(73)), [(73_000, CHALLENGE.to_owned())]);
    // With another key it is somebody else.
    let mut server = failed(3);
    server.enters(at(3), &bridge, Some(public(2)));
    assert_eq!(server.shorts(), [CHALLENGE]);
    // It gives way before all others.
    let mut server = failed(3);
    for octet in [3, 4, 5] {
        prove(&mut server, octet);
    }
    assert_eq!(server.sessions.proved().count(), 3);
}

#[test]
fn what_was_proved_ends_with_the_link() {
    // ONCE-69
    let both = || vec![secret("s")];
    let mut pair = Pair::new([both(), both()]).enter();
    pair.told();
    pair.part();
    assert_eq!(pair.proved(), [None; 2]);
    assert_eq!(pair.told(), [[""; 0]; 2]);
    assert!(pair.sides.iter().all(|side| side.sessions.is_empty()));
    // It enters anew without an exit that was seen.
    pair.meet();
    pair.meet();
    let twice = ["proved SECRET", "proved SECRET"];
    assert_eq!(pair.told(), [twice, twice]);
}
