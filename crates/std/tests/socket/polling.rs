//! Several sockets at once.

use std::thread;
use std::time::{Duration, Instant};

use atonce_std::socket::{Interest, Kind, QueueLimit, poll};

use crate::helpers::{ANY, LONG, SHORT, builder, open, pair, recv, text};

#[test]
fn whichever_socket_has_something_is_named() {
    let pairs = [(); 5].map(|()| pair(Kind::Pull, Kind::Push));
    let sockets: Vec<_> = pairs
        .iter()
        .map(|(pull, _)| (pull, Interest::RECV))
        .collect();
    for n in [3, 0, 4] {
        let push = pairs[n].1.clone();
        let later = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            push.send("now").unwrap();
        });
        let ready = poll(&sockets, Some(LONG));
        let expected: Vec<_> = (0..5)
            .map(|other| {
                if other == n {
                    Interest::RECV
                } else {
                    Interest::NONE
                }
            })
            .collect();
        assert_eq!(ready, expected);
        assert_eq!(text(&pairs[n].0.try_recv().unwrap().unwrap()), "now");
        later.join().unwrap();
    }
}

#[test]
fn nothing_is_ready_when_the_time_is_over() {
    let (pull, push) = pair(Kind::Pull, Kind::Push);
    for timeout in [Duration::ZERO, SHORT] {
        let begun = Instant::now();
        let ready = poll(
            &[(&pull, Interest::RECV), (&push, Interest::NONE)],
            Some(timeout),
        );
        assert_eq!(ready, [Interest::NONE; 2]);
        assert!(begun.elapsed() >= timeout && begun.elapsed() < LONG);
    }
    let begun = Instant::now();
    assert!(poll(&[], Some(SHORT)).is_empty());
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn room_is_waited_for() {
    let few = QueueLimit {
        messages: 1,
        ..QueueLimit::default()
    };
    let push = builder(Kind::Push).send_limit(few).open().unwrap();
    let want = [(&push, Interest::SEND | Interest::RECV)];
    assert_eq!(poll(&want, Some(SHORT)), [Interest::NONE]);
    let pull = open(Kind::Pull);
    let endpoint = pull.bind(ANY).unwrap();
    let later = {
        let push = push.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            push.connect(endpoint).unwrap();
        })
    };
    assert_eq!(poll(&want, Some(LONG)), [Interest::SEND]);
    push.try_send("now").unwrap();
    assert_eq!(text(&recv(&pull)), "now");
    later.join().unwrap();
}

#[test]
fn the_end_of_a_socket_is_told() {
    let (pull, other) = (open(Kind::Pull), open(Kind::Pull));
    let later = {
        let pull = pull.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            pull.close();
        })
    };
    let both = Interest::RECV | Interest::SEND;
    let ready = poll(
        &[(&other, Interest::RECV), (&pull, Interest::RECV)],
        Some(LONG),
    );
    assert_eq!(ready, [Interest::NONE, both]);
    assert!(pull.try_recv().is_err());
    later.join().unwrap();
}

#[test]
fn what_comes_while_it_is_polled_again_and_again_is_there_soon() {
    let (one, other) = pair(Kind::Pair, Kind::Pair);
    let idle = open(Kind::Pull);
    let echo = thread::spawn(move || {
        for _ in 0..200 {
            let ready = poll(
                &[(&idle, Interest::RECV), (&one, Interest::RECV)],
                Some(LONG),
            );
            assert_eq!(ready, [Interest::NONE, Interest::RECV]);
            one.send(one.try_recv().unwrap().unwrap()).unwrap();
        }
    });
    let mut took = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        other.send("again").unwrap();
        recv(&other);
        took.push(begun.elapsed());
    }
    echo.join().unwrap();
    took.sort();
    // However busy the machine is, some are as fast as can be. Each would take 10 ms if the thread of the socket were not called back.
    assert!(took[20] < Duration::from_millis(5), "{took:?}");
}
