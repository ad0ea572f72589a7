//! `sim`.

use serde_json::Value;

use crate::program::Program;

#[test]
fn a_crowd_holds_and_the_same_seed_is_the_same_run() {
    let run = |seed| {
        let args = ["sim", "--nodes", "6", "--for", "10s", "--loss", "5"];
        let rest = ["--faults", "reset,kill", "--json", "--seed", seed];
        let lines = Program::start(&[&args[..], &rest].concat())
            .end()
            .with(0)
            .lines;
        serde_json::from_str::<Value>(&lines.join("\n")).unwrap()
    };
    let (first, second) = (run("1"), run("1"));
    assert_eq!(first["trace_hash"], second["trace_hash"]);
    assert_ne!(first["trace_hash"], run("2")["trace_hash"]);
    assert_eq!(first["broken"], Value::Array(Vec::new()));
    assert!(first["enters"].as_u64() > Some(0), "{first}");
}

#[test]
fn many_seeds_are_run_at_once_and_a_trace_is_of_one() {
    let args = ["sim", "--nodes", "4", "--for", "5", "--seeds", "4"];
    let ended = Program::start(&args).end().with(0);
    let text = ended.lines.join("\n");
    assert!(text.starts_with("4 runs, seeds 1 to 4"), "{text}");
    assert!(text.ends_with("everything held"), "{text}");
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    let trace = Program::start(&[&args[..], &["--trace", "x"]].concat());
    assert!(trace.end().with(2).stderr.contains("--trace"));
}

#[test]
fn many_lans_are_one_and_the_same_seed_is_the_same_run() {
    let run = |seed| {
        let args = ["sim", "--lans", "2", "--peers", "2", "--for", "10s"];
        let rest = ["--faults", "bridge-kill", "--json", "--seed", seed];
        let lines = Program::start(&[&args[..], &rest].concat())
            .end()
            .with(0)
            .lines;
        serde_json::from_str::<Value>(&lines.join("\n")).unwrap()
    };
    let (first, second) = (run("1"), run("1"));
    assert_eq!(first["trace_hash"], second["trace_hash"]);
    assert_eq!(first["broken"], Value::Array(Vec::new()));
    assert!(first["across"]["heard"].as_u64() > Some(0), "{first}");
}

#[test]
fn what_bridges_cost_is_shown_without_lans() {
    let args = ["sim", "--lans", "3", "--peers", "4", "--rosters"];
    let text = Program::start(&args).end().with(0).lines.join("\n");
    assert!(text.contains("8 stand-ins at each bridge"), "{text}");
}

#[test]
fn a_fault_of_one_tester_is_none_of_the_other() {
    for (args, names) in [
        (&["sim", "--faults", "move"][..], "port-reuse"),
        (
            &["sim", "--lans", "2", "--faults", "port-reuse"],
            "nat-restart",
        ),
    ] {
        let stderr = Program::start(args).end().with(2).stderr;
        assert!(
            stderr.contains("--faults") && stderr.contains(names),
            "{stderr}"
        );
    }
    let stderr = Program::start(&["sim", "--peers", "5"])
        .end()
        .with(2)
        .stderr;
    assert!(stderr.contains("--lans"), "{stderr}");
}
