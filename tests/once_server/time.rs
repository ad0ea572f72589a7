//! Deadlines, tries, pauses and renewals.

use std::time::Duration;

use atonce::once::{Limits, Mechanism, Role};
use atonce::wire::once::{Message, Nope, V2};
use atonce::{Frames, Instant};

use crate::pair::{Pair, Side};
use crate::{Authenticate, Challenge, Code, ZEROS, content, hmac, ms, peer, secret, secs, text};

const CHALLENGE: &str = "CHALLENGE [\"SECRET\"]";

fn at(seconds: u64) -> Instant {
    Instant::ZERO + secs(seconds)
}

fn server() -> Side {
    Side::new(1, Role::Server, vec![secret("s")])
}

fn wrong() -> V2 {
    V2::Authenticate(Authenticate {
        mechanism: text("SECRET"),
        nonce: [3; 32],
        proof: hmac(b"S", b"?"),
    })
}

fn nope(about: u8, code: Code) -> V2 {
    V2::Nope(Nope {
        about,
        code,
        text: text(""),
    })
}

#[test]
fn three_tries_and_then_a_pause() {
    // ONCE-64: of one who never answers.
    let mut server = server();
    let bridge = peer(2, Role::Bridge);
    server.enters(Instant::ZERO, &bridge, None);
    assert_eq!(server.shorts(), [CHALLENGE]);
    let said = server.alone_until(at(150));
    let times: Vec<u64> = said.iter().map(|(at, _)| at / 1_000).collect();
    assert_eq!(times, [11, 22, 92, 103, 114]);
    assert!(said.iter().all(|(_, message)| message == CHALLENGE));
    assert_eq!(server.told(), ["refused 3"; 6]);
}

#[test]
fn whoever_guesses_has_three_guesses_a_minute() {
    // ONCE-64
    let mut server = server();
    let bridge = peer(2, Role::Bridge);
    server.enters(Instant::ZERO, &bridge, None);
    let mut challenges = 0;
    for second in 0..610 {
        server.sessions.handle_timeout(at(second));
        let now = server.shorts();
        challenges += now.iter().filter(|it| *it == CHALLENGE).count();
        // It answers whatever it hears, and asks for more.
        server.hears(at(second), &bridge, wrong());
        server.hears(at(second), &bridge, nope(0, Code::UNAUTHENTICATED));
        challenges += server.shorts().iter().filter(|it| *it == CHALLENGE).count();
    }
    assert!((30..=33).contains(&challenges), "{challenges}");
    assert!(server.sessions.mechanism(bridge.id).is_none());
}

#[test]
fn after_failing_it_may_still_succeed() {
    // ONCE-64
    let mut pair = Pair::new([vec![secret("s")], vec![secret("s")]]);
    let bridge = pair.sides[1].peer.clone();
    pair.sides[0].enters(pair.now, &bridge, None);
    for second in [0, 1] {
        pair.sides[0].sessions.handle_timeout(at(second));
        assert_eq!(pair.sides[0].shorts(), [CHALLENGE]);
        pair.sides[0].hears(at(second), &bridge, wrong());
        assert_eq!(pair.sides[0].shorts(), ["NOPE 4 about 11"]);
    }
    let server = pair.sides[0].peer.clone();
    pair.now = at(1);
    pair.sides[1].enters(pair.now, &server, None);
    pair.run_for(secs(1));
    assert_eq!(
        pair.told(),
        [
            &["refused 4", "refused 4", "proved SECRET"][..],
            &["proved SECRET"]
        ]
    );
}

#[test]
fn an_answerer_that_is_not_challenged_asks() {
    // ONCE-64
    let mut bridge = Side::new(2, Role::Bridge, vec![secret("s")]);
    let server = peer(1, Role::Server);
    bridge.enters(Instant::ZERO, &server, None);
    let asked = bridge.alone_until(at(131));
    let expected = [10_000, 70_000, 130_000].map(|at| (at, "NOPE 3 about 00".to_owned()));
    assert_eq!(asked, expected);
    assert_eq!(bridge.told(), ["refused 3"; 3]);
    // No OK comes either.
    let challenge = Challenge {
        mechanisms: vec![text("SECRET")],
        nonce: [1; 32],
    };
    bridge.hears(at(131), &server, V2::Challenge(challenge));
    assert_eq!(bridge.shorts(), ["AUTHENTICATE SECRET"]);
    let asked = bridge.alone_until(at(150));
    assert_eq!(asked, [(141_000, "NOPE 3 about 00".to_owned())]);
    assert_eq!(bridge.told(), ["refused 3"]);
}

