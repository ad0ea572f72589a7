//! A whole [`Stack`] among puppets that say and do whatever the fuzzer likes.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::hash::DefaultHasher;

use arbitrary::{Result, Unstructured};
use bytes::{BufMut, Bytes};

use super::witness::Witness;
use crate::endpoint::Endpoint;
use crate::wire::zmtp::{Identity, SocketType};
use crate::wire::zre::{Command, Hello, Limits, Message};
use crate::wire::{Beacon, Frames, LongText, Text};
use crate::zmtp::{self, Connection};
use crate::{Action, Config, Cut, Event, Instant, Interface, InterfaceId, LinkId, PeerId, Stack};

const PUPPETS: usize = 6;
const GROUPS: [&str; 4] = ["CHAT", "NEWS", "", "Ω"];
/// More than that happens in no schedule: a fuzzer learns more from many short ones.
const STEPS: usize = 400;
/// What puppets do by themselves after each step: they could go on for ever.
const REACTIONS: usize = 64;

/// A schedule: what the network, the peers, the application and the clock do, in any order, and what must hold all
/// the while.
///
/// - Nothing panics, and the tables never contradict each other or go over their limits.
/// - Actions name links that are open, in an order that makes sense.
/// - ENTER comes before everything else of a peer, then exactly one EXIT; what the events say is what the queries say.
/// - Once the time is handled no deadline is in the past.
/// - The same schedule twice gives the same actions, octets and events.
/// - When all links close and time passes everything is let go, and a node that is stopped ends.
pub fn node(schedule: &[u8]) {
    let first = run(schedule, true);
    let again = run(schedule, false);
    assert_eq!(first, again, "it is not always the same");
}

/// Runs a schedule, and looks all the while whether all is well, if asked to; what comes back stands for all that the
/// stack did.
fn run(schedule: &[u8], watched: bool) -> u64 {
    let mut u = Unstructured::new(schedule);
    // A schedule that is too short ends early.
    let Ok(mut world) = World::new(&mut u, watched) else {
        return 0;
    };
    for _ in 0..STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
        world.settle();
    }
    world.end();
    world.trace.finish()
}

/// One end of a link, seen from outside.
struct Far {
    who: usize,
    /// `None`: its octets come raw from the fuzzer, and what it is sent is thrown away.
    connection: Option<Box<Connection>>,
    /// The address that the stack dialled; `None`: the puppet dialled.
    dialled: Option<SocketAddr>,
    connected: bool,
    /// The stack does not want it to be read.
    paused: bool,
    /// The puppet does not read.
    stalled: bool,
    /// Octets on their way to the stack.
    under_way: VecDeque<u8>,
    /// The sequence of what the puppet says next.
    next: u16,
}

struct Puppet {
    /// Somebody listens there.
    listens: bool,
    answers_pings: bool,
    /// Greets whoever greets it, as peers do.
    greets_back: bool,
    /// States its identity as a mailbox, as atonce does; possibly another one's.
    states: Option<usize>,
}

enum Reaction {
    /// The answer to a dial: an embedder gives it later, not between two actions.
    Connected(LinkId),
    Refused(LinkId),
    Greet(usize),
    PingOk(usize),
}

struct World {
    stack: Stack,
    now: Instant,
    interfaces: VecDeque<InterfaceId>,
    puppets: Vec<Puppet>,
    links: BTreeMap<LinkId, Far>,
    /// Every link that ever was.
    known: BTreeSet<LinkId>,
    queries: VecDeque<u64>,
    reactions: VecDeque<Reaction>,
    reading: bool,
    /// Look whether all is well.
    watched: bool,
    /// How often it was waited until nothing happened by itself.
    settled: usize,
    /// Events that were taken and not looked at yet.
    taken: VecDeque<Event>,
    /// Everybody is gone: dials are refused.
    deserted: bool,
    stopping: bool,
    /// How many octets are handed in at once.
    chunk: usize,
    /// Hand in octets through lent buffers.
    fills: bool,
    /// What the application is told.
    witness: Witness,
    trace: DefaultHasher,
    /// Tell what happens, for people.
    aloud: bool,
}

