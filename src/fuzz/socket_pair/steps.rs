//! What the fuzzer decides.

use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Result, Unstructured};

use super::super::sockets::TOPICS;
use super::{Answer, World};
use crate::net::Cut;

impl World {
    pub(super) fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let choice = u.int_in_range(0..=31_u8)?;
        self.note(format_args!("-- {choice}"));
        match choice {
            0..=2 => self.pass_time(u)?,
            3..=9 => self.speak(u)?,
            10 | 11 => {
                let number = self.some_host(u)?;
                for _ in 0..=u.int_in_range(0..=3_u8)? {
                    self.receive(number);
                }
            }
            12 | 13 => {
                let number = self.some_host(u)?;
                self.answer(number);
            }
            14 | 15 => {
                let seat = u.choose_index(self.seats.len())?;
                self.host_mut(seat).eager ^= true;
            }
            16..=18 => {
                let seat = u.choose_index(self.seats.len())?;
                let (prefix, wanted) = (*u.choose(&TOPICS)?, u.ratio(5_u8, 8)?);
                self.want(seat, prefix, wanted);
            }
            19 => self.flows ^= true,
            20 => {
                if let Some((id, end)) = self.some_pipe(u)?
                    && let Some(wire) = self.wires.get_mut(&id)
                {
                    wire.pipes[end].held ^= true;
                }
            }
            21 | 22 => self.let_through(u)?,
            23 | 24 => self.break_wire(u)?,
            25 => {
                self.answer = match u.int_in_range(0..=5_u8)? {
                    0..=2 => Answer::Made,
                    3 | 4 => Answer::Cut(*u.choose(&[Cut::Refused, Cut::Unreachable])?),
                    _ => Answer::Never,
                };
            }
            26 => self.capacity = *u.choose(&[usize::MAX, 3_000, 300, 10, 0])?,
            27 => {
                let seat = u.choose_index(self.seats.len())?;
                if u.arbitrary()? {
                    self.bind(seat);
                } else {
                    self.unbind(seat);
                }
            }
            28 => self.reset_one(u)?,
            _ => self.come_or_go(u)?,
        }
        Ok(())
    }

    fn some_host(&self, u: &mut Unstructured<'_>) -> Result<usize> {
        Ok(self.seats[u.choose_index(self.seats.len())?])
    }

    fn some_pipe(&self, u: &mut Unstructured<'_>) -> Result<Option<(u32, usize)>> {
        if self.wires.is_empty() {
            return Ok(None);
        }
        let index = u.choose_index(2 * self.wires.len())?;
        let wire = self.wires.keys().nth(index / 2).copied();
        Ok(wire.map(|wire| (wire, index % 2)))
    }

    fn pass_time(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let time = match u.int_in_range(0..=6_u8)? {
            0..=2 => Duration::from_millis(u.int_in_range(0..=255)?),
            3 => Duration::from_millis(1_100),
            4 => Duration::from_secs(6),
            5 => {
                let next = self.next_deadline().unwrap_or(self.now);
                self.run_until(next.max(self.now));
                return Ok(());
            }
            _ => Duration::from_secs(31),
        };
        self.run_until(self.now + time);
        Ok(())
    }

    fn speak(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let seat = u.choose_index(self.seats.len())?;
        let choice = u.int_in_range(0..=7_usize)?;
        let size = *u.choose(&[0, 5, 300, 2_000, 3_900])?;
        // Octet by octet it takes its time.
        let in_pieces = self.chunk < 100;
        let size = if in_pieces { size.min(300) } else { size };
        let often = match u.int_in_range(0..=15_u8)? {
            0..=9 => 1,
            _ if in_pieces => 4,
            10..=14 => 4,
            // More than a connection is handed at once.
            _ => 80,
        };
        for _ in 0..often {
            self.say(seat, choice, size);
        }
        Ok(())
    }

    fn let_through(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.ratio(1_u8, 4)? {
            let asked = self.wires.iter().filter(|(_, wire)| !wire.made);
            let asked: Vec<u32> = asked.map(|(id, _)| *id).collect();
            if !asked.is_empty() {
                let id = *u.choose(&asked)?;
                self.answer_dial(id, Answer::Made);
            }
            return Ok(());
        }
        if let Some((id, end)) = self.some_pipe(u)? {
            let octets = match u.int_in_range(0..=3_u8)? {
                0 => u.int_in_range(0..=80)?,
                1 => u.int_in_range(0..=5_000)?,
                _ => usize::MAX,
            };
            self.deliver(id, end, octets, true);
        }
        Ok(())
    }

    fn break_wire(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((id, end)) = self.some_pipe(u)? else {
            return Ok(());
        };
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.made) else {
            return Ok(());
        };
        let cut = *u.choose(&[Cut::Reset, Cut::Closed, Cut::Unreachable])?;
        match u.int_in_range(0..=7_u8)? {
            0 | 1 => wire.cut(Cut::Closed, false),
            2 | 3 => wire.cut(cut, true),
            // One side learns of it, the other does not.
            4 | 5 => {
                wire.pipes[end].octets.clear();
                wire.pipes[end].end = Some(cut);
                wire.pipes[1 - end].held = true;
            }
            6 => wire.pipes[end].swallows = true,
            _ => {
                for pipe in &mut wire.pipes {
                    pipe.swallows = true;
                }
            }
        }
        // What a network loses nobody may know of yet.
        self.disturbed = true;
        Ok(())
    }

    /// The application of a REQ or REP gives up what is under way.
    fn reset_one(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let number = self.some_host(u)?;
        let now = self.now;
        let host = &mut self.hosts[number];
        if let Some(socket) = &mut host.socket {
            socket.reset(now);
            self.disturbed |= host.asked.take().is_some();
            if host.kind == crate::socket::Kind::Rep {
                self.gave_up |= !host.owed.is_empty();
                self.disturbed |= self.gave_up;
                host.owed.clear();
            }
        }
        Ok(())
    }

    fn come_or_go(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let seat = u.choose_index(self.seats.len())?;
        let now = self.now;
        match u.int_in_range(0..=4_u8)? {
            0 => self.kill(seat),
            1 => {
                self.kill(seat);
                self.take_seat(seat);
                self.bind(seat);
            }
            2 => {
                self.take_seat(seat);
                self.bind(seat);
            }
            3 => {
                let host = self.host_mut(seat);
                if let Some(socket) = host.socket.as_mut().filter(|_| !host.closing) {
                    socket.close(now);
                    host.closing = true;
                    self.disturbed = true;
                }
            }
            _ => {
                // One of those that it dials anew, or all.
                let all = u.arbitrary::<bool>()?;
                self.disturbed |= !self.host(seat).connects.is_empty();
                let host = self.host_mut(seat);
                if let Some(socket) = host.socket.as_mut().filter(|_| !host.closing) {
                    while let Some((connect, _)) = host.connects.pop_first() {
                        socket.disconnect(now, connect);
                        if !all {
                            break;
                        }
                    }
                }
                self.connect_to_all(seat);
            }
        }
        Ok(())
    }
}
