//! What the middle does that no network does.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use arbitrary::{Result, Unstructured};

use super::World;
use super::steps::group;
use super::wire::{End, framed};
use crate::endpoint::Endpoint;
use crate::wire::zmtp::{Identity, SocketType};
use crate::wire::zre::{Command, Hello, Message};
use crate::wire::{Beacon, Frames, Text};
use crate::zmtp::{self, Connection};
use crate::{Cut, PeerId, Stack};

/// Where the middle itself can be dialled, and where it dials from.
pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 99], port))
}

pub(super) const MALLORY: PeerId = PeerId::from_bytes([0x66; 16]);

impl World {
    /// The middle as a mailbox that says whose it is, or does not.
    pub(super) fn mailbox(&mut self, identity: Identity) -> End {
        let mut config = zmtp::Config::new(SocketType::Router);
        config.identity = identity;
        config.security = self.security_of_the_middle(None);
        End::Puppet(Box::new(Connection::new(self.now, config)))
    }

    /// How the middle secures a connection that it makes to a node, or one that a node makes to it.
    #[cfg(feature = "curve")]
    fn security_of_the_middle(&mut self, to: Option<usize>) -> zmtp::Security {
        let security = self.security.as_mut();
        security.map_or(zmtp::Security::Null, |security| security.of_the_middle(to))
    }

    #[cfg(not(feature = "curve"))]
    #[allow(clippy::unused_self)]
    fn security_of_the_middle(&mut self, _to: Option<usize>) -> zmtp::Security {
        zmtp::Security::Null
    }

    pub(super) fn lie(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.lied = true;
        match u.int_in_range(0..=9_u8)? {
            0 | 1 => self.forge_datagram(u)?,
            2 | 3 => self.pose(u)?,
            4 | 5 => self.speak(u)?,
            6 => self.put_in(u)?,
            _ => self.change_octets(u)?,
        }
        Ok(())
    }

    /// Every connection of the middle's own ends.
    pub(super) fn stop_lying(&mut self) {
        self.liar = false;
        for wire in self.wires.values_mut() {
            if wire.ends.iter().any(|end| matches!(end, End::Puppet(_))) {
                wire.cut(Cut::Closed, false);
            }
        }
    }

    fn some_identity(&self, u: &mut Unstructured<'_>) -> Result<PeerId> {
        let who = u.int_in_range(0..=2_usize)?;
        let stack = self.sides.get(who).and_then(|side| side.stack.as_ref());
        Ok(stack.map_or(MALLORY, Stack::id))
    }

    fn some_mailbox(&self, u: &mut Unstructured<'_>) -> Result<SocketAddr> {
        Ok(match u.int_in_range(0..=2_usize)? {
            2 => address(49152),
            who => self.address_of(who, u.int_in_range(0..=self.networks - 1)?),
        })
    }

    #[cfg(feature = "curve")]
    fn some_key(&self, u: &mut Unstructured<'_>) -> Result<Option<[u8; 32]>> {
        match &self.security {
            Some(security) => security.some_key(u),
            None => Ok(None),
        }
    }

    #[cfg(not(feature = "curve"))]
    #[allow(clippy::unused_self)]
    fn some_key(&self, _u: &mut Unstructured<'_>) -> Result<Option<[u8; 32]>> {
        Ok(None)
    }

    fn forge_datagram(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let to = u.choose_index(2)?;
        let from = self.some_mailbox(u)?;
        let beacon = Beacon {
            uuid: self.some_identity(u)?,
            port: *u.choose(&[from.port(), 0, 1])?,
            key: self.some_key(u)?,
        };
        self.note(format_args!("to {to} from {from}: {beacon:?}"));
        let mut octets = Vec::from(beacon.encode());
        if u.ratio(1_u8, 4)? {
            let at = u.choose_index(octets.len())?;
            octets[at] = u.arbitrary()?;
        }
        if let Some(stack) = &mut self.sides[to].stack {
            stack.handle_datagram(self.now, SocketAddr::new(from.ip(), 5670), &octets);
        }
        Ok(())
    }

    /// Dials a node as somebody.
    fn pose(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let to = u.choose_index(2)?;
        let identity = self.some_identity(u)?.identity();
        let mut config = zmtp::Config::new(SocketType::Dealer);
        config.identity = Identity::try_from(identity.as_slice()).unwrap_or_default();
        config.security = self.security_of_the_middle(Some(to));
        let connection = Box::new(Connection::new(self.now, config));
        let mailbox = self.address_of(to, 0);
        let id = self.new_wire(End::Puppet(connection), mailbox);
        self.note(format_args!("the middle dials {to} as {identity:?}"));
        self.answer_dial(id, super::Answer::Made);
        if u.ratio(3_u8, 4)? {
            let hello = self.some_hello(u)?;
            self.say(id, 0, 1, hello);
        }
        Ok(())
    }

