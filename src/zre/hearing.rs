//! What a peer that is here says, on the link on which it speaks (ZRE-70 to ZRE-76 of `spec/zre.md`).

use core::net::SocketAddr;

use super::greeting::is_same;
use super::node::Node;
use super::{Event, ExitReason, Lost, Presence};
use crate::net::LinkId;
use crate::wire::zre::{Command, Message};
use crate::{Instant, PeerId};

impl Node {
    /// A message of a peer that is here, on its link.
    pub(super) fn hear(&mut self, now: Instant, link: LinkId, id: PeerId, message: Message) {
        let Message { sequence, command } = message;
        if let Command::Hello(hello) = &command {
            let Some(remote) = self.inbound(link).map(|inbound| inbound.remote) else {
                return;
            };
            if let Err(flaw) = self.mailbox_of(now, remote, sequence, hello) {
                // ZRE-20, ZRE-26
                return self.exit(now, id, ExitReason::Lost(flaw));
            }
            // HELLO always begins a new conversation.
            let answer = self.peers.get(&id).is_some_and(|record| {
                record.answer_until.is_some_and(|until| now < until) && is_same(&record.card, hello)
            });
            let message = Message { sequence, command };
            return if answer {
                self.refresh(now, link, id, message);
            } else {
                self.replace(now, link, id, message);
            };
        }
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        if let Err(gap) = record.receiver.accept(sequence) {
            let (expected, found) = (gap.expected, gap.found);
            // ZRE-71
            return self.exit(now, id, ExitReason::Lost(Lost::Gap { expected, found }));
        }
        record.heard = now;
        record.spoke = now;
        let recovered = record.presence != Presence::Ready;
        let (address, peer) = (record.address, record.card.clone());
        if record.receiver.wraps_early()
            && let Some(dial) = self.dials.get_mut(address)
        {
            dial.sender.wrap_early();
        }
        if recovered {
            self.recovered(now, id);
        }
        if self.untold.contains(&id) && !self.inbox.is_full(id, &self.config.limits) {
            // First what happened before it said this.
            self.tell(id);
        }
        match command {
            Command::Whisper { content } => self.inbox.push(Event::Whisper { peer, content }),
            Command::Shout { group, content } => {
                // ZRE-75
                if self.groups.contains(&group) {
                    self.inbox.push(Event::Shout {
                        peer,
                        group,
                        content,
                    });
                }
            }
            Command::Join { group, .. } => self.peer_joined(now, id, group),
            Command::Leave { group, .. } => self.peer_left(id, &group),
            // ZRE-76
            Command::Ping => self.say_if_room(address, Command::PingOk),
            Command::PingOk => self.answered(now, id),
            Command::Goodbye => {
                self.note_election(id);
                self.challenge_goodbye(now, id);
            }
            Command::Elect { .. } | Command::Leader { .. } => self.note_election(id),
            Command::Hello(_) | Command::Unknown { .. } => {}
        }
    }

    /// The peer sent a command that only C Zyre and its kin know.
    fn note_election(&mut self, id: PeerId) {
        if let Some(record) = self.peers.get_mut(&id) {
            record.elects = true;
        }
    }

    /// Says what may be left out when the peer does not read.
    pub(super) fn say_if_room(&mut self, address: SocketAddr, command: Command) {
        let limit = self.config.limits.send_messages;
        let room = self
            .dials
            .get(address)
            .is_some_and(|dial| dial.queued_messages < limit && !dial.full);
        if room {
            self.say(address, command);
        }
    }

    pub(super) fn peer_joined(&mut self, now: Instant, id: PeerId, group: crate::wire::Text) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        if record.groups.contains(&group) {
            return;
        }
        // ZRE-83
        if record.groups.len() >= self.config.limits.groups_per_peer {
            return self.exit(now, id, ExitReason::Lost(Lost::Limit("groups of a peer")));
        }
        // One name in memory for all who are in the group, and not what each of them sent.
        let known = self.members.get_key_value(&group).map(|(known, _)| known);
        let group = known.cloned().unwrap_or(group);
        record.groups.insert(group.clone());
        self.members.entry(group.clone()).or_default().insert(id);
        let peer = record.card.clone();
        self.inbox.push(Event::Join { peer, group });
    }

    pub(super) fn peer_left(&mut self, id: PeerId, group: &crate::wire::Text) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        if record.groups.remove(group) {
            let peer = record.card.clone();
            self.forget_member(id, group);
            let group = group.clone();
            self.inbox.push(Event::Leave { peer, group });
        }
    }

    pub(super) fn forget_member(&mut self, id: PeerId, group: &crate::wire::Text) {
        if let Some(members) = self.members.get_mut(group) {
            members.remove(&id);
            if members.is_empty() {
                self.members.remove(group);
            }
        }
    }
}
