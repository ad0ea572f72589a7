//! Who is at the other end of a link.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::super::sockets;
use crate::Instant;
#[cfg(feature = "curve")]
use crate::curve::{KeyPair, Seed};
use crate::socket::{Endpoint, Security};
use crate::wire::zmtp::{
    Command, FrameHeader, FrameKind, Greeting, MechanismName, Metadata, SocketType, Version,
};
use crate::wire::{Frames, Text};
use crate::zmtp::{self, Connection, Password};

/// One who speaks on a link.
pub(super) enum Puppet {
    /// An honest connection, until the fuzzer puts something between.
    Honest(Box<Connection>),
    /// Octets of the fuzzer.
    Raw,
}

pub(super) struct Wire {
    /// Where it was dialled; `None`: others made it.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) puppet: Puppet,
    /// It is a connection by now.
    pub(super) made: bool,
    /// What the peer said and did not arrive.
    pub(super) under_way: VecDeque<u8>,
    /// The peer takes what it is sent.
    pub(super) reads: bool,
    /// The socket does not want to read it.
    pub(super) paused: bool,
    /// The socket said that there is something to send.
    pub(super) signalled: bool,
    /// It was asked whether the peer may come in.
    pub(super) asked: bool,
    /// What the peer heard last.
    pub(super) heard: Option<Frames>,
}

impl Wire {
    fn new(endpoint: Option<Endpoint>, made: bool, puppet: Puppet) -> Self {
        Self {
            endpoint,
            puppet,
            made,
            under_way: VecDeque::new(),
            reads: true,
            paused: false,
            signalled: false,
            asked: false,
            heard: None,
        }
    }

    /// One that is not answered yet.
    pub(super) fn dialled(endpoint: Endpoint) -> Self {
        Self::new(Some(endpoint), false, Puppet::Raw)
    }

    pub(super) fn accepted(puppet: Puppet) -> Self {
        Self::new(None, true, puppet)
    }

    /// What the socket sent comes to the peer.
    pub(super) fn hear(&mut self, now: Instant, octets: &[u8]) {
        let Puppet::Honest(connection) = &mut self.puppet else {
            return;
        };
        connection.handle_input(now, octets);
        while let Some(event) = connection.poll_event() {
            match event {
                zmtp::Event::Message(message) => self.heard = Some(message),
                zmtp::Event::Authenticate(_) => {
                    connection.handle_verdict(now, zmtp::Verdict::Allow);
                }
                _ => {}
            }
        }
        self.say();
    }

    /// What the peer has to say is on its way.
    pub(super) fn say(&mut self) {
        if let Puppet::Honest(connection) = &mut self.puppet
            && self.made
        {
            let octets: Vec<u8> = connection.poll_transmit().flatten().copied().collect();
            connection.handle_transmitted(Instant::ZERO, octets.len());
            self.under_way.extend(octets);
        }
    }

    /// The peer sends a message, well framed: one that is not ready puts it into octets all the same.
    pub(super) fn send(&mut self, message: Frames) {
        self.say();
        match &mut self.puppet {
            Puppet::Honest(connection) => {
                // One that is not ready yet has nothing to say.
                let _ = connection.send(message);
            }
            Puppet::Raw => {
                let mut octets = Vec::new();
                for (at, frame) in message.iter().enumerate() {
                    let kind = match at + 1 < message.len() {
                        true => FrameKind::More,
                        false => FrameKind::Last,
                    };
                    put(&mut octets, kind, frame);
                }
                self.under_way.extend(octets);
            }
        }
    }

    /// The peer wants something, or does no more, by a command.
    pub(super) fn wish(&mut self, wanted: bool, prefix: &[u8]) {
        self.say();
        match &mut self.puppet {
            Puppet::Honest(connection) if wanted => connection.subscribe(prefix),
            Puppet::Honest(connection) => connection.cancel(prefix),
            Puppet::Raw => {
                let prefix = Bytes::copy_from_slice(prefix);
                let command = match wanted {
                    true => Command::Subscribe(prefix),
                    false => Command::Cancel(prefix),
                };
                self.command(&command);
            }
        }
    }

