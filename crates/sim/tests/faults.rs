//! Each fault by itself, and the network as it is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that is wrong may stop

use std::net::SocketAddr;
use std::time::Duration;

use atonce::endpoint::Endpoint;
use atonce::{Config, Event, Frames};
use atonce_sim::{HostId, NodeId, Odds, Quality, SegmentId, Sim};

type Net = Sim<Vec<Event>>;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Nodes that know each other, on one LAN.
fn met<const N: usize>() -> (Net, SegmentId, [HostId; N], [NodeId; N]) {
    let mut sim = Sim::new(7);
    let lan = sim.segment();
    let mut n = 0;
    let hosts = [(); N].map(|()| {
        n += 1;
        sim.host(lan, [10, 0, 0, n])
    });
    let nodes = hosts.map(|host| sim.start_named(host, "node", Vec::new()));
    sim.run_for(s(2));
    for node in nodes {
        assert_eq!(sim.stack(node).unwrap().peers().count(), N - 1);
        sim.application_mut(node).clear();
    }
    (sim, lan, hosts, nodes)
}

fn whisper(sim: &mut Net, from: NodeId, to: NodeId, content: Frames) -> bool {
    let to = sim.stack(to).unwrap().id();
    sim.with(from, |_, context| context.whisper(to, content).is_ok())
        .unwrap()
}

/// What a node was told, in short.
fn told(sim: &Net, node: NodeId) -> Vec<String> {
    sim.application(node)
        .iter()
        .map(|event| match event {
            Event::Enter { .. } => "enter".into(),
            Event::Exit { reason, .. } => format!("exit {}", reason.as_str()),
            Event::Whisper { content, .. } => format!("{} octets", content.octets()),
            Event::Evasive { .. } => "evasive".into(),
            Event::Silent { .. } => "silent".into(),
            Event::Recovered { .. } => "recovered".into(),
            other => format!("{other:?}"),
        })
        .collect()
}

fn peers(sim: &Net, node: NodeId) -> usize {
    sim.stack(node).unwrap().peers().count()
}

#[test]
fn a_killed_process_is_missed_within_a_second() {
    let (mut sim, _, _, [a, b]) = met();
    sim.kill(b);
    let took = sim.run_until_true(s(5), |sim| peers(sim, a) == 0).unwrap();
    assert!(took < s(1), "{took:?}");
    assert_eq!(told(&sim, a), ["exit lost"]);
    assert!(!sim.is_running(b));
}

#[test]
fn a_host_without_power_is_missed_when_it_expires() {
    let (mut sim, _, hosts, [a, _]) = met();
    sim.power_off(hosts[1]);
    let took = sim.run_until_true(s(60), |sim| peers(sim, a) == 0).unwrap();
    assert!((s(28)..s(33)).contains(&took), "{took:?}");
    assert_eq!(told(&sim, a), ["evasive", "silent", "exit expired"]);
}

#[test]
fn what_waits_during_a_short_partition_arrives_after_it() {
    let (mut sim, _, hosts, [a, b]) = met();
    sim.partition(&hosts[..1]);
    assert!(whisper(&mut sim, a, b, "hello".into()));
    sim.run_for(s(3));
    assert_eq!(told(&sim, b), [""; 0]);
    sim.heal();
    sim.run_for(s(5));
    assert_eq!(told(&sim, b), ["5 octets"]);
}

#[test]
fn what_is_cut_one_way_gets_through_the_other_way() {
    let (mut sim, _, hosts, [a, b]) = met();
    sim.cut_one_way(hosts[0], hosts[1]);
    assert!(whisper(&mut sim, a, b, "a to b".into()));
    assert!(whisper(&mut sim, b, a, "b to a".into()));
    sim.run_for(s(1));
    assert_eq!(told(&sim, a), ["6 octets"]);
    assert_eq!(told(&sim, b), [""; 0]);
    sim.mend(hosts[0], hosts[1]);
    sim.run_for(s(5));
    assert_eq!(told(&sim, b), ["6 octets"]);
}

#[test]
fn a_reset_is_told_and_they_meet_again() {
    let (mut sim, _, _, [a, b]) = met();
    sim.reset(a);
    sim.run_for(s(3));
    for node in [a, b] {
        assert_eq!(told(&sim, node), ["exit lost", "enter"]);
    }
}

#[test]
fn a_message_that_is_swallowed_is_missed_by_its_sequence() {
    let (mut sim, _, _, [a, b]) = met();
    sim.swallow(a, 1);
    assert!(whisper(&mut sim, a, b, "lost".into()));
    sim.run_for(s(1));
    assert!(whisper(&mut sim, a, b, "found".into()));
    sim.run_for(s(3));
    for node in [a, b] {
        assert_eq!(told(&sim, node), ["exit lost", "enter"]);
    }
}

