//! The interfaces in use, with a mailbox on each address and a voice on each that beacons, and the ear that hears all beacons.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use atonce::zre::Beacons;
use atonce::{Instant, Interface, InterfaceId};
use slab::Slab;
use socket2::Domain;

use super::Driver;
use super::changes::Changes;
use super::cut::is_network_change;
use super::datagrams::{Left, receive};
use super::ear::Ear;
use super::interfaces::{Found, Listing, is_link_local};
use super::links::{Host, Listening, with_scratch};
use super::sockets::{address_towards, beacon_sender, listen_at};
use crate::{Family, StartError};

/// How often the interfaces are looked at again: as long as a network that came or changed may go unnoticed.
const RESCAN: Duration = Duration::from_secs(2);

/// The same for a node that is told when to look, one of hundreds.
const RESCAN_SELDOM: Duration = Duration::from_secs(60);

/// The same while there is none, or a socket is to be made again.
const RESCAN_SOON: Duration = Duration::from_secs(1);

/// So long after the interfaces were looked at it is not done again for each word of the system that they may have changed, which may come
/// by the dozen.
const CALM: Duration = Duration::from_millis(200);

/// Addresses that went away and of which is remembered which interface had them.
const GONE: usize = 64;

/// So much early is looked at the interfaces by a node that is awake for something else.
const EARLY: Duration = Duration::from_millis(100);

/// So much early are read the beacons that were left alone, by a node that is awake for something else.
const UNREAD_EARLY: Duration = Duration::from_millis(200);

/// So much late, by a node that will be awake for something else then. Together with the above it makes a quiet node read when it
/// says its own beacon, wherever in a lull that falls.
const UNREAD_LATE: Duration = Duration::from_millis(50);

/// Datagrams read before others have their turn.
const DATAGRAMS: usize = 128;

#[derive(Debug)]
pub(super) struct Network {
    choice: Choice,
    beacons: Beacons,
    /// The UDP port of the beacons. Of a directed node, 0 is any, until it has one.
    port: u16,
    tcp_ports: RangeInclusive<u16>,
    bound: Slab<Bound>,
    /// The port that an interface had last, and whether for IPv6: it gets the same again if it can, since peers know it.
    ports: BTreeMap<(String, bool), u16>,
    /// Addresses that went away, with their interface: their links live on if they come back.
    gone: Vec<(String, IpAddr)>,
    /// Some address could not be used when it was tried last.
    lacking: bool,
    ear: Option<Ear>,
    changes: Option<Changes>,
    looked_at: Instant,
    rescan_at: Instant,
    /// It is told when to look at the interfaces, and else looks seldom.
    seldom: bool,
    /// Where the last directed beacon went, when, and from which address.
    way: Option<(SocketAddr, Instant, Option<IpAddr>)>,
    /// Complaints that were logged and still hold, so that they are not logged at every scan.
    complaints: BTreeSet<String>,
}

/// What the user wants of interfaces.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Names and addresses; empty for whatever there is.
    pub(super) wanted: Vec<String>,
    pub(super) family: Family,
    /// Groups that are beaconed to, and heard, besides.
    pub(super) groups: Vec<IpAddr>,
}

/// An address of an interface in use.
#[derive(Debug)]
struct Bound {
    id: InterfaceId,
    found: Found,
    mailbox: SocketAddr,
    /// Where the mailbox stands among the listeners.
    listener: usize,
    /// Where its beacons go; nowhere when others of the interface do.
    destinations: Vec<IpAddr>,
    /// Sends beacons; made again when it failed.
    voice: Option<UdpSocket>,
}

impl Choice {
    fn of(&self, listing: &Listing) -> Vec<Found> {
        listing.select(&self.wanted, self.family)
    }
}

