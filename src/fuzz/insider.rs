//! CURVE: one honest end, and one that has the keys for it and keeps to the rules only as far as it likes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use arbitrary::{Arbitrary, Unstructured};

use super::values;
use super::zmtp::{LIMITS, drain};
use crate::Instant;
use crate::curve::sealing::{NONCE_OCTETS, SharedKey, TAG_OCTETS};
use crate::curve::{KeyPair, PublicKey, Seed};
use crate::wire::zmtp::curve::{Cookie, Hello, Initiate, Ready, SealedFrame, Vouch, Welcome};
use crate::wire::zmtp::{
    Decoded, FrameHeader, FrameKind, Greeting, MechanismName, Metadata, SocketType,
};
use crate::zmtp::{Config, Connection, Credentials, Event, Security, Verdict};

/// What the insider does in the handshake. Of all that is odd, nothing is done where the number is 0.
#[derive(Arbitrary, Debug)]
struct Plan<'a> {
    /// In its first command: a key that nobody can own, other content, another seal, too little.
    first: u8,
    /// In its second: a nonce that was used, another seal, too little.
    second: u8,
    /// A vouch for another server, for another key of the connection, by another key, or that does not open.
    vouch: u8,
    /// What it tells about itself, when it is not what it should be.
    metadata: Option<&'a [u8]>,
    words: Vec<Word<'a>>,
}

/// A frame of traffic.
#[derive(Arbitrary, Debug)]
struct Word<'a> {
    /// Last, more, command, or what does not exist.
    flags: u8,
    body: &'a [u8],
    /// The nonce is one further on, or was used; the frame around it is none of a message's end; its seal is another.
    odd: u8,
}

/// An end whose peer has the keys and says what it likes, in proper seals: no step panics; a server asks only about a key that was
/// proved and vouched for; what is told of the peer is what it said; messages are those that were sealed, as they were sealed, up
/// to the first that breaks a rule.
pub fn zmtp_insider(input: &[u8]) {
    let mut u = Unstructured::new(input);
    let Ok((is_client, plan)) = u.arbitrary::<(bool, Plan<'_>)>() else {
        return;
    };
    let (mut connection, traffic) = match is_client {
        true => client_of(&plan),
        false => server_of(&plan),
    };
    if let Some(traffic) = traffic {
        talk(&mut connection, traffic, &plan.words);
    }
    if let Some(error) = connection.error() {
        values::shown(200, format_args!("{error} {error:?}"));
    }
}

/// What the insider seals with once the handshake is over.
struct Traffic {
    key: SharedKey,
    prefix: &'static [u8; 16],
    nonce: u64,
}

fn keys(octet: u8) -> Arc<KeyPair> {
    Arc::new(KeyPair::generate([octet; 32]))
}

fn connection(socket_type: SocketType, security: Security) -> Connection {
    let config = Config {
        security,
        limits: LIMITS,
        ..Config::new(socket_type)
    };
    let mut connection = Connection::new(Instant::ZERO, config);
    let greeting = Greeting {
        as_server: socket_type == SocketType::Dealer,
        ..Greeting::new(MechanismName::CURVE)
    };
    connection.handle_input(Instant::ZERO, &greeting.encode());
    connection
}

fn nonce(prefix: &[u8], rest: &[u8]) -> [u8; NONCE_OCTETS] {
    let mut octets = [0; NONCE_OCTETS];
    octets[..prefix.len()].copy_from_slice(prefix);
    octets[prefix.len()..].copy_from_slice(rest);
    octets
}

fn sealed(key: &SharedKey, nonce: &[u8; NONCE_OCTETS], content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    let tag = key.seal(nonce, &mut content);
    [&tag[..], &content].concat()
}

fn opened(key: &SharedKey, nonce: &[u8; NONCE_OCTETS], sealed: &[u8]) -> Vec<u8> {
    let (tag, content) = sealed.split_first_chunk::<TAG_OCTETS>().expect("a tag");
    let mut content = content.to_vec();
    assert!(key.open(nonce, tag, &mut content), "it does not open");
    content
}

