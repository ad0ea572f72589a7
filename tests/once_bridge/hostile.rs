//! A bridge beside others that say what they like.

use atonce::once::bridge::{Action, Event as Told};
use atonce::once::session::{self};
use atonce::once::{Limits, Mechanism, Role, Sessions, Which};
use atonce::wire::once::{
    Change, Code, Message, Part, Peer as Listed, Reason, RemoteAgain, RemoteShout, RemoteWhisper,
    Roster, Target, V2,
};
use atonce::zre::ExitReason;
use atonce::{Event, Frames, Instant};

use crate::duel::{BRIDGE, CLIENT, Duel, Puppet, client, declared, listed};
use crate::net::{id, text};

#[test]
fn nothing_counts_before_something_is_proved() {
    // ONCE-108
    let mut duel = Duel::bridges(&[]);
    let peer = declared(0xE0, Role::Bridge);
    duel.remote(Event::Enter { peer: peer.clone() });
    let stranger = client(9);
    duel.remote(Event::Enter {
        peer: stranger.clone(),
    });
    for peer in [peer, stranger] {
        for message in [
            V2::Roster(Roster {
                epoch: 1,
                number: 1,
                part: Part::WHOLE,
                peers: vec![listed(2, "two")],
            }),
            V2::GetRoster { epoch: 0, from: 0 },
            V2::RemoteWhisper(RemoteWhisper {
                epoch: 1,
                number: 1,
                from: id(2),
                to: id(CLIENT),
                content: Frames::from("hello"),
            }),
        ] {
            let content = Message::from(message).encode();
            let peer = peer.clone();
            duel.remote(Event::Whisper { peer, content });
        }
    }
    assert!(duel.shown().is_empty() && duel.delivered().is_empty());
    assert_eq!(duel.bridge.usage().far_peers, 0);
    assert_eq!(duel.bridge.usage().met, 0);
}

#[test]
fn a_bridge_speaks_for_its_own_peers_alone() {
    // ONCE-105, ONCE-106
    let mut duel = Duel::bridges(&[0xC0, 0xE0]);
    duel.roster(0, 5, 1, vec![listed(2, "two")]);
    duel.roster(1, 6, 1, vec![listed(3, "three")]);
    assert_eq!(duel.shown(), [id(2), id(3)]);
    for octet in [2, 3] {
        duel.reaches(octet);
    }
    // For a peer of another bridge, for one of ours, for one that nobody has, for itself.
    for (n, from) in [2, CLIENT, 77, 0xE0].into_iter().enumerate() {
        duel.whisper(1, 6, n as u64 + 1, from, CLIENT);
        let not_yours = Told::NotYours {
            bridge: id(0xE0),
            peer: id(from),
        };
        assert_eq!(duel.told.last(), Some(&not_yours));
    }
    let shout = RemoteShout {
        epoch: 6,
        number: 5,
        from: id(2),
        group: text("G"),
        to: vec![id(CLIENT)],
        content: Frames::from("hello"),
    };
    duel.say(1, V2::RemoteShout(shout));
    assert!(duel.delivered().is_empty());
    let to = || Target::Peer(id(CLIENT));
    let reasons = duel.reasons(1);
    assert_eq!(reasons[..4], [(); 4].map(|()| (to(), Reason::NOT_YOURS)));
    assert_eq!(reasons[4], (Target::Group(text("G")), Reason::NOT_YOURS));
    // Its own may.
    duel.whisper(1, 6, 6, 3, CLIENT);
    assert_eq!(duel.delivered(), [(id(3), false)]);
    // And not in another epoch than that of the roster.
    duel.whisper(1, 7, 7, 3, CLIENT);
    assert_eq!(duel.delivered().len(), 1);
}

