//! REP: questions in turn, envelopes, askers that are gone.

use atonce::Frames;
use atonce::socket::{Config, Kind, QueueLimit, RecvError, SendError};
use atonce::wire::zmtp::SocketType;

use crate::network::Net;
use crate::req_rep::{discarded, frames, heard, talk, two};
use crate::{HERE, ms};

#[test]
fn questions_are_taken_from_the_peers_in_turn() {
    // SOCK-50
    let mut net = Net::new();
    let rep = net.socket(Kind::Rep);
    net.bind(rep, HERE);
    let dealers: [_; 3] = std::array::from_fn(|_| net.puppet(SocketType::Dealer, HERE));
    for (n, dealer) in dealers.into_iter().enumerate() {
        for k in 0..4 {
            net.puppet_sends(dealer, frames(&format!("|{n}.{k}")));
        }
    }
    net.run_for(ms(10));
    let mut order = Vec::new();
    while let Some(question) = net.recv(rep) {
        order.push(String::from_utf8(question[0].to_vec()).unwrap());
        net.send(rep, question);
    }
    for (k, round) in order.chunks(3).enumerate() {
        let mut round = round.to_vec();
        round.sort();
        assert_eq!(
            round,
            [format!("0.{k}"), format!("1.{k}"), format!("2.{k}")]
        );
    }
    net.run_for(ms(10));
    for (n, dealer) in dealers.into_iter().enumerate() {
        let expected: Vec<_> = (0..4).map(|k| format!("|{n}.{k}")).collect();
        assert_eq!(net.puppet_hears(dealer), expected);
    }
}

#[test]
fn what_stands_before_a_question_stands_before_its_answer() {
    // SOCK-51
    let mut net = Net::new();
    let rep = net.socket(Kind::Rep);
    net.bind(rep, HERE);
    let dealer = net.puppet(SocketType::Dealer, HERE);
    for envelope in ["|", "one|", "one|\u{1}two|three|"] {
        net.puppet_sends(dealer, frames(&format!("{envelope}|q")));
        net.run_for(ms(10));
    }
    for envelope in ["|", "one|", "one|\u{1}two|three|"] {
        // That of "|" is one empty frame, and the question begins with one.
        let (envelope, question) = match envelope {
            "|" => ("", "|q"),
            envelope => (envelope, "q"),
        };
        assert_eq!(net.recv(rep), Some(frames(question)));
        net.send(rep, frames("a|b"));
        net.run_for(ms(10));
        assert_eq!(net.puppet_hears(dealer), [format!("{envelope}|a|b")]);
    }
}

#[test]
fn a_question_without_an_envelope_is_discarded_and_the_link_stays() {
    // SOCK-52
    let mut net = Net::new();
    let rep = net.socket(Kind::Rep);
    net.bind(rep, HERE);
    let dealer = net.puppet(SocketType::Dealer, HERE);
    for malformed in ["q", "a|q", "a|b|c", "a|"] {
        net.puppet_sends(dealer, frames(malformed));
    }
    net.puppet_sends(dealer, Frames::from(""));
    net.puppet_sends(dealer, frames("|good"));
    net.run_for(ms(10));
    assert_eq!(net.recv(rep), Some(Frames::from("good")));
    assert_eq!(discarded(&mut net, rep), 5);
    assert_eq!(net.the(rep).counters().messages_received, 1);
    net.send(rep, "a");
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(dealer), ["|a"]);
    assert_eq!(net.links(rep), 1);
    // None but malformed ones.
    net.puppet_sends(dealer, frames("q"));
    net.run_for(ms(10));
    assert_eq!(net.try_recv(rep), Ok(None));
    assert!(!net.the(rep).can_recv());
}

