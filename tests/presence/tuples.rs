//! Tuples of gossip networks: peers that are sought as long as a tuple says where they are.

use std::net::SocketAddr;
use std::time::Duration;

use atonce::endpoint::Endpoint;
use atonce::wire::zre::Command;
use atonce::zre::{Beacons, ConnectError, Limits};
use atonce::{Action, Config, Cut, Instant, Interface, LinkId, PeerId, Stack};

use crate::support::{Lan, names, text};
use crate::{NOTHING, alice_and_puppet, ms};

fn quiet(name: &str) -> Config {
    Config {
        name: Some(text(name)),
        beacons: Beacons::Off,
        ..Config::default()
    }
}

fn named(octet: u8, name: &str) -> Config {
    Config {
        uuid: Some(id(octet)),
        ..quiet(name)
    }
}

fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

fn note(lan: &mut Lan, who: usize, id: PeerId, address: SocketAddr) {
    let endpoint = Endpoint::from(address);
    lan.with(who, |stack, now| {
        stack.note_tuple(now, id, &endpoint, None).unwrap();
    });
}

fn forget(lan: &mut Lan, who: usize, id: PeerId) {
    lan.with(who, |stack, now| stack.forget_tuple(now, id));
}

fn counts(lan: &mut Lan, who: usize) -> (u64, u64) {
    let counters = lan.stack(who).counters();
    (counters.enters, counters.exits)
}

fn stack_at(address: [u8; 4], config: Config) -> Stack {
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

#[test]
fn a_tuple_is_followed_without_end_while_it_stands() {
    // ZRE-150
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    let there = "10.0.0.2:49152".parse().unwrap();
    note(&mut lan, alice, id(2), there);
    lan.run_for(Duration::from_secs(300));
    let tries = lan.dials(alice);
    // 100 ms, doubled to 30 s: about ten in the first minute and two in each one after.
    assert!((15..30).contains(&tries), "{tries} tries");
    lan.node_with(named(2, "bob"));
    let took = lan.run_until(|lan| counts(lan, alice) == (1, 0));
    assert!(took < Duration::from_secs(40), "{took:?}");
    // And again after it died and came back.
    lan.kill(1);
    lan.run_until(|lan| counts(lan, alice) == (1, 1));
    lan.run_for(Duration::from_secs(50));
    lan.node_at(named(2, "bob"), there);
    let took = lan.run_until(|lan| counts(lan, alice) == (2, 1));
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[test]
fn tries_are_apart_by_growing_pauses_also_when_others_speak_of_it_in_between() {
    // ZRE-150: a tuple that is taken back and comes again does not begin anew.
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    for _ in 0..300 {
        note(&mut lan, alice, id(2), "10.0.0.2:49152".parse().unwrap());
        lan.run_for(ms(900));
        forget(&mut lan, alice, id(2));
        lan.run_for(ms(100));
    }
    let tries = lan.dials(alice);
    assert!(tries < 60, "{tries} tries");
}

#[test]
fn a_peer_that_is_known_from_beacon_tuple_and_application_is_one_and_dialled_once() {
    // ZRE-150, ZRE-13
    let orders: [[usize; 3]; 4] = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]];
    for order in orders {
        let mut lan = Lan::new();
        let alice = lan.node_with(quiet("alice"));
        let bob = lan.node_with(quiet("bob"));
        let (id, address) = (lan.id(bob), lan.address_of(bob));
        for source in order {
            match source {
                0 => note(&mut lan, alice, id, address),
                1 => lan.with(alice, |stack, now| {
                    stack.connect(now, &address.into()).unwrap();
                }),
                _ => lan.with(alice, |stack, now| stack.introduce(now, id, address, None)),
            }
        }
        lan.run_for(Duration::from_secs(120));
        assert_eq!(names(&lan.events(alice)), ["enter bob"], "{order:?}");
        assert_eq!(lan.dials(alice), 1, "{order:?}");
        assert_eq!(names(&lan.events(bob)), ["enter alice"], "{order:?}");
    }
}

#[test]
fn one_that_beacons_and_has_a_tuple_with_another_endpoint_is_dialled_at_one() {
    // ZRE-150
    let mut lan = Lan::new();
    let alice = lan.node("alice");
    let bob = lan.node("bob");
    let id = lan.id(bob);
    // Its address as others see it who are not here.
    note(&mut lan, alice, id, "10.0.0.77:49152".parse().unwrap());
    lan.run_for(Duration::from_secs(60));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    let before = lan.dials(alice);
    lan.run_for(Duration::from_secs(600));
    assert_eq!(lan.dials(alice), before);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.events(bob);
    lan.still_talk(alice, bob);
}

