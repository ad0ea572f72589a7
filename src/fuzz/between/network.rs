//! How datagrams and octets get from one node to the other.

use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::BufMut;

use super::wire::{End, Wire};
use super::{Answer, Datagram, World, lies};
use crate::net::{InterfaceId, LinkId};
use crate::wire::zmtp::Identity;
use crate::{Cut, zmtp};

/// In which of the networks an address is.
fn network_of(address: &SocketAddr) -> u8 {
    match address {
        SocketAddr::V4(v4) => v4.ip().octets()[2],
        SocketAddr::V6(_) => 0,
    }
}

impl World {
    pub(super) fn hand_datagram(&mut self, datagram: &Datagram) {
        let source = self.seen_from(1 - datagram.to, datagram.source);
        if self.is_hidden(1 - datagram.to)
            && let Some(nat) = &mut self.nat
        {
            // It leads to whoever is there.
            nat.sought = true;
        }
        let side = &mut self.sides[datagram.to];
        let there = side
            .mailboxes
            .iter()
            .any(|(_, mailbox)| network_of(mailbox) == network_of(&datagram.source));
        if let (true, Some(stack)) = (there, &mut side.stack) {
            stack.handle_datagram(self.now, source, &datagram.octets);
        }
    }

    pub(super) fn new_wire(&mut self, end: End, to: SocketAddr) -> u32 {
        let id = self.next_wire;
        self.next_wire += 1;
        self.wires.insert(id, Wire::new(end, to, self.now));
        id
    }

    /// Who listens at an address, and on which interface.
    fn listener(&self, address: SocketAddr) -> Option<(usize, InterfaceId)> {
        (0..2).find_map(|who| {
            let side = &self.sides[who];
            let mailbox = side.mailboxes.iter().find(|(_, at)| *at == address);
            mailbox
                .filter(|_| side.stack.is_some())
                .map(|(interface, _)| (who, *interface))
        })
    }

