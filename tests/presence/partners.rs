//! Nodes that are told whom to meet: directed beacons, introductions, mailboxes that are not there, ends without a goodbye.

use std::net::SocketAddr;

use atonce::wire::Beacon;
use atonce::wire::zre::Command;
use atonce::zre::{Beacons, ConnectError, SendError};
use atonce::{Action, Config, Cut, Instant, Interface, LinkId, PeerId, Stack};

use crate::support::{Lan, frames, names, text, two};
use crate::{NOTHING, alice_and_puppet, ms};

pub(super) fn config(name: &str, beacons: Beacons) -> Config {
    Config {
        name: Some(text(name)),
        beacons,
        ..Config::default()
    }
}

/// Where a host of the LAN hears beacons.
fn ear(lan: &Lan, host: usize) -> SocketAddr {
    SocketAddr::new(lan.address_of(host).ip(), 5670)
}

fn seek(lan: &mut Lan, who: usize, address: SocketAddr) {
    lan.with(who, |stack, now| stack.beacon(now, address).unwrap());
}

/// When a host sent directed beacons, in milliseconds since the last time it was asked.
fn sent(lan: &mut Lan, who: usize) -> Vec<u64> {
    let all = std::mem::take(&mut lan.directed);
    let (his, others) = all.into_iter().partition(|(_, from, ..)| *from == who);
    lan.directed = others;
    let his: Vec<(Instant, usize, SocketAddr, Vec<u8>)> = his;
    his.into_iter().map(|(at, ..)| at.as_millis()).collect()
}

pub(super) fn stack_at(address: [u8; 4], config: Config) -> Stack {
    let mut stack = Stack::new(Instant::ZERO, [address[3]; 32], config);
    let interface = Interface {
        name: "eth0".into(),
        address: address.into(),
        port: 49152,
        zone: 0,
    };
    stack.handle_interface_up(Instant::ZERO, interface);
    stack
}

/// What a stack sends to single addresses now.
fn directed(stack: &mut Stack) -> Vec<(SocketAddr, Beacon)> {
    std::iter::from_fn(|| stack.poll_action())
        .filter_map(|action| match action {
            Action::Beacon { to, datagram, .. } => Some((to, Beacon::decode(&datagram).unwrap())),
            _ => None,
        })
        .collect()
}

fn beacon(octet: u8, port: u16) -> Vec<u8> {
    let beacon = Beacon {
        uuid: PeerId::from_bytes([octet; 16]),
        port,
        key: None,
    };
    beacon.encode().to_vec()
}

#[test]
fn one_that_only_says_beacons_is_found_and_finds_nobody() {
    // ZRE-130
    let mut lan = Lan::new();
    let says = lan.node_with(config("says", Beacons::Say));
    let too = lan.node_with(config("too", Beacons::Say));
    let hears = lan.puppet(9);
    lan.puppet_beacons(hears, PeerId::from_bytes([9; 16]), 49152);
    lan.run_for(ms(3_000));
    assert_eq!((lan.dials(says), lan.dials(too)), (0, 0));
    // An ordinary node finds both, and they it by its HELLO.
    let alice = lan.node("alice");
    lan.run_for(ms(2_000));
    let mut met = names(&lan.events(alice));
    met.sort();
    assert_eq!(met, ["enter says", "enter too"]);
    assert_eq!(names(&lan.events(says)), ["enter alice"]);
    assert_eq!(names(&lan.events(too)), ["enter alice"]);
}

#[test]
fn a_directed_node_is_found_by_whoever_asks_it() {
    // ZRE-130, ZRE-131
    let mut lan = Lan::new();
    let server = lan.node_with(config("server", Beacons::Directed));
    let alice = lan.node_with(config("alice", Beacons::Directed));
    lan.run_for(ms(5_000));
    assert_eq!((lan.dials(server), lan.dials(alice)), (0, 0));
    let there = ear(&lan, server);
    seek(&mut lan, alice, there);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter server"]);
    assert_eq!(names(&lan.events(server)), ["enter alice"]);
}

