//! The same work in instructions and allocations, which are the same on a busy machine: `benches/instructions` compares them
//! with what was recorded.
#![allow(missing_docs, unused_qualifications)] // what gungraun makes

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce::wire::Beacon;
use atonce::wire::zre::{Limits, Message};
use atonce::zmtp::Connection;
use atonce::{Bytes, Frames, Instant, LinkId, PeerId};
use atonce_benches::{
    Swarm, beacon, content, keys, mesh, messages, pair, sealed_pair, send, stream, transmit,
};
use gungraun::prelude::*;
use gungraun::{Callgrind, Dhat};

/// Messages in a row, so that what is done once counts little.
const TIMES: usize = 100;

// ---- codecs

fn message(kind: &str) -> Message {
    let found = messages().into_iter().find(|(name, _)| *name == kind);
    found.expect("there is one of each kind").1
}

/// A message, and what its head is written to.
fn with_room(kind: &str) -> (Message, Vec<u8>) {
    (message(kind), Vec::with_capacity(1_024))
}

#[library_benchmark(setup = with_room)]
#[bench::hello("HELLO")]
#[bench::whisper("WHISPER")]
#[bench::shout("SHOUT")]
#[bench::join("JOIN")]
#[bench::leave("LEAVE")]
#[bench::ping("PING")]
#[bench::ping_ok("PING-OK")]
fn encode((message, mut head): (Message, Vec<u8>)) -> (Message, Vec<u8>) {
    black_box(&message).encode_head(&mut head);
    (message, head)
}

fn encoded(kind: &str) -> Frames {
    message(kind).encode()
}

#[library_benchmark(setup = encoded)]
#[bench::hello("HELLO")]
#[bench::whisper("WHISPER")]
#[bench::shout("SHOUT")]
#[bench::join("JOIN")]
#[bench::leave("LEAVE")]
#[bench::ping("PING")]
#[bench::ping_ok("PING-OK")]
fn decode(frames: Frames) -> Message {
    let decoded = Message::decode(black_box(frames), &Limits::default());
    decoded.expect("it was encoded")
}

#[library_benchmark]
#[bench::one(beacon())]
fn encode_beacon(beacon: Beacon) -> Bytes {
    black_box(&beacon).encode()
}

#[library_benchmark]
#[bench::one(beacon().encode())]
fn decode_beacon(octets: Bytes) -> Beacon {
    Beacon::decode(black_box(&octets)).expect("it was encoded")
}

// ---- a connection

fn dealer(octets: usize) -> (Connection, Frames) {
    let (mut dealer, _) = pair();
    let content = content(octets);
    // What it keeps for the next message is there.
    send(&mut dealer, &content, TIMES);
    (dealer, content)
}

// Each is taken by the network before the next comes.
#[library_benchmark(setup = dealer)]
#[bench::octets_64(64)]
#[bench::octets_64k(64 << 10)]
fn send_each((mut dealer, content): (Connection, Frames)) -> (Connection, Frames) {
    for _ in 0..TIMES {
        send(&mut dealer, &content, 1);
    }
    (dealer, content)
}

// They are taken together.
#[library_benchmark(setup = dealer)]
#[bench::octets_64(64)]
#[bench::octets_4k(4 << 10)]
fn send_together((mut dealer, content): (Connection, Frames)) -> (Connection, Frames) {
    send(&mut dealer, &content, TIMES);
    (dealer, content)
}

fn router(octets: usize, chunk: usize) -> (Connection, Vec<u8>, usize) {
    let (_, router) = pair();
    let stream = stream(TIMES, octets);
    let chunk = chunk.min(stream.len());
    (router, stream, chunk)
}

#[library_benchmark(setup = router)]
#[bench::octets_64(64, 64 << 10)]
#[bench::octets_64_in_pieces(64, 50)]
#[bench::octets_4k(4 << 10, 64 << 10)]
fn receive((mut router, stream, chunk): (Connection, Vec<u8>, usize)) -> (Connection, Vec<u8>) {
    for chunk in stream.chunks(chunk) {
        router.handle_input(Instant::ZERO, chunk);
        while let Some(event) = router.poll_event() {
            black_box(event);
        }
    }
    (router, stream)
}

// ---- a connection with CURVE; what seals depends on the processor, which valgrind shows without AVX-512

fn sealed_dealer(octets: usize) -> (Connection, Frames) {
    let (mut dealer, _) = sealed_pair(&keys());
    let content = content(octets);
    send(&mut dealer, &content, TIMES);
    (dealer, content)
}

