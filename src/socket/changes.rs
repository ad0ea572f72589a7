//! Changes of what is wanted, on their way to somebody who may be slow.

use alloc::collections::BTreeMap;

use crate::Bytes;

/// What somebody is still to be told about which prefixes are wanted: the application of an XPUB, or one publisher.
///
/// Who does not listen cannot make it grow by what comes and goes again: there is one entry for each prefix that is wanted, or is
/// believed to be, and is not as it was told. Whoever listens has the truth at the end, and never takes a new wish for an old
/// one: a prefix that nobody wanted for a moment is told as ended and begun, one that somebody else wanted meanwhile as wanted
/// once more.
// SOCK-96, SOCK-108
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// In the order in which they are told.
    order: BTreeMap<u64, Bytes>,
    of: BTreeMap<Bytes, Pending>,
    next: u64,
}

/// What waits to be told of one prefix, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pending {
    /// Where in `order`.
    at: u64,
    /// Ends of all that was told, after which nobody wanted it for a moment.
    ends: u32,
    /// Wishes.
    wishes: u32,
    /// Ends, after which somebody still wants it.
    ends_after: u32,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Messages that begin so are wanted, from now on or once more.
    Subscribe(Bytes),
    /// They are not wanted any more, or once less.
    Cancel(Bytes),
}

impl Changes {
    /// Somebody wants a prefix that nobody wanted.
    pub(super) fn first(&mut self, prefix: Bytes) {
        self.change(prefix, |pending| pending.wishes = 1);
    }

    /// Somebody wants a prefix that was wanted already. When one is told, all are, until the end.
    pub(super) fn repeated(&mut self, prefix: Bytes) {
        self.change(prefix, |pending| {
            pending.wishes = pending.wishes.saturating_add(1);
            pending.simplify();
        });
    }

    /// A prefix is wanted so many times less, and still wanted.
    pub(super) fn fewer(&mut self, prefix: Bytes, times: u32) {
        self.change(prefix, |pending| {
            pending.ends_after = pending.ends_after.saturating_add(times);
            pending.simplify();
        });
    }

    /// Nobody wants a prefix any more, which had been wanted, or told to be, so many times.
    pub(super) fn last(&mut self, prefix: Bytes, times: u32) {
        self.change(prefix, |pending| {
            let told = u64::from(times) + u64::from(pending.ends) + u64::from(pending.ends_after);
            let told = told.saturating_sub(pending.wishes.into());
            pending.ends = u32::try_from(told).unwrap_or(u32::MAX);
            pending.wishes = 0;
            pending.ends_after = 0;
        });
    }

