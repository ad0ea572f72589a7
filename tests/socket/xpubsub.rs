//! XPUB and XSUB: subscriptions as messages, forwarders, and what else is said.

use std::collections::VecDeque;

use atonce::socket::{Config, Kind, SendError};
use atonce::wire::zmtp::SocketType;
use atonce::{Bytes, Frames};

use crate::network::{HostId, Net, text};
use crate::pubsub::{
    publish, puppet_cancels, puppet_wants, puppet_was_asked, subscribe, unsubscribe,
};
use crate::{HERE, ms};

const THERE: &str = "tcp://10.0.0.2:5555";
const BEHIND: &str = "tcp://10.0.0.3:5555";

fn verbose() -> Config {
    Config {
        verbose: true,
        ..Config::default()
    }
}

/// What an XPUB received, subscriptions with a sign.
fn news(net: &mut Net, host: HostId) -> Vec<String> {
    let all = net.recv_all(host);
    let all = all.into_iter().map(|it| match it.as_bytes().first() {
        Some(1) => format!("+{}", &it[1..]),
        Some(0) => format!("-{}", &it[1..]),
        _ => it,
    });
    all.collect()
}

/// An XPUB to which two puppets came.
fn with_two(config: Config) -> (Net, HostId, HostId, HostId) {
    let mut net = Net::new();
    let source = net.socket_with(Kind::XPub, config);
    net.bind(source, HERE);
    let one = net.puppet(SocketType::XSub, HERE);
    let two = net.puppet(SocketType::Sub, HERE);
    net.run_for(ms(10));
    (net, source, one, two)
}

#[test]
fn the_application_gets_the_first_and_the_last_subscription() {
    // SOCK-95
    let (mut net, source, one, two) = with_two(Config::default());
    puppet_wants(&mut net, one, "a");
    puppet_wants(&mut net, two, "");
    assert_eq!(net.recv(source), Some(Frames::from(b"\x01a")));
    assert_eq!(net.recv(source), Some(Frames::from(b"\x01")));
    assert!(!net.the(source).can_recv());
    assert_eq!(net.recv(source), None);
    puppet_wants(&mut net, two, "a");
    puppet_wants(&mut net, two, "a");
    puppet_cancels(&mut net, one, "a");
    puppet_cancels(&mut net, two, "a");
    assert_eq!(news(&mut net, source), [""; 0]);
    puppet_cancels(&mut net, two, "a");
    assert!(net.the(source).can_recv());
    assert_eq!(net.recv(source), Some(Frames::from(b"\x00a")));
    // By a message as well.
    net.puppet_sends(one, b"\x01b");
    net.run_for(ms(5));
    assert_eq!(news(&mut net, source), ["+b"]);
}

#[test]
fn a_verbose_one_gets_every_subscription_and_every_end() {
    // SOCK-97
    let (mut net, source, one, two) = with_two(verbose());
    puppet_wants(&mut net, one, "a");
    puppet_wants(&mut net, one, "a");
    puppet_wants(&mut net, two, "a");
    assert_eq!(news(&mut net, source), ["+a", "+a", "+a"]);
    puppet_cancels(&mut net, one, "a");
    puppet_wants(&mut net, two, "a");
    assert_eq!(news(&mut net, source), ["+a", "-a"]);
    net.kill(two);
    net.run_for(ms(10));
    assert_eq!(news(&mut net, source), ["-a", "-a"]);
    puppet_wants(&mut net, one, "a");
    assert_eq!(news(&mut net, source), ["+a"]);
    net.kill(one);
    net.run_for(ms(10));
    assert_eq!(news(&mut net, source), ["-a", "-a"]);
}

#[test]
fn who_leaves_takes_his_subscriptions_back() {
    // SOCK-98
    let (mut net, source, one, two) = with_two(Config::default());
    for prefix in ["a", "b", "c", "c"] {
        puppet_wants(&mut net, one, prefix);
    }
    puppet_wants(&mut net, two, "b");
    assert_eq!(news(&mut net, source), ["+a", "+b", "+c"]);
    net.kill(one);
    net.run_for(ms(10));
    let mut gone = news(&mut net, source);
    gone.sort();
    assert_eq!(gone, ["-a", "-c"]);
    publish(&mut net, source, &["a", "b", "c"]);
    assert_eq!(net.puppet_hears(two), ["b"]);
    net.cut(two);
    net.run_for(ms(10));
    assert_eq!(news(&mut net, source), ["-b"]);
}

