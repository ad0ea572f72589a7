//! Several keys that are told for one endpoint (ZRE-119 of `spec/zre.md`): all but one lie, or are of the past.
//!
//! Without keys there are none.

use core::net::SocketAddr;
use core::time::Duration;

use tracing::debug;

use super::deadlines::Due;
use super::dial::{Dial, HINT, Owner, State};
use super::keys::Key;
use super::node::Node;
use crate::{Instant, PeerId};

/// The most other keys that wait for their turn at one endpoint.
const RIVALS: usize = 4;

/// The least pause before another key is tried at an endpoint, so that who tells of ever new keys makes nobody a nuisance to
/// whoever is there: 100 ms.
const TURN: Duration = Duration::from_millis(100);

/// A key that is told for an endpoint which is dialled with another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    key: Option<Key>,
    /// Who should be there.
    expect: Option<PeerId>,
    /// How often it was tried in vain, in a row.
    failures: u32,
    /// When somebody last said so.
    hinted: Instant,
}

impl Rival {
    /// What is told of the key with which a dial is made now.
    fn of(dial: &Dial) -> Self {
        Self {
            key: dial.key(),
            expect: dial.expect,
            failures: dial.failures,
            hinted: dial.hinted,
        }
    }
}

impl Node {
    /// A beacon leads to an endpoint that is dialled with another key than the one in it. Who is there is found out by trying
    /// both in turn.
    pub(super) fn note_rival(
        &mut self,
        now: Instant,
        address: SocketAddr,
        uuid: PeerId,
        key: Option<Key>,
    ) {
        let failures = self.past.failures(now, (address, key));
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        if dial.up().is_some() || dial.persistent {
            // The other key is there, or the application says so.
            return self.refuse_beacon();
        }
        let rivals = &mut dial.keyring().rivals;
        let mut known = rivals.iter_mut();
        if let Some(rival) = known.find(|rival| rival.key == key) {
            rival.hinted = now;
            rival.expect = Some(uuid);
            return;
        }
        let mut full = None;
        if rivals.len() >= RIVALS {
            // One that had its try gives way to one that may have had none.
            let worst = rivals.iter().enumerate();
            let worst = worst.max_by_key(|(_, rival)| rival.failures);
            full = worst.map(|(at, rival)| (at, rival.failures));
            if full.is_some_and(|(_, most)| most <= failures) {
                self.counters.hints_refused += 1;
                return;
            }
        }
        if !self.is_useful(key) {
            return self.refuse_beacon();
        }
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        let rivals = &mut dial.keyring().rivals;
        if let Some((at, _)) = full {
            rivals.remove(at);
        }
        rivals.push(Rival {
            key,
            expect: Some(uuid),
            failures,
            hinted: now,
        });
        let tried = dial.state == State::Waiting && dial.failures > 0;
        if tried {
            self.next_key(now, address);
        }
    }

    /// The try of an endpoint with one key failed: gives the next key its turn. `false` when there is no other.
    pub(super) fn next_key(&mut self, now: Instant, address: SocketAddr) -> bool {
        let limit = self.config.limits.dial_attempts;
        let Some(dial) = self.dials.get_mut(address) else {
            return false;
        };
        if dial.persistent && dial.owner == Owner::Nobody && dial.key() != dial.wanted() {
            // Who greeted with another key is not there, or gone.
            let (place, failures) = (dial.place(address), dial.failures);
            dial.keyring().key = dial.wanted();
            dial.failures = 1;
            self.past.note_failures(now, place, failures);
            return false;
        }
        let Some(keyring) = &mut dial.keyring else {
            return false;
        };
        keyring.rivals.retain(|rival| now - rival.hinted <= HINT);
        if dial.persistent || dial.owner != Owner::Nobody || dial.rivals().is_empty() {
            return false;
        }
        // ZRE-119
        let before = Rival::of(dial);
        let place = dial.place(address);
        let forgotten = dial.is_forgotten(now);
        let mut rivals = core::mem::take(&mut dial.keyring().rivals);
        let next = rivals.remove(0);
        if before.failures < limit && !forgotten {
            rivals.push(before);
        } else if before.failures > 0 {
            self.past.note_failures(now, place, before.failures);
        }
        debug!(%address, key = ?next.key, "another key has its turn");
        let mut anew = Dial::new(now, dial.source, next.key);
        anew.failures = next.failures;
        anew.hinted = next.hinted;
        anew.keyring().rivals = rivals;
        let pause = if next.failures > 0 {
            anew.pause()
        } else {
            TURN
        };
        let link = dial.link();
        self.dials.insert(address, anew);
        if let Some(id) = before.expect
            && self.expected.get(&id) == Some(&address)
        {
            self.expected.remove(&id);
        }
        if let Some(id) = next.expect {
            self.expect(address, id);
        }
        if let Some(link) = link {
            self.close(link);
        }
        let pause = self.jitter(pause);
        self.timers.set(Due::Dial(address), now + pause);
        true
    }

    /// One who greets with a key names an endpoint that may be dialled with another: what was proved counts more than a rumour,
    /// which has its turn later. `false` when it is known that another is there.
    pub(super) fn make_way(
        &mut self,
        now: Instant,
        address: SocketAddr,
        remote: SocketAddr,
        key: Option<Key>,
    ) -> bool {
        let Some(dial) = self.dials.get(address).filter(|dial| dial.key() != key) else {
            return true;
        };
        match dial.owner {
            // That is a doubt about a peer.
            Owner::Peer(_) => return true,
            Owner::Greeted { peer, link } if dial.state == State::Waiting => {
                // It did not get there.
                debug!(%address, %peer, "somebody else greets from there");
                self.greeted.remove(&peer);
                self.dials.own(address, Owner::Nobody);
                self.close(link);
            }
            Owner::Greeted { .. } => return true,
            Owner::Nobody if dial.up().is_some() => return false,
            Owner::Nobody => {}
        }
        // ZRE-119
        // From another machine it is one more rumour, which is not tried more often than others.
        let place = (address, key);
        let last = self.config.limits.dial_attempts.saturating_sub(1);
        let failures = match address.ip() == remote.ip() {
            true if self.past.is_shunned(now, place) => last,
            true => 0,
            false => self.past.failures(now, place).min(last),
        };
        self.rekey(now, address, key, failures);
        true
    }

    /// Dials an endpoint at once with another key from now on, which was tried so often.
    pub(super) fn rekey(
        &mut self,
        now: Instant,
        address: SocketAddr,
        key: Option<Key>,
        failures: u32,
    ) {
        let limit = self.config.limits.dial_attempts;
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        let before = Rival::of(dial);
        let place = dial.place(address);
        let persistent = dial.persistent;
        let keyring = dial.keyring();
        keyring.rivals.retain(|rival| rival.key != key);
        let waits = before.failures < limit && keyring.rivals.len() < RIVALS;
        if waits && !persistent {
            keyring.rivals.push(before);
        }
        keyring.key = key;
        let link = dial.link();
        dial.cut(now);
        dial.greeted_at = None;
        dial.failures = failures;
        dial.refusals = 0;
        dial.hinted = now;
        if let Some(id) = dial.expect.take()
            && self.expected.get(&id) == Some(&address)
        {
            self.expected.remove(&id);
        }
        if before.failures > 0 {
            self.past.note_failures(now, place, before.failures);
        }
        if let Some(link) = link {
            self.close(link);
        }
        self.begin_dial(now, address);
    }
}