#[test]
fn who_is_claimed_by_another_is_not_believed() {
    // ONCE-86
    let mut duel = Duel::bridges(&[0xC0, 0xE0]);
    duel.roster(0, 5, 1, vec![listed(2, "two")]);
    let liar = [CLIENT, 2, 0xC0, BRIDGE, 66, 0xE0];
    let peers = liar.map(|octet| listed(octet, "liar")).to_vec();
    duel.roster(1, 6, 1, peers);
    assert_eq!(duel.shown(), [id(2)]);
    let claims = duel.told.iter().filter_map(|event| match event {
        Told::Claimed {
            bridge,
            peer,
            holder,
        } => Some((*bridge, *peer, *holder)),
        _ => None,
    });
    let e = id(0xE0);
    let mut wanted = [
        (e, id(CLIENT), id(BRIDGE)),
        (e, id(2), id(0xC0)),
        (e, id(0xC0), id(0xC0)),
        (e, id(BRIDGE), id(BRIDGE)),
    ];
    wanted.sort();
    let mut claims: Vec<_> = claims.collect();
    claims.sort();
    assert_eq!(claims, wanted);
    // What it says for them does not arrive; nor is it told again, since they are in its roster.
    duel.reaches(2);
    let before = duel.told.len();
    for (n, from) in liar.into_iter().enumerate() {
        duel.whisper(1, 6, n as u64 + 1, from, CLIENT);
    }
    assert!(duel.delivered().is_empty());
    assert_eq!(duel.told.len(), before);
    assert_eq!(duel.reasons(1).len(), liar.len());
    // When the first one gives it up, the other has it.
    duel.change(0, 5, 2, Change::Exit { uuid: id(2) });
    assert_eq!(duel.shown(), [id(2)]);
    let (Some(Told::Enter { bridge, .. }), Some(Told::Exit { .. })) =
        (duel.told.last(), duel.told.iter().rev().nth(1))
    else {
        panic!("{:?}", duel.told);
    };
    assert_eq!(*bridge, e);
}

#[test]
fn a_bridge_that_comes_is_no_peer_of_another() {
    // ONCE-86, ONCE-92
    let mut duel = Duel::bridges(&[0xE0, 0xC0]);
    duel.exit(1);
    duel.roster(0, 6, 1, vec![listed(0xC0, "liar")]);
    assert_eq!(duel.shown(), [id(0xC0)]);
    duel.enter(1);
    assert!(duel.shown().is_empty());
    let last = duel
        .acts
        .iter()
        .rev()
        .find(|act| matches!(act, Action::Retire { .. }));
    let quiet = Action::Retire {
        stand_in: id(0xC0),
        goodbye: false,
    };
    assert_eq!(last, Some(&quiet));
}

#[test]
fn a_number_that_was_taken_is_not_taken_again() {
    // ONCE-100
    let mut duel = Duel::bridges(&[0xE0]);
    duel.roster(0, 6, 1, vec![listed(2, "two")]);
    duel.reaches(2);
    for number in [1, 1, 2, 5, 4, 5, 0, 6] {
        duel.whisper(0, 6, number, 2, CLIENT);
    }
    assert_eq!(duel.delivered().len(), 4);
    assert_eq!(duel.bridge.counters().missed, 2);
    // Nor after a new link, in the same epoch.
    duel.exit(0);
    duel.enter(0);
    duel.roster(0, 6, 1, vec![listed(2, "two")]);
    duel.reaches(2);
    for number in [6, 7] {
        duel.whisper(0, 6, number, 2, CLIENT);
    }
    assert_eq!(duel.delivered().len(), 5);
    // A new epoch begins with what comes.
    duel.exit(0);
    duel.enter(0);
    duel.roster(0, 9, 1, vec![listed(2, "two")]);
    duel.reaches(2);
    duel.whisper(0, 9, 3, 2, CLIENT);
    assert_eq!(duel.delivered().len(), 6);
    assert_eq!(duel.bridge.counters().missed, 2);
}

#[test]
fn what_is_said_again_is_looked_up_and_refused_when_it_is_not_there() {
    // ONCE-104
    let mut duel = Duel::bridges(&[0xE0]);
    duel.roster(0, 6, 1, vec![listed(2, "two")]);
    duel.reaches(2);
    let again = |number, of| {
        V2::RemoteAgain(RemoteAgain {
            epoch: 6,
            number,
            of,
            to: vec![id(CLIENT), id(CLIENT)],
        })
    };
    duel.say(0, again(1, 1));
    let shout = RemoteShout {
        epoch: 6,
        number: 2,
        from: id(2),
        group: text("G"),
        to: vec![],
        content: Frames::from("hello"),
    };
    duel.say(0, V2::RemoteShout(shout));
    duel.say(0, again(3, 2));
    duel.say(0, again(4, 3));
    assert_eq!(duel.delivered(), [(id(2), true)]);
    let nopes = duel.puppets[0].heard.iter();
    let nopes = nopes
        .filter(|it| matches!(it, V2::Nope(it) if it.about == 0x43 && it.code == Code::UNEXPECTED));
    assert_eq!(nopes.count(), 2);
}

