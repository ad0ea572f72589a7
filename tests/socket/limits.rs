//! Queues, turns, and how many may come.

use atonce::socket::{Config, Event, Kind, QueueLimit, SendError, Why};
use atonce::wire::zmtp::SocketType;
use atonce::{Bytes, Frames};
use proptest::prelude::*;

use crate::network::{HostId, Net};
use crate::{HERE, ms};

fn few(messages: usize) -> QueueLimit {
    QueueLimit {
        messages,
        ..QueueLimit::default()
    }
}

/// A PULL that listens, and a puppet of a PUSH that got through.
fn pull_and_puppet(config: Config) -> (Net, HostId, HostId) {
    let mut net = Net::new();
    let pull = net.socket_with(Kind::Pull, config);
    net.bind(pull, HERE);
    let puppet = net.puppet(SocketType::Push, HERE);
    net.run_for(ms(10));
    (net, pull, puppet)
}

#[test]
fn a_queue_has_room_below_both_limits_and_a_full_one_is_told() {
    // SOCK-12, SOCK-15
    let mut net = Net::new();
    let config = Config {
        send: QueueLimit {
            messages: 5,
            octets: 100,
        },
        ..Config::default()
    };
    let push = net.socket_with(Kind::Push, config);
    assert_eq!(net.try_send(push, "nobody"), Err(SendError::Full));
    assert!(!net.the(push).can_send());
    net.connect(push, HERE);
    for n in 0..5 {
        assert!(net.the(push).can_send());
        net.send(push, format!("{n}"));
    }
    assert!(!net.the(push).can_send());
    assert_eq!(net.try_send(push, "5"), Err(SendError::Full));
    let large = Frames::from(vec![0; 101]);
    let error = SendError::TooLarge {
        octets: 101,
        limit: 100,
    };
    assert_eq!(net.try_send(push, large), Err(error));
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    net.run_for(ms(1_000));
    assert_eq!(net.recv_all(pull), ["0", "1", "2", "3", "4"]);
    // In octets: below the limit there is room for one more, whatever its size.
    net.kill(pull);
    net.run_for(ms(10));
    net.send(push, vec![1; 99]);
    net.send(push, vec![2; 100]);
    assert_eq!(net.try_send(push, "x"), Err(SendError::Full));
    let usage = net.the(push).usage();
    assert_eq!(usage.queued_messages, 2);
    assert!(usage.queued_octets >= 199);
}

#[test]
fn a_peer_that_floods_fills_its_own_queue_and_is_not_read() {
    // SOCK-20
    let config = Config {
        receive: few(100),
        ..Config::default()
    };
    let (mut net, pull, puppet) = pull_and_puppet(config);
    net.capacity = 1_000;
    for n in 0..5_000_u32 {
        net.puppet_sends(puppet, n.to_string());
    }
    net.run_for(ms(1_000));
    let pending = net.the(pull).usage().pending_messages;
    assert!((100..400).contains(&pending), "{pending}");
    assert!(
        net.the_puppet(puppet)
            .connection
            .as_ref()
            .unwrap()
            .queued_messages()
            > 4_000
    );
    // Somebody else is heard.
    let other = net.puppet(SocketType::Push, HERE);
    net.puppet_sends(other, "other");
    net.run_for(ms(10));
    let first: Vec<String> = (0..4)
        .map(|_| crate::network::text(&net.recv(pull).unwrap()))
        .collect();
    assert!(first.contains(&"other".to_owned()), "{first:?}");
    // Read again when half of it is free, and nothing is missing.
    for _ in 0..pending - 60 {
        net.recv(pull).unwrap();
    }
    assert!(net.the(pull).usage().pending_messages < pending);
    let mut last = 0;
    let mut heard = 0;
    for _ in 0..10_000 {
        net.run_for(ms(1));
        for text in net.recv_all(pull) {
            let n: u32 = text.parse().unwrap();
            assert!(n > last);
            last = n;
            heard += 1;
        }
    }
    assert_eq!(last, 4_999);
    assert!(heard > 4_500, "{heard}");
    assert_eq!(net.the(pull).counters().messages_received, 5_001);
}

