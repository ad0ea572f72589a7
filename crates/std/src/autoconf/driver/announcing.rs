//! What announces a server, wherever that turns out to be.

use std::net::{IpAddr, SocketAddr};

use atonce::autoconf::announcer as core;
use atonce::curve::PublicKey;
use atonce::wire::Text;
use atonce::wire::autoconf::{InstanceId, InvalidOffer, Offer, ServiceName};
use atonce::{Bytes, Instant};

use super::{Driver, Face, Machine, Poller};
use crate::autoconf::{AnnouncerCounters, AnnouncerOptions, AutoconfError};

/// What a server says of itself, wherever it turns out to be.
#[derive(Clone, Debug)]
pub(in crate::autoconf) struct What {
    pub(in crate::autoconf) service: ServiceName,
    /// Unspecified ones stand for all addresses of their family.
    pub(in crate::autoconf) endpoints: Vec<SocketAddr>,
    pub(in crate::autoconf) key: Option<PublicKey>,
    pub(in crate::autoconf) properties: Vec<(Text, Text)>,
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

    pub(in crate::autoconf) fn offer(
        &self,
        places: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Offer, InvalidOffer> {
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

/// What announces a server, as soon as there is an address to announce.
#[derive(Debug)]
pub struct Announcing {
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

impl Driver<Announcing> {
    /// Opens the sockets of an announcer.
    ///
    /// # Errors
    ///
    /// An interface is not there, or the port is held by somebody.
    pub fn announcer(options: AnnouncerOptions) -> Result<(Self, Poller), AutoconfError> {
        let AnnouncerOptions {
            what,
            config,
            network,
        } = options;
        Self::open(network, |now, seed, faces| {
            let mut announcing = Announcing {
                what,
                seed,
                config,
                core: None,
                stopped: false,
            };
            announcing.handle_faces(now, faces);
            announcing
        })
    }

    /// Under which instance the server is announced; `None` while there is no address to announce.
    pub fn instance(&self) -> Option<InstanceId> {
        self.machine.core.as_ref().map(core::Announcer::instance)
    }

    /// What is announced; `None` while there is no address to announce.
    pub fn offer(&self) -> Option<Offer> {
        let core = self.machine.core.as_ref();
        core.map(|core| core.offer().clone())
    }

    /// What is announced, if it is under another instance than this.
    pub fn other_than(&self, before: Option<InstanceId>) -> Option<(InstanceId, Offer)> {
        let instance = self.instance().filter(|now| Some(*now) != before)?;
        Some((instance, self.offer()?))
    }

    /// What happened so far.
    pub fn counters(&self) -> AnnouncerCounters {
        let core = self.machine.core.as_ref();
        core.map(core::Announcer::counters).unwrap_or_default()
    }
}
