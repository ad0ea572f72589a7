//! What the kernels of two hosts know of a TCP connection.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atonce::{Instant, LinkId};
use smallvec::SmallVec;

use crate::topology::{HostId, SegmentId};
use crate::{NodeId, Odds};

/// How the hosts' TCP behaves. TCP loses no octets unless the connection is reset; what cannot get through is sent again,
/// with growing pauses.
///
/// ```
/// use atonce_sim::Tcp;
///
/// let tight = Tcp { send_buffer: 1_024, receive_buffer: 1_024, ..Tcp::default() };
/// assert_eq!(tight.backlog, 128);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Octets that a kernel takes from a process before the other side read them: 64 KiB.
    pub send_buffer: usize,
    /// Octets that a kernel takes from the network before the process reads them: 64 KiB.
    pub receive_buffer: usize,
    /// Connections that wait to be accepted: 128. What comes beyond gets no answer.
    pub backlog: usize,
    /// The pause before what was lost is sent again: 200 ms; it doubles each time.
    pub retransmit: Duration,
    /// The longest such pause: 5 s. (Linux: 120 s.)
    pub longest_retransmit: Duration,
    /// After how long without acknowledgement a connection is given up: 60 s. (Linux: about a quarter of an hour.)
    pub patience: Duration,
    /// After how long a connection that nobody answers cannot be made: 127 s, as Linux has it. Within a segment it is 3 s, when
    /// nobody has the address.
    pub connect_patience: Duration,
    /// How likely a kernel takes only a part of what it has room for: never.
    pub short_writes: Odds,
    /// How likely what arrived together is read in two parts: never.
    pub split_reads: Odds,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            send_buffer: 64 << 10,
            receive_buffer: 64 << 10,
            backlog: 128,
            retransmit: Duration::from_millis(200),
            longest_retransmit: Duration::from_secs(5),
            patience: Duration::from_secs(60),
            connect_patience: Duration::from_secs(127),
            short_writes: Odds::NEVER,
            split_reads: Odds::NEVER,
        }
    }
}

/// The name of a stream: its place, and how often the place was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamKey {
    pub(crate) place: u32,
    pub(crate) generation: u32,
}

/// One of the two ends of a stream: the one that dialled, or the one that accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialler,
    Acceptor,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// What travels.
#[derive(Debug)]
pub(crate) enum What {
    Octets(Vec<u8>),
    /// The other side closed it.
    Fin,
    Reset,
}

#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) at: Instant,
    pub(crate) what: What,
}

/// One direction of a stream.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// What was sent and not read, in order; the first `arrived` of them are with the receiver.
    pub(crate) queue: VecDeque<Piece>,
    pub(crate) arrived: u32,
    /// Octets in the queue, and those of them that arrived.
    pub(crate) octets: u32,
    pub(crate) unread: u32,
    /// When the last piece arrives: nothing overtakes it.
    pub(crate) last: Instant,
    /// Something is scheduled that looks at the queue.
    pub(crate) due: bool,
    /// The writer found no room and is to be told when there is.
    pub(crate) waiting: bool,
    /// The receiver's buffer was full when the next piece arrived.
    pub(crate) shut: bool,
    /// Since when nothing gets through, and how often that was tried.
    pub(crate) stuck: Option<Instant>,
    pub(crate) tries: u8,
}

/// A process's socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) node: NodeId,
    /// `None`: it waits to be accepted.
    pub(crate) link: Option<LinkId>,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) local: IpAddr,
    pub(crate) interface: u8,
    /// `None`: no process has it any more; what arrives is answered with a reset.
    pub(crate) socket: Option<Socket>,
    /// The node wants to read it.
    pub(crate) reading: bool,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) generation: u32,
    pub(crate) ends: [End; 2],
    pub(crate) pipes: [Pipe; 2],
    pub(crate) hops: SmallVec<[SegmentId; 2]>,
    /// The mailbox, as its host has it.
    pub(crate) target: SocketAddr,
    /// The one who dialled, as the other side sees it.
    pub(crate) seen: SocketAddr,
    pub(crate) began: Instant,
    pub(crate) tries: u8,
    /// Both ends answered; octets can travel.
    pub(crate) open: bool,
    /// Nothing gets through any more, and nobody is told.
    pub(crate) black: bool,
}

impl Pipe {
    pub(crate) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            arrived: 0,
            octets: 0,
            unread: 0,
            last: Instant::ZERO,
            due: false,
            waiting: false,
            shut: false,
            stuck: None,
            tries: 0,
        }
    }

    /// What is still on its way does not arrive.
    pub(crate) fn lose_flight(&mut self) {
        self.queue.truncate(self.arrived as usize);
        self.octets = self.unread;
    }
}

impl Stream {
    pub(crate) const fn end(&self, side: Side) -> &End {
        let [dialler, acceptor] = &self.ends;
        match side {
            Side::Dialler => dialler,
            Side::Acceptor => acceptor,
        }
    }

    pub(crate) const fn end_mut(&mut self, side: Side) -> &mut End {
        let [dialler, acceptor] = &mut self.ends;
        match side {
            Side::Dialler => dialler,
            Side::Acceptor => acceptor,
        }
    }

    /// What this side sends.
    pub(crate) const fn pipe(&mut self, side: Side) -> &mut Pipe {
        let [dialler, acceptor] = &mut self.pipes;
        match side {
            Side::Dialler => dialler,
            Side::Acceptor => acceptor,
        }
    }
}

/// A node's sockets by the names of its links, which only grow: what is gone leaves a hole, and holes at the front go.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    base: u64,
    slots: VecDeque<Option<(StreamKey, Side)>>,
    count: usize,
}

impl LinkTable {
    fn slot(&self, link: LinkId) -> Option<usize> {
        link.as_u64()
            .checked_sub(self.base)
            .and_then(|slot| usize::try_from(slot).ok())
    }

    pub(crate) fn insert(&mut self, link: LinkId, key: StreamKey, side: Side) {
        if self.slots.is_empty() {
            self.base = link.as_u64();
        }
        while link.as_u64() < self.base {
            self.slots.push_front(None);
            self.base -= 1;
        }
        let Some(slot) = self.slot(link) else { return };
        while self.slots.len() <= slot {
            self.slots.push_back(None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            self.count += usize::from(place.is_none());
            *place = Some((key, side));
        }
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<(StreamKey, Side)> {
        self.slots.get(self.slot(link)?).copied().flatten()
    }

    pub(crate) fn remove(&mut self, link: LinkId) -> Option<(StreamKey, Side)> {
        let slot = self.slot(link)?;
        let gone = self.slots.get_mut(slot)?.take()?;
        self.count -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        Some(gone)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamKey, Side)> {
        self.slots.iter().copied().flatten()
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }
}
