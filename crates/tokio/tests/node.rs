//! Nodes as tasks, over real sockets. Everything stays on the loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

#[path = "../../std/tests/common/handler.rs"]
mod handler;
#[path = "../../std/tests/common/loopback.rs"]
mod loopback;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use atonce::wire::zap::Outcome;
use atonce_tokio::{
    Beacons, Builder, Certificate, Denial, Event, ExitReason, Frames, Limits, Node, PeerId,
    SendError, StartError, Trust, Verdict,
};
use futures_core::Stream;
use handler::{Handler, Say, allowed, key};
use loopback::{PATIENCE, free_port};
use tokio::time::{sleep, timeout};

fn node(name: &str, port: u16) -> Builder<Node> {
    Node::builder()
        .name(name)
        .interface("lo")
        .port(port)
        .interval(Duration::from_millis(200))
}

/// Receives until an event of this kind comes; others are dropped.
async fn wait_for<T>(node: &Node, mut want: impl FnMut(Event) -> Option<T>) -> T {
    let wanted = async {
        while let Some(event) = node.recv().await {
            if let Some(wanted) = want(event) {
                return wanted;
            }
        }
        panic!("{node:?} ended");
    };
    match timeout(PATIENCE, wanted).await {
        Ok(wanted) => wanted,
        Err(_) => panic!(
            "it did not happen in time at {node:?}; peers: {:?}",
            node.peers()
        ),
    }
}

async fn wait_enter(node: &Node, peer: PeerId) {
    wait_for(node, |event| match event {
        Event::Enter { peer: entered } if entered.id == peer => Some(()),
        _ => None,
    })
    .await;
}

async fn wait_whisper(node: &Node) -> Frames {
    wait_for(node, |event| match event {
        Event::Whisper { content, .. } => Some(content),
        _ => None,
    })
    .await
}

async fn wait_exit(node: &Node) -> ExitReason {
    wait_for(node, |event| match event {
        Event::Exit { reason, .. } => Some(reason),
        _ => None,
    })
    .await
}

async fn pair(limits: Limits) -> (Node, Node) {
    let port = free_port();
    let alice = node("alice", port).limits(limits.clone()).start().unwrap();
    let bob = node("bob", port).limits(limits).start().unwrap();
    wait_enter(&alice, bob.id()).await;
    wait_enter(&bob, alice.id()).await;
    (alice, bob)
}

async fn nodes_meet_talk_and_leave() {
    let (alice, bob) = pair(Limits::default()).await;
    bob.join("CHAT").unwrap();
    wait_for(&alice, |event| {
        matches!(event, Event::Join { .. }).then_some(())
    })
    .await;
    assert_eq!(alice.peers_in("CHAT").len(), 1);
    assert_eq!(alice.peers_by_name("bob").len(), 1);
    let content = Frames::from_iter(["one", "two"]);
    assert_eq!(alice.shout("CHAT", content.clone()).unwrap().reached, 1);
    alice.whisper(bob.id(), vec![0, 255]).unwrap();
    let shouted = wait_for(&bob, |event| match event {
        Event::Shout { content, .. } => Some(content),
        _ => None,
    });
    assert_eq!(shouted.await, content);
    assert_eq!(wait_whisper(&bob).await, vec![0, 255].into());
    alice.ping(bob.id()).unwrap();
    let answered = async {
        while alice
            .peer(bob.id())
            .is_some_and(|bob| bob.round_trip.is_none())
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, answered).await.unwrap();
    bob.stop().await;
    assert_eq!(wait_exit(&alice).await, ExitReason::Left);
    let mut last = None;
    while let Some(event) = bob.recv().await {
        last = Some(event);
    }
    assert_eq!(last, Some(Event::Stopped));
    assert_eq!(bob.recv().await, None);
    assert_eq!(bob.whisper(alice.id(), "x"), Err(SendError::Stopped));
}

