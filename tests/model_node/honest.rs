//! Peers that keep the rules, or break one at a time: then what the application is told is determined, and a model of
//! a page says it.

use std::collections::BTreeSet;

use atonce::wire::zre::{Command, UnknownCommand};
use atonce::zre::{Config, SendError, Shouted};
use atonce::{Cut, Frames, Instant, PeerId};
use proptest::prelude::*;

use crate::model_common::{Door, START, World, address_of, malformed, ms, nonsense, tell, text};

const GROUPS: [&str; 3] = ["CHAT", "NEWS", "Ω"];
const NAMES: [&str; 3] = ["ann", "ben", "cy"];

/// A link that ends so soon after a goodbye is one.
const FAREWELL: u64 = 5_000;
/// A HELLO that comes so soon after our second one answers it.
const ANSWER: u64 = 3_000;
/// Who comes and goes more often than this is let in late. Then it returns as another.
const EXITS: u32 = 4;

#[derive(Clone, Copy, Debug)]
enum Way {
    /// On the link that it has.
    Same,
    /// On another, while the old one is open.
    Another,
    /// On another, after it closed the old one.
    Anew,
}

#[derive(Clone, Debug)]
enum Op {
    Greet(usize, u8, Way),
    Beacon(usize),
    Whisper(usize, Vec<&'static str>),
    Shout(usize, usize, Vec<&'static str>),
    /// With any status: it is never enforced.
    Join(usize, usize, u8),
    Leave(usize, usize, u8),
    Ping(usize),
    Elect(usize, usize),
    Unknown(usize, u8),
    Nonsense(usize),
    Malformed(usize),
    /// The sequence goes on with one that is wrong by so much.
    Gap(usize, u16),
    Goodbye(usize),
    GoodbyeBeacon(usize),
    HangUp(usize),
    /// Its machine loses power and comes back later, as nobody knows.
    Kill(usize),
    /// The node's link to it is cut.
    Cut(usize),
    Wait(u64),
    WeJoin(usize),
    WeLeave(usize),
    WeWhisper(usize, Vec<&'static str>),
    WeShout(usize, Vec<&'static str>),
}

/// A peer that is here, as the application has to see it.
#[derive(Clone, Debug, Default)]
struct Here {
    groups: BTreeSet<&'static str>,
    farewell: Option<Instant>,
    /// The node greeted it anew after a cut: until then its HELLO is an answer.
    answer_until: Option<Instant>,
    /// The sequence that came next from it when the node did.
    expected: u16,
}

/// How somebody greets.
#[derive(Clone, Copy, Debug)]
struct Greeting {
    /// On another link than that on which it spoke.
    another: bool,
    /// The sequence that would have come next.
    next: u16,
}

#[derive(Default)]
struct Model {
    peers: [Option<Here>; 3],
    exits: [u32; 3],
    /// How often each was born.
    births: [u8; 3],
    ours: BTreeSet<&'static str>,
    status: u8,
    told: Vec<String>,
}

impl Model {
    fn exit(&mut self, who: usize, reason: &str) {
        if self.peers[who].take().is_some() {
            self.exits[who] += 1;
            self.told.push(format!("exit {} {reason}", NAMES[who]));
        }
    }

    fn enter(&mut self, who: usize, groups: BTreeSet<&'static str>) {
        self.told.push(format!("enter {}", NAMES[who]));
        let joins = groups
            .iter()
            .map(|group| format!("join {} {group}", NAMES[who]));
        self.told.extend(joins);
        self.peers[who] = Some(Here {
            groups,
            ..Here::default()
        });
    }

    /// Whoever greets is here anew, unless its HELLO is an answer to ours.
    fn greet(&mut self, now: Instant, who: usize, groups: BTreeSet<&'static str>, way: Greeting) {
        let answers = |here: &Here| here.answer_until.is_some_and(|until| now < until);
        match &mut self.peers[who] {
            Some(here) if answers(here) => {
                here.answer_until = None;
                if way.another && way.next != here.expected {
                    // What it said between may be lost.
                    self.told.push(format!("exit {} replaced", NAMES[who]));
                    self.told.push(format!("enter {}", NAMES[who]));
                    let joins = here.groups.iter();
                    let joins = joins.map(|group| format!("join {} {group}", NAMES[who]));
                    self.told.extend(joins);
                }
                let before = std::mem::replace(&mut here.groups, groups.clone());
                for group in before.difference(&groups) {
                    self.told.push(format!("leave {} {group}", NAMES[who]));
                }
                for group in groups.difference(&before) {
                    self.told.push(format!("join {} {group}", NAMES[who]));
                }
            }
            _ => {
                self.exit(who, "replaced");
                self.enter(who, groups);
            }
        }
    }

    /// Alone a closed link is no exit; soon after a goodbye it is.
    fn hang_up(&mut self, now: Instant, who: usize) {
        if self.left(now, who) {
            self.exit(who, "left");
        }
    }

    fn left(&self, now: Instant, who: usize) -> bool {
        let here = self.peers[who].as_ref();
        here.and_then(|here| here.farewell)
            .is_some_and(|said| now - said < ms(FAREWELL))
    }

    fn goodbye(&mut self, now: Instant, who: usize, open: bool) {
        if !open {
            return self.exit(who, "left");
        }
        if let Some(here) = &mut self.peers[who] {
            here.farewell = Some(now);
        }
    }
}

/// The node and the model.
struct Run {
    world: World,
    model: Model,
    /// How much of what each puppet heard was looked at, and the sequence that comes next.
    heard: [(usize, u16); 3],
}

impl Run {
    fn new() -> Self {
        let mut world = World::new(Config::default());
        for (who, host, port) in [(0, 2, 0), (1, 2, 1), (2, 3, 0)] {
            world.puppet(
                NAMES[who],
                10 + u8::try_from(who).unwrap(),
                address_of(host, port),
            );
        }
        Self {
            world,
            model: Model::default(),
            heard: [(0, 0); 3],
        }
    }

    fn open(&self, who: usize) -> bool {
        self.world.puppets[who].link.is_some()
    }

    fn is_here(&self, who: usize) -> bool {
        self.model.peers[who].is_some()
    }

    /// A peer that is gone for good is born again under another name, as a process that restarts is.
    fn revive(&mut self, who: usize) {
        let dead = self.world.puppets[who].door != Door::Open;
        if dead || (!self.is_here(who) && self.model.exits[who] >= EXITS) {
            self.model.births[who] += 1;
            self.model.exits[who] = 0;
            let octet = 10 + u8::try_from(who).unwrap() + 10 * self.model.births[who];
            let puppet = &mut self.world.puppets[who];
            puppet.id = PeerId::from_bytes([octet; 16]);
            puppet.door = Door::Open;
            puppet.answers = true;
        }
    }

    fn play(&mut self, op: Op) -> Result<(), TestCaseError> {
        let now = self.world.now;
        match op {
            Op::Greet(who, groups, way) => {
                self.revive(who);
                if self.is_here(who) && self.model.exits[who] + 1 >= EXITS {
                    return Ok(());
                }
                let groups: Vec<_> = (0..3)
                    .filter(|n| groups & 1 << n != 0)
                    .map(|n| GROUPS[n])
                    .collect();
                match (way, self.world.puppets[who].link) {
                    (Way::Anew, Some(link)) => {
                        self.model.hang_up(now, who);
                        self.world.hang_up(link, Cut::Closed);
                    }
                    (Way::Another, _) => self.world.puppets[who].link = None,
                    _ => {}
                }
                let puppet = &self.world.puppets[who];
                let way = Greeting {
                    another: puppet.link.is_none(),
                    next: puppet.next,
                };
                self.world.greet(who, &groups);
                let groups = groups.into_iter().collect();
                self.model.greet(now, who, groups, way);
            }
            Op::Beacon(who) => {
                if self.world.puppets[who].door == Door::Open {
                    let puppet = &self.world.puppets[who];
                    let (id, address) = (puppet.id, puppet.address);
                    self.world.beacon(id, address, address.port());
                }
            }
            Op::Kill(who) => self.kill(who),
            Op::Cut(who) => self.cut(who),
            Op::Wait(time) => self.world.pass(ms(time)),
            Op::WeJoin(group) => {
                let group = GROUPS[group];
                self.world.node.join(now, &text(group));
                if self.model.ours.insert(group) {
                    self.model.status = self.model.status.wrapping_add(1);
                }
                self.world.settle();
            }
            Op::WeLeave(group) => {
                let group = GROUPS[group];
                self.world.node.leave(now, &text(group));
                if self.model.ours.remove(group) {
                    self.model.status = self.model.status.wrapping_add(1);
                }
                self.world.settle();
            }
            Op::WeWhisper(who, content) => self.we_whisper(who, &content)?,
            Op::WeShout(group, content) => self.we_shout(GROUPS[group], &content)?,
            spoken => self.spoken(spoken),
        }
        self.compare()
    }

    /// What only one who is here can do.
    fn spoken(&mut self, op: Op) {
        let now = self.world.now;
        let (Op::Whisper(who, _)
        | Op::Shout(who, ..)
        | Op::Join(who, ..)
        | Op::Leave(who, ..)
        | Op::Ping(who)
        | Op::Elect(who, _)
        | Op::Unknown(who, _)
        | Op::Nonsense(who)
        | Op::Malformed(who)
        | Op::Gap(who, _)
        | Op::Goodbye(who)
        | Op::GoodbyeBeacon(who)
        | Op::HangUp(who)) = op
        else {
            return;
        };
        let (world, model) = (&mut self.world, &mut self.model);
        let Some(here) = &mut model.peers[who] else {
            return;
        };
        let name = NAMES[who];
        let open = world.puppets[who].link.is_some();
        match op {
            Op::Whisper(_, content) => {
                let content = Frames::from_iter(content);
                model.told.push(format!("whisper {name} {content:?}"));
                world.speak(who, Command::Whisper { content });
            }
            Op::Shout(_, group, content) => {
                let (content, group) = (Frames::from_iter(content), GROUPS[group]);
                if model.ours.contains(group) {
                    model.told.push(format!("shout {name} {group} {content:?}"));
                }
                let group = text(group);
                world.speak(who, Command::Shout { group, content });
            }
            Op::Join(_, group, status) => {
                let group = GROUPS[group];
                if here.groups.insert(group) {
                    model.told.push(format!("join {name} {group}"));
                }
                let group = text(group);
                world.speak(who, Command::Join { group, status });
            }
            Op::Leave(_, group, status) => {
                let group = GROUPS[group];
                if here.groups.remove(group) {
                    model.told.push(format!("leave {name} {group}"));
                }
                let group = text(group);
                world.speak(who, Command::Leave { group, status });
            }
            Op::Ping(_) => {
                world.speak(who, Command::Ping);
                let heard = world.puppets[who].heard.last();
                let answered = heard
                    .is_some_and(|(at, message)| *at == now && message.command == Command::PingOk);
                assert!(answered, "{heard:?}");
            }
            Op::Elect(_, group) => {
                let (group, challenger_id) = (text(GROUPS[group]), text("me"));
                let elect = Command::Elect {
                    group,
                    challenger_id,
                };
                world.speak(who, elect);
            }
            Op::Unknown(_, id) => {
                let unknown = UnknownCommand::new(id).unwrap();
                world.speak(who, Command::Unknown(unknown));
            }
            Op::Nonsense(_) => {
                if let Some(link) = world.puppets[who].link {
                    world.arrive(link, nonsense());
                }
            }
            Op::Malformed(_) => {
                let puppet = &world.puppets[who];
                if let Some(link) = puppet.link {
                    let why = "malformed";
                    let next = puppet.next;
                    model.exit(who, why);
                    world.arrive(link, malformed(next));
                }
            }
            Op::Gap(_, by) => {
                let expected = world.puppets[who].next;
                let found = expected.wrapping_add(by);
                let reason = format!("lost: a gap: expected message {expected}, found {found}");
                model.exit(who, &reason);
                world.puppets[who].next = found;
                world.speak(who, Command::Ping);
            }
            Op::Goodbye(_) => {
                model.goodbye(now, who, true);
                world.speak(who, Command::Goodbye);
            }
            Op::GoodbyeBeacon(_) => {
                model.goodbye(now, who, open);
                let puppet = &world.puppets[who];
                let (id, address) = (puppet.id, puppet.address);
                world.beacon(id, address, 0);
            }
            Op::HangUp(_) => {
                if let Some(link) = world.puppets[who].link {
                    model.hang_up(now, who);
                    world.hang_up(link, Cut::Closed);
                }
            }
            _ => unreachable!(),
        }
    }

    /// Refused twice, 250 ms apart, and nothing more to hear: it is gone.
    fn kill(&mut self, who: usize) {
        let now = self.world.now;
        self.world.puppets[who].door = Door::Shut;
        self.world.puppets[who].answers = false;
        let reason = match self.model.left(now, who) {
            true => "left",
            false => "lost: its mailbox is gone",
        };
        self.model.exit(who, reason);
        let links = [self.world.puppets[who].link, self.world.link_to(who)];
        for link in links.into_iter().flatten() {
            self.world.hang_up(link, Cut::Reset);
        }
        self.world.pass(ms(1_000));
    }

    /// What was not confirmed may be lost, but for PING-OK, which nobody misses; when both links are gone it has to greet anew then.
    fn cut(&mut self, who: usize) {
        let Some(link) = self.world.link_to(who) else {
            return;
        };
        // What was said since HELLO and is not followed by a PING, which the puppet answered.
        let said = self.world.puppets[who].heard.iter().rev();
        let since = said.take_while(|(_, message)| message.command != Command::Ping);
        let (mut doubtful, mut missed) = (0, false);
        for (_, message) in since {
            doubtful += 1;
            missed |= message.command != Command::PingOk;
            if matches!(message.command, Command::Hello(_)) {
                break;
            }
        }
        let heard = self.world.puppets[who].heard.len();
        let open = self.open(who);
        self.world.hang_up(link, Cut::Reset);
        self.world.pass(ms(1_000));
        let Some(here) = self.model.peers[who].clone() else {
            return;
        };
        if !missed {
            // It goes on, though its own link is gone as well: it answers the PING that asks whether it is still the same.
            return;
        }
        let reason = format!("lost: its link was cut, {doubtful} messages to it may be lost");
        if !open {
            return self.model.exit(who, &reason);
        }
        self.model.exit(who, &reason);
        // The same conversation goes on, as far as the node's memory of those who are gone is concerned.
        self.model.exits[who] -= 1;
        self.model.enter(who, here.groups);
        let puppet = &self.world.puppets[who];
        let mut since = puppet.heard[heard..].iter();
        let greeted = since.find(|(_, message)| matches!(message.command, Command::Hello(_)));
        // It answered each PING that came since.
        let asked = since.filter(|(_, message)| message.command == Command::Ping);
        let asked = u16::try_from(asked.count()).unwrap();
        let entered = self.model.peers[who].as_mut().unwrap();
        entered.farewell = here.farewell;
        entered.answer_until = greeted.map(|(at, _)| *at + ms(ANSWER));
        entered.expected = puppet.next.wrapping_sub(asked);
    }

    fn we_whisper(&mut self, who: usize, content: &[&'static str]) -> Result<(), TestCaseError> {
        let now = self.world.now;
        let id = self.world.puppets[who].id;
        let frames = Frames::from_iter(content.iter().copied());
        let sent = self.world.node.whisper(now, id, &frames);
        self.world.settle();
        if !self.is_here(who) {
            prop_assert_eq!(sent, Err(SendError::UnknownPeer));
            return Ok(());
        }
        prop_assert_eq!(sent, Ok(()));
        let content = match frames.is_empty() {
            // Never without a frame.
            true => Frames::from(""),
            false => frames,
        };
        let heard = self.world.puppets[who].heard.last();
        prop_assert_eq!(
            heard.map(|(_, message)| &message.command),
            Some(&Command::Whisper { content })
        );
        Ok(())
    }

    fn we_shout(
        &mut self,
        group: &'static str,
        content: &[&'static str],
    ) -> Result<(), TestCaseError> {
        let now = self.world.now;
        let frames = Frames::from_iter(content.iter().copied());
        let before: Vec<_> = self
            .world
            .puppets
            .iter()
            .map(|puppet| puppet.heard.len())
            .collect();
        let sent = self.world.node.shout(now, &text(group), &frames);
        self.world.settle();
        let mut reached = 0;
        for (who, before) in before.into_iter().enumerate() {
            let member = |here: &Here| here.groups.contains(group);
            let expected = self.model.peers[who].as_ref().is_some_and(member);
            let heard = &self.world.puppets[who].heard[before..];
            let shouts = heard
                .iter()
                .filter(|(_, message)| matches!(&message.command, Command::Shout { .. }));
            prop_assert_eq!(shouts.count(), usize::from(expected));
            reached += usize::from(expected);
        }
        prop_assert_eq!(sent, Ok(Shouted { reached, full: 0 }));
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let short = |told: String| match told.split_once("lost: a malformed message") {
            Some((exit, _)) => format!("{exit}malformed"),
            None => told,
        };
        let told: Vec<_> = self
            .world
            .events
            .drain(..)
            .map(|event| short(tell(&event)))
            .collect();
        let expected = std::mem::take(&mut self.model.told);
        prop_assert_eq!(&told, &expected, "told");
        // Who is here, and in which groups.
        let peers: Vec<_> = self
            .world
            .node
            .peers()
            .map(|view| {
                let groups: Vec<_> = view.groups.iter().map(ToString::to_string).collect();
                (view.peer.name.to_string(), groups)
            })
            .collect();
        let mut expected = Vec::new();
        for (who, name) in NAMES.iter().enumerate() {
            if let Some(here) = &self.model.peers[who] {
                let groups: Vec<_> = here.groups.iter().map(ToString::to_string).collect();
                let view = (name.to_string(), groups);
                expected.push((self.world.puppets[who].id, view));
            }
        }
        expected.sort_by_key(|(id, _)| *id);
        let expected: Vec<_> = expected.into_iter().map(|(_, view)| view).collect();
        prop_assert_eq!(peers, expected, "here");
        for who in 0..3 {
            self.check_heard(who)?;
        }
        Ok(())
    }

    /// What the node says begins with HELLO and 1, goes on without a gap, and its status is exact.
    fn check_heard(&mut self, who: usize) -> Result<(), TestCaseError> {
        let (from, mut next) = self.heard[who];
        for (_, message) in &self.world.puppets[who].heard[from..] {
            match &message.command {
                Command::Hello(hello) => {
                    next = 1;
                    let groups: Vec<_> = hello.groups.iter().map(ToString::to_string).collect();
                    let ours: Vec<_> = self.model.ours.iter().map(ToString::to_string).collect();
                    prop_assert_eq!(groups, ours);
                    prop_assert_eq!(hello.status, self.model.status);
                }
                Command::Join { status, .. } | Command::Leave { status, .. } => {
                    prop_assert_eq!(*status, self.model.status);
                }
                _ => {}
            }
            prop_assert_eq!(message.sequence, next, "{:?}", message);
            next = next.wrapping_add(1);
        }
        self.heard[who] = (self.world.puppets[who].heard.len(), next);
        Ok(())
    }
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 0..3_usize;
    let group = || 0..3_usize;
    let content = || prop::collection::vec(prop::sample::select(vec!["", "hi", "there"]), 0..4);
    let way = prop::sample::select(vec![Way::Same, Way::Another, Way::Anew]);
    let wait = prop_oneof![
        4 => (0..10_u64).prop_map(|n| n * 250),
        1 => (0..40_u64).prop_map(|n| n * 1_000),
    ];
    prop_oneof![
        6 => (who(), 0..8_u8, way).prop_map(|(who, groups, way)| Op::Greet(who, groups, way)),
        2 => who().prop_map(Op::Beacon),
        5 => (who(), content()).prop_map(|(who, content)| Op::Whisper(who, content)),
        5 => (who(), group(), content()).prop_map(|(who, group, content)| Op::Shout(who, group, content)),
        4 => (who(), group(), any::<u8>()).prop_map(|(who, group, status)| Op::Join(who, group, status)),
        3 => (who(), group(), any::<u8>()).prop_map(|(who, group, status)| Op::Leave(who, group, status)),
        2 => who().prop_map(Op::Ping),
        1 => (who(), group()).prop_map(|(who, group)| Op::Elect(who, group)),
        1 => (who(), 11..=255_u8).prop_map(|(who, id)| Op::Unknown(who, id)),
        1 => who().prop_map(Op::Nonsense),
        1 => who().prop_map(Op::Malformed),
        1 => (who(), 1..=u16::MAX).prop_map(|(who, by)| Op::Gap(who, by)),
        1 => who().prop_map(Op::Goodbye),
        1 => who().prop_map(Op::GoodbyeBeacon),
        2 => who().prop_map(Op::HangUp),
        1 => who().prop_map(Op::Kill),
        2 => who().prop_map(Op::Cut),
        6 => wait.prop_map(Op::Wait),
        3 => group().prop_map(Op::WeJoin),
        2 => group().prop_map(Op::WeLeave),
        3 => (who(), content()).prop_map(|(who, content)| Op::WeWhisper(who, content)),
        3 => (group(), content()).prop_map(|(group, content)| Op::WeShout(group, content)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_application_sees_what_the_model_sees(ops in prop::collection::vec(op(), 1..80)) {
        // ZRE-12, ZRE-20, ZRE-41, ZRE-60, ZRE-61, ZRE-62, ZRE-63, ZRE-70, ZRE-71, ZRE-72, ZRE-73, ZRE-74, ZRE-75, ZRE-76
        let mut run = Run::new();
        prop_assert_eq!(run.world.now, START);
        for op in ops {
            run.play(op)?;
        }
    }
}
