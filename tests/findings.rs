//! What the fuzzer found, one test each: a node among peers that do what no honest peer does, or in an order that no
//! test had thought of.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use atonce::endpoint::Endpoint;
use atonce::wire::Beacon;
use atonce::wire::zmtp::{Identity, SocketType};
use atonce::wire::zre::{Command, Hello, Limits, Message};
use atonce::zmtp::{self, Connection};
use atonce::{
    Action, Config, Cut, Event, Frames, Instant, Interface, InterfaceId, LinkId, PeerId, Stack,
    Text,
};

/// A node, and the other ends of its links, which say what the test wants.
struct Table {
    stack: Stack,
    interface: InterfaceId,
    now: Instant,
    far: BTreeMap<LinkId, Connection>,
    /// Dials without an answer yet, oldest first.
    dialled: Vec<(LinkId, SocketAddr)>,
    /// Actions but `Transmit`, `Dial` and `Broadcast`.
    actions: Vec<Action>,
    /// What came over links, decoded.
    heard: Vec<(LinkId, Message)>,
}

fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 49152))
}

/// HELLO of one who says that its mailbox is at this address.
fn hello(name: &str, mailbox: SocketAddr) -> Command {
    Command::Hello(Hello {
        endpoint: Text::from(&Endpoint::from(mailbox)),
        name: Text::try_from(name).unwrap(),
        ..Hello::default()
    })
}

fn connection(socket_type: SocketType, identity: Option<PeerId>) -> Connection {
    let mut config = zmtp::Config::new(socket_type);
    if let Some(id) = identity {
        config.identity = Identity::try_from(id.identity().as_slice()).unwrap();
    }
    Connection::new(Instant::ZERO, config)
}

impl Table {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let mut stack = Stack::new(Instant::ZERO, [7; 32], config);
        let interface = stack.handle_interface_up(
            Instant::ZERO,
            Interface {
                name: "eth0".into(),
                address: [10, 0, 0, 1].into(),
                port: 49152,
                zone: 0,
            },
        );
        let mut table = Self {
            stack,
            interface,
            now: Instant::from_millis(1_000),
            far: BTreeMap::new(),
            dialled: Vec::new(),
            actions: Vec::new(),
            heard: Vec::new(),
        };
        table.settle();
        table
    }

    /// Lets octets flow until nothing moves.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.stack.poll_action() {
                match action {
                    Action::Dial { link, address } => self.dialled.push((link, address)),
                    Action::Broadcast { .. } | Action::Transmit { .. } => {}
                    other => self.actions.push(other),
                }
            }
            let links: Vec<LinkId> = self.far.keys().copied().collect();
            if !links.into_iter().any(|link| self.flow(link)) {
                return;
            }
        }
    }

    /// Carries octets over a link, both ways; says whether there were any.
    fn flow(&mut self, link: LinkId) -> bool {
        let now = self.now;
        let far = self.far.get_mut(&link).unwrap();
        let out: Vec<u8> = self.stack.poll_transmit(link).flatten().copied().collect();
        if !out.is_empty() {
            far.handle_input(now, &out);
            while let Some(event) = far.poll_event() {
                if let zmtp::Event::Message(message) = event {
                    let message = Message::decode(message, &Limits::default()).unwrap();
                    self.heard.push((link, message));
                }
            }
            self.stack.handle_transmitted(now, link, out.len());
        }
        let back: Vec<u8> = far.poll_transmit().flatten().copied().collect();
        far.handle_transmitted(now, back.len());
        if !back.is_empty() {
            self.stack.handle_received(now, link, &back);
        }
        !(out.is_empty() && back.is_empty())
    }

    /// Somebody dials the node, as `who`.
    fn accept(&mut self, who: PeerId, from: SocketAddr) -> LinkId {
        let link = self
            .stack
            .handle_accepted(self.now, self.interface, from)
            .unwrap();
        self.far
            .insert(link, connection(SocketType::Dealer, Some(who)));
        self.settle();
        link
    }

    fn say(&mut self, link: LinkId, sequence: u16, command: Command) {
        self.send(link, Message { sequence, command }.encode());
    }

    fn send(&mut self, link: LinkId, message: Frames) {
        self.far.get_mut(&link).unwrap().send(message).unwrap();
        self.settle();
    }

    /// The oldest dial is answered, by a mailbox that states this identity.
    fn answer(&mut self, identity: Option<PeerId>) -> LinkId {
        let (link, _) = self.dialled.remove(0);
        self.far
            .insert(link, connection(SocketType::Router, identity));
        self.stack.handle_connected(self.now, link, address(1));
        self.settle();
        link
    }

    fn end(&mut self, link: LinkId) {
        self.far.remove(&link);
        self.stack.handle_disconnected(self.now, link, Cut::Reset);
        self.settle();
    }

    /// A peer meets the node as it should: the link on which it speaks, and the one on which it is spoken to.
    fn meet(&mut self, who: u8) -> (LinkId, LinkId) {
        let speaks = self.accept(id(who), address(who));
        self.say(speaks, 1, hello(&format!("peer{who}"), address(who)));
        let hears = self.answer(None);
        (speaks, hears)
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, _)) = self.stack.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.stack.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.stack.poll_event(self.now) {
            self.settle();
            events.push(match event {
                Event::Enter { peer } => format!("enter {}", peer.name),
                Event::Exit { peer, reason } => format!("exit {} {reason}", peer.name),
                Event::Evasive { peer } => format!("evasive {}", peer.name),
                Event::Silent { peer } => format!("silent {}", peer.name),
                Event::Recovered { peer } => format!("recovered {}", peer.name),
                Event::InterfaceUp { .. } => continue,
                Event::Stopped => "stopped".into(),
                other => format!("{other:?}"),
            });
        }
        events
    }
}

