//! What all contestants have in common.
//!
//! A contestant is a program that is started as one of
//!
//! ```text
//! NAME sink                              takes messages and says when the last one came
//! NAME source ADDRESS COUNT SIZE         sends that many, and waits until the sink says that it has them all
//! NAME echo                              sends back whatever comes
//! NAME ping ADDRESS COUNT SIZE           sends one message after the other, each when the last one is back
//! NAME ears NODES TOTAL ADDRESS…         so many nodes of a group that has TOTAL in all, in this and other processes; they
//!                                        contact those at the addresses, and all of them meet
//! NAME shouter TOTAL COUNT WINDOW SIZE ADDRESS…
//!                                        shouts so often to that group
//! NAME mesh INTERFACE NODES TOTAL        so many nodes that meet by beacons, TOTAL in all processes
//! NAME knocks ADDRESS COUNT AT_ONCE      makes so many connections to an echo, so many at once, and ends each when both sides
//!                                        are ready
//! NAME half ADDRESS COUNT                makes so many connections to an echo, and goes half the way of the handshake on each
//! NAME pull                              a PULL: like a sink
//! NAME push ADDRESS COUNT SIZE           a PUSH: like a source
//! NAME reply                             a REP: like an echo
//! NAME request ADDRESS COUNT SIZE        a REQ: like a ping
//! NAME publish PROCESSES COUNT WINDOW SIZE
//!                                        a PUB: sends so often to whoever subscribed, who are in so many processes
//! NAME subscribe SOCKETS ADDRESS BACK    so many SUBs of all that a PUB says; BACK is the PULL to which a PUSH of the process
//!                                        answers
//! ```
//!
//! With `CURVE` in the environment everything is encrypted, and the two sides have the keys of [`keys`].
//!
//! What is contacted says on a line of its own where it is to be reached. Each says what it measured on its last line, as
//! `name=number` pairs.
//!
//! A source tells the sink in its first message, which does not count, how many follow, so that the connection is made when
//! the measurement begins. The shouter does alike (see [`Shouting`]), after each of the ears whispered to it that it met all
//! the others. A shout cannot wait for room, so that ears answer after each WINDOW shouts that they have heard them, and the
//! shouter is never more than two such answers ahead of any.
//!
//! A PULL cannot answer: whoever plays reads that it has all and says so to the PUSH, by a line. A PUB drops what a SUB does not
//! take in time, each after another amount, so that what is compared is what all deliver: as with shouts, a process answers for
//! all its SUBs after each WINDOW messages. A PUB does not know who subscribed: until every process has answered once it says
//! again and again how many messages follow, and none of that counts.
//!
//! A mesh begins when it reads a line, so that all processes begin together; when all its nodes have met all, it says how long
//! that took, and is quiet until its input ends. So do half handshakes: when the echo has answered each as far as it can.

pub mod bare;
pub mod crowd;
pub mod keys;
pub mod patterns;

use std::fmt;
use std::io::{self, BufRead};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// The group in which is shouted.
pub const GROUP: &str = "CROWD";

/// The name of the node that shouts.
pub const SHOUTER: &str = "shouter";

/// What the program is to be.
#[derive(Clone, Debug)]
pub enum Role {
    /// See the crate.
    Sink,
    /// See the crate.
    Source(Load),
    /// See the crate.
    Echo,
    /// See the crate.
    Ping(Load),
    /// See the crate.
    Ears(Ears),
    /// See the crate.
    Shouter(Shouter),
    /// See the crate.
    Mesh(Mesh),
    /// See the crate.
    Knocks(Knocks),
    /// See the crate.
    Half(Half),
    /// One of the sockets that are no DEALER and no ROUTER.
    Pattern(Pattern),
}

/// What a socket of a pattern is to do. See the crate.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// A PULL that takes messages.
    Pull,
    /// A PUSH that sends them.
    Push(Load),
    /// A REP that sends back what it is asked.
    Reply,
    /// A REQ that asks.
    Request(Load),
    /// A PUB.
    Publish(Publish),
    /// Many SUBs.
    Subscribe(Subscribe),
}

