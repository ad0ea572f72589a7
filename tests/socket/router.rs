//! ROUTER: who is called how, what is for nobody, who takes whose identity, who comes back.

use std::collections::BTreeSet;

use atonce::socket::{Config, Event, Kind, QueueLimit, RecvError, SendError, Socket, Why};
use atonce::wire::zmtp::{Identity, SocketType};
use atonce::{Bytes, Cut, Frames, Instant, LinkId, zmtp};

use crate::network::{HostId, Net};
use crate::{HERE, ms};

const THERE: &str = "tcp://10.0.0.2:5555";

fn frames(text: &str) -> Frames {
    text.split('|')
        .map(|frame| Bytes::copy_from_slice(frame.as_bytes()))
        .collect()
}

pub(super) fn named(identity: &str) -> zmtp::Config {
    zmtp::Config {
        identity: identity.as_bytes().try_into().unwrap(),
        ..zmtp::Config::new(SocketType::Dealer)
    }
}

fn identity(text: &str) -> Identity {
    text.as_bytes().try_into().unwrap()
}

/// A bound ROUTER.
pub(super) fn router_with(config: Config) -> (Net, HostId) {
    let mut net = Net::new();
    let router = net.socket_with(Kind::Router, config);
    net.bind(router, HERE);
    (net, router)
}

fn ends(net: &mut Net, host: HostId) -> Vec<(Why, usize)> {
    let events = net.events(host).into_iter();
    let ends = events.filter_map(|event| match event {
        Event::Disconnected { why, lost, .. } => Some((why, lost)),
        _ => None,
    });
    ends.collect()
}

// ---- identities

#[test]
fn a_peer_is_known_by_what_it_calls_itself() {
    // SOCK-60, SOCK-61, SOCK-62
    let (mut net, router) = router_with(Config::default());
    let (alice, bob) = (
        net.puppet_with(named("alice"), HERE),
        net.puppet_with(named("bob"), HERE),
    );
    net.run_for(ms(10));
    net.puppet_sends(alice, frames("hello|"));
    net.run_for(ms(10));
    assert_eq!(net.recv_all(router), ["alice|hello|"]);
    net.send(router, frames("bob||x"));
    net.send(router, frames("alice|"));
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(bob), ["|x"]);
    assert_eq!(net.puppet_hears(alice), [""]);
}

#[test]
fn a_peer_that_calls_itself_nothing_is_given_a_new_name_for_each_link() {
    // SOCK-60
    let (mut net, router) = router_with(Config::default());
    let mut numbers = Vec::new();
    for _ in 0..5 {
        let dealer = net.puppet(SocketType::Dealer, HERE);
        net.puppet_sends(dealer, "hello");
        net.run_for(ms(10));
        let message = net.recv(router).unwrap();
        assert_eq!((message.len(), message[0].len(), message[0][0]), (2, 5, 0));
        numbers.push(u32::from_be_bytes(message[0][1..].try_into().unwrap()));
        net.send(router, message.clone());
        net.run_for(ms(10));
        assert_eq!(net.puppet_hears(dealer), ["hello"]);
        net.kill(dealer);
        net.run_for(ms(10));
        assert_eq!(net.try_send(router, message), Err(SendError::Unroutable));
    }
    let counted = (1..5).map(|n| numbers[0].wrapping_add(n));
    assert_eq!(numbers[1..], counted.collect::<Vec<_>>());
    // Another ROUTER begins elsewhere.
    let (mut net, other) = (Net::new(), HostId(0));
    for _ in 0..2 {
        net.socket(Kind::Router);
    }
    let other = HostId(other.0 + 1);
    net.bind(other, HERE);
    let dealer = net.puppet(SocketType::Dealer, HERE);
    net.puppet_sends(dealer, "hello");
    net.run_for(ms(10));
    let message = net.recv(other).unwrap();
    assert_ne!(message[0][1..], numbers[0].to_be_bytes());
}

