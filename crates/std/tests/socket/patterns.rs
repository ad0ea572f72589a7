//! What the patterns do, over TCP.

use std::time::{Duration, Instant};

use atonce_std::socket::{Kind, QueueLimit, RecvError, SendError};
use atonce_std::{Bytes, Frames};

use crate::helpers::{
    ANY, LONG, SHORT, builder, open, pair, recv, text, wait_for_peers, wait_until,
};
use crate::loopback::free_endpoint;

#[test]
fn work_is_pushed_in_turn_and_pulled() {
    let push = open(Kind::Push);
    let endpoint = push.bind(ANY).unwrap();
    let pulls = [(); 3].map(|()| builder(Kind::Pull).connect(&endpoint).open().unwrap());
    wait_for_peers(&push, 3);
    for n in 0..30 {
        push.send(format!("{n}")).unwrap();
    }
    for pull in &pulls {
        let got: Vec<_> = (0..10).map(|_| text(&recv(pull))).collect();
        let numbers = got.iter().map(|text| text.parse::<usize>().unwrap());
        assert!(numbers.is_sorted_by(|a, b| b - a == 3), "{got:?}");
        assert_eq!(pull.try_recv(), Ok(None));
    }
    assert_eq!(push.recv(), Err(RecvError::NotReceiving));
    let [pull, ..] = pulls;
    assert_eq!(pull.send("back"), Err(SendError::NotSending));
}

#[test]
fn a_stream_comes_whole_and_in_order() {
    const MESSAGES: u32 = 50_000;
    let (pull, push) = pair(Kind::Pull, Kind::Push);
    let sender = std::thread::spawn(move || {
        for n in 0..MESSAGES {
            push.send(n.to_be_bytes().to_vec()).unwrap();
        }
        push.close();
    });
    for n in 0..MESSAGES {
        assert_eq!(recv(&pull), Frames::from(n.to_be_bytes().to_vec()));
    }
    sender.join().unwrap();
}

#[test]
fn messages_of_all_sizes_and_of_many_frames_come_as_they_are() {
    let (one, other) = pair(Kind::Pair, Kind::Pair);
    for size in [0, 1, 255, 256, 8_191, 8_192, 100_000, 16 << 20] {
        let frame: Vec<u8> = (0..size).map(|n: usize| n.to_le_bytes()[0]).collect();
        let message = Frames::from(frame);
        other.send(message.clone()).unwrap();
        let came = recv(&one);
        assert!(came == message, "of {size} octets");
        one.send(came).unwrap();
        assert!(recv(&other) == message, "of {size} octets, back");
    }
    let frames: Vec<Bytes> = (0..200_usize).map(|n| vec![7; n * 11].into()).collect();
    let message = Frames::from(frames);
    other.send(message.clone()).unwrap();
    assert_eq!(recv(&one), message);
    assert_eq!(one.send(Frames::new()), Err(SendError::NoFrames));
}

#[test]
fn who_is_connected_first_waits_for_who_is_bound() {
    let endpoint = free_endpoint();
    let push = builder(Kind::Push).connect(&endpoint).open().unwrap();
    push.send("early").unwrap();
    std::thread::sleep(SHORT);
    let pull = open(Kind::Pull);
    assert_eq!(pull.bind(&endpoint).unwrap(), endpoint);
    assert_eq!(text(&recv(&pull)), "early");
}

#[test]
fn a_message_is_answered_at_once() {
    let (one, other) = pair(Kind::Pair, Kind::Pair);
    let echo = std::thread::spawn(move || {
        while let Ok(message) = one.recv() {
            if one.send(message).is_err() {
                break;
            }
        }
    });
    let mut took = Vec::new();
    for _ in 0..1_000 {
        let begun = Instant::now();
        other.send("again").unwrap();
        recv(&other);
        took.push(begun.elapsed());
    }
    took.sort();
    // However busy the machine is, some are as fast as can be. Each would take a millisecond and more, if it were held back or waited for
    // a thread that sleeps.
    assert!(took[100] < Duration::from_millis(1), "{took:?}");
    drop(other);
    drop(echo);
}

#[test]
fn a_full_queue_is_told_or_waited_for() {
    let few = QueueLimit {
        messages: 5,
        ..QueueLimit::default()
    };
    let push = builder(Kind::Push).send_limit(few).open().unwrap();
    assert_eq!(push.try_send("for nobody"), Err(SendError::Full));
    let begun = Instant::now();
    assert_eq!(push.send_timeout("for nobody", SHORT), Err(SendError::Full));
    assert!(begun.elapsed() >= SHORT);

    let pull = open(Kind::Pull);
    let endpoint = pull.bind(ANY).unwrap();
    let waiting = {
        let push = push.clone();
        std::thread::spawn(move || push.send("waited"))
    };
    std::thread::sleep(SHORT);
    assert!(!waiting.is_finished());
    push.connect(endpoint).unwrap();
    waiting.join().unwrap().unwrap();
    assert_eq!(text(&recv(&pull)), "waited");
}

