//! ZMTP: its grammar, and a connection in every state under any octets in any pieces.

use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::BufMut;

use super::values;
use crate::wire::zmtp::{
    Command, Decoded, FrameHeader, Greeting, GreetingError, MechanismName, Metadata, PlainCommand,
    SocketType,
};
use crate::wire::{Frames, Text};
use crate::zmtp::{Config, Connection, Event, Heartbeat, Limits, SendError};
use crate::{Bytes, Instant};

/// The limits of the connections here: small, so that they are reached.
pub(super) const LIMITS: Limits = Limits {
    frame_octets: 20_000,
    message_octets: 30_000,
    message_frames: 4,
    command_octets: 300,
};

/// Any octets as greeting, frame header, command and metadata: what decodes encodes to the same, and an error stays one
/// however much follows.
pub fn zmtp_grammar(octets: &[u8]) {
    greeting(octets);
    header(octets);
    values::zmtp(octets);
    let decoded = Command::decode(octets);
    values::shown(octets.len(), format_args!("{decoded:?}"));
    if let Ok(command) = decoded {
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        assert_eq!(encoded, octets, "{command:?}");
        assert_eq!(encoded.len(), command.encoded_len());
        assert_eq!(
            Command::split(octets).map(|(name, _)| name),
            Ok(command.name())
        );
    }
    if let Ok(command) = PlainCommand::decode(octets) {
        assert!(command.encode() == octets);
    }
    curve(octets);
    if let Ok(metadata) = Metadata::decode(octets) {
        assert_eq!(metadata.as_bytes(), octets);
        values::shown(octets.len(), format_args!("{metadata:?}"));
        let property = |(name, value): (&[u8], &[u8])| 1 + name.len() + 4 + value.len();
        assert_eq!(metadata.iter().map(property).sum::<usize>(), octets.len());
    }
}

/// The commands of CURVE: each is one of them at most, and what decodes encodes to the same.
fn curve(octets: &[u8]) {
    use crate::wire::zmtp::curve::{Hello, Initiate, Ready, SealedFrame, Welcome};

    let encoded = [
        Hello::decode(octets).map(|command| command.encode()),
        Welcome::decode(octets).map(|command| command.encode()),
        Initiate::decode(octets).map(|command| command.encode()),
        Ready::decode(octets).map(|command| command.encode()),
        SealedFrame::decode(octets)
            .map(|frame| [&SealedFrame::head(frame.nonce)[..], frame.sealed].concat()),
    ];
    for error in encoded.iter().filter_map(|encoded| encoded.as_ref().err()) {
        values::shown(octets.len(), format_args!("{error} {error:?}"));
    }
    let decoded: Vec<_> = encoded.into_iter().flatten().collect();
    assert!(decoded.len() <= 1 && decoded.iter().all(|encoded| encoded == octets));
}

fn greeting(octets: &[u8]) {
    let mut before: Option<GreetingError> = None;
    for cut in 0..=octets.len().min(Greeting::OCTETS + 1) {
        let decoded = Greeting::decode(&octets[..cut]);
        if let Some(error) = before {
            assert_eq!(decoded, Err(error));
        }
        match decoded {
            Ok(Decoded::Partial { lacking }) => assert_eq!(cut + lacking, Greeting::OCTETS),
            Ok(Decoded::Complete { value, octets }) => {
                assert!(octets == Greeting::OCTETS && cut >= octets);
                let again = Greeting::decode(&value.encode());
                assert_eq!(again, Ok(Decoded::Complete { value, octets }));
            }
            Err(error) => before = Some(error),
        }
    }
    if let Some(error) = before {
        values::shown(Greeting::OCTETS, format_args!("{error} {error:?}"));
    }
}

