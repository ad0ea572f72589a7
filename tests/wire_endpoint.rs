//! Endpoints as peers and people write them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // clippy.toml allows them in tests, not in helpers

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use atonce::endpoint::{Endpoint, Host, HostName, InvalidEndpoint};
use atonce::wire::Text;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Endpoint, InvalidEndpoint> {
    text.parse()
}

fn address(text: &str) -> Option<SocketAddr> {
    parse(text).unwrap().socket_address()
}

#[test]
fn an_address_of_either_family_is_read() {
    // ZRE-100
    assert_eq!(
        address("tcp://10.77.0.3:41003"),
        Some("10.77.0.3:41003".parse().unwrap())
    );
    assert_eq!(
        address("tcp://[fe80::1]:49152"),
        Some("[fe80::1]:49152".parse().unwrap())
    );
}

#[test]
fn the_unbracketed_addresses_of_c_zyre_are_split_at_the_last_colon() {
    // ZRE-100, ZRE-102
    assert_eq!(
        address("tcp://fe80::1:49152"),
        Some("[fe80::1]:49152".parse().unwrap())
    );
    assert_eq!(address("tcp://:::1"), Some("[::]:1".parse().unwrap()));
    assert_eq!(
        address("tcp://1:2:3:4:5:6:7:8:9"),
        Some("[1:2:3:4:5:6:7:8]:9".parse().unwrap())
    );
}

#[test]
fn an_address_with_a_zone_is_a_name_for_the_resolver_of_its_machine() {
    // ZRE-101
    for text in ["tcp://fe80::1%eth0:49152", "tcp://[fe80::1%eth0]:49152"] {
        let endpoint = parse(text).unwrap();
        assert_eq!(endpoint.socket_address(), None);
        assert!(matches!(&endpoint.host, Host::Name(name) if name == "fe80::1%eth0"));
        assert_eq!(endpoint.to_string(), "tcp://[fe80::1%eth0]:49152");
    }
    for text in [
        "tcp://[fe80::1%]:1",
        "tcp://[10.0.0.1%eth0]:1",
        "tcp://[fe80::1%a b]:1",
        "tcp://[fe80::1%a%b]:1",
        "tcp://host%eth0:1",
    ] {
        assert_eq!(parse(text), Err(InvalidEndpoint::Host), "{text}");
    }
}

#[test]
fn only_the_scheme_tcp_is_taken() {
    // ZRE-100
    for text in [
        "",
        "tcp:/",
        "10.0.0.1:5",
        "ipc:///tmp/x:1",
        "inproc://x:1",
        "TCP://10.0.0.1:5",
        " tcp://10.0.0.1:5",
        "udp://10.0.0.1:5",
    ] {
        assert_eq!(parse(text), Err(InvalidEndpoint::Scheme), "{text}");
    }
}

#[test]
fn only_ports_that_can_be_dialled_are_taken() {
    // ZRE-100
    assert_eq!(parse("tcp://10.0.0.1:1").unwrap().port, 1);
    assert_eq!(parse("tcp://10.0.0.1:65535").unwrap().port, 65_535);
    for text in [
        "tcp://10.0.0.1:0",
        "tcp://10.0.0.1:00",
        "tcp://10.0.0.1:65536",
        "tcp://10.0.0.1:99999999999999999999",
        "tcp://10.0.0.1:",
        "tcp://10.0.0.1:+1",
        "tcp://10.0.0.1:-1",
        "tcp://10.0.0.1: 1",
        "tcp://10.0.0.1:1 ",
        "tcp://10.0.0.1:*",
        "tcp://10.0.0.1:49152/x",
        "tcp://10.0.0.1:\u{0661}",
    ] {
        assert_eq!(parse(text), Err(InvalidEndpoint::Port), "{text}");
    }
    for text in ["tcp://", "tcp://10.0.0.1", "tcp://localhost", "tcp://[::1]"] {
        assert_eq!(parse(text), Err(InvalidEndpoint::NoPort), "{text}");
    }
}

#[test]
fn a_host_is_an_address_or_a_name_of_sane_characters() {
    // ZRE-101
    for text in [
        "localhost",
        "alice-2.example.org",
        "a_b",
        "xn--bcher-kva.example.",
        "3com",
    ] {
        let endpoint = parse(&format!("tcp://{text}:1")).unwrap();
        assert!(
            matches!(&endpoint.host, Host::Name(name) if name == text),
            "{text}"
        );
    }
    for text in [
        "",
        "*",
        "a b",
        "a/b",
        "user@host",
        "b\u{fc}cher",
        "a\0b",
        "a\nb",
        "[",
        "]",
        "[]",
        "[::1",
        "::1]",
        "[10.0.0.1]",
        "[localhost]",
        "fe80::g",
        "1:2",
        ".",
        "..",
    ] {
        assert_eq!(
            parse(&format!("tcp://{text}:1")),
            Err(InvalidEndpoint::Host),
            "{text:?}"
        );
    }
}

