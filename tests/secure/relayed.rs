//! Links over a relay, between nodes that cannot dial each other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use atonce::wire::once::{RelayRole, Ticket};
use atonce::wire::zre::Command;
use atonce::zre::ConnectError;
use atonce::{Config, Frames, PeerId};

use crate::support::{Guard, Lan, frames, names, text};
use crate::{NOTHING, listed, ms, public, secure};

const PUBLIC: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
];
const RELAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5673);
const ROLES: [RelayRole; 2] = [RelayRole::Dial, RelayRole::Accept];

fn config(name: &str, octet: u8) -> Config {
    Config {
        duplex: true,
        ..secure(name, octet)
    }
}

/// A relay, and two nodes that have the same address, each behind a translation of its own.
struct Homes {
    lan: Lan,
    relay: usize,
    /// Who dials, and who accepts.
    nodes: [usize; 2],
    ids: [PeerId; 2],
    /// How many pairs the relay was told of.
    pairs: u8,
}

impl Homes {
    fn new(address: &str) -> Self {
        let mut lan = Lan::new();
        let relay = lan.relay_at(RELAY);
        let address = address.parse().unwrap();
        let nodes = [("alice", 1), ("bob", 2)].map(|(name, octet)| {
            let public = PUBLIC[usize::from(octet - 1)];
            let node = lan.node_behind(config(name, octet), address, public);
            lan.host(node).guard = listed();
            node
        });
        let ids = nodes.map(|node| lan.id(node));
        lan.run_for(ms(100));
        let mut homes = Self {
            lan,
            relay,
            nodes,
            ids,
            pairs: 0,
        };
        homes.hear([&[], &[]]);
        homes
    }

    fn tickets(&mut self) -> [Ticket; 2] {
        self.pairs += 1;
        let tickets = [0, 1].map(|end| Ticket::from_bytes([2 * self.pairs + end; 32]));
        let now = self.lan.now;
        assert!(
            self.lan
                .relay(self.relay)
                .expect(now, tickets[0], tickets[1])
        );
        tickets
    }

    /// One end of a pair; it expects the other to have this key.
    fn comes(&mut self, end: usize, ticket: Ticket, key: u8) {
        let peer = self.ids[1 - end];
        self.lan.with(self.nodes[end], |stack, now| {
            let begun = stack.dial_relayed(now, peer, public(key), RELAY, ticket, ROLES[end]);
            assert_eq!(begun, Ok(()));
        });
    }

    fn meet(&mut self) {
        let tickets = self.tickets();
        self.comes(0, tickets[0], 2);
        self.comes(1, tickets[1], 1);
        self.lan.run_for(ms(100));
        self.hear([&["enter bob"], &["enter alice"]]);
    }

    #[track_caller]
    fn hear(&mut self, told: [&[&str]; 2]) {
        for (node, told) in self.nodes.into_iter().zip(told) {
            assert_eq!(names(&self.lan.events(node)), told);
        }
    }

    /// Nobody came together, and nothing is left of it.
    #[track_caller]
    fn nothing(&mut self) {
        self.hear([&NOTHING, &NOTHING]);
        for node in self.nodes {
            let usage = self.lan.stack(node).usage();
            assert_eq!((usage.links, usage.peers), (0, 0));
        }
        assert_eq!(self.lan.relay(self.relay).links(), 0);
    }
}

#[test]
fn two_who_cannot_be_dialled_meet_over_a_relay() {
    // ONCE-122, ONCE-128, ONCE-129
    for address in ["192.168.1.7:49152", "127.0.0.1:49152"] {
        for first in [0, 1] {
            let mut homes = Homes::new(address);
            homes.lan.tapped = Some(Vec::new());
            let tickets = homes.tickets();
            homes.comes(first, tickets[first], 2 - u8::try_from(first).unwrap());
            // The other may come later.
            homes.lan.run_for(ms(5_000));
            homes.hear([&NOTHING, &NOTHING]);
            let second = 1 - first;
            homes.comes(second, tickets[second], 2 - u8::try_from(second).unwrap());
            homes.lan.run_for(ms(100));
            homes.hear([&["enter bob"], &["enter alice"]]);
            let [alice, bob] = homes.nodes;
            homes.lan.still_talk(alice, bob);
            homes
                .lan
                .with(alice, |stack, now| stack.join(now, &text("KITCHEN")));
            homes.lan.run_for(ms(200_000));
            homes.hear([&NOTHING, &["join alice KITCHEN"]]);
            homes.lan.still_talk(alice, bob);
            // One connection each, and to nobody but the relay.
            for node in homes.nodes {
                assert_eq!((homes.lan.dials(node), homes.lan.open_links(node)), (1, 1));
            }
            let passed = homes.lan.relay(homes.relay).pairs().next().unwrap();
            assert!(passed.from_dialler > 0 && passed.from_acceptor > 0);
            // And that sees nothing of it.
            let seen = homes.lan.tapped.take().unwrap();
            let ids = homes.ids.map(|id| *id.as_bytes());
            let secrets = [
                &b"alice"[..],
                b"bob",
                b"KITCHEN",
                b"still?",
                &ids[0],
                &ids[1],
            ];
            for secret in secrets {
                assert!(!seen.windows(secret.len()).any(|part| part == secret));
            }
        }
    }
}