#[test]
fn a_directed_beacon_is_repeated_with_growing_pauses_until_it_is_wanted_no_more() {
    // ZRE-131
    let mut lan = Lan::new();
    let alice = lan.node_with(config("alice", Beacons::Directed));
    let nobody = "10.0.0.200:5671".parse().unwrap();
    seek(&mut lan, alice, nobody);
    // Once more changes nothing.
    seek(&mut lan, alice, nobody);
    lan.run_for(ms(300_000));
    let times = sent(&mut lan, alice);
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(times[0], 0);
    for (n, pause) in pauses.iter().enumerate() {
        let meant = 1_000 * [1, 2, 4, 8, 16, 30][n.min(5)];
        let about = meant * 3 / 4..=meant * 5 / 4 + 1;
        assert!(about.contains(pause), "{n}: {pauses:?}");
    }
    assert!(pauses.len() > 10);
    lan.with(alice, |stack, _| stack.unbeacon(nobody));
    lan.run_for(ms(60_000));
    assert!(sent(&mut lan, alice).is_empty());
}

#[test]
fn directed_beacons_begin_anew_when_an_interface_comes_up() {
    // ZRE-131
    let mut stack = Stack::new(Instant::ZERO, [1; 32], config("alice", Beacons::Directed));
    let there = "10.0.0.200:5671".parse().unwrap();
    stack.beacon(Instant::ZERO, there).unwrap();
    // There is no way yet.
    assert_eq!(directed(&mut stack), []);
    let now = Instant::from_millis(500);
    let mut interface = Interface {
        name: "eth0".into(),
        address: [10, 0, 0, 1].into(),
        port: 50_001,
        zone: 0,
    };
    stack.handle_interface_up(now, interface.clone());
    let sent = directed(&mut stack);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, sent[0].1.port), (there, 50_001));
    // Each interface has a mailbox with a port of its own, and only those of the same family lead there. ZRE-134
    interface.address = [10, 1, 0, 1].into();
    interface.port = 50_002;
    stack.handle_interface_up(now, interface.clone());
    interface.address = [0xfd00, 0, 0, 0, 0, 0, 0, 1].into();
    interface.port = 50_003;
    directed(&mut stack);
    stack.handle_interface_up(now, interface);
    let ports: Vec<_> = directed(&mut stack).iter().map(|(_, it)| it.port).collect();
    assert_eq!(ports, [50_001, 50_002]);
}

#[test]
fn the_advertised_port_is_in_directed_beacons() {
    // ZRE-134
    let mut alice = config("alice", Beacons::Directed);
    alice.advertise = Some("tcp://203.0.113.7:9999".parse().unwrap());
    let mut stack = stack_at([10, 0, 0, 1], alice);
    stack
        .beacon(Instant::ZERO, "198.51.100.1:5671".parse().unwrap())
        .unwrap();
    let ports: Vec<_> = directed(&mut stack).iter().map(|(_, it)| it.port).collect();
    assert_eq!(ports, [9_999]);
}

#[test]
fn nothing_is_sent_while_the_peer_is_here_that_it_led_to() {
    // ZRE-132
    let mut lan = Lan::new();
    let server = lan.node_with(config("server", Beacons::Directed));
    let alice = lan.node_with(config("alice", Beacons::Directed));
    let there = ear(&lan, server);
    seek(&mut lan, alice, there);
    lan.run_for(ms(60_000));
    assert_eq!(names(&lan.events(alice)), ["enter server"]);
    assert_eq!(sent(&mut lan, alice), [0]);
    // It dies, and comes back under another UUID.
    let address = lan.address_of(server);
    lan.kill(server);
    lan.run_for(ms(10_000));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit server lost: its mailbox is gone"]
    );
    let tries = sent(&mut lan, alice);
    assert!((3..=5).contains(&tries.len()), "{tries:?}");
    lan.node_at(config("again", Beacons::Directed), address);
    lan.run_for(ms(11_000));
    assert_eq!(names(&lan.events(alice)), ["enter again"]);
}

