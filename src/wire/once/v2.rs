//! Version 2: what a message is, by its id.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::fields::{
    SECRET_OCTETS, UUID_OCTETS, list, list_len, proof, put_list, put_uuid, text, uuid,
};
use super::{
    Authenticate, Challenge, Change, Contact, Delta, Invitation, Limits, Nope, Peer, Proof,
    RemoteAgain, RemoteShout, RemoteWhisper, Roster, Undeliverable,
};
use crate::PeerId;
use crate::wire::primitive::{number4, number8, whole};
use crate::wire::{Frames, Malformed};

pub(super) const VERSION: u8 = 2;
/// What ZRE/LOG has in its place.
pub(super) const NO_MESSAGE: u8 = 1;

// ONCE-30
mod id {
    pub(super) const CHALLENGE: u8 = 0x10;
    pub(super) const AUTHENTICATE: u8 = 0x11;
    pub(super) const OK: u8 = 0x12;
    pub(super) const NOPE: u8 = 0x13;
    pub(super) const STOP: u8 = 0x14;
    pub(super) const GET_ENDPOINTS: u8 = 0x20;
    pub(super) const LIST_ENDPOINTS: u8 = 0x21;
    pub(super) const GET_ROSTER: u8 = 0x30;
    pub(super) const ROSTER: u8 = 0x31;
    pub(super) const ENTER: u8 = 0x32;
    pub(super) const EXIT: u8 = 0x33;
    pub(super) const JOIN: u8 = 0x34;
    pub(super) const LEAVE: u8 = 0x35;
    pub(super) const REMOTE_WHISPER: u8 = 0x40;
    pub(super) const REMOTE_SHOUT: u8 = 0x41;
    pub(super) const UNDELIVERABLE: u8 = 0x42;
    pub(super) const REMOTE_AGAIN: u8 = 0x43;
    pub(super) const RELAY: u8 = 0x50;
    pub(super) const TICKET: u8 = 0x51;
}

/// Whether it is the id of a message.
pub(super) const fn is_known(id: u8) -> bool {
    matches!(
        id,
        id::CHALLENGE..=id::STOP
            | id::GET_ENDPOINTS..=id::LIST_ENDPOINTS
            | id::GET_ROSTER..=id::LEAVE
            | id::REMOTE_WHISPER..=id::REMOTE_AGAIN
            | id::RELAY..=id::TICKET
    )
}

/// A message of version 2, with which servers and bridges work.
///
/// ```
/// use atonce::wire::once::V2;
///
/// let ask = V2::GetRoster { epoch: 0, from: 0 };
/// assert_eq!((ask.id(), ask.name()), (0x30, "GET-ROSTER"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V2 {
    /// Who are you?
    Challenge(Challenge),
    /// That is who I am. And who are you?
    Authenticate(Authenticate),
    /// Come in; and that is who I am.
    Ok {
        /// What [`Exchange::ok`](super::Exchange::ok) is the text of; zeros when the mechanism needs none.
        proof: Proof,
        /// For how long it is good.
        seconds: u32,
    },
    /// That I do not do.
    Nope(Nope),
    /// I am leaving.
    Stop {
        /// What [`Exchange::stop`](super::Exchange::stop) is the text of; zeros when the mechanism needs none.
        proof: Proof,
    },
    /// Who else is there?
    GetEndpoints,
    /// Who else is there, all of them.
    ListEndpoints {
        /// In whatever order; neither the asker nor who is no bridge is among them.
        contacts: Vec<Contact>,
    },
    /// Who is on your network?
    GetRoster {
        /// The epoch of what is known; 0 when nothing is.
        epoch: u64,
        /// The number of the first change that is not known.
        from: u64,
    },
    /// Who is on my network.
    Roster(Roster),
    /// What has changed: ENTER, EXIT, JOIN or LEAVE.
    Delta(Delta),
    /// Something for one peer.
    RemoteWhisper(RemoteWhisper),
    /// Something for a group.
    RemoteShout(RemoteShout),
    /// Something could not be delivered.
    Undeliverable(Undeliverable),
    /// The same for a group once more.
    RemoteAgain(RemoteAgain),
    /// How do I come to that bridge, which I cannot reach?
    Relay {
        /// Which.
        uuid: PeerId,
    },
    /// How to come to each other.
    Ticket(Invitation),
}

