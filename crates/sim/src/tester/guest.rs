//! The application on each node: talks, answers, and holds what it is told against what may be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atonce::zre::SendError;
use atonce::{Event, ExitReason, Frames, Instant, Peer, PeerId, Text};

use super::findings::{Serial, Shared};
use super::options::GROUPS;
use crate::{Application, Context, NodeId, Odds};

/// What is of this generation is not answered.
const LAST: u8 = 3;

const TICK: Duration = Duration::from_secs(1);

/// A node of the crowd.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) serial: Serial,
    incarnation: u32,
    /// It says nothing by itself, and answers nothing.
    pub(super) quiet: bool,
    /// The generation of its shouts; `None`: by chance.
    shouts: Option<u8>,
    /// It stands for leader of groups.
    contests: bool,
    /// Who leads each group, as it was told.
    leaders: BTreeMap<Text, PeerId>,
    groups: Arc<[Text]>,
    peers: BTreeMap<Serial, Seen>,
    here: usize,
    /// The number of the last thing it said.
    said: u64,
    /// Peers of which the next events must say something, since the node knows more than it told us yet.
    owed: Vec<(Serial, bool)>,
    /// Where it is in its own time: for the checks of the last phase.
    findings: Shared,
}

/// A peer as this node sees it, and what was exchanged with it.
#[derive(Clone, Debug, Default)]
struct Seen {
    here: bool,
    id: Option<PeerId>,
    incarnation: u32,
    groups: u16,
    mood: Mood,
    /// The last thing that it said.
    last: u64,
    /// How often it left us, and what we whispered to it since.
    session: u32,
    whispered: u32,
    /// The same as it counts them, as far as we heard since it entered.
    heard: Option<(u32, u32)>,
    left: Instant,
}

/// Notes that something is wrong between the node of the context and another.
fn fail(findings: &Shared, context: &Context<'_>, other: Serial, what: &str) {
    let mut findings = findings.borrow_mut();
    let nodes: Vec<NodeId> = [Some(context.node()), findings.node(other)]
        .into_iter()
        .flatten()
        .collect();
    let what = format!("{}: peer {other}: {what}", context.name());
    findings.fail(what, &nodes);
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Ready,
    Evasive,
    Silent,
}

/// What every message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    from: Serial,
    incarnation: u32,
    generation: u8,
    number: u64,
    /// Of a whisper: to whom, in which session, and the how manieth.
    to: Serial,
    session: u32,
    count: u32,
}

/// To nobody in particular.
const ALL: Serial = Serial::MAX;

impl Content {
    const SIZE: usize = 32;

    fn encode(self) -> Frames {
        let mut octets = Vec::with_capacity(Self::SIZE);
        octets.extend(self.from.to_be_bytes());
        octets.extend(self.incarnation.to_be_bytes());
        octets.extend(self.number.to_be_bytes());
        octets.extend(self.to.to_be_bytes());
        octets.extend(self.session.to_be_bytes());
        octets.extend(self.count.to_be_bytes());
        octets.extend([self.generation, 0, 0, 0]);
        Frames::from(octets)
    }

    fn decode(content: &Frames) -> Option<Self> {
        let [octets] = &content[..] else {
            return None;
        };
        let octets: &[u8; Self::SIZE] = octets[..].try_into().ok()?;
        let word = |at: usize| {
            let word = octets.get(at..at + 4)?;
            word.try_into().ok().map(u32::from_be_bytes)
        };
        Some(Self {
            from: word(0)?,
            incarnation: word(4)?,
            number: u64::from(word(8)?) << 32 | u64::from(word(12)?),
            to: word(16)?,
            session: word(20)?,
            count: word(24)?,
            generation: octets[28],
        })
    }
}

/// What the keys of a node are made of in a run with this seed.
pub(super) fn seed(run: u64, serial: Serial) -> [u8; 32] {
    let mut seed = [0; 32];
    let words = [run, serial.into()];
    for (octet, given) in seed
        .iter_mut()
        .zip(words.iter().flat_map(|word| word.to_be_bytes()))
    {
        *octet = given;
    }
    seed
}

