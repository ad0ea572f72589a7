//! What only schedules know that begin with `KIN` and one octet: puppets that are atonce nodes, or in one group from the
//! beginning on, links that are used in both directions, addresses of IPv6, relays; and steps that lead to these at once.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use arbitrary::{Result, Unstructured};

use super::World;
use super::puppet::{Far, PUPPETS, Reaction, address_of, id_of};
use super::steps::{GROUPS, group};
use crate::endpoint::Endpoint;
use crate::wire::zmtp::{Identity, SocketType};
use crate::wire::zre::{Command, Hello};
use crate::wire::{Beacon, LongText, Text};
use crate::zmtp::{self, Connection};
use crate::zre::ConnectError;
use crate::{Config, Event, Interface, LinkId, PeerId};

/// How many steps there are that only such a schedule knows.
pub(super) const STEPS: u8 = 12;

/// Tuples at most, so few that they are reached.
const TUPLES: usize = 18;

/// Where relays are: the last octet says to which puppet this one leads, the port whether the node dials or accepts.
const RELAYS: [u8; 3] = [10, 0, 9];

/// What is different in such a schedule.
#[derive(Debug)]
pub(super) struct Kin {
    octet: u8,
    /// What gossip said last, of each who was named.
    tuples: BTreeMap<PeerId, Endpoint>,
    /// Relays that the node was told of.
    relays: BTreeSet<SocketAddr>,
    /// Copies of what the application is still to be told.
    copies: VecDeque<String>,
}

impl Kin {
    pub(super) fn read(schedule: &[u8]) -> (Option<Self>, &[u8]) {
        let found = schedule.strip_prefix(b"KIN").and_then(<[u8]>::split_first);
        let Some((&octet, schedule)) = found else {
            return (None, schedule);
        };
        let kin = Self {
            octet,
            tuples: BTreeMap::new(),
            relays: BTreeSet::new(),
            copies: VecDeque::new(),
        };
        (Some(kin), schedule)
    }

    /// Puppets say that they hold elections and say goodbye as we do.
    const fn elects(&self) -> bool {
        self.octet & 1 != 0
    }

    /// The node and the puppets offer to be spoken to on their own links.
    const fn is_duplex(&self) -> bool {
        self.octet & 2 != 0
    }

    /// The interfaces of the node are in several networks, of both families.
    const fn has_networks(&self) -> bool {
        self.octet & 4 != 0
    }

    /// The node is found elsewhere by those outside of its network.
    const fn is_advertised(&self) -> bool {
        self.octet & 8 != 0
    }

    /// The node and the puppets are in one group, and some have met.
    pub(super) const fn is_crowd(&self) -> bool {
        self.octet & 16 != 0
    }

    /// Puppets support whoever challenges.
    pub(super) const fn supports(&self) -> bool {
        self.octet & 32 != 0
    }

    /// The identity of the node is between those of the second and the third puppet, and not above all.
    const fn is_between(&self) -> bool {
        self.octet & 64 != 0
    }

    /// The embedder follows what happens apart from the application.
    pub(super) const fn copies(&self) -> bool {
        self.octet & 128 != 0
    }

    pub(super) fn configure(&self, config: &mut Config) {
        config.limits.tuples = TUPLES;
        if self.is_between() {
            let mut octets = [0; 16];
            octets[0] = 3;
            config.uuid = Some(PeerId::from_bytes(octets));
        }
        config.duplex = self.is_duplex();
        if self.is_advertised() {
            config.advertise = "tcp://node.example.org:4711".parse().ok();
        }
    }

    /// Puts into what a puppet greets with what it is able to do, and where it is.
    pub(super) fn put_abilities(&self, hello: &mut Hello) {
        let value = match (self.elects(), self.is_duplex()) {
            (true, true) => "goodbye elect duplex",
            (true, false) => "goodbye elect",
            (false, true) => "duplex",
            (false, false) => return,
        };
        let header = Text::try_from("X-ATONCE").ok();
        let header = header.zip(LongText::try_from(value).ok());
        hello.headers.extend(header);
    }

    pub(super) fn put_group(&self, hello: &mut Hello) {
        if self.is_crowd() {
            hello.groups.extend(Text::try_from(GROUPS[0]).ok());
        }
    }

