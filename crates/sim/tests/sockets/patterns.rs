//! The patterns, with many peers, and with some that die, are slow, or come late.

use atonce::socket::{Config, QueueLimit};
use atonce_sim::{HostId, ProgramId, Tcp};

use super::programs::{Client, Publisher, Queue, Server, Sink, Subscriber, Ventilator, Worker};
use super::{Net, config, ms, s};

/// Hosts on a LAN, from 10.0.0.1 on.
fn hosts(sim: &mut Net, count: u16) -> Vec<HostId> {
    let lan = sim.segment();
    (1..=count)
        .map(|n| {
            let [high, low] = n.to_be_bytes();
            sim.host(lan, [10, 0, high, low])
        })
        .collect()
}

/// A short queue, so that each worker has few tasks.
fn short() -> Config {
    let limit = QueueLimit {
        messages: 4,
        ..QueueLimit::default()
    };
    Config {
        send: limit,
        receive: limit,
        ..config()
    }
}

struct Pipeline {
    sim: Net,
    ventilator: ProgramId,
    sink: ProgramId,
    workers: Vec<ProgramId>,
}

const TASK: usize = 4_000;

fn pipeline(seed: u64, workers: u16, tasks: u64) -> Pipeline {
    let mut sim = Net::new(seed);
    *sim.tcp() = Tcp {
        send_buffer: 8_000,
        receive_buffer: 8_000,
        ..Tcp::default()
    };
    let hosts = hosts(&mut sim, workers + 2);
    let ventilator = Ventilator {
        config: short(),
        ..Ventilator::new("tcp://*:5557", tasks, TASK)
    };
    let ventilator = sim.start_program(hosts[0], ventilator);
    let sink = sim.start_program(hosts[1], Sink::new("tcp://*:5558"));
    let workers = hosts[2..].iter().map(|host| {
        let worker = Worker {
            config: short(),
            ..Worker::new("tcp://10.0.0.1:5557", "tcp://10.0.0.2:5558", ms(200))
        };
        sim.start_program(*host, worker)
    });
    let workers = workers.collect();
    Pipeline {
        sim,
        ventilator,
        sink,
        workers,
    }
}

impl Pipeline {
    fn got(&self) -> usize {
        self.sim.program::<Sink>(self.sink).unwrap().got.len()
    }
}

#[test]
fn every_worker_has_its_share_and_every_task_is_done_once() {
    let mut it = pipeline(1, 100, 4_000);
    let (sink, want) = (it.sink, 4_000);
    let done = it.sim.run_until_true(s(120), |sim| {
        sim.program::<Sink>(sink).unwrap().got.len() == want
    });
    assert!(done.is_some(), "{} of {want}", it.got());
    // In turn: nobody has nothing to do.
    let taken: Vec<_> = it
        .workers
        .iter()
        .map(|worker| it.sim.program::<Worker>(*worker).unwrap().taken.len())
        .collect();
    assert!(taken.iter().all(|taken| *taken > 0), "{taken:?}");
    assert_eq!(it.sim.program::<Ventilator>(it.ventilator).unwrap().lost, 0);
}

#[test]
fn of_a_thousand_workers_those_that_are_killed_take_no_more_with_them_than_they_had() {
    let mut it = pipeline(2, 1_000, 20_000);
    it.sim.run_for(ms(1_200));
    let mut killed = Vec::new();
    for worker in it.workers.iter().skip(7).step_by(20) {
        it.sim.kill_program(*worker);
        killed.push(*worker);
        it.sim.run_for(ms(10));
    }
    assert_eq!(killed.len(), 50);
    it.sim.run_for(s(30));
    let ventilator = it.sim.program::<Ventilator>(it.ventilator).unwrap();
    assert_eq!(ventilator.next, 20_000, "it goes on with the others");
    let got = &it.sim.program::<Sink>(it.sink).unwrap().got;
    let mut taken = std::collections::BTreeSet::new();
    for worker in &it.workers {
        let of_worker = &it.sim.program::<Worker>(*worker).unwrap().taken;
        assert!(
            of_worker.iter().all(|task| taken.insert(*task)),
            "a task twice"
        );
        let missing = of_worker.iter().filter(|task| !got.contains(task)).count();
        if killed.contains(worker) {
            // The one at hand, those in its queue for the sink, and what its kernel did not bring there.
            assert!(
                missing <= 1 + 4 + 16_000 / TASK + 1,
                "{missing} results are lost"
            );
        } else {
            assert_eq!(missing, 0, "a result is lost of one who lives");
        }
    }
    // What nobody took was on its way to one who died, or is told.
    let untaken = 20_000 - taken.len() as u64;
    let most = 50 * (4 + 16_000 / TASK as u64 + 1);
    let lost = ventilator.lost;
    assert!(untaken >= lost, "{lost} are told to be lost, {untaken} are");
    assert!(untaken - lost <= most, "{untaken} lost, {lost} told");
    assert!(lost > 0 && untaken > lost, "{lost} of {untaken}");
}

