//! `sim`: a crowd of nodes on a virtual network, in virtual time.

mod once;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use atonce_sim::tester::{Fault, Faults, Options, Progress, Report, Tester, Times};
use atonce_sim::{Odds, Quality};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// Said below the help.
const AFTER_HELP: &str = "\
Nodes start and stop at random, answer who enters, whispers and shouts, join and leave ten groups; meanwhile it is checked that
each is told the truth about all others, in order and once. After that it is quiet, and within a stated time every node must see
exactly those that are there. The same seed gives the same run, to the octet.

Faults: partition, one-way, reset, blackhole, kill, power-off, port-reuse, same-identity, deaf, stall, suspend, address-change,
clock-jump, short-io, swallow, burst; or all.

With --lans there are several LANs, each with bridges of @Once, and a server: nodes see and talk to those of all LANs. Faults then:
wan-partition, lan-partition, bridge-kill, bridge-stop, bridge-power-off, bridge-suspend, server-kill, nat-restart, reset, blackhole,
peer-kill, peer-power-off, peer-suspend, move; or all.

Examples:
  atonce sim --nodes 100 --for 1h --seed 1
  atonce sim --nodes 12 --for 90s --seeds 1000 --loss 5 --duplicate 5 --reorder 5 --partitions --faults reset,kill,port-reuse
  atonce sim --nodes 1000 --for 5m --mesh
  atonce sim --nodes 50 --for 10m --mesh --wifi
  atonce sim --nodes 20 --for 10m --curve --faults kill,reset,same-identity
  atonce sim --seed 42 --faults all --trace trace.txt
  atonce sim --lans 4 --peers 5 --seeds 1000 --loss 5 --faults all
  atonce sim --lans 20 --peers 20 --for 1m --mesh
  atonce sim --lans 100 --peers 100 --rosters

Exit codes: 0 everything held, 1 something did not, 2 a bad option.";

/// Lines of a broken run's trace that are printed, at most for so many runs.
const SHOWN: usize = 3;

/// The least that anything takes over a bad Wi-Fi, and how much longer it may take.
const WIFI: Duration = Duration::from_millis(150);

/// See the module.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Sim {
    /// How many nodes there can be.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    nodes: u64,
    /// How long things happen, in their own time: 90s, 10m, 1h; a number alone means seconds.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// What decides everything that happens by chance.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many runs, with the seeds from S on.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// How many runs at a time; as many as there are processors unless said.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// How many percent of the datagrams, and of the segments of TCP, are lost.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    loss: Odds,
    /// How many percent of the datagrams come twice.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    duplicate: Odds,
    /// How many percent of the datagrams come late, so that others overtake them.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    reorder: Odds,
    /// The network parts and heals; the same as the fault partition.
    #[arg(long)]
    partitions: bool,
    /// What else goes wrong: names with commas between them, or all.
    #[arg(long, value_name = "FAULTS", default_value = "none")]
    faults: String,
    /// All nodes are started, stay, and say nothing: a full mesh that has to hold.
    #[arg(long)]
    mesh: bool,
    /// The network is a bad Wi-Fi: everything takes 150 to 300 ms, and now and then some radios, or all, stand still for up to 20 s
    /// (the fault burst). An EXIT of a node that is alive is something that did not hold.
    #[arg(long, conflicts_with = "lans")]
    wifi: bool,
    /// The generation of what is shouted each second, 1 to 3; what is of the third is not answered. Unless said it is by
    /// chance, mostly the third, so that there are fewer answers than shouts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    shouts: Option<u8>,
    /// The nodes stand for leader of their groups, about half of them in each; in the end each group has one, the same for all.
    #[arg(long, conflicts_with = "mesh")]
    contest: bool,
    /// Each host has an address of IPv4 and one of IPv6 on its network, and beacons from both.
    #[arg(long)]
    dual_stack: bool,
    /// All nodes are secure, and let in whoever has keys; what is said between them is sealed.
    #[arg(long)]
    curve: bool,
    /// Write a line for everything that happens to this file; with one seed only.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write the report as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    once: once::Once,
}

