//! What messages of @Once allocate: counted, not believed.

mod counting_common;

use atonce::wire::once::{Limits, Message, RemoteShout, RemoteWhisper, V2};
use atonce::{Frames, PeerId};
use counting_common::{allocations, shared};

fn whisper() -> Message {
    V2::RemoteWhisper(RemoteWhisper {
        epoch: 1,
        number: 2,
        from: PeerId::from_bytes([1; 16]),
        to: PeerId::from_bytes([2; 16]),
        content: shared(&[7; 1_000]).into(),
    })
    .into()
}

fn shout() -> Message {
    V2::RemoteShout(RemoteShout {
        epoch: 1,
        number: 2,
        from: PeerId::from_bytes([1; 16]),
        group: "CHAT".parse().expect("it is short"),
        to: vec![PeerId::from_bytes([2; 16])],
        content: shared(&[7; 1_000]).into(),
    })
    .into()
}

#[test]
fn the_counter_counts() {
    let (count, octets, _) = allocations(|| vec![0_u8; 100]);
    assert_eq!((count, octets), (1, 100));
}

#[test]
fn what_goes_from_peer_to_peer_is_received_without_an_allocation_but_for_who_gets_it() {
    // ONCE-4
    for (message, most) in [(whisper(), 0), (shout(), 1)] {
        let frames: Frames = message.encode().iter().map(|frame| shared(frame)).collect();
        let (count, _, decoded) = allocations(|| Message::decode(frames, &Limits::default()));
        assert_eq!(decoded, Ok(message));
        assert_eq!(count, most);
    }
}

#[test]
fn what_goes_from_peer_to_peer_is_sent_with_its_first_frame_alone() {
    // ONCE-4
    for (message, size) in [(whisper(), 52), (shout(), 64)] {
        let (count, octets, frames) = allocations(|| message.encode());
        assert_eq!(frames.len(), 2);
        assert_eq!((count, octets), (1, size));
    }
}

#[test]
fn a_count_bomb_costs_nothing() {
    // ONCE-11
    let limits = Limits {
        mechanisms: usize::MAX,
        endpoints: usize::MAX,
        peers: usize::MAX,
        groups: usize::MAX,
        headers: usize::MAX,
        ..Limits::default()
    };
    for (begin, field) in [
        (&b"\xAA\xA2\x02\x01"[..], "LIST-ENDPOINTS.endpoints"),
        (b"\xAA\xA2\x10\x02", "CHALLENGE.mechanisms"),
        (b"\xAA\xA2\x21\x02", "LIST-ENDPOINTS.contacts"),
        (
            b"\xAA\xA2\x31\x02................\0\0\0\x01",
            "ROSTER.peers",
        ),
        (
            b"\xAA\xA2\x32\x02................................\0\0\0\0\0\0",
            "peer.headers",
        ),
        (
            b"\xAA\xA2\x32\x02................................\0\0\0\0\0\0\0\0\0\0",
            "peer.groups",
        ),
    ] {
        let mut bomb = [begin, &[0xff; 4]].concat();
        bomb.resize(2 << 20, 0);
        let frames = Frames::from(bomb);
        let (_, octets, message) = allocations(|| Message::decode(frames, &limits));
        assert_eq!(message.unwrap_err().field, field);
        assert!(octets < 100, "{field}: {octets} octets");
    }
}

#[test]
fn the_most_peers_that_fit_cost_a_small_multiple_of_their_octets() {
    // ONCE-11
    // What takes least on the wire and most in memory: peers of nothing, and groups of two octets.
    let nobody = [[1; 16].as_slice(), &[0; 14]].concat();
    let crowd = [
        b"\xAA\xA2\x31\x02................\0\0\0\x01\0\0\x10\0".as_slice(),
        &nobody.repeat(4_096),
    ]
    .concat();
    let groups: Vec<u8> = (0..1_024_u16)
        .flat_map(|group| [&[0, 0, 0, 2], &group.to_be_bytes()[..]].concat())
        .collect();
    let joiner = [[1; 16].as_slice(), &[0; 10], &[0, 0, 4, 0], &groups].concat();
    let joiners = [
        b"\xAA\xA2\x31\x02................\0\0\0\x01\0\0\x01\x53".as_slice(),
        &joiner.repeat(339),
    ]
    .concat();
    for frame in [crowd, joiners] {
        let size = frame.len();
        let frames = Frames::from(frame);
        let (_, octets, message) = allocations(|| Message::decode(frames, &Limits::default()));
        assert!(message.is_ok(), "{message:?}");
        assert!(octets < 40 * size, "{octets} octets for {size}");
    }
}
