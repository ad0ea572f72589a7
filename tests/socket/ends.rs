//! Disconnect, linger and close.

use std::time::Duration;

use atonce::socket::{Config, Event, Kind, Usage};
use atonce::wire::zmtp::SocketType;

use crate::network::{HostId, Net};
use crate::{HERE, ms};

fn linger(linger: Duration) -> Config {
    Config {
        linger,
        ..Config::default()
    }
}

fn close(net: &mut Net, host: HostId) {
    let now = net.now;
    net.the(host).close(now);
    net.the(host).close(now);
}

fn closed(events: &[Event]) -> Option<usize> {
    match events.last() {
        Some(Event::Closed { lost }) => Some(*lost),
        _ => None,
    }
}

#[test]
fn who_is_disconnected_is_sent_what_was_queued() {
    // SOCK-30
    let mut net = Net::new();
    net.capacity = 1_000;
    let (push, pull) = (net.socket(Kind::Push), net.socket(Kind::Pull));
    net.bind(pull, HERE);
    let connect = net.connect(push, HERE);
    net.run_for(ms(10));
    for n in 0..500 {
        net.send(push, format!("{n:0>1000}"));
    }
    let now = net.now;
    net.the(push).disconnect(now, connect);
    net.the(push).disconnect(now, connect);
    assert!(!net.the(push).can_send());
    net.run_for(ms(5_000));
    assert_eq!(net.recv_all(pull).len(), 500);
    assert_eq!(net.the(push).usage(), Usage::default());
    assert_eq!(net.the(push).connects().count(), 0);
    assert_eq!(net.links(push), 0);
    let events = net.events(push);
    let released = |event: &&Event| matches!(event, Event::Released { lost: 0, .. });
    assert_eq!(events.iter().filter(released).count(), 1);
    assert!(matches!(
        events.last(),
        Some(Event::Disconnected {
            lost: 0,
            was_ready: true,
            ..
        })
    ));
    // It is not dialled again.
    net.run_for(ms(60_000));
    assert!(net.events(push).is_empty());
    // What came before is still there to be taken.
    let connect = net.connect(pull, "tcp://10.0.0.2:1");
    let other = net.socket(Kind::Push);
    net.bind(other, "tcp://10.0.0.2:1");
    net.run_for(ms(1_000));
    net.send(other, "late");
    net.run_for(ms(10));
    let now = net.now;
    net.the(pull).disconnect(now, connect);
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull), ["late"]);
    assert_eq!(net.the(pull).usage(), Usage::default());
}

#[test]
fn what_is_queued_for_nobody_is_dropped_by_a_disconnect() {
    // SOCK-30
    let mut net = Net::new();
    let push = net.socket(Kind::Push);
    let connect = net.connect(push, HERE);
    net.send(push, "one");
    net.send(push, "two");
    net.run_for(ms(10));
    let now = net.now;
    net.the(push).disconnect(now, connect);
    let released = |event: &Event| matches!(event, Event::Released { lost: 2, .. });
    assert!(net.events(push).iter().any(released));
    assert_eq!(net.the(push).counters().messages_lost, 2);
    assert_eq!(net.the(push).usage(), Usage::default());
    assert_eq!(net.the(push).deadline(), None);
    // While it is dialled.
    net.silence(HERE);
    let connect = net.connect(push, HERE);
    net.send(push, "three");
    let now = net.now;
    net.the(push).disconnect(now, connect);
    net.run_for(ms(100_000));
    assert_eq!(net.the(push).counters().messages_lost, 3);
    assert_eq!(net.the(push).usage(), Usage::default());
}

#[test]
fn a_peer_that_does_not_read_holds_a_close_up_for_the_linger_at_most() {
    // SOCK-31
    let mut net = Net::new();
    net.capacity = 1_000;
    let push = net.socket_with(Kind::Push, linger(ms(700)));
    let puppet = net.puppet_at(SocketType::Pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(10));
    net.the_puppet(puppet).reads = false;
    for _ in 0..100 {
        net.send(push, vec![7; 1_000]);
    }
    close(&mut net, push);
    net.run_for(ms(690));
    assert_eq!(net.links(push), 1);
    assert!(!net.the(push).is_closed());
    net.run_for(ms(20));
    assert_eq!(net.links(push), 0);
    assert!(net.the(push).is_closed());
    let lost = closed(&net.events(push)).unwrap();
    assert!(lost >= 98, "{lost}");
    assert_eq!(net.the(push).deadline(), None);
}

