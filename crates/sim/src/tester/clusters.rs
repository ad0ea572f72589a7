//! Clusters of peers that @Once makes one, of which the bridges, their rosters and what they send each other are real, and the LANs are not.
//!
//! A hundred LANs of a hundred peers have 198 million links on the LANs alone. What a bridge does with so many is measured here
//! without: what its local node and its stand-ins would tell it is made up, and what they are to do is noted. Between the LANs all is as
//! ever: a server, and a node and a machine for each bridge.
//!
//! ```
//! use atonce_sim::tester::clusters::{self, Options};
//!
//! let report = clusters::run(&Options { lans: 3, peers: 4, ..Options::default() }, |_| ())?;
//! assert_eq!(report.stand_ins, 8);
//! # Ok::<(), String>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce::once::{self, Limits, Mechanism, Role, Roles, Secret, Which, bridge};
use atonce::wire::Headers;
use atonce::zre::{Beacons, Curve, SendError};
use atonce::{Config, Event, Frames, Instant, Peer, PeerId, Text};

use crate::once::{Contact, DIRECTED_PORT, Server, ServerSetup};
use crate::{NodeId, Nodes, Place, Program, ProgramId, Quality, SegmentId, Sim};

/// How many clusters there are.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many LANs: 100.
    pub lans: usize,
    /// How many peers on each: 100.
    pub peers: usize,
    /// How many groups there are on all LANs together: 10. A peer is in one of them.
    pub groups: usize,
    /// What decides everything: 1.
    pub seed: u64,
    /// The network between them: everything takes 20 ms, and up to 10 ms longer.
    pub wan: Quality,
    /// How many octets are said.
    pub content: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lans: 100,
            peers: 100,
            groups: 10,
            seed: 1,
            wan: Quality {
                delay: Duration::from_millis(20),
                jitter: Duration::from_millis(10),
                ..Quality::default()
            },
            content: 100,
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The stand-ins of each bridge.
    pub stand_ins: usize,
    /// From the start until every bridge had all of them.
    pub converged: Duration,
    /// Octets between the LANs until then.
    pub octets: u64,
    /// Octets between the LANs in a second in which nothing happens, all together.
    pub idle: u64,
    /// One more peer came.
    pub enter: Cost,
    /// A peer joined a group.
    pub join: Cost,
    /// A whisper to one peer of another LAN.
    pub whisper: Cost,
    /// A shout to a group that has members on every LAN.
    pub shout: Cost,
    /// How many got the shout.
    pub members: usize,
    /// A peer went.
    pub exit: Cost,
}

/// What something cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Octets between the LANs, of TCP and UDP.
    pub octets: u64,
    /// How long it took until all were told.
    pub took: Duration,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// How much time passed in it.
    pub now: Duration,
    /// The stand-ins of all bridges.
    pub stand_ins: usize,
    /// How many there are to be.
    pub all: usize,
}

/// A bridge of which only the remote node is real.
#[derive(Debug)]
struct Cluster {
    lan: usize,
    id: PeerId,
    keys: Arc<KeyPair>,
    limits: Limits,
    /// How long its node waits before it asks whether others are still there.
    patience: Duration,
    peers: BTreeMap<PeerId, (Arc<Peer>, Text)>,
    machine: Option<once::Bridge>,
    remote: Option<NodeId>,
    armed: Option<Instant>,
    stand_ins: BTreeMap<PeerId, BTreeSet<Text>>,
    /// What stand-ins were to deliver: from whom to whom.
    delivered: Vec<(PeerId, PeerId, Frames)>,
}

fn id_of(kind: u8, lan: usize, n: usize) -> PeerId {
    let mut octets = [kind; 16];
    let lan = u32::try_from(lan).unwrap_or_default().to_be_bytes();
    let n = u32::try_from(n).unwrap_or_default().to_be_bytes();
    for (octet, given) in octets.iter_mut().skip(8).zip(lan.into_iter().chain(n)) {
        *octet = given;
    }
    PeerId::from_bytes(octets)
}

