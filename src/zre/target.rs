//! Endpoints with a host name, which the embedder looks up.

use core::net::SocketAddr;
use core::time::Duration;

use tracing::debug;

use super::Action;
use super::deadlines::Due;
use super::keys::Key;
use super::node::Node;
use super::tuples::FIRST_QUERY;
use crate::Instant;
use crate::endpoint::{Endpoint, Host, HostName};

/// How long a look-up may take.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);

/// A host name to contact, for ever.
#[derive(Debug)]
pub(super) struct Target {
    host: HostName,
    port: u16,
    /// The key that whoever is there has to prove, in a secure network.
    key: Option<Key>,
    /// Nobody asks for it any more: its place is free.
    forgotten: bool,
    /// Where it led to last.
    address: Option<SocketAddr>,
    /// The look-up that is under way.
    query: Option<u64>,
    /// How many look-ups were begun: part of the name of the next, so that a late answer is known as such.
    queries: u32,
    /// Look-ups in a row that gave nothing.
    failures: u32,
}

impl Node {
    pub(super) fn add_target(&mut self, now: Instant, endpoint: &Endpoint, key: Option<Key>) {
        let Host::Name(host) = &endpoint.host else {
            return;
        };
        let asked = (host, endpoint.port, key);
        let known = self
            .targets
            .iter()
            .any(|target| !target.forgotten && (&target.host, target.port, target.key) == asked);
        if known {
            return;
        }
        let free = self.targets.iter().position(|target| target.forgotten);
        let index = free.unwrap_or(self.targets.len());
        let target = Target {
            host: host.clone(),
            port: endpoint.port,
            key,
            forgotten: false,
            address: None,
            query: None,
            // A late answer to the one before is not for this one.
            queries: self.targets.get(index).map_or(0, |before| before.queries),
            failures: 0,
        };
        match self.targets.get_mut(index) {
            Some(place) => *place = target,
            None => self.targets.push(target),
        }
        self.timers.set(Due::Target(index), now);
        self.handle_timeout(now);
    }

    /// The application does not ask for this name any more.
    pub(super) fn forget_target(&mut self, now: Instant, host: &HostName, port: u16) {
        // ZRE-139
        for index in 0..self.targets.len() {
            let Some(target) = self.targets.get_mut(index) else {
                return;
            };
            if target.forgotten || (&target.host, target.port) != (host, port) {
                continue;
            }
            target.forgotten = true;
            target.query = None;
            self.timers.cancel(Due::Target(index));
            let Some(address) = target.address.take() else {
                continue;
            };
            // Another name may lead there as well.
            let other = self
                .targets
                .iter()
                .position(|target| !target.forgotten && target.address == Some(address));
            if let Some(dial) = self.dials.get_mut(address)
                && dial.target == Some(index)
            {
                dial.target = other;
                if other.is_none() && !dial.by_address {
                    self.release_dial(now, address);
                }
            }
        }
    }

    /// Begins a look-up, or gives up one that takes too long and waits for the next.
    pub(super) fn target_due(&mut self, now: Instant, index: usize) {
        let Some(target) = self.targets.get_mut(index) else {
            return;
        };
        if target.query.take().is_some() {
            return self.target_failed(now, index);
        }
        target.queries = target.queries.wrapping_add(1);
        let query = (u64::try_from(index).unwrap_or(u64::MAX) << 32) | u64::from(target.queries);
        target.query = Some(query);
        let (host, port) = (target.host.clone(), target.port);
        self.actions
            .push_back(Action::Resolve { query, host, port });
        self.timers.set(Due::Target(index), now + RESOLVE_DEADLINE);
    }

    /// The answer to [`Action::Resolve`], empty when there is none. A late or unknown one changes nothing.
    pub fn handle_resolved(&mut self, now: Instant, query: u64, addresses: &[SocketAddr]) {
        if query >= FIRST_QUERY {
            return self.tuple_resolved(now, query, addresses);
        }
        let Ok(index) = usize::try_from(query >> 32) else {
            return;
        };
        let Some(target) = self.targets.get_mut(index) else {
            return;
        };
        if target.query != Some(query) {
            return;
        }
        target.query = None;
        debug!(host = %target.host, ?addresses, "resolved");
        let key = target.key;
        let own = addresses.iter().any(|address| self.is_own(*address));
        match addresses.first() {
            Some(&address) if !own => {
                self.timers.cancel(Due::Target(index));
                if let Some(target) = self.targets.get_mut(index) {
                    target.address = Some(address);
                }
                self.dial_for_ever(now, address, Some(index), key);
            }
            _ => self.target_failed(now, index),
        }
    }

    /// The name, or what it led to, did not answer: look it up anew after a pause.
    pub(super) fn target_failed(&mut self, now: Instant, index: usize) {
        if let Some(target) = self.targets.get_mut(index) {
            target.failures = target.failures.saturating_add(1);
            let pause =
                Duration::from_secs(1 << target.failures.min(5)).min(Duration::from_secs(30));
            let pause = self.jitter(pause);
            self.timers.set(Due::Target(index), now + pause);
        }
    }

    /// Whether a place of a name is in use.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn is_sought(&self, index: usize) -> bool {
        self.targets
            .get(index)
            .is_some_and(|target| !target.forgotten)
    }

    pub(super) fn target_reached(&mut self, index: usize) {
        if let Some(target) = self.targets.get_mut(index) {
            target.failures = 0;
        }
    }
}
