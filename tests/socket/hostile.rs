//! Whatever frames a peer sends to a REQ, a REP or a ROUTER, and whenever: nobody panics, nobody is stuck, others are served.

use atonce::socket::{Config, Kind, QueueLimit, RecvError, SendError};
use atonce::wire::zmtp::SocketType;
use atonce::{Bytes, Frames};
use proptest::prelude::*;

use crate::network::{HostId, Net};
use crate::{HERE, ms};

fn frame() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => Just(Bytes::new()),
        3 => prop::collection::vec(any::<u8>(), 1..6).prop_map(Bytes::from),
        1 => Just(Bytes::from_static(&[b'x'; 300])),
    ]
}

fn message() -> impl Strategy<Value = Frames> {
    let few = prop::collection::vec(frame(), 1..6);
    let many = (0..1_023_usize, 0..1_024_usize, frame()).prop_map(|(before, at, frame)| {
        let frames = (0..=before).map(|n| if n == at { Bytes::new() } else { frame.clone() });
        frames.collect()
    });
    prop_oneof![9 => few.prop_map(Frames::from), 1 => many]
}

#[derive(Clone, Debug)]
enum Step {
    /// The peer says something.
    Says(Frames),
    /// The application does.
    Sends(Frames),
    Receives,
    Resets,
    /// The peer reads, or does not.
    Reads(bool),
    /// The peer is replaced.
    Cut,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => message().prop_map(Step::Says),
        3 => message().prop_map(Step::Sends),
        3 => Just(Step::Receives),
        1 => Just(Step::Resets),
        1 => any::<bool>().prop_map(Step::Reads),
        1 => Just(Step::Cut),
        4 => Just(Step::Wait),
    ]
}

fn theirs(kind: Kind, n: usize) -> SocketType {
    match (kind, n % 2) {
        (Kind::Req, 0) => SocketType::Rep,
        (Kind::Req, _) => SocketType::Router,
        (_, 0) => SocketType::Dealer,
        (_, _) => SocketType::Req,
    }
}

fn mallory(net: &mut Net, kind: Kind, n: usize) -> HostId {
    let mallory = net.puppet(theirs(kind, n), HERE);
    net.run_for(ms(5));
    mallory
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn others_are_served_whatever_one_says(
        kind in prop_oneof![Just(Kind::Req), Just(Kind::Rep), Just(Kind::Router)],
        correlate: bool,
        mandatory: bool,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        // SOCK-43, SOCK-44, SOCK-52, SOCK-55, SOCK-70
        let mut net = Net::new();
        net.capacity = 1_000;
        let limit = QueueLimit { messages: 5, octets: 400_000 };
        let socket = net.socket_with(kind, Config {
            correlate,
            mandatory,
            send: limit,
            receive: limit,
            ..Config::default()
        });
        net.bind(socket, HERE);
        let mut peer = mallory(&mut net, kind, 0);
        let mut links = 1;
        for step in steps {
            match step {
                Step::Says(message) => {
                    if !net.the_puppet(peer).ended {
                        net.puppet_sends(peer, message);
                    }
                }
                Step::Sends(message) => {
                    let now = net.now;
                    let could = net.the(socket).can_send();
                    let sent = net.try_send(socket, message);
                    match kind {
                        Kind::Router => {}
                        _ => prop_assert!(could != matches!(sent, Err(SendError::Full | SendError::OutOfTurn)), "{:?}", sent),
                    }
                    prop_assert!(kind != Kind::Rep || sent != Err(SendError::Full));
                    prop_assert!(net.now == now);
                }
                Step::Receives => {
                    let _ = net.try_recv(socket);
                }
                Step::Resets => {
                    let now = net.now;
                    net.the(socket).reset(now);
                }
                Step::Reads(reads) => net.the_puppet(peer).reads = reads,
                Step::Cut => {
                    net.kill(peer);
                    peer = mallory(&mut net, kind, links);
                    links += 1;
                }
                Step::Wait => net.run_for(ms(20)),
            }
            let usage = net.the(socket).usage();
            // Of each peer that is there, and of those that are gone and whose messages wait.
            prop_assert!(usage.queued_messages <= 6, "{:?}", usage);
            prop_assert!(usage.pending_messages <= links * 1_000, "{:?}", usage);
        }
        // What one peer did is done with; an honest one comes.
        let honest = net.socket(match kind {
            Kind::Req => Kind::Rep,
            Kind::Rep => Kind::Req,
            _ => Kind::Dealer,
        });
        net.kill(peer);
        net.run_for(ms(5));
        net.connect(honest, HERE);
        net.run_for(ms(5));
        match kind {
            Kind::Req => {
                let now = net.now;
                net.the(socket).reset(now);
                net.send(socket, "q");
                net.run_for(ms(20));
                prop_assert_eq!(net.recv_all(honest), ["q"]);
                net.send(honest, "a");
                net.run_for(ms(20));
                prop_assert_eq!(net.recv_all(socket), ["a"]);
                prop_assert_eq!(net.try_recv(socket), Err(RecvError::OutOfTurn));
            }
            Kind::Rep => {
                net.send(honest, "q");
                net.run_for(ms(20));
                // Those before it had their turn: what they asked is answered, or nobody wants it.
                for _ in 0..links * 1_000 {
                    let answer = match net.try_recv(socket) {
                        Ok(Some(question)) if question == Frames::from("q") => "a",
                        Ok(None) => break,
                        _ => "whatever",
                    };
                    let _ = net.try_send(socket, answer);
                }
                net.run_for(ms(20));
                prop_assert_eq!(net.recv_all(honest), ["a"]);
            }
            _ => {
                net.send(honest, "hello");
                net.run_for(ms(20));
                let mut heard = None;
                while let Some(message) = net.recv(socket) {
                    heard = Some(message).filter(|message| message.last().unwrap() == "hello").or(heard);
                }
                let heard = heard.unwrap();
                net.send(socket, heard);
                net.run_for(ms(20));
                prop_assert_eq!(net.recv_all(honest), ["hello"]);
            }
        }
    }
}
