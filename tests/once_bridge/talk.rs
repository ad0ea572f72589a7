//! Whispers and shouts from LAN to LAN.

use std::sync::Arc;
use std::time::Duration;

use atonce::once::bridge::Event as Told;
use atonce::wire::once::Reason;
use atonce::{Bytes, Event, Frames, Peer};

use crate::duel::{CLIENT, Duel, client, listed};
use crate::net::{Faults, Got, Net, id, text};
use crate::{told, two_lans};

const WHISPER: u8 = 0x40;
const SHOUT: u8 = 0x41;
const AGAIN: u8 = 0x43;

#[test]
fn a_whisper_arrives_with_all_its_frames() {
    // ONCE-100
    let (mut net, [one, .., four]) = two_lans();
    let content =
        Frames::from_iter([&b"\x00\xff"[..], b"", b"\xAA\xA2\x14\x02"].map(Bytes::from_static));
    assert!(net.whisper(one, id(4), content.clone()));
    assert!(net.whisper(four, id(1), Frames::new()));
    net.run_secs(1);
    let got = |from: u8, content| Got {
        from: id(from),
        group: None,
        content,
    };
    assert_eq!(net.nodes[four].got, [got(1, content)]);
    assert_eq!(net.nodes[one].got, [got(4, Frames::new())]);
    let counters = net.hosts[0].bridge.counters();
    assert_eq!((counters.whispers_sent, counters.delivered), (1, 1));
    assert_eq!((counters.undeliverable, counters.missed), (0, 0));
}

#[test]
fn a_shout_crosses_once_and_reaches_the_members() {
    // ONCE-103
    let (mut net, [one, two, three, four]) = two_lans();
    net.wan_messages.clear();
    net.wan_octets = 0;
    let content = Frames::from(vec![7; 100_000]);
    assert_eq!(net.shout(one, "CHAT", content.clone()), 2);
    net.run_secs(1);
    let got = Got {
        from: id(1),
        group: Some(text("CHAT")),
        content,
    };
    assert_eq!(net.nodes[three].got, std::slice::from_ref(&got));
    assert_eq!(net.nodes[four].got, [got]);
    assert!(net.nodes[two].got.is_empty());
    assert_eq!(net.wan_messages.get(&SHOUT), Some(&1));
    // The copies of the two stand-ins come at different times, so the second one is a reference.
    assert!(net.wan_octets < 101_000, "{}", net.wan_octets);
    assert_eq!(net.hosts[0].bridge.counters().shouts_sent, 1);
}

#[test]
fn the_same_said_twice_arrives_twice() {
    // ONCE-103, ONCE-104
    let (mut net, [one, _, three, four]) = two_lans();
    for _ in 0..3 {
        net.shout(one, "CHAT", "again");
        net.whisper(one, id(3), "between");
    }
    net.run_secs(1);
    let said: Vec<_> = net.nodes[three]
        .got
        .iter()
        .map(|got| got.content.clone())
        .collect();
    let said: Vec<&[u8]> = said.iter().map(|it| &it[0][..]).collect();
    assert_eq!(
        said,
        [
            &b"again"[..],
            b"between",
            b"again",
            b"between",
            b"again",
            b"between"
        ]
    );
    assert_eq!(net.nodes[four].got.len(), 3);
    assert_eq!(net.wan_messages.get(&SHOUT), Some(&1));
    assert!(net.wan_messages[&AGAIN] >= 2);
    assert_eq!(net.wan_messages.get(&WHISPER), Some(&3));
}

#[test]
fn a_shout_reaches_nobody_who_joined_later_or_left() {
    let (mut net, [one, _, three, four]) = two_lans();
    // The stand-in of 4 is a member at 1 still.
    net.leave(four, "CHAT");
    net.shout(one, "CHAT", "hello");
    net.run_secs(1);
    assert_eq!(net.nodes[three].got.len(), 1);
    assert!(net.nodes[four].got.is_empty());
    assert_eq!(net.shout(one, "CHAT", "hello"), 1);
}

#[test]
fn what_is_said_before_the_bridge_knows_of_the_sender_waits() {
    // ONCE-101
    let (mut net, _) = two_lans();
    // A newcomer meets the stand-ins at another time than the bridge: over many seeds, each order.
    for octet in 10..40 {
        let name = format!("n{octet}");
        let newcomer = net.client(0, octet, &name, &[]);
        let mut said = false;
        for _ in 0..200 {
            net.run(Duration::from_millis(1));
            if !said && net.nodes[newcomer].peers.contains_key(&id(3)) {
                said = net.whisper(newcomer, id(3), name.clone());
            }
        }
        assert!(said);
        let three = &net.nodes[2];
        assert_eq!(three.got.last().unwrap().from, id(octet), "{name}");
    }
    assert_eq!(net.nodes[2].got.len(), 30);
    assert_eq!(net.hosts[0].bridge.counters().ignored, 0);
    net.everybody_sees_everybody();
}