    fn some_hello(&self, u: &mut Unstructured<'_>) -> Result<Command> {
        let mut hello = Hello {
            endpoint: Text::from(&Endpoint::from(self.some_mailbox(u)?)),
            name: Text::try_from(*u.choose(&["anna", "boris", "mallory"])?).unwrap_or_default(),
            ..Hello::default()
        };
        if u.arbitrary()? {
            hello.headers = self.config.headers.clone();
        }
        if u.arbitrary()? {
            hello.groups.insert(group(u)?);
        }
        #[cfg(feature = "curve")]
        if let Some(security) = &self.security {
            security.put_key(u, &mut hello)?;
        }
        Ok(Command::Hello(hello))
    }

    fn some_command(&self, u: &mut Unstructured<'_>) -> Result<Command> {
        Ok(match u.int_in_range(0..=9_u8)? {
            0 | 1 => self.some_hello(u)?,
            2 => Command::Whisper {
                content: Frames::from("lie"),
            },
            3 => Command::Shout {
                group: group(u)?,
                content: Frames::from("lie"),
            },
            4 => Command::Join {
                group: group(u)?,
                status: u.arbitrary()?,
            },
            5 => Command::Leave {
                group: group(u)?,
                status: u.arbitrary()?,
            },
            6 => Command::Ping,
            7 => Command::PingOk,
            8 => Command::Goodbye,
            _ => Command::Elect {
                group: group(u)?,
                challenger_id: Text::default(),
            },
        })
    }

    /// Says something on a connection of its own.
    fn speak(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let own: Vec<(u32, usize)> = self
            .wires
            .iter()
            .flat_map(|(id, wire)| {
                (0..2)
                    .filter(|end| matches!(wire.ends[*end], End::Puppet(_)))
                    .map(|end| (*id, end))
            })
            .collect();
        if !own.is_empty() {
            let (id, end) = *u.choose(&own)?;
            let sequence = match u.int_in_range(0..=3_u8)? {
                0 => self.some_sequence().wrapping_add(1),
                1 => u.int_in_range(0..=9)?,
                2 => 1,
                _ => u.arbitrary()?,
            };
            let command = self.some_command(u)?;
            self.say(id, end, sequence, command);
        }
        Ok(())
    }

    /// The last number that was overheard anywhere.
    fn some_sequence(&self) -> u16 {
        let wires = self.wires.values().rev();
        let mut last = wires.filter_map(|wire| wire.overheard.last);
        last.next().unwrap_or_default()
    }

    fn say(&mut self, id: u32, end: usize, sequence: u16, command: Command) {
        if let Some(wire) = self.wires.get_mut(&id)
            && let End::Puppet(connection) = &mut wire.ends[end]
        {
            // It may be closed.
            let _ = connection.send(Message { sequence, command }.encode());
            self.collect_puppet(id, end);
        }
    }

    /// What the middle says as somebody is under way.
    pub(super) fn collect_puppet(&mut self, id: u32, end: usize) {
        if let Some(wire) = self.wires.get_mut(&id)
            && let End::Puppet(connection) = &mut wire.ends[end]
        {
            let octets: Vec<u8> = connection.poll_transmit().flatten().copied().collect();
            connection.handle_transmitted(self.now, octets.len());
            wire.pipes[end].octets.extend(octets);
        }
    }

    /// Puts a message into what a node says.
    fn put_in(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((id, _)) = self.some_pipe(u)? else {
            return Ok(());
        };
        let command = self.some_command(u)?;
        let skipped = u16::from(u.int_in_range(0..=3_u8)? / 2);
        if let Some(wire) = self.wires.get_mut(&id)
            && wire.overheard.is_between_messages()
            && let Some(last) = wire.overheard.last
        {
            let octets = framed(last.wrapping_add(1 + skipped), command);
            wire.pipes[0].octets.extend(octets);
        }
        Ok(())
    }

    /// Changes, drops, doubles or makes up octets that are under way.
    fn change_octets(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((id, end)) = self.some_pipe(u)? else {
            return Ok(());
        };
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.made) else {
            return Ok(());
        };
        let octets = &mut wire.pipes[end].octets;
        let kind = u.int_in_range(0..=3_u8)?;
        if kind == 0 || octets.is_empty() {
            let made_up = u.int_in_range(0..=30_usize)?.min(u.len());
            octets.extend(u.bytes(made_up)?);
            return Ok(());
        }
        let at = u.choose_index(octets.len())?;
        let count = u.int_in_range(1..=40_usize)?.min(octets.len() - at);
        match kind {
            1 => octets[at] = u.arbitrary()?,
            2 => {
                octets.drain(at..at + count);
            }
            _ => {
                let again: Vec<u8> = octets.range(at..at + count).copied().collect();
                octets.extend(again);
            }
        }
        Ok(())
    }
}
