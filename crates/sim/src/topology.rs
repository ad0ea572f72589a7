//! Hosts, segments and routers: who reaches whom, and on which way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atonce::Instant;
use smallvec::SmallVec;

use crate::{NodeId, Odds};

/// A machine of a [`Sim`](crate::Sim).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) u32);

/// A LAN of a [`Sim`](crate::Sim): what is broadcast on it reaches everybody on it, and nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub(crate) u32);

/// What joins segments. Broadcasts do not cross it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub(crate) u32);

impl HostId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How good a segment is. What it loses of TCP, TCP sends again: that costs time, and no octets.
///
/// ```
/// use atonce_sim::{Odds, Quality};
/// use std::time::Duration;
///
/// let wlan = Quality {
///     delay: Duration::from_millis(3),
///     jitter: Duration::from_millis(20),
///     loss: Odds::percent(5),
///     bandwidth: Some(2_000_000),
///     ..Quality::default()
/// };
/// assert_eq!(wlan.duplicate, Odds::NEVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// How long everything takes: 200 µs.
    pub delay: Duration,
    /// How much longer it may take: 100 µs.
    pub jitter: Duration,
    /// Octets a second that each host can send: without limit.
    pub bandwidth: Option<u64>,
    /// How likely a datagram, or a segment of TCP, is lost: never.
    pub loss: Odds,
    /// How likely a datagram arrives twice: never.
    pub duplicate: Odds,
    /// How likely a datagram is late, so that others overtake it: never.
    pub reorder: Odds,
    /// How late it is then, at most: 1 s.
    pub late: Duration,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(200),
            jitter: Duration::from_micros(100),
            bandwidth: None,
            loss: Odds::NEVER,
            duplicate: Odds::NEVER,
            reorder: Odds::NEVER,
            late: Duration::from_secs(1),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Iface {
    pub(crate) name: String,
    pub(crate) segment: SegmentId,
    pub(crate) address: IpAddr,
    /// Until when the line is busy with what was sent.
    pub(crate) busy: Instant,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) interfaces: Vec<Iface>,
    pub(crate) on: bool,
    /// How far its clock is ahead of the simulation's.
    pub(crate) ahead: Duration,
    /// Processes that live here.
    pub(crate) nodes: Vec<NodeId>,
    /// Who of them hears datagrams, and which.
    pub(crate) ears: Vec<Ear>,
    /// Who listens where.
    pub(crate) listeners: BTreeMap<SocketAddr, NodeId>,
    pub(crate) next_port: u16,
    /// The side of the partition on which it is.
    pub(crate) side: u32,
    /// The multicast groups whose datagrams it takes.
    pub(crate) groups: BTreeSet<IpAddr>,
    /// Until when its radio stands still.
    pub(crate) held: Instant,
}

/// A socket for datagrams: one for each interface that the node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ear {
    pub(crate) node: NodeId,
    pub(crate) segment: SegmentId,
    pub(crate) port: u16,
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) quality: Quality,
    pub(crate) members: BTreeMap<IpAddr, HostId>,
    /// What was sent over it.
    pub(crate) octets: u64,
    routers: Vec<RouterId>,
}

#[derive(Debug)]
struct Router {
    segments: Vec<SegmentId>,
    nat: Option<Nat>,
}

/// A router that hides a segment behind one address.
#[derive(Clone, Debug)]
struct Nat {
    inside: SegmentId,
    outside: SegmentId,
    address: IpAddr,
    forwards: BTreeMap<u16, SocketAddr>,
    /// What datagrams from inside opened, by the port outside.
    mappings: BTreeMap<u16, Mapping>,
}

/// A port outside that stands for a socket inside.
#[derive(Clone, Debug)]
struct Mapping {
    inside: SocketAddr,
    /// With whom datagrams were exchanged, and when the last time: nobody else gets in.
    others: BTreeMap<SocketAddr, Instant>,
}

/// How long a mapping is kept that nobody uses: routers for homes have half a minute to some minutes.
const IDLE: Duration = Duration::from_secs(60);

