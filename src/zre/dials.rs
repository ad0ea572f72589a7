//! The node's own links by the address they lead to.

use alloc::collections::BTreeMap;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::dial::{Dial, Owner};
use crate::table::{Secret, Table};

/// At most one dial for each address, in the order of the addresses: first those of IPv4.
///
/// Each message to a peer begins with a look into it, so that the addresses are kept as numbers: they are compared at once,
/// not octet by octet.
#[derive(Debug)]
pub(super) struct Dials {
    dials: Table<Key, Dial>,
    /// How many of them are hints, by where the hint came from.
    hints: BTreeMap<IpAddr, usize>,
    all_hints: usize,
}

/// An address as numbers, the first one the most telling; and what makes the address of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    v6: bool,
    ip: u128,
    port: u16,
    flow: u32,
    scope: u32,
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.v6 {
            state.write_u128(self.ip);
            state.write_u32(self.flow);
            state.write_u32(self.scope);
        }
        // Those of IPv4 are hashed as the one number that they are.
        let low = u64::from_be_bytes(*self.ip.to_be_bytes().last_chunk().unwrap_or(&[0; 8]));
        state.write_u64((low << 16) | u64::from(self.port));
    }
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
    pub(super) const fn new(secret: Secret) -> Self {
        Self {
            dials: Table::new(secret),
            hints: BTreeMap::new(),
            all_hints: 0,
        }
    }

    #[inline]
    pub(super) fn get(&self, address: SocketAddr) -> Option<&Dial> {
        self.dials.get(&address.into())
    }

    /// A dial, to change it: whose it is and whether it is tried for ever are changed by [`own`](Dials::own),
    /// [`disown`](Dials::disown), [`persist`](Dials::persist) and [`release`](Dials::release), which count the hints.
    #[inline]
    pub(super) fn get_mut(&mut self, address: SocketAddr) -> Option<&mut Dial> {
        self.dials.get_mut(&address.into())
    }

    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.dials.contains_key(&address.into())
    }

    pub(super) fn insert(&mut self, address: SocketAddr, dial: Dial) {
        let after = hint(&dial);
        let before = self.dials.insert(address.into(), dial);
        self.recount(before.as_ref().and_then(hint), after);
    }

    pub(super) fn remove(&mut self, address: SocketAddr) -> Option<Dial> {
        let dial = self.dials.remove(&address.into())?;
        self.recount(hint(&dial), None);
        Some(dial)
    }

    pub(super) fn clear(&mut self) {
        self.dials.clear();
        self.hints.clear();
        self.all_hints = 0;
    }

    /// Says whose it is.
    pub(super) fn own(&mut self, address: SocketAddr, owner: Owner) {
        self.change(address, |dial| dial.owner = owner);
    }

    /// The peer is gone; see [`Dial::lose_owner`].
    pub(super) fn disown(&mut self, address: SocketAddr) {
        self.change(address, Dial::lose_owner);
    }

    /// It is tried for ever from now on.
    pub(super) fn persist(&mut self, address: SocketAddr) {
        self.change(address, |dial| dial.persistent = true);
    }

    /// Nobody asks for it any more.
    pub(super) fn release(&mut self, address: SocketAddr) {
        self.change(address, |dial| dial.persistent = false);
    }

    fn change(&mut self, address: SocketAddr, change: impl FnOnce(&mut Dial)) {
        let Some(dial) = self.dials.get_mut(&address.into()) else {
            return;
        };
        let before = hint(dial);
        change(dial);
        let after = hint(dial);
        self.recount(before, after);
    }

    fn recount(&mut self, before: Option<IpAddr>, after: Option<IpAddr>) {
        if before == after {
            return;
        }
        if let Some(source) = before
            && let Some(count) = self.hints.get_mut(&source)
        {
            *count -= 1;
            self.all_hints -= 1;
            if *count == 0 {
                self.hints.remove(&source);
            }
        }
        if let Some(source) = after {
            *self.hints.entry(source).or_default() += 1;
            self.all_hints += 1;
        }
    }

    /// How many are hints: nobody who is here is known to be there, and the application did not ask for it.
    pub(super) const fn hints(&self) -> usize {
        self.all_hints
    }

    /// How many hints came from there.
    pub(super) fn hints_from(&self, source: IpAddr) -> usize {
        self.hints.get(&source).copied().unwrap_or_default()
    }

    /// The hints that came from there. Takes time in proportion to all dials.
    pub(super) fn hints_of(&self, source: IpAddr) -> impl Iterator<Item = (SocketAddr, &Dial)> {
        self.iter()
            .filter(move |(_, dial)| hint(dial) == Some(source))
    }

    /// From where most hints came, and how many.
    pub(super) fn most_hints(&self) -> Option<(IpAddr, usize)> {
        let most = self.hints.iter().max_by_key(|(_, count)| **count);
        most.map(|(source, count)| (*source, *count))
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn values(&self) -> impl Iterator<Item = &Dial> {
        self.dials.values()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &Dial)> {
        self.dials
            .iter()
            .map(|(key, dial)| (SocketAddr::from(key), dial))
    }

    /// Panics when the hints are not those that were counted.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self) {
        let mut hints = BTreeMap::<_, usize>::new();
        for source in self.values().filter_map(hint) {
            *hints.entry(source).or_default() += 1;
        }
        assert_eq!(self.hints, hints, "hints by source");
        assert_eq!(self.all_hints, hints.values().sum::<usize>(), "hints");
    }
}

/// From where the hint came that the dial is, if it is one.
fn hint(dial: &Dial) -> Option<IpAddr> {
    let reached = matches!(dial.owner, Owner::Peer(_));
    (!reached && !dial.persistent).then_some(dial.source)
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
        let mut dials = Dials::new(Secret::with_seeds(1, 2, 3, 4));
        for address in addresses.iter().rev() {
            dials.insert(
                *address,
                Dial::new(crate::Instant::ZERO, address.ip(), None),
            );
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
