//! What a node says of itself in its HELLO.

use crate::wire::{Headers, LongText, Text};

/// The header of a stand-in, with the identity of the bridge that the peer is at, as 32 hexadecimal digits.
pub const VIA: &str = "X-ONCE-VIA";

/// The header of servers and bridges.
const ROLE: &str = "X-ONCE";

/// What a node is for @Once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server.
    Server,
    /// A bridge: its remote node, and its local one.
    Bridge,
}

/// The header `X-ONCE`: words with a space between. The first is the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// `server` or `bridge`.
    pub role: Role,
    /// `beacon=PORT`: the UDP port at which it hears beacons that are sent to it alone.
    pub beacon: Option<u16>,
    /// `relay`: a server that carries links between bridges that cannot dial each other.
    pub relay: bool,
}

impl Roles {
    /// What the headers of a peer say; `None` when it is neither server nor bridge. Words that are not known are ignored.
    pub fn of(headers: &Headers) -> Option<Self> {
        let _ = headers;
        None
    }

    /// Adds the header.
    pub fn put(self, headers: &mut Headers) {
        let _ = (self, headers, Text::default(), LongText::default(), ROLE);
    }
}