impl Network {
    pub(super) fn new(
        choice: Choice,
        beacons: Beacons,
        port: u16,
        tcp_ports: RangeInclusive<u16>,
    ) -> Self {
        Self {
            choice,
            beacons,
            port,
            tcp_ports,
            bound: Slab::new(),
            ports: BTreeMap::new(),
            gone: Vec::new(),
            lacking: false,
            ear: None,
            changes: None,
            looked_at: Instant::ZERO,
            rescan_at: Instant::ZERO,
            seldom: false,
            way: None,
            complaints: BTreeSet::new(),
        }
    }

    /// When there is something to look at; `next`: when the node has something to do itself.
    pub(super) fn deadline(&self, next: Option<Instant>) -> Option<Instant> {
        let lull = self.ear.as_ref().and_then(|ear| ear.lull.until());
        // Beacons wait a little longer for a node that is awake then, or else it would wake twice.
        let lull = lull
            .filter(|until| next.is_none_or(|next| next < *until || next > *until + UNREAD_LATE));
        [Some(self.rescan_at), lull].into_iter().flatten().min()
    }

    pub(super) fn close(&mut self) {
        self.bound.clear();
        self.ear = None;
        self.changes = None;
    }

    /// The interfaces are looked at seldom.
    pub(super) fn look_seldom(&mut self) {
        self.seldom = true;
        // Hundreds would look at once.
        self.changes = None;
    }

    /// The interfaces are looked at with the next turn.
    pub(super) fn look_now(&mut self) {
        self.rescan_at = Instant::ZERO;
    }

    /// The descriptors that it takes.
    pub(super) fn descriptors(&self) -> usize {
        let voices = self.bound.iter().filter(|(_, bound)| bound.voice.is_some());
        let ear = self.ear.as_ref().map_or(0, Ear::descriptors);
        let changes = usize::from(self.changes.is_some());
        self.bound.len() + voices.count() + ear + changes
    }

    /// Whether a datagram from this source is this node's business.
    // ZRE-163
    fn is_heard(&self, source: SocketAddr) -> bool {
        let near = self
            .bound
            .iter()
            .any(|(_, bound)| bound.found.hears(source));
        let source = source.ip();
        if self.beacons == Beacons::Directed {
            // Whoever sends to its port means it; but one that keeps to this machine is not to be met over the network, nor is a
            // node there for those elsewhere that keeps to it itself.
            let keeps_here = self.bound.iter().all(|(_, bound)| bound.found.loopback);
            return near || !keeps_here && !source.is_loopback();
        }
        // From elsewhere it is not heard when the user chose the interfaces, and when it comes from a node that keeps to
        // this machine: that one is not to be met over the network.
        near || (self.choice.wanted.is_empty() && !source.is_loopback() && !is_link_local(source))
    }

    /// Has each address beacon to where it should, now that others came or went.
    fn aim(&mut self) {
        let founds: Vec<Found> = self
            .bound
            .iter()
            .map(|(_, bound)| bound.found.clone())
            .collect();
        for (_, bound) in &mut self.bound {
            let destinations = bound.found.destinations(founds.iter(), &self.choice.groups);
            if destinations.is_empty() {
                bound.voice = None;
            }
            bound.destinations = destinations;
        }
    }

    /// Whether a link from this address of ours leads nowhere, now that an interface came up with this one: an address that went away may
    /// come back with its own interface.
    // ZRE-165
    fn is_stranded(&self, local: IpAddr, came: &Found, listing: &Listing) -> bool {
        let mut gone = self.gone.iter().filter(|(_, address)| *address == local);
        !listing.has_address(local) && gone.all(|(name, address)| replaces(came, name, *address))
    }

    /// Whether this complaint is new.
    fn complain(&mut self, what: &str) -> bool {
        self.complaints.insert(what.to_owned())
    }
}

