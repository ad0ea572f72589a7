//! What a monitor is told, against what happened.

use alloc::collections::{BTreeMap, BTreeSet};

use super::puppet::Wire;
use crate::net::LinkId;
use crate::socket::{Counters, Event, Socket, Why};

/// How far a link is, as far as was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Dialled,
    Made,
    Ready,
}

#[derive(Debug, Default)]
pub(super) struct Told {
    links: BTreeMap<LinkId, Stage>,
    /// Those that were there at any time.
    names: BTreeSet<LinkId>,
    /// Peers that got through their handshake.
    peers: u64,
    /// Who was turned away.
    refused: u64,
    denied: u64,
    failed: u64,
    /// Messages that were told to be lost, and as many as the counters had when the socket began to close.
    lost: u64,
    lost_at_close: Option<u64>,
    closed: bool,
}

impl Told {
    pub(super) fn closing(&mut self, counters: &Counters) {
        self.lost_at_close.get_or_insert(counters.messages_lost);
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn hear(&mut self, event: Event, closing: bool) {
        assert!(!self.closed, "{event:?} after the last one");
        match event {
            Event::Connecting { link, .. } => self.begin(link, Stage::Dialled),
            Event::Accepted { link, .. } => self.begin(link, Stage::Made),
            Event::Connected { link, .. } => self.pass(link, Stage::Dialled, Stage::Made),
            Event::Ready { link, .. } => {
                self.peers += 1;
                self.pass(link, Stage::Made, Stage::Ready);
            }
            Event::Turned { why, .. } => {
                assert!(matches!(why, Why::TooManyLinks | Why::TooManyUnready));
                self.refused += 1;
            }
            Event::Disconnected {
                link,
                was_ready,
                why,
                lost,
                ..
            } => {
                let stage = self.links.remove(&link);
                assert!(stage.is_some(), "{link} is not there");
                assert_eq!(was_ready, stage == Some(Stage::Ready), "{link}");
                match why {
                    Why::IdentityTaken | Why::PairTaken => self.refused += 1,
                    Why::Denied => self.denied += 1,
                    Why::Failed(_) => self.failed += 1,
                    _ => {}
                }
                if !closing {
                    self.lost += lost as u64;
                }
            }
            // Also while it closes: that was the application's decision.
            Event::Released { lost, .. } | Event::GivenUp { lost, .. } => self.lost += lost as u64,
            Event::Closed { lost } => {
                assert!(self.links.is_empty(), "{:?}", self.links);
                self.closed = true;
                self.lost += lost as u64;
            }
            _ => {}
        }
    }

    fn begin(&mut self, link: LinkId, stage: Stage) {
        assert!(self.names.insert(link), "{link} was told of before");
        self.links.insert(link, stage);
    }

    fn pass(&mut self, link: LinkId, from: Stage, to: Stage) {
        let before = self.links.insert(link, to);
        assert_eq!(before, Some(from), "{link}");
    }

    pub(super) fn check(&self, socket: &Socket, wires: &BTreeMap<LinkId, Wire>) {
        assert!(self.links.keys().eq(wires.keys()), "{:?}", self.links);
        for (link, stage) in &self.links {
            let made = wires.get(link).is_some_and(|wire| wire.made);
            assert_eq!(made, *stage != Stage::Dialled, "{link}");
        }
        let ready = |link| self.links.get(&link) == Some(&Stage::Ready);
        assert!(socket.peers().all(|peer| ready(peer.link)));
        let counters = socket.counters();
        assert_eq!(counters.events_lost, 0);
        assert_eq!(counters.peers, self.peers);
        // A link that is about to end is counted and not told yet.
        assert!(counters.refused >= self.refused);
        assert!(counters.denied >= self.denied);
        assert!(counters.failed >= self.failed);
        if self.lost_at_close.is_none() || self.closed {
            assert_eq!(counters.messages_lost, self.lost, "lost without a word");
        }
    }
}
