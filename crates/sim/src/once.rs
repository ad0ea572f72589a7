//! Servers and bridges of @Once as programs of a simulation: many LANs that are one network.
//!
//! ```
//! use atonce::once::{Limits, Mechanism};
//! use atonce::{Event, PeerId};
//! use atonce_sim::once::{Bridge, BridgeSetup, Contact, Server, ServerSetup};
//! use atonce_sim::Sim;
//! use std::time::Duration;
//!
//! // Two LANs, each with a bridge and one node, and a server between them.
//! let mut sim: Sim<Vec<Event>> = Sim::new(1);
//! let wan = sim.segment();
//! let server = sim.host(wan, [203, 0, 113, 1]);
//! let open = vec![Mechanism::Open];
//! sim.start_program(server, Server::new(ServerSetup {
//!     mechanisms: open.clone(),
//!     ..ServerSetup::new(PeerId::from_bytes([99; 16]))
//! }));
//! let nodes = [1, 2].map(|n| {
//!     let lan = sim.segment();
//!     let middle = sim.host(lan, [192, 168, 0, 254]);
//!     sim.attach(middle, wan, [203, 0, 113, 10 + n]);
//!     sim.start_program(middle, Bridge::new(BridgeSetup {
//!         servers: vec![Contact::Beacon(([203, 0, 113, 1], 5671).into())],
//!         mechanisms: open.clone(),
//!         ..BridgeSetup::new(PeerId::from_bytes([n; 16]), lan, wan)
//!     }));
//!     let host = sim.host(lan, [192, 168, 0, n]);
//!     sim.start_named(host, "somebody", Vec::new())
//! });
//! let met = sim.run_until_true(Duration::from_secs(60), |sim| {
//!     // Each sees the bridge of its LAN, and the stand-in of the other.
//!     nodes.iter().all(|node| sim.stack(*node).is_some_and(|it| it.peers().count() == 2))
//! });
//! assert!(met.is_some());
//! ```

mod bridge;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;

use atonce::Event;
use atonce::curve::{KeyPair, PublicKey};
use atonce::endpoint::Endpoint;
use atonce::zre::Curve;

pub use bridge::{Bridge, BridgeSetup};
pub use server::{Server, ServerSetup};

use crate::alarm::Alarm;
use crate::{Context, NodeId, Nodes};

/// The UDP port at which servers and bridges hear beacons that are sent to them alone.
pub const DIRECTED_PORT: u16 = 5_671;

/// Where a server or a bridge is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// By a beacon that is sent there, again and again.
    Beacon(SocketAddr),
    /// At its mailbox, with the key that it has to prove if we are secure.
    Mailbox(Endpoint, Option<PublicKey>),
}

impl Contact {
    /// Lets a node contact it.
    pub(crate) fn make(&self, context: &mut Context<'_>) {
        // What is refused is refused for good: of somebody else's address or key there is nothing to be said here.
        let _ = match self {
            Self::Beacon(address) => context.beacon(*address),
            Self::Mailbox(endpoint, Some(key)) => context.connect_with_key(endpoint, *key),
            Self::Mailbox(endpoint, None) => {
                context.connect(endpoint);
                Ok(())
            }
        };
    }
}

/// What makes a node secure, for which any key will do: who may take part is proved afterwards.
fn secure(keys: Option<&Arc<KeyPair>>) -> Option<Curve> {
    keys.map(|keys| Curve::new(Arc::clone(keys)))
}

/// The key of the peer that an event is about, as a secure node knows it.
pub(crate) fn key_of(nodes: &Nodes<'_>, node: NodeId, event: &Event) -> Option<PublicKey> {
    let (Event::Enter { peer }
    | Event::Evasive { peer }
    | Event::Silent { peer }
    | Event::Recovered { peer }
    | Event::Join { peer, .. }
    | Event::Leave { peer, .. }
    | Event::Whisper { peer, .. }
    | Event::Shout { peer, .. }
    | Event::Exit { peer, .. }) = event
    else {
        return None;
    };
    nodes.stack(node)?.peer(peer.id)?.key
}
