//! What @Once promises, one promise at a time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that is wrong may stop

mod net;
mod relay;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atonce::once::{self, Limits, Mechanism, Role, Roles, Which, bridge};
use atonce::wire::Headers;
use atonce::wire::once::{self as wire, Message, RemoteShout, RemoteWhisper, V2};
use atonce::zre::Beacons;
use atonce::{Bytes, Config, Event, Frames, Peer, PeerId};
use atonce_sim::once::{Bridge, DIRECTED_PORT, Server};
use atonce_sim::{NodeId, Nodes, Place, Program, ProgramId};
use net::{Net, SERVER, World, bridge_id, id, s, secret, text, view};

#[test]
fn nodes_of_two_lans_see_each_other_and_talk() {
    let mut net = Net::new(&[1, 1], &[]);
    let took = net.meet(2);
    assert!(took < s(15), "{took:?}");
    net.talk("first");
    // Name, headers and groups are its own.
    let stack = net.sim.stack(net.lans[0].peers[0]).unwrap();
    let far = stack.peer(id(1, 1)).unwrap();
    assert_eq!(far.peer.name, *"lan1-peer1");
    let mine = far.peer.headers.get("X-WHAT").unwrap();
    assert_eq!(mine.as_bytes(), b"\xff\0 any octets");
    // Any number of any octets comes through as it is, and so does none.
    for frames in [
        vec![],
        vec![Bytes::new()],
        vec![
            Bytes::from_static(b"\0\xaa\xa2\x0a\x02"),
            Bytes::new(),
            Bytes::from(vec![0xff; 100_000]),
        ],
    ] {
        let content: Frames = frames.into_iter().collect();
        for to in [id(0, 1), id(1, 0)] {
            net.whisper((0, 0), to, content.clone());
        }
        net.shout((0, 0), "ALL", content.clone());
        net.sim.run_for(s(2));
        let heard = |net: &Net, lan: usize, n: usize| -> Vec<Frames> {
            let events = net.sim.application(net.lans[lan].peers[n]).iter();
            events
                .map(|event| match event {
                    Event::Whisper { content, .. } | Event::Shout { content, .. } => {
                        content.clone()
                    }
                    other => panic!("{other:?}"),
                })
                .collect()
        };
        let near = heard(&net, 0, 1);
        assert_eq!(near.len(), 2);
        // (ZRE has an empty frame where there is none.)
        assert!(near == heard(&net, 1, 0) && (content.is_empty() || near[0] == content));
        net.clear();
    }
    // Groups change, and only members hear.
    let node = net.lans[1].peers[0];
    net.sim.with(node, |_, context| context.leave(&text("ALL")));
    net.sim.run_for(s(1));
    assert_eq!(net.told(0, 0), ["leave lan1-peer0 ALL"]);
    assert_eq!(net.shout((0, 0), "ALL", "not for all"), 2);
    net.sim.run_for(s(1));
    assert_eq!(net.told(1, 0), [""; 0]);
    assert_eq!(net.told(1, 1).len(), 2, "{:?}", net.told(1, 1));
}

#[test]
fn one_who_stops_leaves_all_lans_and_one_who_comes_enters_all() {
    let mut net = Net::new(&[1, 1, 1], &[]);
    net.meet(1);
    net.clear();
    let node = net.lans[2].peers[0];
    net.sim.with(node, |_, context| context.stop());
    net.sim.run_for(s(2));
    for lan in [0, 1] {
        assert_eq!(net.told(lan, 0), ["exit lan2-peer0 left"]);
    }
    net.clear();
    net.peer(2);
    net.sim.run_for(s(3));
    for lan in [0, 1] {
        let told = net.told(lan, 0);
        let expected = [
            "enter lan2-peer1",
            "join lan2-peer1 ALL",
            "join lan2-peer1 LAN2",
        ];
        assert_eq!(told, expected);
    }
}

#[test]
fn the_server_may_die_and_nothing_changes() {
    let mut net = Net::new(&[1, 1], &[]);
    net.meet(2);
    net.clear();
    net.sim.kill_program(net.server);
    net.sim.run_for(s(180));
    for lan in [0, 1] {
        assert_eq!(net.told(lan, 0), [""; 0]);
    }
    net.talk("without a server");
    // One who comes now enters everywhere.
    net.peer(0);
    net.met(s(10));
}

