//! Who is shown where, and for how long.

use std::time::Duration;

use atonce::once::bridge::Event as Told;

use crate::net::{Faults, Net, id};
use crate::{told, two_lans};

#[test]
fn who_comes_joins_leaves_and_goes_does_so_everywhere() {
    // ONCE-81, ONCE-95
    let (mut net, [one, two, three, _]) = two_lans();
    net.join(two, "LATE");
    net.leave(three, "CHAT");
    let five = net.client(1, 5, "five", &["LATE"]);
    net.run_secs(1);
    net.everybody_sees_everybody();
    assert!(net.view(one).contains_key(&id(5)));
    net.end(five, true);
    net.end(one, true);
    net.run_secs(1);
    net.everybody_sees_everybody();
    assert_eq!(net.clients().len(), 3);
    // Who is killed is gone when it has been silent for long enough.
    net.end(three, false);
    net.run_secs(31);
    net.everybody_sees_everybody();
}

#[test]
fn a_client_that_starts_anew_is_another_everywhere() {
    // ONCE-85, ONCE-92
    let (mut net, [one, ..]) = two_lans();
    net.end(one, false);
    let again = net.client(0, 1, "another", &["NEW"]);
    net.run_secs(32);
    net.everybody_sees_everybody();
    let four = 3;
    assert_eq!(net.seen(four, id(1)).unwrap().name, "another");
    assert!(net.whisper(four, id(1), "hello"));
    net.run_secs(1);
    assert_eq!(net.nodes[again].got.len(), 1);
}

#[test]
fn who_is_hidden_is_shown_nowhere() {
    // ONCE-80, ONCE-90
    let mut net = Net::new(1);
    let one = net.client(0, 1, "one", &[]);
    let two = net.client(0, 2, "two", &[]);
    let three = net.client(1, 3, "three", &[]);
    let four = net.client(1, 4, "four", &[]);
    let mut config = net.config(0xB0);
    config.hidden = [id(1), id(3)].into();
    net.bridge_with(0, config);
    net.bridge(1, 0xB1);
    net.run_secs(6);
    let view = |node: usize| -> Vec<_> { net.view(node).into_keys().collect() };
    assert_eq!(view(one), [id(2), id(4)]);
    assert_eq!(view(two), [id(1), id(4)]);
    assert_eq!(view(three), [id(2), id(4)]);
    assert_eq!(view(four), [id(2), id(3)]);
    // It may speak to a stand-in, which leads nowhere.
    assert!(net.whisper(one, id(4), "hello"));
    net.run_secs(7);
    assert!(net.nodes[four].got.is_empty());
    assert_eq!(net.hosts[0].bridge.counters().ignored, 1);
}

#[test]
fn who_is_here_and_elsewhere_is_here() {
    // ONCE-86, ONCE-92
    let (mut net, [one, _, three, four]) = two_lans();
    let _ = told(&mut net, 0);
    // The one of the other LAN is on this one as well, from now on.
    let moved = net.client(0, 3, "three", &["CHAT"]);
    net.run_secs(2);
    assert_eq!(net.hosts[0].stand_ins.len(), 1);
    assert!(
        net.seen(one, id(3))
            .unwrap()
            .headers
            .get("X-ONCE-VIA")
            .is_none()
    );
    assert!(net.whisper(one, id(3), "hello"));
    // For its own LAN it is there.
    assert!(
        net.seen(four, id(3))
            .unwrap()
            .headers
            .get("X-ONCE-VIA")
            .is_none()
    );
    net.run_secs(1);
    assert_eq!(net.nodes[moved].got.len(), 1);
    let told_of_it = told(&mut net, 0);
    let claimed = Told::Claimed {
        bridge: id(0xB1),
        peer: id(3),
        holder: id(0xB0),
    };
    assert!(told_of_it.contains(&claimed), "{told_of_it:?}");
    // It leaves there, and all see it here.
    net.end(three, true);
    net.run_secs(2);
    net.everybody_sees_everybody();
    // And back again, without a goodbye.
    net.end(moved, false);
    let back = net.client(1, 3, "three", &[]);
    net.run_secs(32);
    net.everybody_sees_everybody();
    assert!(net.whisper(one, id(3), "hello"));
    net.run_secs(1);
    assert_eq!(net.nodes[back].got.len(), 1);
}