#[test]
fn a_proof_is_renewed_before_its_time_is_over() {
    // ONCE-65
    let both = || vec![secret("s")];
    let mut pair = Pair::new([both(), both()]).enter();
    pair.run_for(secs(100 * 3_600));
    assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
    // Every three quarters of an hour, and no more.
    assert_eq!(pair.shorts().len(), 3 * (1 + 133));
}

#[test]
fn a_proof_that_is_not_renewed_is_over() {
    // ONCE-65
    let both = || vec![secret("s")];
    let mut pair = Pair::new([both(), both()]).enter();
    pair.told();
    let [server, bridge] = &mut pair.sides;
    let asked = bridge.alone_until(at(3_599));
    let expected = [3_150, 3_210, 3_270, 3_330, 3_390, 3_450, 3_510, 3_570];
    let expected = expected.map(|at| (at * 1_000, "NOPE 3 about 00".to_owned()));
    assert_eq!(asked, expected);
    assert_eq!(bridge.told(), [""; 0], "nothing happened yet");
    assert_eq!(
        bridge.alone_until(at(3_600)),
        [(3_600_000, "NOPE 3 about 12".to_owned())]
    );
    assert_eq!(bridge.told(), ["over"]);
    let times = server.alone_until(at(3_600));
    assert_eq!(times.first(), Some(&(2_700_000, CHALLENGE.to_owned())));
    let told = server.told();
    assert_eq!(told.iter().filter(|it| *it == "over").count(), 1);
    assert_eq!(pair.proved(), [None; 2]);
}

#[test]
fn a_late_look_at_the_clock_is_no_extension() {
    // ONCE-65: nobody called for a timeout.
    let both = || vec![secret("s")];
    let mut pair = Pair::new([both(), both()]).enter();
    pair.told();
    pair.now = at(3_600);
    pair.carry(1, V2::GetEndpoints);
    let server = &mut pair.sides[0];
    assert_eq!(server.shorts(), ["NOPE 3 about 20"]);
    assert_eq!(server.told(), ["over", "refused 3"]);
}

#[test]
fn the_answerer_takes_it_for_no_longer_than_it_likes() {
    // ONCE-65
    for (said, own, good_for) in [(7_200, 3_600, 3_600), (60, 3_600, 60), (u32::MAX, 60, 60)] {
        let limits = Limits {
            proof_good_for: secs(own),
            ..Limits::default()
        };
        let mut bridge = Side::with(2, Role::Bridge, None, vec![Mechanism::Open], limits);
        let server = peer(1, Role::Server);
        bridge.enters(Instant::ZERO, &server, None);
        let challenge = Challenge {
            mechanisms: vec![text("OPEN")],
            nonce: [1; 32],
        };
        bridge.hears(Instant::ZERO, &server, V2::Challenge(challenge.clone()));
        let ok = |seconds| V2::Ok {
            proof: ZEROS,
            seconds,
        };
        bridge.hears(Instant::ZERO, &server, ok(said));
        assert_eq!(bridge.shorts(), ["AUTHENTICATE OPEN"]);
        bridge.alone_until(at(good_for - 1));
        assert_eq!(bridge.told(), ["proved OPEN"]);
        bridge.alone_until(at(good_for));
        assert_eq!(bridge.told(), ["over"]);
        // For no time at all is nothing that anybody means.
        bridge.hears(at(good_for), &server, V2::Challenge(challenge));
        bridge.hears(at(good_for), &server, ok(0));
        assert_eq!(bridge.shorts(), ["AUTHENTICATE OPEN", "NOPE 2 about 12"]);
        assert_eq!(bridge.told(), ["refused 2"]);
    }
}

