//! What goes wrong, on demand.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atonce::LinkId;

use super::Sim;
use crate::application::{Application, NodeId, Observer};
use crate::tcp::{Side, StreamKey};
use crate::topology::{HostId, RouterId};
use crate::trace::{self, Kind};

impl<A: Application, O: Observer> Sim<A, O> {
    // ---- processes

    /// The process dies. Its kernel closes its connections: those with unread octets by a reset, the others in order.
    pub fn kill(&mut self, node: NodeId) {
        if self.running(node).is_none() {
            return;
        }
        match self.program_of(node) {
            Some(program) => self.kill_program(program),
            None => {
                self.world.say(node, Kind::Killed, [0; 3]);
                self.end(node);
            }
        }
    }

    /// The process does not run for a while; its kernel goes on.
    pub fn suspend(&mut self, node: NodeId) {
        if let Some(program) = self.program_of(node).and_then(|it| self.program_mut(it)) {
            program.suspended = true;
        }
        for node in self.together(node) {
            if let Some(running) = self.running_mut(node) {
                running.suspended = true;
                self.world.say(node, Kind::Suspended, [0; 3]);
            }
        }
    }

    /// A suspended process goes on.
    pub fn resume(&mut self, node: NodeId) {
        let program = self.program_of(node);
        if let Some(program) = program.and_then(|it| self.program_mut(it)) {
            program.suspended = false;
        }
        let mut continued = Vec::new();
        for node in self.together(node) {
            if let Some(running) = self.running_mut(node)
                && std::mem::take(&mut running.suspended)
            {
                self.world.say(node, Kind::Continued, [0; 3]);
                continued.push(node);
            }
        }
        if let Some(program) = program {
            self.program_catches_up(program);
        }
        for node in continued {
            self.catch_up(node);
            let links = self.links_of(node);
            for (key, side) in links {
                self.room(key, side);
            }
        }
    }

    /// The application does not take its events, or does again. Its timers wait as well.
    pub fn set_deaf(&mut self, node: NodeId, deaf: bool) {
        let program = self.program_of(node);
        if let Some(program) = program.and_then(|it| self.program_mut(it)) {
            program.deaf = deaf;
        }
        let mut changed = Vec::new();
        for node in self.together(node) {
            if let Some(running) = self.running_mut(node)
                && running.deaf != deaf
            {
                running.deaf = deaf;
                self.world.say(node, Kind::Deaf, [u64::from(deaf), 0, 0]);
                changed.push(node);
            }
        }
        if let Some(program) = program {
            self.program_catches_up(program);
        }
        for node in changed {
            self.drain(node);
            self.catch_up(node);
        }
    }

    /// The process does not read its sockets, or does again. It still sends, and its time passes.
    pub fn set_stalled(&mut self, node: NodeId, stalled: bool) {
        for node in self.together(node) {
            if let Some(running) = self.running_mut(node)
                && running.stalled != stalled
            {
                running.stalled = stalled;
                self.world
                    .say(node, Kind::Stalled, [u64::from(stalled), 0, 0]);
                self.catch_up(node);
            }
        }
    }

    // ---- hosts

    /// The host loses its power: its processes are gone, and nobody is told.
    pub fn power_off(&mut self, host: HostId) {
        self.world
            .say_all(Kind::PowerOff, [u64::from(host.0), 0, 0]);
        let nodes = std::mem::take(&mut self.world.topology.host_mut(host).nodes);
        for key in self.world.streams_of(host) {
            for side in [Side::Dialler, Side::Acceptor] {
                if let Some(stream) = self.world.stream(key)
                    && stream.end(side).host == host
                {
                    stream.end_mut(side).socket = None;
                    stream.pipe(side).lose_flight();
                }
            }
            self.world.release(key);
        }
        let machine = self.world.topology.host_mut(host);
        machine.on = false;
        machine.listeners.clear();
        self.end_programs(host);
        for node in nodes {
            // Its sockets are gone already, so that its end is silent.
            self.end(node);
        }
    }

