//! What stands on the command line.

use clap::{Parser, Subcommand};

use crate::command::{chat, completions, demo, keygen, listen, peers, perf, ping, run, send, sim};
use crate::failure::Failure;

/// What is said below the help of the whole command.
const AFTER_HELP: &str = "\
Examples:
  atonce demo                          see three nodes find each other, on this machine only
  atonce chat LOBBY --name alice       talk to everybody in the group LOBBY
  atonce peers                         who is on this network?
  atonce listen --group LOBBY --json   every event, one JSON object a line
  atonce shout LOBBY dinner is ready   say one thing and leave

Exit codes: 0 all is well, 1 nobody came or it failed, 2 a bad option or argument, 130 interrupted before it was done.
Ctrl-C leaves the network politely; a second one ends at once.";

/// Peers on a network find each other without a server, whisper to one and shout to groups.
///
/// Speaks ZRE, the ZeroMQ realtime exchange, as C Zyre, Pyre, gyre and zyre.js do.
#[derive(Debug, Parser)]
#[command(name = "atonce", version, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say on stderr what goes on: -v what happens, -vv every step.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

/// One variant for each command; what each does stands in its own file.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows three nodes that find each other, on this machine only.
    Demo(demo::Demo),
    /// Talks to the members of a group.
    Chat(chat::Chat),
    /// Prints every event.
    Listen(listen::Listen),
    /// Looks around and prints who is there.
    Peers(peers::Peers),
    /// Says something to one peer.
    Whisper(send::Whisper),
    /// Says something to the members of a group.
    Shout(send::Shout),
    /// A node driven by lines of JSON.
    Run(run::Run),
    /// Measures round trips to a peer.
    Ping(ping::Ping),
    /// Measures throughput and latency.
    #[command(subcommand)]
    Perf(perf::Perf),
    /// Makes a certificate: a pair of keys for CURVE.
    Keygen(keygen::Keygen),
    /// Tests a crowd of nodes on a virtual network, in virtual time.
    Sim(sim::Sim),
    /// Prints a completion script for a shell.
    Completions(completions::Completions),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Demo(command) => command.run(),
            Self::Chat(command) => command.run(),
            Self::Listen(command) => command.run(),
            Self::Peers(command) => command.run(),
            Self::Whisper(command) => command.run(),
            Self::Shout(command) => command.run(),
            Self::Run(command) => command.run(),
            Self::Ping(command) => command.run(),
            Self::Perf(command) => command.run(),
            Self::Keygen(command) => command.run(),
            Self::Sim(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
