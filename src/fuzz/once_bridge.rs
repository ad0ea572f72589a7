//! @Once: one honest bridge among servers, bridges, clients and stand-ins' peers that do and say whatever the fuzzer likes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;
use std::hash::DefaultHasher;

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::once::bridge::{Action, Bridge, Config, Event};
use crate::once::{Limits, Mechanism, Role, Roles, VIA, Which};
use crate::wire::once::{
    Challenge, Change, Code, Contact, Delta, Limits as WireLimits, Message, Nope, Part,
    Peer as Listed, Proof, Reason, RemoteAgain, RemoteShout, RemoteWhisper, Roster, Target,
    Undeliverable, V2,
};
use crate::wire::{Headers, LongText, Text};
use crate::zre::{Event as NodeEvent, ExitReason, SendError};
use crate::{Frames, Instant, Peer, PeerId};

/// The bridge. Those that are below it challenge it, those above are challenged.
const OWN: u8 = 50;
/// Servers and bridges at the remote node, and bridges at the local one. 41 is at both.
const DECLARED: [(u8, Role); 5] = [
    (40, Role::Bridge),
    (41, Role::Bridge),
    (60, Role::Bridge),
    (42, Role::Server),
    (43, Role::Server),
];
/// More than that happens in no schedule.
const STEPS: usize = 400;
/// What is small is reached.
const STAND_INS: usize = 4;
const ROSTER_PEERS: usize = 5;
const WAITING_OCTETS: usize = 1_500;
const CONTENT_OCTETS: usize = 300;

/// A schedule: who comes and goes, what servers, bridges and peers say, what nodes refuse, and what time it is.
///
/// - Nothing panics, and the tables never contradict each other or go over their limits.
/// - Actions are about nodes and peers that are there; stand-ins are as many as may be, start once and end once; none has the identity of
///   the bridge, or of one that is hidden.
/// - What goes to another bridge has numbers that grow, and is from somebody whom that was told of; nobody is told of who is hidden or is not here.
/// - What is delivered here is said by a stand-in that is there, and is not too large.
/// - When all go, nothing is left.
/// - Once the time is handled no deadline is in the past.
/// - The same schedule twice gives the same.
pub fn once_bridge(schedule: &[u8]) {
    let first = run(schedule);
    let again = run(schedule);
    assert_eq!(first, again, "it is not always the same");
}

fn run(schedule: &[u8]) -> u64 {
    let mut u = Unstructured::new(schedule);
    let Ok(mut world) = World::new(&mut u) else {
        return 0;
    };
    for _ in 0..STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
        world.check();
    }
    world.end();
    world.trace.finish()
}

fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

fn text(text: &str) -> Text {
    Text::try_from(text).unwrap_or_default()
}

fn peer(octet: u8, headers: Headers) -> Arc<Peer> {
    Arc::new(Peer {
        id: id(octet),
        name: text("somebody"),
        endpoint: text("tcp://192.0.2.7:49152"),
        headers,
    })
}

fn declared(octet: u8, role: Role) -> Arc<Peer> {
    let mut headers = Headers::new();
    let roles = Roles {
        role,
        beacon: None,
        relay: false,
    };
    roles.put(&mut headers);
    peer(octet, headers)
}

/// Identities that matter: clients, far peers, bridges, the bridge itself, one that is hidden.
fn any_id(u: &mut Unstructured<'_>) -> Result<PeerId> {
    const IDS: [u8; 16] = [1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 40, 41, 60, OWN, 66];
    u.choose(&IDS).map(|octet| id(*octet))
}

fn any_group(u: &mut Unstructured<'_>) -> Result<Text> {
    Ok(text(u.choose(&["A", "B", "X-ONCE-ACTIVE"])?))
}

fn any_number(u: &mut Unstructured<'_>) -> Result<u64> {
    if u.ratio(1_u8, 20)? {
        return u.arbitrary();
    }
    u.int_in_range(0..=30)
}

