//! What the application says: WHISPER, SHOUT, and the way of all that is said to the link.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::SocketAddr;

use smallvec::SmallVec;
use tracing::trace;

use super::deadlines::Due;
use super::dial::{Dial, Owner};
use super::node::Node;
use super::{Action, SendError, Shouted, abilities};
use crate::net::LinkId;
use crate::wire::zre::{Command, Message, PREFIX_OCTETS, shout_head_len};
use crate::wire::{Frames, Text};
use crate::{Bytes, Instant, PeerId};

/// Somebody to whom a SHOUT goes, and whether there is room for it.
type Member = (PeerId, SocketAddr, bool);

impl Node {
    /// Says something to one peer. A message without frames is sent as one empty frame (ZRE-74), since Pyre and zyre.js cannot
    /// read one that has none.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownPeer`], [`SendError::Full`], [`SendError::TooLarge`] or [`SendError::Stopped`]; nothing was
    /// sent and nothing changed.
    pub fn whisper(
        &mut self,
        now: Instant,
        peer: PeerId,
        content: &Frames,
    ) -> Result<(), SendError> {
        if let Some((link, sequence)) = self.whisper_at_once(now, peer, content)? {
            let content = spoken(content).into_owned();
            let command = Command::Whisper { content };
            let message = Message { sequence, command };
            self.actions.push_back(Action::Send { link, message });
        }
        Ok(())
    }

    /// The same, except that what can be said at once is left to whoever calls: it is to be sent with this number over this
    /// link, after all actions that wait, and as one empty frame when it has none.
    #[inline]
    pub(crate) fn whisper_at_once(
        &mut self,
        now: Instant,
        peer: PeerId,
        content: &Frames,
    ) -> Result<Option<(LinkId, u16)>, SendError> {
        let octets = self.check(content, PREFIX_OCTETS)?;
        let address = self.peers.get(&peer).ok_or(SendError::UnknownPeer)?.address;
        self.say_at_once(now, peer, address, (PREFIX_OCTETS, octets), || {
            let content = spoken(content).into_owned();
            Command::Whisper { content }
        })
    }

    /// Says a message with so many octets before and in its content over our link to a peer: what can be said at once is left
    /// to whoever calls, what has to wait is made a command of.
    #[inline]
    fn say_at_once(
        &mut self,
        now: Instant,
        peer: PeerId,
        address: SocketAddr,
        (head, octets): (usize, usize),
        command: impl FnOnce() -> Command,
    ) -> Result<Option<(LinkId, u16)>, SendError> {
        let limits = &self.config.limits;
        let dial = self.dials.get_mut(address);
        let Some(dial) = dial.filter(|dial| dial.has_room(limits, octets)) else {
            self.watch_full(now, peer, address);
            self.counters.sends_refused += 1;
            return Err(SendError::Full);
        };
        let Some(link) = dial.clear() else {
            self.say(address, command());
            return Ok(None);
        };
        self.counters.messages_sent += 1;
        if dial.is_first_unsure() {
            self.unsure.push(address);
        }
        Ok(Some((link, dial.number(head + octets))))
    }

    /// Says something to one peer in a group, as a SHOUT to that group which the others do not get. The node need not be in the
    /// group. For one who speaks for others, to whom the members did not enter all at once.
    ///
    /// # Errors
    ///
    /// Those of [`whisper`](Node::whisper), and [`SendError::NotMember`] when the peer is not in the group, as far as it said by
    /// now; nothing was sent and nothing changed.
    pub fn shout_to(
        &mut self,
        now: Instant,
        peer: PeerId,
        group: &Text,
        content: &Frames,
    ) -> Result<(), SendError> {
        if let Some((link, sequence)) = self.shout_to_at_once(now, peer, group, content)? {
            let (group, content) = (group.clone(), spoken(content).into_owned());
            let command = Command::Shout { group, content };
            let message = Message { sequence, command };
            self.actions.push_back(Action::Send { link, message });
        }
        Ok(())
    }

    /// The same, except that what can be said at once is left to whoever calls, as in
    /// [`whisper_at_once`](Self::whisper_at_once).
    #[inline]
    pub(crate) fn shout_to_at_once(
        &mut self,
        now: Instant,
        peer: PeerId,
        group: &Text,
        content: &Frames,
    ) -> Result<Option<(LinkId, u16)>, SendError> {
        let head = shout_head_len(group);
        let octets = self.check(content, head)?;
        let record = self.peers.get(&peer).ok_or(SendError::UnknownPeer)?;
        // ZRE-136
        if !record.groups.contains(group) {
            return Err(SendError::NotMember);
        }
        let address = record.address;
        self.say_at_once(now, peer, address, (head, octets), || {
            let (group, content) = (group.clone(), spoken(content).into_owned());
            Command::Shout { group, content }
        })
    }