fn header(octets: &[u8]) {
    let mut before = None;
    for cut in 0..=octets.len().min(FrameHeader::LONGEST + 1) {
        let decoded = FrameHeader::decode(&octets[..cut]);
        if let Some(error) = before {
            assert_eq!(decoded, Err(error));
        }
        match decoded {
            Ok(Decoded::Partial { lacking }) => {
                assert!(lacking > 0 && cut + lacking <= FrameHeader::LONGEST);
            }
            Ok(Decoded::Complete { value, octets: n }) => {
                assert!(n <= cut);
                let mut encoded = Vec::new();
                value.encode(&mut encoded);
                assert!(encoded.len() <= n, "{value:?} has a shorter form");
                let octets = encoded.len();
                let again = FrameHeader::decode(&encoded);
                assert_eq!(again, Ok(Decoded::Complete { value, octets }));
            }
            Err(error) => before = Some(error),
        }
    }
    if let Some(error) = before {
        values::shown(FrameHeader::LONGEST, format_args!("{error} {error:?}"));
    }
}

/// How far a connection is when the fuzzer gets it.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    New,
    Handshake,
    Traffic,
}

/// A connection in this state, with heartbeats.
fn connection(state: State, socket_type: SocketType) -> Connection {
    let heartbeat = Heartbeat {
        ttl: Some(Duration::from_secs(5)),
        ..Heartbeat::every(Duration::from_secs(2))
    };
    let config = Config {
        limits: LIMITS,
        heartbeat: Some(heartbeat),
        ..Config::new(socket_type)
    };
    let mut connection = Connection::new(Instant::ZERO, config);
    let greeting = Greeting::new(MechanismName::NULL).encode();
    let ready: &[u8] = match socket_type {
        SocketType::XPub => b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB",
        _ => b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER",
    };
    if state != State::New {
        connection.handle_input(Instant::ZERO, &greeting);
    }
    if state == State::Traffic {
        connection.handle_input(Instant::ZERO, ready);
    }
    assert_eq!(connection.is_ready(), state == State::Traffic);
    assert_eq!(connection.error(), None);
    connection
}

/// A connection that knows nothing of the other side yet: see `in_state`.
pub fn zmtp_greeting(input: &[u8]) {
    in_state(State::New, input);
}

/// A connection that was greeted and waits for READY: see `in_state`.
pub fn zmtp_handshake(input: &[u8]) {
    in_state(State::Handshake, input);
}

/// A connection that is ready for messages: see `in_state`.
pub fn zmtp_traffic(input: &[u8]) {
    in_state(State::Traffic, input);
}

/// A connection in this state that is handed any octets, in one piece and in several, with and without the lent buffers:
/// the same comes out, what it holds is bounded, and once it failed it stays so.
fn in_state(state: State, input: &[u8]) {
    let mut u = Unstructured::new(input);
    let Ok((cuts, directly)) = u.arbitrary::<(Vec<u16>, bool)>() else {
        return;
    };
    let octets = u.take_rest();

    let make = || connection(state, SocketType::Dealer);
    alike(make, state, &cuts, directly, &[octets], &mut |_| {});
}

/// What the connections here say by themselves, in octets: greeting, READY or ERROR, one PONG, one PING.
const OWN: usize = Greeting::OCTETS + 64 + 32 + 23 + 9;

