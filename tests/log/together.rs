//! A node, collectors and the sockets between them, in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use atonce::log::logger::{Action, CollectorId, Config, Limits, Logger};
use atonce::log::{Collector, collector};
use atonce::socket::{self, Kind, QueueLimit};
use atonce::wire::log::{Level, Record};
use proptest::prelude::*;

use crate::network::{HostId, Net};
use crate::{enter, exit, logger};

/// A node that logs, as its embedder has it.
struct World {
    net: Net,
    logger: Logger,
    publishers: BTreeMap<CollectorId, HostId>,
}

/// What a SUB that is not read holds, and a publisher for it.
const FEW: usize = 4;

fn few() -> QueueLimit {
    QueueLimit {
        messages: FEW,
        octets: FEW * Record::LIMIT,
    }
}

impl World {
    fn new(limits: Limits) -> Self {
        let mut net = Net::new();
        net.capacity = 2_000;
        let config = Config {
            limits,
            ..Config::default()
        };
        Self {
            net,
            logger: logger(config),
            publishers: BTreeMap::new(),
        }
    }

    /// A collector listens there, and enters. It reads what it is asked to.
    fn collector(&mut self, octet: u8) -> HostId {
        let config = socket::Config {
            receive: few(),
            ..socket::Config::default()
        };
        let sub = self.net.socket_with(Kind::Sub, config);
        let now = self.net.now;
        let wanted = Record::prefix(None);
        self.net.the(sub).subscribe(now, wanted).unwrap();
        let endpoint = format!("tcp://10.0.0.{octet}:9992");
        self.net.bind(sub, &endpoint);
        enter(&mut self.logger, now, octet, Some(&endpoint));
        self.pump();
        sub
    }

    fn connect(&mut self, collector: CollectorId, address: SocketAddr) {
        let config = socket::Config {
            no_drop: true,
            send: few(),
            ..socket::Config::default()
        };
        let publisher = self.net.socket_with(Kind::XPub, config);
        self.net.connect(publisher, &format!("tcp://{address}"));
        self.publishers.insert(collector, publisher);
    }

    /// What an embedder does after each call.
    fn pump(&mut self) {
        while let Some(action) = self.logger.poll_action() {
            match action {
                Action::Connect {
                    collector, address, ..
                } => self.connect(collector, address),
                Action::Disconnect { collector } => {
                    let publisher = self.publishers.remove(&collector).unwrap();
                    let now = self.net.now;
                    self.net.the(publisher).close(now);
                }
                other => panic!("{other:?}"),
            }
        }
        for (collector, publisher) in &self.publishers {
            for event in self.net.events(*publisher) {
                if let socket::Event::Disconnected { lost, .. } = event {
                    self.logger.handle_lost(*collector, lost);
                }
            }
            while let Some(message) = self.net.recv(*publisher) {
                let message = message.first().unwrap();
                self.logger.handle_subscription(*collector, message);
            }
            while self.net.the(*publisher).can_send()
                && let Some(message) = self.logger.poll_message(*collector)
            {
                self.net.send(*publisher, message);
            }
        }
    }

    fn log(&mut self, number: usize) {
        let text = format!("{number} {}", "x".repeat(100));
        self.logger.log(self.net.now, Level::INFO, &text);
        self.pump();
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(10) {
            self.net.run_for(Duration::from_millis(10));
            self.logger.handle_timeout(self.net.now);
            self.pump();
        }
    }

    /// Takes what came to a collector: numbers that were logged, and how many it is told that it missed.
    fn take(&mut self, sub: HostId) -> (Vec<usize>, u64) {
        let mut read = Collector::new(collector::Config::default());
        let (mut numbers, mut missed) = (Vec::new(), 0);
        while let Some(message) = self.net.recv(sub) {
            let record = read.handle_message(self.net.now, &message).unwrap();
            let text = record.data.to_string();
            let first = text.split(' ').next().unwrap().parse();
            match (record.level, first) {
                (Level::INFO, Ok(number)) => numbers.push(number),
                (Level::WARNING, Ok(many)) => missed += u64::try_from(many).unwrap(),
                // Who entered, and that there is an interface.
                _ => {}
            }
        }
        (numbers, missed)
    }

    /// Takes all that comes to a collector that reads as fast as it can.
    fn take_all(&mut self, sub: HostId) -> (Vec<usize>, u64) {
        let (mut numbers, mut missed) = (Vec::new(), 0);
        for _ in 0..100 {
            let (more, many) = self.take(sub);
            numbers.extend(more);
            missed += many;
            self.pass(10);
        }
        (numbers, missed)
    }
}

fn all(limits: usize) -> Limits {
    Limits {
        records: limits,
        rate: 1_000_000,
        burst: 1_000_000,
        ..Limits::default()
    }
}

