//! What was said earlier and comes later, or to another.

use atonce::Config;
use atonce::wire::zre::Command;
use atonce::zre::Beacons;

use crate::support::{Lan, frames, names, text, two};
use crate::{NOTHING, alice_and_puppet, ms};

#[test]
fn a_hello_that_comes_later_than_its_successor_changes_nothing() {
    // ZRE-25
    let (mut lan, alice, puppet) = {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        (lan, alice, puppet)
    };
    let hello = Command::Hello(lan.hello_of(puppet, "puppet"));
    let old = lan.puppet_dials(puppet, alice);
    lan.run_for(ms(10));
    let new = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, new, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    lan.puppet_says(puppet, old, 1, hello.clone());
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert!(lan.the_puppet(puppet).closed.contains(&old));
    // Nor does it bring back one who is gone.
    let older = lan.puppet_dials(puppet, alice);
    lan.run_for(ms(10));
    let newer = lan.puppet_greets(puppet, alice);
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet replaced", "enter puppet"]
    );
    let id = lan.id(puppet);
    lan.puppet_closes(puppet, newer);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(10));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
    lan.puppet_says(puppet, older, 1, hello);
    lan.run_for(ms(5_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn the_last_words_of_a_dead_process_do_not_make_a_peer_of_the_one_that_has_its_port() {
    // ZRE-16
    for delay in 0..12 {
        let mut lan = Lan::new();
        let alice = lan.node("alice");
        let dead = lan.puppet(9);
        let hello = Command::Hello(lan.hello_of(dead, "dead"));
        let address = lan.address_of(dead);
        let link = lan.puppet_dials(dead, alice);
        lan.run_for(ms(10));
        let config = Config {
            name: Some(text("carol")),
            ..Config::default()
        };
        lan.node_at(config, address);
        lan.run_for(ms(delay));
        lan.puppet_says(dead, link, 1, hello);
        lan.puppet_closes(dead, link);
        lan.run_for(ms(1_000));
        assert_eq!(names(&lan.events(alice)), ["enter carol"], "{delay} ms");
    }
}

#[test]
fn a_stand_in_is_not_met_by_the_mailbox_of_the_one_who_is_back() {
    // ZRE-13
    for is_back in [true, false] {
        let mut lan = Lan::new();
        let (alice, puppet, stand_in) = (lan.node("alice"), lan.puppet(9), lan.puppet(9));
        let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
        lan.the_puppet(puppet).states = Some(id);
        lan.puppet_beacons(puppet, id, port);
        let link = is_back.then(|| lan.puppet_dials(puppet, alice));
        lan.run_for(ms(50));
        assert_eq!(crate::hellos(&mut lan, puppet), 1);
        let other = lan.puppet_greets(stand_in, alice);
        lan.puppet_speaks(stand_in, alice, other, 2);
        lan.run_for(ms(50));
        assert_eq!(lan.the_puppet(stand_in).closed.contains(&other), is_back);
        let Some(link) = link else {
            // Without a link from there it is the same one, with another address.
            assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
            continue;
        };
        assert_eq!(names(&lan.events(alice)), NOTHING);
        let hello = Command::Hello(lan.hello_of(puppet, "puppet"));
        lan.puppet_says(puppet, link, 1, hello);
        lan.run_for(ms(50));
        assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
        assert_eq!(crate::hellos(&mut lan, puppet), 1);
    }
}

#[test]
fn the_last_words_of_a_dead_process_do_not_make_a_peer_of_itself_at_another_port() {
    // ZRE-13
    let mut lan = Lan::new();
    let (alice, dead) = (lan.node("alice"), lan.puppet(9));
    let hello = Command::Hello(lan.hello_of(dead, "puppet"));
    let mut address = lan.address_of(dead);
    let old = lan.puppet_dials(dead, alice);
    lan.run_for(ms(10));
    address.set_port(address.port() + 1);
    let puppet = lan.puppet_at(9, address);
    let id = lan.id(puppet);
    lan.the_puppet(puppet).states = Some(id);
    lan.puppet_beacons(puppet, id, address.port());
    lan.run_for(ms(50));
    assert_eq!(crate::hellos(&mut lan, puppet), 1);
    lan.puppet_says(dead, old, 1, hello);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert_eq!(crate::hellos(&mut lan, puppet), 1);
}

#[test]
fn an_endpoint_that_is_left_alone_is_tried_once_when_it_greets() {
    // ZRE-11
    let (mut lan, alice) = {
        let mut lan = Lan::new();
        let alice = lan.node("alice");
        (lan, alice)
    };
    let dead = lan.puppet(9);
    let source = lan.address_of(dead);
    let beacon = atonce::wire::Beacon {
        uuid: lan.id(dead),
        port: source.port(),
        key: None,
    };
    lan.kill(dead);
    let mut dials = 0;
    for second in 0..200 {
        lan.broadcast(dead, source, &beacon.encode());
        lan.run_for(ms(1_000));
        if lan.dials(alice) > dials {
            assert!(second < 150, "it never gives up");
            dials = lan.dials(alice);
        }
        if dials == 10 {
            break;
        }
    }
    assert_eq!(dials, 10);
    lan.run_for(ms(1_000));
    let bob = lan.node_at(
        Config {
            name: Some(text("bob")),
            ..Config::default()
        },
        source,
    );
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    assert_eq!(lan.dials(alice), 11);
}

#[test]
fn a_hello_that_waited_for_the_end_of_another_is_weighed_by_who_is_there() {
    // ZRE-16. Three processes have the port one after the other; of the first one only our own link is known to be dead.
    let (mut lan, alice, first, _) = alice_and_puppet();
    lan.the_puppet(first).answers_pings = false;
    let address = lan.address_of(first);
    let second = lan.puppet_at(8, address);
    let link = lan.puppet_dials(second, alice);
    let hello = Command::Hello(lan.hello_of(second, "second"));
    lan.puppet_says(second, link, 1, hello);
    lan.run_for(ms(10));
    let config = Config {
        name: Some(text("carol")),
        beacons: Beacons::Off,
        ..Config::default()
    };
    lan.node_at(config, address);
    lan.reset_dialled(alice, first);
    lan.run_for(ms(100));
    assert_eq!(
        names(&lan.events(alice)),
        [
            "exit puppet lost: another node took its endpoint",
            "enter carol"
        ]
    );
}

#[test]
fn what_waited_for_a_dead_peer_is_not_said_to_the_one_that_has_its_port() {
    let (mut lan, alice, bob) = two();
    let (address, id) = (lan.address_of(bob), lan.id(bob));
    lan.kill(bob);
    let config = Config {
        name: Some(text("carol")),
        beacons: Beacons::Off,
        ..Config::default()
    };
    let carol = lan.node_at(config, address);
    lan.run_for(ms(2));
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("for bob")).unwrap();
    });
    lan.run_for(ms(1_000));
    lan.reset_dialled(alice, carol);
    lan.run_for(ms(3_000));
    let heard = names(&lan.events(carol));
    assert!(!heard.iter().any(|it| it.contains("for bob")), "{heard:?}");
    lan.events(alice);
    lan.still_talk(alice, carol);
}
