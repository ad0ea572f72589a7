//! What the fuzzer decides: what the network, the peers, the application and the clock do.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::World;
use super::puppet::{PUPPETS, address_of, id_of};
use crate::endpoint::Endpoint;
use crate::wire::zre::Command;
use crate::wire::{Beacon, Frames, Headers, Text};
use crate::{Cut, LinkId};

/// An endpoint that has to be looked up.
const SOMEBODY: &str = "tcp://somebody:49152";

/// The first of the steps of schedules that know of more.
const MORE: u8 = 128;

pub(super) const GROUPS: [&str; 4] = ["CHAT", "NEWS", "", "Ω"];

pub(super) fn group(u: &mut Unstructured<'_>) -> Result<Text> {
    Ok(Text::try_from(*u.choose(&GROUPS)?).unwrap_or_default())
}

pub(super) fn cut(u: &mut Unstructured<'_>) -> Result<Cut> {
    Ok(*u.choose(&[
        Cut::Refused,
        Cut::Closed,
        Cut::Reset,
        Cut::Unreachable,
        Cut::Resources,
    ])?)
}

fn some_octets<'a>(u: &mut Unstructured<'a>, limit: usize) -> Result<&'a [u8]> {
    let octets = u.int_in_range(0..=limit)?.min(u.len());
    u.bytes(octets)
}

fn content(u: &mut Unstructured<'_>) -> Result<Frames> {
    let mut frames = Frames::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let size = *u.choose(&[1, 0, 5, 300, 1_500, 9_000, 20_000])?;
        frames.push(Bytes::from(vec![b'x'; size]));
    }
    Ok(frames)
}