#[test]
fn a_tuple_says_nothing_about_whether_a_peer_lives() {
    // ZRE-151
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let (id, address) = (lan.id(puppet), lan.address_of(puppet));
    lan.the_puppet(puppet).answers_pings = false;
    for _ in 0..7 {
        note(&mut lan, alice, id, address);
        lan.run_for(ms(500));
        forget(&mut lan, alice, id);
        lan.run_for(ms(500));
    }
    assert_eq!(names(&lan.events(alice))[0], "evasive puppet");
}

#[test]
fn an_old_tuple_for_the_endpoint_of_a_peer_puts_it_in_doubt_once() {
    // ZRE-153
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    let bob = lan.node_with(quiet("bob"));
    let (bobs, address) = (lan.id(bob), lan.address_of(bob));
    // Those who had its port before it, as a hub that forgets nobody tells of them in any order.
    note(&mut lan, alice, id(3), address);
    note(&mut lan, alice, bobs, address);
    note(&mut lan, alice, id(4), address);
    lan.run_for(Duration::from_secs(2));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    for _ in 0..60 {
        // Whoever is asked now does not answer within a second.
        lan.freeze(bob, true);
        lan.run_for(ms(3_000));
        lan.freeze(bob, false);
        lan.run_for(ms(1_000));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(names(&lan.events(bob)), NOTHING);
    lan.still_talk(alice, bob);
}

#[test]
fn a_new_tuple_for_the_endpoint_of_one_that_vanished_is_followed_at_once() {
    // ZRE-153, ZRE-30: a peer without an Identity in its mailbox, as libzmq has it, whose machine was restarted.
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let address = lan.address_of(puppet);
    lan.freeze(puppet, true);
    lan.run_for(ms(1_000));
    note(&mut lan, alice, id(10), address);
    lan.run_for(ms(1_100));
    let events = names(&lan.events(alice));
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("exit puppet lost"), "{events:?}");
    lan.kill(puppet);
    lan.freeze(puppet, false);
    let other = lan.puppet_at(10, address);
    let link = lan.puppet_greets(other, alice);
    lan.puppet_speaks(other, alice, link, 2);
    lan.run_for(ms(1_000));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn a_node_that_comes_back_under_another_uuid_enters_once() {
    // ZRE-153: the old tuple still stands, and comes again and again.
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    let bob = lan.node_with(named(2, "bob"));
    let address = lan.address_of(bob);
    note(&mut lan, alice, id(2), address);
    lan.run_for(ms(100));
    lan.kill(bob);
    let again = lan.node_at(named(3, "bob"), address);
    note(&mut lan, alice, id(3), address);
    for _ in 0..30 {
        lan.run_for(Duration::from_secs(10));
        forget(&mut lan, alice, id(2));
        note(&mut lan, alice, id(2), address);
    }
    let events = names(&lan.events(alice));
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[1].starts_with("exit bob lost"), "{events:?}");
    assert_eq!(events[2], "enter bob");
    assert_eq!(names(&lan.events(again)), ["enter alice"]);
}

#[test]
fn a_tuple_that_is_taken_back_leads_nobody_anywhere_and_costs_no_peer_its_place() {
    // ZRE-155
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    let bob = lan.node_with(quiet("bob"));
    let (bobs, address) = (lan.id(bob), lan.address_of(bob));
    note(&mut lan, alice, bobs, address);
    note(&mut lan, alice, id(9), "10.0.0.9:49152".parse().unwrap());
    lan.run_for(ms(500));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    forget(&mut lan, alice, bobs);
    forget(&mut lan, alice, id(9));
    forget(&mut lan, alice, id(8)); // there was none
    assert_eq!(lan.stack(alice).usage().hints, 0);
    assert_eq!(lan.stack(alice).tuples().count(), 0);
    let before = lan.dials(alice);
    lan.run_for(Duration::from_secs(120));
    assert_eq!(lan.dials(alice), before);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.events(bob);
    lan.still_talk(alice, bob);
    // Who goes then is sought nowhere.
    lan.kill(bob);
    lan.run_for(Duration::from_secs(20));
    let before = lan.dials(alice);
    lan.run_for(Duration::from_secs(120));
    assert_eq!(lan.dials(alice), before);
}

