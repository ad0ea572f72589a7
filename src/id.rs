//! Who a peer is.

use core::fmt;
use core::str::FromStr;

use uuid::Uuid;

/// The identity of a node: 16 octets that stay the same as long as it runs.
///
/// Any 16 octets will do (Go nodes do not set the version bits of RFC 4122). Its text is 32 hexadecimal digits,
/// written in upper case as C Zyre does and read in either case.
///
/// ```
/// use atonce::PeerId;
///
/// let id: PeerId = "0102030405060708090a0b0c0d0e0f10".parse()?;
/// assert_eq!(id.to_string(), "0102030405060708090A0B0C0D0E0F10");
/// assert_eq!(id.identity()[0], 1);
/// assert_eq!(PeerId::from_identity(&id.identity()), Some(id));
/// # Ok::<(), atonce::InvalidPeerId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PeerId(Uuid);

/// What was given is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct InvalidPeerId;

/// As one number: each message and each beacon finds its peer by it.
impl core::hash::Hash for PeerId {
    #[inline]
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write_u128(self.0.as_u128());
    }
}

/// By the octets, as numbers: each message finds its peer by it, and so it is one comparison and no loop.
impl Ord for PeerId {
    #[inline]
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.0.as_u128().cmp(&other.0.as_u128())
    }
}

impl PartialOrd for PeerId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PeerId {
    /// The first octet of a ZMTP Identity that carries a UUID (ZRE, RFC 36 "Protocol Signature").
    const IDENTITY_PREFIX: u8 = 0x01;

    /// The identity with these octets.
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(octets))
    }

    /// The 16 octets, as they stand in a beacon.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The ZMTP Identity under which this node dials its peers: `01` and the 16 octets.
    pub fn identity(&self) -> [u8; 17] {
        let mut identity = [Self::IDENTITY_PREFIX; 17];
        if let Some(octets) = identity.last_chunk_mut() {
            *octets = *self.as_bytes();
        }
        identity
    }

    /// Reads a ZMTP Identity; `None` when it is not `01` and 16 octets.
    pub fn from_identity(identity: &[u8]) -> Option<Self> {
        match identity.split_first() {
            Some((&Self::IDENTITY_PREFIX, octets)) => octets.try_into().ok().map(Self::from_bytes),
            _ => None,
        }
    }
}

impl From<Uuid> for PeerId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<PeerId> for Uuid {
    fn from(id: PeerId) -> Self {
        id.0
    }
}

impl FromStr for PeerId {
    type Err = InvalidPeerId;

    fn from_str(text: &str) -> Result<Self, InvalidPeerId> {
        if text.len() != 32 {
            return Err(InvalidPeerId);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidPeerId)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0.simple())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
