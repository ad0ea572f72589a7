//! A server and bridges that speak real ZRE, on the LAN of the tests.

use std::sync::Arc;

use atonce::curve::{KeyPair, PublicKey};
use atonce::once::server::{Action, Config as ServerConfig, Event as ServerEvent, Server};
use atonce::once::session::{Config as Own, Heard, Output, Sessions};
use atonce::once::{Limits, Mechanism, Role, Roles};
use atonce::wire::Headers;
use atonce::wire::once::{Contact, Message, V1, V2};
use atonce::zre::{Beacons, Curve, Event as NodeEvent};
use atonce::{Config, Frames, PeerId, Stack};

use crate::support::{Guard, Lan};
use crate::{content, decoded, listed, ms, public, secret, text};

/// What is at a host besides its node.
enum At {
    Server(Box<Server>),
    /// The remote node of a bridge, and whom it was told of.
    Bridge(Box<Sessions>, Vec<Contact>),
    /// A plain peer, and what it heard.
    Client(Vec<Message>),
}

struct Net {
    lan: Lan,
    at: Vec<At>,
    told: Vec<String>,
    secure: bool,
}

impl Net {
    fn new(secure: bool) -> Self {
        Self {
            lan: Lan::new(),
            at: Vec::new(),
            told: Vec::new(),
            secure,
        }
    }

    /// A node without beacons; its key is that of its number.
    fn node(&mut self, role: Option<Role>) -> (usize, PeerId, Option<PublicKey>) {
        let octet = u8::try_from(self.at.len() + 1).unwrap();
        let mut headers = Headers::new();
        if let Some(role) = role {
            let roles = Roles {
                role,
                beacon: Some(5671),
                relay: false,
            };
            roles.put(&mut headers);
        }
        let keys = self
            .secure
            .then(|| Arc::new(KeyPair::generate([octet; 32])));
        let key = keys.as_ref().map(|keys| *keys.public());
        let host = self.lan.node_with(Config {
            name: Some(text(&format!("node {octet}"))),
            headers,
            beacons: Beacons::Off,
            curve: keys.map(Curve::new),
            ..Config::default()
        });
        // Its node lets everybody in: here it is the session that has to prove something.
        self.lan.host(host).guard = Guard::Listed((1..10).map(public).collect());
        (host, self.lan.id(host), key)
    }

    fn server(&mut self, mechanisms: Vec<Mechanism>) -> usize {
        let (host, id, key) = self.node(Some(Role::Server));
        let config = ServerConfig {
            id,
            key,
            mechanisms,
            relay: None,
            limits: Limits::default(),
        };
        let server = Server::new(self.lan.now, [99; 32], config);
        self.at.push(At::Server(Box::new(server)));
        host
    }

    fn bridge(&mut self, mechanisms: Vec<Mechanism>) -> usize {
        let (host, id, key) = self.node(Some(Role::Bridge));
        let config = Own {
            id,
            key,
            role: Role::Bridge,
            mechanisms,
            limits: Limits::default(),
        };
        let octet = u8::try_from(host).unwrap();
        let sessions = Sessions::new([100 + octet; 32], config);
        self.at.push(At::Bridge(Box::new(sessions), Vec::new()));
        self.connect(host, 0);
        host
    }

    fn client(&mut self) -> usize {
        let (host, ..) = self.node(None);
        self.at.push(At::Client(Vec::new()));
        self.connect(host, 0);
        host
    }

    fn connect(&mut self, from: usize, to: usize) {
        let endpoint = format!("tcp://{}", self.lan.address_of(to))
            .parse()
            .unwrap();
        let key = self.lan.host(to).key;
        self.lan.with(from, |stack, now| match key {
            Some(key) => stack.connect_with_key(now, &endpoint, key).unwrap(),
            None => stack.connect(now, &endpoint).unwrap(),
        });
    }

    fn whisper(&mut self, from: usize, to: PeerId, content: &Frames) {
        self.lan
            .with(from, |stack, now| stack.whisper(now, to, content).unwrap());
    }

