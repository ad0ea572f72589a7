//! Who comes, who goes, and what goes wrong when.

mod faults;
mod truth;

use std::cell::RefCell;
use std::io::Write;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce::once::{Mechanism, Relay, Secret, relay};
use atonce::{Config, Instant, PeerId, Text};

use super::super::join;
use super::super::plan::Progress;
use super::super::report::{Broken, Times};
use super::findings::{Findings, Serial, Shared};
use super::guest::{self, Guest};
use super::options::{Admission, Fault, GROUPS, Options, node_limits};
use super::report::{Relayed, Report};
use crate::once::{Bridge, BridgeSetup, Contact, DIRECTED_PORT, Server, ServerSetup};
use crate::schedule::Schedule;
use crate::{Chance, HostId, NodeId, Odds, Place, ProgramId, RouterId, SegmentId, Sim};

/// One run. See [the module](super).
#[derive(Debug)]
pub struct Tester {
    options: Options,
    sim: Sim<Guest>,
    findings: Shared,
    chance: Chance,
    coming: Schedule<Coming>,
    wan: SegmentId,
    lans: Vec<Lan>,
    /// Where nodes of LANs can be.
    places: Vec<Seat>,
    bridges: Vec<Post>,
    server: Post,
    groups: Arc<[Text]>,
    next_serial: Serial,
    incarnations: u32,
    most_connections: usize,
    most_stand_ins: usize,
    /// What relays counted that are gone.
    relayed: Relayed,
}

#[derive(Debug)]
struct Lan {
    segment: SegmentId,
    nat: Option<RouterId>,
}

/// A host for a node of a LAN.
#[derive(Debug)]
struct Seat {
    lan: usize,
    host: HostId,
    off: bool,
    tenant: Option<Tenant>,
}

/// A node of a LAN.
#[derive(Clone, Copy, Debug)]
struct Tenant {
    node: NodeId,
    serial: Serial,
    incarnation: u32,
}

/// The host of a bridge, or of the server.
#[derive(Debug)]
struct Post {
    id: PeerId,
    /// None for the server.
    lan: Option<usize>,
    host: HostId,
    off: bool,
    keys: Arc<KeyPair>,
    program: Option<ProgramId>,
}

/// What the plan does next.
#[derive(Clone, Copy, Debug)]
enum Coming {
    Toggle,
    Start(usize),
    Fault(Fault),
    /// The end of a fault.
    Heal,
    Bridge(usize),
    Server,
    Runs(NodeId),
    PostOn(usize),
    SeatOn(usize),
    Second,
}

const MS: Duration = Duration::from_millis(1);

/// How often it is looked whether everybody sees the truth.
const LOOK: Duration = Duration::from_millis(100);

/// How long it must stay like that, and how long the last words may take.
const QUIET: Duration = Duration::from_secs(15);

/// Lines of the trace that are shown when something is wrong.
const LINES: usize = 80;

/// What a process reads at once at the most.
const READING: usize = 16 << 10;

/// What all know.
const SECRET: &str = "what all bridges know";

/// The serials of bridges begin here, so that nobody on a LAN has theirs.
const BRIDGES: Serial = 0xB000_0000;

