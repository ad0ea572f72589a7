//! A bridge that cannot reach others, beside servers that have a relay or have none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::{KeyPair, PublicKey};
use atonce::once::bridge::{Action, Config, Event as Told};
use atonce::once::session::{self, Heard, Output};
use atonce::once::{Bridge, Limits, Mechanism, Role, Roles, Sessions, Which};
use atonce::wire::Headers;
use atonce::wire::once::{Code, Contact, Invitation, Message, RelayRole, Ticket, V2};
use atonce::zre::ExitReason;
use atonce::{Event, Instant, Peer, PeerId};

use crate::net::{id, text};

/// Above 0xA1, which it does not ask for, and below 0xC1, which it does.
const BRIDGE: u8 = 0xB0;
const TICKET: Ticket = Ticket::from_bytes([7; 32]);

fn public(octet: u8) -> PublicKey {
    *KeyPair::generate([octet; 32]).public()
}

fn declared(octet: u8, role: Role, relay: bool) -> Arc<Peer> {
    let mut headers = Headers::new();
    Roles {
        role,
        beacon: None,
        relay,
    }
    .put(&mut headers);
    Arc::new(Peer {
        id: id(octet),
        name: text("somebody"),
        endpoint: text("tcp://10.0.0.2:49152"),
        headers,
    })
}

fn contact(octet: u8) -> Contact {
    Contact {
        uuid: id(octet),
        name: text("far"),
        endpoint: text("tcp://192.168.1.7:49152"),
        beacon: None,
        key: Some(*public(octet).as_bytes()),
    }
}

fn invitation(octet: u8, role: RelayRole) -> Invitation {
    Invitation {
        uuid: id(octet),
        role,
        endpoint: text("tcp://*:5673"),
        ticket: TICKET,
    }
}

struct Server {
    peer: Arc<Peer>,
    sessions: Sessions,
}

struct Scene {
    now: Instant,
    bridge: Bridge,
    secure: bool,
    servers: Vec<Server>,
    told: Vec<String>,
}

impl Scene {
    /// With a server for each of these, which has a relay or has none.
    fn new(secure: bool, servers: &[(u8, bool)]) -> Self {
        let config = Config {
            id: id(BRIDGE),
            key: secure.then(|| public(BRIDGE)),
            local_key: None,
            mechanisms: vec![Mechanism::Open],
            hidden: BTreeSet::new(),
            limits: Limits::default(),
        };
        let mut scene = Self {
            now: Instant::ZERO,
            bridge: Bridge::new(Instant::ZERO, [7; 32], config),
            secure,
            servers: Vec::new(),
            told: Vec::new(),
        };
        for (octet, relay) in servers {
            let peer = declared(*octet, Role::Server, *relay);
            let sessions = scene.sessions(*octet);
            scene.servers.push(Server { peer, sessions });
            scene.meets(scene.servers.len() - 1);
        }
        scene.told.clear();
        scene
    }

    /// Those of a server that was started just now.
    fn sessions(&self, octet: u8) -> Sessions {
        let config = session::Config {
            id: id(octet),
            key: self.key(octet),
            role: Role::Server,
            mechanisms: vec![Mechanism::Open],
            limits: Limits::default(),
        };
        Sessions::new([octet; 32], config)
    }

    fn meets(&mut self, server: usize) {
        let own = declared(BRIDGE, Role::Bridge, false);
        let key = self.key(BRIDGE);
        self.servers[server]
            .sessions
            .handle_entered(self.now, &own, key);
        let peer = self.servers[server].peer.clone();
        let key = self.key(peer.id.as_bytes()[0]);
        let entered = Event::Enter { peer };
        self.bridge
            .handle_event(self.now, Which::Remote, entered, key);
        self.settle();
    }

    fn loses(&mut self, server: usize) {
        let peer = self.servers[server].peer.clone();
        self.servers[server].sessions = self.sessions(peer.id.as_bytes()[0]);
        let reason = ExitReason::Left;
        let exit = Event::Exit { peer, reason };
        self.bridge
            .handle_event(self.now, Which::Remote, exit, None);
        self.settle();
    }

