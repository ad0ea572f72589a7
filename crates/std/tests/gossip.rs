//! Nodes that find each other by gossip, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use atonce::wire::gossip::{Message, Publish};
use atonce::zre::ConnectError as NodeError;
use atonce_std::log::Level;
use atonce_std::socket::{Kind, Socket};
use atonce_std::{
    Builder, Certificate, ConnectError, Event, ExitReason, Frames, HubError, Node, PeerId,
    StartError, Trust,
};
use common::{PATIENCE, free_endpoint, free_port, node, wait_enter, wait_exit, wait_for};

/// Without beacons.
fn quiet(name: &str) -> Builder {
    node(name, 0)
}

fn hub(name: &str) -> Node {
    quiet(name)
        .gossip_bind("tcp://127.0.0.1:0")
        .start()
        .unwrap()
}

fn at(hub: &Node) -> String {
    hub.gossip_endpoints().into_iter().next().unwrap()
}

#[track_caller]
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn wait_met(nodes: &[&Node]) {
    wait_until("all meet", || {
        nodes
            .iter()
            .all(|node| node.peers().len() == nodes.len() - 1)
    });
}

#[test]
fn those_who_come_to_a_hub_meet_each_other_and_each_once() {
    // ZRE-150, ZRE-156
    let hub = hub("hub");
    let nodes: Vec<_> = (0..4)
        .map(|n| {
            let node = quiet(&format!("n{n}")).gossip_connect(at(&hub));
            node.start().unwrap()
        })
        .collect();
    let mut all: Vec<_> = nodes.iter().collect();
    all.push(&hub);
    wait_met(&all);
    for one in &all {
        assert_eq!(one.counters().enters, 4);
        let tuples = one.tuples();
        assert_eq!(tuples.len(), 5);
        let own = tuples.iter().find(|(key, _)| *key == one.id().to_string());
        assert_eq!(own.unwrap().1, one.endpoints()[0]);
    }
    for from in &nodes {
        from.whisper(hub.id(), "hello").unwrap();
        let heard = wait_for(&hub, |event| match event {
            Event::Whisper { peer, content } => Some((peer.id, content)),
            _ => None,
        });
        assert_eq!(heard, (from.id(), Frames::from("hello")));
    }
    // One that leaves is gone everywhere at once, and so is its tuple.
    let gone = nodes[3].id();
    nodes[3].stop();
    for other in [&hub, &nodes[0], &nodes[1], &nodes[2]] {
        assert_eq!(wait_exit(other, gone), ExitReason::Left);
        wait_until("its tuple is gone", || other.tuples().len() == 4);
    }
}

#[test]
fn a_hub_that_was_killed_and_returns_is_told_everything_anew_and_costs_no_peer() {
    // ZRE-155
    let port = free_port();
    let start = || {
        let hub = quiet("hub").gossip_bind(format!("tcp://127.0.0.1:{port}"));
        hub.start().unwrap()
    };
    let first = start();
    let nodes = ["alice", "bob"].map(|name| {
        let node = quiet(name).gossip_connect(at(&first));
        node.start().unwrap()
    });
    wait_met(&[&first, &nodes[0], &nodes[1]]);
    let old = first.id();
    first.stop();
    for node in &nodes {
        wait_exit(node, old);
    }
    let again = start();
    wait_met(&[&again, &nodes[0], &nodes[1]]);
    wait_until("every tuple is back", || again.tuples().len() == 3);
    for node in &nodes {
        // The other, the hub, and the hub again.
        assert_eq!((node.counters().enters, node.counters().exits), (3, 1));
    }
    nodes[0].whisper(nodes[1].id(), "still").unwrap();
    wait_for(&nodes[1], |event| match event {
        Event::Whisper { content, .. } => Some(content),
        _ => None,
    });
}

