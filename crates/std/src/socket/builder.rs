//! What a socket is made of, before it is there.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use atonce::Bytes;
use atonce::curve::PublicKey;
use atonce::socket::{Backoff, Config, Endpoint, Kind, QueueLimit, Security, SubscriptionLimit};
use atonce::wire::Text;
use atonce::wire::zmtp::Identity;
use atonce::zmtp::{Heartbeat, Limits};

use super::{Passwords, Socket, SocketError};
use crate::{Certificate, Trust};

/// Makes a socket. Everything has a default; what is wrong is told by [`open`](Self::open).
///
/// The same builder makes sockets of `atonce-std` and of `atonce-tokio`: `S` is the kind of socket.
///
/// ```
/// use std::time::Duration;
///
/// use atonce_std::socket::{Kind, QueueLimit};
/// use atonce_std::Socket;
///
/// let dealer = Socket::builder(Kind::Dealer)
///     .identity("worker-7")
///     .heartbeat(Duration::from_secs(2))
///     .send_limit(QueueLimit { messages: 10, ..QueueLimit::default() })
///     .connect("tcp://127.0.0.1:5555")
///     .open()?;
/// # Ok::<(), atonce_std::socket::SocketError>(())
/// ```
#[must_use]
pub struct SocketBuilder<S = Socket> {
    kind: Kind,
    config: Config,
    identity: Option<Bytes>,
    security: Secured,
    binds: Vec<String>,
    connects: Vec<String>,
    subscriptions: Vec<Bytes>,
    seed: Option<[u8; 32]>,
    socket: PhantomData<fn() -> S>,
}

#[derive(Clone)]
enum Secured {
    Null,
    PlainClient { username: String, password: String },
    PlainServer(Passwords),
    CurveClient { own: Certificate, server: PublicKey },
    CurveServer { own: Certificate, trust: Trust },
}

/// A kind of socket that a [`SocketBuilder`] can make. For adapters.
pub trait Open: Sized {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// What the options ask for cannot be done. Nothing of the socket is left.
    fn open(options: SocketOptions) -> Result<Self, SocketError>;
}

/// What a [`SocketBuilder`] made sure of, for an adapter to make a socket of.
#[derive(Debug)]
#[non_exhaustive]
pub struct SocketOptions {
    pub(crate) kind: Kind,
    pub(crate) config: Config,
    pub(crate) trust: Option<Trust>,
    pub(crate) passwords: Option<Passwords>,
    pub(crate) binds: Vec<Endpoint>,
    pub(crate) connects: Vec<Endpoint>,
    pub(crate) subscriptions: Vec<Bytes>,
    pub(crate) seed: Option<[u8; 32]>,
}

impl SocketOptions {
    /// Which type the socket is to be.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// For how long a socket that is closed still sends.
    pub fn linger(&self) -> Duration {
        self.config.linger
    }
}