impl Driver {
    /// Binds everything for the first time: what does not work now is told to whoever starts the node.
    pub(super) fn start_network(&mut self) -> Result<(), StartError> {
        let listing = Listing::read().map_err(StartError::Interfaces)?;
        if let Some(wanted) = listing.unknown(&self.network.choice.wanted) {
            return Err(StartError::UnknownInterface {
                wanted: wanted.to_owned(),
                present: listing.describe(),
            });
        }
        if self.network.beacons.hears() {
            let (port, directed) = (self.network.port, self.network.beacons == Beacons::Directed);
            self.open_ear().map_err(|source| match directed {
                true => StartError::DirectedPort { port, source },
                false => StartError::BeaconPort { port, source },
            })?;
        }
        let now = self.links.clock.now();
        let selected = self.network.choice.of(&listing);
        let stays_here = !selected.is_empty() && selected.iter().all(|found| found.loopback);
        if !stays_here {
            // Before anything is bound, so that no change is missed.
            self.network.changes = match Changes::new(&self.links.registry) {
                Ok(changes) => Some(changes),
                Err(error) => {
                    tracing::debug!(%error, "the system does not tell of changes");
                    None
                }
            };
        }
        for found in selected {
            match self.interface_up(now, found) {
                // It went away just now, or nobody knows yet whether another has it.
                Err(StartError::Mailbox { source, .. })
                    if source.kind() == ErrorKind::AddrNotAvailable =>
                {
                    self.network.lacking = true;
                }
                result => result?,
            }
        }
        self.settle();
        self.plan_rescan(now);
        Ok(())
    }

    /// The system says that interfaces or addresses may have changed.
    // ZRE-164
    pub(super) fn heed_changes(&mut self) {
        if let Some(changes) = &self.network.changes {
            changes.clear();
            let at = self.network.looked_at + CALM;
            self.network.rescan_at = self.network.rescan_at.min(at);
        }
    }

    /// Scans the interfaces when it is time to.
    pub(super) fn keep_network(&mut self, now: Instant) {
        if self.network.rescan_at <= now + EARLY {
            self.rescan(now);
        }
        let ear = self.network.ear.as_ref();
        if ear.is_some_and(|ear| {
            ear.lull
                .until()
                .is_some_and(|until| until <= now + UNREAD_EARLY)
        }) {
            self.note_beacons();
        }
    }

    fn rescan(&mut self, now: Instant) {
        self.network.looked_at = now;
        if let Some(changes) = &self.network.changes {
            changes.clear();
        }
        match Listing::read() {
            Ok(listing) => self.adopt(now, &listing),
            Err(error) => {
                if self.network.complain("list") {
                    tracing::warn!(%error, "cannot list the interfaces");
                }
            }
        }
        if self.network.beacons.hears() && self.network.ear.is_none() {
            match self.open_ear() {
                Ok(()) => {
                    tracing::info!("listening for beacons again");
                    self.settle();
                }
                Err(error) => tracing::debug!(%error, "still cannot listen for beacons"),
            }
        }
        self.plan_rescan(now);
    }

    fn plan_rescan(&mut self, now: Instant) {
        let deaf = self.network.beacons.hears() && self.network.ear.is_none();
        let network = &self.network;
        let wait = match network.bound.is_empty() || network.lacking || deaf {
            true => RESCAN_SOON,
            false if self.network.seldom => RESCAN_SELDOM,
            false => RESCAN,
        };
        self.network.rescan_at = now + wait;
        if !self.network.bound.is_empty() {
            self.network.complaints.remove("none");
        } else if self.network.complain("none") {
            tracing::warn!("no interface to use: waiting for one");
        }
    }

