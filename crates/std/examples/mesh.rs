//! Many nodes that all meet each other, and others of their kind: `cargo run --release --example mesh INTERFACE PORT COUNT`.
//!
//! Lines of JSON tell what becomes of them: each EXIT when it comes, and each second how much of everything there was so far. A line on
//! the input makes the first of them shout; they leave when the input ends.

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use atonce_std::{Event, Node};
use serde_json::json;

/// What was told so far, to all of them.
#[derive(Debug, Default)]
struct Told {
    enters: AtomicU64,
    exits: AtomicU64,
    evasive: AtomicU64,
    silent: AtomicU64,
    recovered: AtomicU64,
    shouts: AtomicU64,
    /// From now on everybody leaves.
    over: AtomicBool,
}

impl Told {
    fn count(&self, event: &Event) {
        let of = match event {
            Event::Enter { .. } => &self.enters,
            Event::Exit { .. } => &self.exits,
            Event::Evasive { .. } => &self.evasive,
            Event::Silent { .. } => &self.silent,
            Event::Recovered { .. } => &self.recovered,
            Event::Shout { .. } => &self.shouts,
            _ => return,
        };
        of.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self) {
        let now = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let line = json!({
            "event": "told", "enters": now(&self.enters), "exits": now(&self.exits), "evasive": now(&self.evasive),
            "silent": now(&self.silent), "recovered": now(&self.recovered), "shouts": now(&self.shouts),
        });
        println!("{line}");
    }
}

fn watch(node: &Node, told: &Told, begun: Instant) {
    for event in node {
        told.count(&event);
        if let Event::Exit { peer, reason } = &event
            && !told.over.load(Ordering::Relaxed)
        {
            let line = json!({
                "event": "exit", "node": node.name().to_string(), "peer": peer.name.to_string(),
                "reason": reason.to_string(), "after": begun.elapsed().as_secs_f64(),
            });
            println!("{line}");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [interface, port, count] = arguments.as_slice() else {
        return Err("give an interface, a UDP port and how many".into());
    };
    let (port, count): (u16, usize) = (port.parse()?, count.parse()?);
    let told = Arc::new(Told::default());
    let begun = Instant::now();
    let mut nodes = Vec::new();
    let mut watchers = Vec::new();
    for number in 0..count {
        let builder = Node::builder().name(format!("{} {number}", std::process::id()));
        let node: Node = builder
            .interface(interface)
            .port(port)
            .group("MESH")
            .start()?;
        let node = Arc::new(node);
        let (watched, told) = (Arc::clone(&node), Arc::clone(&told));
        watchers.push(thread::spawn(move || watch(&watched, &told, begun)));
        nodes.push(node);
        // As people come to a room, and not all with one step.
        thread::sleep(Duration::from_millis(50));
    }
    println!("{}", json!({ "event": "start", "nodes": nodes.len() }));
    let teller = Arc::clone(&told);
    thread::spawn(move || {
        while !teller.over.load(Ordering::Relaxed) {
            teller.tell();
            thread::sleep(Duration::from_secs(1));
        }
    });
    for line in std::io::stdin().lock().lines() {
        if let (Some(first), Ok(line)) = (nodes.first(), line) {
            first.shout("MESH", line)?;
        }
    }
    told.over.store(true, Ordering::Relaxed);
    for node in &nodes {
        node.stop();
    }
    for watcher in watchers {
        let _ = watcher.join();
    }
    told.tell();
    Ok(())
}
