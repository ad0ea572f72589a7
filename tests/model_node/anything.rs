//! Peers that do anything, under any identity: what the application is told still makes sense, and nothing goes over its
//! limit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atonce::wire::zre::{Command, Hello, UnknownCommand};
use atonce::zre::{Config, SendError};
use atonce::{Bytes, Cut, Event, Frames, LinkId, PeerId, Presence, Text};
use proptest::prelude::*;

use crate::model_common::{Door, World, address_of, malformed, ms, nonsense, tell, text};

const NAMES: [&str; 5] = ["ann", "ben", "cy", "dot", "eve"];
const GROUPS: [&str; 3] = ["CHAT", "NEWS", ""];
/// The last two share an endpoint.
const HOMES: [(u8, u16); 5] = [(2, 0), (2, 1), (3, 0), (4, 0), (4, 0)];
/// What one whisper of a puppet weighs, with what the node reckons for an event and a frame.
const CONTENT: usize = 700;

#[derive(Clone, Debug)]
enum Op {
    Greet(usize),
    /// The machine, the identity, the home that HELLO names, and its sequence.
    GreetAs(usize, usize, usize, u16),
    /// A link that does not even say who it is.
    Mute(usize),
    Speak(usize, Word),
    /// On whichever link, with whichever sequence.
    Say(usize, u16, Word),
    Frames(usize, bool),
    Beacon(usize, usize, Option<usize>),
    HangUp(usize, Cut),
    Door(usize, Door),
    Answers(usize, bool),
    GreetsBack(usize, bool),
    Stalled(usize, bool),
    Reading(bool),
    Wait(u64),
    WeJoin(usize),
    WeLeave(usize),
    WeWhisper(usize, u8),
    WeShout(usize),
    WeConnect(usize),
}

#[derive(Clone, Debug)]
enum Word {
    Hello(Vec<usize>),
    Whisper(u8),
    Shout(usize),
    Join(usize),
    Leave(usize),
    Ping,
    PingOk,
    Goodbye,
    Unknown(u8),
}

struct Seen {
    groups: BTreeSet<Text>,
    presence: Presence,
}

struct Run {
    world: World,
    here: BTreeMap<PeerId, Seen>,
    enters: u64,
    exits: u64,
}

impl Run {
    fn new() -> Self {
        let mut config = Config::default();
        let limits = &mut config.limits;
        limits.unproved_octets = 4_000;
        limits.unproved_links = 4;
        limits.peers = 4;
        limits.contacts = 5;
        limits.contacts_per_address = 2;
        limits.dial_attempts = 3;
        limits.groups_per_peer = 2;
        limits.send_messages = 6;
        limits.receive_octets = 5_000;
        limits.receive_octets_total = 9_000;
        let mut world = World::new(config);
        for (who, (host, port)) in HOMES.into_iter().enumerate() {
            world.puppet(NAMES[who], id_octet(who), address_of(host, port));
        }
        Self {
            world,
            here: BTreeMap::new(),
            enters: 0,
            exits: 0,
        }
    }

    fn hello(&self, who: usize, home: usize, groups: &[usize]) -> Command {
        let groups: Vec<_> = groups.iter().map(|group| GROUPS[*group]).collect();
        let Command::Hello(hello) = self.world.hello(who, &groups) else {
            unreachable!()
        };
        let endpoint = text(&format!("tcp://{}", self.world.puppets[home].address));
        Command::Hello(Hello { endpoint, ..hello })
    }