/// The identity that carries a serial.
pub(super) fn identity(serial: Serial, random: [u8; 12]) -> PeerId {
    let mut octets = [0; 16];
    let (front, back) = octets.split_at_mut(12);
    front.copy_from_slice(&random);
    back.copy_from_slice(&serial.to_be_bytes());
    PeerId::from_bytes(octets)
}

fn serial_of(id: PeerId) -> Serial {
    id.as_bytes()
        .last_chunk()
        .map_or(ALL, |octets| Serial::from_be_bytes(*octets))
}

/// The name that carries the incarnation.
pub(super) fn name(serial: Serial, incarnation: u32) -> String {
    format!("n{serial}.{incarnation}")
}

fn incarnation_of(peer: &Peer) -> Option<u32> {
    let name = peer.name.to_str_lossy();
    name.split_once('.')?.1.parse().ok()
}

fn group_of(group: &Text) -> Option<u16> {
    let digit = group.as_bytes().last()?.checked_sub(b'0')?;
    (usize::from(digit) < GROUPS).then_some(1 << digit)
}

/// The groups that everybody joins and leaves.
pub(super) fn groups() -> Arc<[Text]> {
    (0..GROUPS)
        .map(|n| Text::try_from(format!("G{n}")).unwrap_or_default())
        .collect()
}

impl Guest {
    pub(super) fn new(
        serial: Serial,
        incarnation: u32,
        shouts: Option<u8>,
        contests: bool,
        quiet: bool,
        groups: Arc<[Text]>,
        findings: Shared,
    ) -> Self {
        Self {
            serial,
            incarnation,
            quiet,
            shouts,
            contests,
            leaders: BTreeMap::new(),
            groups,
            peers: BTreeMap::new(),
            here: 0,
            said: 0,
            owed: Vec::new(),
            findings,
        }
    }

    /// How many peers it was told of.
    pub(super) const fn here(&self) -> usize {
        self.here
    }

    /// Whether it was told of a peer, and that it is in exactly these groups.
    pub(super) fn sees(&self, serial: Serial, groups: u16) -> bool {
        self.peers
            .get(&serial)
            .is_some_and(|seen| seen.here && seen.groups == groups)
    }

    /// What was whispered last to a peer that is here: session and count.
    pub(super) fn whispered(&self, serial: Serial) -> Option<(u32, u32)> {
        let seen = self.peers.get(&serial).filter(|seen| seen.here)?;
        Some((seen.session, seen.whispered))
    }

    /// What was heard last of a peer that is here.
    pub(super) fn heard(&self, serial: Serial) -> Option<(u32, u32)> {
        self.peers.get(&serial)?.heard
    }

