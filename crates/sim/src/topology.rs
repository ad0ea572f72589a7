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
    /// Who listens where.
    pub(crate) listeners: BTreeMap<SocketAddr, NodeId>,
    pub(crate) next_port: u16,
    /// The side of the partition on which it is.
    pub(crate) side: u32,
    /// The multicast groups whose datagrams it takes.
    pub(crate) groups: BTreeSet<IpAddr>,
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) quality: Quality,
    pub(crate) members: BTreeMap<IpAddr, HostId>,
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
    /// Ports of its own from which it has sent datagrams of those inside.
    mapped: BTreeMap<u16, Mapped>,
}

/// A port of a NAT: for whom it is, and who may send to it.
#[derive(Clone, Debug)]
struct Mapped {
    inside: SocketAddr,
    /// Those to whom something was sent from there. Others are not let in.
    partners: BTreeSet<SocketAddr>,
}

impl Nat {
    /// The port from which a datagram of one inside goes out: always the same, its own if nobody else has it.
    fn port_for(&self, inside: SocketAddr) -> Option<u16> {
        let has = self.mapped.iter().find(|(_, it)| it.inside == inside);
        let free =
            |port: &u16| !self.mapped.contains_key(port) && !self.forwards.contains_key(port);
        has.map(|(port, _)| *port).or_else(|| {
            [inside.port()]
                .into_iter()
                .chain(FIRST_PORT..=u16::MAX)
                .find(free)
        })
    }

    /// Where a datagram of this sender goes that is for this port.
    fn inward(&self, from: SocketAddr, port: u16) -> Option<SocketAddr> {
        let mapped = self.mapped.get(&port);
        let mapped = mapped.filter(|mapped| mapped.partners.contains(&from));
        mapped
            .map(|mapped| mapped.inside)
            .or_else(|| self.forwards.get(&port).copied())
    }
}

