//! More than there is room for, and those who do not read.

use atonce::wire::zre::Command;
use atonce::{Config, Frames, PeerId};

use crate::support::{Lan, frames, names, text, two};
use crate::{NOTHING, alice_and_puppet, ms};

#[test]
fn a_flood_of_beacons_is_capped() {
    // ZRE-11
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    for n in 0..2_000_u16 {
        let mut octets = [0; 16];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        lan.puppet_beacons(mallory, PeerId::from_bytes(octets), 1_000 + n);
    }
    lan.run_for(ms(5));
    assert!(lan.open_links(alice) <= 260);
    lan.run_for(ms(30_000));
    assert!(lan.stack(alice).counters().hints_refused > 1_000);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
    // A newcomer from elsewhere is served.
    let carol = lan.node("carol");
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter carol"]);
    assert_eq!(names(&lan.events(carol)).len(), 2);
}

#[test]
fn a_flood_of_hints_keeps_no_newcomer_out() {
    // ZRE-11
    let mut lan = Lan::new();
    let mut config = Config {
        name: Some(text("alice")),
        ..Config::default()
    };
    config.limits.contacts = 64;
    let (alice, puppet) = (lan.node_with(config), lan.puppet(9));
    let flood = |lan: &mut Lan, round: u8| {
        for n in 0..200_u8 {
            let mut octets = [round; 16];
            octets[0] = n;
            lan.puppet_beacons(puppet, PeerId::from_bytes(octets), 1_000 + u16::from(n));
        }
    };
    flood(&mut lan, 1);
    lan.run_for(ms(100));
    assert!(lan.stack(alice).counters().hints_refused > 0);
    let bob = lan.node("bob");
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    // Also one on the very machine from which the flood comes, or seems to come.
    flood(&mut lan, 2);
    lan.run_for(ms(3_000));
    lan.puppet_greets(puppet, alice);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    lan.still_talk(alice, bob);
}

#[test]
fn a_flood_of_links_is_capped() {
    // ZRE-15
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    for n in 0..2_000_u16 {
        let mut octets = [0; 16];
        octets[..2].copy_from_slice(&n.to_be_bytes());
        lan.puppet_dials_as(mallory, alice, &PeerId::from_bytes(octets).identity());
    }
    lan.run_for(ms(100));
    assert!(lan.open_links(alice) <= 260);
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
    let carol = lan.node("carol");
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter carol"]);
    lan.run_for(ms(31_000));
    assert_eq!(lan.open_links(alice), 4, "two to each peer");
    let _ = carol;
}

#[test]
fn a_slow_application_stops_its_talker_and_nobody_else() {
    // ZRE-52, ZRE-80
    let mut lan = Lan::new();
    let mut config = Config {
        name: Some(text("alice")),
        ..Config::default()
    };
    config.limits.receive_octets = 100_000;
    let alice = lan.node_with(config);
    let (bob, puppet) = (lan.node("bob"), lan.puppet(9));
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    lan.events(alice);
    lan.host(alice).reading = false;
    for _ in 0..1_000 {
        let sequence = lan.puppet_next(puppet, alice);
        let content = Frames::from(vec![7; 1_000]);
        lan.puppet_says(puppet, link, sequence, Command::Whisper { content });
        lan.run_for(ms(1));
    }
    // Forty seconds of slowness: nobody is missed for it, and bob's PINGs are answered.
    lan.run_for(ms(40_000));
    assert_eq!(lan.stack(alice).counters().pauses, 1);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    let id = lan.id(alice);
    lan.with(bob, |stack, now| {
        stack.whisper(now, id, &frames("you there?")).unwrap();
    });
    lan.run_for(ms(50));
    lan.host(alice).reading = true;
    lan.run_for(ms(100));
    let events = names(&lan.events(alice));
    let whispers = events
        .iter()
        .filter(|e| e.starts_with("whisper puppet"))
        .count();
    assert_eq!(whispers, 1_000);
    assert!(events.iter().any(|e| e.starts_with("whisper bob")));
    assert!(!events.iter().any(|e| e.starts_with("exit")), "{events:?}");
}

#[test]
fn a_peer_that_does_not_read_is_told_gone_and_no_other_peer_notices() {
    // ZRE-81
    let (mut lan, alice, bob) = two();
    let puppet = lan.puppet(9);
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    lan.events(alice);
    lan.host(puppet).stalled = true;
    let (stalled, bobs) = (lan.id(puppet), lan.id(bob));
    let mut full = 0;
    for _ in 0..2_000 {
        let content = Frames::from(vec![7; 64 * 1024]);
        let sent = lan.with(alice, |stack, now| stack.whisper(now, stalled, &content));
        full += u32::from(sent == Err(atonce::SendError::Full));
        lan.with(alice, |stack, now| {
            stack.whisper(now, bobs, &frames("x")).unwrap();
        });
    }
    assert!(full > 1_800, "{full}");
    lan.run_for(ms(9_000));
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive puppet", "silent puppet"]
    );
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["exit puppet overrun"]);
    still_talk_after(&mut lan, bob, 2_000);
}

fn still_talk_after(lan: &mut Lan, bob: usize, messages: usize) {
    assert_eq!(lan.events(bob).len(), messages);
}

#[test]
fn too_many_groups_cost_the_peer_only() {
    // ZRE-83
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    for n in 0..1_100_u16 {
        if lan.the_puppet(puppet).closed.contains(&link) {
            break;
        }
        let group = text(&format!("g{n}"));
        lan.puppet_says(puppet, link, n + 2, Command::Join { group, status: 0 });
        lan.run_for(ms(2));
    }
    let events = names(&lan.events(alice));
    assert_eq!(events.len(), 1_025);
    assert_eq!(
        events.last().map(String::as_str),
        Some("exit puppet lost: it went over the limit of groups of a peer")
    );
}
