//! A network of its own for a test: a UDP port of loopback that nobody else beacons on.

use serde_json::json;

use crate::loopback::free_port;
use crate::program::Program;

/// See the module.
pub(crate) struct Network {
    port: String,
}

impl Network {
    /// A network with nobody in it.
    pub(crate) fn new() -> Self {
        Self {
            port: free_port().to_string(),
        }
    }

    /// The UDP port of its beacons.
    pub(crate) fn port(&self) -> &str {
        &self.port
    }

    /// Starts the command on this network.
    pub(crate) fn start(&self, args: &[&str]) -> Program {
        Program::start(&self.placed(args))
    }

    /// Starts the command on this network; nobody reads its output.
    pub(crate) fn start_unread(&self, args: &[&str]) -> Program {
        Program::start_unread(&self.placed(args))
    }

    /// The arguments, with those that keep the command on this network.
    pub(crate) fn placed<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let mut all = args.to_vec();
        // In front of a `--`, after which there are no options any more.
        let at = all.iter().position(|arg| *arg == "--").unwrap_or(all.len());
        all.splice(
            at..at,
            [
                "--interface",
                "lo",
                "--port",
                &self.port,
                "--interval",
                "100",
            ],
        );
        all
    }

    /// A node that is driven by lines of JSON and that runs; `more` options for it.
    pub(crate) fn node(&self, name: &str, more: &[&str]) -> Program {
        let mut args = vec!["run", "--name", name];
        args.extend(more);
        let mut node = self.start(&args);
        node.event(&json!({"event": "start", "name": name}));
        node
    }
}