#[test]
fn messages_are_taken_from_the_peers_in_turn() {
    // SOCK-61
    let (mut net, router) = router_with(Config::default());
    let names = ["a", "b", "c"];
    let dealers = names.map(|name| net.puppet_with(named(name), HERE));
    for (dealer, many) in dealers.into_iter().zip([50, 3, 3]) {
        for n in 0..many {
            net.puppet_sends(dealer, n.to_string());
        }
    }
    net.run_for(ms(10));
    let all = net.recv_all(router);
    for (n, round) in all[..9].chunks(3).enumerate() {
        let mut round = round.to_vec();
        round.sort();
        assert_eq!(round, names.map(|name| format!("{name}|{n}")));
    }
    let rest: Vec<_> = (3..50).map(|n| format!("a|{n}")).collect();
    assert_eq!(all[9..], rest);
}

// ---- what cannot be sent

#[test]
fn what_has_nobody_to_go_to_is_told_or_counted() {
    // SOCK-62, SOCK-63
    let (mut net, router) = router_with(Config::default());
    let alice = net.puppet_with(named("alice"), HERE);
    net.run_for(ms(10));
    assert!(net.the(router).can_send());
    assert_eq!(net.try_recv(router), Ok(None));
    for nobody in ["bob|x", "|x", "alic|x", "alice2|x"] {
        assert_eq!(
            net.try_send(router, frames(nobody)),
            Err(SendError::Unroutable)
        );
    }
    for nothing in ["alice", "bob", ""] {
        assert_eq!(
            net.try_send(router, frames(nothing)),
            Err(SendError::Malformed)
        );
    }
    assert_eq!(net.the(router).counters().messages_dropped, 0);
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(alice), [""; 0]);
    let (mut net, router) = router_with(Config {
        mandatory: false,
        ..Config::default()
    });
    net.send(router, frames("bob|x"));
    net.send(router, frames("bob|y"));
    assert_eq!(
        net.try_send(router, frames("bob")),
        Err(SendError::Malformed)
    );
    assert_eq!(net.the(router).counters().messages_dropped, 2);
    assert_eq!(net.the(router).counters().messages_sent, 0);
}

#[test]
fn a_peer_without_room_is_told_and_no_other_one_is_concerned() {
    // SOCK-64
    for mandatory in [true, false] {
        let (mut net, router) = router_with(Config {
            mandatory,
            send: QueueLimit {
                messages: 4,
                octets: 1 << 20,
            },
            ..Config::default()
        });
        net.capacity = 1_000;
        let (slow, quick) = (
            net.puppet_with(named("slow"), HERE),
            net.puppet_with(named("quick"), HERE),
        );
        net.run_for(ms(10));
        net.the_puppet(slow).reads = false;
        let large: Frames = [Bytes::from("slow"), Bytes::from(vec![b'x'; 500])].into();
        let mut taken = 0_usize;
        for _ in 0..20 {
            match net.try_send(router, large.clone()) {
                Ok(()) => taken += 1,
                Err(error) => assert_eq!((error, mandatory), (SendError::Full, true)),
            }
            assert!(net.the(router).can_send());
            net.send(router, frames("quick|hello"));
            net.run_for(ms(1));
        }
        let dropped = net.the(router).counters().messages_dropped;
        if mandatory {
            assert!((5..8).contains(&taken) && dropped == 0, "{taken} {dropped}");
        } else {
            assert!(
                taken == 20 && (13..16).contains(&dropped),
                "{taken} {dropped}"
            );
        }
        let usage = net.the(router).usage();
        assert_eq!(usage.queued_messages, 4);
        net.run_for(ms(10));
        assert_eq!(net.puppet_hears(quick).len(), 20);
        // It reads: there is room again, and nothing that was taken is missing.
        net.the_puppet(slow).reads = true;
        net.run_for(ms(100));
        net.send(router, frames("slow|last"));
        net.run_for(ms(10));
        let dropped = usize::try_from(dropped).unwrap();
        let heard = net.puppet_hears(slow);
        assert_eq!(heard.len(), taken - dropped + 1);
        assert_eq!(heard.last().unwrap(), "last");
    }
}