impl Tester {
    /// LANs on which nobody is yet.
    pub fn new(options: Options) -> Self {
        let findings: Shared = Rc::new(RefCell::new(Findings::default()));
        let mut sim = Sim::new(options.seed);
        *sim.tcp() = options.tcp;
        let wan = sim.segment_with(options.wan);
        let mut lans = Vec::new();
        let mut places = Vec::new();
        let mut bridges: Vec<Post> = Vec::new();
        let post = |serial, lan, host| Post {
            id: guest::id_of(options.seed, serial),
            lan,
            host,
            off: false,
            keys: Arc::new(KeyPair::generate(super::super::guest::seed(
                options.seed,
                serial,
            ))),
            program: None,
        };
        for lan in 0..options.lans {
            let segment = sim.segment_with(options.lan);
            let hidden = options.is_hidden(lan);
            let nat = hidden.then(|| sim.nat(segment, wan, outside(lan, 254)));
            let both = options.dual_stack;
            for n in 0..options.peers {
                places.push(Seat {
                    lan,
                    host: join(&mut sim, segment, inside(n), n, both),
                    off: false,
                    tenant: None,
                });
            }
            let doubled = lan < options.doubled && options.admission != Admission::Keys;
            for n in 0..if doubled { 2 } else { 1 } {
                let number = options.peers + n;
                let host = join(&mut sim, segment, inside(number), number, both);
                if !hidden {
                    sim.attach(host, wan, outside(lan, n + 1));
                }
                let serial = BRIDGES + u32::try_from(bridges.len()).unwrap_or_default();
                bridges.push(post(serial, Some(lan), host));
            }
            lans.push(Lan { segment, nat });
        }
        let host = sim.host(wan, SERVER);
        let server = post(BRIDGES - 1, None, host);
        findings.borrow_mut().bridges = bridges
            .iter()
            .filter_map(|post| post.lan.map(|lan| (post.id, lan)))
            .collect();
        let mut tester = Self {
            chance: Chance::new(options.seed ^ 0x6f6e_6365),
            options,
            sim,
            findings,
            coming: Schedule::new(),
            wan,
            lans,
            places,
            bridges,
            server,
            groups: guest::groups(),
            next_serial: 0,
            incarnations: 0,
            most_connections: 0,
            most_stand_ins: 0,
            relayed: Relayed::default(),
        };
        tester.prepare();
        tester
    }

    /// What comes first.
    fn prepare(&mut self) {
        let second = Instant::from_millis(1_000);
        self.coming.push(second, Coming::Second);
        self.coming.push(Instant::ZERO, Coming::Server);
        for n in 0..self.bridges.len() {
            self.after(0, 1_000, Coming::Bridge(n));
        }
        for place in 0..self.places.len() {
            if !self.options.toggle || self.chance.happens(Odds::percent(50)) {
                self.after(0, 1_000, Coming::Start(place));
            }
        }
        if self.options.toggle {
            self.after(500, 3_000, Coming::Toggle);
        }
        let faults: Vec<_> = self.options.faults.iter().collect();
        for fault in faults {
            // They have met before the first.
            let after = self.chance.between(Duration::ZERO, pause(&self.options));
            let at = Instant::from_millis(5_000) + after;
            self.coming.push(at, Coming::Fault(fault));
        }
    }

    /// Writes a line for everything that happens.
    pub fn trace_to(&mut self, writer: impl Write + 'static) {
        self.sim.trace_to(writer);
    }

    /// Runs until all is over or something is wrong. `progress` is called each second of the run's own time.
    pub fn run(mut self, mut progress: impl FnMut(Progress)) -> Report {
        let end = Instant::ZERO + self.options.duration;
        while let Some(at) = self.coming.next().filter(|at| *at <= end) {
            self.run_until(at);
            if self.is_broken() {
                return self.report(None, Default::default());
            }
            let Some((_, coming)) = self.coming.pop() else {
                break;
            };
            self.act(coming, &mut progress);
        }
        self.run_until(end);
        self.end_faults();
        let settled = self.settle(&mut progress);
        let answered = match settled {
            Some(_) => self.last_words(&mut progress),
            None => Default::default(),
        };
        self.report(settled, answered)
    }

    fn is_broken(&self) -> bool {
        self.findings.borrow().broken.is_some()
    }

    fn run_until(&mut self, end: Instant) {
        // Whether something is wrong is looked at a few times a millisecond.
        while self.sim.now() < end && !self.is_broken() {
            let next = (self.sim.now() + MS).min(end);
            self.sim.run_until(next);
        }
    }

    fn progress(&self, settling: bool) -> Progress {
        Progress {
            now: self.sim.now() - Instant::ZERO,
            duration: self.options.duration,
            settling,
            inputs: self.sim.counters().inputs,
            connections: self.sim.connections(),
            alive: self.alive(),
        }
    }

    fn alive(&self) -> usize {
        let tenants = self.places.iter().filter(|seat| seat.tenant.is_some());
        tenants.count()
    }

    fn after(&mut self, least: u64, most: u64, coming: Coming) {
        let after = self
            .chance
            .between(Duration::from_millis(least), Duration::from_millis(most));
        self.coming.push(self.sim.now() + after, coming);
    }

    // ---- what happens

