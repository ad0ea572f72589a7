//! Messages and commands both ways after the handshake, and what a peer must not do with them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod zmtp_common;

use atonce::wire::Text;
use atonce::wire::zmtp::{Command, OtherCommand, Ping, PingContext, SocketType};
use atonce::zmtp::{Config, Connection, Error, Event, Limits, Misbehaving};
use atonce::{Bytes, Frames, Instant};
use bytes::BufMut;
use zmtp_common::{
    command, drain, greeted, in_traffic, lent, message, messages, ready, sent, settle, wire,
    with_config,
};

const START: Instant = Instant::from_millis(1_000);

/// Why a connection in traffic ends when it is sent these octets; `None` when it does not.
fn fate(octets: &[u8]) -> Option<Error> {
    let mut connection = in_traffic(START);
    connection.handle_input(START, octets);
    match drain(&mut connection).pop() {
        Some(Event::Closed(error)) => Some(error),
        _ => None,
    }
}

fn limited(limits: Limits) -> Connection {
    let config = Config {
        limits,
        ..Config::new(SocketType::Router)
    };
    with_config(START, config)
}

fn limit_of(connection: &Connection) -> Option<(&'static str, u64, u64)> {
    match connection.error() {
        Some(Error::Misbehaving(Misbehaving::Limit {
            limit,
            at_most,
            found,
        })) => Some((limit, *at_most, *found)),
        Some(other) => panic!("{other}"),
        None => None,
    }
}

fn header(flags: u8, octets: u64) -> Vec<u8> {
    [&[flags | 2][..], &octets.to_be_bytes()].concat()
}

fn ping(ttl: u16, context: &[u8]) -> Vec<u8> {
    let context = PingContext::new(context).unwrap();
    command(&Command::Ping(Ping { ttl, context }))
}

fn pong(context: &[u8]) -> Vec<u8> {
    command(&Command::Pong(PingContext::new(context).unwrap()))
}

/// Octets that differ from place to place.
fn pattern(octets: usize) -> Vec<u8> {
    (0..=250).cycle().take(octets).collect()
}

/// Feeds all octets as an adapter with a scratch buffer of 64 KiB would, reading right into lent buffers; how many
/// octets went there.
fn feed_directly(connection: &mut Connection, mut octets: &[u8]) -> usize {
    let mut direct = 0;
    while !octets.is_empty() {
        let n;
        if let Some(mut buffer) = connection.receive_buffer() {
            n = buffer.remaining_mut().min(octets.len());
            assert!(n > 0, "a buffer without room was lent");
            buffer.put_slice(&octets[..n]);
            connection.handle_filled(START);
            direct += n;
        } else {
            n = octets.len().min(64 << 10);
            connection.handle_input(START, &octets[..n]);
        }
        octets = &octets[n..];
    }
    direct
}

#[test]
fn frames_of_0_octets_to_64_mib_come_through_both_receive_paths() {
    // ZMTP-40
    let sizes = [
        0,
        1,
        254,
        255,
        256,
        257,
        1023,
        1024,
        1025,
        8191,
        8192,
        65_535,
        65_536,
        65_537,
        1 << 20,
        (4 << 20) - 1,
        4 << 20,
        (4 << 20) + 1,
        (9 << 20) + 7,
        64 << 20,
    ];
    let mut sender = Connection::new(START, Config::new(SocketType::Dealer));
    let mut receivers = [(); 2].map(|()| Connection::new(START, Config::new(SocketType::Router)));
    sender.handle_input(START, &[greeted(), ready("ROUTER")].concat());
    for receiver in &mut receivers {
        receiver.handle_input(START, &[greeted(), ready("DEALER")].concat());
        assert!(matches!(receiver.poll_event(), Some(Event::Ready { .. })));
        sent(START, receiver);
    }
    sent(START, &mut sender);
    let mut direct = 0;
    for size in sizes {
        let frames = Frames::from_iter([Bytes::from_static(b"head"), pattern(size).into()]);
        sender.send(frames.clone()).unwrap();
        let octets = sent(START, &mut sender);
        receivers[0].handle_input(START, &octets);
        direct += feed_directly(&mut receivers[1], &octets);
        for receiver in &mut receivers {
            assert_eq!(receiver.pending_octets(), 4 + size);
            assert!(messages(receiver) == [frames.clone()], "{size}");
            assert!(receiver.is_idle());
        }
    }
    assert!(direct > 64 << 20, "large frames were not read directly");
}

