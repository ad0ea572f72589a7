//! What stands in the way of a start is told in words that help.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

use atonce_std::{Beacons, Event, Node, StartError};
use common::{free_port, node, wait_for};

#[test]
fn an_unknown_interface_is_told_with_those_there_are() {
    for wanted in ["nosuch0", "203.0.113.77"] {
        let error = Node::builder().interface(wanted).start().unwrap_err();
        assert!(matches!(&error, StartError::UnknownInterface { .. }));
        let text = error.to_string();
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("lo (127.0.0.1"), "{text}");
    }
}

#[test]
fn a_busy_tcp_port_is_told_and_a_range_goes_around_it() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = node("alice", 0).tcp_port(port).start().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("TCP port {port} of lo (127.0.0.1)")),
        "{text}"
    );
    assert!(text.contains("choose another port"), "{text}");

    let alice = node("alice", 0).tcp_ports(port..=u16::MAX).start().unwrap();
    let endpoint = &alice.endpoints()[0];
    let chosen: u16 = endpoint.rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(chosen > port);
    assert_eq!(*endpoint, format!("tcp://127.0.0.1:{chosen}"));

    let (low, high) = (port, port - 1);
    let error = node("alice", 0).tcp_ports(low..=high).start().unwrap_err();
    assert!(matches!(error, StartError::NoPorts { .. }), "{error}");
}

#[test]
fn a_beacon_port_that_is_held_is_told() {
    let holder = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let error = node("alice", port).start().unwrap_err();
    assert!(matches!(error, StartError::BeaconPort { .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    // Without beacons it does not matter.
    node("alice", 0).start().unwrap();
}

#[test]
fn a_directed_port_that_somebody_else_has_is_told_even_if_it_would_be_shared() {
    // An ordinary node shares its port with all others, and would get what is sent to this one.
    let port = free_port();
    let ordinary = node("ordinary", port).start().unwrap();
    let directed = || node("alice", port).beacons(Beacons::Directed);
    let error = directed().start().unwrap_err();
    assert!(matches!(error, StartError::DirectedPort { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("UDP port {port}")), "{text}");
    assert!(text.contains("0 for any that is free"), "{text}");
    ordinary.stop();
    let alice = directed().start().unwrap();
    assert_eq!(alice.beacon_port(), Some(port));
    let any = directed().port(0).start().unwrap();
    assert!(any.beacon_port().is_some_and(|any| any != port && any != 0));
    // Who hears none has none.
    for beacons in [Beacons::Say, Beacons::Off] {
        let deaf = node("deaf", port).beacons(beacons).start().unwrap();
        assert_eq!(deaf.beacon_port(), None);
    }
}

#[test]
fn what_does_not_fit_the_protocol_is_told() {
    let long = "x".repeat(256);
    let refused = |builder: atonce_std::Builder| builder.start().unwrap_err().to_string();
    let at = "256 octets do not fit: at most 255 octets are allowed";
    assert_eq!(
        refused(node("alice", 0).name(&long)),
        format!("the name of the node: {at}")
    );
    assert_eq!(
        refused(node("alice", 0).group(&long)),
        format!("the group {long:?}: {at}")
    );
    assert_eq!(
        refused(node("alice", 0).header(&long, "value")),
        format!("the header {long:?}: {at}")
    );
    let text = refused(node("alice", 0).peer("udp://10.0.0.1:1"));
    assert!(
        text.contains("udp://10.0.0.1:1") && text.contains("tcp://"),
        "{text}"
    );
    let text = refused(node("alice", 0).advertise("tcp://example.org:5000"));
    assert!(text.contains("give an address"), "{text}");

    let alice = node("alice", 0).start().unwrap();
    assert!(alice.join(&long).is_err());
    assert!(alice.leave(&long).is_err());
    assert!(alice.contest(&long).is_err());
    assert!(alice.withdraw(&long).is_err());
    assert!(alice.shout(&long, "x").is_err());
    assert!(alice.groups().is_empty());
}

#[test]
fn an_interface_in_use_is_told_as_an_event() {
    let port = free_port();
    let alice = node("alice", port).start().unwrap();
    let told = wait_for(&alice, |event| match event {
        Event::InterfaceUp {
            interface,
            endpoint,
        } => Some((interface, endpoint.to_string())),
        _ => None,
    });
    assert_eq!(told, ("lo".into(), alice.endpoints()[0].clone()));
}

#[test]
fn an_advertised_endpoint_is_what_peers_are_told() {
    // ZRE-103
    let endpoint = "tcp://203.0.113.7:5000";
    let alice = node("alice", 0).advertise(endpoint).start().unwrap();
    assert_eq!(alice.endpoints(), [endpoint]);
}

#[test]
fn stopping_is_quick_and_can_be_repeated() {
    let alice = node("alice", free_port()).start().unwrap();
    let begun = std::time::Instant::now();
    alice.stop();
    alice.stop();
    assert!(begun.elapsed() < Duration::from_millis(500));
    let port = alice.endpoints();
    assert_eq!(alice.events().last(), Some(Event::Stopped));
    assert_eq!(alice.recv_timeout(Duration::from_secs(5)), None);
    assert_eq!(alice.try_recv(), None);
    drop(port);
}
