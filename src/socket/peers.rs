//! All peers of a socket, as its pattern sees them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::ops::Bound;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::changes::Changes;
use super::pipe::{Pipe, PipeId};
use super::{Action, Config, ConnectId, Counters, Endpoint, Event, Kind, ListenerId, Timer, Why};
use crate::by_link::ByLink;
use crate::net::LinkId;
#[cfg(feature = "curve")]
use crate::seeds::Seeds;
use crate::table;
use crate::timers::Timers;
use crate::wire::Frames;
use crate::wire::zmtp::Identity;
use crate::{Bytes, Instant};

/// The most events that wait for a monitor: some for each of many links, and little memory when nobody looks.
pub(super) const EVENTS: usize = 1_024;

/// All peers of a socket: links, queues, and the two rings.
///
/// What a pattern may call is in this file; how links begin and end is in `connecting.rs`, what passes through them in `passing.rs`.
#[derive(Debug)]
pub(super) struct Peers {
    pub(super) config: Config,
    pub(super) kind: Kind,
    pub(super) pipes: ByLink<Box<Pipe>>,
    /// Those that are ready, in the order in which they were made.
    pub(super) ready: BTreeSet<PipeId>,
    /// Those that have messages for the application, whose turn is next first.
    pub(super) fair: VecDeque<PipeId>,
    /// Those that take messages, whose turn is next first. Only PUSH, DEALER and REQ have it.
    pub(super) balance: VecDeque<PipeId>,
    /// Those that were ready and are so no more: the pattern is to be told.
    pub(super) gone: VecDeque<PipeId>,
    /// Those that are not read because the pattern takes nothing.
    pub(super) held: BTreeSet<PipeId>,
    pub(super) listeners: BTreeMap<ListenerId, Listener>,
    pub(super) connects: BTreeMap<ConnectId, PipeId>,
    /// Which pipe a link belongs to, unless the two have the same name.
    pub(super) redialled: BTreeMap<LinkId, PipeId>,
    /// Pipes that others made, and how many of them are not through with their handshake.
    pub(super) accepted: usize,
    pub(super) unready: usize,
    pub(super) actions: VecDeque<Action>,
    pub(super) events: VecDeque<Event>,
    pub(super) timers: Timers<Timer>,
    pub(super) counters: Counters,
    pub(super) next_link: u64,
    pub(super) next_listener: u32,
    pub(super) next_connect: u32,
    /// For jitter and for what patterns make up.
    random: ChaCha20Rng,
    /// For the keys of connections.
    #[cfg(feature = "curve")]
    pub(super) seeds: Seeds,
    /// What the last link that sent all it had needed for it; the next one that has something to send takes it.
    pub(super) spare: Vec<u8>,
    /// In which messages of the last link that was read found room; the next one that is read takes it.
    pub(super) memory: VecDeque<Frames>,
    /// The socket is being closed.
    pub(super) closing: bool,
    /// The time for that is over: nobody is dialled any more.
    pub(super) hard: bool,
    /// Everything is closed.
    pub(super) closed: bool,
    /// Messages that could not be sent before that.
    pub(super) lost_at_close: usize,
    /// The pattern takes messages when they come: they never wait.
    pub(super) takes_at_once: bool,
}

/// Something that listens.
#[derive(Debug)]
pub(super) struct Listener {
    /// Where it is to be, and, when it is up, where it is.
    pub(super) endpoint: Endpoint,
    pub(super) is_up: bool,
}

impl Peers {
    pub(super) fn new(seed: [u8; 32], kind: Kind, config: Config, takes_at_once: bool) -> Self {
        #[cfg(feature = "curve")]
        let (seed, seeds) = Seeds::apart(seed);
        Self {
            config,
            kind,
            pipes: ByLink::new(),
            ready: BTreeSet::new(),
            fair: VecDeque::new(),
            balance: VecDeque::new(),
            gone: VecDeque::new(),
            held: BTreeSet::new(),
            listeners: BTreeMap::new(),
            connects: BTreeMap::new(),
            redialled: BTreeMap::new(),
            accepted: 0,
            unready: 0,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            timers: Timers::new(table::no_secret()),
            counters: Counters::default(),
            next_link: 0,
            next_listener: 0,
            next_connect: 0,
            random: ChaCha20Rng::from_seed(seed),
            #[cfg(feature = "curve")]
            seeds,
            spare: Vec::new(),
            memory: VecDeque::new(),
            closing: false,
            hard: false,
            closed: false,
            lost_at_close: 0,
            takes_at_once,
        }
    }

