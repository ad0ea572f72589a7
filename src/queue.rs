//! A queue that is mostly empty or of one.

use alloc::collections::VecDeque;

/// First in, first out. One element lies in the queue itself, so that what comes and goes one by one costs no
/// allocation; when it runs empty it owns no memory.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    /// Stands before `rest`. Only an empty queue puts an element here, so that none is moved from there to here.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            rest: VecDeque::new(),
        }
    }

    #[inline]
    pub(crate) fn push_back(&mut self, element: T) {
        if self.is_empty() && self.rest.capacity() == 0 {
            self.first = Some(element);
        } else {
            self.rest.push_back(element);
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.first.is_some() {
            return self.first.take();
        }
        let element = self.rest.pop_front()?;
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
        Some(element)
    }

    /// Moves all into another one.
    pub(crate) fn drain_into(&mut self, others: &mut VecDeque<T>) {
        others.extend(self.first.take());
        others.append(&mut self.rest);
    }

    /// Has elements that are to come find room in this memory, in which there is nothing.
    #[inline]
    pub(crate) fn lend(&mut self, memory: &mut VecDeque<T>) {
        if self.rest.capacity() == 0 {
            core::mem::swap(&mut self.rest, memory);
        }
    }

    /// Gives memory back in which there is nothing.
    #[inline]
    pub(crate) fn give_back(&mut self, memory: &mut VecDeque<T>) {
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            *memory = core::mem::take(&mut self.rest);
        }
    }

    #[inline]
    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref().or_else(|| self.rest.front())
    }

    #[inline]
    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut().or_else(|| self.rest.front_mut())
    }

    #[inline]
    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// From the front to the back.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8),
        Pop,
        Drain,
        Lend,
        GiveBack,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => any::<u8>().prop_map(Step::Push),
            5 => Just(Step::Pop),
            1 => Just(Step::Drain),
            1 => Just(Step::Lend),
            1 => Just(Step::GiveBack),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec(step(), 0..200)) {
            let mut queue = Queue::new();
            let mut model = VecDeque::new();
            let mut memory = VecDeque::with_capacity(4);
            for step in steps {
                match step {
                    Step::Push(element) => {
                        queue.push_back(element);
                        model.push_back(element);
                    }
                    Step::Pop => prop_assert_eq!(queue.pop_front(), model.pop_front()),
                    Step::Drain => {
                        let mut drained = VecDeque::from([7]);
                        queue.drain_into(&mut drained);
                        prop_assert_eq!(drained.pop_front(), Some(7));
                        prop_assert_eq!(drained, core::mem::take(&mut model));
                    }
                    Step::Lend => queue.lend(&mut memory),
                    Step::GiveBack => queue.give_back(&mut memory),
                }
                prop_assert!(memory.is_empty());
                prop_assert_eq!(queue.front(), model.front());
                prop_assert_eq!(queue.front_mut(), model.front_mut());
                prop_assert_eq!(queue.back_mut(), model.back_mut());
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
            let rest: Vec<u8> = core::iter::from_fn(|| queue.pop_front()).collect();
            prop_assert_eq!(rest, Vec::from(model));
            queue.give_back(&mut memory);
            prop_assert_eq!(queue.rest.capacity(), 0);
        }
    }
}
