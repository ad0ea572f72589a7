//! Links that are used in both directions, where only one side can dial.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use atonce::wire::zre::{Command, Hello, Message};
use atonce::zre::Limits;
use atonce::{Config, Event, PeerId, SendError};

use crate::support::{Lan, frames, names, text};
use crate::{NOTHING, hellos, ms};

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

fn config(name: &str) -> Config {
    Config {
        name: Some(text(name)),
        duplex: true,
        ..Config::default()
    }
}

fn private(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 168, 1, host], 49152))
}

/// Bob, behind an address translation at this address, looks for Alice.
fn bob_behind(lan: &mut Lan, alice: usize, config: Config, address: SocketAddr) -> usize {
    let bob = lan.node_behind(config, address, PUBLIC);
    let mailbox = lan.address_of(alice);
    lan.with(bob, |stack, now| {
        stack.connect(now, &mailbox.into()).unwrap();
    });
    bob
}

#[track_caller]
fn have_met(lan: &mut Lan, alice: usize, bob: usize) {
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
}

/// Alice, whom everybody can dial, and Bob, whom nobody can dial.
fn two() -> (Lan, usize, usize) {
    let mut lan = Lan::new();
    let alice = lan.node_with(config("alice"));
    let bob = bob_behind(&mut lan, alice, config("bob"), private(7));
    have_met(&mut lan, alice, bob);
    (lan, alice, bob)
}

/// A mailbox of a stranger at the address that Bob has behind his translation.
fn stranger(lan: &mut Lan) -> usize {
    lan.puppet_at(66, private(7))
}

/// A puppet whose HELLO offers that it can be spoken to on its own link.
fn offering(lan: &mut Lan, octet: u8) -> (usize, Hello) {
    let puppet = lan.puppet(octet);
    let mut hello = lan.hello_of(puppet, "puppet");
    let value = "goodbye duplex".try_into().unwrap();
    hello.headers.insert(text("X-ATONCE"), value);
    (puppet, hello)
}