fn id_of(who: usize) -> PeerId {
    PeerId::from_bytes([u8::try_from(who + 1).unwrap_or(u8::MAX); 16])
}

fn address_of(who: usize) -> SocketAddr {
    let (host, port) = (who % 3, who / 3);
    let host = u8::try_from(host + 2).unwrap_or_default();
    let port = 49152 + u16::try_from(port).unwrap_or_default();
    SocketAddr::from(([10, 0, 0, host], port))
}

fn group(u: &mut Unstructured<'_>) -> Result<Text> {
    Ok(Text::try_from(*u.choose(&GROUPS)?).unwrap_or_default())
}

fn cut(u: &mut Unstructured<'_>) -> Result<Cut> {
    Ok(*u.choose(&[
        Cut::Refused,
        Cut::Closed,
        Cut::Reset,
        Cut::Unreachable,
        Cut::Resources,
    ])?)
}

fn some_octets<'a>(u: &mut Unstructured<'a>, limit: usize) -> Result<&'a [u8]> {
    let octets = u.int_in_range(0..=limit)?.min(u.len());
    u.bytes(octets)
}

fn content(u: &mut Unstructured<'_>) -> Result<Frames> {
    let mut frames = Frames::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let size = *u.choose(&[1, 0, 5, 300, 1_500, 9_000, 20_000])?;
        frames.push(Bytes::from(vec![b'x'; size]));
    }
    Ok(frames)
}

fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = Config {
        interval: Duration::from_secs(*u.choose(&[1, 5])?),
        beacons: u.ratio(9_u8, 10)?,
        ..Config::default()
    };
    if u.arbitrary()? {
        let (name, value) = (Text::try_from("X-ROOM"), LongText::try_from("kitchen"));
        config.headers.extend(name.into_iter().zip(value));
    }
    if u.ratio(3_u8, 4)? {
        // So small that they are reached.
        let limits = &mut config.limits;
        limits.frame_octets = 50_000;
        limits.message_octets = 50_000;
        limits.message_frames = 5;
        limits.unproved_octets = 4_000;
        limits.unproved_links = 4;
        limits.peers = 4;
        limits.contacts = 5;
        limits.contacts_per_address = 2;
        limits.dial_attempts = 3;
        limits.groups_per_peer = 3;
        limits.headers_per_peer = 4;
        limits.send_octets = 10_000;
        limits.send_messages = 6;
        limits.receive_octets = 10_000;
        limits.receive_octets_total = 25_000;
        limits.changes_per_peer = 3;
    }
    Ok(config)
}

impl World {
    fn new(u: &mut Unstructured<'_>, watched: bool) -> Result<Self> {
        let config = config(u)?;
        let now = Instant::from_millis(1_000);
        let mut puppets = Vec::new();
        for who in 0..PUPPETS {
            let traits: u8 = u.arbitrary()?;
            puppets.push(Puppet {
                listens: traits & 1 == 0,
                answers_pings: traits & 2 == 0,
                greets_back: traits & 4 == 0,
                states: match traits >> 3 & 7 {
                    0..=3 => None,
                    4..=6 => Some(who),
                    _ => Some(usize::from(traits >> 6)),
                },
            });
        }
        let chunk = *u.choose(&[usize::MAX, 1_000, 64, 7, 1])?;
        let fills = u.arbitrary()?;
        let stack = Stack::new(now, [7; 32], config);
        let mut world = Self {
            stack,
            now,
            interfaces: VecDeque::new(),
            puppets,
            links: BTreeMap::new(),
            known: BTreeSet::new(),
            queries: VecDeque::new(),
            reactions: VecDeque::new(),
            reading: true,
            watched,
            settled: 0,
            taken: VecDeque::new(),
            deserted: false,
            stopping: false,
            chunk,
            fills,
            witness: Witness::default(),
            trace: DefaultHasher::new(),
            aloud: std::env::var_os("ATONCE_FUZZ_ALOUD").is_some(),
        };
        world.interface_up();
        world.settle();
        Ok(world)
    }

