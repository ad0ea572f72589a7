//! What is remembered of peers that are gone.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::keys::Key;
use crate::net::LinkId;
use crate::{Instant, PeerId};

/// An endpoint with the key that is said to be there: what comes of one key says nothing about another (ZRE-119).
pub(crate) type Place = (SocketAddr, Option<Key>);

/// The most peers that are remembered: a quarter of a MiB, whatever the network sends.
const REMEMBERED: usize = 2_048;

/// A peer that comes and goes more often than this within [`FLAP_WINDOW`] is dialled with growing pauses.
const FREE_EXITS: u32 = 2;

/// Exits further apart than this do not count as flapping.
const FLAP_WINDOW: Duration = Duration::from_secs(60);

/// The longest pause before a flapping peer is dialled again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long the HELLO of a flapping peer has to wait: half a second. It proves more than a beacon, and datagrams alone can make
/// an honest peer greet again and again.
const ENTRY_PAUSE: Duration = Duration::from_millis(500);

/// How long an endpoint that never answered is left alone.
const SHUN: Duration = Duration::from_secs(60);

/// A peer that was here for less than this counts for its address as one that came and went.
const BRIEF: Duration = Duration::from_secs(2);

/// So many may come from an address and go without consequences; one more may every [`DRAINED`].
const FREE_LIVES: u32 = 20;
const DRAINED: Duration = Duration::from_secs(1);

/// For each beyond these a newcomer from there waits so much longer, at most [`LONGEST_WAIT`].
const WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Those who came from an address and went at once.
#[derive(Clone, Copy, Debug)]
struct Brief {
    lives: u32,
    /// As of when: one of them is forgotten every [`DRAINED`].
    since: Instant,
}

impl Brief {
    fn now(self, now: Instant) -> Self {
        let drained = (now - self.since).as_secs() / DRAINED.as_secs();
        let drained = u32::try_from(drained).unwrap_or(u32::MAX);
        Self {
            lives: self.lives.saturating_sub(drained),
            since: self.since + DRAINED * drained.min(self.lives),
        }
    }
}

/// What is known of a peer that was here.
#[derive(Clone, Copy, Debug)]
struct Memory {
    exited: Instant,
    exits: u32,
    /// Hints at this address are not followed before `until`: a late beacon must not revive who said goodbye.
    tombstone: Option<(SocketAddr, Instant)>,
    wraps_early: bool,
    /// The newest link on which it ever spoke.
    newest: Option<LinkId>,
}

/// Peers that are gone, so that a late beacon does not revive them, a flapping one does not keep the node busy,
/// and the convention of their sequence numbers is known when they return.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    peers: BTreeMap<PeerId, Memory>,
    /// Endpoints that never answered, and until when they are not dialled.
    shunned: BTreeMap<Place, Instant>,
    /// Endpoints that were given up before they answered: how often they were tried, and until when that counts.
    failures: BTreeMap<Place, (u32, Instant)>,
    /// Addresses from which somebody came who was gone at once.
    brief: BTreeMap<IpAddr, Brief>,
}

impl Past {
    /// Remembers that a peer left. `tombstone`: how long hints about it at this address are ignored.
    pub(crate) fn bury(
        &mut self,
        now: Instant,
        id: PeerId,
        address: SocketAddr,
        tombstone: Option<Duration>,
        wraps_early: bool,
    ) {
        let memory = self.memory(now, id);
        if now - memory.exited > FLAP_WINDOW {
            memory.exits = 0;
        }
        memory.exits = memory.exits.saturating_add(1);
        memory.exited = now;
        memory.tombstone = tombstone.map(|pause| (address, now + pause));
        memory.wraps_early |= wraps_early;
    }

    /// Remembers that one left who had come from there at `entered`.
    // ZRE-28
    pub(crate) fn note_life(&mut self, now: Instant, from: IpAddr, entered: Instant) {
        if now - entered >= BRIEF {
            return;
        }
        if self.brief.len() >= REMEMBERED {
            self.brief.retain(|_, brief| brief.now(now).lives > 0);
        }
        if self.brief.len() >= REMEMBERED && !self.brief.contains_key(&from) {
            return;
        }
        let brief = self.brief.entry(from);
        let brief = brief.or_insert(Brief {
            lives: 0,
            since: now,
        });
        *brief = brief.now(now);
        if brief.lives == 0 {
            brief.since = now;
        }
        // More would only keep those out who come when it is over.
        brief.lives = (brief.lives + 1).min(2 * FREE_LIVES);
    }

