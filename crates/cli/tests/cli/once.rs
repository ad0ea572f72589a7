//! Servers and bridges: networks that become one. Each LAN is a UDP port of the loopback of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::network::Network;
use crate::program::Program;

/// A secret that nobody guesses.
const SECRET: &str = "9f86d081884c7d659a2feaa0c55ad015";

/// A place where bridges meet, and the files of all of them.
struct Internet {
    files: TempDir,
    server: Program,
    port: String,
    /// What the server said of itself.
    start: Value,
}

/// A LAN with a bridge.
struct Lan {
    network: Network,
    bridge: Program,
}

impl Internet {
    fn new(more: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        secret(&files, "secret", SECRET);
        let port = Network::new().port().to_owned();
        let mut args = vec![
            "server",
            "--json",
            "--interface",
            "lo",
            "--port",
            &port,
            "--name",
            "meet",
        ];
        let (secret, state) = (path(&files, "secret"), path(&files, "state-meet"));
        if more.is_empty() {
            args.extend(["--secret-file", &secret, "--state", &state]);
        }
        args.extend(more);
        let mut server = Program::start(&args);
        let start = server.event(&json!({"event": "start", "name": "meet"}));
        Self {
            files,
            server,
            port,
            start,
        }
    }

    /// A LAN whose bridge of this name knows the secret.
    fn lan(&self, name: &str) -> Lan {
        let (secret, state) = (self.path("secret"), self.path(&format!("state-{name}")));
        self.lan_with(name, &["--secret-file", &secret, "--state", &state])
    }

    /// A LAN whose bridge has these options.
    fn lan_with(&self, name: &str, more: &[&str]) -> Lan {
        let network = Network::new();
        let bridge = self.bridge(&network, name, more);
        Lan { network, bridge }
    }

    fn bridge(&self, network: &Network, name: &str, more: &[&str]) -> Program {
        let server = format!("127.0.0.1:{}", self.port);
        let mut args = vec![
            "bridge",
            "--json",
            "--lan",
            "lo",
            "--wan",
            "lo",
            "--wan-port",
            "0",
            "--interval",
            "100",
        ];
        args.extend(["--name", name, "--port", network.port()]);
        if !more.contains(&"--server") {
            args.extend(["--server", &server]);
        }
        args.extend(more);
        let mut bridge = Program::start(&args);
        bridge.event(&json!({"event": "start", "name": name}));
        bridge
    }

