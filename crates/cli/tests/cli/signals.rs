//! Signals, and readers that go away.

use rustix::process::Signal;
use serde_json::json;

use crate::network::Network;
use crate::program::Program;

#[test]
fn the_first_signal_leaves_politely() {
    for signal in [Signal::INT, Signal::TERM] {
        for command in [
            &["listen"][..],
            &["run"],
            &["chat", "LOBBY"],
            &["perf", "serve"],
        ] {
            let network = Network::new();
            let mut bob = network.node("bob", &[]);
            let program = network.start(&[command, &["--name", "leaver"]].concat());
            bob.event(&json!({"event": "enter", "name": "leaver"}));
            program.signal(signal);
            program.wait().with(0);
            bob.event(&json!({"event": "exit", "name": "leaver", "reason": "left"}));
        }
    }
}

#[test]
fn a_count_that_was_not_reached_is_told_as_interrupted() {
    let network = Network::new();
    let mut listen = network.start(&["listen", "--count", "1", "--json"]);
    listen.event(&json!({"event": "start"}));
    listen.signal(Signal::INT);
    listen.event(&json!({"event": "stop"}));
    listen.wait().with(130);
}

#[test]
fn the_second_signal_ends_at_once() {
    let network = Network::new();
    let mut bob = network.node("bob", &[]);
    // It has a line to write that is longer than a pipe holds, and so does not come to its end.
    let groups: Vec<_> = (0..1000).map(|n| format!("{n:0>200}")).collect();
    let mut args = vec!["run", "--name", "stuck"];
    args.extend(groups.iter().flat_map(|group| ["--group", group.as_str()]));
    let mut stuck = network.start_unread(&args);
    stuck.say(json!({"do": "groups"}));
    stuck.read_until("\"groups\":");
    bob.event(&json!({"event": "enter", "name": "stuck"}));
    stuck.signal(Signal::INT);
    bob.event(&json!({"event": "exit", "name": "stuck", "reason": "left"}));
    assert!(stuck.runs());
    stuck.signal(Signal::INT);
    stuck.wait().with(130);
}

#[test]
fn nobody_reading_the_output_ends_it_quietly() {
    let network = Network::new();
    let mut bob = network.node("bob", &[]);
    let mut listen = network.start_unread(&["listen", "--json", "--name", "ears"]);
    bob.event(&json!({"event": "enter", "name": "ears"}));
    listen.close_output();
    bob.say(json!({"do": "join", "group": "A"}));
    bob.event(&json!({"event": "exit", "name": "ears", "reason": "left"}));
    let ended = listen.wait().with(0);
    assert!(ended.stderr.is_empty(), "{ended:?}");

    let mut completions = Program::start_unread(&["completions", "bash"]);
    completions.close_output();
    let ended = completions.end().with(0);
    assert!(ended.stderr.is_empty(), "{ended:?}");
}
