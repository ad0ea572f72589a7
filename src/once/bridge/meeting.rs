//! Servers and other bridges: who may take part, and what they say.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::contacts::Contact;
use super::far::Said;
use super::outbox::Address;
use super::replica::{Difference, Trouble};
use super::{Bridge, Declared, Event, Far};
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::once::session::{Heard, Output};
use crate::once::{Role, Roles, Which};
use crate::wire::once::{Code, Contact as Listed, Delta, Message, Nope, Reason, Roster, V2};
use crate::zre::{Event as NodeEvent, SendError};
use crate::{Frames, Instant, Peer, PeerId};

impl Bridge {
    /// Something happened at the remote or the local node, as far as it is about servers and bridges.
    pub(super) fn handle_node(
        &mut self,
        now: Instant,
        node: Which,
        event: NodeEvent,
        key: Option<PublicKey>,
    ) {
        match event {
            NodeEvent::Enter { peer } => self.entered(now, node, &peer, key),
            NodeEvent::Exit { peer, .. } => self.exited(now, (node, peer.id)),
            NodeEvent::Whisper { peer, content } => self.heard(now, node, &peer, key, content),
            _ => {}
        }
    }

    fn entered(&mut self, now: Instant, node: Which, peer: &Arc<Peer>, key: Option<PublicKey>) {
        // It may have exited unseen.
        self.exited(now, (node, peer.id));
        let sessions = self.sessions(node);
        sessions.handle_entered(now, peer, key);
        if let Some(roles) = Roles::of(&peer.headers) {
            let declared = Declared {
                peer: peer.clone(),
                role: roles.role,
                proved: false,
            };
            self.declared.insert((node, peer.id), declared);
            self.relaying.has_changed();
        }
    }

    fn exited(&mut self, now: Instant, at: Address) {
        let (node, id) = at;
        self.lost(now, at);
        self.sessions(node).handle_exited(now, id);
        self.outboxes.remove(at);
        if self.declared.remove(&at).is_some() {
            match node {
                Which::Local => self.rival_exits(id),
                _ => self.review_contacts(),
            }
        }
    }

    fn heard(
        &mut self,
        now: Instant,
        node: Which,
        peer: &Arc<Peer>,
        key: Option<PublicKey>,
        content: Frames,
    ) {
        if Message::is_once(&content) {
            self.counters.octets_received += content.octets() as u64;
        }
        let heard = self.sessions(node).handle_whisper(now, peer, key, content);
        // What a message proves comes before what the next one says.
        self.settle(now);
        let at = (node, peer.id);
        let role = self.declared.get(&at).map(|declared| declared.role);
        // ONCE-108: version 1 is a matter of servers.
        let (Heard::V2(message), Some(role)) = (heard, role) else {
            return;
        };
        match (node, role) {
            (Which::Remote, Role::Bridge) => self.heard_bridge(now, peer.id, message),
            (Which::Remote, Role::Server) => self.heard_server(now, peer.id, message),
            _ => self.heard_other(now, at, &message),
        }
    }

    fn heard_server(&mut self, now: Instant, server: PeerId, message: V2) {
        match message {
            V2::ListEndpoints { contacts } => self.listed(server, contacts),
            V2::Ticket(invitation) => self.invited(now, server, invitation),
            other => self.heard_other(now, (Which::Remote, server), &other),
        }
    }

    /// What is not for this one to say.
    fn heard_other(&mut self, now: Instant, at: Address, message: &V2) {
        match message {
            V2::Nope(nope) => self.was_refused(at.1, nope),
            other => {
                let (node, peer) = at;
                let id = other.id();
                self.sessions(node).refuse(now, peer, id, Code::UNEXPECTED);
            }
        }
    }

    fn was_refused(&mut self, peer: PeerId, nope: &Nope) {
        self.tell(Event::Refused {
            peer,
            code: nope.code,
            us: true,
        });
    }

    fn heard_bridge(&mut self, now: Instant, bridge: PeerId, message: V2) {
        match message {
            V2::GetRoster { epoch, from } => {
                let own = &mut self.own;
                if let Some(far) = self.fars.get_mut(&bridge) {
                    far.feed(own, epoch, from);
                    self.outboxes.wake((Which::Remote, bridge));
                }
            }
            V2::Roster(roster) => self.heard_roster(now, bridge, roster),
            V2::Delta(delta) => self.heard_change(now, bridge, delta),
            V2::RemoteWhisper(whisper) => self.heard_whisper(now, bridge, whisper),
            V2::RemoteShout(shout) => self.heard_shout(now, bridge, shout),
            V2::RemoteAgain(again) => self.heard_again(now, bridge, again),
            V2::Undeliverable(undeliverable) => self.heard_undeliverable(bridge, &undeliverable),
            V2::Nope(nope) => {
                if nope.about == super::inward::REMOTE_AGAIN
                    && let Some(far) = self.fars.get_mut(&bridge)
                {
                    // ONCE-104: it does not have what we thought it had.
                    far.forget_said();
                    self.counters.undeliverable += 1;
                }
                self.was_refused(bridge, &nope);
            }
            other => self.heard_other(now, (Which::Remote, bridge), &other),
        }
    }