    /// Makes what is bound follow what there is.
    fn adopt(&mut self, now: Instant, listing: &Listing) {
        self.network.complaints.remove("list");
        let mut selected = self.network.choice.of(listing);
        let mut changed = std::mem::take(&mut self.network.lacking);
        for key in self.bound_keys() {
            let Some(bound) = self.network.bound.get(key) else {
                continue;
            };
            let before = selected.len();
            selected.retain(|found| *found != bound.found);
            if selected.len() == before {
                self.interface_down(now, key, "it went away, or its address did");
                changed = true;
            }
        }
        let mut came = Vec::new();
        for found in selected {
            let name = format!("{} {}", found.name, found.address);
            match self.interface_up(now, found.clone()) {
                Ok(()) => {
                    self.network.complaints.remove(&name);
                    came.push(found);
                }
                Err(error) => {
                    self.network.lacking = true;
                    // For a second or two nobody knows whether another one has the same address of IPv6.
                    let early = found.address.is_ipv6()
                        && matches!(&error, StartError::Mailbox { source, .. }
                            if source.kind() == ErrorKind::AddrNotAvailable);
                    if !early && self.network.complain(&name) {
                        tracing::warn!("{error}; trying again");
                    }
                }
            }
        }
        if changed || !came.is_empty() {
            self.settle();
        } else {
            self.find_voices();
        }
        for found in &came {
            let network = &self.network;
            self.links
                .cut_stranded(|local| network.is_stranded(local, found, listing));
            self.network.gone.retain(|(name, address)| {
                !listing.has_address(*address) && !replaces(found, name, *address)
            });
        }
        if !came.is_empty() {
            self.act();
        }
    }

    /// What is bound changed, or may be lacking something.
    fn settle(&mut self) {
        self.network.aim();
        self.find_voices();
        let network = &mut self.network;
        let Some(ear) = &mut network.ear else {
            return;
        };
        let wants_v6 = network
            .bound
            .iter()
            .any(|(_, bound)| bound.mailbox.is_ipv6());
        if wants_v6 && !ear.hears(Domain::IPV6) {
            match ear.open(&self.links.registry, Domain::IPV6) {
                Ok(()) => {
                    network.complaints.remove("v6");
                }
                Err(error) => {
                    network.lacking = true;
                    if network.complaints.insert("v6".to_owned()) {
                        tracing::warn!(%error, "cannot hear beacons over IPv6; trying again");
                    }
                }
            }
        }
        for (_, bound) in &network.bound {
            if let Err((group, error)) = ear.join(&bound.found, &network.choice.groups) {
                let what = format!("{} {group}", bound.found.name);
                if network.complaints.insert(what) {
                    let interface = &bound.found.name;
                    tracing::debug!(interface, %group, %error, "cannot hear a group");
                }
            }
        }
    }

    /// Makes the sockets for beacons that lack.
    fn find_voices(&mut self) {
        if self.network.beacons.broadcasts() {
            for (_, bound) in &mut self.network.bound {
                bound.speak();
            }
        }
    }

    fn interface_up(&mut self, now: Instant, found: Found) -> Result<(), StartError> {
        let refused = |source| StartError::Mailbox {
            interface: found.name.clone(),
            address: found.address,
            ports: self.network.tcp_ports.clone(),
            source,
        };
        let network = &self.network;
        let kind = (found.name.clone(), found.address.is_ipv6());
        let before = network.ports.get(&kind).copied();
        // One port for all addresses, where that is possible: a peer that hears of several knows them for one.
        let others = network.bound.iter().map(|(_, bound)| bound.mailbox.port());
        let socket = before
            .into_iter()
            .chain(others.take(1))
            .find_map(|port| listen_at(found.at(0), &(port..=port)).ok())
            .map_or_else(|| listen_at(found.at(0), &network.tcp_ports), Ok)
            .map_err(refused)?;
        let mailbox = socket.local_addr().map_err(refused)?;
        let interface = Interface {
            name: found.name.clone(),
            address: mailbox.ip(),
            port: mailbox.port(),
            zone: found.index,
        };
        let listening = self.links.listen(Listening::Tcp(socket), |stack| {
            stack.handle_interface_up(now, interface)
        });
        let (listener, id) = listening.map_err(refused)?;
        tracing::debug!(interface = found.name, %mailbox, "interface up");
        self.network.ports.insert(kind, mailbox.port());
        self.network.bound.insert(Bound {
            id,
            found,
            mailbox,
            listener,
            destinations: Vec::new(),
            voice: None,
        });
        Ok(())
    }

