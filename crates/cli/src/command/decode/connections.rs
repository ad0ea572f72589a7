//! TCP connections of a capture: what each side said, in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::packet::Segment;
use super::stream::{Heard, Stream};

/// How many octets of one side may wait for what lacks before them: as much as a receiver lets come.
const WAITING: usize = 1 << 20;

/// How many pieces of them.
const WAITING_PIECES: usize = 1_024;

/// After how many packets what the other side has acknowledged is believed to lack in the capture, and not only to come late.
const LATE: u64 = 64;

/// How many sides of connections are followed; the one that was quiet for longest gives way.
const SIDES: usize = 8_192;

/// How many octets are kept of all of them together.
const HELD: usize = 256 << 20;

/// Who speaks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

impl Way {
    fn back(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Connections {
    sides: BTreeMap<Way, Side>,
    /// What all of them keep, in octets.
    held: usize,
    /// How many of them were found to be ZMTP.
    known: u64,
}

/// What one side of a connection says.
struct Side {
    stream: Stream,
    /// The sequence number of the next octet.
    next: u32,
    /// That of the first one, to know a SYN that comes twice.
    first: u32,
    /// What came too early, by its offset.
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_octets: usize,
    /// Up to where the other side has it.
    acknowledged: u64,
    /// The packet since which something lacks.
    lacking_since: Option<u64>,
    /// Where it ends.
    end: Option<u64>,
    ended: bool,
    /// The last packet.
    last: u64,
    held: usize,
    counted: bool,
}

impl Side {
    fn new(stream: Stream, next: u32) -> Self {
        Self {
            stream,
            next,
            first: next,
            waiting: BTreeMap::new(),
            waiting_octets: 0,
            acknowledged: 0,
            lacking_since: None,
            end: None,
            ended: false,
            last: 0,
            held: 0,
            counted: false,
        }
    }

    /// The offset of a sequence number; negative for what is before the first octet that was seen.
    fn offset(&self, sequence: u32) -> i64 {
        let ahead = sequence.wrapping_sub(self.next).cast_signed();
        i64::try_from(self.stream.at())
            .unwrap_or(i64::MAX)
            .saturating_add(ahead.into())
    }

    /// Octets that are next.
    fn deliver(&mut self, octets: &[u8]) {
        self.stream.push(octets);
        self.advance(octets.len());
    }

    fn lack(&mut self, octets: u64) {
        self.stream.gap(octets);
        self.advance(usize::try_from(octets).unwrap_or(usize::MAX));
    }

    fn advance(&mut self, octets: usize) {
        // Sequence numbers begin anew after 2^32 octets.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "they are counted modulo 2^32"
        )]
        let octets = octets as u32;
        self.next = self.next.wrapping_add(octets);
    }

    /// Octets came at an offset, and so many behind them were not captured.
    fn take(&mut self, offset: i64, mut octets: &[u8], cut: usize, packet: u64) {
        let at = self.stream.at();
        let offset = match u64::try_from(offset) {
            Ok(offset) if offset >= at => offset,
            // Some or all of it came before.
            _ => {
                let again = i64::try_from(at).unwrap_or(i64::MAX).saturating_sub(offset);
                let again = usize::try_from(again).unwrap_or(usize::MAX);
                octets = octets.get(again..).unwrap_or_default();
                at
            }
        };
        if octets.is_empty() {
            return;
        }
        if offset > at {
            self.lacking_since.get_or_insert(packet);
            let longer = self
                .waiting
                .get(&offset)
                .is_none_or(|other| other.len() < octets.len());
            if longer {
                self.waiting_octets += octets.len();
                let other = self.waiting.insert(offset, octets.to_vec());
                self.waiting_octets -= other.map_or(0, |other| other.len());
            }
            return;
        }
        self.deliver(octets);
        if cut > 0 {
            self.lack(u64::try_from(cut).unwrap_or(u64::MAX));
        }
        self.catch_up();
    }

    /// What waited for this may be next.
    fn catch_up(&mut self) {
        while let Some(first) = self.waiting.first_entry()
            && *first.key() <= self.stream.at()
        {
            let (offset, octets) = first.remove_entry();
            self.waiting_octets -= octets.len();
            let again = usize::try_from(self.stream.at() - offset).unwrap_or(usize::MAX);
            let octets = octets.get(again..).unwrap_or_default().to_vec();
            self.deliver(&octets);
        }
        if self.waiting.is_empty() {
            self.lacking_since = None;
        }
    }

    /// Goes on behind what lacks.
    fn skip(&mut self) {
        if let Some((first, _)) = self.waiting.first_key_value() {
            let lacking = first.saturating_sub(self.stream.at());
            self.lack(lacking);
            self.catch_up();
        }
    }