#[test]
fn a_gap_is_asked_for_once() {
    // ONCE-83
    let mut duel = Duel::bridges(&[0xE0]);
    duel.puppets[0].heard.clear();
    duel.roster(0, 6, 3, vec![listed(2, "two")]);
    for number in [7, 8, 9] {
        duel.change(0, 6, number, Change::Exit { uuid: id(2) });
    }
    assert_eq!(duel.shown(), [id(2)]);
    assert_eq!(duel.puppets[0].heard, [V2::GetRoster { epoch: 6, from: 4 }]);
    // What was known already changes nothing; what lacked closes the gap.
    duel.change(0, 6, 3, Change::Exit { uuid: id(2) });
    duel.change(0, 6, 4, Change::Enter(listed(3, "three")));
    assert_eq!(duel.shown(), [id(2), id(3)]);
    // Another epoch is another roster.
    duel.puppets[0].heard.clear();
    duel.change(0, 7, 5, Change::Exit { uuid: id(2) });
    assert_eq!(duel.puppets[0].heard, [V2::GetRoster { epoch: 6, from: 5 }]);
    duel.roster(0, 7, 5, vec![listed(3, "three"), listed(4, "four")]);
    assert_eq!(duel.shown(), [id(3), id(4)]);
}

#[test]
fn nothing_of_a_roster_counts_before_all_of_it_is_there() {
    // ONCE-82
    let mut duel = Duel::bridges(&[0xE0]);
    let part = |number, index, peers: Vec<Listed>| {
        V2::Roster(Roster {
            epoch: 6,
            number,
            part: Part::new(index, 3).unwrap(),
            peers,
        })
    };
    duel.say(0, part(4, 0, vec![listed(2, "two")]));
    duel.say(0, part(4, 1, vec![listed(3, "three")]));
    // It begins anew.
    duel.say(0, part(4, 0, vec![listed(4, "four")]));
    duel.say(0, part(4, 1, vec![listed(5, "five")]));
    // One that does not belong to it: all is to be said again.
    duel.puppets[0].heard.clear();
    duel.say(0, part(5, 2, vec![listed(6, "six")]));
    assert!(duel.shown().is_empty());
    assert_eq!(duel.puppets[0].heard, [V2::GetRoster { epoch: 0, from: 0 }]);
    duel.say(0, part(5, 2, vec![listed(6, "six")]));
    for index in 0..3 {
        duel.say(0, part(5, index, vec![listed(10 + index as u8, "all")]));
    }
    assert_eq!(duel.shown(), [id(10), id(11), id(12)]);
}

#[test]
fn a_roster_over_the_limits_is_dropped_and_refused() {
    // ONCE-84
    let limits = Limits {
        roster_peers: 3,
        roster_octets: 1_000,
        ..Limits::default()
    };
    let enter = |octet, name: &str| Change::Enter(listed(octet, name));
    type Way = fn(&mut Duel, &dyn Fn(u8, &str) -> Change);
    let ways: [Way; 3] = [
        |duel, _| {
            let peers = (10..14).map(|octet| listed(octet, "x")).collect();
            duel.roster(0, 6, 2, peers);
        },
        |duel, enter| {
            for number in 2..5 {
                duel.change(0, 6, number, enter(8 + number as u8, "x"));
            }
        },
        |duel, _| {
            for number in 2..6 {
                let group = text(&format!("{number:0>250}"));
                let uuid = id(2);
                duel.change(0, 6, number, Change::Join { uuid, group });
            }
        },
    ];
    for way in ways {
        let mut duel = Duel::new(&limits, &[(0xE0, Role::Bridge)]);
        duel.roster(0, 6, 1, vec![listed(2, "two")]);
        assert_eq!(duel.shown(), [id(2)]);
        way(&mut duel, &enter);
        assert!(duel.shown().is_empty());
        assert_eq!(duel.bridge.usage().far_peers, 0);
        let refused = Told::Refused {
            peer: id(0xE0),
            code: Code::MALFORMED,
            us: false,
        };
        assert_eq!(duel.told.iter().filter(|it| **it == refused).count(), 1);
        let nope = duel.puppets[0].heard.iter();
        assert!(
            nope.clone()
                .any(|it| matches!(it, V2::Nope(it) if it.code == Code::MALFORMED))
        );
        // Nothing of it is taken while this link lasts.
        duel.roster(0, 6, 9, vec![listed(2, "two")]);
        assert!(duel.shown().is_empty());
        duel.exit(0);
        duel.enter(0);
        duel.roster(0, 6, 9, vec![listed(2, "two")]);
        assert_eq!(duel.shown(), [id(2)]);
    }
}

