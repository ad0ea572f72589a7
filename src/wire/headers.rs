//! The properties that a node tells about itself.

use alloc::collections::{BTreeMap, btree_map};
use core::borrow::Borrow;
use core::fmt;

use super::{LongText, Text};

/// The headers of a node: names and values, told to every peer in HELLO (RFC 36 and 43 "The HELLO Command").
///
/// They are kept sorted by the octets of the name, so that the same headers always make the same octets on the wire;
/// the order in which they came has no meaning. A name stands once: a later value takes the place of an earlier one.
/// A clone shares the octets of names and values.
///
/// ```
/// use atonce::wire::Headers;
///
/// let mut headers = Headers::default();
/// headers.insert("X-ROOM".try_into()?, "kitchen".try_into()?);
/// headers.insert("X-ROOM".try_into()?, "cellar".try_into()?);
/// assert_eq!(headers.len(), 1);
/// assert_eq!(headers.get("X-ROOM").unwrap().as_bytes(), b"cellar");
/// assert_eq!(headers.get("x-room"), None);
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<Text, LongText>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value under this name, compared octet by octet.
    pub fn get(&self, name: &str) -> Option<&LongText> {
        self.0.get(name.as_bytes())
    }

    /// Sets the value under a name, and returns the one it takes the place of.
    pub fn insert(&mut self, name: Text, value: LongText) -> Option<LongText> {
        // ZRE-97
        self.0.insert(name, value)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The headers in order. See [`Headers::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(btree_map::Iter<'a, Text, LongText>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Text, &'a LongText);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a Text, &'a LongText);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<(Text, LongText)> for Headers {
    fn from_iter<I: IntoIterator<Item = (Text, LongText)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

impl Extend<(Text, LongText)> for Headers {
    fn extend<I: IntoIterator<Item = (Text, LongText)>>(&mut self, headers: I) {
        self.0.extend(headers);
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

// `get` looks a name up without making a `Text` of it: both must be ordered alike.
const _: fn(&Text) -> &[u8] = <Text as Borrow<[u8]>>::borrow;
