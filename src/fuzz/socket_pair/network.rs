//! What sockets want of the network, and what the network does.

use alloc::vec::Vec;

use bytes::BufMut;

use super::super::sockets;
use super::wire::{Pipe, Wire};
use super::{Answer, World};
use crate::net::{Cut, LinkId};
use crate::socket::{Action, Endpoint, Event};
use crate::zmtp::Verdict;

impl World {
    /// Does what a socket wants done, and hears what it tells; whether anything.
    pub(super) fn obey(&mut self, number: usize) -> bool {
        let mut any = false;
        loop {
            let host = &mut self.hosts[number];
            let Some(socket) = &mut host.socket else {
                return any;
            };
            if let Some(action) = socket.poll_action() {
                self.note(format_args!("{number}: {action:.200?}"));
                self.act(number, action);
            } else if let Some(event) = socket.poll_event() {
                self.note(format_args!("{number} is told {event:.300?}"));
                self.told(number, &event);
            } else {
                return any;
            }
            any = true;
        }
    }

    fn obey_all(&mut self) {
        for number in 0..self.hosts.len() {
            self.obey(number);
        }
    }

    fn act(&mut self, number: usize, action: Action) {
        let now = self.now;
        match action {
            Action::Listen { listener, endpoint } => {
                let host = &mut self.hosts[number];
                assert_eq!(host.listener, Some((listener, false)));
                host.listener = Some((listener, true));
                if let Some(socket) = &mut host.socket {
                    socket.handle_listening(now, listener, endpoint);
                }
            }
            Action::Unlisten { .. } => self.hosts[number].listener = None,
            Action::Dial { link, endpoint } => {
                let seats = 0..self.seats.len();
                let mut seats = seats.filter(|seat| sockets::endpoint(*seat) == endpoint);
                let to = seats.next().expect("somebody's endpoint");
                let types = [self.hosts[number].kind.into(), self.kind_of(to).into()];
                let id = self.next_wire;
                self.next_wire += 1;
                let wire = Wire::new(now, to, (number, link), types);
                self.wires.insert(id, wire);
                let before = self.hosts[number].links.insert(link, id);
                assert!(before.is_none(), "{link} was used before");
            }
            Action::Transmit { link } => {
                self.pipe(number, link, false);
            }
            Action::Pause { link } => self.pipe(number, link, true).paused = true,
            Action::Resume { link } => self.pipe(number, link, true).paused = false,
            Action::Close { link } => {
                let Some(id) = self.hosts[number].links.remove(&link) else {
                    panic!("{link} is not open");
                };
                self.leave(number, link, id, Cut::Closed);
            }
            Action::Authenticate { link, .. } => {
                if let Some(socket) = &mut self.hosts[number].socket {
                    socket.handle_verdict(now, link, Verdict::Allow);
                }
            }
        }
    }

    fn told(&mut self, number: usize, event: &Event) {
        let host = &mut self.hosts[number];
        match event {
            Event::Disconnected {
                was_ready, lost, ..
            } => {
                host.ended += usize::from(*was_ready);
                self.disturbed |= *was_ready || *lost > 0;
            }
            Event::Released { lost, .. } | Event::GivenUp { lost, .. } => {
                self.disturbed |= *lost > 0;
            }
            Event::Closed { .. } => {
                host.account();
                assert!(host.links.is_empty(), "links are left open");
                let lost = host
                    .socket
                    .as_ref()
                    .map(|socket| socket.counters().messages_lost);
                if self.at_rest && host.lost_before.is_some() {
                    assert_eq!(lost, host.lost_before, "lost while nothing was in the way");
                }
                host.socket = None;
                host.listener = None;
            }
            _ => {}
        }
    }

    /// The direction of a link: to the socket, or from it.
    fn pipe(&mut self, number: usize, link: LinkId, to_it: bool) -> &mut Pipe {
        let id = self.hosts[number].links.get(&link);
        let wire = id.and_then(|id| self.wires.get_mut(id));
        let Some((wire, end)) = wire.and_then(|wire| {
            let end = wire.end_of(number, link)?;
            Some((wire, end))
        }) else {
            panic!("{link} is not open");
        };
        &mut wire.pipes[if to_it { 1 - end } else { end }]
    }

    fn leave(&mut self, number: usize, link: LinkId, id: u32, cut: Cut) {
        if let Some(wire) = self.wires.get_mut(&id)
            && let Some(end) = wire.end_of(number, link)
        {
            wire.leave(end, cut);
            if wire.is_dead() || !wire.made {
                self.wires.remove(&id);
            }
        }
    }

    /// The process of a socket dies: its kernel ends its connections.
    pub(super) fn kill(&mut self, seat: usize) {
        let number = self.seats[seat];
        self.note(format_args!("{number} dies"));
        let host = &mut self.hosts[number];
        if host.socket.take().is_some() {
            self.disturbed = true;
            host.listener = None;
            for (link, id) in core::mem::take(&mut host.links) {
                self.leave(number, link, id, Cut::Closed);
            }
        }
    }

    // ---- what gets through