    fn key(&self, octet: u8) -> Option<PublicKey> {
        self.secure.then(|| public(octet))
    }

    fn says(&mut self, server: usize, message: V2) {
        let peer = self.servers[server].peer.clone();
        let key = self.key(peer.id.as_bytes()[0]);
        let content = Message::from(message).encode();
        let whisper = Event::Whisper { peer, content };
        self.bridge
            .handle_event(self.now, Which::Remote, whisper, key);
        self.settle();
    }

    fn lists(&mut self, server: usize, contacts: &[u8]) {
        let contacts = contacts.iter().copied().map(contact).collect();
        self.says(server, V2::ListEndpoints { contacts });
    }

    fn enters(&mut self, octet: u8) {
        let peer = declared(octet, Role::Bridge, false);
        let key = self.key(octet);
        self.bridge
            .handle_event(self.now, Which::Remote, Event::Enter { peer }, key);
        self.settle();
    }

    fn exits(&mut self, octet: u8) {
        let peer = declared(octet, Role::Bridge, false);
        let reason = ExitReason::Left;
        let exit = Event::Exit { peer, reason };
        self.bridge
            .handle_event(self.now, Which::Remote, exit, None);
        self.settle();
    }

    /// Carries what both say; what is not a matter of sessions is told.
    fn settle(&mut self) {
        let own = declared(BRIDGE, Role::Bridge, false);
        loop {
            let mut quiet = true;
            while let Some(action) = self.bridge.poll_action() {
                match action {
                    Action::Whisper {
                        node: Which::Remote,
                        peer,
                        content,
                    } => {
                        quiet = false;
                        let key = self.key(BRIDGE);
                        let Some(server) = self.servers.iter_mut().find(|it| it.peer.id == peer)
                        else {
                            continue;
                        };
                        let server_name = peer.as_bytes()[0];
                        let heard = server.sessions.handle_whisper(self.now, &own, key, content);
                        match heard {
                            Heard::V2(V2::Relay { uuid }) => {
                                self.told.push(format!(
                                    "ask {server_name:x} for {:x}",
                                    uuid.as_bytes()[0]
                                ));
                            }
                            Heard::V2(V2::Nope(nope)) => {
                                self.told
                                    .push(format!("nope {} about {:x}", nope.code.0, nope.about));
                            }
                            Heard::V2(other) => panic!("{other:?}"),
                            _ => {}
                        }
                    }
                    Action::DialRelay {
                        server,
                        peer,
                        key,
                        role,
                        endpoint,
                        ticket,
                    } => {
                        assert_eq!((endpoint, ticket), (text("tcp://*:5673"), TICKET));
                        let [server, octet] = [server, peer].map(|id| id.as_bytes()[0]);
                        assert_eq!(key, public(octet));
                        self.told.push(format!("{role:?} {octet:x} by {server:x}"));
                    }
                    _ => {}
                }
            }
            for server in 0..self.servers.len() {
                let mut said = Vec::new();
                while let Some((_, output)) = self.servers[server].sessions.poll_output() {
                    if let Output::Send(message) = output {
                        said.push(message);
                    }
                }
                for message in said {
                    quiet = false;
                    let peer = self.servers[server].peer.clone();
                    let key = self.key(peer.id.as_bytes()[0]);
                    let content = Message::from(message).encode();
                    let whisper = Event::Whisper { peer, content };
                    self.bridge
                        .handle_event(self.now, Which::Remote, whisper, key);
                }
            }
            if quiet {
                break;
            }
        }
        while let Some(event) = self.bridge.poll_event() {
            if let Told::OutOfReach { bridge } = event {
                self.told
                    .push(format!("out of reach: {:x}", bridge.as_bytes()[0]));
            }
        }
    }

