//! A link in virtual time, with servers that live and die and clients that seek one and say hello.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use atonce::autoconf::announcer::{self, Announcer};
use atonce::autoconf::hello::{
    self, Client as Hello, ClientAction, ClientEvent, ServerAction, ServerEvent,
};
use atonce::autoconf::seeker::{Config, Seeker, ServerId};
use atonce::wire::autoconf::Offer;
use atonce::{Frames, Instant};

use crate::START;

/// A server: what announces it, and what answers at its endpoint.
struct Server {
    address: SocketAddr,
    endpoint: SocketAddr,
    announcer: Announcer,
    answers: hello::Server,
}

/// A client that wants to say hello to one server.
pub(crate) struct Client {
    address: SocketAddr,
    name: String,
    seeker: Seeker,
    hello: Option<(ServerId, Hello)>,
    /// Where its REQ is connected, and which one it is: a closed one hears nothing.
    socket: Option<(u64, SocketAddr)>,
    /// Where it was welcome, and when.
    pub(crate) welcome: Option<(SocketAddr, Instant)>,
}

/// What is under way.
enum Parcel {
    Datagram {
        to: Place,
        source: SocketAddr,
        octets: Vec<u8>,
    },
    Request {
        client: usize,
        socket: u64,
        to: SocketAddr,
        message: Frames,
    },
    Answer {
        client: usize,
        socket: u64,
        /// `None`: the connection is refused, or broke.
        message: Option<Frames>,
    },
}

#[derive(Clone, Copy)]
enum Place {
    Server(usize),
    Client(usize),
}

pub(crate) struct Link {
    pub(crate) now: Instant,
    servers: Vec<Option<Server>>,
    pub(crate) clients: Vec<Client>,
    parcels: BTreeMap<(Instant, u64), Parcel>,
    next: u64,
    random: u64,
    /// Of a hundred datagrams, and of a hundred requests and answers.
    loss: u64,
    /// A host that is gone says nothing, and does not refuse.
    silent: bool,
    /// Whom the servers told of.
    pub(crate) guests: Vec<String>,
}

impl Link {
    pub(crate) fn new(seed: u64, loss: u64, silent: bool) -> Self {
        Self {
            now: START,
            servers: Vec::new(),
            clients: Vec::new(),
            parcels: BTreeMap::new(),
            next: 0,
            random: seed | 1,
            loss,
            silent,
            guests: Vec::new(),
        }
    }

    fn draw(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_mut(4) {
            let drawn = self.draw().to_le_bytes();
            chunk.copy_from_slice(&drawn[..4]);
        }
        seed
    }

    pub(crate) fn start_server(&mut self, host: u8, port: u16) -> usize {
        let endpoint = SocketAddr::from(([10, 0, 0, host], port));
        let offer = Offer::new("printing".parse().unwrap(), [endpoint]).unwrap();
        let (now, seed) = (self.now, self.seed());
        self.servers.push(Some(Server {
            address: ([10, 0, 0, host], 5674).into(),
            endpoint,
            announcer: Announcer::new(now, seed, offer, announcer::Config::default()),
            answers: hello::Server::new(),
        }));
        self.carry();
        self.servers.len() - 1
    }

    pub(crate) fn start_client(&mut self) -> usize {
        let number = self.clients.len();
        let config = Config {
            services: vec!["printing".parse().unwrap()],
            ..Config::default()
        };
        let (now, seed) = (self.now, self.seed());
        let host = u8::try_from(100 + number).unwrap();
        self.clients.push(Client {
            address: ([10, 0, 0, host], 5674).into(),
            name: format!("client{number}"),
            seeker: Seeker::new(now, seed, config),
            hello: None,
            socket: None,
            welcome: None,
        });
        self.carry();
        number
    }

    /// It dies without a word.
    pub(crate) fn kill(&mut self, server: usize) {
        self.servers[server] = None;
    }

    pub(crate) fn stop(&mut self, server: usize) {
        let now = self.now;
        if let Some(server) = &mut self.servers[server] {
            server.announcer.stop(now);
        }
        self.carry();
    }

    /// Begins anew to seek somebody to say hello to.
    pub(crate) fn again(&mut self, client: usize) {
        self.clients[client].welcome = None;
        self.carry();
    }

    pub(crate) fn all_are_welcome(&self) -> bool {
        self.clients.iter().all(|client| client.welcome.is_some())
    }