fn group(n: usize) -> Text {
    Text::try_from(format!("group-{n}")).unwrap_or_default()
}

/// A peer like any other: a name, and two headers.
fn peer(lan: usize, n: usize) -> Arc<Peer> {
    let mut headers = Headers::default();
    for (name, value) in [("X-ATONCE", "goodbye"), ("X-WHAT", "a peer like any other")] {
        if let (Ok(name), Ok(value)) = (name.try_into(), value.try_into()) {
            headers.insert(name, value);
        }
    }
    Arc::new(Peer {
        id: id_of(1, lan, n),
        name: Text::try_from(format!("peer-{lan}-{n}")).unwrap_or_default(),
        endpoint: Text::try_from(format!("tcp://192.168.0.{}:{}", n % 250 + 1, 49_152 + n))
            .unwrap_or_default(),
        headers,
    })
}

impl Cluster {
    fn pump(&mut self, nodes: &mut Nodes<'_>) {
        let (Some(machine), Some(remote)) = (&mut self.machine, self.remote) else {
            return;
        };
        let now = nodes.now();
        if machine.poll_timeout().is_some_and(|(at, _)| at <= now) {
            machine.handle_timeout(now);
        }
        while let Some(action) = machine.poll_action() {
            match action {
                bridge::Action::Whisper {
                    node: Which::Remote,
                    peer,
                    content,
                } => {
                    let said = nodes.with(remote, |context| context.whisper(peer, content.clone()));
                    if let Err(error) = said.unwrap_or(Err(SendError::Stopped)) {
                        machine.handle_unsent(now, Which::Remote, peer, content, error);
                    }
                }
                bridge::Action::Whisper {
                    node: Which::StandIn(from),
                    peer,
                    content,
                }
                | bridge::Action::ShoutTo {
                    stand_in: from,
                    peer,
                    content,
                    ..
                } => self.delivered.push((from, peer, content)),
                bridge::Action::Start(stand_in) => {
                    self.stand_ins.insert(stand_in.id, stand_in.groups);
                }
                bridge::Action::Retire { stand_in, .. } => {
                    self.stand_ins.remove(&stand_in);
                }
                bridge::Action::Join {
                    node: Which::StandIn(id),
                    group,
                } => {
                    if let Some(groups) = self.stand_ins.get_mut(&id) {
                        groups.insert(group);
                    }
                }
                bridge::Action::Leave {
                    node: Which::StandIn(id),
                    group,
                } => {
                    if let Some(groups) = self.stand_ins.get_mut(&id) {
                        groups.remove(&group);
                    }
                }
                bridge::Action::Connect { endpoint, key } => {
                    nodes.with(remote, |context| {
                        Contact::Mailbox(endpoint, key).make(context);
                    });
                }
                bridge::Action::Forget { endpoint } => {
                    nodes.with(remote, |context| context.disconnect(&endpoint));
                }
                // There is nobody to introduce to anybody, and no group of the local node's that another bridge would see.
                _ => {}
            }
        }
        while machine.poll_event().is_some() {}
        if let Some((at, _)) = machine.poll_timeout() {
            let at = at.max(now);
            if self.armed.is_none_or(|armed| at < armed) {
                self.armed = Some(at);
                nodes.set_timer(at - now, at.as_micros());
            }
        }
    }

    /// What a node of the LAN would tell.
    fn tell(&mut self, nodes: &mut Nodes<'_>, which: Which, event: Event) {
        if let Some(machine) = &mut self.machine {
            machine.handle_event(nodes.now(), which, event, None);
        }
        self.pump(nodes);
    }

    /// One more peer is on the LAN.
    fn enter(&mut self, nodes: &mut Nodes<'_>, n: usize, group: Text) {
        let peer = peer(self.lan, n);
        self.peers
            .insert(peer.id, (Arc::clone(&peer), group.clone()));
        let enter = Event::Enter {
            peer: Arc::clone(&peer),
        };
        self.tell(nodes, Which::Local, enter);
        self.tell(nodes, Which::Local, Event::Join { peer, group });
    }

