//! How often the system is called for what is sent and received.

use std::time::{Duration, Instant};

use atonce_std::Frames;
use atonce_std::driver::{Poller, SocketDriver};
use atonce_std::socket::{Kind, SocketBuilder};

use crate::helpers::{ANY, LONG};

struct Driven {
    driver: SocketDriver,
    poller: Poller,
    came: usize,
}

impl Driven {
    fn new(kind: Kind) -> Self {
        let options = SocketBuilder::<()>::new(kind).options().unwrap();
        let (driver, poller) = SocketDriver::new(options).unwrap();
        Self {
            driver,
            poller,
            came: 0,
        }
    }

    /// One turn, without waiting long.
    fn turn(&mut self) {
        let soon = Duration::from_millis(1);
        let timeout = self.driver.timeout().map_or(soon, |left| left.min(soon));
        self.poller.wait(Some(timeout)).unwrap();
        self.driver.turn(&mut self.poller);
        while self.driver.recv().unwrap().is_some() {
            self.came += 1;
        }
    }

    fn hear(&mut self, messages: usize) {
        let begun = Instant::now();
        while self.came < messages {
            self.turn();
            assert!(begun.elapsed() < LONG, "it does not come");
        }
    }
}

/// Two that met.
fn pair(endpoint: &str) -> (Driven, Driven) {
    let (mut one, mut other) = (Driven::new(Kind::Pair), Driven::new(Kind::Pair));
    let endpoint = other.driver.bind(&endpoint.parse().unwrap()).unwrap();
    one.driver.connect(&endpoint).unwrap();
    let begun = Instant::now();
    let met = |it: &Driven| it.driver.socket().peers().count() == 1;
    while !(met(&one) && met(&other)) {
        one.turn();
        other.turn();
        assert!(begun.elapsed() < LONG, "they do not meet");
    }
    (one, other)
}

#[test]
fn a_message_that_stands_alone_is_one_write_and_one_read() {
    let folder = tempfile::tempdir().unwrap();
    for endpoint in [
        ANY.to_owned(),
        format!("ipc://{}/socket", folder.path().display()),
    ] {
        let (mut one, mut other) = pair(&endpoint);
        let message = Frames::from(vec![7; 1_000]);
        for n in 1..=50 {
            std::thread::sleep(Duration::from_millis(1));
            let (writes, reads) = (one.driver.calls().writes, other.driver.calls().reads);
            one.driver.send(&message).unwrap();
            assert_eq!(
                one.driver.calls().writes,
                writes + 1,
                "it is written at once"
            );
            other.hear(n);
            assert_eq!(other.driver.calls().reads, reads + 1, "and read once");
        }
    }
}

#[test]
fn messages_of_a_stream_are_written_and_read_together() {
    const MESSAGES: usize = 900;
    let (mut one, mut other) = pair(ANY);
    one.driver.hold_back(Duration::from_millis(1));
    let message = Frames::from(vec![7; 64]);
    let (writes, reads) = (one.driver.calls().writes, other.driver.calls().reads);
    for _ in 0..MESSAGES {
        one.driver.send(&message).unwrap();
    }
    one.driver.flush();
    let written = one.driver.calls().writes - writes;
    // Each would be one, if they were not gathered; how many it is depends on how fast this machine writes.
    assert!(written < MESSAGES as u64 / 4, "{written} writes");
    other.hear(MESSAGES);
    let read = other.driver.calls().reads - reads;
    assert!(read < 16, "{read} reads");
}

#[test]
fn two_of_one_machine_meet_with_few_calls() {
    let (one, other) = pair(ANY);
    let calls = [one.driver.calls(), other.driver.calls()];
    // The greeting of the one that dials; greeting and READY of the other; READY.
    assert_eq!(calls.map(|calls| calls.writes), [2, 1]);
}