#[test]
fn a_peer_that_is_full_and_gone_is_nobody() {
    // SOCK-63, SOCK-68
    let (mut net, router) = router_with(Config {
        send: QueueLimit {
            messages: 1,
            octets: 1 << 20,
        },
        ..Config::default()
    });
    net.capacity = 100;
    let slow = net.puppet_with(named("slow"), HERE);
    net.run_for(ms(10));
    net.the_puppet(slow).reads = false;
    let large: Frames = [Bytes::from("slow"), Bytes::from(vec![b'x'; 500])].into();
    net.send(router, large.clone());
    assert_eq!(net.try_send(router, large.clone()), Err(SendError::Full));
    net.events(router);
    net.kill(slow);
    net.run_for(ms(10));
    assert_eq!(net.try_send(router, large), Err(SendError::Unroutable));
    assert_eq!(ends(&mut net, router), [(Why::Cut(Cut::Closed), 1)]);
    assert_eq!(net.the(router).counters().messages_lost, 1);
}

// ---- an identity that is taken

#[test]
fn who_states_an_identity_that_is_taken_is_not_let_in_until_the_other_is_gone() {
    // SOCK-65
    let (mut net, router) = router_with(Config::default());
    let first = net.puppet_with(named("alice"), HERE);
    net.run_for(ms(10));
    net.events(router);
    let config = Config {
        identity: identity("alice"),
        ..Config::default()
    };
    let second = net.socket_with(Kind::Dealer, config);
    net.connect(second, HERE);
    net.send(second, "from the second");
    net.run_for(ms(1_000));
    let refused = ends(&mut net, router);
    assert!(refused.len() > 2, "it comes again and again: {refused:?}");
    assert!(
        refused.iter().all(|end| *end == (Why::IdentityTaken, 0)),
        "{refused:?}"
    );
    assert!(net.the(router).counters().refused > 2);
    // Closed, and not told that it should stay away.
    let other_ends = ends(&mut net, second);
    assert!(
        other_ends
            .iter()
            .all(|(why, _)| *why == Why::Cut(Cut::Closed)),
        "{other_ends:?}"
    );
    // Nothing of it is heard, and the first one is not concerned.
    assert_eq!(net.recv_all(router), [""; 0]);
    net.send(router, frames("alice|to the first"));
    net.puppet_sends(first, "from the first");
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(first), ["to the first"]);
    assert_eq!(net.recv_all(router), ["alice|from the first"]);
    net.kill(first);
    net.run_for(ms(31_000));
    net.send(second, "again");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(router).last().unwrap(), "alice|again");
    net.send(router, frames("alice|to the second"));
    net.run_for(ms(10));
    assert_eq!(net.recv_all(second), ["to the second"]);
}

#[test]
fn with_handover_who_comes_last_has_the_identity() {
    // SOCK-66, SOCK-67
    let (mut net, router) = router_with(Config {
        handover: true,
        ..Config::default()
    });
    net.capacity = 1_000;
    let first = net.puppet_with(named("alice"), HERE);
    net.run_for(ms(10));
    net.puppet_sends(first, "said before");
    net.run_for(ms(10));
    net.the_puppet(first).reads = false;
    for _ in 0..10 {
        net.send(
            router,
            [Bytes::from("alice"), Bytes::from(vec![b'x'; 100_000])],
        );
    }
    net.events(router);
    let second = net.puppet_with(named("alice"), HERE);
    net.run_for(ms(2_000));
    let ends = ends(&mut net, router);
    assert!(matches!(ends[..], [(Why::Displaced, _)]), "{ends:?}");
    assert_eq!(net.the(router).counters().messages_lost, 10);
    assert!(net.the_puppet(first).ended || !net.the_puppet(first).reads);
    assert_eq!(net.links(router), 1);
    net.send(router, frames("alice|to the second"));
    net.puppet_sends(second, "from the second");
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(second), ["to the second"]);
    assert_eq!(
        net.recv_all(router),
        ["alice|said before", "alice|from the second"]
    );
    // And the end of the first one takes nothing from the second.
    net.kill(first);
    net.run_for(ms(10));
    net.send(router, frames("alice|still there"));
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(second), ["still there"]);
}

