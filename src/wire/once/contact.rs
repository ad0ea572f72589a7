//! Where others are: the entries of LIST-ENDPOINTS.

use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::fields::{
    COUNT_OCTETS, FLAG_OCTETS, UUID_OCTETS, key_len, option, put_key, put_text, put_uuid, text,
    text_len, uuid,
};
use crate::PeerId;
use crate::wire::primitive::{Parsed, array, number1, number2, refused};
use crate::wire::{Expected, Found, Malformed, Text};

/// Somebody whom the asker may want to meet.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::once::{Address, Contact};
///
/// let contact = Contact {
///     uuid: PeerId::from_bytes([1; 16]),
///     name: "office".try_into()?,
///     endpoint: "tcp://192.0.2.7:49152".try_into()?,
///     beacon: Some(Address { ip: [192, 0, 2, 7].into(), port: 5671 }),
///     key: None,
/// };
/// assert!(contact.beacon.is_some_and(|beacon| beacon.port == 5671));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Who it is.
    pub uuid: PeerId,
    /// Its public name.
    pub name: Text,
    /// Where its mailbox is; see [`Endpoint`](crate::endpoint::Endpoint). It is what that peer says of itself: nothing is made
    /// of the text here, so that one that is no endpoint does not spoil the list.
    pub endpoint: Text,
    /// Where it hears beacons that are sent to it alone, if it does.
    pub beacon: Option<Address>,
    /// Its CURVE key, if it has one.
    pub key: Option<[u8; 32]>,
}

/// An address with a port. Neither is looked at here: any will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The machine.
    pub ip: IpAddr,
    /// The port, of UDP where it is for beacons.
    pub port: u16,
}

impl Contact {
    /// The least that one takes.
    pub(super) const LEAST: usize = UUID_OCTETS + 2 * COUNT_OCTETS + 2 * FLAG_OCTETS;

    pub(super) fn read<'a>(frame: &'a Bytes) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        move |input| {
            (
                uuid("contact.uuid"),
                text("contact.name", frame),
                text("contact.endpoint", frame),
                Address::read,
                option("contact.key", array("contact.key")),
            )
                .map(|(uuid, name, endpoint, beacon, key)| Self {
                    uuid,
                    name,
                    endpoint,
                    beacon,
                    key,
                })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        let beacon = match self.beacon.map(|address| address.ip) {
            None => 0,
            Some(IpAddr::V4(_)) => 4 + size_of::<u16>(),
            Some(IpAddr::V6(_)) => 16 + size_of::<u16>(),
        };
        UUID_OCTETS
            + text_len(&self.name)
            + text_len(&self.endpoint)
            + FLAG_OCTETS
            + beacon
            + key_len(self.key.as_ref())
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_uuid(out, &self.uuid);
        put_text(out, &self.name);
        put_text(out, &self.endpoint);
        match self.beacon.map(|address| address.ip) {
            None => out.put_u8(Address::NONE),
            Some(IpAddr::V4(ip)) => {
                out.put_u8(Address::V4);
                out.put_slice(&ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                out.put_u8(Address::V6);
                out.put_slice(&ip.octets());
            }
        }
        if let Some(address) = &self.beacon {
            out.put_u16(address.port);
        }
        put_key(out, self.key.as_ref());
    }
}

impl Address {
    const NONE: u8 = 0;
    const V4: u8 = 4;
    const V6: u8 = 6;

    fn read(input: &[u8]) -> Parsed<'_, Option<Self>> {
        const FIELD: &str = "contact.beacon";
        let (input, family) = number1(FIELD)(input)?;
        let (input, ip) = match family {
            Self::NONE => return Ok((input, None)),
            Self::V4 => array::<4>(FIELD).map(IpAddr::from).parse(input)?,
            Self::V6 => array::<16>(FIELD).map(IpAddr::from).parse(input)?,
            // ONCE-7
            other => {
                return refused(Malformed::new(
                    FIELD,
                    Expected::What("0, 4 or 6"),
                    Found::Value(other.into()),
                ));
            }
        };
        let (input, port) = number2(FIELD)(input)?;
        Ok((input, Some(Self { ip, port })))
    }
}
