//! What a server or a bridge is made of, before it starts.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use atonce::PeerId;
use atonce::endpoint::Endpoint;
use atonce::once::{Limits, Mechanism, Role, Roles, Secret, bridge, server};
use atonce::zre::{Beacons, Config};

use super::{ANY, PORT, Server, ServerAddress};
use crate::once::Bridge;
use crate::{Builder, Certificate, Options, StartError, Trust};

/// What a stand-in may keep of what its LAN said to it, while the bridge has no room for more: there may be a thousand of them.
const STAND_IN_OCTETS: usize = 32 << 20;

/// Makes a server. Everything has a default but [who may take part](Self::secret); what is wrong is told by
/// [`start`](Self::start).
///
/// The same builder makes servers of `atonce-std` and of `atonce-tokio`: `S` is the kind.
///
/// ```no_run
/// use atonce_std::once::{Secret, Server};
///
/// let server = Server::builder()
///     .name("meet")
///     .secret(Secret::new("what all bridges know")?)
///     .start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct ServerBuilder<S = Server> {
    common: Common,
    relay: Option<u16>,
    kind: PhantomData<fn() -> S>,
}

/// Makes a bridge. Everything has a default but the interface of the LAN and [who may take part](Self::secret); what is wrong is
/// told by [`start`](Self::start).
///
/// The same builder makes bridges of `atonce-std` and of `atonce-tokio`: `B` is the kind.
///
/// ```no_run
/// use atonce_std::once::{Bridge, Secret};
///
/// let bridge = Bridge::builder("eth0")
///     .name("cellar")
///     .server("meet.example.org".parse()?)
///     .secret(Secret::new("what all bridges know")?)
///     .start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct BridgeBuilder<B = Bridge> {
    common: Common,
    lan: String,
    lan_port: u16,
    lan_tcp_ports: RangeInclusive<u16>,
    lan_security: Option<(Certificate, Trust)>,
    servers: Vec<ServerAddress>,
    hidden: BTreeSet<PeerId>,
    kind: PhantomData<fn() -> B>,
}

/// A kind of server or bridge that a builder can start, with these options. For adapters.
pub trait Start<O>: Sized {
    /// Starts it.
    fn start(options: O) -> Result<Self, StartError>;
}

/// What a [`ServerBuilder`] was told, checked. For adapters: it makes a [`Driver`](super::driver::Driver).
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub(super) node: Options,
    pub(super) machine: server::Config,
    /// The TCP port of the relay, if there is one.
    pub(super) relay: Option<u16>,
}

/// What a [`BridgeBuilder`] was told, checked. For adapters: it makes a [`Driver`](super::driver::Driver).
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    pub(super) remote: Options,
    pub(super) local: Options,
    pub(super) stand_ins: StandIns,
    pub(super) machine: bridge::Config,
    pub(super) servers: Vec<ServerAddress>,
}

/// What all stand-ins have in common.
#[derive(Clone, Debug)]
pub(super) struct StandIns(Options);

impl StandIns {
    /// What one of them is told.
    pub(super) fn options(&self, stand_in: bridge::StandIn) -> Options {
        let mut options = self.0.clone();
        options.config.uuid = Some(stand_in.id);
        options.config.name = Some(stand_in.name);
        options.config.headers = stand_in.headers;
        options.groups = stand_in.groups.into_iter().collect();
        options
    }
}

/// What servers and bridges are told alike.
#[derive(Clone)]
struct Common {
    name: Option<String>,
    uuid: Option<PeerId>,
    interfaces: Vec<String>,
    port: u16,
    tcp_ports: RangeInclusive<u16>,
    advertise: Option<String>,
    open: bool,
    secret: Option<Secret>,
    security: Option<(Certificate, Trust)>,
    limits: Limits,
    times: Config,
    seed: Option<[u8; 32]>,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            name: None,
            uuid: None,
            interfaces: Vec::new(),
            port: PORT,
            tcp_ports: 0..=0,
            advertise: None,
            open: false,
            secret: None,
            security: None,
            limits: Limits::default(),
            times: Config::default(),
            seed: None,
        }
    }
}

impl Common {
    /// How others prove that they may take part.
    fn mechanism(&self) -> Result<Mechanism, StartError> {
        if let Some(secret) = &self.secret {
            return Ok(Mechanism::Secret(secret.clone()));
        }
        match &self.security {
            _ if self.open => Ok(Mechanism::Open),
            Some((_, trust)) if !trust.is_any() => Ok(Mechanism::Trusted),
            _ => Err(StartError::NobodyAsked),
        }
    }

