//! What a hostile subscriber cannot take: memory, stack, time. The tree itself is tried beside a model in `src/socket/prefixes_tests.rs`.

use atonce::socket::{Config, Event, Kind, SubscriptionLimit, Why};
use atonce::wire::zmtp::SocketType;

use crate::network::Net;
use crate::pubsub::{frame, hello_of_3_0, publish, puppet_cancels, puppet_wants};
use crate::{HERE, ms};

#[test]
fn a_million_subscriptions_end_at_the_limit() {
    // SOCK-84, SOCK-87
    let mut net = Net::new();
    let source = net.socket(Kind::Pub);
    net.bind(source, HERE);
    let hostile = net.raw(HERE);
    net.puppet_says(hostile, &hello_of_3_0("SUB"));
    net.run_for(ms(10));
    let mut octets = Vec::new();
    for n in 0..1_000_000_u32 {
        let [a, b, c, d] = n.to_le_bytes();
        octets.extend(frame(0, &[1, a, b, c, d]));
    }
    net.events(source);
    net.puppet_says(hostile, &octets);
    net.run_for(ms(10));
    let limit = SubscriptionLimit::default().prefixes;
    assert_eq!(limit, 10_000);
    assert!(net.events(source).iter().any(|event| matches!(
        event,
        Event::Disconnected {
            why: Why::OverLimit,
            ..
        }
    )));
    assert_eq!(net.the(source).usage().links, 0);
}

#[test]
fn deep_prefixes_are_found_and_taken_back() {
    // SOCK-87
    let mut net = Net::new();
    let config = Config {
        subscriptions: SubscriptionLimit {
            prefixes: 1_000,
            octets: 64 << 20,
        },
        ..Config::default()
    };
    let source = net.socket_with(Kind::Pub, config);
    net.bind(source, HERE);
    let deep = net.puppet(SocketType::Sub, HERE);
    net.run_for(ms(10));
    let prefix = "ab".repeat((64 << 10) / 2 - 8);
    for octets in (0..prefix.len()).step_by(997) {
        puppet_wants(&mut net, deep, &prefix[..octets]);
    }
    puppet_wants(&mut net, deep, &prefix);
    net.send(source, prefix.clone());
    publish(&mut net, source, &["x"]);
    let heard = net.puppet_hears(deep);
    assert_eq!(heard.len(), 2); // once each, since "" is among them
    puppet_cancels(&mut net, deep, "");
    publish(&mut net, source, &["x"]);
    assert_eq!(net.puppet_hears(deep), [""; 0]);
    net.send(source, prefix);
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(deep).len(), 1);
    net.cut(deep);
    net.run_for(ms(10));
    publish(&mut net, source, &["abababab"]);
    assert_eq!(net.the(source).counters().messages_sent, 3);
}
