//! What is due, and when: the deadlines of a node, and what is done when one comes (ZRE-53 of `spec/zre.md`).

use core::net::SocketAddr;
use core::time::Duration;

use tracing::debug;

use super::node::Node;
use crate::net::LinkId;
use crate::{Instant, PeerId};

/// Who is called so late was asleep (a stopped process, a machine out of breath): nobody could tell it anything.
const OVERSLEPT: Duration = Duration::from_millis(500);

/// What a deadline of the node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Due {
    Beacon,
    /// The next directed beacon to this address.
    Partner(SocketAddr),
    /// Of all peers that have no deadline of their own for it, see `Node::sweep`.
    Sweep,
    Presence(PeerId),
    Challenge(PeerId),
    Overrun(PeerId),
    Dial(SocketAddr),
    Hello(LinkId),
    Target(usize),
    /// A tuple is followed anew, or its look-up takes too long.
    Tuple(PeerId),
    /// Of the election with this number.
    Election(u32),
    Goodbye,
}

impl Due {
    const fn timer(self) -> Timer {
        match self {
            Self::Beacon | Self::Partner(_) => Timer::Beacon,
            Self::Sweep | Self::Presence(_) => Timer::Presence,
            Self::Challenge(_) => Timer::Challenge,
            Self::Overrun(_) => Timer::Overrun,
            Self::Dial(_) | Self::Tuple(_) => Timer::Dial,
            Self::Hello(_) => Timer::Hello,
            Self::Target(_) => Timer::Resolve,
            Self::Election(_) => Timer::Election,
            Self::Goodbye => Timer::Goodbye,
        }
    }
}

/// What the next deadline of a node is for.
///
/// ```
/// use atonce::zre::{Config, Node, Timer};
/// use atonce::Instant;
///
/// let node = Node::new(Instant::ZERO, [7; 32], Config::default());
/// assert_eq!(node.poll_timeout(), Some((Instant::from_millis(1_000), Timer::Beacon)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The next beacon, to all or to one.
    Beacon,
    /// A peer was silent for some time: it is asked, or gone. Or it is time to look whether one was.
    Presence,
    /// A doubt about a peer was not answered.
    Challenge,
    /// A peer's queue was full for too long.
    Overrun,
    /// The next try to dial somebody, or the end of one.
    Dial,
    /// A link did not say HELLO in time.
    Hello,
    /// The look-up of a host name takes too long, or the next one.
    Resolve,
    /// The next step of an election.
    Election,
    /// All is sent; the goodbye comes a moment later.
    Goodbye,
}

impl Node {
    /// When [`handle_timeout`](Node::handle_timeout) is to be called at the latest, and what for.
    #[must_use]
    #[inline]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.timers.next().map(|(at, due)| (at, due.timer()))
    }

    /// The moment of [`poll_timeout`](Node::poll_timeout) alone.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// Does what is due by now.
    ///
    /// The time by which the call comes later than [`poll_timeout`](Node::poll_timeout) asked for is not held against
    /// anybody: what peers said meanwhile waits in sockets that were not read.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late = self
            .timers
            .next()
            .map_or(Duration::ZERO, |(at, _)| now - at);
        if late >= OVERSLEPT {
            self.overslept(now, late);
        }
        while let Some(due) = self.timers.pop_due(now) {
            match due {
                Due::Beacon => {
                    self.timers.set(Due::Beacon, now + self.config.interval);
                    self.broadcast(|interface| interface.port);
                }
                Due::Partner(address) => self.partner_due(now, address),
                Due::Sweep => self.sweep(now),
                Due::Presence(id) => self.presence_due(now, id),
                Due::Challenge(id) => self.challenge_due(now, id),
                Due::Overrun(id) => self.overrun_due(now, id),
                Due::Dial(address) => self.dial_due(now, address),
                Due::Hello(link) => self.hello_due(now, link),
                Due::Target(index) => self.target_due(now, index),
                Due::Tuple(id) => self.tuple_due(now, id),
                Due::Election(number) => self.election_due(now, number),
                Due::Goodbye => self.say_goodbye(),
            }
        }
    }

    /// As if the clock had stood still, except for what the node does by itself.
    // ZRE-53
    fn overslept(&mut self, now: Instant, late: Duration) {
        debug!(%now, ?late, "overslept");
        self.timers.delay(late, |due| {
            !matches!(
                due,
                Due::Beacon | Due::Partner(_) | Due::Target(_) | Due::Tuple(_)
            )
        });
        self.peers.for_each(|record| {
            record.heard = (record.heard + late).min(now);
            record.spoke = (record.spoke + late).min(now);
            if let Some(challenge) = &mut record.challenge {
                challenge.since = (challenge.since + late).min(now);
            }
        });
        if self.timers.get(Due::Sweep).is_some() {
            // Who was heard of while the clock stood still is missed from now on, and not from so much later on.
            self.timers.advance(Due::Sweep, now);
        }
    }
}
