//! Options: what is wrong is refused with exit code 2, the name of the option, and what would be right.

use crate::network::Network;
use crate::program::Program;

/// Every command that starts a node, with what else it needs.
const COMMANDS: [&[&str]; 10] = [
    &["chat", "G"],
    &["listen"],
    &["peers"],
    &["whisper", "bob", "hi"],
    &["shout", "G", "hi"],
    &["run"],
    &["ping", "bob"],
    &["perf", "serve"],
    &["perf", "run", "bob"],
    &["top"],
];

#[test]
fn a_bad_value_of_a_node_option_is_refused_by_name() {
    let long = "x".repeat(256);
    let long_header = format!("{long}=V");
    for (option, value, right) in [
        ("--name", "", "at least one character"),
        ("--name", &*long, "at most 255 octets"),
        ("--uuid", "12", "32 hexadecimal digits"),
        (
            "--uuid",
            "0123456789ABCDEF0123456789ABCDEG",
            "32 hexadecimal digits",
        ),
        (
            "--interface",
            "no such",
            "name of an interface or an IP address",
        ),
        ("--port", "65536", "0..=65535"),
        ("--port", "x", "invalid digit"),
        ("--interval", "0", "a whole number from 1"),
        ("--interval", "1.5", "a whole number from 1"),
        ("--evasive-timeout", "soon", "a whole number from 1"),
        ("--expired-timeout", "-1", "a whole number from 1"),
        ("--tcp-port", "0", "from 1 to 65535"),
        ("--tcp-port", "9-1", "ends before it begins"),
        ("--advertise", "10.0.0.1:1", "tcp://"),
        (
            "--advertise",
            "tcp://example.org:49152",
            "an address, not a name",
        ),
        ("--header", "K", "KEY=VALUE"),
        ("--header", "=V", "the key"),
        ("--header", &long_header, "at most 255 octets"),
        ("--group", &long, "at most 255 octets"),
        ("--peer", "10.0.0.1", "tcp://"),
        ("--peer", "tcp://10.0.0.1:0", "from 1 to 65535"),
    ] {
        let ended = Program::start(&["listen", &format!("{option}={value}")]).end();
        ended.with(2).saying(option).saying(right);
    }
}

#[test]
fn every_command_that_starts_a_node_has_the_options_of_a_node() {
    for command in COMMANDS {
        let args = [command, &["--uuid", "12"]].concat();
        Program::start(&args).end().with(2).saying("--uuid");
        let help = Program::start(&[command, &["--help"]].concat())
            .end()
            .with(0)
            .lines
            .join("\n");
        for option in [
            "--name",
            "--uuid",
            "--interface",
            "--port",
            "--interval",
            "--evasive-timeout",
            "--expired-timeout",
            "--tcp-port",
            "--advertise",
            "--header",
            "--group",
            "--peer",
            "--json",
        ] {
            assert!(
                help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
                "{option}: {help}"
            );
        }
    }
}

#[test]
fn what_only_two_options_together_can_say_is_checked_too() {
    let ended = Program::start(&["listen", "--expired-timeout", "1000"]).end();
    ended
        .with(2)
        .saying("--expired-timeout (1000 ms)")
        .saying("--evasive-timeout (5000 ms)");
    let ended = Program::start(&["listen", "--header", "K=1", "--header", "K=2"]).end();
    ended.with(2).saying("--header K");
}

#[test]
fn an_interface_that_is_not_there_is_a_bad_option() {
    let ended = Program::start(&["listen", "--interface", "nowhere0"]).end();
    ended
        .with(2)
        .saying("--interface")
        .saying("nowhere0")
        .saying("lo");
}

#[test]
fn a_mailbox_port_that_is_taken_is_a_failure_with_a_way_out() {
    let network = Network::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = network.start(&["listen", "--tcp-port", &port]).end();
    ended.with(1).saying(&port).saying("choose another port");
}

#[test]
fn bad_arguments_of_the_commands_are_refused() {
    for (args, right) in [
        (&["listen", "--for", "0"][..], "--for"),
        (&["listen", "--count", "0"], "--count"),
        (&["peers", "--for", "long"], "a number above 0"),
        (&["whisper", "bob"], "<TEXT>"),
        (&["whisper", "bob", "hi", "--wait=-1"], "--wait"),
        (&["shout", "", "hi"], "<GROUP>"),
        (&["chat"], "<GROUP>"),
        (&["ping"], "<PEER>"),
        (&["ping", "bob", "--count", "0"], "--count"),
        (&["ping", "bob", "--every", "0"], "--every"),
        (&["perf"], "<COMMAND>"),
        (
            &["perf", "run", "bob", "--mode", "yell"],
            "whisper, shout, echo",
        ),
        (&["perf", "run", "bob", "--size=-1"], "--size"),
        (&["completions", "csh"], "bash"),
        (&["jump"], "jump"),
        (&[], "Usage"),
    ] {
        Program::start(args).end().with(2).saying(right);
    }
}

#[test]
fn help_version_and_completions_are_printed() {
    let without_a_node: [&[&str]; 3] = [&["demo"], &["keygen"], &["completions", "bash"]];
    for command in COMMANDS.into_iter().chain(without_a_node) {
        let name: Vec<_> = command
            .iter()
            .take(if command[0] == "perf" { 2 } else { 1 })
            .copied()
            .collect();
        let help = Program::start(&[&name[..], &["--help"]].concat())
            .end()
            .with(0)
            .lines
            .join("\n");
        let examples = if name[0] == "perf" {
            "perf"
        } else {
            "Examples:"
        };
        assert!(help.contains(examples), "{help}");
    }
    let version = Program::start(&["--version"]).end().with(0).lines;
    assert_eq!(version, [concat!("atonce ", env!("CARGO_PKG_VERSION"))]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Program::start(&["completions", shell])
            .end()
            .with(0)
            .lines
            .join("\n");
        assert!(
            script.contains("whisper") && script.contains("evasive-timeout"),
            "{shell}"
        );
    }
}