    fn interface_down(&mut self, now: Instant, key: usize, detail: &str) {
        if let Some(bound) = self.network.bound.try_remove(key) {
            self.links.unlisten(bound.listener);
            let network = &mut self.network;
            if let Some(ear) = &mut network.ear {
                ear.forget(bound.found.index);
            }
            if network.gone.len() >= GONE {
                network.gone.remove(0);
            }
            network
                .gone
                .push((bound.found.name.clone(), bound.found.address));
            tracing::debug!(interface = bound.found.name, mailbox = %bound.mailbox, detail, "interface down");
            self.links
                .machine
                .handle_interface_down(now, bound.id, detail);
        }
    }

    /// Opens the socket without which nothing is heard. That for IPv6, where IPv4 is used as well, comes with the first address.
    fn open_ear(&mut self) -> io::Result<()> {
        let directed = self.network.beacons == Beacons::Directed;
        let mut ear = Ear::new(directed, self.network.port);
        let family = match self.network.choice.family {
            Family::V6 => Domain::IPV6,
            Family::Both | Family::V4 => Domain::IPV4,
        };
        ear.open(&self.links.registry, family)?;
        self.network.port = ear.port();
        self.network.ear = Some(ear);
        Ok(())
    }

    pub(super) fn broadcast(&mut self, interface: InterfaceId, datagram: &[u8]) {
        let port = self.network.port;
        let bound = self.network.bound.iter_mut().map(|(_, bound)| bound);
        let Some(bound) = bound.into_iter().find(|bound| bound.id == interface) else {
            return;
        };
        if bound.speak().is_none() {
            return; // another address of the interface beacons, or it is a tunnel
        }
        let Some(voice) = &bound.voice else {
            return;
        };
        let mut failed = None;
        for destination in &bound.destinations {
            let to = match *destination {
                IpAddr::V6(group) => SocketAddrV6::new(group, port, 0, bound.found.index).into(),
                other => SocketAddr::new(other, port),
            };
            match voice.send_to(datagram, to) {
                Ok(octets) => {
                    tracing::trace!(interface = bound.found.name, %to, octets, "beacon sent");
                }
                Err(error) => {
                    tracing::debug!(interface = bound.found.name, %to, %error, "beacon not sent");
                    failed = failed.or(Some(error));
                }
            }
        }
        if failed.is_some_and(|error| is_network_change(&error)) {
            bound.voice = None;
            self.network.rescan_at = self.links.clock.recent();
        }
    }

    /// Sends a beacon to one address, if the way there begins at this interface.
    // ZRE-131
    pub(super) fn direct(&mut self, interface: InterfaceId, to: SocketAddr, datagram: &[u8]) {
        let now = self.links.clock.recent();
        let network = &mut self.network;
        let way = match network.way {
            // There is one action for each interface, all at the same time.
            Some((last, at, way)) if (last, at) == (to, now) => way,
            _ => {
                let way = address_towards(to);
                if let Err(error) = &way {
                    tracing::debug!(%to, %error, "no way there");
                }
                let way = way.ok();
                network.way = Some((to, now, way));
                way
            }
        };
        let Some(way) = way else {
            return;
        };
        let bound = network.bound.iter().map(|(_, bound)| bound);
        let leads = bound.clone().find(|bound| bound.mailbox.ip() == way);
        // Where the user chose other interfaces than the system would take, or a translation here hides the address.
        let first = || {
            bound
                .clone()
                .find(|bound| bound.mailbox.is_ipv4() == to.is_ipv4())
        };
        if leads.or_else(first).map(|bound| bound.id) != Some(interface) {
            return;
        }
        let family = Domain::for_address(to);
        let ear = network.ear.as_ref().and_then(|ear| ear.socket(family));
        let sent = match ear {
            Some(socket) => socket.send_to(datagram, to),
            None if network.beacons.hears() => return, // it is made again soon
            None => {
                let bound = network.bound.iter_mut().map(|(_, bound)| bound);
                let mut bound = bound.into_iter().filter(|bound| bound.id == interface);
                let Some(voice) = bound.next().and_then(Bound::speak) else {
                    return;
                };
                voice.send_to(datagram, to)
            }
        };
        match sent {
            Ok(octets) => tracing::trace!(%to, octets, "directed beacon sent"),
            Err(error) => tracing::debug!(%to, %error, "directed beacon not sent"),
        }
    }

