//! What the ZMTP machine allocates, and what it keeps: counted, not believed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod counting_common;
mod zmtp_common;

use std::collections::VecDeque;

use atonce::socket::{self, Action, Kind, Socket};
use atonce::wire::zmtp::{Command, Metadata, Ping, PingContext, SocketType};
use atonce::zmtp::{Config, Connection, Event};
use atonce::{Bytes, Frames, Instant, LinkId};
use bytes::BufMut;
use counting_common::{COUNT, LIVE};
use zmtp_common::{command, drain, greeted, in_traffic, message, messages, ready, sent, wire};

const START: Instant = Instant::from_millis(1_000);

/// How many allocations `work` makes.
fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

/// How many octets more are allocated after `work` than before, while what it returns lives.
fn kept<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE.get();
    let result = work();
    (usize::try_from(LIVE.get() - before).unwrap(), result)
}

#[test]
fn sending_a_small_message_allocates_nothing_while_the_queue_is_not_empty() {
    let mut connection = in_traffic(START);
    let content = Frames::from_iter([Bytes::from(vec![1; 6]), Bytes::from(vec![2; 64])]);
    let rest = Frames::from(Bytes::from(vec![2; 64]));
    connection.send_with_head(b"head", &rest).unwrap();
    let mut work = || {
        for _ in 0..1_000 {
            connection.send(content.clone()).unwrap();
            connection.send_with_head(b"head", &rest).unwrap();
            connection.handle_transmitted(START, 2 * (6 + 64 + 4) - 2);
        }
    };
    // From then on the memory is as large as it will be.
    work();
    assert_eq!(allocations(work), 0);
    assert!(connection.queued_octets() > 0);
}

#[test]
fn a_burst_of_small_messages_allocates_a_few_times_not_once_a_message() {
    let mut connection = in_traffic(START);
    let content = Frames::from(Bytes::from_static(&[1; 16]));
    let work = || {
        for _ in 0..1_000 {
            connection.send(content.clone()).unwrap();
        }
        connection.handle_transmitted(START, usize::MAX);
    };
    let count = allocations(work);
    assert!(count < 40, "{count}");
}

#[test]
fn receiving_small_messages_allocates_for_each_first_frame_and_for_runs_of_others() {
    let mut connection = in_traffic(START);
    let single = message(&[[7; 64]]).repeat(500);
    let double = message(&[[7; 6], [8; 6]]).repeat(500);
    let receive = |connection: &mut Connection, octets: &[u8]| {
        let before = COUNT.get();
        connection.handle_input(START, octets);
        let mut count = 0;
        while let Some(event) = connection.poll_event() {
            assert!(matches!(event, Event::Message(_)));
            count += 1;
        }
        assert_eq!(count, 500);
        COUNT.get() - before
    };
    // The list of events grows a few times.
    let singles = receive(&mut connection, &single);
    assert!((500..515).contains(&singles), "{singles}");
    let doubles = receive(&mut connection, &double);
    assert!((500..520).contains(&doubles), "{doubles}");
}

#[test]
fn a_quiet_connection_owns_nothing_but_what_the_peer_told_about_itself() {
    let (before, mut connection) = kept(|| in_traffic(START));
    assert_eq!(before, 0);
    let work = || {
        for size in [0, 10, 1000, 5000, 100_000, 5 << 20] {
            connection.handle_input(START, &wire(1, b"first"));
            connection.handle_input(START, &wire(0, &vec![7; size]));
            connection.send(Frames::from(vec![7; size])).unwrap();
            let ping = Command::Ping(Ping::default());
            connection.handle_input(START, &command(&ping));
        }
        drain(&mut connection);
        while !sent(START, &mut connection).is_empty() {}
    };
    let (after, ()) = kept(work);
    assert_eq!(after, 0);
    assert!(connection.is_idle());
    assert!(
        size_of::<Connection>() <= 544,
        "{}",
        size_of::<Connection>()
    );
}

#[test]
fn what_the_peer_told_about_itself_is_kept_in_ready_only() {
    let metadata = Metadata::new()
        .with("Socket-Type", b"DEALER")
        .and_then(|metadata| metadata.with("X-Large", &vec![7; 60_000]))
        .unwrap();
    let octets = [greeted(), command(&Command::Ready(metadata))].concat();
    let mut connection = Connection::new(START, Config::new(SocketType::Router));
    sent(START, &mut connection);
    let before = LIVE.get();
    connection.handle_input(START, &octets);
    sent(START, &mut connection);
    let event = connection.poll_event();
    assert!(matches!(event, Some(Event::Ready { .. })));
    let with_event = LIVE.get();
    drop(event);
    let without = LIVE.get();
    assert!((60_000..62_000).contains(&(with_event - without)));
    // And what only the beginning needed was given back.
    assert!(without < before, "{without} after {before}");
}

