//! What the fuzzer decides: what the applications do, and what the middle does that a network may do.

use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Result, Unstructured};

use super::{Answer, Datagram, GROUPS, World};
use crate::wire::Text;
use crate::{Cut, PeerId};

pub(super) fn group(u: &mut Unstructured<'_>) -> Result<Text> {
    Ok(Text::try_from(*u.choose(&GROUPS)?).unwrap_or_default())
}

fn cut(u: &mut Unstructured<'_>) -> Result<Cut> {
    Ok(*u.choose(&[Cut::Reset, Cut::Closed, Cut::Unreachable])?)
}

impl World {
    pub(super) fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let choice = u.int_in_range(0..=31_u8)?;
        self.note(format_args!("-- {choice}"));
        match choice {
            0..=2 => self.pass_time(u)?,
            3..=6 => self.whisper(u)?,
            7 | 8 => self.shout(u)?,
            9 => {
                let (who, group) = (u.choose_index(2)?, group(u)?);
                self.join(who, &group);
            }
            10 => {
                let (who, group) = (u.choose_index(2)?, group(u)?);
                self.leave(who, &group);
            }
            11 => {
                let who = u.choose_index(2)?;
                self.sides[who].reading ^= true;
                for wire in self.wires.values_mut() {
                    for pipe in &mut wire.pipes {
                        pipe.unread = 0;
                    }
                }
            }
            12 => self.come_or_go(u)?,
            13 => self.flows ^= true,
            14 | 15 => self.hold(u)?,
            16 | 17 => self.let_through(u)?,
            18..=20 => self.break_wire(u)?,
            21 => {
                self.answer = match u.int_in_range(0..=5_u8)? {
                    0..=2 => Answer::Made,
                    3 => Answer::Cut(Cut::Refused),
                    4 => Answer::Cut(*u.choose(&[Cut::Unreachable, Cut::Resources])?),
                    _ => Answer::Never,
                };
            }
            22 => self.answer_one(u)?,
            23 | 24 => self.treat_datagram(u)?,
            25 => self.capacity = *u.choose(&[usize::MAX, 60_000, 3_000, 500, 0])?,
            26 => {
                let who = u.choose_index(2)?;
                self.connect(who);
                #[cfg(feature = "curve")]
                self.change_guard(u)?;
            }
            27 if !self.liar => {
                let (who, group) = (u.choose_index(2)?, group(u)?);
                let stands = u.arbitrary()?;
                if let Some(stack) = &mut self.sides[who].stack {
                    if stands {
                        stack.contest(self.now, &group);
                    } else {
                        stack.withdraw(self.now, &group);
                    }
                }
            }
            _ => {
                if self.liar {
                    self.lie(u)?;
                }
            }
        }
        Ok(())
    }

    fn pass_time(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let time = match u.int_in_range(0..=7_u8)? {
            0..=2 => Duration::from_millis(u.int_in_range(0..=255)?),
            3 | 4 => Duration::from_millis(100 * u.int_in_range(0..=60)?),
            5 => Duration::from_millis(5_100),
            6 => {
                // To the next deadline of any node.
                let next = self.next_deadline().unwrap_or(self.now);
                return {
                    self.run_until(next);
                    Ok(())
                };
            }
            _ => Duration::from_secs(31),
        };
        self.run_until(self.now + time);
        Ok(())
    }

    fn whisper(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(2)?;
        let behind = self.sizes(u)?;
        for _ in 0..=u.int_in_range(0..=7_u8)? / 4 * 3 {
            self.whisper_once(who, &behind);
        }
        Ok(())
    }

    /// Says something to everybody who is here: mostly one.
    pub(super) fn whisper_once(&mut self, who: usize, behind: &[usize]) {
        let side = &mut self.sides[who];
        let Some(stack) = &mut side.stack else {
            return;
        };
        let peers: Vec<PeerId> = stack.peers().map(|view| view.peer.id).collect();
        for to in peers {
            let content = side.said.content(behind);
            let sent = stack.whisper(self.now, to, &content);
            if sent.is_ok() {
                // What one says who does not know yet what happened belongs to no time.
                let session = side.here.get(&to).copied().filter(|_| side.reading);
                let from = stack.id();
                side.said.say(from, Some(to), None, content, session, false);
            }
            if self.aloud {
                std::eprintln!("{}   {who} whispers: {sent:?}", self.now);
            }
        }
    }

    fn shout(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (who, group) = (u.choose_index(2)?, group(u)?);
        let behind = self.sizes(u)?;
        self.shout_once(who, &group, &behind);
        Ok(())
    }

    pub(super) fn shout_once(&mut self, who: usize, group: &Text, behind: &[usize]) {
        let hears = self.sides[1 - who]
            .stack
            .as_ref()
            .is_some_and(|stack| stack.groups().any(|own| own == group));
        let side = &mut self.sides[who];
        let Some(stack) = &mut side.stack else {
            return;
        };
        let content = side.said.content(behind);
        let members: Vec<PeerId> = stack
            .peers_in(group.as_bytes())
            .map(|view| view.peer.id)
            .collect();
        let sent = stack.shout(self.now, group, &content);
        if let Ok(shouted) = sent {
            assert_eq!(shouted.reached + shouted.full, members.len(), "{shouted:?}");
            if shouted.reached > 0 {
                let to = members.first().copied().filter(|_| members.len() == 1);
                let session = to
                    .and_then(|to| side.here.get(&to).copied())
                    .filter(|_| side.reading);
                let (from, group) = (stack.id(), Some(group.clone()));
                side.said.say(from, to, group, content, session, !hears);
            }
        }
        if self.aloud {
            std::eprintln!("{}   {who} shouts: {sent:?}", self.now);
        }
    }

    /// The sizes of frames behind the first.
    fn sizes(&self, u: &mut Unstructured<'_>) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        for _ in 0..u.int_in_range(0..=7_u8)?.saturating_sub(4) {
            sizes.push(match u.int_in_range(0..=7_u8)? {
                0 => 0,
                1 => 5,
                2 => 300,
                3 => 1_500,
                4 => 9_000,
                5 => 20_000,
                // As large as is allowed, as far as memory allows it.
                6 => self.config.limits.frame_octets.min(100_000),
                _ => u.arbitrary::<u16>()?.into(),
            });
        }
        Ok(sizes)
    }

    pub(super) fn join(&mut self, who: usize, group: &Text) {
        if let Some(stack) = &mut self.sides[who].stack {
            stack.join(self.now, group);
        }
    }

    pub(super) fn leave(&mut self, who: usize, group: &Text) {
        if let Some(stack) = &mut self.sides[who].stack {
            stack.leave(self.now, group);
            self.sides[1 - who].said.is_left(group);
        }
    }

    fn come_or_go(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(2)?;
        let choice: u8 = u.arbitrary()?;
        match choice % 6 {
            0 => {
                if let Some(stack) = &mut self.sides[who].stack {
                    if choice < 192 {
                        stack.stop(self.now);
                    } else {
                        stack.retire(self.now);
                    }
                    self.sides[who].stopping = true;
                }
            }
            1 => {
                let cut = *u.choose(&[Cut::Closed, Cut::Reset])?;
                self.kill(who, cut);
            }
            2 => {
                self.kill(who, Cut::Reset);
                self.start(who);
            }
            3 => self.start(who),
            4 => self.interfaces_up(who),
            _ => {
                // To another address.
                self.interfaces_down(who);
                self.sides[who].place = (self.sides[who].place + 1) % 3;
                self.interfaces_up(who);
            }
        }
        Ok(())
    }

    pub(super) fn some_pipe(&self, u: &mut Unstructured<'_>) -> Result<Option<(u32, usize)>> {
        if self.wires.is_empty() {
            return Ok(None);
        }
        let index = u.choose_index(2 * self.wires.len())?;
        let wire = self.wires.keys().nth(index / 2).copied();
        Ok(wire.map(|wire| (wire, index % 2)))
    }

    fn hold(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some((id, end)) = self.some_pipe(u)?
            && let Some(wire) = self.wires.get_mut(&id)
        {
            wire.pipes[end].held ^= true;
        }
        Ok(())
    }

    fn let_through(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some((id, end)) = self.some_pipe(u)? {
            let octets = match u.int_in_range(0..=3_u8)? {
                0 => u.int_in_range(0..=80)?,
                1 => u.arbitrary::<u16>()?.into(),
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
        self.torn = true;
        match u.int_in_range(0..=7_u8)? {
            0 | 1 => wire.cut(Cut::Closed, false),
            2 | 3 => wire.cut(cut(u)?, true),
            // One side learns of it, the other does not.
            4 | 5 => {
                wire.pipes[end].octets.clear();
                wire.pipes[end].end = Some(cut(u)?);
                wire.pipes[1 - end].held = true;
            }
            6 => wire.pipes[end].swallows = true,
            _ => {
                for pipe in &mut wire.pipes {
                    pipe.swallows = true;
                }
            }
        }
        Ok(())
    }

    fn answer_one(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let asked: Vec<u32> = self
            .wires
            .iter()
            .filter(|(_, wire)| !wire.made)
            .map(|(id, _)| *id)
            .collect();
        if !asked.is_empty() {
            let id = *u.choose(&asked)?;
            let made = u.ratio(3_u8, 4)?;
            self.answer_dial(
                id,
                if made {
                    Answer::Made
                } else {
                    Answer::Cut(Cut::Refused)
                },
            );
        }
        Ok(())
    }

    fn treat_datagram(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.datagrams.is_empty() {
            return Ok(());
        }
        let index = u.choose_index(self.datagrams.len())?;
        match u.int_in_range(0..=3_u8)? {
            0 => {
                self.datagrams.remove(index);
            }
            1 => self.datagrams.clear(),
            kind => {
                // Out of its turn, and perhaps once more later.
                let datagram = if kind == 2 {
                    self.datagrams.remove(index)
                } else {
                    let again = self.datagrams.get(index);
                    again.map(|again| Datagram {
                        octets: again.octets.clone(),
                        ..*again
                    })
                };
                if let Some(datagram) = datagram {
                    self.hand_datagram(&datagram);
                }
            }
        }
        Ok(())
    }
}
