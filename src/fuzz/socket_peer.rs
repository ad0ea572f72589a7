//! One socket, of any type, among peers that say and do what they like.

mod puppet;
mod steps;
mod told;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::{BufMut, Bytes};

use self::puppet::Wire;
use self::told::Told;
use super::sockets;
use crate::net::{Cut, LinkId};
use crate::socket::{
    Action, BindError, Config, ConnectError, ConnectId, Endpoint, Kind, ListenerId, RecvError,
    SendError, Socket, SubscribeError,
};
use crate::wire::Frames;
use crate::{Instant, zmtp};

/// More than that happens in no schedule: a fuzzer learns more from many short ones.
const STEPS: usize = 250;
/// What may follow from one step without any time passing.
const ROUNDS: usize = 100_000;
/// More than the time that the last words to somebody take, when nothing is to be waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// A schedule for one socket and its peers: who comes and is dialled, what they say, honestly or not and cut anywhere, where links end,
/// what the application does, and how time passes.
///
/// - Nothing panics, no table contradicts another, and nothing goes over its limit.
/// - What the socket wants makes sense: links that were given and not taken back, each closed once; it is told once that there is
///   something to send, and that is true; it wants to be read and not to be read by turns.
/// - What is told is what happened: each link begins, gets ready at most once and ends once; what is lost is told, and counted.
/// - `can_send` and `can_recv` say what `send` and `recv` then do. What is received has the form that the pattern promises.
/// - Nothing is due any more after it was done.
/// - A socket that was closed is so within the time that it may linger, and does nothing any more.
/// - The same twice gives the same.
pub fn socket_peer(schedule: &[u8]) {
    let is_twice = schedule.last().is_some_and(|last| last & 3 == 3);
    let once = run(schedule);
    if is_twice {
        assert_eq!(once, run(schedule), "the same gives something else");
    }
}

/// What came out, as a hash.
fn run(schedule: &[u8]) -> u64 {
    let mut u = Unstructured::new(schedule);
    // A schedule that is too short ends early.
    let Ok(mut world) = World::new(&mut u) else {
        return 0;
    };
    for _ in 0..STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
        world.settle();
    }
    world.end();
    world.hash
}

