//! Our own WHISPER: `atonce-std`.

use std::time::{Duration, Instant};

use atonce_std::{Event, Node, PeerId};
use atonce_versus::{Load, Role, RoundTrips, Watch, announced, announcement, reached_at, role};
use bytes::Bytes;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let node = Node::builder().interface("lo").port(0).start();
    let node = node.expect("there is a loopback");
    match role() {
        Role::Sink => sink(&node),
        Role::Source(load) => source(&node, &load),
        Role::Echo => echo(&node),
        Role::Ping(load) => ping(&node, &load),
    }
    node.stop();
    node.events().for_each(drop);
}

/// The next content that anybody whispers.
fn whisper(node: &Node) -> (PeerId, atonce_std::Frames) {
    loop {
        match node
            .recv_timeout(PATIENCE)
            .expect("somebody says something")
        {
            Event::Whisper { peer, content } => return (peer.id, content),
            Event::Exit { peer, reason } => panic!("{} is gone: {reason}", peer.name),
            _ => {}
        }
    }
}

fn sink(node: &Node) {
    reached_at(&node.endpoints()[0]);
    let (peer, first) = whisper(node);
    let count = announced(&first[0]);
    let watch = Watch::start();
    for _ in 0..count {
        whisper(node);
    }
    watch.report(count);
    node.whisper(peer, "done").expect("there is room");
    // Until the other side is gone.
    while let Some(event) = node.recv_timeout(PATIENCE) {
        if matches!(event, Event::Exit { .. }) {
            break;
        }
    }
}

fn meet(node: &Node, address: &str) -> PeerId {
    node.connect(address).expect("an endpoint");
    loop {
        let event = node.recv_timeout(PATIENCE).expect("it answers");
        if let Event::Enter { peer } = event {
            return peer.id;
        }
    }
}

fn source(node: &Node, load: &Load) {
    let peer = meet(node, &load.address);
    let content = Bytes::from(vec![7; load.size]);
    node.whisper(peer, announcement(load.count))
        .expect("there is room");
    let watch = Watch::start();
    for _ in 0..load.count {
        node.whisper_timeout(peer, content.clone(), PATIENCE)
            .expect("there is room in time");
    }
    whisper(node);
    watch.report(load.count);
}

fn echo(node: &Node) {
    reached_at(&node.endpoints()[0]);
    while let Some(event) = node.recv_timeout(PATIENCE) {
        match event {
            Event::Whisper { peer, content } => {
                node.whisper(peer.id, content).expect("there is room")
            }
            Event::Exit { .. } => return,
            _ => {}
        }
    }
}

fn ping(node: &Node, load: &Load) {
    let peer = meet(node, &load.address);
    let content = Bytes::from(vec![7; load.size]);
    let mut trips = RoundTrips::new(load.count);
    while trips.lacks(load.count) {
        let begun = Instant::now();
        node.whisper(peer, content.clone()).expect("there is room");
        whisper(node);
        trips.note(begun);
    }
    trips.report();
}
