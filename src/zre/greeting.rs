//! Who may speak for an identity (ZRE-20 to ZRE-24 of `spec/zre.md`): HELLO, and whatever comes on a link that is not yet, or
//! not any more, that of a peer.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use tracing::{debug, trace};

use super::deadlines::Due;
use super::dial::{Dial, Owner, PACE, State};
use super::duplex::{back_to, is_back};
use super::inbound::{Role, Stage};
use super::keys::{Key, Standing};
use super::node::Node;
use super::record::{Answer, Claim, Record};
use super::sequence::{FIRST, Receiver};
use super::{Action, Event, ExitReason, Lost, Peer, Presence, abilities};
use crate::net::LinkId;
use crate::wire::zre::{Command, Hello, Message};
use crate::{Instant, PeerId};

/// How long the HELLO of a peer waits that greets again and again: three seconds, so that whoever answers each HELLO by another
/// is sent less than five in ten seconds.
const STORM: Duration = Duration::from_secs(3);

impl Node {
    /// Something was said on a link that carries an identity and is not that peer's link (yet).
    pub(super) fn weigh(&mut self, now: Instant, link: LinkId, id: PeerId, message: Message) {
        let Some(Role::Inbound(inbound)) = self.links.get(link) else {
            return;
        };
        let (origin, key) = (inbound.origin(), inbound.key());
        let remote = origin.remote;
        let standing = self.standing(now, id, key);
        if let Standing::Refused { holder, bridge } = standing {
            // ZRE-116
            return self.refuse(now, link, id, holder, bridge);
        }
        if let Command::Hello(hello) = &message.command
            && let Err(flaw) = Self::check_key(key, hello)
        {
            // ZRE-113
            debug!(%link, %id, %flaw, "no greeting");
            self.counters.impostors += 1;
            return self.close(link);
        }
        if standing == Standing::Precedes {
            return self.precede(now, link, id, message);
        }
        if self.is_of_the_past(link, id) {
            debug!(%link, %id, "it has spoken on a newer link");
            return self.close(link);
        }
        let Some(record) = self.peers.get(&id) else {
            if let Command::Hello(hello) = &message.command {
                if abilities::names(&hello.headers, abilities::GOODBYE)
                    && self.past.is_storming(now, id)
                    && !self.has_just_greeted(now, id)
                {
                    // ZRE-24
                    debug!(%link, %id, "HELLO refused");
                    return self.close(link);
                }
                let newcomer = self.past.newcomer_at(now, id, remote.ip());
                let hold = self.past.let_in_at(now, id).max(newcomer);
                self.greet(now, link, id, message, hold);
                self.ask_whether_known(now, id);
            }
            // ZRE-15: whatever precedes HELLO has no meaning.
            return;
        };
        let closed = record.inbound.is_none();
        if let Command::Hello(hello) = &message.command {
            let address = match self.mailbox_of(now, id, origin, key, message.sequence, hello) {
                Ok(address) => address,
                Err(flaw) => {
                    let only = closed && record.remote.ip() == remote.ip();
                    debug!(%link, %id, %flaw, "no greeting");
                    self.close(link);
                    // ZRE-23, ZRE-26
                    if only && message.sequence != FIRST {
                        self.exit(now, id, ExitReason::Lost(flaw));
                    }
                    return;
                }
            };
            let back = is_back(record.address);
            // It may be reached by another of its addresses than the one that its HELLO names (ZRE-13).
            let there = record.address == address || record.card.endpoint == hello.endpoint;
            let same = record.remote.ip() == remote.ip() && there;
            let asked = self
                .dials
                .get(record.address)
                .is_some_and(Dial::is_asked_to_wrap);
            if same && !back && asked && is_same(&record.card, hello) {
                // Its answer to the question, which came before we saw the end of the link it spoke on.
                self.wraps_early(now, address, id);
                return self.refresh(now, link, id, message);
            }
            let answer = record.answer.is_due(now);
            if same && !back && answer && is_same(&record.card, hello) {
                self.refresh(now, link, id, message);
            } else if same || closed {
                // ZRE-20
                self.replace(now, link, id, message);
            } else {
                // ZRE-21
                self.hold(link, id, message);
                self.challenge_takeover(now, id, link);
            }
        } else if is_back(record.address) {
            // ZRE-145. We could not answer on this link.
            self.close(link);
        } else if record.inbound.is_some() {
            // ZRE-22
            self.hold(link, id, message);
            self.challenge_takeover(now, id, link);
        } else if record.receiver.expects(message.sequence) {
            self.adopt(now, link, id);
            self.hear(now, link, id, message);
        } else if record.remote.ip() == remote.ip() {
            let (expected, found) = (record.receiver.expected(), message.sequence);
            // ZRE-23
            self.exit(now, id, ExitReason::Lost(Lost::Gap { expected, found }));
            self.close(link);
        } else {
            self.close(link);
        }
    }