    /// The stand-in of somebody met a peer of the LAN.
    fn meet(&mut self, nodes: &mut Nodes<'_>, stand_in: PeerId, peer: PeerId) {
        if let Some((peer, _)) = self.peers.get(&peer) {
            let peer = Arc::clone(peer);
            self.tell(nodes, Which::StandIn(stand_in), Event::Enter { peer });
        }
    }
}

impl Program for Cluster {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let mut headers = Headers::default();
        let roles = Roles {
            role: Role::Bridge,
            beacon: Some(DIRECTED_PORT),
            relay: false,
        };
        roles.put(&mut headers);
        let remote = nodes.start(
            &Place::default(),
            Config {
                uuid: Some(self.id),
                headers,
                beacons: Beacons::Directed,
                duplex: true,
                evasive_timeout: self.patience,
                expired_timeout: self.patience * 6,
                curve: Some(Curve::new(Arc::clone(&self.keys))),
                ..Config::default()
            },
        );
        let seed = nodes.chance().seed();
        let config = bridge::Config {
            id: self.id,
            key: Some(*self.keys.public()),
            local_key: None,
            mechanisms: secret(),
            hidden: BTreeSet::new(),
            limits: self.limits.clone(),
        };
        self.machine = Some(once::Bridge::new(nodes.now(), seed, config));
        self.remote = Some(remote);
        nodes.with(remote, |context| {
            Contact::Beacon((SERVER, DIRECTED_PORT).into()).make(context);
        });
        self.pump(nodes);
    }

    fn on_event(&mut self, nodes: &mut Nodes<'_>, node: NodeId, event: Event) {
        let key = crate::once::key_of(nodes, node, &event);
        if let Some(machine) = &mut self.machine {
            machine.handle_event(nodes.now(), Which::Remote, event, key);
        }
        self.pump(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, token: u64) {
        if self.armed.is_some_and(|at| at.as_micros() == token) {
            self.armed = None;
            self.pump(nodes);
        }
    }
}

const SERVER: [u8; 4] = [203, 0, 113, 1];

fn secret() -> Vec<Mechanism> {
    let secret = Secret::new("what all bridges know");
    vec![secret.map_or(Mechanism::Open, Mechanism::Secret)]
}

struct Clusters<'a> {
    options: &'a Options,
    sim: Sim<()>,
    wan: SegmentId,
    programs: Vec<ProgramId>,
    /// When the last thing began, and what had been sent between the LANs before.
    began: (Instant, u64),
}

/// How long it may take until all are told of something.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);

impl Clusters<'_> {
    fn cluster(&self, lan: usize) -> Option<&Cluster> {
        self.sim.program(*self.programs.get(lan)?)
    }

    fn with<T>(
        &mut self,
        lan: usize,
        act: impl FnOnce(&mut Cluster, &mut Nodes<'_>) -> T,
    ) -> Result<T, String> {
        let program = self.programs.get(lan).copied();
        let done = program.and_then(|program| self.sim.with_program(program, act));
        done.ok_or_else(|| format!("the bridge of LAN {lan} has ended"))
    }

    fn all(&self) -> impl Iterator<Item = &Cluster> {
        (0..self.programs.len()).filter_map(|lan| self.cluster(lan))
    }

    /// Something is about to happen.
    fn begin(&mut self) {
        self.began = (self.sim.now(), self.sim.octets_over(self.wan));
    }

    /// Runs until it is so. How long it took since it began, and what was sent between the LANs.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<Cost, String> {
        let (start, before) = self.began;
        while !done(self) {
            if self.sim.now() - start > PATIENCE {
                return Err(format!("{what}: not all are told after {PATIENCE:?}"));
            }
            self.sim.run_for(LOOK);
        }
        let took = self.sim.now() - start;
        // What follows of it.
        self.sim.run_for(Duration::from_secs(1));
        let octets = self.sim.octets_over(self.wan) - before;
        Ok(Cost { octets, took })
    }
}