    /// Says something to all peers in a group. The node need not be in it.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] or [`SendError::Stopped`]; nothing was sent. A peer whose queue is full is left out and
    /// counted in [`Shouted::full`].
    pub fn shout(
        &mut self,
        now: Instant,
        group: &Text,
        content: &Frames,
    ) -> Result<Shouted, SendError> {
        let mut at_once = SmallVec::<[_; 16]>::new();
        let note = |link, sequence| at_once.push((link, sequence));
        let shouted = self.shout_at_once(now, group, content, note)?;
        for (link, sequence) in at_once {
            let (group, content) = (group.clone(), spoken(content).into_owned());
            let command = Command::Shout { group, content };
            let message = Message { sequence, command };
            self.actions.push_back(Action::Send { link, message });
        }
        Ok(shouted)
    }

    /// The same, except that what can be said at once goes to `send`, as in [`whisper_at_once`](Self::whisper_at_once).
    pub(crate) fn shout_at_once(
        &mut self,
        now: Instant,
        group: &Text,
        content: &Frames,
        mut send: impl FnMut(LinkId, u16),
    ) -> Result<Shouted, SendError> {
        let head = shout_head_len(group);
        let octets = self.check(content, head)?;
        let mut shouted = Shouted::default();
        // Look-ups first and all together, and only then what is long: of hundreds of peers few are in the cache, and the
        // processor waits for many places in memory as long as for one.
        let members = self.members.get(group).into_iter().flatten();
        let mut members: SmallVec<[Member; 16]> = members
            .filter_map(|peer| Some((*peer, self.peers.get(peer)?.address, false)))
            .collect();
        let limits = &self.config.limits;
        for (_, address, room) in &mut members {
            let dial = self.dials.get(*address);
            *room = dial.is_some_and(|dial| dial.has_room(limits, octets));
        }
        for (peer, address, room) in members {
            if !room {
                self.watch_full(now, peer, address);
                self.counters.sends_refused += 1;
                shouted.full += 1;
                continue;
            }
            shouted.reached += 1;
            let dial = self.dials.get_mut(address);
            if let Some(dial) = dial
                && let Some(link) = dial.clear()
            {
                self.counters.messages_sent += 1;
                if dial.is_first_unsure() {
                    self.unsure.push(address);
                }
                send(link, dial.number(head + octets));
            } else {
                let (group, content) = (group.clone(), spoken(content).into_owned());
                self.say(address, Command::Shout { group, content });
            }
        }
        Ok(shouted)
    }

    /// Asks a peer with a PING, only to know how long its answer takes, which [`PeerView::round_trip`](super::PeerView::round_trip)
    /// tells when it is there. Nothing is said while such an answer is awaited, or while nothing can be said to the peer at once:
    /// whoever asks now and then has one of a time that is not long ago.
    ///
    /// # Errors
    ///
    /// [`SendError::UnknownPeer`], [`SendError::Full`] or [`SendError::Stopped`]; nothing was sent.
    // ZRE-54
    pub fn ping(&mut self, now: Instant, peer: PeerId) -> Result<(), SendError> {
        if self.is_stopping() {
            return Err(SendError::Stopped);
        }
        let address = self.peers.get(&peer).ok_or(SendError::UnknownPeer)?.address;
        let limits = &self.config.limits;
        let dial = self.dials.get(address);
        if dial.is_none_or(|dial| !dial.has_room(limits, 0)) {
            return Err(SendError::Full);
        }
        if dial.is_some_and(Dial::may_be_timed) {
            self.say(address, Command::Ping);
            if let Some(dial) = self.dials.get_mut(address) {
                dial.time_answer(now);
            }
        }
        Ok(())
    }

