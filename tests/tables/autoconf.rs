//! The tables of autoconfiguration: a server as a client knows it, and a client that says hello.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use atonce::autoconf::hello::{self, Client, ClientAction, ClientEvent};
use atonce::autoconf::seeker::{Config, Event, Limits, Seeker, ServerId};
use atonce::wire::autoconf::{Announcement, Datagram, InstanceId, Offer};
use atonce::{Frames, Instant};
use expect_test::expect_file;

use crate::grouped;

const START: Instant = Instant::from_millis(1_000);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client that seeks one service and has room for two servers, and what it knows of one.
struct State {
    now: Instant,
    seeker: Seeker,
    server: Option<ServerId>,
}

fn said(instance: u8, ttl: u32, endpoints: &[&str]) -> Vec<u8> {
    let endpoints = endpoints.iter().map(|endpoint| address(endpoint));
    let offer = Offer::new("printing".parse().unwrap(), endpoints).unwrap();
    let announcement = Announcement {
        instance: InstanceId::from_bytes([instance; 16]),
        ttl: NonZeroU32::new(ttl).unwrap(),
        offer,
    };
    Datagram::Announcement(announcement).encode().to_vec()
}

const ENDPOINT: &str = "10.0.0.2:1";

fn its_own() -> Vec<u8> {
    said(2, 45_000, &[ENDPOINT, "[fe80::2]:1"])
}

fn goodbye() -> Vec<u8> {
    Datagram::Goodbye(InstanceId::from_bytes([2; 16]))
        .encode()
        .to_vec()
}

impl State {
    fn new() -> Self {
        let config = Config {
            services: vec!["printing".parse().unwrap()],
            limits: Limits {
                servers: 2,
                ..Limits::default()
            },
            ..Config::default()
        };
        let mut seeker = Seeker::new(START, [7; 32], config);
        assert!(seeker.poll_datagram().is_some());
        Self {
            now: START,
            seeker,
            server: None,
        }
    }

    fn hear(mut self, source: &str, datagram: &[u8]) -> Self {
        self.seeker
            .handle_datagram(self.now, address(source), datagram);
        self
    }

    fn found(self) -> Self {
        let mut state = self.hear("10.0.0.2:5674", &its_own());
        let Some(Event::Found { server }) = state.seeker.poll_event() else {
            panic!();
        };
        state.server = Some(server.id);
        state
    }

    fn pass(mut self, time: Duration) -> Self {
        let until = self.now + time;
        while let Some((at, _)) = self.seeker.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = at;
            self.seeker.handle_timeout(at);
        }
        self.now = until;
        self
    }

    /// The application and the network took all that there was.
    fn quiet(mut self) -> Self {
        while self.seeker.poll_event().is_some() {}
        while self.seeker.poll_datagram().is_some() {}
        self
    }

    fn with(mut self, act: impl FnOnce(&mut Seeker, Instant, ServerId)) -> Self {
        if let Some(server) = self.server {
            act(&mut self.seeker, self.now, server);
        }
        self
    }
}

type Made = fn() -> State;

fn states() -> Vec<(&'static str, Made)> {
    vec![
        ("unknown", || State::new().pass(ms(5_000)).quiet()),
        ("found a moment ago", || State::new().found().quiet()),
        ("found, and the application knows nothing of it", || {
            State::new().hear("10.0.0.2:5674", &its_own())
        }),
        ("established", || {
            State::new()
                .found()
                .pass(ms(10_000))
                .hear("10.0.0.2:5674", &its_own())
                .quiet()
        }),
        ("late", || State::new().found().pass(ms(35_000)).quiet()),
        ("in doubt for 50 ms: a goodbye", || {
            State::new()
                .found()
                .pass(ms(5_000))
                .hear("10.0.0.66:5674", &goodbye())
                .pass(ms(50))
                .quiet()
        }),
        ("in doubt for 500 ms: a goodbye", || {
            State::new()
                .found()
                .pass(ms(5_000))
                .hear("10.0.0.66:5674", &goodbye())
                .pass(ms(500))
                .quiet()
        }),
        ("in doubt: it did not answer", || {
            State::new()
                .found()
                .pass(ms(5_000))
                .with(Seeker::doubt)
                .pass(ms(500))
                .quiet()
        }),
        ("late and in doubt", || {
            State::new()
                .found()
                .pass(ms(35_000))
                .hear("10.0.0.66:5674", &goodbye())
                .pass(ms(500))
                .quiet()
        }),
        ("contested", || {
            State::new()
                .found()
                .hear("10.0.0.66:5674", &said(2, 45_000, &["10.0.0.66:1"]))
                .quiet()
        }),
    ]
}

