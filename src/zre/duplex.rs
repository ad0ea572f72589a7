//! Links that are used in both directions, where only one side can dial (ZRE-140 to ZRE-149 of `spec/zre.md`).
//!
//! Such a link is an inbound one to its node, on both sides: on it the peer is heard, doubted, paused and missed like any other.
//! To it belongs a [`Dial`] besides, over which all is said, as [`Way`] says:
//!
//! - Whoever dialled (`Ours`) has the dial with which the link was made. Its link is outbound until the other side says HELLO on
//!   it, and is that again when the peer speaks on another one.
//! - Whoever was dialled (`Theirs`) has a dial to an address that nobody can have, see [`back_to`]. It is up for as long as the link
//!   is there, and never under way. Without its link it waits a moment for the next one; without its peer it is removed.

use alloc::boxed::Box;
use core::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;

use tracing::debug;

use super::deadlines::Due;
use super::dial::{Dial, Owner, State};
use super::greeting::is_same;
use super::inbound::{Inbound, Origin, Role, Stage, Way};
use super::keys::Key;
use super::node::Node;
use super::{ExitReason, Lost, abilities};
use crate::net::{Cut, LinkId};
use crate::wire::zre::{Command, Hello, Message};
use crate::wire::{Body, Frames};
use crate::{Instant, PeerId};

/// How long one may take, from the dial to its READY, who can be spoken to on its own link instead: 2 s.
pub(super) const BACK_DEADLINE: Duration = Duration::from_secs(2);

/// How long a peer may take to dial us anew whom we cannot dial: 3 s, for a few round trips on a slow network. It does so as soon as
/// it knows of the cut.
const COMES_BACK: Duration = Duration::from_secs(3);

/// Where the dial to a peer leads that is spoken to on its own link: its identity, and port 0, which no mailbox has.
pub(super) const fn back_to(id: PeerId) -> SocketAddr {
    let ip = Ipv6Addr::from_bits(u128::from_be_bytes(*id.as_bytes()));
    SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, 0))
}

/// Whether that is such an address.
#[inline]
pub(super) const fn is_back(address: SocketAddr) -> bool {
    address.port() == 0
}

impl Node {
    /// Whether one who says this HELLO and we can use a link in both directions.
    pub(super) fn offers_duplex(&self, hello: &Hello) -> bool {
        // ZRE-140
        self.config.duplex && abilities::names(&hello.headers, abilities::DUPLEX)
    }

    /// The dial over which what is said goes on this link, if any does.
    pub(super) fn way(&self, link: LinkId) -> Option<SocketAddr> {
        match self.links.get(link)? {
            Role::Outbound(address) => Some(*address),
            Role::Inbound(inbound) => inbound.way(),
        }
    }

    /// Whether the mailbox that a dial reached is not that of the one who is to be there, or does not say so, and only that one
    /// may be spoken to. Then it hears nothing of us, and its link is closed.
    pub(super) fn is_stranger(
        &mut self,
        now: Instant,
        link: LinkId,
        address: SocketAddr,
        stated: Option<PeerId>,
    ) -> bool {
        let Some(dial) = self.dials.get(address) else {
            return false;
        };
        let meant = dial.peer().or(dial.expect);
        // ZRE-143
        if !dial.wary || dial.link() != Some(link) || (stated.is_some() && stated == meant) {
            return false;
        }
        debug!(%address, ?meant, ?stated, "somebody else is there");
        match dial.owner {
            Owner::Greeted { peer, link } => self.answer_back(now, address, peer, link),
            Owner::Nobody | Owner::Peer(_) => self.lose_way(now, address),
        }
        true
    }

    /// One who greeted us cannot be dialled: it is spoken to on the link on which it greeted.
    // ZRE-142
    pub(super) fn answer_back(
        &mut self,
        now: Instant,
        address: SocketAddr,
        peer: PeerId,
        link: LinkId,
    ) {
        debug!(%peer, %address, "cannot be dialled");
        self.greeted.remove(&peer);
        self.dials.own(address, Owner::Nobody);
        self.remove_dial(now, address);
        let Some(inbound) = self.inbound(link) else {
            return;
        };
        match core::mem::replace(&mut inbound.stage, Stage::New) {
            Stage::Held(id, message) => {
                inbound.stage = Stage::Unproved(id);
                self.greet_back(now, link, id, *message, back_to(id), None);
            }
            other => inbound.stage = other,
        }
    }