    /// The groups, as bits.
    pub(super) fn bits<'a>(groups: impl Iterator<Item = &'a Text>) -> u16 {
        groups.filter_map(group_of).fold(0, |bits, bit| bits | bit)
    }

    /// Who leads a group, as it was told.
    pub(super) fn leader(&self, group: &Text) -> Option<PeerId> {
        self.leaders.get(group).copied()
    }

    /// Whispers to everybody who is here.
    pub(super) fn call_all(&mut self, context: &mut Context<'_>) {
        let here: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, seen)| seen.here)
            .filter_map(|(serial, seen)| seen.id.map(|id| (*serial, id)))
            .collect();
        for (serial, id) in here {
            // A queue may be full of what is stuck, or a peer in between: whoever asks for it tries again.
            let _ = self.whisper(context, serial, id, LAST);
        }
    }

    fn fail(&self, context: &Context<'_>, other: Serial, what: impl AsRef<str>) {
        fail(&self.findings, context, other, what.as_ref());
    }

    fn content(&mut self, generation: u8, to: Serial, session: u32, count: u32) -> Frames {
        self.said += 1;
        Content {
            from: self.serial,
            incarnation: self.incarnation,
            generation,
            number: self.said,
            to,
            session,
            count,
        }
        .encode()
    }

    fn whisper(
        &mut self,
        context: &mut Context<'_>,
        serial: Serial,
        id: PeerId,
        generation: u8,
    ) -> Result<(), SendError> {
        let (session, count) = match self.peers.get(&serial) {
            Some(seen) => (seen.session, seen.whispered + 1),
            None => (0, 1),
        };
        let content = self.content(generation, serial, session, count);
        context.whisper(id, content)?;
        self.findings.borrow_mut().said += 1;
        if let Some(seen) = self.peers.get_mut(&serial) {
            seen.whispered = count;
        }
        Ok(())
    }

    /// Whispers to somebody who is here as far as we were told.
    fn whisper_here(
        &mut self,
        context: &mut Context<'_>,
        serial: Serial,
        id: PeerId,
        generation: u8,
    ) {
        match self.whisper(context, serial, id, generation) {
            Ok(()) | Err(SendError::Full | SendError::Stopped) => {}
            // It is gone already: we are about to be told.
            Err(SendError::UnknownPeer) => self.owed.push((serial, false)),
            Err(error) => self.fail(context, serial, format!("whisper: {error}")),
        }
    }

    fn shout(&mut self, context: &mut Context<'_>, group: &Text, generation: u8) {
        let content = self.content(generation, ALL, 0, 0);
        match context.shout(group, content) {
            Ok(shouted) => self.findings.borrow_mut().said += shouted.reached as u64,
            Err(SendError::Stopped) => {}
            Err(error) => self.fail(context, ALL, format!("shout: {error}")),
        }
    }

    fn entered(&mut self, context: &mut Context<'_>, peer: &Peer) {
        let serial = serial_of(peer.id);
        let Some(incarnation) = incarnation_of(peer) else {
            return self.fail(context, serial, "has a name that nobody gave it");
        };
        let seen = self.peers.entry(serial).or_default();
        if seen.here {
            return self.fail(context, serial, "ENTER of one who is here");
        }
        let older = incarnation < seen.incarnation;
        let first = seen.incarnation != incarnation;
        if first {
            seen.last = 0;
        }
        seen.here = true;
        seen.id = Some(peer.id);
        seen.incarnation = incarnation;
        seen.groups = 0;
        seen.mood = Mood::Ready;
        seen.heard = None;
        self.here += 1;
        if older {
            return self.fail(context, serial, "ENTER of one who is long dead");
        }
        let mut findings = self.findings.borrow_mut();
        findings.enters += 1;
        let both = [self.serial, serial].map(|it| findings.started.get(&it).copied());
        if let ([Some(ours), Some(theirs)], true) = (both, first) {
            let took = context.true_now() - ours.max(theirs);
            findings.meeting.push(took);
        }
        drop(findings);
        if !self.quiet {
            self.whisper_here(context, serial, peer.id, 1);
        }
        self.settle(serial, true);
    }

    fn exited(&mut self, context: &mut Context<'_>, peer: &Peer, reason: &ExitReason) {
        let serial = serial_of(peer.id);
        let now = context.true_now();
        let Some(seen) = self.peers.get_mut(&serial).filter(|seen| seen.here) else {
            return self.fail(context, serial, "EXIT of one who is not here");
        };
        seen.here = false;
        self.leaders.retain(|_, leader| *leader != peer.id);
        let session = seen.session;
        seen.session += 1;
        seen.whispered = 0;
        seen.left = now;
        self.here -= 1;
        let mut findings = self.findings.borrow_mut();
        findings.tell(self.serial, serial, session);
        findings.exits += 1;
        match findings.ended.get(&serial).copied() {
            Some((at, how)) if !findings.lives.contains_key(&serial) => {
                if let Some(times) = findings.noticing.get_mut(how as usize) {
                    times.push(now - at);
                }
            }
            _ => {
                findings.exits_of_the_living += 1;
                if findings.steadfast {
                    let what = format!(
                        "{} was told EXIT of {serial}, which is alive: {reason}",
                        self.serial
                    );
                    let nodes: Vec<_> = [self.serial, serial]
                        .iter()
                        .filter_map(|it| findings.node(*it))
                        .collect();
                    findings.fail(what, &nodes);
                }
            }
        }
        drop(findings);
        self.settle(serial, false);
        if !self.quiet {
            match self.whisper(context, serial, peer.id, 1) {
                Err(SendError::UnknownPeer | SendError::Stopped) => {}
                // It is here again: we are about to be told.
                Ok(()) | Err(SendError::Full) => self.owed.push((serial, true)),
                Err(error) => {
                    self.fail(context, serial, format!("whisper to a departed: {error}"));
                }
            }
        }
        self.purge(now);
    }

    /// Forgets those who left long ago.
    fn purge(&mut self, now: Instant) {
        const LONG: Duration = Duration::from_secs(300);
        if self.peers.len() > 64 && self.peers.len() > 4 * self.here {
            let findings = self.findings.borrow();
            self.peers.retain(|serial, seen| {
                seen.here || now - seen.left < LONG || findings.lives.contains_key(serial)
            });
        }
    }

    /// What was owed came.
    fn settle(&mut self, serial: Serial, enter: bool) {
        self.owed.retain(|owed| *owed != (serial, enter));
    }

    /// A peer that something is said of has to be here.
    fn peer(
        &mut self,
        context: &Context<'_>,
        peer: &Peer,
        what: &str,
    ) -> Option<(Serial, &mut Seen)> {
        let serial = serial_of(peer.id);
        let Some(seen) = self.peers.get_mut(&serial).filter(|seen| seen.here) else {
            let what = format!("{what} of one who is not here");
            fail(&self.findings, context, serial, &what);
            return None;
        };
        Some((serial, seen))
    }

    fn mood(&mut self, context: &Context<'_>, peer: &Peer, mood: Mood) {
        let Some((serial, seen)) = self.peer(context, peer, "presence") else {
            return;
        };
        let right = match mood {
            Mood::Evasive => seen.mood == Mood::Ready,
            Mood::Silent => seen.mood == Mood::Evasive,
            Mood::Ready => seen.mood != Mood::Ready,
        };
        let before = std::mem::replace(&mut seen.mood, mood);
        if !right {
            self.fail(context, serial, format!("is {mood:?} after {before:?}"));
        }
    }

    fn membership(&mut self, context: &Context<'_>, peer: &Peer, group: &Text, joins: bool) {
        let bit = group_of(group);
        let Some((serial, seen)) = self.peer(context, peer, "JOIN or LEAVE") else {
            return;
        };
        let Some(bit) = bit else {
            return self.fail(context, serial, format!("is in {group}, which is no group"));
        };
        let was = seen.groups & bit != 0;
        seen.groups ^= bit;
        if !joins && self.leaders.get(group) == Some(&peer.id) {
            self.leaders.remove(group);
        }
        if was == joins {
            let what = if joins { "joins" } else { "leaves" };
            self.fail(context, serial, format!("{what} {group} twice"));
        }
    }

    /// Somebody leads a group: one that is here and in it, or this node.
    fn led(&mut self, context: &Context<'_>, peer: &Peer, group: &Text) {
        if serial_of(peer.id) != self.serial {
            let bit = group_of(group).unwrap_or_default();
            let Some((serial, seen)) = self.peer(context, peer, "LEADER") else {
                return;
            };
            if seen.groups & bit == 0 {
                return self.fail(context, serial, format!("leads {group} and is not in it"));
            }
        }
        self.leaders.insert(group.clone(), peer.id);
    }

    /// Stands for leader of a group, or does not any more.
    fn turn(&mut self, context: &mut Context<'_>) {
        let at = context.chance().index(self.groups.len());
        if let Some(group) = Arc::clone(&self.groups).get(at) {
            if context.stack().contested().any(|other| other == group) {
                context.withdraw(group);
            } else {
                context.contest(group);
            }
        }
    }

    /// Holds a message against what its sender may say. `Some`: who said it, and its generation.
    fn hear(
        &mut self,
        context: &Context<'_>,
        peer: &Peer,
        content: &Frames,
        whisper: bool,
    ) -> Option<(Serial, u8)> {
        let ours = self.serial;
        let (serial, seen) = self.peer(context, peer, "a message")?;
        let Some(said) = Content::decode(content) else {
            self.fail(
                context,
                serial,
                format!("says {content:?}, which nobody said"),
            );
            return None;
        };
        let to = if whisper { ours } else { ALL };
        if (said.from, said.incarnation, said.to) != (serial, seen.incarnation, to) {
            let incarnation = seen.incarnation;
            self.fail(
                context,
                serial,
                format!("{said:?} is not of its incarnation {incarnation} to {ours}"),
            );
            return None;
        }
        if said.number <= seen.last {
            let last = seen.last;
            self.fail(context, serial, format!("{said:?} after number {last}"));
            return None;
        }
        seen.last = said.number;
        let mut gap = false;
        if whisper {
            gap = match seen.heard {
                None => false,
                Some((session, count)) if session == said.session => said.count != count + 1,
                Some((session, _)) => said.session < session || said.count != 1,
            };
            seen.heard = Some((said.session, said.count));
        }
        let mut findings = self.findings.borrow_mut();
        findings.heard += 1;
        if gap {
            findings.miss(context.true_now(), serial, ours, said.session);
        }
        Some((serial, said.generation))
    }
}