#[library_benchmark(setup = sealed_dealer)]
#[bench::octets_64(64)]
#[bench::octets_4k(4 << 10)]
fn send_sealed((mut dealer, content): (Connection, Frames)) -> (Connection, Frames) {
    for _ in 0..TIMES {
        send(&mut dealer, &content, 1);
    }
    (dealer, content)
}

fn sealed_router(octets: usize) -> (Connection, Vec<u8>) {
    let (mut dealer, router) = sealed_pair(&keys());
    let mut stream = Vec::new();
    for _ in 0..TIMES {
        dealer.send(content(octets)).expect("it is ready");
        stream.extend(transmit(&mut dealer));
    }
    (router, stream)
}

#[library_benchmark(setup = sealed_router)]
#[bench::octets_64(64)]
#[bench::octets_4k(4 << 10)]
fn receive_sealed((mut router, stream): (Connection, Vec<u8>)) -> (Connection, Vec<u8>) {
    for chunk in stream.chunks(64 << 10) {
        router.handle_input(Instant::ZERO, chunk);
        while let Some(event) = router.poll_event() {
            black_box(event);
        }
    }
    (router, stream)
}

#[library_benchmark(setup = keys)]
#[bench::both_sides()]
fn handshake(keys: [Arc<KeyPair>; 2]) -> (Connection, Connection) {
    sealed_pair(black_box(&keys))
}

// ---- a node

type Swarmed = (Swarm, Vec<PeerId>, Frames);

/// What came over which link.
type Said = (Swarm, Vec<(LinkId, Vec<u8>)>);

/// A node of so many peers that did all of it before.
fn swarm(peers: usize) -> Swarmed {
    let mut swarm = Swarm::new(peers);
    let (ids, content) = (swarm.ids(), content(64));
    swarm.whisper(&ids, &content);
    swarm.shout(&content);
    swarm.pass(Duration::from_secs(1));
    swarm.hear_beacons();
    swarm.tick();
    (swarm, ids, content)
}

#[library_benchmark(setup = swarm)]
#[bench::peers_10(10)]
#[bench::peers_1000(1_000)]
fn whisper_to_each((mut swarm, ids, content): Swarmed) -> Swarmed {
    swarm.whisper(&ids, &content);
    (swarm, ids, content)
}

#[library_benchmark(setup = swarm)]
#[bench::peers_10(10)]
fn whispers_in_a_row((mut swarm, ids, content): Swarmed) -> Swarmed {
    let peer = ids.first().expect("there are some");
    swarm.whisper_in_a_row(*peer, TIMES, &content);
    (swarm, ids, content)
}

#[library_benchmark(setup = swarm)]
#[bench::peers_10(10)]
#[bench::peers_100(100)]
fn shout((mut swarm, ids, content): Swarmed) -> Swarmed {
    swarm.shout(&content);
    (swarm, ids, content)
}

#[library_benchmark(setup = swarm)]
#[bench::peers_10(10)]
#[bench::peers_1000(1_000)]
fn a_second_of_beacons((mut swarm, ids, content): Swarmed) -> Swarmed {
    swarm.pass(Duration::from_secs(1));
    swarm.hear_beacons();
    swarm.tick();
    (swarm, ids, content)
}

fn whispers(peers: usize, times: usize) -> Said {
    let mut swarm = Swarm::new(peers);
    let first = swarm.whispers(times, &content(64));
    swarm.hear(&first);
    let second = swarm.whispers(times, &content(64));
    (swarm, second)
}

#[library_benchmark(setup = whispers)]
#[bench::one_of_each_of_1000(1_000, 1)]
#[bench::many_of_one(1, TIMES)]
fn whisper_from_each((mut swarm, said): Said) -> Said {
    assert!(swarm.hear(&said) > 0);
    (swarm, said)
}

// ---- the simulator

#[library_benchmark]
#[bench::nodes_10(10)]
fn mesh_for_10_s(nodes: usize) -> u64 {
    mesh(nodes, Duration::from_secs(10))
}

library_benchmark_group!(
    name = codecs,
    benchmarks = [encode, decode, encode_beacon, decode_beacon]
);
library_benchmark_group!(
    name = connection,
    benchmarks = [send_each, send_together, receive]
);
library_benchmark_group!(
    name = sealed,
    benchmarks = [send_sealed, receive_sealed, handshake]
);
library_benchmark_group!(
    name = node,
    benchmarks = [
        whisper_to_each,
        whispers_in_a_row,
        shout,
        a_second_of_beacons,
        whisper_from_each
    ]
);
library_benchmark_group!(name = sim, benchmarks = mesh_for_10_s);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no"]))
        .tool(Dhat::default()),
    library_benchmark_groups = [codecs, connection, sealed, node, sim]
);
