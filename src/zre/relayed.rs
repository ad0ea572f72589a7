//! Links over a relay (ONCE-128 and ONCE-129 of `spec/once.md`), which joins a link of ours to one of the peer's.
//!
//! For the node such a link leads to, or comes from, an address that nobody has, made of the peer's UUID. One that is dialled is a
//! dial like any other, but for two things: it is tried once, since a ticket is good once; and nobody but that peer hears anything of us
//! there. One that is accepted is an inbound link like any other that has to state that UUID. In both cases the peer names an address in its
//! HELLO from which the link does not come, and so it is used in both directions.

use core::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use tracing::debug;

#[cfg(feature = "curve")]
use super::ConnectError;
#[cfg(feature = "curve")]
use super::deadlines::Due;
use super::dial::Owner;
#[cfg(feature = "curve")]
use super::dial::{Dial, State};
#[cfg(feature = "curve")]
use super::keys::Key;
use super::node::Node;
use super::{ExitReason, Lost};
#[cfg(feature = "curve")]
use crate::net::LinkId;
use crate::{Instant, PeerId};

/// The first 64 bits of these addresses: locally assigned (RFC 4193), and spelling `atonce`.
const PREFIX: u64 = 0xfd61_746f_6e63_6500;

/// Their port means nothing, but 0 is taken, see `back_to`.
const PORT: u16 = 1;

/// Where a peer is to whom a relay leads: half of its UUID is the interface, and the other half flow label and scope, so that no
/// two have one address.
pub(crate) const fn relayed(id: PeerId) -> SocketAddr {
    let [a, b, c, d, e, f, g, h, interface @ ..] = *id.as_bytes();
    let ip = ((PREFIX as u128) << 64) | u64::from_be_bytes(interface) as u128;
    let (flow, scope) = (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    );
    SocketAddr::V6(SocketAddrV6::new(
        Ipv6Addr::from_bits(ip),
        PORT,
        flow,
        scope,
    ))
}

/// Whether it is an address of a peer to whom a relay leads.
#[inline]
pub(crate) fn is_relayed(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(v6) => v6.ip().to_bits() >> 64 == u128::from(PREFIX),
    }
}

#[cfg(feature = "curve")]
impl Node {
    /// A relay will join a link that we make to one of this peer's, and we speak first on it. An earlier one that did not get so far is given up.
    pub(crate) fn dial_relayed(
        &mut self,
        now: Instant,
        id: PeerId,
        key: Key,
    ) -> Result<(), ConnectError> {
        self.may_be_relayed(key)?;
        let address = relayed(id);
        let here = self.peers.contains_key(&id) || self.greeted.contains_key(&id);
        if here || id == self.id {
            return Ok(());
        }
        self.remove_dial(now, address);
        let mut dial = Dial::new(now, address.ip(), Some(key));
        dial.expect = Some(id);
        // ONCE-128
        dial.wary = true;
        let link = self.new_link();
        dial.state = State::Dialling(link);
        self.expected.insert(id, address);
        self.dials.insert(address, dial);
        let deadline = now + self.config.limits.hello_deadline;
        self.timers.set(Due::Dial(address), deadline);
        self.ask(link, key, address);
        Ok(())
    }

    /// A relay will join a link that the embedder makes to one of this peer's, which speaks first on it.
    pub(crate) fn accept_relayed(
        &mut self,
        now: Instant,
        id: PeerId,
        key: Key,
    ) -> Result<LinkId, ConnectError> {
        self.may_be_relayed(key)?;
        Ok(self.accept(now, relayed(id), 0))
    }

    fn may_be_relayed(&self, key: Key) -> Result<(), ConnectError> {
        if self.is_stopping() {
            return Err(ConnectError::Stopped);
        }
        // ONCE-128
        if !self.is_secure() {
            return Err(ConnectError::NotSecure);
        }
        if !self.is_useful(Some(key)) {
            return Err(ConnectError::UselessKey);
        }
        Ok(())
    }
}

impl Node {
    /// A link over a relay is no more, or never was; there is no other way there.
    pub(super) fn relay_ended(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        let lost = dial.lost;
        debug!(%address, owner = ?dial.owner, "the relay leads there no more");
        match dial.owner {
            Owner::Peer(id) => {
                let reason = ExitReason::Lost(Lost::LinkCut { messages: lost });
                self.exit(now, id, reason);
            }
            Owner::Greeted { .. } | Owner::Nobody => {}
        }
        self.lose_way(now, address);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn each_peer_has_an_address_that_nobody_else_can_have() {
        // ONCE-129
        let id = PeerId::from_bytes([
            0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 1, 2, 3, 4, 5, 6, 7, 8,
        ]);
        let address = relayed(id);
        assert_eq!(
            address.ip().to_string(),
            "fd61:746f:6e63:6500:102:304:506:708"
        );
        assert!(is_relayed(address) && address.port() != 0);
        for bit in 0..128 {
            let other = u128::from_be_bytes(*id.as_bytes()) ^ (1 << bit);
            let other = relayed(PeerId::from_bytes(other.to_be_bytes()));
            assert!(is_relayed(other) && other != address, "bit {bit}");
        }
        for other in [
            "10.0.0.1:1",
            "[fd61:746f:6e63:6501::1]:1",
            "[2001:db8::1]:1",
        ] {
            assert!(!is_relayed(other.parse().unwrap()), "{other}");
        }
    }
}
