//! What REQ, REP and ROUTER need of their peers, beyond what all patterns do.

use super::Event;
use super::peers::Peers;
use super::pipe::PipeId;
use crate::wire::Frames;
use crate::{Bytes, Instant};

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The link that its pipe has now.
    Here,
    /// One that has ended, or is about to.
    Gone,
}

impl Peers {
    /// A message that was taken, or handed over, is of no use.
    #[cold]
    pub(super) fn discarded(&mut self) {
        self.counters.messages_received -= 1;
        self.counters.messages_discarded += 1;
    }

    /// The next message in fair order of those who have room for an answer, or are gone and get none. The others are passed over until
    /// they have room again.
    pub(super) fn next_to_answer(&mut self, now: Instant) -> Option<(PipeId, Source, Frames)> {
        loop {
            let &pipe = self.fair.front()?;
            if self.is_stuck(pipe) {
                // SOCK-55
                self.fair.pop_front();
                if let Some(entry) = self.pipes.get_mut(pipe.0) {
                    entry.in_fair = false;
                }
                continue;
            }
            let entry = self.pipes.get(pipe.0);
            let source = match entry {
                Some(entry) if entry.ready && entry.leftover.is_empty() => Source::Here,
                _ => Source::Gone,
            };
            if let Some(message) = self.take(now, pipe) {
                return Some((pipe, source, message));
            }
        }
    }

    /// Whether [`next_to_answer`](Self::next_to_answer) has a message.
    pub(super) fn has_next_to_answer(&self) -> bool {
        self.fair.iter().any(|pipe| !self.is_stuck(*pipe))
    }

    /// Whether somebody who is there has no room for an answer.
    #[inline]
    fn is_stuck(&self, pipe: PipeId) -> bool {
        let pipe = self.pipes.get(pipe.0);
        pipe.is_some_and(|pipe| pipe.ready && !pipe.has_room(&self.config))
    }

    /// A pipe that was [passed over](Self::next_to_answer) may have room again.
    pub(super) fn note_unstuck(&mut self, pipe: PipeId) {
        if let Some(entry) = self.pipes.get_mut(pipe.0)
            && !entry.in_fair
            && entry.pending_messages() > 0
            && entry.has_room(&self.config)
        {
            entry.in_fair = true;
            self.fair.push_back(pipe);
        }
    }

    /// Queues a message as [`push`](Self::push) does, whether there is room or not: for an answer, when there was room for it when the
    /// question was taken. `false`: the peer is not ready, and nothing changed.
    pub(super) fn push_anyway(&mut self, pipe: PipeId, envelope: &[Bytes], body: &[Bytes]) -> bool {
        let Some(entry) = self.pipes.get_mut(pipe.0).filter(|entry| entry.ready) else {
            return false;
        };
        entry.send(envelope, body, &mut self.spare, &mut self.actions);
        self.counters.messages_sent += 1;
        true
    }

    /// Whether it is dialled, and has a queue also while there is no link.
    pub(super) fn waits_for_link(&self, pipe: PipeId) -> bool {
        self.pipes.get(pipe.0).is_some_and(|pipe| pipe.patient)
    }

    /// Messages that came over links that it had before the one that it has now.
    pub(super) fn pending_of_past(&self, pipe: PipeId) -> usize {
        self.pipes.get(pipe.0).map_or(0, |pipe| pipe.leftover.len())
    }

    /// Drops what waits for a peer and was not handed to a link: it is lost, and that is told.
    pub(super) fn lose_queue(&mut self, pipe: PipeId) {
        let lost = self.discard(pipe);
        if lost == 0 {
            return;
        }
        self.counters.messages_lost += crate::wire::primitive::wide(lost);
        if let Some(entry) = self.pipes.get(pipe.0) {
            let remote = entry.remote.clone();
            self.tell(Event::GivenUp { remote, lost });
        }
    }
}
