//! The interfaces in use, with a mailbox and a voice on each, and the ear that hears all beacons.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use atonce::zre::Beacons;
use atonce::{Instant, Interface, InterfaceId};
use mio::Interest;
use slab::Slab;

use super::Driver;
use super::cut::is_network_change;
use super::datagrams::{Left, receive};
use super::interfaces::{Found, Listing};
use super::links::{Host, Listening, Source, with_scratch};
use super::lull::Lull;
use super::sockets::{address_towards, beacon_receiver, beacon_sender, directed_receiver, listen};
use crate::StartError;

/// How often the interfaces are looked at again: as long as a network that came or changed may go unnoticed.
const RESCAN: Duration = Duration::from_secs(2);

/// The same for a node that is told when to look, one of hundreds.
const RESCAN_SELDOM: Duration = Duration::from_secs(60);

/// The same while there is none, or a socket is to be made again.
const RESCAN_SOON: Duration = Duration::from_secs(1);

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
    /// Names and addresses that the user chose; empty for whatever there is.
    wanted: Vec<String>,
    beacons: Beacons,
    /// The UDP port of the beacons. Of a directed node, 0 is any, until it has one.
    port: u16,
    tcp_ports: RangeInclusive<u16>,
    bound: Slab<Bound>,
    /// The port that an interface had last: it gets the same again if it can, since peers know it.
    ports: BTreeMap<String, u16>,
    ear: Option<Ear>,
    rescan_at: Instant,
    /// It is told when to look at the interfaces, and else looks seldom.
    seldom: bool,
    /// Where the last directed beacon went, when, and from which address.
    way: Option<(SocketAddr, Instant, Option<IpAddr>)>,
    /// Complaints that were logged and still hold, so that they are not logged at every scan.
    complaints: BTreeSet<String>,
}

/// An interface in use.
#[derive(Debug)]
struct Bound {
    id: InterfaceId,
    found: Found,
    mailbox: SocketAddr,
    /// Where the mailbox stands among the listeners.
    listener: usize,
    /// Sends beacons; made again when it failed.
    voice: Option<UdpSocket>,
}

#[derive(Debug)]
struct Ear {
    socket: mio::net::UdpSocket,
    /// While it lasts, the poller does not look at the socket.
    lull: Lull,
    /// It stands in `unread`.
    in_unread: bool,
}

impl Network {
    pub(super) fn new(
        wanted: Vec<String>,
        beacons: Beacons,
        port: u16,
        tcp_ports: RangeInclusive<u16>,
    ) -> Self {
        Self {
            wanted,
            beacons,
            port,
            tcp_ports,
            bound: Slab::new(),
            ports: BTreeMap::new(),
            ear: None,
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
    }

    /// The interfaces are looked at seldom.
    pub(super) fn look_seldom(&mut self) {
        self.seldom = true;
    }

    /// The interfaces are looked at with the next turn.
    pub(super) fn look_now(&mut self) {
        self.rescan_at = Instant::ZERO;
    }

    /// The descriptors that it takes.
    pub(super) fn descriptors(&self) -> usize {
        let voices = self.bound.iter().filter(|(_, bound)| bound.voice.is_some());
        self.bound.len() + voices.count() + usize::from(self.ear.is_some())
    }

    /// Whether a datagram from this source is this node's business.
    fn is_heard(&self, source: IpAddr) -> bool {
        let near = self
            .bound
            .iter()
            .any(|(_, bound)| bound.found.contains(source));
        if self.beacons == Beacons::Directed {
            // Whoever sends to its port means it; but one that keeps to this machine is not to be met over the network, nor is a
            // node there for those elsewhere that keeps to it itself.
            let keeps_here = self.bound.iter().all(|(_, bound)| bound.found.loopback);
            return near || !keeps_here && !source.is_loopback();
        }
        // From elsewhere it is not heard when the user chose the interfaces, and when it comes from a node that keeps to
        // this machine: that one is not to be met over the network.
        near || (self.wanted.is_empty() && !source.is_loopback())
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
        if let Some(wanted) = listing.unknown(&self.network.wanted) {
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
        for found in listing.select(&self.network.wanted) {
            match self.interface_up(now, found) {
                // It went away just now.
                Err(StartError::Mailbox { source, .. })
                    if source.kind() == ErrorKind::AddrNotAvailable => {}
                result => result?,
            }
        }
        self.plan_rescan(now);
        Ok(())
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
                Ok(()) => tracing::info!("listening for beacons again"),
                Err(error) => tracing::debug!(%error, "still cannot listen for beacons"),
            }
        }
        self.plan_rescan(now);
    }