#[test]
fn a_lost_bridges_roster_leaves_and_comes_back() {
    for power in [false, true] {
        let mut net = Net::new(&[1, 1], &[]);
        net.meet(2);
        net.clear();
        let (host, program) = net.lans[1].bridges[0];
        if power {
            net.sim.power_off(host);
        } else {
            net.sim.kill_program(program);
        }
        let gone = |sim: &World, node| view(sim, node).len() == 1;
        let (near, far) = (net.lans[0].peers[0], net.lans[1].peers[0]);
        let took = net
            .sim
            .run_until_true(s(60), |sim| gone(sim, near) && gone(sim, far));
        // By the end of a connection, or when it is silent for too long: there and here.
        let limit = if power { s(35) } else { s(2) };
        let took = took.unwrap();
        assert!(took < limit, "{took:?} {:?}", view(&net.sim, near));
        let exits = net.told(0, 0).len();
        assert_eq!(exits, 2, "{:?}", net.told(0, 0));
        if power {
            net.sim.power_on(host);
        }
        net.restart(1, 0);
        let took = net.met(s(90));
        assert!(took < s(60), "{took:?}");
        net.talk("again");
    }
}

#[test]
fn of_two_bridges_on_a_lan_one_makes_stand_ins_and_the_other_takes_over() {
    let mut net = Net::new(&[2, 1], &[]);
    net.meet(2);
    net.sim.run_for(s(30));
    let active = net.active(0);
    let [first] = active[..] else {
        panic!("{active:?}");
    };
    let second = 1 - first;
    assert_eq!(net.bridge(0, first).stand_ins().count(), 2);
    assert_eq!(net.bridge(0, second).stand_ins().count(), 0);
    net.talk("before");
    let program = net.lans[0].bridges[first].1;
    net.sim.kill_program(program);
    net.sim.run_for(s(2));
    net.met(s(60));
    assert_eq!(net.active(0), [second]);
    net.talk("after");
    // The first comes back, and leaves it at that.
    net.restart(0, first);
    net.sim.run_for(s(30));
    net.met(s(60));
    assert_eq!(net.active(0), [second]);
    net.talk("at last");
}

#[test]
fn a_bridge_behind_a_router_that_translates_addresses() {
    let mut net = Net::new(&[1, 1, 1], &[1]);
    let took = net.meet(2);
    assert!(took < s(30), "{took:?}");
    net.talk("first");
    net.clear();
    // The datagrams' way is forgotten: connections stay.
    net.sim.run_for(s(200));
    for lan in [0, 1, 2] {
        assert_eq!(net.told(lan, 0), [""; 0]);
    }
    net.talk("second");
}

#[test]
fn one_who_moves_is_local_where_it_is_and_far_elsewhere() {
    let mut net = Net::new(&[1, 1, 1], &[]);
    net.meet(2);
    net.clear();
    // Killed here, it is there at once, as itself.
    let node = net.lans[0].peers[1];
    net.sim.kill(node);
    let moved = net.peer_as(1, id(0, 1), "moved");
    net.met(s(60));
    let on = |lan: usize, net: &Net| {
        let seen = view(&net.sim, net.lans[lan].peers[0]);
        seen.get(&id(0, 1)).map(|(via, _)| via.clone())
    };
    assert_eq!(on(1, &net), Some(None));
    let there = bridge_id(1, 0).to_string();
    for lan in [0, 2] {
        assert_eq!(on(lan, &net), Some(Some(there.clone())));
    }
    net.talk("moved");
    // In two places at once: local beats far, wherever it is.
    let twin = net.peer_as(0, id(0, 1), "twin");
    net.sim.run_for(s(60));
    assert_eq!((on(0, &net), on(1, &net)), (Some(None), Some(None)));
    assert!(on(2, &net).is_some());
    net.sim.kill(moved);
    net.met(s(60));
    net.sim.kill(twin);
    net.met(s(60));
}

