//! The roles of PUSH and PULL, REQ and REP, PUB and SUB: what is the same of them for all, and how the sockets of an async
//! crate play them.
#![allow(async_fn_in_trait)] // nobody else implements them

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet, spawn_blocking, spawn_local};
use tokio::time::timeout;

use crate::bare::{Dealer, Router, echo, linger, ping, runtime, sink, source};
use crate::{Pattern, Publish, Shouting, Subscribe, Watch, reached_at, until_told};

/// How often a PUB says what will follow, until all have heard it.
pub const AGAIN: Duration = Duration::from_millis(5);

/// How long a PUB waits for an answer, and a process for what is published.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The first octet of what is published after that: it is no digit.
const CONTENT: u8 = 7;

/// What is published.
#[must_use]
pub fn content(size: usize) -> Bytes {
    vec![CONTENT; size].into()
}

/// One SUB: what it has heard.
#[derive(Debug, Default)]
pub struct Hearing {
    shouting: Option<Shouting>,
    heard: usize,
    answers: usize,
}

impl Hearing {
    /// A message came. The number of the answer that it makes due, the first of which says no more than that it hears the PUB.
    ///
    /// # Panics
    ///
    /// A message came before the PUB said what would follow.
    pub fn handle(&mut self, message: &[u8]) -> Option<usize> {
        if message.first() == Some(&CONTENT) {
            let shouting = self.shouting.expect("it is told what follows");
            self.heard += 1;
            if !shouting.is_answered(self.heard) {
                return None;
            }
        } else {
            let said = Shouting::announced(message);
            if self.shouting.replace(said).is_some() {
                // It is said until all have heard it.
                return None;
            }
        }
        self.answers += 1;
        Some(self.answers - 1)
    }

    /// How many messages it heard, once it heard all.
    #[must_use]
    pub fn is_done(&self) -> Option<usize> {
        let all = self.shouting.is_some_and(|it| it.count == self.heard);
        all.then_some(self.heard)
    }
}

/// All SUBs of a process, which answer together.
#[derive(Debug)]
pub struct Tally {
    sockets: usize,
    /// How many of them have made each answer.
    made: Vec<usize>,
    watch: Option<Watch>,
}

impl Tally {
    /// Of so many.
    #[must_use]
    pub fn new(sockets: usize) -> Self {
        Self {
            sockets,
            made: Vec::new(),
            watch: None,
        }
    }

    /// One of them has an answer to make; whether it is the last of them, so that the process has.
    pub fn note(&mut self, answer: usize) -> bool {
        if self.made.len() <= answer {
            self.made.resize(answer + 1, 0);
        }
        self.made[answer] += 1;
        let all = self.made[answer] == self.sockets;
        if all && answer == 0 {
            // The PUB begins when all processes have said so.
            self.watch = Some(Watch::start());
        }
        all
    }

    /// Says what it cost.
    ///
    /// # Panics
    ///
    /// Nobody has heard the PUB.
    pub fn report(&self, messages: usize) {
        self.watch.expect("all heard it").report(messages);
    }
}

/// What a socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Sends to one after the other.
    Push,
    /// Takes from all.
    Pull,
    /// Sends to all who subscribed.
    Publisher,
    /// Subscribed to everything.
    Subscriber,
    /// Asks.
    Requester,
    /// Answers.
    Replier,
}

/// A socket of an async crate; messages are one frame.
pub trait Socket: Sized + 'static {
    /// Connects to `tcp://ADDRESS:PORT`.
    async fn connect(kind: Kind, address: &str) -> Self;
    /// Binds to a free port of the loopback and says to which.
    async fn bind(kind: Kind) -> (Self, String);
    /// Sends a message; waits for room.
    async fn send(&mut self, content: Bytes);
    /// The next message.
    async fn recv(&mut self) -> Bytes;
}

/// A REQ asks like a DEALER.
struct Requester<S>(S);

impl<S: Socket> Dealer for Requester<S> {
    async fn connect(address: &str) -> Self {
        Self(S::connect(Kind::Requester, address).await)
    }

    async fn send(&mut self, content: Bytes) {
        self.0.send(content).await;
    }

    async fn recv(&mut self) -> Bytes {
        self.0.recv().await
    }
}

/// A REP answers like a ROUTER, and only whom it knows: who asked.
struct Replier<S>(S);

impl<S: Socket> Router for Replier<S> {
    type Name = ();

    async fn bind() -> (Self, String) {
        let (socket, address) = S::bind(Kind::Replier).await;
        (Self(socket), address)
    }

