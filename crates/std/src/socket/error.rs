//! Why a socket is not made, bound or connected, in words that say what to do.

use std::io::{self, ErrorKind};

use atonce::socket::{ConnectError, InvalidEndpoint, SubscribeError};
use atonce::wire::TooLong;
use atonce::wire::zmtp::InvalidIdentity;

/// Why a socket was not made, bound, connected or subscribed. Nothing was changed, and nothing of a socket that was not made is left.
///
/// ```
/// use atonce_std::socket::{Kind, SocketError};
/// use atonce_std::Socket;
///
/// let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let endpoint = format!("tcp://{}", taken.local_addr()?);
/// let error = Socket::new(Kind::Pull)?.bind(&endpoint).unwrap_err();
/// assert!(matches!(error, SocketError::Listen { .. }));
/// assert!(error.to_string().contains("choose another port"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// It is not of the form `tcp://HOST:PORT` or `ipc://PATH`.
    #[error("{endpoint:?} is not an endpoint: {source}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        source: InvalidEndpoint,
    },
    /// This machine has no interface of this name that is up and has an address.
    #[error(
        "cannot listen on {endpoint}: there is no interface of this name with an address; there is: {present}; or give an \
         address, or * for all"
    )]
    Interface {
        /// What was given.
        endpoint: String,
        /// What this machine has.
        present: String,
    },
    /// The operating system does not let it be listened there.
    #[error("cannot listen on {endpoint}: {source}{}", advice(endpoint, source))]
    Listen {
        /// What was given.
        endpoint: String,
        /// What it says.
        source: io::Error,
    },
    /// It cannot be connected there.
    #[error("cannot connect to {endpoint}: {source}")]
    Connect {
        /// What was given.
        endpoint: String,
        /// Why not.
        source: ConnectError,
    },
    /// The socket is neither bound nor connected there.
    #[error("{endpoint} is none of the endpoints of this socket: give it as it was given before")]
    Unknown {
        /// What was given.
        endpoint: String,
    },
    /// The subscription was not changed.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The identity is none.
    #[error("the identity of the socket: {0}")]
    Identity(#[from] InvalidIdentity),
    /// The name or the password is longer than the protocol allows.
    #[error("the {what} of the client: {source}")]
    Credentials {
        /// Which.
        what: &'static str,
        /// How much too long.
        source: TooLong,
    },
    /// The certificate of this side has no secret key.
    #[error(
        "the certificate has the public key only: this side needs the secret one, which `Certificate::load` finds in FILE_secret"
    )]
    NoSecretKey,
    /// The operating system has no poller, thread or descriptor left for the socket.
    #[error("the operating system refused {what}: {source}")]
    System {
        /// What was wanted from it.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// An asynchronous socket was made where no runtime runs.
    #[error("no asynchronous runtime runs here: open the socket within one")]
    NoRuntime,
    /// The socket was closed.
    #[error("the socket is closed")]
    Closed,
}

fn advice(endpoint: &str, error: &io::Error) -> &'static str {
    let is_ipc = endpoint.starts_with("ipc://");
    match error.kind() {
        ErrorKind::AddrInUse if is_ipc => {
            "; somebody listens there: end it, or choose another path"
        }
        ErrorKind::AddrInUse => "; choose another port, or 0 for any that is free",
        ErrorKind::AddrNotAvailable => {
            "; this machine has no such address: give one that it has, the name of an interface, or *"
        }
        ErrorKind::AlreadyExists => "; remove it, or choose another path",
        ErrorKind::NotFound => "; the folder has to be there before",
        ErrorKind::PermissionDenied if is_ipc => "; choose a folder that may be written to",
        ErrorKind::PermissionDenied => "; choose a port from 1024 on",
        _ => "",
    }
}