    /// Until when one has to wait who was never here and comes from an address where others come and go.
    // ZRE-28
    pub(crate) fn newcomer_at(&self, now: Instant, id: PeerId, from: IpAddr) -> Option<Instant> {
        let lives = self.brief.get(&from)?.now(now).lives;
        let beyond = lives.checked_sub(FREE_LIVES).filter(|beyond| *beyond > 0)?;
        let is_new = !self.peers.contains_key(&id);
        is_new.then(|| now + (WAIT * beyond).min(LONGEST_WAIT))
    }

    /// Remembers that the peer wraps its sequence 65534→0.
    pub(crate) fn note_early(&mut self, now: Instant, id: PeerId) {
        self.memory(now, id).wraps_early = true;
    }

    fn memory(&mut self, now: Instant, id: PeerId) -> &mut Memory {
        if self.peers.len() >= REMEMBERED && !self.peers.contains_key(&id) {
            let oldest = self.peers.iter().min_by_key(|(_, memory)| memory.exited);
            if let Some((&oldest, _)) = oldest {
                self.peers.remove(&oldest);
            }
        }
        self.peers.entry(id).or_insert(Memory {
            exited: now,
            exits: 0,
            tombstone: None,
            wraps_early: false,
            newest: None,
        })
    }

    /// Remembers on which link a peer that is buried spoke last.
    pub(crate) fn spoke_on(&mut self, id: PeerId, link: LinkId) {
        if let Some(memory) = self.peers.get_mut(&id) {
            memory.newest = memory.newest.max(Some(link));
        }
    }

    /// The newest link on which the peer spoke before it went.
    pub(crate) fn newest(&self, id: PeerId) -> Option<LinkId> {
        self.peers.get(&id).and_then(|memory| memory.newest)
    }

    /// Remembers that an endpoint never answered.
    pub(crate) fn shun(&mut self, now: Instant, place: Place) {
        self.shunned.retain(|_, until| now < *until);
        if self.shunned.len() < REMEMBERED {
            self.shunned.insert(place, now + SHUN);
        }
    }

    /// An endpoint answered after all.
    pub(crate) fn answered(&mut self, place: Place) {
        self.shunned.remove(&place);
        self.failures.remove(&place);
    }

    /// Whether an endpoint never answered, not long ago.
    pub(crate) fn is_shunned(&self, now: Instant, place: Place) -> bool {
        self.shunned.get(&place).is_some_and(|until| now < *until)
    }

    /// Remembers how often an endpoint was tried in vain, so that who names it again, or another and then it again, does
    /// not begin anew.
    pub(crate) fn note_failures(&mut self, now: Instant, place: Place, failures: u32) {
        self.failures.retain(|_, (_, until)| now < *until);
        if self.failures.len() < REMEMBERED {
            self.failures.insert(place, (failures, now + SHUN));
        }
    }

    /// How often an endpoint was tried in vain before it was given up, not long ago.
    pub(crate) fn failures(&self, now: Instant, place: Place) -> u32 {
        self.failures
            .get(&place)
            .filter(|(_, until)| now < *until)
            .map_or(0, |(failures, _)| *failures)
    }

    /// Whether a hint about the peer at this place is to be followed.
    pub(crate) fn may_dial(&self, now: Instant, id: PeerId, place: Place) -> bool {
        if self.is_shunned(now, place) {
            return false;
        }
        let Some(memory) = self.peers.get(&id) else {
            return true;
        };
        let buried = memory
            .tombstone
            .is_some_and(|(grave, until)| grave == place.0 && now < until);
        !buried && now >= memory.exited + pause(memory.exits)
    }

