//! TCP as processes see it: connections are asked for, made, carry octets in order, and end.

use std::net::SocketAddr;
use std::time::Duration;

use atonce::{Cut, LinkId};

use super::Sim;
use super::pipes::LOOPBACK;
use super::world::Coming;
use crate::application::{Application, NodeId, Observer, Wire};
use crate::tcp::{Side, Socket, StreamKey, What};
use crate::topology::count;
use crate::trace::{self, Kind};

/// The pause before a connection is asked for again; it doubles.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long a host asks its segment who has an address.
const WHO_HAS: Duration = Duration::from_secs(3);

/// The number of HELLO in ZRE.
const HELLO: u8 = 1;

/// How long a kernel that took only a part of a write has no room.
const MOMENT: Duration = Duration::from_micros(300);

/// The largest piece of a stream.
const PIECE: usize = 16 << 10;

impl<A: Application, O: Observer> Sim<A, O> {
    // ---- a connection is made

    pub(super) fn dial(&mut self, node: NodeId, link: LinkId, address: SocketAddr) {
        let world = &mut self.world;
        world.counters.dials += 1;
        world.say(node, Kind::Dial, [link.as_u64(), 0, 0]);
        world.say(node, Kind::Address, trace::address(address));
        let Some(process) = self.processes.get_mut(node.index()) else {
            return;
        };
        let Some(running) = process.running.as_deref_mut() else {
            return;
        };
        let from = process.host;
        let way = world.topology.route(from, address);
        let unknown = way.is_none();
        let now = world.now;
        let key = world.new_stream(node, link, from, address, way);
        running.links.insert(link, key, Side::Dialler);
        if unknown {
            // On our own segments we ask who has it; elsewhere nobody knows the way.
            let near = world.is_near(from, address);
            let after = if near { WHO_HAS } else { LOOPBACK };
            let failed = Coming::Failed(key, Cut::Unreachable);
            world.schedule.push(now + after, failed);
        } else {
            let after = world.way(key, Side::Dialler, 0);
            world.schedule.push(after, Coming::Syn(key));
        }
    }

    /// Somebody asks for a connection, and the question arrived.
    pub(super) fn syn(&mut self, key: StreamKey) {
        let world = &mut self.world;
        let now = world.now;
        let Some(stream) = world.stream(key) else {
            return;
        };
        let (from, to) = (
            stream.end(Side::Dialler).host,
            stream.end(Side::Acceptor).host,
        );
        let (target, tries, waited) = (stream.target, stream.tries, now - stream.began);
        if stream.end(Side::Dialler).socket.is_none() {
            return world.forget(key);
        }
        if let Some(until) = world.topology.held(now, from, to) {
            return world.schedule.push(until, Coming::Syn(key));
        }
        let lost = world.topology.is_blocked(from, to)
            || world.topology.is_blocked(to, from)
            || world.is_lost(key);
        let machine = world.topology.host(to);
        let moved = !machine
            .interfaces
            .iter()
            .any(|it| it.address == target.ip());
        let listener = machine.listeners.get(&target).copied();
        let full = listener
            .and_then(|node| self.running(node))
            .is_some_and(|running| running.backlog.len() >= self.world.tcp.backlog);
        let world = &mut self.world;
        if lost || moved || full {
            if waited >= world.tcp.connect_patience || (moved && waited >= WHO_HAS) {
                return self.failed(key, Cut::Unreachable);
            }
            let again = now + ASK_AGAIN * 2_u32.pow(u32::from(tries.min(6)));
            if let Some(stream) = world.stream(key) {
                stream.tries = stream.tries.saturating_add(1);
            }
            return world.schedule.push(again, Coming::Syn(key));
        }
        let back = world.way(key, Side::Acceptor, 0);
        let Some(listener) = listener else {
            let failed = Coming::Failed(key, Cut::Refused);
            return world.schedule.push(back, failed);
        };
        if let Some(stream) = world.stream(key) {
            stream.end_mut(Side::Acceptor).socket = Some(Socket {
                node: listener,
                link: None,
            });
            // Nothing overtakes the answer.
            stream.pipe(Side::Acceptor).last = back;
        }
        world.schedule.push(back, Coming::Established(key));
        let Some(running) = self.running_mut(listener) else {
            return;
        };
        if running.reads() {
            self.accept(listener, key);
        } else {
            running.backlog.push_back(key);
        }
    }

