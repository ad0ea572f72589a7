//! Anything at all, in any order: the tables never contradict each other, and nothing panics.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::zmtp::SocketType;
use crate::zmtp::{self, Connection};
use core::time::Duration;

/// One thing that happens. Which link, listener or connect it is about is chosen of those that were ever named.
#[derive(Clone, Debug)]
enum Step {
    Bind,
    Unbind(usize),
    Connect,
    Disconnect(usize),
    Send(Vec<Vec<u8>>),
    Recv(usize),
    Subscribe(Vec<u8>),
    Unsubscribe(Vec<u8>),
    Reset,
    Close,
    Listening(usize),
    ListenFailed(usize),
    /// Somebody comes: what he is, if he speaks ZMTP.
    Accepted(usize, Option<usize>),
    Connected(usize),
    Disconnected(usize),
    /// Octets of nobody's.
    Garbage(usize, Vec<u8>),
    /// The other end of a link sends a message.
    Said(usize, Vec<Vec<u8>>),
    Wished(usize, Vec<u8>, bool),
    /// What the other end has to say comes, so many octets of it, and the other way round.
    Carry(usize, usize),
    Verdict(usize, bool),
    Wait(u64),
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let frame = prop_oneof![
        4 => prop::collection::vec(0..3_u8, 0..4),
        1 => prop::collection::vec(any::<u8>(), 0..400),
    ];
    prop::collection::vec(frame, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..40_usize;
    let prefix = || prop::collection::vec(0..3_u8, 0..4);
    prop_oneof![
        2 => Just(Step::Bind),
        1 => which().prop_map(Step::Unbind),
        3 => Just(Step::Connect),
        1 => which().prop_map(Step::Disconnect),
        20 => frames().prop_map(Step::Send),
        20 => (0..3_usize).prop_map(Step::Recv),
        4 => prefix().prop_map(Step::Subscribe),
        3 => prefix().prop_map(Step::Unsubscribe),
        2 => Just(Step::Reset),
        1 => (0..20_u8).prop_map(|n| if n == 0 { Step::Close } else { Step::Reset }),
        1 => which().prop_map(Step::Listening),
        1 => which().prop_map(Step::ListenFailed),
        6 => (which(), prop::option::weighted(0.9, which())).prop_map(|(at, kind)| Step::Accepted(at, kind)),
        6 => which().prop_map(Step::Connected),
        4 => which().prop_map(Step::Disconnected),
        2 => (which(), prop::collection::vec(any::<u8>(), 0..100)).prop_map(|(link, octets)| Step::Garbage(link, octets)),
        20 => (which(), frames()).prop_map(|(link, frames)| Step::Said(link, frames)),
        6 => (which(), prefix(), any::<bool>()).prop_map(|(link, prefix, wants)| Step::Wished(link, prefix, wants)),
        40 => (which(), prop_oneof![Just(usize::MAX), 0..100_usize]).prop_map(|(link, octets)| Step::Carry(link, octets)),
        1 => (which(), any::<bool>()).prop_map(|(link, verdict)| Step::Verdict(link, verdict)),
        10 => (0..2_000_u64).prop_map(Step::Wait),
    ]
}

struct World {
    now: Instant,
    socket: Socket,
    /// Every link there ever was, and whoever is at its other end.
    links: Vec<(LinkId, Option<Connection>)>,
    listeners: Vec<ListenerId>,
    connects: Vec<ConnectId>,
}

impl World {
    fn new(kind: Kind, choices: [bool; 6]) -> Self {
        let limit = QueueLimit {
            messages: 3,
            octets: 300,
        };
        let config = Config {
            send: limit,
            receive: limit,
            links: 6,
            unready_links: 3,
            linger: Duration::from_millis(900),
            handshake_timeout: Duration::from_millis(2_500),
            heartbeat: choices[0].then(|| zmtp::Heartbeat::every(Duration::from_millis(700))),
            immediate: choices[1],
            mandatory: choices[2],
            handover: choices[3],
            no_drop: choices[4],
            correlate: choices[5],
            verbose: choices[1],
            subscriptions: SubscriptionLimit {
                prefixes: 3,
                octets: 6,
            },
            ..Config::default()
        };
        let now = Instant::ZERO;
        Self {
            now,
            socket: Socket::new(now, [7; 32], kind, config),
            links: Vec::new(),
            listeners: Vec::new(),
            connects: Vec::new(),
        }
    }

