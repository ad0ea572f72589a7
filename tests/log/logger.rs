//! What a node says, to whom, and how much of it.

use std::time::Duration;

use atonce::log::logger::{Action, Config, Limits, Timer};
use atonce::wire::Text;
use atonce::wire::log::{Event as Happened, Level, NodeTag, Record};
use atonce::zre::Lost;
use atonce::{Event, ExitReason};

use crate::{
    OWN, START, TIME, address, after, connected, enter, exit, listening, logger, met, peer, told,
    words,
};

#[test]
fn a_collector_that_enters_is_connected_and_one_that_exits_is_not_any_more() {
    // LOG-10
    let mut logger = logger(Config::default());
    enter(&mut logger, START, 2, None);
    assert_eq!(logger.poll_action(), None);
    enter(&mut logger, START, 3, Some("tcp://10.0.0.3:9992"));
    let (collector, at) = connected(&mut logger).unwrap();
    assert_eq!(at, address("10.0.0.3:9992"));
    assert!(logger.collectors().eq([(collector, at)]));
    exit(&mut logger, after(10), 2);
    assert_eq!(logger.poll_action(), None);
    exit(&mut logger, after(10), 3);
    assert_eq!(logger.poll_action(), Some(Action::Disconnect { collector }));
    assert_eq!(logger.poll_message(collector), None);
    // It is another one when it comes back.
    enter(&mut logger, after(20), 3, Some("tcp://10.0.0.3:9992"));
    assert_ne!(connected(&mut logger).unwrap().0, collector);
}

#[test]
fn a_collector_is_connected_at_the_address_of_its_peer_whatever_its_header_says() {
    // LOG-12
    let headers = [
        ("tcp://10.0.0.3:9992", Some("10.0.0.3:9992")),
        ("tcp://192.0.2.66:9992", Some("10.0.0.3:9992")),
        ("tcp://example.org:9992", Some("10.0.0.3:9992")),
        ("tcp://127.0.0.1:9992", Some("10.0.0.3:9992")),
        ("tcp://0.0.0.0:9992", Some("10.0.0.3:9992")),
        ("tcp://[2001:db8::1]:65535", Some("10.0.0.3:65535")),
        ("tcp://10.0.0.3:0", None),
        ("tcp://10.0.0.3:65536", None),
        ("tcp://10.0.0.3", None),
        ("tcp://*:9992", None),
        ("udp://10.0.0.3:9992", None),
        ("ipc:///tmp/log", None),
        ("", None),
    ];
    for (header, expected) in headers {
        let mut logger = logger(Config::default());
        enter(&mut logger, START, 3, Some(header));
        let found = connected(&mut logger).map(|(_, at)| at);
        assert_eq!(found, expected.map(address), "{header}");
        assert_eq!(logger.counters().refused, u64::from(expected.is_none()));
    }
    let long = format!("tcp://{}:9992", "x".repeat(100_000));
    let mut logger = logger(Config::default());
    enter(&mut logger, START, 3, Some(&long));
    assert_eq!(connected(&mut logger), None);
}

#[test]
fn where_the_embedder_says_so_an_address_elsewhere_is_followed_if_it_is_that_of_one_machine() {
    // LOG-12
    let headers = [
        ("10.0.0.3:1", "tcp://192.0.2.66:9992", "192.0.2.66:9992"),
        (
            "10.0.0.3:1",
            "tcp://[2001:db8::1]:9992",
            "[2001:db8::1]:9992",
        ),
        ("10.0.0.3:1", "tcp://127.0.0.1:9992", "10.0.0.3:9992"),
        ("127.0.0.1:1", "tcp://127.0.0.2:9992", "127.0.0.2:9992"),
        ("10.0.0.3:1", "tcp://0.0.0.0:9992", "10.0.0.3:9992"),
        ("10.0.0.3:1", "tcp://239.1.2.3:9992", "10.0.0.3:9992"),
        ("10.0.0.3:1", "tcp://255.255.255.255:9992", "10.0.0.3:9992"),
        (
            "10.0.0.3:1",
            "tcp://[::ffff:127.0.0.1]:9992",
            "10.0.0.3:9992",
        ),
        ("10.0.0.3:1", "tcp://example.org:9992", "10.0.0.3:9992"),
        (
            "[::ffff:10.0.0.3]:1",
            "tcp://example.org:9992",
            "10.0.0.3:9992",
        ),
    ];
    for (remote, header, expected) in headers {
        let mut logger = logger(Config {
            elsewhere: true,
            ..Config::default()
        });
        let peer = peer(3, Some(header));
        logger.handle_event(START, &Event::Enter { peer }, Some(&met(remote)));
        let (_, found) = connected(&mut logger).unwrap();
        assert_eq!(found, address(expected), "{remote} {header}");
    }
}

