//! Deadlines of the machines of a program.

use atonce::Instant;

use crate::Nodes;

/// A deadline of a machine, as a timer of the simulation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alarm {
    /// The earliest for which a timer was asked for.
    armed: Option<Instant>,
}

impl Alarm {
    /// One for which nothing was asked yet.
    pub(crate) const fn new() -> Self {
        Self { armed: None }
    }

    /// Asks for a timer unless an earlier one is to come.
    pub(crate) fn arm(&mut self, nodes: &mut Nodes<'_>, deadline: Option<Instant>) {
        let now = nodes.now();
        let Some(at) = deadline.map(|at| at.max(now)) else {
            return;
        };
        if self.armed.is_none_or(|armed| at < armed) {
            self.armed = Some(at);
            nodes.set_timer(at - now, at.as_micros());
        }
    }

    /// A timer came; whether it is the one that was asked for last.
    pub(crate) fn rings(&mut self, token: u64) -> bool {
        let is_last = self.armed.is_some_and(|at| at.as_micros() == token);
        if is_last {
            self.armed = None;
        }
        is_last
    }
}