#[test]
fn a_mistyped_ipv4_address_is_no_name() {
    // ZRE-101
    for text in [
        "10.1",
        "127.0.0.300",
        "1.2.3.4.5",
        "2130706433",
        "host.7",
        "10.0.0.01",
    ] {
        assert_eq!(
            parse(&format!("tcp://{text}:1")),
            Err(InvalidEndpoint::Host),
            "{text}"
        );
    }
}

#[test]
fn the_longest_name_still_fits_a_text() {
    let longest = "n".repeat(HostName::LIMIT);
    let endpoint = parse(&format!("tcp://{longest}:65535")).unwrap();
    assert_eq!(
        Text::from(&endpoint).as_bytes(),
        endpoint.to_string().as_bytes()
    );

    let zone = "z".repeat(HostName::LIMIT - "fe80::1%".len());
    let endpoint = parse(&format!("tcp://fe80::1%{zone}:65535")).unwrap();
    assert_eq!(Text::from(&endpoint).len(), Text::LIMIT);

    for text in [
        format!("tcp://{longest}n:1"),
        format!("tcp://[fe80::1%{zone}z]:1"),
    ] {
        let error = InvalidEndpoint::TooLong {
            octets: HostName::LIMIT + 1,
            limit: HostName::LIMIT,
        };
        assert_eq!(parse(&text), Err(error));
    }
    // In its usual form this address is longer than as it was given.
    let zone = "z".repeat(HostName::LIMIT - "::ffff:7f7f:7f7f%".len());
    let given = format!("tcp://[::ffff:7f7f:7f7f%{zone}]:1");
    assert!(matches!(
        parse(&given),
        Err(InvalidEndpoint::TooLong { .. })
    ));
}

#[test]
fn the_error_says_what_would_be_right() {
    let error = parse("ipc:///tmp/x").unwrap_err().to_string();
    assert!(error.contains("tcp://host:port"), "{error}");
    let error = parse("tcp://host:0").unwrap_err().to_string();
    assert!(error.contains("from 1 to 65535"), "{error}");
}

#[test]
fn a_text_that_is_not_utf8_is_no_endpoint() {
    let text = Text::try_from(&b"tcp://h\xffst:1"[..]).unwrap();
    assert_eq!(Endpoint::try_from(&text), Err(InvalidEndpoint::Host));
}

#[test]
fn the_scope_of_a_socket_address_is_not_told_to_others() {
    // ZRE-102
    let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 5, 0, 3);
    let endpoint = Endpoint::from(SocketAddr::from(scoped));
    assert_eq!(endpoint.to_string(), "tcp://[fe80::1]:5");
}

proptest! {
    #[test]
    fn every_address_comes_back(address in any::<IpAddr>(), port in 1..=u16::MAX) {
        let endpoint = Endpoint::from(SocketAddr::new(address, port));
        prop_assert_eq!(parse(&endpoint.to_string()), Ok(endpoint.clone()));
        prop_assert_eq!(Endpoint::try_from(&Text::from(&endpoint)), Ok(endpoint.clone()));
        prop_assert_eq!(endpoint.socket_address(), Some(SocketAddr::new(address, port)));
    }

    #[test]
    fn every_address_comes_back_without_brackets(address in any::<Ipv6Addr>(), port in 1..=u16::MAX) {
        let endpoint = parse(&format!("tcp://{address}:{port}")).unwrap();
        prop_assert_eq!(endpoint.socket_address(), Some(SocketAddr::new(address.into(), port)));
    }

    #[test]
    fn whatever_is_read_comes_back(text in "tcp://[]\\[a-f0-9.:%_-]{0,60}:[0-9]{1,5}") {
        if let Ok(endpoint) = parse(&text) {
            prop_assert_eq!(parse(&endpoint.to_string()), Ok(endpoint.clone()));
            prop_assert_eq!(Text::from(&endpoint).to_string(), endpoint.to_string());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), host in any::<String>()) {
        let _ = parse(&text);
        let _ = parse(&format!("tcp://{host}:1"));
    }
}
