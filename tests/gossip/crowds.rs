//! Random networks, random changes: in the end all tables are the same, and it is quiet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::network::{Kind, Network, key, ms, value};

/// Repeatable chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % n
    }
}

/// What is to be the case: who publishes what.
type Truth = BTreeMap<String, (usize, String)>;

struct Crowd {
    net: Network,
    chance: Chance,
    truth: Truth,
    links: Vec<usize>,
    version: u32,
}

impl Crowd {
    /// A connected network, of which some are C peers. No two of them are linked: what they lose between them nobody can help.
    fn new(seed: u64, c_peers: bool, cycles: bool) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..10 {
            chance.below(2);
        }
        let mut net = Network::new();
        let count = 2 + chance.below(6);
        for n in 0..count {
            if c_peers && n > 0 && chance.below(2) == 0 {
                net.c();
            } else {
                net.ours();
            }
        }
        let mut links = Vec::new();
        for n in 1..count {
            let linkable: Vec<usize> = (0..n)
                .filter(|other| net.is_ours(n) || net.is_ours(*other))
                .collect();
            links.push((n, linkable[chance.below(linkable.len())]));
        }
        if cycles {
            for _ in 0..chance.below(count) {
                let (one, other) = (chance.below(count), chance.below(count));
                if one != other && (net.is_ours(one) || net.is_ours(other)) {
                    links.push((one, other));
                }
            }
        }
        let links = links.into_iter();
        let links = links.map(|(one, other)| {
            let latency = ms(1 + u64::try_from(chance.below(30)).unwrap());
            if chance.below(2) == 0 {
                net.link(one, other, latency)
            } else {
                net.link(other, one, latency)
            }
        });
        let links = links.collect();
        Self {
            net,
            chance,
            truth: Truth::new(),
            links,
            version: 0,
        }
    }

    fn step(&mut self) {
        let count = self.net.all.len();
        let n = self.chance.below(count);
        match self.chance.below(10) {
            0..=4 => {
                // Each has keys of its own, as nodes do. Those of C nodes never say anything else, since each start has another one.
                self.version += 1;
                let name = if self.net.is_ours(n) {
                    format!("{n}-{}", self.chance.below(3))
                } else {
                    format!("{n}-c{}", self.version)
                };
                let said = format!("tcp://{n}:{}", self.version);
                self.net.publish(n, &key(&name), &value(&said));
                self.truth.insert(name, (n, said));
            }
            5 | 6 => {
                let own: Vec<String> = self.of(n);
                if self.net.is_ours(n) && !own.is_empty() {
                    let name = &own[self.chance.below(own.len())];
                    self.net.unpublish(n, &key(name));
                    self.truth.remove(name);
                }
            }
            7 => {
                let link = self.links[self.chance.below(self.links.len())];
                self.net.cut(link);
            }
            8 => {
                let link = self.links[self.chance.below(self.links.len())];
                self.net.connect(link);
            }
            _ => {
                for name in self.of(n) {
                    self.truth.remove(&name);
                }
                self.net.restart(n);
            }
        }
        let pause = [0, 1, 20, 500, 3_000, 30_000][self.chance.below(6)];
        self.net.run(ms(pause));
        self.judge();
    }

    /// The keys of one.
    fn of(&self, n: usize) -> Vec<String> {
        let own = self.truth.iter().filter(|(_, (of, _))| *of == n);
        own.map(|(name, _)| name.clone()).collect()
    }

    /// Each node finds out by itself who is there.
    fn judge(&mut self) {
        let now = self.net.now;
        for it in &mut self.net.all {
            if let Kind::Ours(gossip) = it {
                let keys: Vec<_> = gossip.tuples().map(|(key, _)| key.clone()).collect();
                for key in keys {
                    if self.truth.contains_key(&key.to_string()) {
                        gossip.confirm(now, &key);
                    } else {
                        gossip.doubt(now, &key);
                    }
                }
            }
        }
    }

    fn calm_down(&mut self) {
        for link in self.links.clone() {
            self.net.connect(link);
        }
        for _ in 0..20 {
            self.net.run(Duration::from_secs(10));
            self.judge();
        }
    }

    fn expected(&self) -> BTreeMap<String, String> {
        let truth = self.truth.iter();
        truth
            .map(|(name, (_, said))| (name.clone(), said.clone()))
            .collect()
    }
}

fn all_are_equal(seed: u64, c_peers: bool, cycles: bool) {
    let mut crowd = Crowd::new(seed, c_peers, cycles);
    for _ in 0..40 {
        crowd.step();
    }
    crowd.calm_down();
    let expected = crowd.expected();
    for n in 0..crowd.net.all.len() {
        let table = crowd.net.table(n);
        if crowd.net.is_ours(n) {
            assert_eq!(
                table,
                expected,
                "seed {seed}: {n} of {:?}",
                crowd.net.all.len()
            );
        } else {
            for (name, said) in &expected {
                assert_eq!(table.get(name), Some(said), "seed {seed}: {name} at {n}");
            }
        }
    }
    crowd.net.published_to.clear();
    crowd.net.run(Duration::from_secs(45));
    for (n, published) in &crowd.net.published_to {
        // Refreshes are for ours alone.
        assert!(
            crowd.net.is_ours(*n) || *published == 0,
            "seed {seed}: {published} to {n}"
        );
    }
}

/// How many networks each test tries: 25, or as many as the environment says.
fn seeds() -> u64 {
    let said = std::env::var("ATONCE_GOSSIP_SEEDS").ok();
    said.map_or(25, |said| said.parse().unwrap())
}

#[test]
fn ours_all_know_the_same_in_the_end() {
    // GOS-21, GOS-26
    for seed in 0..seeds() {
        all_are_equal(seed, false, true);
    }
}

#[test]
fn with_c_peers_too() {
    for seed in 0..seeds() {
        all_are_equal(seed, true, false);
    }
}

#[test]
fn and_with_cycles() {
    for seed in 0..seeds() {
        all_are_equal(seed, true, true);
    }
}

/// Several of ours publish the same few keys, and give way to each other.
#[test]
fn rivals_come_to_the_same() {
    // GOS-40, GOS-41
    for seed in 0..seeds() {
        let mut crowd = Crowd::new(seed, true, true);
        let count = crowd.net.all.len();
        for _ in 0..20 {
            let n = crowd.chance.below(count);
            if crowd.net.is_ours(n) {
                let name = format!("rival {}", crowd.chance.below(2));
                let said = format!("tcp://{n}:1");
                crowd.net.publish(n, &key(&name), &value(&said));
            }
            let link = crowd.links[crowd.chance.below(crowd.links.len())];
            if crowd.chance.below(3) == 0 {
                crowd.net.cut(link);
            } else {
                crowd.net.connect(link);
            }
            let pause = [0, 1, 20, 500][crowd.chance.below(4)];
            crowd.net.run(ms(pause));
        }
        for link in crowd.links.clone() {
            crowd.net.connect(link);
        }
        crowd.net.run(Duration::from_secs(200));
        let first = crowd.net.table(0);
        for n in 0..count {
            assert_eq!(crowd.net.table(n), first, "seed {seed}: {n}");
        }
        crowd.net.published_to.clear();
        crowd.net.run(Duration::from_secs(45));
        for (n, published) in &crowd.net.published_to {
            assert!(
                crowd.net.is_ours(*n) || *published == 0,
                "seed {seed}: {published} to {n}"
            );
        }
    }
}
