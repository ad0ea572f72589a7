//! Servers and bridges in a program, over real sockets. Everything stays on the loopback: each LAN is a UDP port of its own.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::time::{Duration, Instant};

use atonce_std::once::{
    Bridge, BridgeBuilder, Event, Limits, Role, Secret, Server, ServerBuilder, bridge, server,
};
use atonce_std::{Certificate, Event as NodeEvent, ExitReason, Frames, Node, StartError, Trust};
use common::{PATIENCE, free_port, node, wait_enter, wait_exit, wait_for, wait_join};

fn secret() -> Secret {
    Secret::new("9f86d081884c7d659a2feaa0c55ad015").unwrap()
}

fn server_builder() -> ServerBuilder {
    Server::builder().name("meet").interface("lo").port(0)
}

/// A bridge on the LAN of this port.
fn bridge_builder(name: &str, lan: u16, server: &Server) -> BridgeBuilder {
    let at = format!("127.0.0.1:{}", server.port().unwrap());
    Bridge::builder("lo")
        .name(name)
        .lan_port(lan)
        .interface("lo")
        .port(0)
        .interval(Duration::from_millis(100))
        .limits(Limits {
            settle: Duration::from_millis(200),
            ..Limits::default()
        })
        .server(at.parse().unwrap())
}

/// Waits until a bridge tells something like this.
fn wait<T>(bridge: &Bridge, mut want: impl FnMut(&bridge::Event) -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    while let Some(event) = bridge.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if let Event::Once(event) = &event
            && let Some(wanted) = want(event)
        {
            return wanted;
        }
    }
    panic!("{bridge:?}: {:?}", bridge.status());
}

fn wait_whisper(node: &Node) -> Frames {
    wait_for(node, |event| match event {
        NodeEvent::Whisper { content, .. } => Some(content),
        _ => None,
    })
}

#[test]
fn two_lans_are_one_network() {
    let meet = server_builder().secret(secret()).start().unwrap();
    let (east_lan, west_lan) = (free_port(), free_port());
    let [east, west] = [("east", east_lan), ("west", west_lan)].map(|(name, lan)| {
        let builder = bridge_builder(name, lan, &meet).secret(secret());
        builder.start().unwrap()
    });
    let alice = node("alice", east_lan).group("CHAT").start().unwrap();
    let bob = node("bob", west_lan).group("CHAT").start().unwrap();
    wait_enter(&alice, bob.id());
    wait_join(&alice, bob.id(), "CHAT");
    wait_enter(&bob, alice.id());
    wait_join(&bob, alice.id(), "CHAT");
    wait(&east, |event| match event {
        bridge::Event::Enter { peer, bridge, name } if *peer == bob.id() => {
            assert_eq!((*bridge, name.to_str_lossy().as_ref()), (west.id(), "bob"));
            Some(())
        }
        _ => None,
    });

    alice.whisper(bob.id(), "hello").unwrap();
    assert_eq!(wait_whisper(&bob), Frames::from("hello"));
    assert_eq!(bob.shout("CHAT", "all").unwrap().reached, 1);
    wait_for(&alice, |event| {
        matches!(event, NodeEvent::Shout { content, .. } if content == Frames::from("all"))
            .then_some(())
    });

    let status = east.status();
    assert!(status.active);
    let roles = |role| status.members.iter().filter(|it| it.role == role).count();
    assert_eq!((roles(Role::Server), roles(Role::Bridge)), (1, 1));
    assert_eq!(status.far_peers.len(), 1);
    assert_eq!((status.stand_ins, status.local_peers), (1, 1));
    assert_eq!(
        (status.counters.whispers_sent, status.counters.delivered),
        (1, 1)
    );
    // Five each for three nodes, three for what waits for all of them, and the links.
    assert!(
        status.descriptors > 18 && status.descriptors < 40,
        "{status:?}"
    );
    assert_eq!(meet.status().members.len(), 2);

    // It leaves with its whole LAN.
    west.stop();
    wait_exit(&alice, bob.id());
    wait_exit(&bob, alice.id());
    wait(&east, |event| {
        matches!(event, bridge::Event::Lost { .. }).then_some(())
    });
    let last = west.events().last();
    assert_eq!(last, Some(Event::Stopped));
    assert_eq!(west.recv(), None);
    assert!(west.endpoints().is_empty());
}

#[test]
fn a_bridge_that_is_dropped_says_goodbye() {
    let meet = server_builder().open().start().unwrap();
    let (east_lan, west_lan) = (free_port(), free_port());
    let east = bridge_builder("east", east_lan, &meet)
        .open()
        .start()
        .unwrap();
    let west = bridge_builder("west", west_lan, &meet)
        .open()
        .start()
        .unwrap();
    let alice = node("alice", east_lan).start().unwrap();
    let bob = node("bob", west_lan).start().unwrap();
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    drop(east);
    let reason = wait_for(&alice, |event| match event {
        NodeEvent::Exit { peer, reason } if peer.id == bob.id() => Some(reason),
        _ => None,
    });
    assert_eq!(reason, ExitReason::Left);
    wait_exit(&bob, alice.id());
    drop(west);
}