    // ---- sessions

    pub(super) fn sessions(&mut self, node: Which) -> &mut crate::once::Sessions {
        match node {
            Which::Local => &mut self.local,
            _ => &mut self.remote,
        }
    }

    pub(super) fn handle_output(&mut self, now: Instant, at: Address, output: Output) {
        match output {
            Output::Send(message) => self.say(at, message),
            Output::Proved { mechanism } => self.met(now, at, mechanism),
            Output::Over { .. } => self.lost(now, at),
            Output::Refused { code, us } => self.tell(Event::Refused {
                peer: at.1,
                code,
                us,
            }),
        }
    }

    /// Somebody proved that it may take part.
    fn met(&mut self, now: Instant, at: Address, mechanism: &'static str) {
        let Some(declared) = self.declared.get_mut(&at) else {
            return;
        };
        declared.proved = true;
        let (peer, role) = (declared.peer.clone(), declared.role);
        let (node, id) = at;
        match (node, role) {
            (Which::Remote, Role::Bridge) => {
                self.tell(Event::Met {
                    peer,
                    role,
                    mechanism,
                });
                self.make_room(id);
                let numbers = self.numbers;
                let limits = &self.config.limits;
                let far = self
                    .fars
                    .entry(id)
                    .or_insert_with(|| Far::new(numbers, limits));
                far.meet(&self.own);
                self.outboxes.wake(at);
                self.ask_roster(id);
                // ONCE-86: a bridge is no peer of another one.
                self.look_again([id]);
            }
            (Which::Remote, Role::Server) => {
                if Roles::of(&peer.headers).is_some_and(|roles| roles.relay) {
                    self.relaying.begin_anew(now);
                }
                self.tell(Event::Met {
                    peer,
                    role,
                    mechanism,
                });
            }
            (_, Role::Bridge) => self.rival_proved(now, id),
            (_, Role::Server) => {}
        }
    }

    /// Somebody may not take part any more, or is gone.
    fn lost(&mut self, now: Instant, at: Address) {
        let Some(declared) = self.declared.get_mut(&at).filter(|it| it.proved) else {
            return;
        };
        declared.proved = false;
        let (peer, role) = (declared.peer.clone(), declared.role);
        let (node, id) = at;
        match (node, role) {
            (Which::Remote, Role::Bridge) => {
                self.tell(Event::Lost { peer });
                self.lose(id);
            }
            (Which::Remote, Role::Server) => self.tell(Event::Lost { peer }),
            (_, Role::Bridge) => self.rival_gone(now, id),
            (_, Role::Server) => {}
        }
    }

    /// A bridge is gone, and its roster with it.
    fn lose(&mut self, id: PeerId) {
        // ONCE-87
        self.losses += 1;
        let losses = self.losses;
        let Some(far) = self.fars.get_mut(&id) else {
            return;
        };
        let gone: BTreeSet<PeerId> = far.replica.ids().chain([id]).collect();
        far.lost = losses;
        let mut said = self.outboxes.lose((Which::Remote, id));
        said.extend(far.lose());
        for peer in &gone {
            self.holders.withdraw(*peer, id);
        }
        self.look_again(gone);
        for from in said {
            self.was_undeliverable(from, id, Reason::LOST);
        }
    }

    /// We are gone for all of them.
    pub(super) fn lose_all(&mut self) {
        for declared in self.declared.values_mut() {
            declared.proved = false;
        }
        let mut unsaid = Vec::new();
        for (id, far) in &mut self.fars {
            let refused = self.outboxes.lose((Which::Remote, *id));
            let said = refused.into_iter().chain(far.lose());
            unsaid.extend(said.map(|from| (from, *id)));
        }
        for (from, bridge) in unsaid {
            self.was_undeliverable(from, bridge, Reason::LOST);
        }
    }

    /// As many bridges are remembered as may be known at once.
    fn make_room(&mut self, id: PeerId) {
        if self.fars.contains_key(&id) || self.fars.len() < self.config.limits.bridges {
            return;
        }
        let gone = self.fars.iter().filter(|(_, far)| !far.live);
        let oldest = gone.min_by_key(|(_, far)| far.lost).map(|(id, _)| *id);
        if let Some(far) = oldest.and_then(|id| self.fars.remove(&id)) {
            // Whoever remembers us takes only what is above.
            self.numbers = self.numbers.max(far.number());
        }
    }

