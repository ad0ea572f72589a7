//! Links: dialled, accepted, read, written and closed, for whatever machine speaks over them.
//!
//! A driver has [`Links`] of its machine and is their [`Host`]: what is here calls the machine with what comes, and the host does
//! what the machine asks for, which for links is done here again. All of it is known when it is compiled.

mod host;
mod stream;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use atonce::{Cut, Instant, LinkId};
use bytes::BytesMut;
use bytes::buf::Limit;
use mio::{Interest, Token};
#[cfg(not(target_vendor = "apple"))]
use nix::sys::socket::MsgFlags;
use rustc_hash::FxHashMap;
use slab::Slab;
use smallvec::SmallVec;
use socket2::SockRef;

pub(super) use self::host::Host;
use self::stream::Dialled;
pub(super) use self::stream::{Address, Listening, Stream};
use super::clock::Clock;
use super::cut::cut;
use super::pace::Pace;

/// What is read of all links before the adapter gets the control back, in octets.
const TURN_OCTETS: usize = 256 * 1024;

/// What is written to a link before the next one has its turn, in octets.
const WRITTEN_OCTETS: usize = 1024 * 1024;

/// What small reads are read into, in octets. One for each thread that drives a machine.
const SCRATCH_OCTETS: usize = 128 * 1024;

/// What is read of the messages behind a large frame together with it. If they are small it is enough of them, and if the next
/// is large too, not too much of it to be copied.
const BEYOND_OCTETS: usize = 4 * 1024;

/// Slices given to one system call. More would save little, and the kernel takes at most 1,024.
const SLICES: usize = 512;

/// Of these so many lie on the stack, which every node's thread has.
const FEW_SLICES: usize = 32;

/// Connections accepted of one listener before others have their turn.
const ACCEPTS: usize = 64;

/// How long nothing is accepted after the descriptors ran out. What waits in the backlog stays there; to ask for it at
/// once again would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a link that was closed may take to end on the other side as well.
const PARTING: Duration = Duration::from_secs(2);

/// The most links that part at once, while new ones come: a stranger costs no more than that by making us close them.
const PARTINGS: usize = 256;

/// Octets that are written in a few microseconds.
const A_LITTLE: usize = 4 * 1024;

/// How long what can be read waits for an application that has events to take.
const BEHIND: Duration = Duration::from_millis(1);

/// To write to a connection that the other side ended must be an error and not a signal: the program that the node runs in
/// may have SIGPIPE at its default, which ends the process. On Apple's systems the sockets have an option for it, which is
/// set when they are made.
#[cfg(not(target_vendor = "apple"))]
const WITHOUT_SIGNAL: i32 = MsgFlags::MSG_NOSIGNAL.bits();
#[cfg(target_vendor = "apple")]
const WITHOUT_SIGNAL: i32 = 0;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_OCTETS]);
}

/// Calls `use_it` with the scratch buffer of this thread. Not to be nested.
pub(super) fn with_scratch<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| use_it(scratch))
}

/// What speaks over links. The verbs are those of every machine of the core; what one of them does without does nothing.
pub(super) trait Machine {
    /// What it calls a place where it is connected to.
    type Listener: Copy + fmt::Debug;

    /// What is read of a link before the next one has its turn, in octets. More makes no read cheaper, and what is read stays
    /// in the processor's cache, and in memory that was used a moment ago, until the application has taken it.
    const READ_OCTETS: usize = 128 * 1024;

    /// Whether a link that is paused is ended when it cannot be written to. Else its end is found when it is read again.
    const ENDS_PAUSED: bool = false;

    /// Over TCP, `remote` is where it comes from. `None`: it is refused.
    fn handle_accepted(
        &mut self,
        now: Instant,
        listener: Self::Listener,
        remote: Option<SocketAddr>,
    ) -> Option<LinkId>;

    /// Over TCP, `local` is the address of ours.
    fn handle_connected(&mut self, now: Instant, link: LinkId, local: Option<SocketAddr>);

    fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut);

    fn receive_buffer(&mut self, link: LinkId) -> Option<Limit<&mut BytesMut>>;

    fn handle_filled(&mut self, now: Instant, link: LinkId);

    fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]);

    fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]>;

    fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize);

    fn deadline(&self) -> Option<Instant>;

    /// Whether the application has something to take.
    fn has_event(&self) -> bool;
}

/// How often a driver called the system for what it sends and receives, since its start. What a message costs depends on it more
/// than on all else: see `tests/calls.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Reads of links, also those that found nothing.
    pub reads: u64,
    /// Writes to links.
    pub writes: u64,
    /// Reads of the beacon socket, also those that found nothing.
    pub beacon_reads: u64,
}

/// Something that can be read, by its place in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The sockets for datagrams that a host may have.
    Datagrams,
    /// Where the system tells a host of changes.
    Changes,
    Listener(usize),
    Link(usize),
    /// The poller of a socket beside the node.
    Aside(usize),
}

/// The pollers beside a node have the upper half of the tokens, which no link gets to.
const ASIDE: usize = 1 << (usize::BITS - 1);

pub(super) const WAKE: Token = Token(0);

impl Source {
    /// A place can be taken again while an event for what stood there before is under way. That event then makes the new
    /// one be looked at for nothing, which is harmless.
    pub(super) const fn token(self) -> Token {
        match self {
            Self::Datagrams => Token(1),
            // There is a link at no such place.
            Self::Changes => Token(usize::MAX),
            Self::Listener(key) => Token(2 + 2 * key),
            Self::Link(key) => Token(3 + 2 * key),
            Self::Aside(key) => Token(ASIDE + key),
        }
    }

    const fn of(token: Token) -> Option<Self> {
        match token.0 {
            0 => None,
            1 => Some(Self::Datagrams),
            usize::MAX => Some(Self::Changes),
            aside if aside >= ASIDE => Some(Self::Aside(aside - ASIDE)),
            even if even % 2 == 0 => Some(Self::Listener((even - 2) / 2)),
            odd => Some(Self::Link((odd - 3) / 2)),
        }
    }
}

/// A machine and its links.
#[derive(Debug)]
pub(super) struct Links<M: Machine> {
    pub(super) machine: M,
    pub(super) clock: Clock,
    pub(super) registry: mio::Registry,
    pub(super) calls: Calls,
    table: Slab<Link>,
    /// The machine itself names its links, so that nobody can choose names that collide.
    keys: FxHashMap<LinkId, usize>,
    listeners: Slab<Listener<M::Listener>>,
    /// No connection is accepted until then.
    accept_at: Option<Instant>,
    /// There was no descriptor for a connection, and that was said.
    is_short: bool,
    /// What may have something to read. A source stands here at most once (it has a flag that says so).
    unread: VecDeque<Source>,
    /// When something was read last.
    read_at: Instant,
    /// Links that have something to send and are not known to be blocked. Each stands here at most once.
    unsent: VecDeque<usize>,
    pace: Pace,
    /// How long what is held back, to be written together with more, may wait at most.
    hold: Duration,
    /// How many links could not take all that was written.
    blocked: usize,
    /// Links that the machine closed and that end on the other side soon, by when they are given up: the oldest first. Some of them may
    /// be gone, and something else may be in their place.
    parting: VecDeque<(Instant, usize)>,
    /// How many links part.
    partings: usize,
    /// Until when the adapter sleeps, if nothing wakes it; `None` while it is awake.
    sleeps_until: Option<Instant>,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    stream: Stream,
    /// `connect` is under way.
    dialling: bool,
    /// The socket may have something to read: it was not read until it had no more.
    readable: bool,
    /// It stands in `unread`.
    in_unread: bool,
    /// The socket may take something.
    writable: bool,
    /// It stands in `unsent`.
    in_unsent: bool,
    /// The machine does not want to read it now.
    paused: bool,
    /// The other side, or an error, ended the connection: it is to be read to its end, which is near.
    ending: bool,
    /// What writing failed with. What came before is read first.
    cut: Option<Cut>,
    /// When the machine closed it. What still comes is for nobody.
    parts: Option<Instant>,
}

