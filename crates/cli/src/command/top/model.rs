//! What is known of the network, and what the user wants to see of it. It is told what happens and when, and knows no clock.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use atonce::PeerId;
use atonce::wire::Text;
use atonce::zre::{Event, Presence};
use atonce_std::PeerInfo;
use clap::ValueEnum;

use super::rate::Rate;
use crate::escape::escaped;
use crate::words;

/// How many lines of what happened are kept.
const LOG: usize = 500;

/// How many groups rates are kept of: more than anybody looks at.
const GROUPS: usize = 4_096;

/// By what peers are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By name.
    #[default]
    Name,
    /// The least lively first.
    State,
    /// The slowest first.
    Latency,
    /// Who says most messages first.
    Messages,
    /// Who says most octets first.
    Octets,
    /// Who is in most groups first.
    Groups,
    /// Who came last first.
    Age,
}

impl Sort {
    /// The next one, for a key.
    const fn next(self) -> Self {
        match self {
            Self::Name => Self::State,
            Self::State => Self::Latency,
            Self::Latency => Self::Messages,
            Self::Messages => Self::Octets,
            Self::Octets => Self::Groups,
            Self::Groups => Self::Age,
            Self::Age => Self::Name,
        }
    }
}

/// This node.
#[derive(Clone, Debug, Default)]
pub(super) struct Me {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) endpoints: Vec<String>,
}

/// What was said, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) messages: Rate,
    /// Of content.
    pub(super) octets: Rate,
}

impl Said {
    fn count(&mut self, now: Duration, octets: usize) {
        self.messages.count(now, 1);
        self.octets
            .count(now, u64::try_from(octets).unwrap_or(u64::MAX));
    }
}

/// A peer.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// As the node knows it.
    pub(super) info: PeerInfo,
    /// Since when it is here.
    pub(super) since: Duration,
    /// What it said to this node.
    pub(super) said: Said,
    /// When it is to be asked how long it takes to answer.
    due: Duration,
}

/// A group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group<'a> {
    pub(super) name: &'a Text,
    /// Peers in it.
    pub(super) members: usize,
    /// This node is in it.
    pub(super) ours: bool,
    /// Messages in a second that were shouted to it, as far as they came here.
    pub(super) rate: f64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) words: String,
    /// It is to be looked at.
    pub(super) bad: bool,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Character(char),
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Enter,
    Escape,
    Erase,
    /// Ctrl-C and its like.
    Quit,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) me: Me,
    /// The time since the beginning.
    pub(super) now: Duration,
    peers: BTreeMap<PeerId, Row>,
    /// The groups of this node.
    own: BTreeSet<Text>,
    /// What was shouted to each group.
    shouted: BTreeMap<Text, Rate>,
    log: VecDeque<Line>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// The filter is typed now.
    pub(super) typing: bool,
    pub(super) help: bool,
    /// What one peer says about itself is shown.
    pub(super) details: bool,
    /// Messages are among what happened.
    pub(super) messages: bool,
    selected: Option<PeerId>,
    /// The node is stopped, or the user wants to leave.
    pub(super) over: bool,
}

impl Model {
    /// Of a node that just started.
    pub(super) fn new(me: Me, sort: Sort, filter: String) -> Self {
        Self {
            me,
            sort,
            filter,
            ..Self::default()
        }
    }

    // ---- what happens

