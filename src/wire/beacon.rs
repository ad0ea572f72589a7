//! The datagram that tells a network that a node is there.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::primitive::{array, number1, number2, whole};
use super::{Expected, Found, Malformed};
use crate::PeerId;

/// A beacon: version 1 (RFC 36 "Node Discovery and Presence") without a key, version 3 (RFC 43, the same section)
/// with one.
///
/// The version on the wire follows from the key, and the size from the version: nothing else is a beacon. RFC 43 calls
/// the key of version 3 optional, but no implementation sends or takes a version 3 without it.
///
/// ```
/// use atonce::PeerId;
/// use atonce::wire::Beacon;
///
/// let beacon = Beacon { uuid: PeerId::from_bytes([7; 16]), port: 49152, key: None };
/// let datagram = beacon.encode();
/// assert_eq!(datagram.len(), 22);
/// assert!(datagram.starts_with(b"ZRE\x01"));
/// assert_eq!(Beacon::decode(&datagram)?, beacon);
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(any(test, feature = "fuzz"), derive(arbitrary::Arbitrary))]
pub struct Beacon {
    /// Who is there.
    pub uuid: PeerId,
    /// The TCP port of its mailbox, at the address that the datagram came from. 0 says goodbye.
    pub port: u16,
    /// Its CURVE public key. Any 32 octets: whether they make a good key is not the format's business.
    // ZRE-6
    pub key: Option<[u8; 32]>,
}

impl Beacon {
    /// The size of a beacon without a key, version 1.
    pub const PLAIN_OCTETS: usize = 22;
    /// The size of a beacon with a key, version 3.
    pub const CURVE_OCTETS: usize = 54;

    const MAGIC: &[u8; 3] = b"ZRE";
    const PLAIN: u8 = 1;
    const CURVE: u8 = 3;

    /// Whether the node says that it is leaving.
    pub const fn is_goodbye(&self) -> bool {
        self.port == 0
    }

    /// The datagram.
    pub fn encode(&self) -> Bytes {
        let (version, size) = match self.key {
            None => (Self::PLAIN, Self::PLAIN_OCTETS),
            Some(_) => (Self::CURVE, Self::CURVE_OCTETS),
        };
        let mut datagram = Vec::with_capacity(size);
        datagram.put_slice(Self::MAGIC);
        datagram.put_u8(version);
        datagram.put_slice(self.uuid.as_bytes());
        datagram.put_u16(self.port);
        if let Some(key) = &self.key {
            datagram.put_slice(key);
        }
        datagram.into()
    }

    /// Reads a datagram, all of it.
    ///
    /// A node discards what is refused here silently (RFC 36): other programs may use the same port.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the first thing that is wrong, from the left.
    pub fn decode(datagram: &[u8]) -> Result<Self, Malformed> {
        let head = (
            array("beacon.magic"),
            number1("beacon.version"),
            nom::combinator::rest,
        );
        let (magic, version, body) = whole("beacon", head, datagram)?;
        if &magic != Self::MAGIC {
            return Err(Malformed::new(
                "beacon.magic",
                Expected::What("\"ZRE\""),
                Found::What("other octets"),
            ));
        }
        let uuid = array("beacon.uuid").map(PeerId::from_bytes);
        let plain = (uuid, number2("beacon.port"));
        let ((uuid, port), key) = match version {
            // ZRE-5: the version gives the size.
            Self::PLAIN => whole("beacon", plain.map(|plain| (plain, None)), body)?,
            Self::CURVE => whole("beacon", (plain, array("beacon.key").map(Some)), body)?,
            other => {
                return Err(Malformed::new(
                    "beacon.version",
                    Expected::What("1 or 3"),
                    Found::Value(other.into()),
                ));
            }
        };
        Ok(Self { uuid, port, key })
    }
}
