//! `peers`: looks around and prints who is there.

use std::time::{Duration, Instant};

use clap::Args;

use crate::failure::{self, Failure};
use crate::json::{Line, PeerLine};
use crate::options::NodeOptions;
use crate::session::{Next, Session};
use crate::{value, words};

/// Said below the help.
const AFTER_HELP: &str = "\
Examples:
  atonce peers                             who is on this network?
  atonce peers --for 1 --interface eth0    only there, and quickly
  atonce peers --json | jq -r '.peers[].name'";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Peers {
    /// How long to look around.
    #[arg(long = "for", value_name = "SECS", default_value = "3", value_parser = value::seconds)]
    duration: Duration,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

impl Peers {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut session = Session::start(&self.node)?;
        let until = Instant::now() + self.duration;
        while let Next::Event(_) = session.next(Some(until)) {}
        if session.interrupt.came() {
            return Err(Failure::Interrupted);
        }
        let mut peers = session.node.peers();
        peers.sort_by(|a, b| (&a.peer.name, a.peer.id).cmp(&(&b.peer.name, b.peer.id)));
        let line = Line::Peers {
            id: None,
            peers: peers.iter().map(PeerLine::from).collect(),
        };
        if peers.is_empty() && !session.output.is_json() {
            failure::note("nobody else is here");
            return Ok(());
        }
        session.output.line(&line, || words::peers(&peers))
    }
}