impl Mapping {
    fn is_used(&self, now: Instant) -> bool {
        self.others.values().any(|last| now - *last < IDLE)
    }
}

impl Nat {
    /// The port outside that datagrams of a socket inside have or get: the one that leads to it anyway, or its own number if
    /// that is free, as most routers have it.
    fn port_of(&self, now: Instant, inside: SocketAddr) -> u16 {
        let mut used = self.mappings.iter();
        if let Some((port, _)) = used.find(|(_, it)| it.inside == inside && it.is_used(now)) {
            return *port;
        }
        let mut forwards = self.forwards.iter();
        if let Some((port, _)) = forwards.find(|(_, to)| **to == inside) {
            return *port;
        }
        let is_free = |port: &u16| {
            !self.forwards.contains_key(port)
                && self.mappings.get(port).is_none_or(|it| !it.is_used(now))
        };
        let first = inside.port();
        std::iter::once(first)
            .chain(FIRST_PORT..=u16::MAX)
            .find(is_free)
            .unwrap_or(first)
    }

    /// To which socket inside a datagram goes that comes to a port from outside.
    fn inside_of(&self, now: Instant, port: u16, other: SocketAddr) -> Option<SocketAddr> {
        let mapping = self.mappings.get(&port).filter(|it| {
            let last = it.others.get(&other);
            last.is_some_and(|last| now - *last < IDLE)
        });
        let inside = mapping.map(|it| it.inside);
        inside.or_else(|| self.forwards.get(&port).copied())
    }

    /// A datagram passes between a socket inside and one outside.
    fn pass(&mut self, now: Instant, inside: SocketAddr, other: SocketAddr) {
        let port = self.port_of(now, inside);
        let mapping = self.mappings.entry(port);
        let mapping = mapping
            .and_modify(|it| {
                it.others.retain(|_, last| now - *last < IDLE);
                if it.inside != inside {
                    it.inside = inside;
                    it.others.clear();
                }
            })
            .or_insert_with(|| Mapping {
                inside,
                others: BTreeMap::new(),
            });
        mapping.others.insert(other, now);
    }
}

/// What is to get from a host to an address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cargo {
    /// A connection, whose own port is chosen later.
    Stream,
    /// A datagram from this port, now.
    Datagram(Instant, u16),
}

/// A router that hides addresses, and between whom something passed it: inside, and outside.
pub(crate) type Passed = (RouterId, SocketAddr, SocketAddr);

/// The way from a host to an address.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) to: HostId,
    /// The address at the other end, as that host has it.
    pub(crate) target: SocketAddr,
    /// Our own address.
    pub(crate) local: IpAddr,
    /// Our address as the other end sees it; the port is 0 on the way of a stream.
    pub(crate) seen: SocketAddr,
    pub(crate) interface: usize,
    pub(crate) hops: SmallVec<[SegmentId; 2]>,
    /// The translations on the way of a datagram.
    pub(crate) passed: SmallVec<[Passed; 1]>,
}

#[derive(Debug, Default)]
pub(crate) struct Topology {
    pub(crate) hosts: Vec<Host>,
    pub(crate) segments: Vec<Segment>,
    routers: Vec<Router>,
    pub(crate) parted: bool,
    pub(crate) one_way: BTreeSet<(HostId, HostId)>,
}

/// Where clients' ports begin, as on Linux.
const FIRST_PORT: u16 = 32_768;

#[expect(
    clippy::indexing_slicing,
    reason = "hosts, segments and routers are never removed, and their ids come from here"
)]
impl Topology {
    pub(crate) fn add_segment(&mut self, quality: Quality) -> SegmentId {
        self.segments.push(Segment {
            quality,
            members: BTreeMap::new(),
            octets: 0,
            routers: Vec::new(),
        });
        SegmentId(count(self.segments.len()) - 1)
    }

    pub(crate) fn add_host(&mut self) -> HostId {
        self.hosts.push(Host {
            interfaces: Vec::new(),
            on: true,
            ahead: Duration::ZERO,
            nodes: Vec::new(),
            ears: Vec::new(),
            listeners: BTreeMap::new(),
            next_port: FIRST_PORT,
            side: 0,
            groups: BTreeSet::new(),
            held: Instant::ZERO,
        });
        HostId(count(self.hosts.len()) - 1)
    }

