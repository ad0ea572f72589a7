//! What announces a server, on a thread.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atonce::autoconf::announcer as core;
use atonce::curve::PublicKey;
use atonce::wire::Text;
use atonce::wire::autoconf::{InstanceId, InvalidOffer, Offer, ServiceName};
use atonce::{Bytes, Instant};

use super::driver::{Machine, Running};
use super::faces::Face;
use super::{AnnouncerCounters, AutoconfError, Network, network};
use crate::driver::random_seed;

/// Makes an [`Announcer`]. Everything has a default but the service and where it is.
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
#[derive(Clone, Debug)]
#[must_use]
pub struct AnnouncerBuilder {
    service: String,
    endpoints: Vec<String>,
    key: Option<PublicKey>,
    properties: Vec<(String, String)>,
    config: core::Config,
    network: Network,
}

impl AnnouncerBuilder {
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

    /// Begins to announce the server, at once.
    ///
    /// # Errors
    ///
    /// What was given cannot be announced, an interface is not there, or the port is held by somebody. That no interface is up is no
    /// error: one is waited for.
    pub fn start(self) -> Result<Announcer, AutoconfError> {
        let what = self.what()?;
        let seed = random_seed().map_err(|source| AutoconfError::System {
            what: "random octets",
            source,
        })?;
        let config = self.config;
        let running = Running::start(self.network, "atonce-announcer", |now, faces| {
            let mut announcing = Announcing {
                what,
                seed: *seed,
                config,
                core: None,
                stopped: false,
            };
            announcing.handle_faces(now, faces);
            Ok(announcing)
        })?;
        Ok(Announcer(Arc::new(running)))
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

/// What a server says of itself, wherever it turns out to be.
#[derive(Clone, Debug)]
struct What {
    service: ServiceName,
    /// Unspecified ones stand for all addresses of their family.
    endpoints: Vec<SocketAddr>,
    key: Option<PublicKey>,
    properties: Vec<(Text, Text)>,
}

impl What {
    /// Where it is on these interfaces.
    // AUTO-14
    fn places(&self, faces: &[Face]) -> Vec<SocketAddr> {
        let own = faces.iter().flat_map(Face::addresses);
        let own: Vec<IpAddr> = own.collect();
        let mut places = Vec::new();
        for endpoint in &self.endpoints {
            let any = endpoint.ip().is_unspecified();
            let of_family = own
                .iter()
                .filter(|address| any && address.is_ipv4() == endpoint.is_ipv4());
            let all = of_family.map(|address| SocketAddr::new(*address, endpoint.port()));
            let fixed = (!any).then_some(*endpoint);
            for place in fixed.into_iter().chain(all) {
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places.truncate(Offer::ENDPOINTS);
        places
    }

    fn offer(&self, places: impl IntoIterator<Item = SocketAddr>) -> Result<Offer, InvalidOffer> {
        let mut offer = Offer::new(self.service.clone(), places)?;
        if let Some(key) = &self.key {
            offer = offer.with_key(*key.as_bytes())?;
        }
        for (name, value) in &self.properties {
            offer = offer.with_property(name.clone(), value.clone())?;
        }
        Ok(offer)
    }
}

/// The machine, as soon as there is an address to announce.
#[derive(Debug)]
struct Announcing {
    what: What,
    seed: [u8; 32],
    config: core::Config,
    core: Option<core::Announcer>,
    stopped: bool,
}

impl Machine for Announcing {
    fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        if let Some(core) = &mut self.core {
            core.handle_datagram(now, source, datagram);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(core) = &mut self.core {
            core.handle_timeout(now);
        }
    }

    fn handle_faces(&mut self, now: Instant, faces: &[Face]) {
        let offer = match self.what.offer(self.what.places(faces)) {
            Ok(offer) => offer,
            Err(error) => {
                tracing::info!(%error, "nothing to announce now; waiting for an interface");
                return;
            }
        };
        match &mut self.core {
            Some(core) => {
                core.change(now, offer);
                core.refresh(now);
            }
            None if self.stopped => {}
            None => {
                let config = self.config.clone();
                self.core = Some(core::Announcer::new(now, self.seed, offer, config));
            }
        }
    }

    fn poll_datagram(&mut self) -> Option<Bytes> {
        self.core.as_mut()?.poll_datagram()
    }

    fn deadline(&self) -> Option<Instant> {
        let (at, _) = self.core.as_ref()?.poll_timeout()?;
        Some(at)
    }

    fn stop(&mut self, now: Instant) {
        self.stopped = true;
        if let Some(core) = &mut self.core {
            core.stop(now);
        }
    }

    fn is_over(&self) -> bool {
        self.stopped && self.core.as_ref().is_none_or(core::Announcer::is_over)
    }
}

/// Announces a server, from a thread of its own. It is to be made when the socket of the server is bound.
///
/// Every method can be called from any thread. A clone is another handle of the same; when the last one is dropped it says goodbye,
/// as by [`stop`](Self::stop). [The module](super) has an example.
#[derive(Clone)]
pub struct Announcer(Arc<Running<Announcing>>);

impl Announcer {
    /// One that is still to be made, for a server of this service.
    pub fn builder(service: impl Into<String>) -> AnnouncerBuilder {
        AnnouncerBuilder {
            service: service.into(),
            endpoints: Vec::new(),
            key: None,
            properties: Vec::new(),
            config: core::Config::default(),
            network: Network::default(),
        }
    }

    /// Under which instance the server is announced; `None` while there is no address to announce.
    pub fn instance(&self) -> Option<InstanceId> {
        let driver = self.0.driver();
        driver.machine.core.as_ref().map(core::Announcer::instance)
    }

    /// What is announced; `None` while there is no address to announce.
    pub fn offer(&self) -> Option<Offer> {
        let driver = self.0.driver();
        let core = driver.machine.core.as_ref();
        core.map(|core| core.offer().clone())
    }

    /// What happened so far.
    pub fn counters(&self) -> AnnouncerCounters {
        let driver = self.0.driver();
        let core = driver.machine.core.as_ref();
        core.map(core::Announcer::counters).unwrap_or_default()
    }

    /// Says goodbye, and returns when that is done: after a tenth of a second, and at most two.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").finish_non_exhaustive()
    }
}