#[test]
fn nothing_is_told_of_interfaces_after_the_end() {
    let mut table = Table::new();
    table.events();
    table.stack.stop(table.now);
    assert_eq!(table.events(), ["stopped"]);
    let other = Interface {
        name: "eth1".into(),
        address: [10, 0, 1, 1].into(),
        port: 49152,
        zone: 0,
    };
    let late = table.stack.handle_interface_up(table.now, other);
    table
        .stack
        .handle_interface_down(table.now, table.interface, "pulled");
    table.stack.handle_interface_down(table.now, late, "pulled");
    assert_eq!(table.stack.poll_event(table.now), None);
    assert!(!table.stack.has_event());
}

#[test]
fn one_who_greets_with_the_mailbox_of_somebody_known_is_let_go() {
    let mut table = Table::new();
    table.meet(2);
    assert_eq!(table.events(), ["enter peer2"]);
    // Its endpoint is another way to peer 2, as the mailbox there says.
    let link = table.accept(id(3), address(3));
    table.say(link, 1, hello("liar", address(4)));
    table.answer(Some(id(2)));
    assert_eq!(table.events(), [""; 0]);
    assert!(table.actions.contains(&Action::Close { link }));
}

#[test]
fn a_peer_whose_mailbox_turns_out_to_be_somebody_known_is_displaced() {
    let mut table = Table::new();
    table.meet(2);
    let (speaks, hears) = table.meet(3);
    assert_eq!(table.events(), ["enter peer2", "enter peer3"]);
    table.wait(Duration::from_secs(1));
    table.end(hears);
    table.answer(Some(id(2)));
    assert_eq!(
        table.events(),
        ["exit peer3 lost: another node took its endpoint"]
    );
    assert!(table.actions.contains(&Action::Close { link: speaks }));
    assert_eq!(table.stack.peers().count(), 1);
}

#[test]
fn one_who_enters_anew_after_a_cut_is_ready() {
    let mut table = Table::new();
    let (speaks, hears) = table.meet(2);
    // It is asked, and does not answer.
    table.wait(Duration::from_millis(5_100));
    assert_eq!(table.events(), ["enter peer2", "evasive peer2"]);
    table.end(hears);
    table.answer(None);
    assert_eq!(
        table.events(),
        [
            "exit peer2 lost: its link was cut, 3 messages to it may be lost",
            "enter peer2"
        ]
    );
    let peer = table.stack.peer(id(2)).unwrap();
    assert_eq!(peer.presence, atonce::Presence::Ready);
    table.say(speaks, 2, Command::PingOk);
    assert_eq!(table.events(), [""; 0]);
}

