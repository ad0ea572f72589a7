//! ZMTP sockets: what they want of the network, and what their programs are told.

use std::net::{IpAddr, SocketAddr};

use atonce::socket::{
    self, Action as SocketAction, Config, Endpoint, Host, Kind as SocketKind, ListenerId, Socket,
};
use atonce::zmtp::Verdict;
use atonce::{Action, Cut, LinkId};

use super::engine::Engine;
use super::process::{RESOLVER, Running};
use super::world::{Coming, Resolved, World};
use super::{Process, Sim};
use crate::application::{Application, NodeId, Observer};
use crate::program::ProgramId;
use crate::socket::SocketContext;
use crate::topology::{HostId, count};
use crate::trace::{self, Kind};

/// Where a socket listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    pub(super) at: SocketAddr,
    pub(super) listener: ListenerId,
    /// It was asked for on all interfaces, and so moves with their addresses.
    pub(super) everywhere: bool,
}

/// Makes a socket, in a process of a program or in one of its own.
pub(crate) fn launch_socket(
    world: &mut World,
    processes: &mut Vec<Process>,
    host: HostId,
    kind: SocketKind,
    config: Config,
    program: Option<ProgramId>,
) -> NodeId {
    let id = NodeId(count(processes.len()));
    let seed = world.chance.seed();
    let socket = Socket::new(world.host_now(host), seed, kind, config);
    world.trace.name(kind.to_string().to_lowercase());
    let words = [u64::from(host.0), 0, 0];
    world
        .trace
        .say(world.now, Some(id), Kind::StartSocket, words);
    world.topology.host_mut(host).nodes.push(id);
    let chance = world.chance.fork();
    let running = Running::new(Engine::Socket(socket), Vec::new(), 0, chance);
    processes.push(Process {
        host,
        program,
        running: Some(Box::new(running)),
    });
    id
}

impl Process {
    pub(crate) fn socket(&self) -> Option<&Socket> {
        self.running.as_deref()?.engine.socket()
    }

    /// The socket, as a program has it; `None` when it has ended, or is none.
    pub(crate) fn socket_context<'a>(
        &'a mut self,
        node: NodeId,
        world: &'a mut World,
    ) -> Option<SocketContext<'a>> {
        let running = self.running.as_deref_mut()?;
        Some(SocketContext {
            node,
            host: self.host,
            now: world.now,
            ahead: world.topology.host(self.host).ahead,
            socket: running.engine.socket_mut()?,
            trace: &mut world.trace,
        })
    }
}

impl<A: Application, O: Observer> Sim<A, O> {
    /// Starts a process with one [socket](Socket), which the test itself uses: with [`with_socket`](Sim::with_socket). What comes and
    /// what it tells waits in it, within its limits, until it is taken. The process ends when the socket is closed.
    ///
    /// A program with sockets is a [`Program`](crate::Program) with [`Nodes::start_socket`](crate::Nodes::start_socket).
    ///
    /// See [`SocketContext`] for an example.
    pub fn start_socket(&mut self, host: HostId, kind: SocketKind, config: Config) -> NodeId {
        let world = &mut self.world;
        let id = launch_socket(world, &mut self.processes, host, kind, config, None);
        self.applications.push(None);
        self.drain(id);
        id
    }

    /// A socket, to ask it; `None` when its process has ended, or is another thing.
    pub fn socket(&self, node: NodeId) -> Option<&Socket> {
        self.processes.get(node.index())?.socket()
    }