    /// The host has power again. Nothing runs on it until it is started.
    pub fn power_on(&mut self, host: HostId) {
        self.world.say_all(Kind::PowerOn, [u64::from(host.0), 0, 0]);
        self.world.topology.host_mut(host).on = true;
    }

    /// The clock of the host goes forward by so much.
    pub fn advance_clock(&mut self, host: HostId, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.world
            .say_all(Kind::Clock, [u64::from(host.0), micros, 0]);
        self.world.topology.host_mut(host).ahead += by;
        for node in self.world.topology.host(host).nodes.clone() {
            if self.running(node).is_some_and(|running| !running.suspended) {
                self.wake(node);
            }
        }
    }

    /// The host's interface has another address from now on; connections over the old one hang.
    ///
    /// # Panics
    ///
    /// When another host of the segment has the address.
    pub fn change_address(&mut self, host: HostId, interface: usize, address: impl Into<IpAddr>) {
        let address = address.into();
        let topology = &mut self.world.topology;
        let Some(iface) = topology.host_mut(host).interfaces.get_mut(interface) else {
            return;
        };
        let (old, segment) = (iface.address, iface.segment);
        iface.address = address;
        let members = &mut topology.segment_mut(segment).members;
        members.remove(&old);
        let before = members.insert(address, host);
        assert!(before.is_none(), "{address} is somebody's already");
        for key in self.world.streams_of(host) {
            if let Some(stream) = self.world.stream(key) {
                let gone = stream
                    .ends
                    .iter()
                    .any(|end| end.host == host && end.local == old);
                stream.black |= gone;
            }
        }
        for node in self.world.topology.host(host).nodes.clone() {
            self.rebind(node, host, interface, old);
            self.listen_elsewhere(node, old, address);
        }
    }

    fn rebind(&mut self, node: NodeId, host: HostId, interface: usize, old: IpAddr) {
        let Some(bound) = self.running(node).and_then(|running| {
            let mut bound = running.interfaces.iter();
            bound.find(|it| it.index == interface).copied()
        }) else {
            return;
        };
        let port = bound.mailbox.port();
        self.world
            .say(node, Kind::InterfaceDown, trace::address(bound.mailbox));
        let machine = self.world.topology.host_mut(host);
        machine.listeners.remove(&SocketAddr::new(old, port));
        self.input(node, |engine, now| {
            engine.handle_interface_down(now, bound.id, "its address changed");
        });
        if let Some(running) = self
            .processes
            .get_mut(node.index())
            .and_then(|process| process.running.as_deref_mut())
        {
            running.interfaces.retain(|it| it.index != interface);
            let engine = &mut running.engine;
            let anew = self.world.bind(node, host, interface, Some(port), engine);
            running.interfaces.extend(anew);
        }
        self.drain(node);
    }

    // ---- the network

    /// A router that hides addresses loses its power for a moment: what it knew is forgotten. Datagrams come back only after others
    /// went out, and nothing gets through by the connections that were.
    pub fn restart_nat(&mut self, router: RouterId) {
        let Some(address) = self.world.topology.forget_mappings(router) else {
            return;
        };
        self.world
            .say_all(Kind::Forgets, [u64::from(router.0), 0, 0]);
        for (_, stream) in &mut self.world.streams {
            stream.black |= stream.seen.ip() == address;
        }
    }

