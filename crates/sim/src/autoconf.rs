//! Servers that announce themselves and clients that find them and say hello, as programs of a simulation:
//! [`atonce::autoconf`] over its UDP and its sockets.
//!
//! ```
//! use atonce_sim::Sim;
//! use atonce_sim::autoconf::{Client, ClientSetup, Server, ServerSetup};
//! use std::time::Duration;
//!
//! let mut sim: Sim<()> = Sim::new(1);
//! let lan = sim.segment();
//! let [here, there] = [2, 101].map(|n| sim.host(lan, [10, 0, 0, n]));
//! let setup = ClientSetup::new("client0".parse()?, "printing".parse()?);
//! let client = sim.start_program(there, Client::new(setup));
//! sim.run_for(Duration::from_secs(1));
//! let server = sim.start_program(here, Server::new(ServerSetup::new("printing".parse()?)));
//! let is_welcome = |sim: &Sim<()>| sim.program::<Client>(client).is_some_and(|it| it.welcome().is_some());
//! assert!(sim.run_until_true(Duration::from_secs(1), is_welcome).is_some());
//!
//! // It dies, and comes back at another address and another port: whoever was welcome is told, and says hello again.
//! sim.kill_program(server);
//! sim.run_for(Duration::from_secs(60));
//! assert!(!is_welcome(&sim));
//! sim.change_address(here, 0, [10, 0, 0, 3]);
//! let server = sim.start_program(here, Server::new(ServerSetup::new("printing".parse()?)));
//! assert!(sim.run_until_true(Duration::from_secs(1), is_welcome).is_some());
//! let welcome = sim.program::<Client>(client).and_then(Client::welcome);
//! assert_eq!(welcome.map(|it| it.endpoint), sim.program::<Server>(server).and_then(|it| it.endpoints().first().copied()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod server;

use std::net::{IpAddr, Ipv4Addr};

use atonce::autoconf::{GROUP_V4, GROUP_V6};
use atonce::socket::Endpoint;
use bytes::Bytes;

pub use client::{Client, ClientSetup, Told, Welcome};
pub use server::{Server, ServerSetup};

use crate::{NodeId, Nodes};

/// By which ways datagrams go, and at which port.
///
/// ```
/// use atonce_sim::autoconf::Ways;
///
/// let only_ipv6 = Ways { ipv4: false, broadcast: false, ..Ways::default() };
/// assert_eq!(only_ipv6.port, 5674);
/// ```
// AUTO-10
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// By multicast of IPv4: they do.
    pub ipv4: bool,
    /// By multicast of IPv6: they do.
    pub ipv6: bool,
    /// By broadcast: they do.
    pub broadcast: bool,
    /// The port of UDP, the same for all who are to find each other: 5674.
    pub port: u16,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            ipv4: true,
            ipv6: true,
            broadcast: true,
            port: atonce::autoconf::PORT,
        }
    }
}

impl Ways {
    /// Where datagrams go.
    fn targets(self) -> impl Iterator<Item = IpAddr> {
        [
            (self.ipv4, GROUP_V4.into()),
            (self.ipv6, GROUP_V6.into()),
            (self.broadcast, Ipv4Addr::BROADCAST.into()),
        ]
        .into_iter()
        .filter_map(|(on, target)| on.then_some(target))
    }

    /// Opens what hears them.
    fn open(self, nodes: &mut Nodes<'_>) -> NodeId {
        for target in self.targets().filter(IpAddr::is_multicast) {
            nodes.join_multicast(target);
        }
        nodes.start_udp(self.port)
    }

    /// Sends a datagram by all of them.
    fn send(self, nodes: &mut Nodes<'_>, udp: NodeId, datagram: &Bytes) {
        for target in self.targets() {
            nodes.send_datagram(udp, (target, self.port).into(), datagram.clone());
        }
    }
}

/// Where TCP is dialled.
fn endpoint(address: std::net::SocketAddr) -> Endpoint {
    Endpoint::Tcp {
        host: atonce::socket::Host::Ip(address.ip()),
        port: address.port(),
    }
}
