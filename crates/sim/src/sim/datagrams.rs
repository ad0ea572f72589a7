//! Datagrams: they get lost, come twice, or late.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use atonce::wire::Beacon;
use atonce::{Instant, InterfaceId, PeerId};
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::Sim;
use super::world::{Coming, Datagram, To, World};
use crate::application::{Application, NodeId, Observer};
use crate::topology::{Cargo, HostId, Route, count};
use crate::trace::{self, Kind};

/// Datagrams that a kernel keeps for a process that does not read: as many beacons as fit the usual buffer of Linux.
pub(super) const KEPT: usize = 256;

/// How many hosts are looked at together before they hear a beacon.
const AHEAD: usize = 16;

impl<A: Application, O: Observer> Sim<A, O> {
    pub(super) fn broadcast(&mut self, node: NodeId, interface: InterfaceId, octets: Bytes) {
        let words = [octets.len() as u64, trace::checksum(&octets), 0];
        self.world.say(node, Kind::Broadcast, words);
        let from = self.host_of(node);
        let Some(running) = self.running_mut(node) else {
            return;
        };
        running.broadcasts += 1;
        let Some(running) = self.running(node) else {
            return;
        };
        let mut interfaces = running.interfaces.iter();
        let bound = interfaces.find(|it| it.id == Some(interface));
        let Some(iface) = bound.and_then(|it| {
            let host = self.world.topology.host(from);
            host.interfaces.get(it.index)
        }) else {
            return;
        };
        let segment = iface.segment;
        let port = running.beacon_port;
        let source = SocketAddr::new(iface.address, port);
        let quality = self.world.topology.segment(segment).quality;
        let jitter = self.world.jitter(quality.jitter);
        let at = self.world.now + quality.delay + jitter;
        self.world.topology.segment_mut(segment).octets += octets.len() as u64;
        self.world.post(
            at,
            Datagram {
                from,
                segment,
                source,
                to: To::Everybody,
                port,
                octets,
            },
        );
    }

    /// A node sends a datagram to one address, from where it hears them, if the way leads over this interface.
    pub(super) fn beacon(
        &mut self,
        node: NodeId,
        interface: InterfaceId,
        to: SocketAddr,
        octets: &Bytes,
    ) {
        let from = self.host_of(node);
        let Some(running) = self.running(node) else {
            return;
        };
        let port = running.beacon_port;
        let mut interfaces = running.interfaces.iter();
        let own = interfaces.find(|it| it.id == Some(interface));
        let Some(own) = own.map(|it| it.index) else {
            return;
        };
        let all: SmallVec<[usize; 2]> = running.interfaces.iter().map(|it| it.index).collect();
        let words = [octets.len() as u64, trace::checksum(octets), 0];
        self.world.say(node, Kind::Beacon, words);
        self.world.say(node, Kind::Address, trace::address(to));
        let cargo = Cargo::Datagram(self.world.now, port);
        let topology = &self.world.topology;
        let way = topology.route_over(from, to, cargo, |index| all.contains(&index));
        if let Some(way) = way.filter(|way| way.interface == own) {
            self.world.send_to_one(from, &way, octets);
        }
    }

    /// A datagram reaches its segment, or one host on it.
    pub(super) fn datagram(&mut self, place: u32) {
        let Some(datagram) = self.world.datagrams.try_remove(place as usize) else {
            return;
        };
        let words = [
            datagram.octets.len() as u64,
            trace::checksum(&datagram.octets),
            u64::from(datagram.from.0),
        ];
        if let To::Host(to) = datagram.to {
            return self.deliver(&datagram, words, to);
        }
        let quality = self.world.topology.segment(datagram.segment).quality;
        let plain = quality.loss == crate::Odds::NEVER
            && quality.duplicate == crate::Odds::NEVER
            && quality.reorder == crate::Odds::NEVER;
        let all = &self.world.topology.segment(datagram.segment).members;
        let is_ipv4 = datagram.source.is_ipv4();
        // With room for all at once: how many a filter leaves is not known before.
        let mut members: Vec<HostId> = Vec::with_capacity(all.len());
        let same = all.iter().filter(|(at, _)| at.is_ipv4() == is_ipv4);
        members.extend(same.map(|(_, host)| *host));
        members.dedup();
        if let To::Group(group) = datagram.to {
            members.retain(|host| self.world.topology.host(*host).groups.contains(&group));
        }
        let said_by = Beacon::decode(&datagram.octets).ok();
        let said_by = said_by.map(|beacon| beacon.uuid);
        for (n, to) in members.iter().copied().enumerate() {
            if let (Some(id), 0) = (said_by, n % AHEAD) {
                self.look_ahead(members.iter().skip(n).take(AHEAD), id);
            }
            if plain || to == datagram.from {
                self.deliver(&datagram, words, to);
                continue;
            }
            let chance = &mut self.world.chance;
            if chance.happens(quality.loss) {
                self.world.counters.datagrams_lost += 1;
                let words = [u64::from(datagram.from.0), u64::from(to.0), 0];
                self.world.say_all(Kind::DatagramLost, words);
                continue;
            }
            let twice = chance.happens(quality.duplicate);
            let late = chance.happens(quality.reorder);
            let copies = usize::from(twice) + usize::from(late);
            for _ in 0..copies {
                let after = self.world.jitter(quality.late);
                let copy = Datagram {
                    to: To::Host(to),
                    octets: datagram.octets.clone(),
                    ..datagram
                };
                let at = self.world.now + after;
                self.world.post(at, copy);
            }
            self.world.counters.datagrams_doubled += u64::from(twice);
            self.world.counters.datagrams_late += u64::from(late);
            if !late {
                self.deliver(&datagram, words, to);
            }
        }
    }

