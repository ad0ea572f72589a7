//! Who comes, who goes, and what goes wrong when.

mod burst;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce::zre::{Curve, Limits};
use atonce::{Instant, PeerId, Stack, Text};

use super::findings::{Findings, How, Serial, Shared};
use super::guest::{self, Guest};
use super::options::{A_THIRD, Fault, GROUPS, Options};
use super::report::{Broken, Report, Times};
use super::tap::Tap;
use super::{address_v6, join};
use crate::schedule::Schedule;
use crate::{Chance, HostId, NodeId, Odds, Sim};

/// How far a run is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// How much time passed in it.
    pub now: Duration,
    /// How long things happen, without the time to settle.
    pub duration: Duration,
    /// Whether it is settling.
    pub settling: bool,
    /// Calls into nodes so far.
    pub inputs: u64,
    /// Connections now.
    pub connections: usize,
    /// Processes that are alive.
    pub alive: usize,
}

/// One run. See [the module](super).
#[derive(Debug)]
pub struct Tester {
    options: Options,
    pub(super) sim: Sim<Guest, Tap>,
    pub(super) findings: Shared,
    chance: Chance,
    pub(super) places: Vec<Option<Tenant>>,
    hosts: Vec<Host>,
    coming: Schedule<Coming>,
    pub(super) groups: Arc<[Text]>,
    next_serial: Serial,
    incarnations: u32,
    next_address: u32,
    alive: usize,
    most_connections: usize,
    /// How long it took until all were led.
    electing: Option<Duration>,
    /// Until when the medium has a bad time.
    calm: Instant,
}

/// A process of the crowd.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenant {
    pub(super) node: NodeId,
    serial: Serial,
    id: PeerId,
}

#[derive(Debug)]
struct Host {
    id: HostId,
    off: bool,
    /// Ports that were in use, the last one at the end.
    freed: Vec<u16>,
}

/// What the plan does next.
#[derive(Clone, Copy, Debug)]
enum Coming {
    Toggle,
    Start(usize),
    Fault(Fault),
    /// The end of a fault.
    Heal,
    Mend(HostId, HostId),
    Hears(NodeId),
    Reads(NodeId),
    Runs(NodeId),
    PowerOn(usize),
    Second,
}

const MS: Duration = Duration::from_millis(1);

/// How long it takes on average until the next of those who are there from the beginning starts.
const EACH: Duration = Duration::from_millis(10);

/// How often it is looked whether everybody sees the truth.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// How long it must stay like that, and how long the last words may take.
pub(super) const QUIET: Duration = Duration::from_secs(15);

/// Lines of the trace that are shown when something is wrong.
const LINES: usize = 80;