    /// Lets a millisecond go by, and everybody do what follows from it.
    fn step(&mut self) {
        self.lan.run_for(ms(1));
        for host in 0..self.at.len() {
            let now = self.lan.now;
            for event in self.lan.events(host) {
                let key = match &event {
                    NodeEvent::Enter { peer } | NodeEvent::Whisper { peer, .. } => {
                        self.lan.stack(host).peer(peer.id).and_then(|peer| peer.key)
                    }
                    _ => None,
                };
                match (&mut self.at[host], event) {
                    (At::Server(server), event) => server.handle_event(now, event, key),
                    (At::Bridge(sessions, _), NodeEvent::Enter { peer }) => {
                        sessions.handle_entered(now, &peer, key);
                    }
                    (At::Bridge(sessions, known), NodeEvent::Whisper { peer, content }) => {
                        let heard = sessions.handle_whisper(now, &peer, key, content);
                        match heard {
                            Heard::V2(V2::ListEndpoints { contacts }) => *known = contacts,
                            Heard::V2(other) => self.told.push(format!("{host}: {other:?}")),
                            _ => {}
                        }
                    }
                    (At::Bridge(sessions, _), NodeEvent::Exit { peer, .. }) => {
                        sessions.handle_exited(now, peer.id);
                    }
                    (At::Client(heard), NodeEvent::Whisper { content, .. }) => {
                        heard.push(decoded(content));
                    }
                    _ => {}
                }
            }
            let mut said = Vec::<(PeerId, Frames)>::new();
            match &mut self.at[host] {
                At::Server(server) => {
                    server.handle_timeout(now);
                    while let Some(action) = server.poll_action() {
                        let Action::Whisper { peer, content } = action else {
                            panic!("{action:?}")
                        };
                        said.push((peer, content));
                    }
                    while let Some(event) = server.poll_event() {
                        self.told.push(match event {
                            ServerEvent::Enter { mechanism, .. } => {
                                format!("server: enter {mechanism}")
                            }
                            ServerEvent::Exit { .. } => "server: exit".into(),
                            ServerEvent::Refused { code, us, .. } => {
                                format!("server: refused {} {us}", code.0)
                            }
                            other => panic!("{other:?}"),
                        });
                    }
                }
                At::Bridge(sessions, _) => {
                    sessions.handle_timeout(now);
                    while let Some((peer, output)) = sessions.poll_output() {
                        match output {
                            Output::Send(message) => said.push((peer, content(message))),
                            output => self.told.push(format!("{host}: {output:?}")),
                        }
                    }
                }
                At::Client(_) => {}
            }
            for (peer, content) in said {
                self.whisper(host, peer, &content);
            }
        }
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
    }

    fn told(&mut self) -> Vec<String> {
        let mut told = std::mem::take(&mut self.told);
        told.sort();
        told
    }

    fn contacts(&self, host: usize) -> &[Contact] {
        match &self.at[host] {
            At::Bridge(_, known) => known,
            _ => panic!("host {host} is no bridge"),
        }
    }

    /// The bridges contact each other, as they were told.
    fn meet(&mut self, hosts: &[usize]) {
        for &host in hosts {
            for contact in self.contacts(host).to_vec() {
                let endpoint = contact.endpoint.to_str_lossy().parse().unwrap();
                self.lan.with(host, |stack, now| match contact.key {
                    Some(key) => {
                        let key = PublicKey::from_bytes(key);
                        stack.connect_with_key(now, &endpoint, key).unwrap();
                    }
                    None => stack.connect(now, &endpoint).unwrap(),
                });
            }
        }
    }
}

