//! `demo`.

use serde_json::Value;

use crate::program::Program;

#[test]
fn three_nodes_find_each_other_and_talk() {
    let ended = Program::start(&["demo"]).end().with(0);
    let text = ended.lines.join("\n");
    for words in [
        "alice: bob is here",
        "carol: alice is here",
        "bob: carol joined DEMO",
        "bob: alice to DEMO: hello, everybody",
        "carol: bob whispers: just between us",
        "bob: carol whispers: real sockets | on loopback",
        "alice: carol left DEMO",
        "bob: alice to DEMO: only bob hears this",
        "alice: carol is gone, left",
        "All of it happened as it should",
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
    assert!(
        !text.contains("carol: alice to DEMO: only bob") && !text.contains("127.255"),
        "{text}"
    );
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
}

#[test]
fn it_speaks_json_too_and_many_can_run_at_once() {
    let demos: Vec<_> = (0..3)
        .map(|_| Program::start(&["demo", "--json"]))
        .collect();
    for demo in demos {
        let lines = demo.end().with(0).lines;
        let events: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let count = |event: &str| events.iter().filter(|line| line["event"] == event).count();
        let counts = ["enter", "join", "shout", "whisper", "leave", "stop"].map(count);
        assert_eq!(counts, [6, 6, 3, 2, 2, 3], "{lines:#?}");
        assert!(
            events
                .iter()
                .all(|line| ["alice", "bob", "carol"].contains(&line["node"].as_str().unwrap()))
        );
    }
}
