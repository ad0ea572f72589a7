//! Requirements of `spec/zre.md` that no scenario shows by the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test that is wrong may stop

mod support;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atonce::wire::Beacon;
use atonce::wire::zre::{self, Command};
use atonce::zre::{Action, Beacons, Node};
use atonce::{Config, Frames, Instant, Interface, LinkId, PeerId};
use support::{Lan, frames, names, text, two};

const NOTHING: [&str; 0] = [];
const START: Instant = Instant::from_millis(1_000);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn named(name: &str) -> Config {
    Config {
        name: Some(text(name)),
        ..Config::default()
    }
}

fn interface(name: &str, host: u8, port: u16) -> Interface {
    Interface {
        name: name.into(),
        address: [10, 0, 0, host].into(),
        port,
        zone: 0,
    }
}

/// The beacons that a node wants to broadcast, each with the number of its interface among those that came up.
fn beacons(node: &mut Node) -> Vec<Beacon> {
    let actions = core::iter::from_fn(|| node.poll_action());
    let beacons = actions.filter_map(|action| match action {
        Action::Broadcast { beacon, .. } => Some(beacon),
        _ => None,
    });
    beacons.collect()
}

fn heard(lan: &mut Lan, puppet: usize, wanted: &Command) -> usize {
    let heard = lan.the_puppet(puppet).heard.iter();
    heard
        .filter(|(_, message)| message.command == *wanted)
        .count()
}

// ---- beacons

#[test]
fn each_interface_is_told_of_at_once_and_at_the_interval_with_the_port_on_it() {
    // ZRE-1, ZRE-7
    let mut node = Node::new(START, [7; 32], Config::default());
    let ports = |node: &mut Node| -> Vec<u16> {
        let beacons = beacons(node);
        for beacon in &beacons {
            assert_eq!(beacon.uuid, node.id());
            assert_eq!(beacon.encode().len(), 22);
        }
        beacons.iter().map(|beacon| beacon.port).collect()
    };
    node.handle_interface_up(START, interface("eth0", 1, 49_152));
    assert_eq!(ports(&mut node), [49_152]);
    let eth1 = node.handle_interface_up(START, interface("eth1", 2, 50_000));
    assert_eq!(ports(&mut node), [50_000]);
    for second in 1..4 {
        let now = START + ms(1_000) * second;
        node.handle_timeout(Instant::from_micros(now.as_micros() - 1));
        assert_eq!(ports(&mut node), [0; 0]);
        node.handle_timeout(now);
        assert_eq!(ports(&mut node), [49_152, 50_000]);
    }
    node.handle_interface_down(START, eth1, "unplugged");
    node.handle_timeout(START + ms(4_000));
    assert_eq!(ports(&mut node), [49_152]);
}

#[test]
fn what_is_no_beacon_is_counted_and_a_beacon_with_a_key_is_left_alone() {
    // ZRE-2
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let source = lan.address_of(puppet);
    let plain = Beacon {
        uuid: lan.id(puppet),
        port: source.port(),
        key: None,
    };
    let cut = &plain.encode()[..21];
    for junk in [&b""[..], b"hello", cut] {
        lan.broadcast(puppet, source, junk);
    }
    let key = Some([7; 32]);
    lan.broadcast(puppet, source, &Beacon { key, ..plain }.encode());
    lan.run_for(ms(2_000));
    assert_eq!(lan.stack(alice).counters().datagrams_malformed, 3);
    assert_eq!(lan.dials(alice), 0);
    lan.broadcast(puppet, source, &plain.encode());
    lan.run_for(ms(100));
    assert_eq!(lan.dials(alice), 1);
}

#[test]
fn a_beacon_leads_to_its_source_and_the_port_in_it_and_a_greeting_begins_at_1() {
    // ZRE-8, ZRE-10
    let mut node = Node::new(START, [7; 32], Config::default());
    node.handle_interface_up(START, interface("eth0", 1, 49_152));
    while node.poll_action().is_some() {}
    let source: SocketAddr = "10.0.0.2:5670".parse().unwrap();
    let beacon = Beacon {
        uuid: PeerId::from_bytes([9; 16]),
        port: 50_505,
        key: None,
    };
    node.handle_datagram(START, source, &beacon.encode());
    let Some(Action::Dial { link, address }) = node.poll_action() else {
        panic!("not dialled");
    };
    assert_eq!(address, "10.0.0.2:50505".parse().unwrap());
    assert_eq!(node.poll_action(), None);
    node.handle_connected(link, "10.0.0.1:40000".parse().unwrap());
    assert_eq!(node.poll_action(), None);
    node.handle_ready(START, link, b"");
    let (sequence, _) = greeting(&mut node, link);
    assert_eq!(sequence, 1);
}

