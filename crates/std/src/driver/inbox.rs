//! Events on their way from the core to the application.

use std::collections::VecDeque;

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

/// The most events taken at once.
const EVENTS: usize = 128;

/// No more are taken when these have this much content, in octets.
const OCTETS: usize = 1024 * 1024;

impl Inbox {
    /// The next event that was taken.
    pub fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::Stopped) {
            self.over = true;
        }
        Some(event)
    }

    /// Takes some of what the driver has. Afterwards the driver may [want a turn](Driver::wants_turn).
    pub fn fill(&mut self, driver: &mut Driver) {
        let now = driver.clock.now();
        let mut octets = 0;
        while self.events.len() < EVENTS
            && octets < OCTETS
            && let Some(event) = driver.poll_event_at(now)
        {
            if let Event::Whisper { content, .. } | Event::Shout { content, .. } = &event {
                octets += content.octets();
            }
            self.events.push_back(event);
        }
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
