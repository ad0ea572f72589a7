//! What a participant is as a client.

use atonce::gossip::{Event, Neighbour, RemoteId};
use atonce::wire::gossip::Message;

use crate::hand::{CHANGE, Hand, other, plain, stamp, stamped};
use crate::network::{key, value};

fn remote(hub: &Neighbour) -> RemoteId {
    match hub {
        Neighbour::Remote(remote) => *remote,
        Neighbour::Session(session) => panic!("{session:?}"),
    }
}

fn greets(it: &mut Hand, hub: &Neighbour) -> bool {
    let hello = Message::Hello(Some(it.gossip.id()));
    it.told(hub).contains(&hello)
}

#[test]
fn it_tells_what_the_hub_lacks() {
    // GOS-50
    let mut it = Hand::new();
    it.publish("mine", "v");
    it.publish("both", "v");
    it.publish("taken back", "v");
    it.unpublish("taken back");
    let hub = it.hub();
    it.say(&hub, plain("both", "v"));
    it.say(&hub, plain("theirs", "v"));
    assert_eq!(it.told(&hub), []);
    it.say(&hub, Message::Pong(None));
    assert_eq!(it.published(&hub), [("mine".to_owned(), "v".to_owned())]);
    let synced = Event::Synced {
        remote: remote(&hub),
        ours: false,
    };
    assert!(it.events.contains(&synced) && it.gossip.is_synced(remote(&hub)));
    // One of ours is told all.
    let ours = it.hub();
    it.say(&ours, Message::Pong(Some(other(1))));
    assert_eq!(it.statements(&ours).len(), 4);
    // One that does not answer PING is told as well.
    let mute = it.hub();
    it.live(900, &[&hub, &ours]);
    assert_eq!(it.statements(&mute).len(), 0);
    it.live(200, &[&hub, &ours]);
    assert_eq!(it.statements(&mute).len(), 3);
    // After a loss all of it again.
    it.told(&hub);
    it.gossip.handle_disconnected(it.now, remote(&hub));
    it.publish("meanwhile", "v");
    assert_eq!(it.told(&hub), []);
    it.gossip.handle_connected(it.now, remote(&hub));
    it.wait(0);
    assert!(greets(&mut it, &hub));
    it.say(&hub, Message::Pong(None));
    assert_eq!(it.statements(&hub).len(), 4);
}

#[test]
fn it_pings() {
    // GOS-51
    let mut it = Hand::new();
    let (hub, ours) = (it.foreign_hub(), it.our_hub(1));
    it.live(10_000, &[&hub, &ours]);
    let pings = |told: Vec<Message>| {
        assert!(told.iter().all(|message| *message == Message::Ping));
        told.len()
    };
    let counts = (pings(it.told(&hub)), pings(it.told(&ours)));
    assert!(
        (33..=38).contains(&counts.0) && (5..=6).contains(&counts.1),
        "{counts:?}"
    );
}

#[test]
fn a_hub_that_may_have_forgotten_us_is_greeted_anew() {
    // GOS-52
    let mut it = Hand::new();
    let (hub, ours) = (it.foreign_hub(), it.our_hub(1));
    // It was silent.
    it.wait(950);
    it.say(&hub, plain("k", "v"));
    it.say(&ours, Message::Pong(None));
    assert!(greets(&mut it, &hub) && !greets(&mut it, &ours));
    it.say(&hub, Message::Pong(None));
    it.say(&hub, Message::Pong(None));
    it.say(&hub, Message::Pong(None));
    it.say(&hub, Message::Pong(None));
    assert!(it.gossip.is_synced(remote(&hub)));
    // We were.
    it.live(1_000, &[&hub, &ours]);
    it.told(&hub);
    it.now += core::time::Duration::from_millis(950);
    it.wait(0);
    assert!(greets(&mut it, &hub) && !greets(&mut it, &ours));
}

#[test]
fn invalid_is_answered_by_all_of_it_anew() {
    // GOS-53
    let mut it = Hand::new();
    it.publish("k", "v");
    let hub = it.foreign_hub();
    let mut greeted = 0;
    let began = it.now;
    while it.now - began < core::time::Duration::from_secs(9) {
        it.say(&hub, Message::Invalid);
        greeted += usize::from(greets(&mut it, &hub));
        it.wait(20);
    }
    assert!((6..=9).contains(&greeted), "{greeted}");
    assert!(it.gossip.counters().invalid > 100);
    it.wait(5_000);
    it.told(&hub);
    it.say(&hub, Message::Pong(None));
    it.wait(1_000);
    assert_eq!(it.published(&hub), [("k".to_owned(), "v".to_owned())]);
}

#[test]
fn a_dead_connection_is_made_anew() {
    // GOS-54
    let mut it = Hand::new();
    let (hub, live) = (it.foreign_hub(), it.foreign_hub());
    it.live(9_900, &[&live]);
    assert_eq!(it.reconnects, []);
    it.live(200, &[&live]);
    assert_eq!(it.reconnects, [remote(&hub)]);
    it.live(9_000, &[&live]);
    assert_eq!(it.reconnects.len(), 1);
}

#[test]
fn it_does_not_talk_to_itself() {
    // GOS-55
    let mut it = Hand::new();
    let hub = it.hub();
    let own = it.gossip.id();
    it.say(&hub, Message::Pong(Some(own)));
    assert_eq!(
        it.events,
        [Event::Itself {
            remote: remote(&hub)
        }]
    );
    it.publish("k", "v");
    it.say(&hub, plain("x", "v"));
    it.wait(30_000);
    assert_eq!((it.told(&hub), it.holds("x")), (vec![], None));
    assert_eq!(it.reconnects, []);
}

#[test]
fn what_a_hub_told_counts_for_a_while_without_it() {
    // GOS-56, GOS-27
    let mut it = Hand::new();
    let hub = it.foreign_hub();
    it.say(&hub, plain("still", "v"));
    it.say(&hub, plain("lost", "v"));
    it.live(100_000, &[&hub]);
    it.gossip.handle_disconnected(it.now, remote(&hub));
    it.wait(20_000);
    it.gossip.handle_connected(it.now, remote(&hub));
    it.wait(0);
    it.say(&hub, plain("still", "v"));
    it.say(&hub, Message::Pong(None));
    it.live(100_000, &[&hub]);
    assert_eq!(
        (it.holds("still"), it.holds("lost")),
        (Some(value("v")), None)
    );
    it.gossip.close(it.now, remote(&hub));
    it.wait(100_000);
    assert_eq!(it.holds("still"), None);
    it.gossip.close(it.now, remote(&hub));
    it.gossip.handle_connected(it.now, remote(&hub));
}

#[test]
fn the_statements_of_a_hub_of_ours_have_stamps() {
    let mut it = Hand::new();
    let ours = it.our_hub(1);
    it.say(&ours, stamped("k", "v", stamp(CHANGE, 1)));
    it.say(&ours, stamped("k", "w", stamp(2 * CHANGE, 1)));
    it.say(&ours, stamped("k", "v", stamp(CHANGE, 1)));
    assert_eq!(it.holds("k"), Some(value("w")));
    let told: Vec<_> = it.events.iter().skip(1).cloned().collect();
    let [Event::Published { .. }, Event::Changed { before, .. }] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((before, &key("k")), (&value("v"), &key("k")));
}
