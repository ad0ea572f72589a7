//! What a participant is as a server.

use atonce::gossip::{Config, Limits, Unsent};
use atonce::wire::gossip::Message;

use crate::hand::{Hand, other, plain, session};
use crate::network::value;

#[test]
fn hello_is_answered_by_everything() {
    // GOS-60
    let mut it = Hand::new();
    it.publish("a", "v");
    it.publish("b", "v");
    let (c, ours) = (session("c"), session("o"));
    for _ in 0..2 {
        it.say(&c, Message::Hello(None));
        assert_eq!(it.told(&c), [plain("a", "v"), plain("b", "v")]);
        it.say(&ours, Message::Hello(Some(other(1))));
        let told = it.told(&ours);
        assert_eq!(
            (&told[0], told.len()),
            (&Message::Pong(Some(it.gossip.id())), 3)
        );
        assert!(matches!(&told[1], Message::Publish(publish) if publish.stamp.is_some()));
    }
    assert_eq!(it.gossip.sessions(), 2);
    // It is this participant itself.
    let own = session("own");
    it.say(&own, Message::Hello(Some(it.gossip.id())));
    assert_eq!(it.told(&own), [Message::Pong(Some(it.gossip.id()))]);
}

#[test]
fn ping_is_answered_by_pong() {
    // GOS-61
    let mut it = Hand::new();
    let (stranger, client) = (session("s"), it.client("c", None));
    for from in [&stranger, &client] {
        it.say(from, Message::Ping);
        assert_eq!(it.told(from), [Message::Pong(None)]);
    }
}

#[test]
fn what_is_said_before_hello_is_not_lost() {
    // GOS-62
    let mut it = Hand::new();
    let (c, d) = (session("c"), it.client("d", None));
    it.say(&c, plain("k", "v"));
    it.say(&c, plain("l", "v"));
    assert_eq!(it.told(&c), [Message::Invalid]);
    assert_eq!(it.statements(&d).len(), 2);
    it.say(&d, plain("m", "v"));
    assert_eq!(it.told(&c), []);
    it.say(&c, Message::Hello(None));
    assert_eq!(it.statements(&c).len(), 3);
}

#[test]
fn a_silent_client_is_looked_for_and_not_forgotten() {
    // GOS-63
    let mut it = Hand::new();
    let (c, gone) = (it.client("c", None), it.client("gone", None));
    it.wait(900);
    assert_eq!(it.told(&c), []);
    it.wait(600_000);
    let told = it.told(&c);
    assert!(told.iter().all(|message| *message == Message::Pong(None)));
    assert!((119..=121).contains(&told.len()), "{}", told.len());
    it.publish("k", "v");
    assert_eq!(it.statements(&c).len(), 1);
    it.unsent(&gone, &Message::Pong(None), Unsent::Gone);
    assert_eq!(it.gossip.sessions(), 1);
}

#[test]
fn there_is_room_for_so_many_clients() {
    // GOS-64
    let limits = Limits {
        sessions: 2,
        ..Limits::default()
    };
    let mut it = Hand::with(Config {
        limits,
        ..Config::default()
    });
    let (c, d, e) = (it.client("c", None), it.client("d", None), session("e"));
    it.say(&e, Message::Hello(None));
    it.say(&e, plain("k", "v"));
    assert_eq!((it.told(&e), it.gossip.counters().turned_away), (vec![], 2));
    it.say(&c, plain("k", "v"));
    assert_eq!(
        (it.statements(&d).len(), it.holds("k")),
        (1, Some(value("v")))
    );
    it.gossip.handle_session_gone(it.now, b"c");
    it.say(&e, Message::Hello(None));
    assert_eq!(it.statements(&e).len(), 1);
}
