//! Two whole nodes that talk through a middle which cuts, delays, and lies.

#[cfg(feature = "curve")]
mod keys;
mod lies;
mod nat;
mod network;
mod said;
mod steps;
mod wire;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use self::nat::Nat;
use self::said::Said;
use self::wire::{End, Wire};
use super::witness::Witness;
use crate::net::{InterfaceId, LinkId};
use crate::wire::{LongText, Text};
use crate::zre::{Beacons, Lost};
use crate::{Action, Config, Cut, Event, ExitReason, Instant, Interface, PeerId, Presence, Stack};

const GROUPS: [&str; 3] = ["CHAT", "NEWS", ""];
/// More than that happens in no schedule: a fuzzer learns more from many short ones.
const STEPS: usize = 300;
/// What may follow from one step without any time passing, also when all that is under way comes octet by octet. Two nodes
/// that keep each other busy for ever never get quiet.
const ROUNDS: usize = 2_000_000;
/// Datagrams that are under way at most.
const DATAGRAMS: usize = 16;
/// How long two nodes may take to find each other once nothing is in their way: the longest silence, the longest pause
/// of a dial, of an endpoint that is left alone, and of one that came and went often, one after the other.
const HEALING: Duration = Duration::from_secs(240);
/// How long it takes until nobody is in doubt any more.
const DOUBT: Duration = Duration::from_secs(3);
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
/// - Neither tells of the other that it broke a rule.
/// - Nothing is missing between two messages that both sides take for the same time with each other, from ENTER to EXIT;
///   and what is missing at all was said before an EXIT that the sender is told.
///
/// All this is the same when both are secure, and the middle is one who may come in; and when nobody can dial the second one,
/// which then is spoken to on its own links, and whoever is where it says that it lives hears nothing.
///
/// When the middle has come to rest, whatever it did before: the nodes meet, know each other's groups, and hear each other;
/// nothing that was said is missing without an EXIT; and then nothing happens any more.
pub fn between(schedule: &[u8]) {
    let (nat, schedule) = Nat::read(schedule);
    let mut u = Unstructured::new(schedule);
    // A schedule that is too short ends early.
    let Ok(mut world) = World::new(&mut u, nat) else {
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
    /// Which connection has its turn next.
    turn: u32,
    datagrams: VecDeque<Datagram>,
    /// What is not held gets through by itself.
    flows: bool,
    /// What becomes of new dials.
    answer: Answer,
    /// How many octets are under way at most in one direction of a connection.
    capacity: usize,
    /// How many octets are handed in at once.
    chunk: usize,
    /// How many octets got through since the last step.
    moved: usize,
    /// Hand in octets through lent buffers.
    fills: bool,
    /// Both offer to be spoken to on their own links, and how the second one can be reached.
    nat: Option<Nat>,
    /// Both nodes have keys.
    #[cfg(feature = "curve")]
    security: Option<keys::Security>,
    /// The middle may lie.
    liar: bool,
    /// It did.
    lied: bool,
    /// A connection broke, perhaps with a PING or PING-OK on it, which nobody misses but by its number.
    torn: bool,
    /// It comes to rest.
    at_rest: bool,
    /// How often it was waited until nothing happened by itself.
    settled: usize,
    /// Tell what happens, for people.
    aloud: bool,
}

fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = Config {
        beacons: match u.arbitrary::<u8>()? {
            off if off % 8 == 7 => Beacons::Off,
            224.. => Beacons::Directed,
            _ => Beacons::Both,
        },
        interval: Duration::from_secs(*u.choose(&[1, 5])?),
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

impl World {
    fn new(u: &mut Unstructured<'_>, nat: Option<Nat>) -> Result<Self> {
        let flags: u8 = u.arbitrary()?;
        let mut config = config(u)?;
        config.duplex = nat.is_some();
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
            turn: 0,
            datagrams: VecDeque::new(),
            flows: true,
            answer: Answer::Made,
            capacity: usize::MAX,
            chunk: *u.choose(&[usize::MAX, 1_000, 64, 7, 1])?,
            moved: 0,
            fills: flags & 4 != 0,
            nat,
            #[cfg(feature = "curve")]
            security: (flags & 128 != 0).then(keys::Security::new),
            liar: flags & 8 != 0,
            lied: false,
            torn: false,
            at_rest: false,
            settled: 0,
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
            // Who is dialled back in vain has two seconds.
            let dials = Duration::from_secs(if nat.is_some() { 3 } else { 1 });
            world.run_until(world.now + dials);
            assert!(world.is_healed(), "they did not meet");
        } else {
            world.flows = flags & 64 == 0;
        }
        world.settle();
        Ok(world)
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
        side.lives = side.lives.wrapping_add(1);
        #[cfg(feature = "curve")]
        if let Some(security) = &self.security {
            security.configure(&mut config, who, side.lives);
        }
        let mut seed = [octet; 32];
        seed[0] = side.lives;
        side.stack = Some(Stack::new(self.now, seed, config));
        side.mailboxes.clear();
        side.witness = Witness::default();
        side.reading = true;
        side.stopping = false;
        side.here.clear();
        side.last.clear();
        self.note(format_args!("{who} starts"));
        self.interfaces_up(who);
        if beacons != Beacons::Both && !self.is_hidden(1 - who) {
            self.connect(who);
        }
    }

    /// The process is killed: its sockets close, its memory is gone.
    fn kill(&mut self, who: usize, cut: Cut) {
        self.note(format_args!("{who} is killed"));
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
                    zone: 0,
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
        if self.is_hidden(1 - who)
            && let Some(nat) = &mut self.nat
        {
            nat.sought = true;
        }
        if let Some(stack) = &mut self.sides[who].stack {
            if self.config.beacons == Beacons::Directed {
                // It may be stopping.
                let _ = stack.beacon(self.now, SocketAddr::new(address.ip(), 5670));
                return;
            }
            #[cfg(feature = "curve")]
            if let Some(security) = &self.security {
                let key = security.key_of(1 - who);
                // It may be stopping.
                let _ = stack.connect_with_key(self.now, &address.into(), key);
                return;
            }
            let _ = stack.connect(self.now, &address.into());
        }
    }

    // ---- time

    fn next_deadline(&self) -> Option<Instant> {
        let stacks = self.sides.iter().filter_map(|side| side.stack.as_ref());
        stacks
            .filter_map(Stack::poll_timeout)
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
        self.moved = 0;
        for round in 0.. {
            let mut any = false;
            for who in 0..2 {
                any |= self.obey(who);
            }
            any |= self.flow();
            if !any {
                break;
            }
            assert!(round < ROUNDS, "they never get quiet");
        }
        self.settled += 1;
        // Looking costs more than what happens while nobody disturbs them.
        if self.at_rest && !self.settled.is_multiple_of(16) {
            return;
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
    fn obey(&mut self, who: usize) -> bool {
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
                let mut rest = VecDeque::new();
                if who == 1 {
                    // That one takes several at once.
                    stack.poll_events(self.now, 1_000, &mut rest);
                }
                self.hear(who, &event);
                for event in rest {
                    self.hear(who, &event);
                }
            } else {
                return any;
            }
            any = true;
        }
    }

    fn act(&mut self, who: usize, action: &Action) {
        self.note(format_args!("{who}: {action:?}"));
        match *action {
            Action::Broadcast {
                interface,
                ref datagram,
            } => {
                if self.is_hidden(who) {
                    return;
                }
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
            Action::Beacon {
                interface,
                to,
                ref datagram,
            } => {
                let there = self.sides[1 - who].mailboxes.iter();
                let mut there = there.filter(|(_, mailbox)| {
                    let open = !self.is_hidden(1 - who) && mailbox.ip() == to.ip();
                    open || self.seen_from(1 - who, *mailbox).ip() == to.ip()
                });
                let mailbox = self.sides[who].mailboxes.iter();
                let mut mailbox = mailbox.filter(|(id, _)| *id == interface);
                if let (Some((_, mailbox)), true) = (mailbox.next(), there.next().is_some()) {
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
            #[cfg(feature = "curve")]
            Action::Authenticate { link, .. } => self.ask(who, link),
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
            self.note(format_args!("{who} is told {event:.200?}"));
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
            Event::Exit { peer, reason } => {
                side.here.remove(&peer.id);
                let broken = match reason {
                    // A conversation goes on after that, and the peer finds that a number lacks.
                    ExitReason::Lost(Lost::Gap { .. }) => !self.torn,
                    ExitReason::Lost(lost) => {
                        matches!(lost, Lost::Garbled | Lost::Malformed(_))
                    }
                    _ => false,
                };
                assert!(self.lied || !broken, "both keep the rules: {reason}");
            }
            Event::Whisper { content, .. } | Event::Shout { content, .. } if self.lied => {
                other.said.may_arrive(content);
            }
            Event::Whisper { peer, content } => {
                let own = own.unwrap_or(peer.id);
                let time = side.here.get(&peer.id).copied().unwrap_or_default();
                other.said.arrive(peer.id, own, time, None, content);
            }
            Event::Shout {
                peer,
                group,
                content,
            } => {
                let own = own.unwrap_or(peer.id);
                let time = side.here.get(&peer.id).copied().unwrap_or_default();
                other.said.arrive(peer.id, own, time, Some(group), content);
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

    fn note(&self, what: fmt::Arguments<'_>) {
        if self.aloud {
            std::eprintln!("{}   {what}", self.now);
        }
    }

    // ---- the end

    /// Whether nobody on the way can read what the nodes say.
    #[cfg(feature = "curve")]
    fn is_secret(&self) -> bool {
        self.security.is_some()
    }

    #[cfg(not(feature = "curve"))]
    #[allow(clippy::unused_self)]
    fn is_secret(&self) -> bool {
        false
    }

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

    /// Whether each group that somebody stands for has one leader, the same for both.
    fn is_led(&self) -> bool {
        let stacks = self.sides.iter().filter_map(|side| side.stack.as_ref());
        let stacks: Vec<_> = stacks.collect();
        GROUPS.iter().all(|group| {
            let group = group.as_bytes();
            let is_in = |stack: &&&Stack| stack.groups().any(|own| own.as_bytes() == group);
            let members: Vec<_> = stacks.iter().filter(is_in).collect();
            let stands = |stack: &Stack| stack.contested().any(|own| own.as_bytes() == group);
            let leaders = members.iter().map(|stack| stack.leader(group));
            let leaders: BTreeSet<_> = leaders.collect();
            let contestants = members.iter().filter(|stack| stands(stack));
            let contestants: Vec<_> = contestants.map(|stack| Some(stack.id())).collect();
            // Nobody stands: one that withdrew may lead on.
            contestants.is_empty()
                || leaders.len() == 1 && leaders.iter().all(|leader| contestants.contains(leader))
        })
    }

    /// The middle comes to rest: both find each other again, and then nothing happens any more.
    fn heal(&mut self) {
        self.note(format_args!("-- healing"));
        self.at_rest = true;
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
        #[cfg(feature = "curve")]
        self.let_all_in();
        for side in &mut self.sides {
            side.reading = true;
        }
        self.settle();
        // Whoever is in doubt is asked, and has a second.
        self.run_until(self.now + DOUBT);
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
        if self.config.beacons != Beacons::Both {
            self.connect(usize::from(self.is_hidden(1)));
        }
        while !(self.is_healed() && self.hear_each_other()) {
            assert!(self.now < end, "they do not find each other");
            self.run_until(self.now + Duration::from_secs(1));
        }
        let before = self.sides.each_ref().map(|side| side.times);
        self.run_until(self.now + QUIET);
        assert!(self.is_healed(), "it did not last");
        assert!(self.hear_each_other(), "it did not last");
        assert!(self.is_led(), "a group has no leader, or several");
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
        self.settle();
        self.run_until(self.now + Duration::from_secs(3));
        assert!(self.sides[0].stack.is_none(), "it does not stop");
        if let Some(stack) = &self.sides[1].stack {
            assert_eq!(stack.peers().count(), 0, "it is not told of a goodbye");
        }
        self.kill(1, Cut::Closed);
        assert!(self.wires.is_empty(), "connections are left open");
    }
}
