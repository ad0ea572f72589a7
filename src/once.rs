//! @Once: many local networks become one. The machines of a server and of a bridge: `spec/once.md`.
//!
//! Both are machines that speak messages of [`wire::once`](crate::wire::once) in the WHISPERs of ordinary nodes. They own no node: the
//! embedder has those, gives the machine what its nodes tell, and does what the machine asks for.
//!
//! * A [`Server`] has one node, with beacons off. Bridges meet there.
//! * A [`Bridge`] has a remote node, with which it meets servers and other bridges, a local node, with which it sees who is on its
//!   LAN, and a stand-in for each peer of another LAN: [`Which`] names them.
//! * A [`Relay`] has no node: it passes the octets of one link on to another, for bridges that cannot dial each other.

mod config;
mod role;

pub mod bridge;
pub mod relay;
pub mod server;
pub mod session;

pub use bridge::Bridge;
pub use config::{EmptySecret, Limits, Mechanism, Secret};
pub use relay::Relay;
pub use role::{Role, Roles, VIA};
pub use server::Server;
pub use session::Sessions;

use alloc::string::ToString;

use core::net::{IpAddr, SocketAddr};

use crate::PeerId;
use crate::endpoint::Endpoint;
use crate::wire::Text;
use crate::wire::once::{Code, Nope};

/// One of the nodes of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// With which it meets servers and other bridges. Its beacons are off.
    Remote,
    /// With which it sees who is on its LAN. It has the identity of the remote one.
    Local,
    /// The stand-in of this peer of another LAN.
    StandIn(PeerId),
}

/// Where the relay is that a server leads to, which was itself reached at `server`: the endpoint of a TICKET has an address, or `*` for
/// that of the server. `None` when it has neither, such as a host name.
///
/// ```
/// use atonce::once::relay_address;
///
/// let server = [192, 0, 2, 7].into();
/// let address = relay_address(&"tcp://*:5673".try_into()?, server);
/// assert_eq!(address, Some(([192, 0, 2, 7], 5673).into()));
/// let address = relay_address(&"tcp://[2001:db8::1]:5673".try_into()?, server);
/// assert_eq!(address, Some("[2001:db8::1]:5673".parse()?));
/// assert_eq!(relay_address(&"tcp://relay.example:5673".try_into()?, server), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn relay_address(endpoint: &Text, server: IpAddr) -> Option<SocketAddr> {
    let text = endpoint.to_str_lossy();
    // ONCE-126
    if let Some(port) = text.strip_prefix("tcp://*:") {
        let port = port.parse().ok().filter(|port| *port != 0)?;
        return Some(SocketAddr::new(server, port));
    }
    Endpoint::try_from(endpoint).ok()?.socket_address()
}

/// What refuses a message, with the reason in words.
fn nope(about: u8, code: Code) -> Nope {
    Nope {
        about,
        code,
        text: Text::try_from(code.to_string()).unwrap_or_default(),
    }
}
