//! What a server asks an authentication handler, and what that answers: ZAP 1.0
//! ([RFC 27](https://rfc.zeromq.org/spec/27/)).
//!
//! Both are messages of several frames, which go over a REQ or DEALER of the server to a REP or ROUTER of the handler. They
//! stand here from the empty frame on that ends the envelope, as a DEALER sends and gets them.
//!
//! ```
//! use atonce::wire::zap::{Credentials, Domain, Outcome, Reply, Request};
//!
//! let request = Request {
//!     request_id: "7".into(),
//!     domain: Domain::try_from("global")?,
//!     address: [10, 0, 0, 7].into(),
//!     identity: Default::default(),
//!     credentials: Credentials::Curve([1; 32]),
//! };
//! let frames = request.encode();
//! assert_eq!(frames[1..7], ["1.0", "7", "global", "10.0.0.7", "", "CURVE"]);
//! assert_eq!(Request::decode(&frames)?, request);
//!
//! // The handler does not know that key.
//! let reply = Reply {
//!     request_id: request.request_id,
//!     text: "Unknown key".try_into()?,
//!     outcome: Outcome::Refused,
//! };
//! assert_eq!(reply.encode()[3], "400");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::string::ToString;
use core::fmt;
use core::net::IpAddr;
use core::str::{self, FromStr};

use bytes::Bytes;

use super::primitive::wide;
use super::zmtp::{Identity, Metadata};
use super::{Expected, Found, Frames, Malformed, Text};

const VERSION: &[u8] = b"1.0";

/// Whether somebody may come in?
///
/// [The module](self) has an example.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// What the reply is told by. Any octets.
    pub request_id: Bytes,
    /// Among whom the handler is to look.
    pub domain: Domain,
    /// Where the client dials from.
    pub address: IpAddr,
    /// The name under which a ROUTER knows the client; empty when it has none, or it is not known yet.
    pub identity: Identity,
    /// What the client says or proves.
    pub credentials: Credentials,
}

/// What a client says or proves about itself, by the mechanism of its connection.
///
/// ```
/// use atonce::wire::zap::Credentials;
///
/// let credentials = Credentials::Plain { username: "admin".try_into()?, password: "secret".try_into()? };
/// assert_eq!(credentials.mechanism(), "PLAIN");
/// assert!(!format!("{credentials:?}").contains("secret"));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing.
    Null,
    /// A name and a password.
    Plain {
        /// Who it says it is.
        username: Text,
        /// What is to prove it.
        password: Text,
    },
    /// It proved to have the secret key of this public one.
    Curve([u8; 32]),
}

/// The part of a handler's business that a request is about: 1 to 255 characters of ASCII, none of which is a control character.
/// What it means is between the server and its handler; libzyre says `global` unless it is told otherwise.
///
/// ```
/// use atonce::wire::zap::Domain;
///
/// assert_eq!(Domain::try_from("global")?.as_str(), "global");
/// assert!(Domain::try_from("").is_err());
/// # Ok::<(), atonce::wire::zap::InvalidDomain>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Text);

/// What was given is no domain. Nothing was changed.
///
/// ```
/// use atonce::wire::zap::{Domain, InvalidDomain};
///
/// assert_eq!(Domain::try_from("Köln"), Err(InvalidDomain));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a domain of ZAP has 1 to 255 characters, all of them visible ASCII or spaces")]
pub struct InvalidDomain;

/// The answer to a request.
///
/// ```
/// use atonce::wire::zap::{Outcome, Reply};
/// use atonce::wire::zmtp::Metadata;
///
/// let reply = Reply {
///     request_id: "7".into(),
///     text: "OK".try_into()?,
///     outcome: Outcome::Allowed { user_id: "joe".try_into()?, metadata: Metadata::new() },
/// };
/// let frames = reply.encode();
/// assert_eq!(frames[..], ["", "1.0", "7", "200", "OK", "joe", ""]);
/// assert_eq!(Reply::decode(&frames)?, reply);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    /// That of the request.
    pub request_id: Bytes,
    /// The outcome in words, for people; may be empty.
    pub text: Text,
    /// What the handler decided.
    pub outcome: Outcome,
}