    /// A process accepts a connection that its kernel made.
    pub(super) fn accept(&mut self, node: NodeId, key: StreamKey) {
        let Some(stream) = self.world.stream(key) else {
            return;
        };
        let (seen, mailbox) = (stream.seen, stream.target);
        let interface = self.running(node).and_then(|running| {
            let bound = running.interfaces.iter().find(|it| it.mailbox == mailbox);
            bound.map(|bound| bound.id)
        });
        let listener = self.listener_of(node, mailbox);
        let is_known = interface.is_some() || listener.is_some();
        let link = is_known.then_some(()).and_then(|()| {
            self.input(node, |engine, now| {
                engine.handle_accepted(now, interface.flatten(), listener, seen)
            })?
        });
        let Some(link) = link else {
            self.world.say(node, Kind::Refused, [0; 3]);
            self.world.close(key, Side::Acceptor);
            return self.drain(node);
        };
        self.world.counters.connections += 1;
        self.world.say(node, Kind::Accepted, [link.as_u64(), 0, 0]);
        self.world.say(node, Kind::Address, trace::address(seen));
        if let Some(stream) = self.world.stream(key) {
            let end = stream.end_mut(Side::Acceptor);
            end.socket = Some(Socket {
                node,
                link: Some(link),
            });
        }
        if let Some(running) = self.running_mut(node) {
            running.links.insert(link, key, Side::Acceptor);
        }
        self.drain(node);
        self.read(key, Side::Acceptor);
    }

    /// The one who asked for a connection has it.
    pub(super) fn established(&mut self, key: StreamKey) {
        let world = &mut self.world;
        let now = world.now;
        let Some(stream) = world.stream(key) else {
            return;
        };
        let (from, to) = (
            stream.end(Side::Acceptor).host,
            stream.end(Side::Dialler).host,
        );
        let local = SocketAddr::new(stream.end(Side::Dialler).local, stream.seen.port());
        let Some(Socket {
            node,
            link: Some(link),
        }) = stream.end(Side::Dialler).socket
        else {
            // It does not want it any more: its kernel says so.
            world.close_pipe(key, Side::Dialler, What::Reset);
            return;
        };
        let black = stream.black;
        if let Some(until) = world.topology.held(now, from, to) {
            return world.schedule.push(until, Coming::Established(key));
        }
        if black || world.topology.is_blocked(from, to) {
            return world
                .schedule
                .push(now + ASK_AGAIN, Coming::Established(key));
        }
        if self.running(node).is_some_and(|running| running.suspended) {
            // It finds out when it continues; that the kernel knows it is enough meanwhile.
            let again = now + self.world.tcp.retransmit;
            return self.world.schedule.push(again, Coming::Established(key));
        }
        if let Some(stream) = self.world.stream(key) {
            stream.open = true;
        }
        self.world.say(node, Kind::Connected, [link.as_u64(), 0, 0]);
        self.input(node, |engine, now| {
            engine.handle_connected(now, link, local);
        });
        self.drain(node);
        self.read(key, Side::Dialler);
    }

    /// There will be no connection.
    pub(super) fn failed(&mut self, key: StreamKey, cut: Cut) {
        let world = &mut self.world;
        let now = world.now;
        if cut == Cut::Refused
            && let Some(stream) = world.stream(key)
        {
            // That nobody listens is said by the other host.
            let hosts = [Side::Acceptor, Side::Dialler].map(|side| stream.end(side).host);
            let [from, to] = hosts;
            if let Some(until) = world.topology.held(now, from, to) {
                return world.schedule.push(until, Coming::Failed(key, cut));
            }
        }
        self.cut(key, Side::Dialler, cut);
        self.world.forget(key);
    }

    /// Tells a process that its connection ended.
    fn cut(&mut self, key: StreamKey, side: Side, cut: Cut) {
        let Some(stream) = self.world.stream(key) else {
            return;
        };
        let Some(socket) = stream.end_mut(side).socket.take() else {
            return;
        };
        let Some(link) = socket.link else {
            // It was never accepted; the listener just does not get it.
            if let Some(running) = self.running_mut(socket.node) {
                running.backlog.retain(|other| *other != key);
            }
            return;
        };
        let words = [link.as_u64(), trace::cut(cut), 0];
        self.world.say(socket.node, Kind::Cut, words);
        if let Some(running) = self.running_mut(socket.node) {
            running.links.remove(link);
        }
        self.input(socket.node, |engine, now| {
            engine.handle_disconnected(now, link, cut);
        });
        self.drain(socket.node);
    }

    // ---- octets

    /// Sends what is new, as far as there is room. `true` when there was anything to try.
    pub(super) fn flush(&mut self, node: NodeId) -> bool {
        let mut any = false;
        while let Some(link) = self
            .running_mut(node)
            .and_then(|running| running.unsent.pop_front())
        {
            any = true;
            self.transmit(node, link);
        }
        any
    }

