//! CURVE: two honest ends, and somebody between them who changes, repeats, leaves out and makes up what they say.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use arbitrary::{Arbitrary, Unstructured};

use super::values;
use crate::curve::{KeyPair, Seed};
use crate::wire::Frames;
use crate::wire::zmtp::SocketType;
use crate::zmtp::{Config, Connection, Credentials, Denial, Event, Limits, Security, Verdict};
use crate::{Bytes, Instant};

const LIMITS: Limits = Limits {
    frame_octets: 5_000,
    message_octets: 9_000,
    message_frames: 4,
    command_octets: 300,
};

/// What happens next.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// So many of the octets that are on the way arrive; more than there are counts as all.
    Deliver(End, u16),
    /// A bit of what is on the way is changed.
    Flip(End, u16, u8),
    /// Some of it is taken away.
    Cut(End, u8, u16),
    /// Something is put before it.
    Insert(End, &'a [u8]),
    /// What this end said before, from there on, so much, is put before it.
    Repeat(End, u16, u16),
    /// The same, of what the other end said.
    Reflect(End, u16, u16),
    Send(End, Vec<u16>),
    Verdict(u8),
}

/// For whom it is.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

/// An end, what is on the way to it, and what it said and heard.
struct Side {
    connection: Connection,
    way: VecDeque<u8>,
    said: Vec<u8>,
    sent: Vec<Frames>,
    heard: usize,
    ready: bool,
}

impl Side {
    fn new(socket_type: SocketType, security: Security) -> Self {
        let config = Config {
            security,
            limits: LIMITS,
            ..Config::new(socket_type)
        };
        Self {
            connection: Connection::new(Instant::ZERO, config),
            way: VecDeque::new(),
            said: Vec::new(),
            sent: Vec::new(),
            heard: 0,
            ready: false,
        }
    }
}

/// Two ends that know each other's keys, or not, and a hostile middle: nothing is delivered but what was sent, in its order, as a whole
/// and once; nobody is let in who was not allowed; no step panics.
pub fn zmtp_curve(input: &[u8]) {
    let mut u = Unstructured::new(input);
    let Ok(acquainted) = u.arbitrary::<u8>().map(|octet| octet % 8 != 0) else {
        return;
    };
    let keys = |n: u8| Arc::new(KeyPair::generate([n; 32]));
    let server = if acquainted { keys(2) } else { keys(3) };
    let client = Security::CurveClient {
        keys: keys(1),
        server: *server.public(),
        seed: Seed::from_bytes([4; 32]),
    };
    let serving = Security::CurveServer {
        keys: keys(2),
        seed: Seed::from_bytes([5; 32]),
    };
    let mut client = Side::new(SocketType::Dealer, client);
    let mut server = Side::new(SocketType::Router, serving);
    let mut verdict = None;
    collect(&mut client, &mut server);
    collect(&mut server, &mut client);
    while let Ok(step) = u.arbitrary::<Step<'_>>() {
        perform(&mut client, &mut server, &mut verdict, &step);
        collect(&mut client, &mut server);
        collect(&mut server, &mut client);
        observe(&mut client, &server.sent, true, acquainted);
        observe(
            &mut server,
            &client.sent,
            verdict == Some(Verdict::Allow),
            acquainted,
        );
        if u.is_empty() {
            break;
        }
    }
}