#[test]
fn a_beacon_from_there_in_the_name_of_a_peer_elsewhere_keeps_nobody_quiet() {
    // ZRE-132
    let (mut lan, alice, bob) = two();
    let nobody = "10.0.0.200:5671".parse().unwrap();
    seek(&mut lan, alice, nobody);
    let bobs = lan.id(bob);
    for _ in 0..10 {
        // A liar writes any source.
        let lie = Beacon {
            uuid: bobs,
            port: 49152,
            key: None,
        };
        lan.with(alice, |stack, now| {
            stack.handle_datagram(now, nobody, &lie.encode());
        });
        lan.run_for(ms(2_000));
    }
    let tries = sent(&mut lan, alice);
    assert!((4..=6).contains(&tries.len()), "{tries:?}");
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
}

#[test]
fn another_one_at_the_same_address_is_sought_while_the_first_is_still_here() {
    // ZRE-132. The server was started anew under another UUID, and its links are not known to be gone.
    let mut lan = Lan::new();
    let server = lan.node_with(config("server", Beacons::Directed));
    let alice = lan.node_with(config("alice", Beacons::Directed));
    let there = ear(&lan, server);
    seek(&mut lan, alice, there);
    lan.run_for(ms(20_000));
    assert_eq!(sent(&mut lan, alice), [0]);
    lan.with(alice, |stack, now| {
        stack.handle_datagram(now, there, &beacon(77, 50_077));
    });
    lan.run_for(ms(10_000));
    let tries = sent(&mut lan, alice);
    // What answers is the first one, which is here.
    assert_eq!(tries.len(), 1, "{tries:?}");
    assert!((20_750..=21_251).contains(&tries[0]), "{tries:?}");
}

#[test]
fn a_directed_node_answers_to_where_the_beacon_came_from() {
    // ZRE-133. Behind a translation of addresses: neither address nor port are those of the node, and its mailbox is not there.
    let mut stack = stack_at([203, 0, 113, 1], config("server", Beacons::Directed));
    let id = stack.id();
    let from = "198.51.100.7:61234".parse().unwrap();
    stack.handle_datagram(Instant::ZERO, from, &beacon(9, 49_999));
    let mut dialled = Vec::new();
    let mut answers = Vec::new();
    while let Some(action) = stack.poll_action() {
        match action {
            Action::Dial { address, .. } => dialled.push(address.to_string()),
            Action::Beacon { to, datagram, .. } => answers.push((to, datagram)),
            other => panic!("{other:?}"),
        }
    }
    // ZRE-130: it is dialled as usual, whatever comes of it.
    assert_eq!(dialled, ["198.51.100.7:49999"]);
    let expected = Beacon {
        uuid: id,
        port: 49152,
        key: None,
    };
    assert_eq!(answers, [(from, expected.encode())]);
    assert_eq!(answers[0].1.len(), beacon(9, 1).len());
    // Neither a goodbye nor what is no beacon, nor one that says what it does not follow.
    let mut now = Instant::ZERO;
    for datagram in [
        beacon(8, 0),
        b"ZRE".to_vec(),
        vec![0; 22],
        [beacon(8, 1), vec![7; 32]].concat(),
    ] {
        now += ms(1_000);
        stack.handle_datagram(now, from, &datagram);
        assert_eq!(directed(&mut stack), []);
    }
    // Those that broadcast do not answer: whoever hears them needs none.
    let mut both = stack_at([203, 0, 113, 1], config("both", Beacons::Both));
    both.handle_datagram(Instant::ZERO, from, &beacon(9, 49_999));
    assert_eq!(directed(&mut both), []);
}

#[test]
fn answers_are_few_whoever_asks_and_however_often() {
    // ZRE-133
    let mut stack = stack_at([203, 0, 113, 1], config("server", Beacons::Directed));
    let mut answered = std::collections::BTreeMap::<SocketAddr, u32>::new();
    let mut now = Instant::ZERO;
    // One asks every 10 ms for ten seconds.
    let one = "198.51.100.7:61234".parse().unwrap();
    for _ in 0..1_000 {
        stack.handle_datagram(now, one, &beacon(9, 49_999));
        for (to, _) in directed(&mut stack) {
            *answered.entry(to).or_default() += 1;
        }
        now += ms(10);
    }
    assert!((13..=15).contains(&answered[&one]), "{answered:?}");
    // 3,000 sources at once, which somebody made up.
    now += ms(1_000);
    for n in 0..3_000_u16 {
        let source = SocketAddr::from(([198, 51, 100, 8], 1_000 + n));
        stack.handle_datagram(now, source, &beacon(9, 49_999));
    }
    assert_eq!(directed(&mut stack).len(), 1_024);
    stack.handle_datagram(now + ms(1_000), one, &beacon(9, 49_999));
    assert_eq!(directed(&mut stack).len(), 1);
}