#[test]
fn a_tuple_that_changes_leads_to_the_new_endpoint_alone() {
    // ZRE-154
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    note(&mut lan, alice, id(2), "10.0.0.9:49152".parse().unwrap());
    lan.run_for(Duration::from_secs(20));
    let bob = lan.node_with(named(2, "bob"));
    let address = lan.address_of(bob);
    note(&mut lan, alice, id(2), address);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    let tuples: Vec<_> = lan
        .stack(alice)
        .tuples()
        .map(|(id, endpoint)| (id, endpoint.clone()))
        .collect();
    assert_eq!(tuples, [(id(2), Endpoint::from(address))]);
}

/// What a stack dials and asks for now; what it dials is refused.
fn asks(stack: &mut Stack, now: Instant) -> (Vec<SocketAddr>, Vec<(u64, String)>) {
    let (mut dials, mut names, mut links) = (Vec::new(), Vec::new(), Vec::<LinkId>::new());
    while let Some(action) = stack.poll_action() {
        match action {
            Action::Dial { address, link } => {
                dials.push(address);
                links.push(link);
            }
            Action::Resolve { query, host, .. } => names.push((query, host.as_str().to_owned())),
            _ => {}
        }
    }
    for link in links {
        stack.handle_disconnected(now, link, Cut::Refused);
    }
    (dials, names)
}

/// Lets time pass, in steps.
fn pass(stack: &mut Stack, until: Instant) -> (Vec<SocketAddr>, Vec<(u64, String)>) {
    let mut all = asks(stack, Instant::ZERO);
    while let Some((at, _)) = stack.poll_timeout()
        && at <= until
    {
        stack.handle_timeout(at);
        let (dials, names) = asks(stack, at);
        all.0.extend(dials);
        all.1.extend(names);
    }
    all
}

#[test]
fn tuples_about_ourselves_and_those_that_mean_nothing_to_others_are_not_followed() {
    // ZRE-151
    let mut stack = stack_at([10, 0, 0, 1], quiet("alice"));
    let own = stack.id();
    let now = Instant::ZERO;
    for (number, (id, endpoint)) in [
        (own, "tcp://10.0.0.9:49152"),
        (id(1), "tcp://10.0.0.1:49152"), // an earlier one of us
        (id(2), "tcp://0.0.0.0:49152"),
        (id(3), "tcp://[::]:49152"),
        (id(4), "tcp://224.0.0.1:49152"),
        (id(5), "tcp://127.0.0.1:49152"),
        (id(6), "tcp://[::1]:49152"),
        (id(7), "tcp://[::ffff:127.0.0.1]:49152"),
    ]
    .into_iter()
    .enumerate()
    {
        let endpoint = endpoint.parse().unwrap();
        stack.note_tuple(now, id, &endpoint, None).unwrap();
        assert_eq!(stack.tuples().count(), number);
    }
    let (dials, names) = pass(&mut stack, Instant::from_millis(120_000));
    assert_eq!((dials, names), (vec![], vec![]));
    // On loopback it is this machine that is meant.
    let mut stack = stack_at([127, 0, 0, 1], quiet("alice"));
    let endpoint = "tcp://127.0.0.1:5000".parse().unwrap();
    stack.note_tuple(now, id(5), &endpoint, None).unwrap();
    assert_eq!(asks(&mut stack, now).0.len(), 1);
}

#[test]
fn host_names_of_tuples_are_looked_up_some_at_a_time_and_anew_for_each_try() {
    // ZRE-152
    let mut stack = stack_at([10, 0, 0, 1], quiet("alice"));
    let mut now = Instant::ZERO;
    for n in 0..40_u8 {
        let endpoint = format!("tcp://host{n}.example:5000").parse().unwrap();
        stack.note_tuple(now, id(100 + n), &endpoint, None).unwrap();
    }
    let (_, first) = asks(&mut stack, now);
    assert_eq!(first.len(), 16);
    // Nobody answers: they give way to others, and a late answer is none.
    let (dials, more) = pass(&mut stack, Instant::from_millis(30_000));
    assert_eq!(dials, []);
    let asked: std::collections::BTreeSet<_> = first
        .iter()
        .chain(&more)
        .map(|(_, host)| host.clone())
        .collect();
    assert_eq!(asked.len(), 40);
    now = Instant::from_millis(30_000);
    stack.handle_resolved(now, first[0].0, &["10.0.0.9:5000".parse().unwrap()]);
    assert_eq!(asks(&mut stack, now).0, []);
    let addresses = ["10.0.0.9:5000", "10.0.0.10:5000"].map(|address| address.parse().unwrap());
    let mut tried = Vec::new();
    while now < Instant::from_millis(200_000) {
        let (dials, asked) = asks(&mut stack, now);
        tried.extend(dials);
        for (query, host) in asked {
            let known: &[SocketAddr] = if host == "host7.example" {
                &addresses
            } else {
                &[]
            };
            stack.handle_resolved(now, query, known);
        }
        let Some((at, _)) = stack.poll_timeout() else {
            break;
        };
        now = at;
        stack.handle_timeout(now);
    }
    assert!(tried.contains(&addresses[0]), "{tried:?}");
    // What is forgotten is looked up no more.
    asks(&mut stack, now);
    for n in 0..40_u8 {
        stack.forget_tuple(now, id(100 + n));
    }
    let (_, asked) = pass(&mut stack, Instant::from_millis(400_000));
    assert_eq!(asked, []);
}