    fn command(&self, who: usize, word: &Word) -> Command {
        match word {
            Word::Hello(groups) => self.hello(who, who, groups),
            Word::Whisper(frames) => {
                let frame = Bytes::from(vec![7; CONTENT / 4]);
                let content = std::iter::repeat_n(frame, (*frames).into()).collect();
                Command::Whisper { content }
            }
            Word::Shout(group) => Command::Shout {
                group: text(GROUPS[*group]),
                content: Frames::from("all"),
            },
            Word::Join(group) => Command::Join {
                group: text(GROUPS[*group]),
                status: 0,
            },
            Word::Leave(group) => Command::Leave {
                group: text(GROUPS[*group]),
                status: 0,
            },
            Word::Ping => Command::Ping,
            Word::PingOk => Command::PingOk,
            Word::Goodbye => Command::Goodbye,
            Word::Unknown(id) => Command::Unknown(UnknownCommand::new(*id).unwrap()),
        }
    }

    fn link(&self, n: usize) -> Option<LinkId> {
        let links = self.world.links();
        (!links.is_empty()).then(|| links[n % links.len()])
    }

    fn play(&mut self, op: Op) {
        let now = self.world.now;
        match op {
            Op::Greet(who) => {
                self.world.puppets[who].link = None;
                self.world.greet(who, &[GROUPS[who % 3]]);
            }
            Op::GreetAs(machine, identity, home, sequence) => {
                let from = self.world.puppets[machine].address;
                let id = self.world.puppets[identity].id;
                let hello = self.hello(identity, home, &[0]);
                if let Some(link) = self.world.dial_in_as(machine, from, Some(id)) {
                    self.world.say(link, sequence, hello);
                }
            }
            Op::Mute(who) => {
                let from = self.world.puppets[who].address;
                self.world.dial_in_as(who, from, None);
            }
            Op::Speak(who, word) => {
                if matches!(word, Word::Hello(_)) {
                    self.world.puppets[who].next = 1;
                }
                let command = self.command(who, &word);
                self.world.speak(who, command);
            }
            Op::Say(link, sequence, word) => {
                if let Some(link) = self.link(link) {
                    let command = self.command(0, &word);
                    self.world.say(link, sequence, command);
                }
            }
            Op::Frames(link, zre) => {
                if let Some(link) = self.link(link) {
                    let frames = if zre { malformed(2) } else { nonsense() };
                    self.world.arrive(link, frames);
                }
            }
            Op::Beacon(identity, machine, home) => {
                let id = self.world.puppets[identity].id;
                let source = self.world.puppets[machine].address;
                let port = home.map_or(0, |home| self.world.puppets[home].address.port());
                self.world.beacon(id, source, port);
            }
            Op::HangUp(link, cut) => {
                if let Some(link) = self.link(link) {
                    self.world.hang_up(link, cut);
                }
            }
            Op::Door(who, door) => self.world.puppets[who].door = door,
            Op::Answers(who, answers) => self.world.puppets[who].answers = answers,
            Op::GreetsBack(who, greets) => self.world.puppets[who].greets_back = greets,
            Op::Stalled(who, stalled) => self.world.puppets[who].stalled = stalled,
            Op::Reading(reading) => {
                self.world.reading = reading;
                self.world.settle();
            }
            Op::Wait(time) => self.world.pass(ms(time)),
            Op::WeJoin(group) => self.world.node.join(now, &text(GROUPS[group])),
            Op::WeLeave(group) => self.world.node.leave(now, &text(GROUPS[group])),
            Op::WeWhisper(who, times) => {
                for _ in 0..times {
                    self.we_whisper(who);
                }
            }
            Op::WeShout(group) => {
                let group = text(GROUPS[group]);
                let members = self.world.node.peers_in(group.as_ref()).count();
                let sent = self.world.node.shout(now, &group, &Frames::from("all"));
                let sent = sent.unwrap();
                assert_eq!(sent.reached + sent.full, members);
            }
            Op::WeConnect(who) => {
                let endpoint = format!("tcp://{}", self.world.puppets[who].address);
                let _ = self.world.node.connect(now, &endpoint.parse().unwrap());
            }
        }
        self.world.settle();
        self.check();
    }

