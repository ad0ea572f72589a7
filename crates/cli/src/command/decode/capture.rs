//! Captures: files of pcap and pcapng.

use std::io::{self, Read};
use std::time::Duration;

use atonce::Frames;
use pcap_parser::traits::{PcapNGPacketBlock as _, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use super::codec::{Carried, Codec};
use super::connections::{Connections, Way};
use super::packet::{self, Packet};
use super::report::{Place, Report};
use super::stream::{Heard, Said};
use super::told::Fault;
use crate::failure::Failure;

/// How many octets of a capture are in memory at once, unless a packet is longer.
const BUFFER: usize = 512 << 10;

/// The longest packet that is read, with what describes it.
const LONGEST: usize = 16 << 20;

/// How many interfaces of a capture are known by their link type.
const INTERFACES: usize = 65_536;

/// The port of beacons: what comes there is meant to be one.
const BEACONS: u16 = 5670;

/// The octets that tell a capture.
pub(super) const MAGIC_OCTETS: usize = 4;

/// Whether octets begin as a capture does.
pub(super) fn begins(octets: &[u8]) -> bool {
    let Some(magic) = octets.first_chunk() else {
        return false;
    };
    matches!(
        u32::from_be_bytes(*magic),
        // pcapng; pcap in either order, with microseconds and with nanoseconds.
        0x0a0d_0d0a | 0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1
    )
}

/// Octets that were read already, and those that follow.
struct Joined<R> {
    head: io::Cursor<Vec<u8>>,
    rest: R,
}

impl<R: Read> Read for Joined<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.head.read(into)? {
            0 => self.rest.read(into),
            octets => Ok(octets),
        }
    }
}

