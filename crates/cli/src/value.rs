//! Values of options: each is checked when it is read, and what is wrong is said together with the option's name.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::endpoint::{Endpoint, InvalidEndpoint};
use atonce::wire::{LongText, Text};
use atonce_std::log::Level;
use atonce_std::socket::parse_endpoint;
use atonce_std::{ConnectError, Contact, Family};
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// The longest time in seconds that an option takes: 31 years.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

/// A name, a group: 1 to 255 octets.
pub(crate) fn text(given: &str) -> Result<Text, String> {
    if given.is_empty() {
        return Err("expected at least one character".into());
    }
    Text::try_from(given).map_err(|error| error.to_string())
}

/// A header, `KEY=VALUE`; the value may be empty and may hold more `=`.
pub(crate) fn header(given: &str) -> Result<(Text, LongText), String> {
    let Some((key, value)) = given.split_once('=') else {
        return Err("expected KEY=VALUE".into());
    };
    let key = text(key).map_err(|error| format!("the key: {error}"))?;
    let value = LongText::try_from(value).map_err(|error| format!("the value: {error}"))?;
    Ok((key, value))
}

/// `KEY=VALUE`, with whatever in the value.
pub(crate) fn key_value(given: &str) -> Result<(String, String), String> {
    let (key, value) = given.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A file for a new certificate. That of both keys gets its name from it.
pub(crate) fn certificate_path(given: &str) -> Result<PathBuf, String> {
    if given.is_empty() {
        return Err("expected the name of a file".into());
    }
    if given.ends_with("_secret") {
        return Err(
            "expected the name without `_secret`, which the file of the secret key gets".into(),
        );
    }
    Ok(given.into())
}

/// An interface: its name or an address of it.
pub(crate) fn interface(given: &str) -> Result<String, String> {
    if given.is_empty() || given.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
    {
        return Err("expected the name of an interface or an IP address".into());
    }
    Ok(given.to_owned())
}

/// The versions of IP.
pub(crate) fn family() -> impl TypedValueParser<Value = Family> {
    PossibleValuesParser::new(["both", "ipv4", "ipv6"]).map(|given| match given.as_str() {
        "ipv4" => Family::V4,
        "ipv6" => Family::V6,
        _ => Family::Both,
    })
}

/// A multicast group of either version of IP.
pub(crate) fn group(given: &str) -> Result<IpAddr, String> {
    let group = given.parse().ok();
    let group = group.filter(IpAddr::is_multicast);
    group.ok_or_else(|| "expected a multicast group, as 224.0.0.250 or ff02::fa".into())
}

/// A time in milliseconds, at least 1.
pub(crate) fn millis(given: &str) -> Result<Duration, String> {
    given
        .parse()
        .ok()
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected milliseconds, a whole number from 1".into())
}

/// A time in seconds, with or without a fraction, longer than nothing and not so long that no clock could tell its end.
pub(crate) fn seconds(given: &str) -> Result<Duration, String> {
    given
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| (1..=LONGEST.as_nanos()).contains(&duration.as_nanos()))
        .ok_or_else(|| "expected seconds, a number above 0, at most 1000000000".into())
}

/// A level of log records.
pub(crate) fn level(given: &str) -> Result<Level, String> {
    let levels = [Level::ERROR, Level::WARNING, Level::INFO];
    let mut levels = levels.into_iter();
    let found = levels.find(|level| level.name() == Some(given));
    found.ok_or_else(|| "expected error, warning or info".into())
}

/// An endpoint that can be dialled: a host name or an address, and a port.
pub(crate) fn endpoint(given: &str) -> Result<Endpoint, String> {
    given
        .parse()
        .map_err(|error: InvalidEndpoint| error.to_string())
}

/// A node to contact.
pub(crate) fn contact(given: &str) -> Result<Contact, String> {
    given
        .parse()
        .map_err(|error: ConnectError| error.to_string())
}

/// Where a hub of gossip listens.
pub(crate) fn gossip_bind(given: &str) -> Result<String, String> {
    parse_endpoint(given).map_err(|error| error.to_string())?;
    Ok(given.to_owned())
}