#[test]
fn ten_thousand_properties_cost_their_octets() {
    let mut body = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER".to_vec();
    while body.len() + 6 <= 64 << 10 {
        body.extend(b"\x01x\x00\x00\x00\x00");
    }
    let octets = [greeted(), wire(6, &body)].concat();
    let mut connection = Connection::new(START, Config::new(SocketType::Router));
    let (held, ()) = kept(|| connection.handle_input(START, &octets));
    assert!(connection.is_ready());
    assert!(held < (64 << 10) + 2_048, "{held}");
}

#[test]
fn a_large_frame_is_allocated_once() {
    let mut connection = in_traffic(START);
    let content = vec![7; 1 << 20];
    let header = [&[2][..], &(1_u64 << 20).to_be_bytes()].concat();
    let work = || {
        connection.handle_input(START, &header);
        for part in content.chunks(100_000) {
            let Some(mut buffer) = connection.receive_buffer() else {
                connection.handle_input(START, part);
                continue;
            };
            buffer.put_slice(part);
            connection.handle_filled(START);
        }
    };
    let count = allocations(work);
    assert_eq!(count, 1);
    assert!(messages(&mut connection) == [Frames::from(content)]);
}

#[test]
fn a_length_that_is_only_claimed_costs_4_mib_of_address_space_at_most() {
    // ZMTP-63
    let mut connection = in_traffic(START);
    let header = [&[2][..], &(256_u64 << 20).to_be_bytes(), b"x"].concat();
    let work = || {
        connection.handle_input(START, &header);
        assert!(connection.receive_buffer().is_some());
    };
    let (held, ()) = kept(work);
    assert!(held <= (4 << 20) + 256, "{held}");
}

#[test]
fn content_to_many_peers_is_in_memory_once() {
    let content = Frames::from(Bytes::from(vec![7; 1 << 20]));
    let mut connections = (0..50).map(|_| in_traffic(START)).collect::<Vec<_>>();
    let work = || {
        for connection in &mut connections {
            connection.send_with_head(b"head", &content).unwrap();
        }
    };
    let (held, ()) = kept(work);
    assert!(held < 50 * 1_024, "{held}");
}

#[test]
fn a_flood_of_pings_that_are_never_read_holds_no_memory() {
    let mut connection = in_traffic(START);
    let context = PingContext::new(&[7; 16]).unwrap();
    let ping = command(&Command::Ping(Ping { ttl: 0, context }));
    let octets = ping.repeat(1_000);
    let work = || {
        for _ in 0..100 {
            connection.handle_input(START, &octets);
        }
    };
    let (held, ()) = kept(work);
    assert!(held < 512, "{held}");
}

#[cfg(feature = "curve")]
mod sealed {
    use std::sync::Arc;

    use atonce::curve::{KeyPair, Seed};
    use atonce::zmtp::{Security, Verdict};
    use zmtp_common::carry;

    use super::*;

    fn keys() -> Arc<KeyPair> {
        Arc::new(KeyPair::generate([2; 32]))
    }

    fn server(keys: &Arc<KeyPair>) -> Connection {
        let security = Security::CurveServer {
            keys: Arc::clone(keys),
            seed: Seed::from_bytes([4; 32]),
        };
        let config = Config::new(SocketType::Router);
        Connection::new(START, Config { security, ..config })
    }

    fn client(server: &KeyPair) -> Connection {
        let security = Security::CurveClient {
            keys: Arc::new(KeyPair::generate([1; 32])),
            server: *server.public(),
            seed: Seed::from_bytes([3; 32]),
        };
        let config = Config::new(SocketType::Dealer);
        Connection::new(START, Config { security, ..config })
    }

    #[test]
    fn a_handshake_that_is_left_half_done_costs_the_server_872_octets() {
        // ZMTP-82
        let keys = keys();
        let mut client = client(&keys);
        let (held, mut server) = kept(|| {
            let mut server = server(&keys);
            // Greetings; then HELLO, and WELCOME that is sent and not heard.
            carry(START, &mut client, &mut server);
            carry(START, &mut server, &mut client);
            carry(START, &mut client, &mut server);
            assert!(sent(START, &mut server).starts_with(b"\x04\xa8\x07WELCOME"));
            server
        });
        assert!(server.poll_event().is_none() && !server.is_ready());
        // 360 octets of memory beside the connection itself.
        let octets = held + size_of::<Connection>();
        assert!(octets <= 872, "{octets}");
    }

