//! Processes: what is put into a node, what comes out of it, and its end.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use atonce::once::Relay;
use atonce::wire::once::Ticket;
use atonce::zmtp::Verdict;
use atonce::{Action, Event, Instant, LinkId, Stack};
use bytes::Bytes;

use super::engine::Engine;
use super::launching::Bound;
use super::sockets::Listening;
use super::world::{Coming, Resolved, World};
use super::{Process, Sim};
use crate::application::{Application, Context, NodeId, Observer};
use crate::chance::Chance;
use crate::tcp::{LinkTable, StreamKey};
use crate::trace::{self, Kind};

/// How long a resolver takes.
pub(super) const RESOLVER: Duration = Duration::from_millis(20);

/// A process that lives.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) engine: Engine,
    pub(super) interfaces: Vec<Bound>,
    /// Where a socket listens.
    pub(super) listening: Vec<Listening>,
    /// Links of a socket for which a name is looked up.
    pub(super) resolving: BTreeSet<LinkId>,
    /// Something happened to a socket of which its program was not told.
    pub(super) news: bool,
    /// From where it sends datagrams, and where it hears them if it does.
    pub(super) beacon_port: u16,
    pub(super) chance: Chance,
    pub(super) links: LinkTable,
    /// Links that have something to send that was not tried yet.
    pub(super) unsent: VecDeque<LinkId>,
    /// When the node is woken, as far as the schedule knows.
    pub(super) armed: Option<Instant>,
    /// Connections that the kernel made and the process did not accept yet.
    pub(super) backlog: VecDeque<StreamKey>,
    /// Datagrams that the process did not read yet.
    pub(super) datagrams: VecDeque<(SocketAddr, Bytes)>,
    /// Timers of the application that came while it could not be told.
    pub(super) timers: VecDeque<u64>,
    /// The process does not run.
    pub(super) suspended: bool,
    /// The process reads no sockets.
    pub(super) stalled: bool,
    /// The application takes no events.
    pub(super) deaf: bool,
    /// How many of the messages that it sends next are swallowed on the way.
    pub(super) swallowed: u32,
    /// Datagrams that it broadcast.
    pub(super) broadcasts: u64,
}

impl Running {
    pub(super) fn new(
        engine: Engine,
        interfaces: Vec<Bound>,
        beacon_port: u16,
        chance: Chance,
    ) -> Self {
        Self {
            engine,
            interfaces,
            listening: Vec::new(),
            resolving: BTreeSet::new(),
            news: false,
            beacon_port,
            chance,
            links: LinkTable::default(),
            unsent: VecDeque::new(),
            armed: None,
            backlog: VecDeque::new(),
            datagrams: VecDeque::new(),
            timers: VecDeque::new(),
            suspended: false,
            stalled: false,
            deaf: false,
            swallowed: 0,
            broadcasts: 0,
        }
    }

    /// Whether the process takes in what its sockets have.
    pub(super) const fn reads(&self) -> bool {
        !self.suspended && !self.stalled
    }
}

impl Process {
    pub(crate) fn stack(&self) -> Option<&Stack> {
        self.running.as_deref()?.engine.stack()
    }

    pub(crate) fn relay(&self) -> Option<&Relay> {
        self.running.as_deref()?.engine.relay()
    }

    /// See [`Relay::expect`]; `None` when it is no relay, or has ended.
    pub(crate) fn expect(
        &mut self,
        now: Instant,
        dialler: Ticket,
        acceptor: Ticket,
    ) -> Option<bool> {
        let relay = self.running.as_deref_mut()?.engine.relay_mut()?;
        Some(relay.expect(now, dialler, acceptor))
    }

    /// The port of its first mailbox, or where a socket listens first.
    pub(crate) fn port(&self) -> Option<u16> {
        let running = self.running.as_deref()?;
        let mailbox = running.interfaces.first().map(|bound| bound.mailbox);
        let listens = running.listening.first().map(|listening| listening.at);
        Some(mailbox.or(listens)?.port())
    }

    /// The node, as an application has it; `None` when it has ended, or is a relay.
    pub(crate) fn context<'a>(
        &'a mut self,
        node: NodeId,
        world: &'a mut World,
    ) -> Option<Context<'a>> {
        let running = self.running.as_deref_mut()?;
        let World {
            now,
            topology,
            schedule,
            trace,
            ..
        } = world;
        Some(Context {
            node,
            host: self.host,
            now: *now,
            ahead: topology.host(self.host).ahead,
            stack: running.engine.stack_mut()?,
            chance: &mut running.chance,
            schedule,
            trace,
        })
    }
}