    /// Hands what a link has to send to the kernel, as far as that takes it.
    fn transmit(&mut self, node: NodeId, link: LinkId) {
        loop {
            let Some(running) = self.running(node) else {
                return;
            };
            let Some((key, side)) = running.links.get(link) else {
                return;
            };
            let world = &mut self.world;
            let (capacity, short_writes) = (
                world.tcp.send_buffer + world.tcp.receive_buffer,
                world.tcp.short_writes,
            );
            let Some(stream) = world.stream(key) else {
                return;
            };
            let mut room = capacity.saturating_sub(stream.pipe(side).octets as usize);
            if room == 0 {
                stream.pipe(side).waiting = true;
                return;
            }
            room = room.min(PIECE);
            let short = world.chance.happens(short_writes);
            if short {
                world.counters.short_writes += 1;
                room = 1 + world.chance.index(room.min(256));
            }
            let mut octets = world.spare.pop().unwrap_or_default();
            let Some(running) = self.running(node) else {
                return;
            };
            for slice in running.engine.poll_transmit(link) {
                let taken = slice.len().min(room - octets.len());
                octets.extend_from_slice(slice.get(..taken).unwrap_or_default());
                if octets.len() == room {
                    break;
                }
            }
            if octets.is_empty() {
                return self.world.spare(octets);
            }
            let full = octets.len() == room;
            self.send(node, link, key, side, octets);
            if short && full {
                // The kernel has room again a moment later.
                let at = self.world.now + MOMENT;
                return self.world.schedule.push(at, Coming::Room(key, side));
            }
            let more = full
                || self
                    .running(node)
                    .is_some_and(|running| running.engine.poll_transmit(link).next().is_some());
            if !more {
                return;
            }
        }
    }

    fn send(&mut self, node: NodeId, link: LinkId, key: StreamKey, side: Side, octets: Vec<u8>) {
        let world = &mut self.world;
        let length = octets.len();
        world.counters.octets += length as u64;
        let words = [link.as_u64(), length as u64, trace::checksum(&octets)];
        world.say(node, Kind::Sent, words);
        if side == Side::Dialler
            && let Some(stream) = world.stream(key)
        {
            let wire = Wire {
                place: key.place,
                generation: key.generation,
                from: node,
                to: stream.end(Side::Acceptor).socket.map(|socket| socket.node),
            };
            self.observer.on_octets(world.now, wire, &octets);
        }
        if self.is_swallowed(node, side, &octets) {
            self.world.say(node, Kind::Swallowed, words);
            self.world.spare(octets);
        } else {
            self.world.push(key, side, What::Octets(octets), length);
        }
        self.input(node, |engine, now| {
            engine.handle_transmitted(now, link, length);
        });
    }

    /// Whether these octets are whole ZRE messages, and something on the way swallows them. Not a HELLO: that one was swallowed
    /// could only be guessed.
    fn is_swallowed(&mut self, node: NodeId, side: Side, octets: &[u8]) -> bool {
        let Some(running) = self.running_mut(node).filter(|it| it.swallowed > 0) else {
            return false;
        };
        // A short frame that begins with the signature; what is smaller than a piece ends where a message ends.
        let message = matches!(octets, [0 | 1, _, 0xaa, 0xa1, command, ..] if *command != HELLO)
            && octets.len() < 256;
        let swallowed = message && side == Side::Dialler;
        running.swallowed -= u32::from(swallowed);
        swallowed
    }

    /// What this side sent arrives, as far as it is time and nothing is in the way.
    pub(super) fn arrival(&mut self, key: StreamKey, side: Side) {
        let now = self.world.now;
        let Some(stream) = self.world.stream(key) else {
            return;
        };
        stream.pipe(side).due = false;
        loop {
            let world = &mut self.world;
            let window = world.tcp.receive_buffer;
            let Some(stream) = world.stream(key) else {
                return;
            };
            let (from, to) = (stream.end(side).host, stream.end(side.other()).host);
            let black = stream.black;
            let receiver = stream.end(side.other()).socket;
            let pipe = stream.pipe(side);
            let next = pipe.arrived as usize;
            let Some(at) = pipe.queue.get(next).map(|piece| piece.at) else {
                break;
            };
            if at > now {
                pipe.due = true;
                world.schedule.push(at, Coming::Arrival(key, side));
                break;
            }
            if let Some(until) = world.topology.held(now, from, to) {
                if let Some(stream) = world.stream(key) {
                    stream.pipe(side).due = true;
                }
                world.schedule.push(until, Coming::Arrival(key, side));
                break;
            }
            if black || world.topology.is_blocked(from, to) {
                if self.world.is_hopeless(key, side) {
                    return self.give_up(key, side);
                }
                self.world.retry(key, side);
                break;
            }
            let Some(pipe) = world.stream(key).map(|stream| stream.pipe(side)) else {
                return;
            };
            pipe.stuck = None;
            pipe.tries = 0;
            let Some(piece) = pipe.queue.get(next) else {
                break;
            };
            let length = match &piece.what {
                What::Octets(octets) => octets.len(),
                What::Fin | What::Reset => 0,
            };
            let octets = matches!(piece.what, What::Octets(_));
            if receiver.is_none() {
                // Nobody has this socket: the kernel answers octets with a reset.
                pipe.queue.remove(next);
                pipe.octets = pipe.octets.saturating_sub(count(length));
                if octets {
                    world.close_pipe(key, side.other(), What::Reset);
                }
                continue;
            }
            if octets && pipe.unread > 0 && pipe.unread as usize + length > window {
                pipe.shut = true;
                break;
            }
            pipe.arrived += 1;
            pipe.unread += count(length);
        }
        self.read(key, side.other());
    }

