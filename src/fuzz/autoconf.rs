//! Autoconfiguration: any datagrams, and clients among servers and strangers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::num::NonZeroU32;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::values;
use crate::Instant;
use crate::autoconf::announcer::{self, Announcer};
use crate::autoconf::hello::{
    self, Client, ClientAction, ClientEvent, ClientName, ServerAction, ServerEvent,
};
use crate::autoconf::seeker::{Config, Event, Limits, Seeker, Server, ServerId};
use crate::wire::autoconf::{Announcement, Datagram, InstanceId, Offer, ServiceName};
use crate::wire::{Frames, Text};

/// A datagram: what decodes is, octet by octet, what its value encodes to, and can be made by hand.
pub fn autoconf(octets: &[u8]) {
    answered(octets);
    let datagram = match Datagram::decode(octets) {
        Ok(datagram) => datagram,
        Err(error) => {
            let foreign = ["signature", "version", "kind"].contains(&error.field);
            assert!(!foreign || !Datagram::is_ours(octets), "{error}");
            return values::shown(octets.len(), format_args!("{error} {error:?}"));
        }
    };
    assert!(Datagram::is_ours(octets) && octets.len() <= Datagram::LIMIT);
    assert_eq!(datagram.encode(), octets, "{datagram:?}");
    values::shown(octets.len(), format_args!("{datagram:?}"));
    match &datagram {
        Datagram::Query(None) => {}
        Datagram::Query(Some(service)) => named(service),
        Datagram::Goodbye(instance) => {
            assert_eq!(instance.to_string().len(), 32);
            assert_eq!(InstanceId::from_bytes(*instance.as_bytes()), *instance);
        }
        Datagram::Announcement(announcement) => {
            let offer = &announcement.offer;
            named(offer.service());
            let endpoints = offer.endpoints().iter().copied();
            let made = Offer::new(offer.service().clone(), endpoints);
            let made = made.and_then(|made| match offer.key() {
                Some(key) => made.with_key(*key),
                None => Ok(made),
            });
            let properties = offer.properties().iter().rev();
            let made = properties.fold(made, |made, (name, value)| {
                made?.with_property(name.clone(), value.clone())
            });
            assert_eq!(made.as_ref(), Ok(offer));
            for (name, value) in offer.properties() {
                let found = core::str::from_utf8(name.as_bytes()).map(|name| offer.property(name));
                assert!(found.is_err() || found == Ok(Some(value)));
            }
        }
    }
}