#[test]
fn an_address_of_the_link_keeps_its_interface() {
    // LOG-12
    let mut logger = logger(Config::default());
    let remote: std::net::SocketAddrV6 = "[fe80::3%4]:40000".parse().unwrap();
    let mut met = met("10.0.0.3:1");
    met.remote = remote.into();
    let peer = peer(3, Some("tcp://[fe80::3]:9992"));
    logger.handle_event(START, &Event::Enter { peer }, Some(&met));
    let (_, found) = connected(&mut logger).unwrap();
    assert_eq!(found, address("[fe80::3%4]:9992"));
}

#[test]
fn no_mailbox_is_dialled_ours_or_that_of_the_peer() {
    // LOG-13
    let same_host = met("10.0.0.1:40000");
    for (octet, met, header) in [
        (3, met("10.0.0.3:40000"), "tcp://10.0.0.3:49152"),
        // It says that its mailbox is elsewhere.
        (3, met("10.0.0.4:40000"), "tcp://10.0.0.3:49152"),
        (3, same_host, OWN),
    ] {
        let mut logger = logger(Config {
            ..Config::default()
        });
        let peer = peer(octet, Some(header));
        logger.handle_event(START, &Event::Enter { peer }, Some(&met));
        assert_eq!(logger.poll_action(), None, "{header}");
        assert_eq!(logger.counters().refused, 1);
    }
    // When the interface is gone, what is there is no mailbox of ours.
    let mut logger = logger(Config::default());
    let down = Event::InterfaceDown {
        interface: "eth0".into(),
        detail: "unplugged".into(),
    };
    logger.handle_event(START, &down, None);
    let mut peer = (*peer(3, Some(OWN))).clone();
    peer.endpoint = "tcp://10.0.0.1:49153".try_into().unwrap();
    let enter = Event::Enter { peer: peer.into() };
    logger.handle_event(START, &enter, Some(&met("10.0.0.1:40000")));
    assert!(connected(&mut logger).is_some());
}

#[test]
fn there_are_so_many_collectors_and_two_peers_with_one_endpoint_are_one() {
    // LOG-14
    let mut logger = logger(Config {
        limits: Limits {
            collectors: 2,
            ..Limits::default()
        },
        ..Config::default()
    });
    let at_home = Some("tcp://10.0.0.9:9992");
    for octet in [3, 4] {
        let peer = peer(octet, at_home);
        let met = met("10.0.0.9:40000");
        logger.handle_event(START, &Event::Enter { peer }, Some(&met));
    }
    let (one, _) = connected(&mut logger).unwrap();
    assert_eq!(logger.poll_action(), None);
    enter(&mut logger, START, 5, Some("tcp://10.0.0.5:9992"));
    assert!(connected(&mut logger).is_some());
    enter(&mut logger, START, 6, Some("tcp://10.0.0.6:9992"));
    assert_eq!(logger.poll_action(), None);
    let counters = logger.counters();
    assert_eq!((counters.collectors, counters.crowded_out), (2, 1));
    exit(&mut logger, START, 3);
    assert_eq!(logger.poll_action(), None, "the other one is still here");
    exit(&mut logger, START, 4);
    let gone = Action::Disconnect { collector: one };
    assert_eq!(logger.poll_action(), Some(gone));
    enter(&mut logger, START, 6, Some("tcp://10.0.0.6:9992"));
    assert!(connected(&mut logger).is_some());
}