/// Lets them meet, and measures what it costs, and what each thing costs that happens then.
///
/// # Errors
///
/// What did not come about.
pub fn run(options: &Options, mut progress: impl FnMut(Progress)) -> Result<Report, String> {
    // What always is sent, by those who are to notice when others are gone.
    let alone = Options {
        peers: 0,
        ..options.clone()
    };
    let mut net = Clusters::new(&alone, Config::default().evasive_timeout)?;
    net.sim.run_for(Duration::from_secs(60));
    let before = net.sim.octets_over(net.wan);
    net.sim.run_for(Duration::from_secs(60));
    let idle = (net.sim.octets_over(net.wan) - before) / 60;
    // Nobody asks, and so all that is sent is of what happens.
    let mut net = Clusters::new(options, Duration::from_secs(3_600))?;
    let far = (options.lans - 1) * options.peers;
    let start = net.sim.now();
    loop {
        net.sim.run_for(LOOK * 10);
        let stand_ins = net.all().map(|it| it.stand_ins.len()).sum();
        progress(Progress {
            now: net.sim.now() - start,
            stand_ins,
            all: far * options.lans,
        });
        if net.all().all(|it| it.stand_ins.len() == far) {
            break;
        }
        if net.sim.now() - start > PATIENCE {
            return Err(format!("{stand_ins} stand-ins after {PATIENCE:?}"));
        }
    }
    let converged = net.sim.now() - start;
    let octets = net.sim.octets_over(net.wan);
    net.sim.run_for(Duration::from_secs(60));
    net.measure(&Report {
        stand_ins: far,
        converged,
        octets,
        idle,
        ..Report::default()
    })
}

impl<'a> Clusters<'a> {
    /// Bridges that have just started, each with all the peers of its LAN.
    fn new(options: &'a Options, patience: Duration) -> Result<Self, String> {
        let mut sim = Sim::new(options.seed);
        let wan = sim.segment_with(options.wan);
        let host = sim.host(wan, SERVER);
        let keys = |n: usize| {
            let mut seed = [0; 32];
            for (octet, given) in seed.iter_mut().zip(n.to_be_bytes()) {
                *octet = given;
            }
            Arc::new(KeyPair::generate(seed))
        };
        let limits = Limits {
            stand_ins: options.lans * (options.peers + 2),
            ..Limits::default()
        };
        let setup = ServerSetup {
            mechanisms: secret(),
            keys: Some(keys(0)),
            limits: limits.clone(),
            patience,
            ..ServerSetup::new(id_of(3, 0, 0))
        };
        sim.start_program(host, Server::new(setup));
        let programs = (0..options.lans)
            .map(|lan| {
                let [high, low] = u16::try_from(lan + 1).unwrap_or(u16::MAX).to_be_bytes();
                let host = sim.host(wan, [203, 1, high, low]);
                let cluster = Cluster {
                    lan,
                    id: id_of(2, lan, 0),
                    keys: keys(lan + 1),
                    limits: limits.clone(),
                    patience,
                    peers: BTreeMap::new(),
                    machine: None,
                    remote: None,
                    armed: None,
                    stand_ins: BTreeMap::new(),
                    delivered: Vec::new(),
                };
                sim.start_program(host, cluster)
            })
            .collect();
        let mut net = Self {
            options,
            sim,
            wan,
            programs,
            began: (Instant::ZERO, 0),
        };
        for lan in 0..options.lans {
            for n in 0..options.peers {
                let group = group(n % options.groups.max(1));
                net.with(lan, |cluster, nodes| cluster.enter(nodes, n, group))?;
            }
        }
        Ok(net)
    }
}