    pub(crate) fn attach(&mut self, host: HostId, segment: SegmentId, address: IpAddr) {
        let before = self.segments[segment.0 as usize]
            .members
            .insert(address, host);
        assert!(before.is_none(), "{address} is somebody's already");
        let interfaces = &mut self.hosts[host.index()].interfaces;
        interfaces.push(Iface {
            name: format!("eth{}", interfaces.len()),
            segment,
            address,
            busy: Instant::ZERO,
        });
    }

    pub(crate) fn add_router(&mut self, segments: &[SegmentId]) -> RouterId {
        let id = RouterId(count(self.routers.len()));
        for segment in segments {
            self.segments[segment.0 as usize].routers.push(id);
        }
        self.routers.push(Router {
            segments: segments.to_vec(),
            nat: None,
        });
        id
    }

    pub(crate) fn add_nat(
        &mut self,
        inside: SegmentId,
        outside: SegmentId,
        address: IpAddr,
    ) -> RouterId {
        let id = self.add_router(&[inside, outside]);
        self.routers[id.0 as usize].nat = Some(Nat {
            inside,
            outside,
            address,
            forwards: BTreeMap::new(),
            mappings: BTreeMap::new(),
        });
        id
    }

    /// A router that translates addresses forgets for whom it did; its own address, if it is one.
    pub(crate) fn forget_mappings(&mut self, router: RouterId) -> Option<IpAddr> {
        let nat = self.routers[router.0 as usize].nat.as_mut()?;
        nat.mappings.clear();
        Some(nat.address)
    }

    /// A datagram went this way.
    pub(crate) fn pass(&mut self, now: Instant, way: &Route) {
        for &(router, inside, other) in &way.passed {
            if let Some(nat) = &mut self.routers[router.0 as usize].nat {
                nat.pass(now, inside, other);
            }
        }
    }

    pub(crate) fn forward(&mut self, router: RouterId, port: u16, to: SocketAddr) {
        if let Some(nat) = &mut self.routers[router.0 as usize].nat {
            nat.forwards.insert(port, to);
        }
    }

    pub(crate) fn host(&self, host: HostId) -> &Host {
        &self.hosts[host.index()]
    }

