//! The sockets of a node, made with the options that each needs.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};

use super::interfaces::Found;

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
    listen_at(SocketAddr::new(address, 0), ports)
}

/// The same on an address that may be good on one link only.
pub(crate) fn listen_at(
    mut address: SocketAddr,
    ports: &RangeInclusive<u16>,
) -> io::Result<mio::net::TcpListener> {
    let mut last = io::Error::from(ErrorKind::AddrInUse); // for an empty range
    for port in ports.clone() {
        address.set_port(port);
        match listen_on(address) {
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

/// The socket on which the beacons of all interfaces arrive, one for each family. All nodes of a machine share the port: what is
/// sent to many is given to every socket that is bound to it.
pub(crate) fn beacon_receiver(domain: Domain, port: u16) -> io::Result<mio::net::UdpSocket> {
    let socket = datagrams(domain)?;
    socket.set_reuse_address(true)?;
    // Others that share the port (C Zyre, Pyre) set it, and on some systems all of them must or none.
    socket.set_reuse_port(true)?;
    socket.set_broadcast(true)?;
    if let Err(error) = socket.set_recv_buffer_size(BEACON_BUFFER) {
        tracing::debug!(%error, "the receive buffer of beacons stays as it is");
    }
    socket.bind(&SocketAddr::new(any(domain), port).into())?;
    Ok(mio::net::UdpSocket::from_std(socket.into()))
}

/// The socket on which beacons arrive that are sent to this node alone, and from which it sends its own: of several on one port
/// only one would get what is sent to it, so it shares it with nobody.
pub(crate) fn directed_receiver(domain: Domain, port: u16) -> io::Result<mio::net::UdpSocket> {
    let socket = datagrams(domain)?;
    socket.bind(&SocketAddr::new(any(domain), port).into())?;
    Ok(mio::net::UdpSocket::from_std(socket.into()))
}

/// Has a socket hear what is sent to a group over this interface. That it is in the group already is no error.
pub(crate) fn join(socket: &mio::net::UdpSocket, group: IpAddr, index: u32) -> io::Result<()> {
    let joined = match group {
        IpAddr::V4(group) => {
            let interface = InterfaceIndexOrAddress::Index(index);
            SockRef::from(socket).join_multicast_v4_n(&group, &interface)
        }
        IpAddr::V6(group) => SockRef::from(socket).join_multicast_v6(&group, index),
    };
    match joined {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(()),
        other => other,
    }
}

/// One for datagrams of one family.
fn datagrams(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if domain == Domain::IPV6 {
        // What comes with IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn any(domain: Domain) -> IpAddr {
    match domain {
        Domain::IPV6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
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

/// A socket that sends beacons from this address, over its interface. Receivers take the source of a beacon for the address of the
/// mailbox, so each address needs one of its own. What goes to a group does not leave the link.
// ZRE-161
pub(crate) fn beacon_sender(from: &Found) -> io::Result<UdpSocket> {
    let address = from.at(0);
    let socket = datagrams(Domain::for_address(address))?;
    match from.address {
        IpAddr::V4(address) => {
            socket.set_broadcast(true)?;
            socket.set_multicast_if_v4(&address)?;
            socket.set_multicast_ttl_v4(1)?;
        }
        IpAddr::V6(_) => {
            socket.set_multicast_if_v6(from.index)?;
            socket.set_multicast_hops_v6(1)?;
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::super::interfaces::Listing;
    use super::*;
    use crate::Family;

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
        let first = directed_receiver(Domain::IPV4, 0).unwrap();
        let port = first.local_addr().unwrap().port();
        for taken in [
            directed_receiver(Domain::IPV4, port),
            beacon_receiver(Domain::IPV4, port),
        ] {
            assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
        }
        drop(first);
        let _shared = beacon_receiver(Domain::IPV4, port).unwrap();
        let taken = directed_receiver(Domain::IPV4, port).unwrap_err();
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
        let first = beacon_receiver(Domain::IPV4, 0).unwrap();
        let port = first.local_addr().unwrap().port();
        let second = beacon_receiver(Domain::IPV4, port).unwrap();
        let listing = Listing::read().unwrap();
        let lo = listing.select(&["lo".to_owned()], Family::V4);
        let sender = beacon_sender(&lo[0]).unwrap();
        sender.send_to(b"hello", ("127.255.255.255", port)).unwrap();
        for receiver in [first, second] {
            let mut octets = [0; 16];
            let (length, source) = receiver.recv_from(&mut octets).unwrap();
            assert_eq!(&octets[..length], b"hello");
            assert_eq!(source, sender.local_addr().unwrap());
        }
    }
}
