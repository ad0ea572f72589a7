//! Somebody on the way who changes, repeats, leaves out and exchanges what two say.

use core::time::Duration;

use atonce::zmtp::{Connection, Error, Event, Misbehaving, Timer, Verdict};
use atonce::{Bytes, Frames};

use super::zmtp_common::{carry, drain, lent, sent};
use super::{START, answer, client, client_of, keys, pair, ready_pair, seeded_server, server};

/// One side's octets of a conversation up to each of its frames.
struct Script {
    /// What the client said: greeting and HELLO, INITIATE, a message.
    client: [Vec<u8>; 3],
    /// What the server said: greeting, WELCOME, READY with a message.
    server: [Vec<u8>; 3],
}

fn script() -> Script {
    let (mut client, mut server) = pair();
    let mut said = [Vec::new(), Vec::new(), Vec::new()];
    let mut heard = [Vec::new(), Vec::new(), Vec::new()];
    for n in 0..3 {
        if n == 2 {
            client.send(Frames::from("from the client")).unwrap();
        }
        heard[n] = sent(START, &mut server);
        client.handle_input(START, &heard[n]);
        said[n] = sent(START, &mut client);
        server.handle_input(START, &said[n]);
        if n == 1 {
            answer(&mut server, Verdict::Allow);
            server.send(Frames::from("from the server")).unwrap();
        }
    }
    assert!(matches!(
        drain(&mut server).as_slice(),
        [Event::Ready { .. }, Event::Message(_)]
    ));
    Script {
        client: said,
        server: heard,
    }
}

/// A server that heard the script up to here, and this; whether it closed, and what it told the embedder.
fn server_after(script: &Script, heard: usize, octets: &[u8]) -> (Connection, Vec<Event>) {
    let mut server = server();
    let mut events = Vec::new();
    let inputs = script.client[..heard].iter().map(Vec::as_slice);
    for octets in inputs.chain([octets]) {
        server.handle_input(START, octets);
        while let Some(event) = server.poll_event() {
            if let Event::Authenticate(_) = event {
                server.handle_verdict(START, Verdict::Allow);
            }
            events.push(event);
        }
    }
    (server, events)
}

fn client_after(script: &Script, heard: usize, octets: &[u8]) -> (Connection, Vec<Event>) {
    let mut client = client_of(keys(2).public());
    let mut events = Vec::new();
    let inputs = script.server[..heard].iter().map(Vec::as_slice);
    for octets in inputs.chain([octets]) {
        client.handle_input(START, octets);
        events.extend(drain(&mut client));
    }
    (client, events)
}

/// Every octet of the body in turn, one bit of it flipped.
fn flipped(octets: &[u8], from: usize) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (from..octets.len()).map(|at| {
        let mut octets = octets.to_vec();
        octets[at] ^= 1 << (at % 8);
        (at, octets)
    })
}

/// The headers of frames are not sealed: a bit of theirs that is flipped makes another frame of the same octets, which fails, or one
/// that never ends, which the deadline ends.
fn is_refused(connection: &mut Connection) -> bool {
    if !connection.is_ready() && !connection.is_closed() {
        connection.handle_timeout(START + Duration::from_secs(30));
    }
    connection.is_closed()
}

#[test]
fn whatever_octet_of_the_handshake_is_changed_it_ends() {
    let script = script();
    // HELLO, from its name on, the padding among it.
    for (at, octets) in flipped(&script.client[0], 64) {
        let (mut server, events) = server_after(&script, 0, &octets);
        assert!(is_refused(&mut server), "octet {at} of HELLO");
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Authenticate(_)))
        );
    }
    for (at, octets) in flipped(&script.client[1], 0) {
        let (mut server, events) = server_after(&script, 1, &octets);
        assert!(is_refused(&mut server), "octet {at} of INITIATE");
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Authenticate(_)))
        );
    }
    for (at, octets) in flipped(&script.server[1], 0) {
        let (mut client, events) = client_after(&script, 1, &octets);
        assert!(is_refused(&mut client), "octet {at} of WELCOME");
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Ready { .. }))
        );
    }
    // READY, and the message behind it.
    let ready = usize::from(script.server[2][1]) + 2;
    for (at, octets) in flipped(&script.server[2][..ready], 0) {
        let (mut client, events) = client_after(&script, 2, &octets);
        assert!(is_refused(&mut client), "octet {at} of READY");
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Ready { .. }))
        );
    }
}

#[test]
fn whatever_octet_of_a_message_is_changed_it_is_not_delivered() {
    let script = script();
    let delivered = |events: &[Event]| {
        events
            .iter()
            .any(|event| matches!(event, Event::Message(_)))
    };
    let message = &script.client[2];
    assert!(delivered(&server_after(&script, 2, message).1));
    for (at, octets) in flipped(message, 0) {
        let (server, events) = server_after(&script, 2, &octets);
        // COMMAND outside of what is sealed means nothing, and LONG or a larger size wait for more octets.
        let header = at < 2;
        assert!(server.is_closed() || header, "octet {at}");
        assert!(!delivered(&events) || octets[0] == 4, "octet {at}");
    }
    let ready = usize::from(script.server[2][1]) + 2;
    let message = script.server[2].split_at(ready).1;
    let script = Script {
        server: [
            script.server[0].clone(),
            script.server[1].clone(),
            script.server[2][..ready].to_vec(),
        ],
        ..script
    };
    assert!(delivered(&client_after(&script, 3, message).1));
    for (at, octets) in flipped(message, 2) {
        let (client, events) = client_after(&script, 3, &octets);
        assert!(client.is_closed() && !delivered(&events), "octet {at}");
    }
}

