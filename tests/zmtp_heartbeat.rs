//! Heartbeats in virtual time.
#![allow(clippy::unwrap_used, clippy::panic)]

mod zmtp_common;

use core::time::Duration;

use atonce::wire::zmtp::{
    Command, Greeting, MechanismName, Ping, PingContext, SocketType, Version,
};
use atonce::zmtp::{Config, Connection, Error, Event, Heartbeat, Timer};
use atonce::{Frames, Instant};
use zmtp_common::{command, drain, in_traffic, lent, message, ready, sent, settle, with_config};

const START: Instant = Instant::from_millis(1_000);
const SECOND: Duration = Duration::from_secs(1);

fn config(heartbeat: Heartbeat) -> Config {
    Config {
        heartbeat: Some(heartbeat),
        ..Config::new(SocketType::Router)
    }
}

/// Asks after 2 s, waits 3 s.
fn plain() -> Heartbeat {
    Heartbeat {
        timeout: 3 * SECOND,
        ..Heartbeat::every(2 * SECOND)
    }
}

fn ping(ttl: u16) -> Vec<u8> {
    let context = PingContext::default();
    command(&Command::Ping(Ping { ttl, context }))
}

fn pong() -> Vec<u8> {
    command(&Command::Pong(PingContext::default()))
}

fn after(seconds: u32) -> Instant {
    START + seconds * SECOND
}

