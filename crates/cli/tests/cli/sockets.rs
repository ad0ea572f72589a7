//! The commands with a ZMTP socket.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Program;

/// A place for two to meet that nobody else knows.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn endpoint(&self) -> String {
        format!("ipc://{}", self.path("socket"))
    }
}

/// A command that listens on a free port of the loopback, and where that is.
fn listening(args: &[&str]) -> (Program, String) {
    let mut program = Program::start(&[args, &["--bind", "tcp://127.0.0.1:0", "--json"]].concat());
    let event = program.event(&json!({"event": "listening"}));
    let endpoint = event["endpoint"].as_str().unwrap().to_owned();
    assert!(!endpoint.ends_with(":0"), "{endpoint}");
    (program, endpoint)
}

#[test]
fn a_question_is_answered() {
    let (mut rep, endpoint) = listening(&["rep", "--echo"]);
    let req = Program::start(&["req", "--connect", &endpoint, "what", "time", "is", "it"]);
    assert_eq!(req.end().with(0).lines, ["what time is it"]);
    rep.event(&json!({"event": "message", "content": ["what time is it"]}));

    let mut req = Program::start(&["req", "--connect", &endpoint]);
    req.feed(b"one\ntwo\n");
    assert_eq!(req.wait().with(0).lines, ["one", "two"]);
    rep.signal(Signal::INT);
    rep.event(&json!({"event": "stop"}));
    rep.end().with(0);
}

#[test]
fn answers_are_the_same_or_come_in_by_lines() {
    let (rep, endpoint) = listening(&["rep", "it is", "late", "--count", "1"]);
    let req = Program::start(&["req", "--connect", &endpoint, "what time is it"]);
    assert_eq!(req.end().with(0).lines, ["it is late"]);
    rep.wait().with(0);

    let (mut rep, endpoint) = listening(&["rep"]);
    let mut req = Program::start(&["req", "--connect", &endpoint, "--json"]);
    req.say(json!(["to be", "or not"]));
    rep.event(&json!({"event": "message", "content": ["to be", "or not"]}));
    rep.say("this is no JSON");
    let error = rep.event(&json!({"event": "error"}));
    assert!(
        error["message"].as_str().unwrap().contains("line 1"),
        "{error}"
    );
    rep.say(json!({"content": ["", {"base64": "/w=="}]}));
    req.event(&json!({"event": "message", "content": ["", {"base64": "/w=="}]}));
    req.end().with(0);
    rep.end_input();
    // It takes the next request, and has no answer to it.
    let req = Program::start(&["req", "--connect", &endpoint, "and?", "--timeout", "20"]);
    rep.end().with(0);
    req.wait().with(1).saying("who was to answer is gone");
}

#[test]
fn work_is_handed_out_and_taken() {
    let place = Place::new();
    let pull = Program::start(&["pull", "--bind", &place.endpoint(), "--count", "4"]);
    let mut push = Program::start(&["push", "--connect", &place.endpoint()]);
    push.feed(b"one\ntwo words\n\n\tlast, without an end of the line");
    push.wait().with(0);
    let lines = pull.wait().with(0).lines;
    assert_eq!(
        lines,
        [
            "one",
            "two words",
            "",
            "\\u{9}last, without an end of the line"
        ]
    );
}