/// What a handler decided.
///
/// ```
/// use atonce::wire::zap::Outcome;
///
/// assert_eq!(Outcome::Temporary.code(), "300");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// 200: the client may come in.
    Allowed {
        /// As whom the application may know it; may be empty.
        user_id: Text,
        /// What else is to be known of it.
        metadata: Metadata,
    },
    /// 300: not now. It may ask again.
    Temporary,
    /// 400: it may not.
    Refused,
    /// 500: the handler failed.
    Internal,
}

impl Request {
    /// The message, from the empty frame on.
    // ZAP-1
    pub fn encode(&self) -> Frames {
        let mut frames = Frames::from_iter([
            Bytes::new(),
            Bytes::from_static(VERSION),
            self.request_id.clone(),
            Bytes::copy_from_slice(self.domain.as_str().as_bytes()),
            // ZAP-3
            self.address.to_string().into(),
            self.identity.clone().into(),
            self.credentials.mechanism().into(),
        ]);
        // ZAP-4
        match &self.credentials {
            Credentials::Null => {}
            Credentials::Plain { username, password } => {
                frames.push(Bytes::copy_from_slice(username.as_bytes()));
                frames.push(Bytes::copy_from_slice(password.as_bytes()));
            }
            Credentials::Curve(key) => frames.push(Bytes::copy_from_slice(key)),
        }
        frames
    }

    /// Reads a message, all of it, from the empty frame on. What it has keeps the memory of the frames alive.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the first frame that is wrong, also when the mechanism is none of those of [`Credentials`].
    pub fn decode(frames: &[Bytes]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(frames);
        let request_id = fields.start()?;
        let domain = fields.next("request.domain")?;
        let domain = text("request.domain", domain)?;
        // ZAP-2
        let domain = Domain::try_from(domain).map_err(|InvalidDomain| {
            wrong("request.domain", "1 or more characters of ASCII", "others")
        })?;
        let address = fields.next("request.address")?;
        let address = str::from_utf8(address).ok();
        // ZAP-3
        let address = address
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong("request.address", "an IP address", "something else"))?;
        // ZAP-5
        let identity = Identity::try_from(fields.next("request.identity")?.clone());
        let identity = identity.map_err(|_| {
            wrong(
                "request.identity",
                "at most 255 octets, the first of which is not 0",
                "others",
            )
        })?;
        // ZAP-4
        let credentials = match &fields.next("request.mechanism")?[..] {
            b"NULL" => Credentials::Null,
            b"PLAIN" => Credentials::Plain {
                username: text("request.username", fields.next("request.username")?)?,
                password: text("request.password", fields.next("request.password")?)?,
            },
            b"CURVE" => {
                let key = fields.next("request.key")?;
                Credentials::Curve(key[..].try_into().map_err(|_| {
                    Malformed::new(
                        "request.key",
                        Expected::Octets(32),
                        Found::Octets(wide(key.len())),
                    )
                })?)
            }
            _ => {
                return Err(wrong(
                    "request.mechanism",
                    "NULL, PLAIN or CURVE",
                    "another",
                ));
            }
        };
        fields.end("request")?;
        Ok(Self {
            request_id,
            domain,
            address,
            identity,
            credentials,
        })
    }
}

impl Reply {
    /// The message, from the empty frame on.
    pub fn encode(&self) -> Frames {
        let (user_id, metadata): (&[u8], &[u8]) = match &self.outcome {
            Outcome::Allowed { user_id, metadata } => (user_id.as_bytes(), metadata.as_bytes()),
            // ZAP-12
            _ => (&[], &[]),
        };
        // ZAP-10
        Frames::from_iter([
            Bytes::new(),
            Bytes::from_static(VERSION),
            self.request_id.clone(),
            self.outcome.code().into(),
            Bytes::copy_from_slice(self.text.as_bytes()),
            Bytes::copy_from_slice(user_id),
            Bytes::copy_from_slice(metadata),
        ])
    }

