//! PUSH and PULL.

use atonce::socket::{Config, Kind, QueueLimit, SendError};
use atonce::wire::zmtp::SocketType;
use proptest::prelude::*;

use crate::network::Net;
use crate::{HERE, ms};

#[test]
fn work_is_handed_out_in_turn() {
    // SOCK-14, SOCK-131
    let mut net = Net::new();
    let push = net.socket(Kind::Push);
    net.bind(push, HERE);
    let pulls = [(); 3].map(|()| net.socket(Kind::Pull));
    for pull in pulls {
        net.connect(pull, HERE);
        net.run_for(ms(10));
    }
    for n in 0..7 {
        net.send(push, format!("{n}"));
    }
    net.run_for(ms(10));
    let heard = pulls.map(|pull| net.recv_all(pull).concat());
    assert_eq!(heard, ["036", "14", "25"]);
    // One that leaves is left out, one that comes is last.
    net.kill(pulls[1]);
    net.run_for(ms(10));
    let late = net.socket(Kind::Pull);
    net.connect(late, HERE);
    net.run_for(ms(10));
    for n in 0..6 {
        net.send(push, format!("{n}"));
    }
    net.run_for(ms(10));
    for pull in [pulls[0], pulls[2], late] {
        assert_eq!(net.recv_all(pull).len(), 2);
    }
}

#[test]
fn who_is_full_is_left_out_until_he_has_room() {
    // SOCK-14
    let mut net = Net::new();
    net.capacity = 100;
    let config = Config {
        send: QueueLimit {
            messages: 4,
            ..QueueLimit::default()
        },
        ..Config::default()
    };
    let push = net.socket_with(Kind::Push, config);
    net.bind(push, HERE);
    let slow = net.puppet(SocketType::Pull, HERE);
    net.run_for(ms(10));
    let fast = net.socket(Kind::Pull);
    net.connect(fast, HERE);
    net.run_for(ms(10));
    net.the_puppet(slow).reads = false;
    let mut to_fast = 0;
    for _ in 0..100 {
        net.send(push, vec![7; 50]);
        net.run_for(ms(5));
        to_fast += net.recv_all(fast).len();
    }
    // The slow one has what fits on the wire and in its queue.
    assert!((90..96).contains(&to_fast), "{to_fast}");
    assert!(net.the(push).can_send());
    net.the_puppet(slow).reads = true;
    net.run_for(ms(100));
    assert_eq!(net.puppet_hears(slow).len(), 100 - to_fast);
    for _ in 0..10 {
        net.send(push, "x");
        net.run_for(ms(5));
    }
    assert_eq!(net.puppet_hears(slow).len(), 5);
}

#[test]
fn with_immediate_messages_wait_for_nobody() {
    // SOCK-16
    let mut net = Net::new();
    let config = Config {
        immediate: true,
        ..Config::default()
    };
    let push = net.socket_with(Kind::Push, config);
    net.connect(push, "tcp://10.0.0.9:9");
    assert_eq!(net.try_send(push, "x"), Err(SendError::Full));
    assert!(!net.the(push).can_send());
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(10));
    for n in 0..5 {
        net.send(push, format!("{n}"));
    }
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull).concat(), "01234");
    net.kill(pull);
    net.run_for(ms(10));
    assert_eq!(net.try_send(push, "x"), Err(SendError::Full));
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    net.run_for(ms(1_000));
    net.send(push, "again");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull), ["again"]);
}

#[test]
fn what_a_pull_says_is_dropped() {
    // SOCK-130
    let mut net = Net::new();
    let push = net.socket(Kind::Push);
    net.bind(push, HERE);
    let puppet = net.puppet(SocketType::Pull, HERE);
    net.run_for(ms(10));
    for _ in 0..10_000 {
        net.puppet_sends(puppet, "chatter");
    }
    net.run_for(ms(100));
    let counters = *net.the(push).counters();
    assert_eq!(
        (counters.messages_discarded, counters.messages_received),
        (10_000, 0)
    );
    assert_eq!(net.the(push).usage().pending_messages, 0);
    net.send(push, "work");
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(puppet), ["work"]);
}

