//! What waits to be sent: few slices, each octet copied at most once.

use alloc::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::wire::zmtp::{Command, FrameHeader, FrameKind};

/// A body of at most this many octets is copied behind its header: 1 KiB. So a hundred small messages are one slice,
/// and one system call takes them all; a copy of that size costs about as much as counting a reference up and down.
/// Larger bodies are shared: a message to many peers is in memory once.
const COPIED_UP_TO: usize = 1 << 10;

/// The octets that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What was copied: headers, small bodies, commands. The sum of all `Run::Copied`.
    copied: BytesMut,
    /// In the order of the wire. No run is of 0 octets.
    runs: VecDeque<Run>,
    /// Octets in `runs`.
    octets: usize,
    /// Octets that were sent since the beginning.
    sent: u64,
    /// Where, counted since the beginning, each message that is not wholly sent ends.
    ends: VecDeque<u64>,
}

#[derive(Debug)]
enum Run {
    /// The next so many octets of `copied`.
    Copied(usize),
    Shared(Bytes),
}

impl Outbox {
    /// Appends octets as they are.
    pub(super) fn push_octets(&mut self, octets: &[u8]) {
        self.copied.put_slice(octets);
        self.note_copied(octets.len());
    }

    /// Appends a frame.
    #[inline]
    pub(super) fn push_frame(&mut self, kind: FrameKind, body: &Bytes) {
        if body.len() <= COPIED_UP_TO {
            self.push_copied(kind, body);
        } else {
            self.push_header(FrameHeader::of(kind, body));
            self.octets += body.len();
            self.runs.push_back(Run::Shared(body.clone()));
        }
    }

    /// Appends a frame whose body is copied, however large it is.
    #[inline]
    pub(super) fn push_copied(&mut self, kind: FrameKind, body: &[u8]) {
        let header = FrameHeader::of(kind, body);
        self.copied.reserve(header.encoded_len() + body.len());
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

    fn note_copied(&mut self, octets: usize) {
        self.octets += octets;
        match self.runs.back_mut() {
            Some(Run::Copied(run)) => *run += octets,
            _ => self.runs.push_back(Run::Copied(octets)),
        }
    }

    /// What was appended up to here is a message.
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
        let mut copied: &[u8] = &self.copied;
        self.runs.iter().map(move |run| match run {
            Run::Copied(octets) => {
                let (slice, rest) = copied.split_at_checked(*octets).unwrap_or((copied, &[]));
                copied = rest;
                slice
            }
            Run::Shared(octets) => octets,
        })
    }

    /// The first `octets` octets were sent. More than there are counts as all.
    pub(super) fn remove(&mut self, octets: usize) {
        let mut left = octets.min(self.octets);
        self.octets -= left;
        self.sent = self.sent.wrapping_add(crate::wire::primitive::wide(left));
        while left > 0
            && let Some(run) = self.runs.front_mut()
        {
            let len = match run {
                Run::Copied(len) => *len,
                Run::Shared(octets) => octets.len(),
            };
            let taken = left.min(len);
            left -= taken;
            match run {
                Run::Copied(len) => {
                    *len -= taken;
                    self.copied.advance(taken);
                }
                Run::Shared(octets) => octets.advance(taken),
            }
            if taken == len {
                self.runs.pop_front();
            }
        }
        while self.ends.front().is_some_and(|end| *end <= self.sent) {
            self.ends.pop_front();
        }
        if self.octets == 0 {
            self.clear();
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
