//! A node with addresses of both versions of IP: where it dials, and that a peer with several is one peer.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that is wrong may stop

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use atonce::wire::Beacon;
use atonce::wire::zre::{Command, Hello, Message};
use atonce::zre::{Action, Event, Node};
use atonce::{Config, Cut, Instant, Interface, InterfaceId, LinkId, PeerId};
use support::text;

const START: Instant = Instant::from_millis(1_000);

/// A node with an address of each kind on one interface, which has number 7, and one on another.
struct Both {
    node: Node,
    now: Instant,
    v4: InterfaceId,
    global: InterfaceId,
    local: InterfaceId,
}

impl Both {
    fn new() -> Self {
        let mut node = Node::new(START, [7; 32], Config::default());
        let [v4, local, global, _] = [
            ("eth0", "10.0.0.1", 7),
            ("eth0", "fe80::1", 7),
            ("eth0", "2001:db8::1", 7),
            ("eth1", "fe80::1", 8),
        ]
        .map(|(name, address, zone)| {
            let interface = Interface {
                name: name.into(),
                address: address.parse().unwrap(),
                port: 49_152,
                zone,
            };
            node.handle_interface_up(START, interface)
        });
        while node.poll_action().is_some() {}
        Self {
            node,
            now: START,
            v4,
            global,
            local,
        }
    }

    /// With a peer at `[fe80::9]:50000`, whose place another one takes while the link that we made to it stands: this one.
    fn with_one_who_is_killed() -> (Self, LinkId) {
        let mut both = Self::new();
        let old = PeerId::from_bytes([3; 16]);
        both.hears(old, "[fe80::9%7]:5670", 50_000);
        let [(link, _)] = both.dials()[..] else {
            panic!("it is dialled once");
        };
        both.reaches(link, &old.identity());
        let on = both.local;
        both.is_greeted(on, old, "[fe80::9%7]:40000", "tcp://[fe80::9]:50000");
        assert_eq!(both.events(), ["enter"]);
        both.now += Duration::from_secs(2);
        (both, link)
    }

    fn hears(&mut self, id: PeerId, source: &str, port: u16) {
        let beacon = Beacon {
            uuid: id,
            port,
            key: None,
        };
        let source = source.parse().unwrap();
        self.node
            .handle_datagram(self.now, source, &beacon.encode());
    }

    /// Where it dials now.
    fn dials(&mut self) -> Vec<(LinkId, SocketAddr)> {
        let actions = core::iter::from_fn(|| self.node.poll_action());
        let dials = actions.filter_map(|action| match action {
            Action::Dial { link, address } => Some((link, address)),
            _ => None,
        });
        dials.collect()
    }

    /// On which links something was said, and what; `None` for one that was closed.
    fn said(&mut self) -> Vec<(LinkId, Option<&'static str>)> {
        let actions = core::iter::from_fn(|| self.node.poll_action());
        let said = actions.filter_map(|action| match action {
            Action::Send { link, message } => Some((link, Some(message.command.name()))),
            Action::Close { link, .. } => Some((link, None)),
            _ => None,
        });
        said.collect()
    }

    /// A link that we dialled is up, and the mailbox states this identity.
    fn reaches(&mut self, link: LinkId, identity: &[u8]) {
        self.node.handle_ready(self.now, link, identity);
    }

    /// Somebody connects by this interface, and says HELLO with this endpoint.
    fn is_greeted(&mut self, on: InterfaceId, id: PeerId, remote: &str, endpoint: &str) -> LinkId {
        let remote = remote.parse().unwrap();
        let link = self.node.handle_accepted(self.now, on, remote).unwrap();
        self.node.handle_ready(self.now, link, &id.identity());
        let command = Command::Hello(Hello {
            endpoint: text(endpoint),
            name: text("peer"),
            ..Hello::default()
        });
        let message = Message {
            sequence: 1,
            command,
        };
        self.node.handle_message(self.now, link, message.encode());
        link
    }

    fn events(&mut self) -> Vec<String> {
        let events = core::iter::from_fn(|| self.node.poll_event(self.now));
        let events = events.filter_map(|event| match event {
            Event::Enter { .. } => Some("enter".to_owned()),
            Event::Exit { reason, .. } => Some(format!("exit {reason}")),
            _ => None,
        });
        events.collect()
    }
}

fn peer() -> PeerId {
    PeerId::from_bytes([9; 16])
}

fn addresses(dials: &[(LinkId, SocketAddr)]) -> Vec<String> {
    dials.iter().map(|(_, to)| to.to_string()).collect()
}

#[test]
fn a_beacon_of_a_link_is_followed_in_its_zone() {
    // ZRE-8
    let mut both = Both::new();
    both.hears(peer(), "[fe80::9%8]:5670", 50_000);
    assert_eq!(addresses(&both.dials()), ["[fe80::9%8]:50000"]);
}