#[test]
fn an_envelope_has_as_many_frames_as_there_may_be_devices() {
    // SOCK-52
    let mut net = Net::new();
    let rep = net.socket(Kind::Rep);
    net.bind(rep, HERE);
    let dealer = net.puppet(SocketType::Dealer, HERE);
    let asks = |hops: usize| {
        let mut message: Frames = (0..hops).map(|hop| hop.to_string()).collect();
        message.push("");
        message.push("q");
        message
    };
    net.puppet_sends(dealer, asks(255));
    net.puppet_sends(dealer, asks(256));
    // As many frames as a message may have: with and without an empty one.
    net.puppet_sends(dealer, asks(1_022));
    net.puppet_sends(dealer, (0..1_024).map(|_| "x").collect::<Frames>());
    net.puppet_sends(dealer, frames("|last"));
    net.run_for(ms(10));
    assert_eq!(net.recv(rep), Some(Frames::from("q")));
    // An answer of many frames still fits into a message.
    net.send(rep, (0..768).map(|_| "a").collect::<Frames>());
    net.run_for(ms(10));
    let answer = heard(&mut net, dealer).remove(0);
    assert_eq!(answer.len(), 1_024);
    assert_eq!(answer[..256], asks(255)[..256]);
    assert_eq!(net.recv(rep), Some(Frames::from("last")));
    assert_eq!(discarded(&mut net, rep), 3);
    assert_eq!(net.links(rep), 1);
}

#[test]
fn an_asker_that_is_gone_is_told_once_and_the_next_one_is_answered() {
    // SOCK-54
    let (mut net, req, rep) = two();
    let next = net.socket(Kind::Req);
    net.send(req, "q1");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(rep), ["q1"]);
    net.kill(req);
    net.run_for(ms(10));
    net.connect(next, HERE);
    net.send(next, "q2");
    net.run_for(ms(10));
    assert!(net.the(rep).can_send() && !net.the(rep).can_recv());
    assert_eq!(net.try_recv(rep), Err(RecvError::OutOfTurn));
    assert_eq!(net.try_send(rep, "a1"), Err(SendError::PeerLost));
    assert_eq!(net.try_send(rep, "a1"), Err(SendError::OutOfTurn));
    assert_eq!(net.recv_all(rep), ["q2"]);
    net.send(rep, "a2");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(next), ["a2"]);
}

#[test]
fn a_question_of_one_who_is_gone_is_given_and_its_answer_goes_nowhere() {
    // SOCK-54
    let mut net = Net::new();
    let rep = net.socket(Kind::Rep);
    let (one, two) = (
        net.puppet_at(SocketType::Dealer, HERE),
        net.puppet_at(SocketType::Dealer, HERE),
    );
    // The REP dials, so that the next link is another one of the same pipe.
    net.connect(rep, HERE);
    net.run_for(ms(10));
    net.puppet_sends(one, frames("|q1"));
    net.puppet_sends(one, frames("|q2"));
    net.run_for(ms(10));
    assert_eq!(net.recv(rep), Some(Frames::from("q1")));
    net.kill(one);
    net.run_for(ms(500));
    net.puppet_sends(two, frames("|q3"));
    net.run_for(ms(10));
    assert_eq!(net.the(rep).peers().count(), 1);
    assert_eq!(net.try_send(rep, "a1"), Err(SendError::PeerLost));
    assert_eq!(net.recv(rep), Some(Frames::from("q2")));
    assert_eq!(net.try_send(rep, "a2"), Err(SendError::PeerLost));
    assert_eq!(net.recv(rep), Some(Frames::from("q3")));
    net.send(rep, "a3");
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(two), ["|a3"]);
}

#[test]
fn who_does_not_take_its_answers_holds_up_nobody_else() {
    // SOCK-55
    let mut net = Net::new();
    net.capacity = 1_000;
    let config = Config {
        send: QueueLimit {
            messages: 3,
            octets: 1 << 20,
        },
        receive: QueueLimit {
            messages: 10,
            octets: 1 << 20,
        },
        ..Config::default()
    };
    let (rep, req) = (net.socket_with(Kind::Rep, config), net.socket(Kind::Req));
    net.bind(rep, HERE);
    net.connect(req, HERE);
    let dealer = net.puppet(SocketType::Dealer, HERE);
    net.run_for(ms(10));
    net.the_puppet(dealer).reads = false;
    for n in 0..100 {
        net.puppet_sends(dealer, frames(&format!("|{n}")));
    }
    net.run_for(ms(100));
    // Answers of which none fits into the wire.
    let mut taken = 0;
    while let Some(question) = net.recv(rep) {
        assert_eq!(question, Frames::from(taken.to_string()));
        net.send(rep, vec![b'a'; 2_000]);
        net.run_for(ms(10));
        taken += 1;
    }
    assert!(
        (3..6).contains(&taken),
        "{taken} answers in a queue of three"
    );
    assert!(!net.the(rep).can_recv());
    for n in 0..20 {
        talk(&mut net, req, rep, &format!("q{n}"));
    }
    let usage = net.the(rep).usage();
    assert!(
        usage.queued_messages <= 4 && usage.pending_messages <= 11,
        "{usage:?}"
    );
    // It reads again, and gets what it asked for.
    net.the_puppet(dealer).reads = true;
    for n in taken..100 {
        net.run_for(ms(100));
        assert!(net.the(rep).can_recv(), "{n}");
        assert_eq!(net.recv(rep), Some(Frames::from(n.to_string())));
        net.send(rep, "a");
    }
    net.run_for(ms(100));
    assert_eq!(net.puppet_hears(dealer).len(), 100);
}