#[tokio::test]
async fn nodes_meet_talk_and_leave_on_one_thread() {
    nodes_meet_talk_and_leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_talk_and_leave_on_several_threads() {
    nodes_meet_talk_and_leave().await;
}

#[tokio::test]
async fn a_receive_that_is_cancelled_loses_nothing() {
    const MESSAGES: u32 = 2_000;
    let (alice, bob) = pair(Limits::default()).await;
    let id = bob.id();
    let sender = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let content = number.to_be_bytes().to_vec();
            alice.whisper_wait(id, content).await.unwrap();
            if number % 100 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        alice
    });
    let mut next = 0_u32;
    let mut cancelled = 0;
    let end = Instant::now() + PATIENCE;
    while next < MESSAGES {
        assert!(Instant::now() < end);
        // Every receive is polled once and dropped, whether it is ready or not.
        let polled = {
            let mut receive = Box::pin(bob.recv());
            poll_fn(|cx| Poll::Ready(receive.as_mut().poll(cx))).await
        };
        match polled {
            Poll::Ready(Some(Event::Whisper { content, .. })) => {
                assert_eq!(content[0][..], next.to_be_bytes());
                next += 1;
            }
            Poll::Ready(_) => {}
            Poll::Pending => {
                cancelled += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    assert!(cancelled > 0);
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn a_sender_that_waits_for_room_sends_everything_on_one_thread() {
    const MESSAGES: u32 = 2_000;
    let (alice, bob) = pair(Limits {
        send_octets: 256 * 1024,
        receive_octets: 256 * 1024,
        ..Limits::default()
    })
    .await;
    let id = bob.id();
    let sender = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            alice.whisper_wait(id, vec![7; 8 * 1024]).await.unwrap();
        }
        alice
    });
    for _ in 0..MESSAGES {
        wait_whisper(&bob).await;
    }
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn a_wait_for_room_that_is_cancelled_sends_nothing() {
    const CONTENT: usize = 64 * 1024;
    let (alice, bob) = pair(Limits {
        send_octets: CONTENT,
        receive_octets: CONTENT,
        ..Limits::default()
    })
    .await;
    let mut sent = 0_usize;
    // Until Bob, who does not receive, is full with all that lies between.
    while let Ok(result) = timeout(
        Duration::from_millis(200),
        alice.whisper_wait(bob.id(), vec![7; CONTENT]),
    )
    .await
    {
        result.unwrap();
        sent += 1;
    }
    for _ in 0..sent {
        assert_eq!(wait_whisper(&bob).await.octets(), CONTENT);
    }
    alice.whisper_wait(bob.id(), "last").await.unwrap();
    assert_eq!(wait_whisper(&bob).await, "last".into());
}

#[tokio::test]
async fn large_content_arrives_whole() {
    let (alice, bob) = pair(Limits::default()).await;
    let large: Vec<u8> = (0..8 * 1024 * 1024_u32)
        .map(|i| (i % 251).to_le_bytes()[0])
        .collect();
    alice.whisper(bob.id(), large.clone()).unwrap();
    let content = wait_whisper(&bob).await;
    assert!(content[0] == large, "the content differs");
}

#[tokio::test]
async fn events_are_a_stream() {
    let (alice, bob) = pair(Limits::default()).await;
    alice.whisper(bob.id(), "one").unwrap();
    alice.whisper(bob.id(), "two").unwrap();
    let mut events = bob.events();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let next = poll_fn(|cx| Pin::new(&mut events).poll_next(cx));
        if let Some(Event::Whisper { content, .. }) = timeout(PATIENCE, next).await.unwrap() {
            heard.push(content);
        }
    }
    assert_eq!(heard, [Frames::from("one"), Frames::from("two")]);
}

#[tokio::test]
async fn a_node_that_is_dropped_says_goodbye() {
    let (alice, bob) = pair(Limits::default()).await;
    let clone = bob.clone();
    drop(bob);
    assert_eq!(alice.peers().len(), 1);
    drop(clone);
    assert_eq!(wait_exit(&alice).await, ExitReason::Left);
}

#[test]
fn a_runtime_that_shuts_down_takes_its_node_along() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let port = free_port();
    let bob = first.block_on(async { node("bob", port).start().unwrap() });
    second.block_on(async {
        let alice = node("alice", port).start().unwrap();
        wait_enter(&alice, bob.id()).await;
        first.shutdown_background();
        let reason = wait_exit(&alice).await;
        assert!(matches!(reason, ExitReason::Lost(_)), "{reason}");
        // Its handle is told, and does not wait for what will not come.
        let rest = async { while bob.recv().await.is_some() {} };
        timeout(PATIENCE, rest).await.unwrap();
        timeout(PATIENCE, bob.stop()).await.unwrap();
    });
}

