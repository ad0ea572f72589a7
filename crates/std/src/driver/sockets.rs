//! The sockets of a node, made with the options that each needs.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted. When a mesh of hundreds of nodes starts at once, each dials all others
/// within a beacon interval; what overflows is not refused but dropped by the kernel, and costs seconds of
/// retransmission. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// What the kernel may hold of beacons while the node is busy. A beacon of 22 octets is charged with several hundred;
/// the default holds less than 300, one second of a mesh of that size. The kernel caps it at `net.core.rmem_max`.
const BEACON_BUFFER: usize = 1024 * 1024;

/// A mailbox on this address, on the first free of these ports; on any free port when the range is `0..=0`.
pub(crate) fn listen(
    address: IpAddr,
    ports: &RangeInclusive<u16>,
) -> io::Result<mio::net::TcpListener> {
    let mut last = io::Error::from(ErrorKind::AddrInUse); // for an empty range
    for port in ports.clone() {
        match listen_on(SocketAddr::new(address, port)) {
            Ok(listener) => return Ok(mio::net::TcpListener::from_std(listener)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// The same on every address of this machine, over IPv4 and IPv6, on this port; 0 is any.
pub(crate) fn listen_on_all(port: u16) -> io::Result<mio::net::TcpListener> {
    let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    listen_with(address, |socket| socket.set_only_v6(false)).map(mio::net::TcpListener::from_std)
}

fn listen_on(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    listen_with(address, |_| Ok(()))
}

fn listen_with(
    address: SocketAddr,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    prepare(&socket)?;
    socket.set_nonblocking(true)?;
    // A node that is started again on its port must not wait until its old connections are forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The socket on which the beacons of all interfaces arrive. All nodes of a machine share the port: a broadcast is given
/// to every socket that is bound to it.
pub(crate) fn beacon_receiver(port: u16) -> io::Result<mio::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    // Others that share the port (C Zyre, Pyre) set it, and on some systems all of them must or none.
    socket.set_reuse_port(true)?;
    socket.set_broadcast(true)?;
    if let Err(error) = socket.set_recv_buffer_size(BEACON_BUFFER) {
        tracing::debug!(%error, "the receive buffer of beacons stays as it is");
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    Ok(mio::net::UdpSocket::from_std(socket.into()))
}

/// The socket on which beacons arrive that are sent to this node alone, and from which it sends its own: of several on one port
/// only one would get what is sent to it, so it shares it with nobody.
pub(crate) fn directed_receiver(port: u16) -> io::Result<mio::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    Ok(mio::net::UdpSocket::from_std(socket.into()))
}

/// The address of this machine from which it sends to another: the system looks for the way, and nothing is sent.
pub(crate) fn address_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// A socket that sends beacons from this address. Receivers take the source of a beacon for the address of the mailbox,
/// so each interface needs one of its own.
pub(crate) fn beacon_sender(address: IpAddr) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(address, 0);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_first_free_port_of_a_range_is_taken() {
        let taken = std::net::TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen(LOOPBACK, &(port..=port)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let next = listen(LOOPBACK, &(port..=u16::MAX)).unwrap();
        assert!(next.local_addr().unwrap().port() > port);
        assert!(listen(LOOPBACK, &(0..=0)).is_ok());
    }

    #[test]
    fn a_directed_node_has_its_port_to_itself() {
        let first = directed_receiver(0).unwrap();
        let port = first.local_addr().unwrap().port();
        for taken in [directed_receiver(port), beacon_receiver(port)] {
            assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
        }
        drop(first);
        let _shared = beacon_receiver(port).unwrap();
        let taken = directed_receiver(port).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn the_way_to_this_machine_begins_at_its_loopback() {
        let towards = address_towards("127.0.0.1:5671".parse().unwrap()).unwrap();
        assert_eq!(towards, LOOPBACK);
    }

    #[test]
    fn every_node_of_a_machine_gets_a_broadcast_on_its_loopback() {
        // Port 0 first, to learn of a port that is free; the second shares it.
        let first = beacon_receiver(0).unwrap();
        let port = first.local_addr().unwrap().port();
        let second = beacon_receiver(port).unwrap();
        let sender = beacon_sender(LOOPBACK).unwrap();
        sender.send_to(b"hello", ("127.255.255.255", port)).unwrap();
        for receiver in [first, second] {
            let mut octets = [0; 16];
            let (length, source) = receiver.recv_from(&mut octets).unwrap();
            assert_eq!(&octets[..length], b"hello");
            assert_eq!(source, sender.local_addr().unwrap());
        }
    }
}
