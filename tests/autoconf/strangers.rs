//! What strangers on the link can do to a client, and what they cannot.

use std::sync::Arc;
use std::time::Duration;

use atonce::Instant;
use atonce::autoconf::announcer::{self, Announcer};
use atonce::autoconf::seeker::{Config, Event, Seeker, Server};
use atonce::wire::autoconf::Datagram;

use crate::seeker::{events, hear, run, told, with_one};
use crate::{ENDPOINT, SERVER, START, STRANGER, address, after, announced, goodbye, offer};

#[test]
fn nothing_of_a_server_is_changed_by_who_speaks_under_its_instance() {
    // AUTO-36
    let text = |text: &str| text.try_into().unwrap();
    let elsewhere = offer(&["192.168.1.66:50053"]);
    let keyed = offer(&[ENDPOINT]).with_key([66; 32]).unwrap();
    let more = offer(&[ENDPOINT])
        .with_property(text("a"), text("b"))
        .unwrap();
    let both = offer(&["192.168.1.66:50053", ENDPOINT]);
    for (ttl, lie) in [
        (45_000, elsewhere),
        (45_000, keyed),
        (45_000, more),
        (45_000, both),
        (1, offer(&[ENDPOINT])),
        (u32::MAX, offer(&[ENDPOINT])),
    ] {
        // From its own address and from another one: a source can be forged.
        for source in [STRANGER, SERVER] {
            let (mut seeker, id) = with_one();
            let before = Arc::clone(seeker.server(id).unwrap());
            let due = seeker.poll_timeout();
            seeker.handle_datagram(after(10), address(source), &announced(1, ttl, lie.clone()));
            assert_eq!(seeker.server(id), Some(&before));
            let events = events(&mut seeker);
            let [
                Event::Contested { server, by },
                Event::Found { server: other },
            ] = &events[..]
            else {
                panic!("{events:?}");
            };
            assert_eq!((server, *by), (&before, address(source)));
            assert!(other.id != id && other.offer == lie);
            // It comes second.
            assert_eq!(seeker.servers().next(), Some(&before));
            assert!(seeker.is_in_order(id), "{lie:?}");
            if ttl == 45_000 {
                assert_eq!(seeker.poll_timeout(), due);
            }
            run(&mut seeker, after(44_999));
            assert!(seeker.server(id).is_some());
        }
    }
}

#[test]
fn who_is_first_under_an_instance_keeps_the_right_one_not_out() {
    // AUTO-36
    let mut seeker = crate::seeker::seeking(&["printing"]);
    let lie = announced(1, 45_000, offer(&["192.168.1.66:50053"]));
    seeker.handle_datagram(START, address(STRANGER), &lie);
    hear(
        &mut seeker,
        after(1),
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    let told = told(&mut seeker);
    assert_eq!(told, ["found", "contested by 192.168.1.2", "found"]);
    assert_eq!(seeker.servers().count(), 2);
}

/// A client and a server on one link, where nothing is lost and a stranger says what he likes.
struct Link {
    now: Instant,
    server: Announcer,
    client: Seeker,
    heard: Vec<Event>,
}

impl Link {
    fn new() -> Self {
        let config = announcer::Config::default();
        Self {
            now: START,
            server: Announcer::new(START, [1; 32], offer(&[ENDPOINT]), config),
            client: crate::seeker::seeking(&["printing"]),
            heard: Vec::new(),
        }
    }

    fn carry(&mut self) {
        while let Some(datagram) = self.client.poll_datagram() {
            self.server
                .handle_datagram(self.now, address("192.168.1.7:5674"), &datagram);
        }
        while let Some(datagram) = self.server.poll_datagram() {
            self.client
                .handle_datagram(self.now, address(SERVER), &datagram);
        }
        self.heard.extend(events(&mut self.client));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.carry();
        loop {
            let due = [
                self.server.poll_timeout().map(|(at, _)| at),
                self.client.poll_timeout().map(|(at, _)| at),
            ];
            let Some(at) = due.into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            self.now = at.max(self.now);
            self.server.handle_timeout(self.now);
            self.client.handle_timeout(self.now);
            self.carry();
        }
        self.now = until;
    }

    fn lies(&mut self, datagram: &[u8]) {
        self.client
            .handle_datagram(self.now, address(STRANGER), datagram);
        self.server
            .handle_datagram(self.now, address(STRANGER), datagram);
    }

    fn first(&self) -> Arc<Server> {
        Arc::clone(self.client.servers().next().unwrap())
    }
}

#[test]
fn a_server_that_is_there_is_not_lost_by_forged_goodbyes() {
    // AUTO-34
    let mut link = Link::new();
    link.pass(Duration::from_secs(1));
    let server = link.first();
    let leaves = Datagram::Goodbye(server.instance).encode();
    for n in 0..3_000_u64 {
        link.lies(&leaves);
        link.pass(Duration::from_millis(n % 37));
    }
    assert_eq!(link.first().id, server.id);
    let lost = link.heard.iter();
    assert!(
        !lost
            .clone()
            .any(|event| matches!(event, Event::Lost { .. }))
    );
    assert!(
        lost.clone()
            .any(|event| matches!(event, Event::Doubted { .. }))
    );
    // It costs two questions a second, and two answers.
    let seconds = (link.now - START).as_secs() + 1;
    assert!(link.client.counters().queries <= 2 * seconds + 2);
    assert!(link.server.counters().announcements <= 2 * seconds + 2);
}

#[test]
fn a_server_that_is_there_is_not_lost_by_claims_on_its_endpoint() {
    // AUTO-35
    let mut link = Link::new();
    link.pass(Duration::from_secs(1));
    let server = link.first();
    for n in 0..200 {
        link.lies(&announced(n, 45_000, offer(&[ENDPOINT])));
        link.pass(Duration::from_millis(700));
    }
    assert!(link.client.server(server.id).is_some());
    let of_it =
        |event: &&Event| matches!(event, Event::Lost { server: lost, .. } if lost.id == server.id);
    assert_eq!(link.heard.iter().find(of_it), None);
}

#[test]
fn a_flood_of_servers_takes_nobodys_place_who_is_established() {
    // AUTO-37
    let mut link = Link::new();
    link.pass(Duration::from_secs(20));
    let server = link.first();
    for n in 0..20_000_u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let endpoint = format!("10.{a}.{b}.{c}:1");
        let datagram = announced_by(n, &endpoint);
        // Each from an address of its own, which is the worst.
        link.client
            .handle_datagram(link.now, address(&endpoint), &datagram);
        if n % 100 == 0 {
            link.pass(Duration::from_millis(50));
        }
    }
    assert_eq!(link.client.server(server.id), Some(&server));
    assert_eq!(link.client.servers().count(), 256);
    assert_eq!(link.first().id, server.id);
    // From one address it is 32.
    let mut link = Link::new();
    link.pass(Duration::from_secs(20));
    for n in 0..1_000_u32 {
        let datagram = announced_by(n, "192.168.1.66:1");
        link.lies(&datagram);
    }
    assert_eq!(link.client.servers().count(), 33);
}

