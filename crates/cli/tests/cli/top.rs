//! `top`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::{Value, json};

use crate::network::Network;
use crate::program::Program;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a live view on it.
struct Live {
    child: Child,
    /// What the user has.
    keys: File,
    /// What the program has.
    terminal: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Live {
    fn start(args: &[&str]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_atonce"))
            .args(args)
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = File::from(keys);
        let mut screen = keys.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&shown);
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(octets @ 1..) = screen.read(&mut some) {
                to.lock().unwrap().extend_from_slice(&some[..octets]);
            }
        });
        Self {
            child,
            keys,
            terminal,
            shown,
        }
    }

    fn has_shown(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text)
    }

    /// Waits until this was drawn.
    fn shows(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.has_shown(text) {
            let ended = self.child.try_wait().unwrap();
            let shown = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
            assert!(
                ended.is_none() && Instant::now() < until,
                "no {text:?}, {ended:?}: {shown}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether it reads lines and shows what is typed.
    fn is_as_it_was(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits until it ends; the terminal is as it was then.
    fn ends_with(mut self, code: i32) {
        let until = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                break ended;
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(ended.code(), Some(code));
        assert!(self.is_as_it_was());
        // The screen below is back, and so is the cursor.
        self.shows_at_the_end("\u{1b}[?1049l");
        self.shows_at_the_end("\u{1b}[?25h");
    }

    fn shows_at_the_end(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.has_shown(text) {
            assert!(Instant::now() < until, "no {text:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_live_view_leaves_the_terminal_as_it_was() {
    let network = Network::new();
    let mut alice = network.node("alice", &["--group", "CHAT"]);
    let args = network.placed(&["top", "--name", "watcher"]);
    // Left by a key, by Ctrl-C as the terminal sends it, by a signal, and by time.
    for end in ["q", "\u{3}", "", "time"] {
        let more: &[&str] = if end == "time" { &["--for", "4"] } else { &[] };
        let mut live = Live::start(&[&args[..], more].concat());
        live.shows("Peers");
        live.shows("alice");
        assert!(!live.is_as_it_was());
        live.press("?");
        live.shows("forget the events");
        live.press(" ");
        alice.event(&json!({"event": "enter", "name": "watcher"}));
        match end {
            "" => kill_process(Pid::from_child(&live.child), Signal::TERM).unwrap(),
            "time" => {}
            key => live.press(key),
        }
        live.ends_with(0);
        alice.event(&json!({"event": "exit", "name": "watcher", "reason": "left"}));
    }
}

#[test]
fn it_prints_what_it_saw_once() {
    let network = Network::new();
    let mut alice = network.node("alice", &["--group", "CHAT", "--header", "K=V"]);
    let mut bob = network.node("bob", &["--group", "CHAT", "--group", "HAM"]);
    alice.event(&json!({"event": "join", "name": "bob", "group": "HAM"}));
    bob.event(&json!({"event": "join", "name": "alice"}));

    let table = network
        .start(&["top", "--once", "--for", "1.5"])
        .end()
        .with(0)
        .lines;
    assert!(table[0].contains(" at tcp://127.0.0.1:"), "{table:?}");
    for (line, words) in table[2..5].iter().zip([
        ["NAME", "STATE", "LATENCY", "MSG/S", "GROUPS", "ENDPOINT"],
        ["alice", "ready", "s", "0", "CHAT", "tcp://127.0.0.1:"],
        ["bob", "ready", "s", "0", "CHAT, HAM", "tcp://127.0.0.1:"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    // They answered, within a time that a machine needs for itself.
    let latency = |line: &str| line.contains(" µs") || line.contains(" ms");
    assert!(latency(&table[3]) && latency(&table[4]), "{table:?}");
    assert_eq!(
        table[6..],
        [
            "GROUP  PEERS  MSG/S",
            "CHAT   2      not in",
            "HAM    1      not in"
        ]
    );
}

#[test]
fn what_is_shouted_to_joined_groups_is_counted() {
    let network = Network::new();
    let mut alice = network.node("alice", &["--group", "CHAT"]);
    let top = network.start(&[
        "top",
        "--once",
        "--for",
        "3",
        "--join-all",
        "--json",
        "--name",
        "watcher",
    ]);
    alice.event(&json!({"event": "join", "name": "watcher", "group": "CHAT"}));
    for _ in 0..10 {
        alice.say(json!({"do": "shout", "group": "CHAT", "content": ["hello"]}));
    }
    alice.say(json!({"do": "whisper", "peer": "watcher", "content": ["to", "you"]}));
    let lines = top.end().with(0).lines;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let (peer, group) = (&line["peers"][0], &line["groups"][0]);
    assert_eq!(
        (&line["event"], &line["name"]),
        (&json!("top"), &json!("watcher"))
    );
    assert_eq!(
        (&peer["name"], &peer["state"], &peer["groups"]),
        (&json!("alice"), &json!("ready"), &json!(["CHAT"]))
    );
    assert_eq!(
        (&peer["messages"], &peer["octets"]),
        (&json!(11), &json!(55))
    );
    let above = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
    assert!(
        above(&peer["messages_per_second"]) && above(&peer["octets_per_second"]),
        "{line}"
    );
    assert!(above(&peer["latency_micros"]), "{line}");
    assert_eq!(
        (&group["group"], &group["peers"], &group["joined"]),
        (&json!("CHAT"), &json!(1), &json!(true))
    );
    assert!(above(&group["messages_per_second"]), "{line}");
}

#[test]
fn a_live_view_needs_a_terminal() {
    let network = Network::new();
    network
        .start(&["top"])
        .end()
        .with(1)
        .saying("no terminal")
        .saying("--once");
    Program::start(&["top", "--json"])
        .end()
        .with(2)
        .saying("--once");
    Program::start(&["top", "--sort", "size"])
        .end()
        .with(2)
        .saying("latency");
}
