//! `listen`: prints every event.

use std::time::{Duration, Instant};

use atonce::zre::Event;
use clap::Args;

use crate::failure::Failure;
use crate::options::NodeOptions;
use crate::output::Output;
use crate::session::{Next, Session};
use crate::value;

/// Said below the help.
const AFTER_HELP: &str = "\
Examples:
  atonce listen                            who comes and goes, until Ctrl-C
  atonce listen --group LOBBY              and what is said to LOBBY
  atonce listen --group LOBBY --json | jq -r 'select(.event == \"shout\").content[0]'
  atonce listen --count 1 --for 10         the next event, or exit code 1 after 10 seconds
  atonce listen --name echo --echo         answers for `atonce ping echo`";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Listen {
    /// Stop after this time.
    #[arg(long = "for", value_name = "SECS", value_parser = value::seconds)]
    duration: Option<Duration>,

    /// Stop after this many events of peers; exit code 1 when `--for` is over before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Answer each WHISPER with the same content.
    #[arg(long)]
    echo: bool,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

impl Listen {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let until = self.duration.map(|duration| Instant::now() + duration);
        let output = Output::new(self.node.json).timed();
        let mut session = Session::start_with(&self.node, output, |builder| builder)?;
        session.introduce()?;
        let mut seen = 0;
        while self.count.is_none_or(|count| seen < count) {
            let Next::Event(event) = session.next(until) else {
                break;
            };
            session.tell(&event)?;
            if let Event::Whisper { peer, content } = &event
                && self.echo
            {
                // One that is gone gets no answer, nor one that does not read its answers: nobody else is to wait for it.
                let _ = session.node.whisper(peer.id, content.clone());
            }
            if of_a_peer(&event) {
                seen += 1;
            }
        }
        let interrupted = session.interrupt.came();
        session.finish()?;
        match self.count {
            Some(_) if interrupted => Err(Failure::Interrupted),
            Some(count) if seen < count => {
                Err(Failure::failed(format!("{seen} of {count} events came")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether an event is about a peer, and not about this node.
const fn of_a_peer(event: &Event) -> bool {
    !matches!(
        event,
        Event::InterfaceUp { .. } | Event::InterfaceDown { .. } | Event::Stopped
    )
}
