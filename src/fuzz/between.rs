//! Two whole nodes that talk through a middle which cuts, delays, and lies.

mod lies;
mod said;
mod wire;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::{BufMut, Bytes};

use self::said::Said;
use self::wire::{End, Wire};
use super::witness::Witness;
use crate::net::{InterfaceId, LinkId};
use crate::wire::{LongText, Text};
use crate::{Action, Config, Cut, Event, Instant, Interface, PeerId, Presence, Stack};

const GROUPS: [&str; 3] = ["CHAT", "NEWS", ""];
/// More than that happens in no schedule: a fuzzer learns more from many short ones.
const STEPS: usize = 300;
/// What may follow from one step without any time passing. Two nodes that keep each other busy for ever never get quiet.
const ROUNDS: usize = 20_000;
/// Datagrams that are under way at most.
const DATAGRAMS: usize = 16;
/// How long two nodes may take to find each other once nothing is in their way: the longest silence, the longest pause
/// of a dial, of an endpoint that is left alone, and of one that came and went often, one after the other.
const HEALING: Duration = Duration::from_secs(240);
/// How long they are watched then: longer than the longest silence.
const QUIET: Duration = Duration::from_secs(35);

/// A schedule of what two applications do, and of what a middle does to the datagrams and connections of their nodes.
///
/// All the while:
///
/// - Nothing panics, no table contradicts another or goes over its limit, and what the events say is what the queries say.
/// - What a node says on the wire follows ZMTP and ZRE: HELLO first, then numbers without a gap, over all connections to
///   one mailbox.
/// - Nothing goes on for ever without time passing.
///
/// As long as the middle does only what a network does (it delays, cuts, loses and doubles datagrams):
///
/// - What an application said arrives as it was said, in order, at most once, and only where it was meant to.
/// - What is missing was said last before an EXIT of the sender, and nothing of that time comes after it.
///
/// When the middle has come to rest, whatever it did before: the nodes meet, know each other's groups, and hear each other;
/// nothing that was said is missing without an EXIT; and then nothing happens any more.
pub fn between(schedule: &[u8]) {
    let mut u = Unstructured::new(schedule);
    // A schedule that is too short ends early.
    let Ok(mut world) = World::new(&mut u) else {
        return;
    };
    for _ in 0..STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
        world.settle();
    }
    world.heal();
    world.end();
}

/// One node and its application.
struct Side {
    stack: Option<Stack>,
    /// Of how many lives this one is the last.
    lives: u8,
    mailboxes: Vec<(InterfaceId, SocketAddr)>,
    /// Where its mailboxes are.
    place: u8,
    links: BTreeMap<LinkId, u32>,
    witness: Witness,
    /// The application takes events.
    reading: bool,
    stopping: bool,
    said: Said,
    /// Who is here, and the number of this time.
    here: BTreeMap<PeerId, u32>,
    times: u32,
    /// What was said last to a mailbox.
    last: BTreeMap<SocketAddr, Option<u16>>,
}

struct Datagram {
    to: usize,
    source: SocketAddr,
    octets: Bytes,
}

/// What becomes of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Made,
    Cut(Cut),
    Never,
}

struct World {
    now: Instant,
    config: Config,
    /// A node that starts anew has the identity that it had before.
    same_identity: bool,
    /// How many networks both are in.
    networks: u8,
    sides: [Side; 2],
    wires: BTreeMap<u32, Wire>,
    next_wire: u32,
    datagrams: VecDeque<Datagram>,
    /// What is not held gets through by itself.
    flows: bool,
    /// What becomes of new dials.
    answer: Answer,
    /// How many octets are under way at most in one direction of a connection.
    capacity: usize,
    /// How many octets are handed in at once.
    chunk: usize,
    /// Hand in octets through lent buffers.
    fills: bool,
    /// The middle may lie.
    liar: bool,
    /// It did.
    lied: bool,
    /// Tell what happens, for people.
    aloud: bool,
}

fn group(u: &mut Unstructured<'_>) -> Result<Text> {
    Ok(Text::try_from(*u.choose(&GROUPS)?).unwrap_or_default())
}

fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = Config {
        beacons: u.ratio(7_u8, 8)?,
        ..Config::default()
    };
    let (name, value) = (Text::try_from("X-ROOM"), LongText::try_from("kitchen"));
    config.headers.extend(name.into_iter().zip(value));
    if u.arbitrary()? {
        // So small that they are reached.
        let limits = &mut config.limits;
        limits.frame_octets = 20_000;
        limits.message_octets = 30_000;
        limits.message_frames = 5;
        limits.unproved_octets = 4_000;
        limits.unproved_links = 4;
        limits.peers = 3;
        limits.contacts = 4;
        limits.contacts_per_address = 2;
        limits.dial_attempts = 3;
        limits.groups_per_peer = 3;
        limits.send_octets = 10_000;
        limits.send_messages = 6;
        limits.receive_octets = 10_000;
        limits.receive_octets_total = 25_000;
    }
    Ok(config)
}

fn cut(u: &mut Unstructured<'_>) -> Result<Cut> {
    Ok(*u.choose(&[Cut::Reset, Cut::Closed, Cut::Unreachable])?)
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let flags: u8 = u.arbitrary()?;
        let config = config(u)?;
        let side = || Side {
            stack: None,
            lives: 0,
            mailboxes: Vec::new(),
            place: 0,
            links: BTreeMap::new(),
            witness: Witness::default(),
            reading: true,
            stopping: false,
            said: Said::default(),
            here: BTreeMap::new(),
            times: 0,
            last: BTreeMap::new(),
        };
        let mut world = Self {
            now: Instant::from_millis(1_000),
            config,
            same_identity: flags & 1 != 0,
            networks: 1 + (flags >> 1 & 1),
            sides: [side(), side()],
            wires: BTreeMap::new(),
            next_wire: 0,
            datagrams: VecDeque::new(),
            flows: true,
            answer: Answer::Made,
            capacity: usize::MAX,
            chunk: *u.choose(&[usize::MAX, 1_000, 64, 7, 1])?,
            fills: flags & 4 != 0,
            liar: flags & 8 != 0,
            lied: false,
            aloud: std::env::var_os("ATONCE_FUZZ_ALOUD").is_some(),
        };
        world.start(0);
        world.start(1);
        if flags & 16 == 0 {
            // Both have met before anything else happens.
            if flags & 32 == 0 {
                world.join(0, &Text::try_from(GROUPS[0]).unwrap_or_default());
                world.join(1, &Text::try_from(GROUPS[0]).unwrap_or_default());
            }
            world.settle();
            world.run_until(world.now + Duration::from_secs(1));
            assert!(world.is_healed(), "they did not meet");
        } else {
            world.flows = flags & 64 == 0;
        }
        world.settle();
        Ok(world)
    }

    // ---- what the fuzzer decides

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let choice = u.int_in_range(0..=31_u8)?;
        self.note(&format!("-- {choice}"));
        match choice {
            0..=2 => self.pass_time(u)?,
            3..=6 => self.whisper(u)?,
            7 | 8 => self.shout(u)?,
            9 => {
                let (who, group) = (u.choose_index(2)?, group(u)?);
                self.join(who, &group);
            }
            10 => {
                let (who, group) = (u.choose_index(2)?, group(u)?);
                self.leave(who, &group);
            }
            11 => {
                let who = u.choose_index(2)?;
                self.sides[who].reading ^= true;
            }
            12 => self.come_or_go(u)?,
            13 => self.flows ^= true,
            14 | 15 => self.hold(u)?,
            16 | 17 => self.let_through(u)?,
            18..=20 => self.break_wire(u)?,
            21 => {
                self.answer = match u.int_in_range(0..=5_u8)? {
                    0..=2 => Answer::Made,
                    3 => Answer::Cut(Cut::Refused),
                    4 => Answer::Cut(*u.choose(&[Cut::Unreachable, Cut::Resources])?),
                    _ => Answer::Never,
                };
            }
            22 => self.answer_one(u)?,
            23 | 24 => self.treat_datagram(u)?,
            25 => self.capacity = *u.choose(&[usize::MAX, 60_000, 3_000, 100, 0])?,
            26 => {
                let who = u.choose_index(2)?;
                self.connect(who);
            }
            _ => {
                if self.liar {
                    self.lie(u)?;
                }
            }
        }
        Ok(())
    }

    fn pass_time(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let time = match u.int_in_range(0..=7_u8)? {
            0..=2 => Duration::from_millis(u.int_in_range(0..=255)?),
            3 | 4 => Duration::from_millis(100 * u.int_in_range(0..=60)?),
            5 => Duration::from_millis(5_100),
            6 => {
                // To the next deadline of any node.
                let next = self.next_deadline().unwrap_or(self.now);
                return {
                    self.run_until(next);
                    Ok(())
                };
            }
            _ => Duration::from_secs(31),
        };
        self.run_until(self.now + time);
        Ok(())
    }

    fn whisper(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(2)?;
        let behind = self.sizes(u)?;
        for _ in 0..=u.int_in_range(0..=7_u8)? / 4 * 3 {
            self.whisper_once(who, &behind);
        }
        Ok(())
    }

    /// Says something to everybody who is here: mostly one.
    fn whisper_once(&mut self, who: usize, behind: &[usize]) {
        let side = &mut self.sides[who];
        let Some(stack) = &mut side.stack else {
            return;
        };
        let peers: Vec<PeerId> = stack.peers().map(|view| view.peer.id).collect();
        for to in peers {
            let content = side.said.content(behind);
            let sent = stack.whisper(self.now, to, content.clone());
            if sent.is_ok() {
                // What one says who does not know yet what happened belongs to no time.
                let session = side.here.get(&to).copied().filter(|_| side.reading);
                let from = stack.id();
                side.said.say(from, Some(to), None, content, session, false);
            }
            if self.aloud {
                std::eprintln!("{}   {who} whispers: {sent:?}", self.now);
            }
        }
    }

    fn shout(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (who, group) = (u.choose_index(2)?, group(u)?);
        let behind = self.sizes(u)?;
        self.shout_once(who, &group, &behind);
        Ok(())
    }

    fn shout_once(&mut self, who: usize, group: &Text, behind: &[usize]) {
        let hears = self.sides[1 - who]
            .stack
            .as_ref()
            .is_some_and(|stack| stack.groups().any(|own| own == group));
        let side = &mut self.sides[who];
        let Some(stack) = &mut side.stack else {
            return;
        };
        let content = side.said.content(behind);
        let members: Vec<PeerId> = stack
            .peers_in(group.as_bytes())
            .map(|view| view.peer.id)
            .collect();
        let sent = stack.shout(self.now, group, content.clone());
        if let Ok(shouted) = sent {
            assert_eq!(shouted.reached + shouted.full, members.len(), "{shouted:?}");
            if shouted.reached > 0 {
                let to = members.first().copied().filter(|_| members.len() == 1);
                let session = to
                    .and_then(|to| side.here.get(&to).copied())
                    .filter(|_| side.reading);
                let (from, group) = (stack.id(), Some(group.clone()));
                side.said.say(from, to, group, content, session, !hears);
            }
        }
        if self.aloud {
            std::eprintln!("{}   {who} shouts: {sent:?}", self.now);
        }
    }

    /// The sizes of frames behind the first.
    fn sizes(&self, u: &mut Unstructured<'_>) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        for _ in 0..u.int_in_range(0..=7_u8)?.saturating_sub(4) {
            sizes.push(match u.int_in_range(0..=7_u8)? {
                0 => 0,
                1 => 5,
                2 => 300,
                3 => 1_500,
                4 => 9_000,
                5 => 20_000,
                // As large as is allowed, as far as memory allows it.
                6 => self.config.limits.frame_octets.min(100_000),
                _ => u.arbitrary::<u16>()?.into(),
            });
        }
        Ok(sizes)
    }

    fn join(&mut self, who: usize, group: &Text) {
        if let Some(stack) = &mut self.sides[who].stack {
            stack.join(self.now, group);
        }
    }

    fn leave(&mut self, who: usize, group: &Text) {
        if let Some(stack) = &mut self.sides[who].stack {
            stack.leave(self.now, group);
            self.sides[1 - who].said.is_left(group);
        }
    }

    fn come_or_go(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(2)?;
        match u.int_in_range(0..=5_u8)? {
            0 => {
                if let Some(stack) = &mut self.sides[who].stack {
                    stack.stop(self.now);
                    self.sides[who].stopping = true;
                }
            }
            1 => {
                let cut = *u.choose(&[Cut::Closed, Cut::Reset])?;
                self.kill(who, cut);
            }
            2 => {
                self.kill(who, Cut::Reset);
                self.start(who);
            }
            3 => self.start(who),
            4 => self.interfaces_up(who),
            _ => {
                // To another address.
                self.interfaces_down(who);
                self.sides[who].place = (self.sides[who].place + 1) % 3;
                self.interfaces_up(who);
            }
        }
        Ok(())
    }

    fn some_pipe(&self, u: &mut Unstructured<'_>) -> Result<Option<(u32, usize)>> {
        if self.wires.is_empty() {
            return Ok(None);
        }
        let index = u.choose_index(2 * self.wires.len())?;
        let wire = self.wires.keys().nth(index / 2).copied();
        Ok(wire.map(|wire| (wire, index % 2)))
    }

    fn hold(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some((id, end)) = self.some_pipe(u)?
            && let Some(wire) = self.wires.get_mut(&id)
        {
            wire.pipes[end].held ^= true;
        }
        Ok(())
    }

    fn let_through(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some((id, end)) = self.some_pipe(u)? {
            let octets = match u.int_in_range(0..=3_u8)? {
                0 => u.int_in_range(0..=80)?,
                1 => u.arbitrary::<u16>()?.into(),
                _ => usize::MAX,
            };
            self.deliver(id, end, octets, true);
        }
        Ok(())
    }

    fn break_wire(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((id, end)) = self.some_pipe(u)? else {
            return Ok(());
        };
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.made) else {
            return Ok(());
        };
        match u.int_in_range(0..=7_u8)? {
            0 | 1 => wire.cut(Cut::Closed, false),
            2 | 3 => wire.cut(cut(u)?, true),
            // One side learns of it, the other does not.
            4 | 5 => {
                wire.pipes[end].octets.clear();
                wire.pipes[end].end = Some(cut(u)?);
                wire.pipes[1 - end].held = true;
            }
            6 => wire.pipes[end].swallows = true,
            _ => {
                for pipe in &mut wire.pipes {
                    pipe.swallows = true;
                }
            }
        }
        Ok(())
    }

    fn answer_one(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let asked: Vec<u32> = self
            .wires
            .iter()
            .filter(|(_, wire)| !wire.made)
            .map(|(id, _)| *id)
            .collect();
        if !asked.is_empty() {
            let id = *u.choose(&asked)?;
            let made = u.ratio(3_u8, 4)?;
            self.answer_dial(
                id,
                if made {
                    Answer::Made
                } else {
                    Answer::Cut(Cut::Refused)
                },
            );
        }
        Ok(())
    }

    fn treat_datagram(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.datagrams.is_empty() {
            return Ok(());
        }
        let index = u.choose_index(self.datagrams.len())?;
        match u.int_in_range(0..=3_u8)? {
            0 => {
                self.datagrams.remove(index);
            }
            1 => self.datagrams.clear(),
            kind => {
                // Out of its turn, and perhaps once more later.
                let datagram = if kind == 2 {
                    self.datagrams.remove(index)
                } else {
                    let again = self.datagrams.get(index);
                    again.map(|again| Datagram {
                        octets: again.octets.clone(),
                        ..*again
                    })
                };
                if let Some(datagram) = datagram {
                    self.hand_datagram(&datagram);
                }
            }
        }
        Ok(())
    }

    // ---- how nodes come and go

    fn start(&mut self, who: usize) {
        if self.sides[who].stack.is_some() {
            return;
        }
        let mut config = self.config.clone();
        config.name = Text::try_from(["anna", "boris"][who]).ok();
        let octet = u8::try_from(who).unwrap_or_default();
        if self.same_identity {
            config.uuid = Some(PeerId::from_bytes([octet + 1; 16]));
        }
        let beacons = config.beacons;
        let side = &mut self.sides[who];
        side.lives += 1;
        side.stack = Some(Stack::new(self.now, [16 * octet + side.lives; 32], config));
        side.mailboxes.clear();
        side.witness = Witness::default();
        side.reading = true;
        side.stopping = false;
        side.here.clear();
        side.last.clear();
        self.note(&format!("{who} starts"));
        self.interfaces_up(who);
        if !beacons {
            self.connect(who);
        }
    }

    /// The process is killed: its sockets close, its memory is gone.
    fn kill(&mut self, who: usize, cut: Cut) {
        self.note(&format!("{who} is killed"));
        let side = &mut self.sides[who];
        side.stack = None;
        side.here.clear();
        side.mailboxes.clear();
        for (link, id) in core::mem::take(&mut side.links) {
            self.leave_wire(who, link, id, cut);
        }
    }

    fn address_of(&self, who: usize, network: u8) -> SocketAddr {
        let host = 1 + 2 * self.sides[who].place + u8::try_from(who).unwrap_or_default();
        SocketAddr::from(([10, 0, network, host], 49152))
    }

    fn interfaces_up(&mut self, who: usize) {
        for network in 0..self.networks {
            let mailbox = self.address_of(who, network);
            let side = &mut self.sides[who];
            let Some(stack) = &mut side.stack else {
                return;
            };
            if side.mailboxes.iter().all(|(_, other)| *other != mailbox) {
                let interface = Interface {
                    name: format!("eth{network}"),
                    address: mailbox.ip(),
                    port: mailbox.port(),
                };
                let id = stack.handle_interface_up(self.now, interface);
                side.mailboxes.push((id, mailbox));
            }
        }
    }

    fn interfaces_down(&mut self, who: usize) {
        let side = &mut self.sides[who];
        if let Some(stack) = &mut side.stack {
            for (interface, _) in side.mailboxes.drain(..) {
                stack.handle_interface_down(self.now, interface, "pulled");
            }
        }
    }

    /// The application knows where the other is.
    fn connect(&mut self, who: usize) {
        let address = self.address_of(1 - who, 0);
        if let Some(stack) = &mut self.sides[who].stack {
            stack.connect(self.now, &address.into());
        }
    }

    // ---- the network

    fn hand_datagram(&mut self, datagram: &Datagram) {
        let side = &mut self.sides[datagram.to];
        let network = |address: &SocketAddr| match address {
            SocketAddr::V4(v4) => v4.ip().octets()[2],
            SocketAddr::V6(_) => 0,
        };
        let there = side
            .mailboxes
            .iter()
            .any(|(_, mailbox)| network(mailbox) == network(&datagram.source));
        if let (true, Some(stack)) = (there, &mut side.stack) {
            stack.handle_datagram(self.now, datagram.source, &datagram.octets);
        }
    }

    fn new_wire(&mut self, end: End, to: SocketAddr) -> u32 {
        let id = self.next_wire;
        self.next_wire += 1;
        self.wires.insert(id, Wire::new(end, to, self.now));
        id
    }

    /// Who listens at an address, and on which interface.
    fn listener(&self, address: SocketAddr) -> Option<(usize, InterfaceId)> {
        (0..2).find_map(|who| {
            let side = &self.sides[who];
            let mailbox = side.mailboxes.iter().find(|(_, at)| *at == address);
            mailbox
                .filter(|_| side.stack.is_some())
                .map(|(interface, _)| (who, *interface))
        })
    }

    fn answer_dial(&mut self, id: u32, answer: Answer) {
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.made) else {
            return;
        };
        let to = wire.to;
        let refused = match answer {
            Answer::Made => Cut::Refused,
            Answer::Cut(cut) => cut,
            Answer::Never => {
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.hangs = true;
                }
                return;
            }
        };
        let (dialler, local) = match &wire.ends[0] {
            &End::Node(who, link) => {
                let side = &self.sides[who];
                let network = |address: &SocketAddr| match address.ip() {
                    core::net::IpAddr::V4(v4) => v4.octets()[2],
                    core::net::IpAddr::V6(_) => 0,
                };
                let mut local = side
                    .mailboxes
                    .iter()
                    .map(|(_, mailbox)| *mailbox)
                    .find(|mailbox| network(mailbox) == network(&to))
                    .unwrap_or_else(|| self.address_of(who, 0));
                local.set_port(50_000 + u16::try_from(id % 10_000).unwrap_or_default());
                (Some((who, link)), local)
            }
            _ => (None, lies::address(50_000)),
        };
        let far = match (answer, self.listener(to)) {
            (Answer::Made, Some((who, interface))) => self.sides[who]
                .stack
                .as_mut()
                .and_then(|stack| stack.handle_accepted(self.now, interface, local))
                .map(|link| (who, link)),
            _ => None,
        };
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        if let Some((who, link)) = far {
            wire.ends[1] = End::Node(who, link);
            self.sides[who].links.insert(link, id);
        } else if answer == Answer::Made && self.liar && to == lies::address(49152) {
            wire.ends[1] = lies::mailbox(self.now);
        } else {
            self.wires.remove(&id);
            if let Some((who, link)) = dialler {
                self.sides[who].links.remove(&link);
                if let Some(stack) = &mut self.sides[who].stack {
                    stack.handle_disconnected(self.now, link, refused);
                }
            }
            return;
        }
        wire.made = true;
        if let Some((who, link)) = dialler
            && let Some(stack) = &mut self.sides[who].stack
        {
            stack.handle_connected(self.now, link, local);
        }
        for end in 0..2 {
            self.collect_puppet(id, end);
        }
    }

    /// A node or the middle lets its end of a wire go.
    fn leave_wire(&mut self, who: usize, link: LinkId, id: u32, cut: Cut) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        if let Some(end) = wire.end_of(who, link) {
            wire.leave(end, cut);
            if !wire.made || wire.is_dead() {
                self.wires.remove(&id);
            }
        }
    }

    /// Takes what a node has to send over a wire, as far as there is room; says whether there was anything.
    fn collect(&mut self, id: u32, end: usize) -> bool {
        let Some(wire) = self.wires.get_mut(&id) else {
            return false;
        };
        let pipe = &mut wire.pipes[end];
        let room = self.capacity.saturating_sub(pipe.octets.len());
        let (End::Node(who, link), true) = (&wire.ends[end], pipe.wanted && room > 0) else {
            return false;
        };
        let (who, link) = (*who, *link);
        let side = &mut self.sides[who];
        let Some(stack) = &mut side.stack else {
            return false;
        };
        let mut octets = Vec::new();
        for slice in stack.poll_transmit(link) {
            let taken = slice.len().min(room - octets.len());
            octets.extend_from_slice(&slice[..taken]);
        }
        if octets.is_empty() {
            pipe.wanted = false;
            return false;
        }
        if end == 0 {
            let before = side.last.entry(wire.to).or_default();
            wire.overheard.hear(self.now, &octets, before);
        }
        if !pipe.swallows && pipe.end.is_none() {
            pipe.octets.extend(&octets);
        }
        stack.handle_transmitted(self.now, link, octets.len());
        true
    }

    /// Hands some octets of a wire to its other end, or that it is at its end; says whether anything happened.
    fn deliver(&mut self, id: u32, end: usize, octets: usize, by_hand: bool) -> bool {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.made) else {
            return false;
        };
        let pipe = &mut wire.pipes[end];
        if pipe.held && !by_hand {
            return false;
        }
        let mut octets = octets.min(pipe.octets.len());
        match &mut wire.ends[1 - end] {
            End::Nobody => {
                pipe.octets.clear();
                if wire.is_dead() {
                    self.wires.remove(&id);
                }
                false
            }
            // A reset is noticed even so.
            End::Node(..) if pipe.paused && (octets > 0 || pipe.end == Some(Cut::Closed)) => false,
            &mut End::Node(who, link) if octets > 0 => {
                let Some(stack) = &mut self.sides[who].stack else {
                    return false;
                };
                if self.fills
                    && let Some(mut buffer) = stack.receive_buffer(link)
                {
                    octets = octets.min(buffer.remaining_mut());
                    for octet in pipe.octets.drain(..octets) {
                        buffer.put_u8(octet);
                    }
                    stack.handle_filled(self.now, link);
                } else {
                    let octets: Vec<u8> = pipe.octets.drain(..octets).collect();
                    stack.handle_received(self.now, link, &octets);
                }
                true
            }
            End::Puppet(connection) if octets > 0 => {
                let octets: Vec<u8> = pipe.octets.drain(..octets).collect();
                connection.handle_input(self.now, &octets);
                while connection.poll_event().is_some() {}
                self.collect_puppet(id, 1 - end);
                true
            }
            End::Node(..) | End::Puppet(_) => {
                let Some(cut) = pipe.end.take() else {
                    return false;
                };
                let node = match wire.ends[1 - end] {
                    End::Node(who, link) => Some((who, link)),
                    _ => None,
                };
                wire.leave(1 - end, Cut::Closed);
                if wire.is_dead() {
                    self.wires.remove(&id);
                }
                if let Some((who, link)) = node {
                    self.note(&format!("> {who}: {link} ends: {cut:?}"));
                    self.sides[who].links.remove(&link);
                    if let Some(stack) = &mut self.sides[who].stack {
                        stack.handle_disconnected(self.now, link, cut);
                    }
                }
                true
            }
        }
    }

    /// Lets get through what gets through by itself; says whether there was anything.
    fn flow(&mut self) -> bool {
        let mut any = false;
        let ids: Vec<u32> = self.wires.keys().copied().collect();
        for id in ids {
            let waits = self
                .wires
                .get(&id)
                .is_some_and(|wire| !wire.made && !wire.hangs);
            if waits && self.flows {
                self.answer_dial(id, self.answer);
                any = true;
            }
            for end in 0..2 {
                any |= self.collect(id, end);
                if self.flows {
                    // Small pieces for all of a large message would only take long.
                    let under_way = self
                        .wires
                        .get(&id)
                        .map_or(0, |wire| wire.pipes[end].octets.len());
                    let chunk = self.chunk.max(under_way / 64);
                    any |= self.deliver(id, end, chunk, false);
                }
            }
        }
        if self.flows
            && let Some(datagram) = self.datagrams.pop_front()
        {
            self.hand_datagram(&datagram);
            any = true;
        }
        any
    }

    // ---- time

    fn next_deadline(&self) -> Option<Instant> {
        let stacks = self.sides.iter().filter_map(|side| side.stack.as_ref());
        stacks
            .filter_map(|stack| stack.poll_timeout())
            .map(|(at, _)| at)
            .min()
    }

    fn run_until(&mut self, to: Instant) {
        while let Some(at) = self.next_deadline()
            && at <= to
        {
            self.now = self.now.max(at);
            for who in 0..2 {
                if let Some(stack) = &mut self.sides[who].stack {
                    stack.handle_timeout(self.now);
                    let next = stack.poll_timeout();
                    assert!(next.is_none_or(|(at, _)| at > self.now), "{next:?} is due");
                }
            }
            self.settle();
        }
        self.now = to;
    }

    // ---- what the nodes do

    /// Lets everything happen that happens by itself, and looks whether all is well.
    fn settle(&mut self) {
        for round in 0.. {
            let mut any = false;
            for who in 0..2 {
                any |= self.turn(who);
            }
            any |= self.flow();
            if !any {
                break;
            }
            assert!(round < ROUNDS, "they never get quiet");
        }
        for side in &self.sides {
            let Some(stack) = &side.stack else {
                continue;
            };
            stack.check_invariants();
            if side.reading && !side.stopping {
                side.witness.compare(stack);
            }
        }
    }

    /// Does what a node wants done, and lets its application hear.
    fn turn(&mut self, who: usize) -> bool {
        let mut any = false;
        loop {
            let side = &mut self.sides[who];
            let Some(stack) = &mut side.stack else {
                return any;
            };
            if let Some(action) = stack.poll_action() {
                self.act(who, &action);
            } else if side.reading
                && let Some(event) = stack.poll_event(self.now)
            {
                self.hear(who, &event);
            } else {
                return any;
            }
            any = true;
        }
    }

    fn act(&mut self, who: usize, action: &Action) {
        self.note(&format!("{who}: {action:?}"));
        match *action {
            Action::Broadcast {
                interface,
                ref datagram,
            } => {
                let mailbox = self.sides[who].mailboxes.iter();
                let mut mailbox = mailbox.filter(|(id, _)| *id == interface);
                // An interface may be gone by now.
                if let Some((_, mailbox)) = mailbox.next() {
                    self.datagrams.push_back(Datagram {
                        to: 1 - who,
                        source: SocketAddr::new(mailbox.ip(), 5670),
                        octets: datagram.clone(),
                    });
                    if self.datagrams.len() > DATAGRAMS {
                        self.datagrams.pop_front();
                    }
                }
            }
            Action::Dial { link, address } => {
                let id = self.new_wire(End::Node(who, link), address);
                let before = self.sides[who].links.insert(link, id);
                assert!(before.is_none(), "{link} was used before");
            }
            Action::Transmit { link } => {
                self.pipe(who, link, false).wanted = true;
            }
            Action::Pause { link } => self.pipe(who, link, true).paused = true,
            Action::Resume { link } => self.pipe(who, link, true).paused = false,
            Action::Close { link } => {
                let Some(id) = self.sides[who].links.remove(&link) else {
                    panic!("{link} is not open");
                };
                self.leave_wire(who, link, id, Cut::Closed);
            }
            Action::Resolve { .. } => panic!("nobody asked for a name"),
        }
    }

    /// The direction of a link: to the node, or from it.
    fn pipe(&mut self, who: usize, link: LinkId, to_it: bool) -> &mut wire::Pipe {
        let id = self.sides[who].links.get(&link);
        let wire = id.and_then(|id| self.wires.get_mut(id));
        let Some((wire, end)) = wire.and_then(|wire| {
            let end = wire.end_of(who, link)?;
            Some((wire, end))
        }) else {
            panic!("{link} is not open");
        };
        &mut wire.pipes[if to_it { 1 - end } else { end }]
    }

    fn hear(&mut self, who: usize, event: &Event) {
        if self.aloud {
            self.note(&format!("{who} is told {event:.200?}"));
        }
        let [first, second] = &mut self.sides;
        let (side, other) = if who == 0 {
            (first, second)
        } else {
            (second, first)
        };
        side.witness.event(event);
        let own = side.stack.as_ref().map(Stack::id);
        match event {
            Event::Enter { peer } => {
                side.times += 1;
                side.here.insert(peer.id, side.times);
                let name = ["boris", "anna"][who];
                assert!(self.lied || peer.name == *name, "{peer:?}");
            }
            Event::Exit { peer, .. } => {
                side.here.remove(&peer.id);
            }
            Event::Whisper { content, .. } | Event::Shout { content, .. } if self.lied => {
                other.said.may_arrive(content);
            }
            Event::Whisper { peer, content } => {
                let own = own.unwrap_or(peer.id);
                other.said.arrive(peer.id, own, None, content);
            }
            Event::Shout {
                peer,
                group,
                content,
            } => {
                let own = own.unwrap_or(peer.id);
                other.said.arrive(peer.id, own, Some(group), content);
            }
            Event::Stopped => {
                assert!(side.links.is_empty(), "links are left open");
                side.stack = None;
                side.here.clear();
                side.mailboxes.clear();
            }
            _ => {}
        }
    }

    fn note(&self, what: &str) {
        if self.aloud {
            std::eprintln!("{}   {what}", self.now);
        }
    }

    // ---- the end

    /// Whether each is here for the other, as it is.
    fn is_healed(&self) -> bool {
        let [Some(first), Some(second)] = self.sides.each_ref().map(|side| side.stack.as_ref())
        else {
            return false;
        };
        [(first, second), (second, first)]
            .into_iter()
            .all(|(one, other)| {
                let mut peers = one.peers();
                let groups: BTreeSet<Text> = other.groups().cloned().collect();
                peers.next().is_some_and(|view| {
                    view.peer.id == other.id()
                        && view.presence == Presence::Ready
                        && *view.groups == groups
                }) && peers.next().is_none()
            })
    }

    /// The middle comes to rest: both find each other again, and then nothing happens any more.
    fn heal(&mut self) {
        self.note("-- healing");
        self.flows = true;
        self.answer = Answer::Made;
        self.capacity = usize::MAX;
        self.chunk = usize::MAX;
        for wire in self.wires.values_mut() {
            wire.hangs = false;
            for pipe in &mut wire.pipes {
                pipe.held = false;
            }
        }
        self.stop_lying();
        for side in &mut self.sides {
            side.reading = true;
        }
        self.settle();
        let end = self.now + HEALING;
        for who in 0..2 {
            if self.sides[who].stopping && self.sides[who].stack.is_some() {
                self.run_until(self.now + Duration::from_secs(2));
                let stopped = self.sides[who].stack.is_none();
                assert!(stopped, "{who} does not stop");
            }
            if self.sides[who].stack.is_some() && self.sides[who].mailboxes.is_empty() {
                self.interfaces_up(who);
            }
            self.start(who);
        }
        self.settle();
        if !self.config.beacons {
            self.connect(0);
        }
        while !(self.is_healed() && self.hear_each_other()) {
            assert!(self.now < end, "they do not find each other");
            self.run_until(self.now + Duration::from_secs(1));
        }
        let before = self.sides.each_ref().map(|side| side.times);
        self.run_until(self.now + QUIET);
        assert!(self.is_healed(), "it did not last");
        assert!(self.hear_each_other(), "it did not last");
        let after = self.sides.each_ref().map(|side| side.times);
        assert_eq!(before, after, "it did not last");
    }

    /// Whether what each says arrives at once.
    fn hear_each_other(&mut self) -> bool {
        let group = Text::try_from(GROUPS[0]).unwrap_or_default();
        for who in 0..2 {
            self.whisper_once(who, &[]);
            self.shout_once(who, &group, &[5]);
        }
        self.settle();
        if !self.is_healed() {
            return false;
        }
        self.sides.iter().all(|side| side.said.has_last_arrived())
    }

    /// Nothing that was said is missing without a word; and when one stops the other is told.
    fn end(&mut self) {
        for side in self.sides.iter().filter(|_| !self.lied) {
            let open: BTreeSet<u32> = side.here.values().copied().collect();
            side.said.check(&open);
        }
        if let Some(stack) = &mut self.sides[0].stack {
            stack.stop(self.now);
            self.sides[0].stopping = true;
        }
        self.run_until(self.now + Duration::from_secs(3));
        assert!(self.sides[0].stack.is_none(), "it does not stop");
        if let Some(stack) = &self.sides[1].stack {
            assert_eq!(stack.peers().count(), 0, "it is not told of a goodbye");
        }
        self.kill(1, Cut::Closed);
        assert!(self.wires.is_empty(), "connections are left open");
    }
}
