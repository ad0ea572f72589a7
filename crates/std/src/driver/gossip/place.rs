//! Which of a node's endpoints others are told by gossip: there is one tuple, and a node may have several interfaces.

use std::net::{IpAddr, SocketAddr};

use atonce::Stack;
use atonce::endpoint::Endpoint;
use atonce::socket::{self, Host};

/// What is known of where others are.
#[derive(Debug)]
pub(super) struct Places {
    /// Addresses where others come to us.
    bound: Vec<IpAddr>,
    /// The address from which a hub was reached.
    reached_by: Option<IpAddr>,
    /// The one that was chosen. It is kept as long as it is there, so that others need not follow us about.
    chosen: Option<Endpoint>,
}

impl Places {
    pub(super) fn new(binds: &[socket::Endpoint]) -> Self {
        let bound = binds.iter().filter_map(|endpoint| match endpoint {
            socket::Endpoint::Tcp {
                host: Host::Ip(address),
                ..
            } if !address.is_unspecified() => Some(*address),
            _ => None,
        });
        Self {
            bound: bound.collect(),
            reached_by: None,
            chosen: None,
        }
    }

    /// Whether it is better to wait until a hub is reached.
    pub(super) const fn is_to_wait(&self) -> bool {
        self.reached_by.is_none() && self.chosen.is_none()
    }

    /// A hub was reached from this address; the first one counts.
    pub(super) fn reached_by(&mut self, address: Option<IpAddr>) {
        if self.reached_by.is_none() && address.is_some() {
            self.reached_by = address;
            self.chosen = None;
        }
    }

    /// Where others are to come: to what the application advertises, or else by the interface from which the first hub was reached, or
    /// on which we are a hub, or else by the first that is no loopback. `None` while there is no interface.
    pub(super) fn choose(&mut self, stack: &Stack) -> Option<Endpoint> {
        let endpoints: Vec<Endpoint> = stack
            .endpoints()
            .filter_map(|endpoint| endpoint.to_string().parse().ok())
            .collect();
        if let Some(chosen) = &self.chosen
            && endpoints.contains(chosen)
        {
            return Some(chosen.clone());
        }
        self.chosen = self.best(&endpoints).cloned();
        self.chosen.clone()
    }

    fn best<'a>(&self, endpoints: &'a [Endpoint]) -> Option<&'a Endpoint> {
        let at = |address: IpAddr| {
            let mut endpoints = endpoints.iter();
            endpoints.find(move |endpoint| ip(endpoint) == Some(address))
        };
        let reached = self.reached_by.and_then(at);
        let bound = || self.bound.iter().find_map(|address| at(*address));
        let open = || {
            let mut endpoints = endpoints.iter();
            endpoints.find(|endpoint| ip(endpoint).is_some_and(|ip| !ip.is_loopback()))
        };
        reached
            .or_else(bound)
            .or_else(open)
            .or_else(|| endpoints.first())
    }
}

fn ip(endpoint: &Endpoint) -> Option<IpAddr> {
    endpoint.socket_address().as_ref().map(SocketAddr::ip)
}

#[cfg(test)]
mod tests {
    use atonce::{Config, Instant, Interface};

    use super::*;

    fn stack(addresses: &[&str], advertise: Option<&str>) -> Stack {
        let config = Config {
            advertise: advertise.map(|endpoint| endpoint.parse().unwrap()),
            ..Config::default()
        };
        let mut stack = Stack::new(Instant::ZERO, [7; 32], config);
        for address in addresses {
            up(&mut stack, address);
        }
        stack
    }

    fn up(stack: &mut Stack, address: &str) -> atonce::InterfaceId {
        let interface = Interface {
            name: (*address).to_owned(),
            address: address.parse().unwrap(),
            port: 49152,
            zone: 0,
        };
        stack.handle_interface_up(Instant::ZERO, interface)
    }

    fn chosen(places: &mut Places, stack: &Stack) -> String {
        let chosen = places.choose(stack);
        chosen.map_or_else(String::new, |endpoint| endpoint.to_string())
    }

    #[test]
    fn the_interface_by_which_a_hub_is_reached_counts_more_than_any_other() {
        // ZRE-156
        let some = stack(&["127.0.0.1", "10.0.0.1", "10.1.0.1"], None);
        let mut places = Places::new(&["tcp://*:5670".parse().unwrap()]);
        assert!(places.is_to_wait());
        assert_eq!(chosen(&mut places, &some), "tcp://10.0.0.1:49152");
        places.reached_by("10.1.0.1".parse().ok());
        assert_eq!(chosen(&mut places, &some), "tcp://10.1.0.1:49152");
        places.reached_by("10.0.0.1".parse().ok());
        assert_eq!(chosen(&mut places, &some), "tcp://10.1.0.1:49152");
        // By one that the node does not use.
        let mut places = Places::new(&["tcp://10.1.0.1:5670".parse().unwrap()]);
        places.reached_by("192.0.2.1".parse().ok());
        assert_eq!(chosen(&mut places, &some), "tcp://10.1.0.1:49152");
        let loopback = stack(&["127.0.0.1"], None);
        assert_eq!(chosen(&mut places, &loopback), "tcp://127.0.0.1:49152");
    }

    #[test]
    fn what_is_advertised_counts_more_than_interfaces() {
        // ZRE-156
        let some = stack(&["10.0.0.1", "10.1.0.1"], Some("tcp://203.0.113.7:5000"));
        let mut places = Places::new(&[]);
        places.reached_by("10.1.0.1".parse().ok());
        assert_eq!(chosen(&mut places, &some), "tcp://203.0.113.7:5000");
    }

    #[test]
    fn what_was_chosen_stays_while_it_is_there() {
        // ZRE-156
        let mut some = stack(&["10.1.0.1"], None);
        let mut places = Places::new(&[]);
        assert_eq!(chosen(&mut places, &some), "tcp://10.1.0.1:49152");
        let other = up(&mut some, "10.0.0.1");
        assert_eq!(chosen(&mut places, &some), "tcp://10.1.0.1:49152");
        some.handle_interface_down(Instant::ZERO, other, "gone");
        let mut none = stack(&[], None);
        assert_eq!(chosen(&mut places, &none), "");
        up(&mut none, "10.0.0.1");
        assert_eq!(chosen(&mut places, &none), "tcp://10.0.0.1:49152");
    }
}
