//! What belongs to a link, by its name.

use alloc::vec::Vec;
use core::fmt;
use core::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

use crate::net::LinkId;
use crate::table::room_after;

/// A table of links. Nearly everything that happens begins with a look into one, so it is a hash table; and so that
/// the order in which that has its entries never reaches an output, they are given in the order of their names only.
///
/// Names of links are given by the node itself, one after the other: nobody else can make them collide.
pub(crate) struct ByLink<T>(HashMap<u64, T, BuildHasherDefault<Spread>>);

/// Spreads numbers that follow each other over all bits.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, octets: &[u8]) {
        // Only for the sake of the trait: the keys are whole numbers.
        for octet in octets {
            self.write_u64(u64::from(*octet));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // The golden ratio: close numbers end far from each other, and the upper bits, which the table looks at first, move most.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

impl<T> ByLink<T> {
    pub(crate) fn new() -> Self {
        Self(HashMap::default())
    }

    #[inline]
    pub(crate) fn get(&self, link: LinkId) -> Option<&T> {
        self.0.get(&link.0)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, link: LinkId) -> Option<&mut T> {
        self.0.get_mut(&link.0)
    }

    pub(crate) fn insert(&mut self, link: LinkId, entry: T) {
        self.0.insert(link.0, entry);
    }

    pub(crate) fn remove(&mut self, link: LinkId) -> Option<T> {
        let entry = self.0.remove(&link.0);
        if let Some(room) = room_after(self.0.len(), self.0.capacity()) {
            self.0.shrink_to(room);
        }
        entry
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all out, in the order of their names.
    pub(crate) fn take(&mut self) -> Vec<(LinkId, T)> {
        let all = core::mem::take(&mut self.0).into_iter();
        let mut all: Vec<_> = all.map(|(link, entry)| (LinkId(link), entry)).collect();
        all.sort_unstable_by_key(|(link, _)| *link);
        all
    }

    /// All, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, &T)> {
        let all = self.0.iter().map(|(link, entry)| (LinkId(*link), entry));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by_key(|(link, _)| *link);
        all.into_iter()
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn contains(&self, link: LinkId) -> bool {
        self.0.contains_key(&link.0)
    }
}

impl<T> fmt::Debug for ByLink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} links", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_table_that_is_given_in_order(steps in prop::collection::vec((any::<bool>(), 0..300_u64), 0..600)) {
            let mut table = ByLink::new();
            let mut model = BTreeMap::new();
            for (n, (adds, link)) in steps.into_iter().enumerate() {
                let link = LinkId(link);
                if adds {
                    table.insert(link, n);
                    model.insert(link, n);
                } else {
                    prop_assert_eq!(table.remove(link), model.remove(&link));
                }
                prop_assert_eq!(table.get(link), model.get(&link));
                prop_assert_eq!(table.is_empty(), model.is_empty());
            }
            prop_assert!(table.iter().map(|(link, n)| (link, *n)).eq(model.iter().map(|(link, n)| (*link, *n))));
            prop_assert_eq!(table.take(), Vec::from_iter(model));
            prop_assert!(table.is_empty());
        }
    }

    #[test]
    fn a_crowd_that_left_does_not_keep_its_room() {
        let mut table = ByLink::new();
        for n in 0..4_096 {
            table.insert(LinkId(n), n);
        }
        for n in 1..4_096 {
            table.remove(LinkId(n));
        }
        assert!(table.0.capacity() <= 64, "{}", table.0.capacity());
    }
}