/// Requests of anybody: each is answered, by OK only when it is one frame that is not too large, and a socket that fails is made anew, at
/// once or after a pause.
fn answered(octets: &[u8]) {
    let mut server = hello::Server::new();
    let whole = Bytes::copy_from_slice(octets);
    let mut greeted = octets.to_vec();
    greeted.extend_from_slice(b" HI");
    let parts: Frames = octets
        .split(|octet| *octet == 0)
        .map(Bytes::copy_from_slice)
        .collect();
    let long = Bytes::from(octets.repeat(64));
    for request in [
        whole.into(),
        Bytes::from(greeted).into(),
        parts,
        long.into(),
    ] {
        server.handle_request(START, &request);
        let fits = request.len() == 1 && request.octets() <= 512;
        let answer = if fits { "OK" } else { "TOO MUCH" };
        let message = Frames::from(answer);
        assert_eq!(server.poll_action(), Some(ServerAction::Answer { message }));
        match server.poll_event() {
            Some(ServerEvent::Hello { name }) => {
                assert!(fits && name.hello() == request);
                assert_eq!(name.to_string().parse(), Ok(name.clone()));
            }
            Some(ServerEvent::Said { text }) => {
                assert!(text.len() <= 512 && (!fits || text == request[0]));
                let name = core::str::from_utf8(&text).map(str::parse::<ClientName>);
                values::shown(text.len(), format_args!("{name:?}"));
                if let Ok(Err(error)) = name {
                    values::shown(text.len(), format_args!("{error}"));
                }
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((server.poll_action(), server.poll_event()), (None, None));
    }
    assert_eq!(server.counters().requests, 4);
    // An answer that nobody sent is of no use when the next request comes, or the socket fails.
    let request = Frames::from("x HI");
    server.handle_request(START, &request);
    let mut now = START;
    for pause in [0, 100, 200] {
        server.handle_failed(now);
        if pause > 0 {
            // While it waits, to fail changes nothing.
            server.handle_failed(now);
            assert_eq!(server.poll_action(), None);
            let (at, _) = server.poll_timeout().expect("it is to be made anew");
            assert_eq!(at - now, Duration::from_millis(pause));
            server.handle_timeout(now);
            assert_eq!(server.poll_action(), None);
            now = at;
            server.handle_timeout(now);
        }
        assert_eq!(server.poll_action(), Some(ServerAction::Reset));
        assert_eq!(server.poll_timeout(), None);
    }
    now += Duration::from_secs(10);
    server.handle_failed(now);
    assert_eq!(server.poll_action(), Some(ServerAction::Reset));
}

fn named(service: &ServiceName) {
    assert_eq!(service.as_str().parse(), Ok(service.clone()));
    assert_eq!(service.to_string(), service.as_str());
}

const SERVERS: u8 = 3;
const SERVICES: [&str; 2] = ["a", "b"];
const START: Instant = Instant::from_millis(1_000);

/// Small, so that they are reached.
fn limits() -> Limits {
    Limits {
        servers: 6,
        of_one_source: 3,
        longest_ttl: Duration::from_secs(60),
    }
}

fn source(host: u8) -> SocketAddr {
    ([10, 0, 0, host], 5674).into()
}

/// An honest server.
struct Honest {
    announcer: Announcer,
    address: SocketAddr,
    ttl: Duration,
    /// Since when each of its datagrams, and each question, arrives.
    heard_since: Instant,
    /// It was not stopped.
    here: bool,
}

/// What the application knows of a server.
struct Known {
    server: Arc<Server>,
    doubted: bool,
}

struct World {
    now: Instant,
    seeker: Seeker,
    servers: Vec<Honest>,
    known: BTreeMap<ServerId, Known>,
    /// The servers of which the application said that they answered, when they were known.
    confirmed: BTreeMap<ServerId, Arc<Server>>,
    hello: Option<(ServerId, Client)>,
    /// Where the hello has a socket.
    open: BTreeSet<SocketAddr>,
    /// The last time it was asked for each service.
    asked: BTreeMap<Option<ServiceName>, Instant>,
    pinned: Option<[u8; 32]>,
}

/// A client among honest servers, whose datagrams get through or not, and strangers who say anything from anywhere: what is known of a server
/// does not change; an established server whose datagrams get through is not lost; events tell what is known; what is held is
/// bounded; a question does not follow the last one too soon; a hello comes to an end.
pub fn autoconf_seeker(octets: &[u8]) {
    let mut schedule = Unstructured::new(octets);
    let Ok(mut world) = World::new(&mut schedule) else {
        return;
    };
    while !schedule.is_empty() && world.step(&mut schedule).is_ok() {
        world.seeker.check_invariants();
    }
    world.end();
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let (all, pinned): (bool, bool) = (u.arbitrary()?, u.ratio(1, 8)?);
        let sought = SERVICES.iter().map(|name| service(name));
        let config = Config {
            services: if all { Vec::new() } else { sought.collect() },
            keys: pinned.then(|| [[9; 32]].into()),
            elsewhere: u.ratio(7, 8)?,
            limits: limits(),
        };
        let seeker = Seeker::new(START, [u.arbitrary()?; 32], config);
        Ok(Self {
            now: START,
            seeker,
            servers: Vec::new(),
            known: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            hello: None,
            open: BTreeSet::new(),
            asked: BTreeMap::new(),
            pinned: pinned.then_some([9; 32]),
        })
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15_u8)? {
            0 => self.start(u)?,
            1 => {
                if let Some(server) = pick(u, &mut self.servers)? {
                    server.here = false;
                    server.announcer.stop(self.now);
                }
            }
            2 => {
                let port = u.int_in_range(1..=3)?;
                let now = self.now;
                if let Some(server) = pick(u, &mut self.servers)? {
                    let offer = server.announcer.offer();
                    let address = SocketAddr::new(server.address.ip(), port);
                    let moved = Offer::new(offer.service().clone(), [address]);
                    let moved = moved.and_then(|moved| match offer.key() {
                        Some(key) => moved.with_key(*key),
                        None => Ok(moved),
                    });
                    server
                        .announcer
                        .change(now, moved.map_err(|_| arbitrary::Error::IncorrectFormat)?);
                    server.heard_since = now;
                }
            }
            3..=6 => self.lie(u)?,
            7 => {
                let (host, many) = (u.arbitrary()?, u.int_in_range(0..=60)?.min(u.len()));
                let octets = u.bytes(many)?.to_vec();
                self.seeker.handle_datagram(self.now, source(host), &octets);
                for server in &mut self.servers {
                    server
                        .announcer
                        .handle_datagram(self.now, source(host), &octets);
                }
            }
            8 => {
                if let Some(id) = self.any(u)? {
                    self.seeker.confirm(self.now, id);
                    if let Some(server) = self.seeker.server(id) {
                        self.confirmed.insert(id, Arc::clone(server));
                    }
                }
            }
            9 => {
                if let Some(id) = self.any(u)? {
                    self.seeker.doubt(self.now, id);
                }
            }
            10 => self.seeker.refresh(self.now),
            11 => self.greet(u)?,
            12 => self.listen(),
            13 => {
                // Some of what is said is lost.
                for server in &mut self.servers {
                    if u.ratio(1, 2)? && server.announcer.poll_datagram().is_some() {
                        server.heard_since = self.now;
                    }
                }
                if u.ratio(1, 2)? && self.seeker.poll_datagram().is_some() {
                    for server in &mut self.servers {
                        server.heard_since = self.now;
                    }
                }
            }
            _ => {
                let millis = u.int_in_range(0..=40_000_u64)?;
                self.pass(Duration::from_millis(millis));
            }
        }
        self.carry();
        Ok(())
    }

    fn start(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let number = u8::try_from(self.servers.len()).unwrap_or(u8::MAX);
        if number >= SERVERS {
            return Ok(());
        }
        let address = source(number + 1);
        let endpoint = SocketAddr::new(address.ip(), u.int_in_range(1..=3)?);
        let offer = Offer::new(service(u.choose(&SERVICES)?), [endpoint]);
        let offer = offer.and_then(|offer| offer.with_key([9; 32]));
        let mut seed = [number; 32];
        seed[0] = u.arbitrary()?;
        let offer = offer.map_err(|_| arbitrary::Error::IncorrectFormat)?;
        let interval = Duration::from_secs(u.int_in_range(1..=15)?);
        let config = announcer::Config { interval };
        self.servers.push(Honest {
            announcer: Announcer::new(self.now, seed, offer, config),
            address,
            ttl: 3 * interval,
            heard_since: self.now,
            here: true,
        });
        Ok(())
    }

    /// A stranger speaks, perhaps under a name that is taken, and from an address that is not its own.
    fn lie(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let of_honest = pick(u, &mut self.servers)?.map(|server| {
            let announcer = &server.announcer;
            (
                announcer.instance(),
                announcer.offer().clone(),
                server.address,
            )
        });
        let (instance, offer, address) = match of_honest {
            Some(of) if u.ratio(3, 4)? => of,
            _ => {
                let host = u.arbitrary()?;
                let endpoint = ([10, 0, 0, host], 1).into();
                let offer = Offer::new(service(u.choose(&SERVICES)?), [endpoint]);
                let offer = offer.map_err(|_| arbitrary::Error::IncorrectFormat)?;
                (
                    InstanceId::from_bytes([u.arbitrary()?; 16]),
                    offer,
                    source(host),
                )
            }
        };
        let from = if u.arbitrary()? {
            address
        } else {
            source(u.arbitrary()?)
        };
        let datagram = match u.int_in_range(0..=3_u8)? {
            0 => Datagram::Goodbye(instance),
            1 => Datagram::Query(Some(offer.service().clone())),
            kind => {
                let offer = if kind == 2 {
                    offer
                } else {
                    self.bend(u, offer)?
                };
                let instance = match u.ratio(1, 4)? {
                    true => InstanceId::from_bytes([u.arbitrary()?; 16]),
                    false => instance,
                };
                let ttl = *u.choose(&[1, 1_000, 45_000, u32::MAX])?;
                Datagram::Announcement(Announcement {
                    instance,
                    ttl: NonZeroU32::new(ttl).ok_or(arbitrary::Error::IncorrectFormat)?,
                    offer,
                })
            }
        };
        let datagram = datagram.encode();
        autoconf(&datagram);
        self.seeker.handle_datagram(self.now, from, &datagram);
        for server in &mut self.servers {
            server.announcer.handle_datagram(self.now, from, &datagram);
        }
        Ok(())
    }

    /// What somebody says, in a form that suits a stranger.
    fn bend(&self, u: &mut Unstructured<'_>, offer: Offer) -> Result<Offer> {
        let octets: [u8; 16] = u.arbitrary()?;
        let [a, b, c, d, ..] = octets;
        let endpoint: SocketAddr = match u.int_in_range(0..=2_u8)? {
            0 => ([a, b, c, d], 7).into(),
            1 => (octets, 7).into(),
            _ => ([10, 0, 0, 66], 7).into(),
        };
        let bent = match u.int_in_range(0..=2_u8)? {
            0 => Offer::new(offer.service().clone(), [endpoint]),
            1 => {
                let endpoints = offer.endpoints().iter().copied().chain([endpoint]);
                let bent = Offer::new(offer.service().clone(), endpoints);
                bent.and_then(|bent| bent.with_key([9; 32]))
            }
            _ => {
                let text = |octet: u8| Text::try_from(&[octet][..]).unwrap_or_default();
                offer.clone().with_property(text(a), text(b))
            }
        };
        Ok(bent.unwrap_or(offer))
    }

    fn any(&self, u: &mut Unstructured<'_>) -> Result<Option<ServerId>> {
        let ids: Vec<ServerId> = self.known.keys().copied().collect();
        if ids.is_empty() {
            return Ok(None);
        }
        u.choose(&ids).copied().map(Some)
    }

    /// Something of a hello happens.
    fn greet(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let now = self.now;
        let Some((id, client)) = &mut self.hello else {
            let Some(server) = self.seeker.servers().next().cloned() else {
                return Ok(());
            };
            let Ok(name) = "c".parse::<ClientName>() else {
                return Ok(());
            };
            let endpoints = server.endpoints.iter().copied();
            let client = Client::new(now, &name, endpoints, hello::Config::default());
            self.hello = Some((server.id, client));
            return Ok(());
        };
        let id = *id;
        let open: Vec<SocketAddr> = self.open.iter().copied().collect();
        let endpoint = match &open[..] {
            // One that was not asked.
            [] => ([0, 0, 0, 0], 0).into(),
            some => *u.choose(some)?,
        };
        match u.int_in_range(0..=3_u8)? {
            0 => {
                let answer = if u.arbitrary()? {
                    Frames::from("OK")
                } else {
                    Frames::from(u.arbitrary::<Vec<u8>>()?)
                };
                client.handle_answer(now, endpoint, &answer);
            }
            1 => client.handle_lost(now, endpoint),
            2 => client.handle_reached(now, endpoint),
            _ => {}
        }
        while let Some(action) = client.poll_action() {
            match action {
                ClientAction::Ask { endpoint, .. } => {
                    assert_ne!(endpoint.port(), 0);
                    assert!(self.open.insert(endpoint), "asked twice at once");
                }
                ClientAction::Close { endpoint } => {
                    assert!(self.open.remove(&endpoint), "nobody was asked there");
                }
            }
        }
        assert!(
            self.open.is_empty() || !client.is_over(),
            "one is left open"
        );
        match client.poll_event() {
            Some(ClientEvent::Welcome { .. }) => self.seeker.confirm(now, id),
            Some(ClientEvent::Unanswered { tries }) => {
                assert!(tries >= 1);
                self.seeker.doubt(now, id);
            }
            Some(ClientEvent::Answered { text, .. }) => assert!(text.len() <= 512),
            None => {}
        }
        if client.is_over() {
            assert_eq!(client.poll_timeout(), None);
            self.hello = None;
        }
        Ok(())
    }

    /// The application takes all events.
    fn listen(&mut self) {
        while let Some(event) = self.seeker.poll_event() {
            values::shown(4_000, format_args!("{event:?}"));
            match event {
                Event::Found { server } => {
                    let id = server.id;
                    let known = Known {
                        server,
                        doubted: false,
                    };
                    assert!(self.known.insert(id, known).is_none(), "found twice");
                }
                Event::Changed { server } => {
                    let known = self.known.get_mut(&server.id).expect("it was found");
                    assert_eq!(known.server.offer, server.offer);
                    assert_eq!(known.server.source, server.source);
                    let all = |endpoint| server.endpoints.contains(endpoint);
                    assert!(known.server.endpoints.iter().all(all));
                    assert!(known.server.endpoints.len() < server.endpoints.len());
                    known.server = server;
                }
                Event::Contested { server, .. } => {
                    assert!(self.known.contains_key(&server.id));
                }
                Event::Doubted { server } | Event::Trusted { server } => {
                    let known = self.known.get_mut(&server.id).expect("it was found");
                    known.doubted = !known.doubted;
                }
                Event::Lost { server, reason } => {
                    let known = self.known.remove(&server.id).expect("it was found");
                    assert_eq!(known.server.offer, server.offer);
                    values::shown(10, format_args!("{reason}"));
                }
            }
        }
        let servers: BTreeSet<ServerId> = self.seeker.servers().map(|server| server.id).collect();
        assert!(
            servers.iter().eq(self.known.keys()),
            "told {:?}",
            self.known.keys()
        );
        for (id, known) in &self.known {
            assert_eq!(self.seeker.server(*id), Some(&known.server));
            assert!(!(known.doubted && self.seeker.is_in_order(*id)));
        }
    }

    /// Nobody is lost who answered the application, is there, and has been getting through for a minute.
    fn check_the_established(&mut self) {
        let (now, servers, seeker) = (self.now, &self.servers, &self.seeker);
        self.confirmed.retain(|id, server| {
            if seeker.server(*id).is_some() {
                return true;
            }
            let is_it = |honest: &&Honest| {
                let announcer = &honest.announcer;
                honest.here
                    && announcer.instance() == server.instance
                    && announcer.offer() == &server.offer
                    && honest.ttl == server.ttl
            };
            let honest = servers.iter().find(is_it);
            let gets_through = |honest: &Honest| now - honest.heard_since > Duration::from_secs(60);
            assert!(!honest.is_some_and(gets_through), "lost {server:?}");
            false
        });
    }

    /// What everybody says arrives.
    fn carry(&mut self) {
        let now = self.now;
        loop {
            let mut quiet = true;
            while let Some(datagram) = self.seeker.poll_datagram() {
                quiet = false;
                let Ok(Datagram::Query(service)) = Datagram::decode(&datagram) else {
                    panic!("a client says {datagram:?}");
                };
                if let Some(last) = self.asked.insert(service, now) {
                    assert!(now - last >= Duration::from_millis(500), "{last}, {now}");
                }
                for server in &mut self.servers {
                    server
                        .announcer
                        .handle_datagram(now, source(200), &datagram);
                }
            }
            for server in &mut self.servers {
                while let Some(datagram) = server.announcer.poll_datagram() {
                    quiet = false;
                    autoconf(&datagram);
                    self.seeker.handle_datagram(now, server.address, &datagram);
                }
            }
            if quiet {
                break;
            }
        }
        self.check_the_established();
        if let Some(key) = &self.pinned {
            let mut servers = self.seeker.servers();
            assert!(servers.all(|server| server.offer.key() == Some(key)));
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.carry();
        loop {
            let announcers = self.servers.iter();
            let announcers = announcers.filter_map(|server| server.announcer.poll_timeout());
            let announcers = announcers.map(|(at, _)| at);
            let seeker = self.seeker.poll_timeout().map(|(at, _)| at);
            let hello = self.hello.as_ref();
            let hello = hello.and_then(|(_, client)| client.poll_timeout());
            let hello = hello.map(|(at, _)| at);
            let next = announcers.chain(seeker).chain(hello).min();
            let Some(at) = next.filter(|at| *at <= until) else {
                break;
            };
            self.now = at.max(self.now);
            self.seeker.handle_timeout(self.now);
            for server in &mut self.servers {
                server.announcer.handle_timeout(self.now);
            }
            if let Some((_, client)) = &mut self.hello {
                client.handle_timeout(self.now);
            }
            self.seeker.check_invariants();
            self.carry();
        }
        self.now = until;
    }

    /// When all strangers are silent, who is here is known, and nobody else.
    fn end(&mut self) {
        if let Some((_, mut client)) = self.hello.take() {
            while let Some((at, _)) = client.poll_timeout() {
                client.handle_timeout(at);
            }
            assert!(client.is_over());
        }
        self.pass(Duration::from_secs(400));
        self.listen();
        let sought = self.servers.iter().filter(|server| server.here);
        for honest in sought {
            let announcer = &honest.announcer;
            let known = self.seeker.servers();
            let known = known.filter(|server| server.instance == announcer.instance());
            let known: Vec<_> = known.collect();
            assert_eq!(known.len(), 1, "{honest:?}", honest = announcer.offer());
            assert!(self.seeker.is_in_order(known[0].id));
        }
        let here = self.servers.iter().filter(|server| server.here).count();
        assert_eq!(self.seeker.servers().count(), here);
    }
}

fn service(name: &str) -> ServiceName {
    name.parse().expect("it is a name")
}

fn pick<'a, T>(u: &mut Unstructured<'_>, all: &'a mut [T]) -> Result<Option<&'a mut T>> {
    if all.is_empty() {
        return Ok(None);
    }
    let place = u.choose_index(all.len())?;
    Ok(all.get_mut(place))
}