    fn path(&self, name: &str) -> String {
        path(&self.files, name)
    }
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A file that nobody else may read.
fn secret(folder: &TempDir, name: &str, secret: &str) {
    fs::write(folder.path().join(name), format!("{secret}\n")).unwrap();
    fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Alice and Bob on two LANs, who see each other.
fn alice_and_bob(internet: &Internet) -> (Lan, Program, Lan, Program) {
    let (mut east, mut west) = (internet.lan("east"), internet.lan("west"));
    let mut alice = east
        .network
        .node("alice", &["--group", "CHAT", "--header", "X-FROM=east"]);
    let mut bob = west.network.node("bob", &["--group", "CHAT"]);
    for (bridge, other) in [(&mut east.bridge, "west"), (&mut west.bridge, "east")] {
        bridge.event(
            &json!({"event": "met", "name": "meet", "role": "server", "mechanism": "SECRET"}),
        );
        bridge.event(
            &json!({"event": "met", "name": other, "role": "bridge", "mechanism": "SECRET"}),
        );
        bridge.event(&json!({"event": "active"}));
    }
    for (node, other) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        node.event(&json!({"event": "enter", "name": other}));
        node.event(&json!({"event": "join", "name": other, "group": "CHAT"}));
    }
    (east, alice, west, bob)
}

#[test]
fn two_lans_hold_one_conversation() {
    let mut internet = Internet::new(&[]);
    let (mut east, mut alice, mut west, mut bob) = alice_and_bob(&internet);
    east.bridge.event(&json!({"event": "enter", "name": "bob"}));
    west.bridge
        .event(&json!({"event": "enter", "name": "alice"}));
    for name in ["east", "west"] {
        internet
            .server
            .event(&json!({"event": "met", "name": name, "role": "bridge", "mechanism": "SECRET"}));
    }

    // Any octets, several frames, both ways.
    let content = json!(["text", {"base64": "AAH/"}, ""]);
    for name in ["bob", "alice"] {
        let (from, to) = match name {
            "bob" => (&mut alice, &mut bob),
            _ => (&mut bob, &mut alice),
        };
        from.say(json!({"do": "whisper", "peer": name, "content": content}));
        to.event(&json!({"event": "whisper", "content": content}));
        from.say(json!({"do": "shout", "group": "CHAT", "content": content}));
        to.event(&json!({"event": "shout", "group": "CHAT", "content": content}));
    }

    // Groups follow.
    bob.say(json!({"do": "join", "group": "LATER"}));
    alice.event(&json!({"event": "join", "name": "bob", "group": "LATER"}));
    alice.say(json!({"do": "shout", "group": "LATER", "content": ["still"]}));
    bob.event(&json!({"event": "shout", "group": "LATER", "content": ["still"]}));
    bob.say(json!({"do": "leave", "group": "LATER"}));
    alice.event(&json!({"event": "leave", "name": "bob", "group": "LATER"}));

    // In order, each once.
    for number in 0..200 {
        alice.say(json!({"do": "whisper", "peer": "bob", "content": [number.to_string()]}));
    }
    bob.event(&json!({"event": "whisper", "content": ["199"]}));
    let mut seen = bob.passed("whisper");
    seen.push(json!({"content": ["199"]}));
    let seen = seen
        .iter()
        .map(|whisper| whisper["content"][0].as_str().unwrap().to_owned());
    assert!(seen.eq((0..200).map(|number| number.to_string())));

    // Nobody needs the server any more.
    internet.server.signal(Signal::KILL);
    alice.say(json!({"do": "whisper", "peer": "bob", "content": ["without"]}));
    bob.event(&json!({"event": "whisper", "content": ["without"]}));

    // Who goes is gone everywhere.
    bob.say(json!({"do": "stop"}));
    bob.wait().with(0);
    alice.event(&json!({"event": "exit", "name": "bob", "reason": "left"}));
    east.bridge.event(&json!({"event": "exit", "name": "bob"}));

    // And who comes, comes; a bridge takes its own with it.
    let mut carol = west.network.node("carol", &[]);
    alice.event(&json!({"event": "enter", "name": "carol"}));
    carol.event(&json!({"event": "enter", "name": "alice"}));
    east.bridge.signal(Signal::INT);
    east.bridge.event(&json!({"event": "stop"}));
    east.bridge.wait().with(0);
    carol.event(&json!({"event": "exit", "name": "alice", "reason": "left"}));
    alice.event(&json!({"event": "exit", "name": "carol", "reason": "left"}));
    west.bridge.event(&json!({"event": "lost", "name": "east"}));
}

#[test]
fn a_stand_in_says_whose_it_is_and_all_else_is_the_peers_own() {
    let internet = Internet::new(&[]);
    let (_east, mut alice, west, mut bob) = alice_and_bob(&internet);
    bob.say(json!({"do": "peers", "id": 1}));
    let answer = bob.event(&json!({"event": "peers"}));
    let peers = answer["peers"].as_array().unwrap();
    let seen = peers.iter().find(|peer| peer["name"] == "alice").unwrap();
    assert_eq!(seen["headers"]["X-FROM"], "east");
    assert_eq!(seen["headers"]["X-ONCE-VIA"].as_str().unwrap().len(), 32);
    assert_eq!(seen["groups"], json!(["CHAT"]));
    // It has her UUID, on a mailbox of its own.
    alice.say(json!({"do": "peers", "id": 1}));
    let answer = alice.event(&json!({"event": "peers"}));
    let names: Vec<_> = answer["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| peer["name"].clone())
        .collect();
    assert!(
        names.contains(&json!("bob")) && names.contains(&json!("east")),
        "{names:?}"
    );
    // The other bridge and the server are nobody's peers but the bridge's.
    assert!(
        !names.contains(&json!("west")) && !names.contains(&json!("meet")),
        "{names:?}"
    );
    drop(west);
}

#[test]
fn it_says_how_it_is_doing() {
    let mut internet = Internet::new(&[]);
    let (mut east, mut alice, _west, mut bob) = alice_and_bob(&internet);
    alice.say(json!({"do": "whisper", "peer": "bob", "content": ["hi"]}));
    bob.event(&json!({"event": "whisper"}));
    east.bridge.signal(Signal::USR1);
    let status = east.bridge.event(&json!({"event": "status"}));
    for (field, expected) in [
        ("active", json!(true)),
        ("servers", json!(1)),
        ("bridges", json!(1)),
        ("far_peers", json!(1)),
        ("stand_ins", json!(1)),
        ("local_peers", json!(1)),
        ("whispers_sent", json!(1)),
        ("delivered", json!(0)),
        ("undeliverable", json!(0)),
    ] {
        assert_eq!(status[field], expected, "{field}: {status}");
    }
    assert!(status["octets_sent"].as_u64().unwrap() > 0, "{status}");
    internet.server.signal(Signal::USR1);
    let status = internet.server.event(&json!({"event": "status"}));
    assert_eq!(status["bridges"], 2, "{status}");
    internet.server.signal(Signal::TERM);
    internet.server.event(&json!({"event": "stop"}));
    internet.server.wait().with(0);
}

#[test]
fn who_has_another_secret_is_refused() {
    let mut internet = Internet::new(&[]);
    secret(
        &internet.files,
        "other",
        "another secret of sixteen octets and more",
    );
    let (other, state) = (internet.path("other"), internet.path("state-mallory"));
    let mut mallory = internet.lan_with("mallory", &["--secret-file", &other, "--state", &state]);
    let mut east = internet.lan("east");
    let mut alice = east.network.node("alice", &[]);
    let mut eve = mallory.network.node("eve", &[]);
    internet
        .server
        .event(&json!({"event": "refused", "code": 4, "us": false}));
    mallory
        .bridge
        .event(&json!({"event": "refused", "us": true}));
    east.bridge
        .event(&json!({"event": "met", "role": "server"}));
    // It is a LAN of its own, and stays one.
    mallory.bridge.event(&json!({"event": "active"}));
    east.bridge.event(&json!({"event": "active"}));
    alice.event(&json!({"event": "enter", "name": "east"}));
    eve.event(&json!({"event": "enter", "name": "mallory"}));
    for node in [&mut alice, &mut eve] {
        node.say(json!({"do": "peers", "id": 1}));
        let answer = node.event(&json!({"event": "peers"}));
        assert_eq!(answer["peers"].as_array().unwrap().len(), 1, "{answer}");
    }
}

#[test]
fn keys_alone_will_do_and_a_mailbox_with_a_key() {
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| path(&files, name);
    for name in ["meet", "east", "west"] {
        Program::start(&["keygen", &path(name)]).end().with(0);
        fs::create_dir_all(path("keys")).unwrap();
        fs::copy(path(name), path(&format!("keys/{name}"))).unwrap();
    }
    let internet = Internet::new(&["--cert", &path("meet"), "--trust", &path("keys")]);
    let server = format!(
        "{}|{}",
        internet.start["endpoint"].as_str().unwrap(),
        internet.start["key"].as_str().unwrap()
    );
    let mut lans: Vec<_> = ["east", "west"]
        .map(|name| {
            let args = [
                "--cert",
                &path(name),
                "--trust",
                &path("keys"),
                "--server",
                &server,
            ];
            internet.lan_with(name, &args)
        })
        .into();
    let mut alice = lans[0].network.node("alice", &[]);
    let mut bob = lans[1].network.node("bob", &[]);
    for lan in &mut lans {
        lan.bridge
            .event(&json!({"event": "met", "role": "server", "mechanism": "CURVE"}));
        lan.bridge
            .event(&json!({"event": "met", "role": "bridge", "mechanism": "CURVE"}));
    }
    alice.event(&json!({"event": "enter", "name": "bob"}));
    bob.event(&json!({"event": "enter", "name": "alice"}));
    bob.say(json!({"do": "whisper", "peer": "alice", "content": ["hi"]}));
    alice.event(&json!({"event": "whisper", "content": ["hi"]}));
}

#[test]
fn what_is_open_is_open_to_all() {
    let internet = Internet::new(&["--open"]);
    assert!(internet.start.get("key").is_none());
    let mut east = internet.lan_with("east", &["--open"]);
    let mut west = internet.lan_with("west", &["--open"]);
    for lan in [&mut east, &mut west] {
        lan.bridge
            .event(&json!({"event": "met", "role": "bridge", "mechanism": "OPEN"}));
    }
}

#[test]
fn bridges_meet_without_a_server_when_one_can_be_reached() {
    let files = tempfile::tempdir().unwrap();
    secret(&files, "secret", SECRET);
    let port = Network::new().port().to_owned();
    let mut lans: Vec<_> = ["east", "west"]
        .iter()
        .map(|name| {
            let network = Network::new();
            let (secret, state) = (path(&files, "secret"), path(&files, name));
            let mut args = vec![
                "bridge",
                "--json",
                "--lan",
                "lo",
                "--wan",
                "lo",
                "--port",
                network.port(),
            ];
            args.extend(["--name", name, "--secret-file", &secret, "--state", &state]);
            let server = format!("127.0.0.1:{port}");
            match *name {
                "east" => args.extend(["--wan-port", &port]),
                _ => args.extend(["--wan-port", "0", "--server", &server]),
            }
            let bridge = Program::start(&args);
            Lan { network, bridge }
        })
        .collect();
    let mut alice = lans[0].network.node("alice", &[]);
    let mut bob = lans[1].network.node("bob", &[]);
    for lan in &mut lans {
        lan.bridge
            .event(&json!({"event": "met", "role": "bridge", "mechanism": "SECRET"}));
    }
    alice.event(&json!({"event": "enter", "name": "bob"}));
    bob.event(&json!({"event": "enter", "name": "alice"}));
}

/// A mailbox that nobody can dial, as behind a router.
const NOWHERE: &str = "tcp://127.0.0.1:1";

#[test]
fn who_cannot_be_dialled_dials() {
    let internet = Internet::new(&[]);
    let mut east = internet.lan("east");
    let (secret, state) = (internet.path("secret"), internet.path("state-west"));
    let args = [
        "--secret-file",
        &secret,
        "--state",
        &state,
        "--advertise",
        NOWHERE,
    ];
    let mut west = internet.lan_with("west", &args);
    let mut alice = east.network.node("alice", &[]);
    let mut bob = west.network.node("bob", &[]);
    for lan in [&mut east, &mut west] {
        lan.bridge.event(&json!({"event": "met", "role": "server"}));
        lan.bridge.event(&json!({"event": "met", "role": "bridge"}));
    }
    alice.event(&json!({"event": "enter", "name": "bob"}));
    bob.event(&json!({"event": "enter", "name": "alice"}));
}

#[test]
fn a_relay_joins_two_who_cannot_be_dialled() {
    let port = Network::new().port().to_owned();
    let files = tempfile::tempdir().unwrap();
    secret(&files, "secret", SECRET);
    let (secret, relay) = (path(&files, "secret"), format!("--relay={port}"));
    let state = path(&files, "state-meet");
    let mut internet = Internet::new(&["--secret-file", &secret, "--state", &state, &relay]);
    let mut lans = ["east", "west"].map(|name| {
        let state = path(&files, name);
        let args = [
            "--secret-file",
            &secret,
            "--state",
            &state,
            "--advertise",
            NOWHERE,
        ];
        internet.lan_with(name, &args)
    });
    let mut alice = lans[0].network.node("alice", &[]);
    let mut bob = lans[1].network.node("bob", &[]);
    internet.server.event(&json!({"event": "led"}));
    for lan in &mut lans {
        lan.bridge
            .event(&json!({"event": "met", "role": "bridge", "mechanism": "SECRET"}));
    }
    alice.event(&json!({"event": "enter", "name": "bob"}));
    bob.event(&json!({"event": "enter", "name": "alice"}));
    let text = "x".repeat(300_000);
    for name in ["bob", "alice"] {
        let (from, to) = match name {
            "bob" => (&mut alice, &mut bob),
            _ => (&mut bob, &mut alice),
        };
        from.say(json!({"do": "whisper", "peer": name, "content": [text]}));
        to.event(&json!({"event": "whisper", "content": [text]}));
    }
    internet.server.signal(Signal::USR1);
    let status = internet
        .server
        .event(&json!({"event": "status", "relayed": 1}));
    assert!(
        status["relayed_octets"].as_u64().unwrap() > 600_000,
        "{status}"
    );
    // They know that it is over when it is.
    internet.server.signal(Signal::KILL);
    alice.event(&json!({"event": "exit", "name": "bob"}));
    bob.event(&json!({"event": "exit", "name": "alice"}));
}

#[test]
fn another_bridge_of_the_lan_takes_over() {
    let internet = Internet::new(&[]);
    let (east, mut alice, _west, mut bob) = alice_and_bob(&internet);
    let (secret, state) = (internet.path("secret"), internet.path("state-spare"));
    let mut spare = internet.bridge(
        &east.network,
        "spare",
        &["--secret-file", &secret, "--state", &state],
    );
    spare.event(&json!({"event": "standby"}));
    east.bridge.signal(Signal::KILL);
    spare.event(&json!({"event": "active"}));
    bob.say(json!({"do": "join", "group": "AFTER"}));
    alice.event(&json!({"event": "join", "name": "bob", "group": "AFTER"}));
    bob.event(&json!({"event": "join", "name": "alice", "group": "CHAT"}));
    alice.say(json!({"do": "whisper", "peer": "bob", "content": ["after"]}));
    bob.event(&json!({"event": "whisper", "content": ["after"]}));
}

#[test]
fn nothing_starts_before_it_is_said_who_may_take_part() {
    let files = tempfile::tempdir().unwrap();
    let open = path(&files, "open");
    fs::write(&open, SECRET).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let own = path(&files, "own");
    Program::start(&["keygen", &own]).end().with(0);
    for (args, told) in [
        (&[][..], "nothing says who may take part"),
        (&["--secret-file", &open], "chmod 600"),
        (&["--secret-file", "/nowhere"], "cannot read the secret"),
        (&["--cert", &own], "--trust has to say"),
        (&["--cert", &own, "--trust", "any"], "any is everybody"),
        (&["--trust", &own], "--cert"),
        (&["--open", "--secret-file", &open], "cannot be used with"),
        (&["--open", "--uuid", "12"], "32 hexadecimal digits"),
        (
            &[
                "--open",
                "--evasive-timeout",
                "9000",
                "--expired-timeout",
                "8000",
            ],
            "must be longer",
        ),
        (&["--open", "--status", "0"], "--status"),
        (
            &["--open", "--advertise", "tcp://example.org:1"],
            "an address, not a name",
        ),
    ] {
        for command in [&["server"][..], &["bridge", "--lan", "lo"]] {
            Program::start(&[command, args].concat())
                .end()
                .with(2)
                .saying(told);
        }
    }
    for (args, told) in [
        (&["bridge", "--open"][..], "--lan"),
        (
            &["bridge", "--open", "--lan", "nosuchthing"],
            "there is no interface",
        ),
        (
            &["bridge", "--open", "--lan", "lo", "--server", "udp://x"],
            "expected HOST",
        ),
        (
            &["bridge", "--open", "--lan", "lo", "--port", "0"],
            "--port",
        ),
        (
            &["bridge", "--open", "--lan", "lo", "--lan-cert", &own],
            "--lan-trust",
        ),
    ] {
        Program::start(args).end().with(2).saying(told);
    }
    // A mailbox without a key, where all is encrypted.
    let secret_file = path(&files, "secret");
    secret(&files, "secret", SECRET);
    let state = path(&files, "state");
    let args = [
        "bridge",
        "--lan",
        "lo",
        "--secret-file",
        &secret_file,
        "--state",
        &state,
    ];
    let args = [&args[..], &["--server", "tcp://127.0.0.1:5671"]].concat();
    Program::start(&args).end().with(2).saying("|KEY");
}

#[test]
fn nobody_reading_the_output_ends_it_politely() {
    let network = Network::new();
    let mut bob = network.node("bob", &[]);
    let args = [
        "bridge",
        "--open",
        "--lan",
        "lo",
        "--wan",
        "lo",
        "--wan-port",
        "0",
        "--name",
        "unread",
    ];
    let more = ["--port", network.port(), "--interval", "100"];
    let mut bridge = Program::start_unread(&[&args[..], &more].concat());
    bob.event(&json!({"event": "enter", "name": "unread"}));
    bridge.close_output();
    bridge.signal(Signal::USR1);
    bob.event(&json!({"event": "exit", "name": "unread", "reason": "left"}));
    let ended = bridge.wait().with(0);
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let internet = Internet::new(&["--open"]);
    let args = [
        "server",
        "--open",
        "--interface",
        "lo",
        "--port",
        &internet.port,
    ];
    Program::start(&args).end().with(1).saying(&internet.port);
}
