//! `--gossip-bind`, `--gossip-connect`: nodes that hear no beacons find each other.

use serde_json::json;

use crate::loopback::free_endpoint;
use crate::program::Program;

const COMMON: [&str; 5] = ["--interface", "lo", "--port", "0", "--json"];

fn node(name: &str, more: &[&str]) -> Program {
    let mut node = Program::start(&[&["run", "--name", name], &COMMON[..4], more].concat());
    node.event(&json!({"event": "start", "name": name}));
    node
}

#[test]
fn those_who_go_to_a_hub_meet_and_talk() {
    let at = free_endpoint();
    let mut alice = node("alice", &["--gossip-connect", &at]);
    let mut hub = node("hub", &["--gossip-bind", &at]);
    let mut bob = node("bob", &["--gossip-connect", &at, "--gossip-connect", &at]);
    for (one, others) in [
        (&mut hub, ["alice", "bob"]),
        (&mut alice, ["hub", "bob"]),
        (&mut bob, ["hub", "alice"]),
    ] {
        for other in others {
            one.event(&json!({"event": "enter", "name": other}));
        }
    }
    bob.say(json!({"do": "whisper", "peer": "alice", "content": ["hello"]}));
    alice.event(&json!({"event": "whisper", "name": "bob", "content": ["hello"]}));
    bob.say(json!({"do": "stop"}));
    for one in [&mut hub, &mut alice] {
        one.event(&json!({"event": "exit", "name": "bob", "reason": "left"}));
    }
}

#[test]
fn what_is_wrong_with_a_hub_is_said_by_the_option() {
    for (option, value, right) in [
        ("--gossip-bind", "10.0.0.1:5670", "is not an endpoint"),
        ("--gossip-bind", "udp://10.0.0.1:5670", "is not an endpoint"),
        ("--gossip-connect", "tcp://10.0.0.1", "is not an endpoint"),
        ("--gossip-connect", "tcp://*:5670", "can be dialled"),
        ("--gossip-connect", "tcp://10.0.0.1:5670|x", "behind |"),
    ] {
        let ended = Program::start(&["listen", &format!("{option}={value}")]).end();
        ended.with(2).saying(option).saying(right);
    }
    // A key is for those who have one themselves.
    let key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    let given = format!("tcp://127.0.0.1:1|{key}");
    let mut args = vec!["run"];
    args.extend(COMMON);
    args.extend(["--gossip-connect", &given]);
    let ended = Program::start(&args).end();
    assert_ne!(ended.code, Some(0));
    ended.saying("not secure");
}

#[test]
fn a_node_that_runs_goes_to_a_hub_when_it_is_told_to() {
    let at = free_endpoint();
    let mut hub = node("hub", &["--gossip-bind", &at]);
    let mut alice = node("alice", &[]);
    alice.say(json!({"do": "gossip-connect", "endpoint": at}));
    for (one, other) in [(&mut hub, "alice"), (&mut alice, "hub")] {
        one.event(&json!({"event": "enter", "name": other}));
    }
    alice.say(json!({"do": "gossip-disconnect", "endpoint": at}));
    for (line, right) in [
        (
            json!({"do": "gossip-connect", "endpoint": "10.0.0.1:1", "id": 7}),
            "gossip-connect: \"10.0.0.1:1\" is not an endpoint",
        ),
        (
            json!({"do": "gossip-connect", "endpoint": "tcp://*:1", "id": 7}),
            "could be dialled",
        ),
        (
            json!({"do": "gossip-disconnect", "endpoint": "x", "id": 7}),
            "gossip-disconnect: \"x\" is not an endpoint",
        ),
        (
            json!({"do": "gossip-unpublish", "peer": "bob", "id": 7}),
            "`peer`: expected a UUID",
        ),
        (
            json!({"do": "gossip-unpublish", "peer": "0".repeat(32), "id": 7}),
            "gossip-unpublish: there is no tuple of",
        ),
    ] {
        alice.say(line);
        let error = alice.event(&json!({"event": "error", "id": 7}));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(right), "{message}");
    }
}
