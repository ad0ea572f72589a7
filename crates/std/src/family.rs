//! The versions of IP.

use std::net::IpAddr;

/// Over which versions of IP a node meets others: [`Both`](Family::Both), as far as the machine has them.
///
/// Each version has its own beacons and its own mailbox, on each interface. Two nodes that hear of each other over both are one peer to
/// each other, over the one that came first.
///
/// ```
/// use atonce_std::{Family, Node};
///
/// // What C Zyre does unless it is told otherwise.
/// let node = Node::builder().family(Family::V4).interface("lo").start()?;
/// assert!(node.endpoints()[0].starts_with("tcp://127.0.0.1:"));
/// # Ok::<(), atonce_std::StartError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl Family {
    /// Whether an address is of it.
    pub(crate) const fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}
