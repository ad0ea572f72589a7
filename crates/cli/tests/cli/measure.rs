//! `ping` and `perf`.

use serde_json::{Value, json};

use crate::network::Network;
use crate::program::{Ended, Program};

/// The last line of JSON.
fn last(ended: &Ended) -> Value {
    serde_json::from_str(ended.lines.last().unwrap()).unwrap()
}

/// A node named `here` that runs this command.
fn here(network: &Network, command: &[&str]) -> Program {
    let mut here = network.start(&[command, &["--name", "here", "--json"]].concat());
    here.event(&json!({"event": "start"}));
    here
}

#[test]
fn ping_measures_round_trips() {
    let network = Network::new();
    let _echo = here(&network, &["listen", "--echo"]);
    let ended = network
        .start(&["ping", "here", "--count", "5", "--every", "1", "--json"])
        .end()
        .with(0);
    assert_eq!(ended.lines.len(), 6, "{ended:?}");
    let ping = last(&ended);
    assert_eq!(
        (&ping["event"], &ping["sent"], &ping["answered"]),
        (&json!("ping"), &json!(5), &json!(5))
    );
    let micros = |key: &str| ping["micros"][key].as_f64().unwrap();
    assert!(
        0.0 < micros("min") && micros("min") <= micros("median"),
        "{ping}"
    );
    assert!(
        micros("median") <= micros("p99") && micros("p99") <= micros("max"),
        "{ping}"
    );

    let text = network
        .start(&["ping", "here", "--count", "2", "--every", "1"])
        .end()
        .with(0)
        .lines
        .join("\n");
    assert!(
        text.contains("1 answered by here in") && text.contains("2 of 2 answered: min"),
        "{text}"
    );
}

#[test]
fn ping_says_when_nobody_answers() {
    let network = Network::new();
    let _mute = here(&network, &["listen"]);
    let ended = network
        .start(&[
            "ping",
            "here",
            "--count",
            "2",
            "--every",
            "1",
            "--timeout",
            "100",
        ])
        .end();
    ended.with(1).saying("does it run `atonce listen --echo`?");
    network
        .start(&["ping", "nobody", "--wait", "0.2"])
        .end()
        .with(1)
        .saying("no peer named nobody is here");
}

#[test]
fn perf_counts_what_arrived() {
    let network = Network::new();
    let mut serve = here(&network, &["perf", "serve"]);
    for (mode, size) in [
        ("whisper", "100"),
        ("shout", "100"),
        ("whisper", "0"),
        ("shout", "100000"),
    ] {
        let args = [
            "perf", "run", "here", "--mode", mode, "--size", size, "--count", "2000", "--json",
        ];
        let perf = last(&network.start(&args).end().with(0));
        let fields = ["event", "mode", "sent", "received"].map(|key| perf[key].clone());
        assert_eq!(
            fields,
            [json!("perf"), json!(mode), json!(2000), json!(2000)],
            "{perf}"
        );
        assert!(
            perf["messages_per_second"].as_f64().unwrap() > 0.0,
            "{perf}"
        );
        assert!(perf.get("micros").is_none(), "{perf}");
        assert_eq!(serve.event(&json!({"event": "counted"}))["received"], 2000);
    }
    // The groups of the runs are left again.
    let mut other = network.node("other", &[]);
    other.event(&json!({"event": "enter", "name": "here"}));
    other.say(json!({"do": "peers", "id": 1}));
    let peers = other.event(&json!({"event": "peers"}));
    assert_eq!(peers["peers"][0]["groups"], json!([]), "{peers}");
}

#[test]
fn perf_measures_latency_against_both_kinds_of_echo() {
    let network = Network::new();
    for command in [&["perf", "serve"][..], &["listen", "--echo"]] {
        let _here = here(&network, command);
        let args = [
            "perf", "run", "here", "--mode", "echo", "--count", "200", "--size", "64",
        ];
        let text = network.start(&args).end().with(0).lines.join("\n");
        assert!(
            text.contains("echo: 200 messages of 64 octets") && text.contains("p99"),
            "{text}"
        );
    }
}

#[test]
fn perf_says_when_its_peer_does_not_count() {
    let network = Network::new();
    let _echo = here(&network, &["listen", "--echo"]);
    network
        .start(&["perf", "run", "here"])
        .end()
        .with(1)
        .saying("use --mode echo");
}
