//! What a client and a server first say to each other.

use std::net::SocketAddr;
use std::time::Duration;

use atonce::Frames;
use atonce::autoconf::hello::{
    Client, ClientAction, ClientEvent, ClientName, Config, Server, ServerAction, ServerEvent,
    ServerTimer, Timer,
};

use crate::{START, address, after};

fn client(endpoints: &[&str]) -> Client {
    let endpoints = endpoints.iter().map(|endpoint| address(endpoint));
    Client::new(
        START,
        &"client0".parse().unwrap(),
        endpoints,
        Config::default(),
    )
}

fn asks(client: &mut Client) -> SocketAddr {
    match client.poll_action() {
        Some(ClientAction::Ask { endpoint, message }) => {
            assert_eq!(message, Frames::from("client0 HI"));
            endpoint
        }
        other => panic!("{other:?}"),
    }
}

const ONE: &str = "10.0.0.1:1";
const TWO: &str = "10.0.0.2:1";

#[test]
fn a_client_that_is_answered_ok_is_welcome() {
    // AUTO-50, AUTO-52
    let mut client = client(&[ONE]);
    assert_eq!(asks(&mut client), address(ONE));
    assert!(client.poll_event().is_none() && !client.is_over());
    client.handle_answer(after(10), &Frames::from("OK"));
    let endpoint = address(ONE);
    assert_eq!(client.poll_event(), Some(ClientEvent::Welcome { endpoint }));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert!(client.is_over() && client.poll_timeout().is_none());
    // It is over, whatever comes.
    client.handle_lost(after(20));
    client.handle_answer(after(20), &Frames::from("OK"));
    client.handle_timeout(after(9_000));
    assert_eq!((client.poll_action(), client.poll_event()), (None, None));
}

#[test]
fn any_other_answer_is_told_with_its_text() {
    // AUTO-52
    let long = "x".repeat(600);
    for (answer, text) in [
        (Frames::from("NO"), "NO"),
        (Frames::from("ok"), "ok"),
        (Frames::from("OK "), "OK "),
        (Frames::from(""), ""),
        (Frames::from_iter(["OK", ""]), "OK"),
        (Frames::from_iter(["go", " away"]), "go away"),
        (Frames::from(long.clone()), &long[..512]),
        (Frames::new(), ""),
    ] {
        let mut client = client(&[ONE]);
        asks(&mut client);
        client.handle_answer(after(10), &answer);
        let (endpoint, text) = (address(ONE), text.to_owned().into());
        let event = ClientEvent::Answered { endpoint, text };
        assert_eq!(client.poll_event(), Some(event));
        assert!(client.is_over());
    }
}

#[test]
fn who_is_not_answered_tries_three_times_each_with_a_new_socket() {
    // AUTO-53
    let mut client = client(&[ONE]);
    let mut now = START;
    for n in 0..3 {
        if n > 0 {
            assert_eq!(client.poll_action(), Some(ClientAction::Close));
        }
        assert_eq!(asks(&mut client), address(ONE));
        assert_eq!(client.poll_action(), None);
        let (at, timer) = client.poll_timeout().unwrap();
        assert_eq!(
            (at - now, timer),
            (Duration::from_millis(2_500), Timer::Answer)
        );
        client.handle_timeout(at);
        now = at;
    }
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(client.poll_action(), None);
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Unanswered { tries: 3 })
    );
    // Too late.
    client.handle_answer(now, &Frames::from("OK"));
    assert_eq!((client.is_over(), client.poll_event()), (true, None));
}

#[test]
fn each_endpoint_has_its_turn() {
    // AUTO-53
    let tried = |endpoints: &[&str]| {
        let mut client = client(endpoints);
        let mut tried = Vec::new();
        while !client.is_over() {
            tried.push(asks(&mut client).ip().to_string());
            let (at, _) = client.poll_timeout().unwrap();
            client.handle_timeout(at);
            assert_eq!(client.poll_action(), Some(ClientAction::Close));
        }
        tried
    };
    assert_eq!(tried(&[ONE, TWO]), ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
    let five: Vec<String> = (1..=5).map(|n| format!("10.0.0.{n}:1")).collect();
    let five: Vec<&str> = five.iter().map(String::as_str).collect();
    let expected: Vec<String> = (1..=5).map(|n| format!("10.0.0.{n}")).collect();
    assert_eq!(tried(&five), expected);
    let mut nowhere = client(&[]);
    assert_eq!(
        nowhere.poll_event(),
        Some(ClientEvent::Unanswered { tries: 0 })
    );
    assert_eq!((nowhere.poll_action(), nowhere.is_over()), (None, true));
}

#[test]
fn a_connection_that_breaks_is_not_waited_for() {
    // AUTO-54
    let mut client = client(&[ONE, TWO]);
    asks(&mut client);
    client.handle_lost(after(50));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(client.poll_action(), None);
    assert_eq!(client.poll_timeout(), Some((after(150), Timer::Again)));
    // What the old socket brings is not for it.
    client.handle_answer(after(60), &Frames::from("OK"));
    client.handle_lost(after(60));
    assert_eq!((client.poll_action(), client.poll_event()), (None, None));
    client.handle_timeout(after(150));
    assert_eq!(asks(&mut client), address(TWO));
    client.handle_lost(after(160));
    client.handle_timeout(after(260));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    asks(&mut client);
    client.handle_lost(after(270));
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Unanswered { tries: 3 })
    );
}

