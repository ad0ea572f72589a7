//! Sockets of UDP that programs have.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::datagrams::KEPT;
use super::engine::Engine;
use super::process::Running;
use super::world::World;
use super::{Process, Sim};
use crate::application::{Application, NodeId, Observer};
use crate::program::ProgramId;
use crate::topology::{Ear, HostId, count};
use crate::trace::{self, Kind};

/// What came, until the program is told of it.
#[derive(Debug)]
pub(super) struct Udp {
    port: u16,
    came: VecDeque<(SocketAddr, Bytes)>,
    pub(super) closed: bool,
}

impl Udp {
    /// Keeps it for the program, as long as there is room: one that takes nothing holds nobody back.
    pub(super) fn keep(&mut self, source: SocketAddr, octets: &[u8]) {
        if !self.closed && self.came.len() < KEPT {
            self.came
                .push_back((source, Bytes::copy_from_slice(octets)));
        }
    }
}

/// Opens a socket of UDP in the process of a program.
pub(crate) fn launch_udp(
    world: &mut World,
    processes: &mut Vec<Process>,
    host: HostId,
    port: u16,
    program: ProgramId,
) -> NodeId {
    let id = NodeId(count(processes.len()));
    world.trace.name("udp".to_owned());
    let words = [u64::from(host.0), u64::from(port), 0];
    world.trace.say(world.now, Some(id), Kind::StartUdp, words);
    let machine = world.topology.host_mut(host);
    machine.nodes.push(id);
    for iface in &machine.interfaces {
        let ear = Ear {
            node: id,
            segment: iface.segment,
            port,
        };
        // Two addresses on one segment are heard by one ear.
        if !machine.ears.contains(&ear) {
            machine.ears.push(ear);
        }
    }
    let chance = world.chance.fork();
    let engine = Engine::Udp(Udp {
        port,
        came: VecDeque::new(),
        closed: false,
    });
    let running = Running::new(engine, Vec::new(), port, chance);
    processes.push(Process {
        host,
        program: Some(program),
        running: Some(Box::new(running)),
    });
    id
}

impl Process {
    /// The port of a socket of UDP that is open.
    pub(crate) fn udp_port(&self) -> Option<u16> {
        match &self.running.as_deref()?.engine {
            Engine::Udp(udp) if !udp.closed => Some(udp.port),
            _ => None,
        }
    }

    /// Whether there was an open socket of UDP to close.
    pub(crate) fn close_udp(&mut self) -> bool {
        let running = self.running.as_deref_mut();
        let Some(udp) = running.and_then(|running| running.engine.udp_mut()) else {
            return false;
        };
        udp.came.clear();
        !std::mem::replace(&mut udp.closed, true)
    }
}

impl<A: Application, O: Observer> Sim<A, O> {
    /// Tells a program of a datagram that came to one of its sockets; whether any.
    pub(super) fn tell_of_datagram(&mut self, node: NodeId) -> bool {
        let Some(running) = self.running_mut(node) else {
            return false;
        };
        if !running.engine.is_udp() || running.deaf || running.suspended {
            return false;
        }
        let came = running
            .engine
            .udp_mut()
            .and_then(|udp| udp.came.pop_front());
        let (Some((source, datagram)), Some(program)) = (came, self.program_of(node)) else {
            return false;
        };
        self.world.counters.events += 1;
        self.call_program(program, |program, nodes| {
            program.on_datagram(nodes, node, source, datagram);
        });
        true
    }
}

impl World {
    /// # Panics
    ///
    /// When the address is none of a group.
    pub(crate) fn join_multicast(&mut self, host: HostId, group: IpAddr) {
        assert!(group.is_multicast(), "{group} is no multicast group");
        if self.topology.host_mut(host).groups.insert(group) {
            self.say_all(Kind::JoinGroup, [u64::from(host.0), 0, 0]);
            self.say_all(Kind::Address, trace::address(SocketAddr::new(group, 0)));
        }
    }
}