    /// Sends a command over our link to this address, or keeps it until the link is up again. The status of JOIN and LEAVE is
    /// put in here.
    pub(super) fn say(&mut self, address: SocketAddr, mut command: Command) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        // ZRE-19
        let link = dial.up().filter(|_| dial.may_say(&command));
        let Some(link) = link else {
            match &command {
                Command::Whisper { content } | Command::Shout { content, .. } => {
                    dial.queued_octets += content.octets();
                }
                // ELEC-4
                Command::Join { .. }
                | Command::Leave { .. }
                | Command::Elect { .. }
                | Command::Leader { .. } => {}
                // What is said about now makes no sense later.
                _ => return,
            }
            dial.queued_messages += 1;
            dial.held.push_back(command);
            return;
        };
        if dial.sender.is_unsure()
            && let Some(record) = dial.peer().and_then(|id| self.peers.get(&id))
            && abilities::has(&record.card, abilities::GOODBYE)
        {
            // As every atonce node does.
            dial.sender.wrap_late();
        }
        if dial.sender.is_unsure() {
            // ZRE-70
            // A peer that wraps early ends the conversation at the number that comes now: that is not to cost a message.
            if !matches!(command, Command::Ping) {
                self.say(address, Command::Ping);
                return self.say(address, command);
            }
            dial.asked = Some(dial.sent() + 1);
        }
        if let Command::Join { status, .. } | Command::Leave { status, .. } = &mut command {
            // ZRE-72
            dial.status = dial.status.wrapping_add(1);
            *status = dial.status;
        }
        let word = !matches!(command, Command::Ping | Command::PingOk);
        if word && matches!(dial.owner, Owner::Peer(_)) && dial.is_first_unsure() {
            self.unsure.push(address);
        }
        let message = dial.number_command(command);
        self.counters.messages_sent += 1;
        self.actions.push_back(Action::Send { link, message });
    }

    /// Tells every peer of a change of our own groups.
    pub(super) fn tell_all(
        &mut self,
        now: Instant,
        command: impl Fn(Text) -> Command,
        group: &Text,
    ) {
        trace!(%now, %group, "own groups changed");
        // Also those that greeted nobody yet: they know our groups from our HELLO.
        let told: Vec<_> = self
            .dials
            .iter()
            .filter(|(_, dial)| dial.greeted_at.is_some() || dial.peer().is_some())
            .map(|(address, dial)| (address, dial.owner))
            .collect();
        for (address, owner) in told {
            let room = match owner {
                Owner::Peer(id) => self.has_room(now, id, address, 0),
                // They have a deadline of their own.
                Owner::Nobody | Owner::Greeted { .. } => self
                    .dials
                    .get(address)
                    .is_some_and(|dial| dial.has_room(&self.config.limits, 0)),
            };
            if room {
                self.say(address, command(group.clone()));
            } else if let Some(dial) = self.dials.get_mut(address) {
                // ZRE-81
                dial.leave_unsaid(group);
            }
        }
    }

    /// Whether a peer with the limits of this node takes the content, behind a frame of so many octets; and its octets.
    fn check(&self, content: &Frames, head: usize) -> Result<usize, SendError> {
        if self.is_stopping() {
            return Err(SendError::Stopped);
        }
        let limits = &self.config.limits;
        let limit = limits.message_octets;
        let (mut octets, mut longest) = (0_usize, 0);
        for frame in content {
            octets = octets.saturating_add(frame.len());
            longest = frame.len().max(longest);
        }
        if octets.saturating_add(head) > limit
            || content.len() >= limits.message_frames
            || longest > limits.frame_octets
        {
            return Err(SendError::TooLarge { limit });
        }
        Ok(octets)
    }

    pub(super) fn has_room(
        &mut self,
        now: Instant,
        peer: PeerId,
        address: SocketAddr,
        octets: usize,
    ) -> bool {
        let limits = &self.config.limits;
        let dial = self.dials.get(address);
        let room = dial.is_some_and(|dial| dial.has_room(limits, octets));
        if !room {
            self.watch_full(now, peer, address);
        }
        room
    }

    /// Something was not put into the queue to a peer, which is full: it has a while to take something of it.
    fn watch_full(&mut self, now: Instant, peer: PeerId, address: SocketAddr) {
        if let Some(dial) = self.dials.get_mut(address)
            && !core::mem::replace(&mut dial.full, true)
        {
            let deadline = now + self.config.limits.send_deadline;
            self.timers.set(Due::Overrun(peer), deadline);
        }
    }
}

/// Content as it is sent: a message without frames is one empty frame.
// ZRE-74
#[inline]
pub(crate) fn spoken(content: &Frames) -> Cow<'_, Frames> {
    if content.is_empty() {
        Cow::Owned(Frames::from(Bytes::new()))
    } else {
        Cow::Borrowed(content)
    }
}