    /// Does something with a socket, from outside of its program. `None` when its process has ended, or is another thing.
    pub fn with_socket<T>(
        &mut self,
        node: NodeId,
        act: impl FnOnce(&mut SocketContext<'_>) -> T,
    ) -> Option<T> {
        let process = self.processes.get_mut(node.index())?;
        let mut context = process.socket_context(node, &mut self.world)?;
        let result = act(&mut context);
        self.drain(node);
        Some(result)
    }

    /// The next thing that a socket without a program tells its monitor.
    pub fn poll_socket_event(&mut self, node: NodeId) -> Option<socket::Event> {
        self.running_mut(node)?.engine.socket_mut()?.poll_event()
    }

    /// Tells a program what happened at one of its sockets; whether anything.
    pub(super) fn tell_of_socket(&mut self, node: NodeId) -> bool {
        let Some(program) = self.program_of(node) else {
            return false;
        };
        let Some(running) = self.running_mut(node) else {
            return false;
        };
        if running.deaf || running.suspended {
            return false;
        }
        let Some(socket) = running.engine.socket_mut() else {
            return false;
        };
        if let Some(event) = socket.poll_event() {
            self.world.counters.events += 1;
            let sum = trace::checksum(format!("{event:?}").as_bytes());
            self.world.say(node, Kind::SocketEvent, [sum, 0, 0]);
            self.call_program(program, |program, nodes| {
                program.on_socket_event(nodes, node, event);
            });
            return true;
        }
        if !std::mem::take(&mut running.news) {
            return false;
        }
        self.call_program(program, |program, nodes| program.on_socket(nodes, node));
        true
    }

    /// Does one thing that a socket wants.
    pub(super) fn act_for_socket(&mut self, node: NodeId, action: SocketAction) {
        match action {
            SocketAction::Listen { listener, endpoint } => self.listen(node, listener, &endpoint),
            SocketAction::Unlisten { listener } => {
                self.world
                    .say(node, Kind::Unlisten, [u64::from(listener.as_u32()), 0, 0]);
                self.unlisten(node, |listening| listening.listener == listener);
            }
            SocketAction::Dial { link, endpoint } => self.dial_endpoint(node, link, &endpoint),
            SocketAction::Transmit { link } => self.act(node, Action::Transmit { link }),
            SocketAction::Pause { link } => self.act(node, Action::Pause { link }),
            SocketAction::Resume { link } => self.act(node, Action::Resume { link }),
            SocketAction::Close { link } => {
                if let Some(running) = self.running_mut(node) {
                    running.resolving.remove(&link);
                }
                self.act(node, Action::Close { link });
            }
            SocketAction::Authenticate {
                link, credentials, ..
            } => {
                let verdict = match self.program_of(node) {
                    Some(program) => self.call_program(program, |program, nodes| {
                        program.on_credentials(nodes, node, &credentials)
                    }),
                    None => Some(Verdict::Allow),
                };
                if let Some(verdict) = verdict {
                    let allowed = u64::from(!matches!(verdict, Verdict::Deny(_)));
                    self.world
                        .say(node, Kind::Asked, [link.as_u64(), allowed, 0]);
                    self.input(node, |engine, now| {
                        engine.handle_verdict(now, link, verdict);
                    });
                }
            }
            // An action that this crate does not know of: it is a part of the same workspace.
            _ => debug_assert!(false, "{action:?}"),
        }
    }

    fn listen(&mut self, node: NodeId, listener: ListenerId, endpoint: &Endpoint) {
        match self.try_listen(node, listener, endpoint) {
            Ok(endpoint) => {
                self.input_to_socket(node, |socket, now| {
                    socket.handle_listening(now, listener, endpoint);
                });
            }
            Err(detail) => {
                self.world.say(node, Kind::NotListening, [0; 3]);
                self.input_to_socket(node, |socket, now| {
                    socket.handle_listen_failed(now, listener, detail);
                });
            }
        }
    }

    /// Where it listens then.
    fn try_listen(
        &mut self,
        node: NodeId,
        listener: ListenerId,
        endpoint: &Endpoint,
    ) -> Result<Endpoint, &'static str> {
        let Endpoint::Tcp { host, port } = endpoint else {
            return Err("there are no Unix sockets here");
        };
        let Some(process) = self.processes.get_mut(node.index()) else {
            return Err("the process has ended");
        };
        let named = match host {
            Host::Name(name) => self.world.names.get(name.as_str()).copied(),
            Host::Ip(ip) => Some(*ip),
            Host::Any => None,
        };
        let machine = self.world.topology.host_mut(process.host);
        let wanted = machine.interfaces.iter().filter(|iface| match host {
            Host::Any => true,
            Host::Name(name) if named.is_none() => iface.name == name.as_str(),
            _ => Some(iface.address) == named,
        });
        let addresses: Vec<IpAddr> = wanted.map(|iface| iface.address).collect();
        let Some(first) = addresses.first().copied() else {
            return Err("there is no such address here");
        };
        let is_free = |port: u16| {
            let mut places = addresses
                .iter()
                .map(|address| SocketAddr::new(*address, port));
            !places.any(|at| machine.listeners.contains_key(&at))
        };
        let port = match *port {
            0 => (0..=u16::MAX)
                .map(|n| machine.next_port.wrapping_add(n).max(1_024))
                .find(|port| is_free(*port))
                .ok_or("no port is free")?,
            port if is_free(port) => port,
            _ => return Err("address in use"),
        };
        if port == machine.next_port {
            machine.next_port = port.wrapping_add(1).max(1_024);
        }
        let everywhere = matches!(host, Host::Any);
        for address in &addresses {
            let at = SocketAddr::new(*address, port);
            machine.listeners.insert(at, node);
            if let Some(running) = process.running.as_deref_mut() {
                running.listening.push(Listening {
                    at,
                    listener,
                    everywhere,
                });
            }
            self.world
                .trace
                .say(self.world.now, Some(node), Kind::Listen, trace::address(at));
        }
        let host = match host {
            Host::Any => Host::Any,
            _ => Host::Ip(first),
        };
        Ok(Endpoint::Tcp { host, port })
    }