/// Hands a connection these parts, after each of which the embedder does something: in one piece, and another one in several
/// pieces, with and without the lent buffers. The same comes out of both; it is given back.
pub(super) fn alike(
    make: impl Fn() -> Connection,
    state: State,
    cuts: &[u16],
    directly: bool,
    parts: &[&[u8]],
    between: &mut dyn FnMut(&mut Connection),
) -> Vec<Event> {
    let octets: usize = parts.iter().map(|part| part.len()).sum();
    let mut whole = make();
    let mut pieces = make();
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut));
    for part in parts {
        whole.handle_input(Instant::ZERO, part);
        check(&whole);
        between(&mut whole);
        let mut rest = *part;
        while !rest.is_empty() {
            let mut n = cuts.next().unwrap_or(rest.len()).clamp(1, rest.len());
            match pieces.receive_buffer() {
                Some(mut buffer) if directly => {
                    n = n.min(buffer.remaining_mut());
                    buffer.put_slice(&rest[..n]);
                    pieces.handle_filled(Instant::ZERO);
                }
                _ => pieces.handle_input(Instant::ZERO, &rest[..n]),
            }
            rest = &rest[n..];
            check(&pieces);
        }
        between(&mut pieces);
    }

    assert_eq!(whole.error(), pieces.error());
    assert_eq!(whole.partial_octets(), pieces.partial_octets());
    assert_eq!(whole.poll_timeout(), pieces.poll_timeout());
    assert!(whole.poll_transmit().eq(pieces.poll_transmit()));
    let events = drain(&mut whole);
    assert_eq!(events, drain(&mut pieces));
    ordered(&events, state);
    values::shown(octets + 64, format_args!("{events:?}"));
    if let Some(error) = whole.error() {
        values::shown(octets, format_args!("{error} {error:?}"));
    }
    if whole.is_closed() {
        for part in parts {
            whole.handle_input(Instant::ZERO, part);
        }
        assert_eq!(
            whole.poll_event(),
            None,
            "a closed connection took something"
        );
        assert_eq!(whole.poll_timeout(), None);
        assert_eq!(whole.send(Frames::from("x")), Err(SendError::Closed));
    }
    events
}

/// One thing that an embedder does.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Input(&'a [u8]),
    Fill(u8, u16),
    Transmitted(u16),
    Timeout(u16),
    NextTimeout,
    Pause,
    Resume,
    Send(Vec<&'a [u8]>),
    SendLarge(u16),
    SendWithHead(&'a [u8], Vec<&'a [u8]>),
    Refuse(&'a [u8]),
    Limits(u16),
    Events,
}

/// An embedder that does anything in any order: nothing panics, what is queued is what is counted, and deadlines move.
pub fn zmtp_steps(input: &[u8]) {
    let mut u = Unstructured::new(input);
    let Ok(state) = u.arbitrary::<State>() else {
        return;
    };
    let mut connection = connection(state, SocketType::XPub);
    let mut now = Instant::ZERO;
    let mut events = Vec::new();
    while let Ok(step) = u.arbitrary::<Step<'_>>() {
        perform(&mut connection, &mut now, &mut events, step);
        let lent: usize = connection.poll_transmit().map(<[u8]>::len).sum();
        assert!(lent <= connection.queued_octets());
        assert!(lent == connection.queued_octets() || !connection.is_ready());
        assert!(connection.poll_transmit().all(|slice| !slice.is_empty()));
        if connection.is_idle() {
            assert_eq!(connection.queued_messages(), 0);
            assert_eq!(connection.partial_octets(), 0);
        }
        if u.is_empty() {
            break;
        }
    }
    events.extend(drain(&mut connection));
    ordered(&events, state);
}

