//! A little network in virtual time: sockets, and peers that a test drives by hand.
//!
//! A wire takes a millisecond, and holds at most [`Net::capacity`] octets in each direction: a socket that does not read holds the other
//! one back. What cannot be dialled is refused.

#![allow(dead_code)] // each test file uses a part of it

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use atonce::socket::{Action, Config, ConnectId, Endpoint, Event, Kind, ListenerId, Socket, Why};
use atonce::wire::zmtp::SocketType;
use atonce::zmtp::{self, Connection, Credentials};
use atonce::{Cut, Frames, Instant, LinkId, Verdict};

const DELAY: Duration = Duration::from_millis(1);

/// The name of a host on the network: a socket or a puppet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) usize);

/// A peer that a test drives by hand: one connection of ZMTP, or bare octets.
pub(crate) struct Puppet {
    /// Speaks for it; `None`: the test does, octet by octet.
    pub(crate) connection: Option<Connection>,
    /// What it was told, as far as its connection made something of it.
    pub(crate) events: Vec<zmtp::Event>,
    /// What it was told, when it has no connection.
    pub(crate) heard: Vec<u8>,
    /// What it is about to say, when it has no connection.
    pub(crate) words: Vec<u8>,
    /// Whether it reads.
    pub(crate) reads: bool,
    /// Whether its link was ended by the other side.
    pub(crate) ended: bool,
}

enum Host {
    Socket(Box<Socket>),
    Puppet(Box<Puppet>),
    Dead,
}

#[derive(Default)]
struct Side {
    host: usize,
    /// The name that a socket has for the link.
    link: Option<LinkId>,
    /// It closed, or is gone.
    closed: bool,
    /// It does not read.
    paused: bool,
    /// What comes to it, and when.
    incoming: VecDeque<(Instant, Vec<u8>)>,
    /// The other side closed: when that comes.
    end: Option<(Instant, Cut)>,
}

impl Side {
    fn on_the_way(&self) -> usize {
        self.incoming.iter().map(|(_, octets)| octets.len()).sum()
    }
}

struct Wire {
    sides: [Side; 2],
}