#[test]
fn a_large_frame_is_not_copied_once_it_is_under_way() {
    let mut connection = in_traffic(START);
    let octets = pattern(1 << 20);
    connection.handle_input(START, &header(0, 1 << 20));
    connection.handle_input(START, &octets[..1000]);
    let mut buffer = connection.receive_buffer().unwrap();
    assert_eq!(buffer.remaining_mut(), (1 << 20) - 1000);
    let memory = buffer.get_ref().as_ptr();
    buffer.put_slice(&octets[1000..]);
    connection.handle_filled(START);
    let Some(Event::Message(frames)) = connection.poll_event() else {
        panic!("no message");
    };
    assert_eq!(frames[0].as_ptr(), memory);
    assert!(frames[0] == octets);
}

#[test]
fn a_buffer_is_lent_only_for_what_a_large_frame_lacks() {
    let mut connection = in_traffic(START);
    assert!(connection.receive_buffer().is_none());
    connection.handle_input(START, &header(0, 10_000));
    connection.handle_input(START, &pattern(10_000 - 8192));
    assert!(connection.receive_buffer().is_some());
    connection.handle_input(START, &pattern(1));
    assert!(connection.receive_buffer().is_none());
    connection.handle_input(START, &pattern(8191));
    assert_eq!(connection.pending_messages(), 1);
    assert!(connection.receive_buffer().is_none());
}

#[test]
fn filling_nothing_changes_nothing() {
    let mut connection = in_traffic(START);
    connection.handle_filled(START);
    connection.handle_input(START, &header(0, 100_000));
    assert!(connection.receive_buffer().is_some());
    connection.handle_filled(START);
    assert_eq!(connection.partial_octets(), 0);
    assert_eq!(connection.poll_event(), None);
    assert!(!connection.is_idle());
}

#[test]
fn what_is_appended_beyond_the_frame_is_input_all_the_same() {
    let mut connection = in_traffic(START);
    connection.handle_input(START, &header(0, 20_000));
    let mut buffer = connection.receive_buffer().unwrap();
    buffer.get_mut().put_slice(&pattern(20_000));
    buffer.get_mut().put_slice(&message(&["next", "one"]));
    connection.handle_filled(START);
    let expected = [
        Frames::from(pattern(20_000)),
        Frames::from_iter(["next", "one"]),
    ];
    assert!(messages(&mut connection) == expected);
}

#[test]
fn a_declared_length_reserves_4_mib_and_grows_only_with_what_comes() {
    // ZMTP-63
    let mut connection = in_traffic(START);
    connection.handle_input(START, &header(0, 256 << 20));
    let mut have = 0;
    let part = pattern(1 << 20);
    while have < 20 << 20 {
        let mut buffer = connection.receive_buffer().unwrap();
        let capacity = buffer.get_ref().capacity();
        assert!(
            capacity <= (4_usize << 20).max(2 * have),
            "{capacity} for {have}"
        );
        let n = buffer.remaining_mut().min(part.len());
        buffer.put_slice(&part[..n]);
        connection.handle_filled(START);
        have += n;
        assert_eq!(connection.partial_octets(), have);
    }
}

#[test]
fn a_message_of_many_frames_arrives_as_one() {
    // ZMTP-40
    let mut connection = in_traffic(START);
    let frames = (0..100).map(|n| format!("frame {n}")).collect::<Vec<_>>();
    for octets in message(&frames).chunks(7) {
        connection.handle_input(START, octets);
    }
    assert_eq!(messages(&mut connection), [Frames::from_iter(frames)]);
    assert!(connection.is_idle());
}