impl<A: Application, O: Observer> Sim<A, O> {
    /// Calls into an application.
    pub(super) fn call<T>(
        &mut self,
        node: NodeId,
        act: impl FnOnce(&mut A, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let application = self.applications.get_mut(node.index())?.as_mut()?;
        let process = self.processes.get_mut(node.index())?;
        let mut context = process.context(node, &mut self.world)?;
        Some(act(application, &mut context))
    }

    /// Gives something to a node or a relay, with the time of its host.
    pub(super) fn input<T>(
        &mut self,
        node: NodeId,
        give: impl FnOnce(&mut Engine, Instant) -> T,
    ) -> Option<T> {
        let process = self.processes.get_mut(node.index())?;
        let running = process.running.as_deref_mut()?;
        self.world.counters.inputs += 1;
        running.news = true;
        let now = self.world.host_now(process.host);
        Some(give(&mut running.engine, now))
    }

    /// Does what a node wants, tells its application what happened, and does what follows, until nothing does.
    pub(super) fn drain(&mut self, node: NodeId) {
        self.drain_one(node);
        self.drain_touched();
    }

    /// The same without what follows for other nodes of its program.
    pub(super) fn drain_one(&mut self, node: NodeId) {
        loop {
            let Some(process) = self.processes.get_mut(node.index()) else {
                return;
            };
            let Some(running) = process.running.as_deref_mut() else {
                return;
            };
            if let Some(action) = running.engine.poll_action() {
                self.act(node, action);
                continue;
            }
            let is_node = running.engine.stack().is_some();
            if let Some(action) = running.engine.poll_socket_action() {
                self.act_for_socket(node, action);
                continue;
            }
            let now = self.world.host_now(process.host);
            if !running.deaf
                && !running.suspended
                && running.engine.has_event()
                && self.wants(node)
                && let Some(running) = self.running_mut(node)
                && let Some(event) = running.engine.poll_event(now)
            {
                self.tell(node, event);
                continue;
            }
            if self.flush(node) {
                continue;
            }
            // Most are nodes, which have told all by now.
            if is_node || !(self.tell_of_socket(node) || self.tell_of_datagram(node)) {
                break;
            }
        }
        let now = self.world.now;
        let Some(running) = self
            .processes
            .get(node.index())
            .and_then(|process| process.running.as_deref())
        else {
            return;
        };
        let engine = &running.engine;
        let ended = engine.is_stopped() && (running.deaf || !engine.has_event());
        if let Some(stack) = engine.stack() {
            self.observer.on_settled(now, node, stack);
        }
        if ended {
            self.world.say(node, Kind::Ended, [0; 3]);
            self.end(node);
        } else {
            self.arm(node);
        }
    }

    fn tell(&mut self, node: NodeId, event: Event) {
        self.world.counters.events += 1;
        self.world.say(node, Kind::Event, trace::event(&event));
        let now = self.world.now;
        if let Some(stack) = self.processes.get(node.index()).and_then(Process::stack) {
            self.observer.on_event(now, node, stack, &event);
        }
        if let Some(program) = self.program_of(node) {
            self.call_program(program, |program, nodes| {
                program.on_event(nodes, node, event);
            });
        } else {
            self.call(node, |application, context| {
                application.on_event(context, event);
            });
        }
    }

    /// Makes sure that the node is woken at its deadline.
    fn arm(&mut self, node: NodeId) {
        let Some(process) = self.processes.get_mut(node.index()) else {
            return;
        };
        let Some(running) = process.running.as_deref_mut() else {
            return;
        };
        let Some(at) = running.engine.poll_timeout() else {
            return;
        };
        // A deadline of the host's clock, in the simulation's time.
        let ahead = self.world.topology.host(process.host).ahead;
        let at = (Instant::ZERO + (at - Instant::ZERO).saturating_sub(ahead)).max(self.world.now);
        if running.armed.is_none_or(|armed| at < armed) {
            running.armed = Some(at);
            self.world.schedule.push(at, Coming::Deadline { node });
        }
    }

    pub(super) fn deadline(&mut self, node: NodeId) {
        let now = self.world.now;
        let Some(running) = self.running_mut(node) else {
            return;
        };
        if running.armed != Some(now) {
            return; // it was armed anew meanwhile
        }
        running.armed = None;
        if running.suspended {
            return;
        }
        self.wake(node);
    }

    /// Lets the node do what is due, if anything is.
    pub(super) fn wake(&mut self, node: NodeId) {
        let Some(process) = self.processes.get(node.index()) else {
            return;
        };
        let now = self.world.host_now(process.host);
        let due = process
            .running
            .as_deref()
            .and_then(|running| running.engine.poll_timeout())
            .is_some_and(|at| at <= now);
        if due {
            self.world.say(node, Kind::Timeout, [0; 3]);
            self.input(node, Engine::handle_timeout);
        }
        self.drain(node);
    }

    pub(super) fn timer(&mut self, node: NodeId, token: u64) {
        let Some(running) = self.running_mut(node) else {
            return;
        };
        if running.suspended || running.deaf {
            return running.timers.push_back(token);
        }
        self.world.say(node, Kind::Timer, [token, 0, 0]);
        self.call(node, |application, context| {
            application.on_timer(context, token);
        });
        self.drain(node);
    }

    /// Does one thing that the node wants.
    pub(super) fn act(&mut self, node: NodeId, action: Action) {
        if matches!(
            action,
            Action::Broadcast { .. } | Action::Beacon { .. } | Action::Close { .. }
        ) {
            // What was said before comes before.
            self.flush(node);
        }
        match action {
            Action::Broadcast {
                interface,
                datagram,
            } => self.broadcast(node, interface, datagram),
            Action::Beacon {
                interface,
                to,
                datagram,
            } => self.beacon(node, interface, to, &datagram),
            Action::Dial { link, address } => self.dial(node, link, address),
            Action::Transmit { link } => {
                if let Some(running) = self.running_mut(node) {
                    running.unsent.push_back(link);
                }
            }
            Action::Pause { link } => {
                self.world.say(node, Kind::Pause, [link.as_u64(), 0, 0]);
                self.set_reading(node, link, false);
            }
            Action::Resume { link } => {
                self.world.say(node, Kind::Resume, [link.as_u64(), 0, 0]);
                self.set_reading(node, link, true);
            }
            Action::Close { link } => {
                self.world.say(node, Kind::Close, [link.as_u64(), 0, 0]);
                let gone = self
                    .running_mut(node)
                    .and_then(|running| running.links.remove(link));
                if let Some((key, side)) = gone {
                    self.world.close(key, side);
                }
            }
            Action::Authenticate { link, key, .. } => {
                let verdict = match self.program_of(node) {
                    Some(program) => self.call_program(program, |program, nodes| {
                        program.on_question(nodes, node, &key)
                    }),
                    None => self.call(node, |application, context| {
                        application.on_question(context, &key)
                    }),
                };
                if let Some(verdict) = verdict {
                    let allowed = u64::from(verdict == Verdict::Allow);
                    self.world
                        .say(node, Kind::Asked, [link.as_u64(), allowed, 0]);
                    self.input(node, |engine, now| {
                        engine.handle_verdict(now, link, verdict);
                    });
                }
            }
            Action::Resolve { query, host, port } => {
                self.world.say(node, Kind::Resolve, [query, 0, 0]);
                let found = self.world.names.get(host.as_str());
                let address = found.map(|address| SocketAddr::new(*address, port));
                let at = self.world.now + RESOLVER;
                let resolved = Resolved {
                    node,
                    query,
                    link: None,
                    address,
                };
                let coming = Coming::Resolved(Box::new(resolved));
                self.world.schedule.push(at, coming);
            }
            // An action that this crate does not know of: it is a part of the same workspace.
            _ => debug_assert!(false, "{action:?}"),
        }
    }

    pub(super) fn resolved(&mut self, resolved: &Resolved) {
        let &Resolved {
            node,
            query,
            link,
            address,
        } = resolved;
        if let Some(link) = link {
            return self.resolved_for_socket(node, link, address);
        }
        self.input(node, |engine, now| {
            engine.handle_resolved(now, query, address.as_slice());
        });
        self.drain(node);
    }

    /// The process ended, in whatever way: its sockets are closed by the kernel.
    pub(super) fn end(&mut self, node: NodeId) {
        let now = self.world.now;
        let Some(process) = self.processes.get_mut(node.index()) else {
            return;
        };
        let Some(running) = process.running.take() else {
            return;
        };
        let program = process.program;
        let machine = self.world.topology.host_mut(process.host);
        machine.nodes.retain(|other| *other != node);
        machine.ears.retain(|ear| ear.node != node);
        machine.listeners.retain(|_, listener| *listener != node);
        for (key, side) in running.links.iter() {
            self.world.close(key, side);
        }
        for key in running.backlog {
            self.world.close(key, crate::tcp::Side::Acceptor);
        }
        self.observer.on_end(now, node);
        if let Some(program) = program {
            self.member_ended(program, node);
        }
    }

    /// The process runs and reads again: it takes in what came meanwhile. First what is due, as the adapters do.
    pub(super) fn catch_up(&mut self, node: NodeId) {
        let Some(running) = self.running_mut(node) else {
            return;
        };
        if running.suspended {
            return;
        }
        if !running.deaf {
            for token in std::mem::take(&mut running.timers) {
                self.timer(node, token);
            }
        }
        self.wake(node);
        let Some(running) = self.running_mut(node) else {
            return;
        };
        if !running.reads() {
            return;
        }
        for (source, octets) in std::mem::take(&mut running.datagrams) {
            self.hear(node, source, &octets);
        }
        let Some(running) = self.running_mut(node) else {
            return;
        };
        for key in std::mem::take(&mut running.backlog) {
            self.accept(node, key);
        }
        let Some(running) = self.running(node) else {
            return;
        };
        let links: Vec<_> = running.links.iter().collect();
        for (key, side) in links {
            self.read(key, side);
        }
    }
}
