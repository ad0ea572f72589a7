//! Where a socket listens: on interfaces, addresses, paths and abstract names.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::{Path, PathBuf};

use atonce::socket::{Endpoint, Host, IpcPath};
use mio::net::{TcpListener, UnixListener, UnixStream};

use super::super::interfaces::{Listing, address_of, is_address};
use super::super::links::Listening;
use super::super::sockets;
use crate::socket::SocketError;

/// A place where is listened, and the file that is to go with it.
#[derive(Debug)]
pub(super) struct Place {
    key: usize,
    _file: Option<File>,
}

/// The file of a Unix socket.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// The device and the number of the file: another one of the same name is somebody else's.
    identity: (u64, u64),
}

impl Place {
    const fn new(file: Option<File>) -> Self {
        Self {
            key: 0,
            _file: file,
        }
    }

    /// With its place among the listeners.
    pub(super) fn at(self, key: usize) -> Self {
        let mut place = self;
        place.key = key;
        place
    }

    pub(super) const fn key(&self) -> usize {
        self.key
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the file of a socket stays behind");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Listens; gives where it really is.
pub(super) fn listen(endpoint: &Endpoint) -> Result<(Listening, Place, Endpoint), SocketError> {
    let refused = |source| SocketError::Listen {
        endpoint: endpoint.to_string(),
        source,
    };
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let (listener, host) = match host {
                Host::Any => (listen_on_all(*port).map_err(refused)?, Some(Host::Any)),
                Host::Ip(address) => (listen_on(*address, *port).map_err(refused)?, None),
                // Its zone is told with it: without it is no place.
                Host::Name(name) if name.as_str().contains('%') => {
                    let mut address = zoned(endpoint, name.as_str())?;
                    address.set_port(*port);
                    let listener = sockets::listen_at(address, &(*port..=*port));
                    (listener.map_err(refused)?, Some(host.clone()))
                }
                Host::Name(name) => {
                    let address = interface(endpoint, name.as_str())?;
                    (listen_on(address, *port).map_err(refused)?, None)
                }
            };
            let address = listener.local_addr().map_err(refused)?;
            let real = Endpoint::Tcp {
                host: host.unwrap_or(Host::Ip(address.ip())),
                port: address.port(),
            };
            Ok((Listening::Tcp(listener), Place::new(None), real))
        }
        Endpoint::Ipc(path) => {
            let (listener, file) = listen_at(path).map_err(refused)?;
            Ok((
                Listening::Unix(listener),
                Place::new(file),
                endpoint.clone(),
            ))
        }
        _ => Err(refused(ErrorKind::Unsupported.into())),
    }
}

fn listen_on(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    sockets::listen(address, &(port..=port))
}

/// With one socket for both versions of IP, or, on a machine without IPv6, for the older one.
fn listen_on_all(port: u16) -> io::Result<TcpListener> {
    match sockets::listen_on_all(port) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
            ) || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) =>
        {
            listen_on(Ipv4Addr::UNSPECIFIED.into(), port)
        }
        result => result,
    }
}

/// The address of an interface; of several the first, IPv4 before IPv6.
fn interface(endpoint: &Endpoint, name: &str) -> Result<IpAddr, SocketError> {
    if name.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let listing = |source| SocketError::System {
        what: "a list of the interfaces",
        source,
    };
    if let Some(address) = address_of(name).map_err(listing)? {
        return Ok(address);
    }
    Err(unknown(endpoint, &Listing::read().map_err(listing)?))
}

/// An address that is good on one link only, with its zone: `fe80::1%eth0`.
// SOCK-1
fn zoned(endpoint: &Endpoint, name: &str) -> Result<SocketAddr, SocketError> {
    let listing = Listing::read().map_err(|source| SocketError::System {
        what: "a list of the interfaces",
        source,
    })?;
    let found = listing.found.iter().find(|found| is_address(name, found));
    found
        .map(|found| found.at(0))
        .ok_or_else(|| unknown(endpoint, &listing))
}

fn unknown(endpoint: &Endpoint, listing: &Listing) -> SocketError {
    SocketError::Interface {
        endpoint: endpoint.to_string(),
        present: listing.describe(),
    }
}

/// The address of a Unix socket.
pub(super) fn address(path: &IpcPath) -> io::Result<UnixAddr> {
    match path.abstract_name() {
        Some(name) => abstract_address(name),
        None => UnixAddr::from_pathname(path.as_str()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_address(name: &str) -> io::Result<UnixAddr> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;

    UnixAddr::from_abstract_name(name)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_address(_name: &str) -> io::Result<UnixAddr> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "abstract names of sockets are there on Linux only",
    ))
}

/// Listens at a path. A file that a process left behind which did not end in order is replaced; one that somebody listens at, or
/// that is no socket, is not. (Of two processes that replace the same file at the same moment, one may take it from the other.)
fn listen_at(path: &IpcPath) -> io::Result<(UnixListener, Option<File>)> {
    let address = address(path)?;
    let listener = match UnixListener::bind_addr(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && address.as_pathname().is_some() => {
            remove_dead(path, &address)?;
            UnixListener::bind_addr(&address)?
        }
        result => result?,
    };
    let file = address.as_pathname().and_then(|path| {
        let identity = identity(path).ok()?;
        let path = std::path::absolute(path).ok()?;
        Some(File { path, identity })
    });
    Ok((listener, file))
}

fn remove_dead(path: &IpcPath, address: &UnixAddr) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path.as_str())?;
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "there is a file of this name, which is no socket",
        ));
    }
    match UnixStream::connect_addr(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            tracing::debug!(%path, "nobody listens at this file any more");
            fs::remove_file(path.as_str())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Somebody answers, or has more to do than to answer.
        _ => Err(ErrorKind::AddrInUse.into()),
    }
}