    /// Whether it is a bridge that has proved that it may take part, on either network, or this one.
    pub(super) fn is_bridge(&self, id: PeerId) -> bool {
        let is = |node| {
            let declared = self.declared.get(&(node, id));
            declared.is_some_and(|it| it.proved && it.role == Role::Bridge)
        };
        id == self.config.id || is(Which::Remote) || is(Which::Local)
    }

    // ---- rosters

    fn ask_roster(&mut self, bridge: PeerId) {
        if let Some(far) = self.fars.get_mut(&bridge)
            && !far.asked
        {
            far.asked = true;
            let (epoch, from) = far.replica.wanted();
            self.say((Which::Remote, bridge), V2::GetRoster { epoch, from });
        }
    }

    fn heard_roster(&mut self, now: Instant, bridge: PeerId, roster: Roster) {
        let Some(far) = self.fars.get_mut(&bridge).filter(|far| !far.excessive) else {
            return;
        };
        let result = far.replica.part(roster);
        if result.is_ok() {
            far.asked = false;
        }
        self.differs(now, bridge, ROSTER, result);
    }

    fn heard_change(&mut self, now: Instant, bridge: PeerId, delta: Delta) {
        let Some(far) = self.fars.get_mut(&bridge).filter(|far| !far.excessive) else {
            return;
        };
        let id = V2::Delta(delta.clone()).id();
        let result = far.replica.change(delta);
        if result.is_ok() {
            far.asked = false;
        }
        self.differs(now, bridge, id, result);
    }

    fn differs(
        &mut self,
        now: Instant,
        bridge: PeerId,
        about: u8,
        result: Result<Vec<Difference>, Trouble>,
    ) {
        match result {
            Ok(differences) => self.changed(bridge, differences),
            Err(Trouble::Old) => {}
            Err(Trouble::Gap) => self.ask_roster(bridge),
            Err(Trouble::Excess) => {
                // ONCE-84
                if let Some(far) = self.fars.get_mut(&bridge) {
                    let gone: BTreeSet<PeerId> = far.replica.ids().collect();
                    far.excessive = true;
                    far.replica.clear();
                    for peer in &gone {
                        self.holders.withdraw(*peer, bridge);
                    }
                    self.look_again(gone);
                }
                self.sessions(Which::Remote)
                    .refuse(now, bridge, about, Code::MALFORMED);
            }
        }
    }

    fn changed(&mut self, bridge: PeerId, differences: Vec<Difference>) {
        let mut touched = BTreeSet::new();
        for difference in differences {
            match difference {
                Difference::Enter(id) => {
                    self.holders.claim(id, bridge);
                    self.tell_claim(bridge, id);
                    touched.insert(id);
                }
                Difference::Exit(id) => {
                    self.holders.withdraw(id, bridge);
                    touched.insert(id);
                }
                Difference::Join(id, group) => self.stand_in_joins(bridge, id, group),
                Difference::Leave(id, group) => self.stand_in_leaves(bridge, id, &group),
            }
        }
        self.look_again(touched);
    }

    // ---- contacts

    fn listed(&mut self, server: PeerId, listed: Vec<Listed>) {
        let secure = self.config.key.is_some();
        let contacts = listed.into_iter().filter_map(|it| {
            // ONCE-118
            let key = it.key.map(PublicKey::from_bytes);
            let endpoint = Endpoint::try_from(&it.endpoint).ok()?;
            let contact = Contact {
                endpoint,
                key,
                bridge: it.uuid,
            };
            (it.uuid != self.config.id && key.is_some() == secure).then_some(contact)
        });
        self.contacts.set(server, contacts.collect());
        self.review_contacts();
    }

    fn review_contacts(&mut self) {
        self.relaying.has_changed();
        let declared = &self.declared;
        let steps = &mut self.steps;
        self.contacts.review(
            |id| declared.contains_key(&(Which::Remote, id)),
            |action| steps.push_back(super::Step::Act(action)),
        );
    }

    // ---- what a node did not take

    pub(super) fn not_taken(
        &mut self,
        now: Instant,
        to: Address,
        content: Frames,
        error: SendError,
        said: Option<Said>,
    ) {
        // Of one that is gone already nothing is kept.
        if matches!(error, SendError::Full) && self.declared.contains_key(&to) {
            self.outboxes.refused(now, to, content, said);
            return;
        }
        if let Some(said) = said {
            let reason = match error {
                SendError::TooLarge { .. } => Reason::TOO_LARGE,
                _ => Reason::LOST,
            };
            if let Some(far) = self.fars.get_mut(&to.1) {
                far.forget_said();
            }
            self.was_undeliverable(said.from, to.1, reason);
        }
    }
}

/// The id of ROSTER.
const ROSTER: u8 = 0x31;
