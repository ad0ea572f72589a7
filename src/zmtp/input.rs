//! Octets that came together, on their way to frames.

use bytes::Bytes;

use crate::wire::{Body, Frames};

/// What is copied at once for the small frames in it: 2 KiB. An allocation costs more than all else that is done with a small
/// frame; shared by some twenty it costs little, and who keeps one of them keeps no more than this in memory.
const RUN: usize = 2 << 10;

/// A body from this size on gets memory of its own.
const ALONE_FROM: usize = RUN / 4;

/// With less than this behind it a small body is the last but few, and gets memory of its own as well: a copy that is shared
/// costs two allocations.
const FEW: usize = 256;

/// Octets that came together; frames are taken off their beginning.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    whole: &'a [u8],
    /// What is left of them.
    pub(super) rest: &'a [u8],
    /// A copy of some of them, shared by the frames that lie in it.
    run: Bytes,
    /// Where in `whole` the run begins.
    begins: usize,
    /// The last body was large: what is between large ones is not worth a run.
    after_large: bool,
}

impl<'a> Input<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self {
            whole: octets,
            rest: octets,
            run: Bytes::new(),
            begins: 0,
            after_large: false,
        }
    }

    /// Whether all was taken.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Memory for a body that was just taken off: it ends where the rest begins.
    #[inline]
    pub(super) fn own(&mut self, body: Body<'_>) -> Bytes {
        let body = match body {
            Body::Borrowed(body) => body,
            Body::Owned(body) => return body,
        };
        let large = body.len() >= ALONE_FROM;
        let after_large = core::mem::replace(&mut self.after_large, large);
        if large {
            return Bytes::copy_from_slice(body);
        }
        let begin = self.whole.len() - self.rest.len() - body.len();
        let at = begin - self.begins;
        if at + body.len() <= self.run.len() {
            return self.run.slice(at..at + body.len());
        }
        if body.is_empty() || after_large || self.rest.len() < FEW {
            return Bytes::copy_from_slice(body);
        }
        let ahead = self.whole.get(begin..).unwrap_or_default();
        self.run = Bytes::copy_from_slice(ahead.get(..RUN).unwrap_or(ahead));
        self.begins = begin;
        self.run.slice(..body.len())
    }
}

/// A whole message: its first frame, and the others.
///
/// The first one is mostly read and forgotten, so that it is not copied before somebody wants to keep it; and what is kept of
/// it may be kept for long, so that it never shares memory with others.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) head: Body<'a>,
    pub(crate) rest: Frames,
}

impl Message<'_> {
    /// The same as [`into_frames`](Self::into_frames); a first frame that is the only one was the last to be taken off the input, and
    /// may share memory with others.
    #[inline]
    pub(super) fn into_shared(self, input: &mut Input<'_>) -> Frames {
        if self.rest.is_empty() {
            return Frames::from(input.own(self.head));
        }
        self.into_frames()
    }

    pub(super) fn into_frames(self) -> Frames {
        let head = self.head.into_bytes();
        if self.rest.is_empty() {
            return Frames::from(head);
        }
        let mut frames = self.rest;
        frames.push_front(head);
        frames
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Bodies of any size, with anything between them, are what they were.
        #[test]
        fn what_is_owned_is_what_came(pieces in prop::collection::vec((0..12_usize, 0..700_usize), 0..40)) {
            let octets: Vec<u8> = (0..=u8::MAX).cycle().take(pieces.iter().map(|(skip, len)| skip + len).sum()).collect();
            let mut input = Input::new(&octets);
            let mut owned = Vec::new();
            let mut expected = Vec::new();
            for (skip, len) in pieces {
                let (body, rest) = input.rest[skip..].split_at(len);
                input.rest = rest;
                owned.push(input.own(Body::Borrowed(body)));
                expected.push(body);
            }
            prop_assert_eq!(owned, expected);
        }
    }

    #[test]
    fn small_ones_share_memory_and_others_have_their_own() {
        let octets = [7; 10_000];
        let mut input = Input::new(&octets);
        let mut take = |len: usize| {
            let (body, rest) = input.rest.split_at(len);
            input.rest = rest;
            input.own(Body::Borrowed(body))
        };
        let after = |body: &Bytes| body.as_ptr().wrapping_add(body.len());
        let (first, second) = (take(100), take(100));
        assert_eq!(after(&first), second.as_ptr());
        let large = take(ALONE_FROM);
        assert_ne!(after(&second), large.as_ptr());
        // It lies in the run.
        let third = take(100);
        assert_eq!(after(&second).wrapping_add(ALONE_FROM), third.as_ptr());
        // Beyond it, and between large ones.
        let mut between = Vec::new();
        for _ in 0..8 {
            take(ALONE_FROM);
            between.push(take(100));
        }
        let [.., last_but_one, last] = between.as_slice() else {
            unreachable!("there are eight");
        };
        assert_ne!(after(last_but_one).wrapping_add(ALONE_FROM), last.as_ptr());
        // Small ones again.
        let (first, second) = (take(100), take(100));
        assert_eq!(after(&first), second.as_ptr());
    }
}