#[test]
fn a_node_needs_a_runtime() {
    let error = node("alice", 0).start().unwrap_err();
    assert!(matches!(error, StartError::NoRuntime), "{error}");
}

#[tokio::test]
async fn twenty_nodes_on_one_thread_find_each_other() {
    let port = free_port();
    let begun = Instant::now();
    let nodes: Vec<Node> = (0..20)
        .map(|i| node(&format!("n{i}"), port).group("ALL").start().unwrap())
        .collect();
    let end = begun + PATIENCE;
    for one in &nodes {
        while one.peers_in("ALL").len() < nodes.len() - 1 {
            assert!(Instant::now() < end);
            sleep(Duration::from_millis(1)).await;
        }
    }
    println!("twenty nodes met in {:?}", begun.elapsed());
    assert_eq!(nodes[3].shout("ALL", "hello").unwrap().reached, 19);
    for one in nodes.iter().filter(|one| one.id() != nodes[3].id()) {
        wait_for(one, |event| match event {
            Event::Exit { peer, reason } => panic!("{} exited: {reason}", peer.name),
            Event::Shout { .. } => Some(()),
            _ => None,
        })
        .await;
    }
}

#[tokio::test]
async fn several_receivers_share_the_events() {
    const MESSAGES: usize = 500;
    let (alice, bob) = pair(Limits::default()).await;
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let bob = bob.clone();
            tokio::spawn(async move {
                let mut heard = 0;
                while let Some(event) = bob.recv().await {
                    heard += usize::from(matches!(event, Event::Whisper { .. }));
                }
                heard
            })
        })
        .collect();
    for _ in 0..MESSAGES {
        alice.whisper_wait(bob.id(), "x").await.unwrap();
    }
    let end = Instant::now() + PATIENCE;
    while bob.counters().messages_received < MESSAGES as u64 + 1 {
        assert!(Instant::now() < end);
        sleep(Duration::from_millis(1)).await;
    }
    bob.stop().await;
    let mut heard = 0;
    for receiver in receivers {
        heard += timeout(PATIENCE, receiver).await.unwrap().unwrap();
    }
    assert_eq!(heard, MESSAGES);
}

/// ZAP-20: the handler is asked on a thread of its own, and the task is woken by what it says.
#[tokio::test]
async fn a_handler_decides_about_the_peers_of_a_task() {
    let port = free_port();
    let [home, alice, mallory] = [(); 3].map(|()| Certificate::generate().unwrap());
    let welcome = *alice.public_key().as_bytes();
    let handler = Handler::start(move |request, _| {
        vec![Say::Reply(if key(request) == welcome {
            allowed()
        } else {
            Outcome::Refused
        })]
    });
    let secure = |name: &str, certificate: Certificate, trust| {
        let builder = node(name, port).curve(certificate, trust);
        builder.start().unwrap()
    };
    let trust = Trust::zap(handler.endpoint(), "home").unwrap();
    let home = secure("home", home, trust);
    let mallory = secure("mallory", mallory, Trust::any());
    let alice = secure("alice", alice, Trust::any());
    wait_enter(&home, alice.id()).await;
    wait_enter(&alice, home.id()).await;
    let end = Instant::now() + PATIENCE;
    while home.counters().keys_denied == 0 {
        assert!(Instant::now() < end);
        sleep(Duration::from_millis(10)).await;
    }
    assert!(home.peer(mallory.id()).is_none() && mallory.peer(home.id()).is_none());
    home.stop().await;
    handler.ended.recv_timeout(PATIENCE).unwrap();
}