/// A hub of gossip, in a secure network with its key.
pub(crate) fn gossip_connect(given: &str) -> Result<String, String> {
    let (endpoint, key) = match given.split_once('|') {
        Some((endpoint, key)) => (endpoint, Some(key)),
        None => (given, None),
    };
    let hub = parse_endpoint(endpoint).map_err(|error| error.to_string())?;
    if !hub.can_be_dialled() {
        return Err("expected a host that can be dialled, as in tcp://hub.example.org:5670".into());
    }
    if let Some(key) = key {
        let key = key.parse::<PublicKey>();
        key.map_err(|error| format!("behind |: {error}"))?;
    }
    Ok(given.to_owned())
}

/// An endpoint that others can be told: an address, since they look no names up.
pub(crate) fn advertised(given: &str) -> Result<Endpoint, String> {
    let endpoint = endpoint(given)?;
    if endpoint.socket_address().is_none() {
        return Err("expected an address, not a name, as in tcp://203.0.113.7:49152".into());
    }
    Ok(endpoint)
}

/// One TCP port or a range of them, `A-B`.
pub(crate) fn tcp_ports(given: &str) -> Result<RangeInclusive<u16>, String> {
    let expected =
        || "expected a port from 1 to 65535, or a range of them, as 49152-49200".to_owned();
    let port = |digits: &str| {
        digits
            .parse()
            .ok()
            .filter(|port: &u16| *port > 0)
            .ok_or_else(expected)
    };
    let ports = match given.split_once('-') {
        Some((first, last)) => port(first)?..=port(last)?,
        None => port(given)?..=port(given)?,
    };
    if ports.is_empty() {
        return Err("the range ends before it begins".into());
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{group, header, interface, millis, seconds, tcp_ports, text};

    #[test]
    fn a_text_has_1_to_255_octets() {
        assert_eq!(text("grüße").unwrap(), "grüße");
        assert_eq!(text(&"x".repeat(255)).unwrap().len(), 255);
        assert!(text(&"x".repeat(256)).unwrap_err().contains("255"));
        assert!(text(&"ü".repeat(128)).unwrap_err().contains("256 octets"));
        assert!(text("").is_err());
    }

    #[test]
    fn a_header_is_a_key_and_a_value() {
        let (key, value) = header("K=V=W").unwrap();
        assert!(key == "K" && value == "V=W");
        assert!(header("K=").unwrap().1.is_empty());
        assert!(header("K").unwrap_err().contains("KEY=VALUE"));
        assert!(header("=V").unwrap_err().contains("the key"));
        assert!(
            header(&format!("{}=V", "k".repeat(256)))
                .unwrap_err()
                .contains("255")
        );
    }

    #[test]
    fn times_are_above_zero() {
        assert_eq!(millis("250").unwrap(), Duration::from_millis(250));
        assert_eq!(seconds("0.25").unwrap(), Duration::from_millis(250));
        assert_eq!(seconds("3").unwrap(), Duration::from_secs(3));
        for wrong in ["0", "-1", "x", "", "1s"] {
            assert!(millis(wrong).is_err() && seconds(wrong).is_err(), "{wrong}");
        }
        for wrong in ["1.5", "99999999999999999999"] {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
        for wrong in ["inf", "NaN", "1e300", "1e17"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tcp_ports_are_one_or_a_range() {
        assert_eq!(tcp_ports("49152").unwrap(), 49152..=49152);
        assert_eq!(tcp_ports("49152-49160").unwrap(), 49152..=49160);
        for wrong in ["0", "65536", "x", "", "1-", "-1", "5-4", "0-4", "1-2-3"] {
            assert!(tcp_ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_group_is_an_address_of_many() {
        assert_eq!(group("224.0.0.250").unwrap().to_string(), "224.0.0.250");
        assert_eq!(group("ff02::fa").unwrap().to_string(), "ff02::fa");
        for wrong in ["10.0.0.255", "fe80::1", "ff02::fa%eth0", "gyre"] {
            assert!(group(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_interface_is_a_word() {
        assert_eq!(interface("eth0").unwrap(), "eth0");
        assert_eq!(interface("fe80::1%eth0").unwrap(), "fe80::1%eth0");
        assert!(interface("").is_err() && interface("eth 0").is_err());
    }
}
