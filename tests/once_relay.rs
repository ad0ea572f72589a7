//! The relay by hand: whom it joins, what it passes on, and what it costs.
#![cfg(feature = "curve")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use atonce::once::relay::{Action, Limits, Relay, Timer};
use atonce::wire::once::{Prelude, Ticket};
use atonce::{Cut, Instant, LinkId};

const START: Instant = Instant::from_millis(1_000);
const DIALLER: Ticket = Ticket::from_bytes([0xD1; 32]);
const ACCEPTOR: Ticket = Ticket::from_bytes([0xAC; 32]);

fn after(seconds: u64) -> Instant {
    START + Duration::from_secs(seconds)
}

fn relay() -> Relay {
    let mut relay = Relay::new(Limits::default());
    assert!(relay.expect(START, DIALLER, ACCEPTOR));
    relay
}

/// Somebody connects and says this.
fn comes(relay: &mut Relay, now: Instant, ticket: Ticket, behind: &[u8]) -> LinkId {
    let link = relay.handle_accepted(now);
    let said = [&Prelude { ticket }.encode(), behind].concat();
    relay.handle_received(now, link, &said);
    link
}

fn joined() -> (Relay, LinkId, LinkId) {
    let mut relay = relay();
    let dialler = comes(&mut relay, START, DIALLER, b"");
    let acceptor = comes(&mut relay, START, ACCEPTOR, b"");
    assert_eq!(actions(&mut relay), []);
    (relay, dialler, acceptor)
}

fn actions(relay: &mut Relay) -> Vec<Action> {
    std::iter::from_fn(|| relay.poll_action()).collect()
}

fn lent(relay: &Relay, link: LinkId) -> Vec<u8> {
    relay.poll_transmit(link).flatten().copied().collect()
}

/// The network takes all that waits.
fn takes(relay: &mut Relay, link: LinkId) -> Vec<u8> {
    let lent = lent(relay, link);
    relay.handle_transmitted(START, link, lent.len());
    lent
}

#[test]
fn two_with_tickets_for_each_other_are_joined() {
    // ONCE-120, ONCE-122
    let (mut relay, dialler, acceptor) = joined();
    relay.handle_received(START, dialler, b"\xAA\xA2\x53\x02 is only octets now");
    assert_eq!(actions(&mut relay), [Action::Transmit { link: acceptor }]);
    relay.handle_received(START, dialler, b", and more");
    assert_eq!(actions(&mut relay), []);
    relay.handle_received(START, acceptor, b"answer");
    assert_eq!(actions(&mut relay), [Action::Transmit { link: dialler }]);
    assert_eq!(
        takes(&mut relay, acceptor),
        b"\xAA\xA2\x53\x02 is only octets now, and more"
    );
    assert_eq!(takes(&mut relay, dialler), b"answer");
    // Then it tells anew.
    relay.handle_received(START, acceptor, b"!");
    assert_eq!(actions(&mut relay), [Action::Transmit { link: dialler }]);
    let pair = relay.pairs().next().unwrap();
    assert_eq!((pair.from_dialler, pair.from_acceptor), (33, 7));
    assert_eq!(relay.counters().octets, 40);
}

#[test]
fn a_prelude_may_come_octet_by_octet() {
    // ONCE-120
    let mut relay = relay();
    let acceptor = comes(&mut relay, START, ACCEPTOR, b"");
    let dialler = relay.handle_accepted(START);
    let said = [&Prelude { ticket: DIALLER }.encode()[..], b"hello"].concat();
    for octet in said {
        relay.handle_received(START, dialler, &[octet]);
    }
    assert_eq!(actions(&mut relay), [Action::Transmit { link: acceptor }]);
    assert_eq!(lent(&relay, acceptor), b"hello");
}

#[test]
fn what_was_said_before_the_other_came_is_passed_on() {
    // ONCE-122
    let mut relay = relay();
    let dialler = comes(&mut relay, START, DIALLER, b"hel");
    relay.handle_received(after(1), dialler, b"lo");
    assert_eq!(
        (actions(&mut relay), lent(&relay, dialler)),
        (vec![], vec![])
    );
    let acceptor = comes(&mut relay, after(2), ACCEPTOR, b"yes?");
    assert_eq!(
        actions(&mut relay),
        [
            Action::Transmit { link: acceptor },
            Action::Transmit { link: dialler }
        ]
    );
    assert_eq!(takes(&mut relay, acceptor), b"hello");
    assert_eq!(takes(&mut relay, dialler), b"yes?");
}

#[test]
fn who_says_something_else_is_closed_at_once() {
    // ONCE-120
    let mut relay = relay();
    let prelude = Prelude { ticket: DIALLER }.encode();
    for right in 0..4 {
        let link = relay.handle_accepted(START);
        relay.handle_received(START, link, &prelude[..right]);
        assert_eq!(actions(&mut relay), []);
        relay.handle_received(START, link, &[!prelude[right]]);
        assert_eq!(actions(&mut relay), [Action::Close { link }]);
        // It is not known any more.
        relay.handle_received(START, link, &prelude);
        relay.handle_disconnected(START, link, Cut::Closed);
        assert_eq!((actions(&mut relay), relay.links()), (vec![], 0));
    }
    assert_eq!(relay.counters().strangers, 4);
}

