//! Sequence numbers, with both conventions of wrapping (ZRE-70).

/// The sequence of HELLO.
pub(crate) const FIRST: u16 = 1;

/// What comes after 65,534 for those who wrap early (Pyre and zyre.js never send 65,535).
const LAST: u16 = u16::MAX;

/// Numbers the messages that go to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    next: u16,
    /// The peer wraps 65534→0 and wants us to do the same.
    early: bool,
    /// The peer was seen to take 65,535.
    sure: bool,
}

impl Sender {
    pub(crate) const fn new(early: bool) -> Self {
        Self {
            next: FIRST,
            early,
            sure: false,
        }
    }

    pub(crate) fn take(&mut self) -> u16 {
        let sequence = self.next;
        let next = sequence.wrapping_add(1);
        // ZRE-70
        self.next = if self.early && next == LAST { 0 } else { next };
        sequence
    }

    /// The next number is the one on which peers disagree, and what this one thinks of it is not known.
    pub(crate) const fn is_unsure(&self) -> bool {
        self.next == LAST && !self.early && !self.sure
    }

    /// The peer takes 65,535 as most do.
    pub(crate) fn wrap_late(&mut self) {
        self.sure = true;
    }

    pub(crate) fn wrap_early(&mut self) {
        self.early = true;
    }
}

/// Checks the numbers of the messages that come from one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receiver {
    expected: u16,
    early: bool,
}

/// A message is missing: another number came than the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) expected: u16,
    pub(crate) found: u16,
}

impl Receiver {
    /// After HELLO.
    pub(crate) const fn new() -> Self {
        Self {
            expected: FIRST + 1,
            early: false,
        }
    }

    /// Takes the number of a message; at a gap nothing changes.
    pub(crate) fn accept(&mut self, found: u16) -> Result<(), Gap> {
        if !self.expects(found) {
            return Err(Gap {
                expected: self.expected,
                found,
            });
        }
        self.early |= self.expected == LAST && found == 0;
        self.expected = found.wrapping_add(1);
        Ok(())
    }

    /// Takes a number that comes next whatever the convention; `false`: it is another, and nothing changes.
    #[inline]
    pub(crate) const fn accept_next(&mut self, found: u16) -> bool {
        let next = found == self.expected;
        if next {
            self.expected = found.wrapping_add(1);
        }
        next
    }

    pub(crate) const fn expects(&self, found: u16) -> bool {
        // ZRE-70
        found == self.expected || (self.expected == LAST && found == 0)
    }

    /// The number that comes next, by the convention of most.
    pub(crate) const fn expected(&self) -> u16 {
        self.expected
    }

    /// Whether the peer was seen to wrap 65534→0.
    pub(crate) const fn wraps_early(&self) -> bool {
        self.early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut sender: Sender, mut receiver: Receiver, messages: usize) -> Receiver {
        for _ in 0..messages {
            let sequence = sender.take();
            receiver.accept(sequence).unwrap();
        }
        receiver
    }

    fn greeted(early: bool) -> Sender {
        let mut sender = Sender::new(early);
        assert_eq!(sender.take(), FIRST);
        sender
    }

    #[test]
    fn both_conventions_of_wrapping_are_accepted() {
        // ZRE-70
        assert!(!run(greeted(false), Receiver::new(), 200_000).wraps_early());
        assert!(run(greeted(true), Receiver::new(), 200_000).wraps_early());
    }

    #[test]
    fn a_sender_that_wraps_early_never_says_65535() {
        let mut sender = Sender::new(true);
        assert!((0..200_000).all(|_| sender.take() != LAST));
    }

    #[test]
    fn a_gap_changes_nothing() {
        let mut receiver = Receiver::new();
        assert_eq!(
            receiver.accept(3),
            Err(Gap {
                expected: 2,
                found: 3
            })
        );
        assert_eq!(receiver.accept(2), Ok(()));
        assert!(receiver.accept(2).is_err());
    }

    #[test]
    fn the_sender_knows_the_number_on_which_peers_disagree() {
        let mut sender = Sender::new(false);
        let before = (0..).take_while(|_| !sender.is_unsure() && sender.take() > 0);
        assert_eq!(before.count(), 65_534);
        assert_eq!(sender.take(), LAST);
        assert!(!sender.is_unsure());
        sender.wrap_late();
        let mut all = (0..200_000).map(|_| (sender.take(), sender.is_unsure()));
        assert!(all.all(|(_, unsure)| !unsure));
        assert!(
            (0..200_000)
                .scan(Sender::new(true), |sender, _| Some(sender.take()))
                .all(|n| n != LAST)
        );
    }
}
