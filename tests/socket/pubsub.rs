//! PUB and SUB: who gets what, who misses what, and what a peer cannot do.

use std::collections::BTreeMap;

use atonce::socket::{
    Config, Event, Kind, QueueLimit, RecvError, SendError, SubscribeError, SubscriptionLimit, Why,
};
use atonce::wire::zmtp::{Command, Greeting, MechanismName, Metadata, SocketType, Version};
use atonce::{Bytes, Frames, zmtp};
use proptest::prelude::*;

use crate::network::{HostId, Net, text};
use crate::{HERE, ms};

pub(crate) fn subscribe(net: &mut Net, host: HostId, prefix: &'static str) {
    let now = net.now;
    net.the(host).subscribe(now, prefix).unwrap();
    net.run_for(ms(5));
}

pub(crate) fn unsubscribe(net: &mut Net, host: HostId, prefix: &str) {
    let now = net.now;
    net.the(host).unsubscribe(now, prefix.as_bytes()).unwrap();
    net.run_for(ms(5));
}

/// Sends, and lets it arrive.
pub(crate) fn publish(net: &mut Net, host: HostId, messages: &[&'static str]) {
    for message in messages {
        net.send(
            host,
            message.split('|').map(Bytes::from).collect::<Frames>(),
        );
    }
    net.run_for(ms(5));
}

/// A frame of a peer that a test speaks for.
pub(crate) fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(octets) => [&[flags, octets], body].concat(),
        Err(_) => [&[flags | 2][..], &(body.len() as u64).to_be_bytes(), body].concat(),
    }
}

fn command(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    command.encode(&mut body);
    frame(4, &body)
}

/// What a peer of ZMTP 3.0 says first.
pub(crate) fn hello_of_3_0(socket_type: &str) -> Vec<u8> {
    let greeting = Greeting {
        version: Version::V3_0,
        ..Greeting::new(MechanismName::NULL)
    };
    let metadata = Metadata::new().with("Socket-Type", socket_type.as_bytes());
    let ready = command(&Command::Ready(metadata.unwrap()));
    [&greeting.encode()[..], &ready].concat()
}

/// A puppet subscribes by a command, or takes that back.
pub(crate) fn puppet_wants(net: &mut Net, puppet: HostId, prefix: &str) {
    let connection = net.the_puppet(puppet).connection.as_mut().unwrap();
    connection.subscribe(prefix.as_bytes());
    net.run_for(ms(5));
}

pub(crate) fn puppet_cancels(net: &mut Net, puppet: HostId, prefix: &str) {
    let connection = net.the_puppet(puppet).connection.as_mut().unwrap();
    connection.cancel(prefix.as_bytes());
    net.run_for(ms(5));
}

/// What subscribers told a puppet that publishes; it is taken.
pub(crate) fn puppet_was_asked(net: &mut Net, puppet: HostId) -> Vec<String> {
    let events = std::mem::take(&mut net.the_puppet(puppet).events);
    let wishes = events.into_iter().filter_map(|event| match event {
        zmtp::Event::Subscribe(prefix) => Some(format!("+{}", String::from_utf8_lossy(&prefix))),
        zmtp::Event::Cancel(prefix) => Some(format!("-{}", String::from_utf8_lossy(&prefix))),
        _ => None,
    });
    wishes.collect()
}

#[test]
fn messages_come_that_begin_as_was_wished() {
    // SOCK-80, SOCK-81
    for (publisher, subscriber) in [
        (Kind::Pub, Kind::Sub),
        (Kind::Pub, Kind::XSub),
        (Kind::XPub, Kind::Sub),
        (Kind::XPub, Kind::XSub),
    ] {
        for bound_by_publisher in [true, false] {
            let mut net = Net::new();
            let source = net.socket(publisher);
            let sink = net.socket(subscriber);
            let now = net.now;
            net.the(sink).subscribe(now, "a").unwrap();
            if bound_by_publisher {
                net.bind(source, HERE);
                net.connect(sink, HERE);
            } else {
                net.bind(sink, HERE);
                net.connect(source, HERE);
            }
            net.run_for(ms(10));
            subscribe(&mut net, sink, "ab");
            subscribe(&mut net, sink, "no");
            publish(
                &mut net,
                source,
                &["abc", "a|b||c", "b|a", "A", "", "n", "no", "nob", "a"],
            );
            assert_eq!(net.recv_all(sink), ["abc", "a|b||c", "no", "nob", "a"]);
            assert_eq!(net.the(source).counters().messages_sent, 5);
            assert_eq!(net.the(source).counters().messages_dropped, 0);
        }
    }
}

