//! What lies between two processes: the kernels of their machines, and the way of octets from one to the other.

use std::net::SocketAddr;
use std::time::Duration;

use atonce::{Instant, LinkId};
use smallvec::SmallVec;

use super::world::{Coming, World};
use crate::application::NodeId;
use crate::tcp::{End, Piece, Pipe, Side, Socket, Stream, StreamKey, What};
use crate::topology::{HostId, Route, count};

/// How long the way of a host to itself takes.
pub(super) const LOOPBACK: Duration = Duration::from_micros(20);

/// Buffers that are kept to be used again.
const SPARE: usize = 64;

impl World {
    pub(super) fn stream(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.streams
            .get_mut(key.place as usize)
            .filter(|stream| stream.generation == key.generation)
    }

    pub(super) fn new_stream(
        &mut self,
        node: NodeId,
        link: LinkId,
        from: HostId,
        address: SocketAddr,
        way: Option<Route>,
    ) -> StreamKey {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let machine = self.topology.host_mut(from);
        let port = machine.next_port;
        machine.next_port = port.checked_add(1).unwrap_or(32_768);
        let nowhere = || Route {
            to: from,
            target: address,
            local: address.ip(),
            seen: address,
            interface: 0,
            hops: SmallVec::new(),
            passed: SmallVec::new(),
        };
        let way = way.unwrap_or_else(nowhere);
        let end = |host, local, interface, socket| End {
            host,
            local,
            interface,
            socket,
            reading: true,
        };
        let link = Some(link);
        let interface = u8::try_from(way.interface).unwrap_or(u8::MAX);
        let place = self.streams.insert(Stream {
            generation,
            ends: [
                end(from, way.local, interface, Some(Socket { node, link })),
                end(way.to, way.target.ip(), 0, None),
            ],
            pipes: [Pipe::new(), Pipe::new()],
            hops: way.hops,
            target: way.target,
            seen: SocketAddr::new(way.seen.ip(), port),
            began: self.now,
            tries: 0,
            open: false,
            black: false,
        });
        StreamKey {
            place: count(place),
            generation,
        }
    }

    pub(super) fn is_near(&self, from: HostId, address: SocketAddr) -> bool {
        let SocketAddr::V4(address) = address else {
            return true;
        };
        let [a, b, ..] = address.ip().octets();
        self.topology.host(from).interfaces.iter().any(
            |it| matches!(it.address, std::net::IpAddr::V4(ip) if ip.octets().starts_with(&[a, b])),
        )
    }

    /// When what this side sends now arrives.
    pub(super) fn way(&mut self, key: StreamKey, side: Side, octets: usize) -> Instant {
        let now = self.now;
        let Some(stream) = self.streams.get(key.place as usize) else {
            return now;
        };
        if stream.hops.is_empty() {
            return now + LOOPBACK;
        }
        let (mut delay, mut jitter, mut loss) = (Duration::ZERO, Duration::ZERO, None);
        let mut bandwidth = None;
        for (n, hop) in stream.hops.iter().enumerate() {
            let quality = &self.topology.segment(*hop).quality;
            delay += quality.delay;
            jitter += quality.jitter;
            loss = loss.max(Some(quality.loss));
            if n == 0 {
                bandwidth = quality.bandwidth;
            }
        }
        let end = stream.end(side);
        let (host, interface) = (end.host, usize::from(end.interface));
        let mut at = now;
        if let Some(bandwidth) = bandwidth
            && let Some(iface) = self.topology.host_mut(host).interfaces.get_mut(interface)
        {
            let micros = (octets as u64 + 40).saturating_mul(1_000_000) / bandwidth.max(1);
            at = iface.busy.max(now) + Duration::from_micros(micros);
            iface.busy = at;
        }
        at += delay + self.jitter(jitter);
        let mut pause = self.tcp.retransmit;
        while self.chance.happens(loss.unwrap_or_default()) {
            at += pause;
            pause = (pause * 2).min(self.tcp.longest_retransmit);
        }
        at
    }

    /// Whether the question for a connection gets lost on the way.
    pub(super) fn is_lost(&mut self, key: StreamKey) -> bool {
        let Some(stream) = self.streams.get(key.place as usize) else {
            return false;
        };
        let hops = stream.hops.iter();
        let loss = hops
            .map(|hop| self.topology.segment(*hop).quality.loss)
            .max();
        self.chance.happens(loss.unwrap_or_default())
    }

    /// Puts something into the pipe of this side.
    pub(super) fn push(&mut self, key: StreamKey, side: Side, what: What, octets: usize) {
        let at = self.way(key, side, octets);
        let Some(stream) = self.stream(key) else {
            return;
        };
        let pipe = stream.pipe(side);
        let at = at.max(pipe.last);
        pipe.last = at;
        pipe.octets += count(octets);
        let hops = stream.hops.clone();
        for hop in hops {
            self.topology.segment_mut(hop).octets += octets as u64;
        }
        let Some(stream) = self.stream(key) else {
            return;
        };
        let pipe = stream.pipe(side);
        pipe.queue.push_back(Piece { at, what });
        if !pipe.due && !pipe.shut {
            pipe.due = true;
            self.schedule.push(at, Coming::Arrival(key, side));
        }
    }

