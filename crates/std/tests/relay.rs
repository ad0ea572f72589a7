//! The relay over real sockets.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use atonce::once::relay::{Counters, Limits};
use atonce::wire::once::{Prelude, Ticket};
use atonce_std::StartError;
use atonce_std::driver::RelayDriver;

const DIALLER: Ticket = Ticket::from_bytes([0xD1; 32]);
const ACCEPTOR: Ticket = Ticket::from_bytes([0xAC; 32]);
const LONG: Duration = Duration::from_secs(20);

/// A relay on a thread of its own that expects the two.
struct Running {
    address: SocketAddr,
    stop: Sender<()>,
    thread: thread::JoinHandle<Counters>,
}

impl Running {
    fn start(limits: Limits) -> Self {
        let loopback = [Ipv4Addr::LOCALHOST.into()];
        let (mut driver, mut poller) = RelayDriver::new(&loopback, 0, limits).unwrap();
        assert!(driver.expect(DIALLER, ACCEPTOR));
        let address = driver.addresses().next().unwrap();
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            while stopped.try_recv().is_err() {
                let often = Duration::from_millis(20);
                let timeout = driver.timeout().map_or(often, |timeout| timeout.min(often));
                poller.wait(Some(timeout)).unwrap();
                driver.turn(&mut poller);
            }
            *driver.relay().counters()
        });
        Self {
            address,
            stop,
            thread,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    fn comes(&self, ticket: Ticket) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(&Prelude { ticket }.encode()).unwrap();
        stream
    }

    fn stop(self) -> Counters {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

/// Octets that tell where they are.
fn octets(from: usize, many: usize) -> Vec<u8> {
    (from..from + many)
        .map(|n| (n / 251 + n % 251).to_le_bytes()[0])
        .collect()
}

/// Whether the relay closed the connection without a word.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(octets) => octets == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn what_is_said_at_one_end_comes_out_at_the_other() {
    // ONCE-120, ONCE-122
    const MANY: usize = 8 << 20;
    let relay = Running::start(Limits::default());
    let ends = [DIALLER, ACCEPTOR].map(|ticket| relay.comes(ticket));
    thread::scope(|scope| {
        for (end, from) in ends.iter().zip([0, 7_000]) {
            let (mut said, mut heard) = (end, end);
            scope.spawn(move || said.write_all(&octets(from, MANY)).unwrap());
            scope.spawn(move || {
                let mut all = vec![0; MANY];
                heard.read_exact(&mut all).unwrap();
                assert!(all == octets(7_000 - from, MANY), "not what was said");
            });
        }
    });
    let counters = relay.stop();
    assert_eq!((counters.joined, counters.octets), (1, 2 * MANY as u64));
}

#[test]
fn who_does_not_read_holds_the_other_back_and_loses_nothing() {
    // ONCE-123
    let relay = Running::start(Limits::default());
    let (mut fast, mut slow) = (relay.comes(DIALLER), relay.comes(ACCEPTOR));
    fast.set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut said = 0;
    // More than all buffers on the way hold, which is less than 64 MiB.
    let stuck = loop {
        match fast.write(&octets(said, 100_000)) {
            Ok(taken) => said += taken,
            Err(error) => break error.kind(),
        }
        assert!(said < 64 << 20, "it is not held back");
    };
    assert!(
        matches!(stuck, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{stuck}"
    );
    drop(fast);
    // The relay has little of it; the rest is in the buffers of both connections.
    let mut heard = Vec::new();
    slow.read_to_end(&mut heard).unwrap();
    assert!(heard == octets(0, said), "{} of {said}", heard.len());
    relay.stop();
}

#[test]
fn the_end_of_one_is_the_end_of_the_other() {
    // ONCE-124
    let relay = Running::start(Limits::default());
    let (mut one, mut other) = (relay.comes(DIALLER), relay.comes(ACCEPTOR));
    // What is heard was said when both were there.
    let mut hello = [0; 5];
    other.write_all(b"hello").unwrap();
    one.read_exact(&mut hello).unwrap();
    one.write_all(b"goodbye").unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    other.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"goodbye");
    assert!(is_closed(&one));
    assert_eq!(relay.stop().joined, 1);
}

#[test]
fn strangers_are_closed_and_disturb_nobody() {
    // ONCE-120, ONCE-121, ONCE-125
    let limits = Limits {
        deadline: Duration::from_millis(300),
        ..Limits::default()
    };
    let relay = Running::start(limits);
    let mut browser = relay.connect();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(is_closed(&browser));
    assert!(is_closed(&relay.comes(Ticket::from_bytes([0; 32]))));
    assert!(is_closed(&relay.connect()), "it says nothing");
    let (mut one, mut other) = (relay.comes(ACCEPTOR), relay.comes(DIALLER));
    one.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    other.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    assert!(is_closed(&relay.comes(ACCEPTOR)), "a ticket is good once");
    let counters = relay.stop();
    assert_eq!(
        (
            counters.strangers,
            counters.wrong_tickets,
            counters.too_slow
        ),
        (1, 2, 1)
    );
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let loopback = [Ipv4Addr::LOCALHOST.into()];
    let error = RelayDriver::new(&loopback, port, Limits::default()).unwrap_err();
    assert!(matches!(error, StartError::Mailbox { .. }));
    let told = error.to_string();
    assert!(told.contains("of the relay (127.0.0.1)"), "{told}");
}