impl World {
    pub(super) fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let choice = self.choice(u)?;
        self.note(&format!("-- {choice}"));
        match choice {
            0..=2 => self.pass_time(u)?,
            3 | 4 => self.meet(u)?,
            5 | 6 => self.beacon(u)?,
            7 => {
                let source = address_of(u.choose_index(PUPPETS)?);
                let datagram = some_octets(u, 60)?;
                self.stack.handle_datagram(self.now, source, datagram);
            }
            8 => {
                let who = u.choose_index(PUPPETS)?;
                let link = self.accept(who, who);
                self.hello(u, link, who)?;
            }
            9 => {
                let (who, poses_as) = (u.choose_index(PUPPETS)?, u.choose_index(PUPPETS)?);
                let link = self.accept(who, poses_as);
                self.hello(u, link, who)?;
            }
            10 => {
                let who = u.choose_index(PUPPETS)?;
                self.accept_raw(who);
            }
            11 => {
                let who = u.choose_index(PUPPETS)?;
                self.accept(who, who);
            }
            12..=17 => self.say(u)?,
            18 => self.say_raw(u)?,
            19 | 20 => self.answer_dial(u)?,
            21 | 22 => self.disconnect(u)?,
            23 => self.toggle(u)?,
            24 => self.reading = !self.reading,
            25 => {
                let group = group(u)?;
                self.stack.join(self.now, &group);
            }
            26 => {
                let group = group(u)?;
                self.stack.leave(self.now, &group);
            }
            27 => {
                let peer = id_of(u.choose_index(PUPPETS)?);
                let content = content(u)?;
                for _ in 0..=u.int_in_range(0..=9)? {
                    let sent = self.stack.whisper(self.now, peer, &content);
                    self.note(&format!("{sent:?}"));
                }
            }
            28 => {
                let (group, content) = (group(u)?, content(u)?);
                let sent = self.stack.shout(self.now, &group, &content);
                self.note(&format!("{sent:?}"));
            }
            29 => self.connect(u)?,
            30 => self.interfaces_change(u)?,
            MORE.. => self.step_of_kin(u, choice - MORE)?,
            #[cfg(feature = "curve")]
            32.. => self.step_of_keys(u, choice - 32)?,
            _ => {
                if u.ratio(1_u8, 16)? {
                    self.stack.stop(self.now);
                    self.stopping = true;
                } else {
                    let who = u.choose_index(PUPPETS)?;
                    if let Some(puppet) = self.puppets.get_mut(who) {
                        puppet.listens = !puppet.listens;
                    }
                }
            }
        }
        Ok(())
    }

    /// Which step it is: those behind 31 are for secure nodes, those from [`MORE`] on for schedules that know of them.
    fn choice(&self, u: &mut Unstructured<'_>) -> Result<u8> {
        let count = 32;
        #[cfg(feature = "curve")]
        let count = match &self.security {
            Some(_) => count + super::keys::STEPS,
            None => count,
        };
        if self.kin.is_none() {
            return u.int_in_range(0..=count - 1);
        }
        let choice = u.int_in_range(0..=count + super::kin::STEPS - 1)?;
        Ok(choice.checked_sub(count).map_or(choice, |more| MORE + more))
    }

    fn pass_time(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let time = Duration::from_millis(match u.int_in_range(0..=5_u8)? {
            0 | 1 => u.int_in_range(0..=255)?,
            2 | 3 => 100 * u.int_in_range(0..=255)?,
            4 => 5_100,
            _ => 31_000,
        });
        let to = self.now + time;
        if u.ratio(1_u8, 4)? {
            // An embedder that comes late.
            self.now = to;
            self.handle_timeout();
        } else {
            self.run_until(to);
        }
        Ok(())
    }

    /// A puppet meets the node as a well-behaved peer does.
    fn meet(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(PUPPETS)?;
        if let Some(puppet) = self.puppets.get_mut(who) {
            puppet.listens = true;
        }
        let link = self.accept(who, who);
        self.hello(u, link, who)?;
        self.settle();
        Ok(())
    }

    fn beacon(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.choose_index(PUPPETS)?;
        let address = match u.int_in_range(0..=7_u8)? {
            0 => address_of(u.choose_index(PUPPETS)?),
            1 => self.some_address(u)?,
            _ => address_of(who),
        };
        let port = match u.int_in_range(0..=7_u8)? {
            0 => 0,
            1 => u.int_in_range(49150..=49156)?,
            _ => address.port(),
        };
        let beacon = Beacon {
            uuid: if u.ratio(1_u8, 16)? {
                self.stack.id()
            } else {
                id_of(who)
            },
            port,
            key: self.key_for_beacon(u, who)?,
        };
        let source = SocketAddr::new(address.ip(), 5670);
        self.note(&format!("> from {source}: {beacon:?}"));
        let datagram = beacon.encode();
        self.stack.handle_datagram(self.now, source, &datagram);
        Ok(())
    }

    /// Mostly what belongs into the beacon of a puppet.
    #[cfg_attr(not(feature = "curve"), allow(clippy::unused_self))]
    #[cfg_attr(not(feature = "curve"), allow(unused_variables))]
    pub(super) fn key_for_beacon(
        &self,
        u: &mut Unstructured<'_>,
        who: usize,
    ) -> Result<Option<[u8; 32]>> {
        #[cfg(feature = "curve")]
        if let Some(security) = &self.security {
            return security.some_key(u, who);
        }
        Ok(u.ratio(1_u8, 32)?.then_some([1; 32]))
    }

    /// The address of a puppet, of the node itself, or of somebody who is not there.
    pub(super) fn some_address(&self, u: &mut Unstructured<'_>) -> Result<SocketAddr> {
        Ok(match u.int_in_range(0..=9_u8)? {
            0 => SocketAddr::from(([10, 0, 0, 1], 49152)),
            1 => SocketAddr::from(([127, 0, 0, 1], 49152)),
            2 => SocketAddr::from(([0, 0, 0, 0], 49152)),
            3 => SocketAddr::from(([10, 0, 1, u.arbitrary()?], u.int_in_range(1..=9)?)),
            _ => address_of(u.choose_index(PUPPETS)?),
        })
    }

    fn hello(&mut self, u: &mut Unstructured<'_>, link: Option<LinkId>, who: usize) -> Result<()> {
        let mut hello = self.hello_of(who);
        if u.ratio(1_u8, 4)? {
            let endpoint = match u.int_in_range(0..=3_u8)? {
                0 => Text::from(&Endpoint::from(self.some_address(u)?)),
                1 => Text::try_from("tcp://elsewhere:49153").unwrap_or_default(),
                2 => Text::try_from("nonsense").unwrap_or_default(),
                _ => Text::from(&Endpoint::from(address_of(who))),
            };
            hello.endpoint = endpoint;
            for _ in 0..u.int_in_range(0..=5)? {
                hello.groups.insert(group(u)?);
            }
            hello.name = u.arbitrary()?;
            let headers: Headers = u.arbitrary()?;
            #[cfg(feature = "curve")]
            if self.security.is_none() || u.ratio(1_u8, 8)? {
                hello.headers = Headers::default();
            }
            hello.headers.extend(
                headers
                    .into_iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        if let Some(link) = link {
            self.tell(link, Some(1), Command::Hello(hello));
        }
        Ok(())
    }

    fn some_link(&self, u: &mut Unstructured<'_>) -> Result<Option<LinkId>> {
        if self.links.is_empty() {
            return Ok(None);
        }
        let index = u.choose_index(self.links.len())?;
        Ok(self.links.keys().nth(index).copied())
    }

    /// Something on some link: mostly what makes sense there.
    fn say(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(link) = self.some_link(u)? else {
            return Ok(());
        };
        let command = match u.int_in_range(0..=15_u8)? {
            0..=2 => Command::Whisper {
                content: content(u)?,
            },
            3 | 4 => Command::Shout {
                group: group(u)?,
                content: content(u)?,
            },
            5 | 6 => Command::Join {
                group: group(u)?,
                status: u.arbitrary()?,
            },
            7 => Command::Leave {
                group: group(u)?,
                status: u.arbitrary()?,
            },
            8 => Command::Ping,
            9 => Command::PingOk,
            10 => Command::Goodbye,
            11 => {
                let who = self.links.get(&link).map_or(0, |far| far.who);
                return self.hello(u, Some(link), who);
            }
            12 => self.word(u)?,
            13 => {
                let mut frames = Frames::new();
                for _ in 0..u.int_in_range(0..=3_u8)? {
                    frames.push(Bytes::copy_from_slice(some_octets(u, 60)?));
                }
                self.send(link, frames);
                return Ok(());
            }
            _ => u.arbitrary()?,
        };
        let sequence = match u.int_in_range(0..=15_u8)? {
            0 => Some(u.arbitrary()?),
            1 => Some(1),
            _ => None,
        };
        for _ in 0..=u.int_in_range(0..=7_u8)? / 4 * 3 {
            self.tell(link, sequence, command.clone());
        }
        Ok(())
    }

    /// A word of an election.
    pub(super) fn word(&self, u: &mut Unstructured<'_>) -> Result<Command> {
        let group = group(u)?;
        let whom = match u.int_in_range(0..=7_u8)? {
            0 => Text::default(),
            1 => u.arbitrary()?,
            2 => text(self.stack.id()),
            3 => text(crate::PeerId::from_bytes([u.arbitrary()?; 16])),
            _ => text(id_of(u.choose_index(PUPPETS)?)),
        };
        Ok(if u.arbitrary()? {
            let challenger_id = whom;
            Command::Elect {
                group,
                challenger_id,
            }
        } else {
            let leader_id = whom;
            Command::Leader { group, leader_id }
        })
    }

    fn say_raw(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(link) = self.some_link(u)? else {
            return Ok(());
        };
        let octets = some_octets(u, 200)?;
        if let Some(far) = self.links.get_mut(&link).filter(|far| far.connected) {
            far.under_way.extend(octets);
        }
        Ok(())
    }

    fn answer_dial(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let asked: Vec<_> = self
            .links
            .iter()
            .filter(|(_, far)| !far.connected)
            .map(|(link, _)| *link)
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let link = *u.choose(&asked)?;
        if u.arbitrary()? {
            self.connected(link);
        } else {
            let cut = cut(u)?;
            self.hang_up(link, cut);
        }
        Ok(())
    }

    fn disconnect(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(link) = self.some_link(u)? else {
            return Ok(());
        };
        let cut = cut(u)?;
        if u.ratio(1_u8, 8)? {
            // All links of a puppet.
            let who = self.links.get(&link).map_or(0, |far| far.who);
            let links: Vec<_> = self
                .links
                .iter()
                .filter(|(_, far)| far.who == who)
                .map(|(link, _)| *link)
                .collect();
            for link in links {
                self.hang_up(link, cut);
                self.settle();
            }
        } else {
            self.hang_up(link, cut);
        }
        Ok(())
    }

    fn toggle(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(link) = self.some_link(u)?
            && let Some(far) = self.links.get_mut(&link)
        {
            far.stalled = !far.stalled;
            let stalled = far.stalled;
            if !stalled {
                self.transmit(link, usize::MAX);
            } else if u.arbitrary()? {
                let octets = u.int_in_range(0..=2_000)?;
                self.transmit(link, octets);
            }
        }
        Ok(())
    }

    /// What the application has to say about others, but that they are to be contacted.
    pub(super) fn name_somebody(&mut self, u: &mut Unstructured<'_>, choice: u8) -> Result<()> {
        let address = self.some_address(u)?;
        match choice {
            0 => {
                let sought = self
                    .stack
                    .beacon(self.now, SocketAddr::new(address.ip(), 5670));
                self.note(&format!("{sought:?}"));
            }
            1 => {
                let group = group(u)?;
                if u.arbitrary()? {
                    self.stack.contest(self.now, &group);
                } else {
                    self.stack.withdraw(self.now, &group);
                }
            }
            2 => {
                self.stack.unbeacon(SocketAddr::new(address.ip(), 5670));
            }
            3 if u.arbitrary()? => self.tell_tuple(u, address)?,
            3 => {
                let who = u.choose_index(PUPPETS)?;
                let key = self.key_for_beacon(u, who)?;
                #[cfg(feature = "curve")]
                let key = key.map(crate::curve::PublicKey::from_bytes);
                #[cfg(not(feature = "curve"))]
                let key = key.and(None);
                self.stack.introduce(self.now, id_of(who), address, key);
            }
            4 if u.arbitrary()? => self.stack.heed(address),
            4 => self.stack.ignore(self.now, address),
            5 => {
                let (who, group, content) = (u.choose_index(PUPPETS)?, group(u)?, content(u)?);
                let sent = self.stack.shout_to(self.now, id_of(who), &group, &content);
                self.note(&format!("{sent:?}"));
            }
            6 => {
                if let Ok(endpoint) = SOMEBODY.parse() {
                    self.stack.disconnect(self.now, &endpoint);
                }
            }
            _ if u.ratio(1_u8, 16)? => {
                self.stack.retire(self.now);
                self.stopping = true;
            }
            _ => self.stack.disconnect(self.now, &address.into()),
        }
        Ok(())
    }

    /// What a gossip network says, of one of the others or of nobody, or says no more.
    fn tell_tuple(&mut self, u: &mut Unstructured<'_>, address: SocketAddr) -> Result<()> {
        let who = u.choose_index(PUPPETS)?;
        let id = id_of(who);
        if u.ratio(1_u8, 4)? {
            self.stack.forget_tuple(self.now, id);
            return Ok(());
        }
        let key = self.key_for_beacon(u, who)?;
        let endpoint = match SOMEBODY.parse() {
            Ok(somebody) if u.ratio(1_u8, 4)? => somebody,
            _ => address.into(),
        };
        self.hear_tuple(id, &endpoint, key);
        Ok(())
    }

    fn connect(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let choice: u8 = u.arbitrary()?;
        if choice >= 192 {
            return self.name_somebody(u, choice & 7);
        }
        match choice & 3 {
            0 => {
                if let Ok(endpoint) = SOMEBODY.parse() {
                    let _ = self.stack.connect(self.now, &endpoint);
                }
            }
            1 => {
                let query = match self.queries.pop_front() {
                    Some(query) => query,
                    None => u.arbitrary()?,
                };
                let mut addresses = Vec::new();
                for _ in 0..u.int_in_range(0..=2)? {
                    addresses.push(self.some_address(u)?);
                }
                self.stack.handle_resolved(self.now, query, &addresses);
            }
            _ => {
                let address = self.some_address(u)?;
                let _ = self.stack.connect(self.now, &address.into());
            }
        }
        Ok(())
    }

    fn interfaces_change(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.arbitrary()? {
            self.interface_up();
        } else if let Some(interface) = self.interfaces.pop_front() {
            self.stack
                .handle_interface_down(self.now, interface, "pulled");
        }
        Ok(())
    }
}

fn text(id: crate::PeerId) -> Text {
    Text::try_from(format!("{id}")).unwrap_or_default()
}