#[test]
fn one_who_cannot_be_dialled_is_spoken_to_on_its_own_link() {
    // ZRE-140, ZRE-141
    let (mut lan, alice, bob) = two();
    assert_eq!((lan.dials(alice), lan.dials(bob)), (0, 1));
    assert_eq!((lan.open_links(alice), lan.open_links(bob)), (1, 1));
    lan.still_talk(alice, bob);
    let chat = text("CHAT");
    for host in [alice, bob] {
        lan.with(host, |stack, now| stack.join(now, &chat));
    }
    lan.run_for(ms(20));
    assert_eq!(names(&lan.events(alice)), ["join bob CHAT"]);
    assert_eq!(names(&lan.events(bob)), ["join alice CHAT"]);
    for (from, to, heard) in [(alice, bob, "shout alice"), (bob, alice, "shout bob")] {
        for _ in 0..3 {
            let shouted = lan.with(from, |stack, now| {
                stack.shout(now, &chat, &frames("hello")).unwrap()
            });
            assert_eq!((shouted.reached, shouted.full), (1, 0));
        }
        lan.run_for(ms(20));
        let heard = format!("{heard} CHAT [b\"hello\"]");
        assert_eq!(names(&lan.events(to)), vec![heard; 3]);
    }
    // For long, with nothing but what asks for each other.
    lan.run_for(ms(120_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(names(&lan.events(bob)), NOTHING);
    lan.still_talk(alice, bob);
    assert_eq!((lan.dials(alice), lan.dials(bob)), (0, 1));
}

#[test]
fn the_numbers_of_each_direction_go_around() {
    // ZRE-144
    let (mut lan, alice, bob) = two();
    for (from, to) in [(alice, bob), (bob, alice)] {
        let id = lan.id(to);
        let mut heard = 0;
        for _ in 0..70 {
            for _ in 0..1_000 {
                lan.with(from, |stack, now| {
                    stack.whisper(now, id, &frames("x")).unwrap();
                });
            }
            lan.run_for(ms(3));
            let events = lan.events(to);
            assert!(
                events
                    .iter()
                    .all(|event| matches!(event, Event::Whisper { .. }))
            );
            heard += events.len();
        }
        assert_eq!(heard, 70_000);
    }
}

#[test]
fn between_two_who_can_dial_each_other_nothing_changes() {
    // ZRE-140
    let mut lan = Lan::new();
    let (alice, bob) = (lan.node_with(config("alice")), lan.node_with(config("bob")));
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    assert_eq!((lan.dials(alice), lan.dials(bob)), (1, 1));
    assert_eq!((lan.open_links(alice), lan.open_links(bob)), (2, 2));
    lan.run_for(ms(120_000));
    lan.still_talk(alice, bob);
    assert_eq!((lan.dials(alice), lan.dials(bob)), (1, 1));
}

#[test]
fn one_who_does_not_offer_it_is_never_spoken_to_on_its_own_link() {
    // ZRE-140
    for (offers_alice, offers_bob) in [(false, true), (true, false)] {
        let mut lan = Lan::new();
        let alice = lan.node_with(Config {
            duplex: offers_alice,
            ..config("alice")
        });
        let bob = Config {
            duplex: offers_bob,
            ..config("bob")
        };
        let bob = bob_behind(&mut lan, alice, bob, private(7));
        lan.run_for(ms(60_000));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        assert_eq!(names(&lan.events(bob)), NOTHING);
        assert!(lan.dials(alice) > 0);
    }
}

#[test]
fn what_a_mailbox_says_on_the_link_to_it_means_nothing_unless_it_offers_that_and_says_who_it_is() {
    // ZRE-144
    let enters = |states: bool, offers: bool, first: u16| {
        let mut lan = Lan::new();
        let alice = lan.node_with(config("alice"));
        let (puppet, mut hello) = offering(&mut lan, 9);
        if !offers {
            hello.headers = Default::default();
        }
        let id = lan.id(puppet);
        lan.the_puppet(puppet).states = states.then_some(id);
        let mailbox = lan.address_of(puppet);
        lan.with(alice, |stack, now| {
            stack.connect(now, &mailbox.into()).unwrap();
        });
        lan.run_for(ms(20));
        assert_eq!(hellos(&mut lan, puppet), 1);
        lan.puppet_says(
            puppet,
            0,
            1,
            Command::Whisper {
                content: frames("before"),
            },
        );
        lan.puppet_says(puppet, 0, first, Command::Hello(hello));
        lan.run_for(ms(5));
        names(&lan.events(alice))
    };
    assert_eq!(enters(true, true, 1), ["enter puppet"]);
    for (states, offers, first) in [(false, true, 1), (true, false, 1), (true, true, 2)] {
        assert_eq!(
            enters(states, offers, first),
            NOTHING,
            "{states} {offers} {first}"
        );
    }
}

#[test]
fn who_is_dialled_back_in_vain_is_spoken_to_on_its_own_link() {
    // ZRE-142
    let took = |prepare: &dyn Fn(&mut Lan, SocketAddr)| {
        let mut lan = Lan::new();
        let alice = lan.node_with(config("alice"));
        let (puppet, mut hello) = offering(&mut lan, 9);
        let address = lan.address_of(puppet);
        prepare(&mut lan, address);
        // Where it comes from, at a port where it is not.
        hello.endpoint = text(&format!("tcp://{address}"));
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.puppet_speaks(puppet, alice, link, 2);
        let took = lan.run_until(|lan| hellos(lan, puppet) > 0);
        assert_eq!(lan.the_puppet(puppet).heard[0].0, link);
        assert_eq!(lan.the_puppet(puppet).heard[0].1.sequence, 1);
        lan.run_for(ms(60_000));
        assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
        assert_eq!(lan.dials(alice), 1);
        took
    };
    let refused = took(&|lan, address| {
        let host = usize::from(address.ip().to_string().ends_with(".2"));
        lan.host(host).refuses = true;
    });
    assert!(refused < ms(20), "{refused:?}");
    let silent = took(&|lan, address| {
        lan.silent.insert(address);
    });
    assert!(ms(2_000) < silent && silent < ms(2_020), "{silent:?}");
}

#[test]
fn a_stranger_where_somebody_was_to_be_dialled_hears_nothing() {
    // ZRE-142, ZRE-143
    for states in [None, Some(66), Some(1)] {
        let mut lan = Lan::new();
        let alice = lan.node_with(config("alice"));
        let own = lan.id(alice);
        let mallory = lan.puppet(66);
        let id = lan.id(mallory);
        lan.the_puppet(mallory).states = states.map(|states| if states == 1 { own } else { id });
        // It comes from the address of the stranger, and says that it is there.
        let at = lan.address_of(mallory);
        let (puppet, mut hello) = offering(&mut lan, 9);
        lan.host(puppet).nat = Some(at.ip());
        hello.endpoint = text(&format!("tcp://{at}"));
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.puppet_speaks(puppet, alice, link, 2);
        lan.run_for(ms(60_000));
        assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
        assert_eq!(lan.dials(alice), 1);
        assert_eq!(lan.the_puppet(mallory).heard, []);
        let octets = &lan.the_puppet(mallory).octets;
        let [octets] = &octets.values().collect::<Vec<_>>()[..] else {
            panic!("{octets:?}");
        };
        // The greeting, and one command.
        assert_eq!(
            (octets[64], octets.len()),
            (4, 66 + usize::from(octets[65]))
        );
        assert!(octets[66..].starts_with(b"\x05READY"));
        let heard = &lan.the_puppet(puppet).heard;
        assert!(heard.iter().all(|(over, _)| *over == link));
        assert!(matches!(
            heard[0].1,
            Message {
                sequence: 1,
                command: Command::Hello(_)
            }
        ));
    }
}

#[test]
fn one_who_names_the_mailbox_of_another_whom_we_look_for_is_spoken_to_on_its_own_link() {
    // ZRE-142
    for up in [true, false] {
        let mut lan = Lan::new();
        let alice = lan.node_with(config("alice"));
        let mallory = lan.puppet(66);
        let id = lan.id(mallory);
        lan.the_puppet(mallory).states = Some(id);
        // The application wants to speak to whoever is there, who says nothing.
        let at = lan.address_of(mallory);
        lan.with(alice, |stack, now| stack.connect(now, &at.into()).unwrap());
        lan.run_for(ms(20));
        if !up {
            lan.puppet_hangs_up_on(mallory, alice);
            lan.run_for(ms(20));
        }
        let (puppet, mut hello) = offering(&mut lan, 9);
        lan.host(puppet).nat = Some(at.ip());
        hello.endpoint = text(&format!("tcp://{at}"));
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.puppet_speaks(puppet, alice, link, 2);
        lan.run_for(ms(60_000));
        assert_eq!(names(&lan.events(alice)), ["enter puppet"], "{up}");
        let heard = &lan.the_puppet(puppet).heard;
        assert!(heard.iter().all(|(over, _)| *over == link));
        assert!(heard.len() > 1);
    }
}

#[test]
fn one_who_names_the_endpoint_of_a_peer_that_lives_is_spoken_to_on_its_own_link() {
    // ZRE-142
    for offers in [true, false] {
        let mut lan = Lan::new();
        let (alice, bob) = (lan.node_with(config("alice")), lan.node_with(config("bob")));
        lan.run_for(ms(2_000));
        assert_eq!(names(&lan.events(alice)), ["enter bob"]);
        assert_eq!(names(&lan.events(bob)), ["enter alice"]);
        // Two behind one translation, and its port leads to Bob.
        let at = lan.address_of(bob);
        let (puppet, mut hello) = offering(&mut lan, 9);
        lan.host(puppet).nat = Some(at.ip());
        hello.endpoint = text(&format!("tcp://{at}"));
        if !offers {
            hello.headers = Default::default();
        }
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.puppet_speaks(puppet, alice, link, 2);
        lan.run_for(ms(60_000));
        let told = names(&lan.events(alice));
        assert_eq!(told.len(), usize::from(offers), "{told:?}");
        assert!(told.iter().all(|one| *one == "enter puppet"), "{told:?}");
        assert_eq!(lan.the_puppet(puppet).closed.contains(&link), !offers);
        lan.still_talk(alice, bob);
    }
}

#[test]
fn who_does_not_offer_it_is_dialled_though_one_who_does_named_the_same_endpoint() {
    // ZRE-140
    let mut lan = Lan::new();
    let alice = lan.node_with(config("alice"));
    let (puppet, hello) = offering(&mut lan, 9);
    let mailbox = lan.address_of(puppet);
    lan.silent.insert(mailbox);
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(100));
    // It ends before it is answered; another is there then, of another kind, which does not say whose mailbox it is.
    lan.puppet_closes(puppet, link);
    lan.run_for(ms(100));
    lan.the_puppet(puppet).id = PeerId::from_bytes([8; 16]);
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(1_000));
    lan.silent.clear();
    lan.run_for(ms(20_000));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert_eq!(lan.open_links(alice), 2);
    let heard = &lan.the_puppet(puppet).heard;
    assert!(!heard.is_empty() && heard.iter().all(|(over, _)| *over != link));
}

