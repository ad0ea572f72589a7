//! Listens on the wires: HELLO comes first, and sequences have no holes. In a secure network: nothing is said but what is sealed.

use std::collections::BTreeMap;

use atonce::Instant;

use super::findings::Shared;
use crate::{NodeId, Observer, Wire};

const GREETING: usize = 64;
const MORE: u8 = 0x01;
const LONG: u8 = 0x02;
const COMMAND: u8 = 0x04;
const HELLO: u8 = 1;
const PING: u8 = 6;
const PING_OK: u8 = 7;
/// What stands in a sealed frame, whose first octets are `07 "MESSAGE"`, where a message has its command and sequence.
const SEALED: [u8; 3] = *b"ESA";

/// Reads along on every connection, from the one who dialled to the one who accepted.
#[derive(Debug)]
pub(super) struct Tap {
    findings: Shared,
    /// All that is said is to be sealed.
    secure: bool,
    wires: Vec<State>,
    /// Where the last sequence from one process to another stands.
    last: BTreeMap<(NodeId, NodeId), Last>,
}

/// The last sequence from one process to another.
#[derive(Clone, Copy, Debug)]
enum Last {
    /// It is that of this wire, which is the newest on which something was said.
    Wire(u32),
    /// The wire is gone.
    Known(u16),
}

/// How far one connection was read.
#[derive(Clone, Copy, Debug)]
struct State {
    generation: u32,
    part: Part,
    /// Octets of the part that are yet to come, or were gathered.
    left: u64,
    gathered: [u8; 8],
    count: u8,
    flags: u8,
    /// The next frame begins a message.
    begins: bool,
    /// The sequence of the last message, and from whom to whom.
    last: Option<u16>,
    pair: Option<(NodeId, NodeId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Greeting,
    Flags,
    Length,
    /// The first octets of a message: signature, command, version, sequence.
    Head,
    Body,
}

/// Signature, command, version and sequence of a ZRE message.
const HEAD: u8 = 6;

impl State {
    const fn new(generation: u32) -> Self {
        Self {
            generation,
            part: Part::Greeting,
            left: GREETING as u64,
            gathered: [0; 8],
            count: 0,
            flags: 0,
            begins: true,
            last: None,
            pair: None,
        }
    }

    fn gather(&mut self, octet: u8) -> u8 {
        if let Some(place) = self.gathered.get_mut(usize::from(self.count)) {
            *place = octet;
        }
        self.count += 1;
        self.count
    }

    /// The length of a frame is known.
    fn begin_body(&mut self, length: u64) {
        self.left = length;
        self.count = 0;
        let head = self.flags & COMMAND == 0 && self.begins && length >= u64::from(HEAD);
        self.part = if head { Part::Head } else { Part::Body };
        if self.flags & COMMAND == 0 {
            self.begins = self.flags & MORE == 0;
        }
        if length == 0 {
            self.part = Part::Flags;
        }
    }

    /// Reads on; gives command and sequence of each message that begins.
    fn read(&mut self, mut octets: &[u8], mut found: impl FnMut(&mut Self, u8, u16)) {
        while let Some((&octet, rest)) = octets.split_first() {
            // A short frame that lies in one piece, as nearly all do.
            if self.part == Part::Flags
                && octet & LONG == 0
                && let Some((&length, body)) = rest.split_first()
                && let Some((body, rest)) = body.split_at_checked(usize::from(length))
            {
                self.flags = octet;
                self.begin_body(u64::from(length));
                if self.part == Part::Head
                    && let [_, _, command, _, high, low, ..] = *body
                {
                    found(self, command, u16::from_be_bytes([high, low]));
                }
                self.part = Part::Flags;
                octets = rest;
                continue;
            }
            match self.part {
                Part::Greeting | Part::Body => {
                    let taken = self.left.min(octets.len() as u64);
                    self.left -= taken;
                    let taken = usize::try_from(taken).unwrap_or(octets.len());
                    octets = octets.get(taken..).unwrap_or_default();
                    if self.left == 0 {
                        self.part = Part::Flags;
                    }
                    continue;
                }
                Part::Flags => {
                    self.flags = octet;
                    self.count = 0;
                    self.part = Part::Length;
                }
                Part::Length if self.flags & LONG == 0 => self.begin_body(u64::from(octet)),
                Part::Length => {
                    if self.gather(octet) == 8 {
                        self.begin_body(u64::from_be_bytes(self.gathered));
                    }
                }
                Part::Head => {
                    self.left -= 1;
                    if self.gather(octet) == HEAD {
                        let [_, _, command, _, high, low, ..] = self.gathered;
                        self.part = if self.left == 0 {
                            Part::Flags
                        } else {
                            Part::Body
                        };
                        found(self, command, u16::from_be_bytes([high, low]));
                    }
                }
            }
            octets = rest;
        }
    }
}

impl Tap {
    pub(super) fn new(findings: Shared, secure: bool) -> Self {
        Self {
            findings,
            secure,
            wires: Vec::new(),
            last: BTreeMap::new(),
        }
    }

