//! A client: who seeks a server, and says hello to it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::autoconf::hello::{self, ClientAction, ClientEvent, ClientName};
use atonce::autoconf::seeker::{self, Seeker, ServerId};
use atonce::curve::{KeyPair, PublicKey};
use atonce::socket::{self, Config, Kind, Security};
use atonce::wire::autoconf::{InstanceId, ServiceName};
use atonce::{Frames, Instant};
use bytes::Bytes;

use super::{Ways, endpoint};
use crate::alarm::Alarm;
use crate::{NodeId, Nodes, Program};

/// What a [`Client`] is made of.
#[derive(Clone, Debug)]
pub struct ClientSetup {
    /// As whom it says hello.
    pub name: ClientName,
    /// What it seeks.
    pub seeker: seeker::Config,
    /// How long it waits for an answer, and how often it says hello to one server.
    pub hello: hello::Config,
    /// With what it speaks to servers that have a key; without it, each hello has a key of its own.
    pub keys: Option<Arc<KeyPair>>,
    /// How long after an answer it says hello to the same server again, to see that it is there: never. It is told by its seeker alone then,
    /// for which a server that died is there until its announcement expires.
    pub again: Option<Duration>,
    /// By which ways its questions go.
    pub ways: Ways,
}

impl ClientSetup {
    /// A client that seeks this service, as usual.
    pub fn new(name: ClientName, service: ServiceName) -> Self {
        Self {
            name,
            seeker: seeker::Config {
                services: vec![service],
                ..seeker::Config::default()
            },
            hello: hello::Config::default(),
            keys: None,
            again: None,
            ways: Ways::default(),
        }
    }
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// By its seeker: who is there.
    Seeker(seeker::Event),
    /// What came of a hello to this server.
    Hello(ServerId, ClientEvent),
}

/// Where a client is welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Which server said so, by the name that the seeker has for it.
    pub server: ServerId,
    /// Which start of it that is, as it says.
    pub instance: InstanceId,
    /// Where it was reached.
    pub endpoint: SocketAddr,
    /// When it said so last.
    pub at: Instant,
}

/// A client that seeks a server and says hello to it, as a program: [`Sim::start_program`](crate::Sim::start_program) starts it.
///
/// It says hello to the first server that its seeker has in order, and confirms the one that says `OK`. One that does not answer is doubted; then, and after any other answer, the
/// next one is tried. When the server where it is [welcome](Self::welcome) is lost, or does not answer [again](ClientSetup::again), it seeks another.
/// [The module](super) has an example.
#[derive(Debug)]
pub struct Client {
    setup: ClientSetup,
    udp: Option<NodeId>,
    seeker: Option<Seeker>,
    greeting: Option<Greeting>,
    welcome: Option<Welcome>,
    /// When it says hello again where it is welcome.
    again_at: Option<Instant>,
    /// Servers that said something else than `OK`.
    others: BTreeSet<ServerId>,
    told: Vec<(Instant, Told)>,
    alarm: Alarm,
}

/// A hello that is under way.
#[derive(Debug)]
struct Greeting {
    server: ServerId,
    instance: InstanceId,
    /// The key that the server announced.
    key: Option<[u8; 32]>,
    machine: hello::Client,
    /// A REQ for each endpoint that is asked.
    asked: Vec<(NodeId, SocketAddr)>,
}

impl Client {
    /// One that is not started yet.
    pub const fn new(setup: ClientSetup) -> Self {
        Self {
            setup,
            udp: None,
            seeker: None,
            greeting: None,
            welcome: None,
            again_at: None,
            others: BTreeSet::new(),
            told: Vec::new(),
            alarm: Alarm::new(),
        }
    }

    /// Who seeks, when it was started.
    pub const fn seeker(&self) -> Option<&Seeker> {
        self.seeker.as_ref()
    }

    /// Where it is welcome, if it is.
    pub const fn welcome(&self) -> Option<Welcome> {
        self.welcome
    }

    /// What it was told, and when.
    pub fn told(&self) -> &[(Instant, Told)] {
        &self.told
    }

    /// Forgets where it is welcome, and seeks somebody to say hello to. A hello that is under way goes on.
    pub fn again(&mut self, nodes: &mut Nodes<'_>) {
        self.forget();
        self.others.clear();
        self.pump(nodes);
    }

