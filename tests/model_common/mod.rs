//! One node at the level of messages, and puppets around it whose every word a test decides, in virtual time.
//!
//! There is no network: what the node sends is heard at once, and its dials are answered at once, after all else that it
//! wanted at that moment.

#![allow(dead_code)] // no suite needs all of it
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use atonce::wire::zre::{Command, Hello, Limits, Message};
use atonce::wire::{Beacon, LongText};
use atonce::zre::{Action, Config, Node};
use atonce::{Bytes, Cut, Event, Frames, Instant, Interface, InterfaceId, LinkId, PeerId, Text};

pub(crate) const START: Instant = Instant::from_millis(1_000_000);

/// How a puppet's machine answers a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// It lets the node in.
    Open,
    /// Nobody listens there.
    Shut,
    /// Nothing comes back.
    Dark,
}

/// Somebody by hand.
pub(crate) struct Puppet {
    pub(crate) id: PeerId,
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) door: Door,
    /// It answers PING, over a new link if its own is gone.
    pub(crate) answers: bool,
    /// It greets whoever greets it.
    pub(crate) greets_back: bool,
    /// It takes nothing of what is sent to it.
    pub(crate) stalled: bool,
    /// Its HELLO says that it is an atonce node, and so does its mailbox.
    pub(crate) atonce: bool,
    /// Its HELLO offers that it can be spoken to on its own link, as an atonce node.
    pub(crate) duplex: bool,
    /// The link on which it speaks, and the sequence of what it says next.
    pub(crate) link: Option<LinkId>,
    pub(crate) next: u16,
    pub(crate) heard: Vec<(Instant, Message)>,
}

struct Wire {
    who: usize,
    dialled: bool,
    /// The dial had its answer, or there was nothing to answer.
    answered: bool,
    /// What came and was not taken.
    waiting: VecDeque<Frames>,
    paused: bool,
    ended: Option<Cut>,
    /// WHISPERs and SHOUTs that a stalled puppet does not take.
    untaken: usize,
}

#[derive(Clone, Copy)]
enum Reaction {
    Answer(LinkId, SocketAddr),
    Sent(LinkId, usize),
    PingOk(usize),
    Greet(usize),
    Flushed(LinkId),
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) node: Node,
    pub(crate) interface: InterfaceId,
    pub(crate) puppets: Vec<Puppet>,
    wires: BTreeMap<LinkId, Wire>,
    reactions: VecDeque<Reaction>,
    resumed: VecDeque<LinkId>,
    /// The application takes its events.
    pub(crate) reading: bool,
    pub(crate) events: Vec<Event>,
    /// What the node wanted and told, for people.
    pub(crate) log: Vec<(Instant, String)>,
}

pub(crate) fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The machines of the puppets: several addresses, several ports.
pub(crate) fn address_of(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 49_152 + port))
}

/// Content of which only the size matters, or all of it.
fn content(content: &Frames) -> String {
    match content.octets() {
        0..100 => format!("{content:?}"),
        octets => format!("[{octets} octets]"),
    }
}

/// An event as a person would tell it.
pub(crate) fn tell(event: &Event) -> String {
    match event {
        Event::Enter { peer } => format!("enter {}", peer.name),
        Event::Join { peer, group } => format!("join {} {group}", peer.name),
        Event::Leave { peer, group } => format!("leave {} {group}", peer.name),
        Event::Whisper {
            peer,
            content: said,
        } => {
            format!("whisper {} {}", peer.name, content(said))
        }
        Event::Shout {
            peer,
            group,
            content: said,
        } => format!("shout {} {group} {}", peer.name, content(said)),
        Event::Evasive { peer } => format!("evasive {}", peer.name),
        Event::Silent { peer } => format!("silent {}", peer.name),
        Event::Recovered { peer } => format!("recovered {}", peer.name),
        Event::Exit { peer, reason } => format!("exit {} {reason}", peer.name),
        Event::InterfaceUp { interface, .. } => format!("interface {interface} up"),
        Event::InterfaceDown { interface, .. } => format!("interface {interface} down"),
        Event::Stopped => "stopped".into(),
        other => panic!("{other:?}"),
    }
}