    // ---- who is there

    /// What the embedder decided.
    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// Those that are ready, in the order in which they were made: the same in every run.
    pub(super) fn ready(&self) -> impl Iterator<Item = PipeId> {
        self.ready.iter().copied()
    }

    /// Whether it is ready: its handshake is done and its link has not ended.
    pub(super) fn is_ready(&self, pipe: PipeId) -> bool {
        self.pipes.get(pipe.0).is_some_and(|pipe| pipe.ready)
    }

    /// Those that were dialled and are not disconnected, ready or not, in the order in which they were made.
    pub(super) fn dialled(&self) -> impl Iterator<Item = PipeId> {
        self.connects.values().copied()
    }

    /// What the last peer on it calls itself; empty when it does not. It is still known while its messages are taken.
    pub(super) fn identity(&self, pipe: PipeId) -> Identity {
        let pipe = self.pipes.get(pipe.0);
        pipe.map_or_else(Identity::default, |pipe| pipe.identity.clone())
    }

    // ---- out

    /// Whether one more message can be queued for it: it is ready, or was dialled and may have a queue before it is, and the queue
    /// has room.
    #[inline]
    pub(super) fn has_room(&self, pipe: PipeId) -> bool {
        let pipe = self.pipes.get(pipe.0);
        pipe.is_some_and(|pipe| pipe.has_room(&self.config))
    }