    fn post(&mut self, parcel: Parcel) {
        let delay = Duration::from_micros(200 + self.draw() % 3_000);
        self.next += 1;
        self.parcels.insert((self.now + delay, self.next), parcel);
    }

    fn is_lost(&mut self) -> bool {
        self.draw() % 100 < self.loss
    }

    fn cast(&mut self, source: SocketAddr, octets: &[u8]) {
        let servers = (0..self.servers.len()).map(Place::Server);
        let places: Vec<Place> = servers
            .chain((0..self.clients.len()).map(Place::Client))
            .collect();
        for to in places {
            // Over two ways, of which each may lose it.
            for _ in 0..2 {
                if !self.is_lost() {
                    let octets = octets.to_vec();
                    self.post(Parcel::Datagram { to, source, octets });
                }
            }
        }
    }

    /// Does all that the machines want done now.
    fn carry(&mut self) {
        let now = self.now;
        for n in 0..self.servers.len() {
            while let Some(server) = &mut self.servers[n] {
                let Some(datagram) = server.announcer.poll_datagram() else {
                    break;
                };
                let source = server.address;
                self.cast(source, &datagram);
            }
            if self.servers[n]
                .as_ref()
                .is_some_and(|server| server.announcer.is_over())
            {
                self.servers[n] = None;
            }
        }
        for n in 0..self.clients.len() {
            let mut moved = true;
            while moved {
                moved = false;
                while let Some(datagram) = self.clients[n].seeker.poll_datagram() {
                    let source = self.clients[n].address;
                    self.cast(source, &datagram);
                }
                let client = &mut self.clients[n];
                while client.seeker.poll_event().is_some() {}
                if client.hello.is_none() && client.welcome.is_none() {
                    let next = client.seeker.servers().next().cloned();
                    // Who is doubted may be given some time, unless there is nobody else.
                    let next = next.filter(|server| client.seeker.is_in_order(server.id));
                    if let Some(server) = next {
                        let name = client.name.parse().unwrap();
                        let endpoints = server.endpoints.iter().copied();
                        let hello = Hello::new(now, &name, endpoints, hello::Config::default());
                        client.hello = Some((server.id, hello));
                    }
                }
                let Some((id, hello)) = &mut client.hello else {
                    continue;
                };
                let id = *id;
                if let Some(action) = hello.poll_action() {
                    moved = true;
                    match action {
                        ClientAction::Ask { endpoint, message } => {
                            self.next += 1;
                            let socket = self.next;
                            self.clients[n].socket = Some((socket, endpoint));
                            self.post(Parcel::Request {
                                client: n,
                                socket,
                                to: endpoint,
                                message,
                            });
                        }
                        ClientAction::Close { .. } => client.socket = None,
                        other => panic!("{other:?}"),
                    }
                } else if let Some(event) = hello.poll_event() {
                    moved = true;
                    match event {
                        ClientEvent::Welcome { endpoint } => {
                            client.welcome = Some((endpoint, now));
                            client.seeker.confirm(now, id);
                        }
                        ClientEvent::Unanswered { tries: 3 } => client.seeker.doubt(now, id),
                        other => panic!("{other:?}"),
                    }
                    client.hello = None;
                }
            }
        }
    }