/// With the whole first block at hand: the parser wants to see that at once, and a pipe may give less.
fn joined<R: Read>(mut head: Vec<u8>, mut rest: R) -> io::Result<Joined<R>> {
    let mut fill = |head: &mut Vec<u8>, octets: usize| {
        let lacking = octets.saturating_sub(head.len());
        let lacking = u64::try_from(lacking).unwrap_or(u64::MAX);
        (&mut rest).take(lacking).read_to_end(head)
    };
    // The header of pcap has 24 octets, and the shortest block of pcapng 28.
    fill(&mut head, 24)?;
    if head.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let length = head
            .get(4..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or_default();
        let big = head
            .get(8..)
            .is_some_and(|order| order.starts_with(&[0x1a, 0x2b, 0x3c, 0x4d]));
        let length = if big {
            u32::from_be_bytes(length)
        } else {
            u32::from_le_bytes(length)
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        fill(&mut head, length.clamp(28, BUFFER))?;
    }
    Ok(Joined {
        head: io::Cursor::new(head),
        rest,
    })
}

/// An interface of a capture.
#[derive(Clone, Copy)]
struct Interface {
    link_type: u16,
    /// Units of time in a second.
    units: u64,
    /// Seconds to add.
    seconds: i64,
}

/// See the module. `head` was read already.
pub(super) fn read(
    head: Vec<u8>,
    rest: impl Read + Send,
    report: &mut Report,
) -> Result<(), Failure> {
    let broken = |at: usize, what: String| Heard {
        offset: u64::try_from(at).unwrap_or(u64::MAX),
        octets: 0,
        said: Said::Fault(Fault::new(
            "capture",
            "block",
            "a whole one of pcap or pcapng",
            what,
        )),
    };
    let source = joined(head, rest)
        .map_err(|error| Failure::failed(format!("the capture cannot be read: {error}")))?;
    let mut reader = match create_reader(BUFFER, source) {
        Ok(reader) => reader,
        Err(error) => {
            report.say(Place::default(), &broken(0, what(&error)))?;
            return report.summary();
        }
    };
    let mut capture = Capture::default();
    let end = loop {
        let (octets, done) = match reader.next() {
            Ok((octets, block)) => (octets, capture.block(&block, report)),
            Err(PcapError::Eof) => break None,
            Err(PcapError::Incomplete(_)) => {
                if let Err(error) = reader.refill() {
                    break Some(what(&error));
                }
                continue;
            }
            Err(PcapError::BufferTooSmall) => match room(&mut *reader) {
                Ok(()) => continue,
                Err(what) => break Some(what),
            },
            Err(error) => break Some(what(&error)),
        };
        reader.consume(octets);
        done?;
    };
    let at = reader.consumed();
    capture.finish(report)?;
    if let Some(what) = end {
        report.say(Place::default(), &broken(at, what))?;
    }
    report.tally.sides = capture.connections.known();
    report.summary()
}

/// Makes room for a block that is longer than others, or fills the room that there is.
fn room(reader: &mut (dyn PcapReaderIterator + Send)) -> Result<(), String> {
    let before = reader.data().len();
    reader.refill().map_err(|error| what(&error))?;
    if reader.data().len() > before || reader.reader_exhausted() {
        return Ok(());
    }
    // It is full to its end.
    if before >= LONGEST || !reader.grow((before * 2).clamp(BUFFER, 2 * LONGEST)) {
        return Err(format!("one of more than {LONGEST} octets"));
    }
    Ok(())
}

/// What is wrong, without the octets that it is about.
fn what<I>(error: &PcapError<I>) -> String {
    match error {
        PcapError::Eof | PcapError::UnexpectedEof | PcapError::Incomplete(_) => {
            "the end of the file".into()
        }
        PcapError::BufferTooSmall => format!("one of more than {LONGEST} octets"),
        PcapError::ReadError => "an error of reading".into(),
        PcapError::HeaderNotRecognized => "another header".into(),
        PcapError::NomError(..) | PcapError::OwnedNomError(..) => "something else".into(),
    }
}

#[derive(Default)]
struct Capture {
    interfaces: Vec<Interface>,
    connections: Connections,
    packets: u64,
}

impl Capture {
    fn block(&mut self, block: &PcapBlockOwned<'_>, report: &mut Report) -> Result<(), Failure> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let units = if header.is_nanosecond_precision() {
                    1_000_000_000
                } else {
                    1_000_000
                };
                self.interface(header.network.0, units, 0, report)
            }
            PcapBlockOwned::Legacy(packet) => {
                let whole = u64::from(packet.ts_sec);
                let units = self
                    .interfaces
                    .first()
                    .map_or(1_000_000, |interface| interface.units);
                let time = time_of(
                    whole
                        .saturating_mul(units)
                        .saturating_add(packet.ts_usec.into()),
                    units,
                    0,
                );
                self.packet(0, time, packet.data, report)
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.interfaces.clear();
                Ok(())
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                let units = interface.ts_resolution().unwrap_or(1_000_000);
                self.interface(interface.linktype.0, units, interface.if_tsoffset, report)
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let index = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                let stamp = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let interface = self.interfaces.get(index);
                let time = interface.and_then(|one| time_of(stamp, one.units, one.seconds));
                self.packet(index, time, packet.packet_data(), report)
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                self.packet(0, None, packet.packet_data(), report)
            }
            PcapBlockOwned::NG(_) => Ok(()),
        }
    }

    fn interface(
        &mut self,
        link_type: i32,
        units: u64,
        seconds: i64,
        report: &mut Report,
    ) -> Result<(), Failure> {
        // pcap has flags in the upper half.
        let link_type = u16::try_from(link_type & 0xffff).unwrap_or(u16::MAX);
        if self.interfaces.len() < INTERFACES {
            self.interfaces.push(Interface {
                link_type,
                units,
                seconds,
            });
        }
        if packet::is_read(link_type) {
            return Ok(());
        }
        let expected = "Ethernet, cooked Linux, loopback or raw IP";
        let fault = Fault::new("capture", "link type", expected, link_type.to_string());
        let said = Said::Fault(fault);
        report.say(
            Place::default(),
            &Heard {
                offset: 0,
                octets: 0,
                said,
            },
        )
    }

    fn packet(
        &mut self,
        interface: usize,
        time: Option<Duration>,
        octets: &[u8],
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.packets += 1;
        report.tally.packets += 1;
        let number = self.packets;
        let link_type = self
            .interfaces
            .get(interface)
            .map(|interface| interface.link_type);
        let Some(link_type) = link_type.filter(|link_type| packet::is_read(*link_type)) else {
            report.tally.others += 1;
            return Ok(());
        };
        let place = |way: Way| Place {
            packet: Some(number),
            time,
            from: Some(way.from),
            to: Some(way.to),
        };
        match packet::look(link_type, octets) {
            Packet::Datagram {
                from,
                to,
                octets,
                cut,
            } => match datagram(octets, cut, to.port() == BEACONS) {
                Some(heard) => report.say(place(Way { from, to }), &heard),
                None => {
                    report.tally.others += 1;
                    Ok(())
                }
            },
            Packet::Segment(segment) => {
                let mut said = Ok(());
                self.connections.segment(number, &segment, |way, heard| {
                    if said.is_ok() {
                        said = report.say_all(place(way), &heard);
                    }
                });
                said
            }
            Packet::Fragment => {
                report.tally.fragments += 1;
                Ok(())
            }
            Packet::Other => {
                report.tally.others += 1;
                Ok(())
            }
        }
    }

    /// Says what connections said that were not seen to their end.
    fn finish(&mut self, report: &mut Report) -> Result<(), Failure> {
        let number = self.packets;
        let mut said = Ok(());
        self.connections.finish(|way, heard| {
            let place = Place {
                packet: Some(number),
                time: None,
                from: Some(way.from),
                to: Some(way.to),
            };
            if said.is_ok() {
                said = report.say_all(place, &heard);
            }
        });
        said
    }
}

/// What a datagram says; `None` for one of somebody else. `meant`: it should be a beacon.
fn datagram(octets: &[u8], cut: bool, meant: bool) -> Option<Heard> {
    let frames = Frames::from(octets.to_vec());
    let codec = Codec::seek(&frames, Some(Carried::Datagrams));
    let said = match codec.map(|codec| codec.read(&frames)) {
        Some(Ok(told)) => Said::Told(Box::new(told)),
        Some(Err(_)) if cut => Said::Note("a datagram of which not all was captured".into()),
        Some(Err((at, fault))) => {
            let offset = u64::try_from(at).unwrap_or(u64::MAX);
            let octets = u64::try_from(octets.len()).unwrap_or(u64::MAX);
            return Some(Heard {
                offset,
                octets,
                said: Said::Fault(fault),
            });
        }
        // RFC 36: other programs may use the same port.
        None if meant => Said::Note(format!("{} octets that are no beacon", octets.len())),
        None => return None,
    };
    let octets = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    Some(Heard {
        offset: 0,
        octets,
        said,
    })
}

/// The time since 1970 of a stamp in units of time.
fn time_of(stamp: u64, units: u64, seconds: i64) -> Option<Duration> {
    let whole = stamp.checked_div(units)?.checked_add_signed(seconds)?;
    let nanos = u128::from(stamp % units) * 1_000_000_000 / u128::from(units);
    Some(Duration::new(whole, u32::try_from(nanos).ok()?))
}