type Happens = fn(State) -> State;

fn events() -> Vec<(&'static str, Happens)> {
    vec![
        ("its announcement", |state| {
            state.hear("10.0.0.2:5674", &its_own())
        }),
        ("its announcement, over IPv6 of a link", |state| {
            state.hear("[fe80::2%7]:5674", &its_own())
        }),
        ("its announcement, repeated by a stranger", |state| {
            state.hear("10.0.0.66:5674", &its_own())
        }),
        ("its instance, with another endpoint", |state| {
            state.hear("10.0.0.2:5674", &said(2, 45_000, &["10.0.0.66:7"]))
        }),
        ("its instance, with another time to live", |state| {
            state.hear("10.0.0.2:5674", &said(2, 1, &[ENDPOINT, "[fe80::2]:1"]))
        }),
        ("another instance, at its endpoint", |state| {
            state.hear("10.0.0.2:5674", &said(3, 45_000, &[ENDPOINT]))
        }),
        ("two others", |state| {
            let state = state.hear("10.0.0.3:5674", &said(3, 45_000, &["10.0.0.3:1"]));
            state.hear("10.0.0.4:5674", &said(4, 45_000, &["10.0.0.4:1"]))
        }),
        ("a goodbye in its name", |state| {
            state.hear("10.0.0.66:5674", &goodbye())
        }),
        ("a goodbye of another", |state| {
            let other = InstanceId::from_bytes([9; 16]);
            state.hear("10.0.0.66:5674", &Datagram::Goodbye(other).encode())
        }),
        ("a question", |state| {
            state.hear("10.0.0.66:5674", &Datagram::Query(None).encode())
        }),
        ("no datagram of ours", |state| {
            state.hear("10.0.0.66:5674", b"hello")
        }),
        ("100 ms pass", |state| state.pass(ms(100))),
        ("2 s pass", |state| state.pass(ms(2_000))),
        ("45 s pass", |state| state.pass(ms(45_000))),
        ("the application confirms", |state| {
            state.with(Seeker::confirm)
        }),
        ("the application doubts", |state| state.with(Seeker::doubt)),
        ("the application looks around", |mut state| {
            state.seeker.refresh(state.now);
            state
        }),
    ]
}

/// What came of it, in a line.
fn outcome(mut state: State) -> String {
    let mut all = Vec::new();
    while let Some(event) = state.seeker.poll_event() {
        let it = |id: ServerId| match state.server {
            Some(server) if server == id => "it",
            None if id.as_u64() == 0 => "it",
            _ => "another",
        };
        all.push(match event {
            Event::Found { server } => format!("found {}", it(server.id)),
            Event::Changed { server } => {
                format!("changed {}: {:?}", it(server.id), server.endpoints)
            }
            Event::Contested { server, by } => format!("contested {} by {by}", it(server.id)),
            Event::Doubted { server } => format!("doubted {}", it(server.id)),
            Event::Trusted { server } => format!("trusted {}", it(server.id)),
            Event::Lost { server, reason } => format!("lost {}: {reason}", it(server.id)),
            other => format!("{other:?}"),
        });
    }
    let asks = std::iter::from_fn(|| state.seeker.poll_datagram()).count();
    if asks > 0 {
        all.push("asks".to_owned());
    }
    let known: Vec<String> = state
        .seeker
        .servers()
        .map(|server| {
            let order = state.seeker.is_in_order(server.id);
            let order = if order { "" } else { ", not in order" };
            format!("{}{order}", server.endpoints[0])
        })
        .collect();
    let mut then = if known.is_empty() {
        "nobody".to_owned()
    } else {
        known.join("; ")
    };
    if let Some((at, timer)) = state.seeker.poll_timeout() {
        then.push_str(&format!(
            "; {timer:?} in {} ms",
            (at - state.now).as_millis()
        ));
    }
    all.push(format!("[{then}]"));
    all.join("; ")
}

#[test]
fn a_server_in_each_state_at_each_event() {
    let mut table = String::from(
        "What a client knows of a server at 10.0.0.2 that announces an endpoint of IPv4 and one of the link, for 45 s:\n\
         it seeks that service, and has room for two servers.\n",
    );
    for (name, state) in states() {
        table.push_str(&format!("\n== {name}\n\n"));
        let mut outcomes = vec![("(nothing happens)", outcome(state()))];
        for (name, event) in events() {
            outcomes.push((name, outcome(event(state()))));
        }
        table.push_str(&grouped(&outcomes));
    }
    expect_file!["../snapshots/server.txt"].assert_eq(&table);
}