#[test]
fn whoever_does_not_know_the_secret_sees_nobody_and_changes_nothing() {
    let mut net = Net::new(&[1, 1], &[]);
    net.mechanisms = secret("guessed");
    let program = net.lans[1].bridges[0].1;
    net.sim.kill_program(program);
    net.restart(1, 0);
    net.peer(0);
    net.peer(1);
    net.sim.run_for(s(120));
    for lan in [0, 1] {
        assert_eq!(view(&net.sim, net.lans[lan].peers[0]).len(), 0);
    }
    let refused = |event: &bridge::Event| matches!(event, bridge::Event::Refused { .. });
    let told = net.bridge(1, 0).told().iter();
    assert!(told.filter(|(_, event)| refused(event)).count() > 0);
    let server: &Server = net.sim.program(net.server).unwrap();
    let bridges: BTreeSet<PeerId> = server
        .machine()
        .unwrap()
        .bridges()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(bridges, BTreeSet::from([bridge_id(0, 0)]));
}

#[test]
fn who_has_its_beacons_off_broadcasts_nothing() {
    let mut net = Net::new(&[1, 1], &[]);
    net.meet(1);
    net.sim.run_for(s(60));
    let server: &Server = net.sim.program(net.server).unwrap();
    assert_eq!(net.sim.broadcasts_of(server.node().unwrap()), 0);
    for (.., bridge) in net.bridges() {
        assert_eq!(net.sim.broadcasts_of(bridge.remote().unwrap()), 0);
        assert!(net.sim.broadcasts_of(bridge.local().unwrap()) > 60);
        for (_, stand_in) in bridge.stand_ins() {
            assert!(net.sim.broadcasts_of(stand_in) > 60);
        }
    }
}

#[test]
fn one_who_comes_back_at_once_is_met_anew_before_it_is_heard() {
    for seed in 0..20 {
        let mut net = Net::new(&[1, 1], &[]);
        net.meet(1);
        net.sim.run_for(Duration::from_millis(37 * seed));
        net.clear();
        let node = net.lans[0].peers[0];
        net.sim.kill(node);
        // As soon as it meets the stand-in it speaks to it, which the local node of the bridge may do later.
        let again = net.peer_as(0, id(0, 0), "again");
        let to = id(1, 0);
        let spoke = net
            .sim
            .run_until_true(s(40), |sim| sim.stack(again).unwrap().peer(to).is_some());
        assert!(spoke.is_some());
        let said = net
            .sim
            .with(again, |_, context| context.whisper(to, "hello"));
        said.unwrap().unwrap();
        net.sim.run_for(s(10));
        let told = net.told(1, 0);
        let [exit, enter, .., heard] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(exit.starts_with("exit lan0-peer0"), "{told:?}");
        assert_eq!(enter, "enter again", "{told:?}");
        assert!(heard.starts_with("whisper again"), "{told:?}");
    }
}

#[test]
fn a_bridge_that_did_not_run_while_another_took_over_says_nothing_that_is_old() {
    let mut net = Net::new(&[2, 1], &[]);
    net.meet(1);
    net.sim.run_for(s(10));
    let [first] = net.active(0)[..] else {
        panic!("not one is active");
    };
    let local = net.bridge(0, first).local().unwrap();
    net.sim.suspend(local);
    net.sim.run_for(s(1));
    // One who comes on the other LAN is announced to it, and speaks: the machine takes that for it.
    let late = net.peer(1);
    let spoken_to = id(0, 0);
    let met = net.sim.run_until_true(s(5), |sim| {
        let stack = sim.stack(late).unwrap();
        stack.peer(spoken_to).is_some()
    });
    assert!(met.is_some());
    net.whisper((1, 1), spoken_to, "old");
    net.sim.run_for(s(1));
    // Neither does it hear that the other end gives it up.
    let asleep = net.lans[0].bridges[first].0;
    let others = [net.lans[1].bridges[0].0, net.lans[0].bridges[1 - first].0];
    net.sim.cut_one_way(others[0], asleep);
    net.sim.cut_one_way(asleep, others[0]);
    let program = net.lans[0].bridges[1 - first].1;
    let took_over = net.sim.run_until_true(s(60), |sim| {
        let second: &Bridge = sim.program(program).unwrap();
        second.machine().unwrap().is_active() && second.stand_ins().count() == 2
    });
    assert!(took_over.is_some());
    net.sim.run_for(s(5));
    net.clear();
    net.whisper((1, 1), spoken_to, "new");
    net.sim.run_for(s(1));
    assert_eq!(net.told(0, 0), ["whisper lan1-peer1 [b\"new\"]"]);
    // It goes on, and does not meet the other one at once.
    net.sim.cut_one_way(others[1], asleep);
    net.sim.cut_one_way(asleep, others[1]);
    net.sim.resume(local);
    net.sim.run_for(s(2));
    for other in others {
        net.sim.mend(other, asleep);
        net.sim.mend(asleep, other);
    }
    net.sim.run_for(s(10));
    let told = net.told(0, 0);
    assert!(!told.iter().any(|it| it.contains("old")), "{told:#?}");
    net.met(s(60));
    net.talk("afterwards");
}

