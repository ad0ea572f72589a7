//! What a node is made of, before it starts.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use atonce::PeerId;
use atonce::endpoint::Endpoint;
use atonce::log::logger as log;
use atonce::wire::log::Level;
use atonce::wire::{Headers, LongText, Text};
use atonce::zre::{Beacons, Config, Curve, Limits};

use crate::gossip::GossipOptions;
use crate::{Certificate, ConnectError, Contact, Family, Node, StartError, Trust, service};

/// The UDP port that IANA assigned to ZRE discovery.
const BEACON_PORT: u16 = 5670;

/// The UDP port on which a directed node hears, as @Once has it: the next one.
const DIRECTED_PORT: u16 = 5671;

/// Makes a node. Everything has a default; what is wrong is told by [`start`](Builder::start).
///
/// The same builder makes nodes of `atonce-std` and of `atonce-tokio`: `N` is the kind of node.
///
/// ```no_run
/// use std::time::Duration;
///
/// let node = atonce_std::Node::builder()
///     .name("kitchen")
///     .header("X-ROLE", "thermometer")
///     .interface("eth0")
///     .tcp_ports(49_152..=49_200)
///     .interval(Duration::from_millis(500))
///     .group("CLIMATE")
///     .start()?;
/// # Ok::<(), atonce_std::StartError>(())
/// ```
#[must_use]
pub struct Builder<N = Node> {
    /// What needs no check.
    config: Config,
    name: Option<String>,
    headers: Vec<(String, String)>,
    services: Vec<(String, String)>,
    interfaces: Vec<String>,
    family: Family,
    multicast: Vec<IpAddr>,
    port: Option<u16>,
    tcp_ports: RangeInclusive<u16>,
    advertise: Option<String>,
    groups: Vec<String>,
    contested: Vec<String>,
    peers: Vec<String>,
    gossip_binds: Vec<String>,
    gossip_hubs: Vec<String>,
    seed: Option<[u8; 32]>,
    security: Option<(Certificate, Trust)>,
    log: Option<log::Config>,
    node: PhantomData<fn() -> N>,
}

/// A kind of node that a [`Builder`] can start. For adapters.
pub trait Start: Sized {
    /// Starts a node with these options.
    fn start(options: Options) -> Result<Self, StartError>;
}

/// What a builder was told, checked. For adapters: it makes a [`Driver`](crate::driver::Driver).
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) config: Config,
    pub(crate) interfaces: Vec<String>,
    pub(crate) family: Family,
    pub(crate) multicast: Vec<IpAddr>,
    pub(crate) port: u16,
    pub(crate) tcp_ports: RangeInclusive<u16>,
    pub(crate) groups: Vec<Text>,
    pub(crate) contested: Vec<Text>,
    pub(crate) peers: Vec<Contact>,
    pub(crate) gossip: Option<GossipOptions>,
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) trust: Option<Trust>,
    pub(crate) log: Option<log::Config>,
}

impl Options {
    /// What the core is told.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl<N> Default for Builder<N> {
    fn default() -> Self {
        Self {
            config: Config::default(),
            name: None,
            headers: Vec::new(),
            services: Vec::new(),
            interfaces: Vec::new(),
            family: Family::Both,
            multicast: Vec::new(),
            port: None,
            tcp_ports: 0..=0,
            advertise: None,
            groups: Vec::new(),
            contested: Vec::new(),
            peers: Vec::new(),
            gossip_binds: Vec::new(),
            gossip_hubs: Vec::new(),
            seed: None,
            security: None,
            log: None,
            node: PhantomData,
        }
    }
}

impl<N> Builder<N> {
    /// The public name; the first six hexadecimal digits of the UUID when it is not set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The identity; random when it is not set. A node that comes back under the identity that it had replaces itself at
    /// its peers at once.
    pub fn uuid(mut self, uuid: PeerId) -> Self {
        self.config.uuid = Some(uuid);
        self
    }