#[test]
fn the_empty_wish_is_for_everything() {
    // SOCK-80
    let mut net = Net::new();
    let (source, sink) = (net.socket(Kind::Pub), net.socket(Kind::Sub));
    net.bind(source, HERE);
    net.connect(sink, HERE);
    net.run_for(ms(10));
    publish(&mut net, source, &["before"]);
    subscribe(&mut net, sink, "");
    publish(&mut net, source, &["a", "", "|b"]);
    assert_eq!(net.recv_all(sink), ["a", "", "|b"]);
    unsubscribe(&mut net, sink, "");
    publish(&mut net, source, &["after"]);
    assert_eq!(net.recv_all(sink), [""; 0]);
    assert_eq!(net.the(source).counters().messages_sent, 3);
}

#[test]
fn a_pub_only_sends_and_a_sub_only_receives() {
    // SOCK-89, SOCK-101
    let mut net = Net::new();
    let (source, sink) = (net.socket(Kind::Pub), net.socket(Kind::Sub));
    assert_eq!(net.try_recv(source), Err(RecvError::NotReceiving));
    assert!(!net.the(source).can_recv());
    assert_eq!(net.try_send(sink, "a"), Err(SendError::NotSending));
    assert!(!net.the(sink).can_send());
    let now = net.now;
    let wished = net.the(source).subscribe(now, "a");
    assert_eq!(wished, Err(SubscribeError::NotSubscribing));
    // Nobody is there, and nothing is the matter.
    assert!(net.the(source).can_send());
    net.send(source, "a");
    assert_eq!(net.the(source).usage().queued_messages, 0);
}

#[test]
fn equal_wishes_are_counted_by_the_subscriber() {
    // SOCK-82, SOCK-103
    let mut net = Net::new();
    let (sink, puppet) = (net.socket(Kind::Sub), net.puppet_at(SocketType::Pub, HERE));
    net.connect(sink, HERE);
    net.run_for(ms(10));
    for _ in 0..3 {
        subscribe(&mut net, sink, "a");
    }
    subscribe(&mut net, sink, "b");
    unsubscribe(&mut net, sink, "a");
    unsubscribe(&mut net, sink, "a");
    assert_eq!(puppet_was_asked(&mut net, puppet), ["+a", "+b"]);
    net.puppet_sends(puppet, "a1");
    net.run_for(ms(5));
    unsubscribe(&mut net, sink, "a");
    assert_eq!(puppet_was_asked(&mut net, puppet), ["-a"]);
    let now = net.now;
    assert_eq!(
        net.the(sink).unsubscribe(now, b"a"),
        Err(SubscribeError::NotSubscribed)
    );
    subscribe(&mut net, sink, "a");
    assert_eq!(puppet_was_asked(&mut net, puppet), ["+a"]);
    assert_eq!(net.recv_all(sink), ["a1"]);
}

#[test]
fn equal_wishes_are_counted_by_the_publisher() {
    // SOCK-82
    for kind in [Kind::Pub, Kind::XPub] {
        let mut net = Net::new();
        let source = net.socket(kind);
        net.bind(source, HERE);
        let puppet = net.puppet(SocketType::Sub, HERE);
        net.run_for(ms(10));
        puppet_wants(&mut net, puppet, "a");
        puppet_wants(&mut net, puppet, "a");
        puppet_cancels(&mut net, puppet, "a");
        publish(&mut net, source, &["a1"]);
        puppet_cancels(&mut net, puppet, "a");
        publish(&mut net, source, &["a2"]);
        assert_eq!(net.puppet_hears(puppet), ["a1"]);
        assert_eq!(net.the(source).counters().messages_discarded, 0);
    }
}

