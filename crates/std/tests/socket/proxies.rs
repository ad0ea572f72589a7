//! Proxies of all three kinds.

use std::thread;
use std::time::Duration;

use atonce_std::Socket;
use atonce_std::socket::{Kind, QueueLimit, proxy};

use crate::helpers::{ANY, LONG, builder, open, recv, text, wait_until};

/// A proxy on a thread of its own, and where its ends are.
struct Running {
    front: Socket,
    thread: thread::JoinHandle<()>,
    inward: String,
    outward: String,
}

impl Running {
    fn start(front: Kind, back: Kind, capture: Option<Socket>) -> Self {
        let few = QueueLimit {
            messages: 10,
            ..QueueLimit::default()
        };
        let limited = |kind| {
            builder(kind)
                .send_limit(few)
                .receive_limit(few)
                .open()
                .unwrap()
        };
        let (front, back) = (limited(front), limited(back));
        let (inward, outward) = (front.bind(ANY).unwrap(), back.bind(ANY).unwrap());
        let thread = {
            let front = front.clone();
            thread::spawn(move || proxy(&front, &back, capture.as_ref()))
        };
        Self {
            front,
            thread,
            inward,
            outward,
        }
    }

    fn stop(self) {
        self.front.close();
        self.thread.join().unwrap();
    }
}

#[test]
fn work_is_streamed_and_captured() {
    const MESSAGES: usize = 5_000;
    let tap = open(Kind::Pull);
    let capture = builder(Kind::Push)
        .connect(tap.bind(ANY).unwrap())
        .open()
        .unwrap();
    let running = Running::start(Kind::Pull, Kind::Push, Some(capture));
    let push = builder(Kind::Push).connect(&running.inward).open().unwrap();
    let pull = builder(Kind::Pull)
        .connect(&running.outward)
        .open()
        .unwrap();
    let sender = thread::spawn(move || {
        for n in 0..MESSAGES {
            push.send(format!("{n}")).unwrap();
        }
        push
    });
    // Nothing is dropped, although every queue is short and this side is slow to begin.
    thread::sleep(Duration::from_millis(50));
    for n in 0..MESSAGES {
        assert_eq!(text(&recv(&pull)), n.to_string());
    }
    assert_eq!(text(&recv(&tap)), "0");
    sender.join().unwrap();
    running.stop();
}

#[test]
fn questions_of_many_are_answered_by_several() {
    let running = Running::start(Kind::Router, Kind::Dealer, None);
    let workers = ["one", "two"].map(|name| {
        let rep = builder(Kind::Rep).connect(&running.outward).open().unwrap();
        thread::spawn(move || {
            let mut answered = 0;
            while let Ok(Some(question)) = rep.recv_timeout(Duration::from_secs(2)) {
                rep.send(format!("{} by {name}", text(&question))).unwrap();
                answered += 1;
            }
            answered
        })
    });
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let req = builder(Kind::Req).connect(&running.inward).open().unwrap();
            thread::spawn(move || {
                for n in 0..50 {
                    let question = format!("{client}-{n}");
                    req.send(question.clone()).unwrap();
                    let answer = text(&recv(&req));
                    assert!(answer.starts_with(&format!("{question} by ")), "{answer}");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let answered = workers.map(|worker| worker.join().unwrap());
    assert_eq!(answered.iter().sum::<usize>(), 200);
    assert!(
        answered.iter().all(|answered| *answered > 0),
        "{answered:?}"
    );
    running.stop();
}

#[test]
fn what_is_published_is_forwarded_to_who_wants_it() {
    let running = Running::start(Kind::XSub, Kind::XPub, None);
    let publisher = builder(Kind::Pub).connect(&running.inward).open().unwrap();
    let news = builder(Kind::Sub)
        .subscribe("news")
        .connect(&running.outward)
        .open()
        .unwrap();
    // The subscription has to find its way through the proxy to the publisher.
    wait_until("it is not subscribed", || {
        publisher.send("news: first").unwrap();
        publisher.send("weather: sun").unwrap();
        news.recv_timeout(Duration::from_millis(10))
            .unwrap()
            .is_some()
    });
    publisher.send("news: last").unwrap();
    loop {
        let came = text(&news.recv_timeout(LONG).unwrap().unwrap());
        assert!(came.starts_with("news: "), "{came}");
        if came == "news: last" {
            break;
        }
    }
    running.stop();
}

#[test]
fn questions_are_passed_on_one_after_the_other() {
    let running = Running::start(Kind::Rep, Kind::Req, None);
    let rep = builder(Kind::Rep).connect(&running.outward).open().unwrap();
    let req = builder(Kind::Req).connect(&running.inward).open().unwrap();
    for n in 0..20 {
        req.send(format!("question {n}")).unwrap();
        assert_eq!(text(&recv(&rep)), format!("question {n}"));
        rep.send(format!("answer {n}")).unwrap();
        assert_eq!(text(&recv(&req)), format!("answer {n}"));
    }
    running.stop();
}

#[test]
fn one_that_waits_for_room_ends_as_well() {
    let running = Running::start(Kind::Pull, Kind::Push, None);
    let push = builder(Kind::Push).connect(&running.inward).open().unwrap();
    // Nobody takes it on the other side.
    push.send("for nobody").unwrap();
    thread::sleep(Duration::from_millis(50));
    running.stop();
}

#[test]
fn it_ends_when_either_side_is_closed() {
    for (close_front, kinds) in [
        (true, (Kind::Pull, Kind::Push)),
        (false, (Kind::Pull, Kind::Push)),
        (true, (Kind::Router, Kind::Dealer)),
        (false, (Kind::Router, Kind::Dealer)),
        (true, (Kind::Rep, Kind::Req)),
        (false, (Kind::Rep, Kind::Req)),
    ] {
        let (front, back) = (open(kinds.0), open(kinds.1));
        let thread = {
            let (front, back) = (front.clone(), back.clone());
            thread::spawn(move || proxy(&front, &back, None))
        };
        thread::sleep(Duration::from_millis(20));
        assert!(!thread.is_finished());
        if close_front {
            front.close();
        } else {
            back.close();
        }
        thread.join().unwrap();
        // One that is closed already passes nothing on.
        proxy(&front, &back, None);
    }
}