#[test]
fn the_octets_that_wait_of_a_peer_are_limited_as_well() {
    // SOCK-20
    let config = Config {
        receive: QueueLimit {
            messages: 1_000,
            octets: 10_000,
        },
        ..Config::default()
    };
    let (mut net, pull, puppet) = pull_and_puppet(config);
    net.capacity = 4_000;
    for _ in 0..100 {
        net.puppet_sends(puppet, vec![7; 1_000]);
    }
    net.run_for(ms(100));
    let pending = net.the(pull).usage().pending_octets;
    assert!((10_000..15_000).contains(&pending), "{pending}");
    let mut messages = 0;
    for _ in 0..1_000 {
        messages += net.recv_all(pull).len();
        net.run_for(ms(1));
    }
    assert_eq!(messages, 100);
}

#[test]
fn all_who_have_messages_get_their_turn_after_each() {
    // SOCK-21
    let mut net = Net::new();
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    let puppets = [(); 4].map(|()| net.puppet(SocketType::Push, HERE));
    net.run_for(ms(10));
    for (n, puppet) in puppets.into_iter().enumerate() {
        for _ in 0..(n + 1) * 10 {
            net.puppet_sends(puppet, format!("{n}"));
        }
    }
    net.run_for(ms(10));
    let heard = net.recv_all(pull).concat();
    let expected = [
        "0123".repeat(10),
        "123".repeat(10),
        "23".repeat(10),
        "3".repeat(10),
    ];
    assert_eq!(heard, expected.concat());
}

#[test]
fn many_are_taken_at_once_in_the_same_order() {
    let mut net = Net::new();
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    let puppets = [(); 3].map(|()| net.puppet(SocketType::Push, HERE));
    net.run_for(ms(10));
    for puppet in puppets {
        for n in 0..10 {
            net.puppet_sends(puppet, format!("{}{n}", puppet.0));
        }
    }
    net.run_for(ms(10));
    let now = net.now;
    let mut batch = std::collections::VecDeque::new();
    net.the(pull).recv_many(now, 6, &mut batch).unwrap();
    let first: Vec<_> = batch.iter().map(crate::network::text).collect();
    assert_eq!(first, ["10", "20", "30"]);
    net.the(pull).recv_many(now, 0, &mut batch).unwrap();
    assert_eq!(batch.len(), 4, "one in any case");
    net.the(pull)
        .recv_many(now, usize::MAX, &mut batch)
        .unwrap();
    assert_eq!(batch.len(), 30);
    net.the(pull)
        .recv_many(now, usize::MAX, &mut batch)
        .unwrap();
    assert_eq!(batch.len(), 30);
}

#[test]
fn who_is_ready_keeps_his_place_when_strangers_flood() {
    // SOCK-8
    let config = Config {
        links: 10,
        unready_links: 4,
        ..Config::default()
    };
    let (mut net, pull, puppet) = pull_and_puppet(config);
    for _ in 0..20 {
        net.raw(HERE);
    }
    net.run_for(ms(100));
    assert_eq!(net.the(pull).usage().links, 5);
    let turned = |why: Why| move |event: &&Event| matches!(event, Event::Turned { why: it, .. } if *it == why);
    let events = net.events(pull);
    assert_eq!(
        events.iter().filter(turned(Why::TooManyUnready)).count(),
        16
    );
    assert_eq!(net.the(pull).counters().refused, 16);
    net.puppet_sends(puppet, "here");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull), ["here"]);
    // When they were given up others come in, as many as may be there.
    net.run_for(ms(32_000));
    assert_eq!(net.the(pull).usage().links, 1);
    let more: Vec<HostId> = (0..12)
        .map(|_| {
            let more = net.puppet(SocketType::Push, HERE);
            net.run_for(ms(10));
            more
        })
        .collect();
    assert_eq!(net.the(pull).peers().count(), 10);
    let events = net.events(pull);
    assert_eq!(events.iter().filter(turned(Why::TooManyLinks)).count(), 3);
    assert!(!net.the_puppet(puppet).ended && net.the_puppet(more[11]).ended);
    // Messages of those who left hold their place.
    for more in &more {
        if !net.the_puppet(*more).ended {
            net.puppet_sends(*more, "left");
        }
    }
    net.run_for(ms(10));
    for more in more {
        net.kill(more);
    }
    net.run_for(ms(10));
    assert_eq!(net.the(pull).usage().links, 1);
    let late = net.puppet(SocketType::Push, HERE);
    net.run_for(ms(10));
    assert!(net.the_puppet(late).ended);
    assert_eq!(net.recv_all(pull), ["left"; 9]);
    let late = net.puppet(SocketType::Push, HERE);
    net.run_for(ms(10));
    assert!(!net.the_puppet(late).ended);
}

