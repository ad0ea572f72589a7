//! `ping`: round trips over WHISPER to a node that answers with the same content.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atonce::Frames;
use atonce::zre::{Event, Peer};
use clap::Args;

use crate::failure::Failure;
use crate::find::Target;
use crate::json::{Line, Who};
use crate::options::NodeOptions;
use crate::session::{Next, Session};
use crate::stats::{self, Summary};
use crate::{value, words};

/// Said below the help.
const AFTER_HELP: &str = "\
The peer must answer each WHISPER with the same content, as `atonce listen --echo` and `atonce perf serve` do.

Examples:
  atonce listen --name echo --echo &
  atonce ping echo
  atonce ping echo --count 1000 --every 1 --json | tail -1";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Ping {
    /// Name or UUID of the peer.
    #[arg(value_name = "PEER")]
    target: Target,

    /// How many round trips.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,

    /// Time from one to the next, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "200", value_parser = value::millis)]
    every: Duration,

    /// How long to wait for each answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = value::millis)]
    timeout: Duration,

    /// How long to wait for the peer.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = value::seconds)]
    wait: Duration,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

/// How waiting for one answer ended.
enum Answer {
    /// It came.
    Came(Duration),
    /// It did not come in time.
    Late,
    /// The user wants to end.
    Interrupted,
}

impl Ping {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut session = Session::start(&self.node)?;
        let peer = session.meet(&self.target, self.wait)?;
        let mut times = Vec::new();
        let mut sent = 0;
        let mut due = Instant::now();
        while sent < self.count && pause(&mut session, due) {
            sent += 1;
            match self.once(&mut session, &peer, sent)? {
                Answer::Came(time) => {
                    times.push(time);
                    told(&mut session, &peer, sent, time)?;
                }
                Answer::Late => {
                    session.output.remark(&format!(
                        "no answer to {sent} within {} ms",
                        self.timeout.as_millis()
                    ))?;
                }
                Answer::Interrupted => {
                    sent -= 1;
                    break;
                }
            }
            due = Instant::now().max(due + self.every);
        }
        let answered = times.len();
        summary(&mut session, &peer, sent, times)?;
        match answered {
            0 if session.interrupt.came() => Err(Failure::Interrupted),
            0 => Err(Failure::failed(format!(
                "{} did not answer; does it run `atonce listen --echo`?",
                words::plain_name(&peer)
            ))),
            _ => session.finish_sending(),
        }
    }

    /// One round trip.
    fn once(
        &self,
        session: &mut Session,
        peer: &Arc<Peer>,
        number: u32,
    ) -> Result<Answer, Failure> {
        let content = Frames::from(format!("ping {number} of {}", session.node.id()));
        let begun = Instant::now();
        session.whisper(peer, &content)?;
        loop {
            match session.next(Some(begun + self.timeout)) {
                Next::Event(Event::Whisper {
                    peer: from,
                    content: answer,
                }) if from.id == peer.id && answer == content => {
                    return Ok(Answer::Came(begun.elapsed()));
                }
                Next::Event(Event::Exit { peer: gone, reason }) if gone.id == peer.id => {
                    return Err(Failure::failed(format!(
                        "{} is gone, {reason}",
                        words::plain_name(peer)
                    )));
                }
                Next::Event(_) => {}
                Next::Deadline => return Ok(Answer::Late),
                Next::Over => return Ok(Answer::Interrupted),
            }
        }
    }
}

/// Waits for a moment. `false` when the node is stopped before.
fn pause(session: &mut Session, until: Instant) -> bool {
    loop {
        match session.next(Some(until)) {
            Next::Event(_) => {}
            Next::Deadline => return true,
            Next::Over => return false,
        }
    }
}

/// Says how long one round trip took.
fn told(session: &mut Session, peer: &Peer, number: u32, time: Duration) -> Result<(), Failure> {
    let micros = stats::micros(time);
    let line = Line::Pong {
        who: Who::from(peer),
        number,
        micros,
    };
    session.output.line(&line, || {
        format!(
            "{number} answered by {} in {micros:.1} µs",
            words::name(peer)
        )
    })
}

/// Says what was measured.
fn summary(
    session: &mut Session,
    peer: &Peer,
    sent: u32,
    times: Vec<Duration>,
) -> Result<(), Failure> {
    let answered = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let micros = Summary::of(times);
    let line = Line::Ping {
        who: Who::from(peer),
        sent,
        answered,
        micros,
    };
    session.output.line(&line, || {
        let counts = format!("{answered} of {sent} answered");
        micros.map_or(counts.clone(), |micros| format!("{counts}: {micros}"))
    })
}
