//! What holds, for how long, and who is told.

use atonce::Frames;
use atonce::gossip::{End, Event, Neighbour, Timer};
use atonce::wire::gossip::{Message, Publish, Stamp};

use crate::hand::{CHANGE, Hand, other, plain, session, stamp, stamped};
use crate::network::{key, value};

fn said(name: &str, says: &str) -> (String, String) {
    (name.to_owned(), says.to_owned())
}

#[test]
fn what_is_no_gossip_is_counted_and_means_nothing() {
    // GOS-1
    let mut it = Hand::new();
    let from = session("a");
    let hello = Message::Hello(None).encode();
    for message in [
        Frames::from_iter([hello.clone(), hello.clone()]),
        Frames::new(),
        Frames::from("hello"),
        Frames::from(b"\xAA\xA0\x01\x02"),
        Frames::from(b"\xAA\xA0\x06\x01"),
    ] {
        it.gossip.handle_message(it.now, &from, &message);
    }
    let malformed = Frames::from(b"\xAA\xA0\x02\x01\x00");
    it.gossip.handle_message(it.now, &from, &malformed);
    let counters = it.gossip.counters();
    assert_eq!((counters.foreign, counters.malformed), (5, 1));
    assert_eq!((it.gossip.sessions(), it.gossip.poll_action()), (0, None));
}

#[test]
fn a_new_tuple_goes_to_all_others_and_a_known_one_to_nobody() {
    // GOS-20, GOS-22, GOS-24
    let mut it = Hand::new();
    let (a, b) = (it.client("a", None), it.client("b", None));
    let hub = it.foreign_hub();
    it.say(&a, plain("k", "v"));
    assert_eq!(it.statements(&a), []);
    for to in [&b, &hub] {
        let publish = it.statements(to);
        assert_eq!(
            (publish.len(), publish[0].ttl, publish[0].stamp),
            (1, 0, None)
        );
    }
    // Others say the same, and one says it again.
    for from in [&b, &hub, &a] {
        it.say(from, plain("k", "v"));
    }
    assert_eq!(it.gossip.counters().known, 3);
    for to in [&a, &b, &hub] {
        assert_eq!(it.statements(to), []);
    }
    assert_eq!(it.events.len(), 2); // with that the hub is synced
    assert!(it.events.contains(&Event::Published {
        key: key("k"),
        value: value("v")
    }));
}

#[test]
fn between_ours_the_greater_stamp_holds() {
    // GOS-21, GOS-8
    let mut it = Hand::new();
    let (a, b) = (it.client("a", Some(1)), it.client("b", Some(2)));
    it.say(&a, stamped("k", "new", stamp(2 * CHANGE, 1)));
    assert_eq!(it.published(&b), [said("k", "new")]);
    // However often what is older was refreshed.
    it.say(&b, stamped("k", "old", stamp(2 * CHANGE - 1, 9)));
    assert_eq!(it.holds("k"), Some(value("new")));
    assert_eq!(it.published(&b), [said("k", "new")]);
    assert_eq!(it.published(&a), []);
    // What has the same generation is settled by the origin.
    it.say(&b, stamped("k", "other", stamp(2 * CHANGE, 2)));
    let publish = it.statements(&a);
    assert_eq!(publish[0].stamp, Some(stamp(2 * CHANGE, 2)));
    it.say(&a, stamped("k", "other", stamp(2 * CHANGE, 2)));
    assert_eq!((it.statements(&a), it.statements(&b)), (vec![], vec![]));
}

#[test]
fn a_stamp_of_one_who_is_not_of_ours_means_nothing() {
    // GOS-22
    let mut it = Hand::new();
    let (a, ours) = (it.client("a", None), it.client("o", Some(1)));
    it.say(&a, stamped("k", "v", stamp(7 * CHANGE, 9)));
    let publish = it.statements(&ours);
    let made = Stamp {
        generation: CHANGE,
        origin: it.gossip.id(),
        published: false,
    };
    assert_eq!(publish[0].stamp, Some(made));
    assert!((59_000..=60_000).contains(&publish[0].ttl));
}