impl V2 {
    /// Its id on the wire.
    pub const fn id(&self) -> u8 {
        match self {
            Self::Challenge(_) => id::CHALLENGE,
            Self::Authenticate(_) => id::AUTHENTICATE,
            Self::Ok { .. } => id::OK,
            Self::Nope(_) => id::NOPE,
            Self::Stop { .. } => id::STOP,
            Self::GetEndpoints => id::GET_ENDPOINTS,
            Self::ListEndpoints { .. } => id::LIST_ENDPOINTS,
            Self::GetRoster { .. } => id::GET_ROSTER,
            Self::Roster(_) => id::ROSTER,
            Self::Delta(delta) => match delta.change {
                Change::Enter(_) => id::ENTER,
                Change::Exit { .. } => id::EXIT,
                Change::Join { .. } => id::JOIN,
                Change::Leave { .. } => id::LEAVE,
            },
            Self::RemoteWhisper(_) => id::REMOTE_WHISPER,
            Self::RemoteShout(_) => id::REMOTE_SHOUT,
            Self::Undeliverable(_) => id::UNDELIVERABLE,
            Self::RemoteAgain(_) => id::REMOTE_AGAIN,
            Self::Relay { .. } => id::RELAY,
            Self::Ticket(_) => id::TICKET,
        }
    }

    /// Its name as the specification writes it, for people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Challenge(_) => "CHALLENGE",
            Self::Authenticate(_) => "AUTHENTICATE",
            Self::Ok { .. } => "OK",
            Self::Nope(_) => "NOPE",
            Self::Stop { .. } => "STOP",
            Self::GetEndpoints => "GET-ENDPOINTS",
            Self::ListEndpoints { .. } => "LIST-ENDPOINTS",
            Self::GetRoster { .. } => "GET-ROSTER",
            Self::Roster(_) => "ROSTER",
            Self::Delta(delta) => match delta.change {
                Change::Enter(_) => "ENTER",
                Change::Exit { .. } => "EXIT",
                Change::Join { .. } => "JOIN",
                Change::Leave { .. } => "LEAVE",
            },
            Self::RemoteWhisper(_) => "REMOTE-WHISPER",
            Self::RemoteShout(_) => "REMOTE-SHOUT",
            Self::Undeliverable(_) => "UNDELIVERABLE",
            Self::RemoteAgain(_) => "REMOTE-AGAIN",
            Self::Relay { .. } => "RELAY",
            Self::Ticket(_) => "TICKET",
        }
    }

    /// The frames behind the first one; `None` for a message that has none.
    pub const fn content(&self) -> Option<&Frames> {
        match self {
            Self::RemoteWhisper(RemoteWhisper { content, .. })
            | Self::RemoteShout(RemoteShout { content, .. }) => Some(content),
            _ => None,
        }
    }

    pub(super) fn body_len(&self) -> usize {
        match self {
            Self::Challenge(challenge) => challenge.octets(),
            Self::Authenticate(authenticate) => authenticate.octets(),
            Self::Ok { .. } => SECRET_OCTETS + size_of::<u32>(),
            Self::Nope(nope) => nope.octets(),
            Self::Stop { .. } => SECRET_OCTETS,
            Self::GetEndpoints => 0,
            Self::ListEndpoints { contacts } => list_len(contacts, Contact::octets),
            Self::GetRoster { .. } => 2 * size_of::<u64>(),
            Self::Roster(roster) => roster.octets(),
            Self::Delta(delta) => delta.octets(),
            Self::RemoteWhisper(_) => RemoteWhisper::octets(),
            Self::RemoteShout(shout) => shout.octets(),
            Self::Undeliverable(undeliverable) => undeliverable.octets(),
            Self::RemoteAgain(again) => again.octets(),
            Self::Relay { .. } => UUID_OCTETS,
            Self::Ticket(invitation) => invitation.octets(),
        }
    }

    pub(super) fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Challenge(challenge) => challenge.put(out),
            Self::Authenticate(authenticate) => authenticate.put(out),
            Self::Ok { proof, seconds } => {
                out.put_slice(proof.as_bytes());
                out.put_u32(*seconds);
            }
            Self::Nope(nope) => nope.put(out),
            Self::Stop { proof } => out.put_slice(proof.as_bytes()),
            Self::GetEndpoints => {}
            Self::ListEndpoints { contacts } => {
                put_list(out, contacts, |out, contact| contact.put(out));
            }
            Self::GetRoster { epoch, from } => {
                out.put_u64(*epoch);
                out.put_u64(*from);
            }
            Self::Roster(roster) => roster.put(out),
            Self::Delta(delta) => delta.put(out),
            Self::RemoteWhisper(whisper) => whisper.put(out),
            Self::RemoteShout(shout) => shout.put(out),
            Self::Undeliverable(undeliverable) => undeliverable.put(out),
            Self::RemoteAgain(again) => again.put(out),
            Self::Relay { uuid } => put_uuid(out, uuid),
            Self::Ticket(invitation) => invitation.put(out),
        }
    }
}

