//! Seeds for the keys of connections.

use core::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use zeroize::{Zeroize, Zeroizing};

use crate::curve::Seed;

/// Gives a seed to each connection, and keeps nothing that one could be computed of which was given away: who reads the memory of
/// a node does not read what it said over connections that are gone.
pub(crate) struct Seeds(Zeroizing<[u8; 32]>);

impl Seeds {
    /// What seeds a node or a socket goes two ways, of which neither leads back or to the other: one to it, which keeps it as long as it
    /// lives, one to its connections.
    pub(crate) fn apart(seed: [u8; 32]) -> ([u8; 32], Self) {
        let mut connections = Self(Zeroizing::new(seed));
        let node = connections.draw();
        (*node, connections)
    }

    /// The next seed.
    pub(crate) fn next(&mut self) -> Seed {
        Seed::from_bytes(*self.draw())
    }

    /// 32 octets, and in the place of what they were made of, 32 others.
    fn draw(&mut self) -> Zeroizing<[u8; 32]> {
        let mut generator = ChaCha20Rng::from_seed(*self.0);
        self.0.zeroize();
        generator.fill_bytes(self.0.as_mut());
        let mut drawn = Zeroizing::new([0; 32]);
        generator.fill_bytes(drawn.as_mut());
        drawn
    }
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::format;

    use super::*;

    /// All that it gives from here on, as who reads its memory computes it.
    fn coming(seeds: &Seeds) -> BTreeSet<[u8; 32]> {
        let mut seeds = Seeds(seeds.0.clone());
        (0..100).map(|_| *seeds.next().as_bytes()).collect()
    }

    #[test]
    fn what_is_kept_leads_to_what_comes_and_never_back() {
        let first = [7; 32];
        let (node, mut seeds) = Seeds::apart(first);
        let mut given = BTreeSet::from([first, node]);
        for _ in 0..10 {
            assert!(coming(&seeds).is_disjoint(&given));
            assert!(!given.contains(&*seeds.0), "it keeps what it was made of");
            let before = *seeds.0;
            assert!(given.insert(*seeds.next().as_bytes()));
            assert_ne!(*seeds.0, before);
            assert!(given.insert(before));
        }
        // Nor does what the node keeps lead to those of its connections.
        assert!(coming(&Seeds(Zeroizing::new(node))).is_disjoint(&given));
        let (_, mut again) = Seeds::apart(first);
        assert!(
            given.contains(again.next().as_bytes()),
            "the same seed gives the same"
        );
    }

    #[test]
    fn it_does_not_show_itself() {
        let (_, seeds) = Seeds::apart([7; 32]);
        assert_eq!(format!("{seeds:?}"), "Seeds(..)");
    }
}
