//! What came of a run.

use std::fmt;
use std::time::Duration;

/// What came of a run. Everything in it but what the caller measures is the same for the same options.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// How much time passed in it.
    pub time: Duration,
    /// Processes that were started.
    pub processes: usize,
    /// The hash of its trace.
    pub trace_hash: u64,
    /// The lines of its trace.
    pub trace_lines: u64,
    /// What the network saw.
    pub counters: crate::Counters,
    /// Messages that applications sent, one for each that was to get it.
    pub said: u64,
    /// Messages that applications got.
    pub heard: u64,
    /// ZRE messages of every kind on the wire.
    pub messages: u64,
    /// How often an application was told that a peer entered.
    pub enters: u64,
    /// How often an application was told that a peer exited.
    pub exits: u64,
    /// How many of these peers were alive then.
    pub exits_of_the_living: u64,
    /// From the start of the later one of two nodes to ENTER.
    pub meeting: Times,
    /// From the orderly stop of a process to EXIT.
    pub leaving: Times,
    /// From the kill of a process to EXIT.
    pub dying: Times,
    /// From the loss of a host's power to EXIT.
    pub vanishing: Times,
    /// From the last fault to the moment when every node saw the truth; `None` when none did.
    pub settled: Option<Duration>,
    /// How long it took from the moment when all heard each other until each group had one leader, when they
    /// [contest](super::Options::contest); `None` when that did not come about.
    pub electing: Option<Duration>,
    /// Processes alive at the end.
    pub alive: usize,
    /// Connections at the end.
    pub connections: usize,
    /// The most connections there were at the end of a second.
    pub most_connections: usize,
    /// What was wrong, if anything was.
    pub broken: Option<Broken>,
}

/// Something that must hold did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The seed that shows it.
    pub seed: u64,
    /// When.
    pub at: Duration,
    /// What.
    pub what: String,
    /// The last lines of the trace that are about the nodes concerned.
    pub trace: Vec<String>,
}

/// Lengths of time, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times(Vec<Duration>);

impl Times {
    pub(super) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one than which so many of a hundred are not longer; zero when there is none.
    ///
    /// ```
    /// use atonce_sim::tester::Times;
    /// use std::time::Duration;
    ///
    /// let times: Times = (1..=200).map(Duration::from_millis).collect();
    /// assert_eq!(times.percentile(50), Duration::from_millis(100));
    /// assert_eq!(times.percentile(100), Duration::from_millis(200));
    /// assert_eq!(Times::default().percentile(99), Duration::ZERO);
    /// ```
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent.min(100)).div_ceil(100);
        let at = rank.saturating_sub(1);
        self.0.get(at).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self::new(times.into_iter().collect())
    }
}

impl Extend<Duration> for Times {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, times: I) {
        self.0.extend(times);
        self.0.sort_unstable();
    }
}

impl<'a> IntoIterator for &'a Times {
    type Item = Duration;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, Duration>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |percent| {
            let micros = self.percentile(percent).as_micros();
            format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
        };
        write!(
            f,
            "{} times, p50 {}, p90 {}, p99 {}, longest {} ms",
            self.count(),
            ms(50),
            ms(90),
            ms(99),
            ms(100)
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.counters;
        writeln!(
            f,
            "seed {}: {} s, {} processes, {} alive at the end, trace {:016x} of {} lines",
            self.seed,
            self.time.as_secs(),
            self.processes,
            self.alive,
            self.trace_hash,
            self.trace_lines
        )?;
        writeln!(
            f,
            "  {} inputs, {} events, {} datagrams, {} messages on the wire, {} said, {} heard",
            counters.inputs,
            counters.events,
            counters.datagrams,
            self.messages,
            self.said,
            self.heard
        )?;
        writeln!(
            f,
            "  {} connections made of {} dialled, at most {} at once, {} at the end",
            counters.connections, counters.dials, self.most_connections, self.connections
        )?;
        writeln!(
            f,
            "  {} ENTER, {} EXIT, {} of them of nodes that were alive",
            self.enters, self.exits, self.exits_of_the_living
        )?;
        for (what, times) in [
            ("met", &self.meeting),
            ("stop seen", &self.leaving),
            ("kill seen", &self.dying),
            ("power loss seen", &self.vanishing),
        ] {
            if times.count() > 0 {
                writeln!(f, "  {what}: {times}")?;
            }
        }
        match self.settled {
            Some(took) => write!(f, "  settled {} ms after the last fault", took.as_millis())?,
            None => f.write_str("  never settled")?,
        }
        if let Some(broken) = &self.broken {
            write!(f, "\n{broken}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BROKEN with seed {} at {}.{:06}: {}",
            self.seed,
            self.at.as_secs(),
            self.at.subsec_micros(),
            self.what
        )?;
        for line in &self.trace {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}