// ---- ends, and who comes back

#[test]
fn what_was_said_before_the_end_is_given_under_the_name_that_it_had() {
    // SOCK-67
    let mut net = Net::new();
    let router = net.socket(Kind::Router);
    // Dialled: three links of the same pipe, to peers with other names.
    let names = ["alice", "", "bob", "alice"];
    let puppets = names.map(|name| {
        let puppet = net.puppet_at(SocketType::Dealer, HERE);
        let connection = zmtp::Connection::new(net.now, named(name));
        net.the_puppet(puppet).connection = Some(connection);
        puppet
    });
    net.connect(router, HERE);
    for (n, puppet) in puppets.into_iter().enumerate() {
        net.run_for(ms(500));
        for k in 0..=n {
            net.puppet_sends(puppet, format!("{n}.{k}"));
        }
        net.run_for(ms(10));
        if n < 3 {
            net.kill(puppet);
        }
    }
    net.puppet_sends(puppets[3], "3.4");
    net.run_for(ms(10));
    let all = net.recv_all(router);
    assert_eq!(all[0], "alice|0.0");
    let made_up = all[1].strip_suffix("|1.0").unwrap();
    assert!(made_up.starts_with('\0'));
    assert_eq!(all[2], format!("{made_up}|1.1"));
    assert_eq!(all[3..6], ["bob|2.0", "bob|2.1", "bob|2.2"]);
    let rest: Vec<_> = (0..5).map(|k| format!("alice|3.{k}")).collect();
    assert_eq!(all[6..], rest);
}

#[test]
fn who_comes_back_is_the_same() {
    // SOCK-67, SOCK-68
    let (mut net, router) = router_with(Config::default());
    let config = Config {
        identity: identity("alice"),
        ..Config::default()
    };
    let alice = net.socket_with(Kind::Dealer, config);
    net.connect(alice, HERE);
    net.run_for(ms(10));
    for n in 0..5 {
        net.send(alice, format!("{n}"));
        net.run_for(ms(10));
        net.cut(alice);
        net.run_for(ms(1));
        assert_eq!(
            net.try_send(router, frames("alice|gone")),
            Err(SendError::Unroutable)
        );
        net.run_for(ms(500));
        net.send(router, frames(&format!("alice|{n}")));
        net.run_for(ms(10));
        assert_eq!(net.recv_all(alice), [n.to_string()]);
    }
    let expected: Vec<_> = (0..5).map(|n| format!("alice|{n}")).collect();
    assert_eq!(net.recv_all(router), expected);
}

/// A ROUTER that dialled somebody called alice, who is gone now, and for whom two messages wait.
fn dialled_and_gone() -> (Net, HostId, atonce::socket::ConnectId) {
    let mut net = Net::new();
    let router = net.socket(Kind::Router);
    let alice = net.puppet_at(SocketType::Dealer, HERE);
    net.the_puppet(alice).connection = Some(zmtp::Connection::new(net.now, named("alice")));
    let connect = net.connect(router, HERE);
    assert_eq!(
        net.try_send(router, frames("alice|too early")),
        Err(SendError::Unroutable)
    );
    net.run_for(ms(10));
    net.kill(alice);
    net.run_for(ms(10));
    net.send(router, frames("alice|one"));
    net.send(router, frames("alice|two"));
    (net, router, connect)
}