#[test]
fn it_is_told_from_where_a_peer_speaks() {
    // ONCE-129
    let (mut lan, alice, bob) = crate::two();
    for (host, other) in [(alice, bob), (bob, alice)] {
        let address = lan.address_of(other).ip();
        let remote = lan.stack(host).peers().next().unwrap().remote;
        assert_eq!(remote.ip(), address);
    }
    let mut homes = Homes::new("192.168.1.7:49152");
    homes.meet();
    for node in homes.nodes {
        let remote = homes.lan.stack(node).peers().next().unwrap().remote;
        assert!(remote.to_string().starts_with("[fd61:746f:6e63:6500:"));
    }
}

#[test]
fn large_messages_pass_both_ways() {
    // ONCE-123
    let mut homes = Homes::new("192.168.1.7:49152");
    homes.meet();
    let content = Frames::from(vec![7; 3 << 20]);
    for end in [0, 1] {
        let (from, to) = (homes.nodes[end], homes.ids[1 - end]);
        homes.lan.with(from, |stack, now| {
            stack.whisper(now, to, &content).unwrap();
            stack.whisper(now, to, &frames("end")).unwrap();
        });
    }
    homes.lan.run_for(ms(2_000));
    for (node, name) in [(homes.nodes[0], "bob"), (homes.nodes[1], "alice")] {
        let heard = homes.lan.events(node);
        assert_eq!(heard.len(), 2);
        assert!(
            matches!(&heard[0], atonce::Event::Whisper { content: heard, .. } if *heard == content)
        );
        assert_eq!(names(&heard[1..]), [format!("whisper {name} [b\"end\"]")]);
    }
}

#[test]
fn whoever_has_another_key_is_not_met() {
    // ONCE-128
    // What the one who dials expects, and what the other: somebody else's key, though each trusts that as well.
    for keys in [[66, 1], [2, 66], [66, 66]] {
        let mut homes = Homes::new("192.168.1.7:49152");
        homes.lan.host(homes.nodes[1]).guard = Guard::Away;
        let tickets = homes.tickets();
        homes.comes(0, tickets[0], keys[0]);
        homes.comes(1, tickets[1], keys[1]);
        homes.lan.run_for(ms(30_000));
        // The one who accepts does not even ask about another key.
        assert!(homes.lan.asked.is_empty());
        homes.nothing();
        // It is not tried again.
        assert_eq!(homes.nodes.map(|node| homes.lan.dials(node)), [1, 1]);
    }
}

#[test]
fn whoever_the_application_does_not_let_in_is_not_met() {
    // ONCE-128
    for end in [0, 1] {
        let mut homes = Homes::new("192.168.1.7:49152");
        homes.lan.host(homes.nodes[end]).guard = Guard::Away;
        let tickets = homes.tickets();
        homes.comes(0, tickets[0], 2);
        homes.comes(1, tickets[1], 1);
        homes.lan.run_for(ms(100));
        let question = homes.lan.asked.remove(0);
        let of_other = [public(2), public(1)][end];
        assert_eq!((question.host, question.key), (homes.nodes[end], of_other));
        let remote = question.remote.to_string();
        assert!(remote.starts_with("[fd61:746f:6e63:6500:"), "{remote}");
        let denied = atonce::Verdict::Deny(atonce::Denial::Refused);
        homes.lan.answer_question(question, denied);
        homes.lan.run_for(ms(30_000));
        homes.nothing();
    }
}

#[test]
fn whoever_has_the_key_and_another_identity_is_not_met() {
    // ONCE-128
    for end in [0, 1] {
        let mut homes = Homes::new("192.168.1.7:49152");
        homes.ids[1 - end] = PeerId::from_bytes([9; 16]);
        let tickets = homes.tickets();
        homes.comes(0, tickets[0], 2);
        homes.comes(1, tickets[1], 1);
        homes.lan.run_for(ms(30_000));
        homes.nothing();
    }
}