/// What a node says on a link first, which is HELLO.
fn greeting(node: &mut Node, link: LinkId) -> (u16, zre::Hello) {
    match node.poll_action() {
        Some(Action::Send { link: on, message }) if on == link => match message.command {
            Command::Hello(hello) => (message.sequence, hello),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_greeting_names_the_mailbox_on_the_interface_by_which_it_goes_out() {
    // ZRE-103
    for (advertise, local, told) in [
        (None, [10, 0, 0, 1], "tcp://10.0.0.1:49152"),
        (None, [10, 0, 0, 2], "tcp://10.0.0.2:50000"),
        (
            Some("tcp://example.org:7"),
            [10, 0, 0, 2],
            "tcp://example.org:7",
        ),
    ] {
        let config = Config {
            advertise: advertise.map(|endpoint| endpoint.parse().unwrap()),
            ..Config::default()
        };
        let mut node = Node::new(START, [7; 32], config);
        node.handle_interface_up(START, interface("eth0", 1, 49_152));
        node.handle_interface_up(START, interface("eth1", 2, 50_000));
        node.connect(START, &"tcp://10.0.0.9:1".parse().unwrap())
            .unwrap();
        let actions = core::iter::from_fn(|| node.poll_action());
        let links: Vec<_> = actions
            .filter_map(|action| match action {
                Action::Dial { link, .. } => Some(link),
                _ => None,
            })
            .collect();
        assert_eq!(links.len(), 1);
        node.handle_connected(links[0], SocketAddr::new(IpAddr::from(local), 40_000));
        node.handle_ready(START, links[0], b"");
        let (_, hello) = greeting(&mut node, links[0]);
        assert_eq!(hello.endpoint, text(told));
    }
}

#[test]
fn a_node_that_does_without_beacons_sends_none_and_follows_none() {
    // ZRE-9
    let config = Config {
        beacons: Beacons::Off,
        ..Config::default()
    };
    let mut node = Node::new(START, [7; 32], config);
    node.handle_interface_up(START, interface("eth0", 1, 49_152));
    let beacon = Beacon {
        uuid: PeerId::from_bytes([9; 16]),
        port: 50_505,
        key: None,
    };
    let source = "10.0.0.2:5670".parse().unwrap();
    node.handle_datagram(START, source, &beacon.encode());
    for second in 1..10 {
        node.handle_timeout(START + ms(1_000) * second);
    }
    node.stop(START + ms(10_000));
    assert_eq!(node.poll_action(), None);
    assert!(node.is_stopped());
}

// ---- becoming a peer

#[test]
fn a_node_states_who_it_is_and_wants_to_be_told() {
    // ZRE-18
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let mut longer = lan.id(puppet).identity().to_vec();
    longer.push(0);
    let mut other = lan.id(puppet).identity();
    other[0] = 2;
    for identity in [&b""[..], b"me", &other, &longer] {
        let link = lan.puppet_dials_as(puppet, alice, identity);
        lan.run_for(ms(20));
        assert!(
            lan.the_puppet(puppet).closed.contains(&link),
            "{identity:x?}"
        );
    }
    let link = lan.puppet_dials(puppet, alice);
    lan.run_for(ms(20));
    assert!(!lan.the_puppet(puppet).closed.contains(&link));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn what_comes_on_the_link_that_we_dialled_is_not_listened_to() {
    // ZRE-19
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    let mailbox = lan.the_puppet(puppet).heard[0].0;
    assert_ne!(mailbox, link);
    let whisper = |content| Command::Whisper {
        content: frames(content),
    };
    lan.puppet_says(puppet, mailbox, 2, whisper("from the mailbox"));
    lan.puppet_sends(puppet, mailbox, Frames::from("junk"));
    lan.puppet_says(puppet, link, 2, whisper("from the link"));
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        [r#"whisper puppet [b"from the link"]"#]
    );
    // And ours goes out on the link that we dialled, and on no other.
    let id = lan.id(puppet);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("to you")).unwrap();
    });
    lan.run_for(ms(50));
    let heard = &lan.the_puppet(puppet).heard;
    assert!(heard.iter().all(|(on, _)| *on == mailbox), "{heard:?}");
    assert_eq!(heard.last().unwrap().1.command, whisper("to you"));
}

#[test]
fn one_whom_a_beacon_told_of_is_dialled_once_whatever_endpoint_it_names() {
    // ZRE-13
    // Its own endpoint; one that means where it speaks from; another port of the machine on which it was expected.
    for endpoint in [
        "tcp://10.0.0.2:49152",
        "tcp://some-laptop:49152",
        "tcp://10.0.0.2:50505",
    ] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let (id, address) = (lan.id(puppet), lan.address_of(puppet));
        assert_eq!(address, "10.0.0.2:49152".parse().unwrap());
        lan.puppet_beacons(puppet, id, address.port());
        lan.run_for(ms(10));
        let mut hello = lan.hello_of(puppet, "puppet");
        hello.endpoint = text(endpoint);
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.puppet_speaks(puppet, alice, link, 2);
        lan.run_for(ms(500));
        assert_eq!(names(&lan.events(alice)), ["enter puppet"], "{endpoint}");
        assert_eq!(lan.dials(alice), 1, "{endpoint}");
        let heard = lan.the_puppet(puppet).heard.iter();
        let hellos = heard.filter(|(_, message)| matches!(message.command, Command::Hello(_)));
        assert_eq!(hellos.count(), 1, "{endpoint}");
    }
}