    async fn recv(&mut self) -> ((), Bytes) {
        ((), self.0.recv().await)
    }

    async fn send(&mut self, (): (), content: Bytes) {
        self.0.send(content).await;
    }
}

/// A PUSH hears from whoever plays that all has come.
struct Push<S>(S);

impl<S: Socket> Dealer for Push<S> {
    async fn connect(address: &str) -> Self {
        Self(S::connect(Kind::Push, address).await)
    }

    async fn send(&mut self, content: Bytes) {
        self.0.send(content).await;
    }

    async fn recv(&mut self) -> Bytes {
        // What is sent is sent by tasks of this thread.
        spawn_blocking(until_told).await.expect("it waits");
        Bytes::new()
    }
}

/// A PULL has told whoever plays that all has come, and has nothing to say to a PUSH.
struct Pull<S>(S);

impl<S: Socket> Router for Pull<S> {
    type Name = ();

    async fn bind() -> (Self, String) {
        let (socket, address) = S::bind(Kind::Pull).await;
        (Self(socket), address)
    }

    async fn recv(&mut self) -> ((), Bytes) {
        ((), self.0.recv().await)
    }

    async fn send(&mut self, (): (), _: Bytes) {}
}

/// Plays a role.
///
/// # Panics
///
/// Something fails.
pub fn play<S: Socket>(pattern: Pattern) {
    let runtime = runtime();
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        match pattern {
            Pattern::Pull => sink::<Pull<S>>().await,
            Pattern::Push(load) => source::<Push<S>>(&load).await,
            Pattern::Reply => echo::<Replier<S>>().await,
            Pattern::Request(load) => ping::<Requester<S>>(&load).await,
            Pattern::Publish(it) => publish::<S>(&it).await,
            Pattern::Subscribe(it) => subscribe::<S>(&it).await,
        }
    });
    drop(tasks);
    // Some crates have tasks that do not end.
    runtime.shutdown_background();
}

async fn publish<S: Socket>(it: &Publish) {
    let (mut publisher, address) = S::bind(Kind::Publisher).await;
    let (mut pull, back) = S::bind(Kind::Pull).await;
    let (answer, mut answers) = mpsc::unbounded_channel();
    // A task of its own: not every crate's `recv` may be given up.
    spawn_local(async move {
        loop {
            pull.recv().await;
            if answer.send(()).is_err() {
                return;
            }
        }
    });
    reached_at(format!("{address} {back}"));
    let announcement = Bytes::from(it.shouting.announcement());
    let mut here = 0;
    while here < it.processes {
        publisher.send(announcement.clone()).await;
        if timeout(AGAIN, answers.recv()).await.is_ok() {
            here += 1;
        }
    }
    let content = content(it.size);
    let watch = Watch::start();
    let mut owed = 0;
    for said in 1..=it.shouting.count {
        publisher.send(content.clone()).await;
        if it.shouting.is_answered(said) {
            for _ in 0..owed {
                answered(&mut answers).await;
            }
            owed = it.processes;
        }
    }
    for _ in 0..owed {
        answered(&mut answers).await;
    }
    watch.report(it.shouting.count);
}

async fn answered(answers: &mut mpsc::UnboundedReceiver<()>) {
    let answer = timeout(PATIENCE, answers.recv()).await;
    answer.expect("all have heard it").expect("it is there");
}

async fn subscribe<S: Socket>(it: &Subscribe) {
    let mut push = S::connect(Kind::Push, &it.back).await;
    let tally = Rc::new(RefCell::new(Tally::new(it.sockets)));
    let (answer, mut answers) = mpsc::unbounded_channel();
    let mut sockets = JoinSet::new();
    for _ in 0..it.sockets {
        let (tally, answer) = (Rc::clone(&tally), answer.clone());
        let mut socket = S::connect(Kind::Subscriber, &it.address).await;
        sockets.spawn_local(async move {
            let mut hearing = Hearing::default();
            loop {
                let message = socket.recv().await;
                if hearing
                    .handle(&message)
                    .is_some_and(|it| tally.borrow_mut().note(it))
                {
                    answer.send(()).expect("somebody answers");
                }
                if let Some(heard) = hearing.is_done() {
                    return (heard, socket);
                }
            }
        });
    }
    drop(answer);
    while timeout(PATIENCE, answers.recv())
        .await
        .expect("something is published")
        .is_some()
    {
        push.send(Bytes::from_static(b"heard")).await;
    }
    let all = sockets.join_all().await;
    tally
        .borrow()
        .report(all.iter().map(|(heard, _)| heard).sum());
    linger().await;
}