#[test]
fn clients_of_a_queue_go_on_whoever_dies() {
    let mut sim = Net::new(3);
    let hosts = hosts(&mut sim, 27);
    let (front, back) = ("tcp://*:5559", "tcp://*:5560");
    let mut queue = sim.start_program(hosts[0], Queue::new(front, back));
    let server = || Server::of("tcp://10.0.0.1:5560");
    let mut servers: Vec<_> = hosts[1..6]
        .iter()
        .map(|host| sim.start_program(*host, server()))
        .collect();
    let client = |n: usize| Client::new("tcp://10.0.0.1:5559", n.is_multiple_of(2));
    let mut clients: Vec<_> = (6..26)
        .map(|n| sim.start_program(hosts[n], client(n)))
        .collect();
    sim.run_for(s(2));
    let answers = |sim: &Net, clients: &[ProgramId]| -> Vec<u64> {
        let clients = clients
            .iter()
            .map(|client| sim.program::<Client>(*client).unwrap().answers);
        clients.collect()
    };
    let mut before = answers(&sim, &clients);
    assert!(before.iter().all(|answers| *answers >= 10), "{before:?}");
    for round in 0..30 {
        match round % 5 {
            0 => {
                sim.kill_program(queue);
                sim.run_for(s(1));
                queue = sim.start_program(hosts[0], Queue::new(front, back));
            }
            1 | 2 => {
                let at = round % servers.len();
                sim.kill_program(servers[at]);
                sim.run_for(ms(300));
                servers[at] = sim.start_program(hosts[1 + at], server());
            }
            3 => {
                let at = round % clients.len();
                sim.kill_program(clients[at]);
                clients[at] = sim.start_program(hosts[6 + at], client(6 + at));
                before[at] = 0;
            }
            _ => {
                // Without a word: the host loses its power.
                let at = round % servers.len();
                sim.power_off(hosts[1 + at]);
                sim.run_for(s(1));
                sim.power_on(hosts[1 + at]);
                servers[at] = sim.start_program(hosts[1 + at], server());
            }
        }
        sim.run_for(s(10));
        let after = answers(&sim, &clients);
        let goes_on = before
            .iter()
            .zip(&after)
            .all(|(before, after)| after > before);
        assert!(goes_on, "round {round}: {before:?}, {after:?}");
        before = after;
    }
    let clients = clients
        .iter()
        .map(|client| sim.program::<Client>(*client).unwrap());
    let (lost, resets) = clients.fold((0, 0), |(lost, resets), client| {
        (lost + client.lost, resets + client.resets)
    });
    assert!(lost > 0 && resets > 0, "{lost} told, {resets} given up");
}

#[test]
fn one_slow_subscriber_of_two_hundred_misses_news_and_nobody_else_does() {
    let mut sim = Net::new(4);
    let hosts = hosts(&mut sim, 201);
    let limit = QueueLimit {
        messages: 50,
        ..QueueLimit::default()
    };
    let publisher = Publisher {
        every: ms(20),
        octets: 2_000,
        config: Config {
            send: limit,
            unready_links: 256,
            ..config()
        },
        ..Publisher::new("tcp://*:5556", 0)
    };
    let publisher = sim.start_program(hosts[0], publisher);
    let topic = |n: usize| ["even", "odd", ""][n % 3];
    let subscribers: Vec<_> = (0..200)
        .map(|n| {
            let subscriber = Subscriber {
                config: Config {
                    receive: limit,
                    ..config()
                },
                ..Subscriber::new("tcp://10.0.0.1:5556", topic(n))
            };
            sim.start_program(hosts[1 + n], subscriber)
        })
        .collect();
    sim.run_for(s(2));
    // Its application does nothing for a while.
    let slow = sim.nodes_of(subscribers[2])[0];
    sim.set_deaf(slow, true);
    sim.run_for(s(20));
    let of_publisher = sim.program::<Publisher>(publisher).unwrap().socket.unwrap();
    let counters = *sim.socket(of_publisher).unwrap().counters();
    assert!(counters.messages_dropped > 0, "{counters:?}");
    assert!(sim.socket(of_publisher).unwrap().usage().queued_messages <= 50 + 200);
    sim.set_deaf(slow, false);
    sim.run_for(s(5));
    let next = sim.program::<Publisher>(publisher).unwrap().next;
    for (n, subscriber) in subscribers.iter().enumerate() {
        let got = &sim.program::<Subscriber>(*subscriber).unwrap().got[&0];
        let step = if topic(n).is_empty() { 1 } else { 2 };
        let whole = got.windows(2).all(|two| two[1] - two[0] == step);
        assert_eq!(whole, n != 2, "subscriber {n}");
        // The last ones are on their way.
        assert!(
            next - got.last().unwrap() <= 4,
            "subscriber {n} hears no news"
        );
    }
}

#[test]
fn who_connects_first_waits_for_who_binds_later() {
    let mut sim = Net::new(5);
    let hosts = hosts(&mut sim, 12);
    // The host is there and nobody listens; for some there is not even a host.
    for host in &hosts[2..] {
        let worker = Worker::new("tcp://10.0.0.1:5557", "tcp://10.0.0.2:5558", ms(10));
        sim.start_program(*host, worker);
    }
    sim.power_off(hosts[1]);
    sim.run_for(s(45));
    let ventilator = sim.start_program(hosts[0], Ventilator::new("tcp://*:5557", 100, 100));
    sim.run_for(s(31));
    assert_eq!(sim.program::<Ventilator>(ventilator).unwrap().next, 100);
    sim.power_on(hosts[1]);
    let sink = sim.start_program(hosts[1], Sink::new("tcp://*:5558"));
    // A pause has 30 s at most; a question that the host did not answer is asked again by TCP first.
    let done = sim.run_until_true(s(160), |sim| {
        sim.program::<Sink>(sink).unwrap().got.len() == 100
    });
    assert!(done.is_some());
}