impl<S> SocketBuilder<S> {
    /// A socket of this type.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            config: Config::default(),
            identity: None,
            security: Secured::Null,
            binds: Vec::new(),
            connects: Vec::new(),
            subscriptions: Vec::new(),
            seed: None,
            socket: PhantomData,
        }
    }

    /// Everything that the core can be told, at once; its identity and security are replaced by what is said here besides. For what
    /// has no method of its own.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The name under which a ROUTER is to know this socket: 1 to 255 octets, of which the first is not 0. Without it a ROUTER makes
    /// one up.
    pub fn identity(mut self, identity: impl Into<Bytes>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Encrypts what is said, as the server: it has the certificate `own`, whose public key clients know, and lets in whose keys are
    /// trusted. Which side is the server does not depend on which side binds. Where [`Trust::ask`] is told where somebody comes from,
    /// `127.0.0.1:0` stands for a Unix socket.
    ///
    /// ```
    /// use atonce_std::socket::Kind;
    /// use atonce_std::{Certificate, Socket, Trust};
    ///
    /// let (own, client) = (Certificate::generate()?, Certificate::generate()?);
    /// let pull = Socket::builder(Kind::Pull)
    ///     .curve_server(own.clone(), Trust::keys([*client.public_key()]))
    ///     .open()?;
    /// let endpoint = pull.bind("tcp://127.0.0.1:0")?;
    /// let push = Socket::builder(Kind::Push)
    ///     .curve_client(client, *own.public_key())
    ///     .connect(&endpoint)
    ///     .open()?;
    /// push.send("secret")?;
    /// assert_eq!(pull.recv()?[0], "secret");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn curve_server(mut self, own: Certificate, trust: Trust) -> Self {
        self.security = Secured::CurveServer { own, trust };
        self
    }

    /// Encrypts what is said, as a client of servers with this key.
    pub fn curve_client(mut self, own: Certificate, server: PublicKey) -> Self {
        self.security = Secured::CurveClient { own, server };
        self
    }

    /// Lets in who says a name and a password that may come in. Everybody on the way can read them.
    pub fn plain_server(mut self, passwords: Passwords) -> Self {
        self.security = Secured::PlainServer(passwords);
        self
    }

    /// Says a name and a password, each of at most 255 octets, to whoever is there. Everybody on the way can read them.
    pub fn plain_client(
        mut self,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.security = Secured::PlainClient {
            username: username.into(),
            password: password.into(),
        };
        self
    }

    /// Asks peers that were silent for so long whether they are there, and gives up those that do not answer in the same time again.
    /// Without it only TCP finds out, which may take a quarter of an hour. Peers of version 3.0 are not asked.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.config.heartbeat = Some(Heartbeat::every(every));
        self
    }

    /// How long a socket that is closed still sends what was queued: 30 s.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// What may wait to be sent to one peer: 1,000 messages, 64 MiB.
    pub fn send_limit(mut self, limit: QueueLimit) -> Self {
        self.config.send = limit;
        self
    }

    /// What may wait of one peer to be received: 1,000 messages, 64 MiB. Then TCP makes it wait.
    pub fn receive_limit(mut self, limit: QueueLimit) -> Self {
        self.config.receive = limit;
        self
    }

    /// What a peer may send at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// When what was connected is dialled again: after 100 ms, and then twice as long each time, up to 30 s.
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.config.reconnect = backoff;
        self
    }

    /// How long a link may take to the end of its handshake: 30 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.handshake_timeout = timeout;
        self
    }

    /// What one peer may subscribe to (PUB, XPUB).
    pub fn subscription_limit(mut self, limit: SubscriptionLimit) -> Self {
        self.config.subscriptions = limit;
        self
    }

    /// Whether messages are queued only for peers that are there (PUSH, DEALER, REQ, PAIR): `false`.
    pub fn immediate(mut self, immediate: bool) -> Self {
        self.config.immediate = immediate;
        self
    }

    /// Whether a ROUTER tells of messages for nobody instead of dropping them: `true`.
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        self.config.mandatory = mandatory;
        self
    }

    /// Whether a peer whose identity is taken gets it, and the one before loses its link (ROUTER): `false`.
    pub fn handover(mut self, handover: bool) -> Self {
        self.config.handover = handover;
        self
    }

    /// Whether a slow peer makes a PUB or XPUB wait, instead of missing messages: `false`.
    pub fn no_drop(mut self, no_drop: bool) -> Self {
        self.config.no_drop = no_drop;
        self
    }

    /// Whether a REQ numbers its requests, and so knows which answer is to which: `false`.
    pub fn correlate(mut self, correlate: bool) -> Self {
        self.config.correlate = correlate;
        self
    }

    /// Whether an XPUB tells of every subscription, and not only of the first of a prefix: `false`.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.config.verbose = verbose;
        self
    }

    /// Where to listen; can be called again for more. See [`Socket::bind`].
    pub fn bind(mut self, endpoint: impl Into<String>) -> Self {
        self.binds.push(endpoint.into());
        self
    }

    /// Where to connect; can be called again for more. See [`Socket::connect`].
    pub fn connect(mut self, endpoint: impl AsRef<str>) -> Self {
        self.connects.push(endpoint.as_ref().to_owned());
        self
    }

    /// What to subscribe to (SUB, XSUB); can be called again for more. Empty is everything.
    pub fn subscribe(mut self, prefix: impl Into<Bytes>) -> Self {
        self.subscriptions.push(prefix.into());
        self
    }

    /// The seed of everything that the socket does at random, for tests; from the operating system when it is not set.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks what was given.
    ///
    /// # Errors
    ///
    /// Something of it is wrong.
    pub fn options(self) -> Result<SocketOptions, SocketError> {
        let mut config = self.config;
        if let Some(identity) = self.identity {
            config.identity = Identity::try_from(identity)?;
        }
        let keys = |own: &Certificate| own.key_pair().cloned().ok_or(SocketError::NoSecretKey);
        let text = |what, text: String| {
            Text::try_from(text).map_err(|source| SocketError::Credentials { what, source })
        };
        let (mut trust, mut passwords) = (None, None);
        match self.security {
            Secured::Null => {}
            Secured::PlainClient { username, password } => {
                config.security = Security::PlainClient {
                    username: text("name", username)?,
                    password: text("password", password)?.into(),
                };
            }
            Secured::PlainServer(list) => {
                config.security = Security::PlainServer;
                passwords = Some(list);
            }
            Secured::CurveClient { own, server } => {
                let keys = keys(&own)?;
                config.security = Security::CurveClient { keys, server };
            }
            Secured::CurveServer { own, trust: list } => {
                config.security = Security::CurveServer { keys: keys(&own)? };
                trust = Some(list);
            }
        }
        let all = |endpoints: Vec<String>| -> Result<Vec<_>, _> {
            endpoints
                .iter()
                .map(|endpoint| parse_endpoint(endpoint))
                .collect()
        };
        Ok(SocketOptions {
            kind: self.kind,
            config,
            trust,
            passwords,
            binds: all(self.binds)?,
            connects: all(self.connects)?,
            subscriptions: self.subscriptions,
            seed: self.seed,
        })
    }
}