    /// The keys, and whose keys may come in: with a secret alone, keys that are made for this run, and anybody's, who then has to
    /// prove that he knows the secret with the key that he has.
    fn security(&self) -> Result<Option<(Certificate, Trust)>, StartError> {
        if self.security.is_some() || self.secret.is_none() {
            return Ok(self.security.clone());
        }
        let made = Certificate::generate().map_err(|error| StartError::System {
            what: "random octets",
            source: std::io::Error::other(error),
        })?;
        Ok(Some((made, Trust::any())))
    }

    /// A node with this identity that hears beacons at the port and sends none but those that are directed.
    fn node(
        &self,
        id: PeerId,
        security: Option<(Certificate, Trust)>,
        roles: impl FnOnce(Option<u16>) -> Roles,
    ) -> Result<Options, StartError> {
        let port = match self.port {
            0 => free_port()?,
            port => port,
        };
        let mut builder = self.named(id).port(port).tcp_ports(self.tcp_ports.clone());
        for interface in &self.interfaces {
            builder = builder.interface(interface);
        }
        if let Some(endpoint) = &self.advertise {
            builder = builder.advertise(endpoint);
        }
        if let Some((certificate, trust)) = security {
            builder = builder.curve(certificate, trust);
        }
        let mut options = builder.options()?;
        options.config.beacons = Beacons::Directed;
        // One that is behind a translation of addresses dials, and cannot be dialled.
        options.config.duplex = true;
        roles(Some(port)).put(&mut options.config.headers);
        Ok(options)
    }

    /// A node with this identity.
    fn named(&self, id: PeerId) -> Builder<()> {
        let mut builder = Builder::default()
            .uuid(id)
            .interval(self.times.interval)
            .evasive_timeout(self.times.evasive_timeout)
            .expired_timeout(self.times.expired_timeout);
        if let Some(name) = &self.name {
            builder = builder.name(name);
        }
        if let Some(seed) = self.seed {
            builder = builder.seed(seed);
        }
        builder
    }

    /// The identity: that which was asked for; or one that belongs to the key, so that who comes back is known again; or any.
    fn id(&self, security: Option<&(Certificate, Trust)>) -> Result<PeerId, StartError> {
        if let Some(uuid) = self.uuid {
            return Ok(uuid);
        }
        let mut octets = [0; 16];
        match security {
            Some((certificate, _)) => {
                let key = certificate.public_key().as_bytes();
                for (octet, of_key) in octets.iter_mut().zip(key) {
                    *octet = *of_key;
                }
            }
            None => getrandom::fill(&mut octets).map_err(|source| StartError::System {
                what: "random octets",
                source: source.into(),
            })?,
        }
        Ok(PeerId::from_bytes(octets))
    }
}

/// A UDP port that nobody has. It has to be known before the node is made, since the node tells it to others.
fn free_port() -> Result<u16, StartError> {
    let port = UdpSocket::bind(ANY).and_then(|socket| socket.local_addr());
    port.map(|address| address.port())
        .map_err(|source| StartError::BeaconPort { port: 0, source })
}

