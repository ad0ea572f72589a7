//! The greeting: who speaks which version and wants which mechanism.

use core::fmt;

use bytes::BufMut;

use super::Decoded;
use crate::wire::{Expected, Found, Malformed, primitive::wide};

/// The first 64 octets of a connection, in each direction (RFC 37 "Version Negotiation").
///
/// The padding within the signature, `as-server` and the filler mean nothing and are not looked at: C peers put the
/// length of their identity into the padding, and never set `as-server`.
///
/// ```
/// use atonce::wire::zmtp::{Decoded, Greeting, MechanismName, Version};
///
/// let greeting = Greeting::new(MechanismName::NULL);
/// let octets = greeting.encode();
/// assert_eq!(octets[..12], [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1]);
/// assert_eq!(Greeting::decode(&octets)?, Decoded::Complete { value: greeting, octets: 64 });
/// # Ok::<(), atonce::wire::zmtp::GreetingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The version that the sender speaks.
    pub version: Version,
    /// The one mechanism that the sender wants.
    pub mechanism: MechanismName,
    /// Whether the sender is the server of the mechanism's handshake. Many peers never say so.
    pub as_server: bool,
}

/// A version of the protocol from 3.0 on. A higher one is spoken to as 3.1.
///
/// ```
/// use atonce::wire::zmtp::Version;
///
/// assert!(Version::V3_0 < Version::V3_1);
/// assert_eq!(Version::new(2, 0), None);
/// assert_eq!(Version::V3_1.to_string(), "3.1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    /// Without heartbeats.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// What this crate speaks.
    pub const V3_1: Self = Self { major: 3, minor: 1 };

    /// `None` for versions before 3.0: their greeting has another form.
    pub const fn new(major: u8, minor: u8) -> Option<Self> {
        if major < Self::V3_0.major {
            return None;
        }
        Some(Self { major, minor })
    }

    /// The 3 of 3.1.
    pub const fn major(self) -> u8 {
        self.major
    }

    /// The 1 of 3.1.
    pub const fn minor(self) -> u8 {
        self.minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The name of a mechanism: 20 octets, filled up with zeros. Two are the same when all 20 octets are.
///
/// ```
/// use atonce::wire::zmtp::MechanismName;
///
/// assert_eq!(MechanismName::new("NULL"), Some(MechanismName::NULL));
/// assert_eq!(MechanismName::new("A-NAME-OF-21-OCTETS-X"), None);
/// assert_eq!(MechanismName::CURVE.to_string(), "CURVE");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MechanismName([u8; Self::OCTETS]);

impl MechanismName {
    /// The octets of a name on the wire.
    pub const OCTETS: usize = 20;
    /// No security.
    pub const NULL: Self = Self::padded(b"NULL");
    /// A user name and a password, in clear.
    pub const PLAIN: Self = Self::padded(b"PLAIN");
    /// Elliptic curves.
    pub const CURVE: Self = Self::padded(b"CURVE");

    /// The mechanism of this name; `None` when it is longer than 20 octets.
    pub const fn new(name: &str) -> Option<Self> {
        if name.len() > Self::OCTETS {
            return None;
        }
        Some(Self::padded(name.as_bytes()))
    }

    /// The mechanism with these octets on the wire.
    pub const fn from_bytes(octets: [u8; Self::OCTETS]) -> Self {
        Self(octets)
    }

    /// The octets on the wire.
    pub const fn as_bytes(&self) -> &[u8; Self::OCTETS] {
        &self.0
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "both indices are below the lengths"
    )]
    const fn padded(name: &[u8]) -> Self {
        let mut octets = [0; Self::OCTETS];
        let mut at = 0;
        while at < name.len() && at < Self::OCTETS {
            octets[at] = name[at];
            at += 1;
        }
        Self(octets)
    }
}

impl fmt::Display for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().rposition(|octet| *octet != 0);
        let name = self.0.get(..end.map_or(0, |last| last + 1));
        write!(f, "{}", name.unwrap_or(&self.0).escape_ascii())
    }
}

