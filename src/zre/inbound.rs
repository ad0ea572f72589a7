//! Links that others make to our mailbox: from their first octet to the one who is heard on them, and their end.

use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tracing::{debug, trace};

use super::deadlines::Due;
use super::dial::{Dial, Owner};
use super::duplex::{back_to, is_back};
use super::keys::{Key, Proof, Standing};
use super::node::Node;
use super::relayed::{is_relayed, relayed};
use super::{Action, ExitReason, Lost};
use crate::net::{Cut, InterfaceId, LinkId, in_zone};
use crate::wire::zre::{Limits, Message};
use crate::wire::{Body, Frames, Malformed};
use crate::{Instant, PeerId};

/// Links that carry the same identity and are not the peer's: a DEALER that reconnects needs one.
// ZRE-27
const CANDIDATES: usize = 4;

/// What an accepted link is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its ZMTP handshake is under way.
    New,
    /// It carries this identity and did not say anything that counts.
    Unproved(PeerId),
    /// What it said waits until it is settled whether it may speak for the identity, or until our own link to the
    /// peer is up. It is not read meanwhile.
    Held(PeerId, Box<Message>),
    /// It is the link of a peer that is here.
    Current(PeerId),
}

/// What goes to the peer on a link on which it speaks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing.
    None,
    /// All, and we made the link.
    Ours,
    /// All, and the peer made the link.
    Theirs,
}

/// Where a link comes from, as far as that says what an address means that somebody names on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) remote: SocketAddr,
    /// The zone of the interface by which it came.
    zone: u32,
}

impl Origin {
    pub(super) const fn of(remote: SocketAddr) -> Self {
        Self { remote, zone: 0 }
    }

    pub(super) const fn ip(&self) -> IpAddr {
        self.remote.ip()
    }

    /// The same address, with the zone that it has here when it is good on one link only.
    pub(super) const fn locate(&self, address: SocketAddr) -> SocketAddr {
        match self.remote {
            SocketAddr::V6(remote) if remote.scope_id() != 0 => in_zone(address, remote.scope_id()),
            _ => in_zone(address, self.zone),
        }
    }
}

/// A link on which others speak: one that we accepted; or made, see [`Way::Ours`].
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) remote: SocketAddr,
    /// The zone of the interface on which it was accepted.
    pub(super) zone: u32,
    /// The key that whoever dialled proved.
    // Boxed: most have none.
    pub(super) proof: Option<Box<Proof>>,
    pub(super) stage: Stage,
    /// Octets of messages before HELLO.
    pub(super) unproved_octets: usize,
    pub(super) way: Way,
}

/// A link by its direction.
#[derive(Debug)]
pub(super) enum Role {
    /// We dialled this address.
    Outbound(SocketAddr),
    /// Somebody dialled us.
    Inbound(Inbound),
}

/// The links of a node, by name.
pub(super) type Links = crate::by_link::ByLink<Role>;

impl Inbound {
    /// The key that whoever dialled proved.
    pub(super) fn key(&self) -> Option<Key> {
        self.proof.as_deref().map(|proof| proof.key)
    }

    pub(super) const fn origin(&self) -> Origin {
        Origin {
            remote: self.remote,
            zone: self.zone,
        }
    }

    /// The dial over which what is said goes on this link, if any does.
    pub(super) fn way(&self) -> Option<SocketAddr> {
        match (self.way, &self.stage) {
            (Way::Ours, _) => Some(self.remote),
            (Way::Theirs, Stage::Unproved(id) | Stage::Held(id, _) | Stage::Current(id)) => {
                Some(back_to(*id))
            }
            (Way::None, _) | (Way::Theirs, Stage::New) => None,
        }
    }
}

