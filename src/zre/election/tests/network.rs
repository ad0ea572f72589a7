//! Many members, links that take their time, and everything that happens to them, in virtual time: in the end one leads.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::{Election, Word};
use super::id;
use crate::{Instant, PeerId};

const MEMBERS: u8 = 9;

/// How long a group may take after the last thing that happened. Two waves of mute contestants, one after the other, with
/// what follows.
const QUIET: Duration = Duration::from_secs(20);

#[derive(Debug)]
enum Happening {
    /// What one says to another: on which link, since those of another have forgotten it.
    Word(u8, u8, u32, Word),
    /// One finds that another is there, or gone.
    Sees(u8, u8, u32, bool),
    Due(u8),
}

struct Network {
    chance: ChaCha12Rng,
    now: Instant,
    members: BTreeMap<u8, Election>,
    contests: BTreeSet<u8>,
    /// They hear nothing and say nothing, though everybody takes them for present.
    mute: BTreeSet<u8>,
    /// The number of the link between two, and when what was said last on it comes.
    links: BTreeMap<(u8, u8), u32>,
    last: BTreeMap<(u8, u8), Instant>,
    slow: BTreeMap<(u8, u8), u64>,
    coming: BTreeMap<(Instant, u64), Happening>,
    next: u64,
    words: u64,
    told: BTreeMap<u8, PeerId>,
    /// Contestants change their minds.
    withdraw: bool,
}

impl Network {
    fn new(seed: u64) -> Self {
        Self {
            chance: ChaCha12Rng::seed_from_u64(seed),
            now: Instant::ZERO,
            members: BTreeMap::new(),
            contests: BTreeSet::new(),
            mute: BTreeSet::new(),
            links: BTreeMap::new(),
            last: BTreeMap::new(),
            slow: BTreeMap::new(),
            coming: BTreeMap::new(),
            next: 0,
            words: 0,
            told: BTreeMap::new(),
            withdraw: true,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance.next_u64() % bound
    }

    fn put(&mut self, after: Duration, happening: Happening) {
        let at = self.now + after;
        self.coming.insert((at, self.next), happening);
        self.next += 1;
    }

    /// Something that goes over a link, behind what went before it.
    fn send(&mut self, from: u8, to: u8, happening: Happening) {
        let slow = match self.slow.get(&(from, to)) {
            Some(slow) => *slow,
            None => {
                let slow = [2, 20, 400][usize::try_from(self.below(3)).unwrap()];
                self.slow.insert((from, to), slow);
                slow
            }
        };
        let delay = Duration::from_millis(1 + self.below(slow));
        let before = self.last.get(&(from, to)).copied().unwrap_or(self.now);
        let at = (self.now + delay).max(before);
        self.last.insert((from, to), at);
        self.put(at - self.now, happening);
    }

    fn step(&mut self, n: u8, step: impl FnOnce(&mut Election, Instant)) {
        let Some(member) = self.members.get_mut(&n) else {
            return;
        };
        step(member, self.now);
        let words: Vec<_> = core::iter::from_fn(|| member.poll_word()).collect();
        member.check();
        if let Some(leader) = member.poll_leader() {
            let before = self.told.insert(n, leader);
            assert_ne!(before, Some(leader), "{n} is told twice");
        }
        if let Some(due) = member.poll_timeout() {
            self.put(due - self.now, Happening::Due(n));
        }
        for (to, word) in words {
            let to = to.as_bytes()[0];
            self.words += 1;
            let link = self.links.get(&pair(n, to)).copied().unwrap_or(0);
            self.send(n, to, Happening::Word(n, to, link, word));
        }
    }

    /// Two find each other, or lose each other; each notices in its own time.
    fn link(&mut self, a: u8, b: u8, up: bool) {
        let link = self.links.entry(pair(a, b)).or_insert(0);
        *link += 1;
        let link = *link;
        for (one, other) in [(a, b), (b, a)] {
            self.send(other, one, Happening::Sees(one, other, link, up));
        }
    }

    fn run_until(&mut self, end: Instant) {
        while let Some(entry) = self.coming.first_entry()
            && entry.key().0 <= end
        {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            match happening {
                Happening::Word(from, to, link, word) => {
                    let current = self.links.get(&pair(from, to)) == Some(&link);
                    if current && !self.mute.contains(&to) && !self.mute.contains(&from) {
                        self.step(to, |it, now| it.hear(now, id(from), word));
                    }
                }
                Happening::Sees(one, other, link, up) => {
                    let current = self.links.get(&pair(one, other)) == Some(&link);
                    if up && current && self.members.contains_key(&other) {
                        self.step(one, |it, now| it.voter_came(now, id(other), false));
                    } else if !up {
                        if self.told.get(&one) == Some(&id(other)) {
                            self.told.remove(&one);
                        }
                        self.step(one, |it, now| it.voter_gone(now, id(other)));
                    }
                }
                Happening::Due(n) => self.step(n, |it, now| {
                    if it.poll_timeout().is_some_and(|due| due <= now) {
                        it.handle_timeout(now);
                    }
                }),
            }
        }
        self.now = end;
    }

    fn others(&self, n: u8) -> Vec<u8> {
        self.members.keys().copied().filter(|it| *it != n).collect()
    }

    fn start(&mut self, n: u8) {
        if self.members.contains_key(&n) {
            return;
        }
        self.members.insert(n, Election::new(id(n)));
        self.told.remove(&n);
        if self.below(3) > 0 {
            self.contests.insert(n);
            self.step(n, Election::contest);
        }
        for other in self.others(n) {
            self.link(n, other, true);
        }
    }

    fn end(&mut self, n: u8) {
        if self.members.remove(&n).is_none() {
            return;
        }
        self.contests.remove(&n);
        self.mute.remove(&n);
        for other in self.others(n) {
            self.link(n, other, false);
        }
    }

    /// Something happens to somebody.
    fn churn(&mut self) {
        let n = 1 + u8::try_from(self.below(MEMBERS.into())).unwrap();
        match self.below(12) {
            0..=4 => self.start(n),
            5 | 6 => self.end(n),
            7 if self.members.contains_key(&n) => {
                self.mute.insert(n);
            }
            8 => {
                // A cut, and the link is made again.
                let others = self.others(n);
                if self.members.contains_key(&n) && !others.is_empty() {
                    let other = others[usize::try_from(self.below(others.len() as u64)).unwrap()];
                    self.link(n, other, false);
                    self.link(n, other, true);
                }
            }
            9 if self.withdraw && self.members.contains_key(&n) && self.contests.remove(&n) => {
                self.step(n, Election::withdraw);
            }
            10 if self.members.contains_key(&n) && self.contests.insert(n) => {
                self.step(n, Election::contest);
            }
            _ => {}
        }
    }

    /// What is seen that is not one leader for all, if anything is.
    fn wrong(&self) -> Option<&'static str> {
        let hearing = self.members.iter().filter(|(n, _)| !self.mute.contains(n));
        let views: BTreeSet<_> = hearing.map(|(_, member)| member.leader()).collect();
        if !self.contests.is_empty() && self.contests.iter().all(|n| self.mute.contains(n)) {
            // Whoever could begin a wave is mute: nobody can tell anybody who comes.
            return None;
        }
        match views.iter().collect::<Vec<_>>()[..] {
            [] => None,
            [None] if self.contests.is_empty() => None,
            [None] => Some("nobody leads"),
            [Some(leader)] => {
                let leader = leader.as_bytes()[0];
                let stands = self.contests.contains(&leader) || self.contests.is_empty();
                // One that is mute could not say that it does not stand any more.
                let mute = self.mute.contains(&leader);
                (!stands && !mute).then_some("one that does not contest leads")
            }
            _ => Some("there are several views"),
        }
    }
}

