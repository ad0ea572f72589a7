//! What tuples are made of.

use core::fmt;
use core::str::FromStr;

use bytes::Bytes;

use crate::wire::{LongText, Text, TooLong};

/// What stands between an endpoint and the key of its owner.
const BAR: u8 = b'|';

/// The name of a tuple: 1 to 255 octets, none of them zero. For nodes of ZRE it is the UUID, 32 hexadecimal digits.
///
/// ```
/// use atonce::wire::gossip::Key;
///
/// let key: Key = "52F5D22EE56AEB75A706913C62A0D18B".parse()?;
/// assert_eq!(key.as_bytes().len(), 32);
/// assert!("".parse::<Key>().is_err() && "a\0b".parse::<Key>().is_err());
/// # Ok::<(), atonce::wire::gossip::InvalidKey>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Text);

/// What a tuple says: at most 4,096 octets, none of them zero. For nodes of ZRE it is the endpoint, with CURVE `endpoint|key`.
///
/// ```
/// use atonce::wire::gossip::Value;
///
/// let value: Value = "tcp://10.0.0.7:49152".parse()?;
/// assert!(!value.is_void());
/// assert_eq!(value.to_void(), "".parse()?);
/// # Ok::<(), atonce::wire::gossip::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(LongText);

/// What was given cannot be the name of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// It has no octets.
    #[error("the key of a tuple has at least one octet")]
    Empty,
    /// It has too many.
    #[error("the key of a tuple has at most 255 octets, found {0}")]
    TooLong(usize),
    /// C peers would take it for a shorter one.
    #[error("the key of a tuple has no zero octets")]
    Zero,
}

/// What was given cannot be what a tuple says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidValue {
    /// It has too many octets.
    #[error("the value of a tuple has at most {limit} octets, found {0}", limit = Value::LIMIT)]
    TooLong(usize),
    /// C peers would take it for a shorter one.
    #[error("the value of a tuple has no zero octets")]
    Zero,
}

impl InvalidKey {
    /// As what the grammar expects.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Empty => "1 octet or more",
            Self::TooLong(_) => "at most 255 octets",
            Self::Zero => "no zero octets",
        }
    }
}

impl InvalidValue {
    /// As what the grammar expects.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::TooLong(_) => "at most 4096 octets",
            Self::Zero => "no zero octets",
        }
    }
}

impl Key {
    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) const fn text(&self) -> &Text {
        &self.0
    }
}

impl Value {
    /// The most octets.
    pub const LIMIT: usize = 4_096;

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it says that there is no such tuple any more: there is nothing before the first bar, or before the end.
    // GOS-30
    pub fn is_void(&self) -> bool {
        self.as_bytes().first().is_none_or(|octet| *octet == BAR)
    }

    /// What says that a tuple with this value is there no more: what is left from the first bar on.
    ///
    /// A C node with CURVE takes a value without a key for a defect of its own and ends, so the key stays.
    ///
    /// ```
    /// use atonce::wire::gossip::Value;
    ///
    /// let value: Value = "tcp://10.0.0.7:49152|rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7".parse()?;
    /// assert_eq!(value.to_void(), "|rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7".parse()?);
    /// # Ok::<(), atonce::wire::gossip::InvalidValue>(())
    /// ```
    // GOS-30
    #[must_use]
    pub fn to_void(&self) -> Self {
        let octets = self.as_bytes();
        let bar = octets.iter().position(|octet| *octet == BAR);
        let rest = bar.and_then(|bar| octets.get(bar..)).unwrap_or_default();
        // It is shorter than what was short enough.
        Self(LongText::try_from(Bytes::copy_from_slice(rest)).unwrap_or_default())
    }
}

impl TryFrom<Text> for Key {
    type Error = InvalidKey;

    fn try_from(text: Text) -> Result<Self, InvalidKey> {
        // GOS-3
        match text.as_bytes() {
            [] => Err(InvalidKey::Empty),
            octets if octets.contains(&0) => Err(InvalidKey::Zero),
            _ => Ok(Self(text)),
        }
    }
}

impl TryFrom<LongText> for Value {
    type Error = InvalidValue;

    fn try_from(text: LongText) -> Result<Self, InvalidValue> {
        // GOS-4
        if text.len() > Self::LIMIT {
            return Err(InvalidValue::TooLong(text.len()));
        }
        if text.as_bytes().contains(&0) {
            return Err(InvalidValue::Zero);
        }
        Ok(Self(text))
    }
}

impl From<TooLong> for InvalidKey {
    fn from(error: TooLong) -> Self {
        Self::TooLong(error.octets)
    }
}

impl From<TooLong> for InvalidValue {
    fn from(error: TooLong) -> Self {
        Self::TooLong(error.octets)
    }
}

macro_rules! octets {
    ($name:ident, $text:ident, $error:ident) => {
        impl TryFrom<&[u8]> for $name {
            type Error = $error;

            fn try_from(octets: &[u8]) -> Result<Self, $error> {
                $text::try_from(octets)?.try_into()
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::try_from(text.as_bytes())
            }
        }

        impl fmt::Display for $name {
            /// As text; what is not UTF-8 is shown as U+FFFD.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0.to_str_lossy())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

octets!(Key, Text, InvalidKey);
octets!(Value, LongText, InvalidValue);