    /// Somebody at the other end who may talk to the socket.
    fn somebody(&self, which: usize) -> Connection {
        let ours = SocketType::from(self.socket.kind());
        let mut all = SocketType::ALL
            .iter()
            .filter(|kind| ours.may_talk_to(**kind));
        let kinds = all.clone().count();
        let kind = *all.nth(which % kinds).expect("there are some");
        let identity = [b'a' + u8::try_from(which % 3).unwrap_or(0)];
        let config = zmtp::Config {
            // Some take the same.
            identity: identity.as_slice().try_into().unwrap_or_default(),
            ..zmtp::Config::new(kind)
        };
        Connection::new(self.now, config)
    }

    fn link(&self, which: usize) -> Option<LinkId> {
        let n = which.checked_rem(self.links.len())?;
        self.links.get(n).map(|(link, _)| *link)
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        let of = |all: usize, which: usize| which.checked_rem(all);
        match step {
            Step::Bind => {
                let here = "tcp://*:1".parse().expect("it is one");
                self.listeners.extend(self.socket.bind(now, &here));
            }
            Step::Unbind(which) => {
                if let Some(n) = of(self.listeners.len(), which) {
                    self.socket.unbind(now, self.listeners[n]);
                }
            }
            Step::Connect => {
                let there = "ipc://there".parse().expect("it is one");
                self.connects.extend(self.socket.connect(now, &there));
            }
            Step::Disconnect(which) => {
                if let Some(n) = of(self.connects.len(), which) {
                    self.socket.disconnect(now, self.connects[n]);
                }
            }
            Step::Send(frames) => {
                let can = self.socket.can_send();
                let before = self.socket.usage();
                let sent = self.socket.send(now, &frames.into_iter().collect());
                if sent.is_err() {
                    let after = self.socket.usage();
                    assert_eq!(before.queued_messages, after.queued_messages, "{sent:?}");
                }
                assert!(sent != Err(SendError::OutOfTurn) || !can);
                let full = sent == Err(SendError::Full);
                assert!(!full || !can || self.socket.kind() == Kind::Router);
            }
            Step::Recv(0) => {
                let can = self.socket.can_recv();
                let received = self.socket.recv(now);
                assert!(can || !matches!(received, Ok(Some(_))), "{received:?}");
            }
            Step::Recv(most) => {
                let mut messages = VecDeque::new();
                let _ = self.socket.recv_many(now, most * 100, &mut messages);
            }
            Step::Subscribe(prefix) => drop(self.socket.subscribe(now, prefix)),
            Step::Unsubscribe(prefix) => drop(self.socket.unsubscribe(now, &prefix)),
            Step::Reset => self.socket.reset(now),
            Step::Close => self.socket.close(now),
            Step::Listening(which) => {
                if let Some(n) = of(self.listeners.len(), which) {
                    let at = "tcp://0.0.0.0:1".parse().expect("it is one");
                    self.socket.handle_listening(now, self.listeners[n], at);
                }
            }
            Step::ListenFailed(which) => {
                if let Some(n) = of(self.listeners.len(), which) {
                    self.socket
                        .handle_listen_failed(now, self.listeners[n], "no");
                }
            }
            Step::Accepted(which, kind) => {
                if let Some(n) = of(self.listeners.len(), which)
                    && let Some(link) = self.socket.handle_accepted(now, self.listeners[n], None)
                {
                    let somebody = kind.map(|kind| self.somebody(kind));
                    self.links.push((link, somebody));
                }
            }
            Step::Connected(which) => {
                if let Some(link) = self.link(which) {
                    self.socket.handle_connected(now, link);
                }
            }
            Step::Disconnected(which) => {
                if let Some(link) = self.link(which) {
                    self.socket.handle_disconnected(now, link, Cut::Reset);
                }
            }
            Step::Garbage(which, octets) => {
                if let Some(link) = self.link(which) {
                    self.socket.handle_received(now, link, &octets);
                }
            }
            Step::Said(which, frames) => {
                if let Some(n) = of(self.links.len(), which)
                    && let Some(somebody) = &mut self.links[n].1
                {
                    let _ = somebody.send(frames.into_iter().collect());
                }
            }
            Step::Wished(which, prefix, wants) => {
                if let Some(n) = of(self.links.len(), which)
                    && let Some(somebody) = &mut self.links[n].1
                {
                    if wants {
                        somebody.subscribe(&prefix);
                    } else {
                        somebody.cancel(&prefix);
                    }
                }
            }
            Step::Carry(which, most) => self.carry(which, most),
            Step::Verdict(which, allowed) => {
                if let Some(link) = self.link(which) {
                    let denied = Verdict::Deny(crate::Denial::Refused);
                    let verdict = if allowed { Verdict::Allow } else { denied };
                    self.socket.handle_verdict(now, link, verdict);
                }
            }
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.socket.handle_timeout(self.now);
                assert!(self.socket.deadline().is_none_or(|at| at > self.now));
            }
        }
        self.look();
    }