    /// Queues a message for one peer: the frames of `envelope`, then those of `body`, which are at least one together. `false`: it has
    /// no [room](Self::has_room), and nothing changed.
    #[inline]
    pub(super) fn push(&mut self, pipe: PipeId, envelope: &[Bytes], body: &[Bytes]) -> bool {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return false;
        };
        if !entry.has_room(&self.config) {
            return false;
        }
        entry.send(envelope, body, &mut self.spare, &mut self.actions);
        self.counters.messages_sent += 1;
        true
    }

    /// Queues a message for the next peer in turn that has room; whose turn it was.
    // SOCK-14
    #[inline]
    pub(super) fn balance(&mut self, envelope: &[Bytes], body: &[Bytes]) -> Option<PipeId> {
        while let Some(&pipe) = self.balance.front() {
            let Some(entry) = self.pipes.get_mut(pipe.0) else {
                self.balance.pop_front();
                continue;
            };
            let had_room = entry.has_room(&self.config);
            if had_room {
                entry.send(envelope, body, &mut self.spare, &mut self.actions);
                self.counters.messages_sent += 1;
                if entry.has_room(&self.config) {
                    // It is the last one's turn again after all others.
                    if self.balance.len() > 1 {
                        self.balance.rotate_left(1);
                    }
                    return Some(pipe);
                }
            }
            entry.in_balance = false;
            self.balance.pop_front();
            if had_room {
                return Some(pipe);
            }
        }
        None
    }

    /// Whether [`balance`](Self::balance) would find somebody.
    #[inline]
    pub(super) fn can_balance(&self) -> bool {
        // Mostly the first. What else a link has to say, such as the end of a handshake, may have filled one since its turn.
        self.balance.iter().any(|pipe| self.has_room(*pipe))
    }

    /// Messages for it that are not handed to a link yet: a cut does not lose them.
    pub(super) fn queued(&self, pipe: PipeId) -> usize {
        self.pipes.get(pipe.0).map_or(0, |pipe| pipe.queue.len())
    }

    /// Drops those messages: how many they were.
    pub(super) fn discard(&mut self, pipe: PipeId) -> usize {
        let dropped = self.pipes.get_mut(pipe.0).map_or(0, |pipe| pipe.discard());
        self.note_room(pipe);
        dropped
    }

    /// Queues a message for a subscriber; one whose queue is full misses it. It is told how many, [`Event::Missed`], when there is room
    /// again.
    #[inline]
    pub(super) fn publish(&mut self, pipe: PipeId, message: &[Bytes]) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        if entry.has_room(&self.config) {
            entry.send(&[], message, &mut self.spare, &mut self.actions);
            self.counters.messages_sent += 1;
        } else {
            // SOCK-91
            entry.missed += 1;
            entry.missed_untold += 1;
            self.counters.messages_dropped += 1;
        }
    }

    /// The same for all that are ready.
    pub(super) fn publish_to_all(&mut self, message: &[Bytes]) {
        let mut next = self.ready.first().copied();
        while let Some(pipe) = next {
            self.publish(pipe, message);
            let behind = (Bound::Excluded(pipe), Bound::Unbounded);
            next = self.ready.range(behind).next().copied();
        }
    }

    /// Changes what a publisher is told that is wanted; it is told as fast as it reads. Nothing when it is not ready.
    pub(super) fn tell_wishes(&mut self, pipe: PipeId, change: impl FnOnce(&mut Changes)) {
        if let Some(entry) = self.pipes.get_mut(pipe.0)
            && entry.ready
        {
            change(entry.wishes.get_or_insert_default());
            entry.refill(&mut self.spare, &mut self.actions);
        }
    }

    /// The same for all that are ready.
    pub(super) fn tell_wish(&mut self, change: impl Fn(&mut Changes)) {
        let mut next = self.ready.first().copied();
        while let Some(pipe) = next {
            self.tell_wishes(pipe, &change);
            let behind = (Bound::Excluded(pipe), Bound::Unbounded);
            next = self.ready.range(behind).next().copied();
        }
    }

    // ---- in

    /// The next message in fair order, and whose it is.
    // SOCK-21
    #[inline]
    pub(super) fn next(&mut self, now: Instant) -> Option<(PipeId, Frames)> {
        loop {
            let &pipe = self.fair.front()?;
            if let Some(message) = self.take(now, pipe) {
                return Some((pipe, message));
            }
        }
    }

    /// Takes all messages of the only peer who has any, if they are of no more than so many octets together; how many they were. What
    /// [`next`](Self::next) gives one by one, for less each.
    pub(super) fn next_all(
        &mut self,
        now: Instant,
        octets: usize,
        into: &mut VecDeque<Frames>,
    ) -> usize {
        if self.fair.len() != 1 {
            return 0;
        }
        let pipe = self.fair.front().copied();
        pipe.map_or(0, |pipe| self.take_all(now, pipe, octets, into))
    }

    /// Whether [`next`](Self::next) has a message.
    #[inline]
    pub(super) fn has_next(&self) -> bool {
        !self.fair.is_empty()
    }

    /// Messages of one peer that the application did not take, also when its link has ended.
    pub(super) fn pending(&self, pipe: PipeId) -> usize {
        let pipe = self.pipes.get(pipe.0);
        pipe.map_or(0, |pipe| pipe.pending_messages())
    }

    // ---- what else a pattern may do

    /// Ends the link of a peer. It is told as `why`; an ERROR with this reason makes C peers stay away. Messages of it that wait are
    /// still given when it is [`Why::Displaced`] or [`Why::Unwanted`]. What was dialled is dialled again after a while. The
    /// pattern is told that it is gone, if it was ready.
    pub(super) fn close(&mut self, now: Instant, pipe: PipeId, why: Why, error: Option<&str>) {
        self.turn_away(now, pipe, why, error);
    }

    /// Ends the link of a peer now, with all that is queued and pending, and dials it anew at once if it was dialled.
    pub(super) fn redial(&mut self, now: Instant, pipe: PipeId) {
        self.cut_and_redial(now, pipe);
    }

    /// Tells a monitor.
    pub(super) fn tell(&mut self, event: Event) {
        // SOCK-32
        if self.events.len() < EVENTS {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }

    /// What is counted.
    pub(super) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// A number nobody can guess.
    pub(super) fn random(&mut self) -> u32 {
        self.random.next_u32()
    }
}
