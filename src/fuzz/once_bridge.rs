//! @Once: one honest bridge among servers, bridges, clients and stand-ins' peers that do and say whatever the fuzzer likes.

mod wanted;
mod words;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;
use std::hash::DefaultHasher;

use arbitrary::{Arbitrary, Result, Unstructured};

use self::words::{Played, any_content, any_group, any_message, declared, id, peer, text};
use crate::once::bridge::{Bridge, Config, Event};
use crate::once::{Limits, Mechanism, Role, VIA, Which};
use crate::wire::once::{Challenge, Message, Proof, V2};
use crate::wire::{Headers, LongText};
use crate::zre::{Event as NodeEvent, ExitReason};
use crate::{Instant, Peer, PeerId};

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