    /// Makes a place ready for the connection that has it now.
    fn renew(&mut self, wire: Wire) {
        let place = wire.place as usize;
        if self.wires.len() <= place {
            self.wires.resize(place + 1, State::new(u32::MAX));
        }
        let Some(state) = self.wires.get_mut(place) else {
            return;
        };
        if state.generation == wire.generation {
            return;
        }
        let gone = std::mem::replace(state, State::new(wire.generation));
        if let (Some(pair), Some(sequence)) = (gone.pair, gone.last)
            && let Some(last) = self.last.get_mut(&pair)
            && matches!(last, Last::Wire(at) if *at == wire.place)
        {
            *last = Last::Known(sequence);
        }
    }

    /// The last sequence from one to the other on whatever wire.
    fn before(&self, pair: (NodeId, NodeId)) -> Option<u16> {
        match *self.last.get(&pair)? {
            Last::Known(sequence) => Some(sequence),
            Last::Wire(place) => self.wires.get(place as usize)?.last,
        }
    }

    /// A frame begins on a wire of a secure network.
    fn hold_sealed(&self, wire: Wire, head: [u8; 3]) {
        if head != SEALED {
            let nodes: Vec<_> = [Some(wire.from), wire.to].into_iter().flatten().collect();
            let what = format!("octets on a wire are not sealed: {head:x?}");
            self.findings.borrow_mut().fail(what, &nodes);
        }
    }

    /// A message begins on a wire.
    fn hold_against(&mut self, wire: Wire, state: &mut State, command: u8, sequence: u16) {
        let pair = wire.to.map(|to| (wire.from, to));
        let before = state
            .last
            .or_else(|| pair.and_then(|pair| self.before(pair)));
        let right = if command == HELLO {
            sequence == 1
        } else {
            before.is_some_and(|before| {
                sequence == before.wrapping_add(1) || (before == 65_534 && sequence == 0)
            })
        };
        if before.is_none() && matches!(command, PING | PING_OK) {
            // All links to one who has this identity were cut, and it is asked whether it is still the same process. It is not; a
            // HELLO has to come first of what is said to it.
            return;
        }
        if !right {
            let nodes: Vec<_> = [Some(wire.from), wire.to].into_iter().flatten().collect();
            let what = match before {
                None => format!("the first message on a wire is command {command}, not HELLO"),
                Some(before) => {
                    format!("command {command} on a wire has sequence {sequence} after {before}")
                }
            };
            self.findings.borrow_mut().fail(what, &nodes);
        }
        state.last = Some(sequence);
        // Looked up once a wire, not once a message.
        if state.pair.is_none()
            && let Some(pair) = pair
        {
            state.pair = Some(pair);
            self.last.insert(pair, Last::Wire(wire.place));
        }
    }
}

impl Observer for Tap {
    fn on_octets(&mut self, _: Instant, wire: Wire, octets: &[u8]) {
        self.renew(wire);
        let place = wire.place as usize;
        let Some(mut state) = self.wires.get(place).copied() else {
            return;
        };
        let mut messages = 0_u64;
        state.read(octets, |state, command, sequence| {
            messages += 1;
            if self.secure {
                let [high, low] = sequence.to_be_bytes();
                self.hold_sealed(wire, [command, high, low]);
            } else {
                self.hold_against(wire, state, command, sequence);
            }
        });
        if let Some(place) = self.wires.get_mut(place) {
            *place = state;
        }
        if messages > 0 {
            self.findings.borrow_mut().on_wire += messages;
        }
    }

    fn on_end(&mut self, _: Instant, node: NodeId) {
        self.last
            .retain(|(from, to), _| *from != node && *to != node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(command: u8, sequence: u16) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        let mut octets = vec![1, 8, 0xaa, 0xa1, command, 2, high, low, 9, 9];
        octets.extend([0, 3, 7, 7, 7]); // its content
        octets
    }

    #[test]
    fn messages_are_found_however_the_octets_are_cut() {
        let mut octets = vec![0xff; GREETING];
        octets.extend([4, 3, 1, 2, 3]); // a command
        octets.extend(message(1, 1));
        octets.extend([2, 0, 0, 0, 0, 0, 0, 0, 6, 0xaa, 0xa1, 4, 2, 0, 2]);
        octets.extend(message(2, 3));
        for size in 1..octets.len() {
            let mut state = State::new(0);
            let mut found = Vec::new();
            for part in octets.chunks(size) {
                state.read(part, |_, command, sequence| found.push((command, sequence)));
            }
            assert_eq!(found, [(1, 1), (4, 2), (2, 3)], "in parts of {size}");
        }
    }
}
