//! What stands on the command line.

use clap::{Parser, Subcommand};

use crate::command::{
    announce, bridge, chat, completions, decode, demo, find, keygen, listen, log, peers, perf,
    ping, run, send, server, sim, sockets, top,
};
use crate::failure::Failure;

/// What is said below the help of the whole command.
const AFTER_HELP: &str = "\
Examples:
  atonce demo                          see three nodes find each other, on this machine only
  atonce chat LOBBY --name alice       talk to everybody in the group LOBBY
  atonce peers                         who is on this network?
  atonce listen --group LOBBY --json   every event, one JSON object a line
  atonce top                           and what do they do? live
  atonce shout LOBBY dinner is ready   say one thing and leave
  atonce log --level warning           what nodes with --log have to complain about
  atonce find printing                 where is that server?
  atonce decode network.pcap           what was said in this capture?
  atonce bridge --lan eth0 --server meet.example.org --secret-file secret
                                       make one network of this LAN and others

Exit codes: 0 all is well, 1 nobody came or it failed, 2 a bad option or argument, 130 interrupted before it was done.
Ctrl-C leaves the network politely; a second one ends at once.";

/// Peers on a network find each other without a server, whisper to one and shout to groups. Bridges make one network of several.
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
    /// Prints what nodes log: who comes and goes, and what their programs say.
    Log(log::Log),
    /// Looks around and prints who is there.
    Peers(peers::Peers),
    /// Shows peers, groups, rates and latency, live.
    Top(Box<top::Top>),
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
    /// Makes one network of this LAN and others.
    Bridge(Box<bridge::Bridge>),
    /// A place where bridges meet.
    Server(server::Server),
    /// Announces a server on this network, and answers who says hello.
    Announce(announce::Announce),
    /// Finds a server on this network.
    Find(find::Find),
    /// A ZMTP socket that asks, and writes the answers.
    Req(Box<sockets::Req>),
    /// A ZMTP socket that answers.
    Rep(Box<sockets::Rep>),
    /// A ZMTP socket that publishes.
    Pub(Box<sockets::Pub>),
    /// A ZMTP socket that writes what is published.
    Sub(Box<sockets::Sub>),
    /// A ZMTP socket that hands out work.
    Push(Box<sockets::Push>),
    /// A ZMTP socket that writes the work that comes.
    Pull(Box<sockets::Pull>),
    /// A ZMTP socket that sends and receives in any order.
    Dealer(Box<sockets::Dealer>),
    /// A ZMTP socket that knows its peers by identity.
    Router(Box<sockets::Router>),
    /// A ZMTP socket that talks to one partner.
    Pair(Box<sockets::Pair>),
    /// Says what octets of the network say.
    Decode(decode::Decode),
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
            Self::Log(command) => command.run(),
            Self::Peers(command) => command.run(),
            Self::Top(command) => command.run(),
            Self::Whisper(command) => command.run(),
            Self::Shout(command) => command.run(),
            Self::Run(command) => command.run(),
            Self::Ping(command) => command.run(),
            Self::Perf(command) => command.run(),
            Self::Bridge(command) => command.run(),
            Self::Server(command) => command.run(),
            Self::Announce(command) => command.run(),
            Self::Find(command) => command.run(),
            Self::Req(command) => command.run(),
            Self::Rep(command) => command.run(),
            Self::Pub(command) => command.run(),
            Self::Sub(command) => command.run(),
            Self::Push(command) => command.run(),
            Self::Pull(command) => command.run(),
            Self::Dealer(command) => command.run(),
            Self::Router(command) => command.run(),
            Self::Pair(command) => command.run(),
            Self::Decode(command) => command.run(),
            Self::Keygen(command) => command.run(),
            Self::Sim(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;
    use std::fs;
    use std::path::Path;

    use atonce::curve::PublicKey;
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};

    use super::Args;

    /// What a line asks a shell to run, without what stands beside it.
    fn words(line: &str) -> Vec<&str> {
        let ends = |word: &&str| !["|", ">", "&", "&&", "#", "\\", ";"].contains(word);
        let words = line.split_whitespace().take_while(ends);
        words.filter(|word| !word.contains('$')).collect()
    }

    #[test]
    fn every_command_that_is_written_down_can_be_run() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let args = Args::command();
        let helps = args.get_subcommands().chain([&args]);
        // As it stands in the source: not yet cut into lines for a terminal.
        let helps = helps.filter_map(|command| command.get_after_help());
        let mut texts: Vec<_> = helps.map(ToString::to_string).collect();
        for file in [
            "README.md",
            "docs/two-networks.md",
            "examples/deploy/README.md",
            "examples/deploy/atonce-server.service",
            "examples/deploy/atonce-bridge@.service",
        ] {
            texts.push(fs::read_to_string(root.join(file)).unwrap());
        }
        let mut seen = 0;
        for line in texts.iter().flat_map(|text| text.lines()) {
            let line = line.trim();
            let line = line
                .strip_prefix("ExecStart=/usr/local/bin/")
                .unwrap_or(line);
            if !line.starts_with("atonce ") {
                continue;
            }
            // Examples have two blanks before what they are for.
            let line = line.split("  ").next().unwrap();
            seen += 1;
            if let Err(error) = Args::try_parse_from(words(line)) {
                // Files of keys that are not here, and the help of what is described.
                let fits = matches!(
                    error.kind(),
                    ErrorKind::ValueValidation | ErrorKind::DisplayHelp
                );
                assert!(fits, "{line}: {error}");
            }
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn a_key_may_begin_with_a_hyphen() {
        let args = Args::command();
        let mut seen = 0;
        for command in args.get_subcommands() {
            for option in command.get_arguments() {
                if option.get_value_parser().type_id() != TypeId::of::<PublicKey>() {
                    continue;
                }
                seen += 1;
                assert!(
                    option.is_allow_hyphen_values_set(),
                    "{} {}",
                    command.get_name(),
                    option.get_id()
                );
            }
        }
        assert!(seen >= 9, "{seen}");
        let key = "-/000".repeat(8);
        Args::try_parse_from(["atonce", "find", "printing", "--key", &key]).unwrap();
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