    /// Ends.
    pub fn stop(&mut self, nodes: &mut Nodes<'_>) {
        if let Some(greeting) = &mut self.greeting {
            greeting.close_all(nodes);
        }
        if let Some(udp) = self.udp.take() {
            nodes.close_udp(udp);
        }
    }

    const fn forget(&mut self) {
        self.welcome = None;
        self.again_at = None;
    }

    /// Does what the machines want, until there is nothing more to do.
    fn pump(&mut self, nodes: &mut Nodes<'_>) {
        let now = nodes.now();
        let (Some(udp), Some(seeker)) = (self.udp, &mut self.seeker) else {
            return;
        };
        seeker.handle_timeout(now);
        if let Some(greeting) = &mut self.greeting {
            greeting.machine.handle_timeout(now);
        }
        loop {
            self.hear(now);
            self.begin(now);
            if !self.go_on(nodes) {
                break;
            }
        }
        let Some(seeker) = &mut self.seeker else {
            return;
        };
        while let Some(datagram) = seeker.poll_datagram() {
            self.setup.ways.send(nodes, udp, &datagram);
        }
        let sought = seeker.poll_timeout().map(|(at, _)| at);
        let greeting = self.greeting.as_ref();
        let asked = greeting.and_then(|greeting| greeting.machine.poll_timeout());
        // Not while it is said.
        let again = self.again_at.filter(|_| greeting.is_none());
        let due = [sought, asked.map(|(at, _)| at), again];
        self.alarm.arm(nodes, due.into_iter().flatten().min());
    }

    /// Takes what the seeker tells.
    fn hear(&mut self, now: Instant) {
        while let Some(event) = self.seeker.as_mut().and_then(Seeker::poll_event) {
            if let seeker::Event::Lost { server, .. } = &event {
                self.others.remove(&server.id);
                if self.welcome.is_some_and(|it| it.server == server.id) {
                    self.forget();
                }
            }
            self.told.push((now, Told::Seeker(event)));
        }
    }

    /// Begins to say hello, if that is to be done.
    fn begin(&mut self, now: Instant) {
        let Some(seeker) = &self.seeker else {
            return;
        };
        if self.greeting.is_some() {
            return;
        }
        let server = match self.welcome {
            Some(welcome) => {
                let due = self.again_at.is_some_and(|at| at <= now);
                seeker.server(welcome.server).filter(|_| due)
            }
            // Who is doubted may be given some time.
            None => seeker
                .servers()
                .find(|server| seeker.is_in_order(server.id) && !self.others.contains(&server.id)),
        };
        let Some(server) = server else {
            return;
        };
        let endpoints = server.endpoints.iter().copied();
        let config = self.setup.hello.clone();
        self.greeting = Some(Greeting {
            server: server.id,
            instance: server.instance,
            key: server.offer.key().copied(),
            machine: hello::Client::new(now, &self.setup.name, endpoints, config),
            asked: Vec::new(),
        });
    }

    /// Does what the hello under way wants; whether it ended.
    fn go_on(&mut self, nodes: &mut Nodes<'_>) -> bool {
        let now = nodes.now();
        let (Some(greeting), Some(seeker)) = (&mut self.greeting, &mut self.seeker) else {
            return false;
        };
        while let Some(action) = greeting.machine.poll_action() {
            match action {
                ClientAction::Ask { endpoint, message } => {
                    greeting.ask(nodes, &self.setup, endpoint, &message);
                }
                ClientAction::Close { endpoint } => greeting.close(nodes, endpoint),
                // An action that this crate does not know of: it is a part of the same workspace.
                _ => debug_assert!(false, "{action:?}"),
            }
        }
        let Some(event) = greeting.machine.poll_event() else {
            return false;
        };
        let (server, instance) = (greeting.server, greeting.instance);
        self.greeting = None;
        match event {
            ClientEvent::Welcome { endpoint } => {
                seeker.confirm(now, server);
                // One that was lost meanwhile is there, but under no name.
                let is_known = seeker.server(server).is_some();
                self.welcome = is_known.then_some(Welcome {
                    server,
                    instance,
                    endpoint,
                    at: now,
                });
                let again = self.setup.again.filter(|_| is_known);
                self.again_at = again.map(|pause| now + pause);
            }
            ClientEvent::Answered { .. } => {
                seeker.confirm(now, server);
                if seeker.server(server).is_some() {
                    self.others.insert(server);
                }
                self.forget();
            }
            _ => {
                seeker.doubt(now, server);
                self.forget();
            }
        }
        self.told.push((now, Told::Hello(server, event)));
        true
    }
}

