//! What is to happen, by time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use atonce::Instant;

/// Things to come. What is due at the same time comes in the order in which it was put in.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    heap: BinaryHeap<Entry<T>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    order: u64,
    what: T,
}

impl<T> Schedule<T> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Instant, what: T) {
        let order = self.next;
        self.next += 1;
        self.heap.push(Entry { at, order, what });
    }

    /// When the next thing is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// The next thing.
    pub(crate) fn pop(&mut self) -> Option<(Instant, T)> {
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

// The heap gives the greatest first, and we want the earliest.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_come_in_order() {
        let mut schedule = Schedule::new();
        for (at, what) in [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')] {
            schedule.push(Instant::from_millis(at), what);
        }
        assert_eq!(schedule.next(), Some(Instant::from_millis(1)));
        let order: String = std::iter::from_fn(|| schedule.pop().map(|(_, what)| what)).collect();
        assert_eq!(order, "abcd");
        assert_eq!(schedule.len(), 0);
    }
}