#[test]
fn a_hello_with_another_sequence_than_1_is_refused() {
    // ZRE-26
    for sequence in [0, 2, 65_535] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let hello = Command::Hello(lan.hello_of(puppet, "puppet"));
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, sequence, hello);
        lan.run_for(ms(50));
        assert!(lan.the_puppet(puppet).closed.contains(&link), "{sequence}");
        assert_eq!(names(&lan.events(alice)), NOTHING, "{sequence}");
        assert_eq!(lan.dials(alice), 0, "{sequence}");
    }
}

#[test]
fn a_hello_with_another_sequence_than_1_is_no_answer_to_ours() {
    // ZRE-26, ZRE-62
    for on_its_link in [true, false] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let mut link = lan.puppet_greets(puppet, alice);
        lan.puppet_speaks(puppet, alice, link, 2);
        lan.run_for(ms(500));
        lan.events(alice);
        lan.reset_dialled(alice, puppet);
        lan.run_for(ms(20));
        // Greeted anew.
        let greeted = names(&lan.events(alice));
        assert!(greeted[0].starts_with("exit puppet lost: its link was cut"));
        let hello = Command::Hello(lan.hello_of(puppet, "puppet"));
        if !on_its_link {
            link = lan.puppet_dials(puppet, alice);
        }
        lan.puppet_says(puppet, link, 2, hello);
        lan.run_for(ms(50));
        assert!(lan.the_puppet(puppet).closed.contains(&link));
        let told = names(&lan.events(alice));
        if on_its_link {
            let flaw = "a malformed message: HELLO.sequence: expected 1, found 2";
            assert_eq!(told, [format!("exit puppet lost: {flaw}")]);
        } else {
            assert_eq!(told, NOTHING);
        }
    }
}

#[test]
fn one_is_replaced_only_by_a_greeting_that_is_let_in() {
    // ZRE-20
    for (sequence, endpoint, flaw) in [
        (
            2,
            None,
            "a malformed message: HELLO.sequence: expected 1, found 2",
        ),
        (
            1,
            Some(""),
            "a malformed message: HELLO.endpoint: expected an endpoint of its own, found none",
        ),
        (
            1,
            Some("alice"),
            "a malformed message: HELLO.endpoint: expected an endpoint of its own, found ours",
        ),
    ] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let link = lan.puppet_greets(puppet, alice);
        lan.run_for(ms(500));
        lan.events(alice);
        let mut hello = lan.hello_of(puppet, "puppet");
        match endpoint {
            Some("alice") => hello.endpoint = text(&format!("tcp://{}", lan.address_of(alice))),
            Some(other) => hello.endpoint = text(other),
            None => {}
        }
        lan.puppet_says(puppet, link, sequence, Command::Hello(hello));
        lan.run_for(ms(50));
        let told = names(&lan.events(alice));
        assert_eq!(told, [format!("exit puppet lost: {flaw}")]);
    }
}

#[test]
fn whoever_is_replaced_enters_even_in_a_storm_of_greetings() {
    // ZRE-20, ZRE-24
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    let mut told = Vec::new();
    for _ in 0..8 {
        let hello = Command::Hello(lan.hello_of(puppet, "puppet"));
        lan.puppet_says(puppet, link, 1, hello);
        lan.run_for(ms(50));
        told.extend(names(&lan.events(alice)));
    }
    let at_once = told.iter().filter(|event| *event == "enter puppet").count();
    assert_eq!(at_once, 5, "{told:?}");
    // Then it has to wait each time, and is never refused.
    lan.run_for(ms(12_000));
    told.extend(names(&lan.events(alice)));
    for pair in told.windows(2) {
        assert!(pair[0] != "exit puppet replaced" || pair[1] == "enter puppet");
    }
    assert_eq!(told.len(), 1 + 2 * 8, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("enter puppet"));
    assert!(!lan.the_puppet(puppet).closed.contains(&link));
}

