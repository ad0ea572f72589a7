//! Where one who greets is to be reached (ZRE-13, ZRE-14 of `spec/zre.md`).

use core::net::{IpAddr, SocketAddr};

use super::Lost;
use super::dial::{Dial, Owner};
use super::duplex::{back_to, is_back};
use super::inbound::{Origin, Role, Stage};
use super::keys::Key;
use super::node::Node;
use super::relayed::is_relayed;
use super::sequence::FIRST;
use crate::endpoint::{Endpoint, Host};
use crate::net::LinkId;
use crate::wire::zre::Hello;
use crate::wire::{Expected, Found, Malformed};
use crate::{Instant, PeerId};

impl Node {
    /// ZRE-13. Whether one who names another endpoint than that of the mailbox which states its identity is not the one who is there. At
    /// another address, while that one has a link to us as well: nobody has two. So a stand-in of @Once is told from a node with two
    /// addresses. At the same address on a link that is older than ours to the mailbox: it was started anew since.
    pub(super) fn is_another(
        &self,
        link: LinkId,
        id: PeerId,
        address: SocketAddr,
        key: Option<Key>,
    ) -> bool {
        if self.dials.contains(address) {
            return false;
        }
        let Some(&expected) = self.expected.get(&id) else {
            return false;
        };
        let dial = self.dials.get(expected);
        let proved = dial.filter(|dial| dial.proved == Some(id) && dial.key() == key);
        let Some(up) = proved.and_then(Dial::up) else {
            return false;
        };
        let there = expected.ip();
        if there == address.ip() {
            return link < up;
        }
        self.unproved
            .iter()
            .any(|other| match self.links.get(*other) {
                Some(Role::Inbound(inbound)) if *other != link => {
                    let stated = matches!(inbound.stage, Stage::Unproved(stated) if stated == id);
                    stated && inbound.remote.ip() == there && inbound.key() == key
                }
                _ => false,
            })
    }

    /// ZRE-13. The link that we made to one who greets: by the endpoint of its HELLO, by where its HELLO comes from, or because we
    /// expected it on that machine. Another link that was meant for it leads elsewhere and is given up, and so is one that never
    /// answered when it greets from the address that its endpoint has.
    pub(super) fn known_way(
        &mut self,
        now: Instant,
        id: PeerId,
        address: SocketAddr,
        remote: SocketAddr,
        key: Option<Key>,
    ) -> SocketAddr {
        if is_back(address) {
            return self.known_way_back(now, id, address, key);
        }
        let dial = self.dials.get(address);
        if dial.and_then(Dial::up).is_none()
            && let Some(elsewhere) = self.spoken_to_elsewhere(id, address, key)
        {
            // Its mailbox says so itself, and has other addresses besides.
            return elsewhere;
        }
        if dial.is_some() {
            return address;
        }
        let mut from = remote;
        from.set_port(address.port());
        // ZRE-115
        let has_key = |dial: &Dial| dial.key() == key;
        if self.dials.get(from).is_some_and(has_key) {
            return from;
        }
        let Some(&expected) = self.expected.get(&id) else {
            return address;
        };
        let dial = self.dials.get(expected);
        if !dial.is_none_or(has_key) {
            return address;
        }
        let rumour = address.ip() == remote.ip() && dial.is_none_or(|dial| dial.up().is_none());
        if expected.ip() == remote.ip() && !rumour {
            return expected;
        }
        if dial.is_some_and(|dial| dial.owner == Owner::Nobody) {
            self.give_up_dial(now, expected);
        }
        address
    }

    /// Where to dial one who says HELLO, or why that is no greeting.
    pub(super) fn mailbox_of(
        &self,
        now: Instant,
        id: PeerId,
        origin: Origin,
        key: Option<Key>,
        sequence: u16,
        hello: &Hello,
    ) -> Result<SocketAddr, Lost> {
        if sequence != FIRST {
            // ZRE-26
            let (first, found) = (u64::from(FIRST), u64::from(sequence));
            return Err(Lost::Malformed(Malformed::new(
                "HELLO.sequence",
                Expected::Value(first),
                Found::Value(found),
            )));
        }
        let no_endpoint = |found| {
            let expected = Expected::What("an endpoint of its own");
            Err(Lost::Malformed(Malformed::new(
                "HELLO.endpoint",
                expected,
                Found::What(found),
            )))
        };
        let Ok(endpoint) = hello.endpoint.to_str_lossy().parse() else {
            return no_endpoint("none");
        };
        let address = dialled_for(origin, &endpoint);
        let remote = origin.remote;
        // Nobody can be dialled where a relay leads, which only seems to be an address.
        let elsewhere = address.ip() != remote.ip() || is_relayed(remote);
        if elsewhere && self.offers_duplex(hello) {
            // ZRE-141. It is no news that this address means something else here.
            return Ok(back_to(id));
        }
        if self.is_own(address) {
            // ZRE-3
            return no_endpoint("ours");
        }
        if is_relayed(address) {
            // ONCE-129
            return no_endpoint("one that nobody has");
        }
        if self.ignores(address) {
            // ZRE-138
            return no_endpoint("one that is ignored");
        }
        // ZRE-11. Whoever greets from the address where it is to be dialled is there, whatever was rumoured before: it is worth
        // a try. Two nodes that shun each other by turns would never meet.
        if self.past.is_shunned(now, (address, key)) && address.ip() != remote.ip() {
            return Err(Lost::Unreachable);
        }
        Ok(address)
    }
}

/// ZRE-14. Where to dial one who greets from there with this endpoint.
fn dialled_for(origin: Origin, endpoint: &Endpoint) -> SocketAddr {
    let ip = match &endpoint.host {
        // ZRE-104
        Host::Ip(ip) => Some(ip.to_canonical()).filter(|ip| is_dialled(*ip, origin.ip())),
        // C Zyre with interface `*`.
        Host::Name(_) => None,
    };
    match ip {
        // ZRE-104
        Some(ip) => origin.locate(SocketAddr::new(ip, endpoint.port)),
        // A host name, or an address that means something else here.
        None => {
            let mut from = origin.remote;
            from.set_port(endpoint.port);
            from
        }
    }
}

/// Whether an address that came from `remote` may be dialled as it is: not the loopback of this machine when it came from
/// another, and nothing that is no single host.
fn is_dialled(ip: IpAddr, remote: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && (!ip.is_loopback() || remote.is_loopback())
}