#[cfg(feature = "curve")]
#[test]
fn in_a_secure_network_a_collector_has_the_key_that_its_peer_proved() {
    // LOG-15
    use atonce::curve::KeyPair;
    let keys = [1, 2].map(|octet| *KeyPair::generate([octet; 32]).public());
    let mut logger = logger(Config::default());
    for (octet, key) in [3, 4].into_iter().zip(keys) {
        let mut met = met("10.0.0.9:40000");
        met.key = Some(key);
        let peer = peer(octet, Some("tcp://10.0.0.9:9992"));
        logger.handle_event(START, &Event::Enter { peer }, Some(&met));
    }
    // One of them is not there, and whose key it is that is there shows when it is dialled.
    for expected in keys {
        let Some(Action::Connect { key, .. }) = logger.poll_action() else {
            panic!("two collectors");
        };
        assert_eq!(key, Some(expected));
    }
}

#[test]
fn all_that_happens_is_said_in_order_with_its_time_and_by_whom() {
    let mut logger = logger(Config::default());
    let collector = listening(&mut logger, START, 9);
    let peer = peer(2, None);
    let text = |text: &str| text.try_into().unwrap();
    logger.handle_joined(after(1_500), &text("CHAT"));
    let events = [
        Event::Enter { peer: peer.clone() },
        Event::Join {
            peer: peer.clone(),
            group: text("CHAT"),
        },
        Event::Evasive { peer: peer.clone() },
        Event::Silent { peer: peer.clone() },
        Event::Recovered { peer: peer.clone() },
        Event::Exit {
            peer: peer.clone(),
            reason: ExitReason::Lost(Lost::Unreachable),
        },
        Event::Exit {
            peer: peer.clone(),
            reason: ExitReason::Left,
        },
        Event::InterfaceDown {
            interface: "eth0".into(),
            detail: "unplugged".into(),
        },
        Event::Stopped,
    ];
    for event in &events {
        logger.handle_event(after(2_000), event, None);
    }
    logger.handle_left(after(2_100), &text("CHAT"));
    logger.log(after(2_200), Level::ERROR, "on fire");
    logger.handle_stop(after(3_000));
    let told = told(&mut logger, collector);
    let at = "tcp://10.0.0.2:49152 peer2";
    // LOG-20, LOG-21, LOG-22, LOG-23, LOG-24
    assert_eq!(
        words(&told),
        [
            "info event 0: eth0 up: tcp://10.0.0.1:49152",
            "info ENTER: tcp://10.0.0.9:49152 peer9",
            "info JOIN: CHAT",
            &format!("info ENTER: {at}"),
            &format!("warning event 0: evasive: {at}"),
            &format!("warning event 0: silent: {at}"),
            &format!("info event 0: recovered: {at}"),
            &format!("warning EXIT: {at}: lost: its mailbox is gone"),
            &format!("info EXIT: {at}: left"),
            "warning event 0: eth0 down: unplugged",
            "info LEAVE: CHAT",
            "error event 0: on fire",
            "info event 0: stopped",
        ]
    );
    // LOG-7
    assert!(told.iter().all(|record| record.node == NodeTag::of(OWN)));
    let about = |record: &&Record| record.peer != NodeTag::NONE;
    let about: Vec<_> = told
        .iter()
        .filter(about)
        .map(|record| record.peer)
        .collect();
    let [nine, two] = ["tcp://10.0.0.9:49152", "tcp://10.0.0.2:49152"].map(NodeTag::of);
    assert_eq!(about, [nine, two, two, two, two, two, two]);
    // LOG-28
    let times: Vec<_> = told.iter().map(|record| record.time - TIME).collect();
    assert_eq!(times, [0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3]);
    assert_eq!(told.last().unwrap().event, Happened::NONE);
}

