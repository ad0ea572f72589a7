//! What a node says of itself in its HELLO.

use alloc::string::String;
use core::fmt::Write;
use core::num::NonZeroU16;

use crate::wire::{Headers, LongText, Text};

/// The header of a stand-in, with the identity of the bridge that the peer is at, as 32 hexadecimal digits.
pub const VIA: &str = "X-ONCE-VIA";

/// The header of servers and bridges.
const ROLE: &str = "X-ONCE";

/// What a node is for @Once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A server.
    Server,
    /// A bridge: its remote node, and its local one.
    Bridge,
}

/// The header `X-ONCE`: words with a space between. The first is the role.
///
/// ```
/// use atonce::once::{Role, Roles};
/// use atonce::wire::Headers;
///
/// let mut headers = Headers::new();
/// Roles { role: Role::Bridge, beacon: Some(5671), relay: false }.put(&mut headers);
/// assert!(headers.get("X-ONCE").is_some_and(|value| *value == "bridge beacon=5671"));
/// assert_eq!(Roles::of(&headers).and_then(|roles| roles.beacon), Some(5671));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Roles {
    /// `server` or `bridge`.
    pub role: Role,
    /// `beacon=PORT`: the UDP port at which it hears beacons that are sent to it alone. 0 is no port, and is not written.
    pub beacon: Option<u16>,
    /// `relay`: a server that carries links between bridges that cannot dial each other.
    pub relay: bool,
}

impl Roles {
    /// What the headers of a peer say; `None` when it is neither server nor bridge. Words that are not known are ignored, and
    /// so are ports that are none.
    pub fn of(headers: &Headers) -> Option<Self> {
        let header = headers.get(ROLE)?;
        let mut words = header.as_bytes().split(|octet| *octet == b' ');
        // ONCE-50
        let role = match words.next()? {
            b"server" => Role::Server,
            b"bridge" => Role::Bridge,
            _ => return None,
        };
        let mut roles = Self {
            role,
            beacon: None,
            relay: false,
        };
        for word in words {
            // ONCE-51
            if word == b"relay" {
                roles.relay = role == Role::Server;
            } else if let Some(port) = word.strip_prefix(b"beacon=") {
                roles.beacon = port_of(port);
            }
        }
        Some(roles)
    }

    /// Adds the header, in the place of one that is there.
    pub fn put(self, headers: &mut Headers) {
        let mut value = String::from(match self.role {
            Role::Server => "server",
            Role::Bridge => "bridge",
        });
        if self.relay && self.role == Role::Server {
            value.push_str(" relay");
        }
        if let Some(port) = self.beacon.filter(|port| *port != 0) {
            // Writing to a string does not fail.
            let _ = write!(value, " beacon={port}");
        }
        // Both are far below their limits.
        if let (Ok(name), Ok(value)) = (Text::try_from(ROLE), LongText::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

/// Digits alone: `parse` would take `+1` as well.
fn port_of(octets: &[u8]) -> Option<u16> {
    let digits = octets.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(octets).ok().filter(|_| digits)?;
    text.parse::<NonZeroU16>().ok().map(NonZeroU16::get)
}