fn perform(
    connection: &mut Connection,
    now: &mut Instant,
    events: &mut Vec<Event>,
    step: Step<'_>,
) {
    let frames = |frames: Vec<&[u8]>| {
        let frames = frames.into_iter().map(Bytes::copy_from_slice);
        frames.collect::<Frames>()
    };
    match step {
        Step::Input(octets) => connection.handle_input(*now, octets),
        Step::Fill(octet, octets) => {
            if let Some(mut buffer) = connection.receive_buffer() {
                assert!(buffer.has_remaining_mut());
                let octets = usize::from(octets).min(buffer.remaining_mut());
                buffer.put_bytes(octet, octets);
            }
            connection.handle_filled(*now);
        }
        Step::Transmitted(octets) => {
            let lent: usize = connection.poll_transmit().map(<[u8]>::len).sum();
            connection.handle_transmitted(*now, lent.min(octets.into()));
        }
        Step::Timeout(millis) => {
            *now += Duration::from_millis(millis.into());
            connection.handle_timeout(*now);
        }
        Step::NextTimeout => {
            if let Some((deadline, _)) = connection.poll_timeout() {
                *now = (*now).max(deadline);
                connection.handle_timeout(*now);
            }
            values::time(*now);
            if let Some((next, timer)) = connection.poll_timeout() {
                assert!(next > *now, "{timer} at {next}, which is past {now}");
                values::shown(8, format_args!("{timer} {timer:?}"));
            }
        }
        Step::Pause => connection.pause(*now),
        Step::Resume => connection.resume(*now),
        Step::Send(message) => {
            let empty = message.is_empty();
            let result = connection.send(frames(message));
            assert_eq!(result.is_ok(), !empty && !connection.is_closed());
        }
        Step::SendLarge(octets) => {
            let result = connection.send(Frames::from(alloc::vec![7; octets.into()]));
            assert_eq!(result.is_ok(), !connection.is_closed());
        }
        Step::SendWithHead(head, rest) => {
            let result = connection.send_with_head(head, &frames(rest));
            assert_eq!(result.is_ok(), !connection.is_closed());
        }
        Step::Refuse(reason) => {
            if let Ok(reason) = Text::try_from(reason) {
                connection.refuse(&reason);
                assert!(connection.is_closed());
            }
        }
        Step::Limits(octets) => connection.set_limits(Limits {
            frame_octets: octets.into(),
            ..LIMITS
        }),
        Step::Events => events.extend(drain(connection)),
    }
}

/// What a connection holds is bounded, whatever came.
fn check(connection: &Connection) {
    let one_frame = FrameHeader::LONGEST + LIMITS.command_octets;
    assert!(connection.partial_octets() <= LIMITS.message_octets + one_frame);
    // Whatever the peer does, we say no more by ourselves.
    assert!(connection.queued_octets() <= OWN);
}

/// Ready comes first, unless it came before; Closed comes last; nothing is larger than allowed.
pub(super) fn ordered(events: &[Event], state: State) {
    let mut ready = matches!(state, State::Traffic);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Ready { identity, .. } => {
                assert!(!ready || at == 0, "Ready twice");
                assert_ne!(identity.first(), Some(&0));
                ready = true;
            }
            Event::Message(frames) => {
                assert!(ready && !frames.is_empty());
                assert!(frames.len() <= LIMITS.message_frames);
                assert!(frames.octets() <= LIMITS.message_octets);
            }
            Event::Subscribe(_) | Event::Cancel(_) => assert!(ready),
            Event::Authenticate(_) => assert!(!ready && at == 0, "asked out of turn"),
            Event::Closed(_) => assert_eq!(at + 1, events.len(), "something after Closed"),
        }
    }
}

pub(super) fn drain(connection: &mut Connection) -> Vec<Event> {
    core::iter::from_fn(|| connection.poll_event()).collect()
}

/// Two connections that talk through pipes that cut as they like: every message arrives, whole and in order.
pub fn zmtp_pair(input: &[u8]) {
    let mut u = Unstructured::new(input);
    let mut one = connection(State::New, SocketType::Dealer);
    let mut other = connection(State::New, SocketType::Router);
    let mut expected = Vec::new();
    let mut arrived = Vec::new();
    while !u.is_empty() {
        if pair_step(&mut u, &mut one, &mut other, &mut expected, &mut arrived).is_err() {
            break;
        }
    }
    while transfer(&mut one, &mut other, usize::MAX) | transfer(&mut other, &mut one, usize::MAX) {}
    arrived.extend(drain(&mut other));
    assert!(one.is_ready() && other.is_ready());
    let mut arrived = arrived.into_iter();
    assert!(matches!(arrived.next(), Some(Event::Ready { .. })));
    assert!(arrived.eq(expected.into_iter().map(Event::Message)));
}