#[test]
fn messages_of_all_sizes_arrive_as_they_are() {
    // SOCK-17
    let mut net = Net::new();
    let config = Config {
        send: QueueLimit {
            messages: 1_000,
            octets: 256 << 20,
        },
        ..Config::default()
    };
    let (push, pull) = (net.socket_with(Kind::Push, config), net.socket(Kind::Pull));
    net.bind(pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(10));
    let mut expected = Vec::new();
    for octets in [0, 1, 255, 256, 1_024, 1_025, 65_536, 300_000, 16 << 20] {
        for frames in [1, 2, 5] {
            let message: atonce::Frames = (0..frames)
                .map(|frame| vec![u8::try_from(frame).unwrap(); octets / frames])
                .collect();
            net.send(push, message.clone());
            expected.push(message);
        }
    }
    for message in expected {
        let mut heard = net.recv(pull);
        while heard.is_none() {
            net.run_for(ms(10));
            heard = net.recv(pull);
        }
        assert!(heard == Some(message));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is sent when, taken when, over whichever wire: nothing is lost, doubled or out of order as long as no link is cut.
    #[test]
    fn nothing_is_lost_without_cuts(
        capacity in 20..5_000_usize,
        limits in (1..50_usize, 1..50_usize),
        pulls in 1..4_usize,
        binds: bool,
        steps in prop::collection::vec((0..20_usize, 0..30_u64, 0..2_000_usize), 1..40),
    ) {
        let mut net = Net::new();
        net.capacity = capacity;
        let limit = |messages| QueueLimit { messages, ..QueueLimit::default() };
        let config = Config { send: limit(limits.0), receive: limit(limits.1), ..Config::default() };
        let push = net.socket_with(Kind::Push, config.clone());
        let pulls: Vec<_> = (0..pulls).map(|_| net.socket_with(Kind::Pull, config.clone())).collect();
        if binds {
            net.bind(push, HERE);
        }
        for (n, pull) in pulls.iter().enumerate() {
            if binds {
                net.connect(*pull, HERE);
            } else {
                let at = format!("tcp://10.0.0.{}:1", n + 1);
                net.connect(push, &at);
                net.bind(*pull, &at);
            }
        }
        let mut sent = 0_u32;
        let mut heard = vec![Vec::new(); pulls.len()];
        for (messages, pause, octets) in steps {
            for _ in 0..messages {
                let mut content = sent.to_be_bytes().to_vec();
                content.resize(4 + octets, 7);
                let can = net.the(push).can_send();
                let result = net.try_send(push, content);
                prop_assert_eq!(result, if can { Ok(()) } else { Err(SendError::Full) });
                sent += u32::from(can);
            }
            net.run_for(ms(pause));
            if let Some(message) = net.recv(pulls[messages % pulls.len()]) {
                heard[messages % pulls.len()].push(message);
            }
        }
        for _ in 0..10_000 {
            let before: usize = heard.iter().map(Vec::len).sum();
            if before == sent as usize {
                break;
            }
            net.run_for(ms(100));
            for (n, pull) in pulls.iter().enumerate() {
                while let Some(message) = net.recv(*pull) {
                    heard[n].push(message);
                }
            }
        }
        let numbers = |messages: &[atonce::Frames]| -> Vec<u32> {
            messages.iter().map(|message| u32::from_be_bytes(message[0][..4].try_into().unwrap())).collect()
        };
        let mut all = Vec::new();
        for messages in &heard {
            let numbers = numbers(messages);
            prop_assert!(numbers.is_sorted());
            all.extend(numbers);
        }
        all.sort_unstable();
        prop_assert_eq!(all, (0..sent).collect::<Vec<_>>());
    }
}
