//! The `atonce` command: a ZRE node for the terminal, for scripts and for programs in any language.

mod args;
mod autoconf;
mod command;
mod content;
mod escape;
mod failure;
mod find;
mod interrupt;
mod json;
mod log;
mod once;
mod options;
mod output;
mod paint;
mod request;
mod security;
mod session;
mod socket;
mod stats;
mod table;
mod terminal;
mod value;
mod words;

use std::process::ExitCode;

use clap::Parser;

/// Reads the arguments, runs the command, and turns how it ended into an exit code.
fn main() -> ExitCode {
    let args = args::Args::parse();
    log::start(args.verbose);
    match args.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
