//! Version 1, as the seed prints it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::Limits;
use super::fields::{COUNT_OCTETS, list, list_len, put_list, put_text, text, text_len};
use crate::wire::primitive::whole;
use crate::wire::{Malformed, Text};

pub(super) const VERSION: u8 = 1;

mod id {
    pub(super) const GET_ENDPOINTS: u8 = 1;
    pub(super) const LIST_ENDPOINTS: u8 = 2;
}

/// Whether the seed has such a message.
// ONCE-21
pub(super) const fn is_known(id: u8) -> bool {
    matches!(id, id::GET_ENDPOINTS | id::LIST_ENDPOINTS)
}

/// A message of version 1: what the seed has, and no more.
///
/// ```
/// use atonce::wire::once::{Message, V1};
///
/// let list = V1::ListEndpoints { endpoints: vec!["10.0.0.7:5671".try_into()?] };
/// assert_eq!((list.id(), list.name()), (2, "LIST-ENDPOINTS"));
/// assert_eq!(Message::from(list).encode()[0], b"\xAA\xA2\x02\x01\0\0\0\x01\0\0\0\x0d10.0.0.7:5671"[..]);
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V1 {
    /// Who is there?
    GetEndpoints,
    /// Who is there.
    ListEndpoints {
        /// Addresses to which beacons can be sent, in the order in which they came. Nothing is made of their text here: one
        /// that is no address spoils no other.
        endpoints: Vec<Text>,
    },
}

impl V1 {
    /// Its id on the wire.
    pub const fn id(&self) -> u8 {
        match self {
            Self::GetEndpoints => id::GET_ENDPOINTS,
            Self::ListEndpoints { .. } => id::LIST_ENDPOINTS,
        }
    }

    /// Its name as the seed writes it, for people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GetEndpoints => "GET-ENDPOINTS",
            Self::ListEndpoints { .. } => "LIST-ENDPOINTS",
        }
    }

    pub(super) fn body_len(&self) -> usize {
        match self {
            Self::GetEndpoints => 0,
            Self::ListEndpoints { endpoints } => list_len(endpoints, text_len),
        }
    }

    pub(super) fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::GetEndpoints => {}
            Self::ListEndpoints { endpoints } => put_list(out, endpoints, put_text),
        }
    }
}

/// Reads what follows the prefix of a message whose id is known.
pub(super) fn decode(id: u8, frame: &Bytes, body: &[u8], limits: &Limits) -> Result<V1, Malformed> {
    // `body` lies in `frame`; one lifetime for both is what the parsers ask for.
    fn endpoints<'a>(
        frame: &'a Bytes,
        body: &'a [u8],
        most: usize,
    ) -> Result<Vec<Text>, Malformed> {
        let field = "LIST-ENDPOINTS.endpoints";
        let entries = list(field, most, COUNT_OCTETS, text(field, frame));
        whole("LIST-ENDPOINTS", entries, body)
    }
    // ONCE-20
    if id == id::LIST_ENDPOINTS {
        let endpoints = endpoints(frame, body, limits.endpoints)?;
        return Ok(V1::ListEndpoints { endpoints });
    }
    // ONCE-3
    whole("GET-ENDPOINTS", nom::combinator::success(()), body)?;
    Ok(V1::GetEndpoints)
}
