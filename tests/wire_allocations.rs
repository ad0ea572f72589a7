//! What the hot path allocates: counted, not believed.
#![allow(unsafe_code)] // a global allocator cannot be had without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use atonce::wire::zre::{Command, Limits, Message};
use atonce::wire::{LongText, Text};
use atonce::{Bytes, Frames};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static OCTETS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count(octets: usize) {
    // Nothing is counted while the thread ends.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    let _ = OCTETS.try_with(|sum| sum.set(sum.get() + octets));
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations of how many octets in all `work` made, and its result.
fn allocations<T>(work: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = (COUNT.get(), OCTETS.get());
    let result = work();
    (COUNT.get() - before.0, OCTETS.get() - before.1, result)
}

/// Shared memory, as it comes from a connection: the first clone of it is not counted here.
fn shared(octets: &[u8]) -> Bytes {
    let octets = Bytes::copy_from_slice(octets);
    drop(octets.clone());
    octets
}

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
