//! Two who publish one key, and two keys with one value.

use atonce::gossip::Event;

use crate::hand::{CHANGE, Hand, plain, stamp, stamped};
use crate::network::{key, value};

fn overruled(ours: &str, theirs: &str) -> Event {
    Event::Overruled {
        key: key("k"),
        ours: value(ours),
        theirs: value(theirs),
    }
}

#[test]
fn whoever_is_there_outlasts_what_was_left_behind() {
    // GOS-40
    let mut it = Hand::new();
    let ours = it.client("o", Some(1));
    it.publish("k", "new");
    it.told(&ours);
    it.say(
        &ours,
        stamped("k", "left behind", stamp(50 * CHANGE + 3, 9)),
    );
    let publish = it.statements(&ours);
    assert_eq!(publish[0].value, value("new"));
    assert_eq!(publish[0].stamp.unwrap().generation, 51 * CHANGE);
    assert_eq!((it.holds("k"), it.events.len()), (Some(value("new")), 0));
    // Also from a C peer.
    let c = it.client("c", None);
    it.wait(10_000);
    it.say(&c, plain("k", "left behind"));
    assert_eq!(it.published(&c), [("k".to_owned(), "new".to_owned())]);
    // That is no reason to keep it alive when it is not published here any more.
    it.unpublish("k");
    it.wait(700_000);
    assert_eq!(it.holds("k"), None);
}

#[test]
fn two_who_are_there_do_not_go_on_for_ever() {
    // GOS-40, GOS-41, GOS-42
    let mut it = Hand::new();
    let (ours, c) = (it.client("o", Some(1)), it.client("c", None));
    it.publish("k", "ours");
    let mut generation = CHANGE;
    let mut asserted = 0;
    for _ in 0..200 {
        generation += 2 * CHANGE;
        it.say(&ours, stamped("k", "theirs", stamp(generation, 9)));
        let publish = it.statements(&ours).into_iter();
        let publish: Vec<_> = publish.filter(|it| it.value == value("ours")).collect();
        for publish in &publish {
            generation = generation.max(publish.stamp.unwrap().generation);
        }
        asserted += publish.len();
        it.wait(200);
    }
    assert_eq!(it.events, [overruled("ours", "theirs")]);
    assert!((6..=8).contains(&asserted), "{asserted}");
    assert_eq!(it.holds("k"), Some(value("theirs")));
    assert!(it.gossip.published().eq([(&key("k"), &value("ours"))]));
    // Until they are gone.
    it.wait(61_000);
    assert_eq!(it.holds("k"), Some(value("ours")));
    assert_eq!(it.events.last(), Some(&Event::Restored { key: key("k") }));
    assert!(
        it.published(&c)
            .ends_with(&[("k".to_owned(), "ours".to_owned())])
    );
}

#[test]
fn whoever_gives_way_is_told_of_theirs() {
    // GOS-41
    let mut it = Hand::new();
    let c = it.client("c", None);
    it.publish("k", "ours");
    for _ in 0..300 {
        it.say(&c, plain("k", "theirs"));
        it.wait(500);
    }
    assert_eq!(it.events, [overruled("ours", "theirs")]);
    assert!(it.unpublish("k"));
    it.wait(1);
    let published = Event::Published {
        key: key("k"),
        value: value("theirs"),
    };
    assert_eq!(it.events.last(), Some(&published));
}

#[test]
fn what_was_taken_back_stays_so() {
    // GOS-43
    let mut it = Hand::new();
    let ours = it.client("o", Some(1));
    it.publish("k", "v");
    it.unpublish("k");
    it.told(&ours);
    // Somebody keeps it alive, who did not hear of it yet.
    it.say(&ours, stamped("k", "v", stamp(9 * CHANGE, 9)));
    assert!(it.statements(&ours)[0].value.is_void());
    assert_eq!(it.holds("k"), None);
    // What somebody else says is none of our business.
    it.say(&ours, stamped("k", "theirs", stamp(20 * CHANGE, 9)));
    assert_eq!(it.holds("k"), Some(value("theirs")));
    assert_eq!(it.statements(&ours), []);
}

#[test]
fn two_keys_may_have_one_value() {
    // GOS-44
    let mut it = Hand::new();
    let c = it.client("c", None);
    it.say(&c, plain("a", "v"));
    it.say(&c, plain("b", "v"));
    it.publish("own", "v");
    let keys: Vec<_> = it.gossip.keys_with(&value("v")).cloned().collect();
    assert_eq!(keys, [key("a"), key("b"), key("own")]);
    it.say(&c, plain("a", "w"));
    assert_eq!(it.gossip.keys_with(&value("v")).count(), 2);
    assert_eq!(it.gossip.keys_with(&value("x")).count(), 0);
}
