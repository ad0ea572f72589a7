//! What waits to be sent: few slices, each octet copied at most once.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Buf, BufMut, Bytes};

use crate::queue::Queue;
use crate::wire::zmtp::{Command, FrameHeader, FrameKind};

/// A body of at most this many octets is copied behind its header: 1 KiB. So a hundred small messages are one slice,
/// and one system call takes them all; a copy of that size costs about as much as counting a reference up and down.
/// Larger bodies are shared: a message to many peers is in memory once.
const COPIED_UP_TO: usize = 1 << 10;

/// A body that is made, since it is sealed, is made behind its header up to this size: 4 KiB. That it may be moved with what is
/// there once more is cheaper than memory of its own.
const MADE_UP_TO: usize = 4 << 10;

/// Octets that were sent stay in front of those that were not until there are so many of them and as many as of those:
/// moving the rest costs no more than it cost to put it there.
const MOVED_FROM: usize = 1 << 10;

/// More than this is not kept: 64 KiB.
const MOST_SPARE: usize = 64 << 10;

/// What is allocated at least when something is copied: 256 octets, for some small messages.
const LEAST: usize = 256;

/// The octets that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What was copied: headers, small bodies, commands. The first `gone` octets were sent.
    copied: Vec<u8>,
    gone: usize,
    /// Bodies that are shared, in the order of the wire.
    // ZMTP-41
    shared: VecDeque<Shared>,
    /// Octets of `copied` that come behind the last of `shared`.
    behind: usize,
    /// Octets that wait, of both kinds.
    octets: usize,
    /// Octets that were sent since the beginning.
    sent: u64,
    /// Where, counted since the beginning, each message that is not wholly sent ends.
    ends: Queue<u64>,
}

/// A large body. It has octets: none is empty.
#[derive(Debug)]
struct Shared {
    /// Octets of `copied` between it and the one before it.
    before: usize,
    body: Bytes,
}

impl Outbox {
    /// Appends octets as they are.
    pub(super) fn push_octets(&mut self, octets: &[u8]) {
        self.copied.put_slice(octets);
        self.note_copied(octets.len());
    }

    /// Makes room for the frames of a message at once, and not for one after the other.
    #[inline]
    pub(super) fn reserve(&mut self, frames: &[Bytes], head: usize) {
        let small = frames.iter().filter(|body| body.len() <= COPIED_UP_TO);
        let bodies: usize = small.map(Bytes::len).sum();
        // Larger ones need room for their headers only.
        let headers = FrameHeader::LONGEST * frames.len();
        self.make_room(head + headers + bodies);
    }

    /// Makes room for so many octets that are to be copied.
    #[inline]
    fn make_room(&mut self, octets: usize) {
        // Few messages come alone.
        let least = if self.copied.capacity() == 0 {
            LEAST
        } else {
            0
        };
        self.copied.reserve(octets.max(least));
    }

    /// Appends a frame.
    #[inline]
    pub(super) fn push_frame(&mut self, kind: FrameKind, body: &Bytes) {
        if body.len() <= COPIED_UP_TO {
            self.push_copied(kind, body);
        } else {
            self.push_shared(kind, body.clone());
        }
    }

    /// Appends a frame whose body, which has octets, is shared.
    fn push_shared(&mut self, kind: FrameKind, body: Bytes) {
        self.push_header(FrameHeader::of(kind, &body));
        self.octets += body.len();
        self.shared.push_back(Shared {
            before: core::mem::take(&mut self.behind),
            body,
        });
    }

    /// Appends a frame whose body is made for this connection: `make` appends it, `octets` octets, and says whether it did. It is
    /// made where other small ones are, or in memory of its own, and copied from neither.
    pub(super) fn push_made(
        &mut self,
        kind: FrameKind,
        octets: usize,
        make: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        if octets > MADE_UP_TO {
            let mut body = Vec::with_capacity(octets);
            if make(&mut body) {
                self.push_shared(kind, body.into());
            }
            return;
        }
        self.make_room(FrameHeader::LONGEST + octets);
        let before = self.copied.len();
        FrameHeader::sized(kind, octets).encode(&mut self.copied);
        if make(&mut self.copied) {
            self.note_copied(self.copied.len() - before);
        } else {
            self.copied.truncate(before);
        }
    }

