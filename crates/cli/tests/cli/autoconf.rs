//! `announce` and `find`.

use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::loopback::free_port;
use crate::namespace::{ip, within};
use crate::program::Program;

/// A UDP port of the loopback on which nobody else announces anything.
struct Link(String);

impl Link {
    fn new() -> Self {
        Self(free_port().to_string())
    }

    fn start(&self, args: &[&str]) -> Program {
        let place = ["--interface", "lo", "--port", &self.0];
        Program::start(&[args, &place].concat())
    }

    fn server(&self, service: &str, more: &[&str]) -> (Program, String) {
        let args = [&["announce", service, "tcp://127.0.0.1:0", "--json"], more].concat();
        let mut server = self.start(&args);
        let start = server.event(&json!({"event": "start", "service": service}));
        let endpoint = start["endpoints"][0].as_str().unwrap().to_owned();
        (server, endpoint)
    }
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_server_is_found_and_told_who_came() {
    // AUTO-50, AUTO-51
    let link = Link::new();
    let (mut server, endpoint) = link.server("printing", &["--property", "colour=yes"]);
    let plain = link.start(&["find", "printing"]).end().with(0).lines;
    assert_eq!(plain, [&*endpoint]);

    for name in ["client0", "client 1"] {
        let said = link.start(&["find", "printing", "--name", name]);
        assert_eq!(said.end().with(0).lines, [&*endpoint]);
        server.event(&json!({"event": "hello", "name": name}));
    }
    let lines = link
        .start(&["find", "printing", "--name", "x", "--json"])
        .end()
        .with(0)
        .lines;
    let [welcome] = &parsed(&lines)[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(welcome["event"], "welcome");
    assert_eq!(welcome["endpoint"], endpoint.as_str());
    assert_eq!(welcome["properties"], json!({"colour": "yes"}));
    assert_eq!(
        (&welcome["service"], &welcome["key"]),
        (&json!("printing"), &Value::Null)
    );

    server.signal(Signal::TERM);
    let lines = server.end().with(0).lines;
    assert_eq!(parsed(&lines).last().unwrap()["event"], "stop");
}

#[test]
fn five_clients_start_before_the_server() {
    // AUTO-21, AUTO-32
    let link = Link::new();
    let clients: Vec<Program> = (0..5)
        .map(|n| {
            link.start(&[
                "find",
                "printing",
                "--wait",
                "60",
                "--name",
                &format!("client{n}"),
            ])
        })
        .collect();
    let (server, endpoint) = link.server("printing", &["--count", "5"]);
    for client in clients {
        assert_eq!(client.end().with(0).lines, [&*endpoint]);
    }
    let lines = server.end().with(0).lines;
    let mut names: Vec<String> = parsed(&lines)
        .iter()
        .filter_map(|line| Some(line.get("name")?.as_str()?.to_owned()))
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["client0", "client1", "client2", "client3", "client4"]
    );
}

#[test]
fn nobody_is_exit_code_1() {
    // AUTO-53
    let link = Link::new();
    link.start(&["find", "printing", "--wait", "0.3"])
        .end()
        .with(1)
        .saying("no server of printing is here, waited 0.3 s");
    // Somebody is announced, and does not answer.
    let port = free_port();
    let closed = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    let mut server = link.start(&["announce", "printing", &endpoint, "--no-bind", "--json"]);
    server.event(&json!({"event": "start", "endpoints": [endpoint]}));
    assert_eq!(
        link.start(&["find", "printing"]).end().with(0).lines,
        [endpoint]
    );
    link.start(&["find", "printing", "--name", "x", "--wait", "1"])
        .end()
        .with(1)
        .saying("no server of printing answered, waited 1 s");
    drop(closed);
    link.start(&["find", "printing", "--name", "x", "--wait", "1"])
        .end()
        .with(1)
        .saying("no server of printing answered, waited 1 s");
    server.signal(Signal::INT);
    server.end().with(0);
}

/// Where the system takes connections and nobody speaks, as of a program that hangs.
fn silent() -> (TcpListener, String) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", silent.local_addr().unwrap());
    (silent, endpoint)
}

#[test]
fn behind_four_endpoints_at_which_nobody_speaks_the_fifth_is_reached_in_time() {
    // AUTO-53
    let link = Link::new();
    let (mut answers, endpoint) = link.server("printing at its place", &[]);
    let dead: Vec<_> = (0..4).map(|_| silent()).collect();
    let dead = dead.iter().map(|(_, endpoint)| &**endpoint);
    let places: Vec<&str> = dead.chain([&*endpoint]).collect();
    let args = [
        &["announce", "printing"],
        &places[..],
        &["--no-bind", "--json"],
    ]
    .concat();
    let mut server = link.start(&args);
    server.event(&json!({"event": "start", "endpoints": places}));
    // As long as it is sought unless it is said otherwise.
    let found = link.start(&["find", "printing", "--name", "x"]);
    assert_eq!(found.end().with(0).lines, [&*endpoint]);
    answers.event(&json!({"event": "hello", "name": "x"}));
}

