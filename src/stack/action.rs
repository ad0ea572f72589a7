//! What a stack asks of its embedder.

use core::net::SocketAddr;

use bytes::Bytes;

#[cfg(doc)]
use super::Stack;
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::HostName;
use crate::net::{InterfaceId, LinkId};
use crate::zre;

/// What the embedder has to do.
///
/// ```
/// use atonce::{Action, Instant, Interface, Stack};
///
/// let mut stack = Stack::new(Instant::ZERO, [7; 32], Default::default());
/// let lo = Interface { name: "lo".into(), address: [127, 0, 0, 1].into(), port: 49152, zone: 1 };
/// stack.handle_interface_up(Instant::ZERO, lo);
/// match stack.poll_action() {
///     Some(Action::Broadcast { datagram, .. }) => assert_eq!(datagram.len(), 22),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send this datagram to the beacon port of everybody on the interface. A failure is no matter: it is sent again.
    Broadcast {
        /// Where.
        interface: InterfaceId,
        /// What.
        datagram: Bytes,
    },
    /// Send this datagram to one address, if the way there leads over this interface. A failure is no matter: it is sent again.
    ///
    /// There is one such action for each interface of the address's family, since the mailbox may have another port on each; an
    /// embedder that cannot tell the way does all of them. It is sent from the socket on which beacons come, when the node
    /// [hears](zre::Beacons::hears) any, so that an answer comes there, also through a translation of addresses; else from the one
    /// that broadcasts on the interface.
    Beacon {
        /// On the way over which interface.
        interface: InterfaceId,
        /// Where to.
        to: SocketAddr,
        /// What.
        datagram: Bytes,
    },
    /// Say whether the owner of a key may be spoken to; answer with [`Stack::handle_verdict`], at once or later: after the time that
    /// a handshake may take the link is given up. Only secure nodes ask: about whoever dials them when it proved its key, and
    /// before each [`Action::Dial`] with the key that was told of, which is not proved yet.
    #[cfg(feature = "curve")]
    Authenticate {
        /// What to answer with. There is no connection yet when it is we who are to dial.
        link: LinkId,
        /// Whose key.
        key: PublicKey,
        /// Where it came from, or where it is said to be.
        remote: SocketAddr,
    },
    /// Open a TCP connection; answer with [`Stack::handle_connected`] or [`Stack::handle_disconnected`].
    Dial {
        /// The name of the new connection.
        link: LinkId,
        /// Where to.
        address: SocketAddr,
    },
    /// There are octets to send where there were none: take them with [`Stack::poll_transmit`] until it lends nothing.
    Transmit {
        /// Where.
        link: LinkId,
    },
    /// Stop reading the connection, because the application is slow; TCP holds the other side back.
    Pause {
        /// Which.
        link: LinkId,
    },
    /// Read it again.
    Resume {
        /// Which.
        link: LinkId,
    },
    /// Close the connection now and forget it. No further call about it.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Look a host name up, off the thread that does the I/O, within 5 s; answer with [`Stack::handle_resolved`].
    Resolve {
        /// What to answer with.
        query: u64,
        /// The name.
        host: HostName,
        /// The port to put into the addresses.
        port: u16,
    },
}

/// What the next deadline is for.
///
/// ```
/// use atonce::{Config, Instant, Stack, Timer, zre};
///
/// let stack = Stack::new(Instant::ZERO, [7; 32], Config::default());
/// let next = stack.poll_timeout().map(|(at, timer)| (at.as_millis(), timer));
/// assert_eq!(next, Some((1_000, Timer::Node(zre::Timer::Beacon))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// Something of the node.
    Node(zre::Timer),
    /// A connection: its handshake takes too long, or its heartbeat is due.
    Connection(LinkId),
    /// A connection that is to be closed did not take in time what was queued.
    Linger,
}