    /// The address of the next interface, and its zone.
    pub(super) fn address(&self, number: usize) -> (IpAddr, u32) {
        match number % 3 {
            1 if self.has_networks() => (link_local(1), 1),
            2 if self.has_networks() => (IpAddr::from([10, 0, 1, 1]), 2),
            _ => (IpAddr::from([10, 0, 0, 1]), 0),
        }
    }

    /// The application is told what was copied, in the same order.
    pub(super) fn compare(&mut self, event: &Event) {
        // That it stopped is told when it is asked for.
        let is_copied = !matches!(
            event,
            Event::Whisper { .. } | Event::Shout { .. } | Event::Stopped
        );
        if self.copies() && is_copied {
            let copy = self.copies.pop_front();
            assert_eq!(copy, Some(format!("{event:?}")), "not what was copied");
        }
    }

    /// Whether gossip said what the node says that it did.
    pub(super) fn check<'a>(&self, tuples: impl Iterator<Item = (PeerId, &'a Endpoint)>) {
        for (id, endpoint) in tuples {
            assert_eq!(self.tuples.get(&id), Some(endpoint), "the tuple of {id}");
        }
    }
}

const fn link_local(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host))
}

/// Where a puppet is besides.
pub(super) fn alias_of(who: usize) -> SocketAddr {
    let port = address_of(who).port();
    let host = u16::try_from(who + 2).unwrap_or_default();
    SocketAddr::new(link_local(host), port)
}

/// The same as it is seen on the link.
fn alias_in_zone(who: usize) -> SocketAddr {
    match alias_of(who) {
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, 1).into(),
        v4 @ SocketAddr::V4(_) => v4,
    }
}

/// Whether somebody is there, and who.
pub(super) fn who_is_at(address: SocketAddr) -> Option<usize> {
    (0..PUPPETS).find(|who| {
        let alias = alias_of(*who);
        address_of(*who) == address
            || (alias.ip() == address.ip() && alias.port() == address.port())
    })
}

fn relay_of(who: usize, dials: bool) -> SocketAddr {
    let [a, b, c] = RELAYS;
    let last = u8::try_from(who).unwrap_or(u8::MAX);
    SocketAddr::from(([a, b, c, last], if dials { 1 } else { 2 }))
}

impl World {
    /// What the fuzzer decides in such a schedule.
    pub(super) fn step_of_kin(&mut self, u: &mut Unstructured<'_>, choice: u8) -> Result<()> {
        match choice {
            0 => {
                let group = group(u)?;
                self.stack.contest(self.now, &group);
            }
            1 => {
                let group = group(u)?;
                self.stack.withdraw(self.now, &group);
            }
            2 | 3 => {
                let command = self.word(u)?;
                if let Some(link) = self.speaking(u.choose_index(PUPPETS)?) {
                    self.tell(link, None, command);
                }
            }
            4 => self.tell_of_somebody(u)?,
            5 => self.answer_query(u)?,
            6 => {
                let asked = self.stack.ping(self.now, id_of(u.choose_index(PUPPETS)?));
                self.note(&format!("{asked:?}"));
            }
            7 => self.relay(u)?,
            8 => {
                let (who, is_goodbye) = (u.choose_index(PUPPETS)?, u.ratio(1_u8, 8)?);
                let source = alias_in_zone(who);
                let beacon = Beacon {
                    uuid: id_of(who),
                    port: if is_goodbye { 0 } else { source.port() },
                    key: self.key_for_beacon(u, who)?,
                };
                self.note(&format!("> from {source}: {beacon:?}"));
                let source = SocketAddr::new(source.ip(), 5670);
                self.stack
                    .handle_datagram(self.now, source, &beacon.encode());
            }
            9 => self.come_over_ipv6(u)?,
            10 => {
                let what = u.int_in_range(0..=7)?;
                self.name_somebody(u, what)?;
            }
            _ => {
                // All links of a puppet but those of the node to it, or all.
                let (who, all) = (u.choose_index(PUPPETS)?, u.arbitrary()?);
                let cut = super::steps::cut(u)?;
                let of = |far: &Far| far.who == who && (all || far.dialled.is_none());
                let links = self.links.iter().filter(|(_, far)| of(far));
                for link in links.map(|(link, _)| *link).collect::<Vec<_>>() {
                    self.hang_up(link, cut);
                    self.settle();
                }
            }
        }
        Ok(())
    }

