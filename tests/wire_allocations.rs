//! What the hot path allocates: counted, not believed.

mod counting_common;

use atonce::wire::zre::{Command, Limits, Message};
use atonce::wire::{LongText, Text};
use atonce::{Bytes, Frames};
use counting_common::{allocations, shared};

fn whisper(content: impl Into<Frames>) -> Message {
    Message {
        sequence: 7,
        command: Command::Whisper {
            content: content.into(),
        },
    }
}

#[test]
fn the_counter_counts() {
    let (count, octets, _) = allocations(|| vec![0_u8; 100]);
    assert_eq!((count, octets), (1, 100));
}

#[test]
fn a_whisper_is_received_without_an_allocation() {
    let frames = Frames::from([shared(b"\xAA\xA1\x02\x02\x00\x07"), shared(&[7; 1000])]);
    let (count, _, message) = allocations(|| Message::decode(frames, &Limits::default()));
    assert_eq!(message, Ok(whisper(vec![7; 1000])));
    assert_eq!(count, 0);
}

#[test]
fn a_shout_is_received_without_an_allocation() {
    // A frame that nobody ever shared is given a count of its owners at the first sharing: not here.
    let frames = Frames::from([
        shared(b"\xAA\xA1\x03\x02\x00\x07\x04CHAT"),
        shared(&[7; 1000]),
    ]);
    let (count, _, message) = allocations(|| Message::decode(frames, &Limits::default()));
    assert!(message.is_ok());
    assert_eq!(count, 0);
}

#[test]
fn a_whisper_is_sent_with_its_six_octets_alone() {
    let message = whisper(shared(&[7; 1000]));
    let (count, octets, frames) = allocations(|| message.encode());
    assert_eq!(frames.len(), 2);
    assert_eq!((count, octets), (1, 6));
}

#[test]
fn a_count_bomb_costs_nothing() {
    let mut bomb = b"\xAA\xA1\x01\x02\x00\x01\x00\xff\xff\xff\xff".to_vec();
    bomb.resize(16 << 20, 0);
    let frames = Frames::from(bomb);
    let limits = Limits {
        groups: usize::MAX,
        headers: usize::MAX,
    };
    let (_, octets, message) = allocations(|| Message::decode(frames, &limits));
    assert_eq!(message.unwrap_err().field, "HELLO.groups");
    assert!(octets < 100, "{octets} octets");
}

#[test]
fn a_large_hello_costs_no_more_than_its_size_and_does_not_stay() {
    let mut hello = b"\xAA\xA1\x01\x02\x00\x01\x00\x00\x00\x04\x00".to_vec();
    for group in 0..1024_u32 {
        hello.extend(4_u32.to_be_bytes());
        hello.extend(group.to_be_bytes());
    }
    hello.extend(b"\x00\x00\x00\x00\x00\x01\x01k");
    hello.extend(100_000_u32.to_be_bytes());
    hello.resize(hello.len() + 100_000, 7);
    let size = hello.len();
    let frame = Bytes::from(hello);
    let frames = Frames::from(frame.clone());
    let (_, octets, message) = allocations(|| Message::decode(frames, &Limits::default()));
    let Ok(Message {
        command: Command::Hello(hello),
        ..
    }) = message
    else {
        panic!("refused");
    };
    assert_eq!(hello.groups.len(), 1024);
    // The groups are copied into a tree of 32 octets and more each; the header is most of the frame, and shares it.
    assert!(octets < size, "{octets} octets for {size}");
    assert!(!frame.is_unique());
    drop(hello.headers);
    assert!(frame.is_unique(), "a group keeps the frame");
}

#[test]
fn a_hello_with_one_header_takes_room_for_one() {
    let mut hello = b"\xAA\xA1\x01\x02\x00\x01\x00\x00\x00\x00\x00\x00\x01\x6B".to_vec();
    hello.extend(b"\x00\x00\x00\x01\x01k\x00\x00\x00\x01v");
    let decode = |hello: &[u8]| {
        let frames = Frames::from(hello.to_vec());
        let (_, octets, message) = allocations(|| Message::decode(frames, &Limits::default()));
        assert!(message.is_ok());
        octets
    };
    let with_one = decode(&hello);
    let without = {
        hello.truncate(14);
        hello.extend(0_u32.to_be_bytes());
        decode(&hello)
    };
    assert_eq!(with_one - without, size_of::<(Text, LongText)>());
}
