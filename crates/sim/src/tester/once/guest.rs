//! The application on each node of a LAN: talks, and holds what it is told against what may be.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use atonce::once::{Roles, VIA};
use atonce::wire::Headers;
use atonce::{Bytes, Event, Frames, Instant, Peer, PeerId, Text};

use super::super::guest::identity;
use super::findings::{Serial, Shared};
use super::options::GROUPS;
use crate::{Application, Chance, Context, NodeId, Odds};

const TICK: Duration = Duration::from_secs(1);

/// How long what is said to a group may be on its way to one who left it. What keeps the LEAVE back from a stand-in keeps back
/// what the stand-in says, and a connection that nothing gets through is given up after so long.
const LEAVING: Duration = Duration::from_secs(90);

/// The header of what a node of ours can do that others need not.
const ABILITIES: &str = "X-ATONCE";

/// The header that carries octets which are no text.
const MARK: &str = "X-MARK";

/// A node of a LAN.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) serial: Serial,
    pub(super) incarnation: u32,
    pub(super) lan: usize,
    /// It says nothing by itself.
    pub(super) quiet: bool,
    groups: Arc<[Text]>,
    peers: BTreeMap<Serial, Seen>,
    /// Bridges of its LAN that are here.
    bridges: BTreeSet<PeerId>,
    here: usize,
    /// The number of the last thing it said.
    said: u64,
    /// When it left a group, or that it is in it.
    member: [Member; GROUPS],
    findings: Shared,
}

#[derive(Clone, Copy, Debug, Default)]
enum Member {
    #[default]
    Never,
    Now,
    Until(Instant),
}

/// A peer as this node sees it, and what was exchanged with it.
#[derive(Clone, Debug, Default)]
struct Seen {
    here: bool,
    incarnation: u32,
    id: Option<PeerId>,
    /// The bridge that it is at; `None` when it is on this LAN.
    via: Option<PeerId>,
    groups: u16,
    /// The number of the last thing that it said and that came.
    last: u64,
    /// The number of the last thing that it is to get.
    sent: u64,
}

/// What every message says, in its first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    from: Serial,
    incarnation: u32,
    number: u64,
    sent: Instant,
    /// To whom, and to which of its processes.
    to: Serial,
    successor: u32,
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
        octets.extend(self.sent.as_micros().to_be_bytes());
        octets.extend(self.to.to_be_bytes());
        octets.extend(self.successor.to_be_bytes());
        let mut frames: Vec<Bytes> = vec![octets.into()];
        frames.extend(self.rest());
        frames.into_iter().collect()
    }

    /// The frames behind the first: up to three, of octets of all kinds and of none.
    fn rest(self) -> impl Iterator<Item = Bytes> {
        let mut chance = Chance::new(u64::from(self.from) << 32 ^ self.number);
        let count = chance.index(4);
        (0..count).map(move |_| {
            let length = chance.index(3) * chance.index(120);
            let octets = (0..length).map(|_| u8::try_from(chance.below(256)).unwrap_or_default());
            octets.collect()
        })
    }

    fn decode(content: &Frames) -> Option<Self> {
        let (first, rest) = content.split_first()?;
        let octets: &[u8; Self::SIZE] = first[..].try_into().ok()?;
        let word = |at: usize| {
            let word = octets.get(at..at + 4)?;
            word.try_into().ok().map(u32::from_be_bytes)
        };
        let long = |at: usize| Some(u64::from(word(at)?) << 32 | u64::from(word(at + 4)?));
        let said = Self {
            from: word(0)?,
            incarnation: word(4)?,
            number: long(8)?,
            sent: Instant::ZERO + Duration::from_micros(long(16)?),
            to: word(24)?,
            successor: word(28)?,
        };
        rest.iter().cloned().eq(said.rest()).then_some(said)
    }
}

/// The name of a node, which carries its incarnation.
pub(super) fn name(serial: Serial, incarnation: u32) -> String {
    format!("n{serial}.{incarnation}")
}

