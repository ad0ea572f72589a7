//! A frame's octets, wherever they lie.

use bytes::Bytes;

/// The body of a frame that is there as a whole.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    /// It lies in the octets that were handed in.
    Borrowed(&'a [u8]),
    /// It lies in memory of its own.
    Owned(Bytes),
}

impl Body<'_> {
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(octets) => octets,
            Self::Owned(octets) => octets,
        }
    }

    /// A borrowed one is copied.
    #[inline]
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Borrowed(octets) => Bytes::copy_from_slice(octets),
            Self::Owned(octets) => octets,
        }
    }
}