/// The generation of a shout, so that the answers to all shouts stay fewer than the shouts, however many hear them.
fn by_chance(context: &mut Context<'_>, group: &Text) -> u8 {
    let members = context.stack().peers_in(group.as_bytes()).count() as u64;
    if context.chance().below(members * members) == 0 {
        1
    } else if context.chance().below(members) == 0 {
        2
    } else {
        LAST
    }
}

const HALF: Odds = Odds::percent(50);
const THIRD: Odds = super::options::A_THIRD;

impl Application for Guest {
    fn on_start(&mut self, context: &mut Context<'_>) {
        let after = context.chance().between(Duration::ZERO, TICK);
        context.set_timer(after, 0);
        if self.contests {
            for group in Arc::clone(&self.groups).iter() {
                if context.chance().happens(HALF) {
                    context.contest(group);
                }
            }
        }
    }

    fn on_timer(&mut self, context: &mut Context<'_>, _: u64) {
        context.set_timer(TICK, 0);
        if self.quiet {
            return;
        }
        if self.contests && context.chance().happens(THIRD) {
            self.turn(context);
        }
        let groups = Arc::clone(&self.groups);
        let at = context.chance().index(groups.len());
        if let Some(group) = groups.get(at) {
            if context.stack().groups().any(|other| other == group) {
                context.leave(group);
                self.leaders.remove(group);
            } else {
                context.join(group);
            }
        }
        let at = context.chance().index(groups.len());
        if let Some(group) = groups.get(at) {
            let generation = self.shouts.unwrap_or_else(|| by_chance(context, group));
            self.shout(context, group, generation);
        }
    }