impl Tester {
    /// A crowd of which nobody is there yet.
    pub fn new(mut options: Options) -> Self {
        let findings: Shared = Rc::new(RefCell::new(Findings::new(options.steadfast)));
        let tap = Tap::new(Rc::clone(&findings), options.curve);
        let mut sim = Sim::observed(options.seed, tap);
        let faults = &options.faults;
        if faults.has(Fault::ShortIo) {
            options.tcp.short_writes = Odds::percent(10);
            options.tcp.split_reads = Odds::percent(30);
        }
        if faults.has(Fault::Deaf) || faults.has(Fault::Stall) {
            options.tcp.send_buffer = 2 << 10;
            options.tcp.receive_buffer = 2 << 10;
            options.config.limits = Limits {
                send_octets: 4 << 10,
                send_messages: 50,
                receive_octets: 4 << 10,
                receive_octets_total: 64 << 10,
                ..options.config.limits
            };
        }
        let per_host = if faults.has(Fault::PortReuse) { 2 } else { 1 };
        *sim.tcp() = options.tcp;
        let lan = sim.segment_with(options.quality);
        let hosts = (0..options.nodes.div_ceil(per_host))
            .map(|n| Host {
                id: join(&mut sim, lan, address(0, n), n, options.dual_stack),
                off: false,
                freed: Vec::new(),
            })
            .collect();
        let mut chance = Chance::new(options.seed ^ 0x7465_7374_6572);
        let mut coming = Schedule::new();
        coming.push(Instant::from_millis(1_000), Coming::Second);
        if options.toggle {
            coming.push(Instant::from_millis(1), Coming::Toggle);
        }
        // A crowd of a thousand that came in one second would spend it on refusing each other.
        let first = (EACH * u32::try_from(options.nodes).unwrap_or(u32::MAX)).max(1_000 * MS);
        for place in 0..options.nodes {
            // Half of them are there from the beginning.
            if !options.toggle || chance.happens(Odds::percent(50)) {
                let at = Instant::ZERO + chance.between(Duration::ZERO, first);
                coming.push(at, Coming::Start(place));
            }
        }
        for fault in options.faults.iter() {
            let at = Instant::ZERO + chance.between(Duration::ZERO, pause(&options));
            coming.push(at, Coming::Fault(fault));
        }
        Self {
            places: vec![None; options.nodes],
            options,
            sim,
            findings,
            chance,
            hosts,
            coming,
            groups: guest::groups(),
            next_serial: 0,
            incarnations: 0,
            next_address: 0,
            alive: 0,
            most_connections: 0,
            electing: None,
            calm: Instant::ZERO,
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
                return self.report(None);
            }
            let Some((_, coming)) = self.coming.pop() else {
                break;
            };
            self.act(coming, &mut progress);
        }
        self.run_until(end);
        self.end_faults();
        let settled = self.settle(&mut progress);
        if settled.is_some() {
            self.last_words(&mut progress);
        }
        if self.options.contest && settled.is_some() && !self.is_broken() {
            self.electing = self.elect(&mut progress);
        }
        self.report(settled)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.findings.borrow().broken.is_some()
    }

    pub(super) fn run_until(&mut self, end: Instant) {
        // Whether something is wrong is looked at a few times a millisecond.
        while self.sim.now() < end && !self.is_broken() {
            let next = (self.sim.now() + MS).min(end);
            self.sim.run_until(next);
        }
    }

    pub(super) fn progress(&self, settling: bool) -> Progress {
        Progress {
            now: self.sim.now() - Instant::ZERO,
            duration: self.options.duration,
            settling,
            inputs: self.sim.counters().inputs,
            connections: self.sim.connections(),
            alive: self.alive,
        }
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
                self.after(500, 1_000, Coming::Toggle);
                let place = self.chance.index(self.places.len());
                self.toggle(place);
            }
            Coming::Start(place) => {
                self.start(place, None, None);
            }
            Coming::Fault(fault) => {
                let most = pause(&self.options);
                let after = self.chance.between(most / 4, most);
                self.coming
                    .push(self.sim.now() + after, Coming::Fault(fault));
                self.strike(fault);
            }
            Coming::Heal => self.sim.heal(),
            Coming::Mend(from, to) => self.sim.mend(from, to),
            Coming::Hears(node) => self.sim.set_deaf(node, false),
            Coming::Reads(node) => self.sim.set_stalled(node, false),
            Coming::Runs(node) => self.sim.resume(node),
            Coming::PowerOn(host) => self.power_on(host),
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
        let now = self.sim.now();
        self.reap();
        self.findings.borrow_mut().check_missing(now, None);
        if self.places.len() <= 200 || (now.as_millis() / 1_000).is_multiple_of(10) {
            self.check_views();
        }
    }

    /// What applications were told is what their nodes know, when nothing waits to be told.
    fn check_views(&self) {
        for tenant in self.places.iter().flatten() {
            let Some(stack) = self.sim.stack(tenant.node) else {
                continue;
            };
            let guest = self.sim.application(tenant.node);
            if !stack.has_event() && stack.peers().count() != guest.here() {
                let what = format!(
                    "{} has {} peers, and its application was told of {}",
                    stack.name(),
                    stack.peers().count(),
                    guest.here()
                );
                self.findings.borrow_mut().fail(what, &[tenant.node]);
            }
            if let Some(what) = self.oversized(stack) {
                let what = format!("{} holds {what}", stack.name());
                self.findings.borrow_mut().fail(what, &[tenant.node]);
            }
            // Both directions with everybody who was ever here, and what is being made or ends.
            let most = 8 * self.places.len() + 64;
            let links = self.sim.connections_of(tenant.node);
            if links > most {
                let what = format!("{} has {links} connections", stack.name());
                self.findings.borrow_mut().fail(what, &[tenant.node]);
            }
        }
    }

    /// What goes beyond its limit.
    fn oversized(&self, stack: &Stack) -> Option<String> {
        /// The longest message of a guest with its frames, as an event is counted; what is told of a peer by itself is less.
        const MESSAGE: usize = 512;
        /// What a node says by itself to one who does not read: HELLO, PING, JOIN and LEAVE of its own groups.
        const UNASKED: usize = 4 * GROUPS * 16 + 1_024;
        let limits = &self.options.config.limits;
        let usage = stack.usage();
        let told = limits.receive_octets_total + 8 * MESSAGE * (self.places.len() + 100);
        [
            ("peers", usage.peers, limits.peers),
            ("hints", usage.hints, limits.contacts),
            ("links without HELLO", usage.unproved, limits.unproved_links),
            ("octets of events", usage.event_octets, told),
            (
                "octets to a peer",
                usage.longest_queue_octets,
                limits.send_octets + UNASKED,
            ),
            (
                "messages to a peer",
                usage.longest_queue_messages,
                limits.send_messages + UNASKED / 16,
            ),
        ]
        .into_iter()
        .find(|(_, found, limit)| found > limit)
        .map(|(what, found, limit)| format!("{found} {what}, and {limit} are allowed"))
    }

    /// Notes those who ended by themselves.
    pub(super) fn reap(&mut self) {
        for place in 0..self.places.len() {
            if let Some(Some(tenant)) = self.places.get(place).copied()
                && !self.sim.is_running(tenant.node)
            {
                self.gone(place, tenant, How::Stopped);
            }
        }
    }

    fn toggle(&mut self, place: usize) {
        match self.places.get(place).copied().flatten() {
            None => {
                self.start(place, None, None);
            }
            Some(tenant) => {
                let faults = &self.options.faults;
                let kill = faults.has(Fault::Kill) && self.chance.happens(A_THIRD);
                if kill {
                    self.kill(place, tenant);
                } else {
                    self.stop(place, tenant);
                }
            }
        }
    }

    fn per_host(&self) -> usize {
        self.places.len().div_ceil(self.hosts.len().max(1)).max(1)
    }

    fn start(&mut self, place: usize, identity: Option<Tenant>, port: Option<u16>) -> bool {
        let at = place / self.per_host();
        let reuse = self.options.faults.has(Fault::PortReuse);
        let Some(host) = self.hosts.get_mut(at).filter(|host| !host.off) else {
            return false;
        };
        if self.places.get(place).copied().flatten().is_some() {
            return false;
        }
        let port = port.or_else(|| if reuse { host.freed.pop() } else { None });
        let host = host.id;
        let (serial, id) = match identity {
            Some(tenant) => (tenant.serial, tenant.id),
            None => {
                let serial = self.next_serial;
                self.next_serial += 1;
                let seed = self.chance.seed();
                let random = seed.first_chunk().copied().unwrap_or_default();
                (serial, guest::identity(serial, random))
            }
        };
        self.incarnations += 1;
        let mut config = self.options.config.clone();
        config.uuid = Some(id);
        config.name = guest::name(serial, self.incarnations).try_into().ok();
        if self.options.curve {
            // Whoever comes back with its identity has its key.
            let keys = KeyPair::generate(guest::seed(self.options.seed, serial));
            config.curve = Some(Curve::new(Arc::new(keys)));
        }
        let guest = Guest::new(
            serial,
            self.incarnations,
            self.options.shouts,
            self.options.contest,
            !self.options.chatter,
            Arc::clone(&self.groups),
            Rc::clone(&self.findings),
        );
        let mut findings = self.findings.borrow_mut();
        findings.started.insert(serial, self.sim.now());
        findings.ended.remove(&serial);
        drop(findings);
        let node = self.sim.start_on(host, port, config, guest);
        self.findings.borrow_mut().lives.insert(serial, node);
        if let Some(place) = self.places.get_mut(place) {
            *place = Some(Tenant { node, serial, id });
        }
        self.alive += 1;
        true
    }

    fn gone(&mut self, place: usize, tenant: Tenant, how: How) {
        if let Some(place) = self.places.get_mut(place) {
            *place = None;
        }
        self.alive -= 1;
        let mut findings = self.findings.borrow_mut();
        findings.lives.remove(&tenant.serial);
        findings
            .ended
            .entry(tenant.serial)
            .or_insert((self.sim.now(), how));
        findings.forget(tenant.serial);
    }

    fn free_port(&mut self, place: usize, node: NodeId) -> Option<u16> {
        let port = self.sim.port(node);
        let at = place / self.per_host();
        if let (Some(host), Some(port)) = (self.hosts.get_mut(at), port) {
            host.freed.push(port);
            if host.freed.len() > 8 {
                host.freed.remove(0);
            }
        }
        port
    }

    fn stop(&mut self, place: usize, tenant: Tenant) {
        self.free_port(place, tenant.node);
        self.release(tenant.node);
        self.sim.with(tenant.node, |_, context| context.stop());
        self.gone(place, tenant, How::Stopped);
    }

    fn kill(&mut self, place: usize, tenant: Tenant) -> Option<u16> {
        let port = self.free_port(place, tenant.node);
        self.sim.kill(tenant.node);
        self.gone(place, tenant, How::Killed);
        port
    }

    /// Whatever holds the process back ends.
    fn release(&mut self, node: NodeId) {
        self.sim.resume(node);
        self.sim.set_deaf(node, false);
        self.sim.set_stalled(node, false);
    }

    fn somebody(&mut self) -> Option<(usize, Tenant)> {
        let all: Vec<_> = self
            .places
            .iter()
            .enumerate()
            .filter_map(|(place, tenant)| tenant.map(|tenant| (place, tenant)))
            .collect();
        self.chance.pick(&all)
    }

    fn strike(&mut self, fault: Fault) {
        let Some((place, tenant)) = self.somebody() else {
            return;
        };
        let node = tenant.node;
        match fault {
            Fault::Partition => {
                let hosts: Vec<HostId> = self.hosts.iter().map(|host| host.id).collect();
                let side: Vec<_> = hosts
                    .into_iter()
                    .filter(|_| self.chance.happens(Odds::percent(50)))
                    .collect();
                self.sim.partition(&side);
                let long = self.chance.happens(Odds::percent(20));
                self.after(100, if long { 80_000 } else { 20_000 }, Coming::Heal);
            }
            Fault::OneWay => {
                let from = self.sim.host_of(node);
                let other = self
                    .somebody()
                    .map(|(_, other)| self.sim.host_of(other.node));
                if let Some(to) = other.filter(|to| *to != from) {
                    self.sim.cut_one_way(from, to);
                    self.after(100, 20_000, Coming::Mend(from, to));
                }
            }
            Fault::Reset => self.sim.reset_some(node, A_THIRD),
            Fault::Blackhole => self.sim.blackhole_some(node, A_THIRD),
            Fault::Kill => {
                self.kill(place, tenant);
                self.after(100, 20_000, Coming::Start(place));
            }
            Fault::PowerOff => self.power_off(place),
            Fault::PortReuse => {
                let port = self.kill(place, tenant);
                let at = place / self.per_host();
                if let Some(host) = self.hosts.get_mut(at) {
                    host.freed.pop();
                }
                self.start(place, None, port);
            }
            Fault::SameIdentity => {
                let port = self.kill(place, tenant);
                let same = self.chance.happens(Odds::percent(50));
                self.start(place, Some(tenant), port.filter(|_| same));
            }
            Fault::Deaf => {
                self.sim.set_deaf(node, true);
                self.after(500, 40_000, Coming::Hears(node));
            }
            Fault::Stall => {
                self.sim.set_stalled(node, true);
                self.after(500, 40_000, Coming::Reads(node));
            }
            Fault::Suspend => {
                self.sim.suspend(node);
                self.after(500, 40_000, Coming::Runs(node));
            }
            Fault::AddressChange => {
                let host = self.sim.host_of(node);
                self.next_address += 1;
                let n = self.next_address as usize;
                // Either of its addresses, where it has two.
                if self.options.dual_stack && self.chance.happens(Odds::percent(50)) {
                    let address = address_v6(self.options.nodes + n);
                    self.sim.change_address(host, 1, address);
                } else {
                    self.sim.change_address(host, 0, address(1, n));
                }
            }
            Fault::ClockJump => {
                let host = self.sim.host_of(node);
                let by = self.chance.between(100 * MS, 60_000 * MS);
                self.sim.advance_clock(host, by);
            }
            Fault::ShortIo => {}
            Fault::Swallow => self.sim.swallow(node, 1),
            Fault::Burst => self.burst(),
        }
    }

    fn power_off(&mut self, place: usize) {
        let at = place / self.per_host();
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        host.off = true;
        host.freed.clear();
        let id = host.id;
        self.sim.power_off(id);
        for place in 0..self.places.len() {
            if let Some(Some(tenant)) = self.places.get(place).copied()
                && self.sim.host_of(tenant.node) == id
            {
                self.gone(place, tenant, How::PoweredOff);
            }
        }
        self.after(1_000, 60_000, Coming::PowerOn(at));
    }

    fn power_on(&mut self, at: usize) {
        if let Some(host) = self.hosts.get_mut(at)
            && std::mem::take(&mut host.off)
        {
            self.sim.power_on(host.id);
            let per_host = self.per_host();
            for place in at * per_host..(at + 1) * per_host {
                self.after(0, 5_000, Coming::Start(place));
            }
        }
    }

    // ---- the end

    fn end_faults(&mut self) {
        self.sim.heal();
        while let Some((_, coming)) = self.coming.pop() {
            match coming {
                Coming::Mend(from, to) => self.sim.mend(from, to),
                Coming::PowerOn(host) => self.power_on(host),
                _ => {}
            }
        }
        for tenant in self.places.clone().into_iter().flatten() {
            self.release(tenant.node);
        }
        for tenant in self.places.clone().into_iter().flatten() {
            self.sim.application_mut(tenant.node).quiet = true;
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
            let Some(wrong) = self.wrong() else {
                return Some(self.sim.now() - start);
            };
            if self.sim.now() >= end {
                let (what, nodes) = wrong;
                let after = self.sim.now() - start;
                let what = format!("{} s after the last fault, {what}", after.as_secs());
                self.findings.borrow_mut().fail(what, &nodes);
                return None;
            }
            let before = self.sim.now();
            self.run_until(before + LOOK);
            if before.as_millis() / 1_000 != self.sim.now().as_millis() / 1_000 {
                self.most_connections = self.most_connections.max(self.sim.connections());
                progress(self.progress(true));
            }
        }
    }

    /// Something that somebody sees and is not true, if there is anything.
    fn wrong(&self) -> Option<(String, Vec<NodeId>)> {
        let truth: BTreeMap<Serial, (NodeId, u16)> = self
            .places
            .iter()
            .flatten()
            .filter_map(|tenant| {
                let stack = self.sim.stack(tenant.node)?;
                Some((tenant.serial, (tenant.node, Guest::bits(stack.groups()))))
            })
            .collect();
        for (serial, (node, _)) in &truth {
            let guest = self.sim.application(*node);
            if guest.here() + 1 != truth.len() {
                // Who it is that one has too few or too many is found below, or is long gone.
                let missing = truth
                    .iter()
                    .find(|(other, (_, groups))| *other != serial && !guest.sees(**other, *groups));
                let mut nodes = vec![*node];
                nodes.extend(missing.map(|(_, (node, _))| *node));
                let what = format!(
                    "{serial} sees {} of {} peers; {:?} not, or not in its groups",
                    guest.here(),
                    truth.len() - 1,
                    missing.map(|(serial, _)| serial)
                );
                return Some((what, nodes));
            }
            for (other, (there, groups)) in &truth {
                if other != serial && !guest.sees(*other, *groups) {
                    let what = format!("{serial} does not see {other} in its groups");
                    return Some((what, vec![*node, *there]));
                }
            }
        }
        None
    }

    /// Everybody whispers to everybody, until all of it arrives and it stays quiet: a connection that hangs is found out by what
    /// is sent over it.
    fn last_words(&mut self, progress: &mut impl FnMut(Progress)) {
        let end = self.sim.now() + self.options.settling_time();
        loop {
            let tenants: Vec<Tenant> = self.places.iter().flatten().copied().collect();
            let exits = self.findings.borrow().exits;
            for tenant in &tenants {
                self.sim.with(tenant.node, Guest::call_all);
            }
            let later = self.sim.now() + QUIET;
            self.run_until(later);
            self.reap();
            if self.is_broken() {
                return;
            }
            let exits = self.findings.borrow().exits - exits;
            let wrong = match self.unheard(&tenants).or_else(|| self.wrong()) {
                None if exits > 0 => Some((format!("{exits} EXITs in {QUIET:?}"), Vec::new())),
                wrong => wrong,
            };
            let Some((what, nodes)) = wrong else {
                break;
            };
            if self.sim.now() >= end {
                let what = format!("though nothing happens any more, {what}");
                self.findings.borrow_mut().fail(what, &nodes);
                return;
            }
            progress(self.progress(true));
        }
        let now = self.sim.now();
        self.check_views();
        self.findings
            .borrow_mut()
            .check_missing(now, Some(Duration::ZERO));
    }

    /// Something that was whispered and did not arrive, if there is anything.
    fn unheard(&self, tenants: &[Tenant]) -> Option<(String, Vec<NodeId>)> {
        for from in tenants {
            let guest = self.sim.application(from.node);
            for to in tenants.iter().filter(|to| to.serial != from.serial) {
                let said = guest.whispered(to.serial);
                let heard = self.sim.application(to.node).heard(from.serial);
                if said.is_none() || said != heard {
                    let what = format!(
                        "{} whispered {said:?} to {}, which heard {heard:?}",
                        from.serial, to.serial
                    );
                    return Some((what, vec![from.node, to.node]));
                }
            }
        }
        None
    }

    fn report(mut self, settled: Option<Duration>) -> Report {
        // What cannot be written is told by the one who writes.
        let _ = self.sim.finish_trace();
        let mut findings = self.findings.borrow_mut();
        let [leaving, dying, vanishing] = std::mem::take(&mut findings.noticing).map(Times::new);
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
            messages: findings.on_wire,
            enters: findings.enters,
            exits: findings.exits,
            exits_of_the_living: findings.exits_of_the_living,
            meeting: Times::new(std::mem::take(&mut findings.meeting)),
            leaving,
            dying,
            vanishing,
            settled,
            electing: self.electing,
            alive: self.alive,
            connections: self.sim.connections(),
            most_connections: self.most_connections,
            broken,
        }
    }
}

/// The longest pause between two faults of a kind: some of each even in a short run.
fn pause(options: &Options) -> Duration {
    (options.duration / 8).clamp(Duration::from_secs(2), Duration::from_secs(30))
}

/// The address of a host, of the first or of a later kind.
fn address(kind: u8, n: usize) -> IpAddr {
    let n = u16::try_from(n + 1).unwrap_or(u16::MAX);
    let [high, low] = n.to_be_bytes();
    [10, kind, high, low].into()
}
