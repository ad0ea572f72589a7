//! CURVE and PLAIN.

use std::thread;
use std::time::Duration;

use atonce_std::socket::{Event, Kind, Passwords, SocketError};
use atonce_std::{Certificate, Denial, Frames, Socket, Trust, Verdict};

use crate::helpers::{ANY, LONG, SHORT, builder, recv, text, wait_until};

fn certificates() -> [Certificate; 3] {
    [(); 3].map(|()| Certificate::generate().unwrap())
}

#[test]
fn whose_key_is_trusted_comes_in_and_nobody_else() {
    let [server, client, stranger] = certificates();
    let trust = Trust::keys([*client.public_key()]);
    let pull = builder(Kind::Pull).curve_server(server.clone(), trust);
    let pull = pull.bind(ANY).open().unwrap();
    let endpoint = pull.endpoints().remove(0);
    let push = |own: &Certificate, server: &Certificate| {
        let push = builder(Kind::Push).curve_client(own.clone(), *server.public_key());
        push.connect(&endpoint)
            .linger(Duration::ZERO)
            .open()
            .unwrap()
    };
    let unwanted = [push(&stranger, &server), push(&client, &stranger)];
    let without = builder(Kind::Push)
        .linger(Duration::ZERO)
        .connect(&endpoint)
        .open()
        .unwrap();
    for push in unwanted.iter().chain([&without]) {
        push.send("let me in").unwrap();
    }
    assert_eq!(pull.recv_timeout(SHORT * 3), Ok(None));
    wait_until("nobody is refused", || pull.counters().denied > 0);
    let wanted = push(&client, &server);
    wanted.send("it is me").unwrap();
    assert_eq!(text(&recv(&pull)), "it is me");
    let large = Frames::from(vec![7; 16 << 20]);
    wanted.send(large.clone()).unwrap();
    assert!(recv(&pull) == large);
}

#[test]
fn the_server_may_be_the_one_that_connects() {
    let [server, client, _] = certificates();
    let pull = builder(Kind::Pull).curve_client(client, *server.public_key());
    let pull = pull.bind(ANY).open().unwrap();
    let push = builder(Kind::Push).curve_server(server, Trust::any());
    let push = push.connect(pull.endpoints().remove(0)).open().unwrap();
    push.send("hello").unwrap();
    assert_eq!(text(&recv(&pull)), "hello");
}

#[test]
fn the_application_decides_and_stops_nobody_meanwhile() {
    let [server, client, other] = certificates();
    let slow = *other.public_key();
    let trust = Trust::ask(move |key, remote| {
        assert!(remote.ip().is_loopback());
        if *key == slow {
            thread::sleep(Duration::from_millis(300));
            return Verdict::AllowAs("slow".try_into().unwrap());
        }
        Verdict::Allow
    });
    let pull = builder(Kind::Pull).curve_server(server.clone(), trust);
    let pull = pull.bind(ANY).open().unwrap();
    let push = |own: Certificate| {
        let push = builder(Kind::Push).curve_client(own, *server.public_key());
        push.connect(pull.endpoints().remove(0)).open().unwrap()
    };
    let fast = push(client);
    fast.send("first").unwrap();
    assert_eq!(text(&recv(&pull)), "first");
    let slow = push(other);
    slow.send("slow").unwrap();
    thread::sleep(Duration::from_millis(50));
    fast.send("meanwhile").unwrap();
    assert_eq!(text(&recv(&pull)), "meanwhile");
    assert_eq!(text(&recv(&pull)), "slow");
    let users: Vec<_> = pull.peers().into_iter().map(|peer| peer.user_id).collect();
    assert_eq!(users, [None, Some("slow".try_into().unwrap())]);
}

fn says(pull: &Socket, password: &str) -> Socket {
    let push = builder(Kind::Push).plain_client("joe", password);
    let push = push
        .linger(Duration::ZERO)
        .connect(pull.endpoints().remove(0));
    push.open().unwrap()
}

#[test]
fn who_has_the_password_comes_in() {
    let asked = Passwords::ask(|name, password, remote| {
        if name == "joe" && password == "right" && remote.ip().is_loopback() {
            Verdict::Allow
        } else {
            Verdict::Deny(Denial::Refused)
        }
    });
    for passwords in [
        Passwords::list([("joe", "right"), ("jim", "wrong")]).unwrap(),
        asked,
    ] {
        for at in [
            ANY.to_owned(),
            format!("ipc://@atonce-plain-{}", std::process::id()),
        ] {
            let pull = builder(Kind::Pull).plain_server(passwords.clone());
            let pull = pull.bind(at).open().unwrap();
            let wrong = says(&pull, "wrong");
            wrong.send("let me in").unwrap();
            let denied = wrong
                .monitor()
                .find(|event| matches!(event, Event::Disconnected { .. }));
            assert!(denied.is_some());
            assert_eq!(pull.try_recv(), Ok(None));
            says(&pull, "right").send_timeout("hello", LONG).unwrap();
            // Without a linger it may not have gone out.
            let right = says(&pull, "right");
            right.send("hello").unwrap();
            assert_eq!(text(&recv(&pull)), "hello");
            assert!(pull.counters().denied > 0);
            pull.close();
        }
    }
}

#[test]
fn what_is_no_credential_is_told() {
    let [server, ..] = certificates();
    let public = Certificate::from_public(*server.public_key());
    let error = builder(Kind::Pull)
        .curve_server(public, Trust::any())
        .open()
        .unwrap_err();
    assert!(matches!(error, SocketError::NoSecretKey), "{error}");
    let error = builder(Kind::Push)
        .plain_client("joe", "x".repeat(256))
        .open()
        .unwrap_err();
    assert!(
        error.to_string().contains("the password of the client"),
        "{error}"
    );
    let error = builder(Kind::Dealer)
        .identity(vec![0, 1])
        .open()
        .unwrap_err();
    assert!(matches!(error, SocketError::Identity(_)), "{error}");
    assert!(Passwords::list([("joe", "x".repeat(256))]).is_err());
}