#[test]
fn one_who_waits_for_an_endpoint_gets_a_link_of_its_own_to_it() {
    let mut table = Table::new();
    let (speaks, _) = table.meet(2);
    // It says that the endpoint is its own, and waits until peer 2 is asked.
    let link = table.accept(id(3), address(2));
    table.say(link, 1, hello("heir", address(2)));
    // Peer 2 leaves a gap meanwhile.
    table.say(speaks, 7, Command::Ping);
    table.answer(None);
    assert_eq!(
        table.events(),
        [
            "enter peer2",
            "exit peer2 lost: a gap: expected message 2, found 7",
            "enter heir"
        ]
    );
    let sent = table
        .stack
        .whisper(table.now, id(3), &Frames::from("hello"));
    table.settle();
    assert_eq!(sent, Ok(()));
    let (_, last) = table.heard.last().unwrap();
    assert!(matches!(last.command, Command::Whisper { .. }), "{last:?}");
}

#[test]
fn of_two_who_greet_with_one_identity_the_newer_enters() {
    let mut table = Table::new();
    table.meet(2);
    // Another way to say the same identity: it waits until peer 2 is asked.
    let older = table.accept(id(2), address(5));
    table.say(older, 1, hello("older", address(5)));
    // Peer 2 itself greets anew meanwhile.
    let newer = table.accept(id(2), address(2));
    table.say(newer, 1, hello("newer", address(2)));
    assert_eq!(
        table.events(),
        ["enter peer2", "exit peer2 replaced", "enter newer"]
    );
    assert!(table.actions.contains(&Action::Close { link: older }));
}

#[test]
fn a_mailbox_may_break_the_rules_in_the_octets_that_make_it_ready() {
    let mut table = Table::new();
    table.stack.connect(table.now, &address(2).into()).unwrap();
    table.settle();
    let (link, _) = table.dialled.remove(0);
    let mut mailbox = connection(SocketType::Router, None);
    table.stack.handle_connected(table.now, link, address(1));
    let greeting: Vec<u8> = table.stack.poll_transmit(link).flatten().copied().collect();
    mailbox.handle_input(table.now, &greeting);
    let mut octets: Vec<u8> = mailbox.poll_transmit().flatten().copied().collect();
    octets.extend([0xff, 0xff]);
    // The node says HELLO to what is ready, and only then hears of the rest.
    table.stack.handle_received(table.now, link, &octets);
    table.settle();
    assert!(table.actions.contains(&Action::Close { link }));
}

#[test]
fn a_link_that_ended_while_it_was_paused_is_not_resumed() {
    let mut table = Table::new();
    let link = table.accept(id(2), address(2));
    // All at once: HELLO waits for our own link, and what follows waits for HELLO.
    let far = table.far.get_mut(&link).unwrap();
    for (sequence, command) in [(1, hello("peer2", address(2))), (2, Command::Ping)] {
        far.send(Message { sequence, command }.encode()).unwrap();
    }
    table.settle();
    assert_eq!(table.actions, [Action::Pause { link }]);
    table.end(link);
    table.actions.clear();
    table.answer(None);
    assert_eq!(table.events(), ["enter peer2"]);
    assert_eq!(table.actions, [], "it is gone");
}

#[test]
fn a_mailbox_that_hangs_up_at_once_is_dialled_with_growing_pauses() {
    let mut table = Table::new();
    let (speaks, mut hears) = table.meet(2);
    let mut sequence = 2;
    let mut dials = 0;
    let end = table.now + Duration::from_secs(60);
    while table.now < end {
        table.end(hears);
        while table.dialled.is_empty() && table.now < end {
            table.wait(Duration::from_millis(50));
            if dials % 8 == 0 {
                // It speaks all the while.
                table.say(speaks, sequence, Command::PingOk);
                sequence += 1;
            }
        }
        if !table.dialled.is_empty() {
            hears = table.answer(None);
            dials += 1;
        }
    }
    assert!(dials < 20, "{dials} dials in a minute");
}

