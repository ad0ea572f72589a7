//! What holds between any two calls, checked by the fuzzer and by tests.
#![allow(clippy::panic)] // that is how they are told

use alloc::collections::BTreeSet;

use super::peers::{EVENTS, Peers};
use super::pipe::{Origin, Pipe, PipeId};
use super::{Action, Kind, Socket, Timer};

impl Socket {
    /// Panics when the tables contradict each other or go over their limits.
    pub(crate) fn check_invariants(&self) {
        let peers = &self.peers;
        assert!(peers.gone.is_empty(), "the pattern was not told");
        assert!(peers.accepted <= peers.config.links);
        assert!(peers.unready <= peers.config.unready_links);
        let (mut accepted, mut unready) = (0, 0);
        for (name, entry) in peers.pipes.iter() {
            let pipe = PipeId(name);
            assert_eq!(entry.link.is_some(), entry.connection.is_some(), "{name}");
            assert_eq!(entry.ready, peers.ready.contains(&pipe), "{name} is ready");
            if let Some(link) = entry.link {
                assert_eq!(peers.pipe_of(link), Some(pipe));
                assert_eq!(
                    link != name,
                    peers.redialled.contains_key(&link),
                    "the names of {name}"
                );
            }
            match entry.origin {
                Origin::Connect(connect) => {
                    let known = peers.connects.get(&connect) == Some(&pipe);
                    assert_eq!(known, !entry.released, "{connect}");
                    let waits = peers.timers.get(Timer::Retry(connect)).is_some();
                    assert_eq!(
                        waits,
                        entry.link.is_none() && !entry.released,
                        "when {connect} is dialled"
                    );
                }
                Origin::Listener(_) => {
                    accepted += 1;
                    unready += usize::from(entry.link.is_some() && !entry.greeted);
                    assert!(entry.link.is_some() || entry.pending_messages() > 0);
                }
            }
            let queued: usize = entry.queue.iter().map(crate::Frames::octets).sum();
            assert_eq!(entry.queue_octets, queued, "the queue of {name}");
            let leftover: usize = entry.leftover.iter().map(crate::Frames::octets).sum();
            assert_eq!(entry.leftover_octets, leftover, "what is left of {name}");
            if !peers.closing {
                let pending = entry.pending_messages() > 0;
                assert!(!entry.in_fair || pending, "{name} has nothing to give");
                let ends = entry.ending.is_some();
                // SOCK-55
                let passed_over = peers.kind == Kind::Rep && !entry.has_room(&peers.config);
                assert!(
                    !pending || entry.in_fair || ends || passed_over,
                    "{name} is forgotten"
                );
            }
            if let Some(connection) = &entry.connection
                && entry.ending.is_none()
            {
                let wanted = connection.poll_timeout().map(|(at, _)| at);
                assert!(
                    wanted.is_none_or(|at| entry.deadline.is_some_and(|set| set <= at)),
                    "{name} is called too late"
                );
                assert!(
                    !entry.connected || connection.queued_octets() == 0 || entry.signalled,
                    "nobody knows that {name} has to send"
                );
            }
            if let (Some(_), Some(link)) = (&entry.ending, entry.link) {
                assert!(
                    peers.timers.get(Timer::Linger(link)).is_some(),
                    "the end of {name}"
                );
            }
            let full = !peers
                .config
                .receive
                .has_room(entry.pending_messages(), entry.pending_octets());
            let held = peers.held.contains(&pipe);
            assert!(!(full && entry.ready) || entry.paused, "{name} is read");
            assert!(!held || entry.paused, "{name} is read though held");
        }
        assert_eq!((accepted, unready), (peers.accepted, peers.unready));
        assert_eq!(peers.redialled.len(), {
            let renamed = |(name, link)| Some(name) != link && link.is_some();
            let links = peers.pipes.iter().map(|(name, entry)| (name, entry.link));
            links.filter(|pair| renamed(*pair)).count()
        });
        for ring in [&peers.fair, &peers.balance] {
            let places: BTreeSet<PipeId> = ring.iter().copied().collect();
            assert_eq!(places.len(), ring.len(), "somebody stands in it twice");
        }
        for pipe in &peers.balance {
            let entry = peers.pipes.get(pipe.0);
            assert!(entry.is_some_and(|entry| entry.in_balance));
        }
        for pipe in &peers.fair {
            let entry = peers.pipes.get(pipe.0);
            assert!(entry.is_some_and(|entry| entry.in_fair));
        }
        let timed = peers.timers.keys().filter_map(|timer| match timer {
            Timer::Connection(link) | Timer::Linger(link) => Some(link),
            _ => None,
        });
        for link in timed {
            assert!(peers.pipe_of(link).is_some(), "{link} is gone");
        }
        if peers.closed {
            assert!(peers.pipes.is_empty() && peers.timers.next().is_none());
        }
        // Said once at a time.
        let mut told = BTreeSet::new();
        for action in &peers.actions {
            if let Action::Dial { link, .. } = action {
                assert!(told.insert(*link), "{link} is dialled twice");
            }
        }
    }
}

impl Socket {
    /// Panics when anything that is held of peers goes over its limit, but for what came with one reading. `reading`: the most octets that
    /// were handed in at once.
    pub(crate) fn check_bounds(&self, reading: usize) {
        self.peers.check_bounds(reading);
    }
}

impl Peers {
    fn check_bounds(&self, reading: usize) {
        for (link, pipe) in self.pipes.iter() {
            self.check_pipe(PipeId(link), pipe, reading);
        }
        assert!(
            self.events.len() <= EVENTS + 1,
            "{} events",
            self.events.len()
        );
        let ready = self.pipes.iter().filter(|(_, pipe)| pipe.ready);
        let ready: BTreeSet<PipeId> = ready.map(|(link, _)| PipeId(link)).collect();
        assert!(self.held.is_subset(&ready), "{:?}", self.held);
        if self.closed {
            assert!(self.closing && self.listeners.is_empty());
        } else if self.closing {
            assert!(self.timers.get(Timer::Close).is_some(), "nothing ends it");
        }
    }

    fn check_pipe(&self, id: PipeId, pipe: &Pipe, reading: usize) {
        let is_through = pipe.greeted && pipe.ending.is_none();
        assert_eq!(pipe.ready, is_through, "{id:?}");
        assert!(pipe.link.is_some() || !(pipe.connected || pipe.greeted || pipe.paused));
        assert!(
            pipe.ending.is_none() || pipe.link.is_some(),
            "{id:?} ends without a link"
        );
        if !pipe.queue.is_empty() && !pipe.patient && !pipe.ready {
            assert!(pipe.ending.is_some(), "{id:?} queues for nobody");
        }
        let balances = matches!(self.kind, Kind::Push | Kind::Dealer | Kind::Req);
        if balances && !self.closing && pipe.has_room(&self.config) {
            assert!(pipe.in_balance, "{id:?} has room, and nobody knows of it");
        }
        let (send, receive) = (self.config.send, self.config.receive);
        let queued = pipe.queued_messages();
        assert!(queued <= send.messages, "{id:?} queues {queued}");
        // A frame has two octets at least.
        let pending = pipe.pending_messages();
        assert!(
            pending <= receive.messages + reading / 2,
            "{id:?} keeps {pending}"
        );
        let most = receive.octets + self.config.limits.message_octets + reading;
        let octets = pipe.pending_octets();
        assert!(octets <= most, "{id:?} keeps {octets} octets");
    }
}