#[test]
fn what_waits_for_who_was_dialled_goes_out_when_the_same_comes_back() {
    // SOCK-68
    let (mut net, router, _) = dialled_and_gone();
    let alice = net.puppet_at(SocketType::Dealer, HERE);
    net.the_puppet(alice).connection = Some(zmtp::Connection::new(net.now, named("alice")));
    net.run_for(ms(1_000));
    net.send(router, frames("alice|three"));
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(alice), ["one", "two", "three"]);
    assert_eq!(net.the(router).counters().messages_lost, 0);
}

#[test]
fn what_waits_for_who_was_dialled_is_for_nobody_else() {
    // SOCK-68
    for name in ["bob", ""] {
        let (mut net, router, _) = dialled_and_gone();
        let other = net.puppet_at(SocketType::Dealer, HERE);
        net.the_puppet(other).connection = Some(zmtp::Connection::new(net.now, named(name)));
        net.run_for(ms(1_000));
        assert_eq!(net.puppet_hears(other), [""; 0]);
        assert_eq!(net.the(router).counters().messages_lost, 2);
        assert_eq!(
            net.try_send(router, frames("alice|three")),
            Err(SendError::Unroutable)
        );
        net.puppet_sends(other, "hello");
        net.run_for(ms(10));
        let mut message = net.recv(router).unwrap();
        assert!(name.is_empty() || message[0] == name);
        message.push("back");
        net.send(router, message);
        net.run_for(ms(10));
        assert_eq!(net.puppet_hears(other), ["hello|back"]);
    }
}

#[test]
fn who_is_not_dialled_any_more_is_nobody() {
    // SOCK-68, SOCK-69
    let (mut net, router, connect) = dialled_and_gone();
    let now = net.now;
    net.the(router).disconnect(now, connect);
    assert_eq!(
        net.try_send(router, frames("alice|three")),
        Err(SendError::Unroutable)
    );
    assert_eq!(net.the(router).counters().messages_lost, 2);
    // Somebody else can have the name.
    net.bind(router, THERE);
    let alice = net.puppet_with(named("alice"), THERE);
    net.run_for(ms(10));
    net.send(router, frames("alice|hello"));
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(alice), ["hello"]);
    assert_nothing_is_kept(net.the(router), 1);
}

#[test]
fn who_is_there_has_the_name_before_who_was_dialled_and_is_gone() {
    // SOCK-65, SOCK-68
    let (mut net, router, _) = dialled_and_gone();
    net.bind(router, THERE);
    let second = net.puppet_with(named("alice"), THERE);
    net.run_for(ms(10));
    assert_eq!(net.the(router).counters().messages_lost, 2);
    net.send(router, frames("alice|to the second"));
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(second), ["to the second"]);
    net.events(router);
    // The first one is back, and too late.
    let first = net.puppet_at(SocketType::Dealer, HERE);
    net.the_puppet(first).connection = Some(zmtp::Connection::new(net.now, named("alice")));
    net.run_for(ms(1_000));
    assert!(net.the_puppet(first).ended);
    let ends = ends(&mut net, router);
    assert!(ends.contains(&(Why::IdentityTaken, 0)), "{ends:?}");
    net.send(router, frames("alice|still"));
    net.run_for(ms(10));
    assert_eq!(net.puppet_hears(second), ["still"]);
    assert_eq!(net.puppet_hears(first), [""; 0]);
}

// ---- floods

/// That the pattern has names for so many peers and for nobody else.
fn assert_nothing_is_kept(socket: &Socket, peers: usize) {
    let shown = format!("{socket:?}");
    let expected = format!("Router {{ routes: {peers}, names: {peers} links, absent: {{}}");
    assert!(shown.contains(&expected), "{shown}");
}

