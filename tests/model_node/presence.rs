//! The presence of one peer, by the times at which something was heard of it.

use std::time::Duration;

use atonce::wire::zre::Command;
use atonce::zre::Config;
use atonce::{Event, Instant, Presence};
use proptest::prelude::*;

use crate::model_common::{World, address_of, ms, tell};

#[derive(Clone, Copy, Debug)]
enum Op {
    Wait(u64),
    Message,
    Beacon,
    /// Whether it answers PINGs from now on.
    Answers(bool),
}

/// What is to be seen of the peer: when what happens, and how late at the latest.
struct Model {
    evasive: Duration,
    expired: Duration,
    heard: Instant,
    spoke: Instant,
    presence: Presence,
    /// When it was asked last, or called evasive or silent.
    asked: Option<Instant>,
    gone: bool,
}

/// What the node does by itself at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Asks,
    Evasive,
    Silent,
    Exit,
}

impl Model {
    /// A little before the evasive timeout: a second, or a quarter of it.
    fn quiet(&self) -> Duration {
        self.evasive - ms(1_000).min(self.evasive / 4)
    }

    /// What comes next if nothing is heard: from when until when.
    fn next(&self) -> (Instant, Instant, Does) {
        let end = self.heard + self.expired;
        let (from, until, does) = match (self.presence, self.asked) {
            (Presence::Ready, None) => {
                let at = self.heard + self.quiet();
                (at, at, Does::Asks)
            }
            (Presence::Ready, Some(_)) => {
                let at = self.heard + self.evasive;
                (at, at, Does::Evasive)
            }
            (presence, asked) => {
                // About a second after the last time, so that many nodes do not ask at once.
                let asked = asked.unwrap();
                let does = match presence {
                    Presence::Evasive => Does::Silent,
                    _ => Does::Asks,
                };
                (asked + ms(750), asked + ms(1_250), does)
            }
        };
        if from >= end {
            (end, end, Does::Exit)
        } else {
            // When little is left of it the end may come first.
            (from, until.min(end), does)
        }
    }

    /// Something was heard; whether the peer recovered by it.
    fn hear(&mut self, now: Instant, message: bool) -> bool {
        if message {
            self.spoke = now;
        } else if now - self.spoke >= self.expired {
            // Beacons alone say nothing about the links.
            return false;
        }
        self.heard = now;
        self.asked = None;
        std::mem::replace(&mut self.presence, Presence::Ready) != Presence::Ready
    }
}

struct Run {
    world: World,
    model: Model,
    /// Events and PINGs that were looked at.
    heard: usize,
}

impl Run {
    fn new(evasive: u64, expired: u64) -> Self {
        let mut world = World::new(Config {
            evasive_timeout: ms(evasive),
            expired_timeout: ms(expired),
            ..Config::default()
        });
        let ann = world.puppet("ann", 10, address_of(2, 0));
        world.greet(ann, &[]);
        assert_eq!(world.events.len(), 1);
        world.events.clear();
        // What was said to it is confirmed, by an answer when it is first asked.
        world.pass(ms(evasive) - ms(1_000).min(ms(evasive) / 4));
        let now = world.now;
        Self {
            heard: world.puppets[ann].heard.len(),
            model: Model {
                evasive: ms(evasive),
                expired: ms(expired),
                heard: now,
                spoke: now,
                presence: Presence::Ready,
                asked: None,
                gone: false,
            },
            world,
        }
    }

    /// What the node did just now. A PING that was answered at once is heard of at once.
    fn did(&mut self) -> Vec<Does> {
        let mut did = Vec::new();
        for event in self.world.events.drain(..) {
            did.push(match event {
                Event::Evasive { .. } => Does::Evasive,
                Event::Silent { .. } => Does::Silent,
                Event::Exit { .. } => Does::Exit,
                // Its answer came at once; `answered` looks at it.
                Event::Recovered { .. } => continue,
                other => panic!("{}", tell(&other)),
            });
        }
        let heard = &self.world.puppets[0].heard[self.heard..];
        let pings = heard
            .iter()
            .filter(|(_, message)| message.command == Command::Ping);
        did.extend(pings.map(|_| Does::Asks));
        self.heard = self.world.puppets[0].heard.len();
        did
    }

