//! PLAIN between two connections.
#![allow(clippy::unwrap_used, clippy::panic)]

mod zmtp_common;

use atonce::wire::zmtp::{PlainCommand, SocketType};
use atonce::zmtp::{
    Config, Connection, Credentials, Denial, Error, Event, Misbehaving, Password, Security, Verdict,
};
use atonce::{Frames, Instant, Text};
use zmtp_common::{drain, sent, settle, wire};

const START: Instant = Instant::from_millis(1_000);

fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

fn pair() -> (Connection, Connection) {
    let client = Config {
        security: Security::PlainClient {
            username: text("admin"),
            password: text("secret").into(),
        },
        ..Config::new(SocketType::Dealer)
    };
    let server = Config {
        security: Security::PlainServer,
        ..Config::new(SocketType::Router)
    };
    (
        Connection::new(START, client),
        Connection::new(START, server),
    )
}

#[test]
fn a_name_and_a_password_are_asked_about_before_anything_else_is_told() {
    // ZMTP-90, ZMTP-91
    let (mut client, mut server) = pair();
    client.send(Frames::from("hello")).unwrap();
    settle(START, &mut client, &mut server);
    assert_eq!(
        drain(&mut server),
        [Event::Authenticate(Credentials::Plain {
            username: text("admin"),
            password: Password::from(text("secret")),
        })]
    );
    assert!(!client.is_ready());
    server.handle_verdict(START, Verdict::AllowAs(text("joe")));
    settle(START, &mut client, &mut server);
    assert!(client.is_ready());
    assert_eq!(server.user_id(), Some(&text("joe")));
    assert_eq!(client.user_id(), None);
    assert!(matches!(
        drain(&mut server).as_slice(),
        [Event::Ready { socket_type: SocketType::Dealer, .. }, Event::Message(frames)] if *frames == Frames::from("hello")
    ));
}

#[test]
fn a_user_id_is_kept_of_who_is_let_in_under_one() {
    // An answer to no question is none.
    let (mut client, mut server) = pair();
    server.handle_verdict(START, Verdict::AllowAs(text("joe")));
    settle(START, &mut client, &mut server);
    assert_eq!(server.user_id(), None);
    // Nobody's name is no name.
    server.handle_verdict(START, Verdict::AllowAs(text("")));
    settle(START, &mut client, &mut server);
    assert!(server.is_ready());
    assert_eq!(server.user_id(), None);
    // And the first answer counts.
    server.handle_verdict(START, Verdict::AllowAs(text("joe")));
    assert_eq!(server.user_id(), None);
}

#[test]
fn who_is_denied_is_told_so() {
    let (mut client, mut server) = pair();
    settle(START, &mut client, &mut server);
    drain(&mut server);
    server.handle_verdict(START, Verdict::Deny(Denial::Refused));
    settle(START, &mut client, &mut server);
    assert_eq!(
        client.error(),
        Some(&Error::Refused {
            reason: text("400")
        })
    );
}

#[test]
fn each_command_has_its_turn() {
    // ZMTP-90
    let hello = PlainCommand::Hello {
        username: text("a"),
        password: text("b"),
    };
    let initiate = PlainCommand::Initiate(atonce::wire::zmtp::Metadata::new());
    for commands in [
        vec![&initiate],
        vec![&PlainCommand::Welcome],
        vec![&hello, &hello],
        vec![&hello, &initiate],
    ] {
        let (mut client, mut server) = pair();
        let greeting = sent(START, &mut client);
        server.handle_input(START, &greeting);
        for command in &commands {
            server.handle_input(START, &wire(4, &command.encode()));
        }
        assert!(
            matches!(
                server.error(),
                Some(Error::Misbehaving(Misbehaving::Unexpected(_)))
            ),
            "{:?}",
            server.error()
        );
    }
}

#[test]
fn passwords_show_nowhere() {
    let (mut client, mut server) = pair();
    let shows = |debug: String| debug.contains("secret");
    assert!(!shows(format!("{client:?}")));
    settle(START, &mut client, &mut server);
    assert!(!shows(format!("{:?}", drain(&mut server))));
    assert!(!shows(format!("{client:?} {server:?}")));
}