#[test]
fn what_waits_is_bounded_and_is_given_up_in_time() {
    // ONCE-101
    let limits = Limits {
        waiting_octets: 1_000,
        ..Limits::default()
    };
    let mut duel = Duel::new(&limits, &[(0xE0, Role::Bridge)]);
    duel.roster(0, 6, 1, vec![listed(2, "two")]);
    for number in 1..=20 {
        duel.whisper(0, 6, number, 2, CLIENT);
    }
    assert!(duel.delivered().is_empty());
    let full = duel.reasons(0);
    assert!(full.iter().all(|(_, reason)| *reason == Reason::FULL));
    assert_eq!(full.len(), 13);
    duel.now = Instant::from_millis(9_999);
    duel.bridge.handle_timeout(duel.now);
    duel.pump();
    assert!(duel.reasons(0).is_empty());
    duel.now = Instant::from_millis(10_000);
    duel.bridge.handle_timeout(duel.now);
    duel.pump();
    let gone = duel.reasons(0);
    assert_eq!(gone.len(), 7);
    assert!(gone.iter().all(|(_, reason)| *reason == Reason::UNKNOWN));
    assert_eq!(duel.bridge.usage().waiting_octets, 0);
    duel.reaches(2);
    duel.whisper(0, 6, 21, 2, CLIENT);
    assert_eq!(duel.delivered().len(), 1);
}

#[test]
fn contacts_are_connected_to_and_forgotten() {
    // ONCE-118
    use atonce::wire::once::Contact;
    let mut duel = Duel::new(
        &Limits::default(),
        &[
            (0xE0, Role::Bridge),
            (0xF0, Role::Server),
            (0xF1, Role::Server),
        ],
    );
    let contact = |octet, endpoint: &str| Contact {
        uuid: id(octet),
        name: text("bridge"),
        endpoint: text(endpoint),
        beacon: None,
        key: None,
    };
    let acts = |duel: &mut Duel| -> Vec<String> {
        let acts = std::mem::take(&mut duel.acts);
        let acts = acts.iter().filter_map(|act| match act {
            Action::Connect {
                endpoint,
                key: None,
            } => Some(format!("+{endpoint}")),
            Action::Forget { endpoint } => Some(format!("-{endpoint}")),
            _ => None,
        });
        acts.collect()
    };
    let say = |duel: &mut Duel, at, contacts| duel.say(at, V2::ListEndpoints { contacts });
    let (a, b) = ("tcp://192.0.2.7:49152", "tcp://192.0.2.8:49152");
    let keyed = Contact {
        key: Some([1; 32]),
        ..contact(0x90, "tcp://192.0.2.9:49152")
    };
    let ours = contact(BRIDGE, "tcp://192.0.2.1:49152");
    let bad = contact(0x91, "nonsense");
    say(
        &mut duel,
        1,
        vec![contact(0xE0, a), contact(0x80, b), keyed, ours, bad],
    );
    assert_eq!(acts(&mut duel), [format!("+{a}"), format!("+{b}")]);
    say(&mut duel, 2, vec![contact(0x80, b)]);
    assert!(acts(&mut duel).is_empty());
    // The one is here, the other one is listed elsewhere.
    say(&mut duel, 1, vec![]);
    assert!(acts(&mut duel).is_empty());
    duel.exit(0);
    assert_eq!(acts(&mut duel), [format!("-{a}")]);
    // A server that is gone says nothing else.
    duel.exit(2);
    assert!(acts(&mut duel).is_empty());
    duel.enter(2);
    say(&mut duel, 2, vec![]);
    assert_eq!(acts(&mut duel), [format!("-{b}")]);
    // A bridge has no contacts to tell.
    duel.enter(0);
    say(&mut duel, 0, vec![contact(0x80, b)]);
    assert!(acts(&mut duel).is_empty());
}