/// A bridge that was let in, with a LAN of its own that it makes up, and that says what it likes.
struct Insider {
    id: PeerId,
    mechanisms: Vec<Mechanism>,
    /// Whom it says it has.
    peers: Vec<Arc<Peer>>,
    remote: Option<NodeId>,
    machine: Option<once::Bridge>,
    /// The epoch of its roster.
    epoch: u64,
    bridges: BTreeSet<PeerId>,
}

impl Insider {
    fn pump(&mut self, nodes: &mut Nodes<'_>) {
        let (Some(machine), Some(remote)) = (&mut self.machine, self.remote) else {
            return;
        };
        let now = nodes.now();
        machine.handle_timeout(now);
        while let Some(action) = machine.poll_action() {
            match action {
                bridge::Action::Whisper {
                    node: Which::Remote,
                    peer,
                    content,
                } => {
                    let message = Message::decode(content.clone(), &wire::Limits::default());
                    if let Ok(Message::V2(V2::Roster(roster))) = message {
                        self.epoch = roster.epoch;
                        self.bridges.insert(peer);
                    }
                    nodes.with(remote, |context| context.whisper(peer, content));
                }
                bridge::Action::Connect { endpoint, .. } => {
                    nodes.with(remote, |context| context.connect(&endpoint));
                }
                _ => {}
            }
        }
        nodes.set_timer(Duration::from_millis(100), 0);
    }

    /// Says something to each bridge that it was let in by.
    fn say(&mut self, nodes: &mut Nodes<'_>, message: impl Fn(u64) -> V2) {
        let remote = self.remote.unwrap();
        for bridge in self.bridges.clone() {
            let content = Message::from(message(self.epoch)).encode();
            let said = nodes.with(remote, |context| context.whisper(bridge, content));
            said.unwrap().unwrap();
        }
    }
}

impl Program for Insider {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let mut headers = Headers::default();
        let roles = Roles {
            role: Role::Bridge,
            beacon: Some(DIRECTED_PORT),
            relay: false,
        };
        roles.put(&mut headers);
        let config = Config {
            uuid: Some(self.id),
            headers,
            beacons: Beacons::Directed,
            ..Config::default()
        };
        let remote = nodes.start(&Place::default(), config);
        nodes.with(remote, |context| {
            context.beacon((SERVER, DIRECTED_PORT).into()).unwrap();
        });
        let config = bridge::Config {
            id: self.id,
            key: None,
            local_key: None,
            mechanisms: self.mechanisms.clone(),
            hidden: BTreeSet::new(),
            limits: Limits {
                stand_ins: 0,
                ..Limits::default()
            },
        };
        let now = nodes.now();
        let mut machine = once::Bridge::new(now, [7; 32], config);
        for peer in self.peers.clone() {
            machine.handle_event(now, Which::Local, Event::Enter { peer }, None);
        }
        self.remote = Some(remote);
        self.machine = Some(machine);
        self.pump(nodes);
    }

    fn on_event(&mut self, nodes: &mut Nodes<'_>, _: NodeId, event: Event) {
        if let Some(machine) = &mut self.machine {
            machine.handle_event(nodes.now(), Which::Remote, event, None);
        }
        self.pump(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, _: u64) {
        self.pump(nodes);
    }
}

/// A peer that is nowhere.
fn made_up(id: PeerId) -> Arc<Peer> {
    Arc::new(Peer {
        id,
        name: text("made up"),
        endpoint: text("tcp://192.168.0.99:49152"),
        headers: Headers::default(),
    })
}

