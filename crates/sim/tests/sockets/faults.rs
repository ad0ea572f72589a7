//! All patterns at once, and everything that may go wrong, from a seed.

use std::ops::Range;

use atonce::socket::Config;
use atonce_sim::{Chance, HostId, NodeId, Odds, ProgramId};

use super::programs::{
    Client, Partner, Publisher, Queue, Server, Sink, Subscriber, Ventilator, Worker,
};
use super::{Net, config, ms, s};

/// What is where: host 10.0.0.1 has the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Queue,
    Server,
    Client,
    Publisher,
    Subscriber,
    Ventilator,
    Sink,
    Worker,
    Partner,
}

const ROLES: [Role; 16] = [
    Role::Queue,
    Role::Server,
    Role::Server,
    Role::Client,
    Role::Client,
    Role::Client,
    Role::Publisher,
    Role::Subscriber,
    Role::Subscriber,
    Role::Ventilator,
    Role::Sink,
    Role::Worker,
    Role::Worker,
    Role::Worker,
    Role::Partner,
    Role::Partner,
];

struct Place {
    role: Role,
    host: HostId,
    program: ProgramId,
}

struct World {
    sim: Net,
    chance: Chance,
    places: Vec<Place>,
    /// How many programs were started.
    lives: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut sim = Net::new(seed);
        let mut chance = Chance::new(seed);
        let lan = sim.segment();
        let odd = Odds::percent(5);
        if chance.happens(Odds::percent(50)) {
            (sim.tcp().short_writes, sim.tcp().split_reads) = (odd, odd);
        }
        if chance.happens(Odds::percent(50)) {
            sim.quality(lan).loss = Odds::percent(2);
        }
        let hosts = (1..=16).map(|n| sim.host(lan, [10, 0, 0, n]));
        let hosts: Vec<HostId> = hosts.collect();
        let mut it = Self {
            sim,
            chance,
            places: Vec::new(),
            lives: 0,
        };
        for (host, role) in hosts.into_iter().zip(ROLES) {
            let program = it.start(host, role, it.places.len());
            it.places.push(Place {
                role,
                host,
                program,
            });
        }
        it
    }

    fn start(&mut self, host: HostId, role: Role, place: usize) -> ProgramId {
        self.lives += 1;
        let (sim, life) = (&mut self.sim, self.lives);
        match role {
            Role::Queue => sim.start_program(host, Queue::new("tcp://*:5559", "tcp://*:5560")),
            Role::Server => sim.start_program(host, Server::of("tcp://10.0.0.1:5560")),
            Role::Client => {
                let correlate = place == 3;
                sim.start_program(host, Client::new("tcp://10.0.0.1:5559", correlate))
            }
            Role::Publisher => sim.start_program(host, Publisher::new("tcp://*:5556", life)),
            Role::Subscriber => {
                let topic = if place == 7 { "" } else { "odd" };
                sim.start_program(host, Subscriber::new("tcp://10.0.0.7:5556", topic))
            }
            Role::Ventilator => {
                let ventilator = Ventilator {
                    // One that comes after another goes on elsewhere.
                    next: life << 32,
                    config: Config {
                        linger: s(1),
                        ..config()
                    },
                    ..Ventilator::new("tcp://*:5557", u64::MAX, 100)
                };
                sim.start_program(host, ventilator)
            }
            Role::Sink => sim.start_program(host, Sink::new("tcp://*:5558")),
            Role::Worker => {
                let (from, to) = ("tcp://10.0.0.10:5557", "tcp://10.0.0.11:5558");
                sim.start_program(host, Worker::new(from, to, ms(50)))
            }
            Role::Partner => {
                let partner = match place {
                    14 => Partner::new("tcp://*:5561", true),
                    _ => Partner::new("tcp://10.0.0.15:5561", false),
                };
                sim.start_program(host, partner)
            }
        }
    }

    fn some_place(&mut self) -> usize {
        self.chance.index(self.places.len())
    }

    fn nodes(&self, place: usize) -> Vec<NodeId> {
        self.sim.nodes_of(self.places[place].program).to_vec()
    }

    /// One thing goes wrong, for a while or for good.
    fn fault(&mut self) {
        let place = self.some_place();
        let host = self.places[place].host;
        let nodes = self.nodes(place);
        match self.chance.index(10) {
            0 => self.sim.kill_program(self.places[place].program),
            1 => {
                self.sim.kill_program(self.places[place].program);
                self.revive(place);
            }
            2 => self.sim.power_off(host),
            3 => {
                if let Some(node) = nodes.first() {
                    self.sim.suspend(*node);
                }
            }
            4 => {
                if let Some(node) = nodes.first() {
                    self.sim.set_deaf(*node, true);
                }
            }
            5 => {
                if let Some(node) = nodes.first() {
                    self.sim.set_stalled(*node, true);
                }
            }
            6 => {
                for node in nodes {
                    self.sim.reset_some(node, Odds::percent(60));
                }
            }
            7 => {
                for node in nodes {
                    self.sim.blackhole_some(node, Odds::percent(60));
                }
            }
            8 => {
                let side: Vec<HostId> = self.places.iter().map(|place| place.host).collect();
                let side: Vec<HostId> = side
                    .into_iter()
                    .filter(|_| self.chance.happens(Odds::percent(40)))
                    .collect();
                self.sim.partition(&side);
            }
            _ => {
                let other = self.some_place();
                let other = self.places[other].host;
                if other != host {
                    self.sim.cut_one_way(host, other);
                }
            }
        }
    }

    /// What is wrong at a place is so no more.
    fn mend(&mut self, place: usize) {
        let host = self.places[place].host;
        self.sim.power_on(host);
        self.revive(place);
        for node in self.nodes(place) {
            self.sim.resume(node);
            self.sim.set_deaf(node, false);
            self.sim.set_stalled(node, false);
        }
        let others: Vec<HostId> = self.places.iter().map(|place| place.host).collect();
        for other in others {
            self.sim.mend(host, other);
        }
    }

    fn revive(&mut self, place: usize) {
        let Place {
            role,
            host,
            program,
        } = self.places[place];
        if !self.sim.is_program_running(program) {
            self.places[place].program = self.start(host, role, place);
        }
    }

    /// How much each of those did that do something.
    fn done(&self) -> Vec<(Role, usize, u64)> {
        let sim = &self.sim;
        let places = self.places.iter().enumerate();
        places
            .filter_map(|(n, place)| {
                let id = place.program;
                let done = match place.role {
                    Role::Client => sim.program::<Client>(id)?.answers,
                    Role::Subscriber => sim.program::<Subscriber>(id)?.count() as u64,
                    Role::Sink => sim.program::<Sink>(id)?.got.len() as u64,
                    Role::Worker => sim.program::<Worker>(id)?.taken.len() as u64,
                    Role::Partner => sim.program::<Partner>(id)?.heard,
                    _ => return None,
                };
                Some((place.role, n, done))
            })
            .collect()
    }

    /// A minute in which something goes wrong every second; then all is mended, and all go on.
    fn run(&mut self) {
        self.sim.run_for(s(2));
        for _ in 0..60 {
            self.fault();
            let pause = self.chance.between(ms(100), ms(2_000));
            self.sim.run_for(pause);
            if self.chance.happens(Odds::percent(60)) {
                let place = self.some_place();
                self.mend(place);
            }
            if self.chance.happens(Odds::percent(30)) {
                self.sim.heal();
            }
        }
        self.sim.heal();
        for place in 0..self.places.len() {
            self.mend(place);
        }
        // A pause between dials, after a dial that hangs.
        self.sim.run_for(s(100));
        let before = self.done();
        self.sim.run_for(s(10));
        let after = self.done();
        for (before, after) in before.iter().zip(&after) {
            assert!(after.2 > before.2, "{before:?} does nothing any more");
        }
        for place in &self.places {
            for node in self.sim.nodes_of(place.program) {
                let socket = self.sim.socket(*node).unwrap();
                let usage = socket.usage();
                assert!(usage.links < 64 && usage.peers <= usage.links, "{usage:?}");
            }
        }
    }
}

fn run(seeds: Range<u64>) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

/// With `ATONCE_SEEDS=1000..2000` others than usual.
fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("ATONCE_SEEDS") else {
        return usual;
    };
    let (first, end) = text.split_once("..").unwrap();
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
fn whatever_goes_wrong_all_patterns_go_on_afterwards() {
    run(seeds(0..50));
}

#[test]
fn the_same_seed_goes_wrong_in_the_same_way() {
    let traces = [7, 7, 8].map(|seed| {
        let mut world = World::new(seed);
        world.run();
        (world.sim.trace_hash(), world.sim.trace_lines())
    });
    assert_eq!(traces[0], traces[1]);
    assert_ne!(traces[0], traces[2]);
}