#[test]
fn what_is_not_for_a_bridge_or_a_server_to_say_is_refused() {
    // ONCE-108
    let mut duel = Duel::new(
        &Limits::default(),
        &[(0xE0, Role::Bridge), (0xF0, Role::Server)],
    );
    for (at, message) in [
        (0, V2::GetEndpoints),
        (1, V2::GetRoster { epoch: 0, from: 0 }),
        (
            1,
            V2::Roster(Roster {
                epoch: 1,
                number: 1,
                part: Part::WHOLE,
                peers: vec![listed(2, "two")],
            }),
        ),
    ] {
        let id = message.id();
        duel.puppets[at].heard.clear();
        duel.say(at, message);
        let [V2::Nope(nope)] = &duel.puppets[at].heard[..] else {
            panic!("{:?}", duel.puppets[at].heard);
        };
        assert_eq!((nope.about, nope.code), (id, Code::UNEXPECTED));
    }
    assert!(duel.shown().is_empty());
}

#[test]
fn the_last_change_is_said_unasked() {
    // ONCE-83
    let duel = Duel::bridges(&[0xE0]);
    let changes = duel.puppets[0].heard.iter();
    let changes = changes.filter(|it| matches!(it, V2::Delta(it) if it.number == 1));
    assert_eq!(changes.count(), 1);
}

#[test]
fn who_enters_as_another_is_another_and_else_joins_and_leaves() {
    // ONCE-85, ONCE-92, ONCE-95
    let mut duel = Duel::bridges(&[0xE0]);
    duel.roster(0, 6, 1, vec![listed(2, "two")]);
    duel.acts.clear();
    let mut peer = listed(2, "two");
    peer.groups = [text("H")].into();
    duel.change(0, 6, 2, Change::Enter(peer));
    let node = Which::StandIn(id(2));
    let (left, joined) = (text("G"), text("H"));
    let acts = std::mem::take(&mut duel.acts);
    let wanted = [
        Action::Leave { node, group: left },
        Action::Join {
            node,
            group: joined,
        },
    ];
    assert_eq!(acts, wanted);
    duel.change(0, 6, 3, Change::Enter(listed(2, "another")));
    assert_eq!(duel.retired(), [(id(2), false)]);
    let names = duel.acts.iter().filter_map(|act| match act {
        Action::Start(stand_in) => Some(&stand_in.name),
        _ => None,
    });
    assert!(names.eq([&text("another")]));
    // What is not there neither joins, leaves nor exits.
    duel.acts.clear();
    let (uuid, group) = (id(9), text("G"));
    duel.change(
        0,
        6,
        4,
        Change::Join {
            uuid,
            group: group.clone(),
        },
    );
    duel.change(0, 6, 5, Change::Leave { uuid, group });
    duel.change(0, 6, 6, Change::Exit { uuid });
    assert!(duel.acts.is_empty());
    // And with the one who has nobody else it goes with a goodbye.
    duel.change(0, 6, 7, Change::Exit { uuid: id(2) });
    assert_eq!(duel.retired(), [(id(2), true)]);
}

#[test]
fn who_goes_over_to_another_bridge_says_no_goodbye() {
    // ONCE-86, ONCE-92
    let mut duel = Duel::bridges(&[0xC0, 0xE0]);
    duel.roster(0, 5, 1, vec![listed(2, "two")]);
    duel.roster(1, 6, 1, vec![listed(2, "two")]);
    assert!(duel.retired().is_empty());
    duel.exit(0);
    assert_eq!(duel.retired(), [(id(2), false)]);
    assert_eq!(duel.shown(), [id(2)]);
    // Nor one that is here.
    duel.local(Event::Enter { peer: client(2) });
    assert_eq!(duel.retired(), [(id(2), false); 2]);
}

#[test]
fn a_bridge_of_this_lan_tells_of_nobody_else() {
    // ONCE-113
    let mut duel = Duel::bridges(&[0xA0]);
    duel.roster(0, 6, 1, vec![listed(2, "two"), listed(CLIENT, "ours")]);
    assert_eq!(duel.shown(), [id(2)]);
    duel.on_the_lan(0);
    assert!(duel.shown().is_empty());
    duel.change(0, 6, 2, Change::Enter(listed(3, "three")));
    assert!(duel.shown().is_empty());
    // When it is not there any more, what it tells counts.
    let peer = duel.puppets[0].peer.clone();
    let reason = ExitReason::Left;
    duel.local(Event::Exit { peer, reason });
    assert_eq!(duel.shown(), [id(2), id(3)]);
}