#[test]
fn what_came_and_went_costs_nothing_while_nobody_looks() {
    // SOCK-96
    let (mut net, source, one, two) = with_two(verbose());
    puppet_wants(&mut net, two, "x");
    assert_eq!(news(&mut net, source), ["+x"]);
    for round in 0..2_000 {
        let connection = net.the_puppet(one).connection.as_mut().unwrap();
        for n in 0..10 {
            let prefix = format!("{n}");
            connection.subscribe(prefix.as_bytes());
            connection.cancel(prefix.as_bytes());
        }
        if round % 100 == 0 {
            net.run_for(ms(5));
        }
    }
    net.run_for(ms(10));
    assert!(!net.the(source).can_recv());
    // A new wish is not taken for an old one.
    puppet_cancels(&mut net, two, "x");
    puppet_wants(&mut net, one, "x");
    puppet_cancels(&mut net, one, "x");
    puppet_wants(&mut net, two, "x");
    assert_eq!(news(&mut net, source), ["-x", "+x"]);
}

#[test]
fn what_else_subscribers_say_comes_in_order_with_what_they_want() {
    // SOCK-99
    for many in [false, true] {
        let (mut net, source, one, _) = with_two(Config::default());
        net.puppet_sends(one, "first");
        let connection = net.the_puppet(one).connection.as_mut().unwrap();
        connection.subscribe(b"a");
        connection.send(Frames::from("second")).unwrap();
        connection.send(Frames::from(b"\x01b")).unwrap();
        connection
            .send(Frames::from_iter(["third", "of two"]))
            .unwrap();
        connection.cancel(b"b");
        net.run_for(ms(10));
        // What it wants is taken when what it said before is.
        publish(&mut net, source, &["a1", "b1"]);
        let mut all = Vec::new();
        if many {
            while net.the(source).can_recv() {
                let now = net.now;
                let mut batch = VecDeque::new();
                net.the(source).recv_many(now, 1_000, &mut batch).unwrap();
                assert!(!batch.is_empty());
                all.extend(batch.iter().map(text));
            }
        } else {
            all = net.recv_all(source);
        }
        assert_eq!(
            all,
            [
                "first",
                "\u{1}a",
                "second",
                "\u{1}b",
                "third|of two",
                "\u{0}b"
            ]
        );
        publish(&mut net, source, &["a2", "b2"]);
        assert_eq!(net.puppet_hears(one), ["a2"]);
        assert_eq!(net.the(source).counters().messages_received, 3);
    }
}

#[test]
fn subscribers_have_their_say_in_turn() {
    // SOCK-99
    let (mut net, source, one, _) = with_two(Config::default());
    let two = net.puppet(SocketType::XSub, HERE);
    net.run_for(ms(10));
    for n in 0..3 {
        net.puppet_sends(one, format!("one {n}"));
    }
    net.run_for(ms(5));
    for n in 0..2 {
        net.puppet_sends(two, format!("two {n}"));
    }
    net.run_for(ms(5));
    assert_eq!(
        net.recv_all(source),
        ["one 0", "two 0", "one 1", "two 1", "one 2"]
    );
}

#[test]
fn a_message_that_some_take_for_a_subscription_is_neither() {
    // SOCK-88
    let (mut net, source, one, _) = with_two(Config::default());
    net.puppet_sends(one, [Bytes::from_static(b"\x01a"), "b".into()]);
    net.puppet_sends(one, "hello");
    net.puppet_sends(one, [Bytes::from_static(b"\x00a"), "b".into()]);
    net.run_for(ms(5));
    assert_eq!(net.recv_all(source), ["hello"]);
    assert_eq!(net.the(source).counters().messages_discarded, 2);
    let sink = net.socket(Kind::XSub);
    let wish = [Bytes::from_static(b"\x01a"), "b".into()];
    assert_eq!(net.try_send(sink, wish), Err(SendError::Malformed));
}