#[test]
fn a_ticket_is_good_once_and_for_thirty_seconds() {
    // ONCE-121
    let mut relay = relay();
    let link = comes(&mut relay, START, Ticket::from_bytes([0; 32]), b"hello");
    assert_eq!(actions(&mut relay), [Action::Close { link }]);
    let first = comes(&mut relay, START, DIALLER, b"");
    let second = comes(&mut relay, START, DIALLER, b"");
    assert_eq!(actions(&mut relay), [Action::Close { link: second }]);
    // It was used, whatever became of who used it.
    relay.handle_disconnected(START, first, Cut::Closed);
    let third = comes(&mut relay, START, DIALLER, b"");
    let other = comes(&mut relay, START, ACCEPTOR, b"");
    let close = |link| Action::Close { link };
    assert_eq!(actions(&mut relay), [third, other].map(close));
    assert_eq!(relay.counters().wrong_tickets, 4);

    let mut relay = crate::relay();
    assert_eq!(relay.poll_timeout(), Some((after(30), Timer::Pair)));
    relay.handle_timeout(after(30));
    let late = comes(&mut relay, after(30), DIALLER, b"");
    assert_eq!(actions(&mut relay), [close(late)]);
    assert_eq!((relay.links(), relay.poll_timeout()), (0, None));
}

#[test]
fn a_prelude_and_the_other_end_have_ten_seconds_each() {
    // ONCE-125
    let mut relay = relay();
    let silent = relay.handle_accepted(START);
    relay.handle_received(after(9), silent, &[0xAA, 0xA2]);
    assert_eq!(relay.poll_timeout(), Some((after(10), Timer::Prelude)));
    let waits = comes(&mut relay, after(9), DIALLER, b"hello");
    relay.handle_timeout(after(10));
    assert_eq!(actions(&mut relay), [Action::Close { link: silent }]);
    assert_eq!(relay.poll_timeout(), Some((after(19), Timer::Pair)));
    relay.handle_timeout(after(19));
    assert_eq!(actions(&mut relay), [Action::Close { link: waits }]);
    let counters = relay.counters();
    assert_eq!((counters.too_slow, counters.missed), (1, 1));
    // Waiting does not make a ticket good for longer.
    let mut relay = crate::relay();
    comes(&mut relay, after(25), DIALLER, b"");
    assert_eq!(relay.poll_timeout(), Some((after(30), Timer::Pair)));
}

#[test]
fn the_oldest_stranger_gives_way_and_nobody_with_a_ticket() {
    // ONCE-125
    let mut relay = relay();
    let waits = comes(&mut relay, START, DIALLER, b"");
    let strangers: Vec<_> = (0..256).map(|_| relay.handle_accepted(START)).collect();
    assert_eq!(actions(&mut relay), []);
    relay.handle_accepted(START);
    assert_eq!(actions(&mut relay), [Action::Close { link: strangers[0] }]);
    let link = comes(&mut relay, START, ACCEPTOR, b"hello");
    assert_eq!(
        actions(&mut relay),
        [
            Action::Close { link: strangers[1] },
            Action::Transmit { link: waits }
        ]
    );
    relay.handle_received(START, waits, b"!");
    assert_eq!(actions(&mut relay), [Action::Transmit { link }]);
    assert_eq!(relay.counters().displaced, 2);
}

#[test]
fn there_are_as_many_pairs_as_may_be() {
    // ONCE-125
    let mut relay = Relay::new(Limits::default());
    let ticket = |n: u16, end: u8| {
        let mut octets = [end; 32];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        Ticket::from_bytes(octets)
    };
    for n in 0..256 {
        assert!(relay.expect(START, ticket(n, 0), ticket(n, 1)));
    }
    assert!(!relay.expect(START, DIALLER, ACCEPTOR));
    let link = comes(&mut relay, START, DIALLER, b"");
    assert_eq!(actions(&mut relay), [Action::Close { link }]);
    // Those that are joined count, and those whose last words are under way.
    let [one, other] = [0, 1].map(|end| comes(&mut relay, START, ticket(7, end), b"x"));
    relay.handle_timeout(after(30));
    assert_eq!(relay.pairs().count(), 1);
    relay.handle_disconnected(after(30), one, Cut::Closed);
    for n in 0..255 {
        assert!(relay.expect(after(30), ticket(n, 2), ticket(n, 3)));
    }
    assert!(!relay.expect(after(30), DIALLER, ACCEPTOR));
    takes(&mut relay, other);
    assert!(relay.expect(after(30), DIALLER, ACCEPTOR));
    assert_eq!(relay.counters().too_many, 2);
}

