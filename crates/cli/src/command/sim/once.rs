//! `sim --lans`: many LANs that @Once makes one.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use atonce_sim::tester::once::{Admission, Fault, Faults, Options, Report, Tester};
use atonce_sim::tester::{Times, clusters};
use atonce_sim::{Odds, Quality};
use clap::Args;
use serde::Serialize;

use super::{Broken, Millis, Sim, bar, conclude, many, memory, show, trace_file, trace_hash};
use crate::failure::Failure;

/// What a run with several LANs has more.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Several LANs, with bridges and a server of @Once")]
pub(super) struct Once {
    /// How many LANs there are; everything below needs it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=200))]
    pub(super) lans: Option<u8>,
    /// How many nodes there can be on each LAN.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "lans", value_parser = clap::value_parser!(u8).range(1..=200))]
    peers: u8,
    /// On how many of the LANs there are two bridges; on none when they are admitted by keys.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "lans")]
    doubled: u8,
    /// How many of the LANs are behind routers that translate addresses; two of them meet over the relay of the server. 2 of four LANs
    /// or more, else 1; never more than 1 when bridges are admitted openly, since the relay is for those who have keys.
    #[arg(long, value_name = "N", requires = "lans")]
    nats: Option<u8>,
    /// How bridges are admitted: open, secret or keys.
    #[arg(long, value_name = "HOW", default_value = "secret", requires = "lans")]
    admission: Admission,
    /// Only the bridges are real, and not the nodes on the LANs: what they cost when there are many.
    #[arg(long, requires = "lans")]
    rosters: bool,
}

impl Once {
    fn options(&self, sim: &Sim, seed: u64) -> Result<Options, Failure> {
        let faults: Faults = sim
            .faults
            .parse()
            .map_err(|error| Failure::Usage(format!("--faults: {error}")))?;
        let partitions = [Fault::WanPartition, Fault::LanPartition];
        let partitions = partitions.into_iter().filter(|_| sim.partitions);
        let worse = |quality: Quality| Quality {
            loss: sim.loss,
            duplicate: sim.duplicate,
            reorder: sim.reorder,
            ..quality
        };
        let usual = Options::default();
        let nats = if self.lans.is_some_and(|lans| lans >= 4) {
            2
        } else {
            1
        };
        Ok(Options {
            lans: self.lans.unwrap_or(1).into(),
            peers: self.peers.into(),
            doubled: self.doubled.into(),
            nats: self.nats.unwrap_or(nats).into(),
            admission: self.admission,
            duration: sim.duration,
            seed,
            toggle: !sim.mesh,
            chatter: !sim.mesh,
            dual_stack: sim.dual_stack,
            lan: worse(usual.lan),
            wan: worse(usual.wan),
            faults: faults.iter().chain(partitions).collect(),
            ..usual
        })
    }

    /// Does it.
    pub(super) fn run(&self, sim: &Sim) -> Result<(), Failure> {
        if self.rosters {
            return self.rosters(sim);
        }
        let begun = Instant::now();
        let options = self.options(sim, sim.seed)?;
        let reports = if sim.seeds == 1 {
            vec![one(sim, options.clone())?]
        } else {
            many(
                sim,
                |report: &Report| report.broken.is_some(),
                |seed| {
                    let options = Options {
                        seed,
                        ..options.clone()
                    };
                    Tester::new(options).run(|_| ())
                },
            )
        };
        let summary = Summary::new(&options, &reports, begun.elapsed());
        let broken: Vec<_> = reports.iter().filter_map(|it| it.broken.as_ref()).collect();
        conclude(sim, &summary, &broken)
    }
}

impl Once {
    /// Bridges with rosters and without LANs.
    fn rosters(&self, sim: &Sim) -> Result<(), Failure> {
        let options = clusters::Options {
            lans: self.lans.unwrap_or(1).into(),
            peers: self.peers.into(),
            seed: sim.seed,
            ..clusters::Options::default()
        };
        let begun = Instant::now();
        let before = memory();
        let bar = bar((options.lans * options.lans * options.peers) as u64);
        let report = clusters::run(&options, |progress| {
            bar.set_length(progress.all as u64);
            bar.set_position(progress.stand_ins as u64);
        });
        bar.finish_and_clear();
        let report = report.map_err(Failure::failed)?;
        let grown = memory().zip(before).map(|(now, before)| now - before);
        let rosters = Rosters {
            event: "sim",
            lans: options.lans,
            peers: options.peers,
            seed: options.seed,
            wall_seconds: begun.elapsed().as_secs_f64(),
            stand_ins: report.stand_ins,
            converged_seconds: report.converged.as_secs_f64(),
            octets: report.octets,
            idle_octets_per_second: report.idle,
            memory_octets_per_bridge: grown.map(|grown| grown / options.lans as u64),
            content: options.content,
            members: report.members,
            enter: report.enter.into(),
            join: report.join.into(),
            whisper: report.whisper.into(),
            shout: report.shout.into(),
            exit: report.exit.into(),
        };
        let mut stdout = anstream::stdout().lock();
        if sim.json {
            let line = serde_json::to_string(&rosters)
                .map_err(|error| Failure::failed(error.to_string()))?;
            writeln!(stdout, "{line}")?;
        } else {
            writeln!(stdout, "{rosters}")?;
        }
        stdout.flush()?;
        Ok(())
    }
}

