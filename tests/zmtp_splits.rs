//! However a stream is cut, and whichever way it is handed in, the same comes out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod zmtp_common;

use atonce::Instant;
use atonce::wire::zmtp::{Command, OtherCommand, Ping, PingContext};
use atonce::zmtp::{Config, Connection, Event, Limits};
use bytes::BufMut;
use proptest::prelude::*;
use zmtp_common::{command, drain, greeted, lent, ready, wire};

const START: Instant = Instant::from_millis(1_000);

/// Everything that can be seen from outside after some octets came.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    to_send: Vec<u8>,
    partial: usize,
    closed: bool,
}

fn router() -> Connection {
    let limits = Limits {
        frame_octets: 40_000,
        message_octets: 60_000,
        message_frames: 6,
        ..Limits::default()
    };
    let socket_type = atonce::wire::zmtp::SocketType::Router;
    Connection::new(
        START,
        Config {
            limits,
            ..Config::new(socket_type)
        },
    )
}

fn outcome(connection: &mut Connection, mut events: Vec<Event>) -> Outcome {
    events.extend(drain(connection));
    Outcome {
        events,
        to_send: lent(connection),
        partial: connection.partial_octets(),
        closed: connection.is_closed(),
    }
}

fn at_once(octets: &[u8]) -> Outcome {
    let mut connection = router();
    connection.handle_input(START, octets);
    outcome(&mut connection, Vec::new())
}

/// Hands the octets in, in pieces of these sizes, over and over; into lent buffers when there are any, unless told
/// not to. Events are taken now and then.
fn in_pieces(mut octets: &[u8], sizes: &[usize], directly: bool) -> Outcome {
    let mut connection = router();
    let mut events = Vec::new();
    for (round, size) in sizes.iter().cycle().enumerate() {
        if octets.is_empty() {
            break;
        }
        let mut n = octets.len().min(*size);
        match connection.receive_buffer() {
            Some(mut buffer) if directly => {
                n = n.min(buffer.remaining_mut());
                buffer.put_slice(&octets[..n]);
                connection.handle_filled(START);
            }
            _ => connection.handle_input(START, &octets[..n]),
        }
        octets = &octets[n..];
        if round % 3 == 0 {
            events.extend(drain(&mut connection));
        }
    }
    outcome(&mut connection, events)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        8 => 0..20_usize,
        2 => 250..260_usize,
        1 => 8_000..20_000_usize,
        1 => 39_990..40_001_usize,
    ];
    (size, any::<u8>()).prop_map(|(size, seed)| {
        let first = usize::from(seed);
        (0..=250).cycle().skip(first).take(size).collect()
    })
}

/// A frame that may be there, with or without LONG; now and then something that may not.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let context = || {
        prop::collection::vec(any::<u8>(), 0..=16)
            .prop_map(|octets| PingContext::new(&octets).unwrap())
    };
    let ping = (0..3_u16, context());
    prop_oneof![
        20 => (0..4_u8, body()).prop_map(|(flags, body)| wire(flags, &body)),
        4 => ping.prop_map(|(ttl, context)| command(&Command::Ping(Ping { ttl, context }))),
        2 => context().prop_map(|context| command(&Command::Pong(context))),
        2 => body().prop_map(|data| {
            command(&Command::Other(OtherCommand::new("OTHER", data).unwrap()))
        }),
        1 => Just(ready("DEALER")),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let frames = prop::collection::vec(frame(), 0..20);
    (frames, 0..60_usize).prop_map(|(frames, cut)| {
        let mut octets = [greeted(), ready("DEALER")].concat();
        octets.extend(frames.concat());
        octets.truncate(octets.len().saturating_sub(cut));
        octets
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_stream_means_the_same_in_any_pieces(
        octets in stream(),
        sizes in prop::collection::vec(prop_oneof![1..12_usize, 1..3000_usize, Just(65_536)], 1..12),
        directly in any::<bool>(),
    ) {
        prop_assert_eq!(in_pieces(&octets, &sizes, directly), at_once(&octets));
    }

    #[test]
    fn any_octets_in_place_of_a_greeting_mean_the_same_in_any_pieces(
        prefix in 0..64_usize,
        rest in prop::collection::vec(any::<u8>(), 0..100),
        sizes in prop::collection::vec(1..20_usize, 1..8),
    ) {
        let octets = [&greeted()[..prefix], &rest].concat();
        prop_assert_eq!(in_pieces(&octets, &sizes, true), at_once(&octets));
    }
}

#[test]
fn a_stream_cut_in_two_anywhere_or_into_single_octets_means_the_same() {
    // ZMTP-13
    let ping = |context: &[u8]| {
        let context = PingContext::new(context).unwrap();
        command(&Command::Ping(Ping { ttl: 7, context }))
    };
    let octets = [
        greeted(),
        ready("DEALER"),
        wire(1, b"a"),
        ping(b"between"),
        wire(3, b"bc"),
        wire(0, &[7; 300]),
        ping(b""),
        wire(2, b""),
        wire(0, &[9; 9000]),
        command(&Command::Other(OtherCommand::new("X", "y").unwrap())),
        wire(1, b"begun"),
        vec![2, 0, 0],
    ]
    .concat();
    let whole = at_once(&octets);
    assert_eq!(whole.events.len(), 4);
    for cut in 0..=octets.len() {
        let mut connection = router();
        connection.handle_input(START, &octets[..cut]);
        let events = drain(&mut connection);
        connection.handle_input(START, &octets[cut..]);
        assert!(outcome(&mut connection, events) == whole, "cut at {cut}");
    }
    assert!(in_pieces(&octets, &[1], false) == whole);
    assert!(in_pieces(&octets, &[1], true) == whole);
}
