//! PLAIN: one side of its handshake under any octets, and both over pipes that cut.

use alloc::vec::Vec;

use arbitrary::{Arbitrary, Result, Unstructured};

use super::values;
use super::zmtp::{LIMITS, State, alike, drain, pair_step, transfer};
use crate::Instant;
use crate::wire::Text;
use crate::wire::zmtp::{
    FrameHeader, FrameKind, Greeting, MechanismName, Metadata, PlainCommand, SocketType,
};
use crate::zmtp::{Config, Connection, Credentials, Denial, Event, Password, Security, Verdict};

/// Which side it is.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// How far the handshake is when the fuzzer gets it.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    New,
    Greeted,
    /// HELLO is answered, by the embedder and WELCOME.
    Welcomed,
    Ready,
}

#[derive(Clone, Debug)]
struct Account {
    username: Text,
    password: Text,
}

impl Account {
    fn new(username: &[u8], password: &[u8]) -> Self {
        let text = |octets| Text::try_from(octets).unwrap_or_default();
        Self {
            username: text(username),
            password: text(password),
        }
    }
}

/// The client or the server of PLAIN under any octets, at any stage of the handshake, or both over pipes that cut as they like.
///
/// Of one: the same comes out in one piece and in several; what it holds is bounded; a server asks once, with what the client said,
/// and lets in nobody who was not allowed. Of both: who says the right password comes in and every message arrives, whole and in
/// order; who does not gets nothing.
pub fn zmtp_plain(input: &[u8]) {
    let mut u = Unstructured::new(input);
    // A schedule that is too short ends early.
    let _ = match u.int_in_range(0..=2_u8) {
        Ok(0) => one(u, Side::Client),
        Ok(1) => one(u, Side::Server),
        _ => both(&mut u),
    };
}

fn connection(side: Side, account: &Account) -> Connection {
    let (socket_type, security) = match side {
        Side::Client => {
            let Account { username, password } = account.clone();
            let password = Password::from(password);
            values::shown(0, format_args!("{password:?}"));
            let client = Security::PlainClient { username, password };
            (SocketType::Dealer, client)
        }
        Side::Server => (SocketType::Router, Security::PlainServer),
    };
    let config = Config {
        security,
        limits: LIMITS,
        ..Config::new(socket_type)
    };
    Connection::new(Instant::ZERO, config)
}

fn verdict(u: &mut Unstructured<'_>) -> Result<Verdict> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0 => Verdict::Deny(Denial::Refused),
        1 => Verdict::Deny(Denial::Temporary),
        2 => Verdict::Deny(Denial::Internal),
        3 => Verdict::AllowAs(Text::try_from("joe").unwrap_or_default()),
        _ => Verdict::Allow,
    })
}

/// What the peer of a side says until this stage, a part for each time the embedder is asked.
fn said_before(side: Side, stage: Stage) -> [Vec<u8>; 2] {
    let greeting = Greeting {
        as_server: side == Side::Client,
        ..Greeting::new(MechanismName::PLAIN)
    };
    let hello = PlainCommand::Hello {
        username: Text::default(),
        password: Text::default(),
    };
    let about = |socket_type: SocketType| {
        let metadata = Metadata::new();
        let metadata = metadata.with(Metadata::SOCKET_TYPE, socket_type.as_str().as_bytes());
        metadata.unwrap_or_default()
    };
    let ready = crate::wire::zmtp::Command::Ready(about(SocketType::Router));
    let mut ready_body = Vec::new();
    ready.encode(&mut ready_body);
    let (welcomed, done) = match side {
        Side::Client => (PlainCommand::Welcome.encode(), ready_body),
        Side::Server => (
            hello.encode(),
            PlainCommand::Initiate(about(SocketType::Dealer)).encode(),
        ),
    };
    let mut parts = [Vec::new(), Vec::new()];
    if stage >= Stage::Greeted {
        parts[0].extend(greeting.encode());
    }
    if stage >= Stage::Welcomed {
        parts[0].extend(framed(&welcomed));
    }
    if stage == Stage::Ready {
        parts[1].extend(framed(&done));
    }
    parts
}

fn framed(command: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    if let Some(header) = FrameHeader::new(FrameKind::Command, command.len() as u64) {
        header.encode(&mut frame);
    }
    frame.extend(command);
    frame
}