#[test]
fn one_with_two_addresses_is_heard_on_either_and_who_comes_back_is_waited_for() {
    // ONCE-101: the local node met it over one version of IP, and this stand-in over the other.
    let mut duel = Duel::bridges(&[0xE0]);
    duel.roster(0, 6, 1, vec![listed(2, "two")]);
    let met = client(CLIENT);
    let at = |endpoint, name, headers: &[(&str, &str)]| {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (text(name), value.parse().unwrap()));
        Arc::new(Peer {
            id: met.id,
            name: text(name),
            endpoint: text(endpoint),
            headers: headers.collect(),
        })
    };
    let log = [("X-ZRELOG", "tcp://[fe80::7]:9992")];
    for (peer, is_heard) in [
        (at("tcp://10.0.0.7:49152", "client", &[]), true),
        (at("tcp://fe80::7:49152", "client", &[]), true),
        (at("tcp://[fe80::7]:49152", "client", &log), true),
        (at("tcp://192.168.0.7:49152", "client", &[]), true),
        (at("tcp://10.0.0.7:49153", "client", &[]), false),
        (at("tcp://fe80::7:49153", "client", &[]), false),
        (at("tcp://10.0.0.7:49152", "client", &log), false),
        (at("tcp://fe80::7:49152", "another", &[]), false),
        (at("tcp://name:49152", "client", &[]), false),
    ] {
        duel.whispers(2, &peer, "hello");
        let heard = duel.whispered(0);
        assert_eq!(
            heard,
            vec![Frames::from("hello"); usize::from(is_heard)],
            "{peer:?}"
        );
        // It came back as this one, and then as the first again.
        if !is_heard {
            duel.local(Event::Enter { peer: peer.clone() });
            assert_eq!(duel.whispered(0), [Frames::from("hello")], "{peer:?}");
            duel.local(Event::Enter { peer: met.clone() });
        }
    }
}

#[test]
fn what_one_says_right_before_it_leaves_arrives() {
    // ONCE-109: the local node hears of the end, and stand-ins of the words, at times of their own; and elsewhere a stand-in has to
    // meet the one whom they are for.
    let (mut net, [_, _, _, four]) = two_lans();
    for octet in 10..60 {
        let newcomer = net.client(0, octet, "in a hurry", &[]);
        let mut said = false;
        while !said {
            net.run(Duration::from_millis(1));
            if net.nodes[newcomer].peers.contains_key(&id(4)) {
                said = net.whisper(newcomer, id(4), "last words");
            }
        }
        // What is on the way when a process of the model ends may be lost with it.
        net.run(Duration::from_micros(u64::from(octet) * 100));
        net.end(newcomer, true);
        net.run_secs(1);
        assert!(net.seen(four, id(octet)).is_none(), "it is gone");
    }
    net.run_secs(10);
    let (said, got) = (net.hosts[0].bridge.counters(), net.nodes[four].got.len());
    assert_eq!((said.ignored, said.undeliverable), (0, 0));
    assert_eq!(said.whispers_sent, got as u64);
    assert!(got >= 20, "{got}");
    assert_eq!(net.hosts[1].bridge.usage().waiting_octets, 0);
    net.everybody_sees_everybody();
}

#[test]
fn what_is_said_to_somebody_who_is_gone_is_reported() {
    // ONCE-106
    let (mut net, [one, .., four]) = two_lans();
    let _ = told(&mut net, 0);
    net.end(four, true);
    assert!(net.whisper(one, id(4), "are you there?"));
    net.run_secs(1);
    let told = told(&mut net, 0);
    assert!(told.contains(&Told::Undeliverable {
        from: id(1),
        bridge: id(0xB1),
        reason: Reason::UNKNOWN,
    }));
    assert!(told.contains(&Told::Exit {
        peer: id(4),
        bridge: id(0xB1)
    }));
    assert_eq!(net.hosts[0].bridge.counters().undeliverable, 1);
    assert_eq!(net.hosts[1].bridge.counters().undeliverable, 1);
}

#[test]
fn a_full_queue_between_bridges_holds_back_and_loses_nothing() {
    // ONCE-102
    let (mut net, [one, two, three, four]) = two_lans();
    net.faults = Faults {
        full: 60,
        ..Faults::default()
    };
    for n in 0..100_u8 {
        net.whisper(one, id(3), vec![n]);
        net.whisper(two, id(3), vec![n]);
        net.shout(one, "CHAT", vec![n]);
        net.run(Duration::from_millis(10));
    }
    net.run_secs(120);
    assert!(net.refused > 50);
    let from = |node: usize, from: u8, shouted: bool| -> Vec<u8> {
        let got = net.nodes[node].got.iter();
        let got = got.filter(|got| got.from == id(from) && got.group.is_some() == shouted);
        got.map(|got| got.content[0][0]).collect()
    };
    let all: Vec<u8> = (0..100).collect();
    assert_eq!(from(three, 1, false), all);
    assert_eq!(from(three, 2, false), all);
    assert_eq!(from(three, 1, true), all);
    assert_eq!(from(four, 1, true), all);
    assert_eq!(net.hosts[0].bridge.usage().waiting_octets, 0);
}

#[test]
fn a_full_queue_to_a_client_is_reported() {
    // ONCE-102, ONCE-106
    let (mut net, [one, _, three, _]) = two_lans();
    net.faults.client_full = 100;
    net.whisper(one, id(3), "hello");
    net.run_secs(1);
    assert!(net.nodes[three].got.is_empty());
    assert!(told(&mut net, 0).contains(&Told::Undeliverable {
        from: id(1),
        bridge: id(0xB1),
        reason: Reason::FULL,
    }));
    assert_eq!(net.hosts[1].bridge.counters().delivered, 0);
}

#[test]
fn what_is_too_large_is_not_sent() {
    // ONCE-107
    let mut net = Net::new(3);
    net.limits.content_octets = 1_000;
    let one = net.client(0, 1, "one", &["G"]);
    let two = net.client(1, 2, "two", &["G"]);
    net.bridge(0, 0xB0);
    net.bridge(1, 0xB1);
    net.run_secs(6);
    net.whisper(one, id(2), vec![0; 1_001]);
    net.whisper(one, id(2), vec![0; 1_000]);
    net.run_secs(1);
    assert_eq!(net.nodes[two].got.len(), 1);
    assert!(told(&mut net, 0).contains(&Told::Undeliverable {
        from: id(1),
        bridge: id(0xB1),
        reason: Reason::TOO_LARGE,
    }));
}