/// The network.
pub(crate) struct Net {
    pub(crate) now: Instant,
    /// Octets on the way in one direction of a wire.
    pub(crate) capacity: usize,
    /// Whether questions who may come in are answered with yes at once; else they wait in `asked`.
    pub(crate) lets_in: bool,
    pub(crate) asked: Vec<(HostId, LinkId, Credentials)>,
    hosts: Vec<Host>,
    events: Vec<Vec<Event>>,
    wires: Vec<Wire>,
    listening: BTreeMap<Endpoint, (usize, ListenerId)>,
    /// Puppets that wait to be dialled.
    awaiting: BTreeMap<Endpoint, VecDeque<usize>>,
    /// Endpoints at which nobody answers at all.
    silent: Vec<Endpoint>,
    dialling: Vec<(usize, LinkId)>,
    next_port: u16,
    next_address: u16,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            now: Instant::from_millis(1_000),
            capacity: 256 << 10,
            lets_in: true,
            asked: Vec::new(),
            hosts: Vec::new(),
            events: Vec::new(),
            wires: Vec::new(),
            listening: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            silent: Vec::new(),
            dialling: Vec::new(),
            next_port: 50_000,
            next_address: 1,
        }
    }

    // ---- sockets

    pub(crate) fn socket(&mut self, kind: Kind) -> HostId {
        self.socket_with(kind, Config::default())
    }

    pub(crate) fn socket_with(&mut self, kind: Kind, config: Config) -> HostId {
        let mut seed = [0x5A; 32];
        seed[0] = u8::try_from(self.hosts.len() % 256).unwrap();
        let socket = Socket::new(self.now, seed, kind, config);
        self.host(Host::Socket(Box::new(socket)))
    }

    fn host(&mut self, host: Host) -> HostId {
        self.hosts.push(host);
        self.events.push(Vec::new());
        HostId(self.hosts.len() - 1)
    }

    pub(crate) fn the(&mut self, host: HostId) -> &mut Socket {
        match &mut self.hosts[host.0] {
            Host::Socket(socket) => socket,
            _ => panic!("{host:?} is no socket"),
        }
    }

    pub(crate) fn bind(&mut self, host: HostId, endpoint: &str) -> ListenerId {
        let now = self.now;
        let listener = self
            .the(host)
            .bind(now, &endpoint.parse().unwrap())
            .unwrap();
        self.settle();
        listener
    }

    pub(crate) fn connect(&mut self, host: HostId, endpoint: &str) -> ConnectId {
        let now = self.now;
        let connect = self
            .the(host)
            .connect(now, &endpoint.parse().unwrap())
            .unwrap();
        self.settle();
        connect
    }

    /// Sends, and expects that it is taken.
    pub(crate) fn send(&mut self, host: HostId, message: impl Into<Frames>) {
        self.try_send(host, message).unwrap();
    }

    pub(crate) fn try_send(
        &mut self,
        host: HostId,
        message: impl Into<Frames>,
    ) -> Result<(), atonce::socket::SendError> {
        let now = self.now;
        let sent = self.the(host).send(now, &message.into());
        self.settle();
        sent
    }

    /// Receives; `None` when there is nothing.
    pub(crate) fn recv(&mut self, host: HostId) -> Option<Frames> {
        self.try_recv(host).unwrap()
    }

    pub(crate) fn try_recv(
        &mut self,
        host: HostId,
    ) -> Result<Option<Frames>, atonce::socket::RecvError> {
        let now = self.now;
        let could = self.the(host).can_recv();
        let received = self.the(host).recv(now);
        if matches!(received, Ok(Some(_))) {
            assert!(could, "can_recv said no");
        }
        self.settle();
        received
    }

    /// All that can be received, as text, frames joined by `|`.
    pub(crate) fn recv_all(&mut self, host: HostId) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(Some(message)) = self.try_recv(host) {
            all.push(text(&message));
        }
        all
    }

    /// Takes the events since the last time.
    pub(crate) fn events(&mut self, host: HostId) -> Vec<Event> {
        self.settle();
        std::mem::take(&mut self.events[host.0])
    }

    /// Why links of a socket ended, of those that it told of since events were taken last.
    pub(crate) fn why_ended(&mut self, host: HostId) -> Vec<Why> {
        let events = self.events(host).into_iter();
        let ends = events.filter_map(|event| match event {
            Event::Disconnected { why, .. } => Some(why),
            _ => None,
        });
        ends.collect()
    }

    /// Ends a socket as a process that is killed: its links end at once, with what the kernel still had.
    pub(crate) fn kill(&mut self, host: HostId) {
        self.hosts[host.0] = Host::Dead;
        self.listening.retain(|_, (at, _)| *at != host.0);
        for puppets in self.awaiting.values_mut() {
            puppets.retain(|puppet| *puppet != host.0);
        }
        for wire in 0..self.wires.len() {
            for side in 0..2 {
                if self.wires[wire].sides[side].host == host.0 {
                    self.close_side(wire, side, Cut::Closed);
                }
            }
        }
        self.settle();
    }

    /// Ends all links of a host, which stays: what was on the way is lost.
    pub(crate) fn cut(&mut self, host: HostId) {
        for wire in 0..self.wires.len() {
            let sides = &self.wires[wire].sides;
            if sides.iter().any(|side| side.host == host.0) {
                for side in 0..2 {
                    let side = &mut self.wires[wire].sides[side];
                    side.incoming.clear();
                    if !side.closed {
                        side.end.get_or_insert((self.now, Cut::Reset));
                    }
                }
            }
        }
        self.arrive();
    }

    /// Nobody answers at this endpoint: a dial neither succeeds nor fails.
    pub(crate) fn silence(&mut self, endpoint: &str) {
        self.silent.push(endpoint.parse().unwrap());
    }

    pub(crate) fn unsilence(&mut self, endpoint: &str) {
        let endpoint: Endpoint = endpoint.parse().unwrap();
        self.silent.retain(|other| *other != endpoint);
    }

    /// How many links of a host are open.
    pub(crate) fn links(&self, host: HostId) -> usize {
        let sides = self.wires.iter().flat_map(|wire| &wire.sides);
        sides
            .filter(|side| side.host == host.0 && !side.closed)
            .count()
    }

    // ---- puppets

    /// A peer of this type that dials a socket.
    pub(crate) fn puppet(&mut self, socket_type: SocketType, endpoint: &str) -> HostId {
        self.puppet_with(zmtp::Config::new(socket_type), endpoint)
    }

    pub(crate) fn puppet_with(&mut self, config: zmtp::Config, endpoint: &str) -> HostId {
        let connection = Connection::new(self.now, config);
        self.puppet_dials(Some(connection), endpoint)
    }

    /// A peer that dials a socket and says only what the test says, octet by octet.
    pub(crate) fn raw(&mut self, endpoint: &str) -> HostId {
        self.puppet_dials(None, endpoint)
    }

    fn puppet_dials(&mut self, connection: Option<Connection>, endpoint: &str) -> HostId {
        let host = self.host(Host::Puppet(Box::new(puppet(connection))));
        let endpoint: Endpoint = endpoint.parse().unwrap();
        self.join(host.0, None, &endpoint);
        self.settle();
        host
    }

    /// A peer of this type that the next who dials this endpoint finds; one dial only.
    pub(crate) fn puppet_at(&mut self, socket_type: SocketType, endpoint: &str) -> HostId {
        let connection = Connection::new(self.now, zmtp::Config::new(socket_type));
        self.puppet_awaits(Some(connection), endpoint)
    }

    /// The same, octet by octet.
    pub(crate) fn raw_at(&mut self, endpoint: &str) -> HostId {
        self.puppet_awaits(None, endpoint)
    }

    fn puppet_awaits(&mut self, connection: Option<Connection>, endpoint: &str) -> HostId {
        let host = self.host(Host::Puppet(Box::new(puppet(connection))));
        let endpoint = endpoint.parse().unwrap();
        self.awaiting.entry(endpoint).or_default().push_back(host.0);
        host
    }

    pub(crate) fn the_puppet(&mut self, host: HostId) -> &mut Puppet {
        match &mut self.hosts[host.0] {
            Host::Puppet(puppet) => puppet,
            _ => panic!("{host:?} is no puppet"),
        }
    }

    /// A puppet sends a message.
    pub(crate) fn puppet_sends(&mut self, host: HostId, message: impl Into<Frames>) {
        let puppet = self.the_puppet(host);
        let connection = puppet.connection.as_mut().unwrap();
        connection.send(message.into()).unwrap();
        self.settle();
    }

    /// A raw puppet sends octets.
    pub(crate) fn puppet_says(&mut self, host: HostId, octets: &[u8]) {
        self.the_puppet(host).words.extend_from_slice(octets);
        self.settle();
    }

    /// The messages that a puppet got, as text; they are taken.
    pub(crate) fn puppet_hears(&mut self, host: HostId) -> Vec<String> {
        let events = std::mem::take(&mut self.the_puppet(host).events);
        let messages = events.into_iter().filter_map(|event| match event {
            zmtp::Event::Message(message) => Some(text(&message)),
            _ => None,
        });
        messages.collect()
    }

    // ---- time

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            match self.next_moment() {
                Some(next) if next <= end => self.now = next.max(self.now),
                _ => break,
            }
            self.arrive();
        }
        self.now = end;
        self.settle();
    }

    fn next_moment(&self) -> Option<Instant> {
        let sides = self.wires.iter().flat_map(|wire| &wire.sides);
        let arrivals = sides
            .filter(|side| !side.closed && !self.holds_back(side))
            .filter_map(|side| {
                let octets = side.incoming.front().map(|(at, _)| *at);
                octets.or(side.end.map(|(at, _)| at))
            });
        let deadlines = self.hosts.iter().filter_map(|host| match host {
            Host::Socket(socket) => {
                assert_eq!(socket.deadline(), socket.poll_timeout().map(|(at, _)| at));
                socket.deadline()
            }
            Host::Puppet(puppet) => {
                let connection = puppet.connection.as_ref()?;
                connection.poll_timeout().map(|(at, _)| at)
            }
            Host::Dead => None,
        });
        arrivals.chain(deadlines).min()
    }

    fn holds_back(&self, side: &Side) -> bool {
        match &self.hosts[side.host] {
            Host::Puppet(puppet) => !puppet.reads,
            _ => side.paused,
        }
    }

    /// What is due: octets, ends, deadlines.
    fn arrive(&mut self) {
        let now = self.now;
        for wire in 0..self.wires.len() {
            for side in 0..2 {
                self.arrive_at(wire, side);
            }
        }
        for host in &mut self.hosts {
            match host {
                Host::Socket(socket) => {
                    if socket.deadline().is_some_and(|at| at <= now) {
                        socket.handle_timeout(now);
                        assert!(
                            socket.deadline().is_none_or(|at| at > now),
                            "it does what is due"
                        );
                    }
                }
                Host::Puppet(puppet) => {
                    if let Some(connection) = &mut puppet.connection {
                        connection.handle_timeout(now);
                    }
                }
                Host::Dead => {}
            }
        }
        self.settle();
    }

    fn arrive_at(&mut self, wire: usize, side: usize) {
        let now = self.now;
        loop {
            let it = &self.wires[wire].sides[side];
            if it.closed || self.holds_back(it) {
                return;
            }
            let it = &mut self.wires[wire].sides[side];
            if it.incoming.front().is_some_and(|(at, _)| *at <= now) {
                let (_, octets) = it.incoming.pop_front().unwrap();
                let (host, link) = (it.host, it.link);
                match &mut self.hosts[host] {
                    Host::Socket(socket) => receive(socket, now, link.unwrap(), &octets),
                    Host::Puppet(puppet) => hear(puppet, now, &octets),
                    Host::Dead => {}
                }
                self.settle();
                continue;
            }
            if it.incoming.is_empty()
                && let Some((at, cut)) = it.end
                && at <= now
            {
                it.closed = true;
                let (host, link) = (it.host, it.link);
                match &mut self.hosts[host] {
                    Host::Socket(socket) => socket.handle_disconnected(now, link.unwrap(), cut),
                    Host::Puppet(puppet) => puppet.ended = true,
                    Host::Dead => {}
                }
                self.close_side(wire, side, Cut::Closed);
                self.settle();
            }
            return;
        }
    }

    /// Does all that is to be done now.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for host in 0..self.hosts.len() {
                while let Host::Socket(socket) = &mut self.hosts[host]
                    && let Some(action) = socket.poll_action()
                {
                    quiet = false;
                    self.act(host, action);
                }
                while let Host::Socket(socket) = &mut self.hosts[host]
                    && let Some(event) = socket.poll_event()
                {
                    self.events[host].push(event);
                }
            }
            for wire in 0..self.wires.len() {
                for side in 0..2 {
                    quiet &= !self.depart(wire, side);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Puts octets on a wire; whether there were any.
    fn depart(&mut self, wire: usize, side: usize) -> bool {
        let sides = &mut self.wires[wire].sides;
        // A wire that has ended takes nothing any more, also before a side is told.
        if sides[side].closed || sides[side].end.is_some() {
            return false;
        }
        let room = self.capacity.saturating_sub(sides[1 - side].on_the_way());
        if room == 0 {
            return false;
        }
        let (host, link) = (sides[side].host, sides[side].link);
        let octets = match &self.hosts[host] {
            Host::Socket(socket) => first(room, socket.poll_transmit(link.unwrap())),
            Host::Puppet(puppet) => match &puppet.connection {
                Some(connection) => first(room, connection.poll_transmit()),
                None => first(room, std::iter::once(puppet.words.as_slice())),
            },
            Host::Dead => Vec::new(),
        };
        if octets.is_empty() {
            return false;
        }
        let (now, len) = (self.now, octets.len());
        if sides[1 - side].end.is_none() && !sides[1 - side].closed {
            sides[1 - side].incoming.push_back((now + DELAY, octets));
        }
        match &mut self.hosts[host] {
            Host::Socket(socket) => socket.handle_transmitted(now, link.unwrap(), len),
            Host::Puppet(puppet) => match &mut puppet.connection {
                Some(connection) => connection.handle_transmitted(now, len),
                None => drop(puppet.words.drain(..len)),
            },
            Host::Dead => {}
        }
        true
    }

    fn act(&mut self, host: usize, action: Action) {
        match action {
            Action::Listen { listener, endpoint } => self.listen(host, listener, endpoint),
            Action::Unlisten { listener } => {
                self.listening.retain(|_, at| *at != (host, listener));
            }
            Action::Dial { link, endpoint } => self.join(host, Some(link), &endpoint),
            // What can be sent is looked at in any case.
            Action::Transmit { .. } => {}
            Action::Pause { link } => self.side_of(host, link).paused = true,
            Action::Resume { link } => self.side_of(host, link).paused = false,
            Action::Close { link } => {
                self.dialling.retain(|it| *it != (host, link));
                for wire in 0..self.wires.len() {
                    for side in 0..2 {
                        let it = &self.wires[wire].sides[side];
                        if it.host == host && it.link == Some(link) {
                            self.close_side(wire, side, Cut::Closed);
                        }
                    }
                }
            }
            Action::Authenticate {
                link, credentials, ..
            } => {
                if self.lets_in {
                    let now = self.now;
                    self.the(HostId(host))
                        .handle_verdict(now, link, Verdict::Allow);
                } else {
                    self.asked.push((HostId(host), link, credentials));
                }
            }
            other => panic!("nobody knows {other:?}"),
        }
    }

    fn listen(&mut self, host: usize, listener: ListenerId, mut endpoint: Endpoint) {
        let now = self.now;
        if let Endpoint::Tcp { port, .. } = &mut endpoint
            && *port == 0
        {
            *port = self.next_port;
            self.next_port += 1;
        }
        if self.listening.contains_key(&endpoint) {
            return self
                .the(HostId(host))
                .handle_listen_failed(now, listener, "address in use");
        }
        self.listening.insert(endpoint.clone(), (host, listener));
        self.the(HostId(host))
            .handle_listening(now, listener, endpoint);
    }

    /// Makes a wire from a host to whoever listens there.
    fn join(&mut self, host: usize, link: Option<LinkId>, endpoint: &Endpoint) {
        let now = self.now;
        if self.silent.contains(endpoint) {
            self.dialling.extend(link.map(|link| (host, link)));
            return;
        }
        let mut sides = [Side::default(), Side::default()];
        sides[0].host = host;
        sides[0].link = link;
        let puppet = self
            .awaiting
            .get_mut(endpoint)
            .and_then(VecDeque::pop_front);
        if let Some(puppet) = puppet {
            sides[1].host = puppet;
        } else if let Some(&(there, listener)) = self.listening.get(endpoint) {
            let remote = matches!(endpoint, Endpoint::Tcp { .. }).then(|| self.address());
            let accepted = self
                .the(HostId(there))
                .handle_accepted(now, listener, remote);
            sides[1].host = there;
            sides[1].link = accepted;
            if accepted.is_none() {
                sides[1].closed = true;
                sides[0].end = Some((now + DELAY, Cut::Closed));
            }
        } else {
            match (link, &mut self.hosts[host]) {
                (Some(link), Host::Socket(socket)) => {
                    socket.handle_disconnected(now, link, Cut::Refused);
                }
                _ => panic!("nobody listens at {endpoint}"),
            }
            return;
        }
        self.wires.push(Wire { sides });
        if let (Some(link), Host::Socket(socket)) = (link, &mut self.hosts[host]) {
            socket.handle_connected(now, link);
        }
    }

    fn address(&mut self) -> SocketAddr {
        self.next_address += 1;
        let [high, low] = self.next_address.to_be_bytes();
        SocketAddr::from(([10, 0, high, low], 40_000))
    }

    fn side_of(&mut self, host: usize, link: LinkId) -> &mut Side {
        let sides = self.wires.iter_mut().flat_map(|wire| &mut wire.sides);
        let mut sides = sides.filter(|side| side.host == host && side.link == Some(link));
        sides.next().unwrap()
    }

    fn close_side(&mut self, wire: usize, side: usize, cut: Cut) {
        let now = self.now;
        let sides = &mut self.wires[wire].sides;
        sides[side].closed = true;
        sides[side].incoming.clear();
        let other = &mut sides[1 - side];
        if !other.closed {
            other.end.get_or_insert((now + DELAY, cut));
        }
    }
}

/// The first octets of what is lent.
fn first<'a>(octets: usize, lent: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut taken = Vec::new();
    for slice in lent {
        let left = octets - taken.len();
        taken.extend_from_slice(&slice[..left.min(slice.len())]);
        if taken.len() == octets {
            break;
        }
    }
    taken
}

