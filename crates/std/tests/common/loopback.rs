//! Ports and patience, for the tests of each adapter.
#![allow(
    clippy::unwrap_used,
    reason = "a test is where it belongs, also outside of its function"
)]

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Longer than anything here may take, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A beacon port that is free: below the ephemeral ports, so that no socket of another test gets it by chance.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 400).unwrap();
    loop {
        let port = 20_000 + process * 25 + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