/// What is sent, and where to.
#[derive(Clone, Debug)]
pub struct Load {
    /// What the other side said of where it is.
    pub address: String,
    /// How many messages.
    pub count: usize,
    /// Octets of each.
    pub size: usize,
}

/// Who listens to a [`Shouter`].
#[derive(Clone, Debug)]
pub struct Ears {
    /// How many nodes there are in this process.
    pub nodes: usize,
    /// How many there are in all.
    pub total: usize,
    /// Where those are that were started earlier.
    pub addresses: Vec<String>,
}

/// What is shouted, and where those are who hear it.
#[derive(Clone, Debug)]
pub struct Shouter {
    /// How many nodes hear it.
    pub total: usize,
    /// How many messages, and when they are answered.
    pub shouting: Shouting,
    /// Octets of each.
    pub size: usize,
    /// Where they are.
    pub addresses: Vec<String>,
}

/// What a PUB says.
#[derive(Clone, Debug)]
pub struct Publish {
    /// How many processes answer.
    pub processes: usize,
    /// How many messages, and when they are answered.
    pub shouting: Shouting,
    /// Octets of each.
    pub size: usize,
}

/// Who hears a [`Publish`].
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// How many SUBs there are in this process.
    pub sockets: usize,
    /// Where the PUB is.
    pub address: String,
    /// Where the PULL is that takes the answers.
    pub back: String,
}

/// Nodes that meet by beacons.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// Where they beacon.
    pub interface: String,
    /// How many there are in this process.
    pub nodes: usize,
    /// How many there are in all.
    pub total: usize,
}

/// Connections that are made and ended.
#[derive(Clone, Debug)]
pub struct Knocks {
    /// What the other side said of where it is.
    pub address: String,
    /// How many.
    pub count: usize,
    /// How many of them at once.
    pub at_once: usize,
}

/// Connections on which nothing is said but the beginning.
#[derive(Clone, Debug)]
pub struct Half {
    /// What the other side said of where it is.
    pub address: String,
    /// How many.
    pub count: usize,
}

/// Reads the command line.
///
/// # Panics
///
/// It makes no sense.
#[must_use]
pub fn role() -> Role {
    let mut words = std::env::args().skip(1);
    let role = words.next().expect("a role: see the crate");
    let mut text = || words.next().expect("one word more");
    let number = |word: String| word.parse().expect("a number");
    let mut load = || Load {
        address: text(),
        count: number(text()),
        size: number(text()),
    };
    match role.as_str() {
        "sink" => Role::Sink,
        "source" => Role::Source(load()),
        "echo" => Role::Echo,
        "ping" => Role::Ping(load()),
        "ears" => Role::Ears(Ears {
            nodes: number(text()),
            total: number(text()),
            addresses: words.collect(),
        }),
        "shouter" => Role::Shouter(Shouter {
            total: number(text()),
            shouting: Shouting {
                count: number(text()),
                window: number(text()),
            },
            size: number(text()),
            addresses: words.collect(),
        }),
        "mesh" => Role::Mesh(Mesh {
            interface: text(),
            nodes: number(text()),
            total: number(text()),
        }),
        "knocks" => Role::Knocks(Knocks {
            address: text(),
            count: number(text()),
            at_once: number(text()),
        }),
        "half" => Role::Half(Half {
            address: text(),
            count: number(text()),
        }),
        "pull" => Role::Pattern(Pattern::Pull),
        "push" => Role::Pattern(Pattern::Push(load())),
        "reply" => Role::Pattern(Pattern::Reply),
        "request" => Role::Pattern(Pattern::Request(load())),
        "publish" => Role::Pattern(Pattern::Publish(Publish {
            processes: number(text()),
            shouting: Shouting {
                count: number(text()),
                window: number(text()),
            },
            size: number(text()),
        })),
        "subscribe" => Role::Pattern(Pattern::Subscribe(Subscribe {
            sockets: number(text()),
            address: text(),
            back: text(),
        })),
        other => panic!("no role: {other}"),
    }
}

/// Says where this side is to be reached.
pub fn reached_at(address: impl fmt::Display) {
    println!("{address}");
}

/// Begins now; says at the end what passed.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    at: Instant,
    cpu: Duration,
}