    /// Goes on behind what will not come any more.
    fn settle(&mut self, packet: u64) {
        while self.waiting_octets > WAITING || self.waiting.len() > WAITING_PIECES {
            self.skip();
        }
        let first = self.waiting.first_key_value().map(|(offset, _)| *offset);
        if let (Some(first), Some(since)) = (first, self.lacking_since)
            && self.acknowledged >= first
            && packet.saturating_sub(since) >= LATE
        {
            self.skip();
            self.lacking_since = (!self.waiting.is_empty()).then_some(packet);
        }
        if self.end.is_some_and(|end| self.stream.at() >= end) {
            self.finish(true);
        }
    }

    /// Nothing more comes.
    fn finish(&mut self, closed: bool) {
        if self.ended {
            return;
        }
        while !self.waiting.is_empty() {
            self.skip();
        }
        self.stream.end(closed);
        self.ended = true;
    }
}

impl Connections {
    /// How many sides were found to be ZMTP.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// A segment came. What is heard is handed on with who said it to whom.
    pub(super) fn segment(
        &mut self,
        packet: u64,
        segment: &Segment<'_>,
        mut hear: impl FnMut(Way, Vec<Heard>),
    ) {
        let way = Way {
            from: segment.from,
            to: segment.to,
        };
        if let (Some(acknowledged), Some(side)) =
            (segment.acknowledged, self.sides.get_mut(&way.back()))
        {
            let offset = u64::try_from(side.offset(acknowledged)).unwrap_or(0);
            side.acknowledged = side.acknowledged.max(offset);
            side.settle(packet);
            self.told(way.back(), &mut hear);
        }
        let first = segment.sequence.wrapping_add(u32::from(segment.syn));
        let known = self.sides.get(&way);
        let begins = segment.syn && known.is_none_or(|side| side.first != first);
        if begins || known.is_none() {
            if known.is_none() && !segment.syn && segment.octets.is_empty() {
                return;
            }
            self.end(way, &mut hear);
            self.make_room(&mut hear);
            let stream = if segment.syn {
                Stream::of_a_capture()
            } else {
                Stream::within()
            };
            self.sides.insert(way, Side::new(stream, first));
        }
        let Some(side) = self.sides.get_mut(&way) else {
            return;
        };
        side.last = packet;
        let offset = side.offset(first);
        side.take(offset, segment.octets, segment.cut, packet);
        if segment.fin {
            let octets = i64::try_from(segment.octets.len() + segment.cut).unwrap_or(i64::MAX);
            side.end = u64::try_from(offset.saturating_add(octets)).ok();
        }
        side.settle(packet);
        if segment.rst {
            side.finish(false);
        }
        self.told(way, &mut hear);
        while self.held > HELD && self.forget_quietest(&mut hear) {}
    }

    /// The capture ends.
    pub(super) fn finish(&mut self, mut hear: impl FnMut(Way, Vec<Heard>)) {
        while let Some(way) = self.sides.keys().next().copied() {
            self.end(way, &mut hear);
        }
    }

    fn make_room(&mut self, hear: &mut impl FnMut(Way, Vec<Heard>)) {
        while self.sides.len() >= SIDES && self.forget_quietest(hear) {}
    }

    /// Tells whether there was one.
    fn forget_quietest(&mut self, hear: &mut impl FnMut(Way, Vec<Heard>)) -> bool {
        let sides = self.sides.iter();
        let quietest = sides.min_by_key(|(_, side)| (!side.ended, side.last));
        let Some(way) = quietest.map(|(way, _)| *way) else {
            return false;
        };
        self.end(way, hear);
        true
    }

    /// One side is followed no longer.
    fn end(&mut self, way: Way, hear: &mut impl FnMut(Way, Vec<Heard>)) {
        let Some(side) = self.sides.get_mut(&way) else {
            return;
        };
        side.finish(false);
        self.told(way, hear);
        if let Some(side) = self.sides.remove(&way) {
            self.held -= side.held;
        }
    }

    /// Hands on what one side said.
    fn told(&mut self, way: Way, hear: &mut impl FnMut(Way, Vec<Heard>)) {
        let Some(side) = self.sides.get_mut(&way) else {
            return;
        };
        let held = side.stream.held() + side.waiting_octets;
        self.held = self.held + held - side.held;
        side.held = held;
        if side.stream.is_known() && !side.counted {
            side.counted = true;
            self.known += 1;
        }
        let heard = side.stream.heard();
        if !heard.is_empty() {
            hear(way, heard);
        }
    }
}