#[test]
fn an_answerer_that_likes_it_shorter_is_challenged_when_it_asks() {
    // ONCE-65
    let side = |octet, role, seconds| {
        let limits = Limits {
            proof_good_for: secs(seconds),
            ..Limits::default()
        };
        Side::with(octet, role, None, vec![secret("s")], limits)
    };
    let mut pair = Pair::of(side(1, Role::Server, 3_600), side(2, Role::Bridge, 80)).enter();
    pair.run_for(secs(1_000));
    assert_eq!(pair.told(), [["proved SECRET"], ["proved SECRET"]]);
    // Each 70 s: NOPE, CHALLENGE, AUTHENTICATE, OK.
    assert_eq!(pair.shorts().len(), 3 + 4 * 14);
}

#[test]
fn both_know_when_one_does_not_believe_any_more() {
    // ONCE-65: whichever side it is, both prove anew.
    for doubter in [0, 1] {
        let both = || vec![secret("s")];
        let mut pair = Pair::new([both(), both()]).enter();
        pair.told();
        pair.carry(doubter, nope(0x30, Code::UNAUTHENTICATED));
        let other = &mut pair.sides[1 - doubter];
        match doubter {
            0 => {
                assert_eq!(other.shorts(), [""; 0]);
                assert_eq!(other.told(), ["over"]);
                // The challenger that said so challenges; here it does not, and is asked.
                assert_eq!(
                    other.alone_until(at(10)),
                    [(10_000, "NOPE 3 about 00".to_owned())]
                );
            }
            _ => {
                pair.talk();
                // The answerer had it all along.
                assert_eq!(pair.told(), [&["over", "proved SECRET"][..], &[]]);
            }
        }
    }
}

#[test]
fn who_refuses_an_ok_is_not_believed_either() {
    // ONCE-65
    let both = || vec![secret("s")];
    let mut pair = Pair::new([both(), both()]).enter();
    pair.told();
    pair.carry(1, nope(0x12, Code::WRONG_PROOF));
    assert_eq!(pair.sides[0].told(), ["over", "refused us 4"]);
    pair.carry(1, nope(0x12, Code::WRONG_PROOF));
    assert_eq!(pair.sides[0].told(), [""; 0]);
    assert_eq!(
        pair.sides[0].alone_until(at(1)),
        [(1_000, CHALLENGE.to_owned())]
    );
}

#[test]
fn what_was_not_sent_is_tried_again() {
    // ONCE-64: it is as if it had been lost.
    let both = || vec![secret("s")];
    for lost in 0..3 {
        let mut pair = Pair::new([both(), both()]);
        for me in [0, 1] {
            let other = pair.sides[1 - me].peer.clone();
            pair.sides[me].enters(pair.now, &other, None);
        }
        let mut count = 0;
        for _ in 0..2 {
            for me in [0, 1] {
                let other = pair.sides[1 - me].peer.id;
                for message in pair.sides[me].says() {
                    if count == lost {
                        let octets: Frames = content(Message::from(message));
                        let now = pair.now;
                        pair.sides[me].sessions.handle_unsent(now, other, &octets);
                    } else {
                        pair.carry(me, message);
                    }
                    count += 1;
                }
            }
        }
        pair.run_for(ms(20_000));
        assert_eq!(pair.proved(), [Some("SECRET"); 2], "{lost}");
    }
}

#[test]
fn no_limits_make_time_stand_still() {
    // ONCE-64, ONCE-65: limits that nobody should set.
    let limits = || Limits {
        proof_deadline: Duration::ZERO,
        proof_tries: 0,
        proof_good_for: Duration::ZERO,
        bridges: 1,
        ..Limits::default()
    };
    let side = |octet, role| Side::with(octet, role, None, vec![secret("s")], limits());
    let mut pair = Pair::of(side(1, Role::Server), side(2, Role::Bridge)).enter();
    pair.run_for(secs(5));
    assert!(pair.shorts().len() < 100_000);
    let mut alone = side(1, Role::Server);
    alone.enters(Instant::ZERO, &peer(2, Role::Bridge), None);
    assert!(alone.says().len() == 1 && alone.alone_until(at(100)).len() < 10);
}