#[tokio::test]
async fn an_application_decides_about_the_peers_of_a_task() {
    let port = free_port();
    let [home, alice] = [(); 2].map(|()| Certificate::generate().unwrap());
    let known = *alice.public_key();
    let trust = Trust::ask(move |key, _| {
        std::thread::sleep(Duration::from_millis(100));
        if *key == known {
            Verdict::Allow
        } else {
            Verdict::Deny(Denial::Refused)
        }
    });
    let home = node("home", port).curve(home, trust).start().unwrap();
    let alice = node("alice", port)
        .curve(alice, Trust::any())
        .start()
        .unwrap();
    wait_enter(&home, alice.id()).await;
    wait_enter(&alice, home.id()).await;
}

#[tokio::test]
async fn secure_nodes_meet_and_speak() {
    let port = free_port();
    let [alice, bob] = [(); 2].map(|()| Certificate::generate().unwrap());
    let keys = [*alice.public_key(), *bob.public_key()];
    let start = |name, certificate: Certificate| {
        let builder = node(name, port).curve(certificate, Trust::keys(keys));
        builder.start().unwrap()
    };
    let (one, other) = (start("alice", alice), start("bob", bob));
    wait_enter(&one, other.id()).await;
    wait_enter(&other, one.id()).await;
    assert_eq!(one.peer(other.id()).unwrap().key, Some(keys[1]));
    one.whisper(other.id(), "secret").unwrap();
    assert_eq!(wait_whisper(&other).await, Frames::from("secret"));
}

#[tokio::test]
async fn a_node_is_told_whom_to_meet_and_whom_to_leave_alone() {
    // ZRE-131, ZRE-135, ZRE-136, ZRE-139
    let directed = |name| node(name, 0).beacons(Beacons::Directed);
    let server = directed("server").group("CHAT").start().unwrap();
    let alice = directed("alice").start().unwrap();
    let port = server.beacon_port().unwrap();
    alice.beacon(([127, 0, 0, 1], port).into()).unwrap();
    wait_enter(&alice, server.id()).await;
    wait_enter(&server, alice.id()).await;
    wait_for(&alice, |event| {
        matches!(event, Event::Join { .. }).then_some(())
    })
    .await;
    alice.shout_to(server.id(), "CHAT", "for you").unwrap();
    let other = alice.shout_to(server.id(), "OTHER", "for nobody");
    assert_eq!(other, Err(SendError::NotMember));
    wait_for(&server, |event| match event {
        Event::Shout { content, .. } => {
            assert_eq!(content, Frames::from("for you"));
            Some(())
        }
        _ => None,
    })
    .await;
    let endpoint = server.endpoints().remove(0);
    let mailbox = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
    let off = node("off", 0).start().unwrap();
    off.introduce(server.id(), mailbox, None);
    wait_enter(&off, server.id()).await;
    // What nobody asked for is forgotten as well.
    off.disconnect(&endpoint).unwrap();
    assert!(off.disconnect("nonsense").is_err());
    assert!(off.beacon(mailbox).is_err());
    alice.unbeacon(([127, 0, 0, 1], port).into());
    assert!(off.peer(server.id()).is_some());
}

#[tokio::test]
async fn nodes_that_hear_no_beacons_find_each_other_at_a_hub() {
    let hub = node("hub", 0)
        .gossip_bind("tcp://127.0.0.1:0")
        .start()
        .unwrap();
    let at = hub.gossip_endpoints().remove(0);
    let alice = node("alice", 0).gossip_connect(&at).start().unwrap();
    let bob = node("bob", 0).gossip_connect(&at).start().unwrap();
    for (one, other) in [(&hub, &alice), (&alice, &bob), (&bob, &hub)] {
        wait_enter(one, other.id()).await;
        one.whisper(other.id(), "hello").unwrap();
    }
    for one in [&hub, &alice, &bob] {
        assert_eq!(wait_whisper(one).await, Frames::from("hello"));
        assert_eq!(one.tuples().len(), 3);
    }
    // ZRE-158
    let late = node("late", 0).start().unwrap();
    late.gossip_connect(&at).unwrap();
    for one in [&hub, &alice, &bob] {
        wait_enter(one, late.id()).await;
    }
    assert!(late.gossip_connect("nowhere").is_err());
    late.gossip_disconnect(&at).unwrap();
    late.stop().await;
    // Its tuple is taken back with its end, which is told on the way out.
    bob.stop().await;
    let gone = async {
        while alice.tuples().len() > 2 || hub.tuples().len() > 2 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}
