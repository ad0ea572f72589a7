//! Local networks and a wide one, at the level of events: who meets whom, what each says, how that is delayed, cut and refused. The
//! bridges are real; clients, stand-ins and the nodes of the bridges are as simple as a node of ZRE can be.

mod hosts;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use atonce::once::bridge::{Action, Config, Event as Told};
use atonce::once::{Bridge, Limits, Mechanism, Role, Roles, Which};
use atonce::wire::Headers;
use atonce::zre::ExitReason;
use atonce::{Event, Frames, Instant, Peer, PeerId, Text};

/// Which network a node is on: a LAN, or the wide one.
pub(crate) const WAN: usize = usize::MAX;

/// How long it takes until a node that is silent is gone.
const EXPIRY: Duration = Duration::from_secs(30);

pub(crate) fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

pub(crate) fn text(text: &str) -> Text {
    text.parse().unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Client,
    Remote(usize),
    Local(usize),
    StandIn(usize),
}

/// What a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) from: PeerId,
    pub(crate) group: Option<Text>,
    pub(crate) content: Frames,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) peer: Arc<Peer>,
    pub(crate) lan: usize,
    pub(crate) kind: Kind,
    pub(crate) groups: BTreeSet<Text>,
    /// Which node is the peer of this identity, and the groups that it is known to be in.
    pub(crate) peers: BTreeMap<PeerId, (usize, BTreeSet<Text>)>,
    pub(crate) alive: bool,
    pub(crate) got: Vec<Got>,
    /// Everybody who was a member of something when it was said.
    pub(crate) was_in: BTreeSet<Text>,
    /// How often each peer entered.
    pub(crate) entered: BTreeMap<PeerId, u32>,
}

#[derive(Clone, Debug)]
enum Message {
    Hello,
    Bye,
    Expire,
    Cut,
    Join(Text),
    Leave(Text),
    Whisper(Frames),
    Shout(Text, Frames),
}

pub(crate) struct Host {
    pub(crate) bridge: Bridge,
    pub(crate) id: PeerId,
    pub(crate) lan: usize,
    pub(crate) up: bool,
    remote: usize,
    local: usize,
    pub(crate) stand_ins: BTreeMap<PeerId, usize>,
    inbox: BTreeMap<Which, VecDeque<Event>>,
    pub(crate) told: Vec<Told>,
    pub(crate) connects: Vec<Action>,
}