/// What a DEALER of this name says before its first message to a ROUTER, and then `hello`.
fn says_hello(name: &str) -> Vec<u8> {
    let mut here = zmtp::Connection::new(Instant::ZERO, named(name));
    let mut there = zmtp::Connection::new(Instant::ZERO, zmtp::Config::new(SocketType::Router));
    here.send(Frames::from("hello")).unwrap();
    let mut said = Vec::new();
    for _ in 0..3 {
        let octets = here.poll_transmit().collect::<Vec<_>>().concat();
        here.handle_transmitted(Instant::ZERO, octets.len());
        said.extend_from_slice(&octets);
        there.handle_input(Instant::ZERO, &octets);
        let octets = there.poll_transmit().collect::<Vec<_>>().concat();
        there.handle_transmitted(Instant::ZERO, octets.len());
        here.handle_input(Instant::ZERO, &octets);
    }
    said
}

/// Takes all that a socket wants to send, and does what it asks for; whether it closed the link.
fn drain(socket: &mut Socket, now: Instant, link: LinkId) -> (Vec<u8>, bool) {
    let octets: Vec<u8> = socket.poll_transmit(link).flatten().copied().collect();
    socket.handle_transmitted(now, link, octets.len());
    let mut closed = false;
    while let Some(action) = socket.poll_action() {
        closed |= matches!(action, atonce::socket::Action::Close { link: it } if it == link);
    }
    while socket.poll_event().is_some() {}
    (octets, closed)
}

#[test]
fn a_flood_of_fresh_identities_stays_within_the_limits_and_costs_nobody_his_link() {
    // SOCK-69
    let now = Instant::from_millis(1_000);
    let config = Config {
        links: 500,
        unready_links: 50,
        ..Config::default()
    };
    let mut router = Socket::new(now, [7; 32], Kind::Router, config);
    let listener = router.bind(now, &HERE.parse().unwrap()).unwrap();
    let enters = |router: &mut Socket, name: &str| {
        let link = router.handle_accepted(now, listener, None)?;
        let said = says_hello(name);
        // The greeting of the ROUTER is there before READY is said.
        router.handle_received(now, link, &said);
        drain(router, now, link);
        Some(link)
    };
    let healthy: Vec<_> = (0..20)
        .map(|n| enters(&mut router, &format!("healthy {n}")).unwrap())
        .collect();
    let mut taken = 0;
    while router.recv(now).unwrap().is_some() {
        taken += 1;
    }
    assert_eq!(taken, 20);
    // They stay: nobody more than there may be gets in.
    let mut flood: Vec<_> = (0..10_000)
        .filter_map(|n| enters(&mut router, &format!("stranger {n}")))
        .collect();
    assert_eq!(flood.len(), 480);
    assert_eq!(router.counters().refused, 9_520);
    let usage = router.usage();
    assert_eq!(
        (usage.links, usage.peers, usage.pending_messages),
        (500, 500, 480)
    );
    // They go, and new ones come: nobody's name is kept, but what they said is still given.
    let mut names = BTreeSet::new();
    for n in 0..10_000 {
        let gone = flood.remove(0);
        router.handle_disconnected(now, gone, Cut::Reset);
        while router.poll_action().is_some() {}
        if n % 2 == 0 {
            // Not even a handshake.
            let link = router.handle_accepted(now, listener, None);
            if let Some(link) = link {
                router.handle_received(now, link, &says_hello("x")[..70]);
                drain(&mut router, now, link);
                router.handle_disconnected(now, link, Cut::Reset);
            }
        }
        while let Some(message) = router.recv(now).unwrap() {
            assert_eq!(message[1], "hello");
            assert!(names.insert(message[0].clone()));
        }
        flood.push(enters(&mut router, &format!("fresh {n}")).unwrap());
    }
    while let Some(message) = router.recv(now).unwrap() {
        assert!(names.insert(message[0].clone()));
    }
    assert_eq!(names.len(), 10_480);
    assert_eq!(router.usage().links, 500);
    assert_nothing_is_kept(&router, 500);
    // Who was there first still is.
    for (n, link) in healthy.into_iter().enumerate() {
        router
            .send(now, &frames(&format!("healthy {n}|still there")))
            .unwrap();
        let (octets, _) = drain(&mut router, now, link);
        assert!(octets.ends_with(b"still there"));
    }
    for link in flood {
        router.handle_disconnected(now, link, Cut::Reset);
    }
    assert_nothing_is_kept(&router, 20);
    assert_eq!(router.recv(now), Ok(None));
}