#[test]
fn a_node_that_knew_of_no_hub_goes_to_one_while_it_runs() {
    // ZRE-158
    let hub = hub("hub");
    let alice = quiet("alice").start().unwrap();
    assert_eq!(alice.tuples(), []);
    for _ in 0..2 {
        alice.gossip_connect(at(&hub)).unwrap();
    }
    wait_met(&[&hub, &alice]);
    // This one has sockets beside it already.
    let bob = quiet("bob").log(Level::INFO).start().unwrap();
    bob.gossip_connect(at(&hub)).unwrap();
    let all = [&hub, &alice, &bob];
    wait_met(&all);
    for one in all {
        wait_until("everybody's tuple is there", || one.tuples().len() == 3);
        assert_eq!((one.counters().enters, one.counters().exits), (2, 0));
    }
    bob.whisper(alice.id(), "hello").unwrap();
    wait_for(&alice, |event| match event {
        Event::Whisper { content, .. } => Some(content),
        _ => None,
    });
    // What was gossip from the beginning or came later, it ends with the node.
    alice.stop();
    for one in [&hub, &bob] {
        assert_eq!(wait_exit(one, alice.id()), ExitReason::Left);
        wait_until("its tuple is gone", || one.tuples().len() == 2);
    }
    let stopped = alice.gossip_connect(at(&hub)).unwrap_err();
    assert!(matches!(
        stopped,
        HubError::Contact(ConnectError::Node(NodeError::Stopped))
    ));
}

#[test]
fn a_node_goes_to_one_hub_more_and_to_each_no_more() {
    // ZRE-158
    let hubs = [hub("north"), hub("south")];
    let [north, south] = hubs.each_ref().map(at);
    let alice = quiet("alice").gossip_connect(&north).start().unwrap();
    wait_met(&[&hubs[0], &alice]);
    // Hubs that know nothing of each other meet over one that goes to both.
    alice.gossip_connect(&south).unwrap();
    wait_met(&[&hubs[0], &hubs[1], &alice]);
    // One of two hubs is left: who is here stays, and nothing of what is said there comes any more.
    alice.gossip_disconnect(&north).unwrap();
    let bob = quiet("bob").gossip_connect(&north).start().unwrap();
    wait_enter(&hubs[0], bob.id());
    let carol = quiet("carol").gossip_connect(&south).start().unwrap();
    wait_enter(&alice, carol.id());
    let has = |node: &Node, of: &Node| {
        let tuples = node.tuples();
        tuples.iter().any(|(key, _)| *key == of.id().to_string())
    };
    assert!(!has(&alice, &bob) && !has(&hubs[1], &bob));
    assert!(has(&hubs[0], &alice) && has(&hubs[1], &alice));
    // With the last one its tuple goes, and with a new one comes again.
    alice.gossip_disconnect(&south).unwrap();
    wait_until("its tuple is gone", || !has(&hubs[1], &alice));
    assert!(alice.peers().len() >= 3 && alice.counters().exits == 0);
    alice.gossip_disconnect(&south).unwrap();
    alice.gossip_connect(&south).unwrap();
    wait_until("its tuple is back", || has(&hubs[1], &alice));
    assert_eq!(alice.counters().exits, 0);
}

#[test]
fn hubs_in_a_cycle_tell_each_other_all_and_everybody_once() {
    let ports = [(); 3].map(|()| free_port());
    let nodes: Vec<_> = (0..3)
        .map(|n| {
            let hub = quiet(&format!("hub{n}"))
                .gossip_bind(format!("tcp://127.0.0.1:{}", ports[n]))
                .gossip_connect(format!("tcp://127.0.0.1:{}", ports[(n + 1) % 3]));
            hub.start().unwrap()
        })
        .collect();
    let leaves: Vec<_> = (0..3)
        .map(|n| {
            let leaf =
                quiet(&format!("leaf{n}")).gossip_connect(format!("tcp://127.0.0.1:{}", ports[n]));
            leaf.start().unwrap()
        })
        .collect();
    let all: Vec<_> = nodes.iter().chain(&leaves).collect();
    wait_met(&all);
    for one in all {
        assert_eq!((one.counters().enters, one.counters().exits), (5, 0));
    }
}

#[test]
fn a_hub_that_does_not_reach_the_hub_it_goes_to_is_one_all_the_same() {
    // ZRE-156
    let nowhere = free_endpoint();
    let hub = quiet("hub")
        .gossip_bind("tcp://127.0.0.1:0")
        .gossip_connect(&nowhere)
        .start()
        .unwrap();
    let alice = quiet("alice")
        .gossip_connect(at(&hub))
        .gossip_connect(&nowhere);
    let alice = alice.start().unwrap();
    wait_met(&[&hub, &alice]);
    // One that is no hub and reaches none has nothing to tell anybody.
    let alone = quiet("alone").gossip_connect(&nowhere).start().unwrap();
    assert_eq!(alone.tuples(), []);
    assert_eq!(hub.tuples().len(), 2);
}