fn any_epoch(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(if u.ratio(1_u8, 12)? {
        u.int_in_range(0..=2)?
    } else {
        1
    })
}

/// What one said before, so that what it says now is mostly what an honest one would.
#[derive(Default)]
struct Played {
    /// The number of its last change, and of the last whisper or shout.
    change: u64,
    said: u64,
    announced: Vec<PeerId>,
}

impl Played {
    fn next_change(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        let honest = u.ratio(11_u8, 12)?;
        self.change = if honest {
            self.change.saturating_add(1)
        } else {
            any_number(u)?
        };
        Ok(self.change)
    }

    fn next_said(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        let honest = u.ratio(11_u8, 12)?;
        self.said = if honest {
            self.said.saturating_add(1)
        } else {
            any_number(u)?
        };
        Ok(self.said)
    }

    fn whole(&mut self, u: &mut Unstructured<'_>) -> Result<Roster> {
        let peers = many(u, any_listed)?;
        self.announced.extend(peers.iter().map(|peer| peer.uuid));
        Ok(Roster {
            epoch: any_epoch(u)?,
            number: self.next_change(u)?,
            part: Part::WHOLE,
            peers,
        })
    }

    fn sender(&self, u: &mut Unstructured<'_>) -> Result<PeerId> {
        if self.announced.is_empty() || u.ratio(1_u8, 12)? {
            return any_id(u);
        }
        u.choose(&self.announced).copied()
    }
}

/// A client, or anybody.
fn any_receiver(u: &mut Unstructured<'_>) -> Result<PeerId> {
    if u.ratio(1_u8, 12)? {
        return any_id(u);
    }
    u.int_in_range(1..=4).map(id)
}

fn any_content(u: &mut Unstructured<'_>) -> Result<Frames> {
    let octets = *u.choose(&[0, 1, 2, CONTENT_OCTETS, CONTENT_OCTETS + 1])?;
    Ok(match u.int_in_range(0..=2)? {
        0 => Frames::new(),
        1 => Frames::from(alloc::vec![1_u8; octets]),
        _ => Frames::from_iter([alloc::vec![2_u8], alloc::vec![3; octets]]),
    })
}

fn any_listed(u: &mut Unstructured<'_>) -> Result<Listed> {
    let mut headers = Headers::new();
    if u.ratio(1_u8, 4)? {
        let name = text(u.choose(&["X-ONCE", "X-ONCE-VIA", "X-ROOM"])?);
        headers.extend([(name, LongText::try_from("bridge").unwrap_or_default())]);
    }
    let groups = if u.arbitrary()? {
        [any_group(u)?].into()
    } else {
        BTreeSet::new()
    };
    Ok(Listed {
        uuid: any_id(u)?,
        name: text(u.choose(&["one", "other"])?),
        endpoint: None,
        key: None,
        headers,
        groups,
    })
}

fn many<T>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=7)?;
    (0..count).map(|_| one(u)).collect()
}

fn any_change(u: &mut Unstructured<'_>) -> Result<Change> {
    Ok(match u.int_in_range(0..=3)? {
        0 => Change::Enter(any_listed(u)?),
        1 => Change::Exit { uuid: any_id(u)? },
        2 => Change::Join {
            uuid: any_id(u)?,
            group: any_group(u)?,
        },
        _ => Change::Leave {
            uuid: any_id(u)?,
            group: any_group(u)?,
        },
    })
}

