//! A server as a client knows it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use core::num::NonZeroU32;
use core::time::Duration;

use super::{Event, Reason};
use crate::Instant;
use crate::wire::autoconf::{Announcement, InstanceId, Offer};

/// A server by a name that only this client has for it, and never for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub(super) u64);

impl ServerId {
    /// As a number, for the embedder's own tables.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {}", self.0)
    }
}

/// A server that is known. Nothing of it changes, except that it may be reached at more endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How it is called here.
    pub id: ServerId,
    /// Which start of it it is, as it says.
    pub instance: InstanceId,
    /// What it says of itself: service, key, properties, and where it can be dialled, of which not all may count here.
    pub offer: Offer,
    /// Where to dial it, what is best first. There is at least one.
    pub endpoints: Vec<SocketAddr>,
    /// For how long each of its announcements counts here.
    pub ttl: Duration,
    /// Where its first announcement came from.
    pub source: SocketAddr,
    /// When that was.
    pub found: Instant,
}

/// Why a server is not believed to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grounds {
    /// Somebody said goodbye in its name.
    Left,
    /// Whatever else.
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) since: Instant,
    pub(super) until: Instant,
    pub(super) grounds: Grounds,
}

/// What the application was told.
#[derive(Debug)]
struct Told {
    server: Arc<Server>,
    doubted: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) server: Arc<Server>,
    /// As it is announced.
    ttl: NonZeroU32,
    /// When it was announced last.
    heard: Instant,
    /// The zone of its link-local addresses.
    zone: Option<u32>,
    /// What is sought when it is found.
    pub(super) place: usize,
    /// It does not give way to newcomers.
    pub(super) established: bool,
    /// It was not announced for two thirds of its time.
    pub(super) late: bool,
    pub(super) doubt: Option<Doubt>,
    /// Somebody came later under its instance, which was not told.
    pub(super) contested_by: Option<SocketAddr>,
    /// There is a note about it.
    pub(super) noted: bool,
    told: Option<Told>,
}

impl Entry {
    /// `None` when none of its endpoints counts here.
    pub(super) fn new(
        now: Instant,
        id: ServerId,
        source: SocketAddr,
        announcement: Announcement,
        place: usize,
        elsewhere: bool,
        longest_ttl: Duration,
    ) -> Option<Self> {
        let Announcement {
            instance,
            ttl,
            offer,
        } = announcement;
        let zone = zone_of(source);
        let endpoints = usable(&offer, source, zone, elsewhere);
        if endpoints.is_empty() {
            return None;
        }
        Some(Self {
            server: Arc::new(Server {
                id,
                instance,
                offer,
                endpoints,
                // AUTO-31
                ttl: Duration::from_millis(ttl.get().into()).min(longest_ttl),
                source,
                found: now,
            }),
            ttl,
            heard: now,
            zone,
            place,
            established: false,
            late: false,
            doubt: None,
            contested_by: None,
            noted: false,
            told: None,
        })
    }

    /// Whether this announcement says the same as the first one.
    // AUTO-36
    pub(super) fn is_announced_by(&self, announcement: &Announcement) -> bool {
        let Server {
            instance, offer, ..
        } = &*self.server;
        (*instance, self.ttl) == (announcement.instance, announcement.ttl)
            && *offer == announcement.offer
    }

    /// Whether another one of the service says that it is where this one is.
    // AUTO-35
    pub(super) fn is_claimed_by(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.server, &other.server);
        ours.instance != theirs.instance
            && ours.offer.service() == theirs.offer.service()
            && ours
                .endpoints
                .iter()
                .any(|endpoint| theirs.endpoints.contains(endpoint))
    }

    /// It was announced as before.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.late = false;
        // AUTO-37
        self.established |= now - self.server.found >= self.server.ttl / 6;
    }

    /// Where its link-local addresses are is known with the first announcement that came from one; whether that changed anything.
    // AUTO-38
    pub(super) fn learn_zone(&mut self, source: SocketAddr, elsewhere: bool) -> bool {
        if self.zone.is_some() {
            return false;
        }
        self.zone = zone_of(source);
        let first = self.server.source;
        let endpoints = usable(&self.server.offer, first, self.zone, elsewhere);
        if endpoints == self.server.endpoints {
            return false;
        }
        Arc::make_mut(&mut self.server).endpoints = endpoints;
        true
    }

    pub(super) const fn is_in_order(&self) -> bool {
        self.doubt.is_none() && !self.late
    }

    fn late_at(&self) -> Instant {
        self.heard + self.server.ttl * 2 / 3
    }

    fn expires_at(&self) -> Instant {
        self.heard + self.server.ttl
    }

    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.late_at() <= now
    }

    /// When it is to be looked at.
    pub(super) fn due(&self) -> Instant {
        let next = if self.late {
            self.expires_at()
        } else {
            self.late_at()
        };
        self.doubt.map_or(next, |doubt| next.min(doubt.until))
    }

    /// Why it is gone, if it is.
    pub(super) fn is_lost(&self, now: Instant) -> Option<Reason> {
        // AUTO-31
        if self.expires_at() <= now {
            return Some(Reason::Expired);
        }
        let doubt = self.doubt.filter(|doubt| doubt.until <= now)?;
        Some(match doubt.grounds {
            Grounds::Left => Reason::Left,
            Grounds::Silent => Reason::Silent,
        })
    }

    /// Whether the application knows of it.
    pub(super) const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// The next thing that the application does not know of it.
    pub(super) fn tell(&mut self) -> Option<Event> {
        let server = Arc::clone(&self.server);
        let Some(told) = &mut self.told else {
            self.told = Some(Told {
                server: Arc::clone(&server),
                doubted: false,
            });
            return Some(Event::Found { server });
        };
        if !Arc::ptr_eq(&told.server, &server) {
            told.server = Arc::clone(&server);
            return Some(Event::Changed { server });
        }
        if let Some(by) = self.contested_by.take() {
            return Some(Event::Contested { server, by });
        }
        let doubted = self.doubt.is_some();
        if told.doubted == doubted {
            return None;
        }
        told.doubted = doubted;
        Some(if doubted {
            Event::Doubted { server }
        } else {
            Event::Trusted { server }
        })
    }
}

/// The zone of an interface, of whoever is on its link.
fn zone_of(source: SocketAddr) -> Option<u32> {
    match source {
        SocketAddr::V6(source) if source.ip().is_unicast_link_local() => {
            Some(source.scope_id()).filter(|zone| *zone != 0)
        }
        _ => None,
    }
}

/// The endpoints that count here, what is best first.
// AUTO-38
fn usable(
    offer: &Offer,
    source: SocketAddr,
    zone: Option<u32>,
    elsewhere: bool,
) -> Vec<SocketAddr> {
    let mut endpoints = Vec::new();
    for is_at_source in [true, false] {
        for endpoint in offer.endpoints() {
            let address = endpoint.ip();
            let reached = match address {
                _ if (address == source.ip()) != is_at_source => None,
                _ if !is_at_source && !elsewhere => None,
                // A stranger is not to lead anybody to what listens on his own machine only.
                _ if address.is_loopback() && !source.ip().is_loopback() => None,
                IpAddr::V6(address) if address.is_unicast_link_local() => zone
                    .map(|zone| SocketAddrV6::new(address, endpoint.port(), 0, zone))
                    .map(SocketAddr::V6),
                _ => Some(*endpoint),
            };
            endpoints.extend(reached);
        }
    }
    endpoints
}