    /// The radio of a host stands still for so long: all that is on its way to it or from it waits, of TCP and of UDP, and gets
    /// through at the end. So it is with Wi-Fi when too many want to talk, or when a host is nearly out of reach.
    pub fn hold(&mut self, host: HostId, lasts: Duration) {
        let until = self.world.now + lasts;
        let micros = u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX);
        self.world
            .say_all(Kind::Held, [u64::from(host.0), micros, 0]);
        let held = &mut self.world.topology.host_mut(host).held;
        *held = until.max(*held);
    }

    /// From now on these hosts reach each other and the others reach each other, and nothing gets from one side to the other.
    /// Octets of TCP wait.
    pub fn partition(&mut self, side: &[HostId]) {
        self.partition_into(&[side]);
    }

    /// The same with several sides; hosts that are on none of them make one of their own.
    pub fn partition_into(&mut self, sides: &[&[HostId]]) {
        self.heal();
        self.world.topology.parted = true;
        for (n, side) in (1..).zip(sides) {
            for host in *side {
                self.world.topology.host_mut(*host).side = n;
                let words = [u64::from(host.0), u64::from(n), 0];
                self.world.say_all(Kind::Partition, words);
            }
        }
    }

    /// The partition is over.
    pub fn heal(&mut self) {
        if std::mem::take(&mut self.world.topology.parted) {
            for host in &mut self.world.topology.hosts {
                host.side = 0;
            }
            self.world.say_all(Kind::Healed, [0; 3]);
        }
    }

    /// Nothing gets from one host to another any more; the other way is as before.
    pub fn cut_one_way(&mut self, from: HostId, to: HostId) {
        self.world.topology.one_way.insert((from, to));
        let words = [u64::from(from.0), u64::from(to.0), 0];
        self.world.say_all(Kind::OneWay, words);
    }

    /// The way is there again.
    pub fn mend(&mut self, from: HostId, to: HostId) {
        if self.world.topology.one_way.remove(&(from, to)) {
            let words = [u64::from(from.0), u64::from(to.0), 0];
            self.world.say_all(Kind::Mended, words);
        }
    }

    /// Every connection of the node is reset by something on the way: both sides are told, what is on its way is lost.
    pub fn reset(&mut self, node: NodeId) {
        for (key, side) in self.links_of(node) {
            self.say_of(node, key, side, Kind::Reset);
            self.world.reset(key);
        }
    }

    /// The same for those connections of the node that chance picks with these odds.
    pub fn reset_some(&mut self, node: NodeId, odds: crate::Odds) {
        for (key, side) in self.links_of(node) {
            if self.world.chance.happens(odds) {
                self.say_of(node, key, side, Kind::Reset);
                self.world.reset(key);
            }
        }
    }

    /// Something on the way forgets those connections of the node that chance picks with these odds: nothing gets through, and
    /// nobody is told. The side that sends gives up after [`Tcp::patience`](crate::Tcp::patience); the other is left with half a
    /// connection.
    pub fn blackhole_some(&mut self, node: NodeId, odds: crate::Odds) {
        for (key, side) in self.links_of(node) {
            if self.world.chance.happens(odds)
                && let Some(stream) = self.world.stream(key)
            {
                stream.black = true;
                self.say_of(node, key, side, Kind::Blackhole);
            }
        }
    }

    /// Something on the way that takes connections apart, a faulty proxy say, swallows the next so many messages that the
    /// node sends, but no HELLO. TCP never does that; it is how a gap in the sequence comes about.
    pub fn swallow(&mut self, node: NodeId, messages: u32) {
        if let Some(running) = self.running_mut(node) {
            running.swallowed = messages;
        }
    }

    /// How many connections a node has.
    pub fn connections_of(&self, node: NodeId) -> usize {
        self.running(node).map_or(0, |running| running.links.len())
    }

    fn links_of(&self, node: NodeId) -> Vec<(StreamKey, Side)> {
        self.running(node)
            .map(|running| running.links.iter().collect())
            .unwrap_or_default()
    }

    fn say_of(&mut self, node: NodeId, key: StreamKey, side: Side, kind: Kind) {
        let link = self
            .world
            .stream(key)
            .and_then(|stream| stream.end(side).socket)
            .and_then(|socket| socket.link)
            .map_or(0, LinkId::as_u64);
        self.world.say(node, kind, [link, 0, 0]);
    }
}
