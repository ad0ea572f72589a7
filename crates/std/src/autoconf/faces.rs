//! The interfaces of this machine, as far as announcements go out and come in by them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::driver::interfaces::Listing;

/// An interface that is up, with the addresses that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Face {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) loopback: bool,
    /// Whether it carries multicast; the loopback does for IPv4.
    pub(super) multicast: bool,
    pub(super) v4: Vec<V4>,
    pub(super) v6: Vec<Ipv6Addr>,
}

/// An address of IPv4, with its subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct V4 {
    pub(super) address: Ipv4Addr,
    pub(super) netmask: Ipv4Addr,
    /// Where a datagram goes to reach everybody on the subnet, if there is such an address.
    pub(super) broadcast: Option<Ipv4Addr>,
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub(super) struct Faces {
    /// By name; also those that are down, which have no addresses.
    all: BTreeMap<String, Face>,
}

impl V4 {
    fn contains(&self, other: Ipv4Addr) -> bool {
        self.address & self.netmask == other & self.netmask
    }
}

impl Face {
    /// Whether a datagram of IPv4 from there came in by it, as far as its subnets tell.
    pub(super) fn hears(&self, source: Ipv4Addr) -> bool {
        self.v4.iter().any(|own| own.contains(source))
    }

    /// Its addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.iter().map(|own| IpAddr::V4(own.address));
        v4.chain(self.v6.iter().copied().map(IpAddr::V6))
    }

    /// Whether anything can be said to more than one over it.
    fn reaches_many(&self) -> bool {
        self.multicast || self.v4.iter().any(|own| own.broadcast.is_some())
    }

    /// The same with this address alone.
    fn only(&self, address: IpAddr) -> Self {
        let mut face = self.clone();
        face.v4.retain(|own| IpAddr::V4(own.address) == address);
        face.v6.retain(|own| IpAddr::V6(*own) == address);
        face
    }
}

impl Faces {
    /// Asks the operating system.
    pub(super) fn read() -> io::Result<Self> {
        let listing = Listing::read()?;
        let named = |name: String| {
            let face = Face {
                name: name.clone(),
                ..Face::default()
            };
            (name, face)
        };
        let mut all: BTreeMap<String, Face> = listing.names.into_iter().map(named).collect();
        for found in listing.found {
            let Some(face) = all.get_mut(&found.name) else {
                continue;
            };
            face.index = found.index;
            face.loopback = found.loopback;
            face.multicast = found.loopback || found.multicast;
            match (found.address, found.netmask) {
                (IpAddr::V4(address), IpAddr::V4(netmask)) => face.v4.push(V4 {
                    address,
                    netmask,
                    broadcast: found.broadcast,
                }),
                (IpAddr::V6(address), _) => face.v6.push(address),
                (IpAddr::V4(_), IpAddr::V6(_)) => {}
            }
        }
        Ok(Self { all })
    }

    /// What is used by who asked for `wanted`, names or addresses; by who asked for nothing, all over which many can be reached and
    /// that are not the loopback.
    // AUTO-12
    pub(super) fn select(&self, wanted: &[String]) -> Vec<Face> {
        let there = self.all.values();
        let there = there.filter(|face| face.index != 0 && face.addresses().next().is_some());
        let mut selected = Vec::new();
        for face in there {
            if wanted.is_empty() {
                if face.reaches_many() && !face.loopback {
                    selected.push(face.clone());
                }
                continue;
            }
            if wanted.iter().any(|wanted| self.is_name(wanted, face)) {
                selected.push(face.clone());
                continue;
            }
            let addresses = wanted.iter().filter_map(|wanted| wanted.parse().ok());
            let mut of_it = addresses
                .map(|address| face.only(address))
                .filter(|face| face.addresses().next().is_some());
            if let Some(mut first) = of_it.next() {
                for other in of_it {
                    first.v4.extend(other.v4);
                    first.v6.extend(other.v6);
                }
                selected.push(first);
            }
        }
        selected
    }