fn perform(client: &mut Side, server: &mut Side, verdict: &mut Option<Verdict>, step: &Step<'_>) {
    match *step {
        Step::Deliver(end, octets) => {
            let (side, _) = sides(end, client, server);
            let octets = usize::from(octets).min(side.way.len());
            let octets: Vec<u8> = side.way.drain(..octets).collect();
            side.connection.handle_input(Instant::ZERO, &octets);
        }
        Step::Flip(end, at, bit) => {
            let (side, _) = sides(end, client, server);
            if let Some(octet) = side.way.get_mut(at.into()) {
                *octet ^= 1 << (bit % 8);
            }
        }
        Step::Cut(end, at, octets) => {
            let (side, _) = sides(end, client, server);
            let at = usize::from(at).min(side.way.len());
            let to = (at + usize::from(octets)).min(side.way.len());
            side.way.drain(at..to);
        }
        Step::Insert(end, octets) => {
            let (side, _) = sides(end, client, server);
            octets
                .iter()
                .rev()
                .for_each(|octet| side.way.push_front(*octet));
        }
        Step::Repeat(end, at, octets) => {
            let (side, other) = sides(end, client, server);
            again(side, &other.said, at, octets);
        }
        Step::Reflect(end, at, octets) => {
            let (side, _) = sides(end, client, server);
            let said = side.said.clone();
            again(side, &said, at, octets);
        }
        Step::Send(end, ref frames) => {
            let (side, _) = sides(end, client, server);
            let number = side.sent.len();
            let frames = frames.iter().take(LIMITS.message_frames).enumerate();
            let frames: Frames = frames
                .map(|(at, octets)| {
                    // No frame is like another.
                    let head = format_args!("{number}.{at}:");
                    let mut body = alloc::format!("{head}").into_bytes();
                    body.resize(body.len() + usize::from(octets % 2_000), 7);
                    Bytes::from(body)
                })
                .collect();
            if side.connection.send(frames.clone()).is_ok() {
                side.sent.push(frames);
            }
        }
        Step::Verdict(which) => {
            let said = match which % 4 {
                0 => Verdict::Deny(Denial::Refused),
                1 => Verdict::Deny(Denial::Temporary),
                _ => Verdict::Allow,
            };
            server
                .connection
                .handle_verdict(Instant::ZERO, said.clone());
            // The first one that was asked for counts; the others do nothing.
            if server.connection.is_ready() || server.connection.is_closed() {
                verdict.get_or_insert(said);
            }
        }
    }
}

/// This end, and the other one.
fn sides<'a>(end: End, client: &'a mut Side, server: &'a mut Side) -> (&'a mut Side, &'a mut Side) {
    match end {
        End::Client => (client, server),
        End::Server => (server, client),
    }
}

fn again(side: &mut Side, said: &[u8], at: u16, octets: u16) {
    let from = usize::from(at).min(said.len());
    let to = (from + usize::from(octets)).min(said.len());
    said[from..to]
        .iter()
        .rev()
        .for_each(|octet| side.way.push_front(*octet));
}

/// What `from` has to say is on the way to `to`.
fn collect(from: &mut Side, to: &mut Side) {
    let octets: Vec<u8> = from.connection.poll_transmit().flatten().copied().collect();
    from.connection
        .handle_transmitted(Instant::ZERO, octets.len());
    to.way.extend(&octets);
    from.said.extend(&octets);
}

/// `allowed`: the embedder let the other one in, or is the client and not asked.
fn observe(side: &mut Side, sent: &[Frames], allowed: bool, acquainted: bool) {
    while let Some(event) = side.connection.poll_event() {
        values::shown(20_000, format_args!("{event:?}"));
        match event {
            Event::Authenticate(Credentials::Curve(key)) => {
                assert!(acquainted, "the client said who it is to another");
                assert_eq!(key, *KeyPair::generate([1; 32]).public());
            }
            Event::Ready { .. } => {
                assert!(acquainted && !side.ready);
                assert!(allowed);
                assert!(
                    side.connection
                        .key()
                        .is_some_and(|key| key.as_bytes()[0] != 0)
                );
                side.ready = true;
            }
            Event::Message(frames) => {
                assert!(side.ready);
                assert_eq!(sent.get(side.heard), Some(&frames), "not what was sent");
                side.heard += 1;
            }
            Event::Closed(error) => values::shown(500, format_args!("{error}")),
            other => panic!("{other:?}"),
        }
    }
}
