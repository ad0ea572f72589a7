//! What a logger is told when it is made, and what it counts.

use core::time::Duration;

use crate::wire::log::Level;

/// How a node logs.
///
/// ```
/// use atonce::log::logger::Config;
/// use atonce::wire::log::Level;
///
/// let config = Config { level: Level::WARNING, ..Config::default() };
/// assert!(!config.elsewhere);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is above this level is not said: [`Level::INFO`], which is everything that a node says by itself.
    // LOG-25
    pub level: Level,
    /// Whether a collector is connected at the address that its header has, wherever that is. It is not: then only at that of the peer itself.
    // LOG-12
    pub elsewhere: bool,
    /// What it may cost.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: Level::INFO,
            elsewhere: false,
            limits: Limits::default(),
        }
    }
}

/// What logging may cost a node. A record takes some 350 octets at the most.
///
/// ```
/// use atonce::log::logger::Limits;
///
/// assert_eq!(Limits::default().records, 256);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Collectors at a time: 8.
    // LOG-14
    pub collectors: usize,
    /// Records that are kept for collectors that did not take them yet: 256.
    // LOG-27
    pub records: usize,
    /// How old the records are at the most that a new collector gets: 10 s.
    pub recent: Duration,
    /// Records in a second: 100.
    // LOG-26
    pub rate: u32,
    /// Records at once, after a pause: 200.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            collectors: 8,
            records: 256,
            recent: Duration::from_secs(10),
            rate: 100,
            burst: 200,
        }
    }
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// That records were left out may be said again.
    LeftOut,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Records that were made.
    pub records: u64,
    /// Records that were too many, and not made.
    pub left_out: u64,
    /// Records that were given to the embedder for a collector, each collector counted.
    pub messages: u64,
    /// Records that a collector did not get because it did not take them in time or its link ended, each collector counted.
    pub missed: u64,
    /// Collectors that were connected.
    pub collectors: u64,
    /// Collectors that were left out because there were too many.
    pub crowded_out: u64,
    /// Headers that lead nowhere: no endpoint, or that of a mailbox.
    pub refused: u64,
}
