//! The interfaces of this machine, and which of their addresses a node uses.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use crate::{Family, StartError};

/// All systems on the link: every host with IPv4 is in this group. go-zeromq sends there, too.
const ALL_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// The same with IPv6. C Zyre sends there.
const ALL_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Where others send their beacons that are no broadcasts: gyre and Pyre with IPv4.
const HEARD_V4: [Ipv4Addr; 2] = [
    Ipv4Addr::new(224, 0, 0, 250),
    Ipv4Addr::new(225, 25, 25, 25),
];

/// The same with IPv6: everybody on the link, and gyre.
const HEARD_V6: [Ipv6Addr; 2] = [ALL_V6, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfa)];

/// An address of an interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// The number by which the system knows the interface; 0 when it went away just now.
    pub(crate) index: u32,
    pub(crate) address: IpAddr,
    pub(crate) netmask: IpAddr,
    /// Where a datagram goes to reach everybody on the subnet; `None` where there is no such address, as with IPv6.
    pub(crate) broadcast: Option<Ipv4Addr>,
    /// Whether it is a link of many, of the kind that broadcasts.
    pub(crate) wide: bool,
    /// Whether it carries multicast; the loopback does for IPv4.
    pub(crate) multicast: bool,
    pub(crate) loopback: bool,
}

/// What `getifaddrs` knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The addresses of interfaces that are up, in the system's order.
    pub(crate) found: Vec<Found>,
    /// Those of interfaces that are down.
    down: BTreeSet<IpAddr>,
    /// Every interface there is, also those that are down or have no address.
    pub(crate) names: BTreeSet<String>,
    loopback_name: Option<String>,
}

impl Found {
    /// Whether a datagram from there came in by this interface, as far as its address tells.
    pub(crate) fn hears(&self, source: SocketAddr) -> bool {
        match source {
            SocketAddr::V6(source) if source.ip().is_unicast_link_local() => {
                source.scope_id() == self.index
            }
            _ => self.contains(source.ip()),
        }
    }

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

    /// Whether the address is good on this link only.
    pub(crate) fn is_link_local(&self) -> bool {
        is_link_local(self.address)
    }

    /// To bind there: an address that is good on one link only needs its interface.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V6(address) if self.is_link_local() => {
                SocketAddrV6::new(address, port, 0, self.index).into()
            }
            other => SocketAddr::new(other, port),
        }
    }

    /// Where beacons go from this address: to everybody on the link, and to the groups that were asked for. `others`: what else is used
    /// on this machine. Of the addresses of IPv6 that an interface has one beacons, since each beacon reaches the whole link: the one that
    /// is good there, and that is there whatever else is.
    // ZRE-160, ZRE-161
    pub(crate) fn destinations<'a>(
        &self,
        mut others: impl Iterator<Item = &'a Self>,
        groups: &[IpAddr],
    ) -> Vec<IpAddr> {
        let mut destinations = Vec::new();
        let carries = self.multicast || self.loopback;
        match self.address {
            IpAddr::V4(_) => match self.broadcast {
                Some(broadcast) => destinations.push(broadcast.into()),
                None if carries => destinations.push(ALL_V4.into()),
                None => {}
            },
            IpAddr::V6(_) => {
                let best = others.all(|other| other.name != self.name || !other.rather(self));
                if !carries || self.loopback || !best {
                    return destinations;
                }
                destinations.push(ALL_V6.into());
            }
        }
        if carries {
            let family = |group: &&IpAddr| group.is_ipv4() == self.address.is_ipv4();
            for group in groups.iter().filter(family) {
                if !destinations.contains(group) {
                    destinations.push(*group);
                }
            }
        }
        destinations
    }

    /// Whether this address of IPv6 beacons rather than another one of the same interface.
    fn rather(&self, other: &Self) -> bool {
        self.address.is_ipv6()
            && (self.is_link_local(), self.address) > (other.is_link_local(), other.address)
    }

    /// The groups in which beacons may come by this interface, to this family.
    // ZRE-162
    pub(crate) fn groups(&self, asked: &[IpAddr]) -> Vec<IpAddr> {
        if !self.multicast && !self.loopback {
            return Vec::new();
        }
        let mut groups: Vec<IpAddr> = match self.address {
            IpAddr::V4(_) => HEARD_V4.map(IpAddr::from).to_vec(),
            IpAddr::V6(_) if self.loopback => return Vec::new(),
            IpAddr::V6(_) => HEARD_V6.map(IpAddr::from).to_vec(),
        };
        let family = |group: &&IpAddr| group.is_ipv4() == self.address.is_ipv4();
        groups.extend(asked.iter().filter(family));
        groups
    }
}

