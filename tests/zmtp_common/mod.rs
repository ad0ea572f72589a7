//! What the suites of the ZMTP machine share.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(dead_code)] // no suite needs all of it

use atonce::wire::zmtp::{Command, Greeting, MechanismName, Metadata, SocketType};
use atonce::zmtp::{Config, Connection, Event};
use atonce::{Frames, Instant};

/// All octets that a connection has to send.
pub(crate) fn lent(connection: &Connection) -> Vec<u8> {
    connection.poll_transmit().collect::<Vec<_>>().concat()
}

/// Takes all octets that a connection has to send.
pub(crate) fn sent(now: Instant, connection: &mut Connection) -> Vec<u8> {
    let octets = lent(connection);
    connection.handle_transmitted(now, octets.len());
    octets
}

/// Carries all octets that `from` has to send over to `to`; whether there were any.
pub(crate) fn carry(now: Instant, from: &mut Connection, to: &mut Connection) -> bool {
    let octets = sent(now, from);
    to.handle_input(now, &octets);
    !octets.is_empty()
}

/// Carries octets both ways until there are none left.
pub(crate) fn settle(now: Instant, one: &mut Connection, other: &mut Connection) {
    while carry(now, one, other) | carry(now, other, one) {}
}

/// Takes all events.
pub(crate) fn drain(connection: &mut Connection) -> Vec<Event> {
    core::iter::from_fn(|| connection.poll_event()).collect()
}

/// A frame with these flags, the size in the shortest form unless the flags say LONG.
pub(crate) fn wire(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(octets) if flags & 2 == 0 => [&[flags, octets], body].concat(),
        _ => [&[flags | 2][..], &(body.len() as u64).to_be_bytes(), body].concat(),
    }
}

/// A message of these frames.
pub(crate) fn message<F: AsRef<[u8]>>(frames: &[F]) -> Vec<u8> {
    let (last, others) = frames.split_last().unwrap();
    let mut octets = Vec::new();
    for frame in others {
        octets.extend(wire(1, frame.as_ref()));
    }
    octets.extend(wire(0, last.as_ref()));
    octets
}

/// A command in its frame.
pub(crate) fn command(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    command.encode(&mut body);
    assert_eq!(body.len(), command.encoded_len());
    wire(4, &body)
}

/// The greeting of a peer.
pub(crate) fn greeted() -> Vec<u8> {
    Greeting::new(MechanismName::NULL).encode().to_vec()
}

/// READY of a peer of this type.
pub(crate) fn ready(socket_type: &str) -> Vec<u8> {
    let metadata = Metadata::new().with("Socket-Type", socket_type.as_bytes());
    command(&Command::Ready(metadata.unwrap()))
}

/// A ROUTER whose handshake with a DEALER is over, everything sent and `Ready` taken.
pub(crate) fn in_traffic(now: Instant) -> Connection {
    with_config(now, Config::new(SocketType::Router))
}

/// The same with a configuration for a ROUTER.
pub(crate) fn with_config(now: Instant, config: Config) -> Connection {
    let mut connection = Connection::new(now, config);
    connection.handle_input(now, &[greeted(), ready("DEALER")].concat());
    sent(now, &mut connection);
    assert!(matches!(connection.poll_event(), Some(Event::Ready { .. })));
    connection
}

/// Takes all events, which must be messages.
pub(crate) fn messages(connection: &mut Connection) -> Vec<Frames> {
    drain(connection)
        .into_iter()
        .map(|event| match event {
            Event::Message(frames) => frames,
            other => panic!("{other:?}"),
        })
        .collect()
}