struct World {
    now: Instant,
    socket: Socket,
    kind: Kind,
    config: Config,
    /// How many octets are handed in at once.
    chunk: usize,
    /// Hand in octets through lent buffers.
    fills: bool,
    /// What peers say arrives by itself.
    flows: bool,
    /// Somebody takes the events.
    monitors: bool,
    wires: BTreeMap<LinkId, Wire>,
    /// Links that were there at any time.
    names: BTreeSet<LinkId>,
    /// What is to be listened, and whether it is.
    listeners: BTreeMap<ListenerId, (Endpoint, bool)>,
    connects: Vec<ConnectId>,
    /// What the application wants to hear (SUB, XSUB), as often as it said so.
    wanted: Vec<Bytes>,
    /// Whom the application knows (ROUTER), the last few.
    known: Vec<Bytes>,
    told: Told,
    closing: bool,
    /// Of everything that came out.
    hash: u64,
    /// Tell what happens, for people.
    aloud: bool,
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let kind = sockets::kind(u)?;
        let mut config = sockets::config(u)?;
        config.identity = sockets::identity(u)?;
        config.security = puppet::security(u)?;
        let flags: u8 = u.arbitrary()?;
        let now = Instant::from_millis(1_000);
        Ok(Self {
            now,
            socket: Socket::new(now, [7; 32], kind, config.clone()),
            kind,
            config,
            chunk: *u.choose(&[1_000, 7, 100, 10_000])?,
            fills: flags & 1 == 0,
            flows: flags & 2 == 0,
            monitors: flags & 4 == 0,
            wires: BTreeMap::new(),
            names: BTreeSet::new(),
            listeners: BTreeMap::new(),
            connects: Vec::new(),
            wanted: Vec::new(),
            known: Vec::new(),
            told: Told::default(),
            closing: false,
            hash: 0xcbf2_9ce4_8422_2325,
            aloud: std::env::var_os("ATONCE_FUZZ_ALOUD").is_some(),
        })
    }

    fn note(&mut self, what: fmt::Arguments<'_>) {
        if self.aloud {
            std::eprintln!("{}   {what}", self.now);
        }
        for octet in format!("{what}").bytes() {
            self.hash = (self.hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    // ---- what the application does

    fn send(&mut self, message: &Frames) {
        let can = self.socket.can_send();
        let before = *self.socket.counters();
        let sent = self.socket.send(self.now, message);
        self.note(format_args!("sends {message:.80?}: {sent:?}"));
        let after = self.socket.counters();
        assert!(after.messages_sent >= before.messages_sent);
        match sent {
            // Whoever wants it may have room while somebody else has none (PUB).
            Ok(()) => assert!(
                can || matches!(self.kind, Kind::Pub | Kind::XPub),
                "it said that it could not"
            ),
            // A ROUTER can say nothing about a peer that it was not told.
            Err(SendError::Full | SendError::OutOfTurn) => {
                assert!(!can || self.kind == Kind::Router, "it said that it could");
            }
            Err(SendError::Closed) => assert!(self.closing),
            Err(SendError::NotSending) => {
                assert!(matches!(self.kind, Kind::Pull | Kind::Sub) && !can);
            }
            Err(SendError::Unroutable) => assert!(self.kind == Kind::Router),
            Err(SendError::PeerLost) => assert!(self.kind == Kind::Rep),
            Err(SendError::Malformed) => {
                assert!(matches!(self.kind, Kind::Router | Kind::XSub));
            }
            Err(SendError::TooLarge { octets, limit }) => {
                assert!(octets > limit && octets == message.octets());
            }
            Err(SendError::NoFrames) => assert!(message.is_empty()),
        }
        if sent.is_err() {
            assert_eq!(after.messages_sent, before.messages_sent, "{sent:?}");
        }
    }

    fn receive(&mut self) -> bool {
        let can = self.socket.can_recv();
        let before = self.socket.counters().messages_received;
        let received = self.socket.recv(self.now);
        self.note(format_args!("receives {received:.80?}"));
        match &received {
            Ok(Some(message)) => {
                assert!(can, "it said that there was nothing");
                if !matches!(self.kind, Kind::XPub) {
                    assert!(self.socket.counters().messages_received >= before);
                }
                self.look_at(message);
            }
            Ok(None) => {}
            Err(RecvError::PeerLost) => assert!(can && self.kind == Kind::Req),
            Err(RecvError::OutOfTurn) => {
                assert!(!can && matches!(self.kind, Kind::Req | Kind::Rep));
            }
            Err(RecvError::NotReceiving) => {
                assert!(!can && matches!(self.kind, Kind::Push | Kind::Pub));
            }
            Err(RecvError::Closed) => assert!(self.closing && !can),
        }
        matches!(received, Ok(Some(_)))
    }

    fn receive_many(&mut self, octets: usize) {
        let can = self.socket.can_recv();
        let mut messages = alloc::collections::VecDeque::new();
        let received = self.socket.recv_many(self.now, octets, &mut messages);
        self.note(format_args!("receives {messages:.80?}: {received:?}"));
        assert!(can || messages.is_empty());
        assert!(received.is_ok() || messages.is_empty());
        let most = octets.saturating_add(sockets::LIMITS.message_octets + 300);
        assert!(messages.iter().map(Frames::octets).sum::<usize>() <= most);
        for message in &messages {
            self.look_at(message);
        }
    }

    /// What was received has the form that the pattern promises.
    fn look_at(&mut self, message: &Frames) {
        let first = message.first().expect("a message has a frame");
        match self.kind {
            Kind::Router => {
                assert!(message.len() >= 2, "an identity and something behind it");
                assert!((1..256).contains(&first.len()), "{first:?}");
                if self.known.len() == 4 {
                    self.known.remove(0);
                }
                self.known.push(first.clone());
            }
            Kind::Sub | Kind::XSub => {
                let is_wanted = self.wanted.iter().any(|prefix| first.starts_with(prefix));
                assert!(
                    is_wanted || self.kind == Kind::XSub,
                    "nobody wanted {first:?}"
                );
            }
            Kind::XPub => {}
            Kind::Pub | Kind::Push => panic!("it receives nothing"),
            _ => {}
        }
        // An identity comes on top.
        assert!(message.octets() <= sockets::LIMITS.message_octets + 255);
        assert!(message.len() <= sockets::LIMITS.message_frames + 1);
    }

    fn want(&mut self, prefix: Bytes) {
        let said = self.socket.subscribe(self.now, prefix.clone());
        self.note(format_args!("subscribes to {prefix:?}: {said:?}"));
        let subscribes = matches!(self.kind, Kind::Sub | Kind::XSub);
        match said {
            Ok(()) => {
                assert!(subscribes);
                self.wanted.push(prefix);
            }
            Err(SubscribeError::NotSubscribing) => assert!(!subscribes),
            Err(SubscribeError::TooLong { octets, limit }) => {
                assert!(octets == prefix.len() && octets > limit);
            }
            Err(SubscribeError::Closed) => assert!(self.closing),
            Err(error) => panic!("{error}"),
        }
    }

    fn want_no_more(&mut self, prefix: &Bytes) {
        let said = self.socket.unsubscribe(self.now, prefix);
        self.note(format_args!("unsubscribes from {prefix:?}: {said:?}"));
        let place = self.wanted.iter().position(|wanted| wanted == prefix);
        match said {
            Ok(()) => {
                assert!(
                    place.is_some() || self.kind == Kind::XSub,
                    "it never wanted it"
                );
                if let Some(place) = place {
                    self.wanted.remove(place);
                }
            }
            Err(SubscribeError::NotSubscribed) => {
                assert!(place.is_none() || self.kind == Kind::XSub, "it wanted it");
            }
            Err(SubscribeError::NotSubscribing) => {
                assert!(!matches!(self.kind, Kind::Sub | Kind::XSub));
            }
            Err(SubscribeError::Closed) => assert!(self.closing),
            Err(error) => panic!("{error}"),
        }
    }

    fn connect(&mut self, endpoint: &Endpoint) {
        match self.socket.connect(self.now, endpoint) {
            Ok(connect) => {
                self.note(format_args!("{connect} to {endpoint}"));
                self.connects.push(connect);
            }
            Err(ConnectError::PairTaken) => assert!(self.kind == Kind::Pair),
            Err(ConnectError::Closed) => assert!(self.closing),
            Err(error) => assert!(error == ConnectError::NoAddress, "{error}"),
        }
    }

    fn bind(&mut self, endpoint: &Endpoint) {
        match self.socket.bind(self.now, endpoint) {
            Ok(listener) => self.note(format_args!("{listener} at {endpoint}")),
            Err(error) => assert!(error == BindError::Closed && self.closing, "{error}"),
        }
    }

    fn close(&mut self) {
        self.note(format_args!("closes"));
        self.told.closing(self.socket.counters());
        self.closing = true;
        self.socket.close(self.now);
    }

    // ---- time

    fn run_until(&mut self, to: Instant) {
        while let Some(at) = self.socket.deadline()
            && at <= to
        {
            self.now = self.now.max(at);
            self.socket.handle_timeout(self.now);
            let next = self.socket.poll_timeout();
            assert!(next.is_none_or(|(at, _)| at > self.now), "{next:?} is due");
            self.settle();
        }
        self.now = to;
    }

    // ---- what follows

    /// Lets everything happen that happens by itself, and looks whether all is well.
    fn settle(&mut self) {
        for round in 0.. {
            self.obey();
            if !self.flow() {
                break;
            }
            assert!(round < ROUNDS, "they never get quiet");
        }
        self.check();
    }

    fn obey(&mut self) {
        while let Some(action) = self.socket.poll_action() {
            self.note(format_args!("{action:.200?}"));
            self.act(action);
        }
        while self.monitors
            && let Some(event) = self.socket.poll_event()
        {
            self.note(format_args!("told {event:.300?}"));
            self.told.hear(event, self.closing);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Listen { listener, endpoint } => {
                let before = self.listeners.insert(listener, (endpoint, false));
                assert!(before.is_none(), "{listener} was used before");
            }
            Action::Unlisten { listener } => {
                let gone = self.listeners.remove(&listener);
                assert!(gone.is_some(), "{listener} is not there");
            }
            Action::Dial { link, endpoint } => {
                assert!(!self.told.is_closed());
                assert!(self.names.insert(link), "{link} was used before");
                self.wires.insert(link, Wire::dialled(endpoint));
            }
            Action::Transmit { link } => {
                let lends = self.socket.poll_transmit(link).next().is_some();
                let wire = self.wire(link);
                assert!(wire.made && !wire.signalled, "{link} was told before");
                // It may be closed by something that is said after this.
                wire.signalled = lends;
            }
            Action::Pause { link } => {
                let wire = self.wire(link);
                assert!(wire.made && !wire.paused, "{link} is paused already");
                wire.paused = true;
            }
            Action::Resume { link } => {
                let wire = self.wire(link);
                assert!(wire.paused, "{link} is read already");
                wire.paused = false;
            }
            Action::Close { link } => {
                assert!(
                    self.wires.remove(&link).is_some(),
                    "{link} is closed already"
                );
            }
            Action::Authenticate { link, .. } => {
                let wire = self.wire(link);
                assert!(wire.made && !wire.asked, "{link} was asked about");
                wire.asked = true;
            }
        }
    }

    fn wire(&mut self, link: LinkId) -> &mut Wire {
        let Some(wire) = self.wires.get_mut(&link) else {
            panic!("{link} is not open");
        };
        wire
    }

    /// Carries what nobody holds back; whether anything.
    fn flow(&mut self) -> bool {
        let links: Vec<LinkId> = self.wires.keys().copied().collect();
        let mut any = false;
        for link in links {
            any |= self.hear(link, usize::MAX);
            if self.flows {
                any |= self.deliver(link, self.chunk);
            }
        }
        any
    }

    /// The peer takes at most so much of what the socket has for it; whether any.
    fn hear(&mut self, link: LinkId, most: usize) -> bool {
        let Some(wire) = self.wires.get_mut(&link) else {
            return false;
        };
        if !wire.made || !wire.reads {
            return false;
        }
        let lent = self.socket.poll_transmit(link).flatten().copied();
        let octets: Vec<u8> = lent.take(most).collect();
        if octets.is_empty() {
            return false;
        }
        assert!(wire.signalled, "{link} was told nothing");
        let mut hash = self.hash;
        for octet in &octets {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash = hash;
        wire.hear(self.now, &octets);
        self.socket.handle_transmitted(self.now, link, octets.len());
        self.obey();
        let lends = self.socket.poll_transmit(link).next().is_some();
        if let Some(wire) = self.wires.get_mut(&link) {
            wire.signalled = lends;
        }
        true
    }

    /// Hands over at most so many octets of what a peer said; whether any.
    fn deliver(&mut self, link: LinkId, most: usize) -> bool {
        let Some(wire) = self.wires.get_mut(&link) else {
            return false;
        };
        wire.say();
        if !wire.made || wire.paused || wire.under_way.is_empty() {
            return false;
        }
        let most = most.min(wire.under_way.len());
        let octets: Vec<u8> = wire.under_way.drain(..most).collect();
        if self.aloud {
            std::eprintln!("{}   {link} brings {octets:.80?}", self.now);
        }
        let mut rest = &octets[..];
        while !rest.is_empty() {
            if self.fills
                && let Some(mut buffer) = self.socket.receive_buffer(link)
            {
                let (part, behind) = rest.split_at(rest.len().min(buffer.remaining_mut()));
                assert!(!part.is_empty(), "a buffer without room");
                buffer.put_slice(part);
                rest = behind;
                self.socket.handle_filled(self.now, link);
            } else {
                self.socket.handle_received(self.now, link, rest);
                rest = &[];
            }
        }
        true
    }

    /// A link ends, by somebody else than the socket.
    fn cut(&mut self, link: LinkId, cut: Cut) {
        if self.wires.remove(&link).is_some() {
            self.note(format_args!("{link} ends: {cut:?}"));
            self.socket.handle_disconnected(self.now, link, cut);
        }
    }

    fn check(&self) {
        let socket = &self.socket;
        socket.check_invariants();
        socket.check_bounds(self.chunk);
        assert_eq!(socket.deadline(), socket.poll_timeout().map(|(at, _)| at));
        let usage = socket.usage();
        assert_eq!(usage.links, self.wires.len());
        assert_eq!(usage.peers, socket.peers().count());
        let up = self.listeners.iter().filter(|(_, (_, is_up))| *is_up);
        assert!(
            socket
                .endpoints()
                .map(|(it, _)| it)
                .eq(up.map(|(it, _)| *it))
        );
        for (link, wire) in &self.wires {
            let lends = socket.poll_transmit(*link).next().is_some();
            assert_eq!(lends, wire.signalled, "{link} has something to send");
        }
        for peer in socket.peers() {
            assert!(self.wires.contains_key(&peer.link));
            let ours = zmtp::Config::new(self.kind.into()).socket_type;
            assert!(ours.may_talk_to(peer.socket_type), "{peer:?}");
        }
        if self.monitors {
            self.told.check(socket, &self.wires);
        }
        if socket.is_closed() {
            assert!(self.closing && self.wires.is_empty() && self.listeners.is_empty());
            assert_eq!(socket.deadline(), None);
        }
    }

    // ---- the end

    fn end(&mut self) {
        self.settle();
        if !self.closing {
            self.close();
            self.settle();
        }
        self.run_until(self.now + self.config.linger + FAREWELL);
        assert!(self.socket.is_closed(), "{:?}", self.socket.usage());
        assert!(self.monitors == self.told.is_closed());
        self.disturb();
    }

    /// Nothing that is done to a socket that is closed does anything.
    fn disturb(&mut self) {
        let now = self.now + Duration::from_secs(1);
        let counters = *self.socket.counters();
        let socket = &mut self.socket;
        while let Some(event) = socket.poll_event() {
            assert!(!self.monitors, "{event:?} after the last one");
        }
        let link = self.names.first().copied().unwrap_or(LinkId(0));
        assert_eq!(socket.send(now, &Frames::from("x")), Err(SendError::Closed));
        assert_eq!(socket.recv(now), Err(RecvError::Closed));
        let endpoint = sockets::endpoint(0);
        assert_eq!(socket.bind(now, &endpoint), Err(BindError::Closed));
        assert_eq!(socket.connect(now, &endpoint), Err(ConnectError::Closed));
        assert_eq!(socket.subscribe(now, "x"), Err(SubscribeError::Closed));
        assert_eq!(socket.unsubscribe(now, b"x"), Err(SubscribeError::Closed));
        for connect in &self.connects {
            socket.disconnect(now, *connect);
        }
        socket.reset(now);
        socket.close(now);
        socket.handle_connected(now, link);
        socket.handle_received(now, link, b"\xff");
        assert!(socket.receive_buffer(link).is_none());
        socket.handle_filled(now, link);
        socket.handle_transmitted(now, link, 0);
        socket.handle_verdict(now, link, zmtp::Verdict::Allow);
        socket.handle_disconnected(now, link, Cut::Closed);
        socket.handle_timeout(now);
        assert!(!socket.can_send() && !socket.can_recv());
        assert_eq!(socket.poll_action(), None);
        assert_eq!(socket.poll_event(), None);
        assert_eq!(socket.deadline(), None);
        assert_eq!(*socket.counters(), counters);
        let usage = socket.usage();
        assert_eq!(usage, crate::socket::Usage::default());
        assert_eq!(socket.connects().count() + socket.endpoints().count(), 0);
    }
}