    pub(crate) fn host_mut(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host.index()]
    }

    pub(crate) fn segment(&self, segment: SegmentId) -> &Segment {
        &self.segments[segment.0 as usize]
    }

    pub(crate) fn segment_mut(&mut self, segment: SegmentId) -> &mut Segment {
        &mut self.segments[segment.0 as usize]
    }

    /// The way from a host to an address; the search goes over routers, shortest way first.
    pub(crate) fn route(&self, from: HostId, target: SocketAddr) -> Option<Route> {
        self.route_over(from, target, Cargo::Stream, |_| true)
    }

    /// The same for one thing or another, over those interfaces of the host that may be used.
    pub(crate) fn route_over(
        &self,
        from: HostId,
        target: SocketAddr,
        cargo: Cargo,
        may: impl Fn(usize) -> bool,
    ) -> Option<Route> {
        let port = match cargo {
            Cargo::Stream => 0,
            Cargo::Datagram(_, port) => port,
        };
        let host = self.host(from);
        if let Some(interface) = host
            .interfaces
            .iter()
            .position(|iface| iface.address == target.ip())
        {
            let local = target.ip();
            return Some(Route {
                to: from,
                target,
                local,
                seen: SocketAddr::new(local, port),
                interface,
                hops: SmallVec::new(),
                passed: SmallVec::new(),
            });
        }
        let mut ways: Vec<Route> = host
            .interfaces
            .iter()
            .enumerate()
            .filter(|(interface, _)| may(*interface))
            .filter(|(_, iface)| iface.address.is_ipv4() == target.is_ipv4())
            .map(|(interface, iface)| Route {
                to: from,
                target,
                local: iface.address,
                seen: SocketAddr::new(iface.address, port),
                interface,
                hops: SmallVec::from_slice(&[iface.segment]),
                passed: SmallVec::new(),
            })
            .collect();
        let mut seen: BTreeSet<SegmentId> = BTreeSet::new();
        let mut next = 0;
        while let Some(way) = ways.get(next).cloned() {
            next += 1;
            let Some(&here) = way.hops.last() else {
                continue;
            };
            if !seen.insert(here) {
                continue;
            }
            let segment = self.segment(here);
            if let Some(&to) = segment.members.get(&way.target.ip()) {
                return Some(Route { to, ..way });
            }
            for router in &segment.routers {
                self.cross(*router, here, &way, cargo, &mut ways);
            }
        }
        None
    }

    fn cross(
        &self,
        id: RouterId,
        here: SegmentId,
        way: &Route,
        cargo: Cargo,
        ways: &mut Vec<Route>,
    ) {
        let router = &self.routers[id.0 as usize];
        let over = |segment: SegmentId| {
            let mut way = way.clone();
            way.hops.push(segment);
            way
        };
        match &router.nat {
            None => ways.extend(
                router
                    .segments
                    .iter()
                    .filter(|segment| **segment != here)
                    .map(|segment| over(*segment)),
            ),
            Some(nat) if nat.inside == here => {
                let mut out = over(nat.outside);
                let mut port = 0;
                if let Cargo::Datagram(now, _) = cargo {
                    port = nat.port_of(now, way.seen);
                    out.passed.push((id, way.seen, way.target));
                }
                out.seen = SocketAddr::new(nat.address, port);
                ways.push(out);
            }
            Some(nat) if nat.outside == here && nat.address == way.target.ip() => {
                let port = way.target.port();
                let inside = match cargo {
                    Cargo::Stream => nat.forwards.get(&port).copied(),
                    Cargo::Datagram(now, _) => nat.inside_of(now, port, way.seen),
                };
                if let Some(target) = inside {
                    let mut inward = over(nat.inside);
                    inward.target = target;
                    if matches!(cargo, Cargo::Datagram(..)) {
                        inward.passed.push((id, target, way.seen));
                    }
                    ways.push(inward);
                }
            }
            Some(_) => {}
        }
    }

    /// Until when what is on its way from one host to another waits, when it does: nothing of it is lost.
    pub(crate) fn held(&self, now: Instant, from: HostId, to: HostId) -> Option<Instant> {
        let until = self.host(from).held.max(self.host(to).held);
        (until > now && from != to).then_some(until)
    }

    /// Whether nothing gets from one host to another now.
    pub(crate) fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        let (a, b) = (self.host(from), self.host(to));
        !a.on
            || !b.on
            || (self.parted && a.side != b.side)
            || (!self.one_way.is_empty() && self.one_way.contains(&(from, to)))
    }
}