/// A number and its unit.
fn duration(given: &str) -> Result<Duration, String> {
    let expected = || "expected a duration, as 500ms, 90s, 10m or 1h".to_owned();
    let digits = given.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = given.get(digits.len()..).unwrap_or_default();
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    number
        .checked_mul(millis)
        .filter(|millis| (1..=1_000_000_000_000).contains(millis))
        .map(Duration::from_millis)
        .ok_or_else(expected)
}

impl Sim {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.trace.is_some() && self.seeds > 1 {
            let message = "--trace: expected one seed, since each run has a trace of its own";
            return Err(Failure::Usage(message.into()));
        }
        if self.once.lans.is_some() {
            return self.once.run(&self);
        }
        let begun = Instant::now();
        let before = memory();
        let options = self.options()?;
        let reports = if self.seeds == 1 {
            vec![self.one(options.clone())?]
        } else {
            many(
                &self,
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
        let summary = Summary::new(&self, &options, &reports, begun.elapsed(), before);
        let broken: Vec<_> = reports.iter().filter_map(|it| it.broken.as_ref()).collect();
        conclude(&self, &summary, &broken)
    }

    fn options(&self) -> Result<Options, Failure> {
        let faults = self.faults.parse();
        let mut faults: Faults =
            faults.map_err(|error| Failure::Usage(format!("--faults: {error}")))?;
        if self.partitions {
            faults.insert(Fault::Partition);
        }
        let mut quality = Quality::default();
        if self.wifi {
            faults.insert(Fault::Burst);
            (quality.delay, quality.jitter) = (WIFI, WIFI);
        }
        Ok(Options {
            nodes: usize::try_from(self.nodes).unwrap_or(usize::MAX),
            duration: self.duration,
            seed: self.seed,
            toggle: !self.mesh,
            chatter: !self.mesh,
            shouts: self.shouts,
            contest: self.contest,
            curve: self.curve,
            dual_stack: self.dual_stack,
            quality: Quality {
                loss: self.loss,
                duplicate: self.duplicate,
                reorder: self.reorder,
                ..quality
            },
            steadfast: self.wifi,
            faults,
            ..Options::default()
        })
    }

    /// One run, with a bar that shows how far it is.
    fn one(&self, options: Options) -> Result<Report, Failure> {
        let mut tester = Tester::new(options);
        if let Some(file) = trace_file(self)? {
            tester.trace_to(file);
        }
        let bar = bar(self.duration.as_secs().max(1));
        let report = tester.run(|progress| show(&bar, progress));
        bar.finish_and_clear();
        Ok(report)
    }
}

/// Where the trace is to go, if anywhere.
fn trace_file(sim: &Sim) -> Result<Option<BufWriter<File>>, Failure> {
    let Some(path) = &sim.trace else {
        return Ok(None);
    };
    let file = File::create(path).map_err(|error| {
        Failure::failed(format!("{} cannot be written: {error}", path.display()))
    })?;
    Ok(Some(BufWriter::with_capacity(1 << 20, file)))
}

/// Says what came of all runs; that something did not hold is a failure.
fn conclude(
    sim: &Sim,
    summary: &(impl Serialize + fmt::Display),
    broken: &[&atonce_sim::tester::Broken],
) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    if sim.json {
        let line =
            serde_json::to_string(summary).map_err(|error| Failure::failed(error.to_string()))?;
        writeln!(stdout, "{line}")?;
    } else {
        for broken in broken.iter().take(SHOWN) {
            writeln!(stdout, "{broken}\n")?;
        }
        writeln!(stdout, "{summary}")?;
    }
    stdout.flush()?;
    match broken.first() {
        None => Ok(()),
        Some(first) => Err(Failure::failed(format!(
            "{} of {} runs broke; --seed {} shows it: {}",
            broken.len(),
            sim.seeds,
            first.seed,
            first.what
        ))),
    }
}

/// The hash of one trace, or of those of several runs.
fn trace_hash(hashes: &[u64]) -> String {
    match hashes {
        [one] => format!("{one:016x}"),
        all => {
            let hash = all
                .iter()
                .fold(0_u64, |hash, it| hash.rotate_left(7).wrapping_mul(31) ^ it);
            format!("{hash:016x}")
        }
    }
}