#[test]
fn a_close_sends_all_and_then_ends_all_links() {
    // SOCK-31
    let mut net = Net::new();
    let (push, pull) = (net.socket(Kind::Push), net.socket(Kind::Pull));
    net.bind(push, HERE);
    net.bind(push, "tcp://10.0.0.2:1");
    net.connect(pull, HERE);
    net.connect(pull, "tcp://10.0.0.2:1");
    net.run_for(ms(10));
    for n in 0..1_000 {
        net.send(push, format!("{n:0>2000}"));
    }
    close(&mut net, push);
    assert!(!net.the(push).can_send());
    net.run_for(ms(100));
    assert_eq!(closed(&net.events(push)), Some(0));
    assert!(net.the(push).is_closed());
    assert_eq!(net.recv_all(pull).len(), 1_000);
    // A receiver that is closed takes nothing with it.
    close(&mut net, pull);
    net.run_for(ms(1));
    assert_eq!(closed(&net.events(pull)), Some(0));
    assert_eq!(net.the(pull).usage(), Usage::default());
}

#[test]
fn a_close_waits_for_who_was_connected_and_is_not_there() {
    // SOCK-31
    let mut net = Net::new();
    let push = net.socket_with(Kind::Push, linger(ms(5_000)));
    net.connect(push, HERE);
    net.connect(push, "tcp://10.0.0.9:9");
    net.send(push, "one");
    net.send(push, "two");
    net.run_for(ms(50));
    close(&mut net, push);
    net.run_for(ms(1_000));
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    net.run_for(ms(3_000));
    assert_eq!(net.recv_all(pull), ["one"]);
    assert!(!net.the(push).is_closed());
    net.run_for(ms(1_000));
    assert_eq!(closed(&net.events(push)), Some(1));
    assert_eq!(net.the(push).usage(), Usage::default());
}

#[test]
fn what_waits_while_somebody_is_dialled_is_lost_with_the_close_and_told() {
    // SOCK-31; found by the fuzzer: it was not told.
    for wait in [Duration::ZERO, ms(500)] {
        let mut net = Net::new();
        net.silence(HERE);
        let push = net.socket_with(Kind::Push, linger(wait));
        net.connect(push, HERE);
        net.send(push, "one");
        net.send(push, "two");
        net.run_for(ms(10));
        close(&mut net, push);
        net.run_for(ms(1_000));
        assert_eq!(closed(&net.events(push)), Some(2));
        assert_eq!(net.the(push).counters().messages_lost, 2);
        assert_eq!(net.the(push).usage(), Usage::default());
    }
}

#[test]
fn without_a_linger_a_close_is_at_once() {
    // SOCK-31
    let mut net = Net::new();
    let (push, pull) = (
        net.socket_with(Kind::Push, linger(Duration::ZERO)),
        net.socket(Kind::Pull),
    );
    net.bind(pull, HERE);
    net.connect(push, HERE);
    net.connect(push, "tcp://10.0.0.9:9");
    net.run_for(ms(10));
    net.capacity = 0;
    for _ in 0..4 {
        net.send(push, "lost");
    }
    close(&mut net, push);
    assert!(net.the(push).is_closed());
    assert_eq!(closed(&net.events(push)), Some(4));
    assert_eq!(net.the(push).deadline(), None);
}

#[test]
fn nobody_comes_in_while_a_socket_closes() {
    let mut net = Net::new();
    let push = net.socket_with(Kind::Push, linger(ms(1_000)));
    let listener = net.bind(push, HERE);
    net.connect(push, "tcp://10.0.0.9:9");
    net.send(push, "waits");
    close(&mut net, push);
    let now = net.now;
    assert_eq!(net.the(push).handle_accepted(now, listener, None), None);
    assert_eq!(net.the(push).endpoints().count(), 0);
    assert!(!net.the(push).is_closed());
    net.run_for(ms(1_001));
    assert!(net.the(push).is_closed());
}
