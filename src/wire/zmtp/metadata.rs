//! Properties of a connection: what a peer tells about itself.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::primitive::{Parsed, number1, number4, octets, wide};
use crate::wire::{Expected, Found, Malformed};

/// A list of properties: names with values (RFC 37 "Connection Metadata").
///
/// It is kept as the octets that stand on the wire, which were checked: however many properties a peer sends, they
/// cost their octets and no more. Names match in either case. When a name is there twice, the first one counts.
/// Cloning shares the octets.
///
/// ```
/// use atonce::wire::zmtp::Metadata;
///
/// let metadata = Metadata::new()
///     .with(Metadata::SOCKET_TYPE, b"DEALER")?
///     .with("X-Colour", b"green")?;
/// assert_eq!(metadata.get("x-colour"), Some(b"green".as_slice()));
/// assert_eq!(metadata.iter().count(), 2);
/// # Ok::<(), atonce::wire::zmtp::InvalidProperty>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Metadata(Bytes);

/// A property that the grammar does not have: the name is empty or longer than 255 octets, or the value is longer
/// than 2³¹−1 octets. Nothing was changed.
///
/// ```
/// use atonce::wire::zmtp::{InvalidProperty, Metadata};
///
/// assert_eq!(Metadata::new().with("", b"value"), Err(InvalidProperty));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a property's name has 1 to 255 octets and its value less than 2^31")]
pub struct InvalidProperty;

impl Metadata {
    /// The name of the property with the sender's socket type, in the case that C peers insist on.
    pub const SOCKET_TYPE: &str = "Socket-Type";
    /// The name of the property with the sender's identity.
    pub const IDENTITY: &str = "Identity";
    /// The longest value, in octets.
    pub const VALUE_LIMIT: u32 = u32::MAX >> 1;

    /// No properties.
    pub const fn new() -> Self {
        Self(Bytes::new())
    }

    /// The same and one more.
    ///
    /// # Errors
    ///
    /// The name or the value does not fit the grammar.
    pub fn with(self, name: &str, value: &[u8]) -> Result<Self, InvalidProperty> {
        let name_len = u8::try_from(name.len()).map_err(|_| InvalidProperty)?;
        let value_len = u32::try_from(value.len()).map_err(|_| InvalidProperty)?;
        if name_len == 0 || value_len > Self::VALUE_LIMIT {
            return Err(InvalidProperty);
        }
        let mut octets = BytesMut::from(self.0);
        octets.reserve(1 + name.len() + 4 + value.len());
        octets.put_u8(name_len);
        octets.put_slice(name.as_bytes());
        octets.put_u32(value_len);
        octets.put_slice(value);
        Ok(Self(octets.freeze()))
    }

    /// The value of the first property of this name, in whichever case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            // ZMTP-24
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Names and values, in the order of the wire.
    pub fn iter(&self) -> Properties<'_> {
        Properties { rest: &self.0 }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they stand on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads properties up to the end of `input`, which bounds what they may cost.
    ///
    /// # Errors
    ///
    /// A name of no octets, a value of more than 2³¹−1, or octets that lack.
    pub fn decode(input: &[u8]) -> Result<Self, Malformed> {
        let mut rest = input;
        // ZMTP-23
        while !rest.is_empty() {
            (rest, _) = match property(rest) {
                Ok(parsed) => parsed,
                Err(nom::Err::Error(error) | nom::Err::Failure(error)) => return Err(error),
                // Only parsers of streams say so; there are none here.
                Err(nom::Err::Incomplete(_)) => {
                    return Err(Malformed::new(
                        "metadata",
                        Expected::Octets(wide(input.len()).saturating_add(1)),
                        Found::Octets(wide(input.len())),
                    ));
                }
            };
        }
        Ok(Self(Bytes::copy_from_slice(input)))
    }
}

fn property(input: &[u8]) -> Parsed<'_, (&[u8], &[u8])> {
    let (input, length) = number1("metadata.name")(input)?;
    if length == 0 {
        return Err(nom::Err::Failure(Malformed::new(
            "metadata.name",
            Expected::What("1 octet or more"),
            Found::Octets(0),
        )));
    }
    let (input, name) = octets("metadata.name", length.into())(input)?;
    let (input, length) = number4("metadata.value")(input)?;
    if length > Metadata::VALUE_LIMIT {
        return Err(nom::Err::Failure(Malformed::new(
            "metadata.value",
            Expected::AtMost(Metadata::VALUE_LIMIT.into()),
            Found::Value(length.into()),
        )));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (input, value) = octets("metadata.value", length)(input)?;
    Ok((input, (name, value)))
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Properties<'a>;

    fn into_iter(self) -> Properties<'a> {
        self.iter()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self
            .iter()
            .map(|(name, value)| (Escaped(name), Escaped(value)));
        f.debug_map().entries(entries).finish()
    }
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// The properties of a [`Metadata`]: names and values.
///
/// ```
/// use atonce::wire::zmtp::Metadata;
///
/// let metadata = Metadata::new().with("Identity", b"")?;
/// assert_eq!(metadata.iter().next(), Some((b"Identity".as_slice(), b"".as_slice())));
/// # Ok::<(), atonce::wire::zmtp::InvalidProperty>(())
/// ```
#[derive(Clone, Debug)]
pub struct Properties<'a> {
    /// Whole properties, checked when the metadata was made.
    rest: &'a [u8],
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (rest, property) = property(self.rest).ok()?;
        self.rest = rest;
        Some(property)
    }
}