    /// Whether the peer comes and goes so often that even its own HELLO is refused.
    pub(crate) fn is_storming(&self, now: Instant, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|memory| {
            memory.exits > 2 * FREE_EXITS && now < memory.exited + pause(memory.exits)
        })
    }

    /// Until when it has to wait, where that is not done.
    // ZRE-24
    pub(crate) fn let_in_at(&self, now: Instant, id: PeerId) -> Option<Instant> {
        let memory = self.peers.get(&id)?;
        let at = memory.exited + ENTRY_PAUSE;
        (memory.exits > 2 * FREE_EXITS && now < at).then_some(at)
    }

    /// The last exit of the peer is not held against it.
    pub(crate) fn forgive(&mut self, id: PeerId) {
        if let Some(memory) = self.peers.get_mut(&id) {
            memory.exits = memory.exits.saturating_sub(1);
        }
    }

    /// Whether it would be, if it went now.
    pub(crate) fn would_storm(&self, now: Instant, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|memory| {
            now - memory.exited <= FLAP_WINDOW && memory.exits >= 2 * FREE_EXITS
        })
    }

    /// Whether no more is remembered than may be.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn is_bounded(&self) -> bool {
        self.peers.len() <= REMEMBERED
            && self.shunned.len() <= REMEMBERED
            && self.brief.len() <= REMEMBERED
    }

    /// Whether the peer was seen to wrap its sequence 65534→0.
    pub(crate) fn wraps_early(&self, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|memory| memory.wraps_early)
    }
}

/// 0 for the first exits, then 0.5 s, 1 s, 2 s … 30 s.
fn pause(exits: u32) -> Duration {
    match exits.checked_sub(FREE_EXITS + 1) {
        None => Duration::ZERO,
        Some(doublings) => {
            (Duration::from_millis(500) * 2_u32.pow(doublings.min(6))).min(LONGEST_PAUSE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: PeerId = PeerId::from_bytes([7; 16]);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn place(port: u16) -> Place {
        (address(port), None)
    }

    #[test]
    fn a_late_beacon_does_not_revive_who_said_goodbye() {
        // ZRE-42
        let mut past = Past::default();
        let now = Instant::from_millis(1_000);
        past.bury(now, ID, address(1), Some(Duration::from_secs(3)), false);
        assert!(!past.may_dial(now + Duration::from_secs(2), ID, place(1)));
        assert!(past.may_dial(now + Duration::from_secs(2), ID, place(2)));
        assert!(past.may_dial(now + Duration::from_secs(3), ID, place(1)));
    }

    #[test]
    fn a_peer_that_comes_and_goes_is_dialled_with_growing_pauses() {
        // ZRE-24
        let mut past = Past::default();
        let mut now = Instant::from_millis(1_000);
        let mut pauses = alloc::vec::Vec::new();
        for _ in 0..12 {
            past.bury(now, ID, address(1), None, false);
            let start = now;
            while !past.may_dial(now, ID, place(1)) {
                now += Duration::from_millis(500);
            }
            pauses.push((now - start).as_millis());
        }
        assert_eq!(pauses[..6], [0, 0, 500, 1_000, 2_000, 4_000]);
        assert_eq!(pauses[11], 30_000);
        assert!(!past.is_storming(now, ID));
    }

    #[test]
    fn where_others_come_and_go_newcomers_wait_and_nobody_else() {
        // ZRE-28
        let mut past = Past::default();
        let (here, there) = (address(1).ip(), IpAddr::from([10, 0, 0, 2]));
        let mut now = Instant::from_millis(1_000);
        for n in 0..100 {
            past.note_life(now, here, now);
            past.note_life(now + BRIEF, there, now);
            let waits = past.newcomer_at(now, ID, here);
            assert_eq!(waits.is_some(), n >= 20, "after {n}");
        }
        assert_eq!(past.newcomer_at(now, ID, here), Some(now + LONGEST_WAIT));
        assert_eq!(past.newcomer_at(now, ID, there), None);
        past.bury(now, ID, address(1), None, false);
        assert_eq!(past.newcomer_at(now, ID, here), None, "known");
        let other = PeerId::from_bytes([8; 16]);
        now += Duration::from_secs(18);
        assert!(past.newcomer_at(now, other, here).is_some());
        now += Duration::from_secs(3);
        assert_eq!(past.newcomer_at(now, other, here), None, "it is over");
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten() {
        let mut past = Past::default();
        for n in 0..3_000_u32 {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&n.to_be_bytes());
            let now = Instant::from_millis(u64::from(n));
            past.bury(now, PeerId::from_bytes(octets), address(1), None, true);
        }
        assert_eq!(past.peers.len(), REMEMBERED);
        assert!(!past.wraps_early(PeerId::from_bytes([0; 16])));
    }
}
