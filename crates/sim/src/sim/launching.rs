//! How a process begins: the place on its host that it takes, and the sockets that it gets there.

use std::net::SocketAddr;

use atonce::once::{Relay, relay};
use atonce::zre::Beacons;
use atonce::{Config, Interface, InterfaceId, Stack};

use super::Process;
use super::engine::Engine;
use super::process::Running;
use super::world::World;
use crate::application::NodeId;
use crate::program::{Place, ProgramId};
use crate::topology::{Ear, HostId, count};
use crate::trace::{self, Kind};

/// The port on which beacons are heard.
pub(super) const BEACON_PORT: u16 = 5_670;

/// The port on which a directed node hears, if it is not told another.
const DIRECTED_PORT: u16 = 5_671;

/// An interface that a node or a relay uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// How a node calls it; a relay has no name for it.
    pub(super) id: Option<InterfaceId>,
    pub(super) index: usize,
    pub(super) mailbox: SocketAddr,
}

/// What a process takes of a host beside its place.
#[derive(Clone, Copy, Debug)]
struct Tenancy {
    host: HostId,
    program: Option<ProgramId>,
    /// From where it sends datagrams.
    beacon_port: u16,
    /// Where it hears them, if it does.
    ear: Option<u16>,
}

impl World {
    /// Binds a mailbox on an interface and tells the node, or a socket for a relay.
    pub(super) fn bind(
        &mut self,
        node: NodeId,
        host: HostId,
        index: usize,
        port: Option<u16>,
        engine: &mut Engine,
    ) -> Option<Bound> {
        let now = self.host_now(host);
        let machine = self.topology.host_mut(host);
        let iface = machine.interfaces.get(index)?;
        let address = iface.address;
        let is_free = |port: u16| {
            !machine
                .listeners
                .contains_key(&SocketAddr::new(address, port))
        };
        let port = port.filter(|port| is_free(*port)).or_else(|| {
            (0..=u16::MAX)
                .map(|n| machine.next_port.wrapping_add(n).max(1_024))
                .find(|port| is_free(*port))
        })?;
        if port == machine.next_port {
            machine.next_port = port.wrapping_add(1).max(1_024);
        }
        let mailbox = SocketAddr::new(address, port);
        machine.listeners.insert(mailbox, node);
        let interface = Interface {
            name: iface.name.clone(),
            address,
            port,
            zone: 0,
        };
        let id = engine.handle_interface_up(now, interface);
        self.say(node, Kind::InterfaceUp, trace::address(mailbox));
        Some(Bound { id, index, mailbox })
    }

    /// The port for the datagrams of a node: the one of beacons is for all; a directed node, or one that asks for another, has one of its
    /// own.
    fn beacon_port(&self, host: HostId, beacons: Beacons, wanted: Option<u16>) -> u16 {
        let usual = match beacons {
            Beacons::Directed => DIRECTED_PORT,
            _ => BEACON_PORT,
        };
        let wanted = wanted.unwrap_or(usual);
        if wanted == BEACON_PORT {
            return BEACON_PORT;
        }
        let ears = &self.topology.host(host).ears;
        (wanted..=u16::MAX)
            .find(|port| ears.iter().all(|ear| ear.port != *port))
            .unwrap_or(wanted)
    }
}

/// Makes the node of a process.
pub(crate) fn launch(
    world: &mut World,
    processes: &mut Vec<Process>,
    host: HostId,
    place: &Place,
    config: Config,
    program: Option<ProgramId>,
) -> NodeId {
    let id = NodeId(count(processes.len()));
    let beacons = config.beacons;
    let seed = world.chance.seed();
    let now = world.host_now(host);
    let stack = Stack::new(now, seed, config);
    let words = [u64::from(host.0), trace::short(stack.id()), 0];
    world.trace.name(stack.name().to_str_lossy().into_owned());
    world.trace.say(world.now, Some(id), Kind::Start, words);
    let beacon_port = world.beacon_port(host, beacons, place.beacon_port);
    let ear = beacons.hears().then_some(beacon_port);
    occupy(
        world,
        processes,
        Tenancy {
            host,
            program,
            beacon_port,
            ear,
        },
        place,
        Engine::Node(stack),
    )
}

/// Makes a relay of a program.
pub(crate) fn launch_relay(
    world: &mut World,
    processes: &mut Vec<Process>,
    host: HostId,
    place: &Place,
    limits: relay::Limits,
    program: ProgramId,
) -> NodeId {
    let id = NodeId(count(processes.len()));
    world.trace.name("relay".to_owned());
    let words = [u64::from(host.0), 0, 0];
    world
        .trace
        .say(world.now, Some(id), Kind::StartRelay, words);
    let tenancy = Tenancy {
        host,
        program: Some(program),
        beacon_port: 0,
        ear: None,
    };
    let engine = Engine::Relay(Relay::new(limits));
    occupy(world, processes, tenancy, place, engine)
}

/// Gives a process its sockets.
fn occupy(
    world: &mut World,
    processes: &mut Vec<Process>,
    tenancy: Tenancy,
    place: &Place,
    mut engine: Engine,
) -> NodeId {
    let Tenancy {
        host,
        program,
        beacon_port,
        ear,
    } = tenancy;
    let id = NodeId(count(processes.len()));
    let mut interfaces = Vec::new();
    for index in 0..world.topology.host(host).interfaces.len() {
        let machine = world.topology.host(host);
        let Some(segment) = machine.interfaces.get(index).map(|iface| iface.segment) else {
            continue;
        };
        if place
            .segments
            .as_ref()
            .is_some_and(|on| !on.contains(&segment))
        {
            continue;
        }
        // All mailboxes have one port where that is possible, as those of the adapters.
        let first = interfaces.first().map(|bound: &Bound| bound.mailbox.port());
        interfaces.extend(world.bind(id, host, index, place.port.or(first), &mut engine));
        let ears = &world.topology.host(host).ears;
        let hears = ears
            .iter()
            .any(|ear| ear.node == id && ear.segment == segment);
        if let Some(port) = ear
            && !hears
        {
            world.topology.host_mut(host).ears.push(Ear {
                node: id,
                segment,
                port,
            });
        }
    }
    world.topology.host_mut(host).nodes.push(id);
    let chance = world.chance.fork();
    processes.push(Process {
        host,
        program,
        running: Some(Box::new(Running::new(
            engine,
            interfaces,
            beacon_port,
            chance,
        ))),
    });
    id
}