fn named(command: &Command) -> String {
    match command {
        Command::Whisper { content } => format!("WHISPER {content:?}"),
        Command::Shout { group, content } => format!("SHOUT {group} {content:?}"),
        Command::Join { group, status } => format!("JOIN {group} ({status})"),
        Command::Leave { group, status } => format!("LEAVE {group} ({status})"),
        other => other.name().into(),
    }
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let mut node = Node::new(START, [7; 32], config);
        let interface = Interface {
            name: "eth0".into(),
            address: address_of(1, 0).ip(),
            port: address_of(1, 0).port(),
            zone: 0,
        };
        let interface = node.handle_interface_up(START, interface);
        let mut world = Self {
            now: START,
            node,
            interface,
            puppets: Vec::new(),
            wires: BTreeMap::new(),
            reactions: VecDeque::new(),
            resumed: VecDeque::new(),
            reading: true,
            events: Vec::new(),
            log: Vec::new(),
        };
        world.settle();
        world.events.clear();
        world.log.clear();
        world
    }

    pub(crate) fn puppet(&mut self, name: &'static str, octet: u8, address: SocketAddr) -> usize {
        self.puppets.push(Puppet {
            id: PeerId::from_bytes([octet; 16]),
            name,
            address,
            door: Door::Open,
            answers: true,
            greets_back: false,
            stalled: false,
            atonce: false,
            duplex: false,
            link: None,
            next: 1,
            heard: Vec::new(),
        });
        self.puppets.len() - 1
    }

    fn name_at(&self, address: SocketAddr) -> String {
        let mut puppets = self.puppets.iter();
        let there = puppets.find(|puppet| puppet.address == address);
        there.map_or_else(|| address.to_string(), |puppet| puppet.name.to_string())
    }

    // ---- what puppets do

    /// A new link that carries the puppet's identity. It becomes the one on which the puppet speaks.
    pub(crate) fn dial_in(&mut self, who: usize) -> Option<LinkId> {
        let id = self.puppets[who].id;
        let from = self.puppets[who].address;
        let link = self.dial_in_as(who, from, Some(id))?;
        self.puppets[who].link = Some(link);
        Some(link)
    }

    /// A new link from some machine under some identity; without one its handshake is not over.
    pub(crate) fn dial_in_as(
        &mut self,
        who: usize,
        from: SocketAddr,
        id: Option<PeerId>,
    ) -> Option<LinkId> {
        let from = SocketAddr::new(from.ip(), 50_000);
        let link = self.node.handle_accepted(self.now, self.interface, from)?;
        let wire = Wire {
            who,
            dialled: false,
            answered: true,
            waiting: VecDeque::new(),
            paused: false,
            ended: None,
            untaken: 0,
        };
        self.wires.insert(link, wire);
        if let Some(id) = id {
            self.node.handle_ready(self.now, link, &id.identity());
        }
        self.settle();
        Some(link)
    }

    pub(crate) fn hello(&self, who: usize, groups: &[&str]) -> Command {
        let puppet = &self.puppets[who];
        let mut hello = Hello {
            endpoint: text(&format!("tcp://{}", puppet.address)),
            groups: groups.iter().map(|group| text(group)).collect(),
            name: text(puppet.name),
            ..Hello::default()
        };
        if puppet.atonce || puppet.duplex {
            let value = if puppet.duplex {
                "goodbye duplex"
            } else {
                "goodbye"
            };
            let value = LongText::try_from(value).unwrap();
            hello.headers.insert(text("X-ATONCE"), value);
        }
        Command::Hello(hello)
    }

    /// The puppet says HELLO, over a new link unless it has one.
    pub(crate) fn greet(&mut self, who: usize, groups: &[&str]) {
        let hello = self.hello(who, groups);
        self.puppets[who].next = 1;
        self.speak(who, hello);
    }

    /// The puppet says something with its next sequence, over a new link if it has none.
    pub(crate) fn speak(&mut self, who: usize, command: Command) {
        let sequence = self.puppets[who].next;
        self.puppets[who].next = sequence.wrapping_add(1);
        let link = self.puppets[who].link.or_else(|| self.dial_in(who));
        if let Some(link) = link {
            self.say(link, sequence, command);
        }
    }

    pub(crate) fn say(&mut self, link: LinkId, sequence: u16, command: Command) {
        self.arrive(link, Message { sequence, command }.encode());
    }

    /// A message of frames comes over a link.
    pub(crate) fn arrive(&mut self, link: LinkId, frames: Frames) {
        if let Some(wire) = self.wires.get_mut(&link) {
            wire.waiting.push_back(frames);
            self.pump(link);
        }
        self.settle();
    }

    /// The other side ends a link.
    pub(crate) fn hang_up(&mut self, link: LinkId, cut: Cut) {
        self.lose(link);
        match self.wires.get_mut(&link) {
            Some(wire) if wire.paused && !wire.waiting.is_empty() => wire.ended = Some(cut),
            Some(_) => {
                self.wires.remove(&link);
                self.node.handle_disconnected(self.now, link, cut);
            }
            None => {}
        }
        self.settle();
    }

    /// What came over a link is no ZMTP, and it was closed for that.
    pub(crate) fn garble(&mut self, link: LinkId) {
        self.lose(link);
        if self.wires.remove(&link).is_some() {
            self.node.handle_garbled(self.now, link);
        }
        self.settle();
    }

    fn lose(&mut self, link: LinkId) {
        for puppet in &mut self.puppets {
            if puppet.link == Some(link) {
                puppet.link = None;
            }
        }
    }

    /// Answers a dial that was left open by a dark machine; whether there was one.
    pub(crate) fn answer(&mut self, who: usize, accepts: bool) -> bool {
        let mut wires = self.wires.iter_mut();
        let open = wires.find(|(_, wire)| wire.who == who && !wire.answered);
        let Some((&link, wire)) = open else {
            return false;
        };
        wire.answered = true;
        if accepts {
            self.node.handle_connected(link, address_of(1, 0));
            self.node.handle_ready(self.now, link, b"");
        } else {
            self.wires.remove(&link);
            self.node.handle_disconnected(self.now, link, Cut::Refused);
        }
        self.settle();
        true
    }

    /// The node's link to a puppet's mailbox, while there is one.
    pub(crate) fn link_to(&self, who: usize) -> Option<LinkId> {
        let mut wires = self.wires.iter();
        let ours = wires.find(|(_, wire)| wire.dialled && wire.who == who);
        ours.map(|(link, _)| *link)
    }

    /// The most WHISPERs and SHOUTs that wait in the queue of a link.
    pub(crate) fn untaken(&self) -> usize {
        let wires = self.wires.values();
        wires.map(|wire| wire.untaken).max().unwrap_or_default()
    }

    pub(crate) fn links(&self) -> Vec<LinkId> {
        self.wires.keys().copied().collect()
    }

    pub(crate) fn beacon(&mut self, id: PeerId, source: SocketAddr, port: u16) {
        let beacon = Beacon {
            uuid: id,
            port,
            key: None,
        };
        let source = SocketAddr::new(source.ip(), 5_670);
        self.node.handle_beacon(self.now, source, &beacon);
        self.settle();
    }

    // ---- time

    /// Lets time pass; the node is called when it wants to be.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.node.poll_timeout() {
            if at > end {
                break;
            }
            assert!(at >= self.now, "a deadline in the past");
            self.now = at;
            self.node.handle_timeout(at);
            self.settle();
        }
        self.now = end;
    }

    // ---- what the node wants

    /// Does what the node wants until it wants nothing more, and takes its events.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(action) = self.node.poll_action() {
                self.act(action);
            }
            if let Some(link) = self.resumed.pop_front() {
                self.pump(link);
            } else if let Some(reaction) = self.reactions.pop_front() {
                self.react(reaction);
            } else if !self.take_event() {
                return;
            }
        }
    }

    fn take_event(&mut self) -> bool {
        if !self.reading {
            return false;
        }
        let Some(event) = self.node.poll_event(self.now) else {
            return false;
        };
        self.log.push((self.now, format!("tell {}", tell(&event))));
        self.events.push(event);
        true
    }

    /// Hands on what came over a link as long as the node takes it.
    fn pump(&mut self, link: LinkId) {
        loop {
            let willing = self.node.is_willing(link);
            let Some(wire) = self.wires.get_mut(&link) else {
                return;
            };
            if !willing {
                if !std::mem::replace(&mut wire.paused, true) {
                    self.node.handle_paused(link);
                }
                return;
            }
            if let Some(frames) = wire.waiting.pop_front() {
                self.node.handle_message(self.now, link, frames);
            } else if let Some(cut) = wire.ended {
                self.wires.remove(&link);
                self.node.handle_disconnected(self.now, link, cut);
            } else {
                return;
            }
            while let Some(action) = self.node.poll_action() {
                self.act(action);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Broadcast { beacon, .. } => {
                self.log
                    .push((self.now, format!("beacon port {}", beacon.port)));
            }
            Action::Dial { link, address } => {
                self.log
                    .push((self.now, format!("dial {}", self.name_at(address))));
                let mut puppets = self.puppets.iter();
                let there = puppets.position(|puppet| puppet.address == address);
                let wire = Wire {
                    who: there.unwrap_or(usize::MAX),
                    dialled: true,
                    answered: false,
                    waiting: VecDeque::new(),
                    paused: false,
                    ended: None,
                    untaken: 0,
                };
                self.wires.insert(link, wire);
                self.reactions.push_back(Reaction::Answer(link, address));
            }
            Action::Send { link, message } => {
                let octets = message.octets();
                let message = Message::decode(message.encode(), &Limits::default()).unwrap();
                let who = self.wires.get(&link).map_or(usize::MAX, |wire| wire.who);
                let Some(puppet) = self.puppets.get_mut(who) else {
                    return;
                };
                if !puppet.stalled {
                    self.reactions.push_back(Reaction::Sent(link, octets));
                } else if let Some(wire) = self.wires.get_mut(&link) {
                    let content = matches!(
                        message.command,
                        Command::Whisper { .. } | Command::Shout { .. }
                    );
                    wire.untaken += usize::from(content);
                }
                let named = named(&message.command);
                let (name, sequence) = (puppet.name, message.sequence);
                self.log
                    .push((self.now, format!("say {name} {sequence} {named}")));
                match message.command {
                    Command::Ping if puppet.answers => {
                        self.reactions.push_back(Reaction::PingOk(who));
                    }
                    Command::Hello(_) if puppet.greets_back => {
                        self.reactions.push_back(Reaction::Greet(who));
                    }
                    _ => {}
                }
                puppet.heard.push((self.now, message));
            }
            Action::Trust { .. } => {}
            // Nobody here is secure.
            #[cfg(feature = "curve")]
            Action::Authenticate { .. } => panic!("{action:?}"),
            Action::Resume { link } => {
                if let Some(wire) = self.wires.get_mut(&link) {
                    wire.paused = false;
                    self.resumed.push_back(link);
                }
            }
            Action::Close { link, flush } => {
                let wire = self.wires.remove(&link);
                if let Some(wire) = wire {
                    let name = self.puppets.get(wire.who).map_or("?", |puppet| puppet.name);
                    let way = if wire.dialled { "to" } else { "from" };
                    let flushed = if flush { " when all is sent" } else { "" };
                    self.log
                        .push((self.now, format!("close link {way} {name}{flushed}")));
                }
                self.lose(link);
                if flush {
                    self.reactions.push_back(Reaction::Flushed(link));
                }
            }
            Action::Beacon { to, beacon, .. } => {
                let port = beacon.port;
                self.log
                    .push((self.now, format!("beacon to {to}: port {port}")));
            }
            Action::Resolve { host, .. } => self.log.push((self.now, format!("resolve {host}"))),
        }
    }

    fn react(&mut self, reaction: Reaction) {
        let now = self.now;
        match reaction {
            Reaction::Answer(link, address) => {
                if !self.wires.contains_key(&link) {
                    return;
                }
                let mut puppets = self.puppets.iter();
                let there = puppets.find(|puppet| puppet.address == address);
                let door = there.map_or(Door::Shut, |puppet| puppet.door);
                if let Some(wire) = self.wires.get_mut(&link) {
                    wire.answered = door != Door::Dark;
                }
                match door {
                    Door::Open => {
                        let identity = match there {
                            Some(puppet) if puppet.atonce => puppet.id.identity().to_vec(),
                            _ => Vec::new(),
                        };
                        self.node.handle_connected(link, address_of(1, 0));
                        self.node.handle_ready(now, link, &identity);
                    }
                    Door::Shut => {
                        self.wires.remove(&link);
                        self.node.handle_disconnected(now, link, Cut::Refused);
                    }
                    Door::Dark => {}
                }
            }
            Reaction::Sent(link, octets) => {
                if let Some(wire) = self.wires.get_mut(&link) {
                    wire.untaken = 0;
                }
                self.node.handle_sent(now, link, octets, 0, 0);
            }
            Reaction::PingOk(who) => self.speak(who, Command::PingOk),
            Reaction::Greet(who) => self.greet(who, &[]),
            Reaction::Flushed(link) => self.node.handle_disconnected(now, link, Cut::Closed),
        }
    }
}

/// A frame that begins like a ZRE message with this sequence, and is none: a JOIN that ends too early.
pub(crate) fn malformed(sequence: u16) -> Frames {
    let [high, low] = sequence.to_be_bytes();
    Frames::from(Bytes::from(vec![0xAA, 0xA1, 4, 2, high, low, 200]))
}

/// A message that is no ZRE at all.
pub(crate) fn nonsense() -> Frames {
    Frames::from_iter(["nonsense", "", "\u{1}"])
}
