//! `listen`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::network::Network;

#[test]
fn it_prints_events_as_json_lines_until_their_count() {
    let network = Network::new();
    let mut listen = network.start(&[
        "listen", "--name", "ears", "--group", "CHAT", "--json", "--count", "4",
    ]);
    listen.event(&json!({"event": "start", "name": "ears"}));
    let mut bob = network.node("bob", &["--group", "CHAT"]);
    bob.event(&json!({"event": "join", "name": "ears"}));
    listen.event(&json!({"event": "enter", "name": "bob"}));
    listen.event(&json!({"event": "join", "name": "bob", "group": "CHAT"}));
    bob.say(json!({"do": "shout", "group": "CHAT", "content": ["to all"]}));
    listen.event(&json!({"event": "shout", "name": "bob", "group": "CHAT", "content": ["to all"]}));
    bob.say(json!({"do": "whisper", "peer": "ears", "content": ["to you"]}));
    listen.event(&json!({"event": "whisper", "name": "bob", "content": ["to you"]}));
    listen.event(&json!({"event": "stop"}));
    let ended = listen.wait().with(0);
    assert!(ended.lines.is_empty(), "{ended:?}");
    bob.event(&json!({"event": "exit", "name": "ears", "reason": "left"}));
}

#[test]
fn it_prints_events_in_words_that_no_terminal_obeys() {
    let network = Network::new();
    let mut listen = network.start(&["listen", "--name", "ears", "--group", "CHAT"]);
    listen.line("this is ears at tcp://127.0.0.1:");
    let mut bob = network.node("bob\u{1b}[2J", &["--group", "CHAT", "--header", "K=\u{7}"]);
    bob.event(&json!({"event": "join", "name": "ears"}));
    let enter = listen.line("is here");
    assert!(
        enter.contains("bob\\u{1b}[2J") && enter.contains("K=\\u{7}"),
        "{enter}"
    );
    listen.line("joined CHAT");
    bob.say(json!({"do": "shout", "group": "CHAT", "content": ["two\nlines", {"base64": "/w=="}]}));
    listen.line("to CHAT: two\\u{a}lines | (1 octets: ff)");
    bob.say(json!({"do": "whisper", "peer": "ears", "content": ["psst"]}));
    listen.line("whispers: psst");
    bob.say(json!({"do": "leave", "group": "CHAT"}));
    listen.line("left CHAT");
    bob.end().with(0);
    listen.line("is gone, left");
}

#[test]
fn it_stops_in_time() {
    let network = Network::new();
    let begun = Instant::now();
    let ended = network
        .start(&["listen", "--for", "0.5", "--json"])
        .end()
        .with(0);
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert_eq!(ended.lines.len(), 2, "{ended:?}");
    let ended = network
        .start(&["listen", "--for", "0.2", "--count", "1"])
        .end();
    ended.with(1).saying("0 of 1 events came");
}

#[test]
fn it_echoes_whispers_and_nothing_else() {
    let network = Network::new();
    let mut echo = network.start(&["listen", "--name", "echo", "--echo", "--group", "CHAT"]);
    let mut bob = network.node("bob", &["--group", "CHAT"]);
    bob.event(&json!({"event": "join", "name": "echo"}));
    let content = json!(["a", {"base64": "/wA="}, ""]);
    bob.say(json!({"do": "shout", "group": "CHAT", "content": ["no echo"]}));
    bob.say(json!({"do": "whisper", "peer": "echo", "content": content}));
    assert_eq!(bob.event(&json!({"event": "whisper"}))["content"], content);
    echo.line("whispers: a");
    bob.say(json!({"do": "whisper", "peer": "echo", "content": ["once"]}));
    assert_eq!(
        bob.event(&json!({"event": "whisper"}))["content"],
        json!(["once"])
    );
    let ended = bob.end().with(0);
    assert!(
        !ended.lines.iter().any(|line| line.contains("no echo")),
        "{ended:?}"
    );
}
