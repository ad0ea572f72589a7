//! What a collector hears.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::wire::log::{Level, NodeTag, Record};
use crate::wire::{Frames, Malformed, Text};
use crate::{Event, Instant, PeerId};

/// For how long somebody can still be named who is gone: what others say about that is on its way.
const LINGERS: Duration = Duration::from_secs(60);

/// What it may cost to be a collector.
///
/// ```
/// use atonce::log::collector::Config;
///
/// assert_eq!(Config::default().sources, 4_096);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Nodes of which it is counted what they say: 4,096.
    // LOG-31
    pub sources: usize,
    /// Peers that can be named, and lately could: 8,192.
    pub names: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sources: 4_096,
            names: 8_192,
        }
    }
}

/// Why a message is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRecord {
    /// It is somebody else's.
    #[error("it is no message of ZRE/LOG")]
    Foreign,
    /// It does not follow the grammar.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What one node said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// Records of all levels.
    pub records: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Of these, warnings.
    pub warnings: u64,
    /// When the last one came.
    pub last: Instant,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Records that came.
    pub records: u64,
    /// Of these, those of nodes for which there was no room to be counted.
    pub uncounted: u64,
    /// Messages that were malformed.
    pub malformed: u64,
    /// Messages that were somebody else's.
    pub foreign: u64,
}

#[derive(Debug)]
struct Named {
    name: Text,
    gone: Option<Instant>,
}

/// Reads what comes over a SUB, counts who says how much, and says who that probably is. [The module](super) has an example.
///
/// A node that is a collector gives it the events of its peers. Without them it names nobody.
#[derive(Debug)]
pub struct Collector {
    config: Config,
    sources: BTreeMap<NodeTag, Source>,
    names: BTreeMap<(NodeTag, PeerId), Named>,
    counters: Counters,
}

impl Collector {
    /// One that heard nothing.
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            sources: BTreeMap::new(),
            names: BTreeMap::new(),
            counters: Counters {
                records: 0,
                uncounted: 0,
                malformed: 0,
                foreign: 0,
            },
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// See [`NoRecord`]: it is counted, and nothing else changed.
    pub fn handle_message(&mut self, now: Instant, message: &Frames) -> Result<Record, NoRecord> {
        // LOG-3
        let frame = message.first().filter(|frame| Record::is_ours(frame));
        let Some(frame) = frame else {
            // LOG-1
            self.counters.foreign += 1;
            return Err(NoRecord::Foreign);
        };
        let record = Record::decode(frame).inspect_err(|_| {
            // LOG-32
            self.counters.malformed += 1;
        })?;
        self.counters.records += 1;
        self.count(now, &record);
        Ok(record)
    }

    /// Something happened to the node that is this collector: who enters can be named.
    pub fn handle_event(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Enter { peer } => {
                if self.names.len() >= self.config.names {
                    self.names.retain(|_, named| is_named(named, now));
                }
                // A peer that entered again may be the one that is gone.
                let key = (NodeTag::of(peer.endpoint.as_bytes()), peer.id);
                if self.names.len() < self.config.names || self.names.contains_key(&key) {
                    let name = peer.name.clone();
                    self.names.insert(key, Named { name, gone: None });
                }
            }
            Event::Exit { peer, .. } => {
                let key = (NodeTag::of(peer.endpoint.as_bytes()), peer.id);
                if let Some(named) = self.names.get_mut(&key) {
                    named.gone = Some(now);
                }
            }
            _ => {}
        }
    }

    /// Who that probably is: the name of the one peer that is here, or was a minute ago, with this number. `None`: nobody is known with it, or several are.
    // LOG-33
    pub fn name(&self, now: Instant, node: NodeTag) -> Option<&Text> {
        let least = PeerId::from_bytes([0; 16]);
        let most = PeerId::from_bytes([0xFF; 16]);
        let with_it = self.names.range((node, least)..=(node, most));
        let mut with_it = with_it.filter(|(_, named)| is_named(named, now));
        let (_, named) = with_it.next()?;
        with_it.next().is_none().then_some(&named.name)
    }

    /// What each node said so far, in the order of their numbers.
    pub fn sources(&self) -> impl Iterator<Item = (NodeTag, &Source)> {
        self.sources.iter().map(|(node, source)| (*node, source))
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    // LOG-31
    fn count(&mut self, now: Instant, record: &Record) {
        let known = self.sources.contains_key(&record.node);
        if !known && self.sources.len() >= self.config.sources {
            self.counters.uncounted += 1;
            return;
        }
        let source = self.sources.entry(record.node).or_insert(Source {
            records: 0,
            errors: 0,
            warnings: 0,
            last: now,
        });
        source.records += 1;
        source.errors += u64::from(record.level == Level::ERROR);
        source.warnings += u64::from(record.level == Level::WARNING);
        source.last = now;
    }
}

fn is_named(named: &Named, now: Instant) -> bool {
    named.gone.is_none_or(|gone| now - gone < LINGERS)
}