#[test]
fn nobody_is_dialled_at_a_private_address_that_means_something_else_here() {
    // ZRE-141
    let mut lan = Lan::new();
    let alice = lan.node_at(config("alice"), private(8));
    let mallory = stranger(&mut lan);
    let bob = bob_behind(&mut lan, alice, config("bob"), private(7));
    have_met(&mut lan, alice, bob);
    lan.run_for(ms(60_000));
    assert_eq!(lan.dials(alice), 0);
    assert_eq!(lan.the_puppet(mallory).heard, []);
    assert_eq!(lan.the_puppet(mallory).octets.len(), 0);
    lan.still_talk(alice, bob);
}

#[test]
fn one_who_says_that_it_is_where_we_are_is_spoken_to_on_its_own_link() {
    // ZRE-141
    let mut lan = Lan::new();
    let alice = lan.node_at(config("alice"), private(7));
    let bob = bob_behind(&mut lan, alice, config("bob"), private(7));
    // It dials what is outside though the address is its own: by the public name of it.
    let mailbox = SocketAddr::from(([198, 51, 100, 1], 49152));
    lan.host(alice).address = mailbox;
    lan.with(bob, |stack, now| {
        stack.connect(now, &mailbox.into()).unwrap();
    });
    have_met(&mut lan, alice, bob);
    lan.still_talk(alice, bob);
}

