//! What the application asks of a node: who is spoken to, sought and left alone, and its end.

use std::net::SocketAddr;

#[cfg(doc)]
use atonce::Stack;
use atonce::curve::PublicKey;
use atonce::endpoint::Endpoint;
use atonce::wire::once::{RelayRole, Ticket};
use atonce::wire::{Frames, Text};
use atonce::zre::{SendError, Shouted};
use atonce::{Instant, PeerId};

use super::Driver;
use super::links::Host;
use crate::{ConnectError, Contact};

impl Driver {
    /// Joins a group.
    pub fn join(&mut self, group: &Text) {
        let now = self.links.clock.now();
        let before = self.is_in(group);
        self.links.machine.join(now, group);
        self.sent(now, 0);
        if !before && self.is_in(group) {
            self.with_log(|logger, now| logger.handle_joined(now, group));
        }
    }

    /// Leaves a group.
    pub fn leave(&mut self, group: &Text) {
        let now = self.links.clock.now();
        let before = self.is_in(group);
        self.links.machine.leave(now, group);
        self.sent(now, 0);
        if before && !self.is_in(group) {
            self.with_log(|logger, now| logger.handle_left(now, group));
        }
    }

    /// Whether the node is in a group.
    fn is_in(&self, group: &Text) -> bool {
        self.links.machine.groups().any(|joined| joined == group)
    }

    /// Stands for leader of a group.
    pub fn contest(&mut self, group: &Text) {
        let now = self.links.clock.now();
        self.links.machine.contest(now, group);
        self.sent(now, 0);
    }

    /// Does not stand for leader of a group any more.
    pub fn withdraw(&mut self, group: &Text) {
        let now = self.links.clock.now();
        self.links.machine.withdraw(now, group);
        self.sent(now, 0);
    }

    /// Says something to one peer.
    pub fn whisper(&mut self, peer: PeerId, content: &Frames) -> Result<(), SendError> {
        let now = self.links.moment();
        let octets = content.octets();
        let result = self.links.machine.whisper(now, peer, content);
        self.sent(now, octets);
        result
    }

    /// Says something to everybody in a group.
    pub fn shout(&mut self, group: &Text, content: &Frames) -> Result<Shouted, SendError> {
        let now = self.links.moment();
        let octets = content.octets();
        let result = self.links.machine.shout(now, group, content);
        self.sent(now, octets);
        result
    }

    /// Says something to one member of a group, as a SHOUT that the others do not get. See [`Stack::shout_to`].
    pub fn shout_to(
        &mut self,
        peer: PeerId,
        group: &Text,
        content: &Frames,
    ) -> Result<(), SendError> {
        let now = self.links.moment();
        let octets = content.octets();
        let result = self.links.machine.shout_to(now, peer, group, content);
        self.sent(now, octets);
        result
    }

    /// Asks a peer with a PING, only to know how long its answer takes. See [`Stack::ping`].
    pub fn ping(&mut self, peer: PeerId) -> Result<(), SendError> {
        // What is timed begins now, and not when the clock was looked at last.
        let now = self.links.clock.now();
        let asked = self.links.machine.ping(now, peer);
        self.sent(now, 0);
        asked
    }

    /// Sends beacons to one address, with growing pauses, until the node that is there is met, or
    /// [`unbeacon`](Driver::unbeacon). See [`Stack::beacon`].
    pub fn beacon(&mut self, address: SocketAddr) -> Result<(), ConnectError> {
        let now = self.links.clock.now();
        let sought = self.links.machine.beacon(now, address);
        self.sent(now, 0);
        Ok(sought?)
    }

    /// Sends no more beacons to this address.
    pub fn unbeacon(&mut self, address: SocketAddr) {
        self.links.machine.unbeacon(address);
    }

    /// Tells the node of another, as if its beacon had been heard. See [`Stack::introduce`].
    pub fn introduce(&mut self, id: PeerId, address: SocketAddr, key: Option<PublicKey>) {
        let now = self.links.clock.now();
        self.links.machine.introduce(now, id, address, key);
        self.sent(now, 0);
    }

    /// Makes a link over a relay of @Once, once. See [`Stack::dial_relayed`].
    pub fn dial_relayed(
        &mut self,
        peer: PeerId,
        key: PublicKey,
        relay: SocketAddr,
        ticket: Ticket,
        role: RelayRole,
    ) -> Result<(), ConnectError> {
        let now = self.links.clock.now();
        let dialled = self
            .links
            .machine
            .dial_relayed(now, peer, key, relay, ticket, role);
        self.sent(now, 0);
        Ok(dialled?)
    }

    /// From now on the mailbox at this address is not there for the node. See [`Stack::ignore`].
    pub fn ignore(&mut self, address: SocketAddr) {
        let now = self.links.clock.now();
        self.links.machine.ignore(now, address);
        self.sent(now, 0);
    }

    /// Takes [`ignore`](Driver::ignore) back.
    pub fn heed(&mut self, address: SocketAddr) {
        self.links.machine.heed(address);
    }

    /// Contacts a node, until it answers.
    pub fn connect(&mut self, contact: &Contact) -> Result<(), ConnectError> {
        let now = self.links.clock.now();
        let contacted = self.contact(now, contact);
        self.sent(now, 0);
        contacted
    }

    pub(super) fn contact(&mut self, now: Instant, contact: &Contact) -> Result<(), ConnectError> {
        let Contact { endpoint, key } = contact;
        match key {
            Some(key) => self.links.machine.connect_with_key(now, endpoint, *key)?,
            None => self.links.machine.connect(now, endpoint)?,
        }
        Ok(())
    }

    /// Forgets what [`connect`](Driver::connect) asked for. A peer that is here stays. See [`Stack::disconnect`].
    pub fn disconnect(&mut self, endpoint: &Endpoint) {
        let now = self.links.clock.now();
        self.links.machine.disconnect(now, endpoint);
        self.sent(now, 0);
    }

    /// Says goodbye to all. [`is_ended`](Driver::is_ended) after some more turns.
    pub fn stop(&mut self) {
        let now = self.links.clock.now();
        self.links.machine.stop(now);
        self.wind_up(true);
    }

    /// Ends like [`stop`](Driver::stop), without any goodbye. See [`Stack::retire`].
    pub fn retire(&mut self) {
        let now = self.links.clock.now();
        self.links.machine.retire(now);
        self.wind_up(false);
    }

    fn wind_up(&mut self, goodbye: bool) {
        self.act();
        self.send();
        self.stop_aside(goodbye);
        self.end_if_stopped();
    }
}