#[test]
fn a_greeting_that_names_an_address_of_the_link_is_answered_in_the_zone_it_came_by() {
    // ZRE-104
    for (on, remote) in [
        // C Zyre heard our broadcast, and has its own mailbox with IPv6 alone.
        (0, "10.0.0.9:40000"),
        (1, "[2001:db8::9]:40000"),
        (2, "[fe80::9%7]:40000"),
    ] {
        let mut both = Both::new();
        let on = [both.v4, both.global, both.local]
            .into_iter()
            .nth(on)
            .unwrap();
        both.is_greeted(on, peer(), remote, "tcp://fe80::9:50000");
        assert_eq!(addresses(&both.dials()), ["[fe80::9%7]:50000"], "{remote}");
    }
}

#[test]
fn an_address_of_ipv4_in_that_of_ipv6_is_one_of_ipv4() {
    // ZRE-104, ZRE-14
    for (endpoint, dialled) in [
        ("tcp://::ffff:10.0.0.9:50000", Some("10.0.0.9:50000")),
        // The loopback means another machine, and we are nobody to dial.
        ("tcp://[::ffff:127.0.0.1]:50000", Some("10.0.0.9:50000")),
        ("tcp://[::ffff:10.0.0.1]:49152", None),
    ] {
        let mut both = Both::new();
        let on = both.v4;
        both.is_greeted(on, peer(), "10.0.0.9:40000", endpoint);
        let dialled: Vec<_> = dialled.into_iter().collect();
        assert_eq!(addresses(&both.dials()), dialled, "{endpoint}");
    }
}

#[test]
fn one_who_is_heard_over_both_is_dialled_once() {
    // ZRE-166, ZRE-13
    let mut both = Both::new();
    both.hears(peer(), "10.0.0.9:5670", 50_000);
    both.hears(peer(), "[fe80::9%7]:5670", 50_000);
    let dials = both.dials();
    assert_eq!(addresses(&dials), ["10.0.0.9:50000"]);
    both.reaches(dials[0].0, &peer().identity());
    both.hears(peer(), "[fe80::9%7]:5670", 50_000);
    // It heard us the other way, and has another port there.
    let on = both.local;
    both.is_greeted(on, peer(), "[fe80::9%7]:40000", "tcp://[fe80::9]:50001");
    assert_eq!(both.dials(), []);
    assert_eq!(both.events(), ["enter"]);
    for _ in 0..60 {
        both.now += Duration::from_millis(500);
        both.node.handle_timeout(both.now);
        both.hears(peer(), "[fe80::9%7]:5670", 50_001);
        both.hears(peer(), "10.0.0.9:5670", 50_000);
    }
    assert_eq!(both.dials(), []);
    assert_eq!(both.events(), [""; 0]);
}

#[test]
fn one_whom_we_come_upon_where_another_was_is_greeted_once() {
    // ZRE-16: it has the place of one that was killed, and its beacon over the other version of IP was followed already.
    for is_first in [true, false] {
        let (mut both, before) = Both::with_one_who_is_killed();
        let on = both.local;
        both.hears(peer(), "10.0.0.9:5670", 50_000);
        let heard = both.dials();
        assert_eq!(addresses(&heard), ["10.0.0.9:50000"]);
        both.node.handle_disconnected(both.now, before, Cut::Reset);
        let anew = both.dials();
        assert_eq!(addresses(&anew), ["[fe80::9%7]:50000"]);
        let mut order = [heard[0].0, anew[0].0];
        if !is_first {
            order.reverse();
        }
        let [first, second] = order;
        both.reaches(first, &peer().identity());
        let said = both.said();
        assert_eq!(said.last(), Some(&(first, Some("HELLO"))));
        both.reaches(second, &peer().identity());
        let said = both.said();
        assert!(said.contains(&(second, None)), "{said:?}");
        assert!(said.iter().all(|(_, what)| what.is_none()), "{said:?}");
        let exit = "exit lost: another node took its endpoint";
        assert_eq!(both.events(), [exit]);
        both.is_greeted(on, peer(), "[fe80::9%7]:40001", "tcp://[fe80::9]:50000");
        assert_eq!(both.events(), ["enter"]);
    }
}

