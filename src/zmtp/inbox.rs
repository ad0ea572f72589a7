//! From octets to frames, however the octets were cut.

use bytes::buf::Limit;
use bytes::{BufMut, BytesMut};

use super::Error;
use crate::wire::Body;
use crate::wire::zmtp::{Decoded, FrameHeader, FrameKind};

/// What is reserved at once for a frame under way: 4 MiB. Beyond, memory grows by doubling, so that a length that a
/// peer only claims costs us at most this, and what it really sends costs at most twice as much. (Of what is reserved
/// and not written, an operating system provides nothing.)
// ZMTP-63
const RESERVED_AT_ONCE: usize = 4 << 20;

/// What a frame must lack for its buffer to be lent: 8 KiB. For less, a copy out of the buffer that all connections
/// share is cheaper than reading up to the end of the frame only.
const LENT_FROM: usize = 8 << 10;

/// A frame that is there as a whole.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: FrameKind,
    pub(super) body: Body<'a>,
}

/// The frame under way, if any.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    header: PartialHeader,
    body: Option<PartialBody>,
}

/// The octets of a header that is not whole yet.
#[derive(Debug, Default)]
struct PartialHeader {
    octets: [u8; FrameHeader::LONGEST],
    /// Less than `LONGEST`.
    len: usize,
}

/// A body that is not whole yet: `buffer.len() < octets`, unless an adapter appended to it just now.
#[derive(Debug)]
struct PartialBody {
    kind: FrameKind,
    octets: usize,
    buffer: BytesMut,
    /// `buffer.len()` when we last looked.
    seen: usize,
}

impl PartialBody {
    fn lacking(&self) -> usize {
        self.octets.saturating_sub(self.buffer.len())
    }
}

/// What an adapter appended to a lent buffer.
#[derive(Debug)]
pub(super) struct Filled {
    /// Whether it appended anything.
    pub(super) any: bool,
    /// The frame, when it is whole now.
    pub(super) frame: Option<Frame<'static>>,
    /// What was appended beyond the frame, though no adapter should.
    pub(super) surplus: BytesMut,
}

impl Inbox {
    /// Takes octets off `input` up to the end of a frame, or all of them when there is no end. `admit` says whether a
    /// frame with this header may come, and its size.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        admit: impl FnOnce(FrameHeader) -> Result<usize, Error>,
    ) -> Result<Option<Frame<'a>>, Error> {
        if self.body.is_some() {
            return Ok(self.fill(input));
        }
        let Some(header) = self.header.next(input)? else {
            return Ok(None);
        };
        // ZMTP-60
        let octets = admit(header)?;
        let kind = header.kind();
        if let Some((body, rest)) = input.split_at_checked(octets) {
            *input = rest;
            let body = Body::Borrowed(body);
            return Ok(Some(Frame { kind, body }));
        }
        let mut buffer = BytesMut::with_capacity(octets.min(RESERVED_AT_ONCE));
        buffer.extend_from_slice(input);
        *input = &[];
        self.body = Some(PartialBody {
            kind,
            octets,
            seen: buffer.len(),
            buffer,
        });
        Ok(None)
    }

    /// Moves what the body lacks out of `input`.
    fn fill<'a>(&mut self, input: &mut &'a [u8]) -> Option<Frame<'a>> {
        let partial = self.body.as_mut()?;
        let (octets, rest) = input
            .split_at_checked(partial.lacking())
            .unwrap_or((input, &[]));
        partial.buffer.extend_from_slice(octets);
        *input = rest;
        self.filled().frame
    }

    /// The buffer of a large frame under way.
    pub(super) fn buffer(&mut self) -> Option<Limit<&mut BytesMut>> {
        let partial = self.body.as_mut()?;
        let lacking = partial.lacking();
        if lacking < LENT_FROM {
            return None;
        }
        let buffer = &mut partial.buffer;
        if buffer.capacity() - buffer.len() < LENT_FROM {
            buffer.reserve(lacking.min(buffer.len().max(RESERVED_AT_ONCE)));
        }
        let room = buffer.capacity() - buffer.len();
        Some(buffer.limit(lacking.min(room)))
    }

    /// Looks at what was appended to the body under way.
    pub(super) fn filled(&mut self) -> Filled {
        let mut filled = Filled {
            any: false,
            frame: None,
            surplus: BytesMut::new(),
        };
        let Some(partial) = &mut self.body else {
            return filled;
        };
        filled.any = partial.buffer.len() > partial.seen;
        partial.seen = partial.buffer.len();
        if partial.lacking() > 0 {
            return filled;
        }
        if let Some(mut partial) = self.body.take() {
            if partial.buffer.len() > partial.octets {
                // Splitting makes the buffer a shared one, at the cost of an allocation.
                filled.surplus = partial.buffer.split_off(partial.octets);
            }
            filled.frame = Some(Frame {
                kind: partial.kind,
                body: Body::Owned(partial.buffer.freeze()),
            });
        }
        filled
    }

    /// How many octets the header or body under way lacks.
    pub(super) fn lacking(&self) -> usize {
        match &self.body {
            Some(body) => body.lacking(),
            None => self.header.lacking(),
        }
    }

    /// The octets of the frame under way that are there.
    pub(super) fn octets(&self) -> usize {
        self.header.len + self.body.as_ref().map_or(0, |body| body.buffer.len())
    }

    /// Whether no frame is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.header.len == 0 && self.body.is_none()
    }
}

impl PartialHeader {
    fn lacking(&self) -> usize {
        match FrameHeader::decode(self.octets.get(..self.len).unwrap_or_default()) {
            Ok(Decoded::Partial { lacking }) => lacking,
            // What is there is not whole, and not wrong: it was looked at when it came.
            Ok(Decoded::Complete { .. }) | Err(_) => 1,
        }
    }

    #[inline]
    fn next(&mut self, input: &mut &[u8]) -> Result<Option<FrameHeader>, Error> {
        if self.len > 0 {
            return self.join(input);
        }
        match FrameHeader::decode(input)? {
            Decoded::Complete { value, octets } => {
                *input = input.get(octets..).unwrap_or_default();
                Ok(Some(value))
            }
            Decoded::Partial { .. } => {
                self.take(input, FrameHeader::LONGEST);
                Ok(None)
            }
        }
    }

    /// A header of which a part came before.
    #[cold]
    // ZMTP-13
    fn join(&mut self, input: &mut &[u8]) -> Result<Option<FrameHeader>, Error> {
        loop {
            let octets = self.octets.get(..self.len).unwrap_or_default();
            match FrameHeader::decode(octets)? {
                Decoded::Complete { value, .. } => {
                    self.len = 0;
                    return Ok(Some(value));
                }
                Decoded::Partial { .. } if input.is_empty() => return Ok(None),
                Decoded::Partial { lacking } => self.take(input, lacking),
            }
        }
    }

    /// Moves up to `most` octets out of `input`.
    fn take(&mut self, input: &mut &[u8], most: usize) {
        let room = self.octets.get_mut(self.len..).unwrap_or_default();
        let n = most.min(room.len()).min(input.len());
        if let (Some(room), Some((octets, rest))) = (room.get_mut(..n), input.split_at_checked(n)) {
            room.copy_from_slice(octets);
            self.len += n;
            *input = rest;
        }
    }
}