/// What can go wrong, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// A message for a bridge is refused, since the queue is full.
    pub(crate) full: u32,
    /// The same of one for a client.
    pub(crate) client_full: u32,
    /// A stand-in cannot be started.
    pub(crate) not_started: u32,
}

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) hosts: Vec<Host>,
    queue: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    messages: BTreeMap<u64, (usize, usize, u32, Message)>,
    count: u64,
    /// What one says to another comes in order.
    last: BTreeMap<(usize, usize), Instant>,
    /// Which link of a pair it is: what an older one had under way is lost.
    links: BTreeMap<(usize, usize), u32>,
    /// Who said HELLO to whom.
    greeted: BTreeSet<(usize, usize)>,
    /// Whose link to whom is cut, while it has not noticed.
    down: BTreeSet<(usize, usize)>,
    /// Pairs of bridges that do not reach each other.
    pub(crate) apart: BTreeSet<(usize, usize)>,
    random: u64,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    pub(crate) refused: u32,
    /// Octets between bridges.
    pub(crate) wan_octets: usize,
    pub(crate) wan_messages: BTreeMap<u8, u32>,
}

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            nodes: Vec::new(),
            hosts: Vec::new(),
            queue: BinaryHeap::new(),
            messages: BTreeMap::new(),
            count: 0,
            last: BTreeMap::new(),
            links: BTreeMap::new(),
            greeted: BTreeSet::new(),
            down: BTreeSet::new(),
            apart: BTreeSet::new(),
            random: seed.wrapping_mul(2) + 1,
            faults: Faults::default(),
            limits: Limits::default(),
            refused: 0,
            wan_octets: 0,
            wan_messages: BTreeMap::new(),
        }
    }

    pub(crate) fn below(&mut self, most: u32) -> u32 {
        // PCG's multiplier; the upper half is good enough.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) % u64::from(most)) as u32
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    // ---- who is there

    fn add(&mut self, lan: usize, kind: Kind, peer: Peer, groups: BTreeSet<Text>) -> usize {
        let node = self.nodes.len();
        self.nodes.push(Node {
            peer: Arc::new(peer),
            lan,
            kind,
            was_in: groups.clone(),
            groups,
            peers: BTreeMap::new(),
            alive: true,
            got: Vec::new(),
            entered: BTreeMap::new(),
        });
        for other in 0..node {
            if self.may_meet(node, other) && self.meet_alone(node, other) {
                self.meet(node, other);
            }
        }
        node
    }

    /// Whether two nodes reach each other at all.
    fn may_meet(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.nodes[one], &self.nodes[other]);
        let apart = match (a.kind, b.kind) {
            (Kind::Remote(a), Kind::Remote(b)) => self.apart.contains(&(a.min(b), a.max(b))),
            (Kind::Local(a), Kind::StandIn(b)) | (Kind::StandIn(a), Kind::Local(b)) => a == b,
            (Kind::StandIn(_), Kind::StandIn(_)) => true,
            _ => false,
        };
        a.alive && b.alive && a.lan == b.lan && a.peer.id != b.peer.id && !apart
    }

    /// Whether they find each other by beacons of both: a client and a stand-in have to be introduced.
    fn meet_alone(&self, one: usize, other: usize) -> bool {
        let kinds = (self.nodes[one].kind, self.nodes[other].kind);
        !matches!(
            kinds,
            (Kind::Client, Kind::StandIn(_)) | (Kind::StandIn(_), Kind::Client)
        )
    }

    fn meet(&mut self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            self.greeted.insert((from, to));
            self.send(from, to, Message::Hello);
        }
    }

    pub(crate) fn client(&mut self, lan: usize, octet: u8, name: &str, groups: &[&str]) -> usize {
        let peer = Peer {
            id: id(octet),
            name: text(name),
            endpoint: text("tcp://10.0.0.7:49152"),
            headers: Headers::from_iter([
                (text("X-WHO"), name.parse().unwrap()),
                (text("X-ATONCE"), "goodbye".parse().unwrap()),
            ]),
        };
        let groups = groups.iter().copied().map(text).collect();
        self.add(lan, Kind::Client, peer, groups)
    }

    pub(crate) fn config(&self, octet: u8) -> Config {
        Config {
            id: id(octet),
            key: None,
            local_key: None,
            mechanisms: vec![Mechanism::Open],
            hidden: BTreeSet::new(),
            limits: self.limits.clone(),
        }
    }

    pub(crate) fn bridge(&mut self, lan: usize, octet: u8) -> usize {
        self.bridge_with(lan, self.config(octet))
    }

    pub(crate) fn bridge_with(&mut self, lan: usize, config: Config) -> usize {
        let host = self.hosts.len();
        let id = config.id;
        let mut seed = [0; 32];
        for octet in &mut seed {
            *octet = self.below(256) as u8;
        }
        let bridge = Bridge::new(self.now, seed, config);
        let mut headers = Headers::new();
        Roles {
            role: Role::Bridge,
            beacon: None,
            relay: false,
        }
        .put(&mut headers);
        let peer = Peer {
            id,
            name: text("bridge"),
            endpoint: text("tcp://10.0.0.1:49152"),
            headers,
        };
        self.hosts.push(Host {
            bridge,
            id,
            lan,
            up: true,
            remote: 0,
            local: 0,
            stand_ins: BTreeMap::new(),
            inbox: BTreeMap::new(),
            told: Vec::new(),
            connects: Vec::new(),
        });
        let none = BTreeSet::new();
        let local = self.add(lan, Kind::Local(host), peer.clone(), none.clone());
        let remote = self.add(WAN, Kind::Remote(host), peer, none);
        self.hosts[host].local = local;
        self.hosts[host].remote = remote;
        host
    }

    /// A node ends: it says goodbye, or nothing.
    pub(crate) fn end(&mut self, node: usize, goodbye: bool) {
        if !self.nodes[node].alive {
            return;
        }
        self.nodes[node].alive = false;
        let who = self.nodes[node].peer.id;
        for other in 0..self.nodes.len() {
            let knows = self.nodes[other]
                .peers
                .get(&who)
                .is_some_and(|it| it.0 == node);
            let will = self.links.contains_key(&(node.min(other), node.max(other)));
            if self.nodes[other].alive && (knows || will) {
                if goodbye {
                    self.send(node, other, Message::Bye);
                } else {
                    let at = self.now + EXPIRY;
                    self.send_at(at, node, other, Message::Expire);
                }
            }
        }
    }

    /// A bridge is killed: none of its nodes says a word.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].up = false;
        self.hosts[host].inbox.clear();
        let nodes = self.nodes_of(host);
        for node in nodes {
            self.end(node, false);
        }
    }

    fn nodes_of(&self, host: usize) -> Vec<usize> {
        let host = &self.hosts[host];
        let stand_ins = host.stand_ins.values().copied();
        stand_ins.chain([host.remote, host.local]).collect()
    }

    /// A bridge is stopped in order.
    pub(crate) fn stop(&mut self, host: usize) {
        self.hosts[host].bridge.stop(self.now);
        self.serve(host);
        self.hosts[host].up = false;
        let nodes = self.nodes_of(host);
        for node in nodes {
            self.end(node, true);
        }
    }

    /// The link between two bridges is cut, for good or to be made anew.
    pub(crate) fn cut(&mut self, one: usize, other: usize, for_good: bool) {
        let (a, b) = (self.hosts[one].remote, self.hosts[other].remote);
        let knows = |one: usize, other: usize| {
            let id = self.nodes[other].peer.id;
            self.nodes[one]
                .peers
                .get(&id)
                .is_some_and(|it| it.0 == other)
        };
        // One that is about to be made is not cut.
        if !knows(a, b)
            || !knows(b, a)
            || self.down.contains(&(a, b))
            || self.down.contains(&(b, a))
        {
            return;
        }
        *self.links.entry((a.min(b), a.max(b))).or_default() += 1;
        for (from, to) in [(a, b), (b, a)] {
            self.greeted.remove(&(from, to));
            self.send(from, to, Message::Cut);
            self.down.insert((from, to));
        }
        if for_good {
            self.apart.insert((one.min(other), one.max(other)));
        }
    }

    /// Two bridges reach each other again.
    pub(crate) fn join_up(&mut self, one: usize, other: usize) {
        if self.apart.remove(&(one.min(other), one.max(other))) {
            let (a, b) = (self.hosts[one].remote, self.hosts[other].remote);
            if self.may_meet(a, b) {
                self.meet(a, b);
            }
        }
    }

    /// A LAN becomes a part of another one.
    pub(crate) fn merge(&mut self, lan: usize, into: usize) {
        let moved: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].lan == lan)
            .collect();
        let there: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].lan == into)
            .collect();
        for node in &moved {
            self.nodes[*node].lan = into;
        }
        for host in &mut self.hosts {
            if host.lan == lan {
                host.lan = into;
            }
        }
        for one in &moved {
            for other in &there {
                // Beacons of stand-ins are heard by those who were not introduced, too.
                if self.may_meet(*one, *other) && !self.greeted.contains(&(*one, *other)) {
                    self.meet(*one, *other);
                }
            }
        }
    }

    // ---- what clients do

    pub(crate) fn join(&mut self, node: usize, group: &str) {
        self.set_member(node, &text(group), true);
    }

    pub(crate) fn leave(&mut self, node: usize, group: &str) {
        self.set_member(node, &text(group), false);
    }

    fn set_member(&mut self, node: usize, group: &Text, member: bool) {
        let it = &mut self.nodes[node];
        let changed = if member {
            it.was_in.insert(group.clone());
            it.groups.insert(group.clone())
        } else {
            it.groups.remove(group)
        };
        if !changed {
            return;
        }
        let greeted = self.greeted.range((node, 0)..(node + 1, 0));
        let peers: Vec<usize> = greeted.map(|(_, to)| *to).collect();
        for peer in peers {
            let message = if member {
                Message::Join(group.clone())
            } else {
                Message::Leave(group.clone())
            };
            self.send(node, peer, message);
        }
    }

    /// Whether it is known there.
    pub(crate) fn whisper(&mut self, node: usize, to: PeerId, content: impl Into<Frames>) -> bool {
        let Some((peer, _)) = self.nodes[node].peers.get(&to) else {
            return false;
        };
        self.send(node, *peer, Message::Whisper(content.into()));
        true
    }

    /// To how many it was said.
    pub(crate) fn shout(&mut self, node: usize, group: &str, content: impl Into<Frames>) -> usize {
        let group = text(group);
        let content = content.into();
        let peers = self.nodes[node].peers.values();
        let members = peers.filter(|(_, groups)| groups.contains(&group));
        let members: Vec<usize> = members.map(|(node, _)| *node).collect();
        for peer in &members {
            self.send(node, *peer, Message::Shout(group.clone(), content.clone()));
        }
        members.len()
    }

    /// The peers that a client sees, but for bridges, with the groups that they are in.
    pub(crate) fn view(&self, node: usize) -> BTreeMap<PeerId, BTreeSet<Text>> {
        let peers = self.nodes[node].peers.iter();
        let peers =
            peers.filter(|(_, (peer, _))| !matches!(self.nodes[*peer].kind, Kind::Local(_)));
        peers
            .map(|(id, (_, groups))| (*id, groups.clone()))
            .collect()
    }

    /// What is said of a peer that a client sees.
    pub(crate) fn seen(&self, node: usize, id: PeerId) -> Option<&Peer> {
        let (peer, _) = self.nodes[node].peers.get(&id)?;
        Some(&self.nodes[*peer].peer)
    }

    // ---- time

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let delay = match (&message, self.nodes[from].lan) {
            (Message::Hello, _) => 1_000 + self.below(40_000),
            (_, WAN) => 10_000 + self.below(20_000),
            _ => 200 + self.below(2_000),
        };
        self.send_at(
            self.now + Duration::from_micros(delay.into()),
            from,
            to,
            message,
        );
    }

    fn send_at(&mut self, at: Instant, from: usize, to: usize, message: Message) {
        if self.down.contains(&(from, to)) {
            return;
        }
        let pair = (from.min(to), from.max(to));
        let link = *self.links.entry(pair).or_default();
        let at = if matches!(message, Message::Expire) {
            at
        } else {
            let last = self.last.entry((from, to)).or_insert(Instant::ZERO);
            *last = at.max(*last);
            *last
        };
        self.count += 1;
        self.messages.insert(self.count, (from, to, link, message));
        self.queue.push(Reverse((at, self.count, to)));
    }

    /// Runs for a while.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for host in 0..self.hosts.len() {
                self.serve(host);
            }
            let message = self.queue.peek().map(|Reverse((at, ..))| *at);
            let up = self.hosts.iter().filter(|host| host.up);
            let timers = up.filter_map(|host| host.bridge.poll_timeout().map(|(at, _)| at));
            let next = timers.chain(message).min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            for host in 0..self.hosts.len() {
                let it = &mut self.hosts[host];
                let due = it
                    .bridge
                    .poll_timeout()
                    .is_some_and(|(at, _)| at <= self.now);
                if it.up && due {
                    it.bridge.handle_timeout(self.now);
                    self.serve(host);
                }
            }
            // What comes at one time is one turn.
            while let Some(Reverse((at, number, _))) = self.queue.peek().copied() {
                if at > self.now {
                    break;
                }
                self.queue.pop();
                let (from, to, link, message) = self.messages.remove(&number).unwrap();
                self.arrive(from, to, link, message);
            }
        }
    }

    pub(crate) fn run_secs(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    fn arrive(&mut self, from: usize, to: usize, link: u32, message: Message) {
        if !self.nodes[to].alive {
            return;
        }
        let pair = (from.min(to), from.max(to));
        if self.links[&pair] != link && !matches!(message, Message::Expire) {
            return;
        }
        let peer = self.nodes[from].peer.clone();
        let known = self.nodes[to].peers.get(&peer.id).map(|(node, _)| *node);
        let event = match message {
            Message::Hello => {
                if !self.nodes[from].alive {
                    return;
                }
                if known.is_some() {
                    self.exit(to, &peer, ExitReason::Replaced);
                }
                let groups = self.nodes[from].groups.clone();
                let node = &mut self.nodes[to];
                node.peers.insert(peer.id, (from, groups.clone()));
                *node.entered.entry(peer.id).or_default() += 1;
                self.tell(to, Event::Enter { peer: peer.clone() });
                for group in groups {
                    let peer = peer.clone();
                    self.tell(to, Event::Join { peer, group });
                }
                return;
            }
            _ if known != Some(from) => return,
            Message::Bye => return self.exit(to, &peer, ExitReason::Left),
            Message::Expire => {
                if !self.nodes[from].alive {
                    self.exit(to, &peer, ExitReason::Expired);
                }
                return;
            }
            Message::Cut => {
                let lost = atonce::zre::Lost::LinkCut { messages: 1 };
                self.exit(to, &peer, ExitReason::Lost(lost));
                self.down.remove(&(to, from));
                if self.may_meet(to, from) {
                    self.greeted.insert((to, from));
                    self.send(to, from, Message::Hello);
                }
                return;
            }
            Message::Join(group) => {
                let (_, groups) = self.nodes[to].peers.get_mut(&peer.id).unwrap();
                if !groups.insert(group.clone()) {
                    return;
                }
                Event::Join { peer, group }
            }
            Message::Leave(group) => {
                let (_, groups) = self.nodes[to].peers.get_mut(&peer.id).unwrap();
                if !groups.remove(&group) {
                    return;
                }
                Event::Leave { peer, group }
            }
            Message::Whisper(content) => Event::Whisper { peer, content },
            Message::Shout(group, content) => {
                // ZRE: who is not in the group does not hear it.
                if !self.nodes[to].groups.contains(&group) {
                    return;
                }
                Event::Shout {
                    peer,
                    group,
                    content,
                }
            }
        };
        self.tell(to, event);
    }

    fn exit(&mut self, at: usize, peer: &Arc<Peer>, reason: ExitReason) {
        self.nodes[at].peers.remove(&peer.id);
        if matches!(reason, ExitReason::Expired | ExitReason::Left) {
            // Another one of that identity is heard of.
            for other in 0..self.nodes.len() {
                if self.nodes[other].peer.id == peer.id && self.may_meet(at, other) {
                    self.meet(at, other);
                }
            }
        }
        let peer = peer.clone();
        self.tell(at, Event::Exit { peer, reason });
    }

    /// The application of a node, or its bridge, is told something.
    fn tell(&mut self, node: usize, event: Event) {
        let it = &mut self.nodes[node];
        let (host, which) = match it.kind {
            Kind::Client => {
                let got = match event {
                    Event::Whisper { peer, content } => Got {
                        from: peer.id,
                        group: None,
                        content,
                    },
                    Event::Shout {
                        peer,
                        group,
                        content,
                    } => Got {
                        from: peer.id,
                        group: Some(group),
                        content,
                    },
                    _ => return,
                };
                it.got.push(got);
                return;
            }
            Kind::Remote(host) => (host, Which::Remote),
            Kind::Local(host) => (host, Which::Local),
            Kind::StandIn(host) => (host, Which::StandIn(it.peer.id)),
        };
        if which == Which::Remote
            && let Event::Whisper { content, .. } = &event
        {
            self.wan_octets += content.octets();
            *self.wan_messages.entry(content[0][2]).or_default() += 1;
        }
        let inbox = self.hosts[host].inbox.entry(which).or_default();
        inbox.push_back(event);
    }

    // ---- what is to hold

    /// The bridges of a LAN that make stand-ins.
    pub(crate) fn active(&self, lan: usize) -> Vec<usize> {
        let hosts = self.hosts.iter().enumerate();
        let active = hosts.filter(|(_, it)| it.up && it.lan == lan && it.bridge.is_active());
        active.map(|(host, _)| host).collect()
    }

    /// The clients that are there.
    pub(crate) fn clients(&self) -> Vec<usize> {
        let nodes = self.nodes.iter().enumerate();
        let clients = nodes.filter(|(_, it)| it.alive && it.kind == Kind::Client);
        clients.map(|(node, _)| node).collect()
    }

    /// Each client sees all others with all their groups, and nobody else: invariant 1.
    #[track_caller]
    pub(crate) fn everybody_sees_everybody(&self) {
        let clients = self.clients();
        for one in &clients {
            let me = &self.nodes[*one];
            let others = clients
                .iter()
                .filter(|other| self.nodes[**other].peer.id != me.peer.id);
            let wanted: BTreeMap<PeerId, BTreeSet<Text>> = others
                .map(|other| {
                    let it = &self.nodes[*other];
                    (it.peer.id, it.groups.clone())
                })
                .collect();
            assert_eq!(self.view(*one), wanted, "{} on {}", me.peer.name, me.lan);
        }
    }
}