#[test]
fn of_bridges_that_claim_the_same_peer_the_first_has_it_until_it_exits_there() {
    // ONCE-86
    let mut net = Net::new(5);
    let one = net.client(0, 1, "one", &[]);
    let first = net.client(1, 9, "first", &[]);
    for lan in 0..3_u8 {
        net.bridge(lan.into(), 0xB0 + lan);
    }
    net.run_secs(6);
    let second = net.client(2, 9, "second", &[]);
    net.run_secs(2);
    assert_eq!(net.seen(one, id(9)).unwrap().name, "first");
    let claimed = Told::Claimed {
        bridge: id(0xB2),
        peer: id(9),
        holder: id(0xB1),
    };
    assert!(told(&mut net, 0).contains(&claimed));
    net.end(first, true);
    net.run_secs(2);
    assert_eq!(net.seen(one, id(9)).unwrap().name, "second");
    assert!(net.whisper(one, id(9), "hello"));
    net.run_secs(1);
    assert_eq!(net.nodes[second].got.len(), 1);
    net.everybody_sees_everybody();
}

#[test]
fn when_a_link_is_lost_the_roster_leaves_and_when_it_is_back_it_comes_back() {
    // ONCE-83, ONCE-87, ONCE-100
    let (mut net, [one, _, three, _]) = two_lans();
    for round in 0..3_u8 {
        net.cut(0, 1, true);
        net.run_secs(1);
        assert_eq!(net.view(one).len(), 1, "the others are gone at once");
        assert!(net.hosts[0].stand_ins.is_empty());
        net.run_secs(10);
        // What happened meanwhile is told.
        net.client(1, 20 + round, "newcomer", &["CHAT"]);
        net.run_secs(1);
        net.wan_messages.clear();
        net.join_up(0, 1);
        net.run_secs(2);
        net.everybody_sees_everybody();
        assert_eq!(
            net.wan_messages.get(&0x31),
            None,
            "what is known is not told again"
        );
        assert!(net.whisper(one, id(3), vec![round]));
        net.run_secs(1);
        assert_eq!(net.nodes[three].got.len(), usize::from(round) + 1);
    }
    assert_eq!(net.hosts[1].bridge.counters().missed, 0);
}

#[test]
fn after_a_short_loss_the_changes_are_told_and_not_the_whole_roster() {
    // ONCE-83
    let (mut net, _) = two_lans();
    net.wan_messages.clear();
    net.cut(0, 1, false);
    net.client(1, 5, "five", &[]);
    net.run_secs(2);
    net.everybody_sees_everybody();
    // GET-ROSTER from both, no ROSTER; the last change of each, asked and unasked, and the new one.
    assert_eq!(net.wan_messages.get(&0x30), Some(&2));
    assert_eq!(net.wan_messages.get(&0x31), None);
    assert!((3..=5).contains(&net.wan_messages[&0x32]));
}

#[test]
fn whoever_missed_too_many_changes_gets_all_of_it() {
    // ONCE-81, ONCE-82, ONCE-83
    let mut net = Net::new(2);
    net.limits.changes = 4;
    let one = net.client(0, 1, "one", &[]);
    let two = net.client(1, 2, "two", &[]);
    net.bridge(0, 0xB0);
    net.bridge(1, 0xB1);
    net.run_secs(6);
    net.cut(0, 1, true);
    net.run_secs(1);
    for n in 0..10 {
        net.join(two, &format!("G{n}"));
    }
    net.run_secs(1);
    net.wan_messages.clear();
    net.join_up(0, 1);
    net.run_secs(2);
    net.everybody_sees_everybody();
    assert_eq!(net.wan_messages.get(&0x31), Some(&1));
    // So does one that does not take them as fast as they come.
    net.faults.full = 95;
    for n in 0..50 {
        net.join(one, &format!("H{n}"));
        net.run(Duration::from_millis(20));
    }
    net.faults = Faults::default();
    net.run_secs(2);
    net.everybody_sees_everybody();
}

#[test]
fn a_bridge_that_is_killed_takes_its_roster_with_it_and_brings_it_back() {
    // ONCE-87
    let (mut net, [one, _, three, _]) = two_lans();
    net.kill(1);
    net.run_secs(32);
    assert_eq!(net.view(one).len(), 1);
    assert_eq!(net.view(three).len(), 1);
    net.bridge(1, 0xB1);
    net.run_secs(6);
    net.everybody_sees_everybody();
    assert!(net.whisper(one, id(3), "hello") && net.whisper(three, id(1), "hello"));
    net.run_secs(1);
    assert_eq!(
        (net.nodes[three].got.len(), net.nodes[one].got.len()),
        (1, 1)
    );
}

