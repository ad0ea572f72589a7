//! Servers that announce themselves and clients that find them, on networks that lose, double and delay, and with strangers on them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that is wrong may stop

mod ordeal;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use atonce::autoconf::hello::{ClientEvent, ServerEvent};
use atonce::autoconf::seeker::Event;
use atonce::autoconf::{Announcer, GROUP_V4, PORT};
use atonce::curve::KeyPair;
use atonce::socket::{Config, Kind};
use atonce::wire::autoconf::{Announcement, Datagram, InstanceId, Offer};
use atonce::{Bytes, Frames};
use atonce_sim::autoconf::{Client, ClientSetup, Server, ServerSetup, Told, Ways, Welcome};
use atonce_sim::{HostId, Odds, ProgramId, SegmentId, Sim};

type Net = Sim<()>;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn server_of(service: &str) -> ServerSetup {
    ServerSetup::new(service.parse().unwrap())
}

fn client_of(name: &str, service: &str) -> ClientSetup {
    ClientSetup::new(name.parse().unwrap(), service.parse().unwrap())
}

fn server(sim: &Net, program: ProgramId) -> &Server {
    sim.program(program).unwrap()
}

fn client(sim: &Net, program: ProgramId) -> &Client {
    sim.program(program).unwrap()
}

fn welcome(sim: &Net, program: ProgramId) -> Option<Welcome> {
    client(sim, program).welcome()
}

/// Whether it is welcome at this server as that is now.
fn is_welcome_at(sim: &Net, program: ProgramId, at: ProgramId) -> bool {
    let at = server(sim, at);
    let instance = at.announcer().map(Announcer::instance);
    welcome(sim, program)
        .is_some_and(|it| Some(it.instance) == instance && at.endpoints().contains(&it.endpoint))
}