#[test]
fn peers_of_3_0_and_3_1_subscribe_each_in_its_way() {
    // SOCK-83
    for kind in [Kind::Pub, Kind::XPub] {
        let mut net = Net::new();
        let source = net.socket(kind);
        net.bind(source, HERE);
        let (old, new) = (net.raw(HERE), net.puppet(SocketType::Sub, HERE));
        net.puppet_says(old, &hello_of_3_0("SUB"));
        net.run_for(ms(10));
        net.the_puppet(old).heard.clear();
        net.puppet_says(old, &frame(0, b"\x01a"));
        net.puppet_says(old, &frame(0, b"\x01"));
        puppet_wants(&mut net, new, "b");
        publish(&mut net, source, &["a", "b", "c"]);
        assert_eq!(net.puppet_hears(new), ["b"]);
        let all = [frame(0, b"a"), frame(0, b"b"), frame(0, b"c")].concat();
        assert_eq!(net.the_puppet(old).heard, all);
        net.the_puppet(old).heard.clear();
        net.puppet_says(old, &frame(0, b"\x00"));
        // One of 3.1 may say it by a message as well, as C peers allow.
        net.puppet_sends(new, b"\x00b");
        net.puppet_sends(new, b"\x01c");
        net.run_for(ms(5));
        publish(&mut net, source, &["a", "b", "c"]);
        assert_eq!(net.puppet_hears(new), ["c"]);
        assert_eq!(net.the_puppet(old).heard, frame(0, b"a"));
        assert_eq!(net.the(source).counters().messages_received, 0);
        assert_eq!(net.the(source).counters().messages_discarded, 0);
    }
}

#[test]
fn a_publisher_of_3_0_is_told_by_messages() {
    // ZMTP-45, SOCK-103, SOCK-104
    for kind in [Kind::Sub, Kind::XSub] {
        let mut net = Net::new();
        let (sink, old) = (net.socket(kind), net.raw_at(HERE));
        let now = net.now;
        net.the(sink).subscribe(now, "early").unwrap();
        net.connect(sink, HERE);
        net.puppet_says(old, &hello_of_3_0("PUB"));
        net.run_for(ms(10));
        subscribe(&mut net, sink, "late");
        unsubscribe(&mut net, sink, "early");
        let heard = net.the_puppet(old).heard.clone();
        let words = [
            frame(0, b"\x01early"),
            frame(0, b"\x01late"),
            frame(0, b"\x00early"),
        ];
        assert!(heard.ends_with(&words.concat()), "{heard:?}");
        // It is no message of the application's.
        assert_eq!(net.the(sink).counters().messages_sent, 0);
        net.puppet_says(old, &frame(0, b"late news"));
        net.run_for(ms(5));
        assert_eq!(net.recv_all(sink), ["late news"]);
    }
}

#[test]
fn what_is_no_subscription_is_dropped_and_counted() {
    // SOCK-88, SOCK-89
    let mut net = Net::new();
    let source = net.socket(Kind::Pub);
    net.bind(source, HERE);
    let puppet = net.puppet(SocketType::XSub, HERE);
    net.run_for(ms(10));
    puppet_wants(&mut net, puppet, "a");
    net.puppet_sends(puppet, "hello");
    net.puppet_sends(puppet, "");
    net.puppet_sends(puppet, b"\x02a");
    net.puppet_sends(puppet, [Bytes::from_static(b"\x00a"), "b".into()]);
    net.puppet_sends(puppet, [Bytes::from_static(b"\x01b"), "".into()]);
    net.run_for(ms(5));
    assert_eq!(net.the(source).counters().messages_discarded, 5);
    puppet_cancels(&mut net, puppet, "b");
    net.puppet_sends(puppet, b"\x00ab");
    net.run_for(ms(5));
    assert_eq!(net.the(source).counters().messages_discarded, 7);
    publish(&mut net, source, &["a", "b"]);
    assert_eq!(net.puppet_hears(puppet), ["a"]);
    assert_eq!(net.the(source).usage().pending_messages, 0);
}

