//! Servers and bridges as tasks, over real sockets. Everything stays on the loopback: each LAN is a UDP port of its own.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

#[path = "../../std/tests/common/loopback.rs"]
mod loopback;

use std::time::Duration;

use atonce_tokio::once::{Bridge, Event, Limits, Secret, Server, bridge};
use atonce_tokio::{Event as NodeEvent, Frames, Node, StartError};
use loopback::{PATIENCE, free_port};
use tokio::time::timeout;

fn secret() -> Secret {
    Secret::new("9f86d081884c7d659a2feaa0c55ad015").unwrap()
}

fn start_bridge(name: &str, lan: u16, server: &Server) -> Bridge {
    let at = format!("127.0.0.1:{}", server.port().unwrap());
    let limits = Limits {
        settle: Duration::from_millis(200),
        ..Limits::default()
    };
    let builder = Bridge::builder("lo")
        .name(name)
        .lan_port(lan)
        .interface("lo")
        .port(0);
    let builder = builder.interval(Duration::from_millis(100)).limits(limits);
    builder
        .server(at.parse().unwrap())
        .secret(secret())
        .start()
        .unwrap()
}

async fn until<T>(node: &Node, mut want: impl FnMut(NodeEvent) -> Option<T>) -> T {
    let wanted = async {
        loop {
            if let Some(wanted) = want(node.recv().await.unwrap()) {
                return wanted;
            }
        }
    };
    timeout(PATIENCE, wanted).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lans_are_one_network() {
    let server = Server::builder()
        .interface("lo")
        .port(0)
        .secret(secret())
        .start()
        .unwrap();
    let (east_lan, west_lan) = (free_port(), free_port());
    let east = start_bridge("east", east_lan, &server);
    let west = start_bridge("west", west_lan, &server);
    let [alice, bob] = [("alice", east_lan), ("bob", west_lan)].map(|(name, lan)| {
        let builder = Node::builder().name(name).interface("lo").port(lan);
        builder
            .interval(Duration::from_millis(100))
            .start()
            .unwrap()
    });
    for (node, other) in [(&alice, bob.id()), (&bob, alice.id())] {
        until(node, |event| match event {
            NodeEvent::Enter { peer } if peer.id == other => Some(()),
            _ => None,
        })
        .await;
    }
    alice.whisper(bob.id(), "hello").unwrap();
    let heard = until(&bob, |event| match event {
        NodeEvent::Whisper { content, .. } => Some(content),
        _ => None,
    });
    assert_eq!(heard.await, Frames::from("hello"));

    // A receiver that is dropped loses nothing.
    let entered = async {
        loop {
            let event = tokio::select! {
                event = east.recv() => event.unwrap(),
                () = tokio::task::yield_now() => continue,
            };
            if let Event::Once(bridge::Event::Enter { peer, .. }) = event {
                return peer;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, entered).await.unwrap(), bob.id());
    assert!(east.status().active);
    assert_eq!(server.status().members.len(), 2);

    timeout(PATIENCE, west.stop()).await.unwrap();
    until(&alice, |event| match event {
        NodeEvent::Exit { peer, .. } if peer.id == bob.id() => Some(()),
        _ => None,
    })
    .await;
    let mut last = None;
    while let Some(event) = west.recv().await {
        last = Some(event);
    }
    assert_eq!(last, Some(Event::Stopped));
    assert_eq!(west.try_recv(), None);

    // The last handle says goodbye, too.
    drop(east);
    until(&alice, |event| match event {
        NodeEvent::Exit { peer, .. } if peer.name == "east" => Some(()),
        _ => None,
    })
    .await;
}

#[test]
fn it_needs_a_runtime_and_ends_with_it() {
    let builder = || Server::builder().interface("lo").port(0).open();
    assert!(matches!(builder().start(), Err(StartError::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(async { builder().start().unwrap() });
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        server.stop().await;
        let mut last = None;
        while let Some(event) = server.recv().await {
            last = Some(event);
        }
        assert_eq!(last, Some(Event::Stopped));
    });
}
