//! Keys: who may speak for an identity in a secure network, and who is asked whether they may come in (ZRE-110 to ZRE-121 of
//! `spec/zre.md`).
//!
//! Without the feature `curve`, and in a node that is not secure, nobody has a key, and all of this says yes.

#[cfg(feature = "curve")]
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
#[cfg(feature = "curve")]
use alloc::collections::BTreeSet;
#[cfg(feature = "curve")]
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::node::Node;
use super::record::Record;
use crate::net::LinkId;
use crate::wire::zre::Hello;
use crate::wire::{Beacon, Headers, Malformed};
use crate::{Instant, PeerId};

#[cfg(feature = "curve")]
use tracing::debug;

#[cfg(feature = "curve")]
use super::dial::{Owner, State};
#[cfg(feature = "curve")]
use super::inbound::Role;
#[cfg(feature = "curve")]
use super::record::Claim;
#[cfg(feature = "curve")]
use super::{Action, Event, ExitReason};
#[cfg(feature = "curve")]
use crate::curve::{PublicKey, sealing::SharedKey};
#[cfg(feature = "curve")]
use crate::net::Cut;
#[cfg(feature = "curve")]
use crate::verdict::{Denial, Verdict};
#[cfg(feature = "curve")]
use crate::wire::{Expected, Found, LongText, Text};

/// The public key of somebody.
#[cfg(feature = "curve")]
pub(crate) type Key = PublicKey;

/// Nobody has one.
#[cfg(not(feature = "curve"))]
pub(crate) type Key = core::convert::Infallible;

/// Who somebody is.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) key: Key,
    /// As whom the embedder let the owner of the key in.
    #[cfg(feature = "curve")]
    pub(super) user_id: Option<Text>,
}

/// The header of HELLO with the key of whoever says it, as C Zyre has it, which dials that key.
#[cfg(feature = "curve")]
const HEADER: &str = "X-PUBLICKEY";

/// How long an identity stays with the key of a peer that left: an hour.
const HOLD: Duration = Duration::from_secs(3_600);

/// For how many that left this is remembered: a quarter of a MiB, whoever comes and goes.
const HELD: usize = 2_048;

/// An impostor is told of so often.
#[cfg(feature = "curve")]
const TELL: Duration = Duration::from_secs(60);

/// The most impostors that are told of within that time, and that wait for the application.
#[cfg(feature = "curve")]
const TOLD: usize = 64;

/// Keys of the past.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// With which key an identity is whose peer left, and until when.
    held: BTreeMap<PeerId, Held>,
    /// Impostors that the application was told of, and when it may be told again.
    #[cfg(feature = "curve")]
    told: BTreeMap<(PeerId, Key), Instant>,
    /// Dials about which the embedder is asked.
    #[cfg(feature = "curve")]
    pub(super) asked: BTreeMap<LinkId, SocketAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    key: Key,
    until: Instant,
}

impl Keys {
    /// The key of the peer that left under this identity.
    fn holder(&self, now: Instant, id: PeerId) -> Option<Key> {
        let held = self.held.get(&id).filter(|held| now < held.until);
        held.map(|held| held.key)
    }

    /// The peer left: its identity stays with its key for a while.
    fn hold(&mut self, now: Instant, id: PeerId, key: Key) {
        // ZRE-117
        if self.held.len() >= HELD && !self.held.contains_key(&id) {
            self.held.retain(|_, held| now < held.until);
        }
        if self.held.len() >= HELD && !self.held.contains_key(&id) {
            let mut counts = BTreeMap::<Key, usize>::new();
            for held in self.held.values() {
                *counts.entry(held.key).or_default() += 1;
            }
            let most = counts.into_iter().max_by_key(|(_, count)| *count);
            let of_most = self
                .held
                .iter()
                .filter(|(_, held)| most.is_some_and(|(key, _)| key == held.key));
            let oldest = of_most
                .min_by_key(|(_, held)| held.until)
                .map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.held.remove(&oldest);
            }
        }
        let until = now + HOLD;
        self.held.insert(id, Held { key, until });
    }

    /// Whether no more is remembered than may be.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn is_bounded(&self) -> bool {
        #[cfg(feature = "curve")]
        let told = self.told.len();
        #[cfg(not(feature = "curve"))]
        let told = 0;
        self.held.len() <= HELD && told <= 64
    }
}

/// What a key is to an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may speak for it, as far as others with the same key let it.
    Good,
    /// The peer is here by the word of a bridge, and this is the key of the peer itself.
    Precedes,
    /// The identity is with this other key.
    Refused {
        holder: Key,
        /// That is no wonder: a bridge speaks for one that is here by itself, or by another bridge.
        bridge: bool,
    },
}