fn puppet(connection: Option<Connection>) -> Puppet {
    Puppet {
        connection,
        events: Vec::new(),
        heard: Vec::new(),
        words: Vec::new(),
        reads: true,
        ended: false,
    }
}

/// As an adapter reads: what a large frame lacks goes right into its memory.
fn receive(socket: &mut Socket, now: Instant, link: LinkId, mut octets: &[u8]) {
    use bytes::BufMut;
    while !octets.is_empty() {
        let Some(mut buffer) = socket.receive_buffer(link) else {
            return socket.handle_received(now, link, octets);
        };
        let taken = octets.len().min(buffer.remaining_mut());
        let (first, rest) = octets.split_at(taken);
        buffer.put_slice(first);
        octets = rest;
        socket.handle_filled(now, link);
    }
}

fn hear(puppet: &mut Puppet, now: Instant, octets: &[u8]) {
    match &mut puppet.connection {
        Some(connection) => {
            connection.handle_input(now, octets);
            while let Some(event) = connection.poll_event() {
                if matches!(event, zmtp::Event::Authenticate(_)) {
                    connection.handle_verdict(now, Verdict::Allow);
                }
                puppet.events.push(event);
            }
        }
        None => puppet.heard.extend_from_slice(octets),
    }
}

/// A message as text, frames joined by `|`.
pub(crate) fn text(message: &Frames) -> String {
    let frames: Vec<_> = message
        .iter()
        .map(|frame| String::from_utf8_lossy(frame).into_owned())
        .collect();
    frames.join("|")
}
