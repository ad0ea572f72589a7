//! The examples do what they say.

#![allow(clippy::unwrap_used)] // a test that is wrong may stop

use std::process::Command;

#[test]
fn two_nodes_driven_by_hand_meet_and_talk() {
    // Cargo builds the examples beside the tests.
    let here = std::env::current_exe().unwrap();
    let example = here
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples/by_hand");
    let run = Command::new(&example)
        .output()
        .expect("the example is built");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(said.contains("fine, thanks"), "{said}");
}
