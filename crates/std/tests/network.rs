//! Interfaces come and go. It needs a network of its own, made by `unshare` and `ip`, so that it is run by hand:
//! `cargo test -p atonce-std --test network -- --ignored`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;
#[path = "common/namespace.rs"]
mod namespace;

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use atonce::wire::gossip::{Message, Publish};
use atonce_std::log::{Collector, HEADER, Level};
use atonce_std::socket::{Kind, Socket};
use atonce_std::{Beacons, Builder, Event, Family, Frames, Node, PeerId};
use common::{wait_enter, wait_for};
use namespace::{ip, within};

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn nodes_follow_their_network() {
    within("nodes_follow_their_network", follow);
}

fn follow() {
    ip("link set lo up");
    ip("link add eth7 type veth peer name eth8");
    ip("link set eth8 up");
    // No network: that is no error.
    let alice = node("alice");
    let bob = node("bob");
    assert!(alice.endpoints().is_empty());

    ip("addr add 10.77.0.1/24 brd + dev eth7");
    ip("link set eth7 up");
    let before = wait_up(&alice);
    assert!(before.starts_with("tcp://10.77.0.1:"), "{before}");
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    alice.whisper(bob.id(), "one").unwrap();

    // The interface goes and comes: links that live are kept, and so is the port.
    ip("link set eth7 down");
    wait_down(&alice);
    ip("link set eth7 up");
    assert_eq!(wait_up(&alice), before);
    alice.whisper(bob.id(), "two").unwrap();

    // Another address: they meet there.
    ip("addr del 10.77.0.1/24 dev eth7");
    ip("addr add 10.77.0.9/24 brd + dev eth7");
    wait_down(&alice);
    let after = wait_up(&alice);
    assert_eq!(after, before.replace("10.77.0.1", "10.77.0.9"));
    wait_enter(&alice, bob.id());
    let seen = alice.peer(bob.id()).unwrap();
    assert_eq!(seen.peer.endpoint, *bob.endpoints()[0]);
    assert!(bob.endpoints()[0].starts_with("tcp://10.77.0.9:"));
    alice.whisper(bob.id(), "three").unwrap();
    for expected in ["one", "two", "three"] {
        let heard = wait_for(&bob, |event| match event {
            Event::Whisper { content, .. } => Some(content),
            _ => None,
        });
        assert_eq!(heard, expected.into());
    }
}

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn changes_are_told_at_once_and_links_outlive_their_address() {
    // ZRE-164, ZRE-165, ZRE-1
    within(
        "changes_are_told_at_once_and_links_outlive_their_address",
        outlive,
    );
}

fn outlive() {
    ip("link set lo up");
    without_delay();
    for (one, other) in [("eth7", "eth8"), ("wan7", "wan8")] {
        ip(&format!("link add {one} type veth peer name {other}"));
        ip(&format!("link set {other} up"));
    }
    ip("addr add 10.77.0.1/24 brd + dev eth7");
    ip("link set eth7 up");
    let alice = builder("alice").family(Family::V4).start().unwrap();
    let bob = builder("bob").family(Family::V4).start().unwrap();
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());

    // It goes, and meanwhile another one comes: what was connected there is not given up.
    ip("link set eth7 down");
    wait_down(&alice);
    ip("addr add 10.78.0.1/24 brd + dev wan7");
    let began = Instant::now();
    ip("link set wan7 up");
    wait_for(&alice, |event| {
        matches!(event, Event::InterfaceUp { interface, .. } if interface == "wan7").then_some(())
    });
    // Half of the time after which it looks by itself.
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    ip("link set eth7 up");
    wait_up(&alice);
    alice.whisper(bob.id(), "still here").unwrap();
    // Nothing happened to anybody.
    let before = wait_for(&bob, |event| match event {
        Event::Exit { .. } | Event::Enter { .. } => Some(Err(event)),
        Event::Whisper { content, .. } => Some(Ok(content)),
        _ => None,
    });
    assert_eq!(before.unwrap(), "still here".into());
}

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn nodes_meet_over_ipv6_alone() {
    // ZRE-160, ZRE-161
    within("nodes_meet_over_ipv6_alone", meet_over_v6);
}

