//! `perf`: throughput and latency between two nodes.
//!
//! What is measured is what arrived: the receiver counts, by its own clock, and reports back; the sender never counts what
//! it merely queued. The two speak over WHISPER, beside the messages that are measured:
//!
//! 1. `perf run` whispers two frames, the mark `atonce-perf/1` and the JSON of a `Begin`: which run, how many
//!    octets each message has, and for the mode `shout` the group, made up for this run, that the receiver is to join.
//! 2. `perf serve` joins the group, if there is one, counts from zero, and answers with the mark and a `Ready`.
//!    In the mode `shout` the sender also waits until it sees the receiver in the group.
//! 3. The sender sends `count` messages of one frame of `size` octets; when the queue is full it waits a moment and tries
//!    the same message again. As long as a run lasts, the receiver counts the messages of its sender that have this size,
//!    and takes the time of the first and of the last.
//! 4. The sender whispers an `End`. Messages between two nodes keep their order, so it comes after all others. The
//!    receiver leaves the group and answers with a `Report`: how many messages came, and how long it took from
//!    the first to the last. The rate is that of the intervals: one less than the messages, over that time.
//!
//! The mode `echo` needs none of that: the sender whispers, waits for the same content, and takes the time, one message
//! after the other. While no run of a peer lasts, `perf serve` answers its WHISPERs with the same content, as
//! `listen --echo` does.

mod control;
mod sender;
mod serve;

use clap::Subcommand;

use crate::failure::Failure;

/// Said below the help.
const AFTER_HELP: &str = "\
Examples:
  atonce perf serve --name here                                 on one machine
  atonce perf run here                                          on another
  atonce perf run here --size 1000000 --count 1000
  atonce perf run here --mode echo --size 100 --count 10000 --json";

/// See the module.
#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub(crate) enum Perf {
    /// Counts what `perf run` sends, until interrupted.
    Serve(serve::Serve),
    /// Sends messages to a node that runs `perf serve`, and says how fast they arrived.
    Run(sender::Run),
}

impl Perf {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Run(run) => run.run(),
        }
    }
}