#[test]
fn a_slow_end_holds_the_fast_one_back() {
    // ONCE-123
    let (mut relay, dialler, acceptor) = joined();
    let limit = Limits::default().buffer_octets;
    relay.handle_received(START, dialler, &vec![1; limit - 1]);
    assert_eq!(actions(&mut relay), [Action::Transmit { link: acceptor }]);
    // What one reading brought is taken in any case.
    relay.handle_received(START, dialler, &[2; 1_000]);
    assert_eq!(actions(&mut relay), [Action::Pause { link: dialler }]);
    assert_eq!(relay.queued_octets(), limit + 999);
    // The other direction is free.
    relay.handle_received(START, acceptor, b"slowly");
    assert_eq!(actions(&mut relay), [Action::Transmit { link: dialler }]);
    relay.handle_transmitted(START, acceptor, limit / 2);
    assert_eq!(actions(&mut relay), []);
    relay.handle_transmitted(START, acceptor, 999);
    assert_eq!(actions(&mut relay), [Action::Resume { link: dialler }]);
    let rest = takes(&mut relay, acceptor);
    assert_eq!(rest.len(), limit / 2);
    assert_eq!(rest[rest.len() - 1_001..], [&[1][..], &[2; 1_000]].concat());
    // While there is nobody at the other end as well.
    let mut relay = crate::relay();
    let dialler = comes(&mut relay, START, DIALLER, &vec![3; limit]);
    assert_eq!(actions(&mut relay), [Action::Pause { link: dialler }]);
    let acceptor = comes(&mut relay, START, ACCEPTOR, b"");
    assert_eq!(actions(&mut relay), [Action::Transmit { link: acceptor }]);
    assert_eq!(takes(&mut relay, acceptor).len(), limit);
    assert_eq!(actions(&mut relay), [Action::Resume { link: dialler }]);
}

#[test]
fn the_last_words_of_one_end_reach_the_other() {
    // ONCE-124
    for cut in [Cut::Closed, Cut::Reset] {
        let (mut relay, dialler, acceptor) = joined();
        relay.handle_received(START, acceptor, b"lost");
        relay.handle_received(START, dialler, b"goodbye");
        actions(&mut relay);
        relay.handle_disconnected(START, dialler, cut);
        assert_eq!(actions(&mut relay), []);
        // Nobody would get it.
        relay.handle_received(START, acceptor, b"what?");
        relay.handle_transmitted(START, acceptor, 4);
        assert_eq!(lent(&relay, acceptor), b"bye");
        assert_eq!(relay.poll_timeout(), Some((after(10), Timer::Linger)));
        takes(&mut relay, acceptor);
        assert_eq!(actions(&mut relay), [Action::Close { link: acceptor }]);
        assert_eq!((relay.links(), relay.poll_timeout()), (0, None));
    }
    // Not for longer than ten seconds.
    let (mut relay, dialler, acceptor) = joined();
    relay.handle_received(START, dialler, b"goodbye");
    relay.handle_disconnected(START, dialler, Cut::Closed);
    actions(&mut relay);
    relay.handle_timeout(after(10));
    assert_eq!(actions(&mut relay), [Action::Close { link: acceptor }]);
    // With nothing under way, at once.
    let (mut relay, dialler, acceptor) = joined();
    relay.handle_disconnected(START, acceptor, Cut::Closed);
    assert_eq!(actions(&mut relay), [Action::Close { link: dialler }]);
    assert_eq!((relay.links(), relay.pairs().count()), (0, 0));
}

#[test]
fn who_was_held_back_is_read_again_when_the_other_left() {
    // ONCE-124
    let (mut relay, dialler, acceptor) = joined();
    relay.handle_received(START, acceptor, &vec![0; 64 << 10]);
    relay.handle_received(START, dialler, b"goodbye");
    actions(&mut relay);
    relay.handle_disconnected(START, dialler, Cut::Closed);
    // Else its end would not be seen.
    assert_eq!(actions(&mut relay), [Action::Resume { link: acceptor }]);
    relay.handle_disconnected(START, acceptor, Cut::Reset);
    assert_eq!((actions(&mut relay), relay.links()), (vec![], 0));
    assert_eq!(relay.poll_timeout(), None);
}

#[test]
fn a_pair_that_is_silent_for_two_minutes_is_ended() {
    // ONCE-124
    let (mut relay, dialler, acceptor) = joined();
    assert_eq!(relay.poll_timeout(), Some((after(120), Timer::Idle)));
    relay.handle_received(after(100), acceptor, b"still here");
    relay.handle_timeout(after(120));
    assert_eq!(actions(&mut relay), [Action::Transmit { link: dialler }]);
    assert_eq!(relay.poll_timeout(), Some((after(220), Timer::Idle)));
    relay.handle_timeout(after(220));
    let close = |link| Action::Close { link };
    assert_eq!(actions(&mut relay), [dialler, acceptor].map(close));
    assert_eq!((relay.links(), relay.counters().idle), (0, 1));
}
