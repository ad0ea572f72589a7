//! The interfaces of a node: the endpoints that peers are told, and the beacons that are said there (ZRE-1, ZRE-9 and ZRE-103 of
//! `spec/zre.md`).

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use tracing::debug;

use super::node::Node;
use super::{Action, Event};
use crate::endpoint::{Endpoint, told};
use crate::net::{Interface, InterfaceId, nearness};
use crate::wire::{Beacon, Text};
use crate::{Instant, PeerId};

impl Node {
    /// An interface is there with the mailbox bound on it: the node says so at once.
    pub fn handle_interface_up(&mut self, now: Instant, interface: Interface) -> InterfaceId {
        let id = InterfaceId(self.next_interface);
        self.next_interface += 1;
        debug!(%now, name = %interface.name, mailbox = %interface.mailbox(), "interface up");
        if self.stopping {
            return id;
        }
        let endpoint = self.endpoint_on(&interface);
        self.inbox.push(Event::InterfaceUp {
            interface: interface.name.clone(),
            endpoint,
        });
        self.interfaces.insert(id, interface);
        // ZRE-1
        self.broadcast_on(id, |interface| interface.port);
        self.seek_partners_anew(now);
        self.seek_told_anew(now);
        id
    }

    /// An interface went away, because of `detail`. Links that still live are kept.
    pub fn handle_interface_down(&mut self, now: Instant, interface: InterfaceId, detail: &str) {
        if let Some(interface) = self.interfaces.remove(&interface)
            && !self.stopping
        {
            debug!(%now, name = %interface.name, detail, "interface down");
            self.inbox.push(Event::InterfaceDown {
                interface: interface.name,
                detail: detail.to_string(),
            });
        }
    }

    /// The endpoints that peers are told, one for each interface.
    pub fn endpoints(&self) -> impl Iterator<Item = Text> {
        self.interfaces
            .values()
            .map(|interface| self.endpoint_on(interface))
    }

    /// The endpoint of this node that a peer was told; `None` when it is not here.
    pub fn told_endpoint(&self, id: PeerId) -> Option<Text> {
        let address = self.peers.get(&id)?.address;
        let local = self.dials.get(address).and_then(|dial| dial.local);
        let interface = self.interface_at(local)?;
        Some(self.endpoint_on(interface))
    }

    /// The interface of which is told over a link whose own end is `local`.
    pub(super) fn interface_at(&self, local: Option<IpAddr>) -> Option<&Interface> {
        // ZRE-103
        let near = |interface: &&Interface| local.map(|local| nearness(interface.address, local));
        // Of several the first.
        self.interfaces.values().rev().max_by_key(near)
    }

    pub(super) fn endpoint_on(&self, interface: &Interface) -> Text {
        let endpoint = match &self.config.advertise {
            Some(endpoint) => endpoint.to_string(),
            None => told(interface.mailbox()),
        };
        // An endpoint is never longer than a name and a port.
        Text::try_from(endpoint).unwrap_or_default()
    }

    /// Whether this is our own mailbox.
    pub(super) fn is_own(&self, address: SocketAddr) -> bool {
        let advertised = self
            .config
            .advertise
            .as_ref()
            .and_then(Endpoint::socket_address);
        advertised == Some(address)
            || self.interfaces.values().any(|interface| {
                interface.port == address.port()
                    && (interface.address == address.ip() || interface.address.is_unspecified())
            })
    }

    pub(super) fn broadcast(&mut self, port: impl Fn(&Interface) -> u16) {
        let interfaces: Vec<_> = self.interfaces.keys().copied().collect();
        for interface in interfaces {
            self.broadcast_on(interface, &port);
        }
    }

    fn broadcast_on(&mut self, id: InterfaceId, port: impl Fn(&Interface) -> u16) {
        // ZRE-9
        if let (true, Some(interface)) =
            (self.config.beacons.broadcasts(), self.interfaces.get(&id))
        {
            let beacon = Beacon {
                uuid: self.id,
                port: port(interface),
                // ZRE-7, ZRE-110
                key: self.own_key(),
            };
            let interface = id;
            self.actions
                .push_back(Action::Broadcast { interface, beacon });
        }
    }
}