impl Node {
    /// Somebody connected to the mailbox. `None` when the link is refused; the embedder closes it.
    ///
    /// When too many links did not say HELLO yet, the oldest of them is closed.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        remote: SocketAddr,
    ) -> Option<LinkId> {
        if self.is_stopping() {
            return None;
        }
        trace!(%now, ?interface, %remote, "accepted");
        let zone = self.interfaces.get(&interface);
        let zone = zone.map_or(0, |interface| interface.zone);
        Some(self.accept(now, remote, zone))
    }

    /// A link on which somebody speaks to us, from there, by an interface with this zone.
    pub(super) fn accept(&mut self, now: Instant, remote: SocketAddr, zone: u32) -> LinkId {
        self.make_room_for_unproved();
        let link = self.new_link();
        let inbound = Inbound {
            remote,
            zone,
            proof: None,
            stage: Stage::New,
            unproved_octets: 0,
            way: Way::None,
        };
        self.links.insert(link, Role::Inbound(inbound));
        self.unproved.insert(link);
        let deadline = now + self.patience();
        self.timers.set(Due::Hello(link), deadline);
        link
    }

    pub(super) fn make_room_for_unproved(&mut self) {
        if self.unproved.len() >= self.config.limits.unproved_links
            && let Some(&oldest) = self.unproved.first()
        {
            self.counters.links_refused += 1;
            self.close(oldest);
        }
    }

    /// The ZMTP handshake of a link is done; `identity` is what the other side stated.
    pub fn handle_ready(&mut self, now: Instant, link: LinkId, identity: &[u8]) {
        match self.links.get(link) {
            Some(Role::Outbound(address)) => {
                let address = *address;
                self.dial_ready(now, link, address, identity);
            }
            Some(Role::Inbound(_)) => self.identify(now, link, identity),
            None => {}
        }
    }

    fn identify(&mut self, now: Instant, link: LinkId, identity: &[u8]) {
        // ZRE-18
        let Some(id) = PeerId::from_identity(identity).filter(|id| *id != self.id) else {
            debug!(%link, "not the identity of a peer");
            return self.close(link);
        };
        let inbound = self.inbound(link);
        let (remote, key) = inbound.map_or((None, None), |inbound| {
            (Some(inbound.remote), inbound.key())
        });
        if remote.is_some_and(|remote| is_relayed(remote) && remote != relayed(id)) {
            // ONCE-128
            debug!(%link, %id, "not the one to whom the relay leads");
            return self.close(link);
        }
        if key.is_some() != self.is_secure() {
            // ZRE-112
            debug!(%link, %id, "no key");
            return self.close(link);
        }
        let standing = self.standing(now, id, key);
        if let Standing::Refused { holder, bridge } = standing {
            // ZRE-116
            return self.refuse(now, link, id, holder, bridge);
        }
        let (mut candidates, mut oldest) = (0, None);
        for &other in &self.unproved {
            if let Some(Role::Inbound(inbound)) = self.links.get(other)
                && inbound.key() == key
                && matches!(inbound.stage, Stage::Unproved(other) if other == id)
            {
                candidates += 1;
                oldest = oldest.or(Some(other));
            }
        }
        if candidates >= CANDIDATES
            && let Some(oldest) = oldest
        {
            self.close(oldest);
        }
        if self.peers.contains_key(&id) && standing == Standing::Good {
            // A DEALER that reconnected says nothing until it has something to say.
            self.timers.cancel(Due::Hello(link));
        } else {
            let deadline = now + self.patience();
            self.timers.set(Due::Hello(link), deadline);
        }
        if let Some(inbound) = self.inbound(link) {
            inbound.stage = Stage::Unproved(id);
        }
    }

    /// How long a HELLO may take over a link that is up: as long as a peer may be silent, since it is held up by the same things.
    /// One that came later than that would begin anew what the other side takes for begun.
    // ZRE-15
    pub(crate) fn patience(&self) -> Duration {
        let limits = &self.config.limits;
        limits.hello_deadline.max(self.config.expired_timeout)
    }

    /// How long the answer to our HELLO may take: twice as long, since it has to get there first, and whoever has it then holds it until
    /// we are reached. Who gave up sooner would hang up on one that enters us by it.
    // ZRE-15
    pub(super) fn patience_for_answers(&self) -> Duration {
        self.patience() * 2
    }

    /// Whether the node takes the next message of a link now. When not, the embedder stops reading it, calls
    /// [`handle_paused`](Node::handle_paused) and waits for [`Action::Resume`].
    pub fn is_willing(&self, link: LinkId) -> bool {
        match self.links.get(link) {
            Some(Role::Inbound(inbound)) => match inbound.stage {
                Stage::Held(..) => false,
                // ZRE-80
                // Those who come and go while the application takes nothing are events as well.
                Stage::Current(id) | Stage::Unproved(id) => {
                    !self.inbox.is_full(id, &self.config.limits)
                }
                Stage::New => true,
            },
            Some(Role::Outbound(_)) | None => true,
        }
    }

    /// The embedder does not read a link, as [`is_willing`](Node::is_willing) asked.
    pub fn handle_paused(&mut self, link: LinkId) {
        let Some(Role::Inbound(inbound)) = self.links.get(link) else {
            return;
        };
        self.counters.pauses += u64::from(matches!(inbound.stage, Stage::Current(_)));
        self.paused.insert(link);
    }

    pub(super) fn resume(&mut self, link: LinkId) {
        if self.paused.remove(&link) {
            self.actions.push_back(Action::Resume { link });
        }
    }

    /// A whole message came over a link.
    pub fn handle_message(&mut self, now: Instant, link: LinkId, mut message: Frames) {
        let stage = match self.links.get(link) {
            Some(Role::Inbound(inbound)) => &inbound.stage,
            Some(&Role::Outbound(address)) => {
                self.counters.messages_received += 1;
                // ZRE-19
                return self.hear_back(now, link, address, message);
            }
            None => &Stage::New,
        };
        match *stage {
            Stage::Current(id) => {
                let head = message.pop_front().unwrap_or_default();
                self.handle_said(now, link, id, Body::Owned(head), message);
            }
            Stage::Unproved(id) => {
                self.counters.messages_received += 1;
                self.weigh_frames(now, link, id, message);
            }
            Stage::New | Stage::Held(..) => self.counters.messages_received += 1,
        }
    }

    /// The peer that speaks on a link, if one does and its next message is taken now.
    #[inline]
    pub(crate) fn speaker(&self, link: LinkId) -> Option<PeerId> {
        match self.links.get(link) {
            Some(Role::Inbound(inbound)) => match inbound.stage {
                // ZRE-80
                Stage::Current(id) => {
                    Some(id).filter(|id| !self.inbox.is_full(*id, &self.config.limits))
                }
                Stage::New | Stage::Unproved(_) | Stage::Held(..) => None,
            },
            Some(Role::Outbound(_)) | None => None,
        }
    }

    /// A whole message came over a link from the peer that [speaks](Self::speaker) on it. `head` is its first frame, which need
    /// not have memory of its own, and `content` are the others.
    pub(crate) fn handle_said(
        &mut self,
        now: Instant,
        link: LinkId,
        id: PeerId,
        head: Body<'_>,
        content: Frames,
    ) {
        self.counters.messages_received += 1;
        // ZRE-73: discarded without a word (RFC 36 "Protocol Signature"): C Zyre with a full queue sends content alone.
        if !Message::begins(head.as_slice()) {
            return;
        }
        match self.decode(head, content) {
            Ok(message) => self.hear(now, link, id, message),
            Err(malformed) => {
                self.exit(now, id, ExitReason::Lost(Lost::Malformed(malformed)));
            }
        }
    }

    pub(super) fn decode(&self, head: Body<'_>, content: Frames) -> Result<Message, Malformed> {
        let limits = Limits {
            groups: self.config.limits.groups_per_peer,
            headers: self.config.limits.headers_per_peer,
        };
        Message::decode_parts(head, content, &limits)
    }

    fn weigh_frames(&mut self, now: Instant, link: LinkId, id: PeerId, mut message: Frames) {
        let limit = self.config.limits.unproved_octets;
        let Some(inbound) = self.inbound(link) else {
            return;
        };
        inbound.unproved_octets += message.octets() + message.len();
        if inbound.unproved_octets > limit {
            debug!(%link, "too much before HELLO");
            return self.close(link);
        }
        if !Message::is_zre(&message) {
            return;
        }
        let head = message.pop_front().unwrap_or_default();
        match self.decode(Body::Owned(head), message) {
            Ok(message) => self.weigh(now, link, id, message),
            Err(malformed) => {
                debug!(%link, %malformed, "malformed before HELLO");
                self.close(link);
            }
        }
    }

    /// A link is gone. `cut` says how, as far as the embedder knows.
    pub fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        let role = self.links.remove(link);
        self.forget(link);
        self.link_left(now, link);
        match role {
            Some(Role::Outbound(address)) => self.dial_ended(now, address, cut),
            Some(Role::Inbound(inbound)) => self.inbound_ended(now, link, &inbound),
            None => {}
        }
    }

    /// The other side of a link does not speak ZMTP as it should, and the link was closed for it.
    pub fn handle_garbled(&mut self, now: Instant, link: LinkId) {
        let role = self.links.remove(link);
        self.forget(link);
        match role {
            Some(Role::Outbound(address)) => self.dial_ended(now, address, Cut::Closed),
            Some(Role::Inbound(Inbound {
                stage: Stage::Current(id),
                ..
            })) => {
                // ZRE-84
                self.exit(now, id, ExitReason::Lost(Lost::Garbled));
            }
            Some(Role::Inbound(inbound)) => self.inbound_ended(now, link, &inbound),
            None => {}
        }
    }

    fn inbound_ended(&mut self, now: Instant, link: LinkId, inbound: &Inbound) {
        match inbound.stage {
            Stage::Current(id) => {
                if let Some(record) = self.peers.get_mut(&id)
                    && record.inbound == Some(link)
                {
                    // ZRE-61. Alone this means nothing: C Zyre hangs up when its queue is full, and dials again.
                    record.inbound = None;
                    let address = record.address;
                    if let Some(way) = inbound.way() {
                        self.way_ended(now, way);
                    }
                    let dial = self.dials.get(address);
                    let asked = dial.is_some_and(Dial::is_asked_to_wrap);
                    self.link_closed(now, id);
                    if asked && self.peers.contains_key(&id) {
                        self.wraps_early(now, address, id);
                    }
                }
            }
            Stage::Held(id, _) => {
                self.forget_greeting(now, link, id);
            }
            Stage::New | Stage::Unproved(_) => {}
        }
    }

    /// A link on which somebody greeted us is of no use any more: they do not enter by it. `false` when it was held for
    /// another reason.
    fn forget_greeting(&mut self, now: Instant, link: LinkId, id: PeerId) -> bool {
        if let Some(&address) = self.greeted.get(&id)
            && self.dials.get(address).map(|dial| dial.owner)
                == Some(Owner::Greeted { peer: id, link })
        {
            self.greeted.remove(&id);
            self.dials.own(address, Owner::Nobody);
            if is_back(address) {
                self.remove_dial(now, address);
            }
            return true;
        }
        false
    }

    /// A link that did not prove to be a peer's in time, or whose peer could not be reached in time.
    pub(super) fn hello_due(&mut self, now: Instant, link: LinkId) {
        debug!(%link, "no peer in time");
        if let Some(Role::Inbound(inbound)) = self.links.get(link)
            && let Stage::Held(id, _) = inbound.stage
            && !self.forget_greeting(now, link, id)
        {
            // It waits for the answer to a doubt, which has a deadline of its own.
            return;
        }
        self.close(link);
    }

    pub(super) fn inbound(&mut self, link: LinkId) -> Option<&mut Inbound> {
        match self.links.get_mut(link) {
            Some(Role::Inbound(inbound)) => Some(inbound),
            _ => None,
        }
    }
}
