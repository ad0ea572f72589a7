//! Many threads, and many sockets.

use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use atonce_std::socket::Kind;

use crate::helpers::{ANY, LONG, builder, open, pair, recv, text};

#[test]
fn many_threads_send_over_one_socket_and_receive_from_one() {
    const THREADS: usize = 8;
    const MESSAGES: usize = 2_000;
    let begun = Instant::now();
    let (pull, push) = pair(Kind::Pull, Kind::Push);
    let receivers: Vec<_> = (0..THREADS)
        .map(|_| {
            let pull = pull.clone();
            thread::spawn(move || {
                let each = std::iter::from_fn(|| Some(text(&recv(&pull))));
                each.take_while(|text| text != "end").collect::<Vec<_>>()
            })
        })
        .collect();
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let push = push.clone();
            thread::spawn(move || {
                for n in 0..MESSAGES {
                    push.send(format!("{thread}-{n}")).unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    for _ in 0..THREADS {
        push.send("end").unwrap();
    }
    let mut all = BTreeSet::new();
    for receiver in receivers {
        for text in receiver.join().unwrap() {
            assert!(all.insert(text));
        }
    }
    assert_eq!(all.len(), THREADS * MESSAGES);
    // Nobody was left waiting beside something that was there: that would end with what they wait for at most.
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn many_sockets_are_heard_by_one() {
    const SOCKETS: usize = 60;
    let pull = open(Kind::Pull);
    let endpoint = pull.bind(ANY).unwrap();
    let senders: Vec<_> = (0..SOCKETS)
        .map(|n| {
            let push = builder(Kind::Push).connect(&endpoint).open().unwrap();
            for message in 0..20 {
                push.send(format!("{n}-{message}")).unwrap();
            }
            push
        })
        .collect();
    let came: BTreeSet<_> = (0..SOCKETS * 20).map(|_| text(&recv(&pull))).collect();
    assert_eq!(came.len(), SOCKETS * 20);
    drop(senders);
}
