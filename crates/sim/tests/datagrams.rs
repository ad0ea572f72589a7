//! What other programs send to the port of beacons.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::time::Duration;

use atonce::wire::Beacon;
use atonce::{Bytes, PeerId};
use atonce_sim::{HostId, NodeId, Odds, Sim};

/// The beacon of one who is not there.
fn beacon(octet: u8) -> Bytes {
    let uuid = PeerId::from_bytes([octet; 16]);
    let beacon = Beacon {
        uuid,
        port: 49_152,
        key: None,
    };
    beacon.encode()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Two LANs with a router between them: alice and bob on one, carol on the other, and a program beside alice.
fn two_lans() -> (Sim<()>, [HostId; 4], [NodeId; 3]) {
    let mut sim = Sim::new(1);
    let lans = [sim.segment(), sim.segment()];
    sim.router(&lans);
    let hosts = [
        sim.host(lans[0], [10, 0, 0, 1]),
        sim.host(lans[0], [10, 0, 0, 2]),
        sim.host(lans[1], [10, 0, 1, 3]),
        sim.host(lans[0], [10, 0, 0, 66]),
    ];
    let nodes = [0, 1, 2].map(|n| sim.start_named(hosts[n], "node", ()));
    (sim, hosts, nodes)
}

/// How many hints each of them follows a moment later, beside what they did before.
fn hints(sim: &mut Sim<()>, nodes: [NodeId; 3]) -> [usize; 3] {
    sim.run_for(Duration::from_millis(1));
    nodes.map(|node| sim.stack(node).unwrap().usage().hints)
}

#[test]
fn a_multicast_group_is_those_who_joined_it_and_ends_at_the_router() {
    let (mut sim, hosts, nodes) = two_lans();
    sim.run_for(Duration::from_millis(10));
    for host in [hosts[0], hosts[2]] {
        sim.join_multicast(host, [239, 1, 2, 3]);
    }
    sim.send_datagram(hosts[3], at("239.1.2.3:5670"), beacon(7));
    assert_eq!(hints(&mut sim, nodes), [1, 0, 0]);
    sim.send_datagram(hosts[3], at("239.1.2.4:5670"), beacon(8));
    assert_eq!(hints(&mut sim, nodes), [1, 0, 0]);
}

#[test]
fn a_broadcast_is_for_the_segment_and_one_address_is_reached_over_the_router() {
    let (mut sim, hosts, nodes) = two_lans();
    sim.run_for(Duration::from_millis(10));
    sim.send_datagram(hosts[3], at("255.255.255.255:5670"), beacon(7));
    assert_eq!(hints(&mut sim, nodes), [1, 1, 0]);
    sim.send_datagram(hosts[3], at("10.0.1.3:5670"), beacon(8));
    assert_eq!(hints(&mut sim, nodes), [1, 1, 1]);
}

#[test]
fn nobody_hears_what_goes_to_another_port_or_nowhere_or_is_lost() {
    let (mut sim, hosts, nodes) = two_lans();
    sim.run_for(Duration::from_millis(10));
    sim.send_datagram(hosts[3], at("255.255.255.255:5671"), beacon(7));
    sim.send_datagram(hosts[3], at("10.9.9.9:5670"), beacon(7));
    assert_eq!(hints(&mut sim, nodes), [0, 0, 0]);
    let lan = sim.segment();
    let far = sim.host(lan, [10, 0, 2, 1]);
    let node = sim.start_named(far, "node", ());
    sim.quality(lan).loss = Odds::ALWAYS;
    sim.send_datagram(far, at("255.255.255.255:5670"), "no beacon");
    sim.run_for(Duration::from_millis(1));
    // Its own host hears it: that is no way on which anything is lost.
    assert_eq!(sim.stack(node).unwrap().counters().datagrams_malformed, 1);
}