#[test]
fn who_subscribes_to_more_than_he_may_is_parted_from_and_told_why() {
    // SOCK-84, SOCK-85
    let subscriptions = SubscriptionLimit {
        prefixes: 3,
        octets: 100,
    };
    for kind in [Kind::Pub, Kind::XPub] {
        let mut net = Net::new();
        let config = Config {
            subscriptions,
            ..Config::default()
        };
        let source = net.socket_with(kind, config);
        net.bind(source, HERE);
        let modest = net.puppet(SocketType::Sub, HERE);
        let long = net.puppet(SocketType::Sub, HERE);
        let many = net.raw(HERE);
        net.puppet_says(many, &hello_of_3_0("SUB"));
        net.run_for(ms(10));
        for prefix in ["a", "b", "c", "c", "c"] {
            puppet_wants(&mut net, modest, prefix);
        }
        puppet_wants(&mut net, long, &"x".repeat(100));
        net.events(source);
        puppet_wants(&mut net, long, "y");
        assert_eq!(net.why_ended(source), [Why::OverLimit]);
        let last = net.the_puppet(long).events.pop();
        let reason = "Too many subscriptions".try_into().unwrap();
        let refused = zmtp::Event::Closed(zmtp::Error::Refused { reason });
        assert_eq!(last, Some(refused));
        assert!(net.the_puppet(long).ended);
        let wishes: Vec<_> = (0..200_u8).map(|n| frame(0, &[1, n])).collect();
        net.puppet_says(many, &wishes.concat());
        net.run_for(ms(5));
        assert_eq!(net.why_ended(source), [Why::OverLimit]);
        let heard = &net.the_puppet(many).heard;
        assert!(heard.ends_with(b"\x04\x1d\x05ERROR\x16Too many subscriptions"));
        assert!(net.the_puppet(many).ended);
        // Those who did not are not concerned.
        publish(&mut net, source, &["c", "x", "y"]);
        assert_eq!(net.puppet_hears(modest), ["c"]);
        assert_eq!(net.the(source).counters().messages_sent, 1);
    }
}

#[test]
fn wishes_end_with_the_link_and_are_told_anew_with_the_next() {
    // SOCK-86, SOCK-104
    let mut net = Net::new();
    let (source, sink) = (net.socket(Kind::Pub), net.socket(Kind::Sub));
    net.bind(source, HERE);
    net.connect(sink, HERE);
    net.run_for(ms(10));
    for prefix in ["a", "b", "b", "c"] {
        subscribe(&mut net, sink, prefix);
    }
    net.cut(sink);
    net.run_for(ms(5));
    publish(&mut net, source, &["a lost one"]);
    assert_eq!(net.the(source).counters().messages_sent, 0);
    unsubscribe(&mut net, sink, "b");
    unsubscribe(&mut net, sink, "c");
    subscribe(&mut net, sink, "d");
    net.run_for(ms(1_000));
    publish(&mut net, source, &["a", "b", "c", "d"]);
    assert_eq!(net.recv_all(sink), ["a", "b", "d"]);
    // They were told once, not on top of what was told before.
    unsubscribe(&mut net, sink, "a");
    publish(&mut net, source, &["a", "b"]);
    assert_eq!(net.the(source).counters().messages_sent, 4);
    // Another publisher at the same place is told as well.
    net.kill(source);
    let source = net.socket(Kind::Pub);
    net.run_for(ms(100));
    net.bind(source, HERE);
    net.run_for(ms(2_000));
    publish(&mut net, source, &["a", "b", "c", "d"]);
    assert_eq!(net.recv_all(sink), ["b", "b", "d"]);
}

#[test]
fn a_publisher_that_dials_forgets_what_the_last_subscriber_wanted() {
    // SOCK-86
    let mut net = Net::new();
    let source = net.socket(Kind::Pub);
    let first = net.puppet_at(SocketType::Sub, HERE);
    let second = net.puppet_at(SocketType::Sub, HERE);
    net.connect(source, HERE);
    net.run_for(ms(10));
    puppet_wants(&mut net, first, "a");
    net.the_puppet(first).reads = false;
    for _ in 0..20 {
        net.send(source, vec![b'a'; 64 << 10]);
    }
    net.cut(source);
    net.run_for(ms(2_000));
    assert_eq!(net.the(source).usage().queued_messages, 0);
    publish(&mut net, source, &["a", "b"]);
    puppet_wants(&mut net, second, "b");
    publish(&mut net, source, &["a", "b"]);
    assert_eq!(net.puppet_hears(second), ["b"]);
}

