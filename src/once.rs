//! @Once: many local networks become one. The machines of a server and of a bridge: `spec/once.md`.
//!
//! Both are machines that speak messages of [`wire::once`](crate::wire::once) in the WHISPERs of ordinary nodes. They own no node: the
//! embedder has those, gives the machine what its nodes tell, and does what the machine asks for.
//!
//! * A [`Server`] has one node, with beacons off. Bridges meet there.
//! * A [`Bridge`] has a remote node, with which it meets servers and other bridges, a local node, with which it sees who is on its
//!   LAN, and a stand-in for each peer of another LAN: [`Which`] names them.

mod config;
mod role;

pub mod bridge;
pub mod server;
pub mod session;

pub use bridge::Bridge;
pub use config::{EmptySecret, Limits, Mechanism, Secret};
pub use role::{Role, Roles, VIA};
pub use server::Server;
pub use session::Sessions;

use alloc::string::ToString;

use crate::PeerId;
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

/// What refuses a message, with the reason in words.
fn nope(about: u8, code: Code) -> Nope {
    Nope {
        about,
        code,
        text: Text::try_from(code.to_string()).unwrap_or_default(),
    }
}
