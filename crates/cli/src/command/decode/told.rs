//! What octets say, before it is written as words or as JSON.

use std::fmt;

use atonce::wire::{Headers, Malformed, Text};
use atonce::{Bytes, Frames, PeerId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::content;
use crate::escape::escaped;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    /// It is not there.
    Nothing,
    /// What somebody on the network wrote: mostly UTF-8.
    Text(Bytes),
    /// A word of ours: the text of an address, of an identity.
    Word(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Octets that mean no text: a key, a nonce. Written in hexadecimal.
    Octets(Bytes),
    /// Several.
    List(Vec<Self>),
    /// What has fields of its own.
    Fields(Vec<(String, Self)>),
}

/// The fields of a message, in the order of the wire.
pub(super) type Fields = Vec<(&'static str, Field)>;

impl Field {
    pub(super) fn text(text: &Text) -> Self {
        Self::octets_of(text.as_bytes())
    }

    pub(super) fn octets_of(octets: &[u8]) -> Self {
        Self::Text(Bytes::copy_from_slice(octets))
    }

    pub(super) fn key(octets: &[u8]) -> Self {
        Self::Octets(Bytes::copy_from_slice(octets))
    }

    pub(super) fn number(number: impl Into<u64>) -> Self {
        Self::Number(number.into())
    }

    pub(super) fn id(id: PeerId) -> Self {
        Self::Word(id.to_string())
    }

    // So that both what is borrowed and what was made on the spot will do.
    #[expect(clippy::needless_pass_by_value)]
    pub(super) fn word(word: impl ToString) -> Self {
        Self::Word(word.to_string())
    }

    pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a Text>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub(super) fn headers(headers: &Headers) -> Self {
        let headers = headers.iter();
        Self::Fields(
            headers
                .map(|(name, value)| {
                    let name = name.to_str_lossy().into_owned();
                    (name, Self::octets_of(value.as_bytes()))
                })
                .collect(),
        )
    }

    pub(super) fn fields(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        let fields = fields.into_iter();
        Self::Fields(
            fields
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// Itself, or that it is not there.
    pub(super) fn or_nothing(value: Option<Self>) -> Self {
        value.unwrap_or(Self::Nothing)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, values: &[Self]| {
            f.write_str("[")?;
            for (index, value) in values.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                write!(f, "{comma}{value}")?;
            }
            f.write_str("]")
        };
        match self {
            Self::Nothing => f.write_str("none"),
            Self::Text(octets) => f.write_str(&quoted(octets)),
            Self::Word(word) => f.write_str(word),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Octets(octets) => f.write_str(&hex(octets)),
            Self::List(values) => list(f, values),
            Self::Fields(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}={value}", escaped(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::Text(octets) => match str::from_utf8(octets) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => {
                    let mut map = serializer.serialize_map(Some(1))?;
                    map.serialize_entry("base64", &STANDARD.encode(octets))?;
                    map.end()
                }
            },
            Self::Word(word) => serializer.serialize_str(word),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Octets(octets) => serializer.serialize_str(&hex(octets)),
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(value)?;
                }
                list.end()
            }
            Self::Fields(fields) => named(fields.iter().map(|(n, v)| (n.as_str(), v)), serializer),
        }
    }
}

/// Fields as an object.
fn named<'a, S: Serializer>(
    fields: impl Iterator<Item = (&'a str, &'a Field)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (name, value) in fields {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// Hexadecimal digits, as everywhere in the specification.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// Text as it is where nothing in it could be taken for what stands around it; else in quotation marks.
fn quoted(octets: &[u8]) -> String {
    let text = str::from_utf8(octets).ok();
    let Some(text) = text.filter(|text| !text.contains(char::is_control)) else {
        return format!("({} octets: {})", octets.len(), hex(octets));
    };
    let plain = |c: char| !c.is_whitespace() && !"\"=,[]{}|".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        escaped(text)
    } else {
        format!("\"{}\"", escaped(text))
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Told {
    /// Of which protocol it is: `ZRE`.
    pub(super) protocol: &'static str,
    /// Which message, by its name, or by its number if nobody knows that.
    pub(super) message: Field,
    /// What it holds.
    #[serde(serialize_with = "fields_of")]
    pub(super) fields: Fields,
    /// The frames of an application in it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "content_of")]
    pub(super) content: Option<Frames>,
    /// What that content says, if it is a message of its own.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub(super) inner: Option<Box<Self>>,
    /// What else is to be said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remark: Option<String>,
}

fn fields_of<S: Serializer>(fields: &Fields, serializer: S) -> Result<S::Ok, S::Error> {
    named(
        fields.iter().map(|(name, value)| (*name, value)),
        serializer,
    )
}

fn content_of<S: Serializer>(content: &Option<Frames>, serializer: S) -> Result<S::Ok, S::Error> {
    match content {
        Some(content) => content::to_json(content, serializer),
        None => serializer.serialize_none(),
    }
}

impl Told {
    /// A message of this name.
    pub(super) fn new(protocol: &'static str, message: impl ToString, fields: Fields) -> Self {
        Self {
            protocol,
            message: Field::word(message),
            fields,
            content: None,
            inner: None,
            remark: None,
        }
    }

    /// With content of an application, if there is any.
    pub(super) fn with_content(mut self, content: Option<&Frames>) -> Self {
        self.content = content.cloned();
        self
    }

    /// With something that is to be said about it.
    pub(super) fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// The number in a field.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let field = self.fields.iter().find(|(field, _)| *field == name);
        match field {
            Some((_, Field::Number(number))) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.message)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        match (&self.inner, &self.content) {
            (Some(inner), _) => write!(f, " | {inner}")?,
            (None, Some(content)) => write!(f, " | {}", content::to_words(content))?,
            (None, None) => {}
        }
        if let Some(remark) = &self.remark {
            write!(f, " ({remark})")?;
        }
        Ok(())
    }
}

/// Octets that were not understood.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Fault {
    /// Of which protocol they seemed to be.
    pub(super) protocol: &'static str,
    /// In which field of it.
    pub(super) field: String,
    /// What was expected there.
    pub(super) expected: String,
    /// What was found.
    pub(super) found: String,
}

impl Fault {
    pub(super) fn new(
        protocol: &'static str,
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            protocol,
            field: field.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(super) fn of(protocol: &'static str, malformed: &Malformed) -> Self {
        Self::new(
            protocol,
            malformed.field,
            malformed.expected.to_string(),
            malformed.found.to_string(),
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: expected {}, found {}",
            self.protocol, self.field, self.expected, self.found
        )
    }
}