    /// ZRE-118. A peer speaks with its own key that is here by the word of a bridge: when it greets, that word counts no more.
    fn precede(&mut self, now: Instant, link: LinkId, id: PeerId, message: Message) {
        let Some(Role::Inbound(inbound)) = self.links.get(link) else {
            return;
        };
        let (origin, key) = (inbound.origin(), inbound.key());
        // ZRE-15: whatever precedes HELLO has no meaning.
        if let Command::Hello(hello) = &message.command {
            match self.mailbox_of(now, id, origin, key, message.sequence, hello) {
                Ok(_) => self.replace(now, link, id, message),
                Err(flaw) => {
                    debug!(%link, %id, %flaw, "no greeting");
                    self.close(link);
                }
            }
        }
    }

    /// ZRE-25. A node has one link to our mailbox at a time, and closes it before it makes the next: what still comes on a
    /// link that is older than one on which its identity spoke was said before, and only took longer on the way.
    fn is_of_the_past(&self, link: LinkId, id: PeerId) -> bool {
        let newest = match self.peers.get(&id) {
            Some(record) => Some(record.newest),
            None => self.past.newest(id).max(self.greeted_on(id)),
        };
        newest.is_some_and(|newest| link < newest)
    }

    /// The link on which one greeted us who did not enter yet.
    fn greeted_on(&self, id: PeerId) -> Option<LinkId> {
        let address = *self.greeted.get(&id)?;
        match self.dials.get(address)?.owner {
            Owner::Greeted { link, .. } => Some(link),
            Owner::Nobody | Owner::Peer(_) => None,
        }
    }

    pub(super) fn hold(&mut self, link: LinkId, id: PeerId, message: Message) {
        if let Some(inbound) = self.inbound(link) {
            inbound.stage = Stage::Held(id, Box::new(message));
            self.unproved.remove(&link);
            self.timers.cancel(Due::Hello(link));
        }
    }

    /// Weighs anew what was held, now that it is settled who is there.
    pub(super) fn reconsider(&mut self, now: Instant, link: LinkId) {
        let Some(inbound) = self.inbound(link) else {
            return;
        };
        if !matches!(inbound.stage, Stage::Held(..)) {
            return;
        }
        self.make_room_for_unproved();
        let Some(inbound) = self.inbound(link) else {
            return;
        };
        match core::mem::replace(&mut inbound.stage, Stage::New) {
            Stage::Held(id, message) => {
                inbound.stage = Stage::Unproved(id);
                self.unproved.insert(link);
                let deadline = now + self.patience();
                self.timers.set(Due::Hello(link), deadline);
                self.weigh(now, link, id, *message);
                if matches!(
                    self.inbound(link).map(|inbound| &inbound.stage),
                    Some(Stage::Unproved(_) | Stage::Current(_))
                ) {
                    self.resume(link);
                }
            }
            other => inbound.stage = other,
        }
    }

