//! PAIR.

use atonce::socket::{ConnectError, Event, Kind, SendError, Why};
use atonce::wire::zmtp::SocketType;

use crate::network::Net;
use crate::{HERE, ms};

#[test]
fn it_has_one_partner_and_others_may_come_again() {
    // SOCK-133
    let mut net = Net::new();
    let pair = net.socket(Kind::Pair);
    net.bind(pair, HERE);
    assert_eq!(net.try_send(pair, "nobody"), Err(SendError::Full));
    let first = net.puppet(SocketType::Pair, HERE);
    net.run_for(ms(10));
    let second = net.socket(Kind::Pair);
    net.connect(second, HERE);
    net.send(second, "let me in");
    net.run_for(ms(10));
    net.puppet_sends(first, "hello");
    net.send(pair, "you");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pair), ["hello"]);
    assert_eq!(net.puppet_hears(first), ["you"]);
    let turned = |event: &Event| {
        matches!(
            event,
            Event::Disconnected {
                why: Why::PairTaken,
                ..
            }
        )
    };
    assert!(net.events(pair).iter().any(turned));
    assert!(net.the(pair).counters().refused > 0);
    // It comes again, until the partner is gone.
    net.run_for(ms(5_000));
    assert_eq!(net.recv_all(pair).len(), 0);
    net.kill(first);
    net.run_for(ms(31_000));
    net.send(second, "at last");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pair).last().unwrap(), "at last");
    net.send(pair, "welcome");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(second), ["welcome"]);
    assert_eq!(net.the(pair).peers().count(), 1);
}

#[test]
fn it_dials_one_partner_and_keeps_what_is_for_him() {
    // SOCK-134
    let mut net = Net::new();
    let (one, two) = (net.socket(Kind::Pair), net.socket(Kind::Pair));
    let connect = net.connect(one, HERE);
    let now = net.now;
    let again = net
        .the(one)
        .connect(now, &"tcp://10.0.0.2:1".parse().unwrap());
    assert_eq!(again, Err(ConnectError::PairTaken));
    net.send(one, "early");
    net.bind(two, HERE);
    net.run_for(ms(1_000));
    assert_eq!(net.recv_all(two), ["early"]);
    net.cut(one);
    net.send(one, "waits");
    net.run_for(ms(1_000));
    assert_eq!(net.recv_all(two), ["waits"]);
    let now = net.now;
    net.the(one).disconnect(now, connect);
    net.run_for(ms(10));
    assert_eq!(net.try_send(one, "x"), Err(SendError::Full));
    assert_eq!(net.try_send(two, "x"), Err(SendError::Full));
    assert!(!net.the(one).can_send());
    net.connect(one, HERE);
    net.run_for(ms(10));
    net.send(two, "back");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(one), ["back"]);
}
