//! Captures that are made here: packets of two who talk, as different tools write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use atonce::wire::Beacon;
use atonce::wire::zmtp::{Command, FrameHeader, FrameKind, Greeting, MechanismName, Metadata};
use atonce::wire::zre::{Command as Said, Hello, Message};
use atonce::{Frames, PeerId};
use etherparse::{IpHeaders, Ipv4Header, Ipv6Header, PacketBuilder, PacketBuilderStep};

/// What stands around an IP packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Link {
    Ethernet,
    Vlan,
    DoubleVlan,
    Cooked,
    Cooked2,
    Loopback,
    Raw,
}

impl Link {
    pub(super) const ALL: [Self; 7] = [
        Self::Ethernet,
        Self::Vlan,
        Self::DoubleVlan,
        Self::Cooked,
        Self::Cooked2,
        Self::Loopback,
        Self::Raw,
    ];

    pub(super) fn number(self) -> u32 {
        match self {
            Self::Ethernet | Self::Vlan | Self::DoubleVlan => 1,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Loopback => 0,
            Self::Raw => 101,
        }
    }

    /// The packet with what stands around it.
    pub(super) fn around(self, ip: &[u8]) -> Vec<u8> {
        let v6 = ip[0] >> 4 == 6;
        let ether_type: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].concat();
        let head = match self {
            Self::Ethernet => [macs, ether_type.to_vec()].concat(),
            Self::Vlan => [macs, vec![0x81, 0, 0, 7], ether_type.to_vec()].concat(),
            Self::DoubleVlan => [
                macs,
                vec![0x88, 0xa8, 0, 7, 0x81, 0, 0, 8],
                ether_type.to_vec(),
            ]
            .concat(),
            Self::Cooked => [
                vec![0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],
                ether_type.to_vec(),
            ]
            .concat(),
            Self::Cooked2 => [ether_type.to_vec(), vec![0; 18]].concat(),
            Self::Loopback => vec![if v6 { 30 } else { 2 }, 0, 0, 0],
            Self::Raw => Vec::new(),
        };
        [head, ip.to_vec()].concat()
    }
}

/// Where two live who talk.
pub(super) fn addresses(v6: bool) -> (SocketAddr, SocketAddr) {
    let address = |last: u8| -> IpAddr {
        if v6 {
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into()).into()
        } else {
            Ipv4Addr::new(10, 0, 0, last).into()
        }
    };
    (
        SocketAddr::new(address(1), 40_000),
        SocketAddr::new(address(2), 49_152),
    )
}

fn ip(from: SocketAddr, to: SocketAddr) -> PacketBuilderStep<IpHeaders> {
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let header = Ipv4Header {
                time_to_live: 64,
                source: from.octets(),
                destination: to.octets(),
                ..Ipv4Header::default()
            };
            PacketBuilder::ip(IpHeaders::Ipv4(header, Default::default()))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let header = Ipv6Header {
                hop_limit: 64,
                source: from.octets(),
                destination: to.octets(),
                ..Ipv6Header::default()
            };
            PacketBuilder::ip(IpHeaders::Ipv6(header, Default::default()))
        }
        _ => panic!("{from} and {to} are of two kinds"),
    }
}

/// A datagram, from its IP header on.
pub(super) fn datagram(from: SocketAddr, to: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    ip(from, to)
        .udp(from.port(), to.port())
        .write(&mut packet, octets)
        .unwrap();
    packet
}

/// What a segment says beside its octets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) ack: Option<u32>,
}

pub(super) const SYN: Flags = Flags {
    syn: true,
    fin: false,
    ack: None,
};
pub(super) const FIN: Flags = Flags {
    syn: false,
    fin: true,
    ack: None,
};

/// A segment, from its IP header on.
pub(super) fn segment(
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    flags: Flags,
    octets: &[u8],
) -> Vec<u8> {
    let mut step = ip(from, to).tcp(from.port(), to.port(), sequence, 65_000);
    if flags.syn {
        step = step.syn();
    }
    if flags.fin {
        step = step.fin();
    }
    if let Some(ack) = flags.ack {
        step = step.ack(ack);
    }
    let mut packet = Vec::new();
    step.write(&mut packet, octets).unwrap();
    packet
}