    fn unlisten(&mut self, node: NodeId, which: impl Fn(&Listening) -> bool) {
        let Some(process) = self.processes.get_mut(node.index()) else {
            return;
        };
        let Some(running) = process.running.as_deref_mut() else {
            return;
        };
        let machine = self.world.topology.host_mut(process.host);
        for listening in running.listening.iter().filter(|it| which(it)) {
            machine.listeners.remove(&listening.at);
        }
        running.listening.retain(|listening| !which(listening));
    }

    /// What listens on all interfaces goes on where one of them is now.
    pub(super) fn listen_elsewhere(&mut self, node: NodeId, old: IpAddr, new: IpAddr) {
        let Some(process) = self.processes.get_mut(node.index()) else {
            return;
        };
        let Some(running) = process.running.as_deref_mut() else {
            return;
        };
        let machine = self.world.topology.host_mut(process.host);
        for listening in &mut running.listening {
            if listening.at.ip() == old {
                machine.listeners.remove(&listening.at);
            }
            if listening.at.ip() == old && listening.everywhere {
                listening.at.set_ip(new);
                machine.listeners.insert(listening.at, node);
            }
        }
    }

    fn dial_endpoint(&mut self, node: NodeId, link: LinkId, endpoint: &Endpoint) {
        match endpoint {
            Endpoint::Tcp {
                host: Host::Ip(ip),
                port,
            } => self.dial(node, link, SocketAddr::new(*ip, *port)),
            Endpoint::Tcp {
                host: Host::Name(name),
                port,
            } => {
                self.world.say(node, Kind::Resolve, [link.as_u64(), 0, 0]);
                let found = self.world.names.get(name.as_str());
                let address = found.map(|address| SocketAddr::new(*address, *port));
                if let Some(running) = self.running_mut(node) {
                    running.resolving.insert(link);
                }
                let resolved = Resolved {
                    node,
                    query: link.as_u64(),
                    link: Some(link),
                    address,
                };
                let coming = Coming::Resolved(Box::new(resolved));
                self.world.schedule.push(self.world.now + RESOLVER, coming);
            }
            _ => self.cannot_dial(node, link),
        }
    }

    /// A name was looked up for a socket.
    pub(super) fn resolved_for_socket(
        &mut self,
        node: NodeId,
        link: LinkId,
        address: Option<SocketAddr>,
    ) {
        let wanted = self
            .running_mut(node)
            .is_some_and(|running| running.resolving.remove(&link));
        match address {
            // It does not want it any more.
            _ if !wanted => {}
            Some(address) => self.dial(node, link, address),
            None => {
                self.cannot_dial(node, link);
                self.drain(node);
            }
        }
    }

    fn cannot_dial(&mut self, node: NodeId, link: LinkId) {
        let words = [link.as_u64(), trace::cut(Cut::Unreachable), 0];
        self.world.say(node, Kind::Cut, words);
        self.input(node, |engine, now| {
            engine.handle_disconnected(now, link, Cut::Unreachable);
        });
    }

    fn input_to_socket(&mut self, node: NodeId, give: impl FnOnce(&mut Socket, atonce::Instant)) {
        self.input(node, |engine, now| {
            if let Some(socket) = engine.socket_mut() {
                give(socket, now);
            }
        });
    }

    /// Which of its listeners a socket has there.
    pub(super) fn listener_of(&self, node: NodeId, at: SocketAddr) -> Option<ListenerId> {
        let mut listening = self.running(node)?.listening.iter();
        listening.find(|it| it.at == at).map(|it| it.listener)
    }
}