    fn carry(&mut self, which: usize, most: usize) {
        let Some(n) = which.checked_rem(self.links.len()) else {
            return;
        };
        let now = self.now;
        let (link, Some(somebody)) = &mut self.links[n] else {
            return;
        };
        let there: Vec<u8> = self
            .socket
            .poll_transmit(*link)
            .flatten()
            .copied()
            .take(most)
            .collect();
        self.socket.handle_transmitted(now, *link, there.len());
        somebody.handle_input(now, &there);
        while let Some(event) = somebody.poll_event() {
            drop(event);
        }
        let here: Vec<u8> = somebody
            .poll_transmit()
            .flatten()
            .copied()
            .take(most)
            .collect();
        somebody.handle_transmitted(now, here.len());
        self.socket.handle_received(now, *link, &here);
    }

    fn look(&mut self) {
        self.socket.check_invariants();
        while let Some(action) = self.socket.poll_action() {
            if let Action::Dial { link, .. } = action {
                let somebody = self.somebody(self.links.len());
                self.links.push((link, Some(somebody)));
            }
        }
        while let Some(event) = self.socket.poll_event() {
            drop(event);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_tables_agree_whatever_happens(
        kind in prop::sample::select(Kind::ALL),
        choices: [bool; 6],
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new(kind, choices);
        world.step(Step::Bind);
        world.step(Step::Connect);
        for step in steps {
            world.step(step);
        }
        // In the end nothing is left.
        world.step(Step::Close);
        world.step(Step::Wait(1_000));
        prop_assert!(world.socket.is_closed());
        prop_assert_eq!(world.socket.usage(), Usage::default());
    }
}

#[test]
fn a_quiet_peer_costs_little() {
    let mut world = World::new(Kind::Pull, [false; 6]);
    world.step(Step::Bind);
    world.step(Step::Accepted(0, Some(0)));
    for _ in 0..3 {
        world.carry(0, usize::MAX);
    }
    let (_, entry) = world.socket.peers.pipes.iter().next().expect("it is there");
    assert!(entry.ready);
    let connection = entry.connection.as_ref().expect("it has one");
    assert!(connection.is_idle());
    assert_eq!(entry.queue.capacity(), 0);
    let octets = size_of::<Pipe>();
    assert!(octets <= 1_024, "{octets}");
}
