//! `whisper` and `shout`.

use rustix::process::Signal;
use serde_json::json;

use crate::network::Network;

#[test]
fn a_whisper_is_one_frame_and_arrives() {
    let network = Network::new();
    let uuid = "0123456789abcdef0123456789abcdef";
    let mut bob = network.node("bob", &["--uuid", uuid]);
    let ended = network
        .start(&["whisper", "bob", "dinner", "is", "ready", "--name", "cook"])
        .end()
        .with(0);
    assert_eq!(ended.lines, ["whispered 15 octets to bob"]);
    assert_eq!(
        bob.event(&json!({"event": "whisper", "name": "cook"}))["content"],
        json!(["dinner is ready"])
    );
    bob.event(&json!({"event": "exit", "name": "cook", "reason": "left"}));

    network
        .start(&["whisper", uuid, "--", "--text"])
        .end()
        .with(0);
    bob.event(&json!({"event": "whisper", "content": ["--text"]}));
}

#[test]
fn a_single_dash_sends_standard_input_as_one_binary_frame() {
    let network = Network::new();
    let mut bob = network.node("bob", &["--group", "CHAT"]);
    let mut whisper = network.start(&["whisper", "bob", "-"]);
    whisper.feed(b"\xff\n\x00");
    whisper.wait().with(0);
    bob.event(&json!({"event": "whisper", "content": [{"base64": "/woA"}]}));
}

#[test]
fn what_fits_no_buffer_of_a_socket_arrives_before_the_node_leaves() {
    let network = Network::new();
    let mut bob = network.node("bob", &["--group", "CHAT"]);
    let large = "x".repeat(5_000_000);
    let mut shout = network.start(&["shout", "CHAT", "-"]);
    shout.feed(large.as_bytes());
    shout.wait().with(0);
    assert_eq!(
        bob.event(&json!({"event": "shout"}))["content"],
        json!([large])
    );
}

#[test]
fn a_shout_goes_to_every_member_that_is_there() {
    let network = Network::new();
    let mut members: Vec<_> = ["a", "b", "c"]
        .map(|name| network.node(name, &["--group", "CHAT"]))
        .into();
    let mut outside = network.node("outside", &[]);
    for member in &members {
        let _ = member;
        outside.event(&json!({"event": "join", "group": "CHAT"}));
    }
    let ended = network.start(&["shout", "CHAT", "hello"]).end().with(0);
    assert_eq!(ended.lines, ["shouted 5 octets to 3 members of CHAT"]);
    for member in &mut members {
        member.event(&json!({"event": "shout", "group": "CHAT", "content": ["hello"]}));
    }
    assert!(
        !outside
            .end()
            .with(0)
            .lines
            .iter()
            .any(|line| line.contains("hello"))
    );
}

#[test]
fn a_peer_may_come_later() {
    let network = Network::new();
    let whisper = network.start(&["whisper", "late", "hello", "--wait", "30"]);
    let mut late = network.node("late", &[]);
    late.event(&json!({"event": "whisper", "content": ["hello"]}));
    whisper.wait().with(0);
}

#[test]
fn nobody_is_a_failure() {
    let network = Network::new();
    let ended = network
        .start(&["whisper", "bob", "hi", "--wait", "0.3"])
        .end()
        .with(1);
    assert!(
        ended
            .saying("no peer named bob is here, waited 0.3 s")
            .lines
            .is_empty()
    );
    let mut bob = network.node("bob", &[]);
    let ended = network
        .start(&["shout", "CHAT", "hi", "--wait", "0.5"])
        .end()
        .with(1);
    assert!(
        ended
            .saying("no member of CHAT is here, waited 0.5 s")
            .lines
            .is_empty()
    );
    bob.event(&json!({"event": "enter"}));
}

#[test]
fn with_json_the_events_are_told_and_so_is_a_failure() {
    let network = Network::new();
    let mut bob = network.node("bob", &["--group", "CHAT"]);
    for args in [&["whisper", "bob", "hi"][..], &["shout", "CHAT", "hi"]] {
        let mut send = network.start(&[args, &["--json"]].concat());
        send.event(&json!({"event": "start"}));
        send.event(&json!({"event": "enter", "name": "bob"}));
        send.event(&json!({"event": "stop"}));
        send.end().with(0);
        bob.event(&json!({"event": args[0], "content": ["hi"]}));
    }
    let mut nobody = network.start(&["whisper", "nobody", "hi", "--wait", "0.3", "--json"]);
    let error = nobody.event(&json!({"event": "error"}));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("no peer named nobody"),
        "{error}"
    );
    nobody.event(&json!({"event": "stop"}));
    nobody.end().with(1).saying("no peer named nobody");
}

#[test]
fn waiting_can_be_interrupted() {
    let network = Network::new();
    let mut bob = network.node("bob", &[]);
    let whisper = network.start(&["whisper", "nobody", "hi", "--wait", "60", "--name", "cook"]);
    bob.event(&json!({"event": "enter", "name": "cook"}));
    whisper.signal(Signal::INT);
    whisper.wait().with(130);
    bob.event(&json!({"event": "exit", "name": "cook", "reason": "left"}));
}