#[test]
fn links_that_come_back_among_the_unproved_take_no_more_room_than_others() {
    let mut table = Table::new();
    let (speaks, _) = table.meet(2);
    // Somebody else with its identity waits for an answer.
    let held = table.accept(id(2), address(5));
    table.say(held, 2, Command::Ping);
    let limit = Config::default().limits.unproved_links;
    for n in 0..limit {
        let mut octets = [9; 16];
        octets[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
        table.accept(PeerId::from_bytes(octets), address(3));
    }
    let refused = table.stack.counters().links_refused;
    // Peer 2 leaves a gap: what was held is weighed anew.
    table.say(speaks, 7, Command::Ping);
    assert_eq!(table.stack.counters().links_refused, refused + 1);
}

#[test]
fn what_was_held_for_a_peer_is_not_said_to_who_comes_next() {
    let mut table = Table::new();
    let (_, hears) = table.meet(2);
    table.wait(Duration::from_secs(1));
    table.end(hears);
    // The link is down: this is held.
    let sent = table.stack.whisper(table.now, id(2), &Frames::from("old"));
    assert_eq!(sent, Ok(()));
    let newer = table.accept(id(2), address(2));
    table.say(newer, 1, hello("newer", address(2)));
    let hears = table.answer(None);
    assert_eq!(
        table.events(),
        ["enter peer2", "exit peer2 replaced", "enter newer"]
    );
    // Neither now nor at the next cut.
    table.wait(Duration::from_secs(1));
    table.end(hears);
    table.answer(None);
    let whispers = table
        .heard
        .iter()
        .filter(|(_, message)| matches!(message.command, Command::Whisper { .. }));
    assert_eq!(whispers.count(), 0);
}

#[test]
fn those_who_come_and_go_while_the_application_takes_nothing_are_bounded() {
    let mut config = Config::default();
    config.limits.receive_octets_total = 100_000;
    let mut table = Table::with(config);
    for n in 0..200_u8 {
        let from = SocketAddr::from(([10, 0, 1, n], 49152));
        let speaks = table.accept(id(n.wrapping_add(10)), from);
        let Command::Hello(mut hello) = hello("guest", from) else {
            panic!("HELLO");
        };
        let value = vec![b'x'; 5_000];
        hello.headers.insert(
            Text::try_from("X-LARGE").unwrap(),
            value.as_slice().try_into().unwrap(),
        );
        table.say(speaks, 1, Command::Hello(hello));
        if !table.dialled.is_empty() {
            table.answer(None);
            // It leaves at once.
            table.say(speaks, 99, Command::Ping);
        }
        if table.far.contains_key(&speaks) {
            table.end(speaks);
        }
    }
    assert!(
        table.stack.counters().enters < 25,
        "{:?}",
        table.stack.counters()
    );
    // The application takes what waits: the next one is met.
    let events = table.events();
    assert_eq!(events.len() as u64, 2 * table.stack.counters().enters);
    while let Some((link, _)) = table.dialled.pop() {
        table.end(link);
    }
    table.meet(2);
    assert_eq!(table.events(), ["enter peer2"]);
}

#[test]
fn one_who_greets_while_the_application_takes_nothing_is_met_later() {
    let mut config = Config::default();
    config.limits.receive_octets_total = 10_000;
    let mut table = Table::with(config);
    let (speaks, _) = table.meet(2);
    let content = Frames::from(vec![b'x'; 20_000]);
    table.say(speaks, 2, Command::Whisper { content });
    let late = table.accept(id(3), address(3));
    table.say(late, 1, hello("late", address(3)));
    assert!(table.dialled.is_empty());
    table.actions.clear();
    assert_eq!(table.events().len(), 2);
    assert!(table.actions.contains(&Action::Resume { link: late }));
    table.answer(None);
    assert_eq!(table.events(), ["enter late"]);
}

#[test]
fn two_addresses_of_one_node_do_not_keep_each_other_from_being_dialled() {
    let mut table = Table::new();
    let beacon = Beacon {
        uuid: id(2),
        port: 49152,
        key: None,
    };
    // It is in two networks, and in neither of them there is a way to it for a while.
    let mut last = table.now;
    for _ in 0..30 {
        for network in [0, 1] {
            let source = SocketAddr::from(([10, 0, network, 2], 5670));
            let datagram = beacon.encode();
            table.stack.handle_datagram(table.now, source, &datagram);
            table.settle();
            for (link, _) in std::mem::take(&mut table.dialled) {
                last = table.now;
                let now = table.now;
                table.stack.handle_disconnected(now, link, Cut::Unreachable);
                table.settle();
            }
            table.wait(Duration::from_millis(500));
        }
    }
    let silence = table.now - last;
    assert!(silence < Duration::from_secs(15), "no dial for {silence:?}");
}

#[test]
fn a_link_that_ended_is_not_paused_by_what_it_said_before() {
    let mut config = Config::default();
    config.limits.receive_octets = 10_000;
    let mut table = Table::with(config);
    let link = table.accept(id(2), address(2));
    // All at once: HELLO waits for our own link, and what follows waits for HELLO.
    let far = table.far.get_mut(&link).unwrap();
    let content = Frames::from(vec![b'x'; 6_000]);
    let whisper = Command::Whisper { content };
    for (sequence, command) in [
        (1, hello("peer2", address(2))),
        (2, whisper.clone()),
        (3, whisper.clone()),
        (4, whisper),
    ] {
        far.send(Message { sequence, command }.encode()).unwrap();
    }
    table.settle();
    table.end(link);
    table.actions.clear();
    table.answer(None);
    assert_eq!(table.actions, [], "it is gone");
    assert_eq!(table.events().len(), 4, "and all that it said is heard");
}

#[test]
fn a_link_that_ended_is_not_closed_for_what_it_said_before() {
    let mut table = Table::new();
    let link = table.accept(id(2), address(2));
    // All at once, and what follows HELLO leaves a gap.
    let far = table.far.get_mut(&link).unwrap();
    for (sequence, command) in [(1, hello("peer2", address(2))), (7, Command::Ping)] {
        far.send(Message { sequence, command }.encode()).unwrap();
    }
    table.settle();
    table.end(link);
    table.actions.clear();
    let ours = table.answer(None);
    assert_eq!(
        table.events(),
        [
            "enter peer2",
            "exit peer2 lost: a gap: expected message 2, found 7"
        ]
    );
    assert_eq!(table.actions, [Action::Close { link: ours }]);
}

#[test]
fn a_question_that_was_lost_with_the_link_is_asked_again() {
    let mut table = Table::new();
    let (_, hears) = table.meet(2);
    // Somebody claims its endpoint: it is asked, over a link that is cut before it reads that.
    let beacon = Beacon {
        uuid: id(3),
        port: 49152,
        key: None,
    };
    table.wait(Duration::from_secs(1));
    let source = SocketAddr::from(([10, 0, 0, 2], 5670));
    table.far.remove(&hears);
    let datagram = beacon.encode();
    table.stack.handle_datagram(table.now, source, &datagram);
    table
        .stack
        .handle_disconnected(table.now, hears, Cut::Reset);
    table.settle();
    let hears = table.answer(None);
    let asked = |table: &Table| {
        table
            .heard
            .iter()
            .any(|(link, message)| *link == hears && message.command == Command::Ping)
    };
    let (mut sequence, speaks) = (2, *table.far.keys().next().unwrap());
    for _ in 0..10 {
        // It speaks, so that the doubt goes on.
        let (group, status) = (Text::try_from("CHAT").unwrap(), 1);
        table.say(speaks, sequence, Command::Join { group, status });
        sequence += 1;
        table.wait(Duration::from_millis(300));
    }
    assert!(asked(&table), "{:?}", table.heard);
}

#[test]
fn a_dial_that_was_given_up_for_one_who_moved_does_not_count_as_up() {
    let mut table = Table::new();
    // The application asked for it, so that it is tried for ever.
    table.stack.connect(table.now, &address(2).into()).unwrap();
    table.settle();
    let (_, hears) = table.meet(2);
    assert_eq!(table.events(), ["enter peer2"]);
    table.wait(Duration::from_secs(1));
    // Somebody greets as it from elsewhere, and waits until it is asked.
    let held = table.accept(id(2), address(5));
    table.say(held, 1, hello("moved", address(5)));
    // Another node is where it was.
    table.end(hears);
    let link = table.answer(Some(id(3)));
    assert_eq!(
        table.events(),
        ["exit peer2 lost: another node took its endpoint"]
    );
    assert!(table.actions.contains(&Action::Close { link }));
    table.wait(Duration::from_secs(2));
    let again = table.dialled.iter().filter(|(_, to)| *to == address(2));
    assert!(again.count() > 0, "{:?}", table.dialled);
}

#[test]
fn what_may_be_said_is_taken_by_a_node_with_the_same_limits() {
    let mut config = Config::default();
    config.limits.message_octets = 10_000;
    config.limits.frame_octets = 8_000;
    let mut table = Table::with(config);
    let (_, hears) = table.meet(2);
    let frames = |octets: &[usize]| -> Frames { octets.iter().map(|&n| vec![b'x'; n]).collect() };
    let mut largest = 0;
    for content in [
        frames(&[8_000]),
        frames(&[8_001]),
        frames(&[5_000, 4_994]),
        frames(&[5_000, 4_995]),
        frames(&[5_000, 5_000]),
    ] {
        let sent = table.stack.whisper(table.now, id(2), &content);
        table.settle();
        if sent.is_ok() {
            let (link, last) = table.heard.last().unwrap();
            assert_eq!(*link, hears);
            let frames = last.encode();
            assert!(frames.iter().all(|frame| frame.len() <= 8_000));
            largest = largest.max(frames.octets());
        }
    }
    assert_eq!(largest, 10_000, "what fits is sent, what does not is not");
}

#[test]
fn what_a_peer_said_after_our_greeting_and_before_its_own_is_not_lost_without_a_word() {
    // ZRE-62
    let whisper = |content: &'static str| Command::Whisper {
        content: Frames::from(content),
    };
    for (speaks_on, another, told) in [
        (true, true, true),
        // What was said first in this time with it is not missing between two messages of it.
        (false, true, false),
        // It answers on the link on which it spoke: that is in order.
        (true, false, false),
    ] {
        let mut table = Table::new();
        let (speaks, hears) = table.meet(2);
        table.wait(Duration::from_secs(1));
        table.end(hears);
        table.answer(None);
        assert_eq!(
            table.events(),
            [
                "enter peer2",
                "exit peer2 lost: its link was cut, 1 messages to it may be lost",
                "enter peer2"
            ]
        );
        // It did not hear our HELLO yet.
        if speaks_on {
            table.say(speaks, 2, whisper("first"));
        }
        let again = if another {
            // What it says now is lost with its link.
            table.end(speaks);
            table.accept(id(2), address(2))
        } else {
            speaks
        };
        table.say(again, 1, hello("peer2", address(2)));
        table.say(again, 2, whisper("last"));
        let events = table.events();
        let (heard, rest): (Vec<String>, Vec<String>) = events
            .into_iter()
            .partition(|event| event.starts_with("Whisper"));
        assert_eq!(heard.len(), 1 + usize::from(speaks_on));
        let all = ["exit peer2 replaced", "enter peer2"];
        let expected = if told { &all[..] } else { &[] };
        assert_eq!(rest, expected, "{speaks_on} {another}");
        assert_eq!(table.stack.peers().count(), 1);
    }
}

#[test]
fn one_who_was_silent_and_is_evasive_again_recovered_in_between() {
    let mut config = Config {
        evasive_timeout: Duration::from_secs(2),
        ..Config::default()
    };
    config.limits.changes_per_peer = 2;
    let mut table = Table::with(config);
    table.meet(2);
    assert_eq!(table.events(), ["enter peer2"]);
    // The application is told both, takes neither, and so is told of nothing more.
    table.wait(Duration::from_secs(4));
    let beacon = Beacon {
        uuid: id(2),
        port: address(2).port(),
        key: None,
    };
    let source = SocketAddr::new(address(2).ip(), 5670);
    table
        .stack
        .handle_datagram(table.now, source, &beacon.encode());
    table.settle();
    table.wait(Duration::from_millis(2_100));
    let peer = table.stack.peer(id(2)).unwrap();
    assert_eq!(peer.presence, atonce::Presence::Evasive);
    assert_eq!(
        table.events(),
        [
            "evasive peer2",
            "silent peer2",
            "recovered peer2",
            "evasive peer2"
        ]
    );
}
