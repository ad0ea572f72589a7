//! Links over a relay of @Once: where they really go, and what is said there first.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::net::SocketAddr;

use bytes::Bytes;

use super::Stack;
use super::action::Action;
use super::link::Relayed;
use crate::curve::PublicKey;
use crate::net::LinkId;
use crate::wire::once::{Prelude, RelayRole, Ticket};
use crate::zre::{ConnectError, relayed};
use crate::{Instant, PeerId};

/// By the address that a link seems to lead to: until when it may be dialled, the relay, and what is said there first.
pub(super) type Relays = BTreeMap<SocketAddr, (Instant, SocketAddr, Bytes)>;

impl Stack {
    /// Makes a link over a relay of @Once, which joins it to one that `peer` makes: each says a ticket there, which was drawn for it,
    /// and one of them dials, the other accepts. Both nodes have to be secure and [`duplex`](crate::Config::duplex).
    ///
    /// The relay reads nothing of what passes, and is not trusted: whoever is at the other end has to prove `key`, and state the identity of
    /// `peer`. The embedder is [asked](Action::Authenticate) besides, with an address that nobody has, `fd61:746f:6e63:6500::/64` and half of
    /// the identity, as it is said to be where such a link comes from. The [`Action::Dial`] has the address of the relay, and the
    /// octets of the link begin with the prelude, so that an adapter need not know of relays.
    ///
    /// It is tried once, for the time that a HELLO may take. Nothing happens when the peer is here already and it is this node that
    /// dials. When such a link ends, the peer exits: there is no way to it until there are new tickets.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NotSecure`], [`ConnectError::UselessKey`] or [`ConnectError::Stopped`]; nothing changed.
    pub fn dial_relayed(
        &mut self,
        now: Instant,
        peer: PeerId,
        key: PublicKey,
        relay: SocketAddr,
        ticket: Ticket,
        role: RelayRole,
    ) -> Result<(), ConnectError> {
        let prelude = Bytes::copy_from_slice(&Prelude { ticket }.encode());
        match role {
            RelayRole::Dial => {
                // Those for which nobody was allowed to come in.
                self.relays.retain(|_, (until, ..)| now < *until);
                let until = now + self.config.limits.hello_deadline;
                self.node.dial_relayed(now, peer, key)?;
                self.relays.insert(relayed(peer), (until, relay, prelude));
            }
            RelayRole::Accept => {
                let link = self.node.accept_relayed(now, peer, key)?;
                self.open(now, link, false);
                if let Some(entry) = self.links.get_mut(link) {
                    entry.connected = false;
                    entry.relayed = Some(Box::new(Relayed {
                        prelude,
                        key: Some(key),
                    }));
                }
                let address = relay;
                self.actions.push_back(Action::Dial { link, address });
            }
        }
        self.settle(now);
        Ok(())
    }

    /// Where a link really is to be dialled.
    pub(super) fn lead_over_relay(&mut self, link: LinkId, address: SocketAddr) -> SocketAddr {
        let Some((_, relay, prelude)) = self.relays.remove(&address) else {
            return address;
        };
        if let Some(entry) = self.links.get_mut(link) {
            entry.relayed = Some(Box::new(Relayed { prelude, key: None }));
        }
        relay
    }
}
