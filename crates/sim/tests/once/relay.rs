//! Two LANs that cannot dial each other: what goes over the relay of the server, and what becomes of it when something breaks.

use std::collections::BTreeMap;
use std::time::Duration;

use atonce::Event;
use atonce::once::{relay, server};
use atonce_sim::once::Server;

use super::net::{Net, bridge_id, id, keys, name, s, view};

/// Pairs of bridges that the server led to its relay since it was started.
fn led(net: &Net) -> Vec<(atonce::PeerId, atonce::PeerId)> {
    let server: &Server = net.sim.program(net.server).unwrap();
    let led = server.told().iter().filter_map(|(_, event)| match event {
        server::Event::Led { dialler, acceptor } => Some((*dialler, *acceptor)),
        _ => None,
    });
    led.collect()
}

/// Two LANs behind routers that translate addresses, whose nodes have met over the relay.
fn met() -> Net {
    let mut net = Net::sealed(&[1, 1], &[0, 1]);
    net.meet(2);
    assert_eq!(net.relay().pairs().count(), 1);
    net
}

#[test]
fn two_lans_behind_routers_meet_over_the_relay_and_no_otherwise() {
    let mut net = Net::sealed(&[1, 1], &[0, 1]);
    let took = net.meet(2);
    // Until then they try it without.
    assert!((s(10)..s(25)).contains(&took), "{took:?}");
    // The one with the lower identity asks, and once is enough.
    assert_eq!(led(&net), [(bridge_id(0, 0), bridge_id(1, 0))]);
    let counters = *net.relay().counters();
    assert_eq!((counters.joined, counters.missed), (1, 0));
    assert_eq!((counters.strangers, counters.wrong_tickets), (0, 0));
    // What is whispered and shouted, both ways, goes there.
    let before = counters.octets;
    net.talk("over the relay");
    assert!(net.relay().counters().octets > before + 1_000);
    // It stays as it is.
    net.sim.run_for(s(300));
    assert_eq!(led(&net).len(), 1);
    let pair = net.relay().pairs().next().unwrap();
    assert!(
        pair.from_dialler > 1_000 && pair.from_acceptor > 1_000,
        "{pair:?}"
    );
    for lan in [0, 1] {
        assert_eq!(net.told(lan, 0), [""; 0]);
    }
    net.talk("later");
}

#[test]
fn without_a_relay_they_do_not_meet() {
    let mut net = Net::new(&[1, 1], &[0, 1]);
    net.peer(0);
    net.peer(1);
    net.sim.run_for(s(120));
    for lan in [0, 1] {
        assert_eq!(view(&net.sim, net.lans[lan].peers[0]).len(), 0);
    }
}

#[test]
fn the_relay_is_for_those_alone_who_cannot_dial_each_other() {
    let mut net = Net::sealed(&[2, 1, 1, 1], &[2, 3]);
    net.meet(1);
    net.sim.run_for(s(60));
    assert_eq!(led(&net), [(bridge_id(2, 0), bridge_id(3, 0))]);
    net.talk("each in its own way");
}

#[test]
fn a_server_that_dies_cuts_them_and_they_meet_anew_when_it_is_back() {
    for power in [false, true] {
        let mut net = met();
        net.clear();
        let (near, far) = (net.lans[0].peers[0], net.lans[1].peers[0]);
        if power {
            net.sim.power_off(net.server_host);
        } else {
            net.sim.kill_program(net.server);
        }
        let took = net.sim.run_until_true(s(60), |sim| {
            view(sim, near).len() == 1 && view(sim, far).len() == 1
        });
        // By the end of a connection, or when nothing comes for too long.
        let limit = if power { s(35) } else { s(2) };
        let took = took.unwrap();
        assert!(took < limit, "{took:?}");
        assert_eq!(net.told(0, 0).len(), 2, "{:?}", net.told(0, 0));
        net.sim.run_for(s(10));
        if power {
            net.sim.power_on(net.server_host);
        }
        net.restart_server();
        let took = net.met(s(120));
        assert!(took < s(90), "{took:?}");
        assert_eq!(net.relay().pairs().count(), 1);
        net.talk("again");
    }
}

#[test]
fn a_server_that_stops_takes_its_relay_along() {
    let mut net = met();
    let relay = net.sim.nodes_of(net.server)[1];
    assert!(net.sim.relay(relay).is_some() && net.sim.stack(relay).is_none());
    net.sim
        .with_program(net.server, |server: &mut Server, nodes| server.stop(nodes));
    net.sim.run_for(s(2));
    assert!(!net.sim.is_program_running(net.server));
    assert!(net.sim.relay(relay).is_none() && !net.sim.is_running(relay));
    assert_eq!(view(&net.sim, net.lans[0].peers[0]).len(), 1);
}

