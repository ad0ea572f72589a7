//! Crowds on a Wi-Fi as the ZeroMQ guide measured it: everything takes long, and now and then nothing passes for up to 20 s.

#![allow(clippy::unwrap_used)] // a test that is wrong may stop

use std::time::Duration;

use atonce::{Config, Event};
use atonce_sim::tester::{Fault, Options, Report, Tester};
use atonce_sim::{Quality, Sim};

fn wifi(seed: u64) -> Options {
    const WAY: Duration = Duration::from_millis(150);
    Options {
        seed,
        quality: Quality {
            delay: WAY,
            jitter: WAY,
            ..Quality::default()
        },
        faults: [Fault::Burst].into_iter().collect(),
        steadfast: true,
        ..Options::default()
    }
}

fn run(options: Options) -> Report {
    let report = Tester::new(options).run(|_| ());
    assert!(report.broken.is_none(), "{report}");
    report
}

#[test]
fn fifty_nodes_on_a_bad_wifi_hold() {
    let report = run(Options {
        nodes: 50,
        duration: Duration::from_secs(60),
        toggle: false,
        chatter: false,
        ..wifi(1)
    });
    assert_eq!((report.enters, report.exits), (50 * 49, 0), "{report}");
    assert!(
        report.meeting.percentile(50) > Duration::from_millis(300),
        "that was no Wi-Fi: {report}"
    );
}

#[test]
fn those_who_come_and_go_on_a_bad_wifi_lose_nobody_who_stays() {
    // ZRE-15
    let mut late = 0;
    for seed in 1..=3 {
        let report = run(Options {
            nodes: 20,
            duration: Duration::from_secs(120),
            ..wifi(seed)
        });
        assert!(report.exits > 100, "nobody left: {report}");
        late += u32::from(report.meeting.percentile(100) > Duration::from_secs(8));
    }
    assert!(late > 0, "nobody came while nothing passed");
}

#[test]
fn what_is_on_its_way_waits_while_a_radio_stands_still() {
    let mut sim: Sim<Vec<Event>> = Sim::new(7);
    let lan = sim.segment();
    let hosts = [1, 2].map(|n| sim.host(lan, [10, 0, 0, n]));
    let [a, b] = hosts.map(|host| sim.start(host, Config::default(), Vec::new()));
    sim.run_for(Duration::from_secs(2));
    let to = sim.stack(b).unwrap().id();
    sim.application_mut(b).clear();
    sim.hold(hosts[1], Duration::from_secs(10));
    sim.with(a, |_, context| context.whisper(to, "late").unwrap());
    sim.run_for(Duration::from_millis(9_900));
    let mood = |event: &Event| matches!(event, Event::Evasive { .. } | Event::Silent { .. });
    let moody =
        |sim: &Sim<Vec<Event>>, node| sim.application(node).iter().filter(|it| mood(it)).count();
    assert_eq!((moody(&sim, a), moody(&sim, b)), (2, 2));
    assert_eq!(sim.application(b).len(), 2, "nothing came");
    sim.run_for(Duration::from_millis(200));
    let heard = sim.application(b).iter();
    let heard = heard.filter(|event| matches!(event, Event::Whisper { .. }));
    assert_eq!(heard.count(), 1);
    for node in [a, b] {
        let last = sim
            .application(node)
            .iter()
            .rfind(|event| !matches!(event, Event::Whisper { .. }));
        assert!(matches!(last, Some(Event::Recovered { .. })), "{last:?}");
    }
}