/// What one may say that has proved that it may take part.
fn any_message(u: &mut Unstructured<'_>, own_epoch: u64, played: &mut Played) -> Result<V2> {
    let proof = Proof::from_bytes([0; 32]);
    Ok(match u.int_in_range(0..=16)? {
        0 => V2::Stop { proof },
        1 => V2::Nope(Nope {
            about: *u.choose(&[0x43, 0x31, 0x20, 0x12])?,
            code: Code(u.int_in_range(1..=8)?),
            text: Text::default(),
        }),
        2 => {
            let contacts = many(u, |u| {
                Ok(Contact {
                    uuid: any_id(u)?,
                    name: Text::default(),
                    endpoint: text(u.choose(&["tcp://10.0.0.1:1", "tcp://10.0.0.2:2", "bad"])?),
                    beacon: None,
                    key: u.ratio(1_u8, 9)?.then_some([7; 32]),
                })
            })?;
            V2::ListEndpoints { contacts }
        }
        3 => V2::GetEndpoints,
        4 => V2::GetRoster {
            epoch: if u.arbitrary()? {
                own_epoch
            } else {
                any_epoch(u)?
            },
            from: any_number(u)?,
        },
        5 | 6 => {
            let count = u.int_in_range(1..=3)?;
            let index = u.int_in_range(0..=count - 1)?;
            V2::Roster(Roster {
                epoch: any_epoch(u)?,
                number: any_number(u)?,
                part: Part::new(index, count).unwrap_or(Part::WHOLE),
                peers: many(u, any_listed)?,
            })
        }
        7 => V2::Roster(played.whole(u)?),
        8..=10 => {
            let change = any_change(u)?;
            if let Change::Enter(peer) = &change {
                played.announced.push(peer.uuid);
            }
            V2::Delta(Delta {
                epoch: any_epoch(u)?,
                number: played.next_change(u)?,
                change,
            })
        }
        11 | 12 => V2::RemoteWhisper(RemoteWhisper {
            epoch: any_epoch(u)?,
            number: played.next_said(u)?,
            from: played.sender(u)?,
            to: any_receiver(u)?,
            content: any_content(u)?,
        }),
        13 | 14 => V2::RemoteShout(RemoteShout {
            epoch: any_epoch(u)?,
            number: played.next_said(u)?,
            from: played.sender(u)?,
            group: any_group(u)?,
            to: many(u, any_receiver)?,
            content: any_content(u)?,
        }),
        15 => V2::RemoteAgain(RemoteAgain {
            epoch: any_epoch(u)?,
            number: played.next_said(u)?,
            of: played.said.saturating_sub(u.int_in_range(0..=5)?),
            to: many(u, any_receiver)?,
        }),
        _ => V2::Undeliverable(Undeliverable {
            epoch: if u.arbitrary()? {
                own_epoch
            } else {
                any_epoch(u)?
            },
            number: any_number(u)?,
            from: any_id(u)?,
            target: Target::Peer(any_id(u)?),
            reason: Reason(u.int_in_range(0..=6)?),
        }),
    })
}

struct World {
    bridge: Bridge,
    now: Instant,
    /// Who is a peer of which node.
    peers: BTreeMap<Which, BTreeMap<PeerId, Arc<Peer>>>,
    /// The stand-ins that were started.
    stand_ins: BTreeSet<PeerId>,
    /// Those that are told to have proved that they may take part, at the remote node.
    met: BTreeSet<PeerId>,
    /// What other bridges were told, and the last number of what was said to them. None: something was lost.
    told: BTreeMap<PeerId, Option<Heard>>,
    numbers: BTreeMap<PeerId, u64>,
    played: BTreeMap<PeerId, Played>,
    /// As it says in what it sends.
    epoch: u64,
    stopped: bool,
    trace: DefaultHasher,
}

