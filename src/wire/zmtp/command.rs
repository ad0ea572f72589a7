//! Commands: what the two ends of a connection say to each other.

use core::fmt;

use bytes::{BufMut, Bytes};

use super::Metadata;
use crate::wire::primitive::{array, number1, octets, put_string, string_len, whole, wide};
use crate::wire::{Expected, Found, Malformed, Text};

/// The body of a command frame (RFC 37 "Commands", "The NULL Security Mechanism", "Connection Heartbeating").
///
/// The commands of a mechanism of its own, like CURVE's HELLO, are [`Command::Other`]; what CURVE calls READY is
/// sealed and is for its mechanism to read.
///
/// ```
/// use atonce::wire::zmtp::{Command, Ping, PingContext};
///
/// let ping = Command::Ping(Ping { ttl: 30, context: PingContext::default() });
/// let mut body = Vec::new();
/// ping.encode(&mut body);
/// assert_eq!(body, b"\x04PING\x00\x1e");
/// assert_eq!(Command::decode(&body)?, ping);
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// The end of the NULL handshake: what the sender tells about itself.
    Ready(Metadata),
    /// The sender will not talk to us, and says why.
    Error(Text),
    /// Answer this, so that I know that you live.
    Ping(Ping),
    /// The answer to a PING, with its context.
    Pong(PingContext),
    /// Send me messages that begin like this.
    Subscribe(Bytes),
    /// Undo one such subscription.
    Cancel(Bytes),
    /// Another command.
    Other(OtherCommand),
}

/// A heartbeat.
///
/// ```
/// use atonce::wire::zmtp::Ping;
///
/// let ping = Ping::default();
/// assert_eq!(ping.ttl, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ping {
    /// When nothing more came from the sender for so long, in tenths of a second, it is dead. 0: nothing is said.
    pub ttl: u16,
    /// Comes back in the PONG.
    pub context: PingContext,
}

/// What a PING carries and its PONG echoes: 0 to 16 octets.
///
/// ```
/// use atonce::wire::zmtp::PingContext;
///
/// assert!(PingContext::new(b"abc").is_some_and(|context| context.as_bytes() == b"abc"));
/// assert_eq!(PingContext::new(&[0; 17]), None);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PingContext {
    /// Zeros from `len` on, so that equality is that of the octets that count.
    octets: [u8; Self::LIMIT],
    /// At most `LIMIT`.
    len: u8,
}

impl PingContext {
    /// The longest, in octets.
    pub const LIMIT: usize = 16;

    /// These octets; `None` when they are more than 16.
    pub fn new(context: &[u8]) -> Option<Self> {
        let mut octets = [0; Self::LIMIT];
        octets.get_mut(..context.len())?.copy_from_slice(context);
        let len = u8::try_from(context.len()).ok()?;
        Some(Self { octets, len })
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len.into()).unwrap_or_default()
    }

    fn decode(field: &'static str, data: &[u8]) -> Result<Self, Malformed> {
        Self::new(data).ok_or(Malformed::new(
            field,
            Expected::AtMost(wide(Self::LIMIT)),
            Found::Value(wide(data.len())),
        ))
    }
}

impl fmt::Debug for PingContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// A command that RFC 37 does not define, or whose content is not for the NULL mechanism.
///
/// ```
/// use atonce::wire::zmtp::{Command, OtherCommand};
///
/// let join = OtherCommand::new("JOIN", "group").ok_or("RFC 37 has this one")?;
/// assert_eq!(join.name(), b"JOIN");
/// assert_eq!(Command::decode(b"\x04JOINgroup")?, Command::Other(join));
/// assert_eq!(OtherCommand::new("PING", ""), None); // that is Command::Ping
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherCommand {
    /// 1 to 255 octets, none of the names in `known`.
    name: Text,
    data: Bytes,
}

