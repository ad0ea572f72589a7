//! Connections over TCP and over sockets of this machine's files, and what accepts them.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr as UnixAddr;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

/// A connection.
#[derive(Debug)]
pub(in crate::driver) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket that others connect to.
#[derive(Debug)]
pub(in crate::driver) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Where a connection is made to.
#[derive(Clone, Debug)]
pub(in crate::driver) enum Address {
    Tcp(SocketAddr),
    Unix(UnixAddr),
}

/// How far a dialled connection is.
#[derive(Debug)]
pub(super) enum Dialled {
    /// It is made; over TCP, from this address of ours.
    Made(Option<SocketAddr>),
    /// It was made to itself.
    Itself,
    NotYet,
}

impl Stream {
    pub(super) fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpStream::connect(*address).map(Self::Tcp),
            Address::Unix(address) => UnixStream::connect_addr(address).map(Self::Unix),
        }
    }

    /// What is small is sent at once: it is the machine that gathers it.
    pub(super) fn set_options(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Whether a dial is done, or what it failed with.
    pub(super) fn dialled(&self) -> io::Result<Dialled> {
        let made = match self {
            Self::Tcp(stream) => stream.peer_addr().and_then(|there| {
                let here = stream.local_addr()?;
                // A dial to a port of this machine where nobody listens can meet itself, when the kernel picks that very
                // port to dial from.
                Ok(match here == there {
                    true => Dialled::Itself,
                    false => Dialled::Made(Some(here)),
                })
            }),
            Self::Unix(stream) => stream.peer_addr().map(|_| Dialled::Made(None)),
        };
        let error = match made {
            Ok(made) => return Ok(made),
            // What the dial failed with, if it did, says more.
            Err(error) => match self.take_error() {
                Ok(Some(error)) | Err(error) => error,
                Ok(None) => error,
            },
        };
        if error.kind() == io::ErrorKind::NotConnected {
            return Ok(Dialled::NotYet);
        }
        Err(error)
    }

    /// Nothing more is written; what was written still goes out.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            Self::Unix(stream) => stream.take_error(),
        }
    }

    /// The address of ours that it goes from; `None` when it leaves no machine.
    pub(super) fn local_address(&self) -> Option<io::Result<SocketAddr>> {
        match self {
            Self::Tcp(stream) => Some(stream.local_addr()),
            Self::Unix(_) => None,
        }
    }

    pub(super) fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(octets),
            Self::Unix(stream) => stream.read(octets),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Listening {
    /// The next connection, and over TCP where it comes from.
    pub(super) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept()?;
                Ok((Stream::Tcp(stream), Some(remote)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
            Self::Unix(listener) => listener,
        }
    }
}

/// A socket is registered once in its life, and closed to be registered no more.
macro_rules! source {
    ($socket:ty) => {
        impl Source for $socket {
            fn register(
                &mut self,
                registry: &Registry,
                token: Token,
                interests: Interest,
            ) -> io::Result<()> {
                self.source().register(registry, token, interests)
            }

            fn reregister(
                &mut self,
                registry: &Registry,
                token: Token,
                interests: Interest,
            ) -> io::Result<()> {
                self.source().reregister(registry, token, interests)
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                self.source().deregister(registry)
            }
        }
    };
}

source!(Stream);
source!(Listening);

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_socket_in_a_file_is_connected_to_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let address = UnixAddr::from_pathname(folder.path().join("socket")).unwrap();
        let listener = Listening::Unix(UnixListener::bind_addr(&address).unwrap());
        let there = Stream::connect(&Address::Unix(address)).unwrap();
        assert!(matches!(there.dialled().unwrap(), Dialled::Made(None)));
        assert!(there.local_address().is_none());
        let (mut here, remote) = listener.accept().unwrap();
        assert_eq!(remote, None);
        let mut octets = [0; 8];
        assert_eq!(
            here.read(&mut octets).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let Stream::Unix(mut there) = there else {
            panic!("of another kind")
        };
        there.write_all(b"abc").unwrap();
        assert_eq!(here.read(&mut octets).unwrap(), 3);
        drop(there);
        assert_eq!(here.read(&mut octets).unwrap(), 0);
    }

    #[test]
    fn what_nobody_listens_to_is_not_connected_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = Address::Unix(UnixAddr::from_pathname(&path).unwrap());
        let error = Stream::connect(&address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        // One that is left of a process that ended.
        drop(UnixListener::bind(&path).unwrap());
        let error = Stream::connect(&address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
