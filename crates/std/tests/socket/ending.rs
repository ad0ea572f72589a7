//! How sockets end.

use std::thread;
use std::time::{Duration, Instant};

use atonce_std::Frames;
use atonce_std::socket::{Event, Kind, RecvError, SendError, SocketError};

use crate::helpers::{ANY, LONG, SHORT, builder, open, pair, recv, text, wait_for_peers};
use crate::loopback::free_endpoint;

#[test]
fn what_was_sent_before_the_end_arrives() {
    const MESSAGES: usize = 900;
    for in_background in [false, true] {
        let (pull, push) = pair(Kind::Pull, Kind::Push);
        let message = Frames::from(vec![7; 10_000]);
        for _ in 0..MESSAGES {
            push.send(message.clone()).unwrap();
        }
        let receiver = thread::spawn(move || {
            thread::sleep(SHORT);
            for n in 0..MESSAGES {
                assert_eq!(recv(&pull).octets(), 10_000, "message {n}");
            }
        });
        if in_background {
            drop(push);
        } else {
            push.close();
            assert_eq!(push.send("more"), Err(SendError::Closed));
        }
        receiver.join().unwrap();
    }
}

/// A connection that is closed while something comes is reset, and takes what is on its way out with it.
#[test]
fn what_was_sent_before_the_end_arrives_also_at_somebody_who_talks_meanwhile() {
    const MESSAGES: usize = 500;
    for _ in 0..5 {
        let (one, other) = pair(Kind::Pair, Kind::Pair);
        wait_for_peers(&one, 1);
        let talker = {
            let one = one.clone();
            thread::spawn(move || {
                let until = Instant::now() + LONG;
                while one.try_send("blah") != Err(SendError::Closed) && Instant::now() < until {
                    thread::yield_now();
                }
            })
        };
        let message = Frames::from(vec![7; 10_000]);
        for _ in 0..MESSAGES {
            other.send(message.clone()).unwrap();
        }
        let closer = thread::spawn(move || other.close());
        for n in 0..MESSAGES {
            assert_eq!(recv(&one).octets(), 10_000, "message {n}");
        }
        closer.join().unwrap();
        one.close_timeout(Duration::ZERO);
        talker.join().unwrap();
    }
}

#[test]
fn what_waits_for_nobody_is_lost_when_the_linger_is_over_and_that_is_told() {
    let push = builder(Kind::Push).linger(SHORT);
    let push = push.connect("tcp://127.0.0.1:9").open().unwrap();
    let monitor = push.monitor();
    for _ in 0..3 {
        push.send("for nobody").unwrap();
    }
    let begun = Instant::now();
    push.close();
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG);
    assert_eq!(monitor.last(), Some(Event::Closed { lost: 3 }));
}

#[test]
fn without_a_linger_the_end_is_at_once() {
    let push = builder(Kind::Push).linger(Duration::ZERO);
    let push = push.connect("tcp://127.0.0.1:9").open().unwrap();
    push.send("for nobody").unwrap();
    let begun = Instant::now();
    push.close();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn who_waited_long_enough_for_the_end_goes_and_the_rest_goes_on() {
    let push = builder(Kind::Push).linger(LONG).open().unwrap();
    let endpoint = free_endpoint();
    push.connect(&endpoint).unwrap();
    push.send("late").unwrap();
    let begun = Instant::now();
    assert!(!push.close_timeout(SHORT));
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG / 2);
    drop(push);
    let pull = open(Kind::Pull);
    pull.bind(&endpoint).unwrap();
    assert_eq!(text(&recv(&pull)), "late");
}

#[test]
fn whoever_waits_is_told_of_the_end() {
    let (pull, push) = pair(Kind::Pull, Kind::Push);
    let lonely = open(Kind::Push);
    let receiver = {
        let pull = pull.clone();
        thread::spawn(move || pull.recv())
    };
    let sender = {
        let lonely = lonely.clone();
        thread::spawn(move || lonely.send("for nobody"))
    };
    thread::sleep(SHORT);
    pull.close();
    lonely.close();
    assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
    assert_eq!(sender.join().unwrap(), Err(SendError::Closed));
    assert_eq!(pull.try_recv(), Err(RecvError::Closed));
    assert!(matches!(pull.bind(ANY), Err(SocketError::Closed)));
    assert!(pull.is_closed() && !push.is_closed());
    pull.close(); // again is nothing
}
