//! What passes through links: octets in, messages and wishes out of them, and back.

use alloc::collections::VecDeque;

use super::peers::Peers;
use super::pipe::PipeId;
use super::wish::Wish;
use super::{Action, Event, Kind, Timer, Why};
use crate::net::LinkId;
use crate::wire::{Frames, primitive::wide};
use crate::zmtp::{self, Connection};
use crate::{Bytes, Instant};

/// For so many messages, 144 KiB, there is memory at hand once that many came together. A socket has one such.
const MEMORY: usize = 2_048;

/// What came and is for the pattern.
#[derive(Debug)]
pub(super) enum Came {
    /// The peer takes part.
    Ready,
    /// A message, of a pattern that takes them at once.
    Message(Frames),
    /// The peer wants messages that begin so.
    Subscribe(Bytes),
    /// It takes one such wish back.
    Cancel(Bytes),
}

impl Peers {
    /// The pipe of a link.
    #[inline]
    pub(super) fn pipe_of(&self, link: LinkId) -> Option<PipeId> {
        let has_it = |pipe: PipeId| {
            let entry = self.pipes.get(pipe.0);
            entry.is_some_and(|entry| entry.link == Some(link))
        };
        let same = Some(PipeId(link)).filter(|pipe| has_it(*pipe));
        same.or_else(|| {
            self.redialled
                .get(&link)
                .copied()
                .filter(|pipe| has_it(*pipe))
        })
    }

    /// Takes the next thing off a connection that is for the pattern, and does what is not. `willing`: whether the pattern takes any.
    pub(super) fn pump(&mut self, now: Instant, pipe: PipeId, willing: bool) -> Option<Came> {
        loop {
            let entry = self.pipes.get_mut(pipe.0)?;
            let (link, connection) = (entry.link?, entry.connection.as_mut()?);
            if entry.ending.is_some() {
                return None;
            }
            if connection.next_is_message() && !self.takes_at_once {
                if let Some(error) = connection.error().cloned() {
                    self.fail(now, pipe, error);
                    return None;
                }
                let message = connection.peek_message().filter(|_| self.kind.publishes());
                if message.and_then(|message| Wish::of(message)).is_none() {
                    break;
                }
            }
            if entry.ready && !willing && connection.has_events() && !connection.is_closed() {
                self.held.insert(pipe);
                break;
            }
            match connection.poll_event() {
                Some(zmtp::Event::Ready {
                    version,
                    socket_type,
                    identity,
                    ..
                }) => {
                    let before = core::mem::replace(&mut entry.identity, identity);
                    entry.version = version;
                    entry.socket_type = socket_type;
                    // SOCK-68
                    if self.kind == Kind::Router && (before.is_empty() || before != entry.identity)
                    {
                        self.lose_queue(pipe);
                    }
                    self.make_ready(now, pipe);
                    return Some(Came::Ready);
                }
                Some(zmtp::Event::Authenticate(credentials)) => {
                    let remote = entry.remote.clone();
                    self.actions.push_back(Action::Authenticate {
                        link,
                        credentials,
                        remote,
                    });
                }
                Some(zmtp::Event::Message(message)) => {
                    // SOCK-83
                    if self.kind.publishes()
                        && let Some(wish) = Wish::of(&message)
                    {
                        let prefix = Wish::prefix(&message);
                        match wish {
                            Wish::Subscribe => return Some(Came::Subscribe(prefix)),
                            Wish::Cancel => return Some(Came::Cancel(prefix)),
                            Wish::Malformed => self.counters.messages_discarded += 1,
                        }
                        continue;
                    }
                    self.counters.messages_received += 1;
                    return Some(Came::Message(message));
                }
                Some(zmtp::Event::Subscribe(prefix)) => return Some(Came::Subscribe(prefix)),
                Some(zmtp::Event::Cancel(prefix)) => return Some(Came::Cancel(prefix)),
                Some(zmtp::Event::Closed(error)) => {
                    self.fail(now, pipe, error);
                    return None;
                }
                None => break,
            }
        }
        self.look(now, pipe);
        None
    }

