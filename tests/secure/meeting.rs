//! How secure nodes meet, and that nobody reads along.

use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::wire::Beacon;
use atonce::{Action, Config, Instant, Interface, PeerId, Stack};

use crate::support::{Guard, Lan, frames, names, text};
use crate::{NOTHING, alice, bob, keys, ms, public, secure, tell, two};

#[test]
fn two_secure_nodes_meet_whisper_shout_and_part_and_nobody_can_read_along() {
    // ZRE-7, ZRE-110, ZRE-112, ZRE-115
    let mut lan = Lan::new();
    lan.tapped = Some(Vec::new());
    let (alice, bob) = (alice(&mut lan), bob(&mut lan));
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    let id = lan.id(bob);
    let proved = lan.stack(alice).peer(id).unwrap().key;
    assert_eq!(proved, Some(public(2)));
    lan.with(bob, |stack, now| stack.join(now, &text("CHAT")));
    lan.run_for(ms(20));
    assert_eq!(names(&lan.events(alice)), ["join bob CHAT"]);
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("a secret")).unwrap();
        let shouted = stack.shout(now, &text("CHAT"), &frames("a secret of all"));
        assert_eq!(shouted.unwrap().reached, 1);
    });
    lan.run_for(ms(20));
    assert_eq!(
        names(&lan.events(bob)),
        [
            r#"whisper alice [b"a secret"]"#,
            r#"shout alice CHAT [b"a secret of all"]"#
        ]
    );
    lan.run_for(Duration::from_secs(120));
    lan.still_talk(alice, bob);
    lan.with(bob, Stack::stop);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["exit bob left"]);
    let tapped = lan.tapped.take().unwrap();
    for plain in [
        &b"a secret"[..],
        b"CHAT",
        b"alice",
        b"tcp://",
        id.as_bytes(),
    ] {
        assert!(!tapped.windows(plain.len()).any(|octets| octets == plain));
    }
}

#[test]
fn the_beacons_of_a_secure_node_have_its_key_to_the_last() {
    // ZRE-7, ZRE-110
    let mut stack = Stack::new(Instant::ZERO, [7; 32], secure("alice", 1));
    let interface = Interface {
        name: "eth0".into(),
        address: [10, 0, 0, 1].into(),
        port: 49_152,
        zone: 0,
    };
    stack.handle_interface_up(Instant::ZERO, interface);
    stack.stop(Instant::from_millis(10));
    let beacons: Vec<_> = core::iter::from_fn(|| stack.poll_action())
        .filter_map(|action| match action {
            Action::Broadcast { datagram, .. } => Some(Beacon::decode(&datagram).unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!([beacons[0].port, beacons[1].port], [49_152, 0]);
    for beacon in beacons {
        assert_eq!(beacon.key, Some(*public(1).as_bytes()));
        assert_eq!(beacon.encode().len(), 54);
    }
}

#[test]
fn the_same_seeds_give_the_same_octets_and_no_two_connections_the_same_keys() {
    let run = || {
        let mut lan = Lan::new();
        lan.tapped = Some(Vec::new());
        alice(&mut lan);
        bob(&mut lan);
        lan.run_for(ms(10_000));
        lan.tapped.unwrap()
    };
    let octets = run();
    assert_eq!(octets, run());
    // The HELLO of CURVE has the short-lived key of a connection behind its name, version and padding.
    let hellos: Vec<_> = octets
        .windows(6)
        .enumerate()
        .filter(|(_, word)| *word == b"\x05HELLO")
        .map(|(at, _)| octets[at + 80..at + 112].to_vec())
        .collect();
    assert_eq!(hellos.len(), 2);
    assert_ne!(hellos[0], hellos[1]);
}

#[test]
fn what_a_secure_node_keeps_of_its_seed_is_not_what_its_connections_have_theirs_of() {
    // Who reads its memory later does not read what it said before. A node keeps for good what it made its UUID of.
    let [plain, ours] = [Config::default(), secure("alice", 1)]
        .map(|config| Stack::new(Instant::ZERO, [7; 32], config).id());
    assert_ne!(plain, ours);
}

#[test]
fn nobody_talks_a_secure_node_down() {
    // ZRE-110, ZRE-112
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let bobs = lan.id(bob);
    let dials = lan.dials(alice);
    let source = lan.address_of(bob);
    // A node without a key, a beacon that the peer moved, and its goodbye.
    lan.puppet_beacons(mallory, PeerId::from_bytes([66; 16]), 49_152);
    lan.puppet_beacons(mallory, bobs, 49_152);
    lan.puppet_beacons(mallory, bobs, 0);
    tell(&mut lan, mallory, source, bobs, None);
    let link = lan.puppet_greets(mallory, alice);
    lan.run_for(ms(1_000));
    assert_eq!(lan.dials(alice), dials);
    assert!(lan.the_puppet(mallory).closed.contains(&link));
    assert_eq!(lan.stack(alice).counters().beacons_refused, 4);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
    // Nor is one that has no key talked up.
    let plain = lan.node("plain");
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(plain)), NOTHING);
    assert_eq!(lan.dials(plain), 0);
    assert_eq!(lan.stack(plain).counters().beacons_refused, 0);
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn keys_that_nobody_can_own_are_left_alone_and_one_that_begins_with_zero_is_not() {
    // ZRE-111
    let mut lan = Lan::new();
    let (alice, liar) = (alice(&mut lan), lan.puppet(66));
    let source = lan.address_of(liar);
    let mut one = [0; 32];
    one[0] = 1;
    let mut good = [7; 32];
    good[0] = 0;
    for (octet, key, asked) in [(1, [0; 32], 0), (2, one, 0), (3, good, 1)] {
        lan.host(alice).guard = Guard::Away;
        let uuid = PeerId::from_bytes([octet; 16]);
        tell(
            &mut lan,
            liar,
            source,
            uuid,
            Some(PublicKey::from_bytes(key)),
        );
        lan.run_for(ms(10));
        assert_eq!(lan.asked.len(), asked, "{key:?}");
    }
    assert_eq!(lan.stack(alice).counters().beacons_refused, 2);
}

#[test]
fn no_secret_is_shown() {
    let (mut lan, alice, _) = two();
    let shown = format!("{:?}", lan.stack(alice));
    for octet in [1, 2] {
        let pair = keys(octet);
        let secret = pair.secret();
        let octets = format!("{:?}", secret.as_bytes());
        for secret in [secret.to_z85().as_str(), octets.trim_matches(['[', ']'])] {
            assert!(!shown.contains(secret));
        }
    }
    assert!(shown.contains(&public(1).to_string()));
}