/// The methods that both builders have.
macro_rules! common {
    () => {
        /// The public name; the first six hexadecimal digits of the UUID when it is not set.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.common.name = Some(name.into());
            self
        }

        /// The identity. When it is not set it belongs to the key of the certificate, or is random without one. Who comes back
        /// under the identity that it had replaces itself at its peers at once.
        pub fn uuid(mut self, uuid: PeerId) -> Self {
            self.common.uuid = Some(uuid);
            self
        }

        /// An interface on which others are met, by name or address; can be called again for more. Every interface when it is
        /// not called.
        pub fn interface(mut self, interface: impl Into<String>) -> Self {
            self.common.interfaces.push(interface.into());
            self
        }

        /// The UDP port at which it hears beacons that are sent to it alone: 5671 when it is not set. 0 takes any that is free. No other
        /// program can have it at the same time.
        pub fn port(mut self, port: u16) -> Self {
            self.common.port = port;
            self
        }

        /// The TCP ports that the mailbox may have which others are met at: on each interface the first that is free; any free
        /// port when it is not set.
        pub fn tcp_ports(mut self, ports: RangeInclusive<u16>) -> Self {
            self.common.tcp_ports = ports;
            self
        }

        /// The endpoint told to servers and bridges instead of the one that is bound, for a port forwarding:
        /// `tcp://ADDRESS:PORT`.
        pub fn advertise(mut self, endpoint: impl Into<String>) -> Self {
            self.common.advertise = Some(endpoint.into());
            self
        }

        /// Whoever has this secret may take part. It never travels. All that is said is encrypted, with the keys of
        /// [`curve`](Self::curve) or, without, with keys that are made for this run.
        pub fn secret(mut self, secret: Secret) -> Self {
            self.common.secret = Some(secret);
            self
        }

        /// The keys that it has, and whose keys may come in. Without a [secret](Self::secret) whoever is trusted may take part,
        /// and [`Trust::any`] is refused. With one, both are asked for.
        pub fn curve(mut self, certificate: Certificate, trust: Trust) -> Self {
            self.common.security = Some((certificate, trust));
            self
        }

        /// Everybody may take part who can reach it, and nothing is asked of them. A secret or a list of keys comes first.
        pub fn open(mut self) -> Self {
            self.common.open = true;
            self
        }

        /// What others may cost.
        pub fn limits(mut self, limits: Limits) -> Self {
            self.common.limits = limits;
            self
        }

        /// The time between two beacons of its nodes: 1 s.
        pub fn interval(mut self, interval: Duration) -> Self {
            self.common.times.interval = interval;
            self
        }

        /// How long a peer of its nodes may be silent before it is asked whether it is there: 5 s.
        pub fn evasive_timeout(mut self, timeout: Duration) -> Self {
            self.common.times.evasive_timeout = timeout;
            self
        }

        /// How long a peer of its nodes may be silent before it is gone: 30 s.
        pub fn expired_timeout(mut self, timeout: Duration) -> Self {
            self.common.times.expired_timeout = timeout;
            self
        }

        /// The seed of everything that it does at random, for tests; from the operating system when it is not set.
        pub fn seed(mut self, seed: [u8; 32]) -> Self {
            self.common.seed = Some(seed);
            self
        }
    };
}

impl<S> Default for ServerBuilder<S> {
    fn default() -> Self {
        Self {
            common: Common::default(),
            relay: None,
            kind: PhantomData,
        }
    }
}

impl<S> ServerBuilder<S> {
    common!();

    /// The server also joins connections of bridges that cannot dial each other, on this TCP port ([`RELAY_PORT`](super::RELAY_PORT)).
    /// It passes on what they encrypt for each other and learns nothing of it, so that it is of use where there is a
    /// [secret](Self::secret) or a list of [keys](Self::curve).
    pub fn relay(mut self, port: u16) -> Self {
        self.relay = Some(port);
        self
    }

    /// Checks what was given.
    ///
    /// # Errors
    ///
    /// [`NobodyAsked`](StartError::NobodyAsked), or what is wrong with the node.
    pub fn options(self) -> Result<ServerOptions, StartError> {
        let common = self.common;
        let mechanism = common.mechanism()?;
        let security = common.security()?;
        let id = common.id(security.as_ref())?;
        let node = common.node(id, security, |beacon| Roles {
            role: Role::Server,
            beacon,
            relay: self.relay.is_some(),
        })?;
        // Bridges are told the address that they reach the server at, or that which it advertises.
        let host = match node
            .config
            .advertise
            .as_ref()
            .and_then(Endpoint::socket_address)
        {
            Some(SocketAddr::V4(address)) => address.ip().to_string(),
            Some(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
            None => "*".to_owned(),
        };
        let relay = self.relay.map(|port| format!("tcp://{host}:{port}"));
        let machine = server::Config {
            id,
            key: public_key(&node),
            mechanisms: vec![mechanism],
            relay,
            limits: common.limits,
        };
        Ok(ServerOptions {
            node,
            machine,
            relay: self.relay,
        })
    }
}

impl<S: Start<ServerOptions>> ServerBuilder<S> {
    /// Starts the server: its sockets are bound when this returns.
    ///
    /// # Errors
    ///
    /// As [`options`](Self::options), or what the operating system refuses.
    pub fn start(self) -> Result<S, StartError> {
        S::start(self.options()?)
    }
}

impl<B> BridgeBuilder<B> {
    /// A bridge that stands on the LAN of this interface, given by name or address.
    pub fn new(lan: impl Into<String>) -> Self {
        Self {
            common: Common::default(),
            lan: lan.into(),
            lan_port: 5670,
            lan_tcp_ports: 0..=0,
            lan_security: None,
            servers: Vec::new(),
            hidden: BTreeSet::new(),
            kind: PhantomData,
        }
    }

