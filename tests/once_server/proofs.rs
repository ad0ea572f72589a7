//! What is proved, and how.

use atonce::once::session::Heard;
use atonce::once::{Limits, Mechanism, Role};
use atonce::wire::once::Side as Which;
use atonce::{Instant, Text};

use super::{Authenticate, Exchange, V2, ZEROS, hmac, listed, party, peer, public, secret, text};
use crate::pair::{Pair, Side};

const NOTHING: [&str; 0] = [];

fn names(of: &[&str]) -> Vec<Text> {
    of.iter().copied().map(text).collect()
}

#[test]
fn a_secret_proves_both() {
    // ONCE-60, ONCE-61
    let both = || vec![secret("of all of us")];
    let mut pair = Pair::new([both(), both()]).enter();
    assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
    assert_eq!(pair.proved(), [Some("SECRET"); 2]);
    let [
        (0, V2::Challenge(challenge)),
        (1, V2::Authenticate(said)),
        (0, V2::Ok { proof, seconds }),
    ] = &pair.said[..]
    else {
        panic!("{:?}", pair.said);
    };
    assert_eq!(challenge.mechanisms, names(&["SECRET"]));
    let exchange = Exchange {
        challenger: party(1, None),
        answerer: party(2, None),
        challenge,
        mechanism: &said.mechanism,
        nonce: &said.nonce,
    };
    assert_eq!(said.proof, hmac(b"of all of us", &exchange.authenticate()));
    assert_eq!(
        (*proof, *seconds),
        (hmac(b"of all of us", &exchange.ok(3_600)), 3_600)
    );
    // And the goodbye, by either side.
    let stop = hmac(b"of all of us", &exchange.stop(Which::Answerer));
    let now = pair.now;
    pair.sides[1].sessions.stop(now);
    assert_eq!(pair.sides[1].says(), [V2::Stop { proof: stop }]);
}

#[test]
fn what_a_proof_is_over_is_what_the_links_say() {
    // ONCE-61: both with keys, under SECRET.
    let side = |octet, role| {
        let mechanisms = vec![secret("s")];
        Side::with(
            octet,
            role,
            Some(public(octet)),
            mechanisms,
            Limits::default(),
        )
    };
    let mut pair = Pair::of(side(1, Role::Server), side(2, Role::Bridge)).enter();
    assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
    let (_, V2::Challenge(challenge)) = &pair.said[0] else {
        panic!()
    };
    let (_, V2::Authenticate(said)) = &pair.said[1] else {
        panic!()
    };
    let exchange = Exchange {
        challenger: party(1, Some(public(1))),
        answerer: party(2, Some(public(2))),
        challenge,
        mechanism: &said.mechanism,
        nonce: &said.nonce,
    };
    assert_eq!(said.proof, hmac(b"s", &exchange.authenticate()));
    // One who passes on what both say is seen: the links end at its keys.
    let mut pair = Pair::of(side(1, Role::Server), side(2, Role::Bridge));
    let (one, other) = (pair.sides[0].peer.clone(), pair.sides[1].peer.clone());
    pair.sides[0].enters(pair.now, &other, Some(public(66)));
    pair.sides[1].enters(pair.now, &one, Some(public(66)));
    pair.talk();
    assert_eq!(pair.told(), [["refused 4"], ["refused us 4"]]);
    assert_eq!(pair.proved(), [None; 2]);
}

#[test]
fn another_secret_is_refused_and_both_know() {
    // ONCE-61, ONCE-64
    let mut pair = Pair::new([vec![secret("s")], vec![secret("S")]]).enter();
    assert_eq!(pair.told(), [["refused 4"], ["refused us 4"]]);
    assert_eq!(
        pair.shorts(),
        [
            "CHALLENGE [\"SECRET\"]",
            "AUTHENTICATE SECRET",
            "NOPE 4 about 11"
        ]
    );
    assert_eq!(pair.proved(), [None; 2]);
}