    /// One who is here can be sent to, or its queue is full; one who is not cannot.
    fn we_whisper(&mut self, who: usize) {
        let id = self.world.puppets[who].id;
        let here = self.world.node.peer(id).is_some();
        let sent = self
            .world
            .node
            .whisper(self.world.now, id, &Frames::from("hi"));
        match sent {
            Ok(()) | Err(SendError::Full) if here => {}
            Err(SendError::UnknownPeer) if !here => {}
            other => panic!("{other:?}, here: {here}"),
        }
    }

    /// What was told so far makes sense, and is what the queries say.
    fn check(&mut self) {
        let mut weight = 0;
        for event in std::mem::take(&mut self.world.events) {
            weight += match &event {
                Event::Whisper { content, .. } | Event::Shout { content, .. } => content.octets(),
                _ => 0,
            };
            self.note(&event);
        }
        // The share of all, what one message of each peer goes beyond it, and a burst that was taken at once.
        assert!(weight <= 9_000 + 5 * CONTENT, "{weight} octets waited");
        let untaken = self.world.untaken();
        assert!(
            untaken <= 6,
            "{untaken} messages wait for one who does not read"
        );
        let deadline = self.world.node.poll_timeout();
        assert!(deadline.is_none_or(|(at, _)| at >= self.world.now));
        if !self.world.reading {
            return;
        }
        let counters = self.world.node.counters();
        assert_eq!((counters.enters, counters.exits), (self.enters, self.exits));
        assert!(self.here.len() <= 4);
        assert_eq!(self.world.node.peers().count(), self.here.len());
        for view in self.world.node.peers() {
            let seen = &self.here[&view.peer.id];
            assert_eq!((view.groups, view.presence), (&seen.groups, seen.presence));
        }
        for group in GROUPS {
            let found = self.world.node.peers_in(group.as_bytes());
            let found: Vec<_> = found.map(|view| view.peer.id).collect();
            let members = self
                .here
                .iter()
                .filter(|(_, seen)| seen.groups.contains(group.as_bytes()));
            assert_eq!(found, members.map(|(id, _)| *id).collect::<Vec<_>>());
        }
    }

    /// ENTER first, then exactly one EXIT; JOIN and LEAVE by turns; READY, EVASIVE, SILENT in this order.
    fn note(&mut self, event: &Event) {
        let what = tell(event);
        match event {
            Event::Enter { peer } => {
                self.enters += 1;
                let seen = Seen {
                    groups: BTreeSet::new(),
                    presence: Presence::Ready,
                };
                assert!(self.here.insert(peer.id, seen).is_none(), "{what}: twice");
            }
            Event::Exit { peer, .. } => {
                self.exits += 1;
                assert!(self.here.remove(&peer.id).is_some(), "{what}: not here");
            }
            Event::Join { peer, group } => {
                let joined = self.seen(peer.id, &what).groups.insert(group.clone());
                assert!(joined, "{what}: twice");
            }
            Event::Leave { peer, group } => {
                let left = self.seen(peer.id, &what).groups.remove(group);
                assert!(left, "{what}: not in it");
            }
            Event::Whisper { peer, .. } | Event::Shout { peer, .. } => {
                self.seen(peer.id, &what);
            }
            Event::Evasive { peer } => {
                self.turns(peer.id, &what, &[Presence::Ready], Presence::Evasive);
            }
            Event::Silent { peer } => {
                self.turns(peer.id, &what, &[Presence::Evasive], Presence::Silent);
            }
            Event::Recovered { peer } => {
                let from = [Presence::Evasive, Presence::Silent];
                self.turns(peer.id, &what, &from, Presence::Ready);
            }
            _ => {}
        }
    }

    fn seen(&mut self, id: PeerId, what: &str) -> &mut Seen {
        let seen = self.here.get_mut(&id);
        seen.unwrap_or_else(|| panic!("{what}: before ENTER or after EXIT"))
    }