#[test]
fn what_was_superseded_is_corrected_when_it_is_old_news() {
    // GOS-23
    let mut it = Hand::new();
    let a = it.client("a", None);
    it.say(&a, plain("k", "old"));
    it.say(&a, plain("k", "new"));
    // It was on its way.
    let b = it.client("b", None);
    it.say(&a, plain("k", "newest"));
    it.say(&b, plain("k", "new"));
    assert_eq!(it.published(&b), [said("k", "newest"), said("k", "newest")]);
    // Not so soon again, and then once.
    it.say(&b, plain("k", "new"));
    it.say(&b, plain("k", "new"));
    assert_eq!(it.published(&b), []);
    it.wait(1_300);
    assert_eq!(it.published(&b), [said("k", "newest")]);
    // Later it is news, from whoever does not tell all that he ever heard.
    it.wait(3_000);
    let c = session("c");
    it.say(&c, Message::Hello(None));
    it.say(&c, plain("k", "new"));
    assert_eq!(it.holds("k"), Some(value("newest")));
    assert_eq!(it.published(&c), [said("k", "newest"), said("k", "newest")]);
    it.say(&b, plain("k", "new"));
    assert_eq!(it.holds("k"), Some(value("new")));
}

#[test]
fn a_hub_brings_nothing_back_that_others_know_better() {
    // GOS-23
    let mut it = Hand::new();
    let ours = it.client("o", Some(1));
    it.say(&ours, stamped("k", "new", stamp(CHANGE, 1)));
    let hub = it.hub();
    it.say(&hub, plain("k", "whatever it was"));
    it.say(&hub, Message::Pong(None));
    assert_eq!(it.holds("k"), Some(value("new")));
    assert_eq!(it.published(&hub), [said("k", "new")]);
    // What only the hub itself told it may change.
    it.say(&hub, plain("own", "one"));
    let Some(Neighbour::Remote(remote)) = Some(hub.clone()) else {
        panic!();
    };
    it.gossip.handle_disconnected(it.now, remote);
    it.gossip.handle_connected(it.now, remote);
    it.say(&hub, plain("own", "two"));
    assert_eq!(it.holds("own"), Some(value("two")));
}

#[test]
fn a_publisher_refreshes_for_ours_alone() {
    // GOS-26
    let mut it = Hand::new();
    let (c, ours) = (it.client("c", None), it.client("o", Some(1)));
    it.publish("k", "v");
    it.told(&c);
    let first = it.statements(&ours)[0].stamp.unwrap();
    assert_eq!(it.timer(), Some(Timer::Neighbour));
    it.wait(17_900);
    assert_eq!(it.statements(&ours), []);
    it.wait(2_100);
    let second = it.statements(&ours)[0].stamp.unwrap();
    assert_eq!(
        second,
        Stamp {
            generation: first.generation + 1,
            ..first
        }
    );
    assert!(second.published);
    assert_eq!(it.statements(&c), []);
}

#[test]
fn a_tuple_that_nobody_refreshes_ends() {
    // GOS-29, GOS-26
    let mut it = Hand::new();
    let (ours, c) = (it.client("o", Some(1)), it.client("c", None));
    it.say(&ours, stamped("k", "v", stamp(CHANGE, 1)));
    it.wait(59_900);
    assert!(it.holds("k").is_some());
    it.wait(200);
    assert_eq!(it.holds("k"), None);
    let end = Event::Unpublished {
        key: key("k"),
        before: value("v"),
        end: End::Expired,
    };
    assert_eq!(it.events.last(), Some(&end));
    // Nobody but ours can speak for it.
    it.told(&ours);
    it.say(&c, plain("k", "v"));
    it.say(&ours, stamped("k", "v", stamp(CHANGE, 1)));
    assert_eq!(it.holds("k"), None);
    it.say(&ours, stamped("k", "v", stamp(CHANGE + 1, 1)));
    assert!(it.holds("k").is_some());
}

#[test]
fn whoever_heard_it_from_a_c_peer_keeps_it_alive() {
    // GOS-27
    let mut it = Hand::new();
    let (c, ours) = (it.client("c", None), it.client("o", Some(1)));
    it.say(&c, plain("k", "v"));
    it.wait(300_000);
    assert!(it.holds("k").is_some());
    let refreshes = it.statements(&ours);
    assert!((15..=18).contains(&refreshes.len()), "{}", refreshes.len());
    assert!(!refreshes[3].stamp.unwrap().published);
    // It goes.
    it.gossip.handle_session_gone(it.now, b"c");
    it.wait(29_000);
    assert!(it.holds("k").is_some());
    it.wait(60_000);
    assert_eq!(it.holds("k"), None);
    // Such a tuple may come back with it.
    let c = it.client("d", None);
    it.say(&c, plain("k", "v"));
    assert!(it.holds("k").is_some());
}