/// What another bridge knows.
#[derive(Default)]
struct Heard {
    /// Whether it was told all, and not only the last change, which comes unasked.
    exact: bool,
    roster: BTreeSet<PeerId>,
    partial: BTreeSet<PeerId>,
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let now = Instant::from_millis(1_000);
        let config = Config {
            id: id(OWN),
            key: None,
            local_key: None,
            mechanisms: alloc::vec![Mechanism::Open],
            hidden: [id(66)].into(),
            limits: Limits {
                stand_ins: STAND_INS,
                roster_peers: ROSTER_PEERS,
                roster_octets: 600,
                changes: u.int_in_range(1..=4)?,
                waiting_octets: WAITING_OCTETS,
                content_octets: CONTENT_OCTETS,
                bridges: 4,
                proof_good_for: Duration::from_secs(100),
                ..Limits::default()
            },
        };
        let mut bridge = Bridge::new(now, [7; 32], config);
        let mut now = now;
        if u.ratio(7_u8, 8)? {
            // Nobody else is there.
            now += Duration::from_secs(5);
            bridge.handle_timeout(now);
        }
        Ok(Self {
            bridge,
            now,
            peers: BTreeMap::new(),
            stand_ins: BTreeSet::new(),
            met: BTreeSet::new(),
            told: BTreeMap::new(),
            numbers: BTreeMap::new(),
            played: BTreeMap::new(),
            epoch: 0,
            stopped: false,
            trace: DefaultHasher::new(),
        })
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=19)? {
            0 => {
                let (octet, role) = *u.choose(&DECLARED)?;
                let node = *u.choose(&[Which::Remote, Which::Remote, Which::Local])?;
                self.enter(node, declared(octet, role));
                if u.ratio(9_u8, 10)? {
                    self.proves(u, node, &declared(octet, role))?;
                }
                if node == Which::Remote && role == Role::Bridge && u.ratio(9_u8, 10)? {
                    let played = self.played.entry(id(octet)).or_default();
                    *played = Played::default();
                    let roster = played.whole(u)?;
                    let from = u.int_in_range(0..=1)?;
                    self.say(
                        node,
                        &declared(octet, role),
                        V2::GetRoster { epoch: 0, from },
                    );
                    self.say(node, &declared(octet, role), V2::Roster(roster));
                }
            }
            1 => {
                // A client, maybe one that says that it is a stand-in, or that is elsewhere as well.
                let octet = u.int_in_range(1..=4)?;
                let octet = *u.choose(&[octet, octet, octet, octet, octet, 10, 11, 66])?;
                let mut headers = Headers::new();
                if u.ratio(1_u8, 8)? {
                    let via = LongText::try_from("somewhere").unwrap_or_default();
                    headers.extend([(text(VIA), via)]);
                }
                self.enter(Which::Local, peer(octet, headers));
            }
            2 | 3 => {
                // Who is here is known to a stand-in as well.
                if let Some((stand_in, node)) = self.any_stand_in(u)? {
                    let octet = u.int_in_range(1..=4)?;
                    if id(octet) != stand_in {
                        self.enter(node, peer(octet, Headers::new()));
                        if u.ratio(2_u8, 3)? {
                            self.enter(Which::Local, peer(octet, Headers::new()));
                        }
                    }
                }
            }
            4 => {
                let node = self.any_node(u)?;
                if let Some(peer) = self.any_peer(u, node)? {
                    self.exit(node, &peer);
                }
            }
            5 | 6 => {
                let node = self.any_node(u)?;
                if let Some(peer) = self.any_peer(u, node)? {
                    let group = any_group(u)?;
                    let event = if u.ratio(2_u8, 3)? {
                        NodeEvent::Join { peer, group }
                    } else {
                        NodeEvent::Leave { peer, group }
                    };
                    self.event(node, event);
                }
            }
            7 => {
                let node = *u.choose(&[Which::Remote, Which::Local])?;
                if let Some(peer) = self.any_peer(u, node)? {
                    self.proves(u, node, &peer)?;
                }
            }
            8..=12 => {
                let node = if u.ratio(1_u8, 10)? {
                    Which::Local
                } else {
                    Which::Remote
                };
                if let Some(peer) = self.any_peer(u, node)? {
                    let played = self.played.entry(peer.id).or_default();
                    let message = any_message(u, self.epoch, played)?;
                    self.say(node, &peer, message);
                }
            }
            13..=15 => {
                if let Some((_, node)) = self.any_stand_in(u)?
                    && self.bridge.wants(node)
                    && let Some(peer) = self.any_peer(u, node)?
                {
                    let content = any_content(u)?;
                    let event = if u.arbitrary()? {
                        NodeEvent::Whisper { peer, content }
                    } else {
                        let group = any_group(u)?;
                        NodeEvent::Shout {
                            peer,
                            group,
                            content,
                        }
                    };
                    self.event(node, event);
                }
            }
            16 => {
                let octets = Vec::<u8>::arbitrary(u)?;
                let octets: Vec<u8> = [0xAA, 0xA2].into_iter().chain(octets).take(200).collect();
                if let Some(peer) = self.any_peer(u, Which::Remote)? {
                    let content = octets.into();
                    self.event(Which::Remote, NodeEvent::Whisper { peer, content });
                }
            }
            17 => {
                let millis = *u.choose(&[1, 100, 1_000, 5_000, 60_000])?;
                self.pass(Duration::from_millis(millis));
            }
            18 => {
                let count = u.int_in_range(1..=20)?;
                for _ in 0..count {
                    if !self.action(u.int_in_range(0..=9).unwrap_or(0)) {
                        break;
                    }
                }
            }
            _ if u.ratio(1_u8, 30)? => {
                self.bridge.stop(self.now);
                self.stopped = true;
            }
            _ => while self.action(9) {},
        }
        Ok(())
    }

    // ---- what happens

    fn any_node(&self, u: &mut Unstructured<'_>) -> Result<Which> {
        let nodes: Vec<Which> = self.peers.keys().copied().collect();
        if nodes.is_empty() {
            return Ok(Which::Remote);
        }
        u.choose(&nodes).copied()
    }

    fn any_peer(&self, u: &mut Unstructured<'_>, node: Which) -> Result<Option<Arc<Peer>>> {
        let peers = self.peers.get(&node).into_iter().flat_map(BTreeMap::values);
        let peers: Vec<&Arc<Peer>> = peers.collect();
        if peers.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::clone(u.choose(&peers)?)))
    }

    fn any_stand_in(&self, u: &mut Unstructured<'_>) -> Result<Option<(PeerId, Which)>> {
        let ids: Vec<PeerId> = self.stand_ins.iter().copied().collect();
        if ids.is_empty() {
            return Ok(None);
        }
        Ok(Some(u.choose(&ids).map(|id| (*id, Which::StandIn(*id)))?))
    }

    fn event(&mut self, node: Which, event: NodeEvent) {
        self.bridge.handle_event(self.now, node, event, None);
        self.tell();
    }

    fn enter(&mut self, node: Which, peer: Arc<Peer>) {
        let before = self
            .peers
            .get(&node)
            .and_then(|it| it.get(&peer.id))
            .cloned();
        if let Some(before) = before {
            self.exit(node, &before);
        }
        let peers = self.peers.entry(node).or_default();
        peers.insert(peer.id, peer.clone());
        self.event(node, NodeEvent::Enter { peer });
    }

    fn exit(&mut self, node: Which, peer: &Arc<Peer>) {
        if let Some(peers) = self.peers.get_mut(&node) {
            peers.remove(&peer.id);
        }
        if node == Which::Remote {
            self.told.remove(&peer.id);
        }
        let peer = peer.clone();
        let reason = ExitReason::Left;
        self.event(node, NodeEvent::Exit { peer, reason });
    }

    fn say(&mut self, node: Which, peer: &Arc<Peer>, message: V2) {
        if let V2::GetRoster { epoch, .. } = message
            && epoch == self.epoch
            && let Some(Some(heard)) = self.told.get_mut(&peer.id)
        {
            // It may say that it knows what it was not told.
            heard.exact = false;
        }
        let peer = peer.clone();
        let content = Message::from(message).encode();
        self.event(node, NodeEvent::Whisper { peer, content });
    }

    /// It proves that it may take part, if it is the one who begins.
    fn proves(&mut self, u: &mut Unstructured<'_>, node: Which, peer: &Arc<Peer>) -> Result<()> {
        for message in [
            V2::Challenge(Challenge {
                mechanisms: alloc::vec![text("OPEN")],
                nonce: [3; 32],
            }),
            V2::Ok {
                proof: Proof::from_bytes([0; 32]),
                seconds: u.int_in_range(1..=200)?,
            },
        ] {
            self.say(node, peer, message);
        }
        Ok(())
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.bridge.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.bridge.handle_timeout(self.now);
            let next = self.bridge.poll_timeout();
            assert!(next.is_none_or(|(at, _)| at > self.now), "{next:?} is over");
            self.tell();
        }
        self.now = end;
    }

    /// Takes what it tells.
    fn tell(&mut self) {
        while let Some(event) = self.bridge.poll_event() {
            self.trace.write(format!("{event:?}").as_bytes());
            match event {
                Event::Met { peer, .. } => assert!(self.met.insert(peer.id)),
                Event::Lost { peer } => {
                    assert!(self.met.remove(&peer.id));
                    self.told.remove(&peer.id);
                }
                _ => {}
            }
        }
    }

    // ---- what it wants

    /// Does the next thing, or refuses it in one of some ways. Whether there was one.
    fn action(&mut self, how: u8) -> bool {
        let Some(action) = self.bridge.poll_action() else {
            return false;
        };
        self.trace.write(format!("{action:?}").as_bytes());
        let error = match how {
            0 => Some(SendError::Full),
            1 => Some(SendError::UnknownPeer),
            2 => Some(SendError::TooLarge { limit: 9 }),
            _ => None,
        };
        match action {
            Action::Whisper {
                node,
                peer,
                content,
            } => {
                if let Which::StandIn(from) = node {
                    self.delivers(from, &content);
                } else {
                    let there = self
                        .peers
                        .get(&node)
                        .is_some_and(|it| it.contains_key(&peer));
                    assert!(there || self.stopped, "{peer} is not at {node:?}");
                    if node == Which::Remote && error != Some(SendError::Full) {
                        self.heard(peer, &content, error.is_some());
                    }
                }
                if let Some(error) = error {
                    self.bridge
                        .handle_unsent(self.now, node, peer, content, error);
                    self.tell();
                }
            }
            Action::ShoutTo {
                stand_in,
                peer,
                content,
                ..
            } => {
                self.delivers(stand_in, &content);
                if let Some(error) = error {
                    let node = Which::StandIn(stand_in);
                    self.bridge
                        .handle_unsent(self.now, node, peer, content, error);
                    self.tell();
                }
            }
            Action::Start(stand_in) => {
                assert!(stand_in.headers.get(VIA).is_some());
                assert!(stand_in.headers.get("X-ONCE").is_none());
                assert!(![id(66), id(OWN)].contains(&stand_in.id));
                if how == 0 {
                    self.bridge.handle_not_started(self.now, stand_in.id);
                    self.tell();
                } else {
                    assert!(self.stand_ins.insert(stand_in.id));
                }
            }
            Action::Introduce { stand_in, .. } => assert!(self.stand_ins.contains(&stand_in)),
            Action::Join { node, .. } | Action::Leave { node, .. } => match node {
                Which::StandIn(id) => assert!(self.stand_ins.contains(&id)),
                node => assert_eq!(node, Which::Local),
            },
            Action::Retire { stand_in, .. } => {
                assert!(self.stand_ins.remove(&stand_in));
                self.peers.remove(&Which::StandIn(stand_in));
            }
            Action::Connect { key, .. } => assert!(key.is_none()),
            Action::Forget { .. } => {}
            Action::DialRelay { .. } => panic!("over a relay without a key"),
        }
        true
    }

    /// A stand-in says something to a client.
    fn delivers(&self, from: PeerId, content: &Frames) {
        assert!(self.stand_ins.contains(&from), "{from} is no stand-in");
        assert!(content.octets() <= CONTENT_OCTETS);
    }

    /// Another bridge gets something, or it is lost.
    fn heard(&mut self, bridge: PeerId, content: &Frames, lost: bool) {
        let Ok(Message::V2(message)) = Message::decode(content.clone(), &WireLimits::default())
        else {
            panic!("it says what cannot be read: {content:?}");
        };
        let told = self
            .told
            .entry(bridge)
            .or_insert_with(|| Some(Heard::default()));
        if lost {
            *told = None;
        }
        let said = match message {
            V2::Roster(roster) => {
                self.epoch = roster.epoch;
                let (index, last) = (roster.part.index(), roster.part.is_last());
                if index == 0 && !lost {
                    // All of it makes up for what was lost.
                    let before = told.take().unwrap_or_default();
                    *told = Some(Heard {
                        partial: BTreeSet::new(),
                        ..before
                    });
                }
                if let Some(heard) = told {
                    heard.partial.extend(roster.peers.iter().map(|it| it.uuid));
                    assert!(heard.partial.len() <= ROSTER_PEERS);
                    if last {
                        heard.roster = core::mem::take(&mut heard.partial);
                        heard.exact = true;
                    }
                }
                for peer in roster.peers {
                    assert_ne!(peer.uuid, id(66));
                }
                return;
            }
            V2::Delta(delta) => {
                self.epoch = delta.epoch;
                if let Some(heard) = told {
                    heard.exact |= delta.number == 1;
                    match delta.change {
                        Change::Enter(peer) => {
                            assert!(![id(66), id(OWN)].contains(&peer.uuid));
                            heard.roster.insert(peer.uuid);
                        }
                        Change::Exit { uuid } => {
                            heard.roster.remove(&uuid);
                        }
                        _ => {}
                    }
                }
                return;
            }
            V2::RemoteWhisper(whisper) => (whisper.number, Some(whisper.from)),
            V2::RemoteShout(shout) => (shout.number, Some(shout.from)),
            V2::RemoteAgain(again) => (again.number, None),
            _ => return,
        };
        let (number, from) = said;
        let last = self.numbers.insert(bridge, number);
        assert!(last < Some(number), "{number} comes after {last:?}");
        if let (Some(heard), Some(from)) = (told, from) {
            assert!(
                !heard.exact || heard.roster.contains(&from),
                "it was not told of {from}"
            );
        }
    }

    // ---- what holds

    fn check(&self) {
        self.bridge.check();
        let usage = self.bridge.usage();
        assert!(usage.stand_ins <= STAND_INS && usage.roster <= ROSTER_PEERS);
        assert!(usage.far_peers <= 3 * ROSTER_PEERS);
        // One always may wait, for each of the bridges and the LAN; and what one event brought is taken.
        assert!(usage.waiting_octets <= 12 * (2 * WAITING_OCTETS + CONTENT_OCTETS + 256));
        assert!(self.stopped || usage.met == self.met.len());
    }

    /// All go, and nothing is left.
    fn end(&mut self) {
        if !self.stopped {
            let all: Vec<(Which, Arc<Peer>)> = self
                .peers
                .iter()
                .flat_map(|(node, peers)| peers.values().map(|peer| (*node, peer.clone())))
                .collect();
            for (node, peer) in all {
                self.exit(node, &peer);
                self.check();
            }
            self.pass(Duration::from_secs(200));
            let usage = self.bridge.usage();
            assert_eq!(
                usage.stand_ins + usage.far_peers + usage.met,
                0,
                "{usage:?}"
            );
            assert_eq!((usage.roster, usage.waiting_octets), (0, 0));
            assert!(self.bridge.is_active(), "nobody else is there");
        }
        while self.action(9) {}
        assert!(self.stand_ins.is_empty());
    }
}
