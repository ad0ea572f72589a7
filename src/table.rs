//! What belongs to something that strangers name: a peer by its identity, an endpoint by its address.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use core::fmt;
use core::hash::Hash;

use ahash::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

/// A hash table whose entries are given in the order of their keys, so that the order in which a hash table has them never
/// reaches an output.
///
/// Each message and each beacon begins with a look into one. In a search tree that is a handful of places that are not in the
/// cache when there are a thousand peers. Here the table holds nothing but where the entries are, and so is in the cache more
/// often than not; each entry has a place of its own, its key beside it.
pub(crate) struct Table<K, V> {
    entries: HashTable<Box<Entry<K, V>>>,
    secret: Secret,
    order: BTreeSet<K>,
}

/// The key is compared first, so it comes first, and then what the entry has first.
#[repr(C)]
struct Entry<K, V> {
    key: K,
    value: V,
}

/// What makes the hashes of a node others than those of all other nodes. Strangers choose their names, and could otherwise choose
/// them so that they all collide.
pub(crate) type Secret = RandomState;

/// For what the node names itself, such as links: nobody else can make them collide.
pub(crate) fn no_secret() -> Secret {
    Secret::with_seeds(1, 2, 3, 4)
}

/// A crowd that left does not keep its room: to what a hash table is to be shrunk that holds so many and has room for so many.
pub(crate) fn room_after(len: usize, capacity: usize) -> Option<usize> {
    (capacity > 64 && len < capacity / 8).then_some(2 * len)
}

impl<K: Copy + Ord + Hash, V> Table<K, V> {
    pub(crate) const fn new(secret: Secret) -> Self {
        Self {
            entries: HashTable::new(),
            secret,
            order: BTreeSet::new(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let hash = self.secret.hash_one(key);
        let entry = self.entries.find(hash, |entry| entry.key == *key)?;
        Some(&entry.value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.secret.hash_one(key);
        let entry = self.entries.find_mut(hash, |entry| entry.key == *key)?;
        Some(&mut entry.value)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Puts an entry in. What was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Self {
            entries,
            secret,
            order,
        } = self;
        let hash = secret.hash_one(key);
        let place = entries.entry(
            hash,
            |entry| entry.key == key,
            |entry| secret.hash_one(entry.key),
        );
        match place {
            Place::Occupied(mut place) => {
                Some(core::mem::replace(&mut place.get_mut().value, value))
            }
            Place::Vacant(place) => {
                place.insert(Box::new(Entry { key, value }));
                order.insert(key);
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let Self {
            entries,
            secret,
            order,
        } = self;
        let place = entries.find_entry(secret.hash_one(key), |entry| entry.key == *key);
        let (entry, _) = place.ok()?.remove();
        order.remove(key);
        if let Some(room) = room_after(entries.len(), entries.capacity()) {
            entries.shrink_to(room, |entry| secret.hash_one(entry.key));
        }
        Some(entry.value)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.secret.clone());
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All, in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.order
            .iter()
            .filter_map(|key| Some((*key, self.get(key)?)))
    }

    /// All, in the order of their keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, entry)| entry)
    }

    /// All, in no order: what is made of them must not depend on it.
    pub(crate) fn unordered(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|entry| (entry.key, &entry.value))
    }

    /// Does the same to all, in no order: what is done to one must not depend on what was done to another.
    pub(crate) fn for_each(&mut self, act: impl Fn(&mut V)) {
        for entry in &mut self.entries {
            act(&mut entry.value);
        }
    }
}

impl<K: Copy + Ord + Hash + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn secret([a, b, c, d]: [u64; 4]) -> Secret {
        Secret::with_seeds(a, b, c, d)
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16),
        Remove(u16),
        Change(u16),
        ChangeAll,
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = || 0..300_u16;
        prop_oneof![
            300 => key().prop_map(Step::Insert),
            200 => key().prop_map(Step::Remove),
            100 => key().prop_map(Step::Change),
            3 => Just(Step::ChangeAll),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn it_is_an_ordered_table(
            secret: [u64; 4],
            steps in prop::collection::vec(step(), 0..900),
        ) {
            let mut table = Table::new(self::secret(secret));
            let mut model = BTreeMap::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(key) => prop_assert_eq!(table.insert(key, n), model.insert(key, n)),
                    Step::Remove(key) => prop_assert_eq!(table.remove(&key), model.remove(&key)),
                    Step::Change(key) => {
                        prop_assert_eq!(table.get_mut(&key).map(|entry| *entry += 1), model.get_mut(&key).map(|entry| *entry += 1));
                        prop_assert_eq!(table.get(&key), model.get(&key));
                        prop_assert_eq!(table.contains_key(&key), model.contains_key(&key));
                    }
                    Step::ChangeAll => {
                        table.for_each(|entry| *entry *= 2);
                        model.values_mut().for_each(|entry| *entry *= 2);
                    }
                    Step::Clear => {
                        table.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
            }
            prop_assert!(table.iter().eq(model.iter().map(|(key, entry)| (*key, entry))));
            prop_assert!(table.values().eq(model.values()));
            let unordered: BTreeMap<_, _> = table.unordered().collect();
            prop_assert!(unordered.into_iter().eq(model.iter().map(|(key, entry)| (*key, entry))));
            prop_assert_eq!(alloc::format!("{table:?}"), alloc::format!("{model:?}"));
        }
    }

    #[test]
    fn a_crowd_that_left_does_not_keep_its_room() {
        let mut table = Table::new(secret([1, 2, 3, 4]));
        for n in 0..4_096 {
            table.insert(n, ());
        }
        for n in 10..4_096 {
            table.remove(&n);
        }
        assert!(
            table.entries.capacity() <= 64,
            "{}",
            table.entries.capacity()
        );
        assert!(table.iter().map(|(n, ())| n).eq(0..10));
    }

    #[test]
    fn what_collides_in_one_node_does_not_in_another() {
        let low = |node: u64, key: u64| secret([node, 2, 3, 4]).hash_one(key) % 64;
        let colliding: Vec<u64> = (0..10_000).filter(|key| low(1, *key) == 0).collect();
        let elsewhere: BTreeSet<u64> = colliding.iter().map(|key| low(2, *key)).collect();
        assert!(elsewhere.len() > 40, "{} places", elsewhere.len());
    }
}
