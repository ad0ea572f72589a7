//! What is on its way from the core to the application.

use std::collections::VecDeque;

use atonce::Instant;
use atonce::zre::Event;

use super::links::Host;
use super::{Drive, Driver};

/// What was taken out of the core and not yet by the application.
///
/// To take several at once makes a receiver need the driver, which it shares with whatever does its I/O, that much less
/// often. What was taken no longer counts for the limits of the core, so that it is little.
#[derive(Debug)]
pub struct Inbox<D: Drive = Driver> {
    items: VecDeque<D::Item>,
    over: bool,
}

/// What is taken at once, in octets as the limits of the core count them.
pub(super) const OCTETS: usize = 2 * 1024 * 1024;

/// Why a receiver has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty<R> {
    /// Nothing came, in all the time that there was.
    Late,
    /// Nothing came, and nothing will.
    Over,
    /// Nothing comes for this reason.
    Refused(R),
}

impl<D: Drive> Default for Inbox<D> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            over: false,
        }
    }
}

impl<D: Drive> Inbox<D> {
    /// The next one that was taken.
    pub fn pop(&mut self) -> Option<D::Item> {
        let item = self.items.pop_front()?;
        if D::is_last(&item) {
            self.over = true;
        }
        Some(item)
    }

    /// Takes some of what the driver has. Afterwards the driver may [want a turn](Driver::wants_turn). `now` is
    /// [`Driver::now`], or [`Driver::recent`] for whoever took a turn just before.
    ///
    /// # Errors
    ///
    /// There is nothing, and will be nothing by waiting.
    pub fn fill(&mut self, driver: &mut D, now: Instant) -> Result<(), D::Refusal> {
        driver.fill(now, &mut self.items)
    }

    /// Whether a runtime that counts what its tasks do may leave the next one uncounted: all but every sixteenth.
    pub fn is_cheap(&self) -> bool {
        !self.items.len().is_multiple_of(16)
    }

    /// Whether there is nothing to pop now.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the last one was taken.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// No more will come.
    pub fn close(&mut self) {
        self.over = true;
    }
}

impl Driver {
    /// Takes some of the events that there are.
    pub(super) fn take_events(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        let before = events.len();
        self.links.machine.poll_events(now, OCTETS, events);
        self.note_entered(events.range(before..));
        self.act(); // links that waited for the application may be read again
    }
}