    /// The connection of a pipe that takes octets.
    #[inline]
    pub(super) fn reading(&mut self, pipe: PipeId) -> Option<&mut Connection> {
        let entry = self.pipes.get_mut(pipe.0)?;
        if entry.ending.is_some() {
            return None;
        }
        let connection = entry.connection.as_mut()?;
        entry.at_stake = connection.queued_messages();
        Some(connection)
    }

    /// Octets came over the link of a pipe. Whether it takes any.
    #[inline]
    pub(super) fn receive(&mut self, now: Instant, pipe: PipeId, octets: &[u8]) -> bool {
        let mut memory = core::mem::take(&mut self.memory);
        let connection = self.reading(pipe);
        let takes = connection.is_some();
        if let Some(connection) = connection {
            connection.lend(&mut memory);
            connection.handle_shared(now, octets);
            connection.give_back(&mut memory);
        }
        self.memory = memory;
        takes
    }

    /// The connection of a pipe whose deadline has come.
    pub(super) fn due(&mut self, pipe: PipeId) -> Option<&mut Connection> {
        self.pipes.get_mut(pipe.0)?.deadline = None;
        self.reading(pipe)
    }

    /// A pipe is not read while the pattern takes nothing.
    pub(super) fn hold(&mut self, now: Instant, pipe: PipeId) {
        if self.is_ready(pipe) {
            self.held.insert(pipe);
            self.look(now, pipe);
        }
    }