#[test]
fn many_behind_one_address_are_told_apart() {
    // ZRE-141
    let mut lan = Lan::new();
    let alice = lan.node_with(config("alice"));
    for host in 0..20 {
        bob_behind(&mut lan, alice, config(&format!("bob{host}")), private(7));
    }
    lan.run_for(ms(200));
    assert_eq!(lan.stack(alice).peers().count(), 20);
    for bob in 1..=20 {
        assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    }
    lan.events(alice);
    for bob in 1..=20 {
        lan.still_talk(alice, bob);
    }
}

#[test]
fn silence_and_recovery_are_told_on_both_sides() {
    // ZRE-144
    let (mut lan, alice, bob) = two();
    lan.run_for(ms(1_000));
    lan.isolate(bob, true);
    lan.run_for(ms(8_000));
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        let told = names(&lan.events(host));
        assert_eq!(
            told,
            [format!("evasive {other}"), format!("silent {other}")]
        );
    }
    lan.isolate(bob, false);
    lan.run_for(ms(1_500));
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        assert_eq!(names(&lan.events(host)), [format!("recovered {other}")]);
    }
    lan.still_talk(alice, bob);
    assert_eq!(lan.dials(bob), 1);
    // And when nothing comes any more.
    lan.isolate(bob, true);
    lan.run_for(ms(31_000));
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        let told = names(&lan.events(host));
        assert_eq!(
            told.last(),
            Some(&format!("exit {other} expired")),
            "{told:?}"
        );
    }
    assert_eq!((lan.open_links(alice), lan.dials(alice)), (0, 0));
    lan.isolate(bob, false);
    lan.run_for(ms(60_000));
    assert_eq!(names(&lan.events(alice)), ["enter bob"]);
    assert_eq!(names(&lan.events(bob)), ["enter alice"]);
    lan.still_talk(alice, bob);
}