#[test]
fn a_wish_behind_a_message_ends_with_its_link() {
    // SOCK-86
    let (mut net, source, one, _) = with_two(Config::default());
    net.puppet_sends(one, "hello");
    puppet_wants(&mut net, one, "a");
    net.puppet_sends(one, b"\x01b");
    net.puppet_sends(one, "bye");
    net.run_for(ms(5));
    net.kill(one);
    net.run_for(ms(5));
    assert_eq!(net.recv_all(source), ["hello", "bye"]);
    publish(&mut net, source, &["a", "b"]);
    assert_eq!(net.the(source).counters().messages_sent, 0);
}

#[test]
fn an_xsub_subscribes_by_messages_and_sends_others_to_all() {
    // SOCK-105, SOCK-106
    let mut net = Net::new();
    let sink = net.socket(Kind::XSub);
    assert!(net.the(sink).can_send());
    net.send(sink, b"\x01a");
    let one = net.puppet_at(SocketType::XPub, HERE);
    let two = net.puppet_at(SocketType::XPub, THERE);
    net.connect(sink, HERE);
    net.connect(sink, THERE);
    net.run_for(ms(10));
    net.send(sink, b"\x01b");
    net.send(sink, b"\x01b");
    net.send(sink, b"\x00b");
    net.send(sink, b"\x00a");
    net.send(sink, b"\x00nothing");
    net.run_for(ms(5));
    for puppet in [one, two] {
        assert_eq!(puppet_was_asked(&mut net, puppet), ["+a", "+b", "-a"]);
    }
    net.send(sink, "hello");
    net.send(sink, Frames::from_iter(["", "world"]));
    net.run_for(ms(5));
    for puppet in [one, two] {
        assert_eq!(net.puppet_hears(puppet), ["hello", "|world"]);
    }
}

#[test]
fn a_publisher_that_does_not_read_misses_what_an_xsub_says() {
    // SOCK-106
    let mut net = Net::new();
    let sink = net.socket(Kind::XSub);
    let slow = net.puppet_at(SocketType::XPub, HERE);
    let quick = net.puppet_at(SocketType::XPub, THERE);
    net.connect(sink, HERE);
    net.connect(sink, THERE);
    net.run_for(ms(10));
    net.the_puppet(slow).reads = false;
    for _ in 0..3_000 {
        net.send(sink, vec![b'.'; 1_000]);
        net.run_for(ms(1));
    }
    net.run_for(ms(5));
    assert_eq!(net.puppet_hears(quick).len(), 3_000);
    let dropped = net.the(sink).counters().messages_dropped;
    assert!((1_000..2_000).contains(&dropped), "{dropped}");
}

#[test]
fn an_xsub_gets_all_that_publishers_send() {
    // SOCK-100
    let mut net = Net::new();
    let (sink, puppet) = (net.socket(Kind::XSub), net.puppet_at(SocketType::Pub, HERE));
    net.connect(sink, HERE);
    net.run_for(ms(10));
    net.puppet_sends(puppet, "unasked");
    net.run_for(ms(5));
    assert_eq!(net.recv_all(sink), ["unasked"]);
}

#[test]
fn a_verbose_subscriber_repeats_itself_and_takes_all_of_it_back() {
    // SOCK-107
    for kind in [Kind::Sub, Kind::XSub] {
        let mut net = Net::new();
        let (sink, puppet) = (
            net.socket_with(kind, verbose()),
            net.puppet_at(SocketType::XPub, HERE),
        );
        net.connect(sink, HERE);
        net.run_for(ms(10));
        for _ in 0..3 {
            subscribe(&mut net, sink, "a");
        }
        unsubscribe(&mut net, sink, "a");
        unsubscribe(&mut net, sink, "a");
        assert_eq!(puppet_was_asked(&mut net, puppet), ["+a", "+a", "+a"]);
        unsubscribe(&mut net, sink, "a");
        assert_eq!(puppet_was_asked(&mut net, puppet), ["-a", "-a", "-a"]);
        for _ in 0..2 {
            subscribe(&mut net, sink, "b");
        }
        assert_eq!(puppet_was_asked(&mut net, puppet), ["+b", "+b"]);
        // One that comes later is told once.
        net.cut(sink);
        let puppet = net.puppet_at(SocketType::XPub, HERE);
        net.run_for(ms(2_000));
        assert_eq!(puppet_was_asked(&mut net, puppet), ["+b"]);
    }
}

