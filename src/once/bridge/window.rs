//! The last shouts, which REMOTE-AGAIN may name. Both sides keep the same ones.

use alloc::collections::VecDeque;

use crate::{Frames, PeerId, Text};

/// The most that are kept.
const MOST: usize = 64;
/// The most octets of content, unless the last one alone has more.
const MOST_OCTETS: usize = 1 << 20;

/// The last REMOTE-SHOUTs of one direction.
#[derive(Debug, Default)]
pub(super) struct Window {
    shouts: VecDeque<Shout>,
    octets: usize,
}

/// What REMOTE-AGAIN says again.
#[derive(Clone, Debug)]
pub(super) struct Shout {
    pub(super) number: u64,
    pub(super) from: PeerId,
    pub(super) group: Text,
    pub(super) content: Frames,
}

impl Window {
    /// One was said or heard, in the order of their numbers.
    pub(super) fn push(&mut self, shout: Shout) {
        // ONCE-104
        self.octets += shout.content.octets();
        self.shouts.push_back(shout);
        while self.shouts.len() > MOST || (self.octets > MOST_OCTETS && self.shouts.len() > 1) {
            let oldest = self.shouts.pop_front();
            self.octets -= oldest.map_or(0, |shout| shout.content.octets());
        }
    }

    /// That of a number.
    pub(super) fn get(&self, number: u64) -> Option<&Shout> {
        let at = self
            .shouts
            .binary_search_by_key(&number, |shout| shout.number);
        self.shouts.get(at.ok()?)
    }

    /// The number of the one that says the same.
    pub(super) fn same(&self, from: PeerId, group: &Text, content: &Frames) -> Option<u64> {
        let mut shouts = self.shouts.iter().rev();
        let same = shouts
            .find(|shout| shout.from == from && shout.group == *group && shout.content == *content);
        same.map(|shout| shout.number)
    }

    /// None of them can be named any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn shout(number: u64, octets: usize) -> Shout {
        Shout {
            number,
            from: PeerId::from_bytes([1; 16]),
            group: "G".parse().unwrap(),
            content: Frames::from(vec![7; octets]),
        }
    }

    #[test]
    fn the_last_64_are_kept_or_a_mebibyte_or_the_last_one_alone() {
        // ONCE-104
        let mut window = Window::default();
        for number in 1..=65 {
            window.push(shout(number, 1));
        }
        assert!(window.get(1).is_none() && window.get(2).is_some());
        window.push(shout(70, MOST_OCTETS - 63));
        assert!(window.get(3).is_some());
        window.push(shout(71, 1));
        assert!(window.get(4).is_some());
        window.push(shout(72, 2));
        assert!(window.get(5).is_none(), "octets are counted");
        window.push(shout(73, 5 * MOST_OCTETS));
        assert!(window.get(72).is_none() && window.get(73).is_some());
        let content = Frames::from(vec![7; 5 * MOST_OCTETS]);
        let (from, group) = (PeerId::from_bytes([1; 16]), "G".parse().unwrap());
        assert_eq!(window.same(from, &group, &content), Some(73));
        window.push(shout(74, 0));
        assert!(window.get(73).is_none() && window.get(74).is_some());
        assert_eq!(window.same(from, &group, &content), None);
    }
}