#[test]
fn a_bridge_that_stops_says_so() {
    // ONCE-119
    let (mut net, [one, _, three, _]) = two_lans();
    // What waits for the other one does not go out any more.
    net.faults.full = 100;
    assert!(net.whisper(three, id(1), "hello") && net.whisper(three, id(2), "hello"));
    net.run(Duration::from_millis(50));
    net.faults.full = 0;
    net.stop(1);
    let lost = Told::Undeliverable {
        from: id(3),
        bridge: id(0xB0),
        reason: atonce::wire::once::Reason::LOST,
    };
    assert!(told(&mut net, 1).contains(&lost));
    assert_eq!(net.hosts[1].bridge.usage().waiting_octets, 0);
    net.run_secs(1);
    assert_eq!((net.view(one).len(), net.view(three).len()), (1, 1));
    assert!(
        told(&mut net, 0)
            .iter()
            .any(|event| matches!(event, Told::Lost { .. }))
    );
}

#[test]
fn as_many_stand_ins_as_may_be_and_who_waits_comes_when_there_is_room() {
    // ONCE-93
    let mut net = Net::new(4);
    net.limits.stand_ins = 3;
    let one = net.client(0, 1, "one", &[]);
    let others: Vec<usize> = (10..15)
        .map(|octet| net.client(1, octet, "other", &["G"]))
        .collect();
    net.bridge(0, 0xB0);
    net.bridge(1, 0xB1);
    net.run_secs(6);
    assert_eq!(net.view(one).len(), 3);
    let usage = net.hosts[0].bridge.usage();
    assert_eq!((usage.stand_ins, usage.without_stand_in), (3, 2));
    let many = |net: &mut Net| {
        let told = told(net, 0);
        let many = told.iter().filter(|it| **it == Told::TooMany { limit: 3 });
        many.count()
    };
    assert_eq!(many(&mut net), 1);
    let before = net.view(one);
    let gone = *before.keys().next().unwrap();
    let node = others.iter().find(|it| net.nodes[**it].peer.id == gone);
    net.end(*node.unwrap(), true);
    net.run_secs(1);
    let after = net.view(one);
    assert_eq!(after.len(), 3);
    assert!(
        before
            .keys()
            .filter(|id| **id != gone)
            .all(|id| after.contains_key(id))
    );
    assert_eq!(many(&mut net), 1, "told again: there had been room");
    net.client(1, 20, "one more", &[]);
    net.run_secs(1);
    assert_eq!(many(&mut net), 0);
}

#[test]
fn a_stand_in_that_could_not_be_started_is_tried_again() {
    // ONCE-93
    let mut net = Net::new(9);
    net.faults.not_started = 100;
    let one = net.client(0, 1, "one", &[]);
    for octet in 10..13 {
        net.client(1, octet, "other", &[]);
    }
    net.bridge(0, 0xB0);
    net.bridge(1, 0xB1);
    net.run_secs(8);
    assert!(net.view(one).is_empty());
    net.faults.not_started = 0;
    net.run_secs(12);
    net.everybody_sees_everybody();
}

#[test]
fn who_does_not_fit_the_roster_is_told_when_there_is_room() {
    // ONCE-84
    let mut net = Net::new(4);
    net.limits.roster_peers = 2;
    let one = net.client(0, 1, "one", &[]);
    let others: Vec<usize> = (10..14)
        .map(|octet| net.client(1, octet, "other", &["G"]))
        .collect();
    net.bridge(0, 0xB0);
    net.bridge(1, 0xB1);
    net.run_secs(6);
    assert_eq!(net.view(one).len(), 2);
    for (n, other) in others.into_iter().enumerate() {
        net.end(other, true);
        net.run_secs(1);
        assert_eq!(net.view(one).len(), 2.min(3 - n));
    }
    net.everybody_sees_everybody();
}

#[test]
fn a_large_roster_comes_in_parts() {
    // ONCE-82
    let mut net = Net::new(4);
    let one = net.client(0, 1, "one", &[]);
    let groups: Vec<String> = (0..200).map(|n| format!("{n:0>100}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for octet in 10..20 {
        net.client(1, octet, "other", &groups);
    }
    net.bridge(1, 0xB1);
    net.run_secs(6);
    net.bridge(0, 0xB0);
    net.run_secs(6);
    net.everybody_sees_everybody();
    assert!(net.wan_messages[&0x31] >= 4, "{:?}", net.wan_messages);
    assert_eq!(net.view(one).len(), 10);
}
