//! What the tests have in common.

use std::time::{Duration, Instant};

use atonce_std::socket::{Backoff, Kind, SocketBuilder};
use atonce_std::{Frames, Socket};

/// For what happens at once.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// For what is not to happen.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

pub(crate) const ANY: &str = "tcp://127.0.0.1:0";

/// One that comes back at once.
pub(crate) fn builder(kind: Kind) -> SocketBuilder {
    let soon = Duration::from_millis(20);
    Socket::builder(kind).reconnect(Backoff {
        first: soon,
        longest: soon,
        jitter: 0,
    })
}

pub(crate) fn open(kind: Kind) -> Socket {
    builder(kind).open().unwrap()
}

/// One that is bound to a port of the loopback, and one that is connected to it.
pub(crate) fn pair(bound: Kind, connected: Kind) -> (Socket, Socket) {
    let bound = open(bound);
    let endpoint = bound.bind(ANY).unwrap();
    let connected = builder(connected).connect(endpoint).open().unwrap();
    (bound, connected)
}

/// What came; the first frame of it, as a string.
pub(crate) fn text(message: &Frames) -> String {
    String::from_utf8(message.last().unwrap().to_vec()).unwrap()
}

/// The next message, which is to come.
pub(crate) fn recv(socket: &Socket) -> Frames {
    let message = socket.recv_timeout(LONG).unwrap();
    message.unwrap_or_else(|| panic!("nothing came to {socket:?}"))
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn wait_for_peers(socket: &Socket, peers: usize) {
    wait_until("the peers do not come", || socket.peers().len() == peers);
}
