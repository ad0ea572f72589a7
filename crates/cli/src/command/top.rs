//! `top`: a live view of peers, groups, rates and latency.

mod model;
mod rate;
mod screen;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;

use std::time::{Duration, Instant};

use atonce::zre::Event;
use clap::Args;

use self::model::{Me, Model, Sort};
use crate::failure::Failure;
use crate::options::NodeOptions;
use crate::session::{Next, Session};
use crate::value;

/// Said below the help.
const AFTER_HELP: &str = "\
This is a node like any other: peers see it come and go. It hears what peers whisper to it, and what they shout to groups in which it is
itself: --group joins some, --join-all each that a peer is in, which makes all of their traffic come here as well. Rates are of those
messages, and of the octets of their content, over the last five seconds. Latency is how long a peer takes to answer a PING.

Keys: q leaves, ? tells the others.

Examples:
  atonce top                              who is on this network?
  atonce top --join-all --sort messages   and who says most?
  atonce top --once --for 5               looks for five seconds and prints what it saw
  atonce top --once --json | jq -r '.peers[] | [.name, .latency_micros] | @tsv'";

/// How long `--once` looks around.
const GLANCE: Duration = Duration::from_secs(3);

/// How often `--once` looks up from waiting.
const TURN: Duration = Duration::from_millis(100);

/// How many groups are joined at most by `--join-all`: as many as a node may be in.
const JOINED: usize = 1_024;

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Top {
    /// Look around, print what is to be seen, and leave.
    #[arg(long)]
    once: bool,

    /// Leave after this time [default with --once: 3].
    #[arg(long = "for", value_name = "SECS", value_parser = value::seconds)]
    duration: Option<Duration>,

    /// Join each group that a peer is in, to hear what is shouted there.
    #[arg(long)]
    join_all: bool,

    /// Time from one PING to the next of each peer, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = value::millis)]
    every: Duration,

    /// By what peers are sorted.
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,

    /// Show only peers with this text in name, endpoint, groups, state or UUID.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    filter: String,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

impl Top {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.node.json && !self.once {
            return Err(Failure::Usage(
                "--json: a live view is for people; --once --json is for programs".into(),
            ));
        }
        let begun = Instant::now();
        let mut session = Session::start(&self.node)?;
        let me = Me {
            name: session.node.name().to_string(),
            id: session.node.id().to_string(),
            endpoints: session.node.endpoints(),
        };
        let model = Model::new(me, self.sort, self.filter.clone());
        if self.once {
            self.print_once(&mut session, model, begun)
        } else {
            screen::run(&self, &session, model, begun)
        }
    }

    /// Looks around and prints what is to be seen.
    fn print_once(
        &self,
        session: &mut Session,
        mut model: Model,
        begun: Instant,
    ) -> Result<(), Failure> {
        let end = begun + self.duration.unwrap_or(GLANCE);
        let mut looked = None::<Instant>;
        loop {
            let turn = end.min(Instant::now() + TURN);
            match session.next(Some(turn)) {
                Next::Event(event) => self.hear(session, &mut model, begun.elapsed(), &event),
                Next::Deadline => {}
                Next::Over => return Err(session.ended()),
            }
            if session.interrupt.came() {
                return Err(Failure::Interrupted);
            }
            let now = Instant::now();
            let over = now >= end;
            if over || looked.is_none_or(|at| now - at >= TURN) {
                model.tick(now - begun);
                self.look(session, &mut model);
                looked = Some(now);
            }
            if over {
                return snapshot::print(&mut session.output, &model);
            }
        }
    }

    /// Something happened.
    fn hear(&self, session: &Session, model: &mut Model, now: Duration, event: &Event) {
        model.hear(now, event);
        if let Event::Join { group, .. } = event
            && self.join_all
        {
            let groups = session.node.groups();
            if groups.len() < JOINED && !groups.contains(group) {
                // It is the name of a group already.
                let _ = session.node.join(group.clone());
            }
        }
    }

    /// Looks at what the node knows, and asks those who are due how long they take to answer.
    fn look(&self, session: &Session, model: &mut Model) {
        let node = &session.node;
        for peer in model.due(self.every) {
            // One that is gone, or does not read, is not asked.
            let _ = node.ping(peer);
        }
        model.look(node.peers(), node.groups(), node.endpoints());
    }
}
