//! Strings as they stand on the wire: octets with a bounded length.

use alloc::borrow::Cow;
use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;

use bytes::Bytes;

/// The grammar's `string`: at most 255 octets, meant to be UTF-8 but kept as the octets that came.
///
/// Names, endpoints, header names and groups are of this kind. Some peers count characters instead of octets and so
/// cut a string within a character; what they sent is kept and compared octet by octet, and shown lossily.
/// Cloning shares the octets.
///
/// ```
/// use atonce::wire::Text;
///
/// let group = Text::try_from("CHAT")?;
/// assert_eq!(group.as_bytes(), b"CHAT");
/// assert!(Text::try_from("x".repeat(256)).is_err());
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Bytes);

/// The grammar's `longstr`: at most 2³²−1 octets. Values of headers are of this kind.
///
/// ```
/// use atonce::wire::LongText;
///
/// assert_eq!(LongText::try_from("value")?.to_str_lossy(), "value");
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LongText(Bytes);

/// A string does not fit its field: it is never truncated. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{octets} octets do not fit: at most {limit} octets are allowed")]
pub struct TooLong {
    /// How long it is.
    pub octets: usize,
    /// How long it may be.
    pub limit: usize,
}

macro_rules! octets {
    ($name:ident, $limit:expr) => {
        impl $name {
            /// The longest that fits its length field, in octets.
            pub const LIMIT: usize = $limit;

            /// The octets as they stand on the wire, without the length.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// As text; what is not UTF-8 is shown as U+FFFD.
            pub fn to_str_lossy(&self) -> Cow<'_, str> {
                String::from_utf8_lossy(&self.0)
            }

            /// The length in octets.
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether there are no octets.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl TryFrom<Bytes> for $name {
            type Error = TooLong;

            fn try_from(octets: Bytes) -> Result<Self, TooLong> {
                // ZRE-94
                if octets.len() > Self::LIMIT {
                    return Err(TooLong {
                        octets: octets.len(),
                        limit: Self::LIMIT,
                    });
                }
                Ok(Self(octets))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = TooLong;

            fn try_from(octets: &[u8]) -> Result<Self, TooLong> {
                Self::try_from(Bytes::copy_from_slice(octets))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = TooLong;

            fn try_from(text: &str) -> Result<Self, TooLong> {
                Self::try_from(text.as_bytes())
            }
        }

        impl TryFrom<String> for $name {
            type Error = TooLong;

            fn try_from(text: String) -> Result<Self, TooLong> {
                Self::try_from(Bytes::from(text))
            }
        }

        impl TryFrom<&String> for $name {
            type Error = TooLong;

            fn try_from(text: &String) -> Result<Self, TooLong> {
                Self::try_from(text.as_bytes())
            }
        }

        impl FromStr for $name {
            type Err = TooLong;

            fn from_str(text: &str) -> Result<Self, TooLong> {
                Self::try_from(text)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl Borrow<[u8]> for $name {
            fn borrow(&self) -> &[u8] {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, text: &str) -> bool {
                self.as_bytes() == text.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                self.as_bytes() == text.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.to_str_lossy())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.to_str_lossy(), f)
            }
        }
    };
}

// So that what takes `impl TryInto<Text, Error: Into<TooLong>>` takes a `Text` as well.
impl From<core::convert::Infallible> for TooLong {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

octets!(Text, u8::MAX as usize);
octets!(LongText, u32::MAX as usize);