fn meet_over_v6() {
    ip("link set lo up");
    without_delay();
    ip("link add eth7 type veth peer name eth8");
    ip("link set eth8 up");
    let alice = builder("alice").start().unwrap();
    let bob = builder("bob").interface("eth7").start().unwrap();
    ip("link set eth7 up");
    let endpoint = wait_up(&alice);
    assert!(endpoint.starts_with("tcp://fe80::"), "{endpoint}");
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    alice.whisper(bob.id(), "one").unwrap();

    // By its address, with the interface that this is good on.
    let address = endpoint.trim_start_matches("tcp://");
    let (address, _) = address.rsplit_once(':').unwrap();
    let carol = builder("carol").interface(format!("{address}%eth7"));
    let carol = carol.start().unwrap();
    wait_enter(&carol, alice.id());
    assert_eq!(carol.endpoints().len(), 1);
    builder("dave")
        .interface(format!("{address}%lo"))
        .start()
        .unwrap_err();

    // IPv4 comes besides: nobody enters twice, and newcomers enter once.
    ip("addr add 10.77.0.1/24 brd + dev eth7");
    assert!(wait_up(&alice).starts_with("tcp://10.77.0.1:"));
    let erin = builder("erin").interface("eth7").start().unwrap();
    assert_eq!(erin.endpoints().len(), 2);
    wait_enter(&alice, erin.id());
    alice.whisper(erin.id(), "two").unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    let nodes = [&alice, &bob, &carol, &erin];
    for node in nodes {
        while let Some(event) = node.recv_timeout(end.saturating_duration_since(Instant::now())) {
            assert!(!matches!(event, Event::Exit { .. }), "{event:?}");
        }
        assert_eq!(node.peers().len(), 3);
    }
}

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn directed_beacons_go_over_ipv6_as_well() {
    // ZRE-131, ZRE-133
    within("directed_beacons_go_over_ipv6_as_well", direct);
}

fn direct() {
    ip("link set lo up");
    let directed = |name: &str| {
        let node = builder(name).beacons(Beacons::Directed).port(0);
        node.interface("::1").start().unwrap()
    };
    let (alice, bob) = (directed("alice"), directed("bob"));
    let port = alice.beacon_port().unwrap();
    bob.beacon(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))
        .unwrap();
    wait_enter(&alice, bob.id());
    wait_enter(&bob, alice.id());
    let seen = alice.peer(bob.id()).unwrap();
    assert_eq!(seen.peer.endpoint, *bob.endpoints()[0]);
    assert!(seen.peer.endpoint.to_string().starts_with("tcp://[::1]:"));
}

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn beacons_are_heard_wherever_others_send_them() {
    // ZRE-162, ZRE-163
    within("beacons_are_heard_wherever_others_send_them", hear_all);
}