    /// Time went on.
    pub(super) fn tick(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    /// Something happened.
    pub(super) fn hear(&mut self, now: Duration, event: &Event) {
        self.tick(now);
        let now = self.now;
        let mut bad = false;
        match event {
            Event::Enter { peer } => {
                let info = PeerInfo {
                    peer: peer.clone(),
                    groups: Vec::new(),
                    presence: Presence::Ready,
                    round_trip: None,
                    key: None,
                    user_id: None,
                };
                let row = Row {
                    info,
                    since: now,
                    said: Said::default(),
                    due: now,
                };
                self.peers.insert(peer.id, row);
            }
            Event::Evasive { peer } => bad = self.presence(peer.id, Presence::Evasive),
            Event::Silent { peer } => bad = self.presence(peer.id, Presence::Silent),
            Event::Recovered { peer } => {
                self.presence(peer.id, Presence::Ready);
            }
            Event::Join { peer, group } => {
                if let Some(row) = self.peers.get_mut(&peer.id)
                    && let Err(place) = row.info.groups.binary_search(group)
                {
                    row.info.groups.insert(place, group.clone());
                }
            }
            Event::Leave { peer, group } => {
                if let Some(row) = self.peers.get_mut(&peer.id) {
                    row.info.groups.retain(|other| other != group);
                }
            }
            Event::Whisper { peer, content } => {
                if let Some(row) = self.peers.get_mut(&peer.id) {
                    row.said.count(now, content.octets());
                }
            }
            Event::Shout {
                peer,
                group,
                content,
            } => {
                if let Some(row) = self.peers.get_mut(&peer.id) {
                    row.said.count(now, content.octets());
                }
                if let Some(rate) = self.shouted.get_mut(group) {
                    rate.count(now, 1);
                } else if self.shouted.len() < GROUPS {
                    let mut rate = Rate::default();
                    rate.count(now, 1);
                    self.shouted.insert(group.clone(), rate);
                }
            }
            Event::Exit { peer, reason } => {
                self.peers.remove(&peer.id);
                bad = !matches!(reason, atonce::ExitReason::Left);
            }
            Event::InterfaceDown { .. } | Event::Impostor { .. } => bad = true,
            Event::Stopped => self.over = true,
            _ => {}
        }
        let message = matches!(event, Event::Whisper { .. } | Event::Shout { .. });
        if message && !self.messages {
            return;
        }
        if let Some(words) = words::event(event) {
            let words = anstream::adapter::strip_str(&words).to_string();
            self.note(words, bad);
        }
    }

    /// Something is to be known that is no event.
    pub(super) fn note(&mut self, words: String, bad: bool) {
        if self.log.len() >= LOG {
            self.log.pop_front();
        }
        let at = self.now;
        self.log.push_back(Line { at, words, bad });
    }

    /// It is lively or not; tells that it is to be looked at.
    fn presence(&mut self, id: PeerId, presence: Presence) -> bool {
        if let Some(row) = self.peers.get_mut(&id) {
            row.info.presence = presence;
        }
        presence != Presence::Ready
    }

    /// What the node knows now. Peers that it tells nothing of yet are left to their events.
    pub(super) fn look(
        &mut self,
        peers: Vec<PeerInfo>,
        own: impl IntoIterator<Item = Text>,
        endpoints: Vec<String>,
    ) {
        for info in peers {
            if let Some(row) = self.peers.get_mut(&info.peer.id) {
                row.info = info;
            }
        }
        self.own = own.into_iter().collect();
        self.me.endpoints = endpoints;
    }

    /// Whom to ask now how long the answer takes; each again after `every`.
    pub(super) fn due(&mut self, every: Duration) -> Vec<PeerId> {
        let now = self.now;
        let mut due = Vec::new();
        for (id, row) in &mut self.peers {
            if row.due <= now {
                row.due = now + every;
                due.push(*id);
            }
        }
        due
    }

    // ---- what is shown

    /// The peers that are to be shown, in their order.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self
            .peers
            .values()
            .filter(|row| self.is_shown(row))
            .collect();
        rows.sort_by(|a, b| {
            let order = self.compare(a, b);
            let order = if self.reversed {
                order.reverse()
            } else {
                order
            };
            // Of two that are alike the order is always the same.
            order
                .then_with(|| a.info.peer.name.cmp(&b.info.peer.name))
                .then_with(|| a.info.peer.id.cmp(&b.info.peer.id))
        });
        rows
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let rate = |rate: &Rate, row: &Row| rate.per_second(self.now, row.since);
        match self.sort {
            Sort::Name => a.info.peer.name.cmp(&b.info.peer.name),
            Sort::State => state_rank(b.info.presence).cmp(&state_rank(a.info.presence)),
            Sort::Latency => b.info.round_trip.cmp(&a.info.round_trip),
            Sort::Messages => rate(&b.said.messages, b).total_cmp(&rate(&a.said.messages, a)),
            Sort::Octets => rate(&b.said.octets, b).total_cmp(&rate(&a.said.octets, a)),
            Sort::Groups => b.info.groups.len().cmp(&a.info.groups.len()),
            Sort::Age => b.since.cmp(&a.since),
        }
    }