    /// The first of `wanted` that this machine does not have.
    pub(super) fn unknown<'a>(&self, wanted: &'a [String]) -> Option<&'a str> {
        let is_known = |wanted: &String| match wanted.parse::<IpAddr>() {
            Ok(address) => self
                .all
                .values()
                .any(|face| face.addresses().any(|own| own == address)),
            Err(_) => self.all.values().any(|face| self.is_name(wanted, face)),
        };
        let mut wanted = wanted.iter();
        wanted.find(|wanted| !is_known(wanted)).map(String::as_str)
    }

    /// For people: `eth0 (10.0.0.1, fe80::1), lo (127.0.0.1, ::1), wlan0 (down)`.
    pub(super) fn describe(&self) -> String {
        let described = self.all.values().map(|face| {
            let addresses: Vec<String> = face.addresses().map(|own| own.to_string()).collect();
            match addresses.is_empty() {
                true => format!("{} (down)", face.name),
                false => format!("{} ({})", face.name, addresses.join(", ")),
            }
        });
        let described: Vec<String> = described.collect();
        match described.is_empty() {
            true => "none".to_owned(),
            false => described.join(", "),
        }
    }

    /// `lo` means the loopback interface also where that has another name (`lo0`).
    fn is_name(&self, wanted: &str, face: &Face) -> bool {
        wanted == face.name || (wanted == "lo" && !self.all.contains_key("lo") && face.loopback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(name: &str, index: u32, v4: &[[u8; 4]], v6: &[&str]) -> Face {
        let own = |address: &[u8; 4]| {
            let [a, b, c, _] = *address;
            V4 {
                address: (*address).into(),
                netmask: [255, 255, 255, 0].into(),
                broadcast: Some([a, b, c, 255].into()),
            }
        };
        Face {
            name: name.into(),
            index,
            loopback: name == "lo",
            multicast: true,
            v4: v4.iter().map(own).collect(),
            v6: v6.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    fn faces() -> Faces {
        let mut tunnel = face("tun0", 4, &[[10, 8, 0, 1]], &[]);
        tunnel.multicast = false;
        tunnel.v4[0].broadcast = None;
        let all = [
            face(
                "eth0",
                2,
                &[[10, 0, 0, 1], [10, 0, 1, 1]],
                &["fe80::1", "2001:db8::1"],
            ),
            face("lo", 1, &[[127, 0, 0, 1]], &["::1"]),
            tunnel,
            face("wlan0", 5, &[], &[]),
        ];
        let all = all.map(|face| (face.name.clone(), face));
        Faces { all: all.into() }
    }

    fn selected(wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(|&wanted| wanted.to_owned()).collect();
        let selected = faces().select(&wanted);
        let addresses = selected.iter().flat_map(Face::addresses);
        addresses.map(|address| address.to_string()).collect()
    }

    #[test]
    fn what_reaches_many_is_used_unless_something_is_asked_for() {
        // AUTO-12
        let all = ["10.0.0.1", "10.0.1.1", "fe80::1", "2001:db8::1"];
        assert_eq!(selected(&[]), all);
        assert_eq!(selected(&["eth0"]), all);
        assert_eq!(selected(&["lo"]), ["127.0.0.1", "::1"]);
        assert_eq!(selected(&["10.0.1.1"]), ["10.0.1.1"]);
        assert_eq!(
            selected(&["2001:db8::1", "10.0.0.1"]),
            ["10.0.0.1", "2001:db8::1"]
        );
        assert_eq!(selected(&["tun0", "::1"]), ["::1", "10.8.0.1"]);
        assert_eq!(selected(&["wlan0"]), [""; 0]);
    }

    #[test]
    fn what_this_machine_does_not_have_is_named() {
        // AUTO-12
        let unknown = |wanted: &str| faces().unknown(&[wanted.to_owned()]).map(str::to_owned);
        for known in ["lo", "wlan0", "10.8.0.1", "fe80::1"] {
            assert_eq!(unknown(known), None);
        }
        for missing in ["eth7", "10.9.9.9", "fe80::2"] {
            assert_eq!(unknown(missing).as_deref(), Some(missing));
        }
        assert_eq!(
            faces().describe(),
            "eth0 (10.0.0.1, 10.0.1.1, fe80::1, 2001:db8::1), lo (127.0.0.1, ::1), tun0 (10.8.0.1), wlan0 (down)"
        );
    }

    #[test]
    fn a_subnet_hears_what_is_of_it() {
        // AUTO-13
        let eth0 = face("eth0", 2, &[[10, 0, 0, 1], [10, 0, 1, 1]], &[]);
        assert!(eth0.hears([10, 0, 0, 9].into()) && eth0.hears([10, 0, 1, 9].into()));
        assert!(!eth0.hears([10, 0, 2, 9].into()) && !eth0.hears([127, 0, 0, 1].into()));
    }

    #[test]
    fn this_machine_has_a_loopback() {
        // AUTO-12
        let faces = Faces::read().unwrap();
        let lo = faces.select(&["lo".to_owned()]);
        assert!(lo.len() == 1 && lo[0].loopback && lo[0].index != 0);
        assert_eq!(lo[0].v4[0].broadcast, Some([127, 255, 255, 255].into()));
        assert!(faces.select(&[]).iter().all(|face| !face.loopback));
    }
}