    /// HELLO from one who is no peer yet: they enter once our own link to them is up, and not before `hold`.
    fn greet(
        &mut self,
        now: Instant,
        link: LinkId,
        id: PeerId,
        message: Message,
        hold: Option<Instant>,
    ) {
        let Some(Role::Inbound(inbound)) = self.links.get(link) else {
            return;
        };
        let (origin, key) = (inbound.origin(), inbound.key());
        let remote = origin.remote;
        let Command::Hello(hello) = &message.command else {
            return;
        };
        let address = match self.mailbox_of(now, id, origin, key, message.sequence, hello) {
            Ok(address) => address,
            Err(flaw) => {
                debug!(%link, endpoint = %hello.endpoint, %flaw, "no greeting");
                return self.close(link);
            }
        };
        let proved = address.ip() == remote.ip();
        let shunned = self.past.is_shunned(now, (address, key));
        let duplex = self.offers_duplex(hello);
        if self.is_another(link, id, address, key) {
            debug!(%link, %id, %address, "not the one whose mailbox we reach");
            return self.close(link);
        }
        self.forget_earlier(now, id, address, key);
        let address = self.known_way(now, id, address, remote, key);
        if is_back(address) {
            return self.greet_back(now, link, id, message, address, hold);
        }
        if !self.make_way(now, address, remote, key) {
            debug!(%link, %id, %address, "somebody with another key is there");
            return self.close(link);
        }
        match self.dials.get(address).map(|dial| dial.owner) {
            Some(Owner::Peer(holder)) => {
                self.hold(link, id, message);
                return self.challenge_claim(now, holder, Claim::Hello(link));
            }
            Some(Owner::Greeted { .. }) => {
                debug!(%link, %address, "somebody else just named this endpoint");
                return self.close(link);
            }
            Some(Owner::Nobody) => {
                let proved = self.dials.get_mut(address).and_then(|dial| {
                    dial.hinted = now;
                    dial.proved
                });
                let tried = proved.is_some() || self.dials.get(address).is_some_and(is_up);
                if duplex && tried && proved != Some(id) {
                    // ZRE-142. A mailbox of this peer would have said so.
                    let back = back_to(id);
                    return self.greet_back(now, link, id, message, back, hold);
                }
                if let Some(another) = proved.filter(|proved| *proved != id) {
                    // ZRE-16. Perhaps the last words of one whose port another has now.
                    debug!(%link, %id, %another, "somebody else is there");
                    return self.close(link);
                }
                self.hurry_back(now, address, duplex);
            }
            None => {
                // ZRE-112
                let mut dial = Dial::new(now, remote.ip(), key);
                dial.wary = duplex;
                if shunned {
                    dial.failures = self.config.limits.dial_attempts.saturating_sub(1);
                }
                if !self.add_dial(now, address, dial, hold) {
                    return self.close(link);
                }
            }
        }
        self.expect(address, id);
        self.dials.own(address, Owner::Greeted { peer: id, link });
        self.greeted.insert(id, address);
        self.hold(link, id, message);
        // What is held is not read, so that nobody would notice its end.
        let deadline = now + self.patience();
        self.timers.set(Due::Hello(link), deadline);
        let Some(dial) = self.dials.get(address) else {
            return;
        };
        let (up, waits) = (dial.up().is_some(), dial.state == State::Waiting);
        if let Some(hold) = hold.filter(|_| waits) {
            // ZRE-24
            debug!(%id, "has to wait");
            self.timers.set(Due::Dial(address), hold);
        } else if up {
            self.timers.cancel(Due::Dial(address));
            self.enter(now, id, link);
        } else if proved {
            self.hurry_dial(now, address);
        }
    }

    /// One who greets may have greeted before it entered: the newer link counts, and what comes of it goes to this address.
    pub(super) fn forget_earlier(
        &mut self,
        now: Instant,
        id: PeerId,
        address: SocketAddr,
        key: Option<Key>,
    ) {
        let Some(before) = self.greeted.remove(&id) else {
            return;
        };
        if let Some(Owner::Greeted { link, .. }) = self.dials.get(before).map(|dial| dial.owner) {
            self.close(link);
        }
        self.dials.own(before, Owner::Nobody);
        // What was said with another key is none of its business (ZRE-119).
        let ours = self.dials.get(before).is_some_and(|dial| dial.key() == key);
        if is_back(before) || (before != address && ours) {
            self.give_up_dial(now, before);
        }
    }

    /// ZRE-12: one who greeted us and whom we reach is a peer from now on.
    pub(super) fn enter(&mut self, now: Instant, id: PeerId, link: LinkId) {
        let Some(address) = self.greeted.remove(&id) else {
            return;
        };
        // ZRE-82
        let crowded = self.peers.len() >= self.config.limits.peers;
        if crowded || self.inbox.is_full(id, &self.config.limits) {
            debug!(%id, crowded, "not let in");
            if crowded {
                self.counters.links_refused += 1;
            } else {
                self.counters.entries_deferred += 1;
            }
            self.dials.own(address, Owner::Nobody);
            self.remove_dial(now, address);
            return self.close(link);
        }
        let ours = self.dials.get(address).and_then(Dial::key);
        let Some(inbound) = self.inbound(link) else {
            return;
        };
        let (remote, key) = (inbound.remote, inbound.key());
        if ours != key {
            // ZRE-115. No way leads here, and none is to.
            debug_assert!(false, "{id} has two keys");
            self.dials.own(address, Owner::Nobody);
            self.remove_dial(now, address);
            return self.close(link);
        }
        let Some(inbound) = self.inbound(link) else {
            return;
        };
        let proof = inbound.proof.clone();
        let stage = core::mem::replace(&mut inbound.stage, Stage::Current(id));
        let Stage::Held(_, message) = stage else {
            return self.close(link);
        };
        let Command::Hello(hello) = message.command else {
            return self.close(link);
        };
        self.dials.own(address, Owner::Peer(id));
        self.past.answered((address, key));
        if let Some(target) = self.dials.get_mut(address).and_then(|dial| {
            dial.failures = 0;
            if dial.is_first_unsure() {
                // ZRE-65
                self.unsure.push(address);
            }
            if let Some(keyring) = &mut dial.keyring {
                keyring.rivals = Vec::new();
            }
            if !dial.unsaid.is_empty() {
                // ZRE-81. The conversation goes on from before, and its queue was full.
                dial.full = true;
                let deadline = now + self.config.limits.send_deadline;
                self.timers.set(Due::Overrun(id), deadline);
            }
            dial.target
        }) {
            self.target_reached(target);
        }
        let card = Arc::new(Peer {
            id,
            name: hello.name,
            endpoint: hello.endpoint,
            headers: hello.headers,
        });
        debug!(%id, name = %card.name, %address, "enter");
        self.counters.enters += 1;
        self.inbox.push(Event::Enter { peer: card.clone() });
        let record = Record {
            card,
            groups: alloc::collections::BTreeSet::new(),
            address,
            remote,
            inbound: Some(link),
            newest: link,
            reached: true,
            timed: false,
            receiver: Receiver::new(),
            presence: Presence::Ready,
            told: Presence::Ready,
            untold: None,
            entered: now,
            heard: now,
            spoke: now,
            challenge: None,
            farewell: None,
            answer: Answer::None,
            elects: false,
            missed_word: false,
            proof,
        };
        self.peers.insert(id, record);
        for group in hello.groups {
            self.peer_joined(now, id, group);
        }
        self.forget_deadline(link);
        self.leave_to_sweep(now);
        self.actions.push_back(Action::Trust { link });
        self.resume(link);
    }

