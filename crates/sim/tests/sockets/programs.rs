//! What people build of sockets, each as small as it can be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use atonce::socket::{Config, Event, Kind, RecvError, SendError};
use atonce::{Bytes, Frames, Instant};
use atonce_sim::{NodeId, Nodes, Program};

use super::{at, config, ms, s};

/// A number, as a frame of at least eight octets.
pub(crate) fn number(n: u64, octets: usize) -> Bytes {
    let mut frame = n.to_be_bytes().to_vec();
    frame.resize(octets.max(8), 7);
    frame.into()
}

pub(crate) fn read(frame: &Bytes) -> u64 {
    u64::from_be_bytes(*frame.first_chunk().expect("a number"))
}

/// Hands out numbered tasks to whoever comes (PUSH).
pub(crate) struct Ventilator {
    pub(crate) bind: &'static str,
    pub(crate) tasks: u64,
    pub(crate) octets: usize,
    pub(crate) config: Config,
    pub(crate) next: u64,
    /// Those that it was told to be lost.
    pub(crate) lost: u64,
    pub(crate) socket: Option<NodeId>,
}

impl Ventilator {
    pub(crate) fn new(bind: &'static str, tasks: u64, octets: usize) -> Self {
        Self {
            bind,
            tasks,
            octets,
            config: config(),
            next: 0,
            lost: 0,
            socket: None,
        }
    }

    pub(crate) fn go_on(&mut self, nodes: &mut Nodes<'_>) {
        let socket = self.socket.unwrap();
        nodes.with_socket(socket, |socket| {
            while self.next < self.tasks {
                let task = Frames::from(number(self.next, self.octets));
                match socket.send(&task) {
                    Ok(()) => self.next += 1,
                    Err(error) => return assert_eq!(error, SendError::Full),
                }
            }
        });
    }
}

impl Program for Ventilator {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let socket = nodes.start_socket(Kind::Push, self.config.clone());
        nodes.with_socket(socket, |socket| socket.bind(&at(self.bind)).unwrap());
        self.socket = Some(socket);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, _: NodeId) {
        self.go_on(nodes);
    }

    fn on_socket_event(&mut self, _: &mut Nodes<'_>, _: NodeId, event: Event) {
        if let Event::Disconnected { lost, .. } = event {
            self.lost += lost as u64;
        }
    }
}

/// Takes one task after the other, works for a while, and gives the result on (PULL, PUSH).
pub(crate) struct Worker {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) work: Duration,
    pub(crate) config: Config,
    pub(crate) taken: Vec<u64>,
    pub(crate) busy: Option<Frames>,
    pub(crate) sockets: Vec<NodeId>,
}

impl Worker {
    pub(crate) fn new(from: &'static str, to: &'static str, work: Duration) -> Self {
        Self {
            from,
            to,
            work,
            config: config(),
            taken: Vec::new(),
            busy: None,
            sockets: Vec::new(),
        }
    }

    fn take(&mut self, nodes: &mut Nodes<'_>) {
        if self.busy.is_some() {
            return;
        }
        let task = nodes.with_socket(self.sockets[0], |pull| pull.recv().unwrap());
        if let Some(Some(task)) = task {
            self.taken.push(read(&task[0]));
            self.busy = Some(task);
            nodes.set_timer(self.work, 0);
        }
    }

    fn give(&mut self, nodes: &mut Nodes<'_>) {
        let Some(result) = self.busy.clone() else {
            return;
        };
        let sent = nodes.with_socket(self.sockets[1], |push| push.send(&result));
        match sent {
            Some(Ok(())) => {
                self.busy = None;
                self.take(nodes);
            }
            // The sink is slow, or not there.
            _ => nodes.set_timer(ms(50), 0),
        }
    }
}

impl Program for Worker {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let pull = nodes.start_socket(Kind::Pull, self.config.clone());
        let push = nodes.start_socket(Kind::Push, self.config.clone());
        nodes.with_socket(pull, |pull| pull.connect(&at(self.from)).unwrap());
        nodes.with_socket(push, |push| push.connect(&at(self.to)).unwrap());
        self.sockets = vec![pull, push];
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, _: NodeId) {
        self.take(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, _: u64) {
        self.give(nodes);
    }
}

/// Takes whatever comes (PULL).
pub(crate) struct Sink {
    pub(crate) bind: &'static str,
    pub(crate) config: Config,
    pub(crate) got: BTreeSet<u64>,
    pub(crate) socket: Option<NodeId>,
}

impl Sink {
    pub(crate) fn new(bind: &'static str) -> Self {
        Self {
            bind,
            config: config(),
            got: BTreeSet::new(),
            socket: None,
        }
    }
}