/// The way from a host to an address.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) to: HostId,
    /// The address at the other end, as that host has it.
    pub(crate) target: SocketAddr,
    /// Our own address.
    pub(crate) local: IpAddr,
    /// Our address as the other end sees it.
    pub(crate) seen: IpAddr,
    pub(crate) interface: usize,
    pub(crate) hops: SmallVec<[SegmentId; 2]>,
    /// Of a datagram: its port as the other end sees it, and the NATs by which it goes out, with who sends it there and from
    /// which of their ports.
    pub(crate) seen_port: Option<u16>,
    pub(crate) outward: SmallVec<[(usize, SocketAddr, u16); 2]>,
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
            listeners: BTreeMap::new(),
            next_port: FIRST_PORT,
            side: 0,
            groups: BTreeSet::new(),
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
            mapped: BTreeMap::new(),
        });
        id
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

    /// The way of a datagram from a port of a host to an address: NATs let the answer in from now on.
    pub(crate) fn route_datagram(
        &mut self,
        from: HostId,
        port: u16,
        target: SocketAddr,
    ) -> Option<Route> {
        let way = self.find(from, Some(port), target)?;
        for (router, inside, port) in &way.outward {
            if let Some(nat) = &mut self.routers[*router].nat {
                let inside = *inside;
                let mapped = nat.mapped.entry(*port).or_insert_with(|| Mapped {
                    inside,
                    partners: BTreeSet::new(),
                });
                mapped.partners.insert(target);
            }
        }
        Some(way)
    }

    /// The way from a host to an address; the search goes over routers, shortest way first.
    pub(crate) fn route(&self, from: HostId, target: SocketAddr) -> Option<Route> {
        self.find(from, None, target)
    }

    /// The way of a connection, or of a datagram from this port.
    pub(crate) fn find(
        &self,
        from: HostId,
        port: Option<u16>,
        target: SocketAddr,
    ) -> Option<Route> {
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
                seen: local,
                interface,
                hops: SmallVec::new(),
                seen_port: port,
                outward: SmallVec::new(),
            });
        }
        let mut ways: Vec<Route> = host
            .interfaces
            .iter()
            .enumerate()
            .map(|(interface, iface)| Route {
                to: from,
                target,
                local: iface.address,
                seen: iface.address,
                interface,
                hops: SmallVec::from_slice(&[iface.segment]),
                seen_port: port,
                outward: SmallVec::new(),
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
                self.cross(router.0 as usize, here, &way, &mut ways);
            }
        }
        None
    }

    fn cross(&self, index: usize, here: SegmentId, way: &Route, ways: &mut Vec<Route>) {
        let router = &self.routers[index];
        let before = way.seen;
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
                let mut way = Route {
                    seen: nat.address,
                    ..over(nat.outside)
                };
                if let Some(port) = way.seen_port {
                    // As the NAT sees it.
                    let inside = SocketAddr::new(before, port);
                    let Some(port) = nat.port_for(inside) else {
                        return;
                    };
                    way.seen_port = Some(port);
                    way.outward.push((index, inside, port));
                }
                ways.push(way);
            }
            Some(nat) if nat.outside == here && nat.address == way.target.ip() => {
                let port = way.target.port();
                let inward = match way.seen_port {
                    Some(seen) => nat.inward(SocketAddr::new(way.seen, seen), port),
                    None => nat.forwards.get(&port).copied(),
                };
                if let Some(target) = inward {
                    ways.push(Route {
                        target,
                        ..over(nat.inside)
                    });
                }
            }
            Some(_) => {}
        }
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
        assert_eq!(route.seen, route.local);
    }

    #[test]
    fn a_nat_hides_the_inside_and_forwards_a_port() {
        let (mut topology, lans, [a, b]) = two_lans();
        let outside: IpAddr = [10, 0, 1, 254].into();
        let nat = topology.add_nat(lans[0], lans[1], outside);
        let out = topology.route(a, at("10.0.1.1:1")).unwrap();
        assert_eq!((out.to, out.seen), (b, outside));
        assert!(topology.route(b, at("10.0.0.1:1")).is_none());
        assert!(topology.route(b, at("10.0.1.254:7")).is_none());
        topology.forward(nat, 7, at("10.0.0.1:49152"));
        let inward = topology.route(b, at("10.0.1.254:7")).unwrap();
        assert_eq!((inward.to, inward.target), (a, at("10.0.0.1:49152")));
    }

    #[test]
    fn a_nat_lets_in_only_the_answers_to_datagrams() {
        let (mut topology, lans, [a, b]) = two_lans();
        let outside: IpAddr = [10, 0, 1, 254].into();
        topology.add_nat(lans[0], lans[1], outside);
        let other = topology.add_host();
        topology.attach(other, lans[0], [10, 0, 0, 2].into());
        let stranger = topology.add_host();
        topology.attach(stranger, lans[1], [10, 0, 1, 2].into());
        let there = at("10.0.1.1:5671");
        // The first has its own port, the second another, and each keeps it.
        let mut seen = || {
            [a, other, a].map(|host| {
                let way = topology.route_datagram(host, 5671, there).unwrap();
                (way.to == b, way.seen, way.seen_port.unwrap())
            })
        };
        let expected = [5671, FIRST_PORT, 5671].map(|port| (true, outside, port));
        assert_eq!(seen(), expected);
        for (port, inside, to) in [
            (5671, "10.0.0.1:5671", a),
            (FIRST_PORT, "10.0.0.2:5671", other),
        ] {
            let to_port = SocketAddr::new(outside, port);
            let answer = topology.route_datagram(b, 5671, to_port).unwrap();
            assert_eq!((answer.to, answer.target), (to, at(inside)));
            // From another port, from another host, and no connection.
            assert!(topology.route_datagram(b, 5670, to_port).is_none());
            assert!(topology.route_datagram(stranger, 5671, to_port).is_none());
            assert!(topology.route(b, to_port).is_none());
        }
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