fn shared(ours: &KeyPair, theirs: &PublicKey) -> SharedKey {
    SharedKey::new(ours.secret(), theirs).expect("a key that somebody owns")
}

fn put(connection: &mut Connection, kind: FrameKind, body: &[u8]) {
    let mut frame = Vec::new();
    let header = FrameHeader::new(kind, body.len() as u64).expect("a small frame");
    header.encode(&mut frame);
    frame.extend(body);
    connection.handle_input(Instant::ZERO, &frame);
}

/// The last command that the connection says, if it says one and is still there.
fn said(connection: &mut Connection) -> Option<Vec<u8>> {
    let octets: Vec<u8> = connection.poll_transmit().flatten().copied().collect();
    connection.handle_transmitted(Instant::ZERO, octets.len());
    let mut rest = octets
        .strip_prefix(&[0xff])
        .map_or(&octets[..], |_| &octets[Greeting::OCTETS..]);
    let mut last = None;
    while let Ok(Decoded::Complete { value, octets }) = FrameHeader::decode(rest) {
        let end = octets + usize::try_from(value.octets()).expect("a small frame");
        last = Some(rest[octets..end].to_vec());
        rest = &rest[end..];
    }
    last.filter(|_| !connection.is_closed())
}

fn about(plan: &Plan<'_>, socket_type: SocketType) -> Vec<u8> {
    match plan.metadata {
        Some(octets) => octets.iter().copied().take(LIMITS.command_octets).collect(),
        None => {
            let metadata = Metadata::new();
            let metadata = metadata.with(Metadata::SOCKET_TYPE, socket_type.as_str().as_bytes());
            metadata.unwrap_or_default().as_bytes().to_vec()
        }
    }
}

/// Whether it came in; what it said about itself is what is told.
fn check_ready(connection: &mut Connection, about: &[u8]) -> bool {
    for event in drain(connection) {
        values::shown(10_000, format_args!("{event:?}"));
        match event {
            Event::Ready { metadata, .. } => assert_eq!(metadata.as_bytes(), about),
            Event::Closed(_) => {}
            other => panic!("{other:?}"),
        }
    }
    connection.is_ready()
}

