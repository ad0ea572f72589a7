//! The tester of @Once on few and small LANs: each fault by itself, all together, and twice the same.

#![allow(clippy::unwrap_used)] // a test that is wrong may stop

use std::time::Duration;

use atonce_sim::tester::clusters;
use atonce_sim::tester::once::{Admission, Fault, Faults, Options, Report, Tester};
use atonce_sim::{Odds, Quality};

fn options(seed: u64) -> Options {
    Options {
        lans: 3,
        peers: 3,
        duration: Duration::from_secs(30),
        seed,
        ..Options::default()
    }
}

fn bad(quality: Quality) -> Quality {
    Quality {
        loss: Odds::percent(5),
        duplicate: Odds::percent(5),
        reorder: Odds::percent(5),
        ..quality
    }
}

fn bad_network(options: Options) -> Options {
    Options {
        lan: bad(options.lan),
        wan: bad(options.wan),
        ..options
    }
}

fn run(options: Options) -> Report {
    let report = Tester::new(options).run(|_| ());
    assert!(report.broken.is_none(), "{report}");
    report
}

#[test]
fn the_same_seed_is_the_same_run() {
    let all = |seed| {
        run(bad_network(Options {
            faults: Faults::all(),
            ..options(seed)
        }))
    };
    let first = all(1);
    assert_eq!(first, all(1));
    assert_ne!(first.trace_hash, all(2).trace_hash);
}

#[test]
fn nodes_that_stay_see_all_others_and_hear_everything() {
    let report = run(Options {
        toggle: false,
        nats: 1,
        ..options(1)
    });
    // Each sees the two of its LAN and the six of others, and nobody leaves.
    assert_eq!((report.enters, report.exits), ([9 * 2, 9 * 6], [0, 0]));
    assert!(report.heard.iter().all(|heard| *heard > 100), "{report}");
    assert_eq!(report.said, report.heard);
    assert_eq!(report.strays, 0);
    let [_, across] = &report.meeting;
    assert!(across.percentile(100) < Duration::from_secs(8), "{report}");
    let [near, across] = &report.answered;
    assert!(near.percentile(100) < Duration::from_millis(2), "{report}");
    assert!(
        across.percentile(100) < Duration::from_millis(40),
        "{report}"
    );
}

#[test]
fn lans_behind_routers_meet_over_the_relay() {
    let stay = |seconds, faults: &str, seed| {
        run(Options {
            toggle: false,
            duration: Duration::from_secs(seconds),
            faults: faults.parse().unwrap(),
            ..options(seed)
        })
    };
    let report = stay(30, "none", 1);
    assert_eq!((report.enters, report.exits), ([9 * 2, 9 * 6], [0, 0]));
    assert_eq!(report.said, report.heard);
    assert_eq!((report.relayed.joined, report.relayed.most_pairs), (1, 1));
    // First they are listed for ten seconds and do not come.
    let [_, across] = &report.meeting;
    assert!(across.percentile(100) < Duration::from_secs(20), "{report}");
    // It is twice the way.
    let [_, across] = &report.answered;
    assert!(
        across.percentile(100) < Duration::from_millis(80),
        "{report}"
    );
    // What the relay joined is cut when its server is killed, and joined anew.
    let killed = (1..=3).map(|seed| stay(180, "server-kill", seed).relayed.joined);
    assert!(killed.sum::<u64>() >= 6);
}

#[test]
fn however_bridges_are_admitted() {
    for admission in [Admission::Open, Admission::Secret, Admission::Keys] {
        let report = run(Options {
            admission,
            ..options(1)
        });
        assert!(report.heard.iter().all(|heard| *heard > 0), "{report}");
    }
}

#[test]
fn each_fault_by_itself() {
    for fault in Fault::ALL {
        for seed in 1..=3 {
            run(Options {
                faults: [fault].into_iter().collect(),
                ..options(seed)
            });
        }
    }
}

#[test]
fn every_fault_at_once_on_a_bad_network() {
    for seed in 1..=5 {
        run(bad_network(Options {
            faults: Faults::all(),
            ..options(seed)
        }));
    }
}

#[test]
fn lans_with_both_versions_of_ip() {
    // ONCE-101: stand-ins meet a peer over the one or the other, and the bridge perhaps over the other one.
    let report = run(Options {
        toggle: false,
        dual_stack: true,
        ..options(1)
    });
    assert_eq!((report.enters, report.exits), ([9 * 2, 9 * 6], [0, 0]));
    assert_eq!(report.said, report.heard);
    for seed in 1..=2 {
        run(bad_network(Options {
            dual_stack: true,
            faults: Faults::all(),
            ..options(seed)
        }));
    }
}

#[test]
fn of_clusters_without_lans_all_bridges_know_all() {
    let options = clusters::Options {
        lans: 5,
        peers: 20,
        content: 1_000,
        ..clusters::Options::default()
    };
    let report = clusters::run(&options, |_| ()).unwrap();
    assert_eq!((report.stand_ins, report.members), (80, 8));
    // The content goes to each other LAN once, however many hear it there.
    let content = options.content as u64;
    // Around it there are a head, a name, whom it is for, and what ZRE and ZMTP put around that.
    assert!(
        (4 * content..4 * (content + 250)).contains(&report.shout.octets),
        "{report:?}"
    );
    assert!(
        (content..4 * content).contains(&report.whisper.octets),
        "{report:?}"
    );
}
