//! Where something else listens that belongs to a node with several interfaces, as each peer is told it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::time::Duration;

use atonce::log::HEADER;
use atonce::log::logger::{self, Action, Logger, Met};
use atonce::{Config, Event, Text};
use atonce_sim::Sim;

type Net = Sim<Vec<Event>>;

#[test]
fn each_peer_is_told_the_endpoint_on_its_own_link() {
    // ZRE-105, LOG-10
    let mut sim = Net::new(7);
    let homes = [
        (
            ["10.0.0.1", "10.0.0.2"],
            "10.0.0.1:9992",
            "tcp://10.0.0.1:9992",
        ),
        (
            ["10.1.0.1", "10.1.0.2"],
            "10.1.0.1:9992",
            "tcp://10.1.0.1:9992",
        ),
        (
            ["2001:db8::1", "2001:db8::2"],
            "[2001:db8::1]:9992",
            "tcp://[2001:db8::1]:9992",
        ),
    ];
    let segments = homes.map(|_| sim.segment());
    let address = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
    let host = sim.host(segments[0], address(homes[0].0[0]));
    for (segment, (addresses, ..)) in segments.iter().zip(&homes).skip(1) {
        sim.attach(host, *segment, address(addresses[0]));
    }
    let listens: Vec<SocketAddr> = homes.map(|(_, at, _)| at.parse().unwrap()).to_vec();
    let name = Text::try_from(HEADER).unwrap();
    let config = Config {
        name: Some("archive".try_into().unwrap()),
        services: [(name, listens.clone())].into_iter().collect(),
        ..Config::default()
    };
    let archive = sim.start(host, config, Vec::new());
    let nodes = segments
        .iter()
        .zip(&homes)
        .map(|(segment, (addresses, ..))| {
            let host = sim.host(*segment, address(addresses[1]));
            sim.start_named(host, "node", Vec::new())
        });
    let nodes: Vec<_> = nodes.collect();
    sim.run_for(Duration::from_secs(3));
    let archive = sim.stack(archive).unwrap().id();
    for ((node, (.., told)), at) in nodes.into_iter().zip(homes).zip(listens) {
        let stack = sim.stack(node).unwrap();
        let peer = stack.peer(archive).unwrap().peer;
        assert_eq!(peer.headers.get(HEADER).unwrap().to_string(), told);
        // A node that logs finds it there.
        let now = sim.now();
        let mut logger = Logger::new(now, Duration::ZERO, logger::Config::default());
        let met = Met::of(stack, archive).unwrap();
        let event = Event::Enter { peer: peer.clone() };
        logger.handle_event(now, &event, Some(&met));
        let Some(Action::Connect { address, .. }) = logger.poll_action() else {
            panic!("{told} is not followed");
        };
        assert_eq!(address, at);
    }
}