#[test]
fn nothing_is_left_when_the_other_does_not_come_or_there_is_no_relay() {
    // ONCE-125, ONCE-128
    for end in [0, 1] {
        let mut homes = Homes::new("192.168.1.7:49152");
        let tickets = homes.tickets();
        homes.comes(end, tickets[end], [2, 1][end]);
        homes.lan.run_for(ms(30_000));
        homes.nothing();
        // Used, unknown, and nobody listens.
        homes.comes(end, tickets[end], [2, 1][end]);
        homes.lan.run_for(ms(30_000));
        homes.nothing();
        let relay = homes.relay;
        homes.lan.host(relay).refuses = true;
        homes.comes(end, tickets[end], [2, 1][end]);
        homes.lan.run_for(ms(30_000));
        homes.nothing();
        assert_eq!(homes.lan.dials(homes.nodes[end]), 3);
        // Later they meet all the same.
        homes.lan.host(relay).refuses = false;
        homes.meet();
    }
}

#[test]
fn when_the_relay_goes_both_exit_and_meet_again_with_new_tickets() {
    // ONCE-124, ONCE-128
    let mut homes = Homes::new("192.168.1.7:49152");
    homes.meet();
    let (relay, [alice, bob]) = (homes.relay, homes.nodes);
    homes.lan.reset_links(relay);
    homes.lan.run_for(ms(4_000));
    for (node, name) in [(alice, "bob"), (bob, "alice")] {
        let told = names(&homes.lan.events(node));
        assert!(
            told.len() == 1 && told[0].starts_with(&format!("exit {name}")),
            "{told:?}"
        );
    }
    homes.lan.run_for(ms(60_000));
    homes.nothing();
    assert_eq!(homes.nodes.map(|node| homes.lan.dials(node)), [1, 1]);
    homes.meet();
    homes.lan.still_talk(alice, bob);
    // A goodbye comes through as well.
    homes.lan.with(alice, atonce::Stack::stop);
    homes.lan.run_for(ms(100));
    homes.hear([&["stopped"], &["exit alice left"]]);
    assert_eq!(homes.lan.relay(relay).links(), 0);
}

#[test]
fn who_is_here_already_is_not_dialled_over_a_relay() {
    // ONCE-128
    let mut homes = Homes::new("192.168.1.7:49152");
    homes.meet();
    let tickets = homes.tickets();
    homes.comes(0, tickets[0], 2);
    homes.comes(1, tickets[1], 1);
    homes.lan.run_for(ms(30_000));
    homes.hear([&NOTHING, &NOTHING]);
    let [alice, bob] = homes.nodes;
    homes.lan.still_talk(alice, bob);
    assert_eq!(homes.nodes.map(|node| homes.lan.dials(node)), [1, 2]);
}

#[test]
fn a_node_without_keys_and_one_that_stops_make_no_such_link() {
    // ONCE-128
    let mut lan = Lan::new();
    let plain = lan.node("plain");
    let alice = crate::alice(&mut lan);
    let ticket = Ticket::from_bytes([1; 32]);
    let peer = PeerId::from_bytes([9; 16]);
    for role in ROLES {
        let mut ask = |node, key| {
            lan.with(node, |stack, now| {
                stack.dial_relayed(now, peer, key, RELAY, ticket, role)
            })
        };
        assert_eq!(ask(plain, public(2)), Err(ConnectError::NotSecure));
        let useless = atonce::curve::PublicKey::from_bytes([0; 32]);
        assert_eq!(ask(alice, useless), Err(ConnectError::UselessKey));
    }
    lan.with(alice, atonce::Stack::stop);
    for role in ROLES {
        let stopped = lan.with(alice, |stack, now| {
            stack.dial_relayed(now, peer, public(2), RELAY, ticket, role)
        });
        assert_eq!(stopped, Err(ConnectError::Stopped));
    }
    assert_eq!((lan.dials(plain), lan.dials(alice)), (0, 0));
}

#[test]
fn nobody_is_believed_to_be_where_relays_lead() {
    // ONCE-129
    for duplex in [false, true] {
        let mut lan = Lan::new();
        let config = Config {
            duplex,
            ..secure("alice", 1)
        };
        let alice = crate::node(&mut lan, config);
        let puppet = lan.secure_puppet(9, &crate::keys(9));
        let mut hello = lan.hello_of(puppet, "puppet");
        hello.endpoint = text("tcp://[fd61:746f:6e63:6500::7]:49152");
        let link = lan.puppet_dials(puppet, alice);
        lan.puppet_says(puppet, link, 1, Command::Hello(hello));
        lan.run_for(ms(5_000));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        assert_eq!(lan.dials(alice), 0);
        assert!(lan.the_puppet(puppet).closed.contains(&link));
    }
}
