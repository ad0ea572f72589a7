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
const THREE: &str = "10.0.0.3:1";

#[test]
fn a_client_that_is_answered_ok_is_welcome() {
    // AUTO-50, AUTO-52
    let mut client = client(&[ONE]);
    assert_eq!(asks(&mut client), address(ONE));
    assert!(client.poll_event().is_none() && !client.is_over());
    client.handle_answer(after(10), address(ONE), &Frames::from("OK"));
    let endpoint = address(ONE);
    assert_eq!(client.poll_event(), Some(ClientEvent::Welcome { endpoint }));
    assert_eq!(
        client.poll_action(),
        Some(ClientAction::Close {
            endpoint: address(ONE)
        })
    );
    assert!(client.is_over() && client.poll_timeout().is_none());
    // It is over, whatever comes.
    client.handle_lost(after(20), address(ONE));
    client.handle_answer(after(20), address(ONE), &Frames::from("OK"));
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
        client.handle_answer(after(10), address(ONE), &answer);
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
            assert_eq!(
                client.poll_action(),
                Some(ClientAction::Close {
                    endpoint: address(ONE)
                })
            );
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
    assert_eq!(
        client.poll_action(),
        Some(ClientAction::Close {
            endpoint: address(ONE)
        })
    );
    assert_eq!(client.poll_action(), None);
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Unanswered { tries: 3 })
    );
    // Too late.
    client.handle_answer(now, address(ONE), &Frames::from("OK"));
    assert_eq!((client.is_over(), client.poll_event()), (true, None));
}

/// What it does until it is over when nobody is there: when, and at which endpoint.
fn in_vain(endpoints: &[&str]) -> Vec<String> {
    let (mut client, mut now, mut done) = (client(endpoints), START, Vec::new());
    loop {
        while let Some(action) = client.poll_action() {
            let (what, endpoint) = match action {
                ClientAction::Ask { endpoint, .. } => ("asks", endpoint),
                ClientAction::Close { endpoint } => ("closes", endpoint),
                other => panic!("{other:?}"),
            };
            let [.., last] = endpoint.ip().to_string().into_bytes()[..] else {
                panic!();
            };
            let at = (now - START).as_millis();
            done.push(format!("{at} {what} {}", char::from(last)));
        }
        let Some((at, _)) = client.poll_timeout() else {
            assert!(client.is_over());
            return done;
        };
        assert!(at > now);
        now = at;
        client.handle_timeout(now);
    }
}

#[test]
fn the_next_endpoint_is_tried_beside_one_at_which_nobody_is() {
    // AUTO-53
    assert_eq!(
        in_vain(&[ONE, TWO]),
        [
            "0 asks 1",
            "500 asks 2",
            "2500 closes 1",
            "2500 asks 1",
            "3000 closes 2",
            "5000 closes 1"
        ]
    );
    let five: Vec<String> = (1..=5).map(|n| format!("10.0.0.{n}:1")).collect();
    let five: Vec<&str> = five.iter().map(String::as_str).collect();
    assert_eq!(
        in_vain(&five),
        [
            "0 asks 1",
            "500 asks 2",
            "1000 asks 3",
            "1500 asks 4",
            "2000 asks 5",
            "2500 closes 1",
            "3000 closes 2",
            "3500 closes 3",
            "4000 closes 4",
            "4500 closes 5"
        ]
    );
    // The same one several times is one.
    assert_eq!(in_vain(&[ONE, ONE]), in_vain(&[ONE]));
    let mut nowhere = client(&[]);
    assert_eq!(
        nowhere.poll_event(),
        Some(ClientEvent::Unanswered { tries: 0 })
    );
    assert_eq!((nowhere.poll_action(), nowhere.is_over()), (None, true));
}

#[test]
fn the_first_that_answers_ends_it_for_all() {
    // AUTO-52, AUTO-53
    let mut client = client(&[ONE, TWO]);
    asks(&mut client);
    client.handle_timeout(after(500));
    assert_eq!(asks(&mut client), address(TWO));
    client.handle_answer(after(510), address(TWO), &Frames::from("OK"));
    let endpoint = address(TWO);
    assert_eq!(client.poll_event(), Some(ClientEvent::Welcome { endpoint }));
    for endpoint in [ONE, TWO] {
        let endpoint = address(endpoint);
        assert_eq!(client.poll_action(), Some(ClientAction::Close { endpoint }));
    }
    assert_eq!((client.poll_action(), client.poll_timeout()), (None, None));
    client.handle_answer(after(520), address(ONE), &Frames::from("NO"));
    assert_eq!(client.poll_event(), None);
}

#[test]
fn nobody_else_is_asked_while_somebody_is_there_to_answer() {
    // AUTO-53
    let mut client = client(&[ONE, TWO]);
    asks(&mut client);
    client.handle_reached(after(10), address(TWO)); // that one was not asked
    assert!(!client.is_reached());
    client.handle_reached(after(10), address(ONE));
    assert!(client.is_reached());
    assert_eq!(client.poll_timeout(), Some((after(2_500), Timer::Answer)));
    client.handle_timeout(after(500));
    assert_eq!(client.poll_action(), None);
    // It is there, and does not answer.
    client.handle_timeout(after(2_500));
    assert!(!client.is_reached());
    let endpoint = address(ONE);
    assert_eq!(client.poll_action(), Some(ClientAction::Close { endpoint }));
    assert_eq!(asks(&mut client), address(TWO));
}

#[test]
fn a_connection_that_breaks_is_not_waited_for() {
    // AUTO-54
    let mut client = client(&[ONE, TWO]);
    asks(&mut client);
    client.handle_lost(after(50), address(ONE));
    let closes = |endpoint| {
        let endpoint = address(endpoint);
        Some(ClientAction::Close { endpoint })
    };
    assert_eq!(client.poll_action(), closes(ONE));
    assert_eq!(client.poll_action(), None);
    assert_eq!(client.poll_timeout(), Some((after(150), Timer::Again)));
    // What the old socket brings is not for it.
    client.handle_answer(after(60), address(ONE), &Frames::from("OK"));
    client.handle_lost(after(60), address(ONE));
    client.handle_reached(after(60), address(ONE));
    assert_eq!((client.poll_action(), client.poll_event()), (None, None));
    client.handle_timeout(after(150));
    assert_eq!(asks(&mut client), address(TWO));
    client.handle_lost(after(160), address(TWO));
    client.handle_timeout(after(260));
    assert_eq!(client.poll_action(), closes(TWO));
    asks(&mut client);
    client.handle_lost(after(270), address(ONE));
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Unanswered { tries: 3 })
    );
}

#[test]
fn one_that_is_refused_late_begins_no_other_too_soon_or_too_late() {
    // AUTO-54
    let mut alone = client(&[ONE]);
    asks(&mut alone);
    // The time for the next one is over, and there was none.
    alone.handle_lost(after(900), address(ONE));
    assert_eq!(alone.poll_timeout(), Some((after(1_000), Timer::Again)));
    let mut several = client(&[ONE, TWO, THREE]);
    asks(&mut several);
    several.handle_timeout(after(500));
    several.handle_lost(after(980), address(ONE));
    // The third was due at that time anyway.
    assert_eq!(several.poll_timeout(), Some((after(1_000), Timer::Again)));
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