    /// What is told in so many seconds, and after how many.
    fn run(&mut self, seconds: u64) -> Vec<(u64, String)> {
        let (begin, end) = (self.now, self.now + Duration::from_secs(seconds));
        let mut told: Vec<(u64, String)> = self.told.drain(..).map(|it| (0, it)).collect();
        loop {
            let of_bridge = self.bridge.poll_timeout().map(|(at, _)| at);
            let of_servers = self
                .servers
                .iter()
                .filter_map(|it| it.sessions.poll_timeout());
            let next = of_bridge.into_iter().chain(of_servers).min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.bridge.handle_timeout(self.now);
            for server in &mut self.servers {
                server.sessions.handle_timeout(self.now);
            }
            self.settle();
            let after = (self.now - begin).as_secs();
            told.extend(self.told.drain(..).map(|it| (after, it)));
        }
        self.now = end;
        told
    }

    /// The same without the times.
    fn told(&mut self) -> Vec<String> {
        self.run(0).into_iter().map(|(_, it)| it).collect()
    }
}

fn at(after: u64, what: &str) -> (u64, String) {
    (after, what.to_owned())
}

#[test]
fn a_bridge_that_is_not_met_is_asked_for_with_growing_pauses() {
    // ONCE-127
    let mut scene = Scene::new(true, &[(0x51, true)]);
    scene.lists(0, &[0xC1]);
    assert_eq!(
        scene.run(1_000),
        [
            at(10, "ask 51 for c1"),
            // It was of no use.
            at(40, "ask 51 for c1"),
            at(40, "out of reach: c1"),
            at(100, "ask 51 for c1"),
            at(220, "ask 51 for c1"),
            at(460, "ask 51 for c1"),
            at(760, "ask 51 for c1"),
        ]
    );
    assert_eq!(scene.run(61), [at(60, "ask 51 for c1")]);
    // It is met.
    scene.enters(0xC1);
    assert_eq!(scene.run(1_000), []);
    // And is gone: it begins anew.
    scene.exits(0xC1);
    assert_eq!(scene.run(39), [at(10, "ask 51 for c1")]);
    // Nobody lists it any more.
    scene.lists(0, &[]);
    assert_eq!(scene.run(1_000), []);
}

#[test]
fn the_one_with_the_lower_identity_asks() {
    // ONCE-127
    let mut scene = Scene::new(true, &[(0x51, true)]);
    scene.lists(0, &[0xA1, 0xC1, BRIDGE]);
    assert_eq!(
        scene.run(99),
        [
            at(10, "ask 51 for c1"),
            at(40, "ask 51 for c1"),
            at(40, "out of reach: a1"),
            at(40, "out of reach: c1"),
        ]
    );
    // The other one waits to be told.
    scene.says(0, V2::Ticket(invitation(0xA1, RelayRole::Accept)));
    assert_eq!(scene.told(), ["Accept a1 by 51"]);
}

#[test]
fn without_a_relay_it_is_told_who_is_out_of_reach() {
    // ONCE-127
    let mut scene = Scene::new(true, &[(0x51, false)]);
    scene.lists(0, &[0xC1, 0xC2]);
    assert_eq!(
        scene.run(1_000),
        [at(10, "out of reach: c1"), at(10, "out of reach: c2")]
    );
    scene.enters(0xC1);
    scene.exits(0xC1);
    assert_eq!(scene.run(1_000), [at(10, "out of reach: c1")]);
}

#[test]
fn of_several_servers_each_is_asked_in_turn() {
    // ONCE-127
    let mut scene = Scene::new(true, &[(0x51, true), (0x52, false), (0x53, true)]);
    scene.lists(1, &[0xC1]);
    let told: Vec<_> = scene.run(300).into_iter().map(|(_, it)| it).collect();
    assert_eq!(
        told,
        [
            "ask 51 for c1",
            "ask 53 for c1",
            "out of reach: c1",
            "ask 51 for c1",
            "ask 53 for c1"
        ]
    );
}

