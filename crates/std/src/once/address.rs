//! Where a server is, as people write it.

use std::fmt;
use std::str::FromStr;

use atonce::endpoint::{Endpoint, InvalidEndpoint};

use super::PORT;
use crate::{ConnectError, Contact};

/// Where a server, or a bridge that is to be met without one, can be found.
///
/// ```
/// use atonce_std::once::ServerAddress;
///
/// let by_beacon: ServerAddress = "meet.example.org".parse()?;
/// assert_eq!(by_beacon.to_string(), "meet.example.org:5671");
///
/// let by_mailbox: ServerAddress = "tcp://192.0.2.7:49152".parse()?;
/// assert!(matches!(by_mailbox, ServerAddress::Mailbox(_)));
///
/// assert!("udp://192.0.2.7".parse::<ServerAddress>().is_err());
/// # Ok::<(), atonce_std::once::InvalidServerAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// `HOST` or `HOST:PORT`, of UDP: it is sent beacons, whose answer says where its mailbox is and what key it has.
    Beacon(Endpoint),
    /// `tcp://HOST:PORT`, in a secure network `tcp://HOST:PORT|KEY`: its mailbox.
    Mailbox(Contact),
}

/// What was given does not say where a server is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServerAddress {
    /// It begins as a mailbox does, and is none.
    #[error(transparent)]
    Mailbox(#[from] ConnectError),
    /// It is no host with or without a port.
    #[error("expected HOST, HOST:PORT or tcp://HOST:PORT|KEY: {}", told(.0))]
    Host(InvalidEndpoint),
}

/// The same without `tcp://`, which nobody wrote.
fn told(error: &InvalidEndpoint) -> String {
    error.to_string().replace("tcp://", "")
}

impl FromStr for ServerAddress {
    type Err = InvalidServerAddress;

    fn from_str(text: &str) -> Result<Self, InvalidServerAddress> {
        if text.starts_with("tcp://") {
            return Ok(Self::Mailbox(text.parse()?));
        }
        // An IPv6 address with a port has brackets, and one without brackets has several colons.
        let has_port = match text.rsplit_once(':') {
            Some((host, _)) => !host.contains(':') || host.ends_with(']'),
            None => false,
        };
        let with_port = if has_port {
            format!("tcp://{text}")
        } else {
            format!("tcp://{text}:{PORT}")
        };
        let endpoint = with_port.parse().map_err(InvalidServerAddress::Host)?;
        Ok(Self::Beacon(endpoint))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beacon(endpoint) => {
                let text = endpoint.to_string();
                f.write_str(text.strip_prefix("tcp://").unwrap_or(&text))
            }
            Self::Mailbox(contact) => fmt::Display::fmt(contact, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_by_a_beacon_or_at_its_mailbox() {
        for (given, written) in [
            ("10.0.0.7", "10.0.0.7:5671"),
            ("10.0.0.7:99", "10.0.0.7:99"),
            ("meet.example.org", "meet.example.org:5671"),
            ("meet.example.org:1", "meet.example.org:1"),
            ("fe80::1", "[fe80::1]:5671"),
            ("[fe80::1]", "[fe80::1]:5671"),
            ("[fe80::1]:7", "[fe80::1]:7"),
            ("tcp://10.0.0.7:49152", "tcp://10.0.0.7:49152"),
        ] {
            let address: ServerAddress = given.parse().unwrap();
            assert_eq!(address.to_string(), written);
            let beacons = matches!(address, ServerAddress::Beacon(_));
            assert_eq!(beacons, !given.starts_with("tcp"), "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_in_the_words_of_who_wrote_it() {
        for wrong in [
            "",
            "a b",
            "10.0.0.7:0",
            "10.0.0.7:x",
            "udp://10.0.0.7",
            "tcp://10.0.0.7",
        ] {
            let error = wrong.parse::<ServerAddress>().unwrap_err().to_string();
            assert_eq!(
                error.contains("tcp://host"),
                wrong.starts_with("tcp"),
                "{wrong}: {error}"
            );
        }
    }
}
