//! State × event: what each machine does in each of its states when each of the things happens that can happen, as tables
//! to be read. A change of a table is a change of the protocol that we speak: read it, then say yes to it with
//! `UPDATE_EXPECT=1 cargo test -p atonce --test tables`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod autoconf;
mod connection;
#[path = "../model_common/mod.rs"]
mod model_common;
mod peer;

/// What happens, by what comes of it: each outcome once, in the order of the first that has it, with all that lead to it.
fn grouped(outcomes: &[(&str, String)]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (event, outcome) in outcomes {
        match groups.iter_mut().find(|(found, _)| found == outcome) {
            Some((_, events)) => events.push(event),
            None => groups.push((outcome, vec![event])),
        }
    }
    let mut lines = String::new();
    for (outcome, events) in groups {
        lines.push_str(outcome);
        lines.push('\n');
        for event in events {
            lines.push_str(&format!("      at: {event}\n"));
        }
    }
    lines
}