#[test]
fn who_does_not_read_holds_the_writer_back() {
    let (mut sim, _, _, [a, b]) = met();
    sim.set_stalled(b, true);
    let mut sent = 0;
    while whisper(&mut sim, a, b, Frames::from(vec![7; 64 << 10])) {
        sent += 1;
        sim.run_for(ms(1));
    }
    // What fits the queue of the node, and the buffers of both kernels.
    assert!((128..132).contains(&sent), "{sent}");
    sim.set_stalled(b, false);
    sim.run_for(s(5));
    let whole = told(&sim, b)
        .iter()
        .filter(|it| *it == "65536 octets")
        .count();
    assert_eq!(whole, sent);
}

#[test]
fn a_deaf_application_is_told_everything_later() {
    let (mut sim, _, _, [a, b]) = met();
    sim.set_deaf(b, true);
    for _ in 0..10 {
        assert!(whisper(&mut sim, a, b, "hello".into()));
    }
    sim.run_for(s(100));
    assert_eq!(told(&sim, b), [""; 0]);
    sim.set_deaf(b, false);
    assert_eq!(told(&sim, b), ["5 octets"; 10]);
    assert_eq!(told(&sim, a), [""; 0]);
}

#[test]
fn a_suspended_process_is_missed_and_comes_back() {
    let (mut sim, _, _, [a, b]) = met();
    sim.suspend(b);
    sim.run_for(s(8));
    sim.resume(b);
    sim.run_for(s(5));
    assert_eq!(told(&sim, a), ["evasive", "silent", "recovered"]);
    assert_eq!(peers(&sim, b), 1);
}

#[test]
fn another_process_on_the_port_of_a_dead_one_is_another_peer() {
    let (mut sim, _, hosts, [a, b]) = met();
    let port = sim.port(b);
    sim.kill(b);
    let c = sim.start_on(hosts[1], port, Config::default(), Vec::new());
    assert_eq!(sim.port(c), port);
    sim.run_for(s(5));
    assert_eq!(peers(&sim, a), 1);
    let told = told(&sim, a);
    assert!(
        matches!(&told[..], [exit, enter] if exit.starts_with("exit") && enter == "enter")
            || matches!(&told[..], [enter, exit] if enter == "enter" && exit.starts_with("exit")),
        "{told:?}"
    );
    assert_eq!(
        sim.stack(a).unwrap().peers().next().unwrap().peer.id,
        sim.stack(c).unwrap().id()
    );
}

#[test]
fn a_host_that_moves_is_found_again() {
    let (mut sim, _, hosts, [a, b]) = met();
    sim.change_address(hosts[1], 0, [10, 0, 0, 99]);
    sim.run_for(s(120));
    assert_eq!((peers(&sim, a), peers(&sim, b)), (1, 1));
    let view = sim.stack(a).unwrap().peers().next().unwrap();
    assert!(view.peer.endpoint.to_str_lossy().contains("10.0.0.99"));
}

#[test]
fn a_clock_that_jumps_is_survived() {
    let (mut sim, _, hosts, [a, b]) = met();
    sim.advance_clock(hosts[0], s(3_600));
    sim.run_for(s(10));
    assert_eq!((peers(&sim, a), peers(&sim, b)), (1, 1));
}

#[test]
fn what_is_forgotten_on_the_way_is_noticed_by_who_waits_for_an_answer() {
    let (mut sim, _, _, [a, b]) = met();
    sim.blackhole_some(a, Odds::ALWAYS);
    // Beacons still come; that alone must not keep a peer that cannot be spoken to for ever.
    assert!(whisper(&mut sim, a, b, "hello".into()));
    sim.run_for(s(180));
    assert_eq!((peers(&sim, a), peers(&sim, b)), (1, 1));
    sim.application_mut(b).clear();
    assert!(whisper(&mut sim, a, b, "again".into()));
    sim.run_for(s(1));
    assert_eq!(told(&sim, b), ["5 octets"]);
}

#[test]
fn on_a_bad_network_they_meet_and_everything_arrives() {
    let (mut sim, lan, _, [a, b]) = met();
    *sim.quality(lan) = Quality {
        loss: Odds::percent(20),
        duplicate: Odds::percent(20),
        reorder: Odds::percent(20),
        jitter: ms(50),
        bandwidth: Some(100_000),
        ..Quality::default()
    };
    sim.tcp().short_writes = Odds::percent(50);
    sim.tcp().split_reads = Odds::percent(50);
    for n in 0..200 {
        assert!(whisper(&mut sim, a, b, Frames::from(vec![1; n])));
        sim.run_for(ms(20));
    }
    sim.run_for(s(20));
    let expected: Vec<_> = (0..200).map(|n| format!("{n} octets")).collect();
    assert_eq!(told(&sim, b), expected);
    assert!(sim.counters().datagrams_lost > 0 && sim.counters().short_writes > 0);
}

#[test]
fn bandwidth_takes_its_time() {
    let (mut sim, lan, _, [a, b]) = met();
    sim.quality(lan).bandwidth = Some(1_000_000);
    assert!(whisper(&mut sim, a, b, Frames::from(vec![1; 2_000_000])));
    let took = sim
        .run_until_true(s(10), |sim| !told(sim, b).is_empty())
        .unwrap();
    assert!((ms(1_900)..ms(2_200)).contains(&took), "{took:?}");
}