    /// Looks at what an input left: messages for the application, too many of them, octets to send, a deadline.
    fn look(&mut self, now: Instant, pipe: PipeId) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let messages = entry.pending_messages();
        if messages > 0 && !entry.in_fair {
            entry.in_fair = true;
            self.fair.push_back(pipe);
        }
        let held = !self.held.is_empty() && self.held.contains(&pipe);
        let octets = entry.pending_octets();
        if let Some(link) = entry.link
            && !entry.paused
            && entry.ready
            && (held || !self.config.receive.has_room(messages, octets))
        {
            entry.paused = true;
            if let Some(connection) = &mut entry.connection {
                connection.pause(now);
            }
            self.actions.push_back(Action::Pause { link });
        }
        self.watch(pipe);
    }

    /// Tells the embedder of new octets to send, and keeps the deadline of a connection.
    pub(super) fn watch(&mut self, pipe: PipeId) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        entry.signal(&mut self.actions);
        let (Some(link), Some(connection)) = (entry.link, &entry.connection) else {
            return;
        };
        // A deadline that moved away is looked at when the old one comes.
        if let Some((at, _)) = connection.poll_timeout()
            && entry.deadline.is_none_or(|before| at < before)
        {
            entry.deadline = Some(at);
            self.timers.set(Timer::Connection(link), at);
        }
    }

    /// The handshake is done.
    fn make_ready(&mut self, now: Instant, pipe: PipeId) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        entry.ready = true;
        entry.greeted = true;
        entry.ready_at = Some(now);
        let user_id = entry
            .connection
            .as_ref()
            .and_then(|connection| connection.user_id());
        let event = entry.link.map(|link| Event::Ready {
            link,
            remote: entry.remote.clone(),
            socket_type: entry.socket_type,
            version: entry.version,
            identity: entry.identity.clone(),
            user_id: user_id.cloned(),
        });
        if !entry.is_dialled() {
            self.unready -= 1;
        }
        self.ready.insert(pipe);
        entry.refill(&mut self.spare, &mut self.actions);
        self.counters.peers += 1;
        if let Some(event) = event {
            self.tell(event);
        }
        self.note_room(pipe);
        if self.closing {
            self.begin_close(now, pipe, Why::Unwanted);
        }
    }

    /// Puts a pipe that has room into the ring of those that take messages.
    pub(super) fn note_room(&mut self, pipe: PipeId) {
        let balances = matches!(self.kind, Kind::Push | Kind::Dealer | Kind::Req);
        if let Some(entry) = self.pipes.get_mut(pipe.0)
            && balances
            && !entry.in_balance
            && !self.closing
            && entry.has_room(&self.config)
        {
            entry.in_balance = true;
            self.balance.push_back(pipe);
        }
    }

    /// Takes a pipe that can take no more messages out of the ring.
    pub(super) fn note_no_room(&mut self, pipe: PipeId) {
        if let Some(entry) = self.pipes.get_mut(pipe.0)
            && entry.in_balance
            && !entry.has_room(&self.config)
        {
            entry.in_balance = false;
            self.balance.retain(|other| *other != pipe);
        }
    }

    /// Takes the next message of the pipe whose turn it is; `None`: it has none.
    #[inline]
    pub(super) fn take(&mut self, now: Instant, pipe: PipeId) -> Option<Frames> {
        let entry = self.pipes.get_mut(pipe.0);
        let Some(entry) = entry else {
            self.fair.pop_front();
            return None;
        };
        let message = entry.take();
        if self.kind == Kind::XPub && entry.next_is_wish() {
            // It has its turn again when that is taken, which is before anything else happens.
            self.held.insert(pipe);
            entry.in_fair = false;
            self.fair.pop_front();
        } else if entry.pending_messages() > 0 {
            if self.fair.len() > 1 {
                self.fair.rotate_left(1);
            }
        } else {
            entry.in_fair = false;
            self.fair.pop_front();
        }
        if message.is_some() {
            self.counters.messages_received += 1;
        }
        if entry.paused || entry.link.is_none() {
            self.note_taken(now, pipe);
        }
        message
    }

    /// Takes all messages of the pipe whose turn it is and that alone has one, within so many octets; how many they were.
    pub(super) fn take_all(
        &mut self,
        now: Instant,
        pipe: PipeId,
        octets: usize,
        into: &mut VecDeque<Frames>,
    ) -> usize {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return 0;
        };
        let Some(connection) = &mut entry.connection else {
            return 0;
        };
        if !entry.leftover.is_empty() {
            return 0;
        }
        let messages = connection.take_pending(octets, into);
        if messages == 0 {
            return 0;
        }
        connection.give_back(&mut self.memory);
        // Who never brings so many again is not to cost that much.
        self.memory.shrink_to(MEMORY);
        entry.in_fair = false;
        self.fair.pop_front();
        self.counters.messages_received += wide(messages);
        if entry.paused || entry.link.is_none() {
            self.note_taken(now, pipe);
        }
        messages
    }

    /// A message was taken of a pipe that is not read, or has no link.
    #[cold]
    fn note_taken(&mut self, now: Instant, pipe: PipeId) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let (messages, octets) = (entry.pending_messages(), entry.pending_octets());
        if entry.link.is_none() {
            if messages == 0 {
                self.forget_if_done(pipe);
            }
        } else if self.config.receive.is_low(messages, octets) {
            self.resume(now, pipe);
        }
    }

    /// A link is read again.
    pub(super) fn resume(&mut self, now: Instant, pipe: PipeId) {
        if let Some(entry) = self.pipes.get_mut(pipe.0)
            && entry.paused
            && let (Some(link), Some(connection)) = (entry.link, &mut entry.connection)
        {
            entry.paused = false;
            connection.resume(now);
            self.actions.push_back(Action::Resume { link });
            self.watch(pipe);
        }
    }

    /// Tells how many messages a subscriber missed, when it reads again, or in any case.
    // SOCK-92
    #[cold]
    pub(super) fn tell_missed(&mut self, pipe: PipeId, in_any_case: bool) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let send = self.config.send;
        if let Some(link) = entry.link
            && (in_any_case || send.is_low(entry.queued_messages(), entry.queued_octets()))
        {
            let messages = core::mem::take(&mut entry.missed_untold);
            self.tell(Event::Missed { link, messages });
        }
    }

    /// The network took octets.
    pub(super) fn transmitted(&mut self, now: Instant, pipe: PipeId, octets: usize) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let Some(connection) = &mut entry.connection else {
            return;
        };
        connection.transmitted(octets, &mut self.spare);
        if connection.queued_octets() == 0 {
            entry.signalled = false;
        }
        if !entry.queue.is_empty() || entry.wishes.is_some() {
            entry.refill(&mut self.spare, &mut self.actions);
        }
        if entry.missed_untold > 0 {
            self.tell_missed(pipe, false);
        }
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        if entry.ending.is_some() {
            if entry.queued_octets() == 0 {
                self.end_link(now, pipe, None);
            }
        } else {
            if !entry.in_balance {
                self.note_room(pipe);
            }
            self.note_unstuck(pipe);
        }
    }
}
