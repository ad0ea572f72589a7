//! `top`.

use serde_json::{Value, json};

use crate::network::Network;
use crate::program::Program;

#[test]
fn it_prints_what_it_saw_once() {
    let network = Network::new();
    let mut alice = network.node("alice", &["--group", "CHAT", "--header", "K=V"]);
    let mut bob = network.node("bob", &["--group", "CHAT", "--group", "HAM"]);
    alice.event(&json!({"event": "join", "name": "bob", "group": "HAM"}));
    bob.event(&json!({"event": "join", "name": "alice"}));

    let table = network
        .start(&["top", "--once", "--for", "1.5"])
        .end()
        .with(0)
        .lines;
    assert!(table[0].contains(" at tcp://127.0.0.1:"), "{table:?}");
    for (line, words) in table[2..5].iter().zip([
        ["NAME", "STATE", "LATENCY", "MSG/S", "GROUPS", "ENDPOINT"],
        ["alice", "ready", "s", "0", "CHAT", "tcp://127.0.0.1:"],
        ["bob", "ready", "s", "0", "CHAT, HAM", "tcp://127.0.0.1:"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    // They answered, within a time that a machine needs for itself.
    let latency = |line: &str| line.contains(" µs") || line.contains(" ms");
    assert!(latency(&table[3]) && latency(&table[4]), "{table:?}");
    assert_eq!(
        table[6..],
        [
            "GROUP  PEERS  MSG/S",
            "CHAT   2      not in",
            "HAM    1      not in"
        ]
    );
}

#[test]
fn what_is_shouted_to_joined_groups_is_counted() {
    let network = Network::new();
    let mut alice = network.node("alice", &["--group", "CHAT"]);
    let top = network.start(&[
        "top",
        "--once",
        "--for",
        "3",
        "--join-all",
        "--json",
        "--name",
        "watcher",
    ]);
    alice.event(&json!({"event": "join", "name": "watcher", "group": "CHAT"}));
    for _ in 0..10 {
        alice.say(json!({"do": "shout", "group": "CHAT", "content": ["hello"]}));
    }
    alice.say(json!({"do": "whisper", "peer": "watcher", "content": ["to", "you"]}));
    let lines = top.end().with(0).lines;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let (peer, group) = (&line["peers"][0], &line["groups"][0]);
    assert_eq!(
        (&line["event"], &line["name"]),
        (&json!("top"), &json!("watcher"))
    );
    assert_eq!(
        (&peer["name"], &peer["state"], &peer["groups"]),
        (&json!("alice"), &json!("ready"), &json!(["CHAT"]))
    );
    assert_eq!(
        (&peer["messages"], &peer["octets"]),
        (&json!(11), &json!(55))
    );
    let above = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
    assert!(
        above(&peer["messages_per_second"]) && above(&peer["octets_per_second"]),
        "{line}"
    );
    assert!(above(&peer["latency_micros"]), "{line}");
    assert_eq!(
        (&group["group"], &group["peers"], &group["joined"]),
        (&json!("CHAT"), &json!(1), &json!(true))
    );
    assert!(above(&group["messages_per_second"]), "{line}");
}

#[test]
fn a_live_view_needs_a_terminal() {
    let network = Network::new();
    network
        .start(&["top"])
        .end()
        .with(1)
        .saying("no terminal")
        .saying("--once");
    Program::start(&["top", "--json"])
        .end()
        .with(2)
        .saying("--once");
    Program::start(&["top", "--sort", "size"])
        .end()
        .with(2)
        .saying("latency");
}