#[test]
fn commands_may_stand_between_the_frames_of_a_message() {
    // ZMTP-22
    let mut connection = in_traffic(START);
    let unknown = command(&Command::Other(OtherCommand::new("JOIN", "group").unwrap()));
    let octets = [
        wire(1, b"a"),
        ping(0, b"x"),
        wire(1, b"b"),
        unknown,
        wire(0, b"c"),
    ]
    .concat();
    connection.handle_input(START, &octets);
    assert_eq!(
        messages(&mut connection),
        [Frames::from_iter(["a", "b", "c"])]
    );
    assert_eq!(sent(START, &mut connection), pong(b"x"));
}

#[test]
fn a_long_header_before_a_small_frame_is_accepted() {
    // ZMTP-11
    let mut connection = in_traffic(START);
    connection.handle_input(START, &[header(1, 1), b"a".to_vec(), header(0, 0)].concat());
    assert_eq!(messages(&mut connection), [Frames::from_iter(["a", ""])]);
    assert_eq!(fate(&wire(4 | 2, b"\x04PING\x00\x00")), None);
}

#[test]
fn frames_of_up_to_255_octets_go_out_with_a_short_header() {
    // ZMTP-11
    let mut connection = in_traffic(START);
    connection.send(Frames::from(vec![7; 255])).unwrap();
    connection.send(Frames::from(vec![7; 256])).unwrap();
    let expected = [
        &[0, 255][..],
        &[7; 255],
        &[2, 0, 0, 0, 0, 0, 0, 1, 0],
        &[7; 256],
    ]
    .concat();
    assert_eq!(lent(&connection), expected);
}

#[test]
fn small_messages_are_lent_as_one_slice_and_large_frames_are_shared() {
    let mut connection = in_traffic(START);
    for _ in 0..1000 {
        connection
            .send(Frames::from_iter(["head", "content"]))
            .unwrap();
    }
    assert_eq!(connection.poll_transmit().count(), 1);
    let large = Bytes::from(pattern(100_000));
    connection
        .send_with_head(b"head", &Frames::from(large.clone()))
        .unwrap();
    let slices = connection.poll_transmit().collect::<Vec<_>>();
    assert_eq!(slices.len(), 2);
    assert_eq!(slices[1].as_ptr(), large.as_ptr());
}

#[test]
fn a_message_counts_as_queued_until_its_last_octet_is_taken() {
    let mut connection = in_traffic(START);
    connection.send(Frames::from_iter(["ab", "cd"])).unwrap();
    connection.send(Frames::from(pattern(2000))).unwrap();
    let all = 4 + 4 + 9 + 2000;
    assert_eq!(
        (connection.queued_octets(), connection.queued_messages()),
        (all, 2)
    );
    connection.handle_transmitted(START, 7);
    assert_eq!(
        (connection.queued_octets(), connection.queued_messages()),
        (all - 7, 2)
    );
    connection.handle_transmitted(START, 1);
    assert_eq!(
        (connection.queued_octets(), connection.queued_messages()),
        (all - 8, 1)
    );
    connection.handle_transmitted(START, 2008);
    assert_eq!(
        (connection.queued_octets(), connection.queued_messages()),
        (1, 1)
    );
    assert_eq!(
        connection.poll_transmit().collect::<Vec<_>>().concat(),
        [1999_usize % 251].map(|n| u8::try_from(n).unwrap())
    );
    connection.handle_transmitted(START, usize::MAX);
    assert_eq!(
        (connection.queued_octets(), connection.queued_messages()),
        (0, 0)
    );
    assert!(connection.is_idle());
}