/// What a node says of itself beside its name.
pub(super) fn headers(serial: Serial, incarnation: u32) -> Headers {
    let mut headers = Headers::default();
    let mut value = vec![0, 0xff, 0x0a, 0x20];
    value.extend(incarnation.to_be_bytes());
    let texts = [("X-SERIAL", serial.to_string().into_bytes()), (MARK, value)];
    for (name, value) in texts {
        if let (Ok(name), Ok(value)) = (name.try_into(), value.as_slice().try_into()) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The identity of a node of a LAN in the run with this seed.
pub(super) fn id_of(seed: u64, serial: Serial) -> PeerId {
    let mut chance = Chance::new(seed ^ u64::from(serial) << 20);
    let random = chance.seed();
    identity(serial, random.first_chunk().copied().unwrap_or_default())
}

fn serial_of(id: PeerId) -> Serial {
    id.as_bytes()
        .last_chunk()
        .map_or(ALL, |octets| Serial::from_be_bytes(*octets))
}

fn incarnation_of(peer: &Peer) -> Option<(Serial, u32)> {
    let name = peer.name.to_str_lossy();
    let (serial, incarnation) = name.strip_prefix('n')?.split_once('.')?;
    Some((serial.parse().ok()?, incarnation.parse().ok()?))
}

fn via_of(headers: &Headers) -> Option<Option<PeerId>> {
    let value = headers.get(VIA)?;
    let text = std::str::from_utf8(value.as_bytes()).ok();
    Some(text.and_then(|text| text.parse().ok()))
}

fn group_at(group: &Text) -> Option<usize> {
    let digit = group.as_bytes().last()?.checked_sub(b'0')?;
    Some(usize::from(digit)).filter(|at| *at < GROUPS && group.as_bytes().len() == 2)
}

/// The groups that everybody joins and leaves.
pub(super) fn groups() -> Arc<[Text]> {
    (0..GROUPS)
        .map(|n| Text::try_from(format!("G{n}")).unwrap_or_default())
        .collect()
}

impl Guest {
    pub(super) fn new(
        (serial, incarnation): (Serial, u32),
        lan: usize,
        quiet: bool,
        groups: Arc<[Text]>,
        findings: &Shared,
    ) -> Self {
        Self {
            serial,
            incarnation,
            lan,
            quiet,
            groups,
            peers: BTreeMap::new(),
            bridges: BTreeSet::new(),
            here: 0,
            said: 0,
            member: [Member::Never; GROUPS],
            findings: Rc::clone(findings),
        }
    }

    /// How many nodes it was told of, bridges left out.
    pub(super) const fn here(&self) -> usize {
        self.here
    }

    /// The bridges of its LAN that are here.
    pub(super) const fn bridges(&self) -> &BTreeSet<PeerId> {
        &self.bridges
    }

    /// Whether it was told of a process, at this bridge, and that it is in exactly these groups.
    pub(super) fn sees(
        &self,
        serial: Serial,
        incarnation: u32,
        via: Option<PeerId>,
        groups: u16,
    ) -> bool {
        let seen = self.peers.get(&serial);
        seen.is_some_and(|seen| {
            seen.here && (seen.incarnation, seen.via, seen.groups) == (incarnation, via, groups)
        })
    }

    /// What it knows of a peer, for people.
    pub(super) fn view(&self, serial: Serial) -> String {
        format!("{:?}", self.peers.get(&serial))
    }

    /// The number of the last thing that a peer is to get of it.
    pub(super) fn sent(&self, serial: Serial) -> Option<u64> {
        let seen = self.peers.get(&serial)?;
        seen.here.then_some(seen.sent)
    }

    /// The number of the last thing that came of a peer.
    pub(super) fn last(&self, serial: Serial) -> Option<u64> {
        self.peers.get(&serial).map(|seen| seen.last)
    }

    /// The groups, as bits.
    pub(super) fn bits<'a>(groups: impl Iterator<Item = &'a Text>) -> u16 {
        groups
            .filter_map(group_at)
            .fold(0, |bits, at| bits | 1 << at)
    }

    /// Whispers to everybody who is here, and shouts to each of its groups.
    pub(super) fn call_all(&mut self, context: &mut Context<'_>) {
        let here: Vec<Serial> = self
            .peers
            .iter()
            .filter(|(_, seen)| seen.here)
            .map(|(serial, _)| *serial)
            .collect();
        for serial in here {
            self.whisper(context, serial);
        }
        for at in 0..GROUPS {
            if matches!(self.member.get(at), Some(Member::Now)) {
                self.shout(context, at);
            }
        }
    }

    fn fail(&self, context: &Context<'_>, other: Serial, what: impl AsRef<str>) {
        let mut findings = self.findings.borrow_mut();
        let nodes: Vec<NodeId> = [Some(context.node()), findings.node(other)]
            .into_iter()
            .flatten()
            .collect();
        let what = format!(
            "{} on LAN {}: peer {other}: {}",
            context.name(),
            self.lan,
            what.as_ref()
        );
        findings.fail(what, &nodes);
    }

    fn content(&mut self, context: &Context<'_>, to: Serial, successor: u32) -> Frames {
        self.said += 1;
        Content {
            from: self.serial,
            incarnation: self.incarnation,
            number: self.said,
            sent: context.true_now(),
            to,
            successor,
        }
        .encode()
    }

    /// Whispers to one who is here as far as it was told.
    pub(super) fn whisper(&mut self, context: &mut Context<'_>, serial: Serial) {
        let Some(seen) = self.peers.get(&serial).filter(|seen| seen.here) else {
            return;
        };
        let (Some(id), incarnation, across) = (seen.id, seen.incarnation, seen.via.is_some())
        else {
            return;
        };
        let content = self.content(context, serial, incarnation);
        // A queue may be full of what is stuck, or the peer is gone already and we are about to be told.
        if context.whisper(id, content).is_ok() {
            self.note_sent(serial, across);
        }
    }

    fn note_sent(&mut self, serial: Serial, across: bool) {
        let number = self.said;
        if let Some(seen) = self.peers.get_mut(&serial) {
            seen.sent = number;
        }
        if let Some(said) = self.findings.borrow_mut().said.get_mut(usize::from(across)) {
            *said += 1;
        }
    }

    pub(super) fn join(&mut self, context: &mut Context<'_>, at: usize) {
        if let (Some(group), Some(member)) = (self.groups.get(at), self.member.get_mut(at)) {
            context.join(group);
            *member = Member::Now;
        }
    }

    fn leave(&mut self, context: &mut Context<'_>, at: usize) {
        if let (Some(group), Some(member)) = (self.groups.get(at), self.member.get_mut(at)) {
            context.leave(group);
            *member = Member::Until(context.true_now());
        }
    }

    fn shout(&mut self, context: &mut Context<'_>, at: usize) {
        let content = self.content(context, ALL, 0);
        let Some(group) = self.groups.get(at) else {
            return;
        };
        if context.shout(group, content).is_err() {
            return;
        }
        // Those who are in it as far as the node knows, which may be more than we were told.
        let members: Vec<(Serial, bool)> = context
            .stack()
            .peers_in(group.as_bytes())
            .filter(|view| Roles::of(&view.peer.headers).is_none())
            .map(|view| {
                (
                    serial_of(view.peer.id),
                    via_of(&view.peer.headers).is_some(),
                )
            })
            .collect();
        for (serial, across) in members {
            self.note_sent(serial, across);
        }
    }

    fn entered(&mut self, context: &Context<'_>, peer: &Peer) {
        if Roles::of(&peer.headers).is_some() {
            if !self.bridges.insert(peer.id) {
                self.fail(context, ALL, "ENTER of a bridge that is here");
            }
            return;
        }
        let serial = serial_of(peer.id);
        let Some((_, incarnation)) = incarnation_of(peer).filter(|(of, _)| *of == serial) else {
            return self.fail(context, serial, "has a name that nobody gave it");
        };
        let via = via_of(&peer.headers);
        let mut expected = headers(serial, incarnation);
        // What its own node, or its stand-in, says beside them.
        for name in [VIA, ABILITIES] {
            if let (Some(value), Ok(name)) = (peer.headers.get(name), name.try_into()) {
                expected.insert(name, value.clone());
            }
        }
        if peer.headers != expected {
            let what = format!("has headers that are not its own: {:?}", peer.headers);
            return self.fail(context, serial, what);
        }
        let home = self.findings.borrow().homes.get(&incarnation).copied();
        let Some((_, lan, started)) = home.filter(|(of, ..)| *of == serial) else {
            return self.fail(context, serial, "ENTER of one who never was");
        };
        if !self.may_stand(lan, via) {
            let what = format!("is of LAN {lan}, and stands here as at {via:?}");
            return self.fail(context, serial, what);
        }
        let via = via.flatten();
        let across = via.is_some();
        let seen = self.peers.entry(serial).or_default();
        if seen.here {
            return self.fail(context, serial, "ENTER of one who is here");
        }
        if seen.incarnation != incarnation {
            seen.last = 0;
        }
        seen.here = true;
        seen.incarnation = incarnation;
        seen.id = Some(peer.id);
        seen.via = via;
        seen.groups = 0;
        seen.sent = 0;
        self.here += 1;
        let mut findings = self.findings.borrow_mut();
        let ours = findings.homes.get(&self.incarnation).map(|(.., at)| *at);
        let way = usize::from(across);
        if let (Some(enters), Some(ours)) = (findings.enters.get_mut(way), ours) {
            *enters += 1;
            let took = context.true_now() - ours.max(started);
            if let Some(meeting) = findings.meeting.get_mut(way) {
                meeting.push(took);
            }
        }
    }

    /// Whether one of a LAN may be seen here as itself, or as at this bridge.
    ///
    /// It stands for itself on its own LAN, and elsewhere at a bridge of its LAN: nothing crosses a boundary twice. Of two bridges on
    /// a LAN that do not see each other there each may take the other one's for those of another LAN, until it is silent for too
    /// long or they see each other again.
    fn may_stand(&self, lan: usize, via: Option<Option<PeerId>>) -> bool {
        let findings = self.findings.borrow();
        match via {
            None => lan == self.lan,
            Some(None) => false,
            Some(Some(bridge)) => {
                let own = findings.bridges.values().filter(|of| **of == self.lan);
                findings.bridges.get(&bridge) == Some(&lan) && (lan != self.lan || own.count() > 1)
            }
        }
    }

    fn exited(&mut self, context: &Context<'_>, peer: &Peer) {
        if Roles::of(&peer.headers).is_some() {
            if !self.bridges.remove(&peer.id) {
                self.fail(context, ALL, "EXIT of a bridge that is not here");
            }
            return;
        }
        let serial = serial_of(peer.id);
        let Some(seen) = self.peers.get_mut(&serial).filter(|seen| seen.here) else {
            return self.fail(context, serial, "EXIT of one who is not here");
        };
        seen.here = false;
        let across = usize::from(seen.via.is_some());
        self.here -= 1;
        if let Some(exits) = self.findings.borrow_mut().exits.get_mut(across) {
            *exits += 1;
        }
    }

    fn membership(&mut self, context: &Context<'_>, peer: &Peer, group: &Text, joins: bool) {
        if Roles::of(&peer.headers).is_some() {
            return;
        }
        let serial = serial_of(peer.id);
        let Some(at) = group_at(group) else {
            return self.fail(context, serial, format!("is in {group}, which is no group"));
        };
        let Some(seen) = self.peers.get_mut(&serial).filter(|seen| seen.here) else {
            return self.fail(context, serial, "JOIN or LEAVE of one who is not here");
        };
        let was = seen.groups & 1 << at != 0;
        seen.groups ^= 1 << at;
        if was == joins {
            let what = if joins { "joins" } else { "leaves" };
            self.fail(context, serial, format!("{what} {group} twice"));
        }
    }

    /// Holds a message against what its sender may say.
    fn hear(&mut self, context: &Context<'_>, peer: &Peer, content: &Frames, group: Option<&Text>) {
        if Roles::of(&peer.headers).is_some() {
            return self.fail(context, ALL, format!("a bridge says {content:?}"));
        }
        let ours = self.serial;
        let serial = serial_of(peer.id);
        let Some(said) = Content::decode(content) else {
            let what = format!("says {content:?}, which nobody said");
            return self.fail(context, serial, what);
        };
        let to = if group.is_some() { ALL } else { ours };
        let incarnation = self.incarnation;
        let Some(seen) = self.peers.get_mut(&serial).filter(|seen| seen.here) else {
            return self.fail(context, serial, "a message of one who is not here");
        };
        let across = seen.via.is_some();
        if (said.from, said.incarnation, said.to) != (serial, seen.incarnation, to) {
            let what = format!(
                "{said:?} is not of its incarnation {} to {ours}",
                seen.incarnation
            );
            return self.fail(context, serial, what);
        }
        if said.number <= seen.last {
            let what = format!("{said:?} after number {}", seen.last);
            return self.fail(context, serial, what);
        }
        seen.last = said.number;
        let now = context.true_now();
        if let Some(group) = group {
            let member = group_at(group).and_then(|at| self.member.get(at)).copied();
            let may = match member {
                None | Some(Member::Never) => false,
                Some(Member::Now) => true,
                Some(Member::Until(left)) => now - left < LEAVING,
            };
            if !may {
                let what = format!("{said:?} to {group}, of which we are {member:?}");
                return self.fail(context, serial, what);
            }
        }
        let stray = group.is_none() && said.successor != incarnation;
        if stray && !across {
            let what = format!("{said:?} is for a process that was here before");
            return self.fail(context, serial, what);
        }
        let mut findings = self.findings.borrow_mut();
        findings.strays += u64::from(stray);
        let way = usize::from(across);
        if let Some(heard) = findings.heard.get_mut(way) {
            *heard += 1;
        }
        if let Some(arriving) = findings.arriving.get_mut(way) {
            arriving.push(now - said.sent);
        }
    }
}

const FIFTH: Odds = Odds::percent(20);
const HALF: Odds = Odds::percent(50);

impl Application for Guest {
    fn on_start(&mut self, context: &mut Context<'_>) {
        let after = context.chance().between(Duration::ZERO, TICK);
        context.set_timer(after, 0);
    }

    fn on_timer(&mut self, context: &mut Context<'_>, _: u64) {
        context.set_timer(TICK, 0);
        if self.quiet {
            return;
        }
        let at = context.chance().index(GROUPS);
        if context.chance().happens(FIFTH) {
            if matches!(self.member.get(at), Some(Member::Now)) {
                self.leave(context, at);
            } else {
                self.join(context, at);
            }
        }
        if context.chance().happens(HALF) {
            let at = context.chance().index(GROUPS);
            self.shout(context, at);
        }
        let here: Vec<Serial> = self
            .peers
            .iter()
            .filter(|(_, seen)| seen.here)
            .map(|(serial, _)| *serial)
            .collect();
        for _ in 0..2 {
            if let Some(serial) = context.chance().pick(&here) {
                self.whisper(context, serial);
            }
        }
    }

    fn on_event(&mut self, context: &mut Context<'_>, event: Event) {
        match event {
            Event::Enter { peer } => self.entered(context, &peer),
            Event::Exit { peer, .. } => self.exited(context, &peer),
            Event::Join { peer, group } => self.membership(context, &peer, &group, true),
            Event::Leave { peer, group } => self.membership(context, &peer, &group, false),
            Event::Whisper { peer, content } => self.hear(context, &peer, &content, None),
            Event::Shout {
                peer,
                group,
                content,
            } => self.hear(context, &peer, &content, Some(&group)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_known_by_every_octet() {
        let mut lengths = BTreeSet::new();
        for number in 1..50 {
            let said = Content {
                from: 7,
                incarnation: 8,
                number,
                sent: Instant::from_millis(9),
                to: 10,
                successor: 11,
            };
            let frames = said.encode();
            assert_eq!(Content::decode(&frames), Some(said));
            lengths.insert(frames.len());
            let mut more: Vec<Bytes> = frames.iter().cloned().collect();
            more.push(Bytes::new());
            assert_eq!(Content::decode(&more.into_iter().collect()), None);
        }
        assert_eq!(lengths, BTreeSet::from([1, 2, 3, 4]));
    }
}