#[test]
fn who_stands_down_says_so_to_all() {
    // ONCE-80, ONCE-92, ONCE-112
    let mut duel = Duel::bridges(&[0xA0, 0xE0]);
    duel.roster(1, 6, 1, vec![listed(2, "two")]);
    duel.say(1, V2::GetRoster { epoch: 0, from: 0 });
    duel.on_the_lan(0);
    assert!(duel.bridge.is_active());
    duel.acts.clear();
    duel.puppets[1].heard.clear();
    duel.local(Event::Join {
        peer: duel.puppets[0].peer.clone(),
        group: text("X-ONCE-ACTIVE"),
    });
    assert!(!duel.bridge.is_active());
    let left = Action::Leave {
        node: Which::Local,
        group: text("X-ONCE-ACTIVE"),
    };
    let retired = Action::Retire {
        stand_in: id(2),
        goodbye: false,
    };
    assert_eq!(duel.acts, [left, retired]);
    let exits = duel.puppets[1].heard.iter();
    let exits = exits
        .filter(|it| matches!(it, V2::Delta(it) if it.change == Change::Exit { uuid: id(CLIENT) }));
    assert_eq!(exits.count(), 1);
    assert_eq!(duel.bridge.usage().roster, 0);
    // Nothing is for anybody here any more.
    duel.whisper(1, 6, 1, 2, CLIENT);
    assert_eq!(
        duel.reasons(1),
        [(Target::Peer(id(CLIENT)), Reason::UNKNOWN)]
    );
    assert_eq!(duel.told.last(), Some(&Told::Standby { bridge: id(0xA0) }));
}

#[test]
fn what_the_other_side_does_not_have_is_said_in_full_again() {
    // ONCE-104
    let mut duel = Duel::bridges(&[0xE0]);
    duel.say(0, V2::GetRoster { epoch: 0, from: 0 });
    duel.roster(0, 6, 1, vec![listed(2, "two"), listed(3, "three")]);
    for stand_in in [2, 3] {
        duel.reaches(stand_in);
    }
    duel.shouts(2, "hello");
    duel.shouts(3, "hello");
    assert_eq!(duel.shouted(0), [(1, false), (2, true)]);
    let nope = atonce::wire::once::Nope {
        about: 0x43,
        code: Code::UNEXPECTED,
        text: text(""),
    };
    duel.say(0, V2::Nope(nope));
    duel.shouts(3, "hello");
    duel.shouts(2, "hello");
    assert_eq!(duel.shouted(0), [(3, false), (4, true)]);
    // A new link begins anew, and its numbers go on.
    duel.exit(0);
    duel.enter(0);
    duel.say(0, V2::GetRoster { epoch: 0, from: 0 });
    duel.roster(0, 6, 1, vec![listed(2, "two"), listed(3, "three")]);
    duel.reaches(2);
    duel.shouts(2, "hello");
    assert_eq!(duel.shouted(0), [(5, false)]);
}

#[test]
fn numbers_go_on_for_a_bridge_that_was_forgotten() {
    // ONCE-87
    let limits = Limits {
        bridges: 1,
        ..Limits::default()
    };
    let mut duel = Duel::new(&limits, &[(0xE0, Role::Bridge)]);
    let peers = || vec![listed(2, "two")];
    duel.roster(0, 6, 1, peers());
    duel.shouts(2, "one");
    duel.shouts(2, "two");
    assert_eq!(duel.shouted(0), [(1, false), (2, false)]);
    duel.exit(0);
    // There is room for one alone.
    let config = session::Config {
        id: id(0xC0),
        key: None,
        role: Role::Bridge,
        mechanisms: vec![Mechanism::Open],
        limits: limits.clone(),
    };
    duel.puppets.push(Puppet {
        peer: declared(0xC0, Role::Bridge),
        sessions: Sessions::new([1; 32], config),
        heard: Vec::new(),
    });
    duel.enter(1);
    assert_eq!(duel.bridge.usage().met, 1);
    duel.exit(1);
    duel.enter(0);
    duel.roster(0, 6, 1, peers());
    duel.shouts(2, "three");
    assert_eq!(duel.shouted(0), [(3, false)]);
}