    fn deliver(&mut self, parcel: Parcel) {
        let now = self.now;
        match parcel {
            Parcel::Datagram { to, source, octets } => match to {
                Place::Server(n) => {
                    if let Some(server) = &mut self.servers[n] {
                        server.announcer.handle_datagram(now, source, &octets);
                    }
                }
                Place::Client(n) => self.clients[n].seeker.handle_datagram(now, source, &octets),
            },
            Parcel::Request {
                client,
                socket,
                to,
                message,
            } => {
                let servers = self.servers.iter_mut().flatten();
                let server = servers.into_iter().find(|server| server.endpoint == to);
                let Some(server) = server else {
                    if !self.silent {
                        let message = None;
                        self.post(Parcel::Answer {
                            client,
                            socket,
                            message,
                        });
                    }
                    return;
                };
                server.answers.handle_request(now, &message);
                let Some(ServerAction::Answer { message }) = server.answers.poll_action() else {
                    panic!();
                };
                match server.answers.poll_event() {
                    Some(ServerEvent::Hello { name }) => self.guests.push(name.to_string()),
                    other => panic!("{other:?}"),
                }
                // TCP loses nothing; it may be cut.
                let message = Some(message).filter(|_| !self.is_lost());
                self.post(Parcel::Answer {
                    client,
                    socket,
                    message,
                });
            }
            Parcel::Answer {
                client,
                socket,
                message,
            } => {
                let client = &mut self.clients[client];
                let its = client.socket.filter(|(open, _)| *open == socket);
                if let (Some((_, endpoint)), Some((_, hello))) = (its, &mut client.hello) {
                    match message {
                        Some(message) => hello.handle_answer(now, endpoint, &message),
                        None => hello.handle_lost(now, endpoint),
                    }
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let servers = self.servers.iter().flatten();
        let servers = servers.filter_map(|server| server.announcer.poll_timeout());
        let servers = servers.map(|(at, _)| at);
        let clients = self.clients.iter().flat_map(|client| {
            let hello = client.hello.as_ref();
            let hello = hello.and_then(|(_, hello)| hello.poll_timeout());
            let seeker = client.seeker.poll_timeout();
            [hello.map(|(at, _)| at), seeker.map(|(at, _)| at)]
        });
        let parcels = self.parcels.keys().next().map(|(at, _)| *at);
        let machines = servers.chain(clients.flatten());
        machines.chain(parcels).min()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.next_deadline().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let now = self.now;
            while let Some(entry) = self.parcels.first_entry() {
                if entry.key().0 > now {
                    break;
                }
                let parcel = entry.remove();
                self.deliver(parcel);
            }
            for server in self.servers.iter_mut().flatten() {
                server.announcer.handle_timeout(now);
            }
            for client in &mut self.clients {
                client.seeker.handle_timeout(now);
                if let Some((_, hello)) = &mut client.hello {
                    hello.handle_timeout(now);
                }
            }
            self.carry();
        }
        self.now = until;
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn five_clients_find_one_server_in_every_order() {
    // AUTO-20, AUTO-21, AUTO-32
    for server_at in 0..=5 {
        let mut link = Link::new(7 + server_at, 0, false);
        for n in 0..=5 {
            if n == server_at {
                link.start_server(2, 50_053);
            } else {
                link.start_client();
            }
            link.pass(seconds(1));
        }
        link.pass(seconds(1));
        assert!(link.all_are_welcome(), "the server as number {server_at}");
        link.guests.sort();
        let expected = ["client0", "client1", "client2", "client3", "client4"];
        assert_eq!(link.guests, expected);
    }
}

#[test]
fn who_starts_last_waits_for_no_regular_announcement() {
    // AUTO-23, AUTO-32
    let mut link = Link::new(3, 0, false);
    link.start_server(2, 50_053);
    link.pass(seconds(2));
    let client = link.start_client();
    let started = link.now;
    link.pass(seconds(1));
    let (_, at) = link.clients[client].welcome.unwrap();
    assert!(
        at - started < Duration::from_millis(200),
        "{:?}",
        at - started
    );
}

#[test]
fn a_server_that_died_and_came_back_elsewhere_is_found_again() {
    // AUTO-34, AUTO-35, AUTO-53, AUTO-54
    for silent in [false, true] {
        for (host, port) in [(2, 50_053), (2, 50_054), (3, 50_053)] {
            let mut link = Link::new(11, 0, silent);
            let first = link.start_server(2, 50_053);
            for _ in 0..5 {
                link.start_client();
            }
            link.pass(seconds(2));
            assert!(link.all_are_welcome());
            link.kill(first);
            link.pass(seconds(3));
            link.start_server(host, port);
            for client in 0..5 {
                link.again(client);
            }
            // What was known first is tried first: three times in vain, when nobody even refuses.
            link.pass(seconds(if silent { 8 } else { 2 }));
            assert!(link.all_are_welcome(), "{silent} {host}:{port}");
            for client in &link.clients {
                let expected = SocketAddr::from(([10, 0, 0, host], port));
                assert_eq!(client.welcome.unwrap().0, expected);
            }
        }
    }
}

#[test]
fn who_stopped_is_not_tried_any_more() {
    // AUTO-24, AUTO-34
    let mut link = Link::new(5, 0, true);
    let first = link.start_server(2, 50_053);
    let client = link.start_client();
    link.pass(seconds(1));
    link.stop(first);
    link.pass(seconds(3));
    link.again(client);
    assert!(link.clients[client].hello.is_none());
    link.start_server(3, 50_053);
    link.pass(seconds(1));
    assert!(link.all_are_welcome());
}
