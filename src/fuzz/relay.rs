//! The relay, under any octets in any pieces and any order of what happens to it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Result, Unstructured};

use crate::once::Relay;
use crate::once::relay::{Action, Limits};
use crate::wire::once::{Prelude, Ticket};
use crate::{Cut, Instant, LinkId};

/// Small, so that they are reached.
fn limits() -> Limits {
    Limits {
        strangers: 3,
        pairs: 3,
        buffer_octets: 64,
        ..Limits::default()
    }
}

/// The most that one reading brings.
const READING: usize = 50;

/// A connection, as its own two ends know it.
#[derive(Default)]
struct Wire {
    /// What came to the relay.
    said: Vec<u8>,
    /// What the relay sent.
    got: Vec<u8>,
    paused: bool,
    /// The relay asked to be asked for octets.
    signalled: bool,
    /// Neither side closed it.
    open: bool,
    /// Which pair it belongs to, and which end of it it is.
    of: Option<(usize, usize)>,
}

/// What is to become of a pair.
struct Pair {
    until: Instant,
    used: [bool; 2],
    links: [Option<LinkId>; 2],
    joined: bool,
    over: bool,
    last: Instant,
    /// When one end left.
    left: Instant,
}

struct World {
    relay: Relay,
    now: Instant,
    wires: BTreeMap<LinkId, Wire>,
    pairs: Vec<Pair>,
}

/// The ticket of one end of the pair with this number.
fn ticket(pair: usize, end: usize) -> Ticket {
    let mut octets = [7; 32];
    octets[0] = u8::try_from(pair).unwrap_or(u8::MAX);
    octets[31] = u8::try_from(end).unwrap_or(u8::MAX);
    Ticket::from_bytes(octets)
}

/// A schedule of connections, preludes, octets, ends and time: whoever has the tickets of a pair, in time and once, is joined to
/// the other end; what comes out at one is what went in at the other, in order and whole while both are there; nobody else gets
/// anything; what is held is bounded, and in the end nothing is.
pub fn relay(octets: &[u8]) {
    let mut world = World {
        relay: Relay::new(limits()),
        now: Instant::from_millis(1_000),
        wires: BTreeMap::new(),
        pairs: Vec::new(),
    };
    let mut schedule = Unstructured::new(octets);
    while !schedule.is_empty() && world.step(&mut schedule).is_ok() {
        world.obey();
    }
    world.end();
}