    /// Asks one that just entered, unless it is an atonce node, when our HELLO came before its own (ZRE-17): that may be no
    /// answer to ours. zyre.js, when it believes in an earlier one of us, takes our HELLO for a mistake, forgets us, and
    /// greets at our next beacon as if we had said nothing. The sequence of a PING tells it so, and it greets once more;
    /// whoever knows us answers.
    fn ask_whether_known(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get(&id) else {
            return;
        };
        let dial = self.dials.get(record.address);
        let greeted = dial.and_then(|dial| dial.greeted_at);
        if greeted.is_some_and(|at| at < now) {
            self.ask_unless_atonce(now, id);
        }
    }

    /// Whether we dialled one who is not here, and greeted it so lately that its HELLO answers ours.
    fn has_just_greeted(&self, now: Instant, id: PeerId) -> bool {
        let dial = self.expected.get(&id);
        let dial = dial.and_then(|address| self.dials.get(*address));
        dial.is_some_and(|dial| dial.up().is_some() && dial.has_just_greeted(now))
    }

    fn ask_unless_atonce(&mut self, now: Instant, id: PeerId) {
        let record = self.peers.get(&id);
        if record.is_some_and(|record| !abilities::has(&record.card, abilities::GOODBYE)) {
            self.challenge_unknown(now, id);
        }
    }

    /// The same peer greeted anew: what was is over, and it enters again. Our link is kept when it leads to the same place.
    pub(super) fn replace(&mut self, now: Instant, link: LinkId, id: PeerId, message: Message) {
        let paced = self.is_paced(now, id);
        let storm = !paced && self.past.would_storm(now, id);
        if let Some(record) = self.peers.get(&id)
            && abilities::has(&record.card, abilities::GOODBYE)
            && storm
        {
            // ZRE-24. It is not let in again for a while.
            if record.inbound != Some(link) {
                self.close(link);
            }
            return self.exit(now, id, ExitReason::Lost(Lost::Limit("greetings")));
        }
        // What it is told goes on the same link, as before.
        let way = self.way(link);
        let reason = self.why_replaced(id);
        let hold = storm.then(|| now + STORM);
        if let Some(record) = self.peers.get_mut(&id)
            && record.inbound == Some(link)
        {
            record.inbound = None;
        }
        let before = self.peers.get(&id);
        let address = before.map(|record| record.address);
        let moved = match (&message.command, before) {
            (Command::Hello(hello), Some(record)) => hello.endpoint != record.card.endpoint,
            _ => false,
        };
        if way.is_some() {
            self.unbind(now, link);
        }
        let waiting = self.end(now, id, reason);
        if paced {
            self.past.forgive(id);
        }
        if way.is_none()
            && (moved || hold.is_some())
            && let Some(address) = address
            && self.dials.get(address).map(|dial| dial.owner) == Some(Owner::Nobody)
        {
            // A restart at another port: nobody is where our link leads, though that is where we still expect it. Or it has to wait,
            // and is dialled then.
            self.remove_dial(now, address);
        }
        if let Some(inbound) = self.inbound(link) {
            inbound.stage = Stage::Unproved(id);
        }
        self.elections.greets_anew = Some(id);
        match way {
            Some(way) => self.greet_back(now, link, id, message, way, hold),
            None => self.greet(now, link, id, message, hold),
        }
        if let Some(address) = address {
            self.settle_dial(now, address);
        }
        self.elections.greets_anew = None;
        self.renew_voter(now, id);
        // Only now: the newest HELLO of this identity counts, and who claims its endpoint has to ask anew.
        if let Some(older) = waiting.takeover {
            self.close(older);
        }
        if let Some(claimant) = waiting.claimant {
            self.reconsider(now, claimant);
        }
    }