    /// Some are there already, in a group that the node is in as well.
    pub(super) fn crowd(&mut self) {
        let group = Text::try_from(GROUPS[0]).unwrap_or_default();
        self.stack.join(self.now, &group);
        for who in 0..3 {
            if let Some(link) = self.accept(who, who) {
                let hello = self.hello_of(who);
                self.tell(link, Some(1), Command::Hello(hello));
            }
            self.settle();
        }
    }

    /// What a gossip network says of one of many, or that it is there no more.
    fn tell_of_somebody(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = u.int_in_range(0..=TUPLES + 2)?;
        let id = match u.int_in_range(0..=15_u8)? {
            0 => self.stack.id(),
            _ => id_of(who),
        };
        if u.ratio(1_u8, 8)? {
            self.stack.forget_tuple(self.now, id);
            return Ok(());
        }
        let endpoint = match u.int_in_range(0..=3_u8)? {
            0 => Endpoint::from(address_of(who)),
            1 => Endpoint::from(alias_in_zone(who)),
            2 => Endpoint::from(self.some_address(u)?),
            _ => {
                let Ok(name) = format!("tcp://host{who}:49152").parse() else {
                    return Ok(());
                };
                name
            }
        };
        let key = self.key_for_beacon(u, who.min(PUPPETS - 1))?;
        self.hear_tuple(id, &endpoint, key);
        Ok(())
    }

    /// Gossip says where somebody is.
    pub(super) fn hear_tuple(&mut self, id: PeerId, endpoint: &Endpoint, key: Option<[u8; 32]>) {
        #[cfg(feature = "curve")]
        let key = key.map(crate::curve::PublicKey::from_bytes);
        #[cfg(not(feature = "curve"))]
        let key = key.and(None);
        let noted = self.stack.note_tuple(self.now, id, endpoint, key);
        self.note(&format!("{id} at {endpoint}: {noted:?}"));
        if let Some(kin) = self.kin.as_mut().filter(|_| noted.is_ok()) {
            kin.tuples.insert(id, endpoint.clone());
        }
        let refused = matches!(noted, Err(ConnectError::TooMany | ConnectError::Stopped));
        assert!(noted.is_ok() || refused, "{noted:?}");
    }

    /// The oldest look-up or the newest has an answer: where a puppet is, or several are, or nobody.
    fn answer_query(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let query = if u.arbitrary()? {
            self.queries.pop_back()
        } else {
            self.queries.pop_front()
        };
        let mut addresses = Vec::new();
        for _ in 0..u.int_in_range(0..=2)? {
            addresses.push(match u.int_in_range(0..=3_u8)? {
                0 => self.some_address(u)?,
                1 => alias_in_zone(u.choose_index(PUPPETS)?),
                _ => address_of(u.choose_index(PUPPETS)?),
            });
        }
        if let Some(query) = query {
            self.stack.handle_resolved(self.now, query, &addresses);
        }
        Ok(())
    }

    /// A puppet dials the node over IPv6, on the interface that came up last.
    fn come_over_ipv6(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (who, is_there) = (u.choose_index(PUPPETS)?, u.ratio(3_u8, 4)?);
        let endpoint = if is_there {
            alias_of(who)
        } else {
            address_of(who)
        };
        let Some(interface) = self.interfaces.back().copied() else {
            return Ok(());
        };
        let connection = Box::new(self.dealer(who, who));
        let remote = SocketAddr::new(alias_in_zone(who).ip(), 50_000);
        if let Some(link) = self.accepted_on(interface, remote, who, Some(connection)) {
            let mut hello = self.hello_of(who);
            hello.endpoint = Text::from(&Endpoint::from(endpoint));
            self.tell(link, Some(1), Command::Hello(hello));
        }
        Ok(())
    }

    /// Takes what was copied.
    pub(super) fn take_copies(&mut self) {
        let Some(kin) = &mut self.kin else {
            return;
        };
        while let Some(copy) = self.stack.poll_copy() {
            assert!(kin.copies(), "nobody asked for copies");
            kin.copies.push_back(format!("{copy:?}"));
        }
        assert!(!self.stack.has_copy());
    }

    // ---- relays

