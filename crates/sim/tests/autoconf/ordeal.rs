//! Everything that may go wrong, in any order, and that all is well again when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use atonce::autoconf::hello::ClientEvent;
use atonce::autoconf::seeker::{Event, Reason};
use atonce_sim::autoconf::{Client, ClientSetup, Server, ServerSetup, Told};
use atonce_sim::{Chance, HostId, NodeId, Odds, ProgramId, SegmentId};

use super::{
    Net, client, client_of, guests, instance_of, is_welcome_at, ms, s, server, server_of, story,
};

/// A network with some servers that come and go, and five clients.
struct World {
    sim: Net,
    lan: SegmentId,
    chance: Chance,
    hosts: Vec<HostId>,
    servers: [Option<ProgramId>; 2],
    clients: [ProgramId; 5],
    /// All servers that there ever were.
    lives: Vec<ProgramId>,
    /// All clients that there ever were, with their names.
    seen: Vec<(ProgramId, String)>,
    /// The last octet of the next address.
    next: u8,
    suspended: Vec<NodeId>,
    /// All places where a server was ever announced.
    places: BTreeSet<SocketAddr>,
}

impl World {
    /// Two servers at most, at hosts 0 and 1, and five clients.
    fn new(seed: u64) -> Self {
        let mut sim = Net::new(seed);
        let mut chance = Chance::new(seed);
        let lan = sim.segment();
        *sim.quality(lan) = atonce_sim::Quality {
            loss: Odds::percent(20),
            duplicate: Odds::percent(20),
            reorder: Odds::percent(10),
            ..Default::default()
        };
        let hosts: Vec<HostId> = (1..=7).map(|n| sim.host(lan, [10, 0, 0, n])).collect();
        let seen: Vec<_> = (0..5)
            .map(|n| {
                let name = format!("client{n}");
                let setup = ClientSetup {
                    again: Some(s(5)),
                    ..client_of(&name, "printing")
                };
                sim.run_for(chance.between(s(0), s(3)));
                (sim.start_program(hosts[2 + n], Client::new(setup)), name)
            })
            .collect();
        let clients: Vec<ProgramId> = seen.iter().map(|(client, _)| *client).collect();
        Self {
            sim,
            lan,
            chance,
            hosts,
            servers: [None; 2],
            clients: clients.try_into().unwrap(),
            lives: Vec::new(),
            seen,
            next: 100,
            suspended: Vec::new(),
            places: BTreeSet::new(),
        }
    }

    fn start_server(&mut self, n: usize) {
        let host = self.hosts[n];
        self.sim.power_on(host);
        if self.chance.happens(Odds::percent(50)) {
            self.next += 1;
            self.sim.change_address(host, 0, [10, 0, 0, self.next]);
        }
        let setup = ServerSetup {
            port: if self.chance.happens(Odds::percent(50)) {
                50_053
            } else {
                0
            },
            ..server_of("printing")
        };
        let started = self.sim.start_program(host, Server::new(setup));
        self.servers[n] = Some(started);
        self.lives.push(started);
    }

    fn end_server(&mut self, n: usize) {
        let Some(server) = self.servers[n].take() else {
            return;
        };
        match self.chance.below(3) {
            0 => self.sim.power_off(self.hosts[n]),
            1 => self.sim.kill_program(server),
            _ => {
                let stop = |it: &mut Server, nodes: &mut atonce_sim::Nodes<'_>| it.stop(nodes);
                self.sim.with_program(server, stop);
                // It does not get to say goodbye again.
                if self.chance.happens(Odds::percent(50)) {
                    self.sim.kill_program(server);
                }
            }
        }
    }

    fn restart_client(&mut self) {
        let n = self.chance.index(5);
        self.sim.kill_program(self.clients[n]);
        let name = format!("client{n}");
        let setup = ClientSetup {
            again: Some(s(5)),
            ..client_of(&name, "printing")
        };
        let started = self
            .sim
            .start_program(self.hosts[2 + n], Client::new(setup));
        self.clients[n] = started;
        self.seen.push((started, name));
    }

    /// One thing goes wrong, for a while or for good.
    fn fault(&mut self) {
        let n = self.chance.index(2);
        let host = self.chance.index(self.hosts.len());
        match self.chance.below(9) {
            0 | 1 => self.end_server(n),
            2 | 3 if self.servers[n].is_none() => self.start_server(n),
            2 | 3 => {
                self.next += 1;
                let address = [10, 0, 0, self.next];
                self.sim.change_address(self.hosts[host], 0, address);
            }
            4 => {
                let half = Odds::percent(50);
                let hosts = self.hosts.iter().copied();
                let side: Vec<HostId> = hosts.filter(|_| self.chance.happens(half)).collect();
                self.sim.partition(&side);
            }
            5 => self.sim.heal(),
            6 => {
                let other = self.hosts[(host + 1) % self.hosts.len()];
                self.sim.cut_one_way(self.hosts[host], other);
            }
            7 => self.restart_client(),
            _ => {
                let programs = self.servers.iter().flatten().chain(&self.clients);
                let programs: Vec<ProgramId> = programs.copied().collect();
                let program = self.chance.pick(&programs).unwrap();
                let node = self.sim.nodes_of(program).first().copied();
                if let Some(node) = node {
                    self.sim.suspend(node);
                    self.suspended.push(node);
                }
            }
        }
    }