impl OtherCommand {
    /// `None` when the name is empty or longer than 255 octets, or belongs to one of the other commands.
    pub fn new(name: impl TryInto<Text>, data: impl Into<Bytes>) -> Option<Self> {
        let name = name.try_into().ok()?;
        if name.is_empty() || name::KNOWN.contains(&name.as_bytes()) {
            return None;
        }
        Some(Self {
            name,
            data: data.into(),
        })
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// What follows the name.
    pub fn data(&self) -> &Bytes {
        &self.data
    }
}

mod name {
    pub(super) const READY: &[u8] = b"READY";
    pub(super) const ERROR: &[u8] = b"ERROR";
    pub(super) const PING: &[u8] = b"PING";
    pub(super) const PONG: &[u8] = b"PONG";
    pub(super) const SUBSCRIBE: &[u8] = b"SUBSCRIBE";
    pub(super) const CANCEL: &[u8] = b"CANCEL";
    pub(super) const KNOWN: [&[u8]; 6] = [READY, ERROR, PING, PONG, SUBSCRIBE, CANCEL];
}

impl Command {
    /// Splits the body of any command, of whichever mechanism, into its name and its data.
    ///
    /// # Errors
    ///
    /// A name of no octets, or one that goes beyond the end.
    pub fn split(body: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
        let Some((&length, rest)) = body.split_first() else {
            return Err(Malformed::new(
                "command.name",
                Expected::Octets(1),
                Found::Octets(0),
            ));
        };
        // ZMTP-20
        if length == 0 {
            return Err(Malformed::new(
                "command.name",
                Expected::What("1 octet or more"),
                Found::Octets(0),
            ));
        }
        rest.split_at_checked(length.into()).ok_or(Malformed::new(
            "command.name",
            Expected::Octets(length.into()),
            Found::Octets(wide(rest.len())),
        ))
    }

    /// Reads the body of a command frame.
    ///
    /// # Errors
    ///
    /// The name or the data do not follow the grammar; octets are left over after the reason of an ERROR.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (name, data) = Self::split(body)?;
        Ok(match name {
            name::READY => Self::Ready(Metadata::decode(data)?),
            name::ERROR => {
                let reason = |input| {
                    let (input, length) = number1("ERROR.reason")(input)?;
                    octets("ERROR.reason", length.into())(input)
                };
                // ZMTP-25
                Self::Error(text("ERROR.reason", whole("ERROR", reason, data)?)?)
            }
            name::PING => {
                let (data, ttl) = match array("PING.ttl")(data) {
                    Ok((data, ttl)) => (data, u16::from_be_bytes(ttl)),
                    Err(_) => {
                        return Err(Malformed::new(
                            "PING.ttl",
                            Expected::Octets(2),
                            Found::Octets(wide(data.len())),
                        ));
                    }
                };
                // ZMTP-26
                let context = PingContext::decode("PING.context", data)?;
                Self::Ping(Ping { ttl, context })
            }
            name::PONG => Self::Pong(PingContext::decode("PONG.context", data)?),
            name::SUBSCRIBE => Self::Subscribe(Bytes::copy_from_slice(data)),
            name::CANCEL => Self::Cancel(Bytes::copy_from_slice(data)),
            other => Self::Other(OtherCommand {
                name: text("command.name", other)?,
                data: Bytes::copy_from_slice(data),
            }),
        })
    }

    /// The octets that [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        let data = match self {
            Self::Ready(metadata) => metadata.as_bytes().len(),
            Self::Error(reason) => string_len(reason),
            Self::Ping(ping) => size_of::<u16>() + ping.context.as_bytes().len(),
            Self::Pong(context) => context.as_bytes().len(),
            Self::Subscribe(prefix) | Self::Cancel(prefix) => prefix.len(),
            Self::Other(other) => other.data.len(),
        };
        1 + self.name().len() + data
    }

    /// Appends the body, without the header of its frame.
    pub fn encode(&self, out: &mut impl BufMut) {
        let name = self.name();
        // At most 255: the longest name that a Text has.
        out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.put_slice(name);
        match self {
            Self::Ready(metadata) => out.put_slice(metadata.as_bytes()),
            Self::Error(reason) => put_string(out, reason),
            Self::Ping(ping) => {
                out.put_u16(ping.ttl);
                out.put_slice(ping.context.as_bytes());
            }
            Self::Pong(context) => out.put_slice(context.as_bytes()),
            Self::Subscribe(prefix) | Self::Cancel(prefix) => out.put_slice(prefix),
            Self::Other(other) => out.put_slice(&other.data),
        }
    }

    /// The name on the wire: `READY`.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Ready(_) => name::READY,
            Self::Error(_) => name::ERROR,
            Self::Ping(_) => name::PING,
            Self::Pong(_) => name::PONG,
            Self::Subscribe(_) => name::SUBSCRIBE,
            Self::Cancel(_) => name::CANCEL,
            Self::Other(other) => other.name(),
        }
    }
}

/// A string whose length was one octet and so fits; the error is for the sake of the type.
fn text(field: &'static str, octets: &[u8]) -> Result<Text, Malformed> {
    Text::try_from(octets).map_err(|error| {
        Malformed::new(
            field,
            Expected::AtMost(wide(error.limit)),
            Found::Value(wide(error.octets)),
        )
    })
}
