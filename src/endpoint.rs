//! Where a mailbox is: `tcp://host:port`.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use crate::wire::Text;

const SCHEME: &str = "tcp://";

/// Where a node's mailbox can be dialled, as HELLO says it (RFC 36 "The HELLO Command") and as people write it.
///
/// It is read as every implementation writes it: the port stands after the last colon, and an IPv6 address may stand in
/// brackets or, as C Zyre has it, without. It is written as `tcp://host:port`, with brackets around IPv6. What is
/// written always fits a [`Text`].
///
/// ```
/// use atonce::endpoint::{Endpoint, Host};
///
/// let endpoint: Endpoint = "tcp://192.168.1.7:49152".parse()?;
/// assert_eq!(endpoint.socket_address(), Some(([192, 168, 1, 7], 49152).into()));
///
/// let from_c: Endpoint = "tcp://fe80::1:49152".parse()?;
/// assert_eq!(from_c.to_string(), "tcp://[fe80::1]:49152");
///
/// let named: Endpoint = "tcp://example.org:49152".parse()?;
/// assert_eq!(named.socket_address(), None);
/// assert!(matches!(named.host, Host::Name(name) if name == "example.org"));
/// # Ok::<(), atonce::endpoint::InvalidEndpoint>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The machine.
    pub host: Host,
    /// The TCP port; an endpoint that was read has one from 1 to 65535.
    pub port: u16,
}

/// The machine of an endpoint.
///
/// ```
/// use atonce::endpoint::Host;
///
/// assert!(matches!("10.0.0.1".parse()?, Host::Ip(_)));
/// assert!(matches!("[::1]".parse()?, Host::Ip(_)));
/// assert!(matches!("localhost".parse()?, Host::Name(_)));
/// # Ok::<(), atonce::endpoint::InvalidEndpoint>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name that somebody has to look up.
    Name(HostName),
}

/// The name of a machine: letters, digits, `-`, `_` and `.`, and so few of them that an endpoint with it fits a
/// [`Text`].
///
/// An IPv6 address with a zone, `fe80::1%eth0`, is a name as well: only the machine that it is written for can say
/// what `eth0` is, and its resolver does (`getaddrinfo` knows the form). A node that is told such a name by another
/// one can make no more of it than of any other name.
///
/// ```
/// use atonce::endpoint::HostName;
///
/// let name: HostName = "alice.example.org".parse()?;
/// assert_eq!(name.as_str(), "alice.example.org");
/// assert!("not a name".parse::<HostName>().is_err());
/// assert!("127.0.0.300".parse::<HostName>().is_err());
/// # Ok::<(), atonce::endpoint::InvalidEndpoint>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// What was given is not an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It does not begin with `tcp://`: no other transport is spoken.
    #[error("expected tcp://host:port, found another beginning than tcp://")]
    Scheme,
    /// There is no colon after the host.
    #[error("expected tcp://host:port, found no port")]
    NoPort,
    /// What stands after the last colon is no port that can be dialled.
    #[error("expected a port from 1 to 65535 after the last colon, found something else")]
    Port,
    /// The host is neither an address nor a name.
    #[error(
        "expected an IPv4 address, an IPv6 address or a name of letters, digits, '-', '_' and '.', found another host"
    )]
    Host,
    /// The host is too long.
    #[error("expected a host of at most {limit} octets, found {octets}")]
    TooLong {
        /// How long it is.
        octets: usize,
        /// How long it may be.
        limit: usize,
    },
}

impl Endpoint {
    /// The address to dial; `None` when the host is a name.
    pub const fn socket_address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Ip(address) => Some(SocketAddr::new(address, self.port)),
            Host::Name(_) => None,
        }
    }
}