    /// A header, told to every peer. A later value takes the place of an earlier one of the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A header that says where something else listens that belongs to this node: of these endpoints each peer is told the one that suits the
    /// interface over which it is met, so that it can be dialled from there. They are `tcp://ADDRESS:PORT`, as a
    /// [socket](crate::socket::Socket::endpoints) or a [collector](crate::log::Collector::endpoints) gives them; `tcp://*:PORT` is listened at
    /// everywhere.
    ///
    /// ```
    /// use atonce_std::Node;
    /// use atonce_std::socket::{Kind, Socket};
    ///
    /// let printer = Socket::builder(Kind::Pull).bind("tcp://127.0.0.1:0").open()?;
    /// let node = Node::builder().interface("lo").service("X-PRINTER", printer.endpoints()).start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // ZRE-105
    pub fn service(
        mut self,
        header: impl Into<String>,
        endpoints: impl IntoIterator<Item: Into<String>>,
    ) -> Self {
        let header = header.into();
        for endpoint in endpoints {
            self.services.push((header.clone(), endpoint.into()));
        }
        self
    }

    /// An interface to use, by name (`eth0`) or address (`10.0.0.1`, `2001:db8::1`, `fe80::1`, `fe80::1%eth0`); can be called again
    /// for more. A name stands for all its subnets, of IPv4 and IPv6, an address for itself. `lo` keeps everything on this machine.
    /// When it is not called, the node uses every interface that is up and can broadcast, and those that come later.
    ///
    /// The loopback is used with IPv4, since it carries no multicast with IPv6: a node on `::1` is met by who is told its endpoint.
    pub fn interface(mut self, interface: impl Into<String>) -> Self {
        self.interfaces.push(interface.into());
        self
    }

    /// Over which versions of IP it meets others: [`Both`](Family::Both).
    pub fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// A multicast group to which the node beacons besides, on each interface that carries multicast, and in which it hears; can be called
    /// again for more. `224.0.0.250` and `ff02::fa` are where gyre hears.
    ///
    /// When it is not called, beacons are broadcast over IPv4 (to `224.0.0.1` by an interface that cannot broadcast), and go to `ff02::1`
    /// over IPv6. Beacons of others are heard in all these groups, and in Pyre's `225.25.25.25`, in any case.
    pub fn multicast(mut self, group: impl Into<IpAddr>) -> Self {
        self.multicast.push(group.into());
        self
    }