#[test]
fn one_known_by_beacon_gossip_and_contact_enters_once() {
    // ZRE-150
    let port = free_port();
    let hub = node("hub", port)
        .gossip_bind("tcp://127.0.0.1:0")
        .start()
        .unwrap();
    let alice = node("alice", port)
        .gossip_connect(at(&hub))
        .peer(hub.endpoints().remove(0))
        .start()
        .unwrap();
    let bob = node("bob", port).gossip_connect(at(&hub)).start().unwrap();
    wait_met(&[&hub, &alice, &bob]);
    std::thread::sleep(Duration::from_secs(1));
    for one in [&hub, &alice, &bob] {
        assert_eq!((one.counters().enters, one.counters().exits), (2, 0));
    }
}

#[test]
fn a_node_that_comes_back_under_another_uuid_at_its_old_endpoint_enters_once() {
    // ZRE-153
    let hub = hub("hub");
    let (port, watcher) = (free_port(), quiet("watcher").gossip_connect(at(&hub)));
    let watcher = watcher.start().unwrap();
    let start = || quiet("phoenix").tcp_port(port).gossip_connect(at(&hub));
    for round in 0..3 {
        let node = start().start().unwrap();
        wait_enter(&watcher, node.id());
        wait_enter(&hub, node.id());
        node.stop();
        wait_exit(&watcher, node.id());
        assert_eq!(watcher.counters().enters, 2 + round);
    }
    // Its tuples went with it.
    wait_until("no tuple stays behind", || watcher.tuples().len() == 2);
}

/// What a C client tells and is told.
struct Client(Socket);

impl Client {
    fn of(hub: &Node) -> Self {
        let socket = Socket::builder(Kind::Dealer).connect(at(hub));
        let client = Self(socket.open().unwrap());
        client.say(&Message::Hello(None));
        client
    }

    fn say(&self, message: &Message) {
        self.0.send(Frames::from(message.encode())).unwrap();
    }

    fn publish(&self, id: PeerId, value: &str) {
        self.say(&Message::Publish(Publish {
            key: id.to_string().parse().unwrap(),
            value: value.parse().unwrap(),
            ttl: 0,
            stamp: None,
        }));
    }

    /// The key of the next tuple that it is told.
    fn told(&self) -> String {
        loop {
            let message = self.0.recv_timeout(PATIENCE).unwrap().unwrap();
            if let Message::Publish(publish) = Message::decode(&message[0]).unwrap() {
                return publish.key.to_string();
            }
        }
    }
}

#[test]
fn who_will_not_come_back_is_told_nobody_and_whoever_is_here_is_not_taken_back() {
    // ZRE-159
    let hub = hub("hub");
    let alice = quiet("alice").gossip_connect(at(&hub)).start().unwrap();
    wait_met(&[&hub, &alice]);
    let [gone, last] = [1, 2].map(|octet| PeerId::from_bytes([octet; 16]));
    let nowhere = free_endpoint();
    let client = Client::of(&hub);
    client.publish(gone, &nowhere);
    wait_until("it comes", || alice.tuples().len() == 3);
    assert!(hub.gossip_unpublish(gone));
    for other in [gone, last, hub.id(), alice.id()] {
        assert!(!hub.gossip_unpublish(other));
    }
    // Whoever says it again, knowing no better, is not heard.
    client.publish(gone, &nowhere);
    client.publish(last, &nowhere);
    let ids = BTreeSet::from([last, hub.id(), alice.id()].map(|id| id.to_string()));
    wait_until("the last comes", || {
        let tuples = hub.tuples().into_iter();
        tuples.map(|(key, _)| key).collect::<BTreeSet<_>>() == ids
    });
    let late = Client::of(&hub);
    let told: BTreeSet<_> = (0..3).map(|_| late.told()).collect();
    assert_eq!(told, ids);
    assert!(!quiet("alone").start().unwrap().gossip_unpublish(gone));
}

#[test]
fn who_was_at_our_endpoint_before_is_told_nobody() {
    // ZRE-151, ZRE-159
    let hub = hub("hub");
    let [before, absent, last] = [1, 2, 3].map(|octet| PeerId::from_bytes([octet; 16]));
    let (watcher, first) = (Client::of(&hub), Client::of(&hub));
    assert_eq!(watcher.told(), hub.id().to_string());
    let nowhere = free_endpoint();
    first.publish(before, &hub.endpoints()[0]);
    first.publish(absent, &nowhere);
    wait_until("it comes", || hub.tuples().len() == 2);
    // It may come again, and as that of somebody who had another value before.
    first.publish(before, &hub.endpoints()[0]);
    first.publish(absent, &hub.endpoints()[0]);
    wait_until("it goes", || hub.tuples().len() == 1);
    let late = Client::of(&hub);
    assert_eq!(late.told(), hub.id().to_string());
    first.publish(last, &nowhere);
    assert_eq!(late.told(), last.to_string());
    assert_eq!(watcher.told(), absent.to_string());
    assert_eq!(watcher.told(), last.to_string());
    assert_eq!(hub.tuples().len(), 2);
}

