//! Nodes behind address translations, which cannot be dialled and are spoken to on the links that they dialled.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::time::Duration;

use atonce::zre::Beacons;
use atonce::{Config, Event, Frames, Text};
use atonce_sim::{NodeId, Odds, Sim};

type Net = Sim<Vec<Event>>;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config(name: &str) -> Config {
    Config {
        name: Some(Text::try_from(name).unwrap()),
        beacons: Beacons::Directed,
        duplex: true,
        ..Config::default()
    }
}

/// A server, and a node in each of three homes that have the same addresses, who send it beacons.
fn homes(seed: u64) -> (Net, NodeId, [NodeId; 3]) {
    let mut sim = Net::new(seed);
    let outside = sim.segment();
    let far = sim.host(outside, [203, 0, 113, 1]);
    let server = sim.start(far, config("server"), Vec::new());
    let nodes = [1, 2, 3].map(|home| {
        let inside = sim.segment();
        sim.nat(inside, outside, [203, 0, 113, 10 + home]);
        let host = sim.host(inside, [192, 168, 0, 2]);
        sim.start_on(host, Some(50_001), config("home"), Vec::new())
    });
    let ear: SocketAddr = "203.0.113.1:5671".parse().unwrap();
    for node in nodes {
        sim.with(node, |_, context| context.beacon(ear))
            .unwrap()
            .unwrap();
    }
    (sim, server, nodes)
}

fn peers(sim: &Net, node: NodeId) -> usize {
    sim.stack(node).unwrap().peers().count()
}

/// Everybody whispers to everybody; how many whispers each heard.
fn talk(sim: &mut Net, nodes: &[NodeId]) -> Vec<usize> {
    for &node in nodes {
        sim.application_mut(node).clear();
        let peers: Vec<_> = sim
            .stack(node)
            .unwrap()
            .peers()
            .map(|view| view.peer.id)
            .collect();
        sim.with(node, |_, context| {
            for peer in peers {
                context.whisper(peer, Frames::from("hello")).unwrap();
            }
        });
    }
    sim.run_for(s(1));
    let heard = |node: &NodeId| {
        let told = sim.application(*node).iter();
        told.filter(|event| matches!(event, Event::Whisper { .. }))
            .count()
    };
    nodes.iter().map(heard).collect()
}

#[test]
fn homes_with_the_same_addresses_meet_a_server() {
    // ZRE-141
    let (mut sim, server, homes) = homes(1);
    sim.run_for(s(2));
    assert_eq!(peers(&sim, server), 3);
    let all = [&[server][..], &homes].concat();
    assert_eq!(talk(&mut sim, &all), [3, 1, 1, 1]);
    sim.run_for(s(300));
    for node in &all {
        let told = sim.application(*node);
        assert!(
            told.iter()
                .all(|event| matches!(event, Event::Whisper { .. })),
            "{told:?}"
        );
    }
    assert_eq!(sim.stack(server).unwrap().usage().links, 3);
    assert_eq!(talk(&mut sim, &all), [3, 1, 1, 1]);
}

#[test]
fn who_can_be_dialled_by_a_forwarded_port_is() {
    // ZRE-140
    let mut sim = Net::new(1);
    let [inside, outside] = [sim.segment(), sim.segment()];
    let home = sim.host(inside, [192, 168, 0, 2]);
    let far = sim.host(outside, [203, 0, 113, 1]);
    let nat = sim.nat(inside, outside, [203, 0, 113, 9]);
    sim.forward(nat, 7_000, "192.168.0.2:7000".parse().unwrap());
    let config_of_home = Config {
        advertise: Some("tcp://203.0.113.9:7000".parse().unwrap()),
        ..config("home")
    };
    let home = sim.start_on(home, Some(7_000), config_of_home, Vec::new());
    let server = sim.start(far, config("server"), Vec::new());
    let there = SocketAddr::from(([203, 0, 113, 1], sim.port(server).unwrap()));
    sim.with(home, |_, context| context.connect_to(there));
    sim.run_for(s(2));
    assert_eq!((peers(&sim, home), peers(&sim, server)), (1, 1));
    assert_eq!(sim.stack(server).unwrap().usage().links, 2);
}

#[test]
fn they_meet_again_after_whatever_the_network_does() {
    // ZRE-145
    for seed in 0..20 {
        let (mut sim, server, homes) = homes(seed);
        sim.run_for(s(5));
        let hosts = homes.map(|home| sim.host_of(home));
        for (round, at) in (0..4).zip([0, 1, 2, 0]) {
            let faulty = homes[at];
            match (seed + round) % 5 {
                0 => sim.reset(faulty),
                1 => sim.reset(server),
                2 => sim.blackhole_some(server, Odds::ALWAYS),
                3 => sim.partition(&hosts[..2]),
                _ => sim.suspend(faulty),
            }
            sim.run_for(s(1 + 7 * (seed % 6)));
            sim.heal();
            sim.resume(faulty);
            sim.run_for(s(seed % 3));
        }
        sim.run_for(s(90));
        let all = [&[server][..], &homes].concat();
        assert_eq!(talk(&mut sim, &all), [3, 1, 1, 1], "{seed}");
        assert_eq!(sim.stack(server).unwrap().usage().links, 3, "{seed}");
        sim.run_for(s(60));
        assert_eq!(talk(&mut sim, &all), [3, 1, 1, 1], "{seed}");
    }
}
