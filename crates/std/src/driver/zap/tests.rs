//! Questions to handlers that are as they should be, and to others.

#[path = "../../../tests/common/handler.rs"]
mod handler;

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::mpsc::channel;

use atonce::curve::PublicKey;
use atonce::{Interface, InterfaceId, Stack};

use self::handler::{Handler, Say, allowed, key};
use super::*;
use crate::driver::asker::{Answer, Asker};
use crate::loopback::free_port;
use crate::trust::Decider;

const NOT_NOW: Verdict = Verdict::Deny(Denial::Temporary);
const REFUSED: Verdict = Verdict::Deny(Denial::Refused);

/// A node's end, without a node.
struct Bench {
    asker: Asker,
    poll: Poll,
    stack: Stack,
    lo: InterfaceId,
}

impl Bench {
    fn new(decider: Decider) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        // It makes names for links.
        let mut config = atonce::Config::default();
        config.limits.unproved_links = 10_000;
        let mut stack = Stack::new(Instant::ZERO, [7; 32], config);
        let lo = Interface {
            name: "lo".into(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 1,
            zone: 0,
        };
        let lo = stack.handle_interface_up(Instant::ZERO, lo);
        Self {
            asker: Asker::new(decider, waker),
            poll,
            stack,
            lo,
        }
    }

    fn of(handler: &Handler) -> Self {
        Self::at(handler.address)
    }

    fn at(address: SocketAddr) -> Self {
        let domain = "global".parse().unwrap();
        Self::new(Decider::Handler { address, domain })
    }

    fn ask(&mut self, key: u8) -> LinkId {
        let remote = SocketAddr::from(([127, 0, 0, key], 4000));
        let link = self.stack.handle_accepted(Instant::ZERO, self.lo, remote);
        let link = link.unwrap();
        self.asker.ask(
            link,
            zmtp::Credentials::Curve(PublicKey::from_bytes([key; 32])),
            remote,
        );
        link
    }

    /// The next answer.
    fn answer(&mut self) -> Answer {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        let mut events = mio::Events::with_capacity(1);
        loop {
            if let Some(answer) = self.asker.answer() {
                return answer;
            }
            let left = end.saturating_duration_since(std::time::Instant::now());
            assert!(left > Duration::ZERO, "no answer");
            self.poll.poll(&mut events, Some(left)).unwrap();
        }
    }

    #[track_caller]
    fn is_answered(&mut self, key: u8, verdict: Verdict) {
        let link = self.ask(key);
        let answer = self.answer();
        assert_eq!((answer.link, answer.verdict), (link, verdict));
    }
}

/// What [`allowed`] comes to.
fn allow() -> Verdict {
    Verdict::AllowAs("joe".try_into().unwrap())
}

/// ZAP-11, ZAP-20
#[test]
fn the_handler_decides() {
    let handler = Handler::start(|request, _| {
        vec![Say::Reply(match key(request)[0] {
            1 => allowed(),
            3 => Outcome::Temporary,
            4 => Outcome::Refused,
            _ => Outcome::Internal,
        })]
    });
    let mut bench = Bench::of(&handler);
    bench.is_answered(1, allow());
    bench.is_answered(3, NOT_NOW);
    bench.is_answered(4, REFUSED);
    bench.is_answered(5, Verdict::Deny(Denial::Internal));
    // ZAP-3, ZAP-4, ZAP-5
    let asked = handler.asked.recv().unwrap();
    assert_eq!(asked.address, IpAddr::from([127, 0, 0, 1]));
    assert_eq!(asked.domain.as_str(), "global");
    assert!(asked.identity.is_empty());
    assert_eq!(asked.credentials, Credentials::Curve([1; 32]));
    // ZAP-26
    assert!(asked.request_id.iter().all(u8::is_ascii_digit));
    // All over one connection, which ends with the node.
    assert!(handler.ended.try_recv().is_err());
    drop(bench);
    handler.ended.recv_timeout(Duration::from_secs(5)).unwrap();
}

/// ZAP-22: whatever else it says.
#[test]
fn what_is_no_answer_is_passed_over() {
    let handler = Handler::start(|_, _| {
        vec![
            Say::WrongId(allowed()),
            Say::Message("nonsense".into()),
            Say::Message(Frames::from_iter(["", "1.0", "1"])),
            Say::Reply(Outcome::Refused),
            // Too late: it is answered.
            Say::Reply(allowed()),
        ]
    });
    let mut bench = Bench::of(&handler);
    bench.is_answered(1, REFUSED);
    bench.is_answered(2, REFUSED);
    assert!(handler.ended.try_recv().is_err());
}

