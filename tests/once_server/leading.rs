//! A server with a relay: whom it leads to whom.

use std::collections::BTreeSet;

use atonce::PeerId;
use atonce::once::server::Config;
use atonce::once::{Limits, Role};
use atonce::wire::once::{Invitation, RelayRole, V2};

use crate::server::Meeting;
use crate::{id, ms, peer, peer_saying, public, secret, text};

const ENDPOINT: &str = "tcp://*:5673";

/// A secure server, with a relay or without.
fn meeting(relay: Option<String>) -> Meeting {
    Meeting::of(Config {
        id: id(1),
        key: Some(public(1)),
        mechanisms: vec![secret("s")],
        relay,
        limits: Limits::default(),
    })
}

fn bridge(meeting: &mut Meeting, octet: u8) -> usize {
    let bridge = meeting.add(
        peer(octet, Role::Bridge),
        Some(public(octet)),
        vec![secret("s")],
    );
    assert_eq!(meeting.told(), [format!("enter {octet} SECRET")]);
    bridge
}

fn ask(meeting: &mut Meeting, bridge: usize, to: PeerId) {
    meeting.says(bridge, V2::Relay { uuid: to });
}

/// What a bridge was refused; nothing else was said to it.
fn refused(meeting: &mut Meeting, bridge: usize) -> Vec<(u8, u16)> {
    let heard = meeting.heard(bridge);
    let refused = heard.into_iter().map(|message| match message {
        V2::Nope(nope) => (nope.about, nope.code.0),
        other => panic!("{other:?}"),
    });
    refused.collect()
}

#[test]
fn two_bridges_are_told_how_to_come_to_each_other() {
    // ONCE-70, ONCE-121, ONCE-126
    let mut meeting = meeting(Some(ENDPOINT.into()));
    let [two, three] = [2, 3].map(|octet| bridge(&mut meeting, octet));
    meeting.run_for(ms(200));
    ask(&mut meeting, three, id(2));
    assert_eq!(meeting.told(), ["led 3 2"]);
    let [[dialler, acceptor]] = meeting.pairs[..] else {
        panic!("{:?}", meeting.pairs)
    };
    for (bridge, uuid, role, ticket) in [
        (three, id(2), RelayRole::Dial, dialler),
        (two, id(3), RelayRole::Accept, acceptor),
    ] {
        let endpoint = text(ENDPOINT);
        let invitation = Invitation {
            uuid,
            role,
            endpoint,
            ticket,
        };
        assert_eq!(meeting.heard(bridge), [V2::Ticket(invitation)]);
    }
    // Each ticket is another one.
    ask(&mut meeting, two, id(3));
    let tickets = meeting.pairs.iter().flatten();
    let tickets: BTreeSet<_> = tickets.map(|ticket| *ticket.as_bytes()).collect();
    assert_eq!(tickets.len(), 4);
}

#[test]
fn a_server_without_a_relay_refuses() {
    // ONCE-126
    for relay in [None, Some("x".repeat(256))] {
        let mut meeting = meeting(relay);
        let [two, three] = [2, 3].map(|octet| bridge(&mut meeting, octet));
        meeting.run_for(ms(200));
        ask(&mut meeting, two, id(3));
        assert_eq!(refused(&mut meeting, two), [(0x50, 6)]);
        assert_eq!(refused(&mut meeting, three), []);
        assert_eq!(meeting.told(), ["refused 2 6"]);
        assert!(meeting.pairs.is_empty());
    }
}

#[test]
fn only_two_bridges_that_proved_themselves_and_have_keys_are_led() {
    // ONCE-53, ONCE-126
    let mut meeting = meeting(Some(ENDPOINT.into()));
    let [two, three] = [2, 3].map(|octet| bridge(&mut meeting, octet));
    let liar = meeting.add(peer(4, Role::Bridge), Some(public(4)), vec![secret("S")]);
    let client = meeting.add(peer_saying(5, None), Some(public(5)), vec![secret("s")]);
    meeting.told();
    // Nobody, itself, one that proved nothing, and one that is no bridge.
    for to in [9, 2, 4, 5, 1] {
        ask(&mut meeting, two, id(to));
        assert_eq!(refused(&mut meeting, two), [(0x50, 8)], "{to}");
    }
    // Those that proved nothing, or are no bridges.
    for asker in [liar, client] {
        ask(&mut meeting, asker, id(2));
        assert_eq!(refused(&mut meeting, asker), []);
    }
    assert!(
        meeting
            .told()
            .iter()
            .all(|told| told.starts_with("refused"))
    );
    meeting.exits(three);
    ask(&mut meeting, two, id(3));
    assert_eq!(refused(&mut meeting, two), [(0x50, 8)]);
    assert!(meeting.pairs.is_empty());

    // Without keys there is nothing that both could know each other by.
    let mut meeting = Meeting::of(Config {
        id: id(1),
        key: None,
        mechanisms: vec![secret("s")],
        relay: Some(ENDPOINT.into()),
        limits: Limits::default(),
    });
    let [two, _] =
        [2, 3].map(|octet| meeting.add(peer(octet, Role::Bridge), None, vec![secret("s")]));
    ask(&mut meeting, two, id(3));
    assert_eq!(refused(&mut meeting, two), [(0x50, 8)]);
}

#[test]
fn who_asks_too_often_is_told_to_wait() {
    // ONCE-126
    let mut meeting = meeting(Some(ENDPOINT.into()));
    let bridges: Vec<_> = (2..42).map(|octet| bridge(&mut meeting, octet)).collect();
    meeting.run_for(ms(200));
    ask(&mut meeting, bridges[0], id(3));
    ask(&mut meeting, bridges[0], id(3));
    assert_eq!(meeting.told(), ["led 2 3", "refused 2 7"]);
    meeting.run_for(ms(9_999));
    ask(&mut meeting, bridges[0], id(3));
    assert_eq!(meeting.told(), ["refused 2 7"]);
    meeting.run_for(ms(1));
    ask(&mut meeting, bridges[0], id(3));
    assert_eq!(meeting.told(), ["led 2 3"]);
    // One bridge for 32 within half a minute.
    for to in 4..34 {
        ask(&mut meeting, bridges[0], id(to));
    }
    assert_eq!(meeting.told().len(), 30);
    ask(&mut meeting, bridges[0], id(34));
    assert_eq!(meeting.told(), ["refused 2 7"]);
    // Others are not the worse for it, until there are 256.
    let mut asked = 32;
    for (own, asker) in (3_u8..11).zip(&bridges[1..]) {
        for to in 10..42 {
            ask(&mut meeting, *asker, id(to));
            asked += 1;
            let told = meeting.told();
            let led = told[0].starts_with("led");
            let itself = own == to;
            assert_eq!(led, asked <= 256 && !itself, "{asked} {told:?}");
            asked -= u32::from(itself);
            if asked > 256 {
                break;
            }
        }
    }
    assert_eq!(meeting.pairs.len(), 256);
    // The first of them are over.
    meeting.run_for(ms(20_000));
    ask(&mut meeting, bridges[20], id(3));
    assert_eq!(meeting.told(), ["led 22 3"]);
    meeting.run_for(ms(10_000));
    ask(&mut meeting, bridges[0], id(34));
    assert_eq!(meeting.told(), ["led 2 34"]);
}
