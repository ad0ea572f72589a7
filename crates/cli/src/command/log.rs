//! `log`: prints what nodes log.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use atonce::wire::Text;
use atonce_std::Node;
use atonce_std::log::{Collector, HEADER, Happened, Level, NodeTag, Record};
use clap::Args;
use serde::Serialize;

use crate::content;
use crate::escape::escaped;
use crate::failure::Failure;
use crate::json::Line;
use crate::options::NodeOptions;
use crate::output::Output;
use crate::paint::{self, painted};
use crate::session::Session;
use crate::value;

/// Said below the help.
const AFTER_HELP: &str = "\
A node logs when it is started with --log, or by its program. It says who comes and goes and which groups it joins.
Nodes say so to every collector that they meet; this is one, until Ctrl-C.

Examples:
  atonce log                               all that nodes have to say
  atonce log --level warning               only what may be wrong
  atonce log --log-port 9992 --json > log.jsonl
  atonce log --count 1 --for 10            the next record, or exit code 1 after 10 seconds
  atonce listen --log                      a node that logs";

/// After this second, the last of the year 9999, a time is no date.
const LAST_DATE: u64 = 253_402_300_799;

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Log {
    /// Print this level and those before it: error, warning or info; others are not even sent [default: all].
    #[arg(long, value_parser = value::level)]
    level: Option<Level>,

    /// TCP port at which records come [default: any].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    log_port: Option<u16>,

    /// Stop after this time.
    #[arg(long = "for", value_name = "SECS", value_parser = value::seconds)]
    duration: Option<Duration>,

    /// Stop after this many records; exit code 1 when `--for` is over before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

/// A record, as programs read it.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "log")]
struct LogLine<'a> {
    /// How serious it is.
    level: String,
    /// What happened, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    happened: Option<String>,
    /// Who says it, four hexadecimal digits.
    node: String,
    /// Its name, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// About whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    /// The name of that one, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    about_name: Option<String>,
    /// When, in seconds since 1970, by the clock of the node.
    time: u64,
    /// What else.
    #[serde(serialize_with = "content::text_to_json")]
    data: &'a Text,
}

impl Log {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let until = self.duration.map(|duration| Instant::now() + duration);
        let mut collector = self.node.collector().port(self.log_port.unwrap_or(0));
        if let Some(level) = self.level {
            collector = collector.level(level);
        }
        let collector = Arc::new(collector.open()?);
        let output = Output::new(self.node.json);
        let endpoints = collector.endpoints();
        let mut session = Session::start_with(&self.node, output, |builder| {
            builder.service(HEADER, endpoints)
        })?;
        session.introduce()?;
        let listening = format!("log records come to {}", endpoints.join(", "));
        session.output.remark(&listening)?;
        let follower = follow(&session.node, &collector);
        let mut seen = 0;
        let printed = self.print(&collector, &mut session.output, until, &mut seen);
        let interrupted = session.interrupt.came();
        session.node.stop();
        // It ends with the last event of the node; if it panicked there is nothing to add.
        let _ = follower.join();
        printed?;
        let counters = collector.counters();
        let summary = format!(
            "{} records of {} nodes, {} malformed",
            counters.records,
            collector.sources().len(),
            counters.malformed
        );
        session.output.line(&Line::Stop, || summary)?;
        match self.count {
            Some(_) if interrupted => Err(Failure::Interrupted),
            Some(count) if seen < count => {
                Err(Failure::failed(format!("{seen} of {count} records came")))
            }
            _ => Ok(()),
        }
    }

    /// Prints what comes, until it is enough.
    fn print(
        &self,
        collector: &Collector,
        output: &mut Output,
        until: Option<Instant>,
        seen: &mut u64,
    ) -> Result<(), Failure> {
        while self.count.is_none_or(|count| *seen < count) {
            let heard = match until {
                None => collector.recv(),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    collector.recv_timeout(left)
                }
            };
            match heard {
                // Late, or interrupted.
                None => return Ok(()),
                Some(Ok(record)) => {
                    *seen += 1;
                    let line = || words(collector, &record);
                    output.line(&LogLine::of(collector, &record), line)?;
                }
                Some(Err(error)) => {
                    let message = format!("a message that is no record: {error}");
                    output.line(&Line::error(&message), || painted(paint::WARN, &message))?;
                }
            }
        }
        Ok(())
    }
}

/// Tells the collector who comes and goes, until the node is stopped; then it listens no more.
fn follow(node: &Node, collector: &Arc<Collector>) -> thread::JoinHandle<()> {
    let (node, collector) = (node.clone(), Arc::clone(collector));
    thread::spawn(move || {
        while let Some(event) = node.recv() {
            collector.hear(&event);
        }
        collector.close();
    })
}

impl<'a> LogLine<'a> {
    fn of(collector: &Collector, record: &'a Record) -> Self {
        let name = |tag| collector.name(tag).map(|name| name.to_string());
        let about = (record.peer != NodeTag::NONE).then_some(record.peer);
        let happened = (record.event != Happened::NONE).then_some(record.event);
        Self {
            level: record.level.to_string(),
            happened: happened.map(|event| event.to_string()),
            node: record.node.to_string(),
            name: name(record.node),
            about: about.map(|tag| tag.to_string()),
            about_name: about.and_then(name),
            time: record.since_1970().as_secs(),
            data: &record.data,
        }
    }
}

/// A record, as people read it.
fn words(collector: &Collector, record: &Record) -> String {
    let level = match record.level {
        Level::ERROR => painted(paint::BAD, "error  "),
        Level::WARNING => painted(paint::WARN, "warning"),
        level => format!("{level:<7}"),
    };
    // LOG-34
    let node = collector.name(record.node).map_or_else(
        || record.node.to_string(),
        |name| escaped(&name.to_str_lossy()),
    );
    let happened = match record.event {
        Happened::NONE => String::new(),
        event => format!("{event} "),
    };
    format!(
        "{} {level} {} {happened}{}",
        painted(paint::FAINT, &date(record.since_1970())),
        painted(paint::NAME, &node),
        escaped(&record.data.to_str_lossy())
    )
}

/// A time as a date of UTC, if it is one.
fn date(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    match time {
        Some(time) if seconds <= LAST_DATE => humantime::format_rfc3339_seconds(time).to_string(),
        _ => format!("second {seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_no_date_is_shown_all_the_same() {
        let date = |seconds| date(Duration::from_secs(seconds));
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(LAST_DATE), "9999-12-31T23:59:59Z");
        assert_eq!(date(LAST_DATE + 1), "second 253402300800");
        assert_eq!(date(u64::MAX), format!("second {}", u64::MAX));
    }
}