#[test]
fn a_server_answers_ok_and_tells_who_came() {
    // AUTO-50, AUTO-51
    let mut server = Server::new();
    let name = |name: &str| ServerEvent::Hello {
        name: name.parse().unwrap(),
    };
    let said = |text: &[u8]| ServerEvent::Said {
        text: text.to_owned().into(),
    };
    let many = "x".repeat(513);
    for (request, answer, event) in [
        (Frames::from("client4 HI"), "OK", name("client4")),
        (Frames::from("two words HI"), "OK", name("two words")),
        (Frames::from("HI HI HI"), "OK", name("HI HI")),
        (Frames::from("HI"), "OK", said(b"HI")),
        (Frames::from(" HI"), "OK", said(b" HI")),
        (Frames::from("client4 hi"), "OK", said(b"client4 hi")),
        (Frames::from(""), "OK", said(b"")),
        (Frames::from(b"\xff HI"), "OK", said(b"\xff HI")),
        (Frames::from("a\x1b[2J HI"), "OK", said(b"a\x1b[2J HI")),
        (
            Frames::from(many[1..].to_owned()),
            "OK",
            said(&many.as_bytes()[1..]),
        ),
        (
            Frames::from(many.clone()),
            "TOO MUCH",
            said(&many.as_bytes()[1..]),
        ),
        (Frames::from_iter(["a", " HI"]), "TOO MUCH", said(b"a HI")),
        (Frames::new(), "TOO MUCH", said(b"")),
    ] {
        server.handle_request(START, &request);
        let message = Frames::from(answer);
        assert_eq!(
            server.poll_action(),
            Some(ServerAction::Answer { message }),
            "{request:?}"
        );
        assert_eq!(server.poll_event(), Some(event));
    }
    assert_eq!(
        (server.counters().requests, server.counters().hellos),
        (13, 3)
    );
    assert!("x".repeat(255).parse::<ClientName>().is_ok());
    assert!("x".repeat(256).parse::<ClientName>().is_err());
}

#[test]
fn an_answer_that_was_not_sent_goes_to_nobody_else() {
    // AUTO-51
    let mut server = Server::new();
    server.handle_request(START, &Frames::from_iter(["a", "b"]));
    server.handle_request(START, &Frames::from("a HI"));
    let message = Frames::from("OK");
    assert_eq!(server.poll_action(), Some(ServerAction::Answer { message }));
    assert_eq!(server.poll_action(), None);
}

#[test]
fn a_socket_that_fails_is_reset_at_once_and_then_more_seldom() {
    // AUTO-55
    let mut server = Server::new();
    server.handle_request(START, &Frames::from("a HI"));
    server.handle_failed(START);
    assert_eq!(server.poll_action(), Some(ServerAction::Reset));
    assert_eq!((server.poll_action(), server.poll_timeout()), (None, None));
    let mut now = START;
    for pause in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        server.handle_failed(now);
        server.handle_failed(now);
        assert_eq!(server.poll_action(), None);
        now += Duration::from_millis(pause);
        assert_eq!(server.poll_timeout(), Some((now, ServerTimer::Reset)));
        server.handle_timeout(now);
        assert_eq!(server.poll_action(), Some(ServerAction::Reset));
    }
    // It goes on with the next client.
    server.handle_request(now, &Frames::from("b HI"));
    assert!(matches!(
        server.poll_action(),
        Some(ServerAction::Answer { .. })
    ));
    // One that held for 10 s begins anew.
    server.handle_failed(now + Duration::from_secs(10));
    assert_eq!(server.poll_action(), Some(ServerAction::Reset));
    assert_eq!(server.counters().resets, 10);
}

#[test]
fn who_takes_nothing_keeps_the_last_of_what_was_said() {
    // AUTO-51
    let mut server = Server::new();
    for n in 0..1_030 {
        server.handle_request(START, &Frames::from(format!("{n} HI")));
    }
    let Some(ServerEvent::Hello { name }) = server.poll_event() else {
        panic!();
    };
    assert_eq!((name.as_str(), server.counters().untold), ("6", 6));
}