    /// ZRE-24. Whether the HELLO of a peer that comes now is no answer to ours, as far as one can tell: it has answered a PING since,
    /// and did so before, and some time passed.
    fn is_paced(&self, now: Instant, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|record| {
            let dial = self.dials.get(record.address);
            let atonce = abilities::has(&record.card, abilities::GOODBYE);
            !atonce && now - record.entered >= PACE && dial.is_some_and(|dial| dial.is_paced(now))
        })
    }

    /// After a peer greeted anew: our link to where it was is of no use any more, or says HELLO again.
    fn settle_dial(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get(address) else {
            return;
        };
        if dial.owner == Owner::Nobody {
            // It moved; nobody is there any more.
            return self.remove_dial(now, address);
        }
        if dial.up().is_some() && dial.may_greet_again(now) {
            let id = dial.peer();
            self.greet_anew(now, address);
            if let Some(id) = id {
                self.ask_unless_atonce(now, id);
            }
        } else if let Some(id) = dial.peer() {
            self.ask_whether_known(now, id);
        }
    }

    /// Our own second HELLO was answered: nothing changed but its link and perhaps its groups.
    pub(super) fn refresh(&mut self, now: Instant, link: LinkId, id: PeerId, message: Message) {
        let Command::Hello(hello) = message.command else {
            return;
        };
        if let Some(record) = self.peers.get_mut(&id)
            && record.inbound != Some(link)
            && record.spoke_since_greeted()
        {
            // ZRE-62. What it said last before this HELLO may be lost with the link on which it spoke, and some of what it said
            // after ours is told already.
            debug!(%id, "greets on another link");
            record.presence = Presence::Ready;
            record.untold = Some(record.untold.unwrap_or_default());
            self.tell(id);
        }
        self.adopt(now, link, id);
        self.drop_question(id);
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        record.receiver = Receiver::new();
        record.answer = Answer::None;
        record.heard = now;
        record.spoke = now;
        let address = record.address;
        if let Some(dial) = self.dials.get_mut(address) {
            dial.greeted_in_turn();
        }
        let is_atonce = abilities::has(&record.card, abilities::GOODBYE);
        let before = record.groups.clone();
        let after: alloc::collections::BTreeSet<_> = hello.groups.into_iter().collect();
        for group in before.difference(&after) {
            self.peer_left(now, id, group);
        }
        for group in before.intersection(&after) {
            // It may have forgotten what was said, as we forget what it said when it greets as another.
            self.voter_came(now, id, group);
        }
        for group in after {
            self.peer_joined(now, id, group);
        }
        if !is_atonce {
            // As when it enters: zyre.js may have greeted without having heard us.
            self.say(address, Command::Ping);
        }
    }

    /// From now on this is the link on which the peer speaks; the one before is closed, never left half alive.
    pub(super) fn adopt(&mut self, now: Instant, link: LinkId, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        trace!(%now, %id, %link, "speaks on another link");
        let before = record.inbound.replace(link);
        record.newest = record.newest.max(link);
        let mut proof = None;
        if let Some(inbound) = self.inbound(link) {
            inbound.stage = Stage::Current(id);
            proof.clone_from(&inbound.proof);
        }
        if let Some(record) = self.peers.get_mut(&id)
            && proof.is_some()
        {
            // The same key (ZRE-115), and perhaps let in as somebody else.
            record.proof = proof;
        }
        self.forget_deadline(link);
        self.actions.push_back(Action::Trust { link });
        if let Some(before) = before.filter(|before| *before != link) {
            self.hush(now, before);
        }
    }

    fn forget_deadline(&mut self, link: LinkId) {
        self.unproved.remove(&link);
        self.timers.cancel(Due::Hello(link));
    }
}

fn is_up(dial: &Dial) -> bool {
    dial.up().is_some()
}

pub(super) fn is_same(card: &Peer, hello: &Hello) -> bool {
    card.name == hello.name && card.endpoint == hello.endpoint && card.headers == hello.headers
}