    /// Looks up what the nodes on these hosts know of somebody who beacons. This changes nothing, but what they look up for
    /// themselves right afterwards is in the cache then: a thousand nodes that know a thousand peers each do not fit into
    /// it, and the processor waits for many places at once as long as for one.
    fn look_ahead<'a>(&self, hosts: impl Iterator<Item = &'a HostId>, id: PeerId) {
        for host in hosts {
            for ear in &self.world.topology.host(*host).ears {
                let peer = self.stack(ear.node).and_then(|stack| stack.peer(id));
                std::hint::black_box(peer.map(|peer| peer.presence));
            }
        }
    }

    /// A datagram reaches a host, and every process there that listens; `words` is what the trace says of it.
    fn deliver(&mut self, datagram: &Datagram, words: [u64; 3], to: HostId) {
        let world = &mut self.world;
        if world.topology.is_blocked(datagram.from, to) {
            return;
        }
        if let Some(until) = world.topology.held(world.now, datagram.from, to) {
            let copy = Datagram {
                to: To::Host(to),
                octets: datagram.octets.clone(),
                ..*datagram
            };
            return world.post(until, copy);
        }
        let mut next = 0;
        // A node may end by what it hears; the others move up then, and one of them may miss it.
        while let Some(&ear) = self.world.topology.host(to).ears.get(next) {
            next += 1;
            if ear.port != datagram.port || ear.segment != datagram.segment {
                continue;
            }
            let node = ear.node;
            let Some(running) = self.running_mut(node) else {
                continue;
            };
            if running.reads() {
                self.world.say(node, Kind::Datagram, words);
                self.world.counters.datagrams += 1;
                self.hear(node, datagram.source, &datagram.octets);
            } else if running.datagrams.len() < KEPT {
                let kept = (datagram.source, datagram.octets.clone());
                running.datagrams.push_back(kept);
            } else {
                self.world.say(node, Kind::DatagramDropped, [0; 3]);
            }
        }
    }

    /// A process reads a datagram.
    pub(super) fn hear(&mut self, node: NodeId, source: SocketAddr, octets: &[u8]) {
        self.input(node, |engine, now| {
            engine.handle_datagram(now, source, octets);
        });
        self.drain(node);
    }
}

impl World {
    /// Sends a datagram of a program from this port.
    pub(crate) fn send_datagram(
        &mut self,
        from: HostId,
        port: u16,
        to: SocketAddr,
        octets: &Bytes,
    ) {
        let words = [
            u64::from(from.0),
            octets.len() as u64,
            trace::checksum(octets),
        ];
        self.say_all(Kind::Program, words);
        self.say_all(Kind::Address, trace::address(to));
        if !self.topology.host(from).on {
            return;
        }
        let all = match to.ip() {
            IpAddr::V4(Ipv4Addr::BROADCAST) => Some(To::Everybody),
            group if group.is_multicast() => Some(To::Group(group)),
            _ => None,
        };
        if let Some(all) = all {
            let segments = self.topology.host(from).interfaces.iter();
            let segments = segments.filter(|it| it.address.is_ipv4() == to.is_ipv4());
            let segments: Vec<_> = segments.map(|it| (it.segment, it.address)).collect();
            for (segment, address) in segments {
                let quality = self.topology.segment(segment).quality;
                let at = self.now + quality.delay + self.jitter(quality.jitter);
                let source = SocketAddr::new(address, port);
                let octets = octets.clone();
                self.post(
                    at,
                    Datagram {
                        from,
                        segment,
                        source,
                        to: all,
                        port: to.port(),
                        octets,
                    },
                );
            }
        } else {
            let cargo = Cargo::Datagram(self.now, port);
            if let Some(way) = self.topology.route_over(from, to, cargo, |_| true) {
                self.send_to_one(from, &way, octets);
            }
        }
    }

    /// Sends a datagram to one address.
    fn send_to_one(&mut self, from: HostId, way: &Route, octets: &Bytes) {
        self.topology.pass(self.now, way);
        let mut copies: SmallVec<[Instant; 2]> = smallvec![self.now];
        for hop in &way.hops {
            let segment = self.topology.segment_mut(*hop);
            segment.octets += octets.len() as u64;
            let quality = segment.quality;
            if self.chance.happens(quality.loss) {
                self.counters.datagrams_lost += 1;
                return;
            }
            if self.chance.happens(quality.duplicate) {
                self.counters.datagrams_doubled += 1;
                copies.extend(copies.first().copied());
            }
            for at in &mut copies {
                *at += quality.delay;
                if !quality.jitter.is_zero() {
                    *at += self.chance.between(Duration::ZERO, quality.jitter);
                }
                if self.chance.happens(quality.reorder) {
                    self.counters.datagrams_late += 1;
                    *at += self.chance.between(Duration::ZERO, quality.late);
                }
            }
        }
        let interfaces = &self.topology.host(way.to).interfaces;
        let arrives = interfaces.iter().find(|it| it.address == way.target.ip());
        let Some(segment) = arrives.map(|it| it.segment) else {
            return;
        };
        for at in copies {
            let datagram = Datagram {
                from,
                segment,
                source: way.seen,
                to: To::Host(way.to),
                port: way.target.port(),
                octets: octets.clone(),
            };
            self.post(at, datagram);
        }
    }

    fn post(&mut self, at: Instant, datagram: Datagram) {
        let place = count(self.datagrams.insert(datagram));
        self.schedule.push(at, Coming::Datagram(place));
    }

    /// A random length of time up to this.
    pub(super) fn jitter(&mut self, most: Duration) -> Duration {
        if most.is_zero() {
            return most;
        }
        self.chance.between(Duration::ZERO, most)
    }
}