#[test]
fn in_a_secure_network_those_whose_keys_are_trusted_gossip_and_nobody_else() {
    let [hubs, alices, mallorys] = [(); 3].map(|()| Certificate::generate().unwrap());
    let friends = || Trust::keys([*hubs.public_key(), *alices.public_key()]);
    let hub = quiet("hub")
        .curve(hubs.clone(), friends())
        .gossip_bind("tcp://127.0.0.1:0")
        .start()
        .unwrap();
    let there = format!("{}|{}", at(&hub), hubs.public_key());
    let alice = quiet("alice")
        .curve(alices.clone(), friends())
        .gossip_connect(&there)
        .start()
        .unwrap();
    wait_met(&[&hub, &alice]);
    let key = alices.public_key();
    let value = format!("{}|{key}", alice.endpoints()[0]);
    assert!(hub.tuples().contains(&(alice.id().to_string(), value)));
    // One that comes to it later is secure there as well.
    let late = quiet("late").curve(alices.clone(), friends());
    let late = late.start().unwrap();
    alice.stop();
    wait_until("alice is gone", || hub.tuples().len() == 1);
    late.gossip_connect(&there).unwrap();
    wait_met(&[&hub, &late]);
    // Those who are not let in tell nothing and are told nothing.
    let mallory = quiet("mallory").curve(mallorys, Trust::any());
    let mallory = mallory.gossip_connect(&there).start().unwrap();
    let plain = quiet("plain").gossip_connect(at(&hub)).start().unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(hub.tuples().len(), 2);
    assert!(mallory.tuples().len() < 2 && plain.tuples().len() < 2);
    assert_eq!(hub.counters().enters, 2);
}

#[test]
fn what_cannot_be_is_told_at_the_start() {
    let refused = |builder: Builder| builder.start().unwrap_err();
    let bad = refused(quiet("bad").gossip_connect("udp://10.0.0.1:1"));
    assert!(matches!(bad, StartError::Beside { .. }), "{bad}");
    let any = refused(quiet("any").gossip_connect("tcp://*:1"));
    assert!(matches!(any, StartError::Beside { .. }), "{any}");
    let key = refused(quiet("key").gossip_connect("tcp://127.0.0.1:1|key"));
    assert!(
        matches!(
            key,
            StartError::Contact {
                source: ConnectError::Key(_),
                ..
            }
        ),
        "{key}"
    );
    let certificate = Certificate::generate().unwrap();
    let there = format!("tcp://127.0.0.1:1|{}", certificate.public_key());
    let plain = refused(quiet("plain").gossip_connect(&there));
    assert!(plain.to_string().contains("not secure"), "{plain}");
    let secure = quiet("secure").curve(certificate, Trust::any());
    let keyless = refused(secure.gossip_connect("tcp://127.0.0.1:1"));
    assert!(
        keyless.to_string().contains("needs the public key"),
        "{keyless}"
    );
    // The same of one that runs.
    let plain = quiet("plain").start().unwrap();
    for wrong in ["udp://10.0.0.1:1", "tcp://*:1", "nowhere"] {
        let wrong = plain.gossip_connect(wrong).unwrap_err();
        assert!(matches!(wrong, HubError::Socket(_)), "{wrong}");
    }
    for (wrong, right) in [
        ("tcp://127.0.0.1:1|key", "behind |"),
        (&*there, "not secure"),
    ] {
        let wrong = plain.gossip_connect(wrong).unwrap_err();
        assert!(wrong.to_string().contains(right), "{wrong}");
    }
    assert!(plain.gossip_disconnect("nowhere").is_err());
    plain.gossip_disconnect("tcp://127.0.0.1:1").unwrap();
    assert_eq!(plain.tuples(), []);
    let taken = hub("first");
    let second = refused(quiet("second").gossip_bind(at(&taken)));
    assert!(
        second.to_string().starts_with("gossip: cannot listen on"),
        "{second}"
    );
}