    fn wait(&mut self, time: Duration) -> Result<(), TestCaseError> {
        let end = self.world.now + time;
        while !self.model.gone {
            let (from, until, does) = self.model.next();
            let deadline = self.world.node.poll_timeout().map(|(at, _)| at);
            let Some(at) = deadline.filter(|at| *at <= end) else {
                prop_assert!(until > end, "{:?} is due until {}", does, until);
                break;
            };
            let step = at - self.world.now;
            self.world.pass(step);
            let mut did = self.did();
            if did.is_empty() {
                // A beacon of our own, or a deadline that is looked at once more.
                prop_assert!(until > at, "{:?} was due until {}, now {}", does, until, at);
                continue;
            }
            prop_assert!(
                from <= at && at <= until,
                "{:?} at {}: {} to {}",
                did,
                at,
                from,
                until
            );
            // At the end of a silence it is either of the two.
            let ended = at == self.model.heard + self.model.expired;
            let does = if ended { Does::Exit } else { does };
            prop_assert_eq!(did.remove(0), does);
            self.model.asked = Some(at);
            match does {
                Does::Asks => {}
                // With each change it is asked once more.
                Does::Evasive => self.model.presence = Presence::Evasive,
                Does::Silent => self.model.presence = Presence::Silent,
                Does::Exit => self.model.gone = true,
            }
            let asked = matches!(does, Does::Evasive | Does::Silent);
            prop_assert_eq!(did, vec![Does::Asks; usize::from(asked)]);
            if self.world.puppets[0].answers && does != Does::Exit {
                self.model.hear(at, true);
            }
        }
        let rest = end - self.world.now;
        self.world.pass(rest);
        Ok(())
    }

    fn play(&mut self, op: Op) -> Result<(), TestCaseError> {
        let now = self.world.now;
        match op {
            Op::Wait(time) => self.wait(ms(time))?,
            Op::Answers(answers) => self.world.puppets[0].answers = answers,
            _ if self.model.gone => {}
            Op::Message => {
                self.world.speak(0, Command::PingOk);
                self.recovered(now, true)?;
            }
            Op::Beacon => {
                let puppet = &self.world.puppets[0];
                let (id, address) = (puppet.id, puppet.address);
                self.world.beacon(id, address, address.port());
                self.recovered(now, false)?;
            }
        }
        let presence = self.world.node.peers().next().map(|view| view.presence);
        let expected = (!self.model.gone).then_some(self.model.presence);
        prop_assert_eq!(presence, expected);
        Ok(())
    }

    fn recovered(&mut self, now: Instant, message: bool) -> Result<(), TestCaseError> {
        let told: Vec<_> = self
            .world
            .events
            .drain(..)
            .map(|event| tell(&event))
            .collect();
        let recovered = self.model.hear(now, message);
        prop_assert_eq!(told, vec!["recovered ann"; usize::from(recovered)]);
        Ok(())
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..8_000_u64).prop_map(Op::Wait),
        2 => (0..60_000_u64).prop_map(Op::Wait),
        3 => Just(Op::Message),
        4 => Just(Op::Beacon),
        2 => prop::bool::weighted(0.3).prop_map(Op::Answers),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_peer_is_missed_and_gone_when_the_model_says_so(
        evasive in 500..8_000_u64,
        longer in 1..30_000_u64,
        ops in prop::collection::vec(op(), 1..40),
    ) {
        // ZRE-50, ZRE-51
        let mut run = Run::new(evasive, evasive + longer);
        for op in ops {
            run.play(op)?;
        }
    }
}
