//! What the kernel's sockets cost: raw TCP, over two connections, one each way, as ZRE has them.
//!
//! One way, the octets of as many messages are written in pieces of 1 MiB and read into a buffer of 128 KiB, which is faster
//! than smaller and larger ones; nothing says where a message ends. Socket buffers are as the kernel makes them, as they are
//! for the others.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use atonce_versus::{Load, Role, RoundTrips, Watch, reached_at, role};

const WRITTEN: usize = 1024 * 1024;
const READ: usize = 128 * 1024;

fn main() {
    match role() {
        Role::Sink => sink(),
        Role::Source(load) => source(&load),
        Role::Echo => echo(),
        Role::Ping(load) => ping(&load),
        other => panic!("no {other:?} with bare sockets"),
    }
}

/// The connection in, and the one out.
fn accepted() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    reached_at(listener.local_addr().expect("an address"));
    let accept = || {
        let (stream, _) = listener.accept().expect("somebody connects");
        stream.set_nodelay(true).expect("it is TCP");
        stream
    };
    (accept(), accept())
}

/// The connection in, and the one out.
fn connected(address: &str) -> (TcpStream, TcpStream) {
    let connect = || {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("it is TCP");
        stream
    };
    let out = connect();
    (connect(), out)
}

fn announce(out: &mut TcpStream, load: &Load) {
    for number in [load.count, load.size] {
        let octets = (number as u64).to_be_bytes();
        out.write_all(&octets).expect("it can be written");
    }
}

/// How many messages follow, and how large each is.
fn announced(input: &mut TcpStream) -> (usize, usize) {
    let mut number = || {
        let mut octets = [0; 8];
        input.read_exact(&mut octets).expect("it says");
        usize::try_from(u64::from_be_bytes(octets)).expect("it is small")
    };
    (number(), number())
}

fn sink() {
    let (mut input, mut out) = accepted();
    let (count, size) = announced(&mut input);
    let mut piece = vec![0; READ];
    let mut left = count * size;
    let watch = Watch::start();
    while left > 0 {
        let read = input.read(&mut piece).expect("it can be read");
        assert_ne!(read, 0, "it ends too early");
        left -= read;
    }
    watch.report(count);
    out.write_all(b"done").expect("it can be written");
}

fn source(load: &Load) {
    let (mut input, mut out) = connected(&load.address);
    announce(&mut out, load);
    let piece = vec![7; WRITTEN];
    let mut left = load.count * load.size;
    let watch = Watch::start();
    while left > 0 {
        let octets = left.min(piece.len());
        out.write_all(&piece[..octets]).expect("it can be written");
        left -= octets;
    }
    let mut done = [0; 4];
    input.read_exact(&mut done).expect("it says so");
    watch.report(load.count);
}

fn echo() {
    let (mut input, mut out) = accepted();
    let (count, size) = announced(&mut input);
    let mut message = vec![0; size];
    for _ in 0..count {
        input.read_exact(&mut message).expect("it can be read");
        out.write_all(&message).expect("it can be written");
    }
}

fn ping(load: &Load) {
    let (mut input, mut out) = connected(&load.address);
    let mut trips = RoundTrips::new(load.count);
    let all = Load {
        count: load.count + load.count / 10,
        ..load.clone()
    };
    announce(&mut out, &all);
    let mut message = vec![7; load.size];
    while trips.lacks(load.count) {
        let begun = Instant::now();
        out.write_all(&message).expect("it can be written");
        input.read_exact(&mut message).expect("it can be read");
        trips.note(begun);
    }
    trips.report();
}