    /// Whether the filter is in anything of a peer that is shown.
    fn is_shown(&self, row: &Row) -> bool {
        let filter = self.filter.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&filter);
        let peer = &row.info.peer;
        filter.is_empty()
            || holds(&words::plain_name(peer))
            || holds(&peer.endpoint.to_str_lossy())
            || holds(&peer.id.to_string())
            || holds(row.info.presence.as_str())
            || row
                .info
                .groups
                .iter()
                .any(|group| holds(&group.to_str_lossy()))
    }

    /// How many peers there are, whether they are shown or not.
    pub(super) fn count(&self) -> usize {
        self.peers.len()
    }

    /// How many of them are not ready.
    pub(super) fn doubted(&self) -> usize {
        let peers = self.peers.values();
        peers
            .filter(|row| row.info.presence != Presence::Ready)
            .count()
    }

    /// Messages and octets that come in a second, from all.
    pub(super) fn rates(&self) -> (f64, f64) {
        let now = self.now;
        let of = |row: &Row| {
            let messages = row.said.messages.per_second(now, row.since);
            (messages, row.said.octets.per_second(now, row.since))
        };
        let rates = self.peers.values().map(of);
        rates.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d))
    }

    /// All groups, by name.
    pub(super) fn groups(&self) -> Vec<Group<'_>> {
        let mut members: BTreeMap<&Text, usize> = self.own.iter().map(|group| (group, 0)).collect();
        for group in self.peers.values().flat_map(|row| &row.info.groups) {
            *members.entry(group).or_default() += 1;
        }
        let groups = members.into_iter();
        groups
            .map(|(name, members)| Group {
                name,
                members,
                ours: self.own.contains(name),
                rate: self
                    .shouted
                    .get(name)
                    .map_or(0.0, |rate| rate.per_second(self.now, Duration::ZERO)),
            })
            .collect()
    }

    /// What happened, the last last.
    pub(super) fn log(&self) -> &VecDeque<Line> {
        &self.log
    }

    /// Which of the rows is marked.
    pub(super) fn marked(&self, rows: &[&Row]) -> Option<usize> {
        let selected = self.selected?;
        rows.iter().position(|row| row.info.peer.id == selected)
    }

    // ---- what the user wants

    /// A key was pressed.
    pub(super) fn press(&mut self, key: Key) {
        if key == Key::Quit {
            self.over = true;
        } else if self.help {
            self.help = false;
        } else if self.typing {
            self.typed(key);
        } else {
            self.command(key);
        }
    }

    /// A key for the filter.
    fn typed(&mut self, key: Key) {
        match key {
            // No more than fits any screen, and nothing that would not be seen.
            Key::Character(character) if self.filter.len() < 64 && !character.is_control() => {
                self.filter.push(character);
            }
            Key::Erase => {
                self.filter.pop();
            }
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.filter.clear();
                self.typing = false;
            }
            _ => {}
        }
    }

    fn command(&mut self, key: Key) {
        const PAGE: isize = 10;
        match key {
            Key::Character('q') => self.over = true,
            Key::Character('?' | 'h') => self.help = true,
            Key::Character('/') => self.typing = true,
            Key::Character('s') => self.sort = self.sort.next(),
            Key::Character('r') => self.reversed = !self.reversed,
            Key::Character('m') => self.messages = !self.messages,
            Key::Character('c') => self.log.clear(),
            Key::Up | Key::Character('k') => self.mark(|at, _| at - 1),
            Key::Down | Key::Character('j') => self.mark(|at, _| at + 1),
            Key::PageUp => self.mark(|at, _| at - PAGE),
            Key::PageDown => self.mark(|at, _| at + PAGE),
            Key::First => self.mark(|_, _| 0),
            Key::Last => self.mark(|_, count| count),
            Key::Enter => {
                if self.selected.is_none() {
                    self.mark(|_, _| 0);
                }
                self.details = !self.details;
            }
            Key::Escape => {
                self.details = false;
                self.selected = None;
                self.filter.clear();
            }
            _ => {}
        }
    }

    /// Marks another row; the first when none is marked.
    fn mark(&mut self, step: impl FnOnce(isize, isize) -> isize) {
        let rows = self.rows();
        let count = isize::try_from(rows.len()).unwrap_or(isize::MAX);
        let at = self.marked(&rows).and_then(|at| isize::try_from(at).ok());
        let to = at
            .map_or(0, |at| step(at, count))
            .clamp(0, count.saturating_sub(1).max(0));
        let to = usize::try_from(to).unwrap_or_default();
        let selected = rows.get(to).map(|row| row.info.peer.id);
        self.selected = selected;
    }
}

/// The livelier the lower.
const fn state_rank(presence: Presence) -> u8 {
    match presence {
        Presence::Ready => 0,
        Presence::Evasive => 1,
        Presence::Silent => 2,
    }
}

/// The groups of a peer in words.
pub(super) fn groups_of(row: &Row) -> String {
    let groups = row.info.groups.iter();
    let groups: Vec<_> = groups.map(|group| escaped(&group.to_str_lossy())).collect();
    groups.join(", ")
}

/// A round trip in words.
pub(super) fn latency(round_trip: Option<Duration>) -> String {
    let Some(time) = round_trip else {
        return "-".into();
    };
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1e3 => format!("{micros:.0} µs"),
        1e3..1e4 => format!("{:.2} ms", micros / 1e3),
        1e4..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// A rate with three digits or so: `0`, `4.2`, `1.3k`.
pub(super) fn short(rate: f64) -> String {
    match rate {
        ..0.05 => "0".into(),
        ..99.95 => format!("{rate:.1}"),
        ..999.5 => format!("{rate:.0}"),
        ..99_950.0 => format!("{:.1}k", rate / 1e3),
        ..999_500.0 => format!("{:.0}k", rate / 1e3),
        ..99_950_000.0 => format!("{:.1}M", rate / 1e6),
        ..999_500_000.0 => format!("{:.0}M", rate / 1e6),
        _ => format!("{:.1}G", rate / 1e9),
    }
}