/// Many runs, on all processors. The reports come in the order of their seeds.
fn many<R: Send>(
    sim: &Sim,
    is_broken: impl Fn(&R) -> bool + Sync,
    run: impl Fn(u64) -> R + Sync,
) -> Vec<R> {
    let bar = bar(sim.seeds);
    let next = AtomicU64::new(0);
    let reports = Mutex::new(BTreeMap::new());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let jobs = sim.jobs.unwrap_or(processors).max(1);
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= sim.seeds {
                return;
            }
            let seed = sim.seed.wrapping_add(n);
            let report = run(seed);
            let broken = is_broken(&report);
            if let Ok(mut reports) = reports.lock() {
                reports.insert(n, report);
            }
            bar.inc(1);
            if broken {
                bar.set_message(format!("seed {seed} broke"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let reports = reports.into_inner().unwrap_or_default();
    reports.into_values().collect()
}

/// A bar on stderr, when that is a terminal.
fn bar(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_position(progress.now.min(progress.duration).as_secs());
    let settling = if progress.settling { ", settling" } else { "" };
    bar.set_message(format!(
        "s, {} alive, {} links{settling}",
        progress.alive, progress.connections
    ));
}

/// The most memory that this process had so far, in octets, where the system says it.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1_024)
}

/// What came of all runs.
#[derive(Debug, Serialize)]
struct Summary {
    event: &'static str,
    nodes: u64,
    duration_seconds: f64,
    seed: u64,
    runs: usize,
    faults: String,
    loss: String,
    duplicate: String,
    reorder: String,
    /// What passed in the simulations, and out here.
    virtual_seconds: f64,
    wall_seconds: f64,
    processes: usize,
    /// Calls into nodes, all together and for each second out here.
    node_events: u64,
    node_events_per_second: f64,
    application_events: u64,
    messages: u64,
    datagrams: u64,
    said: u64,
    heard: u64,
    enters: u64,
    exits: u64,
    exits_of_the_living: u64,
    connections_made: u64,
    most_links: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_octets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_octets_per_link: Option<u64>,
    meeting: Millis,
    leaving: Millis,
    dying: Millis,
    vanishing: Millis,
    settling: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    electing: Option<Millis>,
    trace_lines: u64,
    trace_hash: String,
    broken: Vec<Broken>,
}

/// Percentiles.
#[derive(Debug, Serialize)]
struct Millis {
    count: usize,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

/// A run in which something did not hold.
#[derive(Debug, Serialize)]
struct Broken {
    seed: u64,
    at_seconds: f64,
    what: String,
}

impl From<&atonce_sim::tester::Broken> for Broken {
    fn from(broken: &atonce_sim::tester::Broken) -> Self {
        Self {
            seed: broken.seed,
            at_seconds: broken.at.as_secs_f64(),
            what: broken.what.clone(),
        }
    }
}

impl Millis {
    fn new(times: &Times) -> Self {
        let millis = |percent| times.percentile(percent).as_secs_f64() * 1_000.0;
        Self {
            count: times.count(),
            p50: millis(50),
            p90: millis(90),
            p99: millis(99),
            max: millis(100),
        }
    }

    fn of<'a>(times: impl Iterator<Item = &'a Times>) -> Self {
        Self::new(&times.flatten().collect())
    }
}

impl Summary {
    fn new(
        sim: &Sim,
        options: &Options,
        reports: &[Report],
        took: Duration,
        before: Option<u64>,
    ) -> Self {
        let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let node_events = sum(|it| it.counters.inputs);
        let most_links = reports.iter().map(|it| it.most_connections).max();
        let most_links = most_links.unwrap_or_default();
        let memory_octets = memory();
        let grown = memory_octets.zip(before).map(|(now, before)| now - before);
        Self {
            event: "sim",
            nodes: sim.nodes,
            duration_seconds: sim.duration.as_secs_f64(),
            seed: sim.seed,
            runs: reports.len(),
            faults: options.faults.to_string(),
            loss: sim.loss.to_string(),
            duplicate: sim.duplicate.to_string(),
            reorder: sim.reorder.to_string(),
            virtual_seconds: reports.iter().map(|it| it.time.as_secs_f64()).sum(),
            wall_seconds: took.as_secs_f64(),
            processes: reports.iter().map(|it| it.processes).sum(),
            node_events,
            node_events_per_second: node_events as f64 / took.as_secs_f64().max(1e-6),
            application_events: sum(|it| it.counters.events),
            messages: sum(|it| it.messages),
            datagrams: sum(|it| it.counters.datagrams),
            said: sum(|it| it.said),
            heard: sum(|it| it.heard),
            enters: sum(|it| it.enters),
            exits: sum(|it| it.exits),
            exits_of_the_living: sum(|it| it.exits_of_the_living),
            connections_made: sum(|it| it.counters.connections),
            most_links,
            memory_octets,
            // Of several runs at a time nobody knows whose memory it is.
            memory_octets_per_link: grown
                .filter(|_| reports.len() == 1 && most_links > 0)
                .map(|grown| grown / most_links as u64),
            meeting: Millis::of(reports.iter().map(|it| &it.meeting)),
            leaving: Millis::of(reports.iter().map(|it| &it.leaving)),
            dying: Millis::of(reports.iter().map(|it| &it.dying)),
            vanishing: Millis::of(reports.iter().map(|it| &it.vanishing)),
            settling: Millis::new(&reports.iter().filter_map(|it| it.settled).collect()),
            electing: sim
                .contest
                .then(|| Millis::new(&reports.iter().filter_map(|it| it.electing).collect())),
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

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.1}, p90 {:.1}, p99 {:.1}, longest {:.1} ms ({} times)",
            self.p50, self.p90, self.p99, self.max, self.count
        )
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
            ": {} nodes, {:.0} s, loss {}, duplicates {}, late {}, faults {}",
            self.nodes, self.duration_seconds, self.loss, self.duplicate, self.reorder, self.faults
        )?;
        writeln!(
            f,
            "time         {:.0} s in {:.2} s, {:.0} node events a second",
            self.virtual_seconds, self.wall_seconds, self.node_events_per_second
        )?;
        writeln!(
            f,
            "happened     {} processes, {} node events, {} messages, {} datagrams",
            self.processes, self.node_events, self.messages, self.datagrams
        )?;
        writeln!(
            f,
            "told         {} events: {} ENTER, {} EXIT ({} of nodes that were alive), {} of {} said were heard",
            self.application_events,
            self.enters,
            self.exits,
            self.exits_of_the_living,
            self.heard,
            self.said
        )?;
        write!(
            f,
            "links        {} made, at most {} at once",
            self.connections_made, self.most_links
        )?;
        if let Some(memory) = self.memory_octets {
            write!(f, "; {} MiB", memory >> 20)?;
        }
        if let Some(each) = self.memory_octets_per_link {
            write!(f, ", {each} octets for each")?;
        }
        writeln!(f)?;
        for (what, times) in [
            ("met", &self.meeting),
            ("stop seen", &self.leaving),
            ("kill seen", &self.dying),
            ("power loss", &self.vanishing),
            ("settled", &self.settling),
        ] {
            if times.count > 0 {
                writeln!(f, "{what:<12} {times}")?;
            }
        }
        if let Some(times) = &self.electing {
            writeln!(f, "led          {times}")?;
        }
        writeln!(
            f,
            "trace        {}, {} lines",
            self.trace_hash, self.trace_lines
        )?;
        say_broken(f, self.runs, &self.broken)
    }
}

/// The last lines of a summary.
fn say_broken(f: &mut fmt::Formatter<'_>, runs: usize, all: &[Broken]) -> fmt::Result {
    match all.len() {
        0 => write!(f, "everything held"),
        n => {
            write!(f, "BROKEN       {n} of {runs} runs:")?;
            for broken in all.iter().take(20) {
                write!(
                    f,
                    "\n  --seed {} at {:.6} s: {}",
                    broken.seed, broken.at_seconds, broken.what
                )?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("90", 90_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0", "h", "1d", "-1s", "1.5h", "99999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