#[derive(Debug)]
struct Listener<I> {
    id: I,
    socket: Listening,
    /// Connections may wait.
    readable: bool,
    /// It stands in `unread`.
    in_unread: bool,
}

impl<M: Machine> Links<M> {
    pub(super) fn new(machine: M, clock: Clock, registry: mio::Registry) -> Self {
        Self {
            machine,
            clock,
            registry,
            calls: Calls::default(),
            table: Slab::new(),
            keys: FxHashMap::default(),
            listeners: Slab::new(),
            accept_at: None,
            is_short: false,
            unread: VecDeque::new(),
            read_at: Instant::ZERO,
            unsent: VecDeque::new(),
            pace: Pace::default(),
            hold: Duration::ZERO,
            blocked: 0,
            parting: VecDeque::new(),
            partings: 0,
            sleeps_until: None,
        }
    }

    /// How many links there are, those that are being dialled as well.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Our own address of a link over TCP that is up.
    pub(super) fn local_address(&self, id: LinkId) -> Option<SocketAddr> {
        let link = self.table.get(*self.keys.get(&id)?)?;
        link.stream.local_address()?.ok()
    }

    /// Closes everything.
    pub(super) fn clear(&mut self) {
        self.unread.clear();
        self.unsent.clear();
        self.table.clear();
        self.keys.clear();
        self.listeners.clear();
        self.blocked = 0;
        self.parting.clear();
        self.partings = 0;
        self.accept_at = None;
    }

    // ---- time

    /// When the next turn is due; `rest`: for whatever else the host does.
    pub(super) fn deadline(&self, rest: Option<Instant>) -> Option<Instant> {
        let unread = match self.unread.is_empty() {
            true => None,
            false if self.machine.has_event() => Some(self.read_at + BEHIND),
            false => Some(Instant::ZERO),
        };
        let unsent = match self.unsent.is_empty() {
            true => None,
            false => Some(match self.pace.waits_since() {
                Some(since) => since + self.hold,
                None => Instant::ZERO,
            }),
        };
        let machine = self.machine.deadline();
        let parting = self.parting.front().map(|(at, _)| *at);
        [unread, unsent, machine, self.accept_at, parting, rest]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long there is until the next turn. From now on [`wants_turn`](Self::wants_turn) tells whether there is less.
    pub(super) fn sleep(&mut self, rest: Option<Instant>) -> Option<Duration> {
        let now = self.clock.recent();
        let mut deadline = self.deadline(rest);
        if self.hold > Duration::ZERO && self.pace.is_streaming(now) {
            // More will be held back: it is looked after then, without being woken for it.
            deadline = Some(deadline.map_or(now + self.hold, |at| at.min(now + self.hold)));
        }
        self.sleeps_until = Some(deadline.unwrap_or(Instant::from_micros(u64::MAX)));
        deadline.map(|at| at - now)
    }

    /// Whether something became due before the end of the present sleep. Says so once a sleep.
    pub(super) fn wants_turn(&mut self, rest: Option<Instant>) -> bool {
        let wants = match (self.sleeps_until, self.deadline(rest)) {
            (Some(until), Some(deadline)) => deadline < until,
            _ => false,
        };
        if wants {
            self.sleeps_until = None;
        }
        wants
    }

    /// A turn begins.
    pub(super) fn awake(&mut self) {
        self.sleeps_until = None;
    }

    pub(super) fn hold_back(&mut self, hold: Duration) {
        self.hold = hold;
    }

    /// Whether something is to be sent for which a turn has to look whether it can be, and now is the time to send it.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked > 0 && self.pace.is_over(self.clock.recent())
    }