#[test]
fn what_is_sent_in_any_pieces_arrives_whole() {
    let mut one = Connection::new(START, Config::new(SocketType::Dealer));
    let mut other = Connection::new(START, Config::new(SocketType::Router));
    settle(START, &mut one, &mut other);
    drain(&mut other);
    let message = Frames::from_iter([pattern(10), pattern(3000), pattern(0), pattern(300)]);
    for step in [1, 2, 9, 100, 1500] {
        one.send(message.clone()).unwrap();
        while one.queued_octets() > 0 {
            let slice = one.poll_transmit().next().unwrap();
            let octets = slice[..step.min(slice.len())].to_vec();
            one.handle_transmitted(START, octets.len());
            other.handle_input(START, &octets);
        }
        assert_eq!(messages(&mut other), core::slice::from_ref(&message));
    }
}

#[test]
fn the_limit_of_a_frame_is_the_last_size_that_is_let_in() {
    // ZMTP-60, ZMTP-70
    let limits = Limits {
        frame_octets: 1000,
        ..Limits::default()
    };
    let mut connection = limited(limits);
    connection.handle_input(START, &wire(0, &pattern(1000)));
    assert_eq!(limit_of(&connection), None);
    connection.handle_input(START, &header(0, 1001));
    assert_eq!(limit_of(&connection), Some(("frame_octets", 1000, 1001)));
    // What came before can still be taken.
    assert!(matches!(
        drain(&mut connection)[..],
        [Event::Message(_), Event::Closed(_)]
    ));
}

#[test]
fn the_limit_of_a_message_counts_all_its_frames() {
    // ZMTP-61
    let limits = Limits {
        message_octets: 1000,
        ..Limits::default()
    };
    let mut connection = limited(limits);
    connection.handle_input(
        START,
        &[wire(1, &pattern(600)), wire(0, &pattern(400))].concat(),
    );
    connection.handle_input(
        START,
        &[wire(1, &pattern(600)), wire(1, &pattern(400))].concat(),
    );
    assert_eq!(connection.pending_messages(), 1);
    assert_eq!(connection.partial_octets(), 1000);
    connection.handle_input(START, &header(0, 0));
    assert_eq!(connection.pending_messages(), 2);
    connection.handle_input(START, &wire(1, &pattern(600)));
    connection.handle_input(START, &header(0, 401));
    assert_eq!(limit_of(&connection), Some(("message_octets", 1000, 1001)));
    assert_eq!(connection.partial_octets(), 0);
}

#[test]
fn the_limit_of_frames_in_a_message_counts_the_last_one() {
    // ZMTP-61
    let limits = Limits {
        message_frames: 3,
        ..Limits::default()
    };
    let mut connection = limited(limits);
    connection.handle_input(START, &message(&["a", "b", "c"]));
    assert_eq!(limit_of(&connection), None);
    connection.handle_input(START, &message(&["a", "b", "c", "d"]));
    assert_eq!(limit_of(&connection), Some(("message_frames", 3, 4)));
}

#[test]
fn a_message_without_end_is_cut_off() {
    // ZMTP-61
    let mut connection = in_traffic(START);
    let endless = [1, 1, b'x'].repeat(1000);
    for _ in 0..3000 {
        connection.handle_input(START, &endless);
        assert!(connection.partial_octets() <= 1024);
    }
    assert_eq!(limit_of(&connection), Some(("message_frames", 1024, 1025)));
}

#[test]
fn limits_that_are_widened_hold_for_the_next_frame() {
    // ZMTP-64
    let small = Limits {
        frame_octets: 100,
        message_octets: 100,
        ..Limits::default()
    };
    let mut connection = limited(small);
    connection.handle_input(START, &wire(0, &pattern(100)));
    connection.set_limits(Limits::default());
    connection.handle_input(START, &wire(0, &pattern(1000)));
    assert_eq!(connection.pending_messages(), 2);
    // A frame under way was let in already.
    connection.handle_input(START, &header(0, 1000));
    connection.set_limits(small);
    connection.handle_input(START, &pattern(1000));
    assert_eq!(connection.pending_messages(), 3);
    connection.handle_input(START, &header(0, 101));
    assert_eq!(limit_of(&connection), Some(("frame_octets", 100, 101)));
}