    /// Carries what nobody holds back; whether anything.
    pub(super) fn flow(&mut self) -> bool {
        let ids: Vec<u32> = self.wires.keys().copied().collect();
        let mut any = false;
        for id in ids {
            if self.flows {
                any |= self.answer_dial(id, self.answer);
                self.obey_all();
            }
            for end in 0..2 {
                any |= self.load(id, end);
                self.obey_all();
                if self.flows {
                    any |= self.deliver(id, end, self.chunk, false);
                    self.obey_all();
                }
            }
        }
        any
    }

    /// Answers a dial; whether it was one.
    pub(super) fn answer_dial(&mut self, id: u32, answer: Answer) -> bool {
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&id).filter(|it| !it.made && !it.hangs) else {
            return false;
        };
        let Some((dialler, link)) = wire.ends[0] else {
            return false;
        };
        let cut = match answer {
            Answer::Never => {
                wire.hangs = true;
                return true;
            }
            Answer::Cut(cut) => Some(cut),
            Answer::Made => None,
        };
        let there = self.seats[wire.to];
        let by_name = matches!(sockets::endpoint(wire.to), Endpoint::Tcp { .. });
        let host = &mut self.hosts[there];
        let listener = host.listener.filter(|(_, is_up)| *is_up);
        let accepted = match (&mut host.socket, listener, cut) {
            (Some(socket), Some((listener, _)), None) => {
                let remote = by_name.then(|| ([10, 0, 0, 9], 1_024).into());
                Some(socket.handle_accepted(now, listener, remote))
            }
            _ => None,
        };
        match accepted {
            Some(Some(link)) => {
                host.links.insert(link, id);
                wire.ends[1] = Some((there, link));
                wire.made = true;
            }
            Some(None) => {
                // It is made, and closed at once.
                wire.made = true;
                wire.leave(1, Cut::Closed);
            }
            None => {
                self.wires.remove(&id);
                let host = &mut self.hosts[dialler];
                host.links.remove(&link);
                if let Some(socket) = &mut host.socket {
                    socket.handle_disconnected(now, link, cut.unwrap_or(Cut::Refused));
                }
                return true;
            }
        }
        if let Some(socket) = &mut self.hosts[dialler].socket {
            socket.handle_connected(now, link);
        }
        true
    }

    /// Takes what a socket has for the network, as far as there is room; whether anything.
    fn load(&mut self, id: u32, end: usize) -> bool {
        let (now, capacity) = (self.now, self.capacity);
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.made) else {
            return false;
        };
        let Some((number, link)) = wire.ends[end] else {
            return false;
        };
        let to = wire.ends[1 - end].map(|(there, _)| there);
        let pipe = &mut wire.pipes[end];
        let Some(socket) = &mut self.hosts[number].socket else {
            return false;
        };
        let room = capacity.saturating_sub(pipe.octets.len());
        let lent = socket.poll_transmit(link).flatten().copied();
        let octets: Vec<u8> = lent.take(room).collect();
        if octets.is_empty() {
            return false;
        }
        let messages = pipe.overhear(now, &octets);
        // Somebody who is gone, or a network that broke: the kernel takes it all the same.
        if pipe.end.is_none() && !pipe.swallows {
            pipe.octets.extend(&octets);
        }
        socket.handle_transmitted(now, link, octets.len());
        for message in messages {
            self.hosts[number].carried += 1;
            self.carry(id, end, number, to, &message);
        }
        true
    }

    /// Hands over at most so many octets, or the end after the last of them; whether anything.
    pub(super) fn deliver(&mut self, id: u32, end: usize, most: usize, by_force: bool) -> bool {
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.made) else {
            return false;
        };
        let Some((number, link)) = wire.ends[1 - end] else {
            return false;
        };
        let pipe = &mut wire.pipes[end];
        if pipe.held && !by_force {
            return false;
        }
        let Some(socket) = &mut self.hosts[number].socket else {
            return false;
        };
        if pipe.octets.is_empty() {
            let Some(cut) = pipe.end else {
                return false;
            };
            self.hosts[number].links.remove(&link);
            self.note(format_args!("{link} of {number} ends: {cut:?}"));
            if let Some(socket) = &mut self.hosts[number].socket {
                socket.handle_disconnected(now, link, cut);
            }
            self.leave(number, link, id, Cut::Closed);
            return true;
        }
        if pipe.paused {
            return false;
        }
        let most = most.min(pipe.octets.len());
        let octets: Vec<u8> = pipe.octets.drain(..most).collect();
        let mut rest = &octets[..];
        while !rest.is_empty() {
            if self.fills
                && let Some(mut buffer) = socket.receive_buffer(link)
            {
                let (part, behind) = rest.split_at(rest.len().min(buffer.remaining_mut()));
                buffer.put_slice(part);
                rest = behind;
                socket.handle_filled(now, link);
            } else {
                socket.handle_received(now, link, rest);
                rest = &[];
            }
        }
        most > 0
    }

    /// What was broken is seen by both sides, and nothing is held any more.
    pub(super) fn mend_wires(&mut self) {
        for wire in self.wires.values_mut() {
            let broken = wire
                .pipes
                .iter()
                .any(|pipe| pipe.swallows || pipe.end.is_some());
            if broken {
                wire.cut(Cut::Reset, true);
            }
            wire.hangs = false;
            for pipe in &mut wire.pipes {
                pipe.held = false;
            }
        }
    }
}