#[test]
fn all_octets_pass_as_digits_and_as_json() {
    let (mut pull, endpoint) = listening(&["pull", "--count", "2"]);
    let mut push = Program::start(&["push", "--connect", &endpoint, "--hex"]);
    push.feed(b"6869 - FF00\n-\n");
    push.wait().with(0);
    pull.event(&json!({"event": "message", "content": ["hi", "", {"base64": "/wA="}]}));
    pull.event(&json!({"event": "message", "content": [""]}));
    pull.wait().with(0);

    let place = Place::new();
    let pull = Program::start(&["pull", "--bind", &place.endpoint(), "--hex", "--count", "1"]);
    let mut push = Program::start(&["push", "--connect", &place.endpoint(), "--json"]);
    push.feed(br#"["hi","",{"base64":"/wA="}]"#);
    push.wait().with(0);
    assert_eq!(pull.wait().with(0).lines, ["6869 - ff00"]);
}

#[test]
fn what_is_no_message_is_told_with_its_line() {
    let place = Place::new();
    let mut push = Program::start(&[
        "push",
        "--bind",
        &place.endpoint(),
        "--hex",
        "--timeout",
        "20",
    ]);
    push.feed(b"f\n");
    push.wait()
        .with(1)
        .saying("line 1: expected hexadecimal digits");
}

#[test]
fn what_was_subscribed_to_is_published() {
    let place = Place::new();
    let everything = place.path("everything");
    let everything = format!("ipc://{everything}");
    let news = Program::start(&[
        "sub",
        "--bind",
        &place.endpoint(),
        "--subscribe",
        "news.",
        "--count",
        "1",
    ]);
    let all = Program::start(&["sub", "--bind", &everything, "--count", "2"]);
    let mut publisher = Program::start(&[
        "pub",
        "--connect",
        &place.endpoint(),
        "--connect",
        &everything,
        "--peers",
        "2",
    ]);
    publisher.feed(b"old.news\nnews.de it rains\n");
    publisher.wait().with(0);
    assert_eq!(news.wait().with(0).lines, ["news.de it rains"]);
    assert_eq!(all.wait().with(0).lines, ["old.news", "news.de it rains"]);
}

#[test]
fn a_router_knows_a_dealer_by_its_identity() {
    let (mut router, endpoint) = listening(&["router"]);
    let mut dealer = Program::start(&[
        "dealer",
        "--connect",
        &endpoint,
        "--identity",
        "anna",
        "--json",
        "--count",
        "1",
    ]);
    dealer.say(json!(["hello"]));
    router.event(&json!({"event": "message", "content": ["anna", "hello"]}));
    router.say(json!(["anna", "hi"]));
    dealer.event(&json!({"event": "message", "content": ["hi"]}));
    dealer.end().with(0);
    router.signal(Signal::INT);
    router.end().with(0);
    Program::start(&["router", "--bind", "tcp://127.0.0.1:0"])
        .end()
        .with(2)
        .saying("--hex or --json");
}

#[test]
fn partners_talk_both_ways() {
    let place = Place::new();
    let mut one = Program::start(&["pair", "--bind", &place.endpoint()]);
    let mut other = Program::start(&["pair", "--connect", &place.endpoint()]);
    one.say("hello");
    other.line("hello");
    other.say("and hello to you");
    one.line("and hello to you");
    for partner in [one, other] {
        partner.signal(Signal::INT);
        partner.wait().with(0);
    }
}

#[test]
fn with_keys_only_those_who_are_trusted_come_in() {
    let place = Place::new();
    let [server, client, stranger] = ["server", "client", "stranger"].map(|name| place.path(name));
    for file in [&server, &client, &stranger] {
        Program::start(&["keygen", file]).end().with(0);
    }
    let (mut pull, endpoint) = listening(&[
        "pull", "--cert", &server, "--trust", &client, "--count", "2",
    ]);
    let push = |cert: &str, key: &str, text: &str| {
        let args = [
            "push",
            "--connect",
            &endpoint,
            "--timeout",
            "2",
            "--cert",
            cert,
            "--server-key",
            key,
            text,
        ];
        Program::start(&args).end()
    };
    let refused = push(&stranger, &server, "from a stranger").with(1);
    refused.saying("could not be sent: 1");
    let refused = Program::start(&["push", "--connect", &endpoint, "--timeout", "1", "in clear"])
        .end()
        .with(1);
    refused.saying("could not be sent: 1");
    push(&client, &server, "by the file").with(0);
    pull.event(&json!({"event": "message", "content": ["by the file"]}));
    let key = fs::read_to_string(&server).unwrap();
    let (_, key) = key.split_once("public-key = \"").unwrap();
    push(&client, key.split_once('"').unwrap().0, "by the key").with(0);
    pull.event(&json!({"event": "message", "content": ["by the key"]}));
    let ended = pull.wait().with(0);
    assert!(
        !ended
            .lines
            .iter()
            .any(|line| line.contains("stranger") || line.contains("clear")),
        "{ended:?}"
    );
    for args in [
        &["--cert", &server][..],
        &["--trust", "any"],
        &["--server-key", &server],
    ] {
        let args = [&["pull", "--bind", "tcp://127.0.0.1:0"], args].concat();
        Program::start(&args).end().with(2);
    }
}

#[test]
fn nobody_is_a_failure_when_time_is_over() {
    let place = Place::new();
    let taken = place.endpoint();
    let pull = Program::start(&["pull", "--bind", &taken, "--timeout", "0.3"])
        .end()
        .with(1);
    assert!(pull.saying("no message, waited 0.3 s").lines.is_empty());
    Program::start(&["push", "--connect", &taken, "--timeout", "0.3", "hello"])
        .end()
        .with(1)
        .saying("could not be sent: 1");
    Program::start(&["push", "--bind", &taken, "--timeout", "0.3", "hello"])
        .end()
        .with(1)
        .saying("nobody had room for it, waited 0.3 s");
    Program::start(&["pub", "--bind", &taken, "--timeout", "0.3", "hello"])
        .end()
        .with(1)
        .saying("nobody came to hear it, waited 0.3 s");
    Program::start(&["req", "--connect", &taken, "--timeout", "0.3", "hello"])
        .end()
        .with(1)
        .saying("no answer came, waited 0.3 s");
}

#[test]
fn what_is_wrong_with_an_endpoint_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("tcp://{}", listener.local_addr().unwrap());
    Program::start(&["pull", "--bind", &taken])
        .end()
        .with(1)
        .saying("choose another port");
    Program::start(&["pull", "--bind", "udp://127.0.0.1:5555"])
        .end()
        .with(2)
        .saying("--bind");
    Program::start(&["pull", "--connect", "tcp://*:5555"])
        .end()
        .with(2)
        .saying("tcp://*:5555");
    Program::start(&["pull"]).end().with(2).saying("--bind");
}

#[test]
fn it_can_be_interrupted_and_tells_who_comes_and_goes() {
    let (mut pull, endpoint) = listening(&["pull", "-v"]);
    Program::start(&["push", "--connect", &endpoint, "hello"])
        .end()
        .with(0);
    pull.event(&json!({"event": "message", "content": ["hello"]}));
    pull.signal(Signal::TERM);
    let ended = pull.wait().with(0);
    let ended = ended
        .saying("has connected")
        .saying("is a PUSH of ZMTP 3.1, and ready");
    let last: Value = serde_json::from_str(ended.lines.last().unwrap()).unwrap();
    assert_eq!(last["event"], "stop");

    let (pull, _) = listening(&["pull", "--count", "1"]);
    pull.signal(Signal::INT);
    pull.wait().with(130);
}