/// A mailbox of ours as others are told of it.
pub(crate) fn told(mailbox: SocketAddr) -> String {
    match mailbox {
        // ZRE-102. C Zyre adds its own interface to this form and to no other, and gets nowhere without.
        SocketAddr::V6(mailbox) if mailbox.ip().is_unicast_link_local() => {
            alloc::format!("{SCHEME}{}:{}", mailbox.ip(), mailbox.port())
        }
        other => Endpoint::from(other).to_string(),
    }
}

impl HostName {
    /// The longest name, in octets: what a [`Text`] holds, without `tcp://`, two brackets, a colon and five digits.
    pub const LIMIT: usize = Text::LIMIT - SCHEME.len() - 2 - 1 - 5;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an IPv6 address with a zone, which takes brackets.
    fn is_zoned(&self) -> bool {
        self.0.contains('%')
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let rest = text.strip_prefix(SCHEME).ok_or(InvalidEndpoint::Scheme)?;
        if rest.ends_with(']') {
            return Err(InvalidEndpoint::NoPort); // the colons are all within the brackets
        }
        // ZRE-100
        let (host, port) = rest.rsplit_once(':').ok_or(InvalidEndpoint::NoPort)?;
        Ok(Self {
            host: host.parse()?,
            port: parse_port(port)?,
        })
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidEndpoint> {
    // `parse` alone would take "+1" as well.
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(InvalidEndpoint::Port);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(InvalidEndpoint::Port),
        Ok(port) => Ok(port),
    }
}

impl FromStr for Host {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let bracketed = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Some(text) = bracketed {
            return match text.parse::<Ipv6Addr>() {
                Ok(address) => Ok(Self::Ip(address.into())),
                Err(_) => zoned(text).map(Self::Name),
            };
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Ip(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl FromStr for HostName {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if text.contains('%') {
            return zoned(text);
        }
        bounded(text)?;
        // Some resolvers take "10.1" or "127.0.0.300" for some address or other: who writes that meant another.
        let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or("");
        // ZRE-101
        let numeric = last.bytes().all(|octet| octet.is_ascii_digit());
        if numeric || !text.bytes().all(is_name_octet) {
            return Err(InvalidEndpoint::Host);
        }
        Ok(Self(text.to_string()))
    }
}

/// `address%zone`.
fn zoned(text: &str) -> Result<HostName, InvalidEndpoint> {
    bounded(text)?;
    let (address, zone) = text.split_once('%').ok_or(InvalidEndpoint::Host)?;
    let address: Ipv6Addr = address.parse().map_err(|_| InvalidEndpoint::Host)?;
    if zone.is_empty() || !zone.bytes().all(is_name_octet) {
        return Err(InvalidEndpoint::Host);
    }
    let name = alloc::format!("{address}%{zone}");
    bounded(&name)?; // an address may be longer in its usual form
    Ok(HostName(name))
}

fn bounded(host: &str) -> Result<(), InvalidEndpoint> {
    if host.len() > HostName::LIMIT {
        return Err(InvalidEndpoint::TooLong {
            octets: host.len(),
            limit: HostName::LIMIT,
        });
    }
    Ok(())
}

fn is_name_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.')
}

impl TryFrom<&Text> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: &Text) -> Result<Self, InvalidEndpoint> {
        // What is not UTF-8 becomes U+FFFD, which no endpoint has.
        text.to_str_lossy().parse()
    }
}

impl From<&Endpoint> for Text {
    fn from(endpoint: &Endpoint) -> Self {
        Self::try_from(endpoint.to_string())
            .expect("a HostName is short enough, and every address is shorter")
    }
}

/// The zone of an IPv6 address is left out: it means nothing to others.
impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            // ZRE-102
            host: Host::Ip(address.ip()),
            port: address.port(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}:{}", self.host, self.port)
    }
}

/// As it stands in an endpoint: IPv6 addresses in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            // ZRE-102
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) if name.is_zoned() => write!(f, "[{name}]"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for HostName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for HostName {
    fn eq(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl PartialEq<&str> for HostName {
    fn eq(&self, text: &&str) -> bool {
        self.0 == *text
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}