fn hear_all() {
    ip("link set lo up");
    without_delay();
    ip("link add eth7 type veth peer name eth8");
    ip("link set eth8 up");
    ip("addr add 10.77.0.1/24 brd + dev eth7");
    ip("addr add 10.78.0.1/24 brd + dev eth8");
    let node = builder("alice")
        .interface("eth7")
        .multicast([239, 1, 2, 3])
        .start()
        .unwrap();
    ip("link set eth7 up");
    let endpoint = (0..2)
        .map(|_| wait_up(&node))
        .find(|endpoint| endpoint.contains("fe80"));
    let local = endpoint.unwrap();
    let (local, _) = local.trim_start_matches("tcp://").rsplit_once(':').unwrap();
    let index = nix::net::if_::if_nametoindex("eth7").unwrap();

    // Whose beacon goes there, from its mailbox here, is dialled. Each has a mailbox of its own, since all are tried again and again.
    let mut mailboxes = Vec::new();
    let mut is_heard = |group: &str, address: IpAddr, within: Duration| {
        let at = match address {
            IpAddr::V6(address) => SocketAddrV6::new(address, 0, 0, index).into(),
            address => SocketAddr::new(address, 0),
        };
        let mailbox = TcpListener::bind(at).unwrap();
        mailbox.set_nonblocking(true).unwrap();
        let at = mailbox.local_addr().unwrap();
        mailboxes.push(mailbox);
        let id = PeerId::from_bytes([u8::try_from(mailboxes.len()).unwrap(); 16]);
        let beacon = [b"ZRE\x01", &id.as_bytes()[..], &at.port().to_be_bytes()].concat();
        let to = match group.parse().unwrap() {
            IpAddr::V6(group) => SocketAddrV6::new(group, 5670, 0, index).into(),
            group => SocketAddr::new(group, 5670),
        };
        voice(at).send_to(&beacon, to).unwrap();
        let end = Instant::now() + within;
        while Instant::now() < end {
            match mailboxes.last().unwrap().accept() {
                Ok(_) => return true,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    };
    let [v4, elsewhere] = ["10.77.0.1", "10.78.0.1"].map(|address| address.parse().unwrap());
    let v6 = local.parse().unwrap();
    let patience = Duration::from_secs(5);
    for (group, from) in [
        ("10.77.0.255", v4),     // C Zyre, Pyre
        ("255.255.255.255", v4), // go-zeromq
        ("224.0.0.1", v4),       // go-zeromq
        ("224.0.0.250", v4),     // gyre
        ("225.25.25.25", v4),    // Pyre where it may not broadcast
        ("239.1.2.3", v4),       // what we asked for
        ("ff02::1", v6),         // C Zyre
        ("ff02::fa", v6),        // gyre
    ] {
        assert!(is_heard(group, from, patience), "{group}");
    }
    let short = Duration::from_millis(500);
    assert!(!is_heard("10.78.0.255", elsewhere, short), "from elsewhere");
}

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn who_was_before_at_an_endpoint_that_becomes_ours_is_forgotten() {
    // ZRE-159
    within(
        "who_was_before_at_an_endpoint_that_becomes_ours_is_forgotten",
        become_ours,
    );
}

fn become_ours() {
    ip("link set lo up");
    ip("link add eth7 type veth peer name eth8");
    ip("link set eth8 up");
    let hub = builder("hub").family(Family::V4).tcp_port(49_900);
    let hub = hub.gossip_bind("tcp://127.0.0.1:0").start().unwrap();
    let client = Socket::builder(Kind::Dealer).connect(&hub.gossip_endpoints()[0]);
    let client = client.open().unwrap();
    let says = |message: &Message| client.send(Frames::from(message.encode())).unwrap();
    says(&Message::Hello(None));
    let [before, other] = [1, 2].map(|octet| PeerId::from_bytes([octet; 16]).to_string());
    for (who, at) in [(&before, "10.77.0.1"), (&other, "10.77.0.2")] {
        says(&Message::Publish(Publish {
            key: who.parse().unwrap(),
            value: format!("tcp://{at}:49900").parse().unwrap(),
            ttl: 0,
            stamp: None,
        }));
    }
    let knows = |who: &String| hub.tuples().iter().any(|(key, _)| key == who);
    let end = Instant::now() + Duration::from_secs(10);
    while !(knows(&before) && knows(&other)) {
        assert!(Instant::now() < end, "{:?}", hub.tuples());
        std::thread::sleep(Duration::from_millis(5));
    }
    ip("addr add 10.77.0.1/24 brd + dev eth7");
    ip("link set eth7 up");
    assert_eq!(wait_up(&hub), "tcp://10.77.0.1:49900");
    while knows(&before) {
        assert!(Instant::now() < end, "{:?}", hub.tuples());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(knows(&other));
}

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn a_collector_is_met_at_an_address_of_the_link() {
    // LOG-10, LOG-12, SOCK-1
    within(
        "a_collector_is_met_at_an_address_of_the_link",
        collect_on_the_link,
    );
}

fn collect_on_the_link() {
    ip("link set lo up");
    without_delay();
    for (one, other) in [("eth7", "eth8"), ("wan7", "wan8")] {
        ip(&format!("link add {one} type veth peer name {other}"));
        ip(&format!("link set {other} up"));
        ip(&format!("link set {one} up"));
    }
    let on = |name: &str| builder(name).interface("eth7").family(Family::V6);
    // The other one has the same kind of address.
    let collector = Collector::builder().interface("eth7").interface("wan7");
    let collector = collector.family(Family::V6).open().unwrap();
    assert_eq!(collector.endpoints().len(), 2, "{collector:?}");
    let archive = on("archive").service(HEADER, collector.endpoints());
    let archive = archive.start().unwrap();
    let kitchen = on("kitchen").log(Level::INFO).start().unwrap();
    wait_enter(&kitchen, archive.id());
    let peer = kitchen.peer(archive.id()).unwrap().peer;
    let told = peer.headers.get(HEADER).unwrap().to_string();
    // As HELLO has the mailbox, without the zone.
    let host = |endpoint: &str| endpoint.rsplit_once(':').unwrap().0.to_owned();
    assert_eq!(host(&told), host(&peer.endpoint.to_string()));
    assert!(told.starts_with("tcp://fe80::"), "{told}");
    kitchen.log(Level::INFO, "over the link");
    let patience = Duration::from_secs(10);
    while collector.recv_timeout(patience).unwrap().unwrap().data != "over the link" {}
}

/// A socket that sends from there, and by its interface.
fn voice(from: SocketAddr) -> UdpSocket {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(from),
        socket2::Type::DGRAM,
        None,
    )
    .unwrap();
    match from {
        SocketAddr::V4(from) => {
            socket.set_broadcast(true).unwrap();
            socket.set_multicast_if_v4(from.ip()).unwrap();
            socket
                .bind(&SocketAddr::from((*from.ip(), 0)).into())
                .unwrap();
        }
        SocketAddr::V6(mut from) => {
            from.set_port(0);
            socket.set_multicast_if_v6(from.scope_id()).unwrap();
            socket.bind(&from.into()).unwrap();
        }
    }
    socket.into()
}

/// Addresses of IPv6 are good at once, without asking whether another has them.
fn without_delay() {
    for which in ["all", "default"] {
        let file = format!("/proc/sys/net/ipv6/conf/{which}/accept_dad");
        fs::write(file, "0").unwrap();
    }
}

fn builder(name: &str) -> Builder {
    Node::builder()
        .name(name)
        .evasive_timeout(Duration::from_secs(1))
        .expired_timeout(Duration::from_secs(8))
}

/// On whatever interface there is, and quick to see that a peer is not where it was.
fn node(name: &str) -> Node {
    builder(name).family(Family::V4).start().unwrap()
}

fn wait_up(node: &Node) -> String {
    wait_for(node, |event| match event {
        Event::InterfaceUp {
            interface,
            endpoint,
        } if interface == "eth7" => Some(endpoint.to_string()),
        _ => None,
    })
}

fn wait_down(node: &Node) {
    wait_for(node, |event| {
        matches!(event, Event::InterfaceDown { interface, .. } if interface == "eth7").then_some(())
    });
}