impl Listing {
    /// Asks the operating system.
    pub(crate) fn read() -> io::Result<Self> {
        let mut listing = Self::default();
        let mut indices = BTreeMap::new();
        for interface in getifaddrs()? {
            let flags = interface.flags;
            let loopback = flags.contains(InterfaceFlags::IFF_LOOPBACK);
            if loopback && listing.loopback_name.is_none() {
                listing.loopback_name = Some(interface.interface_name.clone());
            }
            listing.names.insert(interface.interface_name.clone());
            let Some(address) = ip(interface.address) else {
                // Most systems tell of the link itself first.
                if let Some(index) = index(interface.address) {
                    indices.insert(interface.interface_name, index);
                }
                continue;
            };
            if !flags.contains(InterfaceFlags::IFF_UP) {
                listing.down.insert(address);
                continue;
            }
            let Some(netmask) = ip(interface.netmask) else {
                continue;
            };
            let broadcast = match (address, netmask) {
                (IpAddr::V4(address), IpAddr::V4(netmask)) => {
                    let whole_subnet = Ipv4Addr::from_bits(address.to_bits() | !netmask.to_bits());
                    if loopback {
                        Some(whole_subnet)
                    } else if flags.contains(InterfaceFlags::IFF_BROADCAST) {
                        match ip(interface.broadcast) {
                            Some(IpAddr::V4(told)) if !told.is_unspecified() => Some(told),
                            _ => Some(whole_subnet),
                        }
                    } else {
                        None
                    }
                }
                _ => None,
            };
            let index = match indices.get(&interface.interface_name) {
                Some(index) => *index,
                // One that went away just now has none.
                None => if_nametoindex(interface.interface_name.as_str()).unwrap_or(0),
            };
            listing.found.push(Found {
                name: interface.interface_name,
                index,
                address,
                netmask,
                broadcast,
                wide: flags.contains(InterfaceFlags::IFF_BROADCAST),
                multicast: flags.contains(InterfaceFlags::IFF_MULTICAST),
                loopback,
            });
        }
        Ok(listing)
    }

    /// What a node uses that asked for `wanted`, names or addresses; every interface that can broadcast and is not the
    /// loopback when it asked for nothing.
    ///
    /// Of several addresses of one subnet on one interface only one is used, unless others are asked for by address: on the same wire
    /// one beacon is enough. Of IPv4 the first, which is the primary one; of IPv6 the last, since those that are made for a day stand
    /// before the one that lasts. The loopback has IPv6 only for who asks for that address: it carries no multicast.
    // ZRE-160
    pub(crate) fn select(&self, wanted: &[String], family: Family) -> Vec<Found> {
        let mut selected: Vec<Found> = Vec::new();
        for found in self.found.iter().filter(|found| family.has(found.address)) {
            if wanted.iter().any(|wanted| is_address(wanted, found)) {
                selected.push(found.clone());
                continue;
            }
            let mut names = wanted.iter();
            let by_name = names.any(|wanted| self.is_name(wanted, &found.name));
            let by_default = wanted.is_empty() && found.wide && !found.loopback;
            let local = found.loopback && found.address.is_ipv6();
            if local || !by_name && !by_default {
                continue;
            }
            let mut others = selected.iter_mut();
            match others.find(|other| other.same_subnet(found)) {
                None => selected.push(found.clone()),
                Some(other) => {
                    let asked = wanted.iter().any(|wanted| is_address(wanted, other));
                    if found.address.is_ipv6() && !asked {
                        *other = found.clone();
                    }
                }
            }
        }
        selected
    }

    /// Whether this machine has this address, be it of an interface that is down.
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || address.is_unspecified()
            || self.down.contains(&address)
            || self.found.iter().any(|found| found.address == address)
    }

    /// The first of `wanted` that this machine does not have.
    pub(crate) fn unknown<'a>(&self, wanted: &'a [String]) -> Option<&'a str> {
        wanted
            .iter()
            .find(|wanted| {
                !self.names.iter().any(|name| self.is_name(wanted, name))
                    && !self.found.iter().any(|found| is_address(wanted, found))
            })
            .map(String::as_str)
    }

    /// For people: `lo (127.0.0.1), eth0 (10.0.0.1, fe80::1), eth1 (down or without an address)`.
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
                    format!("{name} (down or without an address)")
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
    pub(crate) fn is_name(&self, wanted: &str, name: &str) -> bool {
        wanted == name
            || (wanted == "lo"
                && !self.names.contains("lo")
                && self.loopback_name.as_deref() == Some(name))
    }
}

