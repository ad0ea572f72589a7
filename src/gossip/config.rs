//! What a participant is told when it is made.

use core::time::Duration;

/// The rhythm of a participant, and what others may cost it.
///
/// ```
/// use atonce::gossip::Config;
/// use core::time::Duration;
///
/// let config = Config::default();
/// assert_eq!((config.ping, config.refresh), (Duration::from_millis(300), Duration::from_secs(20)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often a remote is told that we are there: 300 ms. A C hub forgets clients that are silent for a second.
    pub ping: Duration,
    /// How often the publisher of a tuple says that it lives: 20 s. Nobody's tuples live longer than three times that among ours, once
    /// nobody says so any more.
    pub refresh: Duration,
    /// What others may cost.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ping: Duration::from_millis(300),
            refresh: Duration::from_secs(20),
            limits: Limits::default(),
        }
    }
}

/// What others may cost a participant. What goes beyond is refused and counted.
///
/// ```
/// use atonce::gossip::Limits;
///
/// let limits = Limits { tuples: 512, ..Limits::default() };
/// assert_eq!(limits.sessions, 4_096);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most tuples, those among them that were unpublished lately: 4,096, as many as a node may have peers.
    pub tuples: usize,
    /// The most tuples that one client may have brought: 2,048, so that none fills the table alone.
    pub tuples_of_one: usize,
    /// The most clients: 4,096.
    pub sessions: usize,
    /// The most messages that a neighbour may send in a second, eight times as many at once: 2,048.
    pub messages: u32,
    /// The most changes that a neighbour may make in a second, eight times as many at once: 512. Each is passed on to everybody.
    pub changes: u32,
    /// For how long a neighbour is not heard that sent more: 10 s. Then it is asked to begin anew.
    pub penalty: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tuples: 4_096,
            tuples_of_one: 2_048,
            sessions: 4_096,
            messages: 2_048,
            changes: 512,
            penalty: Duration::from_secs(10),
        }
    }
}
