//! The properties that a node tells about itself.

use alloc::vec::Vec;
use core::{fmt, mem, slice};

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
/// assert!(headers.get("X-ROOM").is_some_and(|value| value.as_bytes() == b"cellar"));
/// assert_eq!(headers.get("x-room"), None);
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
// Most peers have one header or two, and each peer's are kept as long as it is here: a list in order takes a tenth of the memory
// of a search tree.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Text, LongText)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value under this name, compared octet by octet.
    pub fn get(&self, name: &str) -> Option<&LongText> {
        let at = self.find(name.as_bytes()).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Sets the value under a name, and returns the one it takes the place of.
    pub fn insert(&mut self, name: Text, value: LongText) -> Option<LongText> {
        // ZRE-97
        match self.find(name.as_bytes()) {
            Ok(at) => {
                let (_, before) = self.0.get_mut(at)?;
                Some(mem::replace(before, value))
            }
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// In whatever order they are.
    pub(crate) fn from_vec(headers: Vec<(Text, LongText)>) -> Self {
        let mut all = Self(headers);
        all.put_in_order();
        all.0.shrink_to_fit();
        all
    }

    fn put_in_order(&mut self) {
        // ZRE-97
        // Those of one name stay in the order in which they came; the last one counts.
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                mem::swap(later, earlier);
            }
            same
        });
    }

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(other, _)| other.as_bytes().cmp(name))
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
pub struct Iter<'a>(slice::Iter<'a, (Text, LongText)>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Text, &'a LongText);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name, value))
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
        Self::from_vec(headers.into_iter().collect())
    }
}

impl Extend<(Text, LongText)> for Headers {
    fn extend<I: IntoIterator<Item = (Text, LongText)>>(&mut self, headers: I) {
        // All at once: who sends a thousand headers in an unlucky order is not to have them moved a million times.
        self.0.extend(headers);
        self.put_in_order();
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn header() -> impl Strategy<Value = (Text, LongText)> {
        ("[a-c]{0,2}", "[0-9]")
            .prop_map(|(name, value)| (name.try_into().unwrap(), value.try_into().unwrap()))
    }

    proptest! {
        #[test]
        fn they_are_a_map_in_the_order_of_the_names(
            first in prop::collection::vec(header(), 0..20),
            one_by_one in prop::collection::vec(header(), 0..20),
            more in prop::collection::vec(header(), 0..20),
        ) {
            let mut headers: Headers = first.iter().cloned().collect();
            let mut model: BTreeMap<_, _> = first.into_iter().collect();
            for (name, value) in one_by_one {
                prop_assert_eq!(
                    headers.insert(name.clone(), value.clone()),
                    model.insert(name, value)
                );
            }
            headers.extend(more.iter().cloned());
            model.extend(more);
            prop_assert!(headers.iter().eq(&model));
            prop_assert_eq!((headers.len(), headers.is_empty()), (model.len(), model.is_empty()));
            for name in ["", "a", "b", "ab", "ca", "d"] {
                prop_assert_eq!(headers.get(name), model.get(name.as_bytes()));
            }
        }
    }
}
