//! What is left of sockets that are gone. In a process of its own, whose threads are counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use atonce_std::Socket;
use atonce_std::socket::Kind;

/// The threads of sockets.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "atonce-socket").count()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_socket_that_is_dropped_leaves_nothing_behind() {
    let before = descriptors();
    let many: Vec<_> = (0..50)
        .map(|_| {
            let pull = Socket::new(Kind::Pull).unwrap();
            let endpoint = pull.bind("tcp://127.0.0.1:0").unwrap();
            let push = Socket::builder(Kind::Push).connect(endpoint).open();
            (pull, push.unwrap())
        })
        .collect();
    // A thread has its name a moment after it begins.
    wait_until("there are no threads", || threads() == 100);
    drop(many);
    wait_until("threads stay", || threads() == 0);
    wait_until("descriptors stay", || descriptors() <= before);
}