/// The insider is a client, of an honest server.
fn client_of(plan: &Plan<'_>) -> (Connection, Option<Traffic>) {
    let (ours, theirs, transient, other) = (keys(1), keys(2), keys(3), keys(9));
    let serving = Security::CurveServer {
        keys: theirs.clone(),
        seed: Seed::from_bytes([5; 32]),
    };
    let mut connection = connection(SocketType::Router, serving);
    let key = shared(&transient, theirs.public());
    let first = plan.first % 5;
    let mut zeros = [0; 64];
    zeros[63] = u8::from(first == 2);
    let mut hello = Hello {
        client: match first {
            1 => [0; 32],
            _ => *transient.public().as_bytes(),
        },
        nonce: 1,
        sealed: sealed(
            &key,
            &nonce(b"CurveZMQHELLO---", &1_u64.to_be_bytes()),
            &zeros,
        )
        .try_into()
        .expect("80 octets"),
    };
    hello.sealed[0] ^= u8::from(first == 3);
    let hello = hello.encode();
    put(
        &mut connection,
        FrameKind::Command,
        &hello[..hello.len() - usize::from(first == 4)],
    );
    let Some(welcome) = said(&mut connection) else {
        assert_ne!(first, 0, "{:?}", connection.error());
        return (connection, None);
    };
    assert_eq!(first, 0, "WELCOME, whatever HELLO is");

    let welcome = Welcome::decode(&welcome).expect("the server speaks CURVE");
    let content = opened(&key, &nonce(b"WELCOME-", &welcome.nonce), &welcome.sealed);
    let (their_transient, cookie) = content.split_first_chunk::<32>().expect("128 octets");
    let their_transient = PublicKey::from_bytes(*their_transient);
    let key = shared(&transient, &their_transient);

    let vouch = plan.vouch % 5;
    let vouched = [
        match vouch {
            1 => other.public().as_bytes(),
            _ => transient.public().as_bytes(),
        }
        .as_slice(),
        match vouch {
            2 => other.public().as_bytes(),
            _ => theirs.public().as_bytes(),
        },
    ]
    .concat();
    let by = if vouch == 3 { other } else { ours.clone() };
    let mut vouch_box = Vouch {
        nonce: [6; 16],
        sealed: sealed(
            &shared(&by, &their_transient),
            &nonce(b"VOUCH---", &[6; 16]),
            &vouched,
        )
        .try_into()
        .expect("80 octets"),
    };
    vouch_box.sealed[20] ^= u8::from(vouch == 4);

    let second = plan.second % 4;
    let about = about(plan, SocketType::Dealer);
    let number = if second == 1 { 1_u64 } else { 2 };
    let content = [
        ours.public().as_bytes().as_slice(),
        &vouch_box.to_bytes(),
        &about,
    ]
    .concat();
    let content = match second {
        2 => &content[..content.len().min(130)],
        _ => &content,
    };
    let mut seal = sealed(
        &key,
        &nonce(b"CurveZMQINITIATE", &number.to_be_bytes()),
        content,
    );
    seal[0] ^= u8::from(second == 3);
    let initiate = Initiate {
        cookie: Cookie::from_bytes(cookie.first_chunk().expect("96 octets")),
        nonce: number,
        sealed: &seal,
    };
    let initiate = initiate.encode();
    put(&mut connection, FrameKind::Command, &initiate);

    let proved = vouch == 0
        && matches!(second, 0 | 2)
        && content.len() >= 128
        && initiate.len() <= LIMITS.command_octets;
    match connection.poll_event() {
        Some(Event::Authenticate(Credentials::Curve(key))) => {
            assert!(proved, "{plan:?}");
            assert_eq!(key, *ours.public());
        }
        Some(Event::Closed(_)) => return (connection, None),
        other => panic!("{other:?}"),
    }
    connection.handle_verdict(Instant::ZERO, Verdict::Allow);
    let ready = said(&mut connection);
    let told = content.get(128..).unwrap_or_default();
    if !check_ready(&mut connection, told) {
        return (connection, None);
    }
    let ready = ready.expect("READY");
    let ready = Ready::decode(&ready).expect("the server speaks CURVE");
    let metadata = opened(
        &key,
        &nonce(b"CurveZMQREADY---", &ready.nonce.to_be_bytes()),
        ready.sealed,
    );
    assert!(Metadata::decode(&metadata).is_ok());
    let traffic = Traffic {
        key,
        prefix: b"CurveZMQMESSAGEC",
        nonce: number,
    };
    (connection, Some(traffic))
}

