//! What is the same of a shout on threads and in tasks.

use std::sync::OnceLock;

use atonce_std::{Event, PeerId};

use crate::{SHOUTER, Shouting, Watch};

/// One of those who hear it.
#[derive(Debug)]
pub struct Ear<'a> {
    /// How many ears there are.
    total: usize,
    /// How many others it met.
    others: usize,
    shouter: Option<PeerId>,
    shouting: Option<Shouting>,
    heard: usize,
    /// Begins when the first of all ears hears something.
    watch: &'a OnceLock<Watch>,
}

impl<'a> Ear<'a> {
    /// One of so many.
    #[must_use]
    pub fn new(total: usize, watch: &'a OnceLock<Watch>) -> Self {
        Self {
            total,
            others: 0,
            shouter: None,
            shouting: None,
            heard: 0,
            watch,
        }
    }

    /// What happened at its node; to whom it has something to whisper, and what.
    ///
    /// # Panics
    ///
    /// Somebody is gone, or does not do as agreed.
    pub fn handle(&mut self, event: Event) -> Option<(PeerId, &'static str)> {
        match event {
            Event::Enter { peer } => {
                if peer.name == SHOUTER {
                    self.shouter = Some(peer.id);
                }
                self.others += 1;
                // The other ears, and the shouter.
                let all = self.others == self.total;
                all.then(|| (self.shouter.expect("it is among them"), "here"))
            }
            Event::Shout { peer, content, .. } => {
                let Some(shouting) = self.shouting else {
                    self.shouting = Some(Shouting::announced(&content[0]));
                    self.watch.get_or_init(Watch::start);
                    return None;
                };
                self.heard += 1;
                let answered = shouting.is_answered(self.heard);
                answered.then_some((peer.id, "heard"))
            }
            Event::Exit { peer, reason } => panic!("{} is gone: {reason}", peer.name),
            _ => None,
        }
    }

    /// How many shouts it heard, once it heard all.
    #[must_use]
    pub fn is_done(&self) -> Option<usize> {
        let all = self.shouting.is_some_and(|it| it.count == self.heard);
        all.then_some(self.heard)
    }
}
