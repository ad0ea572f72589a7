//! Frames: flags, size, body.

use bytes::BufMut;

use super::Decoded;
use crate::wire::{Expected, Found, Malformed, primitive::wide};

/// What a frame is.
///
/// ```
/// use atonce::wire::zmtp::{FrameHeader, FrameKind};
///
/// let mut octets = Vec::new();
/// FrameHeader::of(FrameKind::More, b"a").encode(&mut octets);
/// FrameHeader::of(FrameKind::Command, b"b").encode(&mut octets);
/// assert_eq!(octets, [0x01, 1, 0x04, 1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A command; always a single frame. It may stand between the frames of a message.
    Command,
    /// A part of a message after which others follow.
    More,
    /// The last, or only, part of a message.
    Last,
}

/// What stands before the body of a frame (RFC 37 "Framing"): two octets, or nine.
///
/// A body of more than 255 octets has a long header. A long header before a shorter body is read as well.
///
/// ```
/// use atonce::wire::zmtp::{Decoded, FrameHeader, FrameKind};
///
/// let header = FrameHeader::of(FrameKind::Last, b"hello");
/// let mut octets = Vec::new();
/// header.encode(&mut octets);
/// assert_eq!(octets, [0x00, 5]);
/// assert_eq!(FrameHeader::decode(&octets)?, Decoded::Complete { value: header, octets: 2 });
///
/// // COMMAND with MORE is not in the grammar.
/// assert!(FrameHeader::decode(&[0x05, 0]).is_err());
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    kind: FrameKind,
    /// At most 2^63 − 1.
    octets: u64,
}

const MORE: u8 = 0b001;
const LONG: u8 = 0b010;
const COMMAND: u8 = 0b100;

impl FrameHeader {
    /// The octets of a long header. None is longer.
    pub const LONGEST: usize = 9;
    /// The octets of a short header.
    pub const SHORTEST: usize = 2;
    /// The largest size that the grammar has, in octets.
    pub const LIMIT: u64 = u64::MAX >> 1;

    /// The header of a frame whose body has this many octets; `None` when they are more than 2⁶³−1.
    pub const fn new(kind: FrameKind, octets: u64) -> Option<Self> {
        if octets > Self::LIMIT {
            return None;
        }
        Some(Self { kind, octets })
    }

    /// The header of a frame with this body.
    pub fn of(kind: FrameKind, body: &[u8]) -> Self {
        Self::sized(kind, body.len())
    }

    /// The header of a frame whose body, in memory, has this many octets.
    pub(crate) fn sized(kind: FrameKind, octets: usize) -> Self {
        // Nothing in memory is larger than isize::MAX, so that `min` never takes anything away.
        let octets = wide(octets).min(Self::LIMIT);
        Self { kind, octets }
    }

    /// What the frame is.
    pub const fn kind(self) -> FrameKind {
        self.kind
    }

    /// The size of the body, in octets.
    pub const fn octets(self) -> u64 {
        self.octets
    }

    /// The octets that [`encode`](Self::encode) appends: 2 or 9.
    pub const fn encoded_len(self) -> usize {
        if self.octets <= 255 {
            Self::SHORTEST
        } else {
            Self::LONGEST
        }
    }

    /// Appends the header, a short one where that is possible.
    pub fn encode(self, out: &mut impl BufMut) {
        let flags = match self.kind {
            FrameKind::Command => COMMAND,
            FrameKind::More => MORE,
            FrameKind::Last => 0,
        };
        // ZMTP-11
        if let Ok(octets) = u8::try_from(self.octets) {
            out.put_slice(&[flags, octets]);
        } else {
            out.put_u8(flags | LONG);
            out.put_u64(self.octets);
        }
    }

    /// Reads a header from the beginning of `stream`. What follows it is the body and is not looked at.
    ///
    /// # Errors
    ///
    /// Flags that the grammar does not have, as soon as the first octet is there; a size with the top bit set.
    #[inline]
    pub fn decode(stream: &[u8]) -> Result<Decoded<Self>, Malformed> {
        let Some((&flags, rest)) = stream.split_first() else {
            return Ok(Decoded::Partial {
                lacking: Self::SHORTEST,
            });
        };
        // ZMTP-10
        let kind = match flags & !LONG {
            0 => FrameKind::Last,
            MORE => FrameKind::More,
            COMMAND => FrameKind::Command,
            _ => return Err(bad_flags(flags)),
        };
        if flags & LONG == 0 {
            return Ok(match rest.first() {
                Some(&octets) => Decoded::Complete {
                    value: Self {
                        kind,
                        octets: octets.into(),
                    },
                    octets: Self::SHORTEST,
                },
                None => Decoded::Partial { lacking: 1 },
            });
        }
        let Some(octets) = rest.first_chunk() else {
            return Ok(Decoded::Partial {
                lacking: Self::LONGEST.saturating_sub(stream.len()),
            });
        };
        let octets = u64::from_be_bytes(*octets);
        // ZMTP-12
        if octets > Self::LIMIT {
            return Err(Malformed::new(
                "frame.size",
                Expected::AtMost(Self::LIMIT),
                Found::Value(octets),
            ));
        }
        Ok(Decoded::Complete {
            value: Self { kind, octets },
            octets: Self::LONGEST,
        })
    }
}

#[cold]
fn bad_flags(flags: u8) -> Malformed {
    let expected = if flags > (MORE | LONG | COMMAND) {
        Expected::AtMost((MORE | LONG | COMMAND).into())
    } else {
        Expected::What("not COMMAND with MORE")
    };
    Malformed::new("frame.flags", expected, Found::Value(flags.into()))
}