    /// HELLO from one who is no peer yet and whom we speak to on the same link, by the dial to this address; not before `hold`.
    pub(super) fn greet_back(
        &mut self,
        now: Instant,
        link: LinkId,
        id: PeerId,
        message: Message,
        address: SocketAddr,
        hold: Option<Instant>,
    ) {
        let Some(inbound) = self.inbound(link) else {
            return;
        };
        let (remote, key) = (inbound.remote, inbound.key());
        self.forget_earlier(now, id, address, key);
        if is_back(address) && !self.dials.contains(address) {
            self.dials.insert(address, Dial::new(now, remote.ip(), key));
        }
        self.expect(address, id);
        self.dials.own(address, Owner::Greeted { peer: id, link });
        self.greeted.insert(id, address);
        self.hold(link, id, message);
        let deadline = now + self.patience();
        self.timers.set(Due::Hello(link), deadline);
        match hold.filter(|_| is_back(address)) {
            // ZRE-24
            Some(hold) => self.timers.set(Due::Dial(address), hold),
            None => self.turn_back(now, address),
        }
    }

    /// It is time for the dial to one who is spoken to on its own link: it enters; or it did not come back.
    pub(super) fn turn_back(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        match dial.owner {
            Owner::Greeted { peer, link } => {
                self.timers.cancel(Due::Dial(address));
                if is_back(address) {
                    dial.state = State::Up(link);
                    dial.up_since = Some(now);
                    if let Some(inbound) = self.inbound(link) {
                        inbound.way = Way::Theirs;
                    }
                    // ZRE-141
                    self.greet_anew(now, address);
                }
                self.enter(now, peer, link);
            }
            Owner::Peer(id) => {
                // ZRE-145
                let messages = dial.lost;
                self.exit(now, id, ExitReason::Lost(Lost::LinkCut { messages }));
            }
            Owner::Nobody => self.remove_dial(now, address),
        }
    }

    /// A message came on a link that we dialled. A mailbox has something to say there only to one that offers that, and begins with
    /// HELLO. Everything else means nothing.
    // ZRE-19, ZRE-144
    pub(super) fn hear_back(
        &mut self,
        now: Instant,
        link: LinkId,
        address: SocketAddr,
        mut message: Frames,
    ) {
        if !self.config.duplex || !Message::is_zre(&message) {
            return;
        }
        let Some(dial) = self.dials.get(address) else {
            return;
        };
        // Who does not say in its READY who it is cannot be known by its word.
        let (Some(id), Some(up)) = (dial.proved, dial.up()) else {
            return;
        };
        let (owner, key) = (dial.owner, dial.key());
        let head = message.pop_front().unwrap_or_default();
        let Ok(message) = self.decode(Body::Owned(head), message) else {
            return;
        };
        let Command::Hello(hello) = &message.command else {
            return;
        };
        if up != link || !self.offers_duplex(hello) {
            return;
        }
        let flaw = match Self::check_key(key, hello) {
            Ok(()) => self.mailbox_of(now, id, Origin::of(address), key, message.sequence, hello),
            // ZRE-113
            Err(flaw) => {
                self.counters.impostors += 1;
                Err(Lost::Malformed(flaw))
            }
        };
        let elsewhere = self
            .peers
            .get(&id)
            .is_some_and(|record| record.address != address);
        if flaw.is_err() || elsewhere {
            debug!(%link, %id, ?flaw, elsewhere, "no greeting");
            self.close(link);
            return self.dial_ended(now, address, Cut::Closed);
        }
        let proof = self.dials.get(address).and_then(Dial::proof);
        let inbound = Inbound {
            remote: address,
            zone: 0,
            proof: proof.map(Box::new),
            stage: Stage::Unproved(id),
            unproved_octets: 0,
            way: Way::Ours,
        };
        self.links.insert(link, Role::Inbound(inbound));
        match owner {
            Owner::Peer(_) => {
                let answer = self.peers.get(&id).is_some_and(|record| {
                    record.answer.is_due(now) && is_same(&record.card, hello)
                });
                if answer {
                    self.refresh(now, link, id, message);
                } else {
                    self.replace(now, link, id, message);
                }
            }
            Owner::Nobody | Owner::Greeted { .. } => {
                self.greet_back(now, link, id, message, address, None);
            }
        }
    }