impl Program for Sink {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let socket = nodes.start_socket(Kind::Pull, self.config.clone());
        nodes.with_socket(socket, |socket| socket.bind(&at(self.bind)).unwrap());
        self.socket = Some(socket);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        nodes.with_socket(socket, |socket| {
            while let Some(result) = socket.recv().unwrap() {
                let n = read(&result[0]);
                assert!(self.got.insert(n), "{n} comes twice");
            }
        });
    }
}

/// Asks one question after the other, and asks anew when there is no answer (REQ).
pub(crate) struct Client {
    pub(crate) server: &'static str,
    pub(crate) correlate: bool,
    pub(crate) patience: Duration,
    pub(crate) answers: u64,
    pub(crate) resets: u64,
    pub(crate) lost: u64,
    asked: Option<(u64, Instant)>,
    next: u64,
    socket: Option<NodeId>,
}

impl Client {
    pub(crate) fn new(server: &'static str, correlate: bool) -> Self {
        Self {
            server,
            correlate,
            patience: s(2),
            answers: 0,
            resets: 0,
            lost: 0,
            asked: None,
            next: 0,
            socket: None,
        }
    }

    fn go_on(&mut self, nodes: &mut Nodes<'_>) {
        let now = nodes.true_now();
        nodes.with_socket(self.socket.unwrap(), |socket| {
            if let Some((question, since)) = self.asked {
                match socket.recv() {
                    Ok(Some(answer)) => {
                        assert_eq!(read(&answer[0]), question, "the answer to another question");
                        self.answers += 1;
                    }
                    Ok(None) if now - since >= self.patience => {
                        self.resets += 1;
                        socket.reset();
                    }
                    Ok(None) => return,
                    Err(error) => {
                        assert_eq!(error, RecvError::PeerLost);
                        self.lost += 1;
                    }
                }
                self.asked = None;
            }
        });
    }

    fn ask(&mut self, nodes: &mut Nodes<'_>) {
        if self.asked.is_some() {
            return;
        }
        let now = nodes.true_now();
        nodes.with_socket(self.socket.unwrap(), |socket| {
            let question = Frames::from(number(self.next, 8));
            match socket.send(&question) {
                Ok(()) => {
                    self.asked = Some((self.next, now));
                    self.next += 1;
                }
                Err(error) => assert_eq!(error, SendError::Full),
            }
        });
    }
}

impl Program for Client {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let config = Config {
            correlate: self.correlate,
            ..config()
        };
        let socket = nodes.start_socket(Kind::Req, config);
        nodes.with_socket(socket, |socket| socket.connect(&at(self.server)).unwrap());
        self.socket = Some(socket);
        nodes.set_timer(ms(100), 0);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, _: NodeId) {
        self.go_on(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, _: u64) {
        self.go_on(nodes);
        self.ask(nodes);
        nodes.set_timer(ms(100), 0);
    }
}

/// Answers with what it was asked (REP).
pub(crate) struct Server {
    /// Where the questions come from.
    pub(crate) queue: &'static str,
    pub(crate) binds: bool,
    pub(crate) answered: u64,
    pub(crate) gone: u64,
}

impl Server {
    pub(crate) fn of(queue: &'static str) -> Self {
        Self {
            queue,
            binds: false,
            answered: 0,
            gone: 0,
        }
    }
}

impl Program for Server {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let socket = nodes.start_socket(Kind::Rep, config());
        nodes.with_socket(socket, |socket| {
            if self.binds {
                socket.bind(&at(self.queue)).unwrap();
            } else {
                socket.connect(&at(self.queue)).unwrap();
            }
        });
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        nodes.with_socket(socket, |socket| {
            while let Some(question) = socket.recv().unwrap() {
                match socket.send(&question) {
                    Ok(()) => self.answered += 1,
                    Err(error) => {
                        assert_eq!(error, SendError::PeerLost);
                        self.gone += 1;
                    }
                }
            }
        });
    }
}

/// Passes on what comes at one of two sockets to the other: the queue of ROUTER and DEALER.
pub(crate) struct Queue {
    pub(crate) front: &'static str,
    pub(crate) back: &'static str,
    pub(crate) unroutable: u64,
    sockets: [Option<NodeId>; 2],
    /// What the other one had no room for.
    waiting: [VecDeque<Frames>; 2],
}

impl Queue {
    pub(crate) fn new(front: &'static str, back: &'static str) -> Self {
        Self {
            front,
            back,
            unroutable: 0,
            sockets: [None; 2],
            waiting: [VecDeque::new(), VecDeque::new()],
        }
    }
}