    #[cfg(not(feature = "curve"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn relay(&mut self, _u: &mut Unstructured<'_>) -> Result<()> {
        Ok(())
    }

    /// A server tells the node of a relay which leads to a puppet.
    #[cfg(feature = "curve")]
    fn relay(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        use crate::wire::once::RelayRole;

        let (who, dials) = (u.choose_index(PUPPETS)?, u.arbitrary()?);
        let Some(key) = self.security.as_ref().map(|all| all.key_of(who)) else {
            return Ok(());
        };
        let key = match u.int_in_range(0..=7_u8)? {
            0 => self.some_public_key(u)?,
            _ => key,
        };
        let role = if dials {
            RelayRole::Dial
        } else {
            RelayRole::Accept
        };
        let relay = relay_of(who, dials);
        if let Some(kin) = &mut self.kin {
            kin.relays.insert(relay);
        }
        let (now, id) = (self.now, id_of(who));
        let told = self
            .stack
            .dial_relayed(now, id, key, relay, ticket(relay), role);
        self.note(&format!("{relay} leads to puppet {who}: {told:?}"));
        Ok(())
    }

    /// The node dials a relay; says whether it is one.
    pub(super) fn dial_relay(&mut self, link: LinkId, address: SocketAddr) -> bool {
        let known = self.kin.as_ref();
        if !known.is_some_and(|kin| kin.relays.contains(&address)) {
            return false;
        }
        let found = (0..PUPPETS).flat_map(|who| [(who, true), (who, false)]);
        let found = found.filter(|(who, dials)| relay_of(*who, *dials) == address);
        let Some((who, dials)) = found.into_iter().next() else {
            return false;
        };
        let connection = Box::new(if dials {
            self.router(Some(who), who)
        } else {
            self.dealer(who, who)
        });
        let mut far = Far::new(who, Some(connection), dials.then_some(address));
        far.connected = false;
        #[cfg(feature = "curve")]
        {
            far.prelude = prelude(address);
            let security = self.security.as_ref().filter(|_| !dials);
            far.key = security.map(|security| security.key_of(who));
        }
        self.links.insert(link, far);
        if !dials {
            let hello = self.hello_of(who);
            self.tell(link, Some(1), Command::Hello(hello));
        }
        if self.deserted {
            self.reactions.push_back(Reaction::Refused(link));
        } else if self.puppets.get(who).is_some_and(|puppet| puppet.listens) {
            self.reactions.push_back(Reaction::Connected(link));
        }
        true
    }

    /// The end of a puppet that dials, as somebody.
    pub(super) fn dealer(&mut self, who: usize, poses_as: usize) -> Connection {
        let mut config = zmtp::Config::new(SocketType::Dealer);
        let identity = id_of(poses_as).identity();
        config.identity = Identity::try_from(identity.as_slice()).unwrap_or_default();
        #[cfg(feature = "curve")]
        {
            config.security = self.security_of(who, false);
        }
        #[cfg(not(feature = "curve"))]
        let _ = who;
        Connection::new(self.now, config)
    }

    /// The mailbox of a puppet, which states an identity or does not.
    pub(super) fn router(&mut self, states: Option<usize>, who: usize) -> Connection {
        let mut config = zmtp::Config::new(SocketType::Router);
        if let Some(identity) = states {
            let identity = id_of(identity).identity();
            config.identity = Identity::try_from(identity.as_slice()).unwrap_or_default();
        }
        #[cfg(feature = "curve")]
        {
            config.security = self.security_of(who, true);
        }
        #[cfg(not(feature = "curve"))]
        let _ = who;
        Connection::new(self.now, config)
    }

    pub(super) fn next_interface(&self) -> Interface {
        let number = self.interfaces.len();
        let kin = self.kin.as_ref();
        let (address, zone) =
            kin.map_or((IpAddr::from([10, 0, 0, 1]), 0), |kin| kin.address(number));
        Interface {
            name: format!("eth{number}"),
            address,
            port: 49152 + u16::try_from(number).unwrap_or_default(),
            zone,
        }
    }
}

#[cfg(feature = "curve")]
fn ticket(relay: SocketAddr) -> crate::wire::once::Ticket {
    let mut octets = [u8::try_from(relay.port()).unwrap_or_default(); 32];
    if let (IpAddr::V4(host), Some(first)) = (relay.ip(), octets.first_mut()) {
        *first = host.octets()[3];
    }
    crate::wire::once::Ticket::from_bytes(octets)
}

/// What is said to a relay before anything else.
#[cfg(feature = "curve")]
fn prelude(relay: SocketAddr) -> Vec<u8> {
    let ticket = ticket(relay);
    crate::wire::once::Prelude { ticket }.encode().to_vec()
}