/// A server, two bridges and one that is not to be let in: all meet, and go on without the server.
fn meeting(
    secure: bool,
    mechanisms: impl Fn() -> Vec<Mechanism>,
    wrong: Vec<Mechanism>,
    refused: [&str; 2],
) {
    let mut net = Net::new(secure);
    let server = net.server(mechanisms());
    let one = net.bridge(mechanisms());
    let other = net.bridge(mechanisms());
    let name = mechanisms()[0].name();
    net.run(300);
    let proved = |host: usize| format!("{host}: Proved {{ mechanism: \"{name}\" }}");
    let enter = format!("server: enter {name}");
    assert_eq!(
        net.told(),
        [proved(one), proved(other), enter.clone(), enter]
    );

    let bad = net.bridge(wrong);
    net.run(300);
    let told = net.told();
    for line in refused {
        assert!(told.contains(&line.to_owned()), "{told:?}");
    }
    for (of, whom) in [(one, other), (other, one)] {
        let address = net.lan.address_of(whom);
        let expected = Contact {
            uuid: net.lan.id(whom),
            name: text(&format!("node {}", whom + 1)),
            endpoint: text(&format!("tcp://{address}")),
            beacon: Some(atonce::wire::once::Address {
                ip: address.ip(),
                port: 5671,
            }),
            key: net.lan.host(whom).key.map(|key| *key.as_bytes()),
        };
        assert_eq!(net.contacts(of), [expected]);
    }
    assert_eq!(net.contacts(bad), []);

    // They meet, prove the same to each other, and need the server no more.
    net.meet(&[one, other]);
    net.run(300);
    let told = net.told();
    assert!(
        told.contains(&proved(one)) && told.contains(&proved(other)),
        "{told:?}"
    );
    net.lan.with(server, Stack::stop);
    net.run(300);
    let id = net.lan.id(other);
    net.told();
    let ask = V2::GetRoster { epoch: 0, from: 0 };
    net.whisper(one, id, &content(ask.clone()));
    net.run(5);
    assert_eq!(net.told(), [format!("{other}: {ask:?}")]);
}

#[test]
fn bridges_meet_at_an_open_server() {
    // ONCE-63, ONCE-71, ONCE-73
    let open = || vec![Mechanism::Open];
    let refused = [
        "server: refused 5 true",
        "3: Refused { code: Code(5), us: false }",
    ];
    meeting(false, open, vec![secret("s")], refused);
}

#[test]
fn bridges_meet_with_a_secret() {
    // ONCE-61
    let mechanisms = || vec![secret("of all of us")];
    let refused = [
        "server: refused 4 false",
        "3: Refused { code: Code(4), us: true }",
    ];
    meeting(false, mechanisms, vec![secret("of others")], refused);
    meeting(true, mechanisms, vec![secret("of others")], refused);
}

#[test]
fn bridges_meet_with_keys() {
    // ONCE-62: the fourth key is not in the list.
    let mechanisms = || vec![listed([1, 2, 3])];
    let refused = [
        "server: refused 6 false",
        "3: Refused { code: Code(6), us: true }",
    ];
    meeting(true, mechanisms, mechanisms(), refused);
}

#[test]
fn a_plain_peer_asks_an_open_server_in_version_1() {
    // ONCE-75, ONCE-76
    for (mechanism, answered) in [(Mechanism::Open, true), (secret("s"), false)] {
        let mut net = Net::new(false);
        let server = net.server(vec![mechanism.clone()]);
        let bridge = net.bridge(vec![mechanism]);
        let client = net.client();
        net.run(300);
        let id = net.lan.id(server);
        net.whisper(client, id, &content(V1::GetEndpoints));
        net.run(10);
        let At::Client(heard) = &net.at[client] else {
            panic!()
        };
        let ip = net.lan.address_of(bridge).ip();
        let endpoints = vec![text(&format!("{ip}:5671"))];
        let expected = answered.then_some(V1::ListEndpoints { endpoints }.into());
        assert_eq!(heard.first(), expected.as_ref());
    }
}

#[test]
fn a_bridge_that_is_killed_is_taken_off() {
    // ONCE-72
    let mut net = Net::new(false);
    net.server(vec![Mechanism::Open]);
    let (one, other) = (
        net.bridge(vec![Mechanism::Open]),
        net.bridge(vec![Mechanism::Open]),
    );
    net.run(300);
    assert_eq!(net.contacts(one).len(), 1);
    net.told();
    net.at.pop();
    net.lan.kill(other);
    net.run(3_000);
    assert_eq!(net.told(), ["server: exit"]);
    assert_eq!(net.contacts(one), []);
}
