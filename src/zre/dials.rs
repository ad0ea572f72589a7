//! The node's own links by the address they lead to.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::dial::Dial;

/// At most one dial for each address, in the order of the addresses: first those of IPv4.
///
/// Each message to a peer begins with a look into it, so that the addresses are kept as numbers: they are compared at once,
/// not octet by octet.
#[derive(Debug, Default)]
pub(super) struct Dials(BTreeMap<Key, Dial>);

/// An address as numbers, the first one the most telling; and what makes the address of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    v6: bool,
    ip: u128,
    port: u16,
    flow: u32,
    scope: u32,
}

impl From<SocketAddr> for Key {
    #[inline]
    fn from(address: SocketAddr) -> Self {
        let (v6, ip, flow, scope) = match address {
            SocketAddr::V4(v4) => (false, u128::from(v4.ip().to_bits()), 0, 0),
            SocketAddr::V6(v6) => (true, v6.ip().to_bits(), v6.flowinfo(), v6.scope_id()),
        };
        let port = address.port();
        Self {
            v6,
            ip,
            port,
            flow,
            scope,
        }
    }
}

impl From<Key> for SocketAddr {
    fn from(key: Key) -> Self {
        if key.v6 {
            let ip = Ipv6Addr::from_bits(key.ip);
            return SocketAddrV6::new(ip, key.port, key.flow, key.scope).into();
        }
        // What came of 32 bits has no more.
        let ip = Ipv4Addr::from_bits(u32::try_from(key.ip).unwrap_or(u32::MAX));
        Self::new(IpAddr::V4(ip), key.port)
    }
}

impl Dials {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    #[inline]
    pub(super) fn get(&self, address: SocketAddr) -> Option<&Dial> {
        self.0.get(&address.into())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, address: SocketAddr) -> Option<&mut Dial> {
        self.0.get_mut(&address.into())
    }

    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.0.contains_key(&address.into())
    }

    pub(super) fn insert(&mut self, address: SocketAddr, dial: Dial) {
        self.0.insert(address.into(), dial);
    }

    pub(super) fn remove(&mut self, address: SocketAddr) -> Option<Dial> {
        self.0.remove(&address.into())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn values(&self) -> impl Iterator<Item = &Dial> {
        self.0.values()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &Dial)> {
        self.0
            .iter()
            .map(|(key, dial)| (SocketAddr::from(*key), dial))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn addresses_come_out_as_they_went_in_and_in_their_order() {
        let mut addresses: Vec<SocketAddr> = [
            "0.0.0.0:1",
            "10.0.0.1:49152",
            "10.0.0.1:49153",
            "10.0.0.2:1",
            "255.255.255.255:65535",
            "[::]:1",
            "[::10.0.0.1]:49152",
            "[fe80::1%3]:49152",
            "[fe80::1%4]:49152",
            "[ffff::ffff]:65535",
        ]
        .map(|address| address.parse().unwrap())
        .into();
        let mut dials = Dials::new();
        for address in addresses.iter().rev() {
            dials.insert(*address, Dial::new(crate::Instant::ZERO, address.ip()));
        }
        assert!(
            dials
                .iter()
                .map(|(address, _)| address)
                .eq(addresses.iter().copied())
        );
        addresses.sort();
        assert!(
            dials
                .iter()
                .map(|(address, _)| address)
                .eq(addresses.iter().copied())
        );
        for address in addresses {
            assert!(dials.contains(address) && dials.get(address).is_some());
            assert_eq!(dials.remove(address).unwrap().source, address.ip());
            assert!(!dials.contains(address));
        }
    }
}