fn guests(sim: &Net, program: ProgramId) -> Vec<String> {
    let told = server(sim, program).told().iter();
    let mut guests: Vec<String> = told
        .map(|(_, event)| match event {
            ServerEvent::Hello { name } => name.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    guests.sort();
    guests
}

/// What a client was told, in few words; `since` so many things.
fn story(sim: &Net, program: ProgramId, since: usize) -> Vec<String> {
    let told = client(sim, program).told()[since..].iter();
    told.map(|(_, told)| match told {
        Told::Seeker(Event::Found { server }) => format!("found {}", server.endpoints[0]),
        Told::Seeker(Event::Changed { .. }) => "changed".to_owned(),
        Told::Seeker(Event::Contested { by, .. }) => format!("contested by {}", by.ip()),
        Told::Seeker(Event::Doubted { .. }) => "doubted".to_owned(),
        Told::Seeker(Event::Trusted { .. }) => "trusted".to_owned(),
        Told::Seeker(Event::Lost { reason, .. }) => reason.to_string(),
        Told::Hello(_, ClientEvent::Welcome { endpoint }) => format!("welcome {endpoint}"),
        Told::Hello(_, ClientEvent::Answered { text, .. }) => {
            format!("answered {}", String::from_utf8_lossy(text))
        }
        Told::Hello(_, ClientEvent::Unanswered { tries }) => format!("unanswered {tries}"),
        other => panic!("{other:?}"),
    })
    .collect()
}

/// One server at 10.0.0.2 and five clients from 10.0.0.100 on, none of them started.
struct Lan {
    sim: Net,
    lan: SegmentId,
    here: HostId,
    there: [HostId; 5],
}

impl Lan {
    fn new(seed: u64) -> Self {
        let mut sim = Net::new(seed);
        let lan = sim.segment();
        let here = sim.host(lan, [10, 0, 0, 2]);
        let there = [0, 1, 2, 3, 4].map(|n| sim.host(lan, [10, 0, 0, 100 + n]));
        Self {
            sim,
            lan,
            here,
            there,
        }
    }

    fn start_server(&mut self, port: u16) -> ProgramId {
        let setup = ServerSetup {
            port,
            ..server_of("printing")
        };
        self.sim.start_program(self.here, Server::new(setup))
    }

    fn start_client(&mut self, n: usize, again: Option<Duration>) -> ProgramId {
        let setup = ClientSetup {
            again,
            ..client_of(&format!("client{n}"), "printing")
        };
        self.sim.start_program(self.there[n], Client::new(setup))
    }
}

/// Calls `with` for every order of these.
fn orders(items: &mut [usize], first: usize, with: &mut impl FnMut(&[usize])) {
    if first == items.len() {
        return with(items);
    }
    for n in first..items.len() {
        items.swap(first, n);
        orders(items, first + 1, with);
        items.swap(first, n);
    }
}

// ---- who finds whom

#[test]
fn five_clients_find_one_server_in_every_order_of_starts() {
    // AUTO-20, AUTO-21, AUTO-23, AUTO-32, AUTO-50, AUTO-51
    let mut tried = 0;
    orders(&mut [0, 1, 2, 3, 4, 5], 0, &mut |order| {
        tried += 1;
        let mut lan = Lan::new(tried);
        let pause = [ms(0), ms(300), s(1)][usize::try_from(tried % 3).unwrap()];
        let (mut at, mut clients) = (None, Vec::new());
        for who in order {
            match who {
                5 => at = Some(lan.start_server(50_053)),
                n => clients.push(lan.start_client(*n, None)),
            }
            lan.sim.run_for(pause);
        }
        let at = at.unwrap();
        // A tenth of a second to answer, half a second after what was said last, and the way.
        let met = lan.sim.run_until_true(ms(650), |sim| {
            clients.iter().all(|client| is_welcome_at(sim, *client, at))
        });
        assert!(met.is_some(), "{order:?}");
        let expected = ["client0", "client1", "client2", "client3", "client4"];
        assert_eq!(guests(&lan.sim, at), expected, "{order:?}");
    });
    assert_eq!(tried, 720);
}

#[test]
fn a_server_that_died_and_came_back_elsewhere_is_found_again_and_that_is_told() {
    // AUTO-34, AUTO-35, AUTO-53, AUTO-54
    for without_power in [false, true] {
        let mut lan = Lan::new(11);
        let first = lan.start_server(50_053);
        let clients = [0, 1, 2, 3, 4].map(|n| lan.start_client(n, Some(s(5))));
        lan.sim.run_for(s(2));
        assert!(clients.iter().all(|it| is_welcome_at(&lan.sim, *it, first)));
        if without_power {
            lan.sim.power_off(lan.here);
        } else {
            lan.sim.kill_program(first);
        }
        // The next hello, three times in vain, and two seconds of doubts.
        lan.sim.run_for(s(20));
        assert!(clients.iter().all(|it| welcome(&lan.sim, *it).is_none()));
        lan.sim.power_on(lan.here);
        lan.sim.change_address(lan.here, 0, [10, 0, 0, 3]);
        let second = lan.start_server(50_054);
        let met = lan.sim.run_until_true(s(1), |sim| {
            clients.iter().all(|it| is_welcome_at(sim, *it, second))
        });
        assert!(met.is_some(), "{without_power}");
        for client in clients {
            let (before, after) = ("10.0.0.2:50053", "10.0.0.3:50054");
            let expected = [
                &format!("found {before}"),
                &format!("welcome {before}"),
                "unanswered 3",
                "doubted",
                "silent",
                &format!("found {after}"),
                &format!("welcome {after}"),
            ];
            assert_eq!(story(&lan.sim, client, 0), expected);
        }
    }
}

#[test]
fn who_is_on_the_same_port_again_takes_the_place_of_the_one_that_died() {
    // AUTO-35
    let mut lan = Lan::new(12);
    let first = lan.start_server(50_053);
    let it = lan.start_client(0, None);
    lan.sim.run_for(s(2));
    lan.sim.kill_program(first);
    let second = lan.start_server(50_053);
    let met = lan
        .sim
        .run_until_true(s(3), |sim| is_welcome_at(sim, it, second));
    assert!(met.is_some());
    let expected = [
        "doubted",
        "found 10.0.0.2:50053",
        "silent",
        "welcome 10.0.0.2:50053",
    ];
    let mut told = story(&lan.sim, it, 2);
    told.sort();
    assert_eq!(told, expected);
}

#[test]
fn a_server_follows_the_address_of_its_host_as_another_instance() {
    // AUTO-14, AUTO-22
    let mut lan = Lan::new(13);
    let at = lan.start_server(50_053);
    let it = lan.start_client(0, None);
    lan.sim.run_for(s(2));
    assert!(is_welcome_at(&lan.sim, it, at));
    lan.sim.change_address(lan.here, 0, [10, 0, 0, 3]);
    // Two seconds until it looks, and two of doubts.
    let moved = lan.sim.run_until_true(s(5), |sim| {
        is_welcome_at(sim, it, at)
            && welcome(sim, it).is_some_and(|it| it.endpoint == ([10, 0, 0, 3], 50_053).into())
    });
    assert!(moved.is_some());
    assert!(story(&lan.sim, it, 2).contains(&"left".to_owned()));
}

#[test]
fn who_stops_is_gone_at_once_and_his_process_ends() {
    // AUTO-24, AUTO-34
    let mut lan = Lan::new(14);
    let at = lan.start_server(50_053);
    let it = lan.start_client(0, None);
    lan.sim.run_for(s(2));
    lan.sim
        .with_program(at, |it: &mut Server, nodes| it.stop(nodes));
    lan.sim.run_for(ms(150));
    assert!(!lan.sim.is_program_running(at));
    assert_eq!(
        server(&lan.sim, at)
            .announcer()
            .unwrap()
            .counters()
            .goodbyes,
        2
    );
    lan.sim.run_for(s(2));
    assert_eq!(story(&lan.sim, it, 2), ["doubted", "left"]);
    lan.sim
        .with_program(it, |it: &mut Client, nodes| it.stop(nodes));
    lan.sim.run_for(s(1));
    assert!(!lan.sim.is_program_running(it) && lan.sim.connections() == 0);
}

#[test]
fn a_server_that_does_not_run_for_a_while_is_missed_and_found_again() {
    // AUTO-35, AUTO-53
    let mut lan = Lan::new(15);
    let at = lan.start_server(50_053);
    let it = lan.start_client(0, Some(s(5)));
    lan.sim.run_for(s(2));
    let node = lan.sim.nodes_of(at)[0];
    lan.sim.suspend(node);
    let missed = lan
        .sim
        .run_until_true(s(20), |sim| welcome(sim, it).is_none());
    assert!(missed.is_some());
    lan.sim.run_for(s(5));
    lan.sim.resume(node);
    let found = lan
        .sim
        .run_until_true(s(16), |sim| is_welcome_at(sim, it, at));
    assert!(found.is_some());
}

#[test]
fn a_port_that_is_taken_ends_the_server_and_it_says_why() {
    let mut lan = Lan::new(16);
    let [first, second] = [(); 2].map(|()| lan.start_server(50_053));
    lan.sim.run_for(s(1));
    assert!(lan.sim.is_program_running(first) && !lan.sim.is_program_running(second));
    let second = server(&lan.sim, second);
    assert_eq!(second.failure(), Some("address in use"));
    assert!(second.announcer().is_none());
}

#[test]
fn each_way_alone_is_enough_and_none_leads_over_a_router() {
    // AUTO-10, AUTO-11
    let none = Ways {
        ipv4: false,
        ipv6: false,
        broadcast: false,
        port: PORT,
    };
    let ways = [
        Ways { ipv4: true, ..none },
        Ways { ipv6: true, ..none },
        Ways {
            broadcast: true,
            ..none
        },
        none,
    ];
    for (n, ways) in ways.into_iter().enumerate() {
        for ipv6 in [false, true] {
            let mut sim = Net::new(1);
            let lans = [sim.segment(), sim.segment()];
            sim.router(&lans);
            let hosts = [(0, 1), (0, 2), (1, 3)].map(|(lan, last): (usize, u16)| {
                if ipv6 {
                    let network = u16::try_from(lan).unwrap();
                    sim.host(lans[lan], [0xFD00, 0, 0, network, 0, 0, 0, last])
                } else {
                    let (network, last) = (u8::try_from(lan).unwrap(), u8::try_from(last).unwrap());
                    sim.host(lans[lan], [10, 0, network, last])
                }
            });
            let setup = ServerSetup {
                ways,
                ..server_of("printing")
            };
            let at = sim.start_program(hosts[0], Server::new(setup));
            let clients = [hosts[1], hosts[2]].map(|host| {
                let setup = ClientSetup {
                    ways,
                    ..client_of("client0", "printing")
                };
                sim.start_program(host, Client::new(setup))
            });
            sim.run_for(s(60));
            let works = match n {
                0 | 2 => !ipv6,
                1 => ipv6,
                _ => false,
            };
            let met = clients.map(|it| is_welcome_at(&sim, it, at));
            assert_eq!(met, [works, false], "{ways:?}, IPv6: {ipv6}");
        }
    }
}

#[test]
fn a_host_of_both_families_is_announced_with_both_addresses_and_heard_once() {
    // AUTO-14
    let mut sim = Net::new(1);
    let lan = sim.segment();
    let here = sim.host(lan, [10, 0, 0, 2]);
    sim.attach(here, lan, [0xFD00, 0, 0, 0, 0, 0, 0, 2]);
    let at = sim.start_program(here, Server::new(server_of("printing")));
    let old = sim.host(lan, [10, 0, 0, 100]);
    let new = sim.host(lan, [0xFD00, 0, 0, 0, 0, 0, 0, 100]);
    let clients = [old, new].map(|host| {
        let setup = client_of("client0", "printing");
        sim.start_program(host, Client::new(setup))
    });
    sim.run_for(s(5));
    assert_eq!(server(&sim, at).endpoints().len(), 2);
    assert!(clients.iter().all(|it| is_welcome_at(&sim, *it, at)));
    let endpoints = clients.map(|it| welcome(&sim, it).unwrap().endpoint.is_ipv4());
    assert_eq!(endpoints, [true, false]);
    // Each said it twice: multicast and broadcast, or multicast alone.
    let queries = server(&sim, at).announcer().unwrap().counters().queries;
    assert_eq!(queries, 2 + 1);
}

// ---- several

#[test]
fn several_services_and_servers_share_a_network() {
    // AUTO-30, AUTO-39
    let mut sim = Net::new(21);
    let lan = sim.segment();
    let services = ["printing", "printing", "scanning"];
    let servers: Vec<ProgramId> = (2..)
        .zip(services)
        .map(|(n, service)| {
            let host = sim.host(lan, [10, 0, 0, n]);
            let started = sim.start_program(host, Server::new(server_of(service)));
            sim.run_for(ms(100));
            started
        })
        .collect();
    // Two on one host, and one that seeks everything.
    let there = sim.host(lan, [10, 0, 0, 100]);
    let [prints, scans] = ["printing", "scanning"].map(|service| {
        let setup = client_of(service, service);
        sim.start_program(there, Client::new(setup))
    });
    let mut setup = client_of("everything", "printing");
    setup.seeker.services.clear();
    let all = sim.start_program(there, Client::new(setup));
    sim.run_for(s(5));
    let known = [prints, scans, all].map(|it| {
        let seeker = client(&sim, it).seeker().unwrap();
        seeker.servers().count()
    });
    assert_eq!(known, [2, 1, 3]);
    assert!(is_welcome_at(&sim, scans, servers[2]));
    let first = servers[..2]
        .iter()
        .position(|it| is_welcome_at(&sim, prints, *it));
    let first = first.unwrap();
    assert!(!guests(&sim, servers[2]).contains(&"printing".to_owned()));
    // Who is left is the next.
    sim.with_program(servers[first], |it: &mut Server, nodes| it.stop(nodes));
    sim.run_for(s(3));
    assert!(is_welcome_at(&sim, prints, servers[1 - first]));
    assert!(is_welcome_at(&sim, scans, servers[2]));
}

#[test]
fn whoever_says_something_else_is_told_with_his_words_and_the_next_one_is_asked() {
    // AUTO-52
    let mut lan = Lan::new(22);
    let busy = lan.sim.host(lan.lan, [10, 0, 0, 9]);
    let rep = lan.sim.start_socket(busy, Kind::Rep, Config::default());
    lan.sim
        .with_socket(rep, |rep| rep.bind(&"tcp://*:7000".parse().unwrap()))
        .unwrap()
        .unwrap();
    let it = lan.start_client(0, None);
    let instance = InstanceId::from_bytes([9; 16]);
    announce(&mut lan.sim, busy, instance, ([10, 0, 0, 9], 7_000), None);
    let asked = lan.sim.run_until_true(s(1), |sim| {
        sim.socket(rep)
            .is_some_and(atonce::socket::Socket::can_recv)
    });
    assert!(asked.is_some());
    let at = lan.start_server(50_053);
    lan.sim.with_socket(rep, |rep| {
        assert_eq!(rep.recv(), Ok(Some(Frames::from("client0 HI"))));
        rep.send(&Frames::from("NOT NOW")).unwrap();
    });
    lan.sim.run_for(s(1));
    assert!(is_welcome_at(&lan.sim, it, at));
    let told = story(&lan.sim, it, 0);
    assert!(told.contains(&"answered NOT NOW".to_owned()), "{told:?}");
}

// ---- strangers

/// Somebody at `from` announces this.
fn announce(
    sim: &mut Net,
    from: HostId,
    instance: InstanceId,
    endpoint: impl Into<SocketAddr>,
    key: Option<[u8; 32]>,
) {
    let mut offer = Offer::new("printing".parse().unwrap(), [endpoint.into()]).unwrap();
    if let Some(key) = key {
        offer = offer.with_key(key).unwrap();
    }
    let ttl = NonZeroU32::new(45_000).unwrap();
    let announcement = Announcement {
        instance,
        ttl,
        offer,
    };
    cast(sim, from, &Datagram::Announcement(announcement).encode());
}

fn cast(sim: &mut Net, from: HostId, datagram: &Bytes) {
    sim.send_datagram(from, (GROUP_V4, PORT).into(), datagram.clone());
}

fn instance_of(sim: &Net, program: ProgramId) -> InstanceId {
    server(sim, program).announcer().unwrap().instance()
}

#[test]
fn who_announces_the_instance_of_another_changes_nothing_and_is_told() {
    // AUTO-36, AUTO-39
    let mut lan = Lan::new(31);
    let at = lan.start_server(50_053);
    let it = lan.start_client(0, Some(s(5)));
    lan.sim.run_for(s(2));
    let mallory = lan.sim.host(lan.lan, [10, 0, 0, 66]);
    let instance = instance_of(&lan.sim, at);
    for _ in 0..60 {
        announce(
            &mut lan.sim,
            mallory,
            instance,
            ([10, 0, 0, 66], 7_000),
            None,
        );
        lan.sim.run_for(s(1));
        assert!(is_welcome_at(&lan.sim, it, at));
    }
    let told = story(&lan.sim, it, 2);
    assert!(
        told.contains(&"contested by 10.0.0.66".to_owned()),
        "{told:?}"
    );
    assert!(
        told.contains(&"found 10.0.0.66:7000".to_owned()),
        "{told:?}"
    );
    let welcomes = told.iter().filter(|told| *told == "welcome 10.0.0.2:50053");
    assert!(welcomes.count() >= 11, "{told:?}");
    let seeker = client(&lan.sim, it).seeker().unwrap();
    let servers: Vec<SocketAddr> = seeker.servers().map(|it| it.endpoints[0]).collect();
    let expected: [SocketAddr; 2] = [
        ([10, 0, 0, 2], 50_053).into(),
        ([10, 0, 0, 66], 7_000).into(),
    ];
    assert_eq!(servers, expected);
}

#[test]
fn with_a_pinned_key_an_impostor_delays_a_client_and_is_never_the_server() {
    // AUTO-6, AUTO-30, AUTO-36
    let keys = [1, 2].map(|n| Arc::new(KeyPair::generate([n; 32])));
    let mut lan = Lan::new(32);
    let mallory = lan.sim.host(lan.lan, [10, 0, 0, 66]);
    // His own server has his own key, and nobody who wants the other one looks at it.
    let setup = ServerSetup {
        port: 7_000,
        keys: Some(Arc::clone(&keys[1])),
        ..server_of("printing")
    };
    let impostor = lan.sim.start_program(mallory, Server::new(setup));
    let setup = ServerSetup {
        port: 50_053,
        keys: Some(Arc::clone(&keys[0])),
        ..server_of("printing")
    };
    let at = lan.sim.start_program(lan.here, Server::new(setup));
    lan.sim.run_for(s(2));
    let mut setup = client_of("client0", "printing");
    setup.again = Some(s(5));
    setup.seeker.keys = Some(BTreeSet::from([*keys[0].public().as_bytes()]));
    // He is first, under the instance of the right one and with its key, and leads to his own server.
    lan.sim.cut_one_way(lan.here, lan.there[0]);
    let it = lan.sim.start_program(lan.there[0], Client::new(setup));
    let (instance, key) = (instance_of(&lan.sim, at), *keys[0].public().as_bytes());
    let lie = |sim: &mut Net| {
        announce(sim, mallory, instance, ([10, 0, 0, 66], 7_000), Some(key));
    };
    lie(&mut lan.sim);
    lan.sim.run_for(ms(500));
    let expected = ["found 10.0.0.66:7000", "unanswered 3", "doubted"];
    assert_eq!(story(&lan.sim, it, 0), expected);
    lan.sim.mend(lan.here, lan.there[0]);
    let mut waited = 0;
    while welcome(&lan.sim, it).is_none() {
        lie(&mut lan.sim);
        lan.sim.run_for(s(1));
        waited += 1;
        assert!(waited < 30, "{:?}", story(&lan.sim, it, 0));
    }
    for _ in 0..60 {
        assert!(is_welcome_at(&lan.sim, it, at));
        lie(&mut lan.sim);
        lan.sim.run_for(s(1));
    }
    assert_eq!(guests(&lan.sim, impostor), [""; 0]);
    assert!(client(&lan.sim, it).seeker().unwrap().counters().untrusted > 0);
}

#[test]
fn forged_goodbyes_make_nobody_go() {
    // AUTO-34
    let mut lan = Lan::new(33);
    lan.sim.quality(lan.lan).loss = Odds::percent(10);
    let at = lan.start_server(50_053);
    let it = lan.start_client(0, None);
    let met = lan
        .sim
        .run_until_true(s(10), |sim| is_welcome_at(sim, it, at));
    assert!(met.is_some());
    let mallory = lan.sim.host(lan.lan, [10, 0, 0, 66]);
    let goodbye = Datagram::Goodbye(instance_of(&lan.sim, at)).encode();
    for _ in 0..100 {
        cast(&mut lan.sim, mallory, &goodbye);
        lan.sim.run_for(ms(300));
        assert!(is_welcome_at(&lan.sim, it, at));
    }
    let told = story(&lan.sim, it, 2);
    let doubts = told.iter().filter(|told| *told == "doubted").count();
    assert!(doubts > 5, "{told:?}");
    // Each question is answered, and no more than two in a second.
    let said = server(&lan.sim, at).announcer().unwrap().counters();
    assert!(said.announcements < 2 * 40, "{said:?}");
}

#[test]
fn a_flood_of_servers_takes_an_eighth_of_the_places_and_none_of_those_who_answered() {
    // AUTO-37
    let mut lan = Lan::new(34);
    let at = lan.start_server(50_053);
    let it = lan.start_client(0, Some(s(5)));
    lan.sim.run_for(s(2));
    let mallory = lan.sim.host(lan.lan, [10, 0, 0, 66]);
    for n in 1..1_000_u16 {
        let mut instance = [6; 16];
        instance[..2].copy_from_slice(&n.to_be_bytes());
        let instance = InstanceId::from_bytes(instance);
        announce(&mut lan.sim, mallory, instance, ([10, 0, 0, 66], n), None);
        lan.sim.run_for(ms(10));
        let seeker = client(&lan.sim, it).seeker().unwrap();
        assert!(seeker.servers().count() <= 1 + 32);
    }
    assert!(is_welcome_at(&lan.sim, it, at));
    // A newcomer is found all the same.
    let newcomer = lan.sim.host(lan.lan, [10, 0, 0, 3]);
    let newcomer = lan
        .sim
        .start_program(newcomer, Server::new(server_of("printing")));
    lan.sim.run_for(s(1));
    let instance = instance_of(&lan.sim, newcomer);
    let seeker = client(&lan.sim, it).seeker().unwrap();
    assert!(seeker.servers().any(|it| it.instance == instance));
}
