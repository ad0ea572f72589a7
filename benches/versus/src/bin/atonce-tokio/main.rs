//! Our own nodes and sockets as tasks: `atonce-tokio`.

mod sockets;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use atonce_tokio::{Builder, Event, Frames, Node, PeerId};
use atonce_versus::bare::{Dealer, Router, play};
use atonce_versus::crowd::Ear;
use atonce_versus::patterns;
use atonce_versus::{
    Ears, GROUP, Mesh, Role, SHOUTER, Shouter, Watch, begin, keys, reached_at, rest, role,
};
use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    match role() {
        Role::Ears(them) => runtime().block_on(ears(&them)),
        Role::Shouter(it) => runtime().block_on(shouter(&it)),
        Role::Mesh(it) => mesh(&it),
        Role::Pattern(it) => patterns::play::<sockets::Plain>(it),
        role => play::<Caller, Called>(role),
    }
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// One that meets nobody by itself.
fn quiet() -> Builder<Node> {
    Node::builder().interface("lo").port(0)
}

async fn next(node: &Node) -> Event {
    let event = timeout(PATIENCE, node.recv()).await;
    event.expect("something happens").expect("it lives")
}

/// The next content that anybody whispers. Who waits for it waits without a limit: a timer for each message is no part of it.
async fn whisper(node: &Node) -> (PeerId, Frames) {
    loop {
        match node.recv().await.expect("it lives") {
            Event::Whisper { peer, content } => return (peer.id, content),
            Event::Exit { peer, reason } => panic!("{} is gone: {reason}", peer.name),
            _ => {}
        }
    }
}

fn first(content: Frames) -> Bytes {
    content.into_iter().next().expect("it has a frame")
}

/// A node, and whom it talks with.
struct Caller(Node, PeerId);

/// A node with whom others talk.
struct Called(Node);

impl Dealer for Caller {
    async fn connect(address: &str) -> Self {
        let node = keys::secured(quiet(), keys::CALLER).start();
        let node = node.expect("there is a loopback");
        node.connect(keys::contact(address)).expect("an endpoint");
        loop {
            if let Event::Enter { peer } = next(&node).await {
                return Self(node, peer.id);
            }
        }
    }

    async fn send(&mut self, content: Bytes) {
        let sent = self.0.whisper_wait(self.1, content).await;
        sent.expect("it lives");
    }

    async fn recv(&mut self) -> Bytes {
        first(whisper(&self.0).await.1)
    }
}

impl Router for Called {
    type Name = PeerId;

    async fn bind() -> (Self, String) {
        let node = keys::secured(quiet(), keys::CALLED).start();
        let node = node.expect("there is a loopback");
        let address = node.endpoints()[0].clone();
        (Self(node), address)
    }

    async fn recv(&mut self) -> (PeerId, Bytes) {
        let (peer, content) = whisper(&self.0).await;
        (peer, first(content))
    }

    async fn send(&mut self, to: PeerId, content: Bytes) {
        let sent = self.0.whisper_wait(to, content).await;
        sent.expect("it lives");
    }
}

async fn ears(them: &Ears) {
    let mut addresses = them.addresses.clone();
    let watch = Arc::new(OnceLock::new());
    let mut nodes = Vec::new();
    let mut ears = JoinSet::new();
    for _ in 0..them.nodes {
        let node = quiet().group(GROUP).start().expect("there is a loopback");
        for address in &addresses {
            node.connect(address).expect("an endpoint");
        }
        addresses.push(node.endpoints()[0].clone());
        ears.spawn(ear(node.clone(), them.total, Arc::clone(&watch)));
        nodes.push(node);
    }
    reached_at(addresses[them.addresses.len()..].join(" "));
    let heard = ears.join_all().await;
    let watch = watch.get().expect("somebody shouted");
    watch.report(heard.into_iter().sum());
    // Who is gone is missed by nobody only when all are done.
    while !matches!(next(&nodes[0]).await, Event::Exit { .. }) {}
}

/// Says how many shouts it heard.
async fn ear(node: Node, total: usize, watch: Arc<OnceLock<Watch>>) -> usize {
    let mut ear = Ear::new(total, &watch);
    loop {
        let event = node.recv().await.expect("it lives");
        if let Some((peer, answer)) = ear.handle(event) {
            node.whisper(peer, answer).expect("there is room");
        }
        if let Some(heard) = ear.is_done() {
            return heard;
        }
    }
}

async fn shouter(it: &Shouter) {
    let node = quiet().name(SHOUTER).start().expect("there is a loopback");
    for address in &it.addresses {
        node.connect(address).expect("an endpoint");
    }
    let node = &node;
    let answers = |count: usize| async move {
        for _ in 0..count {
            whisper(node).await;
        }
    };
    answers(it.total).await;
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
            answers(owed).await;
            owed = it.total;
        }
    }
    answers(owed).await;
    watch.report(shouting.count);
    node.stop().await;
}

fn mesh(it: &Mesh) {
    let runtime = runtime();
    begin();
    let begun = Instant::now();
    let nodes = runtime.block_on(async {
        let mut meetings = JoinSet::new();
        for _ in 0..it.nodes {
            let node = Node::builder().interface(&it.interface).start();
            meetings.spawn(meet(node.expect("the interface is there"), it.total - 1));
        }
        meetings.join_all().await
    });
    rest(begun.elapsed());
    drop(nodes);
}

/// Until it knows so many at once.
async fn meet(node: Node, peers: usize) -> Node {
    let mut met = 0;
    while met < peers {
        match node.recv().await.expect("it lives") {
            Event::Enter { .. } => met += 1,
            Event::Exit { .. } => met -= 1,
            _ => {}
        }
    }
    node
}