#[test]
fn answers_are_not_answered_for_ever() {
    // ZRE-133. Two that seek each other, and cannot meet: nobody lets anybody dial.
    let mut lan = Lan::new();
    let alice = lan.node_with(config("alice", Beacons::Directed));
    let bob = lan.node_with(config("bob", Beacons::Directed));
    lan.host(alice).refuses = true;
    lan.host(bob).refuses = true;
    let (alices, bobs) = (ear(&lan, alice), ear(&lan, bob));
    seek(&mut lan, alice, bobs);
    seek(&mut lan, bob, alices);
    lan.run_for(ms(120_000));
    // 0, 1, 3, 7, 15, 31, 61, 91 seconds: their own beacons and nothing else.
    for who in [alice, bob] {
        let tries = sent(&mut lan, who);
        assert!((7..=10).contains(&tries.len()), "{tries:?}");
    }
    // And when only one seeks, from an address that the other does not answer to: each has one answer.
    lan.with(bob, |stack, _| stack.unbeacon(alices));
    lan.with(alice, |stack, _| stack.unbeacon(bobs));
    lan.run_for(ms(1_000));
    let elsewhere = Beacon {
        uuid: PeerId::from_bytes([9; 16]),
        port: 7,
        key: None,
    };
    lan.with(alice, |stack, now| {
        stack.handle_datagram(now, bobs, &elsewhere.encode());
    });
    lan.run_for(ms(10_000));
    assert_eq!(sent(&mut lan, alice).len(), 1);
    assert_eq!(sent(&mut lan, bob).len(), 1);
}

#[test]
fn one_that_restarts_under_its_uuid_gets_an_answer_though_it_is_still_believed_here() {
    // ZRE-133
    let mut lan = Lan::new();
    let server = lan.node_with(config("server", Beacons::Directed));
    let mut alice = config("alice", Beacons::Directed);
    alice.uuid = Some(PeerId::from_bytes([1; 16]));
    let first = lan.node_with(alice.clone());
    let there = ear(&lan, server);
    seek(&mut lan, first, there);
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(server)), ["enter alice"]);
    let address = lan.address_of(first);
    lan.kill(first);
    let second = lan.node_at(alice, address);
    seek(&mut lan, second, there);
    lan.run_for(ms(100));
    let events = names(&lan.events(server));
    assert!(events[0].starts_with("exit alice"), "{events:?}");
    assert_eq!(events[1..], ["enter alice"]);
    assert_eq!(names(&lan.events(second)), ["enter server"]);
}

#[test]
fn partners_are_told_of_the_end() {
    // ZRE-134
    let mut stack = stack_at([10, 0, 0, 1], config("alice", Beacons::Directed));
    let there = "10.0.0.200:5671".parse().unwrap();
    stack.beacon(Instant::ZERO, there).unwrap();
    directed(&mut stack);
    stack.stop(Instant::ZERO);
    let last = directed(&mut stack);
    assert_eq!(last.len(), 1);
    assert_eq!((last[0].0, last[0].1.port), (there, 0));
    assert!(stack.is_stopped());
    assert_eq!(
        stack.beacon(Instant::ZERO, there),
        Err(ConnectError::Stopped)
    );
    // It leaves at once, as with a broadcast.
    let mut lan = Lan::new();
    let server = lan.node_with(config("server", Beacons::Directed));
    let alice = lan.node_with(config("alice", Beacons::Directed));
    let there = ear(&lan, server);
    seek(&mut lan, alice, there);
    lan.run_for(ms(100));
    lan.events(server);
    lan.with(alice, Stack::stop);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(server)), ["exit alice left"]);
    let last = lan.directed.last().unwrap();
    assert_eq!(Beacon::decode(&last.3).unwrap().port, 0);
}

