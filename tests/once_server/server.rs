//! The server, by hand.

use std::sync::Arc;

use atonce::curve::PublicKey;
use atonce::once::server::{Action, Config, Event, Server, Timer};
use atonce::once::session::{Config as Own, Heard, Output, Sessions};
use atonce::once::{Limits, Mechanism, Role, Roles};
use atonce::wire::once::{Address, Contact, Message, Ticket, V1, V2};
use atonce::zre::{Event as NodeEvent, ExitReason, SendError};
use atonce::{Frames, Instant, Peer, PeerId};

use crate::{content, decoded, id, ms, peer, peer_saying, public, secret, text};

/// A bridge was not told of anybody, not even that there is nobody.
const NEVER: [Vec<u8>; 0] = [];

/// A server, and the bridges that talk to it.
pub(crate) struct Meeting {
    pub(crate) now: Instant,
    pub(crate) server: Server,
    bridges: Vec<Bridge>,
    told: Vec<String>,
    /// What the relay was told: the tickets of who dials, and who accepts.
    pub(crate) pairs: Vec<[Ticket; 2]>,
}

struct Bridge {
    peer: Arc<Peer>,
    key: Option<PublicKey>,
    sessions: Sessions,
    /// What it was told, but for what its sessions hear.
    heard: Vec<Message>,
}

impl Meeting {
    fn new(mechanisms: Vec<Mechanism>) -> Self {
        Self::with(None, mechanisms, Limits::default())
    }

    fn with(key: Option<PublicKey>, mechanisms: Vec<Mechanism>, limits: Limits) -> Self {
        Self::of(Config {
            id: id(1),
            key,
            mechanisms,
            relay: None,
            limits,
        })
    }

    pub(crate) fn of(config: Config) -> Self {
        Self {
            now: Instant::ZERO,
            server: Server::new(Instant::ZERO, [1; 32], config),
            bridges: Vec::new(),
            told: Vec::new(),
            pairs: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        peer: Peer,
        key: Option<PublicKey>,
        mechanisms: Vec<Mechanism>,
    ) -> usize {
        let config = Own {
            id: peer.id,
            key,
            role: Role::Bridge,
            mechanisms,
            limits: Limits::default(),
        };
        let mut sessions =
            Sessions::new(*peer.id.as_bytes().repeat(2).first_chunk().unwrap(), config);
        sessions.handle_entered(
            self.now,
            &self::peer(1, Role::Server),
            key.map(|_| public(1)),
        );
        let peer = Arc::new(peer);
        self.bridges.push(Bridge {
            peer: peer.clone(),
            key,
            sessions,
            heard: Vec::new(),
        });
        self.server
            .handle_event(self.now, NodeEvent::Enter { peer }, key);
        self.talk();
        self.bridges.len() - 1
    }

    fn open(&mut self, octet: u8) -> usize {
        self.add(peer(octet, Role::Bridge), None, vec![Mechanism::Open])
    }

    pub(crate) fn says(&mut self, bridge: usize, message: impl Into<Message>) {
        let (peer, key) = (self.bridges[bridge].peer.clone(), self.bridges[bridge].key);
        let content = content(message);
        self.server
            .handle_event(self.now, NodeEvent::Whisper { peer, content }, key);
        self.talk();
    }

    pub(crate) fn exits(&mut self, bridge: usize) {
        let peer = self.bridges[bridge].peer.clone();
        let reason = ExitReason::Left;
        self.server
            .handle_event(self.now, NodeEvent::Exit { peer, reason }, None);
        self.talk();
    }

    fn talk(&mut self) {
        let server = peer(1, Role::Server);
        loop {
            while let Some(event) = self.server.poll_event() {
                self.told.push(match event {
                    Event::Enter { bridge, mechanism } => {
                        format!("enter {} {mechanism}", bridge.as_bytes()[0])
                    }
                    Event::Exit { bridge } => format!("exit {}", bridge.as_bytes()[0]),
                    Event::Refused { peer, code, us } => {
                        let who = if us { "us " } else { "" };
                        format!("refused {who}{} {}", peer.as_bytes()[0], code.0)
                    }
                    Event::Led { dialler, acceptor } => {
                        let [dialler, acceptor] = [dialler, acceptor].map(|it| it.as_bytes()[0]);
                        format!("led {dialler} {acceptor}")
                    }
                    other => panic!("{other:?}"),
                });
            }
            let mut quiet = true;
            while let Some(action) = self.server.poll_action() {
                let (peer, content) = match action {
                    Action::Whisper { peer, content } => (peer, content),
                    Action::Pair { dialler, acceptor } => {
                        self.pairs.push([dialler, acceptor]);
                        continue;
                    }
                    other => panic!("{other:?}"),
                };
                quiet = false;
                let bridge = self.bridges.iter_mut().find(|it| it.peer.id == peer);
                let bridge = bridge.unwrap();
                let message = decoded(content.clone());
                let of_sessions = message.version() == 2 && (0x10..=0x14).contains(&message.id());
                if of_sessions {
                    let heard = bridge
                        .sessions
                        .handle_whisper(self.now, &server, None, content);
                    if heard != Heard::Nothing {
                        bridge.heard.push(message);
                    }
                } else {
                    bridge.heard.push(message);
                }
            }
            for bridge in 0..self.bridges.len() {
                let it = &mut self.bridges[bridge];
                let (peer, key) = (it.peer.clone(), it.key);
                let mut said = Vec::new();
                while let Some((_, output)) = it.sessions.poll_output() {
                    if let Output::Send(message) = output {
                        said.push(message);
                    }
                }
                for message in said {
                    quiet = false;
                    let (peer, content) = (peer.clone(), content(message));
                    self.server
                        .handle_event(self.now, NodeEvent::Whisper { peer, content }, key);
                }
            }
            if quiet {
                return;
            }
        }
    }

    pub(crate) fn run_for(&mut self, duration: std::time::Duration) {
        let end = self.now + duration;
        while let Some((at, _)) = self.server.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.talk();
        }
        self.now = end;
    }