    common!();

    /// A server to meet, or a bridge without one; can be called again for more. Whoever is gone is met again when it is back.
    pub fn server(mut self, server: ServerAddress) -> Self {
        self.servers.push(server);
        self
    }

    /// The UDP port of the LAN's beacons, 5670 when it is not set.
    pub fn lan_port(mut self, port: u16) -> Self {
        self.lan_port = port;
        self
    }

    /// The TCP ports that mailboxes on the LAN may have, its own and one for each stand-in; any that are free when it is not set.
    pub fn lan_tcp_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.lan_tcp_ports = ports;
        self
    }

    /// The keys that the bridge and its stand-ins have on a secure LAN, and whom they trust there. Who trusts by a list has to have the key
    /// of this certificate in it with the word `bridge`: it speaks for others.
    pub fn lan_curve(mut self, certificate: Certificate, trust: Trust) -> Self {
        self.lan_security = Some((certificate, trust));
        self
    }

    /// A peer that is shown neither here nor elsewhere; can be called again for more.
    pub fn hide(mut self, peer: PeerId) -> Self {
        self.hidden.insert(peer);
        self
    }

    /// Checks what was given.
    ///
    /// # Errors
    ///
    /// [`NobodyAsked`](StartError::NobodyAsked), [`ServerKey`](StartError::ServerKey), or what is wrong with one of its nodes.
    pub fn options(self) -> Result<BridgeOptions, StartError> {
        let common = self.common;
        let mechanism = common.mechanism()?;
        let security = common.security()?;
        let is_secure = security.is_some();
        for server in &self.servers {
            if let ServerAddress::Mailbox(contact) = server
                && is_secure
                && contact.key.is_none()
            {
                return Err(StartError::ServerKey {
                    endpoint: contact.to_string(),
                });
            }
        }
        let id = common.id(security.as_ref())?;
        let roles = |beacon| Roles {
            role: Role::Bridge,
            beacon,
            relay: false,
        };
        let remote = common.node(id, security, roles)?;

        let mut local = common
            .named(id)
            .port(self.lan_port)
            .tcp_ports(self.lan_tcp_ports.clone())
            .interface(&self.lan);
        if let Some((certificate, trust)) = &self.lan_security {
            local = local.curve(certificate.clone(), trust.clone());
        }
        let mut local = local.options()?;
        let mut stand_ins = local.clone();
        stand_ins.config.beacons = Beacons::Say;
        stand_ins.config.limits.receive_octets_total = STAND_IN_OCTETS;
        stand_ins.seed = None;
        roles(None).put(&mut local.config.headers);

        let machine = bridge::Config {
            id,
            key: public_key(&remote),
            local_key: public_key(&local),
            mechanisms: vec![mechanism],
            hidden: self.hidden,
            limits: common.limits,
        };
        Ok(BridgeOptions {
            remote,
            local,
            stand_ins: StandIns(stand_ins),
            machine,
            servers: self.servers,
        })
    }
}

impl<B: Start<BridgeOptions>> BridgeBuilder<B> {
    /// Starts the bridge: its sockets are bound when this returns.
    ///
    /// # Errors
    ///
    /// As [`options`](Self::options), or what the operating system refuses.
    pub fn start(self) -> Result<B, StartError> {
        B::start(self.options()?)
    }
}

fn public_key(node: &Options) -> Option<atonce::curve::PublicKey> {
    node.config.curve.as_ref().map(|curve| *curve.keys.public())
}

// Derived, they would ask the same of the kind.
impl<S> Clone for ServerBuilder<S> {
    fn clone(&self) -> Self {
        Self {
            common: self.common.clone(),
            relay: self.relay,
            kind: PhantomData,
        }
    }
}

impl<B> Clone for BridgeBuilder<B> {
    fn clone(&self) -> Self {
        Self {
            common: self.common.clone(),
            lan: self.lan.clone(),
            lan_port: self.lan_port,
            lan_tcp_ports: self.lan_tcp_ports.clone(),
            lan_security: self.lan_security.clone(),
            servers: self.servers.clone(),
            hidden: self.hidden.clone(),
            kind: PhantomData,
        }
    }
}

impl<S> fmt::Debug for ServerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("name", &self.common.name)
            .field("interfaces", &self.common.interfaces)
            .field("port", &self.common.port)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for BridgeBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BridgeBuilder")
            .field("name", &self.common.name)
            .field("lan", &self.lan)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}
