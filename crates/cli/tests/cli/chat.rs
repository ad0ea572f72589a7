//! `chat`, without a terminal: lines in, lines out.

use serde_json::json;

use crate::network::Network;

#[test]
fn people_talk() {
    let network = Network::new();
    let mut bob = network.node("bob", &["--group", "LOBBY", "--group", "OTHER"]);
    let mut chat = network.start(&["chat", "LOBBY", "--name", "alice"]);
    chat.line("this is alice");
    chat.line("bob is here");
    chat.line("bob joined LOBBY");
    bob.event(&json!({"event": "join", "name": "alice", "group": "LOBBY"}));

    chat.say("hello, all");
    bob.event(&json!({"event": "shout", "group": "LOBBY", "content": ["hello, all"]}));
    chat.say("//not a command");
    bob.event(&json!({"event": "shout", "group": "LOBBY", "content": ["/not a command"]}));
    chat.say("/w bob just you");
    bob.event(&json!({"event": "whisper", "name": "alice", "content": ["just you"]}));
    bob.say(json!({"do": "shout", "group": "LOBBY", "content": ["hi"]}));
    chat.line("bob to LOBBY: hi");

    chat.say("/peers");
    chat.line("NAME");
    chat.line("tcp://");
    chat.say("/groups");
    chat.line("LOBBY: 1 peer, and this node");
    chat.line("OTHER: 1 peer");
    chat.say("/w nobody hi");
    chat.line("no peer named nobody is here");
    chat.say("/jump");
    chat.line("there is no /jump");
    chat.say("/help");
    chat.line("/w NAME text");
    chat.say("/quit");
    chat.line("left the network");
    chat.wait().with(0);
    bob.event(&json!({"event": "exit", "name": "alice", "reason": "left"}));
}

#[test]
fn the_end_of_input_leaves() {
    let network = Network::new();
    let mut bob = network.node("bob", &["--group", "LOBBY"]);
    let mut chat = network.start(&["chat", "LOBBY", "--name", "alice", "--json"]);
    chat.event(&json!({"event": "join", "name": "bob"}));
    chat.say("last words");
    chat.end_input();
    chat.event(&json!({"event": "stop"}));
    chat.wait().with(0);
    bob.event(&json!({"event": "shout", "content": ["last words"]}));
    bob.event(&json!({"event": "exit", "name": "alice", "reason": "left"}));
}

#[test]
fn nobody_heard_it_is_said() {
    let network = Network::new();
    let mut chat = network.start(&["chat", "LOBBY"]);
    chat.say("anybody?");
    chat.line("nobody heard it");
    chat.say("/peers");
    chat.line("nobody else is here");
    chat.end().with(0);
}