#[test]
fn one_who_does_not_take_its_answers_and_is_gone_leaves_nothing() {
    // SOCK-55, SOCK-57
    let mut net = Net::new();
    net.capacity = 100;
    let config = Config {
        send: QueueLimit {
            messages: 1,
            octets: 1 << 20,
        },
        ..Config::default()
    };
    let rep = net.socket_with(Kind::Rep, config);
    net.bind(rep, HERE);
    let dealer = net.puppet(SocketType::Dealer, HERE);
    net.run_for(ms(10));
    net.the_puppet(dealer).reads = false;
    for n in 0..3 {
        net.puppet_sends(dealer, frames(&format!("|{n}")));
    }
    net.run_for(ms(100));
    assert_eq!(net.recv(rep), Some(Frames::from("0")));
    net.send(rep, vec![b'a'; 2_000]);
    assert_eq!(net.recv(rep), None);
    net.kill(dealer);
    net.run_for(ms(10));
    // What it asked is still given, and has no answer.
    for n in 1..3 {
        assert_eq!(net.recv(rep), Some(Frames::from(n.to_string())));
        assert_eq!(net.try_send(rep, "a"), Err(SendError::PeerLost));
    }
    assert_eq!(net.recv(rep), None);
    assert_eq!(net.the(rep).counters().messages_lost, 1);
    let usage = net.the(rep).usage();
    assert_eq!(
        (usage.links, usage.queued_messages, usage.pending_messages),
        (0, 0, 0)
    );
}

#[test]
fn answers_that_waited_do_not_go_over_the_next_link() {
    // SOCK-57: the REP dials, and the other side asks something else when it is back.
    let mut net = Net::new();
    net.capacity = 1_000;
    let rep = net.socket(Kind::Rep);
    let (one, two) = (
        net.puppet_at(SocketType::Dealer, HERE),
        net.puppet_at(SocketType::Dealer, HERE),
    );
    net.connect(rep, HERE);
    net.run_for(ms(10));
    net.the_puppet(one).reads = false;
    for _ in 0..8 {
        net.puppet_sends(one, frames("|q"));
        net.run_for(ms(10));
        assert_eq!(net.recv_all(rep), ["q"]);
        // More than is handed to a link at once.
        net.send(rep, vec![b'a'; 100_000]);
    }
    net.kill(one);
    net.run_for(ms(10));
    assert_eq!(net.the(rep).counters().messages_lost, 8);
    net.run_for(ms(500));
    net.puppet_sends(two, frames("|another"));
    net.run_for(ms(10));
    assert_eq!(net.recv_all(rep), ["another"]);
    net.send(rep, "its answer");
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(two), ["|its answer"]);
}

#[test]
fn a_question_that_a_rep_gives_up_stays_without_an_answer() {
    // SOCK-56
    let (mut net, req, rep) = two();
    let other = net.socket(Kind::Req);
    net.connect(other, HERE);
    net.send(req, "q1");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(rep), ["q1"]);
    let now = net.now;
    net.the(rep).reset(now);
    assert_eq!(net.try_send(rep, "a1"), Err(SendError::OutOfTurn));
    talk(&mut net, other, rep, "q2");
    assert_eq!(net.try_recv(req), Ok(None));
    // And one whose asker is gone.
    net.send(other, "q3");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(rep), ["q3"]);
    net.kill(other);
    net.run_for(ms(10));
    let now = net.now;
    net.the(rep).reset(now);
    assert_eq!(net.try_send(rep, "a3"), Err(SendError::OutOfTurn));
    net.the(req).reset(now);
    talk(&mut net, req, rep, "q4");
}