    /// The UDP port on which beacons are heard; `None` when none are, or the socket has to be made again.
    pub(super) fn ear_port(&self) -> Option<u16> {
        self.network.ear.as_ref().map(|_| self.network.port)
    }

    /// Where the mailboxes are.
    pub(super) fn bound_mailboxes(&self) -> impl Iterator<Item = SocketAddr> {
        self.network.bound.iter().map(|(_, bound)| bound.mailbox)
    }

    pub(super) fn note_beacons(&mut self) {
        if let Some(ear) = &mut self.network.ear
            && !ear.in_unread
        {
            ear.in_unread = true;
            self.links.note_datagrams();
        }
    }

    /// Reads datagrams within their budget; returns how many octets were read.
    pub(super) fn read_beacons(&mut self) -> usize {
        if let Some(ear) = &mut self.network.ear {
            ear.in_unread = false;
        }
        let (mut beacons, mut octets, mut all) = (0, 0, true);
        with_scratch(|scratch| {
            for family in [Domain::IPV4, Domain::IPV6] {
                let mut empty = false;
                while !empty {
                    let ear = self.network.ear.as_ref();
                    let Some(socket) = ear.and_then(|ear| ear.socket(family)) else {
                        break;
                    };
                    if beacons >= DATAGRAMS {
                        all = false;
                        break;
                    }
                    self.links.calls.beacon_reads += 1;
                    let now = self.links.clock.recent();
                    let left = receive(family, socket, scratch, |source, datagram| {
                        octets += datagram.len();
                        beacons += 1;
                        let heard = self.network.is_heard(source);
                        tracing::trace!(%source, length = datagram.len(), heard, "datagram");
                        if heard {
                            self.links.machine.handle_datagram(now, source, datagram);
                        }
                    });
                    match left {
                        Ok(left) => empty = left == Left::Nothing,
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => empty = true,
                        Err(error) => {
                            tracing::warn!(%error, "cannot hear beacons; trying again");
                            self.network.ear = None;
                            self.network.rescan_at = now + RESCAN_SOON;
                        }
                    }
                }
            }
        });
        if !all {
            self.note_beacons();
        }
        let news = self.act();
        if all {
            self.listen(beacons, news);
        }
        octets
    }

    /// All beacons were read, so many, and `news` says whether the node did something about them: how the next ones are read.
    fn listen(&mut self, beacons: usize, news: bool) {
        let now = self.links.clock.recent();
        let Some(ear) = &mut self.network.ear else {
            return;
        };
        let was = ear.lull.until().is_some();
        let is = ear.lull.heard(now, beacons, news).is_some();
        let changed = match was == is {
            true => Ok(()),
            false => ear.watch(&self.links.registry, was),
        };
        if let Err(error) = changed {
            tracing::warn!(%error, "cannot hear beacons; trying again");
            self.network.ear = None;
            self.network.rescan_at = now + RESCAN_SOON;
        }
    }

    fn bound_keys(&self) -> Vec<usize> {
        self.network.bound.iter().map(|(key, _)| key).collect()
    }
}

impl Bound {
    /// The socket for beacons, made when there is none; `None` when it cannot be made now.
    fn speak(&mut self) -> Option<&UdpSocket> {
        if self.voice.is_none() && !self.destinations.is_empty() {
            match beacon_sender(&self.found) {
                Ok(voice) => self.voice = Some(voice),
                Err(error) => {
                    tracing::debug!(interface = self.found.name, %error, "no socket for beacons");
                }
            }
        }
        self.voice.as_ref()
    }
}

/// Whether an address that came takes the place of one that went away: it is of the same interface, and of the same kind.
fn replaces(came: &Found, name: &str, gone: IpAddr) -> bool {
    came.name == name
        && came.address.is_ipv6() == gone.is_ipv6()
        && came.is_link_local() == is_link_local(gone)
}
