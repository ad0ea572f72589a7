//! Our own nodes and sockets on threads: `atonce-std`.

mod sockets;

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use atonce_std::{Builder, Event, Frames, Node, PeerId};
use atonce_versus::crowd::Ear;
use atonce_versus::{
    Ears, GROUP, Load, Mesh, Role, RoundTrips, SHOUTER, Shouter, Watch, announced, announcement,
    begin, keys, reached_at, rest, role,
};
use bytes::Bytes;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    match role() {
        Role::Sink => sink(&node(keys::CALLED)),
        Role::Source(load) => source(&node(keys::CALLER), &load),
        Role::Echo => echo(&node(keys::CALLED)),
        Role::Ping(load) => ping(&node(keys::CALLER), &load),
        Role::Ears(them) => ears(&them),
        Role::Shouter(it) => shouter(&it),
        Role::Mesh(it) => mesh(&it),
        Role::Pattern(it) => sockets::play(it),
        other => panic!("no {other:?} with nodes"),
    }
}

/// One that meets nobody by itself.
fn quiet() -> Builder {
    Node::builder().interface("lo").port(0)
}

fn node(pair: (&str, &str)) -> Node {
    let node = keys::secured(quiet(), pair).start();
    node.expect("there is a loopback")
}

/// The next content that anybody whispers.
fn whisper(node: &Node) -> (PeerId, Frames) {
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

/// Until somebody is gone.
fn until_exit(node: &Node) {
    while !matches!(
        node.recv_timeout(PATIENCE).expect("it goes"),
        Event::Exit { .. }
    ) {}
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
    until_exit(node);
}

fn meet(node: &Node, address: &str) -> PeerId {
    node.connect(keys::contact(address)).expect("an endpoint");
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

fn ears(them: &Ears) {
    let mut addresses = them.addresses.clone();
    let mut nodes = Vec::new();
    for _ in 0..them.nodes {
        let node = quiet().group(GROUP).start().expect("there is a loopback");
        for address in &addresses {
            node.connect(address).expect("an endpoint");
        }
        addresses.push(node.endpoints()[0].clone());
        nodes.push(node);
    }
    reached_at(addresses[them.addresses.len()..].join(" "));
    let watch = &OnceLock::new();
    let heard = thread::scope(|scope| {
        let ear = |node| scope.spawn(move || ear(node, them.total, watch));
        let ears: Vec<_> = nodes.iter().map(ear).collect();
        let heard = ears.into_iter().map(|ear| ear.join().expect("it hears"));
        heard.sum()
    });
    watch.get().expect("somebody shouted").report(heard);
    // Who is gone is missed by nobody only when all are done.
    until_exit(&nodes[0]);
}

/// Says how many shouts it heard.
fn ear(node: &Node, total: usize, watch: &OnceLock<Watch>) -> usize {
    let mut ear = Ear::new(total, watch);
    loop {
        let event = node.recv_timeout(PATIENCE).expect("something happens");
        if let Some((peer, answer)) = ear.handle(event) {
            node.whisper(peer, answer).expect("there is room");
        }
        if let Some(heard) = ear.is_done() {
            return heard;
        }
    }
}

fn shouter(it: &Shouter) {
    let node = quiet().name(SHOUTER).start().expect("there is a loopback");
    for address in &it.addresses {
        node.connect(address).expect("an endpoint");
    }
    let answers = |count: usize| (0..count).for_each(|_| drop(whisper(&node)));
    answers(it.total);
    let content = Bytes::from(vec![7; it.size]);
    let shouting = it.shouting;
    let shout = |content: Bytes| {
        let shouted = node.shout(GROUP, content).expect("it lives");
        assert_eq!(shouted.reached, it.total);
    };
    shout(shouting.announcement().into());
    let watch = Watch::start();
    let mut owed = 0;
    for said in 1..=shouting.count {
        shout(content.clone());
        if shouting.is_answered(said) {
            answers(owed);
            owed = it.total;
        }
    }
    answers(owed);
    watch.report(shouting.count);
}

fn mesh(it: &Mesh) {
    begin();
    let begun = Instant::now();
    let start = |_| Node::builder().interface(&it.interface).start();
    let nodes = (0..it.nodes).map(start).collect::<Result<Vec<_>, _>>();
    let nodes = nodes.expect("the interface is there");
    // One thread looks after all: a short nap where a short time is measured.
    let nap = Duration::from_micros(if it.total < 10 { 100 } else { 2_000 });
    let mut met = vec![0; it.nodes];
    while met.iter().any(|met| *met < it.total - 1) {
        let mut idle = true;
        for (node, met) in nodes.iter().zip(&mut met) {
            while let Some(event) = node.try_recv() {
                idle = false;
                match event {
                    Event::Enter { .. } => *met += 1,
                    Event::Exit { .. } => *met -= 1,
                    _ => {}
                }
            }
        }
        if idle {
            thread::sleep(nap);
        }
    }
    rest(begun.elapsed());
}
