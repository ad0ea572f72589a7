//! Directed beacons in the simulated network: over routers, through NATs, and to nodes on ports of their own.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::time::Duration;

use atonce::zre::Beacons;
use atonce::{Config, Event, Text};
use atonce_sim::{NodeId, Odds, Place, Sim};

type Told = Vec<Event>;

fn directed(name: &str) -> Config {
    Config {
        name: Some(Text::try_from(name).unwrap()),
        beacons: Beacons::Directed,
        ..Config::default()
    }
}

fn hearing(port: u16) -> Place {
    Place {
        beacon_port: Some(port),
        ..Place::default()
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn seek(sim: &mut Sim<Told>, node: NodeId, address: &str) {
    let sought = sim.with(node, |_, context| context.beacon(at(address)));
    sought.unwrap().unwrap();
}

fn entered(sim: &Sim<Told>, node: NodeId) -> Vec<String> {
    let told = sim.application(node).iter();
    let names = told.filter_map(|event| match event {
        Event::Enter { peer } => Some(peer.name.to_string()),
        _ => None,
    });
    names.collect()
}

fn hints(sim: &Sim<Told>, node: NodeId) -> usize {
    sim.stack(node).unwrap().usage().hints
}

#[test]
fn a_directed_node_is_met_over_a_router() {
    // ZRE-131, ZRE-133
    let mut sim = Sim::new(1);
    let lans = [sim.segment(), sim.segment()];
    sim.router(&lans);
    let hosts = [
        sim.host(lans[0], [10, 0, 0, 1]),
        sim.host(lans[1], [10, 0, 1, 1]),
    ];
    let server = sim.start(hosts[0], directed("server"), Vec::new());
    let alice = sim.start(hosts[1], directed("alice"), Vec::new());
    let bob = sim.start(hosts[1], directed("bob"), Vec::new());
    // Each has a port of its own.
    let ports = [server, alice, bob].map(|node| sim.beacon_port(node).unwrap());
    assert_eq!(ports, [5_671, 5_671, 5_672]);
    sim.run_for(Duration::from_secs(5));
    seek(&mut sim, alice, "10.0.0.1:5671");
    seek(&mut sim, bob, "10.0.0.1:5671");
    sim.run_for(Duration::from_millis(100));
    assert_eq!(entered(&sim, server).len(), 2);
    assert_eq!(entered(&sim, alice), ["server"]);
    assert_eq!(entered(&sim, bob), ["server"]);
}

#[test]
fn a_lost_beacon_is_said_again() {
    // ZRE-131
    let mut sim = Sim::new(2);
    let lan = sim.segment();
    let hosts = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|address| sim.host(lan, address));
    let server = sim.start_at(hosts[0], &hearing(7_000), directed("server"), Vec::new());
    let alice = sim.start(hosts[1], directed("alice"), Vec::new());
    sim.quality(lan).loss = Odds::ALWAYS;
    seek(&mut sim, alice, "10.0.0.1:7000");
    sim.run_for(Duration::from_millis(500));
    assert_eq!((hints(&sim, server), hints(&sim, alice)), (0, 0));
    sim.quality(lan).loss = Odds::NEVER;
    sim.run_for(Duration::from_secs(2));
    assert_eq!(entered(&sim, alice), ["server"]);
}

#[test]
fn an_answer_finds_one_behind_a_nat_and_nothing_else_does() {
    // ZRE-133. Neither can be dialled by the server: they learn by its answer where it is, and dial.
    let mut sim = Sim::new(3);
    let (inside, outside) = (sim.segment(), sim.segment());
    sim.nat(inside, outside, [203, 0, 113, 9]);
    let hosts = [
        sim.host(inside, [192, 168, 0, 1]),
        sim.host(inside, [192, 168, 0, 2]),
        sim.host(outside, [203, 0, 113, 1]),
        sim.host(outside, [203, 0, 113, 66]),
    ];
    let nodes = [(0, 50_001), (1, 50_002)]
        .map(|(n, port)| sim.start_on(hosts[n], Some(port), directed("inside"), Vec::new()));
    let server = sim.start(hosts[2], directed("server"), Vec::new());
    let stranger = sim.start(hosts[3], directed("stranger"), Vec::new());
    for node in nodes {
        seek(&mut sim, node, "203.0.113.1:5671");
    }
    // 5671 of the NAT is one's, the next free one the other's; for others there is no way in.
    for port in [5_671, 32_768, 32_769] {
        seek(&mut sim, stranger, &format!("203.0.113.9:{port}"));
    }
    sim.run_for(Duration::from_millis(20));
    assert_eq!(hints(&sim, server), 2);
    let dialled = nodes.map(|node| sim.stack(node).unwrap().usage());
    for usage in dialled {
        assert_eq!((usage.hints, usage.links), (1, 1));
    }
}

#[test]
fn one_that_only_says_beacons_hears_none_and_is_introduced() {
    // ZRE-130, ZRE-135, ZRE-136, ZRE-137, ZRE-138, ZRE-139
    let mut sim = Sim::new(4);
    let lan = sim.segment();
    let hosts = [1, 2, 3].map(|n| sim.host(lan, [10, 0, 0, n]));
    let config = |name: &str| Config {
        beacons: Beacons::Say,
        ..directed(name)
    };
    let [says, too] = [0, 1].map(|n| sim.start(hosts[n], config(["says", "too"][n]), Vec::new()));
    assert_eq!(sim.beacon_port(says), None);
    sim.run_for(Duration::from_secs(3));
    assert_eq!(entered(&sim, says).len() + entered(&sim, too).len(), 0);
    let group = Text::try_from("CHAT").unwrap();
    let (id, mailbox) = (
        sim.stack(too).unwrap().id(),
        SocketAddr::from(([10, 0, 0, 2], sim.port(too).unwrap())),
    );
    sim.with(too, |_, context| context.join(&group));
    sim.with(says, |_, context| context.introduce(id, mailbox, None));
    sim.run_for(Duration::from_millis(100));
    assert_eq!(entered(&sim, says), ["too"]);
    let said = sim.with(says, |_, context| context.shout_to(id, &group, "for you"));
    assert_eq!(said, Some(Ok(())));
    sim.run_for(Duration::from_millis(100));
    let heard = |event: &Event| matches!(event, Event::Shout { .. });
    assert_eq!(
        sim.application(too).iter().filter(|it| heard(it)).count(),
        1
    );
    // An ordinary node that ignores one of them meets the other alone.
    let alice = Config {
        beacons: Beacons::Both,
        ..directed("alice")
    };
    let alice = sim.start(hosts[2], alice, Vec::new());
    sim.with(alice, |_, context| context.ignore(mailbox));
    sim.run_for(Duration::from_secs(3));
    assert_eq!(entered(&sim, alice), ["says"]);
    sim.with(alice, |_, context| {
        context.heed(mailbox);
        context.connect_to(mailbox);
        context.disconnect(&mailbox.into());
    });
    sim.run_for(Duration::from_secs(3));
    assert_eq!(entered(&sim, alice), ["says", "too"]);
    sim.with(too, |_, context| context.retire());
    sim.run_for(Duration::from_secs(3));
    assert!(!sim.is_running(too));
    let left = sim.application(says).iter().find_map(|event| match event {
        Event::Exit { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    assert_eq!(left, Some("lost"));
}