#[test]
fn who_leads_a_group_is_said_a_peer_or_the_node_itself() {
    // LOG-20
    let mut logger = logger(Config::default());
    let second = Event::InterfaceUp {
        interface: "wlan0".into(),
        endpoint: "tcp://10.1.0.1:49152".try_into().unwrap(),
    };
    logger.handle_event(START, &second, None);
    let collector = listening(&mut logger, START, 9);
    let before = told(&mut logger, collector).len();
    assert_eq!(before, 3);
    let mut itself = (*peer(1, None)).clone();
    // It is known to others by another of its endpoints.
    itself.endpoint = "tcp://10.1.0.1:49152".try_into().unwrap();
    for leader in [peer(2, None), itself.into()] {
        let group = "CHAT".try_into().unwrap();
        let leader = Event::Leader {
            group,
            peer: leader,
        };
        logger.handle_event(START, &leader, None);
    }
    // A group of which nothing else fits.
    let group: Text = "g".repeat(255).try_into().unwrap();
    let leader = Event::Leader {
        group,
        peer: peer(2, None),
    };
    logger.handle_event(START, &leader, None);
    let told = told(&mut logger, collector);
    assert_eq!(
        words(&told),
        [
            "info event 0: leads CHAT: tcp://10.0.0.2:49152 peer2",
            "info event 0: leads CHAT: tcp://10.1.0.1:49152 peer1",
            &format!("info event 0: leads {}…", "g".repeat(246)),
        ]
    );
    let two = NodeTag::of("tcp://10.0.0.2:49152");
    let about: Vec<_> = told.iter().map(|record| record.peer).collect();
    // LOG-7
    assert_eq!(about, [two, NodeTag::of(OWN), two]);
}

#[test]
fn a_clock_that_is_set_tells_the_time_of_what_comes() {
    // LOG-28
    let mut logger = logger(Config::default());
    let collector = listening(&mut logger, START, 9);
    logger.log(after(1_000), Level::INFO, "before");
    logger.set_time(after(1_500), Duration::from_secs(5));
    logger.log(after(2_500), Level::INFO, "after");
    // Before 1970 there is nothing.
    logger.set_time(after(3_000), Duration::ZERO);
    logger.log(after(3_000), Level::INFO, "long ago");
    let times: Vec<_> = told(&mut logger, collector)
        .iter()
        .map(|it| it.time)
        .collect();
    assert_eq!(times[2..4], [TIME + 1, 6]);
    assert!(times[4] < 10);
}

#[test]
fn a_node_that_logs_warnings_says_no_information() {
    // LOG-25
    let mut logger = logger(Config {
        level: Level::WARNING,
        ..Config::default()
    });
    let collector = listening(&mut logger, START, 9);
    for level in [Level::INFO, Level::WARNING, Level::ERROR, Level(0)] {
        logger.log(START, level, "text");
    }
    let levels = told(&mut logger, collector).into_iter().map(|it| it.level);
    let expected = [Level::WARNING, Level::ERROR, Level(0)];
    assert_eq!(levels.collect::<Vec<_>>(), expected);
    assert_eq!(logger.counters().records, 3);
}

#[test]
fn a_collector_is_told_nothing_before_it_subscribes_and_then_what_is_recent() {
    // LOG-11, LOG-27
    let mut logger = logger(Config::default());
    logger.log(START, Level::INFO, "old");
    logger.log(after(5_000), Level::INFO, "recent");
    enter(&mut logger, after(15_000), 9, Some("tcp://10.0.0.9:9992"));
    let (collector, _) = connected(&mut logger).unwrap();
    assert_eq!(
        (logger.poll_message(collector), logger.has_message()),
        (None, false)
    );
    // What no subscription is changes nothing.
    for other in [&b""[..], b"\x02\xAA", b"\0\xAA"] {
        logger.handle_subscription(collector, other);
        assert_eq!(logger.poll_message(collector), None);
    }
    logger.handle_subscription(collector, b"\x01\xAA\xA2\x01\x01");
    logger.handle_subscription(collector, b"\x01\xAA\xA2\x01\x02");
    assert!(logger.has_message());
    let at = "tcp://10.0.0.9:49152 peer9";
    let said = words(&told(&mut logger, collector));
    assert_eq!(said, ["info event 0: recent", &format!("info ENTER: {at}")]);
    assert!(!logger.has_message());
    // One of its two wishes is enough, and without any it is not listening.
    logger.handle_subscription(collector, b"\0\xAA\xA2\x01\x01");
    logger.log(after(16_000), Level::INFO, "more");
    assert_eq!(told(&mut logger, collector).len(), 1);
    logger.handle_subscription(collector, b"\0\xAA\xA2\x01\x02");
    logger.log(after(17_000), Level::INFO, "while it is away");
    assert_eq!(logger.poll_message(collector), None);
    logger.handle_subscription(collector, b"\x01\xAA\xA2\x01");
    let said = words(&told(&mut logger, collector));
    assert_eq!(said, ["info event 0: while it is away"]);
}