/// The insider is a server, of an honest client.
fn server_of(plan: &Plan<'_>) -> (Connection, Option<Traffic>) {
    let (ours, theirs, transient, other) = (keys(2), keys(1), keys(3), keys(9));
    let client = Security::CurveClient {
        keys: theirs.clone(),
        server: *ours.public(),
        seed: Seed::from_bytes([4; 32]),
    };
    let mut connection = connection(SocketType::Dealer, client);
    let hello = said(&mut connection).expect("HELLO");
    let hello = Hello::decode(&hello).expect("the client speaks CURVE");
    let their_transient = PublicKey::from_bytes(hello.client);
    let key = shared(&ours, &their_transient);
    let zeros = opened(
        &key,
        &nonce(b"CurveZMQHELLO---", &hello.nonce.to_be_bytes()),
        &hello.sealed,
    );
    assert_eq!(zeros, [0; 64]);

    let first = plan.first % 5;
    let content = [
        match first {
            1 => &[0; 32],
            2 => other.public().as_bytes(),
            _ => transient.public().as_bytes(),
        }
        .as_slice(),
        &[plan.second; Cookie::OCTETS],
    ]
    .concat();
    let mut welcome = Welcome {
        nonce: [7; 16],
        sealed: sealed(&key, &nonce(b"WELCOME-", &[7; 16]), &content)
            .try_into()
            .expect("144 octets"),
    };
    welcome.sealed[0] ^= u8::from(first == 3);
    let welcome = welcome.encode();
    put(
        &mut connection,
        FrameKind::Command,
        &welcome[..welcome.len() - usize::from(first == 4)],
    );
    let Some(initiate) = said(&mut connection) else {
        assert!(!matches!(first, 0 | 2), "{:?}", connection.error());
        return (connection, None);
    };
    let initiate = Initiate::decode(&initiate).expect("the client speaks CURVE");
    assert_eq!(initiate.cookie.to_bytes(), [plan.second; Cookie::OCTETS]);
    // It may have another key than the client was told: it knows it all the same.
    let transient = if first == 2 { other } else { transient };
    let key = shared(&transient, &their_transient);
    let content = opened(
        &key,
        &nonce(b"CurveZMQINITIATE", &initiate.nonce.to_be_bytes()),
        initiate.sealed,
    );
    assert_eq!(content[..32], theirs.public().as_bytes()[..]);

    let second = plan.second % 4;
    let about = about(plan, SocketType::Router);
    let number = u64::from(second != 1);
    let mut seal = sealed(
        &key,
        &nonce(b"CurveZMQREADY---", &number.to_be_bytes()),
        &about,
    );
    seal[0] ^= u8::from(second == 3);
    let ready = Ready {
        nonce: number,
        sealed: &seal,
    };
    let ready = ready.encode();
    put(
        &mut connection,
        FrameKind::Command,
        &ready[..ready.len() - usize::from(second == 2)],
    );
    let came_in = check_ready(&mut connection, &about);
    assert!(!came_in || second == 0, "{plan:?}");
    let traffic = came_in.then_some(Traffic {
        key,
        prefix: b"CurveZMQMESSAGES",
        nonce: number,
    });
    (connection, traffic)
}

/// The insider talks; what arrives is what it sealed, until it breaks a rule.
fn talk(connection: &mut Connection, mut traffic: Traffic, words: &[Word<'_>]) {
    let mut parts: Vec<&[u8]> = Vec::new();
    for word in words {
        let odd = word.odd % 8;
        traffic.nonce += match odd {
            1 => 2,
            2 => 0,
            _ => 1,
        };
        let content = [&[word.flags][..], word.body].concat();
        let mut seal = sealed(
            &traffic.key,
            &nonce(traffic.prefix, &traffic.nonce.to_be_bytes()),
            &content,
        );
        seal[3] ^= u8::from(odd == 3);
        let body = [&SealedFrame::head(traffic.nonce)[..], &seal].concat();
        let kind = match odd {
            4 => FrameKind::More,
            5 => FrameKind::Command,
            _ => FrameKind::Last,
        };
        put(connection, kind, &body);
        // What it says itself, a PONG at most, does not pile up.
        let spoken: usize = connection.poll_transmit().map(<[u8]>::len).sum();
        connection.handle_transmitted(Instant::ZERO, spoken);

        let events = drain(connection);
        values::shown(40 * body.len() + 200, format_args!("{events:?}"));
        if connection.is_closed() {
            assert!(matches!(events[..], [Event::Closed(_)]), "{events:?}");
            assert!(connection.error().is_some());
            return;
        }
        assert!(!(1..=4).contains(&odd), "{word:?} was taken");
        assert!(word.flags <= 2, "{word:?} was taken");
        if word.flags < 2 {
            parts.push(word.body);
        }
        if word.flags == 0 {
            let Some(Event::Message(frames)) = events.first() else {
                panic!("{events:?} of {word:?}");
            };
            assert!(frames.iter().eq(parts.iter().copied()));
            assert!(frames.len() <= LIMITS.message_frames);
            parts.clear();
        } else {
            assert!(events.is_empty(), "{events:?} of {word:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_the_insider_does(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            zmtp_insider(&octets);
        }

        #[test]
        fn an_insider_that_comes_in(octets in prop::collection::vec(any::<u8>(), 0..300), serves in any::<bool>()) {
            zmtp_insider(&[&[u8::from(serves), 0, 0, 0, 0][..], &octets].concat());
        }
    }
}