pub(super) fn pair_step(
    u: &mut Unstructured<'_>,
    one: &mut Connection,
    other: &mut Connection,
    expected: &mut Vec<Frames>,
    arrived: &mut Vec<Event>,
) -> Result<()> {
    match u.int_in_range(0..=4_u8)? {
        0 => {
            let mut message = Frames::new();
            for _ in 0..u.int_in_range(1..=LIMITS.message_frames)? {
                let octets = u.int_in_range(0..=LIMITS.message_octets / LIMITS.message_frames)?;
                message.push(alloc::vec![u.arbitrary()?; octets]);
            }
            expected.push(message.clone());
            assert_eq!(one.send(message), Ok(()));
        }
        1 | 2 => {
            transfer(one, other, u.arbitrary::<u16>()?.into());
        }
        3 => {
            transfer(other, one, u.arbitrary::<u16>()?.into());
        }
        _ => arrived.extend(drain(other)),
    }
    Ok(())
}

/// Carries at most `octets` octets over, into a lent buffer when there is one; whether any.
pub(super) fn transfer(from: &mut Connection, to: &mut Connection, octets: usize) -> bool {
    let Some(slice) = from.poll_transmit().next() else {
        return false;
    };
    let mut octets = octets.min(slice.len());
    if let Some(mut buffer) = to.receive_buffer() {
        octets = octets.min(buffer.remaining_mut());
        buffer.put_slice(&slice[..octets]);
        to.handle_filled(Instant::ZERO);
    } else {
        to.handle_input(Instant::ZERO, &slice[..octets]);
    }
    from.handle_transmitted(Instant::ZERO, octets);
    octets > 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Octets out of which frames come about often.
    fn octets(most: usize) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            1 => prop::collection::vec(any::<u8>(), 0..8),
            30 => (0..4_u8, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(flags, body)| {
                let size = u64::try_from(body.len()).unwrap();
                let mut frame = alloc::vec![flags];
                if flags & 2 == 0 {
                    frame.push(u8::try_from(size).unwrap());
                } else {
                    frame.extend(size.to_be_bytes());
                }
                frame.extend(body);
                frame
            }),
            5 => Just(b"\x04\x07\x04PING\x00\x07".to_vec()),
            5 => Just(b"\x04\x05\x04PONG".to_vec()),
            1 => Just(b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER".to_vec()),
            1 => Just([&b"\x02\x00\x00\x00\x00\x00\x00\x40\x00"[..], &[7; 0x4000]].concat()),
        ];
        let greeting = Greeting::new(MechanismName::NULL).encode();
        let ready = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER";
        let begin = prop_oneof![
            2 => Just(Vec::new()),
            1 => Just(ready.to_vec()),
            1 => Just([&greeting[..], ready].concat()),
        ];
        (begin, prop::collection::vec(piece, 0..most))
            .prop_map(|(begin, pieces)| [begin, pieces.concat()].concat())
    }

    proptest! {
        #[test]
        fn the_grammar_of_any_octets(octets in octets(4)) {
            zmtp_grammar(&octets);
        }

        #[test]
        fn a_connection_under_any_octets(
            body in prop::sample::select(&[
                zmtp_greeting as fn(&[u8]),
                zmtp_handshake,
                zmtp_traffic,
                zmtp_traffic,
            ]),
            cuts in prop::collection::vec(1..400_u16, 0..20),
            directly in any::<bool>(),
            octets in octets(20),
        ) {
            // As `in_state` takes them apart again.
            let mut input = Vec::new();
            for cut in cuts {
                input.push(1);
                input.extend(cut.to_le_bytes());
            }
            input.extend([0, u8::from(directly)]);
            input.extend(octets);
            body(&input);
        }

        #[test]
        fn an_embedder_that_does_anything(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            zmtp_steps(&octets);
        }

        #[test]
        fn two_connections_over_any_pipe(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            zmtp_pair(&octets);
        }
    }
}