#[test]
fn one_without_beacons_sends_none_to_anybody() {
    // ZRE-9, ZRE-130
    let mut stack = stack_at([10, 0, 0, 1], config("alice", Beacons::Off));
    let there = "10.0.0.200:5671".parse().unwrap();
    assert_eq!(
        stack.beacon(Instant::ZERO, there),
        Err(ConnectError::NoBeacons)
    );
    stack.handle_datagram(Instant::ZERO, there, &beacon(9, 49_999));
    stack.stop(Instant::ZERO);
    let actions: Vec<_> = std::iter::from_fn(|| stack.poll_action()).collect();
    assert_eq!(actions, []);
}

// ---- introductions

#[test]
fn one_who_is_introduced_is_dialled_and_met() {
    // ZRE-135
    let mut lan = Lan::new();
    let says = lan.node_with(config("says", Beacons::Say));
    let off = lan.node_with(config("off", Beacons::Off));
    let (id, address) = (lan.id(off), lan.address_of(off));
    lan.run_for(ms(3_000));
    lan.with(says, |stack, now| stack.introduce(now, id, address, None));
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(says)), ["enter off"]);
    assert_eq!(names(&lan.events(off)), ["enter says"]);
    // Once more is nothing new.
    let dials = lan.dials(says);
    lan.with(says, |stack, now| stack.introduce(now, id, address, None));
    lan.run_for(ms(100));
    assert_eq!(lan.dials(says), dials);
}

#[test]
fn an_introduction_is_a_hint_with_the_limits_of_hints() {
    // ZRE-135, ZRE-11
    let mut stack = stack_at([10, 0, 0, 1], config("says", Beacons::Say));
    let now = Instant::ZERO;
    let own = stack.id();
    let mut introduce = |octet: u8, address: &str| {
        let id = match octet {
            0 => own,
            octet => PeerId::from_bytes([octet; 16]),
        };
        stack.introduce(now, id, address.parse().unwrap(), None);
        stack.usage().hints
    };
    // Ourselves, our own mailbox, and none.
    assert_eq!(introduce(0, "10.0.0.2:49152"), 0);
    assert_eq!(introduce(2, "10.0.0.1:49152"), 0);
    assert_eq!(introduce(2, "10.0.0.2:0"), 0);
    assert_eq!(introduce(2, "10.0.0.2:49152"), 1);
    for n in 0..255_u8 {
        introduce(255 - n, &format!("10.0.0.2:{}", 50_000 + u16::from(n)));
    }
    for n in 0..1_000_u16 {
        let octets = u128::from(n + 1_000).to_be_bytes();
        let address = SocketAddr::from(([10, 0, 0, 2], 1_000 + n));
        stack.introduce(now, PeerId::from_bytes(octets), address, None);
    }
    assert_eq!(stack.usage().hints, 256);
    // Nobody repeats it: it is let go.
    let mut now = now;
    let mut open = std::collections::BTreeSet::<LinkId>::new();
    while now < Instant::from_millis(60_000) {
        while let Some(action) = stack.poll_action() {
            if let Action::Dial { link, .. } = action {
                open.insert(link);
            }
        }
        for link in std::mem::take(&mut open) {
            stack.handle_disconnected(now, link, Cut::Refused);
        }
        now = stack.poll_timeout().unwrap().0;
        stack.handle_timeout(now);
    }
    assert_eq!(stack.usage().hints, 0);
}

#[test]
fn an_introduction_does_not_say_that_a_peer_lives() {
    // ZRE-135
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let (id, address) = (lan.id(puppet), lan.address_of(puppet));
    lan.the_puppet(puppet).answers_pings = false;
    for _ in 0..12 {
        lan.with(alice, |stack, now| stack.introduce(now, id, address, None));
        lan.run_for(ms(500));
    }
    assert_eq!(names(&lan.events(alice))[0], "evasive puppet");
}

// ---- a SHOUT to one member

