//! Secure nodes whose peers somebody else decides about: an authentication handler, or the application.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;
#[path = "common/handler.rs"]
mod handler;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use atonce::wire::zap::Outcome;
use atonce_std::{Certificate, Denial, Event, Node, Trust, Verdict};
use common::{PATIENCE, free_port, node, wait_enter, wait_for};
use handler::{Handler, Say, allowed, key};

fn secure(name: &str, port: u16, certificate: &Certificate, trust: Trust) -> Node {
    let builder = node(name, port).curve(certificate.clone(), trust);
    builder.start().unwrap()
}

#[track_caller]
fn wait_until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "it did not happen");
        thread::sleep(Duration::from_millis(10));
    }
}

/// ZAP-20: the node asks the handler about who dials it and whom it dials.
#[test]
fn a_handler_lets_one_in_and_not_the_other() {
    let port = free_port();
    let [home, alice, mallory] = [(); 3].map(|()| Certificate::generate().unwrap());
    let welcome = *alice.public_key().as_bytes();
    let handler = Handler::start(move |request, _| {
        vec![Say::Reply(if key(request) == welcome {
            allowed()
        } else {
            Outcome::Refused
        })]
    });
    let trust = Trust::zap(handler.endpoint(), "home").unwrap();
    let home = secure("home", port, &home, trust);
    let mallory = secure("mallory", port, &mallory, Trust::any());
    let alice = secure("alice", port, &alice, Trust::any());
    wait_enter(&home, alice.id());
    wait_enter(&alice, home.id());
    home.whisper(alice.id(), "hello").unwrap();
    let said = wait_for(&alice, |event| match event {
        Event::Whisper { content, .. } => Some(content),
        _ => None,
    });
    assert_eq!(said, "hello".into());
    wait_until(|| home.counters().keys_denied > 0);
    // ZAP-12: the handler says who it is, and Alice trusts anybody.
    let user_id = |node: &Node, peer| node.peer(peer).and_then(|info| info.user_id);
    assert_eq!(user_id(&home, alice.id()), Some("joe".try_into().unwrap()));
    assert_eq!(user_id(&alice, home.id()), None);
    assert!(home.peer(mallory.id()).is_none() && mallory.peer(home.id()).is_none());
    for asked in handler.asked.try_iter() {
        assert_eq!(asked.domain.as_str(), "home");
        assert!(asked.address.is_loopback());
    }
    home.stop();
    handler.ended.recv_timeout(PATIENCE).unwrap();
}

/// ZAP-24: with a handler that is there later, or that hung up, peers are there later.
#[test]
fn without_its_handler_nobody_new_is_let_in_and_with_it_they_are() {
    let port = free_port();
    let [home, alice] = [(); 2].map(|()| Certificate::generate().unwrap());
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let trust = Trust::zap(format!("tcp://{address}"), "home").unwrap();
    let home = secure("home", port, &home, trust);
    let alice = secure("alice", port, &alice, Trust::any());
    thread::sleep(Duration::from_secs(1));
    assert!(home.peers().is_empty() && alice.peers().is_empty());
    let listener = std::net::TcpListener::bind(address).unwrap();
    let _handler = Handler::start_at(listener, |_, before| match before {
        0 => vec![Say::HangUp],
        _ => vec![Say::Reply(allowed())],
    });
    wait_enter(&home, alice.id());
    wait_enter(&alice, home.id());
}

#[test]
fn an_application_that_takes_its_time_stops_nobody() {
    let port = free_port();
    let [home, alice, bob, mallory] = [(); 4].map(|()| Certificate::generate().unwrap());
    let (slow, never) = (*bob.public_key(), *mallory.public_key());
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let trust = Trust::ask(move |key, remote| {
        assert!(remote.ip().is_loopback());
        if *key == never {
            return Verdict::Deny(Denial::Refused);
        }
        if *key == slow {
            // Whoever let go of it lets in all the time.
            let _ = held.lock().unwrap().recv_timeout(Duration::from_secs(3));
        }
        Verdict::Allow
    });
    let home = secure("home", port, &home, trust);
    let alice = secure("alice", port, &alice, Trust::any());
    wait_enter(&home, alice.id());
    let bob = secure("bob", port, &bob, Trust::any());
    let mallory = secure("mallory", port, &mallory, Trust::any());
    // While it thinks about bob, alice is served.
    wait_enter(&alice, home.id());
    wait_until(|| alice.peer(bob.id()).is_some());
    let began = Instant::now();
    for n in 0..20 {
        home.whisper(alice.id(), vec![n]).unwrap();
        wait_for(&alice, |event| {
            matches!(event, Event::Whisper { .. }).then_some(())
        });
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    drop(release);
    wait_enter(&home, bob.id());
    wait_until(|| home.counters().keys_denied > 0);
    assert!(home.peer(mallory.id()).is_none());
}