    fn interface_up(&mut self) {
        let number = self.interfaces.len();
        let interface = Interface {
            name: format!("eth{number}"),
            address: IpAddr::from([10, 0, 0, 1]),
            port: 49152 + u16::try_from(number).unwrap_or_default(),
        };
        let id = self.stack.handle_interface_up(self.now, interface);
        self.interfaces.push_back(id);
    }

    // ---- what the fuzzer decides

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let choice = u.int_in_range(0..=31_u8)?;
        self.note(&format!("-- {choice}"));
        match choice {
            0..=2 => self.pass_time(u)?,
            3 | 4 => self.meet(u)?,
            5 | 6 => self.beacon(u)?,
            7 => {
                let source = address_of(u.choose_index(PUPPETS)?);
                let datagram = some_octets(u, 60)?;
                self.stack.handle_datagram(self.now, source, datagram);
            }
            8 => {
                let who = u.choose_index(PUPPETS)?;
                let link = self.accept(who, who);
                self.hello(u, link, who)?;
            }
            9 => {
                let (who, poses_as) = (u.choose_index(PUPPETS)?, u.choose_index(PUPPETS)?);
                let link = self.accept(who, poses_as);
                self.hello(u, link, who)?;
            }
            10 => {
                let who = u.choose_index(PUPPETS)?;
                self.accept_raw(who);
            }
            11 => {
                let who = u.choose_index(PUPPETS)?;
                self.accept(who, who);
            }
            12..=17 => self.say(u)?,
            18 => self.say_raw(u)?,
            19 | 20 => self.answer_dial(u)?,
            21 | 22 => self.disconnect(u)?,
            23 => self.toggle(u)?,
            24 => self.reading = !self.reading,
            25 => {
                let group = group(u)?;
                self.stack.join(self.now, &group);
            }
            26 => {
                let group = group(u)?;
                self.stack.leave(self.now, &group);
            }
            27 => {
                let peer = id_of(u.choose_index(PUPPETS)?);
                let content = content(u)?;
                for _ in 0..=u.int_in_range(0..=9)? {
                    let sent = self.stack.whisper(self.now, peer, &content);
                    self.note(&format!("{sent:?}"));
                }
            }
            28 => {
                let (group, content) = (group(u)?, content(u)?);
                let sent = self.stack.shout(self.now, &group, &content);
                self.note(&format!("{sent:?}"));
            }
            29 => self.connect(u)?,
            30 => self.interfaces_change(u)?,
            _ => {
                if u.ratio(1_u8, 16)? {
                    self.stack.stop(self.now);
                    self.stopping = true;
                } else {
                    let who = u.choose_index(PUPPETS)?;
                    if let Some(puppet) = self.puppets.get_mut(who) {
                        puppet.listens = !puppet.listens;
                    }
                }
            }
        }
        Ok(())
    }

    fn pass_time(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let time = Duration::from_millis(match u.int_in_range(0..=5_u8)? {
            0 | 1 => u.int_in_range(0..=255)?,
            2 | 3 => 100 * u.int_in_range(0..=255)?,
            4 => 5_100,
            _ => 31_000,
        });
        let to = self.now + time;
        if u.ratio(1_u8, 4)? {
            // An embedder that comes late.
            self.now = to;
            self.handle_timeout();
        } else {
            self.run_until(to);
        }
        Ok(())
    }

    /// A puppet meets the node as a well-behaved peer does.
    fn meet(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(PUPPETS)?;
        if let Some(puppet) = self.puppets.get_mut(who) {
            puppet.listens = true;
        }
        let link = self.accept(who, who);
        self.hello(u, link, who)?;
        self.settle();
        Ok(())
    }

    fn beacon(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(PUPPETS)?;
        let address = match u.int_in_range(0..=7_u8)? {
            0 => address_of(u.choose_index(PUPPETS)?),
            1 => self.some_address(u)?,
            _ => address_of(who),
        };
        let port = match u.int_in_range(0..=7_u8)? {
            0 => 0,
            1 => u.int_in_range(49150..=49156)?,
            _ => address.port(),
        };
        let beacon = Beacon {
            uuid: if u.ratio(1_u8, 16)? {
                self.stack.id()
            } else {
                id_of(who)
            },
            port,
            key: u.ratio(1_u8, 32)?.then_some([1; 32]),
        };
        let source = SocketAddr::new(address.ip(), 5670);
        self.note(&format!("> from {source}: {beacon:?}"));
        let datagram = beacon.encode();
        self.stack.handle_datagram(self.now, source, &datagram);
        Ok(())
    }

    /// The address of a puppet, of the node itself, or of somebody who is not there.
    fn some_address(&self, u: &mut Unstructured<'_>) -> Result<SocketAddr> {
        Ok(match u.int_in_range(0..=9_u8)? {
            0 => SocketAddr::from(([10, 0, 0, 1], 49152)),
            1 => SocketAddr::from(([127, 0, 0, 1], 49152)),
            2 => SocketAddr::from(([0, 0, 0, 0], 49152)),
            3 => SocketAddr::from(([10, 0, 1, u.arbitrary()?], u.int_in_range(1..=9)?)),
            _ => address_of(u.choose_index(PUPPETS)?),
        })
    }

    fn accept(&mut self, who: usize, poses_as: usize) -> Option<LinkId> {
        let mut config = zmtp::Config::new(SocketType::Dealer);
        let identity = id_of(poses_as).identity();
        config.identity = Identity::try_from(identity.as_slice()).unwrap_or_default();
        let connection = Box::new(Connection::new(self.now, config));
        self.accepted(who, Some(connection))
    }

    fn accept_raw(&mut self, who: usize) -> Option<LinkId> {
        self.accepted(who, None)
    }

    fn accepted(&mut self, who: usize, connection: Option<Box<Connection>>) -> Option<LinkId> {
        let interface = *self.interfaces.front()?;
        let remote = SocketAddr::new(address_of(who).ip(), 50_000);
        let link = self.stack.handle_accepted(self.now, interface, remote)?;
        let fresh = self.known.insert(link);
        assert!(fresh, "{link} was used before");
        self.note(&format!("> puppet {who} dials: {link}"));
        self.links.insert(link, Far::new(who, connection, None));
        Some(link)
    }

    fn hello(&mut self, u: &mut Unstructured<'_>, link: Option<LinkId>, who: usize) -> Result<()> {
        let mut hello = hello_of(who);
        if u.ratio(1_u8, 4)? {
            let endpoint = match u.int_in_range(0..=3_u8)? {
                0 => Text::from(&Endpoint::from(self.some_address(u)?)),
                1 => Text::try_from("tcp://elsewhere:49153").unwrap_or_default(),
                2 => Text::try_from("nonsense").unwrap_or_default(),
                _ => Text::from(&Endpoint::from(address_of(who))),
            };
            hello.endpoint = endpoint;
            for _ in 0..u.int_in_range(0..=5)? {
                hello.groups.insert(group(u)?);
            }
            hello.name = u.arbitrary()?;
            hello.headers = u.arbitrary()?;
        }
        if let Some(link) = link {
            self.tell(link, Some(1), Command::Hello(hello));
        }
        Ok(())
    }

    fn some_link(&self, u: &mut Unstructured<'_>) -> Result<Option<LinkId>> {
        if self.links.is_empty() {
            return Ok(None);
        }
        let index = u.choose_index(self.links.len())?;
        Ok(self.links.keys().nth(index).copied())
    }

    /// Something on some link: mostly what makes sense there.
    fn say(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(link) = self.some_link(u)? else {
            return Ok(());
        };
        let command = match u.int_in_range(0..=15_u8)? {
            0..=2 => Command::Whisper {
                content: content(u)?,
            },
            3 | 4 => Command::Shout {
                group: group(u)?,
                content: content(u)?,
            },
            5 | 6 => Command::Join {
                group: group(u)?,
                status: u.arbitrary()?,
            },
            7 => Command::Leave {
                group: group(u)?,
                status: u.arbitrary()?,
            },
            8 => Command::Ping,
            9 => Command::PingOk,
            10 => Command::Goodbye,
            11 => {
                let who = self.links.get(&link).map_or(0, |far| far.who);
                return self.hello(u, Some(link), who);
            }
            12 => Command::Elect {
                group: group(u)?,
                challenger_id: Text::default(),
            },
            13 => {
                let mut frames = Frames::new();
                for _ in 0..u.int_in_range(0..=3_u8)? {
                    frames.push(Bytes::copy_from_slice(some_octets(u, 60)?));
                }
                self.send(link, frames);
                return Ok(());
            }
            _ => u.arbitrary()?,
        };
        let sequence = match u.int_in_range(0..=15_u8)? {
            0 => Some(u.arbitrary()?),
            1 => Some(1),
            _ => None,
        };
        for _ in 0..=u.int_in_range(0..=7_u8)? / 4 * 3 {
            self.tell(link, sequence, command.clone());
        }
        Ok(())
    }

    fn say_raw(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(link) = self.some_link(u)? else {
            return Ok(());
        };
        let octets = some_octets(u, 200)?;
        if let Some(far) = self.links.get_mut(&link).filter(|far| far.connected) {
            far.under_way.extend(octets);
        }
        Ok(())
    }

    fn answer_dial(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let asked: Vec<_> = self
            .links
            .iter()
            .filter(|(_, far)| !far.connected)
            .map(|(link, _)| *link)
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let link = *u.choose(&asked)?;
        if u.arbitrary()? {
            self.connected(link);
        } else {
            let cut = cut(u)?;
            self.hang_up(link, cut);
        }
        Ok(())
    }

    fn disconnect(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(link) = self.some_link(u)? else {
            return Ok(());
        };
        let cut = cut(u)?;
        if u.ratio(1_u8, 8)? {
            // All links of a puppet.
            let who = self.links.get(&link).map_or(0, |far| far.who);
            let links: Vec<_> = self
                .links
                .iter()
                .filter(|(_, far)| far.who == who)
                .map(|(link, _)| *link)
                .collect();
            for link in links {
                self.hang_up(link, cut);
                self.settle();
            }
        } else {
            self.hang_up(link, cut);
        }
        Ok(())
    }

    fn toggle(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(link) = self.some_link(u)?
            && let Some(far) = self.links.get_mut(&link)
        {
            far.stalled = !far.stalled;
            let stalled = far.stalled;
            if !stalled {
                self.transmit(link, usize::MAX);
            } else if u.arbitrary()? {
                let octets = u.int_in_range(0..=2_000)?;
                self.transmit(link, octets);
            }
        }
        Ok(())
    }

    fn connect(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=3_u8)? {
            0 => {
                if let Ok(endpoint) = "tcp://somebody:49152".parse() {
                    let _ = self.stack.connect(self.now, &endpoint);
                }
            }
            1 => {
                let query = match self.queries.pop_front() {
                    Some(query) => query,
                    None => u.arbitrary()?,
                };
                let mut addresses = Vec::new();
                for _ in 0..u.int_in_range(0..=2)? {
                    addresses.push(self.some_address(u)?);
                }
                self.stack.handle_resolved(self.now, query, &addresses);
            }
            _ => {
                let address = self.some_address(u)?;
                let _ = self.stack.connect(self.now, &address.into());
            }
        }
        Ok(())
    }

    fn interfaces_change(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.arbitrary()? {
            self.interface_up();
        } else if let Some(interface) = self.interfaces.pop_front() {
            self.stack
                .handle_interface_down(self.now, interface, "pulled");
        }
        Ok(())
    }

    // ---- what puppets say

    fn tell(&mut self, link: LinkId, sequence: Option<u16>, command: Command) {
        let Some(far) = self.links.get_mut(&link) else {
            return;
        };
        let sequence = sequence.unwrap_or(far.next);
        far.next = sequence.wrapping_add(1);
        let message = Message { sequence, command };
        if self.aloud {
            self.note(&format!("> over {link}: {message:.300?}"));
        }
        self.send(link, message.encode());
    }

    fn send(&mut self, link: LinkId, message: Frames) {
        if let Some(far) = self.links.get_mut(&link)
            && let Some(connection) = &mut far.connection
        {
            // It may be closed, or the message be of no frames.
            let _ = connection.send(message);
            far.collect(self.now);
        }
    }

    /// What a puppet does by itself when it is told something.
    fn react(&mut self, link: LinkId, message: Frames) {
        let Some(far) = self.links.get(&link) else {
            return;
        };
        let who = far.who;
        let message = Message::decode(message, &Limits::default()).expect("the node speaks ZRE");
        let Some(puppet) = self.puppets.get(who) else {
            return;
        };
        match message.command {
            Command::Hello(_) if puppet.greets_back => {
                self.reactions.push_back(Reaction::Greet(who));
            }
            Command::Ping if puppet.answers_pings => {
                self.reactions.push_back(Reaction::PingOk(who));
            }
            _ => {}
        }
    }

    /// The newest link on which a puppet speaks.
    fn speaking(&self, who: usize) -> Option<LinkId> {
        self.links
            .iter()
            .rev()
            .find(|(_, far)| far.who == who && far.dialled.is_none() && far.connection.is_some())
            .map(|(link, _)| *link)
    }

    // ---- the network

    fn connected(&mut self, link: LinkId) {
        let Some(far) = self.links.get_mut(&link) else {
            return;
        };
        far.connected = true;
        self.note(&format!("> {link} is connected"));
        let local = SocketAddr::from(([10, 0, 0, 1], 50_001));
        self.stack.handle_connected(self.now, link, local);
    }

    fn hang_up(&mut self, link: LinkId, cut: Cut) {
        if self.links.remove(&link).is_some() {
            self.note(&format!("> {link} ends: {cut:?}"));
            self.stack.handle_disconnected(self.now, link, cut);
        }
    }

    /// Takes octets from the stack, up to this many.
    fn transmit(&mut self, link: LinkId, limit: usize) {
        let Some(far) = self.links.get_mut(&link) else {
            return;
        };
        let mut octets: Vec<u8> = self.stack.poll_transmit(link).flatten().copied().collect();
        octets.truncate(limit);
        if octets.is_empty() {
            return;
        }
        assert!(far.connected, "{link} is not connected and sends");
        self.trace.write(&octets);
        let mut messages = Vec::new();
        if let Some(connection) = &mut far.connection {
            connection.handle_input(self.now, &octets);
            while let Some(event) = connection.poll_event() {
                match event {
                    zmtp::Event::Message(message) => messages.push(message),
                    zmtp::Event::Closed(error) => {
                        assert!(
                            !matches!(error, zmtp::Error::Malformed(_)),
                            "the node speaks ZMTP: {error}"
                        );
                    }
                    _ => {}
                }
            }
            far.collect(self.now);
        }
        self.stack.handle_transmitted(self.now, link, octets.len());
        for message in messages {
            self.react(link, message);
        }
    }

    /// Hands the stack some octets that are under way; says whether there were any.
    fn deliver(&mut self) -> bool {
        let ready = self
            .links
            .iter_mut()
            .find(|(_, far)| far.connected && !far.paused && !far.under_way.is_empty());
        let Some((&link, far)) = ready else {
            return false;
        };
        // Small pieces for all of a large message would only take long.
        let chunk = self.chunk.max(far.under_way.len() / 64);
        let mut octets = chunk.min(far.under_way.len());
        if self.fills
            && let Some(mut buffer) = self.stack.receive_buffer(link)
        {
            octets = octets.min(buffer.remaining_mut());
            for octet in far.under_way.drain(..octets) {
                buffer.put_u8(octet);
            }
            self.stack.handle_filled(self.now, link);
        } else {
            let octets: Vec<u8> = far.under_way.drain(..octets).collect();
            self.stack.handle_received(self.now, link, &octets);
        }
        true
    }

    fn handle_timeout(&mut self) {
        self.stack.handle_timeout(self.now);
        let next = self.stack.poll_timeout();
        assert!(
            next.is_none_or(|(at, _)| at > self.now),
            "{next:?} is due at {}",
            self.now
        );
        self.note(&format!("{next:?}"));
    }

    fn run_until(&mut self, to: Instant) {
        while let Some((at, _)) = self.stack.poll_timeout()
            && at <= to
        {
            self.now = self.now.max(at);
            self.handle_timeout();
            self.settle();
        }
        self.now = to;
    }

    // ---- what the stack does

    /// What it tells next: taken one by one, or several at once.
    fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.taken.pop_front() {
            return Some(event);
        }
        match self.settled % 3 {
            0 => self.stack.poll_event(self.now),
            few => {
                let octets = if few == 1 { 1_000 } else { usize::MAX };
                self.stack.poll_events(self.now, octets, &mut self.taken);
                self.taken.pop_front()
            }
        }
    }

    /// Lets everything happen that happens by itself, and looks whether all is well.
    fn settle(&mut self) {
        let mut reactions = REACTIONS;
        loop {
            if let Some(action) = self.stack.poll_action() {
                self.act(&action);
            } else if self.reading
                && let Some(event) = self.next_event()
            {
                self.event(&event);
            } else if self.deliver() {
            } else if reactions > 0
                && let Some(reaction) = self.reactions.pop_front()
            {
                reactions -= 1;
                match reaction {
                    Reaction::Connected(link) => self.connected(link),
                    Reaction::Refused(link) => self.hang_up(link, Cut::Refused),
                    Reaction::Greet(who) => {
                        if self.speaking(who).is_none() {
                            let link = self.accept(who, who);
                            if let Some(link) = link {
                                self.tell(link, Some(1), Command::Hello(hello_of(who)));
                            }
                        }
                    }
                    Reaction::PingOk(who) => {
                        if let Some(link) = self.speaking(who) {
                            self.tell(link, None, Command::PingOk);
                        }
                    }
                }
            } else {
                break;
            }
        }
        self.reactions.clear();
        self.settled += 1;
        // Looking costs more than what happens while nobody is there.
        if !self.watched || (self.deserted && !self.settled.is_multiple_of(16)) {
            return;
        }
        self.stack.check_invariants();
        if self.reading && !self.stopping {
            self.witness.compare(&self.stack);
            self.witness.count(&self.stack);
            assert_eq!(self.stack.endpoints().count(), self.interfaces.len());
        }
    }

    fn act(&mut self, action: &Action) {
        self.note(&format!("{action:?}"));
        match *action {
            Action::Broadcast { .. } => {}
            Action::Dial { link, address } => self.dial(link, address),
            Action::Transmit { link } => {
                let far = self.far(link, "transmit");
                assert!(far.connected, "transmit on {link}, which is not connected");
                if !far.stalled {
                    self.transmit(link, usize::MAX);
                }
            }
            Action::Pause { link } => {
                let far = self.far(link, "pause");
                assert!(!far.paused, "{link} is paused already");
                far.paused = true;
            }
            Action::Resume { link } => {
                let far = self.far(link, "resume");
                assert!(far.paused, "{link} is not paused");
                far.paused = false;
            }
            Action::Close { link } => {
                self.far(link, "close");
                self.links.remove(&link);
            }
            Action::Resolve { query, .. } => self.queries.push_back(query),
            #[cfg(feature = "curve")]
            Action::Authenticate { .. } => panic!("the node is not secure"),
        }
    }

    fn far(&mut self, link: LinkId, what: &str) -> &mut Far {
        let Some(far) = self.links.get_mut(&link) else {
            panic!("{what} {link}, which is not open");
        };
        far
    }

    fn dial(&mut self, link: LinkId, address: SocketAddr) {
        assert!(self.known.insert(link), "{link} was used before");
        let who = (0..PUPPETS).find(|who| address_of(*who) == address);
        let puppet = who.and_then(|who| self.puppets.get(who));
        let mut config = zmtp::Config::new(SocketType::Router);
        if let Some(identity) = puppet.and_then(|puppet| puppet.states) {
            let identity = id_of(identity).identity();
            config.identity = Identity::try_from(identity.as_slice()).unwrap_or_default();
        }
        let listens = puppet.is_some_and(|puppet| puppet.listens);
        let connection = Box::new(Connection::new(self.now, config));
        let far = Far::new(who.unwrap_or_default(), Some(connection), Some(address));
        self.links.insert(link, far);
        if listens {
            self.reactions.push_back(Reaction::Connected(link));
        } else if self.deserted {
            self.reactions.push_back(Reaction::Refused(link));
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Whisper { peer, content } | Event::Shout { peer, content, .. } => {
                self.trace.write(peer.name.as_bytes());
                for frame in content {
                    self.trace.write(frame);
                }
            }
            other => self.note(&format!("{other:?}")),
        }
        self.witness.event(event);
    }

    fn note(&mut self, what: &str) {
        if self.aloud {
            std::eprintln!("{}   {what}", self.now);
        }
        self.trace.write(what.as_bytes());
    }

    // ---- the end

    /// Everybody goes, and time passes: nobody may be left. Then the node is stopped.
    fn end(&mut self) {
        self.reading = true;
        self.settle();
        for puppet in &mut self.puppets {
            puppet.listens = false;
        }
        self.deserted = true;
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.hang_up(link, Cut::Closed);
            self.settle();
        }
        self.run_until(self.now + Duration::from_secs(200));
        self.settle();
        self.stack.check_invariants();
        if !self.stopping {
            self.stack.check_nobody_is_here();
            self.witness.check_nobody_is_here();
            self.stack.stop(self.now);
            self.stopping = true;
        }
        self.run_until(self.now + Duration::from_secs(2));
        self.settle();
        assert!(
            self.witness.is_told() && self.stack.is_stopped(),
            "it does not stop"
        );
        assert!(self.links.is_empty(), "links are left open");
        assert_eq!(self.stack.poll_timeout(), None, "it is stopped");
    }
}

impl Far {
    fn new(who: usize, connection: Option<Box<Connection>>, dialled: Option<SocketAddr>) -> Self {
        let mut far = Self {
            who,
            connection,
            connected: dialled.is_none(),
            dialled,
            paused: false,
            stalled: false,
            under_way: VecDeque::new(),
            next: 1,
        };
        far.collect(Instant::ZERO);
        far
    }

    /// What the puppet has to send is under way.
    fn collect(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            let octets: Vec<u8> = connection.poll_transmit().flatten().copied().collect();
            connection.handle_transmitted(now, octets.len());
            self.under_way.extend(octets);
        }
    }
}

fn hello_of(who: usize) -> Hello {
    Hello {
        endpoint: Text::from(&Endpoint::from(address_of(who))),
        name: Text::try_from(format!("puppet{who}")).unwrap_or_default(),
        ..Hello::default()
    }
}