    pub(crate) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// What a bridge was told since the last time, but for who is there.
    pub(crate) fn heard(&mut self, bridge: usize) -> Vec<V2> {
        let heard = std::mem::take(&mut self.bridges[bridge].heard);
        let heard = heard.into_iter().map(|message| match message {
            Message::V2(message) => message,
            other => panic!("{other:?}"),
        });
        heard
            .filter(|message| !matches!(message, V2::ListEndpoints { .. }))
            .collect()
    }

    /// Whom a bridge was told of since the last time, for each time that it was.
    fn lists(&mut self, bridge: usize) -> Vec<Vec<u8>> {
        let heard = std::mem::take(&mut self.bridges[bridge].heard);
        heard
            .into_iter()
            .map(|message| match message {
                Message::V2(V2::ListEndpoints { contacts }) => {
                    contacts.iter().map(|it| it.uuid.as_bytes()[0]).collect()
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

#[test]
fn bridges_are_told_of_each_other() {
    // ONCE-71, ONCE-72
    let mut meeting = Meeting::new(vec![Mechanism::Open]);
    let two = meeting.open(2);
    assert_eq!(meeting.told(), ["enter 2 OPEN"]);
    assert_eq!(
        meeting.server.poll_timeout(),
        Some((Instant::from_millis(100), Timer::Contacts))
    );
    meeting.run_for(ms(99));
    assert_eq!(meeting.lists(two), NEVER);
    meeting.run_for(ms(1));
    // It is told that there is nobody.
    assert_eq!(meeting.lists(two), [vec![]]);
    // What happens together is told once.
    let four = meeting.open(4);
    meeting.run_for(ms(50));
    let three = meeting.open(3);
    meeting.run_for(ms(50));
    assert_eq!(meeting.lists(two), [[3, 4]]);
    assert_eq!(meeting.lists(three), [[2, 4]]);
    assert_eq!(meeting.lists(four), [[2, 3]]);
    // Nothing is repeated while nothing changes.
    meeting.run_for(ms(600_000));
    assert_eq!(meeting.lists(two), NEVER);
    meeting.told();
    meeting.exits(two);
    assert_eq!(meeting.told(), ["exit 2"]);
    meeting.run_for(ms(100));
    assert_eq!(meeting.lists(three), [[4]]);
    assert_eq!(meeting.lists(four), [[3]]);
    assert_eq!(meeting.lists(two), NEVER);
    assert!(
        meeting
            .server
            .bridges()
            .map(|(id, _)| id)
            .eq([id(3), id(4)])
    );
}

#[test]
fn who_has_not_proved_anything_is_nobodys_contact() {
    // ONCE-71, ONCE-53
    let mut meeting = Meeting::new(vec![secret("s")]);
    let two = meeting.add(peer(2, Role::Bridge), None, vec![secret("s")]);
    let bad = meeting.add(peer(3, Role::Bridge), None, vec![secret("S")]);
    let open = meeting.add(peer(4, Role::Bridge), None, vec![Mechanism::Open]);
    let server = meeting.add(peer(5, Role::Server), None, vec![secret("s")]);
    let client = meeting.add(peer_saying(6, None), None, vec![secret("s")]);
    assert_eq!(
        meeting.told(),
        ["enter 2 SECRET", "refused 3 4", "refused us 4 5"]
    );
    for asker in [bad, open, server, client] {
        meeting.says(asker, V2::GetEndpoints);
        let refused = std::mem::take(&mut meeting.bridges[asker].heard);
        assert_eq!(refused, []);
    }
    assert_eq!(
        meeting.told(),
        ["refused 3 3", "refused 4 3", "refused 5 3", "refused 6 3"]
    );
    meeting.run_for(ms(100));
    assert_eq!(meeting.lists(two), [vec![]]);
    for asker in [bad, open, server, client] {
        assert_eq!(meeting.bridges[asker].heard, []);
    }
    assert!(meeting.server.bridges().eq([(id(2), None)]));
}

#[test]
fn a_contact_is_what_hello_and_the_link_say() {
    // ONCE-73
    let mechanisms = || vec![secret("s")];
    let mut meeting = Meeting::with(Some(public(1)), mechanisms(), Limits::default());
    let asker = meeting.add(peer(9, Role::Bridge), Some(public(9)), mechanisms());
    let mut bridge = |octet, header, endpoint: &str, key: u8| {
        let mut peer = peer_saying(octet, Some(header));
        peer.endpoint = text(endpoint);
        meeting.add(peer, Some(public(key)), mechanisms());
    };
    bridge(2, "bridge beacon=5671", "tcp://192.0.2.7:49152", 22);
    bridge(3, "bridge beacon=9", "tcp://2001:db8::7:49152", 23);
    bridge(4, "bridge beacon=9", "tcp://office.example.org:49152", 24);
    bridge(5, "bridge", "tcp://192.0.2.8:49152", 25);
    bridge(6, "bridge beacon=9", "ipc://nowhere", 26);
    meeting.run_for(ms(100));
    let v4: Address = Address {
        ip: [192, 0, 2, 7].into(),
        port: 5671,
    };
    let v6 = Address {
        ip: "2001:db8::7".parse().unwrap(),
        port: 9,
    };
    let contact = |octet: u8, endpoint: &str, beacon, key| Contact {
        uuid: id(octet),
        name: text(&format!("peer {octet}")),
        endpoint: text(endpoint),
        beacon,
        key: Some(*public(key).as_bytes()),
    };
    let contacts = vec![
        contact(2, "tcp://192.0.2.7:49152", Some(v4), 22),
        contact(3, "tcp://2001:db8::7:49152", Some(v6), 23),
        contact(4, "tcp://office.example.org:49152", None, 24),
        contact(5, "tcp://192.0.2.8:49152", None, 25),
        contact(6, "ipc://nowhere", None, 26),
    ];
    assert_eq!(
        meeting.bridges[asker].heard,
        [V2::ListEndpoints { contacts }.into()]
    );
    let addresses = meeting
        .server
        .bridges()
        .map(|(_, address)| address.map(|it| it.port()));
    assert!(addresses.eq([Some(5671), Some(9), None, None, None, None]));
}

#[test]
fn endpoints_are_told_to_who_asks() {
    // ONCE-74
    let mut meeting = Meeting::new(vec![Mechanism::Open]);
    let (two, _) = (meeting.open(2), meeting.open(3));
    meeting.run_for(ms(100));
    meeting.lists(two);
    meeting.says(two, V2::GetEndpoints);
    assert_eq!(meeting.lists(two), [[3]]);
    // The answer is what would have been told.
    meeting.open(4);
    meeting.says(two, V2::GetEndpoints);
    assert_eq!(meeting.lists(two), [[3, 4]]);
    meeting.run_for(ms(100));
    assert_eq!(meeting.lists(two), NEVER);
    // Who asks too often waits, and is told.
    for _ in 0..100 {
        meeting.says(two, V2::GetEndpoints);
    }
    assert_eq!(meeting.lists(two), vec![[3, 4]; 8]);
    meeting.run_for(ms(999));
    assert_eq!(meeting.lists(two), NEVER);
    meeting.run_for(ms(1));
    assert_eq!(meeting.lists(two), [[3, 4]]);
    let told = meeting.told();
    assert!(told.iter().all(|it| it.starts_with("enter")), "{told:?}");
}

#[test]
fn a_full_queue_is_tried_again() {
    // ONCE-72
    let mut meeting = Meeting::new(vec![Mechanism::Open]);
    let two = meeting.open(2);
    meeting.run_for(ms(100));
    let list = meeting.bridges[two].heard[0].encode();
    assert_eq!(meeting.lists(two), [vec![]]);
    let now = meeting.now;
    for error in [SendError::UnknownPeer, SendError::Stopped] {
        meeting
            .server
            .handle_unsent(now, id(2), list.clone(), error);
    }
    meeting.run_for(ms(5_000));
    assert_eq!(meeting.lists(two), NEVER);
    let now = meeting.now;
    meeting
        .server
        .handle_unsent(now, id(2), list.clone(), SendError::Full);
    meeting.run_for(ms(999));
    assert_eq!(meeting.lists(two), NEVER);
    meeting.run_for(ms(1));
    assert_eq!(meeting.lists(two), [vec![]]);
    // Nothing is owed to who is gone.
    meeting.exits(two);
    meeting.run_for(ms(100));
    let now = meeting.now;
    meeting
        .server
        .handle_unsent(now, id(2), list, SendError::Full);
    assert_eq!(meeting.server.poll_timeout(), None);
}

#[test]
fn an_ok_that_was_not_sent_takes_the_bridge_off_again() {
    // ONCE-71
    let mut meeting = Meeting::new(vec![Mechanism::Open]);
    let two = meeting.open(2);
    assert_eq!(meeting.told(), ["enter 2 OPEN"]);
    let proof = crate::ZEROS;
    let ok = content(V2::Ok { proof, seconds: 1 });
    meeting
        .server
        .handle_unsent(meeting.now, id(2), ok, SendError::Full);
    meeting.talk();
    assert_eq!(meeting.told(), ["exit 2"]);
    meeting.run_for(ms(2_000));
    assert_eq!(meeting.told(), ["enter 2 OPEN"]);
    assert_eq!(meeting.lists(two).last().unwrap(), &[]);
}

#[test]
fn it_passes_nothing_on() {
    // ONCE-70
    let mut meeting = Meeting::new(vec![Mechanism::Open]);
    let (two, three) = (meeting.open(2), meeting.open(3));
    meeting.run_for(ms(100));
    meeting.told();
    meeting.lists(three);
    meeting.says(two, V2::GetRoster { epoch: 0, from: 0 });
    let whisper = atonce::wire::once::RemoteWhisper {
        epoch: 1,
        number: 1,
        from: id(8),
        to: id(3),
        content: Frames::from("psst"),
    };
    meeting.says(two, V2::RemoteWhisper(whisper));
    meeting.says(two, V2::ListEndpoints { contacts: vec![] });
    assert_eq!(meeting.told(), ["refused 2 8"; 3]);
    assert_eq!(meeting.bridges[three].heard, []);
    // All else that a node tells is ignored.
    let peer = meeting.bridges[two].peer.clone();
    for event in [
        NodeEvent::Join {
            peer: peer.clone(),
            group: text("CHAT"),
        },
        NodeEvent::Shout {
            peer: peer.clone(),
            group: text("CHAT"),
            content: content(V2::GetEndpoints),
        },
        NodeEvent::Evasive { peer: peer.clone() },
        NodeEvent::Whisper {
            peer,
            content: Frames::from("hello"),
        },
        NodeEvent::Stopped,
    ] {
        meeting.server.handle_event(meeting.now, event, None);
        assert_eq!(meeting.server.poll_action(), None);
        assert_eq!(meeting.server.poll_event(), None);
    }
}

#[test]
fn an_open_server_answers_version_1() {
    // ONCE-75, ONCE-76
    let mut meeting = Meeting::new(vec![secret("s"), Mechanism::Open]);
    let client = meeting.add(peer_saying(77, None), None, vec![]);
    let addresses = |meeting: &mut Meeting, of: usize| {
        meeting.says(of, V1::GetEndpoints);
        match &std::mem::take(&mut meeting.bridges[of].heard)[..] {
            [Message::V1(V1::ListEndpoints { endpoints })] => endpoints
                .iter()
                .map(|it| it.to_str_lossy().into_owned())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(addresses(&mut meeting, client), [""; 0]);
    let mut bridge = |octet, header, endpoint: &str| {
        let mut peer = peer_saying(octet, Some(header));
        peer.endpoint = text(endpoint);
        meeting.add(peer, None, vec![Mechanism::Open])
    };
    let two = bridge(2, "bridge beacon=5671", "tcp://192.0.2.7:49152");
    bridge(3, "bridge beacon=5671", "tcp://2001:db8::7:49152");
    bridge(4, "bridge beacon=5671", "tcp://office.example.org:49152");
    bridge(5, "bridge", "tcp://2001:db8::7:49152");
    bridge(6, "bridge", "ipc://nowhere");
    let all = [
        "192.0.2.7:5671",
        "[2001:db8::7]:5671",
        "office.example.org:49152",
        "[2001:db8::7]:49152",
    ];
    meeting.run_for(ms(100));
    meeting.lists(two);
    assert_eq!(addresses(&mut meeting, client), all);
    assert_eq!(addresses(&mut meeting, two), all[1..]);
    // LIST-ENDPOINTS is nothing to it.
    meeting.says(client, V1::ListEndpoints { endpoints: vec![] });
    assert_eq!(meeting.bridges[client].heard, []);
    // Nor is it answered without end.
    for _ in 0..100 {
        meeting.says(client, V1::GetEndpoints);
    }
    assert_eq!(meeting.bridges[client].heard.len(), 8);
}

#[test]
fn a_server_that_is_not_open_says_nothing_in_version_1() {
    // ONCE-75
    let mut meeting = Meeting::new(vec![secret("s")]);
    let client = meeting.add(peer_saying(77, None), None, vec![]);
    for _ in 0..100 {
        meeting.says(client, V1::GetEndpoints);
    }
    assert_eq!(meeting.bridges[client].heard, []);
    assert_eq!(meeting.told(), ["refused 77 3"; 10]);
}

#[test]
fn it_says_goodbye_to_those_that_proved_it() {
    // ONCE-77
    let mut meeting = Meeting::new(vec![secret("s")]);
    for (octet, mechanism) in [(2, secret("s")), (3, secret("S")), (4, secret("s"))] {
        meeting.add(peer(octet, Role::Bridge), None, vec![mechanism]);
    }
    meeting.server.stop(meeting.now);
    let mut to = Vec::<PeerId>::new();
    while let Some(Action::Whisper { peer, content }) = meeting.server.poll_action() {
        assert_eq!(decoded(content.clone()).name(), "STOP");
        let bridge = meeting.bridges.iter_mut().find(|it| it.peer.id == peer);
        let sessions = &mut bridge.unwrap().sessions;
        let server = self::peer(1, Role::Server);
        while sessions.poll_output().is_some() {}
        sessions.handle_whisper(meeting.now, &server, None, content);
        let over = Output::Over { stopped: true };
        assert_eq!(sessions.poll_output(), Some((server.id, over)));
        to.push(peer);
    }
    assert_eq!(to, [id(2), id(4)]);
    assert_eq!(meeting.server.poll_timeout(), None);
    // It hears nothing more.
    meeting.says(0, V2::GetEndpoints);
    meeting.says(0, V1::GetEndpoints);
    meeting.open(9);
    meeting.told();
    assert_eq!(meeting.server.poll_action(), None);
    assert_eq!(meeting.server.bridges().count(), 0);
}

#[test]
fn a_bridge_that_enters_again_was_gone() {
    // ONCE-71
    let mut meeting = Meeting::new(vec![Mechanism::Open]);
    meeting.open(2);
    let (peer, key) = (meeting.bridges[0].peer.clone(), None);
    let server = self::peer(1, Role::Server);
    meeting.bridges[0]
        .sessions
        .handle_entered(meeting.now, &server, None);
    meeting
        .server
        .handle_event(meeting.now, NodeEvent::Enter { peer }, key);
    meeting.talk();
    assert_eq!(meeting.told(), ["enter 2 OPEN", "exit 2", "enter 2 OPEN"]);
}

#[test]
fn roles_of_a_relay_are_no_roles_of_a_bridge() {
    // ONCE-51: what a server's header says of a relay is nothing to a server.
    let mut peer = peer_saying(2, None);
    let roles = Roles {
        role: Role::Server,
        beacon: Some(5671),
        relay: true,
    };
    roles.put(&mut peer.headers);
    let mut meeting = Meeting::new(vec![Mechanism::Open]);
    meeting.add(peer, None, vec![Mechanism::Open]);
    assert_eq!(
        (meeting.told(), meeting.server.bridges().count()),
        (vec![], 0)
    );
}