#[test]
fn who_is_slow_to_receive_holds_the_sender_back() {
    let few = QueueLimit {
        messages: 10,
        ..QueueLimit::default()
    };
    let pull = builder(Kind::Pull).receive_limit(few).open().unwrap();
    let endpoint = pull.bind(ANY).unwrap();
    let push = builder(Kind::Push)
        .send_limit(few)
        .connect(endpoint)
        .open()
        .unwrap();
    let large = Frames::from(vec![7; 256 << 10]);
    let mut sent = 0;
    while push.send_timeout(large.clone(), SHORT * 5).is_ok() {
        sent += 1;
        assert!(sent < 500, "it takes without end");
    }
    assert!(sent >= 20);
    for _ in 0..sent {
        assert_eq!(recv(&pull).octets(), 256 << 10);
    }
    assert_eq!(pull.recv_timeout(SHORT), Ok(None));
    push.send(large).unwrap();
    recv(&pull);
}

#[test]
fn to_wait_for_a_message_ends_in_time() {
    let (pull, _push) = pair(Kind::Pull, Kind::Push);
    assert_eq!(pull.try_recv(), Ok(None));
    let begun = Instant::now();
    assert_eq!(pull.recv_timeout(SHORT), Ok(None));
    let took = begun.elapsed();
    assert!(took >= SHORT && took < LONG, "{took:?}");
}

#[test]
fn questions_are_answered() {
    let (rep, req) = pair(Kind::Rep, Kind::Req);
    assert_eq!(req.try_recv(), Err(RecvError::OutOfTurn));
    assert_eq!(rep.send("what?"), Err(SendError::OutOfTurn));
    for n in 0..10 {
        req.send(format!("question {n}")).unwrap();
        assert_eq!(req.send("another"), Err(SendError::OutOfTurn));
        let question = recv(&rep);
        assert_eq!(text(&question), format!("question {n}"));
        rep.send(format!("answer {n}")).unwrap();
        assert_eq!(text(&recv(&req)), format!("answer {n}"));
    }
}

#[test]
fn a_question_to_somebody_who_goes_is_given_up() {
    let (rep, req) = pair(Kind::Rep, Kind::Req);
    req.send("anybody?").unwrap();
    recv(&rep);
    drop(rep);
    assert_eq!(req.recv_timeout(LONG), Err(RecvError::PeerLost));
}

#[test]
fn a_router_knows_its_dealers_by_name() {
    let router = open(Kind::Router);
    let endpoint = router.bind(ANY).unwrap();
    let dealer = |name: &'static str| {
        let dealer = builder(Kind::Dealer).identity(name);
        dealer.connect(&endpoint).open().unwrap()
    };
    let (alice, bob) = (dealer("alice"), dealer("bob"));
    wait_for_peers(&router, 2);
    router.send(["bob".into(), "for bob".into()]).unwrap();
    router.send(["alice".into(), "for alice".into()]).unwrap();
    assert_eq!(recv(&alice), Frames::from("for alice"));
    assert_eq!(recv(&bob), Frames::from("for bob"));
    bob.send(["several", "frames"].into_iter().collect::<Frames>())
        .unwrap();
    let came: Frames = ["bob", "several", "frames"].into_iter().collect();
    assert_eq!(recv(&router), came);
    let unknown = router.send(["carol".into(), "for nobody".into()]);
    assert_eq!(unknown, Err(SendError::Unroutable));
}

#[test]
fn what_is_published_comes_to_who_wants_it() {
    let publisher = open(Kind::Pub);
    let endpoint = publisher.bind(ANY).unwrap();
    let news = builder(Kind::Sub)
        .connect(&endpoint)
        .subscribe("news")
        .open()
        .unwrap();
    let all = builder(Kind::Sub)
        .connect(&endpoint)
        .subscribe("")
        .open()
        .unwrap();
    // A subscription is on its way for a while.
    let mut probes = 0;
    wait_until("it is not subscribed", || {
        publisher.send("news: probe").unwrap();
        publisher.send("other: probe").unwrap();
        probes += 1;
        let got = |socket: &atonce_std::Socket| {
            socket
                .recv_timeout(Duration::from_millis(5))
                .unwrap()
                .is_some()
        };
        got(&news) && got(&all)
    });
    publisher.send("weather: sun").unwrap();
    publisher.send("news: last").unwrap();
    let until = |socket: &atonce_std::Socket, last: &str| {
        std::iter::from_fn(|| Some(text(&recv(socket))))
            .take_while(|came| came != last)
            .collect::<Vec<_>>()
    };
    let for_news = until(&news, "news: last");
    assert!(
        for_news.iter().all(|came| came == "news: probe"),
        "{for_news:?}"
    );
    assert!(until(&all, "news: last").contains(&"weather: sun".to_owned()));
    news.unsubscribe("news").unwrap();
    assert!(news.unsubscribe("news").is_err());
    assert_eq!(publisher.recv(), Err(RecvError::NotReceiving));
}