    fn mend(&mut self) {
        self.sim.heal();
        for n in 0..self.hosts.len() {
            let other = self.hosts[(n + 1) % self.hosts.len()];
            self.sim.mend(self.hosts[n], other);
        }
        for node in std::mem::take(&mut self.suspended) {
            self.sim.resume(node);
        }
    }

    /// Lets time pass, and looks at what has to hold at any time.
    fn run_for(&mut self, time: Duration) {
        let end = self.sim.now() + time;
        while self.sim.now() < end {
            self.sim.run_for((end - self.sim.now()).min(ms(500)));
            for life in &self.lives {
                self.places.extend(server(&self.sim, *life).endpoints());
            }
        }
    }

    /// What was told makes sense: of each server first that it is found, last that it is lost, and never the same again; and nobody is welcome where
    /// there never was anybody.
    fn check(&self) {
        for (it, _) in &self.seen {
            let mut known = BTreeMap::new();
            for (at, told) in client(&self.sim, *it).told() {
                match told {
                    Told::Seeker(Event::Found { server }) => {
                        assert!(known.insert(server.id, false).is_none(), "{at} {told:?}");
                    }
                    Told::Seeker(Event::Doubted { server }) => {
                        assert_eq!(known.insert(server.id, true), Some(false), "{at} {told:?}");
                    }
                    Told::Seeker(Event::Trusted { server }) => {
                        assert_eq!(known.insert(server.id, false), Some(true), "{at} {told:?}");
                    }
                    Told::Seeker(Event::Lost { server, reason }) => {
                        let doubted = known.remove(&server.id);
                        let before = matches!(reason, Reason::Left | Reason::Silent);
                        assert!(doubted.is_some_and(|it| it || !before), "{at} {told:?}");
                    }
                    Told::Hello(_, ClientEvent::Welcome { endpoint }) => {
                        assert!(self.places.contains(endpoint), "{at} {told:?}");
                    }
                    Told::Hello(_, ClientEvent::Unanswered { tries: 3 }) => {}
                    other => panic!("{at} {other:?}"),
                }
            }
            let seeker = client(&self.sim, *it).seeker().unwrap();
            let left: BTreeSet<_> = seeker.servers().map(|it| it.id).collect();
            assert_eq!(left, known.into_keys().collect());
        }
        let names: BTreeSet<&String> = self.seen.iter().map(|(_, name)| name).collect();
        for life in &self.lives {
            let guests = guests(&self.sim, *life);
            assert!(guests.iter().all(|guest| names.contains(guest)));
        }
    }
}

/// Two minutes of faults, after which one server is there and all is well but for what datagrams suffer: how long it takes until all are welcome
/// there, and the trace.
fn ordeal(seed: u64) -> (Duration, u64, u64) {
    let mut world = World::new(seed);
    if world.chance.happens(Odds::percent(80)) {
        world.start_server(0);
    }
    let end = world.sim.now() + s(120);
    while world.sim.now() < end {
        world.fault();
        let pause = world.chance.between(ms(0), s(8));
        world.run_for(pause);
    }
    world.mend();
    world.end_server(1);
    world.run_for(s(1));
    // It found its port taken, perhaps, by the one before that did not run and so did not end.
    let runs = |server| world.sim.is_program_running(server);
    if !world.servers[0].is_some_and(runs) {
        world.start_server(0);
    }
    let last = world.servers[0].unwrap();
    world.run_for(ms(1));
    assert_eq!(server(&world.sim, last).failure(), None, "seed {seed}");
    let clients = world.clients;
    let all = |sim: &Net| clients.iter().all(|it| is_welcome_at(sim, *it, last));
    let begun = world.sim.now();
    while !all(&world.sim) {
        world.run_for(ms(500));
        let waited = world.sim.now() - begun;
        assert!(
            waited < s(120),
            "seed {seed}: {:?}",
            clients.map(|it| story(&world.sim, it, 0))
        );
    }
    let took = world.sim.now() - begun;
    // What is left of those who died is forgotten, and the one that is there is not.
    world.run_for(s(60));
    let here = instance_of(&world.sim, last);
    for it in clients {
        let seeker = client(&world.sim, it).seeker().unwrap();
        assert!(
            seeker.servers().all(|it| it.instance == here),
            "seed {seed}"
        );
    }
    // On a network that loses nothing nobody doubts it any more.
    *world.sim.quality(world.lan) = atonce_sim::Quality::default();
    world.run_for(s(30));
    let told = clients.map(|it| client(&world.sim, it).told().len());
    world.run_for(s(60));
    assert!(all(&world.sim), "seed {seed}");
    for (it, told) in clients.into_iter().zip(told) {
        let later = story(&world.sim, it, told);
        assert!(later.len() >= 11, "seed {seed}: {later:?}");
        assert!(
            later.iter().all(|it| it.starts_with("welcome")),
            "seed {seed}: {later:?}"
        );
    }
    world.check();
    (took, world.sim.trace_hash(), world.sim.trace_lines())
}

/// With `ATONCE_SEEDS=1000..2000` others than usual.
fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("ATONCE_SEEDS") else {
        return 0..50;
    };
    let (first, last) = text.split_once("..").expect("first..last");
    first.parse().unwrap()..last.parse().unwrap()
}

#[test]
fn whatever_goes_wrong_and_is_lost_in_the_end_all_are_welcome() {
    let mut longest = (Duration::ZERO, 0);
    for seed in seeds() {
        let (took, _, _) = ordeal(seed);
        longest = longest.max((took, seed));
    }
    println!("the longest: {longest:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(ordeal(7), ordeal(7));
    assert_ne!(ordeal(7).1, ordeal(8).1);
}
