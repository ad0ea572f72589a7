//! What a node asks of its embedder.

use core::net::SocketAddr;

#[cfg(doc)]
use super::Node;
#[cfg(doc)]
use crate::PeerId;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::HostName;
use crate::net::{InterfaceId, LinkId};
use crate::wire::Beacon;
use crate::wire::zre::Message;

/// What the node wants done.
///
/// ```
/// use atonce::zre::{Action, Config, Node};
/// use atonce::Instant;
///
/// let mut node = Node::new(Instant::ZERO, [7; 32], Config::default());
/// node.connect(Instant::ZERO, &"tcp://192.168.1.7:49152".parse()?)?;
/// assert!(matches!(node.poll_action(), Some(Action::Dial { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The [`Stack`](crate::Stack) does it with its connections or passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Broadcast this beacon on the interface.
    Broadcast {
        /// Where.
        interface: InterfaceId,
        /// What.
        beacon: Beacon,
    },
    /// Send this beacon to one address, if the way there leads over this interface: from the socket on which beacons are heard,
    /// if there is one, or else from the one that broadcasts there. There is one such action for each interface of the address's
    /// family; an embedder that cannot tell the way does all of them.
    Beacon {
        /// On the way over which interface.
        interface: InterfaceId,
        /// Where to.
        to: SocketAddr,
        /// What.
        beacon: Beacon,
    },
    /// Say whether the owner of a key may be spoken to, by [`Node::handle_verdict`]. Only secure nodes ask, before each
    /// [`Action::Dial`], and whoever dials them is asked for by the one who makes the connections.
    #[cfg(feature = "curve")]
    Authenticate {
        /// What to answer with: the name of the link, if one is to be made.
        link: LinkId,
        /// Whose key. Nothing is proved yet: that comes with the handshake.
        key: PublicKey,
        /// Where it is said to be.
        remote: SocketAddr,
    },
    /// Open a connection to a mailbox, as a DEALER whose Identity is [`PeerId::identity`]; in a secure network as a client of
    /// CURVE, for the server with the key `Node::key_of`.
    Dial {
        /// Its name from now on.
        link: LinkId,
        /// Where to.
        address: SocketAddr,
    },
    /// Send this message.
    Send {
        /// Where.
        link: LinkId,
        /// What; [`Message::encode`] gives its frames.
        message: Message,
    },
    /// The other side of the link is a peer: the limits for strangers do not hold any more.
    Trust {
        /// Which.
        link: LinkId,
    },
    /// The node takes messages of the link again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Close the link and forget it.
    Close {
        /// Which.
        link: LinkId,
        /// Whether what is queued is to be sent first.
        flush: bool,
    },
    /// Look up a host name; answer with [`Node::handle_resolved`].
    Resolve {
        /// What to answer with.
        query: u64,
        /// The name.
        host: HostName,
        /// The port to put into the addresses.
        port: u16,
    },
}