impl Greeting {
    /// Asks over a REQ of its own.
    // AUTO-6, AUTO-53
    fn ask(
        &mut self,
        nodes: &mut Nodes<'_>,
        setup: &ClientSetup,
        address: SocketAddr,
        message: &Frames,
    ) {
        let security = match self.key {
            None => Security::Null,
            Some(key) => {
                let own = setup.keys.clone();
                let own = own.unwrap_or_else(|| {
                    let seed = nodes.chance().seed();
                    Arc::new(KeyPair::generate(seed))
                });
                Security::CurveClient {
                    keys: own,
                    server: PublicKey::from_bytes(key),
                }
            }
        };
        let config = Config {
            security,
            linger: Duration::ZERO,
            ..Config::default()
        };
        let req = nodes.start_socket(Kind::Req, config);
        self.asked.push((req, address));
        let sent = nodes.with_socket(req, |req| {
            req.connect(&endpoint(address)).is_ok() && req.send(message).is_ok()
        });
        if sent != Some(true) {
            self.machine.handle_lost(nodes.now(), address);
        }
    }

    /// Where this REQ was connected, if it is one of those in use.
    fn endpoint(&self, socket: NodeId) -> Option<SocketAddr> {
        let mut asked = self.asked.iter();
        let (_, endpoint) = asked.find(|(req, _)| *req == socket)?;
        Some(*endpoint)
    }

    fn close(&mut self, nodes: &mut Nodes<'_>, endpoint: SocketAddr) {
        let mut asked = self.asked.iter();
        if let Some(place) = asked.position(|(_, at)| *at == endpoint) {
            let (req, _) = self.asked.remove(place);
            nodes.with_socket(req, |req| {
                req.close();
            });
        }
    }

    fn close_all(&mut self, nodes: &mut Nodes<'_>) {
        while let Some((_, endpoint)) = self.asked.last().copied() {
            self.close(nodes, endpoint);
        }
    }
}

impl Program for Client {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        self.udp = Some(self.setup.ways.open(nodes));
        let seed = nodes.chance().seed();
        let config = self.setup.seeker.clone();
        self.seeker = Some(Seeker::new(nodes.now(), seed, config));
        self.pump(nodes);
    }

    fn on_datagram(
        &mut self,
        nodes: &mut Nodes<'_>,
        _: NodeId,
        source: SocketAddr,
        datagram: Bytes,
    ) {
        if let Some(seeker) = &mut self.seeker {
            seeker.handle_datagram(nodes.now(), source, &datagram);
        }
        self.pump(nodes);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
        let now = nodes.now();
        let Some(greeting) = &mut self.greeting else {
            return;
        };
        let Some(endpoint) = greeting.endpoint(socket) else {
            return;
        };
        let machine = &mut greeting.machine;
        nodes.with_socket(socket, |req| match req.recv() {
            Ok(Some(answer)) => machine.handle_answer(now, endpoint, &answer),
            Ok(None) => {}
            Err(_) => machine.handle_lost(now, endpoint),
        });
        self.pump(nodes);
    }

    fn on_socket_event(&mut self, nodes: &mut Nodes<'_>, socket: NodeId, event: socket::Event) {
        let Some(greeting) = &mut self.greeting else {
            return;
        };
        let Some(endpoint) = greeting.endpoint(socket) else {
            return;
        };
        match event {
            socket::Event::Ready { .. } => greeting.machine.handle_reached(nodes.now(), endpoint),
            // AUTO-54
            socket::Event::Disconnected { .. } => {
                greeting.machine.handle_lost(nodes.now(), endpoint);
            }
            _ => {}
        }
        self.pump(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, token: u64) {
        if self.alarm.rings(token) {
            self.pump(nodes);
        }
    }
}
