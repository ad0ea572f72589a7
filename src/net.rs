//! What the embedder has: connections and interfaces, by name.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};

/// One TCP connection, dialled or accepted. A name is never used twice by the same node.
///
/// ```
/// use atonce::{Action, Config, Instant, Stack};
///
/// let mut stack = Stack::new(Instant::ZERO, [7; 32], Config::default());
/// stack.connect(Instant::ZERO, &"tcp://192.168.1.7:49152".parse()?)?;
/// let Some(Action::Dial { link, .. }) = stack.poll_action() else { panic!() };
/// assert_eq!(link.as_u64(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u64);

impl LinkId {
    /// As a number, for the embedder's own tables.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// One address of an interface with a listening mailbox on it. A name is never used twice by the same node.
///
/// ```
/// use atonce::{Config, Event, Instant, Interface, InterfaceId, Stack};
///
/// let mut stack = Stack::new(Instant::ZERO, [7; 32], Config::default());
/// let eth0 = Interface { name: "eth0".into(), address: [10, 0, 0, 1].into(), port: 49152, zone: 2 };
/// let id: InterfaceId = stack.handle_interface_up(Instant::ZERO, eth0);
/// stack.handle_interface_down(Instant::ZERO, id, "the cable was pulled");
/// let events = [(); 2].map(|()| stack.poll_event(Instant::ZERO));
/// assert!(matches!(events[1], Some(Event::InterfaceDown { .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub(crate) u32);

/// An interface as the embedder has it: the mailbox listens on `address:port`. One that has several addresses, of IPv4 and of IPv6,
/// is as many of these, each with a mailbox of its own.
///
/// ```
/// use atonce::Interface;
///
/// let loopback = Interface {
///     name: "lo".into(),
///     address: [127, 0, 0, 1].into(),
///     port: 49152,
///     zone: 1,
/// };
/// assert_eq!(loopback.mailbox().to_string(), "127.0.0.1:49152");
///
/// let eth0 = Interface { name: "eth0".into(), address: "fe80::1".parse()?, port: 49152, zone: 2 };
/// assert_eq!(eth0.mailbox().to_string(), "[fe80::1%2]:49152");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// For people: `eth0`.
    pub name: String,
    /// The address that the mailbox is bound to.
    pub address: IpAddr,
    /// The port that the mailbox is bound to.
    pub port: u16,
    /// The number under which the system knows the interface: a link-local address of IPv6 means nothing without it. 0 where there
    /// are no such addresses.
    pub zone: u32,
}

impl Interface {
    /// Where the mailbox can be dialled from this machine.
    pub const fn mailbox(&self) -> SocketAddr {
        in_zone(SocketAddr::new(self.address, self.port), self.zone)
    }
}

/// The same address, in this zone when it is good on one link only and names none.
pub(crate) const fn in_zone(address: SocketAddr, zone: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(address) if address.ip().is_unicast_link_local() => {
            let zone = if address.scope_id() == 0 {
                zone
            } else {
                address.scope_id()
            };
            SocketAddr::V6(SocketAddrV6::new(*address.ip(), address.port(), 0, zone))
        }
        other => other,
    }
}

/// How much two addresses have in common: how many bits from their beginning on, and nothing when they are of different families.
pub(crate) fn nearness(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            1 + (one.to_bits() ^ other.to_bits()).leading_zeros()
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            1 + (one.to_bits() ^ other.to_bits()).leading_zeros()
        }
        _ => 0,
    }
}

/// How a TCP connection ended, or why it was never made.
///
/// ```
/// use std::io::ErrorKind;
/// use atonce::Cut;
///
/// fn cut(error: &std::io::Error) -> Cut {
///     match error.kind() {
///         ErrorKind::ConnectionRefused => Cut::Refused,
///         ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Cut::Reset,
///         ErrorKind::OutOfMemory => Cut::Resources,
///         _ => Cut::Unreachable,
///     }
/// }
/// assert_eq!(cut(&ErrorKind::ConnectionRefused.into()), Cut::Refused);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nobody listens there.
    Refused,
    /// The other side closed it in order.
    Closed,
    /// It was reset.
    Reset,
    /// No way there: no route, network down, no answer in time.
    Unreachable,
    /// This machine has no descriptors or memory for it.
    Resources,
}