    fn turns(&mut self, id: PeerId, what: &str, from: &[Presence], to: Presence) {
        let seen = self.seen(id, what);
        assert!(
            from.contains(&seen.presence),
            "{what}: was {:?}",
            seen.presence
        );
        seen.presence = to;
    }

    /// When all are gone and time passes, nobody is left, and no link.
    fn end(&mut self) {
        self.world.reading = true;
        self.world.settle();
        for puppet in &mut self.world.puppets {
            puppet.door = Door::Shut;
            puppet.answers = false;
            puppet.stalled = false;
        }
        for link in self.world.links() {
            self.world.hang_up(link, Cut::Reset);
        }
        self.world.pass(Duration::from_secs(120));
        self.check();
        assert!(self.here.is_empty());
        assert_eq!(self.world.links(), []);
    }
}

fn id_octet(who: usize) -> u8 {
    10 + u8::try_from(who).unwrap()
}

fn word() -> impl Strategy<Value = Word> {
    let group = || 0..3_usize;
    prop_oneof![
        2 => prop::collection::vec(group(), 0..3).prop_map(Word::Hello),
        4 => (0..5_u8).prop_map(Word::Whisper),
        2 => group().prop_map(Word::Shout),
        4 => group().prop_map(Word::Join),
        3 => group().prop_map(Word::Leave),
        2 => Just(Word::Ping),
        2 => Just(Word::PingOk),
        1 => Just(Word::Goodbye),
        1 => (11..=255_u8).prop_map(Word::Unknown),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 0..5_usize;
    let group = || 0..3_usize;
    let link = || 0..16_usize;
    let cut = prop::sample::select(vec![Cut::Closed, Cut::Reset, Cut::Unreachable]);
    let door = prop::sample::select(vec![Door::Open, Door::Open, Door::Shut, Door::Dark]);
    let sequence = || prop_oneof![4 => 1..6_u16, 1 => any::<u16>()];
    prop_oneof![
        4 => who().prop_map(Op::Greet),
        2 => (who(), who(), who(), prop_oneof![4 => Just(1), 1 => sequence()])
            .prop_map(|(machine, id, home, n)| Op::GreetAs(machine, id, home, n)),
        1 => who().prop_map(Op::Mute),
        10 => (who(), word()).prop_map(|(who, word)| Op::Speak(who, word)),
        3 => (link(), sequence(), word()).prop_map(|(link, n, word)| Op::Say(link, n, word)),
        1 => (link(), any::<bool>()).prop_map(|(link, zre)| Op::Frames(link, zre)),
        3 => (who(), who(), prop::option::weighted(0.7, who()))
            .prop_map(|(id, machine, home)| Op::Beacon(id, machine, home)),
        3 => (link(), cut).prop_map(|(link, cut)| Op::HangUp(link, cut)),
        2 => (who(), door).prop_map(|(who, door)| Op::Door(who, door)),
        2 => (who(), any::<bool>()).prop_map(|(who, on)| Op::Answers(who, on)),
        1 => (who(), any::<bool>()).prop_map(|(who, on)| Op::GreetsBack(who, on)),
        1 => (who(), any::<bool>()).prop_map(|(who, on)| Op::Stalled(who, on)),
        1 => any::<bool>().prop_map(Op::Reading),
        5 => prop_oneof![(0..8_u64).prop_map(|n| n * 250), (0..40_u64).prop_map(|n| n * 1_000)]
            .prop_map(Op::Wait),
        1 => group().prop_map(Op::WeJoin),
        1 => group().prop_map(Op::WeLeave),
        3 => (who(), 1..12_u8).prop_map(|(who, times)| Op::WeWhisper(who, times)),
        1 => group().prop_map(Op::WeShout),
        1 => (0..1_usize).prop_map(Op::WeConnect),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn whatever_peers_do_what_is_told_makes_sense(ops in prop::collection::vec(op(), 1..100)) {
        let mut run = Run::new();
        for op in ops {
            run.play(op);
        }
        run.end();
    }
}