/// ZAP-22
#[test]
fn replies_may_come_in_any_order() {
    let mut waiting = Vec::new();
    let handler = Handler::start(move |request, _| {
        waiting.push(request.clone());
        if waiting.len() < 3 {
            return Vec::new();
        }
        let reply = |request: Request| {
            let outcome = match key(&request)[0] {
                2 => allowed(),
                _ => Outcome::Refused,
            };
            let text = Default::default();
            let request_id = request.request_id;
            Say::Message(
                Reply {
                    request_id,
                    text,
                    outcome,
                }
                .encode(),
            )
        };
        waiting.drain(..).rev().map(reply).collect()
    });
    let mut bench = Bench::of(&handler);
    let [one, two, three] = [1, 2, 3].map(|key| bench.ask(key));
    for expected in [(three, REFUSED), (two, allow()), (one, REFUSED)] {
        let answer = bench.answer();
        assert_eq!((answer.link, answer.verdict), expected);
    }
}

/// ZAP-24
#[test]
fn one_that_hangs_up_or_speaks_no_zmtp_is_asked_again() {
    let handler = Handler::start(|_, before| match before {
        0 => vec![Say::HangUp],
        1 => vec![Say::Octets(&[0xff; 64])],
        _ => vec![Say::Reply(allowed())],
    });
    let mut bench = Bench::of(&handler);
    bench.is_answered(1, allow());
    bench.is_answered(2, allow());
    let keys: Vec<_> = handler
        .asked
        .try_iter()
        .map(|asked| key(&asked)[0])
        .collect();
    assert_eq!(keys, [1, 1, 1, 2]);
    assert_eq!(handler.ended.try_iter().count(), 2);
}

/// ZAP-24
#[test]
fn it_may_come_after_the_question() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut bench = Bench::at(address);
    let link = bench.ask(1);
    thread::sleep(Duration::from_millis(300));
    assert!(bench.asker.answer().is_none());
    let listener = TcpListener::bind(address).unwrap();
    let _handler = Handler::start_at(listener, |_, _| vec![Say::Reply(allowed())]);
    let answer = bench.answer();
    assert_eq!((answer.link, answer.verdict), (link, allow()));
}

/// ZAP-23: and neither lets in, however many there are.
/// ZAP-21: no more than so many wait.
#[test]
fn silence_is_no_answer() {
    let handler = Handler::start(|_, _| Vec::new());
    let mut bench = Bench::of(&handler);
    let began = std::time::Instant::now();
    for _ in 0..MOST {
        bench.ask(1);
    }
    assert!(bench.asker.answer().is_none());
    let link = bench.ask(2);
    let answer = bench.answer();
    assert_eq!((answer.link, answer.verdict), (link, NOT_NOW));
    assert!(began.elapsed() < PATIENCE);
    for _ in 0..MOST {
        assert_eq!(bench.answer().verdict, NOT_NOW);
    }
    assert!(began.elapsed() >= PATIENCE, "{:?}", began.elapsed());
    // It was dialled anew since it said nothing, and asked everything, what was not over by then twice.
    handler.ended.recv_timeout(Duration::from_secs(5)).unwrap();
    let asked: BTreeMap<_, _> = handler
        .asked
        .try_iter()
        .map(|asked| (asked.request_id, ()))
        .collect();
    assert_eq!(asked.len(), MOST);
}

#[test]
fn an_application_decides_without_stopping_anybody() {
    let (release, held) = channel::<()>();
    let held = std::sync::Mutex::new(held);
    let mut bench = Bench::new(Decider::Application(Arc::new(move |key, remote| {
        assert_eq!(remote.port(), 4000);
        match key.as_bytes()[0] {
            1 => {
                held.lock().unwrap().recv().unwrap();
                allow()
            }
            2 => panic!("as an application does"),
            _ => REFUSED,
        }
    })));
    let [one, two, three] = [1, 2, 3].map(|key| bench.ask(key));
    thread::sleep(Duration::from_millis(50));
    assert!(bench.asker.answer().is_none());
    release.send(()).unwrap();
    let failed = Verdict::Deny(Denial::Internal);
    for expected in [(one, allow()), (two, failed), (three, REFUSED)] {
        let answer = bench.answer();
        assert_eq!((answer.link, answer.verdict), expected);
    }
}

#[test]
fn what_waited_too_long_for_the_application_is_not_asked() {
    let (asks, asked) = channel();
    let asks = std::sync::Mutex::new(asks);
    let mut bench = Bench::new(Decider::Application(Arc::new(move |key, _| {
        asks.lock().unwrap().send(key.as_bytes()[0]).unwrap();
        thread::sleep(PATIENCE + Duration::from_millis(100));
        allow()
    })));
    let [slow, behind] = [1, 2].map(|key| bench.ask(key));
    for expected in [(slow, allow()), (behind, NOT_NOW)] {
        let answer = bench.answer();
        assert_eq!((answer.link, answer.verdict), expected);
    }
    drop(bench); // no more can be asked
    assert_eq!(asked.iter().collect::<Vec<_>>(), [1]);
}
