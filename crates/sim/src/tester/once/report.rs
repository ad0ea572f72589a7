//! What came of a run.

use std::fmt;
use std::time::Duration;

use super::super::report::{Broken, Times};

/// What went over the relay of the server, over all times that it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relayed {
    /// Links between bridges, each of two connections that were joined.
    pub joined: u64,
    /// Pairs that were expected and of which not both came.
    pub missed: u64,
    /// Octets that came to be passed on.
    pub octets: u64,
    /// The most links that there were at once, at the end of a second.
    pub most_pairs: usize,
}

/// What came of a run. The same options give the same one.
///
/// Of what is told apart the first is of nodes on one LAN, the second of nodes on two.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// How much time passed in it.
    pub time: Duration,
    /// Nodes that were started, with those of bridges.
    pub processes: usize,
    /// The hash of its trace.
    pub trace_hash: u64,
    /// The lines of its trace.
    pub trace_lines: u64,
    /// What the network saw.
    pub counters: crate::Counters,
    /// Messages that nodes sent, one for each that was to get it.
    pub said: [u64; 2],
    /// Messages that nodes got.
    pub heard: [u64; 2],
    /// Of those that were heard across, those that were meant for a process before, of the same identity.
    pub strays: u64,
    /// How often a node was told that a peer entered.
    pub enters: [u64; 2],
    /// How often a node was told that a peer exited.
    pub exits: [u64; 2],
    /// From the start of the later one of two nodes to ENTER.
    pub meeting: [Times; 2],
    /// From what is said to its arrival.
    pub arriving: [Times; 2],
    /// From the last fault to the moment when every node saw the truth; `None` when that never was.
    pub settled: Option<Duration>,
    /// From what was said after that to its arrival: one LAN, two LANs.
    pub answered: [Times; 2],
    /// Nodes of LANs that were alive at the end.
    pub alive: usize,
    /// The most connections that there were at once, at the end of a second.
    pub most_connections: usize,
    /// The most stand-ins that a bridge had at once.
    pub most_stand_ins: usize,
    /// Octets that went over the network between the LANs, without the heads of IP, TCP and UDP.
    pub wan_octets: u64,
    /// What went over the relay.
    pub relayed: Relayed,
    /// What was wrong, if anything was.
    pub broken: Option<Broken>,
}

impl fmt::Display for Relayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} links, at most {} at once, {} octets; {} that did not come about",
            self.joined, self.most_pairs, self.octets, self.missed
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} s, {} nodes started, {} alive at the end, trace {:016x} of {} lines",
            self.seed,
            self.time.as_secs(),
            self.processes,
            self.alive,
            self.trace_hash,
            self.trace_lines
        )?;
        writeln!(
            f,
            "  at most {} connections, and {} stand-ins at a bridge; {} octets between the LANs",
            self.most_connections, self.most_stand_ins, self.wan_octets
        )?;
        if self.relayed.joined > 0 {
            writeln!(f, "  over the relay: {}", self.relayed)?;
        }
        for (way, name) in ["on a LAN", "across"].into_iter().enumerate() {
            let of = |pair: &[u64; 2]| pair.get(way).copied().unwrap_or_default();
            writeln!(
                f,
                "  {name}: {} ENTER, {} EXIT, {} of {} messages heard",
                of(&self.enters),
                of(&self.exits),
                of(&self.heard),
                of(&self.said)
            )?;
            for (what, times) in [
                ("met", &self.meeting),
                ("arrived", &self.arriving),
                ("arrived in the end", &self.answered),
            ] {
                if let Some(times) = times.get(way).filter(|times| times.count() > 0) {
                    writeln!(f, "    {what}: {times}")?;
                }
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
