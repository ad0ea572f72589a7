//! Slow applications, slow peers, many threads.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use atonce_std::{Event, Limits, Node, PeerId, SendError};
use common::{free_port, node, wait_enter, wait_for};

const CONTENT: usize = 64 * 1024;

/// Two nodes that met; the second has a name that the first knows.
fn pair(limits: Limits) -> (Node, Node, PeerId) {
    let port = free_port();
    let alice = node("alice", port).limits(limits.clone()).start().unwrap();
    let bob = node("bob", port).limits(limits).start().unwrap();
    wait_enter(&alice, bob.id());
    let id = bob.id();
    (alice, bob, id)
}

#[test]
fn a_slow_application_is_waited_for_and_nothing_is_dropped() {
    let (alice, bob, id) = pair(Limits {
        receive_octets: 1024 * 1024,
        send_octets: 1024 * 1024,
        ..Limits::default()
    });
    let carol = node("carol", 0).peer(&bob.endpoints()[0]).start().unwrap();
    wait_enter(&carol, id);

    // Bob receives nothing: at some point Alice is told that he is full.
    let mut sent = 0_u32;
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let mut content = vec![0; CONTENT];
        content[..4].copy_from_slice(&sent.to_be_bytes());
        match alice.whisper(id, content) {
            Ok(()) => sent += 1,
            Err(SendError::Full) => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent > 16, "{sent}");
    assert!(
        (sent as usize) < 64 * 1024 * 1024 / CONTENT,
        "{sent}: nothing held Alice back"
    );
    assert_eq!(
        alice.whisper_timeout(id, vec![0; CONTENT], Duration::from_millis(50)),
        Err(SendError::Full)
    );
    // Others are served meanwhile, and find Bob alive.
    carol.whisper(id, "from carol").unwrap();
    assert!(bob.counters().pauses > 0);
    // Then he takes everything, in order.
    let mut next = 0_u32;
    let mut from_carol = false;
    while next < sent || !from_carol {
        wait_for(&bob, |event| match event {
            Event::Whisper { peer, content } if peer.name == "alice" => {
                assert_eq!(content[0][..4], next.to_be_bytes());
                next += 1;
                Some(())
            }
            Event::Whisper { .. } => {
                from_carol = true;
                Some(())
            }
            Event::Exit { peer, reason } => panic!("{} exited: {reason}", peer.name),
            _ => None,
        });
    }
    alice
        .whisper_timeout(id, "room again", Duration::from_secs(5))
        .unwrap();
}

#[test]
fn a_sender_that_waits_for_room_sends_everything() {
    const MESSAGES: u32 = 2_000;
    let (alice, bob, id) = pair(Limits {
        send_octets: 256 * 1024,
        receive_octets: 256 * 1024,
        ..Limits::default()
    });
    let receiver = thread::spawn(move || {
        let mut received = 0;
        while received < MESSAGES {
            wait_for(&bob, |event| match event {
                Event::Whisper { content, .. } => {
                    assert_eq!(content.octets(), 8 * 1024);
                    Some(())
                }
                _ => None,
            });
            received += 1;
        }
    });
    for _ in 0..MESSAGES {
        alice
            .whisper_timeout(id, vec![7; 8 * 1024], common::PATIENCE)
            .unwrap();
    }
    receiver.join().unwrap();
}

#[test]
fn small_messages_in_a_stream_arrive_in_order_and_the_last_one_too() {
    const MESSAGES: u32 = 100_000;
    let (alice, bob, id) = pair(Limits::default());
    let sender = thread::spawn(move || {
        for number in 0..MESSAGES {
            alice
                .whisper_timeout(id, number.to_be_bytes().to_vec(), common::PATIENCE)
                .unwrap();
        }
        alice
    });
    let mut next = 0_u32;
    while next < MESSAGES {
        wait_for(&bob, |event| match event {
            Event::Whisper { content, .. } => {
                assert_eq!(content[0][..], next.to_be_bytes());
                next += 1;
                Some(())
            }
            _ => None,
        });
    }
    drop(sender.join().unwrap());
}

#[test]
fn many_threads_receive_and_send() {
    const THREADS: usize = 4;
    const MESSAGES: usize = 2_000;
    let (alice, bob, id) = pair(Limits::default());
    let received = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..MESSAGES {
                    alice
                        .whisper_timeout(id, "to bob", common::PATIENCE)
                        .unwrap();
                }
            });
            scope.spawn(|| {
                for event in &bob {
                    if let Event::Whisper { .. } = event
                        && received.fetch_add(1, Ordering::Relaxed) + 1 == THREADS * MESSAGES
                    {
                        bob.stop(); // ends the others
                    }
                }
            });
        }
    });
    assert_eq!(received.load(Ordering::Relaxed), THREADS * MESSAGES);
}