    /// Appends a frame whose body is copied, however large it is.
    #[inline]
    pub(super) fn push_copied(&mut self, kind: FrameKind, body: &[u8]) {
        let header = FrameHeader::of(kind, body);
        header.encode(&mut self.copied);
        self.copied.put_slice(body);
        self.note_copied(header.encoded_len() + body.len());
    }

    /// Appends a command.
    pub(super) fn push_command(&mut self, command: &Command) {
        let octets = command.encoded_len();
        self.push_header(FrameHeader::sized(FrameKind::Command, octets));
        command.encode(&mut self.copied);
        self.note_copied(octets);
    }

    fn push_header(&mut self, header: FrameHeader) {
        header.encode(&mut self.copied);
        self.note_copied(header.encoded_len());
    }

    #[inline]
    fn note_copied(&mut self, octets: usize) {
        self.octets += octets;
        self.behind += octets;
    }

    /// What was appended up to here is a message.
    #[inline]
    pub(super) fn end_message(&mut self) {
        self.ends.push_back(self.end());
    }

    /// Where what is appended next begins, counted since the beginning.
    pub(super) fn end(&self) -> u64 {
        self.sent
            .wrapping_add(crate::wire::primitive::wide(self.octets))
    }

    /// Octets that were sent since the beginning.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// What is to be sent, in order.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut copied = self.copied.get(self.gone..).unwrap_or_default();
        let mut next = move |octets: usize| {
            let (slice, rest) = copied.split_at_checked(octets).unwrap_or((copied, &[]));
            copied = rest;
            slice
        };
        let last = self.behind;
        let shared = self.shared.iter();
        let mut pending: Option<&[u8]> = None;
        let mut shared = shared.map(Some).chain(core::iter::once(None));
        core::iter::from_fn(move || {
            if let Some(body) = pending.take() {
                return Some(body);
            }
            match shared.next()? {
                Some(Shared { before, body }) => {
                    pending = Some(body);
                    Some(next(*before))
                }
                None => Some(next(last)),
            }
        })
        .filter(|slice| !slice.is_empty())
    }

    /// Takes memory for what is to be copied, when it has none.
    #[inline]
    pub(super) fn take_memory(&mut self, spare: &mut Vec<u8>) {
        if self.copied.capacity() == 0 {
            core::mem::swap(&mut self.copied, spare);
        }
    }

    /// Gives the memory of what was copied away, if it is more than `spare` has.
    fn give_memory(&mut self, spare: &mut Vec<u8>) {
        let (mine, theirs) = (self.copied.capacity(), spare.capacity());
        if mine <= MOST_SPARE && theirs < mine {
            core::mem::swap(&mut self.copied, spare);
            spare.clear();
        }
    }

    /// The first `octets` octets were sent. More than there are counts as all; then the memory for them is put into `spare`.
    pub(super) fn remove(&mut self, octets: usize, spare: &mut Vec<u8>) {
        let mut left = octets.min(self.octets);
        self.octets -= left;
        self.sent = self.sent.wrapping_add(crate::wire::primitive::wide(left));
        while self.ends.front().is_some_and(|end| *end <= self.sent) {
            self.ends.pop_front();
        }
        if self.octets == 0 {
            self.give_memory(spare);
            return self.clear();
        }
        while let Some(Shared { before, body }) = self.shared.front_mut() {
            let copied = left.min(*before);
            *before -= copied;
            self.gone += copied;
            left -= copied;
            let taken = left.min(body.len());
            body.advance(taken);
            left -= taken;
            if !body.is_empty() {
                return self.tidy();
            }
            self.shared.pop_front();
        }
        let copied = left.min(self.behind);
        self.behind -= copied;
        self.gone += copied;
        self.tidy();
    }

    /// Gives the room of what was sent to what comes.
    fn tidy(&mut self) {
        if self.gone >= MOVED_FROM && self.gone >= self.copied.len() / 2 {
            self.copied.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// Forgets what was not sent, and the memory for it: a quiet connection owns none.
    pub(super) fn clear(&mut self) {
        *self = Self {
            sent: self.sent,
            ..Self::default()
        };
    }

    /// Octets that wait.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Messages that are not wholly sent.
    pub(super) fn messages(&self) -> usize {
        self.ends.len()
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
