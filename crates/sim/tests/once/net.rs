//! Servers, bridges and nodes that know nothing of either, on LANs that all have the same addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce::once::{self, Limits, Mechanism, Relay, Secret, VIA};
use atonce::wire::Headers;
use atonce::{Config, Event, Frames, Instant, PeerId, Text};
use atonce_sim::once::{Bridge, BridgeSetup, Contact, DIRECTED_PORT, Server, ServerSetup};
use atonce_sim::{
    HostId, NodeId, Observer, Place, ProgramId, Quality, RouterId, SegmentId, Sim, Wire,
};

pub(crate) const SERVER: [u8; 4] = [203, 0, 113, 1];

pub(crate) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn text(text: &str) -> Text {
    text.try_into().unwrap()
}

pub(crate) fn secret(secret: &str) -> Vec<Mechanism> {
    vec![Mechanism::Secret(Secret::new(secret).unwrap())]
}

pub(crate) struct Net {
    pub(crate) sim: World,
    pub(crate) wan: SegmentId,
    pub(crate) server: ProgramId,
    pub(crate) server_host: HostId,
    pub(crate) lans: Vec<Lan>,
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) limits: Limits,
    /// All have keys, and the server has a relay.
    pub(crate) sealed: bool,
}

/// What is said to relays, and what elsewhere, by connection.
#[derive(Default)]
pub(crate) struct Ears {
    relays: BTreeSet<NodeId>,
    /// Whether anything is noted.
    pub(crate) open: bool,
    pub(crate) at_relays: Heard,
    pub(crate) elsewhere: Heard,
}

type Heard = BTreeMap<(u32, u32), Vec<u8>>;

impl Observer for Ears {
    fn on_octets(&mut self, _: Instant, wire: Wire, octets: &[u8]) {
        if !self.open {
            return;
        }
        let is_relay = wire.to.is_some_and(|to| self.relays.contains(&to));
        let heard = if is_relay {
            &mut self.at_relays
        } else {
            &mut self.elsewhere
        };
        let connection = (wire.place, wire.generation);
        heard.entry(connection).or_default().extend(octets);
    }
}

pub(crate) type World = Sim<Vec<Event>, Ears>;

pub(crate) const SERVER_ID: PeerId = PeerId::from_bytes([0x5e; 16]);

/// The keys of a server or a bridge.
pub(crate) fn keys(id: PeerId) -> Arc<KeyPair> {
    let seed = [*id.as_bytes(), *id.as_bytes()].concat();
    Arc::new(KeyPair::generate(seed.try_into().unwrap()))
}

fn server_setup(mechanisms: &[Mechanism], sealed: bool) -> ServerSetup {
    ServerSetup {
        mechanisms: mechanisms.to_vec(),
        keys: sealed.then(|| keys(SERVER_ID)),
        relay: sealed.then_some(5_673),
        ..ServerSetup::new(SERVER_ID)
    }
}

#[derive(Clone)]
pub(crate) struct Lan {
    pub(crate) segment: SegmentId,
    /// Where its bridges have their remote nodes: on the LAN when a router hides it.
    pub(crate) outside: SegmentId,
    pub(crate) nat: Option<RouterId>,
    pub(crate) bridges: Vec<(HostId, ProgramId)>,
    pub(crate) peers: Vec<NodeId>,
}

/// What a node is called that is on this LAN.
pub(crate) fn name(lan: usize, n: usize) -> String {
    format!("lan{lan}-peer{n}")
}