impl Clusters<'_> {
    /// What each thing costs that happens now.
    fn measure(&mut self, so_far: &Report) -> Result<Report, String> {
        let options = self.options;
        let newcomer = id_of(1, 0, options.peers);
        let first = group(0);
        self.begin();
        self.with(0, |cluster, nodes| {
            let peer = peer(0, options.peers);
            let with = (Arc::clone(&peer), Text::default());
            cluster.peers.insert(peer.id, with);
            cluster.tell(nodes, Which::Local, Event::Enter { peer });
        })?;
        let enter = self.until("ENTER", |net| {
            let mut far = net.all().filter(|it| it.lan != 0);
            far.all(|it| it.stand_ins.contains_key(&newcomer))
        })?;
        let group = first.clone();
        self.begin();
        self.with(0, |cluster, nodes| {
            let peer = peer(0, options.peers);
            cluster.tell(nodes, Which::Local, Event::Join { peer, group });
        })?;
        let join = self.until("JOIN", |net| {
            let mut far = net.all().filter(|it| it.lan != 0);
            far.all(|it| {
                let groups = it.stand_ins.get(&newcomer);
                groups.is_some_and(|groups| groups.contains(&first))
            })
        })?;
        let whisper = self.whisper()?;
        let (shout, members) = self.shout(&first)?;
        self.begin();
        self.with(0, |cluster, nodes| {
            cluster.peers.remove(&newcomer);
            let exit = Event::Exit {
                peer: peer(0, options.peers),
                reason: atonce::ExitReason::Left,
            };
            cluster.tell(nodes, Which::Local, exit);
        })?;
        let exit = self.until("EXIT", |net| {
            net.all().all(|it| !it.stand_ins.contains_key(&newcomer))
        })?;
        Ok(Report {
            enter,
            join,
            whisper,
            shout,
            members,
            exit,
            ..so_far.clone()
        })
    }

    /// One peer of the first LAN whispers to one of the second.
    fn whisper(&mut self) -> Result<Cost, String> {
        let (from, to) = (id_of(1, 0, 0), id_of(1, 1, 0));
        let content = Frames::from(vec![7; self.options.content]);
        self.with(1, |cluster, nodes| cluster.meet(nodes, from, to))?;
        self.begin();
        self.with(0, |cluster, nodes| {
            let (peer, content) = (peer(0, 0), content.clone());
            cluster.tell(nodes, Which::StandIn(to), Event::Whisper { peer, content });
        })?;
        self.until("WHISPER", |net| {
            let whisper = (from, to, content.clone());
            net.cluster(1).is_some_and(|it| it.delivered == [whisper])
        })
    }

    /// One peer of the first LAN shouts to a group: each stand-in in it hears that.
    fn shout(&mut self, group: &Text) -> Result<(Cost, usize), String> {
        let from = id_of(1, 0, 0);
        let content = Frames::from(vec![8; self.options.content]);
        let mut members = 0;
        for lan in 1..self.options.lans {
            members += self.with(lan, |cluster, nodes| {
                cluster.delivered.clear();
                let all = cluster.peers.values().filter(|(_, of)| of == group);
                let all: Vec<PeerId> = all.map(|(peer, _)| peer.id).collect();
                for peer in &all {
                    cluster.meet(nodes, from, *peer);
                }
                all.len()
            })?;
        }
        self.begin();
        self.with(0, |cluster, nodes| {
            let stand_ins = cluster.stand_ins.iter();
            let in_it = stand_ins.filter(|(_, groups)| groups.contains(group));
            let in_it: Vec<PeerId> = in_it.map(|(id, _)| *id).collect();
            // A node sends all copies at once, and they come within a moment: they are heard before anything is sent.
            for stand_in in in_it {
                let event = Event::Shout {
                    peer: peer(0, 0),
                    group: group.clone(),
                    content: content.clone(),
                };
                if let Some(machine) = &mut cluster.machine {
                    machine.handle_event(nodes.now(), Which::StandIn(stand_in), event, None);
                }
            }
            cluster.pump(nodes);
        })?;
        let cost = self.until("SHOUT", |net| {
            let heard: usize = net.all().map(|it| it.delivered.len()).sum();
            heard >= members
        })?;
        for cluster in self.all() {
            let once: BTreeSet<PeerId> = cluster.delivered.iter().map(|(_, to, _)| *to).collect();
            if once.len() != cluster.delivered.len() {
                return Err(format!("a shout came twice on LAN {}", cluster.lan));
            }
        }
        Ok((cost, members))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets, {} ms", self.octets, self.took.as_millis())
    }
}
