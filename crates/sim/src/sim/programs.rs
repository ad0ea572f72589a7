//! Programs: processes with several nodes.

use std::any::Any;

use super::Sim;
use crate::application::{Application, NodeId, Observer};
use crate::chance::Chance;
use crate::program::{Nodes, Program, ProgramId};
use crate::topology::{HostId, count};
use crate::trace::Kind;

/// A process with several nodes.
pub(super) struct Running {
    host: HostId,
    program: Box<dyn Program>,
    /// Its nodes that have not ended.
    members: Vec<NodeId>,
    chance: Chance,
    /// It has ended.
    ended: bool,
    /// The process does not run.
    pub(super) suspended: bool,
    /// It takes no events.
    pub(super) deaf: bool,
    /// Timers that came meanwhile.
    timers: Vec<u64>,
    /// Nodes of which it did not want an event.
    held: Vec<NodeId>,
}

impl<A: Application, O: Observer> Sim<A, O> {
    /// Starts a program on a host.
    ///
    /// See [`Program`] for an example.
    pub fn start_program(&mut self, host: HostId, program: impl Program) -> ProgramId {
        let id = ProgramId(count(self.programs.len()));
        let chance = self.world.chance.fork();
        self.programs.push(Running {
            host,
            program: Box::new(program),
            members: Vec::new(),
            chance,
            ended: false,
            suspended: false,
            deaf: false,
            timers: Vec::new(),
            held: Vec::new(),
        });
        self.call_program(id, Program::on_start);
        self.drain_touched();
        id
    }

    /// A program, also one that ended; `None` when it is of another kind.
    pub fn program<P: Program>(&self, id: ProgramId) -> Option<&P> {
        let running = self.programs.get(id.0 as usize)?;
        let program: &dyn Any = &*running.program;
        program.downcast_ref()
    }

    /// Whether the program has not ended.
    pub fn is_program_running(&self, id: ProgramId) -> bool {
        let running = self.programs.get(id.0 as usize);
        running.is_some_and(|running| !running.ended)
    }

    /// The nodes of a program that have not ended, in the order in which they were started.
    pub fn nodes_of(&self, id: ProgramId) -> &[NodeId] {
        let running = self.programs.get(id.0 as usize);
        running.map_or(&[], |running| &running.members)
    }

    /// Lets the program do something now. `None` when it has ended, or is of another kind.
    pub fn with_program<P: Program, T>(
        &mut self,
        id: ProgramId,
        act: impl FnOnce(&mut P, &mut Nodes<'_>) -> T,
    ) -> Option<T> {
        let result = self.call_program(id, |program, nodes| {
            let program: &mut dyn Any = program;
            let program = program.downcast_mut()?;
            Some(act(program, nodes))
        });
        self.drain_touched();
        result?
    }

    /// The program dies with all its nodes; see [`kill`](Sim::kill).
    pub fn kill_program(&mut self, id: ProgramId) {
        let Some(running) = self.programs.get_mut(id.0 as usize) else {
            return;
        };
        running.ended = true;
        for node in running.members.clone() {
            self.world.say(node, Kind::Killed, [0; 3]);
            self.end(node);
        }
    }

    /// The node and those that share its process.
    pub(super) fn together(&self, node: NodeId) -> Vec<NodeId> {
        match self.program_of(node) {
            Some(program) => self.nodes_of(program).to_vec(),
            None => vec![node],
        }
    }

    pub(super) fn program_of(&self, node: NodeId) -> Option<ProgramId> {
        self.processes.get(node.index())?.program
    }

    pub(super) fn program_mut(&mut self, id: ProgramId) -> Option<&mut Running> {
        self.programs.get_mut(id.0 as usize)
    }

    /// Calls into a program. What it did with its nodes is seen to by [`drain_touched`](Self::drain_touched).
    pub(super) fn call_program<T>(
        &mut self,
        id: ProgramId,
        act: impl FnOnce(&mut dyn Program, &mut Nodes<'_>) -> T,
    ) -> Option<T> {
        let running = self.programs.get_mut(id.0 as usize)?;
        if running.ended {
            return None;
        }
        let mut nodes = Nodes {
            program: id,
            host: running.host,
            world: &mut self.world,
            processes: &mut self.processes,
            members: &mut running.members,
            chance: &mut running.chance,
            touched: &mut self.touched,
        };
        let result = act(&mut *running.program, &mut nodes);
        // It may want now what it did not want before.
        self.touched.append(&mut running.held);
        while self.applications.len() < self.processes.len() {
            self.applications.push(None);
        }
        Some(result)
    }

    /// Whether the application of a node takes an event of it now.
    pub(super) fn wants(&mut self, node: NodeId) -> bool {
        let Some(program) = self.program_of(node) else {
            return true;
        };
        let Some(running) = self.programs.get_mut(program.0 as usize) else {
            return true;
        };
        if running.program.wants(node) {
            return true;
        }
        if !running.held.contains(&node) {
            running.held.push(node);
        }
        false
    }

    /// Does what follows for all nodes with which programs did something.
    pub(super) fn drain_touched(&mut self) {
        while !self.touched.is_empty() {
            let mut touched = std::mem::take(&mut self.touched);
            touched.sort_unstable();
            touched.dedup();
            for node in touched {
                self.drain_one(node);
            }
        }
    }

    pub(super) fn program_timer(&mut self, id: ProgramId, token: u64) {
        let Some(running) = self.programs.get_mut(id.0 as usize) else {
            return;
        };
        if running.ended {
            return;
        }
        if running.suspended || running.deaf {
            return running.timers.push(token);
        }
        let words = [token, 0, 0];
        let node = running.members.first().copied();
        self.world
            .trace
            .say(self.world.now, node, Kind::Timer, words);
        self.call_program(id, |program, nodes| program.on_timer(nodes, token));
        self.drain_touched();
    }

    /// A program that takes events again is told of the time that passed.
    pub(super) fn program_catches_up(&mut self, id: ProgramId) {
        let Some(running) = self.programs.get_mut(id.0 as usize) else {
            return;
        };
        if running.suspended || running.deaf {
            return;
        }
        for token in std::mem::take(&mut running.timers) {
            self.program_timer(id, token);
        }
    }

    /// A node or socket of a program has ended; with the last one the process ends, and with it its relays.
    pub(super) fn member_ended(&mut self, id: ProgramId, node: NodeId) {
        let Some(running) = self.programs.get_mut(id.0 as usize) else {
            return;
        };
        running.members.retain(|member| *member != node);
        running.held.retain(|member| *member != node);
        let left = running.members.clone();
        let lives = |member: &NodeId| {
            let engine = self.running(*member).map(|running| &running.engine);
            engine.is_some_and(|engine| engine.relay().is_none())
        };
        if left.iter().any(lives) {
            return;
        }
        if let Some(running) = self.programs.get_mut(id.0 as usize) {
            running.ended = true;
        }
        for relay in left {
            self.end(relay);
        }
    }

    /// Every program of a host ends.
    pub(super) fn end_programs(&mut self, host: HostId) {
        for running in &mut self.programs {
            running.ended |= running.host == host;
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("host", &self.host)
            .field("members", &self.members)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
