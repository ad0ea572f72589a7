//! To whom a node says it.

use alloc::collections::BTreeSet;
use core::net::{IpAddr, SocketAddr};

use tracing::debug;

use super::{Action, CollectorId, Logger, Met};
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;
use crate::wire::log::NodeTag;
use crate::wire::{LongText, Text};
use crate::{Instant, Peer, PeerId};

/// A collector that is connected.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) address: SocketAddr,
    #[cfg(feature = "curve")]
    key: Option<PublicKey>,
    /// The peers that named it and are here.
    peers: BTreeSet<PeerId>,
    /// What we are called there.
    pub(super) node: NodeTag,
    /// The number of the record that it is told next.
    pub(super) next: u64,
    /// How many it was told that were lost with its link, and does not know of yet.
    pub(super) lost: u64,
    /// How many prefixes it wants. None: it is not listening.
    pub(super) subscriptions: usize,
}

impl Entry {
    #[cfg(feature = "curve")]
    fn is(&self, address: SocketAddr, met: &Met) -> bool {
        self.address == address && self.key == met.key
    }

    #[cfg(not(feature = "curve"))]
    fn is(&self, address: SocketAddr, _met: &Met) -> bool {
        self.address == address
    }
}

impl Logger {
    /// A peer says that it is a collector.
    pub(super) fn follow(&mut self, now: Instant, peer: &Peer, met: &Met, header: &LongText) {
        self.forget(peer.id);
        let Some(address) = self.address(peer, met, header) else {
            self.counters.refused += 1;
            debug!(%now, id = %peer.id, octets = header.len(), "no collector");
            return;
        };
        let mut known = self.collectors.values_mut();
        if let Some(entry) = known.find(|entry| entry.is(address, met)) {
            entry.peers.insert(peer.id);
            return;
        }
        // LOG-14
        if self.collectors.len() >= self.config.limits.collectors {
            self.counters.crowded_out += 1;
            debug!(%now, id = %peer.id, %address, "too many collectors");
            return;
        }
        let collector = CollectorId(self.next_collector);
        self.next_collector += 1;
        self.counters.collectors += 1;
        debug!(%now, id = %peer.id, %address, "collector");
        let entry = Entry {
            address,
            #[cfg(feature = "curve")]
            key: met.key,
            peers: BTreeSet::from([peer.id]),
            // LOG-7
            node: NodeTag::of(met.told.as_bytes()),
            next: self.recent(now),
            lost: 0,
            subscriptions: 0,
        };
        self.collectors.insert(collector, entry);
        // LOG-10
        self.actions.push_back(Action::Connect {
            collector,
            address,
            // LOG-15
            #[cfg(feature = "curve")]
            key: met.key,
        });
    }

    /// A peer is not here any more.
    pub(super) fn forget(&mut self, peer: PeerId) {
        let actions = &mut self.actions;
        self.collectors.retain(|collector, entry| {
            let stays = !entry.peers.remove(&peer) || !entry.peers.is_empty();
            if !stays {
                // LOG-10
                let collector = *collector;
                actions.push_back(Action::Disconnect { collector });
            }
            stays
        });
    }

    /// Where a collector is connected that says this of itself.
    // LOG-12
    fn address(&self, peer: &Peer, met: &Met, header: &LongText) -> Option<SocketAddr> {
        let header = Text::try_from(header.as_bytes()).ok()?;
        let named = Endpoint::try_from(&header).ok()?;
        let mut address = met.remote;
        if self.config.elsewhere
            && let Some(named) = named.socket_address()
            && is_dialled(named.ip(), met.remote.ip())
        {
            address.set_ip(named.ip());
        }
        address.set_ip(address.ip().to_canonical());
        address.set_port(named.port);
        // LOG-13
        let own = self.own.values().filter_map(mailbox);
        let at_home = SocketAddr::new(
            met.remote.ip().to_canonical(),
            Endpoint::try_from(&peer.endpoint).map_or(0, |of_peer| of_peer.port),
        );
        let mut mailboxes = own.chain(mailbox(&peer.endpoint)).chain([at_home]);
        let leads_to =
            |mailbox: SocketAddr| mailbox.ip() == address.ip() && mailbox.port() == address.port();
        (!mailboxes.any(leads_to)).then_some(address)
    }
}

fn mailbox(endpoint: &Text) -> Option<SocketAddr> {
    Endpoint::try_from(endpoint).ok()?.socket_address()
}

/// Whether an address in a header that came from `remote` is followed, where that may be.
fn is_dialled(address: IpAddr, remote: IpAddr) -> bool {
    let (address, remote) = (address.to_canonical(), remote.to_canonical());
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified()
        && !address.is_multicast()
        && !broadcast
        && (!address.is_loopback() || remote.is_loopback())
}
