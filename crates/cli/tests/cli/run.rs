//! `run`: the JSON contract, both ways.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::network::Network;
use crate::program::Program;

/// The UUID that a node of these options has.
const BOB: &str = "0123456789ABCDEF0123456789ABCDEF";

/// Two nodes that know each other.
fn pair(network: &Network, more: &[&str]) -> (Program, Program) {
    let mut alice = network.node("alice", more);
    let mut bob = network.node("bob", &["--uuid", BOB]);
    alice.event(&json!({"event": "enter", "name": "bob"}));
    bob.event(&json!({"event": "enter", "name": "alice"}));
    (alice, bob)
}

#[test]
fn a_node_says_who_it_is_and_that_it_stops() {
    let network = Network::new();
    let mut node = network.start(&["run", "--uuid", &BOB.to_lowercase()]);
    let start = node.event(&json!({"event": "start", "uuid": BOB, "name": "012345"}));
    assert!(
        start["endpoint"]
            .as_str()
            .unwrap()
            .starts_with("tcp://127.0.0.1:"),
        "{start}"
    );
    assert_eq!(start.as_object().unwrap().len(), 4);
    node.say(json!({"do": "stop"}));
    assert_eq!(
        node.event(&json!({"event": "stop"})),
        json!({"event": "stop"})
    );
    let ended = node.wait().with(0);
    assert!(
        ended.lines.is_empty() && ended.stderr.is_empty(),
        "{ended:?}"
    );
}

#[test]
fn who_leads_a_group_is_told_and_is_asked_for_by_options_and_lines() {
    let network = Network::new();
    let mut bob = network.node("bob", &["--uuid", BOB, "--contest", "CHAT"]);
    let leads = |name: &str, uuid: &str| json!({"event": "leader", "peer": uuid, "name": name, "group": "CHAT"});
    let told = bob.event(&json!({"event": "leader"}));
    assert_eq!(told, leads("bob", BOB));
    let other = "F".repeat(32);
    let mut alice = network.node("alice", &["--uuid", &other, "--group", "CHAT"]);
    assert_eq!(alice.event(&json!({"event": "leader"})), leads("bob", BOB));
    alice.say(json!({"do": "contest", "group": "CHAT"}));
    bob.say(json!({"do": "withdraw", "group": "CHAT"}));
    for node in [&mut alice, &mut bob] {
        let told = node.event(&json!({"event": "leader", "name": "alice"}));
        assert_eq!(told, leads("alice", &other));
    }
}

#[test]
fn peers_enter_join_speak_leave_and_exit() {
    let network = Network::new();
    let mut alice = network.node("alice", &["--group", "CHAT"]);
    let mut bob = network.node("bob", &["--uuid", BOB, "--header", "K=V", "--header", "L="]);
    let enter = alice.event(&json!({"event": "enter"}));
    let endpoint = enter["endpoint"].clone();
    assert!(
        endpoint.as_str().unwrap().starts_with("tcp://127.0.0.1:"),
        "{enter}"
    );
    // A node may add headers of its own kind.
    assert_eq!(
        (&enter["headers"]["K"], &enter["headers"]["L"]),
        (&json!("V"), &json!(""))
    );
    assert_eq!(enter["peer"], BOB);
    assert_eq!(enter["name"], "bob");
    let who = bob.event(&json!({"event": "enter", "name": "alice"}))["peer"].clone();
    let about = |event: &str, more: Value| {
        let mut line = json!({"event": event, "peer": BOB, "name": "bob"});
        line.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        line
    };

    assert_eq!(
        bob.event(&json!({"event": "join"})),
        json!({"event": "join", "peer": who, "name": "alice", "group": "CHAT"})
    );
    bob.say(json!({"do": "join", "group": "CHAT"}));
    assert_eq!(
        alice.event(&json!({"event": "join"})),
        about("join", json!({"group": "CHAT"}))
    );

    // By name and by UUID in either case; text, binary, empty.
    let content = json!(["text", {"base64": "AP8="}, ""]);
    bob.say(json!({"do": "whisper", "peer": "alice", "content": content}));
    assert_eq!(
        alice.event(&json!({"event": "whisper"})),
        about("whisper", json!({"content": content}))
    );
    for (id, said) in [(BOB.to_lowercase(), "lower"), (BOB.to_owned(), "upper")] {
        alice.say(json!({"do": "whisper", "peer": id, "content": [said]}));
        let whisper = json!({"event": "whisper", "peer": who, "name": "alice", "content": [said]});
        assert_eq!(bob.event(&json!({"event": "whisper"})), whisper);
    }
    // Base64 that is text arrives as text.
    bob.say(json!({"do": "shout", "group": "CHAT", "content": ["a", {"base64": "AAEC"}]}));
    let shout = about(
        "shout",
        json!({"group": "CHAT", "content": ["a", "\u{0}\u{1}\u{2}"]}),
    );
    assert_eq!(alice.event(&json!({"event": "shout"})), shout);

    alice.say(json!({"do": "peers", "id": 1}));
    let mut peers = alice.event(&json!({"event": "peers", "id": 1}));
    assert_eq!(
        peers["peers"][0]
            .as_object_mut()
            .unwrap()
            .remove("headers")
            .unwrap()["K"],
        "V"
    );
    let listed = json!({"peer": BOB, "name": "bob", "endpoint": endpoint, "groups": ["CHAT"], "state": "ready"});
    assert_eq!(peers["peers"], json!([listed]));
    alice.say(json!({"do": "groups", "id": "two"}));
    let groups = json!({"event": "groups", "id": "two", "groups": ["CHAT"]});
    assert_eq!(alice.event(&json!({"event": "groups"})), groups);

    bob.say(json!({"do": "leave", "group": "CHAT"}));
    assert_eq!(
        alice.event(&json!({"event": "leave"})),
        about("leave", json!({"group": "CHAT"}))
    );
    bob.end_input();
    assert_eq!(
        alice.event(&json!({"event": "exit"})),
        about("exit", json!({"reason": "left"}))
    );
    bob.wait().with(0);
    assert!(
        alice
            .end()
            .with(0)
            .lines
            .iter()
            .all(|line| line.contains("\"stop\""))
    );
}