    /// Takes the next one.
    pub(super) fn pop(&mut self) -> Option<Change> {
        let (_, prefix) = self.order.first_key_value()?;
        let prefix = prefix.clone();
        let mut subscribes = false;
        self.change(prefix.clone(), |pending| {
            subscribes = pending.ends == 0 && pending.wishes > 0;
            if pending.ends > 0 {
                pending.ends -= 1;
            } else if pending.wishes > 0 {
                pending.wishes -= 1;
            } else {
                pending.ends_after = pending.ends_after.saturating_sub(1);
            }
        });
        Some(if subscribes {
            Change::Subscribe(prefix)
        } else {
            Change::Cancel(prefix)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn change(&mut self, prefix: Bytes, change: impl FnOnce(&mut Pending)) {
        let known = self.of.get(&prefix).copied();
        let mut pending = known.unwrap_or(Pending {
            at: self.next,
            ..Pending::default()
        });
        change(&mut pending);
        let is_over = pending.ends == 0 && pending.wishes == 0 && pending.ends_after == 0;
        if is_over {
            if known.is_some() {
                self.order.remove(&pending.at);
                self.of.remove(&prefix);
            }
            return;
        }
        if known.is_none() {
            self.next += 1;
            self.order.insert(pending.at, prefix.clone());
        }
        self.of.insert(prefix, pending);
    }
}

impl Pending {
    /// Takes away what came and went. That somebody came is told, however many did.
    fn simplify(&mut self) {
        let pairs = self.wishes.saturating_sub(1).min(self.ends_after);
        self.wishes -= pairs;
        self.ends_after -= pairs;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn all(changes: &mut Changes) -> Vec<Change> {
        core::iter::from_fn(|| changes.pop()).collect()
    }

    fn subscribe(prefix: &'static str) -> Change {
        Change::Subscribe(prefix.into())
    }

    fn cancel(prefix: &'static str) -> Change {
        Change::Cancel(prefix.into())
    }

    #[test]
    fn what_comes_and_goes_untold_leaves_nothing() {
        // SOCK-96
        let mut changes = Changes::default();
        for _ in 0..3 {
            changes.first("a".into());
            changes.repeated("a".into());
            changes.fewer("a".into(), 1);
            changes.last("a".into(), 1);
            assert!(changes.is_empty());
            assert!(changes.of.is_empty());
        }
        assert_eq!(changes.pop(), None);
    }

    #[test]
    fn what_goes_and_comes_again_is_told_as_both() {
        // SOCK-96
        let mut changes = Changes::default();
        changes.first("a".into());
        changes.first("b".into());
        assert_eq!(all(&mut changes), [subscribe("a"), subscribe("b")]);
        for _ in 0..3 {
            changes.last("a".into(), 1);
            changes.first("a".into());
        }
        assert_eq!(all(&mut changes), [cancel("a"), subscribe("a")]);
        changes.last("a".into(), 1);
        changes.first("a".into());
        changes.last("a".into(), 1);
        assert_eq!(all(&mut changes), [cancel("a")]);
        // Somebody comes and somebody else goes.
        changes.first("a".into());
        assert_eq!(all(&mut changes), [subscribe("a")]);
        for _ in 0..3 {
            changes.repeated("a".into());
            changes.fewer("a".into(), 1);
        }
        assert_eq!(all(&mut changes), [subscribe("a"), cancel("a")]);
    }

    #[test]
    fn repeated_ones_are_told_as_often_and_taken_back_as_often() {
        // SOCK-107
        let mut changes = Changes::default();
        changes.first("a".into());
        changes.repeated("a".into());
        changes.repeated("a".into());
        assert_eq!(all(&mut changes), [0; 3].map(|_| subscribe("a")));
        changes.repeated("a".into());
        assert_eq!(all(&mut changes), [subscribe("a")]);
        changes.repeated("a".into());
        changes.last("a".into(), 5);
        changes.first("a".into());
        assert_eq!(changes.pop(), Some(cancel("a")));
        changes.last("a".into(), 1);
        assert_eq!(all(&mut changes), [0; 3].map(|_| cancel("a")));
    }

    proptest! {
        /// Whoever listens now and then has the truth whenever nothing waits, and what waits is bounded.
        #[test]
        fn the_listener_has_the_truth(
            verbose in any::<bool>(),
            steps in prop::collection::vec((0..4_u8, prop::option::weighted(0.7, any::<bool>())), 0..200),
        ) {
            let mut changes = Changes::default();
            let mut wanted = BTreeMap::<Bytes, u32>::new();
            let mut told = BTreeMap::<Bytes, u32>::new();
            let hear = |told: &mut BTreeMap<Bytes, u32>, change| match change {
                Change::Subscribe(prefix) => {
                    *told.entry(prefix).or_default() += 1;
                }
                Change::Cancel(prefix) => {
                    let count = told.get_mut(&prefix).expect("it was told that it is wanted");
                    *count -= 1;
                    if *count == 0 {
                        told.remove(&prefix);
                    }
                }
            };
            for (prefix, step) in steps {
                let prefix = Bytes::from(Vec::from([prefix]));
                match step {
                    Some(true) => {
                        let count = wanted.entry(prefix.clone()).or_default();
                        *count += 1;
                        if *count == 1 {
                            changes.first(prefix);
                        } else if verbose {
                            changes.repeated(prefix);
                        } else {
                            *count = 1;
                        }
                    }
                    Some(false) => match wanted.get_mut(&prefix) {
                        Some(1) => {
                            wanted.remove(&prefix);
                            changes.last(prefix, 1);
                        }
                        Some(count) => {
                            *count -= 1;
                            changes.fewer(prefix, 1);
                        }
                        None => {}
                    },
                    None => {
                        if let Some(change) = changes.pop() {
                            hear(&mut told, change);
                        }
                    }
                }
                prop_assert_eq!(changes.order.len(), changes.of.len());
                for (prefix, pending) in &changes.of {
                    let count = |of: &BTreeMap<Bytes, u32>| of.get(prefix).copied().unwrap_or_default();
                    prop_assert!(pending.ends <= count(&told));
                    prop_assert!(pending.wishes <= 1 + count(&wanted));
                    prop_assert!(pending.ends_after <= count(&told) + 1);
                }
                if changes.is_empty() {
                    prop_assert_eq!(&told, &wanted);
                }
            }
            for change in all(&mut changes) {
                hear(&mut told, change);
            }
            prop_assert_eq!(told, wanted);
        }
    }
}