#[test]
fn a_shout_to_one_member_is_heard_by_that_one_alone() {
    // ZRE-136
    let mut lan = Lan::new();
    let nodes = ["alice", "bob", "carol"].map(|name| lan.node(name));
    let [alice, bob, carol] = nodes;
    for node in [bob, carol] {
        lan.with(node, |stack, now| stack.join(now, &text("CHAT")));
    }
    lan.run_for(ms(2_000));
    for node in nodes {
        lan.events(node);
    }
    let (bobs, carols) = (lan.id(bob), lan.id(carol));
    let say = |lan: &mut Lan, to: PeerId, group: &str, content| {
        lan.with(alice, |stack, now| {
            stack.shout_to(now, to, &text(group), &content)
        })
    };
    assert_eq!(say(&mut lan, bobs, "CHAT", frames("for bob")), Ok(()));
    // Large frames go another way, several frames stay several, none is an empty one.
    let large = atonce::Frames::from(vec![7; 100_000]);
    assert_eq!(say(&mut lan, bobs, "CHAT", large.clone()), Ok(()));
    assert_eq!(
        say(&mut lan, bobs, "CHAT", atonce::Frames::new()),
        Ok(()),
        "ZRE-74"
    );
    lan.run_for(ms(100));
    let heard = lan.events(bob);
    assert_eq!(names(&heard[..1]), ["shout alice CHAT [b\"for bob\"]"]);
    assert!(
        matches!(&heard[1], atonce::Event::Shout { content, .. } if *content == large),
        "another"
    );
    assert_eq!(names(&heard[2..]), ["shout alice CHAT [b\"\"]"]);
    assert_eq!(names(&lan.events(carol)), NOTHING);
    // Not one who is elsewhere, nor one who left.
    assert_eq!(
        say(&mut lan, bobs, "OTHER", frames("x")),
        Err(SendError::NotMember)
    );
    let nobody = PeerId::from_bytes([200; 16]);
    assert_eq!(
        say(&mut lan, nobody, "CHAT", frames("x")),
        Err(SendError::UnknownPeer)
    );
    lan.with(carol, |stack, now| stack.leave(now, &text("CHAT")));
    lan.run_for(ms(10));
    assert_eq!(
        say(&mut lan, carols, "CHAT", frames("x")),
        Err(SendError::NotMember)
    );
    lan.run_for(ms(10));
    for node in nodes {
        lan.events(node);
    }
    lan.still_talk(alice, bob);
    lan.still_talk(alice, carol);
}

#[test]
fn a_shout_to_one_member_waits_while_the_link_is_cut_and_is_refused_when_its_queue_is_full() {
    // ZRE-136, ZRE-81
    let (mut lan, alice, bob) = two();
    lan.with(bob, |stack, now| stack.join(now, &text("CHAT")));
    lan.run_for(ms(10));
    lan.events(alice);
    let id = lan.id(bob);
    // A PING and its answer confirm all that was said before.
    let mallory = lan.puppet(66);
    lan.puppet_beacons(mallory, id, 0);
    lan.run_for(ms(6_000));
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(1));
    lan.with(alice, |stack, now| {
        stack
            .shout_to(now, id, &text("CHAT"), &frames("held"))
            .unwrap();
    });
    lan.run_for(ms(1_000));
    assert_eq!(names(&lan.events(bob)), ["shout alice CHAT [b\"held\"]"]);
    lan.host(bob).stalled = true;
    let large = atonce::Frames::from(vec![7; 3 * 1024 * 1024]);
    let results: Vec<_> = (0..4)
        .map(|_| {
            lan.with(alice, |stack, now| {
                stack.shout_to(now, id, &text("CHAT"), &large)
            })
        })
        .collect();
    assert_eq!(
        results,
        [Ok(()), Ok(()), Err(SendError::Full), Err(SendError::Full)]
    );
}

// ---- ends without a goodbye