pub(crate) fn id(lan: usize, n: usize) -> PeerId {
    let [lan, n] = [lan, n].map(|it| u8::try_from(it).unwrap());
    PeerId::from_bytes([1, lan, n, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
}

pub(crate) fn bridge_id(lan: usize, n: usize) -> PeerId {
    let [lan, n] = [lan, n].map(|it| u8::try_from(it).unwrap());
    PeerId::from_bytes([0xb0, lan, n, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
}

impl Net {
    /// A server, and LANs with so many bridges each; those that are `hidden` are behind a router that translates addresses.
    pub(crate) fn new(bridges: &[usize], hidden: &[usize]) -> Self {
        Self::made(bridges, hidden, false)
    }

    /// The same with a relay at the server, and keys for all.
    pub(crate) fn sealed(bridges: &[usize], hidden: &[usize]) -> Self {
        Self::made(bridges, hidden, true)
    }

    fn made(bridges: &[usize], hidden: &[usize], sealed: bool) -> Self {
        let mut sim = Sim::observed(1, Ears::default());
        let wan = sim.segment_with(Quality {
            delay: Duration::from_millis(20),
            ..Quality::default()
        });
        let host = sim.host(wan, SERVER);
        let mechanisms = secret("open sesame");
        let setup = server_setup(&mechanisms, sealed);
        let server = sim.start_program(host, Server::new(setup));
        let mut net = Self {
            sim,
            wan,
            server,
            server_host: host,
            lans: Vec::new(),
            mechanisms,
            limits: Limits::default(),
            sealed,
        };
        net.listen_at_the_relay();
        for (lan, count) in bridges.iter().enumerate() {
            net.lan(*count, hidden.contains(&lan));
        }
        net
    }

    /// Starts the server again, as itself.
    pub(crate) fn restart_server(&mut self) {
        let setup = server_setup(&self.mechanisms, self.sealed);
        let server = Server::new(setup);
        self.server = self.sim.start_program(self.server_host, server);
        self.listen_at_the_relay();
    }

    fn listen_at_the_relay(&mut self) {
        let server: &Server = self.sim.program(self.server).unwrap();
        let relay = server.relay();
        self.sim.observer_mut().relays.extend(relay);
    }

    /// The relay of the server.
    pub(crate) fn relay(&self) -> &Relay {
        let server: &Server = self.sim.program(self.server).unwrap();
        self.sim.relay(server.relay().unwrap()).unwrap()
    }

    /// One more LAN.
    pub(crate) fn lan(&mut self, bridges: usize, hidden: bool) {
        let lan = self.lans.len();
        let segment = self.sim.segment();
        let router = u8::try_from(lan).unwrap();
        let nat = hidden.then(|| self.sim.nat(segment, self.wan, [203, 1, router, 254]));
        let outside = if hidden { segment } else { self.wan };
        self.lans.push(Lan {
            segment,
            outside,
            nat,
            bridges: Vec::new(),
            peers: Vec::new(),
        });
        for n in 0..bridges {
            let last = u8::try_from(n).unwrap();
            let host = self.sim.host(segment, [192, 168, 0, 200 + last]);
            if outside == self.wan {
                self.sim.attach(host, self.wan, [203, 1, router, 1 + last]);
            }
            let setup = self.setup(lan, n);
            let program = self.sim.start_program(host, Bridge::new(setup));
            self.lans[lan].bridges.push((host, program));
        }
    }

    pub(crate) fn setup(&self, lan: usize, n: usize) -> BridgeSetup {
        let segments = &self.lans[lan];
        BridgeSetup {
            servers: vec![Contact::Beacon((SERVER, DIRECTED_PORT).into())],
            mechanisms: self.mechanisms.clone(),
            limits: self.limits.clone(),
            keys: self.sealed.then(|| keys(bridge_id(lan, n))),
            ..BridgeSetup::new(bridge_id(lan, n), segments.segment, segments.outside)
        }
    }

    /// Starts a bridge again, as itself.
    pub(crate) fn restart(&mut self, lan: usize, n: usize) {
        let setup = self.setup(lan, n);
        let host = self.lans[lan].bridges[n].0;
        let program = self.sim.start_program(host, Bridge::new(setup));
        self.lans[lan].bridges[n].1 = program;
    }

    /// Starts a node that is in a group of its own LAN and in one of all.
    pub(crate) fn peer(&mut self, lan: usize) -> NodeId {
        let n = self.lans[lan].peers.len();
        self.peer_as(lan, id(lan, n), &name(lan, n))
    }

    pub(crate) fn peer_as(&mut self, lan: usize, id: PeerId, name: &str) -> NodeId {
        let last = u8::try_from(self.lans[lan].peers.len() + 1).unwrap();
        let host = self.sim.host(self.lans[lan].segment, [192, 168, 0, last]);
        let mut headers = Headers::default();
        headers.insert(
            text("X-WHAT"),
            b"\xff\0 any octets".as_slice().try_into().unwrap(),
        );
        let config = Config {
            uuid: Some(id),
            name: Some(text(name)),
            headers,
            ..Config::default()
        };
        let node = self
            .sim
            .start_at(host, &Place::default(), config, Vec::new());
        self.sim.with(node, |_, context| {
            context.join(&text("ALL"));
            context.join(&text(&format!("LAN{lan}")));
        });
        self.lans[lan].peers.push(node);
        node
    }

    /// So many nodes on each LAN, and the time until all see each other.
    pub(crate) fn meet(&mut self, count: usize) -> Duration {
        for lan in 0..self.lans.len() {
            for _ in 0..count {
                self.peer(lan);
            }
        }
        self.met(s(60))
    }

    /// The time until all nodes that run see all others, at the bridge that is active.
    pub(crate) fn met(&mut self, limit: Duration) -> Duration {
        let lans = self.lans.clone();
        let took = self.sim.run_until_true(limit, |sim| all_met(sim, &lans));
        took.unwrap_or_else(|| {
            for node in self.lans.iter().flat_map(|lan| &lan.peers) {
                let view = view(&self.sim, *node);
                let name = self.sim.stack(*node).map(|it| it.name().to_string());
                eprintln!("{name:?} sees {view:?}");
            }
            for (lan, n, bridge) in self.bridges() {
                let active = bridge.machine().map(once::Bridge::is_active);
                eprintln!(
                    "LAN {lan} bridge {n}: active {active:?}, {:?}",
                    bridge.told()
                );
            }
            let server = self.sim.program::<Server>(self.server).map(Server::told);
            eprintln!("server: {server:?}");
            panic!("not met after {limit:?}");
        })
    }

    pub(crate) fn bridges(&self) -> impl Iterator<Item = (usize, usize, &Bridge)> {
        self.lans.iter().enumerate().flat_map(move |(lan, it)| {
            let all = it.bridges.iter().enumerate();
            all.filter_map(move |(n, (_, program))| {
                let running = self.sim.is_program_running(*program);
                let bridge = self.sim.program::<Bridge>(*program);
                bridge.filter(|_| running).map(|bridge| (lan, n, bridge))
            })
        })
    }

    pub(crate) fn bridge(&self, lan: usize, n: usize) -> &Bridge {
        self.sim.program(self.lans[lan].bridges[n].1).unwrap()
    }

    /// Which bridges of a LAN are active.
    pub(crate) fn active(&self, lan: usize) -> Vec<usize> {
        let own = self.bridges().filter(|(of, ..)| *of == lan);
        own.filter(|(.., bridge)| bridge.machine().unwrap().is_active())
            .map(|(_, n, _)| n)
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        for node in self.lans.iter().flat_map(|lan| &lan.peers) {
            self.sim.application_mut(*node).clear();
        }
    }

    pub(crate) fn told(&self, lan: usize, n: usize) -> Vec<String> {
        told(self.sim.application(self.lans[lan].peers[n]))
    }

    pub(crate) fn whisper(&mut self, from: (usize, usize), to: PeerId, content: impl Into<Frames>) {
        let node = self.lans[from.0].peers[from.1];
        let said = self
            .sim
            .with(node, |_, context| context.whisper(to, content));
        said.unwrap().unwrap();
    }

    pub(crate) fn shout(
        &mut self,
        from: (usize, usize),
        group: &str,
        content: impl Into<Frames>,
    ) -> usize {
        let node = self.lans[from.0].peers[from.1];
        let said = self
            .sim
            .with(node, |_, context| context.shout(&text(group), content));
        said.unwrap().unwrap().reached
    }

    /// Everybody whispers to everybody and shouts to all; each gets each exactly once, and in this order.
    pub(crate) fn talk(&mut self, round: &str) {
        self.clear();
        let nodes: Vec<(NodeId, PeerId)> = self
            .lans
            .iter()
            .flat_map(|lan| lan.peers.clone())
            .filter_map(|node| Some((node, self.sim.stack(node)?.id())))
            .collect();
        for (node, own) in &nodes {
            for (_, other) in nodes.iter().filter(|(_, other)| other != own) {
                let said = format!("{round} from {own} to {other}");
                let said = self
                    .sim
                    .with(*node, |_, context| context.whisper(*other, said));
                said.unwrap().unwrap();
            }
            let said = format!("{round} from {own} to all");
            let said = self
                .sim
                .with(*node, |_, context| context.shout(&text("ALL"), said));
            assert_eq!(said.unwrap().unwrap().reached, nodes.len() - 1);
        }
        self.sim.run_for(s(5));
        for (node, own) in &nodes {
            let mut heard: BTreeMap<PeerId, Vec<String>> = BTreeMap::new();
            for event in self.sim.application(*node) {
                let (peer, content) = match event {
                    Event::Whisper { peer, content } | Event::Shout { peer, content, .. } => {
                        (peer.id, content)
                    }
                    other => panic!("{own} is told of {other:?}"),
                };
                let said = String::from_utf8(content[0].to_vec()).unwrap();
                heard.entry(peer).or_default().push(said);
            }
            for (_, other) in nodes.iter().filter(|(_, other)| other != own) {
                let expected = [
                    format!("{round} from {other} to {own}"),
                    format!("{round} from {other} to all"),
                ];
                assert_eq!(heard.remove(other).unwrap_or_default(), expected);
            }
            assert!(heard.is_empty());
        }
        self.clear();
    }
}

/// Whom a node sees of other nodes, where, and in which groups.
pub(crate) fn view(sim: &World, node: NodeId) -> BTreeMap<PeerId, (Option<String>, Vec<String>)> {
    let Some(stack) = sim.stack(node) else {
        return BTreeMap::new();
    };
    let others = stack
        .peers()
        .filter(|view| view.peer.headers.get("X-ONCE").is_none());
    others
        .map(|view| {
            let via = view.peer.headers.get(VIA).map(ToString::to_string);
            let groups = view.groups.iter().map(ToString::to_string).collect();
            (view.peer.id, (via, groups))
        })
        .collect()
}

pub(crate) fn all_met(sim: &World, lans: &[Lan]) -> bool {
    let homes: BTreeMap<PeerId, usize> = lans
        .iter()
        .enumerate()
        .flat_map(|(lan, it)| it.peers.iter().map(move |node| (lan, *node)))
        .filter_map(|(lan, node)| Some((sim.stack(node)?.id(), lan)))
        .collect();
    let at = |lan: usize| {
        let active: Vec<String> = lans[lan]
            .bridges
            .iter()
            .filter(|(_, program)| sim.is_program_running(*program))
            .filter_map(|(_, program)| sim.program::<Bridge>(*program))
            .filter(|bridge| bridge.machine().is_some_and(once::Bridge::is_active))
            .map(|bridge| bridge.setup().id.to_string())
            .collect();
        (active.len() == 1).then(|| active[0].clone())
    };
    lans.iter().enumerate().all(|(lan, it)| {
        it.peers
            .iter()
            .filter(|node| sim.is_running(**node))
            .all(|node| {
                let own = sim.stack(*node).unwrap().id();
                let others = homes.iter().filter(|(id, _)| **id != own);
                let expected: BTreeMap<_, _> = others
                    .map(|(id, home)| {
                        let via = (*home != lan).then(|| at(*home).unwrap_or_default());
                        (*id, (via, vec!["ALL".to_owned(), format!("LAN{home}")]))
                    })
                    .collect();
                view(sim, *node) == expected
            })
    })
}

/// What a node was told, in short.
pub(crate) fn told(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Enter { peer } => format!("enter {}", peer.name),
            Event::Exit { peer, reason } => format!("exit {} {}", peer.name, reason.as_str()),
            Event::Join { peer, group } => format!("join {} {group}", peer.name),
            Event::Leave { peer, group } => format!("leave {} {group}", peer.name),
            Event::Whisper { peer, content } => format!("whisper {} {content:?}", peer.name),
            Event::Shout {
                peer,
                group,
                content,
            } => format!("shout {} {group} {content:?}", peer.name),
            other => format!("{other:?}"),
        })
        .collect()
}
