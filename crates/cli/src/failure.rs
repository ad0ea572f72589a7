//! How a command ends when it does not end well.

use std::io::{self, Write};
use std::process::ExitCode;

use atonce_std::{CertificateError, StartError};

use crate::paint;

/// Why a command did not do what it was asked to, and so its exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried and did not work, or nobody came: 1.
    Failed(String),
    /// An option or an argument is wrong: 2. The message names it and says what would be right.
    Usage(String),
    /// Nobody reads the output any more, as with `| head`: ends quietly, 0.
    OutputClosed,
    /// Ctrl-C or SIGTERM before it was done: 130, as shells have it.
    Interrupted,
}

impl Failure {
    /// The exit code of an interrupted command: 128 and the number of SIGINT.
    pub(crate) const INTERRUPTED: u8 = 130;

    /// A [`Failure::Failed`] with this message.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// Says on stderr what is to be said, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Failed(message) => {
                say("error:", paint::BAD, &message);
                ExitCode::from(1)
            }
            Self::Usage(message) => {
                say("error:", paint::BAD, &message);
                ExitCode::from(2)
            }
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Interrupted => ExitCode::from(Self::INTERRUPTED),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Failed(format!("the output cannot be written: {error}"))
        }
    }
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::UnknownInterface { .. } => Self::Usage(format!("--interface: {error}")),
            StartError::NobodyAsked | StartError::ServerKey { .. } => {
                Self::Usage(error.to_string())
            }
            _ => Self::Failed(format!("the node does not start: {error}")),
        }
    }
}

/// A remark for the user, on stderr, so that what is read from stdout stays clean.
pub(crate) fn note(message: &str) {
    say("note:", paint::FAINT, message);
}

/// One line on stderr. That stderr is closed is no reason to fail.
fn say(label: &str, style: anstyle::Style, message: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{style}{label}{style:#} {message}");
}
