//! `log`, and `--log`.

use serde_json::{Value, json};

use crate::network::Network;
use crate::program::Program;

/// What this node logs, when it comes with a name: its records do not wait until the collector has met it.
fn named(log: &mut Program, node: &mut Program, level: &str, text: &str) -> Value {
    loop {
        node.say(json!({"do": "log", "level": level, "text": text}));
        let record = log.event(&json!({"event": "log", "level": level, "data": text}));
        if record.get("name").is_some() {
            return record;
        }
    }
}

#[test]
fn what_nodes_log_is_printed_as_json_with_their_names() {
    // LOG-10, LOG-20, LOG-21, LOG-23, LOG-24, LOG-33
    let network = Network::new();
    let mut log = network.start(&["log", "--name", "archive", "--json"]);
    log.event(&json!({"event": "start", "name": "archive"}));
    let mut bob = network.node("bob", &["--group", "CHAT", "--log"]);
    let of_bob = log.event(&json!({"event": "log", "happened": "JOIN", "data": "CHAT"}));
    assert_eq!(of_bob["level"], "info");
    let enter = log.event(&json!({"event": "log", "happened": "ENTER"}));
    assert!(
        enter["data"].as_str().unwrap().ends_with(" archive"),
        "{enter}"
    );
    assert_eq!(enter["node"], of_bob["node"]);
    assert!(enter["time"].as_u64().unwrap() > 1_700_000_000 && enter["about"].is_string());
    let hot = named(&mut log, &mut bob, "warning", "hot\u{1b}[2J");
    assert_eq!(hot["name"], "bob");
    assert!(hot.get("happened").is_none() && hot.get("about").is_none());
    // Another one comes, and goes.
    let mut amy = network.node("amy", &["--log"]);
    let enter = log.event(&json!({"event": "log", "happened": "ENTER", "node": hot["node"]}));
    assert!(enter["data"].as_str().unwrap().ends_with(" amy"), "{enter}");
    let here = named(&mut log, &mut amy, "info", "here");
    assert_eq!(
        (&here["name"], &here["node"]),
        (&json!("amy"), &enter["about"])
    );
    amy.end().with(0);
    let exit = log.event(&json!({"event": "log", "happened": "EXIT", "about_name": "amy"}));
    assert!(
        exit["data"].as_str().unwrap().ends_with(" amy: left"),
        "{exit}"
    );
    assert_eq!(
        (&exit["level"], &exit["about"]),
        (&json!("info"), &enter["about"])
    );
    // Who does not log cannot say anything.
    let mut mute = network.node("mute", &[]);
    mute.say(json!({"do": "log", "level": "info", "text": "x"}));
    mute.event(
        &json!({"event": "error", "message": "log: this node does not log; start it with --log"}),
    );
    mute.end().with(0);
    bob.end().with(0);
    log.event(&json!({"event": "log", "data": "stopped", "name": "bob"}));
    log.signal(rustix::process::Signal::INT);
    log.event(&json!({"event": "stop"}));
    log.wait().with(0);
}

#[test]
fn it_is_printed_in_words_that_no_terminal_obeys() {
    // LOG-25, LOG-30, LOG-34
    let network = Network::new();
    let mut log = network.start(&["log", "--level", "warning"]);
    log.line("log records come to tcp://127.0.0.1:");
    let mut bob = network.node("bob\u{1b}]0;", &["--log=warning"]);
    // Its records do not wait until the collector has met it, and knows its name.
    let hot = loop {
        for (level, text) in [("info", "no"), ("warning", "hot\u{1b}[2J")] {
            bob.say(json!({"do": "log", "level": level, "text": text}));
        }
        let hot = log.line(" warning ");
        if hot.contains(" warning bob") {
            break hot;
        }
    };
    assert!(
        hot.ends_with("Z warning bob\\u{1b}]0; hot\\u{1b}[2J"),
        "{hot}"
    );
    bob.say(json!({"do": "log", "level": "error", "text": "two\nlines"}));
    let lines = log.line(" error ");
    assert!(lines.ends_with("two\\u{a}lines"), "{lines}");
    log.signal(rustix::process::Signal::INT);
    let ended = log.wait().with(0);
    let info = ended.lines.iter().find(|line| line.contains(" info "));
    assert_eq!(info, None);
    let summary = ended.lines.last().unwrap();
    assert!(
        summary.ends_with(" records of 1 nodes, 0 malformed"),
        "{summary}"
    );
}

#[test]
fn it_ends_with_as_many_as_are_wanted() {
    let network = Network::new();
    let log = network.start(&["log", "--count", "2"]);
    let _bob = network.node("bob", &["--log", "--group", "CHAT"]);
    let ended = log.wait().with(0);
    assert_eq!(
        ended.lines.last().unwrap(),
        "2 records of 1 nodes, 0 malformed"
    );
}

#[test]
fn it_ends_in_time_with_what_came() {
    let network = Network::new();
    let ended = network
        .start(&["log", "--for", "0.3", "--count", "1"])
        .end();
    ended.with(1).saying("0 of 1 records came");
    let ended = Program::start(&["log", "--level", "loud"]).end();
    ended.with(2).saying("expected error, warning or info");
    let ended = Program::start(&["log", "--interface", "192.0.2.1"]).end();
    ended
        .with(1)
        .saying("no interface has an address to listen at");
}