/// Two sockets between which a forwarder carries everything.
struct Forwarder {
    front: HostId,
    back: HostId,
}

impl Forwarder {
    /// Takes from publishers at `from`, and gives to subscribers at `to`.
    fn new(net: &mut Net, config: &Config, from: &str, to: &str) -> Self {
        let front = net.socket_with(Kind::XSub, config.clone());
        let back = net.socket_with(Kind::XPub, config.clone());
        net.connect(front, from);
        net.bind(back, to);
        Self { front, back }
    }

    fn carry(&self, net: &mut Net) {
        for (from, to) in [(self.front, self.back), (self.back, self.front)] {
            while let Some(message) = net.recv(from) {
                net.send(to, message);
            }
        }
    }
}

fn run(net: &mut Net, forwarders: &[Forwarder]) {
    for _ in 0..20 {
        net.run_for(ms(2));
        for forwarder in forwarders {
            forwarder.carry(net);
        }
    }
}

#[test]
fn forwarders_pass_the_first_and_the_last_subscription_on() {
    // SOCK-95, SOCK-105
    let mut net = Net::new();
    let config = Config::default();
    let source = net.socket(Kind::XPub);
    net.bind(source, HERE);
    let chain = [
        Forwarder::new(&mut net, &config, HERE, THERE),
        Forwarder::new(&mut net, &config, THERE, BEHIND),
    ];
    let near = net.socket(Kind::Sub);
    net.connect(near, THERE);
    let far = [0; 2].map(|_| net.socket(Kind::Sub));
    for sub in far {
        net.connect(sub, BEHIND);
    }
    run(&mut net, &chain);
    subscribe(&mut net, far[0], "a");
    run(&mut net, &chain);
    assert_eq!(news(&mut net, source), ["+a"]);
    subscribe(&mut net, far[1], "a");
    subscribe(&mut net, near, "a");
    subscribe(&mut net, near, "b");
    run(&mut net, &chain);
    assert_eq!(news(&mut net, source), ["+b"]);
    publish(&mut net, source, &["a|1", "b", "c"]);
    run(&mut net, &chain);
    assert_eq!(net.recv_all(near), ["a|1", "b"]);
    for sub in far {
        assert_eq!(net.recv_all(sub), ["a|1"]);
    }
    // "b" did not go further than it had to.
    assert_eq!(net.the(chain[0].back).counters().messages_sent, 3);
    unsubscribe(&mut net, far[0], "a");
    unsubscribe(&mut net, near, "a");
    run(&mut net, &chain);
    assert_eq!(news(&mut net, source), [""; 0]);
    net.kill(far[1]);
    run(&mut net, &chain);
    assert_eq!(news(&mut net, source), ["-a"]);
    // The link in the middle ends, and comes again.
    net.cut(chain[1].front);
    subscribe(&mut net, far[0], "z");
    run(&mut net, &chain);
    net.run_for(ms(1_000));
    run(&mut net, &chain);
    assert_eq!(news(&mut net, source), ["+z"]);
    publish(&mut net, source, &["z"]);
    run(&mut net, &chain);
    assert_eq!(net.recv_all(far[0]), ["z"]);
}

#[test]
fn verbose_forwarders_pass_every_subscription_on() {
    // SOCK-97, SOCK-107
    let mut net = Net::new();
    let source = net.socket_with(Kind::XPub, verbose());
    net.bind(source, HERE);
    let chain = [Forwarder::new(&mut net, &verbose(), HERE, THERE)];
    let subs = [0; 3].map(|_| net.socket(Kind::Sub));
    for sub in subs {
        net.connect(sub, THERE);
        subscribe(&mut net, sub, "a");
        run(&mut net, &chain);
        // Whoever comes can be given what came last.
        assert_eq!(news(&mut net, source), ["+a"]);
    }
    publish(&mut net, source, &["a"]);
    run(&mut net, &chain);
    for sub in subs {
        assert_eq!(net.recv_all(sub), ["a"]);
    }
    for sub in subs {
        net.kill(sub);
    }
    run(&mut net, &chain);
    assert_eq!(news(&mut net, source), ["-a", "-a", "-a"]);
    publish(&mut net, source, &["a"]);
    assert_eq!(net.the(source).counters().messages_sent, 1);
}