#[test]
fn a_challenger_without_the_secret_is_not_believed() {
    // ONCE-61: it says OK to anything.
    let mut bridge = Side::new(2, Role::Bridge, vec![secret("s")]);
    let liar = peer(1, Role::Server);
    bridge.enters(Instant::ZERO, &liar, None);
    let challenge = super::Challenge {
        mechanisms: names(&["SECRET"]),
        nonce: [7; 32],
    };
    for proof in [ZEROS, hmac(b"S", b"whatever")] {
        bridge.hears(Instant::ZERO, &liar, V2::Challenge(challenge.clone()));
        let said = bridge.says();
        let [V2::Authenticate(said)] = &said[..] else {
            panic!("{said:?}")
        };
        // Its own proof, sent back to it, is none.
        for proof in [proof, said.proof] {
            bridge.hears(Instant::ZERO, &liar, V2::Ok { proof, seconds: 60 });
        }
        assert_eq!(bridge.shorts(), ["NOPE 4 about 12", "NOPE 8 about 12"]);
        assert_eq!(bridge.told(), ["refused 4", "refused 8"]);
        assert_eq!(bridge.sessions.mechanism(liar.id), None);
    }
}

#[test]
fn one_secret_takes_the_place_of_another() {
    // ONCE-61
    let old_and_new = || vec![secret("new"), secret("old")];
    for other in [vec![secret("new")], vec![secret("old")], old_and_new()] {
        let mut pair = Pair::new([old_and_new(), other]).enter();
        assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
        // Offered once.
        assert_eq!(pair.shorts()[0], "CHALLENGE [\"SECRET\"]");
    }
    // An answerer proves its first.
    let mut pair = Pair::new([vec![secret("old")], old_and_new()]).enter();
    assert_eq!(pair.told(), [["refused 4"], ["refused us 4"]]);
}

#[test]
fn of_what_is_offered_the_first_is_taken_that_both_have() {
    // ONCE-60
    let open = || Mechanism::Open;
    for (server, bridge, taken) in [
        (vec![open()], vec![open()], Some("OPEN")),
        (
            vec![secret("s"), open()],
            vec![open(), secret("s")],
            Some("SECRET"),
        ),
        (
            vec![open(), secret("s")],
            vec![secret("s"), open()],
            Some("OPEN"),
        ),
        (vec![secret("s"), open()], vec![open()], Some("OPEN")),
        (vec![secret("s")], vec![open()], None),
        (vec![open()], vec![secret("s")], None),
        (vec![open()], vec![listed([1])], None),
        (vec![open()], vec![], None),
    ] {
        let what = format!("{server:?} {bridge:?}");
        let mut pair = Pair::new([server, bridge]).enter();
        assert_eq!(pair.proved(), [taken; 2], "{what}");
        if taken.is_none() {
            assert_eq!(pair.told(), [["refused us 5"], ["refused 5"]], "{what}");
            assert_eq!(pair.shorts()[1..], ["NOPE 5 about 10"], "{what}");
        }
    }
}

#[test]
fn a_mechanism_that_was_not_offered_is_refused() {
    // ONCE-60
    let mut server = Side::new(1, Role::Server, vec![secret("s")]);
    let bridge = peer(2, Role::Bridge);
    server.enters(Instant::ZERO, &bridge, None);
    assert_eq!(server.says().len(), 1);
    let said = Authenticate {
        mechanism: text("OPEN"),
        nonce: [1; 32],
        proof: ZEROS,
    };
    server.hears(Instant::ZERO, &bridge, V2::Authenticate(said));
    assert_eq!(server.shorts(), ["NOPE 5 about 11"]);
    assert_eq!(server.told(), ["refused 5"]);
}