/// Whether that is the address of this interface: with a zone, which is its name or number, of this one alone.
pub(crate) fn is_address(wanted: &str, found: &Found) -> bool {
    let (address, zone) = match wanted.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (wanted, None),
    };
    address.parse() == Ok(found.address)
        && zone.is_none_or(|zone| zone == found.name || zone.parse() == Ok(found.index))
}

pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The address of the interface of this name, if it is up and has one; of several the first, IPv4 before IPv6. Addresses that are good on
/// one link only are left out.
pub(crate) fn address_of(name: &str) -> io::Result<Option<IpAddr>> {
    let listing = Listing::read()?;
    let found = listing.found.iter();
    let mut found: Vec<IpAddr> = found
        .filter(|found| listing.is_name(name, &found.name) && !found.is_link_local())
        .map(|found| found.address)
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    Ok(found.first().copied())
}

/// Where a node would have mailboxes that asks for these interfaces, on any port: addresses with the zone that they may need.
pub(crate) fn places(wanted: &[String], family: Family) -> Result<Vec<SocketAddr>, StartError> {
    let listing = Listing::read().map_err(StartError::Interfaces)?;
    let selected = listing.select(wanted, family).into_iter();
    Ok(selected.map(|found| found.at(0)).collect())
}

fn index(address: Option<SockaddrStorage>) -> Option<u32> {
    u32::try_from(address?.as_link_addr()?.ifindex()).ok()
}