/// One side, the octets of whose peer come from the fuzzer: some of them before the embedder answers whether it may come in, some
/// of them after that.
fn one(mut u: Unstructured<'_>, side: Side) -> Result<()> {
    let stage: Stage = u.arbitrary()?;
    let verdict = verdict(&mut u)?;
    let early = usize::from(u.arbitrary::<u8>()?);
    let (cuts, directly) = u.arbitrary::<(Vec<u16>, bool)>()?;
    let octets = u.take_rest();
    let (early, late) = octets.split_at_checked(early).unwrap_or((octets, &[]));

    let account = Account::new(b"anna", b"secret");
    let make = || {
        let mut connection = connection(side, &account);
        for part in said_before(side, stage) {
            connection.handle_input(Instant::ZERO, &part);
            connection.handle_verdict(Instant::ZERO, Verdict::Allow);
            assert!(connection.error().is_none(), "{:?}", connection.error());
        }
        let spoken: usize = connection.poll_transmit().map(<[u8]>::len).sum();
        connection.handle_transmitted(Instant::ZERO, spoken);
        drain(&mut connection);
        assert_eq!(connection.is_ready(), stage == Stage::Ready);
        connection
    };
    let state = match stage {
        Stage::New => State::New,
        Stage::Greeted | Stage::Welcomed => State::Handshake,
        Stage::Ready => State::Traffic,
    };
    let mut answer = |connection: &mut Connection| {
        connection.handle_verdict(Instant::ZERO, verdict.clone());
    };
    let events = alike(make, state, &cuts, directly, &[early, late], &mut answer);
    let asked = events
        .iter()
        .filter(|event| matches!(event, Event::Authenticate(_)))
        .count();
    let came_in = events
        .iter()
        .any(|event| matches!(event, Event::Ready { .. }));
    let asks = side == Side::Server && stage <= Stage::Greeted;
    assert!(asked <= usize::from(asks), "asked {asked} times");
    if asks {
        assert!(!came_in || (asked == 1 && verdict.is_allowed()));
    }
    Ok(())
}

/// Both sides of PLAIN, and an embedder that knows one password.
fn both(u: &mut Unstructured<'_>) -> Result<()> {
    let text = |u: &mut Unstructured<'_>| {
        // So that a HELLO is not larger than a command may be.
        let octets = usize::from(u.int_in_range(0..=120_u8)?).min(u.len());
        let text = Text::try_from(u.bytes(octets)?);
        Ok(text.unwrap_or_default())
    };
    let account = Account {
        username: text(u)?,
        password: text(u)?,
    };
    // Half of the time the right one.
    let known = match u.arbitrary()? {
        true => account.password.clone(),
        false => text(u)?,
    };
    let allowed = known == account.password;
    let mut client = connection(Side::Client, &account);
    let mut server = connection(Side::Server, &account);
    let mut expected = Vec::new();
    let mut arrived = Vec::new();
    while !u.is_empty() {
        if pair_step(u, &mut client, &mut server, &mut expected, &mut arrived).is_err() {
            break;
        }
        answer(&mut server, &mut arrived, &account, &known);
        if client.is_closed() || server.is_closed() {
            break;
        }
    }
    loop {
        let moved = transfer(&mut client, &mut server, usize::MAX)
            | transfer(&mut server, &mut client, usize::MAX);
        arrived.extend(drain(&mut server));
        answer(&mut server, &mut arrived, &account, &known);
        if !moved && server.poll_transmit().next().is_none() {
            break;
        }
    }
    assert_eq!(client.is_ready(), allowed);
    assert_eq!(server.is_ready(), allowed);
    let mut arrived = arrived.into_iter();
    if allowed {
        assert!(matches!(arrived.next(), Some(Event::Ready { .. })));
        assert!(arrived.eq(expected.into_iter().map(Event::Message)));
    } else {
        assert!(arrived.all(|event| matches!(event, Event::Closed(_))));
    }
    Ok(())
}

/// The embedder of the server answers, once it is asked.
fn answer(server: &mut Connection, events: &mut Vec<Event>, account: &Account, known: &Text) {
    events.retain(|event| {
        let Event::Authenticate(Credentials::Plain { username, password }) = event else {
            return true;
        };
        assert_eq!(
            (username, password.expose()),
            (&account.username, &account.password)
        );
        assert!(*password == Password::from(account.password.clone()));
        let verdict = match *password == Password::from(known.clone()) {
            true => Verdict::Allow,
            false => Verdict::Deny(Denial::Refused),
        };
        server.handle_verdict(Instant::ZERO, verdict);
        false
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMANDS: &[&[u8]] = &[
        b"\x05HELLO\x04anna\x06secret",
        b"\x05HELLO\x04anna\x06secre",
        b"\x07WELCOME",
        b"\x08INITIATE\x0bSocket-Type\0\0\0\x06DEALER",
        b"\x05READY\x0bSocket-Type\0\0\0\x06ROUTER",
        b"\x05ERROR\x03400",
        b"\x04PING\0\0",
    ];

    proptest! {
        #[test]
        fn one_side_under_any_commands(
            side in 0..2_u8,
            stage in 0..4_u32,
            verdict in any::<u8>(),
            early in any::<u8>(),
            cuts in prop::collection::vec(1..100_u16, 0..9),
            directly in any::<bool>(),
            commands in prop::collection::vec(
                prop::sample::select(COMMANDS),
                0..5,
            ),
        ) {
            let mut input = alloc::vec![side];
            input.extend((stage << 30).to_le_bytes());
            input.extend([verdict, early]);
            for cut in cuts {
                input.push(1);
                input.extend(cut.to_le_bytes());
            }
            input.extend([0, u8::from(directly)]);
            if stage == 0 {
                let as_server = side == 0;
                let greeting = Greeting { as_server, ..Greeting::new(MechanismName::PLAIN) };
                input.extend(greeting.encode());
            }
            for command in commands {
                input.extend(framed(command));
            }
            zmtp_plain(&input);
        }

        #[test]
        fn both_sides_over_any_pipe(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            zmtp_plain(&[&[2][..], &octets].concat());
        }
    }
}
