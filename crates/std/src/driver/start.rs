//! How a node begins: its sockets, what it has beside them, and how much of the process it may take.

use std::net::IpAddr;
use std::sync::Arc;

use atonce::Stack;
use atonce::zre::Limits;
use nix::sys::resource::{Resource, getrlimit};
use zeroize::Zeroizing;

use super::aside::Begin;
use super::asker::Asker;
use super::gossip::Means;
use super::keys::Strangers;
use super::links::{Links, WAKE};
use super::network::{Choice, Network};
use super::{Clock, Driver, Poller, Resolver, gossip, interfaces, log};
use crate::{Certificate, Family, Options, StartError, Trust};

impl Driver {
    /// Binds the sockets of a node. Nothing is sent before the first [`turn`](Driver::turn).
    pub fn new(mut options: Options) -> Result<(Self, Poller), StartError> {
        let companions = companions(&mut options);
        Self::with_companions(options, companions)
    }

    pub(super) fn with_companions(
        mut options: Options,
        companions: Vec<Begin>,
    ) -> Result<(Self, Poller), StartError> {
        fit_descriptors(&mut options.config.limits);
        let gossip = Means::of(&options);
        let system = |what| move |source| StartError::System { what, source };
        let poller = Poller::new().map_err(system("a poller"))?;
        let registry = poller.registry().try_clone().map_err(system("a poller"))?;
        let waker = mio::Waker::new(&registry, WAKE).map_err(system("a waker"))?;
        let waker = Arc::new(waker);
        let seed = match options.seed {
            Some(seed) => Zeroizing::new(seed),
            None => random_seed().map_err(system("random octets"))?,
        };
        let clock = Clock::start();
        let beacons = options.config.beacons;
        let choice = Choice {
            wanted: options.interfaces,
            family: options.family,
            groups: options.multicast,
        };
        let decider = options.trust.as_ref().and_then(Trust::decider);
        let asker = decider.map(|decider| Asker::new(decider.clone(), Arc::clone(&waker)));
        let linger = options.config.limits.linger;
        let mut stack = Stack::new(clock.now(), *seed, options.config);
        if !companions.is_empty() {
            stack.copy_events();
        }
        let mut driver = Self {
            links: Links::new(stack, clock, registry),
            resolver: Resolver::new(Arc::clone(&waker)),
            waker,
            network: Network::new(choice, beacons, options.port, options.tcp_ports),
            trust: options.trust,
            asker,
            strangers: Strangers::default(),
            aside: None,
            gossip,
            ended: false,
        };
        driver.start_network()?;
        driver.start_aside(companions, linger)?;
        let now = driver.links.clock.now();
        for group in &options.groups {
            driver.links.machine.join(now, group);
        }
        for group in &options.contested {
            driver.links.machine.contest(now, group);
        }
        for contact in &options.peers {
            let contacted = driver.contact(now, contact);
            contacted.map_err(|source| StartError::Contact {
                endpoint: contact.to_string(),
                source,
            })?;
        }
        tracing::debug!(node = %driver.links.machine.id(), name = %driver.links.machine.name(), "started");
        Ok((driver, poller))
    }
}

/// What the options ask for that has sockets beside the node.
fn companions(options: &mut Options) -> Vec<Begin> {
    let mut companions = Vec::new();
    if let Some(gossip) = options.gossip.take() {
        companions.push(gossip::begin(Means::of(options), gossip));
    }
    if let Some(config) = options.log.take() {
        let keys = options.config.curve.as_ref();
        let own = keys.map(|curve| Certificate::new(curve.keys.clone()));
        companions.push(log::begin(config, own, options.groups.clone()));
    }
    companions
}

/// Strangers who connect, and hints that are dialled, take a quarter each of the descriptors that the process may have, so
/// that they never keep peers out.
fn fit_descriptors(limits: &mut Limits) {
    if let Some(quarter) = quarter_of_descriptors() {
        limits.unproved_links = limits.unproved_links.min(quarter);
        limits.contacts = limits.contacts.min(quarter);
    }
}

/// A quarter of the descriptors that the process may have, if that is known.
pub(super) fn quarter_of_descriptors() -> Option<usize> {
    let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let quarter = usize::try_from(descriptors / 4).unwrap_or(usize::MAX);
    Some(quarter.max(1))
}

/// The addresses that a node would use which asks for these interfaces.
pub(crate) fn addresses(wanted: &[String]) -> Result<Vec<IpAddr>, StartError> {
    let listing = interfaces::Listing::read().map_err(StartError::Interfaces)?;
    let selected = listing.select(wanted, Family::Both).into_iter();
    // What is good on one link only would need to be told which.
    let selected = selected.filter(|found| !found.is_link_local());
    Ok(selected.map(|found| found.address).collect())
}

pub(crate) fn random_seed() -> std::io::Result<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut())?;
    Ok(seed)
}