    /// Whether anything is held back.
    pub(super) fn holds_back(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// How many messages are held back.
    pub(super) const fn held(&self) -> usize {
        self.pace.waiting()
    }

    /// When something is said.
    #[inline]
    pub(super) fn moment(&mut self) -> Instant {
        if self.pace.may_guess() {
            self.clock.recent()
        } else {
            self.clock.now()
        }
    }

    // ---- listeners

    /// Accepts what connects to this socket; gives its key, and what the machine calls it. When that fails the socket is closed, and
    /// the machine is not asked for a `name`.
    pub(super) fn listen(
        &mut self,
        mut socket: Listening,
        name: impl FnOnce(&mut M) -> M::Listener,
    ) -> io::Result<(usize, M::Listener)> {
        let entry = self.listeners.vacant_entry();
        let key = entry.key();
        let token = Source::Listener(key).token();
        self.registry
            .register(&mut socket, token, Interest::READABLE)?;
        let id = name(&mut self.machine);
        entry.insert(Listener {
            id,
            socket,
            readable: false,
            in_unread: false,
        });
        Ok((key, id))
    }

    /// Closes it. What was accepted stays.
    pub(super) fn unlisten(&mut self, key: usize) {
        self.listeners.try_remove(key);
    }

    fn note_listener(&mut self, key: usize) {
        if let Some(listener) = self.listeners.get_mut(key) {
            listener.readable = true;
            self.note_unread_listener(key);
        }
    }

    fn note_unread_listener(&mut self, key: usize) {
        if self.accept_at.is_none()
            && let Some(listener) = self.listeners.get_mut(key)
            && listener.readable
            && !listener.in_unread
        {
            listener.in_unread = true;
            self.unread.push_back(Source::Listener(key));
        }
    }

    /// Accepts again when it is time to.
    pub(super) fn keep_accepting(&mut self, now: Instant) {
        if self.accept_at.is_none_or(|at| at > now) {
            return;
        }
        self.accept_at = None;
        let keys: Vec<usize> = self.listeners.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.note_unread_listener(key);
        }
    }

    // ---- links

    /// The host's socket for datagrams may have some. To be said again when it was read and there are more.
    pub(super) fn note_datagrams(&mut self) {
        self.unread.push_back(Source::Datagrams);
    }

    fn note_unread_link(&mut self, key: usize) {
        if let Some(link) = self.table.get_mut(key)
            && link.readable
            && !link.paused
            && !link.in_unread
        {
            link.in_unread = true;
            self.unread.push_back(Source::Link(key));
        }
    }

    fn note_unsent(&mut self, key: usize) {
        if let Some(link) = self.table.get_mut(key)
            && link.writable
            && !link.in_unsent
        {
            link.in_unsent = true;
            self.unsent.push_back(key);
        }
    }

    /// The machine has something to send over it.
    pub(super) fn transmit(&mut self, id: LinkId) {
        if let Some(&key) = self.keys.get(&id) {
            self.note_unsent(key);
        }
    }

    pub(super) fn dial(&mut self, id: LinkId, address: &Address) {
        tracing::debug!(%id, ?address, "dial");
        let stream = Stream::connect(address);
        match stream.and_then(|stream| self.add_link(id, stream, true)) {
            Ok(key) => {
                // On this machine it mostly is done already. Then we speak first, at once, so that whoever accepts it finds
                // our greeting and has its answer ready before it writes for the first time.
                self.finish_dial(key);
                self.flush_link(key);
            }
            Err(error) => {
                tracing::debug!(%id, ?address, %error, "cannot dial");
                let now = self.clock.recent();
                self.machine.handle_disconnected(now, id, cut(&error));
            }
        }
    }