/// A simulation has fewer things of each kind than an id has room for.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn two_lans() -> (Topology, [SegmentId; 2], [HostId; 2]) {
        let mut topology = Topology::default();
        let lans = [(); 2].map(|()| topology.add_segment(Quality::default()));
        let hosts = [(); 2].map(|()| topology.add_host());
        topology.attach(hosts[0], lans[0], [10, 0, 0, 1].into());
        topology.attach(hosts[1], lans[1], [10, 0, 1, 1].into());
        (topology, lans, hosts)
    }

    #[test]
    fn without_a_router_there_is_no_way() {
        let (topology, _, [a, _]) = two_lans();
        assert!(topology.route(a, at("10.0.1.1:1")).is_none());
    }

    #[test]
    fn a_router_joins_two_segments() {
        let (mut topology, lans, [a, b]) = two_lans();
        topology.add_router(&lans);
        let route = topology.route(a, at("10.0.1.1:1")).unwrap();
        assert_eq!((route.to, &route.hops[..]), (b, &lans[..]));
        assert_eq!(route.seen.ip(), route.local);
    }

    #[test]
    fn a_nat_hides_the_inside_and_forwards_a_port() {
        let (mut topology, lans, [a, b]) = two_lans();
        let outside: IpAddr = [10, 0, 1, 254].into();
        let nat = topology.add_nat(lans[0], lans[1], outside);
        let out = topology.route(a, at("10.0.1.1:1")).unwrap();
        assert_eq!((out.to, out.seen.ip()), (b, outside));
        assert!(topology.route(b, at("10.0.0.1:1")).is_none());
        assert!(topology.route(b, at("10.0.1.254:7")).is_none());
        topology.forward(nat, 7, at("10.0.0.1:49152"));
        let inward = topology.route(b, at("10.0.1.254:7")).unwrap();
        assert_eq!((inward.to, inward.target), (a, at("10.0.0.1:49152")));
    }

    #[test]
    fn a_nat_lets_the_answer_to_a_datagram_in_for_a_while_and_nobody_elses() {
        let (mut topology, lans, [a, b]) = two_lans();
        let other = topology.add_host();
        topology.attach(other, lans[1], [10, 0, 1, 2].into());
        topology.add_nat(lans[0], lans[1], [10, 0, 1, 254].into());
        let way = |topology: &Topology, from, to, port, seconds: u64| {
            let cargo = Cargo::Datagram(Instant::from_millis(seconds * 1_000), port);
            topology.route_over(from, at(to), cargo, |_| true)
        };
        let out = way(&topology, a, "10.0.1.1:5671", 7_000, 0).unwrap();
        assert_eq!(out.seen, at("10.0.1.254:7000"));
        // It is the datagram that opens it, and not the question for the way.
        assert!(way(&topology, b, "10.0.1.254:7000", 5_671, 0).is_none());
        topology.pass(Instant::ZERO, &out);
        let back = way(&topology, b, "10.0.1.254:7000", 5_671, 59).unwrap();
        assert_eq!((back.to, back.target), (a, at("10.0.0.1:7000")));
        assert_eq!(back.seen, at("10.0.1.1:5671"));
        // Another port, another host, another port outside.
        assert!(way(&topology, b, "10.0.1.254:7000", 5_672, 0).is_none());
        assert!(way(&topology, other, "10.0.1.254:7000", 5_671, 0).is_none());
        assert!(way(&topology, b, "10.0.1.254:7001", 5_671, 0).is_none());
        // Too late, unless it was used meanwhile.
        assert!(way(&topology, b, "10.0.1.254:7000", 5_671, 60).is_none());
        topology.pass(Instant::from_millis(59_000), &back);
        assert!(way(&topology, b, "10.0.1.254:7000", 5_671, 118).is_some());
    }

    #[test]
    fn two_sockets_inside_have_two_ports_outside() {
        let (mut topology, lans, [a, b]) = two_lans();
        let twin = topology.add_host();
        topology.attach(twin, lans[0], [10, 0, 0, 2].into());
        let nat = topology.add_nat(lans[0], lans[1], [10, 0, 1, 254].into());
        let now = Instant::ZERO;
        let ports = [a, twin, a].map(|from| {
            let cargo = Cargo::Datagram(now, 7_000);
            let way = topology.route_over(from, at("10.0.1.1:1"), cargo, |_| true);
            let way = way.unwrap();
            topology.pass(now, &way);
            way.seen.port()
        });
        assert_eq!((ports[0], ports[2]), (7_000, 7_000));
        assert_ne!(ports[1], 7_000);
        let cargo = Cargo::Datagram(now, 1);
        let to = SocketAddr::new([10, 0, 1, 254].into(), ports[1]);
        let back = topology.route_over(b, to, cargo, |_| true).unwrap();
        assert_eq!(back.to, twin);
        // It forgets them when it is started anew.
        topology.forget_mappings(nat);
        assert!(topology.route_over(b, to, cargo, |_| true).is_none());
    }

    #[test]
    fn a_partition_and_a_cut_block() {
        let (mut topology, _, [a, b]) = two_lans();
        assert!(!topology.is_blocked(a, b));
        topology.one_way.insert((a, b));
        assert!(topology.is_blocked(a, b) && !topology.is_blocked(b, a));
        topology.one_way.clear();
        topology.parted = true;
        topology.host_mut(b).side = 1;
        assert!(topology.is_blocked(a, b) && topology.is_blocked(b, a));
    }
}