    /// Takes the first thing that arrived out of the pipe of this side; who waits for room is told.
    pub(super) fn take(&mut self, key: StreamKey, side: Side) -> Option<What> {
        let now = self.now;
        let (send_buffer, receive_buffer) = (self.tcp.send_buffer, self.tcp.receive_buffer);
        let stream = self.stream(key)?;
        let pipe = stream.pipe(side);
        if pipe.arrived == 0 {
            return None;
        }
        let piece = pipe.queue.pop_front()?;
        pipe.arrived -= 1;
        if let What::Octets(octets) = &piece.what {
            let length = count(octets.len());
            pipe.octets = pipe.octets.saturating_sub(length);
            pipe.unread = pipe.unread.saturating_sub(length);
        }
        if pipe.queue.is_empty() {
            pipe.queue.shrink_to(4);
            // What comes next comes where this was: thousands of pipes fit into the cache so.
            pipe.queue.clear();
        }
        let opens = pipe.shut && pipe.unread as usize <= receive_buffer / 2;
        let room = pipe.waiting && pipe.octets as usize <= (send_buffer + receive_buffer) / 2;
        if opens {
            pipe.shut = false;
            pipe.due = true;
        }
        if room {
            pipe.waiting = false;
        }
        if opens || room {
            let at = self.way(key, side.other(), 0);
            if opens {
                self.schedule.push(at, Coming::Arrival(key, side));
            }
            if room {
                self.schedule.push(at.max(now), Coming::Room(key, side));
            }
        }
        Some(piece.what)
    }

    /// A process closes its end. As on Linux the other side sees a reset when octets were left unread, and the end in order else.
    pub(super) fn close(&mut self, key: StreamKey, side: Side) {
        let Some(stream) = self.stream(key) else {
            return;
        };
        // Whether the other side knows of it.
        let asked = stream.end(Side::Acceptor).socket.is_some() || stream.open;
        if stream.end_mut(side).socket.take().is_none() {
            return;
        }
        let incoming = stream.pipe(side.other());
        let unread = incoming.unread > 0;
        for _ in 0..incoming.arrived {
            incoming.queue.pop_front();
        }
        incoming.arrived = 0;
        incoming.octets = incoming.octets.saturating_sub(incoming.unread);
        incoming.unread = 0;
        if incoming.shut {
            // What could not be taken in is answered with a reset now.
            incoming.shut = false;
            incoming.due = true;
            let at = self.now;
            self.schedule.push(at, Coming::Arrival(key, side.other()));
        }
        if !asked {
            return self.forget(key);
        }
        let what = if unread { What::Reset } else { What::Fin };
        self.close_pipe(key, side, what);
        self.release(key);
    }

    /// The kernel ends the stream towards the other side.
    pub(super) fn close_pipe(&mut self, key: StreamKey, side: Side, what: What) {
        let Some(stream) = self.stream(key) else {
            return;
        };
        if stream.end(side.other()).socket.is_none() {
            return self.release(key);
        }
        self.push(key, side, what, 0);
    }

    /// Forgets a stream of which no process knows any more.
    pub(super) fn release(&mut self, key: StreamKey) {
        if let Some(stream) = self.stream(key)
            && stream.ends.iter().all(|end| end.socket.is_none())
        {
            self.forget(key);
        }
    }

    pub(super) fn forget(&mut self, key: StreamKey) {
        if self.stream(key).is_some() {
            self.streams.remove(key.place as usize);
        }
    }

    /// What is in the way is tried again later.
    pub(super) fn retry(&mut self, key: StreamKey, side: Side) {
        let now = self.now;
        let (first, longest) = (self.tcp.retransmit, self.tcp.longest_retransmit);
        let Some(stream) = self.stream(key) else {
            return;
        };
        let pipe = stream.pipe(side);
        pipe.stuck.get_or_insert(now);
        let pause = first * 2_u32.pow(u32::from(pipe.tries.min(10)));
        pipe.tries = pipe.tries.saturating_add(1);
        pipe.due = true;
        let again = now + pause.min(longest);
        self.schedule.push(again, Coming::Arrival(key, side));
    }

    pub(super) fn is_hopeless(&mut self, key: StreamKey, side: Side) -> bool {
        let (now, patience) = (self.now, self.tcp.patience);
        self.stream(key)
            .and_then(|stream| stream.pipe(side).stuck)
            .is_some_and(|since| now - since >= patience)
    }

    pub(super) fn spare(&mut self, mut octets: Vec<u8>) {
        if self.spare.len() < SPARE {
            octets.clear();
            self.spare.push(octets);
        }
    }

    /// Every connection of which a process of the host knows.
    pub(super) fn streams_of(&self, host: HostId) -> Vec<StreamKey> {
        self.streams
            .iter()
            .filter(|(_, stream)| stream.ends.iter().any(|end| end.host == host))
            .map(|(place, stream)| StreamKey {
                place: count(place),
                generation: stream.generation,
            })
            .collect()
    }

    /// Somebody on the way ends a connection for both sides; what is on its way is lost.
    pub(super) fn reset(&mut self, key: StreamKey) {
        for side in [Side::Dialler, Side::Acceptor] {
            if let Some(stream) = self.stream(key) {
                stream.pipe(side).lose_flight();
                stream.pipe(side).shut = false;
            }
        }
        for side in [Side::Dialler, Side::Acceptor] {
            self.close_pipe(key, side, What::Reset);
        }
    }
}