    /// Reads a message, all of it, from the empty frame on. What it has keeps the memory of the frames alive.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the first frame that is wrong.
    pub fn decode(frames: &[Bytes]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(frames);
        let request_id = fields.start()?;
        let status = fields.next("reply.status")?;
        let reason = text("reply.text", fields.next("reply.text")?)?;
        let user_id = fields.next("reply.user-id")?;
        let metadata = fields.next("reply.metadata")?;
        // ZAP-10
        fields.end("reply")?;
        // ZAP-11
        let outcome = match &status[..] {
            b"200" => Outcome::Allowed {
                user_id: text("reply.user-id", user_id)?,
                metadata: Metadata::decode(metadata)?,
            },
            // ZAP-12
            b"300" => Outcome::Temporary,
            b"400" => Outcome::Refused,
            b"500" => Outcome::Internal,
            _ => {
                return Err(wrong(
                    "reply.status",
                    "200, 300, 400 or 500",
                    "something else",
                ));
            }
        };
        Ok(Self {
            request_id,
            text: reason,
            outcome,
        })
    }
}

impl Credentials {
    /// The name of the mechanism.
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Plain { .. } => "PLAIN",
            Self::Curve(_) => "CURVE",
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Plain { username, .. } => f
                .debug_struct("Plain")
                .field("username", username)
                .finish_non_exhaustive(),
            Self::Curve(key) => f.debug_tuple("Curve").field(key).finish(),
        }
    }
}

impl Outcome {
    /// The status code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Allowed { .. } => "200",
            Self::Temporary => "300",
            Self::Refused => "400",
            Self::Internal => "500",
        }
    }
}

impl Domain {
    /// The characters.
    pub fn as_str(&self) -> &str {
        // It was checked that they are ASCII.
        str::from_utf8(self.0.as_bytes()).unwrap_or_default()
    }
}

impl TryFrom<Text> for Domain {
    type Error = InvalidDomain;

    fn try_from(text: Text) -> Result<Self, InvalidDomain> {
        let is_printable = |octet: &u8| matches!(octet, b' '..=b'~');
        if text.is_empty() || !text.as_bytes().iter().all(is_printable) {
            return Err(InvalidDomain);
        }
        Ok(Self(text))
    }
}

impl TryFrom<&str> for Domain {
    type Error = InvalidDomain;

    fn try_from(text: &str) -> Result<Self, InvalidDomain> {
        Text::try_from(text).map_err(|_| InvalidDomain)?.try_into()
    }
}

impl FromStr for Domain {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        Self::try_from(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The frames of a message, one field each.
struct Fields<'a>(&'a [Bytes]);

impl<'a> Fields<'a> {
    const fn new(frames: &'a [Bytes]) -> Self {
        Self(frames)
    }

    fn next(&mut self, field: &'static str) -> Result<&'a Bytes, Malformed> {
        let Some((frame, rest)) = self.0.split_first() else {
            return Err(wrong(field, "a frame", "the end of the message"));
        };
        self.0 = rest;
        Ok(frame)
    }

    /// What both begin with; the request id.
    // ZAP-1
    fn start(&mut self) -> Result<Bytes, Malformed> {
        let delimiter = self.next("delimiter")?;
        if !delimiter.is_empty() {
            let found = Found::Octets(wide(delimiter.len()));
            return Err(Malformed::new("delimiter", Expected::Octets(0), found));
        }
        if self.next("version")? != VERSION {
            return Err(wrong("version", "\"1.0\"", "another"));
        }
        Ok(self.next("request-id")?.clone())
    }

    fn end(&self, message: &'static str) -> Result<(), Malformed> {
        match self.0 {
            [] => Ok(()),
            [frame, ..] => Err(Malformed::new(
                message,
                Expected::End,
                Found::Octets(wide(frame.len())),
            )),
        }
    }
}

/// A string field.
// ZAP-2
fn text(field: &'static str, frame: &Bytes) -> Result<Text, Malformed> {
    Text::try_from(frame.clone()).map_err(|error| {
        Malformed::new(
            field,
            Expected::AtMost(wide(error.limit)),
            Found::Value(wide(error.octets)),
        )
    })
}

const fn wrong(field: &'static str, expected: &'static str, found: &'static str) -> Malformed {
    Malformed::new(field, Expected::What(expected), Found::What(found))
}

#[cfg(test)]
mod tests;
