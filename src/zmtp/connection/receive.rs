//! What a connection makes of the octets that come.

use core::mem;

use bytes::Bytes;

use super::{Connection, Phase, Progress};
use crate::Instant;
use crate::wire::zmtp::{
    Command, Decoded, FrameHeader, FrameKind, Greeting, GreetingError, Identity, InvalidIdentity,
    Metadata, SocketType, Version,
};
use crate::wire::{Body, Expected, Found, Frames, Malformed, primitive::wide};
use crate::zmtp::error::{over, unexpected};
use crate::zmtp::heartbeat::Heartbeats;
use crate::zmtp::inbox::Frame;
use crate::zmtp::input::{Input, Message};
use crate::zmtp::mechanism::Step;
use crate::zmtp::{Error, Event, Incompatible, Limits};

impl Connection {
    /// Takes octets off the input up to the end of a message, or all of them when there is no end.
    #[inline]
    pub(super) fn take<'a>(
        &mut self,
        now: Instant,
        input: &mut Input<'a>,
    ) -> Result<Option<Message<'a>>, Error> {
        match &self.phase {
            Phase::Closed { .. } => return Ok(None),
            Phase::Opening(opening) if matches!(opening.progress, Progress::Greeting { .. }) => {
                self.take_greeting(&mut input.rest)?;
            }
            Phase::Opening(_) | Phase::Traffic { .. } => {}
        }
        let mut head = None;
        while !input.is_empty() {
            let in_traffic = matches!(self.phase, Phase::Traffic { .. });
            let (limits, octets) = (&self.limits, self.parts_octets);
            let overhead = if in_traffic {
                self.mechanism.overhead()
            } else {
                0
            };
            let parts = self.parts.len() + usize::from(head.is_some());
            let frame = self.inbox.next(&mut input.rest, |header| {
                admit(header, limits, in_traffic, overhead, parts, octets)
            })?;
            if let Some(frame) = frame {
                let newest = input.is_empty();
                let message =
                    self.handle_frame(now, frame, newest, &mut head, |body| input.own(body))?;
                if message.is_some() {
                    return Ok(message);
                }
            }
        }
        self.keep(head);
        Ok(None)
    }

    /// The first frame of a message whose last one did not come.
    pub(super) fn keep(&mut self, head: Option<Body<'_>>) {
        if let Some(head) = head {
            self.parts.push_front(head.into_bytes());
        }
    }

    fn take_greeting(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let Phase::Opening(opening) = &mut self.phase else {
            return Ok(());
        };
        let Progress::Greeting { octets, len } = &mut opening.progress else {
            return Ok(());
        };
        let room = octets.get_mut(*len..).unwrap_or_default();
        let (came, rest) = input.split_at_checked(room.len()).unwrap_or((input, &[]));
        *input = rest;
        if let Some(room) = room.get_mut(..came.len()) {
            room.copy_from_slice(came);
            *len += came.len();
        }
        let greeting = match Greeting::decode(octets.get(..*len).unwrap_or_default()) {
            Ok(Decoded::Complete { value, .. }) => value,
            Ok(Decoded::Partial { .. }) => return Ok(()),
            Err(GreetingError::Malformed(malformed)) => return Err(malformed.into()),
            Err(GreetingError::Outdated(revision)) => {
                return Err(Incompatible::Revision(revision).into());
            }
        };
        let ours = self.mechanism.name();
        // ZMTP-6
        if greeting.mechanism != ours {
            let theirs = greeting.mechanism;
            return Err(Incompatible::Mechanism { ours, theirs }.into());
        }
        tracing::debug!(version = %greeting.version, mechanism = %ours, "greeting");
        opening.progress = Progress::Handshake {
            version: greeting.version,
        };
        let about_us = self.about_us();
        // ZMTP-30
        if let Some(command) = self.mechanism.start(&about_us)? {
            self.outbox.push_copied(FrameKind::Command, &command);
        }
        Ok(())
    }

    /// What this side tells about itself.
    pub(super) fn about_us(&self) -> Metadata {
        let identity = self.opening().map(|opening| &opening.identity);
        about(self.socket_type, identity.unwrap_or(&Identity::default()))
    }

    /// The message that the frame is the last of, if it is. `newest`: no octet came after this frame. `head`: the first
    /// frame of the message, when it lies in the same octets; else it is in `parts`. `own` gives memory to another one.
    #[inline]
    pub(super) fn handle_frame<'a>(
        &mut self,
        now: Instant,
        frame: Frame<'a>,
        newest: bool,
        head: &mut Option<Body<'a>>,
        own: impl FnOnce(Body<'a>) -> Bytes,
    ) -> Result<Option<Message<'a>>, Error> {
        let Phase::Traffic { .. } = self.phase else {
            self.handle_handshake(now, frame.body.as_slice())?;
            return Ok(None);
        };
        let Frame { kind, body } = if self.mechanism.seals() {
            self.mechanism.open(frame)?
        } else {
            frame
        };
        let is_first = head.is_none() && self.parts.is_empty();
        match kind {
            // ZMTP-22, ZMTP-42
            FrameKind::Command => {
                // One that was sealed looked like a message.
                admit_command(body.as_slice().len(), &self.limits)?;
                self.handle_command(now, body.as_slice(), newest)?;
            }
            FrameKind::More => {
                self.parts_octets += body.as_slice().len();
                if is_first {
                    *head = Some(body);
                } else {
                    self.parts.push(own(body));
                }
            }
            // ZMTP-40
            FrameKind::Last if is_first => {
                return Ok(Some(Message {
                    head: body,
                    rest: Frames::new(),
                }));
            }
            FrameKind::Last => {
                self.parts_octets = 0;
                let last = own(body);
                if self.parts.is_empty()
                    && let Some(head) = head.take()
                {
                    let rest = Frames::from(last);
                    return Ok(Some(Message { head, rest }));
                }
                let mut rest = mem::take(&mut self.parts);
                rest.push(last);
                let head = head.take().or_else(|| rest.pop_front().map(Body::Owned));
                return Ok(head.map(|head| Message { head, rest }));
            }
        }
        Ok(None)
    }

    /// A command of the handshake: only commands are admitted there.
    fn handle_handshake(&mut self, now: Instant, body: &[u8]) -> Result<(), Error> {
        if Command::split(body)?.0 == b"ERROR" {
            // ZMTP-36
            return Err(refusal(body));
        }
        let about_us = self.about_us();
        let step = self.mechanism.handle_command(body, &about_us)?;
        self.step(now, step)
    }

    /// Does what the mechanism wants.
    pub(super) fn step(&mut self, now: Instant, step: Step) -> Result<(), Error> {
        let done = match step {
            Step::Say(command) => {
                self.outbox.push_copied(FrameKind::Command, &command);
                return Ok(());
            }
            Step::Ask(credentials) => {
                self.events.push(Event::Authenticate(credentials));
                return Ok(());
            }
            Step::Done(done) => done,
        };
        let metadata = done.metadata;
        let (socket_type, identity) = self.check(&metadata)?;
        let Phase::Opening(opening) = &mut self.phase else {
            return Ok(());
        };
        let Progress::Handshake { version } = opening.progress else {
            return Ok(());
        };
        if let Some(command) = done.say {
            self.outbox.push_copied(FrameKind::Command, &command);
        }
        tracing::debug!(%socket_type, ?identity, "handshake done");
        let heartbeats = Heartbeats::new(now, version, opening.heartbeat, self.paused);
        let waiting = mem::take(&mut opening.waiting);
        self.wishes_by_messages = version < Version::V3_1;
        self.phase = Phase::Traffic { heartbeats };
        self.events.push(Event::Ready {
            version,
            socket_type,
            identity,
            metadata,
        });
        // ZMTP-37
        for message in waiting {
            self.push_message(&message);
        }
        Ok(())
    }

    /// Whether the peer is one that this side may talk to (RFC 37 "The Socket-Type Property").
    fn check(&self, metadata: &Metadata) -> Result<(SocketType, Identity), Error> {
        let theirs = metadata.get(Metadata::SOCKET_TYPE).ok_or(Malformed::new(
            "READY.Socket-Type",
            Expected::What("the property"),
            Found::What("none"),
        ))?;
        // ZMTP-33
        let theirs = SocketType::decode(theirs)?;
        let ours = self.socket_type;
        // ZMTP-34
        if !ours.may_talk_to(theirs) {
            return Err(Incompatible::SocketTypes { ours, theirs }.into());
        }
        let identity = metadata.get(Metadata::IDENTITY).unwrap_or_default();
        // ZMTP-35
        let identity = Identity::try_from(identity).map_err(|error| {
            Malformed::new(
                "READY.Identity",
                match error {
                    InvalidIdentity::TooLong { .. } => Expected::AtMost(wide(Identity::LIMIT)),
                    InvalidIdentity::Reserved => Expected::What("no 0 as the first octet"),
                },
                match error {
                    InvalidIdentity::TooLong { octets } => Found::Octets(wide(octets)),
                    InvalidIdentity::Reserved => Found::Value(0),
                },
            )
        })?;
        Ok((theirs, identity))
    }

    /// A command of the traffic. Those that nobody knows are ignored, as C peers do.
    fn handle_command(&mut self, now: Instant, body: &[u8], newest: bool) -> Result<(), Error> {
        let publishes = matches!(self.socket_type, SocketType::Pub | SocketType::XPub);
        match Command::decode(body)? {
            Command::Ping(ping) => {
                // RFC 37 "Connection Heartbeating": dead when nothing more comes. If more came, it is not.
                if let (true, Phase::Traffic { heartbeats }) = (newest, &mut self.phase) {
                    // ZMTP-54
                    heartbeats.handle_ttl(now, ping.ttl);
                }
                // ZMTP-50
                self.answer(ping.context);
            }
            // That something came was noted.
            // ZMTP-21
            Command::Pong(_) | Command::Other(_) => {}
            // A peer that says READY before it sees ours may find out afterwards that it does not want us.
            // ZMTP-36
            Command::Error(reason) => return Err(Error::Refused { reason }),
            // ZMTP-32
            Command::Ready(_) => return Err(unexpected("second READY")),
            // ZMTP-43
            Command::Subscribe(prefix) if publishes => self.events.push(Event::Subscribe(prefix)),
            Command::Cancel(prefix) if publishes => self.events.push(Event::Cancel(prefix)),
            Command::Subscribe(_) | Command::Cancel(_) => {}
        }
        Ok(())
    }
}

