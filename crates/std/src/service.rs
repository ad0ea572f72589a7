//! Where something else listens that belongs to a node.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use atonce::socket::{Endpoint, Host};
use atonce::wire::Text;

use crate::StartError;
use crate::socket::{SocketError, parse_endpoint};

/// Reads names of headers and endpoints, in their order.
// ZRE-105
pub(crate) fn read(
    given: Vec<(String, String)>,
) -> Result<BTreeMap<Text, Vec<SocketAddr>>, StartError> {
    let mut services = BTreeMap::<Text, Vec<SocketAddr>>::new();
    for (name, endpoint) in given {
        let beside = |source| StartError::Beside {
            what: "a header",
            source,
        };
        let endpoint = parse_endpoint(&endpoint).map_err(beside)?;
        let Some(address) = address(&endpoint) else {
            return Err(beside(SocketError::Connect {
                endpoint: endpoint.to_string(),
                source: atonce::socket::ConnectError::NoAddress,
            }));
        };
        let name = Text::try_from(&name).map_err(|source| StartError::Header { name, source })?;
        services.entry(name).or_default().push(address);
    }
    Ok(services)
}

/// The address at which it is listened; that of the interface where there is none.
fn address(endpoint: &Endpoint) -> Option<SocketAddr> {
    let Endpoint::Tcp { host, port } = endpoint else {
        return None;
    };
    let address = match host {
        Host::Any => Ipv6Addr::UNSPECIFIED.into(),
        Host::Ip(address) => *address,
        // The zone is for this machine alone.
        Host::Name(name) => IpAddr::V6(name.as_str().split_once('%')?.0.parse().ok()?),
    };
    (*port != 0).then_some(SocketAddr::new(address, *port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(endpoints: &[&str]) -> Result<Vec<String>, StartError> {
        let given = endpoints
            .iter()
            .map(|endpoint| ("X-A".to_owned(), (*endpoint).to_owned()));
        let read = read(given.collect())?;
        let read = read.into_values().flatten();
        Ok(read.map(|address| address.to_string()).collect())
    }

    #[test]
    fn endpoints_at_which_sockets_listen_are_read_in_their_order() {
        // ZRE-105
        let endpoints = [
            "tcp://10.0.0.1:1",
            "tcp://[2001:db8::1]:2",
            "tcp://[fe80::1%eth0]:3",
            "tcp://*:4",
        ];
        let read = addresses(&endpoints).unwrap();
        let expected = ["10.0.0.1:1", "[2001:db8::1]:2", "[fe80::1]:3", "[::]:4"];
        assert_eq!(read, expected);
        assert_eq!(addresses(&[]).unwrap().len(), 0);
    }

    #[test]
    fn what_others_cannot_dial_is_refused() {
        for wrong in [
            "ipc://@feed",
            "tcp://eth0:1",
            "tcp://10.0.0.1:0",
            "tcp://*:*",
            "10.0.0.1:1",
            "tcp://x%eth0:1",
        ] {
            let error = addresses(&[wrong]).unwrap_err();
            assert!(
                matches!(error, StartError::Beside { .. }),
                "{wrong}: {error}"
            );
        }
        let long = vec![("x".repeat(256), "tcp://10.0.0.1:1".to_owned())];
        assert!(matches!(read(long), Err(StartError::Header { .. })));
    }
}