    /// Registers a connection; gives its key. It is closed when that fails.
    fn add_link(&mut self, id: LinkId, mut stream: Stream, dialling: bool) -> io::Result<usize> {
        stream.set_options()?;
        let entry = self.table.vacant_entry();
        let key = entry.key();
        self.registry.register(
            &mut stream,
            Source::Link(key).token(),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        entry.insert(Link {
            id,
            stream,
            dialling,
            // Who dialled us has mostly said something already.
            readable: !dialling,
            in_unread: false,
            writable: !dialling,
            in_unsent: false,
            paused: false,
            ending: false,
            cut: None,
            parts: None,
        });
        self.keys.insert(id, key);
        Ok(key)
    }

    /// Tells the machine when a dial is done. What that asks for is left to whoever calls it.
    fn finish_dial(&mut self, key: usize) {
        let Some(link) = self.table.get_mut(key) else {
            return;
        };
        match link.stream.dialled() {
            Ok(Dialled::Itself) => self.lose(key, Cut::Refused),
            Ok(Dialled::Made(here)) => {
                link.dialling = false;
                link.writable = true;
                let id = link.id;
                tracing::debug!(%id, ?here, "connected");
                let now = self.clock.recent();
                self.machine.handle_connected(now, id, here);
            }
            Ok(Dialled::NotYet) => {}
            Err(error) => {
                tracing::debug!(id = %link.id, %error, "not connected");
                self.lose(key, cut(&error));
            }
        }
    }

    /// Writes what a link has to send, within its budget.
    fn flush_link(&mut self, key: usize) {
        let Some(link) = self.table.get_mut(key) else {
            return;
        };
        link.in_unsent = false;
        if link.parts.is_some() {
            return;
        }
        let mut budget = WRITTEN_OCTETS;
        while link.writable {
            if budget == 0 {
                self.note_unsent(key);
                return;
            }
            let mut slices: SmallVec<[IoSlice<'_>; FEW_SLICES]> = SmallVec::new();
            let mut octets = 0;
            for slice in self.machine.poll_transmit(link.id).take(SLICES) {
                octets += slice.len();
                slices.push(IoSlice::new(slice));
            }
            if octets == 0 {
                return;
            }
            self.calls.writes += 1;
            let socket = SockRef::from(&link.stream);
            let result = match slices.as_slice() {
                [one] => socket.send_with_flags(one, WITHOUT_SIGNAL),
                several => socket.send_vectored_with_flags(several, WITHOUT_SIGNAL),
            };
            drop(slices);
            match result {
                Ok(taken) => {
                    // Less than was offered: the socket is full, and room will be reported.
                    link.writable = taken == octets;
                    self.blocked += usize::from(!link.writable);
                    budget = budget.saturating_sub(taken);
                    let now = self.clock.recent();
                    self.machine.handle_transmitted(now, link.id, taken);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    link.writable = false;
                    self.blocked += 1;
                }
                Err(error) => {
                    tracing::debug!(id = %link.id, %error, "cannot write");
                    link.writable = false;
                    self.blocked += 1;
                    let cut = cut(&error);
                    if M::ENDS_PAUSED && link.paused {
                        // Whoever is slow may never take what made it be paused, and then its end would not be found.
                        return self.lose(key, cut);
                    }
                    link.cut = Some(cut);
                    // What came before the end is read first, and then the end is found.
                    link.ending = true;
                    link.readable = true;
                    self.note_unread_link(key);
                    return;
                }
            }
        }
    }

    /// Sends what every link has to send, each within its budget.
    pub(super) fn flush_all(&mut self) {
        for _ in 0..self.unsent.len() {
            let Some(key) = self.unsent.pop_front() else {
                break;
            };
            self.flush_link(key);
        }
        self.pace.clear(); // what is left has had its share of this turn, and goes on at once
    }

    /// The machine does not want to read it now.
    pub(super) fn pause(&mut self, id: LinkId) {
        if let Some(&key) = self.keys.get(&id)
            && let Some(link) = self.table.get_mut(key)
        {
            link.paused = true;
            tracing::debug!(%id, "paused: who takes what it brings is slow");
        }
    }

    pub(super) fn resume(&mut self, id: LinkId) {
        if let Some(&key) = self.keys.get(&id)
            && let Some(link) = self.table.get_mut(key)
        {
            link.paused = false;
            self.note_unread_link(key);
        }
    }

    /// The machine is done with it.
    pub(super) fn close(&mut self, id: LinkId) {
        if let Some(key) = self.keys.remove(&id) {
            self.remove_link(key);
            tracing::debug!(%id, "closed");
        }
    }

    /// The machine is done with it, and what it transmitted is to arrive. A connection that is closed while something comes is reset
    /// instead, and takes what is still on its way out with it: so it is only ended, and then read until the other side ends it
    /// too, for [`PARTING`] at most. `all`: also when many part already.
    pub(super) fn part(&mut self, id: LinkId, all: bool) {
        let Some(key) = self.keys.remove(&id) else {
            return;
        };
        let now = self.clock.recent();
        let Some(link) = self.table.get_mut(key) else {
            return;
        };
        let is_too_much = !all && self.partings >= PARTINGS;
        if is_too_much || link.dialling || link.cut.is_some() || link.stream.shut_down().is_err() {
            self.remove_link(key);
            tracing::debug!(%id, "closed");
            return;
        }
        if !link.writable {
            self.blocked = self.blocked.saturating_sub(1);
            link.writable = true;
        }
        link.parts = Some(now);
        link.paused = false;
        self.partings += 1;
        self.parting.push_back((now + PARTING, key));
        self.note_unread_link(key);
        tracing::debug!(%id, "closing");
    }

    /// One system call for a link that parts: what comes is for nobody. `None` when there is no more to read for now.
    #[cold]
    fn read_on(&mut self, key: usize, scratch: &mut [u8]) -> Option<usize> {
        let link = self.table.get_mut(key)?;
        self.calls.reads += 1;
        match link.stream.read(scratch) {
            Ok(came) if came > 0 => {
                link.readable = came == scratch.len() || link.ending;
                Some(came)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Some(0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                link.readable = false;
                None
            }
            Ok(_) | Err(_) => {
                self.remove_link(key);
                None
            }
        }
    }

    /// Whether any link is still parting.
    pub(super) fn is_parting(&self) -> bool {
        self.partings > 0
    }

    /// Closes those that take too long to part.
    pub(super) fn keep_parting(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.parting.front()
            && (at <= now || self.partings == 0)
        {
            self.parting.pop_front();
            let link = self.table.get(key);
            if link.is_some_and(|link| link.parts.is_some_and(|since| since + PARTING <= at)) {
                self.remove_link(key);
            }
        }
    }

    /// The machine is told that it is gone; what it asks for then is left to whoever calls it.
    fn lose(&mut self, key: usize, cut: Cut) {
        if let Some(link) = self.remove_link(key)
            && link.parts.is_none()
        {
            self.keys.remove(&link.id);
            let now = self.clock.recent();
            self.machine.handle_disconnected(now, link.id, cut);
        }
    }

    /// Cuts the links from addresses that this machine has no more, now that it has another: nothing can be sent from
    /// them, and TCP would take a quarter of an hour to say so. While there is no other address they are kept, for
    /// it may be the same again in a moment. What the machine asks for then is left to whoever calls it.
    pub(super) fn cut_stranded(&mut self, stranded: impl Fn(IpAddr) -> bool) {
        let stranded: Vec<usize> = self
            .table
            .iter()
            .filter(|(_, link)| {
                let local = link.stream.local_address().and_then(Result::ok);
                local.is_some_and(|local| stranded(local.ip()))
            })
            .map(|(key, _)| key)
            .collect();
        for key in stranded {
            self.lose(key, Cut::Unreachable);
        }
    }

    fn remove_link(&mut self, key: usize) -> Option<Link> {
        let link = self.table.try_remove(key)?;
        let blocked = !link.writable && !link.dialling;
        self.blocked = self.blocked.saturating_sub(usize::from(blocked));
        if link.parts.is_some() {
            self.partings -= 1;
        }
        Some(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_source() {
        assert_eq!(Source::of(WAKE), None);
        for source in [
            Source::Datagrams,
            Source::Listener(0),
            Source::Link(0),
            Source::Listener(7),
            Source::Link(7),
            Source::Aside(0),
            Source::Aside(7),
        ] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
