//! A multipart message.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;
use smallvec::SmallVec;

/// The frames of a message: the content of a WHISPER or SHOUT, or a whole ZMTP message.
///
/// Frames are shared, not copied, when a message is cloned or sent to several peers. Up to two frames cost no
/// allocation beyond their own octets. Anything that turns into [`Bytes`] turns into a message of one frame.
///
/// ```
/// use atonce::Frames;
///
/// let one = Frames::from("hello");
/// let two = Frames::from_iter(["hello", "world"]);
/// assert_eq!(one.len(), 1);
/// assert_eq!(two.octets(), 10);
/// assert_eq!(two[1], "world");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Frames(SmallVec<[Bytes; 2]>);

impl Frames {
    /// A message of no frames.
    pub fn new() -> Self {
        Self(SmallVec::new())
    }

    /// Appends a frame.
    pub fn push(&mut self, frame: impl Into<Bytes>) {
        self.0.push(frame.into());
    }

    /// Takes the first frame off.
    pub fn pop_front(&mut self) -> Option<Bytes> {
        if self.0.is_empty() {
            None
        } else {
            Some(self.0.remove(0))
        }
    }

    /// Puts a frame before the others.
    pub fn push_front(&mut self, frame: impl Into<Bytes>) {
        self.0.insert(0, frame.into());
    }

    /// The octets of all frames together, without framing.
    pub fn octets(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

impl Deref for Frames {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.0
    }
}

macro_rules! one_frame {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Frames {
            fn from(frame: $kind) -> Self {
                Self(SmallVec::from_iter([Bytes::from(frame)]))
            }
        }
    )*};
}

one_frame!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

impl<const N: usize> From<&'static [u8; N]> for Frames {
    fn from(frame: &'static [u8; N]) -> Self {
        Self::from(frame.as_slice())
    }
}

impl From<Cow<'static, [u8]>> for Frames {
    fn from(frame: Cow<'static, [u8]>) -> Self {
        match frame {
            Cow::Borrowed(frame) => Self::from(frame),
            Cow::Owned(frame) => Self::from(frame),
        }
    }
}

impl From<Vec<Bytes>> for Frames {
    fn from(frames: Vec<Bytes>) -> Self {
        Self(SmallVec::from_vec(frames))
    }
}

impl<const N: usize> From<[Bytes; N]> for Frames {
    fn from(frames: [Bytes; N]) -> Self {
        frames.into_iter().collect()
    }
}

impl<F: Into<Bytes>> FromIterator<F> for Frames {
    fn from_iter<I: IntoIterator<Item = F>>(frames: I) -> Self {
        Self(frames.into_iter().map(Into::into).collect())
    }
}

impl<F: Into<Bytes>> Extend<F> for Frames {
    fn extend<I: IntoIterator<Item = F>>(&mut self, frames: I) {
        self.0.extend(frames.into_iter().map(Into::into));
    }
}

impl IntoIterator for Frames {
    type Item = Bytes;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self.0.into_iter())
    }
}

/// The frames of a message, one by one, in order.
#[derive(Debug)]
pub struct IntoIter(smallvec::IntoIter<[Bytes; 2]>);

impl Iterator for IntoIter {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for IntoIter {
    fn next_back(&mut self) -> Option<Bytes> {
        self.0.next_back()
    }
}

impl ExactSizeIterator for IntoIter {}

impl<'a> IntoIterator for &'a Frames {
    type Item = &'a Bytes;
    type IntoIter = core::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