#[test]
fn what_is_cut_on_the_way_is_made_anew() {
    let cuts: [fn(&mut Net); 3] = [
        |net| {
            let remote = net.bridge(0, 0).remote().unwrap();
            net.sim.reset(remote);
        },
        |net| {
            let remote = net.bridge(1, 0).remote().unwrap();
            let all = atonce_sim::Odds::percent(100);
            net.sim.blackhole_some(remote, all);
        },
        |net| {
            let nat = net.lans[1].nat.unwrap();
            net.sim.restart_nat(nat);
        },
    ];
    for (n, cut) in cuts.into_iter().enumerate() {
        let mut net = met();
        net.clear();
        cut(&mut net);
        let near = net.lans[0].peers[0];
        let gone = net
            .sim
            .run_until_true(s(60), |sim| view(sim, near).len() == 1);
        assert!(gone.is_some(), "{n}");
        let took = net.met(s(120));
        assert!(took < s(100), "{n}: {took:?}");
        // The relay forgot the pair that was.
        net.sim.run_for(s(130));
        assert_eq!(net.relay().pairs().count(), 1, "{n}");
        net.talk("again");
    }
}

#[test]
fn what_one_does_not_take_waits_for_the_most_part_with_the_other() {
    let mut net = met();
    net.clear();
    let slow = net.bridge(1, 0).remote().unwrap();
    net.sim.set_stalled(slow, true);
    let said: Vec<String> = (0..12).map(|n| format!("{n}").repeat(200_000)).collect();
    for content in &said {
        net.whisper((0, 0), id(1, 0), content.clone());
    }
    // For each end the relay keeps 64 KiB, and what one reading brings beyond.
    let most = relay::Limits::default().buffer_octets + (16 << 10);
    for _ in 0..30 {
        net.sim.run_for(Duration::from_millis(100));
        assert!(net.relay().queued_octets() <= most);
    }
    let queued = net.relay().queued_octets();
    assert!(queued >= 64 << 10, "{queued}");
    assert_eq!(net.told(1, 0), [""; 0]);
    net.sim.set_stalled(slow, false);
    net.sim.run_for(s(10));
    let heard = net.sim.application(net.lans[1].peers[0]).iter();
    let heard: Vec<String> = heard
        .map(|event| match event {
            Event::Whisper { content, .. } => String::from_utf8(content[0].to_vec()).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(heard == said, "{} of {}", heard.len(), said.len());
    assert_eq!(net.relay().queued_octets(), 0);
}

#[test]
fn the_relay_sees_nothing_of_what_passes() {
    let mut net = Net::sealed(&[1, 1], &[0, 1]);
    net.sim.observer_mut().open = true;
    net.meet(2);
    for lan in [0, 1] {
        for to in [id(1 - lan, 0), id(1 - lan, 1)] {
            net.whisper((lan, 0), to, format!("a whisper from LAN {lan}"));
        }
        let all = net.shout((lan, 1), "ALL", format!("a shout from LAN {lan}"));
        assert_eq!(all, 3);
    }
    net.sim.run_for(s(5));
    // What a LAN sees in clear: names, groups, headers, identities as octets and in words, and all that is said.
    let mut secrets: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut add = |what: String, octets: &[u8]| secrets.insert(what, octets.to_vec());
    for lan in [0, 1] {
        for n in [0, 1] {
            add(name(lan, n), name(lan, n).as_bytes());
            add(format!("id of {lan}.{n}"), id(lan, n).as_bytes());
        }
        for text in [
            format!("LAN{lan}"),
            format!("a whisper from LAN {lan}"),
            format!("a shout from LAN {lan}"),
            bridge_id(lan, 0).to_string(),
        ] {
            add(text.clone(), text.as_bytes());
        }
        add(format!("id of bridge {lan}"), bridge_id(lan, 0).as_bytes());
    }
    for text in ["X-WHAT", "any octets", "X-ONCE"] {
        add(text.to_owned(), text.as_bytes());
    }
    // And what is nowhere in clear: the keys of the bridges, by which they could be told apart elsewhere.
    let hidden: Vec<Vec<u8>> = [bridge_id(0, 0), bridge_id(1, 0)]
        .map(|id| keys(id).public().as_bytes().to_vec())
        .to_vec();
    let ears = net.sim.observer();
    let octets: usize = ears.at_relays.values().map(Vec::len).sum();
    assert!(octets > 2_000, "{octets}");
    assert_eq!(ears.at_relays.len(), 2);
    let is_in = |heard: &BTreeMap<_, Vec<u8>>, secret: &[u8]| {
        let mut all = heard
            .values()
            .flat_map(|octets| octets.windows(secret.len()));
        all.any(|window| window == secret)
    };
    for (what, secret) in &secrets {
        // Whoever looks in the same way finds it on the LANs.
        assert!(is_in(&ears.elsewhere, secret), "{what} is nowhere");
        assert!(!is_in(&ears.at_relays, secret), "{what}");
    }
    for key in &hidden {
        assert!(!is_in(&ears.at_relays, key));
    }
}