#[test]
fn four_links_may_wait_under_one_identity_and_the_oldest_gives_way() {
    // ZRE-27
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let id = lan.id(bob);
    let links: Vec<_> = (0..6)
        .map(|_| {
            let link = lan.puppet_dials_as(mallory, alice, &id.identity());
            lan.run_for(ms(10));
            link
        })
        .collect();
    let closed = &lan.the_puppet(mallory).closed;
    let open: Vec<_> = links.iter().map(|link| !closed.contains(link)).collect();
    assert_eq!(open, [false, false, true, true, true, true]);
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

// ---- goodbye

#[test]
fn for_three_seconds_a_beacon_does_not_revive_who_left() {
    // ZRE-42
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    let link = lan.puppet_greets(puppet, alice);
    lan.run_for(ms(50));
    lan.puppet_beacons(puppet, id, 0);
    lan.puppet_closes(puppet, link);
    lan.run_for(ms(10));
    assert_eq!(
        names(&lan.events(alice)),
        ["enter puppet", "exit puppet left"]
    );
    let before = lan.dials(alice);
    for _ in 0..29 {
        lan.puppet_beacons(puppet, id, port);
        lan.run_for(ms(100));
    }
    assert_eq!(lan.dials(alice), before);
    lan.run_for(ms(100));
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(100));
    assert_eq!(lan.dials(alice), before + 1);
}

// ---- messages

#[test]
fn a_ping_is_answered() {
    // ZRE-76
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    lan.run_for(ms(50));
    for (sequence, answers) in [(2, 1), (3, 2), (4, 3)] {
        lan.puppet_says(puppet, link, sequence, Command::Ping);
        lan.run_for(ms(50));
        assert_eq!(heard(&mut lan, puppet, &Command::PingOk), answers);
    }
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn goodbye_is_said_only_to_those_who_understand_it() {
    // ZRE-98, ZRE-99
    let elect = Command::Elect {
        group: text("G"),
        challenger_id: text("me"),
    };
    for (abilities, says, understands) in [
        (None, None, false),
        (Some("goodbye"), None, true),
        (Some("other goodbye more"), None, true),
        (Some("goodbyes good-bye"), None, false),
        (None, Some(elect), true),
        (None, Some(Command::Goodbye), true),
        (None, Some(Command::Ping), false),
    ] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let mut hello = lan.hello_of(puppet, "puppet");
        if let Some(abilities) = abilities {
            let value = abilities.try_into().unwrap();
            hello.headers.insert(text("X-ATONCE"), value);
        }
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.puppet_speaks(puppet, alice, link, 2);
        lan.run_for(ms(50));
        if let Some(command) = says.clone() {
            let sequence = lan.puppet_next(puppet, alice);
            lan.puppet_says(puppet, link, sequence, command);
            lan.run_for(ms(50));
        }
        lan.with(alice, atonce::Stack::stop);
        lan.run_for(ms(100));
        let goodbyes = heard(&mut lan, puppet, &Command::Goodbye);
        assert_eq!(goodbyes, usize::from(understands), "{abilities:?} {says:?}");
    }
}

// ---- limits

#[test]
fn one_peer_too_many_is_met_when_another_leaves() {
    // ZRE-82
    let mut lan = Lan::new();
    let mut config = named("alice");
    config.limits.peers = 1;
    let alice = lan.node_with(config);
    let bob = lan.node("bob");
    lan.run_for(ms(100));
    let carol = lan.node("carol");
    lan.run_for(ms(20_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    lan.with(bob, atonce::Stack::stop);
    lan.run_for(ms(60_000));
    assert_eq!(names(&lan.events(alice)), ["exit bob left", "enter carol"]);
    let alices = lan.id(alice);
    assert!(lan.stack(carol).peer(alices).is_some());
}

#[test]
fn what_is_too_large_for_a_peer_costs_that_peer_only() {
    // ZRE-84
    for (octets, lost) in [(10_000, false), (10_001, true)] {
        let mut lan = Lan::new();
        let mut config = named("alice");
        config.limits.frame_octets = 10_000;
        let alice = lan.node_with(config);
        let (bob, puppet) = (lan.node("bob"), lan.puppet(9));
        let link = lan.puppet_greets(puppet, alice);
        lan.run_for(ms(100));
        lan.events(alice);
        let content = Frames::from(vec![7; octets]);
        lan.puppet_says(puppet, link, 2, Command::Whisper { content });
        lan.run_for(ms(50));
        let events = names(&lan.events(alice));
        assert_eq!(events.len(), 1);
        let exit = events[0] == "exit puppet lost: its link broke the rules of ZMTP";
        assert_eq!(exit, lost, "{octets}");
        let bobs = lan.id(bob);
        assert!(lan.stack(alice).peer(bobs).is_some());
    }
}