    pub(super) fn answer_dial(&mut self, id: u32, mut answer: Answer) {
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.made) else {
            return;
        };
        let to = wire.to;
        let mut stranger = None;
        if answer == Answer::Made && self.is_nowhere(to) {
            match self.nowhere() {
                Ok(end) => stranger = Some(end),
                Err(instead) => answer = instead,
            }
        }
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        let refused = match answer {
            Answer::Made => Cut::Refused,
            Answer::Cut(cut) => cut,
            Answer::Never => {
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.hangs = true;
                    if let End::Puppet(_) = wire.ends[0] {
                        // The middle does not wait.
                        self.wires.remove(&id);
                    }
                }
                return;
            }
        };
        let (dialler, local) = match &wire.ends[0] {
            &End::Node(who, link) => {
                let side = &self.sides[who];
                let mut local = side
                    .mailboxes
                    .iter()
                    .map(|(_, mailbox)| *mailbox)
                    .find(|mailbox| network_of(mailbox) == network_of(&to))
                    .unwrap_or_else(|| self.address_of(who, 0));
                local.set_port(50_000 + u16::try_from(id % 10_000).unwrap_or_default());
                (Some((who, link)), local)
            }
            _ => (None, lies::address(50_000)),
        };
        let remote = dialler.map_or(local, |(who, _)| self.seen_from(who, local));
        let far = match (answer, self.listener(to)) {
            (Answer::Made, Some((who, interface))) if stranger.is_none() => self.sides[who]
                .stack
                .as_mut()
                .and_then(|stack| stack.handle_accepted(self.now, interface, remote))
                .map(|link| (who, link)),
            _ => None,
        };
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        if let Some((who, link)) = far {
            wire.ends[1] = End::Node(who, link);
            self.sides[who].links.insert(link, id);
        } else if let Some(stranger) = stranger {
            wire.ends[1] = stranger;
        } else if answer == Answer::Made && self.liar && to == lies::address(49152) {
            let mailbox = self.mailbox(Identity::default());
            if let Some(wire) = self.wires.get_mut(&id) {
                wire.ends[1] = mailbox;
            }
        } else {
            self.wires.remove(&id);
            if let Some((who, link)) = dialler {
                self.sides[who].links.remove(&link);
                if let Some(stack) = &mut self.sides[who].stack {
                    stack.handle_disconnected(self.now, link, refused);
                }
            }
            return;
        }
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.made = true;
        }
        if let Some((who, link)) = dialler
            && let Some(stack) = &mut self.sides[who].stack
        {
            stack.handle_connected(self.now, link, local);
        }
        for end in 0..2 {
            self.collect_puppet(id, end);
        }
    }

    /// A node or the middle lets its end of a wire go.
    pub(super) fn leave_wire(&mut self, who: usize, link: LinkId, id: u32, cut: Cut) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        if let Some(end) = wire.end_of(who, link) {
            wire.leave(end, cut);
            if !wire.made || wire.is_dead() {
                self.wires.remove(&id);
            }
        }
    }

    /// Takes what a node has to send over a wire, as far as there is room; says whether there was anything.
    pub(super) fn collect(&mut self, id: u32, end: usize) -> bool {
        let secret = self.is_secret();
        let Some(wire) = self.wires.get_mut(&id) else {
            return false;
        };
        let pipe = &mut wire.pipes[end];
        let room = self.capacity.saturating_sub(pipe.octets.len());
        let (End::Node(who, link), true) = (&wire.ends[end], pipe.wanted && room > 0) else {
            return false;
        };
        let (who, link) = (*who, *link);
        let side = &mut self.sides[who];
        let Some(stack) = &mut side.stack else {
            return false;
        };
        let mut octets = Vec::new();
        for slice in stack.poll_transmit(link) {
            let taken = slice.len().min(room - octets.len());
            octets.extend_from_slice(&slice[..taken]);
        }
        if octets.is_empty() {
            pipe.wanted = false;
            return false;
        }
        if !secret {
            if end == 0 {
                let before = side.last.entry(wire.to).or_default();
                wire.overheard.hear(self.now, &octets, before);
            } else {
                // Each conversation of a mailbox is on one connection, and begins there.
                wire.answers.hear(self.now, &octets, &mut None);
                let silent = self.nat.is_some() || wire.answers.last.is_none();
                assert!(silent, "a mailbox has nothing to say");
            }
        }
        if !pipe.swallows && pipe.end.is_none() {
            pipe.octets.extend(&octets);
        }
        stack.handle_transmitted(self.now, link, octets.len());
        true
    }

    /// Hands some octets of a wire to its other end, or that it is at its end; says whether anything happened.
    pub(super) fn deliver(&mut self, id: u32, end: usize, octets: usize, by_hand: bool) -> bool {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.made) else {
            return false;
        };
        let pipe = &mut wire.pipes[end];
        if pipe.held && !by_hand {
            return false;
        }
        let mut octets = octets.min(pipe.octets.len());
        self.moved += octets;
        let to = wire.to;
        match &mut wire.ends[1 - end] {
            End::Nobody => {
                pipe.octets.clear();
                if wire.is_dead() {
                    self.wires.remove(&id);
                }
                false
            }
            // A reset is noticed even so.
            End::Node(..) if pipe.paused && (octets > 0 || pipe.end == Some(Cut::Closed)) => false,
            &mut End::Node(who, link) if octets > 0 => {
                let side = &mut self.sides[who];
                let Some(stack) = &mut side.stack else {
                    return false;
                };
                pipe.unread = if side.reading {
                    0
                } else {
                    pipe.unread + octets
                };
                let limits = &self.config.limits;
                // What it may keep, one message, what is read at once, and what asks whether it lives.
                let at_once = limits.message_octets + limits.send_octets;
                let most = limits.receive_octets + limits.message_octets + at_once + 10_000;
                assert!(pipe.unread <= most, "{} octets wait", pipe.unread);
                if self.fills
                    && let Some(mut buffer) = stack.receive_buffer(link)
                {
                    octets = octets.min(buffer.remaining_mut());
                    for octet in pipe.octets.drain(..octets) {
                        buffer.put_u8(octet);
                    }
                    stack.handle_filled(self.now, link);
                } else {
                    let octets: Vec<u8> = pipe.octets.drain(..octets).collect();
                    stack.handle_received(self.now, link, &octets);
                }
                true
            }
            End::Puppet(connection) if octets > 0 => {
                let octets: Vec<u8> = pipe.octets.drain(..octets).collect();
                connection.handle_input(self.now, &octets);
                let mut hears = false;
                while let Some(event) = connection.poll_event() {
                    hears |= end == 0 && matches!(event, zmtp::Event::Message(_));
                    if let zmtp::Event::Authenticate(_) = event {
                        connection.handle_verdict(self.now, zmtp::Verdict::Allow);
                    }
                }
                assert!(!hears || !self.is_deaf(to), "a stranger hears something");
                self.collect_puppet(id, 1 - end);
                true
            }
            End::Node(..) | End::Puppet(_) => {
                let Some(cut) = pipe.end.take() else {
                    return false;
                };
                let node = match wire.ends[1 - end] {
                    End::Node(who, link) => Some((who, link)),
                    _ => None,
                };
                wire.leave(1 - end, Cut::Closed);
                if wire.is_dead() {
                    self.wires.remove(&id);
                }
                if let Some((who, link)) = node {
                    self.note(format_args!("> {who}: {link} ends: {cut:?}"));
                    self.sides[who].links.remove(&link);
                    if let Some(stack) = &mut self.sides[who].stack {
                        stack.handle_disconnected(self.now, link, cut);
                    }
                }
                true
            }
        }
    }

    /// Lets one thing get through that gets through by itself; says whether there was any. By turns, so that no connection
    /// waits for another.
    pub(super) fn flow(&mut self) -> bool {
        let first = self.wires.range(self.turn..).map(|(id, _)| *id);
        let then = self.wires.range(..self.turn).map(|(id, _)| *id);
        let ids: Vec<u32> = first.chain(then).collect();
        for id in ids {
            self.turn = id + 1;
            let waits = |wire: &Wire| !wire.made && !wire.hangs;
            if self.flows && self.wires.get(&id).is_some_and(waits) {
                self.answer_dial(id, self.answer);
                return true;
            }
            let mut any = false;
            for end in 0..2 {
                any |= self.collect(id, end);
            }
            for end in 0..2 {
                if self.flows && !any {
                    // Small pieces for all of a large message would only take long.
                    let chunk = self.chunk.max(self.moved / 64);
                    any = self.deliver(id, end, chunk, false);
                }
            }
            if any {
                return true;
            }
        }
        if self.flows
            && let Some(datagram) = self.datagrams.pop_front()
        {
            self.hand_datagram(&datagram);
            return true;
        }
        false
    }
}