#[test]
fn an_echo_is_no_word_of_its_own() {
    // GOS-27
    let mut it = Hand::new();
    let (c, ours) = (it.client("c", None), it.client("o", Some(1)));
    it.say(
        &ours,
        Message::Publish(Publish {
            key: key("k"),
            value: value("v"),
            ttl: 60_000,
            stamp: Some(Stamp {
                published: false,
                ..stamp(CHANGE, 1)
            }),
        }),
    );
    assert_eq!(it.published(&c), [said("k", "v")]);
    it.say(&c, plain("k", "v"));
    it.wait(61_000);
    assert_eq!(it.holds("k"), None);
}

#[test]
fn one_of_many_is_enough() {
    // GOS-28
    let mut it = Hand::new();
    let (c, ours) = (it.client("c", None), it.client("o", Some(1)));
    it.say(&c, plain("k", "v"));
    let mut generation = CHANGE;
    // Somebody else refreshes it in time.
    for _ in 0..10 {
        generation += 1;
        let theirs = Stamp {
            published: false,
            ..stamp(generation, 0xFF)
        };
        it.say(&ours, stamped("k", "v", theirs));
        it.told(&ours);
        it.wait(20_000);
        assert_eq!(it.statements(&ours), []);
    }
    // And not any more.
    it.wait(10_000);
    assert_eq!(it.statements(&ours), []);
    it.wait(10_000);
    assert_eq!(
        it.statements(&ours)[0].stamp.unwrap().generation,
        generation + 1
    );
}

#[test]
fn the_time_that_a_client_says_is_honoured() {
    // GOS-25
    let mut it = Hand::new();
    let (c, hub) = (it.client("c", None), it.foreign_hub());
    let brief = |name: &str| {
        Message::Publish(Publish {
            key: key(name),
            value: value("v"),
            ttl: 5_000,
            stamp: None,
        })
    };
    it.say(&c, brief("k"));
    for _ in 0..5 {
        it.live(4_000, &[&hub]);
        it.say(&c, brief("k"));
    }
    it.live(4_900, &[&hub]);
    assert!(it.holds("k").is_some());
    it.live(200, &[&hub]);
    assert_eq!(it.holds("k"), None);
    // That of a hub of C may be of any tuple.
    it.say(&hub, brief("h"));
    it.live(100_000, &[&hub]);
    assert!(it.holds("h").is_some());
    // Ours say at most ten minutes.
    let ours = it.client("o", Some(1));
    it.say(
        &ours,
        Message::Publish(Publish {
            key: key("o"),
            value: value("v"),
            ttl: u32::MAX,
            stamp: Some(stamp(CHANGE, 1)),
        }),
    );
    it.live(599_000, &[&hub]);
    assert!(it.holds("o").is_some());
    it.live(2_000, &[&hub]);
    assert_eq!(it.holds("o"), None);
}

#[test]
fn what_is_taken_back_is_void_everywhere() {
    // GOS-30, GOS-31
    let mut it = Hand::new();
    let (c, ours) = (it.client("c", None), it.client("o", Some(1)));
    it.publish("k", "tcp://10.0.0.7:1|KEY");
    it.told(&c);
    it.told(&ours);
    assert!(it.unpublish("k") && !it.unpublish("k"));
    assert_eq!(it.published(&c), [said("k", "|KEY")]);
    let publish = it.statements(&ours);
    assert!(publish[0].value.is_void() && publish[0].ttl > 590_000);
    assert!(it.names().is_empty() && it.gossip.published().next().is_none());
    // Who comes now is told nothing if it is a C peer, and everything if it is one of ours.
    let (d, p) = (session("d"), session("p"));
    it.say(&d, Message::Hello(None));
    it.say(&p, Message::Hello(Some(other(2))));
    assert_eq!((it.statements(&d).len(), it.statements(&p).len()), (0, 1));
    // A C peer that still has it is told.
    it.say(&d, plain("k", "tcp://10.0.0.7:1|KEY"));
    assert_eq!(it.published(&d), [said("k", "|KEY")]);
    it.say(&d, plain("k", ""));
    assert_eq!(it.published(&d), []);
    it.wait(600_000);
    it.say(&p, Message::Hello(Some(other(2))));
    assert_eq!(it.statements(&p), []);
}

