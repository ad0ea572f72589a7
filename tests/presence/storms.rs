//! Nodes that start and stop faster than anybody can want to know.

use atonce::{Config, PeerId, Stack};

use crate::support::{Lan, frames, names, text};
use crate::{NOTHING, ms};

/// How it ends, twenty times a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Politely,
    Killed,
}

/// Alice and bob, and one who starts and stops.
struct Storm {
    lan: Lan,
    alice: usize,
    bob: usize,
    stormy: usize,
    lives: u16,
    same: bool,
}

impl Storm {
    fn new(same: bool) -> Self {
        let mut lan = Lan::new();
        let (alice, bob) = (lan.node("alice"), lan.node("bob"));
        lan.run_for(ms(500));
        lan.events(alice);
        lan.events(bob);
        let stormy = lan.node_with(Self::config(same, 0));
        Self {
            lan,
            alice,
            bob,
            stormy,
            lives: 0,
            same,
        }
    }

    fn config(same: bool, life: u16) -> Config {
        let mut id = [7; 16];
        if !same {
            id[..2].copy_from_slice(&life.to_be_bytes());
        }
        Config {
            name: Some(text("stormy")),
            uuid: Some(PeerId::from_bytes(id)),
            ..Config::default()
        }
    }

    /// Fifty milliseconds: a life.
    fn live(&mut self, end: End) {
        let lan = &mut self.lan;
        if end == End::Politely {
            lan.run_for(ms(15));
            lan.with(self.stormy, Stack::stop);
        }
        lan.run_for(ms(32));
        lan.kill(self.stormy);
        lan.run_for(ms(3));
        self.lives = self.lives.wrapping_add(1);
        let config = Self::config(self.same, self.lives);
        let mut seed = [1; 32];
        seed[..2].copy_from_slice(&self.lives.to_be_bytes());
        lan.reborn(self.stormy, config, seed);
    }

    /// What alice is told in half a minute, in which she and bob hear each other all the while.
    fn rage(&mut self, end: End) -> Vec<String> {
        let mut told = Vec::new();
        let bob = self.lan.id(self.bob);
        for second in 0..30 {
            for _ in 0..20 {
                self.live(end);
            }
            self.lan.with(self.alice, |stack, now| {
                stack.whisper(now, bob, &frames("still?")).unwrap();
            });
            self.lan.run_for(ms(2));
            let heard = names(&self.lan.events(self.bob));
            assert_eq!(
                heard.last().map(String::as_str),
                Some("whisper alice [b\"still?\"]"),
                "{second}"
            );
            told.extend(names(&self.lan.events(self.alice)));
            let usage = self.lan.stack(self.alice).usage();
            assert!(usage.hints <= 64 && usage.unproved <= 64, "{usage:?}");
            assert!(self.lan.open_links(self.alice) < 64);
        }
        told
    }

    /// It stays at last: how long it takes until alice knows it.
    fn calm(&mut self) -> u128 {
        let id = self.lan.id(self.stormy);
        let alice = self.alice;
        let took = self
            .lan
            .run_until(|lan| lan.stack(alice).peer(id).is_some());
        took.as_millis()
    }
}

fn enters(told: &[String]) -> usize {
    told.iter()
        .filter(|event| event.starts_with("enter"))
        .count()
}

#[test]
fn one_that_starts_and_stops_under_one_identity_is_let_in_ever_less() {
    // ZRE-24
    for end in [End::Politely, End::Killed] {
        let mut storm = Storm::new(true);
        let dials = storm.lan.dials(storm.alice);
        let told = storm.rage(end);
        let dials = storm.lan.dials(storm.alice) - dials;
        // Six hundred lives.
        assert!(enters(&told) <= 12, "{end:?}: {} ENTER", enters(&told));
        assert!(dials <= 60, "{end:?}: {dials} dials");
        let took = storm.calm();
        assert!(took <= 31_500, "{end:?}: met after {took} ms");
        storm.lan.run_for(ms(2_000));
        storm.lan.events(storm.alice);
        storm.lan.run_for(ms(40_000));
        assert_eq!(names(&storm.lan.events(storm.alice)), NOTHING, "{end:?}");
    }
}

#[test]
fn many_that_start_and_stop_at_one_address_are_not_hurried_in() {
    // ZRE-28
    for end in [End::Politely, End::Killed] {
        let mut storm = Storm::new(false);
        let dials = storm.lan.dials(storm.alice);
        let told = storm.rage(end);
        let dials = storm.lan.dials(storm.alice) - dials;
        assert!(enters(&told) <= 60, "{end:?}: {} ENTER", enters(&told));
        assert!(dials <= 150, "{end:?}: {dials} dials");
        let took = storm.calm();
        assert!(took <= 5_000, "{end:?}: met after {took} ms");
        storm.lan.run_for(ms(40_000));
        let id = storm.lan.id(storm.stormy);
        assert!(storm.lan.stack(storm.alice).peer(id).is_some());
        storm.lan.events(storm.alice);
        storm.lan.events(storm.bob);
        storm.lan.still_talk(storm.alice, storm.bob);
    }
}