    fn act(&mut self, coming: Coming, progress: &mut impl FnMut(Progress)) {
        match coming {
            Coming::Toggle => {
                self.after(500, 3_000, Coming::Toggle);
                let place = self.chance.index(self.places.len());
                self.toggle(place);
            }
            Coming::Start(place) => {
                self.start(place, None);
            }
            Coming::Fault(fault) => {
                let most = pause(&self.options);
                let after = self.chance.between(most / 4, most);
                self.coming
                    .push(self.sim.now() + after, Coming::Fault(fault));
                self.strike(fault);
            }
            Coming::Heal => self.sim.heal(),
            Coming::Bridge(n) => self.start_bridge(n),
            Coming::Server => self.start_server(),
            Coming::Runs(node) => self.sim.resume(node),
            Coming::PostOn(n) => self.post_on(n),
            Coming::SeatOn(place) => self.seat_on(place),
            Coming::Second => {
                let at = self.sim.now() + Duration::from_secs(1);
                self.coming.push(at, Coming::Second);
                self.second();
                progress(self.progress(false));
            }
        }
    }

    fn second(&mut self) {
        self.most_connections = self.most_connections.max(self.sim.connections());
        self.reap();
        self.check_views();
        self.check_broadcasts();
        self.check_relay();
    }

    /// Notes those who ended by themselves.
    fn reap(&mut self) {
        for place in 0..self.places.len() {
            if let Some(tenant) = self.tenant(place)
                && !self.sim.is_running(tenant.node)
            {
                self.gone(place, tenant);
            }
        }
        for n in 0..self.bridges.len() {
            let program = self.bridges.get(n).and_then(|post| post.program);
            if program.is_some_and(|program| !self.sim.is_program_running(program)) {
                self.bridge_gone(n);
            }
        }
    }

    /// What applications were told is what their nodes know, when nothing waits to be told.
    fn check_views(&self) {
        for tenant in self.places.iter().filter_map(|seat| seat.tenant) {
            let Some(stack) = self.sim.stack(tenant.node) else {
                continue;
            };
            let guest = self.sim.application(tenant.node);
            let told = guest.here() + guest.bridges().len();
            if !stack.has_event() && stack.peers().count() != told {
                let what = format!(
                    "{} has {} peers, and its application was told of {told}",
                    stack.name(),
                    stack.peers().count()
                );
                self.findings.borrow_mut().fail(what, &[tenant.node]);
            }
        }
    }

    /// Who has its beacons off broadcasts nothing.
    fn check_broadcasts(&mut self) {
        for post in self.bridges.iter().chain([&self.server]) {
            let Some(program) = post.program else {
                continue;
            };
            let bridge = self.sim.program(program).and_then(Bridge::remote);
            let server = self.sim.program(program).and_then(Server::node);
            for node in bridge.into_iter().chain(server) {
                let broadcasts = self.sim.broadcasts_of(node);
                if broadcasts > 0 {
                    let what = format!("{broadcasts} broadcasts of a node whose beacons are off");
                    self.findings.borrow_mut().fail(what, &[node]);
                }
            }
            if let Some(bridge) = self.sim.program::<Bridge>(program) {
                self.most_stand_ins = self.most_stand_ins.max(bridge.most_stand_ins());
            }
        }
    }

    /// A relay keeps no more than it may.
    fn check_relay(&mut self) {
        let Some(relay) = self.relay() else {
            return;
        };
        let (pairs, queued) = (relay.pairs().count(), relay.queued_octets());
        // Those of which only one end is here wait as well.
        let most = relay.links() * (relay::Limits::default().buffer_octets + READING);
        if queued > most {
            let what = format!("{queued} octets wait at the relay for {pairs} pairs");
            self.findings.borrow_mut().fail(what, &[]);
        }
        self.relayed.most_pairs = self.relayed.most_pairs.max(pairs);
    }

    // ---- nodes of LANs

    fn tenant(&self, place: usize) -> Option<Tenant> {
        self.places.get(place)?.tenant
    }

    fn toggle(&mut self, place: usize) {
        match self.tenant(place) {
            None => self.start(place, None),
            Some(tenant) => self.stop(place, tenant),
        }
    }