#[test]
fn a_cut_ends_both_directions_and_who_can_dial_comes_back() {
    // ZRE-145
    let (mut lan, alice, bob) = two();
    lan.run_for(ms(2_000));
    lan.reset_links(alice);
    lan.run_for(ms(50));
    let told = names(&lan.events(bob));
    assert!(
        told[0].starts_with("exit alice lost: its link was cut"),
        "{told:?}"
    );
    assert_eq!(told[1..], ["enter alice"]);
    let told = names(&lan.events(alice));
    assert!(told[0].starts_with("exit bob "), "{told:?}");
    assert_eq!(told[1..], ["enter bob"]);
    lan.still_talk(alice, bob);
    assert_eq!((lan.dials(alice), lan.dials(bob)), (0, 2));
    assert_eq!((lan.open_links(alice), lan.open_links(bob)), (1, 1));
    // With something under way it is told that it may be lost.
    let id = lan.id(bob);
    lan.run_for(ms(2_000));
    lan.with(alice, |stack, now| {
        stack.whisper(now, id, &frames("lost?")).unwrap();
    });
    lan.reset_links(alice);
    lan.run_for(ms(50));
    let told = names(&lan.events(alice));
    assert!(
        told[0].starts_with("exit bob lost: its link was cut"),
        "{told:?}"
    );
    assert_eq!(told[1..], ["enter bob"]);
}

#[test]
fn who_does_not_come_back_is_told_gone_after_three_seconds() {
    // ZRE-145
    let (mut lan, alice, bob) = two();
    lan.run_for(ms(2_000));
    lan.kill(bob);
    lan.run_for(ms(2_900));
    assert_eq!(lan.stack(alice).peers().count(), 1);
    lan.run_for(ms(200));
    let told = names(&lan.events(alice));
    assert!(
        told.iter().any(|one| one.starts_with("exit bob lost")),
        "{told:?}"
    );
    assert_eq!((lan.open_links(alice), lan.dials(alice)), (0, 0));
    // Whoever could dial notices as soon as by two links.
    let (mut lan, alice, bob) = two();
    lan.run_for(ms(2_000));
    lan.kill(alice);
    lan.run_for(ms(1_000));
    let told = names(&lan.events(bob));
    assert!(
        matches!(&told[..], [one] if one.starts_with("exit alice lost")),
        "{told:?}"
    );
}

#[test]
fn who_says_goodbye_on_such_a_link_has_left() {
    // ZRE-145
    for leaver in [0, 1] {
        let (mut lan, alice, bob) = two();
        let (stays, name) = if leaver == alice {
            (bob, "alice")
        } else {
            (alice, "bob")
        };
        let id = lan.id(stays);
        lan.with(leaver, |stack, now| {
            stack.whisper(now, id, &frames("bye")).unwrap();
            stack.stop(now);
        });
        lan.run_for(ms(50));
        let told = names(&lan.events(stays));
        assert_eq!(
            told,
            [
                format!("whisper {name} [b\"bye\"]"),
                format!("exit {name} left")
            ]
        );
        assert_eq!(names(&lan.events(leaver)), ["stopped"]);
        assert_eq!(lan.open_links(leaver), 0);
    }
}

