//! PLAIN and CURVE under sockets.

use std::sync::Arc;

use atonce::curve::KeyPair;
use atonce::socket::{Config, Event, Kind, Security, Why};
use atonce::zmtp::{Credentials, Password};
use atonce::{Denial, Text, Verdict};

use crate::network::Net;
use crate::{HERE, ms};

fn text(text: &str) -> Text {
    text.try_into().unwrap()
}

fn with(security: Security) -> Config {
    Config {
        security,
        ..Config::default()
    }
}

/// The two sides of each mechanism.
fn mechanisms() -> [(Security, Security); 2] {
    let server = Arc::new(KeyPair::generate([1; 32]));
    let keys = Arc::new(KeyPair::generate([2; 32]));
    let password = Password::from(text("secret"));
    [
        (
            Security::PlainServer,
            Security::PlainClient {
                username: text("joe"),
                password,
            },
        ),
        (
            Security::CurveServer {
                keys: server.clone(),
            },
            Security::CurveClient {
                keys,
                server: *server.public(),
            },
        ),
    ]
}

#[test]
fn messages_go_both_ways_whichever_side_dials() {
    for (server, client) in mechanisms() {
        for (here, there) in [(server.clone(), client.clone()), (client, server)] {
            let mut net = Net::new();
            let (one, two) = (
                net.socket_with(Kind::Dealer, with(here)),
                net.socket_with(Kind::Dealer, with(there)),
            );
            net.bind(one, HERE);
            net.connect(two, HERE);
            net.send(two, "early");
            net.run_for(ms(100));
            net.send(one, ["a".into(), "b".repeat(100_000).into()]);
            net.run_for(ms(100));
            assert_eq!(net.recv_all(one), ["early"]);
            assert_eq!(net.recv_all(two)[0].len(), 100_002);
            net.cut(one);
            net.send(two, "again");
            net.run_for(ms(1_000));
            assert_eq!(net.recv_all(one), ["again"]);
        }
    }
}

#[test]
fn who_may_come_in_is_asked_and_told() {
    // SOCK-9
    for (server, client) in mechanisms() {
        let mut net = Net::new();
        net.lets_in = false;
        let (pull, push) = (
            net.socket_with(Kind::Pull, with(server)),
            net.socket_with(Kind::Push, with(client)),
        );
        net.bind(pull, HERE);
        net.connect(push, HERE);
        net.send(push, "hello");
        net.run_for(ms(100));
        let (host, link, credentials) = net.asked.pop().unwrap();
        assert_eq!(host, pull);
        match credentials {
            Credentials::Plain { username, .. } => assert_eq!(username, *"joe"),
            Credentials::Curve(key) => assert_eq!(key, *KeyPair::generate([2; 32]).public()),
            _ => panic!("nobody knows these"),
        }
        let now = net.now;
        net.the(pull)
            .handle_verdict(now, link, Verdict::Deny(Denial::Refused));
        net.run_for(ms(100));
        assert_eq!(net.the(pull).counters().denied, 1);
        assert_eq!(net.the(pull).usage().links, 0);
        let denied = |event: &Event| {
            matches!(
                event,
                Event::Disconnected {
                    why: Why::Denied,
                    was_ready: false,
                    ..
                }
            )
        };
        assert!(net.events(pull).iter().any(denied));
        // It comes again after the longest pause, and is welcome now.
        net.run_for(ms(31_000));
        let (_, link, _) = net.asked.pop().unwrap();
        let now = net.now;
        net.the(pull)
            .handle_verdict(now, link, Verdict::AllowAs(text("worker")));
        net.run_for(ms(100));
        assert_eq!(net.recv_all(pull), ["hello"]);
        let peer = net.the(pull).peers().next().unwrap().user_id.cloned();
        assert_eq!(peer, Some(text("worker")));
    }
}

#[test]
fn a_temporary_denial_is_no_error_and_it_comes_again_soon() {
    // SOCK-9
    let [(server, client), _] = mechanisms();
    let mut net = Net::new();
    net.lets_in = false;
    let (pull, push) = (
        net.socket_with(Kind::Pull, with(server)),
        net.socket_with(Kind::Push, with(client)),
    );
    net.bind(pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(20));
    let (_, link, _) = net.asked.pop().unwrap();
    let now = net.now;
    net.the(pull)
        .handle_verdict(now, link, Verdict::Deny(Denial::Temporary));
    net.run_for(ms(200));
    assert_eq!(net.asked.len(), 1);
}