impl Watch {
    /// From now on.
    #[must_use]
    pub fn start() -> Self {
        Self {
            at: Instant::now(),
            cpu: cpu(),
        }
    }

    /// Says how many messages there were and what they cost this process.
    pub fn report(&self, messages: usize) {
        let (seconds, cpu) = (self.at.elapsed(), cpu() - self.cpu);
        println!(
            "messages={messages} seconds={:.6} cpu={:.6}",
            seconds.as_secs_f64(),
            cpu.as_secs_f64()
        );
    }
}

/// How long round trips take, the first tenth of them left out.
#[derive(Debug)]
pub struct RoundTrips {
    warm: usize,
    times: Vec<Duration>,
    cpu: Duration,
}

impl RoundTrips {
    /// For so many that count.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            warm: count / 10,
            times: Vec::with_capacity(count),
            cpu: cpu(),
        }
    }

    /// Whether another one is to be made.
    #[must_use]
    pub fn lacks(&self, count: usize) -> bool {
        self.times.len() < count
    }

    /// One that began then is over.
    pub fn note(&mut self, begun: Instant) {
        if self.warm == 0 {
            self.times.push(begun.elapsed());
            return;
        }
        self.warm -= 1;
        self.cpu = cpu();
    }

    /// Says how long they took.
    pub fn report(mut self) {
        let used = cpu() - self.cpu;
        self.times.sort_unstable();
        let at = |permille: usize| {
            let last = self.times.len() - 1;
            self.times[(last * permille).div_ceil(1_000)].as_secs_f64() * 1e6
        };
        println!(
            "messages={} p50={:.2} p99={:.2} p999={:.2} cpu={:.6}",
            self.times.len(),
            at(500),
            at(990),
            at(999),
            used.as_secs_f64()
        );
    }
}

/// What the process used of all processors since it began.
///
/// # Panics
///
/// The operating system does not say.
#[must_use]
pub fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the operating system counts");
    let duration = |time: TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// The first message: how many follow.
#[must_use]
pub fn announcement(count: usize) -> Vec<u8> {
    count.to_string().into_bytes()
}

/// Reads the first message.
///
/// # Panics
///
/// It is none.
#[must_use]
pub fn announced(message: &[u8]) -> usize {
    let text = std::str::from_utf8(message).ok();
    text.and_then(|text| text.parse().ok())
        .expect("a number comes first")
}

/// What the shouter says first: how many shouts follow, and after how many an ear answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shouting {
    /// How many shouts follow.
    pub count: usize,
    /// After how many of them an ear whispers that it heard them, and after the last.
    pub window: usize,
}

impl Shouting {
    /// As it is shouted.
    #[must_use]
    pub fn announcement(&self) -> Vec<u8> {
        format!("{} {}", self.count, self.window).into_bytes()
    }

    /// Reads it.
    ///
    /// # Panics
    ///
    /// It is none.
    #[must_use]
    pub fn announced(message: &[u8]) -> Self {
        let text = std::str::from_utf8(message).ok();
        let numbers = text.and_then(|text| text.split_once(' '));
        let (count, window) = numbers.expect("two numbers come first");
        let number = |text: &str| text.parse().expect("a number");
        Self {
            count: number(count),
            window: number(window),
        }
    }

    /// Whether an ear answers after so many.
    #[must_use]
    pub fn is_answered(&self, heard: usize) -> bool {
        heard.is_multiple_of(self.window) || heard == self.count
    }
}

/// Says that a mesh may begin, and waits until it is to.
///
/// # Panics
///
/// Nobody will ever say so.
pub fn begin() {
    println!("ready");
    until_told();
}

/// Waits until whoever plays says a line.
///
/// # Panics
///
/// Nobody will ever say so.
pub fn until_told() {
    let line = io::stdin().lock().lines().next();
    line.expect("somebody says when")
        .expect("the input can be read");
}

/// Says how long it took, and waits until the input ends: until then others look at what the process costs.
pub fn rest(took: Duration) {
    println!("seconds={:.6}", took.as_secs_f64());
    io::stdin().lock().lines().for_each(drop);
}
