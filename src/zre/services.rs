//! Headers that say where something else listens that belongs to the node.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::endpoint::told;
use crate::net::nearness;
use crate::wire::{Headers, LongText, Text};

/// Adds them as they are told over the interface with this address; `None`: there is no interface.
// ZRE-105
pub(super) fn put(
    headers: &mut Headers,
    services: &BTreeMap<Text, Vec<SocketAddr>>,
    here: Option<IpAddr>,
) {
    for (name, endpoints) in services {
        if let Some(endpoint) = suitable(endpoints, here)
            && let Ok(value) = LongText::try_from(told(endpoint))
        {
            headers.insert(name.clone(), value);
        }
    }
}

/// The endpoint at this address, or else at the one that is nearest to it; of several that are equally near, the first.
fn suitable(endpoints: &[SocketAddr], here: Option<IpAddr>) -> Option<SocketAddr> {
    let there = endpoints.iter().filter_map(|endpoint| {
        let mut there = *endpoint;
        if endpoint.ip().is_unspecified() {
            let here = here.filter(|here| endpoint.is_ipv6() || here.is_ipv4())?;
            there = SocketAddr::new(here, endpoint.port());
        }
        (there.port() != 0 && !there.ip().is_unspecified()).then_some(there)
    });
    there
        .rev()
        .max_by_key(|there| here.map(|here| nearness(there.ip(), here)))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn told_at(endpoints: &[&str], here: Option<&str>) -> Option<alloc::string::String> {
        let parsed = endpoints.iter().map(|endpoint| endpoint.parse().unwrap());
        let name = Text::try_from("X-PLACE").unwrap();
        let services = [(name, parsed.collect())].into_iter().collect();
        let mut headers = Headers::default();
        put(
            &mut headers,
            &services,
            here.map(|here| here.parse().unwrap()),
        );
        headers.get("X-PLACE").map(ToString::to_string)
    }

    // ZRE-105
    #[test]
    fn an_interface_has_the_endpoint_at_its_address_or_the_nearest() {
        let endpoints = [
            "10.0.0.1:1",
            "10.1.0.1:2",
            "[2001:db8::1]:3",
            "[fe80::1%7]:4",
        ];
        for (here, told) in [
            (Some("10.0.0.1"), "tcp://10.0.0.1:1"),
            (Some("10.1.0.1"), "tcp://10.1.0.1:2"),
            (Some("10.1.0.9"), "tcp://10.1.0.1:2"),
            (Some("2001:db8::1"), "tcp://[2001:db8::1]:3"),
            // The form that C nodes read; the zone is ours alone.
            (Some("fe80::1"), "tcp://fe80::1:4"),
            (Some("fe80::2"), "tcp://fe80::1:4"),
            (None, "tcp://10.0.0.1:1"),
        ] {
            assert_eq!(told_at(&endpoints, here).as_deref(), Some(told), "{here:?}");
        }
        // One that listens with IPv4 alone, and is met with IPv6.
        let told = told_at(&endpoints[..2], Some("2001:db8::1"));
        assert_eq!(told.as_deref(), Some("tcp://10.0.0.1:1"));
    }

    // ZRE-105
    #[test]
    fn what_listens_everywhere_listens_at_the_interface() {
        for (endpoint, here, told) in [
            ("0.0.0.0:1", Some("10.0.0.1"), Some("tcp://10.0.0.1:1")),
            ("[::]:1", Some("10.0.0.1"), Some("tcp://10.0.0.1:1")),
            ("[::]:1", Some("fe80::1"), Some("tcp://fe80::1:1")),
            ("0.0.0.0:1", Some("fe80::1"), None),
            ("[::]:1", None, None),
            ("[::]:1", Some("0.0.0.0"), None),
            ("10.0.0.1:0", Some("10.0.0.1"), None),
        ] {
            let found = told_at(&[endpoint], here);
            assert_eq!(found.as_deref(), told, "{endpoint} {here:?}");
        }
        assert_eq!(told_at(&[], Some("10.0.0.1")), None);
    }
}