#[test]
fn one_peer_that_floods_under_one_name_fills_its_own_queue_only() {
    // SOCK-61, SOCK-65
    let (mut net, router) = router_with(Config {
        receive: QueueLimit {
            messages: 10,
            octets: 1 << 20,
        },
        ..Config::default()
    });
    let (loud, quiet) = (
        net.puppet_with(named("loud"), HERE),
        net.puppet_with(named("quiet"), HERE),
    );
    net.run_for(ms(10));
    // The same octets come from strangers who want its name.
    for _ in 0..100 {
        let thief = net.puppet_with(named("quiet"), HERE);
        net.puppet_sends(thief, "forged");
    }
    net.puppet_sends(quiet, "hello");
    for n in 0..1_000 {
        net.puppet_sends(loud, n.to_string());
    }
    net.run_for(ms(2_000));
    assert_eq!(net.links(router), 2);
    assert!(net.the(router).usage().pending_messages < 1_002);
    let all = net.recv_all(router);
    assert!(all[..2].contains(&"quiet|hello".to_owned()));
    assert!(!all.contains(&"quiet|forged".to_owned()));
}

// ---- what a device must not pass on

#[test]
fn a_message_that_leaves_no_room_for_the_identity_is_discarded() {
    // SOCK-70
    let (mut net, router) = router_with(Config::default());
    let (back, pull) = (net.socket(Kind::Dealer), net.socket(Kind::Dealer));
    net.bind(pull, THERE);
    net.connect(back, THERE);
    let (mallory, alice) = (
        net.puppet_with(named("mallory"), HERE),
        net.puppet_with(named("alice"), HERE),
    );
    net.run_for(ms(10));
    for many in [1_024, 1_023, 1_024, 1] {
        net.puppet_sends(mallory, (0..many).map(|_| "x").collect::<Frames>());
    }
    net.puppet_sends(alice, "hello");
    net.run_for(ms(10));
    let mut passed = Vec::new();
    while let Some(message) = net.recv(router) {
        passed.push(message.len());
        net.send(back, message);
    }
    passed.sort_unstable();
    assert_eq!(passed, [2, 2, 1_024]);
    assert_eq!(net.the(router).counters().messages_discarded, 2);
    assert_eq!(net.the(router).counters().messages_received, 3);
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull).len(), 3);
    assert_eq!(net.the(pull).counters().failed, 0);
    assert_eq!(net.links(router), 2);
}

// ---- two ROUTERs

#[test]
fn two_routers_know_each_other_by_name() {
    // SOCK-60, SOCK-62
    let mut net = Net::new();
    let named = |name: &str| Config {
        identity: identity(name),
        ..Config::default()
    };
    let (one, two) = (
        net.socket_with(Kind::Router, named("one")),
        net.socket_with(Kind::Router, named("two")),
    );
    net.bind(two, HERE);
    net.connect(one, HERE);
    net.run_for(ms(10));
    net.send(one, frames("two|hello"));
    net.send(two, frames("one|hello"));
    net.run_for(ms(10));
    assert_eq!(net.recv_all(one), ["two|hello"]);
    assert_eq!(net.recv_all(two), ["one|hello"]);
    let now = net.now;
    net.the(one).close(now);
    assert_eq!(net.try_recv(one), Err(RecvError::Closed));
    net.run_for(ms(10));
    assert_eq!(
        net.try_send(two, frames("one|gone")),
        Err(SendError::Unroutable)
    );
}