    fn start(&mut self, place: usize, serial: Option<Serial>) {
        let Some(seat) = self.places.get_mut(place) else {
            return;
        };
        if seat.off || seat.tenant.is_some() {
            return;
        }
        let (host, lan) = (seat.host, seat.lan);
        let serial = serial.unwrap_or(self.next_serial);
        self.next_serial = self.next_serial.max(serial + 1);
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let config = Config {
            uuid: Some(guest::id_of(self.options.seed, serial)),
            name: guest::name(serial, incarnation).try_into().ok(),
            headers: guest::headers(serial, incarnation),
            limits: node_limits(&self.options),
            ..Config::default()
        };
        let guest = Guest::new(
            (serial, incarnation),
            lan,
            !self.options.chatter,
            Arc::clone(&self.groups),
            &self.findings,
        );
        let home = (serial, lan, self.sim.now());
        self.findings.borrow_mut().homes.insert(incarnation, home);
        let node = self.sim.start_at(host, &Place::default(), config, guest);
        self.findings.borrow_mut().lives.insert(serial, node);
        if let Some(seat) = self.places.get_mut(place) {
            seat.tenant = Some(Tenant {
                node,
                serial,
                incarnation,
            });
        }
        if !self.options.chatter {
            let at = self.chance.index(GROUPS);
            self.sim
                .with(node, |guest, context| guest.join(context, at));
        }
    }

    fn gone(&mut self, place: usize, tenant: Tenant) {
        if let Some(seat) = self.places.get_mut(place) {
            seat.tenant = None;
        }
        self.findings.borrow_mut().lives.remove(&tenant.serial);
    }

    fn stop(&mut self, place: usize, tenant: Tenant) {
        self.sim.resume(tenant.node);
        self.sim.with(tenant.node, |_, context| context.stop());
        self.gone(place, tenant);
    }

    fn kill(&mut self, place: usize, tenant: Tenant) {
        self.sim.kill(tenant.node);
        self.gone(place, tenant);
    }

    fn somebody(&mut self) -> Option<(usize, Tenant)> {
        let all: Vec<_> = self
            .places
            .iter()
            .enumerate()
            .filter_map(|(place, seat)| seat.tenant.map(|tenant| (place, tenant)))
            .collect();
        self.chance.pick(&all)
    }

    fn seat_on(&mut self, place: usize) {
        if let Some(seat) = self.places.get_mut(place)
            && std::mem::take(&mut seat.off)
        {
            self.sim.power_on(seat.host);
            self.after(0, 5_000, Coming::Start(place));
        }
    }

    // ---- bridges and the server

    fn mechanisms(&self) -> Vec<Mechanism> {
        vec![match self.options.admission {
            Admission::Open => Mechanism::Open,
            Admission::Secret => Secret::new(SECRET).map_or(Mechanism::Open, Mechanism::Secret),
            Admission::Keys => {
                let posts = self.bridges.iter().chain([&self.server]);
                Mechanism::Keys(posts.map(|post| *post.keys.public()).collect())
            }
        }]
    }

    fn start_bridge(&mut self, n: usize) {
        let mechanisms = self.mechanisms();
        let Some(post) = self.bridges.get(n).filter(|post| !post.off) else {
            return;
        };
        let Some(lan) = post.lan.and_then(|lan| self.lans.get(lan)) else {
            return;
        };
        if post.program.is_some() {
            return;
        }
        let wan = if lan.nat.is_some() {
            lan.segment
        } else {
            self.wan
        };
        let secure = self.options.admission != Admission::Open;
        let setup = BridgeSetup {
            name: Text::try_from(format!("bridge{n}")).unwrap_or_default(),
            servers: vec![Contact::Beacon((SERVER, DIRECTED_PORT).into())],
            mechanisms,
            keys: secure.then(|| Arc::clone(&post.keys)),
            limits: self.options.limits.clone(),
            node_limits: node_limits(&self.options),
            ..BridgeSetup::new(post.id, lan.segment, wan)
        };
        let host = post.host;
        let program = self.sim.start_program(host, Bridge::new(setup));
        if let Some(post) = self.bridges.get_mut(n) {
            post.program = Some(program);
        }
    }

