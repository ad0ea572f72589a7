//! The interfaces of this machine, and which of them a node uses.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

/// An address of an interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) netmask: IpAddr,
    /// Where a datagram goes to reach everybody on the subnet; `None` where there is no such address.
    pub(crate) broadcast: Option<IpAddr>,
    pub(crate) loopback: bool,
}

/// What `getifaddrs` knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The addresses of interfaces that are up, in the system's order. IPv4 only for now.
    pub(crate) found: Vec<Found>,
    /// Every interface there is, also those that are down or have no address.
    names: BTreeSet<String>,
    loopback_name: Option<String>,
}

impl Found {
    /// Whether this address is of the interface's subnet.
    pub(crate) fn contains(&self, other: IpAddr) -> bool {
        match (self.address, self.netmask, other) {
            (IpAddr::V4(address), IpAddr::V4(netmask), IpAddr::V4(other)) => {
                address & netmask == other & netmask
            }
            (IpAddr::V6(address), IpAddr::V6(netmask), IpAddr::V6(other)) => {
                address & netmask == other & netmask
            }
            _ => false,
        }
    }

    fn same_subnet(&self, other: &Self) -> bool {
        self.name == other.name && self.netmask == other.netmask && self.contains(other.address)
    }
}

impl Listing {
    /// Asks the operating system.
    pub(crate) fn read() -> io::Result<Self> {
        let mut listing = Self::default();
        for interface in getifaddrs()? {
            let flags = interface.flags;
            let loopback = flags.contains(InterfaceFlags::IFF_LOOPBACK);
            if loopback && listing.loopback_name.is_none() {
                listing.loopback_name = Some(interface.interface_name.clone());
            }
            listing.names.insert(interface.interface_name.clone());
            if !flags.contains(InterfaceFlags::IFF_UP) {
                continue;
            }
            let (Some(address), Some(netmask)) = (v4(interface.address), v4(interface.netmask))
            else {
                continue;
            };
            let whole_subnet = Ipv4Addr::from_bits(address.to_bits() | !netmask.to_bits());
            let broadcast = if loopback {
                Some(whole_subnet)
            } else if flags.contains(InterfaceFlags::IFF_BROADCAST) {
                v4(interface.broadcast)
                    .filter(|broadcast| !broadcast.is_unspecified())
                    .or(Some(whole_subnet))
            } else {
                None
            };
            listing.found.push(Found {
                name: interface.interface_name,
                address: address.into(),
                netmask: netmask.into(),
                broadcast: broadcast.map(IpAddr::from),
                loopback,
            });
        }
        Ok(listing)
    }

    /// What a node uses that asked for `wanted`, names or addresses; every interface that can broadcast and is not the
    /// loopback when it asked for nothing.
    ///
    /// An interface that has several addresses of one subnet is used with the first, unless the others are asked for by
    /// address: on the same wire one beacon is enough.
    pub(crate) fn select(&self, wanted: &[String]) -> Vec<Found> {
        let mut selected: Vec<Found> = Vec::new();
        for found in &self.found {
            let by_address = wanted
                .iter()
                .any(|wanted| wanted.parse() == Ok(found.address));
            let by_name = wanted
                .iter()
                .any(|wanted| self.is_name(wanted, &found.name));
            let by_default = wanted.is_empty() && found.broadcast.is_some() && !found.loopback;
            let double = selected.iter().any(|other| other.same_subnet(found));
            if by_address || ((by_name || by_default) && !double) {
                selected.push(found.clone());
            }
        }
        selected
    }

    /// Whether an interface that is up has this address. What cannot be known counts as there.
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || address.is_unspecified()
            || address.is_ipv6()
            || self.found.iter().any(|found| found.address == address)
    }

    /// The first of `wanted` that this machine does not have.
    pub(crate) fn unknown<'a>(&self, wanted: &'a [String]) -> Option<&'a str> {
        wanted
            .iter()
            .find(|wanted| match wanted.parse::<IpAddr>() {
                Ok(address) => !self.found.iter().any(|found| found.address == address),
                Err(_) => !self.names.iter().any(|name| self.is_name(wanted, name)),
            })
            .map(String::as_str)
    }

    /// For people: `lo (127.0.0.1), eth0 (10.0.0.1), eth1 (down or without an IPv4 address)`.
    pub(crate) fn describe(&self) -> String {
        let interfaces: Vec<String> = self
            .names
            .iter()
            .map(|name| {
                let addresses: Vec<String> = self
                    .found
                    .iter()
                    .filter(|found| found.name == *name)
                    .map(|found| found.address.to_string())
                    .collect();
                if addresses.is_empty() {
                    format!("{name} (down or without an IPv4 address)")
                } else {
                    format!("{name} ({})", addresses.join(", "))
                }
            })
            .collect();
        if interfaces.is_empty() {
            "none".to_owned()
        } else {
            interfaces.join(", ")
        }
    }

    /// `lo` means the loopback interface also where that has another name (`lo0`).
    fn is_name(&self, wanted: &str, name: &str) -> bool {
        wanted == name
            || (wanted == "lo"
                && !self.names.contains("lo")
                && self.loopback_name.as_deref() == Some(name))
    }
}