#[test]
fn silence_is_told_step_by_step() {
    let network = Network::new();
    let timeouts = ["--evasive-timeout", "300", "--expired-timeout", "4000"];
    let (mut alice, bob) = pair(&network, &timeouts);
    let about = |event: &str| json!({"event": event, "peer": BOB, "name": "bob"});
    bob.signal(Signal::STOP);
    assert_eq!(alice.event(&json!({"event": "evasive"})), about("evasive"));
    assert_eq!(alice.event(&json!({"event": "silent"})), about("silent"));
    alice.say(json!({"do": "peers", "id": 1}));
    assert_eq!(
        alice.event(&json!({"event": "peers"}))["peers"][0]["state"],
        "silent"
    );
    bob.signal(Signal::CONT);
    assert_eq!(
        alice.event(&json!({"event": "recovered"})),
        about("recovered")
    );
    bob.signal(Signal::STOP);
    let exit = alice.event(&json!({"event": "exit"}));
    assert_eq!(
        exit,
        json!({"event": "exit", "peer": BOB, "name": "bob", "reason": "expired"})
    );
    alice.end().with(0);
}

#[test]
fn a_peer_that_is_killed_is_lost_and_the_detail_says_how() {
    let network = Network::new();
    let (mut alice, bob) = pair(&network, &[]);
    bob.signal(Signal::KILL);
    let exit = alice.event(&json!({"event": "exit", "peer": BOB, "reason": "lost"}));
    assert!(!exit["detail"].as_str().unwrap().is_empty(), "{exit}");
    alice.end().with(0);
}

#[test]
fn a_peer_can_be_contacted_without_beacons() {
    let alone = ["--port", "0"];
    let start = |name: &str| {
        let mut node =
            Program::start(&[&["run", "--interface", "lo", "--name", name][..], &alone].concat());
        let endpoint = node.event(&json!({"event": "start"}))["endpoint"].clone();
        (node, endpoint)
    };
    let (mut alice, _) = start("alice");
    let (mut bob, endpoint) = start("bob");
    alice.say(json!({"do": "connect", "endpoint": endpoint}));
    alice.event(&json!({"event": "enter", "name": "bob"}));
    bob.event(&json!({"event": "enter", "name": "alice"}));
    // The same with the option.
    let endpoint = endpoint.as_str().unwrap();
    let args = [
        "run",
        "--interface",
        "lo",
        "--name",
        "carol",
        "--port",
        "0",
        "--peer",
        endpoint,
    ];
    let mut carol = Program::start(&args);
    carol.event(&json!({"event": "enter", "name": "bob"}));
    bob.event(&json!({"event": "enter", "name": "carol"}));
}