    fn start_server(&mut self) {
        if self.server.program.is_some() {
            return;
        }
        let secure = self.options.admission != Admission::Open;
        let setup = ServerSetup {
            port: Some(5_672),
            relay: Some(5_673),
            mechanisms: self.mechanisms(),
            keys: secure.then(|| Arc::clone(&self.server.keys)),
            limits: self.options.limits.clone(),
            ..ServerSetup::new(self.server.id)
        };
        let program = self.sim.start_program(self.server.host, Server::new(setup));
        self.server.program = Some(program);
    }

    /// The relay of the server that runs.
    fn relay(&self) -> Option<&Relay> {
        let server: &Server = self.sim.program(self.server.program?)?;
        self.sim.relay(server.relay()?)
    }

    /// Keeps what the relay counted, before it is gone.
    fn count_relayed(&mut self) {
        if let Some(counters) = self.relay().map(|relay| *relay.counters()) {
            self.relayed.joined += counters.joined;
            self.relayed.missed += counters.missed;
            self.relayed.octets += counters.octets;
        }
    }

    fn bridge_gone(&mut self, n: usize) {
        if let Some(post) = self.bridges.get_mut(n) {
            post.program = None;
        }
    }

    /// A bridge that runs, and one of its nodes.
    fn some_bridge(&mut self) -> Option<(usize, ProgramId, NodeId)> {
        let all: Vec<_> = self
            .bridges
            .iter()
            .enumerate()
            .filter_map(|(n, post)| post.program.map(|program| (n, program)))
            .collect();
        let (n, program) = self.chance.pick(&all)?;
        let nodes = self.sim.nodes_of(program);
        // The remote one as likely as all others together.
        let node = match nodes {
            [remote, ..] if self.chance.happens(Odds::percent(50)) => *remote,
            nodes => self.chance.pick(nodes)?,
        };
        Some((n, program, node))
    }

    fn post_on(&mut self, n: usize) {
        if let Some(post) = self.bridges.get_mut(n)
            && std::mem::take(&mut post.off)
        {
            self.sim.power_on(post.host);
            self.after(0, 5_000, Coming::Bridge(n));
        }
    }

    // ---- the end

    fn end_faults(&mut self) {
        self.sim.heal();
        let mut left = Vec::new();
        while let Some((_, coming)) = self.coming.pop() {
            left.push(coming);
        }
        for coming in left {
            match coming {
                Coming::PostOn(n) => self.post_on(n),
                Coming::SeatOn(place) => self.seat_on(place),
                Coming::Runs(node) => self.sim.resume(node),
                _ => {}
            }
        }
        // Whoever had power again would have been started; and all bridges are to be there.
        while self.coming.pop().is_some() {}
        self.reap();
        self.start_server();
        for n in 0..self.bridges.len() {
            self.start_bridge(n);
        }
        let nodes: Vec<NodeId> = self
            .places
            .iter()
            .filter_map(|seat| seat.tenant)
            .map(|it| it.node)
            .collect();
        for node in nodes {
            self.sim.application_mut(node).quiet = true;
        }
    }

    /// Runs until everybody sees the truth. How long it took.
    fn settle(&mut self, progress: &mut impl FnMut(Progress)) -> Option<Duration> {
        let start = self.sim.now();
        let end = start + self.options.settling_time();
        loop {
            self.reap();
            if self.is_broken() {
                return None;
            }
            let Some((what, nodes)) = self.wrong() else {
                return Some(self.sim.now() - start);
            };
            if self.sim.now() >= end {
                let after = self.sim.now() - start;
                let what = format!("{} s after the last fault, {what}", after.as_secs());
                self.findings.borrow_mut().fail(what, &nodes);
                return None;
            }
            let before = self.sim.now();
            self.run_until(before + LOOK);
            if before.as_millis() / 1_000 != self.sim.now().as_millis() / 1_000 {
                self.second();
                progress(self.progress(true));
            }
        }
    }