impl<S: Open> SocketBuilder<S> {
    /// Makes the socket; it listens and is being connected when this returns.
    ///
    /// # Errors
    ///
    /// What was asked for cannot be done. Nothing of the socket is left.
    pub fn open(self) -> Result<S, SocketError> {
        S::open(self.options()?)
    }
}

/// An endpoint as it is written, for adapters.
///
/// # Errors
///
/// It is none.
///
/// ```
/// use atonce_std::socket::{SocketError, parse_endpoint};
///
/// assert_eq!(parse_endpoint("tcp://*:5555")?.to_string(), "tcp://*:5555");
/// assert!(matches!(parse_endpoint("udp://*:5555"), Err(SocketError::Endpoint { .. })));
/// # Ok::<(), SocketError>(())
/// ```
pub fn parse_endpoint(endpoint: &str) -> Result<Endpoint, SocketError> {
    endpoint.parse().map_err(|source| SocketError::Endpoint {
        endpoint: endpoint.to_owned(),
        source,
    })
}

// Derived, they would ask for `S: Clone` and `S: Debug`.
impl<S> Clone for SocketBuilder<S> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            config: self.config.clone(),
            identity: self.identity.clone(),
            security: self.security.clone(),
            binds: self.binds.clone(),
            connects: self.connects.clone(),
            subscriptions: self.subscriptions.clone(),
            seed: self.seed,
            socket: PhantomData,
        }
    }
}

impl<S> fmt::Debug for SocketBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketBuilder")
            .field("kind", &self.kind)
            .field("identity", &self.identity)
            .field("binds", &self.binds)
            .field("connects", &self.connects)
            .finish_non_exhaustive()
    }
}