#[test]
fn zeros_prove_nothing_of_a_secret_and_nothing_else_proves_openness() {
    // ONCE-62
    for (mechanism, proof) in [(secret("s"), ZEROS), (Mechanism::Open, hmac(b"", b""))] {
        let name = mechanism.name();
        let mut server = Side::new(1, Role::Server, vec![mechanism]);
        let bridge = peer(2, Role::Bridge);
        server.enters(Instant::ZERO, &bridge, None);
        assert_eq!(server.says().len(), 1);
        let said = Authenticate {
            mechanism: text(name),
            nonce: [1; 32],
            proof,
        };
        server.hears(Instant::ZERO, &bridge, V2::Authenticate(said));
        assert_eq!(server.shorts(), ["NOPE 4 about 11"]);
        assert_eq!(server.told(), ["refused 4"]);
    }
}

/// A server and a bridge with these keys and mechanisms.
fn with_keys(keys: [Option<u8>; 2], mechanisms: [Vec<Mechanism>; 2]) -> Pair {
    let [server, bridge] = mechanisms;
    let limits = Limits::default;
    Pair::of(
        Side::with(1, Role::Server, keys[0].map(public), server, limits()),
        Side::with(2, Role::Bridge, keys[1].map(public), bridge, limits()),
    )
    .enter()
}

#[test]
fn the_list_may_be_what_the_embedder_says() {
    // ONCE-62
    let trusted = || vec![Mechanism::Trusted];
    let keys = [Some(1), Some(2)];
    let mut pair = with_keys(keys, [trusted(), vec![listed([1])]]);
    assert_eq!(pair.told(), [["proved CURVE"], ["proved CURVE"]]);
    // Without a key there is nobody whom it could have let in.
    let mut pair = with_keys([Some(1), None], [trusted(), trusted()]);
    assert_eq!(pair.told()[0], ["refused 5"]);
}

#[test]
fn who_is_listed_may_come_in_with_the_key_of_its_link() {
    // ONCE-62
    let keys = [Some(1), Some(2)];
    let mut pair = with_keys(keys, [vec![listed([2, 3])], vec![listed([1])]]);
    assert_eq!(pair.told(), [["proved CURVE"], ["proved CURVE"]]);
    let (_, V2::Authenticate(said)) = &pair.said[1] else {
        panic!()
    };
    assert_eq!(said.proof, ZEROS);
    assert_eq!(pair.shorts()[0], "CHALLENGE [\"CURVE\"]");
    // Not listed here.
    let mut pair = with_keys(keys, [vec![listed([3])], vec![listed([1])]]);
    assert_eq!(pair.told(), [["refused 6"], ["refused us 6"]]);
    assert_eq!(pair.shorts(), ["NOPE 6 about 00"]);
    // Not listed there.
    let mut pair = with_keys(keys, [vec![listed([2])], vec![listed([3])]]);
    assert_eq!(pair.told(), [["refused us 6"], ["refused 6"]]);
    assert_eq!(pair.shorts()[1], "NOPE 6 about 10");
    // Not listed, but in the know.
    let mechanisms = || vec![listed([3]), secret("s")];
    let mut pair = with_keys(keys, [mechanisms(), mechanisms()]);
    assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
    // Over links that prove no keys.
    for keys in [[None, None], [Some(1), None], [None, Some(2)]] {
        let mut pair = with_keys(keys, [vec![listed([2])], vec![listed([1])]]);
        assert_eq!(pair.told(), [["refused 5"], ["refused us 5"]]);
        assert_eq!(pair.shorts(), ["NOPE 5 about 00"]);
        pair.run_for(super::secs(30));
        // It is not challenged again, and says so.
        assert_eq!(pair.told(), [&NOTHING[..], &["refused 3"]]);
        assert_eq!(pair.shorts(), ["NOPE 3 about 00"]);
        assert_eq!(pair.proved(), [None; 2]);
    }
}