fn ip(address: Option<SockaddrStorage>) -> Option<IpAddr> {
    let address = address?;
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| Some(address.as_sockaddr_in6()?.ip().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, address: [u8; 4], prefix: u32, loopback: bool) -> Found {
        let netmask = Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - prefix).unwrap_or(0));
        let broadcast = Ipv4Addr::from_bits(Ipv4Addr::from(address).to_bits() | !netmask.to_bits());
        Found {
            name: name.into(),
            index: 1,
            address: address.into(),
            netmask: netmask.into(),
            broadcast: Some(broadcast),
            wide: !loopback,
            multicast: !loopback,
            loopback,
        }
    }

    fn found_v6(name: &str, index: u32, address: &str) -> Found {
        Found {
            name: name.into(),
            index,
            address: address.parse().unwrap(),
            netmask: "ffff:ffff:ffff:ffff::".parse().unwrap(),
            broadcast: None,
            wide: name != "lo",
            multicast: name != "lo",
            loopback: name == "lo",
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
                wide: false,
                ..found("tun0", [10, 8, 0, 1], 32, false)
            },
            found_v6("lo", 1, "::1"),
            found_v6("eth0", 2, "2001:db8::2"),
            found_v6("eth0", 2, "2001:db8::1"),
            found_v6("eth0", 2, "fe80::1"),
            found_v6("eth1", 3, "fe80::1"),
        ];
        Listing {
            names: found
                .iter()
                .map(|found| found.name.clone())
                .chain(["wlan0".to_owned()])
                .collect(),
            found,
            down: BTreeSet::new(),
            loopback_name: Some("lo".to_owned()),
        }
    }

    fn selected_of(wanted: &[&str], family: Family) -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(|&wanted| wanted.to_owned()).collect();
        let selected = listing().select(&wanted, family);
        let at = selected.iter().map(|found| found.at(0).to_string());
        at.map(|at| at.trim_end_matches(":0").to_owned()).collect()
    }

    fn selected(wanted: &[&str]) -> Vec<String> {
        selected_of(wanted, Family::V4)
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
    fn of_both_families_each_subnet_is_used_once() {
        // ZRE-160
        let v6 = ["[2001:db8::1]", "[fe80::1%2]"];
        assert_eq!(selected_of(&["eth0"], Family::V6), v6);
        let both = ["10.0.0.1", "10.0.1.1", "[2001:db8::1]", "[fe80::1%2]"];
        assert_eq!(selected_of(&["eth0"], Family::Both), both);
        let all = [&both[..], &["[fe80::1%3]"]].concat();
        assert_eq!(selected_of(&[], Family::Both), all);
        for one in ["fe80::1%eth1", "fe80::1%3"] {
            assert_eq!(selected_of(&[one], Family::Both), ["[fe80::1%3]"]);
        }
        let two = ["[fe80::1%2]", "[fe80::1%3]"];
        assert_eq!(selected_of(&["fe80::1"], Family::Both), two);
        let asked = ["[2001:db8::2]"];
        assert_eq!(selected_of(&["2001:db8::2"], Family::Both), asked);
        assert_eq!(selected_of(&["fe80::1"], Family::V4), [""; 0]);
        assert_eq!(selected_of(&["lo"], Family::Both), ["127.0.0.1"]);
        assert_eq!(selected_of(&["::1"], Family::Both), ["[::1]"]);
    }

    #[test]
    fn each_link_gets_one_beacon_a_family_and_what_is_asked_for() {
        // ZRE-161
        let listing = listing();
        let used = listing.select(&["eth0".into(), "lo".into(), "tun0".into()], Family::Both);
        let asked: Vec<IpAddr> = ["224.0.0.250", "ff02::fa"]
            .map(|group| group.parse().unwrap())
            .into();
        let said = |groups: &[IpAddr]| -> Vec<(String, Vec<String>)> {
            let said = used.iter().map(|found| {
                let to = found.destinations(used.iter(), groups);
                (
                    found.address.to_string(),
                    to.iter().map(IpAddr::to_string).collect(),
                )
            });
            said.collect()
        };
        let row = |from: &str, to: &[&str]| {
            let to: Vec<String> = to.iter().map(|&to| to.to_owned()).collect();
            (from.to_owned(), to)
        };
        assert_eq!(
            said(&[]),
            [
                row("127.0.0.1", &["127.255.255.255"]),
                row("10.0.0.1", &["10.0.0.255"]),
                row("10.0.1.1", &["10.0.1.255"]),
                row("10.8.0.1", &["224.0.0.1"]),
                row("2001:db8::1", &[]),
                row("fe80::1", &["ff02::1"]),
            ]
        );
        assert_eq!(
            said(&asked),
            [
                row("127.0.0.1", &["127.255.255.255", "224.0.0.250"]),
                row("10.0.0.1", &["10.0.0.255", "224.0.0.250"]),
                row("10.0.1.1", &["10.0.1.255", "224.0.0.250"]),
                row("10.8.0.1", &["224.0.0.1", "224.0.0.250"]),
                row("2001:db8::1", &[]),
                row("fe80::1", &["ff02::1", "ff02::fa"]),
            ]
        );
        // One without an address of its own for the link.
        let alone = found_v6("wg0", 9, "fd00::1");
        let to = alone.destinations(used.iter(), &[]);
        assert_eq!(to, ["ff02::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_comes_over_a_link_is_told_by_its_zone() {
        // ZRE-163
        let [eth0, eth1] = [2, 3].map(|index| found_v6("eth", index, "fe80::1"));
        let source: SocketAddr = "[fe80::9%3]:5670".parse().unwrap();
        assert!(eth1.hears(source) && !eth0.hears(source));
        let global = found_v6("eth0", 2, "2001:db8::1");
        assert!(global.hears(source) == eth0.hears(source));
        assert!(global.hears("[2001:db8::9]:5670".parse().unwrap()));
        assert!(!eth0.hears("[2001:db8::9]:5670".parse().unwrap()));
    }

    #[test]
    fn what_this_machine_does_not_have_is_named() {
        let unknown = |wanted: &str| listing().unknown(&[wanted.to_owned()]).map(str::to_owned);
        assert_eq!(unknown("lo"), None);
        assert_eq!(unknown("wlan0"), None);
        assert_eq!(unknown("10.8.0.1"), None);
        assert_eq!(unknown("eth7"), Some("eth7".into()));
        assert_eq!(unknown("10.9.9.9"), Some("10.9.9.9".into()));
        assert_eq!(unknown("fe80::1%eth1"), None);
        assert_eq!(unknown("fe80::1%lo"), Some("fe80::1%lo".into()));
        assert_eq!(
            listing().describe(),
            "eth0 (10.0.0.1, 10.0.0.2, 10.0.1.1, 2001:db8::2, 2001:db8::1, fe80::1), eth1 (fe80::1), \
             lo (127.0.0.1, ::1), tun0 (10.8.0.1), wlan0 (down or without an address)"
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
        let loopback = listing.select(&["lo".to_owned()], Family::Both);
        assert_eq!(loopback.len(), 1);
        assert_eq!(loopback[0].address, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(
            loopback[0].broadcast,
            Some(Ipv4Addr::from([127, 255, 255, 255]))
        );
    }
}