/// A file of pcap: a packet a millisecond. `snap`: no more octets of a packet are in it.
pub(super) fn pcap(link: Link, packets: &[Vec<u8>], snap: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut word = |word: u32| file.extend(word.to_le_bytes());
    word(0xa1b2_c3d4);
    word(0x0004_0002);
    word(0);
    word(0);
    word(0x0004_0000);
    word(link.number());
    for (index, packet) in (0..).zip(packets) {
        let packet = link.around(packet);
        let kept = &packet[..packet.len().min(snap)];
        for word in [1_700_000_000, index * 1_000, count(kept), count(&packet)] {
            file.extend(word.to_le_bytes());
        }
        file.extend(kept);
    }
    file
}

fn count(octets: &[u8]) -> u32 {
    u32::try_from(octets.len()).unwrap()
}

/// A file of pcapng in big-endian order, with an interface whose time is in nanoseconds.
pub(super) fn pcapng(link: Link, packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padded = [body, &[0; 3][..body.len().next_multiple_of(4) - body.len()]].concat();
        let size = (count(&padded) + 12).to_be_bytes();
        [&kind.to_be_bytes()[..], &size, &padded, &size].concat()
    };
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<_>>()
    };
    let mut file = block(
        0x0a0d_0d0a,
        &words(&[0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX]),
    );
    // if_tsresol 9, then the end of options.
    let interface = words(&[
        link.number() << 16,
        0x0004_0000,
        0x0009_0001,
        0x0900_0000,
        0,
    ]);
    file.extend(block(1, &interface));
    for (index, packet) in (0_u64..).zip(packets) {
        let packet = link.around(packet);
        let stamp = 1_700_000_000_000_000_000 + index * 1_000_000;
        let halves = [
            u32::try_from(stamp >> 32).unwrap(),
            u32::try_from(stamp & 0xffff_ffff).unwrap(),
        ];
        let head = words(&[0, halves[0], halves[1], count(&packet), count(&packet)]);
        file.extend(block(6, &[head, packet].concat()));
    }
    file
}

pub(super) fn frame(kind: FrameKind, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    FrameHeader::of(kind, body).encode(&mut octets);
    octets.extend(body);
    octets
}

pub(super) fn message(frames: &Frames) -> Vec<u8> {
    let last = frames.len() - 1;
    let frames = frames.iter().enumerate();
    frames
        .flat_map(|(index, body)| {
            frame(
                if index == last {
                    FrameKind::Last
                } else {
                    FrameKind::More
                },
                body,
            )
        })
        .collect()
}

pub(super) fn zre(sequence: u16, command: Said) -> Vec<u8> {
    message(&Message { sequence, command }.encode())
}

/// The octets of a DEALER that dials a mailbox: greeting, READY, HELLO, WHISPER of two frames, PING.
pub(super) fn dealer() -> Vec<Vec<u8>> {
    let metadata = Metadata::new().with("Socket-Type", b"DEALER").unwrap();
    let metadata = metadata
        .with("Identity", &[&[1], &[7; 16][..]].concat())
        .unwrap();
    let mut ready = Vec::new();
    Command::Ready(metadata).encode(&mut ready);
    let hello = Hello {
        endpoint: "tcp://10.0.0.1:49152".try_into().unwrap(),
        groups: ["CHAT".try_into().unwrap(), "two words".try_into().unwrap()].into(),
        status: 2,
        name: "alice".try_into().unwrap(),
        headers: [("X-ROLE".try_into().unwrap(), "hatter".try_into().unwrap())]
            .into_iter()
            .collect(),
    };
    vec![
        Greeting::new(MechanismName::NULL).encode().to_vec(),
        frame(FrameKind::Command, &ready),
        zre(1, Said::Hello(hello)),
        zre(
            2,
            Said::Whisper {
                content: Frames::from_iter(["tea", "time"]),
            },
        ),
        zre(3, Said::Ping),
    ]
}

/// The beacon of the same.
pub(super) fn beacon() -> Vec<u8> {
    let beacon = Beacon {
        uuid: PeerId::from_bytes([7; 16]),
        port: 49_152,
        key: None,
    };
    beacon.encode().to_vec()
}