/// What bridges cost when there are many peers.
#[derive(Debug, Serialize)]
struct Rosters {
    event: &'static str,
    lans: usize,
    peers: usize,
    seed: u64,
    wall_seconds: f64,
    /// Of each bridge.
    stand_ins: usize,
    converged_seconds: f64,
    octets: u64,
    idle_octets_per_second: u64,
    /// With its remote node and the links of that, and without the nodes of its stand-ins.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_octets_per_bridge: Option<u64>,
    content: usize,
    members: usize,
    enter: Cost,
    join: Cost,
    whisper: Cost,
    shout: Cost,
    exit: Cost,
}

/// What something cost between the LANs.
#[derive(Debug, Serialize)]
struct Cost {
    octets: u64,
    milliseconds: u128,
}

impl From<clusters::Cost> for Cost {
    fn from(cost: clusters::Cost) -> Self {
        Self {
            octets: cost.octets,
            milliseconds: cost.took.as_millis(),
        }
    }
}

impl fmt::Display for Rosters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} LANs of {}, of which only the bridges are real, {:.1} s",
            self.seed, self.lans, self.peers, self.wall_seconds
        )?;
        writeln!(
            f,
            "converged    after {:.1} s: {} stand-ins at each bridge, {} octets between the LANs, and {} a second when nothing happens",
            self.converged_seconds, self.stand_ins, self.octets, self.idle_octets_per_second
        )?;
        if let Some(memory) = self.memory_octets_per_bridge {
            writeln!(f, "memory       {} KiB for each bridge", memory >> 10)?;
        }
        for (what, cost) in [
            ("ENTER", &self.enter),
            ("JOIN", &self.join),
            ("EXIT", &self.exit),
        ] {
            writeln!(
                f,
                "{what:<12} {} octets to {} bridges, {} ms",
                cost.octets,
                self.lans - 1,
                cost.milliseconds
            )?;
        }
        writeln!(
            f,
            "whisper      {} octets for {}, {} ms",
            self.whisper.octets, self.content, self.whisper.milliseconds
        )?;
        write!(
            f,
            "shout        {} octets for {} to {} members, {} ms",
            self.shout.octets, self.content, self.members, self.shout.milliseconds
        )
    }
}

/// One run, with a bar that shows how far it is.
fn one(sim: &Sim, options: Options) -> Result<Report, Failure> {
    let mut tester = Tester::new(options);
    if let Some(file) = trace_file(sim)? {
        tester.trace_to(file);
    }
    let bar = bar(sim.duration.as_secs().max(1));
    let report = tester.run(|progress| show(&bar, progress));
    bar.finish_and_clear();
    Ok(report)
}

/// What came of all runs.
#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    lans: usize,
    peers: usize,
    duration_seconds: f64,
    seed: u64,
    runs: usize,
    admission: &'static str,
    faults: String,
    loss: String,
    duplicate: String,
    reorder: String,
    /// What passed in the simulations, and out here.
    virtual_seconds: f64,
    wall_seconds: f64,
    processes: usize,
    node_events: u64,
    node_events_per_second: f64,
    datagrams: u64,
    connections_made: u64,
    most_links: usize,
    most_stand_ins: usize,
    wan_octets: u64,
    /// Links between bridges that the relay joined, the most at once, and those that did not come about.
    relayed: u64,
    most_relayed: usize,
    relay_missed: u64,
    relay_octets: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_octets: Option<u64>,
    near: Way,
    across: Way,
    /// Heard across by a later process of the identity that it was meant for.
    strays: u64,
    settling: Millis,
    trace_lines: u64,
    trace_hash: String,
    broken: Vec<Broken>,
}

/// What was between nodes of one LAN, or of two.
#[derive(Debug, Serialize)]
struct Way {
    said: u64,
    heard: u64,
    enters: u64,
    exits: u64,
    meeting: Millis,
    arriving: Millis,
    /// Of what was said when all was quiet.
    answered: Millis,
}

impl Way {
    fn new(reports: &[Report], at: usize) -> Self {
        let sum = |of: fn(&Report) -> &[u64; 2]| {
            let all = reports.iter().filter_map(|it| of(it).get(at));
            all.sum()
        };
        let times = |of: fn(&Report) -> &[Times; 2]| {
            Millis::of(reports.iter().filter_map(|it| of(it).get(at)))
        };
        Self {
            said: sum(|it| &it.said),
            heard: sum(|it| &it.heard),
            enters: sum(|it| &it.enters),
            exits: sum(|it| &it.exits),
            meeting: times(|it| &it.meeting),
            arriving: times(|it| &it.arriving),
            answered: times(|it| &it.answered),
        }
    }
}