/// Two LANs whose bridges allow little, and an insider who has these peers, all of whom have met.
fn with_insider(peers: Vec<Arc<Peer>>) -> (Net, ProgramId) {
    let mut net = Net::new(&[], &[]);
    net.limits = Limits {
        roster_peers: 50,
        stand_ins: 20,
        ..Limits::default()
    };
    for lan in 0..2 {
        net.lan(1, false);
        net.peer(lan);
    }
    net.met(s(60));
    let host = net.sim.host(net.wan, [203, 0, 113, 66]);
    let insider = Insider {
        id: PeerId::from_bytes([0xee; 16]),
        mechanisms: net.mechanisms.clone(),
        peers,
        remote: None,
        machine: None,
        epoch: 0,
        bridges: BTreeSet::new(),
    };
    let program = net.sim.start_program(host, insider);
    net.clear();
    net.sim.run_for(s(20));
    let insider: &Insider = net.sim.program(program).unwrap();
    assert_eq!(insider.bridges.len(), 2);
    (net, program)
}

#[test]
fn a_bridge_that_claims_the_peers_of_others_is_not_believed() {
    let honest = PeerId::from_bytes([9; 16]);
    let peers = [id(0, 0), id(1, 0), bridge_id(1, 0), honest].map(made_up);
    let (net, _) = with_insider(peers.to_vec());
    for lan in [0, 1] {
        // Its own peer is there, and nothing else changed.
        assert_eq!(net.told(lan, 0), ["enter made up"]);
        let seen = view(&net.sim, net.lans[lan].peers[0]);
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(seen.contains_key(&honest));
        let claims: BTreeSet<(PeerId, PeerId)> = net
            .bridge(lan, 0)
            .told()
            .iter()
            .filter_map(|(_, event)| match event {
                bridge::Event::Claimed { peer, holder, .. } => Some((*peer, *holder)),
                _ => None,
            })
            .collect();
        for of in [0, 1] {
            assert!(
                claims.contains(&(id(of, 0), bridge_id(of, 0))),
                "{claims:?}"
            );
        }
    }
}

#[test]
fn a_bridge_cannot_speak_for_the_peers_of_others() {
    let (mut net, program) = with_insider(vec![made_up(PeerId::from_bytes([9; 16]))]);
    net.clear();
    for number in 1..=3 {
        let said = net
            .sim
            .with_program(program, |insider: &mut Insider, nodes| {
                insider.say(nodes, |epoch| {
                    V2::RemoteWhisper(RemoteWhisper {
                        epoch,
                        number: number * 2 - 1,
                        from: id(0, 0),
                        to: id(1, 0),
                        content: "not of peer 0".into(),
                    })
                });
                insider.say(nodes, |epoch| {
                    V2::RemoteShout(RemoteShout {
                        epoch,
                        number: number * 2,
                        from: id(0, 0),
                        group: text("ALL"),
                        to: vec![id(1, 0), id(0, 0)],
                        content: "not of peer 0".into(),
                    })
                });
            });
        assert!(said.is_some());
    }
    net.sim.run_for(s(20));
    for lan in [0, 1] {
        assert_eq!(net.told(lan, 0), [""; 0]);
        let told = net.bridge(lan, 0).told().iter();
        let not_yours = told.filter(
            |(_, event)| matches!(event, bridge::Event::NotYours { peer, .. } if *peer == id(0, 0)),
        );
        assert!(not_yours.count() > 0);
    }
    net.talk("afterwards");
}

#[test]
fn what_a_bridge_announces_is_bounded() {
    let octets = |n: u32| {
        let mut octets = [9; 16];
        octets[..4].copy_from_slice(&n.to_be_bytes());
        octets
    };
    let all = (0..1_000).map(|n| made_up(PeerId::from_bytes(octets(n))));
    let (mut net, _) = with_insider(all.collect());
    for lan in [0, 1] {
        let bridge = net.bridge(lan, 0);
        let usage = bridge.machine().unwrap().usage();
        assert!(usage.far_peers <= 51, "{usage:?}");
        assert!(bridge.most_stand_ins() <= 20, "{}", bridge.most_stand_ins());
    }
    // And those who were there before still are.
    net.clear();
    net.whisper((0, 0), id(1, 0), "still here");
    net.sim.run_for(s(1));
    assert_eq!(net.told(1, 0).len(), 1);
}