    /// The UDP port of the beacons, 5670 when it is not set. Nodes meet on the same port. 0 turns beacons off.
    ///
    /// Of a [`Directed`](Beacons::Directed) node it is the port on which it hears, 5671 when it is not set; 0 is any that is free,
    /// which [`Driver::beacon_port`](crate::driver::Driver::beacon_port) tells.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Which beacons the node says, and which it hears: [`Both`](Beacons::Both).
    ///
    /// A [`Directed`](Beacons::Directed) node has its port to itself: to share it would give what is sent to it to another.
    ///
    /// ```no_run
    /// use atonce_std::{Beacons, Node};
    ///
    /// // Known to others as SERVER:5671, to which they send a beacon.
    /// let server = Node::builder().name("server").beacons(Beacons::Directed).start()?;
    /// let bridge = Node::builder().name("bridge").beacons(Beacons::Directed).port(0).start()?;
    /// bridge.beacon("203.0.113.7:5671".parse()?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn beacons(mut self, beacons: Beacons) -> Self {
        self.config.beacons = beacons;
        self
    }

    /// The time between two beacons: 1 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.config.interval = interval;
        self
    }

    /// How long a peer may be silent before it is asked whether it is there: 5 s.
    pub fn evasive_timeout(mut self, timeout: Duration) -> Self {
        self.config.evasive_timeout = timeout;
        self
    }

    /// How long a peer may be silent before it is gone: 30 s.
    pub fn expired_timeout(mut self, timeout: Duration) -> Self {
        self.config.expired_timeout = timeout;
        self
    }

    /// The TCP port of the mailbox, the same on every interface; any free port when it is not set or 0.
    pub fn tcp_port(self, port: u16) -> Self {
        self.tcp_ports(port..=port)
    }

    /// The TCP ports that the mailbox may have, for firewalls: on each interface the first that is free.
    pub fn tcp_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.tcp_ports = ports;
        self
    }

    /// The endpoint told to others instead of the one that is bound, for a node behind a port forwarding:
    /// `tcp://ADDRESS:PORT`.
    pub fn advertise(mut self, endpoint: impl Into<String>) -> Self {
        self.advertise = Some(endpoint.into());
        self
    }

    /// Whether the node offers to be spoken to on the links that it dialled, and speaks so to whoever offers it and cannot be
    /// dialled: for nodes of which some are behind an address translation. `false`. See
    /// [`Config::duplex`](atonce::Config::duplex).
    pub fn duplex(mut self, duplex: bool) -> Self {
        self.config.duplex = duplex;
        self
    }

    /// A group to join at the start.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// A group to stand for leader of, as soon as the node is in it.
    pub fn contest(mut self, group: impl Into<String>) -> Self {
        self.contested.push(group.into());
        self
    }

    /// Makes the node secure: everything that it says is encrypted, it is known by the key of its certificate, and it speaks only to
    /// those whose keys are trusted. Nodes without CURVE, and those whose keys are not trusted, are not there for it.
    ///
    /// ```no_run
    /// use atonce_std::{Certificate, Node, Trust};
    ///
    /// let node = Node::builder()
    ///     .curve(Certificate::load("alice.cert")?, Trust::open("friends")?)
    ///     .start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn curve(mut self, certificate: Certificate, trust: Trust) -> Self {
        self.security = Some((certificate, trust));
        self
    }

    /// Has the node log: what happens to it, up to this level, goes to each peer that is a collector. See [`log`](crate::log).
    ///
    /// ```no_run
    /// use atonce_std::Node;
    /// use atonce_std::log::Level;
    ///
    /// let node = Node::builder().name("kitchen").log(Level::INFO).start()?;
    /// node.log(Level::WARNING, "the milk boils over");
    /// # Ok::<(), atonce_std::StartError>(())
    /// ```
    pub fn log(self, level: Level) -> Self {
        self.log_with(log::Config {
            level,
            ..log::Config::default()
        })
    }

    /// The same, with everything that can be said about it.
    pub fn log_with(mut self, config: log::Config) -> Self {
        self.log = Some(config);
        self
    }

    /// A peer to contact without a beacon: `tcp://HOST:PORT`, in a secure network `tcp://HOST:PORT|KEY`.
    pub fn peer(mut self, endpoint: impl Into<String>) -> Self {
        self.peers.push(endpoint.into());
        self
    }

    /// Makes the node a hub of gossip: others come there and are told who is where, which needs no broadcast. `tcp://ADDRESS:PORT`,
    /// `tcp://INTERFACE:PORT` or `tcp://*:PORT`; port 0 is any that is free, which [`Node::gossip_endpoints`] tells. Can be called again
    /// for more. In a secure network it is a server of CURVE, with the node's certificate and for those whose keys are trusted.
    ///
    /// Gossip goes together with beacons, or without: see [`port`](Self::port).
    ///
    /// ```no_run
    /// use atonce_std::Node;
    ///
    /// let hub = Node::builder().name("hub").port(0).gossip_bind("tcp://*:5670").start()?;
    /// let node = Node::builder().port(0).gossip_connect("tcp://hub.example.org:5670").start()?;
    /// # Ok::<(), atonce_std::StartError>(())
    /// ```
    pub fn gossip_bind(mut self, endpoint: impl Into<String>) -> Self {
        self.gossip_binds.push(endpoint.into());
        self
    }

    /// Takes part in gossip at this hub: `tcp://HOST:PORT`, in a secure network `tcp://HOST:PORT|KEY` with the hub's key. It is told
    /// where this node is (the [advertised](Self::advertise) endpoint, or else that of the interface by which the hub is reached), and
    /// tells where others are, who are contacted as long as it says so. Can be called again for more: any of them will do. A hub is
    /// `atonce` or C Zyre.
    pub fn gossip_connect(mut self, endpoint: impl Into<String>) -> Self {
        self.gossip_hubs.push(endpoint.into());
        self
    }

    /// What the network and the application may cost this node.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// The seed of everything that the node does at random, for tests; from the operating system when it is not set.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks what was given.
    pub fn options(self) -> Result<Options, StartError> {
        if self.tcp_ports.is_empty() {
            return Err(StartError::NoPorts {
                ports: self.tcp_ports,
            });
        }
        let mut headers = Headers::default();
        for (name, value) in self.headers {
            let text = Text::try_from(&name).and_then(|key| Ok((key, LongText::try_from(value)?)));
            let (key, value) = text.map_err(|source| StartError::Header { name, source })?;
            headers.insert(key, value);
        }
        let named = |groups: Vec<String>| {
            let groups = groups.into_iter().map(|group| {
                Text::try_from(&group).map_err(|source| StartError::Group { group, source })
            });
            groups.collect::<Result<Vec<_>, _>>()
        };
        let groups = named(self.groups)?;
        let contested = named(self.contested)?;
        let peers = self.peers.iter().map(|endpoint| parse_peer(endpoint));
        let peers = peers.collect::<Result<_, _>>()?;
        let mut config = self.config;
        let usual = match config.beacons {
            Beacons::Directed => DIRECTED_PORT,
            _ => BEACON_PORT,
        };
        let port = self.port.unwrap_or(usual);
        if port == 0 && config.beacons.broadcasts() {
            config.beacons = Beacons::Off;
        }
        config.headers = headers;
        config.services = service::read(self.services)?;
        if let Some(name) = self.name {
            config.name = Some(Text::try_from(name).map_err(StartError::Name)?);
        }
        let mut trust = None;
        if let Some((certificate, trusted)) = self.security {
            let keys = certificate.key_pair().ok_or(StartError::NoSecretKey)?;
            config.curve = Some(Curve {
                bindings: trusted.bindings(),
                bridges: trusted.bridges(),
                ..Curve::new(keys.clone())
            });
            trust = Some(trusted);
        }
        let gossip = GossipOptions::read(
            &self.gossip_binds,
            &self.gossip_hubs,
            config.curve.is_some(),
        )?;
        if let Some(endpoint) = self.advertise {
            config.advertise = Some(parse_advertised(&endpoint)?);
        }
        // ZRE-161
        if let Some(group) = self.multicast.iter().find(|group| !group.is_multicast()) {
            return Err(StartError::NoGroup { address: *group });
        }
        Ok(Options {
            config,
            interfaces: self.interfaces,
            family: self.family,
            multicast: self.multicast,
            port,
            tcp_ports: self.tcp_ports,
            groups,
            contested,
            peers,
            gossip,
            seed: self.seed,
            trust,
            log: self.log,
        })
    }
}