#[test]
fn others_hear_that_it_is_taken_back() {
    // GOS-30, GOS-32
    let mut it = Hand::new();
    let (c, d) = (it.client("c", None), it.client("d", None));
    it.say(&c, plain("unknown", ""));
    assert_eq!(it.published(&d), []);
    it.say(&c, plain("k", "v"));
    it.say(&c, plain("k", ""));
    assert_eq!(it.published(&d), [said("k", "v"), said("k", "")]);
    let end = Event::Unpublished {
        key: key("k"),
        before: value("v"),
        end: End::Unpublished,
    };
    assert_eq!(it.events.last(), Some(&end));
}

#[test]
fn the_application_knows_better() {
    // GOS-33
    let mut it = Hand::new();
    let (c, ours) = (it.client("c", None), it.client("o", Some(1)));
    // A C peer has it still, but nobody is there.
    it.say(&c, plain("gone", "v"));
    it.gossip.doubt(it.now, &key("gone"));
    // One of ours lost its neighbours, but is there.
    it.say(&ours, stamped("there", "v", stamp(CHANGE, 1)));
    it.gossip.confirm(it.now, &key("there"));
    it.wait(61_000);
    assert_eq!(
        (it.holds("gone"), it.holds("there")),
        (None, Some(value("v")))
    );
    it.wait(100_000);
    it.say(&c, plain("gone", "v"));
    assert_eq!(it.holds("gone"), None);
    // It was there after all.
    it.gossip.confirm(it.now, &key("gone"));
    assert_eq!(it.holds("gone"), Some(value("v")));
    it.gossip.doubt(it.now, &key("there"));
    it.wait(61_000);
    assert_eq!(it.holds("there"), None);
    // Nobody doubts himself.
    it.publish("own", "v");
    it.gossip.doubt(it.now, &key("own"));
    it.wait(100_000);
    assert!(it.holds("own").is_some());
    it.gossip.confirm(it.now, &key("nobody"));
}

#[test]
fn what_the_application_refutes_ends_at_once_and_nobody_is_told_it() {
    // GOS-34
    let mut it = Hand::new();
    let (c, d, ours) = (
        it.client("c", None),
        it.client("d", None),
        it.client("o", Some(1)),
    );
    let refute = |it: &mut Hand, from: &Neighbour, message: Message| {
        let frames = Frames::from(message.encode());
        it.gossip.handle_message(it.now, from, &frames);
        it.gossip.refute(it.now, &key("k"));
        it.wait(0);
        assert_eq!(it.holds("k"), None);
    };
    refute(&mut it, &c, plain("k", "v"));
    // It was as good as never there.
    assert_eq!(it.published(&d), []);
    assert_eq!(it.statements(&ours), []);
    assert_eq!(it.events, []);
    let late = session("late");
    it.say(&late, Message::Hello(None));
    assert_eq!(it.published(&late), []);
    // As long as it is remembered a C peer is not heard, whoever says it.
    it.wait(500_000);
    it.say(&d, plain("k", "v"));
    assert_eq!(it.holds("k"), None);
    // One of ours is, and who refuted it does so again.
    refute(&mut it, &ours, stamped("k", "v", stamp(9 * CHANGE, 9)));
    assert_eq!(it.published(&c), []);
    it.say(&ours, stamped("k", "v", stamp(10 * CHANGE, 9)));
    assert_eq!(it.holds("k"), Some(value("v")));
    let told = it.events.last();
    assert!(
        matches!(told, Some(Event::Published { .. })),
        "it is told: {told:?}"
    );
    it.gossip.refute(it.now, &key("k"));
    it.wait(0);
    let told = it.events.last();
    assert!(
        matches!(told, Some(Event::Unpublished { .. })),
        "so is its end: {told:?}"
    );
    // Another value is another matter.
    it.say(&c, plain("k", "w"));
    assert_eq!(it.holds("k"), Some(value("w")));
    // Nobody refutes himself.
    it.publish("own", "v");
    it.gossip.refute(it.now, &key("own"));
    assert!(it.holds("own").is_some());
    it.gossip.refute(it.now, &key("nobody"));
}
