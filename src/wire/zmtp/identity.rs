//! How a peer names itself.

use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

/// The name under which a ROUTER knows a peer (RFC 37 "The Identity Property"): 0 to 255 octets.
///
/// It does not begin with a zero: such names are for those that a ROUTER makes up itself. Empty means none.
///
/// ```
/// use atonce::wire::zmtp::Identity;
///
/// let identity = Identity::try_from(b"\x01alice".as_slice())?;
/// assert_eq!(identity.len(), 6);
/// assert!(Identity::try_from(b"\x00alice".as_slice()).is_err());
/// assert!(Identity::default().is_empty());
/// # Ok::<(), atonce::wire::zmtp::InvalidIdentity>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(Bytes);

/// Why octets are no identity. Nothing was changed.
///
/// ```
/// use atonce::wire::zmtp::{Identity, InvalidIdentity};
///
/// let error = Identity::try_from([1; 256].as_slice());
/// assert_eq!(error, Err(InvalidIdentity::TooLong { octets: 256 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    /// It is too long.
    #[error("an identity has at most 255 octets, this one has {octets}")]
    TooLong {
        /// How long it is.
        octets: usize,
    },
    /// It begins with a zero.
    #[error("an identity does not begin with a zero")]
    Reserved,
}

impl Identity {
    /// The longest, in octets.
    pub const LIMIT: usize = 255;

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn check(octets: &[u8]) -> Result<(), InvalidIdentity> {
        if octets.len() > Self::LIMIT {
            return Err(InvalidIdentity::TooLong {
                octets: octets.len(),
            });
        }
        // ZMTP-35
        if octets.first() == Some(&0) {
            return Err(InvalidIdentity::Reserved);
        }
        Ok(())
    }
}

impl TryFrom<Bytes> for Identity {
    type Error = InvalidIdentity;

    fn try_from(octets: Bytes) -> Result<Self, InvalidIdentity> {
        Self::check(&octets)?;
        Ok(Self(octets))
    }
}

impl TryFrom<&[u8]> for Identity {
    type Error = InvalidIdentity;

    fn try_from(octets: &[u8]) -> Result<Self, InvalidIdentity> {
        Self::check(octets)?;
        Ok(Self(Bytes::copy_from_slice(octets)))
    }
}

impl From<Identity> for Bytes {
    fn from(identity: Identity) -> Self {
        identity.0
    }
}

impl From<crate::PeerId> for Identity {
    fn from(id: crate::PeerId) -> Self {
        // 01 and 16 octets: within both rules.
        Self(Bytes::copy_from_slice(&id.identity()))
    }
}

impl Deref for Identity {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Identity {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