#[test]
fn a_slow_subscriber_misses_messages_and_is_told_how_many() {
    // SOCK-81, SOCK-91, SOCK-92
    let mut net = Net::new();
    let config = Config {
        send: QueueLimit {
            messages: 100,
            octets: 64 << 20,
        },
        ..Config::default()
    };
    let source = net.socket_with(Kind::Pub, config);
    net.bind(source, HERE);
    let (slow, quick) = (net.puppet(SocketType::Sub, HERE), net.socket(Kind::Sub));
    net.connect(quick, HERE);
    net.run_for(ms(10));
    puppet_wants(&mut net, slow, "");
    subscribe(&mut net, quick, "");
    net.events(source);
    net.the_puppet(slow).reads = false;
    let message = |n: u32| {
        let body = vec![b'.'; 16 << 10];
        Frames::from([Bytes::from(format!("{n}")), body.into(), "end".into()])
    };
    for n in 0..1_000 {
        net.send(source, message(n));
        net.run_for(ms(2));
        // Nobody else has to wait.
        let came = net.recv(quick).map(|message| text(&message));
        assert!(came.is_some_and(|came| came.starts_with(&format!("{n}|"))));
    }
    let missed = net.the(source).counters().messages_dropped;
    assert!((800..900).contains(&missed), "{missed}");
    let shown: Vec<_> = net
        .the(source)
        .peers()
        .map(|it| it.missed_messages)
        .collect();
    assert_eq!(shown, [missed, 0]);
    assert_eq!(net.events(source), []);
    net.the_puppet(slow).reads = true;
    net.run_for(ms(100));
    let events = net.events(source);
    assert!(
        matches!(events[..], [Event::Missed { messages, .. }] if messages == missed),
        "{events:?}"
    );
    // Whole ones came, in order, the first so many of them.
    let heard = net.puppet_hears(slow);
    assert_eq!(heard.len() as u64, 1_000 - missed);
    for (n, heard) in heard.iter().enumerate() {
        assert!(heard.starts_with(&format!("{n}|")) && heard.ends_with("|end"));
    }
    net.send(source, message(1_000));
    net.run_for(ms(5));
    assert_eq!(net.puppet_hears(slow).len(), 1);
}