fn announced_by(n: u32, endpoint: &str) -> Vec<u8> {
    let mut datagram = announced(9, 45_000, offer(&[endpoint]));
    datagram[4..8].copy_from_slice(&n.to_be_bytes());
    datagram
}

#[test]
fn a_new_server_is_found_in_the_middle_of_a_flood() {
    // AUTO-37, AUTO-40
    let mut client = crate::seeker::seeking(&["printing"]);
    let flood = |client: &mut Seeker, from: u32| {
        for n in from..from + 1_000 {
            let [_, a, b, c] = n.to_be_bytes();
            let endpoint = format!("10.{a}.{b}.{c}:1");
            client.handle_datagram(START, address(&endpoint), &announced_by(n, &endpoint));
        }
    };
    flood(&mut client, 0);
    let found = events(&mut client).len();
    assert_eq!(
        found, 256,
        "whoever was displaced before it was told is not told"
    );
    hear(
        &mut client,
        START,
        &announced(200, 45_000, offer(&[ENDPOINT])),
    );
    let events = events(&mut client);
    let found = |event: &&Event| matches!(event, Event::Found { server } if server.endpoints == [address(ENDPOINT)]);
    let Some(Event::Found { server }) = events.iter().find(found) else {
        panic!("{events:?}");
    };
    // It answers, and stays.
    client.confirm(START, server.id);
    flood(&mut client, 1_000);
    assert_eq!(client.server(server.id), Some(server));
}

#[test]
fn with_a_pinned_key_only_those_who_announce_it_are_known() {
    // AUTO-30
    let config = Config {
        services: vec!["printing".parse().unwrap()],
        keys: Some([[9; 32]].into()),
        ..Config::default()
    };
    let mut seeker = Seeker::new(START, [7; 32], config);
    let right = offer(&[ENDPOINT]).with_key([9; 32]).unwrap();
    hear(&mut seeker, START, &announced(1, 45_000, right));
    let other = offer(&[ENDPOINT]).with_key([66; 32]).unwrap();
    for (instance, lie) in [(1, other.clone()), (2, other), (1, offer(&[ENDPOINT]))] {
        seeker.handle_datagram(
            after(1),
            address(STRANGER),
            &announced(instance, 45_000, lie),
        );
    }
    assert_eq!(told(&mut seeker), ["found"]);
    assert_eq!(seeker.counters().untrusted, 3);
    // A copy of the key is one more entry, behind the right one: that it has the key is for CURVE to show.
    let copied = offer(&["192.168.1.66:50053"]).with_key([9; 32]).unwrap();
    seeker.handle_datagram(after(2), address(STRANGER), &announced(3, 45_000, copied));
    let endpoints: Vec<_> = seeker.servers().map(|server| server.endpoints[0]).collect();
    assert_eq!(
        endpoints,
        [address(ENDPOINT), address("192.168.1.66:50053")]
    );
    hear(&mut seeker, after(3), &goodbye(66));
    assert_eq!(seeker.servers().count(), 2);
}