impl fmt::Debug for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A revision of the protocol that this crate does not speak.
///
/// ```
/// use atonce::wire::zmtp::Revision;
///
/// assert_eq!(Revision::Major(1).to_string(), "revision 1 of ZMTP");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// ZMTP 1.0, which had no versions; or no ZMTP at all.
    Unversioned,
    /// What stands in place of the major version: 0, 1 or 2 (ZMTP 2.0 says 1).
    Major(u8),
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unversioned => f.write_str("ZMTP without versions, or no ZMTP"),
            Self::Major(major) => write!(f, "revision {major} of ZMTP"),
        }
    }
}

/// Why octets are not a greeting. Nothing was changed by the attempt to read them.
///
/// ```
/// use atonce::wire::zmtp::{Greeting, GreetingError, Revision};
///
/// let error = GreetingError::Outdated(Revision::Unversioned);
/// assert_eq!(Greeting::decode(b"GET / HTTP/1.1"), Err(error));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// It is not one of any version.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is one of an older revision, told apart as RFC 37 "Backwards Interoperability" has it.
    #[error("the peer speaks {0}")]
    Outdated(Revision),
}

impl Greeting {
    /// The octets of a greeting.
    pub const OCTETS: usize = 64;
    const SIGNATURE_BEGIN: u8 = 0xff;
    const SIGNATURE_END: u8 = 0x7f;
    const PADDING: usize = 8;
    const FILLER: usize = 31;

    /// The greeting of this crate: version 3.1, not as server, the padding zero.
    pub const fn new(mechanism: MechanismName) -> Self {
        Self {
            // ZMTP-1
            version: Version::V3_1,
            mechanism,
            as_server: false,
        }
    }

    /// The 64 octets.
    pub fn encode(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        let mut out = octets.as_mut_slice();
        out.put_u8(Self::SIGNATURE_BEGIN);
        out.put_bytes(0, Self::PADDING);
        out.put_u8(Self::SIGNATURE_END);
        out.put_u8(self.version.major);
        out.put_u8(self.version.minor);
        out.put_slice(self.mechanism.as_bytes());
        out.put_u8(u8::from(self.as_server));
        out.put_bytes(0, Self::FILLER);
        octets
    }

    /// Reads a greeting from the beginning of `stream`.
    ///
    /// # Errors
    ///
    /// As soon as the octets that are there tell: the signature by its first and tenth octet, an older revision by
    /// the first, tenth or eleventh. A peer of such a revision never sends 64 octets.
    pub fn decode(stream: &[u8]) -> Result<Decoded<Self>, GreetingError> {
        match stream.first() {
            None | Some(&Self::SIGNATURE_BEGIN) => {}
            // ZMTP-4
            Some(_) => return Err(GreetingError::Outdated(Revision::Unversioned)),
        }
        // ZMTP-2
        let after_padding = stream.get(1 + Self::PADDING..).unwrap_or_default();
        match after_padding.first() {
            None | Some(&Self::SIGNATURE_END) => {}
            // The flags of a frame of ZMTP 1.0: its first bit is MORE.
            // ZMTP-4
            Some(flags) if flags & 1 == 0 => {
                return Err(GreetingError::Outdated(Revision::Unversioned));
            }
            // ZMTP-5
            Some(&other) => {
                return Err(GreetingError::Malformed(Malformed::new(
                    "greeting.signature",
                    Expected::Value(Self::SIGNATURE_END.into()),
                    Found::Value(other.into()),
                )));
            }
        }
        let after_signature = after_padding.get(1..).unwrap_or_default();
        if let Some(&major) = after_signature.first()
            && major < Version::V3_0.major
        {
            // ZMTP-3, ZMTP-4
            return Err(GreetingError::Outdated(Revision::Major(major)));
        }
        let ([major, minor, rest @ ..], true) = (after_signature, stream.len() >= Self::OCTETS)
        else {
            return Ok(Decoded::Partial {
                lacking: Self::OCTETS.saturating_sub(stream.len()),
            });
        };
        let Some((mechanism, [as_server, ..])) = rest.split_first_chunk() else {
            return Err(GreetingError::Malformed(Malformed::new(
                "greeting",
                Expected::Octets(wide(Self::OCTETS)),
                Found::Octets(wide(stream.len())),
            )));
        };
        Ok(Decoded::Complete {
            value: Self {
                version: Version {
                    major: *major,
                    minor: *minor,
                },
                mechanism: MechanismName(*mechanism),
                as_server: *as_server != 0,
            },
            octets: Self::OCTETS,
        })
    }
}
