//! The names of servers, and the beacons that are sent to where they lead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::Instant;
use atonce::endpoint::{Endpoint, Host};

use crate::driver::Resolver;

/// How soon a name is looked up again that had no address.
const SOON: Duration = Duration::from_secs(10);

/// How often the others are: a machine at home gets another address once in a while.
const LATER: Duration = Duration::from_secs(60);

/// Servers that beacons are sent to.
#[derive(Debug)]
pub(super) struct Names {
    list: Vec<Named>,
    resolver: Resolver,
}

#[derive(Debug)]
struct Named {
    endpoint: Endpoint,
    /// Where beacons are sent to now.
    address: Option<SocketAddr>,
    /// When it is looked up; `None` for an address, and while it is being looked up.
    look_at: Option<Instant>,
    /// That it has no address was told.
    told: bool,
}

/// What is to be done about a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Beacons are to be sent there.
    Beacon(SocketAddr),
    /// And there no more.
    Unbeacon(SocketAddr),
    /// Nobody knows where it is.
    Unknown(String),
}

impl Names {
    pub(super) fn new(waker: Arc<mio::Waker>) -> Self {
        Self {
            list: Vec::new(),
            resolver: Resolver::new(waker),
        }
    }

    pub(super) fn add(&mut self, endpoint: Endpoint) {
        self.list.push(Named {
            endpoint,
            address: None,
            look_at: Some(Instant::ZERO),
            told: false,
        });
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.list.iter().filter_map(|named| named.look_at).min()
    }

    /// Looks up what is due, and says what follows from what came.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        for (number, named) in (0_u64..).zip(&mut self.list) {
            if named.look_at.is_none_or(|at| at > now) {
                continue;
            }
            named.look_at = None;
            match &named.endpoint.host {
                Host::Ip(_) => changes.extend(named.lead_to(named.endpoint.socket_address())),
                Host::Name(name) => {
                    let port = named.endpoint.port;
                    self.resolver.ask(number, name.as_str().to_owned(), port);
                }
            }
        }
        while let Some(answer) = self.resolver.answer() {
            let number = usize::try_from(answer.number).unwrap_or(usize::MAX);
            let Some(named) = self.list.get_mut(number) else {
                continue;
            };
            // Beacons are of IPv4.
            let address = answer.addresses.into_iter().find(SocketAddr::is_ipv4);
            let wait = if address.is_some() { LATER } else { SOON };
            named.look_at = Some(now + wait);
            changes.extend(named.lead_to(address));
        }
        changes
    }
}

impl Named {
    /// It leads there now. Who has no address any more, since nobody answers for the name, is sought where it was.
    fn lead_to(&mut self, address: Option<SocketAddr>) -> Vec<Change> {
        let Some(new) = address else {
            let is_new = self.address.is_none() && !std::mem::replace(&mut self.told, true);
            let name = self.endpoint.to_string();
            let name = name.strip_prefix("tcp://").unwrap_or(&name).to_owned();
            return Vec::from_iter(is_new.then_some(Change::Unknown(name)));
        };
        self.told = false;
        match self.address.replace(new) {
            Some(old) if old == new => Vec::new(),
            Some(old) => vec![Change::Unbeacon(old), Change::Beacon(new)],
            None => vec![Change::Beacon(new)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Named {
        Named {
            endpoint: text.parse().unwrap(),
            address: None,
            look_at: Some(Instant::ZERO),
            told: false,
        }
    }

    #[test]
    fn beacons_follow_the_name_and_stay_when_it_is_not_known() {
        let mut server = named("tcp://meet.example.org:5671");
        let [one, two] = [1, 2].map(|n| SocketAddr::from(([192, 0, 2, n], 5671)));
        let unknown = Change::Unknown("meet.example.org:5671".into());
        assert_eq!(server.lead_to(None), [unknown]);
        assert_eq!(server.lead_to(None), []);
        assert_eq!(server.lead_to(Some(one)), [Change::Beacon(one)]);
        assert_eq!(server.lead_to(Some(one)), []);
        assert_eq!(server.lead_to(None), []);
        assert_eq!(
            server.lead_to(Some(two)),
            [Change::Unbeacon(one), Change::Beacon(two)]
        );
    }

    #[test]
    fn an_address_is_not_looked_up_and_a_name_again_and_again() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut names = Names::new(waker);
        names.add("tcp://192.0.2.7:5671".parse().unwrap());
        let address = SocketAddr::from(([192, 0, 2, 7], 5671));
        assert_eq!(names.turn(Instant::ZERO), [Change::Beacon(address)]);
        assert_eq!(names.deadline(), None);

        names.add("tcp://localhost:5671".parse().unwrap());
        let begun = std::time::Instant::now();
        let mut changes = names.turn(Instant::ZERO);
        while names.deadline().is_none() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(2));
            changes.extend(names.turn(Instant::ZERO));
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 5671));
        assert_eq!(changes, [Change::Beacon(address)]);
        assert_eq!(names.deadline(), Some(Instant::ZERO + LATER));
    }
}
