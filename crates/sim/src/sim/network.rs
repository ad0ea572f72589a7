//! What a network is made of, as whoever builds it says: segments, hosts, routers and names.

use std::net::{IpAddr, SocketAddr};

use atonce::endpoint::HostName;
use bytes::Bytes;

use super::Sim;
use super::launching::BEACON_PORT;
use crate::application::{Application, Observer};
use crate::tcp::Tcp;
use crate::topology::{HostId, Quality, RouterId, SegmentId};

impl<A: Application, O: Observer> Sim<A, O> {
    /// A LAN of [the usual quality](Quality::default).
    pub fn segment(&mut self) -> SegmentId {
        self.segment_with(Quality::default())
    }

    /// A LAN of this quality.
    pub fn segment_with(&mut self, quality: Quality) -> SegmentId {
        self.world.topology.add_segment(quality)
    }

    /// A host with one interface.
    ///
    /// # Panics
    ///
    /// When another host of the segment has the address.
    pub fn host(&mut self, segment: SegmentId, address: impl Into<IpAddr>) -> HostId {
        let host = self.world.topology.add_host();
        self.attach(host, segment, address);
        host
    }

    /// One more interface of a host. Only nodes that are started later use it.
    ///
    /// # Panics
    ///
    /// When another host of the segment has the address.
    pub fn attach(&mut self, host: HostId, segment: SegmentId, address: impl Into<IpAddr>) {
        self.world.topology.attach(host, segment, address.into());
    }

    /// A router that joins segments: connections get across, broadcasts do not.
    pub fn router(&mut self, segments: &[SegmentId]) -> RouterId {
        self.world.topology.add_router(segments)
    }

    /// A router that hides `inside` behind one address of its own on `outside`, as those in households do: connections can be
    /// made from inside alone, and a datagram from inside opens a port, of the same number when that is free, by which others come
    /// back from where it went and from nowhere else, until none passed for 60 s.
    pub fn nat(
        &mut self,
        inside: SegmentId,
        outside: SegmentId,
        address: impl Into<IpAddr>,
    ) -> RouterId {
        self.world.topology.add_nat(inside, outside, address.into())
    }

    /// Lets a port of a NAT's own address lead to a mailbox inside, and to the socket for datagrams of the same number.
    pub fn forward(&mut self, router: RouterId, port: u16, to: SocketAddr) {
        self.world.topology.forward(router, port, to);
    }

    /// A name that every host can look up.
    pub fn name(&mut self, name: &HostName, address: impl Into<IpAddr>) {
        self.world
            .names
            .insert(name.as_str().to_owned(), address.into());
    }

    /// Lets a host take the datagrams of a multicast group, on all its segments, as programs ask their kernel to.
    ///
    /// # Panics
    ///
    /// When the address is none of a group.
    pub fn join_multicast(&mut self, host: HostId, group: impl Into<IpAddr>) {
        self.world.join_multicast(host, group.into());
    }

    /// Another program on a host sends a datagram: to one address, to everybody on its segments (255.255.255.255), or to a
    /// multicast group there, which no router passes on, from those of its addresses that are of the same family. Nodes hear what is sent to the port of beacons, 5670, and those that
    /// are directed what is sent to [their own](Sim::beacon_port). It fares as the segments' quality has it.
    ///
    /// ```
    /// use atonce_sim::Sim;
    /// use std::time::Duration;
    ///
    /// let mut sim = Sim::new(1);
    /// let lan = sim.segment();
    /// let (alice, mallory) = (sim.host(lan, [10, 0, 0, 1]), sim.host(lan, [10, 0, 0, 66]));
    /// let node = sim.start_named(alice, "alice", ());
    /// sim.send_datagram(mallory, ([255; 4], 5670).into(), "no beacon");
    /// sim.run_for(Duration::from_millis(1));
    /// let alice = sim.stack(node).expect("nobody stopped it");
    /// assert_eq!(alice.counters().datagrams_malformed, 1);
    /// ```
    pub fn send_datagram(&mut self, from: HostId, to: SocketAddr, octets: impl Into<Bytes>) {
        self.world
            .send_datagram(from, BEACON_PORT, to, &octets.into());
    }

    /// How the hosts' TCP behaves, from now on.
    pub const fn tcp(&mut self) -> &mut Tcp {
        &mut self.world.tcp
    }

    /// How good a segment is, from now on.
    pub fn quality(&mut self, segment: SegmentId) -> &mut Quality {
        &mut self.world.topology.segment_mut(segment).quality
    }
}