/// A beacon is from another kind of network, or nobody can own its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit;

impl Node {
    /// Whether the node has keys, and so whoever it deals with has to have one.
    #[cfg(feature = "curve")]
    pub(super) const fn is_secure(&self) -> bool {
        self.config.curve.is_some()
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn is_secure(&self) -> bool {
        false
    }

    /// Our own key, as it stands in our beacons.
    // ZRE-7, ZRE-110
    #[cfg(feature = "curve")]
    pub(super) fn own_key(&self) -> Option<[u8; 32]> {
        let curve = self.config.curve.as_ref()?;
        Some(*curve.keys.public().as_bytes())
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn own_key(&self) -> Option<[u8; 32]> {
        None
    }

    /// The key in a beacon, unless the beacon means nothing to this node.
    #[cfg(feature = "curve")]
    #[inline]
    pub(super) fn key_in(&self, beacon: &Beacon) -> Result<Option<Key>, Unfit> {
        match beacon.key {
            // ZRE-2, ZRE-110
            key if key.is_some() != self.is_secure() => Err(Unfit),
            // ZRE-111
            Some(key) if key == [0; 32] => Err(Unfit),
            key => Ok(key.map(Key::from_bytes)),
        }
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn key_in(&self, beacon: &Beacon) -> Result<Option<Key>, Unfit> {
        match beacon.key {
            None => Ok(None),
            Some(_) => Err(Unfit),
        }
    }

    /// Whether one with this key, or without, is of the same kind of network as this node.
    // ZRE-110, ZRE-111
    #[cfg(feature = "curve")]
    pub(super) fn is_fit(&self, key: Option<Key>) -> bool {
        key.is_some() == self.is_secure() && key != Some(Key::from_bytes([0; 32]))
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn is_fit(&self, _key: Option<Key>) -> bool {
        true
    }

    /// Whether anybody can own a key. Takes as long as half a handshake.
    // ZRE-111
    #[cfg(feature = "curve")]
    pub(super) fn is_useful(&self, key: Option<Key>) -> bool {
        let (Some(curve), Some(key)) = (&self.config.curve, key) else {
            return true;
        };
        SharedKey::new(curve.keys.secret(), &key).is_some()
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn is_useful(&self, _key: Option<Key>) -> bool {
        true
    }

    /// Adds our key to the headers of HELLO.
    #[cfg(feature = "curve")]
    pub(super) fn put_key(&self, headers: &mut Headers) {
        use alloc::string::ToString;

        // ZRE-113
        if let Some(curve) = &self.config.curve
            && let Ok(name) = Text::try_from(HEADER)
            && let Ok(value) = LongText::try_from(curve.keys.public().to_string())
        {
            headers.insert(name, value);
        }
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    pub(super) const fn put_key(&self, _headers: &mut Headers) {}

    /// Whether HELLO names the key that its link proved.
    #[cfg(feature = "curve")]
    pub(super) fn check_key(key: Option<Key>, hello: &Hello) -> Result<(), Malformed> {
        use alloc::string::ToString;

        let Some(key) = key else {
            return Ok(());
        };
        let expected = Expected::What("the key of the link in X-PUBLICKEY");
        // ZRE-113
        let found = match hello.headers.get(HEADER) {
            Some(value) if value.as_bytes() == key.to_string().as_bytes() => return Ok(()),
            Some(_) => "another",
            None => "none",
        };
        let found = Found::What(found);
        Err(Malformed::new("HELLO.headers", expected, found))
    }

    #[cfg(not(feature = "curve"))]
    pub(super) fn check_key(_key: Option<Key>, _hello: &Hello) -> Result<(), Malformed> {
        Ok(())
    }

    #[cfg(feature = "curve")]
    fn is_bridge(&self, key: Key) -> bool {
        let curve = self.config.curve.as_ref();
        curve.is_some_and(|curve| curve.bridges.contains(&key))
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    const fn is_bridge(&self, key: Key) -> bool {
        match key {}
    }

    #[cfg(feature = "curve")]
    fn bound(&self, id: PeerId) -> Option<Key> {
        let curve = self.config.curve.as_ref()?;
        curve.bindings.get(&id).copied()
    }

    #[cfg(not(feature = "curve"))]
    #[expect(clippy::unused_self, reason = "with the feature it looks")]
    const fn bound(&self, _id: PeerId) -> Option<Key> {
        None
    }

    /// What a key is to an identity.
    pub(super) fn standing(&self, now: Instant, id: PeerId, key: Option<Key>) -> Standing {
        let Some(key) = key else {
            return Standing::Good;
        };
        let refused = |holder, bridge| Standing::Refused { holder, bridge };
        let bridge = self.is_bridge(key);
        let present = self.peers.get(&id).and_then(Record::key);
        match present {
            // ZRE-115
            Some(present) if present == key => return Standing::Good,
            // ZRE-116, ZRE-118
            Some(present) if bridge || !self.is_bridge(present) => return refused(present, bridge),
            // ZRE-118
            None if bridge => return Standing::Good,
            _ => {}
        }
        // ZRE-116
        match self.bound(id).or_else(|| self.keys.holder(now, id)) {
            Some(holder) if holder != key => refused(holder, false),
            _ if present.is_some() => Standing::Precedes,
            _ => Standing::Good,
        }
    }

    /// A peer left that had proved this key.
    pub(super) fn remember_key(&mut self, now: Instant, id: PeerId, key: Option<Key>) {
        // ZRE-116
        // What a bridge says holds for nobody but itself (ZRE-118).
        if let Some(key) = key.filter(|key| !self.is_bridge(*key)) {
            self.keys.hold(now, id, key);
        }
    }
}

#[cfg(not(feature = "curve"))]
impl Node {
    #[expect(clippy::unused_self, reason = "with the feature it asks")]
    pub(super) const fn ask(&self, _link: LinkId, key: Key, _address: SocketAddr) {
        match key {}
    }

    #[expect(clippy::unused_self, reason = "with the feature it refuses")]
    pub(super) const fn refuse(
        &self,
        _now: Instant,
        _link: LinkId,
        _id: PeerId,
        holder: Key,
        _bridge: bool,
    ) {
        match holder {}
    }
}

#[cfg(feature = "curve")]
impl Node {
    /// From now on an identity stays with a key for good, as those in [`Curve::bindings`](super::Curve::bindings) do. Who is here
    /// under it with another key stays. Does nothing when the node is not secure.
    pub fn bind(&mut self, id: PeerId, key: PublicKey) {
        if let Some(curve) = &mut self.config.curve {
            curve.bindings.insert(id, key);
        }
    }

    /// The other side of a link proved that it has this key, and was let in under this user id, if any; comes before
    /// [`handle_ready`](Node::handle_ready).
    pub fn handle_key(&mut self, link: LinkId, key: PublicKey, user_id: Option<Text>) {
        if let Some(inbound) = self.inbound(link) {
            inbound.proof = Some(Box::new(Proof { key, user_id }));
        }
    }

    /// The key of the mailbox to which a link leads that is dialled, as far as it was told: the server key of CURVE.
    pub fn key_of(&self, link: LinkId) -> Option<PublicKey> {
        match self.links.get(link) {
            Some(Role::Outbound(address)) => self.dials.get(*address)?.key(),
            Some(Role::Inbound(inbound)) => inbound.key(),
            None => None,
        }
    }

    /// From where a link came, or where it leads.
    pub(crate) fn remote_of(&self, link: LinkId) -> Option<SocketAddr> {
        match self.links.get(link)? {
            Role::Outbound(address) => Some(*address),
            Role::Inbound(inbound) => Some(inbound.remote),
        }
    }

    /// The answer to [`Action::Authenticate`] about a mailbox that is to be dialled. A late or unknown one changes nothing, and a
    /// user id counts for nothing here: a peer has the one under which the link came in on which it speaks.
    pub fn handle_verdict(&mut self, now: Instant, link: LinkId, verdict: &Verdict) {
        let Some(address) = self.keys.asked.remove(&link) else {
            return;
        };
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        let denial = match verdict {
            Verdict::Allow | Verdict::AllowAs(_) => {
                dial.keyring().user_id = match verdict {
                    Verdict::AllowAs(user_id) => Some(user_id.clone()),
                    _ => None,
                };
                return self.dial(now, link, address);
            }
            Verdict::Deny(denial) => *denial,
        };
        dial.state = State::Waiting;
        debug!(%link, %address, ?denial, "not to be spoken to");
        let peer = dial.peer();
        let greeted = dial.wary && matches!(dial.owner, Owner::Greeted { .. });
        self.note_denied();
        if greeted {
            // ZRE-149
            return self.give_up_dial(now, address);
        }
        match peer.filter(|id| self.peers.contains_key(id)) {
            // ZRE-114
            Some(id) if denial != Denial::Temporary => self.exit(now, id, ExitReason::Refused),
            _ => self.dial_ended(now, address, Cut::Unreachable),
        }
    }

    /// The owner of a key may not come in any more: its peers exit as [`ExitReason::Refused`], all else that was begun with it is
    /// given up. When it comes again, it is asked about again.
    pub fn revoke(&mut self, now: Instant, key: PublicKey) {
        // ZRE-114
        let peers = self.peers.iter();
        let peers: Vec<_> = peers
            .filter(|(_, record)| record.key() == Some(key))
            .map(|(id, _)| id)
            .collect();
        for id in peers {
            self.exit(now, id, ExitReason::Refused);
        }
        let dials = self.dials.iter();
        let dials: Vec<_> = dials
            .filter(|(_, dial)| dial.key() == Some(key))
            .map(|(address, _)| address)
            .collect();
        for address in dials {
            self.give_up_dial(now, address);
        }
        // Who waits for the end of a peer, and who did not say anything that counts.
        let doubts = self.peers.values().filter_map(Record::doubt);
        let waiting = doubts.flat_map(|challenge| {
            let claimant = match challenge.claim {
                Some(Claim::Hello(link)) => Some(link),
                Some(Claim::Beacon(..)) | None => None,
            };
            [challenge.takeover, claimant].into_iter().flatten()
        });
        let links: Vec<_> = waiting.chain(self.unproved.iter().copied()).collect();
        for link in links {
            if self.key_of(link) == Some(key) {
                self.close(link);
            }
        }
    }

    /// What the embedder knows of keys from now on, instead of [`Curve::bindings`](super::Curve::bindings) and
    /// [`Curve::bridges`](super::Curve::bridges). A peer that is here with a key that its identity is not with now exits as
    /// [`ExitReason::Refused`]. Nothing happens when the node is not secure.
    pub fn set_bindings(
        &mut self,
        now: Instant,
        bindings: BTreeMap<PeerId, PublicKey>,
        bridges: BTreeSet<PublicKey>,
    ) {
        let Some(curve) = &mut self.config.curve else {
            return;
        };
        curve.bindings = bindings;
        curve.bridges = bridges;
        // ZRE-116
        let strangers: Vec<_> = self
            .peers
            .iter()
            .filter(|(id, record)| {
                let bridge = record.key().is_some_and(|key| self.is_bridge(key));
                !bridge && self.bound(*id).is_some_and(|key| record.key() != Some(key))
            })
            .map(|(id, _)| id)
            .collect();
        for id in strangers {
            self.exit(now, id, ExitReason::Refused);
        }
    }

    /// Somebody is not let in.
    pub(crate) fn note_denied(&mut self) {
        self.counters.keys_denied += 1;
    }

    /// Asks the embedder whether a key may be spoken to.
    // ZRE-114
    pub(super) fn ask(&mut self, link: LinkId, key: Key, address: SocketAddr) {
        self.keys.asked.insert(link, address);
        self.actions.push_back(Action::Authenticate {
            link,
            key,
            remote: address,
        });
    }

    /// A link states an identity that is with another key.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        link: LinkId,
        id: PeerId,
        holder: Key,
        bridge: bool,
    ) {
        let (key, remote) = (self.key_of(link), self.remote_of(link));
        let (Some(key), Some(remote)) = (key, remote) else {
            return self.close(link);
        };
        debug!(%link, %id, %key, %holder, "the identity of another");
        self.close(link);
        if bridge {
            return;
        }
        // ZRE-116
        self.counters.impostors += 1;
        let told = &mut self.keys.told;
        told.retain(|_, again| now < *again);
        if told.len() < TOLD && self.inbox.strangers() < TOLD && !told.contains_key(&(id, key)) {
            told.insert((id, key), now + TELL);
            self.inbox.push(Event::Impostor {
                id,
                key,
                holder,
                remote,
            });
        }
    }
}

#[cfg(feature = "curve")]
#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> PeerId {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&n.to_be_bytes());
        PeerId::from_bytes(octets)
    }

    #[test]
    fn nobody_is_forgotten_because_another_goes_under_many_names() {
        // ZRE-117
        let (honest, other) = (Key::from_bytes([1; 32]), Key::from_bytes([2; 32]));
        let mut keys = Keys::default();
        let mut now = Instant::from_millis(1_000);
        for n in 0..10 {
            keys.hold(now, id(n), honest);
        }
        for n in 10..5_000 {
            now += Duration::from_millis(1);
            keys.hold(now, id(n), other);
            assert!(keys.is_bounded());
        }
        assert!((0..10).all(|n| keys.holder(now, id(n)) == Some(honest)));
        // Its own oldest are gone.
        assert_eq!(keys.holder(now, id(10)), None);
        assert_eq!(keys.holder(now, id(4_999)), Some(other));
        assert_eq!(keys.held.len(), HELD);
        // An hour later nobody is held to anything.
        let later = now + HOLD;
        assert_eq!(keys.holder(later, id(4_999)), None);
        keys.hold(later, id(10_000), honest);
        assert_eq!(keys.held.len(), 1);
    }
}
