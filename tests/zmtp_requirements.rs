//! Requirements of `spec/zmtp.md` that no other suite of the ZMTP machine shows by the way.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that is wrong may stop

mod zmtp_common;

use core::time::Duration;

use atonce::wire::zmtp::{Greeting, MechanismName, SocketType};
use atonce::zmtp::{Config, Connection, Error, Event, Heartbeat, Timer};
use atonce::{Frames, Instant};
use zmtp_common::{
    command, drain, greeted, in_traffic, lent, message, messages, ready, wire, with_config,
};

const START: Instant = Instant::from_millis(1_000);

fn router() -> Connection {
    Connection::new(START, Config::new(SocketType::Router))
}

#[test]
fn one_that_is_parted_before_traffic_still_sees_what_we_are() {
    // ZMTP-72
    let ours = Greeting::new(MechanismName::NULL).encode().to_vec();
    for theirs in [
        b"GET / HTTP/1.1\r\n".to_vec(),
        Greeting::new(MechanismName::CURVE).encode().to_vec(),
    ] {
        let mut connection = router();
        connection.handle_input(START, &theirs);
        assert!(connection.is_closed());
        assert_eq!(lent(&connection), ours);
    }
    // One whose READY is no good sees our READY as well, but nothing that waited for the end of the handshake.
    let mut connection = router();
    connection.send(Frames::from("waits")).unwrap();
    connection.handle_input(START, &[greeted(), wire(4, b"\x05READY")].concat());
    assert!(connection.is_closed());
    let said = lent(&connection);
    let rest = said.strip_prefix(ours.as_slice()).unwrap();
    assert!(rest.starts_with(b"\x04\x29\x05READY"));
    assert_eq!(rest.len(), 2 + 0x29);
}

#[test]
fn each_reason_for_the_end_is_told_apart() {
    // ZMTP-71
    let end = |mut connection: Connection, octets: &[u8]| {
        connection.handle_input(START, octets);
        if let Some((at, _)) = connection.poll_timeout() {
            connection.handle_timeout(at);
        }
        match drain(&mut connection).pop() {
            Some(Event::Closed(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(
        end(in_traffic(START), b"\x08"),
        Error::Malformed(_)
    ));
    let again = ready("DEALER");
    assert!(matches!(
        end(in_traffic(START), &again),
        Error::Misbehaving(_)
    ));
    let http = end(router(), b"GET");
    assert!(matches!(http, Error::Incompatible(_)));
    let refusal = wire(4, b"\x05ERROR\x02no");
    let refused = end(in_traffic(START), &refusal);
    assert!(matches!(refused, Error::Refused { reason } if reason.as_bytes() == b"no"));
    assert_eq!(end(router(), b""), Error::TimedOut(Timer::Handshake));
    let ping = command(&atonce::wire::zmtp::Command::Ping(
        atonce::wire::zmtp::Ping {
            ttl: 1,
            ..Default::default()
        },
    ));
    let silent = end(in_traffic(START), &ping);
    assert_eq!(silent, Error::TimedOut(Timer::TimeToLive));
}

#[test]
fn greeting_and_handshake_share_thirty_seconds() {
    // ZMTP-38
    let end = START + Duration::from_secs(30);
    let mut connection = router();
    assert_eq!(connection.poll_timeout(), Some((end, Timer::Handshake)));
    // What comes in drops wins no time, neither in the greeting nor after it.
    for (second, octet) in (0_u32..).zip(greeted()) {
        let now = START + second * Duration::from_millis(400);
        connection.handle_input(now, &[octet]);
        assert_eq!(connection.poll_timeout(), Some((end, Timer::Handshake)));
    }
    connection.handle_timeout(end);
    assert_eq!(connection.error(), Some(&Error::TimedOut(Timer::Handshake)));
}

#[test]
fn one_end_of_a_connection_is_no_matter_of_another() {
    // ZMTP-70
    let (mut one, mut other) = (in_traffic(START), in_traffic(START));
    let before = message(&["before"]);
    let after = message(&["after"]);
    one.handle_input(START, &[before, vec![0x08], after.clone()].concat());
    other.handle_input(START, &after);
    assert_eq!(
        one.poll_event(),
        Some(Event::Message(Frames::from("before")))
    );
    assert!(matches!(
        one.poll_event(),
        Some(Event::Closed(Error::Malformed(_)))
    ));
    assert_eq!(one.poll_event(), None);
    one.handle_input(START, &after);
    assert_eq!(one.poll_event(), None);
    assert_eq!((one.poll_timeout(), lent(&one)), (None, vec![]));
    assert_eq!(messages(&mut other), [Frames::from("after")]);
}

#[test]
fn heartbeats_are_only_sent_where_they_were_asked_for() {
    // ZMTP-52
    let silent = in_traffic(START);
    assert_eq!(silent.poll_timeout(), None);
    let asking = Config {
        heartbeat: Some(Heartbeat::every(Duration::from_secs(2))),
        ..Config::new(SocketType::Router)
    };
    let asking = with_config(START, asking);
    let at = START + Duration::from_secs(2);
    assert_eq!(asking.poll_timeout(), Some((at, Timer::Ping)));
}
