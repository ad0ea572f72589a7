//! Hubs to which a node goes, and from which it goes away, while it runs.

use atonce::socket::{Endpoint, Kind};
use atonce::zre;
use atonce::{Instant, PeerId};

use super::place::Places;
use super::{GossipAside, Hub, Remote};
use crate::driver::Driver;
use crate::driver::aside::Around;
use crate::gossip::GossipOptions;
use crate::socket::SocketError;
use crate::{ConnectError, HubError};

impl GossipAside {
    /// Goes to one more hub. Nothing happens when it does so already.
    // ZRE-158
    pub(super) fn connect(
        &mut self,
        now: Instant,
        hub: &Hub,
        around: &mut Around<'_>,
    ) -> Result<(), SocketError> {
        if self.remotes.iter().any(|known| known.hub == *hub) {
            return Ok(());
        }
        let options = self.means.socket(Kind::Dealer, Vec::new(), Some(hub));
        let socket = around.open(options)?;
        self.remotes.push(Remote {
            id: self.gossip.open(now),
            socket,
            hub: hub.clone(),
            link: None,
        });
        Ok(())
    }

    /// Goes to the hub at this endpoint no more, whatever its key is.
    // ZRE-158
    fn disconnect(&mut self, now: Instant, endpoint: &Endpoint, around: &mut Around<'_>) {
        let is_left = |remote: &Remote| remote.hub.endpoint == *endpoint;
        if !self.remotes.iter().any(is_left) {
            return;
        }
        if self.router.is_none() && self.remotes.iter().all(is_left) {
            self.gossip.leave(now);
            self.act(now, around);
            self.places = Places::new(&[]);
        }
        let gossip = &mut self.gossip;
        self.remotes.retain(|remote| {
            let stays = !is_left(remote);
            if !stays {
                tracing::debug!(hub = %endpoint, "leaving a hub");
                gossip.close(now, remote.id);
                around.close(remote.socket);
            }
            stays
        });
    }
}

impl Driver {
    /// Goes to one more hub of gossip, as [`Builder::gossip_connect`](crate::Builder::gossip_connect) has it. Nothing happens when the
    /// node goes there already.
    ///
    /// # Errors
    ///
    /// See [`HubError`]; nothing changed.
    pub fn gossip_connect(&mut self, hub: &str) -> Result<(), HubError> {
        let hub = Hub::read(hub, self.gossip.is_secure())?;
        // ZRE-158
        if self.ended || self.links.machine.is_stopping() {
            return Err(ConnectError::from(zre::ConnectError::Stopped).into());
        }
        let connected = self.with_companion(|now, gossip: &mut GossipAside, around| {
            gossip.connect(now, &hub, around)
        });
        Ok(connected.unwrap_or_else(|| {
            let means = self.gossip.clone();
            let options = GossipOptions {
                binds: Vec::new(),
                remotes: vec![hub],
            };
            self.add_companion(means.linger, |now, around| {
                GossipAside::begin(now, means, &options, around)
            })
        })?)
    }

    /// Goes to the hub of gossip at this endpoint no more. Peers that are here stay; nothing happens when the node does not go there.
    ///
    /// # Errors
    ///
    /// It is no endpoint; nothing changed.
    pub fn gossip_disconnect(&mut self, hub: &str) -> Result<(), HubError> {
        let endpoint = Hub::place(hub)?;
        self.with_companion(|now, gossip: &mut GossipAside, around| {
            gossip.disconnect(now, &endpoint, around);
        });
        Ok(())
    }

    /// Says of a peer that it will not come back: its tuple ends here, and nobody is told it by this node any more. Whether there was one;
    /// nothing happens to the tuple of a peer that is here, nor to our own.
    pub fn gossip_unpublish(&mut self, peer: PeerId) -> bool {
        let found = self.with_companion(|now, gossip: &mut GossipAside, around| {
            gossip.unpublish(now, peer, around)
        });
        found.unwrap_or_default()
    }
}