    /// Everybody whispers to everybody and shouts to its groups, until all of it arrives and it stays quiet: a connection that hangs
    /// is found out by what is sent over it. How long it took to arrive.
    fn last_words(&mut self, progress: &mut impl FnMut(Progress)) -> [Times; 2] {
        // What was said until now is told apart.
        let mut before = None;
        let end = self.sim.now() + self.options.settling_time();
        loop {
            let nodes: Vec<NodeId> = self.truth().into_values().map(|it| it.node).collect();
            let mut findings = self.findings.borrow_mut();
            let exits = findings.exits;
            let arriving = std::mem::take(&mut findings.arriving);
            before.get_or_insert(arriving);
            drop(findings);
            for node in nodes {
                self.sim.with(node, Guest::call_all);
            }
            let later = self.sim.now() + QUIET;
            self.run_until(later);
            self.reap();
            if self.is_broken() {
                return Default::default();
            }
            let gone = self.findings.borrow().exits != exits;
            let wrong = match self.unheard().or_else(|| self.wrong()) {
                None if gone => Some((format!("EXITs in {QUIET:?}"), Vec::new())),
                wrong => wrong,
            };
            let Some((what, nodes)) = wrong else {
                break;
            };
            if self.sim.now() >= end {
                let what = format!("though nothing happens any more, {what}");
                self.findings.borrow_mut().fail(what, &nodes);
                return Default::default();
            }
            self.second();
            progress(self.progress(true));
        }
        self.second();
        let before = before.unwrap_or_default();
        let answered = std::mem::replace(&mut self.findings.borrow_mut().arriving, before);
        answered.map(Times::new)
    }

    /// Something that was said and did not arrive, if there is anything.
    fn unheard(&self) -> Option<(String, Vec<NodeId>)> {
        let truth = self.truth();
        for (from, speaker) in &truth {
            let guest = self.sim.application(speaker.node);
            for (to, hearer) in truth.iter().filter(|(to, _)| *to != from) {
                let said = guest.sent(*to);
                let heard = self.sim.application(hearer.node).last(*from);
                if said.is_none() || said != heard {
                    let what = format!("{from} said {said:?} to {to}, which heard {heard:?}");
                    return Some((what, vec![speaker.node, hearer.node]));
                }
            }
        }
        None
    }

    /// LANs that see each other without a way from one to the other, if there are any.
    fn unjoined(&self) -> Option<String> {
        let hidden = self.options.hidden();
        let least = hidden * hidden.saturating_sub(1) / 2;
        let joined = self.relay().map_or(0, |relay| relay.pairs().count());
        (joined < least).then(|| {
            format!(
                "{hidden} LANs behind routers see each other, and the relay joins {joined} pairs"
            )
        })
    }

    fn report(mut self, settled: Option<Duration>, answered: [Times; 2]) -> Report {
        // What cannot be written is told by the one who writes.
        let _ = self.sim.finish_trace();
        let wan_octets = self.sim.octets_over(self.wan);
        self.count_relayed();
        let alive = self.alive();
        let mut findings = self.findings.borrow_mut();
        let broken = findings.broken.take().map(|(what, nodes)| Broken {
            seed: self.options.seed,
            at: self.sim.now() - Instant::ZERO,
            what,
            trace: self.sim.last_lines(&nodes, LINES),
        });
        Report {
            seed: self.options.seed,
            time: self.sim.now() - Instant::ZERO,
            processes: self.sim.nodes().count(),
            trace_hash: self.sim.trace_hash(),
            trace_lines: self.sim.trace_lines(),
            counters: *self.sim.counters(),
            said: findings.said,
            heard: findings.heard,
            strays: findings.strays,
            enters: findings.enters,
            exits: findings.exits,
            meeting: std::mem::take(&mut findings.meeting).map(Times::new),
            arriving: std::mem::take(&mut findings.arriving).map(Times::new),
            settled,
            answered,
            alive,
            most_connections: self.most_connections,
            most_stand_ins: self.most_stand_ins,
            wan_octets,
            relayed: self.relayed,
            broken,
        }
    }
}

/// The longest pause between two faults of a kind: some of each even in a short run.
fn pause(options: &Options) -> Duration {
    (options.duration / 4).clamp(Duration::from_secs(4), Duration::from_secs(60))
}

/// The address of the server.
const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));

/// The address of a host on its LAN: all LANs have the same, as households do.
fn inside(n: usize) -> IpAddr {
    let n = u16::try_from(n + 1).unwrap_or(u16::MAX);
    let [high, low] = n.to_be_bytes();
    [192, 168, high, low].into()
}

/// The address of a bridge or a router between the LANs.
fn outside(lan: usize, n: usize) -> IpAddr {
    let [lan, n] = [lan, n].map(|n| u8::try_from(n).unwrap_or(u8::MAX));
    [203, 1, lan, n].into()
}