    fn command(&mut self, command: &Command) {
        let (mut body, mut octets) = (Vec::new(), Vec::new());
        command.encode(&mut body);
        put(&mut octets, FrameKind::Command, &body);
        self.under_way.extend(octets);
    }

    /// One that speaks raw greets as a peer of this version, and says what it is.
    pub(super) fn introduce(&mut self, version: Version, kind: SocketType, identity: &[u8]) {
        let greeting = Greeting {
            version,
            ..Greeting::new(MechanismName::NULL)
        };
        self.under_way.extend(greeting.encode());
        let about = Metadata::new()
            .with(Metadata::SOCKET_TYPE, kind.as_str().as_bytes())
            .and_then(|about| about.with(Metadata::IDENTITY, identity));
        self.command(&Command::Ready(about.unwrap_or_default()));
    }
}

fn put(octets: &mut Vec<u8>, kind: FrameKind, body: &[u8]) {
    FrameHeader::of(kind, body).encode(octets);
    octets.extend_from_slice(body);
}

/// A peer of any type: mostly one that goes with the socket.
pub(super) fn some(
    u: &mut Unstructured<'_>,
    now: Instant,
    ours: SocketType,
    security: &Security,
) -> Result<Puppet> {
    let kind = some_type(u, ours)?;
    let config = zmtp::Config {
        identity: sockets::identity(u)?,
        security: other_side(u, security)?,
        ..zmtp::Config::new(kind)
    };
    Ok(Puppet::Honest(Box::new(Connection::new(now, config))))
}

/// One in eight goes with anything.
pub(super) fn some_type(u: &mut Unstructured<'_>, ours: SocketType) -> Result<SocketType> {
    let any: SocketType = sockets::kind(u)?.into();
    if u.ratio(1_u8, 8)? || ours.may_talk_to(any) {
        return Ok(any);
    }
    let all = crate::socket::Kind::ALL.iter();
    let mut fitting = all.map(|kind| SocketType::from(*kind));
    Ok(fitting.find(|kind| ours.may_talk_to(*kind)).unwrap_or(any))
}

fn text(text: &str) -> Text {
    Text::try_from(text).unwrap_or_default()
}

pub(super) fn security(u: &mut Unstructured<'_>) -> Result<Security> {
    Ok(match u.int_in_range(0..=31_u8)? {
        31 => Security::PlainServer,
        30 => Security::PlainClient {
            username: text("joe"),
            password: Password::from(text("secret")),
        },
        #[cfg(feature = "curve")]
        29 => Security::CurveServer { keys: keys(1) },
        #[cfg(feature = "curve")]
        28 => Security::CurveClient {
            keys: keys(1),
            server: *keys(2).public(),
        },
        _ => Security::Null,
    })
}

#[cfg(feature = "curve")]
fn keys(octet: u8) -> alloc::sync::Arc<KeyPair> {
    alloc::sync::Arc::new(KeyPair::generate([octet; 32]))
}

/// What goes with it; one in sixteen has none.
fn other_side(u: &mut Unstructured<'_>, security: &Security) -> Result<zmtp::Security> {
    if u.ratio(1_u8, 16)? {
        return Ok(zmtp::Security::Null);
    }
    Ok(match security {
        Security::PlainServer => zmtp::Security::PlainClient {
            username: text("joe"),
            password: Password::from(text("secret")),
        },
        Security::PlainClient { .. } => zmtp::Security::PlainServer,
        #[cfg(feature = "curve")]
        Security::CurveServer { .. } => zmtp::Security::CurveClient {
            keys: keys(2),
            server: *keys(1).public(),
            seed: Seed::from_bytes([3; 32]),
        },
        #[cfg(feature = "curve")]
        Security::CurveClient { .. } => zmtp::Security::CurveServer {
            keys: keys(2),
            seed: Seed::from_bytes([4; 32]),
        },
        Security::Null => zmtp::Security::Null,
    })
}