    /// A process reads what arrived for this end, if it reads at all.
    pub(super) fn read(&mut self, key: StreamKey, side: Side) {
        while let Some(stream) = self.world.stream(key) {
            if side == Side::Dialler && !stream.open {
                break;
            }
            let end = stream.end(side);
            let Some(Socket {
                node,
                link: Some(link),
            }) = end.socket
            else {
                break;
            };
            let wants = end.reading;
            let pipe = stream.pipe(side.other());
            // An end without octets before it is noticed even by those who do not read.
            let ends = pipe.arrived == 1
                && !matches!(pipe.queue.front().map(|it| &it.what), Some(What::Octets(_)));
            let Some(running) = self.running(node) else {
                break;
            };
            if running.suspended || !(ends || (wants && running.reads())) {
                break;
            }
            let Some(what) = self.world.take(key, side.other()) else {
                break;
            };
            match what {
                What::Octets(octets) => {
                    self.feed(node, link, &octets);
                    self.world.spare(octets);
                }
                What::Fin => return self.ended(key, side, Cut::Closed),
                What::Reset => return self.ended(key, side, Cut::Reset),
            }
            // Whether it goes on reading is among what it wants now.
            self.drain(node);
        }
    }

    fn feed(&mut self, node: NodeId, link: LinkId, octets: &[u8]) {
        let words = [link.as_u64(), octets.len() as u64, trace::checksum(octets)];
        self.world.say(node, Kind::Received, words);
        let split = self.world.tcp.split_reads;
        let middle = if self.world.chance.happens(split) {
            self.world.chance.index(octets.len())
        } else {
            0
        };
        let (first, rest) = octets.split_at(middle);
        for part in [first, rest] {
            if !part.is_empty() {
                self.input(node, |engine, now| engine.handle_received(now, link, part));
            }
        }
    }

    /// A process reads the end of a connection, and closes its own.
    fn ended(&mut self, key: StreamKey, side: Side, cut: Cut) {
        self.cut(key, side, cut);
        self.world.release(key);
    }

    /// There is room again.
    pub(super) fn room(&mut self, key: StreamKey, side: Side) {
        if let Some(stream) = self.world.stream(key)
            && let Some(Socket {
                node,
                link: Some(link),
            }) = stream.end(side).socket
            && let Some(running) = self.running(node)
            && !running.suspended
        {
            self.transmit(node, link);
            self.drain(node);
        }
    }

    pub(super) fn set_reading(&mut self, node: NodeId, link: LinkId, reading: bool) {
        let Some((key, side)) = self
            .running(node)
            .and_then(|running| running.links.get(link))
        else {
            return;
        };
        if let Some(stream) = self.world.stream(key) {
            stream.end_mut(side).reading = reading;
            if reading {
                // Not now: the node is in the middle of something.
                let other = side.other();
                let at = self.world.now;
                self.world.schedule.push(at, Coming::Arrival(key, other));
            }
        }
    }

    /// Nothing was acknowledged for too long: this side gives up, and the other hears nothing of it.
    fn give_up(&mut self, key: StreamKey, side: Side) {
        if let Some(stream) = self.world.stream(key) {
            stream.pipe(side).lose_flight();
            if let Some(Socket {
                node,
                link: Some(link),
            }) = stream.end(side).socket
            {
                self.world.say(node, Kind::GaveUp, [link.as_u64(), 0, 0]);
            }
        }
        self.cut(key, side, Cut::Unreachable);
        self.world.release(key);
    }
}
