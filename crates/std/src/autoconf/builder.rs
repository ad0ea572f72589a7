//! What an announcer or a seeker is made of, before it starts.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use atonce::autoconf::{PORT, announcer, seeker};
use atonce::curve::PublicKey;
use atonce::wire::Text;
use atonce::wire::autoconf::{InvalidOffer, ServiceName};

use super::driver::What;
use super::{Announcer, AutoconfError, Seeker};

/// A kind of announcer or seeker that a builder can start, with these options. For adapters.
pub trait Start<O>: Sized {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// An interface is not there, or the port is held by somebody. Nothing of it is left.
    fn start(options: O) -> Result<Self, AutoconfError>;
}

/// Makes an [`Announcer`]. Everything has a default but the service and where it is.
///
/// The same builder makes announcers of `atonce-std` and of `atonce-tokio`: `A` is the kind.
///
/// ```no_run
/// use atonce_std::autoconf::Announcer;
///
/// let announcer = Announcer::builder("printing")
///     .endpoint("tcp://*:50053") // at every address of the interfaces in use
///     .property("colour", "yes")
///     .start()?;
/// # Ok::<(), atonce_std::autoconf::AutoconfError>(())
/// ```
#[must_use]
pub struct AnnouncerBuilder<A = Announcer> {
    service: String,
    endpoints: Vec<String>,
    key: Option<PublicKey>,
    properties: Vec<(String, String)>,
    config: announcer::Config,
    network: Network,
    kind: PhantomData<fn() -> A>,
}

/// What an [`AnnouncerBuilder`] was told, checked. For adapters: it makes a [`Driver`](super::driver::Driver).
#[derive(Clone, Debug)]
pub struct AnnouncerOptions {
    pub(super) what: What,
    pub(super) config: announcer::Config,
    pub(super) network: Network,
}

/// Makes a [`Seeker`]. Everything has a default: it seeks every service, everywhere.
///
/// The same builder makes seekers of `atonce-std` and of `atonce-tokio`: `S` is the kind.
///
/// ```no_run
/// use atonce_std::autoconf::Seeker;
///
/// let seeker = Seeker::builder().service("printing").interface("eth0").start()?;
/// # Ok::<(), atonce_std::autoconf::AutoconfError>(())
/// ```
#[must_use]
pub struct SeekerBuilder<S = Seeker> {
    services: Vec<String>,
    keys: BTreeSet<[u8; 32]>,
    only_at_source: bool,
    network: Network,
    kind: PhantomData<fn() -> S>,
}

/// What a [`SeekerBuilder`] was told, checked. For adapters: it makes a [`Driver`](super::driver::Driver).
#[derive(Clone, Debug)]
pub struct SeekerOptions {
    pub(super) config: seeker::Config,
    pub(super) network: Network,
}

/// By which ways datagrams go.
// AUTO-10
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    /// By multicast of IPv4.
    pub(super) ipv4: bool,
    /// By multicast of IPv6.
    pub(super) ipv6: bool,
    /// By broadcast of IPv4.
    pub(super) broadcast: bool,
}

/// Where and by which ways, as both builders have it.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) interfaces: Vec<String>,
    pub(super) ways: Ways,
    pub(super) port: u16,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            ways: Ways {
                ipv4: true,
                ipv6: true,
                broadcast: true,
            },
            port: PORT,
        }
    }
}

/// The methods of a builder that say where.
macro_rules! network {
    () => {
        /// Uses this interface, by name or address; several are several calls. Without any it is every one that is up, can do
        /// multicast or broadcast, and is not the loopback.
        pub fn interface(mut self, interface: impl Into<String>) -> Self {
            self.network.interfaces.push(interface.into());
            self
        }

        /// The UDP port, the same for all who are to find each other: [`PORT`].
        pub fn port(mut self, port: u16) -> Self {
            self.network.port = port;
            self
        }

        /// Whether datagrams go by multicast of IPv4: they do.
        pub fn ipv4(mut self, on: bool) -> Self {
            self.network.ways.ipv4 = on;
            self
        }

        /// Whether datagrams go by multicast of IPv6: they do, except on the loopback.
        pub fn ipv6(mut self, on: bool) -> Self {
            self.network.ways.ipv6 = on;
            self
        }

        /// Whether datagrams go by broadcast: they do.
        pub fn broadcast(mut self, on: bool) -> Self {
            self.network.ways.broadcast = on;
            self
        }
    };
}