#[test]
fn a_slow_collector_costs_nobody_anything_and_is_told_how_much_it_missed() {
    // LOG-27, LOG-29
    let mut world = World::new(all(20));
    let (slow, quick) = (world.collector(2), world.collector(3));
    world.pass(100);
    world.take(quick);
    for number in 0..1_000 {
        world.log(number);
        world.pass(10);
        assert_eq!(world.take(quick), (vec![number], 0));
    }
    // What waits is bounded by what each of the queues on the way holds.
    let publisher = world.publishers.values().next().copied().unwrap();
    let usage = world.net.the(publisher).usage();
    assert!(usage.queued_messages <= FEW, "{usage:?}");
    let (numbers, missed) = world.take_all(slow);
    assert!(missed > 900, "{missed}");
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert!(numbers.ends_with(&Vec::from_iter(980..1_000)));
    // Of the first it got what the queues held; the interface and the ENTERs are no numbers.
    assert_eq!(numbers.len() + usize::try_from(missed).unwrap(), 1_000);
    assert_eq!(world.logger.counters().missed, missed);
}

#[test]
fn a_collector_that_comes_late_or_again_gets_what_is_kept_for_it() {
    // LOG-10, LOG-16, LOG-27
    let mut world = World::new(all(100));
    world.log(1);
    world.pass(5_000);
    world.log(2);
    let sub = world.collector(2);
    assert_eq!(world.take_all(sub).0, [1, 2]);
    // Nobody is there for a while: the publisher notices, and dials again and again.
    world.net.kill(sub);
    world.pass(100);
    world.log(3);
    world.pass(40_000);
    world.log(4);
    let now = world.net.now;
    let sub = world.net.socket(Kind::Sub);
    world
        .net
        .the(sub)
        .subscribe(now, Record::prefix(None))
        .unwrap();
    world.net.bind(sub, "tcp://10.0.0.2:9992");
    world.pass(31_000);
    assert_eq!(world.take_all(sub), (vec![3, 4], 0));
    // Its node exits, and nothing more is said to it.
    exit(&mut world.logger, now, 2);
    world.pump();
    world.log(5);
    assert_eq!(world.take_all(sub), (vec![], 0));
    assert!(world.publishers.is_empty() && world.net.links(sub) == 0);
}

#[test]
fn a_collector_that_wants_some_levels_is_sent_no_others() {
    // LOG-30
    let mut world = World::new(all(100));
    let sub = world.net.socket(Kind::Sub);
    let now = world.net.now;
    for level in [Level::ERROR, Level::WARNING] {
        let wanted = Record::prefix(Some(level));
        world.net.the(sub).subscribe(now, wanted).unwrap();
    }
    world.net.bind(sub, "tcp://10.0.0.2:9992");
    enter(&mut world.logger, now, 2, Some("tcp://10.0.0.2:9992"));
    for level in [3, 2, 1, 0, 4] {
        world.logger.log(now, Level(level), "text");
    }
    world.pass(100);
    let mut levels = Vec::new();
    while let Some(message) = world.net.recv(sub) {
        levels.push(Record::decode(&message[0]).unwrap().level.0);
    }
    assert_eq!(levels, [2, 1]);
    assert_eq!(world.net.the(sub).counters().messages_discarded, 0);
}

#[derive(Clone, Debug)]
enum Step {
    Log(usize),
    Take,
    Cut,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..30_usize).prop_map(Step::Log),
        2 => Just(Step::Take),
        1 => Just(Step::Cut),
        2 => (0..5_000_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// LOG-27: whatever is cut and however slowly it is taken, nothing comes twice; without a cut it comes in order, and what does not
    /// come is told.
    #[test]
    fn what_comes_comes_once_and_what_does_not_is_told(steps in prop::collection::vec(step(), 1..40), cuts: bool) {
        let mut world = World::new(all(30));
        let sub = world.collector(2);
        world.pass(100);
        let (mut numbers, mut missed, mut next) = (Vec::new(), 0, 0);
        for step in steps {
            match step {
                Step::Log(many) => {
                    for _ in 0..many {
                        world.log(next);
                        next += 1;
                    }
                }
                Step::Take => {
                    let (more, many) = world.take(sub);
                    numbers.extend(more);
                    missed += many;
                }
                Step::Cut if cuts => world.net.cut(sub),
                Step::Cut => {}
                Step::Pass(millis) => world.pass(millis),
            }
        }
        world.pass(31_000);
        let (more, many) = world.take_all(sub);
        numbers.extend(more);
        missed += many;
        if cuts {
            // A SUB that is behind takes from the link that is gone and from the new one by turns.
            numbers.sort_unstable();
        }
        prop_assert!(numbers.is_sorted_by(|one, next| one < next), "{:?}", numbers);
        let came = numbers.len() + usize::try_from(missed).unwrap();
        prop_assert!(came <= next && (cuts || came == next), "{} of {}", came, next);
        // The last ones always come, in so far as none of them was on a link that was cut.
        prop_assert!(cuts || next == 0 || numbers.last() == Some(&(next - 1)));
    }
}