#[test]
fn a_server_that_comes_back_is_asked_soon() {
    // ONCE-127
    let mut scene = Scene::new(true, &[(0x51, true), (0x52, false)]);
    scene.lists(1, &[0xC1]);
    assert_eq!(scene.run(461).last(), Some(&at(460, "ask 51 for c1")));
    scene.loses(0);
    assert_eq!(scene.run(20), []);
    // Without it, it would be asked in 279 s.
    scene.meets(0);
    assert_eq!(
        scene.run(50),
        [at(10, "ask 51 for c1"), at(40, "ask 51 for c1")]
    );
    // One without a relay changes nothing.
    scene.loses(1);
    scene.meets(1);
    assert_eq!(scene.run(49), []);
}

#[test]
fn who_has_no_key_asks_for_nobody() {
    // ONCE-127
    let mut scene = Scene::new(false, &[(0x51, true)]);
    let contacts = vec![Contact {
        key: None,
        ..contact(0xC1)
    }];
    scene.says(0, V2::ListEndpoints { contacts });
    assert_eq!(scene.run(1_000), []);
    scene.says(0, V2::Ticket(invitation(0xC1, RelayRole::Dial)));
    assert_eq!(scene.told(), ["nope 8 about 51"]);
}

#[test]
fn a_ticket_counts_for_a_bridge_that_is_listed_and_not_met() {
    // ONCE-127
    let mut scene = Scene::new(true, &[(0x51, true), (0x52, true)]);
    scene.lists(0, &[0xA1, 0xC1]);
    let ticket = |scene: &mut Scene, server, octet, role| {
        scene.says(server, V2::Ticket(invitation(octet, role)));
        scene.told()
    };
    // Also when nobody asked.
    assert_eq!(
        ticket(&mut scene, 0, 0xC1, RelayRole::Dial),
        ["Dial c1 by 51"]
    );
    assert_eq!(
        ticket(&mut scene, 1, 0xA1, RelayRole::Accept),
        ["Accept a1 by 52"]
    );
    // Not too often, whoever says it.
    assert_eq!(
        ticket(&mut scene, 1, 0xC1, RelayRole::Dial),
        ["nope 8 about 51"]
    );
    scene.run(5);
    assert_eq!(
        ticket(&mut scene, 1, 0xC1, RelayRole::Dial),
        ["Dial c1 by 52"]
    );
    // One that nobody listed, and ourselves.
    for octet in [0xD1, BRIDGE] {
        assert_eq!(
            ticket(&mut scene, 0, octet, RelayRole::Dial),
            ["nope 8 about 51"]
        );
    }
    // One that is here.
    scene.run(5);
    scene.enters(0xC1);
    scene.told();
    assert_eq!(
        ticket(&mut scene, 0, 0xC1, RelayRole::Accept),
        ["nope 8 about 51"]
    );
    // From a bridge it means nothing.
    let peer = declared(0xC1, Role::Bridge, false);
    let content = Message::from(V2::Ticket(invitation(0xA1, RelayRole::Accept))).encode();
    let key = scene.key(0xC1);
    let whisper = Event::Whisper { peer, content };
    scene
        .bridge
        .handle_event(scene.now, Which::Remote, whisper, key);
    scene.settle();
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn a_refusal_is_told() {
    // ONCE-126
    let mut scene = Scene::new(true, &[(0x51, true)]);
    let code = Code::BUSY;
    let about = V2::Relay {
        uuid: PeerId::from_bytes([0; 16]),
    }
    .id();
    let nope = atonce::wire::once::Nope {
        about,
        code,
        text: text(""),
    };
    let peer = scene.servers[0].peer.clone();
    let content = Message::from(V2::Nope(nope)).encode();
    let key = scene.key(0x51);
    let whisper = Event::Whisper {
        peer: peer.clone(),
        content,
    };
    scene
        .bridge
        .handle_event(scene.now, Which::Remote, whisper, key);
    let told: Vec<Told> = std::iter::from_fn(|| scene.bridge.poll_event()).collect();
    assert_eq!(
        told,
        [Told::Refused {
            peer: peer.id,
            code,
            us: true
        }]
    );
}