#[test]
fn who_is_lost_while_it_is_asked_is_not_waited_for() {
    // AUTO-54
    let link = Link::new();
    let (_silent, endpoint) = silent();
    let mut gone = link.start(&["announce", "printing", &endpoint, "--no-bind", "--json"]);
    gone.event(&json!({"event": "start", "endpoints": [endpoint]}));
    let args = ["find", "printing", "--name", "x", "--wait", "60", "--json"];
    let find = link.start(&args);
    let (mut server, endpoint) = link.server("printing", &[]);
    gone.signal(Signal::TERM);
    gone.end().with(0);
    server.event(&json!({"event": "hello", "name": "x"}));
    // It is not told as one that did not answer in all the time that it had.
    let lines = parsed(&find.end().with(0).lines);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["event"], &lines[0]["endpoint"]),
        (&json!("welcome"), &json!(endpoint))
    );
}

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn a_server_without_a_network_tells_its_endpoints_when_they_come() {
    // AUTO-12, AUTO-14
    within(
        "a_server_without_a_network_tells_its_endpoints_when_they_come",
        || {
            ip("link set lo up");
            ip("link add eth7 type veth peer name eth8");
            ip("link set eth8 up");
            let announce = ["announce", "printing", "tcp://0.0.0.0:50053", "--no-bind"];
            let mut json = Program::start(&[&announce[..], &["--json"]].concat());
            let mut words = Program::start(&announce);
            json.event(&json!({"event": "start", "endpoints": [], "key": null}));
            words.line("no network yet");
            ip("addr add 10.77.0.1/24 brd + dev eth7");
            ip("link set eth7 up");
            let at = |address: &str| {
                let endpoint = format!("tcp://{address}:50053");
                json!({"event": "announced", "service": "printing", "endpoints": [endpoint], "key": null})
            };
            json.event(&at("10.77.0.1"));
            words.line("announcing printing at tcp://10.77.0.1:50053");
            ip("addr del 10.77.0.1/24 dev eth7");
            ip("addr add 10.77.0.9/24 brd + dev eth7");
            json.event(&at("10.77.0.9"));
            for program in [json, words] {
                program.signal(Signal::TERM);
                program.end().with(0);
            }
        },
    );
}

#[test]
fn what_comes_and_goes_is_watched() {
    // AUTO-24, AUTO-34
    let link = Link::new();
    let mut watch = link.start(&["find", "--watch", "--json"]);
    let (server, endpoint) = link.server("scanning", &[]);
    let found = watch.event(&json!({"event": "found", "service": "scanning"}));
    assert_eq!(found["endpoints"], json!([endpoint]));
    server.signal(Signal::TERM);
    server.end().with(0);
    let lost = watch.event(&json!({"event": "lost", "reason": "left"}));
    assert_eq!(lost["instance"], found["instance"]);
    watch.signal(Signal::INT);
    let lines = watch.end().with(0).lines;
    assert_eq!(parsed(&lines).last().unwrap()["event"], "stop");
}

#[test]
fn a_pinned_key_is_what_answers() {
    // AUTO-6, AUTO-30
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    for name in ["server", "other"] {
        Program::start(&["keygen", &file(name)]).end().with(0);
    }
    let link = Link::new();
    let security = ["--cert", &file("server"), "--trust", "any"];
    let (mut server, endpoint) = link.server("printing", &security);
    let pinned = [
        "find",
        "printing",
        "--name",
        "alice",
        "--key",
        &file("server"),
    ];
    assert_eq!(link.start(&pinned).end().with(0).lines, [endpoint]);
    server.event(&json!({"event": "hello", "name": "alice"}));
    let wrong = ["find", "printing", "--wait", "0.5", "--key", &file("other")];
    link.start(&wrong).end().with(1).saying("is here");
    drop(server);
}

#[test]
fn what_is_wrong_is_exit_code_2() {
    // AUTO-4, AUTO-5
    let link = Link::new();
    for (args, said) in [
        (
            &["announce", "printing", "tcp://127.0.0.1:0", "--no-bind"][..],
            "bind first",
        ),
        (
            &["announce", "printing", "udp://127.0.0.1:1"],
            "is not an endpoint",
        ),
        (&["announce", "", "tcp://127.0.0.1:0"], "at least one octet"),
        (&["find", "a\nb"], "without control characters"),
        (&["find"], "<SERVICE>"),
        (&["find", "x", "--name", ""], "--name"),
        (&["find", "x", "--key", "y"], "--key"),
        (
            &["announce", "x", "tcp://127.0.0.1:0", "--key", "y"],
            "--key",
        ),
    ] {
        link.start(args).end().with(2).saying(said);
    }
}
