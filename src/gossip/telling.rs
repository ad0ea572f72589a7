//! What the application is still to be told.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use super::table::{Entry, State, Table};
use super::{End, Event};
use crate::wire::gossip::{Key, Value};

/// The most events that wait beside those of tuples.
const EVENTS: usize = 1_024;

/// What is told of tuples follows from what was told and what holds.
#[derive(Debug, Default)]
pub(super) struct Telling {
    notes: VecDeque<Note>,
    /// Those of the notes that are about tuples.
    noted: BTreeSet<Key>,
    /// What the application knows of the tuples of others.
    told: BTreeMap<Key, Value>,
}

#[derive(Debug)]
enum Note {
    Tuple(Key),
    Event(Event),
}

impl Telling {
    /// Something changed about a tuple, perhaps.
    // GOS-73
    pub(super) fn note(&mut self, key: &Key) {
        if self.noted.insert(key.clone()) {
            self.notes.push_back(Note::Tuple(key.clone()));
        }
    }

    /// Something else happened. Whether there was room for it.
    pub(super) fn tell(&mut self, event: Event) -> bool {
        let room = self.notes.len() - self.noted.len() < EVENTS;
        if room {
            self.notes.push_back(Note::Event(event));
        }
        room
    }

    pub(super) fn poll(&mut self, table: &Table) -> Option<Event> {
        while let Some(note) = self.notes.pop_front() {
            match note {
                Note::Event(event) => return Some(event),
                Note::Tuple(key) => {
                    self.noted.remove(&key);
                    if let Some(event) = self.of_tuple(key, table) {
                        return Some(event);
                    }
                }
            }
        }
        None
    }

    fn of_tuple(&mut self, key: Key, table: &Table) -> Option<Event> {
        let entry = table.get(&key);
        if entry.is_some_and(Entry::is_published) {
            self.told.remove(&key);
            return None;
        }
        let live = entry.filter(|entry| entry.state == State::Live);
        let Some(value) = live.map(|entry| entry.value.clone()) else {
            let before = self.told.remove(&key)?;
            let is_void = entry.is_some_and(|entry| entry.state == State::Void);
            let end = if is_void {
                End::Unpublished
            } else {
                End::Expired
            };
            return Some(Event::Unpublished { key, before, end });
        };
        match self.told.insert(key.clone(), value.clone()) {
            None => Some(Event::Published { key, value }),
            Some(before) if before == value => None,
            Some(before) => Some(Event::Changed { key, value, before }),
        }
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self, table: &Table) {
        for (key, entry) in table.iter() {
            let live = entry.state == State::Live && !entry.is_published();
            let current = live.then_some(&entry.value);
            assert!(
                self.noted.contains(key) || self.told.get(key) == current,
                "not told of {key:?}: {entry:?}"
            );
        }
        for key in self.told.keys() {
            assert!(self.noted.contains(key) || table.get(key).is_some());
        }
    }
}