impl<A> AnnouncerBuilder<A> {
    /// One for a server of this service.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            endpoints: Vec::new(),
            key: None,
            properties: Vec::new(),
            config: announcer::Config::default(),
            network: Network::default(),
            kind: PhantomData,
        }
    }

    network!();

    /// Where the server is: `tcp://ADDRESS:PORT`, where it was bound before; several are several calls, of which clients try the first one
    /// first. The address is none that others would have to look up. For `tcp://*:PORT` those of the interfaces in use are announced,
    /// also when they change, for `tcp://0.0.0.0:PORT` those of IPv4 only, and for `tcp://[::]:PORT` those of IPv6.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// The server wants CURVE, and this is its public key.
    pub fn key(mut self, key: PublicKey) -> Self {
        self.key = Some(key);
        self
    }

    /// What else clients are told; at most 16 of them.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// The time between two announcements: 15 s. From 100 ms to 100 s; what is less or more counts as that.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.config.interval = interval;
        self
    }

    /// Checks what was given.
    ///
    /// # Errors
    ///
    /// It cannot be announced.
    pub fn options(self) -> Result<AnnouncerOptions, AutoconfError> {
        Ok(AnnouncerOptions {
            what: self.what()?,
            config: self.config,
            network: self.network,
        })
    }

    fn what(&self) -> Result<What, AutoconfError> {
        let service = self.service.parse();
        let service: ServiceName = service.map_err(|source| AutoconfError::Service {
            name: self.service.clone(),
            source,
        })?;
        if self.endpoints.is_empty() {
            return Err(InvalidOffer::NoEndpoint.into());
        }
        let endpoints = self.endpoints.iter().map(|endpoint| {
            parse(endpoint).ok_or_else(|| AutoconfError::Endpoint {
                endpoint: endpoint.clone(),
            })
        });
        let mut properties = Vec::new();
        for (name, value) in &self.properties {
            match (Text::try_from(name), Text::try_from(value)) {
                (Ok(name), Ok(value)) => properties.push((name, value)),
                _ => return Err(AutoconfError::Property { name: name.clone() }),
            }
        }
        let what = What {
            service,
            endpoints: endpoints.collect::<Result<Vec<_>, _>>()?.concat(),
            key: self.key,
            properties,
        };
        // As if each address were one that there is: what is wrong with all else is told now.
        let sample = what.endpoints.iter().map(|endpoint| match endpoint.ip() {
            any if any.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port())),
            _ => *endpoint,
        });
        let mut sample: Vec<SocketAddr> = sample.collect();
        sample.dedup();
        what.offer(sample)?;
        Ok(what)
    }
}

impl<A: Start<AnnouncerOptions>> AnnouncerBuilder<A> {
    /// Begins to announce the server, at once.
    ///
    /// # Errors
    ///
    /// What was given cannot be announced, an interface is not there, or the port is held by somebody. That no interface is up is no
    /// error: one is waited for.
    pub fn start(self) -> Result<A, AutoconfError> {
        A::start(self.options()?)
    }
}

impl<S> SeekerBuilder<S> {
    network!();

    /// Seeks this service; several are several calls. Without any it is every service.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.services.push(service.into());
        self
    }

    /// Knows only servers with this public key; with one of them, when it is called several times. Connect to them with CURVE and that key: then it is
    /// its owner who answers, or nobody.
    pub fn key(mut self, key: PublicKey) -> Self {
        self.keys.insert(*key.as_bytes());
        self
    }

    /// Knows servers only at the address from which they are announced, so that a stranger cannot have this client connect to somebody
    /// else's.
    pub fn only_at_source(mut self) -> Self {
        self.only_at_source = true;
        self
    }

    /// Checks what was given.
    ///
    /// # Errors
    ///
    /// A name cannot be that of a service.
    pub fn options(self) -> Result<SeekerOptions, AutoconfError> {
        let services = self.services.into_iter().map(|name| match name.parse() {
            Ok(service) => Ok(service),
            Err(source) => Err(AutoconfError::Service { name, source }),
        });
        let config = seeker::Config {
            services: services.collect::<Result<_, _>>()?,
            keys: Some(self.keys).filter(|keys| !keys.is_empty()),
            elsewhere: !self.only_at_source,
            limits: seeker::Limits::default(),
        };
        Ok(SeekerOptions {
            config,
            network: self.network,
        })
    }
}

impl<S: Start<SeekerOptions>> SeekerBuilder<S> {
    /// Begins to seek, at once.
    ///
    /// # Errors
    ///
    /// A name cannot be that of a service, an interface is not there, or the port is held by somebody. That no interface is up is no
    /// error: one is waited for.
    pub fn start(self) -> Result<S, AutoconfError> {
        S::start(self.options()?)
    }
}

/// `tcp://ADDRESS:PORT`, or `tcp://*:PORT`, which is both families.
fn parse(endpoint: &str) -> Option<Vec<SocketAddr>> {
    let place = endpoint.strip_prefix("tcp://")?;
    if let Some(port) = place.strip_prefix("*:") {
        let port = port.parse().ok()?;
        let v4 = (Ipv4Addr::UNSPECIFIED, port).into();
        return Some(vec![v4, (Ipv6Addr::UNSPECIFIED, port).into()]);
    }
    Some(vec![place.parse().ok()?])
}

impl<S> Default for SeekerBuilder<S> {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            keys: BTreeSet::new(),
            only_at_source: false,
            network: Network::default(),
            kind: PhantomData,
        }
    }
}

// Derived, they would ask for `A: Clone` and `A: Debug`.
impl<A> Clone for AnnouncerBuilder<A> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            endpoints: self.endpoints.clone(),
            key: self.key,
            properties: self.properties.clone(),
            config: self.config.clone(),
            network: self.network.clone(),
            kind: PhantomData,
        }
    }
}

impl<S> Clone for SeekerBuilder<S> {
    fn clone(&self) -> Self {
        Self {
            services: self.services.clone(),
            keys: self.keys.clone(),
            only_at_source: self.only_at_source,
            network: self.network.clone(),
            kind: PhantomData,
        }
    }
}

impl<A> fmt::Debug for AnnouncerBuilder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnnouncerBuilder")
            .field("service", &self.service)
            .field("endpoints", &self.endpoints)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for SeekerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeekerBuilder")
            .field("services", &self.services)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