#[test]
fn there_are_so_many_tuples_and_no_more() {
    // ZRE-154
    let limits = Limits {
        tuples: 3,
        ..Limits::default()
    };
    let config = Config {
        limits,
        ..quiet("alice")
    };
    let mut stack = stack_at([10, 0, 0, 1], config);
    let now = Instant::ZERO;
    let mut note = |octet: u8, port: u16| {
        let endpoint = format!("tcp://10.0.0.9:{port}").parse().unwrap();
        stack.note_tuple(now, id(octet), &endpoint, None)
    };
    for octet in 1..=3 {
        assert_eq!(note(octet, 1_000), Ok(()));
    }
    assert_eq!(note(4, 1_000), Err(ConnectError::TooMany));
    // One that is known may change.
    assert_eq!(note(3, 1_001), Ok(()));
    stack.forget_tuple(now, id(1));
    let endpoint = "tcp://10.0.0.9:7".parse().unwrap();
    assert_eq!(stack.note_tuple(now, id(4), &endpoint, None), Ok(()));
    stack.stop(now);
    let late = stack.note_tuple(now, id(4), &endpoint, None);
    assert_eq!(late, Err(ConnectError::Stopped));
}

#[test]
fn old_tuples_keep_no_newcomer_out() {
    // ZRE-150, ZRE-11: hundreds of tuples for one machine on which nobody is any more.
    let mut lan = Lan::new();
    let alice = lan.node_with(quiet("alice"));
    for n in 0..600_u16 {
        let mut octets = [7; 16];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        let address = SocketAddr::from(([10, 0, 0, 2], 20_000 + n));
        note(&mut lan, alice, PeerId::from_bytes(octets), address);
    }
    lan.run_for(Duration::from_secs(30));
    assert!(lan.stack(alice).usage().hints <= 256);
    let bob = lan.node_with(quiet("bob"));
    let (id, address) = (lan.id(bob), lan.address_of(bob));
    assert_eq!(address.ip().to_string(), "10.0.0.2");
    note(&mut lan, alice, id, address);
    lan.run_for(ms(2_500));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
}

#[test]
fn who_is_known_by_a_tuple_is_told_goodbye() {
    // ZRE-157: nodes in gossip hear no beacons, and know no other end.
    for told in [false, true] {
        let (mut lan, alice, puppet, _) = alice_and_puppet();
        let (id, address) = (lan.id(puppet), lan.address_of(puppet));
        if told {
            note(&mut lan, alice, id, address);
        }
        lan.run_for(ms(100));
        lan.with(alice, Stack::stop);
        lan.run_for(ms(100));
        let heard = &lan.the_puppet(puppet).heard;
        let goodbyes = heard
            .iter()
            .filter(|(_, message)| matches!(message.command, Command::Goodbye));
        assert_eq!(goodbyes.count(), usize::from(told));
    }
}

#[test]
fn who_was_not_reached_is_sought_at_once_when_an_interface_comes_up() {
    // ZRE-150
    let mut stack = Stack::new(Instant::ZERO, [1; 32], quiet("alice"));
    let endpoint = "tcp://hub.example:5000".parse().unwrap();
    stack
        .note_tuple(Instant::ZERO, id(2), &endpoint, None)
        .unwrap();
    let (mut now, mut asked) = (Instant::ZERO, 0);
    loop {
        for (query, _) in asks(&mut stack, now).1 {
            asked += 1;
            stack.handle_resolved(now, query, &[]);
        }
        now = match stack.poll_timeout() {
            Some((at, _)) if at <= Instant::from_millis(100_000) => at,
            _ => break,
        };
        stack.handle_timeout(now);
    }
    // After 0, 1, 3, 7, 15, 31, 61 and 91 s, more or less.
    assert!((6..=10).contains(&asked), "{asked}");
    let interface = Interface {
        name: "eth0".into(),
        address: [10, 0, 0, 1].into(),
        port: 49152,
        zone: 0,
    };
    stack.handle_interface_up(now, interface);
    assert_eq!(asks(&mut stack, now).1.len(), 1);
}