#[test]
fn what_is_pushed_out_before_a_collector_took_it_is_told_to_it_and_to_no_other() {
    // LOG-27, LOG-29
    let mut logger = logger(Config {
        limits: Limits {
            records: 4,
            ..Limits::default()
        },
        ..Config::default()
    });
    let slow = listening(&mut logger, START, 8);
    let quick = listening(&mut logger, START, 9);
    assert_eq!(told(&mut logger, quick).len(), 3);
    for number in 0..10 {
        logger.log(after(number), Level::INFO, &number.to_string());
        assert_eq!(told(&mut logger, quick).len(), 1, "{number}");
    }
    let said = words(&told(&mut logger, slow));
    assert_eq!(
        said[0],
        "warning event 0: 9 records before this are not here any more"
    );
    let rest = ["6", "7", "8", "9"].map(|number| format!("info event 0: {number}"));
    assert_eq!(said[1..], rest);
    assert_eq!(logger.counters().missed, 9);
}

#[test]
fn what_was_queued_when_its_link_ended_is_told_to_a_collector_that_listens_again() {
    // LOG-27
    let mut logger = logger(Config::default());
    let collector = listening(&mut logger, START, 9);
    assert_eq!(told(&mut logger, collector).len(), 2);
    logger.handle_subscription(collector, b"\0\xAA\xA2\x01");
    logger.handle_lost(collector, 1);
    logger.handle_lost(collector, 1);
    assert!(!logger.has_message());
    logger.log(after(10), Level::INFO, "again");
    logger.handle_subscription(collector, b"\x01\xAA\xA2\x01");
    assert!(logger.has_message());
    let said = words(&told(&mut logger, collector));
    let missed = "warning event 0: 2 records before this are not here any more";
    assert_eq!(said, [missed, "info event 0: again"]);
    assert_eq!(logger.counters().missed, 2);
    // Who is gone is told nothing.
    exit(&mut logger, after(20), 9);
    logger.handle_lost(collector, 1);
    assert_eq!(logger.poll_message(collector), None);
}

#[test]
fn a_flood_is_left_out_and_told_as_soon_as_it_may_be() {
    // LOG-26
    let mut logger = logger(Config {
        limits: Limits {
            rate: 10,
            burst: 3,
            ..Limits::default()
        },
        ..Config::default()
    });
    let collector = listening(&mut logger, START, 9);
    assert_eq!(logger.poll_timeout(), None);
    for _ in 0..100 {
        logger.log(START, Level::ERROR, "again");
    }
    let said = words(&told(&mut logger, collector));
    assert_eq!(said[2..], ["error event 0: again"]);
    assert_eq!(logger.poll_timeout(), Some((after(100), Timer::LeftOut)));
    logger.handle_timeout(after(99));
    assert!(!logger.has_message());
    logger.handle_timeout(after(100));
    let said = words(&told(&mut logger, collector));
    let told_so = |many| format!("warning event 0: {many} records were too many and are left out");
    assert_eq!(said, [told_so(99)]);
    assert_eq!(logger.poll_timeout(), None);
    // Without a timeout it is told before the next record.
    logger.log(after(100), Level::INFO, "too soon");
    logger.log(after(1_000), Level::INFO, "later");
    let said = words(&told(&mut logger, collector));
    assert_eq!(said, [told_so(1), "info event 0: later".to_owned()]);
    assert_eq!(logger.counters().left_out, 100);
}

#[test]
fn a_peer_of_which_nothing_is_known_any_more_is_no_collector() {
    // LOG-10: it was gone when this was told.
    let mut logger = logger(Config::default());
    let peer = peer(3, Some("tcp://10.0.0.3:9992"));
    logger.handle_event(START, &Event::Enter { peer }, None);
    assert_eq!(logger.poll_action(), None);
    assert_eq!(logger.counters().records, 2);
}