impl World {
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15_u8)? {
            0 | 1 => self.expect(),
            2 | 3 => self.accept(),
            4..=6 => {
                let Some(link) = self.any(u)? else {
                    return Ok(());
                };
                let pair = u.int_in_range(0..=self.pairs.len())?;
                let ticket = ticket(pair, u.int_in_range(0..=1)?);
                let prelude = Prelude { ticket }.encode();
                let cut = u.int_in_range(0..=prelude.len())?;
                self.say(link, &prelude[..cut]);
                self.obey();
                self.say(link, &prelude[cut..]);
            }
            7..=10 => {
                let Some(link) = self.any(u)? else {
                    return Ok(());
                };
                // Each octet another than those around it, so that none is mistaken.
                let first = self.wires[&link].said.len();
                let many = u.int_in_range(0..=READING)?;
                let octets: Vec<u8> = (first..first + many).map(|n| n.to_le_bytes()[0]).collect();
                self.say(link, &octets);
            }
            11 => {
                let Some(link) = self.any(u)? else {
                    return Ok(());
                };
                let many = u.int_in_range(0..=READING)?.min(u.len());
                let octets = u.bytes(many)?.to_vec();
                self.say(link, &octets);
            }
            12 | 13 => {
                let Some(link) = self.any(u)? else {
                    return Ok(());
                };
                self.take(link, u.int_in_range(0..=2 * READING)?);
            }
            14 => {
                let Some(link) = self.any(u)? else {
                    return Ok(());
                };
                let cut = *u.choose(&[Cut::Closed, Cut::Reset])?;
                self.over(link);
                self.relay.handle_disconnected(self.now, link, cut);
            }
            _ => {
                let micros = u.int_in_range(0..=40_000_000_u64)?;
                self.pass_time(Duration::from_micros(micros));
            }
        }
        Ok(())
    }

    fn any(&self, u: &mut Unstructured<'_>) -> Result<Option<LinkId>> {
        let open = self.wires.iter().filter(|(_, wire)| wire.open);
        let open: Vec<_> = open.map(|(link, _)| *link).collect();
        if open.is_empty() {
            return Ok(None);
        }
        u.choose(&open).copied().map(Some)
    }

    fn expect(&mut self) {
        let number = self.pairs.len();
        if number == 250 {
            return;
        }
        let [dialler, acceptor] = [0, 1].map(|end| ticket(number, end));
        if self.relay.expect(self.now, dialler, acceptor) {
            self.pairs.push(Pair {
                until: self.now + limits().ticket,
                used: [false; 2],
                links: [None; 2],
                joined: false,
                over: false,
                last: self.now,
                left: self.now,
            });
        } else {
            let live = self.pairs.iter().filter(|pair| !pair.over);
            let lingering = |pair: &&Pair| pair.over && self.is_there(pair.links);
            let lingering = self.pairs.iter().filter(lingering);
            assert_eq!(live.count() + lingering.count(), limits().pairs);
        }
    }

    fn is_there(&self, links: [Option<LinkId>; 2]) -> bool {
        links.iter().flatten().any(|link| self.wires[link].open)
    }

    fn accept(&mut self) {
        let link = self.relay.handle_accepted(self.now);
        let wire = Wire {
            open: true,
            ..Wire::default()
        };
        assert!(self.wires.insert(link, wire).is_none(), "twice {link}");
    }

    fn say(&mut self, link: LinkId, octets: &[u8]) {
        let Some(wire) = self.wires.get_mut(&link) else {
            return;
        };
        if wire.paused || !wire.open {
            return;
        }
        let before = wire.said.len();
        wire.said.extend(octets);
        if before < Prelude::OCTETS && wire.said.len() >= Prelude::OCTETS {
            self.admit(link);
        }
        if let Some((pair, _)) = self.wires[&link].of
            && self.wires[&link].said.len() > Prelude::OCTETS.max(before)
        {
            self.pairs[pair].last = self.now;
        }
        self.relay.handle_received(self.now, link, octets);
    }

    /// The prelude is there: whether it lets the link in.
    fn admit(&mut self, link: LinkId) {
        let said = self.wires[&link].said[..Prelude::OCTETS].to_vec();
        let now = self.now;
        for (number, pair) in self.pairs.iter_mut().enumerate() {
            for end in [0, 1] {
                let prelude = Prelude {
                    ticket: ticket(number, end),
                };
                let right = prelude.encode()[..] == said[..];
                if !right || pair.over || pair.used[end] {
                    continue;
                }
                pair.used[end] = true;
                pair.links[end] = Some(link);
                pair.joined = pair.used[1 - end];
                pair.until = pair.until.min(now + limits().deadline);
                pair.last = now;
                if let Some(wire) = self.wires.get_mut(&link) {
                    wire.of = Some((number, end));
                }
            }
        }
    }

    /// A link is open no more, and so its pair is over.
    fn over(&mut self, link: LinkId) {
        let Some(wire) = self.wires.get_mut(&link) else {
            panic!("unknown {link}");
        };
        assert!(wire.open, "{link} was closed before");
        wire.open = false;
        if let Some((pair, _)) = wire.of
            && !core::mem::replace(&mut self.pairs[pair].over, true)
        {
            self.pairs[pair].left = self.now;
        }
    }

    fn pass_time(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some((at, _)) = self.relay.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            for pair in &mut self.pairs {
                pair.over |= !pair.joined && pair.until <= self.now;
            }
            self.relay.handle_timeout(self.now);
            let next = self.relay.poll_timeout();
            assert!(next.is_none_or(|(next, _)| next > self.now), "{next:?}");
            self.obey();
        }
        self.now = end;
        for pair in &mut self.pairs {
            assert!(pair.over || pair.joined || pair.until > end);
        }
    }

    /// The network takes so many octets.
    fn take(&mut self, link: LinkId, octets: usize) {
        let Some(wire) = self.wires.get_mut(&link) else {
            return;
        };
        if !wire.open || !wire.signalled {
            return;
        }
        let lent: Vec<u8> = self.relay.poll_transmit(link).flatten().copied().collect();
        assert!(!lent.is_empty(), "{link} was signalled for nothing");
        let taken = octets.min(lent.len());
        wire.got.extend(&lent[..taken]);
        wire.signalled = taken < lent.len();
        self.relay.handle_transmitted(self.now, link, taken);
    }

    /// Does what the relay asks for, and looks at what it is.
    fn obey(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            let (Action::Transmit { link }
            | Action::Pause { link }
            | Action::Resume { link }
            | Action::Close { link }) = action;
            let Some(wire) = self.wires.get_mut(&link) else {
                panic!("{action:?}");
            };
            assert!(wire.open, "{action:?} after its end");
            match action {
                Action::Transmit { .. } => {
                    assert!(!core::mem::replace(&mut wire.signalled, true), "{link}");
                }
                Action::Pause { .. } => {
                    assert!(!core::mem::replace(&mut wire.paused, true), "{link}");
                }
                Action::Resume { .. } => {
                    assert!(core::mem::replace(&mut wire.paused, false), "{link}");
                }
                Action::Close { .. } => self.closed(link),
            }
        }
        self.relay.check_invariants(READING);
        let open = self.wires.values().filter(|wire| wire.open).count();
        assert_eq!(self.relay.links(), open);
        self.relay_is_true();
    }

    /// The relay closes a link: there has to be a reason.
    fn closed(&mut self, link: LinkId) {
        let of = self.wires[&link].of;
        if let Some((number, end)) = of {
            let pair = &self.pairs[number];
            let idle = self.now >= pair.last + limits().idle;
            assert!(!pair.joined || pair.over || idle, "{link} is closed");
            if let Some(other) = pair.links[1 - end].filter(|_| pair.joined && !idle) {
                // Its last words, unless they took too long.
                let whole =
                    self.wires[&link].got.len() + Prelude::OCTETS == self.wires[&other].said.len();
                let late = self.now >= pair.left + limits().linger;
                assert!(whole || late, "{link} did not get all of it");
            }
        }
        self.over(link);
    }

    /// Nobody got anything but what the other end said, from its beginning.
    fn relay_is_true(&self) {
        for (link, wire) in &self.wires {
            let other = wire.of.and_then(|(pair, end)| {
                let pair = &self.pairs[pair];
                pair.links[1 - end].filter(|_| pair.joined)
            });
            let said = other.map(|other| &self.wires[&other].said[Prelude::OCTETS..]);
            assert!(said.unwrap_or_default().starts_with(&wire.got), "{link}");
        }
    }

    fn end(mut self) {
        // Whoever is there gets everything.
        loop {
            let signalled = self.wires.iter().filter(|(_, w)| w.open && w.signalled);
            let signalled: Vec<LinkId> = signalled.map(|(link, _)| *link).collect();
            if signalled.is_empty() {
                break;
            }
            for link in signalled {
                self.take(link, usize::MAX);
                self.obey();
            }
        }
        let joined = self.pairs.iter().filter(|pair| pair.joined && !pair.over);
        let mut links = BTreeSet::new();
        for pair in joined {
            let [Some(a), Some(b)] = pair.links else {
                panic!("joined without links");
            };
            for (to, from) in [(a, b), (b, a)] {
                let (to, from) = (&self.wires[&to], &self.wires[&from]);
                assert_eq!(to.got, from.said[Prelude::OCTETS..]);
                assert!(!to.paused, "nothing waits for the other end");
            }
            links.extend([a, b]);
        }
        assert_eq!(self.relay.pairs().count(), links.len() / 2);
        // And nothing stays.
        self.pass_time(Duration::from_secs(3_600));
        assert_eq!((self.relay.links(), self.relay.queued_octets()), (0, 0));
        assert_eq!(self.relay.poll_timeout(), None);
        assert_eq!(self.relay.pairs().count(), 0);
    }
}