#[test]
fn a_frame_larger_than_any_memory_is_refused_by_its_header() {
    // ZMTP-60
    for octets in [257 << 20, 1 << 30, u64::MAX >> 1] {
        let mut connection = in_traffic(START);
        connection.handle_input(START, &header(0, octets));
        assert_eq!(
            limit_of(&connection),
            Some(("frame_octets", 256 << 20, octets))
        );
    }
}

#[test]
fn what_is_not_in_the_grammar_ends_the_connection() {
    // ZMTP-10, ZMTP-12, ZMTP-20
    let field = |octets: &[u8]| match fate(octets) {
        Some(Error::Malformed(malformed)) => malformed.field,
        other => panic!("{other:?}"),
    };
    // PING without a time to live.
    assert_eq!(field(b"\x04\x05\x04PING"), "PING.ttl");
    for flags in [0x05, 0x07, 0x08, 0x10, 0x20, 0x40, 0x80, 0xf8, 0xff] {
        assert_eq!(field(&[flags]), "frame.flags");
    }
    assert_eq!(field(&header(0, 1 << 63)), "frame.size");
    assert_eq!(field(&header(4, u64::MAX)), "frame.size");
    assert_eq!(field(&wire(4, b"")), "command.name");
    assert_eq!(field(&wire(4, b"\x00")), "command.name");
    assert_eq!(field(&wire(4, b"\x05PING")), "command.name");
}

#[test]
fn a_second_ready_ends_the_connection() {
    // ZMTP-32
    let error = fate(&ready("DEALER"));
    assert_eq!(
        error,
        Some(Error::Misbehaving(Misbehaving::Unexpected("second READY")))
    );
}

#[test]
fn a_ready_in_a_message_frame_is_a_message_in_traffic() {
    // ZMTP-42
    let mut connection = in_traffic(START);
    let body = &ready("DEALER")[2..];
    connection.handle_input(START, &wire(0, body));
    assert_eq!(messages(&mut connection), [Frames::from(body.to_vec())]);
}

#[test]
fn commands_that_nobody_knows_are_ignored() {
    // ZMTP-21, ZMTP-43
    let mut connection = in_traffic(START);
    for name in [
        "HELLO", "WELCOME", "INITIATE", "MESSAGE", "JOIN", "LEAVE", "x", "\u{fffd}",
    ] {
        let other = OtherCommand::new(name, pattern(1000)).unwrap();
        connection.handle_input(START, &command(&Command::Other(other)));
    }
    connection.handle_input(START, &command(&Command::Subscribe("a".into())));
    connection.handle_input(START, &command(&Command::Cancel("a".into())));
    connection.handle_input(START, &pong(b"never asked"));
    assert_eq!(connection.poll_event(), None);
    assert!(connection.is_idle());
    assert!(connection.is_ready());
}

#[test]
fn a_publisher_is_told_subscriptions() {
    // ZMTP-43
    for kind in [SocketType::Pub, SocketType::XPub] {
        let mut connection = Connection::new(START, Config::new(kind));
        connection.handle_input(START, &[greeted(), ready("SUB")].concat());
        connection.handle_input(START, &command(&Command::Subscribe("a".into())));
        connection.handle_input(START, &command(&Command::Cancel("a".into())));
        assert!(matches!(connection.poll_event(), Some(Event::Ready { .. })));
        assert_eq!(connection.poll_event(), Some(Event::Subscribe("a".into())));
        assert_eq!(connection.poll_event(), Some(Event::Cancel("a".into())));
    }
}

