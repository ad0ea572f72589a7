//! What a peer that is here says, on the link on which it speaks (ZRE-70 to ZRE-76 of `spec/zre.md`).

use alloc::collections::BTreeSet;
use core::net::SocketAddr;

use super::greeting::is_same;
use super::inbox::Inbox;
use super::node::Node;
use super::record::Record;
use super::{Counters, Event, ExitReason, Limits, Lost, Presence, Word};
use crate::net::LinkId;
use crate::wire::zre::{Command, Message, Said};
use crate::wire::{Frames, Text};
use crate::{Instant, PeerId};

/// A peer that is here and of which nothing is doubted, on its link: what it says goes right into the inbox.
///
/// All that is to be looked up for a message is looked up once for all that came together.
pub(crate) struct Hearing<'a> {
    now: Instant,
    id: PeerId,
    record: &'a mut Record,
    inbox: &'a mut Inbox,
    counters: &'a mut Counters,
    groups: &'a BTreeSet<Text>,
    limits: &'a Limits,
}

impl Hearing<'_> {
    /// Takes a WHISPER or SHOUT that is what is expected next. `false`: it is another message, which is for
    /// [`Node::handle_said`], and nothing has changed.
    #[inline]
    pub(crate) fn take(&mut self, head: &[u8], content: &mut Frames) -> bool {
        let Some((said, sequence)) = Said::read(head) else {
            return false;
        };
        if !self.record.receiver.accept_next(sequence) {
            return false;
        }
        self.counters.messages_received += 1;
        self.record.heard = self.now;
        self.record.spoke = self.now;
        let (peer, content) = (self.record.card.clone(), core::mem::take(content));
        let event = match said {
            Said::Whisper => Event::Whisper { peer, content },
            // ZRE-75
            Said::Shout(group) => match self.groups.get(group) {
                // One name in memory for all that is shouted to the group.
                Some(group) => Event::Shout {
                    peer,
                    group: group.clone(),
                    content,
                },
                None => return true,
            },
        };
        self.inbox.push(event);
        true
    }

    /// Whether the peer's next message is taken now, see [`Node::speaker`].
    #[inline]
    pub(crate) fn is_willing(&self) -> bool {
        // ZRE-80
        !self.inbox.is_full(self.id, self.limits)
    }
}

impl Node {
    /// To hear what a peer says that [speaks](Self::speaker); `None` when something is to be thought of at each message.
    pub(crate) fn hearing(&mut self, now: Instant, id: PeerId) -> Option<Hearing<'_>> {
        let record = self.peers.get_mut(&id)?;
        let plain = record.presence == Presence::Ready
            && !record.receiver.wraps_early()
            && !self.untold.contains(&id);
        plain.then_some(Hearing {
            now,
            id,
            record,
            inbox: &mut self.inbox,
            counters: &mut self.counters,
            groups: &self.groups,
            limits: &self.config.limits,
        })
    }

    /// A message of a peer that is here, on its link.
    pub(super) fn hear(&mut self, now: Instant, link: LinkId, id: PeerId, message: Message) {
        let Message { sequence, command } = message;
        if let Command::Hello(hello) = &command {
            let Some(inbound) = self.inbound(link) else {
                return;
            };
            let (origin, key) = (inbound.origin(), inbound.key());
            if let Err(flaw) = Self::check_key(key, hello) {
                // ZRE-113
                self.counters.impostors += 1;
                return self.exit(now, id, ExitReason::Lost(Lost::Malformed(flaw)));
            }
            if let Err(flaw) = self.mailbox_of(now, id, origin, key, sequence, hello) {
                // ZRE-20, ZRE-26
                return self.exit(now, id, ExitReason::Lost(flaw));
            }
            // HELLO always begins a new conversation.
            let answer = self
                .peers
                .get(&id)
                .is_some_and(|record| record.answer.is_due(now) && is_same(&record.card, hello));
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
            Command::Leave { group, .. } => self.peer_left(now, id, &group),
            // ZRE-76
            Command::Ping => self.say_if_room(address, Command::PingOk),
            Command::PingOk => self.answered(now, id),
            Command::Goodbye => {
                self.note_election(now, id);
                self.challenge_goodbye(now, id);
            }
            Command::Elect {
                group,
                challenger_id,
            } => self.hear_word(now, id, &group, &challenger_id, Word::Elect),
            Command::Leader { group, leader_id } => {
                self.hear_word(now, id, &group, &leader_id, Word::Leader);
            }
            Command::Hello(_) | Command::Unknown { .. } => {}
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

    pub(super) fn peer_joined(&mut self, now: Instant, id: PeerId, group: Text) {
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
        let joined = group.clone();
        self.inbox.push(Event::Join { peer, group });
        self.voter_came(now, id, &joined);
    }

    pub(super) fn peer_left(&mut self, now: Instant, id: PeerId, group: &Text) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        if record.groups.remove(group) {
            let peer = record.card.clone();
            self.forget_member(id, group);
            let left = group.clone();
            self.inbox.push(Event::Leave { peer, group: left });
            self.voter_gone(now, id, group);
        }
    }

    pub(super) fn forget_member(&mut self, id: PeerId, group: &Text) {
        if let Some(members) = self.members.get_mut(group) {
            members.remove(&id);
            if members.is_empty() {
                self.members.remove(group);
            }
        }
    }
}
