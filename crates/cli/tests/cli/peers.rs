//! `peers`.

use serde_json::{Value, json};

use crate::network::Network;

#[test]
fn it_prints_a_table_or_json() {
    let network = Network::new();
    let alice = network.node(
        "alice",
        &["--group", "CHAT", "--group", "B", "--header", "K=V"],
    );
    let mut bob = network.node("bob", &[]);
    bob.event(&json!({"event": "enter", "name": "alice"}));

    let table = network.start(&["peers", "--for", "1"]).end().with(0).lines;
    assert_eq!(table.len(), 3, "{table:?}");
    for (line, words) in table.iter().zip([
        ["NAME", "ENDPOINT", "STATE", "GROUPS", "HEADERS", "UUID"],
        ["alice", "tcp://127.0.0.1:", "ready", "B, CHAT", "K=V", ""],
        ["bob", "tcp://127.0.0.1:", "ready", "", "", ""],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        // The columns stand below each other.
        assert_eq!(line.find(words[1]), table[0].find("ENDPOINT"));
        assert_eq!(line.find(words[2]), table[0].find("STATE"));
    }

    let lines = network
        .start(&["peers", "--for", "1", "--json"])
        .end()
        .with(0)
        .lines;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["event"], "peers");
    let names: Vec<_> = line["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| peer["name"].clone())
        .collect();
    assert_eq!(names, ["alice", "bob"]);
    assert_eq!(line["peers"][0]["groups"], json!(["B", "CHAT"]));
    drop(alice);
}

#[test]
fn nobody_is_an_answer() {
    let network = Network::new();
    let ended = network
        .start(&["peers", "--for", "0.2"])
        .end()
        .with(0)
        .saying("nobody else is here");
    assert!(ended.lines.is_empty(), "{ended:?}");
    let lines = network
        .start(&["peers", "--for", "0.2", "--json"])
        .end()
        .with(0)
        .lines;
    assert!(
        lines[0].starts_with(r#"{"event":"peers","peers":[]"#),
        "{lines:?}"
    );
}