#[test]
fn one_who_starts_anew_replaces_itself() {
    // ZRE-146
    let (mut lan, alice, bob) = two();
    let uuid = Some(lan.id(bob));
    lan.run_for(ms(5_000));
    // Its end is not noticed: what is under way is lost.
    lan.cut.extend([(alice, bob), (bob, alice)]);
    lan.kill(bob);
    let anew = Config {
        uuid,
        ..config("bob")
    };
    let anew = bob_behind(&mut lan, alice, anew, private(7));
    lan.run_for(ms(50));
    let told = names(&lan.events(alice));
    assert!(told[0].starts_with("exit bob "), "{told:?}");
    assert_eq!(told[1..], ["enter bob"]);
    assert_eq!(names(&lan.events(anew)), ["enter alice"]);
    lan.still_talk(alice, anew);
    assert_eq!(lan.open_links(alice), 1);
}

#[test]
fn one_who_can_be_dialled_later_is_not_greeted_twice() {
    // ZRE-146
    let (mut lan, alice, bob) = two();
    lan.host(bob).nat = None;
    let mailbox = lan.address_of(bob);
    lan.with(alice, |stack, now| {
        stack.connect(now, &mailbox.into()).unwrap();
    });
    lan.run_for(ms(120_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(names(&lan.events(bob)), NOTHING);
    lan.still_talk(alice, bob);
    // Nor when both meet anew.
    lan.reset_links(bob);
    lan.run_for(ms(60_000));
    for host in [alice, bob] {
        let told = names(&lan.events(host));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[1].starts_with("enter"), "{told:?}");
    }
    lan.still_talk(alice, bob);
}

#[test]
fn who_is_doubted_answers_on_the_same_link() {
    // ZRE-144, ZRE-146
    let (mut lan, alice, bob) = two();
    let (a, b) = (lan.id(alice), lan.id(bob));
    let mallory = lan.puppet(66);
    // Somebody says goodbye in the name of each.
    lan.puppet_beacons(mallory, a, 0);
    lan.puppet_beacons(mallory, b, 0);
    lan.run_for(ms(2_000));
    // Somebody states the identity of Bob, and greets; and goes on from nothing.
    let link = lan.puppet_dials_as(mallory, alice, &b.identity());
    let hello = lan.hello_of(mallory, "mallory");
    lan.puppet_says(mallory, link, 1, Command::Hello(hello));
    lan.run_for(ms(2_000));
    let link = lan.puppet_dials_as(mallory, alice, &b.identity());
    lan.puppet_says(mallory, link, 9, Command::Ping);
    lan.run_for(ms(2_000));
    let link = lan.puppet_dials_as(mallory, bob, &a.identity());
    let _ = link;
    assert_eq!(names(&lan.events(alice)), NOTHING);
    assert_eq!(names(&lan.events(bob)), NOTHING);
    lan.still_talk(alice, bob);
    assert_eq!(lan.open_links(alice), 1);
    assert_eq!(hellos(&mut lan, mallory), 0);
}

#[test]
fn a_reader_that_is_slow_holds_up_one_direction_alone() {
    // ZRE-148
    let mut lan = Lan::new();
    let limits = Limits {
        receive_octets: 20_000,
        send_octets: 20_000,
        ..Limits::default()
    };
    let [alice, bob] = ["alice", "bob"].map(|name| Config {
        limits: limits.clone(),
        ..config(name)
    });
    let alice = lan.node_with(alice);
    let bob = bob_behind(&mut lan, alice, bob, private(7));
    have_met(&mut lan, alice, bob);
    for (slow, fast) in [(alice, bob), (bob, alice)] {
        let (to_slow, to_fast) = (lan.id(slow), lan.id(fast));
        lan.host(slow).reading = false;
        let mut said = 0;
        for _ in 0..500 {
            said += usize::from(lan.with(fast, |stack, now| {
                let sent = stack.whisper(now, to_slow, &frames("0123456789"));
                assert!(matches!(sent, Ok(()) | Err(SendError::Full)));
                sent.is_ok()
            }));
        }
        assert_eq!(said, 500);
        lan.run_for(ms(20));
        assert!(lan.stack(slow).counters().pauses > 0);
        for _ in 0..500 {
            lan.with(slow, |stack, now| {
                stack.whisper(now, to_fast, &frames("answer")).unwrap();
            });
        }
        lan.run_for(ms(20));
        assert_eq!(lan.events(fast).len(), 500);
        lan.run_for(ms(60_000));
        assert_eq!(names(&lan.events(fast)), NOTHING);
        lan.host(slow).reading = true;
        lan.run_for(ms(20));
        let heard = names(&lan.events(slow));
        assert_eq!(heard.len(), 500, "{heard:?}");
        assert!(heard.iter().all(|one| one.starts_with("whisper")));
    }
    lan.still_talk(alice, bob);
}

#[test]
fn what_is_said_on_such_a_link_is_limited_like_elsewhere() {
    // ZRE-144
    let (mut lan, alice, bob) = two();
    for (from, to) in [(alice, bob), (bob, alice)] {
        let id = lan.id(to);
        lan.host(to).stalled = true;
        let full = (0..20_000).find(|_| {
            let sent = lan.with(from, |stack, now| stack.whisper(now, id, &frames("x")));
            sent == Err(SendError::Full)
        });
        assert_eq!(full, Some(10_000));
        lan.run_for(ms(15_000));
        let told = names(&lan.events(from));
        assert!(told.iter().any(|one| one.ends_with("overrun")), "{told:?}");
        lan.host(to).stalled = false;
        lan.run_for(ms(60_000));
        lan.events(alice);
        lan.events(bob);
        lan.still_talk(alice, bob);
    }
}

#[test]
fn a_peer_that_cannot_be_dialled_any_more_begins_anew_on_its_own_link() {
    // ZRE-147
    let mut lan = Lan::new();
    let (alice, bob) = (lan.node_with(config("alice")), lan.node_with(config("bob")));
    lan.run_for(ms(2_000));
    lan.events(alice);
    lan.events(bob);
    lan.host(bob).refuses = true;
    lan.reset_dialled(alice, bob);
    lan.run_for(ms(20_000));
    assert_eq!(lan.open_links(alice), 1);
    assert_eq!(lan.open_links(bob), 1);
    for (host, other) in [(alice, "bob"), (bob, "alice")] {
        let told = names(&lan.events(host));
        let [.., exit, enter] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(exit.starts_with(&format!("exit {other} lost")), "{told:?}");
        assert_eq!(*enter, format!("enter {other}"));
    }
    lan.still_talk(alice, bob);
}

#[test]
fn the_same_is_done_in_each_life_of_a_flapping_peer() {
    // ZRE-145
    let (mut lan, alice, bob) = two();
    for _ in 0..40 {
        lan.run_for(ms(1_500));
        lan.reset_links(bob);
    }
    let dials = lan.dials(bob);
    assert!(dials < 60, "{dials}");
    lan.run_for(ms(60_000));
    assert_eq!(lan.dials(alice), 0);
    let enters = |events: &[String]| events.iter().filter(|one| one.starts_with("enter")).count();
    for host in [alice, bob] {
        let told = names(&lan.events(host));
        let told: Vec<_> = told
            .into_iter()
            .filter(|one| !one.contains("recovered"))
            .collect();
        assert_eq!(enters(&told), told.len() - enters(&told), "{told:?}");
    }
    lan.still_talk(alice, bob);
}