#[test]
fn a_retired_node_says_nothing_and_the_one_in_its_place_stays() {
    // ZRE-137
    let mut lan = Lan::new();
    let alice = lan.node("alice");
    let puppet = lan.puppet(9);
    let uuid = PeerId::from_bytes([5; 16]);
    let named = |name: &str| Config {
        uuid: Some(uuid),
        ..config(name, Beacons::Both)
    };
    let stand_in = lan.node_with(named("far"));
    lan.puppet_greets(puppet, stand_in);
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["enter far"]);
    // What is queued is still said.
    let alices = lan.id(alice);
    lan.with(stand_in, |stack, now| {
        stack.whisper(now, alices, &frames("last")).unwrap();
        stack.retire(now);
        // Neither makes it more nor less.
        stack.stop(now);
    });
    let real = lan.node_with(named("near"));
    lan.run_for(ms(5_000));
    assert_eq!(
        names(&lan.events(alice)),
        [
            "whisper far [b\"last\"]",
            "exit far lost: its mailbox is gone",
            "enter near"
        ]
    );
    assert_eq!(names(&lan.events(stand_in)).last().unwrap(), "stopped");
    // C Zyre would have believed a GOODBYE.
    let said = &lan.the_puppet(puppet).heard;
    assert!(!said.is_empty());
    assert!(said.iter().all(|(_, it)| it.command != Command::Goodbye));
    lan.events(real);
    lan.still_talk(alice, real);
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn a_retired_node_sends_no_beacon_to_anybody() {
    // ZRE-137
    let mut stack = stack_at([10, 0, 0, 1], config("far", Beacons::Both));
    stack
        .beacon(Instant::ZERO, "10.0.0.200:5671".parse().unwrap())
        .unwrap();
    while stack.poll_action().is_some() {}
    stack.retire(Instant::ZERO);
    let actions: Vec<_> = std::iter::from_fn(|| stack.poll_action()).collect();
    assert_eq!(actions, []);
    assert!(stack.is_stopped());
    let events: Vec<_> = std::iter::from_fn(|| stack.poll_event(Instant::ZERO)).collect();
    assert_eq!(events.last(), Some(&atonce::Event::Stopped));
}

// ---- mailboxes that are not there

#[test]
fn the_beacons_of_an_ignored_mailbox_mean_nothing_under_any_uuid() {
    // ZRE-138
    let mut lan = Lan::new();
    let alice = lan.node("alice");
    let stand_in = lan.puppet(9);
    let address = lan.address_of(stand_in);
    lan.with(alice, |stack, now| stack.ignore(now, address));
    for octet in [9, 10] {
        lan.puppet_beacons(stand_in, PeerId::from_bytes([octet; 16]), address.port());
    }
    let id = lan.id(stand_in);
    lan.with(alice, |stack, now| stack.introduce(now, id, address, None));
    lan.run_for(ms(2_000));
    assert_eq!(lan.dials(alice), 0);
    // Nor does it get in by itself, or by another who names it.
    let greets = lan.puppet_greets(stand_in, alice);
    lan.run_for(ms(100));
    assert!(lan.the_puppet(stand_in).closed.contains(&greets));
    // The real one has the same UUID and is elsewhere.
    let config = Config {
        uuid: Some(id),
        ..config("real", Beacons::Both)
    };
    let real = lan.node_with(config);
    lan.run_for(ms(1_000));
    assert_eq!(names(&lan.events(alice)), ["enter real"]);
    // The beacons of the other are no beacons of it.
    lan.kill(real);
    for _ in 0..100 {
        lan.puppet_beacons(stand_in, id, address.port());
        lan.run_for(ms(500));
    }
    let events = names(&lan.events(alice));
    assert_eq!(events, ["exit real lost: its mailbox is gone"]);
    // Until it is there again.
    lan.with(alice, |stack, _| stack.heed(address));
    lan.puppet_beacons(stand_in, id, address.port());
    lan.run_for(ms(40_000));
    assert!(lan.dials(alice) > 1);
    lan.puppet_greets(stand_in, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn what_led_to_a_mailbox_that_is_ignored_now_is_given_up_but_not_a_peer() {
    // ZRE-138
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let here = lan.address_of(puppet);
    let rumour = lan.puppet(10);
    let there = lan.address_of(rumour);
    lan.puppet_beacons(rumour, PeerId::from_bytes([10; 16]), there.port());
    lan.run_for(ms(10));
    assert_eq!(lan.stack(alice).usage().hints, 1);
    lan.with(alice, |stack, now| {
        stack.ignore(now, there);
        stack.ignore(now, here);
    });
    assert_eq!(lan.stack(alice).usage().hints, 0);
    lan.run_for(ms(20_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(lan.stack(alice).peers().count(), 1);
    // What the application asked for is another matter.
    let endpoint = format!("tcp://{there}").parse().unwrap();
    lan.with(alice, |stack, now| stack.connect(now, &endpoint).unwrap());
    lan.puppet_greets(rumour, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}