impl Summary {
    fn new(options: &Options, reports: &[Report], took: Duration) -> Self {
        let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let most = |of: fn(&Report) -> usize| reports.iter().map(of).max().unwrap_or_default();
        let node_events = sum(|it| it.counters.inputs);
        let percent = |odds: Odds| odds.to_string();
        Self {
            event: "sim",
            lans: options.lans,
            peers: options.peers,
            duration_seconds: options.duration.as_secs_f64(),
            seed: options.seed,
            runs: reports.len(),
            admission: match options.admission {
                Admission::Open => "open",
                Admission::Secret => "secret",
                Admission::Keys => "keys",
            },
            faults: options.faults.to_string(),
            loss: percent(options.wan.loss),
            duplicate: percent(options.wan.duplicate),
            reorder: percent(options.wan.reorder),
            virtual_seconds: reports.iter().map(|it| it.time.as_secs_f64()).sum(),
            wall_seconds: took.as_secs_f64(),
            processes: reports.iter().map(|it| it.processes).sum(),
            node_events,
            node_events_per_second: node_events as f64 / took.as_secs_f64().max(1e-6),
            datagrams: sum(|it| it.counters.datagrams),
            connections_made: sum(|it| it.counters.connections),
            most_links: most(|it| it.most_connections),
            most_stand_ins: most(|it| it.most_stand_ins),
            wan_octets: sum(|it| it.wan_octets),
            relayed: sum(|it| it.relayed.joined),
            most_relayed: most(|it| it.relayed.most_pairs),
            relay_missed: sum(|it| it.relayed.missed),
            relay_octets: sum(|it| it.relayed.octets),
            memory_octets: memory(),
            near: Way::new(reports, 0),
            across: Way::new(reports, 1),
            strays: sum(|it| it.strays),
            settling: Millis::new(&reports.iter().filter_map(|it| it.settled).collect()),
            trace_lines: sum(|it| it.trace_lines),
            trace_hash: trace_hash(&reports.iter().map(|it| it.trace_hash).collect::<Vec<_>>()),
            broken: reports
                .iter()
                .filter_map(|it| it.broken.as_ref())
                .map(Broken::from)
                .collect(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.seed.wrapping_add(self.runs.saturating_sub(1) as u64);
        match self.runs {
            1 => write!(f, "seed {}", self.seed)?,
            runs => write!(f, "{runs} runs, seeds {} to {last}", self.seed)?,
        }
        writeln!(
            f,
            ": {} LANs of {}, {:.0} s, {}, loss {}, duplicates {}, late {}, faults {}",
            self.lans,
            self.peers,
            self.duration_seconds,
            self.admission,
            self.loss,
            self.duplicate,
            self.reorder,
            self.faults
        )?;
        writeln!(
            f,
            "time         {:.0} s in {:.2} s, {:.0} node events a second",
            self.virtual_seconds, self.wall_seconds, self.node_events_per_second
        )?;
        write!(
            f,
            "happened     {} nodes, {} node events, {} datagrams; {} links made, at most {} at once",
            self.processes,
            self.node_events,
            self.datagrams,
            self.connections_made,
            self.most_links
        )?;
        if let Some(memory) = self.memory_octets {
            write!(f, "; {} MiB", memory >> 20)?;
        }
        writeln!(
            f,
            "\nbridges      at most {} stand-ins at one, {} octets between the LANs",
            self.most_stand_ins, self.wan_octets
        )?;
        if self.relayed > 0 {
            writeln!(
                f,
                "relay        {} links, at most {} at once, {} octets; {} that did not come about",
                self.relayed, self.most_relayed, self.relay_octets, self.relay_missed
            )?;
        }
        for (name, way) in [("on a LAN", &self.near), ("across", &self.across)] {
            writeln!(
                f,
                "{name:<12} {} ENTER, {} EXIT, {} of {} said were heard",
                way.enters, way.exits, way.heard, way.said
            )?;
            for (what, times) in [
                ("met", &way.meeting),
                ("arrived", &way.arriving),
                ("in quiet", &way.answered),
            ] {
                if times.count > 0 {
                    writeln!(f, "  {what:<10} {times}")?;
                }
            }
        }
        if self.strays > 0 {
            writeln!(f, "strays       {}", self.strays)?;
        }
        if self.settling.count > 0 {
            writeln!(f, "settled      {}", self.settling)?;
        }
        writeln!(
            f,
            "trace        {}, {} lines",
            self.trace_hash, self.trace_lines
        )?;
        super::say_broken(f, self.runs, &self.broken)
    }
}