#[test]
fn the_greeting_tolerates_what_means_nothing() {
    let script = script();
    let mut tolerated = Vec::new();
    for (at, octets) in flipped(&script.client[0][..64], 0) {
        let octets = [&octets, &script.client[0][64..]].concat();
        let (server, _) = server_after(&script, 0, &octets);
        if !server.is_closed() && !lent(&server).is_empty() && lent(&server).len() > 64 {
            tolerated.push(at);
        }
    }
    // The padding of the signature; bits of a version that is newer; as-server and the filler.
    let expected: Vec<_> = (1..=8).chain([10, 11]).chain(32..64).collect();
    let within = |at: &usize| expected.contains(at);
    assert!(tolerated.iter().all(within), "{tolerated:?}");
    assert!(
        (1..=8).chain(32..64).all(|at| tolerated.contains(&at)),
        "{tolerated:?}"
    );
}

#[test]
fn what_was_recorded_is_of_no_use_later() {
    // ZMTP-82: the cookie is good for one connection.
    let script = script();
    let mut server = seeded_server(77);
    server.handle_input(START, &script.client[0]);
    assert_eq!(drain(&mut server), []);
    assert!(lent(&server).len() > 168);
    server.handle_input(START, &script.client[1]);
    assert_eq!(
        server.error(),
        Some(&Error::Unproved {
            command: "INITIATE"
        })
    );
    // So is WELCOME, and what follows.
    let mut client = client(keys(2).public(), 78);
    client.handle_input(START, &script.server[0]);
    client.handle_input(START, &script.server[1]);
    assert_eq!(
        client.error(),
        Some(&Error::Unproved { command: "WELCOME" })
    );
    // Within a connection each can be said once.
    let (server, events) = server_after(&script, 3, &script.client[2]);
    assert_eq!(
        server.error(),
        Some(&Error::Misbehaving(Misbehaving::Nonce))
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event, Event::Message(_)))
            .count(),
        1
    );
    for (heard, again) in [(1, &script.client[0][64..]), (2, &script.client[1][..])] {
        let (server, _) = server_after(&script, heard, again);
        assert!(server.is_closed());
    }
}

#[test]
fn what_is_cut_out_or_exchanged_is_noticed() {
    // ZMTP-86
    let (mut client, mut server) = ready_pair();
    let mut messages = Vec::new();
    for n in 0..3 {
        client.send(Frames::from(format!("{n}"))).unwrap();
        messages.push(sent(START, &mut client));
    }
    server.handle_input(START, &messages[1]);
    assert_eq!(
        server.error(),
        Some(&Error::Misbehaving(Misbehaving::Nonce))
    );
    // A part of a message that was taken out is missed.
    let (mut client, mut server) = ready_pair();
    for n in 0..3 {
        let frames: Frames = [format!("{n}a"), format!("{n}b")].map(Bytes::from).into();
        client.send(frames).unwrap();
    }
    let octets = sent(START, &mut client);
    let frames: Vec<_> = octets.chunks(2 + 33 + 2).collect();
    assert_eq!(frames.len(), 6);
    for (n, frame) in frames.iter().enumerate() {
        if n != 2 {
            server.handle_input(START, frame);
        }
    }
    let whole: Frames = ["0a", "0b"].map(Bytes::from).into();
    let misbehaving = Error::Misbehaving(Misbehaving::Nonce);
    assert_eq!(
        drain(&mut server),
        [Event::Message(whole), Event::Closed(misbehaving)]
    );
    // What one side said is not taken for what the other one says.
    let (mut client, mut server) = ready_pair();
    server.send(Frames::from("nonce 2")).unwrap();
    carry(START, &mut server, &mut client);
    client.send(Frames::from("nonce 3")).unwrap();
    let mine = sent(START, &mut client);
    client.handle_input(START, &mine);
    assert_eq!(
        client.error(),
        Some(&Error::Unproved { command: "MESSAGE" })
    );
}

#[test]
fn a_handshake_that_is_cut_anywhere_ends_at_its_deadline() {
    let script = script();
    let end = START + Duration::from_secs(30);
    let timed_out = Some(&Error::TimedOut(Timer::Handshake));
    for heard in 0..2 {
        let whole = &script.client[heard];
        for cut in 0..whole.len() {
            let (mut server, events) = server_after(&script, heard, &whole[..cut]);
            assert!(
                !events
                    .iter()
                    .any(|event| matches!(event, Event::Ready { .. }))
            );
            server.handle_timeout(end);
            assert_eq!(server.error(), timed_out, "{cut} of {heard}");
        }
    }
    for heard in 0..3 {
        let whole = &script.server[heard];
        let whole = match heard {
            // READY, without the message behind it.
            2 => &whole[..usize::from(whole[1]) + 2],
            _ => whole,
        };
        for cut in 0..whole.len() {
            let (mut client, events) = client_after(&script, heard, &whole[..cut]);
            assert_eq!(events, []);
            client.handle_timeout(end);
            assert_eq!(client.error(), timed_out, "{cut} of {heard}");
        }
    }
}
