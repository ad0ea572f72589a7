//! Who is there beside the node, and what they say.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::World;
use super::kin::Kin;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::wire::zre::{Command, Hello, Limits, Message};
use crate::wire::{Frames, Text};
use crate::zmtp::Connection;
use crate::{Instant, InterfaceId, LinkId, PeerId};

pub(super) const PUPPETS: usize = 6;

/// One end of a link, seen from outside.
pub(super) struct Far {
    pub(super) who: usize,
    /// `None`: its octets come raw from the fuzzer, and what it is sent is thrown away.
    pub(super) connection: Option<Box<Connection>>,
    /// The address that the stack dialled; `None`: the puppet dialled.
    pub(super) dialled: Option<SocketAddr>,
    pub(super) connected: bool,
    /// The stack does not want it to be read.
    pub(super) paused: bool,
    /// The puppet does not read.
    pub(super) stalled: bool,
    /// Octets on their way to the stack.
    pub(super) under_way: VecDeque<u8>,
    /// The sequence of what the puppet says next.
    pub(super) next: u16,
    /// The key with which it secures the link.
    #[cfg(feature = "curve")]
    pub(super) key: Option<PublicKey>,
    /// What a relay is still to hear, before it passes anything on.
    pub(super) prelude: Vec<u8>,
}

pub(super) struct Puppet {
    /// Somebody listens there.
    pub(super) listens: bool,
    pub(super) answers_pings: bool,
    /// Greets whoever greets it, as peers do.
    pub(super) greets_back: bool,
    /// States its identity as a mailbox, as atonce does; possibly another one's.
    pub(super) states: Option<usize>,
}

pub(super) enum Reaction {
    /// The answer to a dial: an embedder gives it later, not between two actions.
    Connected(LinkId),
    Refused(LinkId),
    /// The puppet closes the link.
    #[cfg(feature = "curve")]
    Ended(LinkId),
    Greet(usize),
    PingOk(usize),
    /// A word of an election, said again.
    Support(usize, Command),
}

pub(super) fn id_of(who: usize) -> PeerId {
    PeerId::from_bytes([u8::try_from(who + 1).unwrap_or(u8::MAX); 16])
}

pub(super) fn address_of(who: usize) -> SocketAddr {
    let (host, port) = (who % 3, who / 3);
    let host = u8::try_from(host + 2).unwrap_or_default();
    let port = 49152 + u16::try_from(port).unwrap_or_default();
    SocketAddr::from(([10, 0, 0, host], port))
}

fn hello_of(who: usize) -> Hello {
    Hello {
        endpoint: Text::from(&Endpoint::from(address_of(who))),
        name: Text::try_from(format!("puppet{who}")).unwrap_or_default(),
        ..Hello::default()
    }
}

impl Far {
    pub(super) fn new(
        who: usize,
        connection: Option<Box<Connection>>,
        dialled: Option<SocketAddr>,
    ) -> Self {
        let mut far = Self {
            who,
            connection,
            connected: dialled.is_none(),
            dialled,
            paused: false,
            stalled: false,
            under_way: VecDeque::new(),
            next: 1,
            #[cfg(feature = "curve")]
            key: None,
            prelude: Vec::new(),
        };
        far.collect(Instant::ZERO);
        far
    }

    /// What the puppet has to send is under way.
    pub(super) fn collect(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            let octets: Vec<u8> = connection.poll_transmit().flatten().copied().collect();
            connection.handle_transmitted(now, octets.len());
            self.under_way.extend(octets);
        }
    }
}

impl World {
    /// What a puppet greets with.
    pub(super) fn hello_of(&self, who: usize) -> Hello {
        let mut hello = hello_of(who);
        if let Some(kin) = &self.kin {
            kin.put_abilities(&mut hello);
            kin.put_group(&mut hello);
        }
        #[cfg(feature = "curve")]
        if let Some(security) = &self.security {
            security.put_key(&mut hello, who);
        }
        hello
    }

    pub(super) fn accept(&mut self, who: usize, poses_as: usize) -> Option<LinkId> {
        let connection = Box::new(self.dealer(who, poses_as));
        self.accepted(who, Some(connection))
    }

    pub(super) fn accept_raw(&mut self, who: usize) -> Option<LinkId> {
        self.accepted(who, None)
    }

    pub(super) fn accepted(
        &mut self,
        who: usize,
        connection: Option<Box<Connection>>,
    ) -> Option<LinkId> {
        let interface = *self.interfaces.front()?;
        let remote = SocketAddr::new(address_of(who).ip(), 50_000);
        self.accepted_on(interface, remote, who, connection)
    }

    pub(super) fn accepted_on(
        &mut self,
        interface: InterfaceId,
        remote: SocketAddr,
        who: usize,
        connection: Option<Box<Connection>>,
    ) -> Option<LinkId> {
        let link = self.stack.handle_accepted(self.now, interface, remote)?;
        let fresh = self.known.insert(link);
        assert!(fresh, "{link} was used before");
        self.note(&format!("> puppet {who} dials: {link}"));
        #[cfg_attr(not(feature = "curve"), allow(unused_mut))]
        let mut far = Far::new(who, connection, None);
        #[cfg(feature = "curve")]
        if let Some(security) = &self.security {
            far.key = Some(security.key_of(who));
        }
        self.links.insert(link, far);
        Some(link)
    }

    pub(super) fn tell(&mut self, link: LinkId, sequence: Option<u16>, command: Command) {
        let Some(far) = self.links.get_mut(&link) else {
            return;
        };
        let sequence = sequence.unwrap_or(far.next);
        far.next = sequence.wrapping_add(1);
        let message = Message { sequence, command };
        if self.aloud {
            self.note(&format!("> over {link}: {message:.300?}"));
        }
        self.send(link, message.encode());
    }

    pub(super) fn send(&mut self, link: LinkId, message: Frames) {
        if let Some(far) = self.links.get_mut(&link)
            && let Some(connection) = &mut far.connection
        {
            // It may be closed, or the message be of no frames.
            let _ = connection.send(message);
            far.collect(self.now);
        }
    }

    /// What a puppet does by itself when it is told something.
    pub(super) fn react(&mut self, link: LinkId, message: Frames) {
        let Some(far) = self.links.get(&link) else {
            return;
        };
        let who = far.who;
        let message = Message::decode(message, &Limits::default()).expect("the node speaks ZRE");
        let Some(puppet) = self.puppets.get(who) else {
            return;
        };
        match message.command {
            Command::Hello(_) if puppet.greets_back => {
                self.reactions.push_back(Reaction::Greet(who));
            }
            Command::Ping if puppet.answers_pings => {
                self.reactions.push_back(Reaction::PingOk(who));
            }
            Command::Elect { .. } if self.kin.as_ref().is_some_and(Kin::supports) => {
                let support = Reaction::Support(who, message.command);
                self.reactions.push_back(support);
            }
            _ => {}
        }
    }

    /// The newest link on which a puppet speaks.
    pub(super) fn speaking(&self, who: usize) -> Option<LinkId> {
        self.links
            .iter()
            .rev()
            .find(|(_, far)| far.who == who && far.dialled.is_none() && far.connection.is_some())
            .map(|(link, _)| *link)
    }
}