/// Whether a frame may come, by its header alone, and how large it is.
#[inline]
fn admit(
    header: FrameHeader,
    limits: &Limits,
    in_traffic: bool,
    overhead: usize,
    parts: usize,
    parts_octets: usize,
) -> Result<usize, Error> {
    let octets = usize::try_from(header.octets()).unwrap_or(usize::MAX);
    // What is in a sealed frame is limited; what seals it comes on top.
    let content = octets.saturating_sub(overhead);
    if header.kind() == FrameKind::Command {
        admit_command(content, limits)?;
        return Ok(octets);
    }
    if !in_traffic {
        // ZMTP-32
        return Err(unexpected("message before the end of the handshake"));
    }
    // ZMTP-60
    if content > limits.frame_octets {
        return Err(over("frame_octets", limits.frame_octets, wide(content)));
    }
    let message = parts_octets.saturating_add(content);
    // ZMTP-61
    if message > limits.message_octets {
        return Err(over("message_octets", limits.message_octets, wide(message)));
    }
    // ZMTP-61
    if parts >= limits.message_frames {
        let found = wide(parts).saturating_add(1);
        return Err(over("message_frames", limits.message_frames, found));
    }
    Ok(octets)
}

/// Whether a command may have so many octets.
// ZMTP-62
fn admit_command(octets: usize, limits: &Limits) -> Result<(), Error> {
    if octets > limits.command_octets {
        return Err(over("command_octets", limits.command_octets, wide(octets)));
    }
    Ok(())
}

/// What this side tells about itself: RFC 37 "Connection Metadata".
fn about(socket_type: SocketType, identity: &Identity) -> Metadata {
    let name = socket_type.as_str().as_bytes();
    let metadata = Metadata::new().with(Metadata::SOCKET_TYPE, name);
    let tells = matches!(
        socket_type,
        SocketType::Req | SocketType::Dealer | SocketType::Router
    );
    let metadata = match metadata {
        // ZMTP-31
        Ok(metadata) if tells => metadata.with(Metadata::IDENTITY, identity),
        other => other,
    };
    metadata.expect("an Identity and the name of a type fit into properties")
}

/// What an ERROR means, if it is one as it should be.
fn refusal(body: &[u8]) -> Error {
    match Command::decode(body) {
        Ok(Command::Error(reason)) => Error::Refused { reason },
        Ok(_) => unexpected("command before READY"),
        Err(malformed) => malformed.into(),
    }
}