impl<N: Start> Builder<N> {
    /// Starts the node: its sockets are bound and it is being announced when this returns.
    ///
    /// A machine without a network is no error: the node waits for one and tells with
    /// [`Event::InterfaceUp`](atonce::zre::Event::InterfaceUp) when it comes.
    pub fn start(self) -> Result<N, StartError> {
        N::start(self.options()?)
    }
}

fn parse_endpoint(endpoint: &str) -> Result<Endpoint, StartError> {
    endpoint.parse().map_err(|source| StartError::Endpoint {
        endpoint: endpoint.to_owned(),
        source,
    })
}

fn parse_peer(contact: &str) -> Result<Contact, StartError> {
    contact.parse().map_err(|source| match source {
        ConnectError::Endpoint(source) => StartError::Endpoint {
            endpoint: contact.to_owned(),
            source,
        },
        source => StartError::Contact {
            endpoint: contact.to_owned(),
            source,
        },
    })
}

fn parse_advertised(endpoint: &str) -> Result<Endpoint, StartError> {
    let parsed = parse_endpoint(endpoint)?;
    if parsed.socket_address().is_none() {
        return Err(StartError::AdvertisedName {
            endpoint: endpoint.to_owned(),
        });
    }
    Ok(parsed)
}

// Derived, they would ask for `N: Clone` and `N: Debug`.
impl<N> Clone for Builder<N> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            name: self.name.clone(),
            headers: self.headers.clone(),
            services: self.services.clone(),
            interfaces: self.interfaces.clone(),
            family: self.family,
            multicast: self.multicast.clone(),
            port: self.port,
            tcp_ports: self.tcp_ports.clone(),
            advertise: self.advertise.clone(),
            groups: self.groups.clone(),
            contested: self.contested.clone(),
            peers: self.peers.clone(),
            gossip_binds: self.gossip_binds.clone(),
            gossip_hubs: self.gossip_hubs.clone(),
            seed: self.seed,
            security: self.security.clone(),
            log: self.log.clone(),
            node: PhantomData,
        }
    }
}

impl<N> fmt::Debug for Builder<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("uuid", &self.config.uuid)
            .field("interfaces", &self.interfaces)
            .field("family", &self.family)
            .field("multicast", &self.multicast)
            .field("beacons", &self.config.beacons)
            .field("port", &self.port)
            .field("tcp_ports", &self.tcp_ports)
            .finish_non_exhaustive()
    }
}