    fn plan_rescan(&mut self, now: Instant) {
        let deaf = self.network.beacons.hears() && self.network.ear.is_none();
        let wait = match self.network.bound.is_empty() || deaf {
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
        let mut selected = listing.select(&self.network.wanted);
        for key in self.bound_keys() {
            let Some(bound) = self.network.bound.get(key) else {
                continue;
            };
            let before = selected.len();
            selected.retain(|found| *found != bound.found);
            if selected.len() == before {
                self.interface_down(now, key, "it went away, or its address did");
            }
        }
        for found in selected {
            let name = format!("{} {}", found.name, found.address);
            match self.interface_up(now, found) {
                Ok(()) => {
                    self.network.complaints.remove(&name);
                    self.links.cut_stranded(listing);
                    self.act();
                }
                Err(error) if self.network.complain(&name) => {
                    tracing::warn!("{error}; trying again");
                }
                Err(_) => {}
            }
        }
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
        let before = self.network.ports.get(&found.name);
        let socket = before
            .and_then(|&port| listen(found.address, &(port..=port)).ok())
            .map_or_else(|| listen(found.address, &self.network.tcp_ports), Ok)
            .map_err(refused)?;
        let mailbox = socket.local_addr().map_err(refused)?;
        let interface = Interface {
            name: found.name.clone(),
            address: mailbox.ip(),
            port: mailbox.port(),
        };
        let listening = self.links.listen(Listening::Tcp(socket), |stack| {
            stack.handle_interface_up(now, interface)
        });
        let (listener, id) = listening.map_err(refused)?;
        tracing::debug!(interface = found.name, %mailbox, "interface up");
        self.network
            .ports
            .insert(found.name.clone(), mailbox.port());
        let bound = self.network.bound.vacant_entry().insert(Bound {
            id,
            found,
            mailbox,
            listener,
            voice: None,
        });
        if self.network.beacons.broadcasts() {
            bound.speak();
        }
        Ok(())
    }

    fn interface_down(&mut self, now: Instant, key: usize, detail: &str) {
        if let Some(bound) = self.network.bound.try_remove(key) {
            self.links.unlisten(bound.listener);
            tracing::debug!(interface = bound.found.name, mailbox = %bound.mailbox, detail, "interface down");
            self.links
                .machine
                .handle_interface_down(now, bound.id, detail);
        }
    }

    fn open_ear(&mut self) -> io::Result<()> {
        let port = self.network.port;
        let mut socket = if self.network.beacons == Beacons::Directed {
            directed_receiver(port)?
        } else {
            beacon_receiver(port)?
        };
        // Others know it by this one: if it has to be made again it is to have the same.
        self.network.port = socket.local_addr()?.port();
        self.links
            .registry
            .register(&mut socket, Source::Datagrams.token(), Interest::READABLE)?;
        self.network.ear = Some(Ear {
            socket,
            lull: Lull::default(),
            in_unread: false,
        });
        Ok(())
    }

    pub(super) fn broadcast(&mut self, interface: InterfaceId, datagram: &[u8]) {
        let port = self.network.port;
        let bound = self.network.bound.iter_mut().map(|(_, bound)| bound);
        let Some(bound) = bound.into_iter().find(|bound| bound.id == interface) else {
            return;
        };
        let Some(address) = bound.found.broadcast else {
            return; // a tunnel; it was said when it came up
        };
        let Some(voice) = bound.speak() else {
            return;
        };
        match voice.send_to(datagram, (address, port)) {
            Ok(octets) => tracing::trace!(interface = bound.found.name, octets, "beacon sent"),
            Err(error) => {
                tracing::debug!(interface = bound.found.name, %error, "beacon not sent");
                if is_network_change(&error) {
                    bound.voice = None;
                    self.network.rescan_at = self.links.clock.recent();
                }
            }
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
        let sent = match &network.ear {
            Some(ear) => ear.socket.send_to(datagram, to),
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
        let (mut beacons, mut octets, mut all) = (0, 0, false);
        with_scratch(|scratch| {
            while beacons < DATAGRAMS && !all {
                let Some(ear) = &self.network.ear else {
                    break;
                };
                self.links.calls.beacon_reads += 1;
                let now = self.links.clock.recent();
                let left = receive(&ear.socket, scratch, |source, datagram| {
                    octets += datagram.len();
                    beacons += 1;
                    let heard = self.network.is_heard(source.ip());
                    tracing::trace!(%source, length = datagram.len(), heard, "datagram");
                    if heard {
                        self.links.machine.handle_datagram(now, source, datagram);
                    }
                });
                match left {
                    Ok(left) => all = left == Left::Nothing,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => all = true,
                    Err(error) => {
                        tracing::warn!(%error, "cannot hear beacons; trying again");
                        self.network.ear = None;
                        self.network.rescan_at = now + RESCAN_SOON;
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
        let changed = match (was, is) {
            (false, true) => self.links.registry.deregister(&mut ear.socket),
            (true, false) => {
                let token = Source::Datagrams.token();
                self.links
                    .registry
                    .register(&mut ear.socket, token, Interest::READABLE)
            }
            (false, false) | (true, true) => Ok(()),
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
        if self.voice.is_none() && self.found.broadcast.is_some() {
            match beacon_sender(self.found.address) {
                Ok(voice) => self.voice = Some(voice),
                Err(error) => {
                    tracing::debug!(interface = self.found.name, %error, "no socket for beacons");
                }
            }
        }
        self.voice.as_ref()
    }
}
