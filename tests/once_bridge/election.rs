//! Several bridges on one LAN.

use std::time::Duration;

use atonce::once::bridge::{Action, Event as Told};
use atonce::once::{Mechanism, Which};

use crate::net::{Net, id};
use crate::told;

/// Three bridges on the first LAN, one on the second, a client on each.
fn crowd(seed: u64) -> (Net, [usize; 2]) {
    let mut net = Net::new(seed);
    let clients = [
        net.client(0, 1, "one", &["CHAT"]),
        net.client(1, 2, "two", &["CHAT"]),
    ];
    for octet in [0xB2, 0xB0, 0xB1] {
        net.bridge(0, octet);
    }
    net.bridge(1, 0xC0);
    net.run_secs(6);
    (net, clients)
}

#[test]
fn of_several_bridges_of_a_lan_the_lowest_makes_stand_ins() {
    // ONCE-110, ONCE-111, ONCE-113
    for seed in 0..20 {
        let (mut net, [one, two]) = crowd(seed);
        assert_eq!(net.active(0), [1]);
        assert_eq!(net.active(1), [3]);
        net.everybody_sees_everybody();
        assert_eq!(net.nodes[two].entered[&id(1)], 1, "it is shown once");
        net.whisper(one, id(2), "hello");
        net.shout(two, "CHAT", "hello");
        net.run_secs(1);
        assert_eq!((net.nodes[one].got.len(), net.nodes[two].got.len()), (1, 1));
        for host in [0, 2] {
            let told = told(&mut net, host);
            assert_eq!(told, [Told::Standby { bridge: id(0xB0) }]);
        }
    }
}

#[test]
fn another_takes_over_when_it_goes() {
    // ONCE-111
    for seed in 0..20 {
        let (mut net, [one, two]) = crowd(seed);
        net.kill(1);
        net.run_secs(40);
        assert_eq!(net.active(0), [2]);
        net.everybody_sees_everybody();
        net.whisper(one, id(2), "hello");
        net.shout(two, "CHAT", "hello");
        net.run_secs(1);
        assert_eq!((net.nodes[one].got.len(), net.nodes[two].got.len()), (1, 1));
        // In order it takes no longer than it takes to settle.
        net.stop(2);
        net.run_secs(6);
        assert_eq!(net.active(0), [0]);
        net.everybody_sees_everybody();
    }
}

#[test]
fn who_is_active_stays_so_when_a_lower_one_comes() {
    // ONCE-112
    let (mut net, _) = crowd(1);
    let lower = net.bridge(0, 0xA0);
    net.run_secs(10);
    assert_eq!(net.active(0), [1]);
    assert_eq!(told(&mut net, lower), [Told::Standby { bridge: id(0xB0) }]);
    net.everybody_sees_everybody();
}

#[test]
fn of_two_active_ones_the_lower_stays() {
    // ONCE-112, ONCE-92
    let mut net = Net::new(8);
    let one = net.client(0, 1, "one", &["CHAT"]);
    let two = net.client(1, 2, "two", &["CHAT"]);
    let three = net.client(2, 3, "three", &["CHAT"]);
    net.bridge(0, 0xB1);
    net.bridge(1, 0xB0);
    net.bridge(2, 0xC0);
    net.run_secs(6);
    net.everybody_sees_everybody();
    // The two LANs become one.
    net.merge(1, 0);
    net.run_secs(5);
    assert_eq!(net.active(0), [1]);
    net.run_secs(35);
    net.everybody_sees_everybody();
    assert!(told(&mut net, 0).contains(&Told::Standby { bridge: id(0xB0) }));
    for (from, to) in [(one, 2), (one, 3), (two, 3), (three, 1), (three, 2)] {
        assert!(net.whisper(from, id(to), "hello"));
    }
    net.run_secs(1);
    let got = [one, two, three].map(|node| net.nodes[node].got.len());
    assert_eq!(got, [1, 2, 2]);
}

#[test]
fn who_did_not_run_for_long_stands_by_and_looks_around_anew() {
    // ONCE-114
    let after = |millis| {
        let (mut net, _) = crowd(1);
        assert_eq!(net.active(0), [1]);
        let late = net.now + Duration::from_millis(millis);
        let bridge = &mut net.hosts[1].bridge;
        bridge.handle_timeout(late);
        let acts: Vec<Action> = std::iter::from_fn(|| bridge.poll_action()).collect();
        let leaves = acts.iter().any(|act| {
            matches!(
                act,
                Action::Leave {
                    node: Which::Local,
                    ..
                }
            )
        });
        let ends = |act: &Action| matches!(act, Action::Retire { goodbye: false, .. });
        let ended = acts.iter().filter(|act| ends(act)).count();
        let active = bridge.is_active();
        // Nobody else turns out to be active.
        bridge.handle_timeout(late + Duration::from_secs(4));
        (active, leaves, ended, bridge.is_active())
    };
    assert_eq!(after(4_900), (true, false, 0, true));
    assert_eq!(after(10_000), (false, true, 1, true));
    assert_eq!(after(3_600_000), (false, true, 1, true));
}

#[test]
fn whoever_has_proved_nothing_has_no_say() {
    // ONCE-111
    let mut net = Net::new(8);
    net.client(0, 1, "one", &[]);
    net.client(1, 2, "two", &[]);
    net.bridge(0, 0xB1);
    let mut config = net.config(0xA0);
    config.mechanisms = vec![Mechanism::Secret(
        atonce::once::Secret::new("another").unwrap(),
    )];
    net.bridge_with(0, config);
    net.bridge(1, 0xC0);
    net.run_secs(8);
    assert_eq!(net.active(0), [0, 1], "they know nothing of each other");
    net.everybody_sees_everybody();
}

#[test]
fn on_a_lan_without_keys_nobody_is_asked_for_one() {
    // ONCE-110: they could not prove any, and both would be active for good.
    let mut net = Net::new(9);
    for octet in [0xB1, 0xB0] {
        let mut config = net.config(octet);
        config.mechanisms = vec![Mechanism::Trusted];
        net.bridge_with(0, config);
    }
    net.run_secs(10);
    assert_eq!(net.active(0), [1]);
    let told = told(&mut net, 0);
    assert!(
        told.contains(&Told::Standby { bridge: id(0xB0) }),
        "{told:?}"
    );
    // With a secret as well, that is asked for.
    let mut net = Net::new(9);
    let ours = |text: &str| Mechanism::Secret(atonce::once::Secret::new(text).unwrap());
    for (octet, text) in [(0xB1, "ours"), (0xB0, "guessed")] {
        let mut config = net.config(octet);
        config.mechanisms = vec![Mechanism::Trusted, ours(text)];
        net.bridge_with(0, config);
    }
    net.run_secs(10);
    assert_eq!(net.active(0), [0, 1], "who proved nothing does not count");
}
