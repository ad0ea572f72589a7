//! The world around the processes: the network, what is on its way, what is to happen, and what happened.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use atonce::Instant;
use bytes::Bytes;
use slab::Slab;

use crate::application::NodeId;
use crate::chance::Chance;
use crate::program::ProgramId;
use crate::schedule::Schedule;
use crate::tcp::{Side, Stream, StreamKey, Tcp};
use crate::topology::{HostId, SegmentId, Topology};
use crate::trace::{Kind, Trace};

/// What is to happen.
#[derive(Debug)]
pub(crate) enum Coming {
    /// A node's own deadline.
    Deadline { node: NodeId },
    /// A timer of an application.
    Timer { node: NodeId, token: u64 },
    /// A timer of a program.
    ProgramTimer { program: ProgramId, token: u64 },
    /// A datagram arrives, by its place in the table.
    Datagram(u32),
    /// Somebody asks for a connection.
    Syn(StreamKey),
    /// The one who asked gets the answer.
    Established(StreamKey),
    /// There will be no connection.
    Failed(StreamKey, atonce::Cut),
    /// Look at what this side sent.
    Arrival(StreamKey, Side),
    /// There is room again for what this side sends.
    Room(StreamKey, Side),
    /// A name was looked up.
    Resolved(Box<Resolved>),
}

/// What came of a look-up. Boxed: it is rare, and the schedule moves what is to happen around a lot.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) node: NodeId,
    pub(crate) query: u64,
    /// For which link of a socket.
    pub(crate) link: Option<atonce::LinkId>,
    pub(crate) address: Option<SocketAddr>,
}

/// A datagram on its way.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(super) from: HostId,
    pub(super) segment: SegmentId,
    pub(super) source: SocketAddr,
    pub(super) to: To,
    /// At which port it is heard.
    pub(super) port: u16,
    pub(super) octets: Bytes,
}

/// Whom a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Host(HostId),
    /// Everybody on the segment.
    Everybody,
    /// Those on the segment who joined this multicast group.
    Group(IpAddr),
}

/// Everything but the processes.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) topology: Topology,
    pub(crate) schedule: Schedule<Coming>,
    pub(crate) trace: Trace,
    pub(crate) chance: Chance,
    pub(crate) streams: Slab<Stream>,
    pub(crate) datagrams: Slab<Datagram>,
    pub(crate) tcp: Tcp,
    pub(super) names: BTreeMap<String, IpAddr>,
    pub(super) generation: u32,
    /// Buffers to be used again.
    pub(super) spare: Vec<Vec<u8>>,
    pub(crate) counters: Counters,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Things that happened: everything that was scheduled and came.
    pub steps: u64,
    /// Calls into nodes: octets, datagrams, connections, deadlines.
    pub inputs: u64,
    /// Events that applications were told.
    pub events: u64,
    /// Datagrams that arrived, were lost, and came twice.
    pub datagrams: u64,
    /// Datagrams that were lost.
    pub datagrams_lost: u64,
    /// Datagrams that came twice.
    pub datagrams_doubled: u64,
    /// Datagrams that came late.
    pub datagrams_late: u64,
    /// Connections that were asked for.
    pub dials: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Octets that went over connections.
    pub octets: u64,
    /// Times that a connection took only a part of what was written.
    pub short_writes: u64,
}

impl World {
    /// What the clock of a host says.
    pub(crate) fn host_now(&self, host: HostId) -> Instant {
        self.now + self.topology.host(host).ahead
    }

    pub(crate) fn say(&mut self, node: NodeId, kind: Kind, words: [u64; 3]) {
        self.trace.say(self.now, Some(node), kind, words);
    }

    pub(crate) fn say_all(&mut self, kind: Kind, words: [u64; 3]) {
        self.trace.say(self.now, None, kind, words);
    }
}