/// The address of the interface of this name, if it is up and has one; of several the first, IPv4 before IPv6. Addresses that are good on
/// one link only are left out.
pub(crate) fn address_of(name: &str) -> io::Result<Option<IpAddr>> {
    let listing = Listing::read()?;
    let mut found = listing.found.iter();
    if let Some(found) = found.find(|found| listing.is_name(name, &found.name)) {
        return Ok(Some(found.address));
    }
    let mut others = getifaddrs()?
        .filter(|other| listing.is_name(name, &other.interface_name))
        .filter_map(|other| Some(other.address?.as_sockaddr_in6()?.ip()));
    Ok(others
        .find(|address| !address.is_unicast_link_local())
        .map(IpAddr::from))
}

fn v4(address: Option<SockaddrStorage>) -> Option<Ipv4Addr> {
    Some(address?.as_sockaddr_in()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, address: [u8; 4], prefix: u32, loopback: bool) -> Found {
        let netmask = Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - prefix).unwrap_or(0));
        let broadcast = Ipv4Addr::from_bits(Ipv4Addr::from(address).to_bits() | !netmask.to_bits());
        Found {
            name: name.into(),
            address: address.into(),
            netmask: netmask.into(),
            broadcast: Some(broadcast.into()),
            loopback,
        }
    }

    fn listing() -> Listing {
        let found = vec![
            found("lo", [127, 0, 0, 1], 8, true),
            found("eth0", [10, 0, 0, 1], 24, false),
            found("eth0", [10, 0, 0, 2], 24, false),
            found("eth0", [10, 0, 1, 1], 24, false),
            Found {
                broadcast: None,
                ..found("tun0", [10, 8, 0, 1], 32, false)
            },
        ];
        Listing {
            names: found
                .iter()
                .map(|found| found.name.clone())
                .chain(["wlan0".to_owned()])
                .collect(),
            found,
            loopback_name: Some("lo".to_owned()),
        }
    }

    fn selected(wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(|&wanted| wanted.to_owned()).collect();
        let selected = listing().select(&wanted);
        selected
            .iter()
            .map(|found| found.address.to_string())
            .collect()
    }

    #[test]
    fn what_can_broadcast_is_used_unless_something_is_asked_for() {
        assert_eq!(selected(&[]), ["10.0.0.1", "10.0.1.1"]);
        assert_eq!(selected(&["lo"]), ["127.0.0.1"]);
        assert_eq!(selected(&["eth0"]), ["10.0.0.1", "10.0.1.1"]);
        assert_eq!(selected(&["10.0.0.2"]), ["10.0.0.2"]);
        assert_eq!(selected(&["tun0", "lo"]), ["127.0.0.1", "10.8.0.1"]);
        assert_eq!(selected(&["wlan0"]), [""; 0]);
    }

    #[test]
    fn what_this_machine_does_not_have_is_named() {
        let unknown = |wanted: &str| listing().unknown(&[wanted.to_owned()]).map(str::to_owned);
        assert_eq!(unknown("lo"), None);
        assert_eq!(unknown("wlan0"), None);
        assert_eq!(unknown("10.8.0.1"), None);
        assert_eq!(unknown("eth7"), Some("eth7".into()));
        assert_eq!(unknown("10.9.9.9"), Some("10.9.9.9".into()));
        assert_eq!(
            listing().describe(),
            "eth0 (10.0.0.1, 10.0.0.2, 10.0.1.1), lo (127.0.0.1), tun0 (10.8.0.1), \
             wlan0 (down or without an IPv4 address)"
        );
    }

    #[test]
    fn a_subnet_contains_what_its_netmask_says() {
        let wide = found("eth0", [10, 0, 0, 1], 8, false);
        let narrow = found("eth1", [10, 1, 0, 1], 16, false);
        assert!(wide.contains([10, 1, 2, 3].into()));
        assert!(narrow.contains([10, 1, 2, 3].into()));
        assert!(!narrow.contains([10, 2, 2, 3].into()));
        assert!(!wide.contains([11, 0, 0, 1].into()));
        assert!(!wide.contains("::1".parse().unwrap()));
    }

    #[test]
    fn this_machine_has_a_loopback() {
        let listing = Listing::read().unwrap();
        let loopback = listing.select(&["lo".to_owned()]);
        assert_eq!(loopback.len(), 1);
        assert_eq!(loopback[0].address, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(
            loopback[0].broadcast,
            Some(IpAddr::from([127, 255, 255, 255]))
        );
    }
}