// ---- hello

fn client(endpoints: &[&str]) -> Client {
    let endpoints = endpoints.iter().map(|endpoint| address(endpoint));
    let name = "alice".parse().unwrap();
    Client::new(START, &name, endpoints, hello::Config::default())
}

/// The client after so many tries were not answered.
fn after(tries: u32, endpoints: &[&str]) -> (Client, Instant) {
    let (mut client, mut now) = (client(endpoints), START);
    for _ in 0..tries {
        now = client.poll_timeout().unwrap().0;
        client.handle_timeout(now);
    }
    while client.poll_action().is_some() {}
    (client, now)
}

fn here() -> SocketAddr {
    address("10.0.0.2:1")
}

#[test]
fn a_client_in_each_state_at_each_event() {
    const BOTH: [&str; 2] = ["10.0.0.2:1", "10.0.0.3:1"];
    const ALONE: [&str; 1] = ["10.0.0.2:1"];
    type Greeting = (Client, Instant);
    type Made = fn() -> Greeting;
    type Happens = fn(&mut Client, Instant);
    let states: [(&str, Made); 8] = [
        ("asked once", || after(0, &BOTH)),
        ("asked both", || after(1, &BOTH)),
        ("reached the first", || {
            let (mut client, now) = after(0, &BOTH);
            client.handle_reached(now, here());
            (client, now)
        }),
        ("asked the only one for the last time", || after(2, &ALONE)),
        ("asked both, and the first for the last time", || {
            after(2, &BOTH)
        }),
        ("its connection was refused", || {
            let (mut client, now) = after(0, &BOTH);
            client.handle_lost(now, here());
            while client.poll_action().is_some() {}
            (client, now)
        }),
        ("welcome", || {
            let (mut client, now) = after(0, &BOTH);
            client.handle_answer(now, here(), &Frames::from("OK"));
            while client.poll_action().is_some() || client.poll_event().is_some() {}
            (client, now)
        }),
        ("given up", || {
            let (mut client, now) = after(3, &ALONE);
            while client.poll_event().is_some() {}
            (client, now)
        }),
    ];
    let events: [(&str, Happens); 7] = [
        ("OK", |client, now| {
            client.handle_answer(now, here(), &Frames::from("OK"));
        }),
        ("another answer", |client, now| {
            client.handle_answer(now, here(), &Frames::from("NO"));
        }),
        ("OK in two frames", |client, now| {
            client.handle_answer(now, here(), &Frames::from_iter(["O", "K"]));
        }),
        ("the connection is gone", |client, now| {
            client.handle_lost(now, here());
        }),
        ("100 ms pass", |client, now| {
            client.handle_timeout(now + ms(100));
        }),
        ("500 ms pass", |client, now| {
            client.handle_timeout(now + ms(500));
        }),
        ("2.5 s pass", |client, now| {
            client.handle_timeout(now + ms(2_500));
        }),
    ];
    let mut table = String::from(
        "What a client does that says hello to a server with two endpoints, 10.0.0.2 and 10.0.0.3. What happens does so at the first.\n",
    );
    for (name, state) in states {
        table.push_str(&format!("\n== {name}\n\n"));
        let mut outcomes = Vec::new();
        for (event, happens) in events {
            let (mut client, now) = state();
            happens(&mut client, now);
            let mut all = Vec::new();
            while let Some(action) = client.poll_action() {
                all.push(match action {
                    ClientAction::Ask { endpoint, .. } => format!("asks {}", endpoint.ip()),
                    ClientAction::Close { endpoint } => format!("closes {}", endpoint.ip()),
                    other => format!("{other:?}"),
                });
            }
            all.extend(client.poll_event().map(|event| match event {
                ClientEvent::Welcome { endpoint } => format!("welcome at {}", endpoint.ip()),
                ClientEvent::Answered { text, .. } => format!("answered {text:?}"),
                ClientEvent::Unanswered { tries } => format!("unanswered {tries} times"),
                other => format!("{other:?}"),
            }));
            let then = match client.poll_timeout() {
                Some((_, timer)) => format!("[{timer:?}]"),
                None => "[over]".to_owned(),
            };
            all.push(then);
            outcomes.push((event, all.join("; ")));
        }
        table.push_str(&grouped(&outcomes));
    }
    expect_file!["../snapshots/hello.txt"].assert_eq(&table);
}