fn pair(a: u8, b: u8) -> (u8, u8) {
    (a.min(b), a.max(b))
}

/// Runs one seed: `mute`, whether members may stay mute in the end.
fn run(seed: u64, mute: bool) {
    let mut network = Network::new(seed);
    network.withdraw = !mute;
    for _ in 0..3 {
        let steps = 5 + network.below(40);
        for _ in 0..steps {
            network.churn();
            let pause = [1, 30, 700, 3_000][usize::try_from(network.below(4)).unwrap()];
            let later = network.now + Duration::from_millis(network.below(pause) + 1);
            network.run_until(later);
        }
        if !mute {
            // Who is mute is found out in the end: it exits.
            for n in network.mute.clone() {
                network.end(n);
            }
        }
        let later = network.now + QUIET;
        network.run_until(later);
        let wrong = network.wrong();
        let views: Vec<_> = network
            .members
            .iter()
            .map(|(n, member)| (*n, member.leader()))
            .collect();
        if wrong.is_some() {
            for member in network.members.values() {
                std::eprintln!("{member:?}");
            }
        }
        assert_eq!(
            wrong, None,
            "seed {seed}: {views:?}, contest {:?}, mute {:?}",
            network.contests, network.mute
        );
        // It is quiet.
        let words = network.words;
        let later = network.now + QUIET;
        network.run_until(later);
        assert!(
            network.words - words <= 4 * u64::from(MEMBERS) * u64::from(MEMBERS),
            "seed {seed}: {} words though nothing happens",
            network.words - words
        );
    }
}

/// How many seeds: more with `ATONCE_ELECTION_SEEDS`.
fn seeds() -> u64 {
    let seeds = std::env::var("ATONCE_ELECTION_SEEDS");
    seeds.map_or(300, |seeds| seeds.parse().unwrap())
}

#[test]
fn a_quiet_group_has_one_leader() {
    for seed in 0..seeds() {
        run(seed, false);
    }
}

#[test]
fn a_quiet_group_with_mute_members_has_one_leader() {
    for seed in 0..seeds() {
        run(seed, true);
    }
}
