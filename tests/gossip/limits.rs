//! What others may cost.

use atonce::gossip::{Action, Config, Event, Gossip, Limits, Neighbour, PublishError, Unsent};
use atonce::wire::gossip::{Message, Value};
use atonce::{Frames, Instant};

use crate::hand::{Hand, plain, session};
use crate::network::{key, value};

#[test]
fn the_table_is_bounded_and_so_is_the_share_of_a_client() {
    // GOS-70
    let limits = Limits {
        tuples: 8,
        tuples_of_one: 3,
        ..Limits::default()
    };
    let mut it = Hand::with(Config {
        limits,
        ..Config::default()
    });
    let (c, d, e) = (
        it.client("c", None),
        it.client("d", None),
        it.client("e", None),
    );
    for n in 0..5 {
        it.say(&c, plain(&format!("c{n}"), "v"));
    }
    assert_eq!((it.names().len(), it.gossip.counters().no_room), (3, 2));
    // Others have their room, and ours does not give way.
    it.publish("own", "v");
    for from in [&d, &e] {
        for n in 0..3 {
            it.say(from, plain(&format!("{from:?}{n}"), "v"));
        }
    }
    assert_eq!((it.names().len(), it.gossip.counters().no_room), (8, 4));
    let full = it.gossip.publish(it.now, key("more"), value("v"));
    assert_eq!(full, Err(PublishError::Full { limit: 8 }));
    // What ended does.
    it.say(&c, plain("c1", ""));
    it.gossip.publish(it.now, key("more"), value("v")).unwrap();
    assert_eq!(it.names().len(), 8);
    it.say(&c, plain("c4", "v"));
    assert_eq!(it.gossip.counters().no_room, 5);
    // So does what was taken back here.
    it.unpublish("own");
    for n in 0..20 {
        let name = format!("own {n}");
        it.publish(&name, "v");
        it.unpublish(&name);
    }
    it.publish("own", "v");
    assert_eq!(it.names().len(), 8);
}

#[test]
fn a_flood_is_not_heard_and_nobody_else_notices() {
    // GOS-71
    let mut it = Hand::new();
    let (c, d) = (it.client("c", None), it.client("d", None));
    for n in 0..100_000 {
        it.say(&c, plain("k", &n.to_string()));
    }
    let refused = Event::Refused {
        neighbour: c.clone(),
    };
    assert_eq!(
        it.events.iter().filter(|event| **event == refused).count(),
        1
    );
    let told = it.statements(&d).len();
    assert_eq!(told, 512 * 8);
    it.say(&d, plain("d", "v"));
    assert_eq!(it.statements(&c).len(), 1);
    // Then it begins anew.
    it.wait(9_900);
    assert!(!it.told(&c).contains(&Message::Invalid));
    it.wait(200);
    assert!(it.told(&c).contains(&Message::Invalid));
    it.say(&c, plain("k", "at last"));
    assert_eq!(it.holds("k"), Some(value("at last")));
    // HELLO is dear.
    it.told(&d);
    for _ in 0..100 {
        it.say(&d, Message::Hello(None));
    }
    assert_eq!(it.statements(&d).len(), 2 * 16);
    // A hub is greeted.
    let hub = it.foreign_hub();
    for n in 0..100_000 {
        it.say(&hub, plain("h", &n.to_string()));
    }
    it.told(&hub);
    it.wait(10_000);
    let hello = Message::Hello(Some(it.gossip.id()));
    assert!(it.told(&hub).contains(&hello));
}

#[test]
fn what_waits_is_told_once_and_a_full_socket_holds_nobody_up() {
    // GOS-72
    let mut it = Hand::new();
    let (slow, quick) = (it.client("slow", None), it.client("quick", None));
    it.unsent(&slow, &Message::Ping, Unsent::Full);
    for n in 0..10 {
        it.publish("k", &n.to_string());
    }
    assert_eq!(
        (it.statements(&slow).len(), it.statements(&quick).len()),
        (0, 10)
    );
    it.wait(49);
    assert_eq!(it.statements(&slow).len(), 0);
    it.wait(1);
    assert_eq!(it.statements(&slow)[0].value, value("9"));
    // What was not sent is sent again, as it is by then.
    it.unsent(&slow, &plain("k", "9"), Unsent::Full);
    it.publish("k", "10");
    it.wait(50);
    let again = it.statements(&slow);
    assert_eq!((again.len(), &again[0].value), (1, &value("10")));
    // Those who are told much take turns with those who are told little.
    let now = it.now;
    for n in 0..100 {
        it.gossip
            .publish(now, key(&n.to_string()), value("v"))
            .unwrap();
    }
    let hello = Frames::from(Message::Hello(None).encode());
    for name in ["a", "b"] {
        it.gossip.handle_message(now, &session(name), &hello);
    }
    let turns = std::iter::from_fn(|| it.gossip.poll_action());
    let turns = turns.filter_map(|action| match action {
        Action::Send {
            to: Neighbour::Session(name),
            ..
        } if name.len() == 1 => Some(name),
        _ => None,
    });
    let turns: Vec<_> = turns.take(8).collect();
    assert_eq!(turns.iter().filter(|name| *name == "a").count(), 4);
}

#[test]
fn who_does_not_listen_is_told_what_is_left() {
    // GOS-73
    let now = Instant::from_millis(1);
    let mut gossip = Gossip::new(now, [1; 32], Config::default());
    let from = session("c");
    let mut say = |name: &str, says: &str| {
        let message = Frames::from(plain(name, says).encode());
        gossip.handle_message(now, &from, &message);
    };
    for n in 0..100 {
        say("k", &n.to_string());
        say("x", "v");
        say("x", "");
    }
    let told: Vec<_> = std::iter::from_fn(|| gossip.poll_event()).collect();
    let published = Event::Published {
        key: key("k"),
        value: value("99"),
    };
    assert_eq!(told, [published]);
}

#[test]
fn errors_and_values_are_for_people() {
    let mut it = Hand::new();
    let void = it
        .gossip
        .publish(it.now, key("k"), "|x".parse::<Value>().unwrap());
    assert_eq!(
        void.unwrap_err().to_string(),
        "a value with nothing before the first bar says that there is no such tuple"
    );
    it.publish("k", "v");
    it.publish("k", "v");
    it.gossip.leave(it.now);
    assert!(it.names().is_empty());
}
