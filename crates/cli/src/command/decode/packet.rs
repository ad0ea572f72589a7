//! What a packet of a capture carries.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};

/// What is in a packet.
#[derive(Debug)]
pub(super) enum Packet<'a> {
    /// A datagram of UDP.
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        octets: &'a [u8],
        /// Some of it was not captured.
        cut: bool,
    },
    /// A segment of TCP.
    Segment(Segment<'a>),
    /// Part of an IP packet that was sent in pieces.
    Fragment,
    /// Something else, or nothing that can be told.
    Other,
}

/// A segment of TCP.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    /// What the sender has of the other side.
    pub(super) acknowledged: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) octets: &'a [u8],
    /// How many octets behind these were not captured.
    pub(super) cut: usize,
}

/// The link types of captures that are read, as <https://www.tcpdump.org/linktypes.html> numbers them.
mod link {
    pub(super) const NULL: u16 = 0;
    pub(super) const ETHERNET: u16 = 1;
    pub(super) const RAW: [u16; 5] = [12, 14, 101, 228, 229];
    pub(super) const LOOP: u16 = 108;
    pub(super) const LINUX_SLL: u16 = 113;
    pub(super) const LINUX_SLL2: u16 = 276;
}

/// Whether packets of this link type can be read.
pub(super) fn is_read(link_type: u16) -> bool {
    matches!(
        link_type,
        link::NULL | link::ETHERNET | link::LOOP | link::LINUX_SLL | link::LINUX_SLL2
    ) || link::RAW.contains(&link_type)
}

/// Looks into a packet.
pub(super) fn look(link_type: u16, octets: &[u8]) -> Packet<'_> {
    let sliced = match link_type {
        link::ETHERNET => LaxSlicedPacket::from_ethernet(octets).ok(),
        // A family of addresses stands before the packet, in whichever order; the packet says its own.
        link::NULL | link::LOOP => octets
            .get(4..)
            .and_then(|ip| LaxSlicedPacket::from_ip(ip).ok()),
        link::LINUX_SLL => cooked(octets, 14, 16),
        link::LINUX_SLL2 => cooked(octets, 0, 20),
        _ => LaxSlicedPacket::from_ip(octets).ok(),
    };
    sliced
        .and_then(|sliced| inside(&sliced))
        .unwrap_or(Packet::Other)
}

/// A packet behind a header of Linux that says the type at an offset.
fn cooked(octets: &[u8], type_at: usize, header: usize) -> Option<LaxSlicedPacket<'_>> {
    let ether_type = octets.get(type_at..)?.first_chunk()?;
    let ether_type = EtherType(u16::from_be_bytes(*ether_type));
    Some(LaxSlicedPacket::from_ether_type(
        ether_type,
        octets.get(header..)?,
    ))
}

fn inside<'a>(packet: &LaxSlicedPacket<'a>) -> Option<Packet<'a>> {
    let net = packet.net.as_ref()?;
    // The octets that the header says there are behind it.
    let (from, to, promised): (IpAddr, IpAddr, usize) = match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let octets = usize::from(header.total_len()).saturating_sub(header.slice().len());
            (
                header.source_addr().into(),
                header.destination_addr().into(),
                octets,
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let octets = usize::from(header.payload_length());
            let octets = octets.saturating_sub(ip.extensions().slice().len());
            (
                header.source_addr().into(),
                header.destination_addr().into(),
                octets,
            )
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let payload = net.ip_payload_ref()?;
    if payload.fragmented {
        return Some(Packet::Fragment);
    }
    let cut = if payload.incomplete {
        promised.saturating_sub(payload.payload.len())
    } else {
        0
    };
    Some(match packet.transport.as_ref()? {
        TransportSlice::Udp(udp) => Packet::Datagram {
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            octets: udp.payload(),
            cut: cut > 0,
        },
        TransportSlice::Tcp(tcp) => Packet::Segment(segment(from, to, tcp, cut)),
        _ => return None,
    })
}

fn segment<'a>(from: IpAddr, to: IpAddr, tcp: &TcpSlice<'a>, cut: usize) -> Segment<'a> {
    Segment {
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        sequence: tcp.sequence_number(),
        acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        octets: tcp.payload(),
        cut,
    }
}