#[test]
fn a_subscriber_says_what_it_wants_after_the_handshake_and_in_order() {
    // ZMTP-44
    let mut connection = Connection::new(START, Config::new(SocketType::XSub));
    connection.subscribe(b"too early");
    connection.handle_input(START, &[greeted(), ready("PUB")].concat());
    sent(START, &mut connection);
    connection.subscribe(b"a");
    connection.send(Frames::from("between")).unwrap();
    connection.cancel(b"a");
    let said = sent(START, &mut connection);
    let expected = [
        command(&Command::Subscribe("a".into())),
        message(&[b"between"]),
        command(&Command::Cancel("a".into())),
    ];
    assert_eq!(said, expected.concat());
    connection.refuse(&"enough".try_into().unwrap());
    sent(START, &mut connection);
    connection.subscribe(b"too late");
    assert_eq!(connection.queued_octets(), 0);
}

#[test]
fn a_publisher_of_3_0_is_told_by_messages() {
    // ZMTP-45
    for kind in [SocketType::Sub, SocketType::XSub] {
        let mut connection = Connection::new(START, Config::new(kind));
        let mut greeting = greeted();
        greeting[11] = 0;
        connection.handle_input(START, &[greeting, ready("PUB")].concat());
        sent(START, &mut connection);
        let long = vec![b'a'; 300];
        connection.subscribe(b"");
        connection.send(Frames::from("between")).unwrap();
        connection.subscribe(&long);
        connection.cancel(b"b");
        // They are for the publisher, not for its application.
        assert_eq!(connection.queued_messages(), 1);
        let expected = [
            message(&[b"\x01"]),
            message(&[b"between"]),
            message(&[[b"\x01", &long[..]].concat()]),
            message(&[b"\x00b"]),
        ];
        assert_eq!(sent(START, &mut connection), expected.concat());
    }
}

#[test]
fn a_flood_of_pings_that_are_never_read_costs_one_pong() {
    // ZMTP-50, ZMTP-51
    let mut connection = in_traffic(START);
    for n in 0..100_000_u32 {
        connection.handle_input(START, &ping(0, &n.to_be_bytes()));
    }
    assert_eq!(connection.poll_event(), None);
    assert_eq!(lent(&connection), pong(&0_u32.to_be_bytes()));
    // Begun is finished; then the newest one is answered, and nothing after it.
    connection.handle_transmitted(START, 5);
    connection.handle_input(START, &ping(0, b"last"));
    assert_eq!(
        sent(START, &mut connection),
        pong(&0_u32.to_be_bytes())[5..]
    );
    assert_eq!(sent(START, &mut connection), pong(b"last"));
    assert!(connection.is_idle());
}

#[test]
fn a_pong_waits_behind_what_is_queued_and_never_within_a_frame() {
    // ZMTP-41
    let mut connection = in_traffic(START);
    connection.send(Frames::from(pattern(5000))).unwrap();
    connection.handle_transmitted(START, 100);
    connection.handle_input(START, &ping(0, b"x"));
    connection.send(Frames::from("after")).unwrap();
    let octets = sent(START, &mut connection);
    let expected = [&pattern(5000)[91..], &pong(b"x"), &message(&["after"])].concat();
    assert!(octets == expected);
}

#[test]
fn refusing_in_traffic_flushes_what_was_queued_first() {
    // ZMTP-73
    let mut connection = in_traffic(START);
    connection.send(Frames::from("goodbye")).unwrap();
    connection.handle_input(START, &message(&["taken later"]));
    let reason = Text::try_from("full").unwrap();
    connection.refuse(&reason);
    connection.handle_input(START, &message(&["too late"]));
    assert_eq!(messages(&mut connection), [Frames::from("taken later")]);
    let expected = [message(&["goodbye"]), command(&Command::Error(reason))].concat();
    assert_eq!(sent(START, &mut connection), expected);
}

#[test]
fn what_was_queued_is_forgotten_when_the_peer_misbehaves() {
    // ZMTP-72
    let mut connection = in_traffic(START);
    connection.send(Frames::from(pattern(100_000))).unwrap();
    connection.handle_input(START, &[wire(1, b"half a message"), wire(8, b"")].concat());
    assert!(matches!(drain(&mut connection)[..], [Event::Closed(_)]));
    assert!(connection.is_idle());
    assert_eq!(connection.queued_messages(), 0);
}
