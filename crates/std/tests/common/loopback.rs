//! Ports and patience, for the tests of each adapter.
#![allow(dead_code)] // each test program uses a part of it
#![allow(
    clippy::unwrap_used,
    reason = "a test is where it belongs, also outside of its function"
)]

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Longer than anything here may take, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A port at which nobody is, of UDP and of TCP, and which nobody else gets before this process has ended, whether somebody is
/// there all the time or not. It is below the ephemeral ports, so that no socket that takes any port has it by chance.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // What keeps it from others is a socket at another port that belongs to it.
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let process = u16::try_from(std::process::id() % 400).unwrap();
    loop {
        let port = 20_000 + process * 25 + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        let Ok(held) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port - 10_000)) else {
            continue;
        };
        let everywhere = (Ipv4Addr::UNSPECIFIED, port);
        if UdpSocket::bind(everywhere).is_ok() && TcpListener::bind(everywhere).is_ok() {
            HELD.lock().unwrap().push(held);
            return port;
        }
    }
}

/// An endpoint of TCP at such a port.
pub(crate) fn free_endpoint() -> String {
    format!("tcp://127.0.0.1:{}", free_port())
}