#[test]
fn who_is_at_home_again_is_the_same_peer() {
    let meet = server_builder().open().start().unwrap();
    let (east_lan, west_lan) = (free_port(), free_port());
    let _east = bridge_builder("east", east_lan, &meet)
        .open()
        .start()
        .unwrap();
    let _west = bridge_builder("west", west_lan, &meet)
        .open()
        .start()
        .unwrap();
    let alice = node("alice", east_lan).start().unwrap();
    let bob = node("bob", west_lan).start().unwrap();
    let id = bob.id();
    wait_enter(&alice, id);
    // He takes his laptop to the other house.
    bob.stop();
    wait_exit(&alice, id);
    let bob = node("bob", east_lan).uuid(id).start().unwrap();
    wait_enter(&alice, id);
    wait_enter(&bob, alice.id());
    let via = |node: &Node| {
        let peer = node.peer(id).unwrap().peer;
        peer.headers.get("X-ONCE-VIA").is_some()
    };
    assert!(!via(&alice));
    let carol = node("carol", west_lan).start().unwrap();
    wait_enter(&carol, id);
    assert!(via(&carol));
    carol.whisper(id, "are you there?").unwrap();
    assert_eq!(wait_whisper(&bob), Frames::from("are you there?"));
}

#[test]
fn a_secure_lan_has_secure_stand_ins() {
    let meet = server_builder().secret(secret()).start().unwrap();
    let (east_lan, west_lan) = (free_port(), free_port());
    let made = |_| Certificate::generate().unwrap();
    let [keys, alices, bobs] = [0, 1, 2].map(made);
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    let lines = format!("{} bridge\n{}\n", keys.public_key(), alices.public_key());
    std::fs::write(&list, lines).unwrap();
    let trust = || Trust::open(&list).unwrap();
    let east = bridge_builder("east", east_lan, &meet).secret(secret());
    let _east = east.lan_curve(keys, trust()).start().unwrap();
    let _west = bridge_builder("west", west_lan, &meet)
        .secret(secret())
        .start()
        .unwrap();
    let alice = node("alice", east_lan)
        .curve(alices, trust())
        .start()
        .unwrap();
    // His LAN is not secure, and he need not be.
    let bob = node("bob", west_lan).start().unwrap();
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    bob.whisper(alice.id(), "hello").unwrap();
    assert_eq!(wait_whisper(&alice), Frames::from("hello"));
    alice.whisper(bob.id(), "hi").unwrap();
    assert_eq!(wait_whisper(&bob), Frames::from("hi"));
    // One who is not on the list is not there, for her or for anybody elsewhere.
    let _mallory = node("mallory", east_lan)
        .curve(bobs, trust())
        .start()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(bob.peers_by_name("mallory").is_empty() && alice.peers_by_name("mallory").is_empty());
}

#[test]
fn whoever_has_another_secret_is_told_of() {
    let meet = server_builder().secret(secret()).start().unwrap();
    let wrong = Secret::new("something else that is long enough").unwrap();
    let builder = bridge_builder("mallory", free_port(), &meet).secret(wrong);
    let mallory = builder.start().unwrap();
    let us = wait(&mallory, |event| match event {
        bridge::Event::Refused { us, .. } => Some(*us),
        _ => None,
    });
    assert!(us);
    let until = Instant::now() + PATIENCE;
    let refused = loop {
        match meet.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Some(Event::Once(server::Event::Refused { peer, .. })) => break peer,
            Some(_) => {}
            None => panic!("{:?}", meet.status()),
        }
    };
    assert_eq!(refused, mallory.id());
    assert!(meet.status().members.is_empty());
}

#[test]
fn who_may_take_part_has_to_be_said() {
    let nobody = Server::builder().interface("lo").port(0).start();
    assert!(matches!(nobody, Err(StartError::NobodyAsked)), "{nobody:?}");
    let keys = Certificate::generate().unwrap();
    let anybody = Bridge::builder("lo")
        .curve(keys.clone(), Trust::any())
        .start();
    assert!(
        matches!(anybody, Err(StartError::NobodyAsked)),
        "{anybody:?}"
    );
    let mailbox = "tcp://127.0.0.1:1".parse().unwrap();
    let keyless = Bridge::builder("lo")
        .secret(secret())
        .server(mailbox)
        .start();
    assert!(
        matches!(keyless, Err(StartError::ServerKey { .. })),
        "{keyless:?}"
    );
    // The identity belongs to the key, and so stays.
    let named = || {
        server_builder()
            .secret(secret())
            .curve(keys.clone(), Trust::any())
    };
    let first = named().start().unwrap();
    let id = first.id();
    drop(first);
    assert_eq!(named().start().unwrap().id(), id);
    let taken = server_builder().open().start().unwrap();
    let again = Server::builder()
        .interface("lo")
        .port(taken.port().unwrap())
        .open()
        .start();
    let error = again.unwrap_err().to_string();
    assert!(
        error.contains(&taken.port().unwrap().to_string()),
        "{error}"
    );
}