#[test]
fn a_line_that_is_not_understood_yields_an_error_and_changes_nothing() {
    let network = Network::new();
    let mut node = network.node("alice", &["--group", "CHAT"]);
    for (line, reason) in [
        ("hello", "not JSON"),
        ("[1,2]", "`do`"),
        (r#"{"do":"jump"}"#, "unknown variant `jump`"),
        (r#"{"do":"join"}"#, "missing field `group`"),
        (
            r#"{"do":"join","group":"A","grop":"B"}"#,
            "unknown field `grop`",
        ),
        (r#"{"do":"leave","group":["CHAT"]}"#, "expected a string"),
        (
            r#"{"do":"shout","group":"CHAT","content":"text"}"#,
            "`content` must be a list",
        ),
        (
            r#"{"do":"shout","group":"CHAT","content":[{"base64":"???"}]}"#,
            "`base64` in `content`",
        ),
        (
            r#"{"do":"connect","endpoint":"10.0.0.2:49152"}"#,
            "`endpoint`",
        ),
        (
            r#"{"do":"whisper","peer":"nobody","content":["x"]}"#,
            "no peer named nobody is here",
        ),
        (
            r#"{"do":"whisper","peer":"0123456789abcdef0123456789abcdef","content":["x"]}"#,
            "no peer with the UUID 0123456789ABCDEF0123456789ABCDEF is here",
        ),
    ] {
        node.say(line);
        let error = node.event(&json!({"event": "error"}));
        assert!(
            error["message"].as_str().unwrap().contains(reason),
            "{line}: {error}"
        );
        assert_eq!(error.as_object().unwrap().len(), 2, "{error}");
    }
    let long = "g".repeat(256);
    node.say(json!({"do": "join", "group": long, "id": 7}));
    let error = node.event(&json!({"event": "error", "id": 7}));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("at most 255 octets"),
        "{error}"
    );
    node.say("");
    node.say(json!({"do": "groups", "id": null}));
    assert_eq!(
        node.event(&json!({"event": "groups"})),
        json!({"event": "groups", "id": null, "groups": ["CHAT"]})
    );
    node.end().with(0);
}

#[test]
fn a_name_that_several_peers_have_is_nobody_in_particular() {
    let network = Network::new();
    let (mut alice, bob) = pair(&network, &[]);
    let mut other = network.node("bob", &[]);
    alice.event(&json!({"event": "enter", "name": "bob"}));
    other.event(&json!({"event": "enter", "name": "alice"}));
    alice.say(json!({"do": "whisper", "peer": "bob", "content": ["which?"]}));
    let message = alice.event(&json!({"event": "error"}))["message"].clone();
    let message = message.as_str().unwrap();
    assert!(
        message.contains("2 peers are named bob") && message.contains(BOB),
        "{message}"
    );
    alice.say(json!({"do": "whisper", "peer": BOB, "content": ["you"]}));
    let mut bob = bob;
    bob.event(&json!({"event": "whisper", "content": ["you"]}));
}

#[test]
fn a_full_queue_is_an_error_that_names_the_peer() {
    let network = Network::new();
    let (mut alice, bob) = pair(&network, &[]);
    bob.signal(Signal::STOP);
    // More than what a stopped peer's sockets and its queue take together.
    let content = "x".repeat(4 * 1024 * 1024);
    for _ in 0..10 {
        alice.say(json!({"do": "whisper", "peer": "bob", "content": [content], "id": 1}));
    }
    let message = alice.event(&json!({"event": "error", "id": 1}))["message"].clone();
    let message = message.as_str().unwrap();
    assert!(
        message.contains("bob") && message.contains(BOB) && message.contains("full"),
        "{message}"
    );
    bob.signal(Signal::CONT);
    alice.end().with(0);
}

#[test]
fn what_was_said_before_the_end_of_input_arrives() {
    let network = Network::new();
    let (mut alice, mut bob) = pair(&network, &[]);
    let lines: Vec<_> = (0..100)
        .map(|n| json!({"do": "whisper", "peer": "bob", "content": [n.to_string()]}).to_string())
        .collect();
    alice.feed((lines.join("\n") + "\n{\"do\":\"peers\",\"id\":1}").as_bytes());
    alice.event(&json!({"event": "peers", "id": 1}));
    for n in 0..100 {
        assert_eq!(
            bob.event(&json!({"event": "whisper"}))["content"],
            json!([n.to_string()])
        );
    }
    bob.event(&json!({"event": "exit", "reason": "left"}));
    alice.wait().with(0);
}