#[test]
fn a_server_that_comes_and_goes_brings_no_more_than_the_limit() {
    // SOCK-23
    let mut net = Net::new();
    let config = Config {
        receive: few(10),
        ..Config::default()
    };
    let pull = net.socket_with(Kind::Pull, config);
    net.connect(pull, HERE);
    for _ in 0..20 {
        let puppet = net.puppet_at(SocketType::Push, HERE);
        for _ in 0..8 {
            net.puppet_sends(puppet, "more");
        }
        net.run_for(ms(31_000));
        net.kill(puppet);
    }
    assert_eq!(net.the(pull).usage().pending_messages, 16);
    assert_eq!(net.recv_all(pull).len(), 16);
    let puppet = net.puppet_at(SocketType::Push, HERE);
    net.puppet_sends(puppet, "again");
    net.run_for(ms(31_000));
    assert_eq!(net.recv_all(pull), ["again"]);
}

#[test]
fn what_a_cut_loses_is_at_most_what_a_link_was_handed_and_is_told() {
    // SOCK-13, SOCK-11
    let mut net = Net::new();
    net.capacity = 10_000;
    let (push, pull) = (
        net.socket(Kind::Push),
        net.socket_with(
            Kind::Pull,
            Config {
                receive: few(1),
                ..Config::default()
            },
        ),
    );
    net.bind(pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(10));
    let content = |n: usize| {
        let mut content = vec![0; 10_000];
        content[..8].copy_from_slice(&n.to_be_bytes());
        Bytes::from(content)
    };
    for n in 0..500 {
        net.send(push, content(n));
    }
    net.run_for(ms(100));
    let mut heard = Vec::new();
    let mut take = |net: &mut Net, host: HostId| {
        while let Some(message) = net.recv(host) {
            heard.push(usize::from_be_bytes(message[0][..8].try_into().unwrap()));
        }
    };
    take(&mut net, pull);
    net.cut(push);
    net.events(push);
    net.kill(pull);
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    for _ in 0..2_000 {
        net.run_for(ms(1));
        take(&mut net, pull);
    }
    assert!(heard.is_sorted(), "in order");
    let missing = 500 - heard.len();
    let told = net.the(push).counters().messages_lost;
    // What was on the way besides: it had left the socket, and nobody can know.
    // 256 KiB, one message more, and one of which a part had left.
    assert!((1..=28).contains(&told), "{told}");
    assert!((20..35).contains(&missing), "{missing}");
    assert_eq!(heard.last(), Some(&499));
    // Of who dialled us all is dropped.
    let mut net = Net::new();
    net.capacity = 10_000;
    let push = net.socket(Kind::Push);
    net.bind(push, HERE);
    let puppet = net.puppet(SocketType::Pull, HERE);
    net.run_for(ms(10));
    net.the_puppet(puppet).reads = false;
    for n in 0..200 {
        net.send(push, content(n));
    }
    net.kill(puppet);
    net.run_for(ms(10));
    let lost = net.events(push).iter().find_map(|event| match event {
        Event::Disconnected { lost, .. } => Some(*lost),
        _ => None,
    });
    assert!(lost.is_some_and(|lost| lost >= 198), "{lost:?}");
    assert_eq!(net.the(push).usage(), atonce::socket::Usage::default());
    assert_eq!(net.try_send(push, "x"), Err(SendError::Full));
}

