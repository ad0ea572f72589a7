//! The way over a relay: RELAY, TICKET, and what a link to a relay begins with.

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes};
use nom::Parser;
use subtle::ConstantTimeEq;

use super::fields::{SECRET_OCTETS, UUID_OCTETS, put_text, put_uuid, text, text_len, uuid};
use super::{SIGNATURE, v2};
use crate::PeerId;
use crate::wire::primitive::{Parsed, array, number1, refused};
use crate::wire::{Expected, Found, Malformed, Text};

/// What lets a link in at a relay: 32 octets that nobody could have foreseen, good for one link. They are compared in constant
/// time, and are not shown.
///
/// ```
/// use atonce::wire::once::Ticket;
///
/// let ticket = Ticket::from_bytes([7; 32]);
/// assert_ne!(ticket, Ticket::from_bytes([8; 32]));
/// assert_eq!(format!("{ticket:?}"), "Ticket(..)");
/// ```
#[derive(Clone, Copy)]
pub struct Ticket([u8; 32]);

impl Ticket {
    /// The ticket with these octets.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets, as they stand in a message.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        // ONCE-121: how far a guess is right is not to be measured.
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Ticket {}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ONCE-121
        f.write_str("Ticket(..)")
    }
}

/// What somebody is on a link that goes over a relay, to which both of them dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelayRole {
    /// It does what who dials does: it speaks first, and as a client of CURVE.
    Dial,
    /// It does what who is dialled does.
    Accept,
}

/// How to come to somebody over a relay: the fields of TICKET.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::once::{Invitation, RelayRole, Ticket, V2};
///
/// let ticket = V2::Ticket(Invitation {
///     uuid: PeerId::from_bytes([1; 16]),
///     role: RelayRole::Dial,
///     endpoint: "tcp://*:5673".try_into()?,
///     ticket: Ticket::from_bytes([7; 32]),
/// });
/// assert_eq!((ticket.id(), ticket.name()), (0x51, "TICKET"));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Who will be at the other end.
    pub uuid: PeerId,
    /// What the receiver is to be on that link.
    pub role: RelayRole,
    /// Where the relay is. The host `*` is the address at which the server itself was reached. Nothing is made of the text here.
    pub endpoint: Text,
    /// What is to be said there, in a [`Prelude`].
    pub ticket: Ticket,
}

impl RelayRole {
    const DIAL: u8 = 0;
    const ACCEPT: u8 = 1;

    fn read(input: &[u8]) -> Parsed<'_, Self> {
        const FIELD: &str = "TICKET.role";
        match number1(FIELD)(input)? {
            (input, Self::DIAL) => Ok((input, Self::Dial)),
            (input, Self::ACCEPT) => Ok((input, Self::Accept)),
            // ONCE-7
            (_, other) => refused(Malformed::new(
                FIELD,
                Expected::AtMost(Self::ACCEPT.into()),
                Found::Value(other.into()),
            )),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Dial => Self::DIAL,
            Self::Accept => Self::ACCEPT,
        }
    }
}

impl Invitation {
    pub(super) fn read<'a>(frame: &'a Bytes) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        move |input| {
            (
                uuid("TICKET.uuid"),
                RelayRole::read,
                text("TICKET.endpoint", frame),
                array("TICKET.ticket").map(Ticket),
            )
                .map(|(uuid, role, endpoint, ticket)| Self {
                    uuid,
                    role,
                    endpoint,
                    ticket,
                })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        UUID_OCTETS + size_of::<u8>() + text_len(&self.endpoint) + SECRET_OCTETS
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_uuid(out, &self.uuid);
        out.put_u8(self.role.number());
        put_text(out, &self.endpoint);
        out.put_slice(self.ticket.as_bytes());
    }
}

/// The first octets of a link to a relay. They are no message: what follows is none of the relay's business.
///
/// ```
/// use atonce::wire::once::{Prelude, Ticket};
///
/// let octets = Prelude { ticket: Ticket::from_bytes([7; 32]) }.encode();
/// assert_eq!(octets[..4], *b"\xAA\xA2\x53\x02");
/// // They may come in pieces, and with what follows.
/// assert_eq!(Prelude::read(&octets[..9])?, None);
/// let with_more = [&octets[..], b"more"].concat();
/// assert!(Prelude::read(&with_more)?.is_some_and(|prelude| prelude.ticket.as_bytes() == &[7; 32]));
/// // Who says something else is found out at once.
/// assert!(Prelude::read(b"GET /").is_err());
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prelude {
    /// The ticket of this end of the link.
    pub ticket: Ticket,
}

impl Prelude {
    /// The octets of one.
    pub const OCTETS: usize = super::PREFIX_OCTETS + SECRET_OCTETS;

    /// In the place of an id; no message has it.
    const ID: u8 = 0x53;

    /// Signature, id and version.
    const fn prefix() -> [u8; super::PREFIX_OCTETS] {
        let [a, b] = SIGNATURE.to_be_bytes();
        [a, b, Self::ID, v2::VERSION]
    }

    /// Reads one, which takes the first [`OCTETS`](Self::OCTETS) of `octets`; `None` when more has to come first. Whatever
    /// follows is not looked at.
    ///
    /// # Errors
    ///
    /// [`Malformed`] as soon as an octet of signature, id or version is another.
    pub fn read(octets: &[u8]) -> Result<Option<Self>, Malformed> {
        // ONCE-120
        const FIELDS: [&str; super::PREFIX_OCTETS] = ["signature", "signature", "id", "version"];
        for ((expected, &found), field) in Self::prefix().into_iter().zip(octets).zip(FIELDS) {
            if found != expected {
                let expected = Expected::Value(expected.into());
                return Err(Malformed::new(field, expected, Found::Value(found.into())));
            }
        }
        let ticket = octets
            .get(super::PREFIX_OCTETS..)
            .and_then(|rest| rest.first_chunk());
        Ok(ticket.map(|ticket| Self {
            ticket: Ticket(*ticket),
        }))
    }

    /// The octets, which are the first that are sent.
    pub fn encode(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        let all = Self::prefix().into_iter().chain(self.ticket.0);
        for (place, octet) in octets.iter_mut().zip(all) {
            *place = octet;
        }
        octets
    }
}