    fn on_event(&mut self, context: &mut Context<'_>, event: Event) {
        match event {
            Event::Enter { peer } => self.entered(context, &peer),
            Event::Exit { peer, reason } => self.exited(context, &peer, &reason),
            Event::Evasive { peer } => self.mood(context, &peer, Mood::Evasive),
            Event::Silent { peer } => self.mood(context, &peer, Mood::Silent),
            Event::Recovered { peer } => self.mood(context, &peer, Mood::Ready),
            Event::Join { peer, group } => self.membership(context, &peer, &group, true),
            Event::Leave { peer, group } => self.membership(context, &peer, &group, false),
            Event::Leader { peer, group } => self.led(context, &peer, &group),
            Event::Whisper { peer, content } => {
                if let Some((serial, generation)) = self.hear(context, &peer, &content, true)
                    && generation < LAST
                    && !self.quiet
                    && context.chance().happens(HALF)
                {
                    self.whisper_here(context, serial, peer.id, generation + 1);
                }
            }
            Event::Shout {
                peer,
                group,
                content,
            } => {
                if let Some((serial, generation)) = self.hear(context, &peer, &content, false)
                    && generation < LAST
                    && !self.quiet
                {
                    if context.chance().happens(THIRD) {
                        self.whisper_here(context, serial, peer.id, generation + 1);
                    }
                    if context.chance().happens(THIRD) {
                        self.shout(context, &group, generation + 1);
                    }
                }
            }
            _ => {}
        }
        if !self.owed.is_empty() && !context.stack().has_event() {
            let (serial, enter) = self.owed.swap_remove(0);
            let what = if enter {
                "exited, and can still be sent to"
            } else {
                "is here, and cannot be sent to"
            };
            self.fail(context, serial, what);
        }
    }
}