#[test]
fn a_monitor_that_does_not_look_costs_a_thousand_events() {
    // SOCK-32
    let mut socket = atonce::socket::Socket::new(
        atonce::Instant::ZERO,
        [7; 32],
        Kind::Pull,
        Config::default(),
    );
    let now = atonce::Instant::ZERO;
    let listener = socket.bind(now, &HERE.parse().unwrap()).unwrap();
    for _ in 0..1_000 {
        let link = socket.handle_accepted(now, listener, None).unwrap();
        socket.handle_disconnected(now, link, atonce::Cut::Closed);
        while socket.poll_action().is_some() {}
    }
    assert_eq!(socket.counters().events_lost, 976);
    socket.close(now);
    let events: Vec<Event> = std::iter::from_fn(|| socket.poll_event()).collect();
    assert_eq!(events.len(), 1_025);
    assert_eq!(events.last(), Some(&Event::Closed { lost: 0 }));
}

/// Who receives, who sends to it, and what it subscribes to.
const RECEIVERS: [(Kind, SocketType, &[&str]); 6] = [
    (Kind::Pull, SocketType::Push, &[]),
    (Kind::Dealer, SocketType::Dealer, &[]),
    (Kind::Pair, SocketType::Pair, &[]),
    (Kind::Sub, SocketType::Pub, &[""]),
    (Kind::Sub, SocketType::Pub, &["a", "bc"]),
    (Kind::XSub, SocketType::Pub, &["a"]),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However many are taken at once, by whatever receiver, from one peer or several.
    #[test]
    fn what_is_taken_together_is_what_is_taken_one_by_one(
        receiver in prop::sample::select(&RECEIVERS[..]),
        peers in 1..3_usize,
        room in 1..40_usize,
        bursts in prop::collection::vec((0..2_usize, prop::collection::vec("[abc]{1,3}", 0..20), 0..40_usize), 0..12),
    ) {
        let (kind, theirs, prefixes) = receiver;
        let config = Config {
            receive: QueueLimit { messages: room, ..QueueLimit::default() },
            ..Config::default()
        };
        let mut nets = [(); 2].map(|()| {
            let mut net = Net::new();
            let socket = net.socket_with(kind, config.clone());
            net.bind(socket, HERE);
            for prefix in prefixes {
                let now = net.now;
                net.the(socket).subscribe(now, *prefix).unwrap();
            }
            let puppets: Vec<_> = (0..peers).map(|_| net.puppet(theirs, HERE)).collect();
            net.run_for(ms(10));
            (net, socket, puppets)
        });
        let mut taken = [Vec::new(), Vec::new()];
        let ends = [(0, Vec::new(), usize::MAX), (0, Vec::new(), usize::MAX)];
        for (puppet, messages, octets) in bursts.into_iter().chain(ends) {
            for (way, (net, socket, puppets)) in nets.iter_mut().enumerate() {
                // A PAIR talks to one of them, and the other is sent away.
                let puppet = if kind == Kind::Pair { puppets[0] } else { puppets[puppet % peers] };
                for message in &messages {
                    net.puppet_sends(puppet, message.clone());
                }
                net.run_for(ms(10));
                let now = net.now;
                let mut batch = std::collections::VecDeque::new();
                if way == 0 {
                    net.the(*socket).recv_many(now, octets, &mut batch).unwrap();
                } else {
                    let mut sum = 0;
                    while sum == 0 || sum < octets {
                        let Some(message) = net.the(*socket).recv(now).unwrap() else { break };
                        sum += message.octets().max(1);
                        batch.push_back(message);
                    }
                }
                taken[way].extend(batch.iter().map(crate::network::text));
                net.run_for(ms(10));
            }
        }
        let [mut together, mut one_by_one] = taken;
        if peers > 1 {
            // What nobody wants may be gone earlier, and who had no room is read again earlier then.
            together.sort();
            one_by_one.sort();
        }
        prop_assert_eq!(together, one_by_one);
        let [one, other] = nets.map(|(mut net, socket, _)| *net.the(socket).counters());
        prop_assert_eq!(one, other);
    }
}
