//! What the tester knows of everybody, and what it found.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use atonce::Instant;

use crate::NodeId;

/// How long a missing message may be unexplained.
const EXPLAINED: Duration = Duration::from_secs(60);

/// An identity that the tester gave to a process. A process that is started anew may have the identity of an earlier one.
pub(super) type Serial = u32;

/// Everything that is shared by the guests, the tap and the plan.
pub(super) type Shared = Rc<RefCell<Findings>>;

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Stopped,
    Killed,
    PoweredOff,
}

#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The first thing that was wrong, and with whom.
    pub(super) broken: Option<(String, Vec<NodeId>)>,
    /// When a process with this identity was started last.
    pub(super) started: BTreeMap<Serial, Instant>,
    /// When and how a process with this identity ended last.
    pub(super) ended: BTreeMap<Serial, (Instant, How)>,
    /// Which process has an identity now.
    pub(super) lives: BTreeMap<Serial, NodeId>,
    /// Messages of a session that did not arrive, from whom to whom: the sender has to be told.
    missing: BTreeMap<(Serial, Serial), (u32, Instant)>,
    /// The last session of which the sender was told that it ended.
    told: BTreeMap<(Serial, Serial), u32>,
    /// From the start of the later one to ENTER.
    pub(super) meeting: Vec<Duration>,
    /// From the end of a process to EXIT, by how it ended.
    pub(super) noticing: [Vec<Duration>; 3],
    pub(super) said: u64,
    pub(super) heard: u64,
    pub(super) enters: u64,
    pub(super) exits: u64,
    pub(super) exits_of_the_living: u64,
    /// An EXIT of one that is alive is something wrong.
    pub(super) steadfast: bool,
    pub(super) on_wire: u64,
}

impl Findings {
    /// Nothing yet.
    pub(super) fn new(steadfast: bool) -> Self {
        Self {
            steadfast,
            ..Self::default()
        }
    }

    /// Something is wrong. Only the first counts: the rest may come of it.
    pub(super) fn fail(&mut self, what: String, nodes: &[NodeId]) {
        if self.broken.is_none() {
            self.broken = Some((what, nodes.to_vec()));
        }
    }

    /// The node of an identity.
    pub(super) fn node(&self, serial: Serial) -> Option<NodeId> {
        self.lives.get(&serial).copied()
    }

    /// Messages from one to the other are missing.
    pub(super) fn miss(&mut self, now: Instant, from: Serial, to: Serial, session: u32) {
        if self
            .told
            .get(&(from, to))
            .is_none_or(|told| *told < session)
        {
            self.missing.entry((from, to)).or_insert((session, now));
        }
    }

    /// A session ended in the eyes of the one who said things in it.
    pub(super) fn tell(&mut self, from: Serial, to: Serial, session: u32) {
        self.told.insert((from, to), session);
        if let Some((missing, _)) = self.missing.get(&(from, to))
            && *missing <= session
        {
            self.missing.remove(&(from, to));
        }
    }

    /// Nobody has to be told any more.
    pub(super) fn forget(&mut self, serial: Serial) {
        self.missing.retain(|(from, _), _| *from != serial);
        self.told
            .retain(|(from, to), _| *from != serial && *to != serial);
    }

    /// Fails when somebody was not told for too long.
    pub(super) fn check_missing(&mut self, now: Instant, patience: Option<Duration>) {
        let patience = patience.unwrap_or(EXPLAINED);
        let unexplained = self
            .missing
            .iter()
            .find(|(_, (_, since))| now - *since >= patience);
        if let Some((&(from, to), (session, since))) = unexplained {
            let nodes: Vec<_> = [from, to].iter().filter_map(|it| self.node(*it)).collect();
            let what = format!(
                "messages of session {session} from {from} to {to} are missing since {since}, and nobody was told"
            );
            self.fail(what, &nodes);
        }
    }
}