    #[test]
    fn sending_a_small_message_allocates_nothing_while_the_queue_is_not_empty() {
        let keys = keys();
        let (mut client, mut server) = (client(&keys), server(&keys));
        while carry(START, &mut client, &mut server) | carry(START, &mut server, &mut client) {
            server.handle_verdict(START, Verdict::Allow);
        }
        assert!(client.is_ready());
        let rest = Frames::from(Bytes::from(vec![2; 1_024]));
        client.send_with_head(b"head", &rest).unwrap();
        let octets = client.queued_octets();
        let mut work = || {
            for _ in 0..1_000 {
                client.send_with_head(b"head", &rest).unwrap();
                client.handle_transmitted(START, octets);
            }
        };
        // From then on the memory is as large as it will be.
        work();
        assert_eq!(allocations(work), 0);
    }
}

#[test]
fn a_connection_that_failed_holds_its_events_only() {
    let (held, mut connection) = kept(|| {
        let mut connection = Connection::new(START, Config::new(SocketType::Router));
        connection.handle_input(START, &[greeted(), ready("DEALER")].concat());
        drain(&mut connection);
        connection.send(Frames::from(vec![7; 100_000])).unwrap();
        connection.handle_input(START, &wire(1, &[7; 50_000]));
        connection.handle_input(START, &wire(0, &[7; 100_000])[..60_000]);
        connection.pause(START);
        connection
    });
    assert!(held > 200_000, "{held}");
    let before = LIVE.get();
    connection.handle_filled(START);
    connection.refuse(&"full".try_into().unwrap());
    sent(START, &mut connection);
    let freed = usize::try_from(before - LIVE.get()).unwrap();
    assert_eq!(freed, held);
}

/// Two sockets whose embedder is this test.
struct Sockets {
    push: Socket,
    pull: Socket,
    here: LinkId,
    there: LinkId,
    wire: Vec<u8>,
}

impl Sockets {
    fn new() -> Self {
        let endpoint = "tcp://127.0.0.1:5555".parse().unwrap();
        let mut push = Socket::new(START, [1; 32], Kind::Push, socket::Config::default());
        let mut pull = Socket::new(START, [2; 32], Kind::Pull, socket::Config::default());
        let listener = pull.bind(START, &endpoint).unwrap();
        push.connect(START, &endpoint).unwrap();
        let Some(Action::Dial { link: here, .. }) = push.poll_action() else {
            panic!("it dials");
        };
        let there = pull.handle_accepted(START, listener, None).unwrap();
        push.handle_connected(START, here);
        let wire = Vec::with_capacity(1 << 20);
        let mut sockets = Self {
            push,
            pull,
            here,
            there,
            wire,
        };
        for _ in 0..3 {
            sockets.carry();
        }
        assert_eq!(sockets.push.peers().count(), 1);
        sockets
    }

    fn carry(&mut self) {
        for _ in 0..2 {
            let (here, there) = (self.here, self.there);
            pass(&mut self.push, here, &mut self.pull, there, &mut self.wire);
            pass(&mut self.pull, there, &mut self.push, here, &mut self.wire);
        }
        while self.push.poll_action().is_some() {}
        while self.pull.poll_action().is_some() {}
    }
}

/// All that one has to send goes to the other.
fn pass(from: &mut Socket, its: LinkId, to: &mut Socket, theirs: LinkId, wire: &mut Vec<u8>) {
    wire.clear();
    wire.extend(from.poll_transmit(its).flatten());
    from.handle_transmitted(START, its, wire.len());
    to.handle_received(START, theirs, wire);
}

#[test]
fn a_socket_sends_without_allocations_and_receives_small_messages_in_runs() {
    let mut sockets = Sockets::new();
    let message = Frames::from(Bytes::from(vec![7; 16]));
    let send = |sockets: &mut Sockets| {
        for _ in 0..900 {
            sockets.push.send(START, &message).unwrap();
        }
    };
    let mut taken = VecDeque::with_capacity(1_000);
    let mut take = |sockets: &mut Sockets| {
        sockets
            .pull
            .recv_many(START, usize::MAX, &mut taken)
            .unwrap();
        assert_eq!(taken.len(), 900);
        taken.clear();
    };
    // From then on the memory is as large as it will be.
    send(&mut sockets);
    sockets.carry();
    take(&mut sockets);
    // The queue, and where its messages end.
    let sent = allocations(|| send(&mut sockets));
    assert!(sent < 25, "{sent}");
    // Two for each 2 KiB, and the list of events.
    let received = allocations(|| sockets.carry());
    assert!(received < 50, "{received}");
    assert_eq!(allocations(|| take(&mut sockets)), 0);
    // Alone, each has its own.
    let alone = allocations(|| {
        for _ in 0..100 {
            sockets.push.send(START, &message).unwrap();
            sockets.carry();
            assert!(sockets.pull.recv(START).unwrap().is_some());
        }
    });
    assert!(alone <= 110, "{alone}");
}
