//! Events on their way from the core to the application.

use std::collections::VecDeque;

use atonce::Instant;
use atonce::zre::Event;

use super::Driver;

/// Events that were taken out of the core and not yet by the application.
///
/// To take several at once makes a receiver need the driver, which it shares with whatever does the node's I/O, that much less
/// often. What was taken no longer counts for the limits of the core, so that it is little.
#[derive(Debug, Default)]
pub struct Inbox {
    events: VecDeque<Event>,
    over: bool,
}

/// What is taken at once, in octets as the limits of the core count them.
const OCTETS: usize = 2 * 1024 * 1024;

impl Inbox {
    /// The next event that was taken.
    pub fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::Stopped) {
            self.over = true;
        }
        Some(event)
    }

    /// Takes some of what the driver has. Afterwards the driver may [want a turn](Driver::wants_turn). `now` is
    /// [`Driver::now`], or [`Driver::recent`] for whoever took a turn just before.
    pub fn fill(&mut self, driver: &mut Driver, now: Instant) {
        let before = self.events.len();
        driver.stack.poll_events(now, OCTETS, &mut self.events);
        driver.note_entered(self.events.range(before..));
        driver.act(); // links that waited for the application may be read again
    }

    /// Whether a runtime that counts what its tasks do may leave the next event uncounted: all but every sixteenth.
    pub fn is_cheap(&self) -> bool {
        !self.events.len().is_multiple_of(16)
    }

    /// Whether there is nothing to pop now.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether the last event was taken.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// No more will come.
    pub fn close(&mut self) {
        self.over = true;
    }
}