/// Reads what follows the prefix of a message whose id is known; `content` are the frames behind.
pub(super) fn decode(
    id: u8,
    frame: &Bytes,
    body: &[u8],
    content: Frames,
    limits: &Limits,
) -> Result<V2, Malformed> {
    let mut message = fields(id, frame, body, limits)?;
    // ONCE-4
    if let V2::RemoteWhisper(RemoteWhisper { content: of, .. })
    | V2::RemoteShout(RemoteShout { content: of, .. }) = &mut message
    {
        *of = content;
    }
    Ok(message)
}

/// All but the content. `body` lies in `frame`; one lifetime for both is what the parsers ask for.
fn fields<'a>(id: u8, frame: &'a Bytes, body: &'a [u8], limits: &Limits) -> Result<V2, Malformed> {
    // ONCE-3: each of them fills its frame.
    match id {
        id::CHALLENGE => {
            whole("CHALLENGE", Challenge::read(frame, limits), body).map(V2::Challenge)
        }
        id::AUTHENTICATE => {
            whole("AUTHENTICATE", Authenticate::read(frame), body).map(V2::Authenticate)
        }
        id::OK => {
            let fields = (proof("OK.proof"), number4("OK.seconds"));
            let (proof, seconds) = whole("OK", fields, body)?;
            Ok(V2::Ok { proof, seconds })
        }
        id::NOPE => whole("NOPE", Nope::read(frame), body).map(V2::Nope),
        id::STOP => whole("STOP", proof("STOP.proof"), body).map(|proof| V2::Stop { proof }),
        id::GET_ENDPOINTS => {
            let nothing = nom::combinator::success(V2::GetEndpoints);
            whole("GET-ENDPOINTS", nothing, body)
        }
        id::LIST_ENDPOINTS => {
            const FIELD: &str = "LIST-ENDPOINTS.contacts";
            let contact = Contact::read(frame);
            let contacts = list(FIELD, limits.endpoints, Contact::LEAST, contact);
            let contacts = whole("LIST-ENDPOINTS", contacts, body)?;
            Ok(V2::ListEndpoints { contacts })
        }
        id::GET_ROSTER => {
            let fields = (number8("GET-ROSTER.epoch"), number8("GET-ROSTER.from"));
            let (epoch, from) = whole("GET-ROSTER", fields, body)?;
            Ok(V2::GetRoster { epoch, from })
        }
        id::ROSTER => whole("ROSTER", Roster::read(frame, limits), body).map(V2::Roster),
        id::ENTER => {
            let peer = Peer::read(frame, limits).map(Change::Enter);
            delta("ENTER", ["ENTER.epoch", "ENTER.number"], peer, body)
        }
        id::EXIT => {
            let who = uuid("EXIT.uuid").map(|uuid| Change::Exit { uuid });
            delta("EXIT", ["EXIT.epoch", "EXIT.number"], who, body)
        }
        id::JOIN => {
            let fields = (uuid("JOIN.uuid"), text("JOIN.group", frame));
            let join = fields.map(|(uuid, group)| Change::Join { uuid, group });
            delta("JOIN", ["JOIN.epoch", "JOIN.number"], join, body)
        }
        id::LEAVE => {
            let fields = (uuid("LEAVE.uuid"), text("LEAVE.group", frame));
            let leave = fields.map(|(uuid, group)| Change::Leave { uuid, group });
            delta("LEAVE", ["LEAVE.epoch", "LEAVE.number"], leave, body)
        }
        id::REMOTE_WHISPER => {
            whole("REMOTE-WHISPER", RemoteWhisper::read, body).map(V2::RemoteWhisper)
        }
        id::REMOTE_SHOUT => {
            whole("REMOTE-SHOUT", RemoteShout::read(frame, limits), body).map(V2::RemoteShout)
        }
        id::REMOTE_AGAIN => {
            whole("REMOTE-AGAIN", RemoteAgain::read(limits), body).map(V2::RemoteAgain)
        }
        id::RELAY => whole("RELAY", uuid("RELAY.uuid"), body).map(|uuid| V2::Relay { uuid }),
        id::TICKET => whole("TICKET", Invitation::read(frame), body).map(V2::Ticket),
        // UNDELIVERABLE: all others are unknown.
        _ => whole("UNDELIVERABLE", Undeliverable::read(frame), body).map(V2::Undeliverable),
    }
}

/// Reads a change of a roster, which `name` is.
fn delta<'a>(
    name: &'static str,
    [epoch, number]: [&'static str; 2],
    change: impl Parser<&'a [u8], Output = Change, Error = Malformed>,
    body: &'a [u8],
) -> Result<V2, Malformed> {
    let fields = (number8(epoch), number8(number), change);
    let (epoch, number, change) = whole(name, fields, body)?;
    Ok(V2::Delta(Delta {
        epoch,
        number,
        change,
    }))
}