#[test]
fn beacons_stay_on_their_segment_and_connections_cross_a_router() {
    let mut sim: Net = Sim::new(1);
    let lans = [sim.segment(), sim.segment()];
    let hosts = [
        sim.host(lans[0], [10, 0, 0, 1]),
        sim.host(lans[1], [10, 0, 1, 1]),
    ];
    sim.router(&lans);
    let [a, b] = hosts.map(|host| sim.start_named(host, "node", Vec::new()));
    sim.run_for(s(5));
    assert_eq!((peers(&sim, a), peers(&sim, b)), (0, 0));
    let there = SocketAddr::from(([10, 0, 1, 1], sim.port(b).unwrap()));
    sim.with(a, |_, context| context.connect_to(there));
    sim.run_for(s(1));
    assert_eq!((peers(&sim, a), peers(&sim, b)), (1, 1));
}

#[test]
fn a_node_behind_a_nat_is_met_by_its_forwarded_port() {
    let mut sim: Net = Sim::new(1);
    let [inside, outside] = [sim.segment(), sim.segment()];
    let home = sim.host(inside, [192, 168, 0, 2]);
    let far = sim.host(outside, [10, 0, 1, 1]);
    let nat = sim.nat(inside, outside, [10, 0, 1, 254]);
    sim.forward(nat, 7_000, "192.168.0.2:7000".parse().unwrap());
    let advertise: Endpoint = "tcp://10.0.1.254:7000".parse().unwrap();
    let config = Config {
        advertise: Some(advertise),
        ..Config::default()
    };
    let a = sim.start_on(home, Some(7_000), config, Vec::new());
    let b = sim.start_named(far, "far", Vec::new());
    let there = SocketAddr::from(([10, 0, 1, 1], sim.port(b).unwrap()));
    sim.with(a, |_, context| context.connect_to(there));
    sim.run_for(s(2));
    assert_eq!((peers(&sim, a), peers(&sim, b)), (1, 1));
}

#[test]
fn a_name_is_looked_up() {
    let (mut sim, lan, _, [a, _]) = met();
    let other = sim.segment();
    sim.router(&[lan, other]);
    let far = sim.host(other, [10, 0, 9, 9]);
    let c = sim.start_on(far, Some(7_000), Config::default(), Vec::new());
    sim.name(&"far.example".parse().unwrap(), [10, 0, 9, 9]);
    let endpoint: Endpoint = "tcp://far.example:7000".parse().unwrap();
    sim.with(a, |_, context| context.connect(&endpoint));
    sim.run_for(s(1));
    assert_eq!(peers(&sim, c), 1);
}

#[test]
fn a_host_with_two_interfaces_is_one_peer_on_both() {
    let mut sim: Net = Sim::new(1);
    let lans = [sim.segment(), sim.segment()];
    let both = sim.host(lans[0], [10, 0, 0, 1]);
    sim.attach(both, lans[1], [10, 0, 1, 1]);
    let hosts = [
        sim.host(lans[0], [10, 0, 0, 2]),
        sim.host(lans[1], [10, 0, 1, 2]),
    ];
    let middle = sim.start_named(both, "middle", Vec::new());
    let [a, b] = hosts.map(|host| sim.start_named(host, "node", Vec::new()));
    sim.run_for(s(3));
    assert_eq!([middle, a, b].map(|node| peers(&sim, node)), [2, 1, 1]);
}

#[test]
fn several_nodes_live_on_one_host() {
    let mut sim: Net = Sim::new(1);
    let lan = sim.segment();
    let host = sim.host(lan, [10, 0, 0, 1]);
    let nodes = [(); 3].map(|()| sim.start_named(host, "node", Vec::new()));
    sim.run_for(s(2));
    assert_eq!(nodes.map(|node| peers(&sim, node)), [2, 2, 2]);
}

#[test]
fn one_who_is_refused_is_told() {
    let mut sim: Net = Sim::new(1);
    let lan = sim.segment();
    let hosts = [1, 2].map(|n| sim.host(lan, [10, 0, 0, n]));
    let mut config = Config::default();
    config.limits.unproved_links = 0;
    // Every connection that comes next ends the one before: they go on trying, and meet.
    sim.start(hosts[0], config, Vec::new());
    let nodes = [(); 6].map(|()| sim.start_named(hosts[1], "node", Vec::new()));
    let met = sim.run_until_true(s(4), |sim| nodes.iter().all(|node| peers(sim, *node) == 6));
    assert!(met.is_some());
}

#[test]
fn a_node_that_stops_says_goodbye_and_its_process_ends() {
    let (mut sim, _, _, [a, b]) = met();
    sim.with(b, |_, context| context.stop());
    sim.run_for(ms(50));
    assert!(!sim.is_running(b));
    assert_eq!(told(&sim, a), ["exit left"]);
    assert_eq!(sim.application(b).last(), Some(&Event::Stopped));
    assert_eq!(sim.connections(), 0);
}