#[test]
fn a_server_challenges_and_of_two_bridges_the_lower_does() {
    // ONCE-63
    use Role::{Bridge, Server};
    for (one, other, challenger) in [
        ((1, Server), (2, Bridge), Some(0)),
        ((2, Server), (1, Bridge), Some(0)),
        ((1, Bridge), (2, Server), Some(1)),
        ((1, Bridge), (2, Bridge), Some(0)),
        ((2, Bridge), (1, Bridge), Some(1)),
        ((1, Server), (2, Server), None),
        ((1, Bridge), (1, Bridge), None),
    ] {
        let side = |(octet, role)| Side::new(octet, role, vec![Mechanism::Open]);
        let mut pair = Pair::of(side(one), side(other)).enter();
        let who = pair.said.first().map(|(who, _)| *who);
        assert_eq!(who, challenger, "{one:?} {other:?}");
        match challenger {
            Some(_) => assert_eq!(pair.told(), [["proved OPEN"], ["proved OPEN"]]),
            None => {
                assert!(pair.sides.iter().all(|side| side.sessions.is_empty()));
                let heard = pair.carry(0, V2::GetEndpoints);
                pair.talk();
                assert_eq!((heard, pair.shorts().len()), (Heard::Nothing, 2));
                assert_eq!(pair.told(), [&NOTHING[..], &["refused 3"]]);
            }
        }
    }
}

#[test]
fn a_goodbye_is_proved() {
    // ONCE-66, ONCE-77
    for leaver in [0, 1] {
        let both = || vec![secret("s")];
        let mut pair = Pair::new([both(), both()]).enter();
        pair.told();
        // A wrong one changes nothing, and is told.
        let stayer = 1 - leaver;
        for proof in [ZEROS, hmac(b"s", b"STOP")] {
            pair.carry(leaver, V2::Stop { proof });
            assert_eq!(pair.sides[stayer].shorts(), ["NOPE 4 about 14"]);
            assert_eq!(pair.sides[stayer].told(), ["refused 4"]);
            assert_eq!(pair.proved(), [Some("SECRET"); 2]);
        }
        let now = pair.now;
        pair.sides[leaver].sessions.stop(now);
        let said = pair.sides[leaver].says();
        let [V2::Stop { proof }] = said[..] else {
            panic!("{said:?}")
        };
        pair.carry(leaver, V2::Stop { proof });
        assert_eq!(pair.sides[stayer].told(), ["stopped"]);
        assert_eq!(pair.proved()[stayer], None);
        // It is good once.
        pair.carry(leaver, V2::Stop { proof });
        assert_eq!(pair.sides[stayer].shorts(), ["NOPE 3 about 14"]);
        assert_eq!(pair.sides[stayer].told(), ["refused 3"]);
        // Who left may come back at once.
        pair.sides[leaver] = Side::new(
            [1, 2][leaver],
            [Role::Server, Role::Bridge][leaver],
            vec![secret("s")],
        );
        pair.part();
        pair.meet();
        assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
        pair.carry(leaver, V2::Stop { proof });
        assert_eq!(pair.sides[stayer].shorts(), ["NOPE 4 about 14"]);
    }
}

#[test]
fn a_goodbye_is_about_what_was_said_last() {
    // ONCE-66: a renewal is under way, and the goodbye of either side meets a message of the other.
    for leaver in [0, 1] {
        let both = || vec![secret("s")];
        let mut pair = Pair::new([both(), both()]).enter();
        pair.told();
        pair.now += super::secs(2_700);
        let now = pair.now;
        pair.sides[0].sessions.handle_timeout(now);
        for challenge in pair.sides[0].says() {
            pair.carry(0, challenge);
        }
        let answer = pair.sides[1].says();
        pair.sides[leaver].sessions.stop(now);
        let stop = pair.sides[leaver].says();
        let to_server = if leaver == 1 {
            [answer, stop.clone()].concat()
        } else {
            answer
        };
        for message in to_server {
            pair.carry(1, message);
        }
        if leaver == 0 {
            pair.carry(0, stop[0].clone());
        }
        pair.sides[1 - leaver].says();
        assert_eq!(pair.sides[1 - leaver].told(), ["stopped"], "{leaver}");
    }
}
