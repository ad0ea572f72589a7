//! What is wrong with octets that do not follow the grammar.

use core::fmt;

/// Octets that do not follow the grammar: which field, what was expected there, what was found.
///
/// Always the fault of whoever sent the octets. Nothing was changed by the attempt to read them.
///
/// ```
/// use atonce::wire::{Expected, Found, Malformed};
///
/// let error = Malformed::new("HELLO.groups", Expected::AtMost(4096), Found::Value(70_000));
/// assert_eq!(error.to_string(), "HELLO.groups: expected at most 4096, found 70000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, found {found}")]
pub struct Malformed {
    /// The field of the grammar, `MESSAGE.field` where it belongs to a message.
    pub field: &'static str,
    /// What the grammar wants there.
    pub expected: Expected,
    /// What stood there instead.
    pub found: Found,
}

impl Malformed {
    /// An error about `field`.
    pub const fn new(field: &'static str, expected: Expected, found: Found) -> Self {
        Self {
            field,
            expected,
            found,
        }
    }
}

/// What the grammar wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This many octets or more.
    Octets(u64),
    /// A length, count or value of at most this.
    AtMost(u64),
    /// This very value.
    Value(u64),
    /// Something that is best said in words.
    What(&'static str),
    /// Nothing more.
    End,
}

/// What was found instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This many octets.
    Octets(u64),
    /// This length, count or value.
    Value(u64),
    /// Something that is best said in words.
    What(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octets(1) => f.write_str("1 octet"),
            Self::Octets(n) => write!(f, "{n} octets"),
            Self::AtMost(n) => write!(f, "at most {n}"),
            Self::Value(n) => write!(f, "{n}"),
            Self::What(what) => f.write_str(what),
            Self::End => f.write_str("the end"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octets(1) => f.write_str("1 octet"),
            Self::Octets(n) => write!(f, "{n} octets"),
            Self::Value(n) => write!(f, "{n}"),
            Self::What(what) => f.write_str(what),
        }
    }
}