#[test]
fn whoever_waits_for_an_event_does_not_stop_the_rest() {
    let (alice, bob, id) = pair(Limits::default());
    let waiting = {
        let alice = alice.clone();
        thread::spawn(move || {
            alice
                .events()
                .filter(|event| matches!(event, Event::Whisper { .. }))
                .count()
        })
    };
    thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    alice.join("G").unwrap();
    alice.whisper(id, "hello").unwrap();
    assert_eq!(alice.peers().len(), 1);
    assert!(begun.elapsed() < Duration::from_millis(500));
    wait_for(&bob, |event| {
        matches!(event, Event::Whisper { .. }).then_some(())
    });
    bob.whisper(alice.id(), "hello").unwrap();
    bob.stop();
    alice.stop();
    assert_eq!(waiting.join().unwrap(), 1);
}

#[test]
fn who_only_sends_keeps_the_node_going() {
    let (alice, bob, id) = pair(Limits::default());
    // Alice has taken an event on this thread: it is this thread that looks after her sockets, and then only sends.
    let carol = node("carol", free_port()).start().unwrap();
    carol.connect(&alice.endpoints()[0]).unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    while alice.peer(carol.id()).is_none() {
        alice.whisper(id, "tick").unwrap();
        sent += 1;
        thread::sleep(Duration::from_millis(2));
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "carol is not let in"
        );
    }
    // And what was said goes out though nobody waits for anything any more.
    for _ in 0..100 {
        alice.whisper(id, "tock").unwrap();
    }
    sent += 100;
    let mut heard = 0;
    while heard < sent {
        heard += wait_for(&bob, |event| {
            matches!(event, Event::Whisper { .. }).then_some(1)
        });
    }
}

#[test]
fn what_comes_between_two_events_is_told_at_once() {
    // Without beacons, which would wake him.
    let quiet = || Node::builder().interface("lo").port(0).start().unwrap();
    let (alice, bob) = (quiet(), quiet());
    let id = bob.id();
    alice.connect(&bob.endpoints()[0]).unwrap();
    wait_enter(&alice, id);
    wait_enter(&bob, alice.id());
    for _ in 0..50 {
        alice.whisper(id, "one").unwrap();
        wait_for(&bob, |event| {
            matches!(event, Event::Whisper { .. }).then_some(())
        });
        // Nobody looks after Bob's sockets now, for longer than a turn may be old and shorter than his thread waits.
        alice.whisper(id, "two").unwrap();
        thread::sleep(Duration::from_millis(3));
        let begun = Instant::now();
        let event = bob.recv_timeout(Duration::from_secs(2));
        assert!(
            event.is_some() && begun.elapsed() < Duration::from_secs(1),
            "it is there, and not told"
        );
    }
}

#[test]
fn who_waits_for_room_is_told_of_it_at_once() {
    let limits = Limits {
        receive_octets: 256 * 1024,
        send_octets: 512 * 1024,
        ..Limits::default()
    };
    // Without beacons, which would wake her.
    let quiet = || {
        let node = Node::builder().interface("lo").port(0);
        node.limits(limits.clone()).start().unwrap()
    };
    let (alice, bob) = (quiet(), quiet());
    let id = bob.id();
    alice.connect(&bob.endpoints()[0]).unwrap();
    wait_enter(&alice, id);
    let reading = {
        let bob = bob.clone();
        thread::spawn(move || bob.events().count())
    };
    let content = || vec![7; CONTENT];
    for _ in 0..200 {
        while alice.whisper(id, content()) != Err(SendError::Full) {}
        // Her last turn is no longer young, and meanwhile Bob makes room for all that waits.
        thread::sleep(Duration::from_millis(2));
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        alice.whisper_timeout(id, content(), 2 * second).unwrap();
        assert!(
            begun.elapsed() < second,
            "there is room, and nobody says so"
        );
    }
    alice.stop();
    bob.stop();
    assert!(reading.join().unwrap() > 200);
}

#[test]
fn a_wait_is_over_in_its_time_and_not_before() {
    let node = node("alice", 0).start().unwrap();
    while node.recv_timeout(Duration::from_millis(10)).is_some() {}
    for _ in 0..20 {
        // Nothing that looks at the clock meanwhile.
        thread::sleep(Duration::from_millis(7));
        let begun = Instant::now();
        assert_eq!(node.recv_timeout(Duration::from_millis(5)), None);
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(5), "{waited:?}");
        assert!(waited < Duration::from_millis(1_500), "{waited:?}");
    }
}
