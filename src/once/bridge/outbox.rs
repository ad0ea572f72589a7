//! What waits for a server or a bridge, apart from rosters and what peers say.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::far::Said;
use crate::once::Which;
use crate::{Frames, Instant, PeerId};

/// How long one whose queue is full is left alone.
const PAUSE: Duration = Duration::from_millis(100);
/// The most messages that wait, besides those that were refused. Honest ones answer what they are asked, and ask little.
const MOST: usize = 4_096;

/// A peer of the remote or of the local node.
pub(super) type Address = (Which, PeerId);

/// One queue for each that something is for.
#[derive(Debug, Default)]
pub(super) struct Outboxes {
    boxes: BTreeMap<Address, Outbox>,
    /// Those that may have something, and are not left alone.
    ready: BTreeSet<Address>,
    /// When those whose queue is full are tried again.
    full: BTreeSet<(Instant, Address)>,
}

#[derive(Debug, Default)]
struct Outbox {
    /// What was refused, which goes first.
    refused: VecDeque<(Frames, Option<Said>)>,
    waiting: VecDeque<Frames>,
    full: Option<Instant>,
}

impl Outboxes {
    /// Something is to be said. `false` when too much waits: then it is dropped.
    pub(super) fn push(&mut self, to: Address, frames: Frames) -> bool {
        let outbox = self.boxes.entry(to).or_default();
        let fits = outbox.waiting.len() < MOST;
        if fits {
            outbox.waiting.push_back(frames);
            self.wake(to);
        }
        fits
    }

    /// There is something for it elsewhere.
    pub(super) fn wake(&mut self, to: Address) {
        if !self.is_full(to) {
            self.ready.insert(to);
        }
    }

    /// The first that may have something.
    pub(super) fn ready(&self) -> Option<Address> {
        self.ready.first().copied()
    }

    /// It has nothing.
    pub(super) fn rest(&mut self, to: Address) {
        self.ready.remove(&to);
    }

    /// The next thing, and who said it when it is a whisper or a shout.
    pub(super) fn pop(&mut self, to: Address) -> Option<(Frames, Option<Said>)> {
        let outbox = self.boxes.get_mut(&to)?;
        let refused = outbox.refused.pop_front();
        refused.or_else(|| Some((outbox.waiting.pop_front()?, None)))
    }

    /// It did not take this now.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        to: Address,
        frames: Frames,
        said: Option<Said>,
    ) {
        // ONCE-102
        let outbox = self.boxes.entry(to).or_default();
        outbox.refused.push_back((frames, said));
        self.ready.remove(&to);
        if outbox.full.is_none() {
            let at = now + PAUSE;
            outbox.full = Some(at);
            self.full.insert((at, to));
        }
    }

    /// Whether something is kept that it did not take.
    pub(super) fn is_full(&self, to: Address) -> bool {
        self.boxes.get(&to).is_some_and(|it| it.full.is_some())
    }

    /// Whether something is kept that it did not take, or that is about to be tried again.
    pub(super) fn holds(&self, to: Address) -> bool {
        self.boxes.get(&to).is_some_and(|it| !it.refused.is_empty())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, to)) = self.full.first().copied().filter(|(at, _)| *at <= now) {
            self.full.remove(&(at, to));
            if let Some(outbox) = self.boxes.get_mut(&to) {
                outbox.full = None;
                self.ready.insert(to);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.full.first().map(|(at, _)| *at)
    }

    /// Whispers and shouts are not for it any more: who had said them.
    pub(super) fn lose(&mut self, to: Address) -> Vec<PeerId> {
        let Some(outbox) = self.boxes.get_mut(&to) else {
            return Vec::new();
        };
        let said = outbox.refused.iter().filter_map(|(_, said)| *said);
        let said = said.map(|said| said.from).collect();
        outbox.refused.retain(|(_, said)| said.is_none());
        said
    }

    /// It is gone.
    pub(super) fn remove(&mut self, to: Address) {
        self.ready.remove(&to);
        if let Some(at) = self.boxes.remove(&to).and_then(|it| it.full) {
            self.full.remove(&(at, to));
        }
    }
}
