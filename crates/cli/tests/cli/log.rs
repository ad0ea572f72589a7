//! `log`, and `--log`.

use serde_json::json;

use crate::network::Network;
use crate::program::Program;

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
    bob.say(json!({"do": "log", "level": "warning", "text": "hot\u{1b}[2J"}));
    let hot = log.event(&json!({"event": "log", "level": "warning"}));
    assert_eq!(
        (&hot["data"], &hot["name"]),
        (&json!("hot\u{1b}[2J"), &json!("bob"))
    );
    assert!(hot.get("happened").is_none() && hot.get("about").is_none());
    // Another one comes, and goes.
    let mut amy = network.node("amy", &[]);
    log.event(&json!({"event": "log", "happened": "ENTER", "about_name": "amy"}));
    amy.say(json!({"do": "log", "level": "info", "text": "x"}));
    amy.event(
        &json!({"event": "error", "message": "log: this node does not log; start it with --log"}),
    );
    amy.end().with(0);
    let exit = log.event(&json!({"event": "log", "happened": "EXIT", "level": "info"}));
    assert!(
        exit["data"].as_str().unwrap().ends_with(" amy: left"),
        "{exit}"
    );
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
    let mut log = network.start(&["log", "--level", "warning", "--count", "2"]);
    log.line("log records come to tcp://127.0.0.1:");
    let mut bob = network.node("bob\u{1b}]0;", &["--log=warning"]);
    bob.event(&json!({"event": "enter"}));
    for (level, text) in [
        ("info", "no"),
        ("warning", "hot\u{1b}[2J"),
        ("error", "two\nlines"),
    ] {
        bob.say(json!({"do": "log", "level": level, "text": text}));
    }
    let hot = log.line(" warning ");
    assert!(
        hot.contains("Z warning bob\\u{1b}]0; hot\\u{1b}[2J"),
        "{hot}"
    );
    let lines = log.line(" error ");
    assert!(lines.ends_with("two\\u{a}lines"), "{lines}");
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
