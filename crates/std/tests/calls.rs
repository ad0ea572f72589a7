//! How often the system is called for what is said and heard.

#![allow(clippy::unwrap_used)] // a test that is wrong may stop

#[path = "common/loopback.rs"]
mod loopback;

#[cfg(target_os = "linux")]
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use atonce_std::driver::{Driver, Poller};
use atonce_std::{Builder, Event, Frames, PeerId};

use loopback::PATIENCE;
#[cfg(target_os = "linux")]
use loopback::free_port;

struct Node {
    driver: Driver,
    poller: Poller,
    /// How often it waited.
    waits: u64,
    heard: Vec<Event>,
}

impl Node {
    fn start() -> Self {
        Self::start_on(0)
    }

    /// With this port for beacons; 0 for none.
    fn start_on(port: u16) -> Self {
        let options = Builder::<()>::default()
            .interface("lo")
            .port(port)
            .options();
        let (driver, poller) = Driver::new(options.unwrap()).unwrap();
        let (waits, heard) = (0, Vec::new());
        Self {
            driver,
            poller,
            waits,
            heard,
        }
    }

    /// One turn, without waiting long.
    fn turn(&mut self) {
        let soon = Duration::from_millis(1);
        let timeout = self.driver.timeout().map_or(soon, |left| left.min(soon));
        self.poller.wait(Some(timeout)).unwrap();
        self.waits += 1;
        self.driver.turn(&mut self.poller);
        self.heard
            .extend(std::iter::from_fn(|| self.driver.poll_event()));
    }

    fn whispers(&self) -> usize {
        let whispers = self.heard.iter();
        whispers
            .filter(|event| matches!(event, Event::Whisper { .. }))
            .count()
    }
}

/// Two that met, and what the second is called.
fn pair() -> (Node, Node, PeerId) {
    let (mut one, mut other) = (Node::start(), Node::start());
    let endpoint = other.driver.stack().endpoints().next().unwrap();
    one.driver
        .connect(&endpoint.to_string().parse().unwrap())
        .unwrap();
    let begun = Instant::now();
    let met = |node: &Node| node.driver.stack().peers().count() == 1;
    while !(met(&one) && met(&other)) {
        one.turn();
        other.turn();
        assert!(begun.elapsed() < PATIENCE, "they do not meet");
    }
    let id = other.driver.stack().id();
    (one, other, id)
}

/// Lets it have turns until it heard so many whispers.
fn hear(node: &mut Node, whispers: usize) {
    let begun = Instant::now();
    while node.whispers() < whispers {
        node.turn();
        assert!(begun.elapsed() < PATIENCE, "it does not come");
    }
}

#[test]
fn a_link_between_nodes_of_one_machine_takes_three_writes_and_three_reads() {
    let (one, other, _) = pair();
    let calls = [one.driver.calls(), other.driver.calls()];
    // Each dialled the other: its greeting; the greeting and READY of the one that was dialled; READY and HELLO.
    assert_eq!(calls.map(|calls| calls.writes), [3, 3]);
    // The same in turn.
    assert_eq!(calls.map(|calls| calls.reads), [3, 3]);
}

#[test]
fn a_message_that_stands_alone_is_one_write_and_one_read() {
    let (mut one, mut other, id) = pair();
    let content = Frames::from(vec![7; 1_000]);
    for n in 1..=50 {
        std::thread::sleep(Duration::from_millis(1));
        let (writes, reads) = (one.driver.calls().writes, other.driver.calls().reads);
        one.driver.whisper(id, &content).unwrap();
        assert_eq!(
            one.driver.calls().writes,
            writes + 1,
            "it is written at once"
        );
        hear(&mut other, n);
        assert_eq!(other.driver.calls().reads, reads + 1, "and read once");
    }
}

#[test]
fn a_large_message_is_one_write_and_few_reads() {
    let (mut one, mut other, id) = pair();
    let content = Frames::from(vec![7; 100_000]);
    let (writes, reads) = (one.driver.calls().writes, other.driver.calls().reads);
    one.driver.whisper(id, &content).unwrap();
    assert_eq!(one.driver.calls().writes, writes + 1);
    hear(&mut other, 1);
    // All of it is there: what fits into the buffer for small reads, or that and the rest.
    assert!(other.driver.calls().reads <= reads + 2);
}

#[test]
fn messages_of_a_stream_are_written_and_read_together() {
    const MESSAGES: usize = 9_000;
    let (mut one, mut other, id) = pair();
    one.driver.hold_back(Duration::from_millis(1));
    let content = Frames::from(vec![7; 64]);
    let (writes, reads) = (one.driver.calls().writes, other.driver.calls().reads);
    for _ in 0..MESSAGES {
        one.driver.whisper(id, &content).unwrap();
    }
    one.driver.flush();
    let written = one.driver.calls().writes - writes;
    // Each would be one, if they were not gathered; how many it is depends on how fast this machine writes.
    assert!(written < MESSAGES as u64 / 4, "{written} writes");
    hear(&mut other, MESSAGES);
    let read = other.driver.calls().reads - reads;
    assert!(read < 64, "{read} reads");
}

#[test]
fn who_waits_for_an_event_waits_once_for_what_comes_together() {
    let (mut one, mut other, id) = pair();
    one.driver.hold_back(Duration::from_millis(1));
    for _ in 0..1_000 {
        one.driver.whisper(id, &Frames::from("a")).unwrap();
    }
    one.driver.flush();
    // Whatever the kernel still does with it on its own.
    std::thread::sleep(Duration::from_millis(20));
    let waits = other.waits;
    hear(&mut other, 1_000);
    assert_eq!(other.waits, waits + 1);
}

#[test]
#[cfg(target_os = "linux")]
fn beacons_that_wait_are_read_thirty_two_at_a_time() {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free_port();
    let mut node = Node::start_on(port);
    node.turn();
    let reads = node.driver.calls().beacon_reads;
    for _ in 0..90 {
        stranger.send_to(b"no beacon", ("127.0.0.1", port)).unwrap();
    }
    // And its own first one, perhaps.
    node.turn();
    assert_eq!(node.driver.calls().beacon_reads, reads + 3);
}