#[test]
fn one_that_names_the_place_of_another_is_met_where_its_mailbox_proved_who_it_is() {
    // ZRE-13, ZRE-16: who was killed is still dialled at the address that the newcomer names.
    let (mut both, before) = Both::with_one_who_is_killed();
    let on = both.local;
    both.node.handle_disconnected(both.now, before, Cut::Reset);
    let anew = both.dials()[0].0;
    both.hears(peer(), "10.0.0.9:5670", 50_000);
    let heard = both.dials()[0].0;
    both.reaches(heard, &peer().identity());
    assert_eq!(both.said(), [(heard, Some("HELLO"))]);
    both.is_greeted(on, peer(), "[fe80::9%7]:40001", "tcp://[fe80::9]:50000");
    assert_eq!(both.events(), ["enter"]);
    both.reaches(anew, &peer().identity());
    let said = both.said();
    assert!(said.iter().all(|(_, what)| what.is_none()), "{said:?}");
    let exit = "exit lost: another node took its endpoint";
    assert_eq!(both.events(), [exit]);
}

#[test]
fn a_greeting_that_answers_ours_is_no_restart_whichever_address_it_names() {
    // ZRE-20, ZRE-62
    let mut both = Both::new();
    both.hears(peer(), "10.0.0.9:5670", 50_000);
    let dials = both.dials();
    both.reaches(dials[0].0, &peer().identity());
    let on = both.local;
    let (remote, endpoint) = ("[fe80::9%7]:40000", "tcp://[fe80::9]:50001");
    let link = both.is_greeted(on, peer(), remote, endpoint);
    assert_eq!(both.events(), ["enter"]);
    // Both links are cut and ours is made anew; then it greets, from the same place.
    both.now += Duration::from_secs(2);
    both.node.handle_disconnected(both.now, link, Cut::Reset);
    both.node
        .handle_disconnected(both.now, dials[0].0, Cut::Reset);
    let anew = both.dials();
    assert_eq!(addresses(&anew), ["10.0.0.9:50000"]);
    both.reaches(anew[0].0, &peer().identity());
    both.is_greeted(on, peer(), remote, endpoint);
    let events = both.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[0].starts_with("exit lost") && events[1] == "enter",
        "{events:?}"
    );
    // A restart replaces at once, from the same place as well.
    both.now += Duration::from_secs(20);
    both.is_greeted(on, peer(), "[fe80::9%7]:40001", endpoint);
    assert_eq!(both.events(), ["exit replaced", "enter"]);
}

#[test]
fn one_that_is_gone_where_we_reached_it_is_met_where_it_still_is() {
    // ZRE-167
    let mut both = Both::new();
    both.hears(peer(), "10.0.0.9:5670", 50_000);
    let dials = both.dials();
    both.reaches(dials[0].0, &peer().identity());
    let on = both.local;
    both.is_greeted(on, peer(), "[fe80::9%7]:40000", "tcp://[fe80::9]:50000");
    assert_eq!(both.events(), ["enter"]);
    // Its address of IPv4 goes away.
    let mut link = dials[0].0;
    both.now += Duration::from_millis(250);
    for tries in 0..2 {
        both.now += Duration::from_millis(50);
        both.node.handle_disconnected(both.now, link, Cut::Reset);
        both.now += Duration::from_millis(300);
        both.node.handle_timeout(both.now);
        let dials = both.dials();
        assert_eq!(addresses(&dials), ["10.0.0.9:50000"], "{tries}");
        link = dials[0].0;
    }
    both.node
        .handle_disconnected(both.now, link, Cut::Unreachable);
    let events = both.events();
    assert!(
        matches!(&events[..], [exit] if exit.starts_with("exit lost")),
        "{events:?}"
    );
    both.now += Duration::from_secs(1);
    both.hears(peer(), "[fe80::9%7]:5670", 50_000);
    assert_eq!(addresses(&both.dials()), ["[fe80::9%7]:50000"]);
}

#[test]
fn a_greeting_names_the_nearest_of_our_mailboxes() {
    // ZRE-103, ZRE-102
    for (to, local, told) in [
        (
            "tcp://10.0.0.9:1",
            "10.0.0.200:40000",
            "tcp://10.0.0.1:49152",
        ),
        // An address that is made for a day.
        (
            "tcp://[2001:db8::9]:1",
            "[2001:db8::aaaa]:40000",
            "tcp://[2001:db8::1]:49152",
        ),
        (
            "tcp://[2001:db8::9]:1",
            "[2001:db8::1]:40000",
            "tcp://[2001:db8::1]:49152",
        ),
        (
            "tcp://[fd00::9]:1",
            "[fe80::1%7]:40000",
            "tcp://fe80::1:49152",
        ),
    ] {
        let mut both = Both::new();
        both.node.connect(START, &to.parse().unwrap()).unwrap();
        let dials = both.dials();
        both.node
            .handle_connected(dials[0].0, local.parse().unwrap());
        both.reaches(dials[0].0, b"");
        let Some(Action::Send { message, .. }) = both.node.poll_action() else {
            panic!("no greeting");
        };
        let Command::Hello(hello) = message.command else {
            panic!("{message:?}");
        };
        assert_eq!(hello.endpoint, text(told), "{local}");
    }
}