impl Program for Queue {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let both = [(Kind::Router, self.front), (Kind::Dealer, self.back)];
        self.sockets = both.map(|(kind, endpoint)| {
            let socket = nodes.start_socket(kind, config());
            nodes.with_socket(socket, |socket| socket.bind(&at(endpoint)).unwrap());
            Some(socket)
        });
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, _: NodeId) {
        for from in 0..2 {
            let [Some(here), Some(there)] = [self.sockets[from], self.sockets[1 - from]] else {
                return;
            };
            loop {
                // No more than one waits: the others are held back where they come from.
                if self.waiting[from].is_empty() {
                    let message = nodes.with_socket(here, |socket| socket.recv().unwrap());
                    self.waiting[from].extend(message.flatten());
                }
                let Some(message) = self.waiting[from].front() else {
                    break;
                };
                match nodes.with_socket(there, |socket| socket.send(message)) {
                    Some(Ok(())) => {}
                    Some(Err(SendError::Full)) => break,
                    Some(Err(error)) => {
                        assert_eq!(error, SendError::Unroutable);
                        self.unroutable += 1;
                    }
                    None => return,
                }
                self.waiting[from].pop_front();
            }
        }
    }
}

/// Publishes numbers, even ones under one topic and odd ones under another (PUB).
pub(crate) struct Publisher {
    pub(crate) bind: &'static str,
    /// Which of several that were there one after the other.
    pub(crate) life: u64,
    pub(crate) every: Duration,
    pub(crate) octets: usize,
    pub(crate) config: Config,
    pub(crate) next: u64,
    pub(crate) socket: Option<NodeId>,
}

impl Publisher {
    pub(crate) fn new(bind: &'static str, life: u64) -> Self {
        Self {
            bind,
            life,
            every: ms(100),
            octets: 8,
            config: config(),
            next: 0,
            socket: None,
        }
    }
}

impl Program for Publisher {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let socket = nodes.start_socket(Kind::Pub, self.config.clone());
        nodes.with_socket(socket, |socket| socket.bind(&at(self.bind)).unwrap());
        self.socket = Some(socket);
        nodes.set_timer(self.every, 0);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, _: u64) {
        let topic = if self.next.is_multiple_of(2) {
            "even"
        } else {
            "odd"
        };
        let news = Frames::from([
            Bytes::from(topic),
            number(self.life, 8),
            number(self.next, self.octets),
        ]);
        nodes.with_socket(self.socket.unwrap(), |socket| socket.send(&news).unwrap());
        self.next += 1;
        nodes.set_timer(self.every, 0);
    }
}

/// Hears what it wants, in order (SUB).
pub(crate) struct Subscriber {
    pub(crate) publisher: &'static str,
    pub(crate) topic: &'static str,
    /// The numbers that it heard, of each life of the publisher.
    pub(crate) got: BTreeMap<u64, Vec<u64>>,
    pub(crate) config: Config,
    pub(crate) socket: Option<NodeId>,
}

impl Subscriber {
    pub(crate) fn new(publisher: &'static str, topic: &'static str) -> Self {
        Self {
            publisher,
            topic,
            got: BTreeMap::new(),
            config: config(),
            socket: None,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.got.values().map(Vec::len).sum()
    }
}

impl Program for Subscriber {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let socket = nodes.start_socket(Kind::Sub, self.config.clone());
        nodes.with_socket(socket, |socket| {
            socket.subscribe(self.topic.as_bytes()).unwrap();
            socket.connect(&at(self.publisher)).unwrap();
        });
        self.socket = Some(socket);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        nodes.with_socket(socket, |socket| {
            while let Some(news) = socket.recv().unwrap() {
                assert!(news[0].starts_with(self.topic.as_bytes()), "{news:?}");
                let (life, n) = (read(&news[1]), read(&news[2]));
                let got = self.got.entry(life).or_default();
                assert!(got.last() < Some(&n), "{n} comes after {:?}", got.last());
                got.push(n);
            }
        });
    }
}

/// Says a number ten times a second to its partner, and hears his (PAIR).
pub(crate) struct Partner {
    pub(crate) endpoint: &'static str,
    pub(crate) binds: bool,
    pub(crate) said: u64,
    pub(crate) heard: u64,
    socket: Option<NodeId>,
}

impl Partner {
    pub(crate) fn new(endpoint: &'static str, binds: bool) -> Self {
        Self {
            endpoint,
            binds,
            said: 0,
            heard: 0,
            socket: None,
        }
    }
}

impl Program for Partner {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let socket = nodes.start_socket(Kind::Pair, config());
        nodes.with_socket(socket, |socket| {
            if self.binds {
                socket.bind(&at(self.endpoint)).unwrap();
            } else {
                socket.connect(&at(self.endpoint)).unwrap();
            }
        });
        self.socket = Some(socket);
        nodes.set_timer(ms(100), 0);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        nodes.with_socket(socket, |socket| {
            while socket.recv().unwrap().is_some() {
                self.heard += 1;
            }
        });
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, _: u64) {
        nodes.with_socket(self.socket.unwrap(), |socket| {
            let said = socket.send(&Frames::from(number(self.said, 8)));
            assert!(matches!(said, Ok(()) | Err(SendError::Full)), "{said:?}");
            self.said += u64::from(said.is_ok());
        });
        nodes.set_timer(ms(100), 0);
    }
}