#[test]
fn what_was_missed_is_told_before_the_link_ends() {
    // SOCK-92
    let mut net = Net::new();
    let config = Config {
        send: QueueLimit {
            messages: 2,
            octets: 64 << 20,
        },
        ..Config::default()
    };
    let source = net.socket_with(Kind::Pub, config);
    net.bind(source, HERE);
    let slow = net.puppet(SocketType::Sub, HERE);
    net.run_for(ms(10));
    puppet_wants(&mut net, slow, "");
    net.events(source);
    net.the_puppet(slow).reads = false;
    for _ in 0..10 {
        net.send(source, vec![0; 256 << 10]);
    }
    net.kill(slow);
    net.run_for(ms(10));
    let events = net.events(source);
    let [Event::Missed { messages, .. }, Event::Disconnected { .. }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(messages, 8);
}

#[test]
fn with_no_drop_all_get_a_message_or_nobody() {
    // SOCK-93
    for kind in [Kind::Pub, Kind::XPub] {
        let mut net = Net::new();
        let config = Config {
            no_drop: true,
            send: QueueLimit {
                messages: 10,
                octets: 64 << 20,
            },
            ..Config::default()
        };
        let source = net.socket_with(kind, config);
        net.bind(source, HERE);
        let (slow, quick) = (
            net.puppet(SocketType::Sub, HERE),
            net.puppet(SocketType::Sub, HERE),
        );
        net.run_for(ms(10));
        puppet_wants(&mut net, slow, "a");
        puppet_wants(&mut net, quick, "");
        net.the_puppet(slow).reads = false;
        let body = Bytes::from(vec![b'.'; 64 << 10]);
        let message = || Frames::from([Bytes::from("a"), body.clone()]);
        let mut sent = 0;
        while net.the(source).can_send() {
            net.send(source, message());
            net.run_for(ms(5));
            sent += 1;
        }
        assert!((10..20).contains(&sent), "{sent}");
        assert_eq!(net.try_send(source, message()), Err(SendError::Full));
        // What the slow one does not want goes all the same.
        publish(&mut net, source, &["b"]);
        assert_eq!(net.puppet_hears(quick).len(), sent + 1);
        assert_eq!(net.the(source).counters().messages_dropped, 0);
        net.the_puppet(slow).reads = true;
        net.run_for(ms(20));
        assert!(net.the(source).can_send());
        net.send(source, message());
        net.run_for(ms(20));
        assert_eq!(net.puppet_hears(slow).len(), sent + 1);
        assert_eq!(net.puppet_hears(quick).len(), 1);
    }
}

#[test]
fn a_sub_drops_what_it_does_not_want() {
    // SOCK-101
    let mut net = Net::new();
    let (sink, puppet) = (net.socket(Kind::Sub), net.puppet_at(SocketType::Pub, HERE));
    net.connect(sink, HERE);
    net.run_for(ms(10));
    net.puppet_sends(puppet, "a");
    net.run_for(ms(5));
    assert_eq!(net.recv_all(sink), [""; 0]);
    subscribe(&mut net, sink, "b");
    for message in ["a", "b1", "", "b2", "ab"] {
        net.puppet_sends(puppet, message);
    }
    net.run_for(ms(5));
    assert_eq!(net.recv_all(sink), ["b1", "b2"]);
    let counters = *net.the(sink).counters();
    assert_eq!(
        (counters.messages_received, counters.messages_discarded),
        (2, 4)
    );
    // What came before the wish was taken back is not wanted any more either.
    net.puppet_sends(puppet, "b3");
    net.run_for(ms(5));
    unsubscribe(&mut net, sink, "b");
    assert_eq!(net.recv_all(sink), [""; 0]);
}

#[test]
fn a_prefix_that_no_publisher_takes_is_not_wished() {
    // SOCK-102
    let mut net = Net::new();
    let sink = net.socket(Kind::Sub);
    let puppet = net.puppet_at(SocketType::Pub, HERE);
    net.connect(sink, HERE);
    net.run_for(ms(10));
    let limit = (64 << 10) - 10;
    let now = net.now;
    let longest = vec![b'a'; limit];
    net.the(sink).subscribe(now, longest.clone()).unwrap();
    let one_more = net.the(sink).subscribe(now, vec![b'a'; limit + 1]);
    let octets = limit + 1;
    assert_eq!(one_more, Err(SubscribeError::TooLong { octets, limit }));
    net.run_for(ms(10));
    assert_eq!(puppet_was_asked(&mut net, puppet).len(), 1);
    net.puppet_sends(puppet, longest);
    net.run_for(ms(10));
    assert_eq!(net.recv_all(sink).len(), 1);
}

#[test]
fn a_publisher_that_does_not_read_costs_no_more_than_what_is_wanted() {
    // SOCK-108
    let mut net = Net::new();
    let (sink, puppet) = (net.socket(Kind::Sub), net.puppet_at(SocketType::Pub, HERE));
    net.connect(sink, HERE);
    net.run_for(ms(10));
    net.the_puppet(puppet).reads = false;
    for n in 0..20_000_u32 {
        let now = net.now;
        let prefix = format!("{:050}", n % 10);
        net.the(sink).subscribe(now, prefix.clone()).unwrap();
        if n != 7_777 {
            net.the(sink).unsubscribe(now, prefix.as_bytes()).unwrap();
        }
        if n % 1_000 == 0 {
            net.run_for(ms(1));
        }
    }
    let queued = net.the(sink).usage().queued_octets;
    assert!(queued <= (256 << 10) + 100, "{queued}");
    net.the_puppet(puppet).reads = true;
    net.run_for(ms(100));
    let mut wanted = BTreeMap::<String, i32>::new();
    for wish in puppet_was_asked(&mut net, puppet) {
        let (sign, prefix) = wish.split_at(1);
        *wanted.entry(prefix.into()).or_default() += if sign == "+" { 1 } else { -1 };
    }
    wanted.retain(|_, count| *count != 0);
    assert_eq!(wanted, BTreeMap::from([(format!("{:050}", 7), 1)]));
}

#[test]
fn fifty_subscribers_share_one_content() {
    // SOCK-81
    let mut net = Net::new();
    let source = net.socket(Kind::Pub);
    net.bind(source, HERE);
    let sinks: Vec<_> = (0..50).map(|_| net.socket(Kind::Sub)).collect();
    for sink in &sinks {
        net.connect(*sink, HERE);
        subscribe(&mut net, *sink, "a");
    }
    net.run_for(ms(10));
    let content = Bytes::from(vec![b'.'; 1 << 20]);
    let message = Frames::from([Bytes::from("a"), content.clone()]);
    let now = net.now;
    let socket = net.the(source);
    socket.send(now, &message).unwrap();
    let links: Vec<_> = socket.peers().map(|peer| peer.link).collect();
    assert_eq!(links.len(), 50);
    for link in links {
        let mut slices = socket.poll_transmit(link);
        assert!(slices.any(|slice| slice.as_ptr() == content.as_ptr() && slice.len() == 1 << 20));
    }
    net.run_for(ms(100));
    for sink in sinks {
        assert_eq!(net.recv(sink), Some(message.clone()));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(usize, String),
    Unsubscribe(usize, String),
    Cut(usize),
    Send(String),
}

fn step() -> impl Strategy<Value = Step> {
    let prefix = || "[ab]{0,3}";
    prop_oneof![
        3 => (0..3_usize, prefix()).prop_map(|(sub, prefix)| Step::Subscribe(sub, prefix)),
        3 => (0..3_usize, prefix()).prop_map(|(sub, prefix)| Step::Unsubscribe(sub, prefix)),
        1 => (0..3_usize).prop_map(Step::Cut),
        4 => "[ab]{0,4}".prop_map(Step::Send),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each gets what it wants at the time, nothing else, and in order; whatever its links go through. The publisher sends no more
    /// than that.
    #[test]
    fn each_gets_what_it_wants(
        steps in prop::collection::vec(step(), 0..60),
        extended in any::<[bool; 2]>(),
        verbose in any::<bool>(),
    ) {
        let mut net = Net::new();
        let config = Config { verbose, ..Config::default() };
        let source = net.socket_with(if extended[0] { Kind::XPub } else { Kind::Pub }, config.clone());
        net.bind(source, HERE);
        let kind = if extended[1] { Kind::XSub } else { Kind::Sub };
        let subs = [0; 3].map(|_| net.socket_with(kind, config.clone()));
        for sub in subs {
            net.connect(sub, HERE);
        }
        net.run_for(ms(10));
        let mut wanted = [0; 3].map(|_| BTreeMap::<String, u32>::new());
        let mut expected = 0;
        for step in steps {
            let now = net.now;
            match step {
                Step::Subscribe(sub, prefix) => {
                    net.the(subs[sub]).subscribe(now, prefix.clone()).unwrap();
                    *wanted[sub].entry(prefix).or_default() += 1;
                }
                Step::Unsubscribe(sub, prefix) => {
                    let done = net.the(subs[sub]).unsubscribe(now, prefix.as_bytes());
                    let count = wanted[sub].get_mut(&prefix);
                    prop_assert_eq!(done.is_ok(), count.is_some());
                    if let Some(count) = count {
                        *count -= 1;
                        if *count == 0 {
                            wanted[sub].remove(&prefix);
                        }
                    }
                }
                Step::Cut(sub) => {
                    net.cut(subs[sub]);
                    net.run_for(ms(1_000));
                }
                Step::Send(message) => {
                    net.run_for(ms(5));
                    net.send(source, message.clone());
                    net.run_for(ms(5));
                    for (sub, wanted) in subs.iter().zip(&wanted) {
                        let wants = wanted.keys().any(|prefix| message.starts_with(prefix));
                        expected += u64::from(wants);
                        let came = net.recv_all(*sub);
                        prop_assert_eq!(came, Vec::from_iter(wants.then(|| message.clone())));
                    }
                    prop_assert_eq!(net.the(source).counters().messages_sent, expected);
                }
            }
        }
    }
}
