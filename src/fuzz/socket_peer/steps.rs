//! What the fuzzer decides.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::super::sockets;
use super::World;
use super::puppet::{self, Puppet, Wire};
use crate::net::{Cut, LinkId};
use crate::socket::Kind;
use crate::wire::Frames;
use crate::wire::zmtp::{SocketType, Version};
use crate::zmtp::{Denial, Verdict};

impl World {
    pub(super) fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let choice = u.int_in_range(0..=31_u8)?;
        self.note(format_args!("-- {choice}"));
        match choice {
            0..=2 => self.pass_time(u)?,
            3 => self.connect_somewhere(u)?,
            4 => self.bind_somewhere(u)?,
            5..=7 => self.come(u)?,
            8 | 9 => self.answer_dial(u)?,
            10..=13 => self.peer_sends(u)?,
            14 => {
                let (wanted, prefix) = (u.arbitrary()?, *u.choose(&sockets::TOPICS)?);
                if let Some(wire) = self.some_wire(u)? {
                    wire.wish(wanted, prefix);
                }
            }
            15 => self.peer_echoes(u)?,
            16 => self.peer_garbles(u)?,
            17 => self.let_through(u)?,
            18 => self.flows ^= true,
            19 => {
                if let Some(wire) = self.some_wire(u)? {
                    wire.reads ^= true;
                }
            }
            20 | 21 => {
                let cut = *u.choose(&[Cut::Closed, Cut::Reset, Cut::Unreachable])?;
                if let Some(link) = self.some_link(u, |wire| wire.made)? {
                    self.cut(link, cut);
                }
            }
            22..=24 => self.application_sends(u)?,
            25 | 26 => {
                for _ in 0..u.int_in_range(0..=4_u8)? {
                    self.receive();
                }
            }
            27 => self.receive_many(*u.choose(&[0, 100, 5_000, usize::MAX])?),
            28 => self.subscribe_or_not(u)?,
            29 => {
                self.note(format_args!("resets"));
                self.socket.reset(self.now);
            }
            30 => self.judge(u)?,
            _ => self.end_something(u)?,
        }
        Ok(())
    }

    fn pass_time(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let time = match u.int_in_range(0..=5_u8)? {
            0 => Duration::from_millis(u.int_in_range(0..=255)?),
            1 => Duration::from_secs(1),
            2 => Duration::from_secs(6),
            // To the next deadline.
            3 | 4 => {
                let next = self.socket.deadline().unwrap_or(self.now);
                self.run_until(next.max(self.now));
                return Ok(());
            }
            _ => Duration::from_secs(31),
        };
        self.run_until(self.now + time);
        Ok(())
    }

    fn connect_somewhere(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let endpoint = match u.int_in_range(0..=7_u8)? {
            7 => "tcp://*:5555".parse().expect("an endpoint"),
            number => sockets::endpoint(usize::from(number % 3)),
        };
        self.connect(&endpoint);
        Ok(())
    }

    fn bind_somewhere(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let endpoint = sockets::endpoint(u.choose_index(3)?);
        self.bind(&endpoint);
        self.obey();
        let works = u.ratio(7_u8, 8)?;
        let asked: Vec<_> = self
            .listeners
            .iter()
            .filter(|(_, (_, is_up))| !is_up)
            .map(|(it, _)| *it)
            .collect();
        for listener in asked {
            if works {
                let Some((endpoint, is_up)) = self.listeners.get_mut(&listener) else {
                    continue;
                };
                *is_up = true;
                let endpoint = endpoint.clone();
                self.socket.handle_listening(self.now, listener, endpoint);
            } else {
                self.listeners.remove(&listener);
                self.socket
                    .handle_listen_failed(self.now, listener, "address in use");
            }
        }
        Ok(())
    }

    /// Somebody connects: an honest one, or one of whom only octets are known.
    fn come(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let puppet = self.some_puppet(u)?;
        let listeners: Vec<_> = self
            .listeners
            .iter()
            .filter(|(_, (_, is_up))| *is_up)
            .map(|(it, _)| *it)
            .collect();
        let Some(listener) = sockets::pick(u, &listeners)? else {
            return Ok(());
        };
        let remote = u
            .ratio(3_u8, 4)?
            .then(|| SocketAddr::from(([10, 0, 0, 9], 1_024)));
        let before = self
            .wires
            .values()
            .filter(|wire| wire.endpoint.is_none())
            .count();
        if let Some(link) = self.socket.handle_accepted(self.now, listener, remote) {
            assert!(before < self.config.links, "one more than there may be");
            assert!(self.names.insert(link), "{link} was used before");
            let mut wire = Wire::accepted(puppet);
            introduce(u, &mut wire, self.kind.into())?;
            self.wires.insert(link, wire);
        }
        Ok(())
    }

    fn some_puppet(&mut self, u: &mut Unstructured<'_>) -> Result<Puppet> {
        if u.ratio(1_u8, 3)? {
            return Ok(Puppet::Raw);
        }
        puppet::some(u, self.now, self.kind.into(), &self.config.security)
    }

    fn answer_dial(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(link) = self.some_link(u, |wire| !wire.made)? else {
            return Ok(());
        };
        match u.int_in_range(0..=7_u8)? {
            0 => self.cut(link, Cut::Refused),
            1 => self.cut(link, *u.choose(&[Cut::Unreachable, Cut::Resources])?),
            _ => {
                let puppet = self.some_puppet(u)?;
                let kind = self.kind.into();
                let wire = self.wire(link);
                wire.made = true;
                wire.puppet = puppet;
                introduce(u, wire, kind)?;
                self.socket.handle_connected(self.now, link);
            }
        }
        Ok(())
    }

    fn some_link(
        &self,
        u: &mut Unstructured<'_>,
        which: impl Fn(&Wire) -> bool,
    ) -> Result<Option<LinkId>> {
        let links = self.wires.iter().filter(|(_, wire)| which(wire));
        let links: Vec<LinkId> = links.map(|(link, _)| *link).collect();
        sockets::pick(u, &links)
    }

    fn some_wire(&mut self, u: &mut Unstructured<'_>) -> Result<Option<&mut Wire>> {
        let link = self.some_link(u, |wire| wire.made)?;
        Ok(link.and_then(|link| self.wires.get_mut(&link)))
    }

    fn peer_sends(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let message = sockets::frames(u)?;
        let often = 1 + u.int_in_range(0..=7_u8)? / 4 * 3;
        if let Some(wire) = self.some_wire(u)? {
            for _ in 0..often {
                wire.send(message.clone());
            }
        }
        Ok(())
    }

    /// A peer gives back what it heard last, which has the envelope that it should have.
    fn peer_echoes(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some(wire) = self.some_wire(u)?
            && let Some(heard) = wire.heard.take()
        {
            wire.send(heard);
        }
        Ok(())
    }

    /// Octets of the fuzzer, wherever the peer is in what it says.
    fn peer_garbles(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let octets = <&[u8]>::arbitrary_up_to(u, 64)?;
        if let Some(wire) = self.some_wire(u)? {
            wire.say();
            wire.under_way.extend(octets);
        }
        Ok(())
    }

    fn let_through(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let octets = match u.int_in_range(0..=2_u8)? {
            0 => u.int_in_range(0..=80)?,
            1 => u.int_in_range(0..=5_000)?,
            _ => usize::MAX,
        };
        let hears = u.ratio(1_u8, 4)?;
        if let Some(link) = self.some_link(u, |wire| wire.made)? {
            if hears {
                let reads = core::mem::replace(&mut self.wire(link).reads, true);
                self.hear(link, octets);
                if let Some(wire) = self.wires.get_mut(&link) {
                    wire.reads = reads;
                }
            } else {
                self.deliver(link, octets.min(self.chunk));
            }
        }
        Ok(())
    }

    fn application_sends(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut message = sockets::frames(u)?;
        if u.ratio(1_u8, 32)? {
            message = match u.arbitrary()? {
                true => Frames::new(),
                false => Frames::from(alloc::vec![1; 10_000]),
            };
        } else if self.kind == Kind::Router && !self.known.is_empty() && u.ratio(7_u8, 8)? {
            message.push_front(u.choose(&self.known)?.clone());
        } else if self.kind == Kind::XSub && u.ratio(3_u8, 4)? {
            message = Frames::from(sockets::wish(u.arbitrary()?, u.choose(&sockets::TOPICS)?));
        } else if matches!(self.kind, Kind::Pub | Kind::XPub) {
            message.push_front(Bytes::from_static(u.choose(&sockets::TOPICS)?));
        }
        for _ in 0..=u.int_in_range(0..=7_u8)? / 4 * 3 {
            self.send(&message);
        }
        Ok(())
    }

    fn subscribe_or_not(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let long = u.ratio(1_u8, 32)?;
        let prefix = match long {
            true => Bytes::from(alloc::vec![5; 70_000]),
            false => Bytes::from_static(u.choose(&sockets::TOPICS)?),
        };
        if u.ratio(5_u8, 8)? {
            self.want(prefix);
        } else {
            self.want_no_more(&prefix);
        }
        Ok(())
    }

    fn judge(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let verdict = match u.int_in_range(0..=7_u8)? {
            0 => Verdict::Deny(Denial::Refused),
            1 => Verdict::Deny(Denial::Temporary),
            2 => Verdict::AllowAs("joe".try_into().unwrap_or_default()),
            _ => Verdict::Allow,
        };
        // Whoever was not asked about is not touched by an answer.
        if let Some(link) = self.some_link(u, |wire| wire.made)? {
            self.note(format_args!("{link}: {verdict:?}"));
            self.socket.handle_verdict(self.now, link, verdict);
        }
        Ok(())
    }

    fn end_something(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=7_u8)? {
            0 => {
                if !self.closing {
                    self.close();
                }
            }
            1..=3 => {
                let listeners: Vec<_> = self.listeners.keys().copied().collect();
                if let Some(listener) = sockets::pick(u, &listeners)? {
                    self.socket.unbind(self.now, listener);
                }
            }
            _ => {
                if let Some(connect) = sockets::pick(u, &self.connects)? {
                    self.connects.retain(|other| *other != connect);
                    self.note(format_args!("gives {connect} up"));
                    self.socket.disconnect(self.now, connect);
                }
            }
        }
        Ok(())
    }
}

/// One of whom only octets are known may say first what it is.
fn introduce(u: &mut Unstructured<'_>, wire: &mut Wire, ours: SocketType) -> Result<()> {
    if matches!(wire.puppet, Puppet::Raw) && u.ratio(3_u8, 4)? {
        let version = match u.arbitrary()? {
            true => Version::V3_0,
            false => Version::V3_1,
        };
        let kind = puppet::some_type(u, ours)?;
        let identity = sockets::identity(u)?;
        wire.introduce(version, kind, identity.as_bytes());
    }
    Ok(())
}

/// At most so many octets as they come.
trait UpTo<'a>: Sized {
    fn arbitrary_up_to(u: &mut Unstructured<'a>, most: usize) -> Result<Self>;
}

impl<'a> UpTo<'a> for &'a [u8] {
    fn arbitrary_up_to(u: &mut Unstructured<'a>, most: usize) -> Result<Self> {
        let length = u.int_in_range(0..=most)?.min(u.len());
        u.bytes(length)
    }
}