    /// How to answer one who greets and cannot be dialled at the address that it names: on its own link, unless we reached it elsewhere
    /// before it greeted. What was not reached yet is given up.
    pub(super) fn known_way_back(
        &mut self,
        now: Instant,
        id: PeerId,
        back: SocketAddr,
        key: Option<Key>,
    ) -> SocketAddr {
        let Some(&expected) = self.expected.get(&id) else {
            return back;
        };
        let Some(dial) = self.dials.get(expected) else {
            return back;
        };
        if dial.key() != key || dial.owner != Owner::Nobody {
            return back;
        }
        if dial.up().is_some() && dial.proved == Some(id) {
            return expected;
        }
        self.give_up_dial(now, expected);
        back
    }

    /// One who greeted us, and can be spoken to on its own link or not, is dialled already, or will be: not longer than is good for
    /// it.
    pub(super) fn hurry_back(&mut self, now: Instant, address: SocketAddr, duplex: bool) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        dial.wary = duplex;
        if duplex && matches!(dial.state, State::Dialling(_)) {
            self.timers.advance(Due::Dial(address), now + BACK_DEADLINE);
        }
    }

    /// The endpoint that is named in a HELLO, which waits on this link, is that of a peer that lives. Whoever said it can be spoken to
    /// on the link, or not at all.
    pub(super) fn refute(&mut self, now: Instant, link: LinkId) {
        let held = match self.links.get(link) {
            Some(Role::Inbound(inbound)) => match &inbound.stage {
                Stage::Held(id, message) => Some((*id, message)),
                _ => None,
            },
            _ => None,
        };
        match held {
            Some((id, message)) if self.offers_in(message) => {
                // ZRE-142
                let message = Message::clone(message);
                self.greet_back(now, link, id, message, back_to(id), None);
            }
            _ => self.close(link),
        }
    }

    /// Whether a message is a HELLO by which that is offered.
    pub(super) fn offers_in(&self, message: &Message) -> bool {
        matches!(&message.command, Command::Hello(hello) if self.offers_duplex(hello))
    }

    /// The peer does not speak on this link any more, which is there still. One that we made ourselves is as it was before the
    /// peer spoke on it; any other is closed.
    pub(super) fn hush(&mut self, now: Instant, link: LinkId) {
        let way = match self.links.get(link) {
            Some(Role::Inbound(inbound)) => inbound.way().map(|address| (address, inbound.way)),
            _ => None,
        };
        match way {
            Some((address, Way::Ours)) => {
                self.links.insert(link, Role::Outbound(address));
                self.resume(link);
            }
            Some((address, _)) => {
                self.close(link);
                self.way_ended(now, address);
            }
            None => self.close(link),
        }
    }

    /// A link that was used in both directions is gone, and with it what goes to the peer.
    // ZRE-145
    pub(super) fn way_ended(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        dial.cut(now);
        dial.refusals = 0;
        let brief = dial.was_brief(now);
        dial.failures = if brief { dial.failures + 1 } else { 0 };
        let pause = dial.pause();
        if let Owner::Peer(id) = dial.owner
            && let Some(record) = self.peers.get_mut(&id)
        {
            record.reached = false;
        }
        let pause = match (is_back(address), brief) {
            (true, _) => COMES_BACK,
            // One that lets us in only to hang up, again and again, costs ever less.
            (false, true) => self.jitter(pause),
            // As soon as what it said last is weighed.
            (false, false) => Duration::ZERO,
        };
        self.timers.set(Due::Dial(address), now + pause);
    }

    /// The reason of the EXIT of a peer that greets anew.
    pub(super) fn why_replaced(&self, id: PeerId) -> ExitReason {
        let record = self.peers.get(&id);
        let cut = record.filter(|record| record.inbound.is_none() && is_back(record.address));
        let dial = cut.and_then(|record| self.dials.get(record.address));
        match dial.map_or(0, |dial| dial.lost) {
            0 => ExitReason::Replaced,
            // ZRE-145
            messages => ExitReason::Lost(Lost::LinkCut { messages }),
        }
    }

    /// The peer greets anew on the link on which it is spoken to: our dial to it lets the link go.
    pub(super) fn unbind(&mut self, now: Instant, link: LinkId) {
        if let Some(inbound) = self.inbound(link)
            && inbound.way == Way::Theirs
            && let Some(address) = inbound.way()
        {
            inbound.way = Way::None;
            if let Some(dial) = self.dials.get_mut(address) {
                dial.cut(now);
            }
        }
    }
}
