//! `completions`: a completion script for a shell.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::failure::Failure;

/// Said below the help.
const AFTER_HELP: &str = "\
Examples:
  atonce completions bash > ~/.local/share/bash-completion/completions/atonce
  atonce completions zsh  > ~/.zfunc/_atonce
  atonce completions fish > ~/.config/fish/completions/atonce.fish";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Completions {
    /// For which shell.
    shell: Shell,
}

impl Completions {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        // Into memory first: the generator itself would panic when nobody reads to the end.
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut crate::args::Args::command(),
            "atonce",
            &mut script,
        );
        std::io::stdout().write_all(&script)?;
        Ok(())
    }
}
