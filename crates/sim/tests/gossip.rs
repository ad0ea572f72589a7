//! Networks of gossip over real sockets, in which hubs die and come back, hosts are cut off, and nodes come and go.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that is wrong may stop

use std::collections::BTreeMap;
use std::time::Duration;

use atonce::gossip::Event;
use atonce::socket::Endpoint;
use atonce::wire::gossip::{Key, Value};
use atonce_sim::gossip::{Participant, Setup};
use atonce_sim::{Chance, HostId, ProgramId, Sim};

type Net = Sim<()>;
type Tuples = BTreeMap<Key, Value>;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn value(text: &str) -> Value {
    text.parse().unwrap()
}

fn hub_at(n: usize) -> Endpoint {
    format!("tcp://10.0.0.{n}:7000").parse().unwrap()
}

/// One participant, and what it publishes while it runs.
struct Member {
    host: HostId,
    is_hub: bool,
    hubs: Vec<usize>,
    program: Option<ProgramId>,
    published: Tuples,
    starts: u32,
}

struct Crowd {
    sim: Net,
    chance: Chance,
    members: Vec<Member>,
}

impl Crowd {
    /// So many hubs, each a client of those before it, so that there are cycles; and nodes that are clients of one or two.
    fn new(seed: u64, hubs: usize, nodes: usize) -> Self {
        let mut sim = Net::new(seed);
        let mut chance = Chance::new(seed ^ 0x60551B);
        let lan = sim.segment();
        let count = hubs + nodes;
        let members = (1..=count).map(|n| {
            let is_hub = n <= hubs;
            let of = if is_hub {
                (1..n).collect()
            } else {
                let first = 1 + chance.index(hubs);
                let second = 1 + chance.index(hubs);
                if first == second {
                    vec![first]
                } else {
                    vec![first, second]
                }
            };
            Member {
                host: sim.host(lan, [10, 0, 0, u8::try_from(n).unwrap()]),
                is_hub,
                hubs: of,
                program: None,
                published: Tuples::new(),
                starts: 0,
            }
        });
        let members = members.collect();
        let mut crowd = Self {
            sim,
            chance,
            members,
        };
        for n in 0..count {
            crowd.start(n);
        }
        crowd
    }

    fn start(&mut self, n: usize) {
        let member = &mut self.members[n];
        if member.program.is_some() {
            return;
        }
        member.starts += 1;
        // As nodes of ZRE do: another identity, at the same endpoint.
        let own = (
            key(&format!("{n}/{}", member.starts)),
            value(&format!("tcp://10.0.0.{}:1", n + 1)),
        );
        member.published = Tuples::from([own.clone()]);
        let setup = Setup {
            port: member.is_hub.then_some(7_000),
            hubs: member.hubs.iter().map(|hub| hub_at(*hub)).collect(),
            tuples: vec![own],
            ..Setup::default()
        };
        let program = self.sim.start_program(member.host, Participant::new(setup));
        member.program = Some(program);
    }

    fn kill(&mut self, n: usize) {
        let member = &mut self.members[n];
        if let Some(program) = member.program.take() {
            self.sim.kill_program(program);
            member.published.clear();
        }
    }

    fn step(&mut self) {
        let n = self.chance.index(self.members.len());
        match self.chance.index(8) {
            0 | 1 => self.kill(n),
            2 | 3 => self.start(n),
            4 => {
                let said = (
                    key(&format!("config {n}")),
                    value(&format!("{}", self.chance.index(1_000))),
                );
                if let Some(program) = self.members[n].program {
                    self.members[n]
                        .published
                        .insert(said.0.clone(), said.1.clone());
                    self.sim
                        .with_program(program, |it: &mut Participant, nodes| {
                            it.publish(nodes, said.0, said.1).unwrap();
                        });
                }
            }
            5 => {
                if let Some(program) = self.members[n].program {
                    let name = key(&format!("config {n}"));
                    let had = self.members[n].published.remove(&name).is_some();
                    let was = self
                        .sim
                        .with_program(program, |it: &mut Participant, nodes| {
                            it.unpublish(nodes, &name)
                        });
                    assert_eq!(was, Some(had));
                }
            }
            6 => {
                let side = [self.members[n].host];
                self.sim.partition(&side);
            }
            _ => self.sim.heal(),
        }
        let pause = [10, 500, 5_000, 40_000][self.chance.index(4)];
        self.sim.run_for(Duration::from_millis(pause));
    }

    fn expected(&self) -> Tuples {
        let all = self
            .members
            .iter()
            .flat_map(|member| member.published.clone());
        all.collect()
    }

    fn tables(&self) -> impl Iterator<Item = (usize, Tuples)> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(n, member)| {
            let it: &Participant = self.sim.program(member.program?)?;
            assert_eq!(it.failure(), None);
            Some((n, it.tuples()))
        })
    }
}

/// How many networks are tried: 15, or as many as the environment says.
fn seeds() -> u64 {
    let said = std::env::var("ATONCE_GOSSIP_SEEDS").ok();
    said.map_or(15, |said| said.parse().unwrap())
}

#[test]
fn in_the_end_all_that_are_connected_know_the_same() {
    // GOS-21, GOS-26, GOS-29, GOS-50, GOS-54
    for seed in 0..seeds() {
        let mut crowd = Crowd::new(seed, 3, 6);
        for _ in 0..25 {
            crowd.step();
        }
        crowd.sim.heal();
        for n in 0..crowd.members.len() {
            if crowd.members[n].is_hub {
                crowd.start(n);
            }
        }
        crowd.sim.run_for(s(150));
        let expected = crowd.expected();
        for (n, table) in crowd.tables() {
            assert_eq!(table, expected, "seed {seed}: {n}");
        }
    }
}

#[test]
fn a_hub_that_is_started_again_costs_nobody_a_tuple() {
    // GOS-50, GOS-56
    let mut crowd = Crowd::new(7, 1, 20);
    crowd.sim.run_for(s(2));
    let expected = crowd.expected();
    for (n, table) in crowd.tables() {
        assert_eq!(table, expected, "{n}");
    }
    for _ in 0..10 {
        crowd.kill(0);
        crowd.sim.run_for(s(1));
        crowd.start(0);
        crowd.sim.run_for(s(5));
        let expected = crowd.expected();
        for (n, table) in crowd.tables() {
            assert!(
                expected
                    .iter()
                    .all(|(key, value)| table.get(key) == Some(value)),
                "{n}"
            );
        }
    }
    // Nobody was told that a node was gone that was there.
    for member in &crowd.members[1..] {
        let it: &Participant = crowd.sim.program(member.program.unwrap()).unwrap();
        for event in it.told() {
            if let Event::Unpublished { before, .. } = event {
                assert_eq!(*before, value("tcp://10.0.0.1:1"));
            }
        }
    }
}