#[test]
fn a_silent_peer_is_asked_and_then_dead() {
    // ZMTP-52
    let mut connection = with_config(START, config(plain()));
    assert_eq!(connection.poll_timeout(), Some((after(2), Timer::Ping)));
    connection.handle_timeout(Instant::from_micros(after(2).as_micros() - 1));
    assert_eq!(lent(&connection), b"");
    connection.handle_timeout(after(2));
    assert_eq!(sent(after(2), &mut connection), ping(0));
    assert_eq!(connection.poll_timeout(), Some((after(5), Timer::Pong)));
    connection.handle_timeout(after(4));
    assert_eq!(connection.poll_event(), None);
    connection.handle_timeout(after(5));
    let error = Error::TimedOut(Timer::Pong);
    assert_eq!(drain(&mut connection), [Event::Closed(error)]);
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn anything_that_comes_is_a_sign_of_life() {
    // ZMTP-52
    let large = [&[2][..], &100_000_u64.to_be_bytes()].concat();
    for octets in [pong(), ping(0), message(&["x"]), vec![0], large] {
        let mut connection = with_config(START, config(plain()));
        connection.handle_timeout(after(2));
        assert_eq!(connection.poll_timeout(), Some((after(5), Timer::Pong)));
        connection.handle_input(after(4), &octets);
        assert_eq!(connection.poll_timeout(), Some((after(6), Timer::Ping)));
        // What comes right into a lent buffer as well; a buffer into which nothing came is none.
        if let Some(mut buffer) = connection.receive_buffer() {
            bytes::BufMut::put_slice(&mut buffer, b"x");
            connection.handle_filled(after(5));
            assert_eq!(connection.poll_timeout(), Some((after(7), Timer::Ping)));
            connection.handle_filled(after(6));
            assert_eq!(connection.poll_timeout(), Some((after(7), Timer::Ping)));
        }
    }
}

#[test]
fn a_peer_that_talks_is_not_asked() {
    let mut connection = with_config(START, config(plain()));
    for second in 1..100 {
        connection.handle_input(after(second), &message(&["x"]));
        connection.handle_timeout(after(second));
        assert_eq!(lent(&connection), b"");
    }
}

#[test]
fn whoever_tells_a_time_to_live_pings_every_interval() {
    // ZMTP-55
    let heartbeat = Heartbeat {
        ttl: Some(5 * SECOND),
        ..plain()
    };
    let mut connection = with_config(START, config(heartbeat));
    for second in 1..20 {
        connection.handle_input(after(second), &message(&["x"]));
        connection.handle_timeout(after(second));
        let expected = if second % 2 == 0 { ping(50) } else { vec![] };
        assert_eq!(sent(after(second), &mut connection), expected, "{second}");
    }
}

#[test]
fn more_pings_do_not_put_off_the_death_of_a_silent_peer() {
    let heartbeat = Heartbeat {
        ttl: Some(5 * SECOND),
        ..plain()
    };
    let mut connection = with_config(START, config(heartbeat));
    for second in [2, 4] {
        connection.handle_timeout(after(second));
        assert_eq!(sent(after(second), &mut connection), ping(50));
    }
    assert_eq!(connection.poll_timeout(), Some((after(5), Timer::Pong)));
}

#[test]
fn a_time_to_live_is_rounded_up_to_tenths_and_never_more_than_655() {
    // ZMTP-55
    for (told, expected) in [
        (Duration::from_millis(1), 1),
        (Duration::from_millis(100), 1),
        (Duration::from_millis(101), 2),
        (Duration::from_millis(65_500), 655),
        (Duration::from_millis(65_501), 655),
        (Duration::from_secs(6_553), 655),
        (Duration::MAX, 655),
    ] {
        let heartbeat = Heartbeat {
            ttl: Some(told),
            ..plain()
        };
        let mut connection = with_config(START, config(heartbeat));
        connection.handle_timeout(after(2));
        assert_eq!(lent(&connection), ping(expected), "{told:?}");
    }
}

#[test]
fn the_time_to_live_that_the_peer_tells_is_honoured_without_heartbeats_of_our_own() {
    // ZMTP-54
    let mut connection = in_traffic(START);
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_input(START, &ping(30));
    assert_eq!(
        connection.poll_timeout(),
        Some((after(3), Timer::TimeToLive))
    );
    connection.handle_input(after(2), &message(&["x"]));
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_input(after(2), &ping(10));
    connection.handle_timeout(after(3));
    assert_eq!(
        connection.error(),
        Some(&Error::TimedOut(Timer::TimeToLive))
    );
}

#[test]
fn what_comes_after_a_ping_lifts_its_time_to_live_in_the_same_input_as_well() {
    // ZMTP-54
    let mut connection = in_traffic(START);
    connection.handle_input(START, &[ping(30), vec![0]].concat());
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_input(START, &[vec![0], ping(30)].concat());
    assert_eq!(
        connection.poll_timeout(),
        Some((after(3), Timer::TimeToLive))
    );
}

#[test]
fn a_time_to_live_of_zero_says_nothing() {
    // ZMTP-54
    let mut connection = in_traffic(START);
    connection.handle_input(START, &ping(0));
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn a_peer_of_version_3_0_is_not_asked_but_answered() {
    // ZMTP-53
    let mut connection = Connection::new(START, config(plain()));
    let greeting = Greeting {
        version: Version::V3_0,
        ..Greeting::new(MechanismName::NULL)
    };
    connection.handle_input(START, &greeting.encode());
    connection.handle_input(START, &ready("DEALER"));
    sent(START, &mut connection);
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_input(START, &ping(0));
    assert_eq!(lent(&connection), pong());
}

#[test]
fn the_silence_of_a_peer_that_nobody_reads_means_nothing() {
    // ZMTP-56
    let mut connection = with_config(START, config(plain()));
    connection.handle_timeout(after(2));
    connection.handle_input(after(2), &ping(100));
    connection.handle_timeout(after(4));
    connection.pause(after(4));
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_timeout(after(1000));
    assert!(connection.is_ready());
    connection.resume(after(1000));
    assert_eq!(connection.poll_timeout(), Some((after(1002), Timer::Ping)));
    connection.resume(after(1001));
    assert_eq!(connection.poll_timeout(), Some((after(1002), Timer::Ping)));
}

#[test]
fn whoever_does_not_read_still_pings_when_it_told_a_time_to_live() {
    let heartbeat = Heartbeat {
        ttl: Some(5 * SECOND),
        ..plain()
    };
    let mut connection = with_config(START, config(heartbeat));
    connection.pause(START);
    for second in 1..20 {
        connection.handle_timeout(after(second));
        let expected = if second % 2 == 0 { ping(50) } else { vec![] };
        assert_eq!(sent(after(second), &mut connection), expected, "{second}");
    }
    assert!(connection.is_ready());
}

#[test]
fn a_connection_paused_before_the_handshake_is_over_stays_so() {
    let mut connection = Connection::new(START, config(plain()));
    connection.pause(START);
    let greeting = Greeting::new(MechanismName::NULL).encode();
    connection.handle_input(START, &[&greeting[..], &ready("DEALER")].concat());
    assert!(connection.is_ready());
    assert_eq!(connection.poll_timeout(), None);
    connection.resume(after(9));
    assert_eq!(connection.poll_timeout(), Some((after(11), Timer::Ping)));
}

#[test]
fn pings_do_not_pile_up_before_a_peer_that_talks_and_does_not_read() {
    // ZMTP-51
    for ttl in [None, Some(5 * SECOND)] {
        let heartbeat = Heartbeat { ttl, ..plain() };
        let mut connection = with_config(START, config(heartbeat));
        for second in (3..3000).step_by(3) {
            connection.handle_timeout(after(second));
            connection.handle_input(after(second), &message(&["x"]));
            drain(&mut connection);
        }
        assert_eq!(connection.queued_octets(), 9);
        assert_eq!(connection.poll_timeout(), Some((after(2999), Timer::Ping)));
    }
}

#[test]
fn two_connections_with_heartbeats_keep_each_other_alive_for_a_day() {
    let heartbeat = Heartbeat {
        ttl: Some(3 * SECOND),
        ..Heartbeat::every(2 * SECOND)
    };
    let mut one = Connection::new(START, config(heartbeat));
    let mut other = Connection::new(START, config(plain()));
    let mut now = START;
    settle(now, &mut one, &mut other);
    while now < after(24 * 60 * 60) {
        let next = [one.poll_timeout(), other.poll_timeout()];
        let (next, _) = next.into_iter().flatten().min().unwrap();
        assert!(next > now, "a deadline that does not move");
        now = next;
        one.handle_timeout(now);
        other.handle_timeout(now);
        settle(now, &mut one, &mut other);
        assert!(one.is_ready() && other.is_ready(), "{now}");
    }
    one.send(Frames::from("good morning")).unwrap();
    settle(now, &mut one, &mut other);
    let last = drain(&mut other).pop();
    assert_eq!(last, Some(Event::Message(Frames::from("good morning"))));
}
