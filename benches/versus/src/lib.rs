//! What all contestants have in common.
//!
//! A contestant is a program that is started as one of
//!
//! ```text
//! NAME sink                        takes messages and says when the last one came
//! NAME source ADDRESS COUNT SIZE   sends that many, and waits until the sink says that it has them all
//! NAME echo                        sends back whatever comes
//! NAME ping ADDRESS COUNT SIZE     sends one message after the other, each when the last one is back
//! ```
//!
//! A sink and an echo say on a line of their own where they are to be reached. A source tells the sink in its first message,
//! which does not count, how many follow, so that the connection is made when the measurement begins. Each says what it
//! measured on its last line, as `name=number` pairs.

pub mod bare;

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

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

/// Reads the command line.
///
/// # Panics
///
/// It makes no sense.
#[must_use]
pub fn role() -> Role {
    let mut words = std::env::args().skip(1);
    let role = words.next().expect("a role: sink, source, echo or ping");
    let mut load = || Load {
        address: words.next().expect("an address"),
        count: words
            .next()
            .and_then(|it| it.parse().ok())
            .expect("a count"),
        size: words.next().and_then(|it| it.parse().ok()).expect("a size"),
    };
    match role.as_str() {
        "sink" => Role::Sink,
        "source" => Role::Source(load()),
        "echo" => Role::Echo,
        "ping" => Role::Ping(load()),
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
