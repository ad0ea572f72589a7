//! What the simulator does with sockets, as the adapters for real ones do.

use atonce::Frames;
use atonce::socket::{Config, Event, Kind, SendError, Why};
use atonce_sim::{NodeId, Odds};

use super::programs::{Client, Server};
use super::{Net, at, ms, s};

/// Two hosts, and a socket on each.
fn two(kinds: [Kind; 2]) -> (Net, [NodeId; 2]) {
    let mut sim = Net::new(1);
    let lan = sim.segment();
    let sockets = [(1, kinds[0]), (2, kinds[1])].map(|(n, kind)| {
        let host = sim.host(lan, [10, 0, 0, n]);
        sim.start_socket(host, kind, Config::default())
    });
    (sim, sockets)
}

fn events(sim: &mut Net, socket: NodeId) -> Vec<Event> {
    std::iter::from_fn(|| sim.poll_socket_event(socket)).collect()
}

#[test]
fn what_cannot_be_bound_is_told() {
    let (mut sim, [one, _]) = two([Kind::Pull, Kind::Pull]);
    for endpoint in ["tcp://10.0.0.9:1", "ipc:///run/x", "tcp://eth7:5555"] {
        sim.with_socket(one, |socket| socket.bind(&at(endpoint)).unwrap());
        let told = events(&mut sim, one);
        assert!(
            matches!(&told[..], [Event::ListenFailed { .. }]),
            "{told:?}"
        );
    }
    for endpoint in ["tcp://eth0:5555", "tcp://10.0.0.1:5556", "tcp://*:0"] {
        sim.with_socket(one, |socket| socket.bind(&at(endpoint)).unwrap());
    }
    let told = events(&mut sim, one);
    let real: Vec<String> = told
        .iter()
        .map(|event| match event {
            Event::Listening { endpoint, .. } => endpoint.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(real[..2], ["tcp://10.0.0.1:5555", "tcp://10.0.0.1:5556"]);
    assert!(real[2].starts_with("tcp://*:") && real[2] != "tcp://*:0");
    // Once more is once too often, until the first one is gone.
    sim.with_socket(one, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    assert!(matches!(
        events(&mut sim, one)[..],
        [Event::ListenFailed { .. }]
    ));
    let first = sim.socket(one).unwrap().endpoints().next().unwrap().0;
    sim.with_socket(one, |socket| socket.unbind(first));
    sim.with_socket(one, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    let told = events(&mut sim, one);
    assert!(
        matches!(&told[..], [Event::Unbound { .. }, Event::Listening { .. }]),
        "{told:?}"
    );
}

#[test]
fn names_are_looked_up_each_time() {
    let (mut sim, [push, pull]) = two([Kind::Push, Kind::Pull]);
    let name = "sink.example".parse().unwrap();
    sim.with_socket(pull, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    sim.with_socket(push, |socket| {
        socket.connect(&at("tcp://sink.example:5555")).unwrap();
        socket.send(&Frames::from("work")).unwrap();
    });
    sim.run_for(s(1));
    let told = events(&mut sim, push);
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::Retrying { .. })),
        "{told:?}"
    );
    sim.name(&name, [10, 0, 0, 2]);
    sim.run_for(s(2));
    let got = sim.with_socket(pull, |socket| socket.recv().unwrap());
    assert_eq!(got, Some(Some(Frames::from("work"))));
}

#[test]
fn a_name_that_is_not_wanted_any_more_is_not_dialled() {
    let (mut sim, [push, pull]) = two([Kind::Push, Kind::Pull]);
    sim.name(&"sink.example".parse().unwrap(), [10, 0, 0, 2]);
    sim.with_socket(pull, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    let connect = sim.with_socket(push, |socket| {
        socket.connect(&at("tcp://sink.example:5555")).unwrap()
    });
    sim.run_for(ms(10));
    sim.with_socket(push, |socket| socket.disconnect(connect.unwrap()));
    sim.run_for(s(1));
    assert_eq!(sim.counters().dials, 0);
    assert_eq!(sim.socket(pull).unwrap().counters().peers, 0);
}

#[test]
fn a_listener_moves_with_the_address_of_its_host() {
    let (mut sim, [push, pull]) = two([Kind::Push, Kind::Pull]);
    sim.with_socket(pull, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    let host = sim.host_of(pull);
    sim.change_address(host, 0, [10, 0, 0, 7]);
    sim.with_socket(push, |socket| {
        socket.connect(&at("tcp://10.0.0.7:5555")).unwrap();
        socket.send(&Frames::from("work")).unwrap();
    });
    sim.run_for(s(1));
    let got = sim.with_socket(pull, |socket| socket.recv().unwrap());
    assert_eq!(got, Some(Some(Frames::from("work"))));
}

#[test]
fn a_reader_that_stops_is_felt_by_the_writer() {
    let (mut sim, [push, pull]) = two([Kind::Push, Kind::Pull]);
    sim.with_socket(pull, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    sim.with_socket(push, |socket| {
        socket.connect(&at("tcp://10.0.0.2:5555")).unwrap()
    });
    sim.run_for(s(1));
    sim.set_stalled(pull, true);
    let work = Frames::from(vec![7; 1_000]);
    let mut sent = 0;
    for _ in 0..100 {
        sim.with_socket(push, |socket| {
            while socket.send(&work).is_ok() {
                sent += 1;
            }
            assert_eq!(socket.send(&work), Err(SendError::Full));
        });
        sim.run_for(s(1));
    }
    // Two kernels, and the queue.
    assert!((1_000..1_300).contains(&sent), "{sent}");
    sim.set_stalled(pull, false);
    sim.run_for(s(1));
    let mut got = 0;
    sim.with_socket(pull, |socket| {
        while socket.recv().unwrap().is_some() {
            got += 1;
        }
    });
    assert!(got >= 1_000, "{got}");
}

#[test]
fn a_socket_that_closes_sends_what_it_has_and_ends_its_process() {
    let (mut sim, [push, pull]) = two([Kind::Push, Kind::Pull]);
    sim.with_socket(pull, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    sim.with_socket(push, |socket| {
        socket.connect(&at("tcp://10.0.0.2:5555")).unwrap();
        for _ in 0..900 {
            socket.send(&Frames::from(vec![7; 1_000])).unwrap();
        }
        socket.close();
    });
    assert!(sim.is_running(push));
    sim.run_for(s(2));
    assert!(!sim.is_running(push) && sim.connections() == 0);
    let mut got = 0;
    sim.with_socket(pull, |socket| {
        while socket.recv().unwrap().is_some() {
            got += 1;
        }
    });
    assert_eq!(got, 900);
}

#[test]
fn who_is_killed_is_missed() {
    let (mut sim, [push, pull]) = two([Kind::Push, Kind::Pull]);
    sim.with_socket(pull, |socket| socket.bind(&at("tcp://*:5555")).unwrap());
    sim.with_socket(push, |socket| {
        socket.connect(&at("tcp://10.0.0.2:5555")).unwrap()
    });
    sim.run_for(s(1));
    events(&mut sim, push);
    sim.kill(pull);
    sim.run_for(ms(50));
    let told = events(&mut sim, push);
    let is_cut = |event: &Event| {
        matches!(
            event,
            Event::Disconnected {
                was_ready: true,
                why: Why::Cut(_),
                ..
            }
        )
    };
    assert!(told.iter().any(is_cut), "{told:?}");
}

/// Everything that happens, as a hash.
fn talk(seed: u64) -> (u64, u64) {
    let mut sim = Net::new(seed);
    let lan = sim.segment();
    sim.tcp().short_writes = Odds::percent(20);
    sim.tcp().split_reads = Odds::percent(20);
    let hosts = [1, 2, 3].map(|n| sim.host(lan, [10, 0, 0, n]));
    let server = Server {
        binds: true,
        ..Server::of("tcp://*:5555")
    };
    sim.start_program(hosts[0], server);
    let clients = [hosts[1], hosts[2]]
        .map(|host| sim.start_program(host, Client::new("tcp://10.0.0.1:5555", false)));
    sim.run_for(s(20));
    let answers = clients.map(|client| sim.program::<Client>(client).unwrap().answers);
    assert!(answers.iter().all(|answers| *answers > 50), "{answers:?}");
    (sim.trace_hash(), sim.trace_lines())
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(talk(1), talk(1));
    assert_ne!(talk(1), talk(2));
}
