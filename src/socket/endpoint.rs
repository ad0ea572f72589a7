//! Where a socket listens and where it dials: `tcp://…` and `ipc://…`.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use crate::endpoint::{self, HostName};

const TCP: &str = "tcp://";
const IPC: &str = "ipc://";

/// Where a socket listens, or where it dials.
///
/// | text | to listen | to dial |
/// |---|---|---|
/// | `tcp://*:5555` | on all interfaces | not possible |
/// | `tcp://192.168.1.7:5555`, `tcp://[::1]:5555` | on this address | this address |
/// | `tcp://[fe80::1%eth0]:5555` | on this address of this interface | this address, over this interface |
/// | `tcp://eth0:5555` | on the interface of this name | the host of this name |
/// | `tcp://127.0.0.1:0`, `tcp://127.0.0.1:*` | on a port that the system chooses | not possible |
/// | `ipc:///tmp/feed`, `ipc://feed` | on this path | this path |
/// | `ipc://@feed` | on this abstract name (Linux) | this abstract name |
///
/// ```
/// use atonce::socket::{Endpoint, Host};
///
/// let endpoint: Endpoint = "tcp://*:5555".parse()?;
/// assert_eq!(endpoint, Endpoint::Tcp { host: Host::Any, port: 5555 });
/// assert!(!endpoint.can_be_dialled());
/// assert_eq!("ipc://@feed".parse::<Endpoint>()?.to_string(), "ipc://@feed");
/// assert_eq!("tcp://[::1]:*".parse::<Endpoint>()?.to_string(), "tcp://[::1]:0");
/// # Ok::<(), atonce::socket::InvalidEndpoint>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Over TCP.
    Tcp {
        /// The interface or machine.
        host: Host,
        /// The port; 0 to listen on one that the system chooses.
        port: u16,
    },
    /// Over a Unix socket of this machine.
    Ipc(IpcPath),
}

/// The interface or machine of an [`Endpoint`].
///
/// ```
/// use atonce::socket::Host;
///
/// assert_eq!("*".parse::<Host>()?, Host::Any);
/// assert!(matches!("eth0".parse::<Host>()?, Host::Name(_)));
/// # Ok::<(), atonce::socket::InvalidEndpoint>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// All interfaces: `*`.
    Any,
    /// An address.
    Ip(IpAddr),
    /// A name: of an interface to listen on, of a host to dial. The embedder finds out what it stands for.
    Name(HostName),
}

/// The path of a Unix socket, or its abstract name, which begins with `@`. It has 1 to 107 octets and no NUL.
///
/// ```
/// use atonce::socket::IpcPath;
///
/// let path: IpcPath = "@feed".parse()?;
/// assert_eq!(path.abstract_name(), Some("feed"));
/// assert!("".parse::<IpcPath>().is_err());
/// # Ok::<(), atonce::socket::InvalidEndpoint>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpcPath(String);

/// What was given is not an [`Endpoint`].
///
/// ```
/// use atonce::socket::{Endpoint, InvalidEndpoint};
///
/// let error = "udp://*:1".parse::<Endpoint>();
/// assert_eq!(error, Err(InvalidEndpoint::Scheme));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It begins with neither `tcp://` nor `ipc://`: no other transport is spoken.
    #[error("expected tcp://host:port or ipc://path, found another beginning")]
    Scheme,
    /// There is no colon after the host.
    #[error("expected tcp://host:port, found no port")]
    NoPort,
    /// What stands after the last colon is no port.
    #[error("expected a port from 0 to 65535 or * after the last colon, found something else")]
    Port,
    /// The host is no address, no name and not `*`.
    #[error("{0}")]
    Host(endpoint::InvalidEndpoint),
    /// The path of a Unix socket is empty, is `*` or `@` alone, or has a NUL.
    #[error("expected a path or @name after ipc://, found something else")]
    Path,
    /// The path of a Unix socket is too long.
    #[error("expected a path of at most {limit} octets, found {octets}")]
    TooLong {
        /// How long it is.
        octets: usize,
        /// How long it may be.
        limit: usize,
    },
}

impl Endpoint {
    /// Whether it says where to dial: it has a host and a port.
    // SOCK-3
    pub const fn can_be_dialled(&self) -> bool {
        !matches!(
            self,
            Self::Tcp {
                host: Host::Any,
                ..
            } | Self::Tcp { port: 0, .. }
        )
    }

    /// The address, when it is over TCP and has one.
    pub const fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp {
                host: Host::Ip(address),
                port,
            } => Some(SocketAddr::new(*address, *port)),
            _ => None,
        }
    }
}

impl IpcPath {
    /// The longest path, in octets: what the address of a Unix socket holds on Linux.
    pub const LIMIT: usize = 107;

    /// As it stands in an endpoint.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The abstract name; `None` when it is a path in the file system.
    pub fn abstract_name(&self) -> Option<&str> {
        self.0.strip_prefix('@')
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    // SOCK-1
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(path) = text.strip_prefix(IPC) {
            return path.parse().map(Self::Ipc);
        }
        let rest = text.strip_prefix(TCP).ok_or(InvalidEndpoint::Scheme)?;
        if rest.ends_with(']') {
            return Err(InvalidEndpoint::NoPort); // the colons are all within the brackets
        }
        let (host, port) = rest.rsplit_once(':').ok_or(InvalidEndpoint::NoPort)?;
        Ok(Self::Tcp {
            host: host.parse()?,
            port: parse_port(port)?,
        })
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidEndpoint> {
    if text == "*" {
        return Ok(0);
    }
    // `parse` alone would take "+1" as well.
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(InvalidEndpoint::Port);
    }
    text.parse().map_err(|_| InvalidEndpoint::Port)
}

impl FromStr for Host {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.parse::<endpoint::Host>() {
            Ok(endpoint::Host::Ip(address)) => Ok(Self::Ip(address)),
            Ok(endpoint::Host::Name(name)) => Ok(Self::Name(name)),
            Err(error) => Err(InvalidEndpoint::Host(error)),
        }
    }
}

impl FromStr for IpcPath {
    type Err = InvalidEndpoint;

    // SOCK-2
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if matches!(text, "" | "*" | "@") || text.contains('\0') {
            return Err(InvalidEndpoint::Path);
        }
        if text.len() > Self::LIMIT {
            return Err(InvalidEndpoint::TooLong {
                octets: text.len(),
                limit: Self::LIMIT,
            });
        }
        Ok(Self(text.to_string()))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp {
            host: Host::Ip(address.ip()),
            port: address.port(),
        }
    }
}

impl From<IpcPath> for Endpoint {
    fn from(path: IpcPath) -> Self {
        Self::Ipc(path)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{TCP}{host}:{port}"),
            Self::Ipc(path) => write!(f, "{IPC}{path}"),
        }
    }
}

/// As it stands in an endpoint: IPv6 addresses in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Ip(address) => endpoint::Host::Ip(*address).fmt(f),
            Self::Name(name) => endpoint::Host::Name(name.clone()).fmt(f),
        }
    }
}

impl fmt::Display for IpcPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for IpcPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for IpcPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
