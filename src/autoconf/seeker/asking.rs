//! When a client asks, and for what.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::super::about;
use super::{Due, Seeker};
use crate::Instant;
use crate::wire::autoconf::ServiceName;

/// The pauses between two questions, while the answer is wanting. The last one lasts.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];
/// No two questions for the same are nearer to each other.
const APART: Duration = Duration::from_millis(500);
/// How often whoever seeks every service asks when it begins: it never knows whether it knows all.
const LOOKS: u32 = 3;

/// What is sought.
#[derive(Debug)]
struct Sought {
    /// `None`: whatever there is.
    service: Option<ServiceName>,
    /// When it was asked last.
    asked: Option<Instant>,
    /// How often it was asked since the answer is wanting.
    times: usize,
    /// How often it is asked still whatever is known.
    looks: u32,
    /// A question waits for the embedder.
    owed: bool,
}

/// All that is sought, each at its place.
#[derive(Debug)]
pub(super) struct Asking {
    sought: Vec<Sought>,
    /// The places of the questions that wait, each once.
    owed: VecDeque<usize>,
}

impl Asking {
    pub(super) fn new(services: Vec<ServiceName>) -> Self {
        let sought = |service: Option<ServiceName>| Sought {
            looks: if service.is_none() { LOOKS } else { 0 },
            service,
            asked: None,
            times: 0,
            owed: false,
        };
        let sought = if services.is_empty() {
            Vec::from([sought(None)])
        } else {
            services.into_iter().map(Some).map(sought).collect()
        };
        Self {
            sought,
            owed: VecDeque::new(),
        }
    }

    pub(super) fn places(&self) -> Range<usize> {
        0..self.sought.len()
    }

    /// Where this is sought, if it is.
    pub(super) fn place_of(&self, service: &ServiceName) -> Option<usize> {
        let mut sought = self.sought.iter();
        sought.position(|sought| {
            sought
                .service
                .as_ref()
                .is_none_or(|wanted| wanted == service)
        })
    }

    /// The next question for the embedder: for a service, or for all.
    pub(super) fn next_owed(&mut self) -> Option<Option<ServiceName>> {
        let sought = self.sought.get_mut(self.owed.pop_front()?)?;
        sought.owed = false;
        Some(sought.service.clone())
    }
}

impl Seeker {
    /// Something there is not in order any more: it is asked at `at`, and then more seldom.
    pub(super) fn worry(&mut self, at: Instant, place: usize) {
        let Some(sought) = self.asking.sought.get_mut(place) else {
            return;
        };
        sought.times = 0;
        // AUTO-32
        let at = sought.asked.map_or(at, |asked| at.max(asked + APART));
        self.timers.advance(Due::Query(place), at);
    }

    /// It is asked whatever is known.
    pub(super) fn look_around(&mut self, now: Instant, place: usize) {
        if let Some(sought) = self.asking.sought.get_mut(place) {
            sought.looks = sought.looks.max(1);
        }
        self.worry(now, place);
    }

    /// Asks unless all is known and in order.
    pub(super) fn ask_if_needed(&mut self, now: Instant, place: usize) {
        let Some(sought) = self.asking.sought.get_mut(place) else {
            return;
        };
        let mut of_it = self.servers.values().filter(|entry| entry.place == place);
        let is_known = sought.service.is_none() || of_it.clone().next().is_some();
        let all_in_order = of_it.all(super::Entry::is_in_order);
        if is_known && all_in_order && sought.looks == 0 {
            sought.times = 0;
            return;
        }
        self.ask(now, place);
    }

    /// Asks, and sees when to ask again.
    pub(super) fn ask(&mut self, now: Instant, place: usize) {
        let Some(sought) = self.asking.sought.get_mut(place) else {
            return;
        };
        sought.asked = Some(now);
        sought.looks = sought.looks.saturating_sub(1);
        if !core::mem::replace(&mut sought.owed, true) {
            self.asking.owed.push_back(place);
        }
        // AUTO-32
        let last = PAUSES.len() - 1;
        let pause = PAUSES.get(sought.times.min(last)).copied();
        sought.times = sought.times.saturating_add(1);
        let pause = about(&mut self.rng, pause.unwrap_or(APART));
        self.timers.set(Due::Query(place), now + pause);
    }
}
